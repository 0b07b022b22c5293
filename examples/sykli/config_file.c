// A line at a time, by indentation: each block is read by one self-recursive function with a limit
// on its depth. After an error it goes on at the next line of the block, so that all are told at
// once; what hangs on a line that was given up is not looked at. What YAML knows beyond maps,
// lists, scalars and comments is refused, so that a file cannot mean something else to another
// reader.
#define _GNU_SOURCE 1
#include "config_file.h"
#include "ask.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS_MAX = 1024, DEPTH_MAX = 8, KEY_MAX = 128, FILE_MAX_BYTES = 1 << 20 };

// What is wrong with a file, all of it.
enum { FINDINGS_MAX = 20 };
typedef struct findings {
    const config_file *file;
    const char *texts[FINDINGS_MAX]; // FILE:LINE:COLUMN: each
    size_t count;                    // also of those that have no room
} findings;

static void find(cli *c, findings *f, int line, int column, const char *text)
{
    if (f->count++ < FINDINGS_MAX)
        f->texts[f->count - 1] = cli_print(c, "%s:%d:%d: %s", f->file->path, line, column, text);
}

// All of them in one message, of a line each.
static const char *listed(cli *c, const findings *f)
{
    size_t shown = f->count < FINDINGS_MAX ? f->count : FINDINGS_MAX;
    const char *message = f->texts[0];
    for (size_t i = 1; i < shown; i++)
        message = cli_print(c, "%s\n%s%s", message, c->json ? "" : "sykli: ", f->texts[i]);
    if (f->count > shown) message = cli_print(c, "%s\n  and %zu more", message, f->count - shown);
    return message;
}

typedef struct reader {
    cli *c;
    config_file *out;
    findings found;
    int code;                // of the first one
    const char *flaw;        // the last of a line as a whole: told once in a row
    bool torn;               // in front of this line was one that cannot be read
    bool open;               // the last error was a bracket or a quote without its end
    const char *line, *end;  // the line we are in, its end without the newline
    const char *at, *stop;   // where we read, the end of the text
    int number, indent;      // of the line; -1: there are no more lines
    size_t room;
} reader;

static int fail_at(reader *r, int line, int column, int code, const char *what)
{
    find(r->c, &r->found, line, column, what);
    if (!r->code) r->code = sykli_fail(&r->c->fault, code, "%s", r->found.texts[0]);
    return code;
}

static int fail(reader *r, const char *at, int code, const char *what)
{
    return fail_at(r, r->number, (int)(at - r->line) + 1, code, what);
}

// ---- lines ----

// Whether the rest of the line is blank or a comment.
static bool at_end(const reader *r, const char *at)
{
    while (at < r->end && *at == ' ') at++;
    return at >= r->end || *at == '#';
}

// What may be in no line, as a whole.     returns  whether it can be read
static bool readable(reader *r)
{
    for (const char *p = r->line; p < r->end; p++) {
        if ((unsigned char)*p >= 0x20 && *p != 0x7f) continue;
        const char *flaw = *p == '\t' ? "a tab: indent with blanks"
                         : *p == '\r' ? "a carriage return: end lines with a newline alone"
                                      : "a control character";
        if (flaw != r->flaw) fail(r, p, SYKLI_EPARSE, flaw);
        r->flaw = flaw;
        return false;
    }
    return true;
}

// Goes to the next line with something on it that can be read.
static void next_line(reader *r)
{
    r->torn = false;
    for (;;) {
        const char *begin = r->number ? r->end + (r->end < r->stop) : r->line;
        if (r->number && r->end >= r->stop) {
            r->indent = -1;
            return;
        }
        r->number++;
        r->line = r->at = begin;
        const char *newline = memchr(begin, '\n', (size_t)(r->stop - begin));
        r->end = newline ? newline : r->stop;
        while (r->at < r->end && *r->at == ' ') r->at++;
        r->indent = (int)(r->at - r->line);
        if (!readable(r)) r->torn = true;
        else if (!at_end(r, r->at)) return;
        r->at = r->end;
    }
}

