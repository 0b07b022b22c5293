// The library as a program that includes it sees it: graphs, runs, hits, failures and ends. Every
// story is told again with one call after the other failing; then it may end early, but with an
// error that says why, and never with something left behind or a result that is not true.
#define SYKLI_IMPLEMENTATION
#include "place.h"
#include <pthread.h>

// ---- opening --------------------------------------------------------------------------------
static int no_scan(void *user, sykli_emit *to) { (void)user, (void)to; return 0; }
static int no_handler(sykli_call *call) { (void)call; return 0; }

// A context that could not be opened answers every call with the error of opening.
static void poke(test *t, sykli *s, int code)
{
    sykli_task_info info;
    sykli_poll_fd fds[4];
    sykli_digest id = { { 1 } };
    const char *text = sykli_errmsg(s);
    static const sykli_column column[] = { { "a", SYKLI_KIND_U64, 0, SYKLI_ROLE_member, 0, 8, NULL,
                                             "a" } };
    CHECK(*text);
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "true" }).id);
    CHECK(!sykli_find(s, "a").id);
    CHECK(sykli_add_after(s, (sykli_task){ 1 }, (sykli_task){ 2 }) < 0);
    CHECK_INT(sykli_start(s), code);
    CHECK_INT(sykli_poll(s, -1), code);
    CHECK_INT(sykli_pump(s), code);
    CHECK_INT(sykli_run(s), code);
    CHECK(sykli_fds(s, fds, 4) >= 1);
    sykli_deadline_ms(s);
    sykli_wakeup(s);
    CHECK(sykli_run_cancel(s) < 0);
    CHECK(sykli_task_kill(s, (sykli_task){ 1 }) < 0);
    CHECK(sykli_task_get(s, (sykli_task){ 1 }, &info) < 0);
    CHECK_INT(sykli_workers_scale(s, 3), code);
    CHECK_INT(sykli_config_set(s, "workers", "3"), code);
    sykli_config_get(s, "workers");
    CHECK_INT(sykli_print(s, stdout, "SELECT name FROM tables"), code);
    CHECK_INT(sykli_table_add(s, &(sykli_table){ .name = "as", .help = "a", .columns = column,
        .column_count = 1, .row_size = 8, .scan = no_scan }), code);
    CHECK_INT(sykli_op_add(s, &(sykli_op){ .id = SYKLI_OP_OWN, .name = "a.b", .help = "a",
        .handler = no_handler }), code);
    CHECK(!sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_query,
                                                   .what = "SELECT name FROM tables" }).id);
    CHECK_INT(sykli_request_read(s, (sykli_handle){ 1 }, fds, 1), SYKLI_ESTALE);
    CHECK(!sykli_blob_have(s, &id, NULL));
    CHECK(!sykli_blob_begin(s, &id, 1));
    CHECK_INT(sykli_config_load(s, SYKLI_CONFIG_file, "{}"), code);
    sykli_hooks_set(s, NULL);
    CHECK_TEXT(sykli_errmsg(s), text);
}

static void opens_and_closes(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .log_max_bytes = 1 << 20 });
    TRY_NOT_NULL(s);
    if (sykli_error(s)) poke(t, s, sykli_error(s));
    TRY_IT(s, !sykli_error(s));
    CHECK_TEXT(sykli_errmsg(s), "");
    CHECK_TEXT(sykli_node_name(s), "here");
    CHECK_TEXT(sykli_config_get(s, "log.max_bytes"), "1048576");
    CHECK_INT(sykli_pump(s), 0);
    CHECK_INT(sykli_deadline_ms(s), -1);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_bad_desc_is_told(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .log_max_bytes = 7 });
    TRY_NOT_NULL(s);
    TRY_INT(sykli_error(s), SYKLI_EINVAL);
    TRY_TRUE(strstr(sykli_errmsg(s), "log.max_bytes"));
    if (!t->injected) poke(t, s, SYKLI_EINVAL);
    sykli_close(s);
    s = sykli_open(&(sykli_desc){ .sys = &t->sys, .node_name = "No Name" });
    TRY_NOT_NULL(s);
    TRY_TRUE(strstr(sykli_errmsg(s), "No Name"));
    if (!t->injected) poke(t, s, SYKLI_EINVAL);
    sykli_close(s);
    s = open_in(t, &p, (sykli_desc){ .workers_max = 4097 });
    TRY_NOT_NULL(s);
    TRY_INT(sykli_error(s), SYKLI_ELIMIT);
    TRY_TRUE(strstr(sykli_errmsg(s), "4096 as workers_max"));
    if (!t->injected) poke(t, s, SYKLI_ELIMIT);
    sykli_close(s);
    sykli_close(NULL);
    s = sykli_open(NULL);
    TRY_TRUE(s && !sykli_error(s));
out:
    sykli_close(s);
    place_end(t, &p);
}

// Without a home the cache is in the project: in /tmp anybody could have made it before us.
static void no_home_is_no_trouble(test *t)
{
    static const char *const names[] = { "HOME", "XDG_CACHE_HOME", "SYKLI_CACHE" };
    char *kept[3], text[256];
    place p;
    place_make(&p);
    put(&p, "in", "1");
    for (int i = 0; i < 3; i++) kept[i] = getenv(names[i]) ? strdup(getenv(names[i])) : NULL;
    setenv("HOME", "not/absolute", 1);
    setenv("XDG_CACHE_HOME", "nor/this", 1);
    unsetenv("SYKLI_CACHE");
    sykli *s = sykli_open(&(sykli_desc){ .sys = &t->sys, .project_dir = p.project });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "true", .inputs = { "in" } });
    if (!run_all(t, s, 0)) goto out;
    CHECK_TEXT(sykli_cache_note(s), "");
    CHECK(!strncmp(said(&p, ".sykli/cache/VERSION", text), "sykli store", 11));
out:
    sykli_close(s);
    for (int i = 0; i < 3; i++) {
        if (kept[i]) setenv(names[i], kept[i], 1);
        else unsetenv(names[i]);
        free(kept[i]);
    }
    place_end(t, &p);
}

// ---- graphs ---------------------------------------------------------------------------------
static void ten_lines_run(test *t)
{
    place p;
    sykli_task_info info;
    char text[256];
    place_make(&p);
    put(&p, "in", "hello");
    sykli *s = open_in(t, &p, (sykli_desc){ 0 });
    TRY_NOT_NULL(s);
    sykli_task lib = sykli_add(s, &(sykli_task_desc){ .name = "lib", .command = "cp in out",
        .inputs = { "in" }, .outputs = { { "o", "out" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "test", .command = "test -s out",
        .after = { lib }, .timeout_ms = 60000 });
    if (!run_all(t, s, 0)) goto out;
    CHECK_INT(sykli_task_get(s, lib, &info), 0);
    CHECK_TEXT(info.name, "lib");
    CHECK_TEXT(info.command, "cp in out");
    CHECK_TEXT(info.changed, "first run here");
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(info.attempt, 1);
    CHECK_INT(strlen(info.key), 64);
    CHECK_STATUS(s, "lib", passed);
    CHECK_STATUS(s, "test", passed);
    CHECK_TEXT(said(&p, "out", text), "hello");
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_failed_add_sticks(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, sykli_add(s, &(sykli_task_desc){ .name = "one", .command = "true" }).id);
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "one", .command = "false" }).id);
    if (!t->injected) {
        CHECK_INT(sykli_error(s), SYKLI_EEXIST);
        CHECK_TEXT(sykli_errmsg(s), "task 'one': the name is taken");
    }
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "two", .command = "true" }).id);
    CHECK(!sykli_find(s, "two").id);
    CHECK_INT(sykli_run(s), sykli_error(s));
    CHECK_INT(sykli_poll(s, -1), sykli_error(s));
    CHECK_INT(sykli_run_cancel(s), SYKLI_ENOENT);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void refuse(test *t, const place *p, sykli_task_desc desc, int code, const char *words)
{
    sykli *s = open_in(t, p, (sykli_desc){ .tasks_max = 2, .no_history = true });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "one", .command = "true" });
    CHECK(!sykli_add(s, &desc).id);
    TRY_INT(sykli_error(s), code);
    explain(t, s);
    TRY_TRUE(strstr(sykli_errmsg(s), words));
    TRY_INT(sykli_run(s), code);
out:
    sykli_close(s);
}

