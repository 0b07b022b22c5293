// The table that queries are tried on: a column of each kind, and of each visibility.
#ifndef JOBS_H_INCLUDED
#define JOBS_H_INCLUDED

#include "test.h"

static const char *const states[] = { "running", "passed", "failed", NULL };
enum { running, passed, failed };

#define JOB_COLUMNS(X, T)                                                                          \
    X(T, STR, name, 16, none, public, "")                                                          \
    X(T, ENUM, status, states, none, public, "")                                                   \
    X(T, U64, memory_bytes, 0, bytes, public, "")                                                  \
    X(T, U64, duration_ms, 0, ms, public, "")                                                      \
    X(T, I64, exit_code, 0, none, public, "")                                                      \
    X(T, F64, load, 0, percent, public, "")                                                        \
    X(T, BOOL, cached, 0, none, public, "")                                                        \
    X(T, I64, started_at, 0, time, public, "")                                                     \
    X(T, U64, pid, 0, none, observer, "")                                                          \
    X(T, TEXT, token, 0, none, secret, "")
SYKLI_ROW(job, JOB_COLUMNS)
SYKLI_COLUMNS(job, JOB_COLUMNS)

#endif
