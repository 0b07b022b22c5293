/* sykli_mesh.h - v0.1.0 - joins sykli nodes into an encrypted mesh - MIT or public domain

   CONTENTS
     public
     >>wire      cursor, writer: bytes in and out with every length checked
     >>crypto    X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
     >>noise     handshake patterns with psk modifiers, cipher states
     >>roster    signed envelopes, roster, invite tokens, key files
     >>link      HELLO, handshake, records, frames, streams, credit, priority: bytes in, bytes out
     >>member    who is in the mesh: SWIM semantics over sessions
     >>net       sockets
     >>mesh      the node: control socket, routes, cache lookups, config push, invites */

#ifndef SYKLI_MESH_H_INCLUDED
#define SYKLI_MESH_H_INCLUDED
#include "sykli.h"
#ifdef __cplusplus
extern "C" {
#endif
#ifdef __cplusplus
}
#endif
#endif // SYKLI_MESH_H_INCLUDED

#if defined(SYKLI_MESH_IMPLEMENTATION)
#ifndef SYKLI_MESH_IMPLEMENTED
#define SYKLI_MESH_IMPLEMENTED

#include <assert.h>
#include <string.h>

// >>wire ---- bytes in and out with every length checked
// What a peer sends is read through a cursor that never passes its end: one `take` checks every
// length, and after the first short read the cursor is bad and stays empty, so that a decoder reads
// all its fields and asks once. What we send is appended to a sykli_buf, whose errors stick the same
// way. Integers are big-endian on the wire; nothing is cast to a struct, so alignment, padding and
// the host's byte order never matter.

typedef struct sykli__wire_in {
    const uint8_t *at;
    size_t left;
    bool bad; // something was missing or malformed; all that follows reads as 0
} sykli__wire_in;

typedef sykli_buf sykli__wire_out;

static sykli__wire_in sykli__wire_over(const void *data, size_t size)
{
    sykli__wire_in in = { (const uint8_t *)data, size, false };
    return in;
}

static void sykli__wire_spoil(sykli__wire_in *in)
{
    in->bad = true;
    in->left = 0;
}

// The next `count` bytes, or NULL and a bad cursor. Only here a length meets the end of the data.
static const uint8_t *sykli__wire_take(sykli__wire_in *in, size_t count)
{
    if (in->bad || count > in->left) {
        sykli__wire_spoil(in);
        return NULL;
    }
    const uint8_t *at = in->at;
    in->at += count;
    in->left -= count;
    return at;
}

// Whether all was read, to the last byte, and nothing was wrong.
static bool sykli__wire_ended(const sykli__wire_in *in) { return !in->bad && !in->left; }

static uint64_t sykli__wire_integer(sykli__wire_in *in, size_t bytes)
{
    const uint8_t *p = sykli__wire_take(in, bytes);
    uint64_t value = 0;
    for (size_t i = 0; p && i < bytes; i++) value = value << 8 | p[i];
    return value;
}

static uint8_t sykli__wire_u8(sykli__wire_in *in) { return (uint8_t)sykli__wire_integer(in, 1); }
static uint16_t sykli__wire_u16(sykli__wire_in *in) { return (uint16_t)sykli__wire_integer(in, 2); }
static uint32_t sykli__wire_u32(sykli__wire_in *in) { return (uint32_t)sykli__wire_integer(in, 4); }
static uint64_t sykli__wire_u64(sykli__wire_in *in) { return sykli__wire_integer(in, 8); }

// Seven bits a byte, low ones first. Only the shortest form is taken: a value has one encoding, so
// signed bytes cannot be written in two ways.
static uint64_t sykli__wire_varint(sykli__wire_in *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = sykli__wire_u8(in);
        value |= (uint64_t)(byte & 0x7f) << shift;
        bool overflow = shift == 63 && byte > 1, padded = shift && !byte;
        if (in->bad || overflow || padded) break;
        if (!(byte & 0x80)) return value;
    }
    sykli__wire_spoil(in);
    return 0;
}

// Copies `size` bytes out, zeros where they are missing.
static void sykli__wire_copy(sykli__wire_in *in, void *out, size_t size)
{
    const uint8_t *p = sykli__wire_take(in, size);
    if (p) memcpy(out, p, size);
    else memset(out, 0, size);
}

// UTF-8 without NUL behind a u16 length of at most `max`.
//   returns  the text, not terminated; never NULL: "" with size 0 when the cursor is bad
static const char *sykli__wire_text(sykli__wire_in *in, size_t max, size_t *size)
{
    size_t count = sykli__wire_u16(in);
    const char *text = (const char *)(count > max ? NULL : sykli__wire_take(in, count));
    if (in->bad || !text || memchr(text, 0, count) || !sykli_utf8_valid(text, count)) {
        sykli__wire_spoil(in);
        *size = 0;
        return "";
    }
    *size = count;
    return text;
}

// The same into an array of `room` bytes, terminated; at most room - 1 bytes are taken.
static void sykli__wire_text_copy(sykli__wire_in *in, char *out, size_t room)
{
    size_t size;
    const char *text = sykli__wire_text(in, room - 1, &size);
    memcpy(out, text, size);
    out[size] = 0;
}

// A tail of fields {u16 type, u16 length, value} lets an older node read past what a newer one
// added: the caller handles the types it knows and passes over the others.
//   returns  false at the end of `in`, or when it is bad
static bool sykli__wire_tlv(sykli__wire_in *in, uint16_t *type, sykli__wire_in *value)
{
    if (in->bad || !in->left) return false;
    *type = sykli__wire_u16(in);
    size_t size = sykli__wire_u16(in);
    const uint8_t *at = sykli__wire_take(in, size);
    *value = sykli__wire_over(at, at ? size : 0);
    return at != NULL;
}

