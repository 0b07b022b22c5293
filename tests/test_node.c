// What a context answers: tables, ops and the five verbs; and how hooks take part in a run.
#define SYKLI_IMPLEMENTATION
#include "place.h"
#include <poll.h>

// ---- asking ---------------------------------------------------------------------------------
// The rows of a query as CSV without its head.     returns  NULL: the error is the context's
static const char *answer(sykli *s, sykli_role role, const char *query, char out[4096])
{
    sykli_mem *mem = sykli_memory(s);
    sykli_buf body, text;
    uint8_t piece[1000];
    int64_t got;
    sykli_fault fault;
    sykli_handle r = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_query,
                                                             .what = query, .role = role });
    if (!r.id) return NULL;
    sykli_buf_init(&body, mem, SYKLI_TAG_host);
    sykli_buf_init(&text, mem, SYKLI_TAG_host);
    while ((got = sykli_request_read(s, r, piece, sizeof piece)) > 0)
        sykli_buf_add(&body, piece, (size_t)got);
    sykli_request_close(s, r);
    sykli_result *result = got == SYKLI_EOF && !body.error
                         ? sykli_result_decode(mem, body.data, body.size, &fault) : NULL;
    int rc = result ? sykli_result_render(result, SYKLI_FORMAT_csv, &text) : SYKLI_ENOMEM;
    if (rc < 0) sykli_set_error(s, rc, "no memory for the answer");
    const char *head = rc < 0 ? NULL : strstr((const char *)text.data, "\r\n");
    snprintf(out, 4096, "%s", head ? head + 2 : "");
    sykli_result_free(result);
    sykli_buf_free(&body);
    sykli_buf_free(&text);
    return rc < 0 ? NULL : out;
}

static const char *own(sykli *s, const char *query, char out[4096])
{
    return answer(s, SYKLI_ROLE_owner, query, out);
}

// An owner is answered so. A scan may leave out what cannot be read.
#define ANSWER(s, query, wanted)                                                                   \
    do { char text_[4096]; const char *is_ = own(s, query, text_);                                 \
         TRY_IT(s, is_); if (!t->injected) CHECK_TEXT(is_, wanted); } while (0)

static sykli *copying(test *t, const place *p, sykli_desc desc)
{
    sykli *s = open_in(t, p, desc);
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "copy", .command = "cp in out",
        .inputs = { "in" }, .outputs = { { "o", "out" } } });
    return s;
}

// ---- tables ---------------------------------------------------------------------------------
static void tables_know_the_run(test *t)
{
    place p;
    char text[4096];
    place_make(&p);
    put(&p, "in", "four");
    sykli *s = copying(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    ANSWER(s, "SELECT name, status, attempt, exit_code FROM tasks", "copy,passed,1,0\r\n");
    ANSWER(s, "SELECT status, tasks, done, failed, cached FROM runs", "passed,1,1,0,0\r\n");
    ANSWER(s, "SELECT kind, status FROM procs WHERE kind = 'run'", "run,ended\r\n");
    ANSWER(s, "SELECT state, task FROM workers", "idle,\r\nidle,\r\n");
    ANSWER(s, "SELECT name, state, workers_total FROM nodes", "here,alive,2\r\n");
    ANSWER(s, "SELECT size_bytes FROM blobs", "4\r\n");
    ANSWER(s, "SELECT outputs, size_bytes, writer FROM actions", "1,4,here\r\n");
    ANSWER(s, "SELECT value FROM config WHERE key = 'kill.grace'", "5s\r\n");
    ANSWER(s, "SELECT role FROM ops WHERE name = 'task.kill'", "operator\r\n");
    ANSWER(s, "SELECT help FROM tables WHERE name = 'tables'", "one table\r\n");
    ANSWER(s, "SELECT event FROM events WHERE name = 'copy' ORDER BY serial",
           "task_ready\r\ntask_started\r\ntask_finished\r\n");
    snprintf(text, sizeof text, "%d\r\n", SYKLI_TAG_COUNT);
    ANSWER(s, "SELECT count(*) FROM memory", text);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Every table answers `SELECT *`, also on a context that has not run anything.
static void every_table_can_be_asked(test *t)
{
    place p;
    char names[4096], query[128], rows[4096];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s));
    TRY_IT(s, own(s, "SELECT name FROM tables", names));
    int count = 0;
    for (char *name = strtok(names, "\r\n"); name; name = strtok(NULL, "\r\n"), count++) {
        snprintf(query, sizeof query, "SELECT * FROM %s", name);
        TRY_IT(s, own(s, query, rows));
    }
    CHECK(count >= 12);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_role_sees_and_does_its_share(test *t)
{
    place p;
    char text[4096];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s));
    CHECK(!answer(s, SYKLI_ROLE_member, "SELECT pid FROM tasks", text));
    if (!t->injected) CHECK(strstr(sykli_errmsg(s), "column pid of tasks needs role observer"));
    TRY_IT(s, answer(s, SYKLI_ROLE_observer, "SELECT pid FROM tasks", text));
    TRY_IT(s, answer(s, SYKLI_ROLE_member, "SELECT name FROM tasks", text));
    static const struct { sykli_verb verb; const char *what, *args, *words; } refused[] = {
        { SYKLI_VERB_call, "run.cancel", NULL, "op run.cancel needs the role operator" },
        { SYKLI_VERB_watch, "events", NULL, "watching 'events' needs a higher role than member" },
        { SYKLI_VERB_watch, "output", "{\"task\":\"a\"}", "watching 'output' needs a higher role" },
        { SYKLI_VERB_watch, "worker", NULL, "watching 'worker' needs a higher role" } };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(!sykli_request_open(s, &(sykli_request){ .verb = refused[i].verb,
            .what = refused[i].what, .args = refused[i].args, .role = SYKLI_ROLE_member }).id);
        explain(t, s);
        if (!t->injected) CHECK(strstr(sykli_errmsg(s), refused[i].words));
        if (!t->injected) CHECK_INT(sykli_last_error(s), SYKLI_EPERM);
    }
    CHECK(!sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_query,
        .what = "SELECT name FROM tasks", .role = (sykli_role)99 }).id);
    if (!t->injected) CHECK_TEXT(sykli_errmsg(s), "role: there is no role 99");
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- a table and ops of one's own -----------------------------------------------------------
#define LAMP_COLUMNS(X, T)                                                                         \
    X(T, STR, room, 32, none, public, "where it hangs")                                            \
    X(T, BOOL, shines, 0, none, public, "whether it is on")                                        \
    X(T, U64, power, 0, none, observer, "watts")
