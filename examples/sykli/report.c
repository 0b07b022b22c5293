// The report at the end of a run.
#include "report.h"
#include "ci.h"
#include "log.h"
#include "proof.h"
#include <string.h>

enum { NAME_MIN = 12, NAME_MAX_COLUMNS = 32, TAIL_LINES = 10 };
enum { WIDTH_LOG = 64, WIDTH_MIN = 40, WIDTH_MAX = 100 }; // columns

const sykli_status report_order[SYKLI_ENDINGS] = {
    SYKLI_STATUS_failed, SYKLI_STATUS_errored, SYKLI_STATUS_cancelled, SYKLI_STATUS_passed,
    SYKLI_STATUS_cached, SYKLI_STATUS_blocked, SYKLI_STATUS_skipped };

// ---- rows ----

bool report_is_bad(sykli_status status)
{
    return status == SYKLI_STATUS_failed || status == SYKLI_STATUS_errored
        || status == SYKLI_STATUS_cancelled;
}

const char *report_glyph(sykli_status status)
{
    return status == SYKLI_STATUS_passed ? "●" : status == SYKLI_STATUS_cached ? "○"
         : report_is_bad(status) ? "✕" : "─";
}

static cli_style style(sykli_status status)
{
    return status == SYKLI_STATUS_passed ? CLI_GOOD : report_is_bad(status) ? CLI_BAD : CLI_FAINT;
}

// What stands at the right end of a row.
static void right_side(const sykli_task_info *info, char *out, size_t size)
{
    char time[32];
    sykli_format_duration(time, info->saved_ms);
    bool far = info->from && *info->from && strcmp(info->from, "local");
    if (info->status == SYKLI_STATUS_cached && far)
        snprintf(out, size, "(cache hit from %s%s%s)", info->from,
                 info->saved_ms ? ", saved " : "", info->saved_ms ? time : "");
    else if (info->status == SYKLI_STATUS_cached)
        snprintf(out, size, "(cache%s%s)", info->saved_ms ? ", saved " : "",
                 info->saved_ms ? time : "");
    else if (info->status == SYKLI_STATUS_blocked) snprintf(out, size, "skipped (blocked)");
    else if (info->status == SYKLI_STATUS_skipped) snprintf(out, size, "skipped");
    else {
        sykli_format_duration(time, info->duration_ms);
        bool again = info->status == SYKLI_STATUS_passed && info->attempt > 1;
        if (again) snprintf(out, size, "(attempt %d)  %s", info->attempt, time);
        else snprintf(out, size, "%s", time);
    }
}

static void print_row(const run *r, const report_row *w, int name_width, int width)
{
    char right[160];
    bool colour = r->c->colour;
    right_side(&w->info, right, sizeof right);
    printf("  %s%s%s  ", cli_style_on(colour, style(w->info.status)), report_glyph(w->info.status),
           cli_style_on(colour, CLI_PLAIN));
    int side = cli_columns(right, 0), most = width - side - 7;
    int used = 5 + cli_put(stdout, w->task->name, most > NAME_MIN ? most : NAME_MIN);
    used += printf("%*s", used < 5 + name_width ? 5 + name_width - used : 0, "");
    int room = width - used - side - 4;
    fputs(cli_style_on(colour, CLI_FAINT), stdout);
    if (room >= 8 && w->task->command) {
        used += 2;
        fputs("  ", stdout);
        used += cli_put(stdout, w->task->command, room);
    }
    int gap = width - used - side;
    printf("%*s", gap > 2 ? gap : 2, "");
    cli_put(stdout, right, 0);
    puts(cli_style_on(colour, CLI_PLAIN));
}

// Why a task did not pass, its last lines, and where the rest is.
static void print_failure(const run *r, const report_row *w)
{
    const sykli_task_info *info = &w->info;
    fputs("     ", stdout);
    if (info->reason && *info->reason) cli_put(stdout, info->reason, 0);
    else fputs(sykli_status_names[info->status], stdout);
    if (info->attempt > 1) printf(" (attempt %d)", info->attempt);
    putchar('\n');
    bool shown = r->output == OUTPUT_FAILED || r->output == OUTPUT_ALL;
    int lines = r->output == OUTPUT_ALL && !ci_folds() ? 0 : TAIL_LINES;
    bool rest = shown && !log_print(r->c, info->log_path, lines, "     │ ");
    if (info->log_path && *info->log_path) {
        fputs("     log: ", stdout);
        cli_put(stdout, info->log_path + (strncmp(info->log_path, "./", 2) ? 0 : 2), 0);
        putchar('\n');
    }
    if (rest && ci_folds()) ci_fold_log(r, w);
    ci_annotate(r, w);
}

static void print_header(const run *r, int width)
{
    int left = printf("sykli · ") - 1;
    left += cli_put(stdout, r->source->name, 0);
    const char *right = "local · " SYKLI_VERSION;
    int gap = width - left - (int)strlen(right) + 1;
    printf("%*s%s%s%s\n\n", gap > 2 ? gap : 2, "", cli_style_on(r->c->colour, CLI_FAINT), right,
           cli_style_on(r->c->colour, CLI_PLAIN));
}

// The last line: counts in the order of what matters, the time, the time saved.
static void print_sum(const run *r)
{
    const size_t *counts = r->counts;
    char time[32];
    const char *between = "";
    printf("  %s─%s  ", cli_style_on(r->c->colour, CLI_FAINT),
           cli_style_on(r->c->colour, CLI_PLAIN));
    for (int i = 0; i < SYKLI_ENDINGS; i++) {
        sykli_status status = report_order[i];
        if (!counts[status]) continue;
        printf("%s%s%zu %s%s", between, cli_style_on(r->c->colour, style(status)), counts[status],
               sykli_status_names[status], cli_style_on(r->c->colour, CLI_PLAIN));
        between = " · ";
    }
    if (!*between) fputs("no tasks", stdout);
    printf("   %s%s", cli_style_on(r->c->colour, CLI_FAINT),
           sykli_format_duration(time, r->wall_ms));
    if (r->saved_ms) printf(", saved %s", sykli_format_duration(time, r->saved_ms));
    puts(cli_style_on(r->c->colour, CLI_PLAIN));
}

