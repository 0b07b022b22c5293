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

#endif
