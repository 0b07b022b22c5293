// The live configuration: what is in force and why, changes here, changes everywhere.
#include "ask.h"
#include "config_file.h"
#include <string.h>

enum { HASH_SHOWN = 12 };

// ---- get ----

// Without a node: what a node of this file would start with.
static int begin_get(asking *a, cli *c)
{
    config_file file;
    int code = ask_begin_anyhow(a, c);
    if (code || a->mesh) return code;
    code = config_file_read(c, NULL, &file);
    if (!code) code = config_file_apply(c, &file, a->s, 0);
    if (code) ask_end(a);
    return code;
}

static int no_such_key(cli *c, const sykli_result *r, const char *key)
{
    size_t count = sykli_result_rows(r);
    const char **names = cli_alloc(c, (count + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++) names[i] = ask_cell(c, r, i, "key");
    const char *near = sykli_nearest(key, names, count);
    return cli_fail(c, CLI_FAILED, "not_found",
                    near ? cli_print(c, "did you mean %s?", near)
                         : "`sykli config get` lists the keys",
                    "there is no key %s", key);
}

// The value alone on stdout, so that scripts can take it; where it comes from beside it for people.
static int print_key(cli *c, const sykli_result *r, const char *key)
{
    for (size_t i = 0; i < sykli_result_rows(r); i++) {
        if (strcmp(ask_cell(c, r, i, "key"), key)) continue;
        const char *value = ask_cell(c, r, i, "value"), *source = ask_cell(c, r, i, "source");
        const char *version = ask_cell(c, r, i, "version");
        if (c->json)
            cli_envelope(c, true, ask_args(c, "{\"key\":%s,\"value\":%s,\"source\":%s}", key, value,
                                           source));
        else {
            cli_put(stdout, value, 0);
            if (cli_terminal(stdout)) {
                printf("    %s", cli_style_on(c->colour, CLI_FAINT));
                cli_say(stdout, "(%s%s%s)", source, *version ? " v" : "", version);
                fputs(cli_style_on(c->colour, CLI_PLAIN), stdout);
            }
            putchar('\n');
        }
        return CLI_OK;
    }
    return no_such_key(c, r, key);
}

static int get(cli *c)
{
    asking a;
    int code = cli_arguments(c, 0, 1);
    if (!code) code = begin_get(&a, c);
    if (code) return code;
    if (!c->arg_count) {
        code = ask_print(&a, NULL, "SELECT key, value, source, version FROM config ORDER BY key",
                         SYKLI_FORMAT_table);
    } else {
        sykli_result *r = ask_query(&a, ask_here(&a), "SELECT key, value, source, version "
                                                      "FROM config");
        code = r ? print_key(c, r, c->args[0]) : ask_failed(&a);
        sykli_result_free(r);
    }
    ask_end(&a);
    return code;
}

// ---- set ----

static int set(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 2, 2);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    char *args = ask_args(c, "{\"key\":%s,\"value\":%s}", c->args[0], c->args[1]);
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "config.set", args, &answer)) code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, args);
        else cli_say(stdout, "%s = %s until %s restarts\n", c->args[0], c->args[1], a.node);
    }
    ask_end(&a);
    return code;
}

// ---- push ----

static const cli_option push_options[] = {
    { "all-or-nothing", 0, NULL, "only if every node that can be reached accepts it" },
    { "force", 0, NULL, "also over a newer version of somebody else" },
    { NULL, 0, NULL, NULL }
};

// KEY=VALUE words as a JSON object.    returns  NULL after a message
static char *pairs(cli *c, int *exit)
{
    char *json = cli_print(c, "{");
    for (int i = 0; i < c->arg_count; i++) {
        const char *equals = strchr(c->args[i], '=');
        if (!equals || equals == c->args[i]) {
            *exit = cli_fail(c, CLI_USAGE, "usage", "sykli config push cache.max_size=7GB",
                             "config push %s: KEY=VALUE is wanted, or one file", c->args[i]);
            return NULL;
        }
        char *key = cli_copy(c, c->args[i], (size_t)(equals - c->args[i]));
        json = cli_print(c, "%s%s%s", json, i ? "," : "",
                         ask_args(c, "%s:%s", key, equals + 1));
    }
    return cli_print(c, "%s}", json);
}

// What is to be pushed: pairs, a file, or the file of this machine.
static char *values(asking *a, int *exit)
{
    cli *c = a->c;
    config_file file;
    bool is_file = c->arg_count == 1 && !strchr(c->args[0], '=');
    if (c->arg_count && !is_file) return pairs(c, exit);
    *exit = config_file_read(c, is_file ? c->args[0] : NULL, &file);
    if (*exit) return NULL;
    char *json = config_file_json(c, &file, a->s, true, exit);
    if (json && !strcmp(json, "{}")) {
        *exit = cli_fail(c, CLI_FAILED, "nothing", "sykli config push workers=8",
                         "%s sets no key that can be pushed", file.path);
        return NULL;
    }
    return json;
}

