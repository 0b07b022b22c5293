// Where a pipeline comes from: a JSON file, stdin, or a program that prints it.
#define _GNU_SOURCE 1
#include "compile.h"
#include "pipeline.h"
#include "tool.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

// Known names in the order they are looked for, and how to run each; $1 is the file.
static const struct { const char *name, *command; } kinds[] = {
    { "sykli.json", NULL },
    { "sykli.c", NULL },
    { "sykli.go", "exec go run \"$1\" --emit" },
    { "sykli.rs", "if [ -x ./sykli ]; then exec ./sykli --emit; fi; "
                  "cargo run -q --bin sykli -- --emit || "
                  "exec cargo run -q --bin sykli --features sykli -- --emit" },
    { "sykli.ts", "if npx --no-install tsx --version >/dev/null 2>&1; then "
                  "exec npx tsx \"$1\" --emit; fi; exec npx ts-node \"$1\" --emit" },
    { "sykli.exs", "exec elixir \"$1\" --emit" },
    { "sykli.py", "exec python3 \"$1\" --emit" },
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && !strcmp(text + size - end_size, end);
}

// The first known name in a folder; -1: none is there. A folder called sykli.json is no pipeline,
// but is told of.
static int find_kind(const char *dir)
{
    char path[4096];
    for (int i = 0; i < KIND_COUNT; i++) {
        int size = snprintf(path, sizeof path, "%s/%s", dir, kinds[i].name);
        bool fits = size > 0 && (size_t)size < sizeof path;
        if (fits && (is_file(path) || (!i && is_folder(path)))) return i;
    }
    return -1;
}

bool pipeline_is_path(const char *word)
{
    if (is_folder(word)) return find_kind(word) >= 0;
    if (!is_file(word)) return false;
    for (int i = 0; i < KIND_COUNT; i++)
        if (!strcmp(base_name(word), kinds[i].name)) return true;
    return ends_with(word, ".json");
}

// ---- programs ----

// Runs a program with its output into `out`: $1 of the command is the file as it was given, $2 what
// it was compiled to.      returns 0, or an exit code after a message
static int run_program(cli *c, const char *command, const char *file, const char *compiled,
                       pipeline_source *out)
{
    const char *const argv[] = { "/bin/sh", "-c", command, "sykli", file, compiled, NULL };
    tool t;
    uint32_t limit_ms;
    char limit[32];
    int code = compile_limit(c, &limit_ms);
    if (code) return code;
    int rc = tool_run(c, &t, cli_print(c, "%s --emit", file), argv, out->dir, limit_ms,
                      SYKLI_JSON_SIZE_MAX);
    if (rc == -ETIMEDOUT)
        return cli_fail(c, CLI_FAILED, "emit_timeout",
                        "emit.timeout in sykli.yaml or SYKLI_EMIT_TIMEOUT gives it more time",
                        "%s printed no whole pipeline within %s", file,
                        sykli_format_duration(limit, limit_ms));
    if (rc == -EINTR) return CLI_INFRASTRUCTURE; // whoever caught the signal speaks of it
    if (rc < 0)
        return cli_fail(c, CLI_INFRASTRUCTURE, "emit_failed", NULL, "%s: %s", file, strerror(-rc));
    out->size = t.size;
    out->text = cli_unmarked(t.text, &out->size);
    if (tool_passed(&t)) return 0;
    return cli_fail(c, CLI_FAILED, "emit_failed", "its messages are above",
                    "%s --emit ended with %s", file, tool_ending(c, &t));
}

// The next line that begins with a brace.     returns  NULL: there is none
static char *next_brace(char *at)
{
    while (at && *at != '{') {
        at = strchr(at, '\n');
        if (at) at++;
    }
    return at;
}

