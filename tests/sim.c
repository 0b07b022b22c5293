// A mesh in one process and in virtual time: real cores of >>member and >>link over a network that
// delays, stalls, cuts and partitions, with nodes that crash, freeze and come back, and a stranger
// at the door. One seed decides everything, so a failure is a command line.
//
//     sim --seeds N [--from S]      sim --seed S [--trace]
//
// Each seed turns on a random part of the faults (Groce et al. 2012, swarm testing). After a while
// all heals; then the views of all nodes must become equal.
#define _GNU_SOURCE 1
#define SYKLI_SIM 1
#define SYKLI_IMPLEMENTATION
#include "../sykli.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    NODES = 5,
    SOCKS_MAX = 4096,
    PIPE_MAX = 64 * 1024,     // bytes on their way in one direction: the kernel's buffers
    HEAL_MAX_MS = 90 * 1000,  // from healing to equal views
    CALM_MS = 25 * 1000,      // so long after its last fault a node counts as well-behaved
    RECORDED_MAX = 32
};

typedef enum fault_kind {
    FAULT_CUT, FAULT_STALL, FAULT_ONE_WAY, FAULT_PARTITION, FAULT_KILL, FAULT_HOST, FAULT_FREEZE,
    FAULT_STRANGER, FAULT_CALLS, FAULT_BULK, FAULT_LEAVE, FAULT_KINDS
} fault_kind;
static const char *const fault_names[] = {
    "cut", "stall", "one way", "partition", "kill", "host down", "freeze", "stranger", "calls",
    "bulk", "leave"
};

typedef enum event_kind {
    EVENT_TICK, EVENT_DATA, EVENT_SYN, EVENT_SYN_ACK, EVENT_REFUSED, EVENT_FIN, EVENT_FAULT,
    EVENT_RESTART, EVENT_HEAL, EVENT_CHECK
} event_kind;

typedef struct event {
    uint64_t at_us, seq;
    event_kind kind;
    int node, sock, side;
    uint64_t tag;      // of a tick: which one; of a fault: its kind
    uint64_t use;      // of the socket: it is used again
    uint8_t *data;
    size_t size;
} event;

typedef struct sock_end {
    int node, conn;    // node -1: the stranger; conn 0: none, or gone
    uint64_t life;     // of the node
    bool closed;
} sock_end;

// side 0 dialled.
typedef struct sock {
    bool used, up, stranger;
    uint64_t use;
    sock_end end[2];
    uint64_t last_us[2]; // arrival of the last bytes in the direction towards end[i]
    size_t flying[2];
    uint64_t answered;   // bytes a stranger got
    bool may_answer;     // a replay to a node that cannot know it
} sock;

typedef struct node {
    sykli_sys sys;
    sykli_mem mem;
    sykli__member_core core;
    bool running, left;
    uint64_t life, persisted, frozen_until_us, fault_us, tick_tag, killed_us;
    uint8_t secret[32], id[16];
    uint64_t seen[NODES], seen_boot;  // incarnations, as this life saw them
    bool told_down[NODES];
} node;

// The first bytes of an honest dial.
typedef struct recorded {
    uint8_t data[SYKLI__LINK_FIRST_MAX];
    size_t size;
    int to;
    uint64_t life;
} recorded;

typedef struct sim {
    uint64_t seed, random[4], now_us, seq, hash, steps;
    bool trace, failed, healed, real, calm;
    char why[300];
    event *heap;
    size_t count, capacity;
    node nodes[NODES];
    sock socks[SOCKS_MAX];
    int sock_top;
    uint64_t uses;
    sykli_crypto crypto;
    sykli__link_psk cookie, wrong;
    uint32_t enabled;                         // bit per fault
    unsigned victims;                         // bit per node: whom faults happen to
    uint64_t delay_us, jitter_us, heal_us, calm_kill_us;
    uint64_t blocked_until_us[NODES][NODES];  // from, to
    recorded records[RECORDED_MAX];
    int record_count;
    uint64_t sessions, nodedowns, calls, streams_done, detect_max_us;
} sim;

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

// xoshiro256** (Blackman, Vigna 2018)
static uint64_t dice(sim *s)
{
    uint64_t *r = s->random, result = rotl(r[1] * 5, 7) * 9, t = r[1] << 17;
    r[2] ^= r[0];
    r[3] ^= r[1];
    r[1] ^= r[2];
    r[0] ^= r[3];
    r[2] ^= t;
    r[3] = rotl(r[3], 45);
    return result;
}
static uint64_t roll(sim *s, uint64_t below) { return below ? dice(s) % below : 0; }
static bool chance(sim *s, unsigned percent) { return roll(s, 100) < percent; }
static void dice_bytes(sim *s, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) out[i] = (uint8_t)dice(s);
}

static void note(sim *s, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint64_t key[2] = { s->hash, s->now_us };
    s->hash = sykli_siphash(key, text, (size_t)size);
    if (s->trace)
        printf("%4llu.%06llu %s\n", (unsigned long long)(s->now_us / 1000000),
               (unsigned long long)(s->now_us % 1000000), text);
}

