// Stories of the confined walk and the stat cache.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#include <sched.h>
#include <time.h>

// A folder of our own, by the host's means: what is prepared is not under test.
typedef struct place { char root[64], outside[64]; } place;

// The digest of one file, by way of the stat cache.
static int digest_of(sykli__tree *t, const char *path, sykli_stat *stat, sykli_digest *out,
                     sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    int rc = sykli__tree_clean(path, clean, fault);
    if (rc) return rc;
    sykli__tree_file file = { .path = clean };
    rc = sykli__tree_stat(t, clean, &file.stat);
    if (!rc && file.stat.type != SYKLI_FILE_regular && file.stat.type != SYKLI_FILE_symlink)
        return sykli_fail(fault, SYKLI_EINVAL, "%s is not a file", path);
    if (!rc) rc = sykli__tree_digest_file(t, &file);
    if (rc < 0) return sykli_fail_sys(fault, rc, "%s cannot be read", path);
    *stat = file.stat;
    *out = file.digest;
    return 0;
}

static void place_make(place *p)
{
    snprintf(p->root, sizeof p->root, "/tmp/sykli-tree-XXXXXX");
    snprintf(p->outside, sizeof p->outside, "/tmp/sykli-outside-XXXXXX");
    if (!mkdtemp(p->root) || !mkdtemp(p->outside)) abort();
}

static void place_remove(const place *p)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    sykli__tree_remove_at(&mem, SYKLI_CWD, p->root, 0);
    sykli__tree_remove_at(&mem, SYKLI_CWD, p->outside, 0);
}

static const char *below(const char *root, const char *path)
{
    static char text[4][8192];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof text[turn], "%s/%s", root, path);
    return text[turn];
}

static void put(const char *root, const char *path, const char *content)
{
    char folder[8192];
    snprintf(folder, sizeof folder, "%s", below(root, path));
    for (char *p = folder + strlen(root) + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        mkdir(folder, 0755);
        *p = '/';
    }
    FILE *file = fopen(folder, "w");
    if (!file || fputs(content, file) < 0 || fclose(file)) abort();
}

static bool there(const char *root, const char *path)
{
    struct stat st;
    return !lstat(below(root, path), &st);
}

// Makes a file look as if it had rested for long, so that its stat is believed. The change time is
// the kernel's, so the clock of the test is moved on instead.
static int64_t late_ms;
static int64_t still_ms; // a clock that stands: whoever is slow sees the same tick
static int64_t still_wall_ms(void *u) { return (void)u, still_ms; }
static int64_t late_wall_ms(void *u) { return test_wall_ms(u) + late_ms; }

static int names_add(void *to, const sykli__tree_file *file)
{
    char *text = (char *)to;
    size_t used = strlen(text);
    snprintf(text + used, 1000 - used, "%s%s", used ? " " : "", file->path);
    return 0;
}

static int find(sykli__tree *tree, const char *patterns, char out[1000], sykli_fault *fault)
{
    const char *list[8];
    char copy[256];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", patterns);
    for (char *p = strtok(copy, " "); p; p = strtok(NULL, " ")) list[count++] = p;
    out[0] = 0;
    return sykli__tree_files(tree, list, count, names_add, out, fault);
}