static void sykli__wire_put_integer(sykli__wire_out *out, uint64_t value, size_t bytes)
{
    uint8_t text[8];
    for (size_t i = 0; i < bytes; i++) text[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    sykli_buf_add(out, text, bytes);
}

static void sykli__wire_put_u8(sykli__wire_out *out, uint8_t v)
{
    sykli__wire_put_integer(out, v, 1);
}
static void sykli__wire_put_u16(sykli__wire_out *out, uint16_t v)
{
    sykli__wire_put_integer(out, v, 2);
}
static void sykli__wire_put_u32(sykli__wire_out *out, uint32_t v)
{
    sykli__wire_put_integer(out, v, 4);
}
static void sykli__wire_put_u64(sykli__wire_out *out, uint64_t v)
{
    sykli__wire_put_integer(out, v, 8);
}

static void sykli__wire_put_varint(sykli__wire_out *out, uint64_t value)
{
    for (; value > 0x7f; value >>= 7) sykli__wire_put_u8(out, (uint8_t)(value | 0x80));
    sykli__wire_put_u8(out, (uint8_t)value);
}

static void sykli__wire_put_bytes(sykli__wire_out *out, const void *data, size_t size)
{
    sykli_buf_add(out, data, size);
}

// A length that does not fit its field becomes the sticky error ELIMIT, never a truncated number.
static void sykli__wire_put_size16(sykli__wire_out *out, size_t size)
{
    if (size > UINT16_MAX && !out->error) out->error = SYKLI_ELIMIT;
    sykli__wire_put_u16(out, (uint16_t)size);
}

static void sykli__wire_put_text(sykli__wire_out *out, const char *text)
{
    size_t size = strlen(text);
    sykli__wire_put_size16(out, size);
    sykli__wire_put_bytes(out, text, size);
}

static void sykli__wire_put_tlv(sykli__wire_out *out, uint16_t type, const void *value, size_t size)
{
    sykli__wire_put_u16(out, type);
    sykli__wire_put_size16(out, size);
    sykli__wire_put_bytes(out, value, size);
}

// >>crypto ---- X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
// >>noise ---- handshake patterns with psk modifiers, cipher states
// >>roster ---- signed envelopes, roster, invite tokens, key files
// >>link ---- HELLO, handshake, records, frames, streams, credit, priority
// One authenticated session between two places, as a machine without I/O: bytes and time go in,
// bytes and events come out, and the caller owns the socket.
//
//     init, then in any order:  bytes(data) -> how much it took      event(&ev) until it says no
//                               output(&data) -> sent(n)             deadline() -> tick(now)
//
// Received data is never queued here: `bytes` stops at the end of a record until `event` has walked
// its frames, and a stream's peer may send only what `consume` gave back. So all memory of a
// session is bounded by the constants below, whatever arrives.
//
//     dialler  HELLO_i | message 1                          message 3 (who I am) | records
//     acceptor                       message 2 (HELLO_r) |               record: who I am | records
//
// Three messages behind a u16 length, of Noise XXpsk0 over TCP; over a unix socket (`clear`) the
// first is a token and nothing is sealed. A record is u16 length | frames, sealed. A frame is u8
// type, u8 flags, u16 length, u32 stream; the dialler's streams are odd.

enum {
    SYKLI__LINK_HELLO_SIZE = 36,
    SYKLI__LINK_FIRST_MAX = 512,           // bytes taken from somebody not yet authenticated
    SYKLI__LINK_HANDSHAKE_MS = 5000,       // all of it, not each read: slow loris
    SYKLI__LINK_STALL_MS = 10000,          // nothing could be written
    SYKLI__LINK_IDLE_MS = 15000,           // nothing was received
    SYKLI__LINK_KEEPALIVE_MS = 5000,
    SYKLI__LINK_CLOSING_MS = 1000,         // for the last bytes to leave
    SYKLI__LINK_RECORD_MAX = 16384,        // frames of a record
    SYKLI__LINK_TAG = 16,
    SYKLI__LINK_FRAME = 8,                 // bytes of a frame's header
    SYKLI__LINK_FACT_MAX = 1200,
    SYKLI__LINK_PING_MAX = 96,             // what may ride in a PING
    SYKLI__LINK_TEXT_MAX = 512,            // of END and GOAWAY
    SYKLI__LINK_OPEN_MAX = 64 * 1024 + 8192, // arguments of an op and all around them
    SYKLI__LINK_OPENING_MAX = 1 << 20,     // open messages that have not arrived whole
    SYKLI__LINK_STREAMS_MAX = 256,         // opened by one side at a time
    SYKLI__LINK_WINDOW = 64 * 1024,        // credit of a stream
    SYKLI__LINK_WINDOW_BULK = 256 * 1024,
    SYKLI__LINK_WINDOW_ALL = 8 << 20,      // credit of all streams of a session together
    SYKLI__LINK_BUFFER_ALL = 4 << 20,      // bytes waiting to be sent
    SYKLI__LINK_CONTROL_MAX = 256 * 1024   // facts and resets waiting to be sent
};

typedef enum sykli__link_transport {
    SYKLI__LINK_NOISE = 1, SYKLI__LINK_CLEAR
} sykli__link_transport;
typedef enum sykli__link_purpose {
    SYKLI__LINK_CTL = 1, SYKLI__LINK_BULK, SYKLI__LINK_JOIN, SYKLI__LINK_CLIENT
} sykli__link_purpose;

// Classes: the first goes before all, the others share 8 : 4 : 1.
typedef enum sykli__link_class {
    SYKLI__LINK_URGENT, SYKLI__LINK_LIVE, SYKLI__LINK_CALL, SYKLI__LINK_HEAP, SYKLI__LINK_CLASSES
} sykli__link_class;

typedef enum sykli__link_frame {
    SYKLI__LINK_DATA, SYKLI__LINK_OPEN, SYKLI__LINK_MORE, SYKLI__LINK_END, SYKLI__LINK_WINDOW_FRAME,
    SYKLI__LINK_RESET, SYKLI__LINK_PING, SYKLI__LINK_PONG, SYKLI__LINK_GOAWAY, SYKLI__LINK_FACT,
    SYKLI__LINK_IDENTITY
} sykli__link_frame;
enum { SYKLI__LINK_SKIPPABLE = 1, SYKLI__LINK_EXT = 2 }; // EXT: u8 length and that many bytes first

// A secret by which a session may be opened: a cookie's, or an invite's.
typedef struct sykli__link_psk { uint8_t id[8], key[32]; } sykli__link_psk;

// Ephemeral keys of first messages that were answered. Each generation holds half; when the younger
// is full it becomes the older, so the last 16 Ki at least are remembered.
typedef struct sykli__link_replay {
    sykli_mem *mem;
    uint64_t *tags[2]; // open addressing, 0: free
    uint32_t slots, count;
    uint64_t seed[2];
} sykli__link_replay;

// Must outlive the link: what the pointers point to.
typedef struct sykli__link_config {
    bool initiator;
    uint8_t transport, purpose;
    uint8_t version_min, version_max;     // 0: 1
    uint64_t caps, caps_required;
    const uint8_t *key_private, *key;     // X25519
    const sykli__link_psk *psks;          // the dialler uses the first
    size_t psk_count;
    const uint8_t *expected;              // dialler: the node id it wants; NULL: anybody
    const uint8_t *token;                 // clear: 32 bytes
    uint8_t ephemeral[32];                // fresh random
    sykli__link_replay *replay;           // acceptor; NULL: none
    uint8_t id[16], sign_key[32], mesh_id[32];
    uint64_t boot_id, session;
    const char *name;
} sykli__link_config;

typedef struct sykli__link_peer {
    uint8_t id[16], key[32], sign_key[32], mesh_id[32], psk_id[8];
    uint64_t boot_id, session, caps;
    uint8_t purpose, version;
    char name[SYKLI_NODE_NAME_MAX + 1];
} sykli__link_peer;

// What a stream is opened with: one of the five verbs. Texts are never NULL when received.
typedef struct sykli__link_open_message {
    uint8_t verb, priority, role; // the role is a ceiling
    uint16_t version;
    uint32_t op, deadline_ms;
    uint8_t idempotency[16], trace[16], span[8];
    const char *origin, *node, *what, *args;
} sykli__link_open_message;

typedef struct sykli__link_stream {
    uint32_t id;
    uint8_t priority;
    bool here;               // opened by this side
    bool end;                // END follows what is buffered
    bool deaf;               // the peer has ended its direction
    bool short_write;        // somebody waits for room
    int32_t end_code;
    char *end_text;
    uint32_t credit;         // bytes that may be sent
    uint32_t left;           // bytes the peer may send
    uint32_t held;           // received, not yet consumed
    uint32_t give;           // consumed, not yet given back
    sykli_buf out;
    size_t out_at, open_left; // open_left: so much of `out` is still the open message
    bool open_begun;
    sykli_buf opening;       // an open message on its way in
    uint32_t opening_total;
} sykli__link_stream;

typedef enum sykli__link_state {
    SYKLI__LINK_FIRST,    // acceptor: HELLO and message 1
    SYKLI__LINK_SECOND,   // dialler: message 2
    SYKLI__LINK_THIRD,    // acceptor: message 3
    SYKLI__LINK_IDENTIFY, // dialler: the record that says who answers
    SYKLI__LINK_UP,
    SYKLI__LINK_CLOSING,  // the last bytes leave, nothing is read
    SYKLI__LINK_DOWN
} sykli__link_state;

typedef enum sykli__link_event_kind {
    SYKLI__LINK_EV_UP,       // peer
    SYKLI__LINK_EV_OPENED,   // stream, open
    SYKLI__LINK_EV_DATA,     // stream, data: give back by `consume`
    SYKLI__LINK_EV_ENDED,    // stream, code, text; last: the stream is gone
    SYKLI__LINK_EV_WRITABLE, // stream: a write that was cut short may go on
    SYKLI__LINK_EV_FACT,     // data
    SYKLI__LINK_EV_PING,     // data: what rode in it
    SYKLI__LINK_EV_PONG,     // data, rtt_ms
    SYKLI__LINK_EV_DOWN      // code, text; the last event
} sykli__link_event_kind;

// Valid until the next call on the link.
typedef struct sykli__link_ev {
    sykli__link_event_kind kind;
    uint32_t stream, rtt_ms;
    bool last;
    int code;
    const uint8_t *data;
    size_t size;
    const char *text;
    sykli__link_open_message open;
} sykli__link_ev;

// What a peer may do, as token buckets: so often a second for long, `burst` at once. A stalled
// connection delivers seconds of honest frames together, hence the bursts.
typedef enum sykli__link_rate {
    SYKLI__LINK_RATE_OPEN, SYKLI__LINK_RATE_RESET, SYKLI__LINK_RATE_PING, SYKLI__LINK_RATE_EMPTY,
    SYKLI__LINK_RATES
} sykli__link_rate;
typedef struct sykli__link_bucket { uint64_t at_ms; uint32_t milli; } sykli__link_bucket;
static const struct { uint32_t rate, burst; const char *name; } sykli__link_rates[] = {
    { 200, 2000, "OPEN" }, { 100, 2000, "RESET" }, { 20, 60, "PING" }, { 200, 600, "empty" }
};

// What only an authenticated session needs.
typedef struct sykli__link_session {
    uint8_t in[2 + SYKLI__LINK_RECORD_MAX + SYKLI__LINK_TAG];
    uint8_t out[2 + SYKLI__LINK_RECORD_MAX + SYKLI__LINK_TAG + 1];
    sykli_buf control;       // whole frames: FACT, RESET
    size_t control_at;
    sykli__link_stream **streams;
    size_t stream_count, stream_capacity, turn_stream;
    uint32_t next_id, peer_id; // next to open here; highest the peer has opened
    uint32_t credit, left, give;
    uint32_t opened[2];      // streams there are: by the peer, by this side
    size_t opening_bytes, buffered;
    int turn;                // class whose turn it is
    uint32_t deficit[SYKLI__LINK_CLASSES];
    sykli__link_bucket buckets[SYKLI__LINK_RATES], open_bucket;
} sykli__link_session;

typedef struct sykli__link_core {
    sykli_mem *mem;
    sykli__link_config config;
    sykli__link_state state;
    sykli__link_peer peer;
    sykli_fault fault;            // why it is down
    uint64_t now_ms, since_ms, heard_ms, progress_ms, bytes_in, bytes_out;
    bool told_up, told_down;      // events that were pulled
    bool opened;                  // message 1 was valid
    bool want_identity, want_ping, want_pong, want_goaway;
    uint64_t ping_token, pong_token;
    uint32_t rtt_ms;
    uint8_t ping_data[SYKLI__LINK_PING_MAX]; // what rides in our PING and PONG
    size_t ping_size;
    uint8_t first_in[SYKLI__LINK_FIRST_MAX], first_out[SYKLI__LINK_FIRST_MAX];
    size_t in_size, out_size, out_at;
    const uint8_t *out;            // first_out or the session's
    size_t record_at, record_size; // frames of the current record still to be walked
    uint32_t opened_stream;        // whose open message the last event lent out
    sykli__link_session *session;
} sykli__link_core;

static uint64_t sykli__link_least(uint64_t a, uint64_t b) { return a < b ? a : b; }

// A writer over an array: it can fail, but never allocates.
static sykli__wire_out sykli__link_fixed(uint8_t *data, size_t size)
{
    sykli__wire_out out;
    sykli_buf_init(&out, NULL, SYKLI_TAG_link);
    out.data = data;
    out.capacity = out.max_bytes = size;
    return out;
}

static bool sykli__link_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++) difference |= (uint8_t)(a[i] ^ b[i]);
    return !difference;
}

