#include "dry.h"
#include "secret.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// UNKNOWN: the key covers what a task before it makes, and that is not there yet.
typedef enum verdict { UNDECIDED, RUN, HIT, SKIP, UNKNOWN, ERROR, VERDICTS } verdict;
static const char *const names[VERDICTS] = { "", "run", "hit", "skip", "unknown", "error" };
static const char *const glyphs[VERDICTS] = { "", "▸", "○", "─", "?", "✕" };
static const cli_style styles[VERDICTS] = { CLI_PLAIN, CLI_WARN, CLI_GOOD, CLI_FAINT, CLI_FAINT,
                                            CLI_BAD };

typedef struct plan {
    verdict verdict;
    const char *why, *key;
} plan;

// Whether a hit has its outputs in place already, as far as their names say.
static bool is_in_place(cli *c, const run *r, const pipeline_task *t)
{
    struct stat st;
    for (size_t i = 0; i < t->output_count; i++)
        if (!strpbrk(t->outputs[i].value, "*?[{")
            && stat(cli_print(c, "%s/%s", r->source->dir, t->outputs[i].value), &st) != 0)
            return false;
    return true;
}

// What stands before a task: the name of one whose outcome its key waits for, NULL: none.
static const char *waits_for(const run *r, const plan *plans, const pipeline_task *t)
{
    for (size_t k = 0; k < t->after_count; k++) {
        const pipeline_task *before = &r->p->tasks[t->after[k]];
        verdict is = plans[t->after[k]].verdict;
        bool there = is == HIT && is_in_place(r->c, r, before);
        if (before->output_count && is != SKIP && !there) return before->name;
        if (is == UNKNOWN) return before->name;
    }
    return NULL;
}

// What vault has only a run asks.     returns  NULL: nothing is missing
static const char *missing_secret(const run *r, const pipeline_task *t)
{
    for (size_t i = 0; i < t->secret_count; i++) {
        const char *value = getenv(t->secrets[i]);
        if (!value || !*value) return cli_print(r->c, "%s is not set", t->secrets[i]);
    }
    for (size_t i = 0; i < t->ref_count; i++) {
        const pipeline_secret *ref = &t->refs[i];
        if (strcmp(ref->source, "vault") && !secret_is_there(r->c, ref, r->source->dir))
            return cli_print(r->c, "no %s from %s %s", ref->name, ref->source, ref->key);
    }
    return NULL;
}

// Reads the answer of sykli_explain.
static plan judge(cli *c, const char *text, size_t size, const char *waits)
{
    sykli_json_doc doc;
    plan out = { RUN, "its result is not in the cache", "" };
    if (sykli_json_parse(&doc, &c->mem, text, size, &c->fault) < 0) return out;
    const char *changed = sykli_arg_text(&doc, "changed", NULL);
    out.key = cli_print(c, "%s", sykli_arg_text(&doc, "key", ""));
    if (changed) out.why = cli_print(c, "%s", changed);
    if (!sykli_json_bool(&doc, sykli_json_get(&doc, 0, "cacheable"), false)) {
        out.why = "it declares no inputs, so it always runs";
    } else if (sykli_json_bool(&doc, sykli_json_get(&doc, 0, "hit"), false)) {
        out.verdict = HIT;
        out.why = "";
    } else if (waits) {
        out = (plan){ UNKNOWN, cli_print(c, "known when %s has made its outputs", waits), "" };
    }
    sykli_json_free(&doc);
    return out;
}

// What its key says of a task.     returns  0 or the exit code
static int explain(run *r, const plan *plans, const pipeline_task *t, plan *out)
{
    sykli_buf text;
    sykli_buf_init(&text, &r->c->mem, SYKLI_TAG_host);
    int rc = sykli_explain(r->s, t->handle, &text);
    if (!rc) *out = judge(r->c, (const char *)text.data, text.size, waits_for(r, plans, t));
    sykli_buf_free(&text);
    return rc ? cli_fail_sykli(r->c, rc, sykli_errmsg(r->s)) : 0;
}

static int decide(run *r, const plan *plans, const pipeline_task *t, plan *out)
{
    cli *c = r->c;
    const char *option = cli_has(c, "no-cache") ? "--no-cache" : cli_has(c, "refresh") ? "--refresh"
                                                                                      : NULL;
    const char *missing = t->skip_reason ? NULL : missing_secret(r, t);
    bool nobody = t->review && !t->review->told;
    int code = 0;
    *out = (plan){ t->skip_reason ? SKIP : nobody ? ERROR : RUN, "", "" };
    if (t->skip_reason) out->why = t->skip_reason;
    else if (nobody) out->why = "no command does reviews of its primitive";
    else if (t->gate) out->why = cli_print(c, "once its gate (%s) is approved", t->gate->strategy);
    else if (option) out->why = option;
    else code = explain(r, plans, t, out);
    if (missing && out->verdict != HIT) // a hit needs none
        *out = (plan){ ERROR, cli_print(c, "requires secrets: %s", missing), "" };
    return code;
}

