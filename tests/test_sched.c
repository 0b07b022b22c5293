// The scheduler in virtual milliseconds: facts go in by hand, actions come out as a story.
#define SYKLI_IMPLEMENTATION
#include "test.h"

typedef struct bench {
    sykli__sched s;
    char story[4096];
    uint64_t now;
} bench;

static const char *const action_names[] = { "hold", "hash", "lookup", "restore", "start",
                                            "signal", "publish", "retry", "finish" };

static void begin(bench *b, test *t, uint32_t workers)
{
    memset(b, 0, sizeof *b);
    sykli__sched_init(&b->s, &t->mem, workers, 100000, 42);
}

static int64_t add(bench *b, uint32_t timeout_ms, uint32_t retries, bool keyed)
{
    return sykli__sched_add(&b->s, &(sykli__sched_desc){ .timeout_ms = timeout_ms,
                                .retries = retries, .keyed = keyed, .lookup = keyed });
}

static int start(bench *b)
{
    uint32_t cycle[8];
    size_t count;
    return sykli__sched_start(&b->s, cycle, 8, &count);
}

// Takes all actions and appends them to the story: "start 0, finish 1 blocked; ".
static const char *drain(bench *b)
{
    sykli__sched_action a;
    b->story[0] = 0;
    while (sykli__sched_next(&b->s, &a)) {
        char line[64];
        if (a.kind == SYKLI__SCHED_FINISH)
            snprintf(line, sizeof line, "finish %u %s; ", a.task,
                     sykli_status_names[b->s.tasks[a.task].status]);
        else if (a.kind == SYKLI__SCHED_SIGNAL)
            snprintf(line, sizeof line, "signal %u %u; ", a.task, a.value);
        else snprintf(line, sizeof line, "%s %u; ", action_names[a.kind], a.task);
        if (strlen(b->story) + strlen(line) < sizeof b->story) strcat(b->story, line);
    }
    return b->story;
}

static const char *fact(bench *b, sykli__sched_fact_kind kind, uint32_t task, bool ok)
{
    sykli__sched_step(&b->s, b->now, &(sykli__sched_fact){ kind, task, ok, 0 });
    return drain(b);
}

static const char *tick(bench *b, uint64_t now)
{
    b->now = now;
    return fact(b, SYKLI__SCHED_TICK, 0, true);
}

static void diamond_runs_in_order(test *t)
{
    bench b;
    begin(&b, t, 2);
    for (int i = 0; i < 4; i++) TRY(add(&b, 0, 0, false));
    TRY(sykli__sched_add_edge(&b.s, 0, 1));
    TRY(sykli__sched_add_edge(&b.s, 0, 2));
    TRY(sykli__sched_add_edge(&b.s, 1, 3));
    TRY(sykli__sched_add_edge(&b.s, 2, 3));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "start 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, true), "publish 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_PUBLISHED, 0, true), "finish 0 passed; start 1; start 2; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 2, true), "publish 2; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_PUBLISHED, 2, true), "finish 2 passed; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 1, true), "publish 1; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_PUBLISHED, 1, true), "finish 1 passed; start 3; ");
    fact(&b, SYKLI__SCHED_EXITED, 3, true);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_PUBLISHED, 3, true), "finish 3 passed; ");
    CHECK_INT(b.s.unfinished, 0);
    CHECK_INT(b.s.running, 0);
out:
    sykli__sched_free(&b.s);
}

static void hit_needs_no_worker(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 0, 0, true));
    TRY(add(&b, 0, 0, true));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "hash 0; hash 1; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_HASHED, 0, true), "lookup 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_FOUND, 0, true), "restore 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_HASHED, 1, true), "lookup 1; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_FOUND, 1, false), "start 1; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_RESTORED, 0, true), "finish 0 cached; ");
out:
    sykli__sched_free(&b.s);
}

static void damaged_hit_runs_after_all(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 0, 0, true));
    TRY(start(&b));
    drain(&b);
    fact(&b, SYKLI__SCHED_HASHED, 0, true);
    fact(&b, SYKLI__SCHED_FOUND, 0, true);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_RESTORED, 0, false), "start 0; ");
out:
    sykli__sched_free(&b.s);
}

