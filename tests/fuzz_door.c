// Input: what happens at a node's door, a step each: sockets that come and go, handshakes that are
// shaken, records sealed as they should be with anything in them, time that moves. Who lacks the
// secret is not let in, and whoever is let in finds the node as it promises to be: what it holds of
// each session adds up, it does not spin, and who says nothing wrong is served.
#define SYKLI_SIM 1 // for ciphers of the right sizes that take no time
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include "members.h"

enum { VISITORS = 24, HOSTS = 4, PULLS_MAX = 20000, MEMORY_MAX = 32 << 20 };
enum { LINKS_MAX = 8, STEPS_MAX = 40 }; // of a run: handshakes are what takes time here
enum { BODY_MAX = 2700, FRAMES_MAX = 6 }; // of what a visitor says: six of them are a record
enum { COOKIE, INVITE, WRONG }; // what a visitor shows

// Who is at the other end of a connection: raw bytes, or a link whose keys it seals with.
typedef struct visitor {
    int conn;                      // 0: nobody
    bool dialled, connecting;      // by the node
    bool honest;                   // has said nothing of its own
    bool up, down;                 // what the node has told of it
    int who, shows;                // who -1: nobody, it has no link
    sykli__link_psk psk;
    uint8_t secret[32];
    sykli__link_core far;
} visitor;

typedef struct door {
    test *t;
    sykli_crypto crypto;
    sykli__member_core core;
    sykli__link_psk psks[2];       // of the node: cookie, invite
    uint8_t secret[32], token[32];
    visitor at[VISITORS];
    uint64_t now_ms;
    uint8_t randoms, links;
} door;

// ---- who comes ----

static visitor *visitor_of(door *d, int conn)
{
    for (int i = 0; i < VISITORS; i++)
        if (conn && d->at[i].conn == conn) return &d->at[i];
    return NULL;
}

static visitor *visitor_new(door *d, int conn)
{
    for (int i = 0; i < VISITORS; i++)
        if (!d->at[i].conn) {
            memset(&d->at[i], 0, offsetof(visitor, far));
            d->at[i].conn = conn;
            d->at[i].who = -1;
            d->at[i].honest = true;
            return &d->at[i];
        }
    return NULL;
}

// Gives a visitor a link: from the input which node it is, what it shows and wants.
static void visitor_link(door *d, visitor *v, fuzz_in *in, uint8_t transport)
{
    uint8_t is = fuzz_byte(in), wants = fuzz_byte(in);
    d->links++;
    v->who = 1 + is % (MEMBERS - 1);
    v->shows = wants / 4 % 3;
    v->psk = v->shows == WRONG ? (sykli__link_psk){ "member!", "not the secret" }
                               : d->psks[v->shows];
    v->secret[0] = (uint8_t)(v->who ^ 9);
    bool stranger = transport == SYKLI__LINK_CLEAR && wants / 16 % 8 == 7;
    sykli__member_fact fact = members_fact(v->who);
    sykli__link_config c = { .initiator = !v->dialled, .transport = transport,
        .purpose = (uint8_t)(SYKLI__LINK_CTL + wants % 4), .crypto = &d->crypto,
        .key_secret = v->secret, .psks = &v->psk, .psk_count = 1,
        .token = stranger ? v->secret : d->token, .boot_id = is / 16, .name = "visitor",
        .session = wants / 16 };
    bool lies = is / 8 % 8 == 7; // says that it is another one
    if (lies) fact = members_fact(1 + (is + 1) % (MEMBERS - 1));
    memcpy(c.id, fact.id, sizeof c.id);
    memcpy(c.sign_key, fact.sign_key, sizeof c.sign_key);
    c.ephemeral_secret[0] = (uint8_t)(is / 64); // so few that some come twice
    if (wants < 128) c.ephemeral_secret[1] = (uint8_t)v->conn;
    FUZZ_CHECK(!sykli__link_init(&v->far, &d->t->mem, &c, d->now_ms));
    v->honest = !lies && !stranger;
}

