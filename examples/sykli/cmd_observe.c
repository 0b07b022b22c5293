// One task of a node as it runs: what it is, then its output from the first byte to its end.
#define _GNU_SOURCE 1
#include "look.h"
#include <fcntl.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TICK_MS = 100 };

static const cli_option options[] = {
    { "plain", 0, NULL, "lines only: no keys, as when the output is no terminal" },
    { "events", 0, NULL, "print one JSON object per event" },
    { "timeout", 0, "TIME", "how long to wait for a task that has not started, default 60s" },
    { NULL, 0, NULL, NULL }
};

typedef struct observer {
    asking *a;
    const char *node;
    look_task task;
    bool events, keys;
    struct termios before; // of the terminal, while we read keys
    int flags;
} observer;

// ---- keys ----

static void keys_begin(observer *o)
{
    struct termios raw;
    o->keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &o->before) == 0;
    if (!o->keys) return;
    raw = o->before;
    raw.c_lflag &= (tcflag_t)~(ICANON | ECHO); // signals stay: ^C still ends us
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    o->flags = fcntl(STDIN_FILENO, F_GETFL);
    fcntl(STDIN_FILENO, F_SETFL, o->flags | O_NONBLOCK);
}

static void keys_end(observer *o)
{
    if (!o->keys) return;
    fcntl(STDIN_FILENO, F_SETFL, o->flags);
    tcsetattr(STDIN_FILENO, TCSANOW, &o->before);
    o->keys = false;
}

static int on_tick(void *user)
{
    observer *o = user;
    char key = 0;
    if (!o->keys || read(STDIN_FILENO, &key, 1) != 1) return 0;
    if (key == 'q') return ASK_STOP;
    if (key != 'k') return 0;
    sykli_json_doc answer;
    char *args = ask_args(o->a->c, "{\"task\":%s}", o->task.path);
    if (ask_call(o->a, o->node, "task.kill", args, &answer))
        cli_say(stderr, "sykli: %s\n", o->a->c->fault.text);
    else sykli_json_free(&answer);
    return 0;
}

// ---- the screen ----

// "1.2GB", as the screen has always shown it.
static const char *tight_size(cli *c, uint64_t bytes)
{
    char text[32], *to = text;
    if (bytes == SYKLI_NULL_U64) return "-";
    sykli_format_size(text, bytes);
    for (const char *from = text; *from; from++)
        if (*from != ' ') *to++ = *from;
    *to = 0;
    return cli_print(c, "%s", text);
}

static void print_task(const observer *o)
{
    cli *c = o->a->c;
    const look_task *t = &o->task;
    uint64_t now = (uint64_t)look_wall_ms(c), spent = t->duration_ms;
    if (t->running && t->started_at_ms != SYKLI_NULL_U64 && now > t->started_at_ms)
        spent = now - t->started_at_ms;
    cli_say(stdout, "Task: %s\n  Status: %s", t->name, t->status);
    if (spent && spent != SYKLI_NULL_U64) printf(" (%s)", look_duration(c, spent));
    printf("\n  Memory: %s\n", tight_size(c, t->memory_bytes));
    if (t->cpu_ms == SYKLI_NULL_U64 || !spent || spent == SYKLI_NULL_U64) puts("  CPU: -");
    else printf("  CPU: %llu%%\n", (unsigned long long)(t->cpu_ms * 100 / spent));
    puts("\n  Live output:");
    fflush(stdout);
}

static int on_line(void *user, const char *line, size_t size)
{
    observer *o = user;
    cli *c = o->a->c;
    sykli_json_doc doc;
    if (o->events) return ask_put_line(c, line, size);
    int rc = sykli_json_parse(&doc, &c->mem, line, size, &c->fault);
    if (rc) return rc;
    const char *event = sykli_arg_text(&doc, "event", ""), *why = sykli_arg_text(&doc, "why", "");
    if (!strcmp(event, "task_output")) {
        const char *text = sykli_arg_text(&doc, "text", "");
        fputs("  > ", stdout);
        cli_put_output(stdout, text, strlen(text), c->colour);
        putchar('\n');
    } else if (!strcmp(event, "gap")) {
        printf("  … %llu lines were too fast to follow\n",
               (unsigned long long)sykli_arg_u64(&doc, "lost", 0));
    } else if (!strcmp(event, "task_finished")) {
        cli_say(stdout, "\n  Ended: %s", sykli_arg_text(&doc, "status", ""));
        printf(" (%s)", look_duration(c, sykli_arg_u64(&doc, "duration_ms", 0)));
        if (*why) fputs(": ", stdout);
        cli_put(stdout, why, 0);
        putchar('\n');
    }
    sykli_json_free(&doc);
    return fflush(stdout) ? ASK_STOP : 0;
}