static void timeout_counts_wall_time(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 2000, 3, false));
    TRY(start(&b));
    drain(&b);
    fact(&b, SYKLI__SCHED_STARTED, 0, true);
    CHECK_INT(sykli__sched_deadline(&b.s), 2000);
    CHECK_TEXT(tick(&b, 1999), "");
    CHECK_TEXT(tick(&b, 2000), "signal 0 15; ");
    CHECK_TEXT(tick(&b, 6999), "");
    CHECK_TEXT(tick(&b, 7000), "signal 0 9; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, true), "finish 0 errored; ");
    CHECK_INT(b.s.tasks[0].why, SYKLI__SCHED_WHY_timeout);
    CHECK(sykli__sched_deadline(&b.s) == SYKLI__SCHED_NEVER);
out:
    sykli__sched_free(&b.s);
}

static void silence_is_an_error(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 0, 3, false));
    TRY(start(&b));
    drain(&b);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_STALLED, 0, true), "signal 0 15; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "finish 0 errored; ");
    CHECK_INT(b.s.tasks[0].why, SYKLI__SCHED_WHY_stalled);
out:
    sykli__sched_free(&b.s);
}

static void a_crowd_is_killed_at_once(test *t)
{
    bench b;
    begin(&b, t, 2);
    TRY(add(&b, 0, 3, false));
    TRY(add(&b, 0, 3, false));
    TRY(start(&b));
    drain(&b);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CROWDED, 0, true), "signal 0 9; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CROWDED, 0, true), "");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_KILL, 1, true), "signal 1 15; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CROWDED, 1, true), "signal 1 9; "); // its grace is over
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "finish 0 errored; ");
    CHECK_INT(b.s.tasks[0].why, SYKLI__SCHED_WHY_crowded);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 1, false), "finish 1 cancelled; ");
out:
    sykli__sched_free(&b.s);
}

static void retries_back_off(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 0, 3, false));
    TRY(start(&b));
    drain(&b);
    fact(&b, SYKLI__SCHED_STARTED, 0, true);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "retry 0; start 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "retry 0; ");
    uint64_t first = sykli__sched_deadline(&b.s);
    CHECK(first >= 800 && first <= 1200);
    CHECK_TEXT(tick(&b, first), "start 0; ");
    fact(&b, SYKLI__SCHED_EXITED, 0, false);
    uint64_t second = sykli__sched_deadline(&b.s) - first;
    CHECK(second >= 1600 && second <= 2400);
    CHECK_TEXT(tick(&b, first + second), "start 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "finish 0 failed; ");
    CHECK_INT(b.s.tasks[0].attempt, 4);
out:
    sykli__sched_free(&b.s);
}

static void failure_blocks_everything_by_default(test *t)
{
    bench b;
    begin(&b, t, 2);
    for (int i = 0; i < 4; i++) TRY(add(&b, 0, 0, false)); // 0, 1 run; 2 after 0; 3 has no worker
    TRY(sykli__sched_add_edge(&b.s, 0, 2));
    TRY(start(&b));
    drain(&b);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 1, false),
               "finish 1 failed; finish 2 blocked; finish 3 blocked; ");
    fact(&b, SYKLI__SCHED_EXITED, 0, true);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_PUBLISHED, 0, true), "finish 0 passed; ");
    CHECK_INT(b.s.unfinished, 0);
    CHECK_INT(b.s.tasks[3].blame, 1);
out:
    sykli__sched_free(&b.s);
}

static void keep_going_blocks_descendants_only(test *t)
{
    bench b;
    begin(&b, t, 1);
    b.s.keep_going = true;
    for (int i = 0; i < 4; i++) TRY(add(&b, 0, 0, false)); // 0 -> 1 -> 2, and 3
    TRY(sykli__sched_add_edge(&b.s, 0, 1));
    TRY(sykli__sched_add_edge(&b.s, 1, 2));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "start 0; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false),
               "finish 0 failed; finish 1 blocked; finish 2 blocked; start 3; ");
    CHECK_INT(b.s.tasks[2].blame, 0);
out:
    sykli__sched_free(&b.s);
}

static void skipped_task_lets_others_run(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(sykli__sched_add(&b.s, &(sykli__sched_desc){ .skip = true }));
    TRY(sykli__sched_add(&b.s, &(sykli__sched_desc){ .skip = true }));
    TRY(add(&b, 0, 0, false));
    TRY(sykli__sched_add_edge(&b.s, 0, 1));
    TRY(sykli__sched_add_edge(&b.s, 1, 2));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "finish 0 skipped; finish 1 skipped; start 2; ");
out:
    sykli__sched_free(&b.s);
}

