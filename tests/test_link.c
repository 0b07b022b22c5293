// Two links back to back over a wire in memory, and one link against bytes made by hand.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"

// One end: a link, what it saw, and what it wrote.
typedef struct side {
    sykli__link_core link;
    sykli_buf data, facts;
    int ups, downs, opened, ended, writable, pings, pongs, ended_code, down_code;
    uint32_t stream;       // of the last event
    uint64_t written;      // bytes to the wire
    char text[600], what[64], args_end[8];
    size_t args_size;
    bool hungry;           // consumes what it receives
    size_t data_before_fact;
} side;

typedef struct pair {
    side a, b;             // a dials
    uint64_t now;
    size_t chunk, flip_at; // flip_at: the byte from a, from 1, one bit of which changes
    size_t from_a;
} pair;

static const uint8_t session_token[32] = "a token of thirty-two bytes, yes";
static const uint8_t other_token[32] = "another token of as many bytes..";

static sykli__link_config config_of(bool initiator)
{
    sykli__link_config c = { .initiator = initiator, .transport = SYKLI__LINK_CLEAR,
        .purpose = SYKLI__LINK_CTL, .token = session_token, .boot_id = initiator ? 11 : 22,
        .session = 7, .name = initiator ? "anna" : "bert", .caps = initiator ? 3 : 6 };
    memset(c.id, initiator ? 'a' : 'b', sizeof c.id);
    memset(c.mesh_id, 'm', sizeof c.mesh_id);
    return c;
}

static int side_init(side *s, test *t, const sykli__link_config *c, uint64_t now)
{
    memset(s, 0, sizeof *s);
    sykli_buf_init(&s->data, &t->mem, SYKLI_TAG_host);
    sykli_buf_init(&s->facts, &t->mem, SYKLI_TAG_host);
    s->hungry = true;
    return sykli__link_init(&s->link, &t->mem, c, now);
}

static void side_free(side *s)
{
    sykli__link_free(&s->link);
    sykli_buf_free(&s->data);
    sykli_buf_free(&s->facts);
}

static void side_events(side *s)
{
    sykli__link_ev ev;
    while (sykli__link_event(&s->link, &ev)) {
        s->stream = ev.stream ? ev.stream : s->stream;
        switch (ev.kind) {
        case SYKLI__LINK_EV_UP: s->ups++; break;
        case SYKLI__LINK_EV_OPENED:
            s->opened++;
            snprintf(s->what, sizeof s->what, "%d %s %s %s", ev.open.verb, ev.open.origin,
                     ev.open.node, ev.open.what);
            s->args_size = strlen(ev.open.args);
            break;
        case SYKLI__LINK_EV_DATA:
            sykli_buf_add(&s->data, ev.data, ev.size);
            if (s->hungry) sykli__link_consume(&s->link, ev.stream, ev.size);
            break;
        case SYKLI__LINK_EV_ENDED:
            s->ended++;
            s->ended_code = ev.code;
            snprintf(s->text, sizeof s->text, "%s", ev.text);
            break;
        case SYKLI__LINK_EV_WRITABLE: s->writable++; break;
        case SYKLI__LINK_EV_FACT:
            sykli_buf_add(&s->facts, ev.data, ev.size);
            s->data_before_fact = s->data.size;
            break;
        case SYKLI__LINK_EV_PING: s->pings++; break;
        case SYKLI__LINK_EV_PONG: s->pongs++; break;
        case SYKLI__LINK_EV_DOWN:
            s->downs++;
            s->down_code = ev.code;
            snprintf(s->text, sizeof s->text, "%s", ev.text);
            break;
        }
    }
}

static void side_feed(side *s, uint64_t now, const uint8_t *data, size_t size)
{
    while (size) {
        size_t used = sykli__link_bytes(&s->link, now, data, size);
        data += used;
        size -= used;
        side_events(s);
    }
    side_events(s);
}

// Moves one chunk.    returns  false: there was none
static bool pair_move(pair *p, side *from, side *to)
{
    const uint8_t *data;
    uint8_t copy[40000];
    size_t size = sykli__link_output(&from->link, p->now, &data);
    if (p->chunk && size > p->chunk) size = p->chunk;
    if (!size) return false;
    memcpy(copy, data, size);
    sykli__link_sent(&from->link, p->now, size);
    from->written += size;
    if (from == &p->a) {
        if (p->flip_at > p->from_a && p->flip_at <= p->from_a + size)
            copy[p->flip_at - p->from_a - 1] ^= 4;
        p->from_a += size;
    }
    side_feed(to, p->now, copy, size);
    return true;
}

