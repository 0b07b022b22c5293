// What counts is content: a snapshot holds size, times and digest of each file that a task reads,
// so that touching a file, or writing it as it was, runs nothing. On Linux inotify says when to
// look again, elsewhere, and where a folder cannot be watched, a look twice a second.
#define _GNU_SOURCE 1
#include "watch.h"
#include "affected.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__) && !defined(SYKLI_PORTABLE)
#include <sys/inotify.h>
#endif

enum { FOLDERS_MAX = 8192, DEPTH_MAX = 64, POLL_MS = 500, QUIET_MS = 80, TICK_MS = 200 };
// So often files may change while the tasks that read them run; then only what comes later counts.
enum { RESTLESS_MAX = 3 };

typedef struct file {
    char *path; // from the project folder
    struct stat st;
    sykli_digest digest;
} file;

typedef struct snapshot {
    file *files; // sorted by path
    size_t count, room;
    time_t looked_at;
} snapshot;

struct watch {
    const pipeline *p; // NULL: it cannot be read
    char *dir, *name;  // the project, and the pipeline's file from there
    bool outside;      // which is not in the project: `name` is as it was given
    snapshot seen;
    int notify; // inotify, -1: none
    size_t folders;
    bool polls; // some folder is not watched
    int restless;
};

// ---- snapshots ----

static int by_path(const void *a, const void *b)
{
    return strcmp(((const file *)a)->path, ((const file *)b)->path);
}

static void forget(snapshot *s)
{
    for (size_t i = 0; i < s->count; i++) free(s->files[i].path);
    free(s->files);
    memset(s, 0, sizeof *s);
}

// Whether a file is as it was at that time. One that was written just before may have been written
// again within the grain of its times.
static bool is_same(const struct stat *a, const struct stat *b, time_t looked_at)
{
    enum { GRAIN_S = 2 };
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_mode == b->st_mode
        && a->st_mtime == b->st_mtime && a->st_ctime == b->st_ctime
        && b->st_ctime + GRAIN_S < looked_at;
}

static void digest(const char *path, sykli_digest *out)
{
    static unsigned char part[64 << 10];
    sykli_tree tree;
    size_t size;
    FILE *from = fopen(path, "rb");
    sykli_tree_init(&tree);
    while (from && (size = fread(part, 1, sizeof part, from)) > 0)
        sykli_tree_add(&tree, part, size);
    if (from) fclose(from);
    sykli_tree_end(&tree, out);
}

static bool is_below(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    while (size && folder[size - 1] == '/') size--;
    return !strncmp(path, folder, size) && (!path[size] || path[size] == '/');
}

static bool is_output(const pipeline *p, const char *path)
{
    for (size_t i = 0; p && i < p->task_count; i++)
        for (size_t k = 0; k < p->tasks[i].output_count; k++) {
            const char *output = p->tasks[i].outputs[k].value;
            if (is_below(path, output) || sykli_glob_match(output, path)) return true;
        }
    return false;
}

static const file *find(const snapshot *s, const char *path)
{
    const file key = { .path = (char *)(uintptr_t)path };
    return s->count ? bsearch(&key, s->files, s->count, sizeof key, by_path) : NULL;
}

// While the pipeline cannot be read: what was read before.
static bool is_read(const watch *w, const char *path)
{
    bool read = !strcmp(path, w->name);
    if (!w->p) return read || find(&w->seen, path);
    for (size_t i = 0; i < w->p->task_count && !read; i++)
        read = w->p->tasks[i].wanted && affected_reads(&w->p->tasks[i], path);
    return read && !is_output(w->p, path);
}

// Whether something below a folder may be read: as far as the fixed part of a pattern says.
static bool leads_on(const watch *w, const char *folder)
{
    size_t size = strlen(folder);
    if (is_below(w->name, folder)) return true;
    for (size_t i = 0; !w->p && i < w->seen.count; i++)
        if (is_below(w->seen.files[i].path, folder)) return true;
    for (size_t i = 0; w->p && i < w->p->task_count; i++)
        for (size_t k = 0; w->p->tasks[i].wanted && k < w->p->tasks[i].input_count; k++) {
            const char *pattern = w->p->tasks[i].inputs[k];
            size_t fixed = sykli_glob_fixed(pattern);
            bool above = fixed > size && !strncmp(pattern, folder, size) && pattern[size] == '/';
            bool inside = !strncmp(pattern, folder, fixed < size ? fixed : size) && size >= fixed
                       && strpbrk(pattern + fixed, "/*");
            if (above || inside) return true;
        }
    return false;
}

static void add_watch(watch *w, const char *folder)
{
#if defined(__linux__) && !defined(SYKLI_PORTABLE)
    uint32_t what = IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE | IN_MOVE | IN_ATTRIB
                  | IN_ONLYDIR;
    if (w->notify >= 0 && w->folders < FOLDERS_MAX
        && inotify_add_watch(w->notify, folder, what) >= 0) {
        w->folders++;
        return;
    }
#else
    (void)folder;
#endif
    w->polls = true;
}

static void out_of_memory(void)
{
    fputs("sykli: out of memory\n", stderr);
    exit(CLI_INFRASTRUCTURE);
}

