// Input: a byte that chooses, then bytes as a peer sends them: an envelope, a roster, an invite, a
// ticket, an encoded result, or frames on a session that is up. Frames end the session or not, but
// never the program, and nobody's memory.
#define SYKLI_IMPLEMENTATION
#include "fuzz.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"

static void fuzz_envelope(test *t, const uint8_t *data, size_t size)
{
    sykli__roster_envelope e;
    sykli_buf out;
    sykli__wire_in in = sykli__wire_over(data, size);
    static const uint8_t mesh[SYKLI__ROSTER_ID] = { 0 };
    if (size <= SYKLI__ROSTER_ID) return;
    const uint8_t *id = in.left > SYKLI__ROSTER_ID ? data + 1 : mesh; // as if it were our mesh
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    if (!sykli__roster_envelope_get(&in, &e, (sykli__roster_kind)data[0], id, &t->fault)) {
        sykli__roster_envelope_put(&out, &e);
        FUZZ_CHECK(!out.error && out.size <= size && !memcmp(out.data, data, out.size));
    }
    sykli_buf_free(&out);
}

static void fuzz_invite(test *t, const uint8_t *data, size_t size)
{
    sykli__roster_invite v;
    sykli__roster_ticket k;
    memset(&v, 0, sizeof v);
    sykli__wire_in in = sykli__wire_over(data, size);
    if (!sykli__roster_invite_get(&in, &v, &t->fault))
        FUZZ_CHECK(v.address_count <= SYKLI__ROSTER_ADDRESSES_MAX && v.uses);
    sykli__roster_invite_decode(&v, (const char *)data, size, &t->fault);
    in = sykli__wire_over(data, size);
    if (!sykli__roster_ticket_get(&in, &k)) FUZZ_CHECK(k.used <= k.uses && k.role);
}

static void fuzz_result(test *t, const uint8_t *data, size_t size)
{
    sykli_buf out;
    sykli_result *r = sykli_result_decode(&t->mem, data, size, &t->fault);
    sykli_buf_init(&out, &t->mem, SYKLI_TAG_host);
    if (r) {
        int rc = sykli_result_render(r, SYKLI_FORMAT_json, &out);
        sykli_json_doc doc = { 0 };
        if (!rc) rc = sykli_json_parse(&doc, &t->mem, (char *)out.data, out.size, &t->fault);
        FUZZ_CHECK(!rc || rc == SYKLI_ELIMIT || rc == SYKLI_EPARSE); // two columns of one name
        sykli_json_free(&doc);
    }
    sykli_result_free(r);
    sykli_buf_free(&out);
}

// ---- a session ----
static const uint8_t token[32] = "a token of thirty-two bytes, yes";

static int link_begin(test *t, sykli__link_core *l, bool initiator)
{
    sykli__link_config c = { .initiator = initiator, .transport = SYKLI__LINK_CLEAR,
        .purpose = SYKLI__LINK_CTL, .token = token, .boot_id = initiator ? 11 : 22, .session = 7,
        .name = initiator ? "anna" : "bert", .caps = 3 };
    memset(c.id, initiator ? 'a' : 'b', sizeof c.id);
    memset(c.mesh_id, 'm', sizeof c.mesh_id);
    return sykli__link_init(l, &t->mem, &c, 1000);
}

// Takes all events and answers some, as a host does.
static void link_events(sykli__link_core *l)
{
    sykli__link_ev ev;
    while (sykli__link_event(l, &ev)) {
        if (ev.kind == SYKLI__LINK_EV_DATA) sykli__link_consume(l, ev.stream, ev.size);
        if (ev.kind == SYKLI__LINK_EV_OPENED) {
            FUZZ_CHECK(ev.open.origin && ev.open.node && ev.open.what && ev.open.args);
            if (sykli__link_write(l, ev.stream, "answer", 6) >= 0 && ev.stream % 4 == 1)
                sykli__link_end(l, ev.stream, 0, "");
        }
    }
}

static void link_feed(sykli__link_core *l, uint64_t now, const uint8_t *data, size_t size)
{
    while (size) {
        size_t used = sykli__link_bytes(l, now, data, size);
        FUZZ_CHECK(used <= size);
        data += used;
        size -= used;
        link_events(l);
    }
    link_events(l);
}

static bool link_move(sykli__link_core *from, sykli__link_core *to, uint64_t now)
{
    const uint8_t *data;
    size_t size = sykli__link_output(from, now, &data);
    if (to) link_feed(to, now, data, size);
    sykli__link_sent(from, now, size);
    return size > 0;
}

static void fuzz_link(test *t, const uint8_t *data, size_t size)
{
    sykli__link_core a, b;
    uint64_t now = 1000;
    FUZZ_CHECK(!link_begin(t, &a, true) && !link_begin(t, &b, false));
    for (int i = 0; i < 4; i++) link_move(&a, &b, now), link_move(&b, &a, now);
    sykli__link_open_message m = { .verb = 1, .priority = SYKLI__LINK_CALL, .origin = "bert",
                                   .node = "anna", .what = "run.cancel", .args = "{}" };
    uint32_t id;
    FUZZ_CHECK(!sykli__link_open(&b, &m, &id));
    // A record is a length and frames. Each takes up what is left of the input, but the first byte
    // says where the next begins: the engine need not learn to count.
    while (size) {
        size_t take = data[0] & 1 ? size - 1 : data[0] >> 1;
        if (take > size - 1) take = size - 1;
        uint8_t record[2 + 65535];
        if (take > sizeof record - 2) take = sizeof record - 2;
        record[0] = (uint8_t)(take >> 8);
        record[1] = (uint8_t)take;
        memcpy(record + 2, data + 1, take);
        link_feed(&b, now++, record, take + 2);
        link_move(&b, NULL, now);
        sykli__link_tick(&b, now);
        data += take + 1;
        size -= take + 1;
    }
    FUZZ_CHECK(t->bytes < 4 << 20);
    sykli__link_free(&a);
    sykli__link_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test t;
    if (!size) return 0;
    test_begin(&t, 0);
    switch (data[0] % 4) {
    case 0: fuzz_link(&t, data + 1, size - 1); break;
    case 1: fuzz_envelope(&t, data + 1, size - 1); break;
    case 2: fuzz_invite(&t, data + 1, size - 1); break;
    default: fuzz_result(&t, data + 1, size - 1);
    }
    fuzz_end(&t);
    return 0;
}