static const char *shown_name(const ask_node *nodes, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(nodes[i].name, name)) return nodes[i].shown;
    return name;
}

// One line a node; what is wrong is said behind it.      returns  whether it is bad
static bool print_node(cli *c, const sykli_json_doc *doc, uint32_t row, const char *shown,
                       uint64_t version)
{
    uint64_t ms = 0;
    const char *state = sykli_json_text(doc, sykli_json_get(doc, row, "state"));
    const char *reason = sykli_json_text(doc, sykli_json_get(doc, row, "reason"));
    bool updated = state && !strcmp(state, "updated"), offline = state && !strcmp(state, "offline");
    sykli_json_u64(doc, sykli_json_get(doc, row, "ms"), &ms);
    printf("  %s%s%s ", cli_style_on(c->colour, updated ? CLI_GOOD : offline ? CLI_FAINT : CLI_BAD),
           updated ? "✓" : offline ? "…" : "✗", cli_style_on(c->colour, CLI_PLAIN));
    cli_say(stdout, "%-21s ", shown);
    if (updated)
        printf(" (config updated)  v%llu (%llu ms)\n", (unsigned long long)version,
               (unsigned long long)ms);
    else if (offline) puts(" offline, will catch up");
    else cli_say(stdout, " %s (%s)\n", state ? state : "failed",
                 reason ? reason : "no reason given");
    return !updated && !offline;
}

// What the nodes answered.       returns  the exit code
static int print_push(asking *a, const sykli_json_doc *answer)
{
    const ask_node *nodes;
    size_t count;
    int code = CLI_OK;
    uint64_t version = sykli_arg_u64(answer, "version", 0);
    uint32_t list = sykli_json_get(answer, 0, "nodes");
    if (ask_nodes(a, &nodes, &count)) return ask_failed(a);
    for (uint32_t n = list ? sykli_json_first(answer, list) : 0; n;
         n = sykli_json_next(answer, list, n)) {
        const char *name = sykli_json_text(answer, sykli_json_get(answer, n, "node"));
        if (print_node(a->c, answer, n, shown_name(nodes, count, name ? name : ""), version))
            code = CLI_FAILED;
    }
    if (!code) puts("\nNo restart needed.\nRunning tasks unaffected.");
    return code;
}

// With --json the exit code still says whether a node refused.
static int judge_push(const sykli_json_doc *answer)
{
    uint32_t list = sykli_json_get(answer, 0, "nodes");
    for (uint32_t n = list ? sykli_json_first(answer, list) : 0; n;
         n = sykli_json_next(answer, list, n)) {
        const char *state = sykli_json_text(answer, sykli_json_get(answer, n, "state"));
        if (state && strcmp(state, "updated") && strcmp(state, "offline")) return CLI_FAILED;
    }
    return CLI_OK;
}

static int push(cli *c)
{
    asking a;
    sykli_json_doc answer;
    const char *text;
    int code = ask_begin(&a, c);
    if (code) return code;
    char *json = values(&a, &code);
    if (json) {
        char *args = ask_args(c, "{\"values\":%s,\"all_or_nothing\":%b,\"force\":%b}", json,
                              cli_has(c, "all-or-nothing"), cli_has(c, "force"));
        if (!c->json) puts("Pushing config to mesh...");
        fflush(stdout);
        if (ask_call_text(&a, SYKLI_MESH_GATEWAY, "config.push", args, &answer, &text))
            code = ask_failed(&a);
        else {
            if (c->json) cli_envelope(c, true, text);
            code = c->json ? judge_push(&answer) : print_push(&a, &answer);
            sykli_json_free(&answer);
        }
    }
    ask_end(&a);
    return code;
}

// ---- history, rollback, diff ----

static void print_version(cli *c, const sykli_json_doc *doc, uint32_t row)
{
    (void)c;
    uint64_t version = 0;
    const char *author = sykli_json_text(doc, sykli_json_get(doc, row, "author"));
    const char *state = sykli_json_text(doc, sykli_json_get(doc, row, "state"));
    const char *hash = sykli_json_text(doc, sykli_json_get(doc, row, "hash"));
    char begin[HASH_SHOWN + 1];
    snprintf(begin, sizeof begin, "%s", hash ? hash : "");
    sykli_json_u64(doc, sykli_json_get(doc, row, "version"), &version);
    printf("v%-7llu  ", (unsigned long long)version);
    cli_say(stdout, "%-20s  %-10s  %s\n", author ? author : "", state ? state : "", begin);
}

