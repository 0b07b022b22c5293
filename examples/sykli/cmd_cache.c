// The cache of this machine: results and the blobs they are made of. The store is shared through
// the file system, so no node is asked; only `fetch` may ask one for what is not here.
#define _GNU_SOURCE 1
#include "compile.h"
#include "config_file.h"
#include "look.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_SHOWN = 12, PREFIX_MIN = 6 };
enum { PROGRAMS_PART = 10 }; // compiled pipelines get so many parts of the quota less

// A context with the quota that the configuration says.
static int begin(asking *a, cli *c)
{
    config_file file;
    int code = ask_begin_alone(a, c, NULL);
    if (code) return code;
    code = config_file_read(c, NULL, &file);
    if (!code) code = config_file_apply(c, &file, a->s, 0);
    if (code) ask_end(a);
    return code;
}

// Ends a verb with the error of a call on the context.
static int failed(asking *a, int rc) { return cli_fail_sykli(a->c, rc, sykli_errmsg(a->s)); }

// All that is in the cache directory, pipelines that were compiled too.
static uint64_t total(cli *c, const sykli_cache_usage *u)
{
    return u->blob_bytes + u->entry_bytes + compile_kept(c).bytes;
}

static int stats(cli *c)
{
    asking a;
    sykli_cache_usage u;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = begin(&a, c);
    if (code) return code;
    int rc = sykli_cache_stats(a.s, &u);
    compile_usage programs = compile_kept(c);
    uint64_t bytes = rc ? 0 : total(c, &u);
    const char *human = look_size(c, bytes);
    if (rc) code = failed(&a, rc);
    else if (c->json)
        cli_envelope(c, true, ask_args(c, "{\"location\":%s,\"tasks\":%u,\"blobs\":%u,"
                                          "\"total_size_bytes\":%u,\"total_size_human\":%s,"
                                          "\"blob_bytes\":%u,\"entry_bytes\":%u,"
                                          "\"programs\":%u,\"program_bytes\":%u,"
                                          "\"max_size_bytes\":%u}", c->cache_dir, u.entries,
                                       u.blobs, bytes, human, u.blob_bytes, u.entry_bytes,
                                       (uint64_t)programs.count, programs.bytes, u.max_bytes));
    else {
        printf("Location:  %s\nTasks:     %llu\nBlobs:     %llu\nSize:      %s of at most %s\n",
               c->cache_dir, (unsigned long long)u.entries, (unsigned long long)u.blobs, human,
               look_size(c, u.max_bytes));
        if (programs.count)
            printf("Programs:  %llu, %s of it\n", (unsigned long long)programs.count,
                   look_size(c, programs.bytes));
    }
    ask_end(&a);
    return code;
}

#define LISTED "SELECT key, task, writer, size_bytes, log_bytes, duration_ms, created_at, "        \
               "used_at FROM actions ORDER BY used_at DESC"

static void print_results(cli *c, const sykli_result *r)
{
    int width = 4;
    size_t rows = sykli_result_rows(r);
    uint64_t now = (uint64_t)look_wall_ms(c);
    for (size_t i = 0; i < rows; i++) {
        int columns = cli_columns(ask_cell(c, r, i, "task"), 32);
        if (columns > width) width = columns;
    }
    if (rows)
        printf("%-*s  %9s  %8s  %-*s  FROM\n", width, "TASK", "SIZE", "AGE", KEY_SHOWN, "KEY");
    else fprintf(stderr, "sykli: no results are in %s\n", c->cache_dir);
    for (size_t i = 0; i < rows; i++) {
        uint64_t used = ask_number(r, i, "used_at", 0);
        int columns = cli_put(stdout, ask_cell(c, r, i, "task"), 32);
        printf("%*s  %9s  %8s  %.*s  ", width - columns, "",
               look_size(c, ask_number(r, i, "size_bytes", 0) + ask_number(r, i, "log_bytes", 0)),
               look_duration(c, now > used ? now - used : 0), KEY_SHOWN,
               ask_cell(c, r, i, "key"));
        cli_put(stdout, ask_cell(c, r, i, "writer"), 0);
        putchar('\n');
    }
}