SYKLI_ROW(lamp, LAMP_COLUMNS)
SYKLI_COLUMNS(lamp, LAMP_COLUMNS)

typedef struct house { lamp lamps[2]; sykli_handle waiting; } house;

static int scan_lamps(void *user, sykli_emit *to)
{
    house *h = (house *)user;
    int rc = to->row(to, &h->lamps[0]);
    return rc ? rc : to->row(to, &h->lamps[1]);
}

static int switch_lamp(sykli_call *call)
{
    house *h = (house *)call->user;
    const char *room = sykli_arg_text(call->args, "room", "");
    for (int i = 0; i < 2; i++)
        if (!strcmp(h->lamps[i].room, room)) {
            h->lamps[i].shines = 1;
            return sykli_buf_print(call->result, "{\"by\":\"%s\"}", call->origin);
        }
    return sykli_set_error(call->context, SYKLI_ENOENT, "no lamp hangs in %s", room);
}

static int wait_for_lamp(sykli_call *call)
{
    ((house *)call->user)->waiting = call->handle;
    return SYKLI_PENDING;
}

static int live_in(sykli *s, house *h)
{
    static const sykli_param params[] = { { "room", SYKLI_KIND_TEXT, true, "where it hangs" },
                                          { "watts", SYKLI_KIND_U64, false, "power" } };
    *h = (house){ .lamps = { { "hall", 0, 9 }, { "desk", 1, 4 } } };
    int rc = sykli_table_add(s, &(sykli_table){ .name = "lamps", .help = "what shines",
        .columns = lamp_columns, .column_count = 3, .row_size = sizeof(lamp), .scan = scan_lamps,
        .user = h });
    if (!rc) rc = sykli_op_add(s, &(sykli_op){ .id = SYKLI_OP_OWN, .name = "lamp.switch",
        .help = "switches one on", .role = SYKLI_ROLE_operator, .params = params, .param_count = 2,
        .handler = switch_lamp, .user = h });
    if (!rc) rc = sykli_op_add(s, &(sykli_op){ .id = SYKLI_OP_OWN + 1, .name = "lamp.wait",
        .help = "waits for one", .role = SYKLI_ROLE_member, .handler = wait_for_lamp, .user = h });
    return rc;
}

// Calls an op that answers at once.     returns  NULL: the error is the context's
static const char *call(sykli *s, const char *op, const char *args, sykli_role role, char out[256])
{
    sykli_handle r = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_call, .what = op,
        .args = args, .role = role, .origin = "a friend" });
    if (!r.id) return NULL;
    int64_t size = sykli_request_read(s, r, out, 255);
    out[size > 0 ? size : 0] = 0;
    sykli_request_close(s, r);
    return size < 0 ? NULL : out;
}

