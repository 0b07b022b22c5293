// A task is a tree of processes: how it starts, what it says, how it ends, and that nothing of it
// is left. The program is its own zoo: `--zoo NAME` behaves badly in the way of that name.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static const char *zoo_program;
static const char *const plain_env[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", NULL };

// ---- the zoo --------------------------------------------------------------------------------
// Longer than any test, but not for ever: a failure may let it live.
static void zoo_forever(void)
{
    for (int i = 0; i < 60; i++) sleep(1);
    _exit(9); // whoever returned from here would go on forking
}

static void zoo_say(const char *text) { if (write(1, text, strlen(text)) < 0) _exit(9); }

static void *zoo_thread(void *unused)
{
    zoo_forever();
    return unused;
}

static int zoo(const char *kind)
{
    if (!strcmp(kind, "stubborn")) { // ignores what can be ignored
        for (int sig = 1; sig < 32; sig++) signal(sig, SIG_IGN);
        zoo_say("ready\n");
        zoo_forever();
    }
    if (!strcmp(kind, "daemon")) { // leaves session, group and pipes
        int first = fork();
        if (first) return waitpid(first, NULL, 0) < 0; // so that the one which stays is born
        setsid();
        if (fork()) return 0;
        signal(SIGTERM, SIG_IGN);
        for (int fd = 0; fd < 3; fd++) close(fd);
        zoo_forever();
    }
    if (!strcmp(kind, "holder")) { // ends, but a grandchild keeps the pipe
        zoo_say("ready\n");
        if (fork()) return 0;
        zoo_forever();
    }
    if (!strcmp(kind, "regroup")) { // a grandchild with a group of its own
        if (fork()) return 3;
        setpgid(0, 0);
        zoo_forever();
    }
    if (!strcmp(kind, "threads")) { // a grandchild of four threads
        pthread_t threads[3];
        if (fork()) return 0;
        for (int i = 0; i < 3; i++)
            if (pthread_create(&threads[i], NULL, zoo_thread, NULL)) _exit(9);
        zoo_say("ready\n");
        zoo_forever();
    }
    if (!strcmp(kind, "stopped")) {
        zoo_say("ready\n");
        raise(SIGSTOP);
    }
    if (!strcmp(kind, "bomb")) { // 60 processes, each in a session of its own
        for (int i = 0; i < 60; i++)
            if (!fork()) {
                setsid();
                zoo_forever();
            }
        zoo_say("ready\n");
        zoo_forever();
    }
    if (!strcmp(kind, "inherits")) { // which descriptors and signals came along
        for (int fd = 3; fd < 200; fd++)
            if (fcntl(fd, F_GETFD) >= 0) printf("fd %d\n", fd);
        sigset_t mask;
        sigprocmask(SIG_SETMASK, NULL, &mask);
        struct sigaction act;
        for (int sig = 1; sig < 32; sig++) {
            sigaction(sig, NULL, &act);
            if (sigismember(&mask, sig) || act.sa_handler == SIG_IGN) printf("signal %d\n", sig);
        }
        printf("%s\n", getsid(0) == getpid() ? "leader" : "follower");
        char byte;
        printf("stdin %d\n", (int)read(0, &byte, 1));
        return 0;
    }
    if (!strncmp(kind, "die", 3)) {
        struct sigaction normal;
        memset(&normal, 0, sizeof normal);
        sigaction(atoi(kind + 3), &normal, NULL); // a sanitizer may have its own idea
        raise(atoi(kind + 3));
    }
    return 99;
}

// ---- helpers --------------------------------------------------------------------------------
static int telling; // of a story: they are counted

// Attempts of this telling of a story of this process: another may be at the same tests, and what
// an injected failure lets live is not for those that follow.
static const char *attempt_uid(const char *more)
{
    static char uids[2][40];
    char *uid = uids[*more != 0];
    snprintf(uid, sizeof *uids, "test-%d-%d-%s", (int)getpid(), telling, more);
    return uid;
}

typedef struct ran { int code, signal, rc; char out[8192], err[8192]; } ran;

static int start_in(test *t, const char *command, const char *workdir, sykli__spawn_proc *proc)
{
    sykli__spawn_desc desc = { .command = command, .env = plain_env, .workdir = workdir,
                               .uid = attempt_uid("") };
    return sykli__spawn_start(&t->mem, &desc, proc, &t->fault);
}

static int zoo_start(test *t, const char *kind, sykli__spawn_proc *proc)
{
    char command[600];
    const char *emulator = getenv("TEST_RUN");
    snprintf(command, sizeof command, "%s%s%s --zoo %s", emulator ? emulator : "",
             emulator && *emulator ? " " : "", zoo_program, kind);
    return start_in(t, command, NULL, proc);
}

// Reads both streams to their ends.
static int drain(test *t, sykli__spawn_proc *proc, ran *r)
{
    size_t used[2] = { 0, 0 };
    char *to[2] = { r->out, r->err };
    while (proc->out_fd >= 0 || proc->err_fd >= 0) {
        sykli_poll_fd fds[2] = { { proc->out_fd, SYKLI_POLL_in, 0 },
                                 { proc->err_fd, SYKLI_POLL_in, 0 } };
        if (t->real.poll(NULL, fds, 2, 10000) <= 0) return -1;
        for (int i = 0; i < 2; i++) {
            int64_t got = sykli__spawn_read(&t->mem, proc, i + 1, to[i] + used[i],
                                            sizeof r->out - 1 - used[i]);
            if (got < 0 && got != SYKLI_EOF) return (int)got;
            if (got > 0) used[i] += (size_t)got;
        }
    }
    return 0;
}

static int await_exit(test *t, sykli__spawn_proc *proc)
{
    for (int i = 0, rc; i < 1000; i++) {
        if ((rc = sykli__spawn_reap(&t->mem, proc))) return rc;
        sykli_poll_fd end = { proc->exit_fd, SYKLI_POLL_in, 0 };
        t->real.poll(NULL, &end, proc->exit_fd >= 0, 10);
    }
    return -1;
}

static int await_ready(test *t, sykli__spawn_proc *proc)
{
    sykli_poll_fd fd = { proc->out_fd, SYKLI_POLL_in, 0 };
    char text[64];
    if (t->real.poll(NULL, &fd, 1, 10000) <= 0) return -1;
    return sykli__spawn_read(&t->mem, proc, 1, text, sizeof text) > 0 ? 0 : -1;
}

// Milliseconds until nothing of the tree lives, -1 if that takes longer than a second.
static int await_none(test *t, sykli__spawn_proc *proc)
{
    uint64_t from = t->real.now_ns(NULL);
    for (;;) {
        if (!sykli__spawn_survivors(&t->mem, proc) && sykli__spawn_reap(&t->mem, proc) == 1)
            return (int)((t->real.now_ns(NULL) - from) / 1000000);
        if (t->real.now_ns(NULL) - from > 1000000000u) return -1;
        t->real.poll(NULL, NULL, 0, 2);
    }
}

// Whatever failed, no child stays behind.
static void none_left(test *t)
{
    CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    telling++;
}

static ran run_in(test *t, const char *command, const char *workdir)
{
    ran r;
    sykli__spawn_proc proc;
    memset(&r, 0, sizeof r);
    r.rc = start_in(t, command, workdir, &proc);
    if (r.rc < 0) return r;
    r.rc = drain(t, &proc, &r);
    if (!r.rc) r.rc = await_exit(t, &proc);
    r.code = proc.exit.code, r.signal = proc.exit.signal;
    sykli__spawn_close(&t->mem, &proc);
    return r;
}

// ---- stories --------------------------------------------------------------------------------
static void plain_words_are_told_from_shell(test *t)
{
    static const char *const yes[] = { "cc -c a.c -o a.o", "./check", "make -j4 CC=gcc all",
        " ls\t-l ", "./a=b/c/../d", "sleep 1", "/bin/echo a", "echoes", "git log --oneline -5" };
    static const char *const no[] = { "", "  ", "A=1 make", "echo a", "cd x", "exit 3", "a | b",
        "a\nb", "ls *.c", "ls ~", "a 'b'", "a $B", "a;b", "if a", "a #b", "[ 1 ]", ". ./env",
        "a > b", "{ a", "! a", "a\\b", "time ls", "a=b", "\xc3\xa4", "true", ":" };
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!sykli__spawn_plain(yes[i])) CHECK_TEXT(yes[i], "plain");
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (sykli__spawn_plain(no[i])) CHECK_TEXT(no[i], "not plain");
}

