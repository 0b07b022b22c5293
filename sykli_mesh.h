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
// >>member ---- who is in the mesh: SWIM semantics over sessions
// >>net ---- sockets
// >>mesh ---- the node: control socket, routes, cache lookups, config push, invites

#endif // SYKLI_MESH_IMPLEMENTED
#endif // SYKLI_MESH_IMPLEMENTATION