static void bad_tasks_are_refused(test *t)
{
    place p;
    char name[SYKLI_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    place_make(&p);
    refuse(t, &p, (sykli_task_desc){ .command = "true" }, SYKLI_EINVAL, "1 to 1024 bytes");
    refuse(t, &p, (sykli_task_desc){ .name = name, .command = "true" }, SYKLI_EINVAL, "not 1025");
    refuse(t, &p, (sykli_task_desc){ .name = "\xff", .command = "true" }, SYKLI_EINVAL, "UTF-8");
    refuse(t, &p, (sykli_task_desc){ .name = "two" }, SYKLI_EINVAL, "'two': give it a command");
    refuse(t, &p, (sykli_task_desc){ .name = "two", .command = "true", .after = { { 7 } } },
           SYKLI_ESTALE, "not of this context");
    const char *missing[] = { NULL };
    refuse(t, &p, (sykli_task_desc){ .name = "two", .command = "true", .input_list = missing,
                                     .input_count = 1 }, SYKLI_EINVAL, "task 'two'");
    sykli *s = open_in(t, &p, (sykli_desc){ .tasks_max = 1, .no_history = true });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "one", .command = "true" });
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "two", .command = "true" }).id);
    TRY_TRUE(strstr(sykli_errmsg(s), "raise tasks_max"));
    sykli_close(s);
    s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    CHECK(!sykli_add(s, NULL).id);
    TRY_INT(sykli_error(s), SYKLI_EINVAL);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void count_events(void *user, const sykli_event *event) { ((int *)user)[event->kind]++; }

static void a_cycle_is_named(test *t)
{
    place p;
    int events[SYKLI_EVENT_COUNT] = { 0 };
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true,
                                            .on_event = count_events, .on_event_user = events });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "root", .command = "true" });
    sykli_task a = sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "true" });
    sykli_task b = sykli_add(s, &(sykli_task_desc){ .name = "b", .command = "true",
                                                    .after = { a } });
    sykli_task c = sykli_add(s, &(sykli_task_desc){ .name = "c", .command = "true",
                                                    .after = { b } });
    sykli_add(s, &(sykli_task_desc){ .name = "behind", .command = "true", .after = { c } });
    TRY_IT(s, !sykli_add_after(s, a, c));
    int rc = sykli_run(s);
    CHECK(rc < 0);
    if (!t->injected) {
        CHECK_INT(rc, SYKLI_ECYCLE);
        const char *words = sykli_errmsg(s);
        CHECK(strstr(words, "a -> b -> c -> a") || strstr(words, "b -> c -> a -> b")
              || strstr(words, "c -> a -> b -> c"));
    }
    CHECK_INT(sykli_poll(s, -1), rc);
    CHECK_INT(sykli_run(s), rc);
    CHECK_INT(sykli_run_cancel(s), SYKLI_ENOENT);
    CHECK_INT(sykli_task_kill(s, a), SYKLI_ENOENT);
    CHECK_INT(events[SYKLI_EVENT_run_started] + events[SYKLI_EVENT_run_finished], 0);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_task_cannot_follow_itself(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    sykli_task a = sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "true" });
    TRY_INT(sykli_add_after(s, a, a), SYKLI_ECYCLE);
    TRY_TEXT(sykli_errmsg(s), "task 'a' comes after itself");
    TRY_INT(sykli_run(s), SYKLI_ECYCLE);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void handles_belong_to_a_context(test *t)
{
    place p;
    sykli_task_info info;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    sykli *other = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    TRY_NOT_NULL(other);
    sykli_task a = sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "true" });
    sykli_task b = sykli_add(other, &(sykli_task_desc){ .name = "b", .command = "true" });
    TRY_IT(s, a.id);
    TRY_IT(other, b.id);
    CHECK_INT(sykli_find(s, "a").id, a.id);
    CHECK_INT(sykli_task_get(other, a, &info), SYKLI_ESTALE);
    CHECK_INT(sykli_task_get(s, (sykli_task){ 0 }, &info), SYKLI_ESTALE);
    CHECK_INT(sykli_task_get(s, (sykli_task){ a.id + 1 }, &info), SYKLI_ESTALE);
    CHECK_INT(sykli_task_kill(other, a), SYKLI_ESTALE);
    CHECK_INT(sykli_add_after(other, b, a), SYKLI_ESTALE); // and it sticks
    CHECK_INT(sykli_run(other), SYKLI_ESTALE);
out:
    sykli_close(s);
    sykli_close(other);
    place_end(t, &p);
}

static void two_contexts_share_a_process(test *t)
{
    place p, q;
    char text[256];
    place_make(&p);
    place_make(&q);
    put(&p, "in", "one");
    put(&q, "in", "two");
    sykli *a = open_in(t, &p, (sykli_desc){ .no_history = true });
    sykli *b = open_in(t, &q, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(a);
    TRY_NOT_NULL(b);
    sykli_task_desc copy = { .name = "copy", .command = "cp in out", .inputs = { "in" },
                             .outputs = { { "o", "out" } } };
    sykli_add(a, &copy);
    sykli_add(b, &copy);
    TRY_IT(a, !sykli_start(a));
    TRY_IT(b, !sykli_start(b));
    for (int ends = 0; ends != 3;) {
        if (!(ends & 1) && sykli_poll(a, 2) <= 0) ends |= 1;
        if (!(ends & 2) && sykli_poll(b, 2) <= 0) ends |= 2;
    }
    if (t->injected) goto out;
    CHECK_STATUS(a, "copy", passed);
    CHECK_STATUS(b, "copy", passed);
    CHECK_TEXT(said(&p, "out", text), "one");
    CHECK_TEXT(said(&q, "out", text), "two");
out:
    sykli_close(a);
    sykli_close(b);
    place_end(t, &p);
    place_end(t, &q);
}

// Two runs in one folder: the second is told whose turn it is, and comes after it.
static void runs_in_one_folder_take_turns(test *t)
{
    place p;
    char words[64];
    place_make(&p);
    sykli_task_desc slow = { .name = "a", .command = "sleep 0.05" };
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true });
    sykli *other = open_in(t, &p, (sykli_desc){ .no_cache = true });
    TRY_NOT_NULL(s);
    TRY_NOT_NULL(other);
    sykli_add(s, &slow);
    sykli_add(other, &slow);
    TRY_IT(s, !sykli_start(s));
    int rc = sykli_start(other);
    if (!t->injected) {
        CHECK_INT(rc, SYKLI_EBUSY);
        CHECK_INT(sykli_error(other), 0); // it may try again
        snprintf(words, sizeof words, "process %d", (int)getpid());
        CHECK(strstr(sykli_errmsg(other), words));
    }
    while (sykli_poll(s, -1) > 0) {}
    sykli_close(s);
    s = NULL;
    if (run_all(t, other, 0)) CHECK_INT(sykli_run(other), SYKLI_EINVAL); // one run a context
out:
    sykli_close(s);
    sykli_close(other);
    place_end(t, &p);
}

// ---- the cache ------------------------------------------------------------------------------
static sykli *copying(test *t, const place *p)
{
    sykli *s = open_in(t, p, (sykli_desc){ 0 });
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "copy", .command = "cp in out",
        .inputs = { "in" }, .outputs = { { "o", "out" } } });
    return s;
}

static void a_second_run_hits(test *t)
{
    place p;
    char text[256];
    sykli_task_info info;
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = copying(t, &p);
    TRY_NOT_NULL(s);
    bool sound = run_all(t, s, 0);
    sykli_close(s);
    drop(&p, "out");
    s = copying(t, &p);
    TRY_NOT_NULL(s);
    int rc = sykli_run(s);
    // What failed may have cost the hit, but what is said of the task is true.
    if (rc == 0) CHECK_TEXT(said(&p, "out", text), "first");
    if (!sound || t->injected) goto out;
    CHECK_STATUS(s, "copy", cached);
    CHECK_INT(sykli_task_get(s, sykli_find(s, "copy"), &info), 0);
    CHECK_TEXT(info.from, "local");
    CHECK_TEXT(info.changed, "");
    CHECK_INT(info.attempt, 0);
out:
    sykli_close(s);
    place_end(t, &p);
}

