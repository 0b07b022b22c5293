// Input: a letter that chooses, then what comes from elsewhere: b the book of invites, c versions
// of the configuration, h a handshake changed on its way, k a file of keys, m what members say of
// each other, r a roster's body. Nobody's memory comes to harm, what is read is written as it was
// understood, a configuration is taken from whom may push it, and a table of members stays whole
// whatever it is told.
#define SYKLI_SIM 1 // for ciphers of the right sizes that take no time
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include "members.h"

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
        size_t bans = r.ban_count * sizeof *r.bans; // in one order only: a roster has one form
        FUZZ_CHECK(!bans || !memcmp(r.bans, data + once.size - bans, bans));
        for (size_t i = 1; i < r.ban_count; i++)
            FUZZ_CHECK(memcmp(r.bans[i - 1], r.bans[i], sizeof *r.bans) < 0);
    } else FUZZ_CHECK(t->fault.text[0]);
    sykli__roster_free(&r);
    sykli__roster_free(&again);
    sykli_buf_free(&once);
    sykli_buf_free(&twice);
}

// ---- a configuration ----
enum { STATE_DIR = 100, FRESH };
typedef struct keeper {
    test t;                // first: the calls get it
    sykli_buf fresh, kept; // what is being written; what config.pushed has
    int failing;           // so many calls from now one fails, 0: none
    uint64_t failures;
} keeper;

static int keeper_fails(keeper *k)
{
    bool now = k->failing && !--k->failing;
    k->failures += now;
    return now ? -EIO : 0;
}

static int keeper_open(void *u, int dir, const char *path, int flags, int mode)
{
    keeper *k = (keeper *)u;
    (void)flags, (void)mode;
    if (dir != STATE_DIR) return -ENOTDIR; // no cache
    FUZZ_CHECK(!strncmp(path, "config.", 7) && !strchr(path, '/'));
    sykli_buf_reset(&k->fresh);
    return keeper_fails(k) ? -EIO : FRESH;
}

static int64_t keeper_write(void *u, int fd, const void *data, size_t size)
{
    keeper *k = (keeper *)u;
    FUZZ_CHECK(fd == FRESH && !sykli_buf_add(&k->fresh, data, size));
    return keeper_fails(k) ? -EIO : (int64_t)size;
}

static int keeper_sync(void *u, int fd) { return (void)fd, keeper_fails((keeper *)u); }
static void keeper_close(void *u, int fd) { if (fd != FRESH) test_close(u, fd); }

static int keeper_rename(void *u, int from_dir, const char *from, int to_dir, const char *to)
{
    keeper *k = (keeper *)u;
    (void)from, (void)from_dir, (void)to_dir;
    if (keeper_fails(k)) return -EIO;
    if (strcmp(to, "config.pushed")) return 0;
    sykli_buf_reset(&k->kept);
    return sykli_buf_add(&k->kept, k->fresh.data, k->fresh.size);
}

static int keeper_remove(void *u, int dir, const char *path, int is_directory)
{
    (void)u, (void)dir, (void)is_directory;
    FUZZ_CHECK(!strncmp(path, "config.", 7));
    return 0;
}

// Whose seeds sign: the mesh's, an admin's, a member's, that of nobody of the roster.
static const uint8_t signers[4][32] = { { 1 }, { 2 }, { 3 }, { 4 } };

