// A folder of the project is swapped for a link that leads outside and back, as fast as another
// process can, while its files are removed, restored and read. Whatever is met, nothing outside is
// touched and nothing of it is taken for the project's. RACE_TRIES: how often.
#define SYKLI_IMPLEMENTATION
#include "place.h"
#include <sys/syscall.h>

enum { TRIES = 300, EXCHANGE = 2 /* renameat2(2): RENAME_EXCHANGE */ };

static const char key[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char *const files[] = { "sub/file", "sub/out/x", "sub/out/deep/y" };

// The same names inside and outside, so that a step that is led astray finds something.
static void fill(const char *folder, const char *text)
{
    static const char *const names[] = { "", "/out", "/out/deep", "/file", "/out/x",
                                         "/out/deep/y" };
    char path[256];
    for (int i = 0; i < 6; i++) {
        snprintf(path, sizeof path, "%s%s", folder, names[i]);
        if (i < 3 && mkdir(path, 0755)) abort();
        FILE *f = i < 3 ? NULL : fopen(path, "w");
        if (i >= 3 && (!f || fputs(text, f) < 0 || fclose(f))) abort();
    }
}

// What is outside, in one number: names, types and bytes.
static int outside_count;
static int outside_look(const char *path, const struct stat *st, int type, struct FTW *at)
{
    char text[64] = "";
    (void)at;
    FILE *f = type == FTW_F ? fopen(path, "r") : NULL;
    bool same = type != FTW_F || (f && fgets(text, sizeof text, f) && !strcmp(text, "outside"));
    if (f) fclose(f);
    outside_count += (type == FTW_D || type == FTW_F) && same && (st->st_mode & 0700) ? 1 : 1000;
    return 0;
}

static bool outside_is_whole(const char *folder)
{
    outside_count = 0;
    return !nftw(folder, outside_look, 8, FTW_PHYS) && outside_count == 6;
}

static int publish(sykli__store *store, sykli__tree *tree, sykli__store_entry *e, sykli_fault *f)
{
    int rc = 0;
    for (int i = 0; i < 3 && !rc; i++) {
        rc = sykli__store_entry_add(e, files[i], files[i], SYKLI_FILE_regular, f);
        if (!rc) rc = sykli__store_put_output(store, tree, &e->outputs[i], f);
    }
    return rc ? rc : sykli__store_entry_put(store, key, e, false, f);
}

static int see(void *to, const sykli__tree_file *file)
{
    const sykli_digest *outside = (const sykli_digest *)to;
    return memcmp(file->digest.bytes, outside->bytes, 32) ? 0 : -1;
}

typedef struct counts { long done, refused, strange; } counts;

static void count(counts *c, int rc, const sykli_fault *fault)
{
    bool known = strstr(fault->text, "symbolic links") || strstr(fault->text, "project folder")
              || strstr(fault->text, "Not a directory") || strstr(fault->text, "not empty")
              || strstr(fault->text, "No such file");
    if (!rc) c->done++;
    else if (known) c->refused++;
    else if (!c->strange++) printf("  %s\n", fault->text);
}

// Removes, restores and reads once.
static void one_turn(sykli__store *store, sykli__tree *tree, const sykli__store_entry *e, counts *c)
{
    const char *all = "sub/**";
    sykli_digest outside;
    sykli_fault f;
    sykli_tree_of("outside", 7, &outside);
    count(c, sykli__tree_remove(tree, "sub/out", &f), &f);
    count(c, sykli__tree_remove(tree, "sub/**", &f), &f);
    count(c, sykli__tree_make_parents(tree, "sub/out/deep/y", &f), &f);
    for (size_t i = 0; i < e->output_count; i++)
        count(c, sykli__store_restore(store, &e->outputs[i], tree, &f), &f);
    count(c, sykli__tree_files(tree, &all, 1, see, &outside, &f), &f);
}

static void swap_forever(const char *base)
{
    char sub[256], link[256];
    snprintf(sub, sizeof sub, "%s/project/sub", base);
    snprintf(link, sizeof link, "%s/link", base);
    while (!syscall(SYS_renameat2, AT_FDCWD, sub, AT_FDCWD, link, EXCHANGE)) {}
    _exit(1);
}

static void a_swapped_folder_leads_nowhere(test *t)
{
    const char *wanted = getenv("RACE_TRIES");
    long tries = wanted ? atol(wanted) : TRIES, turn = 0;
    sykli__tree tree = { 0 };
    sykli__store store = { 0 };
    sykli__store_entry entry;
    place p;
    char outside[128], link[128], sub[128];
    counts c = { 0, 0, 0 };
    place_make(&p);
    snprintf(outside, sizeof outside, "%s/outside", p.base);
    snprintf(link, sizeof link, "%s/link", p.base);
    snprintf(sub, sizeof sub, "%s/sub", p.project);
    fill(outside, "outside");
    fill(sub, "inside");
    if (symlink(outside, link)) abort();
    sykli__store_entry_init(&entry, &t->mem);
    TRY(sykli__tree_open(&tree, &t->mem, p.project, NULL, &t->fault));
    TRY(sykli__store_open(&store, &t->mem, p.cache, 0, &t->fault));
    TRY(publish(&store, &tree, &entry, &t->fault));
    int pid = fork();
    if (!pid) swap_forever(p.base);
    for (; turn < tries || ((!c.done || !c.refused) && turn < 100 * tries); turn++) {
        one_turn(&store, &tree, &entry, &c);
        if (turn % 64 == 0 && !outside_is_whole(outside)) break;
    }
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    CHECK(outside_is_whole(outside));
    CHECK_INT(c.strange, 0);
    CHECK(c.done > 0 && c.refused > 0);
    printf("  %ld turns: %ld steps done, %ld refused\n", turn, c.done, c.refused);
out:
    sykli__store_entry_free(&entry);
    sykli__store_close(&store);
    sykli__tree_close(&tree);
    place_end(t, &p);
}

int main(int argc, char **argv)
{
    TEST_ONCE(a_swapped_folder_leads_nowhere); // against another process, on the system as it is
    return test_end(argc, argv);
}
