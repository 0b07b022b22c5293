// Programs of the user that the command itself starts: a pipeline that is a program, a compiler,
// vault, curl. Each is the head of a process group of its own, so that it ends with all it started.
#ifndef TOOL_H_INCLUDED
#define TOOL_H_INCLUDED

#include "cli.h"
#include <sys/types.h>

typedef struct tool {
    pid_t pid;          // 0: it has ended
    int fd, status;     // status: of waitpid, once it has ended
    int64_t deadline_ms;
    char *text;         // what it printed on stdout, NUL-terminated
    size_t size, room, size_max;
} tool;

// Starts a program, looked up in the PATH; stdin is empty, stderr is ours.
//   argv     ends with NULL       dir  NULL: here       size_max  bytes of its output
//   quiet    what it prints on stderr is nobody's business
//   returns  0 or a negative errno; a program that is not there ends with 127
int tool_begin(cli *c, tool *t, const char *const *argv, const char *dir, bool quiet,
               uint32_t timeout_ms, size_t size_max);
// Takes what it has printed, waiting at most so long.
//   returns  1 it runs; 0 it has ended; -ETIMEDOUT, -EFBIG or another error: it is killed
int tool_step(cli *c, tool *t, int wait_ms);
// Kills it with all it started. Nothing if it has ended.
void tool_kill(tool *t);
// "exit code 2", "signal 9", "there is no such program"
char *tool_ending(cli *c, const tool *t);
bool tool_passed(const tool *t); // it ended with code 0

// Starts a program and waits for its end; if that takes 2 s or half of its time, says so. A signal
// that would end us, or that somebody catches, ends the program first.
//   what     as it is called in "waiting for ..."; NULL: nothing is said of it, nor by it on stderr
//   returns  0 it has ended; -EINTR after a signal, from then on at once; else the error
int tool_run(cli *c, tool *t, const char *what, const char *const *argv, const char *dir,
             uint32_t timeout_ms, size_t size_max);

#endif
