#include "ask.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// ---- sessions ----

int ask_begin_alone(asking *a, cli *c, const char *name)
{
    *a = (asking){ .c = c };
    a->s = sykli_open(&(sykli_desc){ .cache_dir = c->cache_dir, .state_dir = c->state_dir,
                                     .node_name = name, .no_history = true });
    if (a->s && !sykli_error(a->s)) return 0;
    int code = a->s ? cli_fail_sykli(c, sykli_error(a->s), sykli_errmsg(a->s))
                    : cli_fail_sykli(c, SYKLI_ENOMEM, NULL);
    ask_end(a);
    return code;
}

// Every row says whose it is.
const char *ask_node_name(cli *c, sykli *s)
{
    asking a = { .c = c, .s = s };
    sykli_result *r = ask_query(&a, SYKLI_MESH_GATEWAY, "SELECT node FROM nodes LIMIT 1");
    const char *name = r && sykli_result_rows(r) ? ask_cell(c, r, 0, "node") : NULL;
    if (r && !name) sykli_fail(&c->fault, SYKLI_ECORRUPT, "the node does not say its name");
    sykli_result_free(r);
    return name;
}

int ask_begin_anyhow(asking *a, cli *c)
{
    int code = ask_begin_alone(a, c, NULL);
    if (code) return code;
    a->mesh = sykli_mesh_open(a->s, &(sykli_mesh_desc){ .mode = SYKLI_MESH_CLIENT,
                                                        .state_dir = c->state_dir });
    if (a->mesh) {
        a->node = ask_node_name(c, a->s);
        if (!a->node) code = ask_failed(a);
    } else if (sykli_last_error(a->s) != SYKLI_ENONODE)
        code = cli_fail_sykli(c, sykli_last_error(a->s), sykli_errmsg(a->s));
    if (code) ask_end(a);
    return code;
}

int ask_begin(asking *a, cli *c)
{
    int code = ask_begin_anyhow(a, c);
    if (code || a->mesh) return code;
    const char *why = sykli_errmsg(a->s);
    bool none = !strncmp(why, "no node", 7); // else one is there that does not answer
    code = cli_fail(c, CLI_INFRASTRUCTURE, "enonode",
                    none ? "start one with `sykli node`" : NULL, "%s", why);
    ask_end(a);
    return code;
}

void ask_end(asking *a)
{
    sykli_mesh_close(a->mesh);
    sykli_close(a->s);
    a->mesh = NULL;
    a->s = NULL;
}

const char *ask_here(const asking *a) { return a->mesh ? SYKLI_MESH_GATEWAY : NULL; }

const char *ask_whom(const asking *a, const char *word)
{
    bool here = !word || !strcmp(word, ".") || !strcmp(word, SYKLI_MESH_GATEWAY)
             || (a->node && !strcmp(word, a->node));
    return here ? ask_here(a) : word;
}

int ask_failed(asking *a) { return cli_fail_sykli(a->c, a->c->fault.code, a->c->fault.text); }

// ---- requests ----

char *ask_args(cli *c, const char *format, ...)
{
    va_list args;
    sykli_buf b;
    sykli_buf_init(&b, &c->mem, SYKLI_TAG_host);
    va_start(args, format);
    for (const char *at = format; *at; at++) {
        const char *text;
        if (*at != '%') {
            sykli_buf_add(&b, at, 1);
        } else if (*++at == 's') {
            text = va_arg(args, const char *);
            if (text) sykli_json_quote(&b, text, strlen(text));
            else sykli_buf_text(&b, "null");
        } else if (*at == 'u') {
            sykli_buf_print(&b, "%llu", (unsigned long long)va_arg(args, uint64_t));
        } else {
            sykli_buf_text(&b, va_arg(args, int) ? "true" : "false");
        }
    }
    va_end(args);
    char *copy = cli_copy(c, b.data ? (const char *)b.data : "", b.size);
    sykli_buf_free(&b);
    return copy;
}