static void environment_is_inherited_less_secrets(test *t)
{
    const char *const inherited[] = { "PATH=/bin", "TOKEN=s3cret", "TOKENS=many", "SYKLI_TOKEN=x",
                                      "HOME=/root", "=odd", "broken", NULL };
    const char *const drop[] = { "TOKEN", "SYKLI_*" };
    const sykli_pair add[] = { { "HOME", "/work" }, { "A", "1" }, { "A", "2=2" } };
    const sykli_pair bad[] = { { "A=B", "1" } };
    sykli__spawn_block block, refused;
    int rc = sykli__spawn_env(&block, &t->mem, inherited, drop, 2, add, 3, &t->fault);
    sykli_buf_init(&refused.text, &t->mem, SYKLI_TAG_spawn);
    sykli_buf_init(&refused.list, &t->mem, SYKLI_TAG_spawn);
    TRY(rc);
    const char *const *env = sykli__spawn_block_env(&block);
    CHECK_INT(block.count, 4);
    CHECK_TEXT(env[0], "PATH=/bin");
    CHECK_TEXT(env[1], "TOKENS=many");
    CHECK_TEXT(env[2], "HOME=/work");
    CHECK_TEXT(env[3], "A=2=2");
    CHECK(!env[4]);
    CHECK_INT(sykli__spawn_env(&refused, &t->mem, NULL, NULL, 0, bad, 1, &t->fault), SYKLI_EINVAL);
    CHECK_TEXT(t->fault.text, "environment: \"A=B\" is no name of a variable");
out:
    sykli__spawn_block_free(&block);
    sykli__spawn_block_free(&refused);
}