static void a_pattern_names_files(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    char got[1000];
    place_make(&p);
    put(p.root, "a.c", "a");
    put(p.root, "src/b.c", "b");
    put(p.root, "src/deep/c.c", "c");
    put(p.root, "src/deep/c.h", "h");
    put(p.root, "app/[id]/page.ts", "p");
    put(p.root, ".git/config", "g");
    put(p.root, "sub/.git/x.c", "g");
    put(p.root, ".sykli/logs/x.c", "l");
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    TRY(find(&tree, "*.c", got, &t->fault));
    CHECK_TEXT(got, "a.c");
    TRY(find(&tree, "**/*.c a.c ./src//b.c", got, &t->fault));
    CHECK_TEXT(got, "a.c src/b.c src/deep/c.c");
    TRY(find(&tree, "src", got, &t->fault));
    CHECK_TEXT(got, "src/b.c src/deep/c.c src/deep/c.h");
    TRY(find(&tree, "src/deep/ missing missing/too no*thing", got, &t->fault));
    CHECK_TEXT(got, "src/deep/c.c src/deep/c.h");
    TRY(find(&tree, "src/*/*.{c,h}", got, &t->fault));
    CHECK_TEXT(got, "src/deep/c.c src/deep/c.h");
    TRY(find(&tree, "app/[id]/page.ts", got, &t->fault));
    CHECK_TEXT(got, "app/[id]/page.ts");
    TRY(find(&tree, ".", got, &t->fault));
    CHECK_TEXT(got, "a.c app/[id]/page.ts src/b.c src/deep/c.c src/deep/c.h");
    CHECK_INT(find(&tree, "../x", got, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "\"../x\": a path may not leave the project folder by \"..\"");
    CHECK_INT(find(&tree, "src/../../x", got, &t->fault), SYKLI_EINVAL);
    CHECK_INT(find(&tree, "/etc/passwd", got, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "\"/etc/passwd\": paths are relative to the project folder");
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

typedef struct kept { sykli_digest digest, behind; sykli_file_type type; uint64_t size; } kept;
static int keep_one(void *to, const sykli__tree_file *file)
{
    kept *k = (kept *)to;
    *k = (kept){ file->digest, file->behind, file->stat.type, file->stat.size_bytes };
    return 0;
}

static void a_link_is_its_text_and_what_is_behind(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    kept k = { 0 };
    sykli_digest text, content, none = { { 0 } };
    const char *inside = "in", *outside = "out", *dangling = "gone";
    place_make(&p);
    put(p.root, "lib/real.c", "int x;");
    put(p.outside, "secret", "s");
    if (symlink("lib/real.c", below(p.root, "in")) || symlink("nowhere", below(p.root, "gone"))
        || symlink(below(p.outside, "secret"), below(p.root, "out")))
        abort();
    sykli_tree_of("lib/real.c", 10, &text);
    sykli_tree_of("int x;", 6, &content);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    TRY(sykli__tree_files(&tree, &inside, 1, keep_one, &k, &t->fault));
    CHECK_INT(k.type, SYKLI_FILE_symlink);
    CHECK_INT(k.size, 10);
    CHECK(!memcmp(&k.digest, &text, 32));
#if defined(SYKLI__SYS_LINUX)
    CHECK(!memcmp(&k.behind, &content, 32));
#endif
    TRY(sykli__tree_files(&tree, &outside, 1, keep_one, &k, &t->fault));
    CHECK(!memcmp(&k.behind, &none, 32)); // never read
    TRY(sykli__tree_files(&tree, &dangling, 1, keep_one, &k, &t->fault));
    CHECK(!memcmp(&k.behind, &none, 32));
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

// Counts what a lookup costs.
typedef struct costs { long opens, stats, lists; } costs;
static costs spent;
static int cost_open(void *u, int dir, const char *path, int flags, int mode)
{
    spent.opens++;
    return test_sys_open(u, dir, path, flags, mode);
}
static int cost_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    spent.stats++;
    return test_sys_stat(u, dir, path, out);
}
static int cost_list(void *u, int fd, int (*each)(void *, const char *, int), void *to)
{
    spent.lists++;
    return test_sys_list(u, fd, each, to);
}

static void an_unchanged_file_is_not_read_again(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    char got[1000], cache[8192];
    sykli_stat stat;
    sykli_digest first, again;
    place_make(&p);
    put(p.root, "src/a.c", "one");
    snprintf(cache, sizeof cache, "%s", below(p.outside, "stat"));
    t->sys.open = cost_open;
    t->sys.stat = cost_stat;
    t->sys.list = cost_list;
    t->sys.wall_ms = late_wall_ms;
    late_ms = 10000; // the file has rested for ten seconds
    TRY(sykli__tree_open(&tree, &t->mem, p.root, cache, &t->fault));
    TRY(digest_of(&tree, "src/a.c", &stat, &first, &t->fault));
    spent = (costs){ 0 };
    TRY(find(&tree, "src/a.c", got, &t->fault));
    if (!t->injected) {
        CHECK_INT(spent.opens, 0);
        CHECK_INT(spent.lists, 0);
        CHECK_INT(spent.stats, 2); // its folder's and its own
    }
    sykli__tree_close(&tree);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, cache, &t->fault)); // another process
    sykli__tree_known_ready(&tree);
    spent = (costs){ 0 };
    TRY(digest_of(&tree, "src/a.c", &stat, &again, &t->fault));
    CHECK(t->injected || spent.opens == 1); // the folder, not the file
    CHECK(!memcmp(&first, &again, 32));
    put(p.root, "src/a.c", "two"); // as long as before
    TRY(digest_of(&tree, "src/a.c", &stat, &again, &t->fault));
    CHECK(memcmp(&first, &again, 32) != 0);
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

// The clock of the file system stands still between two writes: only the racy rule helps.
static sykli_stat frozen;
static int frozen_fstat(void *u, int fd, sykli_stat *out)
{
    int rc = test_sys_fstat(u, fd, out);
    if (!rc && out->type == SYKLI_FILE_regular) *out = frozen;
    return rc;
}
static int frozen_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    int rc = test_sys_stat(u, dir, path, out);
    if (!rc && out->type == SYKLI_FILE_regular) *out = frozen;
    return rc;
}

static void a_change_in_the_same_tick_is_seen(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    sykli_stat stat;
    sykli_digest first, again;
    place_make(&p);
    put(p.root, "a", "one");
    frozen = (sykli_stat){ .size_bytes = 3, .mode = 0644, .type = SYKLI_FILE_regular,
                           .inode = 7, .mtime_ns = t->real.wall_ms(t->real.user) * 1000000 };
    frozen.ctime_ns = frozen.mtime_ns += 123;
    still_ms = frozen.mtime_ns / 1000000;
    t->sys.wall_ms = still_wall_ms;
    t->sys.fstat = frozen_fstat;
    t->sys.stat = frozen_stat;
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    TRY(digest_of(&tree, "a", &stat, &first, &t->fault));
    put(p.root, "a", "two");
    TRY(digest_of(&tree, "a", &stat, &again, &t->fault));
    CHECK(memcmp(&first, &again, 32) != 0);
    still_ms += 1000;
    TRY(digest_of(&tree, "a", &stat, &first, &t->fault)); // rested: believed from now on
    put(p.root, "a", "six");
    TRY(digest_of(&tree, "a", &stat, &again, &t->fault));
    CHECK(!memcmp(&first, &again, 32)); // which shows that the rule alone made the difference
    frozen.ctime_ns = frozen.mtime_ns = frozen.mtime_ns / 1000000000 * 1000000000; // a coarse clock
    TRY(digest_of(&tree, "a", &stat, &first, &t->fault));
    put(p.root, "a", "ten");
    TRY(digest_of(&tree, "a", &stat, &again, &t->fault));
    CHECK(memcmp(&first, &again, 32) != 0);
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

static void a_damaged_stat_cache_is_empty(test *t)
{
    place p;
    char cache[8192];
    sykli_buf good;
    sykli__tree tree = { 0 };
    sykli_stat stat;
    sykli_digest digest;
    place_make(&p);
    put(p.root, "a", "one");
    put(p.root, "b", "two");
    snprintf(cache, sizeof cache, "%s", below(p.outside, "stat"));
    sykli_buf_init(&good, &t->mem, SYKLI_TAG_host);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, cache, &t->fault));
    TRY(digest_of(&tree, "a", &stat, &digest, &t->fault));
    TRY(digest_of(&tree, "b", &stat, &digest, &t->fault));
    TRY(sykli__tree_save(&tree, &t->fault));
    TRY(sykli__tree_slurp(&t->mem, SYKLI_CWD, cache, 1 << 20, &good));
    for (size_t i = 0; i < good.size && !test_failing(t); i++) {
        sykli__tree other = { .mem = &t->mem };
        sykli_map_init(&other.places, &t->mem, NULL);
        good.data[i] ^= (uint8_t)(1 << i % 8);
        sykli__tree_decode(&other, good.data, good.size);
        CHECK_INT(other.places.count, 0);
        good.data[i] ^= (uint8_t)(1 << i % 8);
        sykli__tree_decode(&other, good.data, i); // cut short
        CHECK_INT(other.places.count, 0);
    }
    sykli__tree_close(&tree);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, cache, &t->fault));
    CHECK(tree.unread && !tree.places.count); // before somebody asks
    sykli__tree_known_ready(&tree);
    CHECK(t->injected || tree.places.count == 2);
