// Input: a byte for a command line, then what the nodes that it asks answer. Each answer is a byte
// for its form, what it holds, and a byte for how it ends. The command ends in order, nothing that
// was answered drives the terminal, and with --json each line it prints is JSON. Linked with the
// node's own objects, whose mesh is these answers:
// link: -Wl,--wrap=sykli_mesh_open,--wrap=sykli_mesh_close,--wrap=sykli_open,--wrap=sykli_close
#include "fuzz.h"
#include "../examples/sykli/cli.h"
#include "../examples/sykli/verbs.h"
#include "../sykli_mesh.h"
#include <fcntl.h>

enum { WORDS = 12, PRINTED_MAX = 1 << 22, HUGE_BYTES = 1 << 10 };

#define VERB(name) extern const cli_verb verb_##name;
VERBS(VERB)
#undef VERB
#define VERB(name) &verb_##name,
static const cli_verb *const verbs[] = { VERBS(VERB) NULL };
#undef VERB

// Words with a blank between; a query is written with underscores.
static const char *const lines[] = {
    "nodes", "nodes --json", "nodes --format csv", "query SELECT_name,_status_FROM_tasks",
    "query --on all SELECT_name,_status_FROM_tasks", "query --on n1 --json SELECT_*_FROM_procs",
    "query --on all --json SELECT_count(*),_avg(size)_FROM_tasks_GROUP_BY_name",
    "query --on all --format csv SELECT_*_FROM_tasks_ORDER_BY_name_LIMIT_3",
    "observe n1 --timeout 1ms", "observe n1 t --plain --color always --timeout 1ms",
    "observe n1 t --events --timeout 1ms", "logs n1:t", "logs n1:t --color always",
    "events", "events n1 --color always", "events --json", "events --follow",
    "events --follow --json", "kill n1 t", "kill n1 t --json", "gate approve n1 t",
    "gate deny n1 t --json", "scale workers 4", "scale workers 4 --json",
    "scale workers 4 --on all", "scale workers 4 --on all --json", "config get", "config get key",
    "config get key --json", "config set key 1", "config push key=1", "config push key=1 --json",
    "config history", "config history --json", "config rollback 1", "config diff",
    "invite", "invite --json", "invite list", "invite list --json", "invite revoke 1",
    "grant n1 operator", "revoke n1", "memory", "memory n1 --json", "debug n1", "debug --json",
    "node status", "node status --json", "node stop",
};
enum { LINES = sizeof lines / sizeof *lines };

// ---- the mesh ----

typedef struct answer {
    sykli_buf body;
    size_t at;
    int code;          // how it ends
    char message[256];
} answer;

// One answer at a time is read; of several that are open each has its place.
enum { OPEN_MAX = 32 };
static struct {
    fuzz_in in;
    answer open[OPEN_MAX];
    uint64_t tickets[OPEN_MAX]; // 0: free
    test *t;
} mesh;

// Up to a NUL or the end.
static void take_text(sykli_buf *out)
{
    for (uint8_t c; (c = fuzz_byte(&mesh.in)) != 0;) sykli_buf_add(out, &c, 1);
}

static void put_number(sykli_buf *out, uint64_t value)
{
    uint8_t c;
    for (; value >= 0x80; value >>= 7) c = (uint8_t)(value | 0x80), sykli_buf_add(out, &c, 1);
    c = (uint8_t)value;
    sykli_buf_add(out, &c, 1);
}

static void put_text(sykli_buf *out, uint8_t tag, const void *text, size_t size)
{
    sykli_buf_add(out, &tag, 1);
    put_number(out, size);
    sykli_buf_add(out, text, size);
}

static void take_cell(sykli_buf *out)
{
    uint8_t tag = fuzz_byte(&mesh.in), bytes[8] = { 0 };
    sykli_buf text;
    switch (tag % 8) { // those of sykli_result_decode, and one that is none
    case 1: // U64, I64: small and large ones
    case 2:
        sykli_buf_add(out, &(uint8_t){ tag % 8 }, 1);
        put_number(out, (uint64_t)fuzz_byte(&mesh.in) << tag / 8 * 2);
        break;
    case 3:
        sykli_buf_add(out, &(uint8_t){ 3 }, 1);
        for (int i = 6; i < 8; i++) bytes[i] = fuzz_byte(&mesh.in);
        sykli_buf_add(out, bytes, 8);
        break;
    case 4:
    case 7: // what most cells are
        sykli_buf_init(&text, &mesh.t->mem, SYKLI_TAG_host);
        take_text(&text);
        while (tag / 8 == 31 && text.size && text.size < HUGE_BYTES) { // twice as long, and again
            uint8_t *room = sykli_buf_grow(&text, text.size);
            memcpy(room, text.data, text.size);
            text.size *= 2;
        }
        put_text(out, 4, text.data, text.size);
        sykli_buf_free(&text);
        break;
    default: sykli_buf_add(out, &(uint8_t){ tag % 8 }, 1);
    }
}