// ---- replay memory

// slots: of each generation, a power of two; half of them are used.
static void sykli__link_replay_init(sykli__link_replay *r, sykli_mem *mem, uint32_t slots,
                                    const uint64_t seed[2])
{
    memset(r, 0, sizeof *r);
    r->mem = mem;
    r->slots = slots ? slots : 1u << 15;
    r->seed[0] = seed[0];
    r->seed[1] = seed[1];
}

static void sykli__link_replay_free(sykli__link_replay *r)
{
    for (int i = 0; i < 2; i++)
        if (r->tags[i])
            sykli_mem_resize(r->mem, SYKLI_TAG_link, r->tags[i], r->slots * sizeof *r->tags[i], 0);
    memset(r, 0, sizeof *r);
}

// Where the tag is, or would be.
static uint64_t *sykli__link_replay_slot(const sykli__link_replay *r, int generation, uint64_t tag)
{
    uint32_t at = (uint32_t)tag & (r->slots - 1);
    uint64_t *tags = r->tags[generation];
    while (tags[at] && tags[at] != tag) at = (at + 1) & (r->slots - 1);
    return &tags[at];
}

// Remembers an ephemeral key.    returns  0, EEXIST: it was there, ENOMEM
static int sykli__link_replay_add(sykli__link_replay *r, const uint8_t key[32])
{
    for (int i = 0; i < 2; i++)
        if (!r->tags[i]) {
            r->tags[i] = (uint64_t *)sykli_mem_resize(r->mem, SYKLI_TAG_link, NULL, 0,
                                                      r->slots * sizeof *r->tags[i]);
            if (!r->tags[i]) return SYKLI_ENOMEM;
        }
    uint64_t tag = sykli_siphash(r->seed, key, 32) | 1;
    if (*sykli__link_replay_slot(r, 0, tag) || *sykli__link_replay_slot(r, 1, tag))
        return SYKLI_EEXIST;
    if (++r->count > r->slots / 2) {
        uint64_t *old = r->tags[1];
        r->tags[1] = r->tags[0];
        r->tags[0] = old;
        memset(old, 0, r->slots * sizeof *old);
        r->count = 1;
    }
    *sykli__link_replay_slot(r, 0, tag) = tag;
    return 0;
}

// ---- going down

static int sykli__link_drop(sykli__link_core *l, int code)
{
    l->state = SYKLI__LINK_DOWN;
    l->record_at = l->record_size;
    l->out_at = l->out_size = 0;
    return code;
}

// Ends the link without a word to the peer: before it is authenticated, or when it is gone.
static int sykli__link_die(sykli__link_core *l, int code, const char *why)
{
    if (l->state == SYKLI__LINK_DOWN) return code;
    if (l->state != SYKLI__LINK_CLOSING) sykli_fail(&l->fault, code, "%s", why);
    return sykli__link_drop(l, code);
}

// Tells the peer why, then ends; what was buffered is given up.
static int sykli__link_close(sykli__link_core *l, int code, const char *why)
{
    if (l->state < SYKLI__LINK_UP) return sykli__link_die(l, code, why);
    if (l->state > SYKLI__LINK_UP) return code;
    sykli_fail(&l->fault, code, "%s", why);
    l->state = SYKLI__LINK_CLOSING;
    l->since_ms = l->now_ms;
    l->record_at = l->record_size;
    l->want_goaway = true;
    return code;
}

// ---- the handshake

typedef struct sykli__link_hello {
    uint8_t version_min, version_max, suite, purpose, transport;
    uint64_t caps, caps_required;
    uint8_t key_id[8];
} sykli__link_hello;

static void sykli__link_hello_put(const sykli__link_core *l, sykli__wire_out *out)
{
    static const uint8_t none[8] = { 0 };
    const sykli__link_config *c = &l->config;
    sykli__wire_put_bytes(out, "SYKM", 4);
    sykli__wire_put_u8(out, c->version_min);
    sykli__wire_put_u8(out, c->version_max);
    sykli__wire_put_u8(out, 1); // 25519, ChaChaPoly, SHA-256
    sykli__wire_put_u8(out, c->purpose);
    sykli__wire_put_u8(out, c->transport);
    sykli__wire_put_integer(out, 0, 3);
    sykli__wire_put_u64(out, c->caps);
    sykli__wire_put_u64(out, c->caps_required);
    sykli__wire_put_bytes(out, c->initiator && c->psk_count ? c->psks[0].id : none, 8);
}

static bool sykli__link_hello_get(sykli__wire_in *in, sykli__link_hello *hello)
{
    const uint8_t *magic = sykli__wire_take(in, 4);
    bool known = magic && !memcmp(magic, "SYKM", 4);
    hello->version_min = sykli__wire_u8(in);
    hello->version_max = sykli__wire_u8(in);
    hello->suite = sykli__wire_u8(in);
    hello->purpose = sykli__wire_u8(in);
    hello->transport = sykli__wire_u8(in);
    sykli__wire_take(in, 3);
    hello->caps = sykli__wire_u64(in);
    hello->caps_required = sykli__wire_u64(in);
    sykli__wire_copy(in, hello->key_id, 8);
    return known && !in->bad && hello->suite == 1 && hello->purpose >= SYKLI__LINK_CTL
           && hello->purpose <= SYKLI__LINK_CLIENT;
}

// Highest common version and the common capabilities.
static int sykli__link_agree(sykli__link_core *l, const sykli__link_hello *hello)
{
    const sykli__link_config *c = &l->config;
    uint8_t version =
        (uint8_t)sykli__link_least(c->version_max, hello->version_max);
    if (version < c->version_min || version < hello->version_min)
        return sykli_fail(&l->fault, SYKLI_EUNSUPPORTED,
                          "the peer speaks versions %u to %u, this node %u to %u",
                          hello->version_min, hello->version_max, c->version_min, c->version_max);
    if ((hello->caps_required & ~c->caps) || (c->caps_required & ~hello->caps))
        return sykli_fail(&l->fault, SYKLI_EUNSUPPORTED,
                          "one side requires what the other has not: they need %llx, we need %llx",
                          (unsigned long long)hello->caps_required,
                          (unsigned long long)c->caps_required);
    l->peer.version = version;
    l->peer.caps = hello->caps & c->caps;
    l->peer.purpose = hello->purpose;
    return 0;
}

static void sykli__link_identity_put(const sykli__link_core *l, sykli__wire_out *out)
{
    const sykli__link_config *c = &l->config;
    sykli__wire_put_bytes(out, c->id, 16);
    sykli__wire_put_u64(out, c->boot_id);
    sykli__wire_put_u64(out, c->session);
    sykli__wire_put_bytes(out, c->mesh_id, 32);
    sykli__wire_put_bytes(out, c->sign_key, 32);
    sykli__wire_put_u32(out, SYKLI__LINK_WINDOW_ALL);
    sykli__wire_put_u16(out, SYKLI__LINK_STREAMS_MAX);
    sykli__wire_put_text(out, c->name);
}

// `key` is what the handshake proved; over a unix socket nothing is, and the id is taken as told.
static int sykli__link_identity_get(sykli__link_core *l, sykli__wire_in *in, const uint8_t *key)
{
    sykli__link_peer *p = &l->peer;
    sykli__wire_in value;
    uint16_t type;
    sykli__wire_copy(in, p->id, 16);
    p->boot_id = sykli__wire_u64(in);
    p->session = sykli__wire_u64(in);
    sykli__wire_copy(in, p->mesh_id, 32);
    sykli__wire_copy(in, p->sign_key, 32);
    sykli__wire_u32(in);
    sykli__wire_u16(in);
    sykli__wire_text_copy(in, p->name, sizeof p->name);
    while (sykli__wire_tlv(in, &type, &value)) continue;
    if (in->bad) return sykli__link_die(l, SYKLI_EPARSE, "the peer's identity is not well formed");
    if (key) {
        uint8_t hash[32];
        sykli_sha256_of(key, 32, hash);
        memcpy(p->key, key, 32);
        if (memcmp(hash, p->id, 16))
            return sykli__link_die(l, SYKLI_EAUTH, "the peer's node id is not that of its key");
    }
    if (l->config.purpose == SYKLI__LINK_CTL && !memcmp(p->id, l->config.id, 16))
        return sykli__link_die(l, SYKLI_EEXIST, "that address is this node itself");
    if (l->config.expected && memcmp(p->id, l->config.expected, 16))
        return sykli__link_die(l, SYKLI_EAUTH, "another node answers at that address");
    return 0;
}

// One handshake message behind its length: where the cipher is plugged in.
static int sykli__link_message_put(sykli__link_core *l, int number, const uint8_t *payload,
                                   size_t size)
{
    sykli__wire_out out = sykli__link_fixed(l->first_out, sizeof l->first_out);
    out.size = l->out_size;
    const uint8_t *body = number == 1 ? l->config.token : payload;
    size_t body_size = number == 1 ? 32 : size;
    sykli__wire_put_u16(&out, (uint16_t)body_size);
    sykli__wire_put_bytes(&out, body, body_size);
    l->out = l->first_out;
    l->out_size = out.size;
    return out.error;
}

