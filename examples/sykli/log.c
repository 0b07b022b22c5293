#define _GNU_SOURCE 1
#include "log.h"
#include <stdlib.h>
#include <string.h>

enum { TAIL_MAX_BYTES = 64 << 10 };

// Where the last `lines` lines of a text begin.
static const char *tail(const char *text, size_t size, int lines)
{
    const char *at = text + size;
    if (at > text && at[-1] == '\n') at--;
    while (at > text && (at[-1] != '\n' || --lines > 0)) at--;
    return at;
}

static void print_line(const cli *c, const char *text, size_t size, const char *indent)
{
    if (size && text[size - 1] == '\n') size--;
    fputs(indent, stdout);
    cli_put_output(stdout, text, size, c->colour);
    putchar('\n');
}

// The last lines of at most the last 64 KiB.
static void print_tail(const cli *c, FILE *file, int lines, const char *indent)
{
    char *text = malloc(TAIL_MAX_BYTES);
    if (fseek(file, -TAIL_MAX_BYTES, SEEK_END)) rewind(file);
    size_t size = text ? fread(text, 1, TAIL_MAX_BYTES, file) : 0;
    for (const char *at = text ? tail(text, size, lines) : NULL; size && at < text + size;) {
        size_t left = (size_t)(text + size - at);
        const char *end = memchr(at, '\n', left);
        size_t step = end ? (size_t)(end - at) + 1 : left;
        print_line(c, at, step, indent);
        at += step;
    }
    free(text);
}

void log_print(const cli *c, const char *path, int lines_max, const char *indent)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) return;
    if (lines_max) print_tail(c, file, lines_max, indent);
    else while ((size = getline(&line, &room, file)) > 0) print_line(c, line, (size_t)size, indent);
    free(line);
    fclose(file);
}
