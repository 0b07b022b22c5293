#define _GNU_SOURCE 1
#include "compile.h"
#include "carried.h"
#include "config_file.h"
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TIMEOUT_MS = 120000, OUTPUT_MAX_BYTES = 1 << 20 };
enum { PROGRAMS_MAX = 64, HOLD_S = 60 }; // without gc

static const char *compiler(void)
{
    const char *name = getenv("CC");
    return name && *name ? name : "cc";
}

// Runs the compiler, whose name may be several words.
static int run(cli *c, tool *t, uint32_t limit_ms, const char *command, const char *source,
               const char *include, const char *out)
{
    const char *const argv[] = { "/bin/sh", "-c", cli_print(c, "exec %s %s", compiler(), command),
                                 "sykli", source, include, out, NULL };
    return tool_run(c, t, compiler(), argv, NULL, limit_ms, OUTPUT_MAX_BYTES);
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

// Whether a file is there; then it is used now, which a cache that may only be read need not keep.
static bool use(const char *path, int how)
{
    if (access(path, how) < 0) return false;
    (void)utimensat(AT_FDCWD, path, NULL, 0);
    return true;
}

// What tools/carry packed.
typedef struct unpacking {
    const unsigned char *next, *end;
    uint32_t low, high, code;
    uint8_t (*seen)[2]; // zeros and ones that followed, by context
} unpacking;

enum { CONTEXTS = 1 << 22, ORDERS = 4 };

static unsigned unpack_bit(unpacking *u, const uint32_t hash[ORDERS], unsigned node)
{
    uint32_t sum[2] = { 1, 1 };
    uint8_t *slots[ORDERS];
    for (int k = 0; k < ORDERS; k++) {
        slots[k] = u->seen[(hash[k] + node * 40503) % CONTEXTS];
        for (int bit = 0; bit < 2; bit++) sum[bit] += (uint32_t)slots[k][bit] << 2 * k;
    }
    uint32_t middle = u->low + (u->high - u->low) / (sum[0] + sum[1]) * sum[0];
    unsigned bit = u->code > middle;
    if (bit) u->low = middle + 1;
    else u->high = middle;
    for (int k = 0; k < ORDERS; k++) {
        uint8_t *is = &slots[k][bit], *other = &slots[k][!bit];
        *is = (uint8_t)(*is + (*is < 255));
        if (*other > 2) *other = (uint8_t)(*other / 2 + 1);
    }
    for (; !((u->low ^ u->high) >> 24); u->low <<= 8, u->high = u->high << 8 | 255)
        u->code = u->code << 8 | (u->next < u->end ? *u->next++ : 0);
    return bit;
}

static const void *unpack(cli *c, const carried_text *from)
{
    unsigned char *text = cli_alloc(c, from->size);
    void *mark = cli_mark(c);
    unpacking u = { from->packed, from->packed + from->packed_size, 0, UINT32_MAX, 0,
                    cli_alloc(c, CONTEXTS * sizeof *u.seen) };
    for (int i = 0; i < 4; i++) u.code = u.code << 8 | *u.next++;
    for (size_t at = 0; at < from->size; at++) {
        uint32_t hash[ORDERS], last = 0;
        unsigned node = 1;
        for (uint32_t k = 0; k < ORDERS; k++) {
            last = (last + (at > k ? text[at - k - 1] : 0u) + k + 1) * 2654435 % CONTEXTS;
            hash[k] = last;
        }
        while (node < 128) node = node * 2 + unpack_bit(&u, hash, node);
        text[at] = (unsigned char)(node - 128);
    }
    cli_release(c, mark);
    return text;
}

// The header in a folder of its own, named by its digest as it is packed: to unpack it takes 10 ms.
//   returns  NULL: errno says why
static const char *put_header(cli *c, const char *dir)
{
    const carried_text *header = &carried_header;
    uint8_t sum[32];
    char hex[65];
    sykli_sha256_of(header->packed, header->packed_size, sum);
    sykli_hex(hex, sum, 32);
    const char *folder = cli_print(c, "%s/%.16s", dir, hex);
    const char *path = cli_print(c, "%s/sykli.h", folder);
    if (use(path, R_OK)) return folder;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST) return NULL;
    const char *fresh = cli_print(c, "%s.%ld", path, (long)getpid());
    if (!write_file(fresh, unpack(c, header), header->size) || rename(fresh, path) < 0) return NULL;
    return folder;
}

// The folder of compiled programs, absolute: they run elsewhere.    returns  NULL: errno says why
static const char *programs(cli *c)
{
    const char *dir = cli_print(c, "%s/programs", c->cache_dir);
    for (const char *slash = strchr(dir + 1, '/'); slash; slash = strchr(slash + 1, '/'))
        mkdir(cli_copy(c, dir, (size_t)(slash - dir)), 0700);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST) return NULL;
    return cli_folder(c, dir);
}

// ---- what is kept ----

// A program, or the folder of a header: which ends with a slash, and counts with what is in it.
typedef struct kept {
    const char *path;
    uint64_t bytes;
    int64_t used_at;
} kept;

static void count_file(kept *k, const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode)) return;
    k->bytes += (uint64_t)st.st_size;
    if ((int64_t)st.st_mtime > k->used_at) k->used_at = (int64_t)st.st_mtime;
}

static int older(const void *a, const void *b)
{
    int64_t x = ((const kept *)a)->used_at, y = ((const kept *)b)->used_at;
    return x < y ? -1 : x > y;
}