// The chain of tasks that took the time: only a shorter one of these makes the run shorter.
static void print_critical(const run *r, int width)
{
    enum { LABEL = 17 };
    if (!r->critical_path || !strstr(r->critical_path, " → ")) return;
    printf("  %scritical path: ", cli_style_on(r->c->colour, CLI_FAINT));
    cli_put(stdout, r->critical_path, width - LABEL);
    puts(cli_style_on(r->c->colour, CLI_PLAIN));
}

static const char *kept(cli *c, const char *text)
{
    return text && *text ? cli_copy(c, text, strlen(text)) : text;
}

// One row a task, or one a task that did not do what it should; all are counted.
static report_row *rows_of(run *r, bool only_bad, size_t *count)
{
    size_t bad = 0;
    *count = 0;
    for (int i = 0; i < SYKLI_STATUS_COUNT; i++)
        bad += report_is_bad((sykli_status)i) ? r->counts[i] : 0;
    if (only_bad && r->counted && !bad) return NULL;
    report_row *rows = cli_alloc(r->c, (r->p->task_count + 1) * sizeof *rows);
    memset(r->counts, 0, sizeof r->counts);
    r->counted = true;
    for (size_t i = 0; i < r->p->task_count; i++) {
        report_row *w = &rows[*count];
        w->task = &r->p->tasks[i];
        if (!w->task->wanted || sykli_task_get(r->s, w->task->handle, &w->info) < 0) continue;
        r->counts[w->info.status]++;
        if (only_bad && !report_is_bad(w->info.status)) continue;
        w->info.reason = kept(r->c, w->info.reason);
        w->info.from = kept(r->c, w->info.from);
        w->info.log_path = kept(r->c, w->info.log_path);
        ++*count;
    }
    return rows;
}

report_row *report_rows(run *r, size_t *count) { return rows_of(r, false, count); }

void report_print(run *r)
{
    size_t count;
    report_row *rows = rows_of(r, r->quiet, &count);
    int width = cli_terminal(stdout) ? cli_width(stdout) : WIDTH_LOG, name_width = NAME_MIN;
    width = width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width;
    for (size_t i = 0; i < count; i++) {
        int columns = cli_columns(rows[i].task->name, 0);
        if (columns > name_width && columns <= NAME_MAX_COLUMNS) name_width = columns;
    }
    if (!r->quiet) print_header(r, width);
    for (size_t i = 0; i < count; i++)
        if (report_is_bad(rows[i].info.status)) {
            print_row(r, &rows[i], name_width, width);
            print_failure(r, &rows[i]);
        }
    for (size_t i = 0; i < count && !r->quiet; i++)
        if (!report_is_bad(rows[i].info.status)) {
            print_row(r, &rows[i], name_width, width);
            if (r->output != OUTPUT_ALL) continue;
            if (ci_folds()) ci_fold_log(r, &rows[i]);
            else log_print(r->c, rows[i].info.log_path, 0, "     │ ");
        }
    if (count && !r->quiet) putchar('\n');
    if (!r->quiet) print_critical(r, width);
    print_sum(r);
}

// ---- JSON ----

static void member(sykli_buf *b, const char *before, const char *value)
{
    sykli_buf_text(b, before);
    if (value && *value) sykli_json_quote(b, value, strlen(value));
    else sykli_buf_text(b, "null");
}

static void task_json(sykli_buf *b, const report_row *w)
{
    const sykli_task_info *info = &w->info;
    bool cached = info->status == SYKLI_STATUS_cached;
    member(b, "{\"name\":", w->task->name);
    member(b, ",\"status\":", sykli_status_names[info->status]);
    sykli_buf_print(b, ",\"duration_ms\":%llu,\"cached\":%s",
                    (unsigned long long)info->duration_ms, cached ? "true" : "false");
    member(b, ",\"from\":", cached ? info->from : NULL);
    if (report_is_bad(info->status) || info->status == SYKLI_STATUS_blocked)
        member(b, ",\"error\":", info->reason);
    if (info->attempt > 1) sykli_buf_print(b, ",\"attempt\":%d", info->attempt);
    proof_json(b, w->task);
    sykli_buf_text(b, "}");
}

void report_json(run *r)
{
    size_t count;
    report_row *rows = report_rows(r, &count);
    bool good = true;
    sykli_buf b;
    sykli_buf_init(&b, &r->c->mem, SYKLI_TAG_host);
    for (int i = 0; i < SYKLI_STATUS_COUNT; i++)
        good = good && !(r->counts[i] && (report_is_bad((sykli_status)i)
                                          || i == SYKLI_STATUS_blocked));
    sykli_buf_print(&b, "{\"status\":\"%s\",\"duration_ms\":%llu,\"tasks\":[",
                    r->cancelled_by ? "cancelled" : good ? "passed" : "failed",
                    (unsigned long long)r->wall_ms);
    for (size_t i = 0; i < count; i++) {
        if (i) sykli_buf_text(&b, ",");
        task_json(&b, &rows[i]);
    }
    sykli_buf_text(&b, "]}");
    cli_envelope(r->c, true, b.error ? NULL : (const char *)b.data);
    sykli_buf_free(&b);
}
