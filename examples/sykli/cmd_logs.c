// Prints what a task has printed, in the last run or a given one.
#include "log.h"
#include "record.h"
#include <string.h>

static const cli_option options[] = {
    { "run", 0, "ID", "of that run; default: the last one that has the task" },
    { NULL, 0, NULL, NULL }
};

// A run may be named by the beginning or the end of its id.
static bool answers_to(const record *r, const char *id)
{
    size_t size = strlen(id), whole = strlen(r->id);
    return size <= whole && (!strncmp(r->id, id, size) || !strcmp(r->id + whole - size, id));
}

static int run(cli *c)
{
    size_t count, seen = 0;
    const char *id = cli_value(c, "run");
    if (c->arg_count != 1)
        return cli_fail(c, CLI_USAGE, "usage", "sykli logs TASK",
                        "logs needs one argument, a task");
    const record *records = record_list(c, 100, &count);
    const record_task *task = NULL;
    for (size_t i = 0; i < count && !task; i++) {
        if (id && !answers_to(&records[i], id)) continue;
        task = record_find(&records[i], c->args[0]);
        if (task && !task->log && !task->log_id) task = NULL; // it printed nothing
        seen++;
    }
    if (!seen)
        return cli_fail(c, CLI_FAILED, "run_not_found", "sykli history lists them", "no run %s",
                        id ? id : "yet");
    if (!task)
        return cli_fail(c, CLI_FAILED, "log_not_found", NULL, "%s has printed nothing", c->args[0]);
    if (!task->log) return log_print_blob(c, task->log_id);
    log_print(c, task->log, 0, "");
    return CLI_OK;
}

const cli_verb verb_logs = { "logs", "print what a task has printed", "TASK [--run ID]",
                             "sykli logs test", options, NULL, run };