static void visitor_gone(visitor *v)
{
    if (v->who >= 0) sykli__link_free(&v->far);
    v->conn = 0;
}

// ---- what must hold ----

static bool is_open(const void *user, int conn)
{
    return sykli__member_conn_get((const sykli__member_core *)user, conn) != NULL;
}

static void check_session(const sykli__link_core *l)
{
    const sykli__link_session *s = l->session;
    size_t buffered = 0, opening = 0, held = 0;
    uint32_t opened[2] = { 0, 0 };
    if (l->state != SYKLI__LINK_UP) return;
    for (size_t i = 0; i < s->stream_count; i++) {
        const sykli__link_stream *t = s->streams[i];
        uint32_t window = sykli__link_window(t->priority);
        buffered += t->out.size - t->out_at;
        opening += t->opening_total;
        held += t->held;
        opened[t->here]++;
        FUZZ_CHECK(t->opening.size <= t->opening_total);
        FUZZ_CHECK(t->credit <= window && t->left <= window);
        if (!t->opening_total) FUZZ_CHECK(t->left + t->held + t->give == window);
    }
    FUZZ_CHECK(buffered == s->buffered && opening == s->opening_bytes);
    FUZZ_CHECK(opened[0] == s->opened[0] && opened[1] == s->opened[1]);
    FUZZ_CHECK(opened[0] <= SYKLI__LINK_STREAMS_MAX && opening <= SYKLI__LINK_OPENING_MAX);
    FUZZ_CHECK(s->left <= SYKLI__LINK_WINDOW_ALL && s->credit <= SYKLI__LINK_WINDOW_ALL);
    FUZZ_CHECK(s->left + s->give + held == SYKLI__LINK_WINDOW_ALL);
}

static void check(door *d)
{
    const sykli__member_core *c = &d->core;
    size_t strangers[HOSTS] = { 0 };
    members_check(&c->table, is_open, c);
    for (size_t i = 0; i < c->conn_count; i++) {
        const sykli__member_conn *n = c->conns[i];
        const visitor *v = visitor_of(d, n->id);
        size_t row = 0;
        FUZZ_CHECK(v && v->connecting == n->connecting);
        while (n->joined && row < c->table.count && c->table.rows[row] != n->row) row++;
        FUZZ_CHECK(!n->joined || row < c->table.count);
        if (n->link.config.transport == SYKLI__LINK_NOISE && !v->dialled && !n->link.opened)
            strangers[n->address[4] - '0']++; // host0:
        check_session(&n->link);
    }
    for (int i = 0; i < HOSTS; i++) FUZZ_CHECK(strangers[i] <= SYKLI__MEMBER_STRANGERS_EACH);
    FUZZ_CHECK(d->t->bytes < MEMORY_MAX);
}

// A session is up: whoever it is has shown a secret that the node knows, and its keys are its id's.
static void check_up(const door *d, const visitor *v, const sykli__member_core_out *out)
{
    const sykli__link_peer *peer = out->peer;
    const sykli__member_conn *n = sykli__member_conn_get(&d->core, out->conn);
    sykli__member_fact fact = members_fact(v->who < 0 ? 0 : v->who);
    FUZZ_CHECK(n && !v->up && !v->down);
    if (n->link.config.transport != SYKLI__LINK_NOISE) { // over a unix socket only the token counts
        FUZZ_CHECK(!n->joined);
        return;
    }
    FUZZ_CHECK(v->who >= 0 && v->shows != WRONG && !memcmp(peer->id, fact.id, 16));
    FUZZ_CHECK(!memcmp(peer->key, fact.key, 32) && memcmp(peer->id, d->core.link.id, 16));
    FUZZ_CHECK(!n->joined || (v->shows == COOKIE && peer->purpose == SYKLI__LINK_CTL));
}

// ---- the node's own side ----

