// Stories of >>pool: threads that live for one call. Under the thread sanitizer they tell more.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#include <signal.h>

// A system that counts its threads and has no more than so many.
typedef struct few { sykli_sys sys; int most, started, joined; } few;
static int few_thread(void *u, sykli_thread *thread)
{
    few *f = (few *)u;
    sykli_sys real;
    sykli_sys_init(&real);
    if (f->started == f->most) return -EAGAIN;
    int rc = real.thread(NULL, thread);
    f->started += !rc;
    return rc;
}
static void few_join(void *u, sykli_thread *thread)
{
    sykli_sys real;
    sykli_sys_init(&real);
    real.join(NULL, thread);
    ((few *)u)->joined++;
}
static void few_init(few *f, int most)
{
    *f = (few){ .most = most };
    sykli_sys_init(&f->sys);
    f->sys.user = f;
    f->sys.thread = few_thread;
    f->sys.join = few_join;
}

static int count_one(void *user, size_t number, uint8_t *chunk)
{
    memset(chunk, (int)number & 255, SYKLI__POOL_CHUNK);
    ((uint8_t *)user)[number]++;
    return chunk[SYKLI__POOL_CHUNK - 1] != (number & 255); // nobody else writes there
}

static void each_number_is_done_once(test *t)
{
    for (int most = 0; most <= 5; most++) {
        uint8_t done[300] = { 0 };
        few f;
        few_init(&f, most);
        sykli_mem mem = { .sys = &f.sys };
        sykli__pool_job job = { .work = count_one, .user = done, .count = sizeof done,
                                .room = SYKLI__POOL_CHUNK };
        CHECK_INT(sykli__pool_each(&mem, 4, &job), 0);
        for (size_t i = 0; i < sizeof done; i++) CHECK_INT(done[i], 1);
#if !defined(SYKLI_NO_THREADS)
        CHECK_INT(f.started, most < 3 ? most : 3);
#endif
        CHECK_INT(f.joined, f.started);
        CHECK_INT(mem.total_bytes, 0);
    }
}

static void there_are_no_more_threads_than_work(test *t)
{
    for (size_t count = 0; count <= 3; count++) {
        uint8_t done[3] = { 0 };
        few f;
        few_init(&f, 100);
        sykli_mem mem = { .sys = &f.sys };
        sykli__pool_job job = { .work = count_one, .user = done, .count = count,
                                .room = SYKLI__POOL_CHUNK };
        CHECK_INT(sykli__pool_each(&mem, 1000, &job), 0);
        CHECK(f.started <= (count ? (int)count - 1 : 0));
        CHECK_INT(done[0] + done[1] + done[2], count);
    }
}

#if !defined(SYKLI_NO_THREADS)
// What the threads of a job saw, each of which waits until all have come.
typedef struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t here;
    pthread_t caller;
    int expected, came, open; // open: threads of ours that let a signal in
} meeting;

static int meet(void *user, size_t number, uint8_t *chunk)
{
    meeting *m = (meeting *)user;
    sigset_t mask;
    (void)number, (void)chunk;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    pthread_mutex_lock(&m->lock);
    if (!pthread_equal(pthread_self(), m->caller))
        m->open += !sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGCHLD)
            || !sigismember(&mask, SIGALRM) || !sigismember(&mask, SIGUSR1);
    m->came++;
    pthread_cond_broadcast(&m->here);
    while (m->came < m->expected) pthread_cond_wait(&m->here, &m->lock);
    pthread_mutex_unlock(&m->lock);
    return 0;
}

static void threads_work_at_once_and_take_no_signal(test *t)
{
    meeting m = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, pthread_self(), 3, 0, 0 };
    sigset_t before, after;
    few f;
    few_init(&f, 2);
    sykli_mem mem = { .sys = &f.sys };
    sykli__pool_job job = { .work = meet, .user = &m, .count = 3 };
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    CHECK_INT(sykli__pool_each(&mem, 3, &job), 0); // ends when three have met
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    CHECK_INT(m.came, 3);
    CHECK_INT(m.open, 0);
    for (int sig = 1; sig < 32; sig++)
        CHECK_INT(sigismember(&after, sig), sigismember(&before, sig));
}
#endif

static int fail_at_three(void *user, size_t number, uint8_t *chunk)
{
    (void)chunk;
    if (number < 3) ++*(int *)user;
    return number == 3 ? -EIO : 0;
}