// The error of a call on the context becomes that of the command line.
static int took_error(asking *a)
{
    int code = sykli_last_error(a->s);
    return sykli_fail(&a->c->fault, code < 0 ? code : SYKLI_EINVAL, "%s", sykli_errmsg(a->s));
}

// Waits for something to happen, at most until `end_ms`, 0: however long.
//   returns  0, ETIMEOUT or the error, c->fault set
static int wait_until(asking *a, uint64_t end_ms)
{
    uint64_t now = end_ms ? sykli_now_ms(a->s) : 0;
    if (end_ms && now >= end_ms)
        return sykli_fail(&a->c->fault, SYKLI_ETIMEOUT, "the node does not answer");
    return sykli_poll(a->s, end_ms ? (int)(end_ms - now) : -1) < 0 ? took_error(a) : 0;
}

int ask_pieces(asking *a, const sykli_request *desc,
               int (*piece)(void *user, const void *data, size_t size), void *user)
{
    char data[16384];
    int64_t got = 0;
    int rc = 0;
    uint64_t end = desc->deadline_ms ? sykli_now_ms(a->s) + desc->deadline_ms : 0;
    sykli_handle request = sykli_request_open(a->s, desc);
    if (!request.id) return took_error(a);
    while (!rc && (got = sykli_request_read(a->s, request, data, sizeof data)) >= 0)
        rc = got ? piece(user, data, (size_t)got) : wait_until(a, end);
    if (!rc && got != SYKLI_EOF)
        rc = sykli_fail(&a->c->fault, (int)got, "%s", sykli_request_message(a->s, request));
    sykli_request_close(a->s, request);
    return rc;
}

static int add_piece(void *body, const void *data, size_t size)
{
    return sykli_buf_add(body, data, size);
}

int ask(asking *a, const sykli_request *desc, sykli_buf *body)
{
    return ask_pieces(a, desc, add_piece, body);
}

// Hands out the whole lines of `part`.
static int give_lines(const ask_reader *reader, sykli_buf *part)
{
    size_t at = 0;
    int rc = 0;
    while (!rc && at < part->size) {
        const uint8_t *end = memchr(part->data + at, '\n', part->size - at);
        if (!end) break;
        size_t size = (size_t)(end - part->data) - at;
        part->data[at + size] = 0;
        rc = reader->line(reader->user, (const char *)part->data + at, size);
        at += size + 1;
    }
    sykli_buf_drop(part, at);
    return rc;
}

int ask_lines(asking *a, const sykli_request *desc, const ask_reader *reader)
{
    char piece[4096];
    int64_t got = 0;
    int rc = 0;
    sykli_buf part;
    sykli_handle request = sykli_request_open(a->s, desc);
    if (!request.id) return took_error(a);
    sykli_buf_init(&part, &a->c->mem, SYKLI_TAG_host);
    while (!rc && (got = sykli_request_read(a->s, request, piece, sizeof piece)) >= 0) {
        if (got) {
            rc = sykli_buf_add(&part, piece, (size_t)got);
            if (!rc) rc = give_lines(reader, &part);
            continue;
        }
        if (sykli_poll(a->s, reader->tick ? reader->tick_ms : -1) < 0) rc = took_error(a);
        else if (reader->tick) rc = reader->tick(reader->user);
    }
    if (!rc && got < 0 && got != SYKLI_EOF)
        rc = sykli_fail(&a->c->fault, (int)got, "%s", sykli_request_message(a->s, request));
    sykli_request_close(a->s, request);
    sykli_buf_free(&part);
    return rc;
}

int ask_put_line(cli *c, const char *line, size_t size)
{
    sykli_json_doc doc;
    int rc = sykli_json_parse(&doc, &c->mem, line, size, &c->fault);
    if (rc) return rc;
    sykli_json_free(&doc);
    cli_put_json(stdout, line, size);
    putchar('\n');
    return fflush(stdout) ? ASK_STOP : 0;
}

