// Input: a letter that chooses, then what comes from elsewhere: b the book of invites, h a
// handshake changed on its way, k a file of keys, m what members say of each other, r a roster's
// body. Nobody's memory comes to harm, what is read is written as it was understood, and a table of
// members stays whole whatever it is told.
#define SYKLI_SIM 1 // for ciphers of the right sizes that take no time
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"

static bool same(const sykli_buf *a, const sykli_buf *b)
{
    return a->size == b->size && (!a->size || !memcmp(a->data, b->data, a->size));
}

// ---- files ----
static void fuzz_book(test *t, const char *text, size_t size)
{
    sykli__roster_book book = { .mem = &t->mem }, again = { .mem = &t->mem };
    sykli_buf once, twice;
    sykli_buf_init(&once, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&twice, &t->mem, SYKLI_TAG_host);
    int rc = sykli__roster_book_decode(&book, text, size, &t->fault);
    FUZZ_CHECK(rc ? !book.count && t->fault.text[0] : book.count <= size);
    FUZZ_CHECK(!sykli__roster_book_encode(&book, &once));
    rc = sykli__roster_book_decode(&again, (const char *)once.data, once.size, &t->fault);
    FUZZ_CHECK(!rc && again.count == book.count);
    FUZZ_CHECK(!sykli__roster_book_encode(&again, &twice) && same(&once, &twice));
    sykli__roster_book_free(&book);
    sykli__roster_book_free(&again);
    sykli_buf_free(&once);
    sykli_buf_free(&twice);
}

static void fuzz_keys(test *t, const char *text, size_t size)
{
    static const sykli__roster_keys none;
    sykli_crypto crypto;
    sykli__roster_keys keys = none, again = none;
    sykli_buf out;
    sykli_crypto_fake(&crypto);
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    if (!sykli__roster_keys_decode(&keys, &crypto, text, size, &t->fault)) {
        FUZZ_CHECK(!sykli__roster_keys_encode(&keys, &out));
        bool plain = sykli__roster_name_valid(keys.name) || !keys.name[0];
        int rc = sykli__roster_keys_decode(&again, &crypto, (const char *)out.data, out.size,
                                           &t->fault);
        FUZZ_CHECK(!plain || (!rc && !memcmp(&keys.exchange, &again.exchange, 96)));
        FUZZ_CHECK(!plain || (keys.has == again.has && !strcmp(keys.name, again.name)));
    } else FUZZ_CHECK(t->fault.text[0] && !keys.has);
    sykli_buf_free(&out);
}

static void fuzz_roster(test *t, const uint8_t *data, size_t size)
{
    static const uint8_t mesh[32] = { 1 };
    sykli__roster r, again;
    sykli_buf once, twice;
    sykli__wire_in in = sykli__wire_over(data, size);
    sykli_buf_init(&once, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&twice, &t->mem, SYKLI_TAG_host);
    sykli__roster_init(&r, &t->mem, mesh);
    sykli__roster_init(&again, &t->mem, mesh);
    if (!sykli__roster_body_get(&in, &r, &t->fault)) {
        sykli__roster_body_put(&once, &r);
        in = sykli__wire_over(once.data, once.size);
        FUZZ_CHECK(!sykli__roster_body_get(&in, &again, &t->fault) && !in.left);
        sykli__roster_body_put(&twice, &again);
        FUZZ_CHECK(!once.error && same(&once, &twice));
        for (size_t i = 0; i < r.count; i++)
            FUZZ_CHECK(sykli__roster_name_valid(r.entries[i].name)
                       && !sykli__roster_banned(&r, r.entries[i].id));
    } else FUZZ_CHECK(t->fault.text[0]);
    sykli__roster_free(&r);
    sykli__roster_free(&again);
    sykli_buf_free(&once);
    sykli_buf_free(&twice);
}

// ---- a handshake ----
static const uint8_t token[32] = "a token of thirty-two bytes, yes";
static const uint8_t base[32] = { 9 };

