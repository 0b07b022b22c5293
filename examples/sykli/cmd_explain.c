// Says why a task would run or be a hit: what changed since the last time, and all its key covers.
#include "config_file.h"
#include "look.h"
#include "pipeline.h"
#include <string.h>

enum { EXPLAINED = -1 }; // the envelope is out already

static const cli_option options[] = {
    { "file", 'f', "FILE", "the pipeline: JSON, a program, or - for stdin" },
    { "pipeline", 0, NULL, "all tasks, a line each, instead of one with its parts" },
    { "against", 0, "RUN|NODE", "what is different from that run, or has that node the result" },
    { NULL, 0, NULL, NULL }
};

static void print_difference(const char *run, const char *changed)
{
    fputs("  against run ", stdout);
    cli_put(stdout, run, 0);
    fputs(": ", stdout);
    cli_put(stdout, changed ? changed : "nothing is different", 0);
    putchar('\n');
}

static void print_verdict(const sykli_json_doc *doc, bool why)
{
    bool hit = sykli_json_bool(doc, sykli_json_get(doc, 0, "hit"), false);
    bool cacheable = sykli_json_bool(doc, sykli_json_get(doc, 0, "cacheable"), false);
    const char *changed = sykli_arg_text(doc, "changed", NULL);
    cli_put(stdout, sykli_arg_text(doc, "task", ""), 0);
    if (!cacheable) puts(": runs every time, it declares no inputs");
    else if (hit) puts(": a hit");
    else {
        fputs(": would run: ", stdout);
        cli_put(stdout, changed && why ? changed : "its result is not in the cache", 0);
        putchar('\n');
    }
}

static void print_parts(const sykli_json_doc *doc)
{
    uint32_t parts = sykli_json_get(doc, 0, "parts");
    printf("  key %s\n", sykli_arg_text(doc, "key", ""));
    for (uint32_t at = parts ? sykli_json_first(doc, parts) : 0; at;
         at = sykli_json_next(doc, parts, at)) {
        printf("  %-10s", sykli_json_text(doc, sykli_json_get(doc, at, "part")));
        const char *name = sykli_json_text(doc, sykli_json_get(doc, at, "name"));
        cli_put(stdout, name, 0);
        if (*name) fputs(" = ", stdout);
        cli_put(stdout, sykli_json_text(doc, sykli_json_get(doc, at, "value")), 0);
        putchar('\n');
    }
}

// What a node has of this task. It keeps keys, not what they were made of: only the machine that
// ran a task can say what is different.
static int tell_node(asking *a, const char *node, const char *task, const char *key)
{
    cli *c = a->c;
    sykli_result *r = ask_query(a, ask_whom(a, node), cli_print(c,
        "SELECT key, created_at, writer FROM actions WHERE key = '%s' OR task = '%s' "
        "ORDER BY created_at DESC", key, task));
    if (!r) return ask_failed(a);
    size_t rows = sykli_result_rows(r), same = 0;
    while (same < rows && strcmp(ask_cell(c, r, same, "key"), key)) same++;
    const char *age = "";
    size_t row = same < rows ? same : 0;
    if (rows)
        age = look_duration(c, (uint64_t)look_wall_ms(c) - ask_number(r, row, "created_at", 0));
    if (c->json)
        cli_envelope(c, true, ask_args(c, "{\"task\":%s,\"key\":%s,\"node\":%s,\"same\":%b,"
                                          "\"node_key\":%s}", task, key, node, same < rows,
                                       rows ? ask_cell(c, r, row, "key") : NULL));
    else if (same < rows) printf("%s has the result of this key, made %s ago\n", node, age);
    else if (rows)
        cli_say(stdout, "%s has another key, %s, made %s ago. What it was made of only the machine "
                        "that made it can say: run `sykli explain` there\n", node,
                cli_print(c, "%.12s", ask_cell(c, r, 0, "key")), age);
    else printf("%s has no result of this task\n", node);
    sykli_result_free(r);
    return 0;
}

