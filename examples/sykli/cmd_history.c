// Lists the last runs of this project.
#include "ask.h"
#include "record.h"
#include <errno.h>
#include <unistd.h>

static const cli_option options[] = {
    { "limit", 'n', "N", "at most so many; default: 20" },
    { "flaky", 0, NULL, "the tasks that end now so, now so, although nothing has changed" },
    { NULL, 0, NULL, NULL }
};

static void print_counts(const record *r)
{
    const char *between = "";
    for (int i = 0; i <= SYKLI_STATUS_cancelled; i++) {
        if (!r->of[i]) continue;
        printf("%s%zu %s", between, r->of[i], sykli_status_names[i]);
        between = " · ";
    }
    if (r->count < r->planned) printf("%s%zu not run", between, r->planned - r->count);
}

static void print_row(const record *r)
{
    char at[64], time[32] = "";
    sykli_format_time(at, (int64_t)r->started_ms);
    if (r->ended_ms) sykli_format_duration(time, r->ended_ms - r->started_ms);
    printf("%s  %.10s %.8s  %-11s  %8s  ", r->id, at, at + 11, record_status(r), time);
    print_counts(r);
    putchar('\n');
}

static void print_json(cli *c, const record *records, size_t count)
{
    sykli_buf b;
    char at[64];
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    sykli_buf_text(&b, "{\"items\":[");
    for (size_t i = 0; i < count; i++) {
        const record *r = &records[i];
        sykli_buf_print(&b, "%s{\"run\":\"%s\",\"started_at\":\"%s\",\"status\":\"%s\","
                        "\"duration_ms\":%llu,\"tasks\":%zu", i ? "," : "", r->id,
                        sykli_format_time(at, (int64_t)r->started_ms), record_status(r),
                        (unsigned long long)(r->ended_ms ? r->ended_ms - r->started_ms : 0),
                        r->planned);
        for (int k = 0; k <= SYKLI_STATUS_cancelled; k++)
            sykli_buf_print(&b, ",\"%s\":%zu", sykli_status_names[k], r->of[k]);
        sykli_buf_text(&b, "}");
    }
    sykli_buf_text(&b, "]}");
    cli_envelope(c, true, b.error ? NULL : (const char *)b.data);
    sykli_buf_free(&b);
}

// Tasks with another outcome than the time before under the same key, or that passed after a retry.
static int list_flaky(cli *c, uint32_t limit)
{
    asking a;
    int code = ask_begin_alone(&a, c, NULL);
    if (code) return code;
    code = ask_print(&a, NULL, cli_print(c, "SELECT task, flips, retried, last_at FROM flaky "
                                            "ORDER BY last_at DESC LIMIT %u", (unsigned)limit),
                     SYKLI_FORMAT_table);
    ask_end(&a);
    return code;
}

static int run(cli *c)
{
    uint32_t limit;
    size_t count;
    int code = cli_number(c, "limit", 20, 1, 4096, &limit);
    if (code) return code;
    if (cli_has(c, "flaky")) return list_flaky(c, limit);
    if (access(".sykli/runs", R_OK | X_OK) && errno == EACCES)
        return cli_fail_sykli(c, sykli_fail_sys(&c->fault, -errno, ".sykli/runs"), c->fault.text);
    const record *records = record_list(c, ".", limit, &count);
    if (c->json) print_json(c, records, count);
    else for (size_t i = 0; i < count; i++) print_row(&records[i]);
    if (!count && !c->json) fputs("sykli: no run is recorded here yet\n", stderr);
    return CLI_OK;
}

const cli_verb verb_history = { "history", "list the last runs", "[-n N] [--flaky]",
                                "sykli history -n 5",
                                options, NULL, run };