static void output_and_status_come_back(test *t)
{
    sykli__spawn_proc proc;
    ran r;
    memset(&r, 0, sizeof r);
    int started = start_in(t, "echo out; echo err >&2; exit 7", "/", &proc);
    TRY(started);
    TRY(drain(t, &proc, &r));
    TRY(await_exit(t, &proc));
    if (!t->injected && t->real.exit_fd(NULL, -1) != -ENOSYS) CHECK(proc.exit_fd >= 0);
    CHECK_TEXT(r.out, "out\n");
    CHECK_TEXT(r.err, "err\n");
    CHECK_INT(proc.exit.code, 7);
    CHECK_INT(proc.exit.signal, 0);
    CHECK(proc.exit.rss_max_bytes > 100000);
    if (!t->injected) CHECK_INT(sykli__spawn_survivors(&t->mem, &proc), 0);
    CHECK_INT(sykli__spawn_read(&t->mem, &proc, 1, r.out, 1), SYKLI_EOF);
out:
    if (started >= 0) sykli__spawn_close(&t->mem, &proc);
}

static void workdir_and_environment_arrive(test *t)
{
    ran r = run_in(t, "pwd; echo $SYKLI_TASK_UID; echo $LC_ALL", "/usr");
    TRY(r.rc);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "/usr\n%s\nC\n", attempt_uid(""));
    CHECK_TEXT(r.out, wanted);
out:;
}

