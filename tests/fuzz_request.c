// Input: requests as they come over a link, ended by a NUL each: a byte for the verb, one for the
// role of who asks, what is asked for up to a newline, then the arguments. Each is refused with a
// reason or answered in the form of its verb, and nothing of it stays.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"

enum { READS_MAX = 1000 };

static sykli *context(test *t)
{
    // Not a folder: no cache is found, nor emptied.
    sykli *s = sykli_open(&(sykli_desc){ .sys = &t->sys, .node_name = "here", .workers_max = 2,
        .cache_dir = "/dev/null/cache", .target_fingerprint = "fuzz", .project = "fuzz",
        .threads_max = 1, .no_history = true });
    FUZZ_CHECK(s);
    sykli_task lib = sykli_add(s, &(sykli_task_desc){ .name = "lib", .command = "cc lib.c" });
    FUZZ_CHECK(lib.id);
    FUZZ_CHECK(sykli_add(s, &(sykli_task_desc){ .name = "test", .command = "./test",
                                                .after = { lib } }).id);
    return s;
}

static void check_answer(test *t, sykli_verb verb, const sykli_buf *body)
{
    sykli_json_doc doc = { 0 };
    if (verb == SYKLI_VERB_query) {
        sykli_result *r = sykli_result_decode(&t->mem, body->data, body->size, &t->fault);
        FUZZ_CHECK(r);
        sykli_result_free(r);
    }
    if (verb == SYKLI_VERB_call && body->size) {
        FUZZ_CHECK(!sykli_json_parse(&doc, &t->mem, (char *)body->data, body->size, &t->fault));
        sykli_json_free(&doc);
    }
}

static void ask(test *t, sykli *s, const uint8_t *data, size_t size)
{
    fuzz_in in = { data, size };
    uint8_t verb = fuzz_byte(&in), role = fuzz_byte(&in), piece[512];
    char *what = fuzz_text(in.at, in.left), *args = strchr(what, '\n');
    sykli_buf body;
    int64_t got = 0;
    if (args) *args++ = 0;
    sykli_buf_init(&body, &t->mem, SYKLI_TAG_host);
    sykli_request r = { .verb = (sykli_verb)(verb % (SYKLI_VERB_COUNT + 1)), .what = what,
        .args = args && *args ? args : NULL, .origin = "peer",
        .role = (sykli_role)(SYKLI_ROLE_member + role % (SYKLI_ROLE_owner - 1)) };
    sykli_handle h = sykli_request_open(s, &r);
    FUZZ_CHECK(h.id || (sykli_last_error(s) < 0 && *sykli_errmsg(s)));
    if (h.id) {
        int reads = 0;
        while (reads++ < READS_MAX && (got = sykli_request_read(s, h, piece, sizeof piece)) > 0)
            sykli_buf_add(&body, piece, (size_t)got);
        FUZZ_CHECK(reads < READS_MAX);
        if (got == SYKLI_EOF) check_answer(t, r.verb, &body);
        else if (got) FUZZ_CHECK(*sykli_request_message(s, h));
        sykli_request_close(s, h);
    }
    sykli_buf_free(&body);
    free(what);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    test_begin(&t, 0);
    sykli *s = context(&t);
    while (size) {
        const uint8_t *end = size > 2 ? memchr(data + 2, 0, size - 2) : NULL;
        size_t one = end ? (size_t)(end - data) : size;
        ask(&t, s, data, one);
        one += end != NULL;
        data += one;
        size -= one;
    }
    sykli_close(s);
    fuzz_end(&t);
    return 0;
}
