// Asks the tables of this machine, of a node or of all nodes with a SELECT.
#include "ask.h"
#include <string.h>

static const char *const formats[] = { "table", "json", "csv", NULL };

static const cli_option options[] = {
    { "format", 0, "table|json|csv", "default: table" },
    { "on", 0, "NODE", "the node to ask, or all; default: this machine" },
    { "every", 0, "TIME", "ask again and again: 1s, 500ms" },
    { NULL, 0, NULL, NULL }
};

// Waits in the loop of the context: a link that breaks is then noticed.
static void wait_ms(asking *a, uint64_t ms)
{
    uint64_t end = sykli_now_ms(a->s) + ms;
    for (uint64_t now = end - ms; now < end; now = sykli_now_ms(a->s))
        sykli_poll(a->s, (int)(end - now < 1000 ? end - now : 1000));
}

static int run(cli *c)
{
    asking a;
    uint64_t every_ms;
    int format, code = cli_choice(c, "format", formats, SYKLI_FORMAT_table, &format);
    if (!code) code = cli_duration(c, "every", 0, &every_ms);
    if (code) return code;
    if (c->arg_count != 1)
        return cli_fail(c, CLI_USAGE, "usage", "sykli query 'SELECT name, help FROM tables'",
                        "query needs one argument, the query");
    code = ask_begin_anyhow(&a, c);
    if (code) return code;
    code = ask_print(&a, cli_value(c, "on"), c->args[0], (sykli_format)format);
    while (!code && every_ms) {
        wait_ms(&a, every_ms);
        if (!c->json && format == SYKLI_FORMAT_table) putchar('\n');
        code = ask_print(&a, cli_value(c, "on"), c->args[0], (sykli_format)format);
        if (fflush(stdout)) break;
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_query = { "query", "ask the tables with a SELECT", "QUERY [OPTION...]",
                              "sykli query 'SELECT name, status FROM tasks WHERE status = failed'",
                              options, NULL, run };
