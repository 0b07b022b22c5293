/* sykli.h - v0.1.0 - a CI node you can #include - MIT or public domain, text at the end

   A task scheduler with a content-addressed cache, live tables and hot configuration. In one
   C file of your program:

       #define SYKLI_IMPLEMENTATION
       #include "sykli.h"
       int main(void) {
           sykli *s = sykli_open(&(sykli_desc){ .workers_max = 4 });
           sykli_task lib = sykli_add(s, &(sykli_task_desc){ .name = "lib",
               .command = "cc -c lib.c -o lib.o", .inputs = { "*.c", "*.h" },
               .outputs = { { "o", "lib.o" } } });
           sykli_add(s, &(sykli_task_desc){ .name = "test", .command = "./check lib.o",
               .after = { lib }, .timeout_ms = 60000 });
           int failed = sykli_run(s);          // 0 all passed, n failed, < 0: sykli_errmsg(s)
           sykli_print(s, stdout, "SELECT name, status, duration_ms FROM tasks");
           sykli_close(s); return failed != 0; }

   Everything that lives is a row, every change is an op, every fact goes by one of five verbs
   (call, query, watch, fetch, offer); docs/architecture.md is the map. The second half of this
   file reads bottom-up: a section calls only sections above it.

   CONTENTS
     public      errors   names and limits   sys   context   tasks   rows   ops   verbs   hooks
     >>extend    memory, buffers, maps, hashes, JSON, store: for the mesh, own tables and own ops
     >>base      memory, buffers, maps, text, errors
     >>hash      SHA-256, SHA256TREE
     >>json      reader with positions, writer
     >>glob      pattern matching, no file access
     >>emit      the graph as pipeline JSON, for programs that are a pipeline
     >>table     columns, row values, the registry of tables
     >>query     the SELECT subset: parse, scan, sort, render, encode
     >>op        the registry of ops, argument checking, roles
     >>event     the ring of what happened
     >>config    versioned keys
     >>log       lines, masks, terminal control
     >>sched     readiness, priorities, retries: facts in, actions out
     >>sys       the operating system behind one struct
     >>pool      several processors for one large file or many
     >>rows      row files: pools of rows that other processes can read
     >>tree      confined walk, stat cache, tree digests
     >>store     blobs and action entries on disk
     >>key       the action key and what changed in it
     >>spawn     starting, capturing and ending a task's process tree
     >>history   run records, durations, last keys
     >>memo      what was up to date, so that the next run need not find it out again
     >>drive     carries out what the scheduler asks for
     >>node      the context: tables, ops, requests, the public calls                           */

#if defined(SYKLI_IMPLEMENTATION) && defined(__linux__) && !defined(_GNU_SOURCE)
#if defined(_FEATURES_H)
#error "sykli.h: #define _GNU_SOURCE before the first #include beside SYKLI_IMPLEMENTATION"
#endif
#define _GNU_SOURCE 1
#endif
#if defined(SYKLI_IMPLEMENTATION) && !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64
#endif

#ifndef SYKLI_H_INCLUDED
#define SYKLI_H_INCLUDED

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYKLI_VERSION "0.1.0"

// ---- errors ---------------------------------------------------------------------------------
// Every call that can fail returns 0 or a count on success and one of these, negative, on failure.
// X(NAME, value, text, advice)
#define SYKLI_ERRORS(X)                                                                            \
    X(EINVAL, -1, "invalid argument", "see the message for the field and what would be right")     \
    X(ENOMEM, -2, "out of memory", "raise the memory limit or make the graph smaller")             \
    X(EEXIST, -3, "already there", "choose another name")                                          \
    X(ENOENT, -4, "not there", "check the name; `sykli query` lists what exists")                  \
    X(ECYCLE, -5, "the graph has a cycle", "remove one dependency that the message names")         \
    X(ELIMIT, -6, "a limit is reached", "raise the limit that the message names")                  \
    X(ESTALE, -7, "the handle is no longer valid", "look the thing up again")                      \
    X(EIO, -8, "input or output failed", "check disk space and permissions")                       \
    X(EPERM, -9, "not permitted", "check the permissions, or the role that the message names")     \
    X(ENONODE, -10, "no such node is reachable", "`sykli nodes` lists the nodes")                  \
    X(ETIMEOUT, -11, "the deadline passed", "try again, or allow more time")                       \
    X(ECLOSED, -12, "the connection closed", "try again")                                          \
    X(EPARSE, -13, "not well formed", "the message names line and column")                         \
    X(ECORRUPT, -14, "damaged data", "the damaged copy is set aside; run again")                   \
    X(EBUSY, -15, "in use", "wait for the one that the message names")                             \
    X(EUNSUPPORTED, -16, "not supported here", "the message names what is missing")                \
    X(ECANCELLED, -17, "cancelled", "start it again if it is still wanted")                        \
    X(EAUTH, -18, "not authenticated", "check cookie, token or key")                               \
    X(ECONFLICT, -19, "something newer is there", "fetch the newer version, repeat the change")    \
    X(ECONSENT, -20, "this machine does not allow it", "its owner can, in the local config")       \
    X(EOF, -21, "end", "nothing more will come")

typedef enum sykli_status_code {
#define SYKLI_X(name, value, text, advice) SYKLI_##name = value,
    SYKLI_ERRORS(SYKLI_X)
#undef SYKLI_X
    SYKLI_OK = 0
} sykli_status_code;

// The text or the advice of a code; never NULL.
const char *sykli_error_text(int code);
const char *sykli_error_advice(int code);
// The code's name, "EINVAL"; never NULL.
const char *sykli_error_name(int code);

// ---- names and limits -----------------------------------------------------------------------
#define SYKLI_INLINE_MAX 16              // entries of an inline list in a desc
#define SYKLI_NAME_MAX 1024              // bytes of a task name
#define SYKLI_NODE_NAME_MAX 64           // bytes of a node name, [a-z0-9._-]
#define SYKLI_COMMAND_MAX (1u << 20)     // bytes of a command
#define SYKLI_TASKS_MAX (1u << 20)       // tasks of one graph
#define SYKLI_JSON_DEPTH_MAX 64          // nesting of JSON documents
#define SYKLI_JSON_SIZE_MAX (64u << 20)  // bytes of a JSON document
#define SYKLI_QUERY_MAX 4096             // bytes of a query
#define SYKLI_GLOB_MAX 4096              // bytes of a glob; a longer one matches nothing
#define SYKLI_BLOB_SIZE_MAX (1ull << 40) // bytes of a blob
#define SYKLI_ARGS_MAX (64u << 10)       // bytes of the arguments of an op

typedef struct sykli sykli;
typedef struct sykli_sys sykli_sys;
typedef struct sykli_poll_fd sykli_poll_fd;

// A handle of a task or a request: slot and generation. {0} is invalid.
typedef struct sykli_task { uint64_t id; } sykli_task;
typedef struct sykli_handle { uint64_t id; } sykli_handle;

// How a task ended, or where it stands. The first SYKLI_ENDINGS are terminal; the names are those
// of the Elixir engine.
#define SYKLI_STATUSES(X) X(passed) X(failed) X(errored) X(cached) X(skipped) X(blocked)           \
    X(cancelled) X(waiting) X(ready) X(hashing) X(lookup) X(restoring) X(queued) X(running)        \
    X(publishing)
typedef enum sykli_status {
#define SYKLI_X(name) SYKLI_STATUS_##name,
    SYKLI_STATUSES(SYKLI_X)
#undef SYKLI_X
    SYKLI_STATUS_COUNT
} sykli_status;
extern const char *const sykli_status_names[SYKLI_STATUS_COUNT + 1]; // NULL at the end
#define SYKLI_ENDINGS 7 // statuses in which a task ends: passed to cancelled

// Whom a call is made for. A row's column and an op name the least role that may see or do it.
typedef enum sykli_role {
    SYKLI_ROLE_none, SYKLI_ROLE_member, SYKLI_ROLE_observer, SYKLI_ROLE_operator,
    SYKLI_ROLE_admin, SYKLI_ROLE_owner, SYKLI_ROLE_COUNT
} sykli_role;
extern const char *const sykli_role_names[SYKLI_ROLE_COUNT + 1];

// Memory is accounted by tag; the `memory` table shows a row per tag.
#define SYKLI_TAGS(X) X(base) X(text) X(json) X(table) X(query) X(event) X(config) X(log) X(sched) \
    X(rows) X(tree) X(store) X(spawn) X(drive) X(node) X(wire) X(link) X(member) X(mesh) X(host)
typedef enum sykli_tag {
#define SYKLI_X(name) SYKLI_TAG_##name,
    SYKLI_TAGS(SYKLI_X)
#undef SYKLI_X
    SYKLI_TAG_COUNT
} sykli_tag;

// ---- sys ------------------------------------------------------------------------------------
// Clock, random, memory, files, sockets and processes: everything the library asks of the machine.
// Replace a function to test, simulate or port; `sykli_sys_init` fills in the real ones. Calls
// return >= 0 on success and the negated errno of the host on failure. Paths are relative to the
// directory `dir`, an open descriptor, or SYKLI_CWD.
#define SYKLI_CWD (-100)

typedef enum sykli_file_type {
    SYKLI_FILE_none, SYKLI_FILE_regular, SYKLI_FILE_directory, SYKLI_FILE_symlink, SYKLI_FILE_other
} sykli_file_type;

typedef struct sykli_stat {
    uint64_t size_bytes;
    int64_t mtime_ns, ctime_ns; // since the epoch
    uint64_t inode, device;
    uint32_t mode;              // permission bits only
    sykli_file_type type;
} sykli_stat;

// Flags of `open`.
enum {
    SYKLI_OPEN_read = 1, SYKLI_OPEN_write = 2, SYKLI_OPEN_create = 4, SYKLI_OPEN_exclusive = 8,
    SYKLI_OPEN_truncate = 16, SYKLI_OPEN_append = 32, SYKLI_OPEN_directory = 64,
    SYKLI_OPEN_nofollow = 128, SYKLI_OPEN_beneath = 256 // no component may leave `dir`
};

struct sykli_poll_fd {
    int fd;
    short want, got; // SYKLI_POLL_*
};
enum { SYKLI_POLL_in = 1, SYKLI_POLL_out = 2, SYKLI_POLL_closed = 4 };

// One process to start. Everything is copied or used before `spawn` returns.
typedef struct sykli_spawn {
    const char *const *argv; // NULL-terminated; argv[0] is looked up in the PATH of `env`
    const char *const *env;  // NULL-terminated "NAME=value"
    const char *workdir;     // NULL: the current one
    int out_fd, err_fd;      // become 1 and 2; 0 is /dev/null
    bool new_session;        // setsid in the child: its own process group too
    int cgroup_fd;           // open cgroup.procs that it joins (ENODEV: it could not); 0: none
    int keep_fds[2];         // stay open there under their numbers; below 3: none
    // Not NULL: no argv, the child calls this with nothing open above 2 and ends with what it
    // returns.
    int (*function)(void *user);
    void *function_user;
} sykli_spawn;

typedef struct sykli_exit {
    int code;                // exit code, or -1
    int signal;              // signal that ended it, or 0
    uint64_t cpu_us, rss_max_bytes, read_bytes, write_bytes;
} sykli_exit;

// X(type, name, parameters, arguments): the calls that can fail. What the names do not say:
//     open       the descriptor is not inherited by any process started
//     stat       of a symbolic link itself; `list`, `lock` and `read` of a pipe never wait
//     wait       0 it runs, 1 it has ended and is reaped; `ended` the same, but it is not reaped
//     exit_fd    becomes readable when the process ends; signal_fd reaches that process or none
//     listen     "IP:PORT", "[IP6]:PORT", "unix:PATH"; the same for `dial`, which does not wait:
//                writable means done, `dialled` says how it went
//     resolve    the address number `index` of a host name, waiting for DNS; returns 4 or 6
//     widen      makes room for so many bytes in a pipe; less is no error, but how it stays
//     terminal   a new one: fds[0] reads what programs print on fds[1], unchanged
//     peer_pid   of a unix socket           host_name  of this machine
//     thread     starts `run(arg)` with all signals blocked; `join` waits for its end. Nothing but
//                pread, pwrite and stat is called from there; where those cannot be, it returns
//                -EAGAIN
#define SYKLI_SYS_CALLS(X)                                                                         \
    X(int, random, (void *u, void *out, size_t size), (u, out, size))                              \
    X(int, open, (void *u, int dir, const char *path, int flags, int mode),                        \
      (u, dir, path, flags, mode))                                                                 \
    X(int64_t, read, (void *u, int fd, void *out, size_t size), (u, fd, out, size))                \
    X(int64_t, write, (void *u, int fd, const void *data, size_t size), (u, fd, data, size))       \
    X(int64_t, pread, (void *u, int fd, void *out, size_t size, uint64_t at),                      \
      (u, fd, out, size, at))                                                                      \
    X(int64_t, pwrite, (void *u, int fd, const void *data, size_t size, uint64_t at),              \
      (u, fd, data, size, at))                                                                     \
    X(int, sync, (void *u, int fd), (u, fd))                                                       \
    X(int, stat, (void *u, int dir, const char *path, sykli_stat *out), (u, dir, path, out))       \
    X(int, fstat, (void *u, int fd, sykli_stat *out), (u, fd, out))                                \
    X(int, list, (void *u, int fd, int (*each)(void *to, const char *name, int type), void *to),   \
      (u, fd, each, to))                                                                           \
    X(int, mkdir, (void *u, int dir, const char *path, int mode), (u, dir, path, mode))            \
    X(int, rename, (void *u, int from_dir, const char *from, int to_dir, const char *to),          \
      (u, from_dir, from, to_dir, to))                                                             \
    X(int, remove, (void *u, int dir, const char *path, int is_directory),                         \
      (u, dir, path, is_directory))                                                                \
    X(int, symlink, (void *u, const char *to, int dir, const char *path), (u, to, dir, path))      \
    X(int64_t, readlink, (void *u, int dir, const char *path, char *out, size_t size),             \
      (u, dir, path, out, size))                                                                   \
    X(int, chmod, (void *u, int fd, int mode), (u, fd, mode))                                      \
    X(int, utime, (void *u, int dir, const char *path, int64_t mtime_ns),                          \
      (u, dir, path, mtime_ns))                                                                    \
    X(int, clone, (void *u, int from_fd, int to_fd), (u, from_fd, to_fd))                          \
    X(int, lock, (void *u, int fd, int exclusive), (u, fd, exclusive))                             \
    X(int, allocate, (void *u, int fd, uint64_t size), (u, fd, size))                              \
    X(int, map, (void *u, int fd, size_t size, void **out), (u, fd, size, out))                    \
    X(int, pipe, (void *u, int fds[2]), (u, fds))                                                  \
    X(int, fifo, (void *u, int dir, const char *path, int mode), (u, dir, path, mode))             \
    X(int, terminal, (void *u, int fds[2]), (u, fds))                                              \
    X(int, widen, (void *u, int fd, int size), (u, fd, size))                                      \
    X(int, spawn, (void *u, const sykli_spawn *desc), (u, desc))                                   \
    X(int, signal, (void *u, int pid, int sig, int whole_group), (u, pid, sig, whole_group))       \
    X(int, wait, (void *u, int pid, sykli_exit *out), (u, pid, out))                               \
    X(int, poll, (void *u, sykli_poll_fd *fds, int count, int timeout_ms),                         \
      (u, fds, count, timeout_ms))                                                                 \
    X(int, listen, (void *u, const char *address), (u, address))                                   \
    X(int, accept, (void *u, int fd, char *address, size_t size), (u, fd, address, size))          \
    X(int, dial, (void *u, const char *address), (u, address))                                     \
    X(int, dialled, (void *u, int fd), (u, fd))                                                    \
    X(int, ended, (void *u, int pid, sykli_exit *out), (u, pid, out))                              \
    X(int, exit_fd, (void *u, int pid), (u, pid))                                                  \
    X(int, signal_fd, (void *u, int exit_fd, int sig), (u, exit_fd, sig))                          \
    X(int, resolve, (void *u, const char *host, int index, char *out, size_t size),                \
      (u, host, index, out, size))                                                                 \
    X(int, peer_pid, (void *u, int fd), (u, fd))                                                   \
    X(int, nonblock, (void *u, int fd), (u, fd))                                                   \
    X(int, pid, (void *u), (u))                                                                    \
    X(int, processors, (void *u), (u))                                                             \
    X(int, thread, (void *u, sykli_thread *thread), (u, thread))                                   \
    X(int, host_name, (void *u, char *out, size_t size), (u, out, size))                           \
    X(int, local, (void *u, int fd, char *out, size_t size), (u, fd, out, size))                   \
    X(int, interface, (void *u, int index, char *out, size_t size), (u, index, out, size))

// A thread that `thread` starts; it stays where it is until `join` has returned.
typedef struct sykli_thread { void (*run)(void *arg); void *arg; uintptr_t id; } sykli_thread;

struct sykli_sys {
    void *user;
    // realloc with both sizes: ptr NULL and size_old 0 allocate, size_new 0 frees and returns NULL.
    void *(*resize)(void *user, void *ptr, size_t size_old, size_t size_new, int tag);
    uint64_t (*now_ns)(void *user); // monotonic, goes on in suspend where the host can
    int64_t (*wall_ms)(void *user); // since the epoch
    void (*close)(void *user, int fd);
    void (*unmap)(void *user, void *map, size_t size);
    void (*join)(void *user, sykli_thread *thread); // one that has been started
#define SYKLI_X(type, name, params, args) type(*name) params;
    SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X
};

// Fills in the functions of this operating system.
void sykli_sys_init(sykli_sys *out);

// ---- context --------------------------------------------------------------------------------
typedef enum sykli_event_kind {
    SYKLI_EVENT_run_started, SYKLI_EVENT_task_ready, SYKLI_EVENT_task_held,
    SYKLI_EVENT_task_decided, SYKLI_EVENT_task_started,
    SYKLI_EVENT_task_output, SYKLI_EVENT_task_retry, SYKLI_EVENT_task_finished,
    SYKLI_EVENT_run_finished, SYKLI_EVENT_nodeup, SYKLI_EVENT_nodedown, SYKLI_EVENT_linkup,
    SYKLI_EVENT_linkdown, SYKLI_EVENT_config, SYKLI_EVENT_audit, SYKLI_EVENT_note,
    SYKLI_EVENT_COUNT
} sykli_event_kind;
extern const char *const sykli_event_names[SYKLI_EVENT_COUNT + 1];

// What happened. Pointers are valid during the callback only; unused fields are 0 or NULL.
typedef struct sykli_event {
    sykli_event_kind kind;
    int64_t at_ms;            // wall clock
    uint64_t run;             // id of the run
    sykli_task task;
    const char *name;         // of the task, node or config key
    const char *text;         // output (task_output), reason (task_finished), message
    size_t text_size;
    int stream;               // task_output: 1 stdout, 2 stderr
    sykli_status status;
    int attempt, pid, exit_code, signal;
    const char *from;         // hits: "local" or the node
    const char *key;          // action key, hex
    uint64_t duration_ms, cpu_ms, rss_max_bytes, read_bytes, write_bytes, in_ms, saved_ms;
    const char *target, *node; // task_started: where it runs
    uint32_t tasks, workers;   // run_started
    uint32_t counts[SYKLI_ENDINGS];             // run_finished: tasks by status
    const char *const *path; size_t path_count; // run_finished: tasks on the critical path
} sykli_event;

// GNU make's jobserver ("POSIX Jobserver Interaction" in its manual). Where MAKEFLAGS of this
// process names one, a token is taken from it for every task beyond the first. Otherwise there is
// one for the tasks, in this form: by two inherited descriptors, or by the path of a fifo, which
// only make 4.4 and later know.
typedef enum sykli_jobserver {
    SYKLI_JOBSERVER_none, SYKLI_JOBSERVER_pipe, SYKLI_JOBSERVER_fifo
} sykli_jobserver;

// Everything has a default: 0 means "the default" in every field.
typedef struct sykli_desc {
    const sykli_sys *sys;      // copied; NULL: the operating system's
    uint32_t workers_max;      // tasks at once; 0: number of processors
    uint32_t threads_max;      // that hash and ask about files, with the calling one; 0: one a
                               // processor, at most 8; 1: none is ever started
    uint32_t tasks_max;        // 0: SYKLI_TASKS_MAX
    const char *project_dir;   // inputs and outputs are below it; NULL: "."
    const char *project;       // identity in the key; NULL: git origin and folder, else the path
    const char *cache_dir;     // NULL: $SYKLI_CACHE, $XDG_CACHE_HOME/sykli, ~/.cache/sykli, without
                               // a home .sykli/cache in the project
    const char *state_dir;     // rows of this process; NULL: none are published
    const char *log_dir;       // logs of tasks; NULL: PROJECT_DIR/.sykli/logs
    const char *node_name;     // of this process in tables; NULL: the host's name
    const char *target_fingerprint; // part of the key; NULL: found out from the machine
    bool keep_going;           // only what follows a failure is blocked
    bool no_cache;             // neither lookup nor publication
    bool refresh;              // no lookup, publication as usual
    bool no_history;           // leaves nothing in the project folder but outputs
    sykli_jobserver jobserver; // whether a GNU make around or within the tasks shares the workers
    bool last_lines;           // of many lines at once, task_output tells the last one only
    bool replay_logs;          // a hit tells and logs again what its task printed when it ran
    bool subreaper;            // this process is one (prctl(2), Linux), and its other children stay
                               // in its session: what left a task without a trace is ended and
                               // reaped too
    bool cgroups;              // each task in a cgroup (version 2) where this process may make them
    uint64_t log_max_bytes;    // cap of one task's log; 0: 64 MiB
    uint64_t memory_max_bytes; // 0: no limit
    void (*on_event)(void *user, const sykli_event *event); // NULL: none
    void *on_event_user;
} sykli_desc;

// Opens a context. One thread owns it; several contexts live side by side.
//   desc     copied; NULL: all defaults
//   returns  the context, also when opening failed (sykli_errmsg says why, every later call
//            returns that error); NULL only when there is no memory for the context itself
sykli *sykli_open(const sykli_desc *desc);

// Ends every task still running at once (KILL; sykli_run_cancel is the gentle way), closes all and
// frees. NULL is allowed; not from inside a callback.
void sykli_close(sykli *s);

// The text of the last error with its context, or "" if there was none. Never NULL.
//   valid    until the next call on this context
const char *sykli_errmsg(const sykli *s);

// The code of the first error that sticks (a failed open or add), or 0.
int sykli_error(const sykli *s);

// ---- tasks ----------------------------------------------------------------------------------
typedef struct sykli_pair { const char *name, *value; } sykli_pair;

// An output of another task that a task takes in: it is copied before the task's key is computed
// and before each attempt. A folder, or the files of a glob with their folders, go below `dest`; a
// file becomes `dest`, or goes below it if that ends with a slash. A task whose intakes would make
// two different files one is errored, before anything is copied.
typedef struct sykli_intake {
    sykli_task from;     // the task comes after it
    const char *output;  // its name there
    const char *dest;    // below the project folder
} sykli_intake;

// A secret whose value the host has found: masked, in no key, inherited by no other task.
typedef struct sykli_secret {
    const char *name;    // variable in the environment of the task
    const char *value;   // NULL: it is not there; the task is errored when it would start
    const char *source;  // in the key, and told when it is missing: "vault ci/token"
    const char *why;     // why it is missing: "exit code 2"; NULL: that is not told
} sykli_secret;

// What one attempt of a task came to, for the host to accept or not.
typedef struct sykli_attempt {
    sykli_task task;
    const char *name;
    int exit_code;       // restored: -1
    bool restored;       // nothing ran: the outputs of an earlier accepted attempt are in place
    char *why;           // write here why it is refused; "" gives the exit code
    size_t why_size;
} sykli_attempt;

// One task. Inline lists end at the first empty entry; a longer list goes in the pointer beside
// it, and both count.
typedef struct sykli_task_desc {
    const char *name;    // 1..SYKLI_NAME_MAX bytes of UTF-8, unique in the graph
    const char *command; // plain words are exec'd, all else goes to /bin/sh -c
    const char *inputs[SYKLI_INLINE_MAX]; // globs below the project folder; none: not cached
    // File, folder or glob; removed before the task runs, so never among what its inputs find.
    struct { const char *name, *path; } outputs[SYKLI_INLINE_MAX];
    sykli_task after[SYKLI_INLINE_MAX];
    sykli_pair env[SYKLI_INLINE_MAX];
    const char *secrets[SYKLI_INLINE_MAX]; // variables of the process: required, masked, not in key
    const char *const *input_list; size_t input_count;
    const sykli_pair *output_list; size_t output_count;
    const sykli_task *after_list;  size_t after_count;
    const sykli_pair *env_list;    size_t env_count;
    const char *const *secret_list; size_t secret_count;
    const sykli_secret *given_list; size_t given_count;
    const sykli_intake *intake_list; size_t intake_count;
    const char *workdir;   // below the project folder; NULL: the project folder
    uint32_t timeout_ms;   // wall time of one attempt; 0: none
    uint32_t stall_ms;     // without output for so long: ended, `errored`; 0: config key run.stall
    uint32_t retries;      // attempts after the first
    uint32_t processes_max; // at once, more are killed, `errored`; 0: config key run.processes
    bool pty;              // prints on a terminal, both streams as one; also config key run.pty
    bool no_cache;
    const char *skip_reason; // not NULL: the task is `skipped` for this reason, what follows runs
    // More members of the task as `sykli run` reads them, JSON: "\"when\": \"branch == 'main'\"".
    // For programs that print their graph; a context that would run such a task refuses to start.
    const char *extra;
    // Not NULL: a function of this program is the task. It is called in a child process, as it
    // would be after fork: it sees memory as it was at the start, changes it for itself only, has
    // nothing open above 2, and what it returns (& 255) is its exit code. `command` is then no
    // command but what it is called; for a task with inputs it belongs to the key: it names the
    // version of the function, and without one the task is not cached.
    //   threads  if this program has any, a function may only do what is allowed after fork
    //   example  examples/callback.c
    int (*function)(void *user);
    void *function_user;
    bool held;             // waits without a worker for sykli_task_decide; needs no command
    bool may_fail;         // a failure makes it `skipped`: what follows runs
    // Whether an attempt succeeded; NULL: exit code 0. A callback and not a list of conditions:
    // what makes a success is the host's policy, which alone can name each condition in a report.
    // Asked before anything is published, again after a restore (refused, the task runs), never
    // for a process that a signal ended. Not to call the context from inside.
    bool (*accept)(void *user, const sykli_attempt *attempt);
    void *accept_user;
    const char *accept_key; // what `accept` depends on: in the key; NULL: nothing
} sykli_task_desc;

// Adds one task to the graph.
//   desc     copied, strings too
//   returns  the handle; {0} on EINVAL, EEXIST (name taken), ELIMIT (raise tasks_max), ENOMEM.
//            The error sticks: sykli_run returns it
//   cost     O(edges added)           example  examples/hello.c
sykli_task sykli_add(sykli *s, const sykli_task_desc *desc);

// Adds one edge: `task` runs after `before`. For graphs that name tasks not yet added.
//   returns  0, ESTALE, ECYCLE (a task after itself; longer cycles are found by sykli_run), ENOMEM
int sykli_add_after(sykli *s, sykli_task task, sykli_task before);

// Adds one intake, and the edge. For graphs that name tasks not yet added.
//   returns  0; ENOENT (the other task has no such output), EINVAL (dest), else as sykli_add_after
int sykli_add_intake(sykli *s, sykli_task task, const sykli_intake *intake);

// The task of that name, {0} if there is none.
sykli_task sykli_find(sykli *s, const char *name);

// Runs the graph to its end with a loop of its own. Waits while another run has the folder.
//   returns  0: all passed, were hits or skipped; n > 0: tasks failed, errored, blocked or
//            cancelled; < 0: the error, nothing ran (ECYCLE, or what an add left behind)
int sykli_run(sykli *s);

// The end of a program that is a pipeline: `return sykli_main(s, argc, argv);`. With --emit among
// the arguments prints the graph as pipeline JSON for `sykli run`, else runs it and prints a table
// of its tasks. Closes the context.
//   returns  for main: 0; 1 tasks failed; 2 the error, which is on stderr
//   example  examples/pipeline.c
int sykli_main(sykli *s, int argc, char **argv);

// The same in pieces: starts the run.
//   returns  0 or the error; EBUSY: another run has the project folder, the message names its
//            process; try again when that has ended
int sykli_start(sykli *s);
// Waits at most timeout_ms (-1: until something happens), handles it. Not from inside a callback.
//   returns  1 running, 0 ended, < 0 the error
int sykli_poll(sykli *s, int timeout_ms);
// For a foreign loop: the descriptors to watch.
//   returns  how many there are (may be more than `max`: call again with more room)
int sykli_fds(sykli *s, sykli_poll_fd *out, int max);
// Milliseconds until sykli_pump must be called; -1: only when a descriptor is ready.
int sykli_deadline_ms(sykli *s);
// Handles what is ready without waiting.    returns  1 running, 0 ended, < 0 the error
int sykli_pump(sykli *s);
// Makes a waiting sykli_poll return. The one call allowed from other threads and signal handlers.
void sykli_wakeup(sykli *s);

// Ends the run: nothing new starts, running tasks get TERM, after the grace KILL. A second call
// spares them the rest of the grace.
int sykli_run_cancel(sykli *s);
// Ends one task (op `task.kill`); its status becomes `cancelled`.
//   returns  0, ESTALE, ENOENT (it is not running)
int sykli_task_kill(sykli *s, sykli_task task);
// Ends the wait of a held task, which began with the event task_held, and is told as the event
// task_decided. May be called from inside the first. Ops `gate.approve` and `gate.deny` do the same
// for somebody else, also on another node. A task that ends a failure or the cancelling of a run
// first is held no longer.
//   verdict  passed: the task goes on, or has passed if it has no command; skipped, failed,
//            errored: it ends so
//   reason   copied; NULL: none       returns  0, ESTALE, EINVAL, ENOENT (it is not held)
int sykli_task_decide(sykli *s, sykli_task task, sykli_status verdict, const char *reason);
// Changes the number of workers at once (op `workers.scale`): nothing running is interrupted.
//   count    1..4096
int sykli_workers_scale(sykli *s, uint32_t count);

// What is known of a task now.
typedef struct sykli_task_info {
    const char *name, *command, *reason, *from, *log_path;
    const char *changed; // what is different from the last time, in words
    sykli_status status;
    int exit_code, signal, attempt, pid;
    uint64_t duration_ms, cpu_ms, rss_max_bytes, saved_ms, started_at_ms;
    uint64_t read_bytes, write_bytes; // from and to disks, not what memory had or still holds
    char key[65]; // hex, "" before it is known
    char log_id[65]; // of a hit: the blob of what its task printed, in hex; "" if nothing
} sykli_task_info;
//   returns  0 or ESTALE; pointers are valid until the next call on this context
int sykli_task_get(sykli *s, sykli_task task, sykli_task_info *out);

// Why results of this run are not kept, although the cache is on: its disk is full or broken. ""
// where nothing is amiss. The run goes on without.    valid  until the context is closed
const char *sykli_cache_note(const sykli *s);

// Sets a key of the live configuration (op `config.set`); `value` is checked first.
int sykli_config_set(sykli *s, const char *key, const char *value);
// The value in force; NULL if there is no such key.    valid  until the next call
const char *sykli_config_get(sykli *s, const char *key);

// Prints the rows of a query as a table.
//   file     a FILE *        returns  the number of rows, or the error
int sykli_print(sykli *s, void *file, const char *query);

// ---- rows -----------------------------------------------------------------------------------
// A table is described by one X-macro. X(T, KIND, name, argument, unit, VISIBILITY, help) where
// argument is the size of a STR, the names of an ENUM, else 0:
//
//     LAMP_COLUMNS(X, T), a macro of the lines
//         X(T, STR, room, 32, none, public, "where it hangs")
//         X(T, U64, power, 0, none, observer, "watts")
//     SYKLI_ROW(lamp, LAMP_COLUMNS)        // struct lamp
//     SYKLI_COLUMNS(lamp, LAMP_COLUMNS)    // static const sykli_column lamp_columns[]
//
// A value is NULL (shown empty) when it is SYKLI_NULL_*, an empty STR, a NULL TEXT, a double that
// is not finite. Rows of a pool (a scan that sets `heap`) hold no pointers: their TEXT is NULL.
typedef enum sykli_kind {
    SYKLI_KIND_NULL, SYKLI_KIND_U64, SYKLI_KIND_I64, SYKLI_KIND_F64, SYKLI_KIND_STR,
    SYKLI_KIND_TEXT, SYKLI_KIND_REF, SYKLI_KIND_ENUM, SYKLI_KIND_BOOL
} sykli_kind;
typedef enum sykli_unit {
    SYKLI_UNIT_none, SYKLI_UNIT_bytes, SYKLI_UNIT_ms, SYKLI_UNIT_us,
    SYKLI_UNIT_time, // unix ms
    SYKLI_UNIT_percent, SYKLI_UNIT_COUNT
} sykli_unit;
typedef enum sykli_visibility {
    SYKLI_VISIBLE_public = SYKLI_ROLE_member, SYKLI_VISIBLE_observer = SYKLI_ROLE_observer,
    SYKLI_VISIBLE_operator = SYKLI_ROLE_operator, SYKLI_VISIBLE_local = SYKLI_ROLE_owner,
    SYKLI_VISIBLE_secret = 255
} sykli_visibility;

#define SYKLI_NULL_U64 UINT64_MAX
#define SYKLI_NULL_I64 INT64_MIN
#define SYKLI_NULL_ENUM UINT32_MAX

typedef struct sykli_column {
    const char *name;
    uint8_t kind, unit, visibility;
    uint16_t offset, size;           // in the row
    const char *const *names;        // ENUM: NULL-terminated
    const char *help;
} sykli_column;

#define SYKLI_FIELD_U64(name, arg) uint64_t name;
#define SYKLI_FIELD_I64(name, arg) int64_t name;
#define SYKLI_FIELD_F64(name, arg) double name;
#define SYKLI_FIELD_STR(name, arg) char name[arg];
#define SYKLI_FIELD_TEXT(name, arg) const char *name; // valid while the row is emitted
#define SYKLI_FIELD_REF(name, arg) uint64_t name;     // offset << 24 | size, in the heap of a pool
#define SYKLI_FIELD_ENUM(name, arg) uint32_t name;
#define SYKLI_FIELD_BOOL(name, arg) uint32_t name;
#define SYKLI_NAMES_U64(arg) 0
#define SYKLI_NAMES_I64(arg) 0
#define SYKLI_NAMES_F64(arg) 0
#define SYKLI_NAMES_STR(arg) 0
#define SYKLI_NAMES_TEXT(arg) 0
#define SYKLI_NAMES_REF(arg) 0
#define SYKLI_NAMES_BOOL(arg) 0
#define SYKLI_NAMES_ENUM(arg) arg
#define SYKLI_ROW_FIELD(T, kind, name, arg, unit, visible, help) SYKLI_FIELD_##kind(name, arg)
#define SYKLI_ROW_COLUMN(T, kind, name, arg, unit, visible, help)                                  \
    { #name, SYKLI_KIND_##kind, SYKLI_UNIT_##unit, SYKLI_VISIBLE_##visible,                        \
      (uint16_t)offsetof(T, name), (uint16_t)sizeof(((T *)0)->name),                               \
      SYKLI_NAMES_##kind(arg), help },
#define SYKLI_ROW(T, COLUMNS) typedef struct T { COLUMNS(SYKLI_ROW_FIELD, T) } T;
#define SYKLI_COLUMNS(T, COLUMNS)                                                                  \
    static const sykli_column T##_columns[] = { COLUMNS(SYKLI_ROW_COLUMN, T) };

// Where a scan sends its rows. A pool that has REF columns sets `heap` first. `row` returns 0 to
// go on; any other value ends the scan, which returns it.
typedef struct sykli_emit {
    int (*row)(struct sykli_emit *to, const void *row);
    const char *heap;
    size_t heap_size;
    const char *node; // whose rows these are; NULL: this context's
} sykli_emit;

typedef struct sykli_table {
    const char *name, *help;         // plural noun, [a-z_]
    const sykli_column *columns;
    size_t column_count, row_size;
    sykli_visibility visibility;     // of the table as a whole; 0: public
    int (*scan)(void *user, sykli_emit *to);
    void *user;
} sykli_table;

// Adds a table: from now on it is in query, JSON, remote query and the table `tables`.
//   table    the struct is copied; name, columns and user must outlive the context
//   returns  0, EEXIST, EINVAL (the message names the column), ELIMIT      example examples/query.c
int sykli_table_add(sykli *s, const sykli_table *table);

// ---- ops ------------------------------------------------------------------------------------
typedef struct sykli_json_doc sykli_json_doc;
typedef struct sykli_buf sykli_buf;

// One argument of an op: a member of the JSON object it is called with.
typedef struct sykli_param {
    const char *name;
    sykli_kind kind;   // BOOL, I64, U64, F64, TEXT
    bool required;
    const char *help;
} sykli_param;

// A call in progress, as its handler sees it.
typedef struct sykli_call {
    sykli *context;
    void *user;                 // of the op
    sykli_role role;            // effective
    const char *origin;         // who called: node name, "local"
    const sykli_json_doc *args; // checked against the parameters
    sykli_buf *result;          // the handler writes one JSON value here; empty means null
    sykli_handle handle;        // for sykli_call_done, if the handler returns SYKLI_PENDING
} sykli_call;
#define SYKLI_PENDING 1

typedef struct sykli_op {
    uint32_t id;                // stable; own ops start at SYKLI_OP_OWN
    const char *name;           // "noun.verb"
    const char *help;
    sykli_role role;            // the least role that may call it; 0: owner
    bool consent;               // also needs the local owner's consent
    const sykli_param *params;
    size_t param_count;
    int (*handler)(sykli_call *call); // 0, SYKLI_PENDING, or an error with its text set
    void *user;
} sykli_op;
#define SYKLI_OP_OWN 10000

// Adds an op: from now on it is in call, remote call and the table `ops`.
//   op       the struct is copied; what it points to must outlive the context
//   returns  0, EEXIST, EINVAL, ELIMIT      example examples/query.c
int sykli_op_add(sykli *s, const sykli_op *op);

// Ends a call whose handler returned SYKLI_PENDING. result: JSON, copied; message: for errors.
int sykli_call_done(sykli *s, sykli_handle call, int code, const char *result, const char *message);

// ---- verbs ----------------------------------------------------------------------------------
// The five things that happen between any two places, here and on another node alike. All are
// requests that are read like a file:
//     call   what = op name       args = JSON object      body: one JSON value
//     query  what = query text    args {"part"}           body: a result, see sykli_result_decode
//     watch  what = stream name   args = JSON object      body: JSON lines, until closed or ended
//     fetch  what = blob id, hex  args = {"at","size"}    body: the bytes
//     offer  what = kind of fact  args = JSON object      body: empty
typedef enum sykli_verb {
    SYKLI_VERB_call, SYKLI_VERB_query, SYKLI_VERB_watch, SYKLI_VERB_fetch, SYKLI_VERB_offer,
    SYKLI_VERB_COUNT
} sykli_verb;

typedef struct sykli_request {
    sykli_verb verb;
    const char *node;     // NULL or this context's name: here; another: by the route hook
    const char *what;
    const char *args;     // JSON; NULL: {}
    sykli_role role;      // 0: owner. What comes over a link is set by the link
    const char *origin;   // NULL: "local"
    uint32_t deadline_ms; // from now; 0: none
    // There may be something to read. It only notes that: no call on the context from inside it.
    void (*ready)(void *user, sykli_handle request); // NULL: none
    void *user;
} sykli_request;

// Starts a request.       desc copied        returns the handle; {0}: sykli_errmsg
sykli_handle sykli_request_open(sykli *s, const sykli_request *desc);
// Reads from the body.
//   returns  bytes read; 0 nothing yet; SYKLI_EOF the end, all is well; else the error it ended
//            with (sykli_request_message has the text)
int64_t sykli_request_read(sykli *s, sykli_handle request, void *out, size_t size);
const char *sykli_request_message(sykli *s, sykli_handle request);
// Forgets the request, finished or not.
void sykli_request_close(sykli *s, sykli_handle request);

// ---- hooks ----------------------------------------------------------------------------------
// How a mesh or a host program takes part. Attached after open; all asynchronous: the hook returns
// 0 and later sykli_hook_done(s, ticket, ...) is called, or it returns an error at once.
typedef struct sykli_hooks {
    void *user;
    // Is there an entry for this action elsewhere? When done with code 0 the entry and its blobs
    // are in the local store.                      key: 64 hex digits
    int (*lookup)(void *user, uint64_t ticket, const char *key, uint32_t deadline_ms);
    // An action was published in the local store. No answer is expected.
    void (*announce)(void *user, const char *key);
    // May a task start? Done with code 0: yes, until slot_return with the same ticket.
    int (*slot_borrow)(void *user, uint64_t ticket);
    void (*slot_return)(void *user, uint64_t ticket);
    // A request for another node. The three calls mirror sykli_request_*; `ready` of the desc is
    // called when there may be something to read.
    int (*route_open)(void *user, uint64_t ticket, const sykli_request *desc);
    int64_t (*route_read)(void *user, uint64_t ticket, void *out, size_t size);
    const char *(*route_message)(void *user, uint64_t ticket);
    void (*route_close)(void *user, uint64_t ticket);
    // A request whose task lives in another process of this node: takes it, or returns ENOENT.
    int (*task_route)(void *user, uint64_t ticket, const sykli_request *desc);
    // A fact somebody offers, `role` is theirs.     returns 0 or the error
    int (*offer)(void *user, const char *kind, const sykli_json_doc *fact, sykli_role role);
    // What sykli_fds, sykli_deadline_ms and sykli_pump do for the one who is attached.
    int (*fds)(void *user, sykli_poll_fd *out, int max);
    int (*deadline_ms)(void *user);
    void (*pump)(void *user);
} sykli_hooks;

// Attaches the hooks, copied; NULL takes them away.
void sykli_hooks_set(sykli *s, const sykli_hooks *hooks);
// from: the node a lookup's entry came from.
void sykli_hook_done(sykli *s, uint64_t ticket, int code, const char *from);

// >>extend ---- for the mesh, and for tables and ops of one's own; stability is not promised

// FAST is around what is done millions of times, FASTEST around what is done for each byte, PLAIN
// around each implementation. What is built for size (-Os, -Oz) has the first two fast all the
// same, the first without the room that aligned loops take; what is built for speed spends no time
// on making the rest faster, which would be two thirds of the time it takes to compile.
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE_SIZE__)
#define SYKLI_PLAIN_BEGIN
#define SYKLI_PLAIN_END
#define SYKLI_FAST_BEGIN _Pragma("GCC push_options") \
    _Pragma("GCC optimize(\"O2,no-tree-vectorize,align-functions=1,align-loops=1,align-jumps=1\")")
#define SYKLI_FAST_END _Pragma("GCC pop_options")
// Also what a build for size may have taken away, as the Makefile's does.
#define SYKLI_FASTEST_BEGIN _Pragma("GCC push_options") SYKLI_PRAGMA(GCC optimize("O2",            \
    "align-functions=1", "align-jumps=1", "caller-saves", "code-hoisting",                         \
    "guess-branch-probability", "jump-tables", "move-loop-invariants", "no-live-range-shrinkage",  \
    "schedule-insns2", "shrink-wrap", "thread-jumps", "tree-ch", "tree-dominator-opts",            \
    "tree-loop-im", "tree-loop-optimize", "tree-pre", "tree-switch-conversion"))
#define SYKLI_PRAGMA(...) _Pragma(#__VA_ARGS__)
#define SYKLI_FASTEST_END SYKLI_FAST_END
#elif defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#define SYKLI_PLAIN_BEGIN _Pragma("GCC push_options") _Pragma("GCC optimize(\"O1\")")
#define SYKLI_PLAIN_END _Pragma("GCC pop_options")
#define SYKLI_FAST_BEGIN SYKLI_PLAIN_END
#define SYKLI_FAST_END SYKLI_PLAIN_BEGIN
#define SYKLI_FASTEST_BEGIN SYKLI_FAST_BEGIN
#define SYKLI_FASTEST_END SYKLI_FAST_END
#else
#define SYKLI_PLAIN_BEGIN
#define SYKLI_PLAIN_END
#define SYKLI_FAST_BEGIN
#define SYKLI_FAST_END
#define SYKLI_FASTEST_BEGIN
#define SYKLI_FASTEST_END
#endif

// What the processor has beyond what the program is compiled for.
enum { SYKLI_PROCESSOR_ASKED = 1, SYKLI_PROCESSOR_SHA = 2, SYKLI_PROCESSOR_AVX2 = 4 };
unsigned sykli_processor(void);

// Memory with accounts. All of a context's memory goes through one of these.
typedef struct sykli_mem {
    const sykli_sys *sys;
    uint64_t max_bytes;                        // 0: no limit
    uint64_t total_bytes;
    struct { uint64_t bytes, blocks, allocs; } tags[SYKLI_TAG_COUNT];
} sykli_mem;
// realloc with sizes and a tag; new memory is zeroed. size_new 0 frees. NULL: no memory (the old
// block stays).
void *sykli_mem_resize(sykli_mem *m, int tag, void *ptr, size_t size_old, size_t size_new);
// A copy of `size` bytes with a NUL behind it (size + 1 bytes are charged).
char *sykli_mem_text(sykli_mem *m, int tag, const char *text, size_t size);
void sykli_mem_text_free(sykli_mem *m, int tag, char *text); // by strlen; NULL allowed

// An error with its text. `sykli_fail` returns `code`, so that it can stand in a return statement.
typedef struct sykli_fault { int code; char text[512]; } sykli_fault;
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int sykli_fail(sykli_fault *f, int code, const char *format, ...);
// The same for the negated errno of a sys call: the code is ENOENT, EPERM, ENOMEM or EIO, and the
// host's words are appended.
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int sykli_fail_sys(sykli_fault *f, int64_t rc, const char *format, ...);

// Sets memory to zero even where nobody reads it again: a plain memset before that is removed.
void sykli_wipe(void *data, size_t size);

// A growing byte buffer. Errors stick: after a failed add, `error` is ENOMEM or ELIMIT and nothing
// changes. `data` is NUL-terminated after every text call.
struct sykli_buf {
    sykli_mem *mem;
    uint8_t *data;
    size_t size, capacity, max_bytes; // max 0: no limit
    int tag, error;
    bool secret;                      // set after init: memory is wiped before it is given back
};
void sykli_buf_init(sykli_buf *b, sykli_mem *m, int tag);
void sykli_buf_free(sykli_buf *b);
void sykli_buf_reset(sykli_buf *b);                       // size 0, error 0, memory kept
uint8_t *sykli_buf_grow(sykli_buf *b, size_t more);       // room at data + size; NULL on error
int sykli_buf_add(sykli_buf *b, const void *data, size_t size);
int sykli_buf_text(sykli_buf *b, const char *text);
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
int sykli_buf_print(sykli_buf *b, const char *format, ...);
void sykli_buf_drop(sykli_buf *b, size_t count);          // removes bytes from the front

// A hash map from bytes to u64; keys are copied; SipHash with a key of the context.
typedef struct sykli_map {
    sykli_mem *mem;
    struct sykli_map_slot *slots;
    size_t count, capacity;
    uint64_t seed[2];
} sykli_map;
void sykli_map_init(sykli_map *map, sykli_mem *m, const uint64_t seed[2]);
void sykli_map_free(sykli_map *map);
uint64_t *sykli_map_get(const sykli_map *map, const void *key, size_t size); // NULL: not there
// returns 1 new, 0 replaced, ENOMEM
int sykli_map_put(sykli_map *map, const void *key, size_t size, uint64_t value);
bool sykli_map_remove(sykli_map *map, const void *key, size_t size);
// Walks in slot order: start with *at = 0.   returns false at the end
bool sykli_map_next(const sykli_map *map, size_t *at, const void **key, size_t *size,
                    uint64_t *value);

// Text.
bool sykli_utf8_valid(const char *text, size_t size);
// Sizes "7GB", "64 KiB", "100" and durations "2s", "10m", "1.5h", "250ms"; a bare number is bytes
// or seconds (duration in ms).  K, M, G and KiB, MiB, GiB are powers of 1024.  returns 0 or EINVAL
int sykli_parse_size(const char *text, uint64_t *out_bytes);
int sykli_parse_duration(const char *text, uint64_t *out_ms);
// "1.2 GB", "2m 14s"; out holds at least 32 bytes; returns out
char *sykli_format_size(char *out, uint64_t bytes);
char *sykli_format_duration(char *out, uint64_t ms);
// RFC 3339 in UTC, "2024-02-29T12:00:00.250Z"; years 0000 to 9999, what is outside is clamped.
char *sykli_format_time(char *out, int64_t unix_ms);
void sykli_hex(char *out, const void *data, size_t size); // 2 * size digits and a NUL
int sykli_unhex(void *out, size_t size, const char *text, size_t text_size); // 0 or EINVAL
// The candidate nearest to `word` by edit distance, NULL if none is near.
const char *sykli_nearest(const char *word, const char *const *candidates, size_t count);
// Stable merge sort; `scratch` holds size * count bytes.
void sykli_sort(void *items, size_t count, size_t size, void *scratch,
                int (*compare)(const void *a, const void *b, void *user), void *user);

// Hashes.
typedef struct sykli_sha256 { uint32_t state[8]; uint64_t total; uint8_t block[64]; } sykli_sha256;
void sykli_sha256_init(sykli_sha256 *h);
void sykli_sha256_add(sykli_sha256 *h, const void *data, size_t size);
void sykli_sha256_end(sykli_sha256 *h, uint8_t out[32]);
void sykli_sha256_of(const void *data, size_t size, uint8_t out[32]);

// A blob's id: SHA256TREE (bazelbuild/remote-apis): blobs of up to 1 KiB hash as SHA-256, larger
// ones as a tree of 1 KiB leaves joined by bare compression calls.
typedef struct sykli_digest { uint8_t bytes[32]; } sykli_digest;
typedef struct sykli_tree {
    uint8_t leaf[1024];
    uint32_t leaf_size;
    uint64_t leaves;
    uint8_t stack[44][32]; // joined subtrees, largest first
} sykli_tree;
void sykli_tree_init(sykli_tree *t);
void sykli_tree_add(sykli_tree *t, const void *data, size_t size);
void sykli_tree_end(sykli_tree *t, sykli_digest *out);
void sykli_tree_of(const void *data, size_t size, sykli_digest *out);
uint64_t sykli_siphash(const uint64_t key[2], const void *data, size_t size); // SipHash-1-3

// JSON. A document is an array of nodes in reading order; node 0 is the root.
typedef enum sykli_json_type {
    SYKLI_JSON_none, SYKLI_JSON_null, SYKLI_JSON_false, SYKLI_JSON_true, SYKLI_JSON_number,
    SYKLI_JSON_string, SYKLI_JSON_array, SYKLI_JSON_object
} sykli_json_type;
typedef struct sykli_json_node {
    uint8_t type;
    uint32_t next;            // index behind this subtree
    uint32_t key, key_size;   // object member: its decoded name in `text`
    uint32_t text, text_size; // string, decoded; number, as written; else not for you
    uint32_t count;           // members or elements
    uint32_t line, column;    // of the value, from 1
} sykli_json_node;
struct sykli_json_doc {
    sykli_mem *mem;
    sykli_json_node *nodes;
    uint32_t count, capacity;
    char *text;               // decoded strings, each NUL-terminated
    size_t text_size, text_capacity;
};
// Parses RFC 8259 text, strictly.
//   returns  0, ENOMEM, or with "line:column: ..." in `f`: EPARSE (what the RFC refuses), ELIMIT
//            ("too_deep: ...", "too_large: ..."), EINVAL ("duplicate_key: ...",
//            "nul_in_string: ...", "lone_surrogate: ..."). Columns count bytes, from 1
int sykli_json_parse(sykli_json_doc *doc, sykli_mem *m, const char *text, size_t size,
                     sykli_fault *f);
void sykli_json_free(sykli_json_doc *doc);
// Node numbers; 0 (the root, never a child) means "not there". Null members count as not there.
// The root is asked for as 0, so test what `get` returned before you look below it.
uint32_t sykli_json_get(const sykli_json_doc *doc, uint32_t object, const char *key);
bool sykli_json_member(const sykli_json_doc *doc, uint32_t object, const char *key); // null counts
uint32_t sykli_json_first(const sykli_json_doc *doc, uint32_t container);
uint32_t sykli_json_next(const sykli_json_doc *doc, uint32_t container, uint32_t child);
const char *sykli_json_text(const sykli_json_doc *doc, uint32_t node);    // NULL: not a string
const char *sykli_json_key(const sykli_json_doc *doc, uint32_t node);
bool sykli_json_u64(const sykli_json_doc *doc, uint32_t node, uint64_t *out); // false: not one
bool sykli_json_i64(const sykli_json_doc *doc, uint32_t node, int64_t *out);
bool sykli_json_f64(const sykli_json_doc *doc, uint32_t node, double *out);
bool sykli_json_bool(const sykli_json_doc *doc, uint32_t node, bool fallback);
// Members of an op's arguments by name, with a fallback.
const char *sykli_arg_text(const sykli_json_doc *args, const char *name, const char *fallback);
uint64_t sykli_arg_u64(const sykli_json_doc *args, const char *name, uint64_t fallback);
// Appends the absolute path of a folder, free of links.      returns  0 or the negated errno
int sykli_folder_path(sykli_mem *m, const char *dir, sykli_buf *out);
// Appends a quoted JSON string; invalid UTF-8 becomes U+FFFD.
int sykli_json_quote(sykli_buf *b, const char *text, size_t size);

// Glob: * ? [a-z] [!a] {a,b} within a component, ** across components. A name that begins with a
// dot needs that dot in the pattern; .git and .sykli are matched only where they are spelt out.
bool sykli_glob_match(const char *pattern, const char *path);
// Whether removing an output, a path or a glob, takes an input with it: a file, or all that a
// pattern could ever match. Both as they are written; false if one of them leaves the project.
bool sykli_output_takes(const char *output, const char *input);
// Where the pattern's fixed leading folders end: walking may start there.
size_t sykli_glob_fixed(const char *pattern);

// An event as one JSON object without a newline, the line that `sykli run --events` prints.
//   returns  0, or the error that sticks in `out`
int sykli_event_json(const sykli_event *event, sykli_buf *out);

// A key of the live configuration; what it points to must outlive the context.
typedef struct sykli_config_key {
    const char *name;           // [a-z0-9_] words with dots: "cache.max_size"
    sykli_kind kind;            // U64, BOOL or TEXT
    sykli_unit unit;            // of a U64: bytes ("20GB"), ms ("5s") or none
    const char *fallback;       // the value when nobody sets one
    uint64_t min, max;          // of a U64; max 0: no limit
    const char *const *choices; // of a TEXT, NULL-terminated; NULL: any text
    bool local;                 // changes only on this machine, a push that names it is refused
    bool secret;                // the value is never shown
    uint32_t since;             // version of the set of keys in which it appeared, from 1
    const char *help;
} sykli_config_key;

// Where a value comes from; a later one wins. The last lasts until the process ends.
#define SYKLI_CONFIG_LAYERS(X) X(fallback, "default") X(file, "file") X(pushed, "pushed")          \
    X(environment, "environment") X(command, "command line") X(override, "override")
typedef enum sykli_config_layer {
#define SYKLI_X(name, text) SYKLI_CONFIG_##name,
    SYKLI_CONFIG_LAYERS(SYKLI_X)
#undef SYKLI_X
    SYKLI_CONFIG_LAYER_COUNT
} sykli_config_layer;

// What a task writes can hold anything. Behind a filter there are only printable UTF-8, tabs,
// newlines and, with `colour`, SGR sequences (ESC [ digits ; m); carriage returns are newlines,
// other controls are shown as ^X, invalid UTF-8 as U+FFFD. One filter a stream: sequences may be
// cut anywhere between two calls. `end` shows what is left of one and switches colours off.
typedef struct sykli_log_filter {
    bool colour, coloured, after_return;
    uint8_t held_size, held[64];
} sykli_log_filter;
void sykli_log_filter_init(sykli_log_filter *f, bool colour);
int sykli_log_filter_add(sykli_log_filter *f, sykli_buf *out, const char *text, size_t size);
int sykli_log_filter_end(sykli_log_filter *f, sykli_buf *out);
// The same for one whole text: a name, a message.
int sykli_log_safe(sykli_buf *out, const char *text, size_t size, bool colour);

// Results of queries: encoded bytes that every place can read.
typedef struct sykli_value {
    sykli_kind kind;  // NULL, U64, I64, F64, TEXT (also for STR, REF, ENUM), BOOL
    sykli_unit unit;
    uint64_t u64; int64_t i64; double f64;
    const char *text; size_t text_size;
} sykli_value;
typedef struct sykli_result sykli_result;
typedef enum sykli_format { SYKLI_FORMAT_table, SYKLI_FORMAT_json, SYKLI_FORMAT_csv } sykli_format;
sykli_result *sykli_result_decode(sykli_mem *m, const void *data, size_t size, sykli_fault *f);
size_t sykli_result_rows(const sykli_result *r);
size_t sykli_result_columns(const sykli_result *r);
const char *sykli_result_column(const sykli_result *r, size_t column);
sykli_value sykli_result_cell(const sykli_result *r, size_t row, size_t column);
// Joins the answers of several nodes to the same query: sorts, groups and limits again. Takes
// ownership of none; the result is new.
sykli_result *sykli_result_merge(sykli_mem *m, const char *query, sykli_result *const *parts,
                                 size_t count, sykli_fault *f);
int sykli_result_render(const sykli_result *r, sykli_format format, sykli_buf *out);
void sykli_result_free(sykli_result *r);

// The memory, the system and the name of a context.
sykli_mem *sykli_memory(sykli *s);
const sykli_sys *sykli_system(sykli *s);
const char *sykli_node_name(sykli *s);
int sykli_node_rename(sykli *s, const char *name); // before a run starts; returns 0, EINVAL
uint64_t sykli_now_ms(sykli *s);
// Puts an event into the ring and to on_event.
void sykli_event_put(sykli *s, const sykli_event *event);
// Why a task would run or be a hit, as JSON: {"task","cacheable","hit","key","changed","parts"}.
// `changed` says in words what is different from the last time, `parts` is all that the key covers.
// From then on the graph stays as it is.
//   returns  0, ESTALE, EINVAL (a pattern that leaves the project), ENOMEM
int sykli_explain(sykli *s, sykli_task task, sykli_buf *out);
// The same, but `changed` says what is different from a recorded run.
//   run      its id as `sykli history` shows it, or the beginning or end; NULL: the last time
//   returns  also ENOENT: no such run, or what the task's key was made of then is not kept
int sykli_explain_against(sykli *s, sykli_task task, const char *run, sykli_buf *out);
// Puts another scan, and columns, behind the name of a table that is there: the mesh knows more of
// `nodes` than a node alone.
//   out_before  what was there, to put it back; NULL: not wanted     returns  0, ENOENT, EINVAL
int sykli_table_replace(sykli *s, const sykli_table *table, sykli_table *out_before);
// Takes away the tables and ops that were added with this `user`, which is about to go.
void sykli_forget(sykli *s, const void *user);
// Workers in force, and how many of them run a task.
void sykli_workers(sykli *s, uint32_t *busy, uint32_t *total);
// A pushed configuration, {"key": value, ...}: would it be accepted, and making it the one in force
// in one step.     returns  0, ENOENT, EINVAL, EPERM (a local key), EPARSE, ENOMEM
int sykli_config_verify(sykli *s, const char *json, size_t size);
int sykli_config_apply(sykli *s, const char *json, size_t size, uint64_t version);
// Makes {"key": value, ...} the whole content of a layer: what a file, the environment or a command
// line says.         returns  as sykli_config_apply
int sykli_config_load(sykli *s, sykli_config_layer layer, const char *json);
// Adds a key of one's own.      returns  0, EINVAL, EEXIST, ELIMIT, ENOMEM
int sykli_config_key_add(sykli *s, const sykli_config_key *key);
// The code that belongs to sykli_errmsg, sticking or not.
int sykli_last_error(const sykli *s);
// Sets the text that sykli_errmsg returns.
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
int sykli_set_error(sykli *s, int code, const char *format, ...);

// The store. Blobs prove themselves; entries are whole or absent, and checked when read.
//   blob_begin, blob_write, blob_end: a blob arrives; `end` checks digest and size, publishes
typedef struct sykli_blob_writer sykli_blob_writer;
sykli_blob_writer *sykli_blob_begin(sykli *s, const sykli_digest *expected, uint64_t size_bytes);
int sykli_blob_write(sykli *s, sykli_blob_writer *w, const void *data, size_t size);
int sykli_blob_end(sykli *s, sykli_blob_writer *w); // the writer is gone, whatever it returns
void sykli_blob_abort(sykli_blob_writer *w);
bool sykli_blob_have(sykli *s, const sykli_digest *id, uint64_t *out_size);
// Reads a piece of a blob.     returns bytes read, 0 at the end, or the error
int64_t sykli_blob_read(sykli *s, const sykli_digest *id, uint64_t at, void *out, size_t size);
// Reads a blob through, as a whole.   returns  0, ECORRUPT (it is set aside), ENOENT, or the error
int sykli_blob_verify(sykli *s, const sykli_digest *id);

// The cache as a whole. Each is an op too: cache.stats, cache.gc, cache.clear, cache.verify.
typedef struct sykli_cache_usage {
    uint64_t blobs, blob_bytes, entries, entry_bytes, max_bytes; // max: cache.max_size
} sykli_cache_usage;
int sykli_cache_stats(sykli *s, sykli_cache_usage *out);
// Removes what was not used for longest until at most max_bytes are left, and all that was not used
// for older_ms (0: age alone is no reason). What is held stays: what is being fetched or restored.
// A run does this by itself when it has made the cache larger than cache.max_size.
//   returns  0, EBUSY: another process collects, or the error
int sykli_cache_gc(sykli *s, uint64_t max_bytes, uint64_t older_ms, uint64_t *out_freed);
// Removes everything, also what is held: a run beside it makes anew what it still wanted. What such
// a run puts there meanwhile may stay.
int sykli_cache_clear(sykli *s);
// Reads everything through; what is damaged is set aside, which makes it a miss.
typedef struct sykli_cache_check { uint64_t blobs, entries, damaged; } sykli_cache_check;
int sykli_cache_verify(sykli *s, sykli_cache_check *out);

// The entry of an action as JSON text; `store` checks form and that every blob is present.
int sykli_entry_load(sykli *s, const char *key, sykli_buf *out);
int sykli_entry_store(sykli *s, const char *key, const char *json, size_t size);

#ifdef __cplusplus
}
#endif
#endif // SYKLI_H_INCLUDED

#if defined(SYKLI_IMPLEMENTATION)
#ifndef SYKLI_IMPLEMENTED
#define SYKLI_IMPLEMENTED

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SYKLI_PLAIN_BEGIN

// >>base ---- memory, buffers, maps, text, errors
// Everything above stands on these few. Memory is asked for by size and given back by size, so that
// accounts need no header in front of a block; a failed allocation leaves all as it was.
SYKLI_FAST_BEGIN

// What is called from hundreds of places: inlined there, it would make the whole larger and slower
// to compile.
#if defined(__GNUC__)
#define SYKLI__APART __attribute__((noinline))
#else
#define SYKLI__APART
#endif

const char *const sykli_status_names[SYKLI_STATUS_COUNT + 1] = {
#define SYKLI_X(name) #name,
    SYKLI_STATUSES(SYKLI_X)
#undef SYKLI_X
    NULL
};

const char *const sykli_role_names[SYKLI_ROLE_COUNT + 1] = {
    "none", "member", "observer", "operator", "admin", "owner", NULL
};

const char *const sykli_event_names[SYKLI_EVENT_COUNT + 1] = {
    "run_started", "task_ready", "task_held", "task_decided", "task_started", "task_output",
    "task_retry", "task_finished", "run_finished", "nodeup", "nodedown", "linkup", "linkdown",
    "config", "audit", "note", NULL
};

typedef struct sykli__base_error_row {
    int code;
    const char *name, *text, *advice;
} sykli__base_error_row;

static const sykli__base_error_row sykli__base_errors[] = {
#define SYKLI_X(name, value, text, advice) { value, #name, text, advice },
    SYKLI_ERRORS(SYKLI_X)
#undef SYKLI_X
};

static const sykli__base_error_row *sykli__base_error_find(int code)
{
    static const sykli__base_error_row ok = { 0, "OK", "no error", "" };
    static const sykli__base_error_row unknown = { 0, "UNKNOWN", "unknown error", "" };
    if (code >= 0) return &ok;
    for (size_t i = 0; i < sizeof sykli__base_errors / sizeof *sykli__base_errors; i++)
        if (sykli__base_errors[i].code == code) return &sykli__base_errors[i];
    return &unknown;
}

static inline uint64_t sykli__base_rotl(uint64_t x, int n) { return x << n | x >> (64 - n); }

// Written out, for compilers to see one load in it.
static inline uint64_t sykli__base_load64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24
         | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48
         | (uint64_t)p[7] << 56;
}

const char *sykli_error_text(int code) { return sykli__base_error_find(code)->text; }
const char *sykli_error_advice(int code) { return sykli__base_error_find(code)->advice; }
const char *sykli_error_name(int code) { return sykli__base_error_find(code)->name; }

// As sykli_mem_resize, but what is new holds anything: for what is written before it is read.
// Pages that nobody writes to then cost nothing.
SYKLI__APART static void *sykli__base_resize(sykli_mem *m, int tag, void *ptr, size_t size_old,
                                             size_t size_new)
{
    assert(tag >= 0 && tag < SYKLI_TAG_COUNT && (ptr || !size_old));
    if (size_new > size_old && m->max_bytes
        && m->total_bytes + (size_new - size_old) > m->max_bytes)
        return NULL;
    void *fresh = m->sys->resize(m->sys->user, ptr, size_old, size_new, tag);
    if (!fresh && size_new) return NULL;
    m->total_bytes += (uint64_t)size_new - size_old;
    m->tags[tag].bytes += (uint64_t)size_new - size_old;
    m->tags[tag].blocks += (uint64_t)(size_new != 0) - (uint64_t)(size_old != 0);
    m->tags[tag].allocs += size_old == 0;
    return fresh;
}

SYKLI__APART void *sykli_mem_resize(sykli_mem *m, int tag, void *ptr, size_t size_old,
                                   size_t size_new)
{
    void *fresh = sykli__base_resize(m, tag, ptr, size_old, size_new);
    if (fresh && size_new > size_old)
        memset((char *)fresh + size_old, 0, size_new - size_old);
    return fresh;
}

SYKLI__APART char *sykli_mem_text(sykli_mem *m, int tag, const char *text, size_t size)
{
    char *copy = (char *)sykli__base_resize(m, tag, NULL, 0, size + 1);
    if (!copy) return NULL;
    if (size) memcpy(copy, text, size);
    copy[size] = 0;
    return copy;
}

SYKLI__APART void sykli_mem_text_free(sykli_mem *m, int tag, char *text)
{
    if (text) sykli_mem_resize(m, tag, text, strlen(text) + 1, 0);
}

// Makes room for one more entry in an array that doubles; the room is to be filled whole.
//   returns  false: no memory, or at `max`
SYKLI__APART
static bool sykli__base_room(sykli_mem *m, int tag, void *array_at, size_t *capacity, size_t count,
                             size_t entry_size, size_t max)
{
    if (count < *capacity) return true;
    if (count >= max) return false;
    size_t fresh = *capacity ? *capacity * 2 : 8;
    if (fresh > max) fresh = max;
    void *old;
    memcpy(&old, array_at, sizeof old);
    void *grown = sykli__base_resize(m, tag, old, *capacity * entry_size, fresh * entry_size);
    if (!grown) return false;
    memcpy(array_at, &grown, sizeof grown);
    *capacity = fresh;
    return true;
}

int sykli_fail(sykli_fault *f, int code, const char *format, ...)
{
    if (!f) return code;
    va_list args;
    va_start(args, format);
    f->code = code;
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    return code;
}

int sykli_fail_sys(sykli_fault *f, int64_t rc, const char *format, ...)
{
    int host = rc < 0 ? (int)-rc : EIO;
    int code = host == ENOENT ? SYKLI_ENOENT : host == ENOMEM ? SYKLI_ENOMEM
             : host == EACCES || host == EPERM || host == EROFS ? SYKLI_EPERM : SYKLI_EIO;
    if (!f) return code;
    va_list args;
    va_start(args, format);
    f->code = code;
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
    size_t used = strlen(f->text);
    snprintf(f->text + used, sizeof f->text - used, ": %s", strerror(host));
    return code;
}

void sykli_wipe(void *data, size_t size)
{
#if defined(__GNUC__)
    memset(data, 0, size);
    __asm__ __volatile__("" : : "r"(data) : "memory"); // looks at it, as far as compilers know
#else
    for (volatile uint8_t *p = (volatile uint8_t *)data; size--;) *p++ = 0;
#endif
}

SYKLI__APART void sykli_buf_init(sykli_buf *b, sykli_mem *m, int tag)
{
    memset(b, 0, sizeof *b);
    b->mem = m;
    b->tag = tag;
}

SYKLI__APART void sykli_buf_free(sykli_buf *b)
{
    if (b->secret && b->data) sykli_wipe(b->data, b->capacity);
    if (b->data) sykli_mem_resize(b->mem, b->tag, b->data, b->capacity, 0);
    sykli_buf_init(b, b->mem, b->tag);
}

SYKLI__APART void sykli_buf_reset(sykli_buf *b)
{
    b->size = 0;
    b->error = 0;
}

SYKLI__APART uint8_t *sykli_buf_grow(sykli_buf *b, size_t more)
{
    if (b->error) return NULL;
    if (more > SIZE_MAX / 2 - b->size || (b->max_bytes && b->size + more > b->max_bytes)) {
        b->error = SYKLI_ELIMIT;
        return NULL;
    }
    size_t need = b->size + more;
    if (need <= b->capacity && b->data) return b->data + b->size;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity < need) capacity *= 2;
    uint8_t *old = b->secret ? b->data : NULL; // by hand, so that nothing of it stays behind
    uint8_t *grown = (uint8_t *)sykli__base_resize(b->mem, b->tag, old ? NULL : b->data,
                                                   old ? 0 : b->capacity, capacity);
    if (!grown) {
        b->error = SYKLI_ENOMEM;
        return NULL;
    }
    if (old) {
        memcpy(grown, old, b->size + (b->size < b->capacity)); // and the NUL behind it
        sykli_wipe(old, b->capacity);
        sykli_mem_resize(b->mem, b->tag, old, b->capacity, 0);
    }
    b->data = grown;
    b->capacity = capacity;
    return b->data + b->size;
}

SYKLI__APART int sykli_buf_add(sykli_buf *b, const void *data, size_t size)
{
    uint8_t *at = sykli_buf_grow(b, size + 1); // and a NUL, so that text can always be read as such
    if (!at) return b->error;
    if (size) memcpy(at, data, size);
    at[size] = 0;
    b->size += size;
    return 0;
}

SYKLI__APART int sykli_buf_text(sykli_buf *b, const char *text)
{
    return sykli_buf_add(b, text, strlen(text));
}

int sykli_buf_print(sykli_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *at = size < 0 ? NULL : sykli_buf_grow(b, (size_t)size + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)size + 1, format, again);
        b->size += (size_t)size;
    }
    va_end(again);
    return b->error;
}

// A number in decimal, for lines that are written by the ten thousand.
SYKLI__APART static int sykli__base_number(sykli_buf *b, uint64_t value)
{
    char text[24], *at = text + sizeof text;
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    return sykli_buf_add(b, at, (size_t)(text + sizeof text - at));
}

void sykli_buf_drop(sykli_buf *b, size_t count)
{
    assert(count <= b->size);
    b->size -= count;
    if (b->size) memmove(b->data, b->data + count, b->size);
}

// SipHash-1-3 (Aumasson, Bernstein 2012; one compression and three final rounds as in Rust and
// Ruby): keys of a map may come from a peer.
#define SYKLI__BASE_SIP_ROUND(a, b, c, d)                                                          \
    do { a += b; b = sykli__base_rotl(b, 13) ^ a; a = sykli__base_rotl(a, 32);                     \
         c += d; d = sykli__base_rotl(d, 16) ^ c;                                                  \
         a += d; d = sykli__base_rotl(d, 21) ^ a;                                                  \
         c += b; b = sykli__base_rotl(b, 17) ^ c; c = sykli__base_rotl(c, 32); } while (0)

// wide: the second half of an answer of 128 bits, NULL: not wanted
static uint64_t sykli__base_sip(const uint64_t key[2], const void *data, size_t size,
                                uint64_t *wide)
{
    uint64_t a = key[0] ^ 0x736f6d6570736575u, b = key[1] ^ 0x646f72616e646f6du;
    uint64_t c = key[0] ^ 0x6c7967656e657261u, d = key[1] ^ 0x7465646279746573u;
    const uint8_t *p = (const uint8_t *)data;
    size_t left = size;
    for (; left >= 8; p += 8, left -= 8) {
        uint64_t m = sykli__base_load64(p);
        d ^= m;
        SYKLI__BASE_SIP_ROUND(a, b, c, d);
        a ^= m;
    }
    uint64_t last = (uint64_t)size << 56;
    if (size >= 8 && left) last |= sykli__base_load64(p + left - 8) >> (64 - 8 * left);
    else
        for (size_t i = 0; i < left; i++) last |= (uint64_t)p[i] << (8 * i);
    d ^= last;
    SYKLI__BASE_SIP_ROUND(a, b, c, d);
    a ^= last;
    c ^= 0xff;
    for (int i = 0; i < 3; i++) SYKLI__BASE_SIP_ROUND(a, b, c, d);
    uint64_t sum = a ^ b ^ c ^ d;
    b ^= 0xdd;
    for (int i = 0; wide && i < 3; i++) SYKLI__BASE_SIP_ROUND(a, b, c, d);
    if (wide) *wide = a ^ b ^ c ^ d;
    return sum;
}

uint64_t sykli_siphash(const uint64_t key[2], const void *data, size_t size)
{
    return sykli__base_sip(key, data, size, NULL);
}

// Open addressing with linear probing; at most 3/4 full; removal moves the cluster back.
struct sykli_map_slot {
    char *key; // NULL: free
    size_t size;
    uint64_t hash, value;
};

void sykli_map_init(sykli_map *map, sykli_mem *m, const uint64_t seed[2])
{
    memset(map, 0, sizeof *map);
    map->mem = m;
    map->seed[0] = seed ? seed[0] : 0;
    map->seed[1] = seed ? seed[1] : 0;
}

static void sykli__base_slots_free(sykli_map *map)
{
    size_t size = map->capacity * sizeof *map->slots;
    if (map->slots) sykli_mem_resize(map->mem, SYKLI_TAG_base, map->slots, size, 0);
}

void sykli_map_free(sykli_map *map)
{
    for (size_t i = 0; i < map->capacity; i++)
        if (map->slots[i].key)
            sykli_mem_resize(map->mem, SYKLI_TAG_base, map->slots[i].key, map->slots[i].size + 1,
                             0);
    sykli__base_slots_free(map);
    sykli_map_init(map, map->mem, map->seed);
}

// The slot that holds the key, or the free one where it belongs.
static struct sykli_map_slot *sykli__base_slot(const sykli_map *map, const void *key, size_t size,
                                               uint64_t hash)
{
    size_t mask = map->capacity - 1, at = (size_t)hash & mask;
    for (;; at = (at + 1) & mask) {
        struct sykli_map_slot *slot = &map->slots[at];
        if (!slot->key) return slot;
        if (slot->hash == hash && slot->size == size && !memcmp(slot->key, key, size)) return slot;
    }
}

static bool sykli__base_map_grow(sykli_map *map)
{
    sykli_map fresh = *map;
    fresh.capacity = map->capacity ? map->capacity * 2 : 16;
    fresh.slots = (struct sykli_map_slot *)sykli_mem_resize(
        map->mem, SYKLI_TAG_base, NULL, 0, fresh.capacity * sizeof *fresh.slots);
    if (!fresh.slots) return false;
    for (size_t i = 0, mask = fresh.capacity - 1; i < map->capacity; i++) {
        const struct sykli_map_slot *old = &map->slots[i];
        if (!old->key) continue;
        size_t at = (size_t)old->hash & mask;
        while (fresh.slots[at].key) at = (at + 1) & mask;
        fresh.slots[at] = *old;
    }
    sykli__base_slots_free(map);
    *map = fresh;
    return true;
}

SYKLI__APART uint64_t *sykli_map_get(const sykli_map *map, const void *key, size_t size)
{
    if (!map->count) return NULL;
    struct sykli_map_slot *slot =
        sykli__base_slot(map, key, size, sykli_siphash(map->seed, key, size));
    return slot->key ? &slot->value : NULL;
}

int sykli_map_put(sykli_map *map, const void *key, size_t size, uint64_t value)
{
    uint64_t hash = sykli_siphash(map->seed, key, size);
    struct sykli_map_slot *slot = map->count ? sykli__base_slot(map, key, size, hash) : NULL;
    if (slot && slot->key) {
        slot->value = value;
        return 0;
    }
    if ((map->count + 1) * 4 > map->capacity * 3) {
        if (!sykli__base_map_grow(map)) return SYKLI_ENOMEM;
        slot = NULL;
    }
    char *copy = sykli_mem_text(map->mem, SYKLI_TAG_base, (const char *)key, size);
    if (!copy) return SYKLI_ENOMEM;
    if (!slot) slot = sykli__base_slot(map, key, size, hash);
    *slot = (struct sykli_map_slot){ copy, size, hash, value };
    map->count++;
    return 1;
}

bool sykli_map_remove(sykli_map *map, const void *key, size_t size)
{
    if (!sykli_map_get(map, key, size)) return false;
    struct sykli_map_slot *slot =
        sykli__base_slot(map, key, size, sykli_siphash(map->seed, key, size));
    sykli_mem_resize(map->mem, SYKLI_TAG_base, slot->key, slot->size + 1, 0);
    size_t mask = map->capacity - 1, hole = (size_t)(slot - map->slots);
    for (size_t at = (hole + 1) & mask; map->slots[at].key; at = (at + 1) & mask) {
        size_t home = (size_t)map->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - hole) & mask)) continue; // it would move before its home
        map->slots[hole] = map->slots[at];
        hole = at;
    }
    memset(&map->slots[hole], 0, sizeof map->slots[hole]);
    map->count--;
    return true;
}

bool sykli_map_next(const sykli_map *map, size_t *at, const void **key, size_t *size,
                    uint64_t *value)
{
    for (; *at < map->capacity; ++*at) {
        const struct sykli_map_slot *slot = &map->slots[*at];
        if (!slot->key) continue;
        if (key) *key = slot->key;
        if (size) *size = slot->size;
        if (value) *value = slot->value;
        ++*at;
        return true;
    }
    return false;
}

// Bytes of the valid UTF-8 character at p (RFC 3629: no surrogates, shortest form), 0 if none.
static size_t sykli__base_utf8_step(const uint8_t *p, size_t left)
{
    if (left && p[0] < 0x80) return 1;
    if (left < 2 || p[0] < 0xc2 || p[0] > 0xf4 || (p[1] & 0xc0) != 0x80) return 0;
    if (p[0] < 0xe0) return 2;
    if (left < 3 || (p[2] & 0xc0) != 0x80) return 0;
    if (p[0] < 0xf0) return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
    if (left < 4 || (p[3] & 0xc0) != 0x80) return 0;
    return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

bool sykli_utf8_valid(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t step; size; p += step, size -= step)
        if (!(step = sykli__base_utf8_step(p, size))) return false;
    return true;
}
SYKLI_FAST_END

// Text from outside as a message may show it: at most 40 bytes, and '?' for whatever could drive a
// terminal or is not UTF-8.
static const char *sykli__base_shown(char out[48], const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t used = 0, step;
    for (; size && used < 40; p += step, size -= step) {
        step = sykli__base_utf8_step(p, size);
        bool control = !step || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0);
        if (control) {
            out[used++] = '?';
            step += !step;
            continue;
        }
        memcpy(out + used, p, step);
        used += step;
    }
    memcpy(out + used, size ? "..." : "", size ? 4 : 1);
    return out;
}

// A decimal number with up to three places, in thousandths, and what follows it.
static int sykli__base_milli(const char *text, uint64_t *out, const char **rest)
{
    uint64_t whole = 0, part = 0, scale = 100;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (whole > UINT64_MAX / 20000) return SYKLI_EINVAL;
        whole = whole * 10 + (uint64_t)(*p - '0');
    }
    if (p == text) return SYKLI_EINVAL;
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10) part += scale * (uint64_t)(*p - '0');
    while (*p == ' ') p++;
    *out = whole * 1000 + part;
    *rest = p;
    return 0;
}

typedef struct sykli__base_suffix { const char *text; uint64_t factor; } sykli__base_suffix;

static int sykli__base_scaled(const char *text, const sykli__base_suffix *suffixes, uint64_t *out)
{
    uint64_t milli;
    const char *rest;
    if (!text || sykli__base_milli(text, &milli, &rest)) return SYKLI_EINVAL;
    for (; suffixes->text; suffixes++)
        if (!strcmp(rest, suffixes->text)) {
            if (suffixes->factor && milli > UINT64_MAX / suffixes->factor) return SYKLI_EINVAL;
            *out = milli * suffixes->factor / 1000;
            return 0;
        }
    return SYKLI_EINVAL;
}

int sykli_parse_size(const char *text, uint64_t *out_bytes)
{
    static const sykli__base_suffix suffixes[] = {
        { "", 1 }, { "B", 1 },
        { "K", 1ull << 10 }, { "KB", 1ull << 10 }, { "KiB", 1ull << 10 },
        { "M", 1ull << 20 }, { "MB", 1ull << 20 }, { "MiB", 1ull << 20 },
        { "G", 1ull << 30 }, { "GB", 1ull << 30 }, { "GiB", 1ull << 30 },
        { "T", 1ull << 40 }, { "TB", 1ull << 40 }, { "TiB", 1ull << 40 }, { NULL, 0 } };
    return sykli__base_scaled(text, suffixes, out_bytes);
}

int sykli_parse_duration(const char *text, uint64_t *out_ms)
{
    static const sykli__base_suffix suffixes[] = {
        { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 }, { "h", 3600000 },
        { "d", 86400000 }, { NULL, 0 } };
    return sykli__base_scaled(text, suffixes, out_ms);
}

char *sykli_format_size(char *out, uint64_t bytes)
{
    static const char units[] = "BKMGTPE";
    double value = (double)bytes;
    int unit = 0;
    for (; value >= 1023.95 && unit < 6; unit++) value /= 1024;
    if (!unit) snprintf(out, 32, "%u B", (unsigned)bytes);
    else snprintf(out, 32, value < 9.995 ? "%.1f %cB" : "%.0f %cB", value, units[unit]);
    return out;
}

char *sykli_format_duration(char *out, uint64_t ms)
{
    unsigned s = (unsigned)(ms / 1000);
    if (ms < 1000) snprintf(out, 32, "%ums", (unsigned)ms);
    else if (s < 60) snprintf(out, 32, "%u.%us", s, (unsigned)(ms % 1000 / 100));
    else if (s < 3600) snprintf(out, 32, "%um %us", s / 60, s % 60);
    else snprintf(out, 32, "%uh %um", s / 3600, s / 60 % 60);
    return out;
}

// Writes a decimal with leading zeros and the byte that follows it.   returns  where to go on
static char *sykli__base_padded(char *at, int64_t value, int digits, char behind)
{
    for (int i = digits; i--; value /= 10) at[i] = (char)('0' + value % 10);
    at[digits] = behind;
    return at + digits + 1;
}

char *sykli_format_time(char *out, int64_t unix_ms)
{
    const int64_t first = -62167219200000, last = 253402300799999; // of the years 0000 and 9999
    int64_t ms = (unix_ms < first ? first : unix_ms > last ? last : unix_ms) - first;
    // The year is counted from March, so that the leap day is its last one and the lengths of the
    // months before it follow (153 * month + 2) / 5. Day 0 is the first of March of the year -400.
    int64_t day = ms / 86400000 + 146097 - 60, of_day = ms % 86400000;
    int64_t era = day / 146097, of_era = day % 146097; // 400 years repeat
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153, of_month = of_year - (153 * month + 2) / 5;
    char *at = sykli__base_padded(out, year + 400 * era - 400 + (month >= 10), 4, '-');
    at = sykli__base_padded(at, month < 10 ? month + 3 : month - 9, 2, '-');
    at = sykli__base_padded(at, of_month + 1, 2, 'T');
    at = sykli__base_padded(at, of_day / 3600000, 2, ':');
    at = sykli__base_padded(at, of_day / 60000 % 60, 2, ':');
    at = sykli__base_padded(at, of_day / 1000 % 60, 2, '.');
    at = sykli__base_padded(at, of_day % 1000, 3, 'Z');
    *at = 0;
    return out;
}

SYKLI_FAST_BEGIN
SYKLI__APART void sykli_hex(char *out, const void *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = (const uint8_t *)data;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * size] = 0;
}

static int sykli__base_hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int sykli_unhex(void *out, size_t size, const char *text, size_t text_size)
{
    if (text_size != 2 * size) return SYKLI_EINVAL;
    for (size_t i = 0; i < size; i++) {
        int high = sykli__base_hex_digit(text[2 * i]), low = sykli__base_hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return SYKLI_EINVAL;
        ((uint8_t *)out)[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

// Levenshtein distance of two short words, at most 63 bytes of each.
static size_t sykli__base_distance(const char *a, const char *b)
{
    size_t row[64], la = strnlen(a, 63), lb = strnlen(b, 63);
    for (size_t j = 0; j <= lb; j++) row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

const char *sykli_nearest(const char *word, const char *const *candidates, size_t count)
{
    const char *best = NULL;
    size_t limit = strlen(word) / 3 + 1, best_distance = limit + 1;
    for (size_t i = 0; i < count; i++) {
        size_t distance = sykli__base_distance(word, candidates[i]);
        if (distance < best_distance) {
            best_distance = distance;
            best = candidates[i];
        }
    }
    return best;
}

void sykli_sort(void *items, size_t count, size_t size, void *scratch,
                int (*compare)(const void *a, const void *b, void *user), void *user)
{
    char *from = (char *)items, *to = (char *)scratch;
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t left = 0; left < count; left += 2 * run) {
            size_t middle = left + run < count ? left + run : count;
            size_t right = middle + run < count ? middle + run : count;
            size_t a = left, b = middle;
            for (size_t at = left; at < right; at++) {
                bool take_a = a < middle
                    && (b >= right || compare(from + a * size, from + b * size, user) <= 0);
                size_t pick = take_a ? a++ : b++;
                memcpy(to + at * size, from + pick * size, size);
            }
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from != (char *)items) memcpy(items, from, count * size);
}
SYKLI_FAST_END

// >>hash ---- SHA-256, SHA256TREE
// Names of blobs, so this is where a build's cache spends its processor time: SHA-256 of FIPS 180-4
// in plain C, and with the SHA instructions of x86 or ARMv8 where the processor has them. SipHash
// stands in base, where the maps need it.
SYKLI_FASTEST_BEGIN

static const uint32_t sykli__hash_start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
};

// Initial state of a join in SHA256TREE (bazelbuild/remote-apis).
static const uint32_t sykli__hash_join_start[8] = {
    0xcbbb9d5d, 0x629a292a, 0x9159015a, 0x152fecd8, 0x67332667, 0x8eb44a87, 0xdb0c2e0d, 0x47b5481d
};

// FIPS 180-4, section 4.2.2.
static const uint32_t sykli__hash_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static inline uint32_t sykli__hash_rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

static inline uint32_t sykli__hash_load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sykli__hash_store(uint8_t out[32], const uint32_t state[8])
{
    for (int i = 0; i < 32; i++) out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void sykli__hash_plain(uint32_t state[8], const uint8_t *p, size_t blocks)
{
    for (; blocks--; p += 64) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++) w[i] = sykli__hash_load32(p + 4 * i);
        for (int i = 16; i < 64; i++) {
            uint32_t a = w[i - 15], b = w[i - 2];
            a = sykli__hash_rotr(a, 7) ^ sykli__hash_rotr(a, 18) ^ a >> 3;
            b = sykli__hash_rotr(b, 17) ^ sykli__hash_rotr(b, 19) ^ b >> 10;
            w[i] = w[i - 16] + a + w[i - 7] + b;
        }
        memcpy(s, state, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t a = s[0], e = s[4], t = s[7] + sykli__hash_k[i] + w[i], u;
            t += sykli__hash_rotr(e, 6) ^ sykli__hash_rotr(e, 11) ^ sykli__hash_rotr(e, 25);
            t += (e & s[5]) ^ (~e & s[6]);
            u = sykli__hash_rotr(a, 2) ^ sykli__hash_rotr(a, 13) ^ sykli__hash_rotr(a, 22);
            u += (a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]);
            s[7] = s[6]; s[6] = s[5]; s[5] = e; s[4] = s[3] + t;
            s[3] = s[2]; s[2] = s[1]; s[1] = a; s[0] = t + u;
        }
        for (int i = 0; i < 8; i++) state[i] += s[i];
    }
}

// What the compiler may use everywhere, or gcc in one function: clang only learnt that with 16.
#if !defined(SYKLI_PORTABLE) && defined(__aarch64__) && !defined(__AARCH64EB__)                    \
    && (defined(__ARM_FEATURE_SHA2)                                                                \
        || (defined(__linux__) && defined(__GNUC__) && !defined(__clang__)))
#define SYKLI__HASH_ARM 1
#endif

#if !defined(SYKLI_PORTABLE) && defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#include <cpuid.h>
#include <immintrin.h>

// What the operating system saves of a thread besides SSE: the register of Intel's manual, volume
// 1, section 13.3, where bits 1 and 2 are the halves of the vectors of AVX.
static uint32_t sykli__hash_saved(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

// The one thing that is remembered outside of a context, because it is the machine's and never
// changes, and cpuid may trap into a hypervisor for 10 us. Threads that ask at once find the same.
unsigned sykli_processor(void)
{
    static unsigned known;
    unsigned has = __atomic_load_n(&known, __ATOMIC_RELAXED), a, b, c, d, more;
    if (has) return has;
    has = SYKLI_PROCESSOR_ASKED;
    if (__get_cpuid(1, &a, &b, &c, &d) && __get_cpuid_count(7, 0, &a, &more, &b, &d)) {
        bool wide = (c & bit_OSXSAVE) && (c & bit_AVX) && (sykli__hash_saved() & 6) == 6;
        if (wide && (more & 1u << 5)) has |= SYKLI_PROCESSOR_AVX2;
        if ((c & bit_SSSE3) && (c & bit_SSE4_1) && (more & 1u << 29)) has |= SYKLI_PROCESSOR_SHA;
    }
    __atomic_store_n(&known, has, __ATOMIC_RELAXED);
    return has;
}

// Intel's SHA extensions do two rounds an instruction on a state kept as ABEF and CDGH.
__attribute__((target("sha,sse4.1,ssse3")))
static void sykli__hash_x86(uint32_t state[8], const uint8_t *p, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i dcba = _mm_loadu_si128((const __m128i *)state);
    __m128i hgfe = _mm_loadu_si128((const __m128i *)(state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (; blocks--; p += 64) {
        __m128i abef_before = abef, cdgh_before = cdgh, w[4];
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), swap);
        for (int i = 0; i < 64; i += 4) {
            __m128i k = _mm_add_epi32(w[0], _mm_loadu_si128((const __m128i *)&sykli__hash_k[i]));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
            __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]),
                                         _mm_alignr_epi8(w[3], w[2], 4));
            next = _mm_sha256msg2_epu32(next, w[3]);
            w[0] = w[1]; w[1] = w[2]; w[2] = w[3]; w[3] = next;
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

// Four rounds of one piece; `w` becomes the words sixteen rounds on.
#define SYKLI__HASH_ROUNDS(abef, cdgh, w, w1, w2, w3, k)                                           \
    do { __m128i t_ = _mm_add_epi32(w, k);                                                         \
         cdgh = _mm_sha256rnds2_epu32(cdgh, abef, t_);                                             \
         abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(t_, 0x0e));                    \
         w = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w, w1),                       \
                                                _mm_alignr_epi8(w3, w2, 4)), w3); } while (0)
#define SYKLI__HASH_LOAD(p, i)                                                                     \
    _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)((p) + 16 * (i))), swap)

// What is added to two states by a block each. Two rounds wait 4 cycles for those before them and
// an instruction can begin every other cycle, so two pieces take hardly longer than one.
__attribute__((target("sha,sse4.1,ssse3")))
static void sykli__hash_x86_two(__m128i a[4], const uint8_t *p, const uint8_t *q)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = a[0], cdgh = a[1], abef2 = a[2], cdgh2 = a[3];
    __m128i w0 = SYKLI__HASH_LOAD(p, 0), w1 = SYKLI__HASH_LOAD(p, 1);
    __m128i w2 = SYKLI__HASH_LOAD(p, 2), w3 = SYKLI__HASH_LOAD(p, 3);
    __m128i v0 = SYKLI__HASH_LOAD(q, 0), v1 = SYKLI__HASH_LOAD(q, 1);
    __m128i v2 = SYKLI__HASH_LOAD(q, 2), v3 = SYKLI__HASH_LOAD(q, 3);
    const __m128i *k = (const __m128i *)(const void *)sykli__hash_k;
    for (int i = 0; i < 16; i += 4) {
        __m128i now = _mm_loadu_si128(k + i);
        SYKLI__HASH_ROUNDS(abef, cdgh, w0, w1, w2, w3, now);
        SYKLI__HASH_ROUNDS(abef2, cdgh2, v0, v1, v2, v3, now);
        now = _mm_loadu_si128(k + i + 1);
        SYKLI__HASH_ROUNDS(abef, cdgh, w1, w2, w3, w0, now);
        SYKLI__HASH_ROUNDS(abef2, cdgh2, v1, v2, v3, v0, now);
        now = _mm_loadu_si128(k + i + 2);
        SYKLI__HASH_ROUNDS(abef, cdgh, w2, w3, w0, w1, now);
        SYKLI__HASH_ROUNDS(abef2, cdgh2, v2, v3, v0, v1, now);
        now = _mm_loadu_si128(k + i + 3);
        SYKLI__HASH_ROUNDS(abef, cdgh, w3, w0, w1, w2, now);
        SYKLI__HASH_ROUNDS(abef2, cdgh2, v3, v0, v1, v2, now);
    }
    a[0] = _mm_add_epi32(a[0], abef);
    a[1] = _mm_add_epi32(a[1], cdgh);
    a[2] = _mm_add_epi32(a[2], abef2);
    a[3] = _mm_add_epi32(a[3], cdgh2);
}

// The digests of two pieces of so many whole blocks.
__attribute__((target("sha,sse4.1,ssse3")))
static void sykli__hash_x86_pair(const uint8_t *p, const uint8_t *q, size_t blocks,
                                 uint8_t out_p[32], uint8_t out_q[32])
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i abef = _mm_set_epi32(0x6a09e667, (int)0xbb67ae85, 0x510e527f, (int)0x9b05688c);
    const __m128i cdgh = _mm_set_epi32(0x3c6ef372, (int)0xa54ff53a, 0x1f83d9ab, 0x5be0cd19);
    __m128i a[4] = { abef, cdgh, abef, cdgh };
    uint8_t last[64] = { 0x80 };
    for (int i = 0; i < 8; i++) last[56 + i] = (uint8_t)((uint64_t)blocks * 512 >> (56 - 8 * i));
    for (size_t i = 0; i < blocks; i++) sykli__hash_x86_two(a, p + 64 * i, q + 64 * i);
    sykli__hash_x86_two(a, last, last);
    for (int n = 0; n < 2; n++) {
        const __m128i feba = _mm_shuffle_epi32(a[2 * n], 0x1b);
        const __m128i dchg = _mm_shuffle_epi32(a[2 * n + 1], 0xb1);
        const __m128i low = _mm_blend_epi16(feba, dchg, 0xf0);
        const __m128i high = _mm_alignr_epi8(dchg, feba, 8);
        uint8_t *out = n ? out_q : out_p;
        _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(low, swap));
        _mm_storeu_si128((__m128i *)(out + 16), _mm_shuffle_epi8(high, swap));
    }
}

static void sykli__hash_blocks(bool fast, uint32_t state[8], const uint8_t *p, size_t blocks)
{
    if (fast) sykli__hash_x86(state, p, blocks);
    else sykli__hash_plain(state, p, blocks);
}

#define SYKLI__HASH_PAIR sykli__hash_x86_pair
#elif defined(SYKLI__HASH_ARM)
#include <arm_neon.h>
#if defined(__ARM_FEATURE_SHA2)
#define SYKLI__HASH_TARGET
#else
#include <sys/auxv.h>
#define SYKLI__HASH_TARGET __attribute__((target("+crypto")))
#endif

// The cryptographic extension of ARMv8 does four rounds in two instructions.
SYKLI__HASH_TARGET
static void sykli__hash_arm(uint32_t state[8], const uint8_t *p, size_t blocks)
{
    uint32x4_t abcd = vld1q_u32(state), efgh = vld1q_u32(state + 4);
    for (; blocks--; p += 64) {
        uint32x4_t abcd_before = abcd, efgh_before = efgh, w[4];
        for (int i = 0; i < 4; i++)
            w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(p + 16 * i)));
        for (int i = 0; i < 64; i += 4) {
            uint32x4_t k = vaddq_u32(w[0], vld1q_u32(&sykli__hash_k[i])), now = abcd;
            abcd = vsha256hq_u32(abcd, efgh, k);
            efgh = vsha256h2q_u32(efgh, now, k);
            uint32x4_t next = vsha256su1q_u32(vsha256su0q_u32(w[0], w[1]), w[2], w[3]);
            w[0] = w[1]; w[1] = w[2]; w[2] = w[3]; w[3] = next;
        }
        abcd = vaddq_u32(abcd, abcd_before);
        efgh = vaddq_u32(efgh, efgh_before);
    }
    vst1q_u32(state, abcd);
    vst1q_u32(state + 4, efgh);
}

unsigned sykli_processor(void)
{
#if defined(__ARM_FEATURE_SHA2)
    return SYKLI_PROCESSOR_SHA;
#else
    return getauxval(AT_HWCAP) & 1u << 6 ? SYKLI_PROCESSOR_SHA : 0; // HWCAP_SHA2
#endif
}

static void sykli__hash_blocks(bool fast, uint32_t state[8], const uint8_t *p, size_t blocks)
{
    if (fast) sykli__hash_arm(state, p, blocks);
    else sykli__hash_plain(state, p, blocks);
}
#else
unsigned sykli_processor(void) { return 0; }

static void sykli__hash_blocks(bool fast, uint32_t state[8], const uint8_t *p, size_t blocks)
{
    (void)fast;
    sykli__hash_plain(state, p, blocks);
}
#endif

static bool sykli__hash_fast(void) { return sykli_processor() & SYKLI_PROCESSOR_SHA; }

void sykli_sha256_init(sykli_sha256 *h)
{
    memset(h, 0, sizeof *h);
    memcpy(h->state, sykli__hash_start, sizeof h->state);
}

static void sykli__hash_add(bool fast, sykli_sha256 *h, const uint8_t *p, size_t size)
{
    size_t used = (size_t)(h->total % 64);
    h->total += size;
    if (used) {
        size_t take = size < 64 - used ? size : 64 - used;
        if (take) memcpy(h->block + used, p, take);
        if (used + take < 64) return;
        sykli__hash_blocks(fast, h->state, h->block, 1);
        p += take;
        size -= take;
    }
    sykli__hash_blocks(fast, h->state, p, size / 64);
    if (size % 64) memcpy(h->block, p + size / 64 * 64, size % 64);
}

SYKLI__APART void sykli_sha256_add(sykli_sha256 *h, const void *data, size_t size)
{
    if (size) sykli__hash_add(sykli__hash_fast(), h, (const uint8_t *)data, size);
}

static void sykli__hash_end(bool fast, sykli_sha256 *h, uint8_t out[32])
{
    uint8_t padding[72] = { 0x80 };
    uint64_t bits = h->total * 8;
    size_t size = (size_t)(119 - h->total % 64) % 64 + 1; // up to 8 bytes before a block's end
    for (int i = 0; i < 8; i++) padding[size + (size_t)i] = (uint8_t)(bits >> (56 - 8 * i));
    sykli__hash_add(fast, h, padding, size + 8);
    sykli__hash_store(out, h->state);
}

void sykli_sha256_end(sykli_sha256 *h, uint8_t out[32])
{
    sykli__hash_end(sykli__hash_fast(), h, out);
}

static void sykli__hash_of(bool fast, const uint8_t *data, size_t size, uint8_t out[32])
{
    sykli_sha256 h;
    sykli_sha256_init(&h);
    if (size) sykli__hash_add(fast, &h, data, size);
    sykli__hash_end(fast, &h, out);
}

void sykli_sha256_of(const void *data, size_t size, uint8_t out[32])
{
    sykli__hash_of(sykli__hash_fast(), (const uint8_t *)data, size, out);
}

// Joins the subtrees at `left` and behind it into one at `left`: the block cipher alone, so what
// SHA-256 adds at the end is taken off again.
static void sykli__hash_join(bool fast, sykli_tree *t, unsigned left)
{
    uint8_t *pair = (uint8_t *)t->stack + 32 * (size_t)left;
    uint32_t state[8];
    memcpy(state, sykli__hash_join_start, sizeof state);
    sykli__hash_blocks(fast, state, pair, 1);
    for (int i = 0; i < 8; i++) state[i] -= sykli__hash_join_start[i];
    sykli__hash_store(pair, state);
}

static unsigned sykli__hash_bits(uint64_t x)
{
    unsigned count = 0;
    for (; x; x &= x - 1) count++;
    return count;
}

// The stack holds one subtree for each bit of `leaves`, the largest first; a new leaf is a carry.
static void sykli__hash_leaf(bool fast, sykli_tree *t, const uint8_t *leaf, size_t size)
{
    unsigned top = sykli__hash_bits(t->leaves);
    assert(top < sizeof t->stack / sizeof *t->stack);
    sykli__hash_of(fast, leaf, size, t->stack[top]);
    for (uint64_t carry = t->leaves++; carry & 1; carry >>= 1)
        sykli__hash_join(fast, t, --top);
}

// Two whole leaves: the first may be any, the second goes with it.
static void sykli__hash_leaves(bool fast, sykli_tree *t, const uint8_t *leaf)
{
#ifdef SYKLI__HASH_PAIR
    unsigned top = sykli__hash_bits(t->leaves);
    if (fast && !(t->leaves & 1)) { // the pair becomes one subtree, then carries
        assert(top + 1 < sizeof t->stack / sizeof *t->stack);
        SYKLI__HASH_PAIR(leaf, leaf + sizeof t->leaf, sizeof t->leaf / 64, t->stack[top],
                         t->stack[top + 1]);
        sykli__hash_join(fast, t, top);
        t->leaves += 1;
        for (uint64_t carry = t->leaves++; carry >>= 1, carry & 1;)
            sykli__hash_join(fast, t, --top);
        return;
    }
#endif
    sykli__hash_leaf(fast, t, leaf, sizeof t->leaf);
    sykli__hash_leaf(fast, t, leaf + sizeof t->leaf, sizeof t->leaf);
}

void sykli_tree_init(sykli_tree *t) { memset(t, 0, sizeof *t); }

void sykli_tree_add(sykli_tree *t, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    bool fast = sykli__hash_fast();
    while (size) {
        size_t room = sizeof t->leaf - t->leaf_size, take = size < room ? size : room;
        if (take == sizeof t->leaf && size >= 2 * take) {
            take *= 2;
            sykli__hash_leaves(fast, t, p);
        } else if (take == sizeof t->leaf) {
            sykli__hash_leaf(fast, t, p, take); // whole leaves are not copied
        } else {
            memcpy(t->leaf + t->leaf_size, p, take);
            t->leaf_size += (uint32_t)take;
            if (t->leaf_size == sizeof t->leaf) {
                sykli__hash_leaf(fast, t, t->leaf, sizeof t->leaf);
                t->leaf_size = 0;
            }
        }
        p += take;
        size -= take;
    }
}

void sykli_tree_end(sykli_tree *t, sykli_digest *out)
{
    bool fast = sykli__hash_fast();
    if (t->leaf_size || !t->leaves) sykli__hash_leaf(fast, t, t->leaf, t->leaf_size);
    for (unsigned top = sykli__hash_bits(t->leaves); top > 1; top--)
        sykli__hash_join(fast, t, top - 2);
    memcpy(out->bytes, t->stack[0], sizeof out->bytes);
    sykli_tree_init(t);
}

// Adds pieces that were hashed as blobs of their own, in order and nothing else. All are of `size`
// bytes, a power of two from 1 KiB, but the last, which may be shorter: nothing follows it, so that
// its root joins as a leaf does.
static void sykli__hash_subtree(sykli_tree *t, const sykli_digest *id, uint64_t size)
{
    unsigned top = sykli__hash_bits(t->leaves);
    uint64_t leaves = size / sizeof t->leaf;
    assert(top < sizeof t->stack / sizeof *t->stack && leaves && !(leaves & (leaves - 1)));
    memcpy(t->stack[top], id->bytes, sizeof id->bytes);
    for (uint64_t carry = t->leaves / leaves; carry & 1; carry >>= 1)
        sykli__hash_join(sykli__hash_fast(), t, --top);
    t->leaves += leaves;
}

void sykli_tree_of(const void *data, size_t size, sykli_digest *out)
{
    sykli_tree t;
    sykli_tree_init(&t);
    sykli_tree_add(&t, data, size);
    sykli_tree_end(&t, out);
}
SYKLI_FASTEST_END

// >>json ---- reader with positions, writer
// Pipelines, op arguments and index entries come from programs and peers, so the reader is strict:
// what two parsers could read differently (a key twice, a NUL, half a surrogate pair) is refused.
// One pass fills one array of nodes and one block of decoded text; a decoded string is never longer
// than its source, so the text is allocated once and nothing in it moves. Errors of RFC 8259 are
// EPARSE; our own limits begin with a word of their own ("too_deep: ...") and another code.
SYKLI_FAST_BEGIN

#define SYKLI__JSON_NODES_MAX (1u << 24) // 16 million values, about 600 MB of nodes
#define SYKLI__JSON_FEW 16               // members that are compared pair by pair

typedef struct sykli__json_reader {
    sykli_json_doc *doc;
    sykli_fault *fault;
    const char *at, *end, *line_start;
    uint32_t line;
} sykli__json_reader;

// Members are asked for more often than they are there. An object has a set of bits over the keys
// of its members, in the field that is a string's text: where a key's bit is not, the key is not.
static uint32_t sykli__json_bit(const char *key)
{
    uint32_t a = (uint8_t)key[0], b = a ? (uint8_t)key[1] : 0, c = b ? (uint8_t)key[2] : 0;
    return 1u << ((a * 9 + b * 5 + c * 7) & 31);
}

// Columns count bytes, from 1.
static uint32_t sykli__json_column(const sykli__json_reader *r, const char *at)
{
    return (uint32_t)(at - r->line_start) + 1;
}

SYKLI__APART
static int sykli__json_refuse(const sykli__json_reader *r, int code, const char *at,
                              const char *text)
{
    return sykli_fail(r->fault, code, "%u:%u: %s", (unsigned)r->line,
                      (unsigned)sykli__json_column(r, at), text);
}

static int sykli__json_expected(const sykli__json_reader *r, const char *what)
{
    char found[16] = "the end";
    if (r->at < r->end) {
        uint8_t c = (uint8_t)*r->at;
        snprintf(found, sizeof found, c > 0x20 && c < 0x7f ? "'%c'" : "byte 0x%02x", c);
    }
    return sykli_fail(r->fault, SYKLI_EPARSE, "%u:%u: expected %s, found %s", (unsigned)r->line,
                      (unsigned)sykli__json_column(r, r->at), what, found);
}

static void sykli__json_space(sykli__json_reader *r)
{
    for (; r->at < r->end; r->at++) {
        if (*r->at == '\n') {
            r->line++;
            r->line_start = r->at + 1;
        } else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r') {
            return;
        }
    }
}

static bool sykli__json_take(sykli__json_reader *r, char c)
{
    if (r->at == r->end || *r->at != c) return false;
    r->at++;
    return true;
}

static bool sykli__json_digit(const sykli__json_reader *r)
{
    return r->at < r->end && *r->at >= '0' && *r->at <= '9';
}

// Four hex digits at p, or -1.
static int32_t sykli__json_hex4(const char *p, const char *end)
{
    int32_t value = 0;
    if (end - p < 4) return -1;
    for (int i = 0; i < 4; i++) {
        int digit = sykli__base_hex_digit(p[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

static void sykli__json_put(sykli_json_doc *doc, uint32_t c)
{
    char *out = doc->text + doc->text_size;
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | c >> 12);
        } else {
            *out++ = (char)(0xf0 | c >> 18);
            *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    doc->text_size = (size_t)(out - doc->text);
}

// The character of "\uXXXX" or of a surrogate pair; r->at stands behind the 'u'.
static int sykli__json_unicode(sykli__json_reader *r)
{
    const char *start = r->at - 2;
    int32_t high = sykli__json_hex4(r->at, r->end), low;
    if (high < 0) return sykli__json_refuse(r, SYKLI_EPARSE, start, "\\u needs four hex digits");
    r->at += 4;
    if (!high)
        return sykli__json_refuse(r, SYKLI_EINVAL, start, "nul_in_string: \\u0000 is not allowed");
    if (high >= 0xd800 && high < 0xe000) {
        bool pair = high < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u';
        low = pair ? sykli__json_hex4(r->at + 2, r->end) : -1;
        if (low < 0xdc00 || low > 0xdfff)
            return sykli__json_refuse(r, SYKLI_EINVAL, start,
                                      "lone_surrogate: half of a surrogate pair");
        r->at += 6;
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    sykli__json_put(r->doc, (uint32_t)high);
    return 0;
}

static int sykli__json_escape(sykli__json_reader *r)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *start = r->at++;
    if (r->at == r->end) return sykli__json_refuse(r, SYKLI_EPARSE, start, "the string has no end");
    char c = *r->at++;
    if (c == 'u') return sykli__json_unicode(r);
    const char *name = c ? strchr(names, c) : NULL;
    if (!name) return sykli__json_refuse(r, SYKLI_EPARSE, start, "unknown escape in a string");
    sykli__json_put(r->doc, (uint32_t)values[name - names]);
    return 0;
}

// Copies plain characters to the text, up to the first that is none.
static void sykli__json_plain(sykli__json_reader *r)
{
    const char *at = r->at, *end = r->end;
    char *out = r->doc->text + r->doc->text_size, *from = out;
    while (at < end && (uint8_t)(*at - 0x20) < 0x5f && *at != '"' && *at != '\\') *out++ = *at++;
    r->at = at;
    r->doc->text_size += (size_t)(out - from);
}

// Decodes the string whose opening quote is at r->at.
static int sykli__json_string(sykli__json_reader *r, uint32_t *out, uint32_t *out_size)
{
    sykli_json_doc *doc = r->doc;
    const char *start = r->at++;
    *out = (uint32_t)doc->text_size;
    for (;;) {
        sykli__json_plain(r);
        if (r->at == r->end || *r->at == '"') break;
        if (*r->at == '\\') {
            int rc = sykli__json_escape(r);
            if (rc) return rc;
            continue;
        }
        if ((uint8_t)*r->at < 0x20)
            return sykli__json_refuse(r, SYKLI_EPARSE, r->at,
                                      "a control character in a string; write it as \\u00XX");
        size_t step = sykli__base_utf8_step((const uint8_t *)r->at, (size_t)(r->end - r->at));
        if (!step) return sykli__json_refuse(r, SYKLI_EPARSE, r->at, "not valid UTF-8");
        memcpy(doc->text + doc->text_size, r->at, step);
        doc->text_size += step;
        r->at += step;
    }
    if (!sykli__json_take(r, '"'))
        return sykli__json_refuse(r, SYKLI_EPARSE, start, "the string has no end");
    *out_size = (uint32_t)doc->text_size - *out;
    doc->text[doc->text_size++] = 0;
    return 0;
}

static int sykli__json_number(sykli__json_reader *r, sykli_json_node *node)
{
    const char *start = r->at;
    sykli__json_take(r, '-');
    if (!sykli__json_digit(r)) return sykli__json_expected(r, "a digit");
    if (sykli__json_take(r, '0') && sykli__json_digit(r))
        return sykli__json_refuse(r, SYKLI_EPARSE, start, "a number with leading zeros");
    while (sykli__json_digit(r)) r->at++;
    if (sykli__json_take(r, '.')) {
        if (!sykli__json_digit(r)) return sykli__json_expected(r, "a digit after '.'");
        while (sykli__json_digit(r)) r->at++;
    }
    if (sykli__json_take(r, 'e') || sykli__json_take(r, 'E')) {
        if (!sykli__json_take(r, '-')) sykli__json_take(r, '+');
        if (!sykli__json_digit(r)) return sykli__json_expected(r, "a digit of the exponent");
        while (sykli__json_digit(r)) r->at++;
    }
    node->type = SYKLI_JSON_number;
    node->text = (uint32_t)r->doc->text_size;
    node->text_size = (uint32_t)(r->at - start);
    memcpy(r->doc->text + node->text, start, node->text_size);
    r->doc->text_size += node->text_size + 1u;
    r->doc->text[r->doc->text_size - 1] = 0;
    return 0;
}

// A string, a number or a word.
static int sykli__json_scalar(sykli__json_reader *r, sykli_json_node *node)
{
    static const struct { const char *word; sykli_json_type type; } words[] = {
        { "null", SYKLI_JSON_null }, { "false", SYKLI_JSON_false }, { "true", SYKLI_JSON_true } };
    if (r->at < r->end && *r->at == '"') {
        node->type = SYKLI_JSON_string;
        return sykli__json_string(r, &node->text, &node->text_size);
    }
    if (sykli__json_digit(r) || (r->at < r->end && *r->at == '-'))
        return sykli__json_number(r, node);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t size = strlen(words[i].word);
        if ((size_t)(r->end - r->at) < size || memcmp(r->at, words[i].word, size)) continue;
        node->type = (uint8_t)words[i].type;
        r->at += size;
        return 0;
    }
    return sykli__json_expected(r, "a value");
}

// Adds a node at the current position.   returns its index or the error
static int64_t sykli__json_node_add(sykli__json_reader *r)
{
    sykli_json_doc *doc = r->doc;
    size_t capacity = doc->capacity;
    if (doc->count == SYKLI__JSON_NODES_MAX)
        return sykli__json_refuse(r, SYKLI_ELIMIT, r->at, "too_large: more than 2^24 values");
    if (doc->count == doc->capacity
        && !sykli__base_room(doc->mem, SYKLI_TAG_json, &doc->nodes, &capacity, doc->count,
                             sizeof *doc->nodes, SYKLI__JSON_NODES_MAX))
        return sykli_fail(r->fault, SYKLI_ENOMEM, "no memory for a JSON document");
    doc->capacity = (uint32_t)capacity;
    doc->nodes[doc->count] = (sykli_json_node){ .line = r->line,
                                                .column = sykli__json_column(r, r->at) };
    return doc->count++;
}

static int sykli__json_key_order(const void *a, const void *b, void *user)
{
    const sykli_json_doc *doc = (const sykli_json_doc *)user;
    uint32_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    const sykli_json_node *x = &doc->nodes[left], *y = &doc->nodes[right];
    if (x->key_size != y->key_size) return x->key_size < y->key_size ? -1 : 1;
    return memcmp(doc->text + x->key, doc->text + y->key, x->key_size);
}

// The first member of `order` (all members, in reading order) that has the key of an earlier one.
// Sorting keeps an object of a million hostile keys at n log n without a secret for a hash.
static uint32_t sykli__json_twin(sykli_json_doc *doc, uint32_t *order, uint32_t count,
                                 uint32_t *earlier)
{
    uint32_t twin = 0;
    if (count > SYKLI__JSON_FEW)
        sykli_sort(order, count, sizeof *order, order + count, sykli__json_key_order, doc);
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t j = count > SYKLI__JSON_FEW ? i - 1 : 0; j < i; j++)
            if (!sykli__json_key_order(&order[i], &order[j], doc)
                && (!twin || order[i] < twin)) {
                twin = order[i];
                *earlier = order[j];
            }
    return twin;
}

// Refuses an object that has a key twice; r->at may stand behind it.
static int sykli__json_keys_check(sykli__json_reader *r, uint32_t object)
{
    sykli_json_doc *doc = r->doc;
    uint32_t few[SYKLI__JSON_FEW], *order = few, count = doc->nodes[object].count, earlier = 0;
    size_t size = 2 * (size_t)count * sizeof *order;
    if (count > SYKLI__JSON_FEW)
        order = (uint32_t *)sykli_mem_resize(doc->mem, SYKLI_TAG_json, NULL, 0, size);
    if (!order) return sykli_fail(r->fault, SYKLI_ENOMEM, "no memory for a JSON document");
    for (uint32_t i = 0, at = object + 1; i < count; i++, at = doc->nodes[at].next) order[i] = at;
    uint32_t twin = sykli__json_twin(doc, order, count, &earlier);
    if (order != few) sykli_mem_resize(doc->mem, SYKLI_TAG_json, order, size, 0);
    if (!twin) return 0;
    const sykli_json_node *second = &doc->nodes[twin], *first = &doc->nodes[earlier];
    return sykli_fail(r->fault, SYKLI_EINVAL,
                      "%u:%u: duplicate_key: \"%.64s\" has a second value; the first is at %u:%u",
                      (unsigned)second->line, (unsigned)second->column, doc->text + second->key,
                      (unsigned)first->line, (unsigned)first->column);
}

// Reads one value with all below it.
static int sykli__json_value(sykli__json_reader *r, int depth)
{
    sykli_json_doc *doc = r->doc;
    sykli__json_space(r);
    int64_t self = sykli__json_node_add(r);
    if (self < 0) return (int)self;
    bool object = r->at < r->end && *r->at == '{', array = r->at < r->end && *r->at == '[';
    if (!object && !array) {
        int rc = sykli__json_scalar(r, &doc->nodes[self]);
        doc->nodes[self].next = doc->count;
        return rc;
    }
    if (depth == SYKLI_JSON_DEPTH_MAX)
        return sykli__json_refuse(r, SYKLI_ELIMIT, r->at, "too_deep: nested more than 64 levels");
    doc->nodes[self].type = object ? SYKLI_JSON_object : SYKLI_JSON_array;
    char close = object ? '}' : ']';
    bool twins = false; // it may have some
    r->at++;
    sykli__json_space(r);
    while (!sykli__json_take(r, close)) {
        uint32_t key = 0, key_size = 0, child = doc->count;
        if (doc->nodes[self].count && !sykli__json_take(r, ','))
            return sykli__json_expected(r, object ? "',' or '}'" : "',' or ']'");
        sykli__json_space(r);
        if (object) {
            if (r->at == r->end || *r->at != '"') return sykli__json_expected(r, "a key in quotes");
            int rc = sykli__json_string(r, &key, &key_size);
            if (rc) return rc;
            sykli__json_space(r);
            if (!sykli__json_take(r, ':')) return sykli__json_expected(r, "':' after the key");
        }
        int rc = sykli__json_value(r, depth + 1);
        if (rc) return rc;
        doc->nodes[child].key = key;
        doc->nodes[child].key_size = key_size;
        doc->nodes[self].count++;
        uint32_t bit = object ? sykli__json_bit(doc->text + key) : 0;
        twins = twins || (doc->nodes[self].text & bit);
        doc->nodes[self].text |= bit;
        sykli__json_space(r);
    }
    doc->nodes[self].next = doc->count;
    return twins ? sykli__json_keys_check(r, (uint32_t)self) : 0;
}

void sykli_json_free(sykli_json_doc *doc)
{
    if (doc->nodes)
        sykli_mem_resize(doc->mem, SYKLI_TAG_json, doc->nodes, doc->capacity * sizeof *doc->nodes,
                         0);
    if (doc->text) sykli_mem_resize(doc->mem, SYKLI_TAG_json, doc->text, doc->text_capacity, 0);
    memset(doc, 0, sizeof *doc);
}

int sykli_json_parse(sykli_json_doc *doc, sykli_mem *m, const char *text, size_t size,
                     sykli_fault *f)
{
    memset(doc, 0, sizeof *doc);
    doc->mem = m;
    if (!size) text = ""; // an empty buffer has no memory
    sykli__json_reader r = { doc, f, text, text + size, text, 1 };
    if (size > SYKLI_JSON_SIZE_MAX)
        return sykli__json_refuse(&r, SYKLI_ELIMIT, text, "too_large: more than 64 MiB");
    // Each string has its quotes and each number a separator to pay for its NUL, but for a lone
    // number; offset 0 is kept for "no key".
    doc->text = (char *)sykli__base_resize(m, SYKLI_TAG_json, NULL, 0, size + 2);
    if (!doc->text) return sykli_fail(f, SYKLI_ENOMEM, "no memory for a JSON document");
    doc->text_capacity = size + 2;
    doc->text_size = 1;
    *doc->text = 0;
    int rc = sykli__json_value(&r, 0);
    sykli__json_space(&r);
    if (!rc && r.at < r.end) rc = sykli__json_expected(&r, "the end of the document");
    if (rc) sykli_json_free(doc);
    return rc;
}

static bool sykli__json_there(const sykli_json_doc *doc, uint32_t node, sykli_json_type type)
{
    return node < doc->count && doc->nodes[node].type == type;
}

SYKLI__APART uint32_t sykli_json_first(const sykli_json_doc *doc, uint32_t container)
{
    return container < doc->count && doc->nodes[container].count ? container + 1 : 0;
}

SYKLI__APART uint32_t sykli_json_next(const sykli_json_doc *doc, uint32_t container, uint32_t child)
{
    if (container >= doc->count || child >= doc->count) return 0;
    uint32_t next = doc->nodes[child].next;
    return next < doc->nodes[container].next ? next : 0;
}

// The member of that name, null or not.
static uint32_t sykli__json_find(const sykli_json_doc *doc, uint32_t object, const char *key)
{
    if (!sykli__json_there(doc, object, SYKLI_JSON_object)
        || !(doc->nodes[object].text & sykli__json_bit(key)))
        return 0;
    uint32_t end = doc->nodes[object].next;
    for (uint32_t at = object + 1; at < end; at = doc->nodes[at].next) {
        const char *name = doc->text + doc->nodes[at].key; // no key has a NUL
        if (*name == *key && !strcmp(name, key)) return at;
    }
    return 0;
}

bool sykli_json_member(const sykli_json_doc *doc, uint32_t object, const char *key)
{
    return sykli__json_find(doc, object, key) != 0;
}

SYKLI__APART uint32_t sykli_json_get(const sykli_json_doc *doc, uint32_t object, const char *key)
{
    uint32_t at = sykli__json_find(doc, object, key);
    return at && doc->nodes[at].type != SYKLI_JSON_null ? at : 0;
}

SYKLI__APART const char *sykli_json_text(const sykli_json_doc *doc, uint32_t node)
{
    if (!sykli__json_there(doc, node, SYKLI_JSON_string)) return NULL;
    return doc->text + doc->nodes[node].text;
}

const char *sykli_json_key(const sykli_json_doc *doc, uint32_t node)
{
    return node < doc->count && doc->nodes[node].key ? doc->text + doc->nodes[node].key : NULL;
}

// The decimal integer that is all of `text`.   returns false: another form, or too large
static bool sykli__json_whole(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10) return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool sykli_json_u64(const sykli_json_doc *doc, uint32_t node, uint64_t *out)
{
    return sykli__json_there(doc, node, SYKLI_JSON_number)
        && sykli__json_whole(doc->text + doc->nodes[node].text, out);
}

bool sykli_json_i64(const sykli_json_doc *doc, uint32_t node, int64_t *out)
{
    if (!sykli__json_there(doc, node, SYKLI_JSON_number)) return false;
    const char *text = doc->text + doc->nodes[node].text;
    bool negative = *text == '-';
    uint64_t value;
    if (!sykli__json_whole(text + negative, &value) || value > (uint64_t)INT64_MAX + negative)
        return false;
    *out = !negative ? (int64_t)value : value ? -(int64_t)(value - 1) - 1 : 0;
    return true;
}
SYKLI_FAST_END

// Whole numbers of up to 1,024 bits, the lowest first.
typedef struct sykli__json_big { uint32_t word[32]; } sykli__json_big;

static void sykli__json_big_raise(sykli__json_big *b, uint32_t base, int times)
{
    while (times > 0) {
        uint32_t factor = 1;
        uint64_t carry = 0;
        for (int i = 0; i < 13 && times > 0; i++, times--) factor *= base; // 5^13: no more fits
        for (int i = 0; i < 32; i++, carry >>= 32) {
            carry += (uint64_t)b->word[i] * factor;
            b->word[i] = (uint32_t)carry;
        }
    }
}

// Whether digits * 10^exponent is below (-1), at (0) or above (1) the middle between the double
// that has these bits and the next larger one.
static int sykli__json_beside(uint64_t digits, int exponent, uint64_t bits)
{
    int power = (int)(bits >> 52);
    uint64_t half = bits & ((UINT64_C(1) << 52) - 1);
    if (power) half |= UINT64_C(1) << 52;
    else power = 1;
    half = 2 * half + 1;
    power -= 1076;
    sykli__json_big ours = { { (uint32_t)digits, (uint32_t)(digits >> 32) } };
    sykli__json_big middle = { { (uint32_t)half, (uint32_t)(half >> 32) } };
    sykli__json_big_raise(&ours, 5, exponent);
    sykli__json_big_raise(&middle, 5, -exponent);
    sykli__json_big_raise(&ours, 2, exponent - power);
    sykli__json_big_raise(&middle, 2, power - exponent);
    for (int i = 31; i >= 0; i--)
        if (ours.word[i] != middle.word[i]) return ours.word[i] < middle.word[i] ? -1 : 1;
    return 0;
}

// The double nearest to digits * 10^exponent, of two the even one: what floating point finds is a
// few units off in the last place, and is led to its place by exact comparisons (Clinger 1990,
// AlgorithmR).
static double sykli__json_nearest(uint64_t digits, int exponent)
{
    const uint64_t beyond = UINT64_C(0x7ff) << 52;
    double value = (double)digits, power = 1, base = 10;
    bool divide = exponent < 0;
    if (!digits || exponent < -343) return 0;
    if (exponent > 309) exponent = 309; // is beyond what a double can hold, all the same
    int steps = divide ? -exponent : exponent;
    // What is left beyond 10^300 goes in a second step, so that tiny numbers do not vanish early.
    if (steps > 300) {
        value = divide ? value / 1e300 : value * 1e300;
        steps -= 300;
    }
    for (; steps; steps >>= 1, base *= base)
        if (steps & 1) power *= base;
    value = divide ? value / power : value * power;
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    while (bits < beyond && sykli__json_beside(digits, exponent, bits) >= !(bits & 1)) bits++;
    while (bits && sykli__json_beside(digits, exponent, bits - 1) <= -!(bits & 1)) bits--;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// The value of a number of JSON's grammar; strtod would follow the host's locale. Exact for up to
// 18 digits, those behind them are not looked at.
static double sykli__json_decimal(const char *text)
{
    const char *p = text + (*text == '-');
    uint64_t digits = 0;
    int scale = 0, exponent = 0;
    bool point = false;
    for (; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') {
            point = true;
        } else if (digits < UINT64_MAX / 16) {
            digits = digits * 10 + (uint64_t)(*p - '0');
            scale -= point && scale > -100000;
        } else {
            scale += !point && scale < 100000;
        }
    }
    if (*p == 'e' || *p == 'E') {
        bool minus = *++p == '-';
        for (p += *p == '-' || *p == '+'; *p; p++)
            if (exponent < 100000) exponent = exponent * 10 + (*p - '0');
        if (minus) exponent = -exponent;
    }
    double value = sykli__json_nearest(digits, scale + exponent);
    return *text == '-' ? -value : value;
}

bool sykli_json_f64(const sykli_json_doc *doc, uint32_t node, double *out)
{
    if (!sykli__json_there(doc, node, SYKLI_JSON_number)) return false;
    double value = sykli__json_decimal(doc->text + doc->nodes[node].text);
    if (value - value != 0) return false; // beyond what a double can hold
    *out = value;
    return true;
}

SYKLI_FAST_BEGIN
bool sykli_json_bool(const sykli_json_doc *doc, uint32_t node, bool fallback)
{
    if (sykli__json_there(doc, node, SYKLI_JSON_true)) return true;
    return sykli__json_there(doc, node, SYKLI_JSON_false) ? false : fallback;
}

const char *sykli_arg_text(const sykli_json_doc *args, const char *name, const char *fallback)
{
    const char *text = sykli_json_text(args, sykli_json_get(args, 0, name));
    return text ? text : fallback;
}

uint64_t sykli_arg_u64(const sykli_json_doc *args, const char *name, uint64_t fallback)
{
    uint64_t value;
    return sykli_json_u64(args, sykli_json_get(args, 0, name), &value) ? value : fallback;
}

// Appends one character of `step` bytes. Control characters, C1 too, are escaped, so that JSON on a
// terminal cannot drive it.
static int sykli__json_quote_one(sykli_buf *b, const uint8_t *p, size_t step)
{
    static const char names[] = "bfnrt\"\\", values[] = "\b\f\n\r\t\"\\";
    const char *short_form = *p ? strchr(values, *p) : NULL;
    if (short_form) return sykli_buf_print(b, "\\%c", names[short_form - values]);
    if (*p < 0x20 || *p == 0x7f) return sykli_buf_print(b, "\\u%04x", *p);
    if (*p == 0xc2 && p[1] < 0xa0) return sykli_buf_print(b, "\\u%04x", p[1]);
    return sykli_buf_add(b, p, step);
}

int sykli_json_quote(sykli_buf *b, const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + size;
    while (p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') p++;
    uint8_t *at = p == end ? sykli_buf_grow(b, size + 3) : NULL;
    if (at) { // most texts
        *at++ = '"';
        if (size) memcpy(at, text, size);
        memcpy(at + size, "\"", 2);
        b->size += size + 2;
        return 0;
    }
    p = (const uint8_t *)text;
    sykli_buf_text(b, "\"");
    while (p < end) {
        const uint8_t *plain = p;
        while (p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\') p++;
        if (p > plain) sykli_buf_add(b, plain, (size_t)(p - plain));
        if (p == end) break;
        size_t step = sykli__base_utf8_step(p, (size_t)(end - p));
        if (step) sykli__json_quote_one(b, p, step);
        else sykli_buf_text(b, "\xef\xbf\xbd");
        p += step ? step : 1;
    }
    return sykli_buf_text(b, "\"");
}
SYKLI_FAST_END

// >>glob ---- pattern matching, no file access
// A pattern is a small automaton whose states are its own positions; all states a path may be in
// are carried along together (Thompson 1968), so no pattern can make matching explode. A name that
// begins with a dot is matched only where the pattern has that dot, and .git and .sykli only where
// they are spelt out. There is no escape: a special character is written as a class, "[*]".
SYKLI_FAST_BEGIN

typedef enum sykli__glob_op {
    SYKLI__GLOB_LITERAL,
    SYKLI__GLOB_ANY,
    SYKLI__GLOB_STAR,
    SYKLI__GLOB_CLASS,   // link: behind its ']'
    SYKLI__GLOB_OPEN,    // link: the first ',' or '}' of its alternatives
    SYKLI__GLOB_NEXT,    // link: the next ',' or '}'
    SYKLI__GLOB_CLOSE,
    SYKLI__GLOB_DEEP,    // the first star of "**", a component of its own: at a name's start
    SYKLI__GLOB_DEEP_IN  // its second star: within a name
} sykli__glob_op;

typedef struct sykli__glob_program {
    const char *text;
    size_t size;
    uint8_t op[SYKLI_GLOB_MAX + 1];
    uint16_t link[SYKLI_GLOB_MAX + 1];
} sykli__glob_program;

// A set of positions; none is outside low..high.
typedef struct sykli__glob_set {
    uint64_t bits[SYKLI_GLOB_MAX / 64 + 1];
    size_t low, high;
} sykli__glob_set;

// The next character of the path and what may match it.
typedef struct sykli__glob_step {
    const char *at;
    size_t size;        // bytes
    bool dot;           // the first of a name, and a dot: only a dot of the pattern
    bool spelt;         // within .git or .sykli: only literals
} sykli__glob_step;

// Behind the class that begins at `at`, 0 if it has no end in this component.
static size_t sykli__glob_class_end(const char *text, size_t at)
{
    at += text[at + 1] == '!' || text[at + 1] == '^' ? 2 : 1;
    if (text[at] == ']') at++;
    while (text[at] && text[at] != ']' && text[at] != '/') at++;
    return text[at] == ']' ? at + 1 : 0;
}

static size_t sykli__glob_char_size(const char *text)
{
    size_t step = sykli__base_utf8_step((const uint8_t *)text, strnlen(text, 4));
    return step ? step : 1;
}

static uint32_t sykli__glob_char(const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text;
    if (size == 1) return p[0];
    uint32_t c = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) c = c << 6 | (p[i] & 0x3fu);
    return c;
}

static bool sykli__glob_class_has(const char *text, size_t at, size_t end, uint32_t c)
{
    bool negated = text[at + 1] == '!' || text[at + 1] == '^', found = false;
    for (at += negated ? 2 : 1; at < end - 1;) {
        size_t size = sykli__glob_char_size(text + at);
        uint32_t first = sykli__glob_char(text + at, size), last = first;
        at += size;
        if (text[at] == '-' && at + 1 < end - 1) {
            size = sykli__glob_char_size(++at + text);
            last = sykli__glob_char(text + at, size);
            at += size;
        }
        found |= c >= first && c <= last;
    }
    return found != negated;
}

// Marks the braces of one group: `open` links to its separators, the last of which is `close`.
static void sykli__glob_group(sykli__glob_program *g, size_t open, size_t close)
{
    g->op[open] = SYKLI__GLOB_OPEN;
    for (size_t at = g->link[open]; at != close; at = g->link[at]) g->op[at] = SYKLI__GLOB_NEXT;
    g->op[close] = SYKLI__GLOB_CLOSE;
}

static void sykli__glob_compile(sykli__glob_program *g, const char *text, size_t size)
{
    enum { depth_max = 16 };
    struct { size_t open, last; } groups[depth_max];
    int depth = 0;
    g->text = text;
    g->size = size;
    for (size_t at = 0, next; at < size; at = next) {
        char c = text[at];
        size_t class_end = c == '[' ? sykli__glob_class_end(text, at) : 0;
        next = class_end ? class_end : at + 1;
        g->op[at] = class_end ? SYKLI__GLOB_CLASS : c == '?' ? SYKLI__GLOB_ANY
                  : c == '*' ? SYKLI__GLOB_STAR : SYKLI__GLOB_LITERAL;
        g->link[at] = (uint16_t)next;
        if (c == '*' && text[next] == '*' && (!at || text[at - 1] == '/')
            && (!text[next + 1] || text[next + 1] == '/')) {
            g->op[at] = SYKLI__GLOB_DEEP;
            g->op[next++] = SYKLI__GLOB_DEEP_IN;
        }
        if (c == '/') depth = 0; // a brace without its end in this component is a plain character
        if (c == '{' && depth < depth_max) {
            groups[depth].open = groups[depth].last = at;
            depth++;
        }
        if ((c == ',' || c == '}') && depth) {
            g->link[groups[depth - 1].last] = (uint16_t)at;
            groups[depth - 1].last = at;
            if (c == '}') sykli__glob_group(g, groups[--depth].open, at);
        }
    }
}

static void sykli__glob_put(sykli__glob_set *set, size_t at)
{
    set->bits[at / 64] |= 1ull << at % 64;
    if (at < set->low) set->low = at;
    if (at > set->high) set->high = at;
}

static void sykli__glob_clear(sykli__glob_set *set)
{
    for (size_t i = set->low / 64; i <= set->high / 64 && set->low <= set->high; i++)
        set->bits[i] = 0;
    set->low = SYKLI_GLOB_MAX;
    set->high = 0;
}

// Adds the states that can be reached from the one at `at` without a character; they are all behind
// it.    step  NULL at the end of the path
static void sykli__glob_slip(const sykli__glob_program *g, sykli__glob_set *set, size_t at,
                             const sykli__glob_step *step)
{
    size_t to = at;
    switch ((sykli__glob_op)g->op[at]) {
    case SYKLI__GLOB_STAR:
        if (!step || !step->dot) sykli__glob_put(set, at + 1);
        break;
    case SYKLI__GLOB_OPEN:
        do {
            sykli__glob_put(set, to + 1);
            to = g->link[to];
        } while (g->op[to] == SYKLI__GLOB_NEXT);
        break;
    case SYKLI__GLOB_NEXT:
    case SYKLI__GLOB_CLOSE:
        while (g->op[to] == SYKLI__GLOB_NEXT) to = g->link[to];
        sykli__glob_put(set, to + 1);
        break;
    case SYKLI__GLOB_DEEP:
        if (at + 2 < g->size) sykli__glob_put(set, at + 3);
        break;
    case SYKLI__GLOB_DEEP_IN:
        if (at + 1 == g->size) sykli__glob_put(set, at + 1);
        break;
    case SYKLI__GLOB_LITERAL:
    case SYKLI__GLOB_ANY:
    case SYKLI__GLOB_CLASS: break;
    }
}

// Adds to `to` the states that the character leads to from the one at `at`.
static void sykli__glob_consume(const sykli__glob_program *g, sykli__glob_set *to, size_t at,
                                const sykli__glob_step *step)
{
    sykli__glob_op op = (sykli__glob_op)g->op[at];
    if (op == SYKLI__GLOB_LITERAL) {
        if (!strncmp(g->text + at, step->at, step->size)) sykli__glob_put(to, at + step->size);
        return;
    }
    if (*step->at == '/') {
        if (op == SYKLI__GLOB_DEEP_IN) sykli__glob_put(to, at - 1);
        return;
    }
    if (step->dot || step->spelt) return;
    if (op == SYKLI__GLOB_ANY || op == SYKLI__GLOB_DEEP) sykli__glob_put(to, at + 1);
    if (op == SYKLI__GLOB_STAR || op == SYKLI__GLOB_DEEP_IN) sykli__glob_put(to, at);
    if (op == SYKLI__GLOB_CLASS
        && sykli__glob_class_has(g->text, at, g->link[at],
                                 sykli__glob_char(step->at, step->size)))
        sykli__glob_put(to, g->link[at]);
}

// Moves all states over one character, or to where they end if there is none.
static void sykli__glob_advance(const sykli__glob_program *g, sykli__glob_set *from,
                                sykli__glob_set *to, const sykli__glob_step *step)
{
    for (size_t at = from->low; at <= from->high && at < g->size; at++) {
        if (!(from->bits[at / 64] >> at % 64 & 1)) continue;
        sykli__glob_slip(g, from, at, step);
        if (step) sykli__glob_consume(g, to, at, step);
    }
}

static bool sykli__glob_is_name(const char *path, const char *name)
{
    size_t size = strlen(name);
    return !strncmp(path, name, size) && (!path[size] || path[size] == '/');
}

size_t sykli_glob_fixed(const char *pattern)
{
    size_t fixed = 0;
    for (size_t i = 0; pattern[i] && !strchr("*?[{", pattern[i]); i++)
        if (pattern[i] == '/') fixed = i + 1;
    return fixed;
}

bool sykli_glob_match(const char *pattern, const char *path)
{
    size_t fixed = sykli_glob_fixed(pattern), size = strnlen(pattern, SYKLI_GLOB_MAX + 1);
    if (!*path || size > SYKLI_GLOB_MAX) return !*path && !*pattern;
    if (strncmp(pattern, path, fixed)) return false;
    sykli__glob_program g;
    sykli__glob_set sets[2], *from = &sets[0], *to = &sets[1];
    sykli__glob_step step = { path + fixed, 0, false, false };
    sykli__glob_compile(&g, pattern + fixed, size - fixed);
    memset(sets, 0, sizeof sets);
    sykli__glob_clear(to);
    for (from->low = from->high = 0, from->bits[0] = 1; *step.at; step.at += step.size) {
        bool start = step.at == path || step.at[-1] == '/';
        step.size = sykli__glob_char_size(step.at);
        step.dot = start && *step.at == '.';
        if (start)
            step.spelt = sykli__glob_is_name(step.at, ".git")
                      || sykli__glob_is_name(step.at, ".sykli");
        sykli__glob_advance(&g, from, to, &step);
        sykli__glob_set *swap = from;
        from = to;
        to = swap;
        sykli__glob_clear(to);
        if (from->low > from->high) return false;
    }
    sykli__glob_advance(&g, from, to, NULL);
    return from->bits[g.size / 64] >> g.size % 64 & 1;
}
SYKLI_FAST_END

// >>emit ---- the graph as pipeline JSON, for programs that are a pipeline
// The one section that stands alone: the node carries it, with the part of the public half that it
// needs, for compiling pipelines written in C. There it has a context of its own, below, that can
// do nothing but print; `sykli run` reads what is printed and says what is wrong with it.

typedef struct sykli__emit_to {
    int (*add)(void *to, const void *data, size_t size);
    void *to;
} sykli__emit_to;

static void sykli__emit_text(const sykli__emit_to *e, const char *text)
{
    e->add(e->to, text, strlen(text));
}

static void sykli__emit_quote(const sykli__emit_to *e, const char *text)
{
    char code[8];
    sykli__emit_text(e, "\"");
    for (const char *p = text ? text : "", *plain; *p; p += *p != 0) {
        for (plain = p; (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\'; p++) {}
        e->add(e->to, plain, (size_t)(p - plain));
        if (!*p) break;
        snprintf(code, sizeof code, "\\u%04x", (unsigned)(unsigned char)*p);
        sykli__emit_text(e, code);
    }
    sykli__emit_text(e, "\"");
}

static void sykli__emit_member(const sykli__emit_to *e, const char *key, const char *value)
{
    if (!value) return;
    sykli__emit_text(e, key);
    sykli__emit_quote(e, value);
}

static void sykli__emit_number(const sykli__emit_to *e, const char *key, uint32_t value)
{
    char text[16];
    if (!value) return;
    snprintf(text, sizeof text, "%lu", (unsigned long)value);
    sykli__emit_text(e, key);
    sykli__emit_text(e, text);
}

// An inline list and the longer one behind it; `key` ends with the opening bracket.
static void sykli__emit_list(const sykli__emit_to *e, const char *key, const char *const *inl,
                             const char *const *list, size_t count)
{
    size_t first = 0;
    while (first < SYKLI_INLINE_MAX && inl[first]) first++;
    for (size_t i = 0; i < first + count; i++)
        sykli__emit_member(e, i ? "," : key, i < first ? inl[i] : list[i - first]);
    if (first + count) sykli__emit_text(e, "]");
}

static size_t sykli__emit_pair(const sykli__emit_to *e, const char *key, size_t number,
                               const char *name, const char *value)
{
    sykli__emit_text(e, number ? "," : key);
    sykli__emit_quote(e, name);
    sykli__emit_text(e, ":");
    sykli__emit_quote(e, value);
    return number + 1;
}

static void sykli__emit_pairs(const sykli__emit_to *e, const sykli_task_desc *t)
{
    size_t done = 0;
    for (size_t i = 0; i < SYKLI_INLINE_MAX && t->outputs[i].path; i++)
        done = sykli__emit_pair(e, ",\"outputs\":{", done, t->outputs[i].name, t->outputs[i].path);
    for (size_t i = 0; i < t->output_count; i++)
        done = sykli__emit_pair(e, ",\"outputs\":{", done, t->output_list[i].name,
                                t->output_list[i].value);
    if (done) sykli__emit_text(e, "}");
    done = 0;
    for (size_t i = 0; i < SYKLI_INLINE_MAX && t->env[i].name; i++)
        done = sykli__emit_pair(e, ",\"env\":{", done, t->env[i].name, t->env[i].value);
    for (size_t i = 0; i < t->env_count; i++)
        done = sykli__emit_pair(e, ",\"env\":{", done, t->env_list[i].name, t->env_list[i].value);
    if (done) sykli__emit_text(e, "}");
}

// A task but for what it waits for and the brace at its end.
static void sykli__emit_task(const sykli__emit_to *e, const sykli_task_desc *t)
{
    sykli__emit_member(e, "{\"name\":", t->name ? t->name : "");
    sykli__emit_member(e, ",\"command\":", t->command);
    sykli__emit_list(e, ",\"inputs\":[", t->inputs, t->input_list, t->input_count);
    sykli__emit_pairs(e, t);
    sykli__emit_list(e, ",\"secrets\":[", t->secrets, t->secret_list, t->secret_count);
    sykli__emit_member(e, ",\"workdir\":", t->workdir);
    sykli__emit_number(e, ",\"timeout\":", t->timeout_ms / 1000 + (t->timeout_ms % 1000 != 0));
    sykli__emit_number(e, ",\"stall\":", t->stall_ms / 1000 + (t->stall_ms % 1000 != 0));
    sykli__emit_number(e, ",\"retry\":", t->retries);
    sykli__emit_number(e, ",\"processes\":", t->processes_max);
    sykli__emit_text(e, t->pty ? ",\"pty\":true" : "");
    sykli__emit_text(e, t->no_cache ? ",\"no_cache\":true" : "");
    sykli__emit_text(e, t->skip_reason ? ",\"when\":\"false\"" : "");
    sykli__emit_text(e, t->held ? ",\"gate\":{\"strategy\":\"prompt\"}" : "");
    sykli__emit_text(e, t->may_fail ? ",\"ai_hooks\":{\"on_fail\":\"skip\"}" : "");
    if (!t->extra || !*t->extra) return;
    sykli__emit_text(e, ",");
    sykli__emit_text(e, t->extra);
}

// The name of a task that is waited for, the `number`th.
static void sykli__emit_before(const sykli__emit_to *e, size_t number, const char *name)
{
    sykli__emit_member(e, number ? "," : ",\"depends_on\":[", name);
}

// What a task takes in, the `number`th of `count`, from the task of that name.
static void sykli__emit_intake(const sykli__emit_to *e, size_t number, size_t count,
                               const char *name, const char *output, const char *dest)
{
    sykli__emit_member(e, number ? ",{\"from_task\":" : ",\"task_inputs\":[{\"from_task\":", name);
    sykli__emit_member(e, ",\"output\":", output);
    sykli__emit_member(e, ",\"dest\":", dest);
    sykli__emit_text(e, number + 1 < count ? "}" : "}]");
}

static bool sykli__emit_asked(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--emit")) return true;
    return false;
}

#define SYKLI__EMIT_HEAD "{\"version\":\"4\",\"tasks\":["

#if defined(SYKLI_EMIT_ONLY)
typedef struct sykli__emit_piece {
    char *name, *text;
    size_t size, capacity, first, last; // numbers of its edges, from 1
} sykli__emit_piece;
typedef struct sykli__emit_edge { size_t before, next; } sykli__emit_edge;

struct sykli {
    int code;
    const char *message;
    sykli__emit_piece *pieces;
    sykli__emit_edge *edges;
    size_t count, edge_count;
};

static int sykli__emit_fail(sykli *s, int code, const char *message)
{
    if (!s->code) s->message = message;
    if (!s->code) s->code = code;
    return code;
}

static int sykli__emit_grow(void *to, const void *data, size_t size)
{
    sykli__emit_piece *p = (sykli__emit_piece *)to;
    while (p->text && p->size + size > p->capacity) {
        p->capacity *= 2;
        p->text = (char *)realloc(p->text, p->capacity);
    }
    if (!p->text) return SYKLI_ENOMEM;
    memcpy(p->text + p->size, data, size);
    p->size += size;
    return 0;
}

// Room for one more in an array that doubles at each power of two.    returns  false: no memory
static bool sykli__emit_room(sykli *s, void **array, size_t count, size_t size)
{
    void *grown = count & (count - 1) ? *array : realloc(*array, (count ? 2 * count : 1) * size);
    if (grown) *array = grown;
    else sykli__emit_fail(s, SYKLI_ENOMEM, "out of memory");
    return grown != NULL;
}

sykli *sykli_open(const sykli_desc *desc)
{
    (void)desc; // what runs the graph decides how
    return (sykli *)calloc(1, sizeof(sykli));
}

const char *sykli_errmsg(const sykli *s) { return s->code ? s->message : ""; }
int sykli_error(const sykli *s) { return s->code; }

int sykli_add_after(sykli *s, sykli_task task, sykli_task before)
{
    if (task.id - 1 >= s->count || before.id - 1 >= s->count)
        return sykli__emit_fail(s, SYKLI_ESTALE, "after: no such task");
    void *edges = s->edges;
    if (!sykli__emit_room(s, &edges, s->edge_count, sizeof *s->edges)) return SYKLI_ENOMEM;
    s->edges = (sykli__emit_edge *)edges;
    sykli__emit_piece *p = &s->pieces[task.id - 1];
    s->edges[s->edge_count].before = (size_t)before.id - 1;
    s->edges[s->edge_count++].next = 0;
    if (p->last) s->edges[p->last - 1].next = s->edge_count;
    else p->first = s->edge_count;
    p->last = s->edge_count;
    return 0;
}

sykli_task sykli_add(sykli *s, const sykli_task_desc *desc)
{
    sykli_task task = { 0 };
    void *pieces = s->pieces;
    if (!sykli__emit_room(s, &pieces, s->count, sizeof *s->pieces)) return task;
    s->pieces = (sykli__emit_piece *)pieces;
    sykli__emit_piece *p = &s->pieces[s->count];
    const char *name = desc->name ? desc->name : "";
    memset(p, 0, sizeof *p);
    p->capacity = 256;
    p->text = (char *)malloc(p->capacity);
    p->name = (char *)malloc(strlen(name) + 1);
    if (!p->text || !p->name) {
        sykli__emit_fail(s, SYKLI_ENOMEM, "out of memory");
        return task;
    }
    memcpy(p->name, name, strlen(name) + 1);
    sykli__emit_to to = { sykli__emit_grow, p };
    sykli__emit_task(&to, desc);
    task.id = ++s->count;
    for (size_t i = 0; i < SYKLI_INLINE_MAX && desc->after[i].id; i++)
        sykli_add_after(s, task, desc->after[i]);
    for (size_t i = 0; i < desc->after_count; i++) sykli_add_after(s, task, desc->after_list[i]);
    for (size_t i = 0; i < desc->intake_count; i++) {
        const sykli_intake *in = &desc->intake_list[i];
        if (sykli_add_after(s, task, in->from)) return task;
        sykli__emit_intake(&to, i, desc->intake_count, s->pieces[in->from.id - 1].name, in->output,
                           in->dest);
    }
    if (desc->accept || desc->given_count)
        sykli__emit_fail(s, SYKLI_EUNSUPPORTED, "`accept` and `given_list` cannot be printed");
    return task;
}

sykli_task sykli_find(sykli *s, const char *name)
{
    sykli_task task = { 0 };
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->pieces[i].name, name)) task.id = i + 1;
    return task;
}

int sykli_run(sykli *s)
{
    return sykli__emit_fail(s, SYKLI_EUNSUPPORTED, "a pipeline is run by `sykli run`: end the "
                            "program with `return sykli_main(s, argc, argv);`");
}

void sykli_close(sykli *s)
{
    for (size_t i = 0; s && i < s->count; i++) {
        free(s->pieces[i].name);
        free(s->pieces[i].text);
    }
    if (s) free(s->pieces);
    if (s) free(s->edges);
    free(s);
}

static int sykli__emit_print(sykli *s)
{
    fputs(SYKLI__EMIT_HEAD, stdout);
    for (size_t i = 0; i < s->count; i++) {
        sykli__emit_piece *p = &s->pieces[i];
        sykli__emit_to to = { sykli__emit_grow, p };
        size_t number = 0;
        for (size_t e = p->first; e; e = s->edges[e - 1].next)
            sykli__emit_before(&to, number++, s->pieces[s->edges[e - 1].before].name);
        sykli__emit_text(&to, number ? "]}" : "}");
        if (!p->text) return sykli__emit_fail(s, SYKLI_ENOMEM, "out of memory");
        fputs(i ? ",\n" : "\n", stdout);
        fwrite(p->text, 1, p->size, stdout);
    }
    fputs("\n]}\n", stdout);
    return fflush(stdout) ? sykli__emit_fail(s, SYKLI_EIO, "cannot write the graph") : 0;
}

int sykli_main(sykli *s, int argc, char **argv)
{
    int code = !s ? SYKLI_ENOMEM : s->code ? s->code
             : sykli__emit_asked(argc, argv) ? sykli__emit_print(s) : sykli_run(s);
    if (code) fprintf(stderr, "%s\n", s ? s->message : "out of memory");
    sykli_close(s);
    return code ? 2 : 0;
}
#endif // SYKLI_EMIT_ONLY

// >>table ---- columns, row values, the registry of tables
// A table is a name, an array of columns and a scan that emits rows; this section is all that knows
// how a row lies in memory. Rows may come from another process that was killed in the middle of a
// write, or that means harm: a value never leads outside its row and its heap, and what makes no
// sense is NULL.

#define SYKLI__TABLE_TABLES_MAX 128
#define SYKLI__TABLE_COLUMNS_MAX 64
#define SYKLI__TABLE_NAME_MAX 63
#define SYKLI__TABLE_TEXT_MAX SYKLI_COMMAND_MAX // bytes that are shown of a TEXT

typedef struct sykli__table_registry {
    sykli_mem *mem;
    sykli_table *tables; // in the order they were added
    size_t count, capacity;
    sykli_map by_name;   // to their index
} sykli__table_registry;

static void sykli__table_init(sykli__table_registry *r, sykli_mem *m, const uint64_t seed[2])
{
    memset(r, 0, sizeof *r);
    r->mem = m;
    sykli_map_init(&r->by_name, m, seed);
}

static void sykli__table_free(sykli__table_registry *r)
{
    if (r->tables)
        sykli_mem_resize(r->mem, SYKLI_TAG_table, r->tables, r->capacity * sizeof *r->tables, 0);
    sykli_map_free(&r->by_name);
    r->tables = NULL;
    r->count = r->capacity = 0;
}

static bool sykli__table_name_valid(const char *name)
{
    if (!name || *name < 'a' || *name > 'z') return false;
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return !name[size] && size <= SYKLI__TABLE_NAME_MAX;
}

// The size in a row of a value of that kind; 0: any (STR), -1: not the kind of a column.
static int sykli__table_kind_size(uint8_t kind)
{
    switch ((sykli_kind)kind) {
    case SYKLI_KIND_U64:
    case SYKLI_KIND_I64:
    case SYKLI_KIND_REF: return 8;
    case SYKLI_KIND_F64: return (int)sizeof(double);
    case SYKLI_KIND_TEXT: return (int)sizeof(char *);
    case SYKLI_KIND_ENUM:
    case SYKLI_KIND_BOOL: return 4;
    case SYKLI_KIND_STR: return 0;
    case SYKLI_KIND_NULL: break;
    }
    return -1;
}

// What is wrong with a column; NULL: nothing.
static const char *sykli__table_column_fault(const sykli_table *table, const sykli_column *c)
{
    int size = sykli__table_kind_size(c->kind);
    if (size < 0) return "has an unknown kind";
    if (size ? c->size != size : !c->size) return "has a size that is not that of its kind";
    if ((size_t)c->offset + c->size > table->row_size) return "lies outside the row";
    if (c->kind == SYKLI_KIND_ENUM && !c->names) return "is an ENUM without names";
    if (c->unit >= SYKLI_UNIT_COUNT) return "has an unknown unit";
    if (c->visibility != SYKLI_VISIBLE_secret
        && (c->visibility < SYKLI_VISIBLE_public || c->visibility > SYKLI_VISIBLE_local))
        return "has an unknown visibility";
    if (!strcmp(c->name, "node")) return "is there already: every table has it";
    for (const sykli_column *other = table->columns; other < c; other++)
        if (!strcmp(other->name, c->name)) return "is there twice";
    return NULL;
}

static int sykli__table_check(const sykli_table *table, sykli_fault *f)
{
    if (!sykli__table_name_valid(table->name))
        return sykli_fail(f, SYKLI_EINVAL, "a table's name is 1 to %d of [a-z0-9_], not \"%.80s\"",
                          SYKLI__TABLE_NAME_MAX, table->name ? table->name : "");
    if (!table->scan) return sykli_fail(f, SYKLI_EINVAL, "table %s has no scan", table->name);
    if (!table->columns || !table->column_count)
        return sykli_fail(f, SYKLI_EINVAL, "table %s has no columns", table->name);
    if (table->column_count > SYKLI__TABLE_COLUMNS_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "table %s has %u columns, at most %d are allowed",
                          table->name, (unsigned)table->column_count, SYKLI__TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < table->column_count; i++) {
        const sykli_column *c = &table->columns[i];
        if (!sykli__table_name_valid(c->name))
            return sykli_fail(f, SYKLI_EINVAL,
                              "table %s: column %u: a name is 1 to %d of [a-z0-9_], not \"%.80s\"",
                              table->name, (unsigned)i, SYKLI__TABLE_NAME_MAX,
                              c->name ? c->name : "");
        const char *fault = sykli__table_column_fault(table, c);
        if (fault)
            return sykli_fail(f, SYKLI_EINVAL, "table %s: column %s %s", table->name, c->name,
                              fault);
    }
    return 0;
}

// The table of that name, NULL if there is none.   valid  until the next add
static const sykli_table *sykli__table_find(const sykli__table_registry *r, const char *name)
{
    const uint64_t *at = sykli_map_get(&r->by_name, name, strlen(name));
    return at ? &r->tables[*at] : NULL;
}

static int sykli__table_add(sykli__table_registry *r, const sykli_table *table, sykli_fault *f)
{
    int rc = sykli__table_check(table, f);
    if (rc) return rc;
    if (sykli__table_find(r, table->name))
        return sykli_fail(f, SYKLI_EEXIST, "there is a table %s already", table->name);
    if (r->count == SYKLI__TABLE_TABLES_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "table %s: there are %d tables already", table->name,
                          SYKLI__TABLE_TABLES_MAX);
    if (!sykli__base_room(r->mem, SYKLI_TAG_table, &r->tables, &r->capacity, r->count,
                          sizeof *r->tables, SYKLI__TABLE_TABLES_MAX)
        || sykli_map_put(&r->by_name, table->name, strlen(table->name), r->count) < 0)
        return sykli_fail(f, SYKLI_ENOMEM, "no memory for table %s", table->name);
    r->tables[r->count] = *table;
    if (!table->visibility) r->tables[r->count].visibility = SYKLI_VISIBLE_public;
    r->count++;
    return 0;
}

// Takes away the tables of a user. The map has room for what is left: nothing here can fail.
static void sykli__table_forget(sykli__table_registry *r, const void *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->count; i++) {
        sykli_table table = r->tables[i];
        if (table.user == user) {
            sykli_map_remove(&r->by_name, table.name, strlen(table.name));
            continue;
        }
        *sykli_map_get(&r->by_name, table.name, strlen(table.name)) = kept;
        r->tables[kept++] = table;
    }
    r->count = kept;
}

// Puts another description behind a name that is there.
static int sykli__table_replace(sykli__table_registry *r, const sykli_table *table,
                                sykli_table *out_before, sykli_fault *f)
{
    const uint64_t *index = table->name ? sykli_map_get(&r->by_name, table->name,
                                                        strlen(table->name)) : NULL;
    if (!index) return sykli_fail(f, SYKLI_ENOENT, "no table '%s' to replace",
                                  table->name ? table->name : "");
    int rc = sykli__table_check(table, f);
    if (rc) return rc;
    if (out_before) *out_before = r->tables[*index];
    r->tables[*index] = *table;
    return 0;
}

// Whether a role may see what has that visibility; a secret nobody does.
static bool sykli__table_sees(sykli_role role, unsigned visibility)
{
    return (unsigned)role >= visibility;
}

static void sykli__table_text(sykli_value *v, const char *text, size_t size)
{
    v->kind = SYKLI_KIND_TEXT;
    v->text = text;
    v->text_size = size;
}

static void sykli__table_ref(sykli_value *v, uint64_t ref, const sykli_emit *from)
{
    uint64_t at = ref >> 24, size = ref & 0xffffff;
    if (!from->heap || !size || at > from->heap_size || size > from->heap_size - at) return;
    sykli__table_text(v, from->heap + at, (size_t)size);
}

static void sykli__table_enum(sykli_value *v, uint32_t index, const char *const *names)
{
    for (uint32_t i = 0; names[i]; i++)
        if (i == index) sykli__table_text(v, names[i], strlen(names[i]));
}

// The value of a column in a row; text is not NUL-terminated and valid as long as row and heap. A
// row beside a heap may come from another process: its TEXT is an address there and not followed.
static sykli_value sykli__table_value(const sykli_column *c, const void *row,
                                      const sykli_emit *from)
{
    sykli_value v = { .kind = SYKLI_KIND_NULL, .unit = (sykli_unit)c->unit };
    const char *at = (const char *)row + c->offset;
    uint64_t wide = 0;
    uint32_t narrow = 0;
    if (c->size == sizeof wide) memcpy(&wide, at, sizeof wide);
    if (c->size == sizeof narrow) memcpy(&narrow, at, sizeof narrow);
    switch ((sykli_kind)c->kind) {
    case SYKLI_KIND_U64:
        v.u64 = wide;
        if (wide != SYKLI_NULL_U64) v.kind = SYKLI_KIND_U64;
        break;
    case SYKLI_KIND_I64:
        memcpy(&v.i64, at, sizeof v.i64);
        if (v.i64 != SYKLI_NULL_I64) v.kind = SYKLI_KIND_I64;
        break;
    case SYKLI_KIND_F64:
        memcpy(&v.f64, at, sizeof v.f64);
        if (v.f64 - v.f64 == 0) v.kind = SYKLI_KIND_F64; // neither infinite nor NaN
        break;
    case SYKLI_KIND_STR: {
        size_t size = strnlen(at, c->size);
        if (size) sykli__table_text(&v, at, size);
        break;
    }
    case SYKLI_KIND_TEXT: {
        const char *text;
        memcpy(&text, at, sizeof text);
        if (text && !from->heap)
            sykli__table_text(&v, text, strnlen(text, SYKLI__TABLE_TEXT_MAX));
        break;
    }
    case SYKLI_KIND_REF: sykli__table_ref(&v, wide, from); break;
    case SYKLI_KIND_ENUM: sykli__table_enum(&v, narrow, c->names); break;
    case SYKLI_KIND_BOOL:
        v.u64 = narrow != 0;
        if (narrow != SYKLI_NULL_ENUM) v.kind = SYKLI_KIND_BOOL;
        break;
    case SYKLI_KIND_NULL: break;
    }
    return v;
}

// >>query ---- the SELECT subset: parse, scan, sort, render, encode
// A query runs in two stages that may stand on different machines. The first reads one table and
// keeps what the second needs: rows that match, or one row a group with what has been counted so
// far. The second puts the rows of one or many nodes together, groups, sorts and cuts them again. A
// query here is both stages in a row, so an answer does not depend on where its rows were.

#include <float.h>

#define SYKLI__QUERY_ITEMS_MAX 64
#define SYKLI__QUERY_KEYS_MAX 8              // columns of GROUP BY, of ORDER BY
#define SYKLI__QUERY_DEPTH_MAX 32            // of an expression
#define SYKLI__QUERY_OPS_MAX 256
#define SYKLI__QUERY_LITERALS_MAX 256
#define SYKLI__QUERY_LIKE_MAX 256            // bytes of a pattern
#define SYKLI__QUERY_WIDTH_MAX 160           // items, keys, and sum and count for each avg
#define SYKLI__QUERY_NAME_MAX 72             // "count(", a column's name, ")" and a NUL
#define SYKLI__QUERY_TEXT_MAX (64u << 10)    // bytes of one value, the rest is cut off
#define SYKLI__QUERY_CELLS_MAX (1u << 24)    // of a result
#define SYKLI__QUERY_BYTES_MAX (256u << 20)  // of all text of a result
#define SYKLI__QUERY_BATCH 512               // rows that are collected before they are thinned out
#define SYKLI__QUERY_NODE (-1)               // the column that every table has

// ---- results: columns, and rows of cells

typedef struct sykli__query_cell {
    uint64_t bits;  // the number, or where the text begins
    uint32_t size;  // of the text
    uint8_t kind;
} sykli__query_cell;

struct sykli_result {
    sykli_mem *mem;
    size_t width, shown;  // columns of a row; how many of them, from the left, are the answer
    struct { char name[SYKLI__QUERY_NAME_MAX]; uint8_t unit; } columns[SYKLI__QUERY_WIDTH_MAX];
    sykli__query_cell *cells;
    size_t cell_count, cell_capacity;
    sykli_buf text;
};

static sykli_result *sykli__query_result_new(sykli_mem *m)
{
    sykli_result *r = (sykli_result *)sykli_mem_resize(m, SYKLI_TAG_query, NULL, 0, sizeof *r);
    if (!r) return NULL;
    r->mem = m;
    sykli_buf_init(&r->text, m, SYKLI_TAG_query);
    r->text.max_bytes = SYKLI__QUERY_BYTES_MAX;
    return r;
}

static void sykli__query_cells_free(sykli_result *r)
{
    if (r->cells)
        sykli_mem_resize(r->mem, SYKLI_TAG_query, r->cells, r->cell_capacity * sizeof *r->cells,
                         0);
    r->cells = NULL;
    r->cell_count = r->cell_capacity = 0;
}

void sykli_result_free(sykli_result *r)
{
    if (!r) return;
    sykli__query_cells_free(r);
    sykli_buf_free(&r->text);
    sykli_mem_resize(r->mem, SYKLI_TAG_query, r, sizeof *r, 0);
}

size_t sykli_result_rows(const sykli_result *r) { return r->width ? r->cell_count / r->width : 0; }
size_t sykli_result_columns(const sykli_result *r) { return r->shown; }
const char *sykli_result_column(const sykli_result *r, size_t column)
{
    return column < r->shown ? r->columns[column].name : "";
}

// The column of that name, or -1.
static int sykli__query_column_find(const sykli_result *r, const char *name)
{
    for (size_t i = 0; i < r->width; i++)
        if (!strcmp(r->columns[i].name, name)) return (int)i;
    return -1;
}

// Adds a column unless there is one of that name.    returns its number or ELIMIT
static int sykli__query_column_add(sykli_result *r, const char *name, unsigned unit)
{
    int there = sykli__query_column_find(r, name);
    if (there >= 0) return there;
    if (r->width == SYKLI__QUERY_WIDTH_MAX) return SYKLI_ELIMIT;
    snprintf(r->columns[r->width].name, SYKLI__QUERY_NAME_MAX, "%s", name);
    r->columns[r->width].unit = (uint8_t)unit;
    return (int)r->width++;
}

SYKLI__APART
static sykli_value sykli__query_load(const sykli_result *r, const sykli__query_cell *cell)
{
    sykli_value v = { .kind = (sykli_kind)cell->kind, .u64 = cell->bits };
    if (v.kind == SYKLI_KIND_I64) memcpy(&v.i64, &cell->bits, sizeof v.i64);
    if (v.kind == SYKLI_KIND_F64) memcpy(&v.f64, &cell->bits, sizeof v.f64);
    if (v.kind != SYKLI_KIND_TEXT) return v;
    v.text = (const char *)r->text.data + cell->bits;
    v.text_size = cell->size;
    return v;
}

sykli_value sykli_result_cell(const sykli_result *r, size_t row, size_t column)
{
    if (column >= r->shown || row >= sykli_result_rows(r))
        return (sykli_value){ .kind = SYKLI_KIND_NULL };
    sykli_value v = sykli__query_load(r, &r->cells[row * r->width + column]);
    v.unit = (sykli_unit)r->columns[column].unit;
    return v;
}

// Makes room for the cells of one more row.
static int sykli__query_room(sykli_result *r)
{
    size_t need = r->cell_count + r->width, room = r->cell_capacity ? r->cell_capacity : 256;
    if (need <= r->cell_capacity) return 0;
    if (need > SYKLI__QUERY_CELLS_MAX) return SYKLI_ELIMIT;
    while (room < need) room *= 2;
    void *grown = sykli_mem_resize(r->mem, SYKLI_TAG_query, r->cells,
                                   r->cell_capacity * sizeof *r->cells, room * sizeof *r->cells);
    if (!grown) return SYKLI_ENOMEM;
    r->cells = (sykli__query_cell *)grown;
    r->cell_capacity = room;
    return 0;
}

// Appends one cell of a row that there is room for.
static int sykli__query_put(sykli_result *r, const sykli_value *v)
{
    sykli__query_cell *cell = &r->cells[r->cell_count++];
    *cell = (sykli__query_cell){ v->u64, 0, (uint8_t)v->kind };
    if (v->kind == SYKLI_KIND_I64) memcpy(&cell->bits, &v->i64, sizeof cell->bits);
    if (v->kind == SYKLI_KIND_F64) memcpy(&cell->bits, &v->f64, sizeof cell->bits);
    if (v->kind != SYKLI_KIND_TEXT) return 0;
    cell->bits = r->text.size;
    cell->size = (uint32_t)(v->text_size < SYKLI__QUERY_TEXT_MAX ? v->text_size
                                                                 : SYKLI__QUERY_TEXT_MAX);
    return sykli_buf_add(&r->text, v->text, cell->size);
}

static double sykli__query_f64(const sykli_value *v)
{
    return v->kind == SYKLI_KIND_F64 ? v->f64 : v->kind == SYKLI_KIND_I64 ? (double)v->i64
                                                                           : (double)v->u64;
}

// Numbers by value, whatever their kinds; text by bytes; text behind numbers. Not for NULL.
static int sykli__query_compare(const sykli_value *a, const sykli_value *b)
{
    bool text = a->kind == SYKLI_KIND_TEXT;
    if (text != (b->kind == SYKLI_KIND_TEXT)) return text ? 1 : -1;
    if (text) {
        size_t size = a->text_size < b->text_size ? a->text_size : b->text_size;
        int order = size ? memcmp(a->text, b->text, size) : 0;
        return order ? order : (a->text_size > b->text_size) - (a->text_size < b->text_size);
    }
    if (a->kind == SYKLI_KIND_F64 || b->kind == SYKLI_KIND_F64) {
        double x = sykli__query_f64(a), y = sykli__query_f64(b);
        return (x > y) - (x < y);
    }
    bool a_minus = a->kind == SYKLI_KIND_I64 && a->i64 < 0;
    bool b_minus = b->kind == SYKLI_KIND_I64 && b->i64 < 0;
    if (a_minus != b_minus) return a_minus ? -1 : 1;
    uint64_t x = a->kind == SYKLI_KIND_I64 ? (uint64_t)a->i64 : a->u64; // two's complement keeps
    uint64_t y = b->kind == SYKLI_KIND_I64 ? (uint64_t)b->i64 : b->u64; // the order of one sign
    return (x > y) - (x < y);
}

typedef struct sykli__query_key { size_t column; bool descending; } sykli__query_key;

// What rows are sorted by.
typedef struct sykli__query_sorting {
    const sykli_result *rows;
    sykli__query_key keys[SYKLI__QUERY_KEYS_MAX];
    size_t key_count;
} sykli__query_sorting;

// NULL comes last in either direction: one asks for the most of something, not for the unknown.
static int sykli__query_row_order(const sykli__query_sorting *s, size_t left, size_t right)
{
    const sykli_result *r = s->rows;
    for (size_t i = 0; i < s->key_count; i++) {
        const sykli__query_cell *x = &r->cells[left * r->width + s->keys[i].column];
        const sykli__query_cell *y = &r->cells[right * r->width + s->keys[i].column];
        bool x_null = x->kind == SYKLI_KIND_NULL, y_null = y->kind == SYKLI_KIND_NULL;
        if (x_null || y_null) {
            if (x_null != y_null) return x_null ? 1 : -1;
            continue;
        }
        sykli_value a = sykli__query_load(r, x), b = sykli__query_load(r, y);
        int order = sykli__query_compare(&a, &b);
        if (order) return s->keys[i].descending ? -order : order;
    }
    return 0;
}

// A number that puts most values in their order: never larger for what comes first. Numbers stand
// as doubles, text by its first bytes, NULL last; equal ranks are left to a full comparison.
static uint64_t sykli__query_rank(const sykli_value *v, bool descending)
{
    uint64_t bits = 0;
    if (v->kind == SYKLI_KIND_NULL) return UINT64_MAX;
    if (v->kind == SYKLI_KIND_TEXT) {
        for (size_t i = 0; i < 8 && i < v->text_size; i++)
            bits |= (uint64_t)(uint8_t)v->text[i] << (56 - 8 * i);
        bits = bits >> 1 | 1ull << 63;
    } else {
        double number = sykli__query_f64(v) + 0.0; // the two zeros are one
        memcpy(&bits, &number, sizeof bits);
        bits = (bits >> 63 ? ~bits : bits | 1ull << 63) >> 1; // IEEE 754 orders as integers do
    }
    return descending ? ~bits : bits;
}

typedef struct sykli__query_ranked { uint64_t rank; uint32_t row; } sykli__query_ranked;

// Sorts by rank, a byte at a time from the lowest; bytes that are all alike cost nothing.
//    returns  which of the two arrays is the sorted one
static sykli__query_ranked *sykli__query_radix(sykli__query_ranked *from, sykli__query_ranked *to,
                                               size_t count)
{
    uint32_t counts[8][256] = { { 0 } };
    for (size_t i = 0; i < count; i++)
        for (int digit = 0; digit < 8; digit++) counts[digit][from[i].rank >> 8 * digit & 255]++;
    for (int digit = 0; digit < 8; digit++) {
        uint32_t *place = counts[digit], sum = 0;
        if (place[from[0].rank >> 8 * digit & 255] == count) continue;
        for (int i = 0; i < 256; i++) {
            uint32_t here = place[i];
            place[i] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++) to[place[from[i].rank >> 8 * digit & 255]++] = from[i];
        sykli__query_ranked *swap = from;
        from = to;
        to = swap;
    }
    return from;
}

static int sykli__query_ranked_order(const void *a, const void *b, void *user)
{
    sykli__query_ranked left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return sykli__query_row_order((const sykli__query_sorting *)user, left.row, right.row);
}

// Sorts all rows of s->rows.    ranks  room for two for each row    returns  them in order
static const sykli__query_ranked *sykli__query_sort(sykli__query_sorting *s,
                                                    sykli__query_ranked *ranks)
{
    const sykli_result *r = s->rows;
    size_t rows = sykli_result_rows(r), end;
    for (size_t i = 0; i < rows; i++) {
        sykli_value v = sykli__query_load(r, &r->cells[i * r->width + s->keys[0].column]);
        ranks[i].rank = sykli__query_rank(&v, s->keys[0].descending);
        ranks[i].row = (uint32_t)i;
    }
    sykli__query_ranked *order = sykli__query_radix(ranks, ranks + rows, rows);
    sykli__query_ranked *scratch = order == ranks ? ranks + rows : ranks;
    for (size_t at = 0; at < rows; at = end) {
        bool sorted = true; // mostly, what has equal ranks is equal
        for (end = at + 1; end < rows && order[end].rank == order[at].rank; end++)
            sorted &= sykli__query_row_order(s, order[end - 1].row, order[end].row) <= 0;
        if (!sorted)
            sykli_sort(order + at, end - at, sizeof *order, scratch, sykli__query_ranked_order, s);
    }
    return order;
}

// Copies the text that cells still use, and drops the rest.
static int sykli__query_compact(sykli_result *r)
{
    sykli_buf text = r->text;
    sykli_buf_init(&r->text, r->mem, SYKLI_TAG_query);
    r->text.max_bytes = SYKLI__QUERY_BYTES_MAX;
    for (size_t i = 0; i < r->cell_count && !r->text.error; i++) {
        sykli__query_cell *cell = &r->cells[i];
        if (cell->kind != SYKLI_KIND_TEXT) continue;
        size_t at = r->text.size;
        if (!sykli_buf_add(&r->text, text.data + cell->bits, cell->size)) cell->bits = at;
    }
    sykli_buf_free(&text);
    return r->text.error;
}

// Sorts the rows and keeps the first `keep`. After an error the result can only be freed.
static int sykli__query_arrange(sykli_result *r, sykli__query_sorting *s, uint64_t keep)
{
    size_t rows = sykli_result_rows(r), size = 2 * rows * sizeof(sykli__query_ranked);
    size_t kept = rows < keep ? rows : (size_t)keep, room = (kept ? kept : 1) * r->width;
    if (!s->key_count) {
        r->cell_count = kept * r->width;
        return 0;
    }
    if (!rows) return 0;
    s->rows = r;
    sykli__query_ranked *ranks = (sykli__query_ranked *)sykli_mem_resize(
        r->mem, SYKLI_TAG_query, NULL, 0, size);
    sykli__query_cell *cells = (sykli__query_cell *)sykli_mem_resize(
        r->mem, SYKLI_TAG_query, NULL, 0, room * sizeof *cells);
    if (ranks && cells) {
        const sykli__query_ranked *order = sykli__query_sort(s, ranks);
        for (size_t i = 0; i < kept; i++)
            memcpy(cells + i * r->width, r->cells + order[i].row * r->width,
                   r->width * sizeof *cells);
        sykli__query_cells_free(r);
        r->cells = cells;
        r->cell_count = kept * r->width;
        r->cell_capacity = room;
    } else if (cells) {
        sykli_mem_resize(r->mem, SYKLI_TAG_query, cells, room * sizeof *cells, 0);
    }
    if (ranks) sykli_mem_resize(r->mem, SYKLI_TAG_query, ranks, size, 0);
    return ranks && cells ? sykli__query_compact(r) : SYKLI_ENOMEM;
}

// ---- parsing

typedef enum sykli__query_function {
    SYKLI__QUERY_PLAIN, SYKLI__QUERY_COUNT, SYKLI__QUERY_SUM, SYKLI__QUERY_MIN, SYKLI__QUERY_MAX,
    SYKLI__QUERY_AVG
} sykli__query_function;
static const char *const sykli__query_functions[] = { "", "count", "sum", "min", "max", "avg" };

typedef enum sykli__query_token {
    SYKLI__QUERY_END, SYKLI__QUERY_WORD, SYKLI__QUERY_NUMBER, SYKLI__QUERY_STRING,
    SYKLI__QUERY_SYMBOL
} sykli__query_token;

typedef enum sykli__query_opcode {
    SYKLI__QUERY_AND, SYKLI__QUERY_OR, SYKLI__QUERY_NOT, SYKLI__QUERY_LIKE, SYKLI__QUERY_IN,
    SYKLI__QUERY_IS_NULL, SYKLI__QUERY_TRUE, // a BOOL column by itself
    SYKLI__QUERY_EQ, SYKLI__QUERY_NE, SYKLI__QUERY_LT, SYKLI__QUERY_LE, SYKLI__QUERY_GT,
    SYKLI__QUERY_GE
} sykli__query_opcode;

// A column as it is named in the query.
typedef struct sykli__query_ref {
    const char *name;
    const char *at;              // in the source
    int column;                  // of the table, once it is bound
} sykli__query_ref;

// A column or a function of one; "*" is the column of count(*).
typedef struct sykli__query_item {
    uint8_t function;
    bool descending;             // in ORDER BY
    sykli__query_ref ref;
} sykli__query_item;

typedef struct sykli__query_literal {
    const char *text, *at;
    uint8_t token;
    sykli_value value;           // once it is bound, in the kind and unit of the column
} sykli__query_literal;

// The condition in reverse Polish order: no recursion is needed to ask it of a row.
typedef struct sykli__query_op {
    uint8_t code;
    bool against_column;         // with `other`, not with a literal
    sykli__query_ref ref, other;
    uint16_t first, count;       // literals
} sykli__query_op;

typedef struct sykli__query {
    const char *source, *next;
    sykli_fault *fault;
    int error;                   // the first one; from then on there are no more tokens
    sykli__query_token token;    // the current one
    const char *token_at, *token_text;
    bool star, grouped;          // grouped: there is a function or a GROUP BY
    sykli__query_ref table;
    sykli__query_item items[SYKLI__QUERY_ITEMS_MAX], group[SYKLI__QUERY_KEYS_MAX],
        order[SYKLI__QUERY_KEYS_MAX];
    size_t item_count, group_count, order_count, op_count, literal_count, text_size;
    uint64_t limit;
    sykli__query_op ops[SYKLI__QUERY_OPS_MAX];
    sykli__query_literal literals[SYKLI__QUERY_LITERALS_MAX];
    char text[2 * SYKLI_QUERY_MAX + 2]; // words and decoded strings, each with a NUL
} sykli__query;

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
static int sykli__query_fail(sykli__query *q, const char *at, int code, const char *format, ...)
{
    char text[384];
    unsigned line = 1;
    const char *start = q->source;
    if (q->error) return q->error;
    for (const char *p = q->source; p < at; p++)
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    q->token = SYKLI__QUERY_END;
    return q->error = sykli_fail(q->fault, code, "%u:%u: %s", line, (unsigned)(at - start) + 1,
                                 text);
}

SYKLI__APART
static void sykli__query_expected(sykli__query *q, const char *what)
{
    if (q->token == SYKLI__QUERY_END)
        sykli__query_fail(q, q->token_at, SYKLI_EPARSE, "expected %s, found the end", what);
    else
        sykli__query_fail(q, q->token_at, SYKLI_EPARSE, "expected %s, found '%.40s'", what,
                          q->token_text);
}

static bool sykli__query_wordly(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static void sykli__query_keep(sykli__query *q, char c) { q->text[q->text_size++] = c; }

// A string in either quotes; the quote itself is written twice.
static void sykli__query_string(sykli__query *q)
{
    char quote = *q->next++;
    for (; *q->next; q->next++) {
        if (*q->next == quote && *++q->next != quote) return;
        sykli__query_keep(q, *q->next);
    }
    sykli__query_fail(q, q->token_at, SYKLI_EPARSE, "the string has no end");
}

// Moves on to the next token. Words are folded to lower case.
static void sykli__query_step(sykli__query *q)
{
    while (*q->next && strchr(" \t\r\n", *q->next)) q->next++;
    const char *p = q->next;
    q->token_at = p;
    q->token_text = q->text + q->text_size;
    if (q->error || !*p) {
        q->token = SYKLI__QUERY_END;
        return;
    }
    bool number = (*p >= '0' && *p <= '9') || (*p == '-' && p[1] >= '0' && p[1] <= '9');
    if (*p == '\'' || *p == '"') {
        q->token = SYKLI__QUERY_STRING;
        sykli__query_string(q);
    } else if (number || sykli__query_wordly(*p)) {
        q->token = number ? SYKLI__QUERY_NUMBER : SYKLI__QUERY_WORD;
        do {
            bool fold = !number && *p >= 'A' && *p <= 'Z';
            sykli__query_keep(q, fold ? (char)(*p + 32) : *p);
            p++;
        } while (sykli__query_wordly(*p) || (number && *p == '.'));
        q->next = p;
    } else if (strchr("(),*=!<>;", *p)) {
        q->token = SYKLI__QUERY_SYMBOL;
        bool two = (strchr("!<>", *p) && p[1] == '=') || (*p == '<' && p[1] == '>');
        for (int i = 0; i < 1 + two; i++) sykli__query_keep(q, *q->next++);
    } else {
        sykli__query_fail(q, p, SYKLI_EPARSE, "unexpected character 0x%02x", (uint8_t)*p);
    }
    sykli__query_keep(q, 0);
}

static bool sykli__query_is(const sykli__query *q, const char *text)
{
    return (q->token == SYKLI__QUERY_WORD || q->token == SYKLI__QUERY_SYMBOL)
        && !strcmp(q->token_text, text);
}

SYKLI__APART
static bool sykli__query_accept(sykli__query *q, const char *text)
{
    if (!sykli__query_is(q, text)) return false;
    sykli__query_step(q);
    return true;
}

static void sykli__query_expect(sykli__query *q, const char *text, const char *what)
{
    if (!sykli__query_accept(q, text)) sykli__query_expected(q, what);
}

static sykli__query_ref sykli__query_take_ref(sykli__query *q, const char *what)
{
    sykli__query_ref ref = { q->token_text, q->token_at, 0 };
    if (q->token != SYKLI__QUERY_WORD) sykli__query_expected(q, what);
    sykli__query_step(q);
    return ref;
}

static sykli__query_item sykli__query_take_item(sykli__query *q)
{
    sykli__query_item item = { SYKLI__QUERY_PLAIN, false, { 0 } };
    item.ref = sykli__query_take_ref(q, "a column");
    if (!sykli__query_accept(q, "(")) return item;
    for (uint8_t i = SYKLI__QUERY_COUNT; i <= SYKLI__QUERY_AVG; i++)
        if (!q->error && !strcmp(item.ref.name, sykli__query_functions[i])) item.function = i;
    if (!item.function)
        sykli__query_fail(q, item.ref.at, SYKLI_EPARSE,
                          "there is no function %.40s, only count, sum, avg, min, max",
                          item.ref.name);
    if (item.function == SYKLI__QUERY_COUNT && sykli__query_is(q, "*")) {
        item.ref.name = "*";
        sykli__query_step(q);
    } else {
        item.ref = sykli__query_take_ref(q, "a column");
    }
    sykli__query_expect(q, ")", "')'");
    q->grouped = true;
    return item;
}

// Adds a step of the condition.    returns  it, for more to be filled in
static sykli__query_op *sykli__query_emit(sykli__query *q, sykli__query_opcode code)
{
    if (q->op_count == SYKLI__QUERY_OPS_MAX) {
        sykli__query_fail(q, q->token_at, SYKLI_ELIMIT, "a condition has at most %d parts",
                          SYKLI__QUERY_OPS_MAX);
        q->op_count--; // what follows an error is never used
    }
    sykli__query_op *op = &q->ops[q->op_count++];
    *op = (sykli__query_op){ .code = (uint8_t)code, .first = (uint16_t)q->literal_count };
    return op;
}

static void sykli__query_take_literal(sykli__query *q, sykli__query_op *op)
{
    if (q->token == SYKLI__QUERY_END || q->token == SYKLI__QUERY_SYMBOL) {
        sykli__query_expected(q, "a value");
        return;
    }
    if (q->literal_count == SYKLI__QUERY_LITERALS_MAX) {
        sykli__query_fail(q, q->token_at, SYKLI_ELIMIT, "a query has at most %d values",
                          SYKLI__QUERY_LITERALS_MAX);
        return;
    }
    sykli__query_literal *literal = &q->literals[q->literal_count++];
    literal->text = q->token_text;
    literal->at = q->token_at;
    literal->token = (uint8_t)q->token;
    op->count++;
    sykli__query_step(q);
}

// What follows the column of a comparison.
static void sykli__query_predicate(sykli__query *q, sykli__query_ref ref)
{
    static const char *const symbols[] = { "=", "!=", "<", "<=", ">", ">=", "<>" };
    bool is = sykli__query_accept(q, "is"), negated = sykli__query_accept(q, "not");
    sykli__query_op *op = sykli__query_emit(q, SYKLI__QUERY_TRUE);
    op->ref = ref;
    if (is) {
        op->code = SYKLI__QUERY_IS_NULL;
        sykli__query_expect(q, "null", "NULL or NOT NULL");
    } else if (sykli__query_accept(q, "like")) {
        op->code = SYKLI__QUERY_LIKE;
        sykli__query_take_literal(q, op);
    } else if (sykli__query_accept(q, "in")) {
        op->code = SYKLI__QUERY_IN;
        sykli__query_expect(q, "(", "'('");
        do sykli__query_take_literal(q, op);
        while (sykli__query_accept(q, ","));
        sykli__query_expect(q, ")", "',' or ')'");
    } else if (negated) {
        sykli__query_expected(q, "LIKE or IN");
    } else {
        for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++)
            if (sykli__query_is(q, symbols[i]))
                op->code = (uint8_t)(i == 6 ? SYKLI__QUERY_NE : SYKLI__QUERY_EQ + i);
        if (op->code == SYKLI__QUERY_TRUE) return;
        sykli__query_step(q);
        if (sykli__query_is(q, "null"))
            sykli__query_fail(q, q->token_at, SYKLI_EPARSE, "write IS NULL or IS NOT NULL");
        sykli__query_take_literal(q, op);
    }
    if (negated) sykli__query_emit(q, SYKLI__QUERY_NOT);
}

// A condition whose operators bind at least as tightly as `least`: OR 1, AND 2, NOT 3.
static void sykli__query_condition(sykli__query *q, int least, int depth)
{
    if (depth > SYKLI__QUERY_DEPTH_MAX) {
        sykli__query_fail(q, q->token_at, SYKLI_ELIMIT, "a condition is nested at most %d deep",
                          SYKLI__QUERY_DEPTH_MAX);
        return;
    }
    if (sykli__query_accept(q, "not")) {
        sykli__query_condition(q, 3, depth + 1);
        sykli__query_emit(q, SYKLI__QUERY_NOT);
    } else if (sykli__query_accept(q, "(")) {
        sykli__query_condition(q, 1, depth + 1);
        sykli__query_expect(q, ")", "')', AND or OR");
    } else {
        sykli__query_predicate(q, sykli__query_take_ref(q, "a column, NOT or '('"));
    }
    for (;;) {
        bool either = least <= 1 && sykli__query_is(q, "or");
        if (!either && !(least <= 2 && sykli__query_is(q, "and"))) return;
        sykli__query_step(q);
        sykli__query_condition(q, either ? 2 : 3, depth + 1);
        sykli__query_emit(q, either ? SYKLI__QUERY_OR : SYKLI__QUERY_AND);
    }
}

static void sykli__query_take_items(sykli__query *q, sykli__query_item *items, size_t *count,
                                    size_t max)
{
    do {
        const char *at = q->token_at;
        sykli__query_item item = sykli__query_take_item(q);
        if (*count == max) {
            sykli__query_fail(q, at, SYKLI_ELIMIT, "at most %u columns here", (unsigned)max);
            return;
        }
        if (items == q->order && !sykli__query_accept(q, "asc"))
            item.descending = sykli__query_accept(q, "desc");
        items[(*count)++] = item;
    } while (sykli__query_accept(q, ","));
}

static void sykli__query_take_limit(sykli__query *q)
{
    if (q->token != SYKLI__QUERY_NUMBER || !sykli__json_whole(q->token_text, &q->limit))
        sykli__query_expected(q, "a number of rows");
    sykli__query_step(q);
}

static bool sykli__query_same(const sykli__query_item *a, const sykli__query_item *b)
{
    return a->function == b->function && !strcmp(a->ref.name, b->ref.name);
}

// A column beside functions must be one that all rows of a group share.
static void sykli__query_check_item(sykli__query *q, const sykli__query_item *item)
{
    if (!q->grouped || item->function) return;
    for (size_t i = 0; i < q->group_count; i++)
        if (sykli__query_same(item, &q->group[i])) return;
    sykli__query_fail(q, item->ref.at, SYKLI_EPARSE,
                      "%s is neither in GROUP BY nor inside count, sum, avg, min or max",
                      item->ref.name);
}

static void sykli__query_check(sykli__query *q)
{
    if (q->star && q->grouped)
        sykli__query_fail(q, q->table.at, SYKLI_EPARSE, "SELECT * cannot be grouped");
    for (size_t i = 0; i < q->item_count; i++) {
        sykli__query_check_item(q, &q->items[i]);
        for (size_t j = 0; j < i; j++)
            if (sykli__query_same(&q->items[i], &q->items[j]))
                sykli__query_fail(q, q->items[i].ref.at, SYKLI_EPARSE, "%s is selected twice",
                                  q->items[i].ref.name);
    }
    for (size_t i = 0; i < q->order_count; i++) sykli__query_check_item(q, &q->order[i]);
    for (size_t i = 0; i < q->group_count; i++)
        if (q->group[i].function)
            sykli__query_fail(q, q->group[i].ref.at, SYKLI_EPARSE, "GROUP BY wants a column");
}

// Parses the text into `q`, which is zeroed.     returns  0, EPARSE or ELIMIT
static int sykli__query_parse(sykli__query *q, const char *text, sykli_fault *f)
{
    q->source = q->next = text;
    q->fault = f;
    q->limit = UINT64_MAX;
    if (strnlen(text, SYKLI_QUERY_MAX + 1) > SYKLI_QUERY_MAX)
        return sykli__query_fail(q, text, SYKLI_ELIMIT, "a query has at most %d bytes",
                                 SYKLI_QUERY_MAX);
    sykli__query_step(q);
    bool select = sykli__query_accept(q, "select");
    q->star = !select || sykli__query_accept(q, "*");
    if (!q->star) sykli__query_take_items(q, q->items, &q->item_count, SYKLI__QUERY_ITEMS_MAX);
    if (select) sykli__query_expect(q, "from", "',' or FROM");
    q->table = sykli__query_take_ref(q, select ? "a table" : "SELECT or a table");
    if (sykli__query_accept(q, "where")) sykli__query_condition(q, 1, 1);
    if (sykli__query_accept(q, "group")) {
        q->grouped = true;
        sykli__query_expect(q, "by", "BY");
        sykli__query_take_items(q, q->group, &q->group_count, SYKLI__QUERY_KEYS_MAX);
    }
    if (sykli__query_accept(q, "order")) {
        sykli__query_expect(q, "by", "BY");
        sykli__query_take_items(q, q->order, &q->order_count, SYKLI__QUERY_KEYS_MAX);
    }
    if (sykli__query_accept(q, "limit")) sykli__query_take_limit(q);
    sykli__query_accept(q, ";");
    if (q->token != SYKLI__QUERY_END)
        sykli__query_expected(q, "AND, OR, WHERE, GROUP BY, ORDER BY, LIMIT or the end");
    sykli__query_check(q);
    return q->error;
}

static sykli__query *sykli__query_new(sykli_mem *m, const char *text, sykli_fault *f)
{
    sykli__query *q = (sykli__query *)sykli_mem_resize(m, SYKLI_TAG_query, NULL, 0, sizeof *q);
    if (!q) {
        sykli_fail(f, SYKLI_ENOMEM, "no memory for a query");
        return NULL;
    }
    sykli__query_parse(q, text, f);
    return q;
}

static void sykli__query_free(sykli_mem *m, sykli__query *q)
{
    if (q) sykli_mem_resize(m, SYKLI_TAG_query, q, sizeof *q, 0);
}

// ---- binding: the names of the query become columns of a table

typedef struct sykli__query_scan {
    sykli_emit emit;             // first: `row` is called with it
    sykli__query *q;
    const sykli_table *table;
    sykli_role role;
    const char *node_name;
    sykli_result *const *parts;  // without a table: the rows of other nodes
    size_t part_count;
    sykli_result *rows;
    struct { uint8_t function; int column; } sources[SYKLI__QUERY_WIDTH_MAX]; // of its columns
    sykli__query_sorting sorting; // by the keys of ORDER BY, or of GROUP BY
    size_t thin_at;              // rows at which they are thinned out
    bool thinned;                // the first `limit` rows are the best so far, in order
    uint64_t worst;              // then: the rank of the last of them
} sykli__query_scan;

static const sykli_column *sykli__query_column(const sykli__query_scan *s, int column)
{
    static const sykli_column node = { "node", SYKLI_KIND_TEXT, SYKLI_UNIT_none,
                                       SYKLI_VISIBLE_public, 0, 0, NULL, "" };
    return column == SYKLI__QUERY_NODE ? &node : &s->table->columns[column];
}

static bool sykli__query_is_text(const sykli_column *c)
{
    return c->kind == SYKLI_KIND_STR || c->kind == SYKLI_KIND_TEXT || c->kind == SYKLI_KIND_REF
        || c->kind == SYKLI_KIND_ENUM;
}

static const char *sykli__query_class(const sykli_column *c)
{
    return sykli__query_is_text(c) ? "text" : c->kind == SYKLI_KIND_BOOL ? "true or false"
                                                                          : "a number";
}

// The column of that name that the role may see; -1 (NODE) too.   returns  -2: none, -3: not seen
static int sykli__query_column_seek(const sykli__query_scan *s, const char *name)
{
    if (!strcmp(name, "node")) return SYKLI__QUERY_NODE;
    for (size_t i = 0; i < s->table->column_count; i++) {
        const sykli_column *c = &s->table->columns[i];
        if (strcmp(c->name, name) || c->visibility == SYKLI_VISIBLE_secret) continue;
        return sykli__table_sees(s->role, c->visibility) ? (int)i : -3;
    }
    return -2;
}

static void sykli__query_no_column(sykli__query_scan *s, const sykli__query_ref *ref)
{
    const char *names[SYKLI__TABLE_COLUMNS_MAX + 1] = { "node" };
    size_t count = 1;
    for (size_t i = 0; i < s->table->column_count; i++)
        if (sykli__table_sees(s->role, s->table->columns[i].visibility))
            names[count++] = s->table->columns[i].name;
    const char *near = sykli_nearest(ref->name, names, count);
    sykli__query_fail(s->q, ref->at, SYKLI_ENOENT, "table %s has no column %.80s%s%s%s",
                      s->table->name, ref->name, near ? "; did you mean " : "", near ? near : "",
                      near ? "?" : "");
}

static void sykli__query_bind_ref(sykli__query_scan *s, sykli__query_ref *ref)
{
    ref->column = sykli__query_column_seek(s, ref->name);
    if (ref->column == -2) sykli__query_no_column(s, ref);
    if (ref->column != -3) return;
    for (size_t i = 0; i < s->table->column_count; i++)
        if (!strcmp(s->table->columns[i].name, ref->name))
            sykli__query_fail(s->q, ref->at, SYKLI_EPERM, "column %s of %s needs role %s",
                              ref->name, s->table->name,
                              sykli_role_names[s->table->columns[i].visibility]);
}

// Two digits or four, at the place.    returns false: something else is there
static bool sykli__query_digits(const char **at, int count, char behind, int64_t *out)
{
    int64_t value = 0;
    for (int i = 0; i < count; i++) {
        char c = (*at)[i];
        if (c < '0' || c > '9') return false;
        value = value * 10 + (c - '0');
    }
    *at += count;
    if (behind && *(*at)++ != behind) return false;
    *out = value;
    return true;
}

// "2024-02-29" or "2024-02-29T12:00:00Z" (RFC 3339 in UTC, thousandths allowed) in unix ms.
static bool sykli__query_time(const char *text, int64_t *out_ms)
{
    int64_t year, month, day, hour = 0, minute = 0, second = 0, ms = 0;
    if (!sykli__query_digits(&text, 4, '-', &year) || !sykli__query_digits(&text, 2, '-', &month)
        || !sykli__query_digits(&text, 2, 0, &day))
        return false;
    if (*text == 'T' || *text == ' ') {
        text++;
        if (!sykli__query_digits(&text, 2, ':', &hour)
            || !sykli__query_digits(&text, 2, ':', &minute)
            || !sykli__query_digits(&text, 2, 0, &second))
            return false;
        if (*text == '.' && (text++, !sykli__query_digits(&text, 3, 0, &ms))) return false;
        if (*text++ != 'Z') return false;
    }
    if (*text || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59
        || second > 60)
        return false;
    // Counted from March, as sykli_format_time does, so that the leap day is the last of its year.
    int64_t from_march = year + 399 + (month > 2), of_year = (153 * ((month + 9) % 12) + 2) / 5;
    int64_t days = from_march * 365 + from_march / 4 - from_march / 100 + from_march / 400
                 + of_year + day - 1 - 865565;
    *out_ms = ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000 + ms;
    return true;
}

// A number without a suffix.
static bool sykli__query_plain_number(const char *text, sykli_value *v)
{
    const char *digits = text + (*text == '-');
    size_t whole = strspn(digits, "0123456789");
    uint64_t value;
    if (!whole) return false;
    if (digits[whole] == '.' && !digits[whole + 1 + strspn(digits + whole + 1, "0123456789")]) {
        v->kind = SYKLI_KIND_F64;
        v->f64 = sykli__json_decimal(text);
        return true;
    }
    if (!sykli__json_whole(digits, &value) || (digits != text && value > INT64_MAX)) return false;
    v->kind = digits == text ? SYKLI_KIND_U64 : SYKLI_KIND_I64;
    v->u64 = value;
    v->i64 = digits == text ? 0 : -(int64_t)value;
    return true;
}

// A number for a column of that unit: plain, a size, a duration, a time.
static bool sykli__query_number(const char *text, unsigned unit, sykli_value *v)
{
    if (unit == SYKLI_UNIT_time && sykli__query_time(text, &v->i64)) {
        v->kind = SYKLI_KIND_I64;
        return true;
    }
    if (sykli__query_plain_number(text, v)) return true;
    v->kind = SYKLI_KIND_U64;
    if (unit == SYKLI_UNIT_ms || unit == SYKLI_UNIT_us) {
        if (sykli_parse_duration(text, &v->u64)) return false;
        if (unit == SYKLI_UNIT_us) v->u64 = v->u64 > UINT64_MAX / 1000 ? UINT64_MAX : v->u64 * 1000;
        return true;
    }
    return (unit == SYKLI_UNIT_bytes || unit == SYKLI_UNIT_none)
        && !sykli_parse_size(text, &v->u64);
}

static void sykli__query_bind_number(sykli__query_scan *s, const sykli_column *c,
                                     sykli__query_literal *literal)
{
    static const char *const wanted[SYKLI_UNIT_COUNT] = {
        "a number", "a size such as 200MB", "a duration such as 2m", "a duration such as 2m",
        "a time such as '2024-02-29T12:00:00Z'", "a number"
    };
    if (literal->token == SYKLI__QUERY_WORD
        || !sykli__query_number(literal->text, c->unit, &literal->value))
        sykli__query_fail(s->q, literal->at, SYKLI_EPARSE, "%s is compared with %s, not '%.40s'",
                          c->name, wanted[c->unit], literal->text);
}

static void sykli__query_bind_enum(sykli__query_scan *s, const sykli_column *c,
                                   const sykli__query_literal *literal)
{
    size_t count = 0;
    for (; c->names[count]; count++)
        if (!strcmp(c->names[count], literal->text)) return;
    const char *near = sykli_nearest(literal->text, c->names, count);
    sykli__query_fail(s->q, literal->at, SYKLI_EPARSE, "%s is never '%.40s'%s%s%s", c->name,
                      literal->text, near ? "; did you mean " : "", near ? near : "",
                      near ? "?" : "");
}

// Reads a literal as a value of the column it is compared with.
static void sykli__query_bind_literal(sykli__query_scan *s, const sykli_column *c,
                                      sykli__query_literal *literal, bool pattern)
{
    sykli_value *v = &literal->value;
    if (sykli__query_is_text(c)) {
        if (c->kind == SYKLI_KIND_ENUM && !pattern) sykli__query_bind_enum(s, c, literal);
        else if (literal->token == SYKLI__QUERY_WORD)
            sykli__query_fail(s->q, literal->at, SYKLI_EPARSE,
                              "%.40s is not a column; text stands in quotes", literal->text);
        v->kind = SYKLI_KIND_TEXT;
        v->text = literal->text;
        v->text_size = strlen(literal->text);
    } else if (c->kind == SYKLI_KIND_BOOL) {
        bool yes = !strcmp(literal->text, "true") || !strcmp(literal->text, "1");
        if (!yes && strcmp(literal->text, "false") && strcmp(literal->text, "0"))
            sykli__query_fail(s->q, literal->at, SYKLI_EPARSE,
                              "%s is compared with true or false, not '%.40s'", c->name,
                              literal->text);
        v->kind = SYKLI_KIND_BOOL;
        v->u64 = yes;
    } else {
        sykli__query_bind_number(s, c, literal);
    }
}

static void sykli__query_bind_op(sykli__query_scan *s, sykli__query_op *op)
{
    if (op->code <= SYKLI__QUERY_NOT) return;
    sykli__query_bind_ref(s, &op->ref);
    if (s->q->error) return;
    const sykli_column *c = sykli__query_column(s, op->ref.column);
    sykli__query_literal *literals = &s->q->literals[op->first];
    if (op->code == SYKLI__QUERY_TRUE && c->kind != SYKLI_KIND_BOOL)
        sykli__query_fail(s->q, op->ref.at, SYKLI_EPARSE, "%s is %s: compare it with something",
                          c->name, sykli__query_class(c));
    if (op->code == SYKLI__QUERY_LIKE
        && (!sykli__query_is_text(c) || strlen(literals->text) > SYKLI__QUERY_LIKE_MAX))
        sykli__query_fail(s->q, op->ref.at, SYKLI_EPARSE,
                          "LIKE is for text and patterns of at most %d bytes",
                          SYKLI__QUERY_LIKE_MAX);
    if (op->code >= SYKLI__QUERY_EQ && literals->token == SYKLI__QUERY_WORD) {
        int column = sykli__query_column_seek(s, literals->text);
        if (column >= SYKLI__QUERY_NODE) {
            op->against_column = true;
            op->other.column = column;
            const sykli_column *other = sykli__query_column(s, column);
            if (strcmp(sykli__query_class(c), sykli__query_class(other)))
                sykli__query_fail(s->q, literals->at, SYKLI_EPARSE, "%s is %s, %s is %s", c->name,
                                  sykli__query_class(c), other->name, sykli__query_class(other));
            return;
        }
    }
    for (uint16_t i = 0; i < op->count; i++)
        sykli__query_bind_literal(s, c, &literals[i], op->code == SYKLI__QUERY_LIKE);
}

static void sykli__query_bind_item(sykli__query_scan *s, sykli__query_item *item)
{
    if (!strcmp(item->ref.name, "*")) {
        item->ref.column = SYKLI__QUERY_NODE; // is never NULL: counts every row
        return;
    }
    sykli__query_bind_ref(s, &item->ref);
    if (s->q->error) return;
    const sykli_column *c = sykli__query_column(s, item->ref.column);
    bool number = !sykli__query_is_text(c) && c->kind != SYKLI_KIND_BOOL;
    if ((item->function == SYKLI__QUERY_SUM || item->function == SYKLI__QUERY_AVG) && !number)
        sykli__query_fail(s->q, item->ref.at, SYKLI_EPARSE, "%s is %s: it has no %s", c->name,
                          sykli__query_class(c), sykli__query_functions[item->function]);
}

static int sykli__query_bind(sykli__query_scan *s)
{
    sykli__query *q = s->q;
    for (size_t i = 0; i < q->item_count; i++) sykli__query_bind_item(s, &q->items[i]);
    for (size_t i = 0; i < q->op_count; i++) sykli__query_bind_op(s, &q->ops[i]);
    for (size_t i = 0; i < q->group_count; i++) sykli__query_bind_item(s, &q->group[i]);
    for (size_t i = 0; i < q->order_count; i++) sykli__query_bind_item(s, &q->order[i]);
    return q->error;
}

SYKLI_FAST_BEGIN
// ---- asking the condition of a row

static sykli_value sykli__query_value(const sykli__query_scan *s, int column, const void *row)
{
    if (column != SYKLI__QUERY_NODE)
        return sykli__table_value(&s->table->columns[column], row, &s->emit);
    const char *node = s->emit.node ? s->emit.node : s->node_name;
    return (sykli_value){ .kind = SYKLI_KIND_TEXT, .text = node, .text_size = strlen(node) };
}

// SQL's LIKE: % is any text, _ one character. Only the last % can be given more, so the work is at
// most the product of both lengths, and both have a limit.
static bool sykli__query_like(const sykli_value *v, const char *pattern)
{
    const char *at = v->text, *end = at + v->text_size, *percent = NULL, *resume = NULL;
    if (v->text_size > SYKLI__QUERY_TEXT_MAX) end = at + SYKLI__QUERY_TEXT_MAX;
    while (at < end) {
        size_t step = sykli__base_utf8_step((const uint8_t *)at, (size_t)(end - at));
        if (*pattern == '%') {
            percent = pattern++;
            resume = at;
        } else if (*pattern == '_') {
            pattern++;
            at += step ? step : 1;
        } else if (*pattern && *pattern == *at) {
            pattern++;
            at++;
        } else if (percent) {
            step = sykli__base_utf8_step((const uint8_t *)resume, (size_t)(end - resume));
            pattern = percent + 1;
            at = resume += step ? step : 1;
        } else {
            return false;
        }
    }
    while (*pattern == '%') pattern++;
    return !*pattern;
}

// Three values, as in SQL: what is compared with NULL is unknown, and so is its negation.
typedef enum sykli__query_truth {
    SYKLI__QUERY_NO, SYKLI__QUERY_YES, SYKLI__QUERY_UNKNOWN
} sykli__query_truth;

static bool sykli__query_holds(uint8_t code, int order)
{
    switch (code) {
    case SYKLI__QUERY_EQ: return order == 0;
    case SYKLI__QUERY_NE: return order != 0;
    case SYKLI__QUERY_LT: return order < 0;
    case SYKLI__QUERY_LE: return order <= 0;
    case SYKLI__QUERY_GT: return order > 0;
    default: return order >= 0;
    }
}

static sykli__query_truth sykli__query_test(const sykli__query_scan *s, const sykli__query_op *op,
                                            const void *row)
{
    const sykli__query_literal *literals = &s->q->literals[op->first];
    sykli_value v = sykli__query_value(s, op->ref.column, row), other;
    bool yes = false;
    if (op->code == SYKLI__QUERY_IS_NULL)
        return v.kind == SYKLI_KIND_NULL ? SYKLI__QUERY_YES : SYKLI__QUERY_NO;
    if (v.kind == SYKLI_KIND_NULL) return SYKLI__QUERY_UNKNOWN;
    if (op->code == SYKLI__QUERY_TRUE) {
        yes = v.u64 != 0;
    } else if (op->code == SYKLI__QUERY_LIKE) {
        yes = sykli__query_like(&v, literals->text);
    } else if (op->code == SYKLI__QUERY_IN) {
        for (uint16_t i = 0; i < op->count && !yes; i++)
            yes = !sykli__query_compare(&v, &literals[i].value);
    } else {
        other = op->against_column ? sykli__query_value(s, op->other.column, row)
                                   : literals->value;
        if (other.kind == SYKLI_KIND_NULL) return SYKLI__QUERY_UNKNOWN;
        yes = sykli__query_holds(op->code, sykli__query_compare(&v, &other));
    }
    return yes ? SYKLI__QUERY_YES : SYKLI__QUERY_NO;
}

static sykli__query_truth sykli__query_join(uint8_t code, sykli__query_truth a,
                                            sykli__query_truth b)
{
    sykli__query_truth decides = code == SYKLI__QUERY_OR ? SYKLI__QUERY_YES : SYKLI__QUERY_NO;
    if (a == decides || b == decides) return decides;
    return a == b ? a : SYKLI__QUERY_UNKNOWN;
}

static bool sykli__query_matches(const sykli__query_scan *s, const void *row)
{
    // A level of nesting holds at most the left side of an OR and that of an AND.
    sykli__query_truth stack[2 * SYKLI__QUERY_DEPTH_MAX + 2] = { SYKLI__QUERY_YES };
    size_t top = 0;
    for (size_t i = 0; i < s->q->op_count; i++) {
        const sykli__query_op *op = &s->q->ops[i];
        if (op->code == SYKLI__QUERY_NOT) {
            if (stack[top - 1] != SYKLI__QUERY_UNKNOWN)
                stack[top - 1] = stack[top - 1] == SYKLI__QUERY_NO ? SYKLI__QUERY_YES
                                                                   : SYKLI__QUERY_NO;
        } else if (op->code <= SYKLI__QUERY_OR) {
            top--;
            stack[top - 1] = sykli__query_join(op->code, stack[top - 1], stack[top]);
        } else {
            assert(top < sizeof stack / sizeof *stack);
            stack[top++] = sykli__query_test(s, op, row);
        }
    }
    return stack[0] == SYKLI__QUERY_YES;
}

SYKLI_FAST_END

// ---- the first stage: one table becomes the rows that the second needs

static void sykli__query_item_name(char out[SYKLI__QUERY_NAME_MAX], uint8_t function,
                                   const char *column)
{
    if (function) snprintf(out, SYKLI__QUERY_NAME_MAX, "%s(%.63s)",
                           sykli__query_functions[function], column);
    else snprintf(out, SYKLI__QUERY_NAME_MAX, "%.63s", column);
}

// The unit that the parts give a column.
static unsigned sykli__query_part_unit(const sykli__query_scan *s, const char *name)
{
    for (size_t i = 0; i < s->part_count; i++) {
        int at = sykli__query_column_find(s->parts[i], name);
        if (at >= 0) return s->parts[i]->columns[at].unit;
    }
    return SYKLI_UNIT_none;
}

static int sykli__query_plan_one(sykli__query_scan *s, uint8_t function, const char *column_name,
                                 int column)
{
    char name[SYKLI__QUERY_NAME_MAX];
    sykli__query_item_name(name, function, column_name);
    unsigned unit = SYKLI_UNIT_none;
    if (!s->table) unit = sykli__query_part_unit(s, name);
    else if (function != SYKLI__QUERY_COUNT) unit = sykli__query_column(s, column)->unit;
    int at = sykli__query_column_add(s->rows, name, unit);
    if (at < 0) return at;
    s->sources[at].function = function;
    s->sources[at].column = column;
    return at;
}

static int sykli__query_plan_item(sykli__query_scan *s, const sykli__query_item *item)
{
    const char *name = item->ref.name;
    if (item->function != SYKLI__QUERY_AVG)
        return sykli__query_plan_one(s, item->function, name, item->ref.column);
    int rc = sykli__query_plan_one(s, SYKLI__QUERY_SUM, name, item->ref.column);
    return rc < 0 ? rc : sykli__query_plan_one(s, SYKLI__QUERY_COUNT, name, item->ref.column);
}

// All columns that may be seen, of the table or of the parts.
static int sykli__query_plan_star(sykli__query_scan *s)
{
    if (!s->table) {
        int rc = 0;
        for (size_t i = 0; i < s->part_count; i++)
            for (size_t k = 0; k < s->parts[i]->width && rc >= 0; k++)
                rc = sykli__query_plan_one(s, SYKLI__QUERY_PLAIN, s->parts[i]->columns[k].name, 0);
        return rc;
    }
    int rc = sykli__query_plan_one(s, SYKLI__QUERY_PLAIN, "node", SYKLI__QUERY_NODE);
    for (size_t i = 0; i < s->table->column_count && rc >= 0; i++)
        if (sykli__table_sees(s->role, s->table->columns[i].visibility))
            rc = sykli__query_plan_one(s, SYKLI__QUERY_PLAIN, s->table->columns[i].name, (int)i);
    return rc;
}

// Which columns the first stage hands on. Those of GROUP BY come first.
static int sykli__query_plan(sykli__query_scan *s)
{
    const sykli__query *q = s->q;
    int rc = 0;
    for (size_t i = 0; i < q->group_count && rc >= 0; i++)
        rc = sykli__query_plan_item(s, &q->group[i]);
    s->sorting.key_count = s->rows->width;
    for (size_t i = 0; i < s->sorting.key_count; i++) s->sorting.keys[i].column = i;
    if (q->star) rc = sykli__query_plan_star(s);
    for (size_t i = 0; i < q->item_count && rc >= 0; i++)
        rc = sykli__query_plan_item(s, &q->items[i]);
    for (size_t i = 0; i < q->order_count && rc >= 0; i++) {
        rc = sykli__query_plan_item(s, &q->order[i]);
        if (q->grouped || rc < 0) continue;
        s->sorting.keys[i] = (sykli__query_key){ (size_t)rc, q->order[i].descending };
        s->sorting.key_count = i + 1;
    }
    s->rows->shown = s->rows->width;
    s->thin_at = SYKLI__QUERY_BATCH;
    if (!q->grouped) s->thin_at = q->limit < SIZE_MAX / 4 ? 2 * (size_t)q->limit + s->thin_at
                                                          : SIZE_MAX;
    return rc < 0 ? rc : 0;
}

SYKLI_FAST_BEGIN
static sykli_value sykli__query_sum(const sykli_value *a, const sykli_value *b)
{
    sykli_value sum = { .kind = SYKLI_KIND_F64 };
    if (a->kind == SYKLI_KIND_U64 && b->kind == SYKLI_KIND_U64
        && a->u64 <= UINT64_MAX - b->u64) {
        sum.kind = SYKLI_KIND_U64;
        sum.u64 = a->u64 + b->u64;
    } else if (a->kind == SYKLI_KIND_I64 && b->kind == SYKLI_KIND_I64
               && (b->i64 < 0 ? a->i64 >= INT64_MIN - b->i64 : a->i64 <= INT64_MAX - b->i64)) {
        sum.kind = SYKLI_KIND_I64;
        sum.i64 = a->i64 + b->i64;
    } else {
        sum.f64 = sykli__query_f64(a) + sykli__query_f64(b);
        if (sum.f64 > DBL_MAX) sum.f64 = DBL_MAX; // JSON has no word for infinity
        if (sum.f64 < -DBL_MAX) sum.f64 = -DBL_MAX;
    }
    return sum;
}

// Takes one more value into what a column of a group has so far.
static void sykli__query_fold(const sykli_result *r, uint8_t function, sykli__query_cell *into,
                              const sykli__query_cell *cell)
{
    if (cell->kind == SYKLI_KIND_NULL) return;
    if (into->kind == SYKLI_KIND_NULL) {
        *into = *cell;
        return;
    }
    sykli_value a = sykli__query_load(r, into), b = sykli__query_load(r, cell);
    int order = function == SYKLI__QUERY_MIN || function == SYKLI__QUERY_MAX
              ? sykli__query_compare(&b, &a) : 0;
    if (function == SYKLI__QUERY_MIN ? order < 0 : order > 0) *into = *cell;
    if (function != SYKLI__QUERY_SUM && function != SYKLI__QUERY_COUNT) return;
    if (a.kind == SYKLI_KIND_TEXT || b.kind == SYKLI_KIND_TEXT) return; // a peer's nonsense
    sykli_value sum = sykli__query_sum(&a, &b);
    into->kind = (uint8_t)sum.kind;
    into->bits = sum.u64;
    if (sum.kind == SYKLI_KIND_I64) memcpy(&into->bits, &sum.i64, sizeof into->bits);
    if (sum.kind == SYKLI_KIND_F64) memcpy(&into->bits, &sum.f64, sizeof into->bits);
}

// Makes one row of all that share a group. Sorting finds them, and leaves groups in their order.
static int sykli__query_combine(sykli__query_scan *s)
{
    sykli_result *r = s->rows;
    size_t rows = sykli_result_rows(r), last = 0;
    int rc = sykli__query_arrange(r, &s->sorting, UINT64_MAX);
    if (rc || !rows) return rc;
    s->sorting.rows = r;
    for (size_t row = 1; row < rows; row++) {
        sykli__query_cell *from = r->cells + row * r->width;
        if (sykli__query_row_order(&s->sorting, last, row)) {
            memmove(r->cells + ++last * r->width, from, r->width * sizeof *from);
            continue;
        }
        for (size_t i = s->sorting.key_count; i < r->width; i++)
            sykli__query_fold(r, s->sources[i].function, r->cells + last * r->width + i, from + i);
    }
    r->cell_count = (last + 1) * r->width;
    return sykli__query_compact(r);
}

// Keeps the rows that still matter when many have been collected.
static int sykli__query_thin(sykli__query_scan *s)
{
    if (sykli_result_rows(s->rows) < s->thin_at) return 0;
    int rc = s->q->grouped ? sykli__query_combine(s)
                           : sykli__query_arrange(s->rows, &s->sorting, s->q->limit);
    if (s->q->grouped) s->thin_at = 2 * sykli_result_rows(s->rows) + SYKLI__QUERY_BATCH;
    if (rc || s->q->grouped) return rc;
    const sykli__query_key *key = &s->sorting.keys[0];
    const sykli_result *r = s->rows;
    sykli_value last = sykli__query_load(r, &r->cells[r->cell_count - r->width + key->column]);
    s->worst = sykli__query_rank(&last, key->descending);
    s->thinned = true;
    return 0;
}

// Whether a row is certainly behind the best of those that came before.
static bool sykli__query_behind(const sykli__query_scan *s, const void *row)
{
    if (!s->thinned) return false;
    const sykli__query_key *key = &s->sorting.keys[0];
    sykli_value v = sykli__query_value(s, s->sources[key->column].column, row);
    return sykli__query_rank(&v, key->descending) > s->worst;
}

// What a column of the first stage has of a row: the value, or a 1 that counts it.
static sykli_value sykli__query_first(const sykli__query_scan *s, size_t i, const void *row)
{
    sykli_value v = sykli__query_value(s, s->sources[i].column, row);
    if (s->sources[i].function != SYKLI__QUERY_COUNT) return v;
    return (sykli_value){ .kind = SYKLI_KIND_U64, .u64 = v.kind != SYKLI_KIND_NULL };
}

#define SYKLI__QUERY_ENOUGH 1 // what a scan is ended with when no further row matters

static int sykli__query_row(sykli_emit *to, const void *row)
{
    sykli__query_scan *s = (sykli__query_scan *)(void *)to;
    sykli_result *r = s->rows;
    bool sorted = s->q->order_count != 0;
    if (!s->q->grouped && sykli_result_rows(r) >= s->q->limit && (!sorted || !s->q->limit))
        return SYKLI__QUERY_ENOUGH;
    if (sykli__query_behind(s, row) || !sykli__query_matches(s, row)) return 0;
    size_t cells = r->cell_count, text = r->text.size;
    int rc = sykli__query_room(r);
    for (size_t i = 0; i < r->width && !rc; i++) {
        sykli_value v = sykli__query_first(s, i, row);
        rc = sykli__query_put(r, &v);
    }
    if (rc) return rc;
    s->sorting.rows = r;
    if (s->thinned
        && sykli__query_row_order(&s->sorting, cells / r->width, (size_t)s->q->limit - 1) >= 0) {
        r->cell_count = cells; // not better than the last of those we have
        r->text.size = text;
        return 0;
    }
    return sykli__query_thin(s);
}

// ---- the second stage: rows of one or many first stages become the answer

typedef struct sykli__query_source { int value, count; } sykli__query_source;

// Which columns of the combined rows an item is made of; an avg of two, else count is -1.
static sykli__query_source sykli__query_source_of(const sykli_result *r,
                                                  const sykli__query_item *item)
{
    char name[SYKLI__QUERY_NAME_MAX];
    bool avg = item->function == SYKLI__QUERY_AVG;
    sykli__query_item_name(name, avg ? SYKLI__QUERY_SUM : item->function, item->ref.name);
    sykli__query_source source = { sykli__query_column_find(r, name), -1 };
    sykli__query_item_name(name, SYKLI__QUERY_COUNT, item->ref.name);
    if (avg) source.count = sykli__query_column_find(r, name);
    return source;
}

static sykli_value sykli__query_final(const sykli_result *r, size_t row,
                                      const sykli__query_source *source)
{
    const sykli__query_cell *cells = &r->cells[row * r->width];
    sykli_value sum = sykli__query_load(r, &cells[source->value]);
    if (source->count < 0) return sum;
    sykli_value count = sykli__query_load(r, &cells[source->count]);
    double rows = count.kind == SYKLI_KIND_TEXT ? 0 : sykli__query_f64(&count);
    if (sum.kind == SYKLI_KIND_NULL || sum.kind == SYKLI_KIND_TEXT || !(rows > 0))
        return (sykli_value){ .kind = SYKLI_KIND_NULL };
    return (sykli_value){ .kind = SYKLI_KIND_F64, .f64 = sykli__query_f64(&sum) / rows };
}

// Fills `to` from combined rows: the items, then what else ORDER BY needs; and sorts it.
static int sykli__query_project(const sykli__query *q, const sykli_result *from, sykli_result *to)
{
    sykli__query_source sources[SYKLI__QUERY_ITEMS_MAX + SYKLI__QUERY_KEYS_MAX];
    sykli__query_sorting sorting = { .key_count = q->order_count };
    size_t rows = sykli_result_rows(from);
    for (size_t i = 0; i < q->item_count + q->order_count; i++) {
        bool ordering = i >= q->item_count;
        const sykli__query_item *item = ordering ? &q->order[i - q->item_count] : &q->items[i];
        char name[SYKLI__QUERY_NAME_MAX];
        sykli__query_source source = sykli__query_source_of(from, item);
        sykli__query_item_name(name, item->function, item->ref.name);
        int at = sykli__query_column_add(to, name, from->columns[source.value].unit);
        if (at < 0) return at;
        sources[at] = source;
        if (ordering)
            sorting.keys[i - q->item_count] = (sykli__query_key){ (size_t)at, item->descending };
    }
    to->shown = q->item_count;
    for (size_t row = 0; row < rows; row++) {
        int rc = sykli__query_room(to);
        for (size_t i = 0; i < to->width && !rc; i++) {
            sykli_value v = sykli__query_final(from, row, &sources[i]);
            rc = sykli__query_put(to, &v);
        }
        if (rc) return rc;
    }
    return sykli__query_arrange(to, &sorting, q->limit);
}

SYKLI_FAST_END

// Without GROUP BY there is one group even when there are no rows.
static int sykli__query_no_rows(sykli__query_scan *s)
{
    int rc = sykli__query_room(s->rows);
    for (size_t i = 0; i < s->rows->width && !rc; i++) {
        bool count = s->sources[i].function == SYKLI__QUERY_COUNT;
        sykli_value v = { .kind = count ? SYKLI_KIND_U64 : SYKLI_KIND_NULL };
        rc = sykli__query_put(s->rows, &v);
    }
    return rc;
}

// Turns the rows of the first stage into the answer, in a new result at s->rows.
static int sykli__query_finish(sykli__query_scan *s)
{
    const sykli__query *q = s->q;
    if (!q->grouped) {
        if (!q->star) s->rows->shown = q->item_count; // ORDER BY's come behind
        return sykli__query_arrange(s->rows, &s->sorting, q->limit);
    }
    int rc = sykli__query_combine(s);
    if (!rc && !q->group_count && !sykli_result_rows(s->rows)) rc = sykli__query_no_rows(s);
    if (rc) return rc;
    sykli_result *final = sykli__query_result_new(s->rows->mem);
    if (!final) return SYKLI_ENOMEM;
    rc = sykli__query_project(q, s->rows, final);
    sykli_result_free(s->rows);
    s->rows = final;
    return rc;
}

// The text for an error of a result that grew too large.
static int sykli__query_overflow(sykli_fault *f, int rc)
{
    if (rc == SYKLI_ENOMEM) return sykli_fail(f, rc, "no memory for the rows of a query");
    if (rc == SYKLI_ELIMIT)
        return sykli_fail(f, rc, "the answer is too large; narrow it with WHERE, LIMIT or fewer "
                                 "columns");
    return rc;
}

// ---- results as bytes: "SQR", a version, columns, rows; numbers are LEB128 (DWARF 5, 7.6)

static const uint8_t sykli__query_magic[4] = { 'S', 'Q', 'R', 1 };

// Tags of cells.
enum {
    SYKLI__QUERY_CELL_NULL, SYKLI__QUERY_CELL_U64, SYKLI__QUERY_CELL_I64, SYKLI__QUERY_CELL_F64,
    SYKLI__QUERY_CELL_TEXT, SYKLI__QUERY_CELL_FALSE, SYKLI__QUERY_CELL_TRUE
};

static uint8_t *sykli__query_leb128(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static void sykli__query_write(sykli_buf *out, uint64_t value)
{
    uint8_t bytes[10];
    sykli_buf_add(out, bytes, (size_t)(sykli__query_leb128(bytes, value) - bytes));
}

static void sykli__query_write_text(sykli_buf *out, uint8_t tag, const void *text, size_t size)
{
    sykli_buf_add(out, &tag, 1);
    sykli__query_write(out, size);
    sykli_buf_add(out, text, size);
}

static int sykli__query_write_cell(sykli_buf *out, const sykli_result *r,
                                   const sykli__query_cell *cell)
{
    static const uint8_t tags[] = {
        [SYKLI_KIND_NULL] = SYKLI__QUERY_CELL_NULL, [SYKLI_KIND_U64] = SYKLI__QUERY_CELL_U64,
        [SYKLI_KIND_I64] = SYKLI__QUERY_CELL_I64, [SYKLI_KIND_F64] = SYKLI__QUERY_CELL_F64,
        [SYKLI_KIND_TEXT] = SYKLI__QUERY_CELL_TEXT, [SYKLI_KIND_BOOL] = SYKLI__QUERY_CELL_FALSE
    };
    uint8_t *at = sykli_buf_grow(out, 11 + (size_t)cell->size), *start = at;
    if (!at) return out->error;
    *at++ = (uint8_t)(tags[cell->kind] + (cell->kind == SYKLI_KIND_BOOL && cell->bits));
    uint64_t bits = cell->bits;
    if (cell->kind == SYKLI_KIND_I64) // zigzag, so that small negative numbers are short
        bits = bits >> 63 ? ~bits << 1 | 1 : bits << 1;
    if (cell->kind == SYKLI_KIND_TEXT) bits = cell->size;
    if (cell->kind == SYKLI_KIND_F64) {
        for (int i = 0; i < 8; i++) *at++ = (uint8_t)(bits >> (8 * i));
    } else if (cell->kind != SYKLI_KIND_NULL && cell->kind != SYKLI_KIND_BOOL) {
        at = sykli__query_leb128(at, bits);
    }
    if (cell->size) memcpy(at, r->text.data + cell->bits, cell->size);
    out->size += (size_t)(at - start) + cell->size;
    return 0;
}

static int sykli__query_encode(const sykli_result *r, sykli_buf *out)
{
    size_t rows = sykli_result_rows(r);
    sykli_buf_add(out, sykli__query_magic, sizeof sykli__query_magic);
    sykli__query_write(out, r->shown);
    for (size_t i = 0; i < r->shown; i++)
        sykli__query_write_text(out, r->columns[i].unit, r->columns[i].name,
                                strlen(r->columns[i].name));
    sykli__query_write(out, rows);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < r->shown; i++) {
            int rc = sykli__query_write_cell(out, r, &r->cells[row * r->width + i]);
            if (rc) return rc;
        }
    return out->error;
}

typedef struct sykli__query_reader {
    const uint8_t *at, *end;
    bool bad; // sticks; what is read from then on is 0
} sykli__query_reader;

static uint8_t sykli__query_read_byte(sykli__query_reader *in)
{
    if (in->at == in->end) in->bad = true;
    return in->bad ? 0 : *in->at++;
}

static uint64_t sykli__query_read(sykli__query_reader *in)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = sykli__query_read_byte(in);
        if (shift == 63 && byte > 1) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return value;
    }
    in->bad = true;
    return 0;
}

static const char *sykli__query_read_text(sykli__query_reader *in, size_t max, size_t *size)
{
    uint64_t wanted = sykli__query_read(in);
    if (wanted > max || wanted > (uint64_t)(in->end - in->at)
        || (wanted && memchr(in->at, 0, (size_t)wanted))) // a NUL would end it early, or be no JSON
        in->bad = true;
    *size = in->bad ? 0 : (size_t)wanted;
    const char *text = (const char *)in->at;
    in->at += *size;
    return text;
}

static sykli_value sykli__query_read_cell(sykli__query_reader *in)
{
    sykli_value v = { .kind = SYKLI_KIND_NULL };
    uint64_t bits = 0;
    switch (sykli__query_read_byte(in)) {
    case SYKLI__QUERY_CELL_NULL: break;
    case SYKLI__QUERY_CELL_U64:
        v.kind = SYKLI_KIND_U64;
        v.u64 = sykli__query_read(in);
        break;
    case SYKLI__QUERY_CELL_I64:
        v.kind = SYKLI_KIND_I64;
        bits = sykli__query_read(in);
        v.i64 = bits & 1 ? -(int64_t)(bits >> 1) - 1 : (int64_t)(bits >> 1);
        break;
    case SYKLI__QUERY_CELL_F64:
        for (int i = 0; i < 8; i++) bits |= (uint64_t)sykli__query_read_byte(in) << (8 * i);
        memcpy(&v.f64, &bits, sizeof v.f64);
        v.kind = SYKLI_KIND_F64;
        if (v.f64 - v.f64 != 0) in->bad = true; // no NaN in what is sorted and printed
        break;
    case SYKLI__QUERY_CELL_TEXT:
        v.kind = SYKLI_KIND_TEXT;
        v.text = sykli__query_read_text(in, SYKLI__QUERY_TEXT_MAX, &v.text_size);
        break;
    case SYKLI__QUERY_CELL_TRUE: v.u64 = 1; // fall through
    case SYKLI__QUERY_CELL_FALSE: v.kind = SYKLI_KIND_BOOL; break;
    default: in->bad = true;
    }
    return v;
}

// Reads the columns.
static void sykli__query_decode_columns(sykli__query_reader *in, sykli_result *r)
{
    uint64_t width = sykli__query_read(in);
    if (!width || width > SYKLI__QUERY_WIDTH_MAX) in->bad = true;
    for (size_t i = 0; i < width && !in->bad; i++) {
        char name[SYKLI__QUERY_NAME_MAX];
        size_t size;
        unsigned unit = sykli__query_read_byte(in);
        const char *text = sykli__query_read_text(in, SYKLI__QUERY_NAME_MAX - 1, &size);
        if (size) memcpy(name, text, size);
        name[size] = 0;
        if (unit >= SYKLI_UNIT_COUNT) in->bad = true;
        else if (sykli__query_column_add(r, name, unit) != (int)i) in->bad = true;
    }
    r->shown = r->width;
}

sykli_result *sykli_result_decode(sykli_mem *m, const void *data, size_t size, sykli_fault *f)
{
    const uint8_t *bytes = (const uint8_t *)data;
    size_t magic = sizeof sykli__query_magic;
    if (size < magic || memcmp(bytes, sykli__query_magic, magic)) {
        sykli_fail(f, SYKLI_ECORRUPT, "these %llu bytes are not a result of this version",
                   (unsigned long long)size);
        return NULL;
    }
    sykli__query_reader in = { bytes + magic, bytes + size, false };
    sykli_result *r = sykli__query_result_new(m);
    if (!r) {
        sykli_fail(f, SYKLI_ENOMEM, "no memory for a result");
        return NULL;
    }
    sykli__query_decode_columns(&in, r);
    uint64_t rows = sykli__query_read(&in), left = (uint64_t)(in.end - in.at);
    // A cell has at least one byte, so the sender pays for what we allocate.
    if (!in.bad && rows > left / r->width) in.bad = true;
    int rc = 0;
    for (; !in.bad && !rc && rows; rows--) {
        rc = sykli__query_room(r);
        for (size_t i = 0; i < r->width && !in.bad && !rc; i++) {
            sykli_value v = sykli__query_read_cell(&in);
            if (!in.bad) rc = sykli__query_put(r, &v);
        }
    }
    if (!in.bad && !rc && in.at == in.end) return r;
    if (rc) sykli__query_overflow(f, rc);
    else sykli_fail(f, SYKLI_ECORRUPT, "a damaged result, at byte %llu of %llu",
                    (unsigned long long)(in.at - bytes), (unsigned long long)size);
    sykli_result_free(r);
    return NULL;
}

// ---- running and merging

static int sykli__query_find_table(const sykli__table_registry *tables, sykli__query_scan *s)
{
    const sykli__query_ref *ref = &s->q->table;
    s->table = sykli__table_find(tables, ref->name);
    if (s->table && s->table->visibility != SYKLI_VISIBLE_secret) {
        if (sykli__table_sees(s->role, s->table->visibility)) return 0;
        return sykli__query_fail(s->q, ref->at, SYKLI_EPERM, "table %s needs role %s", ref->name,
                                 sykli_role_names[s->table->visibility]);
    }
    const char *names[SYKLI__TABLE_TABLES_MAX], *near;
    size_t count = 0;
    for (size_t i = 0; i < tables->count; i++)
        if (sykli__table_sees(s->role, tables->tables[i].visibility))
            names[count++] = tables->tables[i].name;
    near = sykli_nearest(ref->name, names, count);
    return sykli__query_fail(s->q, ref->at, SYKLI_ENOENT, "there is no table %.80s%s%s%s",
                             ref->name, near ? "; did you mean " : "", near ? near : "",
                             near ? "?" : "");
}

static int sykli__query_scan_run(sykli__query_scan *s, bool part, sykli_buf *out, sykli_fault *f)
{
    s->emit.row = sykli__query_row;
    int rc = sykli__query_bind(s);
    if (!rc) rc = sykli__query_overflow(f, sykli__query_plan(s));
    if (rc) return rc;
    if (f) f->code = 0;
    rc = s->table->scan(s->table->user, &s->emit);
    if (rc < 0 && rc != SYKLI_ENOMEM && rc != SYKLI_ELIMIT) {
        sykli_fault why = { 0 };
        if (f && f->code == rc) why = *f; // who scans has said it
        return sykli_fail(f, rc, "table %s cannot be read: %.400s", s->table->name,
                          why.code ? why.text : sykli_error_text(rc));
    }
    if (rc >= 0 && !part) rc = sykli__query_finish(s);
    else if (rc >= 0) rc = s->q->grouped ? sykli__query_combine(s)
                                         : sykli__query_arrange(s->rows, &s->sorting, s->q->limit);
    if (!rc) rc = sykli__query_encode(s->rows, out);
    return sykli__query_overflow(f, rc);
}

// Runs a query over the tables of this node and appends the encoded result.
//   part     the first stage only, for sykli_result_merge
//   returns  0; EPARSE, ENOENT, EPERM with "line:column: ..."; ELIMIT; ENOMEM; the scan's error
static int sykli__query_run(const sykli__table_registry *tables, sykli_mem *m, const char *text,
                            sykli_role role, const char *node_name, bool part, sykli_buf *out,
                            sykli_fault *f)
{
    sykli__query_scan s = { .role = role, .node_name = node_name };
    int rc = SYKLI_ENOMEM;
    s.q = sykli__query_new(m, text, f);
    s.rows = s.q ? sykli__query_result_new(m) : NULL;
    if (s.q) rc = s.q->error;
    if (s.q && !rc) rc = sykli__query_find_table(tables, &s);
    if (!rc && !s.rows) rc = sykli__query_overflow(f, SYKLI_ENOMEM);
    if (!rc) rc = sykli__query_scan_run(&s, part, out, f);
    sykli_result_free(s.rows);
    sykli__query_free(m, s.q);
    return rc;
}

// Takes in the rows of one part; a column that it does not have is NULL.
static int sykli__query_append(sykli_result *rows, const sykli_result *part)
{
    int columns[SYKLI__QUERY_WIDTH_MAX];
    size_t count = sykli_result_rows(part);
    for (size_t i = 0; i < rows->width; i++)
        columns[i] = sykli__query_column_find(part, rows->columns[i].name);
    for (size_t row = 0; row < count; row++) {
        int rc = sykli__query_room(rows);
        for (size_t i = 0; i < rows->width && !rc; i++) {
            sykli_value v = { .kind = SYKLI_KIND_NULL };
            if (columns[i] >= 0) v = sykli_result_cell(part, row, (size_t)columns[i]);
            rc = sykli__query_put(rows, &v);
        }
        if (rc) return rc;
    }
    return 0;
}

sykli_result *sykli_result_merge(sykli_mem *m, const char *query, sykli_result *const *parts,
                                 size_t count, sykli_fault *f)
{
    sykli__query_scan s = { .parts = parts, .part_count = count };
    int rc = SYKLI_ENOMEM;
    s.q = sykli__query_new(m, query, f);
    if (s.q) rc = s.q->error;
    if (!rc) {
        s.rows = sykli__query_result_new(m);
        rc = s.rows ? sykli__query_plan(&s) : SYKLI_ENOMEM;
        for (size_t i = 0; i < count && !rc; i++) rc = sykli__query_append(s.rows, parts[i]);
        if (!rc) rc = sykli__query_finish(&s);
        sykli__query_overflow(f, rc);
    }
    sykli__query_free(m, s.q);
    if (!rc) return s.rows;
    sykli_result_free(s.rows);
    return NULL;
}

// ---- rendering

// Appends text that cannot drive a terminal: control characters, C1 too, and what is not UTF-8
// become escapes.    lines  keep ends of lines and tabs; a CR alone writes over its line: not kept
static void sykli__query_escape(sykli_buf *out, const char *text, size_t size, bool lines)
{
    const uint8_t *p = (const uint8_t *)text;
    for (size_t step; size; p += step, size -= step) {
        bool c1 = size > 1 && p[0] == 0xc2 && p[1] < 0xa0;
        step = sykli__base_utf8_step(p, size);
        const char *named = *p ? strchr("\n\r\t", *p) : NULL;
        bool kept = named && lines && (*p != '\r' || (size > 1 && p[1] == '\n'));
        if (step && !c1 && ((*p >= 0x20 && *p != 0x7f) || kept))
            sykli_buf_add(out, p, step);
        else if (named) sykli_buf_print(out, "\\%c", *p == '\n' ? 'n' : *p == '\r' ? 'r' : 't');
        else sykli_buf_print(out, "\\x%02x", c1 ? p[1] : p[0]);
        if (!step) step = 1;
    }
}

// A double with so many digits, and a point in any locale.
static void sykli__query_format_f64(char text[64], const char *format, int digits, double value)
{
    char *to = text;
    snprintf(text, 64, format, digits, value);
    for (const char *p = text; *p; p++) {
        if (strchr("0123456789+-e", *p)) *to++ = *p;
        else if (to == text || to[-1] != '.') *to++ = '.';
    }
    *to = 0;
}

// The shortest decimal that reads back as the same double, or one for people.
static void sykli__query_print_f64(sykli_buf *out, double value, bool exact)
{
    char text[64];
    bool large = value >= 1e15 || value <= -1e15;
    if (!exact) sykli__query_format_f64(text, large ? "%.*g" : "%.*f", large ? 6 : 2, value);
    for (int digits = 15; exact && digits <= 17; digits++) {
        sykli__query_format_f64(text, "%.*g", digits, value);
        if (sykli__json_decimal(text) == value) break;
    }
    sykli_buf_text(out, text);
}

static void sykli__query_print_u64(sykli_buf *out, bool minus, uint64_t value)
{
    char text[24], *at = text + sizeof text;
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    if (minus) *--at = '-';
    sykli_buf_add(out, at, (size_t)(text + sizeof text - at));
}

// A value as it is, for programs.
static void sykli__query_print_raw(sykli_buf *out, const sykli_value *v)
{
    switch (v->kind) {
    case SYKLI_KIND_U64: sykli__query_print_u64(out, false, v->u64); break;
    case SYKLI_KIND_I64:
        sykli__query_print_u64(out, v->i64 < 0,
                               v->i64 < 0 ? 0 - (uint64_t)v->i64 : (uint64_t)v->i64);
        break;
    case SYKLI_KIND_F64: sykli__query_print_f64(out, v->f64, true); break;
    case SYKLI_KIND_BOOL: sykli_buf_text(out, v->u64 ? "true" : "false"); break;
    default: break;
    }
}

// A number in its unit, for people.
static void sykli__query_print_number(sykli_buf *out, const sykli_value *v)
{
    char text[40];
    double real = sykli__query_f64(v);
    bool minus = real < 0;
    uint64_t size = v->u64;
    if (v->kind == SYKLI_KIND_I64) size = minus ? 0 - (uint64_t)v->i64 : (uint64_t)v->i64;
    if (v->kind == SYKLI_KIND_F64) {
        if (minus) real = -real;
        size = real < 1.8e19 ? (uint64_t)real : UINT64_MAX;
    }
    if (v->unit == SYKLI_UNIT_none || v->unit >= SYKLI_UNIT_COUNT) {
        if (v->kind == SYKLI_KIND_F64) sykli__query_print_f64(out, v->f64, false);
        else sykli__query_print_raw(out, v);
        return;
    }
    if (v->unit == SYKLI_UNIT_time) {
        int64_t ms = size > INT64_MAX ? INT64_MAX : (int64_t)size;
        sykli_buf_text(out, sykli_format_time(text, minus ? -ms : ms));
        return;
    }
    if (minus) sykli_buf_text(out, "-");
    if (v->unit == SYKLI_UNIT_percent) {
        sykli__query_print_f64(out, v->kind == SYKLI_KIND_F64 ? real : (double)size, false);
        sykli_buf_text(out, "%");
    } else if (v->unit == SYKLI_UNIT_us && size < 10000) {
        sykli_buf_print(out, "%uus", (unsigned)size);
    } else if (v->unit == SYKLI_UNIT_bytes) {
        sykli_buf_text(out, sykli_format_size(text, size));
    } else {
        sykli_buf_text(out, sykli_format_duration(text, v->unit == SYKLI_UNIT_us ? size / 1000
                                                                                 : size));
    }
}

static bool sykli__query_is_number(const sykli_value *v)
{
    return v->kind == SYKLI_KIND_U64 || v->kind == SYKLI_KIND_I64 || v->kind == SYKLI_KIND_F64;
}

// A cell for people, in `out` from its beginning.    returns  its width in characters
static size_t sykli__query_show(const sykli_value *v, sykli_buf *out)
{
    size_t width = 0;
    out->size = 0;
    if (v->kind == SYKLI_KIND_TEXT) sykli__query_escape(out, v->text, v->text_size, false);
    else if (sykli__query_is_number(v)) sykli__query_print_number(out, v);
    else sykli__query_print_raw(out, v);
    for (size_t i = 0; i < out->size; i++) width += (out->data[i] & 0xc0) != 0x80;
    return width;
}

typedef struct sykli__query_layout { size_t width; bool right; } sykli__query_layout;

static void sykli__query_pad(sykli_buf *out, size_t count)
{
    uint8_t *at = sykli_buf_grow(out, count + 1);
    if (!at) return;
    memset(at, ' ', count);
    at[count] = 0;
    out->size += count;
}

// Appends a cell, and what stands before it; blanks behind a line's last cell are left out.
static void sykli__query_place(sykli_buf *out, const sykli_buf *cell, size_t width,
                               const sykli__query_layout *layout, size_t *owed)
{
    size_t pad = layout->width - width;
    if (cell->size) {
        sykli__query_pad(out, *owed + (layout->right ? pad : 0));
        sykli_buf_add(out, cell->data, cell->size);
        *owed = 0;
    }
    *owed += (cell->size ? layout->right ? 0 : pad : layout->width) + 2;
}

static void sykli__query_measure(const sykli_result *r, sykli__query_layout *layout,
                                 sykli_buf *cell)
{
    size_t rows = sykli_result_rows(r);
    for (size_t i = 0; i < r->shown; i++) {
        layout[i].width = strlen(r->columns[i].name);
        for (size_t row = 0; row < rows; row++) {
            sykli_value v = sykli_result_cell(r, row, i);
            size_t width = sykli__query_show(&v, cell);
            if (width > layout[i].width) layout[i].width = width;
            layout[i].right |= sykli__query_is_number(&v);
        }
    }
}

static void sykli__query_render_table(const sykli_result *r, sykli_buf *out)
{
    sykli__query_layout layout[SYKLI__QUERY_WIDTH_MAX] = { 0 };
    size_t rows = sykli_result_rows(r);
    sykli_buf cell;
    sykli_buf_init(&cell, r->mem, SYKLI_TAG_query);
    sykli__query_measure(r, layout, &cell);
    for (size_t row = 0; row <= rows; row++) { // the first one is the header
        size_t owed = 0;
        for (size_t i = 0; i < r->shown; i++) {
            const char *name = r->columns[i].name;
            sykli_value v = { .kind = SYKLI_KIND_TEXT, .text = name, .text_size = strlen(name) };
            if (row) v = sykli_result_cell(r, row - 1, i);
            size_t width = sykli__query_show(&v, &cell);
            sykli__query_place(out, &cell, width, &layout[i], &owed);
        }
        sykli_buf_text(out, "\n");
    }
    if (cell.error && !out->error) out->error = cell.error;
    sykli_buf_free(&cell);
}

static void sykli__query_render_json(const sykli_result *r, sykli_buf *out)
{
    static const char *const units[SYKLI_UNIT_COUNT] = { "none", "bytes", "ms", "us", "time",
                                                         "percent" };
    size_t rows = sykli_result_rows(r), ends[SYKLI__QUERY_WIDTH_MAX];
    sykli_buf keys; // the names, quoted once: {"name":,"other":
    sykli_buf_init(&keys, r->mem, SYKLI_TAG_query);
    for (size_t i = 0; i < r->shown; i++) {
        sykli_buf_text(&keys, i ? "," : "{");
        sykli_json_quote(&keys, r->columns[i].name, strlen(r->columns[i].name));
        sykli_buf_text(&keys, ":");
        ends[i] = keys.size;
    }
    sykli_buf_text(out, "{\"items\":[");
    for (size_t row = 0; row < rows && !keys.error; row++) {
        if (row) sykli_buf_text(out, ",");
        for (size_t i = 0; i < r->shown; i++) {
            sykli_value v = sykli_result_cell(r, row, i);
            size_t start = i ? ends[i - 1] : 0;
            sykli_buf_add(out, keys.data + start, ends[i] - start);
            if (v.kind == SYKLI_KIND_TEXT) sykli_json_quote(out, v.text, v.text_size);
            else if (v.kind == SYKLI_KIND_NULL) sykli_buf_text(out, "null");
            else sykli__query_print_raw(out, &v);
        }
        sykli_buf_text(out, "}");
    }
    sykli_buf_text(out, "],\"columns\":[");
    for (size_t i = 0; i < r->shown; i++) {
        sykli_buf_text(out, i ? ",{\"name\":" : "{\"name\":");
        sykli_json_quote(out, r->columns[i].name, strlen(r->columns[i].name));
        sykli_buf_print(out, ",\"unit\":\"%s\"}", units[r->columns[i].unit]);
    }
    sykli_buf_text(out, "]}");
    if (keys.error && !out->error) out->error = keys.error;
    sykli_buf_free(&keys);
}

// RFC 4180: what has a comma, a quote or an end of line stands in quotes; lines end in CR LF.
static void sykli__query_csv_text(sykli_buf *out, const char *text, size_t size)
{
    bool quoted = false;
    for (size_t i = 0; i < size; i++) quoted |= text[i] && strchr(",\"\r\n", text[i]);
    if (quoted) sykli_buf_text(out, "\"");
    for (size_t end; size; text += end, size -= end) {
        const char *quote = (const char *)memchr(text, '"', size);
        end = quote ? (size_t)(quote - text) + 1 : size;
        sykli__query_escape(out, text, end, true);
        if (quote) sykli_buf_text(out, "\"");
    }
    if (quoted) sykli_buf_text(out, "\"");
}

static void sykli__query_render_csv(const sykli_result *r, sykli_buf *out)
{
    size_t rows = sykli_result_rows(r);
    for (size_t i = 0; i < r->shown; i++) {
        if (i) sykli_buf_text(out, ",");
        sykli__query_csv_text(out, r->columns[i].name, strlen(r->columns[i].name));
    }
    sykli_buf_text(out, "\r\n");
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = 0; i < r->shown; i++) {
            sykli_value v = sykli_result_cell(r, row, i);
            if (i) sykli_buf_text(out, ",");
            if (v.kind == SYKLI_KIND_TEXT) sykli__query_csv_text(out, v.text, v.text_size);
            else sykli__query_print_raw(out, &v);
        }
        sykli_buf_text(out, "\r\n");
    }
}

int sykli_result_render(const sykli_result *r, sykli_format format, sykli_buf *out)
{
    if (format == SYKLI_FORMAT_json) sykli__query_render_json(r, out);
    else if (format == SYKLI_FORMAT_csv) sykli__query_render_csv(r, out);
    else sykli__query_render_table(r, out);
    return out->error;
}

// >>op ---- the registry of ops, argument checking, roles
// Everything that changes something is one row here, and every way in (a C call, the control
// socket, the mesh, HTTP) asks sykli__op_check before the handler runs: role, consent and
// arguments are judged in one place and refused in one wording. An op registered without a role is
// the owner's, so that a forgotten field never opens a door.

#define SYKLI__OP_MAX 256       // ops of a context
#define SYKLI__OP_PARAMS_MAX 32 // parameters of an op
#define SYKLI__OP_NAME_MAX 64   // bytes of a name

typedef struct sykli__op_registry {
    sykli_mem *mem;
    sykli_op **ops; // allocated one by one: a call in progress keeps its pointer
    size_t count, capacity;
    sykli_map names; // index in `ops` by name
} sykli__op_registry;

static void sykli__op_init(sykli__op_registry *reg, sykli_mem *m, const uint64_t seed[2])
{
    memset(reg, 0, sizeof *reg);
    reg->mem = m;
    sykli_map_init(&reg->names, m, seed);
}

static void sykli__op_free(sykli__op_registry *reg)
{
    for (size_t i = 0; i < reg->count; i++)
        sykli_mem_resize(reg->mem, SYKLI_TAG_table, reg->ops[i], sizeof *reg->ops[i], 0);
    if (reg->ops)
        sykli_mem_resize(reg->mem, SYKLI_TAG_table, reg->ops, reg->capacity * sizeof *reg->ops, 0);
    sykli_map_free(&reg->names);
    reg->ops = NULL;
    reg->count = reg->capacity = 0;
}

// The op of that name, NULL if there is none. Valid until sykli__op_free.
static const sykli_op *sykli__op_find(const sykli__op_registry *reg, const char *name)
{
    const uint64_t *index = sykli_map_get(&reg->names, name, strlen(name));
    return index ? reg->ops[*index] : NULL;
}

// Takes away the ops of a user.
static void sykli__op_forget(sykli__op_registry *reg, const void *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < reg->count; i++) {
        sykli_op *op = reg->ops[i];
        if (op->user == user) {
            sykli_map_remove(&reg->names, op->name, strlen(op->name));
            sykli_mem_resize(reg->mem, SYKLI_TAG_table, op, sizeof *op, 0);
            continue;
        }
        *sykli_map_get(&reg->names, op->name, strlen(op->name)) = kept;
        reg->ops[kept++] = op;
    }
    reg->count = kept;
}

static const sykli_op *sykli__op_find_id(const sykli__op_registry *reg, uint32_t id)
{
    for (size_t i = 0; i < reg->count; i++)
        if (reg->ops[i]->id == id) return reg->ops[i];
    return NULL;
}

// At least two words of [a-z_] with dots between them.
static bool sykli__op_name_valid(const char *name)
{
    size_t dots = 0, word = 0, size = 0;
    for (; name[size] && size <= SYKLI__OP_NAME_MAX; size++) {
        char c = name[size];
        bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (c != '.' || !word)) return false;
        dots += c == '.';
        word = letter ? word + 1 : 0;
    }
    return dots && word && size <= SYKLI__OP_NAME_MAX;
}

// What a parameter of that kind takes, NULL for kinds that cannot be a parameter.
static const char *sykli__op_kind_text(sykli_kind kind)
{
    switch (kind) {
    case SYKLI_KIND_BOOL: return "true or false";
    case SYKLI_KIND_I64: return "a whole number";
    case SYKLI_KIND_U64: return "a whole number of at least 0";
    case SYKLI_KIND_F64: return "a number";
    case SYKLI_KIND_TEXT: return "text";
    default: return NULL;
    }
}

static int sykli__op_validate(const sykli_op *op, sykli_fault *f)
{
    char shown[48];
    const char *name = op->name ? op->name : "";
    if (!sykli__op_name_valid(name))
        return sykli_fail(f, SYKLI_EINVAL, "op name \"%s\": a name is noun.verb of [a-z_], at most "
                          "%d bytes", sykli__base_shown(shown, name, strlen(name)),
                          SYKLI__OP_NAME_MAX);
    if (!op->id) return sykli_fail(f, SYKLI_EINVAL, "op %s: the id must not be 0", name);
    if (!op->handler) return sykli_fail(f, SYKLI_EINVAL, "op %s: there is no handler", name);
    if (op->role < SYKLI_ROLE_none || op->role >= SYKLI_ROLE_COUNT)
        return sykli_fail(f, SYKLI_EINVAL, "op %s: %d is not a role", name, (int)op->role);
    if (op->param_count > SYKLI__OP_PARAMS_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "op %s: at most %d parameters", name,
                          SYKLI__OP_PARAMS_MAX);
    for (size_t i = 0; i < op->param_count; i++) {
        const sykli_param *param = &op->params[i];
        if (!param->name || !*param->name)
            return sykli_fail(f, SYKLI_EINVAL, "op %s: parameter %d has no name", name, (int)i);
        if (!sykli__op_kind_text(param->kind))
            return sykli_fail(f, SYKLI_EINVAL, "op %s: parameter %s must be BOOL, I64, U64, F64 or "
                              "TEXT", name, param->name);
    }
    return 0;
}

// Adds a copy of the row.     returns  0, EINVAL, EEXIST, ELIMIT, ENOMEM
static int sykli__op_add(sykli__op_registry *reg, const sykli_op *op, sykli_fault *f)
{
    int rc = sykli__op_validate(op, f);
    if (rc) return rc;
    if (sykli__op_find(reg, op->name))
        return sykli_fail(f, SYKLI_EEXIST, "op %s is already there", op->name);
    const sykli_op *same = sykli__op_find_id(reg, op->id);
    if (same)
        return sykli_fail(f, SYKLI_EEXIST, "op %s: id %u belongs to %s", op->name,
                          (unsigned)op->id, same->name);
    if (reg->count == SYKLI__OP_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "op %s: at most %d ops", op->name, SYKLI__OP_MAX);
    sykli_op *copy = NULL;
    if (sykli__base_room(reg->mem, SYKLI_TAG_table, &reg->ops, &reg->capacity, reg->count,
                         sizeof *reg->ops, SYKLI__OP_MAX))
        copy = (sykli_op *)sykli_mem_resize(reg->mem, SYKLI_TAG_table, NULL, 0, sizeof *copy);
    if (copy && sykli_map_put(&reg->names, op->name, strlen(op->name), reg->count) < 0)
        copy = (sykli_op *)sykli_mem_resize(reg->mem, SYKLI_TAG_table, copy, sizeof *copy, 0);
    if (!copy) return sykli_fail(f, SYKLI_ENOMEM, "op %s: out of memory", op->name);
    *copy = *op;
    if (copy->role == SYKLI_ROLE_none) copy->role = SYKLI_ROLE_owner;
    reg->ops[reg->count++] = copy;
    return 0;
}

// The parameters in one line, "count:u64 node:text?"; what does not fit is left out.
static const char *sykli__op_params_text(const sykli_op *op, char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < op->param_count; i++) {
        const sykli_param *param = &op->params[i];
        const char *kind = param->kind == SYKLI_KIND_BOOL ? "bool" : param->kind == SYKLI_KIND_I64
            ? "i64" : param->kind == SYKLI_KIND_U64 ? "u64" : param->kind == SYKLI_KIND_F64 ? "f64"
            : "text";
        int size = snprintf(out + used, room - used, "%s%s:%s%s", i ? " " : "", param->name, kind,
                            param->required ? "" : "?");
        if (size < 0 || (size_t)size >= room - used) {
            out[used] = 0;
            break;
        }
        used += (size_t)size;
    }
    return out;
}

static const sykli_param *sykli__op_param(const sykli_op *op, const char *name)
{
    for (size_t i = 0; i < op->param_count; i++)
        if (!strcmp(op->params[i].name, name)) return &op->params[i];
    return NULL;
}

static int sykli__op_unknown(const sykli_op *op, const char *name, sykli_fault *f)
{
    const char *known[SYKLI__OP_PARAMS_MAX];
    char shown[48], takes[192];
    for (size_t i = 0; i < op->param_count; i++) known[i] = op->params[i].name;
    const char *near = sykli_nearest(name, known, op->param_count);
    sykli__base_shown(shown, name, strlen(name));
    if (near)
        return sykli_fail(f, SYKLI_EINVAL, "op %s: there is no argument \"%s\", did you mean %s?",
                          op->name, shown, near);
    sykli__op_params_text(op, takes, sizeof takes);
    return sykli_fail(f, SYKLI_EINVAL, "op %s: there is no argument \"%s\", it takes %s", op->name,
                      shown, *takes ? takes : "none");
}

static bool sykli__op_fits(const sykli_json_doc *args, uint32_t node, sykli_kind kind)
{
    uint64_t u64;
    int64_t i64;
    double f64;
    uint8_t type = args->nodes[node].type;
    switch (kind) {
    case SYKLI_KIND_BOOL: return type == SYKLI_JSON_true || type == SYKLI_JSON_false;
    case SYKLI_KIND_U64: return sykli_json_u64(args, node, &u64);
    case SYKLI_KIND_I64: return sykli_json_i64(args, node, &i64);
    case SYKLI_KIND_F64: return sykli_json_f64(args, node, &f64);
    default: return type == SYKLI_JSON_string;
    }
}

static int sykli__op_misfit(const sykli_op *op, const sykli_param *param,
                            const sykli_json_doc *args, uint32_t at, sykli_fault *f)
{
    static const char *const names[] = { "nothing", "null", "false", "true", "", "", "a list",
                                         "an object" };
    const sykli_json_node *node = &args->nodes[at];
    const char *quote = node->type == SYKLI_JSON_string ? "\"" : "", *given = names[node->type];
    char shown[48];
    if (node->type == SYKLI_JSON_string || node->type == SYKLI_JSON_number)
        given = sykli__base_shown(shown, args->text + node->text, node->text_size);
    return sykli_fail(f, SYKLI_EINVAL, "op %s: argument %s must be %s, not %s%s%s", op->name,
                      param->name, sykli__op_kind_text(param->kind), quote, given, quote);
}

static int sykli__op_check_args(const sykli_op *op, const sykli_json_doc *args, sykli_fault *f)
{
    bool empty = !args || !args->count;
    if (!empty && args->nodes[0].type != SYKLI_JSON_object)
        return sykli_fail(f, SYKLI_EINVAL, "op %s: the arguments must be one JSON object",
                          op->name);
    for (uint32_t n = empty ? 0 : sykli_json_first(args, 0); n; n = sykli_json_next(args, 0, n)) {
        const sykli_param *param = sykli__op_param(op, sykli_json_key(args, n));
        if (!param) return sykli__op_unknown(op, sykli_json_key(args, n), f);
        if (args->nodes[n].type != SYKLI_JSON_null && !sykli__op_fits(args, n, param->kind))
            return sykli__op_misfit(op, param, args, n, f);
    }
    for (size_t i = 0; i < op->param_count; i++) {
        const sykli_param *param = &op->params[i];
        if (param->required && (empty || !sykli_json_get(args, 0, param->name)))
            return sykli_fail(f, SYKLI_EINVAL, "op %s: argument %s is missing, it must be %s",
                              op->name, param->name, sykli__op_kind_text(param->kind));
    }
    return 0;
}

// May this call be made? Who may not call learns nothing about the arguments. The owner's own call
// is the consent; no role that comes over a link is the owner.
//   args     NULL or an empty document: {}
//   returns  0, EPERM, ECONSENT, EINVAL
static int sykli__op_check(const sykli_op *op, const sykli_json_doc *args, sykli_role role,
                           bool consent_given, sykli_fault *f)
{
    if (role < SYKLI_ROLE_none || role >= SYKLI_ROLE_COUNT) role = SYKLI_ROLE_none;
    if (role < op->role)
        return sykli_fail(f, SYKLI_EPERM, "op %s needs the role %s, the caller has %s", op->name,
                          sykli_role_names[op->role], sykli_role_names[role]);
    if (op->consent && !consent_given && role < SYKLI_ROLE_owner)
        return sykli_fail(f, SYKLI_ECONSENT, "op %s needs the consent of this machine's owner",
                          op->name);
    return sykli__op_check_args(op, args, f);
}

#define SYKLI__OP_COLUMNS(X, T)                                                                    \
    X(T, U64, id, 0, none, public, "stable number, the same in every version")                     \
    X(T, TEXT, name, 0, none, public, "noun.verb")                                                 \
    X(T, ENUM, role, sykli_role_names, none, public, "the least role that may call it")            \
    X(T, BOOL, consent, 0, none, public, "also needs the consent of the machine's owner")          \
    X(T, TEXT, params, 0, none, public, "arguments and their kinds, ? after optional ones")        \
    X(T, TEXT, help, 0, none, public, "what it does")
SYKLI_ROW(sykli__op_row, SYKLI__OP_COLUMNS)
SYKLI_COLUMNS(sykli__op_row, SYKLI__OP_COLUMNS)

// The scan of the table `ops`; user is the registry.
static int sykli__op_scan(void *user, sykli_emit *to)
{
    const sykli__op_registry *reg = (const sykli__op_registry *)user;
    char params[512];
    for (size_t i = 0; i < reg->count; i++) {
        const sykli_op *op = reg->ops[i];
        sykli__op_row row = { op->id, op->name, (uint32_t)op->role, op->consent,
                              sykli__op_params_text(op, params, sizeof params), op->help };
        int rc = to->row(to, &row);
        if (rc) return rc;
    }
    return 0;
}

// >>event ---- the ring of what happened
// What happened, in a ring: storing an event never fails, never waits and costs one row. The ring
// grows to its size as events come; without memory for that it stays as large as it is. A reader
// remembers the serial it saw last and is told how many rows it missed; no reader can hold back a
// writer. Output of tasks is in their logs, never here.

#define SYKLI__EVENT_ROWS 4096 // default capacity
#define SYKLI__EVENT_FIRST 256 // rows of a new ring

#define SYKLI__EVENT_COLUMNS(X, T)                                                                 \
    X(T, U64, serial, 0, none, public, "counts up from 1; a gap means lost rows")                  \
    X(T, I64, at, 0, time, public, "when")                                                         \
    X(T, ENUM, event, sykli_event_names, none, public, "what happened")                            \
    X(T, ENUM, status, sykli_status_names, none, public, "how a task or run ended")                \
    X(T, U64, run, 0, none, public, "the run it belongs to")                                       \
    X(T, STR, name, 48, none, public, "task, node or config key, cut to fit")                      \
    X(T, U64, attempt, 0, none, public, "of a task, from 1")                                       \
    X(T, U64, pid, 0, none, public, "first process of the task")                                   \
    X(T, I64, exit_code, 0, none, public, "of the task's process")                                 \
    X(T, U64, signal, 0, none, public, "that ended the task's process")                            \
    X(T, U64, duration_ms, 0, ms, public, "wall time of the task or run")                          \
    X(T, STR, source, 48, none, public, "where a hit came from")                                   \
    X(T, STR, text, 80, none, observer, "reason or message, cut to fit")
SYKLI_ROW(sykli__event_row, SYKLI__EVENT_COLUMNS)
SYKLI_COLUMNS(sykli__event_row, SYKLI__EVENT_COLUMNS)
_Static_assert(sizeof(sykli__event_row) <= 256, "a stored event is at most 256 bytes");

typedef struct sykli__event_ring {
    sykli_mem *mem;
    sykli__event_row *rows; // serial s is at (s - 1) % capacity
    size_t capacity, capacity_max;
    uint64_t newest;        // serial of the row stored last, 0: none
} sykli__event_ring;

//   capacity  rows; 0: SYKLI__EVENT_ROWS
static int sykli__event_init(sykli__event_ring *ring, sykli_mem *m, size_t capacity,
                             sykli_fault *f)
{
    memset(ring, 0, sizeof *ring);
    ring->mem = m;
    if (!capacity) capacity = SYKLI__EVENT_ROWS;
    if (capacity > SIZE_MAX / 2 / sizeof *ring->rows)
        return sykli_fail(f, SYKLI_ELIMIT, "an event ring of that many rows is too large");
    ring->capacity_max = capacity;
    if (capacity > SYKLI__EVENT_FIRST) capacity = SYKLI__EVENT_FIRST;
    size_t size = capacity * sizeof *ring->rows;
    ring->rows = (sykli__event_row *)sykli_mem_resize(m, SYKLI_TAG_event, NULL, 0, size);
    if (!ring->rows) return sykli_fail(f, SYKLI_ENOMEM, "no memory for the event ring");
    ring->capacity = capacity;
    return 0;
}

// Makes a full ring larger before its first row is overwritten: no row changes its place.
static void sykli__event_grow(sykli__event_ring *ring)
{
    size_t size = ring->capacity * sizeof *ring->rows, capacity = ring->capacity * 2;
    if (ring->newest != ring->capacity || ring->capacity == ring->capacity_max) return;
    if (capacity > ring->capacity_max) capacity = ring->capacity_max;
    void *rows = sykli_mem_resize(ring->mem, SYKLI_TAG_event, ring->rows, size,
                                  capacity * sizeof *ring->rows);
    if (!rows) return;
    ring->rows = (sykli__event_row *)rows;
    ring->capacity = capacity;
}

static void sykli__event_free(sykli__event_ring *ring)
{
    size_t size = ring->capacity * sizeof *ring->rows;
    if (ring->rows) sykli_mem_resize(ring->mem, SYKLI_TAG_event, ring->rows, size, 0);
    memset(ring, 0, sizeof *ring);
}

// Copies what fits and ends at a whole character.
static void sykli__event_cut(char *out, size_t room, const char *text, size_t size)
{
    if (size >= room)
        for (size = room - 1; size && ((uint8_t)text[size] & 0xc0) == 0x80;) size--;
    if (size) memcpy(out, text, size);
    memset(out + size, 0, room - size);
}

// Messages may leave text_size 0, output never does.
static size_t sykli__event_text_size(const sykli_event *e)
{
    if (!e->text || e->text_size || e->kind == SYKLI_EVENT_task_output) return e->text_size;
    return strlen(e->text);
}

// Whether a process of the task ended, so that exit code and signal say something.
static bool sykli__event_ended(const sykli_event *e)
{
    return e->kind == SYKLI_EVENT_task_finished && e->status != SYKLI_STATUS_cached
        && e->status != SYKLI_STATUS_skipped && e->status != SYKLI_STATUS_blocked;
}

static bool sykli__event_finished(const sykli_event *e)
{
    return e->kind == SYKLI_EVENT_task_finished || e->kind == SYKLI_EVENT_run_finished;
}

// What a run's first and last event say in numbers, for the one text that a row has room for.
static void sykli__event_summary(char *out, size_t room, const sykli_event *e)
{
    size_t used = 0;
    if (e->kind == SYKLI_EVENT_run_started)
        snprintf(out, room, "%u tasks, %u workers", (unsigned)e->tasks, (unsigned)e->workers);
    for (int i = 0; e->kind == SYKLI_EVENT_run_finished && i < SYKLI_ENDINGS; i++) {
        if (!e->counts[i]) continue;
        int size = snprintf(out + used, room - used, "%s%u %s", used ? ", " : "",
                            (unsigned)e->counts[i], sykli_status_names[i]);
        if (size < 0 || (size_t)size >= room - used) return;
        used += (size_t)size;
    }
}

static void sykli__event_store(sykli__event_ring *ring, const sykli_event *e)
{
    assert((unsigned)e->kind < SYKLI_EVENT_COUNT);
    if (e->kind == SYKLI_EVENT_task_output || !ring->capacity) return;
    sykli__event_grow(ring);
    bool ended = sykli__event_ended(e);
    sykli__event_row *row = &ring->rows[ring->newest++ % ring->capacity];
    memset(row, 0, sizeof *row);
    row->serial = ring->newest;
    row->at = e->at_ms;
    row->event = (uint32_t)e->kind;
    row->status = sykli__event_finished(e) ? (uint32_t)e->status : SYKLI_NULL_ENUM;
    row->run = e->run ? e->run : SYKLI_NULL_U64;
    row->attempt = e->attempt > 0 ? (uint64_t)e->attempt : SYKLI_NULL_U64;
    row->pid = e->pid > 0 ? (uint64_t)e->pid : SYKLI_NULL_U64;
    row->exit_code = ended && e->exit_code >= 0 && !e->signal ? e->exit_code : SYKLI_NULL_I64;
    row->signal = ended && e->signal > 0 ? (uint64_t)e->signal : SYKLI_NULL_U64;
    row->duration_ms = sykli__event_finished(e) ? e->duration_ms : SYKLI_NULL_U64;
    sykli__event_cut(row->name, sizeof row->name, e->name, e->name ? strlen(e->name) : 0);
    sykli__event_cut(row->source, sizeof row->source, e->from, e->from ? strlen(e->from) : 0);
    if (e->text) sykli__event_cut(row->text, sizeof row->text, e->text, sykli__event_text_size(e));
    else sykli__event_summary(row->text, sizeof row->text, e);
}

// The first row behind *serial.
//   serial   in: the last one seen, 0 at first; out: this one's
//   lost     rows that were overwritten before they could be read
//   out      valid until the next store
//   returns  1, or 0: nothing new
static int sykli__event_read(const sykli__event_ring *ring, uint64_t *serial,
                             const sykli__event_row **out, uint64_t *lost)
{
    *lost = 0;
    if (*serial >= ring->newest) return 0;
    uint64_t oldest = ring->newest > ring->capacity ? ring->newest - ring->capacity + 1 : 1;
    if (*serial + 1 < oldest) {
        *lost = oldest - *serial - 1;
        *serial = oldest - 1;
    }
    *out = &ring->rows[*serial % ring->capacity];
    ++*serial;
    return 1;
}

// The scan of the table `events`, oldest first; user is the ring.
static int sykli__event_scan(void *user, sykli_emit *to)
{
    const sykli__event_ring *ring = (const sykli__event_ring *)user;
    const sykli__event_row *row;
    uint64_t serial = 0, lost;
    while (sykli__event_read(ring, &serial, &row, &lost)) {
        int rc = to->row(to, row);
        if (rc) return rc;
    }
    return 0;
}

// Members of a JSON object. Errors stick in the buffer, so only the last call is looked at.
static void sykli__event_bytes(sykli_buf *b, const char *name, const char *text, size_t size)
{
    sykli_buf_print(b, ",\"%s\":", name);
    if (text) sykli_json_quote(b, text, size);
    else sykli_buf_text(b, "null");
}

SYKLI__APART
static void sykli__event_text(sykli_buf *b, const char *name, const char *text)
{
    sykli__event_bytes(b, name, text, text ? strlen(text) : 0);
}

SYKLI__APART
static void sykli__event_u64(sykli_buf *b, const char *name, uint64_t value)
{
    sykli_buf_print(b, ",\"%s\":%llu", name, (unsigned long long)value);
}

// A number, or null where it says nothing.
static void sykli__event_int(sykli_buf *b, const char *name, int value, bool known)
{
    if (known) sykli_buf_print(b, ",\"%s\":%d", name, value);
    else sykli_buf_print(b, ",\"%s\":null", name);
}

static void sykli__event_head(sykli_buf *b, uint32_t kind, int64_t at_ms, uint64_t run)
{
    char at[32], id[24];
    snprintf(id, sizeof id, "%llu", (unsigned long long)run); // text: readers parse doubles
    sykli_buf_print(b, "{\"event\":\"%s\",\"at\":\"%s\"", sykli_event_names[kind],
                    sykli_format_time(at, at_ms));
    sykli__event_text(b, "run", run && run != SYKLI_NULL_U64 ? id : NULL);
}

static void sykli__event_task_finished(sykli_buf *b, const sykli_event *e)
{
    bool ended = sykli__event_ended(e);
    sykli__event_text(b, "status", sykli_status_names[e->status]);
    sykli__event_int(b, "exit_code", e->exit_code, ended && e->exit_code >= 0 && !e->signal);
    sykli__event_int(b, "signal", e->signal, ended && e->signal > 0);
    sykli__event_text(b, "from", e->from);
    sykli__event_text(b, "key", e->key && *e->key ? e->key : NULL);
    sykli__event_u64(b, "duration_ms", e->duration_ms);
    sykli__event_u64(b, "cpu_ms", e->cpu_ms);
    sykli__event_u64(b, "rss_max_bytes", e->rss_max_bytes);
    sykli__event_u64(b, "read_bytes", e->read_bytes);
    sykli__event_u64(b, "write_bytes", e->write_bytes);
    sykli__event_bytes(b, "why", e->text, sykli__event_text_size(e));
}

static void sykli__event_run_finished(sykli_buf *b, const sykli_event *e)
{
    sykli__event_text(b, "status", sykli_status_names[e->status]);
    for (int i = 0; i < SYKLI_ENDINGS; i++)
        sykli__event_u64(b, sykli_status_names[i], e->counts[i]);
    sykli__event_u64(b, "wall_ms", e->duration_ms);
    sykli__event_u64(b, "saved_ms", e->saved_ms);
    sykli_buf_text(b, ",\"critical_path\":[");
    for (size_t i = 0; i < e->path_count; i++) {
        if (i) sykli_buf_text(b, ",");
        sykli_json_quote(b, e->path[i], strlen(e->path[i]));
    }
    sykli_buf_text(b, "]");
}

// A row as JSON: what it has, without the members that are NULL.
static int sykli__event_row_json(const sykli__event_row *row, sykli_buf *out)
{
    sykli__event_head(out, row->event, row->at, row->run);
    sykli__event_u64(out, "serial", row->serial);
    if (*row->name) sykli__event_text(out, "name", row->name);
    if (row->status < SYKLI_STATUS_COUNT)
        sykli__event_text(out, "status", sykli_status_names[row->status]);
    if (row->attempt != SYKLI_NULL_U64) sykli__event_u64(out, "attempt", row->attempt);
    if (row->pid != SYKLI_NULL_U64) sykli__event_u64(out, "pid", row->pid);
    if (row->exit_code != SYKLI_NULL_I64)
        sykli__event_int(out, "exit_code", (int)row->exit_code, true);
    if (row->signal != SYKLI_NULL_U64) sykli__event_u64(out, "signal", row->signal);
    if (row->duration_ms != SYKLI_NULL_U64) sykli__event_u64(out, "duration_ms", row->duration_ms);
    if (*row->source) sykli__event_text(out, "from", row->source);
    if (*row->text) sykli__event_text(out, "text", row->text);
    return sykli_buf_text(out, "}");
}

int sykli_event_json(const sykli_event *e, sykli_buf *out)
{
    static const char *const subjects[SYKLI_EVENT_COUNT] = {
        NULL, "task", "task", "task", "task", "task", "task", "task", NULL, "node", "node", "node",
        "node", "key", "name", "name" };
    assert((unsigned)e->kind < SYKLI_EVENT_COUNT);
    sykli__event_head(out, (uint32_t)e->kind, e->at_ms, e->run);
    if (subjects[e->kind]) sykli__event_text(out, subjects[e->kind], e->name);
    switch (e->kind) {
    case SYKLI_EVENT_run_started:
        sykli__event_u64(out, "tasks", e->tasks);
        sykli__event_u64(out, "workers", e->workers);
        break;
    case SYKLI_EVENT_task_ready: case SYKLI_EVENT_task_held: break;
    case SYKLI_EVENT_task_decided:
        sykli__event_text(out, "status", sykli_status_names[e->status]);
        sykli__event_bytes(out, "why", e->text, sykli__event_text_size(e));
        break;
    case SYKLI_EVENT_task_started:
        sykli__event_int(out, "attempt", e->attempt, true);
        sykli__event_text(out, "target", e->target ? e->target : "local");
        sykli__event_text(out, "node", e->node);
        sykli__event_int(out, "pid", e->pid, e->pid > 0);
        break;
    case SYKLI_EVENT_task_output:
        sykli__event_text(out, "stream", e->stream == 2 ? "stderr" : "stdout");
        sykli__event_bytes(out, "text", e->text ? e->text : "", e->text_size);
        break;
    case SYKLI_EVENT_task_retry:
        sykli__event_int(out, "attempt", e->attempt, true);
        sykli__event_u64(out, "in_ms", e->in_ms);
        break;
    case SYKLI_EVENT_task_finished: sykli__event_task_finished(out, e); break;
    case SYKLI_EVENT_run_finished: sykli__event_run_finished(out, e); break;
    default: sykli__event_bytes(out, "text", e->text, sykli__event_text_size(e));
    }
    return sykli_buf_text(out, "}");
}

// >>config ---- versioned keys
// What may change while the node runs. Every key has one value a layer and the highest layer wins;
// the outcome of all keys together is a version: one immutable block, swapped as a whole. Whoever
// works with values holds the version it started with, and the block dies with its last holder, so
// a change is never half seen. Values are checked before anything changes, also a whole push.

#define SYKLI__CONFIG_MAX 256          // keys of a context
#define SYKLI__CONFIG_NAME_MAX 64      // bytes of a name
#define SYKLI__CONFIG_VALUE_MAX 4096   // bytes of a value

#define SYKLI__CONFIG_HOST_ENV "PATH,CC,CXX,CFLAGS,CXXFLAGS,LDFLAGS,GOOS,GOARCH,NODE_ENV"

// The library's own keys: X(id, name, kind, unit, fallback, min, max, help). Their index in every
// version is SYKLI__CONFIG_id.
#define SYKLI__CONFIG_KEYS(X)                                                                      \
    X(workers, "workers", U64, none, "0", 0, 4096, "tasks at once; 0: one a processor")            \
    X(log_max, "log.max_bytes", U64, bytes, "64MiB", 4096, 0, "what is kept of one task's log")    \
    X(cache_max, "cache.max_size", U64, bytes, "20GB", 1 << 20, 0,                                 \
      "size of the cache above which old entries go")                                              \
    X(cache_env, "cache.env", TEXT, none, SYKLI__CONFIG_HOST_ENV, 0, 0,                            \
      "variables of the host that belong to every key, with commas")                               \
    X(cache_durable, "cache.durable", BOOL, none, "off", 0, 0,                                     \
      "a result outlives a power cut once its task has passed")                                    \
    X(kill_grace, "kill.grace", U64, ms, "5s", 0, 3600000,                                         \
      "time from TERM to KILL when a task is ended")                                               \
    X(leftover_grace, "leftover.grace", U64, ms, "1s", 0, 3600000,                                 \
      "the same for what a finished task leaves running")                                          \
    X(run_processes, "run.processes", U64, none, "0", 0, 1 << 22,                                  \
      "a task that has more processes at once is killed; 0: no limit")                             \
    X(run_stall, "run.stall", U64, ms, "0", 0, 0,                                                  \
      "a task that prints nothing for so long is ended; 0: never")                                 \
    X(run_jobserver, "run.jobserver", BOOL, none, "on", 0, 0,                                      \
      "share workers with make, where the program may: as GNU make's jobserver or its client")     \
    X(run_pty, "run.pty", TEXT, none, "", 0, 0,                                                    \
      "tasks that print on a terminal: names or patterns, with commas")                            \
    X(kill_cgroups, "kill.cgroups", BOOL, none, "on", 0, 0,                                        \
      "tasks in cgroups of their own, where the program may make them")

enum {
#define SYKLI_X(id, name, kind, unit, fallback, min, max, help) SYKLI__CONFIG_##id,
    SYKLI__CONFIG_KEYS(SYKLI_X)
#undef SYKLI_X
    SYKLI__CONFIG_BUILTIN
};

static const sykli_config_key sykli__config_builtin[] = {
#define SYKLI_X(id, name, kind, unit, fallback, min, max, help)                                    \
    { name, SYKLI_KIND_##kind, SYKLI_UNIT_##unit, fallback, min, max, NULL, false, false, 1, help },
    SYKLI__CONFIG_KEYS(SYKLI_X)
#undef SYKLI_X
};

static const char *const sykli__config_layer_names[] = {
#define SYKLI_X(name, text) text,
    SYKLI_CONFIG_LAYERS(SYKLI_X)
#undef SYKLI_X
    NULL
};

typedef struct sykli__config_value {
    const char *text;
    uint64_t number; // of U64 and BOOL
    sykli_config_layer source;
} sykli__config_value;

typedef struct sykli__config_version {
    uint64_t serial;   // counts the changes, from 1
    uint32_t holders;
    size_t size_bytes; // of this block: struct, values, texts
    size_t count;
    sykli__config_value values[];
} sykli__config_version;

typedef struct sykli__config_entry {
    sykli_config_key key;
    char *layers[SYKLI_CONFIG_LAYER_COUNT]; // NULL: not set there
} sykli__config_entry;

typedef struct sykli__config {
    sykli_mem *mem;
    sykli__config_entry *entries;
    size_t count, capacity;
    sykli_map names;                 // index in `entries` and in every version, by name
    sykli__config_version *current;
    uint64_t pushed;                 // number of the push in force, 0: none
    void (*changed)(void *user, const char *key); // a value is another one; may set keys itself
    void *changed_user;
} sykli__config;

// A hold on the version now in force. It stays as it is until it is dropped.
static sykli__config_version *sykli__config_hold(sykli__config *cfg)
{
    cfg->current->holders++;
    return cfg->current;
}

static void sykli__config_drop(sykli__config *cfg, sykli__config_version *version)
{
    if (!version || --version->holders) return;
    sykli_mem_resize(cfg->mem, SYKLI_TAG_config, version, version->size_bytes, 0);
}

// The index of a key, or ENOENT with the nearest name.
static int sykli__config_find(const sykli__config *cfg, const char *name, sykli_fault *f)
{
    const uint64_t *index = sykli_map_get(&cfg->names, name, strlen(name));
    if (index) return (int)*index;
    const char *known[SYKLI__CONFIG_MAX];
    char shown[48];
    for (size_t i = 0; i < cfg->count; i++) known[i] = cfg->entries[i].key.name;
    const char *near = sykli_nearest(name, known, cfg->count);
    sykli__base_shown(shown, name, strlen(name));
    if (near)
        return sykli_fail(f, SYKLI_ENOENT, "there is no key \"%s\", did you mean %s?", shown, near);
    return sykli_fail(f, SYKLI_ENOENT, "there is no key \"%s\"; `sykli config get` lists them",
                      shown);
}

static int sykli__config_parse_plain(const char *text, uint64_t *out)
{
    *out = 0;
    if (!*text) return SYKLI_EINVAL;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || *out > (UINT64_MAX - 9) / 10) return SYKLI_EINVAL;
        *out = *out * 10 + (uint64_t)(*text - '0');
    }
    return 0;
}

static int sykli__config_parse_bool(const char *text, uint64_t *out)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on", "0", "1" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i])) {
            *out = i & 1;
            return 0;
        }
    return SYKLI_EINVAL;
}

// No control characters: values are shown in terminals and handed on in environments.
static bool sykli__config_text_valid(const sykli_config_key *key, const char *text)
{
    for (const uint8_t *p = (const uint8_t *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f) return false;
    if (!sykli_utf8_valid(text, strlen(text))) return false;
    const char *const *choice = key->choices;
    while (choice && *choice && strcmp(*choice, text)) choice++;
    return !choice || *choice;
}

static int sykli__config_parse(const sykli_config_key *key, const char *text, uint64_t *number)
{
    *number = 0;
    if (strlen(text) > SYKLI__CONFIG_VALUE_MAX) return SYKLI_EINVAL;
    if (key->kind == SYKLI_KIND_TEXT)
        return sykli__config_text_valid(key, text) ? 0 : SYKLI_EINVAL;
    if (key->kind == SYKLI_KIND_BOOL) return sykli__config_parse_bool(text, number);
    int rc = key->unit == SYKLI_UNIT_bytes ? sykli_parse_size(text, number)
           : key->unit == SYKLI_UNIT_ms ? sykli_parse_duration(text, number)
           : sykli__config_parse_plain(text, number);
    bool fits = !rc && *number >= key->min && (!key->max || *number <= key->max);
    return fits ? 0 : SYKLI_EINVAL;
}

static const char *sykli__config_number(const sykli_config_key *key, uint64_t value, char out[32])
{
    if (key->unit == SYKLI_UNIT_bytes) return sykli_format_size(out, value);
    if (key->unit == SYKLI_UNIT_ms) return sykli_format_duration(out, value);
    snprintf(out, 32, "%llu", (unsigned long long)value);
    return out;
}

// What would be right, "a size like 20GB of at least 1.0 MB" or "one of members, all".
static void sykli__config_wanted(const sykli_config_key *key, sykli_buf *out)
{
    char number[32];
    if (key->choices) {
        for (size_t i = 0; key->choices[i]; i++)
            sykli_buf_print(out, "%s%s", i ? ", " : "one of ", key->choices[i]);
    } else if (key->kind == SYKLI_KIND_TEXT) {
        sykli_buf_print(out, "at most %d bytes of UTF-8 text in one line", SYKLI__CONFIG_VALUE_MAX);
    } else if (key->kind == SYKLI_KIND_BOOL) {
        sykli_buf_text(out, "true or false");
    } else {
        const char *form = key->unit == SYKLI_UNIT_bytes ? "a size like 20GB"
                         : key->unit == SYKLI_UNIT_ms ? "a duration like 5s" : "a whole number";
        sykli_buf_print(out, "%s of at least %s", form,
                        sykli__config_number(key, key->min, number));
        if (key->max)
            sykli_buf_print(out, " and at most %s", sykli__config_number(key, key->max, number));
    }
}

// Whether a layer may have this value.
//   returns  the index of the key, ENOENT (with the nearest name), EINVAL, EPERM (pushed and local)
static int sykli__config_check(const sykli__config *cfg, sykli_config_layer layer, const char *name,
                               const char *value, sykli_fault *f)
{
    uint64_t number;
    char shown[48];
    int index = sykli__config_find(cfg, name, f);
    if (index < 0) return index;
    const sykli_config_key *key = &cfg->entries[index].key;
    if (layer == SYKLI_CONFIG_pushed && key->local)
        return sykli_fail(f, SYKLI_EPERM, "%s is local: only this machine's own file or owner "
                          "changes it, it cannot be pushed", name);
    if (!sykli__config_parse(key, value, &number)) return index;
    sykli_buf wanted;
    sykli_buf_init(&wanted, cfg->mem, SYKLI_TAG_config);
    sykli__config_wanted(key, &wanted);
    sykli__base_shown(shown, value, strlen(value));
    sykli_fail(f, SYKLI_EINVAL, "%s must be %s, not \"%s\"", name,
               wanted.error ? "another value" : (const char *)wanted.data,
               key->secret ? "***" : shown);
    sykli_buf_free(&wanted);
    return SYKLI_EINVAL;
}

// The value of key `at` if `layer` held `fresh`.
static const char *sykli__config_resolve(const sykli__config *cfg, size_t at,
                                         sykli_config_layer layer, const char *fresh,
                                         sykli_config_layer *source)
{
    const sykli__config_entry *entry = &cfg->entries[at];
    for (int l = SYKLI_CONFIG_LAYER_COUNT - 1; l > SYKLI_CONFIG_fallback; l--) {
        const char *text = l == (int)layer ? fresh : entry->layers[l];
        *source = (sykli_config_layer)l;
        if (text) return text;
    }
    *source = SYKLI_CONFIG_fallback;
    return entry->key.fallback;
}

// The version that would be in force if `layer` held `fresh`, one text or NULL a key.
static sykli__config_version *sykli__config_build(const sykli__config *cfg,
                                                  sykli_config_layer layer, char *const *fresh)
{
    sykli_config_layer source;
    size_t head = sizeof(sykli__config_version) + cfg->count * sizeof(sykli__config_value);
    size_t size = head;
    for (size_t i = 0; i < cfg->count; i++)
        size += strlen(sykli__config_resolve(cfg, i, layer, fresh[i], &source)) + 1;
    char *block = (char *)sykli_mem_resize(cfg->mem, SYKLI_TAG_config, NULL, 0, size), *at;
    if (!block) return NULL;
    sykli__config_version *version = (sykli__config_version *)(void *)block;
    version->serial = cfg->current ? cfg->current->serial + 1 : 1;
    version->holders = 1;
    version->size_bytes = size;
    version->count = cfg->count;
    at = block + head;
    for (size_t i = 0; i < cfg->count; i++) {
        sykli__config_value *value = &version->values[i];
        const char *text = sykli__config_resolve(cfg, i, layer, fresh[i], &value->source);
        size_t text_size = strlen(text) + 1;
        value->text = (const char *)memcpy(at, text, text_size);
        at += text_size;
        (void)sykli__config_parse(&cfg->entries[i].key, text, &value->number);
    }
    return version;
}

// Puts a version in force and tells what changed. `changed` may set keys and so put the next one in
// force: both versions are held meanwhile.
static void sykli__config_swap(sykli__config *cfg, sykli__config_version *fresh)
{
    sykli__config_version *old = cfg->current;
    cfg->current = fresh;
    fresh->holders++;
    for (size_t i = 0; old && cfg->changed && i < old->count; i++)
        if (strcmp(old->values[i].text, fresh->values[i].text))
            cfg->changed(cfg->changed_user, cfg->entries[i].key.name);
    sykli__config_drop(cfg, old);
    sykli__config_drop(cfg, fresh);
}

// Replaces a layer by `fresh`, which is owned from now on, in one step or not at all.
static int sykli__config_replace(sykli__config *cfg, sykli_config_layer layer, char **fresh,
                                 sykli_fault *f)
{
    sykli__config_version *version = sykli__config_build(cfg, layer, fresh);
    for (size_t i = 0; i < cfg->count; i++) {
        char **held = &cfg->entries[i].layers[layer], *unused = version ? *held : fresh[i];
        if (*held == fresh[i]) continue;
        if (version) *held = fresh[i];
        sykli_mem_text_free(cfg->mem, SYKLI_TAG_config, unused);
    }
    if (!version) return sykli_fail(f, SYKLI_ENOMEM, "no memory for a version of the config");
    sykli__config_swap(cfg, version);
    return 0;
}

// Sets a key in a layer.
//   value    NULL: the layer has none from now on
//   returns  0, ENOENT, EINVAL, EPERM, ENOMEM; on an error nothing has changed
static int sykli__config_set(sykli__config *cfg, sykli_config_layer layer, const char *name,
                             const char *value, sykli_fault *f)
{
    assert(layer > SYKLI_CONFIG_fallback && layer < SYKLI_CONFIG_LAYER_COUNT);
    int index = value ? sykli__config_check(cfg, layer, name, value, f)
                      : sykli__config_find(cfg, name, f);
    if (index < 0) return index;
    char *fresh[SYKLI__CONFIG_MAX];
    for (size_t i = 0; i < cfg->count; i++) fresh[i] = cfg->entries[i].layers[layer];
    fresh[index] = NULL;
    if (value) {
        fresh[index] = sykli_mem_text(cfg->mem, SYKLI_TAG_config, value, strlen(value));
        if (!fresh[index]) return sykli_fail(f, SYKLI_ENOMEM, "%s: out of memory", name);
    }
    return sykli__config_replace(cfg, layer, fresh, f);
}

// The text of a JSON value: scalars as written, a list of scalars with commas.
static int sykli__config_json_text(const sykli_json_doc *doc, uint32_t at, sykli_buf *out)
{
    const sykli_json_node *node = &doc->nodes[at];
    switch (node->type) {
    case SYKLI_JSON_true: return sykli_buf_text(out, "true");
    case SYKLI_JSON_false: return sykli_buf_text(out, "false");
    case SYKLI_JSON_number:
    case SYKLI_JSON_string: return sykli_buf_add(out, doc->text + node->text, node->text_size);
    case SYKLI_JSON_array: break;
    default: return SYKLI_EINVAL;
    }
    sykli_buf_text(out, "");
    for (uint32_t n = sykli_json_first(doc, at); n; n = sykli_json_next(doc, at, n)) {
        if (doc->nodes[n].type == SYKLI_JSON_array) return SYKLI_EINVAL;
        if (out->size) sykli_buf_text(out, ",");
        int rc = sykli__config_json_text(doc, n, out);
        if (rc) return rc;
    }
    return out->error;
}

// Checks one member of a document.     returns  the index of its key; its text is in `text`
static int sykli__config_member(const sykli__config *cfg, sykli_config_layer layer,
                                const sykli_json_doc *doc, uint32_t at, sykli_buf *text,
                                sykli_fault *f)
{
    const char *name = sykli_json_key(doc, at);
    sykli_buf_reset(text);
    int index = sykli__config_find(cfg, name, f);
    if (index < 0) return index;
    int rc = sykli__config_json_text(doc, at, text);
    if (rc == SYKLI_EINVAL)
        return sykli_fail(f, rc, "%s must be text, a number, true, false or a list of these", name);
    if (rc) return sykli_fail(f, rc, "%s: out of memory", name);
    return sykli__config_check(cfg, layer, name, (const char *)text->data, f);
}

// Checks every member of a document and copies the texts to `out`, one a key; NULL: only checks.
static int sykli__config_read(const sykli__config *cfg, sykli_config_layer layer,
                              const sykli_json_doc *doc, char **out, sykli_fault *f)
{
    if (!doc->count || doc->nodes[0].type != SYKLI_JSON_object)
        return sykli_fail(f, SYKLI_EINVAL, "a configuration must be one JSON object");
    sykli_buf text;
    int rc = 0;
    sykli_buf_init(&text, cfg->mem, SYKLI_TAG_config);
    for (uint32_t n = sykli_json_first(doc, 0); n && rc >= 0; n = sykli_json_next(doc, 0, n)) {
        if (doc->nodes[n].type == SYKLI_JSON_null) continue;
        rc = sykli__config_member(cfg, layer, doc, n, &text, f);
        if (rc < 0 || !out) continue;
        out[rc] = sykli_mem_text(cfg->mem, SYKLI_TAG_config, (const char *)text.data, text.size);
        if (!out[rc]) rc = sykli_fail(f, SYKLI_ENOMEM, "no memory for the configuration");
    }
    sykli_buf_free(&text);
    return rc < 0 ? rc : 0;
}

// Would sykli__config_apply accept this document?     returns  0, ENOENT, EINVAL, EPERM, ENOMEM
static int sykli__config_verify(const sykli__config *cfg, sykli_config_layer layer,
                                const sykli_json_doc *doc, sykli_fault *f)
{
    return sykli__config_read(cfg, layer, doc, NULL, f);
}

// Makes a document, {"key": value, ...}, the whole content of a layer: keys it does not name are
// unset there. All is checked first, then swapped in one step.
//   number   of the push, for the layer `pushed`
//   returns  0, ENOENT, EINVAL, EPERM, ENOMEM; on an error nothing has changed
static int sykli__config_apply(sykli__config *cfg, sykli_config_layer layer,
                               const sykli_json_doc *doc, uint64_t number, sykli_fault *f)
{
    char *fresh[SYKLI__CONFIG_MAX] = { NULL };
    int rc = sykli__config_read(cfg, layer, doc, fresh, f);
    if (rc) {
        for (size_t i = 0; i < cfg->count; i++)
            sykli_mem_text_free(cfg->mem, SYKLI_TAG_config, fresh[i]);
        return rc;
    }
    uint64_t before = cfg->pushed;
    if (layer == SYKLI_CONFIG_pushed) cfg->pushed = number; // `changed` may look at it
    rc = sykli__config_replace(cfg, layer, fresh, f);
    if (rc) cfg->pushed = before;
    return rc;
}

static bool sykli__config_name_valid(const char *name)
{
    size_t size = strlen(name), word = 0;
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (!fits && (c != '.' || !word)) return false;
        word = fits ? word + 1 : 0;
    }
    return word && size <= SYKLI__CONFIG_NAME_MAX;
}

static int sykli__config_key_validate(const sykli_config_key *key, sykli_fault *f)
{
    uint64_t number;
    if (!key->name || !sykli__config_name_valid(key->name))
        return sykli_fail(f, SYKLI_EINVAL, "a key's name is words of [a-z0-9_] with dots, at most "
                          "%d bytes", SYKLI__CONFIG_NAME_MAX);
    bool kind = key->kind == SYKLI_KIND_U64 || key->kind == SYKLI_KIND_BOOL
             || key->kind == SYKLI_KIND_TEXT;
    if (!kind) return sykli_fail(f, SYKLI_EINVAL, "key %s must be U64, BOOL or TEXT", key->name);
    if (!key->fallback || sykli__config_parse(key, key->fallback, &number))
        return sykli_fail(f, SYKLI_EINVAL, "key %s does not allow its own fallback", key->name);
    return 0;
}

// Adds a key; the struct is copied.     returns  0, EINVAL, EEXIST, ELIMIT, ENOMEM
static int sykli__config_key_add(sykli__config *cfg, const sykli_config_key *key, sykli_fault *f)
{
    int rc = sykli__config_key_validate(key, f);
    if (rc) return rc;
    size_t name_size = strlen(key->name);
    if (sykli_map_get(&cfg->names, key->name, name_size))
        return sykli_fail(f, SYKLI_EEXIST, "key %s is already there", key->name);
    if (cfg->count == SYKLI__CONFIG_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "key %s: at most %d keys", key->name, SYKLI__CONFIG_MAX);
    if (!sykli__base_room(cfg->mem, SYKLI_TAG_config, &cfg->entries, &cfg->capacity, cfg->count,
                          sizeof *cfg->entries, SYKLI__CONFIG_MAX)
        || sykli_map_put(&cfg->names, key->name, name_size, cfg->count) < 0)
        return sykli_fail(f, SYKLI_ENOMEM, "key %s: out of memory", key->name);
    char *nothing[SYKLI__CONFIG_MAX] = { NULL };
    memset(&cfg->entries[cfg->count], 0, sizeof *cfg->entries);
    cfg->entries[cfg->count++].key = *key;
    sykli__config_version *version = sykli__config_build(cfg, SYKLI_CONFIG_fallback, nothing);
    if (!version) {
        cfg->count--;
        sykli_map_remove(&cfg->names, key->name, name_size);
        return sykli_fail(f, SYKLI_ENOMEM, "key %s: out of memory", key->name);
    }
    sykli__config_swap(cfg, version);
    return 0;
}

// Versions that are still held must have been dropped.
static void sykli__config_free(sykli__config *cfg)
{
    for (size_t i = 0; i < cfg->count; i++)
        for (int l = 0; l < SYKLI_CONFIG_LAYER_COUNT; l++)
            sykli_mem_text_free(cfg->mem, SYKLI_TAG_config, cfg->entries[i].layers[l]);
    if (cfg->entries)
        sykli_mem_resize(cfg->mem, SYKLI_TAG_config, cfg->entries,
                         cfg->capacity * sizeof *cfg->entries, 0);
    sykli_map_free(&cfg->names);
    assert(!cfg->current || cfg->current->holders == 1);
    sykli__config_drop(cfg, cfg->current);
    cfg->entries = NULL;
    cfg->current = NULL;
    cfg->count = cfg->capacity = 0;
}

// Starts with the library's own keys.     returns  0, or ENOMEM: then all is freed
static int sykli__config_init(sykli__config *cfg, sykli_mem *m, const uint64_t seed[2],
                              sykli_fault *f)
{
    memset(cfg, 0, sizeof *cfg);
    cfg->mem = m;
    sykli_map_init(&cfg->names, m, seed);
    for (size_t i = 0; i < SYKLI__CONFIG_BUILTIN; i++) {
        int rc = sykli__config_key_add(cfg, &sykli__config_builtin[i], f);
        if (!rc) continue;
        sykli__config_free(cfg);
        return rc;
    }
    return 0;
}

// The value in force; NULL: no such key.     valid until the next change
static const char *sykli__config_get(const sykli__config *cfg, const char *name)
{
    int index = sykli__config_find(cfg, name, NULL);
    return index < 0 ? NULL : cfg->current->values[index].text;
}

// The number of a U64 or BOOL key in a version, by index: the way for hot paths.
static uint64_t sykli__config_u64(const sykli__config_version *version, int index)
{
    assert(index >= 0 && (size_t)index < version->count);
    return version->values[index].number;
}

// The variable that sets a key: SYKLI_MESH_PORT for mesh.port.
//   out      at least SYKLI__CONFIG_NAME_MAX + 8 bytes
static const char *sykli__config_env_name(const char *name, char *out)
{
    size_t at = 6;
    memcpy(out, "SYKLI_", at);
    for (; *name; name++)
        out[at++] = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A')
                  : *name == '.' ? '_' : *name;
    out[at] = 0;
    return out;
}

#define SYKLI__CONFIG_COLUMNS(X, T)                                                                \
    X(T, TEXT, key, 0, none, observer, "what can be set")                                          \
    X(T, TEXT, value, 0, none, observer, "the value in force; *** if it is secret")                \
    X(T, ENUM, source, sykli__config_layer_names, none, observer, "where the value comes from")    \
    X(T, U64, version, 0, none, observer, "number of the push the value came with")                \
    X(T, BOOL, local, 0, none, observer, "cannot be pushed")                                       \
    X(T, TEXT, fallback, 0, none, observer, "the value when nobody sets one")                      \
    X(T, U64, since, 0, none, observer, "version of the set of keys that brought it")              \
    X(T, TEXT, help, 0, none, observer, "what it does")
SYKLI_ROW(sykli__config_row, SYKLI__CONFIG_COLUMNS)
SYKLI_COLUMNS(sykli__config_row, SYKLI__CONFIG_COLUMNS)

// The scan of the table `config`; user is the config.
static int sykli__config_scan(void *user, sykli_emit *to)
{
    const sykli__config *cfg = (const sykli__config *)user;
    for (size_t i = 0; i < cfg->count; i++) {
        const sykli_config_key *key = &cfg->entries[i].key;
        const sykli__config_value *value = &cfg->current->values[i];
        bool pushed = value->source == SYKLI_CONFIG_pushed;
        sykli__config_row row = { key->name, key->secret ? "***" : value->text,
                                  (uint32_t)value->source, pushed ? cfg->pushed : SYKLI_NULL_U64,
                                  key->local, key->secret ? "***" : key->fallback, key->since,
                                  key->help };
        int rc = to->row(to, &row);
        if (rc) return rc;
    }
    return 0;
}

// >>log ---- lines, masks, terminal control
// What a task writes is hostile text that may hold the user's secrets. Small machines stand between
// its pipe and a reader, each fed in pieces of any size: the mask takes out secrets, the cap ends a
// log that does not end, the filter leaves nothing that drives a terminal but colour, the splitter
// makes whole lines. Masking is best effort: it knows the usual spellings, not every one.
SYKLI_FAST_BEGIN

#define SYKLI__LOG_LINE_MAX 65536        // bytes of a line before it is split
#define SYKLI__LOG_SECRET_MAX 65536      // bytes of a secret
#define SYKLI__LOG_PATTERN_MIN 4         // shorter ones would mask half of any text
#define SYKLI__LOG_WRAPPED_MAX 4096      // bytes of a secret known wherever base64 is wrapped
#define SYKLI__LOG_PIECE_MIN 8           // of a line of a secret, which may be a common word
#define SYKLI__LOG_PATTERNS_MAX 65536    // spellings of all secrets
#define SYKLI__LOG_MASK_MAX (32u << 20)  // bytes of all spellings

// ---- lines

// Receives a line without its newline.     returns  0 to go on
typedef int (*sykli__log_line)(void *user, const char *line, size_t size);

typedef struct sykli__log_lines {
    sykli_buf part; // the line that has not ended yet
    sykli__log_line line;
    void *user;
} sykli__log_lines;

static void sykli__log_lines_init(sykli__log_lines *lines, sykli_mem *m, sykli__log_line line,
                                  void *user)
{
    sykli_buf_init(&lines->part, m, SYKLI_TAG_log);
    lines->line = line;
    lines->user = user;
}

static void sykli__log_lines_free(sykli__log_lines *lines) { sykli_buf_free(&lines->part); }

// Hands out the unfinished line, with `mark` behind it.
static int sykli__log_lines_flush(sykli__log_lines *lines, const char *mark)
{
    int rc = sykli_buf_text(&lines->part, mark);
    if (!rc) rc = lines->line(lines->user, (const char *)lines->part.data, lines->part.size);
    sykli_buf_reset(&lines->part);
    return rc;
}

// Bytes of the next piece: at most `room`, and no character is cut if the line is.
static size_t sykli__log_lines_piece(const char *text, size_t size, size_t room)
{
    if (size <= room) return size;
    size_t at = room;
    while (at && room - at < 3 && ((uint8_t)text[at] & 0xc0) == 0x80) at--;
    return at;
}

//   returns  0, ENOMEM, or what `line` returned; then the rest of `text` is lost
static int sykli__log_lines_feed(sykli__log_lines *lines, const char *text, size_t size)
{
    int rc = 0;
    while (size && !rc) {
        const char *end = (const char *)memchr(text, '\n', size);
        size_t whole = end ? (size_t)(end - text) : size;
        size_t piece = sykli__log_lines_piece(text, whole,
                                              SYKLI__LOG_LINE_MAX - lines->part.size);
        bool ends = end && piece == whole;
        if (ends && !lines->part.size) rc = lines->line(lines->user, text, piece);
        else {
            const char *mark = piece < whole ? " [sykli: the line goes on]" : "";
            rc = sykli_buf_add(&lines->part, text, piece);
            if (rc) sykli_buf_reset(&lines->part);
            else if (ends || *mark) rc = sykli__log_lines_flush(lines, mark);
        }
        piece += ends;
        text += piece;
        size -= piece;
    }
    return rc;
}

// The same for who wants to see where it stands only: of many lines at once, the last that ended.
static int sykli__log_lines_feed_last(sykli__log_lines *lines, const char *text, size_t size)
{
    size_t end = size, begin;
    while (end && text[end - 1] != '\n') end--;
    for (begin = end ? end - 1 : 0; begin && text[begin - 1] != '\n';) begin--;
    if (begin) sykli_buf_reset(&lines->part);
    return sykli__log_lines_feed(lines, text + begin, size - begin);
}

// At the end of the stream: a last line without a newline is a line too.
static int sykli__log_lines_end(sykli__log_lines *lines)
{
    return lines->part.size ? sykli__log_lines_flush(lines, "") : 0;
}

// ---- cap

typedef struct sykli__log_cap { uint64_t max_bytes, kept_bytes, dropped_bytes; } sykli__log_cap;

// How many of the next `size` bytes to keep.
static size_t sykli__log_cap_take(sykli__log_cap *cap, size_t size)
{
    uint64_t room = cap->max_bytes - cap->kept_bytes;
    size_t take = size < room ? size : (size_t)room;
    cap->kept_bytes += take;
    cap->dropped_bytes += size - take;
    return take;
}

// The last line of a log that was cut.     returns  its bytes in `out`, 0: nothing was cut
static size_t sykli__log_cap_mark(const sykli__log_cap *cap, char out[128])
{
    if (!cap->dropped_bytes) return 0;
    int size = snprintf(out, 128, "\n[sykli: log cut at %llu bytes, %llu more bytes dropped]\n",
                        (unsigned long long)cap->kept_bytes,
                        (unsigned long long)cap->dropped_bytes);
    return size < 0 ? 0 : (size_t)size;
}

// ---- masks

// One spelling of a secret, in `text` of the mask. Chained by the hash of its first four bytes.
typedef struct sykli__log_pattern { uint32_t at, size, next; } sykli__log_pattern;

typedef struct sykli__log_index {
    uint8_t begins[65536 / 8]; // bit of the 16-bit hash of the first four bytes
    uint32_t chains[4096];     // by its upper 12 bits: number of the pattern + 1
} sykli__log_index;

typedef struct sykli__log_mask {
    sykli_mem *mem;
    sykli_buf text;
    sykli__log_pattern *patterns;
    size_t count, capacity;
    sykli__log_index *index; // NULL: no patterns
} sykli__log_mask;

static void sykli__log_mask_init(sykli__log_mask *mask, sykli_mem *m)
{
    memset(mask, 0, sizeof *mask);
    mask->mem = m;
    sykli_buf_init(&mask->text, m, SYKLI_TAG_log);
    mask->text.max_bytes = SYKLI__LOG_MASK_MAX;
    mask->text.secret = true;
}

static void sykli__log_mask_free(sykli__log_mask *mask)
{
    sykli_buf_free(&mask->text);
    if (mask->patterns)
        sykli_mem_resize(mask->mem, SYKLI_TAG_log, mask->patterns,
                         mask->capacity * sizeof *mask->patterns, 0);
    if (mask->index)
        sykli_mem_resize(mask->mem, SYKLI_TAG_log, mask->index, sizeof *mask->index, 0);
    sykli__log_mask_init(mask, mask->mem);
}

// Multiplicative hash of four bytes (Knuth, TAOCP 3, 6.4); it never leaves this process, so the
// byte order of the machine does not matter.
static uint32_t sykli__log_hash(const uint8_t *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return (word * 2654435769u) >> 16;
}

static bool sykli__log_begins(const sykli__log_index *index, uint32_t hash)
{
    return index->begins[hash >> 3] >> (hash & 7) & 1;
}

SYKLI_FAST_END

// Adds one spelling unless it is too short or there already.
static int sykli__log_mask_put(sykli__log_mask *mask, const uint8_t *data, size_t size)
{
    if (size < SYKLI__LOG_PATTERN_MIN) return 0;
    if (!mask->index)
        mask->index = (sykli__log_index *)sykli_mem_resize(mask->mem, SYKLI_TAG_log, NULL, 0,
                                                           sizeof *mask->index);
    if (!mask->index) return SYKLI_ENOMEM;
    uint32_t hash = sykli__log_hash(data), *chain = &mask->index->chains[hash >> 4];
    for (uint32_t n = *chain; n; n = mask->patterns[n - 1].next) {
        const sykli__log_pattern *known = &mask->patterns[n - 1];
        if (known->size == size && !memcmp(mask->text.data + known->at, data, size)) return 0;
    }
    if (mask->count == SYKLI__LOG_PATTERNS_MAX) return SYKLI_ELIMIT;
    size_t at = mask->text.size;
    int rc = sykli_buf_add(&mask->text, data, size);
    mask->text.error = 0; // a spelling that does not fit leaves the others usable
    if (rc) return rc;
    if (!sykli__base_room(mask->mem, SYKLI_TAG_log, &mask->patterns, &mask->capacity, mask->count,
                          sizeof *mask->patterns, SYKLI__LOG_PATTERNS_MAX))
        return SYKLI_ENOMEM;
    mask->patterns[mask->count] = (sykli__log_pattern){ (uint32_t)at, (uint32_t)size, *chain };
    *chain = (uint32_t)++mask->count;
    mask->index->begins[hash >> 3] |= (uint8_t)(1u << (hash & 7));
    return 0;
}

// A secret while its spellings are made: its bytes and a buffer for one spelling.
typedef struct sykli__log_secret {
    sykli__log_mask *mask;
    const uint8_t *data;
    size_t size;
    sykli_buf out;
} sykli__log_secret;

// Takes the spelling in `out` and makes room for the next.
static int sykli__log_spell(sykli__log_secret *s)
{
    int rc = s->out.error;
    if (!rc) rc = sykli__log_mask_put(s->mask, s->out.data, s->out.size);
    sykli_buf_reset(&s->out);
    return rc;
}

static void sykli__log_put(sykli__log_secret *s, uint8_t byte) { sykli_buf_add(&s->out, &byte, 1); }

// Every line of a text, and of one that a tool has cut: the first line to `first` bytes, the others
// to `width` (0: it has not).
static int sykli__log_spell_lines(sykli__log_mask *mask, const uint8_t *data, size_t size,
                                  size_t first, size_t width)
{
    int rc = 0;
    for (size_t room = first; size && !rc; room = width) {
        const uint8_t *end = width ? NULL : (const uint8_t *)memchr(data, '\n', size);
        size_t line = end ? (size_t)(end - data) : width && room < size ? room : size;
        size_t step = line + (end != NULL), text = line;
        if (text && data[text - 1] == '\r') text--;
        if (text >= SYKLI__LOG_PIECE_MIN) rc = sykli__log_mask_put(mask, data, text);
        data += step;
        size -= step;
    }
    return rc;
}

// The base64 digit `at` of the secret when `before` unknown bytes stand in front of it.
static char sykli__log_base64_digit(const sykli__log_secret *s, size_t before, size_t at, bool url)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t bit = at * 6, byte = bit / 8 - before, shift = 10 - bit % 8;
    unsigned high = byte < s->size ? s->data[byte] : 0;
    unsigned low = byte + 1 < s->size ? s->data[byte + 1] : 0;
    unsigned digit = (high << 8 | low) >> shift & 63;
    return digit < 62 || !url ? digits[digit] : digit == 62 ? '-' : '_';
}

// What encoders wrap at 76 (MIME) or 64 columns (PEM): the digits so far, line by line, for each
// column in which the first of them may stand. Long secrets are known in the first columns only.
static int sykli__log_spell_wrapped(sykli__log_secret *s, size_t before)
{
    int rc = s->out.error;
    for (size_t width = 64; width <= 76; width += 12)
        for (size_t text = before; text < width / 4 * 3 && !rc; text += 3) {
            size_t first = width - (text * 8 + 5) / 6;
            if (s->out.size > first)
                rc = sykli__log_spell_lines(s->mask, s->out.data, s->out.size, first, width);
            if (s->size > SYKLI__LOG_WRAPPED_MAX) break;
        }
    return rc;
}

// RFC 4648 base64 of the secret wherever it stands in a longer text: the digits that it alone
// decides, then with the last digit and the padding that follow when it is the end of the text.
static int sykli__log_spell_base64(sykli__log_secret *s, size_t before, bool url)
{
    size_t bits = (before + s->size) * 8, at = (before * 8 + 5) / 6;
    for (; at < bits / 6; at++)
        sykli__log_put(s, (uint8_t)sykli__log_base64_digit(s, before, at, url));
    int rc = sykli__log_spell_wrapped(s, before);
    if (!rc && bits % 6) {
        rc = sykli__log_mask_put(s->mask, s->out.data, s->out.size);
        if (rc) return rc;
        sykli__log_put(s, (uint8_t)sykli__log_base64_digit(s, before, at++, url));
        if (!s->out.error) rc = sykli__log_mask_put(s->mask, s->out.data, s->out.size);
        for (; at % 4; at++) sykli__log_put(s, '=');
        if (!rc) rc = sykli__log_spell_wrapped(s, before);
    }
    return rc ? rc : sykli__log_spell(s);
}

static void sykli__log_put_hex(sykli__log_secret *s, uint8_t byte, bool upper)
{
    const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    sykli__log_put(s, (uint8_t)digits[byte >> 4]);
    sykli__log_put(s, (uint8_t)digits[byte & 15]);
}

static int sykli__log_spell_hex(sykli__log_secret *s, bool upper)
{
    for (size_t i = 0; i < s->size; i++) sykli__log_put_hex(s, s->data[i], upper);
    int rc = s->out.error;
    if (!rc && s->out.size > 60) // as xxd -p wraps
        rc = sykli__log_spell_lines(s->mask, s->out.data, s->out.size, 60, 60);
    return rc ? rc : sykli__log_spell(s);
}

static bool sykli__log_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Percent-encoding (RFC 3986, 2.1). Encoders differ in what they leave alone: bits of `variant`.
static int sykli__log_spell_url(sykli__log_secret *s, unsigned variant)
{
    bool plus = variant & 1, upper = variant & 2, marks = variant & 4, slash = variant & 8;
    for (size_t i = 0; i < s->size; i++) {
        uint8_t c = s->data[i];
        bool plain = sykli__log_word(c) || (c && strchr("-._~", c))
                  || (marks && c && strchr("!'()*", c)) || (slash && c == '/');
        if (plain) sykli__log_put(s, c);
        else if (plus && c == ' ') sykli__log_put(s, '+');
        else {
            sykli__log_put(s, '%');
            sykli__log_put_hex(s, c, upper);
        }
    }
    return sykli__log_spell(s);
}

static void sykli__log_put_u16(sykli__log_secret *s, uint32_t unit, bool upper)
{
    sykli_buf_text(&s->out, "\\u");
    sykli__log_put_hex(s, (uint8_t)(unit >> 8), upper);
    sykli__log_put_hex(s, (uint8_t)unit, upper);
}

// The UTF-8 character of `step` bytes as \u escapes, two for those beyond U+FFFF (RFC 8259, 7).
static void sykli__log_put_escaped(sykli__log_secret *s, const uint8_t *p, size_t step, bool upper)
{
    static const uint8_t lead[5] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = p[0] & lead[step];
    for (size_t i = 1; i < step; i++) code = code << 6 | (p[i] & 0x3fu);
    if (code > 0xffff) {
        sykli__log_put_u16(s, 0xd800 + ((code - 0x10000) >> 10), upper);
        code = 0xdc00 + ((code - 0x10000) & 0x3ff);
    }
    sykli__log_put_u16(s, code, upper);
}

// JSON strings (RFC 8259, 7). Writers differ in what they escape beyond need: bits of `variant`.
static int sykli__log_spell_json(sykli__log_secret *s, unsigned variant)
{
    bool slash = variant & 1, html = variant & 2, ascii = variant & 4, upper = variant & 8;
    for (size_t i = 0, step; i < s->size; i += step) {
        uint8_t c = s->data[i];
        const char *named = c >= 8 && c <= 13 && c != 11 ? &"btn\0fr"[c - 8] : NULL;
        step = sykli__base_utf8_step(s->data + i, s->size - i);
        if (named || c == '"' || c == '\\' || (slash && c == '/')) {
            sykli__log_put(s, '\\');
            sykli__log_put(s, named ? (uint8_t)*named : c);
        } else if (step && (c < 0x20 || (ascii && c >= 0x80) || (html && strchr("<>&", c)))) {
            sykli__log_put_escaped(s, s->data + i, step, upper);
        } else sykli_buf_add(&s->out, s->data + i, step ? step : 1);
        step += !step;
    }
    return sykli__log_spell(s);
}

// What the shells write, POSIX quoting first: ' in single quotes in two ways, words with
// backslashes (bash's %q), $'...', double quotes, and $'...' where the locale is C.
static int sykli__log_spell_shell(sykli__log_secret *s, unsigned variant)
{
    for (size_t i = 0; i < s->size; i++) {
        uint8_t c = s->data[i];
        const char *named = c == '\n' ? "\\n" : c == '\t' ? "\\t" : c == '\r' ? "\\r" : NULL;
        bool word = sykli__log_word(c) || c >= 0x80 || (c && strchr("_./:=,@%+-", c));
        if (variant == 0 && c == '\'') sykli_buf_text(&s->out, "'\\''");
        else if (variant == 1 && c == '\'') sykli_buf_text(&s->out, "'\"'\"'");
        else if ((variant == 3 || variant == 5) && named) sykli_buf_text(&s->out, named);
        else if (variant == 5 && (c < 0x20 || c >= 0x7f)) sykli_buf_print(&s->out, "\\%03o", c);
        else {
            bool escape = (variant == 2 && !word)
                       || ((variant == 3 || variant == 5) && (c == '\'' || c == '\\'))
                       || (variant == 4 && c && strchr("\"$`\\", c));
            if (escape) sykli__log_put(s, '\\');
            sykli__log_put(s, c);
        }
    }
    return sykli__log_spell(s);
}

static int sykli__log_spell_all(sykli__log_secret *s)
{
    int rc = sykli__log_mask_put(s->mask, s->data, s->size);
    if (!rc && memchr(s->data, '\n', s->size))
        rc = sykli__log_spell_lines(s->mask, s->data, s->size, 0, 0);
    for (unsigned v = 0; v < 2 && !rc; v++) rc = sykli__log_spell_hex(s, v);
    for (unsigned v = 0; v < 16 && !rc; v++) rc = sykli__log_spell_url(s, v);
    for (unsigned v = 0; v < 16 && !rc; v++) rc = sykli__log_spell_json(s, v);
    for (unsigned v = 0; v < 6 && !rc; v++) rc = sykli__log_spell_shell(s, v);
    for (unsigned v = 0; v < 6 && !rc; v++) rc = sykli__log_spell_base64(s, v >> 1, v & 1);
    s->size++; // with the newline that `echo SECRET | base64` encodes too
    for (unsigned v = 0; v < 6 && !rc; v++) rc = sykli__log_spell_base64(s, v >> 1, v & 1);
    return rc;
}

// Adds a secret. Newlines at its end do not count.
//   returns  1, 0: shorter than SYKLI__LOG_PATTERN_MIN and not masked, ELIMIT, ENOMEM. After an
//            error some spellings may be missing: what would print it must not start
static int sykli__log_mask_add(sykli__log_mask *mask, const char *value, size_t size,
                               sykli_fault *f)
{
    while (size && (value[size - 1] == '\n' || value[size - 1] == '\r')) size--;
    if (size < SYKLI__LOG_PATTERN_MIN) return 0;
    if (size > SYKLI__LOG_SECRET_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "a secret of %llu bytes cannot be masked, at most %d",
                          (unsigned long long)size, SYKLI__LOG_SECRET_MAX);
    char *copy = (char *)sykli_mem_resize(mask->mem, SYKLI_TAG_log, NULL, 0, size + 1);
    if (!copy) return sykli_fail(f, SYKLI_ENOMEM, "no memory to mask a secret");
    memcpy(copy, value, size);
    copy[size] = '\n';
    sykli__log_secret secret = { mask, (const uint8_t *)copy, size, { 0 } };
    sykli_buf_init(&secret.out, mask->mem, SYKLI_TAG_log);
    secret.out.secret = true;
    int rc = sykli__log_spell_all(&secret);
    sykli_wipe(copy, size);
    sykli_mem_resize(mask->mem, SYKLI_TAG_log, copy, size + 1, 0);
    sykli_buf_free(&secret.out);
    if (rc == SYKLI_ELIMIT) return sykli_fail(f, rc, "too many secrets to mask");
    return rc ? sykli_fail(f, rc, "no memory to mask a secret") : 1;
}

// One stream behind a mask.
typedef struct sykli__log_masker {
    const sykli__log_mask *mask;
    sykli_buf held;      // the end of the text so far: it may be the beginning of a secret
    size_t masked_bytes; // at its start, for which *** is already written
    bool masking;        // *** is the last that was written
} sykli__log_masker;

static void sykli__log_masker_init(sykli__log_masker *m, const sykli__log_mask *mask)
{
    memset(m, 0, sizeof *m);
    m->mask = mask;
    sykli_buf_init(&m->held, mask->mem, SYKLI_TAG_log);
    m->held.secret = true;
}

static void sykli__log_masker_free(sykli__log_masker *m) { sykli_buf_free(&m->held); }

SYKLI_FAST_BEGIN
// Looks at one spelling at the start of `p`.
static void sykli__log_compare(const sykli__log_mask *mask, const sykli__log_pattern *pattern,
                               const uint8_t *p, size_t left, size_t *longest, bool *may_begin)
{
    size_t size = pattern->size < left ? pattern->size : left;
    const uint8_t *text = mask->text.data + pattern->at;
    if (*text != *p || memcmp(text, p, size)) return; // nearly all differ in the first byte
    if (size < pattern->size) *may_begin = true;
    else if (size > *longest) *longest = size;
}

// The longest spelling at the start of `p`, 0: none.
//   may_begin  the text ends within one that may still come
static size_t sykli__log_match(const sykli__log_mask *mask, const uint8_t *p, size_t left,
                               bool *may_begin)
{
    size_t longest = 0;
    *may_begin = false;
    if (left < SYKLI__LOG_PATTERN_MIN) {
        for (size_t i = 0; i < mask->count && !*may_begin; i++)
            sykli__log_compare(mask, &mask->patterns[i], p, left, &longest, may_begin);
        return 0;
    }
    uint32_t n = mask->index->chains[sykli__log_hash(p) >> 4];
    for (; n; n = mask->patterns[n - 1].next)
        sykli__log_compare(mask, &mask->patterns[n - 1], p, left, &longest, may_begin);
    return longest;
}

// The next place at or behind `at` where a spelling may begin. Nearly all text is passed here.
static size_t sykli__log_skip(const sykli__log_mask *mask, const uint8_t *p, size_t at, size_t size)
{
    const sykli__log_index *index = mask->index;
    while (at + SYKLI__LOG_PATTERN_MIN <= size
           && !sykli__log_begins(index, sykli__log_hash(p + at)))
        at++;
    return at;
}

// Writes text with *** for secrets. Spellings may overlap: everything that any of them covers is
// one stretch.     returns  how many bytes are done with
static size_t sykli__log_masker_scan(sykli__log_masker *m, sykli_buf *out, const uint8_t *p,
                                     size_t size, bool ends)
{
    size_t masked = m->masked_bytes, at = 0; // `masked`: where plain text goes on
    bool may_begin;
    for (;; at++) {
        at = sykli__log_skip(m->mask, p, at, size);
        if (at >= size) break;
        size_t match = sykli__log_match(m->mask, p + at, size - at, &may_begin);
        if (may_begin && !ends) break;
        if (!match) continue;
        if (!m->masking || at > masked) {
            sykli_buf_add(out, p + masked, at - masked);
            sykli_buf_text(out, "***");
            m->masking = true;
        }
        if (at + match > masked) masked = at + match;
    }
    if (at > masked) {
        sykli_buf_add(out, p + masked, at - masked);
        m->masking = false;
    }
    m->masked_bytes = masked > at ? masked - at : 0;
    return at;
}

// Appends what is certain to `out`; at most the longest spelling is held back.
//   returns  0 or ENOMEM; then text is lost, and the stream must be given up: what comes next could
//            be the rest of a secret
static int sykli__log_masker_feed(sykli__log_masker *m, sykli_buf *out, const char *text,
                                  size_t size)
{
    int rc = 0;
    if (!m->mask->count) return sykli_buf_add(out, text, size);
    if (m->held.size) {
        rc = sykli_buf_add(&m->held, text, size);
        if (!rc)
            sykli_buf_drop(&m->held, sykli__log_masker_scan(m, out, m->held.data, m->held.size,
                                                            false));
    } else {
        size_t done = sykli__log_masker_scan(m, out, (const uint8_t *)text, size, false);
        if (done < size) rc = sykli_buf_add(&m->held, text + done, size - done);
    }
    return rc ? rc : out->error;
}

// At the end of the stream: writes what is held back.
static int sykli__log_masker_end(sykli__log_masker *m, sykli_buf *out)
{
    if (m->held.size) sykli__log_masker_scan(m, out, m->held.data, m->held.size, true);
    sykli_buf_reset(&m->held);
    m->masked_bytes = 0;
    m->masking = false;
    return out->error;
}

// ---- terminal control

void sykli_log_filter_init(sykli_log_filter *f, bool colour)
{
    memset(f, 0, sizeof *f);
    f->colour = colour;
}

// Shows what is held and turned out not to be what it began as.
static void sykli__log_filter_show(sykli_log_filter *f, sykli_buf *out)
{
    if (f->held_size && f->held[0] != 0x1b) sykli_buf_text(out, "\xef\xbf\xbd");
    else if (f->held_size) {
        sykli_buf_text(out, "^[");
        sykli_buf_add(out, f->held + 1, f->held_size - 1u);
    }
    f->held_size = 0;
}

// A byte outside of any sequence that is not plain text.
static void sykli__log_filter_byte(sykli_log_filter *f, sykli_buf *out, uint8_t c)
{
    bool after_return = f->after_return;
    f->after_return = c == '\r';
    if (c == '\n' || c == '\r') { // a run of returns with or without a newline is one newline
        if (!after_return) sykli_buf_text(out, "\n");
    } else if (c == 0x1b || (c >= 0xc2 && c <= 0xf4)) {
        f->held[f->held_size++] = c;
    } else if (c >= 0x80) {
        sykli_buf_text(out, "\xef\xbf\xbd");
    } else {
        char shown[2] = { '^', (char)(c ^ 0x40) };
        sykli_buf_add(out, shown, 2);
    }
}

// The next byte of an escape sequence.     returns  whether it belongs to it
static bool sykli__log_filter_escape(sykli_log_filter *f, sykli_buf *out, uint8_t c)
{
    bool fits = f->held_size == 1 ? c == '[' : (c >= '0' && c <= '9') || c == ';' || c == 'm';
    if (!fits || f->held_size == sizeof f->held) return false;
    f->held[f->held_size++] = c;
    if (c != 'm') return true;
    bool off = f->held_size == 3 || (f->held_size == 4 && f->held[2] == '0');
    if (f->colour) {
        sykli_buf_add(out, f->held, f->held_size);
        f->coloured = !off;
    }
    f->held_size = 0;
    return true;
}

// The next byte of a UTF-8 character.     returns  whether it belongs to it
static bool sykli__log_filter_utf8(sykli_log_filter *f, sykli_buf *out, uint8_t c)
{
    uint8_t lead = f->held[0];
    size_t want = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if ((c & 0xc0) != 0x80) return false;
    f->held[f->held_size++] = c;
    if (f->held_size < want) return true;
    if (!sykli__base_utf8_step(f->held, want)) sykli_buf_text(out, "\xef\xbf\xbd");
    else if (lead == 0xc2 && c < 0xa0) { // C1 controls stand for ESC and the byte 0x40 below
        char shown[3] = { '^', '[', (char)(c - 0x40) };
        sykli_buf_add(out, shown, 3);
    } else sykli_buf_add(out, f->held, want);
    f->held_size = 0;
    return true;
}

int sykli_log_filter_add(sykli_log_filter *f, sykli_buf *out, const char *text, size_t size)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + size;
    while (p < end) {
        const uint8_t *start = p;
        while (!f->held_size && p < end && ((*p >= 0x20 && *p < 0x7f) || *p == '\t')) p++;
        if (p > start) {
            f->after_return = false;
            sykli_buf_add(out, start, (size_t)(p - start));
            continue;
        }
        bool taken = f->held_size && (f->held[0] == 0x1b ? sykli__log_filter_escape(f, out, *p)
                                                         : sykli__log_filter_utf8(f, out, *p));
        if (taken) p++;
        else if (f->held_size) sykli__log_filter_show(f, out); // and the byte is looked at again
        else sykli__log_filter_byte(f, out, *p++);
    }
    return out->error;
}

int sykli_log_filter_end(sykli_log_filter *f, sykli_buf *out)
{
    sykli__log_filter_show(f, out);
    if (f->coloured) sykli_buf_text(out, "\x1b[0m");
    sykli_log_filter_init(f, f->colour);
    return out->error;
}

int sykli_log_safe(sykli_buf *out, const char *text, size_t size, bool colour)
{
    sykli_log_filter filter;
    sykli_log_filter_init(&filter, colour);
    sykli_log_filter_add(&filter, out, text, size);
    return sykli_log_filter_end(&filter, out);
}
SYKLI_FAST_END

// >>sched ---- readiness, priorities, retries: facts in, actions out
// The scheduler knows tasks by number only and touches nothing outside itself: `step` takes a fact
// (hashed, hit, exited ...), `next` hands out what to do about it, `deadline` says when a `tick`
// is due. Readiness is one counter a task, as in Kahn 1962; of the tasks that could start, the one
// with the longest expected path behind it goes first (Hu 1961).

#define SYKLI__SCHED_NEVER UINT64_MAX
#define SYKLI__SCHED_NONE UINT32_MAX
#define SYKLI__SCHED_BACKOFF_MAX_MS 30000u

typedef enum sykli__sched_fact_kind {
    SYKLI__SCHED_HASHED,        // ok: there is a key; else the task runs uncached
    SYKLI__SCHED_FOUND,         // ok: a hit
    SYKLI__SCHED_RESTORED,      // ok: outputs are in place; else it runs after all
    SYKLI__SCHED_STARTED,       // ok: a process runs; else the task is errored
    SYKLI__SCHED_EXITED,        // ok: its exit is accepted
    SYKLI__SCHED_PUBLISHED,     // ok: outputs present and kept; else the task failed
    SYKLI__SCHED_ABORTED,       // the task cannot run at all (missing secret): errored
    SYKLI__SCHED_DECIDED,       // ok: a held task goes on; else value: its last status
    SYKLI__SCHED_KILL,          // somebody wants this task ended
    SYKLI__SCHED_STALLED,       // it is silent for too long: errored
    SYKLI__SCHED_CROWDED,       // it has too many processes: errored, and no time to say goodbye
    SYKLI__SCHED_CANCEL,        // somebody wants the run ended
    SYKLI__SCHED_WORKERS,       // value: their new number
    SYKLI__SCHED_TICK
} sykli__sched_fact_kind;

typedef struct sykli__sched_fact {
    sykli__sched_fact_kind kind;
    uint32_t task;
    bool ok;
    uint32_t value;
} sykli__sched_fact;

typedef enum sykli__sched_action_kind {
    SYKLI__SCHED_HOLD,          // the task waits to be DECIDED
    SYKLI__SCHED_HASH, SYKLI__SCHED_LOOKUP, SYKLI__SCHED_RESTORE, SYKLI__SCHED_START,
    SYKLI__SCHED_SIGNAL,        // value: the signal
    SYKLI__SCHED_PUBLISH,
    SYKLI__SCHED_RETRY,         // value: in so many ms
    SYKLI__SCHED_FINISH         // the task has its last status
} sykli__sched_action_kind;

typedef struct sykli__sched_action {
    sykli__sched_action_kind kind;
    uint32_t task, value;
} sykli__sched_action;

typedef enum sykli__sched_why {
    SYKLI__SCHED_WHY_none, SYKLI__SCHED_WHY_dependency, SYKLI__SCHED_WHY_fail_fast,
    SYKLI__SCHED_WHY_timeout, SYKLI__SCHED_WHY_killed, SYKLI__SCHED_WHY_cancelled,
    SYKLI__SCHED_WHY_start, SYKLI__SCHED_WHY_exit, SYKLI__SCHED_WHY_outputs,
    SYKLI__SCHED_WHY_aborted, SYKLI__SCHED_WHY_condition, SYKLI__SCHED_WHY_stalled,
    SYKLI__SCHED_WHY_crowded
} sykli__sched_why;

// What the graph says of a task.
typedef struct sykli__sched_desc {
    uint32_t timeout_ms, retries, expected_ms;
    bool keyed;  // has inputs: hash it
    bool lookup; // and a hit may replace it
    bool skip;
    bool held;     // waits to be DECIDED, without a worker
    bool idle;     // has nothing to run
    bool may_fail; // a failure is `skipped`
} sykli__sched_desc;

typedef struct sykli__sched_task {
    sykli__sched_desc desc;
    uint8_t status, why, ending; // ending: 0 no, 1 TERM sent, 2 KILL sent
    uint32_t attempt;
    uint32_t missing;            // dependencies not yet done
    uint32_t blame;              // the task at fault, for blocked
    uint32_t edges_at;           // first entry in `dependents`
    uint64_t deadline_ms;        // timeout, end of grace, or time of the next attempt
    uint64_t path_ms;            // expected time to the end of the graph
} sykli__sched_task;

typedef struct sykli__sched_edge { uint32_t before, after; } sykli__sched_edge;

typedef struct sykli__sched {
    sykli_mem *mem;
    sykli__sched_task *tasks;
    size_t task_count, task_capacity, tasks_max;
    sykli__sched_edge *edges;
    size_t edge_count, edge_capacity;
    uint32_t *dependents;        // by task, from edges_at; built at start
    uint32_t *heap;              // ready to start, best first
    uint32_t heap_count;
    uint32_t *timed;             // tasks with a deadline, unordered
    uint32_t timed_count;
    sykli__sched_action *queue;  // ring of what is to do
    size_t queue_at, queue_count, queue_capacity;
    uint32_t *ended;             // tasks in the order in which they ended
    size_t ended_count, told;    // told: how many FINISH are out
    uint32_t workers, running, unfinished;
    uint32_t grace_ms;
    uint32_t failure;            // the first task that failed, or NONE
    uint64_t random;             // for jitter
    bool keep_going, started, cancelled;
} sykli__sched;

static void sykli__sched_init(sykli__sched *s, sykli_mem *mem, uint32_t workers, size_t tasks_max,
                              uint64_t seed)
{
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->workers = workers;
    s->tasks_max = tasks_max;
    s->random = seed | 1;
    s->grace_ms = 5000;
    s->failure = SYKLI__SCHED_NONE;
}

static void sykli__sched_release(sykli__sched *s, void *block, size_t count, size_t size)
{
    if (block) sykli_mem_resize(s->mem, SYKLI_TAG_sched, block, count * size, 0);
}

static void sykli__sched_free(sykli__sched *s)
{
    sykli__sched_release(s, s->tasks, s->task_capacity, sizeof *s->tasks);
    sykli__sched_release(s, s->edges, s->edge_capacity, sizeof *s->edges);
    sykli__sched_release(s, s->dependents, s->edge_count + 1, sizeof *s->dependents);
    sykli__sched_release(s, s->heap, s->task_count + 1, sizeof *s->heap);
    sykli__sched_release(s, s->timed, s->task_count + 1, sizeof *s->timed);
    sykli__sched_release(s, s->queue, s->queue_capacity, sizeof *s->queue);
    sykli__sched_release(s, s->ended, s->task_count + 1, sizeof *s->ended);
    memset(s, 0, sizeof *s);
}

//   returns  the task's number, or ELIMIT, ENOMEM
static int64_t sykli__sched_add(sykli__sched *s, const sykli__sched_desc *desc)
{
    assert(!s->started);
    if (s->task_count >= s->tasks_max) return SYKLI_ELIMIT;
    if (!sykli__base_room(s->mem, SYKLI_TAG_sched, &s->tasks, &s->task_capacity, s->task_count,
                          sizeof *s->tasks, s->tasks_max))
        return SYKLI_ENOMEM;
    sykli__sched_task *task = &s->tasks[s->task_count];
    memset(task, 0, sizeof *task);
    task->desc = *desc;
    task->status = SYKLI_STATUS_waiting;
    task->blame = SYKLI__SCHED_NONE;
    task->deadline_ms = SYKLI__SCHED_NEVER;
    return (int64_t)s->task_count++;
}

static int sykli__sched_add_edge(sykli__sched *s, uint32_t before, uint32_t after)
{
    assert(!s->started && before < s->task_count && after < s->task_count);
    if (before == after) return SYKLI_ECYCLE;
    if (!sykli__base_room(s->mem, SYKLI_TAG_sched, &s->edges, &s->edge_capacity, s->edge_count,
                          sizeof *s->edges, UINT32_MAX - 1))
        return SYKLI_ENOMEM;
    s->edges[s->edge_count++] = (sykli__sched_edge){ before, after };
    return 0;
}

// The dependents of a task stand in dependents[edges_at .. edges_at of the next).
static uint32_t sykli__sched_edges_end(const sykli__sched *s, uint32_t task)
{
    return task + 1 < s->task_count ? s->tasks[task + 1].edges_at : (uint32_t)s->edge_count;
}

// Orders the edges by their first task: one count, one placement.
static int sykli__sched_index(sykli__sched *s)
{
    s->dependents = (uint32_t *)sykli_mem_resize(s->mem, SYKLI_TAG_sched, NULL, 0,
                                                 (s->edge_count + 1) * sizeof *s->dependents);
    s->heap = (uint32_t *)sykli_mem_resize(s->mem, SYKLI_TAG_sched, NULL, 0,
                                           (s->task_count + 1) * sizeof *s->heap);
    s->timed = (uint32_t *)sykli_mem_resize(s->mem, SYKLI_TAG_sched, NULL, 0,
                                            (s->task_count + 1) * sizeof *s->timed);
    s->ended = (uint32_t *)sykli_mem_resize(s->mem, SYKLI_TAG_sched, NULL, 0,
                                            (s->task_count + 1) * sizeof *s->ended);
    if (!s->dependents || !s->heap || !s->timed || !s->ended) return SYKLI_ENOMEM;
    for (size_t i = 0; i < s->edge_count; i++) {
        s->tasks[s->edges[i].before].edges_at++;
        s->tasks[s->edges[i].after].missing++;
    }
    uint32_t at = 0;
    for (size_t i = 0; i < s->task_count; i++) at = s->tasks[i].edges_at += at;
    for (size_t i = s->edge_count; i-- > 0;)
        s->dependents[--s->tasks[s->edges[i].before].edges_at] = s->edges[i].after;
    return 0;
}

// Kahn's order into `order`; what is left out is on a cycle or behind one.
static size_t sykli__sched_order(sykli__sched *s, uint32_t *order)
{
    size_t count = 0;
    for (uint32_t i = 0; i < s->task_count; i++)
        if (!s->tasks[i].missing) order[count++] = i;
    for (size_t at = 0; at < count; at++)
        for (uint32_t e = s->tasks[order[at]].edges_at, end = sykli__sched_edges_end(s, order[at]);
             e < end; e++)
            if (!--s->tasks[s->dependents[e]].missing) order[count++] = s->dependents[e];
    return count;
}

// Follows unfinished predecessors from a task that Kahn left over until one repeats.
//   out      the cycle in order, its first `max` tasks at most       returns  how many it has
static size_t sykli__sched_cycle(sykli__sched *s, uint32_t *out, size_t max)
{
    uint32_t at = 0, *before = s->timed; // an unfinished one of each; nothing is timed yet
    for (size_t e = 0; e < s->edge_count; e++)
        if (s->tasks[s->edges[e].before].missing) before[s->edges[e].after] = s->edges[e].before;
    while (at < s->task_count && !s->tasks[at].missing) at++;
    for (size_t round = 0, count = 0; round < 2; round++) {
        uint32_t first = at;
        count = 0;
        for (size_t steps = 0; steps <= s->task_count; steps++) {
            if (round && count < max) out[count] = at;
            count++;
            at = before[at];
            if (round && at == first) return count;
        }
    }
    return 0;
}

static bool sykli__sched_better(const sykli__sched *s, uint32_t a, uint32_t b)
{
    uint64_t pa = s->tasks[a].path_ms, pb = s->tasks[b].path_ms;
    return pa != pb ? pa > pb : a < b;
}

static void sykli__sched_heap_push(sykli__sched *s, uint32_t task)
{
    uint32_t at = s->heap_count++;
    for (; at && sykli__sched_better(s, task, s->heap[(at - 1) / 2]); at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = task;
}

static uint32_t sykli__sched_heap_pop(sykli__sched *s)
{
    uint32_t best = s->heap[0], last = s->heap[--s->heap_count], at = 0;
    for (uint32_t child; (child = 2 * at + 1) < s->heap_count; at = child) {
        if (child + 1 < s->heap_count && sykli__sched_better(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!sykli__sched_better(s, s->heap[child], last)) break;
        s->heap[at] = s->heap[child];
    }
    s->heap[at] = last;
    return best;
}

static void sykli__sched_time(sykli__sched *s, uint32_t task, uint64_t deadline_ms)
{
    if (s->tasks[task].deadline_ms == SYKLI__SCHED_NEVER) s->timed[s->timed_count++] = task;
    s->tasks[task].deadline_ms = deadline_ms;
}

static void sykli__sched_untime(sykli__sched *s, uint32_t task)
{
    if (s->tasks[task].deadline_ms == SYKLI__SCHED_NEVER) return;
    s->tasks[task].deadline_ms = SYKLI__SCHED_NEVER;
    for (uint32_t i = 0; i < s->timed_count; i++)
        if (s->timed[i] == task) {
            s->timed[i] = s->timed[--s->timed_count];
            return;
        }
}

// The ring has room for all that can wait at once: a step and two signals of each task.
SYKLI__APART
static void sykli__sched_push(sykli__sched *s, sykli__sched_action_kind kind, uint32_t task,
                              uint32_t value)
{
    assert(s->queue_count < s->queue_capacity);
    size_t at = (s->queue_at + s->queue_count++) % s->queue_capacity;
    s->queue[at] = (sykli__sched_action){ kind, task, value };
}

static bool sykli__sched_terminal(uint8_t status) { return status <= SYKLI_STATUS_cancelled; }

static bool sykli__sched_good(uint8_t status)
{
    return status == SYKLI_STATUS_passed || status == SYKLI_STATUS_cached
        || status == SYKLI_STATUS_skipped;
}

static void sykli__sched_end(sykli__sched *s, uint32_t task, uint8_t status, uint8_t why)
{
    sykli__sched_task *t = &s->tasks[task];
    assert(!sykli__sched_terminal(t->status));
    sykli__sched_untime(s, task);
    t->status = status;
    if (why) t->why = why;
    s->unfinished--;
    s->ended[s->ended_count++] = task;
}

// Nothing new starts any more: whatever does not run yet gets its last status.
static void sykli__sched_stop(sykli__sched *s, uint8_t status, uint8_t why, uint32_t blame)
{
    for (uint32_t i = 0; i < s->task_count; i++) {
        sykli__sched_task *t = &s->tasks[i];
        bool idle = t->status == SYKLI_STATUS_waiting || t->status == SYKLI_STATUS_ready
                 || t->status == SYKLI_STATUS_queued;
        if (!idle) continue;
        t->blame = blame;
        sykli__sched_end(s, i, status, why);
    }
    s->heap_count = 0;
}

static void sykli__sched_queue(sykli__sched *s, uint32_t task)
{
    sykli__sched_task *t = &s->tasks[task];
    t->status = SYKLI_STATUS_queued;
    if (s->cancelled) sykli__sched_end(s, task, SYKLI_STATUS_cancelled, SYKLI__SCHED_WHY_cancelled);
    else if (s->failure != SYKLI__SCHED_NONE && !s->keep_going) {
        t->blame = s->failure;
        sykli__sched_end(s, task, SYKLI_STATUS_blocked, SYKLI__SCHED_WHY_fail_fast);
    } else sykli__sched_heap_push(s, task);
}

static void sykli__sched_begin_task(sykli__sched *s, uint32_t task)
{
    sykli__sched_task *t = &s->tasks[task];
    bool stopping = s->cancelled || (s->failure != SYKLI__SCHED_NONE && !s->keep_going);
    if (t->desc.held && !stopping) {
        t->status = SYKLI_STATUS_ready;
        sykli__sched_push(s, SYKLI__SCHED_HOLD, task, 0);
        return;
    }
    if (!t->desc.keyed || stopping) {
        sykli__sched_queue(s, task);
        return;
    }
    t->status = SYKLI_STATUS_hashing;
    sykli__sched_push(s, SYKLI__SCHED_HASH, task, 0);
}

// What the end of `done` means for one task behind it.     returns  whether that ended it too
static bool sykli__sched_follow(sykli__sched *s, uint32_t done, uint32_t next)
{
    sykli__sched_task *t = &s->tasks[next];
    const sykli__sched_task *before = &s->tasks[done];
    t->missing--;
    if (t->status != SYKLI_STATUS_waiting) return false;
    if (!sykli__sched_good(before->status)) {
        t->blame = before->status == SYKLI_STATUS_blocked ? before->blame : done;
        sykli__sched_end(s, next, SYKLI_STATUS_blocked, SYKLI__SCHED_WHY_dependency);
        return true;
    }
    if (t->missing) return false;
    if (t->desc.skip) {
        sykli__sched_end(s, next, SYKLI_STATUS_skipped, SYKLI__SCHED_WHY_condition);
        return true;
    }
    sykli__sched_begin_task(s, next);
    return false;
}

// Settles all that follows from the end of one task. The stack of ended tasks grows down from the
// end of the heap's block: a task is in at most one of the two, so they cannot meet.
static void sykli__sched_settle(sykli__sched *s, uint32_t first)
{
    uint32_t *top = s->heap + s->task_count;
    *--top = first;
    while (top < s->heap + s->task_count) {
        uint32_t done = *top++;
        for (uint32_t e = s->tasks[done].edges_at; e < sykli__sched_edges_end(s, done); e++)
            if (sykli__sched_follow(s, done, s->dependents[e])) *--top = s->dependents[e];
    }
}

// A task ended by itself: records it and settles what follows.
static void sykli__sched_finish(sykli__sched *s, uint32_t task, uint8_t status, uint8_t why)
{
    bool failed = status == SYKLI_STATUS_failed || status == SYKLI_STATUS_errored;
    if (failed && s->tasks[task].desc.may_fail) status = SYKLI_STATUS_skipped;
    sykli__sched_end(s, task, status, why);
    bool bad = !sykli__sched_good(status);
    if (bad && s->failure == SYKLI__SCHED_NONE) s->failure = task;
    sykli__sched_settle(s, task);
    if (bad && !s->keep_going && !s->cancelled)
        sykli__sched_stop(s, SYKLI_STATUS_blocked, SYKLI__SCHED_WHY_fail_fast, s->failure);
}

// Starts the run. On ECYCLE `cycle` holds the tasks of one, `cycle_max` of *cycle_count at most.
static int sykli__sched_start(sykli__sched *s, uint32_t *cycle, size_t cycle_max,
                              size_t *cycle_count)
{
    assert(!s->started);
    s->started = true;
    s->queue_capacity = 3 * s->task_count + 2;
    s->queue = (sykli__sched_action *)sykli_mem_resize(s->mem, SYKLI_TAG_sched, NULL, 0,
                                                       s->queue_capacity * sizeof *s->queue);
    if (!s->queue) {
        s->queue_capacity = 0;
        return SYKLI_ENOMEM;
    }
    int rc = sykli__sched_index(s);
    if (rc) return rc;
    size_t ordered = sykli__sched_order(s, s->heap);
    if (ordered < s->task_count) {
        *cycle_count = sykli__sched_cycle(s, cycle, cycle_max);
        return SYKLI_ECYCLE;
    }
    for (size_t i = ordered; i-- > 0;) {
        sykli__sched_task *t = &s->tasks[s->heap[i]];
        uint64_t behind = 0;
        for (uint32_t e = t->edges_at; e < sykli__sched_edges_end(s, s->heap[i]); e++)
            if (s->tasks[s->dependents[e]].path_ms > behind)
                behind = s->tasks[s->dependents[e]].path_ms;
        t->path_ms = behind + (t->desc.expected_ms ? t->desc.expected_ms : 1);
    }
    for (size_t i = 0; i < s->edge_count; i++) s->tasks[s->edges[i].after].missing++;
    s->unfinished = (uint32_t)s->task_count;
    for (uint32_t i = 0; i < s->task_count; i++) {
        if (s->tasks[i].missing || s->tasks[i].status != SYKLI_STATUS_waiting) continue;
        if (s->tasks[i].desc.skip)
            sykli__sched_finish(s, i, SYKLI_STATUS_skipped, SYKLI__SCHED_WHY_condition);
        else sykli__sched_begin_task(s, i);
    }
    return 0;
}

// The pause before an attempt: none before the second, then 1 s doubling to 30 s, 20 % either way
// so that tasks that failed together do not come back together.
static uint32_t sykli__sched_pause(sykli__sched *s, uint32_t attempt)
{
    if (attempt <= 2) return 0;
    uint32_t base = attempt - 3 < 5 ? 1000u << (attempt - 3) : SYKLI__SCHED_BACKOFF_MAX_MS;
    if (base > SYKLI__SCHED_BACKOFF_MAX_MS) base = SYKLI__SCHED_BACKOFF_MAX_MS;
    s->random ^= s->random << 13; // xorshift64, Marsaglia 2003
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    uint32_t jittered = base - base / 5 + (uint32_t)(s->random % (2 * (base / 5) + 1));
    return jittered < SYKLI__SCHED_BACKOFF_MAX_MS ? jittered : SYKLI__SCHED_BACKOFF_MAX_MS;
}

//   at_once  there is no grace, or no more of it
static void sykli__sched_kill(sykli__sched *s, uint64_t now_ms, uint32_t task, uint8_t why,
                              bool at_once)
{
    sykli__sched_task *t = &s->tasks[task];
    if (t->ending >= (at_once ? 2 : 1)) return;
    if (!t->ending) t->why = why;
    t->ending = at_once ? 2 : 1;
    sykli__sched_time(s, task, now_ms + s->grace_ms);
    sykli__sched_push(s, SYKLI__SCHED_SIGNAL, task, at_once ? 9 /* SIGKILL */ : 15 /* SIGTERM */);
}

static void sykli__sched_exited(sykli__sched *s, uint64_t now_ms, uint32_t task, bool ok)
{
    sykli__sched_task *t = &s->tasks[task];
    s->running--;
    sykli__sched_untime(s, task);
    bool late = t->why == SYKLI__SCHED_WHY_timeout || t->why == SYKLI__SCHED_WHY_stalled
             || t->why == SYKLI__SCHED_WHY_crowded;
    if (t->ending)
        sykli__sched_finish(s, task, late ? SYKLI_STATUS_errored : SYKLI_STATUS_cancelled, 0);
    else if (ok) {
        t->status = SYKLI_STATUS_publishing;
        sykli__sched_push(s, SYKLI__SCHED_PUBLISH, task, 0);
    } else if (t->attempt <= t->desc.retries && !s->cancelled
               && (s->keep_going || s->failure == SYKLI__SCHED_NONE)) {
        uint32_t pause = sykli__sched_pause(s, t->attempt + 1);
        t->status = SYKLI_STATUS_queued;
        sykli__sched_push(s, SYKLI__SCHED_RETRY, task, pause);
        if (pause) sykli__sched_time(s, task, now_ms + pause); // else when it has been told
    } else sykli__sched_finish(s, task, SYKLI_STATUS_failed, SYKLI__SCHED_WHY_exit);
}

static void sykli__sched_expire(sykli__sched *s, uint64_t now_ms, uint32_t task)
{
    sykli__sched_task *t = &s->tasks[task];
    if (t->status == SYKLI_STATUS_queued) {
        sykli__sched_untime(s, task);
        sykli__sched_queue(s, task);
    } else if (!t->ending) {
        sykli__sched_kill(s, now_ms, task, SYKLI__SCHED_WHY_timeout, false);
    } else { // again every grace: what cannot die now may later
        t->ending = 2;
        sykli__sched_time(s, task, now_ms + s->grace_ms);
        sykli__sched_push(s, SYKLI__SCHED_SIGNAL, task, 9 /* SIGKILL */);
    }
}

static void sykli__sched_tick(sykli__sched *s, uint64_t now_ms)
{
    for (uint32_t i = s->timed_count; i-- > 0;)
        if (i < s->timed_count && s->tasks[s->timed[i]].deadline_ms <= now_ms)
            sykli__sched_expire(s, now_ms, s->timed[i]);
}

static void sykli__sched_cancel(sykli__sched *s, uint64_t now_ms)
{
    bool again = s->cancelled;
    s->cancelled = true;
    sykli__sched_stop(s, SYKLI_STATUS_cancelled, SYKLI__SCHED_WHY_cancelled, SYKLI__SCHED_NONE);
    for (uint32_t i = 0; i < s->task_count; i++)
        if (s->tasks[i].status == SYKLI_STATUS_running)
            sykli__sched_kill(s, now_ms, i, SYKLI__SCHED_WHY_cancelled, again);
}

// The wait of a held task is over. What was decided about one that waits no longer is ignored.
static void sykli__sched_decided(sykli__sched *s, uint32_t task, bool go, uint32_t status)
{
    sykli__sched_task *t = &s->tasks[task];
    if (t->status != SYKLI_STATUS_ready) return;
    t->desc.held = false;
    if (!go) sykli__sched_finish(s, task, (uint8_t)status, SYKLI__SCHED_WHY_aborted);
    else if (t->desc.idle) sykli__sched_finish(s, task, SYKLI_STATUS_passed, 0);
    else sykli__sched_begin_task(s, task);
}

static void sykli__sched_started(sykli__sched *s, uint64_t now_ms, uint32_t task, bool ok)
{
    sykli__sched_task *t = &s->tasks[task];
    if (!ok) {
        s->running--;
        sykli__sched_finish(s, task, SYKLI_STATUS_errored, SYKLI__SCHED_WHY_start);
    } else if (t->desc.timeout_ms && !t->ending)
        sykli__sched_time(s, task, now_ms + t->desc.timeout_ms);
}

// Takes in one fact. Facts about a task that has ended meanwhile are ignored.
static void sykli__sched_step(sykli__sched *s, uint64_t now_ms, const sykli__sched_fact *fact)
{
    if (fact->kind == SYKLI__SCHED_TICK) sykli__sched_tick(s, now_ms);
    else if (fact->kind == SYKLI__SCHED_CANCEL) sykli__sched_cancel(s, now_ms);
    else if (fact->kind == SYKLI__SCHED_WORKERS) s->workers = fact->value;
    if (fact->kind >= SYKLI__SCHED_CANCEL) return;

    uint32_t task = fact->task;
    assert(task < s->task_count);
    sykli__sched_task *t = &s->tasks[task];
    if (sykli__sched_terminal(t->status)) return;
    switch (fact->kind) {
    case SYKLI__SCHED_HASHED:
        if (fact->ok && t->desc.lookup && !s->cancelled) {
            t->status = SYKLI_STATUS_lookup;
            sykli__sched_push(s, SYKLI__SCHED_LOOKUP, task, 0);
        } else sykli__sched_queue(s, task);
        break;
    case SYKLI__SCHED_FOUND:
        if (fact->ok && !s->cancelled) {
            t->status = SYKLI_STATUS_restoring;
            sykli__sched_push(s, SYKLI__SCHED_RESTORE, task, 0);
        } else sykli__sched_queue(s, task);
        break;
    case SYKLI__SCHED_RESTORED:
        if (fact->ok) sykli__sched_finish(s, task, SYKLI_STATUS_cached, 0);
        else sykli__sched_queue(s, task);
        break;
    case SYKLI__SCHED_STARTED: sykli__sched_started(s, now_ms, task, fact->ok); break;
    case SYKLI__SCHED_EXITED: sykli__sched_exited(s, now_ms, task, fact->ok); break;
    case SYKLI__SCHED_PUBLISHED:
        sykli__sched_finish(s, task, fact->ok ? SYKLI_STATUS_passed : SYKLI_STATUS_failed,
                            fact->ok ? 0 : SYKLI__SCHED_WHY_outputs);
        break;
    case SYKLI__SCHED_ABORTED:
        if (t->status == SYKLI_STATUS_running) s->running--;
        sykli__sched_finish(s, task, SYKLI_STATUS_errored, SYKLI__SCHED_WHY_aborted);
        break;
    case SYKLI__SCHED_DECIDED: sykli__sched_decided(s, task, fact->ok, fact->value); break;
    case SYKLI__SCHED_KILL: case SYKLI__SCHED_STALLED: case SYKLI__SCHED_CROWDED:
        if (t->status == SYKLI_STATUS_running)
            sykli__sched_kill(s, now_ms, task,
                              fact->kind == SYKLI__SCHED_KILL ? SYKLI__SCHED_WHY_killed
                              : fact->kind == SYKLI__SCHED_STALLED ? SYKLI__SCHED_WHY_stalled
                                                                   : SYKLI__SCHED_WHY_crowded,
                              fact->kind == SYKLI__SCHED_CROWDED);
        break;
    default: break;
    }
}

// Takes the next thing out of the ring that still means something: one whose task has ended is not
// held, signalled or tried again.
static bool sykli__sched_take(sykli__sched *s, sykli__sched_action *out)
{
    while (s->queue_count) {
        *out = s->queue[s->queue_at];
        s->queue_at = (s->queue_at + 1) % s->queue_capacity;
        s->queue_count--;
        bool moot = out->kind == SYKLI__SCHED_HOLD || out->kind == SYKLI__SCHED_SIGNAL
                 || out->kind == SYKLI__SCHED_RETRY;
        if (!moot || !sykli__sched_terminal(s->tasks[out->task].status)) return true;
    }
    return false;
}

// What `next` will hand out after so many others, if no fact comes in between.
//   returns  NULL: an end or a start, or nothing
static const sykli__sched_action *sykli__sched_ahead(const sykli__sched *s, size_t number)
{
    size_t ends = s->ended_count - s->told;
    if (number < ends || number - ends >= s->queue_count
        || (s->heap_count && s->running < s->workers)) return NULL;
    return &s->queue[(s->queue_at + number - ends) % s->queue_capacity];
}

// Whether there is something to do before the next fact.
static bool sykli__sched_due(const sykli__sched *s)
{
    return s->told < s->ended_count || s->queue_count
        || (s->heap_count && s->running < s->workers);
}

// The next thing to do: ends first, so that whoever reads what is told never sees a task begin
// before the end of one that it waited for; then starts, so that no worker waits for hashing.
//   returns  false: nothing until the next fact
static bool sykli__sched_next(sykli__sched *s, sykli__sched_action *out)
{
    if (s->told < s->ended_count) {
        *out = (sykli__sched_action){ SYKLI__SCHED_FINISH, s->ended[s->told++], 0 };
        return true;
    }
    if (s->heap_count && s->running < s->workers) {
        uint32_t task = sykli__sched_heap_pop(s);
        s->tasks[task].status = SYKLI_STATUS_running;
        s->tasks[task].attempt++;
        s->running++;
        *out = (sykli__sched_action){ SYKLI__SCHED_START, task, s->tasks[task].attempt };
        return true;
    }
    if (!sykli__sched_take(s, out)) return false;
    bool again = out->kind == SYKLI__SCHED_RETRY && !out->value;
    if (again && s->tasks[out->task].status == SYKLI_STATUS_queued)
        sykli__sched_queue(s, out->task);
    return true;
}

// When a TICK is due, or NEVER.
static uint64_t sykli__sched_deadline(const sykli__sched *s)
{
    uint64_t first = SYKLI__SCHED_NEVER;
    for (uint32_t i = 0; i < s->timed_count; i++)
        if (s->tasks[s->timed[i]].deadline_ms < first) first = s->tasks[s->timed[i]].deadline_ms;
    return first;
}

// >>sys ---- the operating system behind one struct
// The only code that talks to the host. Everything is a thin, restartable call that answers with
// the negated errno, so that a simulation or a failure test can stand in for any of them. What
// Linux alone has (openat2, pidfd, reflinks, clone) has a POSIX way beside it, taken with
// SYKLI_PORTABLE and elsewhere. No signal handler is installed, no process-wide state is changed,
// no child is reaped that was not asked for by its pid.

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#if !defined(SYKLI_NO_THREADS)
#include <pthread.h>
#endif
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__) && !defined(SYKLI_PORTABLE)
#define SYKLI__SYS_LINUX 1
#include <sched.h>
#include <sys/syscall.h>
#endif

// The result of a call, or the negated errno.
static int sykli__sys_int(int rc) { return rc < 0 ? -errno : rc; }

static int sykli__sys_dir(int dir) { return dir == SYKLI_CWD ? AT_FDCWD : dir; }

static void *sykli__sys_resize(void *u, void *ptr, size_t size_old, size_t size_new, int tag)
{
    (void)u, (void)size_old, (void)tag;
    if (size_new) return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static uint64_t sykli__sys_now_ns(void *u)
{
    (void)u;
    struct timespec t;
#if defined(SYKLI__SYS_LINUX)
    clock_gettime(CLOCK_BOOTTIME, &t); // deadlines of a laptop's peers go on while it sleeps
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t sykli__sys_wall_ms(void *u)
{
    (void)u;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sykli__sys_close(void *u, int fd)
{
    (void)u;
    close(fd); // after EINTR the descriptor is gone on Linux; a second close could hit a stranger
}

static void sykli__sys_unmap(void *u, void *map, size_t size)
{
    (void)u;
    munmap(map, size);
}

static int64_t sykli__sys_read(void *u, int fd, void *out, size_t size)
{
    (void)u;
    ssize_t got;
    do got = read(fd, out, size);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

// A write to a pipe whose reader is gone would raise SIGPIPE, which ends a host program that has
// not asked for anything. It is held back, taken out of the queue, and reported as EPIPE.
static int64_t sykli__sys_write_pipe(int fd, const void *data, size_t size)
{
    sigset_t pipe_only, before, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    sigemptyset(&pending);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    if (sigprocmask(SIG_BLOCK, &pipe_only, &before)) return -errno;
    ssize_t put;
    do put = write(fd, data, size);
    while (put < 0 && errno == EINTR);
    int64_t rc = put < 0 ? -errno : put;
    if (rc == -EPIPE && !was_pending) {
        int taken;
        sigpending(&pending);
        if (sigismember(&pending, SIGPIPE) == 1) sigwait(&pipe_only, &taken);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return rc;
}

static int64_t sykli__sys_write(void *u, int fd, const void *data, size_t size)
{
    (void)u;
    ssize_t put;
#if defined(MSG_NOSIGNAL)
    do put = send(fd, data, size, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    if (put >= 0 || errno != ENOTSOCK) return put < 0 ? -errno : put;
#endif
    struct stat st;
    if (!fstat(fd, &st) && S_ISFIFO(st.st_mode)) return sykli__sys_write_pipe(fd, data, size);
    do put = write(fd, data, size);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

// Whether the host can count so far: not on 32 bits with a C library of old.
static bool sykli__sys_far(uint64_t at) { return (off_t)at < 0 || (uint64_t)(off_t)at != at; }

static int64_t sykli__sys_pread(void *u, int fd, void *out, size_t size, uint64_t at)
{
    (void)u;
    if (sykli__sys_far(at)) return -EOVERFLOW;
    ssize_t got;
    do got = pread(fd, out, size, (off_t)at);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int64_t sykli__sys_pwrite(void *u, int fd, const void *data, size_t size, uint64_t at)
{
    (void)u;
    if (sykli__sys_far(at)) return -EOVERFLOW;
    ssize_t put;
    do put = pwrite(fd, data, size, (off_t)at);
    while (put < 0 && errno == EINTR);
    return put < 0 ? -errno : put;
}

static int sykli__sys_open_flags(int flags)
{
    bool in = flags & SYKLI_OPEN_read, out = flags & SYKLI_OPEN_write;
    int f = O_CLOEXEC | (out ? in ? O_RDWR : O_WRONLY : O_RDONLY);
    if (flags & SYKLI_OPEN_create) f |= O_CREAT;
    if (flags & SYKLI_OPEN_exclusive) f |= O_EXCL;
    if (flags & SYKLI_OPEN_truncate) f |= O_TRUNC;
    if (flags & SYKLI_OPEN_append) f |= O_APPEND;
    if (flags & SYKLI_OPEN_directory) f |= O_DIRECTORY;
    if (flags & SYKLI_OPEN_nofollow) f |= O_NOFOLLOW;
    return f;
}

// openat2 by hand: one component after the other, and no symbolic link at all. Stricter than the
// kernel's way, which lets links pass that stay inside.
static int sykli__sys_open_walk(int dir, const char *path, int flags, int mode)
{
    if (*path == '/') return -EXDEV;
    char name[256];
    int at = dir, rc = -EINVAL;
    while (*path) {
        size_t size = strcspn(path, "/");
        const char *rest = path + size + strspn(path + size, "/");
        if (size >= sizeof name) rc = -ENAMETOOLONG;
        else if (size == 2 && !memcmp(path, "..", 2)) rc = -EXDEV;
        else {
            memcpy(name, path, size);
            name[size] = 0;
            int how = *rest ? O_RDONLY | O_DIRECTORY | O_CLOEXEC : flags;
            rc = sykli__sys_int(openat(at, name, how | O_NOFOLLOW, (mode_t)mode));
        }
        if (at != dir) close(at);
        if (rc < 0) return rc;
        at = rc;
        path = rest;
    }
    return rc;
}

static int sykli__sys_open_beneath(int dir, const char *path, int flags, int mode)
{
#if defined(SYKLI__SYS_LINUX) && defined(SYS_openat2)
    // openat2(2): RESOLVE_NO_MAGICLINKS 0x02, RESOLVE_BENEATH 0x08. EAGAIN: something was renamed
    // meanwhile and the kernel cannot tell; each try is a fresh look.
    uint64_t how[3] = { (uint64_t)flags, flags & O_CREAT ? (uint64_t)mode : 0, 0x0a };
    for (int tries = 0; tries < 16; tries++) {
        int fd = (int)syscall(SYS_openat2, dir, path, how, sizeof how);
        if (fd >= 0) return fd;
        if (errno != EAGAIN && errno != EINTR) break;
    }
    if (errno != ENOSYS && errno != EPERM) return -errno; // EPERM: a seccomp filter of old
#endif
    return sykli__sys_open_walk(dir, path, flags, mode);
}

static int sykli__sys_open(void *u, int dir, const char *path, int flags, int mode)
{
    (void)u;
    int fd, f = sykli__sys_open_flags(flags);
    if (flags & SYKLI_OPEN_beneath)
        return sykli__sys_open_beneath(sykli__sys_dir(dir), path, f, mode);
    do fd = openat(sykli__sys_dir(dir), path, f, (mode_t)mode);
    while (fd < 0 && errno == EINTR);
    return sykli__sys_int(fd);
}

static int sykli__sys_sync(void *u, int fd)
{
    (void)u;
#if defined(__APPLE__)
    if (!fcntl(fd, F_FULLFSYNC)) return 0; // fsync stops at the drive's cache there
#endif
    return sykli__sys_int(fsync(fd));
}

static sykli_file_type sykli__sys_type(mode_t mode)
{
    return S_ISREG(mode) ? SYKLI_FILE_regular : S_ISDIR(mode) ? SYKLI_FILE_directory
         : S_ISLNK(mode) ? SYKLI_FILE_symlink : SYKLI_FILE_other;
}

// What lies beyond the year 2262 is as far away as can be told.
static int64_t sykli__sys_time_ns(struct timespec t)
{
    int64_t seconds = (int64_t)t.tv_sec, most = INT64_MAX / 1000000000 - 1;
    if (seconds > most || seconds < -most) return seconds < 0 ? INT64_MIN : INT64_MAX;
    return seconds * 1000000000 + t.tv_nsec;
}

static void sykli__sys_stat_fill(sykli_stat *out, const struct stat *st)
{
#if defined(__APPLE__)
    struct timespec m = st->st_mtimespec, c = st->st_ctimespec;
#else
    struct timespec m = st->st_mtim, c = st->st_ctim;
#endif
    out->size_bytes = (uint64_t)st->st_size;
    out->mtime_ns = sykli__sys_time_ns(m);
    out->ctime_ns = sykli__sys_time_ns(c);
    out->inode = (uint64_t)st->st_ino;
    out->device = (uint64_t)st->st_dev;
    out->mode = (uint32_t)st->st_mode & 07777;
    out->type = sykli__sys_type(st->st_mode);
}

static int sykli__sys_stat(void *u, int dir, const char *path, sykli_stat *out)
{
    (void)u;
    struct stat st;
    if (fstatat(sykli__sys_dir(dir), path, &st, AT_SYMLINK_NOFOLLOW)) return -errno;
    sykli__sys_stat_fill(out, &st);
    return 0;
}

static int sykli__sys_fstat(void *u, int fd, sykli_stat *out)
{
    (void)u;
    struct stat st;
    if (fstat(fd, &st)) return -errno;
    sykli__sys_stat_fill(out, &st);
    return 0;
}

static sykli_file_type sykli__sys_entry_type(int fd, const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_REG: return SYKLI_FILE_regular;
    case DT_DIR: return SYKLI_FILE_directory;
    case DT_LNK: return SYKLI_FILE_symlink;
    case DT_UNKNOWN: break;
    default: return SYKLI_FILE_other;
    }
    struct stat st; // some file systems do not say
    if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW)) return SYKLI_FILE_none;
    return sykli__sys_type(st.st_mode);
}

static int sykli__sys_list(void *u, int fd, int (*each)(void *to, const char *name, int type),
                           void *to)
{
    (void)u;
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); // with a position of its own
    if (own < 0) return -errno;
    DIR *dir = fdopendir(own);
    if (!dir) {
        int rc = -errno;
        close(own);
        return rc;
    }
    int rc = 0;
    while (!rc) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            rc = -errno;
            break;
        }
        const char *name = entry->d_name;
        if (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]))) continue;
        rc = each(to, name, (int)sykli__sys_entry_type(own, entry));
    }
    closedir(dir);
    return rc;
}

static int sykli__sys_mkdir(void *u, int dir, const char *path, int mode)
{
    (void)u;
    return sykli__sys_int(mkdirat(sykli__sys_dir(dir), path, (mode_t)mode));
}

static int sykli__sys_rename(void *u, int from_dir, const char *from, int to_dir, const char *to)
{
    (void)u;
    return sykli__sys_int(renameat(sykli__sys_dir(from_dir), from, sykli__sys_dir(to_dir), to));
}

static int sykli__sys_remove(void *u, int dir, const char *path, int is_directory)
{
    (void)u;
    return sykli__sys_int(unlinkat(sykli__sys_dir(dir), path, is_directory ? AT_REMOVEDIR : 0));
}

static int sykli__sys_symlink(void *u, const char *to, int dir, const char *path)
{
    (void)u;
    return sykli__sys_int(symlinkat(to, sykli__sys_dir(dir), path));
}

static int64_t sykli__sys_readlink(void *u, int dir, const char *path, char *out, size_t size)
{
    (void)u;
    ssize_t got = readlinkat(sykli__sys_dir(dir), path, out, size);
    return got < 0 ? -errno : got;
}

static int sykli__sys_chmod(void *u, int fd, int mode)
{
    (void)u;
    return sykli__sys_int(fchmod(fd, (mode_t)mode));
}

static int sykli__sys_utime(void *u, int dir, const char *path, int64_t mtime_ns)
{
    (void)u;
    int64_t seconds = mtime_ns / 1000000000, rest = mtime_ns % 1000000000;
    if (rest < 0) seconds--, rest += 1000000000;
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
                                 { .tv_sec = (time_t)seconds, .tv_nsec = (long)rest } };
    return sykli__sys_int(utimensat(sykli__sys_dir(dir), path, times, AT_SYMLINK_NOFOLLOW));
}

static int sykli__sys_clone(void *u, int from_fd, int to_fd)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX)
    return sykli__sys_int(ioctl(to_fd, _IOW(0x94, 9, int), from_fd)); // FICLONE, ioctl_ficlone(2)
#else
    (void)from_fd, (void)to_fd;
    return -ENOSYS;
#endif
}

static int sykli__sys_lock(void *u, int fd, int exclusive)
{
    (void)u;
    int rc;
    do rc = flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB);
    while (rc < 0 && errno == EINTR);
    return sykli__sys_int(rc);
}

// Zeros behind the end. Slower than asking for blocks, but a hole would mean SIGBUS in whoever maps
// the file when the disk is full.
static int sykli__sys_fill(int fd, uint64_t size)
{
    static const char zeros[512];
    struct stat st;
    if (fstat(fd, &st)) return -errno;
    for (uint64_t at = (uint64_t)st.st_size; at < size;) {
        uint64_t left = size - at;
        ssize_t put = pwrite(fd, zeros, left < sizeof zeros ? (size_t)left : sizeof zeros,
                             (off_t)at);
        if (put < 0 && errno != EINTR) return -errno;
        if (put > 0) at += (uint64_t)put;
    }
    return 0;
}

static int sykli__sys_allocate(void *u, int fd, uint64_t size)
{
    (void)u;
    if (sykli__sys_far(size)) return -EOVERFLOW;
#if defined(SYKLI__SYS_LINUX)
    int rc;
    do rc = posix_fallocate(fd, 0, (off_t)size);
    while (rc == EINTR);
    if (rc != EOPNOTSUPP && rc != ENOSYS && rc != EINVAL) return -rc;
#endif
    return sykli__sys_fill(fd, size);
}

static int sykli__sys_map(void *u, int fd, size_t size, void **out)
{
    (void)u;
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return -errno;
    *out = at;
    return 0;
}

static int sykli__sys_nonblock(void *u, int fd)
{
    (void)u;
    int flags = fcntl(fd, F_GETFL);
    return sykli__sys_int(flags < 0 ? flags : fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

static int sykli__sys_random(void *u, void *out, size_t size)
{
    uint8_t *at = (uint8_t *)out;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_getrandom)
    while (size) {
        long got = syscall(SYS_getrandom, at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        at += got;
        size -= (size_t)got;
    }
    if (!size) return 0;
#endif
    int fd = sykli__sys_open(u, SYKLI_CWD, "/dev/urandom", SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int64_t got = 1;
    while (size && (got = sykli__sys_read(u, fd, at, size)) > 0) {
        at += got;
        size -= (size_t)got;
    }
    close(fd);
    return !size ? 0 : got < 0 ? (int)got : -EIO;
}

static int sykli__sys_pipe(void *u, int fds[2])
{
#if defined(SYKLI__SYS_LINUX)
    if (pipe2(fds, O_CLOEXEC)) return -errno;
#else
    if (pipe(fds)) return -errno;
    for (int i = 0; i < 2; i++) fcntl(fds[i], F_SETFD, FD_CLOEXEC);
#endif
    return sykli__sys_nonblock(u, fds[0]);
}

static int sykli__sys_fifo(void *u, int dir, const char *path, int mode)
{
    (void)u;
#if defined(__APPLE__)
    (void)dir, (void)path, (void)mode; // mkfifoat came with macOS 13
    return -ENOSYS;
#else
    return sykli__sys_int(mkfifoat(sykli__sys_dir(dir), path, (mode_t)mode));
#endif
}

static int sykli__sys_widen(void *u, int fd, int size)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX) && defined(F_SETPIPE_SZ)
    return sykli__sys_int(fcntl(fd, F_SETPIPE_SZ, size));
#else
    (void)fd, (void)size;
    return -ENOSYS;
#endif
}

// A pair whose programs see a terminal of 24 lines and 120 columns. It controls nobody: whoever
// wants to ask a question there finds no terminal to ask, and nothing waits for an answer.
static int sykli__sys_terminal(void *u, int fds[2])
{
    (void)u;
    struct termios mode;
    struct winsize size = { 24, 120, 0, 0 };
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY);
    if (fds[0] < 0) return -errno;
    fcntl(fds[0], F_SETFD, FD_CLOEXEC);
    const char *path = grantpt(fds[0]) || unlockpt(fds[0]) ? NULL : ptsname(fds[0]);
    fds[1] = -1;
    if (path) fds[1] = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    int rc = fds[1] < 0 || tcgetattr(fds[1], &mode) ? -errno : 0;
    if (!rc) {
        mode.c_oflag &= (tcflag_t)~OPOST; // a newline stays one
        mode.c_lflag &= (tcflag_t)~ECHO;
        rc = sykli__sys_int(tcsetattr(fds[1], TCSANOW, &mode));
        ioctl(fds[1], TIOCSWINSZ, &size);
    }
    if (!rc) rc = sykli__sys_nonblock(NULL, fds[0]);
    for (int i = 0; rc && i < 2; i++)
        if (fds[i] >= 0) close(fds[i]);
    return rc;
}

// What the child needs, ready before it is made: between fork and exec nothing may be allocated.
typedef struct sykli__sys_child {
    const char *const *argv, *const *env, *workdir, *path;
    int out_fd, err_fd, cgroup_fd;
    const int *keep_fds;
    bool new_session;
    int (*function)(void *user);
    void *function_user;
    volatile int error; // written by the child, which shares our memory
} sykli__sys_child;

// A child that borrows our memory leaves by exec without returning: AddressSanitizer would keep the
// guard zones of its frames and later report whoever uses that stack again.
#if defined(__GNUC__)
#define SYKLI__SYS_NEVER_RETURNS __attribute__((no_sanitize_address))
#else
#define SYKLI__SYS_NEVER_RETURNS
#endif

// Tries every folder of PATH as execvp(3) does, with a buffer of its own.   returns  errno
SYKLI__SYS_NEVER_RETURNS static int sykli__sys_exec(const sykli__sys_child *c)
{
    // execve does not write to them; its prototype is older than const.
    union { const char *const *in; char *const *out; } argv = { c->argv }, env = { c->env };
    const char *name = c->argv[0];
    if (!*name) return ENOENT;
    if (strchr(name, '/')) {
        execve(name, argv.out, env.out);
        return errno;
    }
    char file[1024];
    size_t name_size = strlen(name);
    int denied = 0;
    for (const char *at = c->path, *end;; at = end + 1) {
        end = at + strcspn(at, ":");
        size_t size = (size_t)(end - at);
        if (size + name_size + 2 <= sizeof file) {
            memcpy(file, at, size);
            if (size) file[size++] = '/'; // an empty entry is the current folder
            memcpy(file + size, name, name_size + 1);
            execve(file, argv.out, env.out);
            if (errno == EACCES) denied = EACCES;
            else if (errno != ENOENT && errno != ENOTDIR) return errno;
        }
        if (!*end) return denied ? denied : ENOENT;
    }
}

SYKLI__SYS_NEVER_RETURNS static int sykli__sys_child_setup(const sykli__sys_child *c)
{
    // A handler of the host must not run here, in memory shared with it, and what the host ignores
    // is not to be ignored by the task.
    struct sigaction normal, now;
    memset(&normal, 0, sizeof normal);
    normal.sa_handler = SIG_DFL;
    for (int sig = 1; sig < NSIG; sig++)
        if (!sigaction(sig, NULL, &now) && now.sa_handler != SIG_DFL) sigaction(sig, &normal, NULL);
    if (c->new_session && setsid() < 0) return errno;
    if (c->cgroup_fd > 0 && write(c->cgroup_fd, "0", 1) != 1) return ENODEV;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return errno;
    // Above 2 first: the host may have closed its own 0, 1 or 2, and ours may stand there.
    int in = fcntl(null, F_DUPFD_CLOEXEC, 3);
    int out = c->out_fd < 0 ? in : fcntl(c->out_fd, F_DUPFD_CLOEXEC, 3);
    int err = c->err_fd < 0 ? in : fcntl(c->err_fd, F_DUPFD_CLOEXEC, 3);
    if (in < 0 || out < 0 || err < 0) return errno;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) return errno;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_close_range)
    syscall(SYS_close_range, 3u, ~0u, 4u); // CLOSE_RANGE_CLOEXEC: what a careless host left open
#endif
    for (int i = 0; i < 2; i++)
        if (c->keep_fds[i] > 2) fcntl(c->keep_fds[i], F_SETFD, 0);
    if (c->workdir && chdir(c->workdir)) return errno;
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) ? errno : 0;
}

#if defined(SYKLI__SYS_LINUX)
SYKLI__SYS_NEVER_RETURNS static int sykli__sys_child_main(void *at)
{
    sykli__sys_child *c = (sykli__sys_child *)at;
    int error = sykli__sys_child_setup(c);
    c->error = error ? error : sykli__sys_exec(c);
    return 127;
}

// vfork with a stack of its own: the child borrows our memory until it execs, no page table is
// copied, and its errno of exec is simply there when we go on.
#if defined(__GNUC__)
__attribute__((noinline))
#endif
static int sykli__sys_vfork(sykli__sys_child *c)
{
    union { char bytes[24 << 10]; long double align; } stack;
    char *top = stack.bytes + sizeof stack.bytes;
#if defined(__hppa__)
    top = stack.bytes; // the one Linux whose stack grows upwards
#endif
    int pid = clone(sykli__sys_child_main, top, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
    return pid < 0 ? -errno : pid;
}
#endif

// The rest of a child that is a function: as after an exec, nothing else is open, no lock held.
static void sykli__sys_call(const sykli__sys_child *c)
{
    extern char **environ;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_close_range)
    bool closed = !syscall(SYS_close_range, 3u, ~0u, 0u);
#else
    bool closed = false;
#endif
    struct rlimit most = { 0, 0 };
    if (!closed) getrlimit(RLIMIT_NOFILE, &most);
    for (int fd = most.rlim_cur < 1 << 20 ? (int)most.rlim_cur : 1 << 20; fd > 3;) close(--fd);
    environ = (char **)(uintptr_t)c->env;
    int code = c->function(c->function_user);
    fflush(stdout);
    fflush(stderr);
    _exit(code & 255);
}

// fork, and the errno comes through a pipe that a successful exec closes.
static int sykli__sys_fork(sykli__sys_child *c)
{
    int fds[2], rc = sykli__sys_pipe(NULL, fds);
    if (rc < 0) return rc;
    fcntl(fds[0], F_SETFL, 0); // this one read is to wait
    if (c->function) fflush(stdout); // what the host has not yet written is not the child's
    int error, pid = fork();
    if (!pid) {
        if (fds[1] < 3) fds[1] = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);
        error = sykli__sys_child_setup(c);
        if (!error && c->function) sykli__sys_call(c);
        if (!error) error = sykli__sys_exec(c);
        _exit(write(fds[1], &error, sizeof error) > 0 ? 127 : 126);
    }
    rc = pid < 0 ? -errno : pid;
    close(fds[1]);
    if (pid > 0 && sykli__sys_read(NULL, fds[0], &error, sizeof error) == sizeof error)
        c->error = error;
    close(fds[0]);
    return rc;
}

static int sykli__sys_spawn(void *u, const sykli_spawn *desc)
{
    (void)u;
    sykli__sys_child c = { desc->argv, desc->env, desc->workdir, "/usr/local/bin:/usr/bin:/bin",
                           desc->out_fd, desc->err_fd, desc->cgroup_fd, desc->keep_fds,
                           desc->new_session, desc->function, desc->function_user, 0 };
    for (const char *const *env = desc->env; *env; env++)
        if (!strncmp(*env, "PATH=", 5)) c.path = *env + 5;
    sigset_t all, before;
    sigfillset(&all);
    if (sigprocmask(SIG_SETMASK, &all, &before)) return -errno;
#if defined(SYKLI__SYS_LINUX)
    int pid = c.function ? sykli__sys_fork(&c) : sykli__sys_vfork(&c);
#else
    int pid = sykli__sys_fork(&c);
#endif
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0 || !c.error) return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
    return -c.error;
}

static int sykli__sys_signal(void *u, int pid, int sig, int whole_group)
{
    (void)u;
    if (pid <= 1) return -EINVAL; // 0, -1 and 1 would be ourselves, everybody and init
    return sykli__sys_int(kill(whole_group ? -pid : pid, sig));
}

static void sykli__sys_exit_fill(sykli_exit *out, int code, int sig, const struct rusage *used)
{
    out->code = sig ? -1 : code;
    out->signal = sig;
    out->cpu_us = (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000u
                + (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);
#if defined(__APPLE__)
    out->rss_max_bytes = (uint64_t)used->ru_maxrss;
#else
    out->rss_max_bytes = (uint64_t)used->ru_maxrss * 1024;
#endif
    out->read_bytes = (uint64_t)used->ru_inblock * 512; // getrusage(2): blocks of 512
    out->write_bytes = (uint64_t)used->ru_oublock * 512;
}

static int sykli__sys_wait(void *u, int pid, sykli_exit *out)
{
    (void)u;
    if (pid <= 0) return -EINVAL;
    int status, got;
    struct rusage used;
    memset(&used, 0, sizeof used);
    do got = wait4(pid, &status, WNOHANG, &used);
    while (got < 0 && errno == EINTR);
    if (got <= 0) return sykli__sys_int(got);
    bool killed = WIFSIGNALED(status);
    sykli__sys_exit_fill(out, WEXITSTATUS(status), killed ? WTERMSIG(status) : 0, &used);
    return 1;
}

static int sykli__sys_ended(void *u, int pid, sykli_exit *out)
{
    (void)u;
    if (pid <= 0) return -EINVAL;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_waitid)
    // The fifth argument of the system call has no name in C libraries, and its struct is the
    // kernel's: longs in the order of getrusage(2), whatever time_t is.
    siginfo_t info;
    struct rusage used;
    long raw[18] = { 0 };
    memset(&info, 0, sizeof info);
    memset(&used, 0, sizeof used);
    if (syscall(SYS_waitid, P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT, raw)) return -errno;
    if (!info.si_pid) return 0;
    used.ru_utime.tv_sec = raw[0], used.ru_utime.tv_usec = raw[1];
    used.ru_stime.tv_sec = raw[2], used.ru_stime.tv_usec = raw[3];
    used.ru_maxrss = raw[4], used.ru_inblock = raw[11], used.ru_oublock = raw[12];
    bool killed = info.si_code != CLD_EXITED;
    sykli__sys_exit_fill(out, info.si_status, killed ? info.si_status : 0, &used);
    return 1;
#else
    (void)out;
    return -ENOSYS;
#endif
}

static int sykli__sys_exit_fd(void *u, int pid)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_pidfd_open)
    return sykli__sys_int((int)syscall(SYS_pidfd_open, pid, 0));
#else
    (void)pid;
    return -ENOSYS;
#endif
}

static int sykli__sys_signal_fd(void *u, int exit_fd, int sig)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX) && defined(SYS_pidfd_send_signal)
    return sykli__sys_int((int)syscall(SYS_pidfd_send_signal, exit_fd, sig, NULL, 0));
#else
    (void)exit_fd, (void)sig;
    return -ENOSYS;
#endif
}

static int sykli__sys_poll(void *u, sykli_poll_fd *fds, int count, int timeout_ms)
{
    (void)u;
    if (count < 0) return -EINVAL;
    struct pollfd few[64], *list = few;
    if (count > 64) list = (struct pollfd *)malloc((size_t)count * sizeof *list);
    if (!list) return -ENOMEM;
    for (int i = 0; i < count; i++) {
        int want = (fds[i].want & SYKLI_POLL_in ? POLLIN : 0)
                 | (fds[i].want & SYKLI_POLL_out ? POLLOUT : 0);
        list[i] = (struct pollfd){ fds[i].fd, (short)want, 0 };
    }
    int rc = sykli__sys_int(poll(list, (nfds_t)count, timeout_ms));
    for (int i = 0; i < count; i++) {
        int got = rc > 0 ? list[i].revents : 0;
        fds[i].got = (short)((got & POLLIN ? SYKLI_POLL_in : 0)
                           | (got & POLLOUT ? SYKLI_POLL_out : 0)
                           | (got & (POLLHUP | POLLERR | POLLNVAL) ? SYKLI_POLL_closed : 0));
    }
    if (list != few) free(list);
    return rc == -EINTR ? 0 : rc; // a handler of the host ran: let the caller look at its world
}

typedef union sykli__sys_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
} sykli__sys_address;

// "IP:PORT", "[IP6]:PORT" or "unix:PATH".    returns  the size, or the negated errno
static int sykli__sys_address_parse(const char *text, sykli__sys_address *out)
{
    memset(out, 0, sizeof *out);
    if (!strncmp(text, "unix:", 5)) {
        size_t size = strlen(text + 5);
        if (!size) return -EINVAL;
        if (size >= sizeof out->local.sun_path) return -ENAMETOOLONG;
        out->local.sun_family = AF_UNIX;
        memcpy(out->local.sun_path, text + 5, size + 1);
        return (int)(offsetof(struct sockaddr_un, sun_path) + size + 1);
    }
    char host[80];
    bool v6 = *text == '[';
    const char *from = text + v6, *colon = strrchr(text, ':');
    const char *end = colon && v6 ? colon - 1 : colon;
    if (!end || end <= from || (v6 && *end != ']') || (size_t)(end - from) >= sizeof host)
        return -EINVAL;
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = 0;
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = v6 ? AF_INET6 : AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    if (!colon[1] || getaddrinfo(host, colon + 1, &hints, &found) || !found) return -EINVAL;
    int size = (int)found->ai_addrlen;
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return size;
}

static int sykli__sys_address_print(const sykli__sys_address *a, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = ntohs(a->any.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
    int used;
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        used = snprintf(out, size, "%s:%u", host, port);
    } else if (a->any.sa_family == AF_INET6) {
        const uint8_t *b = a->v6.sin6_addr.s6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr); // of a socket that takes both
        inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? b + 12 : b, host, sizeof host);
        used = snprintf(out, size, mapped ? "%s:%u" : "[%s]:%u", host, port);
    } else {
        used = snprintf(out, size, "unix:");
    }
    return used < 0 || (size_t)used >= size ? -ENAMETOOLONG : 0;
}

static int sykli__sys_socket_setup(int fd, int family)
{
    int on = 1, rc = fcntl(fd, F_SETFD, FD_CLOEXEC) ? -errno : sykli__sys_nonblock(NULL, fd);
    if (family != AF_UNIX) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#if defined(SO_NOSIGPIPE)
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return rc;
}

static int sykli__sys_socket(int family)
{
#if defined(SYKLI__SYS_LINUX)
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
#endif
    if (fd < 0) return -errno;
    int rc = sykli__sys_socket_setup(fd, family);
    if (rc < 0) close(fd);
    return rc < 0 ? rc : fd;
}

static int sykli__sys_listen(void *u, const char *address)
{
    (void)u;
    sykli__sys_address a;
    int on = 1, size = sykli__sys_address_parse(address, &a);
    if (size < 0) return size;
    int fd = sykli__sys_socket(a.any.sa_family);
    if (fd < 0) return fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // The umask belongs to the whole process; but nobody can connect before listen().
    if (bind(fd, &a.any, (socklen_t)size)
        || (a.any.sa_family == AF_UNIX && chmod(a.local.sun_path, 0600)) || listen(fd, 128)) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static int sykli__sys_accept(void *u, int fd, char *address, size_t size)
{
    (void)u;
    sykli__sys_address a;
    socklen_t room = sizeof a;
    int got;
    memset(&a, 0, sizeof a);
#if defined(SYKLI__SYS_LINUX)
    do got = accept4(fd, &a.any, &room, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
    do got = accept(fd, &a.any, &room);
#endif
    while (got < 0 && errno == EINTR);
    if (got < 0) return -errno;
    int rc = sykli__sys_socket_setup(got, a.any.sa_family);
    if (rc >= 0 && size) rc = sykli__sys_address_print(&a, address, size);
    if (rc < 0) close(got);
    return rc < 0 ? rc : got;
}

// The IPv4 address of the index-th interface that is up and leads out of this machine.
//   returns  0, -ENOENT behind the last
static int sykli__sys_interface(void *u, int index, char *out, size_t size)
{
    struct ifaddrs *all;
    int rc = -ENOENT;
    (void)u;
    if (getifaddrs(&all) < 0) return -errno;
    for (const struct ifaddrs *at = all; at && rc == -ENOENT; at = at->ifa_next) {
        bool leads_out = (at->ifa_flags & IFF_UP) && !(at->ifa_flags & IFF_LOOPBACK);
        if (!leads_out || !at->ifa_addr || at->ifa_addr->sa_family != AF_INET || index--) continue;
        struct sockaddr_in address;
        memcpy(&address, at->ifa_addr, sizeof address);
        rc = inet_ntop(AF_INET, &address.sin_addr, out, (socklen_t)size) ? 0 : -errno;
    }
    freeifaddrs(all);
    return rc;
}

// The address of this end of a connection.
static int sykli__sys_local(void *u, int fd, char *out, size_t size)
{
    sykli__sys_address a;
    socklen_t room = sizeof a;
    (void)u;
    memset(&a, 0, sizeof a);
    if (getsockname(fd, &a.any, &room) < 0) return -errno;
    return sykli__sys_address_print(&a, out, size);
}

static int sykli__sys_dial(void *u, const char *address)
{
    (void)u;
    sykli__sys_address a;
    int size = sykli__sys_address_parse(address, &a);
    if (size < 0) return size;
    int fd = sykli__sys_socket(a.any.sa_family);
    if (fd < 0 || !connect(fd, &a.any, (socklen_t)size)) return fd;
    if (errno == EINPROGRESS || errno == EINTR) return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static int sykli__sys_dialled(void *u, int fd)
{
    (void)u;
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size)) return -errno;
    return -error;
}

static int sykli__sys_resolve(void *u, const char *host, int index, char *out, size_t size)
{
    (void)u;
    struct addrinfo hints, *found = NULL;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    int rc = getaddrinfo(host, NULL, &hints, &found);
    if (rc) return rc == EAI_SYSTEM ? -errno : rc == EAI_MEMORY ? -ENOMEM : -ENOENT;
    const struct addrinfo *at = found;
    while (at && index-- > 0) at = at->ai_next;
    sykli__sys_address a;
    memset(&a, 0, sizeof a);
    if (at) memcpy(&a, at->ai_addr, at->ai_addrlen < sizeof a ? at->ai_addrlen : sizeof a);
    bool v6 = a.any.sa_family == AF_INET6;
    const void *bytes = v6 ? (const void *)&a.v6.sin6_addr : (const void *)&a.v4.sin_addr;
    char ip[INET6_ADDRSTRLEN];
    rc = -ENOENT;
    if (at && inet_ntop(a.any.sa_family, bytes, ip, sizeof ip)) {
        unsigned scope = v6 ? a.v6.sin6_scope_id : 0;
        int used = scope ? snprintf(out, size, "%s%%%u", ip, scope)
                         : snprintf(out, size, "%s", ip);
        rc = used < 0 || (size_t)used >= size ? -ENAMETOOLONG : v6 ? 6 : 4;
    }
    freeaddrinfo(found);
    return rc;
}

static int sykli__sys_peer_pid(void *u, int fd)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX)
    struct ucred who;
    socklen_t size = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) ? -errno : who.pid;
#else
    (void)fd;
    return -ENOSYS;
#endif
}

static int sykli__sys_pid(void *u)
{
    (void)u;
    return getpid();
}

static int sykli__sys_processors(void *u)
{
    (void)u;
#if defined(SYKLI__SYS_LINUX)
    cpu_set_t set; // those this process may use, not those of the machine
    int count = !sched_getaffinity(0, sizeof set, &set) ? CPU_COUNT(&set)
              : errno == EINVAL ? CPU_SETSIZE // or more
                                : (int)sysconf(_SC_NPROCESSORS_ONLN);
#else
    int count = (int)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    return count > 0 ? count : 1;
}

static int sykli__sys_host_name(void *u, char *out, size_t size)
{
    (void)u;
    if (!size) return -EINVAL;
    if (gethostname(out, size)) return -errno;
    out[size - 1] = 0;
    return 0;
}

#if defined(SYKLI_NO_THREADS)
static int sykli__sys_thread(void *u, sykli_thread *thread)
{
    (void)u, (void)thread;
    return -ENOSYS;
}

static void sykli__sys_join(void *u, sykli_thread *thread) { (void)u, (void)thread; }
#else
_Static_assert(sizeof(pthread_t) <= sizeof(uintptr_t), "sykli_thread.id is large enough");

static void *sykli__sys_thread_run(void *arg)
{
    sykli_thread *thread = (sykli_thread *)arg;
    thread->run(thread->arg);
    return NULL;
}

// The host's signals are for its own threads: a handler of its may count on what it left there.
static int sykli__sys_thread(void *u, sykli_thread *thread)
{
    (void)u;
    sigset_t all, before;
    pthread_t id;
    sigfillset(&all);
    int rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc) return -rc;
    rc = pthread_create(&id, NULL, sykli__sys_thread_run, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!rc) memcpy(&thread->id, &id, sizeof id);
    return -rc;
}

static void sykli__sys_join(void *u, sykli_thread *thread)
{
    (void)u;
    pthread_t id;
    memcpy(&id, &thread->id, sizeof id);
    pthread_join(id, NULL);
}
#endif

void sykli_sys_init(sykli_sys *out)
{
    memset(out, 0, sizeof *out);
    out->resize = sykli__sys_resize;
    out->now_ns = sykli__sys_now_ns;
    out->wall_ms = sykli__sys_wall_ms;
    out->close = sykli__sys_close;
    out->unmap = sykli__sys_unmap;
    out->join = sykli__sys_join;
#define SYKLI_X(type, name, params, args) out->name = sykli__sys_##name;
    SYKLI_SYS_CALLS(SYKLI_X)
#undef SYKLI_X
}

// >>pool ---- several processors for one large file, or for many at once
// A gigabyte takes one processor half a second to hash, and the tree of its digest falls apart into
// pieces that know nothing of each other; whether thousands of files stand is asked one by one.
// Threads live for one call of the host's and are joined before it returns and before we start a
// process: between its calls there is none, and few small files start none. They read and ask, and
// compute; memory, faults and contexts stay with the thread that owns them. One that cannot be
// started is one less, with none the caller does it all.

enum {
    SYKLI__POOL_THREADS_MAX = 64,
    SYKLI__POOL_DEFAULT = 8,         // threads, where the host does not say: memory is shared
    SYKLI__POOL_PIECE_MIN = 256 << 10, // takes the SHA instructions 150 us, a thread's start 20
    SYKLI__POOL_PIECES_MAX = 256,
    SYKLI__POOL_FILE_MIN = 1 << 20,  // below, a file is hashed by one thread
    SYKLI__POOL_CHUNK = 64 << 10
};

#if defined(SYKLI_NO_THREADS)
#define SYKLI__POOL_SHARED
#else
#define SYKLI__POOL_SHARED _Atomic
#endif

// `work` is called for each number below `count`, until it returns other than 0.
typedef struct sykli__pool_job {
    int (*work)(void *user, size_t number, uint8_t *chunk);
    void *user;
    size_t count;
    size_t room; // bytes of `chunk`; 0: none is needed
    SYKLI__POOL_SHARED size_t next;
    SYKLI__POOL_SHARED int rc;
} sykli__pool_job;

typedef struct sykli__pool_hand {
    sykli__pool_job *job;
    uint8_t *chunk;
    sykli_thread thread;
} sykli__pool_hand;

// Hands in what came of a number, and takes the next.      returns  false: there is none
static bool sykli__pool_next(sykli__pool_job *job, int rc, size_t *number)
{
    if (rc && !job->rc) job->rc = rc;
    *number = job->rc ? job->count : job->next++;
    return *number < job->count;
}

static void sykli__pool_run(void *arg)
{
    sykli__pool_hand *hand = (sykli__pool_hand *)arg;
    size_t number = 0;
    for (int rc = 0; sykli__pool_next(hand->job, rc, &number);)
        rc = hand->job->work(hand->job->user, number, hand->chunk);
}

// Those that do a job. The first is the calling thread's.
typedef struct sykli__pool_team {
    sykli_mem *mem;
    uint8_t *chunks;
    size_t size, count;
    sykli__pool_hand hands[SYKLI__POOL_THREADS_MAX];
} sykli__pool_team;

// Begins a job with so many threads at most, the calling one among them, which has not begun yet.
//   job      stays where it is; its `work` is given the room for itself
//   returns  0, and the team must leave; -ENOMEM
static int sykli__pool_begin(sykli__pool_team *team, sykli_mem *mem, uint32_t threads,
                             sykli__pool_job *job)
{
    const sykli_sys *sys = mem->sys;
    size_t count = threads < SYKLI__POOL_THREADS_MAX ? threads : SYKLI__POOL_THREADS_MAX;
    if (count > job->count) count = job->count;
    if (!count) count = 1;
    team->mem = mem;
    team->size = count * job->room;
    team->chunks = NULL;
    if (team->size)
        team->chunks = (uint8_t *)sykli_mem_resize(mem, SYKLI_TAG_tree, NULL, 0, team->size);
    if (team->size && !team->chunks) return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        sykli__pool_hand *hand = &team->hands[i];
        *hand = (sykli__pool_hand){ job, team->chunks ? team->chunks + i * job->room : NULL,
                                    { sykli__pool_run, hand, 0 } };
    }
    team->count = 1;
    while (team->count < count && sys->thread(sys->user, &team->hands[team->count].thread) >= 0)
        team->count++;
    return 0;
}

// Does one number of the job with the calling thread.      returns  false: there was none
static bool sykli__pool_help(sykli__pool_team *team)
{
    sykli__pool_hand *own = &team->hands[0];
    size_t number;
    if (!sykli__pool_next(own->job, 0, &number)) return false;
    int rc = own->job->work(own->job->user, number, own->chunk);
    if (rc && !own->job->rc) own->job->rc = rc;
    return true;
}

// Ends a job that nobody needs the rest of.    returns  as sykli__pool_each
static int sykli__pool_leave(sykli__pool_team *team)
{
    const sykli_sys *sys = team->mem->sys;
    sykli__pool_job *job = team->hands[0].job;
    if (!job->rc) job->next = job->count;
    while (--team->count) sys->join(sys->user, &team->hands[team->count].thread);
    if (team->chunks)
        sykli_mem_resize(team->mem, SYKLI_TAG_tree, team->chunks, team->size, 0);
    return job->rc;
}

// Does a job with so many threads at most, the calling one among them.
//   work     is given the job's room for itself
//   returns  one that `work` returned other than 0; 0; -ENOMEM
static int sykli__pool_each(sykli_mem *mem, uint32_t threads, sykli__pool_job *job)
{
    sykli__pool_team team;
    int rc = sykli__pool_begin(&team, mem, threads, job);
    if (rc) return rc;
    while (sykli__pool_help(&team)) {}
    return sykli__pool_leave(&team);
}

typedef struct sykli__pool_file {
    const sykli_sys *sys;
    int fd, to; // to: -1 if it is not copied
    uint64_t size, piece;
    sykli_digest ids[SYKLI__POOL_PIECES_MAX];
} sykli__pool_file;

static int sykli__pool_write(const sykli__pool_file *f, const uint8_t *data, size_t size,
                             uint64_t at)
{
    while (size) {
        int64_t put = f->sys->pwrite(f->sys->user, f->to, data, size, at);
        if (put <= 0) return put < 0 ? (int)put : -EIO;
        data += put;
        at += (uint64_t)put;
        size -= (size_t)put;
    }
    return 0;
}

static int sykli__pool_piece(void *user, size_t number, uint8_t *chunk)
{
    sykli__pool_file *f = (sykli__pool_file *)user;
    uint64_t at = number * f->piece, end = f->size - at < f->piece ? f->size : at + f->piece;
    sykli_tree hash;
    sykli_tree_init(&hash);
    while (at < end) {
        size_t want = end - at < SYKLI__POOL_CHUNK ? (size_t)(end - at) : SYKLI__POOL_CHUNK;
        int64_t got = f->sys->pread(f->sys->user, f->fd, chunk, want, at);
        if (got <= 0) return got < 0 ? (int)got : 1;
        sykli_tree_add(&hash, chunk, (size_t)got);
        int rc = f->to < 0 ? 0 : sykli__pool_write(f, chunk, (size_t)got, at);
        if (rc) return rc;
        at += (uint64_t)got;
    }
    sykli_tree_end(&hash, &f->ids[number]);
    return 0;
}

static uint64_t sykli__pool_piece_size(uint64_t size)
{
    uint64_t piece = SYKLI__POOL_PIECE_MIN;
    while (piece < size / SYKLI__POOL_PIECES_MAX + (size % SYKLI__POOL_PIECES_MAX != 0)) piece *= 2;
    return piece;
}

static bool sykli__pool_pays(uint32_t threads, uint64_t size)
{
    return threads > 1 && size >= SYKLI__POOL_FILE_MIN;
}

// Adds the first `size` bytes of an open file, wherever it stands, to a fresh tree, and copies them
// to another.
//   to       -1: to none
//   returns  0, 1: it is not that long, or the negated errno
static int sykli__pool_add(sykli_mem *mem, uint32_t threads, int fd, int to, uint64_t size,
                           sykli_tree *tree)
{
    sykli__pool_file f = { .sys = mem->sys, .fd = fd, .to = to, .size = size,
                           .piece = sykli__pool_piece_size(size) };
    sykli__pool_job job = { .work = sykli__pool_piece, .user = &f, .room = SYKLI__POOL_CHUNK };
    job.count = (size_t)(size / f.piece + (size % f.piece != 0));
    int rc = sykli__pool_each(mem, threads, &job);
    for (size_t i = 0; !rc && i < job.count; i++) sykli__hash_subtree(tree, &f.ids[i], f.piece);
    return rc;
}

// >>rows ---- row files: pools of rows that other processes can read
// The truth is in private memory; the file is a copy for others, and nothing is ever read back from
// it. It is written with pwrite and not through a mapping: whoever may read the file may also
// truncate it, and a mapping would answer the writer's next store with SIGBUS. A write costs about
// 1 us, so changes are gathered and published once a turn of the loop, neighbours in one piece. A
// checksum over number, sequence and row tells torn and scribbled slots from good ones, in whatever
// order the kernel copies. Texts are appended to a heap before the rows that point to them; when it
// is compacted, a new epoch begins. The writer holds a lock on its file as long as it lives: nobody
// has to guess from a pid.

#define SYKLI__ROWS_POOLS_MAX 16
#define SYKLI__ROWS_ROW_MAX 4096           // bytes of a row
#define SYKLI__ROWS_CAPACITY_MAX (1u << 20) // slots of a pool
#define SYKLI__ROWS_POOL_MAX (1u << 30)    // bytes of a pool
#define SYKLI__ROWS_HEAP_MAX (64u << 20)
#define SYKLI__ROWS_TEXT_MAX ((1u << 24) - 1) // what a REF can say
#define SYKLI__ROWS_TRIES 64               // of a reader, for one piece
#define SYKLI__ROWS_STAGE (64u << 10)      // bytes moved at once
#define SYKLI__ROWS_SLOT_HEAD 16
#define SYKLI__ROWS_COMPACT_EVERY 64       // flushes from one compaction to the next at least
#define SYKLI__ROWS_REBOOT_GAP 1024        // boot numbers that a power cut may have lost

typedef struct sykli__rows_pool_desc {
    const sykli_table *table; // name, columns, row_size; no TEXT columns
    uint32_t capacity;
} sykli__rows_pool_desc;

typedef struct sykli__rows_desc {
    const char *state_dir;    // NULL: in memory only
    const char *node, *kind;  // of this process: "node", "run"
    const sykli__rows_pool_desc *pools;
    size_t pool_count, heap_size;
} sykli__rows_desc;

// The first bytes of a file, in the byte order of this machine.
typedef struct sykli__rows_header {
    char magic[8];
    uint32_t endian, pools, pid, filler;
    uint64_t boot, started_ms, heap_at, heap_size, heap_used;
    uint64_t epoch; // odd while the heap is being rewritten
    char node[SYKLI_NODE_NAME_MAX + 8], kind[16], boot_id[40];
    struct {
        char table[32];
        uint64_t schema, at;
        uint32_t row_size, capacity, high, filler; // high: slots from here on were never used
    } pool[SYKLI__ROWS_POOLS_MAX];
    uint64_t check;
} sykli__rows_header;

typedef struct sykli__rows_slot { uint32_t sequence, used, next_free; } sykli__rows_slot;

typedef struct sykli__rows_pool {
    const sykli_table *table;
    char *rows;
    sykli__rows_slot *slots;
    uint64_t *dirty; // a bit a slot
    size_t dirty_words;
    uint32_t capacity, high, count, free; // free: first of a list, number + 1
} sykli__rows_pool;

typedef struct sykli__rows {
    sykli_mem *mem;
    sykli__rows_pool pools[SYKLI__ROWS_POOLS_MAX];
    size_t pool_count;
    char *heap;
    size_t heap_size, heap_published, compact_at;
    uint32_t flushes;         // since the heap was compacted
    sykli_map texts;          // text -> REF
    sykli__rows_header header;
    bool header_dirty;
    uint32_t counter;         // of serials, below the boot number
    uint64_t boot;
    int fd, dir;              // -1: none
    int error;                // what ended the publication: negated errno
    char name[40];
    char *stage;
} sykli__rows;

static const char sykli__rows_magic[8] = { 's', 'y', 'k', 'r', 'o', 'w', 's', 1 };

// What must be equal for a row of another process to be readable as one of ours.
static uint64_t sykli__rows_schema(const sykli_table *table)
{
    uint64_t key[2] = { table->row_size, table->column_count };
    for (size_t i = 0; i < table->column_count; i++) {
        const sykli_column *c = &table->columns[i];
        uint32_t facts[4] = { c->kind, c->unit, c->offset, c->size };
        key[0] = sykli_siphash(key, c->name, strlen(c->name));
        key[1] ^= sykli_siphash(key, facts, sizeof facts);
        for (size_t n = 0; c->names && c->names[n]; n++)
            key[1] ^= sykli_siphash(key, c->names[n], strlen(c->names[n])) + n;
    }
    return key[0] ^ key[1];
}

static uint64_t sykli__rows_header_check(const sykli__rows_header *h)
{
    const uint64_t key[2] = { sizeof *h, 0 };
    return sykli_siphash(key, h, offsetof(sykli__rows_header, check));
}

// A row need not end on a word: on some processors a u64 is aligned to 4.
static size_t sykli__rows_slot_size(size_t row_size)
{
    return SYKLI__ROWS_SLOT_HEAD + (row_size + 7) / 8 * 8;
}

// A slot as it stands in the file: check, sequence, used, row.
static void sykli__rows_slot_store(char *out, uint32_t index, const sykli__rows_slot *slot,
                                   const char *row, size_t row_size)
{
    const uint64_t key[2] = { row_size, index };
    memcpy(out + 8, &slot->sequence, 4);
    memcpy(out + 12, &slot->used, 4);
    memcpy(out + SYKLI__ROWS_SLOT_HEAD, row, row_size);
    uint64_t check = sykli_siphash(key, out + 8, 8 + row_size);
    memcpy(out, &check, 8);
}

// returns  1 a row, 0 a free slot, -1 torn or damaged
static int sykli__rows_slot_check(const char *slot, uint32_t index, size_t row_size)
{
    const uint64_t key[2] = { row_size, index };
    uint64_t check;
    uint32_t head[2];
    memcpy(&check, slot, 8);
    memcpy(head, slot + 8, 8);
    if (!check && !head[0] && !head[1]) return 0; // never written
    if (check != sykli_siphash(key, slot + 8, 8 + row_size)) return -1;
    return head[1] != 0;
}

// Writes everything or says why not; a short write is continued.
static int sykli__rows_put(const sykli_sys *sys, int fd, const void *data, size_t size, uint64_t at)
{
    for (const char *from = (const char *)data; size;) {
        int64_t put = sys->pwrite(sys->user, fd, from, size, at);
        if (put <= 0) return put < 0 ? (int)put : -EIO;
        from += put, at += (uint64_t)put, size -= (size_t)put;
    }
    return 0;
}

// returns  0, or negative: an error, or the file ends before `size`
static int sykli__rows_get(const sykli_sys *sys, int fd, void *out, size_t size, uint64_t at)
{
    for (char *to = (char *)out; size;) {
        int64_t got = sys->pread(sys->user, fd, to, size, at);
        if (got <= 0) return got < 0 ? (int)got : -EIO;
        to += got, at += (uint64_t)got, size -= (size_t)got;
    }
    return 0;
}

static void sykli__rows_boot_id(const sykli_sys *sys, char out[40])
{
    memset(out, 0, 40);
    int fd = sys->open(sys->user, SYKLI_CWD, "/proc/sys/kernel/random/boot_id", SYKLI_OPEN_read, 0);
    if (fd < 0) return;
    int64_t got = sys->read(sys->user, fd, out, 36);
    sys->close(sys->user, fd);
    if (got != 36) memset(out, 0, 40);
}

// Takes the next boot number from the folder's counter, which stands in a file with the id of the
// machine's boot. After a power cut the file may be older than the last number given, so that a
// new boot id skips some.
static int sykli__rows_boot_take(const sykli_sys *sys, int dir, const char *boot_id,
                                 uint32_t random, uint64_t *out)
{
    int fd = sys->open(sys->user, dir, ".boot",
                       SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_nofollow,
                       0600);
    if (fd < 0) return fd;
    char text[80] = "";
    int rc;
    for (int tries = 0; (rc = sys->lock(sys->user, fd, 1)) == -EWOULDBLOCK && tries < 1000; tries++)
        sys->poll(sys->user, NULL, 0, 1); // held for two system calls by others
    int64_t got = rc < 0 ? rc : sys->pread(sys->user, fd, text, sizeof text - 1, 0);
    if (got >= 0) {
        text[got] = 0;
        char *id = text;
        unsigned long long last = strtoull(text, &id, 10);
        *out = last + 1;
        if (got && *id != ' ') *out = random | 1u << 31; // damaged: far from all that was counted
        else if (got && strncmp(id + 1, boot_id, strlen(boot_id))) *out += SYKLI__ROWS_REBOOT_GAP;
        if (*out > UINT32_MAX) got = -EOVERFLOW;
    }
    if (got >= 0) {
        unsigned long long number = *out;
        int size = snprintf(text, sizeof text, "%010llu %-40s\n", number, boot_id);
        got = sykli__rows_put(sys, fd, text, (size_t)size, 0);
    }
    sys->close(sys->user, fd);
    return got < 0 ? (int)got : 0;
}

// A boot number: counted in the state folder, else at random.
static int sykli__rows_boot(sykli__rows *r)
{
    const sykli_sys *sys = r->mem->sys;
    uint32_t random;
    int rc = sys->random(sys->user, &random, sizeof random);
    if (rc < 0) return rc;
    r->boot = random;
    return r->dir < 0 ? 0
         : sykli__rows_boot_take(sys, r->dir, r->header.boot_id, random, &r->boot);
}

static void sykli__rows_pool_free(sykli_mem *mem, sykli__rows_pool *p)
{
    if (p->rows) sykli_mem_resize(mem, SYKLI_TAG_rows, p->rows,
                                  p->capacity * p->table->row_size, 0);
    if (p->slots) sykli_mem_resize(mem, SYKLI_TAG_rows, p->slots,
                                   p->capacity * sizeof *p->slots, 0);
    if (p->dirty) sykli_mem_resize(mem, SYKLI_TAG_rows, p->dirty, p->dirty_words * 8, 0);
}

// Ends the publication and frees all. The file goes; a killed process leaves it.
static void sykli__rows_close(sykli__rows *r)
{
    if (!r->mem) return;
    const sykli_sys *sys = r->mem->sys;
    if (r->fd >= 0) {
        sys->remove(sys->user, r->dir, r->name, 0);
        sys->close(sys->user, r->fd);
    }
    if (r->dir >= 0) sys->close(sys->user, r->dir);
    for (size_t i = 0; i < r->pool_count; i++) sykli__rows_pool_free(r->mem, &r->pools[i]);
    if (r->heap) sykli_mem_resize(r->mem, SYKLI_TAG_rows, r->heap, r->heap_size, 0);
    if (r->stage) sykli_mem_resize(r->mem, SYKLI_TAG_rows, r->stage, SYKLI__ROWS_STAGE, 0);
    sykli_map_free(&r->texts);
    memset(r, 0, sizeof *r);
    r->fd = r->dir = -1;
}

static int sykli__rows_pool_check(const sykli__rows_pool_desc *d, sykli_fault *f)
{
    const sykli_table *t = d->table;
    if (!t->row_size || t->row_size > SYKLI__ROWS_ROW_MAX)
        return sykli_fail(f, SYKLI_EINVAL, "rows of %s: a row has 1 to %d bytes", t->name,
                          SYKLI__ROWS_ROW_MAX);
    uint64_t bytes = d->capacity * (uint64_t)sykli__rows_slot_size(t->row_size);
    if (!bytes || d->capacity > SYKLI__ROWS_CAPACITY_MAX || bytes > SYKLI__ROWS_POOL_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "rows of %s: 1 to %u slots, %u bytes in all", t->name,
                          SYKLI__ROWS_CAPACITY_MAX, SYKLI__ROWS_POOL_MAX);
    for (size_t i = 0; i < t->column_count; i++)
        if (t->columns[i].kind == SYKLI_KIND_TEXT)
            return sykli_fail(f, SYKLI_EINVAL,
                              "rows of %s: column %s is TEXT, which means nothing in another "
                              "process; make it REF or STR", t->name, t->columns[i].name);
    return strlen(t->name) < sizeof((sykli__rows_header *)0)->pool[0].table ? 0
         : sykli_fail(f, SYKLI_EINVAL, "rows of %s: the name is too long", t->name);
}

static int sykli__rows_pools_make(sykli__rows *r, const sykli__rows_desc *desc, sykli_fault *f)
{
    if (desc->pool_count > SYKLI__ROWS_POOLS_MAX || desc->heap_size > SYKLI__ROWS_HEAP_MAX)
        return sykli_fail(f, SYKLI_ELIMIT, "rows: at most %d pools and a heap of %u bytes",
                          SYKLI__ROWS_POOLS_MAX, SYKLI__ROWS_HEAP_MAX);
    bool memory = true;
    for (size_t i = 0; i < desc->pool_count; i++) {
        const sykli__rows_pool_desc *d = &desc->pools[i];
        int rc = sykli__rows_pool_check(d, f);
        if (rc) return rc;
        sykli__rows_pool *p = &r->pools[r->pool_count++];
        p->table = d->table;
        p->capacity = d->capacity;
        p->dirty_words = ((size_t)d->capacity + 63) / 64;
        p->rows = (char *)sykli_mem_resize(r->mem, SYKLI_TAG_rows, NULL, 0,
                                           d->capacity * d->table->row_size);
        p->slots = (sykli__rows_slot *)sykli_mem_resize(r->mem, SYKLI_TAG_rows, NULL, 0,
                                                        d->capacity * sizeof *p->slots);
        p->dirty = (uint64_t *)sykli_mem_resize(r->mem, SYKLI_TAG_rows, NULL, 0,
                                                p->dirty_words * 8);
        memory = memory && p->rows && p->slots && p->dirty;
    }
    r->heap_size = desc->heap_size < 8 ? 8 : desc->heap_size;
    r->heap = (char *)sykli__base_resize(r->mem, SYKLI_TAG_rows, NULL, 0, r->heap_size);
    r->stage = (char *)sykli_mem_resize(r->mem, SYKLI_TAG_rows, NULL, 0, SYKLI__ROWS_STAGE);
    memory = memory && r->heap && r->stage;
    return memory ? 0 : sykli_fail(f, SYKLI_ENOMEM, "no memory for the rows of this process");
}

// Where everything stands in the file.   returns  its size
static uint64_t sykli__rows_layout(sykli__rows *r)
{
    sykli__rows_header *h = &r->header;
    uint64_t at = (sizeof *h + 63) / 64 * 64;
    h->heap_at = at;
    h->heap_size = r->heap_size;
    at += (r->heap_size + 63) / 64 * 64;
    for (size_t i = 0; i < r->pool_count; i++) {
        const sykli__rows_pool *p = &r->pools[i];
        memcpy(h->pool[i].table, p->table->name, strlen(p->table->name));
        h->pool[i].schema = sykli__rows_schema(p->table);
        h->pool[i].at = at;
        h->pool[i].row_size = (uint32_t)p->table->row_size;
        h->pool[i].capacity = p->capacity;
        at += (p->capacity * sykli__rows_slot_size(p->table->row_size) + 63) / 64 * 64;
    }
    return at;
}

static int sykli__rows_header_write(sykli__rows *r)
{
    sykli__rows_header *h = &r->header;
    for (size_t i = 0; i < r->pool_count; i++) h->pool[i].high = r->pools[i].high;
    h->check = sykli__rows_header_check(h);
    r->header_dirty = false;
    return sykli__rows_put(r->mem->sys, r->fd, h, sizeof *h, 0);
}

static int sykli__rows_folder(const sykli_sys *sys, const char *state_dir, int create)
{
    char path[1024];
    int size = snprintf(path, sizeof path, "%s/rows", state_dir);
    if (size < 0 || (size_t)size >= sizeof path) return -ENAMETOOLONG;
    if (create) {
        int rc = sys->mkdir(sys->user, SYKLI_CWD, state_dir, 0700);
        if (rc == -EEXIST || rc >= 0) rc = sys->mkdir(sys->user, SYKLI_CWD, path, 0700);
        if (rc < 0 && rc != -EEXIST) return rc;
    }
    return sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
}

// Makes the file whole under a name that no reader looks at, locks it, then shows it.
static int sykli__rows_publish(sykli__rows *r, const char *state_dir)
{
    const sykli_sys *sys = r->mem->sys;
    char hidden[48];
    r->dir = sykli__rows_folder(sys, state_dir, 1);
    if (r->dir < 0) return r->dir;
    sykli__rows_boot_id(sys, r->header.boot_id);
    int rc = sykli__rows_boot(r);
    if (rc < 0) return rc;
    snprintf(r->name, sizeof r->name, "%u.%llu", (unsigned)r->header.pid,
             (unsigned long long)r->boot);
    r->header.boot = r->boot;
    snprintf(hidden, sizeof hidden, ".%s", r->name);
    int fd = sys->open(sys->user, r->dir, hidden, SYKLI_OPEN_read | SYKLI_OPEN_write
                       | SYKLI_OPEN_create | SYKLI_OPEN_exclusive, 0600);
    if (fd < 0) return fd;
    r->fd = fd;
    rc = sys->allocate(sys->user, fd, sykli__rows_layout(r));
    if (rc >= 0) rc = sys->lock(sys->user, fd, 1);
    if (rc >= 0) rc = sykli__rows_header_write(r);
    if (rc >= 0) rc = sys->rename(sys->user, r->dir, hidden, r->dir, r->name);
    if (rc >= 0) return 0;
    sys->remove(sys->user, r->dir, hidden, 0);
    return rc;
}

// Opens the rows of this process.
//   returns  0; EINVAL, ELIMIT; ENOMEM; EIO or EPERM: the folder cannot be written
static int sykli__rows_open(sykli__rows *r, sykli_mem *mem, const sykli__rows_desc *desc,
                            sykli_fault *f)
{
    const sykli_sys *sys = mem->sys;
    memset(r, 0, sizeof *r);
    r->mem = mem;
    r->fd = r->dir = -1;
    sykli_map_init(&r->texts, mem, NULL);
    int rc = sykli__rows_pools_make(r, desc, f);
    sykli__rows_header *h = &r->header;
    memcpy(h->magic, sykli__rows_magic, sizeof h->magic);
    h->endian = 0x01020304;
    h->pools = (uint32_t)r->pool_count;
    h->started_ms = (uint64_t)sys->wall_ms(sys->user);
    h->heap_used = r->heap_published = 8; // a REF of 0 is NULL
    r->compact_at = r->heap_size - r->heap_size / 4;
    snprintf(h->node, sizeof h->node, "%s", desc->node ? desc->node : "");
    snprintf(h->kind, sizeof h->kind, "%s", desc->kind ? desc->kind : "");
    if (!rc) {
        int pid = sys->pid(sys->user);
        h->pid = pid > 0 ? (uint32_t)pid : 0;
        int told = pid < 0 ? pid : desc->state_dir ? sykli__rows_publish(r, desc->state_dir)
                 : sykli__rows_boot(r);
        if (told < 0) rc = sykli_fail_sys(f, told, "rows of this process in %s/rows",
                                          desc->state_dir ? desc->state_dir : "memory");
    }
    if (rc) sykli__rows_close(r);
    return rc;
}

static void sykli__rows_touch(sykli__rows_pool *p, uint32_t slot)
{
    p->dirty[slot / 64] |= (uint64_t)1 << (slot % 64);
}

// The private row of a slot. After a change, sykli__rows_write(r, pool, slot, NULL).
static void *sykli__rows_at(sykli__rows *r, size_t pool, uint32_t slot)
{
    sykli__rows_pool *p = &r->pools[pool];
    assert(pool < r->pool_count && slot < p->capacity);
    return p->rows + slot * p->table->row_size;
}

// Takes a slot, zeroed, and gives it a serial: boot number, then a counter.
//   returns  the slot; ELIMIT: the pool is full; EIO: no new boot number
static int sykli__rows_take(sykli__rows *r, size_t pool, uint64_t *serial)
{
    assert(pool < r->pool_count);
    sykli__rows_pool *p = &r->pools[pool];
    if (!p->free && p->high == p->capacity) return SYKLI_ELIMIT;
    if (r->counter == UINT32_MAX) {
        if (sykli__rows_boot(r) < 0) return SYKLI_EIO;
        r->counter = 0;
    }
    uint32_t slot = p->free ? p->free - 1 : p->high;
    if (p->free) p->free = p->slots[slot].next_free;
    else p->high++, r->header_dirty = true;
    *serial = r->boot << 32 | ++r->counter;
    p->slots[slot].used = 1;
    p->count++;
    memset(sykli__rows_at(r, pool, slot), 0, p->table->row_size);
    sykli__rows_touch(p, slot);
    return (int)slot;
}

// Copies a row, but not the bytes between its columns: on a stack anything may have been there.
static void sykli__rows_copy(const sykli_table *table, char *to, const void *row)
{
    memcpy(to, row, table->row_size);
    for (size_t i = 0; i < table->column_count; i++) {
        const sykli_column *c = &table->columns[i];
        size_t end = (size_t)c->offset + c->size;
        size_t next = i + 1 < table->column_count ? c[1].offset : table->row_size;
        if (next > end) memset(to + end, 0, next - end);
    }
}

// Sets a row; it is published by the next flush.   row  NULL: it was changed in place
static void sykli__rows_write(sykli__rows *r, size_t pool, uint32_t slot, const void *row)
{
    sykli__rows_pool *p = &r->pools[pool];
    assert(pool < r->pool_count && slot < p->high && p->slots[slot].used);
    if (row) sykli__rows_copy(p->table, (char *)sykli__rows_at(r, pool, slot), row);
    sykli__rows_touch(p, slot);
}

static void sykli__rows_release(sykli__rows *r, size_t pool, uint32_t slot)
{
    sykli__rows_pool *p = &r->pools[pool];
    assert(pool < r->pool_count && slot < p->high && p->slots[slot].used);
    memset(sykli__rows_at(r, pool, slot), 0, p->table->row_size);
    p->slots[slot].used = 0;
    p->slots[slot].next_free = p->free;
    p->free = slot + 1;
    p->count--;
    sykli__rows_touch(p, slot);
}

// Puts a text into the heap that nobody will ask for again.   returns  as sykli__rows_text
static uint64_t sykli__rows_text_once(sykli__rows *r, const char *text, size_t size)
{
    uint64_t at = r->header.heap_used;
    if (!size || size > SYKLI__ROWS_TEXT_MAX || size > r->heap_size - at) return 0;
    memcpy(r->heap + at, text, size);
    r->header.heap_used = at + size;
    return at << 24 | size;
}

// Puts a text into the heap, once however often it is asked for. A REF belongs into a row at once:
// the next flush may move the text, and then knows only the rows.
//   returns  the REF; 0 when the heap is full
static uint64_t sykli__rows_text(sykli__rows *r, const char *text, size_t size)
{
    uint64_t *there = sykli_map_get(&r->texts, text, size);
    if (there) return *there;
    uint64_t ref = sykli__rows_text_once(r, text, size);
    if (!ref || sykli_map_put(&r->texts, text, size, ref) >= 0) return ref;
    r->header.heap_used -= size;
    return 0;
}

// Moves one text into the new heap and corrects the row.
static void sykli__rows_ref_move(sykli__rows *r, const char *old, char *field)
{
    uint64_t ref;
    memcpy(&ref, field, sizeof ref);
    size_t at = (size_t)(ref >> 24), size = (size_t)(ref & SYKLI__ROWS_TEXT_MAX);
    if (!ref || at > r->heap_size || size > r->heap_size - at) return;
    ref = sykli__rows_text(r, old + at, size);
    memcpy(field, &ref, sizeof ref);
}

// Drops the texts that no row points to. Without memory for the second heap all stays as it is.
static bool sykli__rows_compact(sykli__rows *r)
{
    char *old = r->heap;
    r->heap = (char *)sykli__base_resize(r->mem, SYKLI_TAG_rows, NULL, 0, r->heap_size);
    if (!r->heap) {
        r->heap = old;
        return false;
    }
    sykli_map_free(&r->texts);
    r->header.heap_used = r->heap_published = 8;
    for (size_t i = 0; i < r->pool_count; i++) {
        sykli__rows_pool *p = &r->pools[i];
        for (size_t c = 0; c < p->table->column_count; c++) {
            if (p->table->columns[c].kind != SYKLI_KIND_REF) continue;
            for (uint32_t slot = 0; slot < p->high; slot++) {
                char *row = (char *)sykli__rows_at(r, i, slot);
                sykli__rows_ref_move(r, old, row + p->table->columns[c].offset);
                sykli__rows_touch(p, slot);
            }
        }
    }
    sykli_mem_resize(r->mem, SYKLI_TAG_rows, old, r->heap_size, 0);
    // Not again before half of what is free now is used up, nor every time when nothing is free.
    r->compact_at = (r->heap_size + (size_t)r->header.heap_used) / 2;
    r->flushes = 0;
    return true;
}

// Writes the changed rows of a pool, neighbours together. A few clean ones between two changed are
// written again: that is cheaper than another call, and changes nothing.
static int sykli__rows_pool_flush(sykli__rows *r, size_t pool)
{
    sykli__rows_pool *p = &r->pools[pool];
    size_t size = sykli__rows_slot_size(p->table->row_size), staged = 0;
    uint32_t first = 0, end = 0; // of what is staged
    int rc = 0;
    for (size_t word = 0; word < p->dirty_words; word++)
        for (uint32_t bit = 0; p->dirty[word] && bit < 64; bit++) {
            if (!(p->dirty[word] >> bit & 1)) continue;
            p->dirty[word] &= ~((uint64_t)1 << bit);
            uint32_t slot = (uint32_t)word * 64 + bit, from = slot;
            if (staged && slot - end < 8 && staged + (slot + 1 - end) * size <= SYKLI__ROWS_STAGE)
                from = end;
            else {
                if (staged && rc >= 0)
                    rc = sykli__rows_put(r->mem->sys, r->fd, r->stage, staged,
                                         r->header.pool[pool].at + first * (uint64_t)size);
                first = slot;
                staged = 0;
            }
            p->slots[slot].sequence++;
            for (; from <= slot; from++, staged += size)
                sykli__rows_slot_store(r->stage + staged, from, &p->slots[from],
                                       (const char *)sykli__rows_at(r, pool, from),
                                       p->table->row_size);
            end = slot + 1;
        }
    if (staged && rc >= 0)
        rc = sykli__rows_put(r->mem->sys, r->fd, r->stage, staged,
                             r->header.pool[pool].at + first * (uint64_t)size);
    return rc;
}

static int sykli__rows_heap_flush(sykli__rows *r)
{
    size_t from = r->heap_published, to = (size_t)r->header.heap_used;
    if (from == to) return 0;
    r->heap_published = to;
    r->header_dirty = true;
    return sykli__rows_put(r->mem->sys, r->fd, r->heap + from, to - from,
                           r->header.heap_at + from);
}

// Publishes what changed since the last flush. A failure ends the publication and nothing else:
// `error` keeps it, the rows in memory go on.
static void sykli__rows_flush(sykli__rows *r)
{
    bool compacted = ++r->flushes >= SYKLI__ROWS_COMPACT_EVERY
        && r->header.heap_used >= r->compact_at && sykli__rows_compact(r);
    if (r->fd < 0 || r->error) return;
    int rc = 0;
    r->header.epoch += compacted;
    if (compacted) rc = sykli__rows_header_write(r); // odd: readers wait or do without texts
    if (rc >= 0) rc = sykli__rows_heap_flush(r);
    if (rc >= 0 && r->header_dirty && !compacted) rc = sykli__rows_header_write(r);
    for (size_t i = 0; i < r->pool_count && rc >= 0; i++) rc = sykli__rows_pool_flush(r, i);
    r->header.epoch += compacted;
    if (compacted && rc >= 0) rc = sykli__rows_header_write(r);
    if (rc < 0) r->error = rc;
}

// Emits the rows of one pool of this process.   returns  what `row` returned, or 0
static int sykli__rows_scan(sykli__rows *r, size_t pool, sykli_emit *to)
{
    sykli__rows_pool *p = &r->pools[pool];
    assert(pool < r->pool_count);
    to->heap = r->heap;
    to->heap_size = (size_t)r->header.heap_used;
    int rc = 0;
    for (uint32_t slot = 0; slot < p->high && !rc; slot++)
        if (p->slots[slot].used) rc = to->row(to, sykli__rows_at(r, pool, slot));
    return rc;
}

// One file of another process while it is read. Nothing in it is believed.
typedef struct sykli__rows_reader {
    sykli_mem *mem;
    const sykli_table *table;
    sykli_emit *to;
    const sykli__rows *self;
    bool dead_too;
    int dir, fd, rc;
    sykli__rows_header header;
    char *heap;
    size_t heap_room, heap_have;
    uint64_t heap_epoch, file_size;
} sykli__rows_reader;

// Reads the header until it is whole and calm.
//   returns  0; -1: no row file; 1: whole, but its heap is being rewritten (for ever, if the writer
//            died meanwhile)
static int sykli__rows_header_read(sykli__rows_reader *in)
{
    sykli__rows_header *h = &in->header;
    for (int tries = 0, rc = -1;; tries++) {
        if (tries == SYKLI__ROWS_TRIES) return rc;
        if (sykli__rows_get(in->mem->sys, in->fd, h, sizeof *h, 0)) return -1;
        if (memcmp(h->magic, sykli__rows_magic, sizeof h->magic) || h->endian != 0x01020304)
            return -1;
        if (h->check != sykli__rows_header_check(h)) continue;
        if (h->pools > SYKLI__ROWS_POOLS_MAX || h->heap_used > h->heap_size
            || h->heap_size > SYKLI__ROWS_HEAP_MAX || h->heap_at > in->file_size
            || h->heap_size > in->file_size - h->heap_at)
            return -1;
        h->node[sizeof h->node - 1] = 0;
        if (!(h->epoch & 1)) return 0;
        rc = 1;
    }
}

// The pool of the wanted table, if it is laid out as ours and lies within the file; -1: none.
static int sykli__rows_pool_find(const sykli__rows_reader *in)
{
    const sykli__rows_header *h = &in->header;
    for (uint32_t i = 0; i < h->pools; i++) {
        if (memchr(h->pool[i].table, 0, sizeof h->pool[i].table) == NULL
            || strcmp(h->pool[i].table, in->table->name))
            continue;
        uint64_t size = h->pool[i].high * (uint64_t)sykli__rows_slot_size(in->table->row_size);
        bool fits = h->pool[i].capacity <= SYKLI__ROWS_CAPACITY_MAX
            && h->pool[i].high <= h->pool[i].capacity && h->pool[i].at <= in->file_size
            && size <= in->file_size - h->pool[i].at;
        bool same = h->pool[i].row_size == in->table->row_size
            && h->pool[i].schema == sykli__rows_schema(in->table);
        return fits && same ? (int)i : -1;
    }
    return -1;
}

// Brings the copy of the heap up to the header: texts are only ever appended within an epoch.
static int sykli__rows_heap_read(sykli__rows_reader *in)
{
    size_t used = (size_t)in->header.heap_used;
    if (in->heap_epoch != in->header.epoch) in->heap_have = 0;
    in->heap_epoch = in->header.epoch;
    if (used > in->heap_room) {
        char *grown = (char *)sykli_mem_resize(in->mem, SYKLI_TAG_rows, in->heap, in->heap_room,
                                               used);
        if (!grown) return SYKLI_ENOMEM;
        in->heap = grown;
        in->heap_room = used;
    }
    if (used <= in->heap_have) return 0;
    int rc = sykli__rows_get(in->mem->sys, in->fd, in->heap + in->heap_have, used - in->heap_have,
                             in->header.heap_at + in->heap_have);
    if (!rc) in->heap_have = used;
    return rc ? SYKLI_EIO : 0;
}

// Makes every value of a foreign row one that our own code could have written.
static void sykli__rows_row_tame(const sykli_table *table, char *row, size_t heap_size)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const sykli_column *c = &table->columns[i];
        char *field = row + c->offset;
        uint64_t ref;
        uint32_t number, count = 0;
        switch (c->kind) {
        case SYKLI_KIND_STR: field[c->size - 1] = 0; break;
        case SYKLI_KIND_TEXT: memset(field, 0, c->size); break;
        case SYKLI_KIND_REF:
            memcpy(&ref, field, sizeof ref);
            if (ref >> 24 > heap_size || (ref & SYKLI__ROWS_TEXT_MAX) > heap_size - (ref >> 24))
                memset(field, 0, sizeof ref);
            break;
        case SYKLI_KIND_ENUM:
            memcpy(&number, field, sizeof number);
            while (c->names && c->names[count]) count++;
            if (number >= count) memset(field, 0xff, sizeof number); // SYKLI_NULL_ENUM
            break;
        default: break;
        }
    }
}

// Reads a piece of the pool with the texts its rows point to.
//   returns  0 or an error; slots that were torn each time fail their check again
static int sykli__rows_piece_read(sykli__rows_reader *in, int pool, uint32_t first, uint32_t count,
                                  char *piece)
{
    size_t size = sykli__rows_slot_size(in->table->row_size);
    for (int tries = 0;; tries++) {
        uint64_t epoch = in->header.epoch;
        if (sykli__rows_get(in->mem->sys, in->fd, piece, count * size,
                            in->header.pool[pool].at + first * (uint64_t)size))
            return SYKLI_EIO;
        uint32_t torn = 0;
        for (uint32_t i = 0; i < count; i++)
            torn += sykli__rows_slot_check(piece + i * size, first + i, in->table->row_size) < 0;
        // The texts of these rows were in the heap before them; they are still if, after the heap
        // is read, its epoch is the one from before the rows.
        int calm = sykli__rows_header_read(in), rc = calm ? calm : sykli__rows_heap_read(in);
        if (rc == SYKLI_ENOMEM) return rc;
        if (!rc) calm = sykli__rows_header_read(in);
        if (calm < 0 || sykli__rows_pool_find(in) != pool) return SYKLI_ECORRUPT;
        bool moved = calm || rc || epoch != in->header.epoch;
        if (moved) in->heap_have = 0;
        if ((!torn && !moved) || tries == SYKLI__ROWS_TRIES) return 0; // in doubt without texts
    }
}

static int sykli__rows_pool_read(sykli__rows_reader *in, int pool, char *piece)
{
    size_t row_size = in->table->row_size, size = sykli__rows_slot_size(row_size);
    uint32_t at_once = (uint32_t)(SYKLI__ROWS_STAGE / size), high = in->header.pool[pool].high;
    int rc = 0;
    for (uint32_t first = 0; first < high && !rc; first += at_once) {
        uint32_t count = high - first < at_once ? high - first : at_once;
        if ((rc = sykli__rows_piece_read(in, pool, first, count, piece))) return rc;
        in->to->heap = in->heap;
        in->to->heap_size = in->heap_have;
        for (uint32_t i = 0; i < count && !rc; i++) {
            char *slot = piece + i * size;
            if (sykli__rows_slot_check(slot, first + i, row_size) != 1) continue;
            sykli__rows_row_tame(in->table, slot + SYKLI__ROWS_SLOT_HEAD, in->heap_have);
            rc = in->to->row(in->to, slot + SYKLI__ROWS_SLOT_HEAD);
            if (rc) in->rc = rc; // the receiver's own answer goes back as it is
        }
    }
    return rc;
}

// "PID.BOOT", nothing else.
static bool sykli__rows_name_ok(const char *name)
{
    size_t pid = strspn(name, "0123456789");
    size_t boot = name[pid] == '.' ? strspn(name + pid + 1, "0123456789") : 0;
    return pid && boot && !name[pid + 1 + boot] && strlen(name) < 32;
}

static int sykli__rows_file_open(const sykli_sys *sys, int dir, const char *name, uint64_t *size)
{
    sykli_stat st;
    int fd = sys->open(sys->user, dir, name,
                       SYKLI_OPEN_read | SYKLI_OPEN_nofollow | SYKLI_OPEN_beneath, 0);
    if (fd < 0) return fd;
    int rc = sys->fstat(sys->user, fd, &st);
    if (rc >= 0 && st.type == SYKLI_FILE_regular) {
        *size = st.size_bytes;
        return fd;
    }
    sys->close(sys->user, fd);
    return rc < 0 ? rc : -EINVAL;
}

static int sykli__rows_file_read(void *to, const char *name, int type)
{
    sykli__rows_reader *in = (sykli__rows_reader *)to;
    const sykli_sys *sys = in->mem->sys;
    if (type != SYKLI_FILE_regular || !sykli__rows_name_ok(name)) return 0;
    if (in->self && !strcmp(in->self->name, name)) return 0;
    in->fd = sykli__rows_file_open(sys, in->dir, name, &in->file_size);
    if (in->fd < 0) return 0; // gone meanwhile
    in->heap_have = 0;
    in->heap_epoch = UINT64_MAX;
    char *piece = NULL;
    int pool = -1;
    // A lock that can be had means that the writer is dead.
    if ((in->dead_too || sys->lock(sys->user, in->fd, 0) == -EWOULDBLOCK)
        && sykli__rows_header_read(in) >= 0)
        pool = sykli__rows_pool_find(in);
    if (pool >= 0) piece = (char *)sykli_mem_resize(in->mem, SYKLI_TAG_rows, NULL, 0,
                                                    SYKLI__ROWS_STAGE);
    if (piece) {
        char node[sizeof in->header.node];
        memcpy(node, in->header.node, sizeof node);
        in->to->node = node;
        if (sykli__rows_pool_read(in, pool, piece) == SYKLI_ENOMEM) in->rc = SYKLI_ENOMEM;
        in->to->node = NULL;
        sykli_mem_resize(in->mem, SYKLI_TAG_rows, piece, SYKLI__ROWS_STAGE, 0);
    } else if (pool >= 0) {
        in->rc = SYKLI_ENOMEM;
    }
    sys->close(sys->user, in->fd);
    return in->rc;
}

// Emits the rows of a table from the files of all processes of a state folder. A damaged file, or
// one of another layout, is passed over; torn rows are read again and then left out.
//   self     whose own file is passed over; NULL: none
//   dead_too also what killed processes left behind
//   returns  0, what `row` returned, or ENOMEM
static int sykli__rows_scan_dir(sykli_mem *mem, const char *state_dir, const sykli_table *table,
                                const sykli__rows *self, bool dead_too, sykli_emit *to)
{
    const sykli_sys *sys = mem->sys;
    if (table->row_size > SYKLI__ROWS_ROW_MAX) return 0;
    int dir = sykli__rows_folder(sys, state_dir, 0);
    if (dir < 0) return dir == -ENOENT ? 0 : SYKLI_EIO;
    sykli_emit before = *to;
    sykli__rows_reader in;
    memset(&in, 0, sizeof in);
    in.mem = mem, in.table = table, in.to = to, in.self = self, in.dir = dir;
    in.dead_too = dead_too;
    int rc = sys->list(sys->user, dir, sykli__rows_file_read, &in);
    sys->close(sys->user, dir);
    if (in.heap) sykli_mem_resize(mem, SYKLI_TAG_rows, in.heap, in.heap_room, 0);
    to->heap = before.heap;
    to->heap_size = before.heap_size;
    to->node = before.node;
    return in.rc ? in.rc : rc < 0 ? SYKLI_EIO : 0;
}

typedef struct sykli__rows_sweeper { sykli_mem *mem; int dir, removed; int64_t before_ms; }
    sykli__rows_sweeper;

static int sykli__rows_sweep_file(void *to, const char *name, int type)
{
    sykli__rows_sweeper *in = (sykli__rows_sweeper *)to;
    const sykli_sys *sys = in->mem->sys;
    sykli_stat st;
    const char *visible = name + (*name == '.'); // what died while it was being made
    if (type != SYKLI_FILE_regular || !sykli__rows_name_ok(visible)) return 0;
    int fd = sys->open(sys->user, in->dir, name,
                       SYKLI_OPEN_read | SYKLI_OPEN_nofollow | SYKLI_OPEN_beneath, 0);
    if (fd < 0) return 0;
    if (sys->fstat(sys->user, fd, &st) >= 0 && st.mtime_ns / 1000000 < in->before_ms
        && sys->lock(sys->user, fd, 1) >= 0)
        in->removed += sys->remove(sys->user, in->dir, name, 0) >= 0;
    sys->close(sys->user, fd);
    return 0;
}

// Removes the files of dead processes that were last written more than `age_ms` ago.
//   returns  how many, or EIO
static int sykli__rows_sweep(sykli_mem *mem, const char *state_dir, int64_t age_ms)
{
    const sykli_sys *sys = mem->sys;
    int dir = sykli__rows_folder(sys, state_dir, 0);
    if (dir < 0) return dir == -ENOENT ? 0 : SYKLI_EIO;
    sykli__rows_sweeper in = { mem, dir, 0, sys->wall_ms(sys->user) - age_ms };
    int rc = sys->list(sys->user, dir, sykli__rows_sweep_file, &in);
    sys->close(sys->user, dir);
    return rc < 0 ? SYKLI_EIO : in.removed;
}

// >>tree ---- confined walk, stat cache, tree digests
// Whatever a task reads or writes is named relative to one root. A name is taken apart here: its
// folder is opened below the root, and the last component is looked up in that folder alone without
// following a symbolic link, so nothing that a task leaves behind leads outside. A file's bytes are
// read only when its stat is not the one of the digest we know. To read, a folder may be reached by
// links that stay below the root; to write or remove, by none.

enum {
    SYKLI__TREE_PATH_MAX = 4096,     // bytes of a path below the root
    SYKLI__TREE_OPEN_MAX = 32,       // folders kept open
    SYKLI__TREE_DEPTH_MAX = 128,     // folders in folders that a removal enters
    SYKLI__TREE_FILES_MAX = 1 << 20, // files of one set of patterns, files in the stat cache
    SYKLI__TREE_NAMES_MAX = 64 << 20, // bytes of the names in one folder
    SYKLI__TREE_CACHE_MAX = 256 << 20, // bytes of the stat cache's file
    SYKLI__TREE_CHUNK = 64 << 10,
    SYKLI__TREE_AHEAD_MAX = 64,        // files read at once by several threads
    SYKLI__TREE_AHEAD_MIN = 16 << 10,  // of a smaller one the calls cost more than the hash
    SYKLI__TREE_SEEN_MAX = 2048,       // paths that are asked about ahead
    SYKLI__TREE_SEEN_MIN = 64,         // fewer are done before a second thread has begun
    SYKLI__TREE_SEEN_STEP = 16,        // that a thread takes at a time
    SYKLI__TREE_SEEN_FAR = 256         // how far one that is wanted is looked for
};

// What our temporary files in a task's folders begin with; a walk does not see them.
#define SYKLI__TREE_TMP ".sykli-tmp-"

typedef struct sykli__tree_folder {
    char *path; // NULL: free
    int fd;
    uint64_t inode, device, used, seen; // seen: the look at the tree it was compared in
} sykli__tree_folder;

// The digest of a file that had this stat, and when we looked.
typedef struct sykli__tree_known {
    sykli_stat stat;
    int64_t seen_ns;
    sykli_digest digest;
} sykli__tree_known;

// A plain path whose stat will be wanted, and then is known.
typedef struct sykli__tree_seen {
    const char *path, *name; // as it was declared; in the folder
    int fd, rc;
    sykli_stat stat;
} sykli__tree_seen;

// Those that are asked about ahead, by several threads, some at a time.
typedef struct sykli__tree_sight {
    const sykli_sys *sys;
    size_t count, at;  // at: the one that should be wanted next
    uint64_t look;     // the look that they are of; 0: they have not been asked about
    bool asking;       // the team is at work
    sykli__pool_team team;
    sykli__pool_job job;
    SYKLI__POOL_SHARED bool known[SYKLI__TREE_SEEN_MAX / SYKLI__TREE_SEEN_STEP];
    sykli__tree_seen seen[SYKLI__TREE_SEEN_MAX];
} sykli__tree_sight;

typedef struct sykli__tree {
    sykli_mem *mem;
    int root_fd;
    sykli__tree_folder folders[SYKLI__TREE_OPEN_MAX];
    uint64_t turn;           // counts uses of folders
    uint64_t look;           // counts looks at the tree
    int64_t look_ns;         // when this one began
    sykli__tree_sight *sight; // NULL: nothing was foreseen yet
    bool alone;              // nothing of ours runs that could move a folder during this look
    sykli_map places;        // path -> index in `known`
    sykli__tree_known *known;
    size_t known_capacity;
    bool changed;            // `known` is newer than its file
    bool unread;             // nobody has asked for what is in the file
    char *cache_file;        // NULL: kept in memory only
    uint8_t *chunk;
    uint32_t threads_max;    // that hash and ask; 0 and 1: the caller alone
} sykli__tree;

// One file below the root.
typedef struct sykli__tree_file {
    const char *path;
    sykli_stat stat;
    sykli_digest digest; // of the bytes; of a symbolic link: of its target's text
    sykli_digest behind; // of a link to a file below the root: that file's bytes; else zeros
} sykli__tree_file;

// Reads a whole file.    returns  0 or the negated errno; -EFBIG beyond max_bytes
static int sykli__tree_slurp(sykli_mem *mem, int dir, const char *path, size_t max_bytes,
                             sykli_buf *out)
{
    const sykli_sys *sys = mem->sys;
    int fd = sys->open(sys->user, dir, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int64_t got = 1;
    while (got > 0) {
        uint8_t *room = sykli_buf_grow(out, 4097);
        if (!room) got = -ENOMEM;
        else if (out->size > max_bytes) got = -EFBIG;
        else got = sys->read(sys->user, fd, room, out->capacity - out->size - 1);
        if (got > 0) out->size += (size_t)got;
    }
    if (!got) out->data[out->size] = 0;
    sys->close(sys->user, fd);
    return (int)got;
}

// Writes all of it.      returns  0 or the negated errno
static int sykli__tree_write(const sykli_sys *sys, int fd, const void *data, size_t size)
{
    for (const uint8_t *p = (const uint8_t *)data; size;) {
        int64_t put = sys->write(sys->user, fd, p, size);
        if (put <= 0) return put < 0 ? (int)put : -EIO;
        p += put;
        size -= (size_t)put;
    }
    return 0;
}

static int sykli__tree_name_add(void *to, const char *name, int type)
{
    sykli_buf *names = (sykli_buf *)to;
    char kind = (char)('0' + type);
    sykli_buf_add(names, &kind, 1);
    return sykli_buf_add(names, name, strlen(name) + 1) ? -ENOMEM : 0;
}

// The names in a folder, each with its type as a digit in front and a NUL behind it, as a copy:
// whoever walks may add and remove.     returns  0 or the negated errno
static int sykli__tree_names(const sykli_sys *sys, int fd, sykli_buf *names)
{
    sykli_buf_reset(names);
    names->max_bytes = SYKLI__TREE_NAMES_MAX;
    int rc = sys->list(sys->user, fd, sykli__tree_name_add, names);
    return names->error ? -ENOMEM : rc;
}

// Steps through what sykli__tree_names gathered.   returns  the name, NULL at the end
static const char *sykli__tree_name_next(const sykli_buf *names, size_t *at, int *type)
{
    if (*at >= names->size) return NULL;
    const char *name = (const char *)names->data + *at + 1;
    *type = names->data[*at] - '0';
    *at += strlen(name) + 2;
    return name;
}

static bool sykli__tree_is_glob(const char *pattern) { return strpbrk(pattern, "*?[{\\"); }

// Checks a pattern and writes it without "./", double and trailing slashes; the root is "".
static int sykli__tree_clean(const char *pattern, char out[SYKLI__TREE_PATH_MAX + 1],
                             sykli_fault *fault)
{
    size_t size = 0;
    if (*pattern == '/')
        return sykli_fail(fault, SYKLI_EINVAL,
                          "\"%s\": paths are relative to the project folder", pattern);
    for (const char *p = pattern; *p;) {
        size_t part = strcspn(p, "/");
        if (part == 2 && !memcmp(p, "..", 2))
            return sykli_fail(fault, SYKLI_EINVAL,
                              "\"%s\": a path may not leave the project folder by \"..\"", pattern);
        if (part && !(part == 1 && *p == '.')) {
            if (size + part + 1 > SYKLI__TREE_PATH_MAX)
                return sykli_fail(fault, SYKLI_EINVAL, "\"%.64s...\": longer than %d bytes",
                                  pattern, SYKLI__TREE_PATH_MAX);
            if (size) out[size++] = '/';
            memcpy(out + size, p, part);
            size += part;
        }
        p += part + (p[part] == '/');
    }
    out[size] = 0;
    return 0;
}

// Whether a path component is what git or we keep, also where the file system ignores case.
static bool sykli__tree_kept(const char *name, size_t size)
{
    static const char *const kept[] = { ".git", ".sykli" };
    for (int i = 0; i < 2; i++) {
        size_t at = 0;
        while (at < size && kept[i][at] && (name[at] | (name[at] != '.' ? 0x20 : 0)) == kept[i][at])
            at++;
        if (at == size && !kept[i][at]) return true;
    }
    return false;
}

static bool sykli__tree_path_kept(const char *path)
{
    for (const char *p = path;;) {
        size_t part = strcspn(p, "/");
        if (sykli__tree_kept(p, part)) return true;
        if (!p[part]) return false;
        p += part + 1;
    }
}

// Whether a path may be created by what others sent: relative and plain, nothing hidden in it, and
// not among what git or we keep.
static bool sykli__tree_path_plain(const char *path)
{
    size_t size = strlen(path);
    if (!size || size > SYKLI__TREE_PATH_MAX || !sykli_utf8_valid(path, size)) return false;
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) return false;
    for (const char *p = path;;) {
        size_t part = strcspn(p, "/");
        if (!part || part > 255 || (part <= 2 && !strncmp(p, "..", part))) return false;
        if (!p[part]) return !sykli__tree_path_kept(path);
        p += part + 1;
    }
}

// Whether a link at `path` with this target stays below the root, whatever else is a link there: a
// step up may only undo what the folders of `path` went down, and comes before any step down.
static bool sykli__tree_link_stays(const char *path, const char *target)
{
    size_t depth = 0;
    bool down = false;
    if (!*target || *target == '/') return false;
    for (const char *p = path; *p; p++) depth += *p == '/';
    for (const char *p = target; *p;) {
        size_t part = strcspn(p, "/");
        bool up = part == 2 && !memcmp(p, "..", 2);
        if (up && (down || !depth--)) return false;
        down = down || (!up && part && !(part == 1 && *p == '.'));
        p += part + (p[part] == '/');
    }
    return true;
}

// Asks no further about what was foreseen. What is known stays so.
static void sykli__tree_see_no_more(sykli__tree *t)
{
    if (!t->sight || !t->sight->asking) return;
    sykli__pool_leave(&t->sight->team);
    t->sight->asking = false;
}

static void sykli__tree_folder_close(sykli__tree *t, sykli__tree_folder *folder)
{
    if (!folder->path) return;
    sykli__tree_see_no_more(t); // in this folder
    if (t->sight && !t->sight->look) t->sight->count = 0; // nor about what was noted
    t->mem->sys->close(t->mem->sys->user, folder->fd);
    sykli_mem_text_free(t->mem, SYKLI_TAG_tree, folder->path);
    memset(folder, 0, sizeof *folder);
}

// The place for a folder that is to be opened: a free one, else the one not used for longest.
static sykli__tree_folder *sykli__tree_folder_place(sykli__tree *t)
{
    sykli__tree_folder *oldest = t->folders;
    for (int i = 0; i < SYKLI__TREE_OPEN_MAX; i++) {
        if (!t->folders[i].path) return &t->folders[i];
        if (t->folders[i].used < oldest->used) oldest = &t->folders[i];
    }
    sykli__tree_folder_close(t, oldest);
    return oldest;
}

// The open folder of that path. It costs one stat while it is the same folder as last time, and
// nothing if that was asked in this look and no task runs.
//   returns  the descriptor, which stays ours, or the negated errno
static int sykli__tree_folder_get(sykli__tree *t, const char *path, size_t size)
{
    const sykli_sys *sys = t->mem->sys;
    sykli_stat stat;
    if (!size) return t->root_fd;
    for (int i = 0; i < SYKLI__TREE_OPEN_MAX; i++) {
        sykli__tree_folder *f = &t->folders[i];
        if (!f->path || strncmp(f->path, path, size) || f->path[size]) continue;
        if (t->alone && f->seen == t->look) {
            f->used = ++t->turn;
            return f->fd;
        }
        if (!sys->stat(sys->user, t->root_fd, f->path, &stat) && stat.inode == f->inode
            && stat.device == f->device) {
            f->used = ++t->turn;
            f->seen = t->look;
            return f->fd;
        }
        sykli__tree_folder_close(t, f);
    }
    char *name = sykli_mem_text(t->mem, SYKLI_TAG_tree, path, size);
    if (!name) return -ENOMEM;
    int flags = SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_beneath;
    int fd = sys->open(sys->user, t->root_fd, name, flags, 0);
    int rc = fd < 0 ? fd : sys->fstat(sys->user, fd, &stat);
    if (rc < 0) {
        if (fd >= 0) sys->close(sys->user, fd);
        sykli_mem_text_free(t->mem, SYKLI_TAG_tree, name);
        return rc;
    }
    sykli__tree_folder *place = sykli__tree_folder_place(t);
    *place = (sykli__tree_folder){ name, fd, stat.inode, stat.device, ++t->turn, t->look };
    return fd;
}

// Begins a look at the tree: what was found out about folders is true for as long as it lasts.
//   alone    no task of ours runs; tell sykli__tree_shared as soon as one does
static void sykli__tree_look(sykli__tree *t, bool alone)
{
    t->look++;
    t->look_ns = t->mem->sys->wall_ms(t->mem->sys->user) * 1000000;
    t->alone = alone;
    sykli__tree_see_no_more(t);
    if (!t->sight) return;
    t->sight->count = t->sight->at = 0;
    t->sight->look = 0;
}

static void sykli__tree_shared(sykli__tree *t)
{
    sykli__tree_see_no_more(t);
    t->alone = false;
}

// The folder of a path and the name in it.   returns  the descriptor or the negated errno
static int sykli__tree_place(sykli__tree *t, const char *path, const char **out_name)
{
    const char *slash = strrchr(path, '/');
    *out_name = slash ? slash + 1 : path;
    return sykli__tree_folder_get(t, path, slash ? (size_t)(slash - path) : 0);
}

static int sykli__tree_stat(sykli__tree *t, const char *path, sykli_stat *out)
{
    const char *name;
    int fd = sykli__tree_place(t, path, &name);
    return fd < 0 ? fd : t->mem->sys->stat(t->mem->sys->user, fd, *name ? name : ".", out);
}

// Whether the folder of a path can be open without one being closed that this look has asked for.
static bool sykli__tree_has_room(const sykli__tree *t, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 0;
    bool room = !size;
    for (int i = 0; i < SYKLI__TREE_OPEN_MAX && !room; i++) {
        const sykli__tree_folder *f = &t->folders[i];
        room = !f->path || f->seen != t->look || (!strncmp(f->path, path, size) && !f->path[size]);
    }
    return room;
}

// Notes a path whose stat will be wanted in this look, after those that were noted before; what is
// no plain path is left out, and so are those of more folders than are open at once.
//   path   stays where it is
static void sykli__tree_foresee(sykli__tree *t, const char *path)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    if ((t->sight && t->sight->count == SYKLI__TREE_SEEN_MAX) || sykli__tree_is_glob(path)
        || sykli__tree_clean(path, clean, NULL) || !*clean || strcmp(clean, path)
        || !sykli__tree_has_room(t, path)) return;
    if (!t->sight) {
        t->sight = (sykli__tree_sight *)sykli_mem_resize(t->mem, SYKLI_TAG_tree, NULL, 0,
                                                         sizeof *t->sight);
        if (!t->sight) return;
        t->sight->count = t->sight->at = 0;
        t->sight->look = 0;
        t->sight->asking = false;
    }
    sykli__tree_seen seen = { .path = path };
    seen.fd = sykli__tree_place(t, path, &seen.name);
    if (seen.fd >= 0) t->sight->seen[t->sight->count++] = seen;
}

static int sykli__tree_sight_step(void *user, size_t number, uint8_t *chunk)
{
    sykli__tree_sight *sight = (sykli__tree_sight *)user;
    size_t at = number * SYKLI__TREE_SEEN_STEP, end = at + SYKLI__TREE_SEEN_STEP;
    for (; at < end && at < sight->count; at++) {
        sykli__tree_seen *seen = &sight->seen[at];
        seen->rc = sight->sys->stat(sight->sys->user, seen->fd, seen->name, &seen->stat);
    }
    sight->known[number] = true;
    (void)chunk;
    return 0;
}

// Begins to ask about what was noted, by other threads. It holds for this look, until something of
// ours is written or runs; see_no_more must be called before the host goes on.
static void sykli__tree_see(sykli__tree *t)
{
    sykli__tree_sight *sight = t->sight;
    if (!sight || sight->count < SYKLI__TREE_SEEN_MIN) return;
    size_t steps = (sight->count + SYKLI__TREE_SEEN_STEP - 1) / SYKLI__TREE_SEEN_STEP;
    for (size_t i = 0; i < steps; i++) sight->known[i] = false;
    sight->sys = t->mem->sys;
    sight->job = (sykli__pool_job){ .work = sykli__tree_sight_step, .user = sight, .count = steps };
    sight->asking = !sykli__pool_begin(&sight->team, t->mem, t->threads_max, &sight->job);
    if (sight->asking) sight->look = t->look;
}

// The stat of a path, if it is known ahead. Who comes before the others have asked helps them. What
// was noted is wanted in that order, but for some that are not wanted at all.
static bool sykli__tree_seen_get(sykli__tree *t, const char *path, sykli_stat *out)
{
    sykli__tree_sight *sight = t->sight;
    if (!t->alone || !sight || sight->look != t->look) return false;
    size_t at = sight->at, end = at + SYKLI__TREE_SEEN_FAR;
    if (end > sight->count) end = sight->count;
    while (at < end && sight->seen[at].path != path) at++;
    if (at == end) return false;
    sight->at = at + 1;
    while (!sight->known[at / SYKLI__TREE_SEEN_STEP])
        if (!sight->asking || !sykli__pool_help(&sight->team)) return false;
    if (sight->seen[at].rc) return false;
    *out = sight->seen[at].stat;
    return true;
}

static bool sykli__tree_stat_same(const sykli_stat *a, const sykli_stat *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns
        && a->ctime_ns == b->ctime_ns && a->inode == b->inode && a->device == b->device
        && a->mode == b->mode && a->type == b->type;
}

// The racy-clean rule (git, Documentation/technical/racy-git): a change within the same tick of the
// file system's clock leaves the stat as it was, so a file must have rested for longer than a tick
// when we looked. 20 ms covers a kernel's 100 Hz; whole seconds tell of a file system with no finer
// clock, 2 s is FAT's.
static bool sykli__tree_rested(const sykli_stat *stat, int64_t seen_ns)
{
    int64_t last = stat->mtime_ns > stat->ctime_ns ? stat->mtime_ns : stat->ctime_ns;
    return last < seen_ns - (stat->ctime_ns % 1000000000 ? 20000000 : 2000000000);
}

// Keeps a digest for the next time. What does not fit is not kept.
static void sykli__tree_known_set(sykli__tree *t, const char *path, const sykli__tree_known *known)
{
    size_t count = t->places.count;
    const uint64_t *at = sykli_map_get(&t->places, path, strlen(path));
    if (!at) {
        if (!sykli__base_room(t->mem, SYKLI_TAG_tree, &t->known, &t->known_capacity, count,
                              sizeof *t->known, SYKLI__TREE_FILES_MAX)
            || sykli_map_put(&t->places, path, strlen(path), count) < 0)
            return;
        t->known[count] = *known;
    } else t->known[*at] = *known;
    t->changed = true;
}

// The stat cache's file: magic, version, count, entries, SipHash of all before it; numbers are
// little-endian. It is a cache: whatever is wrong with it, it is empty.
#define SYKLI__TREE_MAGIC "SYKLSTAT"
enum { SYKLI__TREE_VERSION = 2 };
static const uint64_t sykli__tree_sum_key[2] = { SYKLI__TREE_VERSION, 0 };

// One entry, at `p` with `left` bytes.    returns  its size, 0 if it is not whole
static size_t sykli__tree_decode_entry(sykli__tree *t, const uint8_t *p, size_t left)
{
    char path[SYKLI__TREE_PATH_MAX + 1];
    uint64_t fields[7];
    if (left < 2) return 0;
    size_t size = p[0] | (size_t)p[1] << 8, need = 2 + size + 7 * 8 + 32;
    if (size > SYKLI__TREE_PATH_MAX || left < need) return 0;
    memcpy(path, p + 2, size);
    path[size] = 0;
    for (int f = 0; f < 7; f++) fields[f] = sykli__base_load64(p + 2 + size + 8 * f);
    sykli__tree_known known = { .stat = { .size_bytes = fields[0], .mtime_ns = (int64_t)fields[1],
        .ctime_ns = (int64_t)fields[2], .inode = fields[3], .device = fields[4],
        .mode = (uint32_t)fields[5], .type = SYKLI_FILE_regular }, .seen_ns = (int64_t)fields[6] };
    memcpy(known.digest.bytes, p + need - 32, 32);
    if (known.seen_ns < 0) return 0; // no clock of ours
    sykli__tree_known_set(t, path, &known);
    return need;
}

static void sykli__tree_decode(sykli__tree *t, const uint8_t *p, size_t size)
{
    if (size < 16 + 8 || memcmp(p, SYKLI__TREE_MAGIC, 8)) return;
    if (sykli_siphash(sykli__tree_sum_key, p, size - 8) != sykli__base_load64(p + size - 8)) return;
    uint64_t head = sykli__base_load64(p + 8), count = head >> 32;
    if ((uint32_t)head != SYKLI__TREE_VERSION || count > SYKLI__TREE_FILES_MAX) return;
    size_t at = 16, used = 1;
    for (; count && used; count--, at += used)
        used = sykli__tree_decode_entry(t, p + at, size - 8 - at);
}

static void sykli__tree_load(sykli__tree *t)
{
    sykli_buf b;
    sykli_buf_init(&b, t->mem, SYKLI_TAG_tree);
    if (!sykli__tree_slurp(t->mem, SYKLI_CWD, t->cache_file, SYKLI__TREE_CACHE_MAX, &b))
        sykli__tree_decode(t, b.data, b.size);
    sykli_buf_free(&b);
    t->changed = false;
}

// Reads the stat cache when it is asked for: where nothing has changed since the last run nobody
// does.
static void sykli__tree_known_ready(sykli__tree *t)
{
    if (!t->unread) return;
    t->unread = false;
    sykli__tree_load(t);
}

static const sykli__tree_known *sykli__tree_known_get(sykli__tree *t, const char *path,
                                                      const sykli_stat *stat)
{
    sykli__tree_known_ready(t);
    const uint64_t *at = sykli_map_get(&t->places, path, strlen(path));
    const sykli__tree_known *known = at ? &t->known[*at] : NULL;
    return known && sykli__tree_stat_same(&known->stat, stat)
        && sykli__tree_rested(stat, known->seen_ns) ? known : NULL;
}

static void sykli__tree_known_put(sykli__tree *t, const char *path, const sykli__tree_known *known)
{
    sykli__tree_known_ready(t);
    sykli__tree_known_set(t, path, known);
}

// Hashes a large file that is as long as its stat says.
//   returns  0, 1: it is not, or the negated errno
static int sykli__tree_read_large(sykli__tree *t, int fd, const sykli_stat *before,
                                  sykli_stat *after, sykli_digest *out)
{
    const sykli_sys *sys = t->mem->sys;
    sykli_tree hash;
    if (!sykli__pool_pays(t->threads_max, before->size_bytes)) return 1;
    sykli__tree_see_no_more(t); // so many threads are enough
    sykli_tree_init(&hash);
    int rc = sykli__pool_add(t->mem, t->threads_max, fd, -1, before->size_bytes, &hash);
    sykli_tree_end(&hash, out);
    if (!rc) rc = sys->fstat(sys->user, fd, after);
    return rc ? rc : after->size_bytes != before->size_bytes;
}

// Hashes what an open file holds, with its stat before and after. One that grows or shrinks
// meanwhile is read to where it ends.
//   returns  0 or the negated errno
static int sykli__tree_read_all(sykli__tree *t, int fd, sykli_stat *before, sykli_stat *after,
                                sykli_digest *out)
{
    const sykli_sys *sys = t->mem->sys;
    sykli_tree hash;
    sykli_tree_init(&hash);
    int64_t got = sys->fstat(sys->user, fd, before);
    if (got >= 0 && before->type != SYKLI_FILE_regular) return -EINVAL;
    if (got >= 0) got = sykli__tree_read_large(t, fd, before, after, out);
    if (got <= 0) return (int)got;
    while ((got = sys->read(sys->user, fd, t->chunk, SYKLI__TREE_CHUNK)) > 0)
        sykli_tree_add(&hash, t->chunk, (size_t)got);
    if (!got) got = sys->fstat(sys->user, fd, after);
    sykli_tree_end(&hash, out);
    return (int)got;
}

// The digest of a regular file by folder and name; `path` is its name in the stat cache. On return
// `stat` is what belongs to the digest.
static int sykli__tree_digest_at(sykli__tree *t, int dir, const char *name, int flags,
                                 const char *path, sykli_stat *stat, sykli_digest *out)
{
    const sykli_sys *sys = t->mem->sys;
    const sykli__tree_known *known = sykli__tree_known_get(t, path, stat);
    if (known) {
        *out = known->digest;
        return 0;
    }
    sykli__tree_known fresh = { .seen_ns = sys->wall_ms(sys->user) * 1000000 };
    sykli_stat before;
    int fd = sys->open(sys->user, dir, name, flags, 0);
    if (fd < 0) return fd;
    int rc = sykli__tree_read_all(t, fd, &before, &fresh.stat, out);
    sys->close(sys->user, fd);
    if (rc < 0) return rc;
    fresh.digest = *out;
    *stat = fresh.stat;
    if (sykli__tree_stat_same(&before, &fresh.stat)) sykli__tree_known_put(t, path, &fresh);
    return 0;
}

// The text of a symbolic link.    returns  its size or the negated errno
static int64_t sykli__tree_link_text(sykli__tree *t, const char *path,
                                     char out[SYKLI__TREE_PATH_MAX + 1])
{
    const char *name;
    int fd = sykli__tree_place(t, path, &name);
    int64_t size = fd < 0 ? fd : t->mem->sys->readlink(t->mem->sys->user, fd, name, out,
                                                       SYKLI__TREE_PATH_MAX + 1);
    if (size > SYKLI__TREE_PATH_MAX) return -ENAMETOOLONG;
    if (size >= 0) out[size] = 0;
    return size;
}

// A link is what it says, and also what it leads to if that is a file below the root: who compiles
// through it sees the file change, not the link.
static int sykli__tree_digest_link(sykli__tree *t, sykli__tree_file *file)
{
    const sykli_sys *sys = t->mem->sys;
    char text[SYKLI__TREE_PATH_MAX + 1];
    int64_t size = sykli__tree_link_text(t, file->path, text);
    if (size < 0) return (int)size;
    sykli_tree_of(text, (size_t)size, &file->digest);
    file->stat.size_bytes = (uint64_t)size;
    int flags = SYKLI_OPEN_read | SYKLI_OPEN_beneath;
    int fd = sys->open(sys->user, t->root_fd, file->path, flags, 0);
    if (fd < 0) return fd == -ENOMEM || fd == -EMFILE || fd == -EIO ? fd : 0;
    sykli_stat before, after;
    int rc = sys->fstat(sys->user, fd, &before);
    if (rc >= 0 && before.type == SYKLI_FILE_regular)
        rc = sykli__tree_read_all(t, fd, &before, &after, &file->behind);
    sys->close(sys->user, fd);
    return rc;
}

// Fills in the digest of a file whose path and stat are known.   returns 0 or the negated errno
static int sykli__tree_digest_file(sykli__tree *t, sykli__tree_file *file)
{
    if (file->stat.type == SYKLI_FILE_symlink) return sykli__tree_digest_link(t, file);
    if (file->stat.type != SYKLI_FILE_regular) return -EINVAL;
    const sykli__tree_known *known = sykli__tree_known_get(t, file->path, &file->stat);
    if (known) {
        file->digest = known->digest;
        return 0;
    }
    const char *name;
    int fd = sykli__tree_place(t, file->path, &name);
    if (fd < 0) return fd;
    return sykli__tree_digest_at(t, fd, name, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, file->path,
                                 &file->stat, &file->digest);
}

// The digest of a file outside the root, such as a compiler, by its absolute path; links are
// followed. It shares the stat cache.
static int sykli__tree_digest_outside(sykli__tree *t, const char *path, sykli_digest *out)
{
    const sykli_sys *sys = t->mem->sys;
    sykli_stat stat;
    int fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int rc = sys->fstat(sys->user, fd, &stat);
    sys->close(sys->user, fd);
    if (rc < 0) return rc;
    return sykli__tree_digest_at(t, SYKLI_CWD, path, SYKLI_OPEN_read, path, &stat, out);
}

// One search: files found so far, folders still to enter.
typedef struct sykli__tree_found { size_t path; sykli_stat stat; } sykli__tree_found;
typedef struct sykli__tree_walk {
    sykli__tree *tree;
    sykli_buf text;      // the paths found, NUL-terminated
    sykli_buf folders;   // paths to enter, NUL-terminated
    sykli_buf names;     // of the folder being read
    sykli__tree_found *found;
    size_t count, capacity;
} sykli__tree_walk;

static void sykli__tree_walk_init(sykli__tree_walk *w, sykli__tree *t)
{
    memset(w, 0, sizeof *w);
    w->tree = t;
    sykli_buf_init(&w->text, t->mem, SYKLI_TAG_tree);
    sykli_buf_init(&w->folders, t->mem, SYKLI_TAG_tree);
    sykli_buf_init(&w->names, t->mem, SYKLI_TAG_tree);
}

static void sykli__tree_walk_free(sykli__tree_walk *w)
{
    sykli_buf_free(&w->text);
    sykli_buf_free(&w->folders);
    sykli_buf_free(&w->names);
    if (w->found)
        sykli_mem_resize(w->tree->mem, SYKLI_TAG_tree, w->found, w->capacity * sizeof *w->found, 0);
}

static int sykli__tree_walk_add(sykli__tree_walk *w, const char *path, const sykli_stat *stat)
{
    if (stat->type != SYKLI_FILE_regular && stat->type != SYKLI_FILE_symlink) return 0;
    if (w->count == SYKLI__TREE_FILES_MAX) return -EFBIG;
    if (!sykli__base_room(w->tree->mem, SYKLI_TAG_tree, &w->found, &w->capacity, w->count,
                          sizeof *w->found, SYKLI__TREE_FILES_MAX))
        return -ENOMEM;
    w->found[w->count].path = w->text.size;
    w->found[w->count].stat = *stat;
    if (sykli_buf_add(&w->text, path, strlen(path) + 1)) return -ENOMEM;
    w->count++;
    return 0;
}

// Whether anything below `folder` can match: its components match the first ones of the pattern.
// Alternatives may contain slashes, so a pattern with any is not looked at.
static bool sykli__tree_may_enter(const char *pattern, const char *folder)
{
    char want[256], have[256];
    if (strchr(pattern, '{')) return true;
    for (;;) {
        size_t a = strcspn(pattern, "/"), b = strcspn(folder, "/");
        if (a >= sizeof want || b >= sizeof have) return true;
        memcpy(want, pattern, a);
        memcpy(have, folder, b);
        want[a] = have[b] = 0;
        if (strstr(want, "**")) return true;
        if (!pattern[a] || !sykli_glob_match(want, have)) return false;
        if (!folder[b]) return true;
        pattern += a + 1;
        folder += b + 1;
    }
}

static bool sykli__tree_hidden(const char *name)
{
    return sykli__tree_kept(name, strlen(name))
        || !strncmp(name, SYKLI__TREE_TMP, sizeof SYKLI__TREE_TMP - 1);
}

// Reads one folder: files that match go to `found`, folders that may hold more to `folders`.
//   pattern  NULL: everything
static int sykli__tree_walk_folder(sykli__tree_walk *w, char path[SYKLI__TREE_PATH_MAX + 1],
                                   const char *pattern)
{
    const sykli_sys *sys = w->tree->mem->sys;
    size_t size = strlen(path), at = 0;
    int fd = sykli__tree_folder_get(w->tree, path, size), rc = 0, type;
    if (fd >= 0) rc = sykli__tree_names(sys, fd, &w->names);
    if (fd < 0) return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
    const char *name;
    while (!rc && (name = sykli__tree_name_next(&w->names, &at, &type))) {
        if (sykli__tree_hidden(name)) continue;
        if (size + strlen(name) + 1 > SYKLI__TREE_PATH_MAX) return -ENAMETOOLONG;
        snprintf(path + size, SYKLI__TREE_PATH_MAX + 1 - size, "%s%s", size ? "/" : "", name);
        if (type == SYKLI_FILE_directory) {
            if (!pattern || sykli__tree_may_enter(pattern, path))
                rc = sykli_buf_add(&w->folders, path, strlen(path) + 1) ? -ENOMEM : 0;
        } else if (!pattern || sykli_glob_match(pattern, path)) {
            sykli_stat stat;
            rc = sys->stat(sys->user, fd, name, &stat);
            if (!rc) rc = sykli__tree_walk_add(w, path, &stat);
            else if (rc == -ENOENT) rc = 0; // gone since
        }
        path[size] = 0;
    }
    return rc;
}

static int sykli__tree_walk_below(sykli__tree_walk *w, const char *start, const char *pattern)
{
    char path[SYKLI__TREE_PATH_MAX + 1];
    sykli_buf_reset(&w->folders);
    if (sykli_buf_add(&w->folders, start, strlen(start) + 1)) return -ENOMEM;
    int rc = 0;
    for (size_t at = 0; !rc && at < w->folders.size;) {
        size_t size = strlen((const char *)w->folders.data + at) + 1;
        memcpy(path, w->folders.data + at, size);
        at += size;
        rc = sykli__tree_walk_folder(w, path, pattern);
    }
    return rc;
}

// Finds what one pattern names. A plain path costs one stat and no listing; a name with brackets,
// app/[id]/page.ts, is taken for itself if it is there.
static int sykli__tree_walk_pattern(sykli__tree_walk *w, const char *pattern)
{
    sykli_stat stat;
    if (!*pattern) return sykli__tree_walk_below(w, "", NULL);
    if (!strpbrk(pattern, "*?{\\")) {
        int rc = sykli__tree_stat(w->tree, pattern, &stat);
        if (!rc && stat.type == SYKLI_FILE_directory)
            return sykli__tree_walk_below(w, pattern, NULL);
        if (!rc) return sykli__tree_walk_add(w, pattern, &stat);
        if (rc != -ENOENT && rc != -ENOTDIR) return rc;
        if (!sykli__tree_is_glob(pattern)) return 0;
    }
    char start[SYKLI__TREE_PATH_MAX + 1];
    size_t size = sykli_glob_fixed(pattern);
    while (size && pattern[size - 1] == '/') size--;
    memcpy(start, pattern, size);
    start[size] = 0;
    return sykli__tree_walk_below(w, start, pattern);
}

static int sykli__tree_found_compare(const void *a, const void *b, void *text)
{
    const char *base = (const char *)text;
    return strcmp(base + ((const sykli__tree_found *)a)->path,
                  base + ((const sykli__tree_found *)b)->path);
}

// Sorts by the bytes of the path and keeps each once.
static int sykli__tree_walk_sort(sykli__tree_walk *w)
{
    size_t bytes = w->count * sizeof *w->found, kept = 0;
    if (w->count < 2) return 0;
    void *scratch = sykli_mem_resize(w->tree->mem, SYKLI_TAG_tree, NULL, 0, bytes);
    if (!scratch) return -ENOMEM;
    sykli_sort(w->found, w->count, sizeof *w->found, scratch, sykli__tree_found_compare,
               w->text.data);
    sykli_mem_resize(w->tree->mem, SYKLI_TAG_tree, scratch, bytes, 0);
    for (size_t i = 0; i < w->count; i++)
        if (!kept || sykli__tree_found_compare(&w->found[i], &w->found[kept - 1], w->text.data))
            w->found[kept++] = w->found[i];
    w->count = kept;
    return 0;
}

// EXDEV is what a path below the root meets where a link leads out of it.
static int sykli__tree_fail(sykli_fault *fault, int rc, const char *path, const char *what)
{
    if (rc != -EXDEV) return sykli_fail_sys(fault, rc, "%s cannot be %s", path, what);
    return sykli_fail(fault, SYKLI_EIO, "%s leads out of the project folder", path);
}

static int sykli__tree_search(sykli__tree_walk *w, const char *const *patterns, size_t count,
                              sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    for (size_t i = 0; i < count; i++) {
        int rc = sykli__tree_clean(patterns[i], clean, fault);
        if (rc) return rc;
        rc = sykli__tree_walk_pattern(w, clean);
        if (rc == -EFBIG)
            return sykli_fail(fault, SYKLI_ELIMIT, "\"%s\" names more than %d files", patterns[i],
                              SYKLI__TREE_FILES_MAX);
        if (rc) return sykli__tree_fail(fault, rc, patterns[i], "searched");
    }
    int rc = sykli__tree_walk_sort(w);
    return rc ? sykli_fail_sys(fault, rc, "the files cannot be sorted") : 0;
}

// Files that several threads read at once, each by one.
typedef struct sykli__tree_ahead {
    const sykli_sys *sys;
    size_t count;
    uint64_t bytes;
    struct { const char *path; int fd, rc; sykli_stat before; sykli__tree_known known; }
        files[SYKLI__TREE_AHEAD_MAX];
} sykli__tree_ahead;

static int sykli__tree_ahead_read(void *user, size_t number, uint8_t *chunk)
{
    sykli__tree_ahead *a = (sykli__tree_ahead *)user;
    int64_t got, at = 0;
    sykli_tree hash;
    sykli_tree_init(&hash);
    while ((got = a->sys->pread(a->sys->user, a->files[number].fd, chunk, SYKLI__POOL_CHUNK,
                                (uint64_t)at)) > 0) {
        sykli_tree_add(&hash, chunk, (size_t)got);
        at += got;
    }
    sykli_tree_end(&hash, &a->files[number].known.digest);
    a->files[number].rc = (int)got;
    return 0;
}

// Opens one that is to be read and will be believed when it is asked for.
static void sykli__tree_ahead_open(sykli__tree_ahead *a, sykli__tree *t, const char *path,
                                   const sykli_stat *stat, int64_t now)
{
    const char *name;
    if (stat->type != SYKLI_FILE_regular || stat->size_bytes < SYKLI__TREE_AHEAD_MIN
        || stat->size_bytes >= SYKLI__POOL_FILE_MIN || !sykli__tree_rested(stat, now)
        || sykli__tree_known_get(t, path, stat))
        return;
    int fd = sykli__tree_place(t, path, &name);
    if (fd >= 0)
        fd = a->sys->open(a->sys->user, fd, name, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0);
    if (fd < 0) return; // so it will be told
    a->files[a->count].path = path;
    a->files[a->count].fd = fd;
    a->files[a->count].known.seen_ns = now;
    int rc = a->sys->fstat(a->sys->user, fd, &a->files[a->count].before);
    if (rc < 0 || a->files[a->count].before.type != SYKLI_FILE_regular) {
        a->sys->close(a->sys->user, fd);
        return;
    }
    a->count++;
    a->bytes += stat->size_bytes;
}

// Reads the next files of a search whose digests are not known, so that they are. Whatever fails is
// left to the one that wants the digest.
static void sykli__tree_ahead_walk(sykli__tree_walk *w, size_t *next)
{
    sykli__tree *t = w->tree;
    sykli__tree_ahead a;
    sykli__tree_see_no_more(t);
    a.sys = t->mem->sys;
    a.count = 0;
    a.bytes = 0;
    int64_t now = a.sys->wall_ms(a.sys->user) * 1000000;
    for (; *next < w->count && a.count < SYKLI__TREE_AHEAD_MAX; ++*next)
        sykli__tree_ahead_open(&a, t, (const char *)w->text.data + w->found[*next].path,
                               &w->found[*next].stat, now);
    sykli__pool_job job = { .work = sykli__tree_ahead_read, .user = &a, .count = a.count,
                            .room = SYKLI__POOL_CHUNK };
    uint32_t threads = a.bytes < SYKLI__POOL_PIECE_MIN ? 1 : t->threads_max;
    int rc = a.count ? sykli__pool_each(t->mem, threads, &job) : 0;
    for (size_t i = 0; i < a.count; i++) {
        sykli__tree_known *known = &a.files[i].known;
        int got = rc ? rc : a.files[i].rc;
        if (!got) got = a.sys->fstat(a.sys->user, a.files[i].fd, &known->stat);
        a.sys->close(a.sys->user, a.files[i].fd);
        if (!got && sykli__tree_stat_same(&a.files[i].before, &known->stat))
            sykli__tree_known_put(t, a.files[i].path, known);
    }
}

// All files and symbolic links that any of the patterns names, with their digests, sorted by path,
// each once. A pattern is a glob, a file or a folder, which stands for all in it; what is not there
// is no error.
//   each     returns 0 to go on, else that ends it and is returned
static int sykli__tree_files(sykli__tree *t, const char *const *patterns, size_t count,
                             int (*each)(void *to, const sykli__tree_file *file), void *to,
                             sykli_fault *fault)
{
    sykli__tree_walk w;
    sykli__tree_walk_init(&w, t);
    int rc = sykli__tree_search(&w, patterns, count, fault);
    for (size_t i = 0, ahead = 0; !rc && i < w.count; i++) {
        if (i == ahead && w.count - i > 1 && t->threads_max > 1)
            sykli__tree_ahead_walk(&w, &ahead);
        sykli__tree_file file = { .path = (const char *)w.text.data + w.found[i].path,
                                  .stat = w.found[i].stat };
        rc = sykli__tree_digest_file(t, &file);
        if (rc == -ENOENT) rc = 0; // gone since
        else if (rc) rc = sykli__tree_fail(fault, rc, file.path, "read");
        else rc = each(to, &file);
    }
    sykli__tree_walk_free(&w);
    return rc;
}

// The same without digests, and in the order of the patterns: what tells whether anything changed.
// A plain path costs its stat.
static int sykli__tree_stats(sykli__tree *t, const char *const *patterns, size_t count,
                             int (*each)(void *to, const sykli__tree_file *file), void *to,
                             sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    int rc = 0;
    for (size_t p = 0; !rc && p < count; p++) {
        sykli__tree_file file = { .path = patterns[p] };
        if (sykli__tree_seen_get(t, patterns[p], &file.stat)
            && file.stat.type != SYKLI_FILE_directory) {
            rc = each(to, &file);
            continue;
        }
        file.path = clean;
        rc = sykli__tree_clean(patterns[p], clean, fault);
        if (!rc && *clean && !strpbrk(clean, "*?{\\[")
            && !sykli__tree_stat(t, clean, &file.stat) && file.stat.type != SYKLI_FILE_directory) {
            rc = each(to, &file);
            continue;
        }
        sykli__tree_walk w;
        sykli__tree_walk_init(&w, t);
        if (!rc) rc = sykli__tree_search(&w, &patterns[p], 1, fault);
        for (size_t i = 0; !rc && i < w.count; i++) {
            file.path = (const char *)w.text.data + w.found[i].path;
            file.stat = w.found[i].stat;
            rc = each(to, &file);
        }
        sykli__tree_walk_free(&w);
    }
    return rc;
}

// What an absolute path leads to.    returns  0 or the negated errno
static int sykli__tree_stat_outside(sykli__tree *t, const char *path, sykli_stat *out)
{
    const sykli_sys *sys = t->mem->sys;
    int fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int rc = sys->fstat(sys->user, fd, out);
    sys->close(sys->user, fd);
    return rc;
}

// The folder that a path is to be written in, reached without any symbolic link.
//   create   make the folders that are missing
//   returns  0 and a descriptor for sykli__tree_parent_close; ENOENT, EPERM, ...
static int sykli__tree_parent(sykli__tree *t, const char *path, bool create, int *out_fd,
                              const char **out_name, sykli_fault *fault)
{
    const sykli_sys *sys = t->mem->sys;
    int fd = t->root_fd;
    const int flags = SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_nofollow;
    const char *p = path, *slash;
    sykli__tree_see_no_more(t);
    for (; (slash = strchr(p, '/')); p = slash + 1) {
        char name[256];
        size_t size = (size_t)(slash - p);
        int fresh = -ENAMETOOLONG;
        if (size < sizeof name) {
            memcpy(name, p, size);
            name[size] = 0;
            fresh = sys->open(sys->user, fd, name, flags, 0);
            if (fresh == -ENOENT && create) {
                fresh = sys->mkdir(sys->user, fd, name, 0777);
                if (!fresh || fresh == -EEXIST) fresh = sys->open(sys->user, fd, name, flags, 0);
            }
        }
        if (fd != t->root_fd) sys->close(sys->user, fd);
        if (fresh == -ELOOP || fresh == -ENOTDIR)
            return sykli_fail(fault, SYKLI_EPERM, "%s: \"%.*s\" is not a folder (symbolic links "
                              "are not followed to write)", path, (int)(slash - path), path);
        if (fresh < 0) return sykli_fail_sys(fault, fresh, "the folder of %s", path);
        fd = fresh;
    }
    *out_fd = fd;
    *out_name = p;
    return 0;
}

// What was written there may be other folders than those we looked at.
static void sykli__tree_parent_close(sykli__tree *t, int fd)
{
    t->look++;
    if (fd != t->root_fd) t->mem->sys->close(t->mem->sys->user, fd);
}

// Removes a file, or a folder with all in it, by its name in an open folder. A folder whose owner
// took away his own right to write (Go's module cache) gets it back first.
//   returns  0, also if there is none, or the negated errno
static int sykli__tree_remove_at(sykli_mem *mem, int dir, const char *name, int depth)
{
    const sykli_sys *sys = mem->sys;
    int rc = sys->remove(sys->user, dir, name, 0), type;
    if (!rc || rc == -ENOENT || rc == -ENOTDIR) return 0;
    if (depth >= SYKLI__TREE_DEPTH_MAX) return -ENAMETOOLONG;
    int flags = SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_nofollow;
    int fd = sys->open(sys->user, dir, name, flags, 0);
    if (fd < 0) return fd == -ENOTDIR || fd == -ELOOP ? rc : fd;
    sykli_stat stat;
    sykli_buf names;
    sykli_buf_init(&names, mem, SYKLI_TAG_tree);
    rc = sys->fstat(sys->user, fd, &stat);
    if (!rc && (stat.mode & 0700) != 0700) rc = sys->chmod(sys->user, fd, 0700);
    if (!rc) rc = sykli__tree_names(sys, fd, &names);
    const char *child;
    for (size_t at = 0; !rc && (child = sykli__tree_name_next(&names, &at, &type));)
        rc = sykli__tree_remove_at(mem, fd, child, depth + 1);
    sykli_buf_free(&names);
    sys->close(sys->user, fd);
    if (!rc) rc = sys->remove(sys->user, dir, name, 1);
    return rc == -ENOENT ? 0 : rc;
}

// Removes one path below the root, never by way of a symbolic link.
static int sykli__tree_remove_path(sykli__tree *t, const char *path, sykli_fault *fault)
{
    int fd;
    const char *name;
    int rc = sykli__tree_parent(t, path, false, &fd, &name, fault);
    if (rc) return rc == SYKLI_ENOENT ? 0 : rc;
    rc = sykli__tree_remove_at(t->mem, fd, name, 0);
    sykli__tree_parent_close(t, fd);
    return rc ? sykli_fail_sys(fault, rc, "%s cannot be removed", path) : 0;
}

// Removes a declared output: a file, a folder with all in it, or the files of a glob.
static int sykli__tree_remove(sykli__tree *t, const char *path_or_glob, sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    sykli_stat stat;
    int rc = sykli__tree_clean(path_or_glob, clean, fault);
    if (rc) return rc;
    if (!*clean || sykli__tree_path_kept(clean))
        return sykli_fail(fault, SYKLI_EPERM, "\"%s\" is never removed", path_or_glob);
    if (!sykli__tree_is_glob(clean)
        || (!strpbrk(clean, "*?{\\") && !sykli__tree_stat(t, clean, &stat)))
        return sykli__tree_remove_path(t, clean, fault);
    const char *pattern = clean;
    sykli__tree_walk w;
    sykli__tree_walk_init(&w, t);
    rc = sykli__tree_search(&w, &pattern, 1, fault);
    for (size_t i = 0; !rc && i < w.count; i++)
        rc = sykli__tree_remove_path(t, (const char *)w.text.data + w.found[i].path, fault);
    sykli__tree_walk_free(&w);
    return rc;
}

// Makes the folders that the path of an output needs.
static int sykli__tree_make_parents(sykli__tree *t, const char *path, sykli_fault *fault)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    const char *name;
    int fd, rc = sykli__tree_clean(path, clean, fault);
    if (!rc && sykli__tree_is_glob(clean)) { // the folders in front of the first wildcard
        size_t size = sykli_glob_fixed(clean);
        clean[size] = 0;
        if (size && clean[size - 1] != '/' && size < SYKLI__TREE_PATH_MAX)
            memcpy(clean + size, "/", 2);
    }
    if (!rc) rc = sykli__tree_parent(t, clean, true, &fd, &name, fault);
    if (!rc) sykli__tree_parent_close(t, fd);
    return rc;
}

// Copies the bytes of an open file to a new one.     returns  0 or the negated errno
static int sykli__tree_copy_bytes(sykli__tree *t, int from, int to)
{
    const sykli_sys *sys = t->mem->sys;
    if (!sys->clone(sys->user, from, to)) return 0;
    int64_t got;
    int rc = 0;
    while (!rc && (got = sys->read(sys->user, from, t->chunk, SYKLI__TREE_CHUNK)) != 0)
        rc = got < 0 ? (int)got : sykli__tree_write(sys, to, t->chunk, (size_t)got);
    return rc;
}

static bool sykli__tree_copy_there(sykli__tree *t, const sykli__tree_file *from, const char *to)
{
    sykli__tree_file file = { .path = to };
    bool link = from->stat.type == SYKLI_FILE_symlink;
    return !sykli__tree_stat(t, to, &file.stat) && file.stat.type == SYKLI_FILE_regular
        && (link || (file.stat.mode & 0100) == (from->stat.mode & 0100))
        && !sykli__tree_digest_file(t, &file)
        && !memcmp(&file.digest, link ? &from->behind : &from->digest, sizeof file.digest);
}

// Copies a file to another place below the root, whole or not at all, unless it is there already.
// Of a symbolic link it is the file behind it, which must be below the root too: from another
// folder the link might lead elsewhere.
static int sykli__tree_copy(sykli__tree *t, const sykli__tree_file *file, const char *to_path,
                            sykli_fault *fault)
{
    const sykli_sys *sys = t->mem->sys;
    const char *name, *tmp = SYKLI__TREE_TMP "copy";
    int dir, flags = SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive;
    sykli_stat stat;
    if (sykli__tree_copy_there(t, file, to_path)) return 0;
    int from = sys->open(sys->user, t->root_fd, file->path,
                         SYKLI_OPEN_read | SYKLI_OPEN_beneath, 0);
    if (from < 0) return sykli_fail_sys(fault, from, "%s cannot be read", file->path);
    int rc = sykli__tree_parent(t, to_path, true, &dir, &name, fault);
    if (rc) {
        sys->close(sys->user, from);
        return rc;
    }
    sys->remove(sys->user, dir, tmp, 0); // of a run that was killed
    int to = sys->open(sys->user, dir, tmp, flags, 0600);
    rc = to < 0 ? to : sys->fstat(sys->user, from, &stat);
    if (!rc) rc = sykli__tree_copy_bytes(t, from, to);
    if (!rc) rc = sys->chmod(sys->user, to, stat.mode & 0100 ? 0755 : 0644);
    if (!rc) rc = sys->rename(sys->user, dir, tmp, dir, name);
    if (to >= 0) sys->close(sys->user, to);
    if (rc && to >= 0) sys->remove(sys->user, dir, tmp, 0);
    sys->close(sys->user, from);
    sykli__tree_parent_close(t, dir);
    if (rc == -EISDIR)
        return sykli_fail(fault, SYKLI_EINVAL, "%s is a folder: write \"%s/\" to copy into it",
                          to_path, to_path);
    return rc ? sykli_fail_sys(fault, rc, "%s cannot be copied to %s", file->path, to_path) : 0;
}

static void sykli__tree_put_number(sykli_buf *b, uint64_t value, int bytes)
{
    uint8_t out[8];
    for (int i = 0; i < bytes; i++) out[i] = (uint8_t)(value >> (8 * i));
    sykli_buf_add(b, out, (size_t)bytes);
}

static int sykli__tree_encode(const sykli__tree *t, sykli_buf *b)
{
    const void *path;
    size_t size, at = 0;
    uint64_t i;
    sykli_buf_text(b, SYKLI__TREE_MAGIC);
    sykli__tree_put_number(b, SYKLI__TREE_VERSION, 4);
    sykli__tree_put_number(b, t->places.count, 4);
    while (sykli_map_next(&t->places, &at, &path, &size, &i)) {
        const sykli__tree_known *k = &t->known[i];
        const uint64_t fields[7] = { k->stat.size_bytes, (uint64_t)k->stat.mtime_ns,
                                     (uint64_t)k->stat.ctime_ns, k->stat.inode, k->stat.device,
                                     k->stat.mode, (uint64_t)k->seen_ns };
        sykli__tree_put_number(b, size, 2);
        sykli_buf_add(b, path, size);
        for (int f = 0; f < 7; f++) sykli__tree_put_number(b, fields[f], 8);
        sykli_buf_add(b, k->digest.bytes, 32);
    }
    if (b->error) return b->error;
    sykli__tree_put_number(b, sykli_siphash(sykli__tree_sum_key, b->data, b->size), 8);
    return b->error;
}

// Writes the stat cache beside its file and renames it over. A table at its limit starts afresh.
static int sykli__tree_save(sykli__tree *t, sykli_fault *fault)
{
    const sykli_sys *sys = t->mem->sys;
    uint64_t unique;
    sykli_buf b, name;
    if (!t->cache_file || !t->changed || t->places.count >= SYKLI__TREE_FILES_MAX) return 0;
    sykli_buf_init(&b, t->mem, SYKLI_TAG_tree);
    sykli_buf_init(&name, t->mem, SYKLI_TAG_tree);
    int fd = -1, rc = sys->random(sys->user, &unique, sizeof unique);
    if (rc >= 0)
        rc = sykli_buf_print(&name, "%s.%016llx", t->cache_file, (unsigned long long)unique)
            || sykli__tree_encode(t, &b) ? -ENOMEM : 0;
    if (!rc)
        rc = fd = sys->open(sys->user, SYKLI_CWD, (const char *)name.data,
                            SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive, 0600);
    if (rc >= 0) rc = sykli__tree_write(sys, fd, b.data, b.size);
    if (fd >= 0) {
        sys->close(sys->user, fd);
        if (!rc)
            rc = sys->rename(sys->user, SYKLI_CWD, (const char *)name.data, SYKLI_CWD,
                             t->cache_file);
        if (rc) sys->remove(sys->user, SYKLI_CWD, (const char *)name.data, 0);
    }
    sykli_buf_free(&b);
    sykli_buf_free(&name);
    if (rc < 0) return sykli_fail_sys(fault, rc, "the stat cache %s", t->cache_file);
    t->changed = false;
    return 0;
}

// Saves the stat cache if it has changed (a failure costs only time later) and closes.
static void sykli__tree_close(sykli__tree *t)
{
    if (!t->mem) return;
    sykli__tree_see_no_more(t);
    sykli__tree_save(t, NULL);
    for (int i = 0; i < SYKLI__TREE_OPEN_MAX; i++) sykli__tree_folder_close(t, &t->folders[i]);
    if (t->root_fd >= 0) t->mem->sys->close(t->mem->sys->user, t->root_fd);
    sykli_map_free(&t->places);
    if (t->known)
        sykli_mem_resize(t->mem, SYKLI_TAG_tree, t->known, t->known_capacity * sizeof *t->known, 0);
    if (t->chunk) sykli_mem_resize(t->mem, SYKLI_TAG_tree, t->chunk, SYKLI__TREE_CHUNK, 0);
    if (t->sight) sykli_mem_resize(t->mem, SYKLI_TAG_tree, t->sight, sizeof *t->sight, 0);
    sykli_mem_text_free(t->mem, SYKLI_TAG_tree, t->cache_file);
    memset(t, 0, sizeof *t);
}

// Opens the tree below a folder.
//   cache_file  where the stat cache is kept; NULL: in memory only
//   returns     0 or the error; on an error there is nothing to close
static int sykli__tree_open(sykli__tree *t, sykli_mem *mem, const char *root_dir,
                            const char *cache_file, sykli_fault *fault)
{
    const sykli_sys *sys = mem->sys;
    uint64_t seed[2];
    memset(t, 0, sizeof *t);
    t->mem = mem;
    t->root_fd = sys->open(sys->user, SYKLI_CWD, root_dir, SYKLI_OPEN_read | SYKLI_OPEN_directory,
                           0);
    int rc = t->root_fd < 0 ? t->root_fd : sys->random(sys->user, seed, sizeof seed);
    sykli_map_init(&t->places, mem, rc < 0 ? NULL : seed);
    if (rc >= 0) {
        t->chunk = (uint8_t *)sykli_mem_resize(mem, SYKLI_TAG_tree, NULL, 0, SYKLI__TREE_CHUNK);
        if (cache_file)
            t->cache_file = sykli_mem_text(mem, SYKLI_TAG_tree, cache_file, strlen(cache_file));
        if (!t->chunk || (cache_file && !t->cache_file)) rc = -ENOMEM;
    }
    if (rc < 0) {
        sykli__tree_close(t);
        return sykli_fail_sys(fault, rc, "the folder %s cannot be opened", root_dir);
    }
    t->unread = cache_file != NULL;
    return 0;
}

// Whether two patterns show at a glance, without being cleaned, that neither finds anything in what
// the other does: where they first differ both are plain, and it is nothing that cleaning removes.
static bool sykli__tree_apart(const char *a, const char *b)
{
    static const char maybe[] = "/.*?[{\\"; // and the end, which strchr finds too
    while (*a == *b && !strchr(maybe + 2, *a)) a++, b++;
    return !strchr(maybe, *a) && !strchr(maybe, *b);
}

bool sykli_output_takes(const char *output, const char *input)
{
    char out[SYKLI__TREE_PATH_MAX + 1], in[SYKLI__TREE_PATH_MAX + 1];
    sykli_fault ignored = { 0 }; // bad paths are told where they are used
    if (sykli__tree_apart(output, input)) return false;
    if (sykli__tree_clean(output, out, &ignored) || sykli__tree_clean(input, in, &ignored))
        return false;
    size_t size = strlen(out);
    if (sykli__tree_is_glob(out) && sykli_glob_match(out, in)) return true;
    return size && !strncmp(out, in, size) && (!in[size] || in[size] == '/');
}

// >>store ---- blobs and action entries on disk
// One folder for all projects and processes of a user: blobs/ab/cdef... by digest, and
// entries/ab/KEY/WRITER.json, what an action with that key gave. Everything is written under tmp/
// and renamed into place, so it is whole or absent; an entry carries a checksum and the boot it was
// written in, and one from another boot is read through once before it is believed, so nothing has
// to be synced that can be built again. A blob is checked whenever it is copied out. Use is noted
// in the file's modification time, which is what the collector goes by. A hold is such a time in
// the future, and not a lock: it needs no descriptor a blob, makes no collector wait for a slow
// reader, and ends by itself when its process does not. Who is stopped for longer than it lasts may
// find the blob gone, which is a miss, and one that is open can be read to its end in any case.

enum {
    SYKLI__STORE_VERSION = 1,
    SYKLI__STORE_ENTRY_FORMAT = 1,
    SYKLI__STORE_KEY_SCHEMA = 1,
    SYKLI__STORE_ENTRY_MAX = 32 << 20,     // bytes of an entry
    SYKLI__STORE_OUTPUTS_MAX = 1 << 17,    // of an entry
    SYKLI__STORE_WRITERS_MAX = 64,         // entries of one key
    SYKLI__STORE_CLONE_MIN = 256 << 10,    // smaller files are copied faster than cloned
    SYKLI__STORE_CHUNK = 128 << 10,
    SYKLI__STORE_DEPTH_MAX = 3             // folders in folders
};
// Use is noted again after a minute; garbage is removed after an hour and a week.
#define SYKLI__STORE_TOUCH_NS (60 * INT64_C(1000000000))
#define SYKLI__STORE_TMP_NS (3600 * INT64_C(1000000000))
#define SYKLI__STORE_QUARANTINE_NS (7 * 86400 * INT64_C(1000000000))

typedef struct sykli__store {
    sykli_mem *mem;
    int dir_fd;
    uint64_t max_bytes;   // what sykli__store_keep keeps by default; 0: no limit
    uint64_t added_bytes; // that other processes do not know of yet
    char boot[64];        // of this boot of the machine; "" where it has no name
    char unique[17];      // of this process among all that write here
    uint64_t count;       // temporary files made
    uint8_t *chunk;
    uint32_t threads_max; // that hash; 0 and 1: the caller alone
    int read_fd;          // the blob that sykli__store_read read last
    sykli_digest read_id;
} sykli__store;

// One output of an action.
typedef struct sykli__store_output {
    char *name, *path;
    sykli_digest digest;
    uint64_t size_bytes;
    uint32_t mode;        // 0644 or 0755
    sykli_file_type type; // regular or symlink
} sykli__store_output;

// What an action gave, with all fields that trust will need (signature and provenance stay empty
// until they are used). The blobs prove themselves; that these are the results of the key, only
// the writer vouches for.
typedef struct sykli__store_entry {
    sykli_mem *mem;
    uint64_t format, key_schema;
    char key[65];
    char scope_kind[16], scope_id[256];     // "branch", "main"; "pr", "17"; "trusted", ""
    char scope_effective[16];               // min(own, every upstream output consumed)
    char writer_id[65], writer_name[65];    // node key in hex
    char origin_node[65], origin_boot[65], origin_task[SYKLI_NAME_MAX + 1]; // the attempt
    uint64_t origin_run, origin_attempt;
    char platform[128], fingerprint[256];
    sykli_digest log, provenance;           // zeros: none
    uint64_t log_bytes;
    uint64_t exit_code, duration_ms, created_ms;
    char signature[129];                    // Ed25519, hex
    sykli__store_output *outputs;
    size_t output_count, output_capacity;
    bool durable;           // of its file, not of what it says: it is never replaced by a loose one
} sykli__store_entry;

static bool sykli__store_none(const sykli_digest *id)
{
    static const sykli_digest none;
    return !memcmp(id, &none, sizeof none);
}

static int64_t sykli__store_now_ns(const sykli__store *s)
{
    return s->mem->sys->wall_ms(s->mem->sys->user) * 1000000;
}

typedef struct sykli__store_path { char text[192]; } sykli__store_path;

static sykli__store_path sykli__store_blob_path(const sykli_digest *id)
{
    sykli__store_path path;
    char hex[65];
    sykli_hex(hex, id->bytes, 32);
    snprintf(path.text, sizeof path.text, "blobs/%.2s/%s", hex, hex + 2);
    return path;
}

static sykli__store_path sykli__store_fresh_path(sykli__store *s, const char *folder)
{
    sykli__store_path path;
    snprintf(path.text, sizeof path.text, "%s/%s-%llx", folder, s->unique,
             (unsigned long long)++s->count);
    return path;
}

// Renames within the store, making the folder that is missing (blobs/ab, entries/ab/KEY).
static int sykli__store_rename(sykli__store *s, const char *from, const char *to)
{
    const sykli_sys *sys = s->mem->sys;
    int rc = sys->rename(sys->user, s->dir_fd, from, s->dir_fd, to);
    if (rc != -ENOENT) return rc;
    for (const char *slash = strchr(to, '/'); slash; slash = strchr(slash + 1, '/')) {
        sykli__store_path folder;
        snprintf(folder.text, sizeof folder.text, "%.*s", (int)(slash - to), to);
        rc = sys->mkdir(sys->user, s->dir_fd, folder.text, 0700);
        if (rc && rc != -EEXIST) return rc;
    }
    return sys->rename(sys->user, s->dir_fd, from, s->dir_fd, to);
}

// Syncs a file or folder of the store by its path.
static int sykli__store_sync(sykli__store *s, const char *path)
{
    const sykli_sys *sys = s->mem->sys;
    int fd = sys->open(sys->user, s->dir_fd, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int rc = sys->sync(sys->user, fd);
    sys->close(sys->user, fd);
    return rc;
}

// A file below the store, all at once: temporary, synced if asked for, renamed.
static int sykli__store_file_put(sykli__store *s, const char *path, const void *data, size_t size,
                                 bool durable)
{
    const sykli_sys *sys = s->mem->sys;
    sykli__store_path tmp = sykli__store_fresh_path(s, "tmp");
    int flags = SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive;
    int fd = sys->open(sys->user, s->dir_fd, tmp.text, flags, 0600);
    if (fd < 0) return fd;
    int rc = sykli__tree_write(sys, fd, data, size);
    if (!rc && durable) rc = sys->sync(sys->user, fd);
    sys->close(sys->user, fd);
    if (!rc) rc = sykli__store_rename(s, tmp.text, path);
    if (rc) sys->remove(sys->user, s->dir_fd, tmp.text, 0);
    return rc;
}

// Notes in STORE/changed that something goes from the store or went. Whoever removes blobs or
// entries says so before and after: what a run remembers of the store it believes for as long as
// this file is the same.
static void sykli__store_removing(sykli__store *s)
{
    char text[40];
    int size = snprintf(text, sizeof text, "%s-%llx\n", s->unique, (unsigned long long)++s->count);
    sykli__store_file_put(s, "changed", text, (size_t)size, false);
}

// What the store is and when something last went from it: equal for as long as all that was in it
// still is. Folders that were removed by hand are others when they are back.
static uint64_t sykli__store_state(sykli__store *s)
{
    static const char *const folders[] = { ".", "blobs", "entries" };
    uint64_t key[2] = { 1, 0 };
    sykli_stat stat;
    sykli_buf text;
    for (int i = 0; i < 3; i++) {
        if (s->mem->sys->stat(s->mem->sys->user, s->dir_fd, folders[i], &stat)) continue;
        const uint64_t facts[2] = { stat.device, stat.inode };
        key[i % 2] = sykli_siphash(key, facts, sizeof facts);
    }
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = sykli__tree_slurp(s->mem, s->dir_fd, "changed", 4096, &text);
    uint64_t state = sykli_siphash(key, text.data, text.size);
    sykli_buf_free(&text);
    return rc && rc != -ENOENT ? 0 : state | 1;
}

// Sets damaged data aside, where somebody can look at it; what cannot be moved is removed.
static void sykli__store_quarantine(sykli__store *s, const char *path)
{
    const sykli_sys *sys = s->mem->sys;
    sykli__store_path to = sykli__store_fresh_path(s, "quarantine");
    sykli__store_removing(s);
    if (sykli__store_rename(s, path, to.text)) sys->remove(sys->user, s->dir_fd, path, 0);
}

// Notes that a file is used now. One held for longer has a time in the future and keeps it.
static int sykli__store_touch(sykli__store *s, const char *path, const sykli_stat *stat)
{
    int64_t now = sykli__store_now_ns(s);
    if (stat->mtime_ns > now - SYKLI__STORE_TOUCH_NS) return 0;
    return s->mem->sys->utime(s->mem->sys->user, s->dir_fd, path, now);
}

// Where the collector puts a blob while it looks at it once more.
static sykli__store_path sykli__store_away_path(const sykli_digest *id)
{
    sykli__store_path path;
    char hex[65];
    sykli_hex(hex, id->bytes, 32);
    snprintf(path.text, sizeof path.text, "tmp/gc-%s", hex);
    return path;
}

// Takes a blob back that the collector was about to remove, unless it has done so itself meanwhile.
//   returns  whether it is worth looking again
static bool sykli__store_rescue(sykli__store *s, const sykli_digest *id)
{
    const sykli_sys *sys = s->mem->sys;
    sykli_stat stat;
    sykli__store_path path = sykli__store_blob_path(id), away = sykli__store_away_path(id);
    return !sys->rename(sys->user, s->dir_fd, away.text, s->dir_fd, path.text)
        || !sys->stat(sys->user, s->dir_fd, path.text, &stat);
}

// Walks the files below one of the store's folders.
//   each     gets the path from the store's folder on; non-zero ends the walk
static int sykli__store_scan(sykli__store *s, const char *folder, int depth,
                             int (*each)(void *to, sykli__store *s, const char *path), void *to)
{
    const sykli_sys *sys = s->mem->sys;
    sykli_buf names;
    int fd = sys->open(sys->user, s->dir_fd, folder, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (fd < 0) return fd == -ENOENT ? 0 : fd;
    sykli_buf_init(&names, s->mem, SYKLI_TAG_store);
    int rc = sykli__tree_names(sys, fd, &names), type;
    sys->close(sys->user, fd);
    const char *name;
    for (size_t at = 0; !rc && (name = sykli__tree_name_next(&names, &at, &type));) {
        sykli__store_path path;
        int size = snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
        if (size < 0 || (size_t)size >= sizeof path.text) continue; // none of ours
        if (type == SYKLI_FILE_regular) rc = each(to, s, path.text);
        else if (type == SYKLI_FILE_directory && depth < SYKLI__STORE_DEPTH_MAX)
            rc = sykli__store_scan(s, path.text, depth + 1, each, to);
    }
    sykli_buf_free(&names);
    return rc;
}

// Whether a blob is here.    returns  0 and its stat, or the negated errno
static int sykli__store_find(sykli__store *s, const sykli_digest *id, sykli_stat *out)
{
    sykli__store_path path = sykli__store_blob_path(id);
    for (int turn = 0;; turn++) {
        int rc = s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path.text, out);
        if (!rc && out->type != SYKLI_FILE_regular) return -ENOENT;
        if (!rc) rc = sykli__store_touch(s, path.text, out);
        if (rc != -ENOENT) return rc == -ENOMEM || rc == -EIO ? rc : 0;
        if (turn || !sykli__store_rescue(s, id)) return rc;
    }
}

static bool sykli__store_have(sykli__store *s, const sykli_digest *id, uint64_t *out_size)
{
    sykli_stat stat;
    if (sykli__store_find(s, id, &stat)) return false;
    if (out_size) *out_size = stat.size_bytes;
    return true;
}

// A blob on its way in.
struct sykli_blob_writer {
    sykli__store *store;
    void *owner;          // for who hands the writer out
    int fd;
    int error;            // of the write that failed; ends the blob
    bool expects;
    sykli_digest expected;
    uint64_t size_bytes, written_bytes;
    sykli__store_path path;
    sykli_tree hash;
};

static void sykli__store_writer_abort(sykli_blob_writer *w)
{
    const sykli_sys *sys;
    if (!w) return;
    sys = w->store->mem->sys;
    sys->close(sys->user, w->fd);
    sys->remove(sys->user, w->store->dir_fd, w->path.text, 0);
    sykli_mem_resize(w->store->mem, SYKLI_TAG_store, w, sizeof *w, 0);
}

// Begins a blob.
//   expected    NULL: not known yet        size_bytes  at most this many; exactly, if expected
static int sykli__store_writer_begin(sykli__store *s, const sykli_digest *expected,
                                     uint64_t size_bytes, sykli_blob_writer **out,
                                     sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    *out = NULL;
    if (size_bytes > SYKLI_BLOB_SIZE_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "a blob of %llu bytes: at most %llu are allowed",
                          (unsigned long long)size_bytes, SYKLI_BLOB_SIZE_MAX);
    sykli_blob_writer *w =
        (sykli_blob_writer *)sykli_mem_resize(s->mem, SYKLI_TAG_store, NULL, 0, sizeof *w);
    if (!w) return sykli_fail(fault, SYKLI_ENOMEM, "no memory for a blob");
    w->store = s;
    w->expects = expected != NULL;
    if (expected) w->expected = *expected;
    w->size_bytes = size_bytes;
    w->path = sykli__store_fresh_path(s, "tmp");
    sykli_tree_init(&w->hash);
    int flags = SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive;
    w->fd = sys->open(sys->user, s->dir_fd, w->path.text, flags, 0444);
    int rc = w->fd < 0 ? sykli_fail_sys(fault, w->fd, "the store cannot make %s", w->path.text) : 0;
    if (rc) sykli_mem_resize(s->mem, SYKLI_TAG_store, w, sizeof *w, 0);
    else *out = w;
    return rc;
}

// Counts and hashes bytes that are in the file or will be.
static int sykli__store_writer_count(sykli_blob_writer *w, const void *data, size_t size,
                                     sykli_fault *fault)
{
    if (w->error) return sykli_fail(fault, w->error, "an earlier write of this blob failed");
    if (size > w->size_bytes - w->written_bytes)
        return w->error = sykli_fail(fault, SYKLI_ECORRUPT, "more than the %llu bytes announced",
                                     (unsigned long long)w->size_bytes);
    sykli_tree_add(&w->hash, data, size);
    w->written_bytes += size;
    return 0;
}

static int sykli__store_writer_write(sykli_blob_writer *w, const void *data, size_t size,
                                     sykli_fault *fault)
{
    int rc = sykli__store_writer_count(w, data, size, fault);
    if (rc) return rc;
    rc = sykli__tree_write(w->store->mem->sys, w->fd, data, size);
    if (!rc) return 0;
    return w->error = sykli_fail_sys(fault, rc, "the store cannot write");
}

// Ends a blob: checks it against what was expected and publishes it. The writer is gone after it.
// One that is there already is replaced: if that one is damaged, this is how it heals.
static int sykli__store_writer_end(sykli_blob_writer *w, sykli_digest *out, sykli_fault *fault)
{
    sykli__store *s = w->store;
    sykli_digest id;
    int rc = w->error;
    sykli_tree_end(&w->hash, &id);
    if (rc) sykli_fail(fault, rc, "an earlier write of this blob failed");
    else if (w->expects && w->written_bytes != w->size_bytes)
        rc = sykli_fail(fault, SYKLI_ECORRUPT, "%llu bytes where %llu were announced",
                        (unsigned long long)w->written_bytes, (unsigned long long)w->size_bytes);
    else if (w->expects && memcmp(id.bytes, w->expected.bytes, 32))
        rc = sykli_fail(fault, SYKLI_ECORRUPT, "the bytes are not those of the digest");
    else {
        sykli__store_path path = sykli__store_blob_path(&id);
        rc = sykli__store_rename(s, w->path.text, path.text);
        if (rc) rc = sykli_fail_sys(fault, rc, "the store cannot make %s", path.text);
    }
    if (rc) {
        sykli__store_writer_abort(w);
        return rc;
    }
    if (out) *out = id;
    s->added_bytes += w->written_bytes;
    s->mem->sys->close(s->mem->sys->user, w->fd);
    sykli_mem_resize(s->mem, SYKLI_TAG_store, w, sizeof *w, 0);
    return 0;
}

static int sykli__store_put_bytes(sykli__store *s, const void *data, size_t size,
                                  sykli_digest *out, sykli_fault *fault)
{
    sykli_blob_writer *w;
    int rc = sykli__store_writer_begin(s, NULL, size, &w, fault);
    if (rc) return rc;
    rc = sykli__store_writer_write(w, data, size, fault);
    if (!rc) return sykli__store_writer_end(w, out, fault);
    sykli__store_writer_abort(w);
    return rc;
}

// Takes in what an open file holds: a clone where the file system can, which is then read as a
// snapshot, else a copy.
static int sykli__store_writer_file(sykli_blob_writer *w, int fd, uint64_t size, sykli_fault *fault)
{
    const sykli_sys *sys = w->store->mem->sys;
    bool cloned = size >= SYKLI__STORE_CLONE_MIN && !sys->clone(sys->user, fd, w->fd);
    if (sykli__pool_pays(w->store->threads_max, size) && size <= w->size_bytes) {
        int rc = sykli__pool_add(w->store->mem, w->store->threads_max, cloned ? w->fd : fd,
                                 cloned ? -1 : w->fd, size, &w->hash);
        w->written_bytes = size;
        return rc > 0 ? sykli_fail(fault, SYKLI_EBUSY, "the file shrinks while it is stored")
             : rc ? sykli_fail_sys(fault, rc, "the file cannot be copied to the store") : 0;
    }
    for (;;) {
        int64_t got = sys->read(sys->user, cloned ? w->fd : fd, w->store->chunk,
                                SYKLI__STORE_CHUNK);
        if (got < 0) return sykli_fail_sys(fault, got, "the file cannot be read");
        if (!got) return 0;
        int rc = cloned ? sykli__store_writer_count(w, w->store->chunk, (size_t)got, fault)
                        : sykli__store_writer_write(w, w->store->chunk, (size_t)got, fault);
        if (rc) return rc;
    }
}

// Puts a regular file that is open. A file that changes meanwhile is nobody's result.
static int sykli__store_put_open(sykli__store *s, int fd, const char *path, sykli_digest *out,
                                 sykli_stat *stat, sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    sykli_stat after;
    int rc = sys->fstat(sys->user, fd, stat);
    if (rc) return sykli_fail_sys(fault, rc, "%s", path);
    if (stat->type != SYKLI_FILE_regular)
        return sykli_fail(fault, SYKLI_EINVAL, "%s is not a file", path);
    sykli_blob_writer *w;
    rc = sykli__store_writer_begin(s, NULL, SYKLI_BLOB_SIZE_MAX, &w, fault);
    if (rc) return rc;
    rc = sykli__store_writer_file(w, fd, stat->size_bytes, fault);
    if (!rc) {
        rc = sys->fstat(sys->user, fd, &after);
        if (rc) rc = sykli_fail_sys(fault, rc, "%s", path);
        else if (!sykli__tree_stat_same(stat, &after))
            rc = sykli_fail(fault, SYKLI_EBUSY, "%s changes while it is stored", path);
    }
    if (!rc) return sykli__store_writer_end(w, out, fault);
    sykli__store_writer_abort(w);
    return rc;
}

// Puts a file, or the target's text of a symbolic link, from below the tree's root.
//   mode     0644 or 0755
static int sykli__store_put_file(sykli__store *s, sykli__tree *t, const char *path,
                                 sykli_digest *out, uint64_t *size, uint32_t *mode,
                                 sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    const char *name;
    sykli_stat stat;
    *mode = 0644;
    int dir = sykli__tree_place(t, path, &name);
    int rc = dir < 0 ? dir : sys->stat(sys->user, dir, name, &stat);
    if (!rc && stat.type == SYKLI_FILE_symlink) {
        char text[SYKLI__TREE_PATH_MAX + 1];
        int64_t got = sykli__tree_link_text(t, path, text);
        if (got < 0) return sykli_fail_sys(fault, got, "%s cannot be read", path);
        *size = (uint64_t)got;
        return sykli__store_put_bytes(s, text, (size_t)got, out, fault);
    }
    if (!rc && stat.type != SYKLI_FILE_regular)
        return sykli_fail(fault, SYKLI_EINVAL, "%s is not a file", path);
    int fd = rc ? rc
           : sys->open(sys->user, dir, name, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0);
    if (fd < 0) return sykli_fail_sys(fault, fd, "%s cannot be read", path);
    rc = sykli__store_put_open(s, fd, path, out, &stat, fault);
    sys->close(sys->user, fd);
    *size = stat.size_bytes;
    *mode = stat.mode & 0100 ? 0755 : 0644;
    return rc;
}

// Puts the file or link of one output: digest, size and mode become those of what is stored.
static int sykli__store_put_output(sykli__store *s, sykli__tree *t, sykli__store_output *o,
                                   sykli_fault *fault)
{
    return sykli__store_put_file(s, t, o->path, &o->digest, &o->size_bytes, &o->mode, fault);
}

// Opens a blob to read.      returns  the descriptor or the negated errno
static int sykli__store_blob_open(sykli__store *s, const sykli_digest *id, sykli_stat *out)
{
    const sykli_sys *sys = s->mem->sys;
    sykli__store_path path = sykli__store_blob_path(id);
    int fd = sys->open(sys->user, s->dir_fd, path.text, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0);
    if (fd == -ENOENT && sykli__store_rescue(s, id))
        fd = sys->open(sys->user, s->dir_fd, path.text, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0);
    int rc = fd < 0 ? fd : sys->fstat(sys->user, fd, out);
    if (fd >= 0 && rc < 0) sys->close(sys->user, fd);
    if (rc >= 0) sykli__store_touch(s, path.text, out);
    return rc < 0 ? rc : fd;
}

static void sykli__store_read_close(sykli__store *s)
{
    if (s->read_fd >= 0) s->mem->sys->close(s->mem->sys->user, s->read_fd);
    s->read_fd = -1;
}

// Reads a piece of a blob. The last one stays open for the next piece.
//   returns  bytes, 0 at the end, or the error
static int64_t sykli__store_read(sykli__store *s, const sykli_digest *id, uint64_t at, void *out,
                                 size_t size, sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    if (s->read_fd < 0 || memcmp(id->bytes, s->read_id.bytes, 32)) {
        sykli_stat stat;
        sykli__store_read_close(s);
        int fd = sykli__store_blob_open(s, id, &stat);
        if (fd < 0) return sykli_fail_sys(fault, fd, "the blob is not in the store");
        s->read_fd = fd;
        s->read_id = *id;
    }
    int64_t got = sys->pread(sys->user, s->read_fd, out, size, at);
    return got < 0 ? sykli_fail_sys(fault, got, "the blob cannot be read") : got;
}

// Sets a damaged blob aside; every entry that names it is a miss from now on.
static int sykli__store_damaged(sykli__store *s, const sykli_digest *id, sykli_fault *fault)
{
    char hex[65];
    sykli__store_path path = sykli__store_blob_path(id);
    sykli_hex(hex, id->bytes, 32);
    sykli__store_quarantine(s, path.text);
    if (!memcmp(id->bytes, s->read_id.bytes, 32)) sykli__store_read_close(s);
    return sykli_fail(fault, SYKLI_ECORRUPT, "blob %s is damaged; set aside in the store's "
                      "quarantine folder", hex);
}

// Hashes what an open file holds, until it is more than `size` bytes, and copies it.
//   to       -1: to nowhere           stat_size: what is to be expected
//   returns  bytes, or the error
static int64_t sykli__store_pour(sykli__store *s, int from, int to, uint64_t stat_size,
                                 uint64_t size, sykli_tree *hash, sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    if (stat_size == size && sykli__pool_pays(s->threads_max, size)) {
        int rc = sykli__pool_add(s->mem, s->threads_max, from, to, size, hash);
        if (rc < 0) return sykli_fail_sys(fault, rc, "the blob cannot be read or copied");
        return rc ? 0 : (int64_t)size;
    }
    for (uint64_t total = 0;;) {
        int64_t got = sys->read(sys->user, from, s->chunk, SYKLI__STORE_CHUNK);
        if (got < 0) return sykli_fail_sys(fault, got, "the blob cannot be read");
        total += (uint64_t)got;
        if (!got || total > size) return (int64_t)total;
        sykli_tree_add(hash, s->chunk, (size_t)got);
        int rc = to < 0 ? 0 : sykli__tree_write(sys, to, s->chunk, (size_t)got);
        if (rc) return sykli_fail_sys(fault, rc, "the copy of the blob cannot be written");
    }
}

// Copies a blob to an open file that is empty while checking it.    fd -1: checks only
//   returns  0, ECORRUPT (it is set aside then), ENOENT or the error
static int sykli__store_copy(sykli__store *s, const sykli_digest *id, uint64_t size, int fd,
                             sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    sykli_stat stat;
    sykli_tree hash;
    sykli_digest got_id;
    int from = sykli__store_blob_open(s, id, &stat);
    if (from < 0) return sykli_fail_sys(fault, from, "the blob is not in the store");
    bool cloned = fd >= 0 && stat.size_bytes == size && size >= SYKLI__STORE_CLONE_MIN
        && !sys->clone(sys->user, from, fd);
    sykli_tree_init(&hash);
    int64_t got = sykli__store_pour(s, cloned ? fd : from, cloned ? -1 : fd, stat.size_bytes, size,
                                    &hash, fault);
    sys->close(sys->user, from);
    sykli_tree_end(&hash, &got_id);
    if (got < 0) return (int)got;
    if ((uint64_t)got != size || memcmp(got_id.bytes, id->bytes, 32))
        return sykli__store_damaged(s, id, fault);
    return 0;
}

// Reads a blob through.    returns  0, ECORRUPT (it is set aside), ENOENT or the error
static int sykli__store_verify(sykli__store *s, const sykli_digest *id, sykli_fault *fault)
{
    sykli_stat stat;
    int rc = sykli__store_find(s, id, &stat);
    if (rc) return sykli_fail_sys(fault, rc, "the blob is not in the store");
    return sykli__store_copy(s, id, stat.size_bytes, -1, fault);
}

// Keeps a blob from being collected for so long.
static int sykli__store_hold(sykli__store *s, const sykli_digest *id, uint64_t ms)
{
    sykli__store_path path = sykli__store_blob_path(id);
    const sykli_sys *sys = s->mem->sys;
    int64_t until = sykli__store_now_ns(s) + (int64_t)ms * 1000000;
    sykli_stat stat;
    int rc = sykli__store_find(s, id, &stat);
    if (!rc && stat.mtime_ns >= until) return 0; // somebody else holds it for longer
    if (!rc) rc = sys->utime(sys->user, s->dir_fd, path.text, until);
    if (rc == -ENOENT && sykli__store_rescue(s, id))
        rc = sys->utime(sys->user, s->dir_fd, path.text, until);
    return rc == -ENOENT ? SYKLI_ENOENT : rc ? SYKLI_EIO : 0;
}

// Renames over what is at the destination, a folder with all in it too.
static int sykli__store_replace(sykli__store *s, int dir, const char *tmp, const char *name)
{
    const sykli_sys *sys = s->mem->sys;
    int rc = sys->rename(sys->user, dir, tmp, dir, name);
    if (rc != -EISDIR && rc != -ENOTEMPTY && rc != -EEXIST) return rc;
    rc = sykli__tree_remove_at(s->mem, dir, name, 0);
    return rc ? rc : sys->rename(sys->user, dir, tmp, dir, name);
}

static int sykli__store_restore_file(sykli__store *s, const sykli__store_output *o, int dir,
                                     const char *tmp, sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    int flags = SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive;
    int fd = sys->open(sys->user, dir, tmp, flags, 0600);
    if (fd < 0) return sykli_fail_sys(fault, fd, "%s", o->path);
    int rc = sykli__store_copy(s, &o->digest, o->size_bytes, fd, fault);
    if (!rc) {
        rc = sys->chmod(sys->user, fd, o->mode & 0100 ? 0755 : 0644);
        if (rc) rc = sykli_fail_sys(fault, rc, "the mode of %s", o->path);
    }
    sys->close(sys->user, fd);
    return rc;
}

static int sykli__store_restore_link(sykli__store *s, const sykli__store_output *o, int dir,
                                     const char *tmp, sykli_fault *fault)
{
    char text[SYKLI__TREE_PATH_MAX + 1];
    sykli_digest id;
    if (o->size_bytes > SYKLI__TREE_PATH_MAX)
        return sykli_fail(fault, SYKLI_EPERM, "%s: the link's target is too long", o->path);
    int64_t got = sykli__store_read(s, &o->digest, 0, text, sizeof text, fault);
    sykli__store_read_close(s);
    if (got < 0) return (int)got;
    sykli_tree_of(text, (size_t)got, &id);
    if ((uint64_t)got != o->size_bytes || memcmp(id.bytes, o->digest.bytes, 32))
        return sykli__store_damaged(s, &o->digest, fault);
    text[got] = 0;
    if (strlen(text) != (size_t)got || !sykli__tree_link_stays(o->path, text))
        return sykli_fail(fault, SYKLI_EPERM, "%s: a link that leads out of the project folder "
                          "is not restored", o->path);
    int rc = s->mem->sys->symlink(s->mem->sys->user, text, dir, tmp);
    return rc ? sykli_fail_sys(fault, rc, "%s", o->path) : 0;
}

// Puts one output back: under a temporary name beside its place, checked, then renamed over.
//   returns  0; ENOENT or ECORRUPT: the blob is not (or no longer) there, treat it as a miss;
//            EPERM: the path or link leads outside; else the error
static int sykli__store_restore(sykli__store *s, const sykli__store_output *o, sykli__tree *t,
                                sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    const char *name = NULL;
    char tmp[64];
    int dir = -1;
    if (!sykli__tree_path_plain(o->path))
        return sykli_fail(fault, SYKLI_EPERM, "an output's path must be plain and below the "
                          "project folder");
    int rc = sykli__tree_parent(t, o->path, true, &dir, &name, fault);
    if (rc) return rc;
    snprintf(tmp, sizeof tmp, SYKLI__TREE_TMP "%s-%llx", s->unique,
             (unsigned long long)++s->count);
    rc = o->type == SYKLI_FILE_symlink ? sykli__store_restore_link(s, o, dir, tmp, fault)
                                       : sykli__store_restore_file(s, o, dir, tmp, fault);
    if (!rc) {
        rc = sykli__store_replace(s, dir, tmp, name);
        if (rc) rc = sykli_fail_sys(fault, rc, "%s cannot be put in place", o->path);
    }
    if (rc) sys->remove(sys->user, dir, tmp, 0);
    sykli__tree_parent_close(t, dir);
    return rc;
}

static void sykli__store_entry_init(sykli__store_entry *e, sykli_mem *mem)
{
    memset(e, 0, sizeof *e);
    e->mem = mem;
    e->format = SYKLI__STORE_ENTRY_FORMAT;
    e->key_schema = SYKLI__STORE_KEY_SCHEMA;
}

SYKLI__APART
static void sykli__store_entry_free(sykli__store_entry *e)
{
    if (!e->mem) return;
    for (size_t i = 0; i < e->output_count; i++) {
        sykli_mem_text_free(e->mem, SYKLI_TAG_store, e->outputs[i].name);
        sykli_mem_text_free(e->mem, SYKLI_TAG_store, e->outputs[i].path);
    }
    if (e->outputs)
        sykli_mem_resize(e->mem, SYKLI_TAG_store, e->outputs,
                         e->output_capacity * sizeof *e->outputs, 0);
    sykli__store_entry_init(e, e->mem);
}

// Adds an output; name and path are copied.
static int sykli__store_entry_add(sykli__store_entry *e, const char *name, const char *path,
                                  sykli_file_type type, sykli_fault *fault)
{
    if (!sykli__tree_path_plain(path))
        return sykli_fail(fault, SYKLI_EINVAL, "the output \"%.200s\" has a path that cannot be "
                          "cached: it must be plain UTF-8 below the project folder", name);
    if (e->output_count == SYKLI__STORE_OUTPUTS_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "more than %d files of output",
                          SYKLI__STORE_OUTPUTS_MAX);
    sykli__store_output o = { .mode = 0644, .type = type };
    if (sykli__base_room(e->mem, SYKLI_TAG_store, &e->outputs, &e->output_capacity,
                         e->output_count, sizeof *e->outputs, SYKLI__STORE_OUTPUTS_MAX)) {
        o.name = sykli_mem_text(e->mem, SYKLI_TAG_store, name, strlen(name));
        o.path = sykli_mem_text(e->mem, SYKLI_TAG_store, path, strlen(path));
    }
    if (!o.name || !o.path) {
        sykli_mem_text_free(e->mem, SYKLI_TAG_store, o.name);
        sykli_mem_text_free(e->mem, SYKLI_TAG_store, o.path);
        return sykli_fail(fault, SYKLI_ENOMEM, "no memory for an output");
    }
    e->outputs[e->output_count++] = o;
    return 0;
}

static int sykli__store_entry_add_file(sykli__store_entry *e, const char *name,
                                       const sykli__tree_file *file, sykli_fault *fault)
{
    int rc = sykli__store_entry_add(e, name, file->path, file->stat.type, fault);
    if (rc) return rc;
    sykli__store_output *o = &e->outputs[e->output_count - 1];
    o->digest = file->digest;
    o->size_bytes = file->stat.size_bytes;
    o->mode = file->stat.type == SYKLI_FILE_regular && file->stat.mode & 0100 ? 0755 : 0644;
    return 0;
}

// The members of an entry's JSON object, in their order. `size` of a text is its room; of the rest
// the kind alone counts. outputs come last and are written by hand.
typedef enum sykli__store_kind {
    SYKLI__STORE_number, SYKLI__STORE_text, SYKLI__STORE_hex, SYKLI__STORE_digest
} sykli__store_kind;
typedef struct sykli__store_field {
    const char *name;
    sykli__store_kind kind;
    size_t offset, size;
} sykli__store_field;

#define SYKLI__STORE_FIELD(kind, name)                                                             \
    { #name, SYKLI__STORE_##kind, offsetof(sykli__store_entry, name),                              \
      sizeof(((sykli__store_entry *)0)->name) }
static const sykli__store_field sykli__store_fields[] = {
    SYKLI__STORE_FIELD(number, format), SYKLI__STORE_FIELD(number, key_schema),
    SYKLI__STORE_FIELD(hex, key), SYKLI__STORE_FIELD(text, scope_kind),
    SYKLI__STORE_FIELD(text, scope_id), SYKLI__STORE_FIELD(text, scope_effective),
    SYKLI__STORE_FIELD(hex, writer_id), SYKLI__STORE_FIELD(text, writer_name),
    SYKLI__STORE_FIELD(hex, origin_node), SYKLI__STORE_FIELD(text, origin_boot),
    SYKLI__STORE_FIELD(number, origin_run), SYKLI__STORE_FIELD(text, origin_task),
    SYKLI__STORE_FIELD(number, origin_attempt), SYKLI__STORE_FIELD(text, platform),
    SYKLI__STORE_FIELD(text, fingerprint), SYKLI__STORE_FIELD(digest, log),
    SYKLI__STORE_FIELD(number, log_bytes), SYKLI__STORE_FIELD(number, exit_code),
    SYKLI__STORE_FIELD(number, duration_ms), SYKLI__STORE_FIELD(number, created_ms),
    SYKLI__STORE_FIELD(digest, provenance), SYKLI__STORE_FIELD(hex, signature),
};
enum { SYKLI__STORE_FIELD_COUNT = sizeof sykli__store_fields / sizeof *sykli__store_fields };

static void sykli__store_encode_digest(sykli_buf *out, const sykli_digest *id)
{
    char hex[65] = "";
    if (!sykli__store_none(id)) sykli_hex(hex, id->bytes, 32);
    sykli_buf_print(out, "\"%s\"", hex);
}

// Writes an entry as one line of JSON.
static int sykli__store_entry_encode(const sykli__store_entry *e, sykli_buf *out)
{
    for (int i = 0; i < SYKLI__STORE_FIELD_COUNT; i++) {
        const sykli__store_field *f = &sykli__store_fields[i];
        const char *at = (const char *)e + f->offset;
        uint64_t number;
        sykli_digest id;
        sykli_buf_print(out, "%s\"%s\":", i ? "," : "{", f->name);
        if (f->kind == SYKLI__STORE_number) {
            memcpy(&number, at, sizeof number);
            sykli_buf_print(out, "%llu", (unsigned long long)number);
        } else if (f->kind == SYKLI__STORE_digest) {
            memcpy(&id, at, sizeof id);
            sykli__store_encode_digest(out, &id);
        } else sykli_json_quote(out, at, strlen(at));
    }
    sykli_buf_text(out, ",\"outputs\":[");
    for (size_t i = 0; i < e->output_count; i++) {
        const sykli__store_output *o = &e->outputs[i];
        sykli_buf_text(out, i ? ",{\"name\":" : "{\"name\":");
        sykli_json_quote(out, o->name, strlen(o->name));
        sykli_buf_text(out, ",\"path\":");
        sykli_json_quote(out, o->path, strlen(o->path));
        sykli_buf_text(out, ",\"alg\":\"sha256tree\",\"digest\":");
        sykli__store_encode_digest(out, &o->digest);
        sykli_buf_print(out, ",\"size\":%llu,\"mode\":\"%04o\",\"type\":\"%s\"}",
                        (unsigned long long)o->size_bytes, (unsigned)o->mode,
                        o->type == SYKLI_FILE_symlink ? "symlink" : "file");
    }
    return sykli_buf_text(out, "]}");
}

static bool sykli__store_hex(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (!strchr("0123456789abcdef", text[i])) return false;
    return text[size] == 0;
}

static bool sykli__store_decode_digest(const char *text, sykli_digest *out)
{
    memset(out, 0, sizeof *out);
    return text && (!*text || (strlen(text) == 64 && sykli__store_hex(text, 64)
                               && !sykli_unhex(out->bytes, 32, text, 64)));
}

static bool sykli__store_decode_field(const sykli_json_doc *doc, const sykli__store_field *f,
                                      sykli__store_entry *e)
{
    uint32_t node = sykli_json_get(doc, 0, f->name);
    char *at = (char *)e + f->offset;
    const char *text = sykli_json_text(doc, node);
    uint64_t number;
    sykli_digest id;
    if (!node) return false;
    if (f->kind == SYKLI__STORE_number) {
        if (!sykli_json_u64(doc, node, &number)) return false;
        memcpy(at, &number, sizeof number);
    } else if (f->kind == SYKLI__STORE_digest) {
        if (!sykli__store_decode_digest(text, &id)) return false;
        memcpy(at, &id, sizeof id);
    } else {
        size_t size = text ? strlen(text) : f->size;
        if (size >= f->size) return false;
        if (f->kind == SYKLI__STORE_hex && size
            && (size != f->size - 1 || !sykli__store_hex(text, size)))
            return false;
        memcpy(at, text, size + 1);
    }
    return true;
}

static int sykli__store_decode_output(const sykli_json_doc *doc, uint32_t node,
                                      sykli__store_entry *e, sykli_fault *fault)
{
    const char *name = sykli_json_text(doc, sykli_json_get(doc, node, "name"));
    const char *path = sykli_json_text(doc, sykli_json_get(doc, node, "path"));
    const char *alg = sykli_json_text(doc, sykli_json_get(doc, node, "alg"));
    const char *digest = sykli_json_text(doc, sykli_json_get(doc, node, "digest"));
    const char *mode = sykli_json_text(doc, sykli_json_get(doc, node, "mode"));
    const char *type = sykli_json_text(doc, sykli_json_get(doc, node, "type"));
    sykli_digest id;
    uint64_t size;
    uint32_t line = doc->nodes[node].line, column = doc->nodes[node].column;
    bool is_link = type && !strcmp(type, "symlink"), runs = mode && !strcmp(mode, "0755");
    if (!name || strlen(name) > SYKLI_NAME_MAX || !path || !alg || strcmp(alg, "sha256tree")
        || !sykli__store_decode_digest(digest, &id) || sykli__store_none(&id)
        || !mode || (!runs && strcmp(mode, "0644")) || !type || (!is_link && strcmp(type, "file"))
        || !sykli_json_u64(doc, sykli_json_get(doc, node, "size"), &size)
        || size > SYKLI_BLOB_SIZE_MAX || doc->nodes[node].count != 7)
        return sykli_fail(fault, SYKLI_EPARSE, "%u:%u: an output must have name, path, alg, "
                          "digest, size, mode and type", (unsigned)line, (unsigned)column);
    int rc = sykli__store_entry_add(e, name, path,
                                    is_link ? SYKLI_FILE_symlink : SYKLI_FILE_regular, fault);
    if (rc) return rc == SYKLI_EINVAL ? SYKLI_EPARSE : rc;
    sykli__store_output *o = &e->outputs[e->output_count - 1];
    o->digest = id;
    o->size_bytes = size;
    o->mode = runs ? 0755 : 0644;
    return 0;
}

static int sykli__store_decode_doc(const sykli_json_doc *doc, sykli__store_entry *e,
                                   sykli_fault *fault)
{
    uint32_t outputs = sykli_json_get(doc, 0, "outputs");
    for (int i = 0; i < SYKLI__STORE_FIELD_COUNT; i++)
        if (!sykli__store_decode_field(doc, &sykli__store_fields[i], e))
            return sykli_fail(fault, SYKLI_EPARSE, "an entry's \"%s\" is missing or wrong",
                              sykli__store_fields[i].name);
    if (!outputs || doc->nodes[outputs].type != SYKLI_JSON_array
        || doc->nodes[0].count != SYKLI__STORE_FIELD_COUNT + 1)
        return sykli_fail(fault, SYKLI_EPARSE, "an entry has exactly the members of its format");
    if (e->format != SYKLI__STORE_ENTRY_FORMAT || !*e->key)
        return sykli_fail(fault, SYKLI_EUNSUPPORTED, "an entry of format %llu; %d is known",
                          (unsigned long long)e->format, SYKLI__STORE_ENTRY_FORMAT);
    int rc = 0;
    for (uint32_t at = sykli_json_first(doc, outputs); at && !rc;
         at = sykli_json_next(doc, outputs, at))
        rc = sykli__store_decode_output(doc, at, e, fault);
    return rc;
}

// Reads an entry from JSON that anybody may have sent.
//   e        free it with sykli__store_entry_free; on an error there is nothing to free
static int sykli__store_entry_decode(sykli__store_entry *e, sykli_mem *mem, const char *json,
                                     size_t size, sykli_fault *fault)
{
    sykli_json_doc doc;
    sykli__store_entry_init(e, mem);
    if (size > SYKLI__STORE_ENTRY_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "an entry of %zu bytes: at most %d are allowed",
                          size, SYKLI__STORE_ENTRY_MAX);
    int rc = sykli_json_parse(&doc, mem, json, size, fault);
    if (rc) return rc;
    if (doc.nodes[0].type == SYKLI_JSON_object) rc = sykli__store_decode_doc(&doc, e, fault);
    else rc = sykli_fail(fault, SYKLI_EPARSE, "an entry is a JSON object");
    sykli_json_free(&doc);
    if (rc) sykli__store_entry_free(e);
    return rc;
}

// On disk an entry is its JSON as it came, a line feed, then SHA-256 over that and the boot it was
// written in, a space, the boot and a line feed. Behind the boot of a durable one stands a plus.
static void sykli__store_sum(const char *json, size_t size, const char *boot, char out[65])
{
    sykli_sha256 h;
    uint8_t sum[32];
    sykli_sha256_init(&h);
    sykli_sha256_add(&h, json, size);
    sykli_sha256_add(&h, "\n", 1);
    sykli_sha256_add(&h, boot, strlen(boot));
    sykli_sha256_end(&h, sum);
    sykli_hex(out, sum, 32);
}

static int sykli__store_entry_write(sykli__store *s, const char *path, const char *json,
                                    size_t size, bool durable)
{
    sykli_buf text;
    char sum[65], boot[sizeof s->boot + 1];
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    snprintf(boot, sizeof boot, "%s%s", s->boot, durable ? "+" : "");
    sykli__store_sum(json, size, boot, sum);
    sykli_buf_add(&text, json, size);
    sykli_buf_print(&text, "\n%s %s\n", sum, boot);
    int rc = text.error ? -ENOMEM
           : sykli__store_file_put(s, path, text.data, text.size, durable);
    s->added_bytes += text.size;
    sykli_buf_free(&text);
    return rc;
}

// Takes the checksum off an entry's file.      returns  the boot it was written in; NULL: damaged
static const char *sykli__store_entry_check(sykli_buf *text, bool *out_durable)
{
    char *data = (char *)text->data, sum[65];
    if (text->size < 68 || data[text->size - 1] != '\n' || strlen(data) != text->size) return NULL;
    data[text->size - 1] = 0;
    char *line = strrchr(data, '\n');
    if (!line || strlen(line) < 66 || line[65] != ' ') return NULL;
    sykli__store_sum(data, (size_t)(line - data), line + 66, sum);
    if (memcmp(sum, line + 1, 64)) return NULL;
    *line = 0;
    text->size = (size_t)(line - data);
    char *plus = strchr(line + 66, '+');
    *out_durable = plus != NULL;
    if (plus) *plus = 0;
    return line + 66;
}

static bool sykli__store_key_valid(const char *key)
{
    return key && strlen(key) == 64 && sykli__store_hex(key, 64);
}

static sykli__store_path sykli__store_key_path(const char *key)
{
    sykli__store_path path;
    snprintf(path.text, sizeof path.text, "entries/%.2s/%s", key, key);
    return path;
}

// The place of an entry among those of its key: one a scope and writer.
static sykli__store_path sykli__store_entry_path(const sykli__store_entry *e)
{
    uint8_t sum[32];
    char hex[65];
    sykli_sha256 h;
    sykli_sha256_init(&h);
    sykli_sha256_add(&h, e->scope_kind, strlen(e->scope_kind) + 1);
    sykli_sha256_add(&h, e->scope_id, strlen(e->scope_id) + 1);
    sykli_sha256_add(&h, e->writer_id, strlen(e->writer_id) + 1);
    sykli_sha256_end(&h, sum);
    sykli_hex(hex, sum, 32);
    sykli__store_path path = sykli__store_key_path(e->key);
    size_t used = strlen(path.text);
    snprintf(path.text + used, sizeof path.text - used, "/%.16s.json", hex);
    return path;
}

// Whether one blob of an entry is here with its size; if `verify`, it is also read through.
static int sykli__store_blob_check(sykli__store *s, const sykli_digest *id, uint64_t size,
                                   bool verify, sykli_fault *fault)
{
    sykli_stat stat;
    int rc = sykli__store_find(s, id, &stat);
    if (rc) return sykli_fail_sys(fault, rc, "a blob of the entry is not in the store");
    if (stat.size_bytes != size) return sykli__store_damaged(s, id, fault);
    return verify ? sykli__store_copy(s, id, size, -1, fault) : 0;
}

static int sykli__store_entry_blobs(sykli__store *s, const sykli__store_entry *e, bool verify,
                                    sykli_fault *fault)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < e->output_count; i++)
        rc = sykli__store_blob_check(s, &e->outputs[i].digest, e->outputs[i].size_bytes, verify,
                                     fault);
    if (!rc && !sykli__store_none(&e->log))
        rc = sykli__store_blob_check(s, &e->log, e->log_bytes, verify, fault);
    return rc;
}

static int sykli__store_sync_blob(sykli__store *s, const sykli_digest *id)
{
    sykli__store_path path = sykli__store_blob_path(id);
    int rc = sykli__store_sync(s, path.text);
    *strrchr(path.text, '/') = 0;
    return rc ? rc : sykli__store_sync(s, path.text);
}

// Syncs what an entry stands on, so that it outlives a power cut together with the entry.
static int sykli__store_entry_sync(sykli__store *s, const sykli__store_entry *e)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < e->output_count; i++)
        rc = sykli__store_sync_blob(s, &e->outputs[i].digest);
    if (!rc && !sykli__store_none(&e->log)) rc = sykli__store_sync_blob(s, &e->log);
    if (!rc) rc = sykli__store_sync(s, "blobs");
    return rc ? rc : s->mem->sys->sync(s->mem->sys->user, s->dir_fd);
}

// Publishes an entry as JSON, byte for byte: a signature may be over it.
//   durable  it and its blobs survive a power cut when this returns 0
//   returns  0; EPARSE; ENOENT: a blob is missing; ECORRUPT: one is damaged; else the error
static int sykli__store_entry_put_json(sykli__store *s, const char *key, const char *json,
                                       size_t size, bool durable, sykli_fault *fault)
{
    sykli__store_entry e;
    if (!sykli__store_key_valid(key))
        return sykli_fail(fault, SYKLI_EINVAL, "an action's key is 64 hex digits");
    if (memchr(json, '\n', size))
        return sykli_fail(fault, SYKLI_EPARSE, "an entry is one line of JSON");
    int rc = sykli__store_entry_decode(&e, s->mem, json, size, fault);
    if (rc) return rc;
    if (strcmp(e.key, key)) rc = sykli_fail(fault, SYKLI_EPARSE, "the entry is of another key");
    if (!rc) rc = sykli__store_entry_blobs(s, &e, false, fault);
    if (!rc) {
        sykli__store_path path = sykli__store_entry_path(&e);
        if (durable) rc = sykli__store_entry_sync(s, &e);
        if (!rc) rc = sykli__store_entry_write(s, path.text, json, size, durable);
        for (char *slash; !rc && durable && (slash = strrchr(path.text, '/'));) {
            *slash = 0; // each folder on the way may be new
            rc = sykli__store_sync(s, path.text);
        }
        if (rc) rc = sykli_fail_sys(fault, rc, "the entry cannot be written");
    }
    sykli__store_entry_free(&e);
    return rc;
}

// Publishes an entry; key and format are filled in.
static int sykli__store_entry_put(sykli__store *s, const char *key, sykli__store_entry *e,
                                  bool durable, sykli_fault *fault)
{
    sykli_buf json;
    sykli_buf_init(&json, s->mem, SYKLI_TAG_store);
    json.max_bytes = SYKLI__STORE_ENTRY_MAX;
    snprintf(e->key, sizeof e->key, "%s", key);
    int rc = sykli__store_entry_encode(e, &json);
    if (rc) rc = sykli_fail(fault, rc, "an entry of more than %d bytes, or no memory for it",
                            SYKLI__STORE_ENTRY_MAX);
    else rc = sykli__store_entry_put_json(s, key, (const char *)json.data, json.size, durable,
                                          fault);
    sykli_buf_free(&json);
    return rc;
}

// Reads one entry's file; a damaged one is set aside.
//   text     gets the JSON       out_old  whether its blobs have to be read through first
static int sykli__store_entry_read(sykli__store *s, const char *path, sykli__store_entry *e,
                                   sykli_buf *text, bool *out_old, sykli_fault *fault)
{
    sykli_buf_reset(text);
    int rc = sykli__tree_slurp(s->mem, s->dir_fd, path, SYKLI__STORE_ENTRY_MAX + 256, text);
    if (rc && rc != -EFBIG) return sykli_fail_sys(fault, rc, "the entry %s", path);
    bool durable = false;
    const char *boot = rc ? NULL : sykli__store_entry_check(text, &durable);
    rc = SYKLI_ECORRUPT;
    if (boot) {
        *out_old = !*s->boot || strcmp(boot, s->boot) != 0;
        rc = sykli__store_entry_decode(e, s->mem, (const char *)text->data, text->size, fault);
    }
    if (!rc) {
        const char *name = strrchr(path, '/');
        e->durable = durable;
        if (name && name - path > 64 && !strncmp(name - 64, e->key, 64)) return 0;
        sykli__store_entry_free(e);
        rc = SYKLI_ECORRUPT;
    }
    if (rc == SYKLI_ENOMEM) return rc;
    sykli__store_quarantine(s, path);
    return sykli_fail(fault, SYKLI_ECORRUPT, "the entry %s is damaged; set aside", path);
}

// Whether an entry can be used now. One from another boot whose blobs are all sound is written
// again as of this boot.
static int sykli__store_entry_usable(sykli__store *s, const char *path,
                                     const sykli__store_entry *e, const sykli_buf *text, bool old,
                                     sykli_fault *fault)
{
    sykli_stat stat;
    int rc = sykli__store_entry_blobs(s, e, old, fault);
    if (rc == SYKLI_ECORRUPT && old) sykli__store_quarantine(s, path);
    if (rc) return rc;
    if (old && *s->boot)
        sykli__store_entry_write(s, path, (const char *)text->data, text->size, e->durable);
    else if (!s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat))
        sykli__store_touch(s, path, &stat);
    return 0;
}

// A search among the entries of a key for the newest that will do.
typedef struct sykli__store_search {
    bool (*accept)(void *user, const sykli__store_entry *e); // NULL: any
    void *user;
    sykli__store_entry best;
    sykli_buf best_json;
    bool found;
    int seen;
    sykli_fault *fault;
} sykli__store_search;

static int sykli__store_search_file(void *to, sykli__store *s, const char *path)
{
    sykli__store_search *search = (sykli__store_search *)to;
    sykli__store_entry e;
    sykli_buf text;
    bool old = false;
    if (search->seen++ == SYKLI__STORE_WRITERS_MAX) return 1;
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = sykli__store_entry_read(s, path, &e, &text, &old, search->fault);
    if (!rc) {
        bool wanted = (!search->found || e.created_ms > search->best.created_ms)
            && (!search->accept || search->accept(search->user, &e));
        if (wanted) rc = sykli__store_entry_usable(s, path, &e, &text, old, search->fault);
        if (wanted && !rc) {
            sykli__store_entry swap = search->best;
            sykli_buf swap_text = search->best_json;
            search->best = e;
            search->best_json = text;
            e = swap;
            text = swap_text;
            search->found = true;
        }
        sykli__store_entry_free(&e);
    }
    sykli_buf_free(&text);
    return rc == SYKLI_ENOMEM ? rc : 0; // one that is damaged or not whole leaves the others
}

// The newest entry of a key that `accept` takes and whose blobs are all here.
//   accept   decides by scope and writer, mesh-decisions of the caller; NULL: any
//   json     its text, may be NULL
//   returns  0 (free `out`), ENOENT, ENOMEM
static int sykli__store_entry_find(sykli__store *s, const char *key,
                                   bool (*accept)(void *user, const sykli__store_entry *e),
                                   void *user, sykli__store_entry *out, sykli_buf *json,
                                   sykli_fault *fault)
{
    sykli__store_search search = { .accept = accept, .user = user, .fault = fault };
    sykli__store_entry_init(out, s->mem);
    if (!sykli__store_key_valid(key))
        return sykli_fail(fault, SYKLI_EINVAL, "an action's key is 64 hex digits");
    sykli__store_entry_init(&search.best, s->mem);
    sykli_buf_init(&search.best_json, s->mem, SYKLI_TAG_store);
    sykli__store_path path = sykli__store_key_path(key);
    int rc = sykli__store_scan(s, path.text, SYKLI__STORE_DEPTH_MAX, sykli__store_search_file,
                               &search);
    if (rc == -ENOMEM || rc == SYKLI_ENOMEM) rc = sykli_fail(fault, SYKLI_ENOMEM, "no memory");
    else if (!search.found) rc = sykli_fail(fault, SYKLI_ENOENT, "no whole entry for %s", key);
    else rc = json && sykli_buf_add(json, search.best_json.data, search.best_json.size)
        ? sykli_fail(fault, json->error, "no memory for the entry's text") : 0;
    if (rc) sykli__store_entry_free(&search.best);
    else *out = search.best;
    sykli_buf_free(&search.best_json);
    return rc;
}

static int sykli__store_entry_get(sykli__store *s, const char *key, sykli__store_entry *out,
                                  sykli_fault *fault)
{
    return sykli__store_entry_find(s, key, NULL, NULL, out, NULL, fault);
}

// The JSON of an entry, for somebody else.
static int sykli__store_entry_load(sykli__store *s, const char *key, sykli_buf *json,
                                   sykli_fault *fault)
{
    sykli__store_entry e;
    int rc = sykli__store_entry_find(s, key, NULL, NULL, &e, json, fault);
    if (!rc) sykli__store_entry_free(&e);
    return rc;
}

// A blob as the collector, the tables and `sykli cache ls` see it.
typedef struct sykli__store_blob {
    sykli_digest digest;
    uint64_t size_bytes;
    int64_t used_ns;
} sykli__store_blob;

typedef struct sykli__store_blobs {
    int (*each)(void *user, const sykli__store_blob *blob);
    void *user;
} sykli__store_blobs;

static int sykli__store_blobs_file(void *to, sykli__store *s, const char *path)
{
    const sykli__store_blobs *blobs = (const sykli__store_blobs *)to;
    sykli__store_blob blob;
    sykli_stat stat;
    char hex[65];
    const char *at = path + sizeof "blobs/" - 1;
    if (strlen(at) != 65) return 0;
    snprintf(hex, sizeof hex, "%.2s%.62s", at, at + 3);
    if (sykli_unhex(blob.digest.bytes, 32, hex, 64)) return 0;
    if (s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat)) return 0; // gone since
    blob.size_bytes = stat.size_bytes;
    blob.used_ns = stat.mtime_ns;
    return blobs->each(blobs->user, &blob);
}

// Goes through all blobs, in no order.
static int sykli__store_each_blob(sykli__store *s,
                                  int (*each)(void *user, const sykli__store_blob *blob),
                                  void *user)
{
    sykli__store_blobs blobs = { each, user };
    return sykli__store_scan(s, "blobs", 1, sykli__store_blobs_file, &blobs);
}

typedef struct sykli__store_entries {
    int (*each)(void *user, const sykli__store_entry *e, int64_t used_ns);
    void *user;
} sykli__store_entries;

static int sykli__store_entries_file(void *to, sykli__store *s, const char *path)
{
    const sykli__store_entries *entries = (const sykli__store_entries *)to;
    sykli__store_entry e;
    sykli_stat stat;
    sykli_buf text;
    bool old;
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat);
    if (!rc) rc = sykli__store_entry_read(s, path, &e, &text, &old, NULL);
    sykli_buf_free(&text);
    if (rc) return rc == SYKLI_ENOMEM ? rc : 0;
    rc = entries->each(entries->user, &e, stat.mtime_ns);
    sykli__store_entry_free(&e);
    return rc;
}

// Goes through all entries, in no order, whether their blobs are here or not.
static int sykli__store_each_entry(sykli__store *s,
                                   int (*each)(void *user, const sykli__store_entry *e,
                                               int64_t used_ns),
                                   void *user)
{
    sykli__store_entries entries = { each, user };
    return sykli__store_scan(s, "entries", 1, sykli__store_entries_file, &entries);
}

static int sykli__store_stats_blob(void *user, const sykli__store_blob *blob)
{
    sykli_cache_usage *stats = (sykli_cache_usage *)user;
    stats->blobs++;
    stats->blob_bytes += blob->size_bytes;
    return 0;
}

static int sykli__store_stats_entry(void *to, sykli__store *s, const char *path)
{
    sykli_cache_usage *stats = (sykli_cache_usage *)to;
    sykli_stat stat;
    if (s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat)) return 0;
    stats->entries++;
    stats->entry_bytes += stat.size_bytes;
    return 0;
}

static int sykli__store_stats_get(sykli__store *s, sykli_cache_usage *out, sykli_fault *fault)
{
    int rc = sykli__store_each_blob(s, sykli__store_stats_blob, out);
    if (!rc) rc = sykli__store_scan(s, "entries", 1, sykli__store_stats_entry, out);
    return rc ? sykli_fail_sys(fault, rc, "the store cannot be read") : 0;
}

// What the collector may take: a blob, or an entry, whose key is then the digest.
typedef struct sykli__store_item {
    sykli__store_blob blob;
    char writer[17]; // of an entry: the name of its file; "": a blob
} sykli__store_item;

// One collection. Only one runs at a time on a store, whoever started it.
typedef struct sykli__store_gc_run {
    sykli__store *store;
    sykli__store_item *items;
    size_t count, capacity;
    uint64_t max_bytes, bytes;
    int64_t before_ns;  // what is used later, or held, stays
    int64_t old_ns;     // what was used before goes in any case
    uint64_t freed_bytes;
    bool told;          // STORE/changed was written
} sykli__store_gc_run;

static int sykli__store_gc_add(sykli__store_gc_run *run, const sykli__store_item *item)
{
    if (!sykli__base_room(run->store->mem, SYKLI_TAG_store, &run->items, &run->capacity,
                          run->count, sizeof *run->items, SIZE_MAX / sizeof *run->items))
        return -ENOMEM;
    run->items[run->count++] = *item;
    run->bytes += item->blob.size_bytes;
    return 0;
}

static int sykli__store_gc_add_blob(void *user, const sykli__store_blob *blob)
{
    sykli__store_item item = { .blob = *blob };
    return sykli__store_gc_add((sykli__store_gc_run *)user, &item);
}

static int sykli__store_gc_add_entry(void *user, sykli__store *s, const char *path)
{
    sykli__store_item item;
    sykli_stat stat;
    const char *name = strrchr(path, '/') + 1;
    if (name - path < 65 || strlen(name) != 21 || strcmp(name + 16, ".json")
        || sykli_unhex(item.blob.digest.bytes, 32, name - 65, 64)
        || s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat))
        return 0;
    item.blob.size_bytes = stat.size_bytes;
    item.blob.used_ns = stat.mtime_ns;
    snprintf(item.writer, sizeof item.writer, "%.16s", name);
    return sykli__store_gc_add((sykli__store_gc_run *)user, &item);
}

static int sykli__store_gc_compare(const void *a, const void *b, void *user)
{
    int64_t x = ((const sykli__store_item *)a)->blob.used_ns;
    int64_t y = ((const sykli__store_item *)b)->blob.used_ns;
    (void)user;
    return (x > y) - (x < y);
}

// Takes one blob away. It is moved first and looked at again: who noted its use meanwhile keeps it.
// Whoever wants it while it is away takes it back (sykli__store_rescue).
static bool sykli__store_gc_blob(sykli__store_gc_run *run, const sykli_digest *id)
{
    sykli__store *s = run->store;
    const sykli_sys *sys = s->mem->sys;
    sykli_stat stat;
    sykli__store_path path = sykli__store_blob_path(id), away = sykli__store_away_path(id);
    if (sys->stat(sys->user, s->dir_fd, path.text, &stat) || stat.mtime_ns >= run->before_ns
        || sys->rename(sys->user, s->dir_fd, path.text, s->dir_fd, away.text))
        return false;
    if (!sys->stat(sys->user, s->dir_fd, away.text, &stat) && stat.mtime_ns < run->before_ns)
        return !sys->remove(sys->user, s->dir_fd, away.text, 0);
    sykli__store_rename(s, away.text, path.text);
    return false;
}

// Removes an entry, and the folder of its key if it was the last.
//   returns  0 or the negated errno
static int sykli__store_remove_entry(sykli__store *s, const char *path)
{
    const sykli_sys *sys = s->mem->sys;
    sykli__store_path folder;
    int rc = sys->remove(sys->user, s->dir_fd, path, 0);
    if (rc) return rc;
    snprintf(folder.text, sizeof folder.text, "%.*s", (int)(strrchr(path, '/') - path), path);
    sys->remove(sys->user, s->dir_fd, folder.text, 1);
    return 0;
}

static bool sykli__store_gc_file(sykli__store_gc_run *run, const sykli__store_item *item)
{
    sykli__store *s = run->store;
    const sykli_sys *sys = s->mem->sys;
    sykli_stat stat;
    char key[65];
    sykli_hex(key, item->blob.digest.bytes, 32);
    sykli__store_path path = sykli__store_key_path(key);
    size_t used = strlen(path.text);
    snprintf(path.text + used, sizeof path.text - used, "/%s.json", item->writer);
    if (sys->stat(sys->user, s->dir_fd, path.text, &stat) || stat.mtime_ns >= run->before_ns)
        return false;
    return !sykli__store_remove_entry(s, path.text);
}

// Takes what was used before `old_ns`, then what was not used for longest until the rest fits.
static void sykli__store_gc_take(sykli__store_gc_run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        const sykli__store_item *item = &run->items[i];
        if (item->blob.used_ns >= run->old_ns && run->bytes <= run->max_bytes) return;
        if (item->blob.used_ns >= run->before_ns) return;
        if (!run->told) sykli__store_removing(run->store);
        run->told = true;
        if (*item->writer ? !sykli__store_gc_file(run, item)
                          : !sykli__store_gc_blob(run, &item->blob.digest)) continue;
        run->bytes -= item->blob.size_bytes;
        run->freed_bytes += item->blob.size_bytes;
    }
}

// Removes an entry that nobody used lately and that is no longer whole.
static int sykli__store_gc_entry(void *to, sykli__store *s, const char *path)
{
    const sykli__store_gc_run *run = (const sykli__store_gc_run *)to;
    sykli__store_entry e;
    sykli_stat stat;
    sykli_buf text;
    bool old;
    if (s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat)
        || stat.mtime_ns >= run->before_ns)
        return 0;
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = sykli__store_entry_read(s, path, &e, &text, &old, NULL);
    bool whole = true;
    for (size_t i = 0; !rc && whole && i <= e.output_count; i++) {
        const sykli_digest *id = i < e.output_count ? &e.outputs[i].digest : &e.log;
        sykli__store_path blob = sykli__store_blob_path(id);
        if (!sykli__store_none(id))
            whole = s->mem->sys->stat(s->mem->sys->user, s->dir_fd, blob.text, &stat) != -ENOENT;
    }
    if (!rc) sykli__store_entry_free(&e);
    if (!rc && !whole) sykli__store_remove_entry(s, path);
    sykli_buf_free(&text);
    return 0;
}

typedef struct sykli__store_sweep { int64_t before_ns; } sykli__store_sweep;

static int sykli__store_sweep_file(void *to, sykli__store *s, const char *path)
{
    sykli_stat stat;
    if (!s->mem->sys->stat(s->mem->sys->user, s->dir_fd, path, &stat)
        && stat.mtime_ns < ((const sykli__store_sweep *)to)->before_ns)
        s->mem->sys->remove(s->mem->sys->user, s->dir_fd, path, 0);
    return 0;
}

// Removes what a process that died left under way, and damaged data after a week.
static void sykli__store_sweep_all(sykli__store *s)
{
    int64_t now = sykli__store_now_ns(s);
    sykli__store_sweep tmp = { now - SYKLI__STORE_TMP_NS };
    sykli__store_sweep old = { now - SYKLI__STORE_QUARANTINE_NS };
    sykli__store_scan(s, "tmp", SYKLI__STORE_DEPTH_MAX, sykli__store_sweep_file, &tmp);
    sykli__store_scan(s, "quarantine", SYKLI__STORE_DEPTH_MAX, sykli__store_sweep_file, &old);
}

static int sykli__store_gc_locked(sykli__store_gc_run *run)
{
    sykli__store *s = run->store;
    char text[32];
    sykli__store_sweep_all(s);
    int rc = sykli__store_each_blob(s, sykli__store_gc_add_blob, run);
    if (!rc) rc = sykli__store_scan(s, "entries", 1, sykli__store_gc_add_entry, run);
    size_t bytes = run->count * sizeof *run->items;
    void *scratch = rc || !bytes ? NULL
                  : sykli_mem_resize(s->mem, SYKLI_TAG_store, NULL, 0, bytes);
    if (scratch) {
        sykli_sort(run->items, run->count, sizeof *run->items, scratch, sykli__store_gc_compare,
                   NULL);
        sykli_mem_resize(s->mem, SYKLI_TAG_store, scratch, bytes, 0);
        sykli__store_gc_take(run);
    } else if (!rc && bytes) rc = -ENOMEM;
    if (!rc && run->freed_bytes)
        rc = sykli__store_scan(s, "entries", 1, sykli__store_gc_entry, run);
    if (run->items)
        sykli_mem_resize(s->mem, SYKLI_TAG_store, run->items, run->capacity * sizeof *run->items,
                         0);
    int size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)run->bytes);
    if (!rc) sykli__store_file_put(s, "usage", text, (size_t)size, false); // else it is too high
    return rc;
}

// Takes the lease of the collector.    returns  a descriptor, EBUSY or the error
static int sykli__store_lease(sykli__store *s, sykli_fault *fault)
{
    const sykli_sys *sys = s->mem->sys;
    int fd = sys->open(sys->user, s->dir_fd, "gc.lock", SYKLI_OPEN_write | SYKLI_OPEN_create, 0600);
    if (fd < 0) return sykli_fail_sys(fault, fd, "the store's gc.lock");
    int rc = sys->lock(sys->user, fd, 1);
    if (rc >= 0) return fd;
    sys->close(sys->user, fd);
    if (rc == -EAGAIN || rc == -EWOULDBLOCK)
        return sykli_fail(fault, SYKLI_EBUSY, "another process is collecting this store");
    return sykli_fail_sys(fault, rc, "the store's gc.lock");
}

// Removes what was not used for `older_ms` (0: whatever its age), then what was not used for
// longest until at most max_bytes are left. What is held or used meanwhile stays in any case.
//   returns  0, EBUSY (another process is at it), or the error
static int sykli__store_gc_older(sykli__store *s, uint64_t max_bytes, uint64_t older_ms,
                                 uint64_t *out_freed, sykli_fault *fault)
{
    sykli__store_gc_run run = { .store = s, .max_bytes = max_bytes, .old_ns = INT64_MIN };
    run.before_ns = sykli__store_now_ns(s) + 1000000; // the clock has so coarse a grain
    uint64_t age_ms = (uint64_t)run.before_ns / 1000000;
    if (older_ms && older_ms < age_ms) run.old_ns = run.before_ns - (int64_t)older_ms * 1000000;
    int lease = sykli__store_lease(s, fault);
    if (lease < 0) return lease;
    int rc = sykli__store_gc_locked(&run);
    if (run.told) sykli__store_removing(s);
    s->mem->sys->close(s->mem->sys->user, lease);
    s->added_bytes = rc ? s->added_bytes : 0;
    if (out_freed) *out_freed = run.freed_bytes;
    return rc ? sykli_fail_sys(fault, rc, "the store cannot be collected") : 0;
}

static int sykli__store_gc(sykli__store *s, uint64_t max_bytes, uint64_t *out_freed,
                           sykli_fault *fault)
{
    return sykli__store_gc_older(s, max_bytes, 0, out_freed, fault);
}

// What all processes have noted to be in the store.    returns  false: it has to be counted
static bool sykli__store_usage(sykli__store *s, uint64_t *out)
{
    sykli_buf text;
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = sykli__tree_slurp(s->mem, s->dir_fd, "usage", SYKLI__STORE_CHUNK, &text);
    const char *at = rc || !text.size ? "" : (const char *)text.data;
    for (*out = 0; *at; at += strcspn(at, "\n"), at += *at == '\n') *out += strtoull(at, NULL, 10);
    sykli_buf_free(&text);
    return !rc;
}

// Notes how much this process has added.
static int sykli__store_usage_add(sykli__store *s)
{
    const sykli_sys *sys = s->mem->sys;
    char text[32];
    int size = snprintf(text, sizeof text, "%llu\n", (unsigned long long)s->added_bytes);
    int fd = sys->open(sys->user, s->dir_fd, "usage", SYKLI_OPEN_write | SYKLI_OPEN_append, 0600);
    if (fd < 0) return fd;
    int rc = sykli__tree_write(sys, fd, text, (size_t)size);
    sys->close(sys->user, fd);
    if (!rc) s->added_bytes = 0;
    return rc;
}

// Keeps the store within its quota. Counting it all costs too much for each run, so each process
// notes what it added, and the collector, which counts, puts it right. It makes a tenth more room
// than it must, so that it is not back at once.
//   slack    how much may be added before it is looked at; 0: look now
static void sykli__store_keep(sykli__store *s, uint64_t max_bytes, uint64_t slack)
{
    uint64_t bytes;
    if (!max_bytes || !s->added_bytes || s->added_bytes < slack) return;
    bool known = !sykli__store_usage_add(s) && sykli__store_usage(s, &bytes);
    if (!known || bytes > max_bytes) sykli__store_gc(s, max_bytes - max_bytes / 10, NULL, NULL);
}

static int sykli__store_clear_file(void *to, sykli__store *s, const char *path)
{
    (void)to;
    int rc = !strncmp(path, "entries/", 8) ? sykli__store_remove_entry(s, path)
           : s->mem->sys->remove(s->mem->sys->user, s->dir_fd, path, 0);
    return rc == -ENOENT ? 0 : rc;
}

// Empties the store: entries first, so that none is left without its blobs. Its folders stay, for a
// run beside this may be putting something there, which is newer than the wish to be rid of all.
static int sykli__store_clear(sykli__store *s, sykli_fault *fault)
{
    static const char *const folders[] = { "entries", "blobs", "quarantine" };
    const sykli_sys *sys = s->mem->sys;
    int rc = 0, lease = sykli__store_lease(s, fault);
    if (lease < 0) return lease;
    sykli__store_read_close(s);
    sykli__store_removing(s);
    for (int i = 0; !rc && i < 3; i++)
        rc = sykli__store_scan(s, folders[i], 1, sykli__store_clear_file, NULL);
    sykli__store_removing(s);
    sys->remove(sys->user, s->dir_fd, "usage", 0);
    sys->close(sys->user, lease);
    return rc ? sykli_fail_sys(fault, rc, "the store cannot be emptied") : 0;
}

// Makes a folder and syncs the one it is in, so that what is durable below it is to be found again.
static int sykli__store_make_dir(const sykli_sys *sys, char *path)
{
    int rc = sys->mkdir(sys->user, SYKLI_CWD, path, 0700);
    if (rc) return rc;
    char *slash = strrchr(path, '/');
    if (slash) *slash = 0;
    int fd = sys->open(sys->user, SYKLI_CWD, !slash ? "." : slash == path ? "/" : path,
                       SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (slash) *slash = '/';
    if (fd < 0) return fd;
    rc = sys->sync(sys->user, fd);
    sys->close(sys->user, fd);
    return rc;
}

// Opens the folder, making it and those above it where they are missing.
static int sykli__store_open_dir(sykli_mem *mem, const char *dir)
{
    const sykli_sys *sys = mem->sys;
    const int flags = SYKLI_OPEN_read | SYKLI_OPEN_directory;
    int fd = sys->open(sys->user, SYKLI_CWD, dir, flags, 0);
    if (fd != -ENOENT) return fd;
    char *path = sykli_mem_text(mem, SYKLI_TAG_store, dir, strlen(dir));
    if (!path) return -ENOMEM;
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            sykli__store_make_dir(sys, path); // if it cannot be, the last one says so
            *p = '/';
        }
    fd = sykli__store_make_dir(sys, path);
    if (!fd || fd == -EEXIST) fd = sys->open(sys->user, SYKLI_CWD, path, flags, 0);
    sykli_mem_text_free(mem, SYKLI_TAG_store, path);
    return fd;
}

// Checks that the folder is laid out as we know it, and lays out a new one. Its folders are made
// each time where they are missing: a power cut may have kept the version and not them.
static int sykli__store_layout(sykli__store *s, const char *dir, sykli_fault *fault)
{
    static const char *const folders[] = { "blobs", "entries", "tmp", "quarantine" };
    char version[32];
    sykli_buf text;
    int size = snprintf(version, sizeof version, "sykli store %d\n", SYKLI__STORE_VERSION);
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    int rc = sykli__tree_slurp(s->mem, s->dir_fd, "VERSION", 4096, &text);
    bool same = !rc && text.size == (size_t)size && !memcmp(text.data, version, text.size);
    bool fresh = rc == -ENOENT || (!rc && !text.size);
    sykli_buf_free(&text);
    if (rc && rc != -ENOENT) return sykli_fail_sys(fault, rc, "the store's %s/VERSION", dir);
    if (!same && !fresh)
        return sykli_fail(fault, SYKLI_EUNSUPPORTED, "%s is not a store of version %d; choose "
                          "another cache_dir", dir, SYKLI__STORE_VERSION);
    for (int i = 0; i < 4; i++) {
        rc = s->mem->sys->mkdir(s->mem->sys->user, s->dir_fd, folders[i], 0700);
        if (rc && rc != -EEXIST) return sykli_fail_sys(fault, rc, "%s/%s", dir, folders[i]);
    }
    if (same) return 0;
    // Synced: half of it after a power cut would be the version of a store we do not know.
    rc = sykli__store_file_put(s, "VERSION", version, (size_t)size, true);
    return rc ? sykli_fail_sys(fault, rc, "%s/VERSION", dir) : 0;
}

// What this boot of the machine is called. Without a name every entry counts as from another.
static void sykli__store_boot(sykli__store *s)
{
    sykli_buf text;
    sykli_buf_init(&text, s->mem, SYKLI_TAG_store);
    if (!sykli__tree_slurp(s->mem, SYKLI_CWD, "/proc/sys/kernel/random/boot_id", 4096, &text)) {
        size_t size = strspn((const char *)text.data, "0123456789abcdef-");
        if (size < sizeof s->boot) memcpy(s->boot, text.data, size);
    }
    sykli_buf_free(&text);
}

static void sykli__store_close(sykli__store *s)
{
    if (!s->mem) return;
    sykli__store_read_close(s);
    if (s->dir_fd >= 0) s->mem->sys->close(s->mem->sys->user, s->dir_fd);
    if (s->chunk) sykli_mem_resize(s->mem, SYKLI_TAG_store, s->chunk, SYKLI__STORE_CHUNK, 0);
    memset(s, 0, sizeof *s);
}

// Opens the store in a folder, which is made if it is not there.
//   returns  0 or the error; on an error there is nothing to close
static int sykli__store_open(sykli__store *s, sykli_mem *mem, const char *dir, uint64_t max_bytes,
                             sykli_fault *fault)
{
    const sykli_sys *sys = mem->sys;
    uint8_t random[8];
    memset(s, 0, sizeof *s);
    s->mem = mem;
    s->max_bytes = max_bytes;
    s->read_fd = -1;
    s->dir_fd = sykli__store_open_dir(mem, dir);
    int rc = s->dir_fd < 0 ? s->dir_fd : sys->random(sys->user, random, sizeof random);
    if (rc >= 0) {
        sykli_hex(s->unique, random, sizeof random);
        s->chunk = (uint8_t *)sykli_mem_resize(mem, SYKLI_TAG_store, NULL, 0, SYKLI__STORE_CHUNK);
        if (!s->chunk) rc = -ENOMEM;
    }
    rc = rc < 0 ? sykli_fail_sys(fault, rc, "the store %s cannot be opened", dir)
                : sykli__store_layout(s, dir, fault);
    if (rc == SYKLI_ENOENT) { // a folder that cannot be made: the machine's fault, no wrong name
        rc = SYKLI_EIO;
        if (fault) fault->code = rc;
    }
    if (rc) {
        sykli__store_close(s);
        return rc;
    }
    sykli__store_boot(s);
    sykli__store_sweep_all(s);
    return 0;
}

// >>key ---- the action key and what changed in it
// The key of an action is SHA-256 over all that can change its result, part by part; the same parts
// are kept as a manifest of one line each, so that the difference between two runs can be told in
// words. Building and comparing are pure. What identifies project, platform and tools is read from
// files: the git configuration, the program loader, the release file, the compiler's own bytes.

enum {
    SYKLI__KEY_VALUE_MAX = 4096,     // bytes of a value in a manifest; longer ones by their digest
    SYKLI__KEY_LINES_MAX = 1 << 21,  // lines of a manifest
    SYKLI__KEY_FILE_MAX = 1 << 20,   // bytes of a configuration file
    SYKLI__KEY_LOADER_MAX = 8 << 20, // bytes of a program loader
    SYKLI__KEY_DEPTH_MAX = 128       // folders above a project
};

typedef struct sykli__key {
    sykli_buf manifest;
    sykli_sha256 hash;
    sykli_buf raw; // the same parts as they are, for sykli__key_mark
    bool marks;    // the mark is all that is wanted: no manifest, no hash
    bool stats;    // of a file the stat stands for its bytes
    bool stands;   // and may do so: all are plain files that had rested before `since_ns`
    int64_t since_ns;
} sykli__key;

static void sykli__key_hash(sykli__key *key, const void *data, size_t size)
{
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)size >> (8 * i));
    sykli_sha256_add(&key->hash, length, sizeof length);
    sykli_sha256_add(&key->hash, data, size);
}

// Writes text so that a line holds it: control bytes, the backslash and `stop` as \xHH.
static void sykli__key_escape(sykli_buf *out, const char *text, size_t size, char stop)
{
    bool plain = sykli_utf8_valid(text, size);
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != 0x7f && c != '\\' && text[i] != stop && (plain || c < 0x80)) continue;
        sykli_buf_add(out, text + from, i - from);
        sykli_buf_print(out, "\\x%02x", c);
        from = i + 1;
    }
    sykli_buf_add(out, text + from, size - from);
}

// Adds a part as it is: three sizes, then what has them. No part has 4 GiB.
static void sykli__key_raw(sykli__key *key, const char *part, const char *name, const void *value,
                           size_t size)
{
    const uint32_t sizes[3] = { (uint32_t)strlen(part), (uint32_t)strlen(name), (uint32_t)size };
    size_t all = sizeof sizes + (size_t)sizes[0] + sizes[1] + size;
    uint8_t *room = sykli_buf_grow(&key->raw, all);
    if (!room) return;
    memcpy(room, sizes, sizeof sizes);
    room += sizeof sizes;
    memcpy(room, part, sizes[0]);
    memcpy(room + sizes[0], name, sizes[1]);
    if (size) memcpy(room + sizes[0] + sizes[1], value, size);
    key->raw.size += all;
}

// Writes one part to hash and manifest.
static int sykli__key_tell(sykli__key *key, const char *part, const char *name, const void *value,
                          size_t size)
{
    sykli_buf *m = &key->manifest;
    size_t part_size = strlen(part), name_size = strlen(name);
    sykli__key_hash(key, part, part_size);
    sykli__key_hash(key, name, name_size);
    sykli__key_hash(key, value, size);
    sykli_buf_print(m, "%s ", part);
    sykli__key_escape(m, name, strlen(name), '=');
    sykli_buf_text(m, "=");
    if (size > SYKLI__KEY_VALUE_MAX) {
        uint8_t sum[32];
        char hex[65];
        sykli_sha256_of(value, size, sum);
        sykli_hex(hex, sum, 32);
        sykli_buf_print(m, "(%zu bytes, sha256 %s)", size, hex);
    } else sykli__key_escape(m, (const char *)value, size, '\n');
    return sykli_buf_text(m, "\n");
}

// Adds one part: "env" "CC" "gcc"; "command" "" "make"; "input" "src/a.c" "0644 DIGEST".
//   part     one word
//   returns  0 or ENOMEM, which stays
static int sykli__key_add(sykli__key *key, const char *part, const char *name, const void *value,
                          size_t size)
{
    sykli__key_raw(key, part, name, value, size);
    return key->marks ? key->raw.error : sykli__key_tell(key, part, name, value, size);
}

static void sykli__key_init(sykli__key *key, sykli_mem *mem)
{
    sykli_buf_init(&key->manifest, mem, SYKLI_TAG_store);
    sykli_buf_init(&key->raw, mem, SYKLI_TAG_store);
    key->marks = key->stats = false;
    key->stands = true;
}

static void sykli__key_schema(sykli__key *key)
{
    char schema[16];
    int size = snprintf(schema, sizeof schema, "%d", SYKLI__STORE_KEY_SCHEMA);
    sykli__key_add(key, "schema", "", schema, (size_t)size);
}

static void sykli__key_begin(sykli__key *key, sykli_mem *mem)
{
    sykli__key_init(key, mem);
    sykli_sha256_init(&key->hash);
    sykli__key_hash(key, "sykli action key", 16); // no other hash of ours begins like this
    sykli__key_schema(key);
}

// Adds the stat of a file in place of what is in it.
static int sykli__key_add_stat(sykli__key *key, const char *part, const char *path,
                               const sykli_stat *stat)
{
    const uint64_t fields[6] = { stat->size_bytes, (uint64_t)stat->mtime_ns,
        (uint64_t)stat->ctime_ns, stat->inode, stat->device,
        (uint64_t)stat->mode << 8 | (uint64_t)stat->type };
    key->stands = key->stands && stat->type == SYKLI_FILE_regular
               && sykli__tree_rested(stat, key->since_ns);
    sykli__key_raw(key, part, path, fields, sizeof fields);
    return key->raw.error;
}

// What a key has of a file: its kind, its digest, of a link also what is behind it.
enum { SYKLI__KEY_FILE_BYTES = 65 };

static void sykli__key_file(const sykli__tree_file *file, uint8_t out[SYKLI__KEY_FILE_BYTES])
{
    out[0] = file->stat.type == SYKLI_FILE_symlink ? 'l' : file->stat.mode & 0100 ? 'x' : 'f';
    memcpy(out + 1, file->digest.bytes, 32);
    memcpy(out + 33, file->behind.bytes, 32);
}

// Adds an input as the walk found it: mode and digest, of a link also what is behind it.
static int sykli__key_add_file(sykli__key *key, const char *part, const sykli__tree_file *file)
{
    char text[160], hex[65], behind[65] = "";
    if (key->stats) return sykli__key_add_stat(key, part, file->path, &file->stat);
    bool is_link = file->stat.type == SYKLI_FILE_symlink;
    key->stands = key->stands && !is_link;
    uint8_t bare[SYKLI__KEY_FILE_BYTES];
    sykli__key_file(file, bare);
    sykli__key_raw(key, part, file->path, bare, sizeof bare);
    if (key->marks) return key->raw.error;
    sykli_hex(hex, file->digest.bytes, 32);
    if (!sykli__store_none(&file->behind)) sykli_hex(behind, file->behind.bytes, 32);
    int size = snprintf(text, sizeof text, "%s %s%s%s", is_link ? "link"
                        : file->stat.mode & 0100 ? "0755" : "0644", hex, *behind ? " " : "",
                        behind);
    return sykli__key_tell(key, part, file->path, text, (size_t)size);
}

// Begins again with a key of which only the mark is wanted. Its memory is used again.
static void sykli__key_marks(sykli__key *key)
{
    sykli_buf_reset(&key->raw);
    key->marks = key->stands = true;
    key->stats = false;
}

// The same with stats in place of bytes.
//   since_ns  to learn whether they may stand for those: when these were looked at, or before
static void sykli__key_stats(sykli__key *key, int64_t since_ns)
{
    sykli__key_marks(key);
    key->stats = true;
    key->since_ns = since_ns;
}

// The next part of a key as sykli__key_raw has written it.
//   at       where it begins; on return where the one behind it does
//   out      starts of part, name and value; their sizes
//   returns  whether there was one
static bool sykli__key_raw_next(const uint8_t *raw, size_t size, size_t *at,
                                const uint8_t *out[3], uint32_t sizes[3])
{
    if (*at >= size) return false;
    memcpy(sizes, raw + *at, 3 * sizeof *sizes);
    out[0] = raw + *at + 3 * sizeof *sizes;
    out[1] = out[0] + sizes[0];
    out[2] = out[1] + sizes[1];
    *at = (size_t)(out[2] - raw) + sizes[2];
    return true;
}

// A short name for the parts added so far, under a secret: equal marks mean equal keys on this
// machine, for a tenth of the time of a key.
static void sykli__key_mark(const sykli__key *key, const uint64_t secret[2], uint64_t out[2])
{
    out[0] = sykli__base_sip(secret, key->raw.data, key->raw.size, &out[1]);
}

// Puts a mark in the place of the parts added so far, which many keys begin with.
//   mark     of these parts, if `known`; else it is made
static void sykli__key_fold(sykli__key *key, const uint64_t secret[2], uint64_t mark[2], bool known)
{
    if (!known) sykli__key_mark(key, secret, mark);
    sykli_buf_reset(&key->raw);
    sykli__key_raw(key, "", "", mark, 2 * sizeof *mark);
}

// Ends the key; the manifest stays until sykli__key_free.
//   returns  0, or ENOMEM if the manifest is not whole
static int sykli__key_end(sykli__key *key, char out_hex[65])
{
    uint8_t sum[32];
    sykli_sha256_end(&key->hash, sum);
    sykli_hex(out_hex, sum, sizeof sum);
    return key->manifest.error;
}

static void sykli__key_free(sykli__key *key)
{
    sykli_buf_free(&key->manifest);
    sykli_buf_free(&key->raw);
}

typedef struct sykli__key_line { const char *part, *name, *value; } sykli__key_line;
typedef struct sykli__key_lines {
    sykli_mem *mem;
    char *text;
    size_t text_size;
    sykli__key_line *lines;
    size_t count, capacity;
} sykli__key_lines;

static void sykli__key_lines_free(sykli__key_lines *l)
{
    if (l->text) sykli_mem_resize(l->mem, SYKLI_TAG_store, l->text, l->text_size + 1, 0);
    if (l->lines)
        sykli_mem_resize(l->mem, SYKLI_TAG_store, l->lines, l->capacity * sizeof *l->lines, 0);
}

// Takes the escapes out, in place.
static void sykli__key_unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        uint8_t byte;
        if (from[0] == '\\' && from[1] == 'x' && from[2] && from[3]
            && !sykli_unhex(&byte, 1, from + 2, 2)) {
            *to = (char)byte;
            from += 4;
        } else *to = *from++;
    }
    *to = 0;
}

static int sykli__key_line_compare(const void *a, const void *b, void *user)
{
    const sykli__key_line *x = (const sykli__key_line *)a, *y = (const sykli__key_line *)b;
    (void)user;
    int order = strcmp(x->part, y->part);
    return order ? order : strcmp(x->name, y->name);
}

static int sykli__key_lines_sort(sykli__key_lines *l)
{
    size_t bytes = l->count * sizeof *l->lines;
    if (l->count < 2) return 0;
    void *scratch = sykli_mem_resize(l->mem, SYKLI_TAG_store, NULL, 0, bytes);
    if (!scratch) return SYKLI_ENOMEM;
    sykli_sort(l->lines, l->count, sizeof *l->lines, scratch, sykli__key_line_compare, NULL);
    sykli_mem_resize(l->mem, SYKLI_TAG_store, scratch, bytes, 0);
    return 0;
}

// Takes a manifest apart, sorted by part and name. Lines that are none are passed over.
static int sykli__key_lines_read(sykli__key_lines *l, sykli_mem *mem, const char *manifest)
{
    *l = (sykli__key_lines){ .mem = mem, .text_size = strlen(manifest) };
    l->text = sykli_mem_text(mem, SYKLI_TAG_store, manifest, l->text_size);
    if (!l->text) return SYKLI_ENOMEM;
    for (char *line = l->text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        char *name = strchr(line, ' '), *value = name ? strchr(name, '=') : NULL;
        if (!value) continue;
        if (!sykli__base_room(mem, SYKLI_TAG_store, &l->lines, &l->capacity, l->count,
                              sizeof *l->lines, SYKLI__KEY_LINES_MAX))
            return SYKLI_ENOMEM;
        *name++ = *value++ = 0;
        sykli__key_unescape(name);
        sykli__key_unescape(value);
        l->lines[l->count++] = (sykli__key_line){ line, name, value };
    }
    return sykli__key_lines_sort(l);
}

typedef int (*sykli__key_each)(void *to, const char *part, const char *name, const char *old_value,
                               const char *new_value);

static int sykli__key_lines_diff(const sykli__key_lines *was, const sykli__key_lines *is,
                                 sykli__key_each each, void *to)
{
    int rc = 0;
    for (size_t i = 0, j = 0; !rc && (i < was->count || j < is->count);) {
        const sykli__key_line *a = i < was->count ? &was->lines[i] : NULL;
        const sykli__key_line *b = j < is->count ? &is->lines[j] : NULL;
        int order = !a ? 1 : !b ? -1 : sykli__key_line_compare(a, b, NULL);
        if (order < 0) rc = each(to, a->part, a->name, a->value, NULL);
        else if (order > 0) rc = each(to, b->part, b->name, NULL, b->value);
        else if (strcmp(a->value, b->value)) rc = each(to, a->part, a->name, a->value, b->value);
        i += order <= 0;
        j += order >= 0;
    }
    return rc;
}

// What differs between two manifests, in order of part and name.
//   each     old or new value is NULL where the part was added or taken away; non-zero ends it
//   returns  0, what `each` returned, or ENOMEM
static int sykli__key_diff(sykli_mem *mem, const char *old_manifest, const char *new_manifest,
                           sykli__key_each each, void *to)
{
    sykli__key_lines was, is = { 0 };
    int rc = sykli__key_lines_read(&was, mem, old_manifest);
    if (!rc) rc = sykli__key_lines_read(&is, mem, new_manifest);
    if (!rc) rc = sykli__key_lines_diff(&was, &is, each, to);
    sykli__key_lines_free(&was);
    sykli__key_lines_free(&is);
    return rc;
}

// One difference in words: "input src/a.c changed", "env CC changed from gcc to clang", "command
// changed". Values that are digests or long are not repeated.
static int sykli__key_reason(sykli_buf *out, const char *part, const char *name,
                             const char *old_value, const char *new_value)
{
    static const char *const told = " env host platform fingerprint target project schema workdir ";
    char word[34];
    snprintf(word, sizeof word, " %.31s ", part);
    bool tell = strstr(told, word) && (!old_value || strlen(old_value) <= 80)
        && (!new_value || strlen(new_value) <= 80);
    sykli_buf_print(out, "%s%s%s", part, *name ? " " : "", name);
    if (!old_value) return sykli_buf_print(out, tell ? " added: %s" : " added", new_value);
    if (!new_value) return sykli_buf_print(out, tell ? " removed, was %s" : " removed", old_value);
    return tell ? sykli_buf_print(out, " changed from %s to %s", *old_value ? old_value : "\"\"",
                                  *new_value ? new_value : "\"\"")
                : sykli_buf_text(out, " changed");
}

// Takes from a remote's URL what names the repository: host and path. Scheme, user (it may be a
// token), port and a trailing ".git" differ between those who fetch the same. A path on this
// machine has the host "localhost".
static int sykli__key_origin(const char *url, size_t size, sykli_buf *out)
{
    const char *end = url + size, *host = url, *path, *at;
    const char *scheme = NULL;
    for (const char *p = url; p + 3 <= end && !scheme; p++)
        if (!memcmp(p, "://", 3)) scheme = p;
    if (scheme) host = scheme + 3;
    path = (const char *)memchr(host, '/', (size_t)(end - host));
    const char *colon = (const char *)memchr(host, ':', (size_t)(end - host));
    bool scp = !scheme && colon && (!path || colon < path); // user@host:path
    if (scp) path = colon + 1;
    else if (!scheme) path = host; // a path of this machine
    if (!path) path = end;
    const char *host_end = scp ? colon : path;
    while (host < host_end && (at = (const char *)memchr(host, '@', (size_t)(host_end - host))))
        host = at + 1;
    colon = (const char *)memchr(host, ':', (size_t)(host_end - host));
    if (colon && *host != '[') host_end = colon; // the port
    while (path < end && *path == '/') path++;
    while (end > path && end[-1] == '/') end--;
    if (end - path > 4 && !memcmp(end - 4, ".git", 4)) end -= 4;
    if (host == host_end) sykli_buf_text(out, "localhost");
    for (; host < host_end; host++) {
        char lower = *host >= 'A' && *host <= 'Z' ? (char)(*host + 32) : *host;
        sykli_buf_add(out, &lower, 1);
    }
    sykli_buf_text(out, "/");
    return sykli_buf_add(out, path, (size_t)(end - path));
}

// Finds `url` of [remote "origin"] in the text of a git configuration.
//   returns  its size, 0 if there is none
static size_t sykli__key_git_url(const char *text, const char **out)
{
    bool in_origin = false;
    size_t found = 0;
    while (*text) {
        const char *p = text + strspn(text, " \t");
        size_t size = strcspn(p, "\r\n");
        text = p + size + strspn(p + size, "\r\n");
        if (*p == '[') in_origin = size >= 17 && !strncmp(p, "[remote \"origin\"]", 17);
        else if (in_origin && size > 3 && !strncmp(p, "url", 3)) {
            const char *value = p + 3 + strspn(p + 3, " \t");
            if (*value != '=') continue;
            value += 1 + strspn(value + 1, " \t");
            size -= (size_t)(value - p);
            if (size && *value == '"') value++, size--;
            size_t plain = 0;
            while (plain < size && !strchr("\" \t#;", value[plain])) plain++;
            *out = value;
            found = plain;
        }
    }
    return found;
}

// Reads DIR/NAME.     returns  0 or the negated errno
static int sykli__key_read(sykli_mem *mem, const char *dir, const char *name, sykli_buf *out)
{
    sykli_buf path;
    sykli_buf_init(&path, mem, SYKLI_TAG_store);
    sykli_buf_reset(out);
    int rc = sykli_buf_print(&path, "%s/%s", dir, name) ? -ENOMEM
           : sykli__tree_slurp(mem, SYKLI_CWD, (const char *)path.data, SYKLI__KEY_FILE_MAX, out);
    sykli_buf_free(&path);
    return rc;
}

// Joins a path that a file in `dir` gives, and takes the line end off.
static int sykli__key_join(sykli_buf *out, const char *dir, const char *path)
{
    int size = (int)strcspn(path, "\r\n");
    sykli_buf_reset(out);
    return *path == '/' ? sykli_buf_print(out, "%.*s", size, path)
                        : sykli_buf_print(out, "%s/%.*s", dir, size, path);
}

// The configuration of the repository whose top folder is `top`: in .git, or where the file .git
// points to (a submodule, or a worktree, which again points to the folder common to all).
static int sykli__key_git_config(sykli_mem *mem, const char *top, sykli_buf *out)
{
    sykli_buf folder;
    int rc = sykli__key_read(mem, top, ".git/config", out);
    if (rc != -ENOENT && rc != -ENOTDIR) return rc;
    rc = sykli__key_read(mem, top, ".git", out);
    if (rc || strncmp((const char *)out->data, "gitdir: ", 8)) return rc ? rc : -ENOENT;
    sykli_buf_init(&folder, mem, SYKLI_TAG_store);
    rc = sykli__key_join(&folder, top, (const char *)out->data + 8) ? -ENOMEM : 0;
    if (!rc) rc = sykli__key_read(mem, (const char *)folder.data, "commondir", out);
    if (!rc) {
        sykli_buf common;
        sykli_buf_init(&common, mem, SYKLI_TAG_store);
        rc = sykli__key_join(&common, (const char *)folder.data, (const char *)out->data)
            ? -ENOMEM : sykli__key_read(mem, (const char *)common.data, "config", out);
        sykli_buf_free(&common);
    } else if (rc == -ENOENT) rc = sykli__key_read(mem, (const char *)folder.data, "config", out);
    sykli_buf_free(&folder);
    return rc;
}

// A folder's name in the one above it, found as getcwd once did: by its inode.
typedef struct sykli__key_above {
    const sykli_sys *sys;
    int fd;
    sykli_stat stat;
    char name[256];
} sykli__key_above;

static int sykli__key_above_name(void *to, const char *name, int type)
{
    sykli__key_above *above = (sykli__key_above *)to;
    sykli_stat stat;
    if (type != SYKLI_FILE_directory || strlen(name) >= sizeof above->name
        || above->sys->stat(above->sys->user, above->fd, name, &stat)
        || stat.inode != above->stat.inode || stat.device != above->stat.device)
        return 0;
    memcpy(above->name, name, strlen(name) + 1);
    return 1;
}

// The absolute path of an open folder by walking up; closes it.
static int sykli__key_climb(sykli_mem *mem, int fd, sykli_buf *out)
{
    const sykli_sys *sys = mem->sys;
    char path[SYKLI__TREE_PATH_MAX + 1] = "";
    size_t at = SYKLI__TREE_PATH_MAX;
    int rc = 0;
    for (int depth = 0; !rc; depth++) {
        sykli__key_above above = { .sys = sys };
        sykli_stat parent;
        above.fd = sys->open(sys->user, fd, "..", SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
        rc = above.fd < 0 ? above.fd : sys->fstat(sys->user, fd, &above.stat);
        if (!rc) rc = sys->fstat(sys->user, above.fd, &parent);
        bool top = !rc && parent.inode == above.stat.inode && parent.device == above.stat.device;
        if (!rc && !top) rc = sys->list(sys->user, above.fd, sykli__key_above_name, &above);
        sys->close(sys->user, fd);
        fd = above.fd;
        if (top || rc < 0) break;
        size_t size = strlen(above.name);
        if (rc != 1 || depth == SYKLI__KEY_DEPTH_MAX || size + 1 > at) {
            rc = -ENOENT;
            break;
        }
        at -= size;
        memcpy(path + at, above.name, size);
        path[--at] = '/';
        rc = 0;
    }
    if (fd >= 0) sys->close(sys->user, fd);
    if (rc < 0) return rc;
    return sykli_buf_add(out, at < SYKLI__TREE_PATH_MAX ? path + at : "/",
                         at < SYKLI__TREE_PATH_MAX ? SYKLI__TREE_PATH_MAX - at : 1) ? -ENOMEM : 0;
}

SYKLI__APART int sykli_folder_path(sykli_mem *mem, const char *dir, sykli_buf *out)
{
    const sykli_sys *sys = mem->sys;
    char name[64], path[SYKLI__TREE_PATH_MAX + 1];
    int fd = sys->open(sys->user, SYKLI_CWD, dir, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (fd < 0) return fd;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    int64_t size = sys->readlink(sys->user, SYKLI_CWD, name, path, sizeof path);
    if (size <= 0 || size > SYKLI__TREE_PATH_MAX || *path != '/')
        return sykli__key_climb(mem, fd, out); // no /proc
    sys->close(sys->user, fd);
    return sykli_buf_add(out, path, (size_t)size) ? -ENOMEM : 0;
}

// The identity of a project: "github.com/me/repo//folder/in/it", else its absolute path.
static int sykli__key_project(sykli_mem *mem, const char *dir, sykli_buf *out, sykli_fault *fault)
{
    sykli_buf where, config;
    sykli_buf_init(&where, mem, SYKLI_TAG_store);
    sykli_buf_init(&config, mem, SYKLI_TAG_store);
    int rc = sykli_folder_path(mem, dir, &where);
    size_t whole = where.size;
    char *path = (char *)where.data;
    bool found = false;
    for (size_t size = whole; !rc && size && !found;) {
        char cut = path[size];
        path[size] = 0;
        int got = sykli__key_git_config(mem, path, &config);
        path[size] = cut;
        if (got == -ENOMEM) rc = got;
        if (!got) {
            const char *url = NULL;
            size_t url_size = sykli__key_git_url((const char *)config.data, &url);
            if (!url_size) break; // a repository that comes from nowhere is known by its path
            sykli__key_origin(url, url_size, out);
            if (size < whole) sykli_buf_print(out, "//%s", path + size + 1);
            found = true;
        }
        while (size && path[--size] != '/') continue;
    }
    if (!rc && !found) sykli_buf_add(out, path, whole);
    if (!rc && out->error) rc = -ENOMEM;
    sykli_buf_free(&where);
    sykli_buf_free(&config);
    return rc ? sykli_fail_sys(fault, rc, "the project folder %s", dir) : 0;
}

// ELF (System V ABI, chapter 4): the machine numbers that occur, by what uname -m calls them.
static const char *sykli__key_machine(const uint8_t *elf, bool *out_big)
{
    bool big = elf[5] == 2, wide = elf[4] == 2;
    unsigned machine = big ? elf[18] * 256u + elf[19] : elf[19] * 256u + elf[18];
    *out_big = big;
    switch (machine) {
    case 3: return "i386";
    case 62: return wide ? "x86_64" : "x32";
    case 40: return "arm";
    case 183: return "aarch64";
    case 243: return wide ? "riscv64" : "riscv32";
    case 22: return wide ? "s390x" : "s390";
    case 21: return big ? "ppc64" : "ppc64le";
    case 20: return "ppc";
    case 8: return wide ? "mips64" : "mips";
    case 258: return "loongarch64";
    default: return "unknown";
    }
}

static uint64_t sykli__key_elf_number(const uint8_t *p, int bytes, bool big)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | p[big ? i : bytes - 1 - i];
    return value;
}

// The path of the program loader that an ELF program names (PT_INTERP), "" if it is static.
static void sykli__key_loader(const uint8_t *elf, size_t size, bool big, char out[256])
{
    bool wide = elf[4] == 2;
    *out = 0;
    uint64_t table = sykli__key_elf_number(elf + (wide ? 32 : 28), wide ? 8 : 4, big);
    uint64_t step = sykli__key_elf_number(elf + (wide ? 54 : 42), 2, big);
    uint64_t count = sykli__key_elf_number(elf + (wide ? 56 : 44), 2, big);
    for (uint64_t i = 0; i < count && step >= (wide ? 56u : 32u); i++) {
        uint64_t at = table + i * step;
        if (at > size || size - at < step) return;
        if (sykli__key_elf_number(elf + at, 4, big) != 3) continue;
        uint64_t from = sykli__key_elf_number(elf + at + (wide ? 8 : 4), wide ? 8 : 4, big);
        uint64_t bytes = sykli__key_elf_number(elf + at + (wide ? 32 : 16), wide ? 8 : 4, big);
        if (from > size || bytes > size - from || !bytes || bytes > 256 || elf[from + bytes - 1])
            return;
        memcpy(out, elf + from, (size_t)bytes);
        return;
    }
}

// Looks for digits and dots behind `mark` in a binary.
static bool sykli__key_version_at(const sykli_buf *b, const char *mark, char out[32])
{
    size_t size = strlen(mark);
    for (size_t i = 0; b->size > size + 32 && i < b->size - size - 32; i++) {
        const char *p = (const char *)b->data + i;
        if (*p != *mark || memcmp(p, mark, size)) continue;
        size_t digits = strspn(p + size, "0123456789.");
        while (digits && p[size + digits - 1] == '.') digits--;
        if (!digits || digits > 31) continue;
        memcpy(out, p + size, digits);
        out[digits] = 0;
        return true;
    }
    return false;
}

// musl's loader holds its version as a text of its own, "1.2.3".
static bool sykli__key_musl_version(const sykli_buf *b, char out[32])
{
    for (size_t i = 1; b->size > 32 && i < b->size - 32; i++) {
        const char *p = (const char *)b->data + i;
        size_t digits = p[-1] ? 0 : strspn(p, "0123456789.");
        if (digits < 5 || digits > 10 || p[digits] || p[1] != '.' || *p != '1') continue;
        memcpy(out, p, digits + 1);
        return true;
    }
    return false;
}

// Architecture and C library as the host's programs have them: what /bin/sh is and is loaded by.
// This program itself may be static or of another kind.
static int sykli__key_userland(sykli_mem *mem, sykli_buf *scratch, sykli_buf *out)
{
    char loader[256] = "", version[32] = "";
    const char *arch = "unknown", *libc = "libc";
    sykli_buf_reset(scratch);
    int rc = sykli__tree_slurp(mem, SYKLI_CWD, "/bin/sh", SYKLI__KEY_LOADER_MAX, scratch);
    if (!rc && scratch->size > 64 && !memcmp(scratch->data, "\177ELF", 4)) {
        bool big;
        arch = sykli__key_machine(scratch->data, &big);
        sykli__key_loader(scratch->data, scratch->size, big, loader);
    }
    sykli_buf_reset(scratch);
    if (*loader && rc != -ENOMEM)
        rc = sykli__tree_slurp(mem, SYKLI_CWD, loader, SYKLI__KEY_LOADER_MAX, scratch);
    if (rc == -ENOMEM) return rc;
    if (strstr(loader, "ld-musl")) {
        libc = "musl";
        if (!rc) sykli__key_musl_version(scratch, version);
    } else if (*loader) {
        libc = "glibc";
        if (!rc && !sykli__key_version_at(scratch, "stable release version ", version))
            sykli__key_version_at(scratch, "release version ", version);
    }
    rc = sykli_buf_print(out, "%s %s%s%s", arch, libc, *version ? " " : "", version);
    return rc ? -ENOMEM : 0;
}

// The value of NAME=value in the text of an os-release file (os-release(5)), without quotes.
static void sykli__key_release(const char *text, const char *name, char out[64])
{
    size_t size = strlen(name);
    *out = 0;
    for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        if (strncmp(p, name, size) || p[size] != '=') continue;
        const char *value = p + size + 1;
        if (*value == '"' || *value == '\'') value++;
        snprintf(out, 64, "%.*s", (int)strcspn(value, "\"'\r\n"), value);
    }
}

// Finds a program in a PATH.
//   returns  0 and its absolute path; -ENOENT, -ENOMEM
static int sykli__key_which(sykli_mem *mem, const char *path, const char *name, sykli_buf *out)
{
    const sykli_sys *sys = mem->sys;
    for (const char *p = path; p && *p;) {
        size_t size = strcspn(p, ":");
        sykli_buf_reset(out);
        if (size && *p == '/') { // what depends on the folder a command runs in is no tool
            if (sykli_buf_print(out, "%.*s/%s", (int)size, p, name)) return -ENOMEM;
            int fd = sys->open(sys->user, SYKLI_CWD, (const char *)out->data, SYKLI_OPEN_read, 0);
            sykli_stat stat = { 0 };
            if (fd >= 0) {
                int rc = sys->fstat(sys->user, fd, &stat);
                sys->close(sys->user, fd);
                if (!rc && stat.type == SYKLI_FILE_regular && stat.mode & 0111) return 0;
            }
        }
        p += size + (p[size] == ':');
    }
    return -ENOENT;
}

// A program in few bytes: its size and its first page, which holds the build id of an ELF file.
static int sykli__key_program(sykli_mem *mem, const char *path, const char *name, sykli_buf *out)
{
    const sykli_sys *sys = mem->sys;
    uint8_t page[4096], sum[32];
    char hex[17];
    sykli_stat stat;
    sykli_buf file;
    sykli_buf_init(&file, mem, SYKLI_TAG_store);
    int rc = sykli__key_which(mem, path, name, &file);
    int fd = rc ? rc : sys->open(sys->user, SYKLI_CWD, (const char *)file.data, SYKLI_OPEN_read, 0);
    sykli_buf_free(&file);
    if (fd < 0) return fd == -ENOMEM ? fd : 0; // a machine without it is a kind of its own
    rc = sys->fstat(sys->user, fd, &stat);
    int64_t got = rc ? rc : sys->pread(sys->user, fd, page, sizeof page, 0);
    sys->close(sys->user, fd);
    if (got < 0) return 0;
    sykli_sha256_of(page, (size_t)got, sum);
    sykli_hex(hex, sum, 8);
    return sykli_buf_print(out, " %s:%llu:%s", name, (unsigned long long)stat.size_bytes, hex)
        ? -ENOMEM : 0;
}

// What kind of machine this is, for results that may cross between equal ones:
//     "linux x86_64 glibc 2.36; debian 12 cc:1246280:0a4c... python3:..."
//   fingerprint  what the configuration says in place of the part behind the semicolon; NULL: look
//   path         where tools are looked for; NULL: /usr/local/bin:/usr/bin:/bin
static int sykli__key_machine_text(sykli_mem *mem, const char *fingerprint, const char *path,
                                   sykli_buf *out, sykli_fault *fault)
{
    static const char *const tools[] = { "cc", "node", "go", "python3" };
    char id[64] = "", version[64] = "";
    sykli_buf scratch;
    sykli_buf_init(&scratch, mem, SYKLI_TAG_store);
#if defined(__APPLE__)
    sykli_buf_text(out, "darwin ");
#elif defined(__linux__)
    sykli_buf_text(out, "linux ");
#else
    sykli_buf_text(out, "posix ");
#endif
    int rc = sykli__key_userland(mem, &scratch, out);
    sykli_buf_text(out, "; ");
    if (!rc && fingerprint) sykli_buf_text(out, fingerprint);
    if (!rc && !fingerprint) {
        rc = sykli__key_read(mem, "/etc", "os-release", &scratch);
        if (rc && rc != -ENOMEM) rc = sykli__key_read(mem, "/usr/lib", "os-release", &scratch);
        if (!rc) {
            sykli__key_release((const char *)scratch.data, "ID", id);
            sykli__key_release((const char *)scratch.data, "VERSION_ID", version);
        }
        rc = rc == -ENOMEM ? rc : 0; // no such file: an unknown system
        sykli_buf_print(out, "%s %s", *id ? id : "unknown", version);
        for (size_t i = 0; !rc && i < sizeof tools / sizeof *tools; i++)
            rc = sykli__key_program(mem, path ? path : "/usr/local/bin:/usr/bin:/bin", tools[i],
                                    out);
    }
    sykli_buf_free(&scratch);
    return rc || out->error ? sykli_fail(fault, SYKLI_ENOMEM, "no memory for the platform") : 0;
}

// The same with the usual PATH.
static int sykli__key_platform(sykli_mem *mem, const char *fingerprint, sykli_buf *out,
                               sykli_fault *fault)
{
    return sykli__key_machine_text(mem, fingerprint, NULL, out, fault);
}

// The first word of a command that names a program; assignments in front are passed over.
//   returns  its size; 0: the shell has to be asked
static size_t sykli__key_word(const char *command, const char **out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_./=:,@%+-";
    for (const char *p = command;;) {
        p += strspn(p, " \t\n");
        size_t size = strspn(p, plain);
        if (!size || (p[size] && !strchr(" \t\n;&|<>", p[size]))) return 0;
        if (!memchr(p, '=', size)) {
            *out = p;
            return size;
        }
        p += size;
    }
}

// The file of the program that a command starts.
//   path     the PATH of the command; a word with a slash is a file of the project: no tool
//   returns  0; ENOENT: a builtin, a file of the project, or not found; else the error
static int sykli__key_tool_file(sykli__tree *tree, const char *command, const char *path,
                                sykli_buf *out)
{
    const char *word = NULL;
    char name[256];
    size_t size = sykli__key_word(command, &word);
    if (!size || size >= sizeof name) return -ENOENT;
    memcpy(name, word, size);
    name[size] = 0;
    if (*name == '/') return sykli_buf_text(out, name) ? -ENOMEM : 0;
    return strchr(name, '/') ? -ENOENT : sykli__key_which(tree->mem, path, name, out);
}

// The stat of that program or, by way of the stat cache, its digest.
//   digest   NULL: not wanted
static int sykli__key_tool(sykli__tree *tree, const char *command, const char *path,
                           sykli_stat *stat, sykli_digest *digest, sykli_fault *fault)
{
    sykli_buf file;
    sykli_buf_init(&file, tree->mem, SYKLI_TAG_store);
    int rc = sykli__key_tool_file(tree, command, path, &file);
    if (!rc && digest) rc = sykli__tree_digest_outside(tree, (const char *)file.data, digest);
    else if (!rc) rc = sykli__tree_stat_outside(tree, (const char *)file.data, stat);
    if (rc && rc != -ENOENT && rc != -EINVAL && rc != -EACCES && rc != -EISDIR)
        rc = sykli_fail_sys(fault, rc, "the program %s cannot be read",
                            file.size ? (const char *)file.data : command);
    else if (rc) rc = SYKLI_ENOENT;
    sykli_buf_free(&file);
    return rc;
}

// >>spawn ---- starting, capturing and ending a task's process tree
// A task is a tree of processes, and none of it may outlive the task or be mistaken for another.
// The first one leads a session of its own; when it has ended it is looked at but not reaped, so
// that its pid, which is the number of its group, cannot be given to a stranger while the group is
// being ended. Whoever left the group is found in /proc by a variable that only this attempt's
// environment has. Every such process is held by a descriptor before it is looked at, and signalled
// through that descriptor.
// Two things make the search certain where a host has them. In a cgroup of its own a task cannot
// lose a process. And a host that is the subreaper of its tasks becomes the parent of whoever left
// one without a trace: such a stray is ended with a task as soon as no other could have started it.

#define SYKLI__SPAWN_UID "SYKLI_TASK_UID="
#define SYKLI__SPAWN_UID_MAX 64        // bytes of the unique id of an attempt
#define SYKLI__SPAWN_ENV_MAX (4u << 20) // bytes of an environment; Linux takes 6 MiB at most

typedef enum sykli__spawn_containment {
    SYKLI__SPAWN_group, // the session and process group, nothing else can be found
    SYKLI__SPAWN_scan,  // and whoever left them, by /proc
    SYKLI__SPAWN_cgroup // all of it, in a cgroup of its own
} sykli__spawn_containment;

typedef struct sykli__spawn_desc {
    const char *command;
    const char *const *env; // the whole environment, NULL-terminated
    const char *workdir;    // NULL: the current one
    const char *uid;        // of this attempt, 1..SYKLI__SPAWN_UID_MAX bytes; SYKLI_TASK_UID there
    struct sykli__spawn_host *host; // NULL: each process asks the machine anew
    int (*function)(void *user);    // not NULL: called in the child, there is no command
    void *function_user;
    int keep_fds[2];        // that the task may use; below 3: none
    bool terminal;          // one for both streams, read as the first, instead of two pipes
} sykli__spawn_desc;

// What is known of the machine and of the processes started last: after a short task the new pids
// are mostly those of its neighbours, which need no look.
#define SYKLI__SPAWN_RECENT 64u
typedef struct sykli__spawn_host {
    int loadavg_fd;                 // of /proc/loadavg; -1: none
    sykli__spawn_containment containment;
    struct { int pid; uint64_t started_ns; } recent[SYKLI__SPAWN_RECENT];
    uint32_t at;                    // starts so far
    bool subreaper, strays;         // strays: some child of ours may be of more than one task
    int session;                    // ours: no task is in it, nor can any get there
    uint64_t buried_ns;             // when strays that have ended were last reaped
    struct sykli__spawn_proc *live; // started and not closed
    int cgroup_fd;                  // folder of our cgroups, -1: none may be made
    char cgroup_path[256];
    struct sykli__spawn_cgroup { int procs_fd, events_fd; bool used; } *cgroups;
    size_t cgroup_count, cgroup_capacity;
} sykli__spawn_host;
#define SYKLI__SPAWN_CGROUPS_MAX 4096u // as many as there can be workers

typedef struct sykli__spawn_proc {
    int pid;                        // 0: never started
    int cgroup;                     // number among those of the host, -1: none
    int out_fd, err_fd, exit_fd;    // -1: closed or not to be had
    sykli_exit exit;                // once exited
    bool exited, reaped, group_gone;
    sykli__spawn_containment containment;
    uint64_t started_ns, ticks;     // ticks: /proc's start time, 0 until it was needed
    int counted, counted_at;        // processes when the newest pid was that; 0: never counted
    sykli__spawn_host *host;
    struct sykli__spawn_proc *next; // of the live ones of the host
    char mark[sizeof SYKLI__SPAWN_UID + SYKLI__SPAWN_UID_MAX]; // "SYKLI_TASK_UID=..."
} sykli__spawn_proc;

typedef struct sykli__spawn_block {
    sykli_buf text, list; // list: the pointers, NULL-terminated
    size_t count;
} sykli__spawn_block;

static const char *const *sykli__spawn_block_env(const sykli__spawn_block *block)
{
    return (const char *const *)(const void *)block->list.data;
}

static void sykli__spawn_block_free(sykli__spawn_block *block)
{
    sykli_buf_free(&block->text);
    sykli_buf_free(&block->list);
}

static bool sykli__spawn_named(const char *entry, const char *name)
{
    size_t size = strlen(name);
    if (size && name[size - 1] == '*') return !strncmp(entry, name, size - 1);
    return !strncmp(entry, name, size) && entry[size] == '=';
}

// Whether an inherited variable goes on to the task.
static bool sykli__spawn_env_kept(const char *entry, const char *const *drop, size_t drop_count,
                                  const sykli_pair *add, size_t add_count)
{
    if (!strchr(entry, '=') || *entry == '=') return false;
    for (size_t i = 0; i < drop_count; i++)
        if (sykli__spawn_named(entry, drop[i])) return false;
    for (size_t i = 0; i < add_count; i++)
        if (sykli__spawn_named(entry, add[i].name)) return false;
    return true;
}

// Builds the environment of a task: what is inherited, less what is dropped, plus what is added.
//   drop     names; "SYKLI_*" drops all that begin so
//   add      a later pair of the same name wins
static int sykli__spawn_env(sykli__spawn_block *out, sykli_mem *mem, const char *const *inherited,
                            const char *const *drop, size_t drop_count, const sykli_pair *add,
                            size_t add_count, sykli_fault *f)
{
    out->count = 0;
    sykli_buf_init(&out->text, mem, SYKLI_TAG_spawn);
    sykli_buf_init(&out->list, mem, SYKLI_TAG_spawn);
    out->text.max_bytes = SYKLI__SPAWN_ENV_MAX;
    out->text.secret = true;
    for (size_t i = 0; inherited && inherited[i]; i++) {
        if (!sykli__spawn_env_kept(inherited[i], drop, drop_count, add, add_count)) continue;
        sykli_buf_add(&out->text, inherited[i], strlen(inherited[i]) + 1);
        out->count++;
    }
    for (size_t i = 0; i < add_count; i++) {
        bool again = false;
        for (size_t j = i + 1; j < add_count; j++) again |= !strcmp(add[i].name, add[j].name);
        if (!*add[i].name || strchr(add[i].name, '='))
            return sykli_fail(f, SYKLI_EINVAL, "environment: \"%s\" is no name of a variable",
                              add[i].name);
        if (again) continue;
        sykli_buf_print(&out->text, "%s=%s", add[i].name, add[i].value);
        sykli_buf_add(&out->text, "", 1);
        out->count++;
    }
    // The text has its final place only now.
    const char *at = (const char *)out->text.data;
    for (size_t i = 0; i < out->count && !out->text.error; i++, at += strlen(at) + 1)
        sykli_buf_add(&out->list, &at, sizeof at);
    const char *end = NULL;
    sykli_buf_add(&out->list, &end, sizeof end);
    int rc = out->text.error ? out->text.error : out->list.error;
    return rc ? sykli_fail(f, rc, "environment: %s", sykli_error_text(rc)) : 0;
}

// What a shell would not hand to exec: the keywords and builtins of sh, dash, bash, ksh and zsh.
static bool sykli__spawn_shell_word(const char *word, size_t size)
{
    static const char words[] =
        " . : alias autoload bg bind break builtin caller case cd chdir command compgen complete "
        "compopt continue coproc declare dirs disown do done echo elif else enable end esac eval "
        "exec exit export false fc fg fi float for foreach function functions getopts hash help "
        "history if in inlib integer jobs kill let local login logout mapfile namespace newgrp "
        "nocorrect noglob popd print printf pushd pwd r read readarray readonly rehash repeat "
        "return select set setvar shift shopt source suspend test then time times trap true "
        "type typeset ulimit umask unalias unfunction unset unsetopt until wait whence where which "
        "while ";
    for (const char *at = words; (at = strchr(at, ' ')) && at[1]; at++)
        if (!strncmp(at + 1, word, size) && at[1 + size] == ' ') return true;
    return false;
}

// Whether a command means the same to exec as to a shell.
static bool sykli__spawn_plain(const char *command)
{
    static const char safe[] = "./:,@%+-= \t"
        "_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (command[strspn(command, safe)]) return false;
    const char *first = command + strspn(command, " \t");
    size_t size = strcspn(first, " \t");
    bool assignment = first[strspn(first, strchr(safe, '_'))] == '=';
    return size && !assignment && !sykli__spawn_shell_word(first, size);
}

// The words of a plain command in place: blanks become NUL.   returns  how many
static size_t sykli__spawn_split(char *command, const char **argv)
{
    size_t count = 0;
    for (char *at = command;;) {
        while (*at == ' ' || *at == '\t') *at++ = 0;
        if (!*at) return count;
        if (argv) argv[count] = at;
        count++;
        at += strcspn(at, " \t");
    }
}

static void sykli__spawn_fd_close(sykli_mem *mem, int *fd)
{
    if (*fd >= 0) mem->sys->close(mem->sys->user, *fd);
    *fd = -1;
}

static int sykli__spawn_sh(sykli_mem *mem, sykli_spawn *sys_desc, const char *command)
{
    const char *const argv[] = { "/bin/sh", "-c", command, NULL };
    sys_desc->argv = argv;
    return mem->sys->spawn(mem->sys->user, sys_desc);
}

// Starts the command, directly where that means the same.   returns  pid or negated errno
static int sykli__spawn_exec(sykli_mem *mem, sykli_spawn *sys_desc, const char *command)
{
    if (sys_desc->function) return mem->sys->spawn(mem->sys->user, sys_desc);
    if (!sykli__spawn_plain(command)) return sykli__spawn_sh(mem, sys_desc, command);
    size_t size = strlen(command) + 1, words = (size + 1) / 2 + 1;
    char *copy = sykli_mem_text(mem, SYKLI_TAG_spawn, command, size - 1);
    const char **argv = (const char **)sykli_mem_resize(mem, SYKLI_TAG_spawn, NULL, 0,
                                                        words * sizeof *argv);
    int rc = -ENOMEM;
    if (copy && argv) {
        sykli__spawn_split(copy, argv);
        sys_desc->argv = argv;
        rc = mem->sys->spawn(mem->sys->user, sys_desc);
        if (rc == -ENOEXEC) rc = sykli__spawn_sh(mem, sys_desc, command); // a script without #!
    }
    if (argv) sykli_mem_resize(mem, SYKLI_TAG_spawn, argv, words * sizeof *argv, 0);
    if (copy) sykli_mem_resize(mem, SYKLI_TAG_spawn, copy, size, 0);
    return rc;
}

// The exit code a shell gives when it cannot exec, 0 if the fault is not the command's.
static int sykli__spawn_exec_code(int rc)
{
    switch (-rc) {
    case ENOENT: case ENOTDIR: return 127;
    case EACCES: case ENOEXEC: case E2BIG: case EISDIR: case ELOOP: case ENAMETOOLONG:
    case ETXTBSY: return 126;
    default: return 0;
    }
}

// What to make of a failed spawn: the command's own fault is an exit, with words on its stderr.
static int sykli__spawn_refused(sykli_mem *mem, const sykli__spawn_desc *desc,
                                sykli__spawn_proc *out, int err_fd, int rc, sykli_fault *f)
{
    const sykli_sys *sys = mem->sys;
    sykli_fault own;
    if (!f) f = &own;
    if (desc->workdir && sykli__spawn_exec_code(rc)) {
        int fd = sys->open(sys->user, SYKLI_CWD, desc->workdir,
                           SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
        if (fd < 0) return sykli_fail_sys(f, fd, "working folder %s", desc->workdir);
        sys->close(sys->user, fd);
    }
    int code = sykli__spawn_exec_code(rc);
    if (!code || !sykli__spawn_plain(desc->command))
        return sykli_fail_sys(f, rc, "%s cannot be started", code ? "/bin/sh" : "a process");
    const char *first = desc->command + strspn(desc->command, " \t");
    int size = (int)strcspn(first, " \t");
    sykli_fail(f, SYKLI_ENOENT, "%.*s: %s", size < 256 ? size : 256, first,
               code == 127 ? "not found" : strerror(-rc));
    sys->write(sys->user, err_fd, f->text, strlen(f->text)); // as a shell would; may be lost
    sys->write(sys->user, err_fd, "\n", 1);
    out->exit.code = code;
    out->exited = out->reaped = out->group_gone = true;
    return 0;
}

// The environment with the mark of the attempt in front.   returns  NULL: no memory
static const char **sykli__spawn_marked(sykli_mem *mem, const sykli__spawn_proc *proc,
                                        const char *const *env, size_t *out_size)
{
    size_t count = 0, at = 1;
    while (env[count]) count++;
    *out_size = (count + 2) * sizeof(char *);
    const char **list = (const char **)sykli_mem_resize(mem, SYKLI_TAG_spawn, NULL, 0, *out_size);
    if (!list) return NULL;
    list[0] = proc->mark;
    for (size_t i = 0; i < count; i++)
        if (strncmp(env[i], SYKLI__SPAWN_UID, sizeof SYKLI__SPAWN_UID - 1)) list[at++] = env[i];
    return list;
}

// Whether /proc counts pids as we do: in a container it may be the one of the host.
static sykli__spawn_containment sykli__spawn_contain(const sykli_sys *sys)
{
    char text[16];
    int64_t size = sys->readlink(sys->user, SYKLI_CWD, "/proc/self", text, sizeof text - 1);
    text[size > 0 ? size : 0] = 0;
    bool ours = size > 0 && atoi(text) == sys->pid(sys->user);
    return ours ? SYKLI__SPAWN_scan : SYKLI__SPAWN_group;
}

static void sykli__spawn_remember(sykli__spawn_host *host, sykli__spawn_proc *proc)
{
    uint32_t at = host->at++ % SYKLI__SPAWN_RECENT;
    host->recent[at].pid = proc->pid;
    host->recent[at].started_ns = proc->started_ns;
    proc->next = host->live;
    host->live = proc;
}

static void sykli__spawn_forget(sykli__spawn_host *host, const sykli__spawn_proc *proc)
{
    sykli__spawn_proc **at = &host->live;
    while (*at && *at != proc) at = &(*at)->next;
    if (*at) *at = proc->next;
}

// Whether a pid newer than this process was given to another one that we have started since.
static bool sykli__spawn_neighbour(const sykli__spawn_proc *proc, int pid)
{
    const sykli__spawn_host *host = proc->host;
    for (uint32_t i = 0; host && i < SYKLI__SPAWN_RECENT; i++)
        if (host->recent[i].pid == pid && host->recent[i].started_ns >= proc->started_ns)
            return true;
    return false;
}

// A small file of /proc, with a NUL behind it.   returns  the size, or negative
static int64_t sykli__spawn_slurp(sykli_mem *mem, int pid, const char *name, char *out, size_t size)
{
    const sykli_sys *sys = mem->sys;
    char path[64];
    if (pid) snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    else snprintf(path, sizeof path, "/proc/%s", name);
    int fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return fd;
    int64_t got = sys->read(sys->user, fd, out, size - 1);
    sys->close(sys->user, fd);
    out[got > 0 ? got : 0] = 0;
    return got;
}

// proc(5), /proc/PID/stat.
typedef struct sykli__spawn_stat {
    char state;
    int parent, group, session;
    uint64_t cpu_ticks, ticks; // used by it and by children it waited for; start, since boot
} sykli__spawn_stat;

static bool sykli__spawn_stat_read(sykli_mem *mem, int pid, sykli__spawn_stat *out)
{
    char text[1024];
    if (sykli__spawn_slurp(mem, pid, "stat", text, sizeof text) <= 0) return false;
    char *at = strrchr(text, ')'); // the name before it may hold anything
    if (!at || strlen(at) < 4) return false;
    out->state = at[2];
    uint64_t fields[22] = { 0 }; // the page counts from 1
    at += 3;
    for (int i = 3; i < 22; i++) fields[i] = strtoull(at, &at, 10);
    out->parent = (int)fields[3], out->group = (int)fields[4], out->session = (int)fields[5];
    out->cpu_ticks = fields[13] + fields[14] + fields[15] + fields[16];
    out->ticks = fields[21];
    return out->ticks != 0;
}

// ---- cgroups

// The part of a path below /proc/PID/cgroup that is the folder of one of our cgroups.
static void sykli__spawn_cgroup_name(const sykli__spawn_proc *proc, char out[32], int own_pid)
{
    snprintf(out, 32, "/sykli.%d/%d", own_pid, proc->cgroup);
}

static void sykli__spawn_cgroup_write(const sykli_sys *sys, int dir, const char *name,
                                      const char *text)
{
    int fd = sys->open(sys->user, dir, name, SYKLI_OPEN_write, 0);
    if (fd < 0) return;
    sys->write(sys->user, fd, text, strlen(text));
    sys->close(sys->user, fd);
}

// Whether any process is in the cgroup of a task.
static bool sykli__spawn_cgroup_populated(const sykli_sys *sys, const sykli__spawn_host *host,
                                          int cgroup)
{
    char text[64];
    int64_t got = sys->pread(sys->user, host->cgroups[cgroup].events_fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = 0;
    return strstr(text, "populated 0") == NULL;
}

// Makes one more.    returns  its number, -1: it cannot be made, and none will be
static int sykli__spawn_cgroup_make(sykli_mem *mem, sykli__spawn_host *host)
{
    const sykli_sys *sys = mem->sys;
    char path[64];
    if (!sykli__base_room(mem, SYKLI_TAG_spawn, &host->cgroups, &host->cgroup_capacity,
                          host->cgroup_count, sizeof *host->cgroups, SYKLI__SPAWN_CGROUPS_MAX))
        return -1;
    struct sykli__spawn_cgroup *fresh = &host->cgroups[host->cgroup_count];
    snprintf(path, sizeof path, "%u", (unsigned)host->cgroup_count);
    int rc = sys->mkdir(sys->user, host->cgroup_fd, path, 0755);
    if (rc < 0 && rc != -EEXIST) return -1;
    snprintf(path, sizeof path, "%u/cgroup.procs", (unsigned)host->cgroup_count);
    fresh->procs_fd = sys->open(sys->user, host->cgroup_fd, path, SYKLI_OPEN_write, 0);
    snprintf(path, sizeof path, "%u/cgroup.events", (unsigned)host->cgroup_count);
    fresh->events_fd = fresh->procs_fd < 0 ? -1
                     : sys->open(sys->user, host->cgroup_fd, path, SYKLI_OPEN_read, 0);
    if (fresh->events_fd < 0) {
        sykli__spawn_fd_close(mem, &fresh->procs_fd);
        return -1;
    }
    return (int)host->cgroup_count++;
}

// An empty cgroup for a task: making one costs more than the task, so they are used again.
static int sykli__spawn_cgroup_take(sykli_mem *mem, sykli__spawn_host *host)
{
    if (!host || host->cgroup_fd < 0) return -1;
    size_t at = 0;
    while (at < host->cgroup_count && host->cgroups[at].used) at++;
    int cgroup = at < host->cgroup_count ? (int)at : sykli__spawn_cgroup_make(mem, host);
    if (cgroup >= 0) host->cgroups[cgroup].used = true;
    return cgroup;
}

// One that cannot be emptied is never used again.
static void sykli__spawn_cgroup_give(sykli_mem *mem, sykli__spawn_proc *proc)
{
    if (proc->cgroup >= 0)
        proc->host->cgroups[proc->cgroup].used =
            sykli__spawn_cgroup_populated(mem->sys, proc->host, proc->cgroup);
    proc->cgroup = -1;
}

// Removes one of ours, or of a process that was killed, with what still runs in it.
typedef struct sykli__spawn_sweep {
    const sykli_sys *sys;
    int dir;
    bool owners;
} sykli__spawn_sweep;

static int sykli__spawn_cgroup_sweep(void *to, const char *name, int type)
{
    const sykli__spawn_sweep *s = (const sykli__spawn_sweep *)to;
    const sykli_sys *sys = s->sys;
    const char *number = s->owners && !strncmp(name, "sykli.", 6) ? name + 6 : name;
    int pid = *number >= '0' && *number <= '9' ? atoi(number) : -1;
    if (type != SYKLI_FILE_directory || pid < 0 || (s->owners && number == name)) return 0;
    if (s->owners && (pid <= 1 || sys->signal(sys->user, pid, 0, 0) != -ESRCH)) return 0;
    int dir = sys->open(sys->user, s->dir, name, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (dir < 0) return 0;
    sykli__spawn_cgroup_write(sys, dir, "cgroup.kill", "1");
    sykli__spawn_sweep below = { sys, dir, false };
    if (s->owners) sys->list(sys->user, dir, sykli__spawn_cgroup_sweep, &below);
    sys->close(sys->user, dir);
    sys->remove(sys->user, s->dir, name, 1);
    return 0;
}

// Finds out whether we may make cgroups below our own, in a pure version 2 or a hybrid layout.
static void sykli__spawn_cgroup_open(sykli_mem *mem, sykli__spawn_host *host)
{
    const sykli_sys *sys = mem->sys;
    char text[4096], *path = host->cgroup_path;
    sykli_stat pure;
    if (sykli__spawn_slurp(mem, 0, "self/cgroup", text, sizeof text) <= 0) return;
    const char *own = !strncmp(text, "0::/", 4) ? text : strstr(text, "\n0::/");
    if (!own) return;
    own = strchr(own, '/');
    int own_size = (int)strcspn(own, "\n");
    const char *mount = sys->stat(sys->user, SYKLI_CWD, "/sys/fs/cgroup/cgroup.controllers", &pure)
                      ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
    if (own_size > 160 || strstr(own, "/..")) return;
    int size = snprintf(path, sizeof host->cgroup_path, "%s%.*s", mount, own_size, own);
    int base = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (base < 0) return;
    snprintf(path + size, sizeof host->cgroup_path - (size_t)size, "/sykli.%d",
             sys->pid(sys->user));
    int rc = sys->mkdir(sys->user, SYKLI_CWD, path, 0755);
    if (!rc) {
        sykli__spawn_sweep sweep = { sys, base, true };
        sys->list(sys->user, base, sykli__spawn_cgroup_sweep, &sweep);
        host->cgroup_fd = sys->open(sys->user, SYKLI_CWD, path,
                                    SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
        if (host->cgroup_fd < 0 || sys->stat(sys->user, host->cgroup_fd, "cgroup.kill", &pure)) {
            sykli__spawn_fd_close(mem, &host->cgroup_fd); // Linux before 5.14
            sys->remove(sys->user, SYKLI_CWD, path, 1);
        }
    }
    sys->close(sys->user, base);
}

static void sykli__spawn_cgroup_close(sykli_mem *mem, sykli__spawn_host *host)
{
    const sykli_sys *sys = mem->sys;
    for (size_t i = 0; i < host->cgroup_count; i++) {
        sykli__spawn_fd_close(mem, &host->cgroups[i].procs_fd);
        sykli__spawn_fd_close(mem, &host->cgroups[i].events_fd);
    }
    if (host->cgroups) sykli_mem_resize(mem, SYKLI_TAG_spawn, host->cgroups,
                                        host->cgroup_capacity * sizeof *host->cgroups, 0);
    host->cgroups = NULL;
    host->cgroup_count = host->cgroup_capacity = 0;
    if (host->cgroup_fd < 0) return;
    sykli__spawn_sweep sweep = { sys, host->cgroup_fd, false };
    sys->list(sys->user, host->cgroup_fd, sykli__spawn_cgroup_sweep, &sweep);
    sykli__spawn_fd_close(mem, &host->cgroup_fd);
    sys->remove(sys->user, SYKLI_CWD, host->cgroup_path, 1);
}

// ---- starting

//   subreaper  this process is one; other children of it stay in its session
//   cgroups    tasks go into cgroups of their own where this process may make them
static void sykli__spawn_host_open(sykli__spawn_host *host, sykli_mem *mem, bool subreaper,
                                   bool cgroups)
{
    const sykli_sys *sys = mem->sys;
    memset(host, 0, sizeof *host);
    host->cgroup_fd = -1;
    host->containment = sykli__spawn_contain(sys);
    sykli__spawn_stat own;
    host->subreaper = subreaper && host->containment == SYKLI__SPAWN_scan
                   && sykli__spawn_stat_read(mem, sys->pid(sys->user), &own);
    if (host->subreaper) host->session = own.session;
    host->loadavg_fd = sys->open(sys->user, SYKLI_CWD, "/proc/loadavg", SYKLI_OPEN_read, 0);
    if (host->loadavg_fd < 0) host->loadavg_fd = -1;
    if (cgroups && host->containment == SYKLI__SPAWN_scan) sykli__spawn_cgroup_open(mem, host);
}

static void sykli__spawn_host_close(sykli__spawn_host *host, sykli_mem *mem)
{
    sykli__spawn_fd_close(mem, &host->loadavg_fd);
    sykli__spawn_cgroup_close(mem, host);
}

static int sykli__spawn_launch(sykli_mem *mem, const sykli__spawn_desc *desc,
                               sykli__spawn_proc *out, int write_fds[2], sykli_fault *f)
{
    const sykli_sys *sys = mem->sys;
    int fds[2], rc = desc->terminal ? sys->terminal(sys->user, fds) : sys->pipe(sys->user, fds);
    if (rc < 0)
        return sykli_fail_sys(f, rc, "a %s for the task's output",
                              desc->terminal ? "terminal" : "pipe");
    out->out_fd = fds[0], write_fds[0] = fds[1];
    if (!desc->terminal && (rc = sys->pipe(sys->user, fds)) < 0)
        return sykli_fail_sys(f, rc, "a pipe for the task's errors");
    if (!desc->terminal) out->err_fd = fds[0], write_fds[1] = fds[1];
    int err_fd = write_fds[desc->terminal ? 0 : 1];
    size_t env_size;
    const char **env = sykli__spawn_marked(mem, out, desc->env, &env_size);
    if (!env) return sykli_fail(f, SYKLI_ENOMEM, "no memory for the task's environment");
    out->host = desc->host;
    out->cgroup = sykli__spawn_cgroup_take(mem, desc->host);
    sykli_spawn sys_desc = { NULL, env, desc->workdir, write_fds[0], err_fd, true,
        out->cgroup < 0 ? 0 : desc->host->cgroups[out->cgroup].procs_fd,
        { desc->keep_fds[0], desc->keep_fds[1] }, desc->function, desc->function_user };
    out->started_ns = sys->now_ns(sys->user);
    rc = sykli__spawn_exec(mem, &sys_desc, desc->command);
    if (rc == -ENODEV && out->cgroup >= 0) { // we may make cgroups, but not move anybody there
        sykli__spawn_cgroup_close(mem, desc->host);
        out->cgroup = -1;
        sys_desc.cgroup_fd = 0;
        rc = sykli__spawn_exec(mem, &sys_desc, desc->command);
    }
    sykli_mem_resize(mem, SYKLI_TAG_spawn, env, env_size, 0);
    if (rc < 0) sykli__spawn_cgroup_give(mem, out);
    if (rc < 0) return sykli__spawn_refused(mem, desc, out, err_fd, rc, f);
    out->pid = rc;
    out->exit_fd = sys->exit_fd(sys->user, out->pid);
    if (out->exit_fd < 0) out->exit_fd = -1;
    out->containment = out->cgroup >= 0 ? SYKLI__SPAWN_cgroup
                     : desc->host ? desc->host->containment : sykli__spawn_contain(sys);
    if (out->host) sykli__spawn_remember(out->host, out);
    return 0;
}

// Starts a command in a session of its own, with pipes for what it prints.
//   returns  0; then `exited` may already be true: the command cannot be executed, exit.code is 127
//            (not found) or 126, and the words for it are in the fault and on its stderr.
//            Otherwise the error: no process, pipe, shell or working folder
static int sykli__spawn_start(sykli_mem *mem, const sykli__spawn_desc *desc,
                              sykli__spawn_proc *out, sykli_fault *f)
{
    memset(out, 0, sizeof *out);
    out->out_fd = out->err_fd = out->exit_fd = out->cgroup = -1;
    size_t uid_size = desc->uid ? strlen(desc->uid) : 0;
    if (!uid_size || uid_size > SYKLI__SPAWN_UID_MAX)
        return sykli_fail(f, SYKLI_EINVAL, "spawn: the uid of an attempt has 1 to %d bytes",
                          SYKLI__SPAWN_UID_MAX);
    snprintf(out->mark, sizeof out->mark, SYKLI__SPAWN_UID "%s", desc->uid);
    int write_fds[2] = { -1, -1 };
    int rc = sykli__spawn_launch(mem, desc, out, write_fds, f);
    sykli__spawn_fd_close(mem, &write_fds[0]); // the end of output is when the task has closed it
    sykli__spawn_fd_close(mem, &write_fds[1]);
    if (rc < 0) {
        sykli__spawn_fd_close(mem, &out->out_fd);
        sykli__spawn_fd_close(mem, &out->err_fd);
    }
    return rc;
}

// Reads what the task printed.
//   stream   1 stdout, 2 stderr
//   returns  bytes; 0 nothing now; SYKLI_EOF when all who held the pipe have closed it
static int64_t sykli__spawn_read(sykli_mem *mem, sykli__spawn_proc *proc, int stream, void *out,
                                 size_t size)
{
    int *fd = stream == 1 ? &proc->out_fd : &proc->err_fd;
    if (*fd < 0) return SYKLI_EOF;
    int64_t got = mem->sys->read(mem->sys->user, *fd, out, size);
    if (got > 0) return got;
    if (got == -EAGAIN || got == -EWOULDBLOCK) return 0;
    sykli__spawn_fd_close(mem, fd);
    return got ? SYKLI_EIO : SYKLI_EOF;
}

// Whether the first process has ended; then `exit` is filled in.
//   returns  0 it runs, 1 it has ended, ECLOSED: ended, but somebody else reaped it
static int sykli__spawn_reap(sykli_mem *mem, sykli__spawn_proc *proc)
{
    const sykli_sys *sys = mem->sys;
    if (proc->exited) return 1;
    int rc = sys->ended(sys->user, proc->pid, &proc->exit);
    if (rc == -ENOSYS) {
        rc = sys->wait(sys->user, proc->pid, &proc->exit);
        proc->reaped = rc == 1;
        if (proc->reaped) proc->group_gone = sys->signal(sys->user, proc->pid, 0, 1) < 0;
    }
    if (rc == -ECHILD) {
        proc->exited = proc->reaped = proc->group_gone = true;
        proc->exit.code = -1;
        return SYKLI_ECLOSED;
    }
    if (rc < 0) return SYKLI_EIO;
    proc->exited = rc == 1;
    return rc;
}

// Whether the process was started with the attempt's mark in its environment.
static bool sykli__spawn_marked_by(sykli_mem *mem, int pid, const char *mark)
{
    const sykli_sys *sys = mem->sys;
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    int fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (fd < 0) return false; // not ours, or gone
    size_t mark_size = strlen(mark) + 1, kept = 1, total = 0;
    bool found = false;
    text[0] = 0; // as if a variable had ended before the first
    while (!found && total < SYKLI__SPAWN_ENV_MAX) {
        int64_t got = sys->read(sys->user, fd, text + kept, sizeof text - kept);
        if (got <= 0) break;
        size_t size = kept + (size_t)got;
        for (size_t i = 0; i + mark_size < size && !found; i++)
            found = !text[i] && !memcmp(text + i + 1, mark, mark_size);
        kept = size < mark_size ? size : mark_size;
        memmove(text, text + size - kept, kept);
        total += (size_t)got;
    }
    sys->close(sys->user, fd);
    return found;
}

typedef struct sykli__spawn_search {
    sykli_mem *mem;
    sykli__spawn_proc *proc;
    int sig;   // 0: count only
    int found;
    bool bury; // only reap strays that have ended
} sykli__spawn_search;

// When the first process started, in the ticks of /proc.   returns  0: it cannot be told any more
static uint64_t sykli__spawn_ticks(sykli_mem *mem, sykli__spawn_proc *proc)
{
    sykli__spawn_stat first;
    if (!proc->ticks && !proc->reaped && sykli__spawn_stat_read(mem, proc->pid, &first))
        proc->ticks = first.ticks;
    return proc->ticks;
}

// Whether a child of ours that we did not start may be ended with this task: no other that lives
// could have started it. It may be older than this task; then its own has ended before. Who is in
// our session was never in a task: tasks begin with a session of their own, and there is no way
// from one into another. Such children the host has started.
static bool sykli__spawn_stray(const sykli__spawn_search *s, int pid, const sykli__spawn_stat *stat)
{
    sykli__spawn_host *host = s->proc->host;
    if (!host || !host->subreaper || stat->session == host->session
        || stat->parent != s->mem->sys->pid(s->mem->sys->user))
        return false;
    for (sykli__spawn_proc *other = host->live; other; other = other->next)
        if (other->pid == pid) return false;
    for (sykli__spawn_proc *other = host->live; other; other = other->next) {
        if (other == s->proc || sykli__spawn_ticks(s->mem, other) > stat->ticks) continue;
        return !(host->strays = true);
    }
    return true;
}

// Whether the process is in the cgroup of the task or in one below.
static bool sykli__spawn_in_cgroup(const sykli__spawn_search *s, int pid)
{
    char name[32], text[4096];
    sykli__spawn_cgroup_name(s->proc, name, s->mem->sys->pid(s->mem->sys->user));
    if (sykli__spawn_slurp(s->mem, pid, "cgroup", text, sizeof text) <= 0) return false;
    const char *at = strstr(text, name);
    return at && (at[strlen(name)] == '\n' || at[strlen(name)] == '/');
}

// Whether the process is a live part of the task.
static bool sykli__spawn_belongs(const sykli__spawn_search *s, int pid)
{
    sykli__spawn_proc *proc = s->proc;
    sykli__spawn_stat stat;
    if (pid == proc->pid || !sykli__spawn_stat_read(s->mem, pid, &stat)) return false;
    if (stat.state == 'Z' || stat.state == 'X') return false;
    if (proc->containment == SYKLI__SPAWN_cgroup) return sykli__spawn_in_cgroup(s, pid);
    if (stat.ticks >= sykli__spawn_ticks(s->mem, proc)) {
        bool same_group = stat.session == proc->pid || stat.group == proc->pid;
        if (same_group && !proc->reaped) return true; // the first process still has its number
        if (sykli__spawn_marked_by(s->mem, pid, proc->mark)) return true;
    }
    return sykli__spawn_stray(s, pid, &stat);
}

// Reaps a stray that has ended: it is our child now, and nobody else will.
static void sykli__spawn_bury(const sykli__spawn_search *s, int pid)
{
    const sykli_sys *sys = s->mem->sys;
    const sykli__spawn_host *host = s->proc->host;
    sykli__spawn_stat stat;
    sykli_exit exit;
    if (!host || !host->subreaper || !sykli__spawn_stat_read(s->mem, pid, &stat)) return;
    if (stat.state != 'Z' || stat.parent != sys->pid(sys->user)) return;
    if (stat.session == host->session) return;
    for (const sykli__spawn_proc *other = host->live; other; other = other->next)
        if (other->pid == pid) return;
    sys->wait(sys->user, pid, &exit);
}

// Whether the number is that of a thread: /proc has those too, though it does not list them.
static bool sykli__spawn_thread(const sykli__spawn_search *s, int pid)
{
    char text[1024];
    if (sykli__spawn_slurp(s->mem, pid, "status", text, sizeof text) <= 0) return false;
    const char *group = strstr(text, "\nTgid:");
    return group && atoi(group + 6) != pid;
}

static void sykli__spawn_visit(sykli__spawn_search *s, int pid)
{
    const sykli_sys *sys = s->mem->sys;
    if (pid <= 1 || s->bury || !sykli__spawn_belongs(s, pid)) {
        sykli__spawn_bury(s, pid);
        return;
    }
    if (sykli__spawn_thread(s, pid)) return;
    if (!s->sig) {
        s->found++;
        return;
    }
    // Held first, then looked at again: if it is ours now, the descriptor is of this very process.
    int fd = sys->exit_fd(sys->user, pid);
    if (fd < 0 && fd != -ENOSYS) return;
    if (sykli__spawn_belongs(s, pid)) {
        s->found++;
        if (fd >= 0) sys->signal_fd(sys->user, fd, s->sig);
        else sys->signal(sys->user, pid, s->sig, 0);
    }
    if (fd >= 0) sys->close(sys->user, fd);
}

static int sykli__spawn_visit_name(void *to, const char *name, int type)
{
    (void)type;
    char *end;
    long pid = *name >= '1' && *name <= '9' ? strtol(name, &end, 10) : 0;
    if (pid > 0 && pid < INT32_MAX && !*end)
        sykli__spawn_visit((sykli__spawn_search *)to, (int)pid);
    return 0;
}

// The newest pid of the machine: the last word of /proc/loadavg (proc(5)).   returns  0: unknown
static int sykli__spawn_newest(sykli_mem *mem, const sykli__spawn_host *host)
{
    const sykli_sys *sys = mem->sys;
    char text[128];
    int64_t got = host && host->loadavg_fd >= 0
        ? sys->pread(sys->user, host->loadavg_fd, text, sizeof text - 1, 0)
        : sykli__spawn_slurp(mem, 0, "loadavg", text, sizeof text);
    if (got <= 0) return 0;
    text[got] = 0;
    const char *last = strrchr(text, ' ');
    long pid = last ? strtol(last, NULL, 10) : 0;
    return pid > 0 && pid < INT32_MAX ? (int)pid : 0;
}

// Visits every pid in a file of numbers: cgroup.procs or /proc/PID/task/PID/children.
static void sykli__spawn_each_in(int fd, sykli__spawn_search *s)
{
    const sykli_sys *sys = s->mem->sys;
    char text[4096];
    size_t kept = 0;
    for (int64_t got; (got = sys->read(sys->user, fd, text + kept, sizeof text - 1 - kept)) > 0;) {
        size_t size = kept + (size_t)got, at = 0;
        text[size] = 0;
        for (size_t end; (end = at + strcspn(text + at, " \n")) < size; at = end + 1)
            if (end > at) sykli__spawn_visit(s, atoi(text + at));
        kept = size - at; // a number may go on in the next piece
        memmove(text, text + at, kept);
    }
    sys->close(sys->user, fd);
}

// Looks after the children of ours that we did not start; those that have ended are reaped.
static void sykli__spawn_each_stray(sykli__spawn_search *s)
{
    const sykli_sys *sys = s->mem->sys;
    int own = sys->pid(sys->user);
    char path[64];
    if (!s->bury) s->proc->host->strays = false;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", own, own);
    int fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (fd >= 0) sykli__spawn_each_in(fd, s);
}

// Goes over the live processes of the tree, except the first one.    returns  whether it could
static bool sykli__spawn_each(sykli__spawn_search *s)
{
    const sykli_sys *sys = s->mem->sys;
    sykli__spawn_proc *proc = s->proc;
    if (proc->containment == SYKLI__SPAWN_cgroup) {
        char path[32];
        snprintf(path, sizeof path, "%d/cgroup.procs", proc->cgroup);
        int fd = sys->open(sys->user, proc->host->cgroup_fd, path, SYKLI_OPEN_read, 0);
        if (fd >= 0) sykli__spawn_each_in(fd, s);
        return fd >= 0;
    }
    // After a short task only a few pids are new; no counter gets around 32,768 in a second.
    int newest = sykli__spawn_newest(s->mem, proc->host), near = 64;
    bool unknown = false;
    if (newest >= proc->pid && newest - proc->pid <= near
        && sys->now_ns(sys->user) - proc->started_ns < 1000000000u) {
        for (int pid = proc->pid + 1; pid <= newest; pid++) {
            if (sykli__spawn_neighbour(proc, pid)) continue;
            sykli__spawn_visit(s, pid);
            unknown = true;
        }
    } else {
        int fd = sys->open(sys->user, SYKLI_CWD, "/proc", SYKLI_OPEN_read | SYKLI_OPEN_directory,
                           0);
        if (fd < 0) return false;
        int rc = sys->list(sys->user, fd, sykli__spawn_visit_name, s);
        sys->close(sys->user, fd);
        if (rc < 0) return false;
        unknown = true;
    }
    if (proc->host && proc->host->subreaper && (unknown || proc->host->strays))
        sykli__spawn_each_stray(s);
    return true;
}

// How many processes of the tree live, not counting the first.
//   cost     2 us after a short task, some 10 us a process of the machine after a long one
static int sykli__spawn_survivors(sykli_mem *mem, sykli__spawn_proc *proc)
{
    const sykli_sys *sys = mem->sys;
    sykli__spawn_search s = { mem, proc, 0, 0, false };
    if (!proc->pid) return 0;
    if (proc->containment == SYKLI__SPAWN_cgroup && proc->exited)
        s.found = sykli__spawn_cgroup_populated(sys, proc->host, proc->cgroup);
    else if (proc->containment != SYKLI__SPAWN_group) sykli__spawn_each(&s);
    // Without /proc a group can be asked only once its first process is reaped. Seen empty, it is
    // never asked again: the number may be somebody else's by then.
    else if (proc->reaped && !proc->group_gone) {
        proc->group_gone = sys->signal(sys->user, proc->pid, 0, 1) < 0;
        s.found = !proc->group_gone;
    }
    return s.found;
}

// How many lines a file of a cgroup has.
static int sykli__spawn_cgroup_lines(const sykli_sys *sys, int dir, const char *name)
{
    char text[4096];
    int lines = 0, fd = sys->open(sys->user, dir, name, SYKLI_OPEN_read, 0);
    if (fd < 0) return 0;
    for (int64_t got; (got = sys->read(sys->user, fd, text, sizeof text)) > 0;)
        for (int64_t i = 0; i < got; i++) lines += text[i] == '\n';
    sys->close(sys->user, fd);
    return lines;
}

// Whether the tree has more processes than that. Pids count upwards: since they were counted last
// there can be as many more as the newest pid has grown by, so mostly none has to be looked at.
static bool sykli__spawn_crowded(sykli_mem *mem, sykli__spawn_proc *proc, uint64_t most)
{
    char path[32];
    int newest = sykli__spawn_newest(mem, proc->host);
    if (!proc->pid || proc->containment == SYKLI__SPAWN_group) return false;
    if (!proc->counted) proc->counted = 1, proc->counted_at = proc->pid;
    if (newest >= proc->counted_at
        && (uint64_t)(newest - proc->counted_at) + (uint64_t)proc->counted <= most)
        return false;
    sykli__spawn_search s = { mem, proc, 0, 0, false };
    snprintf(path, sizeof path, "%d/cgroup.procs", proc->cgroup);
    if (proc->containment == SYKLI__SPAWN_cgroup)
        s.found = sykli__spawn_cgroup_lines(mem->sys, proc->host->cgroup_fd, path);
    else {
        sykli__spawn_each(&s);
        s.found += !proc->exited;
    }
    proc->counted = s.found > 0 ? s.found : 1;
    proc->counted_at = newest;
    return (uint64_t)s.found > most;
}

// Sends a signal to the whole tree.   returns  0, ENOENT: nothing of it was there
static int sykli__spawn_signal(sykli_mem *mem, sykli__spawn_proc *proc, int sig)
{
    const sykli_sys *sys = mem->sys;
    if (!proc->pid) return SYKLI_ENOENT;
    bool reached = false;
    if (!proc->reaped || !proc->group_gone)
        reached = sys->signal(sys->user, proc->pid, sig, 1) >= 0;
    if (!reached && !proc->exited) // the first process at least, which is not reaped and so is ours
        reached = (proc->exit_fd >= 0 ? sys->signal_fd(sys->user, proc->exit_fd, sig)
                                      : sys->signal(sys->user, proc->pid, sig, 0)) >= 0;
    if (proc->containment == SYKLI__SPAWN_cgroup && sig == SIGKILL) {
        char path[32];
        snprintf(path, sizeof path, "%d/cgroup.kill", proc->cgroup);
        reached |= sykli__spawn_cgroup_populated(sys, proc->host, proc->cgroup);
        sykli__spawn_cgroup_write(sys, proc->host->cgroup_fd, path, "1");
        return reached ? 0 : SYKLI_ENOENT;
    }
    // What forks while it is searched for is found in the next round; what forks faster than it can
    // be found is stopped by the limits of the machine, not by us.
    int rounds = sig == SIGKILL ? 8 : 1;
    for (int i = 0; i < rounds && proc->containment != SYKLI__SPAWN_group; i++) {
        sykli__spawn_search s = { mem, proc, sig, 0, false };
        bool looked = sykli__spawn_each(&s);
        if (looked && !s.found) break; // else it is asked again
        reached |= s.found > 0;
    }
    return reached ? 0 : SYKLI_ENOENT;
}

// Reaps strays that have ended, at most once a second: they wait for nobody.
static void sykli__spawn_bury_all(sykli_mem *mem, sykli__spawn_proc *proc)
{
    sykli__spawn_host *host = proc->host;
    uint64_t now = mem->sys->now_ns(mem->sys->user);
    if (!host || !host->subreaper || now - host->buried_ns < 1000000000u) return;
    host->buried_ns = now;
    sykli__spawn_search s = { mem, proc, 0, 0, true };
    sykli__spawn_each_stray(&s);
}

// What people call the signals that end programs, in parentheses; "" for others.
static const char *sykli__spawn_signal_name(int sig)
{
    switch (sig) {
    case SIGABRT: return " (SIGABRT)";
    case SIGBUS: return " (SIGBUS)";
    case SIGFPE: return " (SIGFPE)";
    case SIGILL: return " (SIGILL)";
    case SIGKILL: return " (SIGKILL)";
    case SIGPIPE: return " (SIGPIPE)";
    case SIGSEGV: return " (SIGSEGV)";
    case SIGTERM: return " (SIGTERM)";
    default: return "";
    }
}

// Gives all back. What still runs is killed first.
static void sykli__spawn_close(sykli_mem *mem, sykli__spawn_proc *proc)
{
    const sykli_sys *sys = mem->sys;
    if (proc->pid && !proc->exited) {
        sykli__spawn_signal(mem, proc, SIGKILL);
        // On a busy machine the descriptor tells the end some milliseconds before wait does.
        bool told = proc->exit_fd < 0;
        for (int i = 0; i < 100 && !proc->exited; i++) {
            sykli__spawn_reap(mem, proc);
            sykli_poll_fd end = { proc->exit_fd, SYKLI_POLL_in, 0 };
            if (!proc->exited) told |= sys->poll(sys->user, &end, !told, 10) > 0;
        }
    }
    sykli_exit again;
    for (int tries = 0; proc->pid && !proc->reaped && tries < 3; tries++) {
        int rc = sys->wait(sys->user, proc->pid, &again); // or it stays a zombie of our host
        proc->reaped = rc == 1 || rc == -ECHILD;
    }
    sykli__spawn_fd_close(mem, &proc->out_fd);
    sykli__spawn_fd_close(mem, &proc->err_fd);
    sykli__spawn_fd_close(mem, &proc->exit_fd);
    if (proc->pid) sykli__spawn_bury_all(mem, proc);
    if (proc->pid && proc->host) sykli__spawn_forget(proc->host, proc);
    if (proc->pid) sykli__spawn_cgroup_give(mem, proc);
    proc->pid = 0;
}

// One process of the tree: its memory in KiB and its time.   returns  false: gone
static bool sykli__spawn_usage(sykli_mem *mem, int pid, uint64_t *kib, uint64_t *ticks)
{
    sykli__spawn_stat stat;
    char text[2048];
    if (!sykli__spawn_stat_read(mem, pid, &stat)) return false;
    *ticks += stat.cpu_ticks;
    if (sykli__spawn_slurp(mem, pid, "status", text, sizeof text) <= 0) return true;
    const char *rss = strstr(text, "\nVmRSS:");
    if (rss) *kib += strtoull(rss + 7, NULL, 10);
    return true;
}

// Figures of the running tree: the first process and its descendants, 64 at most.
//   out      SYKLI_NULL_U64 where the machine does not say
static void sykli__spawn_sample(sykli_mem *mem, const sykli__spawn_proc *proc,
                                uint64_t *memory_bytes, uint64_t *cpu_ms)
{
    int pids[64];
    size_t count = 1;
    uint64_t kib = 0, ticks = 0;
    char text[1024];
    *memory_bytes = *cpu_ms = SYKLI_NULL_U64;
    if (!proc->pid || proc->exited || !sykli__spawn_usage(mem, proc->pid, &kib, &ticks)) return;
    pids[0] = proc->pid;
    for (size_t i = 0; i < count; i++) {
        char name[40], *at = text;
        snprintf(name, sizeof name, "task/%d/children", pids[i]);
        if (sykli__spawn_slurp(mem, pids[i], name, text, sizeof text) <= 0) continue;
        while (count < sizeof pids / sizeof *pids) {
            long child = strtol(at, &at, 10);
            if (child <= 0 || child >= INT32_MAX) break;
            pids[count++] = (int)child;
            sykli__spawn_usage(mem, (int)child, &kib, &ticks);
        }
    }
    *memory_bytes = kib * 1024;
    *cpu_ms = ticks * 10; // USER_HZ is 100 in the Linux ABI
}

// >>history ---- run records, durations, last keys
// What a run leaves in PROJECT/.sykli: a record of lines, one appended as each task finishes, so
// that a killed run is readable up to its last whole line; the log of each task; the parts of its
// last action key, for `explain`; and a digest of the last durations, which spares the next run
// from reading all records. Records that the digest does not cover yet are folded in when it is
// read. Nothing here is needed for a right result: a damaged piece is as good as none.

#define SYKLI__HISTORY_RUNS_MAX 20         // records kept, with their logs
#define SYKLI__HISTORY_TIMES_MAX 5         // durations remembered of a task
#define SYKLI__HISTORY_AGE_MAX 100         // runs without it after which a task is forgotten
#define SYKLI__HISTORY_FILE_MAX (256u << 20) // bytes of a record
#define SYKLI__HISTORY_KEYS_MAX (64u << 20) // bytes of the keys that a run replaced
#define SYKLI__HISTORY_BATCH (32u << 10)   // bytes of hits gathered before they are written

// One line of a record. Texts may be NULL.
typedef struct sykli__history_task {
    const char *name, *reason, *from, *log, *key, *log_id; // key, log_id: hex
    sykli_status status;
    int exit_code, attempt;
    uint64_t duration_ms, saved_ms, started_at_ms;
    uint64_t cpu_ms, rss_max_bytes, read_bytes, write_bytes; // 0 where it did not run
} sykli__history_task;

typedef struct sykli__history_run {
    uint64_t run, started_ms, ended_ms, tasks, failed; // ended_ms 0: it was killed, or still runs
    int pid;
} sykli__history_run;

// What is remembered of a task over the runs.
typedef struct sykli__history_known {
    uint64_t times[SYKLI__HISTORY_TIMES_MAX]; // of passed attempts, the newest first
    uint32_t count, age;
    char key[65];                             // of the last attempt, "" before the first
    uint32_t outcome;  // with this key: 0 not known, 1 passed, 2 failed
    uint32_t flips;    // the other outcome than the time before, although the key was the same
    uint32_t retried;  // passed, but not at the first attempt
    uint64_t flaky_ms; // when that happened last
} sykli__history_known;

typedef struct sykli__history {
    sykli_mem *mem;
    int dir, runs, keys, logs, lock; // folders and the lock file; -1: none
    int fd, run_logs, run_keys;      // of the run in progress
    uint64_t run_keys_bytes;
    char stem[48];                   // its name: start and id, which sorts by time
    char folded[48];                 // the newest record that `known` covers
    bool loaded;                     // `known` is what the digest says; else nobody has asked yet
    bool lost;                       // there was no memory for it: the digest stays as it is
    sykli_map names;                 // task -> index in `known`
    sykli__history_known *known;
    size_t capacity;
    sykli_buf line, batch;
    char *log_dir;                   // as it is shown
    bool logs_apart;                 // not where they always are
} sykli__history;

static void sykli__history_fd_close(sykli__history *h, int *fd)
{
    if (*fd >= 0) h->mem->sys->close(h->mem->sys->user, *fd);
    *fd = -1;
}

static void sykli__history_close(sykli__history *h)
{
    if (!h->mem) return;
    int *fds[] = { &h->dir, &h->runs, &h->keys, &h->logs, &h->lock, &h->fd, &h->run_logs,
                   &h->run_keys };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) sykli__history_fd_close(h, fds[i]);
    sykli_map_free(&h->names);
    if (h->known) sykli_mem_resize(h->mem, SYKLI_TAG_drive, h->known,
                                   h->capacity * sizeof *h->known, 0);
    sykli_mem_text_free(h->mem, SYKLI_TAG_drive, h->log_dir);
    sykli_buf_free(&h->line);
    sykli_buf_free(&h->batch);
    h->mem = NULL;
}

// Opens a folder, made if need be. A link in its place is not followed: the project may come from
// somebody else.      returns  the descriptor or the negated errno
static int sykli__history_folder(const sykli_sys *sys, int dir, const char *name)
{
    int rc = sys->mkdir(sys->user, dir, name, 0777);
    if (rc < 0 && rc != -EEXIST) return rc;
    return sys->open(sys->user, dir, name,
                     SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_nofollow, 0);
}

// Puts a small file in one step: readers see the old or the new one.
static int sykli__history_put(const sykli_sys *sys, int dir, const char *name, const void *data,
                              size_t size)
{
    char fresh[80];
    snprintf(fresh, sizeof fresh, ".new-%s", name);
    sys->remove(sys->user, dir, fresh, 0); // of a run that was killed just here
    int fd = sys->open(sys->user, dir, fresh,
                       SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_exclusive, 0666);
    if (fd < 0) return fd;
    int rc = sykli__tree_write(sys, fd, data, size);
    sys->close(sys->user, fd);
    if (rc >= 0) rc = sys->rename(sys->user, dir, fresh, dir, name);
    if (rc < 0) sys->remove(sys->user, dir, fresh, 0);
    return rc;
}

static sykli__history_known *sykli__history_entry(sykli__history *h, const char *name)
{
    uint64_t *at = sykli_map_get(&h->names, name, strlen(name));
    return at ? &h->known[*at] : NULL;
}

// The entry of a task, made if need be.    returns  NULL: no memory
static sykli__history_known *sykli__history_know(sykli__history *h, const char *name)
{
    sykli__history_known *known = sykli__history_entry(h, name);
    if (known) return known;
    size_t count = h->names.count;
    if (!sykli__base_room(h->mem, SYKLI_TAG_drive, &h->known, &h->capacity, count,
                          sizeof *h->known, SYKLI_TASKS_MAX)
        || sykli_map_put(&h->names, name, strlen(name), count) < 0)
        return NULL;
    memset(&h->known[count], 0, sizeof *h->known);
    return &h->known[count];
}

// Whether a text is a key, or none at all: only such a one is written again as it is.
static bool sykli__history_is_key(const char *text)
{
    size_t size = text ? strspn(text, "0123456789abcdef") : 65;
    return size < 65 && !text[size];
}

// Notes what no change explains: another outcome with the same key, or a pass after a failure.
static void sykli__history_learn_outcome(sykli__history_known *known,
                                         const sykli__history_task *task)
{
    bool keyed = task->key && *task->key, same = keyed && !strcmp(known->key, task->key);
    bool passed = task->status == SYKLI_STATUS_passed;
    bool failed = task->status == SYKLI_STATUS_failed || task->status == SYKLI_STATUS_errored;
    if (keyed && !same) known->outcome = 0;
    if (task->attempt < 1 || (!passed && !failed)) return;
    bool flip = same && known->outcome == (passed ? 2u : 1u), again = passed && task->attempt > 1;
    known->flips += flip;
    known->retried += again;
    if (flip || again) known->flaky_ms = task->started_at_ms;
    known->outcome = passed ? 1 : 2;
}

static void sykli__history_learn(sykli__history *h, const sykli__history_task *task)
{
    sykli__history_known *known = sykli__history_know(h, task->name);
    if (!known) return; // a duration less
    known->age = 0;
    sykli__history_learn_outcome(known, task);
    if (sykli__history_is_key(task->key) && *task->key)
        memcpy(known->key, task->key, strlen(task->key) + 1);
    if (task->status != SYKLI_STATUS_passed) return;
    memmove(known->times + 1, known->times, sizeof known->times - sizeof *known->times);
    known->times[0] = task->duration_ms;
    if (known->count < SYKLI__HISTORY_TIMES_MAX) known->count++;
}

static sykli_status sykli__history_status(const char *text)
{
    int status = 0;
    while (text && sykli_status_names[status] && strcmp(sykli_status_names[status], text)) status++;
    return text ? (sykli_status)status : SYKLI_STATUS_COUNT;
}

SYKLI__APART
static uint64_t sykli__history_number(const sykli_json_doc *doc, const char *name)
{
    uint64_t value = 0;
    uint32_t node = sykli_json_get(doc, 0, name);
    return node && sykli_json_u64(doc, node, &value) ? value : 0;
}

static const char *sykli__history_text(const sykli_json_doc *doc, const char *name)
{
    uint32_t node = sykli_json_get(doc, 0, name);
    return node ? sykli_json_text(doc, node) : NULL;
}

// A reader of lines of JSON objects. What is no such line is passed over: the last one of a killed
// run is cut short.
typedef struct sykli__history_reader {
    sykli_buf text;
    size_t at;
    int error; // -ENOMEM: the reading ended early
    sykli_json_doc doc;
} sykli__history_reader;

static int sykli__history_lines_open(sykli__history_reader *in, sykli_mem *mem, int dir,
                                     const char *name)
{
    memset(in, 0, sizeof *in);
    sykli_buf_init(&in->text, mem, SYKLI_TAG_drive);
    return sykli__tree_slurp(mem, dir, name, SYKLI__HISTORY_FILE_MAX, &in->text);
}

static void sykli__history_lines_close(sykli__history_reader *in) { sykli_buf_free(&in->text); }

// returns  true: `doc` holds the next object, to be freed by the caller
static bool sykli__history_lines_next(sykli__history_reader *in)
{
    while (in->at < in->text.size) {
        const char *line = (const char *)in->text.data + in->at;
        const char *end = (const char *)memchr(line, '\n', in->text.size - in->at);
        if (!end) return false; // not whole
        size_t size = (size_t)(end - line);
        in->at += size + 1;
        int rc = sykli_json_parse(&in->doc, in->text.mem, line, size, NULL);
        if (rc == SYKLI_ENOMEM) in->error = -ENOMEM;
        if (in->error) return false;
        if (rc) continue;
        if (in->doc.count && in->doc.nodes[0].type == SYKLI_JSON_object) return true;
        sykli_json_free(&in->doc);
    }
    return false;
}

// Takes a line of a record apart.    returns  whether it is one of a task
static bool sykli__history_line_read(const sykli_json_doc *doc, sykli__history_run *run,
                                     sykli__history_task *task)
{
    memset(task, 0, sizeof *task);
    task->name = sykli__history_text(doc, "name");
    task->status = sykli__history_status(sykli__history_text(doc, "status"));
    if (task->name && task->status != SYKLI_STATUS_COUNT) {
        task->reason = sykli__history_text(doc, "reason");
        task->from = sykli__history_text(doc, "from");
        task->log = sykli__history_text(doc, "log");
        task->key = sykli__history_text(doc, "key");
        task->log_id = sykli__history_text(doc, "log_id");
        int64_t code = 0;
        uint32_t node = sykli_json_get(doc, 0, "exit_code");
        if (node) sykli_json_i64(doc, node, &code);
        task->exit_code = (int)code;
        task->attempt = (int)sykli__history_number(doc, "attempt");
        task->duration_ms = sykli__history_number(doc, "duration_ms");
        task->saved_ms = sykli__history_number(doc, "saved_ms");
        task->started_at_ms = sykli__history_number(doc, "started_at_ms");
        return true;
    }
    if (sykli_json_get(doc, 0, "run")) {
        run->run = sykli__history_number(doc, "run");
        run->started_ms = sykli__history_number(doc, "started_ms");
        run->tasks = sykli__history_number(doc, "tasks");
        run->pid = (int)sykli__history_number(doc, "pid");
    }
    if (sykli_json_get(doc, 0, "ended_ms")) {
        run->ended_ms = sykli__history_number(doc, "ended_ms");
        run->failed = sykli__history_number(doc, "failed");
    }
    return false;
}

// Reads one record.
//   each     returns 0 to go on; texts are valid during the call
//   returns  0, what `each` returned, ENOMEM, EIO
static int sykli__history_record_read(sykli_mem *mem, int runs, const char *name,
                                      sykli__history_run *run,
                                      int (*each)(void *to, const sykli__history_task *task),
                                      void *to)
{
    sykli__history_reader in;
    sykli__history_task task;
    memset(run, 0, sizeof *run);
    int rc = sykli__history_lines_open(&in, mem, runs, name);
    if (rc) rc = rc == -ENOMEM ? SYKLI_ENOMEM : SYKLI_EIO;
    while (!rc && sykli__history_lines_next(&in)) {
        if (sykli__history_line_read(&in.doc, run, &task) && each) rc = each(to, &task);
        sykli_json_free(&in.doc);
    }
    if (!rc && in.error) rc = SYKLI_ENOMEM;
    sykli__history_lines_close(&in);
    return rc;
}

static int sykli__history_learn_each(void *to, const sykli__history_task *task)
{
    sykli__history_learn((sykli__history *)to, task);
    return 0;
}

static bool sykli__history_record_name(const char *name)
{
    size_t time = strspn(name, "0123456789");
    size_t id = name[time] == '-' ? strspn(name + time + 1, "0123456789abcdef") : 0;
    return time == 14 && id == 16 && !strcmp(name + 31, ".jsonl");
}

// The names of all records, NUL-terminated one after the other in pieces of 48, oldest first.
static int sykli__history_compare(const void *a, const void *b, void *user)
{
    (void)user;
    return strcmp((const char *)a, (const char *)b);
}

static int sykli__history_records(sykli__history *h, sykli_buf *out)
{
    sykli_buf names;
    sykli_buf_init(&names, h->mem, SYKLI_TAG_drive);
    int type, rc = sykli__tree_names(h->mem->sys, h->runs, &names);
    const char *name;
    char piece[48];
    for (size_t at = 0; !rc && (name = sykli__tree_name_next(&names, &at, &type));) {
        if (!sykli__history_record_name(name)) continue;
        memset(piece, 0, sizeof piece);
        memcpy(piece, name, strlen(name));
        rc = sykli_buf_add(out, piece, sizeof piece) ? -ENOMEM : 0;
    }
    size_t size = out->size;
    uint8_t *scratch = !rc && size ? sykli_buf_grow(out, size) : NULL;
    if (scratch) sykli_sort(out->data, size / 48, 48, scratch, sykli__history_compare, NULL);
    else if (size) rc = -ENOMEM;
    sykli_buf_free(&names);
    return rc;
}

static void sykli__history_digest_line(sykli__history *h, const sykli_json_doc *doc)
{
    const char *folded = sykli__history_text(doc, "folded");
    const char *name = sykli__history_text(doc, "name"), *key = sykli__history_text(doc, "key");
    if (folded && sykli__history_record_name(folded))
        memcpy(h->folded, folded, strlen(folded) + 1);
    sykli__history_known *known = name ? sykli__history_know(h, name) : NULL;
    if (!known) return;
    known->age = (uint32_t)sykli__history_number(doc, "age");
    known->outcome = (uint32_t)sykli__history_number(doc, "outcome");
    known->flips = (uint32_t)sykli__history_number(doc, "flips");
    known->retried = (uint32_t)sykli__history_number(doc, "retried");
    known->flaky_ms = sykli__history_number(doc, "flaky_ms");
    if (sykli__history_is_key(key)) memcpy(known->key, key, strlen(key) + 1);
    uint32_t list = sykli_json_get(doc, 0, "times");
    for (uint32_t at = list ? sykli_json_first(doc, list) : 0; at;
         at = sykli_json_next(doc, list, at))
        if (known->count < SYKLI__HISTORY_TIMES_MAX
            && sykli_json_u64(doc, at, &known->times[known->count]))
            known->count++;
}

static bool sykli__history_skip(const char **at, const char *text)
{
    size_t size = strlen(text);
    if (strncmp(*at, text, size)) return false;
    *at += size;
    return true;
}

// Reads a line of the digest as sykli__history_digest_save writes most of them, without the detour
// over a document: a run begins with reading one a task.
//   returns  false: it has another form, nothing was done
static bool sykli__history_digest_plain(sykli__history *h, const char *line)
{
    char name[256], *end;
    sykli__history_known fresh = { .count = 0 };
    const char *at = line;
    if (!sykli__history_skip(&at, "{\"name\":\"")) return false;
    size_t size = strcspn(at, "\"\\\n");
    if (size >= sizeof name || at[size] != '"' || !sykli_utf8_valid(at, size)) return false;
    memcpy(name, at, size);
    name[size] = 0;
    at += size;
    if (!sykli__history_skip(&at, "\",\"key\":\"")) return false;
    size = strspn(at, "0123456789abcdef");
    if (size >= sizeof fresh.key) return false;
    memcpy(fresh.key, at, size);
    at += size;
    if (!sykli__history_skip(&at, "\",\"age\":")) return false;
    fresh.age = (uint32_t)strtoul(at, &end, 10);
    at = end;
    if (!sykli__history_skip(&at, ",\"outcome\":")) return false;
    fresh.outcome = (uint32_t)strtoul(at, &end, 10);
    at = end;
    if (!sykli__history_skip(&at, ",\"times\":[")) return false;
    while (*at >= '0' && *at <= '9' && fresh.count < SYKLI__HISTORY_TIMES_MAX) {
        fresh.times[fresh.count++] = strtoull(at, &end, 10);
        at = end + (*end == ',');
    }
    if (strncmp(at, "]}\n", 3)) return false;
    sykli__history_known *known = sykli__history_know(h, name);
    if (known) *known = fresh;
    return true;
}

// Passes over the lines at the front that are plain.
static void sykli__history_digest_lines(sykli__history *h, sykli__history_reader *in)
{
    while (in->at < in->text.size
           && sykli__history_digest_plain(h, (const char *)in->text.data + in->at))
        in->at += strcspn((const char *)in->text.data + in->at, "\n") + 1;
}

// Reads the digest, then the records that are newer; that of the run in progress is one of them.
static int sykli__history_digest_load(sykli__history *h)
{
    sykli__history_reader in;
    h->loaded = true;
    int rc = sykli__history_lines_open(&in, h->mem, h->dir, "durations.jsonl");
    while (!rc && sykli__history_lines_next(&in)) {
        sykli__history_digest_line(h, &in.doc);
        sykli_json_free(&in.doc);
        sykli__history_digest_lines(h, &in);
    }
    if (in.error) rc = in.error;
    sykli__history_lines_close(&in);
    if (rc == -ENOMEM) return rc;
    sykli_buf records;
    sykli__history_run run;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    rc = sykli__history_records(h, &records);
    for (size_t at = 0; !rc && at < records.size; at += 48) {
        const char *name = (const char *)records.data + at;
        if (strcmp(name, h->folded) <= 0) continue;
        rc = sykli__history_record_read(h->mem, h->runs, name, &run, sykli__history_learn_each, h);
        rc = rc == SYKLI_ENOMEM ? -ENOMEM : 0; // unreadable: passed over
        if (!rc) snprintf(h->folded, sizeof h->folded, "%.47s", name);
    }
    sykli_buf_free(&records);
    return rc;
}

#define SYKLI__HISTORY_FOLDED "{\"folded\":\""

// Whether the digest covers all records, by its first line and the names of those. Then it need not
// be read before somebody asks for what is in it; a run in which all is up to date never does.
static bool sykli__history_digest_whole(sykli__history *h)
{
    enum { HEAD = sizeof SYKLI__HISTORY_FOLDED - 1, NAME = 37 };
    const sykli_sys *sys = h->mem->sys;
    char line[HEAD + NAME + 4] = "";
    int fd = sys->open(sys->user, h->dir, "durations.jsonl", SYKLI_OPEN_read, 0);
    int64_t got = fd < 0 ? fd : sys->pread(sys->user, fd, line, sizeof line - 1, 0);
    if (fd >= 0) sys->close(sys->user, fd);
    if (got < HEAD + NAME + 3 || memcmp(line, SYKLI__HISTORY_FOLDED, HEAD)
        || memcmp(line + HEAD + NAME, "\"}\n", 3))
        return false;
    line[HEAD + NAME] = 0;
    sykli_buf records;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    bool whole = sykli__history_record_name(line + HEAD) && !sykli__history_records(h, &records);
    if (whole && records.size)
        whole = strcmp((const char *)records.data + records.size - 48, line + HEAD) <= 0;
    if (whole) memcpy(h->folded, line + HEAD, NAME + 1);
    sykli_buf_free(&records);
    return whole;
}

// Says in the digest that it covers one record more, which had no news for it. If that fails, the
// next run reads the record.
static void sykli__history_digest_skip(sykli__history *h)
{
    const sykli_sys *sys = h->mem->sys;
    int fd = sys->open(sys->user, h->dir, "durations.jsonl", SYKLI_OPEN_write | SYKLI_OPEN_nofollow,
                       0);
    if (fd < 0) return;
    sys->pwrite(sys->user, fd, h->folded, strlen(h->folded), sizeof SYKLI__HISTORY_FOLDED - 1);
    sys->close(sys->user, fd);
}

// Appends to the record what was gathered.     returns  0 or the negated errno
static int sykli__history_flush(sykli__history *h)
{
    if (h->fd < 0 || !h->batch.size) return 0;
    int rc = sykli__tree_write(h->mem->sys, h->fd, h->batch.data, h->batch.size);
    sykli_buf_reset(&h->batch);
    return rc;
}

// Reads what is remembered of tasks, if that was not done yet. Until then what this run has to tell
// stands in its record only, so the record is read too.
static void sykli__history_ready(sykli__history *h)
{
    if (h->loaded) return;
    sykli__history_flush(h);
    h->lost = sykli__history_digest_load(h) < 0;
}

static sykli__history_known *sykli__history_find(sykli__history *h, const char *name)
{
    sykli__history_ready(h);
    return sykli__history_entry(h, name);
}

static int sykli__history_digest_save(sykli__history *h)
{
    const void *name;
    size_t size, at = 0;
    uint64_t index;
    sykli_buf out;
    sykli_buf_init(&out, h->mem, SYKLI_TAG_drive);
    sykli_buf_print(&out, SYKLI__HISTORY_FOLDED "%s\"}\n", h->folded);
    while (sykli_map_next(&h->names, &at, &name, &size, &index)) {
        sykli__history_known *known = &h->known[index];
        if (++known->age > SYKLI__HISTORY_AGE_MAX) continue;
        sykli_buf_text(&out, "{\"name\":");
        sykli_json_quote(&out, (const char *)name, size);
        sykli_buf_text(&out, ",\"key\":\"");
        sykli_buf_text(&out, known->key);
        sykli_buf_text(&out, "\",\"age\":");
        sykli__base_number(&out, known->age);
        sykli_buf_text(&out, ",\"outcome\":");
        sykli__base_number(&out, known->outcome);
        if (known->flaky_ms)
            sykli_buf_print(&out, ",\"flips\":%u,\"retried\":%u,\"flaky_ms\":%llu",
                            (unsigned)known->flips, (unsigned)known->retried,
                            (unsigned long long)known->flaky_ms);
        sykli_buf_text(&out, ",\"times\":[");
        for (uint32_t i = 0; i < known->count; i++) {
            if (i) sykli_buf_text(&out, ",");
            sykli__base_number(&out, known->times[i]);
        }
        sykli_buf_text(&out, "]}\n");
    }
    int rc = out.error ? -ENOMEM
           : sykli__history_put(h->mem->sys, h->dir, "durations.jsonl", out.data, out.size);
    sykli_buf_free(&out);
    return rc;
}

// The folders of the history.    returns  0 or the negated errno
static int sykli__history_folders(sykli__history *h, const char *project_dir, const char *log_dir)
{
    const sykli_sys *sys = h->mem->sys;
    int project = sys->open(sys->user, SYKLI_CWD, project_dir,
                            SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (project < 0) return project;
    h->dir = sykli__history_folder(sys, project, ".sykli");
    sys->close(sys->user, project);
    if (h->dir < 0) return h->dir;
    sykli_stat st;
    int rc = sys->stat(sys->user, h->dir, ".gitignore", &st);
    if (rc == -ENOENT) rc = sykli__history_put(sys, h->dir, ".gitignore", "*\n", 2);
    if (rc < 0) return rc;
    if ((h->runs = sykli__history_folder(sys, h->dir, "runs")) < 0) return h->runs;
    if ((h->keys = sykli__history_folder(sys, h->dir, "keys")) < 0) return h->keys;
    h->logs = sykli__history_folder(sys, log_dir ? SYKLI_CWD : h->dir, log_dir ? log_dir : "logs");
    return h->logs < 0 ? h->logs : 0;
}

// Opens the history of a project and reads what it needs.
//   log_dir  NULL: PROJECT/.sykli/logs
//   returns  0; ENOMEM; EIO, EPERM, ENOENT: the folder
static int sykli__history_open(sykli__history *h, sykli_mem *mem, const char *project_dir,
                               const char *log_dir, sykli_fault *f)
{
    memset(h, 0, sizeof *h);
    h->mem = mem;
    h->dir = h->runs = h->keys = h->logs = h->lock = h->fd = h->run_logs = h->run_keys = -1;
    sykli_map_init(&h->names, mem, NULL);
    sykli_buf_init(&h->line, mem, SYKLI_TAG_drive);
    sykli_buf_init(&h->batch, mem, SYKLI_TAG_drive);
    h->logs_apart = log_dir != NULL;
    if (log_dir) sykli_buf_text(&h->line, log_dir);
    else sykli_buf_print(&h->line, "%s/.sykli/logs", project_dir);
    if (!h->line.error)
        h->log_dir = sykli_mem_text(mem, SYKLI_TAG_drive, (const char *)h->line.data, h->line.size);
    sykli_buf_reset(&h->line);
    int rc = h->log_dir ? sykli__history_folders(h, project_dir, log_dir) : -ENOMEM;
    if (rc >= 0 && !sykli__history_digest_whole(h)) rc = sykli__history_digest_load(h);
    if (rc >= 0) return 0;
    sykli__history_close(h);
    return sykli_fail_sys(f, rc, "history in %s/.sykli", project_dir);
}

// Takes the project for one run.
//   returns  0; EBUSY: another run has it, the fault names its process; EIO
static int sykli__history_lock(sykli__history *h, sykli_fault *f)
{
    const sykli_sys *sys = h->mem->sys;
    char text[32];
    if (h->lock >= 0) return 0;
    int fd = sys->open(sys->user, h->dir, "lock",
                       SYKLI_OPEN_read | SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_nofollow,
                       0666);
    if (fd < 0) return sykli_fail_sys(f, fd, "the lock of this project");
    int rc = sys->lock(sys->user, fd, 1);
    if (rc >= 0) {
        int pid = sys->pid(sys->user), size = snprintf(text, sizeof text, "%-10d\n", pid);
        sys->pwrite(sys->user, fd, text, (size_t)size, 0); // only for the message below
        h->lock = fd;
        return 0;
    }
    int64_t got = sys->pread(sys->user, fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = 0;
    sys->close(sys->user, fd);
    if (rc != -EWOULDBLOCK) return sykli_fail_sys(f, rc, "the lock of this project");
    return sykli_fail(f, SYKLI_EBUSY, "another run works in this project: process %d", atoi(text));
}

static void sykli__history_unlock(sykli__history *h) { sykli__history_fd_close(h, &h->lock); }

// Removes the oldest records and their logs. What cannot be removed now is next time.
static int sykli__history_prune(sykli__history *h)
{
    sykli_buf records;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    int rc = sykli__history_records(h, &records);
    for (size_t at = 0; !rc && at + SYKLI__HISTORY_RUNS_MAX * 48 < records.size; at += 48) {
        char *name = (char *)records.data + at;
        h->mem->sys->remove(h->mem->sys->user, h->runs, name, 0);
        char *end = name + strlen(name) - strlen(".jsonl");
        *end = 0;
        sykli__tree_remove_at(h->mem, h->logs, name, 0);
        memcpy(end, ".keys", sizeof ".keys"); // shorter than what stood there
        h->mem->sys->remove(h->mem->sys->user, h->runs, name, 0);
    }
    sykli_buf_free(&records);
    return rc;
}

// A member that is a text, if it has one; `name` is all that stands before it.
static void sykli__history_field(sykli_buf *b, const char *name, const char *text)
{
    if (!text || !*text) return;
    sykli_buf_text(b, name);
    sykli_json_quote(b, text, strlen(text));
}

// Begins the record of a run.    returns  0; EEXIST: the id was used; EIO
static int sykli__history_begin(sykli__history *h, uint64_t run, uint64_t started_ms,
                                uint64_t tasks, sykli_fault *f)
{
    const sykli_sys *sys = h->mem->sys;
    char name[64];
    unsigned long long id = run, started = started_ms, count = tasks;
    int pid = sys->pid(sys->user);
    sykli__history_fd_close(h, &h->fd);
    sykli__history_fd_close(h, &h->run_logs);
    sykli__history_fd_close(h, &h->run_keys);
    snprintf(h->stem, sizeof h->stem, "%014llu-%016llx", started, id);
    snprintf(name, sizeof name, "%s.jsonl", h->stem);
    h->fd = sys->open(sys->user, h->runs, name, SYKLI_OPEN_write | SYKLI_OPEN_append
                      | SYKLI_OPEN_create | SYKLI_OPEN_exclusive, 0666);
    if (h->fd == -EEXIST) {
        h->fd = -1;
        return sykli_fail(f, SYKLI_EEXIST, "a record of run %llu is there already", id);
    }
    if (h->fd < 0) {
        int rc = h->fd;
        h->fd = -1;
        return sykli_fail_sys(f, rc, "the record of run %llu", id);
    }
    h->run_keys_bytes = 0;
    sykli_buf_reset(&h->batch);
    sykli_buf_print(&h->batch, "{\"run\":%llu,\"started_ms\":%llu,\"tasks\":%llu,\"pid\":%d", id,
                    started, count, pid < 0 ? 0 : pid);
    if (h->logs_apart) sykli__history_field(&h->batch, ",\"logs\":", h->log_dir);
    sykli_buf_text(&h->batch, "}\n");
    int rc = h->batch.error ? -ENOMEM : sykli__history_flush(h);
    if (rc) { // a run that never began would hide the last one that did
        sykli__history_fd_close(h, &h->fd);
        sys->remove(sys->user, h->runs, name, 0);
    }
    sykli__history_prune(h);
    return rc ? sykli_fail_sys(f, rc, "the record of run %llu cannot be written", id) : 0;
}

// A member of hex digits, which need no look at each; `name` ends with the quote before them.
static void sykli__history_plain(sykli_buf *b, const char *name, const char *hex)
{
    if (!hex || !*hex) return;
    sykli_buf_text(b, name);
    sykli_buf_text(b, hex);
    sykli_buf_text(b, "\"");
}

static void sykli__history_count(sykli_buf *b, const char *name, uint64_t value)
{
    sykli_buf_text(b, name);
    sykli__base_number(b, value);
}

static int sykli__history_line_add(sykli_buf *b, const sykli__history_task *task)
{
    sykli_buf_text(b, "{\"name\":");
    sykli_json_quote(b, task->name, strlen(task->name));
    sykli_buf_text(b, ",\"status\":\"");
    sykli_buf_text(b, sykli_status_names[task->status]);
    sykli__history_count(b, task->exit_code < 0 ? "\",\"exit_code\":-" : "\",\"exit_code\":",
                         (uint64_t)(task->exit_code < 0 ? -(int64_t)task->exit_code
                                                        : task->exit_code));
    sykli__history_count(b, ",\"attempt\":", (uint64_t)task->attempt);
    sykli__history_count(b, ",\"duration_ms\":", task->duration_ms);
    if (task->saved_ms) sykli__history_count(b, ",\"saved_ms\":", task->saved_ms);
    if (task->started_at_ms) sykli__history_count(b, ",\"started_at_ms\":", task->started_at_ms);
    if (task->rss_max_bytes) {
        sykli__history_count(b, ",\"cpu_ms\":", task->cpu_ms);
        sykli__history_count(b, ",\"rss_max_bytes\":", task->rss_max_bytes);
        sykli__history_count(b, ",\"read_bytes\":", task->read_bytes);
        sykli__history_count(b, ",\"write_bytes\":", task->write_bytes);
    }
    sykli__history_plain(b, ",\"key\":\"", task->key);
    sykli__history_field(b, ",\"from\":", task->from);
    sykli__history_field(b, ",\"log\":", task->log);
    sykli__history_plain(b, ",\"log_id\":\"", task->log_id);
    sykli__history_field(b, ",\"reason\":", task->reason);
    return sykli_buf_text(b, "}\n");
}

// Appends a finished task. What took time is written at once; hits and skips are gathered, since to
// lose those costs nothing, and are no reason to read what is remembered of tasks.
//   returns  0, ENOMEM, EIO; the run need not end for it
static int sykli__history_task_put(sykli__history *h, const sykli__history_task *task)
{
    sykli_buf *b = &h->batch;
    bool cheap = task->status == SYKLI_STATUS_cached || task->status == SYKLI_STATUS_skipped
              || task->status == SYKLI_STATUS_blocked;
    if (h->fd < 0) return 0;
    if (!cheap) sykli__history_ready(h);
    size_t before = b->size;
    if (sykli__history_line_add(b, task)) {
        b->error = 0; // this line is lost, not the next
        b->size = before;
        return SYKLI_ENOMEM;
    }
    if (h->loaded) sykli__history_learn(h, task);
    if (cheap && b->size < SYKLI__HISTORY_BATCH) return 0;
    return sykli__history_flush(h) ? SYKLI_EIO : 0;
}

// Ends the record.
static int sykli__history_end(sykli__history *h, uint64_t ended_ms, uint64_t failed)
{
    if (h->fd < 0) return 0;
    unsigned long long ended = ended_ms, count = failed;
    sykli_buf_print(&h->batch, "{\"ended_ms\":%llu,\"failed\":%llu}\n", ended, count);
    int rc = h->batch.error ? h->batch.error : sykli__history_flush(h) ? SYKLI_EIO : 0;
    sykli__history_fd_close(h, &h->fd);
    sykli__history_fd_close(h, &h->run_logs);
    sykli__history_fd_close(h, &h->run_keys);
    char name[48];
    snprintf(name, sizeof name, "%.31s.jsonl", h->stem);
    bool newer = strcmp(name, h->folded) > 0; // the clock may have been put back
    if (newer) memcpy(h->folded, name, sizeof name);
    int saved = h->loaded && !h->lost ? sykli__history_digest_save(h) : 0;
    if (!h->loaded && newer) sykli__history_digest_skip(h);
    return rc ? rc : saved < 0 ? SYKLI_EIO : 0;
}

// What a task usually takes, and took last.    returns  false: it never passed here
static bool sykli__history_duration(sykli__history *h, const char *task, uint64_t *median_ms,
                                    uint64_t *last_ms)
{
    const sykli__history_known *known = sykli__history_find(h, task);
    if (!known || !known->count) return false;
    uint64_t sorted[SYKLI__HISTORY_TIMES_MAX];
    for (uint32_t i = 0; i < known->count; i++) {
        uint32_t at = i;
        for (; at && sorted[at - 1] > known->times[i]; at--) sorted[at] = sorted[at - 1];
        sorted[at] = known->times[i];
    }
    *median_ms = sorted[known->count / 2];
    *last_ms = known->times[0];
    return true;
}

// A file name for a task: its plain characters for people, a hash to tell it from others.
static void sykli__history_slug(const char *task, char out[64])
{
    uint8_t sum[32];
    size_t used = 0;
    sykli_sha256_of(task, strlen(task), sum);
    for (const char *at = task; *at && used < 40; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')
                  || (*at >= '0' && *at <= '9') || *at == '-' || (*at == '.' && used);
        out[used++] = plain ? *at : '_';
    }
    out[used++] = '-';
    sykli_hex(out + used, sum, 8);
}

// Puts the parts of a key that another replaces now beside the record of the run that does so: for
// as long as there are older runs, somebody may ask for them. Each is a line of key and size, then
// the parts.
static void sykli__history_key_retire(sykli__history *h, const char *key, const sykli_buf *text)
{
    char name[64];
    sykli_buf *b = &h->line;
    if (h->fd < 0 || !*key || !text || !text->size
        || h->run_keys_bytes > SYKLI__HISTORY_KEYS_MAX)
        return;
    snprintf(name, sizeof name, "%.31s.keys", h->stem);
    if (h->run_keys < 0)
        h->run_keys = h->mem->sys->open(h->mem->sys->user, h->runs, name, SYKLI_OPEN_write
                                        | SYKLI_OPEN_append | SYKLI_OPEN_create
                                        | SYKLI_OPEN_nofollow, 0666);
    sykli_buf_reset(b);
    sykli_buf_print(b, "%s %llu\n", key, (unsigned long long)text->size);
    sykli_buf_add(b, text->data, text->size);
    if (h->run_keys < 0 || sykli_buf_text(b, "\n")) return; // that key cannot be explained later
    sykli__tree_write(h->mem->sys, h->run_keys, b->data, b->size);
    h->run_keys_bytes += b->size;
}

// Keeps the parts of a task's action key, unless they are the ones already kept.
//   key      hex     text  the parts in any form; sykli__history_key_load gives them back
//   before   what that gave until now, NULL: not known
static int sykli__history_key_save(sykli__history *h, const char *task, const char *key,
                                   const void *text, size_t size, const sykli_buf *before)
{
    const sykli__history_known *known = sykli__history_find(h, task);
    if (known && !strcmp(known->key, key)) return 0;
    char name[64];
    if (known) sykli__history_key_retire(h, known->key, before);
    sykli__history_slug(task, name);
    return sykli__history_put(h->mem->sys, h->keys, name, text, size) < 0 ? SYKLI_EIO : 0;
}

// returns  0, ENOENT: never saved, ENOMEM, EIO
static int sykli__history_key_load(sykli__history *h, const char *task, sykli_buf *out)
{
    char name[64];
    sykli__history_slug(task, name);
    sykli_buf_reset(out);
    int rc = sykli__tree_slurp(h->mem, h->keys, name, SYKLI_JSON_SIZE_MAX, out);
    return rc == -ENOENT ? SYKLI_ENOENT : rc == -ENOMEM ? SYKLI_ENOMEM : rc ? SYKLI_EIO : 0;
}

// Looks for the parts of a key among those that a run replaced.     returns  whether they are there
static bool sykli__history_key_retired(const sykli_buf *all, const char *key, sykli_buf *out)
{
    for (size_t at = 0; at < all->size;) {
        const char *line = (const char *)all->data + at, *end = strchr(line, '\n');
        size_t head = end ? (size_t)(end - line) + 1 : 0, left = all->size - at;
        uint64_t size = head > 66 ? strtoull(line + 65, NULL, 10) : left;
        if (!head || head > left || size >= left - head) return false; // cut short
        if (!strncmp(line, key, 64)) return !sykli_buf_add(out, line + head, (size_t)size);
        at += head + (size_t)size + 1;
    }
    return false;
}

// The parts of any key that a task had in the recorded runs.
//   returns  0, ENOENT: they are not kept, or no more; ENOMEM, EIO
static int sykli__history_key_find(sykli__history *h, const char *task, const char *key,
                                   sykli_buf *out)
{
    const sykli__history_known *known = sykli__history_find(h, task);
    if (known && !strcmp(known->key, key)) return sykli__history_key_load(h, task, out);
    sykli_buf records, all;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    sykli_buf_init(&all, h->mem, SYKLI_TAG_drive);
    sykli_buf_reset(out);
    int rc = sykli__history_records(h, &records);
    bool found = false;
    for (size_t at = 0; !rc && !found && at < records.size; at += 48) {
        char name[64];
        snprintf(name, sizeof name, "%.31s.keys", (const char *)records.data + at);
        sykli_buf_reset(&all);
        rc = sykli__tree_slurp(h->mem, h->runs, name, 2 * SYKLI__HISTORY_KEYS_MAX, &all);
        if (!rc && all.size) found = sykli__history_key_retired(&all, key, out);
        if (rc != -ENOMEM) rc = 0;
    }
    sykli_buf_free(&all);
    sykli_buf_free(&records);
    return rc ? SYKLI_ENOMEM : out->error ? SYKLI_ENOMEM : found ? 0 : SYKLI_ENOENT;
}

// Opens the log of a task of the run in progress, empty.
//   path     at least 1024 bytes: where it is, for people
//   returns  the descriptor, to be closed by the caller; EIO
static int sykli__history_log_open(sykli__history *h, const char *task, char *path,
                                   size_t path_size, sykli_fault *f)
{
    const sykli_sys *sys = h->mem->sys;
    char name[64];
    sykli__history_slug(task, name);
    snprintf(path, path_size, "%s/%s/%s.log", h->log_dir, h->stem, name);
    if (h->run_logs < 0) h->run_logs = sykli__history_folder(sys, h->logs, h->stem);
    if (h->run_logs < 0) {
        int rc = h->run_logs;
        h->run_logs = -1;
        return sykli_fail_sys(f, rc, "the folder of %s", path);
    }
    char file[sizeof name + 4];
    snprintf(file, sizeof file, "%s.log", name);
    int fd = sys->open(sys->user, h->run_logs, file, SYKLI_OPEN_write | SYKLI_OPEN_create
                       | SYKLI_OPEN_truncate | SYKLI_OPEN_nofollow, 0666);
    return fd < 0 ? sykli_fail_sys(f, fd, "%s", path) : fd;
}

// Reads the record of an earlier run.
//   back     0 the newest, 1 the one before it; the run in progress does not count
//   each     of every finished task, NULL: none; what is not 0 ends the reading and is returned
//   returns  0; ENOENT: there are not so many; EIO, ENOMEM
static int sykli__history_load(sykli__history *h, size_t back, sykli__history_run *run,
                               int (*each)(void *to, const sykli__history_task *task), void *to)
{
    sykli_buf records;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    int rc = sykli__history_records(h, &records);
    size_t count = records.size / 48;
    const char *last = count ? (const char *)records.data + (count - 1) * 48 : "";
    if (h->fd >= 0 && count && !strncmp(last, h->stem, strlen(h->stem))) count--;
    if (rc) rc = rc == -ENOMEM ? SYKLI_ENOMEM : SYKLI_EIO;
    else if (back >= count) rc = SYKLI_ENOENT;
    else rc = sykli__history_record_read(h->mem, h->runs,
                                         (const char *)records.data + (count - 1 - back) * 48, run,
                                         each, to);
    sykli_buf_free(&records);
    return rc;
}

typedef struct sykli__history_seek { const char *task; char key[65]; bool found; }
    sykli__history_seek;

static int sykli__history_seek_task(void *to, const sykli__history_task *task)
{
    sykli__history_seek *seek = (sykli__history_seek *)to;
    if (strcmp(task->name, seek->task)) return 0;
    seek->found = true;
    if (task->key && strlen(task->key) == 64) memcpy(seek->key, task->key, 65);
    return 0;
}

// The key that a task had in a run, "" if it had none.
//   run      its id in hex, or the beginning or end of it; the newest that answers to it
//   returns  0; ENOENT: no such run, or the task was not in it: the fault says which; ENOMEM, EIO
static int sykli__history_key_of(sykli__history *h, const char *run, const char *task,
                                 char out[65], sykli_fault *f)
{
    sykli__history_seek seek = { .task = task };
    sykli__history_run info;
    sykli_buf records;
    size_t size = strlen(run);
    const char *name = NULL;
    sykli_buf_init(&records, h->mem, SYKLI_TAG_drive);
    int rc = sykli__history_records(h, &records);
    for (size_t at = records.size; !rc && !name && size && size <= 16 && at; at -= 48) {
        const char *id = (const char *)records.data + at - 48 + 15;
        if (!strncmp(id, run, size) || !strncmp(id + 16 - size, run, size)) name = id - 15;
    }
    if (rc) rc = sykli_fail_sys(f, rc, "the records of earlier runs");
    else if (!name) rc = sykli_fail(f, SYKLI_ENOENT, "no run %s is recorded here", run);
    else rc = sykli__history_record_read(h->mem, h->runs, name, &info, sykli__history_seek_task,
                                         &seek);
    if (!rc && !seek.found)
        rc = sykli_fail(f, SYKLI_ENOENT, "'%s' did not end in run %.16s", task, name + 15);
    memcpy(out, seek.key, sizeof seek.key);
    sykli_buf_free(&records);
    return rc;
}

// >>memo ---- what was up to date, so that the next run need not find it out again
// A task whose last result stands in the folder costs a run its key, its entry in the store and a
// look at its outputs. The memo keeps, task by task, a mark over all that the key was made of, a
// mark over the outputs that belong to it, and the key. Both marks are taken over contents, by way
// of the stat cache: if they are the same, key and outputs are, and nothing else has to be read.
// Two more marks have the files' stats in place of their contents. They are noted when contents
// were seen to be the same and every file had rested (the racy-clean rule). As long as they hold,
// not even the stat cache has to be read; where they do not, content decides. The memo believes the
// store to hold what it held for as long as sykli__store_state says the same, an hour at most: then
// the long way is gone once, which notes the entry's use for the collector. One file, read and
// written at once, in the byte order of this machine; a damaged one is as good as none.

#define SYKLI__MEMO_TRUST_MS (3600 * INT64_C(1000))
#define SYKLI__MEMO_KEEP_MS (7 * 86400 * INT64_C(1000)) // of a task that was not in the graph
#define SYKLI__MEMO_FILE_MAX (256u << 20)

typedef struct sykli__memo_task {
    uint64_t inputs[2], outputs[2]; // marks
    uint64_t input_stats[2], output_stats[2]; // marks with stats for contents; zeros: none
    sykli_digest key, upstream;     // upstream: zeros while nobody asked
    sykli_digest log;               // what it printed; zeros: nothing
    uint64_t saved_ms, log_bytes;
    int64_t looked_ms;              // when its entry was last seen in the store; 0: no record
    uint32_t name_at, from_at;      // in the file's texts
    uint32_t expected_ms;           // what it usually takes
    uint32_t absent[1 + (sizeof(char *) < 8)]; // [0]: 1 if an input by name is not there; without
                                    // [1], which is 0, a gap would go into the file
    const char *from;               // where its result is from; set when the file has been read
} sykli__memo_task;

typedef struct sykli__memo_header {
    char magic[8];
    uint64_t record_size, count, text_size, store;
    uint64_t secret[2]; // of the marks
    uint64_t check;     // over all that follows
} sykli__memo_header;

typedef struct sykli__memo {
    sykli_mem *mem;
    sykli_buf file;             // of an earlier run
    sykli__memo_header head;
    sykli__memo_task *old;      // in `file`
    const char *texts;
    sykli_map places;           // name -> record in `old`; made when the order is another one
    sykli__memo_task **tasks;   // of this run, by its numbers: in `old`, or blocks; NULL: none
    size_t count;
    uint64_t store;             // its state when this run began
    bool changed;
} sykli__memo;

static const char sykli__memo_magic[8] = { 's', 'y', 'k', 'm', 'e', 'm', 'o', 3 };

// Drops the record of a task of this run.
static void sykli__memo_forget(sykli__memo *m, size_t number)
{
    sykli__memo_task *task = m->tasks[number];
    const uint8_t *from = m->file.data, *at = (const uint8_t *)task;
    bool read = from && (uintptr_t)at - (uintptr_t)from < m->file.size;
    if (task && !read) sykli_mem_resize(m->mem, SYKLI_TAG_drive, task, sizeof *task, 0);
    m->tasks[number] = NULL;
}

static void sykli__memo_free(sykli__memo *m)
{
    if (!m->mem) return;
    for (size_t i = 0; m->tasks && i < m->count; i++) sykli__memo_forget(m, i);
    if (m->tasks)
        sykli_mem_resize(m->mem, SYKLI_TAG_drive, m->tasks, m->count * sizeof *m->tasks, 0);
    sykli_map_free(&m->places);
    sykli_buf_free(&m->file);
    memset(m, 0, sizeof *m);
}

// Takes what was read for a file of ours if every place in it is inside of it.
static bool sykli__memo_whole(sykli__memo *m)
{
    sykli__memo_header *h = &m->head;
    size_t size = m->file.size, head = sizeof *h;
    if (size < head) return false;
    memcpy(h, m->file.data, head);
    if (memcmp(h->magic, sykli__memo_magic, sizeof h->magic) || h->record_size != sizeof *m->old
        || h->count > SYKLI_TASKS_MAX || h->text_size > size
        || size != head + h->count * sizeof *m->old + h->text_size
        || h->check != sykli_siphash(h->secret, m->file.data + head, size - head))
        return false;
    m->old = (sykli__memo_task *)(void *)(m->file.data + head);
    m->texts = (const char *)(m->old + h->count);
    if (h->count && (!h->text_size || m->texts[h->text_size - 1])) return false;
    for (size_t i = 0; i < h->count; i++)
        if (m->old[i].name_at >= h->text_size || m->old[i].from_at >= h->text_size
            || m->old[i].looked_ms < 0)
            return false;
    for (size_t i = 0; i < h->count; i++) m->old[i].from = m->texts + m->old[i].from_at;
    return true;
}

// Opens the memo of a project for a run of so many tasks.
//   store    what sykli__store_state says now
//   returns  0 or -ENOMEM
static int sykli__memo_open(sykli__memo *m, sykli_mem *mem, int dir, size_t count, uint64_t store)
{
    memset(m, 0, sizeof *m);
    m->mem = mem;
    m->count = count;
    m->store = store;
    sykli_buf_init(&m->file, mem, SYKLI_TAG_drive);
    sykli_map_init(&m->places, mem, NULL);
    int rc = sykli__tree_slurp(mem, dir, "memo", SYKLI__MEMO_FILE_MAX, &m->file);
    if (rc || !sykli__memo_whole(m)) {
        memset(&m->head, 0, sizeof m->head);
        if (mem->sys->random(mem->sys->user, m->head.secret, sizeof m->head.secret) < 0)
            rc = -ENOMEM; // marks that anybody could make are no marks
    } else if (m->head.store != store)
        for (size_t i = 0; i < m->head.count; i++) m->old[i].looked_ms = 0;
    if (rc != -ENOMEM && count)
        m->tasks = (sykli__memo_task **)sykli_mem_resize(mem, SYKLI_TAG_drive, NULL, 0,
                                                         count * sizeof *m->tasks);
    return m->tasks || (!count && rc != -ENOMEM) ? 0 : -ENOMEM;
}

static const char *sykli__memo_name(const sykli__memo *m, const sykli__memo_task *record)
{
    return m->texts + record->name_at;
}

// The record of a task: mostly tasks have the numbers that they had last time.
//   returns  NULL: none
static sykli__memo_task *sykli__memo_find(sykli__memo *m, size_t number, const char *name)
{
    size_t count = (size_t)m->head.count;
    if (number < count && !strcmp(sykli__memo_name(m, &m->old[number]), name))
        return &m->old[number];
    for (size_t i = m->places.count; i < count; i++) {
        const char *other = sykli__memo_name(m, &m->old[i]);
        if (sykli_map_put(&m->places, other, strlen(other), i) < 0) return NULL;
    }
    const uint64_t *at = sykli_map_get(&m->places, name, strlen(name));
    return at ? &m->old[*at] : NULL;
}

// Recalls a task whose key is made of what has this mark.
//   stats    the mark is one with stats for contents
//   returns  the record, now one of this run; NULL: the long way has to be gone
static sykli__memo_task *sykli__memo_recall(sykli__memo *m, size_t number, const char *name,
                                            const uint64_t mark[2], bool stats, int64_t now_ms)
{
    sykli__memo_task *old = sykli__memo_find(m, number, name);
    if (!old || !old->looked_ms
        || memcmp(stats ? old->input_stats : old->inputs, mark, sizeof old->inputs)
        || now_ms - old->looked_ms > SYKLI__MEMO_TRUST_MS || now_ms < old->looked_ms)
        return NULL;
    m->tasks[number] = old;
    return old;
}

// Keeps what was found out the long way. Without memory for it the next run goes that way too.
static void sykli__memo_put(sykli__memo *m, size_t number, const sykli__memo_task *task)
{
    sykli__memo_forget(m, number);
    sykli__memo_task *fresh =
        (sykli__memo_task *)sykli_mem_resize(m->mem, SYKLI_TAG_drive, NULL, 0, sizeof *fresh);
    if (fresh) *fresh = *task;
    m->tasks[number] = fresh;
    m->changed = true;
}

// Keeps the marks with stats of what stands there as the record says.
static void sykli__memo_stand(sykli__memo *m, size_t number, const uint64_t inputs[2],
                              const uint64_t outputs[2])
{
    sykli__memo_task *task = m->tasks[number];
    memcpy(task->input_stats, inputs, sizeof task->input_stats);
    memcpy(task->output_stats, outputs, sizeof task->output_stats);
    m->changed = true;
}

// Forgets what a task of this run had.
static void sykli__memo_drop(sykli__memo *m, size_t number)
{
    m->tasks[number]->looked_ms = 0;
    m->tasks[number] = NULL; // it was recalled: its record is in `old`
    m->changed = true;
}

static void sykli__memo_add(sykli_buf *records, sykli_buf *texts, const sykli__memo_task *task,
                            const char *name)
{
    sykli__memo_task copy = *task;
    const char *from = task->from ? task->from : "";
    copy.name_at = (uint32_t)texts->size;
    sykli_buf_add(texts, name, strlen(name) + 1);
    copy.from_at = (uint32_t)texts->size;
    copy.from = NULL;
    sykli_buf_add(texts, from, strlen(from) + 1);
    sykli_buf_add(records, &copy, sizeof copy);
}

// Writes the file anew if there is news.
//   name_of  the name of a task of this run
//   returns  0 or the negated errno: then the next run goes the long way
static int sykli__memo_save(sykli__memo *m, int dir, int64_t now_ms,
                            const char *(*name_of)(const void *user, size_t number),
                            const void *user)
{
    sykli_buf records, texts;
    if (!m->changed) return 0;
    sykli_buf_init(&records, m->mem, SYKLI_TAG_drive);
    sykli_buf_init(&texts, m->mem, SYKLI_TAG_drive);
    sykli_buf_add(&records, &m->head, sizeof m->head);
    for (size_t i = 0; i < m->count; i++) {
        sykli__memo_task *old = sykli__memo_find(m, i, name_of(user, i));
        if (m->tasks[i] && m->tasks[i]->looked_ms)
            sykli__memo_add(&records, &texts, m->tasks[i], name_of(user, i));
        if (old) old->looked_ms = 0; // this run knows better
    }
    for (size_t i = 0; i < m->head.count; i++)
        if (m->old[i].looked_ms && now_ms - m->old[i].looked_ms < SYKLI__MEMO_KEEP_MS)
            sykli__memo_add(&records, &texts, &m->old[i], sykli__memo_name(m, &m->old[i]));
    size_t head = sizeof m->head;
    sykli__memo_header h = { .record_size = sizeof *m->old, .text_size = texts.size,
        .count = (records.size - head) / sizeof *m->old, .store = m->store,
        .secret = { m->head.secret[0], m->head.secret[1] } };
    memcpy(h.magic, sykli__memo_magic, sizeof h.magic);
    sykli_buf_add(&records, texts.data, texts.size);
    int rc = records.error || texts.error ? -ENOMEM : 0;
    if (!rc) {
        h.check = sykli_siphash(h.secret, records.data + head, records.size - head);
        memcpy(records.data, &h, head);
        rc = sykli__history_put(m->mem->sys, dir, "memo", records.data, records.size);
    }
    sykli_buf_free(&records);
    sykli_buf_free(&texts);
    return rc;
}

// >>drive ---- carries out what the scheduler asks for
// The hands of the scheduler: computes keys, looks in the store, starts processes, reads their
// pipes, publishes and restores outputs. Each thing it does becomes a fact for the scheduler and an
// event for whoever listens. A task costs a job (process, pipes, log) only while it runs.

#define SYKLI__DRIVE_READ_BYTES (64u << 10)
#define SYKLI__DRIVE_TAIL_BYTES (16u << 10) // kept of what a log's cap cuts
#define SYKLI__DRIVE_PIPE_BYTES (1 << 20)   // room in the pipe of a task that floods it
#define SYKLI__DRIVE_SAMPLE_MS 1000u
#define SYKLI__DRIVE_CROWD_MS 50u // so often processes are counted that are limited
#define SYKLI__DRIVE_DYING_MS 5000u     // what got KILL may take so long to get a processor for it
#define SYKLI__DRIVE_LOOK_MS 100u       // what was seen of folders and programs explains so long
#define SYKLI__DRIVE_POLL_MS 10u        // where the host has no descriptor for a process's end
#define SYKLI__DRIVE_LOOKUP_MS 250u     // a lookup elsewhere may cost a start this much
// What is being restored is not collected for a minute, and a second more for each so many bytes.
#define SYKLI__DRIVE_HOLD_MS 60000u
#define SYKLI__DRIVE_HOLD_BYTES (4u << 20)
#define SYKLI__DRIVE_PAIRS_MAX (1u << 24) // outputs times inputs of a task that are compared
#define SYKLI__DRIVE_SLACK_BYTES (64u << 20)   // added by a run before the quota is looked at

typedef enum sykli__drive_phase {
    SYKLI__DRIVE_TOKEN,    // waits for a token of the jobserver
    SYKLI__DRIVE_SLOT,     // waits for a worker of the node
    SYKLI__DRIVE_RUNNING,
    SYKLI__DRIVE_LEFTOVER, // ended, but something of it still runs or holds its pipes
} sykli__drive_phase;

enum { SYKLI__DRIVE_NO_TOKEN = -1, SYKLI__DRIVE_IMPLICIT = 256 }; // of jobs

// The jobserver: a pipe with a byte for every job more that may run now.
typedef struct sykli__drive_tokens {
    int read_fd, write_fd;    // -1: no jobserver
    int give[2];              // what tasks inherit, 0: nothing
    uint32_t total, debt;     // ours: bytes made; those to take back when they return
    bool tried, own, named, implicit; // named: a fifo in .sykli; implicit: the first job runs
    const char *flags;        // MAKEFLAGS of the tasks, NULL: what is inherited
} sykli__drive_tokens;

// Where the lines of one stream of a job go.
typedef struct sykli__drive_sink {
    struct sykli__drive *drive;
    struct sykli__drive_job *job;
    int stream;
} sykli__drive_sink;

typedef struct sykli__drive_job {
    struct sykli__drive_job *next;
    uint32_t task;
    sykli__drive_phase phase;
    sykli__spawn_proc proc;
    int row;                  // among the procs, -1: none
    bool spawned, slot, granted, open[2], killed; // granted: a job in phase SLOT may start
    bool taken;               // somebody else reaped its first process
    bool deaf[2];             // its text can no longer be masked
    bool wide[2];             // its pipe has been widened
    int token;                // the byte that it holds of the jobserver, or one of these
    uint64_t heard_ms, stall_ms; // when it last printed; 0: it may be silent
    uint64_t crowd_max, crowd_at_ms; // processes at once, 0: any; when they are counted
    bool crowded;             // there were more
    sykli_buf tail;           // the last of what the cap of the log cuts
    int log_fd;               // -1 until there is output
    uint64_t phase_deadline_ms, sample_at_ms, started_ms;
    sykli__log_cap cap;
    sykli__config_version *config; // in force when it started
    sykli__log_masker masker[2];
    sykli__log_lines lines[2];
    sykli__drive_sink sink[2];
} sykli__drive_job;

typedef struct sykli__drive_intake {
    struct sykli__drive_intake *next;
    uint32_t from;
    bool into;                // a single file goes below `dest` too
    const char *output, *path; // name and path of the output there
    const char *written, *dest; // where to: as it was said, and clean
} sykli__drive_intake;

// What few tasks have.
typedef struct sykli__drive_more {
    sykli__drive_intake *intakes;
    const char **own;         // outputs, clean, in which an input pattern could find something
    uint32_t own_count;
    sykli_secret *given;
    uint32_t given_count;
    bool refused;             // the last attempt was, for the task's `reason`
    bool (*accept)(void *user, const sykli_attempt *attempt);
    void *accept_user;
    const char *accept_key;
} sykli__drive_more;

// Files as they are in a key: path, mode, digest.
typedef struct sykli__drive_list { uint8_t *data; size_t size; } sykli__drive_list;

typedef struct sykli__drive_task {
    const char *name, *command, *workdir, *skip_reason; // all text lives in the drive's arena
    const char *extra;
    int (*function)(void *user);
    void *function_user;
    const char **inputs, **secrets;
    sykli_pair *outputs, *env;
    uint32_t input_count, output_count, env_count, secret_count;
    bool no_cache, has_key, upstream_known, asked; // asked: a lookup elsewhere is under way
    bool marked, recalled;    // marked: `mark` is over what its key is made of
    bool stood, linked;       // stood: recalled by the stats of its inputs; linked: never can be
    bool absent;              // an input by name is not there
    uint64_t mark[2];
    sykli__drive_list read;   // the inputs as they are in its key, until its result is published
    sykli__drive_list made;   // the outputs as they are in the keys of tasks behind this one
    uint32_t made_at;         // the drive's `stirs` when `made` was looked at
    uint32_t remade;          // its `remakes` when `made` was last found to have changed; 0: never
    uint32_t keyed;           // its `remakes` when this task's key was made
    bool spoilt;              // what a task before it has made was not in its key when it started
    const char *spoilt_by;    // which file, or whose; NULL: no memory to say so
    int exit_code, signal, pid;
    sykli_digest key;
    sykli_digest log;         // of a hit: what its task printed when it ran
    sykli_digest upstream;    // over the outputs, for the keys of tasks behind this one
    uint64_t serial, run_ms, cpu_ms, rss_max_bytes, read_bytes, write_bytes, saved_ms;
    uint32_t stall_ms, crowd_max;
    bool pty;
    uint8_t decided;          // 1 and the verdict on a held task, until it has been told
    uint64_t ended_ms;        // on the monotonic clock
    int64_t started_at_ms, looked_ns; // looked: at its inputs
    const char *from, *reason, *log_path, *changed; // changed: why its last key is another one
    uint64_t name_ref, from_ref, reason_ref; // the same in the heap of the row file
    int slot;                 // row in the pool of tasks, -1 before the run
    sykli__drive_job *job;
    sykli__drive_more *more;  // NULL: none of it
} sykli__drive_task;

typedef struct sykli__drive_block {
    struct sykli__drive_block *next;
    size_t size;
} sykli__drive_block;

#define SYKLI__DRIVE_TASK_COLUMNS(X, T)                                                            \
    X(T, U64, id, 0, none, public, "serial of the task on its node, never used again")             \
    X(T, U64, run, 0, none, public, "run it belongs to")                                           \
    X(T, REF, name, 0, none, public, "name in the pipeline")                                       \
    X(T, ENUM, status, sykli_status_names, none, public, "where it stands or how it ended")        \
    X(T, U64, attempt, 0, none, public, "attempts started, from 1")                                \
    X(T, I64, pid, 0, none, observer, "process while it runs")                                     \
    X(T, STR, target, 16, none, public, "where it runs")                                           \
    X(T, U64, memory_bytes, 0, bytes, public, "resident memory of its processes")                  \
    X(T, U64, cpu_ms, 0, ms, public, "processor time used")                                        \
    X(T, U64, rss_max_bytes, 0, bytes, public, "most resident memory of one of its processes")     \
    X(T, U64, read_bytes, 0, bytes, public, "read from disks")                                     \
    X(T, U64, write_bytes, 0, bytes, public, "written to disks")                                   \
    X(T, I64, started_at, 0, time, public, "when the last attempt started")                        \
    X(T, U64, duration_ms, 0, ms, public, "wall time of the last attempt")                         \
    X(T, I64, exit_code, 0, none, public, "exit code of the last attempt")                         \
    X(T, REF, from, 0, none, public, "where a hit came from")                                      \
    X(T, REF, reason, 0, none, observer, "why it ended so")
SYKLI_ROW(sykli__drive_task_row, SYKLI__DRIVE_TASK_COLUMNS)
SYKLI_COLUMNS(sykli__drive_task_row, SYKLI__DRIVE_TASK_COLUMNS)

#define SYKLI__DRIVE_RUN_COLUMNS(X, T)                                                             \
    X(T, U64, id, 0, none, public, "the run")                                                      \
    X(T, I64, pid, 0, none, observer, "process that drives it")                                    \
    X(T, ENUM, status, sykli_status_names, none, public, "running, or how it ended")               \
    X(T, U64, tasks, 0, none, public, "tasks of the graph")                                        \
    X(T, U64, done, 0, none, public, "tasks that have ended")                                      \
    X(T, U64, failed, 0, none, public, "tasks that failed")                                        \
    X(T, U64, cached, 0, none, public, "tasks that were hits")                                     \
    X(T, I64, started_at, 0, time, public, "when it started")                                      \
    X(T, U64, duration_ms, 0, ms, public, "wall time")                                             \
    X(T, REF, project, 0, none, observer, "project folder")
SYKLI_ROW(sykli__drive_run_row, SYKLI__DRIVE_RUN_COLUMNS)
SYKLI_COLUMNS(sykli__drive_run_row, SYKLI__DRIVE_RUN_COLUMNS)

#define SYKLI__DRIVE_PROC_COLUMNS(X, T)                                                            \
    X(T, U64, id, 0, none, public, "serial on this node, never used again")                        \
    X(T, STR, kind, 16, none, public, "node, run or task")                                         \
    X(T, REF, name, 0, none, public, "what it is called")                                        \
    X(T, U64, parent, 0, none, public, "who started it")                                           \
    X(T, STR, status, 16, none, public, "what it does")                                            \
    X(T, I64, pid, 0, none, observer, "process")                                                   \
    X(T, U64, queue, 0, none, public, "what waits for it")                                         \
    X(T, U64, memory_bytes, 0, bytes, public, "memory it holds")                                   \
    X(T, U64, cpu_ms, 0, ms, public, "processor time")                                             \
    X(T, I64, started_at, 0, time, public, "when it started")                                      \
    X(T, STR, kill, 8, none, operator, "how all of it is found when it is killed")
SYKLI_ROW(sykli__drive_proc_row, SYKLI__DRIVE_PROC_COLUMNS)
SYKLI_COLUMNS(sykli__drive_proc_row, SYKLI__DRIVE_PROC_COLUMNS)

enum {
    SYKLI__DRIVE_POOL_TASKS, SYKLI__DRIVE_POOL_RUNS, SYKLI__DRIVE_POOL_PROCS, SYKLI__DRIVE_POOLS
};
#define SYKLI__DRIVE_PROCS_MAX 4097u // the run and as many tasks as there can be workers

#define SYKLI__DRIVE_TABLE(name, help, row)                                                        \
    { name, help, row##_columns, sizeof row##_columns / sizeof *row##_columns, sizeof(row),        \
      (sykli_visibility)0, NULL, NULL }
static const sykli_table sykli__drive_task_table =
    SYKLI__DRIVE_TABLE("tasks", "one task of a run", sykli__drive_task_row);
static const sykli_table sykli__drive_run_table =
    SYKLI__DRIVE_TABLE("runs", "one run of a pipeline", sykli__drive_run_row);
static const sykli_table sykli__drive_proc_table =
    SYKLI__DRIVE_TABLE("procs", "one living thing", sykli__drive_proc_row);

// The digest of a program, true for one look at the tree.
#define SYKLI__DRIVE_TOOLS 8u
typedef struct sykli__drive_tool {
    char word[64];
    const char *path;
    uint64_t look;
    bool none, hashed;        // hashed: `digest` is known, else `stat`
    sykli_stat stat;
    sykli_digest digest;
} sykli__drive_tool;

typedef struct sykli__drive {
    sykli_mem *mem;
    sykli_fault *fault;
    const sykli_desc *desc;
    const sykli_hooks *hooks;
    sykli__config *config;
    sykli__sched sched;
    sykli__tree tree;
    sykli__store *store;       // of the context; NULL: no cache
    const char *cache_note;    // why results are not kept any more, NULL: they are
    sykli__history history;
    sykli__memo memo;          // without history or store it is empty
    sykli__key marks;          // scratch for its marks
    uint64_t run_mark[2], run_marked; // over what all keys have in common; of which configuration
    sykli__drive_tool tools[SYKLI__DRIVE_TOOLS];
    uint32_t tool_count;       // ever remembered
    sykli__rows rows;
    bool run_changed;          // its row has to be shown
    bool ready, tree_open, history_open, rows_open;
    bool started, live, ended; // live: starting succeeded
    bool counts;              // a task has a limit of its own to its processes
    uint32_t tag;              // of the handles of this context's tasks
    sykli__drive_task *tasks;
    size_t task_count, task_capacity;
    sykli_map names;
    uint32_t *before, *before_at; // what each task waits for, built at start
    sykli__drive_block *arena;
    size_t arena_left;
    char *arena_at;
    sykli__drive_job *jobs;
    uint32_t job_count;
    sykli__spawn_host host;
    sykli__drive_tokens tokens;
    const char **base_env;     // inherited, NULL-terminated
    const char *path;          // PATH in it, NULL: none
    const char **drop;         // names no task inherits
    size_t drop_count;
    sykli__log_mask mask;      // every secret of the run
    sykli_buf clean;           // output behind the mask
    sykli_map secret_names;    // of all tasks: none inherits them
    sykli_buf project, platform;
    const char *log_dir;
    uint64_t run_id, started_ms, failed, cached, done, saved_ms;
    int64_t started_at_ms;
    uint64_t explained_ms;     // when the look began in which tasks are explained
    uint32_t stirs;            // how often a process of ours began, ended, or outputs were put back
    uint32_t remakes;          // how often what was made was found to be other than it had been
    int run_slot, proc_slot;
    void (*on_event)(void *user, const sykli_event *event);
    void *on_event_user;
    uint8_t buffer[SYKLI__DRIVE_READ_BYTES];
} sykli__drive;

static uint64_t sykli__drive_now(const sykli__drive *d)
{
    return d->mem->sys->now_ns(d->mem->sys->user) / 1000000u;
}

static sykli_task sykli__drive_handle(const sykli__drive *d, uint32_t task)
{
    return (sykli_task){ (uint64_t)d->tag << 32 | ((uint64_t)task + 1) };
}

// Memory that lives as long as the graph: texts and lists of tasks.
static void *sykli__drive_keep(sykli__drive *d, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > d->arena_left) {
        size_t block_size = size > 16000 ? size + 64 : 16384;
        sykli__drive_block *block =
            (sykli__drive_block *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0, block_size);
        if (!block) return NULL;
        block->next = d->arena;
        block->size = block_size;
        d->arena = block;
        d->arena_at = (char *)block + ((sizeof *block + 15) & ~(size_t)15);
        d->arena_left = block_size - ((sizeof *block + 15) & ~(size_t)15);
    }
    void *at = d->arena_at;
    d->arena_at += size;
    d->arena_left -= size;
    return at;
}

SYKLI__APART
static const char *sykli__drive_keep_text(sykli__drive *d, const char *text)
{
    if (!text) return NULL;
    size_t size = strlen(text) + 1;
    char *copy = (char *)sykli__drive_keep(d, size);
    if (copy) memcpy(copy, text, size);
    return copy;
}

// What a function is called where others have a command: not what any command could be.
static const char *sykli__drive_keep_function(sykli__drive *d, const sykli_task_desc *desc)
{
    static const char head[] = "function: ";
    const char *text = desc->command ? desc->command : desc->name;
    char *copy = (char *)sykli__drive_keep(d, sizeof head + strlen(text));
    if (!copy) return NULL;
    memcpy(copy, head, sizeof head - 1);
    memcpy(copy + sizeof head - 1, text, strlen(text) + 1);
    return copy;
}

// One list out of the inline entries and the longer list of a desc.
static int sykli__drive_keep_texts(sykli__drive *d, const char *const *inl, const char *const *list,
                                   size_t list_count, const char ***out, uint32_t *out_count)
{
    size_t inline_count = 0;
    while (inline_count < SYKLI_INLINE_MAX && inl[inline_count]) inline_count++;
    size_t count = inline_count + list_count;
    *out_count = (uint32_t)count;
    if (!count) return 0;
    *out = (const char **)sykli__drive_keep(d, count * sizeof **out);
    if (!*out) return SYKLI_ENOMEM;
    for (size_t i = 0; i < count; i++)
        if (!((*out)[i] = sykli__drive_keep_text(
                  d, i < inline_count ? inl[i] : list[i - inline_count])))
            return SYKLI_ENOMEM;
    return 0;
}

static int sykli__drive_keep_pair(sykli__drive *d, sykli_pair *to, const char *name,
                                  const char *value)
{
    to->name = sykli__drive_keep_text(d, name ? name : "");
    to->value = sykli__drive_keep_text(d, value ? value : "");
    return to->name && to->value ? 0 : SYKLI_ENOMEM;
}

static int sykli__drive_keep_lists(sykli__drive *d, const sykli_task_desc *desc,
                                   sykli__drive_task *t)
{
    int rc = sykli__drive_keep_texts(d, desc->inputs, desc->input_list, desc->input_count,
                                     &t->inputs, &t->input_count);
    if (!rc) rc = sykli__drive_keep_texts(d, desc->secrets, desc->secret_list, desc->secret_count,
                                          &t->secrets, &t->secret_count);
    size_t outputs = 0, env = 0;
    while (outputs < SYKLI_INLINE_MAX && desc->outputs[outputs].path) outputs++;
    while (env < SYKLI_INLINE_MAX && desc->env[env].name) env++;
    t->output_count = (uint32_t)(outputs + desc->output_count);
    t->env_count = (uint32_t)(env + desc->env_count);
    if (!rc && t->output_count + t->env_count) {
        t->outputs = (sykli_pair *)sykli__drive_keep(
            d, (t->output_count + t->env_count) * sizeof *t->outputs);
        if (!t->outputs) return SYKLI_ENOMEM;
        t->env = t->outputs + t->output_count;
    }
    for (uint32_t i = 0; !rc && i < outputs; i++)
        rc = sykli__drive_keep_pair(d, &t->outputs[i], desc->outputs[i].name,
                                    desc->outputs[i].path);
    for (uint32_t i = 0; !rc && i < desc->output_count; i++)
        rc = sykli__drive_keep_pair(d, &t->outputs[outputs + i], desc->output_list[i].name,
                                    desc->output_list[i].value);
    for (uint32_t i = 0; !rc && i < t->env_count; i++) {
        const sykli_pair *from = i < env ? &desc->env[i] : &desc->env_list[i - env];
        rc = sykli__drive_keep_pair(d, &t->env[i], from->name, from->value);
    }
    for (uint32_t i = 0; !rc && i < t->secret_count; i++)
        if (sykli_map_put(&d->secret_names, t->secrets[i], strlen(t->secrets[i]), 1) < 0)
            rc = SYKLI_ENOMEM;
    return rc;
}

// The rest of a task, made when it is first needed.
static sykli__drive_more *sykli__drive_more_of(sykli__drive *d, sykli__drive_task *t)
{
    if (t->more) return t->more;
    t->more = (sykli__drive_more *)sykli__drive_keep(d, sizeof *t->more);
    if (t->more) memset(t->more, 0, sizeof *t->more);
    return t->more;
}

static int sykli__drive_keep_more(sykli__drive *d, const sykli_task_desc *desc,
                                  sykli__drive_task *t)
{
    if (!desc->given_count && !desc->accept) return 0;
    sykli__drive_more *more = sykli__drive_more_of(d, t);
    size_t count = desc->given_count;
    if (more) more->given = (sykli_secret *)sykli__drive_keep(d, (count + 1) * sizeof *more->given);
    if (!more || !more->given) return SYKLI_ENOMEM;
    more->given_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const sykli_secret *from = &desc->given_list[i];
        sykli_secret *to = &more->given[i];
        to->name = sykli__drive_keep_text(d, from->name);
        to->value = sykli__drive_keep_text(d, from->value);
        to->source = sykli__drive_keep_text(d, from->source ? from->source : "");
        to->why = sykli__drive_keep_text(d, from->why); // a text less is no reason to give up
        if (!to->name || !to->source || (from->value && !to->value)
            || sykli_map_put(&d->secret_names, to->name, strlen(to->name), 1) < 0)
            return SYKLI_ENOMEM;
    }
    more->accept = desc->accept;
    more->accept_user = desc->accept_user;
    more->accept_key = sykli__drive_keep_text(d, desc->accept_key);
    return desc->accept_key && !more->accept_key ? SYKLI_ENOMEM : 0;
}

static int sykli__drive_check_desc(sykli__drive *d, const sykli_task_desc *desc)
{
    size_t name_size = desc && desc->name ? strlen(desc->name) : 0;
    if (!name_size || name_size > SYKLI_NAME_MAX || !sykli_utf8_valid(desc->name, name_size))
        return sykli_fail(d->fault, SYKLI_EINVAL, "task name: give 1 to %d bytes of UTF-8, not %zu",
                          SYKLI_NAME_MAX, name_size);
    if (sykli_map_get(&d->names, desc->name, name_size))
        return sykli_fail(d->fault, SYKLI_EEXIST, "task '%s': the name is taken", desc->name);
    bool other = desc->function || desc->held; // runs something else than a command, or nothing
    if (!desc->skip_reason && !other && (!desc->command || !*desc->command))
        return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': give it a command", desc->name);
    if (desc->command && strlen(desc->command) > SYKLI_COMMAND_MAX)
        return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': command longer than %u bytes",
                          desc->name, SYKLI_COMMAND_MAX);
    bool gap = false;
    for (size_t i = 0; i < desc->input_count; i++) gap |= !desc->input_list[i];
    for (size_t i = 0; i < desc->secret_count; i++) gap |= !desc->secret_list[i];
    for (size_t i = 0; i < desc->given_count; i++) gap |= !desc->given_list[i].name;
    if (!gap) return 0;
    return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': NULL in a list of inputs or secrets",
                      desc->name);
}

// Outputs are removed before a task runs: what it reads may not be among them, or it is lost.
static int sykli__drive_check_outputs(sykli__drive *d, const sykli__drive_task *t)
{
    if ((uint64_t)t->output_count * t->input_count > SYKLI__DRIVE_PAIRS_MAX) return 0;
    for (uint32_t i = 0; i < t->output_count; i++)
        for (uint32_t k = 0; k < t->input_count; k++)
            if (sykli_output_takes(t->outputs[i].value, t->inputs[k]))
                return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': the input %s is in the "
                                  "output %s, which is removed before it runs: give it another "
                                  "output", t->name, t->inputs[k], t->outputs[i].value);
    return 0;
}

// Keeps one output if an input pattern could find something in it: where neither of the two leading
// folders is below the other none can.
static int sykli__drive_keep_own(sykli__drive *d, sykli__drive_task *t, const char *output)
{
    char out[SYKLI__TREE_PATH_MAX + 1], in[SYKLI__TREE_PATH_MAX + 1];
    sykli_fault ignored = { 0 }; // bad paths are told where they are used
    bool meet = false, cleaned = false;
    size_t size = 0;
    for (uint32_t k = 0; k < t->input_count && !meet; k++) {
        if (sykli__tree_apart(output, t->inputs[k])) continue;
        if (!cleaned && (sykli__tree_clean(output, out, &ignored) || !*out)) return 0;
        if (!cleaned) size = sykli_glob_fixed(out);
        cleaned = true;
        if (sykli__tree_clean(t->inputs[k], in, &ignored)) continue;
        size_t other = sykli_glob_fixed(in);
        meet = !strncmp(in, out, size < other ? size : other);
    }
    if (!meet) return 0;
    sykli__drive_more *more = sykli__drive_more_of(d, t);
    if (more && !more->own)
        more->own = (const char **)sykli__drive_keep(d, t->output_count * sizeof *more->own);
    if (!more || !more->own) return SYKLI_ENOMEM;
    more->own[more->own_count] = sykli__drive_keep_text(d, out);
    return more->own[more->own_count++] ? 0 : SYKLI_ENOMEM;
}

static int sykli__drive_keep_owns(sykli__drive *d, sykli__drive_task *t)
{
    int rc = 0;
    if ((uint64_t)t->output_count * t->input_count > SYKLI__DRIVE_PAIRS_MAX) return 0;
    for (uint32_t i = 0; !rc && i < t->output_count && t->input_count; i++)
        rc = sykli__drive_keep_own(d, t, t->outputs[i].value);
    return rc;
}

//   returns  the task's number or the error
static int64_t sykli__drive_add(sykli__drive *d, const sykli_task_desc *desc)
{
    if (d->started || d->before_at)
        return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': add tasks before the run is started "
                          "or explained", desc && desc->name ? desc->name : "");
    int rc = sykli__drive_check_desc(d, desc);
    if (rc) return rc;
    if (!sykli__base_room(d->mem, SYKLI_TAG_drive, &d->tasks, &d->task_capacity, d->task_count,
                          sizeof *d->tasks, SYKLI_TASKS_MAX))
        return sykli_fail(d->fault, SYKLI_ENOMEM, "task '%s': out of memory", desc->name);
    sykli__drive_task *t = &d->tasks[d->task_count];
    memset(t, 0, sizeof *t);
    t->slot = -1;
    t->exit_code = -1;
    t->no_cache = desc->no_cache;
    t->stall_ms = desc->stall_ms;
    t->crowd_max = desc->processes_max;
    d->counts |= t->crowd_max != 0;
    t->pty = desc->pty;
    t->name = sykli__drive_keep_text(d, desc->name);
    t->function = desc->function;
    t->function_user = desc->function_user;
    t->no_cache |= t->function && !desc->command;
    t->command = t->function ? sykli__drive_keep_function(d, desc)
               : sykli__drive_keep_text(d, desc->command ? desc->command : "");
    t->workdir = sykli__drive_keep_text(d, desc->workdir);
    t->skip_reason = sykli__drive_keep_text(d, desc->skip_reason);
    t->extra = sykli__drive_keep_text(d, desc->extra);
    if (!t->name || !t->command || (desc->workdir && !t->workdir) || (desc->extra && !t->extra)
        || (desc->skip_reason && !t->skip_reason) || sykli__drive_keep_lists(d, desc, t)
        || sykli__drive_keep_more(d, desc, t) || sykli__drive_keep_owns(d, t))
        return sykli_fail(d->fault, SYKLI_ENOMEM, "task '%s': out of memory", desc->name);
    rc = sykli__drive_check_outputs(d, t);
    if (rc) return rc;
    bool keyed = t->input_count && !t->no_cache && !d->desc->no_cache && *t->command;
    int64_t number = sykli__sched_add(&d->sched, &(sykli__sched_desc){
        .timeout_ms = desc->timeout_ms, .retries = desc->retries, .keyed = keyed,
        .lookup = keyed && !d->desc->refresh, .skip = t->skip_reason != NULL, .held = desc->held,
        .idle = !*t->command && !t->function, .may_fail = desc->may_fail });
    if (number == SYKLI_ELIMIT)
        return sykli_fail(d->fault, SYKLI_ELIMIT, "task '%s': more than %zu tasks, raise tasks_max",
                          desc->name, d->sched.tasks_max);
    if (number < 0 || sykli_map_put(&d->names, t->name, strlen(t->name), (uint64_t)number) < 0)
        return sykli_fail(d->fault, SYKLI_ENOMEM, "task '%s': out of memory", desc->name);
    d->task_count++;
    return number;
}

// Lets a task take in an output of another one; the edge between them is the caller's.
static int sykli__drive_add_intake(sykli__drive *d, uint32_t task, uint32_t from,
                                   const sykli_intake *intake)
{
    sykli__drive_task *t = &d->tasks[task];
    const sykli__drive_task *other = &d->tasks[from];
    const char *path = NULL, *dest = intake->dest ? intake->dest : "";
    char clean[SYKLI__TREE_PATH_MAX + 1];
    for (uint32_t i = 0; i < other->output_count; i++)
        if (intake->output && !strcmp(other->outputs[i].name, intake->output))
            path = other->outputs[i].value;
    if (!path)
        return sykli_fail(d->fault, SYKLI_ENOENT, "task '%s': '%s' has no output '%s' to take in",
                          t->name, other->name, intake->output ? intake->output : "");
    int rc = *dest ? sykli__tree_clean(dest, clean, d->fault)
                   : sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': an intake needs a dest",
                                t->name);
    if (rc) return rc;
    if (*clean && !sykli__tree_path_plain(clean))
        return sykli_fail(d->fault, SYKLI_EINVAL, "task '%s': nothing may be copied to %s", t->name,
                          dest);
    sykli__drive_more *more = sykli__drive_more_of(d, t);
    sykli__drive_intake *own = (sykli__drive_intake *)sykli__drive_keep(d, sizeof *own);
    if (own) {
        sykli__drive_intake made = { NULL, from, !*clean || dest[strlen(dest) - 1] == '/',
            sykli__drive_keep_text(d, intake->output), path, sykli__drive_keep_text(d, dest),
            sykli__drive_keep_text(d, clean) };
        *own = made;
    }
    if (!more || !own || !own->output || !own->written || !own->dest)
        return sykli_fail(d->fault, SYKLI_ENOMEM, "task '%s': out of memory", t->name);
    sykli__drive_intake **end = &more->intakes;
    while (*end) end = &(*end)->next;
    *end = own;
    return 0;
}

// ---- events and rows

static void sykli__drive_event(sykli__drive *d, sykli_event *event, uint32_t task)
{
    event->at_ms = d->mem->sys->wall_ms(d->mem->sys->user);
    event->run = d->run_id;
    if (task != SYKLI__SCHED_NONE) {
        event->task = sykli__drive_handle(d, task);
        event->name = d->tasks[task].name;
        event->attempt = (int)d->sched.tasks[task].attempt;
    }
    d->on_event(d->on_event_user, event);
}

static void sykli__drive_show_task(sykli__drive *d, uint32_t task, uint64_t memory_bytes)
{
    sykli__drive_task *t = &d->tasks[task];
    const sykli__sched_task *st = &d->sched.tasks[task];
    if (t->slot < 0) return;
    bool running = t->job && t->job->spawned, ended = st->attempt && !running;
    sykli__drive_task_row row = {
        .id = t->serial, .run = d->run_id, .status = st->status, .attempt = st->attempt,
        .pid = running ? t->pid : SYKLI_NULL_I64, .target = "local", .memory_bytes = memory_bytes,
        .cpu_ms = st->attempt ? t->cpu_ms : SYKLI_NULL_U64,
        .rss_max_bytes = ended ? t->rss_max_bytes : SYKLI_NULL_U64,
        .read_bytes = ended ? t->read_bytes : SYKLI_NULL_U64,
        .write_bytes = ended ? t->write_bytes : SYKLI_NULL_U64,
        .started_at = st->attempt ? t->started_at_ms : SYKLI_NULL_I64,
        .duration_ms = ended ? t->run_ms : SYKLI_NULL_U64,
        .exit_code = t->exit_code >= 0 ? t->exit_code : SYKLI_NULL_I64,
        .name = t->name_ref, .from = t->from_ref, .reason = t->reason_ref,
    };
    sykli__rows_write(&d->rows, SYKLI__DRIVE_POOL_TASKS, (uint32_t)t->slot, &row);
}

static void sykli__drive_show_run(sykli__drive *d)
{
    if (!d->rows_open) return;
    sykli__drive_proc_row proc = { .id = d->run_id, .kind = "run", .parent = SYKLI_NULL_U64,
        .pid = d->mem->sys->pid(d->mem->sys->user), .memory_bytes = d->mem->total_bytes,
        .queue = d->sched.heap_count + d->sched.queue_count, .cpu_ms = SYKLI_NULL_U64,
        .started_at = d->started_at_ms };
    snprintf(proc.status, sizeof proc.status, d->ended ? "ended" : "running");
    sykli__rows_write(&d->rows, SYKLI__DRIVE_POOL_PROCS, (uint32_t)d->proc_slot, &proc);
    sykli__drive_run_row row = {
        .id = d->run_id, .pid = d->mem->sys->pid(d->mem->sys->user), .tasks = d->task_count,
        .done = d->done, .failed = d->failed, .cached = d->cached, .started_at = d->started_at_ms,
        .status = !d->ended ? SYKLI_STATUS_running
                : d->failed ? SYKLI_STATUS_failed : SYKLI_STATUS_passed,
        .duration_ms = sykli__drive_now(d) - d->started_ms,
    };
    sykli__rows_write(&d->rows, SYKLI__DRIVE_POOL_RUNS, (uint32_t)d->run_slot, &row);
}

// The row of a task's processes, as long as there are any.
static void sykli__drive_show_proc(sykli__drive *d, sykli__drive_job *job, uint64_t memory_bytes)
{
    static const char *const how[] = { "group", "scan", "cgroup" };
    const sykli__drive_task *t = &d->tasks[job->task];
    uint64_t serial;
    if (job->row < 0) job->row = sykli__rows_take(&d->rows, SYKLI__DRIVE_POOL_PROCS, &serial);
    if (job->row < 0) return;
    sykli__drive_proc_row row = { .id = t->serial, .kind = "task", .name = t->name_ref,
        .parent = d->run_id, .pid = t->pid, .memory_bytes = memory_bytes, .cpu_ms = t->cpu_ms,
        .started_at = t->started_at_ms };
    snprintf(row.status, sizeof row.status,
             job->phase == SYKLI__DRIVE_LEFTOVER ? "leftover" : "running");
    snprintf(row.kill, sizeof row.kill, "%s", how[job->proc.containment]);
    sykli__rows_write(&d->rows, SYKLI__DRIVE_POOL_PROCS, (uint32_t)job->row, &row);
}

// ---- facts, tickets of hooks, texts kept for a task

enum { SYKLI__DRIVE_TICKET_LOOKUP = 1, SYKLI__DRIVE_TICKET_SLOT = 2 };

static uint64_t sykli__drive_ticket(uint32_t kind, uint32_t task)
{
    return (uint64_t)kind << 32 | task;
}

SYKLI__APART
static void sykli__drive_fact(sykli__drive *d, sykli__sched_fact_kind kind, uint32_t task, bool ok)
{
    sykli__sched_fact fact = { kind, task, ok, 0 };
    sykli__sched_step(&d->sched, sykli__drive_now(d), &fact);
}

static void sykli__drive_set_reason(sykli__drive *d, sykli__drive_task *t, const char *text)
{
    t->reason = sykli__drive_keep_text(d, text);
    t->reason_ref = t->reason ? sykli__rows_text(&d->rows, t->reason, strlen(t->reason)) : 0;
}

static void sykli__drive_set_from(sykli__drive *d, sykli__drive_task *t, const char *text)
{
    t->from = sykli__drive_keep_text(d, text);
    t->from_ref = t->from ? sykli__rows_text(&d->rows, t->from, strlen(t->from)) : 0;
}

// ---- output of a task

// Opens the log of a job. A second attempt goes on behind the first.
static int sykli__drive_log_open(sykli__drive *d, sykli__drive_job *job)
{
    const sykli_sys *sys = d->mem->sys;
    sykli__drive_task *t = &d->tasks[job->task];
    char path[SYKLI__TREE_PATH_MAX + 1];
    if (t->log_path)
        return sys->open(sys->user, SYKLI_CWD, t->log_path,
                         SYKLI_OPEN_write | SYKLI_OPEN_append | SYKLI_OPEN_nofollow, 0);
    int fd = sykli__history_log_open(&d->history, t->name, path, sizeof path, NULL);
    if (fd >= 0) t->log_path = sykli__drive_keep_text(d, path);
    return fd;
}

// Opens the log of a task for reading.     returns  the descriptor, or negative: none yet
static int sykli__drive_log_reader(const sykli__drive *d, uint32_t task)
{
    const sykli_sys *sys = d->mem->sys;
    const char *path = d->tasks[task].log_path;
    return path ? sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0) : -1;
}

// Keeps the end of what is cut: there the error is.
static void sykli__drive_log_tail(sykli__drive_job *job, const uint8_t *data, size_t size)
{
    if (size > SYKLI__DRIVE_TAIL_BYTES) {
        data += size - SYKLI__DRIVE_TAIL_BYTES;
        size = SYKLI__DRIVE_TAIL_BYTES;
        sykli_buf_reset(&job->tail);
    }
    if (job->tail.size + size > 2 * SYKLI__DRIVE_TAIL_BYTES)
        sykli_buf_drop(&job->tail, job->tail.size + size - SYKLI__DRIVE_TAIL_BYTES);
    if (sykli_buf_add(&job->tail, data, size)) sykli_buf_reset(&job->tail);
}

// A log that cannot be written never fails its task, but it is told.
static void sykli__drive_log_lost(sykli__drive *d, sykli__drive_job *job, int64_t rc, size_t size)
{
    sykli__drive_task *t = &d->tasks[job->task];
    job->cap.kept_bytes -= size;
    job->cap.dropped_bytes += size;
    if (t->reason) return;
    sykli_fail_sys(d->fault, rc, "its log cannot be written");
    sykli__drive_set_reason(d, t, d->fault->text);
}

// Appends to the log what the cap allows.
static void sykli__drive_log(sykli__drive *d, sykli__drive_job *job, const uint8_t *data,
                             size_t size)
{
    const sykli_sys *sys = d->mem->sys;
    if (!d->history_open || !size) return;
    size_t all = size;
    size = sykli__log_cap_take(&job->cap, size);
    if (job->log_fd == -1) {
        job->log_fd = sykli__drive_log_open(d, job);
        if (job->log_fd < 0) {
            sykli__drive_log_lost(d, job, job->log_fd, size);
            job->log_fd = -2; // it is not tried again
        }
    }
    if (job->log_fd < 0) return;
    if (size < all) sykli__drive_log_tail(job, data + size, all - size);
    for (size_t at = 0; at < size;) {
        int64_t rc = sys->write(sys->user, job->log_fd, data + at, size - at);
        if (rc <= 0) {
            sykli__drive_log_lost(d, job, rc, size - at);
            return;
        }
        at += (size_t)rc;
    }
}

static void sykli__drive_log_close(sykli__drive *d, sykli__drive_job *job)
{
    const sykli_sys *sys = d->mem->sys;
    char mark[128];
    if (job->log_fd < 0) return;
    const uint8_t *tail = job->tail.data;
    size_t tail_size = job->tail.size, size;
    if (tail && job->cap.dropped_bytes > tail_size) { // from the first whole line on
        const uint8_t *line = (const uint8_t *)memchr(tail, '\n', tail_size);
        if (line) tail_size -= (size_t)(line + 1 - tail), tail = line + 1;
    }
    job->cap.dropped_bytes -= tail_size;
    size = sykli__log_cap_mark(&job->cap, mark);
    if (size) sys->write(sys->user, job->log_fd, mark, size);
    if (tail_size) sys->write(sys->user, job->log_fd, tail, tail_size);
    sys->close(sys->user, job->log_fd);
    job->log_fd = -1;
}

static int sykli__drive_line(void *user, const char *text, size_t size)
{
    const sykli__drive_sink *sink = (const sykli__drive_sink *)user;
    sykli__drive_event(sink->drive, &(sykli_event){ .kind = SYKLI_EVENT_task_output, .text = text,
                                                    .text_size = size, .stream = sink->stream },
                       sink->job->task);
    return 0;
}

// What a task printed, secrets masked already: to its log and, as whole lines, to the listener.
static void sykli__drive_printed(sykli__drive *d, sykli__drive_job *job, int stream,
                                 const uint8_t *data, size_t size)
{
    sykli__log_lines *lines = &job->lines[stream - 1];
    sykli__drive_log(d, job, data, size);
    if (d->desc->last_lines) sykli__log_lines_feed_last(lines, (const char *)data, size);
    else sykli__log_lines_feed(lines, (const char *)data, size);
}

// Takes what was read, or the end of the stream (size 0). When there is no memory to tell what is
// secret, nothing more of the stream is shown.
static void sykli__drive_output(sykli__drive *d, sykli__drive_job *job, int stream, size_t size)
{
    if (!d->mask.count) {
        sykli__drive_printed(d, job, stream, d->buffer, size);
    } else if (job->deaf[stream - 1]) {
        return;
    } else {
        sykli_buf *out = &d->clean;
        sykli__log_masker *masker = &job->masker[stream - 1];
        sykli_buf_reset(out);
        int rc = size ? sykli__log_masker_feed(masker, out, (const char *)d->buffer, size)
                      : sykli__log_masker_end(masker, out);
        job->deaf[stream - 1] = rc != 0;
        if (!rc && out->size) sykli__drive_printed(d, job, stream, out->data, out->size);
    }
    if (!size) sykli__log_lines_end(&job->lines[stream - 1]);
}

// Reads one pipe until it has nothing more, at most a megabyte a turn.
static void sykli__drive_read(sykli__drive *d, sykli__drive_job *job, int stream)
{
    for (int turn = 0; turn < 16 && job->open[stream - 1]; turn++) {
        int64_t got = sykli__spawn_read(d->mem, &job->proc, stream, d->buffer, sizeof d->buffer);
        if (got == 0) return;
        if (got < 0) {
            job->open[stream - 1] = false;
            sykli__drive_output(d, job, stream, 0);
            return;
        }
        if (job->stall_ms) job->heard_ms = sykli__drive_now(d);
        if ((size_t)got == sizeof d->buffer && !job->wide[stream - 1]) { // it waits for us
            int fd = stream == 1 ? job->proc.out_fd : job->proc.err_fd;
            d->mem->sys->widen(d->mem->sys->user, fd, SYKLI__DRIVE_PIPE_BYTES);
            job->wide[stream - 1] = true;
        }
        sykli__drive_output(d, job, stream, (size_t)got);
        if ((size_t)got < sizeof d->buffer / 2) return;
    }
}

// ---- the action key

static const char *sykli__drive_host_env(const sykli__drive *d, const char *name, size_t size)
{
    for (const char **e = d->base_env; e && *e; e++)
        if (!strncmp(*e, name, size) && (*e)[size] == '=') return *e + size + 1;
    return NULL;
}

static int sykli__drive_key_file(void *user, const sykli__tree_file *file)
{
    return sykli__key_add_file((sykli__key *)user, "input", file);
}

// A file that a task takes in: whose it is, and what, so that no other file takes its place.
typedef struct sykli__drive_arrival {
    const sykli__drive_intake *intake;
    sykli_digest digest;
    bool executable;
} sykli__drive_arrival;

typedef struct sykli__drive_arrivals {
    sykli_map places;                    // path to number
    sykli__drive_arrival *items;
    size_t count, capacity;
} sykli__drive_arrivals;

typedef struct sykli__drive_copy {
    sykli__drive *drive;
    const sykli__drive_intake *intake;
    sykli__drive_arrivals *arrivals;     // NULL: the files are copied, else only looked at
    char path[SYKLI__TREE_PATH_MAX + 1]; // of the output
    size_t count, base;                  // base: what a file's path below `dest` does not show
} sykli__drive_copy;

// Notes where a file will be. One that is the same may come twice; of two that differ the last one
// would stay, and nobody would hear of the other.
static int sykli__drive_arrive(const sykli__drive_copy *c, const sykli__tree_file *file,
                               const char *to)
{
    sykli__drive_arrivals *all = c->arrivals;
    sykli_mem *mem = c->drive->mem;
    bool link = file->stat.type == SYKLI_FILE_symlink;
    sykli__drive_arrival here = { c->intake, link ? file->behind : file->digest,
                                  (file->stat.mode & 0100) != 0 };
    const uint64_t *known = sykli_map_get(&all->places, to, strlen(to));
    const sykli__drive_arrival *first = known ? &all->items[*known] : NULL;
    if (first && (memcmp(&first->digest, &here.digest, sizeof here.digest)
                  || first->executable != here.executable)) {
        const sykli__drive_task *tasks = c->drive->tasks;
        return sykli_fail(c->drive->fault, SYKLI_EINVAL, "task takes in two files as %s, from "
                          "output '%s' of '%s' and, as %s, from output '%s' of '%s': give one of "
                          "the two another dest", to, first->intake->output,
                          tasks[first->intake->from].name, file->path, c->intake->output,
                          tasks[c->intake->from].name);
    }
    if (first) return 0;
    if (!sykli__base_room(mem, SYKLI_TAG_drive, &all->items, &all->capacity, all->count,
                          sizeof *all->items, SIZE_MAX / sizeof *all->items)
        || sykli_map_put(&all->places, to, strlen(to), all->count) < 0)
        return sykli_fail(c->drive->fault, SYKLI_ENOMEM, "out of memory");
    all->items[all->count++] = here;
    return 0;
}

static int sykli__drive_copy_file(void *user, const sykli__tree_file *file)
{
    sykli__drive_copy *c = (sykli__drive_copy *)user;
    sykli_fault *fault = c->drive->fault;
    const char *dest = c->intake->dest, *rest = file->path + c->base;
    char to[SYKLI__TREE_PATH_MAX + 1];
    bool single = !strcmp(file->path, c->path);
    if (single && c->intake->into) rest = strrchr(file->path, '/');
    if (single && c->intake->into) rest = rest ? rest + 1 : file->path;
    int size = single && !c->intake->into ? snprintf(to, sizeof to, "%s", dest)
             : snprintf(to, sizeof to, "%s%s%s", dest, *dest ? "/" : "", rest);
    c->count++;
    if (size < 0 || (size_t)size >= sizeof to)
        return sykli_fail(fault, SYKLI_EINVAL, "the path of %s below %s is too long", rest, dest);
    return c->arrivals ? sykli__drive_arrive(c, file, to)
                       : sykli__tree_copy(&c->drive->tree, file, to, fault);
}

//   arrivals  NULL: puts what a task takes in where it wants it, else looks at it only
static int sykli__drive_take_each(sykli__drive *d, const sykli__drive_intake *in,
                                  sykli__drive_arrivals *arrivals)
{
    int rc = 0;
    for (; !rc && in; in = in->next) {
        sykli__drive_copy c = { .drive = d, .intake = in, .arrivals = arrivals };
        rc = sykli__tree_clean(in->path, c.path, d->fault);
        if (!rc && sykli__tree_is_glob(c.path)) {
            c.base = sykli_glob_fixed(c.path);
            while (c.base && c.path[c.base - 1] != '/') c.base--;
        } else c.base = strlen(c.path) + 1;
        if (!rc) rc = sykli__tree_files(&d->tree, &in->path, 1, sykli__drive_copy_file, &c,
                                        d->fault);
        if (!rc && !c.count)
            rc = sykli_fail(d->fault, SYKLI_ENOENT, "task takes in output '%s' of '%s', which is "
                            "not there: %s", in->output, d->tasks[in->from].name, in->path);
    }
    return rc;
}

// Puts what a task takes in where it wants it, once it is sure that all of it has room there.
static int sykli__drive_take_in(sykli__drive *d, const sykli__drive_task *t)
{
    const sykli__drive_intake *in = t->more ? t->more->intakes : NULL;
    int rc = 0;
    if (in && in->next) {
        sykli__drive_arrivals all = { .count = 0 };
        sykli_map_init(&all.places, d->mem, NULL);
        rc = sykli__drive_take_each(d, in, &all);
        sykli_map_free(&all.places);
        if (all.items)
            sykli_mem_resize(d->mem, SYKLI_TAG_drive, all.items, all.capacity * sizeof *all.items,
                             0);
    }
    return rc ? rc : sykli__drive_take_each(d, in, NULL);
}

typedef struct sykli__drive_reads {
    sykli__key *key;
    const sykli__drive_more *more; // NULL: nothing is left out
} sykli__drive_reads;

// What is in an output of the task is no input of it, whatever finds it: it is removed before the
// task runs, so the task can never have read it.
static int sykli__drive_key_read(void *user, const sykli__tree_file *file)
{
    const sykli__drive_reads *r = (const sykli__drive_reads *)user;
    for (uint32_t i = 0; r->more && i < r->more->own_count; i++) {
        const char *own = r->more->own[i];
        size_t size = strlen(own);
        if (!strncmp(own, file->path, size) && (!file->path[size] || file->path[size] == '/'))
            return 0;
        if (sykli__tree_is_glob(own) && sykli_glob_match(own, file->path)) return 0;
    }
    return sykli__drive_key_file(r->key, file);
}

// The files that any of the patterns names.
//   more   of the task whose inputs they are; NULL: all files count
static int sykli__drive_key_files(sykli__drive *d, sykli__key *key, const char *const *patterns,
                                  size_t count, const sykli__drive_more *more)
{
    sykli__drive_reads reads = { key, more };
    return (key->stats ? sykli__tree_stats : sykli__tree_files)(
        &d->tree, patterns, count, sykli__drive_key_read, &reads, d->fault);
}

// The mark over what a task's outputs are now, made with `key`.      returns  0 or the error
static int sykli__drive_mark_outputs(sykli__drive *d, sykli__key *key, const sykli__drive_task *t,
                                     bool stats, uint64_t out[2])
{
    int rc = 0;
    if (stats) sykli__key_stats(key, t->looked_ns);
    else sykli__key_marks(key);
    for (uint32_t i = 0; !rc && i < t->output_count; i++)
        rc = sykli__drive_key_files(d, key, &t->outputs[i].value, 1, NULL);
    if (!rc) rc = key->raw.error;
    if (!rc) sykli__key_mark(key, d->memo.head.secret, out);
    return rc;
}

// A key is made before its task reads what it was made of. Somebody may save a file in between, or
// another task change it: the result would be that of the new file under the name of the old, for
// whoever goes back to it. So what the key has of each input is kept until the result is published,
// and what it has of each file that a task before it has made, until it starts.

static void sykli__drive_list_drop(sykli__drive *d, sykli__drive_list *list)
{
    if (list->data) sykli_mem_resize(d->mem, SYKLI_TAG_drive, list->data, list->size, 0);
    *list = (sykli__drive_list){ NULL, 0 };
}

//   raw      all that a key is made of; the files are the last of its parts
//   returns  0 or ENOMEM
static int sykli__drive_list_keep(sykli__drive *d, sykli__drive_list *list, const sykli_buf *raw)
{
    const uint8_t *part[3];
    uint32_t sizes[3];
    size_t from = 0, at = 0;
    sykli__drive_list_drop(d, list);
    while (sykli__key_raw_next(raw->data, raw->size, &at, part, sizes)) {
        if (sizes[0] == 5 && !memcmp(part[0], "input", 5)) break;
        from = at;
    }
    size_t size = raw->size - from;
    if (!size || raw->error) return raw->error;
    list->data = (uint8_t *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0, size);
    if (!list->data) return SYKLI_ENOMEM;
    list->size = size;
    memcpy(list->data, raw->data + from, size);
    return 0;
}

// Finds a file that is not what it was when the key was made. What is new does not count: a task
// may well leave something where its inputs are.
//   returns  whether there is one; its path
static bool sykli__drive_list_changed(sykli__drive *d, const sykli__drive_list *list,
                                      char out[SYKLI__TREE_PATH_MAX + 1])
{
    const uint8_t *part[3];
    uint32_t sizes[3];
    size_t at = 0;
    while (sykli__key_raw_next(list->data, list->size, &at, part, sizes)) {
        uint8_t now[SYKLI__KEY_FILE_BYTES];
        sykli__tree_file file = { .path = out };
        memcpy(out, part[1], sizes[1]);
        out[sizes[1]] = 0;
        if (sykli__tree_stat(&d->tree, out, &file.stat)
            || sykli__tree_digest_file(&d->tree, &file)) return true;
        sykli__key_file(&file, now);
        if (memcmp(now, part[2], sizeof now)) return true;
    }
    return false;
}

// The digest over all files of a task's outputs, in the order of the declaration. A key, and not
// only its mark, wants to know which files these are.
//   returns  0; what is known is what stands there as long as no process of ours was there since
static int sykli__drive_upstream(sykli__drive *d, sykli__drive_task *t, bool marks)
{
    if (t->upstream_known && t->made_at == d->stirs && (marks || t->made.data || !d->store))
        return 0;
    char path[SYKLI__TREE_PATH_MAX + 1];
    if (t->made.data && sykli__drive_list_changed(d, &t->made, path)) t->remade = ++d->remakes;
    sykli__key key;
    sykli__key_begin(&key, d->mem);
    int rc = 0;
    for (uint32_t i = 0; !rc && i < t->output_count; i++)
        rc = sykli__tree_files(&d->tree, &t->outputs[i].value, 1, sykli__drive_key_file, &key,
                               d->fault);
    char hex[65];
    if (!rc) rc = sykli__key_end(&key, hex);
    if (!rc && d->store) rc = sykli__drive_list_keep(d, &t->made, &key.raw);
    sykli__memo_task *memo = d->memo.tasks ? d->memo.tasks[t - d->tasks] : NULL;
    uint64_t mark[2];
    // The memo is of what its task has left. If somebody else was there since, this is not.
    if (!rc && memo && memo->looked_ms && !sykli__drive_mark_outputs(d, &key, t, false, mark)
        && !memcmp(mark, memo->outputs, sizeof mark)) {
        sykli_unhex(memo->upstream.bytes, 32, hex, 64);
        d->memo.changed = true;
    }
    sykli__key_free(&key);
    if (rc) return rc;
    t->upstream_known = true;
    t->made_at = d->stirs;
    sykli_unhex(t->upstream.bytes, 32, hex, 64);
    return 0;
}

static int sykli__drive_key_upstream(sykli__drive *d, sykli__key *key, uint32_t task)
{
    int rc = 0;
    for (uint32_t i = d->before_at[task]; !rc && i < d->before_at[task + 1]; i++) {
        sykli__drive_task *before = &d->tasks[d->before[i]];
        if (!before->output_count) continue;
        rc = sykli__drive_upstream(d, before, key->marks);
        char hex[65];
        sykli_hex(hex, before->upstream.bytes, 32);
        if (!rc) rc = sykli__key_add(key, "upstream", before->name, hex, 64);
    }
    return rc;
}

// The host variables that config key `cache.env` names.
static int sykli__drive_key_host(sykli__drive *d, sykli__key *key)
{
    int rc = 0;
    for (const char *at = sykli__config_get(d->config, "cache.env"); !rc && at && *at;) {
        size_t size = strcspn(at, ", ");
        char name[128];
        if (size && size < sizeof name) {
            memcpy(name, at, size);
            name[size] = 0;
            const char *value = sykli__drive_host_env(d, name, size);
            if (value) rc = sykli__key_add(key, "host", name, value, strlen(value));
        }
        at += size;
        at += strspn(at, ", ");
    }
    return rc;
}

// Whether this is what was found out in this look about the program that the command starts.
static bool sykli__drive_tool_known(const sykli__drive *d, const sykli__drive_tool *tool,
                                    const char *command, const char *path, bool hashed)
{
    size_t size = strlen(tool->word);
    return size && tool->look == d->tree.look && tool->path == path
        && (tool->none || tool->hashed == hashed) && !strncmp(command, tool->word, size)
        && (command[size] == ' ' || !command[size]);
}

// Finds the program that a command starts, once in a look at the tree if no task runs: only what
// runs may put another program in its place.
//   hashed   its digest is wanted, else its stat
//   returns  as sykli__key_tool; *out is valid until the next call
static int sykli__drive_tool_find(sykli__drive *d, const char *command, const char *path,
                                  bool hashed, const sykli__drive_tool **out)
{
    for (uint32_t i = 0; d->tree.alone && i < SYKLI__DRIVE_TOOLS; i++) {
        *out = &d->tools[i];
        if (sykli__drive_tool_known(d, *out, command, path, hashed))
            return d->tools[i].none ? SYKLI_ENOENT : 0;
    }
    const char *word = NULL;
    size_t size = sykli__key_word(command, &word);
    sykli__drive_tool *tool = &d->tools[d->tool_count++ % SYKLI__DRIVE_TOOLS];
    *tool = (sykli__drive_tool){ .path = path, .hashed = hashed };
    *out = tool;
    int rc = sykli__key_tool(&d->tree, command, path, &tool->stat,
                             hashed ? &tool->digest : NULL, d->fault);
    if (!d->tree.alone || !size || size >= sizeof tool->word || (rc && rc != SYKLI_ENOENT))
        return rc;
    tool->look = d->tree.look;
    tool->none = rc != 0;
    memcpy(tool->word, word, size);
    return rc;
}

// The bytes of the program that the command starts: another compiler is another action.
static int sykli__drive_key_tool(sykli__drive *d, sykli__key *key, const sykli__drive_task *t)
{
    const char *path = d->path;
    const sykli__drive_tool *tool;
    char hex[65];
    for (uint32_t i = 0; i < t->env_count; i++)
        if (!strcmp(t->env[i].name, "PATH")) path = t->env[i].value;
    int rc = sykli__drive_tool_find(d, t->command, path ? path : "", !key->stats, &tool);
    if (rc) return rc == SYKLI_ENOENT ? 0 : rc;
    if (key->stats) return sykli__key_add_stat(key, "tool", "", &tool->stat);
    sykli_hex(hex, tool->digest.bytes, 32);
    return sykli__key_add(key, "tool", "", hex, 64);
}

static int sykli__drive_key_more(const sykli__drive *d, sykli__key *key,
                                 const sykli__drive_more *more)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < more->given_count; i++)
        rc = sykli__key_add(key, "secret", more->given[i].name, more->given[i].source,
                            strlen(more->given[i].source));
    for (const sykli__drive_intake *in = more->intakes; !rc && in; in = in->next) {
        rc = sykli__key_add(key, "intake", in->dest, in->output, strlen(in->output));
        const char *from = d->tasks[in->from].name; // its outputs are there as `upstream`
        if (!rc) rc = sykli__key_add(key, "intake-from", in->dest, from, strlen(from));
    }
    if (!rc && more->accept_key)
        rc = sykli__key_add(key, "accept", "", more->accept_key, strlen(more->accept_key));
    return rc;
}

// What is in the keys of all tasks of a run, for as long as the configuration is the same.
static int sykli__drive_key_run(sykli__drive *d, sykli__key *key)
{
    uint64_t version = d->config->current->serial;
    bool known = d->run_marked == version;
    int rc = 0;
    if (!known || !key->marks) {
        if (key->marks) sykli__key_schema(key); // else it is there
        rc = sykli__key_add(key, "project", "", (const char *)d->project.data, d->project.size);
        if (!rc) rc = sykli__key_add(key, "platform", "", (const char *)d->platform.data,
                                     d->platform.size);
        if (!rc) rc = sykli__key_add(key, "target", "local", "", 0);
        if (!rc) rc = sykli__drive_key_host(d, key);
        if (rc || key->raw.error) return rc ? rc : key->raw.error;
    }
    sykli__key_fold(key, d->memo.head.secret, d->run_mark, known);
    d->run_marked = version;
    return 0;
}

static int sykli__drive_key_parts(sykli__drive *d, sykli__key *key, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    const char *workdir = t->workdir ? t->workdir : ".";
    int rc = sykli__drive_key_run(d, key);
    if (!rc) rc = sykli__key_add(key, "command", "", t->command, strlen(t->command));
    if (!rc) rc = sykli__key_add(key, "workdir", "", workdir, strlen(workdir));
    for (uint32_t i = 0; !rc && i < t->env_count; i++)
        rc = sykli__key_add(key, "env", t->env[i].name, t->env[i].value, strlen(t->env[i].value));
    for (uint32_t i = 0; !rc && i < t->secret_count; i++)
        rc = sykli__key_add(key, "secret", t->secrets[i], "", 0);
    if (!rc && t->more) rc = sykli__drive_key_more(d, key, t->more);
    for (uint32_t i = 0; !rc && i < t->output_count; i++)
        rc = sykli__key_add(key, "output", t->outputs[i].name, t->outputs[i].value,
                            strlen(t->outputs[i].value));
    if (!rc) rc = sykli__drive_key_upstream(d, key, task);
    if (!rc) rc = sykli__drive_key_tool(d, key, t);
    return rc ? rc : sykli__drive_key_files(d, key, t->inputs, t->input_count, t->more);
}

typedef struct sykli__drive_words { sykli_buf text; int count; } sykli__drive_words;

static int sykli__drive_word(void *to, const char *part, const char *name, const char *was,
                             const char *is)
{
    sykli__drive_words *w = (sykli__drive_words *)to;
    if (++w->count > 3) return 0;
    if (w->text.size) sykli_buf_text(&w->text, ", ");
    return sykli__key_reason(&w->text, part, name, was, is);
}

// Says what is different from what the key of this task was made of before.
//   rc       how reading that went
static void sykli__drive_changed(sykli__drive *d, sykli__drive_task *t, const char *manifest,
                                 int rc, const sykli_buf *before)
{
    sykli__drive_words words = { .count = 0 };
    sykli_buf_init(&words.text, d->mem, SYKLI_TAG_drive);
    if (!rc) rc = sykli__key_diff(d->mem, (const char *)before->data, manifest, sykli__drive_word,
                                  &words);
    if (words.count > 3) sykli_buf_print(&words.text, " and %d more", words.count - 3);
    if (rc == SYKLI_ENOENT) t->changed = "first run here";
    else if (!rc && words.count && !words.text.error)
        t->changed = sykli__drive_keep_text(d, (const char *)words.text.data);
    sykli_buf_free(&words.text);
}

// What a task's key was made of the last time it had one, or in a run.
//   against  the run; NULL: the last time
//   returns  0; ENOENT: never, or not kept; or the error
static int sykli__drive_before(sykli__drive *d, const sykli__drive_task *t, const char *against,
                               sykli_buf *out)
{
    char key[65];
    if (!against) return sykli__history_key_load(&d->history, t->name, out);
    int rc = sykli__history_key_of(&d->history, against, t->name, key, d->fault);
    if (rc) return rc;
    if (!*key)
        return sykli_fail(d->fault, SYKLI_ENOENT, "'%s' had no key in run %s: it declares no "
                          "inputs, or did not get so far", t->name, against);
    rc = sykli__history_key_find(&d->history, t->name, key, out);
    return rc == SYKLI_ENOENT
        ? sykli_fail(d->fault, rc, "what the key of '%s' was made of in run %s is not kept any "
                     "more", t->name, against) : rc;
}

// The mark over what a task's key is made of: with stats for contents, or contents.
//   returns  0 or the error
static int sykli__drive_mark_inputs(sykli__drive *d, uint32_t task, bool stats, uint64_t out[2])
{
    if (stats) sykli__key_stats(&d->marks, d->tasks[task].looked_ns);
    else sykli__key_marks(&d->marks);
    int rc = sykli__drive_key_parts(d, &d->marks, task);
    if (!rc) rc = d->marks.raw.error;
    if (!rc) sykli__key_mark(&d->marks, d->memo.head.secret, out);
    return rc;
}

// Whether all that a task's key is made of is what it was when its result was last seen in the
// folder and in the store. Then the key is known. Stats are asked first; where they do not say so,
// contents may.
static bool sykli__drive_recall(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    if (!d->memo.tasks || d->desc->refresh) return false;
    const sykli__memo_task *memo = sykli__memo_find(&d->memo, task, t->name);
    bool stats = memo && (memo->input_stats[0] | memo->input_stats[1]);
    int64_t now_ms = d->tree.look_ns / 1000000;
    uint64_t mark[2];
    if (!memo) return false;
    t->looked_ns = d->tree.look_ns;
    memo = stats && !sykli__drive_mark_inputs(d, task, true, mark)
         ? sykli__memo_recall(&d->memo, task, t->name, mark, true, now_ms) : NULL;
    t->stood = memo != NULL;
    if (!memo && !sykli__drive_mark_inputs(d, task, false, mark)) {
        t->linked = !d->marks.stands;
        memo = sykli__memo_recall(&d->memo, task, t->name, mark, false, now_ms);
    }
    if (!memo) return false;
    t->key = memo->key;
    t->absent = memo->absent[0];
    t->has_key = t->recalled = true;
    return true;
}

// Notes the stats of what was just seen to be as a recalled task's record says, so that the next
// run need not look further. What changed since its inputs were looked at has not rested.
static void sykli__drive_stand(sykli__drive *d, uint32_t task)
{
    const sykli__drive_task *t = &d->tasks[task];
    uint64_t inputs[2], outputs[2];
    if (!sykli__drive_mark_inputs(d, task, true, inputs) && d->marks.stands
        && !sykli__drive_mark_outputs(d, &d->marks, t, true, outputs) && d->marks.stands)
        sykli__memo_stand(&d->memo, task, inputs, outputs);
}

// Keeps in the memo that the outputs in the folder are the result of the task's key, which the
// store holds too.
static void sykli__drive_remember(sykli__drive *d, uint32_t task, const sykli__store_entry *entry)
{
    sykli__drive_task *t = &d->tasks[task];
    sykli__memo_task memo = { .key = t->key, .saved_ms = entry->duration_ms, .log = entry->log,
                              .log_bytes = entry->log_bytes, .absent = { t->absent },
                              .looked_ms = d->mem->sys->wall_ms(d->mem->sys->user) };
    if (!d->memo.tasks || !t->marked) return;
    memcpy(memo.inputs, t->mark, sizeof memo.inputs);
    memo.from = t->from ? t->from : "local";
    if (t->upstream_known) memo.upstream = t->upstream;
    if (sykli__drive_mark_outputs(d, &d->marks, t, false, memo.outputs)) return;
    sykli__memo_put(&d->memo, task, &memo);
}

// The same for a task whose key was known without it, and which runs all the same. If that is not
// known, nobody can tell whether the result belongs to the key.
static void sykli__drive_read_again(sykli__drive *d, sykli__drive_task *t)
{
    if (t->read.data) return;
    sykli__key_marks(&d->marks);
    if (sykli__drive_key_files(d, &d->marks, t->inputs, t->input_count, t->more)
        || sykli__drive_list_keep(d, &t->read, &d->marks.raw)) t->has_key = false;
}

// A path among the inputs that leads nowhere is no error, for it may come yet. But mostly it is a
// slip of the pen, and what was meant never decides anything.
static void sykli__drive_note_absent(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    char clean[SYKLI__TREE_PATH_MAX + 1], text[SYKLI__TREE_PATH_MAX + 64];
    sykli_fault ignored = { 0 };
    sykli_stat stat;
    for (uint32_t i = 0; i < t->input_count; i++) {
        if (sykli__tree_clean(t->inputs[i], clean, &ignored) || sykli__tree_is_glob(clean)
            || sykli__tree_stat(&d->tree, clean, &stat) != -ENOENT) continue;
        t->absent = true;
        int size = snprintf(text, sizeof text, "the input %s is not there", clean);
        sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_note, .text = text,
                                              .text_size = (size_t)size }, task);
    }
}

// Computes the key of a task whose turn has come: its inputs may be outputs of the tasks before it.
static void sykli__drive_hash(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    sykli__key key;
    char hex[65];
    int rc = sykli__drive_take_in(d, t);
    bool taken = !rc;
    if (taken && sykli__drive_recall(d, task)) {
        t->keyed = d->remakes;
        if (t->absent) sykli__drive_note_absent(d, task);
        sykli__drive_fact(d, SYKLI__SCHED_HASHED, task, true);
        return;
    }
    sykli__key_begin(&key, d->mem);
    if (!rc) rc = sykli__drive_key_parts(d, &key, task);
    t->keyed = d->remakes;
    if (!rc) rc = sykli__key_end(&key, hex);
    if (!rc && d->memo.tasks && !key.raw.error) {
        sykli__key_mark(&key, d->memo.head.secret, t->mark);
        t->marked = true;
    }
    if (!rc && d->store) rc = sykli__drive_list_keep(d, &t->read, &key.raw);
    if (!rc) rc = sykli_unhex(t->key.bytes, 32, hex, 64);
    if (!rc && d->history_open) {
        sykli_buf before;
        sykli_buf_init(&before, d->mem, SYKLI_TAG_drive);
        int known = sykli__drive_before(d, t, NULL, &before);
        sykli__drive_changed(d, t, (const char *)key.manifest.data, known, &before);
        sykli__history_key_save(&d->history, t->name, hex, key.manifest.data, key.manifest.size,
                                &before);
        sykli_buf_free(&before);
    }
    sykli__key_free(&key);
    t->has_key = !rc;
    sykli__sched_fact_kind fact =
        rc == SYKLI_EINVAL || !taken ? SYKLI__SCHED_ABORTED : SYKLI__SCHED_HASHED;
    if (rc) sykli__drive_set_reason(d, t, d->fault->text);
    else sykli__drive_note_absent(d, task);
    sykli__drive_fact(d, fact, task, !rc);
}

// Asks the host whether an attempt succeeded, and keeps its reason if it did not.
static bool sykli__drive_accepts(sykli__drive *d, uint32_t task, bool restored)
{
    sykli__drive_task *t = &d->tasks[task];
    char why[512] = "";
    sykli_attempt attempt = { sykli__drive_handle(d, task), t->name, restored ? -1 : t->exit_code,
                              restored, why, sizeof why };
    bool ok = t->more->accept(t->more->accept_user, &attempt);
    t->more->refused = !ok && *why;
    if (t->more->refused) sykli__drive_set_reason(d, t, why);
    return ok;
}

// ---- hits

static void sykli__drive_lookup(sykli__drive *d, uint32_t task)
{
    char hex[65];
    sykli__store_entry entry;
    if (d->tasks[task].recalled) {
        sykli__drive_fact(d, SYKLI__SCHED_FOUND, task, true);
        return;
    }
    sykli_hex(hex, d->tasks[task].key.bytes, 32);
    bool here = d->store && !sykli__store_entry_get(d->store, hex, &entry, NULL);
    if (here) sykli__store_entry_free(&entry);
    if (!here && d->store && d->hooks->lookup) {
        uint64_t ticket = sykli__drive_ticket(SYKLI__DRIVE_TICKET_LOOKUP, task);
        d->tasks[task].asked = true;
        int rc = d->hooks->lookup(d->hooks->user, ticket, hex, SYKLI__DRIVE_LOOKUP_MS);
        if (!rc || !d->tasks[task].asked) return; // sykli__drive_hook_done goes on, or did already
        d->tasks[task].asked = false;
    }
    sykli__drive_fact(d, SYKLI__SCHED_FOUND, task, here);
}

typedef struct sykli__drive_match {
    const sykli__store_entry *entry;
    size_t at; // next output to meet
    bool same;
} sykli__drive_match;

static int sykli__drive_match_file(void *user, const sykli__tree_file *file)
{
    sykli__drive_match *m = (sykli__drive_match *)user;
    const sykli__store_entry *e = m->entry;
    while (m->at < e->output_count && strcmp(e->outputs[m->at].path, file->path) < 0) m->at++;
    const sykli__store_output *o = m->at < e->output_count ? &e->outputs[m->at] : NULL;
    m->same = o && !strcmp(o->path, file->path) && !memcmp(&o->digest, &file->digest, 32)
           && (o->mode & 0111) == (file->stat.mode & 0111);
    m->at++;
    return m->same ? 0 : 1;
}

// Whether the outputs in the folder are those of the entry already, no more and no less.
static bool sykli__drive_in_place(sykli__drive *d, const sykli__drive_task *t,
                                  const sykli__store_entry *entry)
{
    const char **paths = NULL;
    size_t size = t->output_count * sizeof *paths;
    if (!size) return entry->output_count == 0;
    paths = (const char **)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0, size);
    if (!paths) return false;
    for (uint32_t i = 0; i < t->output_count; i++) paths[i] = t->outputs[i].value;
    sykli__drive_match m = { entry, 0, true };
    int rc = sykli__tree_files(&d->tree, paths, t->output_count, sykli__drive_match_file, &m,
                               d->fault);
    sykli_mem_resize(d->mem, SYKLI_TAG_drive, (void *)paths, size, 0);
    return !rc && m.same && m.at == entry->output_count;
}

static int sykli__drive_remove_outputs(sykli__drive *d, const sykli__drive_task *t)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < t->output_count; i++)
        rc = sykli__tree_remove(&d->tree, t->outputs[i].value, d->fault);
    return rc;
}

// How long the copying of an entry's outputs may take before the last of them is reached.
static uint64_t sykli__drive_hold_ms(const sykli__store_entry *entry)
{
    uint64_t seconds = 0;
    for (size_t i = 0; i < entry->output_count; i++)
        seconds += entry->outputs[i].size_bytes / SYKLI__DRIVE_HOLD_BYTES;
    return SYKLI__DRIVE_HOLD_MS + 1000 * (seconds < 86400 ? seconds : 86400);
}

static int sykli__drive_restore_entry(sykli__drive *d, sykli__drive_task *t,
                                      const sykli__store_entry *entry)
{
    if (sykli__drive_in_place(d, t, entry)) return 0;
    uint64_t hold_ms = sykli__drive_hold_ms(entry);
    int rc = 0;
    for (size_t i = 0; !rc && i < entry->output_count; i++)
        rc = sykli__store_hold(d->store, &entry->outputs[i].digest, hold_ms);
    if (!rc) rc = sykli__drive_remove_outputs(d, t);
    for (size_t i = 0; !rc && i < entry->output_count; i++) {
        const sykli__store_output *o = &entry->outputs[i];
        rc = sykli__store_restore(d->store, o, &d->tree, d->fault);
    }
    return rc;
}

typedef struct sykli__drive_replay { sykli__drive *drive; uint32_t task; } sykli__drive_replay;

static int sykli__drive_replay_line(void *user, const char *text, size_t size)
{
    const sykli__drive_replay *replay = (const sykli__drive_replay *)user;
    sykli__drive_event(replay->drive, &(sykli_event){ .kind = SYKLI_EVENT_task_output,
                                                      .text = text, .text_size = size,
                                                      .stream = 1 }, replay->task);
    return 0;
}

// Tells line by line what the task of a hit printed when it ran.
static int sykli__drive_replay_lines(sykli__drive *d, uint32_t task, uint64_t log_bytes)
{
    sykli__drive_replay replay = { d, task };
    sykli__log_lines lines;
    sykli__log_lines_init(&lines, d->mem, sykli__drive_replay_line, &replay);
    int64_t got = 1;
    for (uint64_t at = 0; got > 0 && at < log_bytes; at += (uint64_t)got) {
        got = sykli__store_read(d->store, &d->tasks[task].log, at, d->buffer, sizeof d->buffer,
                                d->fault);
        if (got > 0) sykli__log_lines_feed(&lines, (const char *)d->buffer, (size_t)got);
    }
    sykli__log_lines_end(&lines);
    sykli__log_lines_free(&lines);
    sykli__store_read_close(d->store);
    return got < 0 ? (int)got : 0;
}

// Puts the log of a hit where that of a task which ran would be, and tells its lines.
static int sykli__drive_replay_log(sykli__drive *d, uint32_t task, uint64_t log_bytes)
{
    sykli__drive_task *t = &d->tasks[task];
    char path[SYKLI__TREE_PATH_MAX + 1];
    if (sykli__store_none(&t->log)) return 0;
    int rc = 0, fd = d->history_open
        ? sykli__history_log_open(&d->history, t->name, path, sizeof path, NULL) : -1;
    if (fd >= 0) {
        rc = sykli__store_copy(d->store, &t->log, log_bytes, fd, d->fault);
        d->mem->sys->close(d->mem->sys->user, fd);
        if (!rc) t->log_path = sykli__drive_keep_text(d, path);
    }
    return rc ? rc : sykli__drive_replay_lines(d, task, log_bytes);
}

// Whether the outputs of a recalled task are in the folder as its memo says. If not, it is done as
// one that was just looked up.
static bool sykli__drive_still(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    const sykli__memo_task *memo = d->memo.tasks[task];
    uint64_t mark[2];
    bool stands = (memo->output_stats[0] | memo->output_stats[1])
               && !sykli__drive_mark_outputs(d, &d->marks, t, true, mark)
               && !memcmp(mark, memo->output_stats, sizeof mark);
    bool same = stands || (!sykli__drive_mark_outputs(d, &d->marks, t, false, mark)
                           && !memcmp(mark, memo->outputs, sizeof mark));
    bool linked = t->linked || (same && !stands && !d->marks.stands);
    t->log = memo->log;
    if (same && d->desc->replay_logs)
        same = !sykli__drive_replay_log(d, task, memo->log_bytes);
    if (!same) {
        memcpy(t->mark, memo->inputs, sizeof t->mark);
        t->marked = true;
        t->recalled = false;
        sykli__memo_drop(&d->memo, task);
        return false;
    }
    if (!linked && !(stands && t->stood)) sykli__drive_stand(d, task);
    t->saved_ms = memo->saved_ms;
    t->from = memo->from;
    t->from_ref = sykli__rows_text(&d->rows, t->from, strlen(t->from));
    t->upstream = memo->upstream;
    t->upstream_known = !sykli__store_none(&memo->upstream);
    t->made_at = d->stirs;
    return true;
}

static int sykli__drive_restore_stored(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    sykli__store_entry entry;
    char hex[65];
    sykli_hex(hex, t->key.bytes, 32);
    int rc = sykli__store_entry_get(d->store, hex, &entry, d->fault);
    if (!rc) {
        rc = sykli__drive_restore_entry(d, t, &entry);
        t->log = entry.log;
        if (!rc && d->desc->replay_logs) rc = sykli__drive_replay_log(d, task, entry.log_bytes);
        t->saved_ms = entry.duration_ms;
        bool own = !strcmp(entry.writer_name, d->desc->node_name) || !entry.writer_name[0];
        if (!t->from) sykli__drive_set_from(d, t, own ? "local" : entry.writer_name);
        if (!rc) sykli__drive_remember(d, task, &entry);
        sykli__store_entry_free(&entry);
    }
    return rc;
}

static void sykli__drive_restore(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    bool there = t->recalled && sykli__drive_still(d, task);
    if (!there) t->upstream_known = false;
    int rc = there ? 0 : sykli__drive_restore_stored(d, task);
    if (!there) d->stirs++;
    if (!rc && t->more && t->more->accept && !sykli__drive_accepts(d, task, true))
        rc = SYKLI_ENOENT;
    if (rc) {
        t->from = NULL;
        t->from_ref = 0;
        memset(&t->log, 0, sizeof t->log);
        sykli__drive_read_again(d, t);
    }
    sykli__drive_fact(d, SYKLI__SCHED_RESTORED, task, !rc);
}

// ---- publication

typedef struct sykli__drive_publish_walk {
    sykli__store_entry *entry;
    const char *name;
    sykli_fault *fault;
    size_t found;
    int rc;
} sykli__drive_publish_walk;

// What became of the declared outputs: each must be there, then goes to the store.
static int sykli__drive_publish_output(void *user, const sykli__tree_file *file)
{
    sykli__drive_publish_walk *walk = (sykli__drive_publish_walk *)user;
    walk->found++;
    return walk->rc = sykli__store_entry_add_file(walk->entry, walk->name, file, walk->fault);
}

// Nothing was found where an output should be: is it something else?
static int sykli__drive_fail_output(sykli__drive *d, const sykli_pair *output)
{
    char clean[SYKLI__TREE_PATH_MAX + 1];
    sykli_stat stat;
    bool other = !sykli__tree_clean(output->value, clean, NULL)
              && !sykli__tree_stat(&d->tree, clean, &stat) && stat.type == SYKLI_FILE_other;
    return sykli_fail(d->fault, SYKLI_ENOENT, other ? "output '%s' is neither file, folder nor "
                      "link: %s" : "output '%s' was not made: %s", output->name, output->value);
}

//   made     whether all outputs are there, whatever becomes of them in the store
static int sykli__drive_collect(sykli__drive *d, sykli__drive_task *t, sykli__store_entry *entry,
                                bool keep, bool *made)
{
    *made = false;
    for (uint32_t i = 0; i < t->output_count; i++) {
        sykli__drive_publish_walk walk = { entry, t->outputs[i].name, d->fault, 0, 0 };
        int rc = sykli__tree_files(&d->tree, &t->outputs[i].value, 1, sykli__drive_publish_output,
                                   &walk, d->fault);
        *made = rc == SYKLI_EPERM || rc == SYKLI_ELIMIT; // there, but not to be read or too many
        if (rc) return rc;
        if (!walk.found) return sykli__drive_fail_output(d, &t->outputs[i]);
    }
    *made = true;
    for (size_t i = 0; keep && i < entry->output_count; i++) {
        int rc = sykli__store_put_output(d->store, &d->tree, &entry->outputs[i], d->fault);
        if (rc) return rc;
    }
    return 0;
}

// Stores what the task printed, masked and capped as its log is, so that a hit can show it.
static int sykli__drive_publish_log(sykli__drive *d, uint32_t task, sykli__store_entry *entry)
{
    sykli_stat stat = { 0 };
    int fd = sykli__drive_log_reader(d, task);
    if (fd < 0) return 0; // it printed nothing
    int rc = sykli__store_put_open(d->store, fd, d->tasks[task].log_path, &entry->log, &stat,
                                   d->fault);
    d->mem->sys->close(d->mem->sys->user, fd);
    entry->log_bytes = stat.size_bytes;
    return rc;
}

// Says where a result comes from.
static void sykli__drive_publish_origin(sykli__drive *d, uint32_t task, sykli__store_entry *entry)
{
    entry->duration_ms = d->tasks[task].run_ms;
    entry->created_ms = (uint64_t)d->mem->sys->wall_ms(d->mem->sys->user);
    entry->origin_run = d->run_id;
    entry->origin_attempt = d->sched.tasks[task].attempt;
    snprintf(entry->origin_task, sizeof entry->origin_task, "%s", d->tasks[task].name);
    snprintf(entry->writer_name, sizeof entry->writer_name, "%s", d->desc->node_name);
}

static uint64_t sykli__drive_quota(const sykli__drive *d)
{
    return sykli__config_u64(d->config->current, SYKLI__CONFIG_cache_max);
}

static void sykli__drive_publish(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    sykli__store_entry entry;
    char hex[65], path[SYKLI__TREE_PATH_MAX + 1];
    sykli_hex(hex, t->key.bytes, 32);
    sykli__store_entry_init(&entry, d->mem);
    bool keep = t->has_key && d->store && !d->cache_note, made;
    bool changed = keep && (t->spoilt || sykli__drive_list_changed(d, &t->read, path));
    keep &= !changed;
    int rc = sykli__drive_collect(d, t, &entry, keep, &made);
    if (!rc && changed)
        rc = sykli_fail(d->fault, SYKLI_EBUSY, "%s changed %s it ran: its result is not kept",
                        !t->spoilt ? path : t->spoilt_by ? t->spoilt_by : "what it takes",
                        t->spoilt ? "before" : "while");
    if (!rc && keep) {
        sykli__drive_publish_origin(d, task, &entry);
        rc = sykli__drive_publish_log(d, task, &entry);
        bool durable = sykli__config_u64(d->config->current, SYKLI__CONFIG_cache_durable) != 0;
        if (!rc) rc = sykli__store_entry_put(d->store, hex, &entry, durable, d->fault);
        if (!rc && d->hooks->announce) d->hooks->announce(d->hooks->user, hex);
        if (!rc) sykli__drive_remember(d, task, &entry);
        sykli__store_keep(d->store, sykli__drive_quota(d), SYKLI__DRIVE_SLACK_BYTES);
    }
    sykli__store_entry_free(&entry);
    // A store that cannot take the result costs a later hit, never this build. A full disk or one
    // that is broken is not tried again.
    if (rc) sykli__drive_set_reason(d, t, d->fault->text);
    if (made && rc == SYKLI_EIO) d->cache_note = t->reason;
    sykli__drive_fact(d, SYKLI__SCHED_PUBLISHED, task, made);
}

// ---- tokens

static void sykli__drive_tokens_close(sykli__drive *d)
{
    sykli__drive_tokens *k = &d->tokens;
    const sykli_sys *sys = d->mem->sys;
    if (k->own && k->named) sys->remove(sys->user, d->history.dir, "jobserver", 0);
    for (int i = 0; i < 2; i++)
        if (k->own && k->give[i] > 0) sys->close(sys->user, k->give[i]);
    if (k->read_fd >= 0) sys->close(sys->user, k->read_fd);
    if (k->write_fd >= 0 && k->write_fd != k->read_fd && k->write_fd != k->give[1])
        sys->close(sys->user, k->write_fd);
    *k = (sykli__drive_tokens){ .read_fd = -1, .write_fd = -1, .tried = k->tried };
}

// Makes so many more tokens for others.
static void sykli__drive_tokens_make(sykli__drive *d, uint32_t count)
{
    static const char bytes[] = "++++++++++++++++++++++++++++++++";
    for (uint32_t size; count; count -= size) {
        size = count < sizeof bytes - 1 ? count : (uint32_t)sizeof bytes - 1;
        d->mem->sys->write(d->mem->sys->user, d->tokens.write_fd, bytes, size);
    }
}

// Whether a descriptor is a pipe that this process was started with. To recipes that are not marked
// as recursive make passes the numbers but not the descriptors; by now they may be our own, and all
// of those are closed on exec, which proc(5) shows among the flags.
static bool sykli__drive_tokens_inherited(const sykli_sys *sys, int fd)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int64_t size = sys->readlink(sys->user, SYKLI_CWD, path, text, sizeof text);
    if (size < 5 || memcmp(text, "pipe:", 5)) return false;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    int info = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    if (info < 0) return false;
    int64_t got = sys->read(sys->user, info, text, sizeof text - 1);
    sys->close(sys->user, info);
    text[got > 0 ? got : 0] = 0;
    const char *flags = strstr(text, "flags:");
    return flags && !(strtoul(flags + 6, NULL, 8) & O_CLOEXEC);
}

// Opens what MAKEFLAGS names: "fifo:PATH", or "R,W", which make has left open for us. The pipe is
// opened anew, because reading from it must not wait here, while it may have to elsewhere.
static void sykli__drive_tokens_join(sykli__drive *d, const char *flags)
{
    const sykli_sys *sys = d->mem->sys;
    sykli__drive_tokens *k = &d->tokens;
    const char *at = flags, *found = NULL;
    char path[1024];
    while ((at = strstr(at, "--jobserver-"))) found = at, at += 12; // the last one counts
    at = strchr(found, '=');
    size_t size = at ? strcspn(++at, " ") : 0;
    if (size < 3 || size >= sizeof path) return;
    memcpy(path, at, size);
    path[size] = 0;
    if (!strncmp(path, "fifo:", 5)) {
        k->read_fd = k->write_fd = sys->open(sys->user, SYKLI_CWD, path + 5,
                                             SYKLI_OPEN_read | SYKLI_OPEN_write, 0);
    } else if ((at = strchr(path, ',')) && (k->give[0] = atoi(path)) > 2
               && (k->give[1] = atoi(at + 1)) > 2 && sykli__drive_tokens_inherited(sys, k->give[0])
               && sykli__drive_tokens_inherited(sys, k->give[1])) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", k->give[1]);
        k->write_fd = sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_write, 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", k->give[0]);
        k->read_fd = k->write_fd < 0 ? -1
                   : sys->open(sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    }
    if (k->read_fd < 0 || sys->nonblock(sys->user, k->read_fd)) {
        if (k->read_fd < 0) k->read_fd = -1;
        if (k->write_fd < 0) k->write_fd = -1;
        sykli__drive_tokens_close(d);
    }
}

// MAKEFLAGS of the tasks: what is inherited, and where the tokens are, before any variables.
static const char *sykli__drive_tokens_flags(sykli__drive *d, const char *inherited,
                                             const char *folder)
{
    sykli__drive_tokens *k = &d->tokens;
    const char *variables = inherited ? strstr(inherited, " -- ") : NULL, *kept = NULL;
    size_t flags_size = variables ? (size_t)(variables - inherited)
                                  : inherited ? strlen(inherited) : 0;
    sykli_buf text;
    sykli_buf_init(&text, d->mem, SYKLI_TAG_drive);
    sykli_buf_add(&text, inherited ? inherited : "", flags_size);
    sykli_buf_print(&text, " -j%u --jobserver-auth=", (unsigned)k->total + 1);
    if (!k->named) sykli_buf_print(&text, "%d,%d", k->give[0], k->give[1]);
    else sykli_buf_print(&text, "fifo:%s/jobserver", folder);
    if (variables) sykli_buf_text(&text, variables);
    if (!text.error) kept = sykli__drive_keep_text(d, (const char *)text.data);
    sykli_buf_free(&text);
    return kept;
}

// Makes a jobserver of our own: a fifo, which the pipe form has no name of.
static void sykli__drive_tokens_serve(sykli__drive *d, const char *inherited)
{
    const sykli_sys *sys = d->mem->sys;
    sykli__drive_tokens *k = &d->tokens;
    int dir = d->history.dir;
    char link[32], folder[1024];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    int64_t size = sys->readlink(sys->user, SYKLI_CWD, link, folder, sizeof folder - 1);
    folder[size > 0 ? size : 0] = 0;
    sys->remove(sys->user, dir, "jobserver", 0); // of a run that was killed: we have the folder
    if (sys->fifo(sys->user, dir, "jobserver", 0600)) return;
    k->own = k->named = true;
    int fd = sys->open(sys->user, dir, "jobserver", SYKLI_OPEN_read | SYKLI_OPEN_write, 0);
    bool ok = fd >= 0;
    if (ok) k->read_fd = k->write_fd = fd;
    ok = ok && !sys->nonblock(sys->user, fd);
    bool by_path = d->desc->jobserver == SYKLI_JOBSERVER_fifo && *folder == '/'
                && !strpbrk(folder, " \t\n$#:\"'\\");
    for (int i = 0; ok && !by_path && i < 2; i++) {
        fd = sys->open(sys->user, dir, "jobserver", i ? SYKLI_OPEN_write : SYKLI_OPEN_read, 0);
        if ((ok = fd >= 0)) k->give[i] = fd;
    }
    if (ok && !by_path) k->named = sys->remove(sys->user, dir, "jobserver", 0) != 0;
    k->total = d->sched.workers - 1;
    if (ok) k->flags = sykli__drive_tokens_flags(d, inherited, folder);
    if (!k->flags) sykli__drive_tokens_close(d);
    else sykli__drive_tokens_make(d, k->total);
}

// Finds or makes the jobserver before the first task starts. Beside a node the workers are lent one
// by one, and there are none to share; whose MAKEFLAGS have a -j of their own want that.
static void sykli__drive_tokens_open(sykli__drive *d)
{
    const char *flags = sykli__drive_host_env(d, "MAKEFLAGS", 9);
    if (d->tokens.tried) return;
    d->tokens.tried = true;
    if (!d->desc->jobserver
        || !sykli__config_u64(d->config->current, SYKLI__CONFIG_run_jobserver)) return;
    if (flags && strstr(flags, "--jobserver-")) sykli__drive_tokens_join(d, flags);
    else if (d->history_open && !d->hooks->slot_borrow && !(flags && strstr(flags, "-j")))
        sykli__drive_tokens_serve(d, flags);
}

// Takes a token for a job: the first of all jobs needs none.   returns  whether it may start
static bool sykli__drive_token_take(sykli__drive *d, sykli__drive_job *job)
{
    sykli__drive_tokens *k = &d->tokens;
    uint8_t byte;
    if (k->read_fd < 0) return true;
    if (!k->implicit) {
        job->token = SYKLI__DRIVE_IMPLICIT;
        return k->implicit = true;
    }
    int64_t got = d->mem->sys->read(d->mem->sys->user, k->read_fd, &byte, 1);
    if (got == 1) job->token = byte;
    return got != -EAGAIN; // a jobserver that is broken holds nobody up
}

// A task that is killed may take tokens with it that make had taken. When no task runs, nobody can
// have one, and those of ours are all there again.
static void sykli__drive_tokens_refill(sykli__drive *d)
{
    sykli__drive_tokens *k = &d->tokens;
    uint8_t bytes[256];
    for (const sykli__drive_job *job = d->jobs; job; job = job->next)
        if (job->token != SYKLI__DRIVE_NO_TOKEN) return;
    if (!k->own || !k->total) return;
    while (d->mem->sys->read(d->mem->sys->user, k->read_fd, bytes, sizeof bytes) > 0) {}
    k->debt = 0;
    sykli__drive_tokens_make(d, k->total);
}

static void sykli__drive_token_give(sykli__drive *d, sykli__drive_job *job)
{
    sykli__drive_tokens *k = &d->tokens;
    uint8_t byte = (uint8_t)job->token;
    if (job->token == SYKLI__DRIVE_IMPLICIT) k->implicit = false;
    else if (job->token != SYKLI__DRIVE_NO_TOKEN && k->debt) k->debt--;
    else if (job->token != SYKLI__DRIVE_NO_TOKEN && k->write_fd >= 0)
        d->mem->sys->write(d->mem->sys->user, k->write_fd, &byte, 1);
    bool held = job->token != SYKLI__DRIVE_NO_TOKEN;
    job->token = SYKLI__DRIVE_NO_TOKEN;
    if (held) sykli__drive_tokens_refill(d);
}

// The number of workers is another one: so is that of tokens, as soon as they are back.
static void sykli__drive_tokens_scale(sykli__drive *d, uint32_t workers)
{
    sykli__drive_tokens *k = &d->tokens;
    uint8_t byte;
    if (!k->own || !workers) return;
    for (; k->total > workers - 1; k->total--)
        if (d->mem->sys->read(d->mem->sys->user, k->read_fd, &byte, 1) != 1) k->debt++;
    uint32_t more = workers - 1 - k->total, settled = more < k->debt ? more : k->debt;
    k->debt -= settled;
    k->total += more;
    sykli__drive_tokens_make(d, more - settled);
}

// ---- starting and ending

//   given    the one that the host should have given; NULL for variables
static const char *sykli__drive_missing_secret(const sykli__drive *d, const sykli__drive_task *t,
                                               const sykli_secret **given)
{
    *given = NULL;
    for (uint32_t i = 0; i < t->secret_count; i++) {
        const char *value = sykli__drive_host_env(d, t->secrets[i], strlen(t->secrets[i]));
        if (!value || !*value) return t->secrets[i];
    }
    for (uint32_t i = 0; t->more && i < t->more->given_count; i++)
        if (!t->more->given[i].value) {
            *given = &t->more->given[i];
            return (*given)->name;
        }
    return NULL;
}

static void sykli__drive_job_free(sykli__drive *d, sykli__drive_job *job)
{
    sykli__drive_job **at = &d->jobs;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    d->job_count--;
    if (job->row >= 0) sykli__rows_release(&d->rows, SYKLI__DRIVE_POOL_PROCS, (uint32_t)job->row);
    if (job->spawned) sykli__spawn_close(d->mem, &job->proc);
    sykli__drive_log_close(d, job);
    sykli_buf_free(&job->tail);
    for (int stream = 0; stream < 2; stream++) {
        if (d->mask.count) sykli__log_masker_free(&job->masker[stream]);
        sykli__log_lines_free(&job->lines[stream]);
    }
    if (job->slot && d->hooks->slot_return)
        d->hooks->slot_return(d->hooks->user,
                              sykli__drive_ticket(SYKLI__DRIVE_TICKET_SLOT, job->task));
    sykli__drive_token_give(d, job);
    d->tasks[job->task].job = NULL;
    sykli__config_drop(d->config, job->config);
    sykli_mem_resize(d->mem, SYKLI_TAG_drive, job, sizeof *job, 0);
}

static sykli__drive_job *sykli__drive_job_new(sykli__drive *d, uint32_t task)
{
    sykli__drive_job *job =
        (sykli__drive_job *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0, sizeof *job);
    if (!job) return NULL;
    job->task = task;
    job->log_fd = job->row = job->token = -1;
    job->next = d->jobs;
    d->jobs = job;
    d->job_count++;
    sykli__tree_shared(&d->tree);
    d->tasks[task].job = job;
    job->config = sykli__config_hold(d->config);
    job->cap.max_bytes = sykli__config_u64(job->config, SYKLI__CONFIG_log_max);
    job->stall_ms = d->tasks[task].stall_ms ? d->tasks[task].stall_ms
                  : sykli__config_u64(job->config, SYKLI__CONFIG_run_stall);
    job->crowd_max = d->tasks[task].crowd_max ? d->tasks[task].crowd_max
                   : sykli__config_u64(job->config, SYKLI__CONFIG_run_processes);
    sykli_buf_init(&job->tail, d->mem, SYKLI_TAG_log);
    for (int stream = 0; stream < 2; stream++) {
        job->sink[stream] = (sykli__drive_sink){ d, job, stream + 1 };
        sykli__log_lines_init(&job->lines[stream], d->mem, sykli__drive_line, &job->sink[stream]);
        if (d->mask.count) sykli__log_masker_init(&job->masker[stream], &d->mask);
    }
    return job;
}

// Ends a job and tells the scheduler. `ok`: its exit is accepted.
static void sykli__drive_job_end(sykli__drive *d, sykli__drive_job *job)
{
    uint32_t task = job->task;
    sykli__drive_task *t = &d->tasks[task];
    for (int stream = 1; stream <= 2; stream++)
        if (job->open[stream - 1]) sykli__drive_output(d, job, stream, 0);
    if (job->spawned) {
        t->exit_code = job->proc.exit.code;
        t->signal = job->proc.exit.signal;
        t->cpu_ms = job->proc.exit.cpu_us / 1000;
        t->rss_max_bytes = job->proc.exit.rss_max_bytes;
        t->read_bytes = job->proc.exit.read_bytes;
        t->write_bytes = job->proc.exit.write_bytes;
        t->run_ms = sykli__drive_now(d) - job->started_ms;
    }
    bool taken = job->taken, ok = t->exit_code == 0 && !t->signal;
    bool ran = job->spawned && !job->killed && !t->signal;
    d->stirs++;
    sykli__drive_job_free(d, job);
    if (taken) sykli__drive_set_reason(d, t, "its end was taken by the host, which waits for any "
                                             "child or ignores SIGCHLD");
    if (!taken && ran && t->more && t->more->accept) ok = sykli__drive_accepts(d, task, false);
    if (taken) sykli__drive_fact(d, SYKLI__SCHED_ABORTED, task, false);
    else sykli__drive_fact(d, SYKLI__SCHED_EXITED, task, ok);
}

// The environment of a task: inherited less every secret, plus its own secrets and variables.
static int sykli__drive_env(sykli__drive *d, const sykli__drive_task *t, sykli__spawn_block *out)
{
    const char *flags = d->tokens.flags;
    size_t given = t->more ? t->more->given_count : 0, at = t->secret_count + (flags != NULL);
    size_t count = at + given + t->env_count, size = (count + 1) * sizeof(sykli_pair);
    sykli_pair *all = (sykli_pair *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0, size);
    if (!all) return sykli_fail(d->fault, SYKLI_ENOMEM, "out of memory");
    sykli_pair *add = all + (flags != NULL); // what the task says of itself wins
    if (flags) all[0] = (sykli_pair){ "MAKEFLAGS", flags };
    for (uint32_t i = 0; i < t->secret_count; i++)
        add[i] = (sykli_pair){ t->secrets[i], sykli__drive_host_env(d, t->secrets[i],
                                                                   strlen(t->secrets[i])) };
    for (size_t i = 0; i < given; i++)
        all[at++] = (sykli_pair){ t->more->given[i].name, t->more->given[i].value };
    for (uint32_t i = 0; i < t->env_count; i++) all[at++] = t->env[i];
    int rc = sykli__spawn_env(out, d->mem, d->base_env, d->drop, d->drop_count, all, count,
                              d->fault);
    sykli_mem_resize(d->mem, SYKLI_TAG_drive, all, size, 0);
    return rc;
}

// Whether a task's working folder is one of the project, also when links lead there.
static int sykli__drive_check_workdir(sykli__drive *d, const char *workdir)
{
    const sykli_sys *sys = d->mem->sys;
    char clean[SYKLI__TREE_PATH_MAX + 1];
    int rc = sykli__tree_clean(workdir, clean, d->fault);
    if (rc || !*clean) return rc;
    rc = sys->open(sys->user, d->tree.root_fd, clean,
                   SYKLI_OPEN_read | SYKLI_OPEN_directory | SYKLI_OPEN_beneath, 0);
    if (rc == -EXDEV)
        return sykli_fail(d->fault, SYKLI_EPERM,
                          "working folder %s leads out of the project folder", workdir);
    if (rc < 0) return sykli_fail_sys(d->fault, rc, "working folder %s", workdir);
    sys->close(sys->user, rc);
    return 0;
}

// Whether a list of names and patterns with commas has a task's name.
static bool sykli__drive_named(const char *name, const char *list)
{
    char pattern[256];
    for (size_t size; list && *list; list += size + (list[size] == ',')) {
        size = strcspn(list, ",");
        if (size >= sizeof pattern) continue;
        memcpy(pattern, list, size);
        pattern[size] = 0;
        if (!strcmp(pattern, name) || (size && sykli_glob_match(pattern, name))) return true;
    }
    return false;
}

static int sykli__drive_spawn(sykli__drive *d, sykli__drive_job *job)
{
    sykli__drive_task *t = &d->tasks[job->task];
    const sykli_sys *sys = d->mem->sys;
    char uid[64]; // serials are those of a state directory: another may have the same ones
    snprintf(uid, sizeof uid, "%d.%llx.%llu.%u", sys->pid(sys->user),
             (unsigned long long)sys->now_ns(sys->user), (unsigned long long)t->serial,
             (unsigned)d->sched.tasks[job->task].attempt);
    sykli__spawn_block env;
    sykli_buf workdir;
    sykli_buf_init(&workdir, d->mem, SYKLI_TAG_drive);
    sykli_buf_text(&workdir, d->desc->project_dir);
    if (t->workdir) sykli_buf_print(&workdir, "/%s", t->workdir);
    memset(&env, 0, sizeof env);
    int rc = workdir.error ? sykli_fail(d->fault, workdir.error, "out of memory") : 0;
    if (!rc && t->workdir) rc = sykli__drive_check_workdir(d, t->workdir);
    if (!rc) rc = sykli__drive_env(d, t, &env);
    if (!rc) rc = sykli__spawn_start(d->mem, &(sykli__spawn_desc){
        .command = t->command, .env = sykli__spawn_block_env(&env), .uid = uid, .host = &d->host,
        .keep_fds = { d->tokens.give[0], d->tokens.give[1] },
        .terminal = t->pty || sykli__drive_named(
            t->name, job->config->values[SYKLI__CONFIG_run_pty].text),
        .workdir = (const char *)workdir.data, .function = t->function,
        .function_user = t->function_user }, &job->proc, d->fault);
    sykli__spawn_block_free(&env);
    sykli_buf_free(&workdir);
    return rc;
}

// Looks whether what the tasks before this one have made is still what its key has of it. What the
// task itself does to it is its own affair: it may well build in the folder that another has made.
static void sykli__drive_look_back(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    char path[SYKLI__TREE_PATH_MAX + 1];
    t->spoilt = false;
    for (uint32_t i = d->before_at[task]; i < d->before_at[task + 1] && t->has_key; i++) {
        const sykli__drive_task *before = &d->tasks[d->before[i]];
        bool since = before->remade > t->keyed; // another task's key has it as it has become
        if (!since && (before->made_at == d->stirs
                       || !sykli__drive_list_changed(d, &before->made, path))) continue;
        if (since) snprintf(path, sizeof path, "what '%s' made", before->name);
        t->spoilt = true;
        t->spoilt_by = sykli__drive_keep_text(d, path);
        return;
    }
}

// Starts the process of a job whose slot is granted.
static void sykli__drive_launch(sykli__drive *d, sykli__drive_job *job)
{
    uint32_t task = job->task;
    sykli__drive_task *t = &d->tasks[task];
    if (t->more && t->more->refused) { // the reason of the attempt before, or of a restore
        t->more->refused = false;
        t->reason = NULL;
        t->reason_ref = 0;
    }
    int rc = sykli__drive_take_in(d, t); // before its outputs go: they may be what another takes
    if (!rc) sykli__drive_look_back(d, task);
    t->upstream_known = false;
    d->stirs++;
    if (!rc) rc = sykli__drive_remove_outputs(d, t);
    for (uint32_t i = 0; !rc && i < t->output_count; i++)
        if (!sykli__tree_is_glob(t->outputs[i].value))
            rc = sykli__tree_make_parents(&d->tree, t->outputs[i].value, d->fault);
    if (!rc) rc = sykli__drive_spawn(d, job);
    if (rc) {
        sykli__drive_set_reason(d, t, d->fault->text);
        sykli__drive_job_free(d, job);
        sykli__drive_fact(d, SYKLI__SCHED_STARTED, task, false);
        return;
    }
    job->spawned = true;
    job->phase = SYKLI__DRIVE_RUNNING;
    job->open[0] = true;
    job->open[1] = job->proc.err_fd >= 0;
    job->started_ms = job->heard_ms = sykli__drive_now(d);
    job->sample_at_ms = job->started_ms + SYKLI__DRIVE_SAMPLE_MS;
    t->started_at_ms = d->mem->sys->wall_ms(d->mem->sys->user);
    t->pid = job->proc.pid;
    t->cpu_ms = 0;
    sykli__drive_show_task(d, task, SYKLI_NULL_U64); // the first sample says
    sykli__drive_show_proc(d, job, SYKLI_NULL_U64);
    sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_task_started, .pid = t->pid,
                                          .target = "local", .node = d->desc->node_name,
                                          .text = t->changed,
                                          .text_size = t->changed ? strlen(t->changed) : 0 }, task);
    sykli__drive_fact(d, SYKLI__SCHED_STARTED, task, true);
}

// What every start needs: a copy of the environment, the names to drop, the secrets to mask. A
// secret too short to mask is still dropped and never in a key.
static int sykli__drive_prepare(sykli__drive *d, const char *const *environment)
{
    size_t count = 0, at = 0;
    while (environment && environment[count]) count++;
    d->base_env = (const char **)sykli__drive_keep(d, (count + 1) * sizeof *d->base_env);
    d->drop = (const char **)sykli__drive_keep(d, (d->secret_names.count + 1) * sizeof *d->drop);
    if (!d->base_env || !d->drop) return sykli_fail(d->fault, SYKLI_ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++)
        if (!(d->base_env[i] = sykli__drive_keep_text(d, environment[i])))
            return sykli_fail(d->fault, SYKLI_ENOMEM, "out of memory");
    d->base_env[count] = NULL;
    d->path = sykli__drive_host_env(d, "PATH", 4);
    d->drop[d->drop_count++] = "SYKLI_*";
    const void *name;
    size_t size;
    while (sykli_map_next(&d->secret_names, &at, &name, &size, NULL)) {
        d->drop[d->drop_count++] = (const char *)name;
        const char *value = sykli__drive_host_env(d, (const char *)name, size);
        int rc = value ? sykli__log_mask_add(&d->mask, value, strlen(value), d->fault) : 0;
        if (rc < 0) return rc;
    }
    for (size_t i = 0; i < d->task_count; i++) {
        const sykli__drive_more *more = d->tasks[i].more;
        for (uint32_t k = 0; more && k < more->given_count; k++) {
            const char *value = more->given[k].value;
            int rc = value ? sykli__log_mask_add(&d->mask, value, strlen(value), d->fault) : 0;
            if (rc < 0) return rc;
        }
    }
    return 0;
}

// Asks the node, if there is one, for a worker.
static void sykli__drive_borrow(sykli__drive *d, sykli__drive_job *job)
{
    uint64_t ticket = sykli__drive_ticket(SYKLI__DRIVE_TICKET_SLOT, job->task);
    if (!d->hooks->slot_borrow) {
        sykli__drive_launch(d, job);
        return;
    }
    job->phase = SYKLI__DRIVE_SLOT;
    job->slot = true;
    if (d->hooks->slot_borrow(d->hooks->user, ticket)) {
        job->slot = false; // the node is gone: the run goes on without it
        sykli__drive_launch(d, job);
    }
}

static void sykli__drive_start_task(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    const sykli_secret *given;
    const char *missing = sykli__drive_missing_secret(d, t, &given);
    sykli__drive_job *job = missing ? NULL : sykli__drive_job_new(d, task);
    if (!job) {
        if (!missing) sykli_fail(d->fault, SYKLI_ENOMEM, "out of memory");
        else if (!given)
            sykli_fail(d->fault, SYKLI_ENOENT, "task requires secrets: %s is not set", missing);
        else sykli_fail(d->fault, SYKLI_ENOENT, "task requires secrets: no %s from %s%s%s", missing,
                        given->source, given->why ? ": " : "", given->why ? given->why : "");
        sykli__drive_set_reason(d, t, d->fault->text);
        sykli__drive_fact(d, SYKLI__SCHED_ABORTED, task, false);
        return;
    }
    job->phase = SYKLI__DRIVE_TOKEN;
    sykli__drive_tokens_open(d);
    if (sykli__drive_token_take(d, job)) sykli__drive_borrow(d, job);
}

static void sykli__drive_signal(sykli__drive *d, uint32_t task, int sig)
{
    sykli__drive_job *job = d->tasks[task].job;
    if (!job) return;
    job->killed = true;
    if (job->phase <= SYKLI__DRIVE_SLOT) sykli__drive_job_end(d, job);
    else sykli__spawn_signal(d->mem, &job->proc, sig);
}

// Whether a job has more processes than it may, or had.
static bool sykli__drive_crowded(sykli__drive *d, sykli__drive_job *job)
{
    uint64_t now = sykli__drive_now(d);
    if (!job->crowd_max || job->crowded || now < job->crowd_at_ms) return job->crowded;
    job->crowd_at_ms = now + SYKLI__DRIVE_CROWD_MS;
    return job->crowded = sykli__spawn_crowded(d->mem, &job->proc, job->crowd_max);
}

// The main process ended: whatever it left behind gets TERM, then KILL, then is given up on. A
// crowd gets KILL.
static void sykli__drive_leftover(sykli__drive *d, sykli__drive_job *job)
{
    uint64_t now = sykli__drive_now(d);
    bool closed = !job->open[0] && !job->open[1];
    if (closed && !sykli__spawn_survivors(d->mem, &job->proc)) {
        sykli__drive_job_end(d, job);
        return;
    }
    uint64_t grace = sykli__config_u64(job->config, SYKLI__CONFIG_leftover_grace);
    if (sykli__drive_crowded(d, job)) sykli__spawn_signal(d->mem, &job->proc, 9);
    if (job->phase == SYKLI__DRIVE_RUNNING) {
        job->phase = SYKLI__DRIVE_LEFTOVER;
        job->phase_deadline_ms = now + grace;
        sykli__spawn_signal(d->mem, &job->proc, 15);
    } else if (now >= job->phase_deadline_ms + SYKLI__DRIVE_DYING_MS) {
        sykli__drive_job_end(d, job);
    } else if (now >= job->phase_deadline_ms) {
        sykli__spawn_signal(d->mem, &job->proc, 9);
    }
}

static void sykli__drive_sample(sykli__drive *d, sykli__drive_job *job)
{
    uint64_t now = sykli__drive_now(d), memory = SYKLI_NULL_U64, cpu = SYKLI_NULL_U64;
    if (now < job->sample_at_ms) return;
    job->sample_at_ms = now + SYKLI__DRIVE_SAMPLE_MS;
    sykli__spawn_sample(d->mem, &job->proc, &memory, &cpu);
    if (cpu != SYKLI_NULL_U64) d->tasks[job->task].cpu_ms = cpu;
    sykli__drive_show_task(d, job->task, memory);
    sykli__drive_show_proc(d, job, memory);
}

// What a job waits for: its two pipes and the end of its first process; -1 where there is nothing.
static void sykli__drive_watch(const sykli__drive *d, const sykli__drive_job *job,
                               sykli_poll_fd out[3])
{
    bool runs = job->phase == SYKLI__DRIVE_RUNNING, on = job->phase > SYKLI__DRIVE_SLOT;
    int fds[3] = { on && job->open[0] ? job->proc.out_fd : -1,
                   on && job->open[1] ? job->proc.err_fd : -1, runs ? job->proc.exit_fd : -1 };
    if (job->phase == SYKLI__DRIVE_TOKEN) fds[0] = d->tokens.read_fd;
    for (int i = 0; i < 3; i++) out[i] = (sykli_poll_fd){ fds[i], SYKLI_POLL_in, 0 };
}

// One look at a job: reads what is there, notices its end.
static void sykli__drive_serve(sykli__drive *d, sykli__drive_job *job, const sykli_poll_fd news[3])
{
    if (job->phase == SYKLI__DRIVE_TOKEN) {
        if (sykli__drive_token_take(d, job)) sykli__drive_borrow(d, job);
        return;
    }
    if (job->phase == SYKLI__DRIVE_SLOT) {
        if (job->granted) sykli__drive_launch(d, job);
        return;
    }
    for (int stream = 1; stream <= 2; stream++)
        if (job->open[stream - 1] && news[stream - 1].got) sykli__drive_read(d, job, stream);
    bool look = news[2].got || job->proc.exit_fd < 0 || job->phase == SYKLI__DRIVE_LEFTOVER;
    int ended = look ? sykli__spawn_reap(d->mem, &job->proc) : 0;
    job->taken |= ended == SYKLI_ECLOSED;
    if (ended > 0 || job->taken) {
        // What it wrote before its end is in the pipes now.
        for (int stream = 1; stream <= 2; stream++)
            if (job->open[stream - 1]) sykli__drive_read(d, job, stream);
        sykli__drive_leftover(d, job);
    } else {
        sykli__drive_sample(d, job);
        if (!job->crowded && sykli__drive_crowded(d, job))
            sykli__drive_fact(d, SYKLI__SCHED_CROWDED, job->task, true);
        bool stalled = job->stall_ms && sykli__drive_now(d) >= job->heard_ms + job->stall_ms;
        if (stalled) sykli__drive_fact(d, SYKLI__SCHED_STALLED, job->task, true);
        if (stalled) job->heard_ms = UINT64_MAX / 2; // that was all there is to say
    }
}

// Looks at all jobs. One call asks for the news of many: few of them have any.
static void sykli__drive_serve_all(sykli__drive *d)
{
    enum { BATCH = 20 };
    sykli_poll_fd fds[BATCH * 3];
    for (sykli__drive_job *job = d->jobs; job;) {
        int count = 0;
        sykli__drive_job *last = job;
        for (; last && count < BATCH; last = last->next)
            sykli__drive_watch(d, last, &fds[3 * count++]);
        int rc = d->mem->sys->poll(d->mem->sys->user, fds, 3 * count, 0);
        for (int i = 0; rc < 0 && i < 3 * count; i++) fds[i].got = SYKLI_POLL_in;
        for (int i = 0; i < count; i++) {
            sykli__drive_job *next = job->next;
            sykli__drive_serve(d, job, &fds[3 * i]);
            job = next;
        }
    }
}

// ---- the last status of a task, and of the run

static const char *sykli__drive_why(sykli__drive *d, uint32_t task, char *out, size_t size)
{
    const sykli__sched_task *st = &d->sched.tasks[task];
    sykli__drive_task *t = &d->tasks[task];
    const char *blame = st->blame < d->task_count ? d->tasks[st->blame].name : "";
    uint64_t most;
    char time[32];
    switch ((sykli__sched_why)st->why) {
    case SYKLI__SCHED_WHY_dependency:
        snprintf(out, size, "needs '%s', which did not pass", blame);
        break;
    case SYKLI__SCHED_WHY_fail_fast: snprintf(out, size, "'%s' failed first", blame); break;
    case SYKLI__SCHED_WHY_timeout:
        snprintf(out, size, "timeout after %s",
                 sykli_format_duration(time, st->desc.timeout_ms));
        break;
    case SYKLI__SCHED_WHY_stalled:
        snprintf(out, size, "stalled: no output for %s",
                 sykli_format_duration(time, t->stall_ms ? t->stall_ms
                     : sykli__config_u64(d->config->current, SYKLI__CONFIG_run_stall)));
        break;
    case SYKLI__SCHED_WHY_crowded:
        most = t->crowd_max ? t->crowd_max
             : sykli__config_u64(d->config->current, SYKLI__CONFIG_run_processes);
        snprintf(out, size, "more than %llu processes at once (%s)", (unsigned long long)most,
                 t->crowd_max ? "processes" : "run.processes");
        break;
    case SYKLI__SCHED_WHY_killed: return "killed";
    case SYKLI__SCHED_WHY_cancelled: return "the run was cancelled";
    case SYKLI__SCHED_WHY_condition: return t->skip_reason;
    case SYKLI__SCHED_WHY_exit:
        if (t->more && t->more->refused) return t->reason;
        if (t->signal) snprintf(out, size, "ended by signal %d%s", t->signal,
                                sykli__spawn_signal_name(t->signal));
        else snprintf(out, size, "exit code %d", t->exit_code);
        break;
    default: return t->reason;
    }
    return out;
}

static void sykli__drive_finish(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    const sykli__sched_task *st = &d->sched.tasks[task];
    char why[SYKLI_NAME_MAX + 64], hex[65] = "", log_id[65] = "";
    const char *reason = sykli__drive_why(d, task, why, sizeof why);
    if (reason && reason != t->reason) sykli__drive_set_reason(d, t, reason);
    if (t->has_key) sykli_hex(hex, t->key.bytes, 32);
    if (!sykli__store_none(&t->log)) sykli_hex(log_id, t->log.bytes, 32);
    t->ended_ms = sykli__drive_now(d);
    sykli__drive_list_drop(d, &t->read);
    d->done++;
    d->cached += st->status == SYKLI_STATUS_cached;
    d->saved_ms += st->status == SYKLI_STATUS_cached ? t->saved_ms : 0;
    d->failed += !sykli__sched_good(st->status);
    if (st->status != SYKLI_STATUS_cached) t->saved_ms = 0;
    if (d->history_open)
        sykli__history_task_put(&d->history, &(sykli__history_task){
            .name = t->name, .status = (sykli_status)st->status, .key = hex, .from = t->from,
            .reason = t->reason, .log = t->log_path, .log_id = log_id, .exit_code = t->exit_code,
            .attempt = (int)st->attempt, .duration_ms = t->run_ms, .saved_ms = t->saved_ms,
            .cpu_ms = t->cpu_ms, .rss_max_bytes = t->rss_max_bytes, .read_bytes = t->read_bytes,
            .write_bytes = t->write_bytes,
            .started_at_ms = (uint64_t)t->started_at_ms });
    sykli__drive_show_task(d, task, SYKLI_NULL_U64);
    d->run_changed = true;
    sykli__drive_event(d, &(sykli_event){
        .kind = SYKLI_EVENT_task_finished, .status = (sykli_status)st->status,
        .exit_code = t->exit_code, .signal = t->signal, .from = t->from, .key = hex,
        .duration_ms = t->run_ms, .cpu_ms = t->cpu_ms, .rss_max_bytes = t->rss_max_bytes,
        .read_bytes = t->read_bytes, .write_bytes = t->write_bytes,
        .saved_ms = t->saved_ms, .text = t->reason,
        .text_size = t->reason ? strlen(t->reason) : 0 }, task);
}

// Tells what was decided about a held task: before whatever follows from it, and never within the
// event in which the decision was taken.
static void sykli__drive_tell_decided(sykli__drive *d, uint32_t task)
{
    sykli__drive_task *t = &d->tasks[task];
    sykli_event event = { .kind = SYKLI_EVENT_task_decided, .text = t->reason,
                          .status = (sykli_status)(t->decided - 1),
                          .text_size = t->reason ? strlen(t->reason) : 0 };
    t->decided = 0;
    sykli__drive_event(d, &event, task);
}

static void sykli__drive_act(sykli__drive *d, const sykli__sched_action *action)
{
    uint32_t task = action->task;
    if (d->tasks[task].decided) sykli__drive_tell_decided(d, task);
    switch (action->kind) {
    case SYKLI__SCHED_HOLD:
        sykli__drive_show_task(d, task, SYKLI_NULL_U64);
        sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_task_held }, task);
        break;
    case SYKLI__SCHED_HASH:
        sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_task_ready }, task);
        sykli__drive_hash(d, task);
        break;
    case SYKLI__SCHED_LOOKUP: sykli__drive_lookup(d, task); break;
    case SYKLI__SCHED_RESTORE: sykli__drive_restore(d, task); break;
    case SYKLI__SCHED_START:
        if (!d->sched.tasks[task].desc.keyed && action->value == 1)
            sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_task_ready }, task);
        sykli__drive_start_task(d, task);
        break;
    case SYKLI__SCHED_SIGNAL: sykli__drive_signal(d, task, (int)action->value); break;
    case SYKLI__SCHED_PUBLISH: sykli__drive_publish(d, task); break;
    case SYKLI__SCHED_RETRY:
        sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_task_retry,
                                              .in_ms = action->value }, task);
        break;
    case SYKLI__SCHED_FINISH: sykli__drive_finish(d, task); break;
    }
}

// What an action will ask about first, if its task is as its memo says.
//   action   NULL: one that asks nothing
//   returns  how many actions it is: who is restored has ended
static size_t sykli__drive_foresee(sykli__drive *d, const sykli__sched_action *action)
{
    if (!action) return 1;
    const sykli__drive_task *t = &d->tasks[action->task];
    const sykli__memo_task *memo = action->kind == SYKLI__SCHED_HASH
        ? sykli__memo_find(&d->memo, action->task, t->name) : d->memo.tasks[action->task];
    if (action->kind == SYKLI__SCHED_HASH && memo && (memo->input_stats[0] | memo->input_stats[1]))
        for (uint32_t i = 0; i < t->input_count; i++) sykli__tree_foresee(&d->tree, t->inputs[i]);
    if (action->kind == SYKLI__SCHED_RESTORE && memo && t->stood)
        for (uint32_t i = 0; i < t->output_count; i++)
            sykli__tree_foresee(&d->tree, t->outputs[i].value);
    return action->kind == SYKLI__SCHED_RESTORE ? 2 : 1;
}

// Does all that is to do now, but stays responsive: so many actions a call, fewer if there are some
// that take longer than those of a task that is known to be up to date. While nothing of ours runs,
// the files they begin with are asked about by other threads, some ahead of it.
//   returns  whether more is waiting
enum { SYKLI__DRIVE_TURN = 2048, SYKLI__DRIVE_LONG = 8 };
static bool sykli__drive_work(sykli__drive *d)
{
    sykli__sched_action action;
    bool ahead = d->memo.tasks && !d->desc->refresh && d->tree.alone && d->tree.threads_max > 1;
    for (size_t i = 0, turn = 0; ahead && turn < SYKLI__DRIVE_TURN; i++)
        turn += sykli__drive_foresee(d, sykli__sched_ahead(&d->sched, i));
    if (ahead) sykli__tree_see(&d->tree);
    for (int i = 0; i < SYKLI__DRIVE_TURN; i += d->tasks[action.task].recalled ? 1
                                              : SYKLI__DRIVE_LONG) {
        if (!sykli__sched_next(&d->sched, &action)) return false;
        sykli__drive_act(d, &action);
    }
    return true;
}

// The descriptors to watch, written as far as there is room.     returns  how many there are
static int sykli__drive_fds(const sykli__drive *d, sykli_poll_fd *out, int max)
{
    int count = 0;
    for (const sykli__drive_job *job = d->jobs; job; job = job->next) {
        sykli_poll_fd fds[3];
        sykli__drive_watch(d, job, fds);
        for (int i = 0; i < 3; i++)
            if (fds[i].fd >= 0 && count++ < max) out[count - 1] = fds[i];
    }
    return count;
}

// When something must be done although no descriptor is ready, or NEVER.
static uint64_t sykli__drive_deadline(const sykli__drive *d)
{
    uint64_t now = sykli__drive_now(d), first = sykli__sched_deadline(&d->sched);
    if (sykli__sched_due(&d->sched)) return now;
    for (const sykli__drive_job *job = d->jobs; job; job = job->next) {
        uint64_t due = job->phase == SYKLI__DRIVE_TOKEN
                     ? d->tokens.implicit ? SYKLI__SCHED_NEVER : now
                     : job->phase == SYKLI__DRIVE_SLOT
                     ? job->granted ? now : SYKLI__SCHED_NEVER
                     : job->phase == SYKLI__DRIVE_LEFTOVER || job->proc.exit_fd < 0
                     ? now + SYKLI__DRIVE_POLL_MS : job->sample_at_ms;
        if (job->phase == SYKLI__DRIVE_RUNNING && job->stall_ms
            && job->heard_ms + job->stall_ms < due)
            due = job->heard_ms + job->stall_ms;
        if (job->phase == SYKLI__DRIVE_RUNNING && job->crowd_max && !job->crowded
            && job->crowd_at_ms < due)
            due = job->crowd_at_ms;
        if (due < first) first = due;
    }
    return first;
}

static void sykli__drive_pump(sykli__drive *d)
{
    sykli__tree_look(&d->tree, !d->jobs);
    sykli__drive_serve_all(d);
    if (sykli__sched_deadline(&d->sched) <= sykli__drive_now(d))
        sykli__drive_fact(d, SYKLI__SCHED_TICK, 0, true);
    sykli__drive_work(d);
    sykli__tree_see_no_more(&d->tree);
    if (d->run_changed) sykli__drive_show_run(d);
    d->run_changed = false;
    if (d->rows_open) sykli__rows_flush(&d->rows);
}

// The answer to a hook. Late answers to what is no longer waited for are ignored. It may come from
// inside an event, so a job is only marked: the next turn starts it.
static void sykli__drive_hook_done(sykli__drive *d, uint64_t ticket, int code, const char *from)
{
    uint32_t task = (uint32_t)ticket;
    if (task >= d->task_count) return;
    sykli__drive_task *t = &d->tasks[task];
    if (ticket >> 32 == SYKLI__DRIVE_TICKET_LOOKUP) {
        if (!t->asked) return;
        t->asked = false;
        if (!code && from) sykli__drive_set_from(d, t, from);
        sykli__drive_fact(d, SYKLI__SCHED_FOUND, task, code == 0);
    } else if (t->job && t->job->phase == SYKLI__DRIVE_SLOT && !t->job->granted) {
        if (code) t->job->slot = false; // no node, no slot to give back: the run goes on alone
        t->job->granted = true;
    }
}

// Waits no longer for what others may have.
static void sykli__drive_unask(sykli__drive *d)
{
    for (uint32_t i = 0; i < d->task_count; i++)
        if (d->tasks[i].asked)
            sykli__drive_hook_done(d, sykli__drive_ticket(SYKLI__DRIVE_TICKET_LOOKUP, i),
                                   SYKLI_ECLOSED, NULL);
}

// Whoever was asked is gone and will not answer: the run goes on alone.
static void sykli__drive_unhook(sykli__drive *d)
{
    sykli__drive_unask(d);
    for (sykli__drive_job *job = d->jobs; job; job = job->next) {
        job->slot = false;
        job->granted = true;
    }
}

// ---- the run

static int sykli__drive_index(sykli__drive *d)
{
    size_t tasks = d->task_count, edges = d->sched.edge_count;
    if (d->before_at) return 0;
    if (!d->before)
        d->before = (uint32_t *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0,
                                                 (edges + 1) * sizeof *d->before);
    d->before_at = (uint32_t *)sykli_mem_resize(d->mem, SYKLI_TAG_drive, NULL, 0,
                                                (tasks + 2) * sizeof *d->before_at);
    if (!d->before || !d->before_at) return sykli_fail(d->fault, SYKLI_ENOMEM, "out of memory");
    for (size_t i = 0; i < edges; i++) d->before_at[d->sched.edges[i].after + 2]++;
    for (size_t i = 2; i < tasks + 2; i++) d->before_at[i] += d->before_at[i - 1];
    for (size_t i = 0; i < edges; i++)
        d->before[d->before_at[d->sched.edges[i].after + 1]++] = d->sched.edges[i].before;
    return 0;
}

static int sykli__drive_emit_add(void *to, const void *data, size_t size)
{
    return sykli_buf_add((sykli_buf *)to, data, size);
}

// The graph as pipeline JSON.
static int sykli__drive_emit(sykli__drive *d, sykli_buf *out)
{
    sykli__emit_to to = { sykli__drive_emit_add, out };
    int rc = sykli__drive_index(d);
    for (size_t i = 0; !rc && i < d->task_count; i++)
        if (d->tasks[i].function)
            rc = sykli_fail(d->fault, SYKLI_EUNSUPPORTED, "task '%s' is a function of this program:"
                            " only commands can be printed", d->tasks[i].name);
    if (rc) return rc;
    sykli__emit_text(&to, SYKLI__EMIT_HEAD);
    for (size_t i = 0; i < d->task_count; i++) {
        const sykli__drive_task *t = &d->tasks[i];
        const sykli__sched_desc *how = &d->sched.tasks[i].desc;
        sykli__emit_text(&to, i ? ",\n" : "\n");
        sykli__emit_task(&to, &(sykli_task_desc){
            .name = t->name, .command = *t->command ? t->command : NULL, .workdir = t->workdir,
            .input_list = t->inputs, .input_count = t->input_count, .output_list = t->outputs,
            .output_count = t->output_count, .env_list = t->env, .env_count = t->env_count,
            .secret_list = t->secrets, .secret_count = t->secret_count, .no_cache = t->no_cache,
            .timeout_ms = (uint32_t)how->timeout_ms, .retries = how->retries,
            .skip_reason = t->skip_reason, .extra = t->extra, .held = how->held,
            .may_fail = how->may_fail, .stall_ms = t->stall_ms, .pty = t->pty,
            .processes_max = t->crowd_max });
        size_t taken = 0, number = 0;
        const sykli__drive_intake *in = t->more ? t->more->intakes : NULL;
        for (const sykli__drive_intake *at = in; at; at = at->next) taken++;
        for (; in; in = in->next)
            sykli__emit_intake(&to, number++, taken, d->tasks[in->from].name, in->output,
                               in->written);
        if (t->more && (t->more->accept || t->more->given_count))
            return sykli_fail(d->fault, SYKLI_EUNSUPPORTED, "task '%s': `accept` and `given_list` "
                              "cannot be printed", t->name);
        for (uint32_t e = d->before_at[i]; e < d->before_at[i + 1]; e++)
            sykli__emit_before(&to, e - d->before_at[i], d->tasks[d->before[e]].name);
        sykli__emit_text(&to, d->before_at[i] < d->before_at[i + 1] ? "]}" : "}");
    }
    sykli__emit_text(&to, "\n]}\n");
    return out->error ? sykli_fail(d->fault, out->error, "no memory for the graph") : 0;
}

static int sykli__drive_open_rows(sykli__drive *d)
{
    size_t heap = 4096;
    for (size_t i = 0; i < d->task_count; i++) heap += strlen(d->tasks[i].name) + 96;
    uint32_t tasks = d->task_count ? (uint32_t)d->task_count : 1;
    uint32_t procs = tasks < SYKLI__DRIVE_PROCS_MAX ? tasks + 1 : SYKLI__DRIVE_PROCS_MAX;
    sykli__rows_pool_desc pools[SYKLI__DRIVE_POOLS] = { { &sykli__drive_task_table, tasks },
                                                        { &sykli__drive_run_table, 1 },
                                                        { &sykli__drive_proc_table, procs } };
    sykli__rows_desc desc = { .state_dir = d->desc->state_dir, .node = d->desc->node_name,
        .kind = "run", .pools = pools, .pool_count = SYKLI__DRIVE_POOLS, .heap_size = heap };
    int rc = sykli__rows_open(&d->rows, d->mem, &desc, d->fault);
    if (rc && desc.state_dir) { // rows that nobody can read are no reason not to build
        desc.state_dir = NULL;
        rc = sykli__rows_open(&d->rows, d->mem, &desc, d->fault);
    }
    if (rc) return rc;
    d->rows_open = true;
    uint64_t serial;
    d->run_slot = sykli__rows_take(&d->rows, SYKLI__DRIVE_POOL_RUNS, &d->run_id);
    d->proc_slot = sykli__rows_take(&d->rows, SYKLI__DRIVE_POOL_PROCS, &serial);
    for (size_t i = 0; i < d->task_count; i++) {
        sykli__drive_task *t = &d->tasks[i];
        t->slot = sykli__rows_take(&d->rows, SYKLI__DRIVE_POOL_TASKS, &t->serial);
        t->name_ref = sykli__rows_text_once(&d->rows, t->name, strlen(t->name));
    }
    return 0;
}

static int sykli__drive_open_parts(sykli__drive *d)
{
    const char *dir = d->desc->project_dir;
    sykli_buf cache;
    sykli_buf_init(&cache, d->mem, SYKLI_TAG_drive);
    sykli_buf_print(&cache, "%s/.sykli/stat", dir);
    int rc = cache.error ? sykli_fail(d->fault, cache.error, "out of memory")
        : sykli__tree_open(&d->tree, d->mem, dir,
                           d->desc->no_history ? NULL : (const char *)cache.data, d->fault);
    sykli_buf_free(&cache);
    if (rc) return rc;
    d->tree_open = true;
    d->tree.threads_max = d->desc->threads_max;
    sykli__spawn_host_open(&d->host, d->mem, d->desc->subreaper,
                           d->desc->cgroups && sykli__config_u64(d->config->current,
                                                                 SYKLI__CONFIG_kill_cgroups));
    if (d->host.containment == SYKLI__SPAWN_group
        && (d->counts || sykli__config_u64(d->config->current, SYKLI__CONFIG_run_processes)))
        return sykli_fail(d->fault, SYKLI_EUNSUPPORTED, "%s: the processes of a task cannot be "
                          "counted here, there is no /proc of this machine",
                          d->counts ? "processes" : "run.processes");
    sykli_buf_init(&d->project, d->mem, SYKLI_TAG_drive);
    sykli_buf_init(&d->platform, d->mem, SYKLI_TAG_drive);
    if (d->desc->project) rc = sykli_buf_text(&d->project, d->desc->project);
    else rc = sykli__key_project(d->mem, dir, &d->project, d->fault);
    if (!rc) rc = sykli__key_platform(d->mem, d->desc->target_fingerprint, &d->platform, d->fault);
    return rc;
}

// The rows that others see, and the record of the run.
static int sykli__drive_publish_run(sykli__drive *d)
{
    int rc = sykli__drive_open_rows(d);
    if (rc || !d->history_open) return rc;
    return sykli__history_begin(&d->history, d->run_id,
                                (uint64_t)d->mem->sys->wall_ms(d->mem->sys->user), d->task_count,
                                d->fault);
}

// Opens what earlier runs left in the project folder.
static int sykli__drive_look(sykli__drive *d)
{
    if (d->desc->no_history || d->history_open) return 0;
    int rc = sykli__history_open(&d->history, d->mem, d->desc->project_dir, d->desc->log_dir,
                                 d->fault);
    d->history_open = !rc;
    return rc;
}

// Takes the project folder for this run.    returns  0; EBUSY: another run has it, try again later
static int sykli__drive_take(sykli__drive *d)
{
    int rc = sykli__drive_look(d);
    return rc || !d->history_open ? rc : sykli__history_lock(&d->history, d->fault);
}

// Each task that is named runs after the one before it, and the first after the last.
static int sykli__drive_fail_cycle(sykli__drive *d, const uint32_t *cycle, size_t named,
                                   size_t count)
{
    char text[400] = "", more[40] = "";
    for (size_t i = named; i-- > 0;) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s -> ", d->tasks[cycle[i]].name);
    }
    if (named < count) snprintf(more, sizeof more, "... %zu more -> ", count - named);
    return sykli_fail(d->fault, SYKLI_ECYCLE, "the graph has a cycle: %s%s%s", text, more,
                      named ? d->tasks[cycle[named - 1]].name : "");
}

// What earlier runs found up to date. Without it every task goes the long way.
static void sykli__drive_open_memo(sykli__drive *d)
{
    if (!d->history_open || !d->store || d->desc->no_cache) return;
    if (sykli__memo_open(&d->memo, d->mem, d->history.dir, d->task_count,
                         sykli__store_state(d->store)))
        sykli__memo_free(&d->memo);
    d->run_marked = 0; // under another secret
}

static const char *sykli__drive_name_of(const void *user, size_t number)
{
    return ((const sykli__drive *)user)->tasks[number].name;
}

// What a task usually takes, by the memo if it is in there: the history is longer to read.
static uint32_t sykli__drive_expected(sykli__drive *d, uint32_t task)
{
    const char *name = d->tasks[task].name;
    const sykli__memo_task *memo = d->memo.tasks ? sykli__memo_find(&d->memo, task, name) : NULL;
    uint64_t median_ms, last_ms;
    if (memo) return memo->expected_ms;
    return sykli__history_duration(&d->history, name, &median_ms, &last_ms) ? (uint32_t)median_ms
                                                                            : 0;
}

static void sykli__drive_save_memo(sykli__drive *d)
{
    uint64_t median_ms, last_ms;
    if (!d->memo.tasks) return;
    for (uint32_t i = 0; d->memo.changed && d->history.loaded && i < d->task_count; i++)
        if (d->memo.tasks[i]
            && sykli__history_duration(&d->history, d->tasks[i].name, &median_ms, &last_ms))
            d->memo.tasks[i]->expected_ms = (uint32_t)median_ms;
    sykli__memo_save(&d->memo, d->history.dir, d->started_at_ms, sykli__drive_name_of, d);
}

// All that computing a key takes; done once, before the run or before it is asked what it would do.
static int sykli__drive_ready(sykli__drive *d, const char *const *environment)
{
    if (d->ready) return 0;
    int rc = sykli__drive_prepare(d, environment);
    if (!rc) rc = sykli__drive_open_parts(d);
    if (!rc) rc = sykli__drive_index(d);
    d->ready = !rc;
    return rc;
}

// One line of a manifest, "part name=value", as JSON. Values are escaped there already.
static void sykli__drive_tell_part(sykli_buf *out, const char *line, size_t size)
{
    const char *space = (const char *)memchr(line, ' ', size);
    const char *equals = space ? (const char *)memchr(space, '=', size - (size_t)(space - line))
                               : NULL;
    if (!equals) return;
    bool first = !out->size || out->data[out->size - 1] == '[';
    sykli_buf_text(out, first ? "{\"part\":" : ",{\"part\":");
    sykli_json_quote(out, line, (size_t)(space - line));
    sykli_buf_text(out, ",\"name\":");
    sykli_json_quote(out, space + 1, (size_t)(equals - space) - 1);
    sykli_buf_text(out, ",\"value\":");
    sykli_json_quote(out, equals + 1, (size_t)(line + size - equals) - 1);
    sykli_buf_text(out, "}");
}

// What the key of a task would be now, what is different from the last time, and every part of it.
static int sykli__drive_explain(sykli__drive *d, uint32_t task, const char *against, sykli_buf *out)
{
    sykli__drive_task *t = &d->tasks[task];
    uint64_t now = sykli__drive_now(d);
    if (d->jobs || now - d->explained_ms > SYKLI__DRIVE_LOOK_MS) {
        sykli__tree_look(&d->tree, !d->jobs);
        d->explained_ms = now;
    }
    sykli__key key;
    sykli_buf before;
    char hex[65];
    bool keyed = d->sched.tasks[task].desc.keyed;
    sykli__key_begin(&key, d->mem);
    sykli_buf_init(&before, d->mem, SYKLI_TAG_drive);
    int rc = sykli__drive_key_parts(d, &key, task);
    if (!rc) rc = sykli__key_end(&key, hex);
    if (!rc && against && !d->history_open)
        rc = sykli_fail(d->fault, SYKLI_ENOENT, "no runs are recorded here");
    if (!rc && d->history_open) {
        int known = sykli__drive_before(d, t, against, &before);
        if (against) rc = known;
        if (!rc) sykli__drive_changed(d, t, (const char *)key.manifest.data, known, &before);
    }
    sykli_buf_free(&before);
    if (!rc) {
        sykli__store_entry entry;
        bool hit = keyed && d->store && !sykli__store_entry_get(d->store, hex, &entry, NULL);
        if (hit) sykli__store_entry_free(&entry);
        sykli_buf_text(out, "{\"task\":");
        sykli_json_quote(out, t->name, strlen(t->name));
        sykli_buf_print(out, ",\"cacheable\":%s,\"hit\":%s,\"key\":\"%s\",\"changed\":",
                        keyed ? "true" : "false", hit ? "true" : "false", hex);
        if (t->changed) sykli_json_quote(out, t->changed, strlen(t->changed));
        else sykli_buf_text(out, "null");
        sykli_buf_text(out, ",\"parts\":[");
        const char *at = (const char *)key.manifest.data;
        for (size_t size; at && *at; at += size + (at[size] == '\n')) {
            size = strcspn(at, "\n");
            sykli__drive_tell_part(out, at, size);
        }
        rc = sykli_buf_text(out, "]}");
    }
    sykli__key_free(&key);
    return rc;
}

static int sykli__drive_start(sykli__drive *d, const char *const *environment)
{
    uint32_t cycle[16];
    size_t cycle_count = 0;
    int rc = 0;
    for (size_t i = 0; i < d->task_count && !rc; i++)
        if (d->tasks[i].extra)
            rc = sykli_fail(d->fault, SYKLI_EUNSUPPORTED, "task '%s' has members of the pipeline "
                            "format: let `sykli run` run this graph", d->tasks[i].name);
    if (!rc) rc = sykli__drive_ready(d, environment);
    d->started = true;
    if (!rc) rc = sykli__drive_publish_run(d);
    d->sched.grace_ms = (uint32_t)sykli__config_u64(d->config->current, SYKLI__CONFIG_kill_grace);
    if (rc) return rc;
    sykli__drive_open_memo(d);
    for (uint32_t i = 0; i < d->task_count && d->history_open; i++)
        d->sched.tasks[i].desc.expected_ms = sykli__drive_expected(d, i);
    d->started_ms = sykli__drive_now(d);
    d->started_at_ms = d->mem->sys->wall_ms(d->mem->sys->user);
    rc = sykli__sched_start(&d->sched, cycle, 16, &cycle_count);
    if (rc == SYKLI_ECYCLE)
        return sykli__drive_fail_cycle(d, cycle, cycle_count < 16 ? cycle_count : 16, cycle_count);
    if (rc) return sykli_fail(d->fault, rc, "starting the run: %s", sykli_error_text(rc));
    for (uint32_t i = 0; i < d->task_count; i++) sykli__drive_show_task(d, i, SYKLI_NULL_U64);
    d->live = true;
    sykli__drive_show_run(d);
    sykli__drive_event(d, &(sykli_event){ .kind = SYKLI_EVENT_run_started,
                                          .tasks = (uint32_t)d->task_count,
                                          .workers = d->sched.workers }, SYKLI__SCHED_NONE);
    return 0;
}

#define SYKLI__DRIVE_PATH_MAX 64

static bool sykli__drive_ran(const sykli__drive *d, uint32_t task)
{
    uint8_t status = d->sched.tasks[task].status;
    return d->tasks[task].run_ms || status == SYKLI_STATUS_passed || status == SYKLI_STATUS_failed;
}

// The tasks that decided how long the run took: from the one that ended last back along whichever
// predecessor ended last.     returns  how many, in the order they ran
static size_t sykli__drive_critical(const sykli__drive *d, const char *path[SYKLI__DRIVE_PATH_MAX])
{
    uint32_t at = SYKLI__SCHED_NONE, found[SYKLI__DRIVE_PATH_MAX];
    size_t count = 0;
    for (uint32_t i = 0; i < d->task_count; i++)
        if (sykli__drive_ran(d, i)
            && (at == SYKLI__SCHED_NONE || d->tasks[i].ended_ms >= d->tasks[at].ended_ms))
            at = i;
    while (at != SYKLI__SCHED_NONE && count < SYKLI__DRIVE_PATH_MAX) {
        found[count++] = at;
        uint32_t last = SYKLI__SCHED_NONE;
        for (uint32_t i = d->before_at[at]; i < d->before_at[at + 1]; i++)
            if (sykli__drive_ran(d, d->before[i])
                && (last == SYKLI__SCHED_NONE
                    || d->tasks[d->before[i]].ended_ms > d->tasks[last].ended_ms))
                last = d->before[i];
        at = last;
    }
    for (size_t i = 0; i < count; i++) path[i] = d->tasks[found[count - 1 - i]].name;
    return count;
}

// Once nothing is left: the record is closed and the last event goes out.    returns  1 ended
static int sykli__drive_end(sykli__drive *d)
{
    if (!d->live || d->ended) return d->ended;
    if (d->sched.unfinished || sykli__sched_due(&d->sched) || d->jobs) return 0;
    d->ended = true;
    sykli_status status = d->failed ? SYKLI_STATUS_failed : SYKLI_STATUS_passed;
    uint64_t wall = sykli__drive_now(d) - d->started_ms;
    if (d->history_open)
        sykli__history_end(&d->history, (uint64_t)d->started_at_ms + wall, d->failed);
    sykli__drive_save_memo(d);
    if (d->history_open) sykli__history_unlock(&d->history);
    if (d->store) sykli__store_keep(d->store, sykli__drive_quota(d), 0);
    sykli__drive_show_run(d);
    sykli__rows_flush(&d->rows);
    const char *path[SYKLI__DRIVE_PATH_MAX];
    sykli_event event = { .kind = SYKLI_EVENT_run_finished, .status = status, .duration_ms = wall,
                          .saved_ms = d->saved_ms, .path = path };
    event.path_count = sykli__drive_critical(d, path);
    for (size_t i = 0; i < d->task_count; i++) event.counts[d->sched.tasks[i].status]++;
    sykli__drive_event(d, &event, SYKLI__SCHED_NONE);
    return 1;
}

static void sykli__drive_init(sykli__drive *d, sykli_mem *mem, sykli_fault *fault,
                              const sykli_desc *desc, const uint64_t seed[2])
{
    memset(d, 0, sizeof *d);
    d->mem = mem;
    d->fault = fault;
    d->desc = desc;
    d->host.loadavg_fd = d->host.cgroup_fd = -1;
    d->tokens.read_fd = d->tokens.write_fd = -1;
    d->tag = (uint32_t)seed[1] | 1;
    sykli_map_init(&d->names, mem, seed);
    sykli_map_init(&d->secret_names, mem, seed);
    sykli__log_mask_init(&d->mask, mem);
    sykli_buf_init(&d->clean, mem, SYKLI_TAG_drive);
    sykli__key_init(&d->marks, mem);
    sykli__sched_init(&d->sched, mem, desc->workers_max, desc->tasks_max, seed[0]);
    d->sched.keep_going = desc->keep_going;
}

// Ends what still runs, at once, and frees everything.
static void sykli__drive_free(sykli__drive *d)
{
    while (d->jobs) {
        // What an ended task left behind too.
        if (d->jobs->spawned) sykli__spawn_signal(d->mem, &d->jobs->proc, SIGKILL);
        sykli__drive_job_free(d, d->jobs);
    }
    sykli__drive_tokens_close(d);
    sykli__spawn_host_close(&d->host, d->mem);
    if (d->history_open) sykli__history_close(&d->history);
    sykli__memo_free(&d->memo);
    sykli__key_free(&d->marks);
    if (d->rows_open) sykli__rows_close(&d->rows);
    if (d->tree_open) {
        sykli__tree_close(&d->tree);
        sykli_buf_free(&d->project);
        sykli_buf_free(&d->platform);
    }
    size_t tasks = d->task_count, edges = d->sched.edge_count;
    for (size_t i = 0; i < tasks; i++) {
        sykli__drive_list_drop(d, &d->tasks[i].read);
        sykli__drive_list_drop(d, &d->tasks[i].made);
    }
    if (d->before) sykli_mem_resize(d->mem, SYKLI_TAG_drive, d->before,
                                    (edges + 1) * sizeof *d->before, 0);
    if (d->before_at) sykli_mem_resize(d->mem, SYKLI_TAG_drive, d->before_at,
                                       (tasks + 2) * sizeof *d->before_at, 0);
    if (d->tasks) sykli_mem_resize(d->mem, SYKLI_TAG_drive, d->tasks,
                                   d->task_capacity * sizeof *d->tasks, 0);
    bool secrets = d->secret_names.count != 0; // then they are in here, and in what was read last
    if (secrets) sykli_wipe(d->buffer, sizeof d->buffer);
    for (sykli__drive_block *block = d->arena, *next; block; block = next) {
        size_t size = block->size;
        next = block->next;
        if (secrets) sykli_wipe(block, size);
        sykli_mem_resize(d->mem, SYKLI_TAG_drive, block, size, 0);
    }
    sykli_map_free(&d->names);
    sykli_map_free(&d->secret_names);
    sykli__log_mask_free(&d->mask);
    sykli_buf_free(&d->clean);
    sykli__sched_free(&d->sched);
}

// >>node ---- the context: tables, ops, requests, the public calls
// Everything meets here. A request is a small reader that makes its body when it is read, so that a
// slow reader costs a file offset and not memory; whoever serves it over a link reads no faster
// than the link takes.

#define SYKLI__NODE_REQUESTS_MAX 4096u
#define SYKLI__NODE_WORKERS_MAX 4096u // each has a row, and may have a cgroup
#define SYKLI__NODE_LINE_MAX (64u << 10)
#define SYKLI__NODE_ROWS_AGE_MS (24 * 3600 * INT64_C(1000)) // what killed processes leave behind
#define SYKLI__NODE_HOLD_MS (10 * 60 * 1000)                // a blob that is being fetched

typedef struct sykli__node_request {
    uint32_t generation;
    bool used, routed, pending, ended, granted;
    sykli_verb verb;
    int code;                    // how it ended
    char message[256];
    sykli_buf body;
    size_t read_at;
    void (*ready)(void *user, sykli_handle request);
    void *user;
    uint64_t deadline_ms;
    enum { SYKLI__NODE_BODY, SYKLI__NODE_OUTPUT, SYKLI__NODE_EVENTS, SYKLI__NODE_WORKER,
           SYKLI__NODE_BLOB } source;
    uint32_t task;               // OUTPUT
    int log_fd;
    bool announced;              // OUTPUT: task_started has been told
    uint64_t at, end;            // OUTPUT, BLOB: offset; EVENTS: last serial
    sykli_digest blob;
    char holder[64];             // WORKER
} sykli__node_request;

struct sykli {
    sykli_sys sys;
    sykli_mem mem;
    sykli_fault fault;
    sykli_fault sticky;          // the first failed open or add
    sykli_desc desc;
    char *texts[10];             // of desc: owned
    uint64_t seed[2];
    char node_name[SYKLI_NODE_NAME_MAX + 1];
    sykli__table_registry tables;
    sykli__op_registry ops;
    sykli__event_ring events;
    sykli__config config;
    sykli__store store;
    sykli__drive drive;
    sykli_hooks hooks;
    sykli__node_request **requests; // each stays where it is until the context closes
    size_t request_count, request_capacity;
    int64_t opened_at;           // wall clock
    uint32_t processors, slots;  // slots: workers in force
    uint32_t slots_busy;         // of them lent to runs of other processes
    int wake[2];
    bool opened;                 // opening succeeded
    bool pumping;                // inside sykli_pump
    bool store_open, events_open, news, watched;
    sykli_buf scratch;           // a piece of a log on its way to a reader
};

// An error that came without words of its own gets those of its code. Before what may fail so,
// `s->fault.code` is set to 0.
static int sykli__node_say(sykli *s, int rc)
{
    if (rc < 0 && !s->fault.code) sykli_fail(&s->fault, rc, "%s", sykli_error_text(rc));
    if (rc < 0) s->fault.code = rc;
    return rc;
}

// What a call returns after an open or an add that failed.     returns  0 or the error
SYKLI__APART
static int sykli__node_stuck(sykli *s)
{
    if (s->sticky.code) s->fault = s->sticky;
    return s->sticky.code;
}

// What a call on a context that could not be opened returns.     returns  0 or the error
static int sykli__node_check(sykli *s) { return s->opened ? 0 : sykli__node_stuck(s); }

// Opens the store when it is first needed.
static int sykli__node_store(sykli *s)
{
    if (s->store_open) return 0;
    if (!s->opened) return sykli__node_check(s);
    uint64_t max_bytes = sykli__config_u64(s->config.current, SYKLI__CONFIG_cache_max);
    int rc = sykli__store_open(&s->store, &s->mem, s->desc.cache_dir, max_bytes, &s->fault);
    s->store.threads_max = s->desc.threads_max;
    s->store_open = !rc;
    return rc;
}

// The same for whoever only reads: where there is no store, none is made.
//   returns  0, and `store_open` says whether there is one; or the error
static int sykli__node_store_look(sykli *s)
{
    sykli_stat stat;
    char path[SYKLI__TREE_PATH_MAX];
    if (s->store_open || !s->opened) return sykli__node_store(s);
    snprintf(path, sizeof path, "%s/VERSION", s->desc.cache_dir);
    return s->sys.stat(s->sys.user, SYKLI_CWD, path, &stat) == -ENOENT ? 0 : sykli__node_store(s);
}

// The number of workers that is in force from now on.
static void sykli__node_workers(sykli *s, uint32_t count)
{
    s->slots = count;
    s->news = true;
    s->drive.sched.workers = count;
    sykli__drive_tokens_scale(&s->drive, count);
}

// ---- requests

static sykli_handle sykli__node_handle(const sykli *s, size_t index)
{
    return (sykli_handle){ (uint64_t)s->requests[index]->generation << 32 | (index + 1) };
}

static sykli__node_request *sykli__node_request_of(sykli *s, sykli_handle h)
{
    size_t index = (size_t)(h.id & UINT32_MAX) - 1;
    if (!h.id || index >= s->request_count) return NULL;
    sykli__node_request *r = s->requests[index];
    return r->used && r->generation == (uint32_t)(h.id >> 32) ? r : NULL;
}

static int64_t sykli__node_request_new(sykli *s)
{
    for (size_t i = 0; i < s->request_count; i++)
        if (!s->requests[i]->used) return (int64_t)i;
    if (s->request_count >= SYKLI__NODE_REQUESTS_MAX)
        return sykli_fail(&s->fault, SYKLI_ELIMIT, "more than %u requests at once",
                          SYKLI__NODE_REQUESTS_MAX);
    if (!sykli__base_room(&s->mem, SYKLI_TAG_node, &s->requests, &s->request_capacity,
                          s->request_count, sizeof *s->requests, SYKLI__NODE_REQUESTS_MAX))
        return sykli_fail(&s->fault, SYKLI_ENOMEM, "out of memory");
    sykli__node_request *r =
        (sykli__node_request *)sykli_mem_resize(&s->mem, SYKLI_TAG_node, NULL, 0, sizeof *r);
    if (!r) return sykli_fail(&s->fault, SYKLI_ENOMEM, "out of memory");
    s->requests[s->request_count] = r;
    return (int64_t)s->request_count++;
}

// Ends a request: its body stays readable, then the code is read.
SYKLI__APART
static void sykli__node_request_end(sykli__node_request *r, int code, const char *message)
{
    r->ended = true;
    r->pending = false;
    r->code = code;
    snprintf(r->message, sizeof r->message, "%s", message ? message : "");
}

static void sykli__node_audit(sykli *s, const sykli_op *op, const sykli_call *call, int code)
{
    if (op->role < SYKLI_ROLE_operator) return;
    char text[200];
    int size = snprintf(text, sizeof text, "%s (%s): %s", call->origin,
                        sykli_role_names[call->role], code < 0 ? s->fault.text : "ok");
    if (size < 0 || (size_t)size >= sizeof text) size = (int)strlen(text);
    sykli_event_put(s, &(sykli_event){ .kind = SYKLI_EVENT_audit, .name = op->name, .text = text,
                                       .text_size = (size_t)size, .exit_code = code });
}

static bool sykli__node_consents(sykli *s, const sykli_op *op, sykli_role role)
{
    const char *list = sykli__config_get(&s->config, "consent");
    size_t size = strlen(op->name);
    if (role >= SYKLI_ROLE_owner) return true;
    for (const char *at = list; at && *at; at += strcspn(at, ", "), at += strspn(at, ", "))
        if (strcspn(at, ", ") == size && !strncmp(at, op->name, size)) return true;
    return false;
}

// Calls an op: `r` gets its result, or stays pending.
static int sykli__node_call(sykli *s, sykli__node_request *r, sykli_handle handle,
                            const sykli_request *desc, const sykli_json_doc *args)
{
    const sykli_op *op = sykli__op_find(&s->ops, desc->what);
    if (!op)
        return sykli_fail(&s->fault, SYKLI_ENOENT, "no op '%s'; `sykli query ops` lists them",
                          desc->what);
    sykli_call call = { s, op->user, desc->role, desc->origin, args, &r->body, handle };
    int rc = sykli__op_check(op, args, desc->role, sykli__node_consents(s, op, desc->role),
                             &s->fault);
    if (!rc) {
        s->fault.text[0] = 0;
        rc = op->handler(&call);
        if (rc < 0 && !s->fault.text[0]) sykli_fail(&s->fault, rc, "%s", sykli_error_text(rc));
    }
    r = sykli__node_request_of(s, handle); // a handler may open requests of its own
    sykli__node_audit(s, op, &call, rc);
    if (!r) return rc < 0 ? rc : 0;
    if (rc == SYKLI_PENDING) r->pending = !r->ended;
    else if (rc >= 0) {
        if (!r->body.size) sykli_buf_text(&r->body, "null");
        sykli__node_request_end(r, r->body.error ? r->body.error : SYKLI_EOF, "");
    }
    return rc < 0 ? rc : 0;
}

// The task that an argument names in this process: by handle-like id, RUN/TASK or name.
//   returns  its number, or ENOENT
static int64_t sykli__node_task(sykli *s, const char *text)
{
    sykli__drive *d = &s->drive;
    char run[32];
    size_t run_size = (size_t)snprintf(run, sizeof run, "%llu/", (unsigned long long)d->run_id);
    if (!strncmp(text, run, run_size)) text += run_size;
    const uint64_t *number = sykli_map_get(&d->names, text, strlen(text));
    if (number) return (int64_t)*number;
    for (size_t i = 0; i < d->task_count && d->started; i++) {
        char id[32];
        snprintf(id, sizeof id, "%llu", (unsigned long long)d->tasks[i].serial);
        if (!strcmp(id, text)) return (int64_t)i;
    }
    return sykli_fail(&s->fault, SYKLI_ENOENT, "no task '%s' runs here", text);
}

static int sykli__node_watch(sykli *s, sykli__node_request *r, const sykli_request *desc,
                             const sykli_json_doc *args)
{
    if (!strcmp(desc->what, "events")) {
        if (desc->role < SYKLI_ROLE_observer) goto denied;
        r->source = SYKLI__NODE_EVENTS;
        r->at = sykli_arg_u64(args, "since", 0);
    } else if (!strcmp(desc->what, "output")) {
        if (desc->role < SYKLI_ROLE_observer) goto denied;
        int64_t task = sykli__node_task(s, sykli_arg_text(args, "task", ""));
        if (task < 0) return (int)task;
        r->source = SYKLI__NODE_OUTPUT;
        r->task = (uint32_t)task;
        r->log_fd = -1;
    } else if (!strcmp(desc->what, "worker")) {
        if (desc->role < SYKLI_ROLE_owner) goto denied;
        r->source = SYKLI__NODE_WORKER;
        snprintf(r->holder, sizeof r->holder, "%s", sykli_arg_text(args, "task", ""));
    } else
        return sykli_fail(&s->fault, SYKLI_ENOENT,
                          "no stream '%s'; there are events, output and worker", desc->what);
    s->watched = true;
    return 0;
denied:
    return sykli_fail(&s->fault, SYKLI_EPERM, "watching '%s' needs a higher role than %s",
                      desc->what, sykli_role_names[desc->role]);
}

static int sykli__node_fetch(sykli *s, sykli__node_request *r, const sykli_request *desc,
                             const sykli_json_doc *args)
{
    uint64_t size;
    if (sykli_unhex(r->blob.bytes, 32, desc->what, strlen(desc->what)))
        return sykli_fail(&s->fault, SYKLI_EINVAL, "blob id: give 64 hex digits");
    if (!sykli_blob_have(s, &r->blob, &size))
        return sykli_fail(&s->fault, SYKLI_ENOENT, "blob %.12s is not here", desc->what);
    sykli__store_hold(&s->store, &r->blob, SYKLI__NODE_HOLD_MS);
    r->source = SYKLI__NODE_BLOB;
    r->at = sykli_arg_u64(args, "at", 0);
    uint64_t wanted = sykli_arg_u64(args, "size", size);
    r->end = r->at < size ? r->at + (wanted < size - r->at ? wanted : size - r->at) : r->at;
    return 0;
}

static int sykli__node_serve(sykli *s, sykli__node_request *r, sykli_handle handle,
                             const sykli_request *desc, const sykli_json_doc *args)
{
    int rc = 0;
    switch (desc->verb) {
    case SYKLI_VERB_call: return sykli__node_call(s, r, handle, desc, args);
    case SYKLI_VERB_query:
        rc = sykli__query_run(&s->tables, &s->mem, desc->what, desc->role, s->node_name,
                              sykli_json_bool(args, sykli_json_get(args, 0, "part"), false),
                              &r->body, &s->fault);
        break;
    case SYKLI_VERB_watch: return sykli__node_watch(s, r, desc, args);
    case SYKLI_VERB_fetch: return sykli__node_fetch(s, r, desc, args);
    case SYKLI_VERB_offer:
        rc = s->hooks.offer ? s->hooks.offer(s->hooks.user, desc->what, args, desc->role)
                            : sykli_fail(&s->fault, SYKLI_EUNSUPPORTED,
                                         "nothing here takes facts of kind '%s'", desc->what);
        break;
    default: return sykli_fail(&s->fault, SYKLI_EINVAL, "no verb %d", (int)desc->verb);
    }
    if (rc >= 0) sykli__node_request_end(r, SYKLI_EOF, "");
    return rc < 0 ? rc : 0;
}

// Whether the request is about a task that another process of this node runs.
static bool sykli__node_foreign(sykli *s, const sykli_request *desc, const sykli_json_doc *args)
{
    const char *task = sykli_arg_text(args, "task", NULL);
    static const char *const ops[] = { "task.kill", "gate.approve", "gate.deny" };
    bool about_task = desc->verb == SYKLI_VERB_watch && !strcmp(desc->what, "output");
    for (int i = 0; i < 3 && desc->verb == SYKLI_VERB_call; i++)
        about_task |= !strcmp(desc->what, ops[i]);
    return about_task && task && s->hooks.task_route && sykli__node_task(s, task) < 0;
}

static int sykli__node_open(sykli *s, size_t index, const sykli_request *desc)
{
    sykli__node_request *r = s->requests[index];
    sykli_handle handle = sykli__node_handle(s, index);
    bool elsewhere = desc->node && *desc->node && strcmp(desc->node, s->node_name) != 0;
    if (elsewhere) {
        if (!s->hooks.route_open)
            return sykli_fail(&s->fault, SYKLI_ENONODE,
                              "node '%s' is not reachable: no mesh is attached", desc->node);
        r->routed = true;
        return s->hooks.route_open(s->hooks.user, handle.id, desc);
    }
    sykli_json_doc args;
    const char *text = desc->args ? desc->args : "{}";
    size_t size = strlen(text);
    if (size > SYKLI_ARGS_MAX) return sykli_fail(&s->fault, SYKLI_ELIMIT, "arguments over 64 KiB");
    int rc = sykli_json_parse(&args, &s->mem, text, size, &s->fault);
    if (rc) return rc;
    if (args.nodes[0].type != SYKLI_JSON_object)
        rc = sykli_fail(&s->fault, SYKLI_EINVAL, "arguments: give a JSON object");
    else if (sykli__node_foreign(s, desc, &args)) {
        r->routed = true;
        rc = s->hooks.task_route(s->hooks.user, handle.id, desc);
    } else rc = sykli__node_serve(s, r, handle, desc, &args);
    sykli_json_free(&args);
    return rc;
}

sykli_handle sykli_request_open(sykli *s, const sykli_request *desc)
{
    int64_t index = s->opened ? sykli__node_request_new(s) : sykli__node_check(s);
    if (index < 0) return (sykli_handle){ 0 };
    sykli__node_request *r = s->requests[index];
    sykli_request full = *desc;
    if (!full.role) full.role = SYKLI_ROLE_owner;
    if ((unsigned)full.role >= SYKLI_ROLE_COUNT) {
        sykli_fail(&s->fault, SYKLI_EINVAL, "role: there is no role %d", (int)full.role);
        return (sykli_handle){ 0 };
    }
    if (!full.origin) full.origin = "local";
    if (!full.what) full.what = "";
    uint32_t generation = r->generation + 1;
    memset(r, 0, sizeof *r);
    r->generation = generation ? generation : 1;
    r->used = true;
    r->verb = full.verb;
    r->log_fd = -1;
    r->ready = full.ready;
    r->user = full.user;
    r->deadline_ms = full.deadline_ms ? sykli_now_ms(s) + full.deadline_ms : 0;
    sykli_buf_init(&r->body, &s->mem, SYKLI_TAG_node);
    sykli_handle handle = sykli__node_handle(s, (size_t)index);
    s->fault.code = 0;
    int rc = sykli__node_say(s, sykli__node_open(s, (size_t)index, &full));
    if (rc >= 0) return handle;
    sykli_fault why = s->fault; // closing must not lose it
    r = sykli__node_request_of(s, handle);
    if (r) r->routed = false;
    sykli_request_close(s, handle);
    s->fault = why;
    return (sykli_handle){ 0 };
}

// ---- bodies that are made while they are read

static void sykli__node_tell(sykli__node_request *r, sykli *s, sykli_event *event)
{
    event->run = s->drive.run_id;
    event->task = sykli__drive_handle(&s->drive, r->task);
    event->name = s->drive.tasks[r->task].name;
    sykli_event_json(event, &r->body);
    sykli_buf_text(&r->body, "\n");
}

// Appends whole lines of the log since the last time; the rest of a line once the task has ended.
static void sykli__node_tell_log(sykli *s, sykli__node_request *r, bool ended)
{
    // Not the drive's buffer: it may be in use, a reader may be called from inside an event.
    sykli_buf_reset(&s->scratch);
    uint8_t *buffer = sykli_buf_grow(&s->scratch, SYKLI__NODE_LINE_MAX);
    if (!buffer) {
        r->body.error = SYKLI_ENOMEM;
        return;
    }
    if (r->log_fd < 0) r->log_fd = sykli__drive_log_reader(&s->drive, r->task);
    if (r->log_fd < 0) return;
    int64_t got = s->sys.pread(s->sys.user, r->log_fd, buffer, SYKLI__NODE_LINE_MAX, r->at);
    if (got <= 0) return;
    size_t size = (size_t)got, whole = size;
    while (whole && buffer[whole - 1] != '\n') whole--;
    if (!whole && (ended || size == SYKLI__NODE_LINE_MAX)) whole = size;
    if (ended && size < SYKLI__NODE_LINE_MAX) whole = size;
    for (size_t at = 0; at < whole;) {
        const uint8_t *newline = (const uint8_t *)memchr(buffer + at, '\n', whole - at);
        size_t line = newline ? (size_t)(newline - buffer) - at : whole - at;
        sykli__node_tell(r, s, &(sykli_event){ .kind = SYKLI_EVENT_task_output, .stream = 1,
                                               .at_ms = s->sys.wall_ms(s->sys.user),
                                               .text = (const char *)buffer + at,
                                               .text_size = line });
        at += line + (newline != NULL);
    }
    r->at += whole;
}

static void sykli__node_make_output(sykli *s, sykli__node_request *r)
{
    const sykli__drive_task *t = &s->drive.tasks[r->task];
    const sykli__sched_task *st = &s->drive.sched.tasks[r->task];
    bool ended = sykli__sched_terminal(st->status);
    if (!r->announced && st->attempt) {
        r->announced = true;
        sykli__node_tell(r, s, &(sykli_event){ .kind = SYKLI_EVENT_task_started, .pid = t->pid,
                                               .node = s->node_name,
                                               .attempt = (int)st->attempt,
                                               .at_ms = t->started_at_ms });
    }
    uint64_t before;
    do {
        before = r->at;
        sykli__node_tell_log(s, r, ended);
    } while (ended && r->at != before && r->body.size < SYKLI__NODE_LINE_MAX);
    if (!ended || r->at != before) return;
    char hex[65] = "";
    if (t->has_key) sykli_hex(hex, t->key.bytes, 32);
    sykli__node_tell(r, s, &(sykli_event){
        .kind = SYKLI_EVENT_task_finished, .at_ms = s->sys.wall_ms(s->sys.user),
        .status = (sykli_status)st->status, .attempt = (int)st->attempt, .exit_code = t->exit_code,
        .signal = t->signal, .from = t->from, .key = hex, .duration_ms = t->run_ms,
        .cpu_ms = t->cpu_ms, .rss_max_bytes = t->rss_max_bytes,
        .read_bytes = t->read_bytes, .write_bytes = t->write_bytes, .text = t->reason,
        .text_size = t->reason ? strlen(t->reason) : 0 });
    sykli__node_request_end(r, SYKLI_EOF, "");
}

static void sykli__node_make_events(sykli *s, sykli__node_request *r)
{
    const sykli__event_row *row;
    uint64_t lost = 0;
    while (r->body.size < SYKLI__NODE_LINE_MAX
           && sykli__event_read(&s->events, &r->at, &row, &lost)) {
        if (lost) sykli_buf_print(&r->body, "{\"event\":\"gap\",\"lost\":%llu}\n",
                                  (unsigned long long)lost);
        sykli__event_row_json(row, &r->body);
        sykli_buf_text(&r->body, "\n");
    }
}

static void sykli__node_make_worker(sykli *s, sykli__node_request *r)
{
    if (r->granted || s->slots_busy >= s->slots) return;
    r->granted = true;
    s->slots_busy++;
    sykli_buf_print(&r->body, "{\"granted\":%u}\n", s->slots_busy);
}

static void sykli__node_make_blob(sykli *s, sykli__node_request *r)
{
    size_t want = r->end - r->at < SYKLI__NODE_LINE_MAX ? (size_t)(r->end - r->at)
                                                       : SYKLI__NODE_LINE_MAX;
    uint8_t *room = want ? sykli_buf_grow(&r->body, want) : NULL;
    int64_t got = room ? sykli_blob_read(s, &r->blob, r->at, room, want) : 0;
    if (got > 0) {
        r->body.size += (size_t)got;
        r->at += (uint64_t)got;
    } else if (want) sykli__node_request_end(r, got ? (int)got : SYKLI_ECORRUPT,
                                             "the blob is gone or shorter than it was");
    if (r->at >= r->end && !r->ended) sykli__node_request_end(r, SYKLI_EOF, "");
}

static void sykli__node_make(sykli *s, sykli__node_request *r)
{
    if (r->ended || r->pending) return;
    if (r->source == SYKLI__NODE_OUTPUT) sykli__node_make_output(s, r);
    else if (r->source == SYKLI__NODE_EVENTS) sykli__node_make_events(s, r);
    else if (r->source == SYKLI__NODE_WORKER) sykli__node_make_worker(s, r);
    else if (r->source == SYKLI__NODE_BLOB) sykli__node_make_blob(s, r);
}

int64_t sykli_request_read(sykli *s, sykli_handle request, void *out, size_t size)
{
    sykli__node_request *r = sykli__node_request_of(s, request);
    if (!r) return SYKLI_ESTALE;
    if (r->routed && !s->hooks.route_read) return SYKLI_ECLOSED; // whoever took it has gone
    if (r->routed) return s->hooks.route_read(s->hooks.user, request.id, out, size);
    if (r->read_at == r->body.size) {
        r->read_at = 0;
        if (!r->ended) sykli_buf_reset(&r->body);
        else r->body.size = 0;
        sykli__node_make(s, r);
        if (r->body.error) { // what is lost leaves a hole: there is no going on behind it
            sykli__node_request_end(r, r->body.error, "no memory for the next piece");
            sykli_buf_reset(&r->body);
        }
    }
    size_t left = r->body.size - r->read_at, take = left < size ? left : size;
    if (take) memcpy(out, r->body.data + r->read_at, take);
    r->read_at += take;
    if (take || !r->ended) return (int64_t)take;
    return r->code;
}

const char *sykli_request_message(sykli *s, sykli_handle request)
{
    sykli__node_request *r = sykli__node_request_of(s, request);
    if (!r) return "";
    if (!r->routed) return r->message;
    return s->hooks.route_message ? s->hooks.route_message(s->hooks.user, request.id) : "";
}

void sykli_request_close(sykli *s, sykli_handle request)
{
    sykli__node_request *r = sykli__node_request_of(s, request);
    if (!r) return;
    if (r->routed && s->hooks.route_close) s->hooks.route_close(s->hooks.user, request.id);
    if (r->granted) {
        s->slots_busy--;
        s->news = true;
    }
    if (r->log_fd >= 0) s->sys.close(s->sys.user, r->log_fd);
    sykli_buf_free(&r->body);
    r->used = false;
}

int sykli_call_done(sykli *s, sykli_handle call, int code, const char *result, const char *message)
{
    sykli__node_request *r = sykli__node_request_of(s, call);
    if (!r || r->ended) return sykli_fail(&s->fault, SYKLI_ESTALE, "nobody waits for this call");
    if (code >= 0) sykli_buf_text(&r->body, result ? result : "null");
    if (r->body.error) sykli__node_request_end(r, r->body.error, "out of memory");
    else sykli__node_request_end(r, code >= 0 ? SYKLI_EOF : code, message);
    if (r->ready) r->ready(r->user, call);
    return 0;
}

// Tells whoever watches something that there may be more to read, and ends what is overdue.
static void sykli__node_notify(sykli *s)
{
    uint64_t now = sykli_now_ms(s);
    bool news = s->news;
    s->news = false;
    for (size_t i = 0; i < s->request_count; i++) {
        sykli__node_request *r = s->requests[i];
        if (!r->used || r->ended) continue;
        if (r->deadline_ms && now >= r->deadline_ms) {
            if (r->routed && s->hooks.route_close)
                s->hooks.route_close(s->hooks.user, sykli__node_handle(s, i).id);
            r->routed = false;
            sykli__node_request_end(r, SYKLI_ETIMEOUT, "the deadline passed");
        } else if (!news || r->routed || r->source == SYKLI__NODE_BODY) continue;
        if (r->ready) r->ready(r->user, sykli__node_handle(s, i));
    }
}

// ---- tables of the context

#define SYKLI__NODE_NODES_COLUMNS(X, T)                                                            \
    X(T, STR, name, 68, none, public, "name in the mesh")                                          \
    X(T, STR, id, 36, none, public, "identity, from its keys")                                     \
    X(T, STR, address, 64, none, public, "where it listens")                                       \
    X(T, STR, state, 12, none, public, "alive, suspect, dead, left or away")                       \
    X(T, STR, role, 12, none, public, "member, observer, operator, admin")                         \
    X(T, STR, labels, 128, none, public, "for placement")                                          \
    X(T, U64, workers_busy, 0, none, public, "workers that run a task")                            \
    X(T, U64, workers_total, 0, none, public, "workers there are")                                 \
    X(T, STR, version, 16, none, public, "of sykli")                                               \
    X(T, U64, config_version, 0, none, public, "of the pushed configuration")                      \
    X(T, U64, rtt_us, 0, us, public, "round trip to it")
SYKLI_ROW(sykli__node_nodes_row, SYKLI__NODE_NODES_COLUMNS)
SYKLI_COLUMNS(sykli__node_nodes_row, SYKLI__NODE_NODES_COLUMNS)

#define SYKLI__NODE_WORKERS_COLUMNS(X, T)                                                          \
    X(T, U64, id, 0, none, public, "number of the worker, from 1")                                 \
    X(T, STR, state, 8, none, public, "busy or idle")                                              \
    X(T, STR, task, 128, none, public, "what it runs, or who has borrowed it")
SYKLI_ROW(sykli__node_workers_row, SYKLI__NODE_WORKERS_COLUMNS)
SYKLI_COLUMNS(sykli__node_workers_row, SYKLI__NODE_WORKERS_COLUMNS)

#define SYKLI__NODE_MEMORY_COLUMNS(X, T)                                                           \
    X(T, STR, tag, 16, none, public, "what the memory is for")                                     \
    X(T, U64, bytes, 0, bytes, public, "allocated now")                                            \
    X(T, U64, blocks, 0, none, public, "allocations alive")                                        \
    X(T, U64, allocs, 0, none, public, "allocations ever")
SYKLI_ROW(sykli__node_memory_row, SYKLI__NODE_MEMORY_COLUMNS)
SYKLI_COLUMNS(sykli__node_memory_row, SYKLI__NODE_MEMORY_COLUMNS)

#define SYKLI__NODE_TABLES_COLUMNS(X, T)                                                           \
    X(T, TEXT, name, 0, none, public, "of the table")                                              \
    X(T, U64, columns, 0, none, public, "how many")                                                \
    X(T, U64, row_bytes, 0, bytes, public, "size of a row in memory")                              \
    X(T, TEXT, help, 0, none, public, "what a row is")
SYKLI_ROW(sykli__node_tables_row, SYKLI__NODE_TABLES_COLUMNS)
SYKLI_COLUMNS(sykli__node_tables_row, SYKLI__NODE_TABLES_COLUMNS)

#define SYKLI__NODE_BLOBS_COLUMNS(X, T)                                                            \
    X(T, STR, id, 65, none, observer, "SHA256TREE digest")                                         \
    X(T, U64, size_bytes, 0, bytes, public, "size")                                                \
    X(T, I64, used_at, 0, time, public, "when it was used last")
SYKLI_ROW(sykli__node_blobs_row, SYKLI__NODE_BLOBS_COLUMNS)
SYKLI_COLUMNS(sykli__node_blobs_row, SYKLI__NODE_BLOBS_COLUMNS)

#define SYKLI__NODE_ACTIONS_COLUMNS(X, T)                                                          \
    X(T, STR, key, 65, none, observer, "action key")                                               \
    X(T, TEXT, task, 0, none, observer, "task that made it")                                       \
    X(T, STR, writer, 65, none, public, "node that vouches for it")                                \
    X(T, STR, scope, 16, none, public, "whom it is for")                                           \
    X(T, U64, outputs, 0, none, public, "files")                                                   \
    X(T, U64, size_bytes, 0, bytes, public, "size of all")                                         \
    X(T, U64, log_bytes, 0, bytes, public, "what its task printed")                                \
    X(T, U64, duration_ms, 0, ms, public, "what making it took")                                   \
    X(T, I64, created_at, 0, time, public, "when it was made")                                     \
    X(T, I64, used_at, 0, time, public, "when it was used last")
SYKLI_ROW(sykli__node_actions_row, SYKLI__NODE_ACTIONS_COLUMNS)
SYKLI_COLUMNS(sykli__node_actions_row, SYKLI__NODE_ACTIONS_COLUMNS)

#define SYKLI__NODE_HISTORY_COLUMNS(X, T)                                                          \
    X(T, U64, run, 0, none, public, "run it belonged to")                                          \
    X(T, TEXT, name, 0, none, public, "task")                                                      \
    X(T, ENUM, status, sykli_status_names, none, public, "how it ended")                           \
    X(T, I64, started_at, 0, time, public, "when its last attempt started")                        \
    X(T, U64, duration_ms, 0, ms, public, "wall time of the last attempt")                         \
    X(T, I64, exit_code, 0, none, public, "exit code of the last attempt")                         \
    X(T, TEXT, source, 0, none, public, "where a hit came from")                                   \
    X(T, TEXT, reason, 0, none, observer, "why it ended so")
SYKLI_ROW(sykli__node_history_row, SYKLI__NODE_HISTORY_COLUMNS)
SYKLI_COLUMNS(sykli__node_history_row, SYKLI__NODE_HISTORY_COLUMNS)

#define SYKLI__NODE_FLAKY_COLUMNS(X, T)                                                            \
    X(T, TEXT, task, 0, none, public, "task")                                                      \
    X(T, U64, flips, 0, none, public, "other outcome, although nothing in its key had changed")    \
    X(T, U64, retried, 0, none, public, "passed, but not at the first attempt")                    \
    X(T, I64, last_at, 0, time, public, "when either happened last")                               \
    X(T, TEXT, key, 0, none, observer, "its last action key")
SYKLI_ROW(sykli__node_flaky_row, SYKLI__NODE_FLAKY_COLUMNS)
SYKLI_COLUMNS(sykli__node_flaky_row, SYKLI__NODE_FLAKY_COLUMNS)

typedef struct sykli__node_past { sykli_emit *to; sykli__history_run run; } sykli__node_past;

static int sykli__node_scan_nodes(void *user, sykli_emit *to)
{
    sykli *s = (sykli *)user;
    sykli__node_nodes_row row = { .state = "alive", .role = "owner", .version = SYKLI_VERSION,
                                  .workers_total = s->slots, .workers_busy = s->slots_busy,
                                  .config_version = s->config.pushed,
                                  .rtt_us = 0 };
    snprintf(row.name, sizeof row.name, "%s", s->node_name);
    return to->row(to, &row);
}

static int sykli__node_scan_workers(void *user, sykli_emit *to)
{
    sykli *s = (sykli *)user;
    sykli__node_workers_row row = { .id = 0 };
    int rc = 0;
    for (const sykli__drive_job *job = s->drive.jobs; !rc && job; job = job->next) {
        if (!job->spawned || job->slot) continue;
        row.id++;
        snprintf(row.state, sizeof row.state, "busy");
        snprintf(row.task, sizeof row.task, "%s", s->drive.tasks[job->task].name);
        rc = to->row(to, &row);
    }
    for (size_t i = 0; !rc && i < s->request_count; i++) {
        const sykli__node_request *r = s->requests[i];
        if (!r->used || !r->granted) continue;
        row.id++;
        snprintf(row.state, sizeof row.state, "busy");
        snprintf(row.task, sizeof row.task, "%s", r->holder);
        rc = to->row(to, &row);
    }
    snprintf(row.state, sizeof row.state, "idle");
    row.task[0] = 0;
    while (!rc && row.id < s->slots) {
        row.id++;
        rc = to->row(to, &row);
    }
    return rc;
}

static int sykli__node_scan_memory(void *user, sykli_emit *to)
{
    static const char *const names[] = {
#define SYKLI_X(name) #name,
        SYKLI_TAGS(SYKLI_X)
#undef SYKLI_X
    };
    const sykli *s = (const sykli *)user;
    int rc = 0;
    for (int i = 0; !rc && i < SYKLI_TAG_COUNT; i++) {
        sykli__node_memory_row row = { .bytes = s->mem.tags[i].bytes,
            .blocks = s->mem.tags[i].blocks, .allocs = s->mem.tags[i].allocs };
        snprintf(row.tag, sizeof row.tag, "%s", names[i]);
        rc = to->row(to, &row);
    }
    return rc;
}

static int sykli__node_scan_tables(void *user, sykli_emit *to)
{
    const sykli *s = (const sykli *)user;
    int rc = 0;
    for (size_t i = 0; !rc && i < s->tables.count; i++) {
        const sykli_table *t = &s->tables.tables[i];
        sykli__node_tables_row row = { t->name, t->column_count, t->row_size, t->help };
        rc = to->row(to, &row);
    }
    return rc;
}

// Rows of this process, then those of other live processes of the same state directory.
static int sykli__node_scan_pool(sykli *s, size_t pool, const char *table, sykli_emit *to)
{
    sykli__drive *d = &s->drive;
    int rc = d->rows_open ? sykli__rows_scan(&d->rows, pool, to) : 0;
    if (rc || !s->desc.state_dir) return rc;
    return sykli__rows_scan_dir(&s->mem, s->desc.state_dir, sykli__table_find(&s->tables, table),
                                d->rows_open ? &d->rows : NULL, false, to);
}

static int sykli__node_scan_tasks(void *user, sykli_emit *to)
{
    return sykli__node_scan_pool((sykli *)user, SYKLI__DRIVE_POOL_TASKS, "tasks", to);
}

// The context itself where it drives no run, then what its runs and tasks are.
static int sykli__node_scan_procs(void *user, sykli_emit *to)
{
    sykli *s = (sykli *)user;
    sykli__drive_proc_row row = { .id = 0, .kind = "node", .parent = SYKLI_NULL_U64,
        .pid = s->sys.pid(s->sys.user), .status = "running", .queue = s->request_count,
        .memory_bytes = s->mem.total_bytes, .cpu_ms = SYKLI_NULL_U64, .started_at = s->opened_at };
    int rc = s->drive.started ? 0 : to->row(to, &row);
    return rc ? rc : sykli__node_scan_pool(s, SYKLI__DRIVE_POOL_PROCS, "procs", to);
}

static int sykli__node_scan_runs(void *user, sykli_emit *to)
{
    return sykli__node_scan_pool((sykli *)user, SYKLI__DRIVE_POOL_RUNS, "runs", to);
}

typedef struct sykli__node_scan { sykli_emit *to; } sykli__node_scan;

static int sykli__node_scan_blob(void *user, const sykli__store_blob *blob)
{
    sykli__node_blobs_row row = { .size_bytes = blob->size_bytes,
                                  .used_at = blob->used_ns / 1000000 };
    sykli_hex(row.id, blob->digest.bytes, 32);
    sykli_emit *to = ((sykli__node_scan *)user)->to;
    return to->row(to, &row);
}

static int sykli__node_scan_blobs(void *user, sykli_emit *to)
{
    sykli *s = (sykli *)user;
    sykli__node_scan scan = { to };
    int rc = sykli__node_store_look(s);
    if (rc || !s->store_open) return rc;
    return sykli__store_each_blob(&s->store, sykli__node_scan_blob, &scan);
}

static int sykli__node_scan_action(void *user, const sykli__store_entry *e, int64_t used_ns)
{
    uint64_t size = 0;
    for (size_t i = 0; i < e->output_count; i++) size += e->outputs[i].size_bytes;
    sykli__node_actions_row row = { .outputs = e->output_count, .size_bytes = size,
        .duration_ms = e->duration_ms, .created_at = (int64_t)e->created_ms,
        .used_at = used_ns / 1000000, .task = e->origin_task, .log_bytes = e->log_bytes };
    snprintf(row.key, sizeof row.key, "%s", e->key);
    snprintf(row.writer, sizeof row.writer, "%s", e->writer_name);
    snprintf(row.scope, sizeof row.scope, "%s", e->scope_kind);
    sykli_emit *to = ((sykli__node_scan *)user)->to;
    return to->row(to, &row);
}

static int sykli__node_scan_actions(void *user, sykli_emit *to)
{
    sykli *s = (sykli *)user;
    sykli__node_scan scan = { to };
    int rc = sykli__node_store_look(s);
    if (rc || !s->store_open) return rc;
    return sykli__store_each_entry(&s->store, sykli__node_scan_action, &scan);
}

static int sykli__node_scan_past(void *user, const sykli__history_task *task)
{
    const sykli__node_past *past = (const sykli__node_past *)user;
    sykli__node_history_row row = { .run = past->run.run, .name = task->name,
        .status = task->status, .duration_ms = task->duration_ms,
        .started_at = task->started_at_ms ? (int64_t)task->started_at_ms : SYKLI_NULL_I64,
        .exit_code = task->exit_code, .source = task->from, .reason = task->reason };
    return past->to->row(past->to, &row);
}

// The history of the project folder: that of the run, or `own` opened.
//   returns  0 and NULL: there is none; or the error
static int sykli__node_history(sykli *s, sykli__history *own, sykli__history **out)
{
    sykli_stat stat;
    char path[SYKLI__TREE_PATH_MAX];
    *out = s->drive.history_open ? &s->drive.history : NULL;
    snprintf(path, sizeof path, "%s/.sykli/runs", s->desc.project_dir);
    if (*out || s->sys.stat(s->sys.user, SYKLI_CWD, path, &stat) < 0) return 0;
    int rc = sykli__history_open(own, &s->mem, s->desc.project_dir, s->desc.log_dir, &s->fault);
    if (!rc) *out = own;
    return rc;
}

// Tasks whose outcome changed although nothing else did.
static int sykli__node_scan_flaky(void *user, sykli_emit *to)
{
    sykli__history own, *h;
    const void *name;
    size_t at = 0;
    uint64_t index;
    int rc = sykli__node_history((sykli *)user, &own, &h);
    if (!rc && h) sykli__history_ready(h);
    while (!rc && h && sykli_map_next(&h->names, &at, &name, NULL, &index)) {
        const sykli__history_known *known = &h->known[index];
        sykli__node_flaky_row row = { .task = (const char *)name, .flips = known->flips,
            .retried = known->retried, .last_at = (int64_t)known->flaky_ms, .key = known->key };
        if (known->flips || known->retried) rc = to->row(to, &row);
    }
    if (h == &own) sykli__history_close(h);
    return rc;
}

// The tasks of earlier runs in the project folder, the newest run first.
static int sykli__node_scan_history(void *user, sykli_emit *to)
{
    sykli__history own, *h;
    int rc = sykli__node_history((sykli *)user, &own, &h);
    if (rc || !h) return rc;
    for (size_t back = 0; !rc && back < SYKLI__HISTORY_RUNS_MAX; back++) {
        sykli__node_past past = { .to = to };
        rc = sykli__history_load(h, back, &past.run, NULL, NULL);
        if (!rc) rc = sykli__history_load(h, back, &past.run, sykli__node_scan_past, &past);
    }
    if (h == &own) sykli__history_close(h);
    return rc == SYKLI_ENOENT ? 0 : rc;
}

#define SYKLI__NODE_TABLE(name, help, row, scan, user)                                             \
    { name, help, row##_columns, sizeof row##_columns / sizeof *row##_columns, sizeof(row),        \
      (sykli_visibility)0, scan, user }

static int sykli__node_add_tables(sykli *s)
{
    const sykli_table tables[] = {
        SYKLI__NODE_TABLE("nodes", "one node of the mesh", sykli__node_nodes_row,
                          sykli__node_scan_nodes, s),
        SYKLI__NODE_TABLE("tasks", "one task of a run", sykli__drive_task_row,
                          sykli__node_scan_tasks, s),
        SYKLI__NODE_TABLE("runs", "one run of a pipeline", sykli__drive_run_row,
                          sykli__node_scan_runs, s),
        SYKLI__NODE_TABLE("procs", "one living thing", sykli__drive_proc_row,
                          sykli__node_scan_procs, s),
        SYKLI__NODE_TABLE("workers", "one place where a task can run", sykli__node_workers_row,
                          sykli__node_scan_workers, s),
        SYKLI__NODE_TABLE("events", "what happened lately", sykli__event_row, sykli__event_scan,
                          &s->events),
        SYKLI__NODE_TABLE("config", "one key of the configuration", sykli__config_row,
                          sykli__config_scan, &s->config),
        SYKLI__NODE_TABLE("memory", "memory by purpose", sykli__node_memory_row,
                          sykli__node_scan_memory, s),
        SYKLI__NODE_TABLE("tables", "one table", sykli__node_tables_row, sykli__node_scan_tables,
                          s),
        SYKLI__NODE_TABLE("history", "one task of an earlier run here", sykli__node_history_row,
                          sykli__node_scan_history, s),
        SYKLI__NODE_TABLE("flaky", "one task that ends now so, now so", sykli__node_flaky_row,
                          sykli__node_scan_flaky, s),
        SYKLI__NODE_TABLE("ops", "one thing that can be done", sykli__op_row, sykli__op_scan,
                          &s->ops),
        SYKLI__NODE_TABLE("blobs", "one stored blob", sykli__node_blobs_row,
                          sykli__node_scan_blobs, s),
        SYKLI__NODE_TABLE("actions", "one stored result", sykli__node_actions_row,
                          sykli__node_scan_actions, s),
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof tables / sizeof *tables; i++)
        rc = sykli__table_add(&s->tables, &tables[i], &s->fault);
    return rc;
}

// ---- the cache as a whole

int sykli_cache_stats(sykli *s, sykli_cache_usage *out)
{
    memset(out, 0, sizeof *out);
    int rc = sykli__node_store_look(s);
    if (rc) return rc;
    out->max_bytes = sykli__config_u64(s->config.current, SYKLI__CONFIG_cache_max);
    return !s->store_open ? 0 : sykli__store_stats_get(&s->store, out, &s->fault);
}

int sykli_cache_gc(sykli *s, uint64_t max_bytes, uint64_t older_ms, uint64_t *out_freed)
{
    int rc = sykli__node_store_look(s);
    if (out_freed) *out_freed = 0;
    if (rc || !s->store_open) return rc;
    return sykli__store_gc_older(&s->store, max_bytes, older_ms, out_freed, &s->fault);
}

int sykli_cache_clear(sykli *s)
{
    int rc = sykli__node_store_look(s);
    if (rc || !s->store_open) return rc;
    return sykli__store_clear(&s->store, &s->fault);
}

typedef struct sykli__node_verified { sykli *s; sykli_cache_check *out; } sykli__node_verified;

static int sykli__node_verify_blob(void *user, const sykli__store_blob *blob)
{
    sykli__node_verified *to = (sykli__node_verified *)user;
    int rc = sykli__store_verify(&to->s->store, &blob->digest, &to->s->fault);
    to->out->blobs++;
    to->out->damaged += rc == SYKLI_ECORRUPT;
    return rc == SYKLI_ECORRUPT || rc == SYKLI_ENOENT ? 0 : rc;
}

// Reading an entry checks it.
static int sykli__node_verify_entry(void *user, sykli__store *store, const char *path)
{
    sykli__node_verified *to = (sykli__node_verified *)user;
    sykli__store_entry e;
    sykli_buf text;
    bool old;
    sykli_buf_init(&text, &to->s->mem, SYKLI_TAG_store);
    int rc = sykli__store_entry_read(store, path, &e, &text, &old, &to->s->fault);
    if (!rc) sykli__store_entry_free(&e);
    sykli_buf_free(&text);
    to->out->entries++;
    to->out->damaged += rc == SYKLI_ECORRUPT;
    return rc == SYKLI_ENOMEM ? rc : 0;
}

int sykli_cache_verify(sykli *s, sykli_cache_check *out)
{
    sykli__node_verified all = { s, out };
    memset(out, 0, sizeof *out);
    int rc = sykli__node_store_look(s);
    if (rc || !s->store_open) return rc;
    rc = sykli__store_each_blob(&s->store, sykli__node_verify_blob, &all);
    if (!rc) rc = sykli__store_scan(&s->store, "entries", 1, sykli__node_verify_entry, &all);
    return rc == -ENOMEM ? sykli_fail(&s->fault, SYKLI_ENOMEM, "out of memory") : rc;
}

// ---- ops of the context

static int sykli__node_op_cancel(sykli_call *call) { return sykli_run_cancel(call->context); }

static int sykli__node_op_kill(sykli_call *call)
{
    int64_t task = sykli__node_task(call->context, sykli_arg_text(call->args, "task", ""));
    if (task < 0) return (int)task;
    return sykli_task_kill(call->context,
                           sykli__drive_handle(&call->context->drive, (uint32_t)task));
}

// Decides about a held task for somebody who says their name; from where they ask is known.
static int sykli__node_op_decide(sykli_call *call, sykli_status verdict)
{
    sykli *s = call->context;
    int64_t task = sykli__node_task(s, sykli_arg_text(call->args, "task", ""));
    const char *by = sykli_arg_text(call->args, "by", "");
    const char *why = sykli_arg_text(call->args, "reason", "");
    bool here = !strcmp(call->origin, "local");
    char text[512];
    if (task < 0) return (int)task;
    snprintf(text, sizeof text, "%s by %.64s%s%.140s%s%.200s",
             verdict == SYKLI_STATUS_passed ? "approved" : "denied", by, *by ? " on " : "",
             here ? s->node_name : call->origin, *why ? ": " : "", why);
    return sykli_task_decide(s, sykli__drive_handle(&s->drive, (uint32_t)task), verdict, text);
}

static int sykli__node_op_approve(sykli_call *call)
{
    return sykli__node_op_decide(call, SYKLI_STATUS_passed);
}

static int sykli__node_op_deny(sykli_call *call)
{
    return sykli__node_op_decide(call, SYKLI_STATUS_failed);
}

static int sykli__node_op_scale(sykli_call *call)
{
    sykli *s = call->context;
    uint32_t before = s->slots;
    uint64_t count = sykli_arg_u64(call->args, "count", 0);
    int rc = sykli_workers_scale(s, count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
    if (rc) return rc;
    return sykli_buf_print(call->result, "{\"before\":%u,\"after\":%u}", before, s->slots);
}

static int sykli__node_op_config_set(sykli_call *call)
{
    return sykli_config_set(call->context, sykli_arg_text(call->args, "key", ""),
                            sykli_arg_text(call->args, "value", ""));
}

static int sykli__node_op_cache_gc(sykli_call *call)
{
    sykli *s = call->context;
    uint64_t freed = 0, fallback = sykli__config_u64(s->config.current, SYKLI__CONFIG_cache_max);
    uint64_t max = sykli_arg_u64(call->args, "max_bytes", fallback);
    uint64_t older_ms = sykli_arg_u64(call->args, "older_than_ms", 0);
    int rc = sykli_cache_gc(s, max, older_ms, &freed);
    return rc ? rc : sykli_buf_print(call->result, "{\"freed_bytes\":%llu}",
                                     (unsigned long long)freed);
}

static int sykli__node_op_cache_clear(sykli_call *call)
{
    return sykli_cache_clear(call->context);
}

static int sykli__node_op_cache_verify(sykli_call *call)
{
    sykli_cache_check all;
    int rc = sykli_cache_verify(call->context, &all);
    return rc < 0 ? rc : sykli_buf_print(call->result, "{\"blobs\":%llu,\"entries\":%llu,"
                                         "\"damaged\":%llu}", (unsigned long long)all.blobs,
                                         (unsigned long long)all.entries,
                                         (unsigned long long)all.damaged);
}

static int sykli__node_op_cache_stats(sykli_call *call)
{
    sykli_cache_usage stats;
    int rc = sykli_cache_stats(call->context, &stats);
    return rc ? rc : sykli_buf_print(call->result, "{\"blobs\":%llu,\"bytes\":%llu,"
                                     "\"tasks\":%llu,\"entry_bytes\":%llu}",
                                     (unsigned long long)stats.blobs,
                                     (unsigned long long)stats.blob_bytes,
                                     (unsigned long long)stats.entries,
                                     (unsigned long long)stats.entry_bytes);
}

static int sykli__node_op_action_get(sykli_call *call)
{
    return sykli_entry_load(call->context, sykli_arg_text(call->args, "key", ""), call->result);
}

// Which of many actions are here, in one question.
static int sykli__node_op_action_have(sykli_call *call)
{
    sykli *s = call->context;
    char key[65] = "";
    int rc = sykli__node_store(s);
    if (rc) return rc;
    sykli_buf_text(call->result, "{\"have\":\"");
    for (const char *at = sykli_arg_text(call->args, "keys", ""); *at; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        sykli__store_entry entry;
        if (size == 64) memcpy(key, at, size);
        if (size == 64 && !sykli__store_entry_get(&s->store, key, &entry, NULL)) {
            sykli__store_entry_free(&entry);
            sykli_buf_print(call->result, "%s ", key);
        }
        at += size;
    }
    return sykli_buf_text(call->result, "\"}");
}

static int sykli__node_add_ops(sykli *s)
{
    static const sykli_param have[] = { { "keys", SYKLI_KIND_TEXT, true, "with blanks" } };
    static const sykli_param kill[] = {
        { "task", SYKLI_KIND_TEXT, true, "name, RUN/TASK or id" } };
    static const sykli_param gate[] = {
        { "task", SYKLI_KIND_TEXT, true, "name, RUN/TASK or id" },
        { "by", SYKLI_KIND_TEXT, false, "who says so" },
        { "reason", SYKLI_KIND_TEXT, false, "why" } };
    static const sykli_param scale[] = { { "count", SYKLI_KIND_U64, true, "1 to 4096" } };
    static const sykli_param set[] = { { "key", SYKLI_KIND_TEXT, true, "see the table config" },
                                       { "value", SYKLI_KIND_TEXT, true, "checked first" } };
    static const sykli_param gc[] = {
        { "max_bytes", SYKLI_KIND_U64, false, "what may stay; default cache.max_size" },
        { "older_than_ms", SYKLI_KIND_U64, false, "what was not used for so long goes" } };
    static const sykli_param get[] = { { "key", SYKLI_KIND_TEXT, true, "64 hex digits" } };
    const sykli_op ops[] = {
        { 1, "run.cancel", "ends the run: running tasks are terminated", SYKLI_ROLE_operator, false,
          NULL, 0, sykli__node_op_cancel, NULL },
        { 2, "task.kill", "ends one task and all it started", SYKLI_ROLE_operator, false, kill, 1,
          sykli__node_op_kill, NULL },
        { 3, "workers.scale", "changes the number of workers", SYKLI_ROLE_operator, false, scale, 1,
          sykli__node_op_scale, NULL },
        { 4, "config.set", "sets a key of this node until it restarts", SYKLI_ROLE_owner, false,
          set, 2, sykli__node_op_config_set, NULL },
        { 5, "cache.gc", "removes what was not used for longest", SYKLI_ROLE_operator, false, gc, 2,
          sykli__node_op_cache_gc, NULL },
        { 6, "action.get", "the stored result of an action", SYKLI_ROLE_member, false, get, 1,
          sykli__node_op_action_get, NULL },
        { 7, "cache.clear", "empties the cache", SYKLI_ROLE_owner, false, NULL, 0,
          sykli__node_op_cache_clear, NULL },
        { 8, "cache.verify", "reads every blob, sets damaged ones aside", SYKLI_ROLE_owner, false,
          NULL, 0, sykli__node_op_cache_verify, NULL },
        { 9, "cache.stats", "how much the cache holds", SYKLI_ROLE_observer, false, NULL, 0,
          sykli__node_op_cache_stats, NULL },
        { 10, "action.have", "which of these actions are here", SYKLI_ROLE_member, false, have, 1,
          sykli__node_op_action_have, NULL },
        { 11, "gate.approve", "lets a task go on that is held", SYKLI_ROLE_operator, false, gate, 3,
          sykli__node_op_approve, NULL },
        { 12, "gate.deny", "ends a task that is held", SYKLI_ROLE_operator, false, gate, 3,
          sykli__node_op_deny, NULL },
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof ops / sizeof *ops; i++)
        rc = sykli__op_add(&s->ops, &ops[i], &s->fault);
    return rc;
}

// ---- opening and closing

static const char *const *sykli__node_environment(void)
{
    extern char **environ;
    return (const char *const *)(const void *)environ;
}

static char *sykli__node_own(sykli *s, const char *text)
{
    for (size_t i = 0; text && i < sizeof s->texts / sizeof *s->texts; i++)
        if (!s->texts[i])
            return s->texts[i] = sykli_mem_text(&s->mem, SYKLI_TAG_node, text, strlen(text));
    return NULL;
}

// $VARIABLE, else $BASE/sykli, else $HOME/FALLBACK/sykli. Without a home it is in the project: in
// /tmp somebody else could have made it before us. What is no absolute path counts as not set (XDG
// Base Directory Specification).
static char *sykli__node_default_dir(sykli *s, const char *variable, const char *base,
                                     const char *fallback)
{
    char path[4096];
    const char *own = getenv(variable), *root = getenv(base), *home = getenv("HOME");
    if (own && *own) return sykli__node_own(s, own);
    if (root && *root == '/') snprintf(path, sizeof path, "%s/sykli", root);
    else if (home && *home == '/') snprintf(path, sizeof path, "%s/%s/sykli", home, fallback);
    else snprintf(path, sizeof path, "%s/.sykli/%s", s->desc.project_dir, fallback + 1);
    return sykli__node_own(s, path);
}

static void sykli__node_clean_name(char *name)
{
    for (char *p = name; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
        bool good = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || strchr("._-", *p);
        if (!good) *p = '-';
    }
}

static int sykli__node_take_name(sykli *s, const char *given)
{
    if (given) {
        size_t size = strlen(given);
        if (!size || size > SYKLI_NODE_NAME_MAX
            || strspn(given, "abcdefghijklmnopqrstuvwxyz0123456789._-") != size)
            return sykli_fail(&s->fault, SYKLI_EINVAL, "node name '%.80s': give 1 to %d of "
                              "[a-z0-9._-]", given, SYKLI_NODE_NAME_MAX);
        memcpy(s->node_name, given, size + 1);
        return 0;
    }
    if (s->sys.host_name(s->sys.user, s->node_name, sizeof s->node_name) < 0 || !s->node_name[0])
        snprintf(s->node_name, sizeof s->node_name, "localhost");
    sykli__node_clean_name(s->node_name);
    return 0;
}

// Copies the desc and settles every default: the one place where defaults are decided.
static int sykli__node_take_desc(sykli *s, const sykli_desc *desc)
{
    static const sykli_desc none = { 0 };
    if (!desc) desc = &none;
    s->desc = *desc;
    s->desc.sys = &s->sys;
    s->mem.max_bytes = desc->memory_max_bytes;
    int processors = s->sys.processors(s->sys.user);
    s->processors = processors > 0 ? (uint32_t)processors : 1;
    if (!s->desc.workers_max) s->desc.workers_max = s->processors;
    if (!s->desc.threads_max)
        s->desc.threads_max = s->processors < SYKLI__POOL_DEFAULT ? s->processors
                                                                  : SYKLI__POOL_DEFAULT;
    if (!s->desc.tasks_max) s->desc.tasks_max = SYKLI_TASKS_MAX;
    s->desc.project_dir = sykli__node_own(s, desc->project_dir ? desc->project_dir : ".");
    if (s->desc.project_dir)
        s->desc.cache_dir = desc->cache_dir ? sykli__node_own(s, desc->cache_dir)
            : sykli__node_default_dir(s, "SYKLI_CACHE", "XDG_CACHE_HOME", ".cache");
    bool owned = s->desc.project_dir && s->desc.cache_dir;
    if (desc->project) owned &= (s->desc.project = sykli__node_own(s, desc->project)) != NULL;
    if (desc->state_dir) owned &= (s->desc.state_dir = sykli__node_own(s, desc->state_dir)) != NULL;
    if (desc->log_dir) owned &= (s->desc.log_dir = sykli__node_own(s, desc->log_dir)) != NULL;
    if (desc->target_fingerprint)
        owned &= NULL != (s->desc.target_fingerprint =
                              sykli__node_own(s, desc->target_fingerprint));
    if (!owned) return sykli_fail(&s->fault, SYKLI_ENOMEM, "out of memory");
    if (desc->workers_max > SYKLI__NODE_WORKERS_MAX || desc->tasks_max > SYKLI_TASKS_MAX)
        return sykli_fail(&s->fault, SYKLI_ELIMIT, "at most %u as workers_max, %u as tasks_max",
                          SYKLI__NODE_WORKERS_MAX, SYKLI_TASKS_MAX);
    int rc = sykli__node_take_name(s, desc->node_name);
    s->desc.node_name = s->node_name;
    s->slots = s->desc.workers_max;
    return rc;
}

static void sykli__node_on_event(void *user, const sykli_event *event)
{
    sykli *s = (sykli *)user;
    s->news = true;
    if (s->events_open) sykli__event_store(&s->events, event);
    if (s->desc.on_event) s->desc.on_event(s->desc.on_event_user, event);
}

static void sykli__node_on_config(void *user, const char *key)
{
    sykli *s = (sykli *)user;
    uint64_t workers = sykli__config_u64(s->config.current, SYKLI__CONFIG_workers);
    if (!strcmp(key, "workers"))
        sykli__node_workers(s, workers ? (uint32_t)workers : s->processors);
    if (!strcmp(key, "kill.grace"))
        s->drive.sched.grace_ms =
            (uint32_t)sykli__config_u64(s->config.current, SYKLI__CONFIG_kill_grace);
}

// Keys that the environment sets: SYKLI_KILL_GRACE=2s.
static int sykli__node_config_env(sykli *s)
{
    char name[SYKLI__CONFIG_NAME_MAX + 8];
    int rc = 0;
    for (size_t i = 0; !rc && i < s->config.count; i++) {
        const char *key = s->config.entries[i].key.name;
        const char *value = getenv(sykli__config_env_name(key, name));
        if (value && *value) rc = sykli__config_set(&s->config, SYKLI_CONFIG_environment, key,
                                                    value, &s->fault);
    }
    return rc;
}

// The pipe that ends a wait from elsewhere. Its end for writing must not block, or who wakes waits.
static int sykli__node_open_wake(sykli *s)
{
    int rc = s->sys.pipe(s->sys.user, s->wake);
    if (rc < 0) s->wake[0] = s->wake[1] = -1;
    else if ((rc = s->sys.nonblock(s->sys.user, s->wake[1])) >= 0) return 0;
    for (int i = 0; i < 2; i++) {
        if (s->wake[i] >= 0) s->sys.close(s->sys.user, s->wake[i]);
        s->wake[i] = -1;
    }
    return sykli_fail_sys(&s->fault, rc, "the pipe that wakes the loop");
}

static int sykli__node_open_parts(sykli *s)
{
    int rc = sykli__event_init(&s->events, &s->mem, 0, &s->fault);
    s->events_open = !rc;
    if (!rc) rc = sykli__config_init(&s->config, &s->mem, s->seed, &s->fault);
    s->config.changed = sykli__node_on_config;
    s->config.changed_user = s;
    if (!rc) rc = sykli__node_config_env(s);
    if (!rc) rc = sykli__node_add_tables(s);
    if (!rc) rc = sykli__node_add_ops(s);
    if (!rc) rc = sykli__node_open_wake(s);
    if (!rc && s->desc.log_max_bytes) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)s->desc.log_max_bytes);
        rc = sykli__config_set(&s->config, SYKLI_CONFIG_command, "log.max_bytes", text, &s->fault);
    }
    return rc;
}

sykli *sykli_open(const sykli_desc *desc)
{
    sykli_sys sys;
    if (desc && desc->sys) sys = *desc->sys;
    else sykli_sys_init(&sys);
    sykli *s = (sykli *)sys.resize(sys.user, NULL, 0, sizeof *s, SYKLI_TAG_node);
    if (!s) return NULL;
    memset(s, 0, sizeof *s);
    s->sys = sys;
    s->mem.sys = &s->sys;
    s->wake[0] = s->wake[1] = -1;
    s->opened_at = sys.wall_ms(sys.user);
    sykli_buf_init(&s->scratch, &s->mem, SYKLI_TAG_node);
    int rc = sys.random(sys.user, s->seed, sizeof s->seed);
    if (rc < 0) rc = sykli_fail_sys(&s->fault, rc, "no random numbers");
    else rc = 0;
    sykli__table_init(&s->tables, &s->mem, s->seed);
    sykli__op_init(&s->ops, &s->mem, s->seed);
    if (!rc) rc = sykli__node_take_desc(s, desc);
    sykli__drive_init(&s->drive, &s->mem, &s->fault, &s->desc, s->seed);
    s->drive.hooks = &s->hooks;
    s->drive.config = &s->config;
    s->drive.on_event = sykli__node_on_event;
    s->drive.on_event_user = s;
    if (!rc) rc = sykli__node_open_parts(s);
    s->opened = !rc;
    if (rc) s->sticky = s->fault;
    return s;
}

void sykli_close(sykli *s)
{
    if (!s) return;
    assert(!s->pumping); // not from inside a callback
    for (size_t i = 0; i < s->request_count; i++) {
        if (s->requests[i]->used) sykli_request_close(s, sykli__node_handle(s, i));
        sykli_mem_resize(&s->mem, SYKLI_TAG_node, s->requests[i], sizeof *s->requests[i], 0);
    }
    if (s->requests) sykli_mem_resize(&s->mem, SYKLI_TAG_node, s->requests,
                                      s->request_capacity * sizeof *s->requests, 0);
    sykli__drive_free(&s->drive);
    if (s->store_open) sykli__store_close(&s->store);
    sykli__config_free(&s->config);
    if (s->events_open) sykli__event_free(&s->events);
    sykli__op_free(&s->ops);
    sykli__table_free(&s->tables);
    sykli_buf_free(&s->scratch);
    for (size_t i = 0; i < sizeof s->texts / sizeof *s->texts; i++)
        sykli_mem_text_free(&s->mem, SYKLI_TAG_node, s->texts[i]);
    for (int i = 0; i < 2; i++)
        if (s->wake[i] >= 0) s->sys.close(s->sys.user, s->wake[i]);
    sykli_sys sys = s->sys;
    assert(s->mem.total_bytes == 0);
    sys.resize(sys.user, s, sizeof *s, 0, SYKLI_TAG_node);
}

const char *sykli_errmsg(const sykli *s) { return s->fault.text; }

int sykli_error(const sykli *s) { return s->sticky.code; }
int sykli_last_error(const sykli *s) { return s->fault.code; }

int sykli_set_error(sykli *s, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->fault.text, sizeof s->fault.text, format, args);
    va_end(args);
    return s->fault.code = code;
}

sykli_mem *sykli_memory(sykli *s) { return &s->mem; }
const sykli_sys *sykli_system(sykli *s) { return &s->sys; }
const char *sykli_node_name(sykli *s) { return s->node_name; }
int sykli_node_rename(sykli *s, const char *name) { return sykli__node_take_name(s, name); }
uint64_t sykli_now_ms(sykli *s) { return s->sys.now_ns(s->sys.user) / 1000000u; }

void sykli_event_put(sykli *s, const sykli_event *event)
{
    sykli_event stamped = *event;
    if (!stamped.at_ms) stamped.at_ms = s->sys.wall_ms(s->sys.user);
    sykli__node_on_event(s, &stamped);
}

// ---- the public calls on tasks and runs

// Makes an error stick.
static sykli_task sykli__node_stick(sykli *s, int64_t rc)
{
    if (rc >= 0) return sykli__drive_handle(&s->drive, (uint32_t)rc);
    sykli__node_say(s, (int)rc);
    if (!s->sticky.code) s->sticky = s->fault;
    return (sykli_task){ 0 };
}

static int64_t sykli__node_number(sykli *s, sykli_task task)
{
    uint64_t number = task.id & UINT32_MAX;
    if (task.id >> 32 == s->drive.tag && number && number <= s->drive.task_count)
        return (int64_t)number - 1;
    return sykli_fail(&s->fault, SYKLI_ESTALE, "task handle %llu is not of this context",
                      (unsigned long long)task.id);
}

int sykli_add_after(sykli *s, sykli_task task, sykli_task before)
{
    if (sykli__node_stuck(s)) return s->sticky.code;
    s->fault.code = 0;
    int64_t after_number = sykli__node_number(s, task);
    int64_t before_number = sykli__node_number(s, before);
    int64_t rc = after_number < 0 ? after_number : before_number;
    if (rc >= 0 && (s->drive.started || s->drive.ready))
        rc = sykli_fail(&s->fault, SYKLI_EINVAL,
                        "add edges before the run is started or explained");
    if (rc >= 0) rc = sykli__sched_add_edge(&s->drive.sched, (uint32_t)before_number,
                                            (uint32_t)after_number);
    if (rc == SYKLI_ECYCLE)
        sykli_fail(&s->fault, SYKLI_ECYCLE, "task '%s' comes after itself",
                   s->drive.tasks[after_number].name);
    if (rc < 0) sykli__node_stick(s, rc);
    return (int)rc;
}

sykli_task sykli_add(sykli *s, const sykli_task_desc *desc)
{
    if (sykli__node_stuck(s)) return (sykli_task){ 0 };
    s->fault.code = 0;
    sykli_task task = sykli__node_stick(s, sykli__drive_add(&s->drive, desc));
    for (size_t i = 0; task.id && i < SYKLI_INLINE_MAX && desc->after[i].id; i++)
        if (sykli_add_after(s, task, desc->after[i])) task.id = 0;
    for (size_t i = 0; task.id && i < desc->after_count; i++)
        if (sykli_add_after(s, task, desc->after_list[i])) task.id = 0;
    for (size_t i = 0; task.id && i < desc->intake_count; i++)
        if (sykli_add_intake(s, task, &desc->intake_list[i])) task.id = 0;
    return task;
}

int sykli_add_intake(sykli *s, sykli_task task, const sykli_intake *intake)
{
    int rc = sykli_add_after(s, task, intake->from);
    if (rc) return rc;
    rc = sykli__drive_add_intake(&s->drive, (uint32_t)sykli__node_number(s, task),
                                 (uint32_t)sykli__node_number(s, intake->from), intake);
    if (rc) sykli__node_stick(s, rc);
    return rc;
}

sykli_task sykli_find(sykli *s, const char *name)
{
    const uint64_t *number = sykli_map_get(&s->drive.names, name, strlen(name));
    return number ? sykli__drive_handle(&s->drive, (uint32_t)*number) : (sykli_task){ 0 };
}

// Makes every folder of a path that is not there.
static void sykli__node_make_dirs(sykli *s, const char *path)
{
    char part[SYKLI__TREE_PATH_MAX];
    size_t size = strlen(path);
    for (size_t at = 1; at <= size && size < sizeof part; at++) {
        if (at < size && path[at] != '/') continue;
        memcpy(part, path, at);
        part[at] = 0;
        s->sys.mkdir(s->sys.user, SYKLI_CWD, part, 0700); // what is missing shows when it is used
    }
}

int sykli_start(sykli *s)
{
    if (sykli__node_stuck(s)) return s->sticky.code;
    if (s->drive.started)
        return sykli_fail(&s->fault, SYKLI_EINVAL, "the run has started already: one a context");
    s->fault.code = 0;
    if (s->desc.state_dir) sykli__node_make_dirs(s, s->desc.state_dir);
    if (s->desc.state_dir) sykli__rows_sweep(&s->mem, s->desc.state_dir, SYKLI__NODE_ROWS_AGE_MS);
    int rc = s->desc.no_cache ? 0 : sykli__node_store(s);
    // A full disk or a folder that is not ours is no reason not to build.
    if (rc == SYKLI_EIO || rc == SYKLI_EPERM) {
        s->drive.cache_note = sykli__drive_keep_text(&s->drive, s->fault.text);
        rc = 0;
    }
    s->drive.store = s->store_open ? &s->store : NULL;
    if (!rc && (rc = sykli__drive_take(&s->drive)) == SYKLI_EBUSY) return rc;
    if (!rc) rc = sykli__drive_start(&s->drive, sykli__node_environment());
    if (rc) sykli__node_stick(s, rc);
    return rc;
}

int sykli_fds(sykli *s, sykli_poll_fd *out, int max)
{
    if (max > 0) out[0] = (sykli_poll_fd){ s->wake[0], SYKLI_POLL_in, 0 };
    int count = 1 + sykli__drive_fds(&s->drive, max > 0 ? out + 1 : out, max > 0 ? max - 1 : 0);
    int room = count < max ? max - count : 0;
    return count + (s->hooks.fds ? s->hooks.fds(s->hooks.user, out + (room ? count : 0), room) : 0);
}

int sykli_deadline_ms(sykli *s)
{
    uint64_t now = sykli_now_ms(s), due = sykli__drive_deadline(&s->drive);
    for (size_t i = 0; i < s->request_count; i++)
        if (s->requests[i]->used && !s->requests[i]->ended && !s->requests[i]->routed
            && s->requests[i]->deadline_ms && s->requests[i]->deadline_ms < due)
            due = s->requests[i]->deadline_ms; // whoever routes a request keeps its deadline
    int hook_ms = s->hooks.deadline_ms ? s->hooks.deadline_ms(s->hooks.user) : -1;
    if (hook_ms >= 0 && now + (uint64_t)hook_ms < due) due = now + (uint64_t)hook_ms;
    if (s->news) due = now;
    if (due == SYKLI__SCHED_NEVER) return -1;
    return due <= now ? 0 : due - now > INT32_MAX ? INT32_MAX : (int)(due - now);
}

int sykli_pump(sykli *s)
{
    char drain[64];
    if (!s->drive.live && sykli__node_stuck(s)) return s->sticky.code;
    if (s->pumping)
        return sykli_fail(&s->fault, SYKLI_EBUSY, "the loop runs already: not from a callback");
    s->pumping = true;
    while (s->sys.read(s->sys.user, s->wake[0], drain, sizeof drain) == (int64_t)sizeof drain) {}
    if (s->drive.live) sykli__drive_pump(&s->drive);
    sykli__node_notify(s);
    if (s->hooks.pump) s->hooks.pump(s->hooks.user);
    bool running = s->drive.live && !sykli__drive_end(&s->drive);
    s->pumping = false;
    return running;
}

int sykli_poll(sykli *s, int timeout_ms)
{
    sykli_poll_fd some[64], *fds = some;
    if (s->pumping || (s->sticky.code && !s->drive.live)) return sykli_pump(s); // says why not
    int room = 64, count = sykli_fds(s, fds, room);
    if (count > room) {
        fds = (sykli_poll_fd *)sykli_mem_resize(&s->mem, SYKLI_TAG_node, NULL, 0,
                                                (size_t)count * sizeof *fds);
        if (fds) sykli_fds(s, fds, room = count);
        else fds = some; // watch the first ones and look at all of them soon
    }
    int due = sykli_deadline_ms(s), watched = count < room ? count : room;
    if (count > room && (due < 0 || due > 10)) due = 10;
    if (timeout_ms >= 0 && (due < 0 || timeout_ms < due)) due = timeout_ms;
    s->sys.poll(s->sys.user, fds, watched, due);
    if (fds != some)
        sykli_mem_resize(&s->mem, SYKLI_TAG_node, fds, (size_t)count * sizeof *fds, 0);
    return sykli_pump(s);
}

int sykli_run(sykli *s)
{
    int rc;
    while ((rc = sykli_start(s)) == SYKLI_EBUSY && !s->sticky.code) sykli_poll(s, 100);
    if (rc) return rc;
    while ((rc = sykli_poll(s, -1)) > 0) {}
    return rc < 0 ? rc : (int)s->drive.failed;
}

static int sykli__node_emit(sykli *s)
{
    sykli_buf text;
    sykli_buf_init(&text, &s->mem, SYKLI_TAG_json);
    int rc = sykli__node_stuck(s) ? s->sticky.code : sykli__drive_emit(&s->drive, &text);
    if (!rc && (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout)))
        rc = sykli_fail(&s->fault, SYKLI_EIO, "cannot write the graph");
    sykli_buf_free(&text);
    return rc;
}

int sykli_main(sykli *s, int argc, char **argv)
{
    bool emit = sykli__emit_asked(argc, argv);
    int rc = !s ? SYKLI_ENOMEM : emit ? sykli__node_emit(s) : sykli_run(s);
    if (rc >= 0 && !emit)
        sykli_print(s, stdout, "SELECT name, status, duration_ms, reason FROM tasks");
    if (rc < 0) fprintf(stderr, "%s\n", s ? sykli_errmsg(s) : sykli_error_text(rc));
    sykli_close(s);
    return rc < 0 ? 2 : rc != 0;
}

void sykli_wakeup(sykli *s)
{
    char byte = 1;
    int saved = errno; // it may be whoever we interrupted who looks at it next
    if (s->wake[1] >= 0) s->sys.write(s->sys.user, s->wake[1], &byte, 1);
    errno = saved;
}

int sykli_run_cancel(sykli *s)
{
    if (!s->drive.live || s->drive.ended)
        return sykli_fail(&s->fault, SYKLI_ENOENT, "no run is in progress here");
    sykli__drive_fact(&s->drive, SYKLI__SCHED_CANCEL, 0, true);
    sykli__drive_unask(&s->drive);
    sykli_wakeup(s);
    return 0;
}

int sykli_task_kill(sykli *s, sykli_task task)
{
    int64_t number = sykli__node_number(s, task);
    if (number < 0) return (int)number;
    if (!s->drive.live || s->drive.sched.tasks[number].status != SYKLI_STATUS_running)
        return sykli_fail(&s->fault, SYKLI_ENOENT, "task '%s' is not running",
                          s->drive.tasks[number].name);
    sykli__drive_fact(&s->drive, SYKLI__SCHED_KILL, (uint32_t)number, true);
    sykli_wakeup(s);
    return 0;
}

int sykli_task_decide(sykli *s, sykli_task task, sykli_status verdict, const char *reason)
{
    int64_t number = sykli__node_number(s, task);
    if (number < 0) return (int)number;
    sykli__drive_task *t = &s->drive.tasks[number];
    if (verdict != SYKLI_STATUS_passed && verdict != SYKLI_STATUS_skipped
        && verdict != SYKLI_STATUS_failed && verdict != SYKLI_STATUS_errored)
        return sykli_fail(&s->fault, SYKLI_EINVAL, "task '%s': a verdict is passed, skipped, "
                          "failed or errored", t->name);
    if (!s->drive.live || s->drive.sched.tasks[number].status != SYKLI_STATUS_ready)
        return sykli_fail(&s->fault, SYKLI_ENOENT, "task '%s' is not held", t->name);
    if (reason) sykli__drive_set_reason(&s->drive, t, reason);
    t->decided = (uint8_t)(1 + verdict);
    sykli__sched_fact fact = { SYKLI__SCHED_DECIDED, (uint32_t)number,
                               verdict == SYKLI_STATUS_passed, verdict };
    sykli__sched_step(&s->drive.sched, sykli__drive_now(&s->drive), &fact);
    sykli_wakeup(s);
    return 0;
}

int sykli_workers_scale(sykli *s, uint32_t count)
{
    char text[16];
    if (!s->opened) return sykli__node_check(s);
    if (!count) return sykli_fail(&s->fault, SYKLI_EINVAL, "workers: give 1 to 4096");
    snprintf(text, sizeof text, "%u", count);
    return sykli__config_set(&s->config, SYKLI_CONFIG_override, "workers", text, &s->fault);
}

int sykli_task_get(sykli *s, sykli_task task, sykli_task_info *out)
{
    int64_t number = sykli__node_number(s, task);
    if (number < 0) return (int)number;
    const sykli__drive_task *t = &s->drive.tasks[number];
    const sykli__sched_task *st = &s->drive.sched.tasks[number];
    memset(out, 0, sizeof *out);
    out->name = t->name;
    out->command = t->command;
    out->reason = t->reason ? t->reason : "";
    out->from = t->from ? t->from : "";
    out->status = (sykli_status)st->status;
    out->exit_code = t->exit_code;
    out->signal = t->signal;
    out->attempt = (int)st->attempt;
    out->pid = t->job ? t->pid : 0;
    out->duration_ms = t->run_ms;
    out->cpu_ms = t->cpu_ms;
    out->rss_max_bytes = t->rss_max_bytes;
    out->read_bytes = t->read_bytes;
    out->write_bytes = t->write_bytes;
    out->saved_ms = t->saved_ms;
    out->started_at_ms = (uint64_t)t->started_at_ms;
    if (t->has_key) sykli_hex(out->key, t->key.bytes, 32);
    if (!sykli__store_none(&t->log)) sykli_hex(out->log_id, t->log.bytes, 32);
    out->log_path = t->log_path ? t->log_path : "";
    out->changed = t->changed ? t->changed : "";
    return 0;
}

int sykli_explain_against(sykli *s, sykli_task task, const char *run, sykli_buf *out)
{
    int64_t number = sykli__node_number(s, task);
    if (number < 0) return (int)number;
    if (sykli__node_stuck(s)) return s->sticky.code;
    s->fault.code = 0;
    int rc = s->desc.no_cache ? 0 : sykli__node_store_look(s);
    s->drive.store = s->store_open ? &s->store : NULL;
    // Where no history can be made there is none: nothing in it is needed.
    if (!rc && !s->drive.started && sykli__drive_look(&s->drive) == SYKLI_ENOMEM)
        rc = SYKLI_ENOMEM;
    if (!rc && (rc = sykli__drive_ready(&s->drive, sykli__node_environment())))
        sykli__node_stick(s, rc); // half ready, it cannot be done again
    return sykli__node_say(s, rc ? rc : sykli__drive_explain(&s->drive, (uint32_t)number, run,
                                                             out));
}

int sykli_explain(sykli *s, sykli_task task, sykli_buf *out)
{
    return sykli_explain_against(s, task, NULL, out);
}

const char *sykli_cache_note(const sykli *s)
{
    return s->drive.cache_note ? s->drive.cache_note : "";
}

int sykli_config_set(sykli *s, const char *key, const char *value)
{
    return s->opened ? sykli__config_set(&s->config, SYKLI_CONFIG_command, key, value, &s->fault)
                     : sykli__node_check(s);
}

const char *sykli_config_get(sykli *s, const char *key)
{
    return sykli__config_get(&s->config, key);
}

static int sykli__node_config(sykli *s, sykli_config_layer layer, const char *json, size_t size,
                              bool apply, uint64_t version)
{
    sykli_json_doc doc;
    int rc = s->opened ? sykli_json_parse(&doc, &s->mem, json, size, &s->fault)
                       : sykli__node_check(s);
    if (rc) return rc;
    rc = apply ? sykli__config_apply(&s->config, layer, &doc, version, &s->fault)
               : sykli__config_verify(&s->config, layer, &doc, &s->fault);
    sykli_json_free(&doc);
    return rc;
}

int sykli_config_verify(sykli *s, const char *json, size_t size)
{
    return sykli__node_config(s, SYKLI_CONFIG_pushed, json, size, false, 0);
}

int sykli_config_apply(sykli *s, const char *json, size_t size, uint64_t version)
{
    return sykli__node_config(s, SYKLI_CONFIG_pushed, json, size, true, version);
}

int sykli_config_load(sykli *s, sykli_config_layer layer, const char *json)
{
    return sykli__node_config(s, layer, json, strlen(json), true, 0);
}

int sykli_config_key_add(sykli *s, const sykli_config_key *key)
{
    return s->opened ? sykli__config_key_add(&s->config, key, &s->fault) : sykli__node_check(s);
}

void sykli_workers(sykli *s, uint32_t *busy, uint32_t *total)
{
    *busy = s->slots_busy;
    *total = s->slots;
    for (const sykli__drive_job *job = s->drive.jobs; job; job = job->next)
        *busy += job->spawned && !job->slot;
}

int sykli_table_add(sykli *s, const sykli_table *table)
{
    return s->opened ? sykli__table_add(&s->tables, table, &s->fault) : sykli__node_check(s);
}

int sykli_table_replace(sykli *s, const sykli_table *table, sykli_table *out_before)
{
    return s->opened ? sykli__table_replace(&s->tables, table, out_before, &s->fault)
                     : sykli__node_check(s);
}

void sykli_forget(sykli *s, const void *user)
{
    sykli__table_forget(&s->tables, user);
    sykli__op_forget(&s->ops, user);
}

int sykli_op_add(sykli *s, const sykli_op *op)
{
    return s->opened ? sykli__op_add(&s->ops, op, &s->fault) : sykli__node_check(s);
}

void sykli_hooks_set(sykli *s, const sykli_hooks *hooks)
{
    sykli__drive_unhook(&s->drive);
    for (size_t i = 0; i < s->request_count; i++) {
        sykli__node_request *r = s->requests[i];
        if (!r->used || !r->routed) continue;
        r->routed = false;
        sykli__node_request_end(r, SYKLI_ECLOSED, "the way to the other node was taken away");
        if (r->ready) r->ready(r->user, sykli__node_handle(s, i));
    }
    if (hooks) s->hooks = *hooks;
    else memset(&s->hooks, 0, sizeof s->hooks);
}

void sykli_hook_done(sykli *s, uint64_t ticket, int code, const char *from)
{
    sykli__drive_hook_done(&s->drive, ticket, code, from);
}

int sykli_print(sykli *s, void *file, const char *query)
{
    sykli_buf body, text;
    sykli_buf_init(&body, &s->mem, SYKLI_TAG_query);
    sykli_buf_init(&text, &s->mem, SYKLI_TAG_query);
    s->fault.code = 0;
    int rc = sykli__node_check(s);
    if (!rc) rc = sykli__query_run(&s->tables, &s->mem, query, SYKLI_ROLE_owner, s->node_name,
                                   false, &body, &s->fault);
    sykli_result *result = rc < 0 ? NULL : sykli_result_decode(&s->mem, body.data, body.size,
                                                               &s->fault);
    if (rc >= 0 && !result) rc = s->fault.code ? s->fault.code : SYKLI_ENOMEM;
    if (result) {
        rc = sykli_result_render(result, SYKLI_FORMAT_table, &text);
        if (rc >= 0 && fwrite(text.data, 1, text.size, (FILE *)file) != text.size)
            rc = sykli_fail(&s->fault, SYKLI_EIO, "cannot write the table");
        if (rc >= 0) rc = (int)sykli_result_rows(result);
        sykli_result_free(result);
    }
    sykli_buf_free(&body);
    sykli_buf_free(&text);
    return sykli__node_say(s, rc);
}

// ---- the store, for the mesh and for programs

sykli_blob_writer *sykli_blob_begin(sykli *s, const sykli_digest *expected, uint64_t size_bytes)
{
    sykli_blob_writer *w;
    if (sykli__node_store(s)) return NULL;
    return sykli__store_writer_begin(&s->store, expected, size_bytes, &w, &s->fault) ? NULL : w;
}

int sykli_blob_write(sykli *s, sykli_blob_writer *w, const void *data, size_t size)
{
    return sykli__store_writer_write(w, data, size, &s->fault);
}

int sykli_blob_end(sykli *s, sykli_blob_writer *w)
{
    return sykli__store_writer_end(w, NULL, &s->fault);
}

void sykli_blob_abort(sykli_blob_writer *w) { sykli__store_writer_abort(w); }

bool sykli_blob_have(sykli *s, const sykli_digest *id, uint64_t *out_size)
{
    return !sykli__node_store(s) && sykli__store_have(&s->store, id, out_size);
}

int64_t sykli_blob_read(sykli *s, const sykli_digest *id, uint64_t at, void *out, size_t size)
{
    int rc = sykli__node_store(s);
    return rc ? rc : sykli__store_read(&s->store, id, at, out, size, &s->fault);
}

int sykli_blob_verify(sykli *s, const sykli_digest *id)
{
    int rc = sykli__node_store(s);
    return rc ? rc : sykli__store_verify(&s->store, id, &s->fault);
}

int sykli_entry_load(sykli *s, const char *key, sykli_buf *out)
{
    int rc = sykli__node_store(s);
    return rc ? rc : sykli__store_entry_load(&s->store, key, out, &s->fault);
}

int sykli_entry_store(sykli *s, const char *key, const char *json, size_t size)
{
    int rc = sykli__node_store(s);
    if (!rc) rc = sykli__store_entry_put_json(&s->store, key, json, size, false, &s->fault);
    if (!rc) sykli__store_keep(&s->store, sykli__drive_quota(&s->drive), SYKLI__DRIVE_SLACK_BYTES);
    return rc;
}

SYKLI_PLAIN_END
#endif // SYKLI_IMPLEMENTED
#endif // SYKLI_IMPLEMENTATION
