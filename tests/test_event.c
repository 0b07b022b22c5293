// Events: the ring, its readers, and events as JSON lines.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static void put_note(sykli__event_ring *ring, int64_t at, const char *text)
{
    sykli_event e = { .kind = SYKLI_EVENT_note, .at_ms = at, .name = "test", .text = text };
    sykli__event_store(ring, &e);
}

static void a_reader_sees_every_event_once(test *t)
{
    sykli__event_ring ring;
    const sykli__event_row *row = NULL;
    uint64_t serial = 0, lost = 9;
    TRY(sykli__event_init(&ring, &t->mem, 4, &t->fault));
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 0);
    CHECK_INT(lost, 0);
    put_note(&ring, 1, "one");
    put_note(&ring, 2, "two");
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 1);
    CHECK_INT(serial, 1);
    CHECK_TEXT(row->text, "one");
    CHECK_INT(row->serial, 1);
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 1);
    CHECK_TEXT(row->text, "two");
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 0);
    CHECK_INT(serial, 2);
out:
    sykli__event_free(&ring);
}

static void a_slow_reader_is_told_what_it_missed(test *t)
{
    sykli__event_ring ring;
    const sykli__event_row *row = NULL;
    uint64_t serial = 0, lost = 0, total = 0, blocks;
    TRY(sykli__event_init(&ring, &t->mem, 4, &t->fault));
    blocks = t->mem.tags[SYKLI_TAG_event].allocs;
    for (int i = 1; i <= 11; i++) put_note(&ring, i, "x");
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 1);
    CHECK_INT(lost, 7);
    CHECK_INT(serial, 8);
    CHECK_INT(row->at, 8);
    while (sykli__event_read(&ring, &serial, &row, &lost)) total += lost + 1;
    CHECK_INT(total, 3);
    CHECK_INT(row->at, 11);
    put_note(&ring, 12, "x");
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 1);
    CHECK_INT(lost, 0);
    CHECK_INT(serial, 12);
    serial = 99; // of another life of the node
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 0);
    CHECK_INT(t->mem.tags[SYKLI_TAG_event].allocs, blocks); // storing allocates nothing
out:
    sykli__event_free(&ring);
}

static void rows_hold_what_happened(test *t)
{
    sykli__event_ring ring;
    TRY(sykli__event_init(&ring, &t->mem, 0, &t->fault));
    CHECK_INT(ring.capacity_max, SYKLI__EVENT_ROWS);
    sykli_event e = { .kind = SYKLI_EVENT_task_output, .text = "secret", .text_size = 6 };
    sykli__event_store(&ring, &e);
    CHECK_INT(ring.newest, 0); // output is in logs
    e = (sykli_event){ .kind = SYKLI_EVENT_task_finished, .at_ms = 5, .run = 3, .attempt = 2,
                       .name = "a-name-of-forty-six-bytes-then-an-umlaut-here\xc3\xa4\xc3\xa4",
                       .status = SYKLI_STATUS_failed, .exit_code = 7, .pid = 44,
                       .duration_ms = 1500, .text = "exit code 7", .from = NULL };
    sykli__event_store(&ring, &e);
    const sykli__event_row *row = &ring.rows[0];
    CHECK_TEXT(row->name, "a-name-of-forty-six-bytes-then-an-umlaut-here\xc3\xa4");
    CHECK_INT(row->status, SYKLI_STATUS_failed);
    CHECK_INT(row->exit_code, 7);
    CHECK(row->signal == SYKLI_NULL_U64);
    CHECK_INT(row->pid, 44);
    CHECK_INT(row->attempt, 2);
    CHECK_TEXT(row->text, "exit code 7");
    e.status = SYKLI_STATUS_cached;
    e.from = "ci-runner-1";
    sykli__event_store(&ring, &e);
    CHECK(ring.rows[1].exit_code == SYKLI_NULL_I64); // no process ended
    CHECK_TEXT(ring.rows[1].source, "ci-runner-1");
    e = (sykli_event){ .kind = SYKLI_EVENT_run_finished, .run = 3, .duration_ms = 9,
                       .counts = { [SYKLI_STATUS_passed] = 5, [SYKLI_STATUS_cached] = 2 } };
    sykli__event_store(&ring, &e);
    CHECK_TEXT(ring.rows[2].text, "5 passed, 2 cached");
    e = (sykli_event){ .kind = SYKLI_EVENT_nodeup, .name = "laptop" };
    sykli__event_store(&ring, &e);
    CHECK(ring.rows[3].status == SYKLI_NULL_ENUM && ring.rows[3].run == SYKLI_NULL_U64);
    CHECK(ring.rows[3].duration_ms == SYKLI_NULL_U64);
    CHECK_TEXT(ring.rows[3].text, "");
out:
    sykli__event_free(&ring);
}

