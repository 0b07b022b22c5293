#define _GNU_SOURCE 1
#include "ci.h"
#include "log.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLD_LINES = 2000, NOTES_MAX = 10, TAIL_LINES = 20, SUMMARY_MAX_BYTES = 512 << 10 };

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && !strcmp(value, "true");
}

// ---- folding ----

// The name of a GitLab section: task names can hold more than is allowed there.
static const char *section(cli *c, const char *name)
{
    char *text = cli_print(c, "sykli_%s", name);
    for (char *p = text; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", *p))
            *p = '_';
    return text;
}

bool ci_folds(void) { return is_set("GITHUB_ACTIONS") || is_set("GITLAB_CI"); }

void ci_fold_log(const run *r, const report_row *w)
{
    bool github = is_set("GITHUB_ACTIONS");
    struct stat st;
    if (!w->info.log_path || stat(w->info.log_path, &st) || !st.st_size) return;
    long long now = r->c->sys.wall_ms(r->c->sys.user) / 1000;
    const char *name = section(r->c, w->task->name);
    if (github) fputs("::group::", stdout);
    else printf("\x1b[0Ksection_start:%lld:%s[collapsed=true]\r\x1b[0K", now, name);
    fputs("output of ", stdout);
    cli_put(stdout, w->task->name, 0);
    putchar('\n');
    log_print(r->c, w->info.log_path, FOLD_LINES, "  │ ");
    if (github) puts("::endgroup::");
    else printf("\x1b[0Ksection_end:%lld:%s\r\x1b[0K\n", now, name);
}

// ---- annotations ----

typedef struct note {
    const char *file, *text;
    unsigned line, column; // column 0: not known
    bool warning;
} note;

// Text of a workflow command; a property ends at a colon or comma, too.
static void put_command_text(const char *text, bool property)
{
    for (; *text; text++)
        if (strchr(property ? "%\r\n:," : "%\r\n", *text))
            printf("%%%02X", (unsigned)(unsigned char)*text);
        else putchar(*text);
}

static unsigned number(const char **at)
{
    char *end;
    errno = 0;
    unsigned long value = **at >= '0' && **at <= '9' ? strtoul(*at, &end, 10) : 0;
    if (!value || errno || value > 9999999) return 0;
    *at = end;
    return (unsigned)value;
}

// A file by its name in the repository, for a job may work in a folder of it; without one, in the
// folder where we are.     returns  NULL: it is somewhere else
static const char *name_in_repository(cli *c, const char *path)
{
    const char *work = getenv("GITHUB_WORKSPACE");
    return cli_name_below(c, work && *work ? work : ".", path);
}

// Only a file of the project is one: a time of day has colons and numbers, too.
static const char *file_of(const run *r, const pipeline_task *t, const char *text, size_t size)
{
    const char *name = cli_copy(r->c, text, size);
    const char *roots[] = { t->workdir ? t->workdir : ".", "." };
    struct stat st;
    if (!strncmp(name, "./", 2)) name += 2;
    for (size_t i = 0; i < 2 && size && size < 1024; i++) {
        const char *path = *name == '/' ? name
            : cli_print(r->c, "%s/%s/%s", r->source->dir, roots[i], name);
        if (!stat(path, &st) && S_ISREG(st.st_mode)) return name_in_repository(r->c, path);
    }
    return NULL;
}

// FILE:LINE[:COLUMN]: text, as compilers print it, FILE(LINE,COLUMN): text, as tsc and msvc do, and
// File "FILE", line LINE of Python.
static bool read_note(const run *r, const pipeline_task *t, char *line, note *out)
{
    const char *at = line + strspn(line, " \t"), *begin = at, *end;
    bool python = !strncmp(at, "File \"", 6);
    if (python) begin = at += 6;
    end = begin + strcspn(begin, python ? "\"" : ":(");
    if (python && strncmp(end, "\", line ", 8)) return false;
    at = end + (python ? 8 : *end != 0);
    *out = (note){ .line = number(&at), .text = line };
    if (!out->line || (*at != ':' && *at != ',' && *at != ')' && !python)) return false;
    if (*at == ':' || *at == ',') at++;
    out->column = python ? 0 : number(&at);
    while (!python && *at && strchr("): ", *at)) at++;
    if (!python && *at) out->text = at;
    out->warning = !strncmp(at, "warning", 7) || !strncmp(at, "note", 4);
    out->file = file_of(r, t, begin, (size_t)(end - begin));
    return out->file != NULL;
}

static void put_note(const char *title, const note *n)
{
    printf("::%s ", n->warning ? "warning" : "error");
    if (n->file) {
        fputs("file=", stdout);
        put_command_text(n->file, true);
        printf(",line=%u", n->line);
        if (n->column) printf(",col=%u", n->column);
        putchar(',');
    }
    fputs("title=", stdout);
    put_command_text(title, true);
    fputs("::", stdout);
    put_command_text(n->text, false);
    putchar('\n');
}

void ci_annotate(const run *r, const report_row *w)
{
    int notes = 0;
    if (!is_set("GITHUB_ACTIONS")) return;
    const char *text = log_tail(r->c, w->info.log_path, FOLD_LINES);
    char *copy = cli_copy(r->c, text, strlen(text)), *rest = copy;
    for (char *line; (line = strsep(&rest, "\n")) && notes < NOTES_MAX;) {
        note n;
        if (!read_note(r, w->task, line, &n)) continue;
        put_note(w->task->name, &n);
        notes++;
    }
    const char *reason = w->info.reason && *w->info.reason ? w->info.reason : "failed";
    if (!notes) put_note(w->task->name, &(note){ .text = reason });
}

static void annotate(cli *c, const pipeline_errors *errors, const char *file, bool warnings)
{
    size_t size = strlen(file);
    bool json = size > 5 && !strcmp(file + size - 5, ".json"); // else lines of what it prints
    for (size_t i = 0; i < errors->count && i < NOTES_MAX; i++) {
        const pipeline_error *e = &errors->items[i];
        put_note(e->type, &(note){ .file = json ? name_in_repository(c, file) : NULL,
                                   .line = e->line, .column = e->column, .text = e->message,
                                   .warning = warnings });
    }
}

void ci_annotate_pipeline(cli *c, const pipeline *p, const char *file)
{
    if (!is_set("GITHUB_ACTIONS") || c->json) return;
    annotate(c, &p->errors, file, false);
    annotate(c, &p->warnings, file, true);
}

// ---- summary ----

// Text in HTML inside of Markdown: neither a tag nor the end of a cell.
static void html(sykli_buf *b, const char *text)
{
    for (; *text; text++)
        if (strchr("&<>|`*_\\[", *text)) sykli_buf_print(b, "&#%d;", *text);
        else sykli_buf_add(b, *text == '\n' ? " " : text, 1);
}

static void put_details(sykli_buf *b, const run *r, const report_row *w)
{
    const char *text = log_tail(r->c, w->info.log_path, TAIL_LINES);
    sykli_buf_text(b, "\n<details><summary><code>");
    html(b, w->task->name);
    sykli_buf_text(b, "</code>: ");
    html(b, w->info.reason && *w->info.reason ? w->info.reason : "failed");
    sykli_buf_text(b, *text ? "</summary><pre>" : "</summary>It has printed nothing.");
    for (const char *at = text; *at; at++) // an empty line would end the block
        if (*at == '\n') sykli_buf_text(b, "&#10;");
        else if (strchr("&<>", *at)) sykli_buf_print(b, "&#%d;", *at);
        else sykli_buf_add(b, at, 1);
    sykli_buf_text(b, *text ? "</pre></details>\n" : "</details>\n");
}

static void put_row(sykli_buf *b, const report_row *w)
{
    const sykli_task_info *info = &w->info;
    char time[32];
    bool hit = info->status == SYKLI_STATUS_cached;
    bool timed = hit ? info->saved_ms > 0 : info->attempt > 0;
    sykli_buf_print(b, "| %s | <code>", report_glyph(info->status));
    html(b, w->task->name);
    sykli_buf_print(b, "</code> | %s", sykli_status_names[info->status]);
    if (hit && info->from && *info->from && strcmp(info->from, "local")) {
        sykli_buf_text(b, " from ");
        html(b, info->from);
    }
    if (info->attempt > 1) sykli_buf_print(b, ", attempt %d", info->attempt);
    sykli_format_duration(time, hit ? info->saved_ms : info->duration_ms);
    sykli_buf_print(b, " | %s%s |\n", hit && timed ? "saved " : "", timed ? time : "");
}

// What went wrong comes first, also where there are more tasks than a summary holds.
static void put_table(sykli_buf *b, const report_row *rows, size_t count)
{
    sykli_buf_text(b, "\n| | task | status | time |\n|-|-|-|-|\n");
    for (int bad = 1; bad >= 0; bad--)
        for (size_t i = 0; i < count && b->size < SUMMARY_MAX_BYTES / 2; i++)
            if (report_is_bad(rows[i].info.status) == bad) put_row(b, &rows[i]);
}

static void put_sum(sykli_buf *b, const run *r)
{
    char time[32];
    const char *between = "\n";
    for (int i = 0; i < SYKLI_ENDINGS; i++) {
        sykli_status status = report_order[i];
        if (!r->counts[status]) continue;
        sykli_buf_print(b, "%s%zu %s", between, r->counts[status], sykli_status_names[status]);
        between = " · ";
    }
    sykli_buf_print(b, "%s%s", *between == '\n' ? "\n" : " in ",
                    sykli_format_duration(time, r->wall_ms));
    if (r->saved_ms)
        sykli_buf_print(b, ", saved %s", sykli_format_duration(time, r->saved_ms));
    sykli_buf_text(b, "\n");
}

void ci_summary(run *r)
{
    size_t count;
    sykli_buf b;
    const char *path = getenv("GITHUB_STEP_SUMMARY");
    if (!is_set("GITHUB_ACTIONS") || !path || !*path) return;
    const report_row *rows = report_rows(r, &count);
    sykli_buf_init(&b, &r->c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "### sykli: ");
    html(&b, r->source->name);
    sykli_buf_text(&b, "\n");
    put_sum(&b, r);
    put_table(&b, rows, count);
    for (size_t i = 0; i < count && b.size < SUMMARY_MAX_BYTES; i++)
        if (report_is_bad(rows[i].info.status)) put_details(&b, r, &rows[i]);
    FILE *file = b.error ? NULL : fopen(path, "ab");
    bool bad = !file || fwrite(b.data, 1, b.size, file) != b.size;
    if ((file && fclose(file)) || bad)
        fprintf(stderr, "sykli: the summary %s was not written: %s\n", path, strerror(errno));
    sykli_buf_free(&b);
}
