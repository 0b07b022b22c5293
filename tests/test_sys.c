// The operating system as the library sees it: what each call promises beyond its name.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static int folder_make(test *t, char *out)
{
    strcpy(out, "/tmp/sykli-sys-XXXXXX");
    if (!mkdtemp(out)) return -1;
    return t->real.open(NULL, SYKLI_CWD, out, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
}

static void folder_remove(int fd, const char *dir)
{
    char command[100];
    close(fd);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command)) printf("  %s stays\n", dir);
}

static void file_put(test *t, int dir, const char *name, const char *text)
{
    int fd = t->real.open(NULL, dir, name,
                          SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_truncate, 0644);
    CHECK(fd >= 0);
    CHECK_INT(t->real.write(NULL, fd, text, strlen(text)), strlen(text));
    t->real.close(NULL, fd);
}

static void paths_stay_beneath(test *t)
{
    const sykli_sys *sys = &t->real;
    char dir[40];
    int d = folder_make(t, dir);
    CHECK(d >= 0);
    CHECK_INT(sys->mkdir(NULL, d, "in", 0755), 0);
    CHECK_INT(sys->mkdir(NULL, d, "in/deep", 0755), 0);
    file_put(t, d, "secret", "s");
    file_put(t, d, "in/deep/file", "f");
    CHECK_INT(sys->symlink(NULL, "../secret", d, "in/out"), 0);
    CHECK_INT(sys->symlink(NULL, "/etc", d, "in/etc"), 0);
    CHECK_INT(sys->symlink(NULL, "deep", d, "in/link"), 0);
    int in = sys->open(NULL, d, "in", SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    CHECK(in >= 0);
    static const char *const bad[] = { "../secret", "out", "etc/passwd", "/etc/passwd",
        "deep/../../secret", "link/../../secret", "..", "" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(sys->open(NULL, in, bad[i], SYKLI_OPEN_read | SYKLI_OPEN_beneath, 0) < 0);
        CHECK(sykli__sys_open_walk(in, bad[i], O_RDONLY, 0) < 0); // where there is no openat2
    }
    static const char *const good[] = { "deep/file", "deep//file", "./deep/./file" };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int a = sys->open(NULL, in, good[i], SYKLI_OPEN_read | SYKLI_OPEN_beneath, 0);
        int b = sykli__sys_open_walk(in, good[i], O_RDONLY | O_CLOEXEC, 0);
        CHECK(a >= 0 && b >= 0 && (fcntl(a, F_GETFD) & FD_CLOEXEC));
        close(a);
        close(b);
    }
    int fresh = sys->open(NULL, in, "deep/new", SYKLI_OPEN_write | SYKLI_OPEN_create
                          | SYKLI_OPEN_exclusive | SYKLI_OPEN_beneath, 0600);
    CHECK(fresh >= 0);
    close(fresh);
    CHECK_INT(sys->open(NULL, in, "deep/new", SYKLI_OPEN_write | SYKLI_OPEN_create
                        | SYKLI_OPEN_exclusive | SYKLI_OPEN_beneath, 0600), -EEXIST);
    CHECK_INT(sys->open(NULL, in, "out", SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0), -ELOOP);
    close(in);
    folder_remove(d, dir);
}

typedef struct listed { int count, stop_at; char last[32]; int type; } listed;

static int list_each(void *to, const char *name, int type)
{
    listed *l = (listed *)to;
    snprintf(l->last, sizeof l->last, "%.31s", name);
    l->type = type;
    return ++l->count == l->stop_at ? 42 : 0;
}

