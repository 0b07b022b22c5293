// All verbs of the program, in the order of --help. Each is the const cli_verb verb_NAME of
// cmd_NAME.c.
#define VERBS(X) X(run) X(validate) X(graph) X(init) X(query) X(version) X(help)