static int list(cli *c)
{
    asking a;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = begin(&a, c);
    if (code) return code;
    sykli_result *r = c->json ? NULL : ask_query(&a, NULL, LISTED);
    if (c->json) code = ask_print(&a, NULL, LISTED, SYKLI_FORMAT_json);
    else if (r) print_results(c, r);
    else code = ask_failed(&a);
    sykli_result_free(r);
    ask_end(&a);
    return code;
}

static const cli_option gc_options[] = {
    { "max-size", 0, "SIZE", "what may stay: 7GB; default: cache.max_size" },
    { "older-than", 0, "DURATION", "what was not used for so long goes: 720h" },
    { NULL, 0, NULL, NULL }
};

static void print_freed(cli *c, uint64_t freed, uint64_t before)
{
    if (c->json) cli_envelope(c, true, ask_args(c, "{\"freed_bytes\":%u}", freed));
    else printf("freed %s of %s\n", look_size(c, freed), look_size(c, before));
}

static int gc(cli *c)
{
    asking a;
    uint64_t max_bytes = 0, older_ms, freed = 0;
    sykli_cache_usage u;
    const char *text = cli_value(c, "max-size");
    int code = cli_arguments(c, 0, 0);
    if (!code) code = cli_duration(c, "older-than", 0, &older_ms);
    if (code) return code;
    if (text && (sykli_parse_size(text, &max_bytes) || !max_bytes))
        return cli_fail(c, CLI_USAGE, "usage", "`sykli cache clear` removes all",
                        "--max-size %s: a size is wanted: 7GB, 500MB", text);
    code = begin(&a, c);
    if (code) return code;
    int rc = sykli_cache_stats(a.s, &u);
    uint64_t before = rc ? 0 : total(c, &u);
    if (!max_bytes && !rc) max_bytes = u.max_bytes;
    int64_t until = older_ms ? look_wall_ms(c) / 1000 - (int64_t)(older_ms / 1000) : 0;
    compile_usage part = { SIZE_MAX, max_bytes / PROGRAMS_PART };
    uint64_t programs = rc ? 0 : compile_collect(c, &part, until), left = compile_kept(c).bytes;
    if (!rc) rc = sykli_cache_gc(a.s, max_bytes > left ? max_bytes - left : 1, older_ms, &freed);
    if (rc) code = failed(&a, rc);
    else print_freed(c, freed + programs, before);
    ask_end(&a);
    return code;
}

static int clear(cli *c)
{
    asking a;
    sykli_cache_usage u;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = begin(&a, c);
    if (code) return code;
    int rc = sykli_cache_stats(a.s, &u);
    uint64_t before = rc ? 0 : total(c, &u);
    if (!rc) rc = sykli_cache_clear(a.s);
    if (!rc) compile_clear(c);
    if (!rc) rc = sykli_cache_stats(a.s, &u);
    uint64_t left = rc ? 0 : total(c, &u); // a run beside this one uses it
    if (rc) code = failed(&a, rc);
    else print_freed(c, before > left ? before - left : 0, before);
    ask_end(&a);
    return code;
}

static int verify(cli *c)
{
    asking a;
    sykli_cache_check all;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = begin(&a, c);
    if (code) return code;
    int rc = sykli_cache_verify(a.s, &all);
    if (rc) code = failed(&a, rc);
    else if (c->json)
        cli_envelope(c, true, ask_args(c, "{\"blobs\":%u,\"entries\":%u,\"damaged\":%u}", all.blobs,
                                       all.entries, all.damaged));
    else
        printf("%llu blobs and %llu results read, %llu damaged%s\n", (unsigned long long)all.blobs,
               (unsigned long long)all.entries, (unsigned long long)all.damaged,
               all.damaged ? " and set aside" : "");
    if (!code && all.damaged) code = CLI_FAILED;
    ask_end(&a);
    return code;
}

// ---- fetch ----

