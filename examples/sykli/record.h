// Records of past runs, .sykli/runs/TIME-ID.jsonl: a line when the run begins, one per task as it
// finishes, one at the end. A record without an end is of a run that was killed, or still goes on.
#ifndef RECORD_H_INCLUDED
#define RECORD_H_INCLUDED

#include "cli.h"

typedef struct record_task {
    const char *name, *log, *log_id, *reason; // log_id: the blob of a hit's log, in hex
    sykli_status status;
    uint64_t duration_ms;
} record_task;

typedef struct record {
    const char *id;   // 16 hex digits
    const char *stem; // TIME-ID, what its files are called
    const char *logs; // the folder of its logs, NULL: .sykli/logs
    const char *project; // the folder it is of
    uint64_t started_ms, ended_ms; // ended 0: interrupted, or still running
    int pid;
    size_t planned;                // tasks of the run
    record_task *tasks;
    size_t count;
    size_t of[SYKLI_STATUS_COUNT]; // tasks by status
} record;

// The newest records of a project first, at most `max`.     returns  the records, *count of them
record *record_list(cli *c, const char *project, size_t max, size_t *count);
// Reads one anew: its run may have gone on.
void record_again(cli *c, record *r);
// passed, failed, interrupted, or running
const char *record_status(const record *r);
bool record_runs(const record *r); // its process is there and has not written its end
// Whether a word means this run: the beginning or end of its id, or the number that events have.
bool record_answers_to(const record *r, const char *word);
// Where the log of a task is, or would be, whether it has ended or not.
const char *record_log_path(cli *c, const record *r, const char *task);
const record_task *record_find(const record *r, const char *name); // NULL: not in it

#endif
