// One run of a pipeline: run.c is its flow, progress.c what is seen while it runs, report.c what
// is said when it has ended.
#ifndef RUN_H_INCLUDED
#define RUN_H_INCLUDED

#include "pipeline.h"
#include "sykli_mesh.h"

typedef enum run_output { OUTPUT_FAILED, OUTPUT_STREAM, OUTPUT_ALL, OUTPUT_NONE } run_output;

typedef struct run run;

// What is seen while a run goes on; the events of the context are fed into it.
typedef struct progress progress;
progress *progress_begin(cli *c, const run *r);
void progress_event(progress *d, const sykli_event *event);
void progress_tick(progress *d); // redraws, at most every 100 ms
void progress_end(progress *d);  // takes the display away

struct run {
    cli *c;
    sykli *s;
    sykli_mesh *mesh; // NULL: no node runs beside us
    pipeline *p;
    const pipeline_source *source;
    run_output output;
    bool events, quiet;
    progress *display; // NULL: none
    uint32_t workers;
    int cancelled_by;  // signal, 0: none
    uint64_t wall_ms, saved_ms;
};

// The verb.
int run_verb(cli *c);

// Prints one event as a line of JSON.
void run_print_event(run *r, const sykli_event *event);

// The end of a run for people, and for `run --json`.
void report_print(run *r);
void report_json(run *r);

#endif