static const cli_option fetch_options[] = {
    { "output", 'o', "FILE", "where it goes; default: stdout" },
    { "from", 0, "NODE", "ask this node alone" },
    { NULL, 0, NULL, NULL }
};

// A blob on its way to a file without a name: nothing is shown before all of it is checked.
typedef struct arriving {
    FILE *file;
    sykli_tree hash;
} arriving;

static int arrive(void *user, const void *data, size_t size)
{
    arriving *to = user;
    sykli_tree_add(&to->hash, data, size);
    return fwrite(data, 1, size, to->file) == size ? 0 : SYKLI_EIO;
}

// Fetches a blob from a node (NULL: from the store here) and checks it.
static FILE *fetch_blob(asking *a, const char *node, const char *id)
{
    arriving to = { .file = tmpfile() };
    sykli_digest wanted, got;
    if (!to.file) {
        sykli_fail(&a->c->fault, SYKLI_EIO, "no temporary file: %s", strerror(errno));
        return NULL;
    }
    sykli_tree_init(&to.hash);
    int rc = ask_pieces(a, &(sykli_request){ .verb = SYKLI_VERB_fetch, .node = node, .what = id },
                        arrive, &to);
    sykli_tree_end(&to.hash, &got);
    if (!rc && (sykli_unhex(wanted.bytes, 32, id, 64) || memcmp(&wanted, &got, sizeof got)))
        rc = sykli_fail(&a->c->fault, SYKLI_ECORRUPT, "what came is not what %.12s names", id);
    if (!rc) {
        rewind(to.file);
        return to.file;
    }
    fclose(to.file);
    return NULL;
}

// The same from wherever it is: here, then a node or all that are there.
static FILE *find_blob(asking *a, const char *node, const char *id)
{
    const ask_node *nodes;
    size_t count = 0;
    FILE *file = node ? fetch_blob(a, ask_whom(a, node), id) : fetch_blob(a, NULL, id);
    if (file || node || !a->mesh || ask_nodes(a, &nodes, &count)) return file;
    for (size_t i = 0; i < count && !file; i++)
        if (nodes[i].alive) file = fetch_blob(a, nodes[i].id, id);
    return file;
}

// The entry of a key as a line of JSON; the node that runs here looks for it at its peers.
static FILE *find_entry(asking *a, const char *node, const char *key)
{
    sykli_buf entry;
    sykli_json_doc found;
    FILE *file = NULL;
    const char *args = ask_args(a->c, "{\"key\":%s}", key);
    sykli_buf_init(&entry, &a->c->mem, SYKLI_TAG_host);
    int rc = SYKLI_ENOENT;
    sykli_request get = { .verb = SYKLI_VERB_call, .what = "action.get", .args = args };
    if (node) get.node = ask_whom(a, node);
    rc = ask(a, &get, &entry);
    if (rc && !node && a->mesh && !ask_call(a, ask_here(a), "cache.find", args, &found)) {
        sykli_json_free(&found);
        get.node = ask_here(a);
        sykli_buf_reset(&entry);
        rc = ask(a, &get, &entry);
    }
    if (!rc) file = tmpfile();
    if (file) {
        fwrite(entry.data, 1, entry.size, file);
        putc('\n', file);
        rewind(file);
    }
    sykli_buf_free(&entry);
    return file;
}

// Copies to the file that the user names, which is whole or not there, or to stdout.
static int deliver(cli *c, FILE *from)
{
    const char *path = cli_value(c, "output");
    char data[16384];
    char *fresh = path ? cli_print(c, "%s.%ld", path, (long)getpid()) : NULL;
    FILE *to = path ? fopen(fresh, "wbx") : stdout;
    bool good = to != NULL;
    for (size_t got; good && (got = fread(data, 1, sizeof data, from)) > 0;)
        good = fwrite(data, 1, got, to) == got;
    if (to && path) good = !fclose(to) && good;
    else if (to) good = !fflush(to) && good;
    if (good && (!path || !rename(fresh, path))) return CLI_OK;
    int why = errno;
    if (to && path) unlink(fresh);
    return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "%s: %s", path ? path : "stdout",
                    strerror(why));
}