// ---- which task ----

static void list_tasks(const look_task *tasks, size_t count)
{
    printf("%zu tasks run here; this is the one that started first:\n", count);
    for (size_t i = 0; i < count; i++)
        cli_say(stdout, "  %s  (%s)\n", tasks[i].name, tasks[i].id);
}

// The task to observe, waiting for it until `end_ms`.    returns  0 or the exit code
static int choose_task(observer *o, const char *word, uint64_t end_ms, const char *shown)
{
    cli *c = o->a->c;
    bool told = false;
    for (;;) {
        const look_task *tasks;
        size_t count, running = 0;
        int code = word ? look_find(o->a, o->node, word, &o->task) : -1;
        if (code >= 0) return code;
        if (!word) {
            if (look_tasks(o->a, o->node, false, &tasks, &count)) return ask_failed(o->a);
            while (running < count && tasks[running].running) running++;
            if (running) {
                if (running > 1 && !o->events) list_tasks(tasks, running);
                o->task = tasks[0];
                return 0;
            }
        }
        if (sykli_now_ms(o->a->s) >= end_ms)
            return cli_fail(c, CLI_FAILED, "not_found", NULL, "%s%s on %s", word ? "no task " :
                            "no task runs", word ? word : "", shown);
        if (!told && !o->events) {
            cli_say(stdout, "%s%s on %s; waiting for %s\n", word ? "No task " : "No task runs",
                   word ? word : "", shown, word ? "it" : "one");
            fflush(stdout);
        }
        told = true;
        sykli_poll(o->a->s, TICK_MS);
    }
}

static const char *shown_name(asking *a, const char *word)
{
    const ask_node *nodes;
    size_t count;
    if (ask_nodes(a, &nodes, &count)) return word;
    const char *name = ask_whom(a, word) == ask_here(a) ? a->node : word;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(nodes[i].name, name)) return nodes[i].shown;
    return word;
}

static int observe(observer *o, const char *word, uint64_t timeout_ms)
{
    cli *c = o->a->c;
    const char *shown = shown_name(o->a, c->args[0]);
    if (!o->events) {
        cli_say(stdout, "Observing node: %s\n", shown);
        look_rule(c);
        fflush(stdout);
    }
    int code = choose_task(o, word, sykli_now_ms(o->a->s) + timeout_ms, shown);
    if (code) return code;
    if (!o->events) print_task(o);
    if (!o->events && !cli_has(c, "plain") && cli_terminal(stdout)) keys_begin(o);
    if (o->keys)
        printf("%s[Press 'k' to kill, 'q' to quit]%s\n", cli_style_on(c->colour, CLI_FAINT),
               cli_style_on(c->colour, CLI_PLAIN));
    int rc = ask_lines(o->a, &(sykli_request){ .verb = SYKLI_VERB_watch, .node = o->node,
                                               .what = "output",
                                               .args = ask_args(c, "{\"task\":%s}", o->task.path) },
                       &(ask_reader){ on_line, on_tick, TICK_MS, o });
    keys_end(o);
    return rc < 0 ? ask_failed(o->a) : CLI_OK;
}

static int run(cli *c)
{
    asking a;
    uint64_t timeout_ms;
    int code = cli_arguments(c, 1, 2);
    if (!code) code = cli_duration(c, "timeout", 60000, &timeout_ms);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    observer o = { .a = &a, .node = ask_whom(&a, c->args[0]),
                   .events = cli_has(c, "events") || c->json };
    code = observe(&o, c->arg_count > 1 ? c->args[1] : NULL, timeout_ms);
    ask_end(&a);
    return code;
}

const cli_verb verb_observe = { "observe", "follow a running task on any node",
                                "NODE [TASK] [OPTION...]", "sykli observe ci-runner-7", options,
                                NULL, run };