// What a command is to blame for is its exit code, as a shell would have it; all else is an error.
static void exec_failures_end_like_in_a_shell(test *t)
{
    char folder[] = "/tmp/sykli-spawn-XXXXXX", path[80];
    if (!mkdtemp(folder)) abort();
    snprintf(path, sizeof path, "%s/script", folder);
    FILE *file = fopen(path, "w");
    if (!file) abort();
    fputs("echo from script $1\n", file);
    fclose(file);
    ran r = run_in(t, "nonesuch-command a", folder);
    TRY_INT(r.code, 127);
    TRY_TEXT(r.err, "nonesuch-command: not found\n");
    TRY_TEXT(t->fault.text, "nonesuch-command: not found");
    r = run_in(t, "./script", folder); // not executable
    TRY_INT(r.code, 126);
    TRY_TEXT(r.err, "./script: Permission denied\n");
    TRY_INT(run_in(t, "./script/x", folder).code, 127);
    TRY_INT(run_in(t, "/tmp", folder).code, 126);
    chmod(path, 0755);
    r = run_in(t, "./script one", folder); // executable, but without #!
    TRY_INT(r.code, 0);
    TRY_TEXT(r.out, "from script one\n");
    r = run_in(t, "ls", "/nonesuch");
    TRY_INT(r.rc, SYKLI_ENOENT);
    TRY_TEXT(t->fault.text, "working folder /nonesuch: No such file or directory");
    char *large = (char *)malloc(400000);
    if (large) {
        memset(large, 'a', 399999);
        memcpy(large, "ls ", 3);
        large[399999] = 0;
        r = run_in(t, large, folder);
        free(large);
        TRY_INT(r.code, 126); // E2BIG: one argument has 128 KiB at most
    }
out:
    remove(path);
    remove(folder);
    none_left(t);
}

static void signals_are_told_from_codes(test *t)
{
    static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGABRT, SIGFPE, SIGKILL,
                                   SIGSEGV, SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2 };
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        char kind[16];
        sykli__spawn_proc proc;
        snprintf(kind, sizeof kind, "die%d", signals[i]);
        TRY(zoo_start(t, kind, &proc));
        int rc = await_exit(t, &proc);
        sykli__spawn_close(&t->mem, &proc);
        TRY_INT(rc, 1);
        CHECK_INT(proc.exit.signal, signals[i]);
        CHECK_INT(proc.exit.code, -1);
    }
out:
    none_left(t);
}

// Neither the host's open files nor its signal habits reach a task.
static void nothing_is_inherited(test *t)
{
    ran r;
    sykli__spawn_proc proc;
    int fds[2];
    memset(&r, 0, sizeof r);
    CHECK(!pipe(fds)); // a careless host: no CLOEXEC
    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGTERM);
    sigprocmask(SIG_BLOCK, &some, &before);
    int started = zoo_start(t, "inherits", &proc);
    TRY(started);
    TRY(drain(t, &proc, &r));
    TRY_INT(await_exit(t, &proc), 1);
#if defined(SYKLI__SYS_LINUX)
    TRY_TEXT(r.out, "leader\nstdin 0\n");
#else
    TRY_TRUE(strstr(r.out, "leader\nstdin 0\n") != NULL && !strstr(r.out, "signal"));
#endif
out:;
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    CHECK(sigismember(&after, SIGTERM) && !sigismember(&after, SIGINT));
    signal(SIGPIPE, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    if (started >= 0) sykli__spawn_close(&t->mem, &proc);
    close(fds[0]);
    close(fds[1]);
    none_left(t);
}

static void terminated_then_killed(test *t)
{
    sykli__spawn_proc proc;
    int started = zoo_start(t, "stubborn", &proc);
    TRY(started);
    TRY_INT(await_ready(t, &proc), 0);
    TRY_INT(sykli__spawn_signal(&t->mem, &proc, SIGTERM), 0);
    TRY_INT(sykli__spawn_reap(&t->mem, &proc), 0);
    uint64_t memory, cpu;
    sykli__spawn_sample(&t->mem, &proc, &memory, &cpu);
    if (proc.containment == SYKLI__SPAWN_scan)
        TRY_TRUE(memory > 100000 && memory != SYKLI_NULL_U64 && cpu < 10000);
    TRY_INT(sykli__spawn_signal(&t->mem, &proc, SIGKILL), 0);
    TRY_INT(await_exit(t, &proc), 1);
    TRY_INT(proc.exit.signal, SIGKILL);
    sykli__spawn_sample(&t->mem, &proc, &memory, &cpu);
    CHECK(memory == SYKLI_NULL_U64 && cpu == SYKLI_NULL_U64);
out:
    if (started >= 0) sykli__spawn_close(&t->mem, &proc);
    none_left(t);
}

