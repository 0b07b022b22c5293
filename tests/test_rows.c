// Row files: what one process writes, another reads, while the writer runs, when it was killed, and
// when somebody tampers with the file. The writer must never notice.
#define SYKLI_IMPLEMENTATION
#include "test.h"

#define LAMP_COLUMNS(X, T)                                                                         \
    X(T, U64, serial, 0, none, public, "id")                                                       \
    X(T, REF, name, 0, none, public, "what it is called")                                          \
    X(T, STR, room, 16, none, public, "where it hangs")                                            \
    X(T, U64, power, 0, none, observer, "watts")                                                   \
    X(T, U64, power_again, 0, none, observer, "the same")                                          \
    X(T, ENUM, status, sykli_status_names, none, public, "state")                                  \
    X(T, BOOL, on, 0, none, public, "burns")
SYKLI_ROW(lamp, LAMP_COLUMNS)
SYKLI_COLUMNS(lamp, LAMP_COLUMNS)
static const sykli_table lamp_table = { "lamps", "lights", lamp_columns, 7, sizeof(lamp), 0, NULL,
                                        NULL };
static const sykli_table wide_table = { "lamps", "lights", lamp_columns, 6, sizeof(lamp), 0, NULL,
                                        NULL };

typedef struct seen {
    sykli_emit emit;
    test *t;
    int rows, odd, stop_at;
    char name[64], node[80];
    lamp last;
} seen;

static int see(sykli_emit *to, const void *row)
{
    seen *s = (seen *)to;
    memcpy(&s->last, row, sizeof s->last);
    size_t at = (size_t)(s->last.name >> 24), size = (size_t)(s->last.name & 0xffffff);
    // A row that is emitted is one that was written: the two powers agree, with the name too.
    char want[32];
    snprintf(want, sizeof want, "lamp %llu", (unsigned long long)s->last.power);
    if (s->last.power != s->last.power_again || s->last.room[15]) s->odd++;
    s->name[0] = 0;
    if (s->last.name) {
        if (at + size > to->heap_size || size >= sizeof s->name) s->odd++;
        else {
            memcpy(s->name, to->heap + at, size);
            s->name[size] = 0;
            if (strcmp(s->name, want)) s->odd++;
        }
    }
    snprintf(s->node, sizeof s->node, "%s", to->node ? to->node : "");
    return ++s->rows == s->stop_at ? 77 : 0;
}

static seen see_all(test *t, const char *dir, const sykli_table *table, const sykli__rows *self,
                    bool dead_too, int *rc)
{
    seen s;
    memset(&s, 0, sizeof s);
    s.emit.row = see;
    s.t = t;
    *rc = sykli__rows_scan_dir(&t->mem, dir, table, self, dead_too, &s.emit);
    return s;
}

static int lamps_open(test *t, sykli__rows *r, const char *dir, uint32_t capacity, size_t heap)
{
    sykli__rows_pool_desc pool = { &lamp_table, capacity };
    sykli__rows_desc desc = { dir, "attic", "run", &pool, 1, heap };
    return sykli__rows_open(r, &t->mem, &desc, &t->fault);
}

static int lamp_add(sykli__rows *r, uint64_t power)
{
    char name[32];
    uint64_t serial;
    int slot = sykli__rows_take(r, 0, &serial);
    if (slot < 0) return slot;
    lamp *l = (lamp *)sykli__rows_at(r, 0, (uint32_t)slot);
    int size = snprintf(name, sizeof name, "lamp %llu", (unsigned long long)power);
    l->serial = serial;
    l->name = sykli__rows_text(r, name, (size_t)size);
    l->power = l->power_again = power;
    snprintf(l->room, sizeof l->room, "room %u", (unsigned)(power % 100));
    sykli__rows_write(r, 0, (uint32_t)slot, NULL);
    return slot;
}

static void folder_make(char *out)
{
    strcpy(out, "/tmp/sykli-rows-XXXXXX");
    if (!mkdtemp(out)) *out = 0;
}

static int folder_clean(void *to, const char *name, int type)
{
    (void)type;
    unlinkat(*(int *)to, name, 0);
    return 0;
}

