#ifndef CARRIED_H
#define CARRIED_H
#include <stddef.h>

// The part of sykli.h that a pipeline written in C needs. Written to a file sykli.h in a folder of
// its own, it is what `cc -I that-folder sykli.c` includes; the program prints its graph when it is
// called with --emit. tools/carry makes and packs it, and says how.
typedef struct carried_text {
    const unsigned char *packed;
    size_t packed_size;
    size_t size; // once it is unpacked
} carried_text;
extern const carried_text carried_header;

#endif