static int sykli__link_message_get(sykli__link_core *l, int number, const uint8_t *message,
                                   size_t size, sykli__wire_in *payload)
{
    *payload = sykli__wire_over(message, number == 1 ? 0 : size);
    if (number == 1 && (size != 32 || !sykli__link_same(message, l->config.token, 32)))
        return SYKLI_EAUTH;
    return 0;
}

static const uint8_t *sykli__link_proved(const sykli__link_core *l)
{
    return l->config.transport == SYKLI__LINK_NOISE ? l->config.key : NULL;
}

static size_t sykli__link_tag(const sykli__link_core *l)
{
    return l->config.transport == SYKLI__LINK_NOISE ? SYKLI__LINK_TAG : 0;
}

static int sykli__link_seal(sykli__link_core *l, uint8_t *record, size_t size)
{
    (void)l, (void)record, (void)size;
    return 0;
}

static int sykli__link_unseal(sykli__link_core *l, uint8_t *record, size_t size)
{
    (void)l, (void)record, (void)size;
    return 0;
}

static int sykli__link_session_begin(sykli__link_core *l)
{
    sykli__link_session *s =
        (sykli__link_session *)sykli_mem_resize(l->mem, SYKLI_TAG_link, NULL, 0, sizeof *s);
    if (!s) return sykli__link_die(l, SYKLI_ENOMEM, "no memory for a session");
    l->session = s;
    sykli_buf_init(&s->control, l->mem, SYKLI_TAG_link);
    s->control.max_bytes = SYKLI__LINK_CONTROL_MAX;
    s->next_id = l->config.initiator ? 1 : 2;
    s->credit = s->left = SYKLI__LINK_WINDOW_ALL;
    s->turn = SYKLI__LINK_LIVE;
    return 0;
}

static int sykli__link_first(sykli__link_core *l, const uint8_t *data, size_t size)
{
    sykli__wire_in in = sykli__wire_over(data, size), payload;
    sykli__link_hello hello;
    uint8_t mine[SYKLI__LINK_HELLO_SIZE + 1];
    if (!sykli__link_hello_get(&in, &hello) || hello.transport != l->config.transport)
        return sykli__link_die(l, SYKLI_EPARSE, "not a sykli HELLO");
    memcpy(l->peer.psk_id, hello.key_id, 8);
    size = sykli__wire_u16(&in);
    int rc = sykli__link_message_get(l, 1, in.at, size, &payload);
    if (rc) return sykli__link_die(l, rc, "the first message proves no membership");
    l->opened = true;
    rc = sykli__link_agree(l, &hello);
    sykli__wire_out out = sykli__link_fixed(mine, sizeof mine);
    sykli__link_hello_put(l, &out);
    if (sykli__link_message_put(l, 2, mine, out.size))
        return sykli__link_die(l, SYKLI_ELIMIT, "the handshake is too large");
    l->state = rc ? SYKLI__LINK_CLOSING : SYKLI__LINK_THIRD; // it learns our versions first
    return rc;
}

static int sykli__link_second(sykli__link_core *l, const uint8_t *data, size_t size)
{
    sykli__wire_in in;
    sykli__link_hello hello;
    uint8_t mine[SYKLI__LINK_FIRST_MAX / 2];
    if (sykli__link_message_get(l, 2, data, size, &in) || !sykli__link_hello_get(&in, &hello))
        return sykli__link_die(l, SYKLI_EAUTH, "the answer to the handshake is not valid");
    if (sykli__link_agree(l, &hello)) return sykli__link_drop(l, l->fault.code);
    l->peer.purpose = l->config.purpose;
    sykli__wire_out out = sykli__link_fixed(mine, sizeof mine);
    sykli__link_identity_put(l, &out);
    if (out.error || sykli__link_message_put(l, 3, mine, out.size))
        return sykli__link_die(l, SYKLI_ELIMIT, "the handshake is too large");
    l->state = SYKLI__LINK_IDENTIFY;
    return sykli__link_session_begin(l);
}

static int sykli__link_third(sykli__link_core *l, const uint8_t *data, size_t size)
{
    sykli__wire_in in;
    if (sykli__link_message_get(l, 3, data, size, &in))
        return sykli__link_die(l, SYKLI_EAUTH, "the handshake was tampered with");
    int rc = sykli__link_identity_get(l, &in, sykli__link_proved(l));
    if (!rc) rc = sykli__link_session_begin(l);
    if (rc) return rc;
    l->state = SYKLI__LINK_UP;
    l->want_identity = true;
    return 0;
}

// How many bytes the current handshake message needs, given those that are there.
static size_t sykli__link_first_need(const sykli__link_core *l)
{
    size_t head = l->state == SYKLI__LINK_FIRST ? SYKLI__LINK_HELLO_SIZE : 0;
    if (l->in_size < head + 2) return head + 2;
    return head + 2 + ((size_t)l->first_in[head] << 8 | l->first_in[head + 1]);
}

static size_t sykli__link_first_bytes(sykli__link_core *l, const uint8_t *data, size_t size)
{
    size_t need = sykli__link_first_need(l), take = sykli__link_least(size, need - l->in_size);
    memcpy(l->first_in + l->in_size, data, take);
    l->in_size += take;
    need = sykli__link_first_need(l);
    if (need > sizeof l->first_in) sykli__link_die(l, SYKLI_ELIMIT, "the handshake is too large");
    if (l->state == SYKLI__LINK_DOWN || l->in_size < need) return take;
    l->in_size = 0;
    if (l->state == SYKLI__LINK_FIRST) sykli__link_first(l, l->first_in, need);
    else if (l->state == SYKLI__LINK_SECOND) sykli__link_second(l, l->first_in + 2, need - 2);
    else sykli__link_third(l, l->first_in + 2, need - 2);
    return take;
}

// ---- streams

static sykli__link_stream *sykli__link_find(const sykli__link_core *l, uint32_t id)
{
    const sykli__link_session *s = l->session;
    for (size_t i = 0; s && i < s->stream_count; i++)
        if (s->streams[i]->id == id) return s->streams[i];
    return NULL;
}

static uint32_t sykli__link_window(int priority)
{
    return priority == SYKLI__LINK_HEAP ? SYKLI__LINK_WINDOW_BULK : SYKLI__LINK_WINDOW;
}

static sykli__link_stream *sykli__link_stream_add(sykli__link_core *l, uint32_t id, bool here)
{
    sykli__link_session *s = l->session;
    if (s->stream_count == s->stream_capacity) {
        size_t fresh = s->stream_capacity ? 2 * s->stream_capacity : 8;
        void *grown = sykli_mem_resize(l->mem, SYKLI_TAG_link, s->streams,
                                       s->stream_capacity * sizeof *s->streams,
                                       fresh * sizeof *s->streams);
        if (!grown) return NULL;
        s->streams = (sykli__link_stream **)grown;
        s->stream_capacity = fresh;
    }
    sykli__link_stream *t = (sykli__link_stream *)sykli_mem_resize(l->mem, SYKLI_TAG_link, NULL, 0,
                                                                   sizeof *t);
    if (!t) return NULL;
    t->id = id;
    t->here = here;
    sykli_buf_init(&t->out, l->mem, SYKLI_TAG_link);
    sykli_buf_init(&t->opening, l->mem, SYKLI_TAG_link);
    s->streams[s->stream_count++] = t;
    s->opened[here]++;
    return t;
}

static void sykli__link_opening_free(sykli__link_core *l, sykli__link_stream *t)
{
    l->session->opening_bytes -= t->opening_total;
    t->opening_total = 0;
    sykli_buf_free(&t->opening);
}

static void sykli__link_stream_free(sykli__link_core *l, sykli__link_stream *t)
{
    sykli__link_session *s = l->session;
    size_t i = 0;
    while (s->streams[i] != t) i++;
    memmove(s->streams + i, s->streams + i + 1, (--s->stream_count - i) * sizeof *s->streams);
    if (s->turn_stream > i) s->turn_stream--;
    s->opened[t->here]--;
    s->give += t->held;
    s->buffered -= t->out.size - t->out_at;
    sykli__link_opening_free(l, t);
    sykli_buf_free(&t->out);
    sykli_mem_text_free(l->mem, SYKLI_TAG_link, t->end_text);
    sykli_mem_resize(l->mem, SYKLI_TAG_link, t, sizeof *t, 0);
}

static bool sykli__link_was_there(const sykli__link_core *l, uint32_t id)
{
    const sykli__link_session *s = l->session;
    bool own = (id & 1) == (s->next_id & 1);
    return id && (own ? id < s->next_id : id <= s->peer_id);
}

static void sykli__link_frame_put(sykli__wire_out *out, sykli__link_frame type, size_t size,
                                  uint32_t stream)
{
    sykli__wire_put_u8(out, (uint8_t)type);
    sykli__wire_put_u8(out, type == SYKLI__LINK_FACT ? SYKLI__LINK_SKIPPABLE : 0);
    sykli__wire_put_u16(out, (uint16_t)size);
    sykli__wire_put_u32(out, stream);
}

static int sykli__link_reset_put(sykli__link_core *l, uint32_t id, int code)
{
    sykli_buf *out = &l->session->control;
    if (!sykli_buf_grow(out, SYKLI__LINK_FRAME + 5)) { // all or nothing
        out->error = 0;
        return sykli__link_close(l, SYKLI_ENOMEM, "no memory for a reset");
    }
    sykli__link_frame_put(out, SYKLI__LINK_RESET, 4, id);
    sykli__wire_put_u32(out, (uint32_t)code);
    return 0;
}

