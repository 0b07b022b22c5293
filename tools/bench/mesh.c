// One node of a mesh, in this process, that measures the others. Its state directory has joined.
//   usage: mesh STATE PORT call NODE COUNT     p50 and p99 of a call, microseconds
//          mesh STATE PORT fetch NODE ID:SIZE  MB/s of a blob taken in, checked and stored
//          mesh STATE PORT down NODE PID       milliseconds from kill -9 to the event nodedown
//          mesh STATE PORT push NODES COUNT    p50 and p99 of config.push to NODES nodes, ms
#define SYKLI_IMPLEMENTATION
#define SYKLI_MESH_IMPLEMENTATION
#include "sykli_mesh.h"
#include <stdlib.h>

typedef struct bench { sykli *s; const char *node; bool down; char text[65536]; } bench;

static void on_event(void *user, const sykli_event *e)
{
    bench *b = (bench *)user;
    if (e->kind == SYKLI_EVENT_nodedown && !strcmp(e->name, b->node)) b->down = true;
}

static double now_us(bench *b) { return (double)sykli_system(b->s)->now_ns(NULL) / 1e3; }

// One request to its end.      returns  bytes of the answer or the error
static int64_t ask(bench *b, const sykli_request *desc, sykli_blob_writer *to)
{
    int64_t got, size = 0;
    sykli_handle r = sykli_request_open(b->s, desc);
    if (!r.id) return sykli_last_error(b->s);
    while ((got = sykli_request_read(b->s, r, b->text, sizeof b->text)) >= 0) {
        if (got && to) sykli_blob_write(b->s, to, b->text, (size_t)got);
        if (!got) sykli_poll(b->s, 1000);
        size += got;
    }
    sykli_request_close(b->s, r);
    return got == SYKLI_EOF ? size : got;
}

// How many peers there is a session with, and whether that one is among them.
static int peers(bench *b, const char *name)
{
    char text[160] = "peers";
    if (*name > '9') snprintf(text, sizeof text, "peers WHERE name = '%s'", name);
    sykli_request q = { .verb = SYKLI_VERB_query, .what = text };
    sykli_fault f;
    int64_t size = ask(b, &q, NULL);
    sykli_result *r = size > 0
        ? sykli_result_decode(sykli_memory(b->s), b->text, (size_t)size, &f) : NULL;
    int rows = r ? (int)sykli_result_rows(r) : 0;
    sykli_result_free(r);
    return rows;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// The same request many times; for a push another value each time.
static int repeat(bench *b, const sykli_request *desc, int count, double unit)
{
    double *us = (double *)malloc((size_t)count * sizeof *us);
    char args[160];
    for (int i = 0; i < count; i++) {
        sykli_request once = *desc;
        snprintf(args, sizeof args, "{\"values\":\"{\\\"workers\\\":\\\"%d\\\"}\"}", 2 + i % 7);
        if (!once.args) once.args = args;
        double begun = now_us(b);
        int64_t got = ask(b, &once, NULL);
        us[i] = now_us(b) - begun;
        if (got < 0 && got != SYKLI_ENOENT) return fprintf(stderr, "%s\n", sykli_errmsg(b->s)), 1;
        if (once.args == args && strstr(b->text, "updated") == NULL)
            return fprintf(stderr, "%s\n", b->text), 1;
    }
    qsort(us, (size_t)count, sizeof *us, compare);
    printf("%.1f %.1f\n", us[count / 2] / unit, us[count * 99 / 100] / unit);
    free(us);
    return 0;
}

static int fetch(bench *b, char *hex)
{
    sykli_digest id;
    sykli_request desc = { .verb = SYKLI_VERB_fetch, .node = b->node, .what = hex };
    char *colon = strchr(hex, ':');
    if (!colon || sykli_unhex(id.bytes, 32, hex, 64)) return 2;
    *colon = 0;
    sykli_blob_writer *to = sykli_blob_begin(b->s, &id, strtoull(colon + 1, NULL, 10));
    double begun = now_us(b);
    int64_t size = to ? ask(b, &desc, to) : SYKLI_EIO;
    int rc = to ? sykli_blob_end(b->s, to) : 0;
    if (size < 0 || rc) return fprintf(stderr, "fetch: %s\n", sykli_errmsg(b->s)), 1;
    printf("%.0f\n", (double)size / (now_us(b) - begun));
    return 0;
}

static int down(bench *b, int pid)
{
    double begun = now_us(b);
    sykli_system(b->s)->signal(NULL, pid, 9, 0);
    while (!b->down && now_us(b) - begun < 60e6) sykli_poll(b->s, 1000);
    printf("%.1f\n", (now_us(b) - begun) / 1e3);
    return !b->down;
}

int main(int argc, char **argv)
{
    static bench b;
    char listen[32];
    if (argc != 6) return fprintf(stderr, "usage: see the first lines of mesh.c\n"), 2;
    const char *verb = argv[3];
    int number = atoi(argv[5]), wanted = !strcmp(verb, "push") ? atoi(argv[4]) - 1 : 1;
    b.node = argv[4];
    snprintf(listen, sizeof listen, "127.0.0.1:%s", argv[2]);
    b.s = sykli_open(&(sykli_desc){ .state_dir = argv[1], .node_name = "a", .no_history = true,
                                    .on_event = on_event, .on_event_user = &b });
    sykli_mesh *m = sykli_mesh_open(b.s, &(sykli_mesh_desc){ .state_dir = argv[1],
                                                             .listen = listen });
    if (!m) return fprintf(stderr, "%s\n", sykli_errmsg(b.s)), 1;
    double begun = now_us(&b);
    while (peers(&b, b.node) < wanted && now_us(&b) - begun < 60e6) sykli_poll(b.s, 100);
    // What is just up still tells all it knows.
    for (begun = now_us(&b); now_us(&b) - begun < 2e6;) sykli_poll(b.s, 100);
    char key[80];
    snprintf(key, sizeof key, "{\"key\":\"%064d\"}", 7); // an action that nobody has
    sykli_request call = { .verb = SYKLI_VERB_call, .node = b.node, .what = "action.get",
                           .args = key }, push = { .verb = SYKLI_VERB_call, .what = "config.push" };
    int rc = !strcmp(verb, "call") ? repeat(&b, &call, number, 1)
           : !strcmp(verb, "push") ? repeat(&b, &push, number, 1e3)
           : !strcmp(verb, "fetch") ? fetch(&b, argv[5]) : down(&b, number);
    sykli_mesh_close(m);
    sykli_close(b.s);
    return rc;
}
