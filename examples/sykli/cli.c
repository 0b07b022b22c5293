#define _GNU_SOURCE 1
#include "cli.h"
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

const cli_option cli_common_options[] = {
    { "help", 'h', NULL, "show this" },
    { "json", 0, NULL, "print one line of JSON" },
    { "color", 0, "auto|always|never", "when to use colours" },
    { "state", 0, "DIR", "the state directory of the node to talk to" },
    { NULL, 0, NULL, NULL }
};

// ---- memory and files ----

// What is small shares a chunk: a graph is read into hundreds of thousands of pieces.
typedef struct chunk {
    struct chunk *next;
    size_t size, used; // of what follows
} chunk;

enum { CHUNK_BYTES = 64 << 10, CHUNK_SMALL = 1 << 10, CHUNK_ALIGN = 16 };
static_assert(sizeof(chunk) <= 2 * CHUNK_ALIGN, "what follows a chunk's head is aligned");

static char *chunk_data(chunk *at) { return (char *)at + 2 * CHUNK_ALIGN; }

static chunk *chunk_add(cli *c, size_t size)
{
    chunk *fresh = size <= SIZE_MAX - 2 * CHUNK_ALIGN ? calloc(1, 2 * CHUNK_ALIGN + size) : NULL;
    if (!fresh) {
        fputs("sykli: out of memory\n", stderr);
        exit(CLI_INFRASTRUCTURE);
    }
    fresh->next = c->chunks;
    fresh->size = size;
    c->chunks = fresh;
    return fresh;
}

void *cli_alloc(cli *c, size_t size)
{
    chunk *top = c->chunks;
    if (size > CHUNK_SMALL) {
        top = chunk_add(c, size);
        top->used = size;
        return chunk_data(top);
    }
    size = (size + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN;
    if (!top || top->size - top->used < size) top = chunk_add(c, CHUNK_BYTES);
    top->used += size;
    return chunk_data(top) + top->used - size;
}

void *cli_mark(const cli *c)
{
    chunk *top = c->chunks;
    return top ? chunk_data(top) + top->used : NULL;
}

// Whether a mark was set while this was the newest chunk.
static bool chunk_has(chunk *at, const void *mark)
{
    uintptr_t from = (uintptr_t)chunk_data(at), to = (uintptr_t)mark;
    return to >= from && to - from <= at->used;
}

void cli_release(cli *c, void *mark)
{
    chunk *at = c->chunks;
    for (; at && !chunk_has(at, mark); at = c->chunks) {
        c->chunks = at->next;
        free(at);
    }
    if (!at) return;
    size_t kept = (size_t)((char *)mark - chunk_data(at));
    memset(chunk_data(at) + kept, 0, at->used - kept);
    at->used = kept;
}

char *cli_copy(cli *c, const char *text, size_t size)
{
    char *copy = cli_alloc(c, size + 1);
    memcpy(copy, text, size);
    return copy;
}

char *cli_print(cli *c, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = cli_alloc(c, size < 0 ? 1 : (size_t)size + 1);
    if (size > 0) vsnprintf(text, (size_t)size + 1, format, again);
    va_end(again);
    return text;
}

// Reads as read does, but whole: no signal ends it, and what may still come is waited for.
//   silent   false from then on: who could write to it is there
static ssize_t read_some(int fd, void *to, size_t size, bool *silent)
{
    ssize_t got;
    while ((got = read(fd, to, size)) < 0 && (errno == EINTR || errno == EAGAIN))
        if (errno == EAGAIN) {
            *silent = false;
            poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1);
        }
    return got;
}

// Opens a file to read. A fifo that nobody writes to would be waited for for ever: it is opened
// without waiting, and who is about to write to it has some time.
//   returns  the descriptor, -1 with c->fault set
static int open_to_read(cli *c, const char *path, struct stat *st, bool *silent)
{
    enum { WRITER_MS = 2000 };
    *silent = false;
    if (!strcmp(path, "-")) {
        if (!fstat(STDIN_FILENO, st)) return STDIN_FILENO;
        sykli_fail_sys(&c->fault, -errno, "stdin");
        return -1;
    }
    mode_t mode = stat(path, st) ? 0 : st->st_mode;
    const char *kind = S_ISDIR(mode) ? "folder" : S_ISSOCK(mode) ? "socket"
                     : S_ISBLK(mode) ? "device" : NULL;
    if (kind) {
        sykli_fail(&c->fault, SYKLI_EINVAL, "%s is a %s, a file is wanted", path, kind);
        return -1;
    }
    bool fifo = S_ISFIFO(mode);
    int fd = open(path, O_RDONLY | O_CLOEXEC | (fifo ? O_NONBLOCK : 0));
    if (fd < 0 || fstat(fd, st)) {
        sykli_fail_sys(&c->fault, -errno, "%s", path);
        if (fd >= 0) close(fd);
        return -1;
    }
    if (fifo) *silent = !poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, WRITER_MS);
    return fd;
}