static void pair_pump(pair *p)
{
    for (bool moved = true; moved;) {
        moved = pair_move(p, &p->a, &p->b);
        moved = pair_move(p, &p->b, &p->a) || moved;
    }
    side_events(&p->a);
    side_events(&p->b);
}

static int pair_init(pair *p, test *t)
{
    sykli__link_config a = config_of(true), b = config_of(false);
    memset(p, 0, sizeof *p);
    p->now = 1000;
    int rc = side_init(&p->a, t, &a, p->now);
    if (!rc) rc = side_init(&p->b, t, &b, p->now);
    if (rc) return rc;
    pair_pump(p);
    return p->a.ups && p->b.ups ? 0 : SYKLI_ECLOSED;
}

static void pair_free(pair *p)
{
    side_free(&p->a);
    side_free(&p->b);
}

static const sykli__link_open_message a_call = { .verb = 1, .priority = SYKLI__LINK_CALL,
    .origin = "anna", .node = "bert", .what = "run.cancel", .args = "{}" };

static void peers_learn_of_each_other(test *t)
{
    pair p;
    TRY(pair_init(&p, t));
    CHECK_INT(p.a.ups, 1);
    CHECK_INT(p.b.ups, 1);
    CHECK_TEXT(p.a.link.peer.name, "bert");
    CHECK_TEXT(p.b.link.peer.name, "anna");
    CHECK_INT(p.a.link.peer.boot_id, 22);
    CHECK_INT(p.b.link.peer.boot_id, 11);
    CHECK_INT(p.a.link.peer.caps, 2);
    CHECK_INT(p.b.link.peer.caps, 2);
    CHECK_INT(p.b.link.peer.id[0], 'a');
    CHECK_INT(p.b.link.peer.mesh_id[15], 'm');
out:
    pair_free(&p);
}

static void a_wrong_token_gets_no_byte(test *t)
{
    pair p;
    memset(&p, 0, sizeof p);
    sykli__link_config a = config_of(true), b = config_of(false);
    a.token = other_token;
    TRY(side_init(&p.a, t, &a, 0));
    TRY(side_init(&p.b, t, &b, 0));
    pair_pump(&p);
    CHECK_INT(p.b.downs, 1);
    CHECK_INT(p.b.down_code, SYKLI_EAUTH);
    CHECK_INT(p.b.written, 0);
    CHECK(!p.b.link.opened);
    CHECK_INT(p.a.ups + p.b.ups, 0);
out:
    pair_free(&p);
}

static void one_byte_at_a_time_is_enough(test *t)
{
    pair p;
    memset(&p, 0, sizeof p);
    p.chunk = 1;
    sykli__link_config a = config_of(true), b = config_of(false);
    uint32_t id = 0;
    TRY(side_init(&p.a, t, &a, 0));
    TRY(side_init(&p.b, t, &b, 0));
    pair_pump(&p);
    TRY(p.a.ups && p.b.ups ? 0 : -1);
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    pair_pump(&p);
    TRY(p.b.opened ? 0 : -1);
    CHECK_TEXT(p.b.what, "1 anna bert run.cancel");
    TRY((int)sykli__link_write(&p.b.link, id, "done", 4));
    TRY(sykli__link_end(&p.b.link, id, 0, NULL));
    pair_pump(&p);
    TRY(p.a.data.error);
    CHECK_TEXT((char *)p.a.data.data, "done");
    CHECK_INT(p.a.ended, 1);
out:
    pair_free(&p);
}

static void a_call_is_answered_and_forgotten(test *t)
{
    pair p;
    uint32_t id = 0;
    TRY(pair_init(&p, t));
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    CHECK_INT(id, 1);
    TRY((int)sykli__link_write(&p.a.link, id, "input", 5));
    TRY(sykli__link_end(&p.a.link, id, 0, NULL));
    pair_pump(&p);
    TRY(p.b.opened ? 0 : -1);
    TRY(p.b.data.error);
    CHECK_TEXT((char *)p.b.data.data, "input");
    CHECK_INT(p.b.ended, 1);
    CHECK_INT(p.b.link.session->stream_count, 1); // only the input has ended
    TRY((int)sykli__link_write(&p.b.link, id, "no", 2));
    sykli__link_end(&p.b.link, id, SYKLI_EPERM, "needs the role operator");
    pair_pump(&p);
    TRY(p.a.data.error);
    CHECK_TEXT((char *)p.a.data.data, "no");
    CHECK_INT(p.a.ended_code, SYKLI_EPERM);
    if (!t->injected) CHECK_TEXT(p.a.text, "needs the role operator");
    CHECK_INT(p.a.link.session->stream_count, 0);
    CHECK_INT(p.b.link.session->stream_count, 0);
    CHECK_INT(sykli__link_end(&p.b.link, id, 0, NULL), SYKLI_ENOENT);
    CHECK_INT(sykli__link_write(&p.a.link, id, "x", 1), SYKLI_ENOENT);
out:
    pair_free(&p);
}