// The oldest first.
static kept *list_kept(cli *c, size_t *count)
{
    const char **names = cli_names(c, cli_print(c, "%s/programs", c->cache_dir), count);
    kept *all = cli_alloc(c, (*count + 1) * sizeof *all);
    for (size_t i = 0, inner; i < *count; i++) {
        const char **files = cli_names(c, names[i], &inner);
        all[i].path = names[i];
        count_file(&all[i], names[i]);
        while (inner) count_file(&all[i], files[--inner]);
    }
    qsort(all, *count, sizeof *all, older);
    return all;
}

static bool drop(cli *c, const kept *k)
{
    size_t inner;
    const char **files = cli_names(c, k->path, &inner);
    while (inner) unlink(files[--inner]);
    return unlink(k->path) == 0 || rmdir(k->path) == 0;
}

static compile_usage sum(const kept *all, size_t count)
{
    compile_usage u = { .count = count };
    for (size_t i = 0; i < count; i++) u.bytes += all[i].bytes;
    return u;
}

compile_usage compile_kept(cli *c)
{
    size_t count;
    const kept *all = list_kept(c, &count);
    return sum(all, count);
}

uint64_t compile_collect(cli *c, const compile_usage *max, int64_t until)
{
    size_t count;
    uint64_t freed = 0;
    void *mark = cli_mark(c);
    const kept *all = list_kept(c, &count);
    compile_usage left = sum(all, count);
    int64_t held = (int64_t)time(NULL) - HOLD_S;
    for (size_t i = 0; i < count && all[i].used_at < held; i++) {
        bool much = left.count > max->count || left.bytes > max->bytes;
        if ((!much && all[i].used_at >= until) || !drop(c, &all[i])) continue;
        freed += all[i].bytes;
        left.bytes -= all[i].bytes;
        left.count--;
    }
    cli_release(c, mark);
    return freed;
}

uint64_t compile_clear(cli *c)
{
    size_t count;
    uint64_t freed = 0;
    const kept *all = list_kept(c, &count);
    for (size_t i = 0; i < count; i++) freed += drop(c, &all[i]) ? all[i].bytes : 0;
    return freed;
}

// ---- compiling ----

static int compile(cli *c, uint32_t limit_ms, const char *path, const char *folder,
                   const char *out)
{
    tool t;
    char limit[32];
    const char *fresh = cli_print(c, "%s.%ld", out, (long)getpid());
    int rc = run(c, &t, limit_ms, "-I \"$2\" \"$1\" -o \"$3\" -lpthread -lm", path, folder,
                 fresh);
    if (rc || !tool_passed(&t)) {
        unlink(fresh);
        if (rc == -EINTR) return CLI_INFRASTRUCTURE; // whoever caught the signal speaks of it
        if (rc == -ETIMEDOUT)
            return cli_fail(c, CLI_FAILED, "compile_timeout",
                            "emit.timeout in sykli.yaml or SYKLI_EMIT_TIMEOUT gives it more time",
                            "%s cannot be compiled: %s: no end within %s", path, compiler(),
                            sykli_format_duration(limit, limit_ms));
        return cli_fail(c, CLI_FAILED, "compile_failed", "its messages are above",
                        "%s cannot be compiled: %s: %s", path, compiler(),
                        rc ? strerror(-rc) : tool_ending(c, &t));
    }
    if (rename(fresh, out) < 0) return fail_io(c, out);
    compile_collect(c, &(compile_usage){ PROGRAMS_MAX, UINT64_MAX }, 0);
    return 0;
}

int compile_limit(cli *c, uint32_t *out_ms)
{
    return config_file_limit(c, "SYKLI_EMIT_TIMEOUT", "emit.timeout", TIMEOUT_MS, out_ms);
}

int compile_pipeline(cli *c, const char *path, const char **out)
{
    size_t source_size;
    const char *source = cli_read(c, path, &source_size), *dir = programs(c);
    sykli_sha256 hash;
    uint8_t sum[32];
    char hex[65];
    tool version;
    uint32_t limit_ms;
    int code = compile_limit(c, &limit_ms);
    if (code) return code;
    if (!source) return cli_fail(c, CLI_FAILED, "pipeline_not_found", NULL, "%s", c->fault.text);
    if (!dir) return fail_io(c, c->cache_dir);
    const char *folder = put_header(c, dir);
    if (!folder) return fail_io(c, dir);
    int rc = run(c, &version, limit_ms, "--version 2>/dev/null", "", "", "");
    if (rc == -EINTR) return CLI_INFRASTRUCTURE; // whoever caught the signal speaks of it
    if (rc || !tool_passed(&version))
        return cli_fail(c, CLI_FAILED, "no_compiler", "set CC, or write the graph as sykli.json",
                        "%s needs a C compiler, and %s does not run", path, compiler());
    sykli_sha256_init(&hash);
    add(&hash, source, source_size);
    add(&hash, carried_header.packed, carried_header.packed_size);
    add(&hash, compiler(), strlen(compiler()));
    add(&hash, version.text, version.size);
    sykli_sha256_end(&hash, sum);
    sykli_hex(hex, sum, 32);
    *out = cli_print(c, "%s/%s", dir, hex);
    if (!has_own_includes(path, source) && use(*out, X_OK)) return 0;
    return compile(c, limit_ms, path, folder, *out);
}
