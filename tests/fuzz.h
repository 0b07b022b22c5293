// The frame of a fuzz target: a file that defines LLVMFuzzerTestOneInput, which takes any bytes and
// fails when a promise does not hold. With FUZZ_LIBFUZZER clang's engine looks for such bytes; else
// it is a test: every file of tests/corpus/NAME, then FUZZ_TRIES small changes of them, always the
// same ones. The bytes that failed are left beside the program, in PROGRAM.failed.
#ifndef FUZZ_H_INCLUDED
#define FUZZ_H_INCLUDED

#include "test.h"
#include <dirent.h>
#include <signal.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak)); // picks one of several

static FILE *fuzz_out; // where failures are told; NULL: stderr

static inline void fuzz_fail(const char *file, int line, const char *what)
{
    FILE *out = fuzz_out ? fuzz_out : stderr;
    fprintf(out, "%s:%d: not true: %s\n", file, line, what);
    fflush(out);
    abort();
}

// For code that prints: from now on nobody sees it. The engine has -close_fd_mask for that.
static inline void fuzz_quiet(void)
{
#ifndef FUZZ_LIBFUZZER
    static bool quiet;
    if (!quiet && !(freopen("/dev/null", "w", stdout) && freopen("/dev/null", "w", stderr)))
        abort();
    quiet = true;
#endif
}
#define FUZZ_CHECK(condition)                                                                      \
    do { if (!(condition)) fuzz_fail(__FILE__, __LINE__, #condition); } while (0)

// What a target begins and ends with: memory that is counted, and all of it given back.
static inline void fuzz_end(const test *t)
{
    FUZZ_CHECK(t->bytes == 0);
    FUZZ_CHECK(t->open_fds == 0);
}

// Bytes of an input, taken from its front; zeros when there are no more.
typedef struct fuzz_in { const uint8_t *at; size_t left; } fuzz_in;

static inline uint8_t fuzz_byte(fuzz_in *in)
{
    if (!in->left) return 0;
    in->left--;
    return *in->at++;
}

// A copy as a text that ends where the input ends or has a NUL, with nothing readable behind it.
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    size_t length = size ? strnlen((const char *)data, size) : 0;
    char *text = malloc(length + 1);
    if (!text) abort();
    if (length) memcpy(text, data, length);
    text[length] = 0;
    return text;
}

#ifndef FUZZ_LIBFUZZER
enum { FUZZ_ROOM = 1 << 16, FUZZ_FILES = 512 };
typedef struct fuzz_file { uint8_t *data; size_t size; } fuzz_file;
static fuzz_file fuzz_now;          // what is being tried
static const char *fuzz_program;
static uint64_t fuzz_state = 88172645463325252u;

static inline size_t fuzz_random(size_t below) // xorshift64 (Marsaglia 2003)
{
    fuzz_state ^= fuzz_state << 13;
    fuzz_state ^= fuzz_state >> 7;
    fuzz_state ^= fuzz_state << 17;
    return below ? (size_t)((fuzz_state >> 16) % below) : 0;
}

// A sanitizer says more of a crash than we can; it tells us before it ends the program.
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static inline void fuzz_keep(void)
{
    char path[512];
    snprintf(path, sizeof path, "%s.failed", fuzz_program);
    FILE *file = fopen(path, "wb");
    if (file) {
        fwrite(fuzz_now.data, 1, fuzz_now.size, file);
        fclose(file);
    }
    fprintf(fuzz_out, "FAIL %s: again with: %s %s\n", fuzz_program, fuzz_program, path);
    fflush(fuzz_out);
}

static inline void fuzz_signal(int sig)
{
    fuzz_keep();
    signal(sig, SIG_DFL);
    raise(sig);
}

static inline void fuzz_load(fuzz_file *file, const char *path)
{
    FILE *from = fopen(path, "rb");
    file->data = malloc(FUZZ_ROOM);
    if (!from || !file->data) {
        fprintf(fuzz_out, "%s cannot be read\n", path);
        exit(1);
    }
    file->size = fread(file->data, 1, FUZZ_ROOM, from);
    fclose(from);
}

static inline int fuzz_by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The files of a folder in the order of their names.     returns  how many
static inline int fuzz_load_all(fuzz_file *files, const char *folder)
{
    static char paths[FUZZ_FILES][512];
    char *order[FUZZ_FILES];
    int count = 0;
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir)) && count < FUZZ_FILES;) {
        if (e->d_name[0] == '.') continue;
        snprintf(paths[count], sizeof *paths, "%s/%s", folder, e->d_name);
        order[count] = paths[count];
        count++;
    }
    if (dir) closedir(dir);
    qsort(order, (size_t)count, sizeof *order, fuzz_by_path);
    for (int i = 0; i < count; i++) fuzz_load(&files[i], order[i]);
    return count;
}

