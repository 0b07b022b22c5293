// The flow of a run: read, choose, add, run, report.
#define _GNU_SOURCE 1
#include "ask.h"
#include "config_file.h"
#include "affected.h"
#include "ci.h"
#include "dry.h"
#include "gate.h"
#include "record.h"
#include "report.h"
#include "secret.h"
#include "tool.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

enum { TICK_MS = 100, CLOSE_MS = 1000, AGAIN_MS = 500, RECORDS_MAX = 20 };
#define WORKERS_MAX "128" // tasks at once beside a node: as many as a session asks for

// What a signal may touch: which came first, that another came, and the context that sleeps.
static volatile sig_atomic_t signal_got, signal_again;
static sykli *volatile signal_context;

static void on_signal(int number)
{
    if (!signal_got) signal_got = number;
    else signal_again = 1;
    if (signal_context) sykli_wakeup(signal_context);
}

static const int signals_caught[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

// A hangup that is ignored stays so: that is how nohup asks for it. An interrupt does not: a shell
// ignores it for whatever it starts with &, and still somebody may send one.
static void set_signals(void (*handler)(int))
{
    for (size_t i = 0; i < sizeof signals_caught / sizeof *signals_caught; i++) {
        struct sigaction action;
        int number = signals_caught[i];
        if (sigaction(number, NULL, &action)
            || (number == SIGHUP && action.sa_handler == SIG_IGN)) continue;
        action = (struct sigaction){ .sa_handler = handler };
        sigemptyset(&action.sa_mask);
        sigaction(number, &action, NULL);
    }
}

static void catch_signals(sykli *s)
{
    signal_context = s;
    set_signals(on_signal);
    signal(SIGPIPE, SIG_IGN);
}

static void leave_signals(void) { set_signals(SIG_DFL); }

// What the library leaves open is what only a run knows: its node, its end by a signal.
static void print_event(run *r, const sykli_event *event)
{
    sykli_buf line;
    sykli_event e = *event;
    if (e.kind == SYKLI_EVENT_task_output && r->output == OUTPUT_NONE) return;
    sykli_buf_init(&line, &r->c->mem, SYKLI_TAG_host);
    if (e.kind == SYKLI_EVENT_task_started && !e.node) e.node = sykli_node_name(r->s);
    if (e.kind == SYKLI_EVENT_run_started) e.workers = r->workers;
    if (e.kind == SYKLI_EVENT_run_finished && r->cancelled_by) e.status = SYKLI_STATUS_cancelled;
    sykli_event_json(&e, &line);
    sykli_buf_text(&line, "\n");
    if (!line.error)
        outlet_put(&r->out, (const char *)line.data, line.size, e.kind == SYKLI_EVENT_task_output);
    sykli_buf_free(&line);
}

static void on_finished(run *r, const sykli_event *event)
{
    r->wall_ms = event->duration_ms;
    r->saved_ms = event->saved_ms;
    for (int i = 0; i < SYKLI_ENDINGS; i++) r->counts[i] = event->counts[i];
    r->counted = true;
    r->critical_path = "";
    for (size_t i = 0; i < event->path_count; i++)
        r->critical_path = cli_print(r->c, "%s%s%s", r->critical_path, i ? " → " : "",
                                     event->path[i]);
}

// Kept until the display is gone.
static void on_note(run *r, const sykli_event *event)
{
    if (r->note_count++ >= RUN_NOTES_MAX) return;
    r->notes[r->note_count - 1] = cli_print(r->c, "task '%s': %.*s", event->name,
                                            (int)event->text_size, event->text);
}

static void on_event(void *user, const sykli_event *event)
{
    run *r = user;
    if (event->kind == SYKLI_EVENT_note && event->task.id && event->name) on_note(r, event);
    if (event->kind == SYKLI_EVENT_run_started) r->started_at_ms = event->at_ms;
    if (event->kind == SYKLI_EVENT_run_finished) on_finished(r, event);
    if (r->profile) profile_event(r->profile, event);
    if (r->gates) gates_event(r->gates, event);
    if (r->events) print_event(r, event);
    else if (r->display) progress_event(r->display, event);
}

// Becomes a session of the node of the state directory, if one runs there: it lends the workers,
// shows the tasks and looks for results at its peers. A run never needs one.
static void join_node(run *r, bool own_limit)
{
    cli *c = r->c;
    secret_hide(false); // a node looks at whoever asks it, and hears nobody who hides
    r->mesh = sykli_mesh_open(r->s, &(sykli_mesh_desc){ .mode = SYKLI_MESH_CLIENT,
                                                        .state_dir = c->state_dir,
                                                        .borrow = true });
    if (r->mesh && !own_limit) sykli_config_set(r->s, "workers", WORKERS_MAX); // the node decides
    if (!r->mesh && sykli_last_error(r->s) != SYKLI_ENONODE)
        fprintf(stderr, "sykli: without the node of %s: %s\n", c->state_dir, sykli_errmsg(r->s));
}

static uint32_t workers_of(sykli *s)
{
    const char *text = sykli_config_get(s, "workers");
    unsigned long count = text ? strtoul(text, NULL, 10) : 0;
    const sykli_sys *sys = sykli_system(s);
    return count ? (uint32_t)count : (uint32_t)sys->processors(sys->user);
}

// What is missing when a run starts is a folder of ours, not a task: the machine is at fault.
static int fail_start(run *r, int rc)
{
    if (rc != SYKLI_ENOENT) return cli_fail_sykli(r->c, rc, sykli_errmsg(r->s));
    return cli_fail(r->c, CLI_INFRASTRUCTURE, "io", NULL, "%s", sykli_errmsg(r->s));
}

// This process is a command's own, unlike one that embeds the library: it adopts whoever leaves a
// task, so that they are found.    returns  whether it does
static bool adopt(void)
{
#if defined(__linux__)
    return !prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
#else
    return false;
#endif
}

// In which form make is told of the workers: only since 4.4 it knows the fifo, which needs no
// descriptors to be inherited. Asked only where a task may call it.
static sykli_jobserver jobserver_form(const run *r)
{
    static const char *const argv[] = { "make", "--version", NULL };
    tool t;
    bool asks = false;
    for (size_t i = 0; i < r->p->task_count && !asks; i++)
        asks = r->p->tasks[i].command && strstr(r->p->tasks[i].command, "make");
    if (!asks || tool_run(r->c, &t, argv[0], argv, NULL, 5000, 4096)
        || strncmp(t.text, "GNU Make ", 9))
        return SYKLI_JOBSERVER_pipe;
    const char *dot = strchr(t.text + 9, '.');
    int major = atoi(t.text + 9), minor = dot ? atoi(dot + 1) : 0;
    return major > 4 || (major == 4 && minor >= 4) ? SYKLI_JOBSERVER_fifo : SYKLI_JOBSERVER_pipe;
}

// The options that are keys of the configuration for one run.    returns  0 or the exit code
static int set_options(run *r)
{
    cli *c = r->c;
    char text[32];
    uint64_t stall_ms;
    const char *pty = cli_value(c, "pty");
    int code = cli_duration(c, "stall", 0, &stall_ms), rc = 0;
    snprintf(text, sizeof text, "%llums", (unsigned long long)stall_ms);
    if (!code && cli_has(c, "stall")) rc = sykli_config_set(r->s, "run.stall", text);
    if (!code && !rc && pty) rc = sykli_config_set(r->s, "run.pty", pty);
    return rc ? cli_fail(c, CLI_USAGE, "usage", NULL, "%s", sykli_errmsg(r->s)) : code;
}

// Opens the context as the options say.    returns  0 or the exit code
static int open_context(run *r)
{
    cli *c = r->c;
    bool shown = r->output == OUTPUT_ALL || r->output == OUTPUT_STREAM;
    uint32_t jobs;
    int code = cli_number(c, "jobs", 0, 1, 4096, &jobs);
    if (code) return code;
    r->s = sykli_open(&(sykli_desc){
        .workers_max = jobs, .project_dir = r->source->dir, .cache_dir = c->cache_dir,
        .state_dir = c->state_dir, .log_dir = cli_value(c, "log-dir"),
        .keep_going = cli_has(c, "keep-going"), .no_cache = cli_has(c, "no-cache"),
        .refresh = cli_has(c, "refresh"), .replay_logs = shown, .subreaper = adopt(),
        .jobserver = jobserver_form(r),
        .last_lines = !r->events && r->output != OUTPUT_STREAM, .cgroups = true,
        .on_event = on_event, .on_event_user = r });
    if (!r->s) return cli_fail_sykli(c, SYKLI_ENOMEM, NULL);
    if (sykli_error(r->s)) return fail_start(r, sykli_error(r->s));
    config_file file;
    code = config_file_read(c, NULL, &file);
    if (!code) code = config_file_apply(c, &file, r->s, jobs);
    if (!code) pipeline_set_reviews(c, r->p, &file);
    if (!code) code = set_options(r);
    r->workers = jobs ? jobs : workers_of(r->s);
    if (!code) join_node(r, jobs != 0);
    return code;
}

// Starts the run, as soon as no other has the folder.
static int start(run *r)
{
    int rc = sykli_start(r->s);
    if (rc == SYKLI_EBUSY) fprintf(stderr, "sykli: waiting: %s\n", sykli_errmsg(r->s));
    fflush(stderr);
    while (rc == SYKLI_EBUSY && !signal_got) {
        sykli_poll(r->s, TICK_MS);
        rc = sykli_start(r->s);
    }
    return rc;
}

// The first signal asks the tasks to end, a second one kills them. Whoever passes signals on sends
// the same one twice (timeout(1), npm, a shell in between): two in a moment are one.
static void cancel(run *r)
{
    uint64_t now = sykli_now_ms(r->s);
    if (!r->cancelled_by) {
        r->cancelled_by = signal_got == SIGHUP ? SIGTERM : signal_got;
        r->cancelled_ms = now;
        sykli_run_cancel(r->s);
        if (signal_got != SIGQUIT) return;
    } else if (!signal_again || now - r->cancelled_ms < AGAIN_MS) {
        signal_again = 0;
        return;
    }
    signal_again = 0;
    sykli_run_cancel(r->s);
}

static int go(run *r)
{
    int rc = start(r);
    if (rc == SYKLI_EBUSY) r->cancelled_by = signal_got == SIGHUP ? SIGTERM : signal_got;
    if (rc == SYKLI_EBUSY) return 128 + r->cancelled_by;
    if (rc < 0) return fail_start(r, rc);
    do {
        if (signal_got) cancel(r);
        if (r->display) progress_pause(r->display, gates_asking(r->gates));
        if (gates_open(r->gates)) gates_tick(r->gates);
        if (r->display) progress_tick(r->display);
        bool out = outlet_flush(&r->out), err = outlet_flush(&r->err);
        rc = sykli_poll(r->s, r->display || !out || !err ? TICK_MS
                              : gates_open(r->gates) ? GATE_TICK_MS : -1);
    } while (rc > 0);
    if (rc < 0) return cli_fail_sykli(r->c, rc, sykli_errmsg(r->s));
    if (*sykli_cache_note(r->s))
        fprintf(stderr, "sykli: the run went on without its cache: %s\n", sykli_cache_note(r->s));
    return 0;
}

static void print_notes(const run *r)
{
    size_t count = r->note_count < RUN_NOTES_MAX ? r->note_count : RUN_NOTES_MAX;
    for (size_t i = 0; i < count; i++) {
        fputs("sykli: note: ", stderr);
        cli_put(stderr, r->notes[i], 0);
        fputc('\n', stderr);
    }
    if (r->note_count > count)
        fprintf(stderr, "sykli: note: and %zu more, see `sykli run --events`\n",
                r->note_count - count);
}

static bool is_good(sykli_status status)
{
    return status == SYKLI_STATUS_passed || status == SYKLI_STATUS_cached
        || status == SYKLI_STATUS_skipped;
}

static int exit_code(const run *r)
{
    if (r->cancelled_by) return 128 + r->cancelled_by;
    for (size_t i = 0; r->counted && i < SYKLI_STATUS_COUNT; i++)
        if (r->counts[i] && !is_good((sykli_status)i)) return CLI_FAILED;
    for (size_t i = 0; !r->counted && i < r->p->task_count; i++) {
        sykli_task_info info;
        const pipeline_task *t = &r->p->tasks[i];
        if (!t->wanted || sykli_task_get(r->s, t->handle, &info) < 0) continue;
        if (!is_good(info.status)) return CLI_FAILED;
    }
    return CLI_OK;
}

static size_t wanted(const pipeline *p)
{
    size_t count = 0;
    for (size_t i = 0; i < p->task_count; i++) count += p->tasks[i].wanted;
    return count;
}

// Tells of the run that has ended, and leaves the files that were asked for.
static int report(run *r)
{
    const char *junit = cli_value(r->c, "junit");
    int code = r->profile ? profile_end(r->profile) : 0;
    r->profile = NULL;
    if (!code && junit) code = junit_write(r, junit);
    ci_summary(r);
    if (code) return code;
    if (r->c->json && !r->events) report_json(r);
    else if (!r->events) report_print(r);
    return exit_code(r);
}

static int run_added(run *r)
{
    const char *trace = cli_value(r->c, "profile");
    int code = trace ? profile_begin(r->c, r->s, trace, wanted(r->p), &r->profile) : 0;
    if (code) return code;
    outlet_open(&r->out, r->c, stdout, r->events);
    outlet_open(&r->err, r->c, stderr, false);
    catch_signals(r->s);
    if (!r->events && !r->quiet && !r->c->json) r->display = progress_begin(r->c, r);
    r->gates = gates_begin(r->c, r->s, r->p, r->source->dir, r->mesh != NULL);
    code = go(r);
    gates_end(r->gates);
    if (r->display) progress_end(r->display);
    leave_signals(); // the tasks have ended: whoever does not want to wait for a reader need not
    outlet_close(&r->err, r->cancelled_by ? CLOSE_MS : -1);
    outlet_close(&r->out, r->cancelled_by ? CLOSE_MS : -1);
    if (!code && r->out.error && r->out.error != EPIPE)
        code = cli_fail(r->c, CLI_INFRASTRUCTURE, "io", NULL, "stdout cannot be written: %s",
                        strerror(r->out.error));
    if (!r->events) print_notes(r);
    if (!code) code = report(r);
    if (r->profile) profile_drop(r->profile);
    return code;
}

// What is left when the pipeline has been read and its tasks are chosen.
static int run_chosen(run *r, uint64_t timeout_ms)
{
    int code = open_context(r);
    if (!code && secret_named(r->p)) secret_hide(true); // before any of its tasks could look
    if (!code && !cli_has(r->c, "dry-run")) secret_find(r->c, r->p, r->source->dir);
    if (!code && pipeline_add(r->c, r->p, r->s, r->source->dir, (uint32_t)timeout_ms) < 0)
        code = cli_fail_sykli(r->c, sykli_error(r->s), sykli_errmsg(r->s));
    secret_drop(r->p);
    if (!code) code = cli_has(r->c, "dry-run") ? dry_run(r) : run_added(r);
    signal_context = NULL;
    sykli_mesh_close(r->mesh);
    sykli_close(r->s);
    return code;
}

// Whether a task did not pass when it was last to run, or was not reached. A run of some tasks that
// came to its end says nothing of the others: that is in the record of an earlier one.
static bool is_unfinished(const pipeline *p, const pipeline_task *t, const record *records,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const record_task *was = record_find(&records[i], t->name);
        if (was) return !is_good(was->status);
        if (!records[i].ended_ms || records[i].planned >= p->task_count) break;
    }
    return !t->manual; // that runs when somebody names it: only they may have it run again
}

