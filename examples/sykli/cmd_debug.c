// What lives on a node: its processes by memory, and each of them in detail.
#include "look.h"
#include <string.h>

static const cli_option options[] = {
    { "plain", 0, NULL, "the list, once, without the console" },
    { NULL, 0, NULL, NULL }
};

typedef struct proc {
    const char *node, *id, *kind, *name, *status, *parent, *pid;
    uint64_t memory_bytes, queue, cpu_ms, started_at_ms;
} proc;

typedef struct procs {
    proc *rows;
    size_t count;
} procs;

static int larger(const void *a, const void *b, void *user)
{
    uint64_t x = ((const proc *)a)->memory_bytes, y = ((const proc *)b)->memory_bytes;
    (void)user;
    x = x == SYKLI_NULL_U64 ? 0 : x;
    y = y == SYKLI_NULL_U64 ? 0 : y;
    return x < y ? 1 : x > y ? -1 : 0;
}

static bool has(const procs *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->rows[i].id, id)) return true;
    return false;
}

// The rows of the table, and the tasks that other processes of the node run.
static int read_procs(asking *a, const char *node, procs *out)
{
    cli *c = a->c;
    const look_task *tasks;
    size_t task_count, rows;
    sykli_result *r = ask_query(a, node, "SELECT node, id, kind, name, status, parent, pid, "
                                         "queue, memory_bytes, cpu_ms, started_at FROM procs");
    if (!r) return c->fault.code;
    rows = sykli_result_rows(r);
    int rc = look_tasks(a, node, false, &tasks, &task_count);
    out->rows = cli_alloc(c, (rows + (rc ? 0 : task_count) + 1) * sizeof *out->rows);
    for (size_t i = 0; i < rows; i++)
        out->rows[out->count++] = (proc){
            ask_cell(c, r, i, "node"), ask_cell(c, r, i, "id"), ask_cell(c, r, i, "kind"),
            ask_cell(c, r, i, "name"), ask_cell(c, r, i, "status"), ask_cell(c, r, i, "parent"),
            ask_cell(c, r, i, "pid"),
            ask_number(r, i, "memory_bytes", SYKLI_NULL_U64), ask_number(r, i, "queue", 0),
            ask_number(r, i, "cpu_ms", SYKLI_NULL_U64),
            ask_number(r, i, "started_at", SYKLI_NULL_U64) };
    sykli_result_free(r);
    for (size_t i = 0; !rc && i < task_count; i++)
        if (!has(out, tasks[i].id))
            out->rows[out->count++] = (proc){
                "", tasks[i].id, "task", tasks[i].name, tasks[i].status, tasks[i].run, "",
                tasks[i].memory_bytes, 0, tasks[i].cpu_ms, tasks[i].started_at_ms };
    if (rc) return rc;
    sykli_sort(out->rows, out->count, sizeof *out->rows,
               cli_alloc(c, (out->count + 1) * sizeof *out->rows), larger, NULL);
    return 0;
}

static const char *shown_name(cli *c, const proc *p)
{
    if (!strcmp(p->kind, "task")) return cli_print(c, "Task:%s", p->name);
    if (!strcmp(p->kind, "run")) return cli_print(c, "Run:%s", p->id);
    return cli_print(c, "Node:%s", p->node);
}

static void print_list(cli *c, const procs *list)
{
    int width = 14; // of the first column; serials grow
    for (size_t i = 0; i < list->count; i++) {
        int size = cli_columns(list->rows[i].id, 0) + 8;
        if (size > width) width = size;
    }
    puts("Sykli Debug Console");
    look_rule(c);
    printf("\nProcesses (%zu total):\n", list->count);
    printf("  %s%-*sNAME                  MEMORY    QUEUE    STATUS%s\n",
           cli_style_on(c->colour, CLI_FAINT), width, "PID", cli_style_on(c->colour, CLI_PLAIN));
    for (size_t i = 0; i < list->count; i++) {
        const proc *p = &list->rows[i];
        cli_say(stdout, "  <0.%s.0>", p->id);
        printf("%*s", width - 6 - cli_columns(p->id, 0), "");
        printf("%*s", 22 - cli_put(stdout, shown_name(c, p), 21), "");
        printf("%-9s %-8llu ", look_size(c, p->memory_bytes), (unsigned long long)p->queue);
        cli_say(stdout, "%s\n", p->status);
    }
}