char *cli_folder(cli *c, const char *dir)
{
    sykli_buf path;
    sykli_buf_init(&path, &c->mem, SYKLI_TAG_host);
    bool there = !sykli_folder_path(&c->mem, dir, &path);
    char *out = there ? cli_copy(c, (const char *)path.data, path.size) : NULL;
    sykli_buf_free(&path);
    return out;
}

char *cli_name_below(cli *c, const char *dir, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *root = cli_folder(c, dir);
    const char *in = cli_folder(c, slash ? cli_copy(c, path, (size_t)(name - path)) : ".");
    size_t size = root ? strlen(root) : 0;
    if (!in || !root || strncmp(in, root, size) || (in[size] && in[size] != '/')) return NULL;
    return cli_print(c, "%s%s%s", in[size] ? in + size + 1 : "", in[size] ? "/" : "", name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char **cli_names(cli *c, const char *dir, size_t *count)
{
    DIR *open = opendir(dir);
    *count = 0;
    if (!open) return NULL;
    size_t room = 16;
    const char **names = cli_alloc(c, room * sizeof *names);
    for (struct dirent *e; (e = readdir(open)) != NULL;) {
        if (*e->d_name == '.') continue;
        if (*count == room) {
            const char **grown = cli_alloc(c, 2 * room * sizeof *names);
            memcpy(grown, names, room * sizeof *names);
            names = grown;
            room *= 2;
        }
        names[(*count)++] = cli_print(c, "%s/%s", dir, e->d_name);
    }
    closedir(open);
    qsort(names, *count, sizeof *names, by_name);
    return names;
}

char *cli_read(cli *c, const char *path, size_t *out_size)
{
    struct stat st;
    bool silent;
    int fd = open_to_read(c, path, &st, &silent);
    if (fd < 0) return NULL;
    size_t size = 0, room = 64 << 10;
    if (S_ISREG(st.st_mode)) // is not copied
        room = (st.st_size < SYKLI_JSON_SIZE_MAX ? (size_t)st.st_size : SYKLI_JSON_SIZE_MAX) + 1;
    char *text = cli_alloc(c, room + 1);
    ssize_t got = 1;
    while (got > 0 && size <= SYKLI_JSON_SIZE_MAX) {
        got = read_some(fd, text + size, room - size, &silent);
        if (got > 0) size += (size_t)got;
        if (size < room || size > SYKLI_JSON_SIZE_MAX) continue;
        char *grown = cli_alloc(c, room * 2 + 1);
        memcpy(grown, text, size);
        text = grown;
        room *= 2;
    }
    int error = got < 0 ? errno : 0;
    if (fd != STDIN_FILENO) close(fd);
    *out_size = size;
    if (silent && !size)
        sykli_fail(&c->fault, SYKLI_EINVAL, "%s is a fifo that nobody writes to", path);
    else if (!error) return text;
    else if (error == EBADF) sykli_fail(&c->fault, SYKLI_EINVAL, "stdin cannot be read");
    else sykli_fail_sys(&c->fault, -error, "%s", path);
    return NULL;
}

char *cli_unmarked(char *text, size_t *size)
{
    if (*size < 3 || memcmp(text, "\xef\xbb\xbf", 3)) return text;
    *size -= 3;
    return text + 3;
}

char *cli_read_text(cli *c, const char *path, size_t *out_size)
{
    char *text = cli_read(c, path, out_size);
    return text ? cli_unmarked(text, out_size) : NULL;
}

// Writes all of it and closes.
static int write_file(FILE *file, const void *data, size_t size)
{
    if (!file) return -1;
    bool good = fwrite(data, 1, size, file) == size;
    return fclose(file) || !good ? -1 : 0;
}

int cli_write(cli *c, const char *path, const void *data, size_t size)
{
    struct stat st;
    bool whole = stat(path, &st) != 0 || S_ISREG(st.st_mode);
    const char *to = whole ? cli_print(c, "%s.%ld.tmp", path, (long)getpid()) : path;
    int rc = write_file(fopen(to, whole ? "wbx" : "wb"), data, size);
    if (!rc && whole) rc = rename(to, path);
    if (!rc) return 0;
    rc = sykli_fail_sys(&c->fault, -errno, "%s", path);
    if (whole) unlink(to);
    return rc;
}

// ---- output ----

bool cli_terminal(FILE *file)
{
    const char *term = getenv("TERM");
    return isatty(fileno(file)) && !(term && !strcmp(term, "dumb"));
}

int cli_width(FILE *file)
{
    struct winsize size;
    return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

int cli_height(FILE *file)
{
    struct winsize size;
    return ioctl(fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_row ? size.ws_row : 24;
}

const char *cli_style_on(bool colour, cli_style style)
{
    static const char *const on[] = {
        "\x1b[0m", "\x1b[38;5;80m", "\x1b[31m", "\x1b[2m", "\x1b[33m", "\x1b[1m"
    };
    return colour ? on[style] : "";
}

// Bytes of the character at p: at least 1.
static size_t character(const char *p, size_t left)
{
    for (size_t size = 1; size <= 4 && size <= left; size++)
        if (sykli_utf8_valid(p, size)) return size;
    return 1;
}

// The number of a whole UTF-8 character.
static uint32_t scalar(const char *p, size_t size)
{
    uint32_t value = (unsigned char)p[0] & (size == 1 ? 0x7fu : 0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) value = value << 6 | ((unsigned char)p[i] & 0x3f);
    return value;
}

typedef struct range { uint32_t first, last; } range;

static bool is_in(const range *ranges, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++)
        if (value >= ranges[i].first && value <= ranges[i].last) return true;
    return false;
}

// Controls, and what turns the direction of the text around: a name must not look like another.
static bool is_control(const char *p, size_t size)
{
    static const range turns[] = { { 0x80, 0x9f }, { 0x200e, 0x200f }, { 0x2028, 0x202e },
                                   { 0x2066, 0x2069 } };
    unsigned char a = (unsigned char)p[0];
    if (size == 1) return a < 0x20 || a >= 0x7f;
    return is_in(turns, sizeof turns / sizeof *turns, scalar(p, size));
}

// Columns of a character as terminals draw it (Unicode TR 11, East Asian Width; marks that stand on
// the character before take none).
static int columns_of(const char *p, size_t size)
{
    static const range none[] = { { 0x300, 0x36f }, { 0x483, 0x489 }, { 0x591, 0x5bd },
        { 0x64b, 0x65f }, { 0x1ab0, 0x1aff }, { 0x200b, 0x200d }, { 0x2060, 0x2064 },
        { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f }, { 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef } };
    static const range wide[] = { { 0x1100, 0x115f }, { 0x2e80, 0x303e }, { 0x3041, 0x4dbf },
        { 0x4e00, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f },
        { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff },
        { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } };
    uint32_t value = size > 1 ? scalar(p, size) : 0;
    if (value < 0x300) return 1;
    return is_in(none, sizeof none / sizeof *none, value) ? 0
         : is_in(wide, sizeof wide / sizeof *wide, value) ? 2 : 1;
}

// Under GitHub Actions a line that begins with "::", and "##[" anywhere, are commands to its
// runner: text that is not ours gets a backslash there.
static bool is_guarded(void)
{
    static int guarded = -1; // not asked yet
    const char *value = guarded < 0 ? getenv("GITHUB_ACTIONS") : NULL;
    if (guarded < 0) guarded = value && !strcmp(value, "true");
    return guarded;
}

// Bytes at p after which the backslash stands; 0: no command is here.
static size_t command(const char *p, size_t left, bool first)
{
    if (left >= 3 && !memcmp(p, "##[", 3)) return 2;
    return first && left >= 2 && !memcmp(p, "::", 2) ? 1 : 0;
}

// to NULL: only counts.     lines  ends of lines and tabs pass
static int put(FILE *to, const char *text, int columns_max, bool lines)
{
    int columns = 0;
    size_t left = strlen(text);
    bool guarded = is_guarded(), first = true;
    while (left) {
        size_t size = character(text, left);
        bool control = is_control(text, size) && !(lines && strchr("\n\t", *text));
        int width = control ? 4 * (int)size : columns_of(text, size);
        size_t guard = guarded ? command(text, left, first) : 0;
        first = *text == '\n' || (first && *text == ' ');
        if (columns_max && columns + width >= columns_max && left > size) {
            if (to) fputs("…", to);
            return columns + 1;
        }
        if (guard && to) fprintf(to, "%.*s\\", (int)guard, text);
        if (guard) {
            columns += (int)guard + 1;
            text += guard;
            left -= guard;
            continue;
        }
        for (size_t i = 0; i < size && to; i++)
            control ? fprintf(to, "\\x%02x", (unsigned char)text[i]) : putc(text[i], to);
        columns += width;
        text += size;
        left -= size;
    }
    return columns;
}

int cli_put(FILE *to, const char *text, int columns_max)
{
    return put(to, text, columns_max, false);
}
int cli_columns(const char *text, int columns_max) { return put(NULL, text, columns_max, false); }
void cli_put_lines(FILE *to, const char *text) { put(to, text, 0, true); }

void cli_say(FILE *to, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *at = format; *at; at++) {
        if (*at != '%') {
            putc(*at, to);
        } else if (*++at == 'u') {
            fprintf(to, "%llu", (unsigned long long)va_arg(args, uint64_t));
        } else {
            int width = 0;
            if (*at == '-')
                while (*++at >= '0' && *at <= '9') width = 10 * width + (*at - '0');
            assert(*at == 's');
            int used = put(to, va_arg(args, const char *), 0, false);
            if (used < width) fprintf(to, "%*s", width - used, "");
        }
    }
    va_end(args);
}

// Control characters stand in strings only, where they can be escaped, or are blanks between parts.
void cli_put_json(FILE *to, const char *json, size_t size)
{
    for (size_t step; size; json += step, size -= step) {
        step = 0;
        while (step < size && json[step] >= ' ' && json[step] < 0x7f) step++;
        fwrite(json, 1, step, to);
        if (step) continue;
        step = character(json, size);
        if (!is_control(json, step)) fwrite(json, 1, step, to);
        else if ((unsigned char)*json < ' ') putc(' ', to);
        // No control is above U+FFFF, where two of these would be needed.
        else fprintf(to, "\\u%04x", step > 1 ? scalar(json, step) : *json == 0x7f ? 0x7f : 0xfffd);
    }
}

// Bytes of a colour sequence, ESC [ numbers m, at p; 0: it is something else.
static size_t colour_sequence(const char *p, size_t left)
{
    size_t at = 2;
    if (left < 3 || p[0] != '\x1b' || p[1] != '[') return 0;
    while (at < left && (p[at] == ';' || (p[at] >= '0' && p[at] <= '9'))) at++;
    return at < left && p[at] == 'm' && at < 32 ? at + 1 : 0;
}

// Bytes of any other escape sequence at p (ECMA-48: CSI up to a final byte, strings up to ST or
// BEL, else two bytes).
static size_t other_sequence(const char *p, size_t left)
{
    size_t at = 2;
    if (left < 2) return left;
    if (p[1] == '[') {
        while (at < left && (p[at] < 0x40 || p[at] > 0x7e)) at++;
        return at < left ? at + 1 : left;
    }
    if (!strchr("]PX^_", p[1])) return 2;
    while (at < left && p[at] != '\a' && p[at] != '\x1b') at++;
    return at + 2 <= left && p[at] == '\x1b' ? at + 2 : at < left ? at + 1 : left;
}

void cli_put_output(FILE *to, const char *text, size_t size, bool colour)
{
    bool coloured = false, guarded = is_guarded(), first = true;
    for (size_t step; size; text += step, size -= step) {
        step = character(text, size);
        size_t guard = guarded ? command(text, size, first) : 0;
        if (guard) {
            fprintf(to, "%.*s\\", (int)guard, text);
            step = guard;
            first = false;
            continue;
        }
        if (*text == '\x1b') {
            size_t sequence = colour_sequence(text, size);
            step = sequence ? sequence : other_sequence(text, size);
            if (!sequence || !colour) continue;
            coloured = true;
        } else if (*text != '\t' && is_control(text, step)) {
            continue;
        }
        first = first && (*text == ' ' || *text == '\t');
        fwrite(text, 1, step, to);
    }
    if (coloured) fputs("\x1b[0m", to);
}

// Appends a member "name":"text", or null.
static void member(sykli_buf *b, const char *name, const char *text)
{
    sykli_buf_print(b, "\"%s\":", name);
    if (text) sykli_json_quote(b, text, strlen(text));
    else sykli_buf_text(b, "null");
}

void cli_envelope(const cli *c, bool ok, const char *data)
{
    (void)c;
    printf("{\"ok\":%s,\"version\":\"1\",\"data\":", ok ? "true" : "false");
    if (!data) data = "null";
    cli_put_json(stdout, data, strlen(data));
    puts(",\"error\":null}");
}

int cli_fail(cli *c, int exit, const char *code, const char *hint, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!c->json) {
        fflush(stdout);
        fputs("sykli: ", stderr);
        cli_put_lines(stderr, text);
        fputs(hint ? "\n  " : "\n", stderr);
        if (hint) cli_put_lines(stderr, hint);
        if (hint) putc('\n', stderr);
        return exit;
    }
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"ok\":false,\"version\":\"1\",\"data\":null,\"error\":{");
    member(&b, "code", code);
    sykli_buf_text(&b, ",");
    member(&b, "message", text);
    sykli_buf_text(&b, ",\"hints\":[");
    if (hint) sykli_json_quote(&b, hint, strlen(hint));
    sykli_buf_text(&b, "]}}");
    puts(b.error ? "{\"ok\":false,\"version\":\"1\",\"data\":null,\"error\":null}"
                 : (const char *)b.data);
    sykli_buf_free(&b);
    return exit;
}