static int link_begin(test *t, sykli__link_core *l, const sykli_crypto *crypto,
                      sykli__link_replay *replay, bool initiator, bool clear)
{
    static const uint8_t secret[2][32] = { { 1 }, { 2 } };
    static const sykli__link_psk psk = { "member", "a secret of thirty-two bytes!!!" };
    uint8_t key[32];
    sykli__link_config c = { .initiator = initiator, .purpose = SYKLI__LINK_CTL,
        .transport = clear ? SYKLI__LINK_CLEAR : SYKLI__LINK_NOISE, .token = token,
        .crypto = crypto, .key_secret = secret[initiator], .psks = &psk, .psk_count = 1,
        .replay = initiator ? NULL : replay, .boot_id = initiator ? 11 : 22, .session = 7,
        .name = initiator ? "anna" : "bert", .caps = 3 };
    memset(c.ephemeral_secret, initiator ? 'e' : 'f', 32);
    memset(c.sign_key, initiator ? 's' : 't', 32);
    memset(c.mesh_id, 'm', sizeof c.mesh_id);
    crypto->x25519(NULL, key, c.key_secret, base);
    sykli__roster_node_id(c.id, key, c.sign_key);
    return sykli__link_init(l, &t->mem, &c, 1000);
}

static void link_feed(sykli__link_core *l, const uint8_t *data, size_t size)
{
    sykli__link_ev ev;
    do {
        size_t used = sykli__link_bytes(l, 1000, data, size);
        FUZZ_CHECK(used <= size);
        data += used;
        size -= used;
        while (sykli__link_event(l, &ev)) FUZZ_CHECK(ev.kind != SYKLI__LINK_EV_DATA);
    } while (size);
}

// Carries what one says to the other. A byte of input says how much is changed, and two each change
// it; an odd one cuts the message in two.
static void link_carry(sykli__link_core *from, sykli__link_core *to, fuzz_in *in)
{
    const uint8_t *data;
    uint8_t copy[2048];
    size_t size = sykli__link_output(from, 1000, &data), changes = fuzz_byte(in);
    FUZZ_CHECK(size <= sizeof copy);
    if (size) memcpy(copy, data, size);
    sykli__link_sent(from, 1000, size);
    for (size_t i = changes / 2 % 16; i && size; i--) {
        size_t at = fuzz_byte(in);
        copy[at % size] = fuzz_byte(in);
    }
    size_t first = changes & 1 ? size / 2 : size;
    if (first) link_feed(to, copy, first);
    if (size - first) link_feed(to, copy + first, size - first);
}

// A byte: whether what is said is in the clear; then the changes, then bytes for who answered.
static void fuzz_handshake(test *t, const uint8_t *data, size_t size)
{
    fuzz_in in = { data, size };
    sykli__link_core a, b;
    sykli__link_replay replay;
    sykli_crypto crypto;
    bool clear = fuzz_byte(&in) & 1;
    static const uint64_t seed[2] = { 5, 6 };
    sykli_crypto_fake(&crypto);
    sykli__link_replay_init(&replay, &t->mem, 16, seed);
    FUZZ_CHECK(!link_begin(t, &a, &crypto, &replay, true, clear));
    FUZZ_CHECK(!link_begin(t, &b, &crypto, &replay, false, clear));
    for (int i = 0; i < 3; i++) link_carry(&a, &b, &in), link_carry(&b, &a, &in);
    bool up = a.state == SYKLI__LINK_UP && b.state == SYKLI__LINK_UP;
    if (up && !clear)
        FUZZ_CHECK(!memcmp(a.peer.id, b.config.id, 16) && !memcmp(b.peer.id, a.config.id, 16));
    link_feed(&b, in.at, in.left);
    sykli__link_tick(&a, 7000);
    sykli__link_tick(&b, 7000);
    FUZZ_CHECK(a.state >= SYKLI__LINK_UP && t->bytes < 1 << 20);
    sykli__link_free(&a);
    sykli__link_free(&b);
    sykli__link_replay_free(&replay);
}

// ---- members ----
enum { NODES = 8, CONNS = 256 };
#define WALL_MS UINT64_C(1700000000000)

typedef struct world {
    sykli__member_table t;
    int who[CONNS], count; // the node at the end of each connection, -1: it is closed
    uint64_t now_ms;
} world;

