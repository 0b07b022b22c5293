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

size_t log_line(FILE *from, char **line, size_t *room)
{
    size_t size = 0;
    for (int byte = 0; byte != '\n' && (byte = getc(from)) != EOF; (*line)[size++] = (char)byte) {
        if (size < *room) continue;
        char *grown = realloc(*line, *room * 2 + 256);
        if (!grown) return 0;
        *line = grown;
        *room = *room * 2 + 256;
    }
    return size;
}

static void print_line(const cli *c, const char *text, size_t size, const char *indent)
{
    if (size && text[size - 1] == '\n') size--;
    fputs(indent, stdout);
    cli_put_output(stdout, text, size, c->colour);
    putchar('\n');
}

static void print_lines(const cli *c, const char *text, size_t size, const char *indent)
{
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t step = end ? (size_t)(end - text) + 1 - at : size - at;
        print_line(c, text + at, step, indent);
        at += step;
    }
}

// The last lines of at most the last 64 KiB; to be freed, NULL: there is nothing.
static char *read_tail(FILE *file, int lines, const char **begin, size_t *size)
{
    char *text = malloc(TAIL_MAX_BYTES);
    if (fseek(file, -TAIL_MAX_BYTES, SEEK_END)) rewind(file);
    size_t got = text ? fread(text, 1, TAIL_MAX_BYTES, file) : 0;
    *begin = text ? tail(text, got, lines) : NULL;
    *size = text ? (size_t)(text + got - *begin) : 0;
    return text;
}

static bool print_tail(const cli *c, FILE *file, int lines, const char *indent)
{
    const char *at;
    size_t left;
    char *text = read_tail(file, lines, &at, &left);
    bool whole = text && at == text && ftell(file) <= TAIL_MAX_BYTES;
    print_lines(c, at, left, indent);
    free(text);
    return whole;
}

const char *log_tail(cli *c, const char *path, int lines_max)
{
    const char *begin, *plain = "";
    size_t size;
    sykli_buf safe;
    FILE *file = path && *path ? fopen(path, "rb") : NULL;
    if (!file) return plain;
    char *text = read_tail(file, lines_max, &begin, &size);
    sykli_buf_init(&safe, &c->mem, SYKLI_TAG_host);
    if (text && sykli_log_safe(&safe, begin, size, false) >= 0 && safe.size)
        plain = cli_copy(c, (const char *)safe.data, safe.size);
    sykli_buf_free(&safe);
    free(text);
    fclose(file);
    return plain;
}

bool log_print(const cli *c, const char *path, int lines_max, const char *indent)
{
    char *line = NULL;
    size_t room = 0;
    bool whole = true;
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) return true;
    if (lines_max) whole = print_tail(c, file, lines_max, indent);
    else for (size_t n; (n = log_line(file, &line, &room)) > 0;) print_line(c, line, n, indent);
    free(line);
    fclose(file);
    return whole;
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
    if (!rc) print_lines(c, (const char *)text.data, text.size, "");
    else code = cli_fail(c, CLI_FAILED, "log_not_found", NULL,
                         "the log is in the cache no more: %s", sykli_errmsg(a.s));
    sykli_buf_free(&text);
    ask_end(&a);
    return code;
}
