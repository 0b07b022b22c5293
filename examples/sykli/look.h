// What the screens that look at nodes share: the rule below a title, tasks found by what a user
// typed, sizes and times in words.
#ifndef LOOK_H_INCLUDED
#define LOOK_H_INCLUDED

#include "ask.h"

// The line below a title.
void look_rule(const cli *c);

typedef struct look_task {
    const char *id, *run, *name, *status;
    const char *path; // RUN/NAME: what an op is told
    bool running, ended;
    uint64_t started_at_ms, memory_bytes, cpu_ms, duration_ms; // SYKLI_NULL_U64: not known
} look_task;

// The tasks of a node that have not ended, or all; those that run first, oldest first.
//   returns  0 or the error, c->fault set
int look_tasks(asking *a, const char *node, bool all, const look_task **out, size_t *count);
// The one a word means: a name, RUN/NAME, an id, or the beginning of a run or of an id. Tasks that
// have not ended come before those that have.
//   returns  0, or the exit code after a message; -1: there is none (nothing is said)
int look_find(asking *a, const char *node, const char *word, look_task *out);

// Begins a verb whose arguments are NODE TASK, and finds that task.
//   where    for the hint if there is none: what a query would ask for
//   returns  0, `a` to be ended; or the exit code after a message
int look_begin(asking *a, cli *c, const char *where, look_task *out);
// Says what was done to that task.      json  the same for --json
void look_done(cli *c, const look_task *task, const char *did, const char *json);

// "1.2 GB", "2m 14s", or "-" for SYKLI_NULL_U64; live as long as the program.
const char *look_size(cli *c, uint64_t bytes);
const char *look_duration(cli *c, uint64_t ms);

// The wall clock.
int64_t look_wall_ms(cli *c);

#endif