static void fail(sim *s, const char *format, ...)
{
    va_list args;
    if (s->failed) return;
    va_start(args, format);
    vsnprintf(s->why, sizeof s->why, format, args);
    va_end(args);
    s->failed = true;
    note(s, "FAILED: %s", s->why);
}

static uint64_t now_ms(const sim *s) { return s->now_us / 1000; }

// ---- events

static bool earlier(const event *a, const event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

static void push(sim *s, event e)
{
    e.seq = ++s->seq;
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 1024;
        s->heap = (event *)realloc(s->heap, s->capacity * sizeof *s->heap);
    }
    size_t i = s->count++;
    for (size_t up; i && earlier(&e, &s->heap[up = (i - 1) / 2]); i = up) s->heap[i] = s->heap[up];
    s->heap[i] = e;
}

static event pop(sim *s)
{
    event top = s->heap[0], last = s->heap[--s->count];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < s->count) {
        if (child + 1 < s->count && earlier(&s->heap[child + 1], &s->heap[child])) child++;
        if (!earlier(&s->heap[child], &last)) break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return top;
}

// ---- the network

// When something sent now arrives; not before what was sent earlier the same way.
static uint64_t arrival(sim *s, int from, int to, uint64_t *last_us)
{
    uint64_t at = s->now_us + s->delay_us + roll(s, s->jitter_us + 1);
    if (from >= 0 && to >= 0 && s->blocked_until_us[from][to] > s->now_us)
        at = s->blocked_until_us[from][to] + roll(s, 200000); // TCP tries again
    if (last_us) {
        if (at <= *last_us) at = *last_us + 1;
        *last_us = at;
    }
    return at;
}

static void sock_send(sim *s, int id, int side, event_kind kind, const uint8_t *data, size_t size)
{
    sock *k = &s->socks[id];
    event e = { .kind = kind, .sock = id, .side = !side, .node = k->end[!side].node };
    e.at_us = arrival(s, k->end[side].node, k->end[!side].node, &k->last_us[!side]);
    e.use = k->use;
    if (size) {
        e.data = (uint8_t *)malloc(size);
        memcpy(e.data, data, size);
        e.size = size;
        k->flying[!side] += size;
    }
    push(s, e);
}

static int sock_new(sim *s, int from, int to)
{
    int id = 1;
    while (id < SOCKS_MAX && s->socks[id].used) id++;
    if (id == SOCKS_MAX) {
        fail(s, "out of sockets");
        return 0;
    }
    if (id > s->sock_top) s->sock_top = id;
    sock *k = &s->socks[id];
    memset(k, 0, sizeof *k);
    k->used = true;
    k->use = ++s->uses;
    k->end[0].node = from;
    k->end[1].node = to;
    k->end[0].life = from >= 0 ? s->nodes[from].life : 0;
    return id;
}

static void sock_reap(sock *k)
{
    if (k->end[0].closed && k->end[1].closed) k->used = false;
}

static sock_end *sock_of(sim *s, int i, int conn, int *id, int *side)
{
    for (*id = 1; *id <= s->sock_top; ++*id)
        for (*side = 0; *side < 2 && s->socks[*id].used; ++*side) {
            sock_end *end = &s->socks[*id].end[*side];
            if (end->node == i && end->conn == conn && !end->closed
                && end->life == s->nodes[i].life)
                return end;
        }
    return NULL;
}

// ---- nodes

static void *sim_resize(void *user, void *ptr, size_t old, size_t fresh, int tag)
{
    (void)user, (void)old, (void)tag;
    if (fresh) return realloc(ptr, fresh);
    free(ptr);
    return NULL;
}

static void node_run(sim *s, int i);

static void node_start(sim *s, int i)
{
    node *n = &s->nodes[i];
    static const uint8_t base[32] = { 9 };
    sykli__member_core_config c;
    uint8_t key[32];
    memset(&c, 0, sizeof c);
    s->crypto.x25519(s->crypto.user, key, n->secret, base);
    sykli__member_fact *self = &c.member.self;
    sykli__roster_node_id(n->id, key, self->sign_key);
    memcpy(self->id, n->id, 16);
    memcpy(self->key, key, 32);
    self->boot_id = dice(s);
    self->incarnation = n->persisted + 1;
    self->bits = SYKLI__MEMBER_DIALABLE;
    self->workers_total = 4;
    snprintf(self->name, sizeof self->name, "n%d", i);
    snprintf(self->addresses, sizeof self->addresses, "n%d", i);
    c.member.wall_ms = 1700000000000ull + now_ms(s);
    c.member.seed = dice(s);
    if (i) snprintf(c.member.seeds[c.member.seed_count++], 64, "n0");
    if (chance(s, 50)) snprintf(c.member.seeds[c.member.seed_count++], 64, "n%d", (i + 1) % NODES);
    if (i == 0) snprintf(c.member.seeds[c.member.seed_count++], 64, "n%d", 1 + (int)roll(s, 4));
    c.link.transport = SYKLI__LINK_NOISE;
    c.link.crypto = &s->crypto;
    c.link.key_secret = n->secret;
    c.link.psks = &s->cookie;
    c.link.psk_count = 1;
    memset(&n->sys, 0, sizeof n->sys);
    memset(&n->mem, 0, sizeof n->mem);
    n->sys.resize = sim_resize;
    n->mem.sys = &n->sys;
    n->running = true;
    n->left = false;
    n->life++;
    memset(n->seen, 0, sizeof n->seen);
    sykli__member_core_init(&n->core, &n->mem, &c, now_ms(s));
    sykli__link_replay_free(&n->core.replay); // a small one: its pages are what costs here
    uint64_t seed[2] = { dice(s), dice(s) };
    sykli__link_replay_init(&n->core.replay, &n->mem, 256, seed);
    note(s, "n%d starts, incarnation %llu", i,
         (unsigned long long)sykli__member_self(&n->core.table)->fact.incarnation);
    node_run(s, i);
}