static const char **unfinished(cli *c, const pipeline *p, const char *project, int *count)
{
    size_t found;
    const record *records = record_list(c, project, RECORDS_MAX, &found);
    const char **names = cli_alloc(c, (p->task_count + 1) * sizeof *names);
    for (size_t i = 0; i < p->task_count; i++)
        if (is_unfinished(p, &p->tasks[i], records, found))
            names[(*count)++] = p->tasks[i].name;
    return names;
}

// Nothing to run is no failure, but it may be a slip of the pen.
static void note_filter(const run *r, int count)
{
    const char *filter = cli_value(r->c, "filter");
    if (!filter || count || wanted(r->p)) return;
    fputs("sykli: no task has a name that contains ", stderr);
    cli_put(stderr, filter, 0);
    putc('\n', stderr);
}

static int run_pipeline(run *r, const char *const *names, int count)
{
    cli *c = r->c;
    uint64_t timeout_ms;
    int code = cli_duration(c, "timeout", 0, &timeout_ms);
    if (code) return code;
    if (timeout_ms > UINT32_MAX)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "--timeout: at most 49 days");
    if (!r->p->errors.count) {
        bool again = cli_has(c, "rerun-failed") && !count;
        if (again) names = unfinished(c, r->p, r->source->dir, &count);
        if (!again || count) // else all is well and nothing is wanted
            code = pipeline_select(c, r->p, names, count, cli_value(c, "filter"));
        if (!code) note_filter(r, count);
        const char *base = cli_value(c, "affected");
        if (!code && base) code = affected_keep(c, r->p, r->source, base);
        if (!code && !count) affected_select(c, r->p, r->source);
        if (code) return code;
        pipeline_decide(c, r->p, r->source->dir);
        pipeline_check_support(c, r->p, r->source);
    }
    if (r->watching) r->watch = watch_begin(r->c, r->p, r->source, r->watch);
    r->watched = r->watch != NULL;
    if (r->p->errors.count && !r->events) ci_annotate_pipeline(c, r->p, r->source->path);
    if (r->p->errors.count) return pipeline_refuse(c, r->p, r->source->path);
    pipeline_note(r->p);
    return run_chosen(r, timeout_ms);
}

