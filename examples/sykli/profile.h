// --profile: what a run did, as Chrome trace JSON.
#ifndef PROFILE_H_INCLUDED
#define PROFILE_H_INCLUDED

#include "cli.h"

typedef struct profile profile;

// tasks: how many the run has.    returns  0, or the exit code after an error message
int profile_begin(cli *c, sykli *s, const char *path, size_t tasks, profile **out);
void profile_event(profile *p, const sykli_event *event);
int profile_end(profile *p);   // the file takes its name
void profile_drop(profile *p); // nothing is left of it

#endif