static void skip_blanks(reader *r)
{
    while (r->at < r->end && *r->at == ' ') r->at++;
}

// ---- items ----

// Whether a key is there, or one below it.
static bool has_key(const reader *r, const char *key)
{
    size_t size = strlen(key);
    for (size_t i = 0; i < r->out->count; i++) {
        const char *other = r->out->items[i].key;
        if (!strncmp(other, key, size) && (!other[size] || other[size] == '.')) return true;
    }
    return false;
}

static int add(reader *r, const char *key, const char *value, const char *at, bool in_list)
{
    config_file *out = r->out;
    if (out->count == ITEMS_MAX) {
        r->stop = r->end; // the next one would be one too many as well
        return fail(r, at, SYKLI_ELIMIT, "more than 1024 values");
    }
    if (out->count == r->room) {
        size_t room = r->room ? r->room * 2 : 16;
        config_item *grown = cli_alloc(r->c, room * sizeof *grown);
        if (out->count) memcpy(grown, out->items, out->count * sizeof *grown);
        out->items = grown;
        r->room = room;
    }
    out->items[out->count++] = (config_item){ key, value, r->number, (int)(at - r->line) + 1,
                                              in_list };
    return 0;
}

// ---- scalars ----

static int quoted(reader *r, char **out)
{
    const char *begin = r->at;
    char quote = *r->at++, *to = cli_alloc(r->c, (size_t)(r->end - begin) + 1);
    *out = to;
    for (; r->at < r->end; r->at++) {
        char byte = *r->at;
        if (byte == quote && quote == '\'' && r->at + 1 < r->end && r->at[1] == '\'') r->at++;
        else if (byte == quote) {
            r->at++;
            return 0;
        } else if (byte == '\\' && quote == '"') {
            if (++r->at == r->end) break;
            byte = *r->at;
            if (!strchr("\"\\/", byte))
                return fail(r, r->at, SYKLI_EPARSE, "only \\\" and \\\\ are known behind a \\");
        }
        *to++ = byte;
    }
    r->open = true;
    return fail(r, begin, SYKLI_EPARSE, "this quote is not closed on its line");
}

// A plain scalar ends at a comment, in a flow also at a comma or a closing bracket.
static int plain(reader *r, bool in_flow, char **out)
{
    const char *begin = r->at, *end;
    if (strchr("&*!|>%@`?", *begin))
        return fail(r, begin, SYKLI_EPARSE, "a plain value does not begin like this (no anchors, "
                    "tags or blocks of text here); quote it");
    if (*begin == '-' && (begin + 1 == r->end || begin[1] == ' '))
        return fail(r, begin, SYKLI_EPARSE, "a list within a list is not in the subset");
    for (; r->at < r->end; r->at++) {
        if (*r->at == '#' && r->at > begin && r->at[-1] == ' ') break;
        if (in_flow && strchr(",]}[{", *r->at)) break;
        if (*r->at == ':' && (r->at + 1 == r->end || r->at[1] == ' '))
            return fail(r, r->at, SYKLI_EPARSE, "a colon and a blank within a value; quote it");
    }
    for (end = r->at; end > begin && end[-1] == ' ';) end--;
    *out = cli_copy(r->c, begin, (size_t)(end - begin));
    return 0;
}

static int scalar(reader *r, const char *key, bool in_flow, bool in_list)
{
    const char *begin = r->at;
    char *text = NULL;
    int rc = *begin == '"' || *begin == '\'' ? quoted(r, &text) : plain(r, in_flow, &text);
    return rc ? rc : add(r, key, text, begin, in_list);
}

// ---- keys ----