static void own_tables_and_ops(test *t)
{
    place p;
    house h;
    char text[256];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s) && !live_in(s, &h));
    ANSWER(s, "SELECT room, power FROM lamps WHERE shines", "desk,4\r\n");
    ANSWER(s, "SELECT columns FROM tables WHERE name = 'lamps'", "3\r\n");
    ANSWER(s, "SELECT name, role FROM ops WHERE id = 10000", "lamp.switch,operator\r\n");
    TRY_IT(s, call(s, "lamp.switch", "{\"room\":\"hall\"}", SYKLI_ROLE_operator, text));
    CHECK_TEXT(text, "{\"by\":\"a friend\"}");
    CHECK_INT(h.lamps[0].shines, 1);
    ANSWER(s, "SELECT text FROM events WHERE event = 'audit'", "a friend (operator): ok\r\n");
    static const struct { const char *op, *args; sykli_role role; const char *words; } bad[] = {
        { "lamp.switch", "{\"room\":\"hall\"}", SYKLI_ROLE_observer, "needs the role operator" },
        { "lamp.switch", "{\"room\":7}", SYKLI_ROLE_owner, "room" },
        { "lamp.switch", "{}", SYKLI_ROLE_owner, "argument room is missing" },
        { "lamp.switch", "{\"room\":\"hall\",\"watts\":-1}", SYKLI_ROLE_owner, "watts" },
        { "lamp.switch", "{\"rom\":\"hall\"}", SYKLI_ROLE_owner, "rom" },
        { "lamp.switch", "{\"room\":\"attic\"}", SYKLI_ROLE_owner, "no lamp hangs in attic" },
        { "lamp.switch", "[]", SYKLI_ROLE_owner, "give a JSON object" },
        { "lamp.switch", "{", SYKLI_ROLE_owner, "1:2" },
        { "lamp.swich", "{}", SYKLI_ROLE_owner, "no op 'lamp.swich'" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!call(s, bad[i].op, bad[i].args, bad[i].role, text));
        explain(t, s);
        if (!t->injected) CHECK(strstr(sykli_errmsg(s), bad[i].words));
    }
    CHECK_INT(sykli_op_add(s, &(sykli_op){ .id = SYKLI_OP_OWN, .name = "lamp.other", .help = "x",
        .handler = switch_lamp }) < 0, true);
out:
    sykli_close(s);
    place_end(t, &p);
}

// The words of an audit are longer than its row has room for: both caller and error are.
static void an_audit_cuts_what_is_long(test *t)
{
    place p;
    house h;
    char origin[700];
    memset(origin, 'o', sizeof origin);
    origin[sizeof origin - 1] = 0;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY(live_in(s, &h));
    CHECK(!sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_call, .what = "lamp.switch",
        .args = "{\"room\":\"attic\"}", .origin = origin }).id);
    ANSWER(s, "SELECT count(*) FROM events WHERE event = 'audit'", "1\r\n");
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- requests -------------------------------------------------------------------------------
static void note(void *user, sykli_handle request)
{
    (void)request;
    ++*(int *)user;
}

static void a_call_may_end_later(test *t)
{
    place p;
    house h;
    char text[64];
    int news = 0;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s) && !live_in(s, &h));
    sykli_request desc = { .verb = SYKLI_VERB_call, .what = "lamp.wait", .ready = note,
                           .user = &news };
    sykli_handle r = sykli_request_open(s, &desc);
    TRY_IT(s, r.id);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), 0);
    TRY_IT(s, !sykli_call_done(s, h.waiting, 0, "[1,2]", NULL));
    CHECK_INT(news, 1);
    int64_t got = sykli_request_read(s, r, text, sizeof text);
    TRY_THAT(got == 5, "the result is there");
    CHECK(!memcmp(text, "[1,2]", 5));
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_EOF);
    CHECK_INT(sykli_call_done(s, h.waiting, 0, "[3]", NULL), SYKLI_ESTALE); // once is enough
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_EOF);
    sykli_request_close(s, r);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_ESTALE);
    r = sykli_request_open(s, &desc);
    TRY_IT(s, r.id);
    CHECK_INT(sykli_call_done(s, h.waiting, SYKLI_EBUSY, NULL, "the bulb is hot"), 0);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_EBUSY);
    CHECK_TEXT(sykli_request_message(s, r), "the bulb is hot");
    sykli_request_close(s, r);
    r = sykli_request_open(s, &desc);
    TRY_IT(s, r.id);
    sykli_request_close(s, r);
    CHECK_INT(sykli_call_done(s, h.waiting, 0, "1", NULL), SYKLI_ESTALE);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_deadline_ends_a_request(test *t)
{
    place p;
    house h;
    char text[64];
    int news = 0;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s) && !live_in(s, &h));
    sykli_handle r = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_call,
        .what = "lamp.wait", .deadline_ms = 15, .ready = note, .user = &news });
    TRY_IT(s, r.id);
    CHECK(sykli_deadline_ms(s) <= 15);
    for (int i = 0; i < 100 && !news; i++) sykli_poll(s, -1);
    CHECK_INT(news, 1);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_ETIMEOUT);
    CHECK_TEXT(sykli_request_message(s, r), "the deadline passed");
    CHECK_INT(sykli_call_done(s, h.waiting, 0, "1", NULL), SYKLI_ESTALE);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_ETIMEOUT);
    CHECK_INT(sykli_deadline_ms(s), -1);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Reads a watch to its end while the run goes on.     returns  the code it ended with
