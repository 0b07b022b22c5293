// One table of members, told what others might say, with every answer looked at.
#define SYKLI_SIM 1
#define SYKLI_IMPLEMENTATION
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"

enum { WALL_S = 1700000000 };
#define NOW_INCARNATION ((uint64_t)WALL_S << 20)

typedef struct world {
    sykli__member_table t;
    char log[4000];
    size_t size;
    int last_conn;
} world;

static void key_of(int n, uint8_t key[32])
{
    memset(key, 0, 32);
    key[0] = (uint8_t)n;
    key[1] = (uint8_t)(n >> 8);
}

static sykli__member_fact fact_of(int n, sykli__member_state state, uint64_t incarnation)
{
    sykli__member_fact f;
    memset(&f, 0, sizeof f);
    key_of(n, f.key);
    sykli__roster_node_id(f.id, f.key, f.sign_key);
    f.state = (uint8_t)state;
    f.incarnation = incarnation;
    f.boot_id = (uint64_t)n * 100;
    f.bits = SYKLI__MEMBER_DIALABLE;
    snprintf(f.name, sizeof f.name, "n%d", n);
    snprintf(f.addresses, sizeof f.addresses, "host%d:7070 other%d:7070", n, n);
    return f;
}

static sykli__member_row *row_of(world *w, int n)
{
    sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, 0);
    return sykli__member_get(&w->t, f.id);
}

static bool nobody_rostered(void *user, const uint8_t key[32])
{
    (void)user;
    return key[0] == 1; // but this node
}

static int world_init(world *w, test *t, uint64_t persisted)
{
    sykli__member_config c;
    memset(w, 0, sizeof *w);
    memset(&c, 0, sizeof c);
    c.self = fact_of(1, SYKLI__MEMBER_ALIVE, persisted + 1);
    c.wall_ms = WALL_S * 1000ull;
    c.seed = 42;
    return sykli__member_init(&w->t, &t->mem, &c, 1000);
}

// All that the table wants, one word each: "dial:host2:7070 ask:3 nodeup:n2".
static const char *pull(world *w)
{
    static const char *const names[] = { "dial", "close", "send", "flood", "ping", "behind",
        "nodeup", "nodedown", "linkup", "linkdown", "duplicate" };
    static const char *const messages[] = { "", "say", "ask", "answer", "sync" };
    sykli__member_out out;
    w->size = 0;
    w->log[0] = 0;
    while (sykli__member_next(&w->t, &out)) {
        char word[300], about[100] = "";
        if (out.kind == SYKLI__MEMBER_OUT_SEND || out.kind == SYKLI__MEMBER_OUT_FLOOD) {
            sykli__wire_in in = sykli__wire_over(out.data, out.size);
            sykli__member_fact f;
            int kind = sykli__wire_u8(&in);
            if (kind == SYKLI__MEMBER_SAY && sykli__member_fact_get(&in, &f))
                snprintf(about, sizeof about, ".%s.%s", f.name, sykli__member_state_names[f.state]);
            else if (kind == SYKLI__MEMBER_ANSWER)
                snprintf(about, sizeof about, ".%s", out.data[out.size - 1] ? "yes" : "no");
            snprintf(word, sizeof word, "%s:%d%s", out.kind == SYKLI__MEMBER_OUT_FLOOD ? "flood"
                     : messages[kind], out.conn, about);
        } else if (out.kind == SYKLI__MEMBER_OUT_DIAL)
            snprintf(word, sizeof word, "dial:%s", out.address);
        else if (out.kind >= SYKLI__MEMBER_OUT_NODEUP)
            snprintf(word, sizeof word, "%s:%s", names[out.kind], out.row->fact.name);
        else snprintf(word, sizeof word, "%s:%d", names[out.kind], out.conn);
        size_t room = sizeof w->log - w->size;
        int size = snprintf(w->log + w->size, room, "%s%s", w->size ? " " : "", word);
        if ((size_t)size < room) w->size += (size_t)size;
    }
    return w->log;
}

static bool has(const char *log, const char *word)
{
    size_t size = strlen(word);
    for (const char *p = log; (p = strstr(p, word)) != NULL; p++)
        if ((p == log || p[-1] == ' ') && (p[size] == 0 || p[size] == ' ')) return true;
    return false;
}

static void tick(world *w, uint64_t now)
{
    sykli__member_deadline(&w->t);
    w->t.wake_ms = now; // as if woken just in time
    sykli__member_time(&w->t, now);
    sykli__member_tick(&w->t);
}