static void node_stop(sim *s, int i)
{
    node *n = &s->nodes[i];
    if (!n->running) return;
    n->persisted = sykli__member_self(&n->core.table)->fact.incarnation;
    sykli__member_core_free(&n->core);
    n->running = false;
    n->killed_us = s->now_us;
    n->frozen_until_us = 0;
    if (n->mem.total_bytes) fail(s, "n%d leaks", i);
}

static int node_by_id(const sim *s, const uint8_t id[16])
{
    for (int i = 0; i < NODES; i++)
        if (!memcmp(s->nodes[i].id, id, 16)) return i;
    return -1;
}

static bool well_behaved(const sim *s, int i)
{
    const node *n = &s->nodes[i];
    return n->running && (!n->fault_us || s->now_us > n->fault_us + CALM_MS * 1000ull);
}

static void on_member(sim *s, int i, const sykli__member_out *m)
{
    int other = m->row ? node_by_id(s, m->row->fact.id) : -1;
    static const char *const names[] = { "dial", "close", "send", "flood", "ping", "behind",
        "nodeup", "nodedown", "linkup", "linkdown", "duplicate" };
    note(s, "n%d %s n%d (%s)", i, names[m->kind], other,
         m->row ? sykli__member_state_names[m->row->fact.state] : "");
    if (m->kind == SYKLI__MEMBER_OUT_NODEDOWN) {
        s->nodedowns++;
        s->nodes[i].told_down[other] = true;
        if (well_behaved(s, other) && well_behaved(s, i))
            fail(s, "n%d says nodedown of n%d, which answered everybody", i, other);
        if (s->calm_kill_us && !s->nodes[other].running && i != other
            && s->now_us - s->nodes[other].killed_us > s->detect_max_us)
            s->detect_max_us = s->now_us - s->nodes[other].killed_us;
    }
    if (m->kind == SYKLI__MEMBER_OUT_NODEUP) s->nodes[i].told_down[other] = false;
}

static void on_dial(sim *s, int i, int conn, const char *address)
{
    int to = address[1] - '0', id = sock_new(s, i, to);
    s->socks[id].end[0].conn = conn;
    sock_send(s, id, 0, EVENT_SYN, NULL, 0);
}

static void on_close(sim *s, int i, int conn)
{
    int id, side;
    sock_end *end = sock_of(s, i, conn, &id, &side);
    if (!end) return;
    end->closed = true;
    end->conn = 0;
    if (s->socks[id].up && !s->socks[id].end[!side].closed)
        sock_send(s, id, side, EVENT_FIN, NULL, 0);
    if (!s->socks[id].up) s->socks[id].end[1].closed = true;
    sock_reap(&s->socks[id]);
}

// Answers calls, so that streams live under all that happens.
static void on_link(sim *s, int i, const sykli__member_core_out *out)
{
    const sykli__link_ev *ev = &out->ev;
    sykli__link_core *l = sykli__member_core_link(&s->nodes[i].core, out->conn);
    int id, side;
    sock_end *end;
    switch (ev->kind) {
    case SYKLI__LINK_EV_UP:
        s->sessions++;
        end = sock_of(s, i, out->conn, &id, &side);
        if (end && s->socks[id].stranger) fail(s, "n%d let a stranger in", i);
        break;
    case SYKLI__LINK_EV_OPENED:
        if (ev->open.priority == SYKLI__LINK_HEAP) break;
        sykli__link_write(l, ev->stream, ev->open.what, strlen(ev->open.what));
        sykli__link_end(l, ev->stream, 0, NULL);
        break;
    case SYKLI__LINK_EV_DATA: sykli__link_consume(l, ev->stream, ev->size); break;
    case SYKLI__LINK_EV_ENDED:
        if (!ev->last) sykli__link_end(l, ev->stream, 0, NULL);
        else s->streams_done++;
        break;
    case SYKLI__LINK_EV_DOWN:
        note(s, "n%d conn %d down: %s", i, out->conn, ev->text);
        break;
    default: break;
    }
}

