// Runs commands in turn, A B C A B C ..., and prints of each the median of its runs:
//     WALL_MS CPU_MS RSS_KIB        a line a command; CPU and memory are of all it waited for
// usage: each RUNS COMMAND...       each by /bin/sh -c, its output thrown away, 120 s at most.
// A run that fails ends the whole: a figure of something that did not work is no figure.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 99, COMMANDS_MAX = 16 };
typedef struct figures { double of[3][RUNS_MAX]; } figures;

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms(struct timeval t) { return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3; }

static int run(const char *command, figures *f, int at)
{
    struct rusage used;
    int status;
    double begun = now_ms();
    pid_t pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 2; fd++) dup2(null, fd);
        alarm(120);
        execl("/bin/sh", "sh", "-c", command, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &used) != pid) return -1;
    f->of[0][at] = now_ms() - begun;
    f->of[1][at] = ms(used.ru_utime) + ms(used.ru_stime);
    f->of[2][at] = (double)used.ru_maxrss;
    return status;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static figures all[COMMANDS_MAX];
    int runs = argc > 2 ? atoi(argv[1]) : 0, count = argc - 2;
    if (runs < 1 || runs > RUNS_MAX || count > COMMANDS_MAX) {
        fprintf(stderr, "usage: each RUNS COMMAND...\n");
        return 2;
    }
    for (int at = 0; at < runs; at++)
        for (int i = 0; i < count; i++) {
            int status = run(argv[i + 2], &all[i], at);
            if (status) fprintf(stderr, "each: status %d: %s\n", status, argv[i + 2]);
            if (status) return 1;
        }
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < 3; k++) {
            qsort(all[i].of[k], (size_t)runs, sizeof(double), compare);
            printf(k < 2 ? "%.3f " : "%.0f\n", all[i].of[k][runs / 2]);
        }
    }
    return 0;
}
