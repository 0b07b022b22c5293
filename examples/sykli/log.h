// Logs of tasks on the screen.
#ifndef LOG_H_INCLUDED
#define LOG_H_INCLUDED

#include "cli.h"

// Prints the last `lines_max` lines of a log, 0: all, each behind `indent`.
//   returns  whether that was all of it
bool log_print(const cli *c, const char *path, int lines_max, const char *indent);

// The next line of a file, with its end if it has one yet.
//   line     with room for so many bytes: NULL and 0 at first, to be freed
//   returns  its size; 0: there is none, or no memory for it
size_t log_line(FILE *from, char **line, size_t *room);

// The same for all of a log that is a blob of the cache: what the task of a hit once printed.
//   returns  the exit code, after a message if the cache has it no more
int log_print_blob(cli *c, const char *id);

// The last `lines_max` lines of a log as plain text: no colours, no control characters.
//   returns  the text, "" if there is none
const char *log_tail(cli *c, const char *path, int lines_max);

#endif
