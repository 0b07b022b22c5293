// The report that CI systems read: JUnit XML, one test case a task.
#include "log.h"
#include "report.h"
#include <string.h>

enum { JUNIT_LINES = 50 };

// Text that has passed sykli_log_safe holds no control but tabs and newlines; what XML 1.0 refuses
// besides those are U+FFFE and U+FFFF.
static void escape(sykli_buf *b, const char *text)
{
    for (; *text; text++) {
        const unsigned char *p = (const unsigned char *)text;
        const char *entity = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;"
                           : *text == '"' ? "&quot;" : NULL;
        bool refused = p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe;
        if (entity) sykli_buf_text(b, entity);
        else sykli_buf_add(b, refused ? "\xef\xbf\xbd" : text, refused ? 3 : 1);
        if (refused) text += 2;
    }
}

// The same for a name or a reason, in one line.
static void attribute(sykli_buf *b, const char *name, const char *text)
{
    sykli_buf safe;
    sykli_buf_init(&safe, b->mem, SYKLI_TAG_host);
    sykli_log_safe(&safe, text, strlen(text), false);
    for (size_t i = 0; i < safe.size; i++)
        if (safe.data[i] == '\n' || safe.data[i] == '\t') safe.data[i] = ' ';
    sykli_buf_print(b, " %s=\"", name);
    escape(b, safe.size ? (const char *)safe.data : "");
    sykli_buf_text(b, "\"");
    sykli_buf_free(&safe);
}

static void seconds(sykli_buf *b, uint64_t ms)
{
    sykli_buf_print(b, " time=\"%llu.%03u\"", (unsigned long long)(ms / 1000),
                    (unsigned)(ms % 1000));
}

static const char *why(const report_row *w)
{
    return w->info.reason && *w->info.reason ? w->info.reason : sykli_status_names[w->info.status];
}

static void outcome(sykli_buf *b, const run *r, const report_row *w)
{
    sykli_status status = w->info.status;
    if (report_is_bad(status)) {
        const char *element = status == SYKLI_STATUS_failed ? "failure" : "error";
        sykli_buf_print(b, "      <%s type=\"%s\"", element, sykli_status_names[status]);
        attribute(b, "message", why(w));
        sykli_buf_text(b, ">");
        escape(b, log_tail(r->c, w->info.log_path, JUNIT_LINES));
        sykli_buf_print(b, "</%s>\n", element);
    } else if (status == SYKLI_STATUS_cached) {
        sykli_buf_text(b, "      <system-out>cache hit from ");
        escape(b, w->info.from && *w->info.from ? w->info.from : "local");
        sykli_buf_text(b, "</system-out>\n");
    } else if (status == SYKLI_STATUS_skipped || status == SYKLI_STATUS_blocked) {
        sykli_buf_text(b, "      <skipped");
        attribute(b, "message", why(w));
        sykli_buf_text(b, "/>\n");
    }
}

static void testcase(sykli_buf *b, const run *r, const report_row *w)
{
    sykli_buf_text(b, "    <testcase classname=\"sykli\"");
    attribute(b, "name", w->task->name);
    seconds(b, w->info.duration_ms);
    sykli_buf_text(b, ">\n");
    if (w->info.attempt > 1)
        sykli_buf_print(b, "      <properties><property name=\"attempts\" value=\"%d\"/>"
                        "</properties>\n", w->info.attempt);
    outcome(b, r, w);
    sykli_buf_text(b, "    </testcase>\n");
}

static void sums(sykli_buf *b, const run *r, size_t count)
{
    const size_t *of = r->counts;
    sykli_buf_print(b, " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\"", count,
                    of[SYKLI_STATUS_failed],
                    of[SYKLI_STATUS_errored] + of[SYKLI_STATUS_cancelled],
                    of[SYKLI_STATUS_skipped] + of[SYKLI_STATUS_blocked]);
    seconds(b, r->wall_ms);
}

static void document(sykli_buf *b, const run *r, const report_row *rows, size_t count)
{
    char at[64];
    sykli_buf_text(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"sykli\"");
    sums(b, r, count);
    sykli_buf_text(b, ">\n  <testsuite");
    attribute(b, "name", r->source->name);
    sums(b, r, count);
    attribute(b, "timestamp", sykli_format_time(at, r->started_at_ms));
    attribute(b, "hostname", sykli_node_name(r->s));
    sykli_buf_text(b, ">\n");
    for (size_t i = 0; i < count; i++) testcase(b, r, &rows[i]);
    sykli_buf_text(b, "  </testsuite>\n</testsuites>\n");
}

int junit_write(run *r, const char *path)
{
    size_t count;
    const report_row *rows = report_rows(r, &count);
    sykli_buf b;
    sykli_buf_init(&b, &r->c->mem, SYKLI_TAG_host);
    document(&b, r, rows, count);
    int rc = b.error ? sykli_fail(&r->c->fault, b.error, "%s: out of memory", path)
                     : cli_write(r->c, path, b.data, b.size);
    sykli_buf_free(&b);
    return rc ? cli_fail_sykli(r->c, rc, r->c->fault.text) : 0;
}