// A path among the inputs that is not there is told; a pattern that finds nothing may mean it.
static void an_absent_input_is_told(test *t)
{
    static heard h;
    place p;
    place_make(&p);
    put(&p, "in", "first");
    for (int turn = 0; turn < 3; turn++) { // at first, up to date, then there
        bool there = turn == 2;
        memset(&h, 0, sizeof h);
        sykli *s = open_in(t, &p, (sykli_desc){ .on_event = hear, .on_event_user = &h });
        TRY_NOT_NULL(s);
        sykli_add(s, &(sykli_task_desc){ .name = "t", .command = "true",
            .inputs = { "in", "./inn", "gone/*.c" } });
        bool sound = run_all(t, s, 0);
        sykli_close(s);
        if (!sound || t->injected) break;
        CHECK_INT(h.count[SYKLI_EVENT_note], !there);
        CHECK(there || strstr(h.text, "the input inn is not there"));
        CHECK_INT(h.count[SYKLI_EVENT_task_finished], 1);
        if (turn) put(&p, "inn", "second");
    }
out:
    place_end(t, &p);
}

static sykli *talking(test *t, const place *p, heard *h, bool replay)
{
    memset(h, 0, sizeof *h);
    sykli *s = open_in(t, p, (sykli_desc){ .replay_logs = replay, .on_event = hear,
                                           .on_event_user = h });
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "talk", .inputs = { "in" },
        .command = "echo one; echo two" });
    return s;
}

static void a_hit_shows_what_its_task_printed(test *t)
{
    static heard h;
    place p;
    char text[64] = "";
    sykli_digest id;
    sykli_task_info info = { 0 };
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = talking(t, &p, &h, false);
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    for (int replay = 0; replay < 2; replay++) {
        sykli_close(s);
        s = talking(t, &p, &h, replay);
        TRY_NOT_NULL(s);
        if (!run_all(t, s, 0)) goto out;
        CHECK_STATUS(s, "talk", cached);
        CHECK_INT(sykli_task_get(s, sykli_find(s, "talk"), &info), 0);
        CHECK_TEXT(h.text, replay ? "one\ntwo\n\n" : "\n");
        CHECK_INT(*info.log_path != 0, replay);
        CHECK_INT(sykli_unhex(id.bytes, 32, info.log_id, 64), 0);
        TRY_IT(s, !sykli_blob_verify(s, &id));
        TRY_IT(s, sykli_blob_read(s, &id, 0, text, sizeof text) == 8);
        CHECK_TEXT(text, "one\ntwo\n");
    }
    memset(&id, 1, sizeof id);
    CHECK(sykli_blob_verify(s, &id) == SYKLI_ENOENT || t->injected);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_changed_input_misses(test *t)
{
    place p;
    char text[256];
    sykli_task_info info;
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = copying(t, &p);
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    sykli_close(s);
    put(&p, "in", "second");
    s = copying(t, &p);
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "copy", passed);
    CHECK_INT(sykli_task_get(s, sykli_find(s, "copy"), &info), 0);
    CHECK_TEXT(info.changed, "input in changed");
    CHECK_TEXT(said(&p, "out", text), "second");
    sykli_close(s);
    put(&p, "in", "first"); // back again: the old result is still there
    s = copying(t, &p);
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "copy", cached);
    CHECK_TEXT(said(&p, "out", text), "first");
out:
    sykli_close(s);
    place_end(t, &p);
}

// A result is not good enough while a file `trial` is there.
static bool no_hit_of_a_trial(void *user, const sykli_attempt *attempt)
{
    char text[256];
    return !attempt->restored || !*said(user, "trial", text);
}

// A task that runs `how` when it has read its input, as somebody might who saves a file meanwhile.
static sykli *meddled(test *t, place *p, const char *how)
{
    sykli *s = open_in(t, p, (sykli_desc){ 0 });
    put(p, "how", how);
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "copy", .command = "cp in out && sh how",
        .inputs = { "in", "more*" }, .outputs = { { "o", "out" } },
        .accept = no_hit_of_a_trial, .accept_user = p });
    return s;
}

// Runs that task with `in` as it was at first.     returns  whether to go on
static bool meddle_with(test *t, place *p, const char *how, const char *status, const char *why)
{
    put(p, "in", "first");
    sykli *s = meddled(t, p, how);
    bool whole = s && run_all(t, s, 0);
    if (whole) CHECK_TEXT(sykli_status_names[status_of(s, "copy")], status);
    if (whole) CHECK_TEXT(reason_of(s, "copy"), why);
    sykli_close(s);
    return whole;
}

static void what_changes_meanwhile_is_not_kept(test *t)
{
    static const char told[] = "in changed while it ran: its result is not kept";
    place p;
    place_make(&p);
    bool whole = meddle_with(t, &p, "printf second >in; printf second >out", "passed", told)
              && meddle_with(t, &p, "rm in", "passed", told)
              && meddle_with(t, &p, "chmod +x in", "passed", told);
    drop(&p, "in");
    if (!whole || !meddle_with(t, &p, "cp in same; mv same in; touch more", "passed", "")) goto out;
    drop(&p, "more");
    if (!meddle_with(t, &p, "", "cached", "")) goto out;
    // A key that was known without reading anything is looked at as well.
    put(&p, "trial", "1");
    meddle_with(t, &p, "printf second >in; printf second >out", "passed", told);
out:
    place_end(t, &p);
}

// What `explain` says of a task.      returns  whether it could
static bool explained(sykli *s, const char *name, char out[2048])
{
    sykli_buf text;
    sykli_buf_init(&text, sykli_memory(s), SYKLI_TAG_host);
    int rc = sykli_explain(s, sykli_find(s, name), &text);
    snprintf(out, 2048, "%s", rc ? "" : (const char *)text.data);
    sykli_buf_free(&text);
    return !rc;
}

typedef struct meddling {
    place *p;
    const char *content; // NULL: nothing is changed
    sykli *explains;     // asks for `known` then, whose key has the file too; NULL: nobody asks
} meddling;

// `meddle` has ended: the file is changed while `use` waits for its worker.
static bool meddle_late(void *user, const sykli_attempt *attempt)
{
    const meddling *m = (const meddling *)user;
    char text[2048];
    if (m->content && !attempt->restored) put(m->p, "mid", m->content);
    return !m->explains || explained(m->explains, "known", text);
}

// `make` makes a file, `known` has it in its key, `meddle` changes it, and `use` copies it, from
// where it stands or from where it was taken to. Unless `ordered`, the key of `use` is made before
// that.
static sykli *handing_on(test *t, meddling *m, bool taken, bool ordered)
{
    sykli *s = open_in(t, m->p, (sykli_desc){ .workers_max = 1 });
    char how[64] = "true";
    if (!s) return s;
    if (m->content && ordered) snprintf(how, sizeof how, "printf %s >mid", m->content);
    sykli_task make = sykli_add(s, &(sykli_task_desc){ .name = "make", .command = "cp in mid",
        .inputs = { "in" }, .outputs = { { "m", "mid" } } });
    sykli_task known = sykli_add(s, &(sykli_task_desc){ .name = "known", .command = "true",
        .inputs = { "in" }, .after = { make } });
    sykli_task meddle = sykli_add(s, &(sykli_task_desc){ .name = "meddle", .command = how,
        .after = { known }, .accept = ordered ? NULL : meddle_late, .accept_user = m });
    sykli_task use = sykli_add(s, &(sykli_task_desc){ .name = "use",
        .command = taken ? "cp got out" : "cp mid out", .inputs = { "in" },
        .outputs = { { "o", "out" } }, .after = { make, ordered ? meddle : known } });
    if (taken) sykli_add_intake(s, use, &(sykli_intake){ make, "m", "got" });
    return s;
}

// Runs that.      returns  whether to go on
static bool hand_on(test *t, place *p, const char *content, bool taken, bool ordered,
                    const char *status, const char *why)
{
    char text[256];
    meddling m = { p, content, NULL };
    sykli *s = handing_on(t, &m, taken, ordered);
    bool whole = s && run_all(t, s, 0);
    if (whole) {
        CHECK_TEXT(sykli_status_names[status_of(s, "use")], status);
        CHECK_TEXT(reason_of(s, "use"), why);
        CHECK_TEXT(said(p, "out", text), content ? content : "first");
    }
    sykli_close(s);
    return whole;
}

static const char spoilt[] = "mid changed before it ran: its result is not kept";

