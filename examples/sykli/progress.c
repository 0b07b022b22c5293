// What is seen while a run goes on. On a terminal: the running tasks with their time and last
// line, drawn in place below what is already said. Elsewhere: one line with its time per change.
#define _GNU_SOURCE 1
#include "gate.h"
#include "run.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 200, FAILED_MAX = 3, LAST_MAX_BYTES = 256, NAME_COLUMNS = 24, BAR_COLUMNS = 20,
       FRAME_MS = 90 };

// A task that has started, and the last line it has printed; or one that has failed, and why.
typedef struct shown {
    sykli_task task;
    const char *name;
    uint64_t since_ms;
    bool held; // it waits for a decision
    char last[LAST_MAX_BYTES];
} shown;

struct progress {
    cli *c;
    run *r;
    bool in_place, colour, paused;
    bool disturbed; // while paused, a line was printed over the question
    shown **running; // the oldest first
    shown failed[FAILED_MAX]; // the newest last
    size_t count, done, total, cached, failures;
    int drawn, columns[ROWS_MAX]; // lines on the screen, and how wide each is
    uint64_t begun_ms, drawn_ms;
};

progress *progress_begin(cli *c, run *r)
{
    progress *d = cli_alloc(c, sizeof *d);
    d->c = c;
    d->r = r;
    d->in_place = cli_terminal(stderr) && r->output != OUTPUT_STREAM;
    d->colour = c->colour && cli_terminal(stderr);
    // Lines are gathered between two ticks: a write for each of 10,000 hits costs more than a hit.
    d->begun_ms = sykli_now_ms(r->s);
    for (size_t i = 0; i < r->p->task_count; i++) d->total += r->p->tasks[i].wanted;
    d->running = cli_alloc(c, (d->total + 1) * sizeof *d->running);
    return d;
}

// ---- drawing ----

// A frame: its lines are gathered and go to the terminal in one piece, over those of the frame
// before, so that nothing flickers.
typedef struct frame {
    progress *d;
    FILE *to;
    int width, used; // columns of the terminal, and of the line so far
    int drawn, columns[ROWS_MAX];
} frame;

static void put_text(frame *f, cli_style style, const char *text, int columns_max)
{
    int room = f->width - 1 - f->used;
    if (room < 2) return;
    if (columns_max && columns_max < room) room = columns_max;
    fputs(cli_style_on(f->d->colour, style), f->to);
    f->used += cli_put(f->to, text, room);
    if (style != CLI_PLAIN) fputs(cli_style_on(f->d->colour, CLI_PLAIN), f->to);
}

static void put_blanks(frame *f, int until)
{
    for (; f->used < until && f->used < f->width - 1; f->used++) putc(' ', f->to);
}

static void end_line(frame *f)
{
    fputs("\x1b[K\n", f->to);
    if (f->drawn < ROWS_MAX) f->columns[f->drawn++] = f->used;
    f->used = 0;
}

// Goes to where the frame before began. A terminal that became narrower has wrapped its lines.
static void go_back(const progress *d, FILE *to, int width)
{
    int lines = 0;
    for (int i = 0; i < d->drawn; i++) lines += 1 + (d->columns[i] ? d->columns[i] - 1 : 0) / width;
    if (lines) fprintf(to, "\x1b[%dA\r", lines);
}

static void put_line(frame *f, cli_style style, const char *glyph, const shown *s, int name_columns,
                     const char *time)
{
    put_text(f, CLI_PLAIN, "  ", 0);
    put_text(f, style, glyph, 0);
    put_text(f, CLI_PLAIN, " ", 0);
    put_text(f, CLI_PLAIN, s->name, name_columns);
    put_blanks(f, 4 + name_columns);
    if (time) {
        put_text(f, CLI_PLAIN, " ", 0);
        put_blanks(f, 4 + name_columns + 8 - cli_columns(time, 0));
        put_text(f, CLI_FAINT, time, 0);
    }
    put_text(f, CLI_PLAIN, "  ", 0);
    if (*s->last) put_text(f, CLI_FAINT, s->last, 0);
    end_line(f);
}

