// A disk in memory whose power can be cut. It implements the file calls of sykli_sys and keeps
// apart what programs see and what is surely on the platter. Until a file is synced, each of its
// 512-byte sectors and its size may or may not have got there; until a folder is synced, each name
// made or taken away in it may or may not. Only a rename is one step, as on journaling file
// systems. `disk_cut` draws one of these states; that it may keep a name and lose the bytes is the
// point (Pillai et al., OSDI 2014).
#ifndef DISK_H_INCLUDED
#define DISK_H_INCLUDED

#include "test.h"

enum { DISK_FILES = 160, DISK_NAMES = 160, DISK_FDS = 32, DISK_PENDING = 160, DISK_SECTOR = 512 };

typedef struct disk_bytes { uint8_t *data; size_t size; } disk_bytes;

typedef struct disk_file { // number 0 is no file, 1 the root folder
    bool used, folder;
    uint32_t mode;
    int64_t mtime_ns;
    disk_bytes now, safe; // what reads see; what a sync has put down
} disk_file;

typedef struct disk_name { int folder, file; char text[96]; } disk_name; // file 0: free

typedef struct disk_pending { disk_name name; int step; } disk_pending;

typedef struct disk_fd { bool used; int file, flags; uint64_t at; } disk_fd;

typedef struct disk {
    sykli_sys sys;
    disk_file files[DISK_FILES];
    disk_name names[DISK_NAMES], safe[DISK_NAMES]; // names as seen, and as synced
    disk_pending pending[DISK_PENDING];             // what separates the two, in order
    int pending_count, step;
    disk_fd fds[DISK_FDS];
    int64_t now_ms;
    uint64_t random;
    int boot;
    bool full;              // a table of this model ran out: the test must be made smaller
    long calls;
    void (*before)(void *user, struct disk *d); // each call, before it does anything
    void *before_user;
} disk;