int cli_exit_of(int code)
{
    switch (code) {
    case SYKLI_EINVAL: case SYKLI_EEXIST: case SYKLI_ENOENT: case SYKLI_ECYCLE:
    case SYKLI_EPARSE: case SYKLI_EUNSUPPORTED: case SYKLI_ESTALE: case SYKLI_ELIMIT:
        return CLI_FAILED;
    default: return CLI_INFRASTRUCTURE;
    }
}

int cli_fail_sykli(cli *c, int code, const char *text)
{
    char name[32];
    size_t at = 0;
    for (const char *p = sykli_error_name(code) + 1; *p && at < sizeof name - 1; p++)
        name[at++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    name[at] = 0;
    return cli_fail(c, cli_exit_of(code), name, sykli_error_advice(code), "%s",
                    text && *text ? text : sykli_error_text(code));
}

// ---- options ----

const char *cli_value(const cli *c, const char *name)
{
    for (int i = c->set_count; i-- > 0;)
        if (!strcmp(c->set[i].name, name)) return c->set[i].value;
    return NULL;
}

bool cli_has(const cli *c, const char *name) { return cli_value(c, name) != NULL; }

int cli_number(cli *c, const char *name, uint32_t fallback, uint32_t least, uint32_t most,
               uint32_t *out)
{
    const char *text = cli_value(c, name);
    *out = fallback;
    if (!text) return 0;
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value < least || value > most)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "--%s %s: a number from %u to %u is wanted",
                        name, text, (unsigned)least, (unsigned)most);
    *out = (uint32_t)value;
    return 0;
}