static int64_t read_all(sykli *s, sykli_handle r, char *out, size_t size)
{
    size_t used = 0;
    int64_t got = 0;
    for (int turn = 0; turn < 10000 && got >= 0 && used + 1 < size; turn++) {
        got = sykli_request_read(s, r, out + used, size - 1 - used);
        if (got > 0) used += (size_t)got;
        if (got == 0 && sykli_poll(s, 20) <= 0 && turn > 9000) break;
    }
    out[used] = 0;
    return got;
}

static void output_is_watched_from_its_first_byte(test *t)
{
    place p;
    char text[4096];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, sykli_add(s, &(sykli_task_desc){ .name = "a",
        .command = "echo one; echo two; printf three" }).id);
    sykli_request desc = { .verb = SYKLI_VERB_watch, .what = "output", .args = "{\"task\":\"a\"}",
                           .role = SYKLI_ROLE_observer };
    sykli_handle early = sykli_request_open(s, &desc);
    TRY_IT(s, early.id);
    TRY_THAT(!sykli_request_read(s, early, text, sizeof text), "there is nothing to read yet");
    TRY_IT(s, !sykli_start(s));
    int64_t end = read_all(s, early, text, sizeof text);
    for (int round = 0; round < 2 && !t->injected; round++) {
        CHECK_INT(end, SYKLI_EOF);
        char *started = strstr(text, "\"event\":\"task_started\"");
        char *one = strstr(text, "\"text\":\"one\"}"), *two = strstr(text, "\"text\":\"two\"}");
        char *three = strstr(text, "\"text\":\"three\"}");
        char *finished = strstr(text, "\"event\":\"task_finished\"");
        CHECK(started && one && two && three && finished);
        CHECK(started < one && one < two && two < three && three < finished);
        sykli_handle late = sykli_request_open(s, &desc); // the same again, for who comes late
        end = read_all(s, late, text, sizeof text);
    }
    desc.args = "{\"task\":\"b\"}";
    CHECK(!sykli_request_open(s, &desc).id);
    if (!t->injected) CHECK_TEXT(sykli_errmsg(s), "no task 'b' runs here");
    desc.what = "smoke";
    CHECK(!sykli_request_open(s, &desc).id);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void slow_watchers_of_events_see_a_gap(test *t)
{
    place p;
    char text[300];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    sykli_event event = { .kind = SYKLI_EVENT_note, .name = "n", .text = "a note" };
    sykli_handle r = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_watch,
                                                             .what = "events" });
    TRY_INT(sykli_request_read(s, r, text, sizeof text), 0);
    sykli_event_put(s, &event);
    TRY_TRUE(sykli_request_read(s, r, text, sizeof text) > 0);
    TRY_TRUE(!strncmp(text, "{\"event\":\"note\"", 15));
    for (int i = 0; i < 5000; i++) sykli_event_put(s, &event);
    int64_t got = sykli_request_read(s, r, text, sizeof text - 1);
    text[got > 0 ? got : 0] = 0;
    TRY_TRUE(!strncmp(text, "{\"event\":\"gap\",\"lost\":904}\n{", 27)); // 5,000 less 4,096 rows
    long long total = got, lines = 0;
    while ((got = sykli_request_read(s, r, text, sizeof text)) > 0) {
        for (int64_t i = 0; i < got; i++) lines += text[i] == '\n';
        total += got;
    }
    TRY_INT(got, 0); // it goes on
    TRY_TRUE(total > 4096 * 40 && lines >= 4090);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_blob_is_fetched_by_the_piece(test *t)
{
    place p;
    char text[4096], args[64], id[65], big[70001], back[70001];
    place_make(&p);
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('a' + i % 23);
    big[sizeof big - 1] = 0;
    put(&p, "in", big);
    sykli *s = copying(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    TRY_IT(s, own(s, "SELECT id FROM blobs", text));
    snprintf(id, sizeof id, "%.64s", text);
    sykli_request desc = { .verb = SYKLI_VERB_fetch, .what = id, .role = SYKLI_ROLE_member };
    for (size_t at = 0; at < 70000; at += 30000) {
        snprintf(args, sizeof args, "{\"at\":%zu,\"size\":30000}", at);
        desc.args = args;
        sykli_handle r = sykli_request_open(s, &desc);
        TRY_IT(s, r.id);
        size_t used = at;
        int64_t got;
        while ((got = sykli_request_read(s, r, back + used, 777)) > 0) used += (size_t)got;
        TRY_THAT(got == SYKLI_EOF, "the piece ends well");
        CHECK_INT(used, at + 30000 < 70000 ? at + 30000 : 70000);
        sykli_request_close(s, r);
    }
    CHECK(!memcmp(big, back, 70000));
    desc.args = "{\"at\":90000}";
    sykli_handle r = sykli_request_open(s, &desc);
    TRY_IT(s, r.id);
    CHECK_INT(sykli_request_read(s, r, back, 10), SYKLI_EOF);
    id[0] = id[0] == '0' ? '1' : '0';
    CHECK(!sykli_request_open(s, &desc).id);
    if (!t->injected) CHECK_INT(sykli_last_error(s), SYKLI_ENOENT);
    desc.what = "beef";
    CHECK(!sykli_request_open(s, &desc).id);
    if (!t->injected) CHECK_TEXT(sykli_errmsg(s), "blob id: give 64 hex digits");
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_worker_is_lent_and_returned(test *t)
{
    place p;
    char text[64];
    uint32_t busy, total;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .workers_max = 1 });
    TRY_NOT_NULL(s);
    sykli_request desc = { .verb = SYKLI_VERB_watch, .what = "worker",
                           .args = "{\"task\":\"theirs\"}" };
    sykli_handle one = sykli_request_open(s, &desc), two = sykli_request_open(s, &desc);
    TRY_IT(s, one.id && two.id);
    int64_t got = sykli_request_read(s, one, text, sizeof text);
    TRY_THAT(got > 0, "the first gets the worker");
    CHECK_INT(sykli_request_read(s, two, text, sizeof text), 0);
    ANSWER(s, "SELECT state, task FROM workers", "busy,theirs\r\n");
    sykli_request_close(s, one);
    got = sykli_request_read(s, two, text, sizeof text);
    TRY_THAT(got > 0, "then the second");
    sykli_workers(s, &busy, &total);
    CHECK_INT(busy, 1);
    sykli_request_close(s, two);
    sykli_workers(s, &busy, &total);
    CHECK_INT(busy, 0);
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- hooks: facts and other nodes -----------------------------------------------------------
typedef struct far { int opened, read, closed, offered; char body[16]; } far;

static int far_open(void *user, uint64_t ticket, const sykli_request *desc)
{
    far *f = (far *)user;
    (void)ticket;
    f->opened++;
    return strcmp(desc->node, "there") ? SYKLI_ENONODE : 0;
}
static int64_t far_read(void *user, uint64_t ticket, void *out, size_t size)
{
    far *f = (far *)user;
    (void)ticket;
    if (f->read++) return SYKLI_EOF;
    if (size > 5) size = 5;
    memcpy(out, "hello", size);
    return (int64_t)size;
}
static const char *far_message(void *user, uint64_t ticket)
{
    (void)user, (void)ticket;
    return "all is well";
}
static void far_close(void *user, uint64_t ticket)
{
    (void)ticket;
    ((far *)user)->closed++;
}
static int far_offer(void *user, const char *kind, const sykli_json_doc *fact, sykli_role role)
{
    ((far *)user)->offered += !strcmp(kind, "weather") && role == SYKLI_ROLE_member
                            && !strcmp(sykli_arg_text(fact, "sky", ""), "blue");
    return 0;
}

static void other_nodes_are_reached_by_a_hook(test *t)
{
    place p;
    far f = { 0 };
    char text[16];
    int news = 0;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    sykli_request offer = { .verb = SYKLI_VERB_offer, .what = "weather", .role = SYKLI_ROLE_member,
                            .args = "{\"sky\":\"blue\"}" };
    sykli_request query = { .verb = SYKLI_VERB_query, .what = "SELECT name FROM nodes",
                            .node = "there", .deadline_ms = 1, .ready = note, .user = &news };
    CHECK(!sykli_request_open(s, &offer).id);
    if (!t->injected) CHECK_TEXT(sykli_errmsg(s), "nothing here takes facts of kind 'weather'");
    CHECK(!sykli_request_open(s, &query).id);
    if (!t->injected) CHECK(strstr(sykli_errmsg(s), "node 'there' is not reachable"));
    sykli_hooks_set(s, &(sykli_hooks){ .user = &f, .route_open = far_open, .route_read = far_read,
        .route_message = far_message, .route_close = far_close, .offer = far_offer });
    sykli_handle r = sykli_request_open(s, &offer);
    TRY_IT(s, r.id);
    CHECK_INT(f.offered, 1);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_EOF);
    r = sykli_request_open(s, &query);
    TRY_IT(s, r.id);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), 5);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_EOF);
    CHECK_TEXT(sykli_request_message(s, r), "all is well");
    CHECK_INT(sykli_deadline_ms(s), -1); // the deadline is the hook's to keep
    sykli_request_close(s, r);
    CHECK_INT(f.closed, 1);
    query.node = "nowhere";
    CHECK(!sykli_request_open(s, &query).id);
    query.node = "here"; // itself
    r = sykli_request_open(s, &query);
    TRY_IT(s, r.id);
    CHECK(sykli_request_read(s, r, text, sizeof text) > 0);
    CHECK_INT(f.opened, 2);
    query.node = "there";
    r = sykli_request_open(s, &query);
    TRY_IT(s, r.id);
    news = 0;
    sykli_hooks_set(s, NULL); // the way is gone while somebody waits
    CHECK_INT(news, 1);
    CHECK_INT(sykli_request_read(s, r, text, sizeof text), SYKLI_ECLOSED);
    CHECK(*sykli_request_message(s, r));
    sykli_request_close(s, r);
    CHECK_INT(f.closed, 1);
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- hooks: a cache elsewhere ---------------------------------------------------------------
// How a lookup is answered. `later`: by the pump hook, so after the lookup has returned.
enum { NO_ANSWER, CANCELLED, SYNC_ERROR, SYNC_MISS, LATER_MISS, LATER_HIT, LATER_LIE };
typedef struct other {
    sykli *s, *from; // whose store has it
    int how, asked, announced, pumped;
    uint64_t ticket;
    char key[65];
} other;