// Sends what the links of a node have; urgent things must be in the record composed next.
static bool node_output(sim *s, int i)
{
    node *n = &s->nodes[i];
    bool any = false;
    for (int id = 1; id <= s->sock_top; id++)
        for (int side = 0; side < 2 && s->socks[id].used; side++) {
            sock *k = &s->socks[id];
            sock_end *end = &k->end[side];
            if (!k->up || end->node != i || end->closed || end->life != n->life) continue;
            while (k->flying[!side] < PIPE_MAX) {
                const uint8_t *data;
                sykli__link_core *l = sykli__member_core_link(&n->core, end->conn);
                size_t size = sykli__member_core_output(&n->core, now_ms(s), end->conn, &data);
                if (!size) break;
                if (l->state == SYKLI__LINK_UP && l->out == l->session->out && l->out_at == 0
                    && (l->want_ping || l->want_pong
                        || (l->session->control_at < l->session->control.size && size < 15000)))
                    fail(s, "n%d lets what is urgent wait behind bulk", i);
                sock_send(s, id, side, EVENT_DATA, data, size);
                sykli__member_core_sent(&n->core, now_ms(s), end->conn, size);
                any = true;
            }
        }
    return any;
}

static void node_check(sim *s, int i)
{
    node *n = &s->nodes[i];
    const sykli__member_table *t = &n->core.table;
    for (size_t r = 0; r < t->count; r++) {
        const sykli__member_row *row = t->rows[r];
        int other = node_by_id(s, row->fact.id);
        if (other < 0) fail(s, "n%d knows somebody who does not exist", i);
        else if (row->fact.incarnation < n->seen[other])
            fail(s, "n%d took an incarnation of n%d back", i, other);
        else n->seen[other] = row->fact.incarnation;
    }
    if (n->core.conn_count > 128) fail(s, "n%d has %zu connections", i, n->core.conn_count);
    if (t->item_count > SYKLI__MEMBER_QUEUE_MAX) fail(s, "n%d queues too much", i);
    // A buffer holds at most as much that is sent as is not, in a block of at most twice the size.
    uint64_t most = (uint64_t)(NODES - 1) * 4 * SYKLI__LINK_BUFFER_ALL + (4u << 20);
    if (n->mem.total_bytes > most)
        fail(s, "n%d takes %llu bytes for %zu connections", i,
             (unsigned long long)n->mem.total_bytes, n->core.conn_count);
    for (size_t c = 0; c < n->core.conn_count; c++) {
        const sykli__link_session *l = n->core.conns[c]->link.session;
        if (l && (l->control.size > SYKLI__LINK_CONTROL_MAX
                  || l->buffered > SYKLI__LINK_BUFFER_ALL + SYKLI__LINK_OPEN_MAX
                  || l->stream_count > 2 * SYKLI__LINK_STREAMS_MAX))
            fail(s, "a queue of n%d is beyond its bound", i);
    }
}

// Pulls all a node has to say, sends all it has to send, and asks when it wants to be woken.
static void node_run(sim *s, int i)
{
    node *n = &s->nodes[i];
    sykli__member_core_out out;
    if (!n->running) return;
    do {
        while (sykli__member_core_next(&n->core, now_ms(s), &out))
            switch (out.kind) {
            case SYKLI__MEMBER_CORE_DIAL: on_dial(s, i, out.conn, out.member.address); break;
            case SYKLI__MEMBER_CORE_CLOSE: on_close(s, i, out.conn); break;
            case SYKLI__MEMBER_CORE_MEMBER: on_member(s, i, &out.member); break;
            case SYKLI__MEMBER_CORE_LINK: on_link(s, i, &out); break;
            }
    } while (node_output(s, i));
    node_check(s, i);
    uint64_t due = sykli__member_core_deadline(&n->core);
    if (due == UINT64_MAX) return;
    uint64_t at = due * 1000 > s->now_us ? due * 1000 : s->now_us + 1000;
    push(s, (event){ .at_us = at, .kind = EVENT_TICK, .node = i, .tag = ++n->tick_tag });
}

// ---- what arrives

// A stranger overhears what a node has just taken as a valid first message.
static void overhear(sim *s, const event *e, const sock_end *end)
{
    if (s->record_count == RECORDED_MAX || e->size > SYKLI__LINK_FIRST_MAX) return;
    recorded *r = &s->records[s->record_count++];
    memcpy(r->data, e->data, r->size = e->size);
    r->to = end->node;
    r->life = end->life;
}

static void on_data(sim *s, event *e)
{
    sock *k = &s->socks[e->sock];
    sock_end *end = &k->end[e->side];
    node *n = end->node >= 0 ? &s->nodes[end->node] : NULL;
    k->flying[e->side] -= e->size;
    if (!n) {
        k->answered += e->size;
        if (!k->may_answer) fail(s, "a stranger got %zu bytes of an answer", e->size);
        return;
    }
    if (end->closed || !n->running || end->life != n->life) {
        if (n->running && !end->closed) { // a new process does not know the old one's connections
            end->closed = true;
            sock_send(s, e->sock, e->side, EVENT_FIN, NULL, 0);
        }
        return;
    }
    sykli__link_core *l = sykli__member_core_link(&n->core, end->conn);
    bool opened = l->opened;
    for (size_t at = 0; at < e->size;) {
        at += sykli__member_core_bytes(&n->core, now_ms(s), end->conn, e->data + at, e->size - at);
        if (!opened && l->opened) overhear(s, e, end);
        opened = true;
        node_run(s, end->node);
        if (end->closed || !n->running || s->failed) break;
    }
    sock_end *from = &k->end[!e->side];
    if (!k->used || from->node < 0 || from->closed) return;
    const node *sender = &s->nodes[from->node];
    bool awake = sender->running && sender->frozen_until_us <= s->now_us;
    if (awake && from->life == sender->life && k->flying[e->side] + e->size >= PIPE_MAX)
        node_run(s, from->node); // there is room again
}

