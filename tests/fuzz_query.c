// Input: a query. It is answered or refused at a place in it; an answer survives being sent, is the
// same in two stages as in one, and is well formed in every format.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"
#include "jobs.h"

static const job jobs[] = {
    { "build", 0, 300u << 20, 134000, SYKLI_NULL_I64, 87.25, false, 1709208000250, 11, "hidden" },
    { "li\"\x1bnt", 1, 20u << 20, 250, 0, 12.5, true, 1709208001000, 12, "hidden" },
    { "test", 2, 200u << 20, 61500, -1, 99.0, false, 1709208002000, 13, "hidden" },
    { "docs", 1, SYKLI_NULL_U64, SYKLI_NULL_U64, 0, 0.0, true, SYKLI_NULL_I64, 14, "hidden" },
};

static int scan(void *user, sykli_emit *to)
{
    (void)user;
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        int rc = to->row(to, &jobs[i]);
        if (rc) return rc;
    }
    return 0;
}

static int ask(test *t, const sykli__table_registry *tables, const char *query, bool part,
               sykli_buf *out)
{
    t->fault.text[0] = 0;
    return sykli__query_run(tables, &t->mem, query, SYKLI_ROLE_observer, "here", part, out,
                            &t->fault);
}

static bool same(const sykli_buf *a, const sykli_buf *b)
{
    return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

static void check_formats(test *t, const sykli_result *r, sykli_buf *out)
{
    static const sykli_format formats[] = { SYKLI_FORMAT_table, SYKLI_FORMAT_json,
                                            SYKLI_FORMAT_csv };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        sykli_buf_reset(out);
        FUZZ_CHECK(sykli_result_render(r, formats[i], out) == 0);
        FUZZ_CHECK(!memmem(out->data, out->size, "hidden", 6));
        if (formats[i] == SYKLI_FORMAT_table) FUZZ_CHECK(!memchr(out->data, 0x1b, out->size));
        if (formats[i] != SYKLI_FORMAT_json) continue;
        sykli_json_doc doc = { 0 };
        FUZZ_CHECK(!sykli_json_parse(&doc, &t->mem, (char *)out->data, out->size, &t->fault));
        sykli_json_free(&doc);
    }
}

static void check_answer(test *t, const sykli__table_registry *tables, const char *query,
                         const sykli_buf *answer)
{
    sykli_buf again, part;
    sykli_buf_init(&again, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&part, &t->mem, SYKLI_TAG_host);
    sykli_result *r = sykli_result_decode(&t->mem, answer->data, answer->size, &t->fault);
    FUZZ_CHECK(r);
    FUZZ_CHECK(sykli__query_encode(r, &again) == 0 && same(&again, answer));
    check_formats(t, r, &part);
    sykli_result_free(r);

    sykli_buf_reset(&part);
    FUZZ_CHECK(ask(t, tables, query, true, &part) == 0);
    sykli_result *first = sykli_result_decode(&t->mem, part.data, part.size, &t->fault);
    FUZZ_CHECK(first);
    r = sykli_result_merge(&t->mem, query, &first, 1, &t->fault);
    FUZZ_CHECK(r);
    sykli_buf_reset(&again);
    FUZZ_CHECK(sykli__query_encode(r, &again) == 0 && same(&again, answer));
    sykli_result_free(r);
    sykli_result_free(first);
    sykli_buf_free(&again);
    sykli_buf_free(&part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    sykli__table_registry tables;
    sykli_buf answer;
    unsigned line = 0, column = 0;
    char *query = fuzz_text(data, size);
    test_begin(&t, 0);
    sykli_buf_init(&answer, &t.mem, SYKLI_TAG_host);
    sykli__table_init(&tables, &t.mem, NULL);
    sykli_table table = { "jobs", "", job_columns, sizeof job_columns / sizeof *job_columns,
                          sizeof(job), SYKLI_VISIBLE_public, scan, NULL };
    FUZZ_CHECK(sykli__table_add(&tables, &table, &t.fault) == 0);
    int rc = ask(&t, &tables, query, false, &answer);
    if (!rc) check_answer(&t, &tables, query, &answer);
    else FUZZ_CHECK(rc == SYKLI_ELIMIT || sscanf(t.fault.text, "%u:%u: ", &line, &column) == 2);
    sykli__table_free(&tables);
    sykli_buf_free(&answer);
    free(query);
    fuzz_end(&t);
    return 0;
}