// Tenths of a second, so that one sees that it lives; from a minute on as everywhere.
static const char *elapsed(char out[32], uint64_t ms)
{
    if (ms >= 60000) return sykli_format_duration(out, ms);
    snprintf(out, 32, "%u.%us", (unsigned)(ms / 1000), (unsigned)(ms % 1000 / 100));
    return out;
}

static void put_bar(frame *f)
{
    const progress *d = f->d;
    int full = d->total ? (int)(d->done * BAR_COLUMNS / d->total) : 0;
    if (f->width < 60) return;
    fputs(cli_style_on(d->colour, d->failures ? CLI_BAD : CLI_GOOD), f->to);
    for (int i = 0; i < BAR_COLUMNS; i++) {
        if (i == full) fputs(cli_style_on(d->colour, CLI_PLAIN), f->to);
        if (i == full) fputs(cli_style_on(d->colour, CLI_FAINT), f->to);
        fputs(i < full ? "━" : "─", f->to);
    }
    fprintf(f->to, "%s  ", cli_style_on(d->colour, CLI_PLAIN));
    f->used += BAR_COLUMNS + 2;
}

static void put_counts(frame *f, uint64_t now)
{
    const progress *d = f->d;
    char text[160], time[32];
    size_t held = 0;
    put_text(f, CLI_PLAIN, "  ", 0);
    put_bar(f);
    snprintf(text, sizeof text, "%zu of %zu done", d->done, d->total);
    put_text(f, CLI_PLAIN, text, 0);
    snprintf(text, sizeof text, " · %zu failed", d->failures);
    if (d->failures) put_text(f, CLI_BAD, text, 0);
    snprintf(text, sizeof text, " · %zu cached", d->cached);
    if (d->cached) put_text(f, CLI_PLAIN, text, 0);
    for (size_t i = 0; i < d->count; i++) held += d->running[i]->held;
    snprintf(text, sizeof text, " · %zu running", d->count - held);
    put_text(f, CLI_FAINT, text, 0);
    snprintf(text, sizeof text, " · %zu waiting", held);
    if (held) put_text(f, CLI_FAINT, text, 0);
    snprintf(text, sizeof text, " · %s", elapsed(time, now - d->begun_ms));
    put_text(f, CLI_FAINT, text, 0);
    if (d->r->cancelled_by) put_text(f, CLI_BAD, " · ending; Ctrl-C again kills", 0);
    end_line(f);
}

static void put_tasks(frame *f, uint64_t now, int rows)
{
    const progress *d = f->d;
    size_t failed = d->failures < FAILED_MAX ? d->failures : FAILED_MAX, fit;
    int columns = 0, most = f->width / 3 < NAME_COLUMNS ? f->width / 3 : NAME_COLUMNS;
    char time[32], more[64];
    if (rows < (int)failed + 2) failed = 0;
    rows -= (int)failed;
    fit = d->count > (size_t)rows ? (size_t)rows - 1 : d->count;
    for (size_t i = 0; i < failed + fit; i++) {
        const shown *s = i < failed ? &d->failed[i] : d->running[i - failed];
        int is = cli_columns(s->name, most);
        columns = is > columns ? is : columns;
    }
    for (size_t i = 0; i < failed; i++) put_line(f, CLI_BAD, "✕", &d->failed[i], columns, NULL);
    for (size_t i = 0; i < fit; i++)
        put_line(f, CLI_GOOD, "▸", d->running[i], columns,
                 elapsed(time, now - d->running[i]->since_ms));
    if (fit == d->count) return;
    snprintf(more, sizeof more, "    and %zu more", d->count - fit);
    put_text(f, CLI_FAINT, more, 0);
    end_line(f);
}

