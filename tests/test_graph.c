// What a graph can say beyond commands and edges: outputs taken in, attempts that the host accepts
// or not, secrets that it gives, tasks that it holds, failures that may be. Last, graphs of 10,000
// tasks.
// Every story is told again with one call after the other failing.
#define SYKLI_IMPLEMENTATION
#include "place.h"

// ---- intakes --------------------------------------------------------------------------------
static void add_taker(sykli *s, const char *command, const char *output, const char *dest)
{
    sykli_task make = sykli_add(s, &(sykli_task_desc){ .name = "make",
        .command = "mkdir -p out/deep && cp in out/a && cp in out/deep/b && cp in one && "
                   "chmod 755 one",
        .inputs = { "in" }, .outputs = { { "dir", "out" }, { "one", "one" },
                     { "glob", "out/**/b" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "use", .command = command, .inputs = { "in2" },
        .outputs = { { "r", "result" } },
        .intake_list = &(sykli_intake){ make, output, dest }, .intake_count = 1 });
}

static void an_output_is_taken_in(test *t)
{
    static const struct { const char *output, *dest, *command; } cases[] = {
        { "one", "got/here", "test -x got/here && cp got/here result" },
        { "one", "got/", "test -x got/one && cp got/one result" },
        { "dir", "got", "test ! -x got/a && cat got/a got/deep/b > result" },
        { "glob", "got", "cp got/deep/b result" } };
    place p;
    char text[256];
    for (int i = 0; i < 4; i++) {
        if (test_failing(t) && i) break; // one is enough for the failures
        place_make(&p);
        put(&p, "in", "x");
        put(&p, "in2", "y");
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        if (s) add_taker(s, cases[i].command, cases[i].output, cases[i].dest);
        bool on = s && run_all(t, s, 0);
        if (on) CHECK_TEXT(said(&p, "result", text), i == 2 ? "xx" : "x");
        sykli_close(s);
        place_end(t, &p);
    }
}

// What is taken in decides whether a result is used again.
static void what_is_taken_in_is_in_the_key(test *t)
{
    place p;
    char text[256];
    place_make(&p);
    put(&p, "in2", "y");
    for (int i = 0; i < 4; i++) {
        put(&p, "in", i < 2 ? "first" : "second");
        if (i == 1) drop(&p, "got");
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        if (s) add_taker(s, "cp got result", "one", i < 3 ? "got" : "./got");
        bool on = s && run_all(t, s, 0);
        if (on) CHECK_TEXT(said(&p, "result", text), i < 2 ? "first" : "second");
        if (on) CHECK_TEXT(sykli_status_names[status_of(s, "use")], i % 2 ? "cached" : "passed");
        sykli_close(s);
        if (!on) goto out;
    }
    drop(&p, "got");
    sykli *s = open_in(t, &p, (sykli_desc){ 0 });
    if (s) add_taker(s, "cp got result", "one", "other");
    if (s && run_all(t, s, 1)) CHECK_STATUS(s, "use", failed); // got was not made for this one
    sykli_close(s);
out:
    place_end(t, &p);
}

static void bad_intakes_are_refused(test *t)
{
    static const struct { const char *output, *dest, *told; int code; } cases[] = {
        { "none", "x", "'make' has no output 'none'", SYKLI_ENOENT },
        { "one", "../x", "may not leave", SYKLI_EINVAL },
        { "one", "/x", "relative to the project", SYKLI_EINVAL },
        { "one", "", "needs a dest", SYKLI_EINVAL },
        { "one", ".git/hooks/x", "nothing may be copied", SYKLI_EINVAL } };
    place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        if (s) add_taker(s, "true", cases[i].output, cases[i].dest);
        CHECK(t->injected || sykli_error(s) == cases[i].code);
        CHECK(t->injected || strstr(sykli_errmsg(s), cases[i].told));
        sykli_close(s);
    }
    place_end(t, &p);
}

static void an_intake_stays_in_the_project(test *t)
{
    place p;
    char path[256], text[256];
    place_make(&p);
    put(&p, "in", "x");
    put(&p, "in2", "y");
    snprintf(path, sizeof path, "%s/far", p.project);
    CHECK(!symlink("/dev/shm", path));
    sykli *s = open_in(t, &p, (sykli_desc){ 0 });
    TRY_NOT_NULL(s);
    add_taker(s, "true", "one", "far/sykli-escaped");
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "use", errored);
    CHECK(strstr(reason_of(s, "use"), "not a folder"));
    sykli_close(s);
    s = open_in(t, &p, (sykli_desc){ .no_cache = true });
    TRY_NOT_NULL(s);
    sykli_task make = sykli_add(s, &(sykli_task_desc){ .name = "make", .skip_reason = "not now",
        .outputs = { { "o", "nothing" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "use", .command = "true",
        .intake_list = &(sykli_intake){ make, "o", "d" }, .intake_count = 1 });
    if (run_all(t, s, 1)) CHECK(strstr(reason_of(s, "use"), "'make', which is not there"));
    sykli_close(s);
    s = open_in(t, &p, (sykli_desc){ .no_cache = true });
    TRY_NOT_NULL(s);
    make = sykli_add(s, &(sykli_task_desc){ .name = "make",
        .command = "ln -s /etc/hostname o", .outputs = { { "o", "o" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "use", .command = "true",
        .intake_list = &(sykli_intake){ make, "o", "d" }, .intake_count = 1 });
    if (run_all(t, s, 1)) CHECK(strstr(reason_of(s, "use"), "cannot be read"));
    CHECK_TEXT(said(&p, "d", text), "");
out:
    CHECK(access("/dev/shm/sykli-escaped", F_OK));
    sykli_close(s);
    place_end(t, &p);
}

// Two files of different tasks that would become one: neither of them is copied.
static void two_intakes_do_not_become_one(test *t)
{
    static const struct { const char *other, *command, *path; int failed; } cases[] = {
        { "got/", "cp in b/app", "b/app", 0 }, { "got/", "echo >b/app", "b/app", 1 },
        { "got/", "cp in b/app && chmod 755 b/app", "b/*", 1 },
        { "got/app", "echo >b/x", "b/x", 1 }, { "got/", "echo >b/x", "b/x", 0 },
        { "else/", "echo >b/app", "b/app", 0 } };
    place p;
    char text[256], command[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (test_failing(t) && i > 1) break;
        place_make(&p);
        put(&p, "in", "x");
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        TRY_NOT_NULL(s);
        snprintf(command, sizeof command, "mkdir -p b && %s", cases[i].command);
        sykli_task a = sykli_add(s, &(sykli_task_desc){ .name = "a",
            .command = "mkdir -p a && cp in a/app", .outputs = { { "o", "a/" } } });
        sykli_task b = sykli_add(s, &(sykli_task_desc){ .name = "b", .command = command,
            .outputs = { { "o", cases[i].path } } });
        const sykli_intake in[] = { { a, "o", "got" }, { b, "o", cases[i].other } };
        sykli_add(s, &(sykli_task_desc){ .name = "use", .command = "true", .intake_list = in,
                                         .intake_count = 2 });
        if (run_all(t, s, cases[i].failed)) CHECK_TEXT(said(&p, "got/app", text),
                                                       cases[i].failed ? "" : "x");
        if (cases[i].failed && !t->injected)
            CHECK(strstr(reason_of(s, "use"), "as got/app, from output 'o' of 'a' and, as b/")
                  && strstr(reason_of(s, "use"), "of 'b': give one of the two another dest"));
    out:
        sykli_close(s);
        place_end(t, &p);
    }
}

// ---- outputs and inputs -----------------------------------------------------------------------
static void no_output_takes_an_input_with_it(test *t)
{
    static const struct { const char *input, *output; int code; } cases[] = {
        { "src/a.c", "src", SYKLI_EINVAL }, { "src/**/*.c", "./src//", SYKLI_EINVAL },
        { "src/a.c", "src/a.c", SYKLI_EINVAL }, { "./src/a.c", "src/*", SYKLI_EINVAL },
        { "src/*.c", "src/*.c", SYKLI_EINVAL }, { "src/*.c", "**", SYKLI_EINVAL },
        { "src/*.c", "src/*.o", 0 }, { "src/**", "src/made.h", 0 }, { "**", "build", 0 },
        { "source/a.c", "so", 0 }, { "src/a.c", "src/a", 0 } };
    place p;
    place_make(&p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        TRY_NOT_NULL(s);
        sykli_add(s, &(sykli_task_desc){ .name = "t", .command = "true",
            .inputs = { "in", cases[i].input },
            .outputs = { { "a", "a" }, { "o", cases[i].output } } });
        int code = sykli_error(s);
        if (t->injected) CHECK(!code || *sykli_errmsg(s)); // a context can open without some of it
        else CHECK_INT(code, cases[i].code);
        CHECK(t->injected || !code || strstr(sykli_errmsg(s), "is removed before it runs"));
        sykli_close(s);
    }
out:
    place_end(t, &p);
}

// What a task makes is no input of it, though patterns find it: the key is the same before it is
// there, while it is, and when it has been changed.
static void what_a_task_makes_is_no_input_of_it(test *t)
{
    static const struct { const char *input, *output; } cases[] = {
        { "*.c", "made.c" }, { "**", "./made.c" }, { "**", "*de.c" }, { "./*", "made.c/" } };
    place p;
    char text[256], key[65];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (test_failing(t) && i) break;
        place_make(&p);
        put(&p, "a.c", "x");
        for (int round = 0; round < 4; round++) {
            sykli_task_info info;
            if (round == 2) put(&p, "made.c", "changed");
            if (round == 3) put(&p, "a.c", "y");
            sykli *s = open_in(t, &p, (sykli_desc){ 0 });
            sykli_task one = { 0 };
            if (s) one = sykli_add(s, &(sykli_task_desc){ .name = "t",
                .command = "test ! -e made.c && cp a.c made.c", .inputs = { cases[i].input },
                .outputs = { { "o", cases[i].output } } });
            bool on = s && run_all(t, s, 0);
            if (on) CHECK_TEXT(sykli_status_names[status_of(s, "t")],
                               round % 3 ? "cached" : "passed");
            if (on) CHECK_TEXT(said(&p, "made.c", text), round < 3 ? "x" : "y");
            if (on && !sykli_task_get(s, one, &info)) {
                if (round) CHECK(!strcmp(info.key, key) == (round < 3));
                memcpy(key, info.key, sizeof key);
            }
            sykli_close(s);
            if (!on) break;
        }
        place_end(t, &p);
    }
}

// ---- what the host accepts ------------------------------------------------------------------
typedef struct judge { int wanted, asked, restored; bool never; } judge;

static bool judges(void *user, const sykli_attempt *a)
{
    judge *j = user;
    j->asked++;
    j->restored += a->restored;
    if (j->never) snprintf(a->why, a->why_size, "%s is not good enough", a->name);
    return !j->never && (a->restored || a->exit_code == j->wanted);
}

static void the_host_accepts(test *t)
{
    place p;
    judge j = { .wanted = 3 };
    place_make(&p);
    put(&p, "in", "x");
    for (int round = 0; round < 4; round++) {
        j.never = round == 2;
        sykli *s = open_in(t, &p, (sykli_desc){ 0 });
        if (s)
            sykli_add(s, &(sykli_task_desc){ .name = "odd", .command = "cp in out; exit 3",
                .inputs = { "in" }, .outputs = { { "o", "out" } }, .retries = round == 2,
                .accept = judges, .accept_user = &j,
                .accept_key = round == 3 ? "other" : "exit 3" });
        bool on = s && run_all(t, s, round == 2);
        if (on) {
            static const char *const wanted[] = { "passed", "cached", "failed", "passed" };
            CHECK_TEXT(sykli_status_names[status_of(s, "odd")], wanted[round]);
            CHECK_INT(j.restored, round > 1 ? 2 : round); // refused then: it ran after all
            if (round == 2) CHECK_TEXT(reason_of(s, "odd"), "odd is not good enough");
            else CHECK_TEXT(reason_of(s, "odd"), "");
        }
        sykli_close(s);
        if (!on) break;
    }
    if (!t->injected) CHECK_INT(j.asked, 1 + 1 + 3 + 1);
    place_end(t, &p);
}

// ---- secrets that the host gives ------------------------------------------------------------
static void given_secrets_stay_secret(test *t)
{
    place p;
    heard h = { .size = 0 };
    char text[256];
    place_make(&p);
    put(&p, "in", "x");
    setenv("GIVEN", "inherited-by-nobody", 1);
    sykli *s = open_in(t, &p, (sykli_desc){ .on_event = hear, .on_event_user = &h });
    TRY_NOT_NULL(s);
    sykli_secret given = { .name = "GIVEN", .value = "from-the-safe-42", .source = "vault a/b" };
    sykli_add(s, &(sykli_task_desc){ .name = "has", .command = "echo \"<$GIVEN>\"; "
        "test ${#GIVEN} = 16 && touch ok", .inputs = { "in" },
        .outputs = { { "o", "ok" } }, .given_list = &given, .given_count = 1 });
    sykli_add(s, &(sykli_task_desc){ .name = "has-not", .command = "test -z \"$GIVEN\"" });
    given.value = NULL;
    given.why = "exit code 2";
    sykli_add(s, &(sykli_task_desc){ .name = "lacks", .command = "true", .after = {
        sykli_find(s, "has"), sykli_find(s, "has-not") }, .given_list = &given,
        .given_count = 1 });
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "has", passed);
    CHECK_STATUS(s, "has-not", passed);
    CHECK_STATUS(s, "lacks", errored);
    CHECK_TEXT(reason_of(s, "lacks"),
               "task requires secrets: no GIVEN from vault a/b: exit code 2");
    CHECK(strstr(h.text, "<***>") && !strstr(h.text, "from-the-safe"));
    snprintf(text, sizeof text, "cd %s && ! grep -r 'from-the-safe' . ../cache", p.project);
    CHECK_INT(system(text), 0);
out:
    unsetenv("GIVEN");
    sykli_close(s);
    place_end(t, &p);
}

// ---- held tasks -----------------------------------------------------------------------------
static void count_held(void *user, const sykli_event *event)
{
    int *count = user;
    *count += event->kind == SYKLI_EVENT_task_held;
}

static sykli *open_held(test *t, const place *p, int *held)
{
    sykli *s = open_in(t, p, (sykli_desc){ .workers_max = 1, .no_history = true,
        .no_cache = true, .on_event = count_held, .on_event_user = held });
    if (!s) return NULL;
    sykli_task gate = sykli_add(s, &(sykli_task_desc){ .name = "gate", .held = true });
    sykli_add(s, &(sykli_task_desc){ .name = "behind", .command = "true", .after = { gate } });
    sykli_add(s, &(sykli_task_desc){ .name = "own", .command = "touch mark", .held = true,
                                     .outputs = { { "mark", "mark" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "beside", .command = "true" });
    return s;
}

// Two tasks are held and there is one worker: the third runs, because holding takes none.
static void a_held_task_holds_no_worker(test *t)
{
    place p;
    char text[256];
    int held = 0;
    place_make(&p);
    sykli *s = open_held(t, &p, &held);
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s) && !sykli_start(s));
    while (status_of(s, "beside") > SYKLI_STATUS_cancelled && !t->injected)
        TRY_IT(s, sykli_poll(s, -1) >= 0);
    if (t->injected) goto out;
    CHECK_INT(held, 2);
    CHECK_STATUS(s, "beside", passed);
    CHECK_STATUS(s, "gate", ready);
    CHECK_STATUS(s, "behind", waiting);
    CHECK_INT(sykli_task_decide(s, sykli_find(s, "behind"), SYKLI_STATUS_passed, NULL),
              SYKLI_ENOENT);
    CHECK_INT(sykli_task_decide(s, sykli_find(s, "gate"), SYKLI_STATUS_blocked, NULL),
              SYKLI_EINVAL);
    CHECK(access(said(&p, "mark", text), F_OK));
    CHECK_INT(sykli_task_decide(s, sykli_find(s, "gate"), SYKLI_STATUS_passed, "by ada"), 0);
    CHECK_INT(sykli_task_decide(s, sykli_find(s, "own"), SYKLI_STATUS_passed, NULL), 0);
    while (sykli_poll(s, -1) > 0) {}
    if (t->injected) goto out;
    CHECK_STATUS(s, "gate", passed);
    CHECK_TEXT(reason_of(s, "gate"), "by ada");
    CHECK_STATUS(s, "behind", passed);
    CHECK_STATUS(s, "own", passed);
    CHECK_INT(sykli_task_decide(s, sykli_find(s, "gate"), SYKLI_STATUS_passed, NULL),
              SYKLI_ENOENT);
out:
    sykli_close(s);
    place_end(t, &p);
}

static void a_held_task_is_denied(test *t)
{
    static const sykli_status verdicts[] = { SYKLI_STATUS_failed, SYKLI_STATUS_errored,
                                             SYKLI_STATUS_skipped };
    place p;
    int held = 0;
    for (int i = 0; i < 3; i++) {
        place_make(&p);
        sykli *s = open_held(t, &p, &held);
        TRY_NOT_NULL(s);
        TRY_IT(s, !sykli_error(s) && !sykli_start(s));
        while (status_of(s, "beside") > SYKLI_STATUS_cancelled) TRY_IT(s, sykli_poll(s, -1) >= 0);
        if (t->injected) goto out;
        CHECK_INT(sykli_task_decide(s, sykli_find(s, "gate"), verdicts[i], "not today"), 0);
        if (i == 2) sykli_task_decide(s, sykli_find(s, "own"), SYKLI_STATUS_skipped, NULL);
        while (sykli_poll(s, -1) > 0) {}
        if (t->injected) goto out;
        CHECK_INT(status_of(s, "gate"), verdicts[i]);
        CHECK_TEXT(reason_of(s, "gate"), "not today");
        CHECK_TEXT(sykli_status_names[status_of(s, "behind")], i < 2 ? "blocked" : "passed");
        CHECK_TEXT(sykli_status_names[status_of(s, "own")], i < 2 ? "blocked" : "skipped");
    out:
        sykli_close(s);
        place_end(t, &p);
        if (t->injected) break;
    }
}

static void a_cancelled_run_holds_nothing(test *t)
{
    place p;
    int held = 0;
    place_make(&p);
    sykli *s = open_held(t, &p, &held);
    TRY_NOT_NULL(s);
    TRY_IT(s, !sykli_error(s) && !sykli_start(s));
    while (status_of(s, "beside") > SYKLI_STATUS_cancelled) TRY_IT(s, sykli_poll(s, -1) >= 0);
    TRY_IT(s, !sykli_run_cancel(s));
    while (sykli_poll(s, -1) > 0) {}
    if (t->injected) goto out;
    CHECK_STATUS(s, "gate", cancelled);
    CHECK_STATUS(s, "own", cancelled);
out:
    sykli_close(s);
    place_end(t, &p);
}

// Notes what becomes of held tasks, in the order in which it is told.
static void note_held(void *user, const sykli_event *event)
{
    heard *h = user;
    bool told = event->kind == SYKLI_EVENT_task_held || event->kind == SYKLI_EVENT_task_decided
             || event->kind == SYKLI_EVENT_task_started || event->kind == SYKLI_EVENT_task_finished;
    if (!told || h->size > sizeof h->text / 2) return;
    h->size += (size_t)snprintf(h->text + h->size, 256, "%s %s %.*s\n", event->name,
                                sykli_event_names[event->kind], (int)event->text_size,
                                event->text ? event->text : "");
}

// Calls an op as somebody else, in the context itself.      returns  how it ended
static int call_as(sykli *s, sykli_role role, const char *op, const char *args)
{
    char none[16];
    sykli_handle call = sykli_request_open(s, &(sykli_request){ .verb = SYKLI_VERB_call,
        .what = op, .args = args, .role = role, .origin = "far" });
    if (!call.id) return sykli_last_error(s);
    int64_t got = 1;
    while (got > 0) got = sykli_request_read(s, call, none, sizeof none);
    sykli_request_close(s, call);
    return got == SYKLI_EOF ? 0 : sykli_set_error(s, (int)got, "the call ended so");
}

// An operator may decide, wherever they are; who it was is told before what follows from it.
static void an_op_decides(test *t)
{
    place p;
    heard h = { .size = 0 };
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true,
        .keep_going = true, .on_event = note_held, .on_event_user = &h });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "go", .command = "true", .held = true });
    sykli_add(s, &(sykli_task_desc){ .name = "no", .held = true });
    TRY_IT(s, !sykli_error(s) && !sykli_start(s));
    while (!t->injected && status_of(s, "no") != SYKLI_STATUS_ready)
        TRY_IT(s, sykli_poll(s, -1) >= 0);
    if (t->injected) goto out;
    TRY_IT(s, call_as(s, SYKLI_ROLE_observer, "gate.approve", "{\"task\":\"go\"}") == SYKLI_EPERM);
    TRY_IT(s, call_as(s, SYKLI_ROLE_operator, "gate.deny", "{\"task\":\"none\"}") == SYKLI_ENOENT);
    CHECK_STATUS(s, "go", ready);
    TRY_IT(s, !call_as(s, SYKLI_ROLE_operator, "gate.approve",
                       "{\"task\":\"go\",\"by\":\"ada\",\"reason\":\"tested\"}"));
    TRY_IT(s, call_as(s, SYKLI_ROLE_operator, "gate.deny", "{\"task\":\"go\"}") == SYKLI_ENOENT);
    TRY_IT(s, call_as(s, SYKLI_ROLE_operator, "gate.deny", "{\"task\":\"no\"}") == 0);
    while (sykli_poll(s, -1) > 0) {}
    if (t->injected) goto out;
    CHECK_STATUS(s, "go", passed);
    CHECK_TEXT(reason_of(s, "go"), "approved by ada on far: tested");
    CHECK_STATUS(s, "no", failed);
    CHECK(strstr(h.text, "go task_held \n"));
    CHECK(strstr(h.text, "no task_decided denied by far\nno task_finished denied by far\n"));
    const char *decided = strstr(h.text, "go task_decided approved by ada on far: tested\n");
    const char *started = strstr(h.text, "go task_started");
    CHECK(decided && started && decided < started);
