// Tasks that are functions of this program. Each is called in a child process: what it prints is
// captured, what it returns is its exit code, and a crash is a failed task and not the end of us.
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

// Counts the lines of notes.txt into lines.txt. It runs in the project folder, as a command would.
static int count_lines(void *user)
{
    const char *path = (const char *)user;
    FILE *in = fopen(path, "r"), *out = fopen("lines.txt", "w");
    int lines = 0, c;
    while (in && (c = getc(in)) != EOF) lines += c == '\n';
    printf("%s has %d lines\n", path, lines);
    bool good = in && out && fprintf(out, "%d\n", lines) > 0;
    if (in) fclose(in);
    if (out && fclose(out)) good = false;
    return !good;
}

static int crash(void *user)
{
    (void)user;
    return raise(SIGSEGV);
}

static void show(void *user, const sykli_event *event)
{
    (void)user;
    if (event->kind == SYKLI_EVENT_task_output)
        printf("%s | %.*s\n", event->name, (int)event->text_size, event->text);
    if (event->kind == SYKLI_EVENT_task_finished)
        printf("%s: %s%s%s\n", event->name, sykli_status_names[event->status],
               event->text ? ", " : "", event->text ? event->text : "");
}

int main(void)
{
    char path[] = "notes.txt";
    FILE *notes = fopen(path, "w");
    if (!notes) return 1;
    fputs("one\ntwo\n", notes);
    fclose(notes);
    sykli *s = sykli_open(&(sykli_desc){ .keep_going = true, .on_event = show });
    // The command of a function is its version: change it when the function changes, and what is
    // in the cache no longer fits. Without one the task is never cached.
    sykli_add(s, &(sykli_task_desc){ .name = "count", .command = "count_lines 1",
        .function = count_lines, .function_user = path,
        .inputs = { "notes.txt" }, .outputs = { { "lines", "lines.txt" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "crash", .function = crash });
    int failed = sykli_run(s);
    if (failed < 0) fprintf(stderr, "%s\n", sykli_errmsg(s));
    sykli_close(s);
    return failed != 1; // the crash, and only that
}
