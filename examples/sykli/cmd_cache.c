// The cache of this machine: results and the blobs they are made of. The store is shared through
// the file system, so no node is asked.
#include "look.h"

typedef struct totals {
    uint64_t tasks, blobs, size_bytes, max_bytes;
} totals;

static int count_in(asking *a, const char *query, uint64_t *out)
{
    sykli_result *r = ask_query(a, NULL, query);
    if (!r) return ask_failed(a);
    *out = 0;
    if (sykli_result_rows(r)) {
        sykli_value v = sykli_result_cell(r, 0, sykli_result_columns(r) - 1);
        if (v.kind == SYKLI_KIND_U64) *out = v.u64;
        if (v.kind == SYKLI_KIND_I64 && v.i64 > 0) *out = (uint64_t)v.i64;
    }
    sykli_result_free(r);
    return 0;
}

static int read_totals(asking *a, totals *t)
{
    int code = count_in(a, "SELECT count(*) FROM actions", &t->tasks);
    if (!code) code = count_in(a, "SELECT count(*) FROM blobs", &t->blobs);
    if (!code) code = count_in(a, "SELECT sum(size_bytes) FROM blobs", &t->size_bytes);
    const char *max = sykli_config_get(a->s, "cache.max_size");
    if (max) (void)sykli_parse_size(max, &t->max_bytes);
    return code;
}

static int stats(cli *c)
{
    asking a;
    totals t = { 0 };
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    code = read_totals(&a, &t);
    const char *human = look_size(c, t.size_bytes);
    if (!code && c->json)
        cli_envelope(c, true, ask_args(c, "{\"location\":%s,\"tasks\":%u,\"blobs\":%u,"
                                          "\"total_size_bytes\":%u,\"total_size_human\":%s,"
                                          "\"max_size_bytes\":%u}", c->cache_dir, t.tasks, t.blobs,
                                       t.size_bytes, human, t.max_bytes));
    else if (!code)
        printf("Location:  %s\nTasks:     %llu\nBlobs:     %llu\nSize:      %s of at most %s\n",
               c->cache_dir, (unsigned long long)t.tasks, (unsigned long long)t.blobs, human,
               look_size(c, t.max_bytes));
    ask_end(&a);
    return code;
}

static int list(cli *c)
{
    asking a;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    code = ask_print(&a, NULL, "SELECT key, task, outputs, size_bytes, duration_ms, created_at, "
                               "used_at FROM actions ORDER BY used_at DESC", SYKLI_FORMAT_table);
    ask_end(&a);
    return code;
}

// Removes the oldest until at most max_bytes are left; 0: what the configuration says.
static int collect(cli *c, uint64_t max_bytes)
{
    asking a;
    totals before = { 0 };
    sykli_json_doc answer;
    int code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    code = read_totals(&a, &before);
    if (!code && ask_call(&a, NULL, "cache.gc",
                          max_bytes ? ask_args(c, "{\"max_bytes\":%u}", max_bytes) : NULL, &answer))
        code = ask_failed(&a);
    else if (!code) {
        uint64_t freed = sykli_arg_u64(&answer, "freed_bytes", 0);
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"freed_bytes\":%u}", freed));
        else printf("freed %s of %s\n", look_size(c, freed), look_size(c, before.size_bytes));
    }
    ask_end(&a);
    return code;
}

static const cli_option gc_options[] = {
    { "max-size", 0, "SIZE", "what may stay: 7GB; default: cache.max_size" },
    { NULL, 0, NULL, NULL }
};

static int gc(cli *c)
{
    uint64_t max_bytes = 0;
    const char *text = cli_value(c, "max-size");
    int code = cli_arguments(c, 0, 0);
    if (code) return code;
    if (text && (sykli_parse_size(text, &max_bytes) || !max_bytes))
        return cli_fail(c, CLI_USAGE, "usage", "`sykli cache clear` removes all",
                        "--max-size %s: a size is wanted: 7GB, 500MB", text);
    return collect(c, max_bytes);
}

static int clear(cli *c)
{
    asking a;
    totals before = { 0 };
    sykli_json_doc answer;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    code = read_totals(&a, &before);
    if (!code && ask_call(&a, NULL, "cache.clear", NULL, &answer)) code = ask_failed(&a);
    else if (!code) {
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"freed_bytes\":%u}", before.size_bytes));
        else printf("freed %s\n", look_size(c, before.size_bytes));
    }
    ask_end(&a);
    return code;
}

static int verify(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    if (ask_call(&a, NULL, "cache.verify", NULL, &answer)) code = ask_failed(&a);
    else {
        uint64_t blobs = sykli_arg_u64(&answer, "blobs", 0);
        uint64_t damaged = sykli_arg_u64(&answer, "damaged", 0);
        sykli_json_free(&answer);
        if (c->json) cli_envelope(c, true, ask_args(c, "{\"blobs\":%u,\"damaged\":%u}", blobs,
                                                    damaged));
        else printf("%llu blobs read, %llu damaged%s\n", (unsigned long long)blobs,
                    (unsigned long long)damaged, damaged ? " and set aside" : "");
        code = damaged ? CLI_FAILED : CLI_OK;
    }
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
                                  "[--max-size SIZE]", "sykli cache gc --max-size 7GB", gc_options,
                                  NULL, gc };
static const cli_verb verb_verify = { "verify", "read every blob, set damaged ones aside", "",
                                      "sykli cache verify", NULL, NULL, verify };
static const cli_verb verb_clear = { "clear", "remove everything", "", "sykli cache clear", NULL,
                                     NULL, clear };
static const cli_verb verb_clean = { "clean", "the same as clear", "", "sykli cache clean", NULL,
                                     NULL, clear };
static const cli_verb verb_path = { "path", "print where it is", "", "sykli cache path", NULL, NULL,
                                    path };
static const cli_verb *const verbs[] = { &verb_stats, &verb_ls, &verb_verify, &verb_gc,
                                         &verb_clear, &verb_clean, &verb_path, NULL };

const cli_verb verb_cache = { "cache", "look at the cache, make room in it", "VERB",
                              "sykli cache stats", NULL, verbs, NULL };