// Reads `name:` and what is above it into a dotted key.
static int read_key(reader *r, const char *above, char **out)
{
    const char *begin = r->at;
    while (r->at < r->end && *r->at != ':' && *r->at != ' ' && *r->at != '#') {
        char byte = *r->at;
        bool fits = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')
                 || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == '.' || byte == '-';
        if (!fits)
            return fail(r, r->at, SYKLI_EPARSE, "a key is a word of letters, digits, _ . and -");
        r->at++;
    }
    size_t size = (size_t)(r->at - begin);
    if (r->at == r->end || *r->at != ':' || !size)
        return fail(r, begin, SYKLI_EPARSE, "a line is `key: value`, `key:` or `- value`");
    r->at++;
    if (r->at < r->end && *r->at != ' ')
        return fail(r, r->at, SYKLI_EPARSE, "a blank is wanted behind the colon");
    *out = cli_print(r->c, "%s%s%.*s", above, *above ? "." : "", (int)size, begin);
    if (strlen(*out) > KEY_MAX) return fail(r, begin, SYKLI_ELIMIT, "a key of over 128 bytes");
    if (has_key(r, *out)) return fail(r, begin, SYKLI_EPARSE, "this key is here already");
    return 0;
}

// ---- flows: { a: b } and [a, b], on one line ----

static int flow(reader *r, const char *key, int depth)
{
    bool map = *r->at == '{';
    const char *begin = r->at++;
    char close = map ? '}' : ']', *inner = NULL;
    if (depth > DEPTH_MAX) return fail(r, begin, SYKLI_ELIMIT, "more than 8 levels");
    for (bool first = true;; first = false) {
        skip_blanks(r);
        if (r->at < r->end && *r->at == close && first)
            return fail(r, begin, SYKLI_EPARSE, "an empty map or list says nothing: leave it out");
        r->open = r->at >= r->end || *r->at == '#';
        int rc = r->open ? fail(r, begin, SYKLI_EPARSE, "this bracket is not closed on its line")
               : map ? read_key(r, key, &inner) : 0;
        if (rc) return rc;
        skip_blanks(r);
        if (r->at >= r->end || strchr(",]}#", *r->at))
            return fail(r, r->at, SYKLI_EPARSE, "a value is missing");
        if (map && (*r->at == '{' || *r->at == '[')) rc = flow(r, inner, depth + 1);
        else if (*r->at == '{' || *r->at == '[')
            rc = fail(r, r->at, SYKLI_EPARSE, "a list holds values only, no maps and no lists");
        else rc = scalar(r, map ? inner : key, true, !map);
        if (rc) return rc;
        skip_blanks(r);
        if (r->at < r->end && *r->at == close) break;
        if (r->at < r->end && *r->at != ',')
            return fail(r, r->at, SYKLI_EPARSE, map ? "a comma or } is wanted" : "a comma or ] is "
                        "wanted");
        r->at += r->at < r->end;
    }
    r->at++;
    return 0;
}

// ---- blocks ----

static int line_end(reader *r)
{
    if (!at_end(r, r->at)) {
        skip_blanks(r);
        return fail(r, r->at, SYKLI_EPARSE, "nothing more is wanted on this line");
    }
    if (r->at < r->end && *r->at == '#' && r->at[-1] != ' ') // "a"#b is no comment
        return fail(r, r->at, SYKLI_EPARSE, "a blank is wanted before a comment");
    next_line(r);
    return 0;
}

static bool is_item(const reader *r)
{
    return r->indent >= 0 && *r->at == '-' && (r->at + 1 == r->end || r->at[1] == ' ');
}

// Whether a line could be one of a map: a word and a colon.
static bool is_key(const reader *r)
{
    const char *at = r->at;
    while (at < r->end && *at != ':' && !strchr(" #,[]{}\"'", *at)) at++;
    return at > r->at && at < r->end && *at == ':';
}

// Gives up the line that we are in and what belongs to it: lines below it, items if it could have
// been their key, and, where something was left open, what may be the rest of that.
static void give_up(reader *r, int indent, bool key)
{
    bool open = r->open;
    r->open = false;
    do next_line(r);
    while (r->indent > indent
           || (r->indent == indent && (is_item(r) ? key : open && !is_key(r))));
}

