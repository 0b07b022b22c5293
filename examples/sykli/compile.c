#define _GNU_SOURCE 1
#include "compile.h"
#include "carried.h"
#include "tool.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TIMEOUT_MS = 120000, OUTPUT_MAX_BYTES = 1 << 20 };

static const char *compiler(void)
{
    const char *name = getenv("CC");
    return name && *name ? name : "cc";
}

// Runs the compiler, whose name may be several words.
static int run(cli *c, tool *t, const char *command, const char *source, const char *include,
               const char *out)
{
    const char *const argv[] = { "/bin/sh", "-c", cli_print(c, "exec %s %s", compiler(), command),
                                 "sykli", source, include, out, NULL };
    int rc = tool_begin(c, t, argv, NULL, TIMEOUT_MS, OUTPUT_MAX_BYTES);
    return rc ? rc : tool_wait(c, t);
}

static void add(sykli_sha256 *hash, const void *data, size_t size)
{
    uint64_t length = size; // what follows cannot be taken for a part of it
    sykli_sha256_add(hash, &length, sizeof length);
    sykli_sha256_add(hash, data, size);
}

// Whether the source includes a file of its own, whose changes we would not see.
static bool has_own_includes(const char *path, const char *text)
{
    char beside[4096];
    const char *slash = strrchr(path, '/');
    snprintf(beside, sizeof beside, "%.*ssykli.h", slash ? (int)(slash - path) + 1 : 0, path);
    if (access(beside, F_OK) == 0) return true;
    for (const char *at = text; (at = strstr(at, "include")); at += 7) {
        const char *name = at + 7 + strspn(at + 7, " \t");
        if (*name == '"' && strncmp(name, "\"sykli.h\"", 9)) return true;
    }
    return false;
}

static int fail_io(cli *c, const char *path)
{
    return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "%s: %s", path, strerror(errno));
}

static bool write_file(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(data, 1, size, file) == size;
    if (file && fclose(file)) ok = false;
    return ok;
}

// The header in a folder of its own, named by its digest.      returns  NULL: errno says why
static const char *put_header(cli *c, const char *dir, const char *text, size_t size)
{
    uint8_t sum[32];
    char hex[65];
    sykli_sha256_of(text, size, sum);
    sykli_hex(hex, sum, 32);
    const char *folder = cli_print(c, "%s/%.16s", dir, hex);
    const char *path = cli_print(c, "%s/sykli.h", folder);
    if (access(path, R_OK) == 0) return folder;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return NULL;
    const char *fresh = cli_print(c, "%s.%ld", path, (long)getpid());
    if (!write_file(fresh, text, size) || rename(fresh, path) < 0) return NULL;
    return folder;
}

// The folder of compiled programs, absolute: they run elsewhere.    returns  NULL: errno says why
static const char *programs(cli *c)
{
    const char *dir = cli_print(c, "%s/programs", c->cache_dir);
    for (const char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        mkdir(cli_copy(c, dir, (size_t)(slash - dir)), 0700);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) return NULL;
    char *full = realpath(dir, NULL);
    const char *out = full ? cli_copy(c, full, strlen(full)) : NULL;
    free(full);
    return out;
}

static int compile(cli *c, const char *path, const char *folder, const char *out)
{
    tool t;
    const char *fresh = cli_print(c, "%s.%ld", out, (long)getpid());
    int rc = run(c, &t, "-I \"$2\" \"$1\" -o \"$3\" -lpthread -lm", path, folder, fresh);
    if (rc || !tool_passed(&t)) {
        unlink(fresh);
        return cli_fail(c, CLI_FAILED, "compile_failed", "its messages are above",
                        "%s cannot be compiled: %s: %s", path, compiler(),
                        rc == -ETIMEDOUT ? "no end within 120 s" : rc ? strerror(-rc)
                                                               : tool_ending(c, &t));
    }
    return rename(fresh, out) < 0 ? fail_io(c, out) : 0;
}

int compile_pipeline(cli *c, const char *path, const char **out)
{
    size_t source_size, header_size;
    const char *header = carried_header(&header_size), *dir = programs(c);
    const char *source = cli_read(c, path, &source_size);
    sykli_sha256 hash;
    uint8_t sum[32];
    char hex[65];
    tool version;
    if (!source) return cli_fail(c, CLI_FAILED, "pipeline_not_found", NULL, "%s", c->fault.text);
    if (!dir) return fail_io(c, c->cache_dir);
    const char *folder = put_header(c, dir, header, header_size);
    if (!folder) return fail_io(c, dir);
    int rc = run(c, &version, "--version 2>/dev/null", "", "", "");
    if (rc || !tool_passed(&version))
        return cli_fail(c, CLI_FAILED, "no_compiler", "set CC, or write the graph as sykli.json",
                        "%s needs a C compiler, and %s does not run", path, compiler());
    sykli_sha256_init(&hash);
    add(&hash, source, source_size);
    add(&hash, header, header_size);
    add(&hash, compiler(), strlen(compiler()));
    add(&hash, version.text, version.size);
    sykli_sha256_end(&hash, sum);
    sykli_hex(hex, sum, 32);
    *out = cli_print(c, "%s/%s", dir, hex);
    if (!has_own_includes(path, source) && access(*out, X_OK) == 0) return 0;
    return compile(c, path, folder, *out);
}
