#include "look.h"
#include <string.h>

void look_rule(const cli *c)
{
    fputs(cli_style_on(c->colour, CLI_FAINT), stdout);
    for (int i = 0; i < 56; i++) fputs("─", stdout);
    puts(cli_style_on(c->colour, CLI_PLAIN));
}

const char *look_size(cli *c, uint64_t bytes)
{
    char text[32];
    if (bytes == SYKLI_NULL_U64) return "-";
    sykli_format_size(text, bytes);
    return cli_copy(c, text, strlen(text));
}

const char *look_duration(cli *c, uint64_t ms)
{
    char text[32];
    if (ms == SYKLI_NULL_U64) return "-";
    sykli_format_duration(text, ms);
    return cli_copy(c, text, strlen(text));
}

int64_t look_wall_ms(cli *c) { return c->sys.wall_ms(c->sys.user); }

// ---- tasks ----

static bool has_ended(const char *status)
{
    for (int i = 0; i < SYKLI_ENDINGS; i++)
        if (!strcmp(sykli_status_names[i], status)) return true;
    return false;
}

static look_task read_task(cli *c, const sykli_result *r, size_t row)
{
    look_task t = {
        .id = ask_cell(c, r, row, "id"), .run = ask_cell(c, r, row, "run"),
        .name = ask_cell(c, r, row, "name"), .status = ask_cell(c, r, row, "status"),
        .started_at_ms = ask_number(r, row, "started_at", SYKLI_NULL_U64),
        .memory_bytes = ask_number(r, row, "memory_bytes", SYKLI_NULL_U64),
        .cpu_ms = ask_number(r, row, "cpu_ms", SYKLI_NULL_U64),
        .duration_ms = ask_number(r, row, "duration_ms", SYKLI_NULL_U64) };
    t.path = cli_print(c, "%s/%s", t.run, t.name);
    t.running = !strcmp(t.status, "running");
    t.ended = has_ended(t.status);
    return t;
}

int look_tasks(asking *a, const char *node, bool all, const look_task **out, size_t *count)
{
    sykli_result *r = ask_query(a, node, "SELECT id, run, name, status, started_at, memory_bytes, "
                                         "cpu_ms, duration_ms FROM tasks ORDER BY started_at");
    if (!r) return a->c->fault.code;
    size_t rows = sykli_result_rows(r), used = 0;
    look_task *tasks = cli_alloc(a->c, (rows + 1) * sizeof *tasks);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < rows; i++) {
            look_task t = read_task(a->c, r, i);
            if (t.running == !pass && (all || !t.ended)) tasks[used++] = t;
        }
    sykli_result_free(r);
    *out = tasks;
    *count = used;
    return 0;
}

static bool begins(const char *text, const char *with, size_t size)
{
    return size && !strncmp(text, with, size);
}

// How well a word fits a task: 4 its name, 3 RUN/NAME, 2 its id, 1 the beginning of its id, 0 not.
static int fit(const look_task *t, const char *word)
{
    enum { PREFIX_MIN = 4 };
    const char *slash = strchr(word, '/');
    if (!strcmp(t->name, word)) return 4;
    if (slash && !strcmp(t->name, slash + 1) && begins(t->run, word, (size_t)(slash - word)))
        return 3;
    if (!strcmp(t->id, word)) return 2;
    return strlen(word) >= PREFIX_MIN && begins(t->id, word, strlen(word));
}

static int several(cli *c, const char *word, const look_task *tasks, size_t count, int best,
                   bool ended)
{
    sykli_buf list;
    sykli_buf_init(&list, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&list, "say which:");
    for (size_t i = 0; i < count; i++)
        if (fit(&tasks[i], word) == best && tasks[i].ended == ended)
            sykli_buf_print(&list, "\n    %s  (id %s, %s)", tasks[i].path, tasks[i].id,
                            tasks[i].status);
    int code = cli_fail(c, CLI_USAGE, "ambiguous", list.error ? NULL : (const char *)list.data,
                        "several tasks are called %s", word);
    sykli_buf_free(&list);
    return code;
}

int look_find(asking *a, const char *node, const char *word, look_task *out)
{
    const look_task *tasks;
    size_t count, found = 0;
    int best = 0;
    bool ended = true;
    if (look_tasks(a, node, true, &tasks, &count)) return ask_failed(a);
    for (size_t i = 0; i < count; i++) {
        int how = fit(&tasks[i], word);
        if (!how || how < best || (how == best && tasks[i].ended && !ended)) continue;
        if (how > best || (ended && !tasks[i].ended)) found = 0;
        best = how;
        ended = tasks[i].ended;
        *out = tasks[i];
        found++;
    }
    if (!found) return -1;
    // Of those that have ended the last is meant: they come in the order of their start.
    return found == 1 || ended ? 0 : several(a->c, word, tasks, count, best, ended);
}

int look_begin(asking *a, cli *c, const char *where, look_task *out)
{
    int code = cli_arguments(c, 2, 2);
    if (!code) code = ask_begin(a, c);
    if (code) return code;
    const char *node = c->args[0], *word = c->args[1];
    code = look_find(a, ask_whom(a, node), word, out);
    if (code < 0)
        code = cli_fail(c, CLI_FAILED, "not_found",
                        cli_print(c, "sykli query 'SELECT run, name, status FROM tasks%s' --on %s",
                                  where, node), "%s has no task %s", node, word);
    if (code) ask_end(a);
    return code;
}

void look_done(cli *c, const look_task *task, const char *did, const char *json)
{
    if (c->json) {
        cli_envelope(c, true, json);
        return;
    }
    printf("%s✓%s %s ", cli_style_on(c->colour, CLI_GOOD), cli_style_on(c->colour, CLI_PLAIN),
           did);
    cli_say(stdout, "%s on %s (id %s)\n", task->name, c->args[0], task->id);
}
