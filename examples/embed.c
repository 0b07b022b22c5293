// sykli inside a program that has a loop and children of its own: the library adds its descriptors
// to the poll, says how long that may take, and reaps no child but its own.
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#include <poll.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS_MAX = 256 };

// A child of the host that talks through a pipe: what any event loop has.
static int start_child(pid_t *pid)
{
    int fds[2];
    if (pipe(fds)) return -1;
    *pid = fork();
    if (*pid == 0) {
        dup2(fds[1], 1);
        execl("/bin/sh", "sh", "-c", "echo one; echo two; exit 7", (char *)0);
        _exit(127);
    }
    close(fds[1]);
    return fds[0];
}

// What the child said.     returns  false: it has closed its pipe
static bool read_child(int fd)
{
    char text[256];
    ssize_t size = read(fd, text, sizeof text);
    if (size > 0) printf("child says: %.*s", (int)size, text);
    return size > 0;
}

// One turn of the host's loop: its own descriptor, then those of sykli.
static int turn(sykli *s, int *child_fd)
{
    struct pollfd fds[1 + FDS_MAX];
    sykli_poll_fd ours[FDS_MAX];
    int count = sykli_fds(s, ours, FDS_MAX);
    if (count > FDS_MAX) count = FDS_MAX; // what is not watched is looked at when the time is up
    fds[0] = (struct pollfd){ *child_fd, POLLIN, 0 };
    for (int i = 0; i < count; i++) {
        fds[1 + i] = (struct pollfd){ ours[i].fd, 0, 0 };
        if (ours[i].want & SYKLI_POLL_in) fds[1 + i].events |= POLLIN;
        if (ours[i].want & SYKLI_POLL_out) fds[1 + i].events |= POLLOUT;
    }
    poll(fds, (nfds_t)(1 + count), sykli_deadline_ms(s)); // and the host's own timers, if any
    if (fds[0].revents && !read_child(*child_fd)) {
        close(*child_fd);
        *child_fd = -1; // poll skips it
    }
    return sykli_pump(s);
}

int main(void)
{
    pid_t child = -1;
    int child_fd = start_child(&child), status = 0, rc;
    sykli *s = sykli_open(&(sykli_desc){ .workers_max = 2, .no_history = true });
    sykli_task first = sykli_add(s, &(sykli_task_desc){ .name = "first", .command = "true" });
    sykli_add(s, &(sykli_task_desc){ .name = "second", .command = "sh -c 'exit 3'",
        .after = { first } });
    if ((rc = sykli_start(s)) < 0) fprintf(stderr, "%s\n", sykli_errmsg(s));
    for (bool busy = !rc; busy || child_fd >= 0;) {
        int more = turn(s, &child_fd);
        if (more < 0) break;
        busy = more > 0;
    }
    sykli_print(s, stdout, "SELECT name, status, exit_code FROM tasks");
    sykli_close(s);
    // The library has reaped its children and left ours alone.
    if (waitpid(child, &status, 0) != child) return 1;
    printf("the host's child ended with %d\n", WEXITSTATUS(status));
    return WEXITSTATUS(status) != 7 || waitpid(-1, NULL, WNOHANG) != -1;
}