// ---- the open message: fixed fields, four texts with a NUL each, a tail for later

static void sykli__link_open_text(sykli__wire_out *out, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    sykli__wire_put_u32(out, (uint32_t)size);
    sykli__wire_put_bytes(out, text, size);
    sykli__wire_put_u8(out, 0);
}

static void sykli__link_open_put(sykli__wire_out *out, const sykli__link_open_message *m)
{
    sykli__wire_put_u8(out, m->verb);
    sykli__wire_put_u8(out, m->priority);
    sykli__wire_put_u8(out, m->role);
    sykli__wire_put_u16(out, m->version);
    sykli__wire_put_u32(out, m->op);
    sykli__wire_put_u32(out, m->deadline_ms);
    sykli__wire_put_bytes(out, m->idempotency, 16);
    sykli__wire_put_bytes(out, m->trace, 16);
    sykli__wire_put_bytes(out, m->span, 8);
    sykli__link_open_text(out, m->origin);
    sykli__link_open_text(out, m->node);
    sykli__link_open_text(out, m->what);
    sykli__link_open_text(out, m->args);
}

static const char *sykli__link_open_text_get(sykli__wire_in *in, size_t max)
{
    size_t size = sykli__wire_u32(in);
    const char *text = (const char *)(size > max ? NULL : sykli__wire_take(in, size));
    if (!text || memchr(text, 0, size) || !sykli_utf8_valid(text, size) || sykli__wire_u8(in))
        sykli__wire_spoil(in);
    return in->bad ? "" : text;
}

static bool sykli__link_open_get(const sykli_buf *from, sykli__link_open_message *m)
{
    sykli__wire_in in = sykli__wire_over(from->data, from->size), value;
    uint16_t type;
    m->verb = sykli__wire_u8(&in);
    m->priority = sykli__wire_u8(&in);
    m->role = sykli__wire_u8(&in);
    m->version = sykli__wire_u16(&in);
    m->op = sykli__wire_u32(&in);
    m->deadline_ms = sykli__wire_u32(&in);
    sykli__wire_copy(&in, m->idempotency, 16);
    sykli__wire_copy(&in, m->trace, 16);
    sykli__wire_copy(&in, m->span, 8);
    m->origin = sykli__link_open_text_get(&in, 256);
    m->node = sykli__link_open_text_get(&in, SYKLI_NODE_NAME_MAX);
    m->what = sykli__link_open_text_get(&in, SYKLI_QUERY_MAX);
    m->args = sykli__link_open_text_get(&in, SYKLI_ARGS_MAX);
    while (sykli__wire_tlv(&in, &type, &value)) continue;
    return !in.bad && m->priority < SYKLI__LINK_CLASSES;
}

// ---- frames in: each handler returns 1 when `ev` is an event, 0 when not, or has ended the link

static bool sykli__link_allow(sykli__link_core *l, sykli__link_rate kind)
{
    sykli__link_bucket *b = &l->session->buckets[kind];
    uint64_t full = (uint64_t)sykli__link_rates[kind].burst * 1000;
    uint64_t passed = sykli__link_least(l->now_ms - b->at_ms, 3600000);
    uint64_t spent = b->milli;
    uint64_t back = passed * sykli__link_rates[kind].rate;
    spent = (spent > back ? spent - back : 0) + 1000;
    b->at_ms = l->now_ms;
    b->milli = (uint32_t)sykli__link_least(spent, full);
    if (spent <= full) return true;
    sykli_fault why;
    sykli_fail(&why, SYKLI_ELIMIT, "more than %u %s frames a second",
               (unsigned)sykli__link_rates[kind].rate, sykli__link_rates[kind].name);
    sykli__link_close(l, SYKLI_ELIMIT, why.text);
    return false;
}

static int sykli__link_bad(sykli__link_core *l, const char *why)
{
    sykli__link_close(l, SYKLI_EPARSE, why);
    return 0;
}

static int sykli__link_on_data(sykli__link_core *l, uint32_t id, sykli__wire_in *in,
                               sykli__link_ev *ev)
{
    sykli__link_session *s = l->session;
    sykli__link_stream *t = sykli__link_find(l, id);
    if (!in->left && !sykli__link_allow(l, SYKLI__LINK_RATE_EMPTY)) return 0;
    if (in->left > s->left || (t && in->left > t->left))
        return sykli__link_bad(l, "more data than credit");
    s->left -= (uint32_t)in->left;
    if (!t || t->deaf || t->opening_total) {
        if (t || !sykli__link_was_there(l, id)) return sykli__link_bad(l, "data outside a stream");
        s->give += (uint32_t)in->left;
        return 0;
    }
    t->left -= (uint32_t)in->left;
    t->held += (uint32_t)in->left;
    ev->kind = SYKLI__LINK_EV_DATA;
    ev->data = in->at;
    ev->size = in->left;
    return ev->size > 0;
}

static int sykli__link_open_done(sykli__link_core *l, sykli__link_stream *t, sykli__link_ev *ev)
{
    if (!sykli__link_open_get(&t->opening, &ev->open))
        return sykli__link_bad(l, "an OPEN that is not well formed");
    t->priority = ev->open.priority;
    t->credit = t->left = sykli__link_window(t->priority);
    l->opened_stream = t->id;
    ev->kind = SYKLI__LINK_EV_OPENED;
    return 1;
}

// Adds what a frame brings of an open message.
static int sykli__link_on_more(sykli__link_core *l, sykli__link_stream *t, sykli__wire_in *in,
                               sykli__link_ev *ev)
{
    if (!in->left || in->left > t->opening_total - t->opening.size)
        return sykli__link_bad(l, "an OPEN longer than it said");
    if (sykli_buf_add(&t->opening, in->at, in->left)) {
        uint32_t id = t->id;
        sykli__link_stream_free(l, t);
        sykli__link_reset_put(l, id, SYKLI_ENOMEM);
        return 0;
    }
    return t->opening.size == t->opening_total ? sykli__link_open_done(l, t, ev) : 0;
}

static int sykli__link_on_open(sykli__link_core *l, uint32_t id, sykli__wire_in *in,
                               sykli__link_ev *ev)
{
    sykli__link_session *s = l->session;
    uint32_t total = sykli__wire_u32(in);
    // Classes overtake each other, so ids need not rise.
    if (in->bad || !total || total > SYKLI__LINK_OPEN_MAX || !id || (id & 1) == (s->next_id & 1)
        || sykli__link_find(l, id))
        return sykli__link_bad(l, "an OPEN that is not well formed");
    if (!sykli__link_allow(l, SYKLI__LINK_RATE_OPEN)) return 0;
    if (id > s->peer_id) s->peer_id = id;
    bool fits = s->opened[0] < SYKLI__LINK_STREAMS_MAX
                && s->opening_bytes + total <= SYKLI__LINK_OPENING_MAX;
    sykli__link_stream *t = fits ? sykli__link_stream_add(l, id, false) : NULL;
    if (!t) {
        sykli__link_reset_put(l, id, fits ? SYKLI_ENOMEM : SYKLI_ELIMIT);
        return 0;
    }
    t->opening_total = total;
    s->opening_bytes += total;
    return sykli__link_on_more(l, t, in, ev);
}

static int sykli__link_on_end(sykli__link_core *l, sykli__link_stream *t, sykli__wire_in *in,
                              sykli__link_ev *ev, bool reset)
{
    ev->code = (int)(int32_t)sykli__wire_u32(in);
    size_t size = in->left;
    if (in->bad || size > SYKLI__LINK_TEXT_MAX || ev->code > 0 || t->opening_total
        || (!reset && t->deaf) || !sykli_utf8_valid((const char *)in->at, size))
        return sykli__link_bad(l, "an END that is not well formed");
    // The text is moved over the frame's header, so that there is room for its NUL.
    char *text = (char *)l->session->in + (in->at - l->session->in) - SYKLI__LINK_FRAME;
    memmove(text, in->at, size);
    text[size] = 0;
    ev->text = text;
    ev->kind = SYKLI__LINK_EV_ENDED;
    ev->last = reset || t->here; // the side that answers ends the stream, the other only its input
    t->deaf = true;
    if (ev->last) sykli__link_stream_free(l, t);
    return 1;
}

static int sykli__link_on_window(sykli__link_core *l, uint32_t id, sykli__wire_in *in)
{
    uint32_t more = sykli__wire_u32(in);
    sykli__link_stream *t = id ? sykli__link_find(l, id) : NULL;
    uint32_t *credit = id ? t ? &t->credit : NULL : &l->session->credit;
    uint32_t max = id ? t ? sykli__link_window(t->priority) : 0 : SYKLI__LINK_WINDOW_ALL;
    if (in->bad || in->left || !more) return sykli__link_bad(l, "a WINDOW that is not well formed");
    if (!credit && !sykli__link_was_there(l, id))
        return sykli__link_bad(l, "a WINDOW of no stream");
    if (credit && more > max - *credit) return sykli__link_bad(l, "more credit than the window");
    if (credit) *credit += more;
    return 0;
}

