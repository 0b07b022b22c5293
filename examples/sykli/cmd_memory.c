// Where the memory of a node is: its tasks, its tables, its buffers.
#include "look.h"
#include <string.h>

enum { TOP_MAX = 5 };

static const cli_option options[] = {
    { "plain", 0, NULL, "text, once" },
    { NULL, 0, NULL, NULL }
};

// Tags of the library that are buffers; all others are tables of some kind.
static const char *const buffers[] = { "text", "json", "log", "wire", "link", "host", NULL };

typedef struct part {
    const char *name, *note;
    uint64_t bytes, entries;
} part;

typedef struct memory {
    part *processes, *tables;
    size_t process_count, table_count;
    uint64_t process_bytes, table_bytes, buffer_bytes;
    uint64_t cache_bytes, cache_max_bytes;
} memory;

static bool is_buffer(const char *tag)
{
    for (const char *const *at = buffers; *at; at++)
        if (!strcmp(*at, tag)) return true;
    return false;
}

static int larger(const void *a, const void *b, void *user)
{
    uint64_t x = ((const part *)a)->bytes, y = ((const part *)b)->bytes;
    (void)user;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void sort(cli *c, part *parts, size_t count)
{
    sykli_sort(parts, count, sizeof *parts, cli_alloc(c, (count + 1) * sizeof *parts), larger,
               NULL);
}

static int read_tables(asking *a, const char *node, memory *m)
{
    sykli_result *r = ask_query(a, node, "SELECT tag, bytes, blocks FROM memory");
    if (!r) return a->c->fault.code;
    m->tables = cli_alloc(a->c, (sykli_result_rows(r) + 1) * sizeof *m->tables);
    for (size_t i = 0; i < sykli_result_rows(r); i++) {
        const char *tag = ask_cell(a->c, r, i, "tag");
        uint64_t bytes = ask_number(r, i, "bytes", 0);
        *(is_buffer(tag) ? &m->buffer_bytes : &m->table_bytes) += bytes;
        if (!bytes || is_buffer(tag)) continue;
        m->tables[m->table_count++] = (part){ cli_print(a->c, ":sykli_%s", tag), NULL, bytes,
                                              ask_number(r, i, "blocks", 0) };
    }
    sykli_result_free(r);
    sort(a->c, m->tables, m->table_count);
    return 0;
}

// Tasks, and the processes that drive them; the node itself is counted by its tables.
static int read_processes(asking *a, const char *node, memory *m)
{
    sykli_result *r = ask_query(a, node, "SELECT kind, id, name, memory_bytes FROM procs");
    if (!r) return a->c->fault.code;
    m->processes = cli_alloc(a->c, (sykli_result_rows(r) + 1) * sizeof *m->processes);
    for (size_t i = 0; i < sykli_result_rows(r); i++) {
        bool task = !strcmp(ask_cell(a->c, r, i, "kind"), "task");
        uint64_t bytes = ask_number(r, i, "memory_bytes", SYKLI_NULL_U64);
        if (!strcmp(ask_cell(a->c, r, i, "kind"), "node") || bytes == SYKLI_NULL_U64) continue;
        char *name = task ? cli_print(a->c, "Task:%s", ask_cell(a->c, r, i, "name"))
                          : cli_print(a->c, "Run:%s", ask_cell(a->c, r, i, "id"));
        m->process_bytes += bytes;
        m->processes[m->process_count++] = (part){ name, task ? "active task" : "run", bytes, 0 };
    }
    sykli_result_free(r);
    sort(a->c, m->processes, m->process_count);
    return 0;
}

static int read_cache(asking *a, const char *node, memory *m)
{
    sykli_result *r = ask_query(a, node, "SELECT sum(size_bytes) FROM blobs");
    if (!r) return a->c->fault.code;
    if (sykli_result_rows(r)) {
        sykli_value v = sykli_result_cell(r, 0, sykli_result_columns(r) - 1);
        m->cache_bytes = v.kind == SYKLI_KIND_U64 ? v.u64 : 0;
    }
    sykli_result_free(r);
    r = ask_query(a, node, "SELECT value FROM config WHERE key = 'cache.max_size'");
    if (!r) return a->c->fault.code;
    if (sykli_result_rows(r))
        (void)sykli_parse_size(ask_cell(a->c, r, 0, "value"), &m->cache_max_bytes);
    sykli_result_free(r);
    return 0;
}

// ---- the screen ----

static void print_share(cli *c, const char *name, uint64_t bytes, uint64_t total)
{
    printf("  %-10s %s (%u%%)\n", name, look_size(c, bytes),
           (unsigned)(total ? (bytes * 100 + total / 2) / total : 0));
}

// 12847 as "12,847".
static const char *grouped(cli *c, uint64_t value)
{
    char *text = cli_print(c, "%llu", (unsigned long long)value), *out = "";
    for (size_t size = strlen(text), at = 0; at < size; at++)
        out = cli_print(c, "%s%s%c", out, at && (size - at) % 3 == 0 ? "," : "", text[at]);
    return out;
}

static void print_top(cli *c, const part *parts, size_t count)
{
    for (size_t i = 0; i < count && i < TOP_MAX; i++) {
        printf("  %zu. ", i + 1);
        int used = cli_put(stdout, parts[i].name, 40);
        printf("%*s%s  ", used < 18 ? 18 - used : 1, "", look_size(c, parts[i].bytes));
        if (parts[i].note) printf("(%s)\n", parts[i].note);
        else printf("%s entries\n", grouped(c, parts[i].entries));
    }
    if (!count) puts("  none");
}

static void print_suggestion(cli *c, const memory *m)
{
    if (m->cache_max_bytes && m->cache_bytes / 4 >= m->cache_max_bytes / 5)
        puts("[Suggestion: Consider pruning artifacts: sykli cache gc --max-size 5GB]");
    else
        printf("[Suggestion: nothing to prune, the cache holds %s of %s]\n",
               look_size(c, m->cache_bytes), look_size(c, m->cache_max_bytes));
}

static void print_screen(cli *c, const memory *m)
{
    uint64_t total = m->process_bytes + m->table_bytes + m->buffer_bytes;
    puts("Memory Analysis");
    look_rule(c);
    printf("\nTotal:     %s\n", look_size(c, total));
    print_share(c, "Processes:", m->process_bytes, total);
    print_share(c, "ETS:", m->table_bytes, total);
    print_share(c, "Binary:", m->buffer_bytes, total);
    puts("\nTop Processes by Memory:");
    print_top(c, m->processes, m->process_count);
    puts("\nTop ETS Tables:");
    print_top(c, m->tables, m->table_count);
    putchar('\n');
    print_suggestion(c, m);
}

static void print_items(cli *c, const memory *m)
{
    sykli_buf items;
    sykli_buf_init(&items, &c->mem, SYKLI_TAG_host);
    sykli_buf_print(&items, "{\"total_bytes\":%llu,\"items\":[",
                    (unsigned long long)(m->process_bytes + m->table_bytes + m->buffer_bytes));
    for (size_t i = 0; i < m->process_count + m->table_count; i++) {
        bool process = i < m->process_count;
        const part *p = process ? &m->processes[i] : &m->tables[i - m->process_count];
        sykli_buf_print(&items, "%s%s", i ? "," : "",
                        ask_args(c, "{\"kind\":%s,\"name\":%s,\"memory_bytes\":%u}",
                                 process ? "process" : "table", p->name, p->bytes));
    }
    sykli_buf_text(&items, "]}");
    cli_envelope(c, true, items.error ? NULL : (const char *)items.data);
    sykli_buf_free(&items);
}

static int run(cli *c)
{
    asking a;
    memory m = { 0 };
    int code = cli_arguments(c, 0, 1);
    if (!code) code = c->arg_count ? ask_begin(&a, c) : ask_begin_anyhow(&a, c);
    if (code) return code;
    const char *node = ask_whom(&a, c->arg_count ? c->args[0] : NULL);
    if (read_processes(&a, node, &m) || read_tables(&a, node, &m) || read_cache(&a, node, &m))
        code = ask_failed(&a);
    else if (c->json) print_items(c, &m);
    else print_screen(c, &m);
    ask_end(&a);
    return code;
}

const cli_verb verb_memory = { "memory", "show where the memory of a node is", "[NODE]",
                               "sykli memory ci-runner-7", options, NULL, run };