int ask_call_text(asking *a, const char *node, const char *op, const char *args,
                  sykli_json_doc *answer, const char **text)
{
    sykli_buf body;
    sykli_buf_init(&body, &a->c->mem, SYKLI_TAG_host);
    int rc = ask(a, &(sykli_request){ .verb = SYKLI_VERB_call, .node = node, .what = op,
                                      .args = args, .deadline_ms = ASK_CALL_MS }, &body);
    const char *json = (const char *)body.data;
    if (!rc) rc = sykli_json_parse(answer, &a->c->mem, json, body.size, &a->c->fault);
    if (!rc && text) *text = cli_copy(a->c, json, body.size);
    sykli_buf_free(&body);
    return rc;
}

int ask_call(asking *a, const char *node, const char *op, const char *args,
             sykli_json_doc *answer)
{
    return ask_call_text(a, node, op, args, answer, NULL);
}

int ask_list(cli *c, const char *op, const char *heading,
             void (*row)(cli *c, const sykli_json_doc *answer, uint32_t item))
{
    asking a;
    sykli_json_doc answer;
    const char *text;
    int code = cli_arguments(c, 0, 0);
    if (!code) code = ask_begin(&a, c);
    if (code) return code;
    if (ask_call_text(&a, SYKLI_MESH_GATEWAY, op, NULL, &answer, &text)) code = ask_failed(&a);
    else {
        uint32_t items = sykli_json_get(&answer, 0, "items");
        if (c->json) cli_envelope(c, true, text);
        else puts(heading);
        for (uint32_t n = items && !c->json ? sykli_json_first(&answer, items) : 0; n;
             n = sykli_json_next(&answer, items, n))
            row(c, &answer, n);
        sykli_json_free(&answer);
    }
    ask_end(&a);
    return code;
}

sykli_result *ask_query(asking *a, const char *node, const char *query)
{
    sykli_buf body;
    sykli_result *result = NULL;
    sykli_buf_init(&body, &a->c->mem, SYKLI_TAG_host);
    if (!ask(a, &(sykli_request){ .verb = SYKLI_VERB_query, .node = node, .what = query,
                                  .deadline_ms = ASK_QUERY_MS }, &body))
        result = sykli_result_decode(&a->c->mem, body.data, body.size, &a->c->fault);
    sykli_buf_free(&body);
    return result;
}

// ---- cells ----

static sykli_value cell(const sykli_result *r, size_t row, const char *column)
{
    for (size_t i = 0; i < sykli_result_columns(r); i++)
        if (!strcmp(sykli_result_column(r, i), column)) return sykli_result_cell(r, row, i);
    return (sykli_value){ .kind = SYKLI_KIND_NULL };
}

const char *ask_cell(cli *c, const sykli_result *r, size_t row, const char *column)
{
    sykli_value v = cell(r, row, column);
    switch (v.kind) {
    case SYKLI_KIND_TEXT: return cli_copy(c, v.text, v.text_size);
    case SYKLI_KIND_U64: return cli_print(c, "%llu", (unsigned long long)v.u64);
    case SYKLI_KIND_I64: return cli_print(c, "%lld", (long long)v.i64);
    case SYKLI_KIND_F64: return cli_print(c, "%g", v.f64);
    case SYKLI_KIND_BOOL: return v.u64 ? "true" : "false";
    default: return "";
    }
}

uint64_t ask_number(const sykli_result *r, size_t row, const char *column, uint64_t fallback)
{
    sykli_value v = cell(r, row, column);
    if (v.kind == SYKLI_KIND_U64 || v.kind == SYKLI_KIND_BOOL) return v.u64;
    if (v.kind == SYKLI_KIND_I64 && v.i64 >= 0) return (uint64_t)v.i64;
    return fallback;
}

// ---- all nodes ----

static const char *shown_node(cli *c, const ask_node *n)
{
    const char *colon = strrchr(n->address, ':');
    int host = colon ? (int)(colon - n->address) : (int)strlen(n->address);
    if (n->self) return cli_print(c, "%s@local", n->name);
    if (!host) return n->name;
    return cli_print(c, "%s@%.*s", n->name, host, n->address);
}

