// What happened on a node: nodes that came and went, configuration, tasks, who changed what.
#include "ask.h"

static const cli_option options[] = {
    { "follow", 0, NULL, "go on as they come" },
    { NULL, 0, NULL, NULL }
};

static void print_event(const cli *c, const char *at, const char *event, const char *name,
                        const char *status, const char *text)
{
    fputs(cli_style_on(c->colour, CLI_FAINT), stdout);
    cli_put(stdout, at, 0);
    fputs(cli_style_on(c->colour, CLI_PLAIN), stdout);
    cli_say(stdout, "  %-13s %s", event, name);
    if (*status) cli_say(stdout, "  %s", status);
    if (*text) cli_say(stdout, "  %s", text);
    putchar('\n');
}

static int on_line(void *user, const char *line, size_t size)
{
    asking *a = user;
    cli *c = a->c;
    sykli_json_doc doc;
    if (c->json) return ask_put_line(c, line, size);
    int rc = sykli_json_parse(&doc, &c->mem, line, size, &c->fault);
    if (rc) return rc;
    print_event(c, sykli_arg_text(&doc, "at", ""), sykli_arg_text(&doc, "event", ""),
                sykli_arg_text(&doc, "name", ""), sykli_arg_text(&doc, "status", ""),
                sykli_arg_text(&doc, "text", ""));
    sykli_json_free(&doc);
    return fflush(stdout) ? ASK_STOP : 0;
}

static int list(asking *a, const char *on)
{
    cli *c = a->c;
    if (c->json) return ask_print(a, on, "SELECT * FROM events ORDER BY serial",
                                  SYKLI_FORMAT_table);
    sykli_result *r = ask_query(a, ask_whom(a, on), "SELECT at, event, name, status, text "
                                                    "FROM events ORDER BY serial");
    if (!r) return ask_failed(a);
    for (size_t i = 0; i < sykli_result_rows(r); i++) {
        char time[64];
        sykli_format_time(time, (int64_t)ask_number(r, i, "at", 0));
        print_event(c, time, ask_cell(c, r, i, "event"), ask_cell(c, r, i, "name"),
                    ask_cell(c, r, i, "status"), ask_cell(c, r, i, "text"));
    }
    sykli_result_free(r);
    return CLI_OK;
}

static int run(cli *c)
{
    asking a;
    int code = cli_arguments(c, 0, 1);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    const char *on = c->arg_count ? c->args[0] : NULL;
    if (!cli_has(c, "follow")) code = list(&a, on);
    else if (ask_lines(&a, &(sykli_request){ .verb = SYKLI_VERB_watch, .node = ask_whom(&a, on),
                                             .what = "events", .args = "{\"since\":0}" },
                       &(ask_reader){ .line = on_line, .user = &a }) < 0)
        code = ask_failed(&a);
    ask_end(&a);
    return code;
}

const cli_verb verb_events = { "events", "list what happened on a node", "[NODE] [--follow]",
                               "sykli events --follow", options, NULL, run };