static void a_large_call_comes_in_pieces(test *t)
{
    pair p;
    uint32_t id = 0;
    char *args = (char *)calloc(1, 70001);
    sykli__link_open_message m = a_call;
    TRY(pair_init(&p, t));
    memset(args, 'x', SYKLI_ARGS_MAX);
    m.args = args;
    TRY(sykli__link_open(&p.a.link, &m, &id));
    pair_pump(&p);
    TRY(p.b.opened ? 0 : -1);
    CHECK_INT(p.b.args_size, SYKLI_ARGS_MAX);
    CHECK_INT(p.b.link.session->opening_bytes, 0);
    memset(args, 'x', 70000);
    char *what = args;
    m.what = what;
    CHECK_INT(sykli__link_open(&p.a.link, &m, &id), t->injected ? SYKLI_ENOMEM : SYKLI_ELIMIT);
    CHECK_INT(p.a.link.session->stream_count, 1);
out:
    free(args);
    pair_free(&p);
}

static void nobody_sends_beyond_its_credit(test *t)
{
    pair p;
    uint32_t id = 0;
    static char block[70000];
    TRY(pair_init(&p, t));
    p.b.hungry = false;
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    int64_t sent = 0, n = 0;
    for (int i = 0; i < 8; i++) {
        n = sykli__link_write(&p.a.link, id, block, sizeof block);
        TRY((int)n);
        sent += n;
        pair_pump(&p);
    }
    TRY(p.b.data.error);
    CHECK_INT(p.b.data.size, SYKLI__LINK_WINDOW);
    CHECK_INT(sent, 2 * SYKLI__LINK_WINDOW); // one window there, one in the buffer
    CHECK_INT(n, 0);
    int before = p.a.writable;
    sykli__link_consume(&p.b.link, id, SYKLI__LINK_WINDOW / 4 - 1);
    pair_pump(&p);
    CHECK_INT(p.b.data.size, SYKLI__LINK_WINDOW); // WINDOW goes in steps
    sykli__link_consume(&p.b.link, id, SYKLI__LINK_WINDOW / 4 * 3 + 1);
    pair_pump(&p);
    TRY(p.b.data.error);
    CHECK_INT(p.b.data.size, 2 * SYKLI__LINK_WINDOW);
    CHECK_INT(p.a.writable, before + 1);
    CHECK_INT(p.b.link.session->left + p.b.link.session->give,
              SYKLI__LINK_WINDOW_ALL - SYKLI__LINK_WINDOW);
    TRY(sykli__link_reset(&p.b.link, id, SYKLI_ECANCELLED));
    CHECK_INT(p.b.link.session->left + p.b.link.session->give, SYKLI__LINK_WINDOW_ALL);
    pair_pump(&p);
    TRY(p.a.ended ? 0 : -1);
    CHECK_INT(p.a.ended_code, SYKLI_ECANCELLED);
    CHECK_INT(p.a.link.session->stream_count, 0);
out:
    pair_free(&p);
}

static void more_data_than_credit_ends_the_session(test *t)
{
    pair p;
    uint32_t id = 0;
    static char block[SYKLI__LINK_WINDOW];
    TRY(pair_init(&p, t));
    p.b.hungry = false;
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    pair_pump(&p);
    TRY((int)sykli__link_write(&p.a.link, id, block, sizeof block));
    pair_pump(&p);
    TRY(p.b.opened && p.b.data.size == sizeof block ? 0 : -1);
    sykli__link_find(&p.a.link, id)->credit = 1; // one that does not keep to it
    TRY((int)sykli__link_write(&p.a.link, id, block, 1));
    pair_pump(&p);
    CHECK_TEXT(p.b.text, "more data than credit");
    CHECK_INT(p.b.data.size, sizeof block);
out:
    pair_free(&p);
}