int cli_arguments(cli *c, int least, int most)
{
    if (c->arg_count >= least && (most < 0 || c->arg_count <= most)) return 0;
    char *name = cli_print(c, "%s%s%s", c->parent ? c->parent->name : "", c->parent ? " " : "",
                           c->verb->name);
    char *hint = cli_print(c, "Usage: sykli %s %s", name, c->verb->usage);
    if (c->arg_count < least)
        return cli_fail(c, CLI_USAGE, "usage", hint, "sykli %s needs %d argument%s", name, least,
                        least == 1 ? "" : "s");
    const char *word = c->args[most];
    const char *inner[64], *near = NULL;
    size_t count = 0;
    for (; c->verb->verbs && c->verb->verbs[count] && count < 64; count++)
        inner[count] = c->verb->verbs[count]->name;
    if (count) near = sykli_nearest(word, inner, count);
    if (near) hint = cli_print(c, "did you mean sykli %s %s?", name, near);
    return cli_fail(c, CLI_USAGE, "usage", hint, "sykli %s: %s is one argument too many", name,
                    word);
}

int cli_duration(cli *c, const char *name, uint64_t fallback, uint64_t *out_ms)
{
    const char *text = cli_value(c, name);
    *out_ms = fallback;
    if (!text || sykli_parse_duration(text, out_ms) == 0) return 0;
    return cli_fail(c, CLI_USAGE, "usage", NULL,
                    "--%s %s: a duration is wanted: 2s, 10m, 24h; a bare number is seconds", name,
                    text);
}

