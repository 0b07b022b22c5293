// What a run did, as Chrome trace events: a lane a worker, a span a task. Perfetto and
// chrome://tracing open it. Lines are written as things happen, so a run of any size costs no
// memory; the file takes its name when the run has ended.
#define _GNU_SOURCE 1
#include "profile.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef struct lane {
    sykli_task task; // id 0: nothing runs here
    uint64_t since_us;
    int attempt;
} lane;

struct profile {
    cli *c;
    sykli *s;
    const char *path, *part; // the part is what is written to
    FILE *file;
    lane *lanes;
    size_t lane_count, lane_max;
    lane *waiting; // started before the end of the one on their lane was told
    size_t waiting_count;
    size_t running, done, cached;
    uint64_t begun_us;
    bool failed;
};

static uint64_t now_us(const profile *p) { return p->c->sys.now_ns(p->c->sys.user) / 1000; }

static void name_it(profile *p, size_t tid, const char *what, const char *name)
{
    fprintf(p->file, "{\"ph\":\"M\",\"pid\":1,\"tid\":%zu,\"name\":\"%s\","
                     "\"args\":{\"name\":\"%s\"}}", tid, what, name);
}

int profile_begin(cli *c, sykli *s, const char *path, size_t tasks, profile **out)
{
    profile *p = cli_alloc(c, sizeof *p);
    *p = (profile){ .c = c, .s = s, .path = path,
                    .part = cli_print(c, "%s.%ld.tmp", path, (long)getpid()) };
    p->lanes = cli_alloc(c, (tasks + 1) * sizeof *p->lanes);
    p->waiting = cli_alloc(c, (tasks + 1) * sizeof *p->waiting);
    p->file = fopen(p->part, "wbx");
    if (!p->file)
        return cli_fail_sykli(c, sykli_fail_sys(&c->fault, -errno, "%s", path), c->fault.text);
    p->begun_us = now_us(p);
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n", p->file);
    name_it(p, 0, "process_name", "sykli");
    fputs(",\n", p->file);
    name_it(p, 0, "thread_name", "cache");
    *out = p;
    return 0;
}

// The place of a task on the lanes; lane_count: it has none.
static size_t find(const profile *p, sykli_task task)
{
    size_t at = 0;
    while (at < p->lane_count && p->lanes[at].task.id != task.id) at++;
    return at;
}

static void counters(profile *p)
{
    fprintf(p->file, ",\n{\"ph\":\"C\",\"pid\":1,\"tid\":0,\"name\":\"tasks\",\"ts\":%llu,"
                     "\"args\":{\"running\":%zu,\"done\":%zu,\"cached\":%zu}}",
            (unsigned long long)(now_us(p) - p->begun_us), p->running, p->done, p->cached);
}

// Puts a task on a lane.      returns  false: all workers have one
static bool take(profile *p, lane taken)
{
    uint32_t busy, workers;
    size_t at = find(p, (sykli_task){ 0 });
    sykli_workers(p->s, &busy, &workers);
    if (at == p->lane_count && at >= workers) return false;
    if (at == p->lane_count) {
        p->lane_count++;
        fputs(",\n", p->file);
        name_it(p, at + 1, "thread_name", cli_print(p->c, "worker %zu", at + 1));
    }
    p->lanes[at] = taken;
    p->running++;
    counters(p);
    return true;
}

static void start(profile *p, const sykli_event *e)
{
    lane taken = { e->task, now_us(p) - p->begun_us, e->attempt };
    if (!take(p, taken)) p->waiting[p->waiting_count++] = taken;
}

static void text(sykli_buf *b, const char *name, const char *value)
{
    if (!value || !*value) return;
    sykli_buf_print(b, ",\"%s\":", name);
    sykli_json_quote(b, value, strlen(value));
}

// One span, or a mark on the lane of the cache for what never had a worker.
static void span(profile *p, const sykli_event *e, const lane *l, size_t tid, const char *status)
{
    uint64_t now = now_us(p) - p->begun_us;
    sykli_buf b;
    sykli_buf_init(&b, &p->c->mem, SYKLI_TAG_host);
    sykli_buf_print(&b, ",\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%zu,\"ts\":%llu", l ? "X" : "i", tid,
                    (unsigned long long)(l ? l->since_us : now));
    if (l) sykli_buf_print(&b, ",\"dur\":%llu", (unsigned long long)(now - l->since_us));
    else sykli_buf_text(&b, ",\"s\":\"t\"");
    text(&b, "name", e->name);
    text(&b, "cat", status);
    sykli_buf_print(&b, ",\"args\":{\"attempt\":%d", l ? l->attempt : 0);
    text(&b, "status", status);
    text(&b, "key", e->key);
    text(&b, "from", e->from);
    text(&b, "why", e->text_size ? e->text : NULL);
    sykli_buf_print(&b, ",\"cpu_ms\":%llu,\"rss_max_bytes\":%llu,\"saved_ms\":%llu}}",
                    (unsigned long long)e->cpu_ms, (unsigned long long)e->rss_max_bytes,
                    (unsigned long long)e->saved_ms);
    if (b.error) p->failed = true;
    else fwrite(b.data, 1, b.size, p->file);
    sykli_buf_free(&b);
}

static void leave(profile *p, const sykli_event *e, const char *status)
{
    size_t at = find(p, e->task);
    bool ran = at < p->lane_count;
    span(p, e, ran ? &p->lanes[at] : NULL, ran ? at + 1 : 0, status);
    if (!ran) return;
    p->lanes[at].task.id = 0;
    p->running--;
    if (!p->waiting_count) return;
    p->waiting[0].since_us = now_us(p) - p->begun_us;
    take(p, p->waiting[0]);
    memmove(p->waiting, p->waiting + 1, --p->waiting_count * sizeof *p->waiting);
}

void profile_event(profile *p, const sykli_event *e)
{
    if (e->kind == SYKLI_EVENT_task_started) start(p, e);
    if (e->kind == SYKLI_EVENT_task_retry) leave(p, e, "failed");
    if (e->kind != SYKLI_EVENT_task_finished) return;
    leave(p, e, sykli_status_names[e->status]);
    p->done++;
    p->cached += e->status == SYKLI_STATUS_cached;
    counters(p);
}

int profile_end(profile *p)
{
    fputs("\n]}\n", p->file);
    errno = p->failed ? ENOMEM : 0;
    bool bad = p->failed || ferror(p->file);
    bad = fclose(p->file) || bad || rename(p->part, p->path);
    if (!bad) return 0;
    int rc = sykli_fail_sys(&p->c->fault, errno ? -errno : -EIO, "%s", p->path);
    unlink(p->part);
    return cli_fail_sykli(p->c, rc, p->c->fault.text);
}

void profile_drop(profile *p)
{
    fclose(p->file);
    unlink(p->part);
}