static void config_begin(keeper *k, sykli_mesh *m)
{
    sykli__member_core_config c;
    sykli__roster_entry entry;
    uint8_t mesh[32];
    memset(m, 0, sizeof *m);
    memset(&c, 0, sizeof c);
    memset(&entry, 0, sizeof entry);
    test_begin(&k->t, 0);
    k->t.sys.open = keeper_open, k->t.sys.write = keeper_write, k->t.sys.sync = keeper_sync;
    k->t.sys.close = keeper_close, k->t.sys.rename = keeper_rename;
    k->t.sys.remove = keeper_remove;
    sykli_buf_init(&k->fresh, &k->t.mem, SYKLI_TAG_host);
    sykli_buf_init(&k->kept, &k->t.mem, SYKLI_TAG_host);
    k->failing = 0, k->failures = 0;
    m->core = sykli_open(&(sykli_desc){ .sys = &k->t.sys, .node_name = "here", .workers_max = 2,
        .cache_dir = "cache", .target_fingerprint = "fuzz", .project = "fuzz", .threads_max = 1,
        .no_history = true });
    FUZZ_CHECK(m->core);
    m->mem = &k->t.mem, m->sys = &k->t.sys, m->dir_fd = STATE_DIR;
    sykli_crypto_fake(&m->crypto);
    m->crypto.sign_public(NULL, mesh, signers[0]);
    sykli__roster_init(&m->roster, m->mem, mesh);
    for (int i = 1; i < 3; i++) {
        m->crypto.sign_public(NULL, entry.sign, signers[i]);
        entry.role = i == 1 ? SYKLI_ROLE_admin : SYKLI_ROLE_operator;
        snprintf(entry.name, sizeof entry.name, "n%d", i);
        FUZZ_CHECK(!sykli__roster_grant(&m->roster, &entry, &k->t.fault));
    }
    sykli_buf_init(&m->config_body, m->mem, SYKLI_TAG_mesh);
    FUZZ_CHECK(!sykli__member_core_init(&m->links, m->mem, &c, 1000));
}

static void config_end(keeper *k, sykli_mesh *m)
{
    sykli__member_core_free(&m->links);
    sykli__roster_free(&m->roster);
    sykli_buf_free(&m->config_body);
    sykli_buf_free(&k->fresh);
    sykli_buf_free(&k->kept);
    sykli_close(m->core);
    fuzz_end(&k->t);
}

// One version, as the bits of `odd` say.       returns  whether who signed it may
static bool config_make(const sykli_mesh *m, fuzz_in *in, sykli__roster_envelope *e,
                        const char *body, sykli_buf *packed)
{
    uint8_t signer = fuzz_byte(in) % 4, odd = fuzz_byte(in);
    memset(e, 0, sizeof *e);
    e->kind = odd & 1 ? fuzz_byte(in) : SYKLI__ROSTER_CONFIG;
    memcpy(e->mesh_id, m->roster.mesh_id, sizeof e->mesh_id);
    if (odd & 2) e->mesh_id[0] ^= 1;
    e->epoch = fuzz_byte(in) % 4;
    e->version = fuzz_byte(in) % 32;
    if (odd & 4) e->version += UINT64_MAX << fuzz_byte(in) % 64;
    if (odd & 8) sykli__roster_envelope_hash(&m->config, e->parent);
    sykli__roster_envelope_sign(e, &m->crypto, signers[signer], body, strlen(body));
    sykli__mesh_config_pack(packed, e, body, strlen(body));
    FUZZ_CHECK(!packed->error);
    uint8_t at = fuzz_byte(in), bit = 0;
    if (odd & 16) bit = (uint8_t)(1u << (fuzz_byte(in) & 7));
    packed->data[at % packed->size] ^= bit;
    size_t cut = odd & 32 ? fuzz_byte(in) : 0;
    if (cut > packed->size) cut = packed->size;
    packed->size -= cut;
    return signer < 2 && e->kind == SYKLI__ROSTER_CONFIG && !(odd & 2) && !bit && !cut;
}