int cli_choice(cli *c, const char *name, const char *const *words, int fallback, int *out)
{
    const char *text = cli_value(c, name);
    *out = fallback;
    if (!text) return 0;
    size_t count = 0;
    for (; words[count]; count++)
        if (!strcmp(words[count], text)) {
            *out = (int)count;
            return 0;
        }
    const char *near = sykli_nearest(text, words, count);
    return cli_fail(c, CLI_USAGE, "usage", NULL, "--%s %s: no such choice; %s %s?", name, text,
                    near ? "did you mean" : "how about", near ? near : words[0]);
}

static const cli_option *option_in(const cli_option *options, const char *name, size_t size,
                                   char letter)
{
    for (; options && options->name; options++)
        if (letter ? options->letter == letter
                   : strlen(options->name) == size && !memcmp(options->name, name, size))
            return options;
    return NULL;
}

static int unknown_option(cli *c, const char *word)
{
    const char *names[CLI_SET_MAX];
    size_t count = 0;
    const cli_option *lists[] = { c->verb->options, cli_common_options };
    for (int i = 0; i < 2; i++)
        for (const cli_option *o = lists[i]; o && o->name && count < CLI_SET_MAX; o++)
            names[count++] = o->name;
    char bare[64];
    const char *begin = word + strspn(word, "-");
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(begin, "="), begin);
    const char *near = sykli_nearest(bare, names, count);
    char *hint = near ? cli_print(c, "did you mean --%s?", near)
                      : cli_print(c, "sykli %s --help lists the options", c->verb->name);
    return cli_fail(c, CLI_USAGE, "usage", hint, "unknown option %s of sykli %s", word,
                    c->verb->name);
}

