// The power is cut: before each call of a story, in many of the states in which the disk may then
// be. Whatever it left, what the store gives back is whole, what it acknowledged as durable is
// there, a record tells of no task that did not end so, and the next process can go on.
//
//     POWERCUT_STATES=100000 build/test/test_powercut     states of each story; 1,500 by default
#define SYKLI_IMPLEMENTATION
#include "disk.h"

static const char key_loose[] =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char key_durable[] =
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static const char key_later[] =
    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc";
enum { HOUR_MS = 3600000, TASKS = 12 };

typedef struct cut {
    test *t;
    uint64_t states, per_call; // drawn in all, and at each call
    bool durable, removed;     // acknowledged; may be collected again
    int told;                  // tasks whose line was written
    void (*check)(struct cut *c, disk *d);
} cut;

static uint64_t states_wanted(void)
{
    const char *text = getenv("POWERCUT_STATES");
    return text ? strtoull(text, NULL, 10) : 1500;
}

// Text that nobody takes for another's: every line has the seed and its number.
static size_t content(char *out, size_t size, char seed)
{
    size_t used = 0;
    for (int line = 0; used + 24 < size; line++)
        used += (size_t)snprintf(out + used, 24, "%c says line %08d\n", seed, line);
    return used;
}

static uint64_t seed_of(const cut *c, const disk *d, uint64_t k)
{
    (void)c;
    return (uint64_t)d->calls * 1000003u + k;
}

// Cuts the power before this call, in many ways, and once more after what came up has worked.
static void cut_here(void *user, disk *d)
{
    cut *c = (cut *)user;
    static disk left, again; // too large for a stack
    for (uint64_t k = 0; k < c->per_call && !c->t->failed; k++, c->states++) {
        disk_cut(d, &left, seed_of(c, d, k));
        c->check(c, &left);
        if (k % 8 == 0) {
            disk_cut(&left, &again, k);
            c->check(c, &again);
            disk_free(&again);
        }
        if (c->t->failed)
            printf("    before call %ld of the story, state %llu\n", d->calls,
                   (unsigned long long)k);
        disk_free(&left);
    }
}

// Runs a story once to count its calls, then with a cut before each of them.
static void cut_everywhere(test *t, void (*story)(cut *c, disk *d),
                           void (*check)(cut *c, disk *d))
{
    static disk d;
    cut c = { .t = t, .check = check };
    disk_init(&d, 42);
    story(&c, &d);
    long calls = d.calls;
    CHECK(!d.full);
    disk_free(&d);
    c = (cut){ .t = t, .check = check, .per_call = states_wanted() / (uint64_t)calls + 1 };
    disk_init(&d, 42);
    d.before = cut_here;
    d.before_user = &c;
    story(&c, &d);
    CHECK(!d.full);
    CHECK(t->failed || c.states >= states_wanted());
    disk_free(&d);
}

// ---- the store ------------------------------------------------------------------------------
typedef struct place { sykli_mem mem; sykli__tree tree; sykli__store store; sykli_fault fault; }
    place;

static int place_open(place *p, disk *d)
{
    memset(p, 0, sizeof *p);
    p->mem.sys = &d->sys;
    int rc = sykli__tree_open(&p->tree, &p->mem, "/project", NULL, &p->fault);
    if (rc) return rc;
    rc = sykli__store_open(&p->store, &p->mem, "/cache", 0, &p->fault);
    if (rc) sykli__tree_close(&p->tree);
    return rc;
}

static void place_close(place *p)
{
    sykli__store_close(&p->store);
    sykli__tree_close(&p->tree);
}

static int publish(place *p, const char *key, const char *path, bool durable)
{
    sykli__store_entry e;
    sykli_stat stat;
    sykli__store_entry_init(&e, &p->mem);
    int rc = sykli__tree_stat(&p->tree, path, &stat);
    if (!rc) rc = sykli__store_entry_add(&e, "out", path, stat.type, &p->fault);
    if (!rc) rc = sykli__store_put_output(&p->store, &p->tree, &e.outputs[0], &p->fault);
    e.created_ms = 1;
    if (!rc) rc = sykli__store_entry_put(&p->store, key, &e, durable, &p->fault);
    sykli__store_entry_free(&e);
    return rc;
}

static int restore(place *p, const char *key)
{
    sykli__store_entry e;
    int rc = sykli__store_entry_get(&p->store, key, &e, &p->fault);
    for (size_t i = 0; !rc && i < e.output_count; i++)
        rc = sykli__store_restore(&p->store, &e.outputs[i], &p->tree, &p->fault);
    sykli__store_entry_free(&e);
    return rc;
}

