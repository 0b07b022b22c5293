// Says in the roster what a node may do.
#include "ask.h"
#include <string.h>

static const char *const roles[] = { "member", "observer", "operator", "admin", NULL };

static const cli_option options[] = {
    { "writer", 0, NULL, "its results count as trusted" },
    { "executor", 0, NULL, "it may be given trusted tasks" },
    { NULL, 0, NULL, NULL }
};

static int check_role(cli *c, const char *word)
{
    size_t count = sizeof roles / sizeof *roles - 1;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(roles[i], word)) return 0;
    const char *near = sykli_nearest(word, roles, count);
    return cli_fail(c, CLI_USAGE, "usage", near ? cli_print(c, "did you mean %s?", near) : NULL,
                    "%s is no role: member, observer, operator or admin", word);
}

static int run(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 2, 2);
    if (!code) code = check_role(c, c->args[1]);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    char *args = ask_args(c, "{\"node\":%s,\"role\":%s,\"writer\":%b,\"executor\":%b}", c->args[0],
                          c->args[1], cli_has(c, "writer"), cli_has(c, "executor"));
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "roster.grant", args, &answer)) code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, args);
        else printf("%s is %s%s%s now\n", c->args[0], c->args[1],
                    cli_has(c, "writer") ? ", writer" : "",
                    cli_has(c, "executor") ? ", executor" : "");
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_grant = { "grant", "say what a node may do", "NODE ROLE [OPTION...]",
                              "sykli grant ci-runner-7 operator --writer", options, NULL, run };