static void folder_remove(const char *dir)
{
    sykli_sys sys;
    char path[64];
    sykli_sys_init(&sys);
    snprintf(path, sizeof path, "%s/rows", dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    if (fd >= 0) sys.list(NULL, fd, folder_clean, &fd);
    if (fd >= 0) close(fd);
    rmdir(path);
    rmdir(dir);
}

static void file_path(char out[128], const char *dir, const sykli__rows *r)
{
    snprintf(out, 128, "%s/rows/%s", dir, r->name);
}

// ---- stories --------------------------------------------------------------------------------
static void rows_are_read_by_others(test *t)
{
    char dir[32];
    sykli__rows a, b;
    int rc, opened;
    folder_make(dir);
    memset(&b, 0, sizeof b);
    opened = lamps_open(t, &a, dir, 10, 1000);
    TRY(opened);
    TRY(lamps_open(t, &b, dir, 10, 1000));
    TRY(lamp_add(&a, 40));
    TRY(lamp_add(&a, 60));
    TRY(lamp_add(&b, 100));
    seen s = see_all(t, dir, &lamp_table, NULL, false, &rc);
    TRY(rc);
    if (!t->injected) CHECK_INT(s.rows, 0); // not published yet
    sykli__rows_flush(&a);
    sykli__rows_flush(&b);
    s = see_all(t, dir, &lamp_table, &a, false, &rc);
    TRY(rc);
    if (t->injected) goto out; // a failing read is a row less, no error
    CHECK_INT(s.rows, 1);
    CHECK_TEXT(s.name, "lamp 100");
    CHECK_TEXT(s.node, "attic");
    CHECK_TEXT(s.last.room, "room 0");
    CHECK(s.last.serial >> 32 == b.boot && (uint32_t)s.last.serial == 1);
    s = see_all(t, dir, &lamp_table, NULL, false, &rc);
    if (t->injected) goto out;
    CHECK_INT(s.rows, 3);
    CHECK_INT(see_all(t, dir, &wide_table, NULL, false, &rc).rows, 0); // of another layout
    s = see_all(t, dir, &lamp_table, &b, false, &rc);
    if (t->injected) goto out;
    CHECK_INT(s.rows, 2);
    CHECK_INT(s.odd, 0);
    sykli__rows_release(&a, 0, 0);
    sykli__rows_flush(&a);
    s = see_all(t, dir, &lamp_table, &b, false, &rc);
    if (t->injected) goto out;
    CHECK_INT(s.rows, 1);
    CHECK_TEXT(s.name, "lamp 60");
    memset(&s, 0, sizeof s);
    s.emit.row = see, s.stop_at = 1;
    rc = sykli__rows_scan_dir(&t->mem, dir, &lamp_table, NULL, false, &s.emit);
    if (!t->injected) CHECK_INT(rc, 77);
out:
    if (opened >= 0) sykli__rows_close(&a);
    sykli__rows_close(&b);
    sykli__rows_close(&b); // again: nothing
    folder_remove(dir);
    CHECK(access(dir, F_OK));
}

static void memory_alone_is_enough(test *t)
{
    sykli__rows r;
    uint64_t serial, again;
    seen s;
    memset(&s, 0, sizeof s);
    s.emit.row = see;
    int opened = lamps_open(t, &r, NULL, 3, 64), slot;
    TRY(opened);
    TRY(lamp_add(&r, 1));
    TRY(slot = lamp_add(&r, 2));
    TRY(lamp_add(&r, 3));
    CHECK_INT(sykli__rows_take(&r, 0, &serial), SYKLI_ELIMIT);
    serial = ((lamp *)sykli__rows_at(&r, 0, (uint32_t)slot))->serial;
    sykli__rows_release(&r, 0, (uint32_t)slot);
    CHECK_INT(sykli__rows_take(&r, 0, &again), slot); // the slot comes back, the serial never
    CHECK(again != serial);
    CHECK_INT(((lamp *)sykli__rows_at(&r, 0, (uint32_t)slot))->power, 0);
    sykli__rows_flush(&r);
    CHECK_INT(sykli__rows_scan(&r, 0, &s.emit), 0);
    CHECK_INT(s.rows, 3);
    if (!t->injected) CHECK_TEXT(s.name, "lamp 3");
    CHECK_INT(s.odd, 0);
out:
    if (opened >= 0) sykli__rows_close(&r);
}

#define SWITCH_COLUMNS(X, T)                                                                       \
    X(T, BOOL, on, 0, none, public, "burns")                                                       \
    X(T, U64, lamp, 0, none, public, "its lamp")
SYKLI_ROW(wall_switch, SWITCH_COLUMNS)
SYKLI_COLUMNS(wall_switch, SWITCH_COLUMNS)

// What stood on the stack before a row was made there is not for others.
static void gaps_are_not_published(test *t)
{
    static const sykli_table table = { "switches", "on walls", wall_switch_columns, 2,
                                       sizeof(wall_switch), 0, NULL, NULL };
    sykli__rows_pool_desc pool = { &table, 4 };
    sykli__rows_desc desc = { NULL, "attic", "run", &pool, 1, 0 };
    sykli__rows r;
    uint64_t serial;
    _Alignas(wall_switch) char bytes[sizeof(wall_switch)];
    int opened = sykli__rows_open(&r, &t->mem, &desc, &t->fault);
    TRY(opened);
    memset(bytes, 's', sizeof bytes);
    ((wall_switch *)(void *)bytes)->on = 1;
    int slot = sykli__rows_take(&r, 0, &serial);
    TRY(slot);
    sykli__rows_write(&r, 0, (uint32_t)slot, bytes);
    memcpy(bytes, sykli__rows_at(&r, 0, (uint32_t)slot), sizeof bytes);
    size_t next = offsetof(wall_switch, lamp);
    for (size_t i = sizeof(uint32_t); i < next; i++) CHECK_INT(bytes[i], 0);
    CHECK(bytes[next] == 's');
out:
    if (opened >= 0) sykli__rows_close(&r);
}

static void texts_are_kept_once_and_dropped(test *t)
{
    sykli__rows r = { 0 };
    int rc, slot;
    char dir[32];
    folder_make(dir);
    TRY(lamps_open(t, &r, dir, 40, 300));
    uint64_t ref = sykli__rows_text(&r, "corridor", 8);
    TRY_TRUE(ref && ref == sykli__rows_text(&r, "corridor", 8));
    CHECK_INT(sykli__rows_text(&r, "", 0), 0);
    static const char long_text[301] = "x";
    CHECK_INT(sykli__rows_text(&r, long_text, 301), 0);
    // More names pass through than the heap holds; what is shown is right or missing, never wrong.
    int missing = 0;
    for (int i = 0; i < 4000; i++) {
        TRY(slot = lamp_add(&r, (uint64_t)i));
        missing += !((lamp *)sykli__rows_at(&r, 0, (uint32_t)slot))->name;
        sykli__rows_flush(&r);
        if (i % 10 == 9) {
            seen s = see_all(t, dir, &lamp_table, NULL, false, &rc);
            TRY_INT(s.rows, 1);
            CHECK_INT(s.odd, 0);
            TRY_INT(s.last.power, i);
        }
        sykli__rows_release(&r, 0, (uint32_t)slot);
    }
    TRY_TRUE(missing < 3800);
    TRY_TRUE(r.header.epoch > 10 && !(r.header.epoch & 1) && !r.error);
out:
    sykli__rows_close(&r);
    folder_remove(dir);
}

static void wrong_descriptions_are_refused(test *t)
{
    static const sykli_column text[] = { { "a", SYKLI_KIND_TEXT, 0, 0, 0, 8, NULL, "" } };
    const sykli_table texts = { "texts", "", text, 1, 8, 0, NULL, NULL };
    sykli__rows r;
    sykli__rows_pool_desc pool = { &texts, 10 };
    sykli__rows_desc desc = { NULL, "attic", "run", &pool, 1, 100 };
    TRY_INT(sykli__rows_open(&r, &t->mem, &desc, &t->fault), SYKLI_EINVAL);
    TRY_TEXT(t->fault.text, "rows of texts: column a is TEXT, which means nothing in another "
               "process; make it REF or STR");
    pool.table = &lamp_table, pool.capacity = 0;
    TRY_INT(sykli__rows_open(&r, &t->mem, &desc, &t->fault), SYKLI_ELIMIT);
    pool.capacity = 1, desc.state_dir = "/proc/nonesuch";
    TRY_TRUE(sykli__rows_open(&r, &t->mem, &desc, &t->fault) < 0);
    TRY_TRUE(strstr(t->fault.text, "rows of this process in /proc/nonesuch/rows: ") != NULL);
out:;
}

// Numbers only ever rise, also when the counter lost some in a power cut or was damaged.
static void serials_are_never_reused(test *t)
{
    char dir[32], path[64];
    sykli__rows r = { 0 };
    folder_make(dir);
    uint64_t last = 0;
    for (int i = 0; i < 4; i++) {
        TRY_INT(lamps_open(t, &r, dir, 1, 8), 0);
        TRY_TRUE(r.boot == last + 1);
        last = r.boot;
        sykli__rows_close(&r);
    }
    snprintf(path, sizeof path, "%s/rows/.boot", dir);
    FILE *file = fopen(path, "r+");
    if (file) {
        fputs("0000000007 another-boot-of-the-machine-entirely ", file);
        fclose(file);
    }
    TRY_INT(lamps_open(t, &r, dir, 1, 8), 0);
    TRY_INT(r.boot, 8 + SYKLI__ROWS_REBOOT_GAP);
    sykli__rows_close(&r);
    file = fopen(path, "w");
    if (file) {
        fputs("garbage", file);
        fclose(file);
    }
    TRY_INT(lamps_open(t, &r, dir, 1, 8), 0);
    TRY_TRUE(r.boot >= 1u << 31);
    sykli__rows_close(&r);
    TRY_INT(lamps_open(t, &r, NULL, 1, 8), 0);
    r.counter = UINT32_MAX;
    uint64_t serial, boot = r.boot;
    TRY_TRUE(sykli__rows_take(&r, 0, &serial) >= 0);
    TRY_TRUE(serial >> 32 == r.boot && boot != r.boot && (uint32_t)serial == 1);
out:
    sykli__rows_close(&r);
    folder_remove(dir);
}

static void a_killed_writer_leaves_its_rows(test *t)
{
    char dir[32];
    int rc, status;
    sykli__rows live = { 0 };
    folder_make(dir);
    int pid = fork();
    if (!pid) {
        sykli__rows r;
        test_calm(t);
        if (lamps_open(t, &r, dir, 10, 1000)) _exit(1);
        for (int i = 0; i < 5; i++) lamp_add(&r, (uint64_t)i);
        sykli__rows_flush(&r);
        raise(SIGKILL);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    TRY_INT(see_all(t, dir, &lamp_table, NULL, false, &rc).rows, 0);
    seen s = see_all(t, dir, &lamp_table, NULL, true, &rc);
    TRY_INT(s.rows, 5);
    TRY_TEXT(s.name, "lamp 4");
    TRY_INT(lamps_open(t, &live, dir, 10, 1000), 0);
    TRY_INT(sykli__rows_sweep(&t->mem, dir, 3600000), 0); // too young
    TRY_INT(sykli__rows_sweep(&t->mem, dir, -10000), 1);  // the dead one, not the live one
    TRY_INT(see_all(t, dir, &lamp_table, NULL, true, &rc).rows, 0);
    lamp_add(&live, 7);
    sykli__rows_flush(&live);
    TRY_INT(see_all(t, dir, &lamp_table, NULL, false, &rc).rows, 1);
out:
    sykli__rows_close(&live);
    folder_remove(dir);
}

// mesh-decisions 9: scribble over the file under load, then truncate it. The writer works on from
// its own memory, nothing wrong is shown, and it does not die of it.
static void tampering_does_not_reach_the_writer(test *t)
{
    char dir[32], path[128];
    sykli__rows r = { 0 };
    uint32_t x = 1;
    int rc, fd = -1;
    folder_make(dir);
    TRY(lamps_open(t, &r, dir, 64, 4000));
    file_path(path, dir, &r);
    for (int i = 0; i < 64; i++) TRY_INT(lamp_add(&r, (uint64_t)i), i);
    sykli__rows_flush(&r);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    off_t size = lseek(fd, 0, SEEK_END);
    for (int round = 0; round < 3000; round++) {
        lamp l = *(lamp *)sykli__rows_at(&r, 0, (uint32_t)round % 64);
        CHECK_INT(l.power, l.power_again);
        l.on = (uint32_t)round;
        sykli__rows_write(&r, 0, (uint32_t)round % 64, &l);
        sykli__rows_flush(&r);
        x = x * 1664525 + 1013904223;
        uint64_t junk[2] = { x * 0x9e3779b97f4a7c15u, x };
        if (round == 2000) CHECK(!ftruncate(fd, 0));
        else if (pwrite(fd, junk, x % 16 + 1, (off_t)(x >> 8) % size) < 0) CHECK(false);
        if (round % 50 == 49) {
            seen s = see_all(t, dir, &lamp_table, NULL, false, &rc);
            CHECK_INT(s.odd, 0);
            CHECK(s.rows <= 64);
        }
    }
    seen s;
    memset(&s, 0, sizeof s);
    s.emit.row = see;
    CHECK_INT(sykli__rows_scan(&r, 0, &s.emit), 0);
    CHECK_INT(s.rows, 64);
    CHECK_INT(s.odd, 0);
    CHECK_INT(s.last.on, 2943);
out:
    if (fd >= 0) close(fd);
    sykli__rows_close(&r);
    folder_remove(dir);
}

// A file whose checksums are right and whose contents lie.
static void lies_with_good_checksums_are_bounded(test *t)
{
    char dir[32], path[128];
    sykli__rows r = { 0 };
    uint32_t x = 7;
    int rc, shown = 0;
    folder_make(dir);
    TRY(lamps_open(t, &r, dir, 16, 500));
    file_path(path, dir, &r);
    for (int i = 0; i < 16; i++) TRY(lamp_add(&r, (uint64_t)i));
    sykli__rows_flush(&r);
    for (int round = 0; round < 3000; round++) {
        sykli__rows_header h = r.header;
        lamp l = *(lamp *)sykli__rows_at(&r, 0, 3);
        char slot[SYKLI__ROWS_SLOT_HEAD + sizeof(lamp)];
        sykli__rows_slot s = { 9, 1, 0 };
        x = x * 1664525 + 1013904223;
        uint64_t lie = round % 3 ? x >> 9 : x * 0x9e3779b97f4a7c15u;
        size_t at = (x >> 4) % ((sizeof h - 8) / 8) * 8;
        if (round & 1) memcpy((char *)&h + at, &lie, 8);
        else memcpy((char *)&l + (x >> 4) % (sizeof l / 8) * 8, &lie, 8);
        h.check = sykli__rows_header_check(&h);
        sykli__rows_slot_store(slot, 3, &s, (char *)&l, sizeof l);
        CHECK(!sykli__rows_put(&t->real, r.fd, &h, sizeof h, 0));
        CHECK(!sykli__rows_put(&t->real, r.fd, slot, sizeof slot,
                               r.header.pool[0].at + 3 * sizeof slot));
        seen all = see_all(t, dir, &lamp_table, NULL, false, &rc);
        CHECK(all.rows <= 16 && all.last.room[15] == 0);
        CHECK(all.last.status < SYKLI_STATUS_COUNT || all.last.status == SYKLI_NULL_ENUM);
        shown += all.rows;
    }
    TRY_TRUE(shown > 16000);
out:
    sykli__rows_close(&r);
    folder_remove(dir);
}

// One process writes as fast as it can, with texts coming and going; another must never see a row
// that was not written so.
static void a_hammering_writer_is_read_whole(test *t)
{
    char dir[32];
    int rc, status, rows = 0, odd = 0, scans = 0;
    folder_make(dir);
    int pid = fork();
    if (!pid) {
        sykli__rows r;
        test_calm(t);
        if (lamps_open(t, &r, dir, 64, 1500)) _exit(1);
        for (uint64_t i = 0;; i++) {
            if (i >= 64) sykli__rows_release(&r, 0, (uint32_t)(i % 64));
            if (lamp_add(&r, i) < 0) _exit(2);
            if (i % 3 == 0) sykli__rows_flush(&r);
        }
    }
    uint64_t until = t->real.now_ns(NULL) + (test_failing(t) ? 30000000u : 300000000u);
    while (t->real.now_ns(NULL) < until) {
        seen s = see_all(t, dir, &lamp_table, NULL, false, &rc);
        rows += s.rows, odd += s.odd, scans++;
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    CHECK_INT(odd, 0);
    CHECK(test_failing(t) || (scans > 10 && rows > 100));
    seen s = see_all(t, dir, &lamp_table, NULL, true, &rc); // killed at any point
    CHECK_INT(s.odd, 0);
    CHECK(s.rows >= 62 || test_failing(t));
    folder_remove(dir);
}

int main(int argc, char **argv)
{
    TEST_STORY(rows_are_read_by_others);
    TEST_STORY(memory_alone_is_enough);
    TEST_STORY(gaps_are_not_published);
    TEST_SOME(10, texts_are_kept_once_and_dropped);
    TEST_STORY(wrong_descriptions_are_refused);
    TEST_SOME(30, serials_are_never_reused);
    TEST_STORY(a_killed_writer_leaves_its_rows);
    TEST_SOME(20, tampering_does_not_reach_the_writer);
    TEST_SOME(5, lies_with_good_checksums_are_bounded);
    TEST_SOME(10, a_hammering_writer_is_read_whole);
    return test_end(argc, argv);
}