typedef struct seen { sykli_emit emit; uint64_t rows, first, last; } seen;
static int see(sykli_emit *to, const void *row)
{
    seen *s = (seen *)to;
    s->last = ((const sykli__event_row *)row)->serial;
    if (!s->rows++) s->first = s->last;
    return s->rows == 7 ? -1 : 0;
}

static void the_table_is_scanned_oldest_first(test *t)
{
    sykli__event_ring ring;
    seen s = { { see, NULL, 0, NULL }, 0, 0, 0 };
    TRY(sykli__event_init(&ring, &t->mem, 4, &t->fault));
    CHECK_INT(sykli__event_scan(&ring, &s.emit), 0);
    CHECK_INT(s.rows, 0);
    for (int i = 1; i <= 6; i++) put_note(&ring, i, "x");
    CHECK_INT(sykli__event_scan(&ring, &s.emit), 0);
    CHECK_INT(s.first, 3);
    CHECK_INT(s.last, 6);
    CHECK_INT(sykli__event_scan(&ring, &s.emit), -1); // the emitter stops the scan
out:
    sykli__event_free(&ring);
}

static void a_ring_larger_than_memory_is_refused(test *t)
{
    sykli__event_ring ring;
    CHECK_INT(sykli__event_init(&ring, &t->mem, SIZE_MAX / 3, &t->fault), SYKLI_ELIMIT);
    sykli__event_store(&ring, &(sykli_event){ .kind = SYKLI_EVENT_note }); // and yet safe to use
    sykli__event_free(&ring);
}

#define LINE(event, expected)                                                                      \
    do { sykli_buf_reset(&b); TRY(sykli_event_json(event, &b));                                    \
         CHECK_TEXT((const char *)b.data, expected); } while (0)
#define AT "\"at\":\"2024-02-29T12:00:00.250Z\""