// Node n comes up on a connection of the same number.
static int up_as(world *w, int n, int conn, uint64_t boot, uint64_t number, bool dialled)
{
    sykli__link_peer peer;
    sykli__member_row *row;
    sykli__member_session fresh = { conn, boot, number, dialled };
    sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, 0);
    memset(&peer, 0, sizeof peer);
    memcpy(peer.id, f.id, 16);
    memcpy(peer.key, f.key, 32);
    memcpy(peer.name, f.name, sizeof peer.name);
    return sykli__member_link_up(&w->t, &peer, &fresh, &row);
}

static void tell(test *t, world *w, int from, const sykli__member_fact *f)
{
    uint8_t data[SYKLI__LINK_FACT_MAX];
    sykli__wire_out out = sykli__link_fixed(data, sizeof data);
    sykli__member_fact_put(&out, f);
    CHECK_INT(out.error, 0);
    CHECK_INT(sykli__member_told(&w->t, row_of(w, from), from, data, out.size), 0);
}

// Node n is up and has said so itself.
static int join(test *t, world *w, int n)
{
    sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    int rc = up_as(w, n, n, f.boot_id, 1, true);
    if (rc || !row_of(w, n)) return SYKLI_ENOMEM;
    tell(t, w, n, &f);
    return 0;
}

static int world_of(world *w, test *t, int nodes)
{
    int rc = world_init(w, t, 0);
    for (int n = 2; n <= nodes && !rc; n++) rc = join(t, w, n);
    tick(w, 1000);
    pull(w);
    return rc;
}

static void answer(test *t, world *w, int from, int about, bool yes)
{
    uint8_t data[64];
    sykli__wire_out out = sykli__link_fixed(data, sizeof data);
    sykli__member_row *row = row_of(w, about);
    sykli__wire_put_u8(&out, SYKLI__MEMBER_ANSWER);
    sykli__wire_put_bytes(&out, row->fact.id, 16);
    sykli__wire_put_u32(&out, row->check.nonce);
    sykli__wire_put_u8(&out, yes);
    CHECK_INT(sykli__member_told(&w->t, row_of(w, from), from, data, out.size), 0);
}

static void an_incarnation_begins_beyond_the_last(test *t)
{
    world w;
    TRY(world_init(&w, t, 0));
    CHECK(sykli__member_self(&w.t)->fact.incarnation == NOW_INCARNATION);
    sykli__member_free(&w.t);
    TRY(world_init(&w, t, NOW_INCARNATION + 500));
    CHECK(sykli__member_self(&w.t)->fact.incarnation == NOW_INCARNATION + 501);
out:
    sykli__member_free(&w.t);
}