static sykli__member_fact fact_of(int n)
{
    static uint8_t ids[NODES][16]; // a hash each
    sykli__member_fact f;
    memset(&f, 0, sizeof f);
    f.key[0] = (uint8_t)n;
    if (!ids[n][0]) sykli__roster_node_id(ids[n], f.key, f.sign_key);
    memcpy(f.id, ids[n], sizeof f.id);
    f.boot_id = (uint64_t)n;
    f.bits = SYKLI__MEMBER_DIALABLE;
    snprintf(f.name, sizeof f.name, "n%d", n);
    snprintf(f.addresses, sizeof f.addresses, "host%d:7070 b:1", n);
    return f;
}

static bool is_rostered(void *user, const uint8_t key[32])
{
    (void)user;
    return key[0] < 6;
}

static sykli__member_row *row_of(world *w, int conn)
{
    sykli__member_fact f = fact_of(w->who[conn]);
    return sykli__member_get(&w->t, f.id);
}

static void close_conn(world *w, int conn)
{
    sykli__member_row *row = w->who[conn] < 0 ? NULL : row_of(w, conn);
    w->who[conn] = -1;
    if (row) sykli__member_link_down(&w->t, row, conn);
}

static void check_table(world *w)
{
    const sykli__member_table *t = &w->t;
    uint64_t hash = 0;
    size_t unrostered = 0;
    for (size_t i = 0; i < t->count; i++) {
        const sykli__member_row *row = t->rows[i];
        const uint64_t *at = sykli_map_get(&t->by_id, row->fact.id, 16);
        FUZZ_CHECK(at && *at == i && row->fact.state < SYKLI__MEMBER_STATES);
        hash ^= sykli__member_row_hash(row);
        unrostered += !row->rostered;
        int conns[] = { row->live.conn, row->loser.conn, row->newcomer.conn };
        for (int k = 0; k < 3; k++) // no session that is over
            FUZZ_CHECK(!conns[k] || w->who[conns[k]] >= 0);
    }
    FUZZ_CHECK(hash == t->hash && unrostered == t->unrostered && t->by_id.count == t->count);
    FUZZ_CHECK(t->rows[0]->fact.state == SYKLI__MEMBER_ALIVE && !t->rows[0]->live.conn);
}

// Does what the table wants, as its caller would.
static void pull(world *w)
{
    sykli__member_out out;
    for (int i = 0; sykli__member_next(&w->t, &out); i++) {
        FUZZ_CHECK(i < 10000);
        if (out.kind == SYKLI__MEMBER_OUT_CLOSE || out.kind == SYKLI__MEMBER_OUT_DUPLICATE)
            close_conn(w, out.conn);
        if (out.kind != SYKLI__MEMBER_OUT_SEND && out.kind != SYKLI__MEMBER_OUT_FLOOD) continue;
        sykli__wire_in in = sykli__wire_over(out.data, out.size);
        sykli__member_fact f;
        if (sykli__wire_u8(&in) == SYKLI__MEMBER_SAY) // others can read it, if its owner ever spoke
            FUZZ_CHECK(sykli__member_fact_get(&in, &f) || !out.row->fact.name[0]);
    }
}

// A fact as somebody might make it up.
static size_t put_fact(uint8_t *out, size_t room, fuzz_in *in)
{
    sykli__member_fact f = fact_of(fuzz_byte(in) % NODES);
    sykli__wire_out wire = sykli__link_fixed(out, room);
    uint8_t odd = fuzz_byte(in);
    f.state = fuzz_byte(in) % (SYKLI__MEMBER_STATES + 1);
    f.incarnation = (WALL_MS / 1000 << 20) + fuzz_byte(in);
    if (odd & 1) f.incarnation += UINT64_C(1) << fuzz_byte(in) % 64;
    if (odd & 2) f.boot_id = fuzz_byte(in);
    if (odd & 4) f.id[0] ^= 1;
    if (odd & 8) f.addresses[fuzz_byte(in) % 16] = (char)fuzz_byte(in);
    if (odd & 16) f.name[0] = (char)fuzz_byte(in);
    if (odd & 32) f.bits = fuzz_byte(in);
    sykli__member_fact_put(&wire, &f);
    return wire.size;
}