static inline uint64_t disk_random(uint64_t *state) // xorshift64*, Vigna 2016
{
    *state ^= *state >> 12, *state ^= *state << 25, *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

static inline void disk_bytes_set(disk_bytes *to, const uint8_t *data, size_t size)
{
    to->data = (uint8_t *)realloc(to->data, size ? size : 1);
    if (!to->data) abort();
    if (size) memcpy(to->data, data, size);
    to->size = size;
}

static inline void disk_free(disk *d)
{
    for (int i = 0; i < DISK_FILES; i++) free(d->files[i].now.data), free(d->files[i].safe.data);
    memset(d->files, 0, sizeof d->files);
}

// ---- names ----------------------------------------------------------------------------------
static inline disk_name *disk_name_find(disk_name *names, int folder, const char *text, size_t size)
{
    for (int i = 0; i < DISK_NAMES; i++)
        if (names[i].file && names[i].folder == folder && strlen(names[i].text) == size
            && !memcmp(names[i].text, text, size))
            return &names[i];
    return NULL;
}

// Makes `text` in a folder mean a file; 0: nothing any more.
static inline void disk_name_set(disk *d, disk_name *names, const disk_name *name)
{
    disk_name *at = disk_name_find(names, name->folder, name->text, strlen(name->text));
    for (int i = 0; !at && name->file && i < DISK_NAMES; i++)
        if (!names[i].file) at = &names[i];
    if (at) *at = *name;
    else if (name->file) d->full = true;
}

static inline void disk_change(disk *d, int folder, const char *text, size_t size, int file)
{
    disk_name name = { folder, file, "" };
    if (size >= sizeof name.text || d->pending_count == DISK_PENDING) {
        d->full = true;
        return;
    }
    memcpy(name.text, text, size);
    disk_name_set(d, d->names, &name);
    d->pending[d->pending_count++] = (disk_pending){ name, d->step };
}

// Puts down what waits in a folder, and the other half of its renames.
static inline void disk_settle(disk *d, int folder)
{
    int kept = 0;
    for (int i = 0; i < d->pending_count; i++) {
        bool goes = false;
        for (int k = 0; k < d->pending_count; k++)
            goes |= d->pending[k].step == d->pending[i].step && d->pending[k].name.folder == folder;
        if (goes) disk_name_set(d, d->safe, &d->pending[i].name);
        else d->pending[kept++] = d->pending[i];
    }
    d->pending_count = kept;
}

// Where a path leads.     out_folder, out_name, out_size  its last component
//   returns  the file, 0: no such name in a folder that is there, or -ENOENT
static inline int disk_walk(disk *d, int dir, const char *path, int *out_folder,
                            const char **out_name, size_t *out_size)
{
    int at = *path == '/' || dir == SYKLI_CWD ? 1 : d->fds[dir].file;
    *out_folder = at, *out_name = path, *out_size = 0;
    for (;;) {
        while (*path == '/') path++;
        size_t size = strcspn(path, "/");
        if (!size) return at;
        if (!at || !d->files[at].folder) return -ENOENT;
        const disk_name *name = disk_name_find(d->names, at, path, size);
        *out_folder = at, *out_name = path, *out_size = size;
        at = size == 1 && *path == '.' ? at : name ? name->file : 0;
        path += size;
    }
}

static inline int disk_find(disk *d, int dir, const char *path)
{
    int folder;
    const char *name;
    size_t size;
    int file = disk_walk(d, dir, path, &folder, &name, &size);
    return file ? file : -ENOENT;
}

static inline int disk_file_new(disk *d, bool folder, int mode)
{
    for (int i = 2; i < DISK_FILES; i++) {
        if (d->files[i].used) continue;
        d->files[i].used = true;
        d->files[i].folder = folder;
        d->files[i].mode = (uint32_t)mode;
        d->files[i].mtime_ns = d->now_ms * 1000000;
        disk_bytes_set(&d->files[i].now, NULL, 0);
        disk_bytes_set(&d->files[i].safe, NULL, 0);
        return i;
    }
    d->full = true;
    return -ENOSPC;
}

// ---- the calls ------------------------------------------------------------------------------
static inline disk *disk_enter(void *u)
{
    disk *d = (disk *)u;
    d->calls++;
    d->step++;
    if (d->before) d->before(d->before_user, d);
    return d;
}

static inline int disk_fd_new(disk *d, int file, int flags)
{
    for (int i = 0; i < DISK_FDS; i++)
        if (!d->fds[i].used) {
            d->fds[i] = (disk_fd){ true, file, flags, 0 };
            return i;
        }
    return -EMFILE;
}

static int disk_sys_random(void *u, void *out, size_t size)
{
    disk *d = (disk *)u;
    uint8_t *bytes = (uint8_t *)out;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(disk_random(&d->random) >> 32);
    return 0;
}

static int disk_sys_open(void *u, int dir, const char *path, int flags, int mode)
{
    disk *d = disk_enter(u);
    int folder;
    const char *name;
    size_t size;
    int file = disk_walk(d, dir, path, &folder, &name, &size);
    if (file < 0 || (!file && !(flags & SYKLI_OPEN_create))) return -ENOENT;
    if (file && flags & SYKLI_OPEN_exclusive) return -EEXIST;
    if (file && flags & SYKLI_OPEN_directory && !d->files[file].folder) return -ENOTDIR;
    if (!file) {
        file = disk_file_new(d, false, mode);
        if (file < 0) return file;
        disk_change(d, folder, name, size, file);
    }
    if (flags & SYKLI_OPEN_truncate) disk_bytes_set(&d->files[file].now, NULL, 0);
    return disk_fd_new(d, file, flags);
}

static void disk_sys_close(void *u, int fd) { ((disk *)u)->fds[fd].used = false; }

static int64_t disk_sys_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    disk *d = disk_enter(u);
    const disk_bytes *bytes = &d->files[d->fds[fd].file].now;
    if (at >= bytes->size) return 0;
    if (size > bytes->size - at) size = bytes->size - (size_t)at;
    memcpy(out, bytes->data + at, size);
    return (int64_t)size;
}

static int64_t disk_sys_read(void *u, int fd, void *out, size_t size)
{
    disk *d = (disk *)u;
    int64_t got = disk_sys_pread(u, fd, out, size, d->fds[fd].at);
    if (got > 0) d->fds[fd].at += (uint64_t)got;
    return got;
}

static int64_t disk_sys_pwrite(void *u, int fd, const void *data, size_t size, uint64_t at)
{
    disk *d = disk_enter(u);
    disk_file *file = &d->files[d->fds[fd].file];
    size_t end = (size_t)at + size;
    if (end > file->now.size) {
        file->now.data = (uint8_t *)realloc(file->now.data, end);
        if (!file->now.data) abort();
        memset(file->now.data + file->now.size, 0, end - file->now.size);
        file->now.size = end;
    }
    memcpy(file->now.data + at, data, size);
    file->mtime_ns = d->now_ms * 1000000;
    return (int64_t)size;
}

static int64_t disk_sys_write(void *u, int fd, const void *data, size_t size)
{
    disk *d = (disk *)u;
    disk_fd *f = &d->fds[fd];
    if (f->flags & SYKLI_OPEN_append) f->at = d->files[f->file].now.size;
    int64_t put = disk_sys_pwrite(u, fd, data, size, f->at);
    f->at += (uint64_t)put;
    return put;
}

static int disk_sys_sync(void *u, int fd)
{
    disk *d = disk_enter(u);
    int number = d->fds[fd].file;
    disk_file *file = &d->files[number];
    if (file->folder) disk_settle(d, number);
    else disk_bytes_set(&file->safe, file->now.data, file->now.size);
    return 0;
}