static void a_newcomer_is_told_all_and_told_of(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_fact f = fact_of(4, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    TRY(up_as(&w, 4, 4, 400, 1, false));
    CHECK(has(pull(&w), "say:4.n1.alive"));
    tell(t, &w, 4, &f);
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(has(log, "flood:4.n4.alive") && has(log, "nodeup:n4"));
    tick(&w, 1001);
    log = pull(&w);
    CHECK(has(log, "say:4.n2.alive") && has(log, "say:4.n3.alive") && has(log, "say:4.n1.alive"));
    CHECK(!has(log, "say:4.n4.alive"));
    f.workers_busy = 3;
    f.incarnation++;
    tell(t, &w, 4, &f); // load alone is not passed on
    CHECK(!has(pull(&w), "flood:4.n4.alive"));
    CHECK_INT(row_of(&w, 4)->fact.workers_busy, 3);
out:
    sykli__member_free(&w.t);
}

static void the_newer_incarnation_wins_then_the_graver_state(test *t)
{
    static const struct { sykli__member_state state; int more; sykli__member_state after; }
    steps[] = {
        { SYKLI__MEMBER_SUSPECT, 0, SYKLI__MEMBER_SUSPECT },
        { SYKLI__MEMBER_ALIVE, 0, SYKLI__MEMBER_SUSPECT },
        { SYKLI__MEMBER_ALIVE, 1, SYKLI__MEMBER_ALIVE },
        { SYKLI__MEMBER_SUSPECT, 0, SYKLI__MEMBER_ALIVE },
        { SYKLI__MEMBER_DEAD, 1, SYKLI__MEMBER_DEAD },
        { SYKLI__MEMBER_SUSPECT, 1, SYKLI__MEMBER_DEAD },
        { SYKLI__MEMBER_LEFT, 1, SYKLI__MEMBER_LEFT },
        { SYKLI__MEMBER_ALIVE, 2, SYKLI__MEMBER_ALIVE },
    };
    world w;
    TRY(world_of(&w, t, 2));
    sykli__member_fact f = fact_of(3, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    tell(t, &w, 2, &f);
    TRY_NOT_NULL(row_of(&w, 3));
    uint64_t least = 0;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        f = fact_of(3, steps[i].state, NOW_INCARNATION + (uint64_t)steps[i].more);
        tell(t, &w, 2, &f);
        CHECK_INT(row_of(&w, 3)->fact.state, steps[i].after);
        CHECK(row_of(&w, 3)->fact.incarnation >= least);
        least = row_of(&w, 3)->fact.incarnation;
    }
out:
    sykli__member_free(&w.t);
}

static void the_dead_are_not_introduced(test *t)
{
    world w;
    TRY(world_of(&w, t, 2));
    sykli__member_fact f = fact_of(3, SYKLI__MEMBER_DEAD, NOW_INCARNATION);
    tell(t, &w, 2, &f);
    CHECK(!row_of(&w, 3));
    f = fact_of(3, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    f.key[5] ^= 1; // an id that is not that of the key
    tell(t, &w, 2, &f);
    CHECK(!row_of(&w, 3));
out:
    sykli__member_free(&w.t);
}

static void an_accusation_of_myself_is_refuted(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_fact f = fact_of(1, SYKLI__MEMBER_DEAD, NOW_INCARNATION + 7);
    tell(t, &w, 2, &f);
    CHECK(sykli__member_self(&w.t)->fact.incarnation == NOW_INCARNATION + 8);
    tick(&w, 1100);
    pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK_INT(sykli__member_self(&w.t)->fact.state, SYKLI__MEMBER_ALIVE);
    f.incarnation = NOW_INCARNATION + 7; // again: it is stale now
    tell(t, &w, 2, &f);
    CHECK(sykli__member_self(&w.t)->fact.incarnation == NOW_INCARNATION + 8);
    f.incarnation = (NOW_INCARNATION + ((uint64_t)86402 << 20)); // nobody could refute that
    tell(t, &w, 2, &f);
    CHECK(sykli__member_self(&w.t)->fact.incarnation == NOW_INCARNATION + 8);
    f = fact_of(3, SYKLI__MEMBER_ALIVE, NOW_INCARNATION + ((uint64_t)86402 << 20));
    tell(t, &w, 2, &f);
    CHECK(row_of(&w, 3)->fact.incarnation == NOW_INCARNATION);
    tell(t, &w, 3, &f); // its owner may have a wrong clock
    CHECK(row_of(&w, 3)->fact.incarnation == f.incarnation);
out:
    sykli__member_free(&w.t);
}

static void who_is_accused_hears_of_it(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_fact f = fact_of(3, SYKLI__MEMBER_DEAD, NOW_INCARNATION);
    tell(t, &w, 2, &f); // but I hear from it
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(has(log, "say:3.n3.suspect"));
    CHECK(!has(log, "nodedown:n3"));
    f = fact_of(3, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    tell(t, &w, 3, &f); // it does not know
    CHECK(has(pull(&w), "say:3.n3.suspect"));
    f.incarnation++;
    tell(t, &w, 3, &f);
    CHECK(has(pull(&w), "flood:3.n3.alive"));
    CHECK_INT(row_of(&w, 3)->fact.state, SYKLI__MEMBER_ALIVE);
out:
    sykli__member_free(&w.t);
}

static void a_killed_process_is_dead_at_once(test *t)
{
    world w;
    TRY(world_of(&w, t, 4));
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    tick(&w, 1001);
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(has(log, "linkdown:n2") && has(log, "dial:host2:7070"));
    CHECK(has(log, "ask:3") && has(log, "ask:4"));
    CHECK(!has(log, "nodedown:n2"));
    sykli__member_dial_failed(&w.t, row_of(&w, 2), 0, true);
    answer(t, &w, 3, 2, false);
    CHECK_TEXT(pull(&w), "");
    answer(t, &w, 4, 2, false);
    log = pull(&w);
    CHECK(has(log, "nodedown:n2") && has(log, "flood:0.n2.dead"));
out:
    sykli__member_free(&w.t);
}

static void one_witness_saves(test *t)
{
    world w;
    TRY(world_of(&w, t, 4));
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    tick(&w, 1001);
    pull(&w);
    TRY(t->injected ? -1 : 0);
    sykli__member_dial_failed(&w.t, row_of(&w, 2), 0, true);
    answer(t, &w, 3, 2, false);
    answer(t, &w, 4, 2, true);
    tick(&w, 1900);
    CHECK(!has(pull(&w), "nodedown:n2"));
    CHECK_INT(row_of(&w, 2)->fact.state, SYKLI__MEMBER_ALIVE);
out:
    sykli__member_free(&w.t);
}

static void a_session_that_comes_back_is_no_suspicion(test *t)
{
    world w;
    TRY(world_of(&w, t, 4));
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    tick(&w, 1001);
    pull(&w);
    TRY(t->injected ? -1 : 0);
    TRY(up_as(&w, 2, 9, 200, 2, true));
    tick(&w, 2500);
    const char *log = pull(&w);
    CHECK(has(log, "linkup:n2") && !has(log, "nodedown:n2"));
    CHECK_INT(row_of(&w, 2)->fact.state, SYKLI__MEMBER_ALIVE);
out:
    sykli__member_free(&w.t);
}

// Everybody but n2 is heard every half second. returns when n2 was declared dead, 0: not
static uint64_t wait_for_death(world *w, int nodes, uint64_t until)
{
    for (uint64_t now = 1100; now < until; now += 100) {
        tick(w, now);
        for (int n = 3; n <= nodes && now % 500 == 0; n++)
            sykli__member_heard(&w->t, row_of(w, n), n);
        if (has(pull(w), "nodedown:n2")) return now;
    }
    return 0;
}

static void a_silent_host_is_dead_within_seven_seconds(test *t)
{
    world w;
    TRY(world_of(&w, t, 5));
    uint64_t dead = wait_for_death(&w, 5, 20000);
    TRY(t->injected ? -1 : 0);
    CHECK(dead > 5000 && dead <= 1000 + 7000);
    CHECK_INT(row_of(&w, 2)->fact.state, SYKLI__MEMBER_DEAD);
out:
    sykli__member_free(&w.t);
}

static void who_was_late_itself_accuses_nobody(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_deadline(&w.t);
    sykli__member_time(&w.t, 30000); // asleep
    sykli__member_tick(&w.t);
    CHECK_INT(w.t.health, 1);
    const char *log = pull(&w);
    CHECK(!has(log, "nodedown:n2") && !has(log, "flood:0.n2.suspect"));
    sykli__member_heard(&w.t, row_of(&w, 2), 2);
    sykli__member_heard(&w.t, row_of(&w, 3), 3);
    tick(&w, 33500);
    log = pull(&w);
    CHECK(!has(log, "flood:0.n2.suspect") && !has(log, "ask:3"));
    tick(&w, 35100);
    CHECK_INT(w.t.health, 0); // five good seconds
out:
    sykli__member_free(&w.t);
}

// Whoever has news of its own after a quiet time says so soon, and has not overslept.
static void news_after_quiet_is_no_lateness(test *t)
{
    world w;
    TRY(world_init(&w, t, 0));
    for (int round = 0; round < 3; round++) {
        sykli__member_time(&w.t, w.t.now_ms + 60000);
        sykli__member_update(&w.t);
        uint64_t due = sykli__member_deadline(&w.t);
        CHECK(due >= w.t.now_ms && due <= w.t.now_ms + SYKLI__MEMBER_SAY_MS);
        sykli__member_time(&w.t, due);
        sykli__member_tick(&w.t);
        CHECK_INT(w.t.mute_ms, 0);
        CHECK_INT(w.t.health, 0);
        CHECK(!w.t.say_self);
    }
out:
    sykli__member_free(&w.t);
}

static void bad_health_is_patient(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    w.t.health = 2;
    w.t.health_ms = 9000; // so that it lasts
    tick(&w, 9900);
    const char *log = pull(&w);
    CHECK(!has(log, "ask:3") && !has(log, "ask:2"));
    w.t.health_ms = 10000;
    sykli__member_heard(&w.t, row_of(&w, 3), 3);
    tick(&w, 10100);
    CHECK(has(pull(&w), "ask:3") || t->injected);
out:
    sykli__member_free(&w.t);
}

static void the_accused_hears_again_when_it_speaks(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_accuse(&w.t, row_of(&w, 2), SYKLI__MEMBER_SUSPECT);
    pull(&w);
    sykli__member_time(&w.t, 1500);
    sykli__member_heard(&w.t, row_of(&w, 2), 2);
    CHECK_TEXT(pull(&w), "");
    sykli__member_time(&w.t, 2100);
    sykli__member_heard(&w.t, row_of(&w, 2), 2);
    CHECK(has(pull(&w), "say:2.n2.suspect") || t->injected);
    sykli__member_accuse(&w.t, row_of(&w, 2), SYKLI__MEMBER_DEAD);
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    row_of(&w, 2)->dial_due_ms = 60000;
    pull(&w);
    sykli__member_fact f = fact_of(2, SYKLI__MEMBER_ALIVE, NOW_INCARNATION + 1);
    tell(t, &w, 3, &f); // somebody met it: no waiting
    tick(&w, 2200);
    const char *log = pull(&w);
    CHECK((has(log, "dial:host2:7070") && has(log, "nodeup:n2")) || t->injected);
out:
    sykli__member_free(&w.t);
}

static void of_two_dials_the_smaller_id_keeps_its_own(test *t)
{
    world w;
    TRY(world_of(&w, t, 3)); // both sessions were dialled here
    sykli__member_fact self = fact_of(1, SYKLI__MEMBER_ALIVE, 0);
    for (int n = 2; n <= 3; n++) {
        sykli__member_row *row = row_of(&w, n);
        bool mine = memcmp(self.id, row->fact.id, 16) < 0;
        char closed[32];
        TRY(up_as(&w, n, 10 + n, (uint64_t)n * 100, 1, false));
        CHECK_INT(row->live.conn, mine ? n : 10 + n);
        CHECK(!has(pull(&w), "close:2"));
        sykli__member_heard(&w.t, row, n); // at the same millisecond it proves nothing
        sykli__member_time(&w.t, 1500 + (uint64_t)n);
        sykli__member_heard(&w.t, row, row->live.conn);
        tick(&w, 2600);
        const char *log = pull(&w);
        TRY(t->injected ? -1 : 0);
        snprintf(closed, sizeof closed, "close:%d", mine ? 10 + n : n);
        CHECK(has(log, closed) && !has(log, "linkdown:n2") && !has(log, "linkdown:n3"));
        sykli__member_time(&w.t, 1000);
    }
out:
    sykli__member_free(&w.t);
}

static void a_winner_that_is_silent_has_lost(test *t)
{
    world w;
    TRY(world_of(&w, t, 6));
    sykli__member_fact self = fact_of(1, SYKLI__MEMBER_ALIVE, 0);
    int n = 2; // one whose dial here outranks its own
    while (memcmp(self.id, row_of(&w, n)->fact.id, 16) > 0 && n < 6) n++;
    TRY(up_as(&w, n, 20, (uint64_t)n * 100, 1, false));
    CHECK_INT(row_of(&w, n)->live.conn, n);
    tick(&w, 2100);
    pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK_INT(row_of(&w, n)->live.conn, 20);
    TRY(up_as(&w, n, 21, (uint64_t)n * 100, 2, false)); // the same side dialled again
    CHECK_INT(row_of(&w, n)->live.conn, 21);
    TRY(up_as(&w, n, 22, (uint64_t)n * 100, 1, false)); // its first dial comes in last
    CHECK_INT(row_of(&w, n)->live.conn, 21);
    sykli__member_link_down(&w.t, row_of(&w, n), 21);   // but is there when the later one breaks
    CHECK_INT(row_of(&w, n)->live.conn, 22);
    CHECK(!row_of(&w, n)->check.on);
out:
    sykli__member_free(&w.t);
}

static void a_second_process_waits_for_the_first_to_be_silent(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    for (int round = 0; round < 2; round++) {
        uint64_t start = 2000 + 3000 * (uint64_t)round;
        sykli__member_time(&w.t, start);
        TRY(up_as(&w, 2, 20 + round, 777, 1, false));
        CHECK_INT(row_of(&w, 2)->live.conn, 2);
        CHECK_INT(up_as(&w, 2, 30, 888, 1, false), SYKLI_EBUSY);
        CHECK(has(pull(&w), "ping:2") || t->injected);
        sykli__member_time(&w.t, start + 500);
        if (!round) sykli__member_heard(&w.t, row_of(&w, 2), 2);
        tick(&w, start + 1000);
        const char *log = pull(&w);
        TRY(t->injected ? -1 : 0);
        CHECK_INT(row_of(&w, 2)->live.conn, round ? 21 : 2);
        CHECK_INT(has(log, round ? "close:2" : "close:20"), 1);
        CHECK_INT(has(log, "duplicate:n2"), !round);
    }
out:
    sykli__member_free(&w.t);
}

static void a_restart_is_down_and_up(test *t)
{
    world w;
    TRY(world_of(&w, t, 3));
    sykli__member_fact f = fact_of(2, SYKLI__MEMBER_ALIVE, NOW_INCARNATION + 5);
    f.boot_id = 201;
    tell(t, &w, 3, &f);
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(strstr(log, "nodedown:n2 nodeup:n2") != NULL);
out:
    sykli__member_free(&w.t);
}

static void the_dead_are_dialled_the_left_are_not(test *t)
{
    world w;
    int dials = 0;
    TRY(world_of(&w, t, 3));
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    sykli__member_link_down(&w.t, row_of(&w, 3), 3);
    sykli__member_accuse(&w.t, row_of(&w, 2), SYKLI__MEMBER_DEAD);
    sykli__member_state_set(&w.t, row_of(&w, 3), SYKLI__MEMBER_LEFT);
    pull(&w);
    uint64_t end = 1000 + SYKLI__MEMBER_TOMBSTONE_MS, now = 1000;
    for (; now < 11 * 60 * 1000; now += 500) {
        tick(&w, now);
        const char *log = pull(&w);
        CHECK(!has(log, "dial:host3:7070"));
        if (!strstr(log, "dial:")) continue;
        dials++;
        sykli__member_dial_failed(&w.t, row_of(&w, 2), 0, true);
    }
    TRY(t->injected ? -1 : 0);
    CHECK(dials >= 15 && dials <= 22); // 1, 2, 4 .. 60 s in 11 minutes
    CHECK_INT(w.t.count, 3);
    tick(&w, end + 1);
    CHECK(!row_of(&w, 3));
    sykli__member_dial_failed(&w.t, row_of(&w, 2), 0, true);
    tick(&w, end + 2);
    CHECK_INT(w.t.count, 1);
    CHECK(w.t.hash == sykli__member_row_hash(sykli__member_self(&w.t)));
out:
    sykli__member_free(&w.t);
}

static void different_hashes_twice_mean_a_full_exchange(test *t)
{
    world w;
    uint8_t ping[SYKLI__MEMBER_PING_SIZE + 1];
    TRY(world_of(&w, t, 3));
    sykli__member_time(&w.t, 8000);
    sykli__member_ping_put(&w.t, ping);
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, SYKLI__MEMBER_PING_SIZE);
    CHECK_TEXT(pull(&w), "");
    ping[0] ^= 1;
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, SYKLI__MEMBER_PING_SIZE);
    CHECK_TEXT(pull(&w), "");
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, SYKLI__MEMBER_PING_SIZE);
    CHECK(has(pull(&w), "sync:2") || t->injected);
    tick(&w, 8001);
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(has(log, "say:2.n1.alive") && has(log, "say:2.n3.alive"));
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, SYKLI__MEMBER_PING_SIZE);
    CHECK_TEXT(pull(&w), ""); // once in five seconds
    ping[0] ^= 1;
    ping[15] = 9; // a roster epoch
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, SYKLI__MEMBER_PING_SIZE);
    CHECK_TEXT(pull(&w), "behind:2");
    sykli__member_ping_get(&w.t, row_of(&w, 2), 2, ping, 7); // too short is passed over
    CHECK_TEXT(pull(&w), "");