static void files_are_described(test *t)
{
    const sykli_sys *sys = &t->real;
    char dir[40], text[8] = "";
    sykli_stat st;
    int d = folder_make(t, dir);
    CHECK(d >= 0);
    listed l = { 0, 0, "", 0 };
    CHECK_INT(sys->list(NULL, d, list_each, &l), 0);
    CHECK_INT(l.count, 0);
    file_put(t, d, "a", "12345");
    CHECK_INT(sys->list(NULL, d, list_each, &l), 0);
    CHECK_TEXT(l.last, "a");
    CHECK_INT(l.type, SYKLI_FILE_regular);
    CHECK_INT(sys->symlink(NULL, "a", d, "b"), 0);
    CHECK_INT(sys->mkdir(NULL, d, "c", 0700), 0);
    l = (listed){ 0, 2, "", 0 };
    CHECK_INT(sys->list(NULL, d, list_each, &l), 42); // ended by the callback, from the start again
    CHECK_INT(l.count, 2);
    CHECK_INT(sys->stat(NULL, d, "b", &st), 0);
    CHECK_INT(st.type, SYKLI_FILE_symlink);
    CHECK_INT(sys->readlink(NULL, d, "b", text, sizeof text), 1);
    CHECK_INT(sys->stat(NULL, d, "a", &st), 0);
    CHECK(st.size_bytes == 5 && st.type == SYKLI_FILE_regular && st.mode == 0644 && st.inode);
    CHECK(llabs(st.mtime_ns / 1000000 - sys->wall_ms(NULL)) < 60000);
    CHECK_INT(sys->utime(NULL, d, "a", -1), 0); // a moment before 1970
    CHECK_INT(sys->stat(NULL, d, "a", &st), 0);
    CHECK_INT(st.mtime_ns, -1);
    if (sizeof(time_t) > 4) { // one that nanoseconds in 64 bits cannot tell; nor can some disks
        const struct timespec far = { .tv_sec = (time_t)INT64_C(10000000000) };
        CHECK_INT(utimensat(d, "a", (const struct timespec[2]){ far, far }, 0), 0);
        CHECK_INT(sys->stat(NULL, d, "a", &st), 0);
        CHECK(st.mtime_ns > sys->wall_ms(NULL) * 1000000);
    }
    CHECK_INT(sys->stat(NULL, d, "nonesuch", &st), -ENOENT);
    CHECK_INT(sys->remove(NULL, d, "c", 0) == 0, 0);
    CHECK_INT(sys->remove(NULL, d, "c", 1), 0);
    CHECK_INT(sys->rename(NULL, d, "a", d, "e"), 0);
    int fd = sys->open(NULL, d, "e", SYKLI_OPEN_read | SYKLI_OPEN_write, 0);
    CHECK_INT(sys->chmod(NULL, fd, 0400), 0);
    CHECK_INT(sys->fstat(NULL, fd, &st), 0);
    CHECK_INT(st.mode, 0400);
    CHECK_INT(sys->pread(NULL, fd, text, 2, 3), 2);
    CHECK(!memcmp(text, "45", 2));
    CHECK_INT(sys->pread(NULL, fd, text, 2, UINT64_MAX), -EOVERFLOW);
    CHECK_INT(sys->sync(NULL, fd), 0);
    close(fd);
    folder_remove(d, dir);
}

static void allocated_is_not_sparse(test *t)
{
    const sykli_sys *sys = &t->real;
    char dir[40];
    int d = folder_make(t, dir);
    for (int way = 0; way < 2; way++) {
        int fd = sys->open(NULL, d, way ? "b" : "a",
                           SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create, 0600);
        CHECK_INT(way ? sykli__sys_fill(fd, 100000) : sys->allocate(NULL, fd, 100000), 0);
        struct stat st;
        CHECK(!fstat(fd, &st) && st.st_size == 100000 && st.st_blocks * 512 >= 100000);
        void *map = NULL;
        CHECK_INT(sys->map(NULL, fd, 100000, &map), 0);
        if (map) strcpy((char *)map + 99990, "mapped");
        char text[8] = "";
        CHECK_INT(sys->pread(NULL, fd, text, 7, 99990), 7);
        CHECK_TEXT(text, "mapped");
        if (map) sys->unmap(NULL, map, 100000);
        close(fd);
    }
    folder_remove(d, dir);
}

