// The test runner: a program is a list of stories. Each runs once as it is, which shows the places
// that allocate or call the system; then it runs again for each of them, with that one failing. A
// story must end cleanly each time: no leak, no descriptor open, an error where one was injected.
//
//     static void keys_survive(test *t) { TRY(sykli_map_put(&m, "a", 1, 7)); CHECK(...); out: ; }
//     int main(int argc, char **argv) { TEST_STORY(keys_survive); return test_end(argc, argv); }
//
// TRY leaves by `goto out` when the call fails in a run with an injected failure; without one, or
// for CHECK, a false condition fails the story. `PROGRAM NAME` runs one story, `PROGRAM NAME N` the
// one with the N-th call failing, which is what a failing test prints.
//
// A place is a call and the functions it came through, TEST_DEPTH of them. Ten thousand calls from
// one place are alike: the first, the second and the last fail. Where a story before has been, one
// in TEST_AGAIN fails once more. TORTURE=full does so for long stories too, of which make test
// takes some points only, and TEST_SHARE=1/2 the second half of them, so that processors can share
// them; TORTURE=every fails each single call.
#ifndef TEST_H_INCLUDED
#define TEST_H_INCLUDED

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include "../sykli.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

typedef struct test {
    sykli_sys sys;      // counts and injects; hand it to sykli_open or use mem
    sykli_mem mem;      // over sys
    sykli_fault fault;  // for calls that want one
    sykli_sys real;
    long fail_at, calls; // the call to fail, 0: none; calls made so far
    uint64_t fail_place; // or the one that is the so many-th of a place
    long fail_turn, turns;
    int open_fds;
    long long bytes;     // allocated over sys and not given back
    bool injected, failed;
    int watching;        // the story whose places are noted, from 1
    const void *stack;
} test;

// points: so many of its failures are enough for make test; 0: all, -1: none
// most: so many are for a whole sweep; 0: all
typedef struct test_story { const char *name; void (*run)(test *); int points, most; } test_story;
static test_story test_stories[256];
static int test_count;

