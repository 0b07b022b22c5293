#define _GNU_SOURCE 1
#include "record.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

// The name of a run's record, TIME-NUMBER.jsonl, without its ending.     returns  NULL: it is none
static const char *stem_of(cli *c, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    const char *dot = strstr(name, ".jsonl"), *dash = strchr(name, '-');
    return dot && !dot[6] && dash && dot - dash == 17 ? cli_copy(c, name, (size_t)(dot - name))
                                                      : NULL;
}

static uint64_t number(const sykli_json_doc *doc, const char *name)
{
    uint64_t value = 0;
    return sykli_json_u64(doc, sykli_json_get(doc, 0, name), &value) ? value : 0;
}

static const char *text(cli *c, const sykli_json_doc *doc, const char *name)
{
    const char *value = sykli_arg_text(doc, name, NULL);
    return value ? cli_copy(c, value, strlen(value)) : NULL;
}

static void add_task(cli *c, record *r, const sykli_json_doc *doc)
{
    const char *status = sykli_arg_text(doc, "status", "");
    record_task *fresh = &r->tasks[r->count];
    *fresh = (record_task){ text(c, doc, "name"), text(c, doc, "log"), text(c, doc, "log_id"),
                            text(c, doc, "reason"), SYKLI_STATUS_errored,
                            number(doc, "duration_ms") };
    for (int i = 0; i <= SYKLI_STATUS_cancelled; i++)
        if (!strcmp(status, sykli_status_names[i])) fresh->status = (sykli_status)i;
    if (!fresh->name) return;
    r->of[fresh->status]++;
    r->count++;
}

static void read_line(cli *c, record *r, const char *line, size_t size)
{
    sykli_json_doc doc;
    if (sykli_json_parse(&doc, &c->mem, line, size, NULL) < 0) return; // the last, torn by a kill
    if (sykli_json_get(&doc, 0, "started_ms")) {
        r->started_ms = number(&doc, "started_ms");
        r->planned = (size_t)number(&doc, "tasks");
        r->pid = (int)number(&doc, "pid");
        r->logs = text(c, &doc, "logs");
    } else if (sykli_json_get(&doc, 0, "ended_ms")) {
        r->ended_ms = number(&doc, "ended_ms");
    } else {
        add_task(c, r, &doc);
    }
    sykli_json_free(&doc);
}

static void read_record(cli *c, const char *project, const char *stem, record *r)
{
    size_t size, lines = 1;
    char *all = cli_read(c, cli_print(c, "%s/.sykli/runs/%s.jsonl", project, stem), &size);
    *r = (record){ .id = cli_copy(c, strchr(stem, '-') + 1, 16), .stem = stem,
                    .project = project };
    if (!all) return;
    for (size_t i = 0; i < size; i++) lines += all[i] == '\n';
    r->tasks = cli_alloc(c, lines * sizeof *r->tasks);
    for (char *at = all, *end = all + size; at < end;) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        read_line(c, r, at, (size_t)(stop - at));
        at = stop + 1;
    }
}

record *record_list(cli *c, const char *project, size_t max, size_t *count)
{
    size_t left;
    const char **names = cli_names(c, cli_print(c, "%s/.sykli/runs", project), &left);
    record *records = cli_alloc(c, ((left < max ? left : max) + 1) * sizeof *records);
    for (*count = 0; left-- && *count < max;) {
        const char *stem = stem_of(c, names[left]);
        if (stem) read_record(c, project, stem, &records[(*count)++]);
    }
    return records;
}

void record_again(cli *c, record *r) { read_record(c, r->project, r->stem, r); }

bool record_runs(const record *r)
{
    return !r->ended_ms && r->pid > 0 && (kill(r->pid, 0) == 0 || errno == EPERM);
}

bool record_answers_to(const record *r, const char *word)
{
    size_t size = strlen(word), whole = strlen(r->id);
    char number[24];
    snprintf(number, sizeof number, "%llu", strtoull(r->id, NULL, 16));
    return !strcmp(word, number)
        || (size <= whole && (!strncmp(r->id, word, size) || !strcmp(r->id + whole - size, word)));
}

// A log is named as the library names it: plain characters, and a hash that tells it from others.
const char *record_log_path(cli *c, const record *r, const char *task)
{
    enum { PLAIN_MAX = 40 };
    uint8_t sum[32];
    char hash[17], plain[PLAIN_MAX + 1];
    size_t used = 0;
    sykli_sha256_of(task, strlen(task), sum);
    sykli_hex(hash, sum, 8);
    for (const char *at = task; *at && used < PLAIN_MAX; at++) {
        bool kept = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')
                 || (*at >= '0' && *at <= '9') || *at == '-' || (*at == '.' && used);
        plain[used++] = kept ? *at : '_';
    }
    return cli_print(c, "%s/%s/%.*s-%s.log", r->logs ? r->logs : ".sykli/logs", r->stem, (int)used,
                     plain, hash);
}

const char *record_status(const record *r)
{
    if (!r->ended_ms) return record_runs(r) ? "running" : "interrupted";
    return r->of[SYKLI_STATUS_failed] + r->of[SYKLI_STATUS_errored] + r->of[SYKLI_STATUS_blocked]
               + r->of[SYKLI_STATUS_cancelled] ? "failed" : "passed";
}

const record_task *record_find(const record *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->tasks[i].name, name)) return &r->tasks[i];
    return NULL;
}