// Answers in one of the ways that a node may.
static void on_opened(sykli__link_core *l, const sykli__link_ev *ev)
{
    const sykli__link_open_message *m = &ev->open;
    FUZZ_CHECK(m->priority < SYKLI__LINK_CLASSES && strlen(m->node) <= SYKLI_NODE_NAME_MAX);
    FUZZ_CHECK(sykli_utf8_valid(m->what, strlen(m->what))
               && sykli_utf8_valid(m->args, strlen(m->args)));
    switch (m->verb % 4) {
    case 0: sykli__link_reset(l, ev->stream, SYKLI_EPERM); break;
    case 1: // ends at once
        sykli__link_write(l, ev->stream, m->what, strlen(m->what));
        sykli__link_end(l, ev->stream, 0, m->args);
        break;
    default: sykli__link_write(l, ev->stream, m->args, strlen(m->args));
    }
}

static void on_link(door *d, visitor *v, const sykli__member_core_out *out)
{
    const sykli__link_ev *ev = &out->ev;
    sykli__link_core *l = sykli__member_core_link(&d->core, out->conn);
    FUZZ_CHECK(v && l && !v->down);
    if (ev->kind == SYKLI__LINK_EV_UP) check_up(d, v, out);
    else FUZZ_CHECK(v->up || ev->kind == SYKLI__LINK_EV_DOWN);
    switch (ev->kind) {
    case SYKLI__LINK_EV_UP: v->up = true; break;
    case SYKLI__LINK_EV_DOWN:
        v->down = true; // who has the secret, and does as one should, is not turned away
        if (v->honest && v->who >= 0 && v->shows != WRONG && !v->dialled && !v->up)
            FUZZ_CHECK(ev->code != SYKLI_EAUTH && ev->code != SYKLI_EPARSE);
        break;
    case SYKLI__LINK_EV_OPENED: on_opened(l, ev); break;
    case SYKLI__LINK_EV_DATA: // some of it is kept
        if (ev->size && ev->data[0] % 2) sykli__link_consume(l, ev->stream, ev->size);
        break;
    case SYKLI__LINK_EV_ENDED:
        FUZZ_CHECK(ev->code <= 0 && (!ev->text || sykli_utf8_valid(ev->text, strlen(ev->text))));
        if (!ev->last) sykli__link_end(l, ev->stream, 0, NULL);
        else FUZZ_CHECK(!sykli__link_find(l, ev->stream));
        break;
    default: break;
    }
}

static void pull(door *d)
{
    sykli__member_core_out out;
    for (int i = 0; sykli__member_core_next(&d->core, d->now_ms, &out); i++) {
        visitor *v = visitor_of(d, out.conn);
        FUZZ_CHECK(i < PULLS_MAX);
        switch (out.kind) {
        case SYKLI__MEMBER_CORE_DIAL:
            FUZZ_CHECK(!v && strlen(out.member.address) < sizeof out.member.address);
            v = visitor_new(d, out.conn);
            if (v) v->dialled = v->connecting = true;
            else sykli__member_core_closed(&d->core, d->now_ms, out.conn, true);
            break;
        case SYKLI__MEMBER_CORE_CLOSE:
            FUZZ_CHECK(!sykli__member_core_link(&d->core, out.conn));
            if (v) visitor_gone(v);
            break;
        case SYKLI__MEMBER_CORE_LINK:
            if (v) on_link(d, v, &out); // else there was no room for it
            break;
        default: FUZZ_CHECK(out.member.row);
        }
    }
    check(d);
}

static void hear(door *d, int conn, const uint8_t *data, size_t size)
{
    for (size_t at = 0, turns = 0; at < size && visitor_of(d, conn); turns++) {
        FUZZ_CHECK(turns < PULLS_MAX);
        at += sykli__member_core_bytes(&d->core, d->now_ms, conn, data + at, size - at);
        FUZZ_CHECK(at <= size);
        pull(d);
    }
}

// ---- steps ----