static int sykli__link_on_ping(sykli__link_core *l, sykli__wire_in *in, sykli__link_ev *ev,
                               bool pong)
{
    uint64_t token = sykli__wire_u64(in);
    if (!sykli__link_allow(l, SYKLI__LINK_RATE_PING)) return 0;
    if (in->bad || in->left > SYKLI__LINK_PING_MAX) return sykli__link_bad(l, "a PING too large");
    if (pong && token != l->ping_token) return 0;
    ev->kind = pong ? SYKLI__LINK_EV_PONG : SYKLI__LINK_EV_PING;
    ev->data = in->at;
    ev->size = in->left;
    if (pong) ev->rtt_ms = l->rtt_ms = (uint32_t)(l->now_ms - token);
    else {
        l->pong_token = token;
        l->want_pong = true;
    }
    return 1;
}

static int sykli__link_on_goaway(sykli__link_core *l, sykli__wire_in *in)
{
    int code = (int)(int32_t)sykli__wire_u32(in);
    size_t size = sykli__link_least(in->left, SYKLI__LINK_TEXT_MAX);
    if (l->state != SYKLI__LINK_UP) return 0;
    if (!sykli_utf8_valid((const char *)in->at, size)) size = 0;
    sykli_fail(&l->fault, in->bad || code >= 0 ? SYKLI_ECLOSED : code, "the peer ended it: %.*s",
               (int)size, (const char *)in->at);
    sykli__link_drop(l, 0);
    return 0;
}

// Frames of a stream that must exist, or have existed.
static int sykli__link_on_stream(sykli__link_core *l, sykli__link_frame type, uint32_t id,
                                 sykli__wire_in *in, sykli__link_ev *ev)
{
    sykli__link_stream *t = sykli__link_find(l, id);
    if (type == SYKLI__LINK_RESET && !sykli__link_allow(l, SYKLI__LINK_RATE_RESET)) return 0;
    if (!t) {
        if (sykli__link_was_there(l, id)) return 0;
        return sykli__link_bad(l, "a frame of no stream");
    }
    if (type == SYKLI__LINK_MORE) {
        if (t->opening_total) return sykli__link_on_more(l, t, in, ev);
        return sykli__link_bad(l, "an OPEN longer than it said");
    }
    if (type == SYKLI__LINK_RESET && t->opening_total) { // nobody has heard of it yet
        sykli__link_stream_free(l, t);
        return 0;
    }
    return sykli__link_on_end(l, t, in, ev, type == SYKLI__LINK_RESET);
}

static int sykli__link_on_identity(sykli__link_core *l, sykli__wire_in *in)
{
    if (l->state != SYKLI__LINK_IDENTIFY) return sykli__link_bad(l, "a second identity");
    if (sykli__link_identity_get(l, in, sykli__link_proved(l))) return 0;
    l->state = SYKLI__LINK_UP;
    return 0;
}

static int sykli__link_on_frame(sykli__link_core *l, sykli__link_frame type, int flags, uint32_t id,
                                sykli__wire_in *in, sykli__link_ev *ev)
{
    if (flags & SYKLI__LINK_EXT) sykli__wire_take(in, sykli__wire_u8(in));
    if (in->bad) return sykli__link_bad(l, "a frame that is not well formed");
    if (l->state == SYKLI__LINK_IDENTIFY && type != SYKLI__LINK_IDENTITY) {
        sykli__link_die(l, SYKLI_EPARSE, "a frame before the identity");
        return 0;
    }
    ev->stream = id;
    switch (type) {
    case SYKLI__LINK_DATA: return sykli__link_on_data(l, id, in, ev);
    case SYKLI__LINK_OPEN: return sykli__link_on_open(l, id, in, ev);
    case SYKLI__LINK_WINDOW_FRAME: return sykli__link_on_window(l, id, in);
    case SYKLI__LINK_MORE:
    case SYKLI__LINK_END:
    case SYKLI__LINK_RESET: return sykli__link_on_stream(l, type, id, in, ev);
    case SYKLI__LINK_PING:
    case SYKLI__LINK_PONG: return sykli__link_on_ping(l, in, ev, type == SYKLI__LINK_PONG);
    case SYKLI__LINK_GOAWAY: return sykli__link_on_goaway(l, in);
    case SYKLI__LINK_IDENTITY: return sykli__link_on_identity(l, in);
    case SYKLI__LINK_FACT:
        if (in->left > SYKLI__LINK_FACT_MAX) return sykli__link_bad(l, "a FACT too large");
        ev->kind = SYKLI__LINK_EV_FACT;
        ev->data = in->at;
        ev->size = in->left;
        return 1;
    }
    if (flags & SYKLI__LINK_SKIPPABLE) return 0;
    sykli_fault why;
    sykli_fail(&why, SYKLI_EUNSUPPORTED, "frame type %d is not known here", (int)type);
    sykli__link_close(l, SYKLI_EUNSUPPORTED, why.text);
    return 0;
}

// Walks the frames of the current record up to one that is an event.
static bool sykli__link_walk(sykli__link_core *l, sykli__link_ev *ev)
{
    while (l->record_at < l->record_size) {
        sykli__wire_in in = sykli__wire_over(l->session->in + l->record_at,
                                             l->record_size - l->record_at);
        int type = sykli__wire_u8(&in), flags = sykli__wire_u8(&in);
        size_t size = sykli__wire_u16(&in);
        uint32_t id = sykli__wire_u32(&in);
        const uint8_t *body = sykli__wire_take(&in, size);
        if (!body) return sykli__link_bad(l, "a frame longer than its record");
        sykli__wire_in frame = sykli__wire_over(body, size);
        l->record_at += SYKLI__LINK_FRAME + size;
        memset(ev, 0, sizeof *ev);
        if (sykli__link_on_frame(l, (sykli__link_frame)type, flags, id, &frame, ev)) return true;
    }
    return false;
}

static size_t sykli__link_record_bytes(sykli__link_core *l, const uint8_t *data, size_t size)
{
    uint8_t *in = l->session->in;
    size_t need = 2;
    if (l->in_size >= 2) need += (size_t)(in[0] & 0x7f) << 8 | in[1];
    size_t take = sykli__link_least(size, need - l->in_size);
    memcpy(in + l->in_size, data, take);
    l->in_size += take;
    if (l->in_size < 2) return take;
    need = 2 + ((size_t)(in[0] & 0x7f) << 8 | in[1]);
    size_t tag = sykli__link_tag(l);
    if ((in[0] & 0x80) || need > 2 + SYKLI__LINK_RECORD_MAX + tag || need < 2 + tag)
        sykli__link_close(l, SYKLI_ELIMIT, "a record of a size that is not allowed");
    else if (l->in_size == need) {
        l->in_size = 0;
        l->heard_ms = l->now_ms;
        if (sykli__link_unseal(l, in, need))
            sykli__link_close(l, SYKLI_ECORRUPT, "a record was damaged on its way");
        else {
            l->record_at = 2;
            l->record_size = need - tag;
        }
    }
    return take;
}

// ---- frames out

static void sykli__link_put_end(sykli__wire_out *out, sykli__link_stream *t)
{
    size_t size = t->end_text ? strlen(t->end_text) : 0;
    sykli__link_frame_put(out, SYKLI__LINK_END, 4 + size, t->id);
    sykli__wire_put_u32(out, (uint32_t)t->end_code);
    sykli__wire_put_bytes(out, t->end_text, size);
    t->end = false;
}

static bool sykli__link_ready(const sykli__link_core *l, const sykli__link_stream *t)
{
    size_t data = t->out.size - t->out_at - t->open_left;
    if (t->open_left) return true;
    return data ? t->credit && l->session->credit : t->end;
}

// Puts one frame of the stream, at most `limit` bytes of it.
//   returns  bytes put; 0: no room.  The stream may be gone.
static size_t sykli__link_put_stream(sykli__link_core *l, sykli__wire_out *out,
                                     sykli__link_stream *t, size_t limit)
{
    sykli__link_session *s = l->session;
    size_t before = out->size, room = out->max_bytes - 1 - out->size;
    size_t waiting = t->out.size - t->out_at;
    if (!waiting) {
        size_t text = t->end_text ? strlen(t->end_text) : 0;
        if (room < SYKLI__LINK_FRAME + 4 + text) return 0;
        sykli__link_put_end(out, t);
        if (!t->here) sykli__link_stream_free(l, t);
        return out->size - before;
    }
    bool first = t->open_left && !t->open_begun;
    size_t head = SYKLI__LINK_FRAME + (first ? 4 : 0);
    if (room < head + 1) return 0;
    size_t size = sykli__link_least(room - head, limit > head ? limit - head : 1);
    if (t->open_left) size = sykli__link_least(size, t->open_left);
    else size = sykli__link_least(sykli__link_least(size, waiting),
                                  sykli__link_least(t->credit, s->credit));
    sykli__link_frame_put(out, first ? SYKLI__LINK_OPEN : t->open_left ? SYKLI__LINK_MORE
                                                                       : SYKLI__LINK_DATA,
                          head - SYKLI__LINK_FRAME + size, t->id);
    if (first) sykli__wire_put_u32(out, (uint32_t)t->open_left);
    sykli__wire_put_bytes(out, t->out.data + t->out_at, size);
    if (t->open_left) {
        t->open_begun = true;
        t->open_left -= size;
    } else {
        t->credit -= (uint32_t)size;
        s->credit -= (uint32_t)size;
    }
    t->out_at += size;
    s->buffered -= size;
    if (t->out_at == t->out.size) t->out_at = t->out.size = 0;
    return out->size - before;
}