// A scope below `trusted` promises isolation; what is not there is refused, never silently weaker.
static int check_scope(cli *c)
{
    static const char *const scopes[] = { "trusted", "branch", "pr", NULL };
    int scope, code = cli_choice(c, "scope", scopes, 0, &scope);
    if (code || !scope) return code;
    return cli_fail(c, CLI_FAILED, "unsupported",
                    "run it in a container or a machine of its own, with --no-cache",
                    "--scope %s needs tasks to be isolated, and this build cannot", scopes[scope]);
}

static int run_once(cli *c, run *r, pipeline *p, pipeline_source *source)
{
    static const char *const outputs[] = { "failed", "stream", "all", "none", NULL };
    int output, first = 0;
    int code = cli_choice(c, "output", outputs, OUTPUT_FAILED, &output);
    if (!code) code = check_scope(c);
    const char *path = cli_value(c, "file");
    if (!path && c->arg_count && pipeline_is_path(c->args[0])) path = c->args[first++];
    if (!code) code = pipeline_find_source(c, path, source);
    if (code) return code;
    pipeline_read(c, p, source->text, source->size, false);
    secret_take(p);
    r->output = (run_output)output;
    return run_pipeline(r, c->args + first, c->arg_count - first);
}

static int stopped(void) { return signal_got; }

