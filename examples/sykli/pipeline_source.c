// Where a pipeline comes from: a JSON file, stdin, or a program that prints it.
#define _GNU_SOURCE 1
#include "pipeline.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EMIT_TIMEOUT_MS = 120000 };

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

// The first known name in a folder; -1: none is there.
static int find_kind(const char *dir)
{
    char path[4096];
    for (int i = 0; i < KIND_COUNT; i++) {
        int size = snprintf(path, sizeof path, "%s/%s", dir, kinds[i].name);
        if (size > 0 && (size_t)size < sizeof path && is_file(path)) return i;
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

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Reads what the program prints until its end.     returns  0, or a negative errno
static int read_output(cli *c, int fd, char **out, size_t *out_size)
{
    int64_t end = now_ms() + EMIT_TIMEOUT_MS;
    size_t size = 0, room = 64 << 10;
    char *text = cli_alloc(c, room + 1);
    for (;;) {
        struct pollfd p = { fd, POLLIN, 0 };
        int64_t left = end - now_ms();
        if (left <= 0 || poll(&p, 1, (int)left) <= 0) return -ETIMEDOUT;
        ssize_t got = read(fd, text + size, room - size);
        if (got < 0 && errno != EINTR) return -errno;
        if (got == 0) break;
        size += got > 0 ? (size_t)got : 0;
        if (size < room) continue;
        if (size > SYKLI_JSON_SIZE_MAX) return -EFBIG;
        char *grown = cli_alloc(c, room * 2 + 1);
        memcpy(grown, text, size);
        text = grown;
        room *= 2;
    }
    *out = text;
    *out_size = size;
    return 0;
}

static void child(const char *dir, const char *command, const char *file, int out)
{
    setpgid(0, 0);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) dup2(null, 0);
    dup2(out, 1);
    char *const argv[] = { "sh", "-c", (char *)(uintptr_t)command, "sykli", (char *)(uintptr_t)file,
                           NULL };
    if (chdir(dir) == 0) execv("/bin/sh", argv);
    _exit(126);
}

// Runs the program with its output into `out`.      returns 0, or an exit code after a message
static int run_program(cli *c, const char *dir, const char *command, const char *file, char **out,
                       size_t *size)
{
    int fds[2], status = 0, piped = c->sys.pipe(c->sys.user, fds);
    if (piped < 0)
        return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "pipe: %s", strerror(-piped));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) child(dir, command, file, fds[1]);
    close(fds[1]);
    int rc = pid < 0 ? -errno : read_output(c, fds[0], out, size);
    close(fds[0]);
    if (pid > 0 && rc < 0) kill(-pid, SIGKILL);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (rc == -ETIMEDOUT)
        return cli_fail(c, CLI_FAILED, "emit_timeout", NULL,
                        "%s printed no whole pipeline within %d s", file, EMIT_TIMEOUT_MS / 1000);
    if (rc < 0)
        return cli_fail(c, CLI_INFRASTRUCTURE, "emit_failed", NULL, "%s: %s", file, strerror(-rc));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
    return cli_fail(c, CLI_FAILED, "emit_failed", "its messages are above",
                    "%s --emit ended with %s %d", file, WIFEXITED(status) ? "code" : "signal",
                    WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

// What a program prints before the document is not ours: the document begins with the first line
// that begins with a brace.
static int find_document(cli *c, pipeline_source *out)
{
    char *at = out->text;
    while (at && *at != '{') {
        at = strchr(at, '\n');
        if (at) at++;
    }
    if (!at)
        return cli_fail(c, CLI_FAILED, "invalid_emit", "the program must print the graph as JSON",
                        "%s printed no pipeline", out->path);
    out->size -= (size_t)(at - out->text);
    out->text = at;
    return 0;
}

static int read_program(cli *c, const char *command, pipeline_source *out)
{
    const char *file = strcmp(out->dir, ".") ? base_name(out->path) : out->path;
    int code = run_program(c, out->dir, command, file, &out->text, &out->size);
    return code ? code : find_document(c, out);
}

static int read_source(cli *c, int kind, pipeline_source *out)
{
    const char *name = base_name(out->path);
    if (kind == 1 || (kind < 0 && ends_with(name, ".c")))
        return cli_fail(c, CLI_FAILED, "unsupported", "write the graph as sykli.json",
                        "%s: pipelines in C are not supported yet", out->path);
    if (kind > 1) return read_program(c, kinds[kind].command, out);
    if (kind < 0 && strcmp(out->path, "-") && !ends_with(name, ".json")
        && access(out->path, X_OK) == 0)
        return read_program(c, "case $1 in */*) exec \"$1\" --emit;; esac; exec \"./$1\" --emit",
                            out);
    out->text = cli_read(c, out->path, &out->size);
    if (!strcmp(out->path, "-")) out->path = out->name;
    if (out->text) return 0;
    if (c->fault.code == SYKLI_ENOENT)
        return cli_fail(c, CLI_FAILED, "pipeline_not_found", NULL, "%s", c->fault.text);
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