// A file that another task made is as good as an input: what became of it after it was put into the
// key is not what the key says.
static void what_changes_on_the_way_is_not_kept(test *t)
{
    place p;
    place_make(&p);
    put(&p, "in", "first");
    if (hand_on(t, &p, "second", false, false, "passed", spoilt)) drop(&p, "mid");
    if (!t->injected) hand_on(t, &p, NULL, false, false, "passed", "");
    place_end(t, &p);
}

// The same with a copy of the file; and a key has the file as whoever came before has left it, also
// when it was known before.
static void what_changes_on_the_way_is_no_hit(test *t)
{
    place p;
    place_make(&p);
    put(&p, "in", "first");
    for (int taken = 0; taken < 2; taken++) {
        const char *second = taken ? "2nd" : "second";
        if (!hand_on(t, &p, second, taken, false, "passed", spoilt)) goto out;
        drop(&p, "mid"); // comes back from the cache
        if (!hand_on(t, &p, NULL, taken, false, "passed", "")) goto out;
        if (!hand_on(t, &p, NULL, taken, false, "cached", "")) goto out;
        drop(&p, "mid");
        if (!hand_on(t, &p, second, taken, true, "passed", "")) goto out;
        drop(&p, "mid");
        if (!hand_on(t, &p, second, taken, true, "cached", "")) goto out;
        drop(&p, "mid");
        if (!hand_on(t, &p, NULL, taken, true, "cached", "")) goto out;
    }
out:
    place_end(t, &p);
}

static void a_run_is_explained_before_it_starts(test *t)
{
    place p;
    char text[2048];
    sykli_task_info info;
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = copying(t, &p);
    TRY_NOT_NULL(s);
    if (!explained(s, "copy", text)) {
        // What went wrong in the middle cannot be done again: neither leaked nor half believed.
        CHECK(*sykli_errmsg(s));
        if (sykli_error(s)) CHECK(!explained(s, "copy", text));
    }
    if (!run_all(t, s, 0)) goto out;
    CHECK(strstr(text, "\"cacheable\":true,\"hit\":false"));
    CHECK_INT(sykli_task_get(s, sykli_find(s, "copy"), &info), 0);
    CHECK(strstr(text, info.key)); // the key that it had in the run
    TRY_IT(s, explained(s, "copy", text));
    if (!t->injected) CHECK(strstr(text, "\"hit\":true"));
    CHECK(strstr(text, info.key));
out:
    sykli_close(s);
    place_end(t, &p);
}

// Somebody else looked at the file after it had changed: it is still not what was in the key.
static void what_others_have_seen_change_is_not_kept(test *t)
{
    place p;
    meddling m = { &p, "second", NULL };
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = m.explains = handing_on(t, &m, false, false);
    if (s && run_all(t, s, 0))
        CHECK_TEXT(reason_of(s, "use"), "what 'make' made changed before it ran: its result is "
                                        "not kept");
    sykli_close(s);
    place_end(t, &p);
}

// What a task makes is looked at before it runs: that is not what the next one gets.
static void what_was_explained_before_is_no_hit(test *t)
{
    place p;
    char text[2048];
    meddling m = { &p, NULL, NULL };
    place_make(&p);
    put(&p, "in", "first");
    if (!hand_on(t, &p, NULL, false, true, "passed", "")) goto out;
    for (int i = 0; i < 2; i++) { // nor a later run what the memo has of it
        put(&p, "in", "second");
        sykli *s = handing_on(t, &m, false, true);
        bool whole = s && (i || explained(s, "use", text)) && run_all(t, s, 0);
        if (whole) CHECK_TEXT(said(&p, "out", text), "second");
        sykli_close(s);
        if (!whole) break;
    }
out:
    place_end(t, &p);
}

static void what_is_explained_stays_as_it_is(test *t)
{
    place p;
    char text[2048];
    place_make(&p);
    put(&p, "in", "first");
    sykli *s = copying(t, &p);
    TRY_NOT_NULL(s);
    TRY_TRUE(explained(s, "copy", text));
    CHECK(!sykli_add(s, &(sykli_task_desc){ .name = "more", .command = "true" }).id);
    TRY_INT(sykli_error(s), SYKLI_EINVAL);
    TRY_TRUE(strstr(sykli_errmsg(s), "'more'"));
    CHECK(!explained(s, "copy", text));
    CHECK(!explained(s, "more", text));
    TRY_INT(sykli_run(s), SYKLI_EINVAL);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Runs one task twice in contexts of their own: neither time it is a hit.
static void never_cached(test *t, sykli_task_desc desc, sykli_status wanted, const char *why)
{
    place p;
    sykli_task_info info;
    place_make(&p);
    put(&p, "in", "x");
    for (int round = 0; round < 2; round++) {
        sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
        if (!s) break;
        sykli_task task = sykli_add(s, &desc);
        int rc = sykli_run(s);
        CHECK(rc); // no failure of the machine makes a bad task good
        if (!t->injected) {
            CHECK_INT(rc, 1);
            CHECK_INT(sykli_task_get(s, task, &info), 0);
            CHECK_TEXT(sykli_status_names[info.status], sykli_status_names[wanted]);
            CHECK_TEXT(info.reason, why);
        }
        FILE *nowhere = fopen("/dev/null", "w");
        rc = sykli_print(s, nowhere, "SELECT key FROM actions");
        if (!t->injected) CHECK_INT(rc, 0);
        fclose(nowhere);
        sykli_close(s);
    }
    place_end(t, &p);
}

static void a_missing_output_is_a_failure(test *t)
{
    never_cached(t, (sykli_task_desc){ .name = "a", .command = "true in", .inputs = { "in" },
                                       .outputs = { { "o", "never" } } },
                 SYKLI_STATUS_failed, "output 'o' was not made: never");
}

static void a_failure_is_never_cached(test *t)
{
    never_cached(t, (sykli_task_desc){ .name = "a", .command = "cp in out; exit 3",
                                       .inputs = { "in" }, .outputs = { { "o", "out" } } },
                 SYKLI_STATUS_failed, "exit code 3");
}

static void a_lost_cache_costs_no_build(test *t)
{
    place p;
    char command[256];
    place_make(&p);
    put(&p, "in", "x");
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    snprintf(command, sizeof command, "cp in out; rm -rf %s", p.cache);
    sykli_add(s, &(sykli_task_desc){ .name = "a", .command = command, .inputs = { "in" },
                                     .outputs = { { "o", "out" } } });
    if (!run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "a", passed);
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- environment and secrets ----------------------------------------------------------------
static bool file_has(const char *path, const char *word)
{
    char text[4096];
    FILE *f = fopen(path, "r");
    if (!f) return false;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return strstr(text, word) != NULL;
}

static void secrets_stay_secret(test *t)
{
    place p;
    heard h = { .size = 0 };
    sykli_task_info info;
    place_make(&p);
    setenv("STORY_SECRET", "hunter2-hunter2", 1);
    unsetenv("STORY_ABSENT");
    sykli *s = open_in(t, &p, (sykli_desc){ .on_event = hear, .on_event_user = &h,
                                            .keep_going = true, .workers_max = 1 });
    TRY_NOT_NULL(s);
    sykli_task with = sykli_add(s, &(sykli_task_desc){ .name = "with",
        .command = "echo got $STORY_SECRET $PLAIN; test $STORY_SECRET = hunter2-hunter2",
        .env = { { "PLAIN", "spoken" } }, .secrets = { "STORY_SECRET" } });
    sykli_add(s, &(sykli_task_desc){ .name = "without", .command = "test -z \"$STORY_SECRET\"" });
    sykli_add(s, &(sykli_task_desc){ .name = "absent", .command = "true",
                                     .secrets = { "STORY_ABSENT" } });
    bool sound = run_all(t, s, 1);
    CHECK(!strstr(h.text, "hunter2"));
    if (!sykli_task_get(s, with, &info) && *info.log_path)
        CHECK(!file_has(info.log_path, "hunter2"));
    if (!sound) goto out;
    CHECK_STATUS(s, "with", passed);
    CHECK_STATUS(s, "without", passed);
    CHECK_STATUS(s, "absent", errored);
    CHECK_TEXT(reason_of(s, "absent"), "task requires secrets: STORY_ABSENT is not set");
    CHECK(strstr(h.text, "spoken"));
    CHECK_INT(sykli_task_get(s, with, &info), 0);
    CHECK(file_has(info.log_path, "spoken"));
out:
    sykli_close(s);
    unsetenv("STORY_SECRET");
    place_end(t, &p);
}

// Looks at every block of memory that is given back, or left because it has grown elsewhere.
static int traces; // of the secret in any spelling
static void *looking_resize(void *user, void *ptr, size_t old, size_t fresh, int tag)
{
    static const char *const spellings[] = { "hunter2-", "68756e7465", "68756E7465", "aHVudGVy" };
    char *moved = NULL;
    if (fresh > old && !(moved = test_resize(user, NULL, 0, fresh, tag))) return NULL;
    if (moved && old) memcpy(moved, ptr, old);
    for (const char *at = ptr, *end = at + old; fresh != old && at + 10 < end; at++)
        for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
            if (*at == *spellings[i] && !memcmp(at, spellings[i], strlen(spellings[i]))) traces++;
    if (fresh && fresh <= old) return test_resize(user, ptr, old, fresh, tag);
    if (old) test_resize(user, ptr, old, 0, tag);
    return moved;
}

static void no_secret_is_left_in_memory(test *t)
{
    place p;
    place_make(&p);
    traces = 0;
    t->sys.resize = looking_resize;
    setenv("STORY_SECRET", "hunter2-hunter2\nhunter2-in-a-second-line", 1);
    sykli *s = open_in(t, &p, (sykli_desc){ .keep_going = true, .workers_max = 1 });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "env", .secrets = { "STORY_SECRET" },
        .command = "for i in 1 2 3 4 5 6 7 8; do echo \"$STORY_SECRET\"; done; echo hunter" });
    const sykli_secret given[] = { { "OTHER", "hunter2-too", "vault a", NULL } };
    sykli_add(s, &(sykli_task_desc){ .name = "given", .command = "echo $OTHER; printf hunter2",
                                     .given_list = given, .given_count = 1 });
    if (!run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "env", passed);
    CHECK_STATUS(s, "given", passed);
out:
    sykli_close(s);
    unsetenv("STORY_SECRET");
    CHECK_INT(traces, 0);
    place_end(t, &p);
}