static int disk_stat_of(disk *d, int number, sykli_stat *out)
{
    if (number < 0) return number;
    const disk_file *file = &d->files[number];
    *out = (sykli_stat){ .size_bytes = file->now.size, .mtime_ns = file->mtime_ns,
        .ctime_ns = file->mtime_ns, .inode = (uint64_t)number, .device = 1, .mode = file->mode,
        .type = file->folder ? SYKLI_FILE_directory : SYKLI_FILE_regular };
    return 0;
}

static int disk_sys_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    disk *d = disk_enter(u);
    return disk_stat_of(d, disk_find(d, dir, path), out);
}

static int disk_sys_fstat(void *u, int fd, sykli_stat *out)
{
    disk *d = disk_enter(u);
    return disk_stat_of(d, d->fds[fd].file, out);
}

static int disk_sys_list(void *u, int fd, int (*each)(void *to, const char *name, int type),
                         void *to)
{
    disk *d = disk_enter(u);
    int rc = 0;
    for (int i = 0; !rc && i < DISK_NAMES; i++)
        if (d->names[i].file && d->names[i].folder == d->fds[fd].file)
            rc = each(to, d->names[i].text, d->files[d->names[i].file].folder
                                            ? SYKLI_FILE_directory : SYKLI_FILE_regular);
    return rc;
}

static int disk_sys_mkdir(void *u, int dir, const char *path, int mode)
{
    disk *d = disk_enter(u);
    int folder;
    const char *name;
    size_t size;
    int file = disk_walk(d, dir, path, &folder, &name, &size);
    if (file) return file < 0 ? file : -EEXIST;
    file = disk_file_new(d, true, mode);
    if (file > 0) disk_change(d, folder, name, size, file);
    return file < 0 ? file : 0;
}

static int disk_sys_rename(void *u, int from_dir, const char *from, int to_dir, const char *to)
{
    disk *d = disk_enter(u);
    int folder[2];
    const char *name[2];
    size_t size[2];
    int file = disk_walk(d, from_dir, from, &folder[0], &name[0], &size[0]);
    int there = disk_walk(d, to_dir, to, &folder[1], &name[1], &size[1]);
    if (file <= 0 || there < 0) return -ENOENT;
    if (there && d->files[there].folder) return -EISDIR;
    disk_change(d, folder[0], name[0], size[0], 0);
    disk_change(d, folder[1], name[1], size[1], file);
    return 0;
}

static int disk_sys_remove(void *u, int dir, const char *path, int is_directory)
{
    disk *d = disk_enter(u);
    int folder;
    const char *name;
    size_t size;
    int file = disk_walk(d, dir, path, &folder, &name, &size);
    if (file <= 0) return -ENOENT;
    if (d->files[file].folder != (is_directory != 0)) return is_directory ? -ENOTDIR : -EISDIR;
    for (int i = 0; is_directory && i < DISK_NAMES; i++)
        if (d->names[i].file && d->names[i].folder == file) return -ENOTEMPTY;
    disk_change(d, folder, name, size, 0);
    return 0;
}

static int disk_sys_utime(void *u, int dir, const char *path, int64_t mtime_ns)
{
    disk *d = disk_enter(u);
    int file = disk_find(d, dir, path);
    if (file > 0) d->files[file].mtime_ns = mtime_ns;
    return file < 0 ? file : 0;
}

static int disk_sys_chmod(void *u, int fd, int mode)
{
    disk *d = disk_enter(u);
    d->files[d->fds[fd].file].mode = (uint32_t)mode;
    return 0;
}

static int disk_sys_lock(void *u, int fd, int exclusive)
{
    (void)u, (void)fd, (void)exclusive;
    return 0;
}

static int disk_sys_clone(void *u, int from, int to)
{
    (void)u, (void)from, (void)to;
    return -EOPNOTSUPP;
}

static int disk_sys_pid(void *u)
{
    (void)u;
    return 4711;
}

static uint64_t disk_sys_now_ns(void *u) { return (uint64_t)((disk *)u)->now_ms * 1000000u; }
static int64_t disk_sys_wall_ms(void *u) { return ((disk *)u)->now_ms; }

// ---- life and power -------------------------------------------------------------------------
// Writes a file that is there before anything begins, on the platter.
static inline void disk_lay(disk *d, const char *path, const void *data, size_t size)
{
    int folder;
    const char *name;
    size_t name_size;
    void (*before)(void *user, disk *d) = d->before;
    long calls = d->calls;
    d->before = NULL;
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        char above[200];
        snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
        d->sys.mkdir(d, SYKLI_CWD, above, 0755);
    }
    int file = disk_walk(d, SYKLI_CWD, path, &folder, &name, &name_size);
    if (!file) {
        file = disk_file_new(d, false, 0644);
        disk_change(d, folder, name, name_size, file);
    }
    disk_bytes_set(&d->files[file].now, (const uint8_t *)data, size);
    disk_bytes_set(&d->files[file].safe, (const uint8_t *)data, size);
    memcpy(d->safe, d->names, sizeof d->safe);
    d->pending_count = 0;
    d->before = before;
    d->calls = calls;
}