static void add_file(snapshot *s, const snapshot *last, const char *path, const char *full,
                     const struct stat *st)
{
    file fresh = { strdup(path), *st, { { 0 } } };
    file *grown = s->files;
    const file *old = find(last, path);
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 64;
        grown = realloc(s->files, s->room * sizeof *grown);
    }
    if (!grown || !fresh.path) out_of_memory();
    s->files = grown;
    if (old && is_same(&old->st, st, last->looked_at)) fresh.digest = old->digest;
    else digest(full, &fresh.digest);
    s->files[s->count++] = fresh;
}

// folder: "" is the project
static void look(watch *w, snapshot *s, const char *folder, int depth)
{
    char path[4096], full[8192];
    snprintf(full, sizeof full, "%s/%s", w->dir, folder);
    DIR *d = opendir(full);
    if (!d) return;
    add_watch(w, full);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        int size = snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", e->d_name);
        int all = snprintf(full, sizeof full, "%s/%s", w->dir, path);
        if (size < 0 || (size_t)size >= sizeof path || (size_t)all >= sizeof full) continue;
        if (lstat(full, &st)) continue;
        if (!S_ISDIR(st.st_mode) && is_read(w, path)) add_file(s, &w->seen, path, full, &st);
        bool ours = !strcmp(path, ".git") || !strcmp(path, ".sykli");
        if (S_ISDIR(st.st_mode) && !ours && depth < DEPTH_MAX && !is_output(w->p, path)
            && leads_on(w, path))
            look(w, s, path, depth + 1);
    }
    closedir(d);
}

// One file that is not in the project.
static void look_at(watch *w, snapshot *s, const char *path)
{
    char folder[4096];
    struct stat st;
    int size = (int)(strrchr(path, '/') - path);
    snprintf(folder, sizeof folder, "%.*s", size ? size : 1, path);
    add_watch(w, folder);
    if (!lstat(path, &st)) add_file(s, &w->seen, path, path, &st);
}

static void take(watch *w, snapshot *out)
{
    memset(out, 0, sizeof *out);
    out->looked_at = time(NULL);
    w->folders = 0;
    look(w, out, "", 0);
    if (w->outside) look_at(w, out, w->name);
    if (out->count) qsort(out->files, out->count, sizeof *out->files, by_path);
}

// How many files are in one and not the same in the other.
static size_t compare(const snapshot *a, const snapshot *b, const char **first)
{
    size_t i = 0, k = 0, count = 0;
    while (i < a->count || k < b->count) {
        int order = i == a->count ? 1 : k == b->count ? -1
                  : strcmp(a->files[i].path, b->files[k].path);
        bool differs = order || a->files[i].st.st_mode != b->files[k].st.st_mode
                    || memcmp(&a->files[i].digest, &b->files[k].digest, sizeof(sykli_digest));
        if (differs && !count++) *first = order <= 0 ? a->files[i].path : b->files[k].path;
        i += order <= 0;
        k += order >= 0;
    }
    return count;
}

// ---- waiting ----

// Waits until a folder has changed, or it is time to look.     returns  whether one has
static bool sleep_ms(const watch *w, int ms)
{
    char events[4096];
    struct pollfd p = { w->notify, POLLIN, 0 };
    bool any = false;
    poll(&p, w->notify >= 0, ms);
    while (w->notify >= 0 && read(w->notify, events, sizeof events) > 0) any = true;
    return any;
}

// Looks again.     returns  how many files have changed, *first one of them
static size_t look_again(cli *c, watch *w, const char **first)
{
    snapshot now;
    take(w, &now);
    size_t count = compare(&w->seen, &now, first);
    if (count) *first = cli_copy(c, *first, strlen(*first));
    forget(&w->seen);
    w->seen = now;
    return count;
}

watch *watch_begin(cli *c, const pipeline *p, const pipeline_source *source, watch *w)
{
    if (!w) {
        w = calloc(1, sizeof *w);
        if (!w) return NULL;
        w->notify = -1;
#if defined(__linux__) && !defined(SYKLI_PORTABLE)
        w->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
#endif
    }
    snapshot now;
    free(w->dir);
    free(w->name);
    w->p = p;
    w->dir = strdup(source->dir);
    // A file that was given with -f is read where it is, for the project that is here.
    const char *below = cli_name_below(c, source->dir, source->path);
    w->outside = !below;
    w->name = strdup(below ? below : source->path);
    if (!w->dir || !w->name) out_of_memory();
    w->polls = w->notify < 0;
    take(w, &now);
    forget(&w->seen);
    w->seen = now;
    return w;
}

void watch_keep(watch *w) { w->p = NULL; }

bool watch_wait(cli *c, watch *w, int (*stop)(void), const char **changed, size_t *more)
{
    size_t count = look_again(c, w, changed); // while the tasks ran
    w->restless = count ? w->restless + 1 : 0;
    if (count && w->restless > RESTLESS_MAX) {
        fprintf(stderr, "sykli: %s changes whenever the tasks run; is it an output?\n", *changed);
        count = 0;
    }
    while (!count && !stop()) {
        bool told = sleep_ms(w, w->polls ? POLL_MS : TICK_MS);
        while (told && !stop() && sleep_ms(w, QUIET_MS)) {} // until who writes has done
        if (!told && !w->polls) continue;
        count = look_again(c, w, changed);
        if (count) w->restless = 0;
    }
    *more = count ? count - 1 : 0;
    return count != 0;
}

void watch_end(watch *w)
{
    if (w->notify >= 0) close(w->notify);
    forget(&w->seen);
    free(w->dir);
    free(w->name);
    free(w);
}