// What the node has to say to a visitor, who reads it.
static void tell(door *d, visitor *v)
{
    const uint8_t *data;
    sykli__link_ev ev;
    int conn = v->conn;
    size_t size = sykli__member_core_output(&d->core, d->now_ms, conn, &data);
    for (size_t at = 0, used = 1; v->who >= 0 && at < size && used; at += used) {
        used = sykli__link_bytes(&v->far, d->now_ms, data + at, size - at);
        while (sykli__link_event(&v->far, &ev))
            if (ev.kind == SYKLI__LINK_EV_DATA) sykli__link_consume(&v->far, ev.stream, ev.size);
    }
    sykli__member_core_sent(&d->core, d->now_ms, conn, size);
    if (v->who >= 0 && v->honest && v->far.state == SYKLI__LINK_DOWN) // what it read was in order
        FUZZ_CHECK(v->far.fault.code != SYKLI_EPARSE && v->far.fault.code != SYKLI_ECORRUPT);
    pull(d);
}

// What a visitor's link has to say. changes: so many bytes of it become others.
static void say(door *d, visitor *v, fuzz_in *in, int changes)
{
    const uint8_t *data;
    uint8_t copy[2 * SYKLI__LINK_FIRST_MAX];
    size_t size = v->who < 0 ? 0 : sykli__link_output(&v->far, d->now_ms, &data);
    if (!size) return;
    if (size > sizeof copy) size = sizeof copy;
    memcpy(copy, data, size);
    sykli__link_sent(&v->far, d->now_ms, size);
    if (changes) v->honest = false;
    for (int i = 0; i < changes; i++) {
        size_t at = fuzz_byte(in);
        copy[at % size] = fuzz_byte(in);
    }
    hear(d, v->conn, copy, size);
}

static size_t put_open(uint8_t *out, size_t room, fuzz_in *in)
{
    static const char *const texts[] = { "", "x", "SELECT name FROM tasks", "{\"a\":1}" };
    sykli__wire_out wire = sykli__link_fixed(out, room);
    uint8_t odd = fuzz_byte(in);
    sykli__link_open_message m = { .verb = fuzz_byte(in), .priority = odd % 5,
        .role = fuzz_byte(in), .origin = "n1", .node = texts[odd / 8 % 2],
        .what = texts[odd / 16 % 4], .args = texts[odd / 64] };
    sykli__wire_put_u32(&wire, 0);
    sykli__link_open_put(&wire, &m);
    uint32_t total = (uint32_t)wire.size - 4;
    if (odd % 8 > 5) total += fuzz_byte(in); // more is to come
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(total >> 8 * (3 - i));
    return wire.size;
}

// The body of a frame: as its type wants it, or any bytes.
static size_t put_body(door *d, visitor *v, uint8_t type, uint8_t *out, size_t room, fuzz_in *in)
{
    sykli__wire_out wire = sykli__link_fixed(out, room);
    sykli__link_core *l = sykli__member_core_link(&d->core, v->conn);
    size_t any = fuzz_byte(in);
    switch (any < 192 ? type : (uint8_t)SYKLI__LINK_DATA) {
    case SYKLI__LINK_OPEN: return put_open(out, room, in);
    case SYKLI__LINK_FACT: return members_put_fact(out, room, in);
    case SYKLI__LINK_WINDOW_FRAME:
        sykli__wire_put_u32(&wire, (uint32_t)fuzz_byte(in) << any % 24);
        return wire.size;
    case SYKLI__LINK_END:
    case SYKLI__LINK_RESET:
    case SYKLI__LINK_GOAWAY:
        sykli__wire_put_u32(&wire, (uint32_t)-(int)fuzz_byte(in));
        break;
    case SYKLI__LINK_PING:
    case SYKLI__LINK_PONG:
        sykli__wire_put_u64(&wire, any % 2 && l ? l->ping_token : d->now_ms - fuzz_byte(in));
        if (any % 4 > 1) sykli__wire_put_bytes(&wire, in->at, in->left < 36 ? in->left : 36);
        break;
    case SYKLI__LINK_IDENTITY:
        if (v->who >= 0) sykli__link_identity_put(&v->far, &wire);
        break;
    default:
        any %= 64;
        if (any == 63) memset(out, 0, wire.size = room); // much at once
    }
    for (size_t i = 0; i < any % 64 && wire.size < room; i++)
        sykli__wire_put_u8(&wire, fuzz_byte(in));
    return wire.size;
}

