// What is seen while a run goes on. On a terminal: the running tasks with their time and last
// line, drawn in place below what is already said. Elsewhere: one line with its time per change.
#include "run.h"
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 10, LAST_MAX_BYTES = 256 };

// A task that has started, and the last line it has printed.
typedef struct shown {
    sykli_task task;
    const char *name;
    uint64_t since_ms;
    char last[LAST_MAX_BYTES];
} shown;

struct progress {
    cli *c;
    const run *r;
    bool in_place, colour;
    shown **running;
    size_t count, capacity, done, total;
    int drawn; // lines on the screen
    uint64_t begun_ms, drawn_ms;
};

progress *progress_begin(cli *c, const run *r)
{
    progress *d = cli_alloc(c, sizeof *d);
    d->c = c;
    d->r = r;
    d->in_place = cli_terminal(stderr) && r->output != OUTPUT_STREAM;
    d->colour = c->colour && cli_terminal(stderr);
    d->begun_ms = sykli_now_ms(r->s);
    for (size_t i = 0; i < r->p->task_count; i++) d->total += r->p->tasks[i].wanted;
    d->running = cli_alloc(c, (d->total + 1) * sizeof *d->running);
    return d;
}

// ---- drawing ----

static void erase(progress *d)
{
    if (d->drawn) fprintf(stderr, "\x1b[%dA\x1b[J", d->drawn);
    d->drawn = 0;
}

static void draw_task(const progress *d, const shown *s, uint64_t now, int width)
{
    char time[32];
    sykli_format_duration(time, now - s->since_ms);
    int used = 4 + cli_put(stderr, s->name, 24);
    used += fprintf(stderr, "%*s %s%s%s  ", used < 28 ? 28 - used : 0, "",
                    cli_style_on(d->colour, CLI_FAINT), time, cli_style_on(d->colour, CLI_PLAIN));
    if (d->colour) used -= 8;
    if (*s->last && width - used > 8) cli_put(stderr, s->last, width - used - 1);
}

static void draw(progress *d, uint64_t now)
{
    char time[32];
    int width = cli_width(stderr);
    erase(d);
    for (size_t i = 0; i < d->count && i < ROWS_MAX; i++) {
        fprintf(stderr, "  %s▸%s ", cli_style_on(d->colour, CLI_GOOD),
                cli_style_on(d->colour, CLI_PLAIN));
        draw_task(d, d->running[i], now, width);
        fputs("\x1b[K\n", stderr);
        d->drawn++;
    }
    if (d->count > ROWS_MAX) {
        fprintf(stderr, "    and %zu more\x1b[K\n", d->count - ROWS_MAX);
        d->drawn++;
    }
    fprintf(stderr, "  %s%zu of %zu done · %zu running · %s%s\x1b[K\n",
            cli_style_on(d->colour, CLI_FAINT), d->done, d->total, d->count,
            sykli_format_duration(time, now - d->begun_ms), cli_style_on(d->colour, CLI_PLAIN));
    d->drawn++;
    d->drawn_ms = now;
    fflush(stderr);
}

void progress_tick(progress *d)
{
    uint64_t now = sykli_now_ms(d->r->s);
    if (d->in_place && now - d->drawn_ms >= 90) draw(d, now);
}

void progress_end(progress *d)
{
    erase(d);
    fflush(stderr);
}

// ---- lines ----

// Begins a line of the plain log: the time since the start.
static void stamp(const progress *d)
{
    uint64_t ms = sykli_now_ms(d->r->s) - d->begun_ms;
    fprintf(stderr, "[%3u.%03u] ", (unsigned)(ms / 1000), (unsigned)(ms % 1000));
}

static void say(const progress *d, const char *what, const char *name, const char *more)
{
    if (d->in_place) return;
    stamp(d);
    fprintf(stderr, "%-8s ", what);
    cli_put(stderr, name, 0);
    if (more && *more) {
        fputs("  ", stderr);
        cli_put(stderr, more, 0);
    }
    fputc('\n', stderr);
}

static void stream_line(const progress *d, const char *name, const char *line, size_t size)
{
    fprintf(stdout, "%s", cli_style_on(d->colour, CLI_FAINT));
    cli_put(stdout, name, 0);
    fprintf(stdout, " | %s", cli_style_on(d->colour, CLI_PLAIN));
    cli_put_output(stdout, line, size, d->c->colour);
    putchar('\n');
}

// ---- events ----

static size_t find(const progress *d, sykli_task task)
{
    size_t at = 0;
    while (at < d->count && d->running[at]->task.id != task.id) at++;
    return at;
}

static void start(progress *d, const sykli_event *e)
{
    size_t at = find(d, e->task);
    if (at == d->count) {
        d->running[d->count] = calloc(1, sizeof **d->running);
        if (!d->running[d->count]) return;
        d->running[d->count]->name = cli_copy(d->c, e->name, strlen(e->name));
        d->count++;
    }
    d->running[at]->task = e->task;
    d->running[at]->since_ms = sykli_now_ms(d->r->s);
    if (e->attempt > 1) say(d, "retried", e->name, NULL);
    else say(d, "started", e->name, e->text); // and what is different from the last time
}

// The text of an event is one whole line.
static void output(progress *d, const sykli_event *e)
{
    size_t at = find(d, e->task);
    if (d->r->output == OUTPUT_STREAM) stream_line(d, e->name, e->text, e->text_size);
    if (at == d->count || !e->text_size) return;
    size_t size = e->text_size < LAST_MAX_BYTES ? e->text_size : LAST_MAX_BYTES - 1;
    memcpy(d->running[at]->last, e->text, size);
    d->running[at]->last[size] = 0;
}

static void finish(progress *d, const sykli_event *e)
{
    char more[160], time[32];
    size_t at = find(d, e->task);
    d->done++;
    if (at < d->count) {
        free(d->running[at]);
        d->running[at] = d->running[--d->count];
    }
    sykli_format_duration(time, e->duration_ms);
    snprintf(more, sizeof more, "%s%s%.*s", e->duration_ms ? time : "",
             e->duration_ms && e->text_size ? "  " : "",
             (int)(e->text_size < 100 ? e->text_size : 100), e->text ? e->text : "");
    say(d, sykli_status_names[e->status], e->name, more);
}

void progress_event(progress *d, const sykli_event *e)
{
    switch (e->kind) {
    case SYKLI_EVENT_task_started: start(d, e); break;
    case SYKLI_EVENT_task_output: output(d, e); break;
    case SYKLI_EVENT_task_finished: finish(d, e); break;
    default: break;
    }
}