static void print_proc(cli *c, const proc *p)
{
    char time[64] = "-";
    if (p->started_at_ms != SYKLI_NULL_U64) sykli_format_time(time, (int64_t)p->started_at_ms);
    cli_say(stdout, "Process <0.%s.0> (%s)\n", p->id, shown_name(c, p));
    look_rule(c);
    cli_say(stdout, "  Status:          %s\n  Memory:          %s\n  Message queue:   %u\n"
                    "  CPU:             %s\n  Links:           [%s%s%s]\n  Pid:             %s\n"
                    "  Started:         %s\n", p->status, look_size(c, p->memory_bytes), p->queue,
            look_duration(c, p->cpu_ms), *p->parent ? "<0." : "", p->parent,
            *p->parent ? ".0>" : "", *p->pid ? p->pid : "-", time);
}

// The process that a user named: <0.N.0>, N or its name.
static const proc *find(cli *c, const procs *list, const char *word)
{
    size_t size = strlen(word);
    bool framed = size > 6 && !strncmp(word, "<0.", 3) && !strcmp(word + size - 3, ".0>");
    const char *id = framed ? cli_copy(c, word + 3, size - 6) : word;
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->rows[i].id, id) || !strcmp(list->rows[i].name, word)
            || !strcmp(shown_name(c, &list->rows[i]), word))
            return &list->rows[i];
    return NULL;
}

static void print_items(cli *c, const procs *list)
{
    sykli_buf items;
    sykli_buf_init(&items, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&items, "{\"items\":[");
    for (size_t i = 0; i < list->count; i++) {
        const proc *p = &list->rows[i];
        char *memory = p->memory_bytes == SYKLI_NULL_U64
            ? "null" : cli_print(c, "%llu", (unsigned long long)p->memory_bytes);
        sykli_buf_print(&items, "%s%s%s}", i ? "," : "",
                        ask_args(c, "{\"id\":%s,\"kind\":%s,\"name\":%s,\"status\":%s,"
                                    "\"queue\":%u,\"memory_bytes\":", p->id, p->kind, p->name,
                                 p->status, p->queue), memory);
    }
    sykli_buf_text(&items, "]}");
    cli_envelope(c, true, items.error ? NULL : (const char *)items.data);
    sykli_buf_free(&items);
}

// A line of the console.      returns  false: it ends
static bool command(asking *a, const char *node, char *line)
{
    procs list = { 0 };
    line[strcspn(line, "\n")] = 0;
    if (!strcmp(line, "q") || !strcmp(line, "quit")) return false;
    if (read_procs(a, node, &list)) {
        ask_failed(a);
        return false;
    }
    const proc *p = *line ? find(a->c, &list, line) : NULL;
    if (p) print_proc(a->c, p);
    else if (*line && strcmp(line, "l")) printf("no process %s; l lists them, q ends\n", line);
    else print_list(a->c, &list);
    return true;
}

static void console(asking *a, const char *node)
{
    char line[256];
    bool more = true;
    while (more) {
        fputs("> ", stdout);
        fflush(stdout);
        more = fgets(line, sizeof line, stdin) && command(a, node, line);
    }
}

static int run(cli *c)
{
    asking a;
    procs list = { 0 };
    int code = cli_arguments(c, 0, 1);
    if (!code) code = c->arg_count ? ask_begin(&a, c) : ask_begin_anyhow(&a, c);
    if (code) return code;
    const char *node = ask_whom(&a, c->arg_count ? c->args[0] : NULL);
    if (read_procs(&a, node, &list)) code = ask_failed(&a);
    else if (c->json) print_items(c, &list);
    else {
        print_list(c, &list);
        if (!cli_has(c, "plain") && cli_terminal(stdin) && cli_terminal(stdout)) {
            puts("\n[Enter PID to inspect, 'l' to list, 'q' to quit]\n");
            console(&a, node);
        }
    }
    ask_end(&a);
    return code;
}

const cli_verb verb_debug = { "debug", "list what lives on a node, inspect it", "[NODE] [--plain]",
                              "sykli debug ci-runner-7 --plain", options, NULL, run };
