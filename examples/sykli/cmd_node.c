// A node: what listens, has peers, lends its workers and answers for the runs of its machine.
#define _GNU_SOURCE 1
#include "ask.h"
#include "config_file.h"
#include "secret.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS_MAX = 64, PORT_DEFAULT = 4370, GOODBYE_MS = 100, STOP_MS = 10000,
       OP_STATUS = 100, OP_STOP = 101 };

static const cli_option options[] = {
    { "name", 0, "NAME", "of the node; default: as it joined, else the host's" },
    { "listen", 0, "ADDR:PORT", "where peers dial in; default: mesh.listen, mesh.port, or not" },
    { "advertise", 0, "ADDR:PORT", "what peers dial, if that is another address" },
    { "seed", 0, "ADDR:PORT", "a node to dial; may be given several times" },
    { "workers", 0, "N", "tasks at once; default: number of processors" },
    { "config", 0, "FILE", "instead of the usual sykli.yaml" },
    { "detach", 0, NULL, "return when the node is ready; it goes on" },
    { NULL, 0, NULL, NULL }
};

typedef struct node {
    cli *c;
    sykli *s;
    sykli_mesh *mesh;
    config_file file;
    const char *id, *address;
    uint64_t begun_ms;
    bool stopping;
    int ready_fd; // of the one who waits for us with --detach, else -1
} node;

// The one thing a signal may touch: which came, and the context that sleeps.
static volatile sig_atomic_t signal_got;
static sykli *volatile signal_context;

static void on_signal(int number)
{
    signal_got = number;
    if (signal_context) sykli_wakeup(signal_context);
}