static void what_is_urgent_waits_for_one_bulk_frame_at_most(test *t)
{
    pair p;
    uint32_t heap = 0, live = 0;
    static char block[200000];
    sykli__link_open_message m = a_call;
    TRY(pair_init(&p, t));
    m.priority = SYKLI__LINK_HEAP;
    TRY(sykli__link_open(&p.a.link, &m, &heap));
    m.priority = SYKLI__LINK_LIVE;
    TRY(sykli__link_open(&p.a.link, &m, &live));
    TRY((int)sykli__link_write(&p.a.link, heap, block, sizeof block));
    const uint8_t *data;
    sykli__link_output(&p.a.link, p.now, &data); // a record is on its way already
    TRY(sykli__link_fact(&p.a.link, "news", 4));
    pair_pump(&p);
    TRY(p.b.data.error | p.b.facts.error);
    TRY(p.b.opened == 2 ? 0 : -1);
    CHECK_INT(p.b.facts.size, 4);
    CHECK(p.b.data_before_fact <= SYKLI__LINK_RECORD_MAX);
    CHECK_INT(p.b.data.size, sizeof block);
out:
    pair_free(&p);
}

static void classes_share_eight_to_four_to_one(test *t)
{
    pair p;
    uint32_t id[4] = { 0 };
    static char block[65536];
    TRY(pair_init(&p, t));
    for (int c = 1; c < 4; c++) {
        sykli__link_open_message m = a_call;
        m.priority = (uint8_t)c;
        TRY(sykli__link_open(&p.a.link, &m, &id[c]));
    }
    pair_pump(&p);
    for (int c = 1; c < 4; c++) TRY((int)sykli__link_write(&p.a.link, id[c], block, sizeof block));
    size_t left[4];
    for (int i = 0; i < 6; i++) pair_move(&p, &p.a, &p.b); // 96 KiB
    for (int c = 1; c < 4; c++) {
        sykli__link_stream *stream = sykli__link_find(&p.a.link, id[c]);
        TRY_NOT_NULL(stream);
        left[c] = stream->out.size - stream->out_at;
    }
    CHECK(left[1] <= 4096); // of 64 KiB each, 8 : 4 : 1 went
    CHECK(left[2] > 36000 && left[2] < 45000); // in the middle of the third round
    CHECK(left[3] > 52000 && left[3] < 60000);
out:
    pair_free(&p);
}

static void a_ping_comes_back_with_what_rides_in_it(test *t)
{
    pair p;
    TRY(pair_init(&p, t));
    sykli__link_ping_set(&p.b.link, "hash", 4);
    sykli__link_ping(&p.a.link, p.now);
    pair_pump(&p);
    CHECK_INT(p.b.pings, 1);
    CHECK_INT(p.a.pongs, 1);
    sykli__link_close(&p.a.link, SYKLI_ECLOSED, "leaving");
    pair_pump(&p);
    CHECK_INT(p.a.downs, 1);
    CHECK_INT(p.b.downs, 1);
    CHECK(sykli__link_finished(&p.a.link));
    CHECK_TEXT(p.b.text, "the peer ended it: leaving");
out:
    pair_free(&p);
}

static void streams_end_with_their_link(test *t)
{
    pair p;
    uint32_t id = 0;
    TRY(pair_init(&p, t));
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    pair_pump(&p);
    sykli__link_close(&p.a.link, SYKLI_ECLOSED, "leaving");
    pair_pump(&p);
    CHECK_INT(p.a.ended, 2);
    CHECK_INT(p.b.ended, p.b.opened);
    CHECK_INT(p.a.ended_code, SYKLI_ECLOSED);
    CHECK_INT(sykli__link_open(&p.a.link, &a_call, &id), SYKLI_ECLOSED);
out:
    pair_free(&p);
}

static void versions_and_capabilities_are_agreed(test *t)
{
    pair p;
    memset(&p, 0, sizeof p);
    sykli__link_config a = config_of(true), b = config_of(false);
    a.version_min = a.version_max = 3;
    TRY(side_init(&p.a, t, &a, 0));
    TRY(side_init(&p.b, t, &b, 0));
    pair_pump(&p);
    CHECK_TEXT(p.a.text, "the peer speaks versions 1 to 1, this node 3 to 3");
    CHECK_TEXT(p.b.text, "the peer speaks versions 3 to 3, this node 1 to 1");
    CHECK(sykli__link_finished(&p.b.link));
    pair_free(&p);
    a = config_of(true);
    a.caps_required = 1;
    TRY(side_init(&p.a, t, &a, 0));
    TRY(side_init(&p.b, t, &b, 0));
    pair_pump(&p);
    CHECK_INT(p.a.down_code, SYKLI_EUNSUPPORTED);
    CHECK_INT(p.b.down_code, SYKLI_EUNSUPPORTED);
    CHECK_INT(p.a.ups + p.b.ups, 0);
out:
    pair_free(&p);
}

