// What tests of the whole library share: a project and a cache in folders of their own, contexts in
// them, and calls that may meet the injected failure.
#ifndef PLACE_H_INCLUDED
#define PLACE_H_INCLUDED

#include "test.h"
#include <ftw.h>
#include <sys/wait.h>

// ---- a project and a cache in folders of their own ------------------------------------------
typedef struct place { char base[96], project[112], cache[112]; } place;

static inline void place_make(place *p)
{
    struct stat st;
    bool memory = !stat("/dev/shm", &st) && !access("/dev/shm", W_OK);
    snprintf(p->base, sizeof p->base, "%s/sykli-run-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(p->base)) abort();
    snprintf(p->project, sizeof p->project, "%s/project", p->base);
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->base);
    if (mkdir(p->project, 0755)) abort();
}

static inline void put(const place *p, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", p->project, name);
    FILE *f = fopen(path, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) abort();
}

// What a file of the project says.     returns  "" if it is not there
static inline const char *said(const place *p, const char *name, char out[256])
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", p->project, name);
    FILE *f = fopen(path, "r");
    out[f ? fread(out, 1, 255, f) : 0] = 0;
    if (f) fclose(f);
    return out;
}

static inline void drop(const place *p, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", p->project, name);
    unlink(path);
}

static inline int place_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

// The end of a story: no child is left, whatever happened.
static inline void place_end(test *t, place *p)
{
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    nftw(p->base, place_remove, 8, FTW_DEPTH | FTW_PHYS);
}

// ---- contexts -------------------------------------------------------------------------------
static inline sykli *open_in(test *t, const place *p, sykli_desc desc)
{
    desc.sys = &t->sys;
    desc.project_dir = p->project;
    desc.cache_dir = p->cache;
    desc.project = "story";
    desc.target_fingerprint = "machine";
    desc.node_name = "here";
    if (!desc.workers_max) desc.workers_max = 2;
    return sykli_open(&desc);
}

static inline void explain(test *t, const sykli *s)
{
    if (s) snprintf(t->fault.text, sizeof t->fault.text, "%s", sykli_errmsg(s));
}

// A call on a context that may meet the injected failure; then there are words for it.
#define TRY_IT(s, holds)                                                                           \
    do { if (!(holds)) { explain(t, s); CHECK(*sykli_errmsg(s)); TRY_THAT(false, #holds); }        \
    } while (0)

// Runs a graph to its end.
//   wanted   tasks that do not pass, when no failure is injected
//   returns  whether to go on
static inline bool run_all(test *t, sykli *s, int wanted)
{
    int rc = sykli_run(s);
    explain(t, s);
    if (rc < 0) {
        CHECK(*sykli_errmsg(s));
        CHECK_INT(sykli_error(s), rc);
        CHECK_INT(sykli_poll(s, -1), rc); // and it does not wait for what will never come
    }
    if (!t->injected) CHECK_INT(rc, wanted);
    return !t->injected;
}

static inline sykli_status status_of(sykli *s, const char *name)
{
    sykli_task_info info;
    return sykli_task_get(s, sykli_find(s, name), &info) ? SYKLI_STATUS_COUNT : info.status;
}

static inline const char *reason_of(sykli *s, const char *name)
{
    sykli_task_info info;
    return sykli_task_get(s, sykli_find(s, name), &info) ? "" : info.reason;
}

#define CHECK_STATUS(s, name, wanted)                                                              \
    CHECK_TEXT(sykli_status_names[status_of(s, name)], sykli_status_names[SYKLI_STATUS_##wanted])

// ---- events ---------------------------------------------------------------------------------
typedef struct heard {
    char text[4096];
    size_t size;
    sykli *s;
    int count[SYKLI_EVENT_COUNT];
} heard;

static inline void hear(void *user, const sykli_event *event)
{
    heard *h = (heard *)user;
    h->count[event->kind]++;
    if (event->kind != SYKLI_EVENT_task_output && event->kind != SYKLI_EVENT_task_finished
        && event->kind != SYKLI_EVENT_note) return;
    if (h->size + event->text_size + 2 > sizeof h->text) return;
    if (event->text_size) memcpy(h->text + h->size, event->text, event->text_size);
    h->size += event->text_size;
    h->text[h->size++] = '\n';
    h->text[h->size] = 0;
}

#endif