out:
    sykli_buf_free(&good);
    sykli__tree_close(&tree);
    place_remove(&p);
}

static void outputs_are_removed_and_nothing_else(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    char got[1000];
    place_make(&p);
    put(p.outside, "keep", "k");
    put(p.outside, "dir/keep", "k");
    put(p.root, "build/a.o", "a");
    put(p.root, "build/x/y/b.o", "b");
    put(p.root, "build/x/c.d", "c");
    put(p.root, "dist/app", "d");
    put(p.root, "dist/locked/app", "d");
    put(p.root, ".git/HEAD", "g");
    if (symlink(p.outside, below(p.root, "dist/out")) || symlink(p.outside, below(p.root, "away")))
        abort();
    chmod(below(p.root, "dist/locked"), 0555);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    TRY(sykli__tree_remove(&tree, "build/**/*.o", &t->fault));
    TRY(find(&tree, "build", got, &t->fault));
    CHECK_TEXT(got, "build/x/c.d");
    TRY(sykli__tree_remove(&tree, "dist", &t->fault));
    CHECK(!there(p.root, "dist"));
    TRY(sykli__tree_remove(&tree, "no/such/thing", &t->fault));
    CHECK_INT(sykli__tree_remove(&tree, "away/keep", &t->fault),
              t->injected ? t->fault.code : SYKLI_EPERM);
    CHECK(t->injected || strstr(t->fault.text, "away/keep: \"away\" is not a folder"));
    CHECK_INT(sykli__tree_remove(&tree, "../x", &t->fault), SYKLI_EINVAL);
    CHECK_INT(sykli__tree_remove(&tree, ".", &t->fault), SYKLI_EPERM);
    CHECK_INT(sykli__tree_remove(&tree, ".git", &t->fault), SYKLI_EPERM);
    CHECK_INT(sykli__tree_remove(&tree, ".git/HEAD", &t->fault), SYKLI_EPERM);
    CHECK_INT(sykli__tree_remove(&tree, "sub/.sykli", &t->fault), SYKLI_EPERM);
    TRY(sykli__tree_remove(&tree, "away", &t->fault)); // the link, not the folder behind it
    CHECK(!there(p.root, "away"));
    TRY(sykli__tree_make_parents(&tree, "new/deep/*.txt", &t->fault));
    CHECK(there(p.root, "new/deep"));
    TRY(sykli__tree_make_parents(&tree, "new/er/file", &t->fault));
    CHECK(there(p.root, "new/er") && !there(p.root, "new/er/file"));
out:
    CHECK(there(p.outside, "keep") && there(p.outside, "dir/keep"));
    CHECK(there(p.root, ".git/HEAD"));
    sykli__tree_close(&tree);
    place_remove(&p);
}