out:
    sykli__member_free(&w.t);
}

static void a_large_table_goes_out_in_steps(test *t)
{
    world w;
    TRY(world_of(&w, t, 2));
    for (int n = 3; n < 303; n++) {
        sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
        f.bits = 0;
        tell(t, &w, 2, &f);
    }
    sykli__member_out out;
    while (sykli__member_next(&w.t, &out)) continue;
    sykli__member_time(&w.t, 9000);
    sykli__member_heard(&w.t, row_of(&w, 2), 2);
    TRY(up_as(&w, 900, 900, 1, 1, false));
    size_t most = 0, all = 0;
    for (uint64_t now = 9000; now < 9100; now += 10) {
        size_t count = 0;
        tick(&w, now);
        while (sykli__member_next(&w.t, &out))
            count += out.kind == SYKLI__MEMBER_OUT_SEND && out.conn == 900;
        if (now > 9000 && count > most) most = count;
        all += count;
    }
    TRY_TRUE(most <= SYKLI__MEMBER_SYNC_BATCH + 1);
    TRY_INT(all, 302 + 1); // all rows but its own, and ours once more at first
out:
    sykli__member_free(&w.t);
}

static void the_table_has_room_for_the_rostered(test *t)
{
    world w;
    TRY(world_of(&w, t, 2));
    w.t.rostered = nobody_rostered;
    int n = 3;
    for (; n < 2000; n++) {
        sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
        f.key[0] = (uint8_t)(n % 255 == 1 ? 2 : f.key[0]);
        tell(t, &w, 2, &f);
    }
    CHECK(w.t.unrostered <= SYKLI__MEMBER_MAX / 4);
    TRY_INT(w.t.unrostered, SYKLI__MEMBER_MAX / 4);
    w.t.rostered = NULL;
    for (; n < 6000; n++) {
        sykli__member_fact f = fact_of(n, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
        tell(t, &w, 2, &f);
    }
    TRY_INT(w.t.count, SYKLI__MEMBER_MAX);
    CHECK(w.t.item_count <= SYKLI__MEMBER_QUEUE_MAX);
    TRY_INT(up_as(&w, 7000, 5, 1, 1, false), SYKLI_ELIMIT);
out:
    sykli__member_free(&w.t);
}

static void what_is_not_well_formed_is_refused(test *t)
{
    world w;
    uint8_t data[SYKLI__LINK_FACT_MAX];
    TRY(world_of(&w, t, 2));
    sykli__member_fact f = fact_of(3, SYKLI__MEMBER_ALIVE, NOW_INCARNATION);
    f.signature[3] = 1;
    sykli__wire_out out = sykli__link_fixed(data, sizeof data);
    sykli__member_fact_put(&out, &f);
    for (size_t size = 1; size < out.size; size++)
        CHECK_INT(sykli__member_told(&w.t, row_of(&w, 2), 2, data, size), SYKLI_EPARSE);
    CHECK_INT(w.t.count, 2);
    data[17] = SYKLI__MEMBER_STATES;
    CHECK_INT(sykli__member_told(&w.t, row_of(&w, 2), 2, data, out.size), SYKLI_EPARSE);
    snprintf(f.name, sizeof f.name, "N 3");
    out.size = 0;
    sykli__member_fact_put(&out, &f);
    CHECK_INT(sykli__member_told(&w.t, row_of(&w, 2), 2, data, out.size), SYKLI_EPARSE);
    data[0] = 99; // of a later version
    CHECK_INT(sykli__member_told(&w.t, row_of(&w, 2), 2, data, out.size), 0);
out:
    sykli__member_free(&w.t);
}

static void leaving_is_not_dying(test *t)
{
    world w;
    TRY(world_of(&w, t, 2));
    sykli__member_leave(&w.t);
    const char *log = pull(&w);
    TRY(t->injected ? -1 : 0);
    CHECK(has(log, "flood:0.n1.left"));
    sykli__member_fact f = fact_of(2, SYKLI__MEMBER_LEFT, NOW_INCARNATION + 1);
    tell(t, &w, 2, &f);
    sykli__member_link_down(&w.t, row_of(&w, 2), 2);
    tick(&w, 1001);
    log = pull(&w);
    CHECK(has(log, "nodedown:n2") && !strstr(log, "dial:"));
    CHECK_INT(row_of(&w, 2)->fact.state, SYKLI__MEMBER_LEFT);
out:
    sykli__member_free(&w.t);
}

// ---- the core: two of them over a wire in memory

typedef struct place { sykli__member_core core; int conn, ups; bool closed; } place;

static int place_init(place *p, test *t, const sykli_crypto *crypto, const sykli__link_psk *psk,
                      int n, const char *seed)
{
    static uint8_t secrets[4][32];
    static const uint8_t base[32] = { 9 };
    sykli__member_core_config c;
    memset(p, 0, sizeof *p);
    memset(&c, 0, sizeof c);
    memset(secrets[n], n + 1, 32);
    c.member.self = fact_of(n, SYKLI__MEMBER_ALIVE, 1);
    crypto->x25519(NULL, c.member.self.key, secrets[n], base);
    sykli__roster_node_id(c.member.self.id, c.member.self.key, c.member.self.sign_key);
    c.member.wall_ms = WALL_S * 1000ull;
    c.member.seed = (uint64_t)n;
    c.member.seed_count = seed ? 1 : 0;
    if (seed) snprintf(c.member.seeds[0], sizeof c.member.seeds[0], "%s", seed);
    c.link.crypto = crypto;
    c.link.key_secret = secrets[n];
    c.link.psks = psk;
    c.link.psk_count = 1;
    return sykli__member_core_init(&p->core, &t->mem, &c, 1000);
}

static bool place_step(place *p, place *other, uint64_t now)
{
    sykli__member_core_out out;
    uint8_t random[32] = { 5 };
    bool any = false;
    while (sykli__member_core_next(&p->core, now, &out)) {
        any = true;
        if (out.kind == SYKLI__MEMBER_CORE_DIAL && !p->conn) {
            p->conn = out.conn;
            other->conn = sykli__member_core_accepted(&other->core, now, SYKLI__LINK_NOISE, "a:1",
                                                      random);
            random[0] = 6;
            sykli__member_core_connected(&p->core, now, p->conn, random);
        } else if (out.kind == SYKLI__MEMBER_CORE_DIAL) {
            sykli__member_core_closed(&p->core, now, out.conn, true);
        } else if (out.kind == SYKLI__MEMBER_CORE_CLOSE && out.conn == p->conn) p->closed = true;
        else if (out.kind == SYKLI__MEMBER_CORE_MEMBER
                 && out.member.kind == SYKLI__MEMBER_OUT_NODEUP) p->ups++;
    }
    const uint8_t *data;
    size_t size = p->conn ? sykli__member_core_output(&p->core, now, p->conn, &data) : 0;
    if (!size) return any;
    uint8_t copy[20000];
    memcpy(copy, data, size);
    sykli__member_core_sent(&p->core, now, p->conn, size);
    for (size_t at = 0; at < size;) {
        at += sykli__member_core_bytes(&other->core, now, other->conn, copy + at, size - at);
        while (at < size && sykli__member_core_next(&other->core, now, &out))
            if (out.kind == SYKLI__MEMBER_CORE_MEMBER
                && out.member.kind == SYKLI__MEMBER_OUT_NODEUP) other->ups++;
    }
    return true;
}

static void two_cores_find_each_other(test *t)
{
    place a, b;
    sykli_crypto crypto;
    sykli__link_psk psk;
    sykli_crypto_fake(&crypto);
    memset(&psk, 7, sizeof psk);
    memset(&b, 0, sizeof b);
    TRY(place_init(&a, t, &crypto, &psk, 1, "b"));
    TRY(place_init(&b, t, &crypto, &psk, 2, NULL));
    for (uint64_t now = 1000; now < 1200; now += 20) {
        sykli__member_core_tick(&a.core, now);
        sykli__member_core_tick(&b.core, now);
        for (bool any = true; any;) {
            any = place_step(&a, &b, now);
            any = place_step(&b, &a, now) || any;
        }
    }
    TRY(t->injected ? -1 : 0);
    CHECK_INT(a.ups, 1);
    CHECK_INT(b.ups, 1);
    CHECK(a.core.table.hash == b.core.table.hash);
    sykli__member_core_closed(&a.core, 1300, a.conn, false);
    place_step(&a, &b, 1300);
    CHECK(a.closed);
    CHECK_INT(a.core.conn_count, 0);
out:
    sykli__member_core_free(&a.core);
    sykli__member_core_free(&b.core);
}

static void strangers_wait_at_the_door_in_limits(test *t)
{
    place a;
    sykli_crypto crypto;
    sykli__link_psk psk;
    uint8_t random[32] = { 5 };
    char from[32];
    int rc = 0, taken = 0;
    sykli_crypto_fake(&crypto);
    memset(&psk, 7, sizeof psk);
    TRY(place_init(&a, t, &crypto, &psk, 1, NULL));
    for (int i = 0; i < 9; i++) {
        snprintf(from, sizeof from, "10.0.0.1:%d", 1000 + i);
        rc = sykli__member_core_accepted(&a.core, 1000, SYKLI__LINK_NOISE, from, random);
        TRY_INT(rc > 0, i < SYKLI__MEMBER_STRANGERS_EACH);
    }
    TRY_INT(rc, SYKLI_EBUSY);
    for (int i = 0; i < 100; i++) {
        snprintf(from, sizeof from, "10.0.1.%d:7", i);
        rc = sykli__member_core_accepted(&a.core, 1000, SYKLI__LINK_NOISE, from, random);
        taken += rc > 0;
    }
    TRY_INT(taken, SYKLI__MEMBER_STRANGERS_MAX - SYKLI__MEMBER_STRANGERS_EACH);
    sykli__member_core_tick(&a.core, 6000); // five seconds are all they get
    sykli__member_core_out out;
    while (sykli__member_core_next(&a.core, 6000, &out)) continue;
    TRY_INT(a.core.conn_count, 0);
out:
    sykli__member_core_free(&a.core);
}

int main(int argc, char **argv)
{
    TEST_STORY(an_incarnation_begins_beyond_the_last);
    TEST_STORY(a_newcomer_is_told_all_and_told_of);
    TEST_STORY(the_newer_incarnation_wins_then_the_graver_state);
    TEST_STORY(the_dead_are_not_introduced);
    TEST_STORY(an_accusation_of_myself_is_refuted);
    TEST_STORY(who_is_accused_hears_of_it);
    TEST_STORY(a_killed_process_is_dead_at_once);
    TEST_STORY(one_witness_saves);
    TEST_STORY(a_session_that_comes_back_is_no_suspicion);
    TEST_STORY(a_silent_host_is_dead_within_seven_seconds);
    TEST_STORY(who_was_late_itself_accuses_nobody);
    TEST_STORY(news_after_quiet_is_no_lateness);
    TEST_STORY(bad_health_is_patient);
    TEST_STORY(the_accused_hears_again_when_it_speaks);
    TEST_STORY(of_two_dials_the_smaller_id_keeps_its_own);
    TEST_STORY(a_winner_that_is_silent_has_lost);
    TEST_STORY(a_second_process_waits_for_the_first_to_be_silent);
    TEST_STORY(a_restart_is_down_and_up);
    TEST_STORY(the_dead_are_dialled_the_left_are_not);
    TEST_STORY(different_hashes_twice_mean_a_full_exchange);
    TEST_STORY(a_large_table_goes_out_in_steps);
    TEST_STORY(the_table_has_room_for_the_rostered);
    TEST_STORY(what_is_not_well_formed_is_refused);
    TEST_STORY(leaving_is_not_dying);
    TEST_STORY(two_cores_find_each_other);
    TEST_STORY(strangers_wait_at_the_door_in_limits);
    return test_end(argc, argv);
}
