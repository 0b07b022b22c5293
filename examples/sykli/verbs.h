// All verbs of the program, in the order of --help. Each is the const cli_verb verb_NAME of
// cmd_NAME.c.
#define VERBS(X)                                                                                   \
    X(run) X(validate) X(graph) X(explain) X(init) X(history) X(logs) X(query) X(observe) X(kill)  \
    X(gate) X(debug) X(memory) X(events) X(node) X(nodes) X(cookie) X(invite) X(join) X(grant)     \
    X(revoke) X(config) X(scale) X(cache) X(doctor) X(completion) X(version) X(help)