// ---- what is restored -----------------------------------------------------------------------
static void large_results_are_held_for_longer(test *t)
{
    sykli__store_output outputs[2] = { { .size_bytes = 100 }, { .size_bytes = 0 } };
    const sykli__store_entry entry = { .outputs = outputs, .output_count = 2 };
    CHECK(sykli__drive_hold_ms(&entry) == 60000);
    outputs[1].size_bytes = UINT64_C(40) << 30;
    CHECK(sykli__drive_hold_ms(&entry) == 60000 + 10240 * 1000);
    outputs[1].size_bytes = UINT64_MAX;
    CHECK(sykli__drive_hold_ms(&entry) == 60000 + 86400 * 1000);
}

// ---- how tasks end --------------------------------------------------------------------------
static void a_timeout_ends_the_stubborn(test *t)
{
    place p;
    sykli_task_info info;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    TRY_IT(s, sykli_config_set(s, "kill.grace", "30ms") >= 0);
    sykli_task task = sykli_add(s, &(sykli_task_desc){ .name = "slow", .timeout_ms = 40,
        .command = "trap '' TERM; while :; do sleep 5; done" });
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "slow", errored);
    CHECK_TEXT(reason_of(s, "slow"), "timeout after 40ms");
    CHECK_INT(sykli_task_get(s, task, &info), 0);
    CHECK_INT(info.signal, 9);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Silence is what counts, not time: the talker takes longer than the other may be silent.
static void a_silent_task_is_ended(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "silent", .stall_ms = 60, .command = "sleep 20" });
    sykli_add(s, &(sykli_task_desc){ .name = "talker", .stall_ms = 4000,
        .command = "for i in 1 2 3; do sleep 0.05; echo $i; done" });
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "silent", errored);
    CHECK_STATUS(s, "talker", passed);
    CHECK_TEXT(reason_of(s, "silent"), "stalled: no output for 60ms");
out:
    sykli_close(s);
    place_end(t, &p);
}

// A limit of the task goes before the one of the run, in both directions.
static void a_task_may_have_few_processes(test *t)
{
    place p;
    place_make(&p);
    const char *crowd = "for i in 1 2 3 4 5 6; do sleep 20 & all=\"$all $!\"; done; sleep 0.3; "
                        "kill $all";
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true,
                                            .keep_going = true });
    TRY_NOT_NULL(s);
    TRY(sykli_config_set(s, "run.processes", "3"));
    sykli_add(s, &(sykli_task_desc){ .name = "few", .command = crowd, .processes_max = 4 });
    sykli_add(s, &(sykli_task_desc){ .name = "many", .command = crowd, .processes_max = 40 });
    sykli_add(s, &(sykli_task_desc){ .name = "usual", .command = crowd });
    if (!run_all(t, s, 2)) goto out;
    CHECK_STATUS(s, "few", errored);
    CHECK_TEXT(reason_of(s, "few"), "more than 4 processes at once (processes)");
    CHECK_STATUS(s, "many", passed);
    CHECK_TEXT(reason_of(s, "usual"), "more than 3 processes at once (run.processes)");
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_task_may_have_a_terminal(test *t)
{
    place p;
    heard h = { .size = 0 };
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true, .keep_going = true,
                                            .on_event = hear, .on_event_user = &h });
    TRY_NOT_NULL(s);
    TRY_IT(s, sykli_config_set(s, "run.pty", "nothing,by*") >= 0);
    sykli_add(s, &(sykli_task_desc){ .name = "asked", .pty = true,
        .command = "test -t 1 && test -t 2 && echo tty; echo word >&2; (: </dev/tty) 2>&1" });
    sykli_add(s, &(sykli_task_desc){ .name = "by-name", .command = "test -t 2" });
    sykli_add(s, &(sykli_task_desc){ .name = "other", .command = "! test -t 1" });
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "by-name", passed);
    CHECK_STATUS(s, "other", passed);
    CHECK_STATUS(s, "asked", failed); // there is nobody to ask a question
    CHECK(strstr(h.text, "tty") && strstr(h.text, "word"));
out:
    sykli_close(s);
    place_end(t, &p);
}

// The first task takes both tokens for others and keeps them; the second, when nobody can have one
// any more, finds them again.
static void tokens_come_back(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true, .workers_max = 3,
                                            .jobserver = SYKLI_JOBSERVER_fifo });
    TRY_NOT_NULL(s);
    unsetenv("MAKEFLAGS");
    static const char *const take = "f=${MAKEFLAGS##*fifo:}; test -p \"$f\" || exit 3; "
        "test \"$(dd if=\"$f\" bs=1 count=2 2>/dev/null)\" = ++";
    sykli_task first = sykli_add(s, &(sykli_task_desc){ .name = "first", .command = take,
                                                        .timeout_ms = 5000 });
    sykli_add(s, &(sykli_task_desc){ .name = "second", .command = take, .timeout_ms = 5000,
                                     .after = { first } });
    if (t->injected || !run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "second", passed);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Where a make around us lends its workers, no more than it allows run, and it gets them all back.
static void a_make_around_lends_workers(test *t)
{
    place p;
    char path[200], flags[300], bytes[8];
    int fd = -1;
    place_make(&p);
    snprintf(path, sizeof path, "%s/tokens", p.project);
    snprintf(flags, sizeof flags, " -j2 --jobserver-auth=fifo:%s", path);
    CHECK(!mkfifo(path, 0600));
    if ((fd = open(path, O_RDWR | O_NONBLOCK)) >= 0) CHECK_INT(write(fd, "z", 1), 1);
    setenv("MAKEFLAGS", flags, 1);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true, .workers_max = 8,
                                            .jobserver = SYKLI_JOBSERVER_pipe });
    TRY_NOT_NULL(s);
    for (int i = 0; i < 5; i++) {
        char name[] = { 't', (char)('0' + i), 0 };
        sykli_add(s, &(sykli_task_desc){ .name = name, .command =
            "mkdir a || mkdir b || exit 1; sleep 0.02; rmdir b 2>/dev/null || rmdir a" });
    }
    if (!run_all(t, s, 0)) goto out;
out:
    sykli_close(s);
    if (fd >= 0 && !t->injected) CHECK(read(fd, bytes, sizeof bytes) == 1 && bytes[0] == 'z');
    if (fd >= 0) close(fd);
    unsetenv("MAKEFLAGS");
    place_end(t, &p);
}