// --against NODE.
static int explain_node(cli *c, sykli *s, sykli_task task, const char *node)
{
    asking a;
    sykli_buf text;
    sykli_json_doc doc;
    int code = ask_begin_anyhow(&a, c);
    if (code) return code;
    sykli_buf_init(&text, &c->mem, SYKLI_TAG_host);
    int rc = a.mesh ? sykli_explain(s, task, &text) : 0;
    if (!a.mesh)
        code = cli_fail(c, CLI_FAILED, "not_found", "`sykli history` lists the runs",
                        "no run %s is recorded here, and no node runs here to ask one of that name",
                        node);
    else if (rc || (rc = sykli_json_parse(&doc, &c->mem, (const char *)text.data, text.size,
                                          &c->fault)))
        code = cli_fail_sykli(c, rc, sykli_errmsg(s));
    else {
        const char *name = sykli_arg_text(&doc, "task", "");
        if (strchr(name, '\''))
            code = cli_fail(c, CLI_FAILED, "not_found", NULL, "no node can be asked for %s", name);
        else code = tell_node(&a, node, name, sykli_arg_text(&doc, "key", ""));
        sykli_json_free(&doc);
    }
    sykli_buf_free(&text);
    ask_end(&a);
    return code ? code : c->json ? EXPLAINED : 0;
}

// Explains one task; what is told goes to stdout or, for --json, into `all`.
static int explain(cli *c, sykli *s, sykli_task task, bool parts, sykli_buf *all)
{
    sykli_buf text;
    sykli_json_doc doc;
    sykli_buf_init(&text, &c->mem, SYKLI_TAG_host);
    const char *run = cli_value(c, "against");
    int rc = sykli_explain_against(s, task, run, &text);
    if (rc == SYKLI_ENOENT && run && strstr(sykli_errmsg(s), "no run")) {
        sykli_buf_free(&text);
        return explain_node(c, s, task, run);
    }
    if (!rc && c->json) {
        if (all->size) sykli_buf_text(all, ",");
        sykli_buf_add(all, text.data, text.size);
    } else if (!rc && !sykli_json_parse(&doc, &c->mem, (const char *)text.data, text.size,
                                        &c->fault)) {
        print_verdict(&doc, run == NULL);
        if (run) print_difference(run, sykli_arg_text(&doc, "changed", NULL));
        if (parts) print_parts(&doc);
        sykli_json_free(&doc);
    }
    sykli_buf_free(&text);
    return rc ? cli_fail_sykli(c, rc, sykli_errmsg(s)) : 0;
}

static int explain_wanted(cli *c, const pipeline *p, sykli *s, sykli_buf *all)
{
    bool parts = !cli_has(c, "pipeline");
    int code = 0;
    for (size_t i = 0; !code && i < p->task_count; i++) {
        bool named = parts && !strcmp(p->tasks[i].name, c->args[0]);
        if (named || !parts) code = explain(c, s, p->tasks[i].handle, parts, all);
    }
    return code;
}

static int with_source(cli *c, pipeline *p, const pipeline_source *source)
{
    sykli_buf all;
    int code = pipeline_select(c, p, NULL, 0, NULL);
    if (code) return code;
    if (!cli_has(c, "pipeline") && !pipeline_find(p, c->args[0]))
        return cli_fail(c, CLI_USAGE, "usage", "sykli graph --format text lists them",
                        "no task '%s' in %s", c->args[0], source->path);
    sykli *s = sykli_open(&(sykli_desc){ .project_dir = source->dir, .cache_dir = c->cache_dir });
    if (!s) return cli_fail_sykli(c, SYKLI_ENOMEM, NULL);
    sykli_buf_init(&all, &c->mem, SYKLI_TAG_host);
    config_file file;
    code = config_file_read(c, NULL, &file);
    if (!code) pipeline_set_reviews(c, p, &file);
    if (code) {
        sykli_close(s);
        return code;
    }
    if (sykli_error(s) || pipeline_add(c, p, s, source->dir, 0) < 0)
        code = cli_fail_sykli(c, sykli_error(s), sykli_errmsg(s));
    else code = explain_wanted(c, p, s, &all);
    if (code == EXPLAINED) code = 0;
    else if (!code && c->json)
        cli_envelope(c, true, cli_print(c, "{\"items\":[%s]}", all.size ? (char *)all.data : ""));
    sykli_buf_free(&all);
    sykli_close(s);
    return code;
}

static int run(cli *c)
{
    pipeline_source source;
    pipeline p;
    bool whole = cli_has(c, "pipeline");
    int code = cli_arguments(c, whole ? 0 : 1, whole ? 0 : 1);
    if (!code) code = pipeline_find_source(c, cli_value(c, "file"), &source);
    if (code) return code;
    pipeline_read(c, &p, source.text, source.size, false);
    code = p.errors.count ? pipeline_refuse(c, &p, source.path) : with_source(c, &p, &source);
    pipeline_free(&p);
    return code;
}

const cli_verb verb_explain = { "explain", "say why a task would run or be a hit",
                                "TASK | --pipeline [--against RUN|NODE]", "sykli explain build",
                                options, NULL, run };