static void locks_exclude(test *t)
{
    const sykli_sys *sys = &t->real;
    char dir[40];
    int d = folder_make(t, dir), flags = SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create;
    int a = sys->open(NULL, d, "lock", flags, 0600), b = sys->open(NULL, d, "lock", flags, 0600);
    CHECK_INT(sys->lock(NULL, a, 1), 0);
    CHECK_INT(sys->lock(NULL, b, 0), -EWOULDBLOCK);
    CHECK_INT(sys->lock(NULL, a, 0), 0);
    CHECK_INT(sys->lock(NULL, b, 0), 0);
    close(a);
    CHECK_INT(sys->lock(NULL, b, 1), 0);
    int rc = sys->clone(NULL, b, b); // not every file system can
    CHECK(rc < 0);
    close(b);
    folder_remove(d, dir);
}

// A library must not end its host because a reader went away.
static void broken_pipes_are_errors(test *t)
{
    const sykli_sys *sys = &t->real;
    int fds[2], pair[2];
    char byte;
    signal(SIGPIPE, SIG_DFL);
    CHECK_INT(sys->pipe(NULL, fds), 0);
    CHECK((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) && (fcntl(fds[1], F_GETFD) & FD_CLOEXEC));
    CHECK_INT(sys->read(NULL, fds[0], &byte, 1), -EAGAIN);
    CHECK_INT(sys->write(NULL, fds[1], "x", 1), 1);
    close(fds[0]);
    CHECK_INT(sys->write(NULL, fds[1], "x", 1), -EPIPE);
    CHECK_INT(sys->write(NULL, fds[1], "x", 1), -EPIPE);
    sigset_t some, before, pending;
    sigemptyset(&some);
    sigaddset(&some, SIGPIPE);
    sigprocmask(SIG_BLOCK, &some, &before);
    raise(SIGPIPE); // the host's own, which stays
    CHECK_INT(sys->write(NULL, fds[1], "x", 1), -EPIPE);
    sigpending(&pending);
    CHECK(sigismember(&pending, SIGPIPE));
    int taken;
    sigwait(&some, &taken);
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(fds[1]);
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[0]);
    CHECK_INT(sys->write(NULL, pair[1], "x", 1), -EPIPE);
    close(pair[1]);
}

static int wait_for(test *t, int fd, short want)
{
    sykli_poll_fd p = { fd, want, 0 };
    return t->real.poll(NULL, &p, 1, 5000) == 1 ? p.got : -1;
}

static void converse(test *t, const char *listen_at, const char *prefix, int family)
{
    const sykli_sys *sys = &t->real;
    char address[128], peer[128] = "", text[8] = "";
    int l = sys->listen(NULL, listen_at);
    if (l < 0) CHECK_TEXT(listen_at, "listens");
    if (l < 0) return;
    sykli__sys_address a;
    socklen_t size = sizeof a;
    CHECK(!getsockname(l, &a.any, &size));
    if (family == AF_UNIX) snprintf(address, sizeof address, "%s", listen_at);
    else CHECK_INT(sykli__sys_address_print(&a, address, sizeof address), 0);
    CHECK_INT(sys->accept(NULL, l, peer, sizeof peer), -EAGAIN);
    int c = sys->dial(NULL, address);
    CHECK(c >= 0 && (fcntl(c, F_GETFD) & FD_CLOEXEC) && (fcntl(c, F_GETFL) & O_NONBLOCK));
    CHECK(wait_for(t, c, SYKLI_POLL_out) & SYKLI_POLL_out);
    CHECK_INT(sys->dialled(NULL, c), 0);
    CHECK(wait_for(t, l, SYKLI_POLL_in) & SYKLI_POLL_in);
    int s = sys->accept(NULL, l, peer, sizeof peer);
    CHECK(s >= 0 && (fcntl(s, F_GETFD) & FD_CLOEXEC) && (fcntl(s, F_GETFL) & O_NONBLOCK));
    CHECK(!strncmp(peer, prefix, strlen(prefix)));
    CHECK_INT(sys->write(NULL, c, "hello", 5), 5);
    CHECK(wait_for(t, s, SYKLI_POLL_in) & SYKLI_POLL_in);
    CHECK_INT(sys->read(NULL, s, text, 5), 5);
    CHECK_TEXT(text, "hello");
    int pid = sys->peer_pid(NULL, s);
    if (family == AF_UNIX) CHECK(pid == getpid() || pid == -ENOSYS);
    close(c);
    CHECK(wait_for(t, s, SYKLI_POLL_in) > 0);
    CHECK_INT(sys->read(NULL, s, text, 5), 0);
    close(s);
    close(l);
    if (family == AF_UNIX) return;
    c = sys->dial(NULL, address); // nobody there any more
    if (c >= 0) CHECK(wait_for(t, c, SYKLI_POLL_out) > 0);
    CHECK_INT(c < 0 ? c : sys->dialled(NULL, c), -ECONNREFUSED);
    if (c >= 0) close(c);
}

