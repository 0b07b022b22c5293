// A gate holds its task until its strategy has an answer:
//     prompt   somebody at the terminal says y; where there is none it is denied, or beside a node
//              waits for an operator
//     env      the variable says approved, 1, true or yes; anything else denies; unset waits
//     file     the file is there; one that says "denied" denies
//     webhook  one POST by the user's `curl`; it says {"approved": bool, "approver", "reason"}
// Beside a node an operator can decide any of them first (op gate.approve, gate.deny). An approved
// gate goes on with its command, if it has one; all else is a failure with its reason.
#define _GNU_SOURCE 1
#include "gate.h"
#include "tool.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 64 << 10 };

typedef struct gate {
    struct gate *next;
    pipeline_task *task;
    uint64_t deadline_ms;
    bool asked;           // prompt: the question is on the screen
    tool curl;            // webhook
} gate;

struct gates {
    cli *c;
    sykli *s;
    pipeline *p;
    const char *dir;
    bool reached;         // by operators elsewhere
    gate *open;
    char line[64];        // what has been typed
    size_t size;
};

gates *gates_begin(cli *c, sykli *s, pipeline *p, const char *dir, bool reached)
{
    gates *g = cli_alloc(c, sizeof *g);
    *g = (gates){ .c = c, .s = s, .p = p, .dir = dir, .reached = reached };
    return g;
}

bool gates_open(const gates *g) { return g->open != NULL; }

static bool terminal(void) { return isatty(0) && isatty(2); }

// Then what is typed is for others, and to flush or read it would stop us. A terminal that does not
// control us knows no background.
static bool in_background(void)
{
    pid_t front = tcgetpgrp(0);
    return front >= 0 && front != getpgrp();
}

bool gates_asking(const gates *g)
{
    if (!terminal()) return false;
    for (const gate *at = g->open; at; at = at->next)
        if (!strcmp(at->task->gate->strategy, "prompt")) return true;
    return false;
}

static bool question_open(const gates *g)
{
    for (const gate *at = g->open; at; at = at->next)
        if (at->asked) return true;
    return false;
}

static void end(gates *g, gate *gone)
{
    gate **at = &g->open;
    while (*at != gone) at = &(*at)->next;
    *at = gone->next;
    tool_kill(&gone->curl);
}

static void decide(gates *g, gate *at, bool go, const char *reason)
{
    sykli_task task = at->task->handle;
    end(g, at);
    sykli_task_decide(g->s, task, go ? SYKLI_STATUS_passed : SYKLI_STATUS_failed, reason);
}

const char *gates_wait_for(const gates *g, const char *task)
{
    const pipeline_task *t = pipeline_find(g->p, task);
    const pipeline_gate *how = t->gate;
    if (!how) return "";
    if (!strcmp(how->strategy, "env"))
        return cli_print(g->c, "waits for the variable %s", how->env_var ? how->env_var : "");
    if (!strcmp(how->strategy, "file"))
        return cli_print(g->c, "waits for the file %s", how->file_path ? how->file_path : "");
    if (!strcmp(how->strategy, "webhook")) return "waits for the webhook";
    if (terminal() || !g->reached) return "waits for an answer";
    return cli_print(g->c, "waits for: sykli gate approve %s %s", sykli_node_name(g->s), task);
}

// ---- strategies ----

static void put_question(const gate *at)
{
    const pipeline_gate *how = at->task->gate;
    fputs("\r\x1b[K  ? ", stderr);
    cli_put(stderr, at->task->name, 0);
    fputs(how->message ? ": " : "", stderr);
    cli_put(stderr, how->message ? how->message : "", 0);
    fputs("  [y/N] ", stderr);
    fflush(stderr);
}

// What was typed before the question is no answer to it: an Enter too many would deny.
static void ask(gates *g, gate *at)
{
    if (!terminal()) {
        if (!g->reached) decide(g, at, false, "denied: there is no terminal to ask at");
        return;
    }
    if (!in_background()) tcflush(0, TCIFLUSH);
    put_question(at);
    at->asked = true;
    g->size = 0;
}

void gates_ask_again(const gates *g)
{
    for (const gate *at = g->open; at; at = at->next)
        if (at->asked) put_question(at);
}

// What has been typed, once there is a line of it.     returns  whether there is
static bool typed(gates *g)
{
    struct pollfd p = { 0, POLLIN, 0 };
    char c;
    while (!in_background() && poll(&p, 1, 0) > 0) {
        ssize_t got = read(0, &c, 1);
        if (got < 0) return false;
        if (got == 0) fputc('\n', stderr); // as Enter would have
        if (got == 0 || c == '\n') {
            g->line[g->size] = 0;
            return true;
        }
        if (g->size < sizeof g->line - 1) g->line[g->size++] = c;
    }
    return false;
}

static void look_prompt(gates *g, gate *at)
{
    if (!at->asked && !question_open(g)) ask(g, at);
    else if (at->asked && typed(g)) {
        const char *word = g->line + strspn(g->line, " \t");
        bool yes = (*word | 0x20) == 'y';
        decide(g, at, yes, yes ? "approved at the terminal" : "denied at the terminal");
    }
}

static void look_env(gates *g, gate *at)
{
    static const char *const yes[] = { "approved", "1", "true", "yes" };
    const char *name = at->task->gate->env_var, *value = name ? getenv(name) : NULL;
    if (!name) decide(g, at, false, "denied: the gate names no `env_var`");
    if (!value) return;
    for (int i = 0; i < 4; i++)
        if (!strcmp(value, yes[i])) {
            decide(g, at, true, cli_print(g->c, "approved by %s", name));
            return;
        }
    decide(g, at, false, cli_print(g->c, "denied by %s", name));
}