out:
    sykli_close(s);
    place_end(t, &p);
}

// The host may know the answer when it is asked.
static void decides_at_once(void *user, const sykli_event *event)
{
    heard *h = user;
    if (event->kind == SYKLI_EVENT_task_held)
        sykli_task_decide(h->s, event->task, SYKLI_STATUS_errored, "nobody to ask");
}

static void a_verdict_from_inside_the_event(test *t)
{
    place p;
    heard h = { .size = 0 };
    place_make(&p);
    sykli *s = h.s = open_in(t, &p, (sykli_desc){ .no_history = true, .on_event = decides_at_once,
                                                  .on_event_user = &h });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "gate", .held = true });
    if (!run_all(t, s, 1)) goto out;
    CHECK_STATUS(s, "gate", errored);
    CHECK_TEXT(reason_of(s, "gate"), "nobody to ask");
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- failures that may be -------------------------------------------------------------------
static void a_failure_that_may_be(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_in(t, &p, (sykli_desc){ .no_history = true, .no_cache = true });
    TRY_NOT_NULL(s);
    sykli_task odd = sykli_add(s, &(sykli_task_desc){ .name = "odd", .command = "exit 7",
                                                      .may_fail = true });
    sykli_add(s, &(sykli_task_desc){ .name = "next", .command = "true", .after = { odd } });
    if (!run_all(t, s, 0)) goto out;
    CHECK_STATUS(s, "odd", skipped);
    CHECK_TEXT(reason_of(s, "odd"), "exit code 7");
    CHECK_STATUS(s, "next", passed);
out:
    sykli_close(s);
    place_end(t, &p);
}