// Reads the option at argv[*at] and its value.    returns 0 or the exit code
static int read_option(cli *c, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    bool is_long = word[1] == '-';
    size_t size = is_long ? strcspn(word + 2, "=") : 0;
    const cli_option *option = option_in(c->verb->options, word + 2, size, is_long ? 0 : word[1]);
    if (!option) option = option_in(cli_common_options, word + 2, size, is_long ? 0 : word[1]);
    if (!option) return unknown_option(c, word);
    if (is_long && word[2 + size]) value = word + 2 + size + 1;
    else if (!is_long && word[2]) value = word + 2;
    if (!option->arg && value)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "%s: --%s takes no value", word, option->name);
    bool optional = option->arg && *option->arg == '[';
    if (option->arg && !value && optional) {
        if (*at + 1 < argc && argv[*at + 1][0] != '-') value = argv[++*at];
    } else if (option->arg && !value) {
        if (*at + 1 >= argc)
            return cli_fail(c, CLI_USAGE, "usage", NULL, "%s needs a value: %s", word, option->arg);
        value = argv[++*at];
    }
    if (c->set_count == CLI_SET_MAX)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "more than %d options", CLI_SET_MAX);
    c->set[c->set_count].name = option->name;
    c->set[c->set_count++].value = value ? value : "";
    return 0;
}

static const cli_verb *verb_in(const cli_verb *const *verbs, const char *name)
{
    for (; *verbs; verbs++)
        if (!strcmp((*verbs)->name, name)) return *verbs;
    return NULL;
}

static int unknown_verb(cli *c, const cli_verb *const *verbs, const char *above, const char *word)
{
    const char *names[64];
    size_t count = 0;
    for (; verbs[count] && count < 64; count++) names[count] = verbs[count]->name;
    const char *near = word ? sykli_nearest(word, names, count) : NULL;
    char *hint = near ? cli_print(c, "did you mean sykli%s%s %s?", *above ? " " : "", above, near)
                      : cli_print(c, "sykli%s%s --help lists them", *above ? " " : "", above);
    const char *all = "";
    for (size_t i = 0; i < count && !word; i++)
        all = cli_print(c, "%s%s%s", all, i ? ", " : "", names[i]);
    if (!word)
        return cli_fail(c, CLI_USAGE, "usage", hint, "sykli %s needs one of its verbs: %s", above,
                        all);
    return cli_fail(c, CLI_USAGE, "usage", hint, "unknown verb %s%s%s", above, *above ? " " : "",
                    word);
}

// ---- help ----

static void print_options(const cli_option *options)
{
    for (; options && options->name; options++) {
        char left[80];
        int size = snprintf(left, sizeof left, "%c%c%s--%s%s%s", options->letter ? '-' : ' ',
                            options->letter ? options->letter : ' ',
                            options->letter ? ", " : "  ", options->name, options->arg ? " " : "",
                            options->arg ? options->arg : "");
        if (size >= 28) printf("  %s\n%30s%s\n", left, "", options->help);
        else printf("  %-28s%s\n", left, options->help);
    }
}