static void a_folder_made_anew_is_found(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    sykli_stat stat;
    sykli_digest digest;
    place_make(&p);
    put(p.root, "out/a", "one");
    put(p.outside, "a", "secret");
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    TRY(digest_of(&tree, "out/a", &stat, &digest, &t->fault));
    TRY(sykli__tree_remove(&tree, "out", &t->fault));
    CHECK_INT(digest_of(&tree, "out/a", &stat, &digest, &t->fault),
              t->injected ? t->fault.code : SYKLI_ENOENT);
    put(p.root, "out/a", "three");
    TRY(digest_of(&tree, "out/a", &stat, &digest, &t->fault));
    CHECK_INT(stat.size_bytes, 5);
    TRY(sykli__tree_remove(&tree, "out", &t->fault));
    if (symlink(p.outside, below(p.root, "out"))) abort(); // a task swaps the folder
    CHECK(digest_of(&tree, "out/a", &stat, &digest, &t->fault) < 0);
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

static void only_plain_paths_and_staying_links_are_taken_from_others(test *t)
{
    static const char *const bad[] = { "", "/", "/a", "..", "../a", "a/..", "a/../b", ".", "./a",
        "a/./b", "a//b", "a/", ".git", ".git/hooks/x", "a/.git/x", ".sykli/x", ".GIT/x",
        "a/.Sykli", "a\nb", "a\x7f",
        "\x01", "a/\xff", "\xc0\xaf" };
    static const char *const good[] = { "a", "a/b", "...", "a/..b", ".gitignore", "a b", "\xc3\xa9",
        ".github/x", ".gi", ".gitt", "git", "n.git" };
    static const struct { const char *path, *target; bool stays; } links[] = {
        { "a", "b", true }, { "a/b", "../c", true }, { "a/b/c", "../../d", true },
        { "a/b", "./c", true }, { "a", "b/c/d", true }, { "a", "../c", false },
        { "a/b", "../../c", false }, { "a", "/etc", false }, { "a", "", false },
        { "a", "b/../../c", false }, { "a/b", "x/../../../c", false }, { "a", "..", false },
        { "a/b", "..", true }, { "a/b", "link/..", false } };
    char long_name[5000];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!sykli__tree_path_plain(bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) CHECK(sykli__tree_path_plain(good[i]));
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        CHECK_INT(sykli__tree_link_stays(links[i].path, links[i].target), links[i].stays);
    memset(long_name, 'a', sizeof long_name);
    long_name[256] = 0;
    CHECK(!sykli__tree_path_plain(long_name));
    long_name[255] = 0;
    CHECK(sykli__tree_path_plain(long_name));
    for (size_t i = 0; i < sizeof long_name; i++) long_name[i] = i % 2 ? '/' : 'a';
    long_name[4097] = 0;
    CHECK(!sykli__tree_path_plain(long_name));
    long_name[4095] = 0;
    CHECK(sykli__tree_path_plain(long_name));
}

// A file system that says a file is longer than it is, and one whose disk has a hole in it.
static uint64_t lie_bytes, hole_at;
static int threads_started;
static int lying_fstat(void *u, int fd, sykli_stat *out)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    int rc = sys.fstat(u, fd, out);
    out->size_bytes += lie_bytes;
    lie_bytes = 0;
    return rc;
}
static int64_t holed_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    return hole_at && at + size > hole_at ? -EIO : sys.pread(u, fd, out, size, at);
}
static int counted_thread(void *u, sykli_thread *thread)
{
    sykli_sys sys;
    sykli_sys_init(&sys);
    threads_started++;
    return sys.thread(u, thread);
}

