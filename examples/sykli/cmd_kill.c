// Ends one task, wherever it runs.
#include "look.h"

static int run(cli *c)
{
    asking a;
    look_task task;
    sykli_json_doc answer;
    int code = look_begin(&a, c, "", &task);
    if (code) return code;
    if (task.ended)
        code = cli_fail(c, CLI_FAILED, "ended", NULL, "%s has ended already: %s", task.path,
                        task.status);
    else if (ask_call(&a, ask_whom(&a, c->args[0]), "task.kill",
                      ask_args(c, "{\"task\":%s}", task.path), &answer))
        code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        look_done(c, &task, "killed", ask_args(c, "{\"task\":%s,\"id\":%s}", task.path, task.id));
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_kill = { "kill", "end a task, wherever it runs", "NODE TASK",
                             "sykli kill ci-runner-7 build-frontend", NULL, NULL, run };
