// What a task costs at least: starts COUNT processes of /bin/true, WORKERS at a time.
//   spawn plain   COUNT          posix_spawn and waitpid, one after the other, output to /dev/null
//   spawn time    COUNT COMMAND  the same with a command; prints how many ms each took
//   spawn capture COUNT WORKERS  vfork, a pipe for stdout and one for stderr, both read to their
//                                end: what every program must do that keeps what its tasks print
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char *argv_true[] = { (char *)"/bin/true", NULL };

static int plain(long count, char **argv)
{
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    for (long i = 0; i < count; i++) {
        pid_t pid;
        if (posix_spawn(&pid, argv[0], &files, NULL, argv, environ)) return 1;
        waitpid(pid, NULL, 0);
    }
    return 0;
}

static int timed(long count, char **argv)
{
    struct timespec begun, ended;
    clock_gettime(CLOCK_MONOTONIC, &begun);
    int rc = count > 0 ? plain(count, argv) : 1;
    clock_gettime(CLOCK_MONOTONIC, &ended);
    double ms = (double)(ended.tv_sec - begun.tv_sec) * 1e3
              + (double)(ended.tv_nsec - begun.tv_nsec) / 1e6;
    printf("%.2f\n", ms / (double)count);
    return rc;
}

typedef struct worker { pid_t pid; int open; struct pollfd fds[2]; } worker;

static int start(worker *w)
{
    int out[2], err[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) return 1;
    w->pid = vfork();
    if (w->pid == 0) {
        setsid();
        dup2(null, 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        execv(argv_true[0], argv_true);
        _exit(127);
    }
    close(null);
    close(out[1]);
    close(err[1]);
    w->fds[0] = (struct pollfd){ out[0], POLLIN, 0 };
    w->fds[1] = (struct pollfd){ err[0], POLLIN, 0 };
    w->open = 2;
    return w->pid < 0;
}

static int capture(long count, int workers)
{
    static worker all[64];
    static char text[65536];
    struct pollfd fds[128];
    long started = 0, ended = 0;
    for (; started < workers && started < count; started++)
        if (start(&all[started])) return 1;
    while (ended < count) {
        for (int i = 0; i < workers; i++) memcpy(&fds[i * 2], all[i].fds, sizeof all[i].fds);
        if (poll(fds, (nfds_t)workers * 2, -1) < 0 && errno != EINTR) return 1;
        for (int i = 0; i < workers * 2; i++) {
            worker *w = &all[i / 2];
            if (!fds[i].revents || read(fds[i].fd, text, sizeof text) > 0) continue;
            close(fds[i].fd);
            w->fds[i % 2].fd = -1;
            if (--w->open) continue;
            waitpid(w->pid, NULL, 0);
            ended++;
            if (started < count && started++ >= 0 && start(w)) return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "plain")) return plain(atol(argv[2]), argv_true);
    if (argc > 3 && !strcmp(argv[1], "time")) return timed(atol(argv[2]), argv + 3);
    if (argc == 4 && !strcmp(argv[1], "capture") && atoi(argv[3]) > 0 && atoi(argv[3]) <= 64)
        return capture(atol(argv[2]), atoi(argv[3]));
    fprintf(stderr, "usage: spawn plain COUNT | time COUNT COMMAND | capture COUNT WORKERS\n");
    return 2;
}