// Says that it waits, and then for what it no longer does.
static bool wait_for_change(cli *c, run *r)
{
    const char *changed = "";
    size_t more = 0;
    fflush(stdout);
    fputs("sykli: waiting for changes; Ctrl-C ends\n", stderr);
    if (!watch_wait(c, r->watch, stopped, &changed, &more)) return false;
    fputs("sykli: ", stderr);
    cli_put(stderr, changed, 0);
    if (more) fprintf(stderr, " and %zu more", more);
    fputs(" changed\n", stderr);
    return true;
}

// Runs, and runs again whenever something that it reads has changed.
static int run_watching(cli *c)
{
    watch *w = NULL;
    int code;
    bool again;
    if (cli_value(c, "file") && !strcmp(cli_value(c, "file"), "-"))
        return cli_fail(c, CLI_USAGE, "usage", NULL, "--watch needs a file, not stdin");
    catch_signals(NULL);
    do {
        void *mark = cli_mark(c);
        pipeline_source source = { 0 };
        pipeline p = { 0 };
        run r = { .c = c, .p = &p, .source = &source, .events = cli_has(c, "events"),
                  .quiet = cli_has(c, "quiet"), .watching = true, .watch = w };
        code = run_once(c, &r, &p, &source);
        w = r.watch;
        if (w && !r.watched) watch_keep(w); // the pipeline, or what is wanted of it, is not there
        again = w && !signal_got && wait_for_change(c, &r);
        if (source.text) pipeline_free(&p);
        cli_release(c, mark);
    } while (again);
    if (w) watch_end(w);
    return signal_got ? 128 + (signal_got == SIGHUP ? SIGTERM : signal_got) : code;
}

int run_verb(cli *c)
{
    pipeline_source source = { 0 };
    pipeline p = { 0 };
    run r = { .c = c, .p = &p, .source = &source, .events = cli_has(c, "events"),
              .quiet = cli_has(c, "quiet") };
    if (cli_has(c, "watch")) return run_watching(c);
    int code = run_once(c, &r, &p, &source);
    if (source.text) pipeline_free(&p);
    return code;
}