static void time_ends_what_does_not_move(test *t)
{
    pair p;
    memset(&p, 0, sizeof p);
    sykli__link_config b = config_of(false);
    TRY(side_init(&p.b, t, &b, 1000));
    CHECK_INT(sykli__link_deadline(&p.b.link), 6000);
    for (uint64_t now = 1001; now < 6000; now += 200) side_feed(&p.b, now, (const uint8_t *)"S", 1);
    sykli__link_tick(&p.b.link, 5999);
    CHECK(p.b.link.state == SYKLI__LINK_FIRST);
    sykli__link_tick(&p.b.link, 6000);
    side_events(&p.b);
    CHECK_INT(p.b.down_code, SYKLI_ETIMEOUT);
out:
    pair_free(&p);
}

// ---- a peer that sends what it should not, over the clear transport

typedef struct bad_frame {
    const char *why, *frame; // hex of a whole frame; '*' repeats it
    size_t times;
} bad_frame;

static const bad_frame bad_frames[] = {
    { "a frame longer than its record", "0000000500000001", 1 },
    { "data outside a stream", "000000010000000161", 1 },
    { "data outside a stream", "000000010000000061", 1 },
    { "an OPEN that is not well formed", "010000050000000100000000ff", 1 },
    { "an OPEN that is not well formed", "010000050000000100ffffffff", 1 },
    { "an OPEN that is not well formed", "0100000500000002000000ff61", 1 }, // our own parity
    { "an OPEN that is not well formed", "01000005000000010000000161", 1 }, // whole, but nonsense
    { "an OPEN longer than it said", "0100000600000001000000016161", 1 },
    { "a frame of no stream", "0200000100000001ff", 1 },
    { "a frame of no stream", "030000040000000100000000", 1 },
    { "a frame of no stream", "050000040000000100000000", 1 },
    { "a WINDOW of no stream", "040000040000000100000001", 1 },
    { "a WINDOW that is not well formed", "040000040000000000000000", 1 },
    { "more credit than the window", "040000040000000000000001", 1 },
    { "a PING too large", "0600000400000000ffffffff", 1 },
    { "a second identity", "0a0000010000000001", 1 },
    { "frame type 77 is not known here", "4d00000000000000", 1 },
    { "a frame that is not well formed", "4d03000100000000ff", 1 }, // an extension beyond its frame
    { "more than 20 PING frames a second", "06000008000000000000000000000001", 100 },
};

static void hostile_frames_end_the_session(test *t)
{
    pair p;
    uint8_t record[2 + SYKLI__LINK_RECORD_MAX];
    memset(&p, 0, sizeof p);
    for (size_t i = 0; i < sizeof bad_frames / sizeof *bad_frames; i++) {
        const bad_frame *bad = &bad_frames[i];
        TRY(pair_init(&p, t));
        size_t size = strlen(bad->frame) / 2, all = size * bad->times;
        record[0] = (uint8_t)(all >> 8);
        record[1] = (uint8_t)all;
        for (size_t n = 0; n < bad->times; n++)
            CHECK_INT(sykli_unhex(record + 2 + n * size, size, bad->frame, size * 2), 0);
        side_feed(&p.b, p.now, record, all + 2);
        TRY(t->injected ? -1 : 0); // then it is a RESET, or the end for another reason
        CHECK_TEXT(p.b.text, bad->why);
        CHECK_INT(p.b.downs, 1);
        pair_pump(&p); // GOAWAY tells the other
        CHECK_INT(p.a.downs, 1);
        pair_free(&p);
        memset(&p, 0, sizeof p);
    }
out:
    pair_free(&p);
}

static void skippable_frames_are_skipped(test *t)
{
    pair p;
    TRY(pair_init(&p, t));
    uint8_t record[] = { 0, 21, 77, 1, 0, 2, 0, 0, 0, 0, 9, 9, // unknown, skippable
                         9, 3, 0, 3, 0, 0, 0, 0, 1, 7, 'f' };  // a fact behind an extension
    side_feed(&p.b, p.now, record, sizeof record);
    TRY(p.b.facts.error);
    CHECK_INT(p.b.downs, 0);
    CHECK_INT(p.b.facts.size, 1);
out:
    pair_free(&p);
}