// Brings blob and entry over, as a mesh would.     returns  0 or the error
static int bring(other *o)
{
    char id[4096], data[64];
    sykli_digest digest;
    sykli_buf entry;
    if (!own(o->from, "SELECT id FROM blobs", id)) return SYKLI_ENOENT;
    int rc = sykli_unhex(digest.bytes, 32, id, 64);
    int64_t size = rc ? rc : sykli_blob_read(o->from, &digest, 0, data, sizeof data);
    if (size < 0) return (int)size;
    sykli_blob_writer *w = sykli_blob_begin(o->s, &digest, (uint64_t)size);
    if (!w) return SYKLI_EIO;
    rc = sykli_blob_write(o->s, w, data, (size_t)size);
    if (rc) sykli_blob_abort(w);
    else rc = sykli_blob_end(o->s, w);
    sykli_buf_init(&entry, sykli_memory(o->from), SYKLI_TAG_host);
    if (!rc) rc = sykli_entry_load(o->from, o->key, &entry);
    if (!rc) rc = sykli_entry_store(o->s, o->key, (const char *)entry.data, entry.size);
    sykli_buf_free(&entry);
    return rc;
}

static int other_lookup(void *user, uint64_t ticket, const char *key, uint32_t deadline_ms)
{
    other *o = (other *)user;
    o->asked++;
    o->ticket = ticket;
    snprintf(o->key, sizeof o->key, "%s", key);
    if (deadline_ms > 1000 || o->how == SYNC_ERROR) return SYKLI_EBUSY;
    if (o->how == SYNC_MISS) sykli_hook_done(o->s, ticket, SYKLI_ENOENT, NULL);
    return 0;
}