static inline void disk_boot(disk *d)
{
    char text[40];
    int size = snprintf(text, sizeof text, "00000000-0000-4000-8000-%012d\n", ++d->boot);
    disk_lay(d, "/proc/sys/kernel/random/boot_id", text, (size_t)size);
}

static inline void disk_wire(disk *d)
{
    sykli_sys_init(&d->sys);
    d->sys.user = d;
    d->sys.now_ns = disk_sys_now_ns, d->sys.wall_ms = disk_sys_wall_ms;
    d->sys.random = disk_sys_random, d->sys.open = disk_sys_open, d->sys.close = disk_sys_close;
    d->sys.read = disk_sys_read, d->sys.write = disk_sys_write;
    d->sys.pread = disk_sys_pread, d->sys.pwrite = disk_sys_pwrite, d->sys.sync = disk_sys_sync;
    d->sys.stat = disk_sys_stat, d->sys.fstat = disk_sys_fstat, d->sys.list = disk_sys_list;
    d->sys.mkdir = disk_sys_mkdir, d->sys.rename = disk_sys_rename;
    d->sys.remove = disk_sys_remove, d->sys.utime = disk_sys_utime, d->sys.chmod = disk_sys_chmod;
    d->sys.lock = disk_sys_lock, d->sys.clone = disk_sys_clone, d->sys.pid = disk_sys_pid;
}

static inline void disk_init(disk *d, uint64_t seed)
{
    memset(d, 0, sizeof *d);
    disk_wire(d);
    d->random = seed;
    d->now_ms = INT64_C(1700000000000);
    d->files[1].used = d->files[1].folder = true;
    disk_boot(d);
}

// What is left of one file: of each sector the old or the new content, of the size either, and
// nothing (zeros) where bytes were promised and did not come.
static inline void disk_cut_file(const disk_file *from, disk_file *to, uint64_t *random)
{
    unsigned mode = (unsigned)(disk_random(random) >> 40) & 3; // nothing, everything, a mixture
    size_t size = mode == 0 ? from->safe.size : mode == 1 ? from->now.size
                : disk_random(random) >> 63 ? from->safe.size : from->now.size;
    uint8_t *data = (uint8_t *)calloc(1, size ? size : 1);
    if (!data) abort();
    for (size_t at = 0; at < size; at += DISK_SECTOR) {
        bool fresh = mode == 1 || (mode > 1 && disk_random(random) >> 63);
        const disk_bytes *bytes = fresh ? &from->now : &from->safe;
        size_t end = at + DISK_SECTOR < size ? at + DISK_SECTOR : size;
        if (at < bytes->size)
            memcpy(data + at, bytes->data + at, (end < bytes->size ? end : bytes->size) - at);
    }
    *to = *from;
    to->now.data = to->safe.data = NULL;
    disk_bytes_set(&to->now, data, size);
    disk_bytes_set(&to->safe, data, size);
    free(data);
}

// The disk as the next boot finds it.
static inline void disk_cut(const disk *from, disk *to, uint64_t seed)
{
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    memset(to, 0, sizeof *to);
    disk_wire(to);
    to->random = random;
    to->now_ms = from->now_ms + 60000;
    to->boot = from->boot;
    for (int i = 1; i < DISK_FILES; i++)
        if (from->files[i].used) disk_cut_file(&from->files[i], &to->files[i], &random);
    memcpy(to->safe, from->safe, sizeof to->safe);
    unsigned mode = (unsigned)(disk_random(&random) >> 40) & 3;
    bool goes = false;
    for (int i = 0; i < from->pending_count; i++) {
        if (!i || from->pending[i].step != from->pending[i - 1].step)
            goes = mode == 1 || (mode > 1 && disk_random(&random) >> 63);
        if (goes) disk_name_set(to, to->safe, &from->pending[i].name);
    }
    for (int i = 0; i < DISK_NAMES; i++) { // what hangs on a folder that did not come is gone
        int above = to->safe[i].folder;
        for (int k = 0; to->safe[i].file && above != 1 && k < DISK_NAMES; k++)
            if (to->safe[k].file == above) k = DISK_NAMES, above = 1;
        if (above != 1) to->safe[i].file = 0;
    }
    memcpy(to->names, to->safe, sizeof to->names);
    disk_boot(to);
}

#endif
