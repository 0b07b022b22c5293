#ifndef CARRIED_H
#define CARRIED_H
#include <stddef.h>

// The part of sykli.h that a pipeline written in C needs, as text (not NUL-terminated). Written to
// a file sykli.h in a folder of its own, it is what `cc -I that-folder sykli.c` includes; the
// program prints its graph when it is called with --emit. tools/carry makes it.
const char *carried_header(size_t *size);

#endif
