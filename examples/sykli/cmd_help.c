#include "generate.h"

static const cli_option options[] = {
    { "print", 0, "WHAT", "man for the manual page; bash, zsh, fish for completions" },
    { NULL, 0, NULL, NULL }
};

static int run(cli *c)
{
    if (cli_has(c, "print")) return generate(c, cli_value(c, "print"));
    if (c->arg_count) return cli_help(c);
    printf("sykli %s - a CI node: scheduler, cache, live tables, mesh\n\n"
           "Usage: sykli [VERB] [OPTION...]      without a verb: sykli run\n\nVerbs:\n",
           SYKLI_VERSION);
    for (const cli_verb *const *verb = c->verbs; *verb; verb++)
        printf("  %-12s %s\n", (*verb)->name, (*verb)->help);
    printf("\nsykli help VERB says more.\n");
    return CLI_OK;
}

const cli_verb verb_help = { "help", "list the verbs, or say what one of them does",
                             "[VERB...] [--print WHAT]", "sykli help run", options, NULL, run };
