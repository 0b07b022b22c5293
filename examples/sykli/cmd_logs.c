// Prints what a task has printed: in the last run that has it, in a given one, as it comes while it
// runs, or of a task that runs on another node.
#define _GNU_SOURCE 1
#include "log.h"
#include "look.h"
#include "record.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS_MAX = 100, FOLLOW_MS = 50, JSON_MAX_BYTES = 8 << 20 };

static const cli_option options[] = {
    { "follow", 'f', NULL, "go on printing until the task has ended" },
    { "run", 0, "ID", "of that run; default: the last one that has the task" },
    { NULL, 0, NULL, NULL }
};

// A task's log in a run: a file, or for a hit the blob of the run that it comes from.
typedef struct found {
    record *of;
    const char *path, *blob;
    bool running; // it has not ended
} found;

static bool is_there(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0;
}

// Looks into one run.      returns  whether the task has printed something there, or is about to
static bool look_into(cli *c, record *r, const char *name, found *out)
{
    const record_task *task = record_find(r, name);
    *out = (found){ r, task ? task->log : record_log_path(c, r, name), task ? task->log_id : NULL,
                    !task && record_runs(r) };
    if (!is_there(out->path) && !out->running) out->path = NULL;
    return out->path || out->blob;
}

// Ends the verb for a name that is in no run: those that are near, else those of the last run.
static int no_task(cli *c, const char *name, const record *records, size_t count)
{
    enum { LISTED_MAX = 8 };
    size_t all = 0, used = 0;
    for (size_t i = 0; i < count; i++) all += records[i].count;
    const char **names = cli_alloc(c, (all + 1) * sizeof *names);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < records[i].count; k++) names[used++] = records[i].tasks[k].name;
    const char *near = sykli_nearest(name, names, used);
    const char *hint = near ? cli_print(c, "did you mean %s?", near) : NULL;
    for (size_t k = 0; !near && k < records->count && k < LISTED_MAX; k++)
        hint = k ? cli_print(c, "%s, %s", hint, names[k])
                 : cli_print(c, "the last run had %s", names[k]);
    if (!near && records->count > LISTED_MAX)
        hint = cli_print(c, "%s and %zu more", hint, records->count - LISTED_MAX);
    return cli_fail(c, CLI_FAILED, "log_not_found", hint, "no run has a task %s", name);
}

static int find(cli *c, const char *name, found *out)
{
    size_t count, seen = 0;
    bool follows = cli_has(c, "follow"), any = false;
    const char *id = cli_value(c, "run");
    record *records = record_list(c, ".", RECORDS_MAX, &count);
    for (size_t i = 0; i < count && !any; i++) {
        if (id && !record_answers_to(&records[i], id)) continue;
        any = look_into(c, &records[i], name, out);
        if (any && out->running && !follows && !is_there(out->path)) any = false;
        seen++;
    }
    if (any) return 0;
    if (!seen)
        return cli_fail(c, CLI_FAILED, "run_not_found", "sykli history lists them", "no run %s",
                        id ? id : "yet");
    for (size_t i = 0; i < count; i++)
        if (record_find(&records[i], name))
            return cli_fail(c, CLI_FAILED, "log_not_found", NULL, "%s has printed nothing", name);
    return no_task(c, name, records, count);
}

// Prints the lines that have come since.
static void print_more(cli *c, FILE *from, char **line, size_t *room)
{
    for (size_t size; (size = log_line(from, line, room)) > 0;) {
        bool whole = (*line)[size - 1] == '\n';
        cli_put_output(stdout, *line, size - whole, c->colour);
        if (whole) putchar('\n');
    }
    clearerr(from);
    fflush(stdout);
}

static int follow(cli *c, const char *name, found *f)
{
    FILE *from = NULL;
    char *line = NULL;
    size_t room = 0;
    for (bool more = true; more;) {
        void *mark = cli_mark(c);
        record now = *f->of;
        record_again(c, &now); // before what is printed is read: nothing comes after its end
        more = !record_find(&now, name) && record_runs(&now);
        cli_release(c, mark);
        if (!from) from = fopen(f->path, "rb");
        if (from) print_more(c, from, &line, &room);
        if (ferror(stdout)) break;
        if (more) poll(NULL, 0, FOLLOW_MS);
    }
    free(line);
    if (from) fclose(from);
    return CLI_OK;
}