static void records_of_a_wrong_size_end_the_session(test *t)
{
    static const uint8_t heads[][2] = { { 0x80, 1 }, { 0x40, 1 }, { 0x7f, 0xff } };
    pair p;
    memset(&p, 0, sizeof p);
    for (size_t i = 0; i < 3; i++) {
        TRY(pair_init(&p, t));
        side_feed(&p.b, p.now, heads[i], 2);
        CHECK_TEXT(p.b.text, "a record of a size that is not allowed");
        pair_free(&p);
        memset(&p, 0, sizeof p);
    }
out:
    pair_free(&p);
}

static void too_many_streams_are_refused_one_by_one(test *t)
{
    pair p;
    uint32_t id = 0;
    int rc = 0;
    TRY(pair_init(&p, t));
    for (int i = 0; i < SYKLI__LINK_STREAMS_MAX; i++) {
        if (i == 200) { // a second's worth is spent
            p.a.link.session->open_bucket.milli = sykli__link_rates[SYKLI__LINK_RATE_OPEN].rate;
            TRY_INT(sykli__link_open(&p.a.link, &a_call, &id), SYKLI_EBUSY);
            p.now += 1000;
            pair_pump(&p);
        }
        TRY(sykli__link_open(&p.a.link, &a_call, &id));
    }
    rc = sykli__link_open(&p.a.link, &a_call, &id);
    TRY_INT(rc, SYKLI_ELIMIT);
    p.a.link.session->opened[1] = 0; // one that does not keep to it
    TRY(sykli__link_open(&p.a.link, &a_call, &id));
    p.a.link.session->opened[1] = SYKLI__LINK_STREAMS_MAX + 1;
    pair_pump(&p);
    TRY_INT(p.b.opened, SYKLI__LINK_STREAMS_MAX);
    TRY_INT(p.a.ended_code, SYKLI_ELIMIT);
    TRY_INT(p.b.downs, 0);
out:
    pair_free(&p);
}

static void a_full_queue_of_facts_says_so(test *t)
{
    pair p;
    char fact[1200] = "f";
    int rc = 0, count = 0;
    TRY(pair_init(&p, t));
    while (!(rc = sykli__link_fact(&p.a.link, fact, sizeof fact))) count++;
    CHECK_INT(rc, t->injected ? SYKLI_ENOMEM : SYKLI_EBUSY);
    if (!t->injected) CHECK_INT(count, SYKLI__LINK_CONTROL_MAX / (1200 + 8));
    pair_pump(&p);
    TRY(p.b.facts.error);
    CHECK_INT(p.b.facts.size, count * 1200);
    TRY(sykli__link_fact(&p.a.link, fact, sizeof fact));
out:
    pair_free(&p);
}

// ---- the same over Noise

typedef struct keys {
    sykli_crypto crypto;
    uint8_t secret[2][32];
    sykli__link_psk cookie, wrong;
    sykli__link_replay replay;
} keys;

static void keys_init(keys *k, test *t)
{
    uint64_t seed[2] = { 3, 4 };
    memset(k, 0, sizeof *k);
    sykli_crypto_init(&k->crypto);
    memset(k->secret[0], 0x11, 32);
    memset(k->secret[1], 0x22, 32);
    memset(&k->cookie, 0x33, sizeof k->cookie);
    memset(&k->wrong, 0x33, sizeof k->wrong);
    k->wrong.key_secret[31] ^= 1;
    sykli__link_replay_init(&k->replay, &t->mem, 16, seed);
}

static sykli__link_config noise_of(keys *k, bool initiator, uint8_t fresh)
{
    static const uint8_t base[32] = { 9 };
    uint8_t key[32];
    sykli__link_config c = config_of(initiator);
    c.transport = SYKLI__LINK_NOISE;
    c.crypto = &k->crypto;
    c.key_secret = k->secret[!initiator];
    c.psks = &k->cookie;
    c.psk_count = 1;
    c.replay = initiator ? NULL : &k->replay;
    memset(c.ephemeral_secret, fresh, 32);
    k->crypto.x25519(NULL, key, c.key_secret, base);
    sykli__roster_node_id(c.id, key, c.sign_key);
    return c;
}