static int list_value(reader *r, const char *key)
{
    r->at++;
    skip_blanks(r);
    if (at_end(r, r->at)) return fail(r, r->at, SYKLI_EPARSE, "a value is missing");
    if (*r->at == '{' || *r->at == '[')
        return fail(r, r->at, SYKLI_EPARSE, "a list holds values only, no maps and no lists");
    int rc = scalar(r, key, false, true);
    return rc ? rc : line_end(r);
}

static void list(reader *r, const char *key)
{
    int indent = r->indent;
    while (is_item(r) && r->indent == indent)
        if (list_value(r, key)) give_up(r, indent, false);
}

// A map whose lines are indented like the one we are in.
static void block(reader *r, const char *above, int depth)
{
    int indent = r->indent;
    if (depth > DEPTH_MAX) {
        fail(r, r->at, SYKLI_ELIMIT, "more than 8 levels");
        give_up(r, indent - 1, false);
    }
    while (r->indent >= indent) {
        char *key;
        int number = r->number, rc = 0;
        if (r->indent > indent && r->torn) rc = SYKLI_EPARSE; // what it is below is told
        else if (r->indent > indent)
            rc = fail(r, r->at, SYKLI_EPARSE, "this line is indented too far");
        else if (is_item(r)) rc = fail(r, r->at, SYKLI_EPARSE, "a list needs a key above it");
        else rc = read_key(r, above, &key);
        skip_blanks(r);
        if (!rc && at_end(r, r->at)) {
            next_line(r);
            if (is_item(r) && r->indent >= indent) list(r, key);
            else if (r->indent > indent) block(r, key, depth + 1);
            else if (!r->torn)
                fail_at(r, number, indent + 1, SYKLI_EPARSE, "this key has no value");
            continue;
        }
        if (!rc) rc = *r->at == '{' || *r->at == '[' ? flow(r, key, depth + 1)
                                                     : scalar(r, key, false, false);
        if (!rc) rc = line_end(r);
        if (rc) give_up(r, indent, true);
    }
}

// The end of a file that has been read, or cannot be.    returns  0 or the code of the first error
static int read_all(reader *r, size_t size)
{
    if (size > FILE_MAX_BYTES) return fail(r, r->line, SYKLI_ELIMIT, "a file of over 1 MB");
    if (!sykli_utf8_valid(r->line, size)) {
        r->number = 1;
        return fail(r, r->line, SYKLI_EPARSE, "this file is not UTF-8");
    }
    next_line(r);
    if (r->indent > 0) fail(r, r->at, SYKLI_EPARSE, "the first key is indented");
    while (r->indent >= 0) block(r, "", 1);
    return r->code;
}

static int parse(cli *c, const char *path, const char *text, size_t size, config_file *out,
                 findings *found)
{
    *out = (config_file){ .path = path };
    reader r = { .c = c, .out = out, .line = text, .at = text, .end = text, .stop = text + size };
    r.found.file = out;
    int rc = read_all(&r, size);
    *found = r.found;
    return rc;
}

int config_file_parse(cli *c, const char *path, const char *text, size_t size, config_file *out)
{
    findings found;
    return parse(c, path, text, size, out, &found);
}

int config_file_read(cli *c, const char *path, config_file *out)
{
    size_t size;
    findings found;
    const char *from = path ? path : c->config_file;
    *out = (config_file){ .path = from };
    char *text = cli_read_text(c, from, &size);
    if (!text && !path && c->fault.code == SYKLI_ENOENT) return 0;
    if (!text) return cli_fail_sykli(c, c->fault.code, c->fault.text);
    int rc = parse(c, from, text, size, out, &found);
    return rc ? cli_fail_sykli(c, rc, listed(c, &found)) : 0;
}

const char *config_file_value(const config_file *file, const char *key)
{
    for (size_t i = 0; i < file->count; i++)
        if (!strcmp(file->items[i].key, key)) return file->items[i].value;
    return NULL;
}

