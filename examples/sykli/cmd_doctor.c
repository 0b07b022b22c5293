// Says what this machine can do and what it lacks, with the remedy.
#define _GNU_SOURCE 1
#include "ask.h"
#include "config_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif

typedef enum verdict { OK, WARN, FAIL } verdict;
static const char *const words[] = { "ok", "warn", "fail" };

enum { FREE_MIN_BYTES = 1 << 30, YEAR_2024_S = 1704067200 };

typedef struct doctor {
    cli *c;
    sykli_buf json;
    size_t of[3];
} doctor;

// Tells one finding. remedy: NULL if there is nothing to do
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
static void tell(doctor *d, verdict v, const char *what, const char *remedy, const char *format,
                 ...)
{
    static const cli_style styles[] = { CLI_GOOD, CLI_WARN, CLI_BAD };
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    sykli_buf *b = &d->json;
    sykli_buf_print(b, "%s{\"check\":\"%s\",\"status\":\"%s\",\"text\":", b->size ? "," : "", what,
                    words[v]);
    sykli_json_quote(b, text, strlen(text));
    sykli_buf_text(b, ",\"remedy\":");
    if (remedy) sykli_json_quote(b, remedy, strlen(remedy));
    sykli_buf_text(b, remedy ? "}" : "null}");
    d->of[v]++;
    if (d->c->json) return;
    printf("  %s%-4s%s  %-9s ", cli_style_on(d->c->colour, styles[v]), words[v],
           cli_style_on(d->c->colour, CLI_PLAIN), what);
    cli_put(stdout, text, 0);
    putchar('\n');
    if (remedy) printf("                  → %s\n", remedy);
}

// ---- folders ----

static const char *file_system(const char *path)
{
#if defined(__linux__)
    static const struct { unsigned long magic; const char *name; } known[] = {
        { 0xef53, "ext4" }, { 0x9123683e, "btrfs" }, { 0x58465342, "xfs" }, { 0x01021994, "tmpfs" },
        { 0x794c7630, "overlayfs" }, { 0x6969, "nfs" }, { 0xff534d42, "cifs" },
        { 0x2fc12fc1, "zfs" }, { 0xf2f52010, "f2fs" }, { 0x65735546, "fuse" },
        { 0x01021997, "9p" } };
    struct statfs st;
    if (statfs(path, &st)) return "unknown";
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (((unsigned long)st.f_type & 0xffffffff) == known[i].magic) return known[i].name;
#else
    (void)path;
#endif
    return "unknown";
}

static bool is_far(const char *name)
{
    return !strcmp(name, "nfs") || !strcmp(name, "cifs") || !strcmp(name, "9p");
}

// Makes a folder with those above it.
static void make_folders(cli *c, const char *path)
{
    char *copy = cli_copy(c, path, strlen(path));
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(copy, 0700);
        *p = '/';
    }
    mkdir(copy, 0700);
}

// Whether a file in a folder can share its blocks with a copy.
static bool has_reflink(int from, int to)
{
#if defined(__linux__)
    enum { FICLONE_NUMBER = 0x40049409 };
    return ioctl(to, FICLONE_NUMBER, from) == 0;
#else
    (void)from;
    (void)to;
    return false;
#endif
}

static void check_folder(doctor *d, const char *what, const char *path, bool blobs)
{
    cli *c = d->c;
    struct statvfs space = { 0 };
    char size[32];
    make_folders(c, path);
    char *from = cli_print(c, "%s/doctor.XXXXXX", path);
    int fd = mkstemp(from), copy = -1;
    if (fd < 0) {
        tell(d, FAIL, what,
             cli_print(c, "make it writable, or set SYKLI_%s to another",
                       blobs ? "CACHE" : "STATE"),
             "%s: %s", path, strerror(errno));
        return;
    }
    const char *kind = file_system(path), *to = cli_print(c, "%s.copy", from);
    if (blobs) copy = open(to, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    bool shares = copy >= 0 && write(fd, "block", 5) == 5 && has_reflink(fd, copy);
    if (copy >= 0) close(copy);
    if (copy >= 0) unlink(to);
    close(fd);
    unlink(from);
    statvfs(path, &space);
    uint64_t left = (uint64_t)space.f_bavail * space.f_frsize;
    sykli_format_size(size, left);
    bool low = left < FREE_MIN_BYTES, far = is_far(kind);
    tell(d, low || far ? WARN : OK, what,
         far ? "locks and renames of a network file system may not hold: use a local one"
             : low ? blobs ? "sykli cache gc, or a larger disk" : "free some space" : NULL,
         "%s: %s, %s free", path, kind, size);
    if (blobs)
        tell(d, OK, "reflink", NULL,
             shares ? "outputs are restored without copying (%s)"
                    : "outputs are restored by copying (%s has none)", kind);
}

// ---- the system ----

static bool has_program(cli *c, const char *name)
{
    char *path = cli_print(c, "%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    for (char *dir; (dir = strsep(&path, ":"));)
        if (access(cli_print(c, "%s/%s", *dir ? dir : ".", name), X_OK) == 0) return true;
    return false;
}

static void check_kernel(doctor *d)
{
    struct utsname u;
    if (uname(&u)) return;
    tell(d, OK, "system", NULL, "%s %s %s, %d processors", u.sysname, u.release, u.machine,
         d->c->sys.processors(d->c->sys.user));
#if defined(__linux__)
    enum { PIDFD_OPEN = 434, LANDLOCK_CREATE_RULESET = 444, LANDLOCK_VERSION = 1 };
    long fd = syscall(PIDFD_OPEN, getpid(), 0);
    if (fd >= 0) close((int)fd);
    tell(d, fd >= 0 ? OK : WARN, "pidfd", fd >= 0 ? NULL : "Linux 5.3 or newer",
         fd >= 0 ? "ends of processes are awaited" : "ends of processes are asked for");
    long version = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);
    tell(d, version > 0 ? OK : WARN, "landlock",
         version > 0 ? NULL : "a kernel with CONFIG_SECURITY_LANDLOCK and lsm=landlock",
         version > 0 ? "version %ld" : "not there: tasks cannot be confined to folders", version);
#endif
}

// Whether a folder of a task may be made where this process stands.
static void check_cgroup(doctor *d)
{
#if defined(__linux__)
    // Beside version 1 the folders of version 2 stand below "unified".
    const char *mount = access("/sys/fs/cgroup/cgroup.controllers", F_OK)
                      ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
    char line[512], *path = NULL;
    FILE *file = fopen("/proc/self/cgroup", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "0::", 3))
            path = cli_print(d->c, "%s%.*s", mount, (int)strcspn(line + 3, "\n"), line + 3);
    if (file) fclose(file);
    bool writable = path && access(path, W_OK) == 0;
    bool kills = writable && access(cli_print(d->c, "%s/cgroup.procs", path), W_OK) == 0;
    tell(d, kills ? OK : WARN, "cgroup",
         kills ? NULL : "run in a delegated cgroup: systemd-run --user --scope -p Delegate=yes",
         "%s", kills ? path : "none to write to: tasks are found by group and by /proc");
#else
    (void)d;
#endif
}