static int print_help(const cli *c)
{
    const cli_verb *verb = c->verb;
    printf("sykli %s%s%s - %s\n\nUsage: sykli %s%s%s%s%s\n", c->parent ? c->parent->name : "",
           c->parent ? " " : "", verb->name, verb->help, c->parent ? c->parent->name : "",
           c->parent ? " " : "", verb->name, *verb->usage ? " " : "", verb->usage);
    if (verb->verbs) printf("\nVerbs:\n");
    for (const cli_verb *const *at = verb->verbs; at && *at; at++)
        printf("  %-16s %s\n", (*at)->name, (*at)->help);
    printf("\nOptions:\n");
    print_options(verb->options);
    print_options(cli_common_options);
    printf("\nExample:\n  %s\n", verb->example);
    return CLI_OK;
}

int cli_help(cli *c)
{
    const cli_verb *const *verbs = c->verbs;
    c->verb = NULL;
    for (int i = 0; i < c->arg_count; i++) {
        const cli_verb *found = verbs ? verb_in(verbs, c->args[i]) : NULL;
        if (!verbs)
            return cli_fail(c, CLI_USAGE, "usage", NULL, "sykli %s has no verbs", c->verb->name);
        if (!found) return unknown_verb(c, verbs, c->verb ? c->verb->name : "", c->args[i]);
        c->parent = c->verb;
        c->verb = found;
        verbs = found->verbs;
    }
    return print_help(c);
}

// ---- the start of the program ----

// A descriptor below 3 that we were started without would be given to the first file we open, and
// what we print would go into it. So it leads nowhere; as before, writing to it fails.
static void fill_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) != fd) return;
}

static char *below(cli *c, const char *own, const char *xdg, const char *fallback, const char *name)
{
    const char *at = getenv(own), *home = getenv("HOME");
    if (at && *at) return cli_copy(c, at, strlen(at));
    at = getenv(xdg);
    if (at && *at == '/') return cli_print(c, "%s/%s", at, name);
    if (home && *home == '/') return cli_print(c, "%s/%s/%s", home, fallback, name);
    const char *last = strrchr(fallback, '/'); // no home: where git does not look either
    return cli_print(c, ".sykli/%s", last ? last + 1 : fallback + 1);
}

static void find_places(cli *c)
{
    const char *state = cli_value(c, "state");
    c->state_dir =
        state ? state : below(c, "SYKLI_STATE", "XDG_STATE_HOME", ".local/state", "sykli");
    c->cache_dir = below(c, "SYKLI_CACHE", "XDG_CACHE_HOME", ".cache", "sykli");
    c->config_file =
        below(c, "SYKLI_CONFIG", "XDG_CONFIG_HOME", ".config", "sykli/sykli.yaml");
}

static int choose_colour(cli *c)
{
    static const char *const words[] = { "auto", "always", "never", NULL };
    const char *no_color = getenv("NO_COLOR");
    int when;
    int code = cli_choice(c, "color", words, 0, &when);
    c->colour = when == 1 || (when == 0 && cli_terminal(stdout) && !(no_color && *no_color));
    return code;
}

static bool is_path(const char *word) { return access(word, F_OK) == 0; }

// Whether sykli.json here has a task of that name: then no verb is wrong, but one is missing.
static bool is_task(cli *c, const char *word)
{
    size_t size;
    sykli_json_doc doc;
    bool found = false;
    char *text = cli_read_text(c, "sykli.json", &size);
    if (!text || sykli_json_parse(&doc, &c->mem, text, size, NULL) < 0) return false;
    uint32_t list = doc.nodes[0].type == SYKLI_JSON_object ? sykli_json_get(&doc, 0, "tasks") : 0;
    if (list && doc.nodes[list].type == SYKLI_JSON_array)
        for (uint32_t e = sykli_json_first(&doc, list); e; e = sykli_json_next(&doc, list, e)) {
            const char *name = doc.nodes[e].type == SYKLI_JSON_object
                ? sykli_json_text(&doc, sykli_json_get(&doc, e, "name")) : NULL;
            found |= name && !strcmp(name, word);
        }
    sykli_json_free(&doc);
    return found;
}