static void the_first_error_ends_it(test *t)
{
    int done = 0;
    sykli_sys sys;
    sykli_sys_init(&sys);
    sykli_mem mem = { .sys = &sys };
    sykli__pool_job job = { .work = fail_at_three, .user = &done, .count = 1000 };
    CHECK_INT(sykli__pool_each(&mem, 1, &job), -EIO);
    CHECK_INT(done, 3);
    CHECK_INT(job.next, 4);
}

static void a_file_is_cut_in_powers_of_two(test *t)
{
    const uint64_t k = 1024, m = k * k, g = k * m;
    CHECK_INT(sykli__pool_piece_size(1), 256 * k);
    CHECK_INT(sykli__pool_piece_size(64 * m), 256 * k);
    CHECK_INT(sykli__pool_piece_size(64 * m + 1), 512 * k);
    CHECK_INT(sykli__pool_piece_size(g), 4 * m);
    CHECK_INT(sykli__pool_piece_size(k * g), 4 * g); // the largest blob
    CHECK_INT(sykli__pool_piece_size(k * g - 1), 4 * g);
}

// A file without a disk: byte n is n * n >> 9.
static uint8_t byte_at(uint64_t n) { return (uint8_t)(n * n >> 9); }
static uint64_t file_size;
static int64_t made_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    (void)u, (void)fd;
    if (at >= file_size) return 0;
    if (size > file_size - at) size = (size_t)(file_size - at);
    if (size > 1000) size -= (size_t)(at % 999); // a read may end early
    for (size_t i = 0; i < size; i++) ((uint8_t *)out)[i] = byte_at(at + i);
    return (int64_t)size;
}

static int digest(sykli_mem *mem, uint32_t threads, int fd, uint64_t size, sykli_digest *out)
{
    sykli_tree tree;
    sykli_tree_init(&tree);
    int rc = sykli__pool_add(mem, threads, fd, -1, size, &tree);
    sykli_tree_end(&tree, out);
    return rc;
}

static void a_digest_does_not_tell_how_many_made_it(test *t)
{
    static const size_t sizes[] = { 0, 1, 1024, 1025, (256 << 10) - 1, 256 << 10, (256 << 10) + 1,
                                    768 << 10, (768 << 10) + 1025, 1 << 20 };
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        sykli_digest expected, got;
        file_size = sizes[n];
        uint8_t *data = (uint8_t *)malloc(sizes[n] + 1);
        if (!data) return;
        for (size_t i = 0; i < sizes[n]; i++) data[i] = byte_at(i);
        sykli_tree_of(data, sizes[n], &expected);
        free(data);
        for (uint32_t threads = 0; threads <= 4; threads++) {
            few f;
            few_init(&f, 100);
            f.sys.pread = made_pread;
            sykli_mem mem = { .sys = &f.sys };
            CHECK_INT(digest(&mem, threads, 0, sizes[n], &got), 0);
            CHECK(!memcmp(&got, &expected, sizeof got));
            CHECK_INT(digest(&mem, threads, 0, sizes[n] + 1, &got), 1); // too short
            CHECK_INT(f.joined, f.started);
        }
    }
}

static void a_failure_is_an_error_and_leaves_nothing(test *t)
{
    sykli_digest got, expected;
    char path[] = "/tmp/sykli-pool-XXXXXX";
    int fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 1 << 20)) abort();
    unlink(path);
    sykli_mem mem = { .sys = &t->real };
    CHECK_INT(digest(&mem, 2, fd, 1 << 20, &expected), 0);
    TRY(digest(&t->mem, 2, fd, 1 << 20, &got));
    CHECK(!memcmp(&got, &expected, sizeof got));
out:
    close(fd);
}

int main(int argc, char **argv)
{
    TEST_STORY(each_number_is_done_once);
    TEST_STORY(there_are_no_more_threads_than_work);
#if !defined(SYKLI_NO_THREADS)
    TEST_STORY(threads_work_at_once_and_take_no_signal);
#endif
    TEST_STORY(the_first_error_ends_it);
    TEST_STORY(a_file_is_cut_in_powers_of_two);
    TEST_STORY(a_digest_does_not_tell_how_many_made_it);
    TEST_STORY(a_failure_is_an_error_and_leaves_nothing);
    return test_end(argc, argv);
}