static void other_announce(void *user, const char *key)
{
    ((other *)user)->announced += strlen(key) == 64;
}

static void other_pump(void *user)
{
    other *o = (other *)user;
    if (!o->asked || o->pumped++) return;
    if (o->how == LATER_MISS) sykli_hook_done(o->s, o->ticket, SYKLI_ENOENT, NULL);
    if (o->how == LATER_HIT) sykli_hook_done(o->s, o->ticket, bring(o), "far");
    if (o->how == LATER_LIE) sykli_hook_done(o->s, o->ticket, 0, "far");
    if (o->how == NO_ANSWER) sykli_hooks_set(o->s, NULL);
    if (o->how == CANCELLED) sykli_run_cancel(o->s);
    sykli_hook_done(o->s, o->ticket, 0, "again"); // late, and once too often: ignored
}

static void looked_up(test *t, int how, const char *status, const char *from)
{
    place p, q;
    char text[256];
    sykli_task_info info;
    other o = { .how = how };
    place_make(&p);
    place_make(&q);
    put(&p, "in", "same");
    put(&q, "in", "same");
    sykli *away = copying(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(away);
    if (!run_all(t, away, 0)) goto out;
    o.from = away;
    o.s = copying(t, &q, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(o.s);
    sykli_hooks_set(o.s, &(sykli_hooks){ .user = &o, .lookup = other_lookup, .pump = other_pump,
                                         .announce = other_announce });
    int rc = sykli_run(o.s);
    explain(t, o.s);
    if (!rc) CHECK_TEXT(said(&q, "out", text), "same"); // from wherever
    if (t->injected) goto out;
    CHECK_INT(rc, how == CANCELLED);
    CHECK_INT(o.asked, 1);
    CHECK_INT(sykli_task_get(o.s, sykli_find(o.s, "copy"), &info), 0);
    CHECK_TEXT(sykli_status_names[info.status], status);
    CHECK_TEXT(info.from, from);
    CHECK_INT(o.announced, how != LATER_HIT && how != NO_ANSWER && how != CANCELLED);
out:
    sykli_close(away);
    sykli_close(o.s);
    place_end(t, &p);
    place_end(t, &q);
}

static void a_hit_comes_from_elsewhere(test *t) { looked_up(t, LATER_HIT, "cached", "far"); }
static void a_miss_comes_from_elsewhere(test *t)
{
    looked_up(t, SYNC_ERROR, "passed", "");
    looked_up(t, SYNC_MISS, "passed", "");
    looked_up(t, LATER_MISS, "passed", "");
    looked_up(t, LATER_LIE, "passed", ""); // a hit that is not there: it runs after all
    looked_up(t, NO_ANSWER, "passed", ""); // the hooks go away instead of answering
    looked_up(t, CANCELLED, "cancelled", "");
}

// ---- hooks: workers of a node ---------------------------------------------------------------
enum { GRANT_AT_ONCE, GRANT_LATER, REFUSE_LATER, REFUSE_AT_ONCE, GO_AWAY, KILL_WAITING };
typedef struct lender { sykli *s; int how, borrowed, returned, pumped; uint64_t ticket; } lender;

static int lend(void *user, uint64_t ticket)
{
    lender *l = (lender *)user;
    l->borrowed++;
    l->ticket = ticket;
    if (l->how == GRANT_AT_ONCE) sykli_hook_done(l->s, ticket, 0, NULL);
    return l->how == REFUSE_AT_ONCE ? SYKLI_ECLOSED : 0;
}
static void take_back(void *user, uint64_t ticket)
{
    lender *l = (lender *)user;
    l->returned += ticket == l->ticket;
}
static void lend_pump(void *user)
{
    lender *l = (lender *)user;
    if (!l->borrowed || l->pumped++ != 2) return;
    if (l->how == GRANT_LATER) sykli_hook_done(l->s, l->ticket, 0, NULL);
    if (l->how == REFUSE_LATER) sykli_hook_done(l->s, l->ticket, SYKLI_ECLOSED, NULL);
    if (l->how == GO_AWAY) sykli_hooks_set(l->s, NULL);
    if (l->how == KILL_WAITING) sykli_task_kill(l->s, sykli_find(l->s, "a"));
}
static int lend_deadline(void *user) { return ((lender *)user)->pumped > 2 ? -1 : 1; }

static void borrowing(test *t, int how, int bad, int returned)
{
    place p;
    lender l = { .how = how };
    place_make(&p);
    l.s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(l.s);
    sykli_add(l.s, &(sykli_task_desc){ .name = "a", .command = "/bin/true" });
    sykli_hooks_set(l.s, &(sykli_hooks){ .user = &l, .slot_borrow = lend, .slot_return = take_back,
                                         .pump = lend_pump, .deadline_ms = lend_deadline });
    if (!run_all(t, l.s, bad)) goto out;
    CHECK_INT(l.borrowed, 1);
    CHECK_INT(l.returned, returned);
    CHECK_TEXT(sykli_status_names[status_of(l.s, "a")], bad ? "cancelled" : "passed");
out:
    sykli_close(l.s);
    place_end(t, &p);
}

static void a_worker_is_borrowed(test *t) { borrowing(t, GRANT_LATER, 0, 1); }
static void a_worker_is_not_to_be_had(test *t)
{
    borrowing(t, GRANT_AT_ONCE, 0, 1);
    borrowing(t, REFUSE_LATER, 0, 0); // the node is gone: the run goes on alone
    borrowing(t, REFUSE_AT_ONCE, 0, 0);
    borrowing(t, GO_AWAY, 0, 0);
    borrowing(t, KILL_WAITING, 1, 1);
}

// A launch that fails inside a run with hooks: the first waits for its worker, the second has none.
static void a_grant_may_come_from_an_event(void *user, const sykli_event *event)
{
    lender *l = (lender *)user;
    if (event->kind == SYKLI_EVENT_task_output) sykli_hook_done(l->s, l->ticket, 0, NULL);
}
static int lend_first_only(void *user, uint64_t ticket)
{
    lender *l = (lender *)user;
    l->ticket = ticket;
    return ++l->borrowed == 1 ? SYKLI_ECLOSED : 0; // the first goes without
}

static void a_grant_in_an_event_is_safe(test *t)
{
    place p;
    lender l = { .how = GRANT_LATER };
    place_make(&p);
    l.s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true, .keep_going = true,
        .on_event = a_grant_may_come_from_an_event, .on_event_user = &l });
    TRY_NOT_NULL(l.s);
    sykli_add(l.s, &(sykli_task_desc){ .name = "a", .command = "echo one; sleep 0.02; echo two" });
    sykli_add(l.s, &(sykli_task_desc){ .name = "b", .command = "true", .workdir = "nowhere" });
    sykli_hooks_set(l.s, &(sykli_hooks){ .user = &l, .slot_borrow = lend_first_only,
                                         .slot_return = take_back });
    // No memory for a job is no borrower, then nobody is asked for the other one.
    if (test_failing(t)) sykli_hooks_set(l.s, NULL);
    if (!run_all(t, l.s, 1)) goto out;
    CHECK_STATUS(l.s, "a", passed);
    CHECK_STATUS(l.s, "b", errored);
out:
    sykli_close(l.s);
    place_end(t, &p);
}