static int not_a_verb(cli *c, const char *word)
{
    if (!is_task(c, word)) return unknown_verb(c, c->verbs, "", word);
    const char *names[64], *near;
    size_t count = 0;
    for (; c->verbs[count] && count < 64; count++) names[count] = c->verbs[count]->name;
    near = sykli_nearest(word, names, count);
    char *hint = cli_print(c, "sykli run %s runs the task of that name%s%s%s", word,
                           near ? "; or did you mean sykli " : "", near ? near : "",
                           near ? "?" : "");
    return cli_fail(c, CLI_USAGE, "usage", hint, "unknown verb %s", word);
}

// Chooses the verb: the first word that is no option. Options before it may be common ones or
// those of `run`, which is what is meant when there is no verb.
//   taken    the index of the word that named it, -1: none did
static int choose_verb(cli *c, int argc, char **argv, int *taken)
{
    *taken = -1;
    c->verb = verb_in(c->verbs, "run");
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const char *name = argv[i] + 2;
            size_t size = strcspn(argv[i][1] == '-' ? name : "", "=");
            const cli_option *o =
                option_in(cli_common_options, name, size, argv[i][1] == '-' ? 0 : argv[i][1]);
            if (!o) return 0;
            if (o->arg && !name[size]) i++;
            continue;
        }
        const cli_verb *verb = verb_in(c->verbs, argv[i]);
        if (!verb && !is_path(argv[i])) return not_a_verb(c, argv[i]);
        if (verb) {
            c->verb = verb;
            *taken = i;
        }
        return 0;
    }
    return 0;
}

// Whether the option `word` of a verb takes the next word as its value.
static bool takes_next(const cli_verb *verb, const char *word)
{
    bool is_long = word[1] == '-';
    size_t size = is_long ? strcspn(word + 2, "=") : 0;
    const cli_option *o = option_in(verb->options, word + 2, size, is_long ? 0 : word[1]);
    if (!o) o = option_in(cli_common_options, word + 2, size, is_long ? 0 : word[1]);
    return o && o->arg && *o->arg != '[' && !word[is_long ? 2 + size : 2];
}

// The verb of a verb: the next word behind it that is no option. A verb that does something of its
// own takes any other word as an argument.
static int choose_inner(cli *c, int argc, char **argv, int *taken)
{
    int at = *taken + 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1])
        at += 1 + takes_next(c->verb, argv[at]);
    const cli_verb *inner = at < argc ? verb_in(c->verb->verbs, argv[at]) : NULL;
    if (inner) {
        c->parent = c->verb;
        c->verb = inner;
        *taken = at;
    } else if (!c->verb->run) {
        for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
            if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return 0;
        return unknown_verb(c, c->verb->verbs, c->verb->name, at < argc ? argv[at] : NULL);
    }
    return 0;
}

static int read_words(cli *c, int argc, char **argv)
{
    int taken, inner = -1;
    for (int i = 1; i < argc; i++) c->json |= !strcmp(argv[i], "--json");
    int code = choose_verb(c, argc, argv, &taken);
    int outer = taken;
    if (!code && c->verb->verbs && taken >= 0) {
        code = choose_inner(c, argc, argv, &taken);
        inner = taken;
    }
    c->args = cli_alloc(c, (size_t)argc * sizeof *c->args);
    bool only_words = false;
    for (int i = 1; i < argc && !code; i++) {
        if (i == outer || i == inner) continue;
        if (!only_words && !strcmp(argv[i], "--")) only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            code = read_option(c, argc, argv, &i);
        else c->args[c->arg_count++] = argv[i];
    }
    if (!code && !c->verb->run && !cli_has(c, "help")) // what looked like --help was a value
        code = unknown_verb(c, c->verb->verbs, c->verb->name, c->arg_count ? c->args[0] : NULL);
    return code;
}

int cli_main(const cli_verb *const *verbs, int argc, char **argv)
{
    cli c = { .verbs = verbs };
    fill_descriptors();
    sykli_sys_init(&c.sys);
    c.mem.sys = &c.sys;
    if (argc == 2 && !strcmp(argv[1], "--version")) argv[1] = "version";
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) argv[1] = "help";
    int code = read_words(&c, argc, argv);
    if (!code) code = choose_colour(&c);
    if (!code) {
        find_places(&c);
        code = cli_has(&c, "help") ? print_help(&c) : c.verb->run(&c);
    }
    if (fflush(stdout) && !code) code = CLI_INFRASTRUCTURE;
    cli_release(&c, NULL);
    return code;
}