static void sockets_converse(test *t)
{
    char dir[40], local[64];
    int d = folder_make(t, dir);
    struct stat st;
    snprintf(local, sizeof local, "unix:%s/s", dir);
    mode_t before = umask(0);
    converse(t, local, "unix:", AF_UNIX);
    CHECK(!stat(local + 5, &st) && (st.st_mode & 0777) == 0600);
    CHECK_INT(umask(before), 0);
    converse(t, "127.0.0.1:0", "127.0.0.1:", AF_INET);
    int six = t->real.listen(NULL, "[::1]:0");
    if (six >= 0) { // not every machine has it
        close(six);
        converse(t, "[::1]:0", "[::1]:", AF_INET6);
    }
    folder_remove(d, dir);
}

static void addresses_are_checked(test *t)
{
    const sykli_sys *sys = &t->real;
    static const char *const bad[] = { "", ":", "127.0.0.1", "127.0.0.1:", ":80", "localhost:80",
        "::1:80", "[::1]80", "[::1:80", "1.2.3.4:http", "1.2.3.4:-1", "256.1.1.1:1", "unix:" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sys->dial(NULL, bad[i]) != -EINVAL) CHECK_TEXT(bad[i], "refused");
    char text[300] = "unix:/tmp/";
    memset(text + 10, 'a', 200);
    CHECK_INT(sys->listen(NULL, text), -ENAMETOOLONG);
    CHECK_INT(sys->dial(NULL, text), -ENAMETOOLONG);
    sykli__sys_address a;
    CHECK(sykli__sys_address_parse("[::ffff:10.1.2.3]:99", &a) > 0);
    CHECK_INT(sykli__sys_address_print(&a, text, sizeof text), 0);
    CHECK_TEXT(text, "10.1.2.3:99");
    CHECK_INT(sykli__sys_address_print(&a, text, 5), -ENAMETOOLONG);
    CHECK_INT(sys->resolve(NULL, "127.0.0.1", 0, text, sizeof text), 4);
    CHECK_TEXT(text, "127.0.0.1");
    CHECK_INT(sys->resolve(NULL, "127.0.0.1", 1, text, sizeof text), -ENOENT);
}

static void many_are_polled(test *t)
{
    sykli_poll_fd fds[100];
    int pipes[100][2];
    for (int i = 0; i < 100; i++) {
        CHECK_INT(t->real.pipe(NULL, pipes[i]), 0);
        fds[i] = (sykli_poll_fd){ pipes[i][0], SYKLI_POLL_in, 7 };
    }
    CHECK_INT(t->real.poll(NULL, fds, 100, 0), 0);
    CHECK_INT(fds[50].got, 0);
    CHECK_INT(t->real.write(NULL, pipes[77][1], "x", 1), 1);
    close(pipes[99][1]);
    CHECK_INT(t->real.poll(NULL, fds, 100, 1000), 2);
    CHECK_INT(fds[77].got, SYKLI_POLL_in);
    CHECK_INT(fds[99].got, SYKLI_POLL_closed);
    CHECK_INT(t->real.poll(NULL, fds, -1, 0), -EINVAL);
    pipes[99][1] = -1;
    for (int i = 0; i < 100; i++) {
        close(pipes[i][0]);
        if (pipes[i][1] >= 0) close(pipes[i][1]);
    }
}