static void on_syn(sim *s, event *e)
{
    sock *k = &s->socks[e->sock];
    node *n = &s->nodes[e->node];
    uint8_t random[32];
    char from[16];
    if (k->end[0].closed) return;
    snprintf(from, sizeof from, "%s%d:1", k->stranger ? "x" : "n", k->end[0].node);
    dice_bytes(s, random, sizeof random);
    int conn = n->running ? sykli__member_core_accepted(&n->core, now_ms(s), SYKLI__LINK_NOISE,
                                                        from, random) : SYKLI_ECLOSED;
    if (conn < 0) {
        k->end[1].closed = true;
        if (n->killed_us != UINT64_MAX) sock_send(s, e->sock, 1, EVENT_REFUSED, NULL, 0);
        return;
    }
    k->end[1].conn = conn;
    k->end[1].life = n->life;
    k->up = true;
    sock_send(s, e->sock, 1, EVENT_SYN_ACK, NULL, 0);
    node_run(s, e->node);
}

// What a stranger says once connected: noise, the wrong cookie, or what it has overheard.
static void stranger_speaks(sim *s, int id)
{
    sock *k = &s->socks[id];
    uint8_t data[SYKLI__LINK_FIRST_MAX];
    size_t size = 0;
    int way = (int)roll(s, 3);
    if (way == 0) {
        size = 1 + roll(s, sizeof data - 1);
        dice_bytes(s, data, size);
        if (chance(s, 50)) memcpy(data, "SYKM\1\1\1\1\1", size < 9 ? size : 9);
    } else if (way == 1) {
        sykli__link_core l;
        sykli__link_config c = { .initiator = true, .transport = SYKLI__LINK_NOISE,
            .purpose = SYKLI__LINK_CTL, .crypto = &s->crypto, .key_secret = s->wrong.key_secret,
            .psks = &s->wrong, .psk_count = 1, .name = "mallory" };
        const uint8_t *bytes;
        dice_bytes(s, c.ephemeral_secret, 32);
        sykli__link_init(&l, &s->nodes[0].mem, &c, now_ms(s));
        size = sykli__link_output(&l, now_ms(s), &bytes);
        memcpy(data, bytes, size);
        sykli__link_free(&l);
    } else if (s->record_count) {
        recorded *r = &s->records[roll(s, (uint64_t)s->record_count)];
        memcpy(data, r->data, size = r->size);
        // Another node, or another life of it, answers a copy; without the key nothing follows.
        k->may_answer = r->to != k->end[1].node || r->life != k->end[1].life;
    }
    if (size) sock_send(s, id, 0, EVENT_DATA, data, size);
}

static void on_arrival(sim *s, event *e)
{
    sock *k = &s->socks[e->sock];
    sock_end *end = &k->end[e->side];
    node *n = end->node >= 0 ? &s->nodes[end->node] : NULL;
    uint8_t random[32];
    bool here = !n || (n->running && end->life == n->life && !end->closed);
    if (e->kind == EVENT_SYN_ACK && !n) stranger_speaks(s, e->sock);
    if (!here || !n) {
        if (e->kind == EVENT_FIN || e->kind == EVENT_REFUSED) end->closed = true;
        sock_reap(k);
        return;
    }
    if (e->kind == EVENT_SYN_ACK) {
        dice_bytes(s, random, sizeof random);
        sykli__member_core_connected(&n->core, now_ms(s), end->conn, random);
    } else {
        k->end[!e->side].closed = true;
        sykli__member_core_closed(&n->core, now_ms(s), end->conn, e->kind == EVENT_REFUSED);
    }
    node_run(s, end->node);
}

// ---- faults

// One of those that faults happen to. The others answer everybody all the time.
static int victim(sim *s)
{
    int i = (int)roll(s, NODES);
    while (!(s->victims >> i & 1)) i = (i + 1) % NODES;
    return i;
}

static bool is_victim(const sim *s, int i) { return i >= 0 && (s->victims >> i & 1); }

static void blemish(sim *s, int i, uint64_t until_us)
{
    if (is_victim(s, i) && s->nodes[i].fault_us < until_us) s->nodes[i].fault_us = until_us;
}

static void block(sim *s, int from, int to, uint64_t until_us)
{
    s->blocked_until_us[from][to] = until_us;
    blemish(s, from, until_us);
    blemish(s, to, until_us);
}

static void fault_cut(sim *s)
{
    int id = 1 + (int)roll(s, (uint64_t)s->sock_top + 1);
    sock *k = &s->socks[id < SOCKS_MAX ? id : 1];
    if (!k->used || !k->up || k->stranger) return;
    if (!is_victim(s, k->end[0].node) && !is_victim(s, k->end[1].node)) return;
    note(s, "the connection n%d-n%d is cut", k->end[0].node, k->end[1].node);
    for (size_t i = 0; i < s->count; i++) { // what flies is lost, but for a part of the next bytes
        event *e = &s->heap[i];
        if (e->kind != EVENT_DATA || e->use != k->use) continue;
        k->flying[e->side] -= e->size;
        e->size = roll(s, e->size + 1);
        k->flying[e->side] += e->size;
    }
    for (int side = 0; side < 2; side++) {
        blemish(s, k->end[side].node, s->now_us);
        if (!k->end[side].closed) sock_send(s, (int)(k - s->socks), !side, EVENT_FIN, NULL, 0);
    }
}

