// The test runner: a program is a list of stories. Each runs once as it is, then again with the
// n-th allocation and the n-th sys call failing, n = 1, 2, ... until a run meets no failure. A
// story must end cleanly each time: no leak, no descriptor open, an error where one was injected.
//
//     static void keys_survive(test *t) { TRY(sykli_map_put(&m, "a", 1, 7)); CHECK(...); out: ; }
//     int main(int argc, char **argv) { TEST_STORY(keys_survive); return test_end(argc, argv); }
//
// TRY leaves by `goto out` when the call fails in a run with an injected failure; without one, or
// for CHECK, a false condition fails the story. `PROGRAM NAME` runs one story, `PROGRAM NAME N` the
// one with the N-th failure, which is what a failing test prints. `PROGRAM --long` prints the names
// of those that are swept whole only with TORTURE=full.
#ifndef TEST_H_INCLUDED
#define TEST_H_INCLUDED

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../sykli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct test {
    sykli_sys sys;      // counts and injects; hand it to sykli_open or use mem
    sykli_mem mem;      // over sys
    sykli_fault fault;  // for calls that want one
    sykli_sys real;
    long fail_at, calls; // the call to fail, 0: none; calls made so far
    int open_fds;
    long long bytes;     // allocated over sys and not given back
    bool injected, failed;
} test;

// step: every so many-th call fails in turn; 0: none
typedef struct test_story { const char *name; void (*run)(test *); int step; } test_story;
static test_story test_stories[256];
static int test_count;

#define TEST_STORY(name) (test_stories[test_count++] = (test_story){ #name, name, 1 })
// For stories that cannot be repeated thousands of times: real daemons, long simulations.
#define TEST_ONCE(name) (test_stories[test_count++] = (test_story){ #name, name, 0 })
// For those that take long: only every step-th call fails, unless TORTURE=full is set.
#define TEST_EVERY(step, name) (test_stories[test_count++] = (test_story){ #name, name, step })