static void check_tools(doctor *d)
{
    bool git = has_program(d->c, "git"), cc = getenv("CC") || has_program(d->c, "cc");
    tell(d, git ? OK : WARN, "git", git ? NULL : "install git",
         git ? "found" : "not found: no branches, no --affected");
    tell(d, cc ? OK : WARN, "cc", cc ? NULL : "install a C compiler, or set CC",
         cc ? "found" : "not found: no pipelines in C");
}

static void check_clock(doctor *d)
{
    char at[64];
    int64_t now = d->c->sys.wall_ms(d->c->sys.user);
    bool good = now / 1000 > YEAR_2024_S;
    tell(d, good ? OK : FAIL, "clock", good ? NULL : "set the clock: invites and leases need it",
         "%s", sykli_format_time(at, now));
}

static void check_config(doctor *d)
{
    cli *c = d->c;
    config_file file;
    size_t size;
    if (access(c->config_file, F_OK)) {
        tell(d, OK, "config", NULL, "%s is not there, defaults are used", c->config_file);
        return;
    }
    char *text = cli_read_text(c, c->config_file, &size);
    bool good = text && !config_file_parse(c, c->config_file, text, size, &file);
    if (good) tell(d, OK, "config", NULL, "%s", c->config_file);
    else tell(d, FAIL, "config", "docs/config.md says what may stand there", "%s", c->fault.text);
}

static void check_node(doctor *d)
{
    asking a;
    bool json = d->c->json;
    const ask_node *nodes;
    size_t count = 0;
    d->c->json = false;
    int code = ask_begin_anyhow(&a, d->c);
    d->c->json = json;
    if (code) {
        tell(d, FAIL, "node", NULL, "the tables of this machine do not open");
        return;
    }
    if (!a.mesh)
        tell(d, OK, "node", NULL, "none runs in %s; sykli node --detach starts one",
             d->c->state_dir);
    else if (ask_nodes(&a, &nodes, &count))
        tell(d, FAIL, "node", "sykli node status", "%s does not answer", a.node);
    else tell(d, OK, "node", NULL, "%s answers, %zu in the mesh", a.node, count);
    ask_end(&a);
}

static int run(cli *c)
{
    doctor d = { .c = c };
    int code = cli_arguments(c, 0, 0);
    if (code) return code;
    sykli_buf_init(&d.json, &c->mem, SYKLI_TAG_host);
    tell(&d, OK, "version", NULL, "sykli %s", SYKLI_VERSION);
    check_folder(&d, "cache", c->cache_dir, true);
    check_folder(&d, "state", c->state_dir, false);
    check_kernel(&d);
    check_cgroup(&d);
    check_tools(&d);
    check_clock(&d);
    check_config(&d);
    check_node(&d);
    if (c->json)
        cli_envelope(c, !d.of[FAIL],
                     cli_print(c, "{\"items\":[%s],\"ok\":%zu,\"warn\":%zu,\"fail\":%zu}",
                               (const char *)d.json.data, d.of[OK], d.of[WARN], d.of[FAIL]));
    else
        printf("\n  ─  %zu ok · %zu to look at · %zu to repair\n", d.of[OK], d.of[WARN],
               d.of[FAIL]);
    sykli_buf_free(&d.json);
    return d.of[FAIL] ? CLI_INFRASTRUCTURE : CLI_OK;
}

const cli_verb verb_doctor = { "doctor", "say what this machine can do and what it lacks", "",
                               "sykli doctor --json", NULL, NULL, run };