static void a_run_as_json_lines(test *t)
{
    sykli_buf b;
    static const char *const path[] = { "build", "te\"st" };
    sykli_event e = { .kind = SYKLI_EVENT_run_started, .at_ms = 1709208000250,
                      .run = 18446744073709551614u, .tasks = 12, .workers = 4 };
    sykli_buf_init(&b, &t->mem, SYKLI_TAG_event);
    LINE(&e, "{\"event\":\"run_started\"," AT ",\"run\":\"18446744073709551614\",\"tasks\":12,"
             "\"workers\":4}");
    e = (sykli_event){ .kind = SYKLI_EVENT_task_ready, .at_ms = e.at_ms, .run = 7,
                       .name = "build" };
    LINE(&e, "{\"event\":\"task_ready\"," AT ",\"run\":\"7\",\"task\":\"build\"}");
    e.kind = SYKLI_EVENT_task_started;
    e.attempt = 1;
    LINE(&e, "{\"event\":\"task_started\"," AT ",\"run\":\"7\",\"task\":\"build\",\"attempt\":1,"
             "\"target\":\"local\",\"node\":null,\"pid\":null}");
    e.node = "laptop";
    e.target = "k8s";
    e.pid = 42;
    LINE(&e, "{\"event\":\"task_started\"," AT ",\"run\":\"7\",\"task\":\"build\",\"attempt\":1,"
             "\"target\":\"k8s\",\"node\":\"laptop\",\"pid\":42}");
    e.kind = SYKLI_EVENT_task_output;
    e.text = "a\"\x1b[0m\n\xff";
    e.text_size = strlen(e.text);
    e.stream = 2;
    LINE(&e, "{\"event\":\"task_output\"," AT ",\"run\":\"7\",\"task\":\"build\","
             "\"stream\":\"stderr\",\"text\":\"a\\\"\\u001b[0m\\n\xef\xbf\xbd\"}");
    e.text_size = 0;
    e.stream = 1;
    LINE(&e, "{\"event\":\"task_output\"," AT ",\"run\":\"7\",\"task\":\"build\","
             "\"stream\":\"stdout\",\"text\":\"\"}");
    e.kind = SYKLI_EVENT_task_retry;
    e.attempt = 2;
    e.in_ms = 1000;
    LINE(&e, "{\"event\":\"task_retry\"," AT ",\"run\":\"7\",\"task\":\"build\",\"attempt\":2,"
             "\"in_ms\":1000}");
    e = (sykli_event){ .kind = SYKLI_EVENT_run_finished, .at_ms = e.at_ms, .run = 7,
                       .status = SYKLI_STATUS_failed, .counts = { 5, 1, 0, 2, 0, 3, 1 },
                       .duration_ms = 900, .saved_ms = 134000, .path = path, .path_count = 2 };
    LINE(&e, "{\"event\":\"run_finished\"," AT ",\"run\":\"7\",\"status\":\"failed\",\"passed\":5,"
             "\"failed\":1,\"errored\":0,\"cached\":2,\"skipped\":0,\"blocked\":3,\"cancelled\":1,"
             "\"wall_ms\":900,\"saved_ms\":134000,\"critical_path\":[\"build\",\"te\\\"st\"]}");
out:
    sykli_buf_free(&b);
}

static void the_end_of_a_task_as_json(test *t)
{
    sykli_buf b;
    sykli_event e = { .kind = SYKLI_EVENT_task_finished, .at_ms = 1709208000250, .run = 7,
                      .name = "t", .status = SYKLI_STATUS_failed, .exit_code = 3, .key = "ab12",
                      .duration_ms = 10, .cpu_ms = 8, .rss_max_bytes = 4096,
                      .read_bytes = 512, .write_bytes = 1024, .text = "exit code 3" };
    sykli_buf_init(&b, &t->mem, SYKLI_TAG_event);
#define IO "\"read_bytes\":512,\"write_bytes\":1024,"
#define HEAD "{\"event\":\"task_finished\"," AT ",\"run\":\"7\",\"task\":\"t\",\"status\":"
    LINE(&e, HEAD "\"failed\",\"exit_code\":3,\"signal\":null,\"from\":null,\"key\":\"ab12\","
             "\"duration_ms\":10,\"cpu_ms\":8,\"rss_max_bytes\":4096,"
             IO "\"why\":\"exit code 3\"}");
    e.exit_code = -1;
    e.signal = 9;
    e.text = NULL;
    LINE(&e, HEAD "\"failed\",\"exit_code\":null,\"signal\":9,\"from\":null,\"key\":\"ab12\","
             "\"duration_ms\":10,\"cpu_ms\":8,\"rss_max_bytes\":4096,"
             IO "\"why\":null}");
    e.status = SYKLI_STATUS_cached;
    e.exit_code = e.signal = 0;
    e.from = "laptop";
    e.key = "";
    LINE(&e, HEAD "\"cached\",\"exit_code\":null,\"signal\":null,\"from\":\"laptop\",\"key\":null,"
             "\"duration_ms\":10,\"cpu_ms\":8,\"rss_max_bytes\":4096,"
             IO "\"why\":null}");
out:
    sykli_buf_free(&b);
}

static void what_is_no_run_as_json(test *t)
{
    sykli_buf b;
    sykli_event e = { .kind = SYKLI_EVENT_nodedown, .at_ms = 1709208000250, .name = "ci",
                      .text = "silent for 3 s" };
    sykli_buf_init(&b, &t->mem, SYKLI_TAG_event);
    LINE(&e, "{\"event\":\"nodedown\"," AT ",\"run\":null,\"node\":\"ci\","
             "\"text\":\"silent for 3 s\"}");
    e.kind = SYKLI_EVENT_config;
    e.name = "workers";
    e.text = NULL;
    LINE(&e, "{\"event\":\"config\"," AT ",\"run\":null,\"key\":\"workers\",\"text\":null}");
out:
    sykli_buf_free(&b);
}