// A record of a few frames, sealed if its link can.
static void say_record(door *d, visitor *v, fuzz_in *in)
{
    static uint8_t record[2 + FRAMES_MAX * (SYKLI__LINK_FRAME + BODY_MAX) + SYKLI__LINK_TAG];
    uint8_t body[BODY_MAX];
    size_t size = 2, tag = v->far.config.transport == SYKLI__LINK_NOISE ? SYKLI__LINK_TAG : 0;
    if (v->who < 0 || (tag && !v->far.sealing.crypto)) return; // it has no keys yet
    v->honest = false;
    for (int frames = 1 + fuzz_byte(in) % FRAMES_MAX; frames; frames--) {
        uint8_t head = fuzz_byte(in), type = head % 12, flags = head / 12 % 4, id = fuzz_byte(in);
        size_t body_size = put_body(d, v, type, body, sizeof body, in);
        sykli__wire_out wire = sykli__link_fixed(record + size, SYKLI__LINK_FRAME + 1);
        sykli__wire_put_u8(&wire, type);
        sykli__wire_put_u8(&wire, flags == 3 ? SYKLI__LINK_SKIPPABLE : 0);
        sykli__wire_put_u16(&wire, (uint16_t)(body_size + (head == 255))); // not all is there
        sykli__wire_put_u32(&wire, id);
        memcpy(record + size + SYKLI__LINK_FRAME, body, body_size);
        size += SYKLI__LINK_FRAME + body_size;
    }
    size += tag;
    record[0] = (uint8_t)((size - 2) >> 8);
    record[1] = (uint8_t)(size - 2);
    if (sykli__link_seal(&v->far, record, size)) return;
    hear(d, v->conn, record, size);
}

static void step_time(door *d, fuzz_in *in)
{
    uint8_t how = fuzz_byte(in);
    d->now_ms += how < 128 ? (uint64_t)how * 8 : UINT64_C(1) << how % 28; // 37 hours
    uint64_t due = sykli__member_core_deadline(&d->core);
    if (how % 4 == 3 && due > d->now_ms && due < d->now_ms + 100000) d->now_ms = due;
    sykli__member_core_tick(&d->core, d->now_ms);
    pull(d);
    for (int again = 0; sykli__member_core_deadline(&d->core) <= d->now_ms; again++) {
        FUZZ_CHECK(again < 64); // else the node would spin
        sykli__member_core_tick(&d->core, d->now_ms);
        pull(d);
    }
}

static void step_accept(door *d, fuzz_in *in, bool linked)
{
    uint8_t random[32] = { ++d->randoms }, how = fuzz_byte(in);
    uint8_t transport = how & 1 ? SYKLI__LINK_CLEAR : SYKLI__LINK_NOISE;
    char from[16];
    snprintf(from, sizeof from, "host%d:%d", how / 2 % HOSTS, how);
    int conn = sykli__member_core_accepted(&d->core, d->now_ms, transport, from, random);
    if (conn < 0) {
        FUZZ_CHECK(conn == SYKLI_EBUSY && transport == SYKLI__LINK_NOISE);
        return;
    }
    visitor *v = visitor_new(d, conn);
    if (!v) {
        sykli__member_core_closed(&d->core, d->now_ms, conn, false);
        pull(d);
    } else if (linked && d->links < LINKS_MAX) visitor_link(d, v, in, transport);
}

static void step_dialled(door *d, visitor *v, fuzz_in *in)
{
    uint8_t random[32] = { ++d->randoms }, how = fuzz_byte(in);
    if (!v->connecting) return;
    v->connecting = false;
    if (how & 1 || d->links == LINKS_MAX)
        sykli__member_core_closed(&d->core, d->now_ms, v->conn, how & 2);
    else {
        visitor_link(d, v, in, SYKLI__LINK_NOISE);
        sykli__member_core_connected(&d->core, d->now_ms, v->conn, random);
    }
    pull(d);
}