#define CHECK(condition)                                                                           \
    do { if (!(condition)) test_fail(t, __FILE__, __LINE__, #condition); } while (0)
#define CHECK_INT(a, b)                                                                            \
    do { long long x_ = (long long)(a), y_ = (long long)(b);                                       \
         if (x_ != y_) test_fail_int(t, __FILE__, __LINE__, #a " == " #b, x_, y_); } while (0)
#define CHECK_TEXT(a, b)                                                                           \
    do { const char *x_ = (a), *y_ = (b);                                                          \
         if (!x_ || !y_ || strcmp(x_, y_))                                                         \
             test_fail_text(t, __FILE__, __LINE__, #a, x_, y_); } while (0)
// A call that may meet the injected failure.
#define TRY_THAT(holds, what)                                                                      \
    do { if (!(holds)) { if (!t->injected) test_fail(t, __FILE__, __LINE__, what); goto out; }     \
    } while (0)
#define TRY(call) TRY_THAT((call) >= 0, #call)
#define TRY_NOT_NULL(pointer) TRY_THAT(pointer, #pointer)

static inline void test_fail(test *t, const char *file, int line, const char *what)
{
    if (!t->failed) printf("  %s:%d: not true: %s%s%s\n", file, line, what,
                           t->fault.text[0] ? "\n    last fault: " : "", t->fault.text);
    t->failed = true;
}

static inline void test_fail_int(test *t, const char *file, int line, const char *what, long long a,
                                 long long b)
{
    test_fail(t, file, line, what);
    printf("    %lld, wanted %lld\n", a, b);
}

static inline void test_fail_text(test *t, const char *file, int line, const char *what,
                                  const char *a, const char *b)
{
    test_fail(t, file, line, what);
    printf("    \"%s\",\n    wanted \"%s\"\n", a ? a : "(null)", b ? b : "(null)");
}

// Whether this call is the one to fail.
static inline bool test_inject(test *t)
{
    if (++t->calls != t->fail_at) return false;
    t->injected = true;
    return true;
}

static inline void *test_resize(void *user, void *ptr, size_t old, size_t fresh, int tag)
{
    test *t = (test *)user;
    if (fresh > old && test_inject(t)) return NULL;
    void *block = t->real.resize(t->real.user, ptr, old, fresh, tag);
    if (block || !fresh) t->bytes += (long long)fresh - (long long)old;
    return block;
}
static inline uint64_t test_now_ns(void *u)
{
    test *t = (test *)u;
    return t->real.now_ns(t->real.user);
}
static inline int64_t test_wall_ms(void *u)
{
    test *t = (test *)u;
    return t->real.wall_ms(t->real.user);
}
static inline void test_close(void *u, int fd)
{
    test *t = (test *)u;
    t->open_fds--;
    t->real.close(t->real.user, fd);
}
static inline void test_unmap(void *u, void *map, size_t size)
{
    test *t = (test *)u;
    t->real.unmap(t->real.user, map, size);
}
// ENOENT is what callers handle as an everyday answer, EIO as a fault: the second is injected.
#define TEST_OPENS(name)                                                                           \
    (!strcmp(name, "open") || !strcmp(name, "listen") || !strcmp(name, "accept")                   \
     || !strcmp(name, "dial") || !strcmp(name, "exit_fd"))
#define SYKLI_X(type, name, params, args)                                                          \
    static inline type test_sys_##name params                                                      \
    {                                                                                              \
        test *t = (test *)u;                                                                       \
        if (test_inject(t)) return -5; /* EIO */                                                   \
        u = t->real.user;                                                                          \
        type rc = t->real.name args;                                                               \
        if (rc >= 0 && TEST_OPENS(#name)) t->open_fds++;                                           \
        if (rc >= 0 && (!strcmp(#name, "pipe") || !strcmp(#name, "terminal"))) t->open_fds += 2;   \
        return rc;                                                                                 \
    }
SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X

// Which call of two threads is the n-th is nobody's to say: the pool does with the caller alone.
static inline int test_no_thread(void *u, sykli_thread *thread)
{
    (void)thread;
    return test_inject((test *)u) ? -5 : -11; // EIO, EAGAIN
}

static inline void test_begin(test *t, long fail_at)
{
    memset(t, 0, sizeof *t);
    sykli_sys_init(&t->real);
    t->sys.user = t;
    t->sys.resize = test_resize;
    t->sys.now_ns = test_now_ns;
    t->sys.wall_ms = test_wall_ms;
    t->sys.close = test_close;
    t->sys.unmap = test_unmap;
#define SYKLI_X(type, name, params, args) t->sys.name = test_sys_##name;
    SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X
    t->sys.thread = test_no_thread;
    t->mem.sys = &t->sys;
    t->fail_at = fail_at;
}

// One run of a story.    returns  whether the failure was met
static inline bool test_once(const test_story *story, const char *program, long fail_at,
                             int *failed)
{
    test t;
    test_begin(&t, fail_at);
    story->run(&t);
    if (t.bytes) {
        test_fail(&t, program, 0, "all memory is given back");
        printf("    %lld bytes are not\n", t.bytes);
    }
    if (t.open_fds) {
        test_fail(&t, program, 0, "all descriptors are closed");
        printf("    %d are not\n", t.open_fds);
    }
    if (t.failed) {
        printf("FAIL %s: again with: %s %s %ld\n", story->name, program, story->name, fail_at);
        ++*failed;
    }
    return t.injected;
}

static inline int test_end(int argc, char **argv)
{
    int passed = 0, failed = 0;
    long points = 0;
    const char *torture = getenv("TORTURE");
    bool full = torture && !strcmp(torture, "full"), list = argc > 1 && !strcmp(argv[1], "--long");
    for (int i = 0; i < test_count; i++) {
        test_story *story = &test_stories[i];
        if (list && story->step > 1) puts(story->name);
        if (full && story->step) story->step = 1;
        if (argc > 1 && strcmp(argv[1], story->name)) continue;
        int before = failed;
        if (argc > 2) test_once(story, argv[0], atol(argv[2]), &failed);
        else {
            test_once(story, argv[0], 0, &failed);
            if (story->step && failed == before)
                for (long n = 1; n < 1000000 && failed == before; n += story->step, points++)
                    if (!test_once(story, argv[0], n, &failed)) break;
        }
        passed += failed == before;
    }
    if (list) return 0;
    printf("%s: %d passed, %d failed (%ld injected failures)\n", argv[0], passed, failed, points);
    return failed != 0;
}

#endif