// One small change, with `other` as the source of what is foreign.
static inline void fuzz_change(fuzz_file *f, const fuzz_file *other)
{
    static const uint8_t odd[] = { 0, 0xff, 0x80, 0x7f, '"', '\\', '{', '}', '[', ']', '\n', '*',
                                   '/', '.', '-', ' ', ',', ':', 0x1b, 0xc3 };
    size_t at = fuzz_random(f->size + 1), take = 1 + fuzz_random(16), from;
    switch (fuzz_random(6)) {
    case 0:
        if (at < f->size) f->data[at] ^= (uint8_t)(1 << fuzz_random(8));
        return;
    case 1:
        if (at < f->size) f->data[at] = odd[fuzz_random(sizeof odd)];
        return;
    case 2:
        if (take > f->size - at) take = f->size - at;
        memmove(f->data + at, f->data + at + take, f->size - at - take);
        f->size -= take;
        return;
    case 3:
        if (!fuzz_random(4)) f->size = at;
        return;
    default: // a piece of another one, or of this one, goes in
        from = fuzz_random(other->size);
        if (take > other->size - from) take = other->size - from;
        if (f->size + take > FUZZ_ROOM) return;
        memmove(f->data + at + take, f->data + at, f->size - at);
        memcpy(f->data + at, other->data + from, take);
        f->size += take;
    }
}

static inline void fuzz_try(const fuzz_file *f)
{
    fuzz_now.size = f->size;
    fuzz_now.data = malloc(f->size + !f->size); // its own block: a byte too far is seen
    if (!fuzz_now.data) abort();
    memcpy(fuzz_now.data, f->data, f->size);
    LLVMFuzzerTestOneInput(fuzz_now.data, fuzz_now.size);
    free(fuzz_now.data);
}

int main(int argc, char **argv)
{
    static fuzz_file files[FUZZ_FILES];
    char folder[256];
    const char *name = strrchr(argv[0], '/'), *tries = getenv("FUZZ_TRIES");
    fuzz_file change = { malloc(FUZZ_ROOM), 0 };
    int count = 0;
    name = name ? name + 1 : argv[0];
    if (LLVMFuzzerInitialize) LLVMFuzzerInitialize(&argc, &argv);
    snprintf(folder, sizeof folder, "tests/corpus/%s", name + strlen("fuzz_"));
    fuzz_program = argv[0];
    fuzz_out = fdopen(dup(1), "w");
    signal(SIGABRT, fuzz_signal);
    if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(fuzz_keep);
    else signal(SIGSEGV, fuzz_signal);
    for (int i = 1; i < argc && count < FUZZ_FILES; i++) fuzz_load(&files[count++], argv[i]);
    if (argc < 2) count = fuzz_load_all(files, folder);
    for (int i = 0; i < count; i++) fuzz_try(&files[i]);
    long left = argc > 1 ? 0 : tries ? atol(tries) : 3000;
    for (long i = 0; i < left && count && change.data; i++) {
        const fuzz_file *from = &files[i % count];
        change.size = from->size;
        memcpy(change.data, from->data, from->size);
        for (size_t k = 1 + fuzz_random(4); k; k--)
            fuzz_change(&change, &files[fuzz_random((size_t)count)]);
        fuzz_try(&change);
    }
    for (int i = 0; i < count; i++) free(files[i].data);
    free(change.data);
    fprintf(fuzz_out, "%s: %d passed, %d failed (and %ld changes of them)\n", argv[0], count,
            !count, left);
    fclose(fuzz_out);
    return !count;
}
#endif
#endif