// Rows of what was asked for: the columns of the query, unless a bit says that one is missing.
static void take_rows(sykli_buf *out, const char *query)
{
    sykli_buf columns;
    size_t count = 0;
    uint8_t rows = fuzz_byte(&mesh.in), odd = fuzz_byte(&mesh.in);
    const char *at = strncmp(query, "SELECT ", 7) ? "" : query + 7, *end = strstr(at, " FROM");
    if (*at == '*') at = "id, name, status, memory_bytes FROM", end = strstr(at, " FROM");
    sykli_buf_init(&columns, &mesh.t->mem, SYKLI_TAG_host);
    for (size_t size; end && at < end && count < 16; at += at + size < end ? size + 2 : size) {
        for (size = 0; at + size < end && at[size] != ','; size++) continue;
        if (odd & 1 && odd / 2 == count) put_text(&columns, 0, "other", 5);
        else put_text(&columns, odd / 16 % 4, at, size);
        count++;
    }
    sykli_buf_add(out, "SQR\1", 4);
    put_number(out, count);
    sykli_buf_add(out, columns.data, columns.size);
    put_number(out, rows % 8);
    for (size_t i = 0; i < rows % 8 * count; i++) take_cell(out);
    sykli_buf_free(&columns);
}

static void take_answer(answer *a, const sykli_request *desc)
{
    uint8_t form = fuzz_byte(&mesh.in), end;
    sykli_buf message;
    size_t size = 0;
    switch (form % 4) {
    case 0: take_rows(&a->body, desc->what ? desc->what : ""); break;
    case 1: take_text(&a->body); break;
    case 2: // with NULs in it
        for (size = fuzz_byte(&mesh.in); size && mesh.in.left; size--)
            sykli_buf_add(&a->body, &(uint8_t){ fuzz_byte(&mesh.in) }, 1);
        break;
    default: // a line of output
        sykli_buf_text(&a->body, "{\"event\":\"task_output\",\"text\":\"");
        take_text(&a->body);
        sykli_buf_text(&a->body, "\"}\n");
    }
    end = mesh.in.left ? fuzz_byte(&mesh.in) : 255; // no more answers: the nodes are gone
    a->code = end < 128 ? SYKLI_EOF : end == 255 ? SYKLI_ECLOSED : -(end - 127);
    if (end == 254) a->code = INT32_MIN;
    if (end < 128 || end == 255) return;
    sykli_buf_init(&message, &mesh.t->mem, SYKLI_TAG_host);
    take_text(&message);
    snprintf(a->message, sizeof a->message, "%s", message.size ? (char *)message.data : "");
    sykli_buf_free(&message);
}

static answer *find(uint64_t ticket)
{
    int i = 0;
    while (i < OPEN_MAX && mesh.tickets[i] != ticket) i++;
    return i < OPEN_MAX ? &mesh.open[i] : NULL;
}

static int route_open(void *user, uint64_t ticket, const sykli_request *desc)
{
    static const char named[] = "SQR\1\1\0\4node\1\4\4here";
    answer *a = find(0);
    (void)user;
    if (!a) return SYKLI_ELIMIT;
    memset(a, 0, sizeof *a);
    sykli_buf_init(&a->body, &mesh.t->mem, SYKLI_TAG_host);
    mesh.tickets[a - mesh.open] = ticket;
    a->code = SYKLI_EOF;
    if (desc->what && !strcmp(desc->what, "SELECT node FROM nodes LIMIT 1"))
        sykli_buf_add(&a->body, named, sizeof named - 1); // our own node knows its name
    else take_answer(a, desc);
    return 0;
}

static int64_t route_read(void *user, uint64_t ticket, void *out, size_t size)
{
    answer *a = find(ticket);
    (void)user;
    FUZZ_CHECK(a && !a->body.error);
    if (size > a->body.size - a->at) size = a->body.size - a->at;
    if (!size) return a->code;
    memcpy(out, a->body.data + a->at, size);
    a->at += size;
    return (int64_t)size;
}

static const char *route_message(void *user, uint64_t ticket)
{
    const answer *a = find(ticket);
    (void)user;
    return a ? a->message : "";
}

static void route_close(void *user, uint64_t ticket)
{
    answer *a = find(ticket);
    (void)user;
    FUZZ_CHECK(a);
    sykli_buf_free(&a->body);
    mesh.tickets[a - mesh.open] = 0;
}

static int at_once(void *user) { return (void)user, 0; } // nothing is waited for

sykli_mesh *__wrap_sykli_mesh_open(sykli *s, const sykli_mesh_desc *desc);
sykli_mesh *__wrap_sykli_mesh_open(sykli *s, const sykli_mesh_desc *desc)
{
    FUZZ_CHECK(desc->mode == SYKLI_MESH_CLIENT);
    sykli_hooks_set(s, &(sykli_hooks){ .route_open = route_open, .route_read = route_read,
                                       .route_message = route_message,
                                       .route_close = route_close, .deadline_ms = at_once });
    return (sykli_mesh *)(void *)s; // nobody looks into it
}

void __wrap_sykli_mesh_close(sykli_mesh *m);
void __wrap_sykli_mesh_close(sykli_mesh *m) { (void)m; }

