#include "cli.h"

static int run(cli *c)
{
    printf("sykli %s - a CI node: scheduler, cache, live tables, mesh\n\n"
           "Usage: sykli [VERB] [OPTION...]      without a verb: sykli run\n\nVerbs:\n",
           SYKLI_VERSION);
    for (const cli_verb *const *verb = c->verbs; *verb; verb++)
        printf("  %-12s %s\n", (*verb)->name, (*verb)->help);
    printf("\nsykli VERB --help says more.\n");
    return CLI_OK;
}

const cli_verb verb_help = { "help", "list the verbs", "", "sykli help", NULL, NULL, run };