static void step(world *w, fuzz_in *in)
{
    uint8_t what = fuzz_byte(in), data[SYKLI__LINK_FACT_MAX];
    int conn = w->count ? 1 + fuzz_byte(in) % w->count : 0;
    bool open = conn && w->who[conn] >= 0;
    sykli__member_row *row = open ? row_of(w, conn) : NULL;
    size_t size = 0;
    switch (what % 8) {
    case 0: // a session
        if (w->count + 1 < CONNS) {
            sykli__member_fact f = fact_of(1 + fuzz_byte(in) % (NODES - 1));
            sykli__link_peer peer = { .boot_id = fuzz_byte(in) };
            sykli__member_session fresh = { ++w->count, peer.boot_id, what / 16, what & 8 };
            memcpy(peer.id, f.id, 16);
            memcpy(peer.key, f.key, 32);
            memcpy(peer.name, f.name, sizeof f.name);
            w->who[w->count] = f.key[0];
            if (sykli__member_link_up(&w->t, &peer, &fresh, &row)) w->who[w->count] = -1;
        }
        break;
    case 1:
        if (open) close_conn(w, conn);
        break;
    case 2: // any bytes
        for (size_t n = fuzz_byte(in); size < n; size++) data[size] = fuzz_byte(in);
        if (row && sykli__member_told(&w->t, row, conn, data, size)) close_conn(w, conn);
        break;
    case 3:
        size = put_fact(data, sizeof data, in);
        if (row && sykli__member_told(&w->t, row, conn, data, size)) close_conn(w, conn);
        break;
    case 4:
        while (size < SYKLI__MEMBER_PING_SIZE) data[size++] = fuzz_byte(in);
        if (row) sykli__member_ping_get(&w->t, row, conn, data, what & 8 ? size : size / 2);
        break;
    case 5:
        if (row) sykli__member_heard(&w->t, row, conn);
        break;
    case 6:
        row = sykli__member_at(&w->t, 1 + fuzz_byte(in) % NODES);
        if (row) sykli__member_dial_failed(&w->t, row, 0, what & 8);
        break;
    default:
        w->now_ms += (uint64_t)(what / 8) * what * (1 + fuzz_byte(in));
        sykli__member_time(&w->t, w->now_ms);
        sykli__member_tick(&w->t);
        sykli__member_deadline(&w->t);
    }
}

static void fuzz_members(test *t, const uint8_t *data, size_t size)
{
    fuzz_in in = { data, size };
    world w;
    sykli__member_config c;
    memset(&w, 0, sizeof w);
    memset(&c, 0, sizeof c);
    c.self = fact_of(0);
    c.wall_ms = WALL_MS;
    c.rostered = is_rostered;
    w.now_ms = 1000;
    FUZZ_CHECK(!sykli__member_init(&w.t, &t->mem, &c, w.now_ms));
    while (in.left) {
        step(&w, &in);
        pull(&w);
        check_table(&w);
    }
    for (size_t i = 0; i < w.t.count; i++) { // an id is the hash of two keys, whoever told them
        const sykli__member_fact *f = &w.t.rows[i]->fact;
        uint8_t id[16];
        bool ours = !memcmp(f->id, fact_of(f->key[0] % NODES).id, 16);
        if (!ours) sykli__roster_node_id(id, f->key, f->sign_key);
        FUZZ_CHECK(ours || !memcmp(id, f->id, 16));
    }
    sykli__member_free(&w.t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    if (!size) return 0;
    test_begin(&t, 0);
    switch (data[0]) {
    case 'b': fuzz_book(&t, (const char *)data + 1, size - 1); break;
    case 'h': fuzz_handshake(&t, data + 1, size - 1); break;
    case 'k': fuzz_keys(&t, (const char *)data + 1, size - 1); break;
    case 'm': fuzz_members(&t, data + 1, size - 1); break;
    case 'r': fuzz_roster(&t, data + 1, size - 1); break;
    default: break;
    }
    fuzz_end(&t);
    return 0;
}
