#include "cli.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

static int run(cli *c)
{
    int code = cli_arguments(c, 0, 0);
    if (code) return code;
    if (c->json)
        cli_envelope(c, true, "{\"name\":\"sykli\",\"version\":\"" SYKLI_VERSION "\","
                              "\"compiler\":\"" COMPILER "\"}");
    else puts("sykli " SYKLI_VERSION);
    return CLI_OK;
}

const cli_verb verb_version = { "version", "print the version", "", "sykli version --json",
                                NULL, NULL, run };