static void a_large_file_is_hashed_by_several(test *t)
{
    enum { SIZE = (1 << 20) + 4321 };
    place p;
    sykli__tree tree = { 0 };
    sykli_stat stat;
    sykli_digest expected, digest;
    sykli_sys sys = t->real;
    sykli_mem mem = { .sys = &sys };
    uint8_t *data = (uint8_t *)calloc(1, SIZE);
    if (!data) abort();
    for (size_t i = 0; i < SIZE; i++) data[i] = (uint8_t)(i * i >> 7);
    sykli_tree_of(data, SIZE, &expected);
    place_make(&p);
    put(p.root, "small", "s");
    put(p.root, "large", "");
    FILE *file = fopen(below(p.root, "large"), "w");
    if (!file || fwrite(data, 1, SIZE, file) != SIZE || fclose(file)) abort();
    sys.fstat = lying_fstat, sys.pread = holed_pread, sys.thread = counted_thread;
    sys.wall_ms = late_wall_ms, sys.user = t;
    late_ms = 60000;
    TRY(sykli__tree_open(&tree, &mem, p.root, NULL, &t->fault));
    tree.threads_max = 3;
    TRY(digest_of(&tree, "small", &stat, &digest, &t->fault));
    CHECK_INT(threads_started, 0);
    hole_at = SIZE - 1;
    CHECK_INT(digest_of(&tree, "large", &stat, &digest, &t->fault), SYKLI_EIO);
    hole_at = 0, threads_started = 0;
    for (size_t i = 1; i <= 1 << 20; i *= 1 << 10) {
        lie_bytes = i; // shrunk since: what is there is read, and not remembered
        TRY(digest_of(&tree, "large", &stat, &digest, &t->fault));
        CHECK(!memcmp(&digest, &expected, sizeof digest));
        CHECK_INT(tree.places.count, 1);
    }
    threads_started = 0;
    TRY(digest_of(&tree, "large", &stat, &digest, &t->fault));
    CHECK(!memcmp(&digest, &expected, sizeof digest));
    CHECK_INT(stat.size_bytes, SIZE);
    CHECK_INT(threads_started, 2);
    CHECK_INT(tree.places.count, 2);
    TRY(digest_of(&tree, "large", &stat, &digest, &t->fault)); // known by now
    CHECK_INT(threads_started, 2);
out:
    late_ms = 0;
    sykli__tree_close(&tree);
    CHECK_INT(mem.total_bytes, 0);
    place_remove(&p);
    free(data);
}