// The process dies: the kernel says so to all peers, or with the host nobody does.
static void fault_kill(sim *s, int i, bool host)
{
    note(s, "n%d %s", i, host ? "loses its host" : "is killed");
    for (int id = 1; id <= s->sock_top && !host; id++)
        for (int side = 0; side < 2 && s->socks[id].used; side++) {
            sock *k = &s->socks[id];
            if (k->end[side].node != i || k->end[side].life != s->nodes[i].life) continue;
            if (k->end[side].closed) continue;
            k->end[side].closed = true;
            if (k->up && !k->end[!side].closed) sock_send(s, id, side, EVENT_FIN, NULL, 0);
            sock_reap(k);
        }
    node_stop(s, i);
    blemish(s, i, s->now_us);
    for (int j = 0; j < NODES && host; j++)
        if (j != i) {
            s->blocked_until_us[j][i] = s->blocked_until_us[i][j] = UINT64_MAX / 4;
            blemish(s, i, s->now_us);
        }
}

static void on_restart(sim *s, int i)
{
    if (s->nodes[i].running) return;
    for (int j = 0; j < NODES; j++)
        if (s->blocked_until_us[j][i] == UINT64_MAX / 4)
            s->blocked_until_us[j][i] = s->blocked_until_us[i][j] = s->now_us;
    blemish(s, i, s->now_us);
    if (chance(s, 30)) {
        note(s, "n%d forgot its incarnation", i);
        s->nodes[i].persisted = 0;
    }
    node_start(s, i);
}

// A session from one to the other, if there is one.
static sykli__link_core *link_between(sim *s, int from, int to)
{
    node *n = &s->nodes[from];
    sykli__member_row *row = n->running ? sykli__member_get(&n->core.table, s->nodes[to].id) : NULL;
    return row && row->live.conn ? sykli__member_core_link(&n->core, row->live.conn) : NULL;
}

static void fault_calls(sim *s, int from, int to, bool bulk)
{
    sykli__link_open_message m = { .verb = 1, .priority = SYKLI__LINK_CALL, .what = "ping.pong",
                                   .origin = "sim", .node = "", .args = "{}" };
    sykli__link_core *l = link_between(s, from, to);
    static uint8_t block[100000];
    uint32_t id;
    if (!l || s->nodes[from].frozen_until_us > s->now_us) return;
    if (bulk) m.priority = SYKLI__LINK_HEAP;
    for (int i = 0; i < 5; i++) {
        if (sykli__link_open(l, &m, &id)) break;
        s->calls++;
        if (bulk) sykli__link_write(l, id, block, sizeof block);
        sykli__link_end(l, id, 0, NULL);
    }
    node_run(s, from);
}

static void on_fault(sim *s, fault_kind kind)
{
    int a = victim(s), b = (int)((unsigned)a + 1 + roll(s, NODES - 1)) % NODES;
    uint64_t until = s->now_us + 1000 * (50 + roll(s, chance(s, 50) ? 2000 : 15000));
    node *n = &s->nodes[a];
    bool again = s->now_us < s->heal_us;
    if (!again) return;
    uint64_t pause = kind >= FAULT_STRANGER ? 300000 : 3000000;
    push(s, (event){ .at_us = s->now_us + 1000 + roll(s, 2 * pause), .kind = EVENT_FAULT,
                     .tag = kind });
    switch (kind) {
    case FAULT_CUT: fault_cut(s); break;
    case FAULT_STALL:
        note(s, "n%d and n%d stall", a, b);
        block(s, a, b, until);
        block(s, b, a, until);
        break;
    case FAULT_ONE_WAY:
        note(s, "n%d does not reach n%d", a, b);
        block(s, a, b, until);
        break;
    case FAULT_PARTITION: {
        unsigned side = (1 + (unsigned)roll(s, (1 << NODES) - 2)) & s->victims;
        note(s, "partition %x", side);
        for (int i = 0; i < NODES; i++)
            for (int j = 0; j < NODES; j++)
                if ((side >> i & 1) != (side >> j & 1)) block(s, i, j, until);
        break;
    }
    case FAULT_KILL:
    case FAULT_HOST:
        if (!n->running) break;
        fault_kill(s, a, kind == FAULT_HOST);
        push(s, (event){ .at_us = until, .kind = EVENT_RESTART, .node = a });
        break;
    case FAULT_FREEZE:
        note(s, "n%d freezes until %llu", a, (unsigned long long)(until / 1000000));
        n->frozen_until_us = until;
        blemish(s, a, until);
        break;
    case FAULT_STRANGER: {
        int id = sock_new(s, -1, b);
        s->socks[id].stranger = true;
        s->socks[id].end[1].life = s->nodes[b].life;
        sock_send(s, id, 0, EVENT_SYN, NULL, 0);
        break;
    }
    case FAULT_CALLS: fault_calls(s, a, b, false); break;
    case FAULT_BULK: fault_calls(s, a, b, true); break;
    case FAULT_LEAVE:
        if (!n->running || n->frozen_until_us > s->now_us || !chance(s, 10)) break;
        note(s, "n%d leaves", a);
        blemish(s, a, s->now_us);
        sykli__member_leave(&n->core.table);
        node_run(s, a);
        fault_kill(s, a, false);
        push(s, (event){ .at_us = until, .kind = EVENT_RESTART, .node = a });
        break;
    case FAULT_KINDS: break;
    }
}

