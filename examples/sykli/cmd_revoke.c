// Bans a node from the mesh.
#include "ask.h"

static int run(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 1, 1);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    char *args = ask_args(c, "{\"node\":%s}", c->args[0]);
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "roster.revoke", args, &answer)) code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, args);
        else printf("%s is banned from the mesh for good\n", c->args[0]);
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_revoke = { "revoke", "ban a node from the mesh for good", "NODE",
                               "sykli revoke old-laptop", NULL, NULL, run };
