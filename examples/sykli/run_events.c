// Events as lines of JSON: --events.
#include "run.h"
#include <string.h>

static void text(sykli_buf *b, const char *name, const char *value)
{
    if (!value || !*value) return;
    sykli_buf_print(b, ",\"%s\":", name);
    sykli_json_quote(b, value, strlen(value));
}

static void number(sykli_buf *b, const char *name, uint64_t value)
{
    sykli_buf_print(b, ",\"%s\":%llu", name, (unsigned long long)value);
}

// The counts of all statuses that a run can end with.
static void counts(sykli_buf *b, const run *r)
{
    uint64_t of[SYKLI_STATUS_COUNT] = { 0 };
    bool good = true;
    for (size_t i = 0; i < r->p->task_count; i++) {
        sykli_task_info info;
        if (!r->p->tasks[i].wanted || sykli_task_get(r->s, r->p->tasks[i].handle, &info)) continue;
        of[info.status]++;
        good = good && (info.status == SYKLI_STATUS_passed || info.status == SYKLI_STATUS_cached
                        || info.status == SYKLI_STATUS_skipped);
    }
    text(b, "status", good ? "passed" : "failed");
    for (int i = SYKLI_STATUS_passed; i <= SYKLI_STATUS_cancelled; i++)
        number(b, sykli_status_names[i], of[i]);
}

static uint64_t wanted(const run *r)
{
    uint64_t count = 0;
    for (size_t i = 0; i < r->p->task_count; i++) count += r->p->tasks[i].wanted;
    return count;
}

static void members(sykli_buf *b, const run *r, const sykli_event *e)
{
    switch (e->kind) {
    case SYKLI_EVENT_run_started:
        number(b, "tasks", wanted(r));
        number(b, "workers", r->workers);
        break;
    case SYKLI_EVENT_task_started:
        number(b, "attempt", (uint64_t)e->attempt);
        text(b, "target", "local");
        text(b, "node", sykli_node_name(r->s));
        number(b, "pid", (uint64_t)e->pid);
        break;
    case SYKLI_EVENT_task_output:
        text(b, "stream", e->stream == 2 ? "stderr" : "stdout");
        sykli_buf_text(b, ",\"text\":");
        sykli_json_quote(b, e->text ? e->text : "", e->text_size);
        break;
    case SYKLI_EVENT_task_retry:
        number(b, "attempt", (uint64_t)e->attempt);
        number(b, "in_ms", e->in_ms);
        break;
    case SYKLI_EVENT_task_finished:
        text(b, "status", sykli_status_names[e->status]);
        sykli_buf_print(b, ",\"exit_code\":%d,\"signal\":%d", e->exit_code, e->signal);
        text(b, "from", e->from);
        text(b, "key", e->key);
        number(b, "duration_ms", e->duration_ms);
        number(b, "cpu_ms", e->cpu_ms);
        number(b, "rss_max_bytes", e->rss_max_bytes);
        text(b, "why", e->text);
        break;
    case SYKLI_EVENT_run_finished:
        counts(b, r);
        number(b, "wall_ms", e->duration_ms);
        number(b, "saved_ms", e->saved_ms);
        break;
    default: text(b, "text", e->text);
    }
}

void run_print_event(run *r, const sykli_event *e)
{
    char at[64];
    sykli_buf b;
    if (e->kind == SYKLI_EVENT_task_output && r->output == OUTPUT_NONE) return;
    sykli_buf_init(&b, &r->c->mem, SYKLI_TAG_host);
    sykli_buf_print(&b, "{\"event\":\"%s\",\"at\":\"%s\",\"run\":\"%016llx\"",
                    sykli_event_names[e->kind], sykli_format_time(at, e->at_ms),
                    (unsigned long long)e->run);
    if (e->kind > SYKLI_EVENT_run_started && e->kind < SYKLI_EVENT_run_finished)
        text(&b, "task", e->name);
    members(&b, r, e);
    sykli_buf_text(&b, "}\n");
    if (!b.error) fwrite(b.data, 1, b.size, stdout);
    fflush(stdout);
    sykli_buf_free(&b);
}