static void processes_are_told_apart(test *t)
{
    const sykli_sys *sys = &t->real;
    static const char *const env[] = { "PATH=/nonesuch:/usr/bin:/bin", NULL };
    static const char *const argv[] = { "sleep", "60", NULL };
    static const char *const none[] = { "nonesuch", NULL };
    static const char *const empty[] = { "", NULL };
    sykli_exit end;
    sykli_spawn desc = { argv, env, "/", -1, -1, true, 0, { 0, 0 }, NULL, NULL };
    int pid = sys->spawn(NULL, &desc);
    CHECK(pid > 1);
    CHECK_INT(sys->wait(NULL, pid, &end), 0);
    int fd = sys->exit_fd(NULL, pid);
    CHECK(fd >= 0 || fd == -ENOSYS);
    if (fd >= 0) CHECK_INT(sys->signal_fd(NULL, fd, SIGTERM), 0);
    else CHECK_INT(sys->signal(NULL, pid, SIGTERM, 1), 0);
    if (fd >= 0) CHECK(wait_for(t, fd, SYKLI_POLL_in) & SYKLI_POLL_in);
    int rc = 0;
    for (int i = 0; i < 2000 && !rc; i++) {
        rc = fd >= 0 ? sys->ended(NULL, pid, &end) : sys->wait(NULL, pid, &end);
        if (!rc) sys->poll(NULL, NULL, 0, 1);
    }
    CHECK_INT(rc, 1);
    CHECK(end.signal == SIGTERM && end.code == -1);
    if (fd >= 0) {
        CHECK_INT(sys->ended(NULL, pid, &end), 1); // looked at, not reaped
        CHECK_INT(sys->wait(NULL, pid, &end), 1);
        CHECK_INT(sys->signal_fd(NULL, fd, SIGKILL), -ESRCH);
        close(fd);
    }
    CHECK_INT(sys->wait(NULL, pid, &end), -ECHILD);
    desc.argv = none;
    CHECK_INT(sys->spawn(NULL, &desc), -ENOENT);
    desc.argv = empty;
    CHECK_INT(sys->spawn(NULL, &desc), -ENOENT);
    desc.argv = argv, desc.workdir = "/nonesuch";
    CHECK_INT(sys->spawn(NULL, &desc), -ENOENT);
    CHECK_INT(waitpid(-1, NULL, WNOHANG), -1); // what could not exec is not left behind
    CHECK_INT(sys->pid(NULL), getpid());
}

static void clocks_and_chance(test *t)
{
    const sykli_sys *sys = &t->real;
    uint64_t a[4] = { 0 }, b[4] = { 0 }, from = sys->now_ns(NULL);
    CHECK_INT(sys->random(NULL, a, sizeof a), 0);
    CHECK_INT(sys->random(NULL, b, sizeof b), 0);
    CHECK(memcmp(a, b, sizeof a) && a[3] && b[3]);
    sys->poll(NULL, NULL, 0, 5);
    uint64_t took = sys->now_ns(NULL) - from;
    CHECK(took >= 5000000 && took < 5000000000u);
    CHECK(sys->wall_ms(NULL) > 1600000000000);
    char name[256];
    CHECK_INT(sys->host_name(NULL, name, sizeof name), 0);
    CHECK(*name && sys->processors(NULL) >= 1);
}

int main(int argc, char **argv)
{
    TEST_STORY(paths_stay_beneath);
    TEST_STORY(files_are_described);
    TEST_STORY(allocated_is_not_sparse);
    TEST_STORY(locks_exclude);
    TEST_STORY(broken_pipes_are_errors);
    TEST_STORY(sockets_converse);
    TEST_STORY(addresses_are_checked);
    TEST_STORY(many_are_polled);
    TEST_STORY(processes_are_told_apart);
    TEST_STORY(clocks_and_chance);
    return test_end(argc, argv);
}