// Every animal of the zoo: seen while it lives, gone a second after KILL at the latest.
static void nothing_survives(test *t)
{
    static const struct { const char *kind; int leader_ends, count; } animals[] = {
        { "stubborn", 0, 0 }, { "holder", 1, 1 }, { "regroup", 1, 1 }, { "daemon", 1, 1 },
        { "stopped", 0, 0 }, { "bomb", 0, 60 } };
    for (size_t i = 0; i < sizeof animals / sizeof *animals; i++) {
        sykli__spawn_proc proc;
        int started = zoo_start(t, animals[i].kind, &proc);
        TRY(started);
        if (proc.containment != SYKLI__SPAWN_scan && animals[i].count > 1) {
            sykli__spawn_close(&t->mem, &proc);
            continue;
        }
        if (animals[i].leader_ends) TRY_INT(await_exit(t, &proc), 1);
        else TRY_INT(await_ready(t, &proc), 0);
        // A grandchild may not be born yet.
        for (int tries = 0; tries < 500 && !t->injected; tries++) {
            if (sykli__spawn_survivors(&t->mem, &proc) == animals[i].count) break;
            t->real.poll(NULL, NULL, 0, 2);
        }
        if (proc.containment == SYKLI__SPAWN_scan)
            TRY_INT(sykli__spawn_survivors(&t->mem, &proc), animals[i].count);
        TRY_INT(sykli__spawn_signal(&t->mem, &proc, SIGKILL), 0);
        if (await_none(t, &proc) < 0) TRY_TEXT(animals[i].kind, "gone");
    out:
        if (started >= 0) sykli__spawn_close(&t->mem, &proc);
        if (t->failed || t->injected) break;
    }
    none_left(t);
}

// They have numbers like those of processes.
static void threads_are_no_processes(test *t)
{
    sykli__spawn_proc proc;
    int started = zoo_start(t, "threads", &proc);
    TRY(started);
    TRY_INT(await_exit(t, &proc), 1);
    TRY_INT(await_ready(t, &proc), 0);
    if (proc.containment == SYKLI__SPAWN_scan)
        TRY_INT(sykli__spawn_survivors(&t->mem, &proc), 1);
    TRY_INT(sykli__spawn_signal(&t->mem, &proc, SIGKILL), 0);
    if (await_none(t, &proc) < 0) TRY_TEXT("threads", "gone");
out:
    if (started >= 0) sykli__spawn_close(&t->mem, &proc);
    none_left(t);
}

static void closing_kills(test *t)
{
    sykli__spawn_proc proc;
    int started = zoo_start(t, "bomb", &proc);
    TRY(started);
    TRY_INT(await_ready(t, &proc), 0);
out:
    if (started < 0) return;
    int pid = proc.pid;
    sykli__spawn_close(&t->mem, &proc);
    CHECK_INT(kill(pid, 0), -1);
    CHECK_INT(proc.out_fd, -1);
    sykli__spawn_close(&t->mem, &proc); // again: nothing happens
    none_left(t);
}

