// Invites: tokens that let one machine into the mesh.
#include "ask.h"
#include <string.h>

enum { HOUR_MS = 3600000, USES_MAX = 1000 };

static const char *const roles[] = { "member", "observer", "operator", NULL };

static const cli_option options[] = {
    { "role", 0, "member|observer|operator", "default: observer" },
    { "uses", 0, "N", "how often it is good, default 1; more only for member" },
    { "expires", 0, "TIME", "how long it is good, default 1h" },
    { NULL, 0, NULL, NULL }
};

// Prints a token: alone on the last line, so that scripts can take it.
static void print_token(const char *token, const char *role, uint32_t uses, uint64_t expires_ms)
{
    char time[32];
    printf("An invite for %s%u machine%s, role %s, good for %s. There, run `sykli join` and paste:"
           "\n", uses == 1 ? "" : "up to ", uses, uses == 1 ? "" : "s", role,
           sykli_format_duration(time, expires_ms));
    cli_say(stdout, "%s\n", token);
}

static int run(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int role;
    uint32_t uses;
    uint64_t expires_ms;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = cli_choice(c, "role", roles, 1, &role);
    if (!code) code = cli_number(c, "uses", 1, 1, USES_MAX, &uses);
    if (!code) code = cli_duration(c, "expires", HOUR_MS, &expires_ms);
    if (!code && uses > 1 && strcmp(roles[role], "member"))
        code = cli_fail(c, CLI_USAGE, "usage", NULL,
                        "--uses %u: an invite that is good several times is for --role member",
                        (unsigned)uses);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    char *args = ask_args(c, "{\"role\":%s,\"uses\":%u,\"expires_ms\":%u}", roles[role],
                          (uint64_t)uses, expires_ms);
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "invite.create", args, &answer)) code = ask_failed(&a);
    else {
        const char *token = sykli_arg_text(&answer, "token", "");
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"token\":%s,\"role\":%s}", token,
                                                    roles[role]));
        else print_token(token, roles[role], uses, expires_ms);
        sykli_json_free(&answer);
    }
    ask_end(&a);
    return code;
}

static void print_invite(cli *c, const sykli_json_doc *doc, uint32_t item)
{
    uint64_t uses = 0, expires = 0;
    uint32_t used = sykli_json_get(doc, item, "used_by");
    const char *id = sykli_json_text(doc, sykli_json_get(doc, item, "id"));
    const char *role = sykli_json_text(doc, sykli_json_get(doc, item, "role"));
    sykli_json_u64(doc, sykli_json_get(doc, item, "uses_left"), &uses);
    sykli_json_u64(doc, sykli_json_get(doc, item, "expires_ms"), &expires);
    uint64_t now = (uint64_t)c->sys.wall_ms(c->sys.user);
    char time[32] = "expired";
    if (expires > now) sykli_format_duration(time, expires - now);
    cli_say(stdout, "%-18s %-9s ", id ? id : "", role ? role : "");
    printf("%5llu  %-9s ", (unsigned long long)uses, time);
    const char *name = used ? sykli_json_text(doc, used) : NULL;
    if (name) cli_put(stdout, name, 0);
    for (uint32_t n = used && !name ? sykli_json_first(doc, used) : 0; n;
         n = sykli_json_next(doc, used, n)) {
        cli_put(stdout, sykli_json_text(doc, n) ? sykli_json_text(doc, n) : "", 0);
        putchar(' ');
    }
    putchar('\n');
}

static int list(cli *c)
{
    return ask_list(c, "invite.list", "ID                 ROLE      LEFT   EXPIRES   USED BY",
                    print_invite);
}

static int revoke(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 1, 1);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "invite.revoke", ask_args(c, "{\"id\":%s}", c->args[0]),
                 &answer))
        code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"id\":%s}", c->args[0]));
        else printf("invite %s is good no more\n", c->args[0]);
    }
    ask_end(&a);
    return code;
}

static const cli_verb verb_list = { "list", "list the invites that are out", "",
                                    "sykli invite list", NULL, NULL, list };
static const cli_verb verb_revoke_invite = { "revoke", "make an invite worthless", "ID",
                                             "sykli invite revoke 5f0c9a1e22d3b481", NULL, NULL,
                                             revoke };
static const cli_verb *const verbs[] = { &verb_list, &verb_revoke_invite, NULL };

const cli_verb verb_invite = { "invite", "make a token that lets a machine in",
                               "[--role ROLE] [--uses N] [--expires TIME] | list | revoke ID",
                               "sykli invite --role operator --expires 10m", options, verbs, run };
