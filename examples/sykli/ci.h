// What a run tells the CI system it runs under: folded output, annotations at the lines of source
// that a compiler named, a summary. GitHub Actions and GitLab are known by their variables.
#ifndef CI_H_INCLUDED
#define CI_H_INCLUDED

#include "report.h"

bool ci_folds(void); // whether a log can be folded here
// The whole log of a task, folded.
void ci_fold_log(const run *r, const report_row *w);
// Marks the lines of source that the log of a failed task names, else the failure as a whole.
void ci_annotate(const run *r, const report_row *w);
// The same for what is wrong with a pipeline.
void ci_annotate_pipeline(cli *c, const pipeline *p, const char *file);
// Appends a table of the tasks to $GITHUB_STEP_SUMMARY.
void ci_summary(run *r);

#endif