// One context for all runs: to open it takes as long as all the rest.
sykli *__real_sykli_open(const sykli_desc *desc);
sykli *__wrap_sykli_open(const sykli_desc *desc);
sykli *__wrap_sykli_open(const sykli_desc *desc)
{
    static sykli *kept;
    if (!kept) kept = __real_sykli_open(desc);
    return kept;
}

void __wrap_sykli_close(sykli *s);
void __wrap_sykli_close(sykli *s) { sykli_hooks_set(s, NULL); }

// ---- what was printed ----

// Where it goes instead: a file without a name for each of the two.
static int place_of(FILE *stream)
{
    FILE *to = tmpfile();
    if (!to) abort();
    int fd = fcntl(fileno(to), F_DUPFD_CLOEXEC, 10);
    if (fd < 0 || dup2(fd, fileno(stream)) < 0) abort();
    setvbuf(stream, NULL, _IOFBF, 1 << 16);
    fclose(to);
    return fd;
}

static void take_printed(FILE *stream, int fd, sykli_buf *out)
{
    fflush(stream);
    off_t size = lseek(fd, 0, SEEK_CUR);
    FUZZ_CHECK(size >= 0 && size < PRINTED_MAX);
    uint8_t *room = sykli_buf_grow(out, (size_t)size + 1);
    FUZZ_CHECK(room && pread(fd, room, (size_t)size, 0) == size);
    room[size] = 0;
    out->size = (size_t)size;
    if (size && (ftruncate(fd, 0) || lseek(fd, 0, SEEK_SET))) abort();
}

// Bytes of a colour that we print ourselves.
static size_t colour(const uint8_t *p, size_t left)
{
    size_t at = 2;
    if (left < 3 || p[0] != 0x1b || p[1] != '[') return 0;
    while (at < left && (p[at] == ';' || (p[at] >= '0' && p[at] <= '9'))) at++;
    return at < left && p[at] == 'm' ? at + 1 : 0;
}

static bool is_harmless(const sykli_buf *b, bool colours)
{
    for (size_t i = 0; i < b->size; i++) {
        const uint8_t *p = b->data + i;
        size_t left = b->size - i, skip = colours ? colour(p, left) : 0;
        if (skip) i += skip - 1;
        else if (*p == '\r' && left > 1 && p[1] == '\n') continue; // CSV
        else if ((*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f) return false;
        else if (*p == 0xc2 && left > 1 && p[1] < 0xa0) return false;
    }
    return sykli_utf8_valid((const char *)b->data, b->size);
}

static void check_json(test *t, const sykli_buf *b)
{
    for (size_t at = 0, size; at < b->size; at += size + 1) {
        const uint8_t *end = memchr(b->data + at, '\n', b->size - at);
        sykli_json_doc doc;
        FUZZ_CHECK(end);
        size = (size_t)(end - b->data) - at;
        FUZZ_CHECK(!sykli_json_parse(&doc, &t->mem, (char *)b->data + at, size, &t->fault));
        sykli_json_free(&doc);
    }
}

static void prepare(int fds[2])
{
    fds[0] = place_of(stdout), fds[1] = place_of(stderr);
    setenv("HOME", "/dev/null", 1);
    setenv("SYKLI_STATE", "/dev/null/state", 1);
    setenv("SYKLI_CACHE", "/dev/null/cache", 1);
    setenv("SYKLI_CONFIG", "/dev/null", 1);
    unsetenv("GITHUB_ACTIONS");
    unsetenv("NO_COLOR");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fds[2];
    if (!size) return 0;
    if (!fds[0]) prepare(fds);
    test t;
    test_begin(&t, 0);
    mesh.in = (fuzz_in){ data + 1, size - 1 };
    mesh.t = &t;
    const char *line = lines[data[0] % LINES];
    char *text = strdup(line), *words[WORDS + 1] = { "sykli" };
    int count = 1;
    for (char *at = strtok(text, " "); at; at = strtok(NULL, " ")) {
        for (char *p = strncmp(at, "SELECT", 6) ? NULL : at; p && *p; p++) if (*p == '_') *p = ' ';
        words[count++] = at;
    }
    int code = cli_main(verbs, count, words);
    FUZZ_CHECK(code >= CLI_OK && code <= CLI_INFRASTRUCTURE);
    for (int i = 0; i < OPEN_MAX; i++) FUZZ_CHECK(!mesh.tickets[i]);
    sykli_buf out, err;
    sykli_buf_init(&out, &t.mem, SYKLI_TAG_host);
    sykli_buf_init(&err, &t.mem, SYKLI_TAG_host);
    take_printed(stdout, fds[0], &out);
    take_printed(stderr, fds[1], &err);
    bool colours = strstr(line, "--color") != NULL;
    FUZZ_CHECK(is_harmless(&out, colours) && is_harmless(&err, false));
    if (strstr(line, "--json")) check_json(&t, &out);
    sykli_buf_free(&out);
    sykli_buf_free(&err);
    free(text);
    fuzz_end(&t);
    return 0;
}
