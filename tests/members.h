// What targets share that look at a table of members: nodes with keys, what somebody may make up of
// them, and what holds of a table whatever it was told. Needs fuzz.h and the mesh before it.
#ifndef MEMBERS_H_INCLUDED
#define MEMBERS_H_INCLUDED

enum { MEMBERS = 8 };
#define MEMBERS_WALL_MS UINT64_C(1700000000000)

// A node: its key begins with its number, its id is the hash of its keys.
static inline sykli__member_fact members_fact(int n)
{
    static uint8_t ids[MEMBERS][16]; // a hash each
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

static inline bool members_rostered(void *user, const uint8_t key[32])
{
    (void)user;
    return key[0] < 6;
}

// A fact as somebody might make it up.
static inline size_t members_put_fact(uint8_t *out, size_t room, fuzz_in *in)
{
    sykli__member_fact f = members_fact(fuzz_byte(in) % MEMBERS);
    sykli__wire_out wire = sykli__link_fixed(out, room);
    uint8_t odd = fuzz_byte(in);
    f.state = fuzz_byte(in) % (SYKLI__MEMBER_STATES + 1);
    f.incarnation = (MEMBERS_WALL_MS / 1000 << 20) + fuzz_byte(in);
    if (odd & 1) f.incarnation += UINT64_C(1) << fuzz_byte(in) % 64;
    if (odd & 2) f.boot_id = fuzz_byte(in);
    if (odd & 4) f.id[0] ^= 1;
    if (odd & 8) f.addresses[fuzz_byte(in) % 16] = (char)fuzz_byte(in);
    if (odd & 16) f.name[0] = (char)fuzz_byte(in);
    if (odd & 32) f.bits = fuzz_byte(in);
    sykli__member_fact_put(&wire, &f);
    return wire.size;
}

// is_open: whether a connection has not been closed yet
static inline void members_check(const sykli__member_table *t,
                                 bool (*is_open)(const void *user, int conn), const void *user)
{
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
            FUZZ_CHECK(!conns[k] || is_open(user, conns[k]));
    }
    FUZZ_CHECK(hash == t->hash && unrostered == t->unrostered && t->by_id.count == t->count);
    FUZZ_CHECK(t->rows[0]->fact.state == SYKLI__MEMBER_ALIVE && !t->rows[0]->live.conn);
}

#endif
