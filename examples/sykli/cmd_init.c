// Writes a pipeline to start from.
#include "cli.h"
#include <errno.h>
#include <string.h>

static const cli_option options[] = {
    { "force", 0, NULL, "write over a file that is there" },
    { NULL, 0, NULL, NULL }
};

static const char starter[] =
    "{\n"
    "  \"version\": \"1\",\n"
    "  \"tasks\": [\n"
    "    { \"name\": \"build\", \"command\": \"make\", \"inputs\": [\"**/*.c\", \"**/*.h\", "
    "\"Makefile\"] },\n"
    "    { \"name\": \"test\", \"command\": \"make test\", \"depends_on\": [\"build\"], "
    "\"timeout\": 600 }\n"
    "  ]\n"
    "}\n";

static int run(cli *c)
{
    const char *path = "sykli.json";
    FILE *file = fopen(path, cli_has(c, "force") ? "w" : "wx");
    if (!file && errno == EEXIST)
        return cli_fail(c, CLI_FAILED, "exist", "sykli init --force writes over it",
                        "%s is there already", path);
    bool written = file && fwrite(starter, 1, sizeof starter - 1, file) == sizeof starter - 1;
    if (file && fclose(file)) written = false;
    if (!written)
        return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "%s: %s", path, strerror(errno));
    if (c->json) cli_envelope(c, true, "{\"path\":\"sykli.json\"}");
    else printf("%s is written; sykli runs it\n", path);
    return CLI_OK;
}

const cli_verb verb_init = { "init", "write a pipeline to start from", "[--force]", "sykli init",
                             options, NULL, run };