// Dials over Noise with the given configurations, and makes one call.
static int noise_pair(pair *p, test *t, const sykli__link_config *a, const sykli__link_config *b)
{
    uint32_t id;
    p->now = 1000;
    if (side_init(&p->a, t, a, p->now) || side_init(&p->b, t, b, p->now)) return SYKLI_ENOMEM;
    pair_pump(p);
    if (!p->a.ups || !p->b.ups) return SYKLI_ECLOSED;
    int rc = sykli__link_open(&p->a.link, &a_call, &id);
    pair_pump(p);
    return rc;
}

static void members_meet_over_noise(test *t)
{
    keys k;
    pair p;
    keys_init(&k, t);
    sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
    memset(&p, 0, sizeof p);
    a.expected = b.id;
    p.chunk = 7;
    TRY(noise_pair(&p, t, &a, &b));
    TRY(p.b.opened ? 0 : -1);
    CHECK_TEXT(p.b.what, "1 anna bert run.cancel");
    CHECK(!memcmp(p.a.link.peer.id, b.id, 16) && !memcmp(p.b.link.peer.id, a.id, 16));
    CHECK(p.b.link.opened);
out:
    pair_free(&p);
    sykli__link_replay_free(&k.replay);
}

static void a_wrong_cookie_gets_no_byte(test *t)
{
    keys k;
    pair p;
    keys_init(&k, t);
    for (int i = 0; i < 3; i++) {
        sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
        sykli__link_psk unknown = k.cookie;
        unknown.id[0] ^= 1;
        memset(&p, 0, sizeof p);
        a.psks = i ? &unknown : &k.wrong;
        if (i == 2) a.transport = SYKLI__LINK_CLEAR; // with the right token for a clear link
        noise_pair(&p, t, &a, &b);
        CHECK_INT(p.b.downs, 1);
        CHECK_INT(p.b.written, 0);
        CHECK_INT(p.a.ups + p.b.ups, 0);
        CHECK(!p.b.link.opened);
        pair_free(&p);
    }
    CHECK(!k.replay.tags[0]); // strangers leave no trace
    sykli__link_replay_free(&k.replay);
}

static void the_wrong_node_is_not_spoken_to(test *t)
{
    keys k;
    pair p;
    keys_init(&k, t);
    sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
    memset(&p, 0, sizeof p);
    a.expected = a.id;
    CHECK(noise_pair(&p, t, &a, &b) < 0);
    if (!t->injected) CHECK_TEXT(p.a.text, "another node answers at that address");
    pair_free(&p);
    memset(&p, 0, sizeof p);
    a = noise_of(&k, true, 3);
    b.key_secret = a.key_secret;
    memcpy(b.id, a.id, 16);
    CHECK(noise_pair(&p, t, &a, &b) < 0);
    if (!t->injected) CHECK_TEXT(p.a.text, "that address is this node itself");
    pair_free(&p);
    memset(&p, 0, sizeof p);
    a = noise_of(&k, true, 4); // its own X25519 key, another's signing key
    b = noise_of(&k, false, 5);
    a.sign_key[0] ^= 1;
    CHECK(noise_pair(&p, t, &a, &b) < 0);
    if (!t->injected) CHECK_TEXT(p.b.text, "the peer's node id is not that of its keys");
    pair_free(&p);
    sykli__link_replay_free(&k.replay);
}

// Every byte that the dialler sends, one bit changed: the acceptor ends it, and believes nothing.
static void a_flipped_bit_closes_the_session(test *t)
{
    keys k;
    pair p;
    size_t total = 0;
    keys_init(&k, t);
    for (size_t at = 0; at <= total; at++) {
        sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
        memset(&p, 0, sizeof p);
        p.flip_at = at;
        b.replay = NULL;
        noise_pair(&p, t, &a, &b);
        if (!at) total = p.from_a;
        if (!t->injected) CHECK_INT(p.b.opened, !at);
        // A length that grew leaves it waiting, until the handshake's time or the idle time is up.
        if (at) sykli__link_tick(&p.b.link, p.now + SYKLI__LINK_IDLE_MS);
        side_events(&p.b);
        if (!t->injected) CHECK_INT(p.b.downs, at != 0);
        pair_free(&p);
        if (t->failed) printf("    at byte %zu of %zu\n", at, total);
        if (t->failed || t->injected) break;
    }
    CHECK(total > 350 || t->injected);
    sykli__link_replay_free(&k.replay);
}