// The node asks something, writes more, ends, or gives up.
static void step_node(door *d, visitor *v, fuzz_in *in)
{
    static const uint8_t block[4096];
    sykli__link_core *l = sykli__member_core_link(&d->core, v->conn);
    uint8_t what = fuzz_byte(in);
    uint32_t id = 0;
    if (!l || l->state != SYKLI__LINK_UP) return;
    const sykli__link_session *s = l->session;
    const sykli__link_stream *t = s->stream_count ? s->streams[what / 8 % s->stream_count] : NULL;
    if (t && !t->opening_total) id = t->id; // the others nobody has heard of yet
    switch (what % 8) {
    case 0:
        sykli__link_open(l, &(sykli__link_open_message){ .verb = 1, .priority = what / 8 % 4,
                                                         .what = "node.status" }, &id);
        break;
    case 1: sykli__link_end(l, id, -(what / 8), "it is over"); break;
    case 2: sykli__link_reset(l, id, SYKLI_ETIMEOUT); break;
    case 3: if (id) sykli__link_consume(l, id, t->held); break;
    case 4: sykli__link_close(l, SYKLI_EPERM, "this node is banned"); break;
    default: sykli__link_write(l, id, block, sizeof block);
    }
    pull(d);
}

static void step(door *d, fuzz_in *in)
{
    uint8_t what = fuzz_byte(in), data[256];
    visitor *v = &d->at[fuzz_byte(in) % VISITORS];
    size_t size = 0;
    if (what % 16 < 2 || !v->conn) {
        step_accept(d, in, what % 16);
        return;
    }
    switch (what % 16) {
    case 2:
    case 3: // a whole handshake
        if (v->connecting) step_dialled(d, v, in);
        for (int i = 0; i < 4 && v->conn; i++) {
            say(d, v, in, 0);
            if (v->conn) tell(d, v);
        }
        break;
    case 4: say(d, v, in, what / 16); break;
    case 5: tell(d, v); break;
    case 6: // any bytes
        for (size_t n = fuzz_byte(in); size < n; size++) data[size] = fuzz_byte(in);
        v->honest = false;
        hear(d, v->conn, data, size);
        break;
    case 7:
        v->connecting = false;
        sykli__member_core_closed(&d->core, d->now_ms, v->conn, what & 16);
        pull(d);
        break;
    case 8: step_dialled(d, v, in); break;
    case 9:
    case 10: step_time(d, in); break;
    case 11: step_node(d, v, in); break;
    default: say_record(d, v, in);
    }
}

static void door_open(door *d, test *t)
{
    static const uint64_t seed[2] = { 5, 6 };
    sykli__member_core_config c;
    memset(d, 0, sizeof *d);
    memset(&c, 0, sizeof c);
    d->t = t;
    d->now_ms = 1000;
    d->psks[COOKIE] = (sykli__link_psk){ "member!", "the secret of the mesh" };
    d->psks[INVITE] = (sykli__link_psk){ "invited", "the secret of an invite" };
    memset(d->token, 't', sizeof d->token);
    sykli_crypto_fake(&d->crypto);
    c.member.self = members_fact(0);
    d->secret[0] = 9;
    c.member.wall_ms = MEMBERS_WALL_MS;
    c.member.rostered = members_rostered;
    snprintf(c.member.seeds[c.member.seed_count++], sizeof *c.member.seeds, "seed:7070");
    c.link.crypto = &d->crypto;
    c.link.key_secret = d->secret;
    c.link.token = d->token;
    c.link.psks = d->psks;
    c.link.psk_count = 2;
    FUZZ_CHECK(!sykli__member_core_init(&d->core, &t->mem, &c, d->now_ms));
    sykli__link_replay_init(&d->core.replay, &t->mem, 16, seed); // its pages are what costs here
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static door d;
    test t;
    fuzz_in in = { data, size };
    test_begin(&t, 0);
    door_open(&d, &t);
    for (int i = 0; in.left && i < STEPS_MAX; i++) step(&d, &in);
    for (int i = 0; i < VISITORS; i++) visitor_gone(&d.at[i]);
    sykli__member_core_free(&d.core);
    fuzz_end(&t);
    return 0;
}