int ask_nodes(asking *a, const ask_node **out, size_t *count)
{
    sykli_result *r = ask_query(a, ask_here(a), "SELECT name, id, address, state FROM nodes "
                                                "ORDER BY name");
    if (!r) return a->c->fault.code;
    *count = sykli_result_rows(r);
    ask_node *nodes = cli_alloc(a->c, (*count + 1) * sizeof *nodes);
    size_t self = 0;
    for (size_t i = 0; i < *count; i++) {
        ask_node *n = &nodes[i];
        n->name = ask_cell(a->c, r, i, "name");
        n->id = ask_cell(a->c, r, i, "id");
        n->address = ask_cell(a->c, r, i, "address");
        n->state = ask_cell(a->c, r, i, "state");
        n->self = a->node && !strcmp(n->name, a->node);
        n->alive = !strcmp(n->state, "alive") || !strcmp(n->state, "suspect");
        n->shown = shown_node(a->c, n);
        if (n->self) self = i;
    }
    ask_node first = nodes[self];
    if (*count) memmove(nodes + 1, nodes, self * sizeof *nodes);
    if (*count) nodes[0] = first;
    sykli_result_free(r);
    *out = nodes;
    return 0;
}

static void end_answer(cli *c, ask_answer *answer, int64_t code, const char *message)
{
    answer->code = code == SYKLI_EOF ? answer->body.error : (int)code;
    if (answer->code)
        answer->message = cli_print(c, "%s", message && *message ? message
                                                                 : sykli_error_text(answer->code));
}

// Reads what is there.     returns  whether it has ended
static bool read_answer(asking *a, sykli_handle request, ask_answer *answer)
{
    char piece[4096];
    int64_t got;
    while ((got = sykli_request_read(a->s, request, piece, sizeof piece)) > 0)
        sykli_buf_add(&answer->body, piece, (size_t)got);
    if (!got) return false;
    end_answer(a->c, answer, got, sykli_request_message(a->s, request));
    sykli_request_close(a->s, request);
    return true;
}

int ask_all(asking *a, sykli_verb verb, const char *what, const char *args, ask_answer **out,
            size_t *count)
{
    const ask_node *nodes;
    int rc = ask_nodes(a, &nodes, count);
    if (rc) return rc;
    ask_answer *answers = cli_alloc(a->c, (*count + 1) * sizeof *answers);
    sykli_handle *open = cli_alloc(a->c, (*count + 1) * sizeof *open);
    uint64_t end = sykli_now_ms(a->s) + ASK_ALL_MS;
    size_t waiting = 0;
    for (size_t i = 0; i < *count; i++) {
        answers[i].node = &nodes[i];
        sykli_buf_init(&answers[i].body, &a->c->mem, SYKLI_TAG_host);
        if (nodes[i].alive)
            open[i] = sykli_request_open(a->s, &(sykli_request){
                .verb = verb, .node = nodes[i].self ? ask_here(a) : nodes[i].name, .what = what,
                .args = args, .deadline_ms = ASK_ALL_MS });
        if (open[i].id) waiting++;
        else if (nodes[i].alive) end_answer(a->c, &answers[i], took_error(a), a->c->fault.text);
        else end_answer(a->c, &answers[i], SYKLI_ENONODE, nodes[i].state);
    }
    while (waiting) {
        uint64_t now = sykli_now_ms(a->s);
        for (size_t i = 0; i < *count; i++) {
            if (!open[i].id) continue;
            bool ended = read_answer(a, open[i], &answers[i]);
            if (!ended && now >= end) {
                end_answer(a->c, &answers[i], SYKLI_ETIMEOUT, "timeout");
                sykli_request_close(a->s, open[i]);
                ended = true;
            }
            if (!ended) continue;
            open[i].id = 0;
            waiting--;
        }
        if (waiting) sykli_poll(a->s, (int)(end - now));
    }
    *out = answers;
    return 0;
}

void ask_answers_free(ask_answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) sykli_buf_free(&answers[i].body);
}

// ---- queries, printed ----