// A flood: the log has its beginning and its end, the figures are told.
static void a_flood_is_cut_in_the_middle(test *t)
{
    place p;
    sykli_task_info info;
    static char text[40000];
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true, .log_max_bytes = 4096,
                                            .last_lines = true });
    TRY_NOT_NULL(s);
    sykli_task task = sykli_add(s, &(sykli_task_desc){ .name = "flood",
        .command = "yes 0123456789abcde | head -n 100000; echo the end" });
    if (!run_all(t, s, 0)) goto out;
    CHECK_INT(sykli_task_get(s, task, &info), 0);
    CHECK(info.rss_max_bytes > 100000);
    FILE *file = info.log_path ? fopen(info.log_path, "r") : NULL;
    if (!file) goto out;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *cut = strstr(text, "\n[sykli: log cut at 4096 bytes, ");
    CHECK(cut && cut - text == 4096);
    if (cut && !t->injected) {
        unsigned long long dropped = strtoull(cut + 32, NULL, 10);
        const char *rest = strchr(cut + 1, '\n') + 1;
        CHECK_INT(4096 + dropped + strlen(rest), 1600000 + 8);
        CHECK(size < 4096 + 33000 && strstr(rest, "the end\n"));
    }
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_retry_may_pass(test *t)
{
    place p;
    heard h = { .size = 0 };
    sykli_task_info info;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_cache = true, .on_event = hear,
                                            .on_event_user = &h });
    TRY_NOT_NULL(s);
    sykli_task task = sykli_add(s, &(sykli_task_desc){ .name = "flaky", .retries = 1,
        .command = "echo try; test -e flag || { : >flag; exit 1; }" });
    if (!run_all(t, s, 0)) goto out;
    CHECK_INT(sykli_task_get(s, task, &info), 0);
    CHECK_INT(info.attempt, 2);
    CHECK_INT(info.exit_code, 0);
    CHECK_INT(h.count[SYKLI_EVENT_task_retry], 1);
    CHECK_INT(h.count[SYKLI_EVENT_task_started], 2);
    CHECK_INT(h.count[SYKLI_EVENT_task_output], 2);
    CHECK(file_has(info.log_path, "try\ntry\n")); // the second attempt goes on behind the first
out:
    sykli_close(s);
    place_end(t, &p);
}

static void programs_that_are_not_there(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true,
                                            .keep_going = true });
    TRY_NOT_NULL(s);
    sykli_task gone = sykli_add(s, &(sykli_task_desc){ .name = "gone", .command = "no-such-one" });
    sykli_task folder = sykli_add(s, &(sykli_task_desc){ .name = "folder", .command = "./" });
    sykli_add(s, &(sykli_task_desc){ .name = "lost", .command = "true", .workdir = "nowhere" });
    if (!run_all(t, s, 3)) goto out;
    sykli_task_info info;
    CHECK_INT(sykli_task_get(s, gone, &info), 0);
    CHECK_INT(info.exit_code, 127);
    CHECK_INT(info.status, SYKLI_STATUS_failed);
    CHECK_INT(sykli_task_get(s, folder, &info), 0);
    CHECK_INT(info.exit_code, 126);
    CHECK_STATUS(s, "lost", errored);
    CHECK(strstr(reason_of(s, "lost"), "nowhere"));
out:
    sykli_close(s);
    place_end(t, &p);
}

// Ends a task or the run from inside its own event.
static void kill_it(void *user, const sykli_event *event)
{
    heard *h = (heard *)user;
    if (event->kind == SYKLI_EVENT_task_started) sykli_task_kill(h->s, event->task);
}

static void cancel_it(void *user, const sykli_event *event)
{
    heard *h = (heard *)user;
    if (event->kind == SYKLI_EVENT_task_started) sykli_run_cancel(h->s);
}

static void ends(test *t, void (*how)(void *user, const sykli_event *event), int bad,
                 const char *why, const char *why_behind)
{
    place p;
    heard h = { .size = 0 };
    place_make(&p);
    h.s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true, .on_event = how,
                                       .on_event_user = &h, .keep_going = true });
    TRY_NOT_NULL(h.s);
    TRY_IT(h.s, sykli_config_set(h.s, "kill.grace", "50ms") >= 0);
    sykli_task long_one = sykli_add(h.s, &(sykli_task_desc){ .name = "long",
                                                             .command = "sleep 20" });
    sykli_add(h.s, &(sykli_task_desc){ .name = "behind", .command = "true",
                                       .after = { long_one } });
    if (!run_all(t, h.s, bad)) goto out;
    CHECK_STATUS(h.s, "long", cancelled);
    CHECK_TEXT(reason_of(h.s, "long"), why);
    CHECK_TEXT(reason_of(h.s, "behind"), why_behind);
    CHECK_INT(sykli_run_cancel(h.s), SYKLI_ENOENT);
    CHECK_INT(sykli_task_kill(h.s, long_one), SYKLI_ENOENT);
out:
    sykli_close(h.s);
    place_end(t, &p);
}

static void a_task_is_killed(test *t)
{
    ends(t, kill_it, 2, "killed", "needs 'long', which did not pass");
}

static void a_run_is_cancelled(test *t)
{
    ends(t, cancel_it, 2, "the run was cancelled", "the run was cancelled");
}

// Each of two tasks waits for the other, so one worker is not enough.
static void scale_it(void *user, const sykli_event *event)
{
    heard *h = (heard *)user;
    if (event->kind == SYKLI_EVENT_task_started) sykli_workers_scale(h->s, 2);
}

static void workers_scale_during_a_run(test *t)
{
    place p;
    heard h = { .size = 0 };
    uint32_t busy, total;
    place_make(&p);
    h.s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true, .workers_max = 1,
                                       .on_event = scale_it, .on_event_user = &h });
    TRY_NOT_NULL(h.s);
    TRY_IT(h.s, sykli_config_set(h.s, "kill.grace", "50ms") >= 0);
    // The one that fails to be scaled up for gives up by its timeout.
    sykli_add(h.s, &(sykli_task_desc){ .name = "a", .timeout_ms = test_failing(t) ? 300 : 20000,
        .command = ": >a; until test -e b; do sleep 0.01; done" });
    sykli_add(h.s, &(sykli_task_desc){ .name = "b", .timeout_ms = test_failing(t) ? 300 : 20000,
        .command = ": >b; until test -e a; do sleep 0.01; done" });
    if (!run_all(t, h.s, 0)) goto out;
    sykli_workers(h.s, &busy, &total);
    CHECK_INT(busy, 0);
    CHECK_INT(total, 2);
    CHECK_INT(sykli_workers_scale(h.s, 0), SYKLI_EINVAL);
    CHECK_INT(sykli_workers_scale(h.s, 4097), SYKLI_EINVAL);
out:
    sykli_close(h.s);
    place_end(t, &p);
}

static void failing(test *t, bool keep_going, int bad, const char *other, const char *why)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true, .workers_max = 1,
                                            .keep_going = keep_going });
    TRY_NOT_NULL(s);
    sykli_task first = sykli_add(s, &(sykli_task_desc){ .name = "bad", .command = "false" });
    sykli_task next = sykli_add(s, &(sykli_task_desc){ .name = "next", .command = "/bin/true",
                                                       .after = { first } });
    sykli_add(s, &(sykli_task_desc){ .name = "last", .command = "/bin/true", .after = { next } });
    sykli_add(s, &(sykli_task_desc){ .name = "other", .command = "/bin/true" });
    sykli_add(s, &(sykli_task_desc){ .name = "left out", .skip_reason = "not on this branch" });
    if (!run_all(t, s, bad)) goto out;
    CHECK_STATUS(s, "bad", failed);
    CHECK_STATUS(s, "next", blocked);
    CHECK_STATUS(s, "last", blocked);
    CHECK_STATUS(s, "left out", skipped);
    CHECK_TEXT(reason_of(s, "bad"), "exit code 1");
    CHECK_TEXT(reason_of(s, "next"), "needs 'bad', which did not pass");
    CHECK_TEXT(reason_of(s, "last"), "needs 'bad', which did not pass");
    CHECK_TEXT(reason_of(s, "left out"), "not on this branch");
    CHECK_TEXT(sykli_status_names[status_of(s, "other")], other);
    CHECK_TEXT(reason_of(s, "other"), why);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_failure_ends_the_run(test *t)
{
    failing(t, false, 4, "blocked", "'bad' failed first");
}
static void a_failure_blocks_what_follows(test *t) { failing(t, true, 3, "passed", ""); }