const char *config_file_setting(const cli *c, const config_file *file, const char *option,
                                const char *variable, const char *key)
{
    const char *value = option ? cli_value(c, option) : NULL;
    if (!value && variable) value = getenv(variable);
    return value && *value ? value : config_file_value(file, key);
}

static const char *name_path(cli *c) { return cli_print(c, "%s/name", c->state_dir); }

const char *config_file_name(cli *c, const config_file *file)
{
    size_t size;
    const char *name = config_file_setting(c, file, "name", "SYKLI_NODE_NAME", "node.name");
    if (name || access(name_path(c), F_OK)) return name;
    char *text = cli_read_text(c, name_path(c), &size);
    if (text) text[strcspn(text, "\r\n")] = 0;
    return text && *text ? text : NULL;
}

int config_file_keep_name(cli *c)
{
    const char *name = cli_value(c, "name");
    return name ? cli_write(c, name_path(c), name, strlen(name)) : 0;
}

int config_file_limit(cli *c, const char *variable, const char *key, uint32_t fallback_ms,
                      uint32_t *out_ms)
{
    config_file file;
    uint64_t ms = fallback_ms;
    int code = config_file_read(c, NULL, &file);
    if (code) return code;
    const char *text = config_file_setting(c, &file, NULL, variable, key);
    if (text && (sykli_parse_duration(text, &ms) || ms > UINT32_MAX))
        return cli_fail(c, CLI_FAILED, "einval", NULL, "%s, or %s in %s: \"%s\" is no duration: "
                        "2s, 10m, 24h; 0: none", variable, key, file.path, text);
    *out_ms = ms ? (uint32_t)ms : UINT32_MAX;
    return 0;
}

// ---- what the keys mean ----

// Keys of the file that are not live: what a node starts with, limits of other programs, what has
// no effect yet, and what is refused with what to write instead.
typedef enum fate { START, PORT, ADDRESS, SEED, LIMIT, NOTED, REFUSED } fate;
static const struct { const char *key; fate fate; const char *text; } own_keys[] = {
    { "node.name", START, NULL },
    { "mesh.listen", ADDRESS, NULL },
    { "mesh.advertise", ADDRESS, NULL },
    { "mesh.port", PORT, NULL },
    { "mesh.seeds", SEED, NULL },
    { "reviews", START, NULL },
    { "emit.timeout", LIMIT, NULL },
    { "vault.timeout", LIMIT, NULL },
    { "mesh.discovery", NOTED, "nodes are found through mesh.seeds" },
    { "mesh.port_range", NOTED, "one port is enough, mesh.port" },
    { "mesh.cookie_file", NOTED, "the cookie is in the state directory: `sykli cookie new`, "
                                 "`sykli join`" },
    { "mesh.cookie", REFUSED, "a cookie that was typed can be guessed: remove the line, make one "
                              "with `sykli cookie new` and hand it on with `sykli invite`" },
    { "mesh.ssl", REFUSED, "links are always encrypted, certificates are not known to this "
                           "version: remove the lines" },
    { "cache.trust", NOTED, "results of all members count" },
    { "targets", REFUSED, "this version runs tasks on its own nodes only: remove the lines" },
};
enum { OWN_COUNT = sizeof own_keys / sizeof *own_keys };

// The row of an own key, or of one below it; -1: it is none.
static int own_key(const char *key)
{
    for (int i = 0; i < OWN_COUNT; i++) {
        size_t size = strlen(own_keys[i].key);
        if (!strncmp(key, own_keys[i].key, size) && (!key[size] || key[size] == '.')) return i;
    }
    return -1;
}

static void refuse(cli *c, findings *f, const config_item *item, const char *text)
{
    find(c, f, item->line, item->column, cli_print(c, "%s: %s", item->key, text));
}

typedef struct live_key {
    const char *name;
    bool local;
} live_key;