// ---- 10,000 tasks ---------------------------------------------------------------------------
// Each is ended in a tenth of a second without sanitizers; the bounds are for those, and for
// machines that have more to do.
enum { MANY = 10000, MANY_SECONDS = 60 };
enum { WIDE, DEEP, BACKWARDS, RANDOM, SHAPES };

// Calls `edge` for each edge of a shape. Tasks may come before those they wait for.
static bool each_edge(int shape, uint32_t count, bool (*edge)(void *to, uint32_t before,
                                                              uint32_t after), void *to)
{
    uint64_t r = 88172645463325252u;
    bool on = true;
    for (uint32_t i = 1; i < count && on; i++) {
        if (shape == WIDE && i + 1 < count) on = edge(to, 0, i) && edge(to, i, count - 1);
        if (shape == DEEP) on = edge(to, i - 1, i);
        if (shape == BACKWARDS) on = edge(to, i, i - 1);
        for (int k = 0; k < 3 && shape == RANDOM && on; k++) {
            r ^= r << 13, r ^= r >> 7, r ^= r << 17;
            on = edge(to, (uint32_t)(r % i), i);
        }
    }
    return on;
}

static bool edge_of_core(void *to, uint32_t before, uint32_t after)
{
    return !sykli__sched_add_edge((sykli__sched *)to, before, after);
}