// Closing in the midst of a run ends what runs, also what has left its session.
static void a_close_ends_what_runs(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "sleep 20" });
    sykli_add(s, &(sykli_task_desc){ .name = "b",
                                     .command = "echo $$ >pid; trap '' TERM; sleep 20 & wait" });
    TRY_IT(s, !sykli_start(s));
    for (int i = 0; i < 3; i++) sykli_poll(s, 5);
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- paths ----------------------------------------------------------------------------------
static void escape(test *t, sykli_task_desc desc, const char *words)
{
    place p;
    char text[256], mark[160];
    place_make(&p);
    put(&p, "in", "x");
    snprintf(mark, sizeof mark, "%s/link", p.project);
    if (symlink("..", mark)) abort();
    snprintf(mark, sizeof mark, "%s/precious", p.base);
    FILE *f = fopen(mark, "w");
    if (!f || fclose(f)) abort();
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true });
    TRY_NOT_NULL(s);
    desc.name = "thief";
    desc.command = "touch ran";
    sykli_add(s, &desc);
    if (!run_all(t, s, 1)) goto out;
    CHECK(strstr(reason_of(s, "thief"), words));
    snprintf(t->fault.text, sizeof t->fault.text, "%s", reason_of(s, "thief"));
    CHECK_STATUS(s, "thief", errored);
    CHECK_TEXT(said(&p, "../ran", text), "");
out:
    CHECK(!access(mark, F_OK));
    sykli_close(s);
    place_end(t, &p);
}

static void no_path_leaves_the_project(test *t)
{
    escape(t, (sykli_task_desc){ .inputs = { "../precious" } }, "../precious");
    escape(t, (sykli_task_desc){ .inputs = { "/etc/passwd" } }, "/etc/passwd");
    escape(t, (sykli_task_desc){ .inputs = { "a/../../precious" } }, "a/../../precious");
    escape(t, (sykli_task_desc){ .outputs = { { "o", "../precious" } } }, "../precious");
    escape(t, (sykli_task_desc){ .outputs = { { "o", "/tmp/x" } } }, "/tmp/x");
    escape(t, (sykli_task_desc){ .outputs = { { "o", "link/precious" } } }, "link/precious");
    escape(t, (sykli_task_desc){ .outputs = { { "o", "." } } }, "\".\" is never removed");
    escape(t, (sykli_task_desc){ .outputs = { { "o", ".git" } } }, "\".git\" is never removed");
    escape(t, (sykli_task_desc){ .workdir = "../" }, "../");
    escape(t, (sykli_task_desc){ .workdir = "/tmp" }, "/tmp");
    escape(t, (sykli_task_desc){ .workdir = "link" }, "working folder link");
    escape(t, (sykli_task_desc){ .workdir = "a/../.." }, "a/../..");
}

// ---- callbacks that call back ---------------------------------------------------------------
typedef struct meddler { sykli *s; int busy; char text[512]; sykli_handle watch; } meddler;

static void meddle(void *user, const sykli_event *event)
{
    meddler *m = (meddler *)user;
    char body[600];
    if (event->kind == SYKLI_EVENT_audit || event->kind == SYKLI_EVENT_run_started) return;
    m->busy += sykli_poll(m->s, -1) == SYKLI_EBUSY && sykli_pump(m->s) == SYKLI_EBUSY;
    sykli_handle q = sykli_request_open(m->s, &(sykli_request){ .verb = SYKLI_VERB_query,
        .what = "SELECT name, status FROM tasks" });
    while (sykli_request_read(m->s, q, body, sizeof body) > 0) {}
    sykli_request_close(m->s, q);
    if (event->kind == SYKLI_EVENT_task_started)
        m->watch = sykli_request_open(m->s, &(sykli_request){ .verb = SYKLI_VERB_watch,
            .what = "output", .args = "{\"task\":\"a\"}" });
    sykli_request_read(m->s, m->watch, body, sizeof body);
    if (event->kind == SYKLI_EVENT_task_output && strlen(m->text) + event->text_size < 500)
        strncat(m->text, event->text, event->text_size);
}

static void callbacks_may_call_back(test *t)
{
    place p;
    meddler m = { .busy = 0 };
    place_make(&p);
    m.s = open_in(t, &p, (sykli_desc){ .no_cache = true, .on_event = meddle, .on_event_user = &m });
    TRY_NOT_NULL(m.s);
    sykli_add(m.s, &(sykli_task_desc){ .name = "a", .command = "echo one; echo two; echo three" });
    if (!run_all(t, m.s, 0)) goto out;
    CHECK_TEXT(m.text, "onetwothree");
    CHECK(m.busy >= 4);
    CHECK(!sykli_add(m.s, &(sykli_task_desc){ .name = "late", .command = "true" }).id);
out:
    sykli_close(m.s);
    place_end(t, &p);
}

// ---- large graphs ---------------------------------------------------------------------------
enum { MANY = 2000 };

static void many(test *t, int shape, int first_real, int count)
{
    static sykli_task tasks[MANY];
    place p;
    char name[16];
    uint32_t random = 7;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true,
                                            .workers_max = 4 });
    TRY_NOT_NULL(s);
    for (int i = 0; i < count; i++) {
        sykli_task_desc desc = { .name = name, .command = "/bin/true" };
        snprintf(name, sizeof name, "t%d", i);
        if (i >= first_real) desc.skip_reason = "enough of it";
        if (shape == 1 && i) desc.after[0] = tasks[i - 1];
        for (int edge = 0; shape == 2 && i && edge < 4; edge++) {
            random = random * 1664525u + 1013904223u;
            desc.after[edge] = tasks[(random >> 8) % (uint32_t)i];
        }
        tasks[i] = sykli_add(s, &desc);
        TRY_TRUE(tasks[i].id);
    }
    uint64_t begun = sykli_now_ms(s);
    if (!run_all(t, s, 0)) goto out;
    CHECK(sykli_now_ms(s) - begun < 60000);
    CHECK_STATUS(s, name, skipped);
    CHECK_STATUS(s, "t0", passed);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_wide_graph(test *t) { many(t, 0, 600, MANY); }
static void a_deep_graph(test *t) { many(t, 1, 200, MANY); }
static void a_random_graph(test *t) { many(t, 2, 300, MANY); }
static void graphs_of_all_shapes(test *t) { for (int i = 0; i < 3; i++) many(t, i, 4, 40); }

// ---- inside a host --------------------------------------------------------------------------
static int write_number(void *user)
{
    FILE *out = fopen("number", "w");
    printf("%s from %s\n", getenv("WORD") ? getenv("WORD") : "nothing", (const char *)user);
    return out && fputs("42", out) >= 0 && !fclose(out) ? 0 : 1;
}

static int crash(void *user) { (void)user; return raise(SIGSEGV); }
static int give_three(void *user) { (void)user; return 256 + 3; }
// Nothing of the host is open in the child: not the locks of the run either.
static int count_open(void *user)
{
    int count = 0;
    (void)user;
    for (int fd = 0; fd < 64; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static sykli *calling(test *t, const place *p, heard *h, const char *version)
{
    static char whom[] = "memory";
    memset(h, 0, sizeof *h);
    sykli *s = open_in(t, p, (sykli_desc){ .on_event = hear, .on_event_user = h });
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "call", .command = version,
        .function = write_number, .function_user = whom, .inputs = { "in" },
        .outputs = { { "number", "number" } }, .env = { { "WORD", "hello" } } });
    return s;
}

