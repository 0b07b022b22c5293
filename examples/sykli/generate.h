// The manual page and the completions, printed from the table of verbs at build time.
#ifndef GENERATE_H_INCLUDED
#define GENERATE_H_INCLUDED

#include "cli.h"

// what: "man", "bash", "zsh" or "fish".    returns  the exit code
int generate(cli *c, const char *what);

#endif