static bool holds(disk *d, const char *path, char seed, size_t room)
{
    char wanted[8192];
    size_t size = content(wanted, room, seed);
    int file = disk_find(d, SYKLI_CWD, path);
    return file > 0 && d->files[file].now.size == size
        && !memcmp(d->files[file].now.data, wanted, size);
}

static void lay_content(disk *d, const char *path, char seed, size_t room)
{
    char text[8192];
    disk_lay(d, path, text, content(text, room, seed));
}

// A result that may be lost, one that may not, an hour, a collection, one more.
static void a_store_is_used(cut *c, disk *d)
{
    test *t = c->t;
    place p;
    lay_content(d, "/project/loose", 'a', 3000);
    lay_content(d, "/project/durable", 'b', 5000);
    lay_content(d, "/project/later", 'c', 700);
    CHECK_INT(place_open(&p, d), 0);
    CHECK_INT(publish(&p, key_loose, "loose", false), 0);
    CHECK_INT(publish(&p, key_durable, "durable", true), 0);
    c->durable = true;
    CHECK_INT(publish(&p, key_later, "later", false), 0);
    d->now_ms += HOUR_MS;
    CHECK_INT(restore(&p, key_durable), 0); // used: the other two are older
    d->now_ms += HOUR_MS / 10;
    uint64_t freed;
    CHECK_INT(sykli__store_gc(&p.store, 6000, &freed, &p.fault), 0);
    CHECK(freed > 0);
    CHECK_INT(restore(&p, key_durable), 0);
    c->removed = true;
    d->now_ms += HOUR_MS;
    CHECK_INT(sykli__store_gc(&p.store, 0, &freed, &p.fault), 0);
    CHECK_INT(restore(&p, key_durable), SYKLI_ENOENT);
    place_close(&p);
}

static void a_result(cut *c, place *p, disk *d, const char *key, const char *name, char seed,
                     size_t room)
{
    test *t = c->t;
    char path[64];
    snprintf(path, sizeof path, "/project/%s", name);
    disk_lay(d, path, "changed since", 13);
    int rc = restore(p, key);
    t->fault = p->fault;
    CHECK(rc == 0 || rc == SYKLI_ENOENT || rc == SYKLI_ECORRUPT);
    if (!rc) CHECK(holds(d, path, seed, room));
    if (key == key_durable && c->durable && !c->removed) CHECK_INT(rc, 0);
}

static void a_store_is_whole(cut *c, disk *d)
{
    test *t = c->t;
    place p;
    int rc = place_open(&p, d);
    t->fault = p.fault;
    CHECK_INT(rc, 0);
    if (rc) return;
    a_result(c, &p, d, key_loose, "loose", 'a', 3000);
    a_result(c, &p, d, key_durable, "durable", 'b', 5000);
    a_result(c, &p, d, key_later, "later", 'c', 700);
    lay_content(d, "/project/loose", 'a', 3000); // and the next run can go on
    CHECK_INT(publish(&p, key_loose, "loose", false), 0);
    CHECK_INT(restore(&p, key_loose), 0);
    place_close(&p);
    d->now_ms += 3 * (int64_t)HOUR_MS;
    CHECK_INT(place_open(&p, d), 0);
    int tmp = disk_find(d, SYKLI_CWD, "/cache/tmp"), garbage = 0;
    for (int i = 0; i < DISK_NAMES; i++) garbage += d->names[i].file && d->names[i].folder == tmp;
    CHECK_INT(garbage, 0);
    place_close(&p);
    CHECK(!d->full);
}

static void a_store_survives(test *t) { cut_everywhere(t, a_store_is_used, a_store_is_whole); }

// ---- the stat cache -------------------------------------------------------------------------
static int digest_of(sykli__tree *tree, const char *path, sykli_digest *out)
{
    sykli__tree_file file = { .path = path };
    int rc = sykli__tree_stat(tree, path, &file.stat);
    if (!rc) rc = sykli__tree_digest_file(tree, &file);
    *out = file.digest;
    return rc;
}

static void digests_are_kept(cut *c, disk *d)
{
    test *t = c->t;
    sykli_mem mem = { .sys = &d->sys };
    sykli__tree tree;
    sykli_digest id;
    char path[64];
    for (int i = 0; i < 8; i++) {
        snprintf(path, sizeof path, "/project/input%d", i);
        lay_content(d, path, (char)('a' + i), 400);
    }
    d->now_ms += HOUR_MS;
    for (int pass = 0; pass < 2; pass++) {
        CHECK_INT(sykli__tree_open(&tree, &mem, "/project", "/project/stat", NULL), 0);
        for (int i = 0; i < 4 + 4 * pass; i++) {
            snprintf(path, sizeof path, "input%d", i);
            CHECK_INT(digest_of(&tree, path, &id), 0);
        }
        sykli__tree_close(&tree);
    }
}

