// --affected: the tasks that a change can have touched.
#ifndef AFFECTED_H_INCLUDED
#define AFFECTED_H_INCLUDED

#include "pipeline.h"

// Whether a file, named from the project folder, is one that a task says it reads.
bool affected_reads(const pipeline_task *t, const char *path);

// Of the wanted tasks keeps those that a change touches, and what these need: commits since the
// merge base with `base` ("": the branch that a change goes to), what is not committed, and files
// that git does not know. A task without inputs may read anything, so any change touches it; a
// change of the pipeline file touches all.
//   returns  0, or the exit code after an error message
int affected_keep(cli *c, pipeline *p, const pipeline_source *source, const char *base);

// Skips the wanted tasks that run only if a change touches them (select smart) and that none does.
// Without git, or a commit to compare with, nothing is known and they run.
void affected_select(cli *c, pipeline *p, const pipeline_source *source);

#endif