static void a_replayed_handshake_gets_no_answer(test *t)
{
    keys k;
    pair p;
    uint8_t first[SYKLI__LINK_FIRST_MAX];
    const uint8_t *data;
    keys_init(&k, t);
    sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
    memset(&p, 0, sizeof p);
    TRY(side_init(&p.a, t, &a, 0));
    size_t size = sykli__link_output(&p.a.link, 0, &data);
    memcpy(first, data, size);
    for (int i = 0; i < 3; i++) {
        side_free(&p.b);
        TRY(side_init(&p.b, t, &b, 0));
        side_feed(&p.b, 0, first, size);
        bool answers = sykli__link_output(&p.b.link, 0, &data) > 0;
        TRY(t->injected ? -1 : 0);
        CHECK_INT(answers, i == 0);
        CHECK_INT(p.b.down_code, i ? SYKLI_EEXIST : 0);
    }
out:
    pair_free(&p);
    sykli__link_replay_free(&k.replay);
}

static void keys_change_as_records_pass(test *t)
{
    keys k;
    pair p;
    keys_init(&k, t);
    sykli__link_config a = noise_of(&k, true, 1), b = noise_of(&k, false, 2);
    uint8_t before[32];
    memset(&p, 0, sizeof p);
    TRY(noise_pair(&p, t, &a, &b));
    p.a.link.sealing.counter = p.b.link.opening.counter = SYKLI__LINK_REKEY_RECORDS - 2;
    memcpy(before, p.a.link.sealing.key_secret, 32);
    for (int i = 0; i < 4; i++) {
        TRY(sykli__link_fact(&p.a.link, "x", 1));
        pair_pump(&p);
    }
    TRY(p.b.facts.error);
    CHECK_INT(p.b.facts.size, 4);
    CHECK(memcmp(before, p.a.link.sealing.key_secret, 32));
out:
    pair_free(&p);
    sykli__link_replay_free(&k.replay);
}

static void ephemerals_are_remembered_for_two_generations(test *t)
{
    sykli__link_replay r;
    uint64_t seed[2] = { 1, 2 };
    uint8_t key[32] = { 0 };
    sykli__link_replay_init(&r, &t->mem, 16, seed);
    for (uint8_t i = 0; i < 24; i++) {
        key[0] = i;
        TRY(sykli__link_replay_add(&r, key));
        CHECK_INT(sykli__link_replay_add(&r, key), SYKLI_EEXIST);
        key[0] = (uint8_t)(i < 8 ? 0 : i - 8);
        CHECK_INT(sykli__link_replay_add(&r, key), SYKLI_EEXIST);
    }
    key[0] = 0;
    CHECK_INT(sykli__link_replay_add(&r, key), 0); // long ago
out:
    sykli__link_replay_free(&r);
}

int main(int argc, char **argv)
{
    TEST_STORY(peers_learn_of_each_other);
    TEST_STORY(a_wrong_token_gets_no_byte);
    TEST_STORY(one_byte_at_a_time_is_enough);
    TEST_STORY(a_call_is_answered_and_forgotten);
    TEST_STORY(a_large_call_comes_in_pieces);
    TEST_STORY(nobody_sends_beyond_its_credit);
    TEST_STORY(more_data_than_credit_ends_the_session);
    TEST_STORY(what_is_urgent_waits_for_one_bulk_frame_at_most);
    TEST_STORY(classes_share_eight_to_four_to_one);
    TEST_STORY(a_ping_comes_back_with_what_rides_in_it);
    TEST_STORY(streams_end_with_their_link);
    TEST_STORY(versions_and_capabilities_are_agreed);
    TEST_STORY(time_ends_what_does_not_move);
    TEST_STORY(hostile_frames_end_the_session);
    TEST_STORY(skippable_frames_are_skipped);
    TEST_STORY(records_of_a_wrong_size_end_the_session);
    TEST_STORY(too_many_streams_are_refused_one_by_one);
    TEST_STORY(a_full_queue_of_facts_says_so);
    TEST_STORY(members_meet_over_noise);
    TEST_STORY(a_wrong_cookie_gets_no_byte);
    TEST_STORY(the_wrong_node_is_not_spoken_to);
    TEST_SOME(2, a_flipped_bit_closes_the_session);
    TEST_STORY(a_replayed_handshake_gets_no_answer);
    TEST_STORY(keys_change_as_records_pass);
    TEST_STORY(ephemerals_are_remembered_for_two_generations);
    return test_end(argc, argv);
}