static void catch_signals(sykli *s)
{
    struct sigaction action = { .sa_handler = on_signal };
    sigemptyset(&action.sa_mask);
    signal_context = s;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

// ---- what it says ----

static void on_event(void *user, const sykli_event *e)
{
    char at[64];
    const node *n = user;
    bool told = e->kind == SYKLI_EVENT_nodeup || e->kind == SYKLI_EVENT_nodedown
             || e->kind == SYKLI_EVENT_config || e->kind == SYKLI_EVENT_note;
    if (!told || n->c->json) return;
    printf("%s %s ", sykli_format_time(at, e->at_ms), sykli_event_names[e->kind]);
    cli_put(stdout, e->name ? e->name : "", 0);
    if (e->text_size) {
        putchar(' ');
        cli_put_output(stdout, e->text, e->text_size, false);
    }
    putchar('\n');
    fflush(stdout);
}

// ---- its ops ----

// A number that a query of our own tables gives.
static uint64_t count_of(node *n, const char *query)
{
    asking a = { .c = n->c, .s = n->s };
    sykli_result *r = ask_query(&a, NULL, query);
    uint64_t value = 0;
    if (r && sykli_result_rows(r)) {
        sykli_value v = sykli_result_cell(r, 0, sykli_result_columns(r) - 1);
        if (v.kind == SYKLI_KIND_U64) value = v.u64;
    }
    sykli_result_free(r);
    return value;
}

// Our own row of the table `nodes`.
static void learn_self(node *n)
{
    asking a = { .c = n->c, .s = n->s };
    sykli_result *r = ask_query(&a, NULL, cli_print(n->c, "SELECT id, address FROM nodes "
                                                          "WHERE name = '%s'",
                                                    sykli_node_name(n->s)));
    n->id = r && sykli_result_rows(r) ? ask_cell(n->c, r, 0, "id") : "";
    n->address = r && sykli_result_rows(r) ? ask_cell(n->c, r, 0, "address") : "";
    sykli_result_free(r);
}

static void put_text(sykli_buf *out, const char *name, const char *value)
{
    sykli_buf_print(out, "%s\"%s\":", out->size > 1 ? "," : "", name);
    sykli_json_quote(out, value, strlen(value));
}

static void put_number(sykli_buf *out, const char *name, uint64_t value)
{
    sykli_buf_print(out, ",\"%s\":%llu", name, (unsigned long long)value);
}

// A node lives long: nothing here takes memory of the command line, which ends with the program.
static int on_status(sykli_call *call)
{
    node *n = call->user;
    sykli_buf *out = call->result;
    uint32_t busy, total;
    sykli_workers(n->s, &busy, &total);
    sykli_buf_text(out, "{");
    put_text(out, "name", sykli_node_name(n->s));
    put_text(out, "id", n->id);
    put_text(out, "address", n->address);
    put_text(out, "version", SYKLI_VERSION);
    put_number(out, "peers", count_of(n, "SELECT count(*) FROM peers"));
    put_number(out, "workers_busy", busy);
    put_number(out, "workers_total", total);
    put_number(out, "sessions", count_of(n, "SELECT count(*) FROM links WHERE kind = client"));
    put_number(out, "uptime_ms", sykli_now_ms(n->s) - n->begun_ms);
    put_number(out, "pid", (uint64_t)getpid());
    return sykli_buf_text(out, "}");
}

static int on_stop(sykli_call *call)
{
    node *n = call->user;
    n->stopping = true;
    return 0;
}

static int add_ops(node *n)
{
    const sykli_op status = { .id = OP_STATUS, .name = "node.status", .help = "what the node is",
                              .role = SYKLI_ROLE_observer, .handler = on_status, .user = n };
    const sykli_op stop = { .id = OP_STOP, .name = "node.stop", .help = "ends the node",
                            .role = SYKLI_ROLE_owner, .handler = on_stop, .user = n };
    int rc = sykli_op_add(n->s, &status);
    return rc ? rc : sykli_op_add(n->s, &stop);
}

// ---- what it starts with ----

// A place to dial: NAME@HOST, HOST, with the port or without.
static const char *seed_address(cli *c, const char *text, const char *port)
{
    const char *at = strrchr(text, '@'), *host = at ? at + 1 : text;
    const char *close = strrchr(host, ']'), *colon = strrchr(close ? close : host, ':');
    return colon ? host : cli_print(c, "%s:%s", host, port);
}

static int seeds(node *n, const char *port, const char **out, size_t *count)
{
    cli *c = n->c;
    *count = 0;
    for (int i = 0; i < c->set_count; i++) {
        if (strcmp(c->set[i].name, "seed")) continue;
        if (*count == SEEDS_MAX) break;
        out[(*count)++] = seed_address(c, c->set[i].value, port);
    }
    for (size_t i = 0; i < n->file.count; i++) {
        if (strcmp(n->file.items[i].key, "mesh.seeds")) continue;
        if (*count == SEEDS_MAX)
            return cli_fail(c, CLI_FAILED, "elimit", NULL, "more than %d seeds", SEEDS_MAX);
        out[(*count)++] = seed_address(c, n->file.items[i].value, port);
    }
    return 0;
}

static const char *setting(const node *n, const char *option, const char *variable,
                           const char *key)
{
    return config_file_setting(n->c, &n->file, option, variable, key);
}

static int check_port(cli *c, const char *text)
{
    char *end = NULL;
    unsigned long port = text ? strtoul(text, &end, 10) : 1;
    if (!text || (*text >= '0' && *text <= '9' && !*end && port > 0 && port <= 65535)) return 0;
    return cli_fail(c, CLI_FAILED, "einval", NULL, "mesh.port: %s is no port: 1 to 65535", text);
}

static int open_mesh(node *n)
{
    cli *c = n->c;
    const char *list[SEEDS_MAX], *listen = setting(n, "listen", "SYKLI_MESH_LISTEN", "mesh.listen");
    const char *port = setting(n, NULL, "SYKLI_MESH_PORT", "mesh.port");
    size_t count;
    int code = check_port(c, port);
    char *any = cli_print(c, "0.0.0.0:%s", port ? port : "");
    if (!code) code = seeds(n, port ? port : cli_print(c, "%d", PORT_DEFAULT), list, &count);
    if (code) return code;
    n->mesh = sykli_mesh_open(n->s, &(sykli_mesh_desc){
        .mode = SYKLI_MESH_NODE, .state_dir = c->state_dir,
        .listen = listen ? listen : port ? any : NULL,
        .advertise = setting(n, "advertise", "SYKLI_MESH_ADVERTISE", "mesh.advertise"),
        .seeds = list, .seed_count = count });
    if (n->mesh) return 0;
    int rc = sykli_last_error(n->s);
    if (rc == SYKLI_EBUSY)
        return cli_fail(c, CLI_INFRASTRUCTURE, "ebusy", "`sykli node status` says more",
                        "a node runs in %s already", c->state_dir);
    return cli_fail_sykli(c, rc, sykli_errmsg(n->s));
}

static int open_node(node *n)
{
    cli *c = n->c;
    uint32_t workers;
    int code = cli_number(c, "workers", 0, 1, 4096, &workers);
    if (!code) code = config_file_read(c, cli_value(c, "config"), &n->file);
    if (code) return code;
    n->s = sykli_open(&(sykli_desc){
        .cache_dir = c->cache_dir, .state_dir = c->state_dir, .no_history = true,
        .node_name = config_file_name(c, &n->file),
        .workers_max = workers, .on_event = on_event, .on_event_user = n });
    if (!n->s) return cli_fail_sykli(c, SYKLI_ENOMEM, NULL);
    if (sykli_error(n->s)) return cli_fail_sykli(c, sykli_error(n->s), sykli_errmsg(n->s));
    n->begun_ms = sykli_now_ms(n->s);
    code = config_file_apply(c, &n->file, n->s, workers);
    if (code) return code;
    config_file_notes(c, &n->file);
    if (add_ops(n) < 0) return cli_fail_sykli(c, sykli_last_error(n->s), sykli_errmsg(n->s));
    return open_mesh(n);
}

// ---- its life ----

// Says that it is ready, to stdout and to the one who waits.
static void say_ready(node *n)
{
    learn_self(n);
    if (n->c->json)
        cli_envelope(n->c, true, ask_args(n->c, "{\"name\":%s,\"address\":%s,\"id\":%s,"
                                                "\"pid\":%u}",
                                          sykli_node_name(n->s), n->address, n->id,
                                          (uint64_t)getpid()));
    else
        printf("node %s listening on %s (id %s)\n", sykli_node_name(n->s),
               *n->address ? n->address : "its own socket only", n->id);
    fflush(stdout);
    if (n->ready_fd < 0) return;
    if (write(n->ready_fd, "+", 1) != 1) n->stopping = true;
    close(n->ready_fd);
    n->ready_fd = -1;
    // From now on nobody reads what we say but the log.
    int log = open(cli_print(n->c, "%s/node.log", n->c->state_dir),
                   O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log < 0) log = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (log < 0) return;
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close(log);
}

static int live(node *n)
{
    int rc = 0;
    while (!n->stopping && !signal_got && rc >= 0) rc = sykli_poll(n->s, -1);
    // Whoever told us to stop is to hear that we do.
    uint64_t end = sykli_now_ms(n->s) + GOODBYE_MS;
    for (uint64_t now = 0; n->stopping && (now = sykli_now_ms(n->s)) < end;)
        sykli_poll(n->s, (int)(end - now));
    return rc < 0 ? cli_fail_sykli(n->c, rc, sykli_errmsg(n->s)) : CLI_OK;
}

static int run_node(cli *c, int ready_fd)
{
    // It lives for days and starts nothing: of the environment of whoever started it, only what it
    // may yet read stays, and what says to whom it belongs.
    static const char *const keep[] = { "SYKLI_*", "HOME", "PATH", "LANG", "LC_*", "TZ", NULL };
    node n = { .c = c, .ready_fd = ready_fd };
    secret_hide(true); // it has the keys of the mesh
    int code = open_node(&n);
    if (!code) {
        secret_forget_environment(keep);
        catch_signals(n.s);
        say_ready(&n);
        code = live(&n);
    }
    signal_context = NULL;
    sykli_mesh_close(n.mesh);
    sykli_close(n.s);
    return code;
}

// Runs the node in a child and waits until it is ready or has failed.
static int run_detached(cli *c)
{
    int fds[2], status = 0;
    char byte;
    fflush(NULL);
    if (pipe(fds) < 0)
        return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        return cli_fail(c, CLI_INFRASTRUCTURE, "io", NULL, "fork: %s", strerror(errno));
    if (pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        if (null >= 0) dup2(null, STDIN_FILENO);
        close(fds[0]);
        fcntl(fds[1], F_SETFD, FD_CLOEXEC);
        setsid();
        int code = run_node(c, fds[1]);
        fflush(NULL);
        _exit(code);
    }
    close(fds[1]);
    ssize_t got = read(fds[0], &byte, 1);
    close(fds[0]);
    if (got == 1) return CLI_OK;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : CLI_INFRASTRUCTURE;
}

static int run(cli *c)
{
    int code = cli_arguments(c, 0, 0);
    if (code) return code;
    return cli_has(c, "detach") ? run_detached(c) : run_node(c, -1);
}

// ---- status, stop ----

static int status(cli *c)
{
    asking a;
    sykli_json_doc doc;
    const char *text;
    char time[32];
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    if (ask_call_text(&a, SYKLI_MESH_GATEWAY, "node.status", NULL, &doc, &text))
        code = ask_failed(&a);
    else {
        const char *address = sykli_arg_text(&doc, "address", "");
        sykli_format_duration(time, sykli_arg_u64(&doc, "uptime_ms", 0));
        if (c->json) cli_envelope(c, true, text);
        else
            cli_say(stdout, "node %s, up %s, pid %u\n  Id:        %s\n  Address:   %s\n"
                            "  Peers:     %u\n  Workers:   %u of %u busy\n  State:     %s\n",
                    sykli_arg_text(&doc, "name", ""), time, sykli_arg_u64(&doc, "pid", 0),
                    sykli_arg_text(&doc, "id", ""), *address ? address : "its own socket only",
                    sykli_arg_u64(&doc, "peers", 0), sykli_arg_u64(&doc, "workers_busy", 0),
                    sykli_arg_u64(&doc, "workers_total", 0), c->state_dir);
        sykli_json_free(&doc);
    }
    ask_end(&a);
    return code;
}

// Waits until the session with the node breaks.    returns  ECLOSED, or ETIMEOUT
static int wait_gone(asking *a)
{
    char piece[4096];
    int64_t got = 0;
    uint64_t end = sykli_now_ms(a->s) + STOP_MS;
    sykli_handle request = sykli_request_open(a->s, &(sykli_request){
        .verb = SYKLI_VERB_watch, .node = SYKLI_MESH_GATEWAY, .what = "events" });
    if (!request.id) return SYKLI_ECLOSED;
    for (uint64_t now = end - STOP_MS; got >= 0 && now < end; now = sykli_now_ms(a->s)) {
        got = sykli_request_read(a->s, request, piece, sizeof piece);
        if (!got) sykli_poll(a->s, (int)(end - now));
    }
    sykli_request_close(a->s, request);
    return got < 0 ? SYKLI_ECLOSED
                   : sykli_fail(&a->c->fault, SYKLI_ETIMEOUT, "the node still runs");
}

static int stop(cli *c)
{
    asking a;
    sykli_json_doc answer;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    const char *name = a.node;
    int rc = ask_call(&a, SYKLI_MESH_GATEWAY, "node.stop", NULL, &answer);
    if (!rc) sykli_json_free(&answer);
    if (!rc) rc = wait_gone(&a);
    if (rc && rc != SYKLI_ECLOSED) code = ask_failed(&a);
    else if (c->json) cli_envelope(c, true, ask_args(c, "{\"name\":%s}", name));
    else cli_say(stdout, "node %s has stopped\n", name);
    ask_end(&a);
    return code;
}

static const cli_verb verb_status = { "status", "say how the node of this machine is", "",
                                      "sykli node status --json", NULL, NULL, status };
static const cli_verb verb_stop = { "stop", "end the node of this machine", "", "sykli node stop",
                                    NULL, NULL, stop };
static const cli_verb *const verbs[] = { &verb_status, &verb_stop, NULL };

const cli_verb verb_node = { "node", "run a node of the mesh", "[OPTION...] | status | stop",
                             "sykli node --name laptop --listen 0.0.0.0:4370 --detach", options,
                             verbs, run };