static int print_json(cli *c, const char *name, const found *f)
{
    size_t size = 0;
    const char *text = f->path ? cli_read(c, f->path, &size) : "";
    if (!text) return cli_fail_sykli(c, c->fault.code, c->fault.text);
    bool cut = size > JSON_MAX_BYTES;
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"task\":");
    sykli_json_quote(&b, name, strlen(name));
    sykli_buf_print(&b, ",\"run\":\"%s\",\"truncated\":%s,\"blob\":", f->of->id,
                    cut ? "true" : "false");
    if (f->blob) sykli_json_quote(&b, f->blob, strlen(f->blob));
    sykli_buf_text(&b, f->blob ? ",\"text\":" : "null,\"text\":");
    sykli_json_quote(&b, cut ? text + size - JSON_MAX_BYTES : text, cut ? JSON_MAX_BYTES : size);
    sykli_buf_text(&b, "}");
    cli_envelope(c, true, b.error ? NULL : (const char *)b.data);
    sykli_buf_free(&b);
    return CLI_OK;
}

// ---- of another node ----

static int on_line(void *user, const char *line, size_t size)
{
    cli *c = user;
    sykli_json_doc doc;
    int rc = sykli_json_parse(&doc, &c->mem, line, size, &c->fault);
    if (rc) return rc;
    const char *text = sykli_arg_text(&doc, "text", "");
    if (!strcmp(sykli_arg_text(&doc, "event", ""), "task_output")) {
        cli_put_output(stdout, text, strlen(text), c->colour);
        putchar('\n');
    }
    sykli_json_free(&doc);
    return fflush(stdout);
}

// What a task on a node has printed, and what it goes on to print.
static int of_node(cli *c, const char *node, const char *name)
{
    asking a;
    look_task task;
    int code = ask_begin(&a, c);
    if (code) return code;
    node = ask_whom(&a, node);
    code = look_find(&a, node, name, &task);
    if (code < 0)
        code = cli_fail(c, CLI_FAILED, "not_found", "sykli observe waits for one",
                        "no task %s on that node", name);
    else if (!code
             && ask_lines(&a, &(sykli_request){ .verb = SYKLI_VERB_watch, .node = node,
                                                .what = "output",
                                                .args = ask_args(c, "{\"task\":%s}", task.path) },
                          &(ask_reader){ on_line, NULL, 0, c }) < 0)
        code = ask_failed(&a);
    ask_end(&a);
    return code;
}

// The colon of NODE:TASK; NULL: it is a task of this folder, whose name may hold one.
static const char *colon_of(cli *c, const char *word)
{
    size_t count;
    const char *colon = strchr(word, ':');
    record *records = colon ? record_list(c, ".", RECORDS_MAX, &count) : NULL;
    for (size_t i = 0; colon && i < count; i++)
        if (record_find(&records[i], word) || is_there(record_log_path(c, &records[i], word)))
            return NULL;
    return colon;
}

static int run(cli *c)
{
    found f = { 0 };
    int code = cli_arguments(c, 1, 1);
    if (code) return code;
    const char *name = c->args[0], *colon = colon_of(c, name);
    if (colon) return of_node(c, cli_copy(c, name, (size_t)(colon - name)), colon + 1);
    code = find(c, name, &f);
    if (code) return code;
    if (c->json) return print_json(c, name, &f);
    if (f.running && cli_has(c, "follow")) return follow(c, name, &f);
    if (!f.path) return log_print_blob(c, f.blob);
    log_print(c, f.path, 0, "");
    return CLI_OK;
}

const cli_verb verb_logs = { "logs", "print what a task has printed",
                             "[NODE:]TASK [-f] [--run ID]", "sykli logs test -f", options, NULL,
                             run };
