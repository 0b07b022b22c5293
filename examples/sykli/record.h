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
    const char *id; // 16 hex digits
    uint64_t started_ms, ended_ms; // ended 0: interrupted
    size_t planned;                // tasks of the run
    record_task *tasks;
    size_t count;
    size_t of[SYKLI_STATUS_COUNT]; // tasks by status
} record;

// The newest records first, at most `max`.     returns  the records, *count of them
record *record_list(cli *c, size_t max, size_t *count);
const char *record_status(const record *r); // passed, failed or interrupted
const record_task *record_find(const record *r, const char *name); // NULL: not in it

#endif
