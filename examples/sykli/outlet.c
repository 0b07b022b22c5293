// Writes without waiting: asks first whether there is room.
#define _GNU_SOURCE 1
#include "outlet.h"
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GATHER_BYTES = 16 << 10, WAITS_MAX_BYTES = 1 << 20 };

// poll(2) promises room for one byte. A pipe then has a page, which is PIPE_BUF or more; a terminal
// some hundred bytes. Nobody waits for a file.
static size_t piece(int fd)
{
    struct stat st;
    if (fstat(fd, &st)) return 512;
    if (S_ISFIFO(st.st_mode)) return 4096;
    return S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(fd)) ? 1 << 30 : 512;
}

void outlet_open(outlet *o, cli *c, FILE *file, bool events)
{
    fflush(file);
    *o = (outlet){ .fd = fileno(file), .events = events, .piece_bytes = piece(fileno(file)) };
    sykli_buf_init(&o->waits, &c->mem, SYKLI_TAG_host);
}

static void tell_left_out(outlet *o)
{
    sykli_buf_print(&o->waits, o->events
        ? "{\"event\":\"note\",\"text\":\"%llu lines of output left out: they are not read\"}\n"
        : "[sykli: %llu lines left out: they are not read fast enough]\n",
        (unsigned long long)o->left_out);
    o->left_out = 0;
}

void outlet_put(outlet *o, const char *text, size_t size, bool output)
{
    if (output && o->waits.size > WAITS_MAX_BYTES) {
        o->left_out++;
        return;
    }
    if (o->left_out) tell_left_out(o);
    sykli_buf_add(&o->waits, text, size);
    if (o->waits.size >= GATHER_BYTES) outlet_flush(o);
}

static bool write_some(outlet *o, int timeout_ms)
{
    struct pollfd room = { o->fd, POLLOUT, 0 };
    size_t done = 0;
    while (done < o->waits.size && o->fd >= 0) {
        size_t size = o->waits.size - done;
        if (poll(&room, 1, timeout_ms) <= 0) break;
        ssize_t got = write(o->fd, o->waits.data + done,
                            size < o->piece_bytes ? size : o->piece_bytes);
        if (got < 0 && errno != EAGAIN && errno != EINTR) {
            o->error = errno;
            o->fd = -1;
        }
        if (got <= 0) break;
        done += (size_t)got;
    }
    if (o->fd < 0) sykli_buf_reset(&o->waits);
    else sykli_buf_drop(&o->waits, done);
    return !o->waits.size;
}

bool outlet_flush(outlet *o) { return write_some(o, 0); }

void outlet_close(outlet *o, int wait_ms)
{
    if (o->left_out) tell_left_out(o);
    write_some(o, wait_ms);
    sykli_buf_free(&o->waits);
}