// What the beginning of an id or key stands for among what is here; a whole one is taken as it is.
//   returns  0, or the exit code after a message
static int whole_id(asking *a, const char *word, const char **out)
{
    static const char *const queries[] = { "SELECT key FROM actions WHERE key LIKE '%s%%'",
                                           "SELECT id FROM blobs WHERE id LIKE '%s%%'" };
    cli *c = a->c;
    size_t found = 0, size = strlen(word);
    *out = word;
    if (size != strspn(word, "0123456789abcdef") || size < PREFIX_MIN || size > 64)
        return cli_fail(c, CLI_USAGE, "usage", "`sykli cache ls` shows keys",
                        "%s: an id or a key is 64 hex digits, or at least %d of them", word,
                        PREFIX_MIN);
    for (int i = 0; size < 64 && i < 2; i++) {
        sykli_result *r = ask_query(a, NULL, cli_print(c, i ? queries[1] : queries[0], word));
        size_t rows = r ? sykli_result_rows(r) : 0;
        if (rows) *out = ask_cell(c, r, 0, i ? "id" : "key");
        found += rows;
        sykli_result_free(r);
    }
    if (size == 64 || found == 1) return 0;
    return cli_fail(c, CLI_USAGE, found ? "ambiguous" : "not_found", NULL,
                    found ? "%s begins %zu ids" : "nothing here begins with %s", word, found);
}

static int fetch(cli *c)
{
    asking a;
    const char *node = cli_value(c, "from"), *id;
    int code = cli_arguments(c, 1, 1);
    if (!code) code = node ? ask_begin(&a, c) : ask_begin_anyhow(&a, c);
    if (code) return code;
    code = whole_id(&a, c->args[0], &id);
    FILE *file = code ? NULL : find_entry(&a, node, id);
    if (!file && !code) file = find_blob(&a, node, id);
    if (!file && !code) code = ask_failed(&a);
    if (file) code = deliver(c, file);
    if (file) fclose(file);
    ask_end(&a);
    return code;
}

static int path(cli *c)
{
    int code = cli_arguments(c, 0, 0);
    if (!code && c->json) cli_envelope(c, true, ask_args(c, "{\"location\":%s}", c->cache_dir));
    else if (!code) puts(c->cache_dir);
    return code;
}

static const cli_verb verb_stats = { "stats", "print how much is in it", "",
                                     "sykli cache stats --json", NULL, NULL, stats };
static const cli_verb verb_ls = { "ls", "list the results, last used first", "", "sykli cache ls",
                                  NULL, NULL, list };
static const cli_verb verb_gc = { "gc", "remove what was not used for longest",
                                  "[--max-size SIZE] [--older-than D]",
                                  "sykli cache gc --max-size 7GB", gc_options, NULL, gc };
static const cli_verb verb_verify = { "verify", "read everything, set what is damaged aside", "",
                                      "sykli cache verify", NULL, NULL, verify };
static const cli_verb verb_clear = { "clear", "remove everything", "", "sykli cache clear", NULL,
                                     NULL, clear };
static const cli_verb verb_clean = { "clean", "the same as clear", "", "sykli cache clean", NULL,
                                     NULL, clear };
static const cli_verb verb_path = { "path", "print where it is", "", "sykli cache path", NULL, NULL,
                                    path };
static const cli_verb verb_fetch = { "fetch", "print a blob, or the entry of a result",
                                     "ID|KEY [-o FILE] [--from NODE]",
                                     "sykli cache fetch 0a1b2c3d -o app", fetch_options, NULL,
                                     fetch };
static const cli_verb *const verbs[] = { &verb_stats, &verb_ls, &verb_verify, &verb_gc,
                                         &verb_fetch, &verb_clear, &verb_clean, &verb_path, NULL };

const cli_verb verb_cache = { "cache", "look at the cache, make room in it", "VERB",
                              "sykli cache stats", NULL, verbs, NULL };
