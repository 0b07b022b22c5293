// The zoo: a program that behaves badly as a task, in the way of its first argument. The second is
// a mark by which whoever watches finds what is left of it; nothing here looks at it.
//     zoo WAY MARK [NUMBER]
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static char **own_argv;

static int forever(void) { for (;;) pause(); }

static void close_all(void) { for (int fd = 0; fd < 64; fd++) close(fd); }

// Leaves parent, session and group, as a daemon does. Only the last of three goes on.
static void leave(void)
{
    if (fork()) _exit(0);
    setsid();
    if (fork()) _exit(0);
}

static int stubborn(void)
{
    for (int sig = 1; sig < 65; sig++) signal(sig, SIG_IGN);
    return forever();
}

static int demon(void)
{
    leave();
    close_all();
    signal(SIGTERM, SIG_IGN);
    return forever();
}

// A daemon without a trace: no parent, session, group, descriptor or environment of its task.
static int ghost(void)
{
    char *argv[] = { own_argv[0], (char *)"forever", own_argv[2], NULL }, *none[] = { NULL };
    leave();
    close_all();
    execve("/proc/self/exe", argv, none);
    execve(own_argv[0], argv, none);
    return 9;
}

static int holder(void) { return fork() ? 0 : forever(); }

// A child that is in a group of its own by the time it is looked for.
static int regroup(void)
{
    if (fork()) return 3;
    setpgid(0, 0);
    return forever();
}

static int stopped(void)
{
    if (fork()) raise(SIGSTOP);
    raise(SIGSTOP);
    return forever();
}

static int closed(void)
{
    close_all();
    usleep(100000);
    return 5;
}

// Prints so many bytes, in lines of 64 or in one that has no end.
static int flood(unsigned long long left, int lines)
{
    static char text[65536];
    memset(text, 'x', sizeof text);
    for (size_t i = 63; lines && i < sizeof text; i += 64) text[i] = '\n';
    while (left) {
        ssize_t got = write(1, text, left < sizeof text ? (size_t)left : sizeof text);
        if (got <= 0) return 9;
        left -= (unsigned long long)got;
    }
    return 4;
}

// Every process forks as fast as it can, each in a session of its own, until there are `count`.
static int bomb(int count)
{
    int seats[2];
    if (pipe(seats)) return 9;
    for (int i = 0; i < count; i++)
        if (write(seats[1], "", 1) != 1) return 9;
    fcntl(seats[0], F_SETFL, O_NONBLOCK);
    signal(SIGTERM, SIG_IGN);
    for (char seat; read(seats[0], &seat, 1) == 1;)
        if (!fork()) setsid();
    return forever();
}

static int die(int sig)
{
    struct rlimit none = { 0, 0 };
    struct sigaction normal;
    setrlimit(RLIMIT_CORE, &none);
    memset(&normal, 0, sizeof normal);
    sigaction(sig, &normal, NULL);
    raise(sig);
    return 99;
}

// Runs a command and tells the most memory it had, in KiB, in the file MARK.
static int peak(char **argv)
{
    int status, pid = fork();
    struct rusage used;
    if (!pid) {
        execvp(argv[0], argv);
        _exit(127);
    }
    if (wait4(pid, &status, 0, &used) != pid) return 9;
    FILE *file = fopen(own_argv[2], "w");
    if (!file) return 9;
    fprintf(file, "%ld\n", (long)used.ru_maxrss);
    fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    const char *way = argc > 2 ? argv[1] : "";
    unsigned long long number = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    own_argv = argv;
    if (!strcmp(way, "stubborn")) return stubborn();
    if (!strcmp(way, "daemon")) return demon();
    if (!strcmp(way, "ghost")) return ghost();
    if (!strcmp(way, "holder")) return holder();
    if (!strcmp(way, "regroup")) return regroup();
    if (!strcmp(way, "stopped")) return stopped();
    if (!strcmp(way, "closed")) return closed();
    if (!strcmp(way, "flood")) return flood(number, 1);
    if (!strcmp(way, "endless")) return flood(number, 0);
    if (!strcmp(way, "bomb")) return bomb((int)number);
    if (!strcmp(way, "die")) return die((int)number);
    if (!strcmp(way, "peak")) return peak(argv + 3);
    if (!strcmp(way, "forever")) return forever();
    return 98;
}