static void draw(progress *d, uint64_t now)
{
    char *text = NULL;
    size_t size = 0;
    int rows = cli_height(stderr) - 2;
    frame f = { .d = d, .to = open_memstream(&text, &size), .width = cli_width(stderr) };
    if (!f.to) return;
    go_back(d, f.to, f.width);
    put_tasks(&f, now, rows < 2 ? 2 : rows < ROWS_MAX ? rows : ROWS_MAX - 1);
    put_counts(&f, now);
    fputs("\x1b[J", f.to);
    if (!fclose(f.to)) outlet_put(&d->r->err, text, size, false);
    free(text);
    d->drawn = f.drawn;
    memcpy(d->columns, f.columns, sizeof f.columns);
    d->drawn_ms = now;
}

void progress_tick(progress *d)
{
    uint64_t now = sykli_now_ms(d->r->s);
    bool seen = outlet_flush(&d->r->err); // a frame that nobody has seen is not drawn over
    if (d->disturbed && seen && outlet_flush(&d->r->out)) {
        gates_ask_again(d->r->gates);
        d->disturbed = false;
    }
    if (d->in_place && !d->paused && seen && now - d->drawn_ms >= FRAME_MS) draw(d, now);
}

void progress_end(progress *d)
{
    outlet_flush(&d->r->err);
    if (!d->drawn) return;
    go_back(d, stderr, cli_width(stderr));
    fputs("\x1b[J", stderr);
    d->drawn = 0;
}

// While somebody is asked, the question is the last line of the screen.
void progress_pause(progress *d, bool paused)
{
    if (paused && !d->paused) progress_end(d);
    d->paused = paused;
}

// ---- lines ----

// A line begins where a question stands, if one does.
static void begin_line(progress *d, FILE *to, FILE *goes_to)
{
    if (!d->paused || !cli_terminal(goes_to)) return;
    fputs("\r\x1b[K", to);
    d->disturbed = true;
}

// Begins a line of the plain log: the time since the start.
static void stamp(const progress *d, FILE *to)
{
    uint64_t ms = sykli_now_ms(d->r->s) - d->begun_ms;
    fprintf(to, "[%3u.%03u] ", (unsigned)(ms / 1000), (unsigned)(ms % 1000));
}

static void say(progress *d, const char *what, const char *name, const char *more)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = d->in_place ? NULL : open_memstream(&text, &size);
    if (!to) return;
    begin_line(d, to, stderr);
    stamp(d, to);
    fprintf(to, "%-8s ", what);
    cli_put(to, name, 0);
    if (more && *more) {
        fputs("  ", to);
        cli_put(to, more, 0);
    }
    fputc('\n', to);
    if (!fclose(to)) outlet_put(&d->r->err, text, size, false);
    free(text);
}

static void stream_line(progress *d, const char *name, const char *line, size_t line_size)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    if (!to) return;
    begin_line(d, to, stdout);
    fprintf(to, "%s", cli_style_on(d->colour, CLI_FAINT));
    cli_put(to, name, 0);
    fprintf(to, " | %s", cli_style_on(d->colour, CLI_PLAIN));
    cli_put_output(to, line, line_size, d->c->colour);
    fputc('\n', to);
    if (!fclose(to)) outlet_put(&d->r->out, text, size, true);
    free(text);
}

// ---- events ----

static size_t find(const progress *d, sykli_task task)
{
    size_t at = 0;
    while (at < d->count && d->running[at]->task.id != task.id) at++;
    return at;
}

// Shows a task from now on.      returns  where it is, `count`: there is no memory for it
static size_t show(progress *d, const sykli_event *e)
{
    size_t at = find(d, e->task);
    if (at == d->count) {
        d->running[at] = calloc(1, sizeof **d->running);
        if (!d->running[at]) return at;
        d->running[at]->name = cli_copy(d->c, e->name, strlen(e->name));
        d->count++;
    }
    d->running[at]->task = e->task;
    d->running[at]->since_ms = sykli_now_ms(d->r->s);
    d->running[at]->held = e->kind == SYKLI_EVENT_task_held;
    *d->running[at]->last = 0;
    return at;
}

