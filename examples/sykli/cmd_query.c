// Asks the tables of this machine, or of a node, with a SELECT.
#include "ask.h"

static const char *const formats[] = { "table", "json", "csv", NULL };

static const cli_option options[] = {
    { "format", 0, "FORMAT", "table (default), json or csv" },
    { NULL, 0, NULL, NULL }
};

static int run(cli *c)
{
    int format, code = cli_choice(c, "format", formats, SYKLI_FORMAT_table, &format);
    if (code) return code;
    if (c->arg_count != 1)
        return cli_fail(c, CLI_USAGE, "usage", "sykli query 'SELECT name, help FROM tables'",
                        "query needs one argument, the query");
    sykli *s = ask_open(c, &code);
    if (!s) return code;
    code = ask_print(c, s, NULL, c->args[0], (sykli_format)format);
    sykli_close(s);
    return code;
}

const cli_verb verb_query = { "query", "ask the tables with a SELECT", "QUERY [OPTION...]",
                              "sykli query 'SELECT name, status FROM tasks WHERE status = failed'",
                              options, NULL, run };
