// The floor of a call between two nodes: 100 bytes there and back over TCP on loopback, the other
// side a process that does nothing else. Prints p50 and p99 in microseconds.
//   usage: pingpong COUNT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 100 };

static int all(int fd, char *data, int out)
{
    for (ssize_t at = 0, put; at < SIZE; at += put) {
        put = out ? write(fd, data + at, (size_t)(SIZE - at))
                  : read(fd, data + at, (size_t)(SIZE - at));
        if (put <= 0) return 1;
    }
    return 0;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int count = argc == 2 ? atoi(argv[1]) : 0, one = 1;
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof a;
    char data[SIZE] = "";
    double *us = count > 0 ? malloc((size_t)count * sizeof *us) : NULL;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (!us || bind(listener, (struct sockaddr *)&a, size) || listen(listener, 1)) return 2;
    getsockname(listener, (struct sockaddr *)&a, &size);
    pid_t echo = fork();
    if (echo == 0) {
        int peer = accept(listener, NULL, NULL);
        setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        alarm(60);
        while (!all(peer, data, 0) && !all(peer, data, 1)) {}
        _exit(0);
    }
    if (connect(fd, (struct sockaddr *)&a, size)) return 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (int i = 0; i < count; i++) {
        double begun = now_us();
        if (all(fd, data, 1) || all(fd, data, 0)) return 1;
        us[i] = now_us() - begun;
    }
    close(fd);
    waitpid(echo, NULL, 0);
    qsort(us, (size_t)count, sizeof *us, compare);
    printf("%.1f %.1f\n", us[count / 2], us[count * 99 / 100]);
    free(us);
    return 0;
}
