#define _GNU_SOURCE 1
#include "log.h"
#include "ask.h"
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

static void print_lines(const cli *c, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t step = end ? (size_t)(end - text) + 1 - at : size - at;
        print_line(c, text + at, step, "");
        at += step;
    }
}

int log_print_blob(cli *c, const char *id)
{
    sykli_digest digest;
    sykli_buf text;
    asking a;
    int code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    sykli_buf_init(&text, &c->mem, SYKLI_TAG_host);
    int rc = sykli_unhex(digest.bytes, 32, id, strlen(id));
    if (!rc) rc = sykli_blob_verify(a.s, &digest);
    if (!rc) rc = ask(&a, &(sykli_request){ .verb = SYKLI_VERB_fetch, .what = id }, &text);
    if (!rc) print_lines(c, (const char *)text.data, text.size);
    else code = cli_fail(c, CLI_FAILED, "log_not_found", NULL,
                         "the log is in the cache no more: %s", sykli_errmsg(a.s));
    sykli_buf_free(&text);
    ask_end(&a);
    return code;
}
