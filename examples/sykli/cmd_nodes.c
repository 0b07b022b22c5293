// Every node of the mesh.
#include "ask.h"

static const char *const formats[] = { "table", "json", "csv", NULL };

static const cli_option options[] = {
    { "format", 0, "table|json|csv", "default: table" },
    { NULL, 0, NULL, NULL }
};

static int run(cli *c)
{
    asking a;
    int format, code = cli_choice(c, "format", formats, SYKLI_FORMAT_table, &format);
    if (!code) code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    code = ask_print(&a, NULL, "SELECT name, id, address, state, role, labels, workers_busy, "
                               "workers_total, version, config_version, rtt_us FROM nodes "
                               "ORDER BY name", (sykli_format)format);
    ask_end(&a);
    return code;
}

const cli_verb verb_nodes = { "nodes", "list the nodes of the mesh", "[--format table|json|csv]",
                              "sykli nodes", options, NULL, run };
