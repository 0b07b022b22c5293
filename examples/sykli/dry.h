// --dry-run: what a run would do.
#ifndef DRY_H_INCLUDED
#define DRY_H_INCLUDED

#include "run.h"

// Tells for each wanted task whether it would run, be a hit or be skipped, and why. The tasks have
// been added; nothing runs.     returns  0, or the exit code after an error message
int dry_run(run *r);

#endif
