// One run of a pipeline: run.c is its flow, progress.c what is seen while it runs, report.c what
// is said when it has ended.
#ifndef RUN_H_INCLUDED
#define RUN_H_INCLUDED

#include "outlet.h"
#include "pipeline.h"
#include "profile.h"
#include "watch.h"
#include "sykli_mesh.h"

typedef enum run_output { OUTPUT_FAILED, OUTPUT_STREAM, OUTPUT_ALL, OUTPUT_NONE } run_output;

typedef struct run run;

// What is seen while a run goes on; the events of the context are fed into it.
typedef struct progress progress;
progress *progress_begin(cli *c, run *r);
void progress_event(progress *d, const sykli_event *event);
void progress_tick(progress *d); // redraws, at most every 100 ms
void progress_pause(progress *d, bool paused); // somebody is asked on the terminal
void progress_end(progress *d);  // takes the display away

enum { RUN_NOTES_MAX = 8 };

struct run {
    cli *c;
    sykli *s;
    sykli_mesh *mesh; // NULL: no node runs beside us
    pipeline *p;
    const pipeline_source *source;
    run_output output;
    bool events, quiet;
    progress *display; // NULL: none
    outlet out, err;   // stdout and stderr while tasks run
    profile *profile;  // NULL: none
    bool watching, watched; // watched: `watch` is of this run
    watch *watch;      // what the tasks read; NULL: not looked at yet
    struct gates *gates;
    uint32_t workers;
    int cancelled_by;  // signal, 0: none
    uint64_t cancelled_ms;
    int64_t started_at_ms;
    uint64_t wall_ms, saved_ms;
    const char *critical_path;         // "a → b", "" if it is not known
    size_t counts[SYKLI_STATUS_COUNT]; // see report_rows
    bool counted;                      // they are set
    const char *notes[RUN_NOTES_MAX];  // what the library had to say of tasks, the first ones
    size_t note_count;                 // of all
};

// The verb.
int run_verb(cli *c);

#endif