// While the group of an ended task is being looked after, its number stays taken; afterwards nobody
// is signalled by it.
static void an_ended_pid_is_not_reused(test *t)
{
    sykli__spawn_proc proc;
    int started = start_in(t, "ls", "/", &proc), pid = 0;
    TRY(started);
    TRY_INT(await_exit(t, &proc), 1);
    pid = proc.pid;
#if defined(SYKLI__SYS_LINUX)
    CHECK_INT(kill(pid, 0), 0); // still ours, though ended
    TRY_INT(sykli__spawn_survivors(&t->mem, &proc), 0);
#endif
out:
    if (started < 0) return;
    pid = proc.pid;
    sykli__spawn_close(&t->mem, &proc);
    CHECK_INT(kill(pid, 0), -1);
    CHECK_INT(sykli__spawn_signal(&t->mem, &proc, SIGKILL), SYKLI_ENOENT);
    CHECK_INT(t->real.signal(NULL, 1, 0, 0), -EINVAL);
    CHECK_INT(t->real.signal(NULL, 0, SIGKILL, 1), -EINVAL);
    CHECK_INT(t->real.signal(NULL, -1, SIGKILL, 0), -EINVAL);
    none_left(t);
}

// A stranger with the same group number but another start, or without the mark, is no part of it.
static void strangers_are_left_alone(test *t)
{
    sykli__spawn_proc ours, theirs;
    // It begins alike.
    sykli__spawn_desc other = { .command = "sleep 30", .env = plain_env, .workdir = "/",
                                .uid = attempt_uid("0") };
    int started = start_in(t, "ls", "/", &ours), more = -1;
    TRY(started);
    TRY_INT(await_exit(t, &ours), 1);
    TRY(more = sykli__spawn_start(&t->mem, &other, &theirs, &t->fault));
    TRY_INT(sykli__spawn_survivors(&t->mem, &ours), 0);
    sykli__spawn_signal(&t->mem, &ours, SIGKILL);
    t->real.poll(NULL, NULL, 0, 20);
    TRY_INT(sykli__spawn_reap(&t->mem, &theirs), 0);
out:
    if (more >= 0) sykli__spawn_close(&t->mem, &theirs);
    if (started >= 0) sykli__spawn_close(&t->mem, &ours);
    none_left(t);
}

static void a_host_that_reaps_everything(test *t)
{
    sykli__spawn_proc proc;
    int started = start_in(t, "ls", "/", &proc);
    TRY(started);
    int status;
    while (waitpid(-1, &status, 0) > 0) {}
    TRY_INT(sykli__spawn_reap(&t->mem, &proc), SYKLI_ECLOSED);
    CHECK(proc.exited);
    CHECK_INT(proc.exit.code, -1);
out:
    if (started >= 0) sykli__spawn_close(&t->mem, &proc);
}

// Runs a command directly and by a shell: both say and end the same. A shell that waits for what
// dies by a signal says so and ends with 128 and the signal.
static void agree(test *t, const char *direct, const char *workdir)
{
    char shell[140];
    snprintf(shell, sizeof shell, ":; %s", direct);
    CHECK(sykli__spawn_plain(direct) && !sykli__spawn_plain(shell));
    ran a = run_in(t, direct, workdir), b = run_in(t, shell, workdir);
    if (t->injected) return;
    int code_a = a.signal ? 128 + a.signal : a.code, code_b = b.signal ? 128 + b.signal : b.code;
    bool refused = code_a == 126 || code_a == 127;
    CHECK_INT(a.rc, b.rc);
    CHECK_INT(code_a, code_b);
    CHECK_TEXT(a.out, b.out);
    if (refused) CHECK(*a.err && *b.err);
    else if (!a.signal) CHECK_TEXT(a.err, b.err);
    if (t->failed) printf("    by: %s\n", direct);
}

static void both_ways_agree(test *t)
{
    static const char *const programs[] = { "/bin/ls -d", "basename", "dirname", "cat", "expr",
        "wc -c", "nonesuch", "/nonesuch/x", "/etc/passwd", "head -n 2" };
    static const char *const words[] = { "", "/", "/etc/hostname", "a/b.c", "1 + 2", "-Q", "x=y",
        "/etc/passwd", "a,b", "--", "3 = 4", "/etc/", "./x", "%d", "@", "-", "a b c", "0", "1:2",
        "+1", "./a/../b", "_", "A=1", "--version", "/nonesuch" };
    for (size_t i = 0; i < 10; i++)
        for (size_t j = 0; j < (test_failing(t) ? 2 : 25) && !t->failed && !t->injected; j++) {
            char command[128];
            snprintf(command, sizeof command, "%s %s", programs[i], words[j]);
            agree(t, command, "/");
        }
}

