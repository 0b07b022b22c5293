// The store of results on this machine.
#include "ask.h"
#include <string.h>

// The cells of the only row that a query gives.
static int numbers(cli *c, sykli *s, const char *query, uint64_t *out, size_t count)
{
    sykli_buf body;
    sykli_buf_init(&body, &c->mem, SYKLI_TAG_host);
    int rc = ask(c, s, &(sykli_request){ .verb = SYKLI_VERB_query, .what = query }, &body);
    sykli_result *result =
        rc < 0 ? NULL : sykli_result_decode(&c->mem, body.data, body.size, &c->fault);
    if (!rc && !result) rc = c->fault.code;
    for (size_t i = 0; i < count && result && sykli_result_rows(result); i++) {
        sykli_value v = sykli_result_cell(result, 0, i);
        out[i] = v.kind == SYKLI_KIND_U64 ? v.u64 : v.kind == SYKLI_KIND_I64 ? (uint64_t)v.i64
               : v.kind == SYKLI_KIND_F64 ? (uint64_t)v.f64 : 0;
    }
    sykli_result_free(result);
    sykli_buf_free(&body);
    return rc;
}

static char *stats_json(cli *c, uint64_t tasks, const uint64_t blobs[2], const char *size)
{
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"location\":");
    sykli_json_quote(&b, c->cache_dir, strlen(c->cache_dir));
    sykli_buf_print(&b, ",\"tasks\":%llu,\"blobs\":%llu,\"total_size_bytes\":%llu,"
                    "\"total_size_human\":\"%s\"}", (unsigned long long)tasks,
                    (unsigned long long)blobs[0], (unsigned long long)blobs[1], size);
    char *text = cli_copy(c, b.error ? "null" : (char *)b.data, b.error ? 4 : b.size);
    sykli_buf_free(&b);
    return text;
}

static int stats(cli *c)
{
    int code;
    uint64_t tasks = 0, blobs[2] = { 0, 0 };
    char size[32];
    sykli *s = ask_open(c, &code);
    if (!s) return code;
    int rc = numbers(c, s, "SELECT count(*) FROM actions", &tasks, 1);
    if (rc >= 0) rc = numbers(c, s, "SELECT count(*), sum(size_bytes) FROM blobs", blobs, 2);
    sykli_close(s);
    if (rc < 0) return cli_fail_sykli(c, rc, c->fault.text);
    sykli_format_size(size, blobs[1]);
    if (c->json) cli_envelope(c, true, stats_json(c, tasks, blobs, size));
    else
        printf("Location: %s\nTasks:    %llu\nBlobs:    %llu\nSize:     %s\n", c->cache_dir,
               (unsigned long long)tasks, (unsigned long long)blobs[0], size);
    return CLI_OK;
}

static int path(cli *c)
{
    sykli_buf b;
    if (!c->json) {
        puts(c->cache_dir);
        return CLI_OK;
    }
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"path\":");
    sykli_json_quote(&b, c->cache_dir, strlen(c->cache_dir));
    sykli_buf_text(&b, "}");
    cli_envelope(c, true, b.error ? NULL : (const char *)b.data);
    sykli_buf_free(&b);
    return CLI_OK;
}

static int list(cli *c)
{
    int code;
    sykli *s = ask_open(c, &code);
    if (!s) return code;
    code = ask_print(c, s, NULL, "SELECT key, outputs, size_bytes, duration_ms, used_at "
                     "FROM actions ORDER BY used_at DESC", SYKLI_FORMAT_table);
    sykli_close(s);
    return code;
}

// Removes what was not used for longest until `max_bytes` are left; 0: the configured size.
static int collect(cli *c, uint64_t max_bytes)
{
    int code;
    uint64_t freed = 0;
    char size[32];
    sykli_buf body;
    sykli_json_doc doc;
    sykli *s = ask_open(c, &code);
    if (!s) return code;
    sykli_buf_init(&body, &c->mem, SYKLI_TAG_host);
    char *args = max_bytes ? cli_print(c, "{\"max_bytes\":%llu}", (unsigned long long)max_bytes)
                           : cli_print(c, "{}");
    int rc = ask(c, s, &(sykli_request){ .verb = SYKLI_VERB_call, .what = "cache.gc",
                                         .args = args }, &body);
    if (rc >= 0
        && sykli_json_parse(&doc, &c->mem, (char *)body.data, body.size, &c->fault) >= 0) {
        freed = sykli_arg_u64(&doc, "freed_bytes", 0);
        sykli_json_free(&doc);
    }
    if (rc < 0) code = cli_fail_sykli(c, rc, c->fault.text);
    else if (c->json) cli_envelope(c, true, (const char *)body.data);
    else printf("%s freed\n", sykli_format_size(size, freed));
    sykli_buf_free(&body);
    sykli_close(s);
    return code;
}

static int gc(cli *c)
{
    const char *text = cli_value(c, "max-size");
    uint64_t max_bytes = 0;
    if (text && sykli_parse_size(text, &max_bytes) < 0)
        return cli_fail(c, CLI_USAGE, "usage", NULL, "--max-size %s: a size is wanted: 500MB, 7GB",
                        text);
    return collect(c, text && !max_bytes ? 1 : max_bytes);
}

static int clear(cli *c) { return collect(c, 1); }

static const cli_option gc_options[] = {
    { "max-size", 0, "SIZE", "what may stay; default: cache.max_size of the configuration" },
    { NULL, 0, NULL, NULL }
};

static const cli_verb verb_stats = { "stats", "where the cache is and how large", "",
                                     "sykli cache stats --json", NULL, NULL, stats };
static const cli_verb verb_path = { "path", "print the folder of the cache", "",
                                    "du -sh \"$(sykli cache path)\"", NULL, NULL, path };
static const cli_verb verb_ls = { "ls", "list the stored results", "", "sykli cache ls", NULL, NULL,
                                  list };
static const cli_verb verb_gc = { "gc", "remove what was not used for longest",
                                  "[--max-size SIZE]", "sykli cache gc --max-size 5GB", gc_options,
                                  NULL, gc };
static const cli_verb verb_clear = { "clear", "remove all of it", "", "sykli cache clear", NULL,
                                     NULL, clear };
static const cli_verb verb_clean = { "clean", "the same as clear", "", "sykli cache clean", NULL,
                                     NULL, clear };
static const cli_verb *const verbs[] = { &verb_stats, &verb_path, &verb_ls, &verb_gc, &verb_clear,
                                         &verb_clean, NULL };

const cli_verb verb_cache = { "cache", "look at the stored results, or remove them",
                              "stats | path | ls | gc | clear", "sykli cache stats", NULL, verbs,
                              NULL };