// The next stream of a class that has something to say, in turn.
static sykli__link_stream *sykli__link_next(sykli__link_core *l, int priority)
{
    sykli__link_session *s = l->session;
    for (size_t i = 0; i < s->stream_count; i++) {
        size_t at = (s->turn_stream + i) % s->stream_count;
        if (s->streams[at]->priority != priority || !sykli__link_ready(l, s->streams[at])) continue;
        s->turn_stream = at + 1;
        return s->streams[at];
    }
    return NULL;
}

// Deficit round robin (Shreedhar, Varghese 1995) over the classes, by bytes.
static void sykli__link_put_streams(sykli__link_core *l, sykli__wire_out *out)
{
    static const uint32_t quantum[SYKLI__LINK_CLASSES] = { 0, 8 * 4096, 4 * 4096, 4096 };
    sykli__link_session *s = l->session;
    sykli__link_stream *t;
    while ((t = sykli__link_next(l, SYKLI__LINK_URGENT)) != NULL)
        if (!sykli__link_put_stream(l, out, t, SIZE_MAX)) return;
    for (int idle = 0; idle < 3;) {
        t = sykli__link_next(l, s->turn);
        if (t && !s->deficit[s->turn]) s->deficit[s->turn] = quantum[s->turn];
        size_t put = t ? sykli__link_put_stream(l, out, t, s->deficit[s->turn]) : 0;
        if (t && !put) return;
        idle = t ? 0 : idle + 1;
        s->deficit[s->turn] -= t ? (uint32_t)sykli__link_least(put, s->deficit[s->turn]) : 0;
        if (t && s->deficit[s->turn]) continue;
        if (!t) s->deficit[s->turn] = 0;
        s->turn = s->turn == SYKLI__LINK_HEAP ? SYKLI__LINK_LIVE : s->turn + 1;
    }
}

static void sykli__link_put_ping(sykli__link_core *l, sykli__wire_out *out, sykli__link_frame type,
                                 uint64_t token)
{
    sykli__link_frame_put(out, type, 8 + l->ping_size, 0);
    sykli__wire_put_u64(out, token);
    sykli__wire_put_bytes(out, l->ping_data, l->ping_size);
}

static void sykli__link_put_windows(sykli__link_core *l, sykli__wire_out *out)
{
    sykli__link_session *s = l->session;
    for (size_t i = 0; i <= s->stream_count; i++) {
        sykli__link_stream *t = i ? s->streams[i - 1] : NULL;
        uint32_t *give = t ? &t->give : &s->give, *left = t ? &t->left : &s->left;
        uint32_t step = (t ? sykli__link_window(t->priority) : SYKLI__LINK_WINDOW_ALL) / 4;
        if (*give < step || (t && t->deaf)) continue;
        if (out->max_bytes - 1 - out->size < SYKLI__LINK_FRAME + 4) return;
        sykli__link_frame_put(out, SYKLI__LINK_WINDOW_FRAME, 4, t ? t->id : 0);
        sykli__wire_put_u32(out, *give);
        *left += *give;
        *give = 0;
    }
}

// Whole frames of the control queue, as many as fit.
static void sykli__link_put_control(sykli__link_core *l, sykli__wire_out *out)
{
    sykli__link_session *s = l->session;
    while (s->control_at < s->control.size) {
        const uint8_t *frame = s->control.data + s->control_at;
        size_t size = SYKLI__LINK_FRAME + ((size_t)frame[2] << 8 | frame[3]);
        if (out->max_bytes - 1 - out->size < size) return;
        sykli__wire_put_bytes(out, frame, size);
        s->control_at += size;
    }
    s->control_at = s->control.size = 0;
}

static void sykli__link_put_identity(sykli__link_core *l, sykli__wire_out *out)
{
    uint8_t body[SYKLI__LINK_FIRST_MAX / 2];
    sykli__wire_out identity = sykli__link_fixed(body, sizeof body);
    sykli__link_identity_put(l, &identity);
    sykli__link_frame_put(out, SYKLI__LINK_IDENTITY, identity.size, 0);
    sykli__wire_put_bytes(out, body, identity.size);
    l->want_identity = false;
}

static void sykli__link_put_goaway(sykli__link_core *l, sykli__wire_out *out)
{
    size_t size = sykli__link_least(strlen(l->fault.text), SYKLI__LINK_TEXT_MAX);
    sykli__link_frame_put(out, SYKLI__LINK_GOAWAY, 4 + size, 0);
    sykli__wire_put_u32(out, (uint32_t)l->fault.code);
    sykli__wire_put_bytes(out, l->fault.text, size);
    l->want_goaway = false;
}

// Composes and seals the next record; what is urgent goes first.
static void sykli__link_compose(sykli__link_core *l)
{
    sykli__link_session *s = l->session;
    sykli__wire_out out = sykli__link_fixed(s->out, 2 + SYKLI__LINK_RECORD_MAX + 1);
    out.size = 2;
    if (l->want_identity) sykli__link_put_identity(l, &out);
    if (l->want_goaway) sykli__link_put_goaway(l, &out);
    if (l->state == SYKLI__LINK_UP) {
        if (l->want_ping) sykli__link_put_ping(l, &out, SYKLI__LINK_PING, l->ping_token);
        if (l->want_pong) sykli__link_put_ping(l, &out, SYKLI__LINK_PONG, l->pong_token);
        l->want_ping = l->want_pong = false;
        sykli__link_put_control(l, &out);
        sykli__link_put_windows(l, &out);
        sykli__link_put_streams(l, &out);
    }
    if (out.size == 2) return;
    size_t size = out.size - 2 + sykli__link_tag(l);
    s->out[0] = (uint8_t)(size >> 8);
    s->out[1] = (uint8_t)size;
    if (sykli__link_seal(l, s->out, size + 2)) {
        sykli__link_die(l, SYKLI_ELIMIT, "the session's keys are used up");
        return;
    }
    l->out = s->out;
    l->out_size = size + 2;
    l->progress_ms = l->now_ms;
}

// ---- what the sections below call

static void sykli__link_free(sykli__link_core *l)
{
    sykli__link_session *s = l->session;
    if (s) {
        while (s->stream_count) sykli__link_stream_free(l, s->streams[s->stream_count - 1]);
        sykli_mem_resize(l->mem, SYKLI_TAG_link, s->streams,
                         s->stream_capacity * sizeof *s->streams, 0);
        sykli_buf_free(&s->control);
        memset(s, 0, sizeof *s);
        sykli_mem_resize(l->mem, SYKLI_TAG_link, s, sizeof *s, 0);
    }
    memset(l, 0, sizeof *l);
    l->state = SYKLI__LINK_DOWN;
}

// Begins a session. The dialler has its first bytes ready at once.
static int sykli__link_init(sykli__link_core *l, sykli_mem *mem, const sykli__link_config *config,
                            uint64_t now_ms)
{
    memset(l, 0, sizeof *l);
    l->mem = mem;
    l->config = *config;
    if (!l->config.version_max) l->config.version_min = l->config.version_max = 1;
    l->now_ms = l->since_ms = l->heard_ms = l->progress_ms = now_ms;
    if (!config->initiator) return 0;
    l->state = SYKLI__LINK_SECOND;
    sykli__wire_out out = sykli__link_fixed(l->first_out, sizeof l->first_out);
    sykli__link_hello_put(l, &out);
    l->out_size = out.size;
    return sykli__link_message_put(l, 1, NULL, 0);
}

// Takes received bytes.    returns  how many: fewer than `size` while events wait to be pulled
static size_t sykli__link_bytes(sykli__link_core *l, uint64_t now_ms, const uint8_t *data,
                                size_t size)
{
    size_t used = 0;
    l->now_ms = now_ms;
    while (used < size && l->record_at == l->record_size) {
        if (l->state >= SYKLI__LINK_CLOSING) return size;
        used += l->state < SYKLI__LINK_IDENTIFY
                    ? sykli__link_first_bytes(l, data + used, size - used)
                    : sykli__link_record_bytes(l, data + used, size - used);
    }
    l->bytes_in += used;
    return used;
}

// What to write to the socket; after `sent` there may be more.
static size_t sykli__link_output(sykli__link_core *l, uint64_t now_ms, const uint8_t **data)
{
    l->now_ms = now_ms;
    if (l->out_at == l->out_size && l->session && l->state >= SYKLI__LINK_UP
        && l->state < SYKLI__LINK_DOWN) {
        l->out_at = l->out_size = 0;
        sykli__link_compose(l);
    }
    *data = l->out ? l->out + l->out_at : NULL;
    return l->out_size - l->out_at;
}

static void sykli__link_sent(sykli__link_core *l, uint64_t now_ms, size_t size)
{
    assert(size <= l->out_size - l->out_at);
    l->out_at += size;
    l->bytes_out += size;
    l->progress_ms = now_ms;
    if (l->out_at == l->out_size) l->out_at = l->out_size = 0;
}

// Whether the socket can be closed: nothing more will be written.
static bool sykli__link_finished(const sykli__link_core *l)
{
    return l->state == SYKLI__LINK_DOWN
           || (l->state == SYKLI__LINK_CLOSING && !l->want_goaway && l->out_at == l->out_size);
}

// When `tick` is next due; UINT64_MAX: never.
static uint64_t sykli__link_deadline(const sykli__link_core *l)
{
    if (l->state < SYKLI__LINK_UP) return l->since_ms + SYKLI__LINK_HANDSHAKE_MS;
    if (l->state == SYKLI__LINK_CLOSING) return l->since_ms + SYKLI__LINK_CLOSING_MS;
    if (l->state == SYKLI__LINK_DOWN || l->config.transport == SYKLI__LINK_CLEAR) return UINT64_MAX;
    uint64_t due = l->heard_ms + SYKLI__LINK_IDLE_MS;
    if (l->out_size) due = sykli__link_least(due, l->progress_ms + SYKLI__LINK_STALL_MS);
    uint64_t quiet = l->heard_ms > l->ping_token ? l->heard_ms : l->ping_token;
    return sykli__link_least(due, quiet + SYKLI__LINK_KEEPALIVE_MS);
}