static void digests_are_right(cut *c, disk *d)
{
    test *t = c->t;
    sykli_mem mem = { .sys = &d->sys };
    sykli__tree tree;
    sykli_digest id, right;
    char path[64], text[8192];
    CHECK_INT(sykli__tree_open(&tree, &mem, "/project", "/project/stat", NULL), 0);
    for (int i = 0; i < 8; i++) {
        sykli_tree_of(text, content(text, 400, (char)('a' + i)), &right);
        snprintf(path, sizeof path, "input%d", i);
        CHECK_INT(digest_of(&tree, path, &id), 0);
        CHECK(!memcmp(id.bytes, right.bytes, 32));
    }
    sykli__tree_close(&tree);
}

static void a_stat_cache_survives(test *t)
{
    cut_everywhere(t, digests_are_kept, digests_are_right);
}

// ---- the record -----------------------------------------------------------------------------
static sykli__history_task task_number(int number, char name[32])
{
    snprintf(name, 32, "task number %d", number);
    return (sykli__history_task){ .name = name, .attempt = 1, .exit_code = number % 3,
        .key = key_loose, .reason = number % 3 ? "exit code" : NULL,
        .status = number % 3 ? SYKLI_STATUS_failed : SYKLI_STATUS_passed,
        .duration_ms = (uint64_t)number * 1000 };
}

static void a_run_is_recorded(cut *c, disk *d)
{
    test *t = c->t;
    sykli_mem mem = { .sys = &d->sys };
    sykli__history h;
    char name[32];
    disk_lay(d, "/project/file", "", 0);
    for (uint64_t run = 1; run <= 2; run++, d->now_ms += HOUR_MS) {
        CHECK_INT(sykli__history_open(&h, &mem, "/project", NULL, NULL), 0);
        CHECK_INT(sykli__history_lock(&h, NULL), 0);
        CHECK_INT(sykli__history_begin(&h, run, run * 1000, TASKS, NULL), 0);
        for (int i = 0; i < TASKS; i++) {
            sykli__history_task task = task_number(i, name);
            c->told = i + 1;
            CHECK_INT(sykli__history_task_put(&h, &task), 0);
        }
        CHECK_INT(sykli__history_end(&h, run * 1000 + 500, 8), 0);
        sykli__history_unlock(&h);
        sykli__history_close(&h);
    }
}

// A line that is read says what was written: no mixture, and nothing from thin air.
static int a_line_is_true(void *to, const sykli__history_task *task)
{
    test *t = (test *)to;
    char name[32];
    int number = atoi(task->name + strcspn(task->name, "0123456789"));
    sykli__history_task right = task_number(number, name);
    CHECK_TEXT(task->name, right.name);
    CHECK_INT(task->status, right.status);
    CHECK_INT(task->exit_code, right.exit_code);
    CHECK_INT(task->duration_ms, right.duration_ms);
    return 0;
}

static void a_record_is_true(cut *c, disk *d)
{
    test *t = c->t;
    sykli_mem mem = { .sys = &d->sys };
    sykli__history h;
    sykli__history_run run;
    CHECK_INT(sykli__history_open(&h, &mem, "/project", NULL, &t->fault), 0);
    for (size_t back = 0; back < 3; back++) {
        int rc = sykli__history_load(&h, back, &run, a_line_is_true, t);
        CHECK(rc == 0 || rc == SYKLI_ENOENT);
    }
    for (int i = 0; i < TASKS; i++) {
        char name[32];
        uint64_t median_ms, last_ms;
        sykli__history_task right = task_number(i, name);
        if (!sykli__history_duration(&h, name, &median_ms, &last_ms)) continue;
        CHECK_INT(median_ms, right.duration_ms);
    }
    CHECK_INT(sykli__history_lock(&h, NULL), 0);
    uint64_t fresh = (uint64_t)d->boot * 1000;
    CHECK_INT(sykli__history_begin(&h, fresh, fresh, 1, NULL), 0);
    sykli__history_task task = { .name = "task number 0", .attempt = 1,
                                 .status = SYKLI_STATUS_passed, .key = key_loose };
    CHECK_INT(sykli__history_task_put(&h, &task), 0);
    CHECK_INT(sykli__history_end(&h, fresh + 1, 0), 0);
    sykli__history_unlock(&h);
    sykli__history_close(&h);
}

static void a_record_survives(test *t) { cut_everywhere(t, a_run_is_recorded, a_record_is_true); }

int main(int argc, char **argv)
{
    // The disk is a model with power cuts of its own, thousands in each of these.
    TEST_ONCE(a_store_survives);
    TEST_ONCE(a_stat_cache_survives);
    TEST_ONCE(a_record_survives);
    return test_end(argc, argv);
}