typedef struct live_keys {
    live_key *keys;
    size_t count;
} live_keys;

// The nearest of all keys: the live ones and our own.
static void unknown_key(cli *c, findings *f, const config_item *item, const live_keys *live)
{
    size_t count = live->count + OWN_COUNT;
    const char **names = cli_alloc(c, count * sizeof *names);
    for (size_t i = 0; i < live->count; i++) names[i] = live->keys[i].name;
    for (size_t i = 0; i < OWN_COUNT; i++) names[live->count + i] = own_keys[i].key;
    const char *near = sykli_nearest(item->key, names, count);
    refuse(c, f, item, near ? cli_print(c, "there is no such key, did you mean %s?", near)
                            : "there is no such key; `sykli config get` lists them");
}

// The live keys, from the table `config` of a context.     returns  0 or the exit code
static int read_live_keys(cli *c, sykli *s, live_keys *out)
{
    char piece[1024];
    int64_t got;
    sykli_buf body;
    sykli_buf_init(&body, &c->mem, SYKLI_TAG_host);
    sykli_handle request = sykli_request_open(
        s, &(sykli_request){ .verb = SYKLI_VERB_query, .what = "SELECT key, local FROM config" });
    while ((got = sykli_request_read(s, request, piece, sizeof piece)) > 0)
        sykli_buf_add(&body, piece, (size_t)got);
    sykli_request_close(s, request);
    sykli_result *r = got == SYKLI_EOF
        ? sykli_result_decode(&c->mem, body.data, body.size, &c->fault) : NULL;
    sykli_buf_free(&body);
    if (!r) return cli_fail_sykli(c, got == SYKLI_EOF ? c->fault.code : (int)got, NULL);
    out->count = sykli_result_rows(r);
    out->keys = cli_alloc(c, (out->count + 1) * sizeof *out->keys);
    for (size_t i = 0; i < out->count; i++) {
        sykli_value name = sykli_result_cell(r, i, 0), local = sykli_result_cell(r, i, 1);
        out->keys[i] = (live_key){ cli_copy(c, name.text, name.text_size), local.u64 != 0 };
    }
    sykli_result_free(r);
    return 0;
}

static const live_key *live(const live_keys *keys, const char *name)
{
    for (size_t i = 0; i < keys->count; i++)
        if (!strcmp(keys->keys[i].name, name)) return &keys->keys[i];
    return NULL;
}

// The values of the key whose first item is `*at`, with commas; goes behind the last.
static char *joined(cli *c, const config_file *file, size_t *at)
{
    const config_item *first = &file->items[*at];
    size_t end = *at + 1, size = strlen(first->value) + 1;
    for (; end < file->count && first->in_list && !strcmp(file->items[end].key, first->key); end++)
        size += strlen(file->items[end].value) + 1;
    char *text = cli_alloc(c, size), *to = stpcpy(text, first->value);
    while (++*at < end) {
        *to++ = ',';
        to = stpcpy(to, file->items[*at].value);
    }
    return text;
}

// Whether a text is a port: 1 to 65535, and 0 where the system may choose one.
static bool is_port(const char *text, unsigned long least)
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && port >= least && port <= 65535;
}

// NAME@HOST:PORT, of which the host alone is needed; one with colons of its own stands in brackets.
static bool is_seed(const char *text)
{
    const char *at = strrchr(text, '@'), *host = at ? at + 1 : text, *end = strchr(host, ']');
    const char *colon = strchr(end ? end : host, ':');
    return *host && colon != host && at != text && (!colon || is_port(colon + 1, 1));
}

