// What is remembered of tasks that were up to date, and all that must be seen in spite of it.
#define SYKLI_IMPLEMENTATION
#include "place.h"

// One task that copies `in` to `out/copy`, started by the program `tool/carry` of its own PATH.
static sykli *copying(test *t, const place *p, const char *command)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/tool:/usr/bin:/bin", p->base);
    sykli *s = open_in(t, p, (sykli_desc){ 0 });
    if (s) sykli_add(s, &(sykli_task_desc){ .name = "copy", .command = command,
        .inputs = { "in" }, .outputs = { { "o", "out" } }, .env = { { "PATH", path } } });
    return s;
}

static void tool(const place *p, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/tool", p->base);
    mkdir(path, 0755);
    put(p, "../tool/carry", text);
    snprintf(path, sizeof path, "%s/tool/carry", p->base);
    chmod(path, 0755);
}

// The file systems' clock has ticks: a file must have rested before its stat says anything.
static void rest(const place *p, const char *name)
{
    char path[300];
    const struct timespec times[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    snprintf(path, sizeof path, "%s/%s", p->project, name);
    utimensat(AT_FDCWD, path, times, 0);
}

// Runs it; after a failure was injected nothing more is expected.
//   recalled  false: the long way has to be gone
static void ran(test *t, const place *p, const char *command, sykli_status status, bool recalled)
{
    sykli *s = copying(t, p, command);
    TRY_NOT_NULL(s);
    if (!run_all(t, s, 0)) goto out;
    CHECK_TEXT(sykli_status_names[status_of(s, "copy")], sykli_status_names[status]);
    CHECK_INT(s->drive.tasks[0].recalled, recalled);
out:
    sykli_close(s);
}

static const char plain[] = "carry in out/copy";

static void begin(test *t, place *p)
{
    place_make(p);
    tool(p, "#!/bin/sh\nmkdir -p out; cp $1 $2\n");
    put(p, "in", "first");
    rest(p, "in");
    ran(t, p, plain, SYKLI_STATUS_passed, false);
}

static void what_is_up_to_date_is_recalled(test *t)
{
    place p;
    char text[256];
    begin(t, &p);
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    CHECK_TEXT(said(&p, "out/copy", text), t->injected ? text : "first");
    put(&p, "in", "first"); // another time, the same bytes
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    place_end(t, &p);
}

static void what_changed_is_seen(test *t)
{
    place p;
    char text[256];
    begin(t, &p);
    put(&p, "in", "other");
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    if (!t->injected) CHECK_TEXT(said(&p, "out/copy", text), "other");
    ran(t, &p, "carry in  out/copy", SYKLI_STATUS_passed, false);
    ran(t, &p, "carry in  out/copy", SYKLI_STATUS_cached, true);
    tool(&p, "#!/bin/sh\nmkdir -p out; /bin/cp $1 $2\n");
    ran(t, &p, "carry in  out/copy", SYKLI_STATUS_passed, false);
    put(&p, "in", "first"); // what was before has another tool now
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    place_end(t, &p);
}

static void outputs_changed_by_hand_are_put_back(test *t)
{
    place p;
    char text[256];
    begin(t, &p);
    if (t->injected) goto out;
    put(&p, "out/copy", "not so");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    if (!t->injected) CHECK_TEXT(said(&p, "out/copy", text), "first");
    drop(&p, "out/copy");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    if (t->injected) goto out;
    CHECK_TEXT(said(&p, "out/copy", text), "first");
    put(&p, "out/more", "left over");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    if (!t->injected) CHECK_TEXT(said(&p, "out/more", text), "");
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
out:
    place_end(t, &p);
}

// Runs it until what stands in the folder is known by stats alone. Files have to have rested.
static void stand(test *t, const place *p)
{
    for (int tries = 0; tries < 1000; tries++) {
        sykli *s = copying(t, p, plain);
        bool ran = s && run_all(t, s, 0); // else a failure was injected
        bool known = ran && s->drive.tasks[0].stood && s->drive.tree.unread
                  && !s->drive.history.loaded;
        if (ran) CHECK_TEXT(sykli_status_names[status_of(s, "copy")], "cached");
        sykli_close(s);
        if (known || !ran || t->failed) return;
    }
    test_fail(t, __FILE__, __LINE__, "it never stood");
}

// What stands is known without a look at the stat cache and the durations; but content decides.
static void what_stands_is_known_by_its_stats(test *t)
{
    place p;
    char text[256];
    begin(t, &p);
    if (t->injected) goto out;
    stand(t, &p);
    put(&p, "in", "first"); // another time, the same bytes
    rest(&p, "in");
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    stand(t, &p);
    put(&p, "in", "fir5t"); // the same size and time of change
    rest(&p, "in");
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    TRY_TEXT(said(&p, "out/copy", text), "fir5t");
    stand(t, &p);
    put(&p, "out/copy", "fir6t");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    TRY_TEXT(said(&p, "out/copy", text), "fir5t");
    stand(t, &p);
    put(&p, "out/more", "");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    TRY_TEXT(said(&p, "out/more", text), "");
    stand(t, &p);
    drop(&p, "out/copy");
    ran(t, &p, plain, SYKLI_STATUS_cached, false);
    stand(t, &p);
    tool(&p, "#!/bin/sh\nmkdir -p out; cp $1 $2\n"); // written anew, the same bytes
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    stand(t, &p);
    tool(&p, "#!/bin/sh\nmkdir -p out; cp $1 $2;\n");
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    stand(t, &p);
    ran(t, &p, "carry in out/copy ", SYKLI_STATUS_passed, false);
out:
    place_end(t, &p);
}

enum { PARTS = 70 };
static int helpers; // threads that were wanted
static int no_helper(void *u, sykli_thread *thread)
{
    (void)u, (void)thread;
    helpers++;
    return -11; // EAGAIN
}

// The same with many inputs.
static void gathered(test *t, const place *p, const char *status)
{
    char names[PARTS][32];
    const char *list[PARTS];
    for (int i = 0; i < PARTS; i++) {
        snprintf(names[i], sizeof names[i], "part%d", i);
        list[i] = names[i];
    }
    helpers = 0;
    sykli *s = open_in(t, p, (sykli_desc){ .threads_max = 2 });
    TRY_NOT_NULL(s);
    sykli_add(s, &(sykli_task_desc){ .name = "gather", .command = "cat part0 part1 >out",
        .input_list = list, .input_count = PARTS, .outputs = { { "o", "out" } } });
    if (run_all(t, s, 0)) CHECK_TEXT(sykli_status_names[status_of(s, "gather")], status);
out:
    sykli_close(s);
}

// Many files that stand are asked about by several threads; content decides all the same.
static void many_that_stand_are_asked_about_at_once(test *t)
{
    place p;
    char name[32], text[256];
    place_make(&p);
    t->sys.thread = no_helper;
    for (int i = 0; i < PARTS; i++) {
        snprintf(name, sizeof name, "part%d", i);
        put(&p, name, "some");
        rest(&p, name);
    }
    gathered(t, &p, "passed");
    CHECK_INT(helpers, 0);
    for (int tries = 0; tries < 1000 && !helpers && !t->failed; tries++) gathered(t, &p, "cached");
    CHECK_INT(helpers, 1);
    put(&p, "part1", "thin");
    rest(&p, "part1");
    gathered(t, &p, "passed");
    TRY_TEXT(said(&p, "out", text), "somethin");
out:
    place_end(t, &p);
}

static int remove_blob(void *user, const sykli__store_blob *blob)
{
    return sykli__store_damaged((sykli__store *)user, &blob->digest, NULL) == SYKLI_ECORRUPT;
}

static void a_store_that_lost_something_is_asked_again(test *t)
{
    place p;
    sykli__store store = { .dir_fd = -1 };
    begin(t, &p);
    TRY(sykli__store_open(&store, &t->mem, p.cache, 0, &t->fault));
    sykli__store_each_blob(&store, remove_blob, &store);
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
    TRY(sykli__store_clear(&store, &t->fault));
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    uint64_t freed;
    TRY(sykli__store_gc(&store, 0, &freed, &t->fault));
    ran(t, &p, plain, SYKLI_STATUS_passed, false);
    TRY(sykli__store_gc(&store, UINT64_MAX, &freed, &t->fault)); // nothing has to go
    ran(t, &p, plain, SYKLI_STATUS_cached, true);
out:
    sykli__store_close(&store);
    place_end(t, &p);
}

static const char *name_of(const void *user, size_t number)
{
    return ((const char *const *)user)[number];
}

static void records_outlive_the_order_of_tasks(test *t)
{
    static const char *const first[] = { "a", "b", "c" }, *const second[] = { "c", "d" };
    const uint64_t mark[2] = { 7, 8 };
    sykli__memo m = { 0 };
    sykli__memo_task task = { .inputs = { 7, 8 }, .looked_ms = 1000, .saved_ms = 5 };
    char dir[] = "/tmp/sykli-memo-XXXXXX", file[64];
    int fd = mkdtemp(dir) ? open(dir, O_RDONLY | O_DIRECTORY) : -1;
    TRY(sykli__memo_open(&m, &t->mem, fd, 3, 1));
    for (size_t i = 0; i < 3; i++) sykli__memo_put(&m, i, &task);
    TRY(sykli__memo_save(&m, fd, 1000, name_of, first));
    sykli__memo_free(&m);
    TRY(sykli__memo_open(&m, &t->mem, fd, 2, 1));
    TRY_NOT_NULL(sykli__memo_recall(&m, 0, "c", mark, false, 1000));
    CHECK(!sykli__memo_recall(&m, 1, "d", mark, false, 1000));
    sykli__memo_put(&m, 1, &task);
    TRY(sykli__memo_save(&m, fd, 1000, name_of, second));
    sykli__memo_free(&m);
    TRY(sykli__memo_open(&m, &t->mem, fd, 4, 1));
    CHECK(t->injected || m.head.count == 4);
    CHECK(t->injected || sykli__memo_recall(&m, 3, "b", mark, false, 1000));
    CHECK(!sykli__memo_recall(&m, 2, "b", (const uint64_t[2]){ 7, 9 }, false, 1000));
    CHECK(!sykli__memo_recall(&m, 2, "b", mark, false, 1000 + SYKLI__MEMO_TRUST_MS + 1));
    CHECK(!sykli__memo_recall(&m, 2, "b", mark, false, 999)); // the clock was put back
    sykli__memo_free(&m);
    TRY(sykli__memo_open(&m, &t->mem, fd, 1, 2)); // another store
    CHECK(!sykli__memo_recall(&m, 0, "c", mark, false, 1000));
    sykli__memo_free(&m);
    snprintf(file, sizeof file, "%s/memo", dir);
    if (truncate(file, 200)) goto out;
    TRY(sykli__memo_open(&m, &t->mem, fd, 1, 1)); // damaged: as good as none
    CHECK_INT(m.head.count, 0);
out:
    sykli__memo_free(&m);
    if (fd >= 0) close(fd);
    snprintf(file, sizeof file, "rm -rf %s", dir);
    if (system(file)) printf("  %s stays\n", dir);
}

int main(int argc, char **argv)
{
    TEST_SOME(30, what_is_up_to_date_is_recalled);
    TEST_FEW(20, 400, what_changed_is_seen);
    TEST_SOME(30, outputs_changed_by_hand_are_put_back);
    TEST_FEW(20, 200, what_stands_is_known_by_its_stats);
    TEST_ONCE(many_that_stand_are_asked_about_at_once); // what may fail is in the one before
    TEST_FEW(20, 400, a_store_that_lost_something_is_asked_again);
    TEST_STORY(records_outlive_the_order_of_tasks);
    return test_end(argc, argv);
}