// Programs of all kinds, most of which cannot be started. A text that begins with > is where a link
// leads; NULL makes a folder.
static const struct { const char *name, *text; mode_t mode; } tools[] = {
    { "say", "#!/bin/sh\nfor word; do printf '<%s>\\n' \"$word\"; done\n", 0755 },
    { "both", "#!/bin/sh\necho out $#; echo err $# >&2\n", 0755 },
    { "bare", "echo \"no first line, $# words\"; exit 4\n", 0755 },
    { "leave", "#!/bin/sh\nexit $1\n", 0755 },
    { "die", "#!/bin/sh\nkill -$1 $$\n", 0755 },
    { "bytes", "#!/bin/sh\nprintf '\\377\\001\\200x%s' \"$1\"\n", 0755 },
    { "empty", "", 0755 },
    { "lost", "#!/nonesuch/sh\n", 0755 },
    { "odd", "#!/etc\n", 0755 },
    { "plain", "echo never\n", 0644 },
    { "folder", NULL, 0755 },
    { "dangling", ">nonesuch", 0 },
    { "link", ">say", 0 },
};
enum { TOOL_COUNT = sizeof tools / sizeof *tools };

static void tools_make(const char *folder)
{
    for (int i = 0; i < TOOL_COUNT; i++) {
        char path[128];
        const char *text = tools[i].text;
        snprintf(path, sizeof path, "%s/%s", folder, tools[i].name);
        int rc = !text ? mkdir(path, tools[i].mode) : *text == '>' ? symlink(text + 1, path) : 0;
        FILE *f = text && *text != '>' ? fopen(path, "w") : NULL;
        if (f && (fputs(text, f) < 0 || fclose(f) || chmod(path, tools[i].mode))) abort();
        if (rc) abort();
    }
}

static void both_ways_agree_on_what_cannot_start(test *t)
{
    static const char *const words[] = { "", "1", "9", "15", "255", "256", "0", "a", "a b c",
        "--x=y", "a/b.c", "1 + 2", "x=y", "-n", "-- -1", "@", "a,b", "%s", "./x", "+1:2" };
    char folder[] = "/tmp/sykli-spawn-XXXXXX", command[128];
    if (!mkdtemp(folder)) abort();
    tools_make(folder);
    for (int i = 0; i < TOOL_COUNT; i++)
        for (size_t j = 0; j < (test_failing(t) ? 2 : 20) && !t->failed && !t->injected; j++) {
            snprintf(command, sizeof command, "./%s %s", tools[i].name, words[j]);
            agree(t, command, folder);
        }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    test_calm(t);
    CHECK_INT(run_in(t, command, "/").code, 0);
    none_left(t);
}

int main(int argc, char **argv)
{
    zoo_program = argv[0];
    if (argc > 2 && !strcmp(argv[1], "--zoo")) return zoo(argv[2]);
    TEST_STORY(plain_words_are_told_from_shell);
    TEST_STORY(environment_is_inherited_less_secrets);
    TEST_STORY(output_and_status_come_back);
    TEST_STORY(workdir_and_environment_arrive);
    TEST_SOME(30, exec_failures_end_like_in_a_shell);
    TEST_STORY(signals_are_told_from_codes);
    TEST_STORY(nothing_is_inherited);
    TEST_STORY(terminated_then_killed);
    TEST_SOME(15, nothing_survives);
    TEST_SOME(15, threads_are_no_processes);
    TEST_SOME(15, closing_kills);
    TEST_STORY(an_ended_pid_is_not_reused);
    TEST_STORY(strangers_are_left_alone);
    TEST_STORY(a_host_that_reaps_everything);
    TEST_SOME(10, both_ways_agree);
    TEST_SOME(10, both_ways_agree_on_what_cannot_start);
    return test_end(argc, argv);
}