static void on_heal(sim *s)
{
    note(s, "all heals");
    s->healed = true;
    for (int i = 0; i < NODES; i++) {
        for (int j = 0; j < NODES; j++)
            if (s->blocked_until_us[i][j] > s->now_us) s->blocked_until_us[i][j] = s->now_us;
        if (s->nodes[i].frozen_until_us > s->now_us) s->nodes[i].frozen_until_us = s->now_us;
        blemish(s, i, s->now_us);
    }
    for (int i = 0; i < NODES; i++) on_restart(s, i);
}

// Whether all views are equal: everybody alive, a session between each two, one hash.
static bool all_equal(const sim *s)
{
    for (int i = 0; i < NODES; i++) {
        const sykli__member_table *t = &s->nodes[i].core.table;
        if (!s->nodes[i].running || t->count != NODES || t->hash != s->nodes[0].core.table.hash)
            return false;
        for (size_t r = 0; r < NODES; r++)
            if (t->rows[r]->fact.state != SYKLI__MEMBER_ALIVE || (r && !t->rows[r]->live.conn))
                return false;
    }
    return true;
}

static void describe(sim *s)
{
    for (int i = 0; i < NODES; i++)
        for (size_t r = 0; s->nodes[i].running && r < s->nodes[i].core.table.count; r++) {
            const sykli__member_row *row = s->nodes[i].core.table.rows[r];
            note(s, "  n%d: %s %s %llu conn %d dials %u due %lld ms", i, row->fact.name,
                 sykli__member_state_names[row->fact.state],
                 (unsigned long long)row->fact.incarnation, row->live.conn, row->dials,
                 (long long)(row->dial_due_ms - now_ms(s)));
        }
}

// ---- one seed

static void sim_step(sim *s, event *e)
{
    bool to_node = e->kind <= EVENT_FIN && e->kind != EVENT_SYN && e->node >= 0;
    if (to_node && s->nodes[e->node].frozen_until_us > s->now_us) {
        // Of a stopped process the kernel keeps what arrives.
        e->at_us = s->nodes[e->node].frozen_until_us;
        push(s, *e);
        e->data = NULL;
        return;
    }
    if (e->sock && e->use != s->socks[e->sock].use) return;
    switch (e->kind) {
    case EVENT_TICK:
        if (!s->nodes[e->node].running || e->tag != s->nodes[e->node].tick_tag) break;
        sykli__member_core_tick(&s->nodes[e->node].core, now_ms(s));
        node_run(s, e->node);
        break;
    case EVENT_DATA: on_data(s, e); break;
    case EVENT_SYN: on_syn(s, e); break;
    case EVENT_SYN_ACK:
    case EVENT_REFUSED:
    case EVENT_FIN: on_arrival(s, e); break;
    case EVENT_FAULT: on_fault(s, (fault_kind)e->tag); break;
    case EVENT_RESTART: on_restart(s, e->node); break;
    case EVENT_HEAL: on_heal(s); break;
    case EVENT_CHECK: break;
    }
}

static void sim_init(sim *s, uint64_t seed, bool trace)
{
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->trace = trace;
    for (int i = 0; i < 4; i++) s->random[i] = (seed + 1) * (0x9e3779b97f4a7c15u + (uint64_t)i * 2);
    for (int i = 0; i < 16; i++) dice(s);
    s->real = seed % 16 == 15;
    s->calm = seed % 8 == 3;
    if (s->real) sykli_crypto_init(&s->crypto);
    else sykli_crypto_fake(&s->crypto);
    dice_bytes(s, (uint8_t *)&s->cookie, sizeof s->cookie);
    s->wrong = s->cookie;
    s->wrong.key_secret[5] ^= 1;
    s->delay_us = s->calm ? 50 + roll(s, 500) : 50 + roll(s, chance(s, 50) ? 1000 : 60000);
    s->jitter_us = s->calm ? 200 : roll(s, chance(s, 50) ? 1000 : 150000);
    s->heal_us = (s->calm ? 12 : 10 + roll(s, 40)) * 1000000;
    s->enabled = (uint32_t)dice(s) & (uint32_t)dice(s) & ((1u << FAULT_KINDS) - 1);
    if (s->calm) s->enabled &= 1u << FAULT_STRANGER | 1u << FAULT_CALLS | 1u << FAULT_BULK;
    note(s, "seed %llu: delay %llu us, jitter %llu us, %s crypto", (unsigned long long)seed,
         (unsigned long long)s->delay_us, (unsigned long long)s->jitter_us,
         s->real ? "real" : "fake");
    s->victims = s->calm ? 2 : 1 + (unsigned)roll(s, (1 << NODES) - 1);
    note(s, "faults happen to %x", s->victims);
    for (int i = 0; i < FAULT_KINDS; i++) {
        if (!(s->enabled >> i & 1)) continue;
        note(s, "fault: %s", fault_names[i]);
        push(s, (event){ .at_us = 1000 + roll(s, 5000000), .kind = EVENT_FAULT,
                         .tag = (uint64_t)i });
    }
    for (int i = 0; i < NODES; i++) dice_bytes(s, s->nodes[i].secret, 32);
    for (int i = 0; i < NODES; i++)
        push(s, (event){ .at_us = roll(s, 200000), .kind = EVENT_RESTART, .node = i });
    push(s, (event){ .at_us = s->heal_us, .kind = EVENT_HEAL });
}

