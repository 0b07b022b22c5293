#ifndef CARRIED_H
#define CARRIED_H
#include <stddef.h>

// The part of sykli.h that a pipeline written in C needs. Written to a file sykli.h in a folder of
// its own, it is what `cc -I that-folder sykli.c` includes; the program prints its graph when it is
// called with --emit. tools/carry makes and packs it: a byte above 127 is a copy of what is already
// there, of its lower 7 bits many bytes, from as far back as the next two bytes say, the lower one
// first; any other is itself.
typedef struct carried_text {
    const unsigned char *packed;
    size_t packed_size;
    size_t size; // once it is unpacked
} carried_text;
extern const carried_text carried_header;

#endif