static int digests_add(void *to, const sykli__tree_file *file)
{
    sykli_digest **next = (sykli_digest **)to;
    *(*next)++ = file->digest;
    return 0;
}

static int64_t preads; // of the thread that asks
static int64_t counted_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    preads++;
    return test_sys_pread(u, fd, out, size, at);
}

// Each file is found to be what one thread says it is, by however many, and read once.
static void many_files_are_read_at_once(test *t)
{
    enum { COUNT = 70 };
    static char content[20000];
    const char *all = "d";
    place p;
    sykli__tree tree = { 0 };
    sykli_sys sys = t->real;
    sykli_mem mem = { .sys = &sys };
    sykli_digest got[COUNT], expected[COUNT], *next;
    char name[16];
    place_make(&p);
    for (int i = 0; i < COUNT; i++) {
        size_t size = i % 10 ? 16380 + (size_t)i : (size_t)i;
        memset(content, 'a' + i % 26, size);
        content[size] = 0;
        snprintf(name, sizeof name, "d/%02d", i);
        put(p.root, name, content);
        sykli_tree_of(content, size, &expected[i]);
    }
    sys.thread = counted_thread, sys.wall_ms = late_wall_ms, sys.user = t;
    late_ms = 60000;
    for (uint32_t threads = 1; threads <= 3; threads += 2) {
        threads_started = 0;
        TRY(sykli__tree_open(&tree, &mem, p.root, NULL, &t->fault));
        tree.threads_max = threads;
        for (int turn = 0; turn < 2; turn++) { // the second time all is known
            next = got;
            TRY(sykli__tree_files(&tree, &all, 1, digests_add, &next, &t->fault));
            CHECK_INT(next - got, COUNT);
            CHECK(!memcmp(got, expected, sizeof got));
            CHECK_INT(tree.places.count, COUNT);
            CHECK_INT(threads_started, threads - 1);
        }
        sykli__tree_close(&tree);
    }
out:
    late_ms = 0;
    sykli__tree_close(&tree);
    CHECK_INT(mem.total_bytes, 0);
    place_remove(&p);
}

static void what_reading_ahead_fails_at_is_read_again(test *t)
{
    static char content[16385];
    const char *all = "*";
    place p;
    sykli__tree tree = { 0 };
    sykli_digest got[3], expected, *next = got;
    place_make(&p);
    memset(content, 'a', sizeof content - 1);
    sykli_tree_of(content, sizeof content - 1, &expected);
    for (int i = 0; i < 3; i++) put(p.root, i == 0 ? "a" : i == 1 ? "b" : "c", content);
    t->sys.wall_ms = late_wall_ms;
    t->sys.pread = counted_pread;
    late_ms = 60000, preads = 0;
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    tree.threads_max = 2;
    TRY(sykli__tree_files(&tree, &all, 1, digests_add, &next, &t->fault));
    CHECK_INT(next - got, 3);
    for (int i = 0; i < 3; i++) CHECK(!memcmp(&got[i], &expected, sizeof expected));
    CHECK(t->injected || preads == 6);
out:
    late_ms = 0;
    sykli__tree_close(&tree);
    place_remove(&p);
}

static int stats; // that were asked for
static int counted_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    __atomic_add_fetch(&stats, 1, __ATOMIC_RELAXED); // by whichever thread
    return test_sys_stat(u, dir, path, out);
}

static int files_count(void *to, const sykli__tree_file *file)
{
    (void)file;
    ++*(int *)to;
    return 0;
}

enum { SEEN = 80 };
static char seen_names[SEEN][32];

// Makes the files of these names, in so many folders by turns.
static void put_seen(const place *p, int folders)
{
    for (int i = 0; i < SEEN; i++) {
        snprintf(seen_names[i], sizeof seen_names[i], "d%d/%d", i % folders, i);
        put(p->root, seen_names[i], "");
    }
}