// Decides all, each after what stands before it.
static int decide_all(run *r, plan *plans)
{
    const pipeline *p = r->p;
    int code = 0;
    for (size_t i = 0; i < p->task_count && !code; i++) {
        uint32_t at = p->order[i];
        if (p->tasks[at].wanted) code = decide(r, plans, &p->tasks[at], &plans[at]);
    }
    return code;
}

static void put_json(sykli_buf *b, const pipeline_task *t, const plan *w)
{
    sykli_buf_text(b, "\"task\":");
    sykli_json_quote(b, t->name, strlen(t->name));
    sykli_buf_print(b, ",\"verdict\":\"%s\",\"key\":", names[w->verdict]);
    if (*w->key) sykli_json_quote(b, w->key, strlen(w->key));
    else sykli_buf_text(b, "null");
    sykli_buf_text(b, ",\"why\":");
    if (*w->why) sykli_json_quote(b, w->why, strlen(w->why));
    else sykli_buf_text(b, "null");
    sykli_buf_text(b, "}");
}

static void print_json(const run *r, const plan *plans, const size_t *counts)
{
    sykli_buf b;
    char at[64];
    bool first = true;
    sykli_buf_init(&b, &r->c->mem, SYKLI_TAG_host);
    if (!r->events) sykli_buf_text(&b, "{\"tasks\":[");
    for (size_t i = 0; i < r->p->task_count; i++) {
        if (!plans[i].verdict) continue;
        if (r->events)
            sykli_buf_print(&b, "{\"event\":\"task_planned\",\"at\":\"%s\",\"run\":null,",
                            sykli_format_time(at, r->c->sys.wall_ms(r->c->sys.user)));
        else sykli_buf_text(&b, first ? "{" : ",{");
        put_json(&b, &r->p->tasks[i], &plans[i]);
        if (r->events) sykli_buf_text(&b, "\n");
        first = false;
    }
    if (!r->events) sykli_buf_text(&b, "]");
    for (int v = RUN; v < VERDICTS && !r->events; v++)
        sykli_buf_print(&b, ",\"%s\":%zu", names[v], counts[v]);
    if (!r->events) sykli_buf_text(&b, "}");
    if (!r->events) cli_envelope(r->c, true, b.error ? NULL : (const char *)b.data);
    else if (!b.error) fwrite(b.data, 1, b.size, stdout);
    sykli_buf_free(&b);
}

static void print_text(const run *r, const plan *plans, const size_t *counts)
{
    static const char *const sums[VERDICTS] = { "", "would run", "cached", "skipped",
                                                "not known yet", "would fail" };
    bool colour = r->c->colour;
    const char *between = "  ─  ";
    for (size_t i = 0; i < r->p->task_count; i++) {
        const plan *w = &plans[i];
        if (!w->verdict) continue;
        printf("  %s%s%s  ", cli_style_on(colour, styles[w->verdict]), glyphs[w->verdict],
               cli_style_on(colour, CLI_PLAIN));
        int used = cli_put(stdout, r->p->tasks[i].name, 0);
        printf("%*s  %s", used < 20 ? 20 - used : 0, "", names[w->verdict]);
        if (*w->why) printf(": ");
        cli_put(stdout, w->why, 0);
        putchar('\n');
    }
    putchar('\n');
    for (int v = RUN; v < VERDICTS; v++) {
        if (!counts[v]) continue;
        printf("%s%zu %s", between, counts[v], sums[v]);
        between = " · ";
    }
    puts(*between == ' ' && between[1] == ' ' ? "  ─  no tasks" : "");
}

int dry_run(run *r)
{
    size_t counts[VERDICTS] = { 0 };
    plan *plans = cli_alloc(r->c, (r->p->task_count + 1) * sizeof *plans);
    int code = decide_all(r, plans);
    if (code) return code;
    for (size_t i = 0; i < r->p->task_count; i++) counts[plans[i].verdict]++;
    if (r->c->json || r->events) print_json(r, plans, counts);
    else print_text(r, plans, counts);
    return CLI_OK;
}
