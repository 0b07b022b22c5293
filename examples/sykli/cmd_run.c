// Runs a pipeline. The flow of a run is in run.c; here are its options.
#include "run.h"

static const cli_option options[] = {
    { "file", 'f', "FILE", "the pipeline: JSON, a program, or - for stdin" },
    { "jobs", 'j', "N", "tasks at once; default: number of processors" },
    { "filter", 0, "TEXT", "only tasks whose name contains TEXT, and what they need" },
    { "affected", 0, "[BASE]", "only what changes since BASE touch; default: the main branch" },
    { "rerun-failed", 0, NULL, "only what did not pass in the last run, and what it needs" },
    { "keep-going", 'k', NULL, "after a failure, go on with what does not need it" },
    { "no-cache", 0, NULL, "neither look up nor store results" },
    { "refresh", 0, NULL, "run everything, store the results" },
    { "dry-run", 'n', NULL, "say what would run, be a hit or be skipped, and why" },
    { "watch", 'w', NULL, "run again whenever what the tasks read has changed" },
    { "timeout", 0, "TIME", "for tasks without their own: 2s, 10m, 24h; 0: none" },
    { "stall", 0, "TIME", "a task that prints nothing for so long is ended: 5m; 0: never" },
    { "pty", 0, "NAMES", "tasks that print on a terminal: names or patterns, with commas" },
    { "output", 0, "failed|stream|all|none", "whose output is shown; default: failed" },
    { "events", 0, NULL, "print one JSON object per event" },
    { "junit", 0, "FILE", "write a JUnit XML report" },
    { "profile", 0, "FILE", "write a Chrome trace of the run, for Perfetto" },
    { "scope", 0, "trusted|branch|pr", "how far it is trusted; default: trusted" },
    { "quiet", 'q', NULL, "only failures and the last line" },
    { "log-dir", 0, "DIR", "where the logs of tasks go; default: .sykli/logs" },
    { NULL, 0, NULL, NULL }
};

const cli_verb verb_run = { "run", "run the pipeline of this folder",
                            "[PATH | TASK...] [OPTION...]", "sykli run test -j 4 --output stream",
                            options, NULL, run_verb };
