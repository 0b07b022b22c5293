// Changes the number of workers, of one node or of all, while they work.
#include "look.h"
#include <stdlib.h>
#include <string.h>

enum { WORKERS_MAX = 4096, SETTLE_MS = 200 };

static const cli_option options[] = {
    { "on", 0, "NODE", "the node, or all; default: the one that runs here" },
    { NULL, 0, NULL, NULL }
};

// The tasks of a node that run.
typedef struct tasks {
    const look_task *rows;
    size_t count;
} tasks;

static int read_running(asking *a, const char *node, tasks *out)
{
    size_t count;
    int rc = look_tasks(a, node, false, &out->rows, &count);
    if (rc) return rc;
    for (out->count = 0; out->count < count && out->rows[out->count].running;) out->count++;
    return 0;
}

static bool runs(const tasks *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->rows[i].id, id)) return true;
    return false;
}

// The tasks that waited before and run now: nothing that runs ever moves.
static void print_started(const tasks *before, const tasks *after)
{
    bool titled = false;
    for (size_t i = 0; i < after->count; i++) {
        if (runs(before, after->rows[i].id)) continue;
        if (!titled) puts("\nActive tasks redistributed:");
        titled = true;
        fputs("  - Task:", stdout);
        int used = 9 + cli_put(stdout, after->rows[i].name, 0);
        printf("%*squeue → worker\n", used < 19 ? 20 - used : 2, "");
    }
}

static void print_change(cli *c, uint64_t before, uint64_t after)
{
    const char *good = cli_style_on(c->colour, CLI_GOOD);
    const char *plain = cli_style_on(c->colour, CLI_PLAIN);
    uint64_t more = after > before ? after - before : 0, less = before > after ? before - after : 0;
    printf("Scaling workers: %llu → %llu\n", (unsigned long long)before,
           (unsigned long long)after);
    if (more) printf("  %s✓%s Spawned %llu new worker%s\n", good, plain, (unsigned long long)more,
                     more == 1 ? "" : "s");
    else if (less) printf("  %s✓%s Removed %llu worker%s; what runs on one ends first\n", good,
                          plain, (unsigned long long)less, less == 1 ? "" : "s");
    else printf("  %s✓%s Nothing to change\n", good, plain);
    if (more) printf("  %s✓%s Work redistributed\n", good, plain);
}

// Whether tasks of a node wait for a worker.
static bool somebody_waits(asking *a, const char *node)
{
    sykli_result *r = ask_query(a, node, "SELECT name FROM tasks WHERE status = queued LIMIT 1");
    bool waits = r && sykli_result_rows(r);
    sykli_result_free(r);
    return waits;
}

// Lets waiting tasks take the new workers, to be able to name them.
static void settle(asking *a, const char *node, uint64_t workers, tasks *after)
{
    uint64_t end = sykli_now_ms(a->s) + SETTLE_MS;
    for (bool waits = true; waits && sykli_now_ms(a->s) < end;) {
        waits = somebody_waits(a, node);
        if (read_running(a, node, after) || after->count >= workers) return;
        if (waits) sykli_poll(a->s, 20);
    }
}

static int scale_one(asking *a, const char *on, const char *args)
{
    cli *c = a->c;
    sykli_json_doc answer;
    tasks before = { 0 }, after = { 0 };
    const char *node = ask_whom(a, on);
    if (read_running(a, node, &before) || ask_call(a, node, "workers.scale", args, &answer))
        return ask_failed(a);
    uint64_t was = sykli_arg_u64(&answer, "before", 0), is = sykli_arg_u64(&answer, "after", 0);
    sykli_json_free(&answer);
    if (c->json) {
        cli_envelope(c, true, ask_args(c, "{\"items\":[{\"node\":%s,\"before\":%u,\"after\":%u}]}",
                                       node && strcmp(node, SYKLI_MESH_GATEWAY) ? node : a->node,
                                       was, is));
        return CLI_OK;
    }
    print_change(c, was, is);
    if (is > was) settle(a, node, is, &after);
    print_started(&before, &after);
    puts("\nNo tasks interrupted.");
    return CLI_OK;
}

static void print_one(const cli *c, cli_style style, const char *mark, const char *node,
                      const char *text)
{
    printf("  %s%s%s ", cli_style_on(c->colour, style), mark, cli_style_on(c->colour, CLI_PLAIN));
    cli_say(stdout, "%-22s %s\n", node, text);
}

// One line a node.
static int scale_all(asking *a, const char *args)
{
    cli *c = a->c;
    ask_answer *answers;
    size_t count;
    int code = CLI_OK;
    if (ask_all(a, SYKLI_VERB_call, "workers.scale", args, &answers, &count)) return ask_failed(a);
    sykli_buf items;
    sykli_buf_init(&items, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&items, "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        ask_answer *at = &answers[i];
        sykli_json_doc doc;
        const char *name = at->node->name;
        if (!at->code) {
            at->code = sykli_json_parse(&doc, &c->mem, (const char *)at->body.data, at->body.size,
                                        &c->fault);
            at->message = cli_print(c, "%s", c->fault.text);
        }
        if (at->code) {
            if (!c->json) print_one(c, CLI_BAD, "✗", at->node->shown, at->message);
            sykli_buf_print(&items, "%s%s", i ? "," : "",
                            ask_args(c, "{\"node\":%s,\"error\":%s}", name, at->message));
            if (at->node->alive) code = CLI_FAILED;
            continue;
        }
        uint64_t was = sykli_arg_u64(&doc, "before", 0), is = sykli_arg_u64(&doc, "after", 0);
        sykli_json_free(&doc);
        if (!c->json) print_one(c, CLI_GOOD, "✓", at->node->shown,
                                cli_print(c, "%llu → %llu", (unsigned long long)was,
                                          (unsigned long long)is));
        sykli_buf_print(&items, "%s%s", i ? "," : "",
                        ask_args(c, "{\"node\":%s,\"before\":%u,\"after\":%u}", name, was, is));
    }
    sykli_buf_text(&items, "]}");
    if (c->json) cli_envelope(c, true, items.error ? NULL : (const char *)items.data);
    else puts("\nNo tasks interrupted.");
    sykli_buf_free(&items);
    ask_answers_free(answers, count);
    return code;
}

static int run(cli *c)
{
    asking a;
    char *end = NULL;
    int code = cli_arguments(c, 1, 1);
    if (code) return code;
    unsigned long wanted = strtoul(c->args[0], &end, 10);
    if (*c->args[0] < '0' || *c->args[0] > '9' || *end || wanted < 1 || wanted > WORKERS_MAX)
        return cli_fail(c, CLI_USAGE, "usage", NULL,
                        "scale workers %s: a number from 1 to %d is wanted", c->args[0],
                        WORKERS_MAX);
    code = ask_begin(&a, c);
    if (code) return code;
    const char *on = cli_value(c, "on"), *args = ask_args(c, "{\"count\":%u}", (uint64_t)wanted);
    if (on && !strcmp(on, "all")) {
        if (!c->json) printf("Scaling workers: → %lu\n", wanted);
        code = scale_all(&a, args);
    } else code = scale_one(&a, on, args);
    ask_end(&a);
    return code;
}

static const cli_verb verb_workers = { "workers", "set the number of workers", "N [--on NODE|all]",
                                       "sykli scale workers 10", options, NULL, run };
static const cli_verb *const verbs[] = { &verb_workers, NULL };

const cli_verb verb_scale = { "scale", "change the number of workers while they work",
                              "workers N [--on NODE|all]", "sykli scale workers 10 --on all", NULL,
                              verbs, NULL };