// ---- somebody else's loop -------------------------------------------------------------------
static void a_foreign_loop_drives_it(test *t)
{
    place p;
    heard h = { .size = 0 };
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true, .on_event = hear,
                                            .on_event_user = &h });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "echo one" });
    sykli_add(s, &(sykli_task_desc){ .name = "b", .command = "echo two" });
    TRY_IT(s, !sykli_start(s));
    int running = 1, rounds = 0;
    for (; running > 0 && rounds < 10000; rounds++) {
        sykli_poll_fd fds[16];
        struct pollfd theirs[16];
        int count = sykli_fds(s, fds, 16), due = sykli_deadline_ms(s);
        CHECK(count >= 1 && count <= 16);
        CHECK_INT(sykli_fds(s, NULL, 0), count);
        for (int i = 0; i < count; i++)
            theirs[i] = (struct pollfd){ fds[i].fd, fds[i].want & SYKLI_POLL_in ? POLLIN : 0, 0 };
        poll(theirs, (nfds_t)count, due);
        running = sykli_pump(s);
    }
    CHECK_INT(running, 0);
    CHECK(rounds < 1000); // it sleeps where it can
    if (t->injected) goto out;
    CHECK_STATUS(s, "a", passed);
    CHECK_STATUS(s, "b", passed);
    CHECK(strstr(h.text, "one\n") && strstr(h.text, "two\n"));
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_wakeup_ends_a_wait(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    for (int i = 0; i < 100000; i++) sykli_wakeup(s); // more than a pipe holds: it never blocks
    TRY_INT(sykli_poll(s, -1), 0);
    for (int i = 0; i < 200; i++) sykli_wakeup(s);
    TRY_INT(sykli_poll(s, -1), 0);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_query_is_printed(test *t)
{
    place p;
    char text[512] = "";
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    FILE *file = tmpfile();
    TRY_NOT_NULL(s);
    int rows = sykli_print(s, file, "SELECT name, state FROM nodes");
    TRY_IT(s, rows >= 0);
    CHECK_INT(rows, 1);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    CHECK(strstr(text, "name") && strstr(text, "here") && strstr(text, "alive"));
    CHECK(sykli_print(s, file, "SELECT nothing FROM nodes") < 0);
    if (!t->injected) CHECK(strstr(sykli_errmsg(s), "nothing"));
    CHECK_INT(sykli_error(s), 0); // a bad question does not stick
    // After an add that failed each call still tells of its own failure.
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "lacks" }).id);
    CHECK(sykli_print(s, file, "SELECT nothing FROM nodes") < 0);
    if (!t->injected) CHECK(strstr(sykli_errmsg(s), "nothing"));
    CHECK(sykli_run(s) < 0);
    if (!t->injected) CHECK(strstr(sykli_errmsg(s), "'lacks': give it a command"));
