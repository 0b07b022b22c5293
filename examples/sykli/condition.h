// `when`: an expression over where the pipeline runs, which decides whether a task is skipped.
#ifndef CONDITION_H_INCLUDED
#define CONDITION_H_INCLUDED

#include "cli.h"

// What a condition can ask for; NULL: not known.
typedef struct condition_facts {
    const char *branch, *tag, *event, *pr_number;
    bool ci;
} condition_facts;

// From the environment of the CI, else from git in the folder.
void condition_facts_find(cli *c, const char *dir, condition_facts *out);

// returns  1 true, 0 false, -1 not well formed (c->fault has the text)
int condition_holds(cli *c, const condition_facts *facts, const char *text);

// Whether it can be read, wherever it is asked.
//   returns  0; EPARSE: it cannot; EINVAL: a regular expression in it cannot (c->fault: why)
int condition_check(cli *c, const char *text);

#endif
