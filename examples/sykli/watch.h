// --watch: waits until something that the tasks read has changed.
#ifndef WATCH_H_INCLUDED
#define WATCH_H_INCLUDED

#include "pipeline.h"

typedef struct watch watch;

// Remembers what the wanted tasks read as it is now: to be called before they run. What they
// declare as outputs is left out.
//   last     of the run before, taken over: what has not been touched is not read again. NULL: none
//   returns  NULL: there is no memory
watch *watch_begin(cli *c, const pipeline *p, const pipeline_source *source, watch *last);

// What the next pipeline reads is not known, for it cannot be read: what the last one read counts.
void watch_keep(watch *w);

// Waits for a change since watch_begin, until it is quiet again.
//   stop     asked again and again; not 0 ends the waiting
//   changed  a file that has changed; *more: how many others have
//   returns  true: run again; false: stopped
bool watch_wait(cli *c, watch *w, int (*stop)(void), const char **changed, size_t *more);

void watch_end(watch *w);

#endif