static void cycle_is_named(test *t)
{
    bench b;
    begin(&b, t, 1);
    uint32_t cycle[8];
    size_t count = 0;
    for (int i = 0; i < 5; i++) TRY(add(&b, 0, 0, false)); // 0 -> 1 -> 2 -> 3 -> 1, 3 -> 4
    TRY(sykli__sched_add_edge(&b.s, 0, 1));
    TRY(sykli__sched_add_edge(&b.s, 1, 2));
    TRY(sykli__sched_add_edge(&b.s, 2, 3));
    TRY(sykli__sched_add_edge(&b.s, 3, 1));
    TRY(sykli__sched_add_edge(&b.s, 3, 4));
    CHECK_INT(sykli__sched_add_edge(&b.s, 2, 2), SYKLI_ECYCLE);
    int rc = sykli__sched_start(&b.s, cycle, 8, &count);
    if (rc == SYKLI_ENOMEM) goto out;
    CHECK_INT(rc, SYKLI_ECYCLE);
    CHECK_INT(count, 3);
    for (size_t i = 0; i < count; i++) CHECK(cycle[i] >= 1 && cycle[i] <= 3);
out:
    sykli__sched_free(&b.s);
}

static void cancel_ends_all(test *t)
{
    bench b;
    begin(&b, t, 1);
    for (int i = 0; i < 3; i++) TRY(add(&b, 0, 5, false));
    TRY(sykli__sched_add_edge(&b.s, 0, 2));
    TRY(start(&b));
    drain(&b);
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CANCEL, 0, true),
               "finish 1 cancelled; finish 2 cancelled; signal 0 15; ");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CANCEL, 0, true), "signal 0 9; "); // somebody insists
    CHECK_TEXT(fact(&b, SYKLI__SCHED_CANCEL, 0, true), "");
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 0, false), "finish 0 cancelled; ");
    CHECK_INT(b.s.unfinished, 0);
out:
    sykli__sched_free(&b.s);
}

static void workers_change_while_running(test *t)
{
    bench b;
    begin(&b, t, 1);
    for (int i = 0; i < 4; i++) TRY(add(&b, 0, 0, false));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "start 0; ");
    sykli__sched_step(&b.s, 0, &(sykli__sched_fact){ SYKLI__SCHED_WORKERS, 0, true, 3 });
    CHECK_TEXT(drain(&b), "start 1; start 2; ");
    sykli__sched_step(&b.s, 0, &(sykli__sched_fact){ SYKLI__SCHED_WORKERS, 0, true, 1 });
    fact(&b, SYKLI__SCHED_EXITED, 0, true);
    fact(&b, SYKLI__SCHED_EXITED, 1, true);
    CHECK_TEXT(drain(&b), ""); // 2 still runs
    CHECK_TEXT(fact(&b, SYKLI__SCHED_EXITED, 2, true), "start 3; publish 2; ");
out:
    sykli__sched_free(&b.s);
}

static void longest_path_first(test *t)
{
    bench b;
    begin(&b, t, 1);
    for (int i = 0; i < 4; i++) TRY(add(&b, 0, 0, false)); // 0 alone; 1 -> 2 -> 3
    TRY(sykli__sched_add_edge(&b.s, 1, 2));
    TRY(sykli__sched_add_edge(&b.s, 2, 3));
    TRY(start(&b));
    CHECK_TEXT(drain(&b), "start 1; ");
out:
    sykli__sched_free(&b.s);
}

// What was to be done with a task when it ended is not done: it is neither held nor tried again.
static void what_has_ended_is_left_alone(test *t)
{
    bench b;
    begin(&b, t, 1);
    TRY(add(&b, 0, 5, false));
    TRY(sykli__sched_add(&b.s, &(sykli__sched_desc){ .held = true }));
    TRY(start(&b));
    sykli__sched_step(&b.s, 0, &(sykli__sched_fact){ SYKLI__SCHED_CANCEL, 0, true, 0 });
    CHECK_TEXT(drain(&b), "finish 0 cancelled; finish 1 cancelled; ");
    CHECK(!sykli__sched_due(&b.s));
out:
    sykli__sched_free(&b.s);
}