static void a_function_is_a_task(test *t)
{
    static const struct { const char *version; sykli_status wanted; } runs[] = {
        { "1", SYKLI_STATUS_passed }, { "1", SYKLI_STATUS_cached }, { "2", SYKLI_STATUS_passed },
        { NULL, SYKLI_STATUS_passed }, { NULL, SYKLI_STATUS_passed } };
    static heard h;
    place p;
    char text[256];
    sykli *s = NULL;
    place_make(&p);
    put(&p, "in", "same");
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        s = calling(t, &p, &h, runs[i].version);
        TRY_NOT_NULL(s);
        if (!run_all(t, s, 0)) goto out;
        CHECK_INT(status_of(s, "call"), runs[i].wanted);
        CHECK_TEXT(said(&p, "number", text), "42");
        if (runs[i].wanted == SYKLI_STATUS_passed) CHECK(strstr(h.text, "hello from memory"));
        sykli_close(s);
        s = NULL;
    }
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_crash_is_a_failed_task(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .keep_going = true });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "crash", .function = crash });
    sykli_add(s, &(sykli_task_desc){ .name = "refuse", .function = give_three });
    sykli_add(s, &(sykli_task_desc){ .name = "count", .function = count_open });
    sykli_add(s, &(sykli_task_desc){ .name = "good", .command = "ls" });
    if (!run_all(t, s, 3)) goto out;
    // A sanitizer in between may make an exit of the signal.
    sykli_task_info info;
    CHECK_INT(sykli_task_get(s, sykli_find(s, "crash"), &info), 0);
    if (info.signal) CHECK_TEXT(reason_of(s, "crash"), "ended by signal 11 (SIGSEGV)");
    CHECK_STATUS(s, "crash", failed);
    CHECK_TEXT(reason_of(s, "refuse"), "exit code 3");
    CHECK_TEXT(reason_of(s, "count"), "exit code 3");
    CHECK_STATUS(s, "good", passed);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Waits for the process of a task before the library can.
static void steal(void *user, const sykli_event *event)
{
    (void)user;
    if (event->kind == SYKLI_EVENT_task_started) waitpid(event->pid, NULL, 0);
}

// A host that waits for any child, or that lets the kernel reap them all: an error, and no hang.
static void a_host_takes_the_end_of_a_task(test *t)
{
    for (int ignore = 0; ignore < 2; ignore++) {
        place p;
        place_make(&p);
        sykli *s = open_in(t, &p, (sykli_desc){ .on_event = ignore ? NULL : steal });
        if (ignore) signal(SIGCHLD, SIG_IGN);
        TRY_NOT_NULL(s);
        sykli_add(s, &(sykli_task_desc){ .name = "taken", .command = "ls" });
        if (!run_all(t, s, 1)) goto out;
        CHECK_STATUS(s, "taken", errored);
        CHECK(strstr(reason_of(s, "taken"), "taken by the host") != NULL);
out:
        signal(SIGCHLD, SIG_DFL);
        sykli_close(s);
        place_end(t, &p);
    }
}

// A context a thread: nothing is shared, so nothing needs a lock.
typedef struct threaded { test *t; place p; int failed; } threaded;
static void *run_in_thread(void *user)
{
    threaded *own = (threaded *)user;
    sykli_task before = { 0 };
    sykli *s = sykli_open(&(sykli_desc){ .project_dir = own->p.project, .workers_max = 2,
                                         .cache_dir = own->p.cache });
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        before = sykli_add(s, &(sykli_task_desc){ .name = name, .command = "ls",
            .after = { i % 2 ? before : (sykli_task){ 0 } } });
    }
    own->failed = sykli_run(s);
    sykli_close(s);
    return NULL;
}

static void each_thread_has_a_context(test *t)
{
    threaded all[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        all[i].t = t;
        place p;
        place_make(&p);
        all[i].failed = -1;
        all[i].p = p;
    }
    // An emulator (QEMU 7.2) may hold a lock of its own when another thread forks, and the child
    // waits for it for ever: there each thread ends before the next one begins.
    const char *emulator = getenv("TEST_RUN");
    bool alone = emulator && *emulator;
    for (int i = 0; i < 4; i++) {
        CHECK(!pthread_create(&threads[i], NULL, run_in_thread, &all[i]));
        if (alone) pthread_join(threads[i], NULL);
    }
    for (int i = 0; i < 4 && !alone; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) {
        CHECK_INT(all[i].failed, 0);
        place_end(t, &all[i].p);
    }
}

// What a task leaves behind is known by its name: another state directory must not give it again.
static bool name_of_attempt(test *t, char uid[256])
{
    place p;
    char state[128];
    place_make(&p);
    snprintf(state, sizeof state, "%s/state", p.base);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .state_dir = state });
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "echo $SYKLI_TASK_UID > uid" });
    bool on = s && run_all(t, s, 0);
    said(&p, "uid", uid);
    sykli_close(s);
    place_end(t, &p);
    return on;
}

static void no_two_attempts_are_named_alike(test *t)
{
    char uid[2][256];
    if (!name_of_attempt(t, uid[0]) || !name_of_attempt(t, uid[1])) return;
    CHECK(strlen(uid[0]) > 3 && strlen(uid[1]) > 3 && strcmp(uid[0], uid[1]));
}

// What only `sykli run` understands is not silently left out.
static void members_of_the_format_are_refused(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ 0 });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "gate", .command = "ls",
                                     .extra = "\"when\": \"branch == 'main'\"" });
    int rc = sykli_run(s);
    CHECK(rc == SYKLI_EUNSUPPORTED || t->injected);
    CHECK(rc < 0 && *sykli_errmsg(s));
out:
    sykli_close(s);
    place_end(t, &p);
}

int main(int argc, char **argv)
{
    alarm(280); // a story that hangs is a failure too
    TEST_STORY(opens_and_closes);
    TEST_STORY(a_bad_desc_is_told);
    TEST_SOME(15, no_home_is_no_trouble);
    TEST_SOME(15, ten_lines_run);
    TEST_STORY(a_failed_add_sticks);
    TEST_STORY(bad_tasks_are_refused);
    TEST_STORY(a_cycle_is_named);
    TEST_STORY(a_task_cannot_follow_itself);
    TEST_SOME(15, handles_belong_to_a_context);
    TEST_SOME(15, two_contexts_share_a_process);
    TEST_SOME(15, runs_in_one_folder_take_turns);
    TEST_SOME(15, a_second_run_hits);
    TEST_SOME(15, a_hit_shows_what_its_task_printed);
    TEST_SOME(10, a_changed_input_misses);
    TEST_SOME(10, an_absent_input_is_told);
    TEST_SOME(10, what_changes_meanwhile_is_not_kept);
    TEST_SOME(10, what_changes_on_the_way_is_not_kept);
    TEST_ONCE(what_changes_on_the_way_is_no_hit); // its failures are those of the one before
    TEST_SOME(15, a_run_is_explained_before_it_starts);
    TEST_ONCE(what_others_have_seen_change_is_not_kept);
    TEST_ONCE(what_was_explained_before_is_no_hit);
    TEST_SOME(15, what_is_explained_stays_as_it_is);
    TEST_SOME(15, a_missing_output_is_a_failure);
    TEST_SOME(15, a_failure_is_never_cached);
    TEST_SOME(15, a_lost_cache_costs_no_build);
    TEST_SOME(15, a_function_is_a_task);
    TEST_SOME(15, a_crash_is_a_failed_task);
    TEST_SOME(15, a_host_takes_the_end_of_a_task);
    TEST_SOME(10, no_two_attempts_are_named_alike);
    TEST_ONCE(each_thread_has_a_context); // with the system as it is, as hosts do
    TEST_STORY(members_of_the_format_are_refused);
    TEST_STORY(secrets_stay_secret);
#if !defined(TEST_MSAN)
    TEST_SOME(15, no_secret_is_left_in_memory);
#endif
    TEST_STORY(large_results_are_held_for_longer);
    TEST_SOME(15, a_timeout_ends_the_stubborn);
    TEST_SOME(15, a_silent_task_is_ended);
    TEST_SOME(15, a_task_may_have_few_processes);
    TEST_SOME(15, a_task_may_have_a_terminal);
    TEST_SOME(15, tokens_come_back);
    TEST_SOME(15, a_make_around_lends_workers);
    TEST_SOME(15, a_flood_is_cut_in_the_middle);
    TEST_SOME(15, a_retry_may_pass);
    TEST_SOME(15, programs_that_are_not_there);
    TEST_SOME(15, a_task_is_killed);
    TEST_SOME(15, a_run_is_cancelled);
    TEST_SOME(15, workers_scale_during_a_run);
    TEST_SOME(15, a_failure_ends_the_run);
    TEST_SOME(15, a_failure_blocks_what_follows);
    TEST_SOME(15, a_close_ends_what_runs);
    TEST_SOME(10, no_path_leaves_the_project);
    TEST_SOME(15, callbacks_may_call_back);
    TEST_ONCE(a_wide_graph); // these by their size; the same with few tasks is swept
    TEST_ONCE(a_deep_graph);
    TEST_ONCE(a_random_graph);
    TEST_SOME(10, graphs_of_all_shapes);
    return test_end(argc, argv);
}
