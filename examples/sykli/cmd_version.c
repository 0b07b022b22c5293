#include "cli.h"

static int run(cli *c)
{
    if (c->json) cli_envelope(c, true, "{\"name\":\"sykli\",\"version\":\"" SYKLI_VERSION "\"}");
    else puts("sykli " SYKLI_VERSION);
    return CLI_OK;
}

const cli_verb verb_version = { "version", "print the version", "", "sykli version --json",
                                NULL, NULL, run };