static void start(progress *d, const sykli_event *e)
{
    char more[32];
    show(d, e);
    snprintf(more, sizeof more, "attempt %d", e->attempt);
    if (e->attempt > 1) say(d, "retried", e->name, more);
    else say(d, "started", e->name, e->text); // and what is different from the last time
}

// Keeps a line as it can be shown: no colours, no control, no half character.
static void keep_last(const progress *d, shown *s, const char *text, size_t size)
{
    sykli_buf safe;
    sykli_buf_init(&safe, &d->c->mem, SYKLI_TAG_host);
    sykli_log_safe(&safe, text, size, false);
    size_t keep = safe.size < LAST_MAX_BYTES ? safe.size : LAST_MAX_BYTES - 1;
    while (keep < safe.size && keep && (safe.data[keep] & 0xc0) == 0x80) keep--;
    if (keep) memcpy(s->last, safe.data, keep);
    s->last[keep] = 0;
    for (char *p = s->last; *p; p++)
        if (*p == '\t' || *p == '\n') *p = ' ';
    sykli_buf_free(&safe);
}

// A held task is shown among the running ones, with what would let it go on.
static void hold(progress *d, const sykli_event *e)
{
    const char *why = gates_wait_for(d->r->gates, e->name);
    size_t at = show(d, e);
    if (at < d->count) keep_last(d, d->running[at], why, strlen(why));
    say(d, "held", e->name, why);
}

// The first time it is tried again at once, later after a while.
static void wait_for_retry(progress *d, const sykli_event *e)
{
    char more[96], time[32];
    size_t at = find(d, e->task);
    if (!e->in_ms) return;
    snprintf(more, sizeof more, "attempt %d did not pass, the next in %s", e->attempt,
             sykli_format_duration(time, e->in_ms));
    if (at < d->count) keep_last(d, d->running[at], more, strlen(more));
    say(d, "waits", e->name, more);
}

// The text of an event is one whole line.
static void output(progress *d, const sykli_event *e)
{
    size_t at = find(d, e->task);
    if (d->r->output == OUTPUT_STREAM) stream_line(d, e->name, e->text, e->text_size);
    if (at < d->count && e->text_size && d->in_place)
        keep_last(d, d->running[at], e->text, e->text_size);
}

static void keep_failed(progress *d, const sykli_event *e)
{
    size_t at = d->failures < FAILED_MAX ? d->failures : FAILED_MAX - 1;
    if (d->failures++ >= FAILED_MAX)
        memmove(d->failed, d->failed + 1, (FAILED_MAX - 1) * sizeof *d->failed);
    d->failed[at].name = cli_copy(d->c, e->name, strlen(e->name));
    keep_last(d, &d->failed[at], e->text ? e->text : "", e->text ? e->text_size : 0);
}

static void finish(progress *d, const sykli_event *e)
{
    char more[160], time[32];
    size_t at = find(d, e->task);
    d->done++;
    d->cached += e->status == SYKLI_STATUS_cached;
    if (at < d->count) {
        free(d->running[at]);
        memmove(d->running + at, d->running + at + 1, (--d->count - at) * sizeof *d->running);
    }
    if (e->status == SYKLI_STATUS_failed || e->status == SYKLI_STATUS_errored) keep_failed(d, e);
    sykli_format_duration(time, e->duration_ms);
    snprintf(more, sizeof more, "%s%s%.*s", e->duration_ms ? time : "",
             e->duration_ms && e->text_size ? "  " : "",
             (int)(e->text_size < 100 ? e->text_size : 100), e->text ? e->text : "");
    say(d, sykli_status_names[e->status], e->name, more);
}

void progress_event(progress *d, const sykli_event *e)
{
    switch (e->kind) {
    case SYKLI_EVENT_task_held: hold(d, e); break;
    case SYKLI_EVENT_task_started: start(d, e); break;
    case SYKLI_EVENT_task_output: output(d, e); break;
    case SYKLI_EVENT_task_retry: wait_for_retry(d, e); break;
    case SYKLI_EVENT_task_finished: finish(d, e); break;
    default: break;
    }
}