// Each task ends once, behind what it waits for, with as many at a time as there are workers.
static void many_tasks_through_the_core(test *t)
{
    for (int shape = 0; shape < SHAPES; shape++) {
        sykli__sched s;
        sykli__sched_action a;
        uint32_t cycle[4], running[64], count = 0, ended = 0;
        size_t cycle_count;
        uint64_t began = t->sys.now_ns(t);
        sykli__sched_init(&s, &t->mem, 8, MANY, 42);
        for (int i = 0; i < MANY; i++)
            CHECK_INT(sykli__sched_add(&s, &(sykli__sched_desc){ .timeout_ms = 1000 }), i);
        CHECK(each_edge(shape, MANY, edge_of_core, &s));
        CHECK_INT(sykli__sched_start(&s, cycle, 4, &cycle_count), 0);
        do {
            while (sykli__sched_next(&s, &a)) {
                sykli__sched_fact f = { SYKLI__SCHED_PUBLISHED, a.task, true, 0 };
                if (a.kind == SYKLI__SCHED_START) running[count++] = a.task;
                if (a.kind == SYKLI__SCHED_PUBLISH) sykli__sched_step(&s, 1, &f);
                ended += a.kind == SYKLI__SCHED_FINISH;
            }
            CHECK(count <= 8);
            if (!count) break;
            sykli__sched_step(&s, 1, &(sykli__sched_fact){ SYKLI__SCHED_EXITED, running[--count],
                                                           true, 0 });
        } while (!t->failed);
        for (size_t e = 0; e < s.edge_count; e++)
            CHECK_INT(s.tasks[s.edges[e].after].status, SYKLI_STATUS_passed);
        CHECK_INT(ended, MANY);
        CHECK(t->sys.now_ns(t) - began < MANY_SECONDS * 1000000000ull);
        sykli__sched_free(&s);
    }
}