#define TEST_STORY(name) (test_stories[test_count++] = (test_story){ #name, name, 0, 0 })
// For those that take long, and for those of which a whole sweep would take many minutes.
#define TEST_SOME(points, name)                                                                    \
    (test_stories[test_count++] = (test_story){ #name, name, points, 0 })
#define TEST_FEW(points, most, name)                                                               \
    (test_stories[test_count++] = (test_story){ #name, name, points, most })
// For those that no failure can be injected into, each with its reason.
#define TEST_ONCE(name) (test_stories[test_count++] = (test_story){ #name, name, -1, 0 })

// A place, and the calls from there in the story that was there last.
typedef struct test_place { uint64_t key; long first, second, last, count; int story; bool known; }
    test_place;
typedef struct test_point { uint64_t key; long turn, call; } test_point;
enum { TEST_DEPTH = 8, TEST_AGAIN = 8, TEST_PLACES = 1 << 16 };
static test_place test_places[TEST_PLACES];
static test_point test_points[3 * TEST_PLACES];
static char test_busy; // the table of places is being changed

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
// What holds unless a failure was met: with one, the story leaves.
#define TRY_TRUE(condition) TRY_THAT(condition, #condition)
#define TRY_INT(a, b)                                                                              \
    do { long long x_ = (long long)(a), y_ = (long long)(b);                                       \
         if (x_ == y_) break;                                                                      \
         if (!t->injected) test_fail_int(t, __FILE__, __LINE__, #a " == " #b, x_, y_);             \
         goto out; } while (0)
#define TRY_TEXT(a, b)                                                                             \
    do { const char *x_ = (a), *y_ = (b);                                                          \
         if (x_ && y_ && !strcmp(x_, y_)) break;                                                   \
         if (!t->injected) test_fail_text(t, __FILE__, __LINE__, #a, x_, y_);                      \
         goto out; } while (0)

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

// Where a call comes from. Frames are walked where they are simple, on the stack of the story only;
// elsewhere, and in other threads, a place is the name of the call.
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
#define TEST_FRAMES 1
#endif
#if defined(__clang__)
__attribute__((no_sanitize("address", "undefined", "memory"), noinline))
#elif defined(__GNUC__)
__attribute__((no_sanitize_address, no_sanitize_undefined, noinline))
#endif
static uint64_t test_place_key(const test *t, const char *name)
{
    uint64_t key = 14695981039346656037u; // FNV-1a
    while (*name) key = (key ^ (uint8_t)*name++) * 1099511628211u;
#if defined(TEST_FRAMES)
    const uintptr_t *frame = (const uintptr_t *)__builtin_frame_address(0);
    uintptr_t top = (uintptr_t)t->stack;
    __asm__ volatile("" : "+r"(frame) : : "memory"); // what lies there is nothing compilers know of
    for (int i = 0; i < TEST_DEPTH + 2; i++) {
        uintptr_t at = (uintptr_t)frame;
        if (at >= top || top - at > 1 << 20 || at % sizeof *frame) break;
        key = (key ^ (frame[1] - (uintptr_t)test_stories)) * 1099511628211u;
        if (frame[0] <= at) break;
        frame = (const uintptr_t *)frame[0];
    }
#else
    (void)t;
#endif
    return key ? key : 1;
}

static inline void test_note(uint64_t key, int story, long call)
{
    while (__atomic_test_and_set(&test_busy, __ATOMIC_ACQUIRE)) {}
    size_t at = key % TEST_PLACES, tries = 0;
    while (test_places[at].key && test_places[at].key != key && ++tries < TEST_PLACES)
        at = (at + 1) % TEST_PLACES;
    test_place *place = &test_places[at];
    if (tries < TEST_PLACES) {
        if (place->story != story)
            *place = (test_place){ key, call, 0, 0, 0, story, place->key != 0 };
        place->count++;
        if (place->count == 2) place->second = call;
        place->last = call;
    }
    __atomic_clear(&test_busy, __ATOMIC_RELEASE);
}

// Whether this call is the one to fail.
static inline bool test_inject(test *t, const char *name)
{
    long call = __atomic_add_fetch(&t->calls, 1, __ATOMIC_RELAXED);
    bool now = call == t->fail_at;
    // Called from one line only: the way there is a part of the name.
    uint64_t key = t->watching || t->fail_place ? test_place_key(t, name) : 0;
    if (t->watching) test_note(key, t->watching, call);
    if (key && key == t->fail_place
        && __atomic_add_fetch(&t->turns, 1, __ATOMIC_RELAXED) == t->fail_turn) {
        t->fail_at = call; // to be told
        now = true;
    }
    if (now) __atomic_store_n(&t->injected, true, __ATOMIC_RELAXED);
    return now;
}

// Whether one is to be injected in this run: some stories are shorter then.
static inline bool test_failing(const test *t) { return t->fail_place || t->fail_at; }

// No failure from here on: for cleaning up, and for the other process behind a fork.
static inline void test_calm(test *t) { t->fail_place = 0, t->fail_at = 0, t->watching = 0; }

static inline void *test_resize(void *user, void *ptr, size_t old, size_t fresh, int tag)
{
    test *t = (test *)user;
    if (fresh > old && test_inject(t, "resize")) return NULL;
    void *block = t->real.resize(t->real.user, ptr, old, fresh, tag);
    if (block || !fresh)
        __atomic_add_fetch(&t->bytes, (long long)fresh - (long long)old, __ATOMIC_RELAXED);
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
    __atomic_sub_fetch(&t->open_fds, 1, __ATOMIC_RELAXED);
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
#define TEST_OPENS_TWO(name) (!strcmp(name, "pipe") || !strcmp(name, "terminal"))
#define SYKLI_X(type, name, params, args)                                                          \
    static inline type test_sys_##name params                                                      \
    {                                                                                              \
        test *t = (test *)u;                                                                       \
        if (test_inject(t, #name)) return -5; /* EIO */                                            \
        u = t->real.user;                                                                          \
        type rc = t->real.name args;                                                               \
        int opened = TEST_OPENS(#name) + 2 * TEST_OPENS_TWO(#name);                                \
        if (rc >= 0 && opened) __atomic_add_fetch(&t->open_fds, opened, __ATOMIC_RELAXED);         \
        return rc;                                                                                 \
    }
SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X

// Which call of two threads is the n-th is nobody's to say: the pool does with the caller alone.
static inline int test_no_thread(void *u, sykli_thread *thread)
{
    (void)thread;
    return test_inject((test *)u, "thread") ? -5 : -11; // EIO, EAGAIN
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

// A story that waits for what does not come any more ends its program, by a name and a number.
static const char *test_running;
static inline void test_hangs(int sig)
{
    (void)sig;
    if (write(1, "  hangs: ", 9) < 0 || write(1, test_running, strlen(test_running)) < 0) {}
    if (write(1, "\n", 1) < 0) {}
    _exit(1);
}

// One run of a story.    returns  whether it passed
// It is a function of its own, for the return addresses up to here are the names of places.
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static bool test_once(const test_story *story, const char *program, test *t)
{
    char running[200];
    snprintf(running, sizeof running, "%s, call %ld", story->name, t->fail_at);
    test_running = running;
    signal(SIGALRM, test_hangs);
    alarm(300);
    t->stack = __builtin_frame_address(0);
    story->run(t);
    alarm(0);
    if (t->bytes) {
        test_fail(t, program, 0, "all memory is given back");
        printf("    %lld bytes are not\n", t->bytes);
    }
    if (t->open_fds) {
        test_fail(t, program, 0, "all descriptors are closed");
        printf("    %d are not\n", t->open_fds);
    }
    if (t->failed)
        printf("FAIL %s: again with: %s %s %ld\n", story->name, program, story->name,
               t->injected ? t->fail_at : 0);
    return !t->failed;
}

static inline bool test_once_at(const test_story *story, const char *program, test_point at,
                                long *met)
{
    test t;
    test_begin(&t, at.key ? 0 : at.call);
    t.fail_place = at.key, t.fail_turn = at.turn;
    bool ok = test_once(story, program, &t);
    *met += t.injected;
    return ok;
}

static inline int test_point_compare(const void *a, const void *b)
{
    long x = ((const test_point *)a)->call, y = ((const test_point *)b)->call;
    return (x > y) - (x < y);
}

// The points of the story that ran just now, in the order of its calls.
static inline int test_points_choose(int story)
{
    int count = 0;
    for (size_t i = 0; i < TEST_PLACES; i++) {
        const test_place *p = &test_places[i];
        if (p->story != story || (p->known && (p->key >> 7) % TEST_AGAIN)) continue;
        test_points[count++] = (test_point){ p->key, 1, p->first };
        if (p->known) continue;
        if (p->count > 1) test_points[count++] = (test_point){ p->key, 2, p->second };
        if (p->count > 2) test_points[count++] = (test_point){ p->key, p->count, p->last };
    }
    qsort(test_points, (size_t)count, sizeof *test_points, test_point_compare);
    return count;
}

// Runs a story as it is, then with each of its failures.    returns  whether all passed
//   TEST_SHARE   of long stories only, for the others have been swept whole
static inline bool test_sweep(int number, const char *program, long *points)
{
    const test_story *story = &test_stories[number];
    const char *torture = getenv("TORTURE"), *share = getenv("TEST_SHARE");
    int of = 1, ours = share && sscanf(share, "%d/%d", &ours, &of) == 2 && of > 0 ? ours : 0;
    test t;
    if (share && story->points < 0) return true; // nor does it show the others a place
    test_begin(&t, 0);
    t.watching = story->points < 0 ? 0 : number + 1;
    if (!test_once(story, program, &t)) return false;
    if (story->points < 0 || (share && !story->points)) return true;
    bool every = torture && !strcmp(torture, "every"), full = torture && *torture;
    int found = every ? (int)t.calls : test_points_choose(number + 1);
    int taken = full ? story->most : story->points;
    if (every || !taken || taken > found) taken = found;
    long met = 0;
    for (int i = ours; i < taken; i += of) {
        test_point at = { 0, 0, i + 1 };
        if (!every) at = test_points[(long)i * found / taken];
        if (!test_once_at(story, program, at, &met)) return false;
    }
    *points += met;
    if (taken > 2 * of && !met) printf("FAIL %s: no failure is met in it\n", story->name);
    return taken <= 2 * of || met;
}

static inline int test_end(int argc, char **argv)
{
    int passed = 0, failed = 0;
    long points = 0;
    const char *share = getenv("TEST_SHARE");
    if (argc > 1 && !strcmp(argv[1], "--long")) {
        for (int i = 0; i < test_count; i++)
            if (test_stories[i].points > 0) puts(test_stories[i].name);
        return 0;
    }
    for (int i = 0; i < test_count; i++) {
        if (argc > 1 && strcmp(argv[1], test_stories[i].name)) continue;
        test_point at = { 0, 0, argc > 2 ? atol(argv[2]) : 0 };
        bool ok = argc > 2 ? test_once_at(&test_stories[i], argv[0], at, &points)
                           : test_sweep(i, argv[0], &points);
        passed += ok && (!share || (test_stories[i].points > 0 && *share == '0'));
        failed += !ok;
    }
    printf("%s: %d passed, %d failed (%ld injected failures)\n", argv[0], passed, failed, points);
    return failed != 0;
}

#endif