static void a_row_as_json(test *t)
{
    sykli__event_ring ring;
    sykli_buf b;
    sykli_buf_init(&b, &t->mem, SYKLI_TAG_event);
    TRY(sykli__event_init(&ring, &t->mem, 2, &t->fault));
    sykli_event e = { .kind = SYKLI_EVENT_task_finished, .at_ms = 1709208000250, .run = 7,
                      .name = "t", .status = SYKLI_STATUS_failed, .exit_code = 3, .pid = 12,
                      .attempt = 1, .duration_ms = 10, .text = "exit code 3" };
    sykli__event_store(&ring, &e);
    TRY(sykli__event_row_json(&ring.rows[0], &b));
    CHECK_TEXT((const char *)b.data,
               "{\"event\":\"task_finished\"," AT ",\"run\":\"7\",\"serial\":1,\"name\":\"t\","
               "\"status\":\"failed\",\"attempt\":1,\"pid\":12,\"exit_code\":3,\"duration_ms\":10,"
               "\"text\":\"exit code 3\"}");
    sykli_buf_reset(&b);
    put_note(&ring, 1709208000250, "hello");
    TRY(sykli__event_row_json(&ring.rows[1], &b));
    CHECK_TEXT((const char *)b.data, "{\"event\":\"note\"," AT ",\"run\":null,\"serial\":2,"
                                     "\"name\":\"test\",\"text\":\"hello\"}");
out:
    sykli_buf_free(&b);
    sykli__event_free(&ring);
}

static void times_are_rfc_3339(test *t)
{
    char out[32];
    CHECK_TEXT(sykli_format_time(out, 0), "1970-01-01T00:00:00.000Z");
    CHECK_TEXT(sykli_format_time(out, -1), "1969-12-31T23:59:59.999Z");
    CHECK_TEXT(sykli_format_time(out, 951782400000), "2000-02-29T00:00:00.000Z");
    CHECK_TEXT(sykli_format_time(out, 4107542399999), "2100-02-28T23:59:59.999Z");
    CHECK_TEXT(sykli_format_time(out, 4107542400000), "2100-03-01T00:00:00.000Z");
    CHECK_TEXT(sykli_format_time(out, INT64_MIN), "0000-01-01T00:00:00.000Z");
    CHECK_TEXT(sykli_format_time(out, INT64_MAX), "9999-12-31T23:59:59.999Z");
}

static void a_ring_grows_before_it_forgets(test *t)
{
    sykli__event_ring ring;
    const sykli__event_row *row = NULL;
    uint64_t serial = 0, lost;
    TRY(sykli__event_init(&ring, &t->mem, 600, &t->fault));
    CHECK_INT(ring.capacity, SYKLI__EVENT_FIRST);
    for (int i = 0; i < 600; i++)
        sykli__event_store(&ring, &(sykli_event){ .kind = SYKLI_EVENT_task_ready, .name = "a" });
    CHECK(t->injected || ring.capacity == 600);
    CHECK_INT(sykli__event_read(&ring, &serial, &row, &lost), 1);
    CHECK(t->injected || !lost);
    CHECK_INT(row->serial, serial);
out:
    sykli__event_free(&ring);
}

int main(int argc, char **argv)
{
    TEST_STORY(a_ring_grows_before_it_forgets);
    TEST_STORY(a_reader_sees_every_event_once);
    TEST_STORY(a_slow_reader_is_told_what_it_missed);
    TEST_STORY(rows_hold_what_happened);
    TEST_STORY(the_table_is_scanned_oldest_first);
    TEST_STORY(a_ring_larger_than_memory_is_refused);
    TEST_STORY(a_run_as_json_lines);
    TEST_STORY(the_end_of_a_task_as_json);
    TEST_STORY(what_is_no_run_as_json);
    TEST_STORY(a_row_as_json);
    TEST_STORY(times_are_rfc_3339);
    return test_end(argc, argv);
}