// In a calm seed one node freezes for a while, unnoticed, and is then killed: everybody knows
// within 150 ms, on a fast network.
static void sim_calm(sim *s)
{
    if (s->calm && s->now_us > 6000000 && s->now_us < 8400000 && !s->nodes[1].frozen_until_us) {
        note(s, "n1 freezes for 2.4 s, which nobody may call death");
        s->nodes[1].frozen_until_us = 8400000;
    }
    if (!s->calm || s->calm_kill_us || s->now_us < 10000000) return;
    if (!all_equal(s)) fail(s, "ten seconds of calm, and the views differ");
    if (s->nodedowns) fail(s, "a freeze of 2.4 s was taken for death");
    s->calm_kill_us = s->now_us;
    fault_kill(s, 1, false);
}

static void sim_calm_check(sim *s)
{
    if (!s->calm_kill_us) return;
    for (int i = 0; i < NODES && s->calm; i++)
        if (i != 1 && !s->nodes[i].told_down[1] && s->nodes[i].running)
            fail(s, "n%d has not heard of the death of n1", i);
    if (s->detect_max_us > 150000)
        fail(s, "nodedown took %llu ms", (unsigned long long)(s->detect_max_us / 1000));
    s->calm_kill_us = 0;
    s->calm = false;
}

static uint64_t sim_run(sim *s, uint64_t seed, bool trace)
{
    uint64_t equal_since = 0, checked = 0;
    sim_init(s, seed, trace);
    while (s->count && !s->failed) {
        event e = pop(s);
        s->now_us = e.at_us;
        s->steps++;
        if (s->calm && s->calm_kill_us && s->now_us > s->calm_kill_us + 300000) sim_calm_check(s);
        sim_step(s, &e);
        free(e.data);
        sim_calm(s);
        if (!s->healed || s->now_us - checked < 100000) continue;
        checked = s->now_us;
        if (!all_equal(s)) equal_since = 0;
        else if (!equal_since) equal_since = s->now_us;
        if (equal_since && s->now_us - equal_since > 5000000) break;
        if (s->now_us - s->heal_us > HEAL_MAX_MS * 1000ull) {
            describe(s);
            fail(s, "the views are not equal %d s after healing", HEAL_MAX_MS / 1000);
        }
    }
    note(s, "ends: %llu steps, %llu sessions, %llu nodedowns", (unsigned long long)s->steps,
         (unsigned long long)s->sessions, (unsigned long long)s->nodedowns);
    for (int i = 0; i < NODES; i++) node_stop(s, i);
    for (size_t i = 0; i < s->count; i++) free(s->heap[i].data);
    free(s->heap);
    s->heap = NULL;
    return s->hash;
}

int main(int argc, char **argv)
{
    static sim s;
    uint64_t count = 1000, from = 0, passed = 0, failed = 0;
    uint64_t steps = 0, sessions = 0, virtual_us = 0;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (!strcmp(argv[i], "--trace")) trace = true;
        else if (!strcmp(argv[i], "--seeds")) count = strtoull(value, NULL, 10), i++;
        else if (!strcmp(argv[i], "--from")) from = strtoull(value, NULL, 10), i++;
        else if (!strcmp(argv[i], "--seed")) from = strtoull(value, NULL, 10), count = 1, i++;
        else {
            fprintf(stderr, "usage: sim [--seeds N] [--from S] [--seed S] [--trace]\n");
            return 2;
        }
    }
    for (uint64_t seed = from; seed < from + count; seed++) {
        uint64_t hash = sim_run(&s, seed, trace);
        bool bad = s.failed;
        char why[sizeof s.why];
        memcpy(why, s.why, sizeof why);
        steps += s.steps;
        sessions += s.sessions;
        virtual_us += s.now_us;
        if (!bad && seed % 32 == 0 && sim_run(&s, seed, false) != hash) {
            bad = true;
            snprintf(why, sizeof why, "two runs differ");
        }
        if (bad) printf("seed %llu: %s\n    again with: %s --seed %llu --trace\n",
                        (unsigned long long)seed, why, argv[0], (unsigned long long)seed);
        passed += !bad;
        failed += bad;
    }
    printf("%.1f virtual node-hours, %llu steps, %llu sessions\n",
           (double)virtual_us / 3.6e9 * NODES, (unsigned long long)steps,
           (unsigned long long)sessions);
    printf("sim: %llu passed, %llu failed\n", (unsigned long long)passed,
           (unsigned long long)failed);
    return failed != 0;
}