// A version is taken if and only if who signed it may, it is newer and its keys are ours: then it
// was kept before; else nothing has changed.
static void config_step(keeper *k, sykli_mesh *m, fuzz_in *in)
{
    sykli__roster_envelope e, before = m->config;
    sykli_buf packed;
    const sykli__config_version *values = m->core->config.current;
    char *body = fuzz_text(in->at, in->left);
    in->at += strlen(body), in->left -= strlen(body);
    fuzz_byte(in); // its NUL
    sykli_buf_init(&packed, m->mem, SYKLI_TAG_host);
    uint64_t failures = k->failures;
    bool good = config_make(m, in, &e, body, &packed) && e.version
             && (!before.version || sykli__roster_envelope_compare(&e, &before) > 0)
             && !sykli_config_verify(m->core, body, strlen(body));
    k->failing = fuzz_byte(in) % 32; // most find nothing to fail
    m->fault.text[0] = 0;
    int rc = sykli__mesh_config_accept(m, packed.data, packed.size);
    bool failed = k->failures != failures;
    FUZZ_CHECK(rc ? rc < 0 && m->fault.text[0] : m->config.version > 0);
    if (good && !failed) {
        FUZZ_CHECK(!rc && !sykli__roster_envelope_compare(&m->config, &e));
        FUZZ_CHECK(same(&k->kept, &packed) && m->core->config.pushed == e.version);
        FUZZ_CHECK(m->config_body.size == strlen(body)
                   && !memcmp(m->config_body.data, body, strlen(body)));
        FUZZ_CHECK(sykli__member_self(&m->links.table)->fact.versions.config_version == e.version);
    } else {
        FUZZ_CHECK(!sykli__roster_envelope_compare(&m->config, &before));
        FUZZ_CHECK(m->core->config.current == values && (failed || !good));
    }
    sykli_buf_free(&packed);
    free(body);
}

static void fuzz_config(const uint8_t *data, size_t size)
{
    static sykli_mesh m; // most of it is room for what is read
    keeper k;
    fuzz_in in = { data, size };
    config_begin(&k, &m);
    while (in.left) config_step(&k, &m, &in);
    config_end(&k, &m);
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
enum { CONNS = 256 };

typedef struct world {
    sykli__member_table t;
    int who[CONNS], count; // the node at the end of each connection, -1: it is closed
    uint64_t now_ms;
} world;

static sykli__member_row *row_of(world *w, int conn)
{
    sykli__member_fact f = members_fact(w->who[conn]);
    return sykli__member_get(&w->t, f.id);
}

static void close_conn(world *w, int conn)
{
    sykli__member_row *row = w->who[conn] < 0 ? NULL : row_of(w, conn);
    w->who[conn] = -1;
    if (row) sykli__member_link_down(&w->t, row, conn);
}

static bool is_open(const void *user, int conn) { return ((const world *)user)->who[conn] >= 0; }

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
            sykli__member_fact f = members_fact(1 + fuzz_byte(in) % (MEMBERS - 1));
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
        size = members_put_fact(data, sizeof data, in);
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
        row = sykli__member_at(&w->t, 1 + fuzz_byte(in) % MEMBERS);
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
    c.self = members_fact(0);
    c.wall_ms = MEMBERS_WALL_MS;
    c.rostered = members_rostered;
    w.now_ms = 1000;
    FUZZ_CHECK(!sykli__member_init(&w.t, &t->mem, &c, w.now_ms));
    while (in.left) {
        step(&w, &in);
        pull(&w);
        members_check(&w.t, is_open, &w);
    }
    for (size_t i = 0; i < w.t.count; i++) { // an id is the hash of two keys, whoever told them
        const sykli__member_fact *f = &w.t.rows[i]->fact;
        uint8_t id[16];
        bool ours = !memcmp(f->id, members_fact(f->key[0] % MEMBERS).id, 16);
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
    case 'c': fuzz_config(data + 1, size - 1); break;
    case 'h': fuzz_handshake(&t, data + 1, size - 1); break;
    case 'k': fuzz_keys(&t, (const char *)data + 1, size - 1); break;
    case 'm': fuzz_members(&t, data + 1, size - 1); break;
    case 'r': fuzz_roster(&t, data + 1, size - 1); break;
    default: break;
    }
    fuzz_end(&t);
    return 0;
}