static bool edge_of_context(void *to, uint32_t before, uint32_t after)
{
    sykli *s = (sykli *)to;
    char names[2][16];
    snprintf(names[0], sizeof names[0], "t%u", (unsigned)before);
    snprintf(names[1], sizeof names[1], "t%u", (unsigned)after);
    return !sykli_add_after(s, sykli_find(s, names[1]), sykli_find(s, names[0]));
}

static sykli *open_many(test *t, const place *p, int shape)
{
    sykli *s = open_in(t, p, (sykli_desc){ .no_cache = true });
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%d", i);
        sykli_add(s, &(sykli_task_desc){ .name = name, .command = "true",
                                         .skip_reason = i % 1000 ? "not today" : NULL });
    }
    CHECK_INT(sykli_error(s), 0);
    CHECK(each_edge(shape, MANY, edge_of_context, s));
    return s;
}

// The whole of a context, but few processes: they are what takes long.
static void many_tasks_through_a_context(test *t)
{
    place p;
    for (int shape = 0; shape < SHAPES; shape++) {
        place_make(&p);
        uint64_t began = t->sys.now_ns(t);
        sykli *s = open_many(t, &p, shape);
        if (run_all(t, s, 0)) {
            CHECK_STATUS(s, "t0", passed);
            CHECK_STATUS(s, "t9000", passed);
            CHECK_STATUS(s, "t9999", skipped);
        }
        sykli_close(s);
        CHECK(t->sys.now_ns(t) - began < MANY_SECONDS * 1000000000ull);
        place_end(t, &p);
    }
}

