// What a run prints while its tasks run. A terminal that is stopped, or a pipe that nobody reads,
// must not hold them up: what does not go out at once waits here, and of what tasks print, lines
// are left out when too much waits.
#ifndef OUTLET_H_INCLUDED
#define OUTLET_H_INCLUDED

#include "cli.h"

typedef struct outlet {
    int fd; // -1: nobody reads any more
    bool events;
    int error; // of the write that failed, 0: none
    size_t piece_bytes; // may be written without waiting, when there is room at all
    uint64_t left_out;  // lines, since the last that was taken
    sykli_buf waits;
} outlet;

//   file     stdout or stderr; what is in its buffer goes out first
//   events   lines are JSON
void outlet_open(outlet *o, cli *c, FILE *file, bool events);
// Takes one line, or more, with the newline.     output: of a task, may be left out
void outlet_put(outlet *o, const char *text, size_t size, bool output);
// Writes what goes out without waiting.          returns  whether that was all
bool outlet_flush(outlet *o);
// At the end: waits for the reader so long, as long as no signal comes.
//   wait_ms  -1: for ever
void outlet_close(outlet *o, int wait_ms);

#endif