// The value of an own key, or one of them.
static void check_own(cli *c, findings *f, const config_item *item, int own)
{
    uint64_t ms;
    const char *port = strrchr(item->value, ':');
    switch (own_keys[own].fate) {
    case PORT:
        if (!is_port(item->value, 1)) refuse(c, f, item, "a port is wanted, 1 to 65535");
        break;
    case ADDRESS:
        if (!port || port == item->value || !is_port(port + 1, 0))
            refuse(c, f, item, "ADDR:PORT is wanted, as 0.0.0.0:4370");
        break;
    case SEED:
        if (!is_seed(item->value))
            refuse(c, f, item, "NAME@HOST:PORT, HOST:PORT or HOST is wanted; ports are 1 to 65535, "
                   "IPv6 stands in brackets");
        break;
    case LIMIT:
        if (sykli_parse_duration(item->value, &ms) || ms > UINT32_MAX)
            refuse(c, f, item, "a duration is wanted: 2s, 10m, 24h; 0: none");
        break;
    case REFUSED: refuse(c, f, item, own_keys[own].text); break;
    default: break;
    }
}

// The value of a live key: it is tried alone, so that all that are wrong are found.
static void check_live(cli *c, findings *f, const config_item *item, const char *value, sykli *s,
                       bool push)
{
    const char *one = ask_args(c, "{%s:%s}", item->key, value);
    int rc = sykli_config_verify(s, one, strlen(one));
    if (rc == SYKLI_EPERM && !push) rc = sykli_config_load(s, SYKLI_CONFIG_file, one);
    if (rc < 0) find(c, f, item->line, item->column, sykli_errmsg(s));
}

static void put_member(sykli_buf *b, const char *key, const char *value)
{
    sykli_buf_text(b, b->size > 1 ? "," : "");
    sykli_json_quote(b, key, strlen(key));
    sykli_buf_text(b, ":");
    sykli_json_quote(b, value, strlen(value));
}

char *config_file_json(cli *c, const config_file *file, sykli *s, bool push, int *exit)
{
    live_keys keys = { 0 };
    sykli_buf b;
    findings f = { .file = file };
    *exit = read_live_keys(c, s, &keys);
    if (*exit) return NULL;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{");
    for (size_t i = 0; i < file->count;) {
        const config_item *item = &file->items[i];
        const live_key *key = live(&keys, item->key);
        int own = own_key(item->key);
        const char *value = joined(c, file, &i);
        if (key && !(push && key->local)) {
            put_member(&b, item->key, value);
            check_live(c, &f, item, value, s, push);
        } else if (!key && own < 0) unknown_key(c, &f, item, &keys);
        else if (!key)
            for (; item < &file->items[i]; item++) check_own(c, &f, item, own);
    }
    if (f.count) *exit = cli_fail(c, CLI_FAILED, "einval", NULL, "%s", listed(c, &f));
    sykli_buf_text(&b, "}");
    char *text = *exit ? NULL : cli_copy(c, (const char *)b.data, b.size);
    sykli_buf_free(&b);
    return text;
}

// Puts a layer in force.      returns  0, or the exit code after an error message
static int load(cli *c, sykli *s, sykli_config_layer layer, const char *json, const char *where)
{
    int rc = sykli_config_load(s, layer, json);
    if (rc >= 0) return 0;
    return cli_fail_sykli(c, rc, cli_print(c, "%s: %s", where, sykli_errmsg(s)));
}

int config_file_apply(cli *c, const config_file *file, sykli *s, uint32_t workers)
{
    int code;
    char *json = config_file_json(c, file, s, false, &code);
    if (json) code = load(c, s, SYKLI_CONFIG_file, json, file->path);
    if (!code && workers)
        code = load(c, s, SYKLI_CONFIG_command,
                    cli_print(c, "{\"workers\":%u}", (unsigned)workers), "command line");
    return code;
}

void config_file_notes(cli *c, const config_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        const config_item *item = &file->items[i];
        int own = own_key(item->key);
        bool again = i && !strcmp(file->items[i - 1].key, item->key);
        if (own < 0 || own_keys[own].fate != NOTED || again || c->json) continue;
        fprintf(stderr, "sykli: %s:%d: %s has no effect: %s\n", file->path, item->line, item->key,
                own_keys[own].text);
    }
}