// Random graphs with random facts: every task ends once, nothing starts before what it waits for,
// nor is anything told of it before the end of that has been told.
static void random_graphs_end(test *t)
{
    uint64_t r = 88172645463325252u;
    for (int round = 0; round < 300 && !t->failed && !t->injected; round++) {
        bench b;
        begin(&b, t, 1 + (uint32_t)(round % 4));
        b.s.keep_going = round & 1;
        bool told[64] = { false };
        uint32_t running[64], count = 0, ended = 0, n = 1 + (uint32_t)(round % 60);
        for (uint32_t i = 0; i < n; i++) TRY(add(&b, 0, (uint32_t)round % 3, i % 3 == 0));
        for (uint32_t i = 1; i < n; i++)
            for (int e = 0; e < 2; e++) {
                r ^= r << 13, r ^= r >> 7, r ^= r << 17;
                TRY(sykli__sched_add_edge(&b.s, (uint32_t)(r % i), i));
            }
        TRY(start(&b));
        for (int steps = 0; steps < 5000 && b.s.unfinished; steps++) {
            sykli__sched_action a;
            while (sykli__sched_next(&b.s, &a)) {
                r ^= r << 13, r ^= r >> 7, r ^= r << 17;
                sykli__sched_fact f = { SYKLI__SCHED_HASHED, a.task, r % 5 != 0, 0 };
                told[a.task] |= a.kind == SYKLI__SCHED_FINISH;
                for (size_t e = 0; e < b.s.edge_count; e++)
                    if (b.s.edges[e].after == a.task && a.kind != SYKLI__SCHED_FINISH)
                        CHECK(told[b.s.edges[e].before]);
                if (a.kind == SYKLI__SCHED_FINISH) { ended++; continue; }
                if (a.kind == SYKLI__SCHED_RETRY || a.kind == SYKLI__SCHED_SIGNAL) continue;
                if (a.kind == SYKLI__SCHED_START) {
                    for (size_t e = 0; e < b.s.edge_count; e++)
                        if (b.s.edges[e].after == a.task)
                            CHECK(sykli__sched_good(b.s.tasks[b.s.edges[e].before].status));
                    running[count++] = a.task;
                    CHECK(b.s.running <= b.s.workers && count == b.s.running);
                    continue;
                }
                if (a.kind == SYKLI__SCHED_LOOKUP) f.kind = SYKLI__SCHED_FOUND;
                if (a.kind == SYKLI__SCHED_RESTORE) f.kind = SYKLI__SCHED_RESTORED;
                if (a.kind == SYKLI__SCHED_PUBLISH) f.kind = SYKLI__SCHED_PUBLISHED;
                sykli__sched_step(&b.s, b.now, &f);
            }
            if (count) {
                r ^= r << 13, r ^= r >> 7, r ^= r << 17;
                uint32_t pick = (uint32_t)(r % count), task = running[pick];
                running[pick] = running[--count];
                sykli__sched_step(&b.s, b.now, &(sykli__sched_fact){ SYKLI__SCHED_EXITED, task,
                                                                     r % 7 != 0, 0 });
            } else if (sykli__sched_deadline(&b.s) != SYKLI__SCHED_NEVER) {
                b.now = sykli__sched_deadline(&b.s);
                sykli__sched_step(&b.s, b.now, &(sykli__sched_fact){ .kind = SYKLI__SCHED_TICK });
            }
        }
        sykli__sched_action a;
        while (sykli__sched_next(&b.s, &a)) ended += a.kind == SYKLI__SCHED_FINISH;
        TRY_INT(b.s.unfinished, 0);
        TRY_INT(ended, n);
        TRY_INT(b.s.running, 0);
    out:
        sykli__sched_free(&b.s);
    }
}

int main(int argc, char **argv)
{
    TEST_STORY(diamond_runs_in_order);
    TEST_STORY(hit_needs_no_worker);
    TEST_STORY(damaged_hit_runs_after_all);
    TEST_STORY(timeout_counts_wall_time);
    TEST_STORY(silence_is_an_error);
    TEST_STORY(a_crowd_is_killed_at_once);
    TEST_STORY(retries_back_off);
    TEST_STORY(failure_blocks_everything_by_default);
    TEST_STORY(keep_going_blocks_descendants_only);
    TEST_STORY(skipped_task_lets_others_run);
    TEST_STORY(cycle_is_named);
    TEST_STORY(cancel_ends_all);
    TEST_STORY(workers_change_while_running);
    TEST_STORY(longest_path_first);
    TEST_STORY(what_has_ended_is_left_alone);
    TEST_STORY(random_graphs_end);
    return test_end(argc, argv);
}