static void look_file(gates *g, gate *at)
{
    const char *path = at->task->gate->file_path;
    char word[16] = "";
    if (!path) {
        decide(g, at, false, "denied: the gate names no `file_path`");
        return;
    }
    const char *full = *path == '/' ? path : cli_print(g->c, "%s/%s", g->dir, path);
    FILE *file = fopen(full, "r");
    if (!file) return;
    size_t size = fread(word, 1, sizeof word - 1, file);
    fclose(file);
    while (size && strchr(" \t\r\n", word[size - 1])) word[--size] = 0;
    bool denied = !strcmp(word + strspn(word, " \t\r\n"), "denied");
    decide(g, at, !denied, cli_print(g->c, "%s by %s", denied ? "denied" : "approved", path));
}

static int post(gates *g, gate *at)
{
    const pipeline_gate *how = at->task->gate;
    sykli_buf body;
    sykli_buf_init(&body, &g->c->mem, SYKLI_TAG_host);
    sykli_buf_text(&body, "{\"gate\":");
    sykli_json_quote(&body, at->task->name, strlen(at->task->name));
    sykli_buf_text(&body, ",\"message\":");
    if (how->message) sykli_json_quote(&body, how->message, strlen(how->message));
    else sykli_buf_text(&body, "null");
    sykli_buf_text(&body, "}");
    const char *const argv[] = { "curl", "--silent", "--show-error", "--fail", "--proto",
        "=http,https", "--header", "Content-Type: application/json", "--data-raw",
        body.error ? "{}" : (const char *)body.data, "--url", how->webhook_url, NULL };
    int rc = tool_begin(g->c, &at->curl, argv, NULL, false, how->timeout_ms,
                        ANSWER_MAX_BYTES);
    sykli_buf_free(&body);
    return rc;
}

static void answered(gates *g, gate *at)
{
    const tool *curl = &at->curl;
    sykli_json_doc doc;
    if (!tool_passed(curl)) {
        decide(g, at, false, cli_print(g->c, "denied: curl: %s", tool_ending(g->c, curl)));
        return;
    }
    if (sykli_json_parse(&doc, &g->c->mem, curl->text, curl->size, NULL) < 0) {
        decide(g, at, false, "denied: the webhook did not answer with JSON");
        return;
    }
    uint32_t node = sykli_json_get(&doc, 0, "approved");
    bool yes = node && doc.nodes[node].type == SYKLI_JSON_true;
    const char *who = sykli_json_text(&doc, sykli_json_get(&doc, 0, yes ? "approver" : "reason"));
    const char *reason = cli_print(g->c, "%s by the webhook%s%.200s", yes ? "approved" : "denied",
                                   who ? ": " : "", who ? who : "");
    sykli_json_free(&doc);
    decide(g, at, yes, reason);
}

static void look_webhook(gates *g, gate *at)
{
    if (!at->task->gate->webhook_url) {
        decide(g, at, false, "denied: the gate names no `webhook_url`");
        return;
    }
    int rc = at->curl.text ? tool_step(g->c, &at->curl, 0) : post(g, at) ? -EIO : 1;
    if (rc == 0) answered(g, at);
    if (rc < 0 && rc != -ETIMEDOUT) decide(g, at, false, "denied: curl could not be run");
}

// ---- the flow ----

static void look(gates *g, gate *at)
{
    const pipeline_gate *how = at->task->gate;
    char time[32];
    if (sykli_now_ms(g->s) >= at->deadline_ms) {
        if (at->asked) fputc('\n', stderr);
        sykli_format_duration(time, how->timeout_ms);
        decide(g, at, false, cli_print(g->c, "timeout: nobody decided within %s", time));
    } else if (!strcmp(how->strategy, "env")) look_env(g, at);
    else if (!strcmp(how->strategy, "file")) look_file(g, at);
    else if (!strcmp(how->strategy, "webhook")) look_webhook(g, at);
    else look_prompt(g, at);
}

static void open_gate(gates *g, pipeline_task *t)
{
    gate *fresh = cli_alloc(g->c, sizeof *fresh), **last = &g->open;
    while (*last) last = &(*last)->next;
    *fresh = (gate){ .task = t, .deadline_ms = sykli_now_ms(g->s) + t->gate->timeout_ms };
    *last = fresh;
    sykli_wakeup(g->s); // the loop looks at it soon
}

void gates_event(gates *g, const sykli_event *event)
{
    // Somebody else, a failure or the end of the run was first.
    if (event->kind == SYKLI_EVENT_task_finished || event->kind == SYKLI_EVENT_task_decided)
        for (gate *at = g->open, *next; at; at = next) {
            next = at->next;
            if (at->task->handle.id != event->task.id) continue;
            if (at->asked) fputc('\n', stderr);
            end(g, at);
        }
    if (event->kind != SYKLI_EVENT_task_held) return;
    pipeline_task *t = pipeline_find(g->p, event->name);
    if (t->gate) {
        open_gate(g, t);
        return;
    }
    const char *kind = t->review && t->review->primitive ? t->review->primitive : "";
    sykli_task_decide(g->s, t->handle, SYKLI_STATUS_errored,
                      cli_print(g->c, "no command does reviews of the primitive \"%s\": set "
                                "reviews.%s in sykli.yaml", kind, *kind ? kind : "NAME"));
}

void gates_tick(gates *g)
{
    for (gate *at = g->open, *next; at; at = next) {
        next = at->next;
        look(g, at);
    }
}

void gates_end(gates *g)
{
    for (; g->open; g->open = g->open->next) tool_kill(&g->open->curl);
}
