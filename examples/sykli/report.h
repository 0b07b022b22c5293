// What is told of a run that has ended: to people, to CI systems, to programs.
#ifndef REPORT_H_INCLUDED
#define REPORT_H_INCLUDED

#include "run.h"

typedef struct report_row {
    const pipeline_task *task;
    sykli_task_info info;
} report_row;

// The wanted tasks in the order of the file; r->counts is then their number by status.
report_row *report_rows(run *r, size_t *count);
bool report_is_bad(sykli_status status); // failed, errored, cancelled
const char *report_glyph(sykli_status status);
extern const sykli_status report_order[SYKLI_ENDINGS]; // what matters most is first

// For people, on stdout, and for `run --json`.
void report_print(run *r);
void report_json(run *r);

// JUnit XML into a file.   returns  0, or the exit code after an error message
int junit_write(run *r, const char *path);

#endif