static void a_cycle_among_many_is_named(test *t)
{
    place p;
    place_make(&p);
    sykli *s = open_many(t, &p, DEEP);
    CHECK(edge_of_context(s, 5002, 5000));
    CHECK_INT(sykli_run(s), SYKLI_ECYCLE);
    CHECK_TEXT(strchr(sykli_errmsg(s), ':'), ": t5002 -> t5000 -> t5001 -> t5002");
    sykli_close(s);
    s = open_many(t, &p, DEEP);
    CHECK(edge_of_context(s, MANY - 1, 0)); // all of them
    CHECK_INT(sykli_run(s), SYKLI_ECYCLE);
    CHECK(strstr(sykli_errmsg(s), " -> t9998 -> t9999 -> "));
    CHECK(strstr(sykli_errmsg(s), " -> ... 9984 more -> t"));
    CHECK(strlen(sykli_errmsg(s)) < 300);
    sykli_close(s);
    place_end(t, &p);
}

int main(int argc, char **argv)
{
    TEST_SOME(30, an_output_is_taken_in);
    TEST_SOME(20, what_is_taken_in_is_in_the_key);
    TEST_STORY(bad_intakes_are_refused);
    TEST_SOME(20, an_intake_stays_in_the_project);
    TEST_SOME(30, two_intakes_do_not_become_one);
    TEST_STORY(no_output_takes_an_input_with_it);
    TEST_SOME(30, what_a_task_makes_is_no_input_of_it);
    TEST_SOME(30, the_host_accepts);
    TEST_SOME(30, given_secrets_stay_secret);
    TEST_SOME(30, a_held_task_holds_no_worker);
    TEST_SOME(20, a_held_task_is_denied);
    TEST_SOME(20, a_cancelled_run_holds_nothing);
    TEST_SOME(30, a_verdict_from_inside_the_event);
    TEST_SOME(20, an_op_decides);
    TEST_SOME(30, a_failure_that_may_be);
    TEST_ONCE(many_tasks_through_the_core); // these by their size
    TEST_ONCE(many_tasks_through_a_context);
    TEST_ONCE(a_cycle_among_many_is_named);
    return test_end(argc, argv);
}
