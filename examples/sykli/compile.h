// Pipelines in C: compiled against the header that this program carries.
#ifndef COMPILE_H_INCLUDED
#define COMPILE_H_INCLUDED

#include "cli.h"

// Compiles a source, or finds what was compiled before: the program's name is the digest of the
// source, the header and the compiler. A source that includes files of its own beside sykli.h is
// compiled each time.
//   out      the absolute path of the program
//   returns  0, or an exit code after an error message; the compiler's are on stderr
int compile_pipeline(cli *c, const char *path, const char **out);

// How long the compiler, and a program that prints its graph, may take: SYKLI_EMIT_TIMEOUT, or
// emit.timeout of the configuration file.      returns  0, or an exit code after an error message
int compile_limit(cli *c, uint32_t *out_ms);

// What is kept of that in the cache directory: programs, and the header they were compiled with.
typedef struct compile_usage {
    size_t count;
    uint64_t bytes;
} compile_usage;
compile_usage compile_kept(cli *c);
// Removes what was used before `until` (seconds of the clock), and of the rest what was not used
// for longest until at most `max` are left. What was used in the last minute stays.
//   returns  the bytes that were freed
uint64_t compile_collect(cli *c, const compile_usage *max, int64_t until);
uint64_t compile_clear(cli *c); // removes all of it

#endif