// Asks for the stats of those from `first` on: so many are there.
//   asked    how many stats that takes, at least
static void sees(test *t, sykli__tree *tree, int first, int wanted, int asked)
{
    const char *list[SEEN];
    int found = 0;
    for (int i = first; i < SEEN; i++) list[i - first] = seen_names[i];
    stats = 0;
    int rc = sykli__tree_stats(tree, list, (size_t)(SEEN - first), files_count, &found, &t->fault);
    if (t->injected) return;
    CHECK_INT(rc ? rc : found, wanted);
    CHECK(stats >= asked && stats <= 2 * asked + 8); // folders too
}

static void foresee(sykli__tree *tree)
{
    sykli__tree_look(tree, true);
    for (int i = 0; i < SEEN; i++) sykli__tree_foresee(tree, seen_names[i]);
    stats = 0;
    sykli__tree_see(tree);
}

// Until all of them are known.
static void foresee_all(sykli__tree *tree)
{
    foresee(tree);
    while (tree->sight && tree->sight->asking && sykli__pool_help(&tree->sight->team)) {}
    sykli__tree_see_no_more(tree);
}

// In a look at the tree its files are asked about once, and anew as soon as something of ours may
// have changed them.
static void what_is_foreseen_is_asked_once(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    place_make(&p);
    t->sys.stat = counted_stat;
    put_seen(&p, 2);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    tree.threads_max = 2;
    foresee_all(&tree);
    unlink(below(p.root, seen_names[7]));
    if (t->injected) goto out;
    sees(t, &tree, 0, SEEN, 0);
    foresee_all(&tree);
    sees(t, &tree, 3, SEEN - 4, 1); // without those that were left out, and one gone
    foresee_all(&tree);
    TRY(sykli__tree_remove(&tree, seen_names[8], &t->fault));
    sees(t, &tree, 0, SEEN - 2, SEEN);
    foresee_all(&tree);
    sykli__tree_shared(&tree);
    sees(t, &tree, 0, SEEN - 2, SEEN);
    foresee_all(&tree);
    sykli__tree_look(&tree, true);
    sees(t, &tree, 0, SEEN - 2, SEEN);
    sykli__tree_foresee(&tree, "./d0/0"); // no plain paths, and too few
    sykli__tree_foresee(&tree, "d0/*");
    sykli__tree_foresee(&tree, "../d0");
    CHECK_INT(tree.sight ? tree.sight->count : 0, 0);
    sykli__tree_foresee(&tree, "d0/0");
    sykli__tree_see(&tree);
    CHECK(!tree.sight || (!tree.sight->asking && !tree.sight->look));
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

// While others ask, who wants to know helps them, and does it all as here, where there are none;
// whatever comes in between ends it, and what is wanted then is asked for.
static void who_wants_to_know_helps(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    place_make(&p);
    t->sys.stat = counted_stat;
    put_seen(&p, 2);
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    const char *list[SEEN];
    int found = 0;
    tree.threads_max = 4;
    for (int i = 0; i < SEEN; i++) list[i] = seen_names[i];
    foresee(&tree);
    TRY(sykli__tree_stats(&tree, list, SEEN, files_count, &found, &t->fault));
    sykli__tree_see_no_more(&tree);
    CHECK_INT(found, SEEN);
    CHECK(t->injected || stats <= SEEN + 8); // folders too
    foresee(&tree);
    TRY(sykli__tree_remove(&tree, seen_names[8], &t->fault));
    sees(t, &tree, 0, SEEN - 1, SEEN - 1);
    foresee(&tree);
    sykli__tree_shared(&tree);
    CHECK(!tree.sight || !tree.sight->asking);
    sees(t, &tree, 0, SEEN - 1, SEEN - 1);
    foresee(&tree);
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

static int others; // stats that other threads asked for
static __thread bool owner;
static int slow_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    if (!owner) {
        __atomic_add_fetch(&others, 1, __ATOMIC_RELAXED);
        nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
    }
    return ((test *)u)->real.stat(NULL, dir, path, out);
}

// The same with threads, whose calls come in any order: each path is found, whatever they have
// asked so far, and whatever the owner does in between.
static void others_ask_while_the_owner_goes_on(test *t)
{
    enum { PLACES = 2 * SYKLI__TREE_OPEN_MAX };
    place p;
    sykli__tree tree = { 0 };
    sykli_sys sys = t->real;
    sykli_mem mem = { .sys = &sys };
    char far[PLACES][32];
    const char *list[SEEN];
    sykli_stat stat;
    place_make(&p);
    sys.stat = slow_stat, sys.thread = counted_thread, sys.user = t;
    owner = true;
    put_seen(&p, 2);
    for (int i = 0; i < SEEN; i++) list[i] = seen_names[i];
    for (int i = 0; i < PLACES; i++) {
        snprintf(far[i], sizeof far[i], "far%d/x", i);
        put(p.root, far[i], "");
    }
    TRY(sykli__tree_open(&tree, &mem, p.root, NULL, &t->fault));
    for (int turn = 0; turn < 40; turn++) {
        int found = 0, gone = turn % 4 == 1;
        threads_started = 0;
        tree.threads_max = 2 + (uint32_t)turn % 3;
        foresee(&tree);
        CHECK_INT(threads_started, tree.threads_max - 1);
        for (int i = 0; turn < 1 && !__atomic_load_n(&others, __ATOMIC_RELAXED); i++) {
            TRY_THAT(i < 10000000, "others ask");
            sched_yield();
        }
        TRY(sykli__tree_stats(&tree, list, SEEN / 2, files_count, &found, &t->fault));
        if (gone) TRY(sykli__tree_remove(&tree, seen_names[SEEN - 1], &t->fault));
        if (turn % 4 == 2) sykli__tree_shared(&tree);
        for (int i = 0; turn % 4 == 3 && i < PLACES; i++) // folders that others ask in are closed
            TRY(sykli__tree_stat(&tree, far[i], &stat));
        TRY(sykli__tree_stats(&tree, list + SEEN / 2, (size_t)(SEEN / 2 - gone), files_count,
                              &found, &t->fault));
        CHECK_INT(found, SEEN - gone);
        if (gone) put(p.root, seen_names[SEEN - 1], "");
    }
out:
    sykli__tree_close(&tree); // while they ask
    CHECK_INT(mem.total_bytes, 0);
    place_remove(&p);
}

// Only so many folders are open at once: who is asked about has not been closed in between.
static void files_of_many_folders_are_foreseen(test *t)
{
    place p;
    sykli__tree tree = { 0 };
    place_make(&p);
    put_seen(&p, SEEN / 2);
    t->sys.stat = counted_stat;
    TRY(sykli__tree_open(&tree, &t->mem, p.root, NULL, &t->fault));
    tree.threads_max = 2;
    foresee_all(&tree);
    size_t count = tree.sight ? tree.sight->count : 0;
    CHECK(t->injected || count == (size_t)2 * SYKLI__TREE_OPEN_MAX); // the first ones
    sees(t, &tree, 0, SEEN, SEEN - (int)count);
out:
    sykli__tree_close(&tree);
    place_remove(&p);
}

int main(int argc, char **argv)
{
    TEST_STORY(a_pattern_names_files);
    TEST_STORY(a_link_is_its_text_and_what_is_behind);
    TEST_STORY(an_unchanged_file_is_not_read_again);
    TEST_STORY(a_change_in_the_same_tick_is_seen);
    TEST_STORY(a_damaged_stat_cache_is_empty);
    TEST_STORY(outputs_are_removed_and_nothing_else);
    TEST_STORY(a_folder_made_anew_is_found);
    TEST_STORY(only_plain_paths_and_staying_links_are_taken_from_others);
    TEST_STORY(a_large_file_is_hashed_by_several);
    TEST_ONCE(many_files_are_read_at_once); // by threads, whose calls come in any order
    TEST_STORY(what_reading_ahead_fails_at_is_read_again);
    TEST_STORY(what_is_foreseen_is_asked_once);
    TEST_STORY(who_wants_to_know_helps);
    TEST_ONCE(others_ask_while_the_owner_goes_on); // by threads
    TEST_STORY(files_of_many_folders_are_foreseen);
    return test_end(argc, argv);
}
