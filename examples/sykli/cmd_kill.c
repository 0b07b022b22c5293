// Ends one task, wherever it runs.
#include "look.h"

static int run(cli *c)
{
    asking a;
    look_task task;
    sykli_json_doc answer;
    int code = cli_arguments(c, 2, 2);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    const char *node = ask_whom(&a, c->args[0]);
    code = look_find(&a, node, c->args[1], &task);
    if (code < 0)
        code = cli_fail(c, CLI_FAILED, "not_found",
                        cli_print(c, "sykli query 'SELECT run, name, status FROM tasks' --on %s",
                                  c->args[0]),
                        "%s has no task %s", c->args[0], c->args[1]);
    else if (!code && task.ended)
        code = cli_fail(c, CLI_FAILED, "ended", NULL, "%s has ended already: %s", task.path,
                        task.status);
    else if (!code && ask_call(&a, node, "task.kill", ask_args(c, "{\"task\":%s}", task.path),
                               &answer))
        code = ask_failed(&a);
    else if (!code) {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"task\":%s,\"id\":%s}", task.path,
                                                    task.id));
        else {
            printf("%s✓%s killed ", cli_style_on(c->colour, CLI_GOOD),
                   cli_style_on(c->colour, CLI_PLAIN));
            cli_say(stdout, "%s on %s (id %s)\n", task.name, c->args[0], task.id);
        }
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_kill = { "kill", "end a task, wherever it runs", "NODE TASK",
                             "sykli kill ci-runner-7 build-frontend", NULL, NULL, run };
