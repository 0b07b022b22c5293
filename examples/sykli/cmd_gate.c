// Says yes or no to a task that waits at its gate, wherever that is.
#include "look.h"
#include <stdlib.h>
#include <string.h>

// Who says so, as this machine knows them: from which node is what others can rely on.
static const char *user(void)
{
    const char *name = getenv("USER");
    if (!name || !*name) name = getenv("LOGNAME");
    return name ? name : "";
}

static int decide(cli *c, bool yes)
{
    asking a;
    look_task task;
    sykli_json_doc answer;
    int code = look_begin(&a, c, " WHERE status = ready", &task);
    if (code) return code;
    if (strcmp(task.status, sykli_status_names[SYKLI_STATUS_ready]))
        code = cli_fail(c, CLI_FAILED, "not_waiting", NULL, "%s does not wait at a gate: %s",
                        task.path, task.status);
    else if (ask_call(&a, ask_whom(&a, c->args[0]), yes ? "gate.approve" : "gate.deny",
                      ask_args(c, "{\"task\":%s,\"by\":%s,\"reason\":%s}", task.path, user(),
                               cli_value(c, "reason")), &answer))
        code = ask_failed(&a);
    else {
        sykli_json_free(&answer);
        look_done(c, &task, yes ? "approved" : "denied",
                  ask_args(c, "{\"task\":%s,\"id\":%s,\"approved\":%b}", task.path, task.id,
                           (int)yes));
    }
    ask_end(&a);
    return code;
}

static int approve(cli *c) { return decide(c, true); }
static int deny(cli *c) { return decide(c, false); }

static const cli_option options[] = { { "reason", 0, "TEXT", "why; it is kept with the run" },
                                      { .name = NULL } };

static const cli_verb verb_approve = { "approve", "let a task go on", "NODE TASK",
                                       "sykli gate approve ci-runner-7 deploy", options, NULL,
                                       approve };
static const cli_verb verb_deny = { "deny", "end a task as failed", "NODE TASK",
                                    "sykli gate deny ci-runner-7 deploy --reason frozen", options,
                                    NULL, deny };
static const cli_verb *const verbs[] = { &verb_approve, &verb_deny, NULL };

const cli_verb verb_gate = { "gate", "decide about a task that waits at its gate",
                             "approve|deny NODE TASK", "sykli gate approve ci-runner-7 deploy",
                             NULL, verbs, NULL };
