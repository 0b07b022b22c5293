// The sykli command: a table of verbs.
#include "cli.h"
#include "verbs.h"

#define VERB(name) extern const cli_verb verb_##name;
VERBS(VERB)
#undef VERB

#define VERB(name) &verb_##name,
static const cli_verb *const verbs[] = { VERBS(VERB) NULL };

int main(int argc, char **argv) { return cli_main(verbs, argc, argv); }