static int history(cli *c)
{
    return ask_list(c, "config.history", "VERSION   AUTHOR                STATE       HASH",
                    print_version);
}

static int rollback(cli *c)
{
    asking a;
    sykli_json_doc answer;
    uint64_t version = 0;
    int code = cli_arguments(c, 1, 1);
    if (code) return code;
    const char *word = c->args[0] + (*c->args[0] == 'v');
    for (const char *at = word; *at; at++) {
        if (*at < '0' || *at > '9' || version > UINT32_MAX)
            return cli_fail(c, CLI_USAGE, "usage", "`sykli config history` lists the versions",
                            "config rollback %s: the number of a version is wanted", c->args[0]);
        version = version * 10 + (uint64_t)(*at - '0');
    }
    code = ask_begin(&a, c);
    if (code) return code;
    if (ask_call(&a, SYKLI_MESH_GATEWAY, "config.rollback",
                 ask_args(c, "{\"version\":%u}", version), &answer))
        code = ask_failed(&a);
    else {
        uint64_t now = sykli_arg_u64(&answer, "version", 0);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"version\":%u}", now));
        else printf("v%llu is as v%llu was\n", (unsigned long long)now,
                    (unsigned long long)version);
        sykli_json_free(&answer);
    }
    ask_end(&a);
    return code;
}

// What the file of this machine says against what is in force.
static int diff(cli *c)
{
    asking a;
    config_file file;
    sykli_json_doc doc;
    char *json = NULL;
    int code = cli_arguments(c, 0, 1), differences = 0;
    if (!code) code = config_file_read(c, c->arg_count ? c->args[0] : NULL, &file);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    json = config_file_json(c, &file, a.s, false, &code);
    sykli_result *r = json ? ask_query(&a, SYKLI_MESH_GATEWAY,
                                       "SELECT key, value, source FROM config ORDER BY key") : NULL;
    if (json && (!r || sykli_json_parse(&doc, &c->mem, json, strlen(json), &c->fault)))
        code = ask_failed(&a);
    else if (json) {
        sykli_buf items;
        sykli_buf_init(&items, &c->mem, SYKLI_TAG_host);
        sykli_buf_text(&items, "{\"items\":[");
        for (size_t i = 0; i < sykli_result_rows(r); i++) {
            const char *key = ask_cell(c, r, i, "key"), *wanted = sykli_arg_text(&doc, key, NULL);
            const char *value = ask_cell(c, r, i, "value"), *source = ask_cell(c, r, i, "source");
            if (!wanted || !strcmp(wanted, value)) continue;
            if (!c->json)
                cli_say(stdout, "%s: %s in the file, %s in force (%s)\n", key, wanted, value,
                        source);
            sykli_buf_print(&items, "%s%s", differences++ ? "," : "",
                            ask_args(c, "{\"key\":%s,\"file\":%s,\"value\":%s,\"source\":%s}",
                                     key, wanted, value, source));
        }
        sykli_buf_text(&items, "]}");
        if (c->json) cli_envelope(c, true, items.error ? NULL : (const char *)items.data);
        else if (!differences) puts("what the file says is in force");
        sykli_buf_free(&items);
        sykli_json_free(&doc);
    }
    sykli_result_free(r);
    ask_end(&a);
    return code;
}

static const cli_verb verb_get = { "get", "print what is in force and where it comes from",
                                   "[KEY]", "sykli config get cache.max_size", NULL, NULL, get };
static const cli_verb verb_set = { "set", "change a key of this node until it restarts",
                                   "KEY VALUE", "sykli config set kill.grace 10s", NULL, NULL,
                                   set };
static const cli_verb verb_push = { "push", "change keys on every node of the mesh, live",
                                    "[FILE | KEY=VALUE...] [OPTION...]",
                                    "sykli config push cache.max_size=7GB workers=8",
                                    push_options, NULL, push };
static const cli_verb verb_history_of = { "history", "list the versions that were pushed", "",
                                          "sykli config history", NULL, NULL, history };
static const cli_verb verb_rollback = { "rollback", "push a former version again", "VERSION",
                                        "sykli config rollback v11", NULL, NULL, rollback };
static const cli_verb verb_diff = { "diff", "compare sykli.yaml with what is in force", "[FILE]",
                                    "sykli config diff", NULL, NULL, diff };
static const cli_verb *const verbs[] = { &verb_get, &verb_set, &verb_push, &verb_diff,
                                         &verb_history_of, &verb_rollback, NULL };

const cli_verb verb_config = { "config", "look at the configuration, change it live", "VERB",
                               "sykli config push cache.max_size=7GB", NULL, verbs, NULL };