// The nodes that did not answer: lines, or the member `unanswered`.
static void print_unanswered(cli *c, const ask_answer *answers, size_t count, FILE *to,
                             sykli_buf *json)
{
    const char *between = "";
    if (json) sykli_buf_text(json, ",\"unanswered\":[");
    for (size_t i = 0; i < count; i++) {
        const ask_answer *answer = &answers[i];
        const char *why = answer->code == SYKLI_ETIMEOUT ? "timeout" : answer->message;
        if (!answer->code) continue;
        if (json)
            sykli_buf_print(json, "%s%s", between,
                            ask_args(c, "{\"node\":%s,\"reason\":%s}", answer->node->name, why));
        else cli_say(to, "%s: %s\n", answer->node->name, why);
        between = ",";
    }
    if (json) sykli_buf_text(json, "]");
}

// The rendering of a result is the data of the envelope: {"items":...}.
static int print_result(cli *c, const sykli_result *result, sykli_format format,
                        const ask_answer *answers, size_t count)
{
    sykli_buf out;
    sykli_buf_init(&out, &c->mem, SYKLI_TAG_host);
    int rc = sykli_result_render(result, c->json ? SYKLI_FORMAT_json : format, &out);
    if (rc >= 0 && c->json) {
        while (out.size && (out.data[out.size - 1] == '\n' || out.data[out.size - 1] == '}'))
            out.data[--out.size] = 0;
        if (answers) print_unanswered(c, answers, count, NULL, &out);
        rc = sykli_buf_text(&out, "}");
        if (!rc) cli_envelope(c, true, (const char *)out.data);
    } else if (rc >= 0) {
        fwrite(out.data, 1, out.size, stdout);
        FILE *to = format == SYKLI_FORMAT_table ? stdout : stderr; // what is parsed stays clean
        if (answers) print_unanswered(c, answers, count, to, NULL);
    }
    sykli_buf_free(&out);
    return rc < 0 ? cli_fail_sykli(c, rc, NULL) : CLI_OK;
}

// Joins what the nodes answered; a query that all refuse is refused.
static int print_all(asking *a, const char *query, sykli_format format)
{
    cli *c = a->c;
    ask_answer *answers;
    size_t count, parts_count = 0;
    if (ask_all(a, SYKLI_VERB_query, query, "{\"part\":true}", &answers, &count))
        return ask_failed(a);
    sykli_result **parts = cli_alloc(c, (count + 1) * sizeof *parts), *whole = NULL;
    sykli_fault *fault = &c->fault;
    for (size_t i = 0; i < count; i++) {
        ask_answer *at = &answers[i];
        if (at->code) continue;
        parts[parts_count] = sykli_result_decode(&c->mem, at->body.data, at->body.size, fault);
        if (parts[parts_count]) parts_count++;
        else end_answer(c, at, fault->code, fault->text);
    }
    if (parts_count) whole = sykli_result_merge(&c->mem, query, parts, parts_count, fault);
    else if (count) sykli_fail(fault, answers[0].code, "%s", answers[0].message);
    else sykli_fail(fault, SYKLI_ENONODE, "there are no nodes");
    int code = whole ? print_result(c, whole, format, answers, count) : ask_failed(a);
    for (size_t i = 0; i < parts_count; i++) sykli_result_free(parts[i]);
    sykli_result_free(whole);
    ask_answers_free(answers, count);
    return code;
}

int ask_print(asking *a, const char *on, const char *query, sykli_format format)
{
    if (on && !strcmp(on, "all") && a->mesh) return print_all(a, query, format);
    if (on && !a->mesh && strcmp(on, "all"))
        return cli_fail(a->c, CLI_INFRASTRUCTURE, "enonode", "start one with `sykli node`",
                        "no node runs in %s, so %s cannot be asked", a->c->state_dir, on);
    sykli_result *result = ask_query(a, ask_whom(a, a->mesh ? on : NULL), query);
    if (!result) return ask_failed(a);
    int code = print_result(a->c, result, format, NULL, 0);
    sykli_result_free(result);
    return code;
}