// The size of the object that begins here, to its closing brace, which is none within a text.
static size_t object_size(const char *text)
{
    size_t depth = 0;
    bool quoted = false;
    for (const char *at = text; *at; at++) {
        if (quoted && *at == '\\' && at[1]) at++;
        else if (*at == '"') quoted = !quoted;
        else if (!quoted && *at == '{') depth++;
        else if (!quoted && *at == '}' && !--depth) return (size_t)(at - text) + 1;
    }
    return strlen(text);
}

static bool is_json(cli *c, const char *text, size_t size)
{
    sykli_json_doc doc;
    if (sykli_json_parse(&doc, &c->mem, text, size, NULL) < 0) return false;
    sykli_json_free(&doc);
    return true;
}

// What a program prints before and behind the document is not ours: the document is the first
// object that begins a line and is JSON; if there is none, the first that looks like it.
static int find_document(cli *c, pipeline_source *out)
{
    char *first = next_brace(out->text), *at = first;
    if (!first)
        return cli_fail(c, CLI_FAILED, "invalid_emit", "the program must print the graph as JSON",
                        "%s printed no pipeline", out->path);
    bool only = !next_brace(first + object_size(first)); // then whoever reads it may judge it
    while (!only && at && !is_json(c, at, object_size(at))) at = next_brace(at + 1);
    out->text = at ? at : first;
    out->size = object_size(out->text);
    return 0;
}

static int read_program(cli *c, const char *command, pipeline_source *out)
{
    const char *file = strcmp(out->dir, ".") ? base_name(out->path) : out->path;
    int code = run_program(c, command, file, NULL, out);
    return code ? code : find_document(c, out);
}

static int read_compiled(cli *c, pipeline_source *out)
{
    const char *program;
    int code = compile_pipeline(c, out->path, &program);
    if (!code)
        code = run_program(c, "exec \"$2\" --emit", out->path, program, out);
    return code ? code : find_document(c, out);
}

static int read_source(cli *c, int kind, pipeline_source *out)
{
    const char *name = base_name(out->path);
    if (kind == 1 || (kind < 0 && ends_with(name, ".c"))) return read_compiled(c, out);
    if (kind > 1) return read_program(c, kinds[kind].command, out);
    if (kind < 0 && strcmp(out->path, "-") && !ends_with(name, ".json")
        && is_program(out->path))
        return read_program(c, "case $1 in */*) exec \"$1\" --emit;; esac; exec \"./$1\" --emit",
                            out);
    out->text = cli_read_text(c, out->path, &out->size);
    if (!strcmp(out->path, "-")) out->path = out->name;
    if (out->text) return 0;
    if (c->fault.code == SYKLI_ENOENT)
        return cli_fail(c, CLI_FAILED, "pipeline_not_found", NULL, "%s", c->fault.text);
    if (c->fault.code == SYKLI_EINVAL)
        return cli_fail(c, CLI_FAILED, "pipeline_unreadable", NULL, "%s", c->fault.text);
    return cli_fail_sykli(c, c->fault.code, c->fault.text);
}

int pipeline_find_source(cli *c, const char *path, pipeline_source *out)
{
    memset(out, 0, sizeof *out);
    out->dir = ".";
    if (path && !is_folder(path)) {
        int kind = -1;
        for (int i = 0; i < KIND_COUNT; i++)
            if (!strcmp(base_name(path), kinds[i].name)) kind = i;
        out->path = path;
        out->name = strcmp(path, "-") ? base_name(path) : "stdin";
        if (path != cli_value(c, "file") && base_name(path) > path + 1)
            out->dir = cli_copy(c, path, (size_t)(base_name(path) - path) - 1);
        return read_source(c, kind, out);
    }
    if (path) out->dir = path;
    int kind = find_kind(out->dir);
    if (kind < 0)
        return cli_fail(c, CLI_FAILED, "pipeline_not_found", "sykli init writes one",
                        "no pipeline in %s: sykli.json, .c, .go, .rs, .ts, .exs or .py is wanted",
                        path ? path : "this folder");
    out->name = kinds[kind].name;
    out->path = path ? cli_print(c, "%s/%s", path, out->name) : out->name;
    return read_source(c, kind, out);
}