static void sykli__link_ping(sykli__link_core *l, uint64_t now_ms)
{
    l->ping_token = now_ms;
    l->want_ping = l->state == SYKLI__LINK_UP;
}

static void sykli__link_tick(sykli__link_core *l, uint64_t now_ms)
{
    l->now_ms = now_ms;
    if (now_ms < sykli__link_deadline(l)) return;
    if (l->state < SYKLI__LINK_UP)
        sykli__link_die(l, SYKLI_ETIMEOUT, "the handshake took longer than 5 s");
    else if (l->state == SYKLI__LINK_CLOSING) sykli__link_drop(l, 0);
    else if (l->out_size && now_ms - l->progress_ms >= SYKLI__LINK_STALL_MS)
        sykli__link_die(l, SYKLI_ETIMEOUT, "nothing could be sent for 10 s");
    else if (now_ms - l->heard_ms >= SYKLI__LINK_IDLE_MS)
        sykli__link_die(l, SYKLI_ETIMEOUT, "nothing was received for 15 s");
    else sykli__link_ping(l, now_ms);
}

// What rides in our PING and PONG from now on.
static void sykli__link_ping_set(sykli__link_core *l, const void *data, size_t size)
{
    assert(size <= sizeof l->ping_data);
    memcpy(l->ping_data, data, size);
    l->ping_size = size;
}

// Room in a stream's buffer and in the session's.
static size_t sykli__link_room(const sykli__link_core *l, const sykli__link_stream *t)
{
    const sykli__link_session *s = l->session;
    size_t used = t->out.size - t->out_at, max = sykli__link_window(t->priority);
    size_t all = s->buffered < SYKLI__LINK_BUFFER_ALL ? SYKLI__LINK_BUFFER_ALL - s->buffered : 0;
    return used < max ? sykli__link_least(max - used, all) : 0;
}

// The streams of a link that ended, then the end itself.
static bool sykli__link_event_down(sykli__link_core *l, sykli__link_ev *ev)
{
    sykli__link_session *s = l->session;
    ev->code = l->fault.code;
    ev->text = l->fault.text;
    while (s && s->stream_count) {
        sykli__link_stream *t = s->streams[s->stream_count - 1];
        bool known = !t->opening_total;
        ev->kind = SYKLI__LINK_EV_ENDED;
        ev->code = SYKLI_ECLOSED;
        ev->stream = t->id;
        ev->last = true;
        sykli__link_stream_free(l, t);
        if (known) return true;
    }
    ev->kind = SYKLI__LINK_EV_DOWN;
    ev->code = l->fault.code;
    if (l->told_down) return false;
    return l->told_down = true;
}

// Pulls the next event.
static bool sykli__link_event(sykli__link_core *l, sykli__link_ev *ev)
{
    sykli__link_session *s = l->session;
    memset(ev, 0, sizeof *ev);
    sykli__link_stream *lent = l->opened_stream ? sykli__link_find(l, l->opened_stream) : NULL;
    if (lent) sykli__link_opening_free(l, lent);
    l->opened_stream = 0;
    if (l->state == SYKLI__LINK_UP && !l->told_up) {
        ev->kind = SYKLI__LINK_EV_UP;
        return l->told_up = true;
    }
    if (sykli__link_walk(l, ev)) return true;
    if (l->state == SYKLI__LINK_UP && !l->told_up) return sykli__link_event(l, ev);
    memset(ev, 0, sizeof *ev);
    if (l->state >= SYKLI__LINK_CLOSING) return sykli__link_event_down(l, ev);
    for (size_t i = 0; s && i < s->stream_count; i++) {
        sykli__link_stream *t = s->streams[i];
        size_t enough = sykli__link_window(t->priority) / 2;
        if (!t->short_write || sykli__link_room(l, t) < enough) continue;
        t->short_write = false;
        ev->kind = SYKLI__LINK_EV_WRITABLE;
        ev->stream = t->id;
        return true;
    }
    return false;
}

// Opens a stream.    returns  0, ECLOSED, ELIMIT (streams, or the size of the message), ENOMEM,
//                             EBUSY: too many in a second, try again in 10 ms
static int sykli__link_open(sykli__link_core *l, const sykli__link_open_message *m,
                            uint32_t *stream)
{
    sykli__link_session *s = l->session;
    if (l->state != SYKLI__LINK_UP) return SYKLI_ECLOSED;
    if (s->opened[1] >= SYKLI__LINK_STREAMS_MAX || s->next_id > UINT32_MAX - 2) return SYKLI_ELIMIT;
    if (l->now_ms - s->open_bucket.at_ms >= 1000) {
        s->open_bucket.at_ms = l->now_ms;
        s->open_bucket.milli = 0;
    }
    if (s->open_bucket.milli >= sykli__link_rates[SYKLI__LINK_RATE_OPEN].rate) return SYKLI_EBUSY;
    sykli__link_stream *t = sykli__link_stream_add(l, s->next_id, true);
    if (!t) return SYKLI_ENOMEM;
    sykli__link_open_put(&t->out, m);
    int error = t->out.size > SYKLI__LINK_OPEN_MAX ? SYKLI_ELIMIT : t->out.error;
    s->buffered += t->out.size;
    if (error) {
        sykli__link_stream_free(l, t);
        return error;
    }
    t->open_left = t->out.size;
    t->priority = m->priority;
    t->credit = t->left = sykli__link_window(t->priority);
    s->open_bucket.milli++;
    *stream = s->next_id;
    s->next_id += 2;
    return 0;
}

// Buffers data of a stream.    returns  bytes taken, fewer than `size` announce WRITABLE; ENOENT
static int64_t sykli__link_write(sykli__link_core *l, uint32_t id, const void *data, size_t size)
{
    sykli__link_stream *t = l->state == SYKLI__LINK_UP ? sykli__link_find(l, id) : NULL;
    if (!t || t->end) return SYKLI_ENOENT;
    size_t take = sykli__link_least(size, sykli__link_room(l, t));
    t->short_write = take < size;
    if (!take) return 0;
    if (t->out_at > t->out.size / 2) {
        sykli_buf_drop(&t->out, t->out_at);
        t->out_at = 0;
    }
    if (sykli_buf_add(&t->out, data, take)) {
        t->out.error = 0;
        return SYKLI_ENOMEM;
    }
    l->session->buffered += take;
    return (int64_t)take;
}

// Ends this side of a stream behind what is buffered. The side that did not open it ends it whole.
static int sykli__link_end(sykli__link_core *l, uint32_t id, int code, const char *text)
{
    sykli__link_stream *t = l->state == SYKLI__LINK_UP ? sykli__link_find(l, id) : NULL;
    if (!t || t->end) return SYKLI_ENOENT;
    size_t size = text ? strlen(text) : 0;
    if (size > SYKLI__LINK_TEXT_MAX) size = SYKLI__LINK_TEXT_MAX;
    while (size && !sykli_utf8_valid(text, size)) size--;
    if (size) t->end_text = sykli_mem_text(l->mem, SYKLI_TAG_link, text, size); // or without
    t->end_code = code;
    return t->end = true, 0;
}

// Ends a stream at once, both ways.
static int sykli__link_reset(sykli__link_core *l, uint32_t id, int code)
{
    sykli__link_stream *t = l->state == SYKLI__LINK_UP ? sykli__link_find(l, id) : NULL;
    if (!t) return SYKLI_ENOENT;
    bool unknown = t->open_left && !t->open_begun;
    sykli__link_stream_free(l, t);
    return unknown ? 0 : sykli__link_reset_put(l, id, code);
}

// Gives credit back for received data.
static void sykli__link_consume(sykli__link_core *l, uint32_t id, size_t size)
{
    sykli__link_stream *t = sykli__link_find(l, id);
    if (!t) return;
    assert(size <= t->held);
    t->held -= (uint32_t)size;
    t->give += (uint32_t)size;
    l->session->give += (uint32_t)size;
}

// Sends a fact.    returns  0, ECLOSED, EBUSY: the queue is full, ENOMEM
static int sykli__link_fact(sykli__link_core *l, const void *data, size_t size)
{
    assert(size <= SYKLI__LINK_FACT_MAX);
    if (l->state != SYKLI__LINK_UP) return SYKLI_ECLOSED;
    sykli_buf *out = &l->session->control;
    if (l->session->control_at > out->size / 2) {
        sykli_buf_drop(out, l->session->control_at);
        l->session->control_at = 0;
    }
    if (!sykli_buf_grow(out, SYKLI__LINK_FRAME + size + 1)) {
        int error = out->error == SYKLI_ELIMIT ? SYKLI_EBUSY : out->error;
        out->error = 0;
        return error;
    }
    sykli__link_frame_put(out, SYKLI__LINK_FACT, size, 0);
    sykli__wire_put_bytes(out, data, size);
    return 0;
}

// >>member ---- who is in the mesh: SWIM semantics over sessions
// >>net ---- sockets
// >>mesh ---- the node: control socket, routes, cache lookups, config push, invites

#endif // SYKLI_MESH_IMPLEMENTED
#endif // SYKLI_MESH_IMPLEMENTATION
