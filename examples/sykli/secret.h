// secret_refs: finds the values of secrets before a run.
#ifndef SECRET_H_INCLUDED
#define SECRET_H_INCLUDED

#include "pipeline.h"

// Finds the values for the wanted tasks, each secret once; what is not found is told on stderr and
// makes its task errored when it would start.     dir  the project folder
void secret_find(cli *c, pipeline *p, const char *dir);

#endif
