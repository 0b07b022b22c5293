#define _GNU_SOURCE 1
#include "tool.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM_FIRST = 16 << 10, STEP_MS = 1000, SAY_MS = 2000 };

// The one that ended a wait. Whoever caught it, and lives, waits for no other program.
static volatile sig_atomic_t signal_got;

static int64_t now_ms(const cli *c)
{
    return (int64_t)(c->sys.now_ns(c->sys.user) / 1000000);
}

static void child(const char *const *argv, const char *dir, bool quiet, int out)
{
    setpgid(0, 0);
    signal(SIGPIPE, SIG_DFL);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0) _exit(126);
    if (quiet && dup2(null, 2) < 0) _exit(126);
    if (dir && chdir(dir) < 0) _exit(126);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(errno == ENOENT ? 127 : 126);
}

int tool_begin(cli *c, tool *t, const char *const *argv, const char *dir, bool quiet,
               uint32_t timeout_ms, size_t size_max)
{
    int fds[2], piped = c->sys.pipe(c->sys.user, fds); // no other child inherits it
    memset(t, 0, sizeof *t);
    if (piped < 0) return piped;
    fflush(NULL);
    t->pid = fork();
    if (t->pid == 0) child(argv, dir, quiet, fds[1]);
    int rc = t->pid < 0 ? -errno : 0;
    close(fds[1]);
    if (rc) close(fds[0]);
    if (rc) t->pid = 0;
    if (!rc) setpgid(t->pid, t->pid); // whoever of the two is first
    t->fd = fds[0];
    t->size_max = size_max;
    t->deadline_ms = now_ms(c) + timeout_ms;
    t->room = ROOM_FIRST;
    t->text = cli_alloc(c, t->room + 1);
    return rc;
}

void tool_kill(tool *t)
{
    if (!t->pid) return;
    kill(-t->pid, SIGKILL);
    while (waitpid(t->pid, &t->status, 0) < 0 && errno == EINTR) {}
    close(t->fd);
    t->pid = 0;
}

static int give_up(tool *t, int rc)
{
    tool_kill(t);
    return rc;
}

static void grow(cli *c, tool *t)
{
    char *grown = cli_alloc(c, t->room * 2 + 1);
    memcpy(grown, t->text, t->size);
    t->text = grown;
    t->room *= 2;
}

// Its output has ended; so has it, or it goes on without: then it has until its deadline.
static int ended(cli *c, tool *t)
{
    int rc;
    while ((rc = (int)waitpid(t->pid, &t->status, WNOHANG)) == 0 && now_ms(c) < t->deadline_ms
           && !signal_got)
        poll(NULL, 0, 5);
    if (rc == 0) return give_up(t, -ETIMEDOUT);
    close(t->fd);
    t->pid = 0;
    return 0;
}

int tool_step(cli *c, tool *t, int wait_ms)
{
    struct pollfd p = { t->fd, POLLIN, 0 };
    int64_t left = t->deadline_ms - now_ms(c);
    if (!t->pid) return 0;
    if (left <= 0) return give_up(t, -ETIMEDOUT);
    int rc = poll(&p, 1, left < wait_ms ? (int)left : wait_ms);
    if (rc <= 0) return 1;
    ssize_t got = read(t->fd, t->text + t->size, t->room - t->size);
    if (got < 0) return errno == EINTR || errno == EAGAIN ? 1 : give_up(t, -errno);
    t->size += (size_t)got;
    t->text[t->size] = 0;
    if (t->size > t->size_max) return give_up(t, -EFBIG);
    if (t->size == t->room) grow(c, t);
    return got ? 1 : ended(c, t);
}

// ---- waiting ----

static void on_signal(int number) { signal_got = number; }

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
enum { SIGNALS = sizeof signals / sizeof *signals };

static void catch_signals(struct sigaction old[SIGNALS])
{
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], NULL, &old[i]);
        if (old[i].sa_handler != SIG_IGN) sigaction(signals[i], &action, NULL);
    }
}

static void say(const cli *c, const char *what)
{
    if (!what || cli_has(c, "quiet")) return;
    fputs("sykli: waiting for ", stderr);
    cli_put(stderr, what, 0);
    fputc('\n', stderr);
}

static int wait_for(cli *c, tool *t, const char *what)
{
    int64_t half_ms = (t->deadline_ms - now_ms(c)) / 2;
    int64_t say_at_ms = now_ms(c) + (half_ms < SAY_MS ? half_ms : SAY_MS);
    int rc = 1;
    while (rc > 0 && !signal_got) {
        int64_t left_ms = say_at_ms - now_ms(c);
        if (left_ms <= 0) say(c, what);
        if (left_ms <= 0) say_at_ms = INT64_MAX; // it is said
        rc = tool_step(c, t, left_ms > 0 && left_ms < STEP_MS ? (int)left_ms : STEP_MS);
    }
    return signal_got ? give_up(t, -EINTR) : rc;
}

// In a group of its own a program hears nothing of a Ctrl-C, and it is not to outlive us.
int tool_run(cli *c, tool *t, const char *what, const char *const *argv, const char *dir,
             uint32_t timeout_ms, size_t size_max)
{
    struct sigaction old[SIGNALS];
    memset(t, 0, sizeof *t);
    if (signal_got) return -EINTR;
    catch_signals(old);
    int rc = tool_begin(c, t, argv, dir, !what, timeout_ms, size_max);
    if (!rc) rc = wait_for(c, t, what);
    for (int i = 0; i < SIGNALS; i++) sigaction(signals[i], &old[i], NULL);
    if (signal_got) raise(signal_got);
    return rc;
}

// The macros of macOS take the address of what they look at, as something that may be written.
bool tool_passed(const tool *t)
{
    int status = t->status;
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

char *tool_ending(cli *c, const tool *t)
{
    int status = t->status;
    if (!WIFEXITED(status)) return cli_print(c, "signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) == 127) return cli_copy(c, "there is no such program", 24);
    return cli_print(c, "exit code %d", WEXITSTATUS(status));
}