out:
    fclose(file);
    sykli_close(s);
    place_end(t, &p);
}

int main(int argc, char **argv)
{
    alarm(280); // a story that hangs is a failure too
    TEST_SOME(30, tables_know_the_run);
    TEST_SOME(30, every_table_can_be_asked);
    TEST_SOME(30, a_role_sees_and_does_its_share);
    TEST_SOME(30, own_tables_and_ops);
    TEST_STORY(an_audit_cuts_what_is_long);
    TEST_STORY(a_call_may_end_later);
    TEST_SOME(30, a_deadline_ends_a_request);
    TEST_SOME(30, output_is_watched_from_its_first_byte);
    TEST_SOME(20, slow_watchers_of_events_see_a_gap);
    TEST_SOME(30, a_blob_is_fetched_by_the_piece);
    TEST_STORY(a_worker_is_lent_and_returned);
    TEST_STORY(other_nodes_are_reached_by_a_hook);
    TEST_SOME(30, a_hit_comes_from_elsewhere);
    TEST_SOME(20, a_miss_comes_from_elsewhere);
    TEST_SOME(30, a_worker_is_borrowed);
    TEST_SOME(20, a_worker_is_not_to_be_had);
    TEST_SOME(30, a_grant_in_an_event_is_safe);
    TEST_SOME(30, a_foreign_loop_drives_it);
    TEST_SOME(10, a_wakeup_ends_a_wait);
    TEST_SOME(30, a_query_is_printed);
    return test_end(argc, argv);
}
