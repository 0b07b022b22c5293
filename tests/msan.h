// For the memory sanitizer, included before all else (-include): calls of a C library newer than
// the compiler, whose results it takes for uninitialised. The linker puts these in (--wrap), under
// the names that they have with offsets of 64 bits.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#ifndef _FILE_OFFSET_BITS
#define _FILE_OFFSET_BITS 64
#endif
#include <sanitizer/msan_interface.h>
#include <sys/stat.h>

#define TEST_MSAN 1 // for stories that look at memory nobody has set

#define MSAN_X(name, parameters, arguments)                                                        \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        __msan_unpoison(st, sizeof *st);                                                           \
        return __real_##name arguments;                                                            \
    }
MSAN_X(fstat64, (int fd, struct stat *st), (fd, st))
MSAN_X(stat64, (const char *path, struct stat *st), (path, st))
MSAN_X(lstat64, (const char *path, struct stat *st), (path, st))
MSAN_X(fstatat64, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags))
#undef MSAN_X
