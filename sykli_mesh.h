/* sykli_mesh.h - v0.1.0 - joins sykli nodes into an encrypted mesh - MIT or public domain

   CONTENTS
     public
     >>wire      cursor, writer: bytes in and out with every length checked
     >>crypto    X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
     >>noise     handshake patterns with psk modifiers, cipher states
     >>roster    signed envelopes, roster, invite tokens, key files
     >>link      HELLO, handshake, records, frames, streams, credit, priority: bytes in, bytes out
     >>member    who is in the mesh: SWIM semantics over sessions
     >>remote    requests over links: serving them and asking them
     >>mesh      the node: control socket, routes, cache lookups, config push, invites */

#ifndef SYKLI_MESH_H_INCLUDED
#define SYKLI_MESH_H_INCLUDED
#include "sykli.h"
#ifdef __cplusplus
extern "C" {
#endif

// ---- crypto ---------------------------------------------------------------------------------
// The primitives of the mesh behind one table, so that another library can be plugged in. All
// work in place, none allocates; sizes are in bytes. SHA-256, HMAC and HKDF are not in it: they
// are those of sykli.h everywhere.
typedef struct sykli_crypto {
    void *user;
    // X25519, RFC 7748.       returns  0; EAUTH if `point` has a small order (`out` is then zero)
    int (*x25519)(void *user, uint8_t out[32], const uint8_t secret[32], const uint8_t point[32]);
    // Ed25519, RFC 8032: the public key of a seed, a signature, its check.
    void (*sign_public)(void *user, uint8_t out[32], const uint8_t seed[32]);
    void (*sign)(void *user, uint8_t out[64], const uint8_t seed[32], const void *data,
                 size_t size);
    //   returns  0 or EAUTH; S of L or more, small-order and non-canonical points are refused
    int (*verify)(void *user, const uint8_t signature[64], const uint8_t public_key[32],
                  const void *data, size_t size);
    // ChaCha20-Poly1305, RFC 8439, in place; `extra` is authenticated too. A nonce is used once.
    void (*seal)(void *user, const uint8_t key[32], const uint8_t nonce[12], const void *extra,
                 size_t extra_size, void *data, size_t size, uint8_t tag[16]);
    //   returns  0; EAUTH if anything differs, then `data` is as it was
    int (*open)(void *user, const uint8_t key[32], const uint8_t nonce[12], const void *extra,
                size_t extra_size, void *data, size_t size, const uint8_t tag[16]);
} sykli_crypto;

// Fills in the functions of this header: constant time, checked against published vectors, not
// audited.
void sykli_crypto_init(sykli_crypto *out);
#if defined(SYKLI_SIM)
// The same sizes without protection, for simulations only.
void sykli_crypto_fake(sykli_crypto *out);
#endif

// ---- mesh -----------------------------------------------------------------------------------
typedef struct sykli_mesh sykli_mesh;

typedef enum sykli_mesh_mode {
    SYKLI_MESH_NODE,  // a node of its own: listens, has peers, lends its workers
    SYKLI_MESH_CLIENT // a session of the node that runs in the same state directory
} sykli_mesh_mode;

typedef struct sykli_mesh_desc {
    sykli_mesh_mode mode;
    const char *state_dir;       // socket, token, keys, roster, configuration; made 0700
    const char *listen;          // "IP:PORT"; NULL: no peers can dial in
    const char *advertise;       // what peers dial; NULL: the address of each connection and port
    const char *const *seeds;    // "IP:PORT" or "NAME:PORT"
    size_t seed_count;
    bool borrow;                 // CLIENT: tasks take their workers from the node
} sykli_mesh_desc;

// Attaches a mesh to a context: requests to other nodes, cache lookups at peers, the tables nodes,
// peers and links, the ops of a mesh. The loop of the context drives it.
//   desc     copied
//   returns  the mesh; NULL: sykli_errmsg of the context. ENONODE: (CLIENT) no node runs there,
//            EBUSY: (NODE) one runs there already, EAUTH: token or keys are not ours to read
sykli_mesh *sykli_mesh_open(sykli *s, const sykli_mesh_desc *desc);
// Says goodbye, closes all and detaches. NULL is allowed.
void sykli_mesh_close(sykli_mesh *m);

// Makes the secrets of a new mesh in a state directory: cookie, node key, mesh key, a roster with
// this node as admin.        returns  0, EEXIST (there is one), or the error
int sykli_mesh_create(sykli *s, const char *state_dir);
// Joins the mesh that an invite token names, as the inviter's node answers. Works while a node runs
// in the state directory or not.          returns  0 or the error; EAUTH says who used the token
int sykli_mesh_join(sykli *s, const char *state_dir, const char *token);
// The mesh's id as hex digits: what `cookie show-id` prints.   returns 0 or the error
int sykli_mesh_id(sykli *s, const char *state_dir, char out[65]);

// The name by which a client asks the node it is a session of.
#define SYKLI_MESH_GATEWAY "@"

#ifdef __cplusplus
}
#endif
#endif // SYKLI_MESH_H_INCLUDED

#if defined(SYKLI_MESH_IMPLEMENTATION)
#ifndef SYKLI_MESH_IMPLEMENTED
#define SYKLI_MESH_IMPLEMENTED

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SYKLI_PLAIN_BEGIN

// >>wire ---- bytes in and out with every length checked
// What a peer sends is read through a cursor that never passes its end: one `take` checks every
// length, and after the first short read the cursor is bad and stays empty, so that a decoder reads
// all its fields and asks once. What we send is appended to a sykli_buf, whose errors stick the
// same way. Integers are big-endian on the wire; nothing is cast to a struct, so alignment, padding
// and the host's byte order never matter.
SYKLI_FAST_BEGIN

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
static void sykli__wire_put_text(sykli__wire_out *out, const char *text)
{
    size_t size = strlen(text);
    if (size > UINT16_MAX && !out->error) out->error = SYKLI_ELIMIT;
    sykli__wire_put_u16(out, (uint16_t)size);
    sykli__wire_put_bytes(out, text, size);
}
SYKLI_FAST_END

// >>crypto ---- X25519, Ed25519, ChaCha20-Poly1305, HKDF behind one table of functions
// The primitives of the handshake and of the records, from their papers and RFCs, behind one table
// so that another library can stand in. What touches a secret has no branch and no index that
// depends on it. Field arithmetic is written once for limbs of two sizes: 51 bits where the
// compiler has a 128-bit product, 25.5 bits elsewhere. Nothing is precomputed but constants: a
// table of multiples costs less to make than to read past. Checked against RFC and Wycheproof
// vectors and libsodium; not audited.
SYKLI_FASTEST_BEGIN

// Compares without telling where the first difference is.
static bool sykli__crypto_equal(const void *a, const void *b, size_t size)
{
    const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
    uint32_t difference = 0;
    for (size_t i = 0; i < size; i++) difference |= (uint32_t)(x[i] ^ y[i]);
    return (1 & (difference - 1) >> 8) != 0;
}

static inline uint32_t sykli__crypto_load32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t sykli__crypto_load64(const uint8_t *p)
{
    return sykli__crypto_load32(p) | (uint64_t)sykli__crypto_load32(p + 4) << 32;
}

static inline void sykli__crypto_store32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
}

static inline void sykli__crypto_store64(uint8_t *p, uint64_t v)
{
    sykli__crypto_store32(p, (uint32_t)v);
    sykli__crypto_store32(p + 4, (uint32_t)(v >> 32));
}

// HMAC-SHA256 (RFC 2104, FIPS 198-1) in three steps, as messages come in parts.
typedef struct sykli__crypto_hmac { sykli_sha256 inner, outer; } sykli__crypto_hmac;

static void sykli__crypto_hmac_begin(sykli__crypto_hmac *h, const void *key, size_t size)
{
    uint8_t block[64] = { 0 };
    if (size > sizeof block) sykli_sha256_of(key, size, block);
    else if (size) memcpy(block, key, size);
    sykli_sha256_init(&h->inner);
    sykli_sha256_init(&h->outer);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    sykli_sha256_add(&h->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    sykli_sha256_add(&h->outer, block, sizeof block);
    sykli_wipe(block, sizeof block);
}

static void sykli__crypto_hmac_add(sykli__crypto_hmac *h, const void *data, size_t size)
{
    sykli_sha256_add(&h->inner, data, size);
}

static void sykli__crypto_hmac_end(sykli__crypto_hmac *h, uint8_t out[32])
{
    sykli_sha256_end(&h->inner, out);
    sykli_sha256_add(&h->outer, out, 32);
    sykli_sha256_end(&h->outer, out);
    sykli_wipe(h, sizeof *h);
}

// HKDF-SHA256 (RFC 5869). With the chaining key as salt and no info it is the HKDF of Noise too.
//   size     at most SYKLI__CRYPTO_HKDF_MAX
#define SYKLI__CRYPTO_HKDF_MAX ((size_t)255 * 32)
static void sykli__crypto_hkdf(void *out, size_t size, const void *salt, size_t salt_size,
                               const void *secret, size_t secret_size, const void *info,
                               size_t info_size)
{
    assert(size <= SYKLI__CRYPTO_HKDF_MAX);
    uint8_t key[32], block[32], *to = (uint8_t *)out;
    sykli__crypto_hmac h;
    sykli__crypto_hmac_begin(&h, salt, salt_size);
    sykli__crypto_hmac_add(&h, secret, secret_size);
    sykli__crypto_hmac_end(&h, key);
    for (uint8_t count = 1; size; count++) {
        sykli__crypto_hmac_begin(&h, key, sizeof key);
        sykli__crypto_hmac_add(&h, block, count > 1 ? sizeof block : 0);
        sykli__crypto_hmac_add(&h, info, info_size);
        sykli__crypto_hmac_add(&h, &count, 1);
        sykli__crypto_hmac_end(&h, block);
        size_t part = size < sizeof block ? size : sizeof block;
        memcpy(to, block, part);
        to += part;
        size -= part;
    }
    sykli_wipe(key, sizeof key);
    sykli_wipe(block, sizeof block);
}

// SHA-512 (FIPS 180-4), which Ed25519 is built on and nothing else here uses.
typedef struct sykli__crypto_sha512 {
    uint64_t state[8], total;
    uint8_t block[128];
} sykli__crypto_sha512;

static inline uint64_t sykli__crypto_rotr64(uint64_t x, int n) { return x >> n | x << (64 - n); }

static void sykli__crypto_sha512_block(uint64_t state[8], const uint8_t *block)
{
    static const uint64_t k[80] = {
        0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu,
        0x3956c25bf348b538u, 0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u,
        0xd807aa98a3030242u, 0x12835b0145706fbeu, 0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u,
        0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u, 0xc19bf174cf692694u,
        0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
        0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u,
        0x983e5152ee66dfabu, 0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u,
        0xc6e00bf33da88fc2u, 0xd5a79147930aa725u, 0x06ca6351e003826fu, 0x142929670a0e6e70u,
        0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu, 0x53380d139d95b3dfu,
        0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
        0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u,
        0xd192e819d6ef5218u, 0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u,
        0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u, 0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u,
        0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u, 0x682e6ff3d6b2b8a3u,
        0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
        0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu,
        0xca273eceea26619cu, 0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u,
        0x06f067aa72176fbau, 0x0a637dc5a2c898a6u, 0x113f9804bef90daeu, 0x1b710b35131c471bu,
        0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu, 0x431d67c49c100d4cu,
        0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
    };
    uint64_t w[16], v[8];
    for (size_t i = 0; i < 16; i++) {
        const uint8_t *p = block + 8 * i;
        w[i] = 0;
        for (size_t j = 0; j < 8; j++) w[i] = w[i] << 8 | p[j];
    }
    memcpy(v, state, sizeof v);
    for (size_t i = 0; i < 80; i++) {
        if (i >= 16) {
            uint64_t a = w[(i + 1) & 15], b = w[(i + 14) & 15];
            w[i & 15] += w[(i + 9) & 15]
                + (sykli__crypto_rotr64(a, 1) ^ sykli__crypto_rotr64(a, 8) ^ a >> 7)
                + (sykli__crypto_rotr64(b, 19) ^ sykli__crypto_rotr64(b, 61) ^ b >> 6);
        }
        uint64_t e = v[4], a = v[0];
        uint64_t t = v[7] + k[i] + w[i & 15] + ((e & v[5]) ^ (~e & v[6]))
            + (sykli__crypto_rotr64(e, 14) ^ sykli__crypto_rotr64(e, 18)
               ^ sykli__crypto_rotr64(e, 41));
        uint64_t u = ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]))
            + (sykli__crypto_rotr64(a, 28) ^ sykli__crypto_rotr64(a, 34)
               ^ sykli__crypto_rotr64(a, 39));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t;
        v[0] = t + u;
    }
    for (size_t i = 0; i < 8; i++) state[i] += v[i];
    sykli_wipe(w, sizeof w);
    sykli_wipe(v, sizeof v);
}

static void sykli__crypto_sha512_init(sykli__crypto_sha512 *h)
{
    static const uint64_t start[8] = {
        0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
        0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
    };
    memcpy(h->state, start, sizeof start);
    h->total = 0;
}

static void sykli__crypto_sha512_add(sykli__crypto_sha512 *h, const void *data, size_t size)
{
    const uint8_t *p = (const uint8_t *)data;
    while (size) {
        size_t used = (size_t)(h->total & 127), part = 128 - used;
        if (part > size) part = size;
        memcpy(h->block + used, p, part);
        h->total += part;
        p += part;
        size -= part;
        if (used + part == 128) sykli__crypto_sha512_block(h->state, h->block);
    }
}

static void sykli__crypto_sha512_end(sykli__crypto_sha512 *h, uint8_t out[64])
{
    uint64_t bits = h->total * 8;
    size_t used = (size_t)(h->total & 127);
    h->block[used++] = 0x80;
    if (used > 112) {
        memset(h->block + used, 0, 128 - used);
        sykli__crypto_sha512_block(h->state, h->block);
        used = 0;
    }
    memset(h->block + used, 0, 128 - used);
    for (size_t i = 0; i < 8; i++) h->block[127 - i] = (uint8_t)(bits >> 8 * i);
    sykli__crypto_sha512_block(h->state, h->block);
    for (size_t i = 0; i < 64; i++) out[i] = (uint8_t)(h->state[i / 8] >> (56 - 8 * (i % 8)));
    sykli_wipe(h, sizeof *h);
}

// Numbers modulo p = 2^255 - 19 in limbs of unequal weight: limb i counts 2^AT(i). Every function
// takes sums of up to three results and, but for `add`, gives limbs that exceed their width by a
// few bits of carry at most, so that no product overflows (25.5 bits: 10 products of 2^27.6 times
// 2^26 times 38 stay below 2^64).
#if defined(__SIZEOF_INT128__) && !defined(SYKLI_PORTABLE)
#define SYKLI__CRYPTO_INT128 1
__extension__ typedef unsigned __int128 sykli__crypto_wide;
typedef uint64_t sykli__crypto_limb;
#define SYKLI__CRYPTO_LIMBS 5
#define SYKLI__CRYPTO_AT(i) (51 * (i))
#else
#define SYKLI__CRYPTO_INT128 0
typedef uint64_t sykli__crypto_wide;
typedef uint32_t sykli__crypto_limb;
#define SYKLI__CRYPTO_LIMBS 10
#define SYKLI__CRYPTO_AT(i) ((51 * (i) + 1) / 2)
#endif
#define SYKLI__CRYPTO_WIDTH(i) (SYKLI__CRYPTO_AT((i) + 1) - SYKLI__CRYPTO_AT(i))
#define SYKLI__CRYPTO_MASK(i) ((sykli__crypto_limb)((UINT64_C(1) << SYKLI__CRYPTO_WIDTH(i)) - 1))

typedef struct sykli__crypto_fe { sykli__crypto_limb limb[SYKLI__CRYPTO_LIMBS]; } sykli__crypto_fe;

static const sykli__crypto_fe sykli__crypto_fe_zero = { { 0 } };
static const sykli__crypto_fe sykli__crypto_fe_one = { { 1 } };

// Brings products back to limbs; what passes 2^255 comes back times 19.
static inline void sykli__crypto_fe_fold(sykli__crypto_fe *out,
                                         const sykli__crypto_wide r[SYKLI__CRYPTO_LIMBS])
{
    sykli__crypto_wide carry = 0;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) {
        carry += r[i];
        out->limb[i] = (sykli__crypto_limb)carry & SYKLI__CRYPTO_MASK(i);
        carry >>= SYKLI__CRYPTO_WIDTH(i);
    }
    carry = carry * 19 + out->limb[0];
    out->limb[0] = (sykli__crypto_limb)carry & SYKLI__CRYPTO_MASK(0);
    out->limb[1] += (sykli__crypto_limb)(carry >> SYKLI__CRYPTO_WIDTH(0));
}

static inline void sykli__crypto_fe_carry(sykli__crypto_fe *x)
{
    sykli__crypto_limb carry = 0;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) {
        carry += x->limb[i];
        x->limb[i] = carry & SYKLI__CRYPTO_MASK(i);
        carry >>= SYKLI__CRYPTO_WIDTH(i);
    }
    x->limb[0] += carry * 19;
}

static void sykli__crypto_fe_add(sykli__crypto_fe *out, const sykli__crypto_fe *f,
                                 const sykli__crypto_fe *g)
{
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) out->limb[i] = f->limb[i] + g->limb[i];
}

// f + 4p - g, so that no limb goes below zero.
static void sykli__crypto_fe_sub(sykli__crypto_fe *out, const sykli__crypto_fe *f,
                                 const sykli__crypto_fe *g)
{
    out->limb[0] = f->limb[0] + 4 * (SYKLI__CRYPTO_MASK(0) - 18) - g->limb[0];
    for (int i = 1; i < SYKLI__CRYPTO_LIMBS; i++)
        out->limb[i] = f->limb[i] + 4 * SYKLI__CRYPTO_MASK(i) - g->limb[i];
    sykli__crypto_fe_carry(out);
}

#if SYKLI__CRYPTO_INT128
static void sykli__crypto_fe_mul(sykli__crypto_fe *out, const sykli__crypto_fe *f,
                                 const sykli__crypto_fe *g)
{
    typedef sykli__crypto_wide wide;
    uint64_t a0 = f->limb[0], a1 = f->limb[1], a2 = f->limb[2], a3 = f->limb[3], a4 = f->limb[4];
    uint64_t b0 = g->limb[0], b1 = g->limb[1], b2 = g->limb[2], b3 = g->limb[3], b4 = g->limb[4];
    uint64_t c1 = 19 * b1, c2 = 19 * b2, c3 = 19 * b3, c4 = 19 * b4; // what passes 2^255
    wide r[5] = {
        (wide)a0 * b0 + (wide)a1 * c4 + (wide)a2 * c3 + (wide)a3 * c2 + (wide)a4 * c1,
        (wide)a0 * b1 + (wide)a1 * b0 + (wide)a2 * c4 + (wide)a3 * c3 + (wide)a4 * c2,
        (wide)a0 * b2 + (wide)a1 * b1 + (wide)a2 * b0 + (wide)a3 * c4 + (wide)a4 * c3,
        (wide)a0 * b3 + (wide)a1 * b2 + (wide)a2 * b1 + (wide)a3 * b0 + (wide)a4 * c4,
        (wide)a0 * b4 + (wide)a1 * b3 + (wide)a2 * b2 + (wide)a3 * b1 + (wide)a4 * b0,
    };
    sykli__crypto_fe_fold(out, r);
}

static void sykli__crypto_fe_square(sykli__crypto_fe *out, const sykli__crypto_fe *f)
{
    typedef sykli__crypto_wide wide;
    uint64_t a0 = f->limb[0], a1 = f->limb[1], a2 = f->limb[2], a3 = f->limb[3], a4 = f->limb[4];
    uint64_t d0 = 2 * a0, d1 = 2 * a1, d2 = 2 * a2, c3 = 19 * a3, c4 = 19 * a4;
    wide r[5] = {
        (wide)a0 * a0 + (wide)d1 * c4 + (wide)d2 * c3,
        (wide)d0 * a1 + (wide)d2 * c4 + (wide)a3 * c3,
        (wide)d0 * a2 + (wide)a1 * a1 + (wide)(2 * a3) * c4,
        (wide)d0 * a3 + (wide)d1 * a2 + (wide)a4 * c4,
        (wide)d0 * a4 + (wide)d1 * a3 + (wide)a2 * a2,
    };
    sykli__crypto_fe_fold(out, r);
}
#else
// Two odd limbs have half a bit each too much in their exponents: their product counts double.
static void sykli__crypto_fe_mul(sykli__crypto_fe *out, const sykli__crypto_fe *f,
                                 const sykli__crypto_fe *g)
{
    uint64_t low[10] = { 0 }, high[10] = { 0 };
    for (unsigned i = 0; i < 10; i++)
        for (unsigned j = 0; j < 10; j++) {
            uint64_t product = (uint64_t)f->limb[i] * g->limb[j] << (i & j & 1);
            if (i + j < 10) low[i + j] += product;
            else high[i + j - 10] += product;
        }
    for (unsigned i = 0; i < 10; i++) low[i] += 19 * high[i];
    sykli__crypto_fe_fold(out, low);
}

static void sykli__crypto_fe_square(sykli__crypto_fe *out, const sykli__crypto_fe *f)
{
    sykli__crypto_fe_mul(out, f, f);
}
#endif

static void sykli__crypto_fe_squares(sykli__crypto_fe *out, const sykli__crypto_fe *f, int count)
{
    sykli__crypto_fe_square(out, f);
    while (--count > 0) sykli__crypto_fe_square(out, out);
}

static void sykli__crypto_fe_scale(sykli__crypto_fe *out, const sykli__crypto_fe *f, uint32_t small)
{
    sykli__crypto_wide r[SYKLI__CRYPTO_LIMBS];
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) r[i] = (sykli__crypto_wide)f->limb[i] * small;
    sykli__crypto_fe_fold(out, r);
}

// Exchanges f and g if `bit` is 1.
static void sykli__crypto_fe_swap(sykli__crypto_fe *f, sykli__crypto_fe *g, unsigned bit)
{
    sykli__crypto_limb mask = (sykli__crypto_limb)0 - bit;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) {
        sykli__crypto_limb difference = mask & (f->limb[i] ^ g->limb[i]);
        f->limb[i] ^= difference;
        g->limb[i] ^= difference;
    }
}

// out = f if `bit` is 1.
static void sykli__crypto_fe_pick(sykli__crypto_fe *out, const sykli__crypto_fe *f, unsigned bit)
{
    sykli__crypto_limb mask = (sykli__crypto_limb)0 - bit;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++)
        out->limb[i] ^= mask & (out->limb[i] ^ f->limb[i]);
}

// 32 little-endian bytes, the top bit ignored (RFC 7748, section 5).
static void sykli__crypto_fe_load(sykli__crypto_fe *out, const uint8_t bytes[32])
{
    uint8_t padded[40] = { 0 };
    memcpy(padded, bytes, 32);
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) {
        unsigned at = (unsigned)SYKLI__CRYPTO_AT(i);
        out->limb[i] = (sykli__crypto_limb)(sykli__crypto_load64(padded + at / 8) >> at % 8)
            & SYKLI__CRYPTO_MASK(i);
    }
    sykli_wipe(padded, sizeof padded);
}

// The one number below p: after two carries the value is below 2^255, and it is p or more exactly
// when adding 19 carries out of bit 255.
static void sykli__crypto_fe_store(uint8_t bytes[32], const sykli__crypto_fe *f)
{
    sykli__crypto_fe x = *f;
    sykli__crypto_fe_carry(&x);
    sykli__crypto_fe_carry(&x);
    sykli__crypto_limb over = 19;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++)
        over = (x.limb[i] + over) >> SYKLI__CRYPTO_WIDTH(i);
    sykli__crypto_limb carry = 19 * over;
    uint64_t bits = 0;
    int held = 0;
    for (int i = 0; i < SYKLI__CRYPTO_LIMBS; i++) {
        carry += x.limb[i];
        bits |= (uint64_t)(carry & SYKLI__CRYPTO_MASK(i)) << held;
        held += SYKLI__CRYPTO_WIDTH(i);
        carry >>= SYKLI__CRYPTO_WIDTH(i);
        for (; held >= 8; held -= 8, bits >>= 8) *bytes++ = (uint8_t)bits;
    }
    *bytes = (uint8_t)bits;
    sykli_wipe(&x, sizeof x);
}

static bool sykli__crypto_fe_equal(const sykli__crypto_fe *f, const sykli__crypto_fe *g)
{
    uint8_t a[32], b[32];
    sykli__crypto_fe_store(a, f);
    sykli__crypto_fe_store(b, g);
    return sykli__crypto_equal(a, b, sizeof a);
}

static unsigned sykli__crypto_fe_odd(const sykli__crypto_fe *f)
{
    uint8_t bytes[32];
    sykli__crypto_fe_store(bytes, f);
    return bytes[0] & 1;
}

// z^(2^250 - 1) and z^11, on the way to both exponents that are needed.
static void sykli__crypto_fe_power(sykli__crypto_fe *out, sykli__crypto_fe *z11,
                                   const sykli__crypto_fe *z)
{
    sykli__crypto_fe a, b, c;
    sykli__crypto_fe_square(&a, z);
    sykli__crypto_fe_squares(&b, &a, 2);
    sykli__crypto_fe_mul(&b, &b, z);      // 9
    sykli__crypto_fe_mul(z11, &b, &a);    // 11
    sykli__crypto_fe_square(&a, z11);
    sykli__crypto_fe_mul(&a, &a, &b);     // 2^5 - 1
    sykli__crypto_fe_squares(&b, &a, 5);
    sykli__crypto_fe_mul(&a, &b, &a);     // 2^10 - 1
    sykli__crypto_fe_squares(&b, &a, 10);
    sykli__crypto_fe_mul(&b, &b, &a);     // 2^20 - 1
    sykli__crypto_fe_squares(&c, &b, 20);
    sykli__crypto_fe_mul(&b, &c, &b);     // 2^40 - 1
    sykli__crypto_fe_squares(&b, &b, 10);
    sykli__crypto_fe_mul(&a, &b, &a);     // 2^50 - 1
    sykli__crypto_fe_squares(&b, &a, 50);
    sykli__crypto_fe_mul(&b, &b, &a);     // 2^100 - 1
    sykli__crypto_fe_squares(&c, &b, 100);
    sykli__crypto_fe_mul(&b, &c, &b);     // 2^200 - 1
    sykli__crypto_fe_squares(&b, &b, 50);
    sykli__crypto_fe_mul(out, &b, &a);    // 2^250 - 1
}

// 1 / z as z^(p - 2) = z^(2^255 - 21) (Fermat); 0 gives 0.
static void sykli__crypto_fe_invert(sykli__crypto_fe *out, const sykli__crypto_fe *z)
{
    sykli__crypto_fe high, z11;
    sykli__crypto_fe_power(&high, &z11, z);
    sykli__crypto_fe_squares(&high, &high, 5);
    sykli__crypto_fe_mul(out, &high, &z11);
}

// X25519 (RFC 7748, section 5): the Montgomery ladder, one swap and one step a bit.
static void sykli__crypto_ladder(sykli__crypto_fe *x2, sykli__crypto_fe *z2,
                                 const uint8_t scalar[32], const sykli__crypto_fe *x1)
{
    sykli__crypto_fe x3 = *x1, z3 = sykli__crypto_fe_one, a, b, c, d;
    unsigned swap = 0;
    *x2 = sykli__crypto_fe_one;
    *z2 = sykli__crypto_fe_zero;
    for (int at = 254; at >= 0; at--) {
        unsigned bit = (unsigned)scalar[at / 8] >> at % 8 & 1;
        sykli__crypto_fe_swap(x2, &x3, swap ^ bit);
        sykli__crypto_fe_swap(z2, &z3, swap ^ bit);
        swap = bit;
        sykli__crypto_fe_add(&a, x2, z2);
        sykli__crypto_fe_sub(&b, x2, z2);
        sykli__crypto_fe_add(&c, &x3, &z3);
        sykli__crypto_fe_sub(&d, &x3, &z3);
        sykli__crypto_fe_mul(&d, &d, &a);
        sykli__crypto_fe_mul(&c, &c, &b);
        sykli__crypto_fe_square(&a, &a);
        sykli__crypto_fe_square(&b, &b);
        sykli__crypto_fe_mul(x2, &a, &b);
        sykli__crypto_fe_sub(&b, &a, &b);
        sykli__crypto_fe_scale(z2, &b, 121665); // (486662 - 2) / 4
        sykli__crypto_fe_add(z2, z2, &a);
        sykli__crypto_fe_mul(z2, z2, &b);
        sykli__crypto_fe_add(&x3, &d, &c);
        sykli__crypto_fe_square(&x3, &x3);
        sykli__crypto_fe_sub(&z3, &d, &c);
        sykli__crypto_fe_square(&z3, &z3);
        sykli__crypto_fe_mul(&z3, &z3, x1);
    }
    sykli__crypto_fe_swap(x2, &x3, swap);
    sykli__crypto_fe_swap(z2, &z3, swap);
    sykli_wipe(&x3, sizeof x3);
    sykli_wipe(&z3, sizeof z3);
}

// Scalars are 255 bits with the lowest three cleared and the highest set (RFC 7748; RFC 8032).
static void sykli__crypto_clamp(uint8_t scalar[32])
{
    scalar[0] &= 248;
    scalar[31] = (uint8_t)((scalar[31] & 127) | 64);
}

static int sykli__crypto_x25519(void *user, uint8_t out[32], const uint8_t secret[32],
                                const uint8_t point[32])
{
    static const uint8_t zeros[32] = { 0 };
    uint8_t scalar[32];
    sykli__crypto_fe u, x, z;
    (void)user;
    memcpy(scalar, secret, sizeof scalar);
    sykli__crypto_clamp(scalar);
    sykli__crypto_fe_load(&u, point);
    sykli__crypto_ladder(&x, &z, scalar, &u);
    sykli__crypto_fe_invert(&z, &z);
    sykli__crypto_fe_mul(&x, &x, &z);
    sykli__crypto_fe_store(out, &x);
    sykli_wipe(scalar, sizeof scalar);
    sykli_wipe(&x, sizeof x);
    sykli_wipe(&z, sizeof z);
    return sykli__crypto_equal(out, zeros, 32) ? SYKLI_EAUTH : 0;
}

// Points of edwards25519 in extended coordinates: x = X/Z, y = Y/Z, T = XY/Z (Hisil, Wong, Carter,
// Dawson 2008). The addition is complete: it also doubles and meets the neutral point rightly.
typedef struct sykli__crypto_point { sykli__crypto_fe x, y, z, t; } sykli__crypto_point;

// A second operand of additions: Y + X, Y - X, 2Z, 2dT.
typedef struct sykli__crypto_addend { sykli__crypto_fe plus, minus, z2, t2d; } sykli__crypto_addend;

// d = -121665/121666, the square root of -1, the coordinates of the base point (RFC 8032, 5.1).
static const uint8_t sykli__crypto_d[32] = {
    0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
    0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52,
};
static const uint8_t sykli__crypto_root[32] = {
    0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
    0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b,
};
static const uint8_t sykli__crypto_base_x[32] = {
    0x1a, 0xd5, 0x25, 0x8f, 0x60, 0x2d, 0x56, 0xc9, 0xb2, 0xa7, 0x25, 0x95, 0x60, 0xc7, 0x2c, 0x69,
    0x5c, 0xdc, 0xd6, 0xfd, 0x31, 0xe2, 0xa4, 0xc0, 0xfe, 0x53, 0x6e, 0xcd, 0xd3, 0x36, 0x69, 0x21,
};
static const uint8_t sykli__crypto_base_y[32] = {
    0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
};

static void sykli__crypto_point_set(sykli__crypto_point *p, const sykli__crypto_fe *x,
                                    const sykli__crypto_fe *y)
{
    p->x = *x;
    p->y = *y;
    p->z = sykli__crypto_fe_one;
    sykli__crypto_fe_mul(&p->t, x, y);
}

static void sykli__crypto_point_double(sykli__crypto_point *out, const sykli__crypto_point *p)
{
    sykli__crypto_fe a, b, e, f, g, h;
    sykli__crypto_fe_square(&a, &p->x);
    sykli__crypto_fe_square(&b, &p->y);
    sykli__crypto_fe_add(&h, &a, &b);
    sykli__crypto_fe_sub(&g, &a, &b);
    sykli__crypto_fe_add(&e, &p->x, &p->y);
    sykli__crypto_fe_square(&e, &e);
    sykli__crypto_fe_sub(&e, &h, &e);
    sykli__crypto_fe_square(&f, &p->z);
    sykli__crypto_fe_add(&f, &f, &f);
    sykli__crypto_fe_add(&f, &f, &g);
    sykli__crypto_fe_mul(&out->x, &e, &f);
    sykli__crypto_fe_mul(&out->y, &g, &h);
    sykli__crypto_fe_mul(&out->z, &f, &g);
    sykli__crypto_fe_mul(&out->t, &e, &h);
}

static void sykli__crypto_point_add(sykli__crypto_point *out, const sykli__crypto_point *p,
                                    const sykli__crypto_addend *q)
{
    sykli__crypto_fe a, b, c, e, f, g, h;
    sykli__crypto_fe_sub(&a, &p->y, &p->x);
    sykli__crypto_fe_mul(&a, &a, &q->minus);
    sykli__crypto_fe_add(&b, &p->y, &p->x);
    sykli__crypto_fe_mul(&b, &b, &q->plus);
    sykli__crypto_fe_mul(&c, &p->t, &q->t2d);
    sykli__crypto_fe_mul(&g, &p->z, &q->z2);
    sykli__crypto_fe_sub(&e, &b, &a);
    sykli__crypto_fe_add(&h, &b, &a);
    sykli__crypto_fe_sub(&f, &g, &c);
    sykli__crypto_fe_add(&g, &g, &c);
    sykli__crypto_fe_mul(&out->x, &e, &f);
    sykli__crypto_fe_mul(&out->y, &g, &h);
    sykli__crypto_fe_mul(&out->z, &f, &g);
    sykli__crypto_fe_mul(&out->t, &e, &h);
}

static void sykli__crypto_addend_of(sykli__crypto_addend *out, const sykli__crypto_point *p)
{
    sykli__crypto_fe d;
    sykli__crypto_fe_load(&d, sykli__crypto_d);
    sykli__crypto_fe_add(&d, &d, &d);
    sykli__crypto_fe_add(&out->plus, &p->y, &p->x);
    sykli__crypto_fe_sub(&out->minus, &p->y, &p->x);
    sykli__crypto_fe_add(&out->z2, &p->z, &p->z);
    sykli__crypto_fe_mul(&out->t2d, &p->t, &d);
}

// table[i] = (i + 1) p.
static void sykli__crypto_point_table(sykli__crypto_addend table[8], const sykli__crypto_point *p)
{
    sykli__crypto_point sum = *p;
    sykli__crypto_addend_of(&table[0], p);
    for (int i = 1; i < 8; i++) {
        sykli__crypto_point_add(&sum, &sum, &table[0]);
        sykli__crypto_addend_of(&table[i], &sum);
    }
}

// A scalar below 2^253 as 64 digits from -8 to 8 of weight 16^i.
static void sykli__crypto_digits(int8_t digits[64], const uint8_t scalar[32])
{
    int carry = 0;
    for (int i = 0; i < 64; i++) {
        int digit = (scalar[i / 2] >> 4 * (i % 2) & 15) + carry;
        carry = (digit + 8) >> 4;
        digits[i] = (int8_t)(digit - 16 * carry);
    }
}

// digit times the point of the table, read past all of it.
static void sykli__crypto_digit_pick(sykli__crypto_addend *out,
                                     const sykli__crypto_addend table[8], int digit)
{
    unsigned negative = (unsigned)digit >> (sizeof digit * 8 - 1);
    unsigned size = (unsigned)(digit * (1 - 2 * (int)negative));
    out->plus = out->minus = sykli__crypto_fe_one;
    sykli__crypto_fe_add(&out->z2, &out->plus, &out->plus);
    out->t2d = sykli__crypto_fe_zero;
    for (unsigned i = 0; i < 8; i++) {
        unsigned here = ((size ^ (i + 1)) - 1) >> 31; // 1 where they are equal
        sykli__crypto_fe_pick(&out->plus, &table[i].plus, here);
        sykli__crypto_fe_pick(&out->minus, &table[i].minus, here);
        sykli__crypto_fe_pick(&out->z2, &table[i].z2, here);
        sykli__crypto_fe_pick(&out->t2d, &table[i].t2d, here);
    }
    sykli__crypto_fe minus_t;
    sykli__crypto_fe_sub(&minus_t, &sykli__crypto_fe_zero, &out->t2d);
    sykli__crypto_fe_swap(&out->plus, &out->minus, negative);
    sykli__crypto_fe_pick(&out->t2d, &minus_t, negative);
}

// a times the base point and, unless p is NULL, b times p, in one run of doublings (Straus 1964).
static void sykli__crypto_combine(sykli__crypto_point *out, const uint8_t a[32],
                                  const uint8_t b[32], const sykli__crypto_point *p)
{
    sykli__crypto_addend tables[2][8], addend;
    int8_t digits[2][64];
    sykli__crypto_fe x, y;
    sykli__crypto_fe_load(&x, sykli__crypto_base_x);
    sykli__crypto_fe_load(&y, sykli__crypto_base_y);
    sykli__crypto_point_set(out, &x, &y);
    sykli__crypto_point_table(tables[0], out);
    sykli__crypto_digits(digits[0], a);
    if (p) sykli__crypto_point_table(tables[1], p);
    if (p) sykli__crypto_digits(digits[1], b);
    sykli__crypto_point_set(out, &sykli__crypto_fe_zero, &sykli__crypto_fe_one);
    for (int at = 63; at >= 0; at--) {
        for (int i = 0; i < 4; i++) sykli__crypto_point_double(out, out);
        for (int i = 0; i < (p ? 2 : 1); i++) {
            sykli__crypto_digit_pick(&addend, tables[i], digits[i][at]);
            sykli__crypto_point_add(out, out, &addend);
        }
    }
    sykli_wipe(&addend, sizeof addend);
    sykli_wipe(digits, sizeof digits);
}

static void sykli__crypto_point_encode(uint8_t out[32], const sykli__crypto_point *p)
{
    sykli__crypto_fe inverse, x, y;
    sykli__crypto_fe_invert(&inverse, &p->z);
    sykli__crypto_fe_mul(&x, &p->x, &inverse);
    sykli__crypto_fe_mul(&y, &p->y, &inverse);
    sykli__crypto_fe_store(out, &y);
    out[31] |= (uint8_t)(sykli__crypto_fe_odd(&x) << 7);
}

// RFC 8032, section 5.1.3, taking canonical encodings only: y below p, no negative zero.
static bool sykli__crypto_point_decode(sykli__crypto_point *out, const uint8_t bytes[32])
{
    sykli__crypto_fe x, y, u, v, w, check, root;
    uint8_t again[32];
    unsigned sign = bytes[31] >> 7;
    sykli__crypto_fe_load(&y, bytes);
    sykli__crypto_fe_store(again, &y);
    again[31] |= (uint8_t)(sign << 7);
    if (memcmp(again, bytes, 32)) return false;
    sykli__crypto_fe_square(&u, &y);
    sykli__crypto_fe_load(&v, sykli__crypto_d);
    sykli__crypto_fe_mul(&v, &v, &u);
    sykli__crypto_fe_add(&v, &v, &sykli__crypto_fe_one);  // d y^2 + 1
    sykli__crypto_fe_sub(&u, &u, &sykli__crypto_fe_one);  // y^2 - 1
    sykli__crypto_fe_square(&w, &v);
    sykli__crypto_fe_mul(&w, &w, &v);
    sykli__crypto_fe_mul(&check, &w, &u);                 // u v^3
    sykli__crypto_fe_square(&w, &w);
    sykli__crypto_fe_mul(&w, &w, &v);
    sykli__crypto_fe_mul(&w, &w, &u);                     // u v^7
    sykli__crypto_fe_power(&x, &root, &w);
    sykli__crypto_fe_squares(&x, &x, 2);
    sykli__crypto_fe_mul(&x, &x, &w);                     // (u v^7)^((p - 5) / 8)
    sykli__crypto_fe_mul(&x, &x, &check);                 // a root of u/v or of -u/v
    sykli__crypto_fe_square(&check, &x);
    sykli__crypto_fe_mul(&check, &check, &v);
    if (!sykli__crypto_fe_equal(&check, &u)) {
        sykli__crypto_fe_load(&root, sykli__crypto_root);
        sykli__crypto_fe_mul(&x, &x, &root);
        sykli__crypto_fe_sub(&u, &sykli__crypto_fe_zero, &u);
        if (!sykli__crypto_fe_equal(&check, &u)) return false;
    }
    if (sykli__crypto_fe_odd(&x) != sign) sykli__crypto_fe_sub(&x, &sykli__crypto_fe_zero, &x);
    if (sykli__crypto_fe_odd(&x) != sign) return false;   // x is 0
    sykli__crypto_point_set(out, &x, &y);
    return true;
}

// Whether 8p is the neutral point. Such keys sign many messages at once.
static bool sykli__crypto_point_small(const sykli__crypto_point *p)
{
    sykli__crypto_point q;
    sykli__crypto_point_double(&q, p);
    sykli__crypto_point_double(&q, &q);
    sykli__crypto_point_double(&q, &q);
    return sykli__crypto_fe_equal(&q.x, &sykli__crypto_fe_zero);
}

// The order of the base point, L = 2^252 + 27742317777372353535851937790883648493, in 32-bit words.
static const uint32_t sykli__crypto_order[8] = { 0x5cf5d3edu, 0x5812631au, 0xa2f79cd6u, 0x14def9deu,
                                                 0, 0, 0, 0x10000000u };

static void sykli__crypto_words_mul(uint32_t *out, const uint32_t *a, size_t a_count,
                                    const uint32_t *b, size_t b_count)
{
    memset(out, 0, (a_count + b_count) * sizeof *out);
    for (size_t i = 0; i < a_count; i++) {
        uint64_t carry = 0;
        for (size_t j = 0; j < b_count; j++) {
            carry += (uint64_t)a[i] * b[j] + out[i + j];
            out[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        out[i + b_count] = (uint32_t)carry;
    }
}

// x -= y where `keep` is 0; returns the borrow of the full difference.
static uint32_t sykli__crypto_words_sub(uint32_t *x, const uint32_t *y, size_t count, uint32_t keep)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t difference = (uint64_t)x[i] - y[i] - borrow;
        borrow = difference >> 63;
        x[i] ^= (x[i] ^ (uint32_t)difference) & (keep - 1);
    }
    return (uint32_t)borrow;
}

// A number of 512 bits modulo L (Barrett 1986; Handbook of Applied Cryptography, 14.42, with b =
// 2^32, k = 8): the quotient estimate is at most two too small, so two L at most are left to take.
static void sykli__crypto_order_reduce(uint8_t out[32], const uint32_t wide[16])
{
    static const uint32_t inverse[9] = { // 2^512 / L
        0x0a2c131bu, 0xed9ce5a3u, 0x086329a7u, 0x2106215du, 0xffffffebu, 0xffffffffu, 0xffffffffu,
        0xffffffffu, 0x0000000fu };
    uint32_t order[9] = { 0 }, quotient[18], product[18], rest[9], probe[9];
    memcpy(order, sykli__crypto_order, sizeof sykli__crypto_order);
    memcpy(rest, wide, sizeof rest);
    sykli__crypto_words_mul(quotient, wide + 7, 9, inverse, 9);
    sykli__crypto_words_mul(product, quotient + 9, 9, order, 9);
    sykli__crypto_words_sub(rest, product, 9, 0);
    for (int i = 0; i < 2; i++) {
        memcpy(probe, rest, sizeof probe);
        uint32_t smaller = sykli__crypto_words_sub(probe, order, 9, 0);
        sykli__crypto_words_sub(rest, order, 9, smaller);
    }
    for (size_t i = 0; i < 8; i++) sykli__crypto_store32(out + 4 * i, rest[i]);
    sykli_wipe(rest, sizeof rest);
    sykli_wipe(probe, sizeof probe);
    sykli_wipe(quotient, sizeof quotient);
    sykli_wipe(product, sizeof product);
}

// (a b + c) mod L.
static void sykli__crypto_order_mul_add(uint8_t out[32], const uint8_t a[32], const uint8_t b[32],
                                        const uint8_t c[32])
{
    uint32_t x[8], y[8], wide[16];
    for (size_t i = 0; i < 8; i++) x[i] = sykli__crypto_load32(a + 4 * i);
    for (size_t i = 0; i < 8; i++) y[i] = sykli__crypto_load32(b + 4 * i);
    sykli__crypto_words_mul(wide, x, 8, y, 8);
    uint64_t carry = 0;
    for (size_t i = 0; i < 16; i++) {
        carry += (uint64_t)wide[i] + (i < 8 ? sykli__crypto_load32(c + 4 * i) : 0);
        wide[i] = (uint32_t)carry;
        carry >>= 32;
    }
    sykli__crypto_order_reduce(out, wide);
    sykli_wipe(x, sizeof x);
    sykli_wipe(y, sizeof y);
    sykli_wipe(wide, sizeof wide);
}

// SHA-512 of up to three parts as a scalar.
static void sykli__crypto_order_hash(uint8_t out[32], const uint8_t a[32], const uint8_t b[32],
                                     const void *data, size_t size)
{
    sykli__crypto_sha512 h;
    uint8_t digest[64];
    uint32_t wide[16];
    sykli__crypto_sha512_init(&h);
    sykli__crypto_sha512_add(&h, a, 32);
    if (b) sykli__crypto_sha512_add(&h, b, 32);
    sykli__crypto_sha512_add(&h, data, size);
    sykli__crypto_sha512_end(&h, digest);
    for (size_t i = 0; i < 16; i++) wide[i] = sykli__crypto_load32(digest + 4 * i);
    sykli__crypto_order_reduce(out, wide);
    sykli_wipe(digest, sizeof digest);
    sykli_wipe(wide, sizeof wide);
}

// Ed25519 (RFC 8032, section 5.1). The seed's hash is the secret scalar and the nonce's prefix.
typedef struct sykli__crypto_signer { uint8_t scalar[32], prefix[32], public_key[32]; }
    sykli__crypto_signer;

static void sykli__crypto_signer_open(sykli__crypto_signer *s, const uint8_t seed[32])
{
    static const uint8_t zeros[32] = { 0 }, one[32] = { 1 };
    sykli__crypto_sha512 h;
    sykli__crypto_point p;
    uint8_t digest[64];
    sykli__crypto_sha512_init(&h);
    sykli__crypto_sha512_add(&h, seed, 32);
    sykli__crypto_sha512_end(&h, digest);
    sykli__crypto_clamp(digest);
    sykli__crypto_order_mul_add(s->scalar, digest, one, zeros);
    memcpy(s->prefix, digest + 32, 32);
    sykli__crypto_combine(&p, s->scalar, NULL, NULL);
    sykli__crypto_point_encode(s->public_key, &p);
    sykli_wipe(&p, sizeof p);
    sykli_wipe(digest, sizeof digest);
}

static void sykli__crypto_sign_public(void *user, uint8_t out[32], const uint8_t seed[32])
{
    sykli__crypto_signer signer;
    (void)user;
    sykli__crypto_signer_open(&signer, seed);
    memcpy(out, signer.public_key, 32);
    sykli_wipe(&signer, sizeof signer);
}

static void sykli__crypto_sign(void *user, uint8_t out[64], const uint8_t seed[32],
                               const void *data, size_t size)
{
    sykli__crypto_signer signer;
    sykli__crypto_point point;
    uint8_t nonce[32], challenge[32];
    (void)user;
    sykli__crypto_signer_open(&signer, seed);
    sykli__crypto_order_hash(nonce, signer.prefix, NULL, data, size);
    sykli__crypto_combine(&point, nonce, NULL, NULL);
    sykli__crypto_point_encode(out, &point);
    sykli__crypto_order_hash(challenge, out, signer.public_key, data, size);
    sykli__crypto_order_mul_add(out + 32, challenge, signer.scalar, nonce);
    sykli_wipe(&signer, sizeof signer);
    sykli_wipe(&point, sizeof point);
    sykli_wipe(nonce, sizeof nonce);
}

// Strict: S below L, the key a canonical point of large order, R the canonical encoding of such a
// point. So a signature cannot be changed into another, and two verifiers never disagree.
static int sykli__crypto_verify(void *user, const uint8_t signature[64],
                                const uint8_t public_key[32], const void *data, size_t size)
{
    sykli__crypto_point key, point;
    uint8_t challenge[32], again[32];
    uint32_t s[8];
    (void)user;
    for (size_t i = 0; i < 8; i++) s[i] = sykli__crypto_load32(signature + 32 + 4 * i);
    if (!sykli__crypto_words_sub(s, sykli__crypto_order, 8, 1)) return SYKLI_EAUTH;
    if (!sykli__crypto_point_decode(&key, public_key)) return SYKLI_EAUTH;
    if (sykli__crypto_point_small(&key)) return SYKLI_EAUTH;
    sykli__crypto_order_hash(challenge, signature, public_key, data, size);
    sykli__crypto_fe_sub(&key.x, &sykli__crypto_fe_zero, &key.x);
    sykli__crypto_fe_sub(&key.t, &sykli__crypto_fe_zero, &key.t);
    sykli__crypto_combine(&point, signature + 32, challenge, &key);
    if (sykli__crypto_point_small(&point)) return SYKLI_EAUTH;
    sykli__crypto_point_encode(again, &point);
    return memcmp(again, signature, 32) ? SYKLI_EAUTH : 0;
}

// ChaCha20 (RFC 8439, section 2.3). The rounds are one macro because they are the same for a word
// and for a vector that holds that word of several blocks.
#define SYKLI__CRYPTO_STEP(x, a, b, d, n) \
    (x[a] += x[b], x[d] ^= x[a], x[d] = x[d] << (n) | x[d] >> (32 - (n)))
#define SYKLI__CRYPTO_QUARTER(x, a, b, c, d)                                                       \
    (SYKLI__CRYPTO_STEP(x, a, b, d, 16), SYKLI__CRYPTO_STEP(x, c, d, b, 12),                       \
     SYKLI__CRYPTO_STEP(x, a, b, d, 8), SYKLI__CRYPTO_STEP(x, c, d, b, 7))
#define SYKLI__CRYPTO_ROUNDS(x)                                                                    \
    for (int round = 0; round < 10; round++) {                                                     \
        SYKLI__CRYPTO_QUARTER(x, 0, 4, 8, 12);                                                     \
        SYKLI__CRYPTO_QUARTER(x, 1, 5, 9, 13);                                                     \
        SYKLI__CRYPTO_QUARTER(x, 2, 6, 10, 14);                                                    \
        SYKLI__CRYPTO_QUARTER(x, 3, 7, 11, 15);                                                    \
        SYKLI__CRYPTO_QUARTER(x, 0, 5, 10, 15);                                                    \
        SYKLI__CRYPTO_QUARTER(x, 1, 6, 11, 12);                                                    \
        SYKLI__CRYPTO_QUARTER(x, 2, 7, 8, 13);                                                     \
        SYKLI__CRYPTO_QUARTER(x, 3, 4, 9, 14);                                                     \
    }

#define SYKLI__CRYPTO_LANES 8 // blocks made at once
typedef struct sykli__crypto_chacha {
    uint32_t state[16];
    uint8_t stream[SYKLI__CRYPTO_LANES * 64];
} sykli__crypto_chacha;

static void sykli__crypto_chacha_begin(sykli__crypto_chacha *c, const uint8_t key[32],
                                       const uint8_t nonce[12])
{
    static const uint32_t head[4] = { 0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u };
    memcpy(c->state, head, sizeof head);
    for (size_t i = 0; i < 8; i++) c->state[4 + i] = sykli__crypto_load32(key + 4 * i);
    c->state[12] = 0;
    for (size_t i = 0; i < 3; i++) c->state[13 + i] = sykli__crypto_load32(nonce + 4 * i);
}

static void sykli__crypto_chacha_block(sykli__crypto_chacha *c, uint8_t out[64])
{
    uint32_t x[16];
    memcpy(x, c->state, sizeof x);
    SYKLI__CRYPTO_ROUNDS(x)
    for (size_t i = 0; i < 16; i++) sykli__crypto_store32(out + 4 * i, x[i] + c->state[i]);
    c->state[12]++;
}

#if defined(__GNUC__) && !defined(SYKLI_PORTABLE)
// Several blocks side by side in vectors: four, which are the registers that every processor with
// vectors has, or all at once where they are twice as wide.
#define SYKLI__CRYPTO_WIDE(name, target, count, ...)                                               \
    target static void name(sykli__crypto_chacha *c, uint8_t *stream)                              \
    {                                                                                              \
        typedef uint32_t lanes __attribute__((vector_size((count) * 4)));                          \
        static const lanes steps = { __VA_ARGS__ };                                                \
        union { lanes vector[16]; uint32_t word[16][count]; } out;                                 \
        lanes x[16];                                                                               \
        for (int i = 0; i < 16; i++) x[i] = (steps & -(uint32_t)(i == 12)) + c->state[i];          \
        SYKLI__CRYPTO_ROUNDS(x)                                                                    \
        for (int i = 0; i < 16; i++)                                                               \
            out.vector[i] = x[i] + ((steps & -(uint32_t)(i == 12)) + c->state[i]);                 \
        for (int block = 0; block < (count); block++)                                              \
            for (int i = 0; i < 16; i++)                                                           \
                sykli__crypto_store32(stream + 64 * block + 4 * i, out.word[i][block]);            \
        c->state[12] += (count);                                                                   \
    }
SYKLI__CRYPTO_WIDE(sykli__crypto_chacha_four, , 4, 0, 1, 2, 3)
#if defined(__x86_64__)
SYKLI__CRYPTO_WIDE(sykli__crypto_chacha_eight, __attribute__((target("avx2"))),
                   SYKLI__CRYPTO_LANES, 0, 1, 2, 3, 4, 5, 6, 7)
#endif
#undef SYKLI__CRYPTO_WIDE

static void sykli__crypto_chacha_blocks(sykli__crypto_chacha *c)
{
#if defined(__x86_64__)
    if (sykli_processor() & SYKLI_PROCESSOR_AVX2) {
        sykli__crypto_chacha_eight(c, c->stream);
        return;
    }
#endif
    for (int i = 0; i < SYKLI__CRYPTO_LANES; i += 4)
        sykli__crypto_chacha_four(c, c->stream + 64 * i);
}
#else
static void sykli__crypto_chacha_blocks(sykli__crypto_chacha *c)
{
    for (int i = 0; i < SYKLI__CRYPTO_LANES; i++) sykli__crypto_chacha_block(c, c->stream + 64 * i);
}
#endif

static void sykli__crypto_chacha_xor(sykli__crypto_chacha *c, uint8_t *data, size_t size)
{
    while (size) {
        size_t made = size > 128 ? sizeof c->stream : 64, part = size < made ? size : made, i = 0;
        if (made > 64) sykli__crypto_chacha_blocks(c);
        else sykli__crypto_chacha_block(c, c->stream);
        for (; i + 8 <= part; i += 8) {
            uint64_t a, b;
            memcpy(&a, data + i, 8);
            memcpy(&b, c->stream + i, 8);
            a ^= b;
            memcpy(data + i, &a, 8);
        }
        for (; i < part; i++) data[i] ^= c->stream[i];
        data += part;
        size -= part;
    }
}

// Poly1305 (RFC 8439, section 2.5): numbers modulo 2^130 - 5 in limbs of equal weight. Four blocks
// are taken at once as (h + a) r^4 + b r^3 + c r^2 + d r: their products are summed first and
// carried once. Associated data and text are padded to whole blocks, so no short one ever comes.
#if SYKLI__CRYPTO_INT128
#define SYKLI__CRYPTO_POLY_LIMBS 3
#define SYKLI__CRYPTO_POLY_BITS 44
#else
#define SYKLI__CRYPTO_POLY_LIMBS 5
#define SYKLI__CRYPTO_POLY_BITS 26
#endif
#define SYKLI__CRYPTO_POLY_MASK ((UINT64_C(1) << SYKLI__CRYPTO_POLY_BITS) - 1)
// What passes the last limb comes back times this.
#define SYKLI__CRYPTO_POLY_WRAP (5u << (SYKLI__CRYPTO_POLY_BITS * SYKLI__CRYPTO_POLY_LIMBS - 130))

typedef struct sykli__crypto_mod { uint64_t limb[SYKLI__CRYPTO_POLY_LIMBS]; } sykli__crypto_mod;
typedef struct sykli__crypto_poly {
    sykli__crypto_mod h, power[4]; // power[i] = r^(i + 1)
    uint8_t pad[16];
    bool powers;                   // power[1..3] are known: long messages only
} sykli__crypto_poly;

// x += 16 little-endian bytes, with bit 128 as given.
static inline void sykli__crypto_mod_add(sykli__crypto_mod *x, const uint8_t *p, uint64_t top)
{
#if SYKLI__CRYPTO_INT128
    uint64_t low = sykli__crypto_load64(p), high = sykli__crypto_load64(p + 8);
    x->limb[0] += low & SYKLI__CRYPTO_POLY_MASK;
    x->limb[1] += (low >> 44 | high << 20) & SYKLI__CRYPTO_POLY_MASK;
    x->limb[2] += high >> 24 | top << 40;
#else
    for (int i = 0; i < 4; i++)
        x->limb[i] += sykli__crypto_load32(p + 3 * i) >> 2 * i & SYKLI__CRYPTO_POLY_MASK;
    x->limb[4] += sykli__crypto_load32(p + 12) >> 8 | top << 24;
#endif
}

// sum += a b, not yet carried.
static inline void sykli__crypto_mod_mul(sykli__crypto_wide sum[SYKLI__CRYPTO_POLY_LIMBS],
                                         const sykli__crypto_mod *a, const sykli__crypto_mod *b)
{
#if SYKLI__CRYPTO_INT128
    typedef sykli__crypto_wide wide;
    uint64_t a0 = a->limb[0], a1 = a->limb[1], a2 = a->limb[2];
    uint64_t b0 = b->limb[0], b1 = b->limb[1], b2 = b->limb[2];
    uint64_t c1 = b1 * SYKLI__CRYPTO_POLY_WRAP, c2 = b2 * SYKLI__CRYPTO_POLY_WRAP;
    sum[0] += (wide)a0 * b0 + (wide)a1 * c2 + (wide)a2 * c1;
    sum[1] += (wide)a0 * b1 + (wide)a1 * b0 + (wide)a2 * c2;
    sum[2] += (wide)a0 * b2 + (wide)a1 * b1 + (wide)a2 * b0;
#else
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++)
            sum[(i + j) % 5] += a->limb[i] * b->limb[j] * (i + j < 5 ? 1 : 5);
#endif
}

static inline void sykli__crypto_mod_fold(sykli__crypto_mod *out,
                                          const sykli__crypto_wide sum[SYKLI__CRYPTO_POLY_LIMBS])
{
    sykli__crypto_wide carry = 0;
    for (int i = 0; i < SYKLI__CRYPTO_POLY_LIMBS; i++) {
        carry += sum[i];
        out->limb[i] = (uint64_t)carry & SYKLI__CRYPTO_POLY_MASK;
        carry >>= SYKLI__CRYPTO_POLY_BITS;
    }
    carry = carry * SYKLI__CRYPTO_POLY_WRAP + out->limb[0];
    out->limb[0] = (uint64_t)carry & SYKLI__CRYPTO_POLY_MASK;
    out->limb[1] += (uint64_t)(carry >> SYKLI__CRYPTO_POLY_BITS);
}

static void sykli__crypto_poly_begin(sykli__crypto_poly *p, const uint8_t key[32])
{
    uint8_t r[16];
    memset(p, 0, sizeof *p);
    memcpy(r, key, 16);
    memcpy(p->pad, key + 16, 16);
    for (size_t i = 3; i < 16; i += 4) r[i] &= 15;
    for (size_t i = 4; i < 16; i += 4) r[i] &= 252;
    sykli__crypto_mod_add(&p->power[0], r, 0);
    sykli_wipe(r, sizeof r);
}

static void sykli__crypto_poly_block(sykli__crypto_poly *p, const uint8_t *data)
{
    sykli__crypto_wide sum[SYKLI__CRYPTO_POLY_LIMBS] = { 0 };
    sykli__crypto_mod_add(&p->h, data, 1);
    sykli__crypto_mod_mul(sum, &p->h, &p->power[0]);
    sykli__crypto_mod_fold(&p->h, sum);
}

static void sykli__crypto_poly_four(sykli__crypto_poly *p, const uint8_t *data)
{
    sykli__crypto_wide sum[SYKLI__CRYPTO_POLY_LIMBS] = { 0 };
    sykli__crypto_mod b = { { 0 } }, c = b, d = b;
    sykli__crypto_mod_add(&p->h, data, 1);
    sykli__crypto_mod_add(&b, data + 16, 1);
    sykli__crypto_mod_add(&c, data + 32, 1);
    sykli__crypto_mod_add(&d, data + 48, 1);
    sykli__crypto_mod_mul(sum, &p->h, &p->power[3]);
    sykli__crypto_mod_mul(sum, &b, &p->power[2]);
    sykli__crypto_mod_mul(sum, &c, &p->power[1]);
    sykli__crypto_mod_mul(sum, &d, &p->power[0]);
    sykli__crypto_mod_fold(&p->h, sum);
}

static void sykli__crypto_poly_powers(sykli__crypto_poly *p)
{
    for (int i = 1; i < 4; i++) {
        sykli__crypto_wide sum[SYKLI__CRYPTO_POLY_LIMBS] = { 0 };
        sykli__crypto_mod_mul(sum, &p->power[i - 1], &p->power[0]);
        sykli__crypto_mod_fold(&p->power[i], sum);
    }
    p->powers = true;
}

static void sykli__crypto_poly_add(sykli__crypto_poly *p, const uint8_t *data, size_t size)
{
    if (size >= 128 && !p->powers) sykli__crypto_poly_powers(p);
    if (p->powers)
        for (; size >= 64; data += 64, size -= 64) sykli__crypto_poly_four(p, data);
    for (; size >= 16; data += 16, size -= 16) sykli__crypto_poly_block(p, data);
    if (size) {
        uint8_t padded[16] = { 0 };
        memcpy(padded, data, size);
        sykli__crypto_poly_block(p, padded);
    }
}

// h modulo 2^130 - 5, plus the pad modulo 2^128. h is p or more exactly when h + 5 reaches 2^130.
static void sykli__crypto_poly_end(sykli__crypto_poly *p, uint8_t tag[16])
{
    enum { last = SYKLI__CRYPTO_POLY_LIMBS - 1, top = 130 - SYKLI__CRYPTO_POLY_BITS * last };
    uint64_t *h = p->h.limb, bits = 0, carry = 0;
    int held = 0;
    for (int again = 0; again < 3; again++) {
        for (int i = 0; i < last; i++) {
            h[i + 1] += h[i] >> SYKLI__CRYPTO_POLY_BITS;
            h[i] &= SYKLI__CRYPTO_POLY_MASK;
        }
        h[0] += 5 * (h[last] >> top);
        h[last] &= (UINT64_C(1) << top) - 1;
    }
    uint64_t over = 5;
    for (int i = 0; i < last; i++) over = (h[i] + over) >> SYKLI__CRYPTO_POLY_BITS;
    h[0] += 5 * ((h[last] + over) >> top);
    for (int i = 0, at = 0; i <= last; i++) {
        carry += h[i];
        bits |= (carry & SYKLI__CRYPTO_POLY_MASK) << held;
        carry >>= SYKLI__CRYPTO_POLY_BITS;
        held += SYKLI__CRYPTO_POLY_BITS;
        for (; held >= 8 && at < 16; held -= 8, bits >>= 8) tag[at++] = (uint8_t)bits;
    }
    carry = 0;
    for (int i = 0; i < 16; i++) {
        carry += (uint64_t)tag[i] + p->pad[i];
        tag[i] = (uint8_t)carry;
        carry >>= 8;
    }
    sykli_wipe(p, sizeof *p);
}

// ChaCha20-Poly1305 (RFC 8439, section 2.8). Block 0 of the stream keys the authenticator.
static void sykli__crypto_aead_begin(sykli__crypto_chacha *c, sykli__crypto_poly *p,
                                     const uint8_t key[32], const uint8_t nonce[12])
{
    sykli__crypto_chacha_begin(c, key, nonce);
    sykli__crypto_chacha_block(c, c->stream);
    sykli__crypto_poly_begin(p, c->stream);
}

static void sykli__crypto_aead_tag(sykli__crypto_poly *p, const void *extra, size_t extra_size,
                                   const uint8_t *data, size_t size, uint8_t tag[16])
{
    uint8_t sizes[16];
    sykli__crypto_poly_add(p, (const uint8_t *)extra, extra_size);
    sykli__crypto_poly_add(p, data, size);
    sykli__crypto_store64(sizes, extra_size);
    sykli__crypto_store64(sizes + 8, size);
    sykli__crypto_poly_add(p, sizes, sizeof sizes);
    sykli__crypto_poly_end(p, tag);
}

static void sykli__crypto_seal(void *user, const uint8_t key[32], const uint8_t nonce[12],
                               const void *extra, size_t extra_size, void *data, size_t size,
                               uint8_t tag[16])
{
    sykli__crypto_chacha chacha;
    sykli__crypto_poly poly;
    (void)user;
    sykli__crypto_aead_begin(&chacha, &poly, key, nonce);
    sykli__crypto_chacha_xor(&chacha, (uint8_t *)data, size);
    sykli__crypto_aead_tag(&poly, extra, extra_size, (const uint8_t *)data, size, tag);
    sykli_wipe(&chacha, sizeof chacha);
}

static int sykli__crypto_open(void *user, const uint8_t key[32], const uint8_t nonce[12],
                              const void *extra, size_t extra_size, void *data, size_t size,
                              const uint8_t tag[16])
{
    sykli__crypto_chacha chacha;
    sykli__crypto_poly poly;
    uint8_t right[16];
    (void)user;
    sykli__crypto_aead_begin(&chacha, &poly, key, nonce);
    sykli__crypto_aead_tag(&poly, extra, extra_size, (const uint8_t *)data, size, right);
    bool same = sykli__crypto_equal(right, tag, sizeof right);
    if (same) sykli__crypto_chacha_xor(&chacha, (uint8_t *)data, size);
    sykli_wipe(&chacha, sizeof chacha);
    sykli_wipe(right, sizeof right);
    return same ? 0 : SYKLI_EAUTH;
}

void sykli_crypto_init(sykli_crypto *out)
{
    static const sykli_crypto ours = { NULL, sykli__crypto_x25519, sykli__crypto_sign_public,
                                       sykli__crypto_sign, sykli__crypto_verify, sykli__crypto_seal,
                                       sykli__crypto_open };
    *out = ours;
}
SYKLI_FASTEST_END

// >>noise ---- handshake patterns with psk modifiers, cipher states
// The Noise Protocol Framework, revision 34, with 25519, ChaChaPoly and SHA256: the patterns NN and
// XX with pre-shared keys at any place. The mesh uses XXpsk0: who lacks the cookie cannot make
// the first message, and both sides prove their static keys under keys that nobody can make again
// afterwards. Messages go in and out as bytes; the caller brings the random bytes. What is secret
// is named so, is never printed, and is wiped when the handshake is over or has failed.

enum {
    SYKLI__NOISE_TAG = 16,
    SYKLI__NOISE_MESSAGE_MAX = 65535, // section 3
    SYKLI__NOISE_PSKS_MAX = 4         // psk0 to psk3
};

// One direction of a session, section 5.1.
typedef struct sykli__noise_cipher {
    const sykli_crypto *crypto;
    uint8_t key_secret[32];
    uint64_t counter;
    bool keyed;
} sykli__noise_cipher;

typedef struct sykli__noise {
    const sykli_crypto *crypto;
    const char *const *messages; // their tokens; NULL after the last
    int message;                 // the next
    bool initiator, failed;
    unsigned psk_places;         // bit n: pskn
    int psk_next;
    uint8_t psk_secrets[SYKLI__NOISE_PSKS_MAX][32];
    uint8_t static_secret[32], ephemeral_secret[32];
    uint8_t remote_static[32], remote_ephemeral[32];
    uint8_t chain_secret[32], hash[32];
    sykli__noise_cipher cipher;
} sykli__noise;

typedef struct sykli__noise_desc {
    const char *pattern;             // "NN", "XX", "XXpsk0", "NNpsk0+psk2"
    bool initiator;
    const void *prologue;            // both sides must give the same
    size_t prologue_size;
    const uint8_t *static_secret;    // 32 bytes; NULL: none
    const uint8_t *ephemeral_secret; // 32 fresh random bytes
    const uint8_t (*psk_secrets)[32]; // one for each modifier, in their order
    size_t psk_count;
} sykli__noise_desc;

static void sykli__noise_nonce(uint8_t nonce[12], uint64_t counter)
{
    memset(nonce, 0, 4);
    sykli__crypto_store64(nonce + 4, counter);
}

static void sykli__noise_cipher_set(sykli__noise_cipher *c, const sykli_crypto *crypto,
                                    const uint8_t key_secret[32])
{
    c->crypto = crypto;
    memcpy(c->key_secret, key_secret, 32);
    c->counter = 0;
    c->keyed = true;
}

// Encrypts in place.
//   returns  0; ELIMIT when all nonces are used (2^64 - 1 is kept for rekey)
static int sykli__noise_seal(sykli__noise_cipher *c, const void *extra, size_t extra_size,
                             void *data, size_t size, uint8_t tag[SYKLI__NOISE_TAG])
{
    uint8_t nonce[12];
    if (!c->keyed || c->counter == UINT64_MAX) return SYKLI_ELIMIT;
    sykli__noise_nonce(nonce, c->counter++);
    c->crypto->seal(c->crypto->user, c->key_secret, nonce, extra, extra_size, data, size, tag);
    return 0;
}

// Decrypts in place. A record that does not open does not use up its nonce.
//   returns  0; EAUTH, then data is as it was; ELIMIT
static int sykli__noise_open(sykli__noise_cipher *c, const void *extra, size_t extra_size,
                             void *data, size_t size, const uint8_t tag[SYKLI__NOISE_TAG])
{
    uint8_t nonce[12];
    if (!c->keyed || c->counter == UINT64_MAX) return SYKLI_ELIMIT;
    sykli__noise_nonce(nonce, c->counter);
    int rc = c->crypto->open(c->crypto->user, c->key_secret, nonce, extra, extra_size, data, size,
                             tag);
    if (!rc) c->counter++;
    return rc;
}

// Replaces the key by one that does not lead back to it (section 11.3); the counter goes on.
static void sykli__noise_rekey(sykli__noise_cipher *c)
{
    uint8_t nonce[12], tag[SYKLI__NOISE_TAG], fresh_secret[32] = { 0 };
    sykli__noise_nonce(nonce, UINT64_MAX);
    c->crypto->seal(c->crypto->user, c->key_secret, nonce, NULL, 0, fresh_secret, 32, tag);
    memcpy(c->key_secret, fresh_secret, 32);
    sykli_wipe(fresh_secret, sizeof fresh_secret);
}

static void sykli__noise_mix_hash(sykli__noise *n, const void *data, size_t size)
{
    sykli_sha256 h;
    sykli_sha256_init(&h);
    sykli_sha256_add(&h, n->hash, 32);
    sykli_sha256_add(&h, data, size);
    sykli_sha256_end(&h, n->hash);
}

static void sykli__noise_mix_key(sykli__noise *n, const uint8_t secret[32])
{
    uint8_t keys_secret[2][32];
    sykli__crypto_hkdf(keys_secret, sizeof keys_secret, n->chain_secret, 32, secret, 32, NULL, 0);
    memcpy(n->chain_secret, keys_secret[0], 32);
    sykli__noise_cipher_set(&n->cipher, n->crypto, keys_secret[1]);
    sykli_wipe(keys_secret, sizeof keys_secret);
}

// Section 9.2: a pre-shared key goes into the hash too.
static void sykli__noise_mix_psk(sykli__noise *n)
{
    uint8_t keys_secret[3][32];
    sykli__crypto_hkdf(keys_secret, sizeof keys_secret, n->chain_secret, 32,
                       n->psk_secrets[n->psk_next++], 32, NULL, 0);
    memcpy(n->chain_secret, keys_secret[0], 32);
    sykli__noise_mix_hash(n, keys_secret[1], 32);
    sykli__noise_cipher_set(&n->cipher, n->crypto, keys_secret[2]);
    sykli_wipe(keys_secret, sizeof keys_secret);
}

// Forgets every secret; the handshake hash and the remote static key stay.
static void sykli__noise_end(sykli__noise *n)
{
    sykli_wipe(n->psk_secrets, sizeof n->psk_secrets);
    sykli_wipe(n->static_secret, sizeof n->static_secret);
    sykli_wipe(n->ephemeral_secret, sizeof n->ephemeral_secret);
    sykli_wipe(n->chain_secret, sizeof n->chain_secret);
    sykli_wipe(&n->cipher, sizeof n->cipher);
}

static int sykli__noise_refuse(sykli__noise *n, int code)
{
    n->failed = true;
    sykli__noise_end(n);
    return code;
}

// The places of the modifiers "psk0+psk2", each once and in ascending order, `last` at most.
//   returns  false: something else stands there
static bool sykli__noise_modifiers(const char *text, int last, unsigned *places)
{
    for (*places = 0; *text; text += *text == '+') {
        if (strncmp(text, "psk", 3) || text[3] < '0' || text[3] > '0' + last) return false;
        if (*places >> (text[3] - '0')) return false;
        *places |= 1u << (text[3] - '0');
        text += 4;
        if (*text && (*text != '+' || !text[1])) return false;
    }
    return true;
}

// Starts a handshake. Everything is copied. No curve is computed until a message is written or
// names two keys, so that with psk0 a stranger's first message costs a few hashes.
//   returns  0; EINVAL: an unknown pattern, or keys that do not fit it
static int sykli__noise_begin(sykli__noise *n, const sykli_crypto *crypto,
                              const sykli__noise_desc *desc)
{
    static const char *const nn[] = { "e", "e ee", NULL };
    static const char *const xx[] = { "e", "e ee s es", "s se", NULL };
    bool is_xx = !strncmp(desc->pattern, "XX", 2);
    size_t needed = 0;
    memset(n, 0, sizeof *n);
    if (!is_xx && strncmp(desc->pattern, "NN", 2)) return SYKLI_EINVAL;
    if (!sykli__noise_modifiers(desc->pattern + 2, is_xx ? 3 : 2, &n->psk_places))
        return SYKLI_EINVAL;
    for (unsigned i = 0; i < SYKLI__NOISE_PSKS_MAX; i++) needed += n->psk_places >> i & 1;
    if (needed != desc->psk_count || (is_xx && !desc->static_secret)) return SYKLI_EINVAL;
    n->crypto = crypto;
    n->messages = is_xx ? xx : nn;
    n->initiator = desc->initiator;
    if (needed) memcpy(n->psk_secrets, desc->psk_secrets, needed * 32);
    memcpy(n->ephemeral_secret, desc->ephemeral_secret, 32);
    if (is_xx) memcpy(n->static_secret, desc->static_secret, 32);
    char name[96] = "Noise_";
    size_t size = strlen(desc->pattern);
    memcpy(name + 6, desc->pattern, size); // at most "XXpsk0+psk1+psk2+psk3"
    memcpy(name + 6 + size, "_25519_ChaChaPoly_SHA256", 25);
    size += 6 + 24;
    if (size <= 32) memcpy(n->hash, name, size);
    else sykli_sha256_of(name, size, n->hash);
    memcpy(n->chain_secret, n->hash, 32);
    sykli__noise_mix_hash(n, desc->prologue, desc->prologue_size);
    return 0;
}

// Whether the next message is ours to write, the other's, or there is none left.
static bool sykli__noise_ended(const sykli__noise *n) { return !n->messages[n->message]; }
static bool sykli__noise_writes(const sykli__noise *n)
{
    return !n->failed && !sykli__noise_ended(n) && (n->message % 2 == 0) == n->initiator;
}
static bool sykli__noise_reads(const sykli__noise *n)
{
    return !n->failed && !sykli__noise_ended(n) && (n->message % 2 == 0) != n->initiator;
}

// A token of two letters: the initiator's key and the responder's, mixed by Diffie-Hellman.
static int sykli__noise_mix_dh(sykli__noise *n, const char token[2])
{
    bool ephemeral = token[n->initiator ? 0 : 1] == 'e';
    bool remote = token[n->initiator ? 1 : 0] == 'e';
    uint8_t shared_secret[32];
    int rc = n->crypto->x25519(n->crypto->user, shared_secret,
                               ephemeral ? n->ephemeral_secret : n->static_secret,
                               remote ? n->remote_ephemeral : n->remote_static);
    if (!rc) sykli__noise_mix_key(n, shared_secret);
    sykli_wipe(shared_secret, sizeof shared_secret);
    return rc;
}

// An ephemeral key counts as mixed into the key too where there are pre-shared ones (section 9.2).
static void sykli__noise_mix_ephemeral(sykli__noise *n, const uint8_t key[32])
{
    sykli__noise_mix_hash(n, key, 32);
    if (n->psk_places) sykli__noise_mix_key(n, key);
}

// Encrypts `size` bytes at `data` in place if there is a key yet; a tag follows them then.
//   returns  bytes with the tag
static size_t sykli__noise_conceal(sykli__noise *n, uint8_t *data, size_t size)
{
    if (n->cipher.keyed) {
        // A handshake never comes near the last nonce.
        sykli__noise_seal(&n->cipher, n->hash, 32, data, size, data + size);
        size += SYKLI__NOISE_TAG;
    }
    sykli__noise_mix_hash(n, data, size);
    return size;
}

// Opens the first `size` bytes at `data`, the tag not counted, into `out`.
static int sykli__noise_reveal(sykli__noise *n, const uint8_t *data, size_t size, uint8_t *out)
{
    uint8_t before[32];
    memcpy(before, n->hash, 32);
    sykli__noise_mix_hash(n, data, size + (n->cipher.keyed ? SYKLI__NOISE_TAG : 0));
    if (size) memcpy(out, data, size);
    if (!n->cipher.keyed) return 0;
    return sykli__noise_open(&n->cipher, before, 32, out, size, data + size);
}

// Appends the next message with a payload.
//   returns  0; EINVAL: it is not our turn; ELIMIT, ENOMEM: nothing has changed;
//            EAUTH: the peer's key is a low-order point, the handshake has failed
static int sykli__noise_write(sykli__noise *n, const void *payload, size_t size, sykli_buf *out)
{
    static const uint8_t base[32] = { 9 };
    if (!sykli__noise_writes(n)) return SYKLI_EINVAL;
    if (size > SYKLI__NOISE_MESSAGE_MAX - 96) return SYKLI_ELIMIT; // e, s, two tags
    uint8_t *start = sykli_buf_grow(out, size + 96), *at = start;
    if (!start) return out->error;
    if (!n->message && n->psk_places & 1) sykli__noise_mix_psk(n);
    for (const char *token = n->messages[n->message]; *token; token += *token == ' ') {
        size_t letters = strcspn(token, " ");
        if (letters == 2) {
            if (sykli__noise_mix_dh(n, token)) return sykli__noise_refuse(n, SYKLI_EAUTH);
        } else if (*token == 'e') {
            n->crypto->x25519(n->crypto->user, at, n->ephemeral_secret, base);
            sykli__noise_mix_ephemeral(n, at);
            at += 32;
        } else {
            n->crypto->x25519(n->crypto->user, at, n->static_secret, base);
            at += sykli__noise_conceal(n, at, 32);
        }
        token += letters;
    }
    if (n->psk_places >> (n->message + 1) & 1) sykli__noise_mix_psk(n);
    if (size) memcpy(at, payload, size);
    at += sykli__noise_conceal(n, at, size);
    out->size += (size_t)(at - start);
    n->message++;
    return 0;
}

// The static key of the peer, sealed where there is a key.
static int sykli__noise_read_static(sykli__noise *n, sykli__wire_in *in)
{
    const uint8_t *at = sykli__wire_take(in, 32 + (n->cipher.keyed ? SYKLI__NOISE_TAG : 0));
    return at ? sykli__noise_reveal(n, at, 32, n->remote_static) : SYKLI_EAUTH;
}

static int sykli__noise_read_ephemeral(sykli__noise *n, sykli__wire_in *in)
{
    sykli__wire_copy(in, n->remote_ephemeral, 32);
    if (in->bad) return SYKLI_EAUTH;
    sykli__noise_mix_ephemeral(n, n->remote_ephemeral);
    return 0;
}

// Takes the peer's next message and appends its payload.
//   returns  0; EINVAL: it is not the peer's turn; ENOMEM, ELIMIT: nothing has changed;
//            EAUTH: it is not genuine, the handshake has failed
static int sykli__noise_read(sykli__noise *n, const void *message, size_t size, sykli_buf *payload)
{
    if (!sykli__noise_reads(n)) return SYKLI_EINVAL;
    if (size > SYKLI__NOISE_MESSAGE_MAX) return SYKLI_ELIMIT;
    uint8_t *room = sykli_buf_grow(payload, size);
    if (!room) return payload->error;
    sykli__wire_in in = sykli__wire_over(message, size);
    int rc = 0;
    if (!n->message && n->psk_places & 1) sykli__noise_mix_psk(n);
    for (const char *token = n->messages[n->message]; *token && !rc; token += *token == ' ') {
        size_t letters = strcspn(token, " ");
        if (letters == 2) rc = sykli__noise_mix_dh(n, token);
        else if (*token == 'e') rc = sykli__noise_read_ephemeral(n, &in);
        else rc = sykli__noise_read_static(n, &in);
        token += letters;
    }
    if (!rc && n->psk_places >> (n->message + 1) & 1) sykli__noise_mix_psk(n);
    size_t tag = n->cipher.keyed ? SYKLI__NOISE_TAG : 0;
    if (!rc && in.left < tag) rc = SYKLI_EAUTH;
    if (!rc) rc = sykli__noise_reveal(n, in.at, in.left - tag, room);
    if (rc) return sykli__noise_refuse(n, SYKLI_EAUTH);
    payload->size += in.left - tag;
    n->message++;
    return 0;
}

// Ends a handshake whose messages have all gone: a key for each direction. The state keeps the
// handshake hash and the remote static key, and no secret.
//   returns  0; EINVAL: it has not ended, or has failed
static int sykli__noise_split(sykli__noise *n, sykli__noise_cipher *send,
                              sykli__noise_cipher *receive)
{
    uint8_t keys_secret[2][32];
    if (n->failed || !sykli__noise_ended(n)) return SYKLI_EINVAL;
    sykli__crypto_hkdf(keys_secret, sizeof keys_secret, n->chain_secret, 32, NULL, 0, NULL, 0);
    sykli__noise_cipher_set(send, n->crypto, keys_secret[n->initiator ? 0 : 1]);
    sykli__noise_cipher_set(receive, n->crypto, keys_secret[n->initiator ? 1 : 0]);
    sykli_wipe(keys_secret, sizeof keys_secret);
    sykli__noise_refuse(n, 0); // no second split
    return 0;
}

#if defined(SYKLI_SIM)
// A crypto table of equal sizes that costs next to nothing and protects nothing, so that a
// simulation of many nodes spends its time on the protocol. Changed bytes are still noticed.
static uint64_t sykli__noise_fake_sum(uint64_t start, const void *data, size_t size)
{
    const uint64_t key[2] = { start, size };
    return sykli_siphash(key, data, size);
}

static int sykli__noise_fake_x25519(void *user, uint8_t out[32], const uint8_t secret[32],
                                    const uint8_t point[32])
{
    (void)user;
    for (size_t i = 0; i < 32; i++) out[i] = secret[i] ^ point[i]; // commutes, as it must
    return 0;
}

static void sykli__noise_fake_public(void *user, uint8_t out[32], const uint8_t seed[32])
{
    (void)user;
    for (size_t i = 0; i < 32; i++) out[i] = (uint8_t)(seed[i] + 1);
}

static void sykli__noise_fake_signature(uint8_t out[64], const uint8_t key[32], const void *data,
                                        size_t size)
{
    uint64_t sum = sykli__noise_fake_sum(sykli__noise_fake_sum(1, key, 32), data, size);
    for (size_t i = 0; i < 8; i++) sykli__crypto_store64(out + 8 * i, sum + i);
}

static void sykli__noise_fake_sign(void *user, uint8_t out[64], const uint8_t seed[32],
                                   const void *data, size_t size)
{
    uint8_t key[32];
    sykli__noise_fake_public(user, key, seed);
    sykli__noise_fake_signature(out, key, data, size);
}

static int sykli__noise_fake_verify(void *user, const uint8_t signature[64],
                                    const uint8_t public_key[32], const void *data, size_t size)
{
    uint8_t right[64];
    (void)user;
    sykli__noise_fake_signature(right, public_key, data, size);
    return memcmp(right, signature, 64) ? SYKLI_EAUTH : 0;
}

static void sykli__noise_fake_seal(void *user, const uint8_t key[32], const uint8_t nonce[12],
                                   const void *extra, size_t extra_size, void *data, size_t size,
                                   uint8_t tag[16])
{
    (void)user;
    uint64_t sum = sykli__noise_fake_sum(sykli__noise_fake_sum(2, key, 32), nonce, 12);
    sum = sykli__noise_fake_sum(sum, extra, extra_size);
    sum = sykli__noise_fake_sum(sum, data, size);
    sykli__crypto_store64(tag, sum);
    sykli__crypto_store64(tag + 8, ~sum);
}

static int sykli__noise_fake_open(void *user, const uint8_t key[32], const uint8_t nonce[12],
                                  const void *extra, size_t extra_size, void *data, size_t size,
                                  const uint8_t tag[16])
{
    uint8_t right[16];
    sykli__noise_fake_seal(user, key, nonce, extra, extra_size, data, size, right);
    return memcmp(right, tag, 16) ? SYKLI_EAUTH : 0;
}

void sykli_crypto_fake(sykli_crypto *out)
{
    static const sykli_crypto fake = { NULL, sykli__noise_fake_x25519, sykli__noise_fake_public,
                                       sykli__noise_fake_sign, sykli__noise_fake_verify,
                                       sykli__noise_fake_seal, sykli__noise_fake_open };
    *out = fake;
}
#endif

// >>roster ---- signed envelopes, roster, invite tokens, key files
// Who is who. A node is its two public keys; the mesh is the public half of one key that signs the
// roster: names, roles, bans. Whatever must be believed no matter who relays it (roster, config,
// target, binary, trusted action) travels in the same signed envelope. Key files, tokens and the
// book of invites are encoded and decoded here and read and written elsewhere. Fields that hold
// secrets end in `_secret` and are never part of a message.

enum {
    SYKLI__ROSTER_ID = 16,
    SYKLI__ROSTER_NODES_MAX = 4096,
    SYKLI__ROSTER_BANS_MAX = 16384,
    SYKLI__ROSTER_LABELS_MAX = 255,         // bytes of all labels of a node, space between
    SYKLI__ROSTER_BODY_MAX = 4 << 20,
    SYKLI__ROSTER_HEAD = 102,               // signed bytes of an envelope
    SYKLI__ROSTER_ENVELOPE = SYKLI__ROSTER_HEAD + 64,
    SYKLI__ROSTER_ALG_ED25519 = 1,
    SYKLI__ROSTER_COOKIE_MIN = 32,
    SYKLI__ROSTER_COOKIE_MAX = 64,
    SYKLI__ROSTER_KEY_FILE_MAX = 4096,
    SYKLI__ROSTER_ADDRESSES_MAX = 3,
    SYKLI__ROSTER_ADDRESS_MAX = 255,
    SYKLI__ROSTER_TOKEN_MAX = 2048,         // characters
    SYKLI__ROSTER_USES_MAX = 64,            // of one token
    SYKLI__ROSTER_TICKETS_MAX = 1024,
    SYKLI__ROSTER_BOOK_MAX = 4 << 20        // bytes of the book of invites
};

// The first bytes of SHA-256 over a label and up to two keys. The label keeps ids of different
// kinds apart.
static void sykli__roster_hash(uint8_t *out, size_t size, const char *label, const uint8_t *a,
                               const uint8_t *b)
{
    sykli_sha256 h;
    uint8_t digest[32];
    sykli_sha256_init(&h);
    sykli_sha256_add(&h, label, strlen(label));
    sykli_sha256_add(&h, a, 32);
    if (b) sykli_sha256_add(&h, b, 32);
    sykli_sha256_end(&h, digest);
    memcpy(out, digest, size);
}

// A node's id covers both of its keys: the handshake proves the X25519 key, so it fixes the key
// that verifies the node's signatures as well, and nobody can pair another's with his own.
static void sykli__roster_node_id(uint8_t out[SYKLI__ROSTER_ID], const uint8_t exchange[32],
                                  const uint8_t sign[32])
{
    sykli__roster_hash(out, SYKLI__ROSTER_ID, "sykli-node", exchange, sign);
}

static void sykli__roster_mesh_id(uint8_t out[SYKLI__ROSTER_ID], const uint8_t mesh[32])
{
    sykli__roster_hash(out, SYKLI__ROSTER_ID, "sykli-mesh", mesh, NULL);
}

// Which key signed an envelope; a hint, as four bytes may be shared.
static void sykli__roster_key_id(uint8_t out[4], const uint8_t sign[32])
{
    sykli__roster_hash(out, 4, "sykli-key", sign, NULL);
}

// Node names are [a-z0-9._-], 1 to SYKLI_NODE_NAME_MAX bytes.
static bool sykli__roster_name_valid(const char *name)
{
    size_t size = strlen(name);
    return size && size <= SYKLI_NODE_NAME_MAX
        && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == size;
}

// ---- keys and the cookie

// A cookie admits to the mesh and a recorded first message lets it be guessed at leisure, so it
// must be beyond guessing.
static int sykli__roster_cookie_check(const uint8_t *cookie, size_t size, sykli_fault *fault)
{
    size_t same = 1;
    if (size < SYKLI__ROSTER_COOKIE_MIN || size > SYKLI__ROSTER_COOKIE_MAX)
        return sykli_fail(fault, SYKLI_EINVAL, "the cookie has %u bytes, it needs %d to %d; "
                          "`sykli cookie new` makes one", (unsigned)size,
                          SYKLI__ROSTER_COOKIE_MIN, SYKLI__ROSTER_COOKIE_MAX);
    while (same < size && cookie[same] == cookie[0]) same++;
    if (same == size)
        return sykli_fail(fault, SYKLI_EINVAL, "all bytes of the cookie are the same; "
                          "`sykli cookie new` makes one of random bytes");
    return 0;
}

// What the handshake uses of a cookie: the pre-shared key, and the id by which both ends find it,
// as long as that of an invite, whose place in HELLO it shares.
static void sykli__roster_cookie_psk(uint8_t id[8], uint8_t psk_secret[32], const uint8_t *cookie,
                                     size_t size)
{
    sykli__crypto_hkdf(psk_secret, 32, NULL, 0, cookie, size, "sykli-mesh-v1", 13);
    sykli__crypto_hkdf(id, 8, NULL, 0, cookie, size, "sykli-cookie-id", 15);
}

// What a node keeps to itself. A file holds any part of it: node key, mesh key, cookie.
typedef struct sykli__roster_keys {
    unsigned has; // bit n: field n of sykli__roster_key_fields
    char name[SYKLI_NODE_NAME_MAX + 1];
    uint8_t exchange_secret[32], sign_secret[32]; // X25519, seed of Ed25519
    uint8_t mesh_secret[32], cookie_secret[32];   // seed of Ed25519; membership
    uint8_t mesh[32];                             // the mesh's public key
    uint8_t exchange[32], sign[32], id[SYKLI__ROSTER_ID], mesh_id[SYKLI__ROSTER_ID]; // derived
} sykli__roster_keys;

enum { // bits of `has`
    SYKLI__ROSTER_HAS_EXCHANGE = 1, SYKLI__ROSTER_HAS_SIGN = 2,
    SYKLI__ROSTER_HAS_NODE = SYKLI__ROSTER_HAS_EXCHANGE | SYKLI__ROSTER_HAS_SIGN,
    SYKLI__ROSTER_HAS_MESH_SECRET = 4, SYKLI__ROSTER_HAS_MESH = 8, SYKLI__ROSTER_HAS_COOKIE = 16
};

static const struct sykli__roster_key_field { const char *name; size_t offset; }
    sykli__roster_key_fields[] = {
        { "exchange_secret", offsetof(sykli__roster_keys, exchange_secret) },
        { "sign_secret", offsetof(sykli__roster_keys, sign_secret) },
        { "mesh_secret", offsetof(sykli__roster_keys, mesh_secret) },
        { "mesh", offsetof(sykli__roster_keys, mesh) },
        { "cookie_secret", offsetof(sykli__roster_keys, cookie_secret) } };
#define SYKLI__ROSTER_KEY_FIELDS \
    (sizeof sykli__roster_key_fields / sizeof *sykli__roster_key_fields)

static void sykli__roster_keys_wipe(sykli__roster_keys *k) { sykli_wipe(k, sizeof *k); }

// Gives back a buffer that held secrets.
static void sykli__roster_buf_wipe(sykli_buf *b)
{
    if (b->data) sykli_wipe(b->data, b->capacity);
    sykli_buf_free(b);
}

// Computes the public halves and the ids of what is there.
static int sykli__roster_keys_derive(sykli__roster_keys *k, const sykli_crypto *crypto,
                                     sykli_fault *fault)
{
    static const uint8_t base[32] = { 9 };
    uint8_t mesh[32];
    unsigned node = k->has & SYKLI__ROSTER_HAS_NODE;
    if (node && node != SYKLI__ROSTER_HAS_NODE)
        return sykli_fail(fault, SYKLI_EPARSE, "a node key needs both exchange_secret and "
                          "sign_secret");
    if (node && !sykli__roster_name_valid(k->name))
        return sykli_fail(fault, SYKLI_EPARSE, "a node key needs a name of 1 to %d characters of "
                          "a-z 0-9 . _ -", SYKLI_NODE_NAME_MAX);
    if (k->has & SYKLI__ROSTER_HAS_COOKIE) {
        int rc = sykli__roster_cookie_check(k->cookie_secret, 32, fault);
        if (rc) return rc;
    }
    if (node) {
        crypto->x25519(crypto->user, k->exchange, k->exchange_secret, base);
        crypto->sign_public(crypto->user, k->sign, k->sign_secret);
        sykli__roster_node_id(k->id, k->exchange, k->sign);
    }
    if (k->has & SYKLI__ROSTER_HAS_MESH_SECRET) {
        crypto->sign_public(crypto->user, mesh, k->mesh_secret);
        if (k->has & SYKLI__ROSTER_HAS_MESH && memcmp(mesh, k->mesh, 32))
            return sykli_fail(fault, SYKLI_EPARSE, "mesh is not the public half of mesh_secret");
        memcpy(k->mesh, mesh, 32);
        k->has |= SYKLI__ROSTER_HAS_MESH;
    }
    if (k->has & SYKLI__ROSTER_HAS_MESH) sykli__roster_mesh_id(k->mesh_id, k->mesh);
    return 0;
}

// Appends one `name: value` line a field. The buffer is to be wiped.
static int sykli__roster_keys_encode(const sykli__roster_keys *k, sykli_buf *out)
{
    char hex[65];
    if (!sykli_buf_grow(out, 1024)) return out->error; // once, so that no copy is left behind
    sykli_buf_text(out, "# Keys of a sykli node. Whoever reads this file can be this node.\n");
    if (k->name[0]) sykli_buf_print(out, "name: %s\n", k->name);
    for (size_t i = 0; i < SYKLI__ROSTER_KEY_FIELDS; i++) {
        if (!(k->has >> i & 1)) continue;
        sykli_hex(hex, (const uint8_t *)k + sykli__roster_key_fields[i].offset, 32);
        sykli_buf_print(out, "%s: %s\n", sykli__roster_key_fields[i].name, hex);
    }
    sykli_wipe(hex, sizeof hex);
    return out->error;
}

// One line without its end. A value is never quoted in a message: it may be a secret.
static int sykli__roster_keys_line(sykli__roster_keys *k, const char *line, size_t size,
                                   unsigned number, sykli_fault *fault)
{
    const char *colon = (const char *)memchr(line, ':', size);
    if (!colon || colon + 1 == line + size || colon[1] != ' ')
        return sykli_fail(fault, SYKLI_EPARSE, "line %u: not `name: value`", number);
    const char *value = colon + 2;
    size_t name_size = (size_t)(colon - line), value_size = size - name_size - 2;
    if (name_size == 4 && !memcmp(line, "name", 4)) {
        if (value_size > SYKLI_NODE_NAME_MAX || k->name[0])
            return sykli_fail(fault, SYKLI_EPARSE, "line %u: a second name, or more than %d bytes",
                              number, SYKLI_NODE_NAME_MAX);
        memcpy(k->name, value, value_size);
        return 0;
    }
    for (size_t i = 0; i < SYKLI__ROSTER_KEY_FIELDS; i++) {
        const char *name = sykli__roster_key_fields[i].name;
        if (strlen(name) != name_size || memcmp(name, line, name_size)) continue;
        if (k->has >> i & 1)
            return sykli_fail(fault, SYKLI_EPARSE, "line %u: a second %s", number, name);
        if (sykli_unhex((uint8_t *)k + sykli__roster_key_fields[i].offset, 32, value, value_size))
            return sykli_fail(fault, SYKLI_EPARSE, "line %u: %s must be 64 hex digits, 32 bytes",
                              number, name);
        k->has |= 1u << i;
        return 0;
    }
    return sykli_fail(fault, SYKLI_EPARSE, "line %u: no such field; name, exchange_secret, "
                      "sign_secret, mesh_secret, mesh and cookie_secret are known", number);
}

// Adds what stands in a file to `k`, which is zeroed at first and may hold another file's keys.
//   returns  0; EPARSE with the line, EINVAL (a weak cookie): then `k` is wiped
static int sykli__roster_keys_decode(sykli__roster_keys *k, const sykli_crypto *crypto,
                                     const char *text, size_t size, sykli_fault *fault)
{
    int rc = 0;
    if (size > SYKLI__ROSTER_KEY_FILE_MAX)
        rc = sykli_fail(fault, SYKLI_EPARSE, "more than %d bytes, not a key file",
                        SYKLI__ROSTER_KEY_FILE_MAX);
    for (unsigned number = 1; size && !rc; number++) {
        const char *end = (const char *)memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size, whole = line + (end ? 1 : 0);
        if (line && text[line - 1] == '\r') line--;
        if (line && *text != '#') rc = sykli__roster_keys_line(k, text, line, number, fault);
        text += whole;
        size -= whole;
    }
    if (!rc) rc = sykli__roster_keys_derive(k, crypto, fault);
    if (rc) sykli__roster_keys_wipe(k);
    return rc;
}

// ---- signed envelopes

typedef enum sykli__roster_kind {
    SYKLI__ROSTER_ROSTER = 1, SYKLI__ROSTER_CONFIG, SYKLI__ROSTER_TARGET, SYKLI__ROSTER_BINARY,
    SYKLI__ROSTER_ACTION
} sykli__roster_kind;

static const char *sykli__roster_kind_name(unsigned kind)
{
    static const char *const names[] = { "roster", "config", "target", "binary", "action" };
    return kind >= 1 && kind <= 5 ? names[kind - 1] : "thing of an unknown kind";
}

// What is signed is the head; the body is bound by its digest, which is its blob id, so that a
// large one can be fetched apart.
typedef struct sykli__roster_envelope {
    uint8_t kind, alg;
    uint8_t mesh_id[SYKLI__ROSTER_ID], key_id[4];
    uint64_t epoch, version;
    uint8_t parent[32];   // hash of the envelope this one follows; zeros: none
    uint8_t digest[32];   // SHA256TREE of the body
    uint8_t signature[64];
} sykli__roster_envelope;

static uint8_t *sykli__roster_pack(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

static void sykli__roster_head(const sykli__roster_envelope *e, uint8_t out[SYKLI__ROSTER_HEAD])
{
    uint8_t numbers[16];
    for (int i = 0; i < 8; i++) numbers[i] = (uint8_t)(e->epoch >> (56 - 8 * i));
    for (int i = 0; i < 8; i++) numbers[8 + i] = (uint8_t)(e->version >> (56 - 8 * i));
    out = sykli__roster_pack(out, &e->kind, 1);
    out = sykli__roster_pack(out, e->mesh_id, sizeof e->mesh_id);
    out = sykli__roster_pack(out, &e->alg, 1);
    out = sykli__roster_pack(out, e->key_id, sizeof e->key_id);
    out = sykli__roster_pack(out, numbers, sizeof numbers);
    out = sykli__roster_pack(out, e->parent, sizeof e->parent);
    sykli__roster_pack(out, e->digest, sizeof e->digest);
}

static void sykli__roster_envelope_put(sykli__wire_out *out, const sykli__roster_envelope *e)
{
    uint8_t head[SYKLI__ROSTER_HEAD];
    sykli__roster_head(e, head);
    sykli__wire_put_bytes(out, head, sizeof head);
    sykli__wire_put_bytes(out, e->signature, sizeof e->signature);
}

// Reads an envelope that must be of this kind and mesh. Nothing is believed yet.
//   returns  0; EPARSE, EUNSUPPORTED (another algorithm), EAUTH (another mesh)
static int sykli__roster_envelope_get(sykli__wire_in *in, sykli__roster_envelope *e,
                                      sykli__roster_kind kind,
                                      const uint8_t mesh_id[SYKLI__ROSTER_ID], sykli_fault *fault)
{
    const char *name = sykli__roster_kind_name(kind);
    e->kind = sykli__wire_u8(in);
    sykli__wire_copy(in, e->mesh_id, sizeof e->mesh_id);
    e->alg = sykli__wire_u8(in);
    sykli__wire_copy(in, e->key_id, sizeof e->key_id);
    e->epoch = sykli__wire_u64(in);
    e->version = sykli__wire_u64(in);
    sykli__wire_copy(in, e->parent, sizeof e->parent);
    sykli__wire_copy(in, e->digest, sizeof e->digest);
    sykli__wire_copy(in, e->signature, sizeof e->signature);
    if (in->bad) return sykli_fail(fault, SYKLI_EPARSE, "the %s ends early", name);
    if (e->kind != kind)
        return sykli_fail(fault, SYKLI_EPARSE, "a %s was sent where a %s belongs",
                          sykli__roster_kind_name(e->kind), name);
    if (!e->version) // which means that there is none
        return sykli_fail(fault, SYKLI_EPARSE, "the %s has no version", name);
    if (e->alg != SYKLI__ROSTER_ALG_ED25519)
        return sykli_fail(fault, SYKLI_EUNSUPPORTED, "the %s is signed by algorithm %u, only 1, "
                          "Ed25519, is known", name, e->alg);
    if (memcmp(e->mesh_id, mesh_id, sizeof e->mesh_id))
        return sykli_fail(fault, SYKLI_EAUTH, "the %s is that of another mesh", name);
    return 0;
}

// What the signature is over: a label that no other use of the key begins with, then the head.
static void sykli__roster_signed_text(const sykli__roster_envelope *e,
                                      uint8_t out[18 + SYKLI__ROSTER_HEAD])
{
    sykli__roster_head(e, sykli__roster_pack(out, "sykli-envelope-v1", 18));
}

// Sets algorithm, key id, digest and signature; the rest is given.
static void sykli__roster_envelope_sign(sykli__roster_envelope *e, const sykli_crypto *crypto,
                                        const uint8_t sign_secret[32], const void *body,
                                        size_t size)
{
    uint8_t text[18 + SYKLI__ROSTER_HEAD], key[32];
    sykli_digest digest;
    crypto->sign_public(crypto->user, key, sign_secret);
    sykli_tree_of(body, size, &digest);
    e->alg = SYKLI__ROSTER_ALG_ED25519;
    sykli__roster_key_id(e->key_id, key);
    memcpy(e->digest, digest.bytes, 32);
    sykli__roster_signed_text(e, text);
    crypto->sign(crypto->user, e->signature, sign_secret, text, sizeof text);
}

//   returns  0; ECORRUPT: another body; EAUTH: not signed by this key
static int sykli__roster_envelope_check(const sykli__roster_envelope *e, const sykli_crypto *crypto,
                                        const uint8_t sign[32], const void *body, size_t size,
                                        sykli_fault *fault)
{
    uint8_t text[18 + SYKLI__ROSTER_HEAD], key_id[4];
    sykli_digest digest;
    sykli_tree_of(body, size, &digest);
    if (memcmp(digest.bytes, e->digest, 32))
        return sykli_fail(fault, SYKLI_ECORRUPT, "the body of the %s is not the one that was "
                          "signed", sykli__roster_kind_name(e->kind));
    sykli__roster_key_id(key_id, sign);
    sykli__roster_signed_text(e, text);
    if (memcmp(key_id, e->key_id, sizeof key_id)
        || crypto->verify(crypto->user, e->signature, sign, text, sizeof text))
        return sykli_fail(fault, SYKLI_EAUTH, "the signature of the %s is not valid",
                          sykli__roster_kind_name(e->kind));
    return 0;
}

// What a follower names as its parent. The signature is in it.
static void sykli__roster_envelope_hash(const sykli__roster_envelope *e, uint8_t out[32])
{
    uint8_t whole[SYKLI__ROSTER_ENVELOPE];
    sykli__roster_head(e, whole);
    memcpy(whole + SYKLI__ROSTER_HEAD, e->signature, 64);
    sykli_sha256_of(whole, sizeof whole, out);
}

// The order in which versions win: epoch, version, and where two were made apart from each other
// the hash, so that all choose the same.    returns  < 0, 0 (the same), > 0
static int sykli__roster_envelope_compare(const sykli__roster_envelope *a,
                                          const sykli__roster_envelope *b)
{
    uint8_t x[32], y[32];
    if (a->epoch != b->epoch) return a->epoch < b->epoch ? -1 : 1;
    if (a->version != b->version) return a->version < b->version ? -1 : 1;
    sykli__roster_envelope_hash(a, x);
    sykli__roster_envelope_hash(b, y);
    return memcmp(x, y, 32);
}

// ---- the roster

typedef struct sykli__roster_entry {
    uint8_t id[SYKLI__ROSTER_ID], exchange[32], sign[32]; // the id is derived from the keys
    uint8_t role;                                         // member to admin
    bool writer;                                          // its action results count as trusted
    bool executor;                                        // it may receive trusted tasks
    char name[SYKLI_NODE_NAME_MAX + 1];
    char labels[SYKLI__ROSTER_LABELS_MAX + 1];
} sykli__roster_entry;

typedef struct sykli__roster {
    sykli_mem *mem;
    uint8_t mesh[32], mesh_id[SYKLI__ROSTER_ID];
    sykli__roster_envelope envelope;    // version 0: never signed
    sykli__roster_entry *entries;       // by id
    uint8_t (*bans)[SYKLI__ROSTER_ID];  // sorted
    size_t count, capacity, ban_count, ban_capacity;
} sykli__roster;

static void sykli__roster_init(sykli__roster *r, sykli_mem *mem, const uint8_t mesh[32])
{
    memset(r, 0, sizeof *r);
    r->mem = mem;
    memcpy(r->mesh, mesh, 32);
    sykli__roster_mesh_id(r->mesh_id, mesh);
    memcpy(r->envelope.mesh_id, r->mesh_id, sizeof r->mesh_id);
    r->envelope.kind = SYKLI__ROSTER_ROSTER;
    r->envelope.epoch = 1;
}

static void sykli__roster_free(sykli__roster *r)
{
    if (r->entries)
        sykli_mem_resize(r->mem, SYKLI_TAG_mesh, r->entries, r->capacity * sizeof *r->entries, 0);
    if (r->bans)
        sykli_mem_resize(r->mem, SYKLI_TAG_mesh, r->bans, r->ban_capacity * sizeof *r->bans, 0);
    sykli_mem *mem = r->mem;
    memset(r, 0, sizeof *r);
    r->mem = mem;
}

// Where an id stands or belongs in an array whose entries begin with one.
static size_t sykli__roster_place(const void *array, size_t count, size_t entry_size,
                                  const uint8_t id[SYKLI__ROSTER_ID], bool *found)
{
    size_t low = 0, high = count;
    *found = false;
    while (low < high && !*found) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp((const uint8_t *)array + middle * entry_size, id, SYKLI__ROSTER_ID);
        *found = !order;
        if (order < 0) low = middle + 1;
        else high = middle;
    }
    return *found ? high : low;
}

static const sykli__roster_entry *sykli__roster_by_id(const sykli__roster *r,
                                                      const uint8_t id[SYKLI__ROSTER_ID])
{
    bool found;
    size_t at = sykli__roster_place(r->entries, r->count, sizeof *r->entries, id, &found);
    return found ? &r->entries[at] : NULL;
}

static const sykli__roster_entry *sykli__roster_by_name(const sykli__roster *r, const char *name)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->entries[i].name, name)) return &r->entries[i];
    return NULL;
}

static bool sykli__roster_banned(const sykli__roster *r, const uint8_t id[SYKLI__ROSTER_ID])
{
    bool found;
    sykli__roster_place(r->bans, r->ban_count, sizeof *r->bans, id, &found);
    return found;
}

// The role of a node that has shown the cookie: whom the roster does not know is a member.
static sykli_role sykli__roster_role(const sykli__roster *r, const uint8_t id[SYKLI__ROSTER_ID])
{
    if (sykli__roster_banned(r, id)) return SYKLI_ROLE_none;
    const sykli__roster_entry *entry = sykli__roster_by_id(r, id);
    return entry ? (sykli_role)entry->role : SYKLI_ROLE_member;
}

// Grows an array to hold one more.    returns  the array, moved perhaps; NULL: no memory
static void *sykli__roster_room(sykli_mem *mem, void *array, size_t *capacity, size_t count,
                                size_t entry_size)
{
    if (count < *capacity) return array;
    size_t fresh = *capacity ? *capacity * 2 : 8;
    void *grown = sykli_mem_resize(mem, SYKLI_TAG_mesh, array, *capacity * entry_size,
                                   fresh * entry_size);
    if (grown) *capacity = fresh;
    return grown;
}

// Makes room at the id's place in entries or bans.
//   returns  the zeroed place; NULL: no memory
static void *sykli__roster_insert(sykli_mem *mem, void **array, size_t *capacity, size_t *count,
                                  size_t entry_size, const uint8_t id[SYKLI__ROSTER_ID])
{
    bool found;
    void *grown = sykli__roster_room(mem, *array, capacity, *count, entry_size);
    if (!grown) return NULL;
    *array = grown;
    size_t at = sykli__roster_place(grown, *count, entry_size, id, &found);
    uint8_t *place = (uint8_t *)grown + at * entry_size;
    memmove(place + entry_size, place, (*count - at) * entry_size);
    memset(place, 0, entry_size);
    ++*count;
    return place;
}

static int sykli__roster_insert_entry(sykli__roster *r, const sykli__roster_entry *entry)
{
    void *array = r->entries;
    void *place = sykli__roster_insert(r->mem, &array, &r->capacity, &r->count,
                                       sizeof *r->entries, entry->id);
    r->entries = (sykli__roster_entry *)array;
    if (!place) return SYKLI_ENOMEM;
    memcpy(place, entry, sizeof *entry);
    return 0;
}

static int sykli__roster_insert_ban(sykli__roster *r, const uint8_t id[SYKLI__ROSTER_ID])
{
    void *array = r->bans;
    void *place = sykli__roster_insert(r->mem, &array, &r->ban_capacity, &r->ban_count,
                                       sizeof *r->bans, id);
    r->bans = (uint8_t(*)[SYKLI__ROSTER_ID])array;
    if (!place) return SYKLI_ENOMEM;
    memcpy(place, id, SYKLI__ROSTER_ID);
    return 0;
}

// Whether an entry says what an entry may say.
static int sykli__roster_entry_check(const sykli__roster_entry *e, sykli_fault *fault)
{
    if (!sykli__roster_name_valid(e->name))
        return sykli_fail(fault, SYKLI_EINVAL, "a node's name is 1 to %d characters of "
                          "a-z 0-9 . _ -", SYKLI_NODE_NAME_MAX);
    if (e->role < SYKLI_ROLE_member || e->role > SYKLI_ROLE_admin)
        return sykli_fail(fault, SYKLI_EINVAL, "%s: the role of a node is member, observer, "
                          "operator or admin", e->name);
    for (const char *p = e->labels; *p; p++)
        if (*p < ' ' || *p > '~')
            return sykli_fail(fault, SYKLI_EINVAL, "%s: labels are printable ASCII, space between",
                              e->name);
    return 0;
}

// Adds a node or replaces what is said of it. The id is computed from the keys.
//   returns  0; EINVAL; EEXIST: another node has the name; EPERM: banned; ELIMIT; ENOMEM
static int sykli__roster_grant(sykli__roster *r, const sykli__roster_entry *desc,
                               sykli_fault *fault)
{
    sykli__roster_entry entry = *desc;
    bool found;
    int rc = sykli__roster_entry_check(&entry, fault);
    if (rc) return rc;
    sykli__roster_node_id(entry.id, entry.exchange, entry.sign);
    const sykli__roster_entry *other = sykli__roster_by_name(r, entry.name);
    if (other && memcmp(other->id, entry.id, sizeof entry.id))
        return sykli_fail(fault, SYKLI_EEXIST, "another node of the roster is named %s",
                          entry.name);
    if (sykli__roster_banned(r, entry.id))
        return sykli_fail(fault, SYKLI_EPERM, "%s is banned, and bans stay; the machine can come "
                          "back with a new node key", entry.name);
    size_t at = sykli__roster_place(r->entries, r->count, sizeof *r->entries, entry.id, &found);
    if (found) {
        r->entries[at] = entry;
        return 0;
    }
    if (r->count >= SYKLI__ROSTER_NODES_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "a roster has at most %d nodes",
                          SYKLI__ROSTER_NODES_MAX);
    return sykli__roster_insert_entry(r, &entry)
        ? sykli_fail(fault, SYKLI_ENOMEM, "no memory for an entry of the roster") : 0;
}

// Takes a node off the roster for good.
//   returns  0; ELIMIT, ENOMEM
static int sykli__roster_ban(sykli__roster *r, const uint8_t id[SYKLI__ROSTER_ID],
                             sykli_fault *fault)
{
    bool found;
    if (!sykli__roster_banned(r, id)) {
        if (r->ban_count >= SYKLI__ROSTER_BANS_MAX)
            return sykli_fail(fault, SYKLI_ELIMIT, "a roster has at most %d bans",
                              SYKLI__ROSTER_BANS_MAX);
        if (sykli__roster_insert_ban(r, id))
            return sykli_fail(fault, SYKLI_ENOMEM, "no memory for a ban");
    }
    size_t at = sykli__roster_place(r->entries, r->count, sizeof *r->entries, id, &found);
    if (found) {
        r->count--;
        memmove(&r->entries[at], &r->entries[at + 1], (r->count - at) * sizeof *r->entries);
    }
    return 0;
}

static void sykli__roster_body_put(sykli__wire_out *out, const sykli__roster *r)
{
    sykli__wire_put_u16(out, (uint16_t)r->count);
    for (size_t i = 0; i < r->count; i++) {
        const sykli__roster_entry *e = &r->entries[i];
        sykli__wire_put_bytes(out, e->exchange, 32);
        sykli__wire_put_bytes(out, e->sign, 32);
        sykli__wire_put_u8(out, e->role);
        sykli__wire_put_u8(out, (uint8_t)(e->writer | e->executor << 1));
        sykli__wire_put_text(out, e->name);
        sykli__wire_put_text(out, e->labels);
    }
    sykli__wire_put_u16(out, (uint16_t)r->ban_count);
    sykli__wire_put_bytes(out, r->bans, r->ban_count * sizeof *r->bans);
}

// One entry. The ids ascend, so that a roster has one encoding and no node stands in it twice.
static int sykli__roster_entry_get(sykli__wire_in *in, sykli__roster *r, sykli_fault *fault)
{
    sykli__roster_entry e;
    memset(&e, 0, sizeof e);
    sykli__wire_copy(in, e.exchange, 32);
    sykli__wire_copy(in, e.sign, 32);
    e.role = sykli__wire_u8(in);
    uint8_t flags = sykli__wire_u8(in);
    e.writer = flags & 1;
    e.executor = flags >> 1 & 1;
    sykli__wire_text_copy(in, e.name, sizeof e.name);
    sykli__wire_text_copy(in, e.labels, sizeof e.labels);
    if (in->bad) return sykli_fail(fault, SYKLI_EPARSE, "the roster ends early");
    sykli__roster_node_id(e.id, e.exchange, e.sign);
    if (r->count && memcmp(r->entries[r->count - 1].id, e.id, sizeof e.id) >= 0)
        return sykli_fail(fault, SYKLI_EPARSE, "the roster's nodes are not in order at %s", e.name);
    int rc = sykli__roster_entry_check(&e, fault);
    if (rc) return rc;
    return sykli__roster_insert_entry(r, &e)
        ? sykli_fail(fault, SYKLI_ENOMEM, "no memory for the roster") : 0;
}

// The body, whose signature has been checked. A tail of fields may follow in time to come.
static int sykli__roster_body_get(sykli__wire_in *in, sykli__roster *r, sykli_fault *fault)
{
    sykli__wire_in value;
    uint16_t type;
    int rc = 0;
    size_t count = sykli__wire_u16(in);
    if (count > SYKLI__ROSTER_NODES_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "the roster has more than %d nodes",
                          SYKLI__ROSTER_NODES_MAX);
    for (size_t i = 0; i < count && !rc; i++) rc = sykli__roster_entry_get(in, r, fault);
    if (rc) return rc;
    count = sykli__wire_u16(in);
    if (count > SYKLI__ROSTER_BANS_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "the roster has more than %d bans",
                          SYKLI__ROSTER_BANS_MAX);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *id = sykli__wire_take(in, SYKLI__ROSTER_ID);
        if (!id) break;
        if (i && memcmp(r->bans[i - 1], id, SYKLI__ROSTER_ID) >= 0)
            return sykli_fail(fault, SYKLI_EPARSE, "the roster's bans are not in order");
        if (sykli__roster_by_id(r, id))
            return sykli_fail(fault, SYKLI_EPARSE, "a node of the roster is banned in it");
        if (sykli__roster_insert_ban(r, id))
            return sykli_fail(fault, SYKLI_ENOMEM, "no memory for the roster");
    }
    while (sykli__wire_tlv(in, &type, &value)) continue;
    return in->bad ? sykli_fail(fault, SYKLI_EPARSE, "the roster ends early") : 0;
}

// Signs the roster as the version after the last one and appends envelope and body.
//   returns  0; ENOMEM, ELIMIT: then `r` is as before
static int sykli__roster_publish(sykli__roster *r, const sykli_crypto *crypto,
                                 const uint8_t mesh_secret[32], sykli_buf *out)
{
    sykli_buf body;
    sykli__roster_envelope next = r->envelope;
    sykli_buf_init(&body, r->mem, SYKLI_TAG_mesh);
    sykli__roster_body_put(&body, r);
    int rc = body.error;
    if (!rc) {
        if (r->envelope.version) sykli__roster_envelope_hash(&r->envelope, next.parent);
        next.version++;
        sykli__roster_envelope_sign(&next, crypto, mesh_secret, body.data, body.size);
        sykli__roster_envelope_put(out, &next);
        sykli__wire_put_u32(out, (uint32_t)body.size);
        sykli__wire_put_bytes(out, body.data, body.size);
        rc = out->error;
    }
    sykli_buf_free(&body);
    if (!rc) r->envelope = next;
    return rc;
}

// Reads a roster from whomever and believes it by the mesh key alone.
//   r        is initialised with the mesh's key and empty; stays so on failure
//   returns  0; EPARSE, EAUTH, ECORRUPT, EUNSUPPORTED, ELIMIT, ENOMEM, EINVAL
static int sykli__roster_decode(sykli__roster *r, const sykli_crypto *crypto, const void *data,
                                size_t size, sykli_fault *fault)
{
    sykli__wire_in in = sykli__wire_over(data, size);
    sykli__roster_envelope e;
    int rc = sykli__roster_envelope_get(&in, &e, SYKLI__ROSTER_ROSTER, r->mesh_id, fault);
    if (rc) return rc;
    size_t body_size = sykli__wire_u32(&in);
    if (body_size > SYKLI__ROSTER_BODY_MAX || in.bad || body_size != in.left)
        return sykli_fail(fault, SYKLI_EPARSE, "the roster is cut short or followed by something");
    rc = sykli__roster_envelope_check(&e, crypto, r->mesh, in.at, in.left, fault);
    if (!rc) rc = sykli__roster_body_get(&in, r, fault);
    if (rc) {
        uint8_t mesh[32];
        sykli_mem *mem = r->mem;
        memcpy(mesh, r->mesh, 32);
        sykli__roster_free(r);
        sykli__roster_init(r, mem, mesh);
        return rc;
    }
    r->envelope = e;
    return 0;
}

// Whether a roster that was read replaces the one in force. The higher (epoch, version) does, if
// it keeps every ban: a ban must not be undone by whoever relays an odd branch.
//   returns  1 take it; 0 it is the one in force; ECONFLICT: older, or a ban is missing
static int sykli__roster_newer(const sykli__roster *have, const sykli__roster *fresh,
                               sykli_fault *fault)
{
    int order = have->envelope.version
        ? sykli__roster_envelope_compare(&fresh->envelope, &have->envelope) : 1;
    if (!order) return 0;
    if (order < 0)
        return sykli_fail(fault, SYKLI_ECONFLICT, "the roster is older than the one in force");
    for (size_t i = 0; i < have->ban_count; i++)
        if (!sykli__roster_banned(fresh, have->bans[i])) {
            char hex[2 * SYKLI__ROSTER_ID + 1];
            sykli_hex(hex, have->bans[i], SYKLI__ROSTER_ID);
            return sykli_fail(fault, SYKLI_ECONFLICT, "the newer roster has lost the ban of %s; "
                              "make one that has it", hex);
        }
    return 1;
}

// Who signed something other than a roster, and may. Config, target and binary need an admin or
// the mesh key, an action a writer.
//   who      the signer; NULL: the mesh key
//   returns  0; ECORRUPT; EAUTH: nobody we know signed it; EPERM: somebody who may not
static int sykli__roster_signer(const sykli__roster *r, const sykli_crypto *crypto,
                                const sykli__roster_envelope *e, const void *body, size_t size,
                                const sykli__roster_entry **who, sykli_fault *fault)
{
    bool action = e->kind == SYKLI__ROSTER_ACTION;
    uint8_t key_id[4];
    *who = NULL;
    int rc = sykli__roster_envelope_check(e, crypto, r->mesh, body, size, fault);
    if (!rc || rc == SYKLI_ECORRUPT || e->kind == SYKLI__ROSTER_ROSTER) return rc;
    for (size_t i = 0; i < r->count; i++) {
        const sykli__roster_entry *entry = &r->entries[i];
        sykli__roster_key_id(key_id, entry->sign);
        if (memcmp(key_id, e->key_id, sizeof key_id)) continue;
        if (sykli__roster_envelope_check(e, crypto, entry->sign, body, size, fault)) continue;
        *who = entry;
        if (action ? entry->writer : entry->role >= SYKLI_ROLE_admin) return 0;
        return sykli_fail(fault, SYKLI_EPERM, "the %s is signed by %s, who is %s%s",
                          sykli__roster_kind_name(e->kind), entry->name,
                          sykli_role_names[entry->role],
                          action ? " and no writer" : "; it takes an admin");
    }
    return sykli_fail(fault, SYKLI_EAUTH, "the %s is signed by nobody of the roster",
                      sykli__roster_kind_name(e->kind));
}

// ---- invites

static const char sykli__roster_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// base64url without padding (RFC 4648, section 5).
static void sykli__roster_base64_put(sykli_buf *out, const uint8_t *data, size_t size)
{
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < size || held; i++) {
        if (i < size) {
            bits = bits << 8 | data[i];
            held += 8;
        } else {
            bits <<= 6 - held;
            held = 6;
        }
        for (; held >= 6; held -= 6)
            sykli_buf_add(out, &sykli__roster_letters[bits >> (held - 6) & 63], 1);
    }
}

// Decodes into `out`, which has room for 3/4 of the characters.
//   returns  bytes; EPARSE with the place
static int sykli__roster_base64_get(uint8_t *out, const char *text, size_t size,
                                    sykli_fault *fault)
{
    uint32_t bits = 0;
    unsigned held = 0;
    int count = 0;
    for (size_t i = 0; i < size; i++) {
        const char *letter = text[i] ? strchr(sykli__roster_letters, text[i]) : NULL;
        if (!letter)
            return sykli_fail(fault, SYKLI_EPARSE, "character %u of the invite is none of "
                              "A-Z a-z 0-9 - _", (unsigned)i + 1);
        bits = bits << 6 | (uint32_t)(letter - sykli__roster_letters);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out[count++] = (uint8_t)(bits >> held);
    }
    if (held >= 6 || (bits & ((1u << held) - 1)))
        return sykli_fail(fault, SYKLI_EPARSE, "the invite is cut short or has lost a character");
    return count;
}

// An invite: how to reach one node, which it must prove to be, and a secret that dies on use. The
// cookie is not in it.
typedef struct sykli__roster_invite {
    uint8_t mesh[32], mesh_id[SYKLI__ROSTER_ID];     // the id is derived
    uint8_t inviter_id[SYKLI__ROSTER_ID], inviter_exchange[32];
    uint8_t token_id[8], token_secret[16];
    uint8_t role;
    uint16_t uses;
    uint64_t expires_ms;                             // wall clock
    unsigned address_count;
    char addresses[SYKLI__ROSTER_ADDRESSES_MAX][SYKLI__ROSTER_ADDRESS_MAX + 1];
} sykli__roster_invite;

// By token nobody becomes admin, and only members may come in numbers: what is pasted into a chat
// must not be worth much.
static int sykli__roster_invite_check(const sykli__roster_invite *v, sykli_fault *fault)
{
    if (v->role < SYKLI_ROLE_member || v->role > SYKLI_ROLE_operator)
        return sykli_fail(fault, SYKLI_EPERM, "an invite is for member, observer or operator; "
                          "`sykli grant` makes admins");
    if (!v->uses || v->uses > SYKLI__ROSTER_USES_MAX)
        return sykli_fail(fault, SYKLI_EINVAL, "an invite has 1 to %d uses",
                          SYKLI__ROSTER_USES_MAX);
    if (v->uses > 1 && v->role != SYKLI_ROLE_member)
        return sykli_fail(fault, SYKLI_EPERM, "an invite for %s has one use; several only for "
                          "member", sykli_role_names[v->role]);
    if (!v->address_count || v->address_count > SYKLI__ROSTER_ADDRESSES_MAX)
        return sykli_fail(fault, SYKLI_EINVAL, "an invite has 1 to %d addresses",
                          SYKLI__ROSTER_ADDRESSES_MAX);
    return 0;
}

// The key of the handshake by which a token is redeemed.
static void sykli__roster_invite_psk(uint8_t psk_secret[32], const uint8_t token_secret[16])
{
    sykli__crypto_hkdf(psk_secret, 32, NULL, 0, token_secret, 16, "sykli-invite", 12);
}

// Appends the token as text. The buffer is to be wiped.
static int sykli__roster_invite_encode(const sykli__roster_invite *v, sykli_buf *out,
                                       sykli_fault *fault)
{
    uint8_t digest[32];
    sykli_buf raw;
    int rc = sykli__roster_invite_check(v, fault);
    if (rc) return rc;
    sykli_buf_init(&raw, out->mem, SYKLI_TAG_mesh);
    sykli_buf_grow(&raw, SYKLI__ROSTER_TOKEN_MAX); // once, so that no copy is left behind
    sykli__wire_put_u8(&raw, 1);
    sykli__wire_put_bytes(&raw, v->mesh, 32);
    sykli__wire_put_bytes(&raw, v->inviter_id, sizeof v->inviter_id);
    sykli__wire_put_bytes(&raw, v->inviter_exchange, 32);
    sykli__wire_put_bytes(&raw, v->token_id, sizeof v->token_id);
    sykli__wire_put_bytes(&raw, v->token_secret, sizeof v->token_secret);
    sykli__wire_put_u8(&raw, v->role);
    sykli__wire_put_varint(&raw, v->uses);
    sykli__wire_put_varint(&raw, v->expires_ms);
    sykli__wire_put_u8(&raw, (uint8_t)v->address_count);
    for (unsigned i = 0; i < v->address_count; i++) sykli__wire_put_text(&raw, v->addresses[i]);
    if (!raw.error) sykli_sha256_of(raw.data, raw.size, digest);
    sykli__wire_put_bytes(&raw, digest, raw.error ? 0 : 4);
    sykli_buf_grow(out, SYKLI__ROSTER_TOKEN_MAX);
    if (!raw.error) sykli__roster_base64_put(out, raw.data, raw.size);
    rc = raw.error ? raw.error : out->error;
    sykli__roster_buf_wipe(&raw);
    return rc ? sykli_fail(fault, rc, "no memory for the invite") : 0;
}

static int sykli__roster_invite_get(sykli__wire_in *in, sykli__roster_invite *v,
                                    sykli_fault *fault)
{
    unsigned version = sykli__wire_u8(in);
    if (version != 1)
        return sykli_fail(fault, SYKLI_EUNSUPPORTED, "the invite has version %u, this sykli knows "
                          "version 1; update it", version);
    sykli__wire_copy(in, v->mesh, 32);
    sykli__wire_copy(in, v->inviter_id, sizeof v->inviter_id);
    sykli__wire_copy(in, v->inviter_exchange, 32);
    sykli__wire_copy(in, v->token_id, sizeof v->token_id);
    sykli__wire_copy(in, v->token_secret, sizeof v->token_secret);
    v->role = sykli__wire_u8(in);
    uint64_t uses = sykli__wire_varint(in);
    v->uses = (uint16_t)(uses > SYKLI__ROSTER_USES_MAX ? 0 : uses);
    v->expires_ms = sykli__wire_varint(in);
    v->address_count = sykli__wire_u8(in);
    for (unsigned i = 0; i < v->address_count && i < SYKLI__ROSTER_ADDRESSES_MAX; i++)
        sykli__wire_text_copy(in, v->addresses[i], sizeof v->addresses[i]);
    if (!in->bad && v->address_count <= SYKLI__ROSTER_ADDRESSES_MAX && in->left)
        return sykli_fail(fault, SYKLI_EPARSE, "the invite has something behind its end");
    if (in->bad) return sykli_fail(fault, SYKLI_EPARSE, "the invite ends early");
    sykli__roster_mesh_id(v->mesh_id, v->mesh);
    return sykli__roster_invite_check(v, fault);
}

// Reads a token; white space around it is passed over. On failure `v` is wiped.
//   returns  0; EPARSE, ECORRUPT (the checksum), EUNSUPPORTED, EPERM, EINVAL
static int sykli__roster_invite_decode(sykli__roster_invite *v, const char *text, size_t size,
                                       sykli_fault *fault)
{
    uint8_t raw[SYKLI__ROSTER_TOKEN_MAX], digest[32];
    memset(v, 0, sizeof *v);
    for (; size && memchr(" \t\r\n", *text, 4); size--) text++;
    while (size && memchr(" \t\r\n", text[size - 1], 4)) size--;
    if (size > SYKLI__ROSTER_TOKEN_MAX)
        return sykli_fail(fault, SYKLI_EPARSE, "more than %d characters, not an invite",
                          SYKLI__ROSTER_TOKEN_MAX);
    int count = sykli__roster_base64_get(raw, text, size, fault), rc = count < 0 ? count : 0;
    if (!rc && count < 5) rc = sykli_fail(fault, SYKLI_EPARSE, "the invite is cut short");
    if (!rc) {
        sykli_sha256_of(raw, (size_t)count - 4, digest);
        if (memcmp(digest, raw + count - 4, 4))
            rc = sykli_fail(fault, SYKLI_ECORRUPT, "the checksum of the invite is wrong: a "
                            "character was lost or changed on the way");
    }
    if (!rc) {
        sykli__wire_in in = sykli__wire_over(raw, (size_t)count - 4);
        rc = sykli__roster_invite_get(&in, v, fault);
    }
    sykli_wipe(raw, sizeof raw);
    if (rc) sykli_wipe(v, sizeof *v);
    return rc;
}

// What the inviter remembers of a token: the key of its handshake, not the token's secret. A used
// one stays until it expires, to tell a second comer who was first, and to let the first come
// again if the answer was lost.
typedef struct sykli__roster_ticket {
    uint8_t token_id[8], psk_secret[32];
    uint8_t role;
    uint16_t uses, used;
    uint64_t expires_ms;
    uint8_t users[SYKLI__ROSTER_USES_MAX][SYKLI__ROSTER_ID];
    char first[SYKLI_NODE_NAME_MAX + 1]; // name of the first user
} sykli__roster_ticket;

typedef struct sykli__roster_book {
    sykli_mem *mem;
    sykli__roster_ticket *tickets;
    size_t count, capacity;
} sykli__roster_book;

static void sykli__roster_book_free(sykli__roster_book *b)
{
    size_t size = b->capacity * sizeof *b->tickets;
    if (b->tickets) {
        sykli_wipe(b->tickets, size);
        sykli_mem_resize(b->mem, SYKLI_TAG_mesh, b->tickets, size, 0);
    }
    b->tickets = NULL;
    b->count = b->capacity = 0;
}

static sykli__roster_ticket *sykli__roster_book_find(const sykli__roster_book *b,
                                                     const uint8_t token_id[8])
{
    for (size_t i = 0; i < b->count; i++)
        if (!memcmp(b->tickets[i].token_id, token_id, 8)) return &b->tickets[i];
    return NULL;
}

// Forgets a token.    returns  whether it was there
static bool sykli__roster_book_revoke(sykli__roster_book *b, const uint8_t token_id[8])
{
    sykli__roster_ticket *ticket = sykli__roster_book_find(b, token_id);
    if (!ticket) return false;
    *ticket = b->tickets[--b->count];
    sykli_wipe(&b->tickets[b->count], sizeof *ticket);
    return true;
}

static int sykli__roster_book_add(sykli__roster_book *b, const sykli__roster_ticket *ticket,
                                  sykli_fault *fault)
{
    if (b->count >= SYKLI__ROSTER_TICKETS_MAX)
        return sykli_fail(fault, SYKLI_ELIMIT, "%d invites are open; `sykli invite revoke` closes "
                          "one", SYKLI__ROSTER_TICKETS_MAX);
    if (b->count >= b->capacity) { // by hand, so that the old block is wiped
        size_t capacity = b->capacity ? b->capacity * 2 : 4;
        sykli__roster_ticket *fresh = (sykli__roster_ticket *)sykli_mem_resize(
            b->mem, SYKLI_TAG_mesh, NULL, 0, capacity * sizeof *fresh);
        if (!fresh) return sykli_fail(fault, SYKLI_ENOMEM, "no memory for an invite");
        size_t count = b->count;
        if (count) memcpy(fresh, b->tickets, count * sizeof *fresh);
        sykli__roster_book_free(b);
        b->tickets = fresh;
        b->capacity = capacity;
        b->count = count;
    }
    b->tickets[b->count++] = *ticket;
    return 0;
}

// Remembers a token that is being given out.
static int sykli__roster_book_issue(sykli__roster_book *b, const sykli__roster_invite *v,
                                    sykli_fault *fault)
{
    sykli__roster_ticket ticket;
    int rc = sykli__roster_invite_check(v, fault);
    if (rc) return rc;
    memset(&ticket, 0, sizeof ticket);
    memcpy(ticket.token_id, v->token_id, sizeof ticket.token_id);
    sykli__roster_invite_psk(ticket.psk_secret, v->token_secret);
    ticket.role = v->role;
    ticket.uses = v->uses;
    ticket.expires_ms = v->expires_ms;
    rc = sykli__roster_book_add(b, &ticket, fault);
    sykli_wipe(&ticket, sizeof ticket);
    return rc;
}

// A node that has proved the token's key asks to join. The book must be on disk before it gets an
// answer. The same node may ask again.
//   returns  the role it gets; ENOENT, ETIMEOUT (expired), EEXIST (used up, the text says by whom)
static int sykli__roster_book_redeem(sykli__roster_book *b, const uint8_t token_id[8],
                                     const uint8_t id[SYKLI__ROSTER_ID], const char *name,
                                     uint64_t now_ms, sykli_fault *fault)
{
    sykli__roster_ticket *ticket = sykli__roster_book_find(b, token_id);
    if (!ticket)
        return sykli_fail(fault, SYKLI_ENOENT, "this node knows no such invite; it may have been "
                          "revoked");
    for (size_t i = 0; i < ticket->used; i++)
        if (!memcmp(ticket->users[i], id, SYKLI__ROSTER_ID)) return ticket->role;
    if (now_ms >= ticket->expires_ms) {
        char ago[32];
        return sykli_fail(fault, SYKLI_ETIMEOUT, "the invite expired %s ago; ask for a new one",
                          sykli_format_duration(ago, now_ms - ticket->expires_ms));
    }
    if (ticket->used >= ticket->uses) {
        char hex[2 * SYKLI__ROSTER_ID + 1];
        sykli_hex(hex, ticket->users[0], SYKLI__ROSTER_ID);
        return sykli_fail(fault, SYKLI_EEXIST, "the invite was already used by %s (%s); if that "
                          "is not yours, tell an admin", ticket->first, hex);
    }
    if (!sykli__roster_name_valid(name))
        return sykli_fail(fault, SYKLI_EINVAL, "a node's name is 1 to %d characters of "
                          "a-z 0-9 . _ -", SYKLI_NODE_NAME_MAX);
    if (!ticket->used) memcpy(ticket->first, name, strlen(name) + 1);
    memcpy(ticket->users[ticket->used++], id, SYKLI__ROSTER_ID);
    return ticket->role;
}

// Drops what expired before `now_ms` less the time for which a second comer is still told.
static void sykli__roster_book_expire(sykli__roster_book *b, uint64_t now_ms, uint64_t keep_ms)
{
    for (size_t i = b->count; i-- > 0;)
        if (now_ms > keep_ms && b->tickets[i].expires_ms < now_ms - keep_ms)
            sykli__roster_book_revoke(b, b->tickets[i].token_id);
}

// One line a token: id, key, role, uses, when it expires, who came first, and all who came:
// `0011223344556677 KEY observer 1 1700000000000 - -`. The buffer is to be wiped.
static int sykli__roster_book_encode(const sykli__roster_book *b, sykli_buf *out)
{
    char id[17], key[65], user[2 * SYKLI__ROSTER_ID + 1];
    size_t room = 1;
    for (size_t i = 0; i < b->count; i++) room += 256 + (size_t)b->tickets[i].used * 33;
    if (!sykli_buf_grow(out, room)) return out->error; // once, so that no copy is left behind
    for (size_t i = 0; i < b->count; i++) {
        const sykli__roster_ticket *k = &b->tickets[i];
        sykli_hex(id, k->token_id, sizeof k->token_id);
        sykli_hex(key, k->psk_secret, sizeof k->psk_secret);
        sykli_buf_print(out, "%s %s %s %u %llu %s ", id, key, sykli_role_names[k->role], k->uses,
                        (unsigned long long)k->expires_ms, k->used ? k->first : "-");
        for (size_t u = 0; u < k->used; u++) {
            sykli_hex(user, k->users[u], SYKLI__ROSTER_ID);
            sykli_buf_print(out, "%s%s", u ? "," : "", user);
        }
        sykli_buf_text(out, k->used ? "\n" : "-\n");
    }
    sykli_wipe(key, sizeof key);
    return out->error;
}

// The next word of a line; the last may be empty.
static const char *sykli__roster_word(sykli__wire_in *in, size_t *size)
{
    const uint8_t *space = (const uint8_t *)(in->left ? memchr(in->at, ' ', in->left) : NULL);
    *size = space ? (size_t)(space - in->at) : in->left;
    const char *word = (const char *)sykli__wire_take(in, *size);
    if (space) sykli__wire_take(in, 1);
    if (!word) *size = 0;
    return word ? word : "";
}

static uint64_t sykli__roster_number(sykli__wire_in *in, uint64_t max)
{
    size_t size;
    const char *word = sykli__roster_word(in, &size);
    uint64_t value = 0;
    if (!size || size > 19) in->bad = true;
    for (size_t i = 0; i < size && !in->bad; i++) {
        if (word[i] < '0' || word[i] > '9') in->bad = true;
        value = value * 10 + (uint64_t)(word[i] - '0');
    }
    if (value > max) in->bad = true;
    return value;
}

static void sykli__roster_hex_word(sykli__wire_in *in, uint8_t *out, size_t bytes)
{
    size_t size;
    const char *word = sykli__roster_word(in, &size);
    if (sykli_unhex(out, bytes, word, size)) in->bad = true;
}

static void sykli__roster_users_get(sykli__wire_in *in, sykli__roster_ticket *k)
{
    size_t size;
    const char *word = sykli__roster_word(in, &size);
    if (size == 1 && *word == '-') return;
    if ((size + 1) % 33 || size / 33 >= k->uses) in->bad = true;
    for (size_t at = 0; at < size && !in->bad; at += 33) {
        if (sykli_unhex(k->users[k->used++], SYKLI__ROSTER_ID, word + at, 32)) in->bad = true;
        if (at + 32 < size && word[at + 32] != ',') in->bad = true;
    }
}

static int sykli__roster_ticket_get(sykli__wire_in *in, sykli__roster_ticket *k)
{
    size_t size;
    memset(k, 0, sizeof *k);
    sykli__roster_hex_word(in, k->token_id, sizeof k->token_id);
    sykli__roster_hex_word(in, k->psk_secret, sizeof k->psk_secret);
    const char *role = sykli__roster_word(in, &size);
    for (uint8_t i = SYKLI_ROLE_member; i <= SYKLI_ROLE_operator; i++)
        if (strlen(sykli_role_names[i]) == size && !memcmp(sykli_role_names[i], role, size))
            k->role = i;
    k->uses = (uint16_t)sykli__roster_number(in, SYKLI__ROSTER_USES_MAX);
    k->expires_ms = sykli__roster_number(in, INT64_MAX);
    const char *first = sykli__roster_word(in, &size);
    if (size > SYKLI_NODE_NAME_MAX) in->bad = true;
    else memcpy(k->first, first, size);
    sykli__roster_users_get(in, k);
    bool named = k->used ? sykli__roster_name_valid(k->first) : !strcmp(k->first, "-");
    if (!k->used) k->first[0] = 0;
    return sykli__wire_ended(in) && k->role && k->uses && named ? 0 : SYKLI_EPARSE;
}

// Reads a book back. The book is empty before, and again after a failure: an invite that was
// forgotten does less harm than one that comes back to life.
static int sykli__roster_book_decode(sykli__roster_book *b, const char *text, size_t size,
                                     sykli_fault *fault)
{
    sykli__roster_ticket ticket;
    int rc = size > SYKLI__ROSTER_BOOK_MAX
        ? sykli_fail(fault, SYKLI_ELIMIT, "the book of invites is too large") : 0;
    for (unsigned number = 1; size && !rc; number++) {
        const char *end = (const char *)memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size;
        sykli__wire_in in = sykli__wire_over(text, line);
        rc = end ? sykli__roster_ticket_get(&in, &ticket) : SYKLI_EPARSE;
        if (!rc && sykli__roster_book_find(b, ticket.token_id)) rc = SYKLI_EPARSE;
        if (rc)
            sykli_fail(fault, rc, "line %u: not a line of the book of invites", number);
        else
            rc = sykli__roster_book_add(b, &ticket, fault);
        text += line + (end ? 1 : 0);
        size -= line + (end ? 1 : 0);
    }
    sykli_wipe(&ticket, sizeof ticket);
    if (rc) sykli__roster_book_free(b);
    return rc;
}

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
    SYKLI__LINK_TAG = SYKLI__NOISE_TAG,
    SYKLI__LINK_REKEY_RECORDS = 1 << 20,
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
typedef struct sykli__link_psk { uint8_t id[8], key_secret[32]; } sykli__link_psk;

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
    const sykli_crypto *crypto;
    const uint8_t *key_secret;            // X25519, 32 bytes
    const sykli__link_psk *psks;          // the dialler uses the first
    size_t psk_count;
    const uint8_t *expected;              // dialler: the node id it wants; NULL: anybody
    const uint8_t *token;                 // clear: 32 bytes
    uint8_t ephemeral_secret[32];         // fresh random
    sykli__link_replay *replay;           // acceptor; NULL: none
    uint8_t id[16], sign_key[32], mesh_id[16];
    uint64_t boot_id, session;
    const char *name;
} sykli__link_config;

typedef struct sykli__link_peer {
    uint8_t id[16], key[32], sign_key[32], mesh_id[16], psk_id[8];
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
    bool end, end_put;       // END follows what is buffered; it has left
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
    { 10000, 20000, "OPEN" }, { 100, 2000, "RESET" }, { 20, 60, "PING" }, { 200, 600, "empty" }
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
    sykli__noise noise;
    sykli__noise_cipher sealing, opening;
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
    sykli__wire_put_bytes(out, c->mesh_id, 16);
    sykli__wire_put_bytes(out, c->sign_key, 32);
    sykli__wire_put_u32(out, SYKLI__LINK_WINDOW_ALL);
    sykli__wire_put_u16(out, SYKLI__LINK_STREAMS_MAX);
    sykli__wire_put_text(out, c->name);
}

// Whether this is whom we wanted.
static int sykli__link_welcome(sykli__link_core *l, const uint8_t id[16])
{
    if (l->config.purpose == SYKLI__LINK_CTL && !memcmp(id, l->config.id, 16))
        return sykli__link_die(l, SYKLI_EEXIST, "that address is this node itself");
    if (l->config.expected && memcmp(id, l->config.expected, 16))
        return sykli__link_die(l, SYKLI_EAUTH, "another node answers at that address");
    return 0;
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
    sykli__wire_copy(in, p->mesh_id, 16);
    sykli__wire_copy(in, p->sign_key, 32);
    sykli__wire_u32(in);
    sykli__wire_u16(in);
    sykli__wire_text_copy(in, p->name, sizeof p->name);
    while (sykli__wire_tlv(in, &type, &value)) continue;
    if (in->bad) return sykli__link_die(l, SYKLI_EPARSE, "the peer's identity is not well formed");
    if (key) {
        uint8_t id[SYKLI__ROSTER_ID];
        sykli__roster_node_id(id, key, p->sign_key);
        if (memcmp(id, p->id, 16))
            return sykli__link_die(l, SYKLI_EAUTH, "the peer's node id is not that of its keys");
    }
    return sykli__link_welcome(l, p->id);
}

static int sykli__link_noise_begin(sykli__link_core *l, const sykli__link_psk *psk,
                                   const uint8_t hello[SYKLI__LINK_HELLO_SIZE])
{
    static const char label[] = "sykli-mesh-v1";
    uint8_t prologue[sizeof label + SYKLI__LINK_HELLO_SIZE];
    memcpy(prologue, label, sizeof label - 1);
    memcpy(prologue + sizeof label - 1, hello, SYKLI__LINK_HELLO_SIZE);
    prologue[sizeof prologue - 1] = l->config.transport;
    sykli__noise_desc desc = { .pattern = "XXpsk0", .initiator = l->config.initiator,
        .prologue = prologue, .prologue_size = sizeof prologue,
        .static_secret = l->config.key_secret, .ephemeral_secret = l->config.ephemeral_secret,
        .psk_secrets = &psk->key_secret, .psk_count = 1 };
    return sykli__noise_begin(&l->noise, l->config.crypto, &desc);
}

// The acceptor's side of message 1: who lacks the secret costs no curve; a message is taken once.
static int sykli__link_noise_accept(sykli__link_core *l, const uint8_t *message, size_t size)
{
    const sykli__link_config *c = &l->config;
    const sykli__link_psk *psk = NULL;
    uint8_t none[SYKLI__LINK_FIRST_MAX];
    sykli__wire_out payload = sykli__link_fixed(none, sizeof none);
    for (size_t i = 0; i < c->psk_count; i++)
        if (!memcmp(c->psks[i].id, l->peer.psk_id, 8)) psk = &c->psks[i];
    if (!psk) return SYKLI_EAUTH;
    int rc = sykli__link_noise_begin(l, psk, l->first_in);
    if (!rc) rc = sykli__noise_read(&l->noise, message, size, &payload);
    return rc || !c->replay ? rc : sykli__link_replay_add(c->replay, l->noise.remote_ephemeral);
}

static int sykli__link_noise_end(sykli__link_core *l)
{
    memcpy(l->peer.key, l->noise.remote_static, 32);
    return sykli__noise_split(&l->noise, &l->sealing, &l->opening);
}

// One handshake message behind its length: where the cipher is plugged in.
static int sykli__link_message_put(sykli__link_core *l, int number, const uint8_t *payload,
                                   size_t size)
{
    sykli__wire_out out = sykli__link_fixed(l->first_out, sizeof l->first_out);
    size_t start = out.size = l->out_size;
    int rc = 0;
    sykli__wire_put_u16(&out, 0);
    if (l->config.transport == SYKLI__LINK_CLEAR)
        sykli__wire_put_bytes(&out, number == 1 ? l->config.token : payload,
                              number == 1 ? 32 : size);
    else {
        if (number == 1)
            rc = sykli__link_noise_begin(l, &l->config.psks[0], l->first_out);
        if (!rc) rc = sykli__noise_write(&l->noise, payload, size, &out);
        if (!rc && number == 3) rc = sykli__link_noise_end(l);
    }
    size = out.size - start - 2;
    l->first_out[start] = (uint8_t)(size >> 8);
    l->first_out[start + 1] = (uint8_t)size;
    l->out = l->first_out;
    l->out_size = out.size;
    return rc ? rc : out.error;
}

// Opens a message into `room`, SYKLI__LINK_FIRST_MAX bytes.
static int sykli__link_message_get(sykli__link_core *l, int number, const uint8_t *message,
                                   size_t size, uint8_t *room, sykli__wire_in *payload)
{
    if (l->config.transport == SYKLI__LINK_CLEAR) {
        *payload = sykli__wire_over(message, number == 1 ? 0 : size);
        bool right = size == 32 && sykli__crypto_equal(message, l->config.token, 32);
        return number == 1 && !right ? SYKLI_EAUTH : 0;
    }
    sykli__wire_out out = sykli__link_fixed(room, SYKLI__LINK_FIRST_MAX);
    int rc = number == 1 ? sykli__link_noise_accept(l, message, size)
                         : sykli__noise_read(&l->noise, message, size, &out);
    if (!rc && number == 2) memcpy(l->peer.key, l->noise.remote_static, 32);
    if (!rc && number == 3) rc = sykli__link_noise_end(l);
    *payload = sykli__wire_over(room, rc ? 0 : out.size);
    return rc;
}

// The key the handshake proved; over a unix socket there is none.
static const uint8_t *sykli__link_proved(const sykli__link_core *l)
{
    return l->config.transport == SYKLI__LINK_NOISE ? l->peer.key : NULL;
}

static size_t sykli__link_tag(const sykli__link_core *l)
{
    return l->config.transport == SYKLI__LINK_NOISE ? SYKLI__LINK_TAG : 0;
}

// Both sides change a direction's key at the same records, so that nobody need say so.
static void sykli__link_rekey(sykli__noise_cipher *cipher)
{
    if (cipher->counter % SYKLI__LINK_REKEY_RECORDS == 0) sykli__noise_rekey(cipher);
}

// Seals or opens a whole record in place; its length is authenticated too.
static int sykli__link_seal(sykli__link_core *l, uint8_t *record, size_t size)
{
    if (l->config.transport == SYKLI__LINK_CLEAR) return 0;
    int rc = sykli__noise_seal(&l->sealing, record, 2, record + 2, size - 2 - SYKLI__LINK_TAG,
                               record + size - SYKLI__LINK_TAG);
    sykli__link_rekey(&l->sealing);
    return rc;
}

static int sykli__link_unseal(sykli__link_core *l, uint8_t *record, size_t size)
{
    if (l->config.transport == SYKLI__LINK_CLEAR) return 0;
    int rc = sykli__noise_open(&l->opening, record, 2, record + 2, size - 2 - SYKLI__LINK_TAG,
                               record + size - SYKLI__LINK_TAG);
    if (!rc) sykli__link_rekey(&l->opening);
    return rc;
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
    uint8_t mine[SYKLI__LINK_HELLO_SIZE + 33], room[SYKLI__LINK_FIRST_MAX];
    if (!sykli__link_hello_get(&in, &hello) || hello.transport != l->config.transport)
        return sykli__link_die(l, SYKLI_EPARSE, "not a sykli HELLO");
    memcpy(l->peer.psk_id, hello.key_id, 8);
    size = sykli__wire_u16(&in);
    int rc = sykli__link_message_get(l, 1, in.at, size, room, &payload);
    if (rc) return sykli__link_die(l, rc, "the first message proves no membership");
    l->opened = true;
    rc = sykli__link_agree(l, &hello);
    sykli__wire_out out = sykli__link_fixed(mine, sizeof mine);
    sykli__link_hello_put(l, &out);
    sykli__wire_put_bytes(&out, l->config.sign_key, 32); // our id is the hash of both our keys
    if (sykli__link_message_put(l, 2, mine, out.size))
        return sykli__link_die(l, SYKLI_ELIMIT, "the handshake is too large");
    l->state = rc ? SYKLI__LINK_CLOSING : SYKLI__LINK_THIRD; // it learns our versions first
    return rc;
}

static int sykli__link_second(sykli__link_core *l, const uint8_t *data, size_t size)
{
    sykli__wire_in in;
    sykli__link_hello hello;
    uint8_t mine[SYKLI__LINK_FIRST_MAX / 2], room[SYKLI__LINK_FIRST_MAX];
    if (sykli__link_message_get(l, 2, data, size, room, &in) || !sykli__link_hello_get(&in, &hello))
        return sykli__link_die(l, SYKLI_EAUTH, "the answer to the handshake is not valid");
    if (sykli__link_agree(l, &hello)) return sykli__link_drop(l, l->fault.code);
    l->peer.purpose = l->config.purpose;
    if (sykli__link_proved(l)) { // before we say who we are
        sykli__wire_copy(&in, l->peer.sign_key, 32);
        sykli__roster_node_id(room, l->peer.key, l->peer.sign_key);
        if (sykli__link_welcome(l, room)) return l->fault.code;
    }
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
    uint8_t room[SYKLI__LINK_FIRST_MAX];
    if (sykli__link_message_get(l, 3, data, size, room, &in))
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
    size_t need = sykli__link_first_need(l);
    size_t take = (size_t)sykli__link_least(size, need - l->in_size);
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
    size_t size = (size_t)sykli__link_least(in->left, SYKLI__LINK_TEXT_MAX);
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
    size_t take = (size_t)sykli__link_least(size, need - l->in_size);
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
    t->end_put = true;
}

static bool sykli__link_ready(const sykli__link_core *l, const sykli__link_stream *t)
{
    size_t data = t->out.size - t->out_at - t->open_left;
    if (t->open_left) return true;
    return data ? t->credit && l->session->credit : t->end && !t->end_put;
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
    uint64_t least = sykli__link_least(room - head, limit > head ? limit - head : 1);
    if (t->open_left) least = sykli__link_least(least, t->open_left);
    else least = sykli__link_least(sykli__link_least(least, waiting),
                                   sykli__link_least(t->credit, s->credit));
    size_t size = (size_t)least;
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
    size_t size = (size_t)sykli__link_least(strlen(l->fault.text), SYKLI__LINK_TEXT_MAX);
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
        sykli_wipe(s, sizeof *s);
        sykli_mem_resize(l->mem, SYKLI_TAG_link, s, sizeof *s, 0);
    }
    sykli_wipe(l, sizeof *l);
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
    if (config->psk_count) memcpy(l->peer.psk_id, config->psks[0].id, sizeof l->peer.psk_id);
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
    return used < max ? (size_t)sykli__link_least(max - used, all) : 0;
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
//                             EBUSY: too many in a second, too much to send: try again later
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
    if (s->open_bucket.milli >= sykli__link_rates[SYKLI__LINK_RATE_OPEN].rate
        || s->buffered >= SYKLI__LINK_BUFFER_ALL)
        return SYKLI_EBUSY;
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
    size_t take = (size_t)sykli__link_least(size, sykli__link_room(l, t));
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
// Who is in the mesh. Every node holds the whole table; each row is a fact that its owner versions
// with an incarnation, and that others may accuse: alive, suspect, dead (SWIM: Das, Gupta,
// Motivala 2002), with the local health of Lifeguard (Dadgar et al. 2017). Facts are flooded over
// the sessions and compared by a hash that rides in pings; there is no UDP, since a TCP session
// tells the death of a process in a millisecond. Accusing is slow and needs witnesses, refuting is
// fast: a machine under full load is what CI machines are.
//
// The table says what to do (`next`) and never acts: DIAL, CLOSE, SEND, PING. Below it the core
// joins it to the links of all connections, by number; >>mesh and the simulator both drive that.

enum {
    SYKLI__MEMBER_MAX = 4096,
    SYKLI__MEMBER_SEEDS_MAX = 16,
    SYKLI__MEMBER_ADDRESSES_MAX = 256, // bytes of all addresses of a node, spaces between
    SYKLI__MEMBER_LABELS_MAX = 256,
    SYKLI__MEMBER_VERSION_MAX = 32,
    SYKLI__MEMBER_QUEUE_MAX = 16384,   // things to send; what finds no room is found by the hash
    SYKLI__MEMBER_PING_MS = 1000,
    SYKLI__MEMBER_SAY_MS = 50,         // between two facts about oneself
    SYKLI__MEMBER_SILENCE_MS = 3000,
    SYKLI__MEMBER_FRESH_MS = 2000,     // so young must evidence of life be
    SYKLI__MEMBER_BRIEF_MS = 1000,     // a session that ends sooner was of no use
    SYKLI__MEMBER_REDIAL_MS = 1000,    // for one re-dial and the witnesses' answers
    SYKLI__MEMBER_WITNESS_MS = 500,
    SYKLI__MEMBER_AGAIN_MS = 50,
    SYKLI__MEMBER_SUSPECT_MS = 3000,
    SYKLI__MEMBER_PROBE_MS = 1000,     // an old process with the same key may answer so long
    SYKLI__MEMBER_LOSER_MS = 1000,     // the second of two sessions is closed after so long
    SYKLI__MEMBER_BACKOFF_MAX_MS = 60000,
    SYKLI__MEMBER_DIAL_MS = 10000,
    SYKLI__MEMBER_SYNC_MS = 5000,      // between two full exchanges with one peer
    SYKLI__MEMBER_SYNC_STEP_MS = 10,
    SYKLI__MEMBER_SYNC_BATCH = 64,     // rows a step
    SYKLI__MEMBER_LAG_MS = 200,        // own lateness that counts against own health
    SYKLI__MEMBER_HEALTH_MAX = 8,
    SYKLI__MEMBER_TOMBSTONE_MS = 24 * 3600 * 1000,
    SYKLI__MEMBER_PING_SIZE = 36
};

// In the order of their weight at equal incarnation.
typedef enum sykli__member_state {
    SYKLI__MEMBER_JOINING, SYKLI__MEMBER_ALIVE, SYKLI__MEMBER_AWAY, SYKLI__MEMBER_SUSPECT,
    SYKLI__MEMBER_DEAD, SYKLI__MEMBER_LEFT, SYKLI__MEMBER_STATES
} sykli__member_state;
static const char *const sykli__member_state_names[] = {
    "joining", "alive", "away", "suspect", "dead", "left", NULL
};

enum { SYKLI__MEMBER_DIALABLE = 1, SYKLI__MEMBER_HOME = 2, SYKLI__MEMBER_CLIENT = 4 };

// Which configuration, which roster: whoever has less pulls from whoever has more.
typedef struct sykli__member_versions {
    uint64_t roster_epoch, config_version, config_hash;
    uint32_t config_epoch;
} sykli__member_versions;

// What a fact says of a node.
typedef struct sykli__member_fact {
    uint8_t id[16], key[32], sign_key[32], signature[64];
    uint64_t boot_id, incarnation;
    uint8_t state, bits;
    uint32_t workers_busy, workers_total;
    sykli__member_versions versions;
    char name[SYKLI_NODE_NAME_MAX + 1], addresses[SYKLI__MEMBER_ADDRESSES_MAX];
    char labels[SYKLI__MEMBER_LABELS_MAX], version[SYKLI__MEMBER_VERSION_MAX];
} sykli__member_fact;

typedef struct sykli__member_session {
    int conn; // 0: none
    uint64_t boot_id, number; // number: the dialler's, rises with every dial
    bool dialled;
} sykli__member_session;

// Whether a member is really gone, found out before anybody is told.
typedef struct sykli__member_check {
    bool on, dial, refused;
    uint32_t nonce;
    int asked, yes, no;
    uint64_t due_ms;
} sykli__member_check;

typedef struct sykli__member_row {
    sykli__member_fact fact;
    bool rostered;
    sykli__member_session live, loser, newcomer;
    uint64_t since_ms;                 // of the state
    uint64_t live_ms, heard_ms, ping_ms, accused_ms, witness_ms;
    uint64_t loser_due_ms, newcomer_due_ms, rival_ms; // rival_ms: 0, or when a loser came
    uint64_t dial_ms, dial_due_ms;     // dial_ms: begun, 0: none is under way
    uint32_t dials;                    // in vain, since the last session
    uint32_t briefs;                   // sessions in a row that were of no use
    uint32_t rtt_ms;
    int mismatches;
    uint64_t sync_ms, sync_due_ms;
    size_t sync_at;                    // next row to send
    bool syncing;
    sykli__member_check check;
    bool told_up;                      // what events have said
    uint64_t told_boot;
    int told_conn;
} sykli__member_row;

typedef struct sykli__member_seed {
    char address[64];
    uint8_t id[16];        // who answered there last
    bool known, dialling;
    uint64_t due_ms;
    uint32_t dials;
} sykli__member_seed;

typedef enum sykli__member_out_kind {
    SYKLI__MEMBER_OUT_DIAL,     // address; row: whom, NULL: whoever is there; then seed
    SYKLI__MEMBER_OUT_CLOSE,    // conn
    SYKLI__MEMBER_OUT_SEND,     // conn, data
    SYKLI__MEMBER_OUT_FLOOD,    // data, to all but conn
    SYKLI__MEMBER_OUT_PING,     // conn
    SYKLI__MEMBER_OUT_BEHIND,   // conn, row: it has a newer roster (code 1) or config (code 2)
    SYKLI__MEMBER_OUT_NODEUP,   // row
    SYKLI__MEMBER_OUT_NODEDOWN,
    SYKLI__MEMBER_OUT_LINKUP,
    SYKLI__MEMBER_OUT_LINKDOWN,
    SYKLI__MEMBER_OUT_DUPLICATE // row: a second process with its key was refused
} sykli__member_out_kind;

typedef struct sykli__member_out {
    sykli__member_out_kind kind;
    int conn, seed, code;
    sykli__member_row *row;
    char address[64];
    const uint8_t *data; // valid until the next call
    size_t size;
} sykli__member_out;

typedef enum sykli__member_message {
    SYKLI__MEMBER_SAY = 1, // a fact
    SYKLI__MEMBER_ASK,     // do you hear from this node?
    SYKLI__MEMBER_ANSWER,
    SYKLI__MEMBER_SYNC     // our hashes differ: tell me all you know
} sykli__member_message;

// A thing to do that waits to be pulled; facts are encoded when they are, so they are never stale.
typedef struct sykli__member_item {
    sykli__member_out_kind kind;
    sykli__member_message message;
    int conn, code;
    uint32_t nonce;
    uint8_t id[16];
} sykli__member_item;

typedef struct sykli__member_config {
    sykli__member_fact self;      // incarnation: the least to begin with
    uint64_t wall_ms, seed;       // of the clock; of the jitter
    char seeds[SYKLI__MEMBER_SEEDS_MAX][64];
    size_t seed_count;
    bool (*rostered)(void *user, const uint8_t key[32]); // NULL: everybody is
    void *user;
} sykli__member_config;

typedef struct sykli__member_table {
    sykli_mem *mem;
    sykli__member_row **rows;     // the first is this node
    size_t count, capacity, unrostered;
    sykli_map by_id;
    sykli__member_item *items;
    size_t item_at, item_count, item_capacity;
    sykli__member_seed seeds[SYKLI__MEMBER_SEEDS_MAX];
    size_t seed_count;
    uint64_t now_ms, wall_offset_ms, random, hash;
    uint64_t wake_ms, mute_ms, health_ms; // wake: the deadline last told
    uint32_t health, nonce;
    uint64_t said_ms, say_due_ms;
    bool changed, say_self;
    bool (*rostered)(void *user, const uint8_t key[32]);
    void *user;
    uint8_t data[SYKLI__LINK_FACT_MAX];
} sykli__member_table;

static uint64_t sykli__member_random(sykli__member_table *t)
{
    uint64_t z = t->random += 0x9e3779b97f4a7c15u; // splitmix64 (Steele, Lea, Flood 2014)
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// ---- facts as bytes

static void sykli__member_fact_put(sykli__wire_out *out, const sykli__member_fact *f)
{
    static const uint8_t unsigned_yet[64] = { 0 };
    bool has_signature = memcmp(f->signature, unsigned_yet, 64) != 0;
    sykli__wire_put_u8(out, SYKLI__MEMBER_SAY);
    sykli__wire_put_bytes(out, f->id, 16);
    sykli__wire_put_u8(out, f->state);
    sykli__wire_put_u8(out, f->bits);
    sykli__wire_put_u64(out, f->incarnation);
    sykli__wire_put_u64(out, f->boot_id);
    sykli__wire_put_bytes(out, f->key, 32);
    sykli__wire_put_bytes(out, f->sign_key, 32);
    sykli__wire_put_varint(out, f->workers_busy);
    sykli__wire_put_varint(out, f->workers_total);
    sykli__wire_put_varint(out, f->versions.roster_epoch);
    sykli__wire_put_varint(out, f->versions.config_epoch);
    sykli__wire_put_varint(out, f->versions.config_version);
    sykli__wire_put_u64(out, f->versions.config_hash);
    sykli__wire_put_text(out, f->name);
    sykli__wire_put_text(out, f->addresses);
    sykli__wire_put_text(out, f->labels);
    sykli__wire_put_text(out, f->version);
    sykli__wire_put_u8(out, has_signature);
    if (has_signature) sykli__wire_put_bytes(out, f->signature, 64);
}

static bool sykli__member_name_valid(const char *name)
{
    size_t size = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-");
    return size && !name[size];
}

static bool sykli__member_fact_get(sykli__wire_in *in, sykli__member_fact *f)
{
    sykli__wire_in value;
    uint16_t type;
    memset(f, 0, sizeof *f);
    sykli__wire_copy(in, f->id, 16);
    f->state = sykli__wire_u8(in);
    f->bits = sykli__wire_u8(in);
    f->incarnation = sykli__wire_u64(in);
    f->boot_id = sykli__wire_u64(in);
    sykli__wire_copy(in, f->key, 32);
    sykli__wire_copy(in, f->sign_key, 32);
    f->workers_busy = (uint32_t)sykli__wire_varint(in);
    f->workers_total = (uint32_t)sykli__wire_varint(in);
    f->versions.roster_epoch = sykli__wire_varint(in);
    f->versions.config_epoch = (uint32_t)sykli__wire_varint(in);
    f->versions.config_version = sykli__wire_varint(in);
    f->versions.config_hash = sykli__wire_u64(in);
    sykli__wire_text_copy(in, f->name, sizeof f->name);
    sykli__wire_text_copy(in, f->addresses, sizeof f->addresses);
    sykli__wire_text_copy(in, f->labels, sizeof f->labels);
    sykli__wire_text_copy(in, f->version, sizeof f->version);
    if (sykli__wire_u8(in)) sykli__wire_copy(in, f->signature, 64);
    while (sykli__wire_tlv(in, &type, &value)) continue;
    return !in->bad && f->state < SYKLI__MEMBER_STATES && sykli__member_name_valid(f->name);
}

// ---- rows

// What a row adds to the hash of the table: living members only, so that tombstones may be
// forgotten at different times.
static uint64_t sykli__member_row_hash(const sykli__member_row *row)
{
    static const uint64_t key[2] = { 0x73796b6c69, 1 };
    uint8_t data[25];
    if (row->fact.state >= SYKLI__MEMBER_DEAD || row->fact.state == SYKLI__MEMBER_JOINING) return 0;
    memcpy(data, row->fact.id, 16);
    for (int i = 0; i < 8; i++) data[16 + i] = (uint8_t)(row->fact.incarnation >> 8 * i);
    data[24] = row->fact.state;
    return sykli_siphash(key, data, sizeof data);
}

static sykli__member_row *sykli__member_get(const sykli__member_table *t, const uint8_t id[16])
{
    const uint64_t *at = sykli_map_get(&t->by_id, id, 16);
    return at ? t->rows[*at] : NULL;
}

static sykli__member_row *sykli__member_at(const sykli__member_table *t, size_t index)
{
    return index < t->count ? t->rows[index] : NULL;
}

static sykli__member_row *sykli__member_self(const sykli__member_table *t) { return t->rows[0]; }

static bool sykli__member_up(const sykli__member_row *row)
{
    return row->fact.state == SYKLI__MEMBER_ALIVE || row->fact.state == SYKLI__MEMBER_SUSPECT;
}

// Adds a row in state joining.    returns  NULL: no room, or no memory
static sykli__member_row *sykli__member_add(sykli__member_table *t, const uint8_t id[16],
                                            const uint8_t key[32])
{
    bool rostered = !t->rostered || t->rostered(t->user, key);
    if (t->count >= SYKLI__MEMBER_MAX || (!rostered && t->unrostered >= SYKLI__MEMBER_MAX / 4))
        return NULL;
    if (t->count == t->capacity) {
        size_t fresh = t->capacity ? 2 * t->capacity : 8;
        void *grown = sykli_mem_resize(t->mem, SYKLI_TAG_member, t->rows,
                                       t->capacity * sizeof *t->rows, fresh * sizeof *t->rows);
        if (!grown) return NULL;
        t->rows = (sykli__member_row **)grown;
        t->capacity = fresh;
    }
    sykli__member_row *row =
        (sykli__member_row *)sykli_mem_resize(t->mem, SYKLI_TAG_member, NULL, 0, sizeof *row);
    if (row && sykli_map_put(&t->by_id, id, 16, t->count) < 0) {
        sykli_mem_resize(t->mem, SYKLI_TAG_member, row, sizeof *row, 0);
        row = NULL;
    }
    if (!row) return NULL;
    memcpy(row->fact.id, id, 16);
    memcpy(row->fact.key, key, 32);
    row->rostered = rostered;
    row->since_ms = t->now_ms;
    t->unrostered += !rostered;
    t->rows[t->count++] = row;
    return row;
}

static void sykli__member_forget(sykli__member_table *t, size_t index)
{
    sykli__member_row *row = t->rows[index], *last = t->rows[--t->count];
    t->rows[index] = last;
    sykli_map_remove(&t->by_id, row->fact.id, 16);
    uint64_t *at = last == row ? NULL : sykli_map_get(&t->by_id, last->fact.id, 16);
    if (at) *at = index;
    t->unrostered -= !row->rostered;
    t->hash ^= sykli__member_row_hash(row);
    sykli_mem_resize(t->mem, SYKLI_TAG_member, row, sizeof *row, 0);
}

// ---- the queue

// Queues a thing to do.    returns  false: no room; then nothing is lost that the hash cannot find
static bool sykli__member_push(sykli__member_table *t, const sykli__member_item *item)
{
    if (t->item_at == t->item_count) t->item_at = t->item_count = 0;
    if (t->item_count == t->item_capacity) {
        size_t fresh = t->item_capacity ? 2 * t->item_capacity : 32;
        if (fresh > SYKLI__MEMBER_QUEUE_MAX) return false;
        void *grown = sykli_mem_resize(t->mem, SYKLI_TAG_member, t->items,
                                       t->item_capacity * sizeof *t->items,
                                       fresh * sizeof *t->items);
        if (!grown) return false;
        t->items = (sykli__member_item *)grown;
        t->item_capacity = fresh;
    }
    t->items[t->item_count++] = *item;
    return true;
}

static bool sykli__member_order(sykli__member_table *t, sykli__member_out_kind kind, int conn,
                                int code, const sykli__member_row *row)
{
    sykli__member_item item = { .kind = kind, .conn = conn, .code = code };
    if (row) memcpy(item.id, row->fact.id, 16);
    return sykli__member_push(t, &item);
}

// Tells one connection a row, or what it asked.
static bool sykli__member_send(sykli__member_table *t, int conn, sykli__member_message message,
                               const uint8_t id[16], uint32_t nonce, int code)
{
    sykli__member_item item = { SYKLI__MEMBER_OUT_SEND, message, conn, code, nonce, { 0 } };
    if (id) memcpy(item.id, id, 16);
    return sykli__member_push(t, &item);
}

static bool sykli__member_flood(sykli__member_table *t, const sykli__member_row *row, int except)
{
    sykli__member_item item = { .kind = SYKLI__MEMBER_OUT_FLOOD, .message = SYKLI__MEMBER_SAY,
                                .conn = except };
    memcpy(item.id, row->fact.id, 16);
    return sykli__member_push(t, &item);
}

// ---- states

static void sykli__member_state_set(sykli__member_table *t, sykli__member_row *row,
                                    sykli__member_state state)
{
    t->hash ^= sykli__member_row_hash(row);
    if (row->fact.state != state) row->since_ms = t->now_ms;
    row->fact.state = (uint8_t)state;
    t->hash ^= sykli__member_row_hash(row);
    t->changed = true;
    if (state == SYKLI__MEMBER_DEAD || state == SYKLI__MEMBER_LEFT) {
        row->check.on = false;
        row->dials = 0;
        row->dial_due_ms = t->now_ms + SYKLI__MEMBER_REDIAL_MS;
    }
}

static void sykli__member_accuse(sykli__member_table *t, sykli__member_row *row,
                                 sykli__member_state state)
{
    row->check.on = false;
    sykli__member_state_set(t, row, state);
    row->accused_ms = t->now_ms;
    sykli__member_flood(t, row, 0); // the accused too: it may refute
}

// How many are up, this node included.
static size_t sykli__member_population(const sykli__member_table *t)
{
    size_t up = 0;
    for (size_t i = 0; i < t->count; i++) up += sykli__member_up(t->rows[i]);
    return up;
}

// A timeout as this node's own health stretches it.
static uint64_t sykli__member_patience(const sykli__member_table *t, uint64_t ms)
{
    return ms * (1 + t->health);
}

// 3 * max(1, log10 N) s, in steps of a doubling.
static uint64_t sykli__member_suspicion_ms(const sykli__member_table *t)
{
    uint64_t ms = SYKLI__MEMBER_SUSPECT_MS;
    for (size_t n = sykli__member_population(t); n > 10; n = (n + 1) / 2)
        ms += SYKLI__MEMBER_SUSPECT_MS * 301 / 1000;
    return sykli__member_patience(t, ms);
}

static bool sykli__member_heard_lately(const sykli__member_table *t, const sykli__member_row *row)
{
    return row->live.conn && t->now_ms - row->heard_ms < SYKLI__MEMBER_FRESH_MS;
}

// Incarnations from the far future would make a row that its owner cannot refute.
static bool sykli__member_too_new(const sykli__member_table *t, uint64_t incarnation)
{
    uint64_t wall_s = (t->now_ms + t->wall_offset_ms) / 1000;
    return incarnation > (wall_s + 24 * 3600) << 20;
}

static void sykli__member_say_self(sykli__member_table *t)
{
    // Not before it changed: a time in the past would look like an observer that overslept.
    uint64_t due = t->said_ms + SYKLI__MEMBER_SAY_MS;
    if (!t->say_self) t->say_due_ms = due > t->now_ms ? due : t->now_ms;
    t->say_self = true;
    t->changed = true;
}

static void sykli__member_renew(sykli__member_table *t, uint64_t beyond)
{
    sykli__member_row *self = sykli__member_self(t);
    t->hash ^= sykli__member_row_hash(self);
    if (self->fact.incarnation < beyond) self->fact.incarnation = beyond;
    self->fact.incarnation++;
    t->hash ^= sykli__member_row_hash(self);
    sykli__member_say_self(t);
}

// ---- checking whether somebody is gone

// Asks up to `count` others whether they hear from it.
static void sykli__member_ask(sykli__member_table *t, sykli__member_row *row, int count)
{
    sykli__member_check *c = &row->check;
    c->nonce = ++t->nonce;
    c->asked = c->yes = c->no = 0;
    size_t from = (size_t)(sykli__member_random(t) % t->count);
    for (size_t i = 0; i < t->count && c->asked < count; i++) {
        sykli__member_row *other = t->rows[(from + i) % t->count];
        if (other == row || other->check.on || !sykli__member_heard_lately(t, other)) continue;
        c->asked += sykli__member_send(t, other->live.conn, SYKLI__MEMBER_ASK, row->fact.id,
                                       c->nonce, 0);
    }
}

static bool sykli__member_can_dial(const sykli__member_row *row)
{
    return (row->fact.bits & SYKLI__MEMBER_DIALABLE) && row->fact.addresses[0];
}

// The session broke: one re-dial, two witnesses. Nobody is told before they have spoken.
static void sykli__member_check_broken(sykli__member_table *t, sykli__member_row *row, bool redial,
                                       bool refused)
{
    if (!sykli__member_up(row) || row->check.on) return;
    row->check = (sykli__member_check){ .on = true, .dial = true, .refused = refused };
    row->check.due_ms = t->now_ms + sykli__member_patience(t, SYKLI__MEMBER_REDIAL_MS);
    if (redial && !row->dial_ms) row->dial_due_ms = t->now_ms;
    sykli__member_ask(t, row, 2);
}

static void sykli__member_check_silent(sykli__member_table *t, sykli__member_row *row)
{
    row->check = (sykli__member_check){ .on = true };
    row->check.due_ms = t->now_ms + sykli__member_patience(t, SYKLI__MEMBER_WITNESS_MS);
    sykli__member_ask(t, row, 3);
}

// Judges what is known so far.
static void sykli__member_judge(sykli__member_table *t, sykli__member_row *row)
{
    sykli__member_check *c = &row->check;
    if (!c->on) return;
    bool all_deny = c->no == c->asked, late = t->now_ms >= c->due_ms;
    bool muted = t->now_ms < t->mute_ms;
    bool gone = c->dial && (c->refused || (late && !sykli__member_can_dial(row)));
    if (c->yes) {
        c->on = false;
        row->witness_ms = t->now_ms;
        // A witness may have looked before it heard of the same end: dial, and ask, once more soon.
        uint64_t soon = t->now_ms + SYKLI__MEMBER_AGAIN_MS;
        if (gone && !row->dial_ms && row->dials < 4 && row->dial_due_ms > soon)
            row->dial_due_ms = soon;
    } else if (gone && all_deny && !muted) sykli__member_accuse(t, row, SYKLI__MEMBER_DEAD);
    else if (late && muted) c->on = false;
    else if (late && row->fact.state == SYKLI__MEMBER_ALIVE)
        sykli__member_accuse(t, row, SYKLI__MEMBER_SUSPECT);
    else if (late) c->on = false;
}

// ---- facts

static void sykli__member_about_self(sykli__member_table *t, const sykli__member_fact *f)
{
    const sykli__member_fact *self = &sykli__member_self(t)->fact;
    bool other_life = f->boot_id != self->boot_id;
    bool newer = f->incarnation > self->incarnation;
    bool accused = f->incarnation == self->incarnation && f->state != self->state
                   && f->state > SYKLI__MEMBER_ALIVE;
    bool twin = f->incarnation == self->incarnation && other_life;
    if (self->state != SYKLI__MEMBER_LEFT && (newer || accused || twin))
        sykli__member_renew(t, f->incarnation);
}

static void sykli__member_overwrite(sykli__member_table *t, sykli__member_row *row,
                                    const sykli__member_fact *f)
{
    t->hash ^= sykli__member_row_hash(row);
    sykli__member_state state = (sykli__member_state)row->fact.state;
    sykli__member_fact old = row->fact;
    row->fact = *f;
    memcpy(row->fact.id, old.id, 16); // the hash of both keys, which no gossip changes
    memcpy(row->fact.key, old.key, 32);
    memcpy(row->fact.sign_key, old.sign_key, 32);
    row->fact.state = (uint8_t)state;
    t->hash ^= sykli__member_row_hash(row);
    sykli__member_state_set(t, row, (sykli__member_state)f->state);
}

// The row a fact is about, made if it may be.
static sykli__member_row *sykli__member_subject(sykli__member_table *t, const sykli__member_fact *f)
{
    sykli__member_row *row = sykli__member_get(t, f->id);
    uint8_t id[SYKLI__ROSTER_ID];
    if (row || f->state >= SYKLI__MEMBER_DEAD) return row; // the dead are not introduced
    sykli__roster_node_id(id, f->key, f->sign_key);
    row = memcmp(id, f->id, 16) ? NULL : sykli__member_add(t, f->id, f->key);
    if (row) memcpy(row->fact.sign_key, f->sign_key, 32);
    const sykli__member_fact *self = &sykli__member_self(t)->fact;
    bool waits = (self->bits & SYKLI__MEMBER_DIALABLE) && memcmp(self->id, f->id, 16) > 0;
    if (row) row->dial_due_ms = t->now_ms + (waits ? SYKLI__MEMBER_REDIAL_MS : 0);
    return row;
}

static bool sykli__member_outweighs(const sykli__member_fact *f, const sykli__member_fact *known)
{
    return f->incarnation > known->incarnation
           || (f->incarnation == known->incarnation && f->state > known->state);
}

static void sykli__member_say(sykli__member_table *t, sykli__member_row *from, int conn,
                              sykli__member_fact *f)
{
    bool owner = !memcmp(f->id, from->fact.id, 16);
    if (!owner && sykli__member_too_new(t, f->incarnation)) return;
    if (!memcmp(f->id, sykli__member_self(t)->fact.id, 16)) {
        sykli__member_about_self(t, f);
        return;
    }
    sykli__member_row *row = sykli__member_subject(t, f);
    if (!row) return;
    sykli__member_state before = (sykli__member_state)row->fact.state;
    if (!sykli__member_outweighs(f, &row->fact)) {
        bool accused = row->fact.state >= SYKLI__MEMBER_SUSPECT;
        if (owner && accused) // it must hear of it to refute
            sykli__member_send(t, conn, SYKLI__MEMBER_SAY, row->fact.id, 0, 0);
        return;
    }
    if (!owner && f->state >= SYKLI__MEMBER_DEAD && sykli__member_heard_lately(t, row))
        f->state = SYKLI__MEMBER_SUSPECT; // my evidence against theirs; the accused decides
    if (!sykli__member_outweighs(f, &row->fact)) return;
    bool same_life = f->boot_id == row->fact.boot_id;
    if (f->incarnation > row->fact.incarnation) sykli__member_overwrite(t, row, f);
    else sykli__member_state_set(t, row, (sykli__member_state)f->state);
    if (!owner && row->live.conn && f->state >= SYKLI__MEMBER_SUSPECT)
        sykli__member_send(t, row->live.conn, SYKLI__MEMBER_SAY, row->fact.id, 0, 0);
    if (row->fact.state <= SYKLI__MEMBER_AWAY && before >= SYKLI__MEMBER_SUSPECT) {
        row->check.on = false;
        if (before >= SYKLI__MEMBER_DEAD) row->dials = 0;
        if (before >= SYKLI__MEMBER_DEAD) row->dial_due_ms = t->now_ms;
    }
    // Its owner tells all by itself what is only load.
    bool load = owner && same_life && before == row->fact.state;
    if (!load) sykli__member_flood(t, row, conn);
}

static void sykli__member_sync_begin(sykli__member_table *t, sykli__member_row *row)
{
    if (!row->syncing) row->sync_at = 0;
    row->syncing = true;
    row->sync_ms = row->sync_due_ms = t->now_ms;
}

static void sykli__member_on_answer(sykli__member_table *t, sykli__member_row *row, uint32_t nonce,
                                    bool yes)
{
    if (!row || !row->check.on || row->check.nonce != nonce) return;
    if (yes) row->check.yes++;
    else row->check.no++;
    sykli__member_judge(t, row);
}

// ---- what the sections below call

static void sykli__member_free(sykli__member_table *t)
{
    while (t->count) sykli__member_forget(t, t->count - 1);
    if (t->mem) {
        sykli_mem_resize(t->mem, SYKLI_TAG_member, t->rows, t->capacity * sizeof *t->rows, 0);
        sykli_mem_resize(t->mem, SYKLI_TAG_member, t->items, t->item_capacity * sizeof *t->items,
                         0);
        sykli_map_free(&t->by_id);
    }
    memset(t, 0, sizeof *t);
}

static int sykli__member_init(sykli__member_table *t, sykli_mem *mem,
                              const sykli__member_config *config, uint64_t now_ms)
{
    uint64_t seed[2] = { config->seed, ~config->seed };
    memset(t, 0, sizeof *t);
    t->mem = mem;
    t->now_ms = now_ms;
    t->wall_offset_ms = config->wall_ms - now_ms;
    t->random = config->seed;
    t->wake_ms = UINT64_MAX;
    sykli_map_init(&t->by_id, mem, seed);
    sykli__member_row *self = sykli__member_add(t, config->self.id, config->self.key);
    if (!self) return SYKLI_ENOMEM;
    uint64_t least = (config->wall_ms / 1000) << 20;
    self->fact = config->self;
    self->fact.state = SYKLI__MEMBER_ALIVE;
    if (self->fact.incarnation < least) self->fact.incarnation = least;
    t->hash = sykli__member_row_hash(self);
    self->told_up = true;
    self->told_boot = self->fact.boot_id;
    t->rostered = config->rostered;
    t->user = config->user;
    t->seed_count = config->seed_count;
    for (size_t i = 0; i < t->seed_count; i++) {
        memcpy(t->seeds[i].address, config->seeds[i], sizeof t->seeds[i].address);
        t->seeds[i].due_ms = now_ms;
    }
    return 0;
}

// What rides in pings: the hash of the table and the versions.
static void sykli__member_ping_put(const sykli__member_table *t,
                                   uint8_t data[SYKLI__MEMBER_PING_SIZE + 1])
{
    const sykli__member_versions *v = &sykli__member_self(t)->fact.versions;
    sykli__wire_out out = sykli__link_fixed(data, SYKLI__MEMBER_PING_SIZE + 1);
    sykli__wire_put_u64(&out, t->hash);
    sykli__wire_put_u64(&out, v->roster_epoch);
    sykli__wire_put_u32(&out, v->config_epoch);
    sykli__wire_put_u64(&out, v->config_version);
    sykli__wire_put_u64(&out, v->config_hash);
    assert(!out.error && out.size == SYKLI__MEMBER_PING_SIZE);
}

static bool sykli__member_config_newer(const sykli__member_versions *a,
                                       const sykli__member_versions *b)
{
    if (a->config_epoch != b->config_epoch) return a->config_epoch > b->config_epoch;
    if (a->config_version != b->config_version) return a->config_version > b->config_version;
    return a->config_hash > b->config_hash;
}

// What rode in a PING or PONG of a member.
static void sykli__member_ping_get(sykli__member_table *t, sykli__member_row *row, int conn,
                                   const uint8_t *data, size_t size)
{
    const sykli__member_versions *mine = &sykli__member_self(t)->fact.versions;
    sykli__member_versions theirs;
    sykli__wire_in in = sykli__wire_over(data, size);
    uint64_t hash = sykli__wire_u64(&in);
    theirs.roster_epoch = sykli__wire_u64(&in);
    theirs.config_epoch = sykli__wire_u32(&in);
    theirs.config_version = sykli__wire_u64(&in);
    theirs.config_hash = sykli__wire_u64(&in);
    if (in.bad) return;
    if (theirs.roster_epoch > mine->roster_epoch)
        sykli__member_order(t, SYKLI__MEMBER_OUT_BEHIND, conn, 1, row);
    if (sykli__member_config_newer(&theirs, mine))
        sykli__member_order(t, SYKLI__MEMBER_OUT_BEHIND, conn, 2, row);
    row->mismatches = hash == t->hash ? 0 : row->mismatches + 1;
    // Facts on their way differ for a moment; what differs twice is missing.
    if (row->mismatches < 2 || t->now_ms - row->sync_ms < SYKLI__MEMBER_SYNC_MS) return;
    if (sykli__member_send(t, conn, SYKLI__MEMBER_SYNC, NULL, 0, 0))
        sykli__member_sync_begin(t, row);
}

// A record arrived from a member: the only proof of life.
static void sykli__member_heard(sykli__member_table *t, sykli__member_row *row, int conn)
{
    if (conn != row->live.conn) return;
    row->heard_ms = t->now_ms;
    if (row->fact.state < SYKLI__MEMBER_SUSPECT || t->now_ms - row->accused_ms < 1000) return;
    if (sykli__member_send(t, conn, SYKLI__MEMBER_SAY, row->fact.id, 0, 0))
        row->accused_ms = t->now_ms;
}

// A gossip message of a member.    returns  0, EPARSE: close the session
static int sykli__member_told(sykli__member_table *t, sykli__member_row *from, int conn,
                              const uint8_t *data, size_t size)
{
    sykli__wire_in in = sykli__wire_over(data, size);
    sykli__member_fact fact;
    uint8_t id[16];
    int kind = sykli__wire_u8(&in);
    if (kind == SYKLI__MEMBER_SAY) {
        if (!sykli__member_fact_get(&in, &fact)) return SYKLI_EPARSE;
        sykli__member_say(t, from, conn, &fact);
    } else if (kind == SYKLI__MEMBER_ASK || kind == SYKLI__MEMBER_ANSWER) {
        sykli__wire_copy(&in, id, sizeof id);
        uint32_t nonce = sykli__wire_u32(&in);
        bool yes = sykli__wire_u8(&in) != 0;
        if (in.bad) return SYKLI_EPARSE;
        sykli__member_row *row = sykli__member_get(t, id);
        if (kind == SYKLI__MEMBER_ANSWER) sykli__member_on_answer(t, row, nonce, yes);
        else {
            yes = row == sykli__member_self(t) || (row && sykli__member_heard_lately(t, row));
            sykli__member_send(t, conn, SYKLI__MEMBER_ANSWER, id, nonce, yes);
        }
    } else if (kind == SYKLI__MEMBER_SYNC) sykli__member_sync_begin(t, from);
    return 0; // other kinds are of a later version
}

static void sykli__member_adopt(sykli__member_table *t, sykli__member_row *row,
                                const sykli__member_session *session)
{
    row->live = *session;
    row->heard_ms = row->ping_ms = row->live_ms = t->now_ms;
    row->dials = 0;
    row->dial_ms = 0;
    row->check.on = false;
    row->mismatches = 0;
    row->syncing = false;
    t->changed = true;
    sykli__member_send(t, session->conn, SYKLI__MEMBER_SAY, sykli__member_self(t)->fact.id, 0, 0);
    sykli__member_sync_begin(t, row);
}

// Of two sessions with one process: that of the smaller node id stays; of two dials by the same
// side the later. Both sides come to the same end, and the other closes when both are up. But who
// dials again has often lost a session whose end we have not heard of: the one that stays must say
// something until the other is closed.
static void sykli__member_rival(sykli__member_table *t, sykli__member_row *row,
                                const sykli__member_session *fresh)
{
    bool smaller = memcmp(sykli__member_self(t)->fact.id, row->fact.id, 16) < 0;
    bool wins = fresh->dialled == row->live.dialled ? fresh->number > row->live.number
                                                    : fresh->dialled == smaller;
    if (row->loser.conn) sykli__member_order(t, SYKLI__MEMBER_OUT_CLOSE, row->loser.conn, 0, NULL);
    row->loser = wins ? row->live : *fresh;
    row->loser_due_ms = t->now_ms + SYKLI__MEMBER_LOSER_MS;
    row->rival_ms = 0;
    if (wins) sykli__member_adopt(t, row, fresh);
    else {
        row->rival_ms = t->now_ms;
        sykli__member_order(t, SYKLI__MEMBER_OUT_PING, row->live.conn, 0, row);
    }
}

// A session with a member is up.
//   returns  0; ELIMIT: the table is full; EBUSY: a third process with that key. Then close it.
static int sykli__member_link_up(sykli__member_table *t, const sykli__link_peer *peer,
                                 const sykli__member_session *fresh, sykli__member_row **out)
{
    sykli__member_row *row = sykli__member_get(t, peer->id);
    if (!row) row = sykli__member_add(t, peer->id, peer->key);
    if (!row) return SYKLI_ELIMIT;
    if (row->live.conn && row->live.boot_id != fresh->boot_id && row->newcomer.conn)
        return SYKLI_EBUSY;
    if (!row->fact.name[0]) memcpy(row->fact.name, peer->name, sizeof row->fact.name);
    memcpy(row->fact.sign_key, peer->sign_key, 32);
    *out = row;
    if (!row->live.conn) sykli__member_adopt(t, row, fresh);
    else if (row->live.boot_id == fresh->boot_id) sykli__member_rival(t, row, fresh);
    else { // another process with the same key: is the old one still there?
        row->newcomer = *fresh;
        row->newcomer_due_ms = t->now_ms + SYKLI__MEMBER_PROBE_MS;
        sykli__member_order(t, SYKLI__MEMBER_OUT_PING, row->live.conn, 0, row);
    }
    return 0;
}

// 1, 2, 4 .. 60 s, less up to a quarter.
static uint64_t sykli__member_backoff(sykli__member_table *t, uint32_t dials)
{
    uint64_t ms = dials < 6 ? 1000ull << dials : SYKLI__MEMBER_BACKOFF_MAX_MS;
    return ms - sykli__member_random(t) % (ms / 4);
}

// A session ended. One that is ended as soon as it is up (who is banned hears so then) is no reason
// to dial again and again.
static void sykli__member_link_down(sykli__member_table *t, sykli__member_row *row, int conn)
{
    static const sykli__member_session none = { 0, 0, 0, false };
    sykli__member_session next = row->loser.conn ? row->loser : row->newcomer;
    if (row->loser.conn == conn) row->loser = none;
    else if (row->newcomer.conn == conn) row->newcomer = none;
    if (row->live.conn != conn) return;
    row->live = none;
    row->syncing = false;
    t->changed = true;
    if (!next.conn) {
        bool brief = t->now_ms - row->live_ms < SYKLI__MEMBER_BRIEF_MS;
        if (!brief) row->briefs = 0;
        sykli__member_check_broken(t, row, !row->briefs, false);
        if (row->briefs) row->dial_due_ms = t->now_ms + sykli__member_backoff(t, row->briefs - 1);
        row->briefs++;
        return;
    }
    if (row->loser.conn) row->loser = none;
    else row->newcomer = none;
    sykli__member_adopt(t, row, &next);
}

// A dial came to nothing.    seed: index + 1 if it was one   refused: somebody said so
static void sykli__member_dial_failed(sykli__member_table *t, sykli__member_row *row, int seed,
                                      bool refused)
{
    if (seed) {
        sykli__member_seed *s = &t->seeds[seed - 1];
        s->dialling = false;
        s->due_ms = t->now_ms + sykli__member_backoff(t, s->dials++);
    }
    if (!row || !row->dial_ms) return;
    row->dial_ms = 0;
    row->dial_due_ms = t->now_ms + sykli__member_backoff(t, row->dials++);
    if (row->live.conn) return;
    if (row->check.on) row->check.refused |= refused;
    else sykli__member_check_broken(t, row, false, refused);
    sykli__member_judge(t, row);
}

// One more seed.    returns  false: there is no room
static bool sykli__member_seed_add(sykli__member_table *t, const char *address)
{
    for (size_t i = 0; i < t->seed_count; i++)
        if (!strcmp(t->seeds[i].address, address)) return true;
    if (t->seed_count >= SYKLI__MEMBER_SEEDS_MAX) return false;
    sykli__member_seed *s = &t->seeds[t->seed_count++];
    memset(s, 0, sizeof *s);
    snprintf(s->address, sizeof s->address, "%s", address);
    s->due_ms = t->now_ms;
    return true;
}

static void sykli__member_seed_up(sykli__member_table *t, int seed, const uint8_t id[16])
{
    sykli__member_seed *s = &t->seeds[seed - 1];
    s->dialling = false;
    s->known = true;
    s->dials = 0;
    s->due_ms = t->now_ms + SYKLI__MEMBER_REDIAL_MS;
    memcpy(s->id, id, 16);
}

// Whether a seed must be dialled as such: nobody known answers there, or its row cannot be dialled.
static bool sykli__member_seed_lost(const sykli__member_table *t, const sykli__member_seed *s)
{
    const sykli__member_row *row = s->known ? sykli__member_get(t, s->id) : NULL;
    if (s->dialling) return false;
    return !row || (row != t->rows[0] && !row->live.conn
                    && (!sykli__member_can_dial(row) || row->fact.state == SYKLI__MEMBER_LEFT));
}

static bool sykli__member_wants_dial(const sykli__member_table *t, const sykli__member_row *row)
{
    return row != t->rows[0] && !row->live.conn && !row->dial_ms && sykli__member_can_dial(row)
           && row->fact.state != SYKLI__MEMBER_LEFT && row->fact.state != SYKLI__MEMBER_AWAY
           && t->rows[0]->fact.state != SYKLI__MEMBER_LEFT;
}

// ---- time

static uint64_t sykli__member_ping_due(const sykli__member_row *row)
{
    uint64_t last = row->heard_ms > row->ping_ms ? row->heard_ms : row->ping_ms;
    return last + SYKLI__MEMBER_PING_MS - 100 + row->fact.id[15] % 200u; // not all at once
}

static uint64_t sykli__member_silence_due(const sykli__member_table *t,
                                          const sykli__member_row *row)
{
    bool watched = row->live.conn && row->fact.state == SYKLI__MEMBER_ALIVE && !row->check.on;
    if (!watched) return UINT64_MAX;
    uint64_t due = row->heard_ms + sykli__member_patience(t, SYKLI__MEMBER_SILENCE_MS);
    if (row->witness_ms && due < row->witness_ms + SYKLI__MEMBER_SILENCE_MS)
        due = row->witness_ms + SYKLI__MEMBER_SILENCE_MS;
    return due > t->mute_ms ? due : t->mute_ms;
}

static uint64_t sykli__member_suspect_due(const sykli__member_table *t,
                                          const sykli__member_row *row)
{
    if (row->fact.state != SYKLI__MEMBER_SUSPECT) return UINT64_MAX;
    uint64_t due = row->since_ms + sykli__member_suspicion_ms(t);
    return due > t->mute_ms ? due : t->mute_ms;
}

static uint64_t sykli__member_tomb_due(const sykli__member_row *row)
{
    bool held = row->live.conn || row->loser.conn || row->newcomer.conn || row->dial_ms;
    if (row->fact.state < SYKLI__MEMBER_DEAD || held) return UINT64_MAX;
    return row->since_ms + SYKLI__MEMBER_TOMBSTONE_MS;
}

// When anything is due for a row.
static uint64_t sykli__member_row_due(const sykli__member_table *t, const sykli__member_row *row)
{
    uint64_t due = UINT64_MAX;
    if (row == t->rows[0]) return due;
    if (row->live.conn) due = sykli__link_least(due, sykli__member_ping_due(row));
    if (row->loser.conn) due = sykli__link_least(due, row->loser_due_ms);
    if (row->newcomer.conn) due = sykli__link_least(due, row->newcomer_due_ms);
    if (row->check.on) due = sykli__link_least(due, row->check.due_ms);
    if (row->syncing) due = sykli__link_least(due, row->sync_due_ms);
    if (sykli__member_wants_dial(t, row)) due = sykli__link_least(due, row->dial_due_ms);
    due = sykli__link_least(due, sykli__member_silence_due(t, row));
    due = sykli__link_least(due, sykli__member_suspect_due(t, row));
    return sykli__link_least(due, sykli__member_tomb_due(row));
}

// When `tick` is next due. It remembers what it said: coming late counts against own health.
static uint64_t sykli__member_deadline(sykli__member_table *t)
{
    uint64_t due = t->health ? t->health_ms + 5000 : UINT64_MAX;
    if (t->say_self) due = sykli__link_least(due, t->say_due_ms);
    for (size_t i = 0; i < t->count; i++)
        due = sykli__link_least(due, sykli__member_row_due(t, t->rows[i]));
    for (size_t i = 0; i < t->seed_count; i++)
        if (sykli__member_seed_lost(t, &t->seeds[i]))
            due = sykli__link_least(due, t->seeds[i].due_ms);
    return t->wake_ms = due;
}

// An observer that was late, or asleep, must doubt itself first.
static void sykli__member_tick_health(sykli__member_table *t)
{
    uint64_t lag = t->now_ms > t->wake_ms ? t->now_ms - t->wake_ms : 0;
    if (lag > SYKLI__MEMBER_LAG_MS) {
        if (t->health < SYKLI__MEMBER_HEALTH_MAX) t->health++;
        t->health_ms = t->now_ms;
    } else if (t->health && t->now_ms - t->health_ms >= 5000) {
        t->health--;
        t->health_ms = t->now_ms;
    }
    if (lag <= SYKLI__MEMBER_SILENCE_MS) return;
    t->mute_ms = t->now_ms + 5000;
    for (size_t i = 0; i < t->count; i++) {
        sykli__member_row *row = t->rows[i];
        if (row->live.conn) row->heard_ms = t->now_ms;
        if (row->fact.state == SYKLI__MEMBER_SUSPECT) row->since_ms += lag;
        if (row->check.on) row->check.due_ms = t->now_ms + SYKLI__MEMBER_REDIAL_MS;
    }
}

static void sykli__member_tick_sessions(sykli__member_table *t, sykli__member_row *row)
{
    uint64_t now = t->now_ms;
    if (row->loser.conn && now >= row->loser_due_ms) {
        sykli__member_session loser = row->loser;
        bool silent = row->rival_ms && row->heard_ms <= row->rival_ms;
        int victim = silent ? row->live.conn : loser.conn;
        if (sykli__member_order(t, SYKLI__MEMBER_OUT_CLOSE, victim, 0, NULL)) {
            row->loser.conn = 0;
            row->rival_ms = 0;
            if (silent) sykli__member_adopt(t, row, &loser);
        }
    }
    if (row->newcomer.conn && now >= row->newcomer_due_ms) {
        sykli__member_session fresh = row->newcomer;
        bool answers = row->heard_ms + SYKLI__MEMBER_PROBE_MS > row->newcomer_due_ms;
        int victim = answers ? fresh.conn : row->live.conn;
        row->newcomer.conn = 0;
        sykli__member_order(t, SYKLI__MEMBER_OUT_CLOSE, victim, 0, NULL);
        if (answers) sykli__member_order(t, SYKLI__MEMBER_OUT_DUPLICATE, fresh.conn, 0, row);
        else sykli__member_adopt(t, row, &fresh);
    }
    if (row->live.conn && now >= sykli__member_ping_due(row)
        && sykli__member_order(t, SYKLI__MEMBER_OUT_PING, row->live.conn, 0, row))
        row->ping_ms = now;
}

static void sykli__member_tick_suspicion(sykli__member_table *t, sykli__member_row *row)
{
    uint64_t now = t->now_ms;
    if (now >= sykli__member_silence_due(t, row)) sykli__member_check_silent(t, row);
    if (row->check.on && now >= row->check.due_ms) sykli__member_judge(t, row);
    if (now < sykli__member_suspect_due(t, row)) return;
    if (sykli__member_heard_lately(t, row)) { // it lives, but has not heard of the accusation
        row->since_ms = now;
        sykli__member_send(t, row->live.conn, SYKLI__MEMBER_SAY, row->fact.id, 0, 0);
    } else sykli__member_accuse(t, row, SYKLI__MEMBER_DEAD);
}

static void sykli__member_tick_sync(sykli__member_table *t, sykli__member_row *row)
{
    if (!row->syncing || t->now_ms < row->sync_due_ms) return;
    for (int i = 0; i < SYKLI__MEMBER_SYNC_BATCH && row->sync_at < t->count; i++) {
        const sykli__member_row *other = t->rows[row->sync_at];
        bool told = other->fact.incarnation && other != row;
        if (told && !sykli__member_send(t, row->live.conn, SYKLI__MEMBER_SAY, other->fact.id, 0, 0))
            break;
        row->sync_at++;
    }
    row->syncing = row->sync_at < t->count;
    row->sync_due_ms = t->now_ms + SYKLI__MEMBER_SYNC_STEP_MS;
}

static void sykli__member_tick_dial(sykli__member_table *t, sykli__member_row *row)
{
    if (!sykli__member_wants_dial(t, row) || t->now_ms < row->dial_due_ms) return;
    if (sykli__member_order(t, SYKLI__MEMBER_OUT_DIAL, 0, 0, row)) row->dial_ms = t->now_ms;
}

static void sykli__member_tick(sykli__member_table *t)
{
    sykli__member_tick_health(t);
    if (t->say_self && t->now_ms >= t->say_due_ms) {
        t->say_self = false;
        t->said_ms = t->now_ms;
        sykli__member_flood(t, sykli__member_self(t), 0);
    }
    for (size_t i = t->count; i-- > 1;) {
        sykli__member_row *row = t->rows[i];
        if (t->now_ms < sykli__member_row_due(t, row)) continue;
        sykli__member_tick_sessions(t, row);
        sykli__member_tick_suspicion(t, row);
        sykli__member_tick_sync(t, row);
        sykli__member_tick_dial(t, row);
        if (t->now_ms >= sykli__member_tomb_due(row)) sykli__member_forget(t, i);
    }
    for (size_t i = 0; i < t->seed_count; i++) {
        sykli__member_seed *s = &t->seeds[i];
        if (!sykli__member_seed_lost(t, s) || t->now_ms < s->due_ms) continue;
        s->dialling = sykli__member_order(t, SYKLI__MEMBER_OUT_DIAL, 0, (int)i + 1, NULL);
    }
}

// ---- what to do

// The address whose turn it is.
static void sykli__member_address(const sykli__member_row *row, char out[64])
{
    const char *all = row->fact.addresses;
    size_t count = 1, size;
    for (const char *p = all; *p; p++) count += *p == ' ';
    for (size_t skip = row->dials % count; skip; skip--) all = strchr(all, ' ') + 1;
    size = strcspn(all, " ");
    if (size > 63) size = 63;
    memcpy(out, all, size);
    out[size] = 0;
}

// An item as something to do.    returns  false: it has lost its sense
static bool sykli__member_item_out(sykli__member_table *t, const sykli__member_item *item,
                                   sykli__member_out *out)
{
    sykli__wire_out data = sykli__link_fixed(t->data, sizeof t->data);
    memset(out, 0, sizeof *out);
    out->kind = item->kind;
    out->conn = item->conn;
    out->code = item->code;
    out->row = sykli__member_get(t, item->id);
    if (item->kind == SYKLI__MEMBER_OUT_DIAL) {
        out->seed = item->code;
        if (out->seed) memcpy(out->address, t->seeds[out->seed - 1].address, sizeof out->address);
        else if (out->row) sykli__member_address(out->row, out->address);
        return out->seed || out->row;
    }
    if (item->message == SYKLI__MEMBER_SAY && !out->row) return false;
    if (item->message == SYKLI__MEMBER_SAY) sykli__member_fact_put(&data, &out->row->fact);
    else if (item->message) {
        sykli__wire_put_u8(&data, (uint8_t)item->message);
        sykli__wire_put_bytes(&data, item->id, 16);
        sykli__wire_put_u32(&data, item->nonce);
        sykli__wire_put_u8(&data, (uint8_t)item->code);
    }
    out->data = data.data;
    out->size = data.size;
    return !data.error;
}

// An event of a row, by comparing what is with what was told.
static bool sykli__member_row_event(sykli__member_row *row, sykli__member_out *out)
{
    bool up = sykli__member_up(row), reborn = up && row->fact.boot_id != row->told_boot;
    memset(out, 0, sizeof *out);
    out->row = row;
    if (row->told_conn && row->live.conn) row->told_conn = row->live.conn; // one took over
    if (row->told_conn && !row->live.conn) {
        out->kind = SYKLI__MEMBER_OUT_LINKDOWN;
        out->conn = row->told_conn;
        row->told_conn = 0;
    } else if (row->told_up && (!up || reborn)) {
        out->kind = SYKLI__MEMBER_OUT_NODEDOWN;
        row->told_up = false;
    } else if (!row->told_up && up) {
        out->kind = SYKLI__MEMBER_OUT_NODEUP;
        row->told_up = true;
        row->told_boot = row->fact.boot_id;
    } else if (row->live.conn != row->told_conn) {
        out->kind = SYKLI__MEMBER_OUT_LINKUP;
        out->conn = row->told_conn = row->live.conn;
    } else return false;
    return true;
}

// Pulls the next thing to do, or that happened.
static bool sykli__member_next(sykli__member_table *t, sykli__member_out *out)
{
    while (t->item_at < t->item_count)
        if (sykli__member_item_out(t, &t->items[t->item_at++], out)) return true;
    for (size_t i = 1; t->changed && i < t->count; i++)
        if (sykli__member_row_event(t->rows[i], out)) return true;
    t->changed = false;
    return false;
}

// Says what changed about this node; the caller has changed sykli__member_self(t)->fact.
static void sykli__member_update(sykli__member_table *t) { sykli__member_renew(t, 0); }

// Says goodbye; send what `next` gives before closing.
static void sykli__member_leave(sykli__member_table *t)
{
    sykli__member_renew(t, 0);
    t->say_self = false;
    sykli__member_state_set(t, sykli__member_self(t), SYKLI__MEMBER_LEFT);
    sykli__member_flood(t, sykli__member_self(t), 0);
}

static void sykli__member_time(sykli__member_table *t, uint64_t now_ms) { t->now_ms = now_ms; }

// ---- the core: the table and the links of all connections, which have numbers
//
// The caller has sockets and a clock. It tells what happened (accepted, connected, bytes, closed,
// tick), pulls what to do and what was said (`next`) until there is nothing, and writes the
// `output` of each connection, then pulls again. Every connection ends with CLOSE, once.

enum {
    SYKLI__MEMBER_STRANGERS_MAX = 64,   // connections that have not shown the cookie
    SYKLI__MEMBER_STRANGERS_EACH = 8,   // of one address
    SYKLI__MEMBER_CONNECT_MS = 5000
};

typedef struct sykli__member_conn {
    int id, seed;
    bool connecting, expects;  // expects: `wanted` is a node id
    bool joined;               // its end has to be told to the table
    uint8_t wanted[16];
    sykli__member_row *row;    // of a member's session
    uint64_t since_ms, heard_ms;
    char address[64];
    sykli__link_psk psk;       // of a dial with a key of its own
    sykli__link_core link;
} sykli__member_conn;

typedef struct sykli__member_core_config {
    sykli__member_config member;
    sykli__link_config link;   // of every link; what belongs to one connection is filled in
} sykli__member_core_config;

typedef struct sykli__member_core {
    sykli_mem *mem;
    sykli__member_table table;
    sykli__link_config link;
    sykli__link_replay replay;
    sykli__member_conn **conns;
    size_t conn_count, conn_capacity;
    int last_id;
    uint64_t sessions;
    char name[SYKLI_NODE_NAME_MAX + 1];
} sykli__member_core;

typedef enum sykli__member_core_kind {
    SYKLI__MEMBER_CORE_DIAL,   // conn, member.address: then `connected` or `closed`
    SYKLI__MEMBER_CORE_CLOSE,  // conn: close the socket, the number is not used again
    SYKLI__MEMBER_CORE_MEMBER, // member: NODEUP, NODEDOWN, LINKUP, LINKDOWN, BEHIND, DUPLICATE
    SYKLI__MEMBER_CORE_LINK    // conn, ev, peer: of every session, also of clients and joiners
} sykli__member_core_kind;

typedef struct sykli__member_core_out {
    sykli__member_core_kind kind;
    int conn;
    sykli__member_out member;
    sykli__link_ev ev;
    const sykli__link_peer *peer;
} sykli__member_core_out;

static void sykli__member_core_free(sykli__member_core *c)
{
    for (size_t i = 0; i < c->conn_count; i++) {
        sykli__link_free(&c->conns[i]->link);
        sykli_mem_resize(c->mem, SYKLI_TAG_member, c->conns[i], sizeof **c->conns, 0);
    }
    if (c->mem) {
        sykli_mem_resize(c->mem, SYKLI_TAG_member, c->conns, c->conn_capacity * sizeof *c->conns,
                         0);
        sykli__link_replay_free(&c->replay);
    }
    sykli__member_free(&c->table);
    sykli_wipe(c, sizeof *c);
}

static int sykli__member_core_init(sykli__member_core *c, sykli_mem *mem,
                                   const sykli__member_core_config *config, uint64_t now_ms)
{
    const sykli__member_fact *self = &config->member.self;
    uint64_t seed[2] = { config->member.seed ^ 1, config->member.seed };
    memset(c, 0, sizeof *c);
    c->mem = mem;
    c->link = config->link;
    memcpy(c->link.id, self->id, 16);
    memcpy(c->link.sign_key, self->sign_key, 32);
    memcpy(c->name, self->name, sizeof c->name);
    c->link.boot_id = self->boot_id;
    sykli__link_replay_init(&c->replay, mem, 0, seed);
    return sykli__member_init(&c->table, mem, &config->member, now_ms);
}

static sykli__member_conn *sykli__member_conn_get(const sykli__member_core *c, int id)
{
    for (size_t i = 0; i < c->conn_count; i++)
        if (c->conns[i]->id == id) return c->conns[i];
    return NULL;
}

static sykli__member_conn *sykli__member_conn_add(sykli__member_core *c, const char *address,
                                                  uint8_t transport, uint8_t purpose)
{
    if (c->conn_count == c->conn_capacity) {
        size_t fresh = c->conn_capacity ? 2 * c->conn_capacity : 8;
        void *grown = sykli_mem_resize(c->mem, SYKLI_TAG_member, c->conns,
                                       c->conn_capacity * sizeof *c->conns,
                                       fresh * sizeof *c->conns);
        if (!grown) return NULL;
        c->conns = (sykli__member_conn **)grown;
        c->conn_capacity = fresh;
    }
    if (c->last_id == INT32_MAX) return NULL;
    sykli__member_conn *n =
        (sykli__member_conn *)sykli_mem_resize(c->mem, SYKLI_TAG_member, NULL, 0, sizeof *n);
    if (!n) return NULL;
    n->id = ++c->last_id;
    n->since_ms = c->table.now_ms;
    size_t size = (size_t)sykli__link_least(strlen(address), sizeof n->address - 1);
    memcpy(n->address, address, size);
    n->link.config = c->link;
    n->link.config.transport = transport;
    n->link.config.purpose = purpose;
    n->link.config.name = c->name;
    c->conns[c->conn_count++] = n;
    return n;
}

static void sykli__member_conn_free(sykli__member_core *c, sykli__member_conn *n)
{
    size_t i = 0;
    while (c->conns[i] != n) i++;
    c->conns[i] = c->conns[--c->conn_count];
    sykli__link_free(&n->link);
    sykli_mem_resize(c->mem, SYKLI_TAG_member, n, sizeof *n, 0);
}

// Whether one more stranger may wait at the door. The host of an address ends at its last colon.
static bool sykli__member_core_room(const sykli__member_core *c, const char *from)
{
    const char *colon = strrchr(from, ':');
    size_t host = colon ? (size_t)(colon - from) + 1 : strlen(from);
    size_t all = 0, same = 0;
    for (size_t i = 0; i < c->conn_count; i++) {
        const sykli__member_conn *n = c->conns[i];
        bool stranger = !n->link.config.initiator && !n->link.opened;
        all += stranger;
        same += stranger && !strncmp(n->address, from, host);
    }
    return all < SYKLI__MEMBER_STRANGERS_MAX && same < SYKLI__MEMBER_STRANGERS_EACH;
}

// A socket was accepted.    returns  its number; EBUSY: close it, strangers fill the door; ENOMEM
static int sykli__member_core_accepted(sykli__member_core *c, uint64_t now_ms, uint8_t transport,
                                       const char *from, const uint8_t random[32])
{
    sykli__member_time(&c->table, now_ms);
    if (transport == SYKLI__LINK_NOISE && !sykli__member_core_room(c, from)) return SYKLI_EBUSY;
    sykli__member_conn *n = sykli__member_conn_add(c, from, transport, SYKLI__LINK_CTL);
    if (!n) return SYKLI_ENOMEM;
    sykli__link_config config = n->link.config;
    config.initiator = false;
    config.replay = &c->replay;
    memcpy(config.ephemeral_secret, random, 32);
    sykli__link_init(&n->link, c->mem, &config, now_ms);
    return n->id;
}

// Begins a session of the caller's own: to join, as a client, or for bulk. Connect the socket, then
// call `connected`.    psk: copied; NULL: the first of the configuration
static int sykli__member_core_dial(sykli__member_core *c, uint64_t now_ms, uint8_t transport,
                                   uint8_t purpose, const char *address, const sykli__link_psk *psk)
{
    sykli__member_time(&c->table, now_ms);
    sykli__member_conn *n = sykli__member_conn_add(c, address, transport, purpose);
    if (!n) return SYKLI_ENOMEM;
    n->connecting = true;
    if (psk) {
        n->psk = *psk;
        n->link.config.psks = &n->psk;
        n->link.config.psk_count = 1;
    }
    return n->id;
}

// A socket that `next` or `dial` asked for is connected.
static void sykli__member_core_connected(sykli__member_core *c, uint64_t now_ms, int conn,
                                         const uint8_t random[32])
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    sykli__member_time(&c->table, now_ms);
    if (!n || !n->connecting) return;
    sykli__link_config config = n->link.config;
    n->connecting = false;
    config.initiator = true;
    config.session = ++c->sessions;
    config.expected = n->expects ? n->wanted : NULL;
    memcpy(config.ephemeral_secret, random, 32);
    int rc = sykli__link_init(&n->link, c->mem, &config, now_ms);
    if (rc) sykli__link_die(&n->link, rc, "the handshake could not begin");
}

// The socket was closed by the other side, failed, or could not be connected.
static void sykli__member_core_closed(sykli__member_core *c, uint64_t now_ms, int conn,
                                      bool refused)
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    sykli__member_time(&c->table, now_ms);
    if (!n) return;
    bool was_connecting = n->connecting;
    n->connecting = false;
    sykli__link_die(&n->link, was_connecting && refused ? SYKLI_ENONODE : SYKLI_ECLOSED,
                    was_connecting ? "no connection" : "the connection closed");
}

// Takes received bytes; pull `next` and call again while it took fewer than `size`.
static size_t sykli__member_core_bytes(sykli__member_core *c, uint64_t now_ms, int conn,
                                       const uint8_t *data, size_t size)
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    sykli__member_time(&c->table, now_ms);
    return n && !n->connecting ? sykli__link_bytes(&n->link, now_ms, data, size) : size;
}

static size_t sykli__member_core_output(sykli__member_core *c, uint64_t now_ms, int conn,
                                        const uint8_t **data)
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    *data = NULL;
    return n && !n->connecting ? sykli__link_output(&n->link, now_ms, data) : 0;
}

static void sykli__member_core_sent(sykli__member_core *c, uint64_t now_ms, int conn, size_t size)
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    if (n) sykli__link_sent(&n->link, now_ms, size);
}

// The link of a connection, to open, write, end, reset and consume streams; NULL: it is gone.
static sykli__link_core *sykli__member_core_link(const sykli__member_core *c, int conn)
{
    sykli__member_conn *n = sykli__member_conn_get(c, conn);
    return n ? &n->link : NULL;
}

static uint64_t sykli__member_core_deadline(sykli__member_core *c)
{
    uint64_t due = sykli__member_deadline(&c->table);
    for (size_t i = 0; i < c->conn_count; i++) {
        const sykli__member_conn *n = c->conns[i];
        due = sykli__link_least(due, n->connecting ? n->since_ms + SYKLI__MEMBER_CONNECT_MS
                                                   : sykli__link_deadline(&n->link));
    }
    return due;
}

static void sykli__member_core_tick(sykli__member_core *c, uint64_t now_ms)
{
    sykli__member_time(&c->table, now_ms);
    for (size_t i = 0; i < c->conn_count; i++) {
        sykli__member_conn *n = c->conns[i];
        if (!n->connecting) sykli__link_tick(&n->link, now_ms);
        else if (now_ms - n->since_ms >= SYKLI__MEMBER_CONNECT_MS)
            sykli__member_core_closed(c, now_ms, n->id, false);
    }
    sykli__member_tick(&c->table);
}

// A session is up: a member's goes into the table.
static void sykli__member_core_up(sykli__member_core *c, sykli__member_conn *n)
{
    const sykli__link_peer *peer = &n->link.peer;
    bool dialled = n->link.config.initiator;
    sykli__member_session fresh = { n->id, peer->boot_id,
                                    dialled ? n->link.config.session : peer->session, dialled };
    if (n->link.config.transport != SYKLI__LINK_NOISE || peer->purpose != SYKLI__LINK_CTL) return;
    if (!c->link.psk_count || memcmp(peer->psk_id, c->link.psks[0].id, sizeof peer->psk_id)) {
        sykli__link_close(&n->link, SYKLI_EAUTH, "only the cookie makes a member");
        return;
    }
    int rc = sykli__member_link_up(&c->table, peer, &fresh, &n->row);
    if (rc == SYKLI_EBUSY) sykli__link_close(&n->link, rc, "two processes have this node's key");
    else if (rc) sykli__link_close(&n->link, rc, "the table of members is full");
    if (n->seed) sykli__member_seed_up(&c->table, n->seed, peer->id);
    n->joined = !rc;
}

static void sykli__member_core_down(sykli__member_core *c, sykli__member_conn *n)
{
    int code = n->link.fault.code;
    if (n->joined) sykli__member_link_down(&c->table, n->row, n->id);
    else if (n->expects || n->seed) { // ENONODE, EAUTH: whoever is there, it is not that node
        sykli__member_row *row = n->expects ? sykli__member_get(&c->table, n->wanted) : NULL;
        sykli__member_dial_failed(&c->table, row, n->seed,
                                  code == SYKLI_ENONODE || code == SYKLI_EAUTH);
        if (n->seed && code == SYKLI_EEXIST)
            sykli__member_seed_up(&c->table, n->seed, sykli__member_self(&c->table)->fact.id);
    }
    n->joined = n->expects = false;
    n->seed = 0;
}

// What the link of a connection says.    returns  whether the caller should hear of it
static bool sykli__member_core_event(sykli__member_core *c, sykli__member_conn *n,
                                     const sykli__link_ev *ev)
{
    switch (ev->kind) {
    case SYKLI__LINK_EV_UP: sykli__member_core_up(c, n); return true;
    case SYKLI__LINK_EV_DOWN: sykli__member_core_down(c, n); return true;
    case SYKLI__LINK_EV_FACT:
        if (n->row && sykli__member_told(&c->table, n->row, n->id, ev->data, ev->size))
            sykli__link_close(&n->link, SYKLI_EPARSE, "a fact that is not well formed");
        return false;
    case SYKLI__LINK_EV_PONG:
        if (n->row) n->row->rtt_ms = ev->rtt_ms;
        // fall through - a PONG brings the same
    case SYKLI__LINK_EV_PING:
        if (n->row) sykli__member_ping_get(&c->table, n->row, n->id, ev->data, ev->size);
        return false;
    default: return true;
    }
}

static void sykli__member_core_ping_set(sykli__member_core *c, sykli__member_conn *n)
{
    uint8_t data[SYKLI__MEMBER_PING_SIZE + 1];
    sykli__member_ping_put(&c->table, data);
    sykli__link_ping_set(&n->link, data, SYKLI__MEMBER_PING_SIZE);
}

// Does what the table wants.    returns  whether the caller should hear of it
static bool sykli__member_core_do(sykli__member_core *c, sykli__member_core_out *out)
{
    const sykli__member_out *m = &out->member;
    sykli__member_conn *n = m->conn ? sykli__member_conn_get(c, m->conn) : NULL;
    out->kind = SYKLI__MEMBER_CORE_MEMBER;
    out->conn = m->conn;
    switch (m->kind) {
    case SYKLI__MEMBER_OUT_DIAL:
        n = sykli__member_conn_add(c, m->address, SYKLI__LINK_NOISE, SYKLI__LINK_CTL);
        if (!n) {
            sykli__member_dial_failed(&c->table, m->row, m->seed, false);
            return false;
        }
        n->connecting = true;
        n->seed = m->seed;
        n->expects = !m->seed;
        if (m->row) memcpy(n->wanted, m->row->fact.id, 16);
        out->kind = SYKLI__MEMBER_CORE_DIAL;
        out->conn = n->id;
        return true;
    case SYKLI__MEMBER_OUT_CLOSE:
        if (n) sykli__link_close(&n->link, SYKLI_ECLOSED, "another session took over");
        return false;
    case SYKLI__MEMBER_OUT_PING:
        if (n) sykli__member_core_ping_set(c, n);
        if (n) sykli__link_ping(&n->link, c->table.now_ms);
        return false;
    case SYKLI__MEMBER_OUT_SEND:
        if (n) sykli__link_fact(&n->link, m->data, m->size); // a full queue: the hash will tell
        return false;
    case SYKLI__MEMBER_OUT_FLOOD:
        for (size_t i = 0; i < c->conn_count; i++) {
            n = c->conns[i];
            if (n->id != m->conn && n->row && n->row->live.conn == n->id)
                sykli__link_fact(&n->link, m->data, m->size);
        }
        return false;
    default: return true;
    }
}

// Pulls what one connection has to say.
static bool sykli__member_conn_next(sykli__member_core *c, sykli__member_conn *n,
                                    sykli__member_core_out *out)
{
    if (n->connecting) return false;
    if (n->row && n->link.heard_ms > n->heard_ms) {
        n->heard_ms = n->link.heard_ms;
        sykli__member_heard(&c->table, n->row, n->id);
        sykli__member_core_ping_set(c, n); // rides in the PONG
    }
    out->conn = n->id;
    out->peer = &n->link.peer;
    out->kind = SYKLI__MEMBER_CORE_LINK;
    while (sykli__link_event(&n->link, &out->ev))
        if (sykli__member_core_event(c, n, &out->ev)) return true;
    if (!sykli__link_finished(&n->link)) return false;
    out->kind = SYKLI__MEMBER_CORE_CLOSE;
    out->peer = NULL;
    sykli__member_conn_free(c, n);
    return true;
}

// Pulls the next thing to do, or that was said; valid until the next call.
static bool sykli__member_core_next(sykli__member_core *c, uint64_t now_ms,
                                    sykli__member_core_out *out)
{
    sykli__member_time(&c->table, now_ms);
    memset(out, 0, sizeof *out);
    for (bool again = true; again;) {
        for (size_t i = 0; i < c->conn_count; i++)
            if (sykli__member_conn_next(c, c->conns[i], out)) return true;
        again = false;
        while (sykli__member_next(&c->table, &out->member)) {
            if (sykli__member_core_do(c, out)) return true;
            again = true; // it may have ended a link
        }
    }
    memset(out, 0, sizeof *out);
    return false;
}

// >>remote ---- requests over links: serving them and asking them
// Both ends of a stream are requests of a context: what arrives is opened with `sykli_request_open`
// and read no faster than its link takes it; what is asked is a queue that the link's credit
// bounds. So a request to another node, to this node's daemon or to a run beside it is one and the
// same.

#define SYKLI__REMOTE_CHUNK 8192
#define SYKLI__REMOTE_SERVINGS_MAX 3072 // fewer than a context's requests: the rest are its own

typedef struct sykli__remote_serving {
    struct sykli__remote_serving *next;
    sykli__link_core *link;
    uint32_t stream;
    sykli_handle request;
    bool more;               // the request may have something to read
} sykli__remote_serving;

typedef struct sykli__remote_asking {
    struct sykli__remote_asking *next;
    sykli__link_core *link;  // NULL: gone
    uint32_t stream;
    uint64_t ticket;
    sykli_buf in;
    bool ended;
    int code;
    char message[256];
    void (*ready)(void *user, sykli_handle request);
    void *user;
} sykli__remote_asking;

typedef struct sykli__remote {
    sykli *core;
    sykli_mem *mem;
    sykli__remote_serving *servings;
    size_t serving_count;
    sykli__remote_asking *askings;
} sykli__remote;

static void sykli__remote_init(sykli__remote *r, sykli *core)
{
    memset(r, 0, sizeof *r);
    r->core = core;
    r->mem = sykli_memory(core);
}

// ---- serving

static void sykli__remote_ready(void *user, sykli_handle request)
{
    (void)request;
    ((sykli__remote_serving *)user)->more = true;
}

static sykli__remote_serving *sykli__remote_serving_of(const sykli__remote *r,
                                                       const sykli__link_core *link,
                                                       uint32_t stream)
{
    for (sykli__remote_serving *v = r->servings; v; v = v->next)
        if (v->link == link && v->stream == stream) return v;
    return NULL;
}

static void sykli__remote_serving_free(sykli__remote *r, sykli__remote_serving *v)
{
    sykli__remote_serving **at = &r->servings;
    while (*at != v) at = &(*at)->next;
    *at = v->next;
    r->serving_count--;
    sykli_request_close(r->core, v->request);
    sykli_mem_resize(r->mem, SYKLI_TAG_mesh, v, sizeof *v, 0);
}

// Whom a request is from. What a peer says of it stands behind the name it has proved.
static const char *sykli__remote_origin(const sykli__link_core *link, const char *said,
                                        char out[2 * SYKLI_NODE_NAME_MAX])
{
    bool proved = link->config.transport == SYKLI__LINK_NOISE;
    bool nothing = !*said || !strcmp(said, "local");
    if (!proved) return nothing ? "local" : said;
    snprintf(out, 2 * SYKLI_NODE_NAME_MAX, nothing ? "%s" : "%s, %.50s", link->peer.name, said);
    return out;
}

// Opens the request that a stream was opened with.
//   role     of the peer here: the ceiling in the message only lowers it
//   node     where it is to run: NULL is here
static int sykli__remote_serve(sykli__remote *r, sykli__link_core *link, uint32_t stream,
                               const sykli__link_open_message *m, sykli_role role, const char *node)
{
    if (r->serving_count >= SYKLI__REMOTE_SERVINGS_MAX)
        return sykli__link_end(link, stream, SYKLI_EBUSY, "too many requests at once; try again");
    sykli__remote_serving *v =
        (sykli__remote_serving *)sykli_mem_resize(r->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *v);
    char origin[2 * SYKLI_NODE_NAME_MAX];
    if (!v) return sykli__link_end(link, stream, SYKLI_ENOMEM, "out of memory");
    v->link = link;
    v->stream = stream;
    v->more = true;
    v->request = sykli_request_open(r->core, &(sykli_request){
        .verb = (sykli_verb)m->verb, .node = node, .what = m->what,
        .args = m->args[0] ? m->args : NULL,
        .origin = sykli__remote_origin(link, m->origin, origin),
        .role = m->role && m->role < role ? (sykli_role)m->role : role,
        .deadline_ms = m->deadline_ms, .ready = sykli__remote_ready, .user = v });
    if (!v->request.id) {
        const char *why = sykli_errmsg(r->core);
        int code = sykli_last_error(r->core);
        sykli_mem_resize(r->mem, SYKLI_TAG_mesh, v, sizeof *v, 0);
        return sykli__link_end(link, stream, code ? code : SYKLI_EINVAL, why);
    }
    v->next = r->servings;
    r->servings = v;
    r->serving_count++;
    return 0;
}

// Bytes a stream takes now; 0: WRITABLE will say when.
static size_t sykli__remote_room(sykli__link_core *link, uint32_t stream)
{
    sykli__link_stream *t = link->state == SYKLI__LINK_UP ? sykli__link_find(link, stream) : NULL;
    size_t room = t && !t->end ? sykli__link_room(link, t) : 0;
    if (t && !room) t->short_write = true;
    return room;
}

// Moves what a request has to its stream, as far as the link takes it.
static void sykli__remote_push(sykli__remote *r, sykli__remote_serving *v)
{
    uint8_t chunk[SYKLI__REMOTE_CHUNK];
    while (v->more) {
        size_t room = sykli__remote_room(v->link, v->stream);
        if (!room) return; // WRITABLE goes on
        int64_t got = sykli_request_read(r->core, v->request, chunk,
                                         room < sizeof chunk ? room : sizeof chunk);
        if (got > 0) {
            sykli__link_write(v->link, v->stream, chunk, (size_t)got);
        } else if (!got) {
            v->more = false;
        } else {
            int code = got == SYKLI_EOF ? 0 : (int)got;
            sykli__link_end(v->link, v->stream, code,
                            code ? sykli_request_message(r->core, v->request) : "");
            sykli__remote_serving_free(r, v);
            return;
        }
    }
}

// ---- asking

static sykli__remote_asking *sykli__remote_asking_of(const sykli__remote *r, uint64_t ticket)
{
    for (sykli__remote_asking *a = r->askings; a; a = a->next)
        if (a->ticket == ticket) return a;
    return NULL;
}

// Asks over a link. `node` is whom the other end should pass it to, "" for itself.
static int sykli__remote_ask(sykli__remote *r, sykli__link_core *link, uint64_t ticket,
                             const char *node, const sykli_request *desc)
{
    sykli__remote_asking *a =
        (sykli__remote_asking *)sykli_mem_resize(r->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *a);
    if (!a) return SYKLI_ENOMEM;
    bool heavy = desc->verb == SYKLI_VERB_fetch;
    sykli__link_open_message m = {
        .verb = (uint8_t)desc->verb, .role = (uint8_t)desc->role, .version = 1,
        .priority = heavy ? SYKLI__LINK_HEAP
                  : desc->verb == SYKLI_VERB_watch ? SYKLI__LINK_LIVE : SYKLI__LINK_CALL,
        .deadline_ms = desc->deadline_ms, .origin = desc->origin ? desc->origin : "",
        .node = node, .what = desc->what, .args = desc->args ? desc->args : "" };
    int rc = sykli__link_open(link, &m, &a->stream);
    if (rc) {
        sykli_mem_resize(r->mem, SYKLI_TAG_mesh, a, sizeof *a, 0);
        return sykli_set_error(r->core, rc, "cannot ask '%s': %s", link->peer.name,
                               sykli_error_text(rc));
    }
    a->link = link;
    a->ticket = ticket;
    a->ready = desc->ready;
    a->user = desc->user;
    sykli_buf_init(&a->in, r->mem, SYKLI_TAG_mesh);
    a->next = r->askings;
    r->askings = a;
    return 0;
}

static int64_t sykli__remote_read(sykli__remote *r, uint64_t ticket, void *out, size_t size)
{
    sykli__remote_asking *a = sykli__remote_asking_of(r, ticket);
    if (!a) return SYKLI_ESTALE;
    size_t take = a->in.size < size ? a->in.size : size;
    if (take) {
        memcpy(out, a->in.data, take);
        sykli_buf_drop(&a->in, take);
        if (a->link) sykli__link_consume(a->link, a->stream, take);
        return (int64_t)take;
    }
    if (!a->ended) return 0;
    return a->code ? a->code : SYKLI_EOF;
}

static const char *sykli__remote_message(sykli__remote *r, uint64_t ticket)
{
    sykli__remote_asking *a = sykli__remote_asking_of(r, ticket);
    return a ? a->message : "";
}

static void sykli__remote_close(sykli__remote *r, uint64_t ticket)
{
    sykli__remote_asking *a = sykli__remote_asking_of(r, ticket);
    if (!a) return;
    sykli__remote_asking **at = &r->askings;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
    if (a->link && !a->ended) sykli__link_reset(a->link, a->stream, SYKLI_ECANCELLED);
    sykli_buf_free(&a->in);
    sykli_mem_resize(r->mem, SYKLI_TAG_mesh, a, sizeof *a, 0);
}

static void sykli__remote_asking_end(sykli__remote_asking *a, int code, const char *text)
{
    if (a->ended) return;
    a->ended = true;
    a->code = code;
    snprintf(a->message, sizeof a->message, "%s", text ? text : "");
}

static void sykli__remote_asking_told(sykli__remote_asking *a)
{
    if (a->ready) a->ready(a->user, (sykli_handle){ a->ticket });
}

// ---- events of a link

// One event of a link that concerns a stream; OPENED is the caller's, who knows the role.
static void sykli__remote_event(sykli__remote *r, sykli__link_core *link, const sykli__link_ev *ev)
{
    sykli__remote_serving *v = sykli__remote_serving_of(r, link, ev->stream);
    sykli__remote_asking *a = r->askings;
    while (a && (a->link != link || a->stream != ev->stream)) a = a->next;
    if (ev->kind == SYKLI__LINK_EV_DATA && a) {
        if (sykli_buf_add(&a->in, ev->data, ev->size)) {
            sykli__remote_asking_end(a, SYKLI_ENOMEM, "out of memory");
            sykli__link_reset(link, a->stream, SYKLI_ENOMEM);
            a->link = NULL;
        }
        sykli__remote_asking_told(a);
    } else if (ev->kind == SYKLI__LINK_EV_DATA) {
        sykli__link_consume(link, ev->stream, ev->size); // nobody listens any more
    } else if (ev->kind == SYKLI__LINK_EV_ENDED && a && ev->last) {
        sykli__remote_asking_end(a, ev->code, ev->text);
        a->link = NULL;
        sykli__remote_asking_told(a);
    } else if (ev->kind == SYKLI__LINK_EV_ENDED && v && ev->last) {
        sykli__remote_serving_free(r, v);
    } else if (ev->kind == SYKLI__LINK_EV_WRITABLE && v) {
        v->more = true;
    }
}

static void sykli__remote_pump(sykli__remote *r)
{
    for (sykli__remote_serving *v = r->servings, *next; v; v = next) {
        next = v->next;
        if (v->more) sykli__remote_push(r, v);
    }
}

// Ends all that is served over a link: its peer may do less than when it asked.
static void sykli__remote_revoke(sykli__remote *r, sykli__link_core *link)
{
    for (sykli__remote_serving *v = r->servings, *next; v; v = next) {
        next = v->next;
        if (v->link != link) continue;
        sykli__link_end(link, v->stream, SYKLI_EPERM, "the role of this node was changed");
        sykli__remote_serving_free(r, v);
    }
}

// A link is gone: what was asked over it ends, what was served over it is forgotten.
static void sykli__remote_gone(sykli__remote *r, const sykli__link_core *link, const char *why)
{
    for (sykli__remote_serving *v = r->servings, *next; v; v = next) {
        next = v->next;
        if (v->link == link) sykli__remote_serving_free(r, v);
    }
    for (sykli__remote_asking *a = r->askings; a; a = a->next)
        if (a->link == link) {
            a->link = NULL;
            sykli__remote_asking_end(a, SYKLI_ECLOSED, why);
            sykli__remote_asking_told(a);
        }
}

static void sykli__remote_free(sykli__remote *r)
{
    while (r->servings) sykli__remote_serving_free(r, r->servings);
    while (r->askings) {
        r->askings->link = NULL;
        sykli__remote_close(r, r->askings->ticket);
    }
}

// >>mesh ---- the node: control socket, routes, cache lookups, config push, invites
// Where the core of >>member meets sockets and files. Connections are clients on the unix socket of
// the state directory (runs and command lines, which show the token that only its owner can read),
// peers, and newcomers who hold an invite. All of them carry requests; which role a request has is
// decided here and nowhere else.

enum {
    SYKLI__MESH_CONNS_MAX = 512,
    SYKLI__MESH_CONNS_OWN = 64,        // of them, for the control socket alone
    SYKLI__MESH_CONNS_EACH = 32,       // sessions of one node: its own, and those of its runs
    SYKLI__MESH_DEAF_MS = 100,         // without descriptors nobody is let in for so long
    SYKLI__MESH_READ_BYTES = 64 * 1024,
    SYKLI__MESH_TURN_READS = 8,        // reads of one connection a turn of the loop
    SYKLI__MESH_FILE_MAX = 8 << 20,
    SYKLI__MESH_INVITES_MAX = 63,      // open at once
    SYKLI__MESH_FIND_MS = 150,         // peers have so long to say whether they have an action
    SYKLI__MESH_BATCH = 100,           // actions asked for in one question
    SYKLI__MESH_FETCH_MS = 60000,
    SYKLI__MESH_PUSH_MS = 2000,        // nodes have so long to answer a push
    SYKLI__MESH_CLIENT_MS = 2000,      // a node has so long to answer a client's handshake
    SYKLI__MESH_JOIN_MS = 10000,
    SYKLI__MESH_SLOT_MS = 1000,        // a worker serves one run so long, if others wait or not
    SYKLI__MESH_RETRY_MS = 20,
    SYKLI__MESH_REFUSALS_MAX = 16,     // of waiting requests, in a turn of the loop
    SYKLI__MESH_VERSIONS_KEPT = 20
};

typedef enum sykli__mesh_kind {
    SYKLI__MESH_CONTROL, // a client of this node, on the unix socket
    SYKLI__MESH_GATE,    // the node this context is a client of
    SYKLI__MESH_PEER,    // a member, or whoever says to be one
    SYKLI__MESH_INVITER  // the node this context joins at
} sykli__mesh_kind;

typedef struct sykli__mesh_conn {
    struct sykli__mesh_conn *next;
    sykli__mesh_kind kind;
    int fd, number;             // number: in the core
    bool dialling, up, closing; // closing: nothing more is read
    bool blocked;               // the socket takes no more
    bool invited;               // by a token's key, not by the cookie: may only join
    sykli_role role;
    int pid;                    // of a client
    bool task;                  // that client is one, or hid when it came
    char address[64];
    uint64_t since_ms;
} sykli__mesh_conn;

// A request of our own, read in the background; `done` is called once. Where a session has as many
// streams as it may have, the job waits for its turn.
typedef struct sykli__mesh_job {
    struct sykli__mesh_job *next;
    sykli_handle request;
    bool ready;
    sykli_verb verb;
    char node[SYKLI_NODE_NAME_MAX + 1];
    char *what, *args;          // kept while it waits
    uint32_t deadline_ms;       // from when it is opened
    sykli_buf body;
    sykli_blob_writer *writer;  // takes the body instead
    uint64_t begun_ms, due_ms;
    int code;                   // how it ended: 0 or the error
    char message[256];
    void (*done)(struct sykli_mesh *m, struct sykli__mesh_job *job);
    void *user;
    uint64_t ticket;
} sykli__mesh_job;

// A search for an action at the peers: first who has it, then its blobs from that one.
typedef struct sykli__mesh_find {
    struct sykli__mesh_find *next;
    char key[65], from[SYKLI_NODE_NAME_MAX + 80];
    char node[SYKLI_NODE_NAME_MAX + 1]; // who has it
    uint32_t holders;           // the batch, answers that may still come, the fetching
    bool queued, ended, parsed, fetching;
    bool get, fetch;            // the entry, the next blob is to be asked for
    uint64_t retry_ms;
    sykli_buf entry;
    sykli_json_doc doc;
    uint32_t output;            // in doc: whose blob is being fetched
    void (*done)(struct sykli_mesh *m, struct sykli__mesh_find *find, int code);
    uint64_t ticket;
    sykli_handle call;
} sykli__mesh_find;

// Actions that are asked for together.
typedef struct sykli__mesh_batch {
    uint32_t holders;           // peers that may still answer
    size_t count;
    sykli__mesh_find *finds[SYKLI__MESH_BATCH];
} sykli__mesh_batch;

// A worker of the node that a task of this client holds, or waits for.
typedef struct sykli__mesh_slot {
    struct sykli__mesh_slot *next;
    uint64_t ticket;            // 0: idle
    sykli_handle request;       // 0: to be asked for again at retry_ms
    bool ready, told;           // told: it is granted, and the context knows
    bool again;                 // granted before, and lent to another task now
    uint64_t granted_ms, idle_ms, retry_ms;
} sykli__mesh_slot;

// What a push did on one node.
typedef struct sykli__mesh_pushed {
    char node[SYKLI_NODE_NAME_MAX + 1];
    const char *state;          // updated, refused, offline, conflict
    char reason[200];
    uint64_t ms;
} sykli__mesh_pushed;

// A push on its way: PREPARE to all, then COMMIT to those who can.
typedef struct sykli__mesh_push {
    struct sykli__mesh_push *next;
    sykli_handle call;
    sykli__roster_envelope envelope;
    sykli_buf body, args;       // args: {"push":"<hex of envelope and body>"}
    sykli__mesh_pushed *nodes;
    size_t node_count;
    uint32_t waiting;
    bool committing, all_or_nothing;
} sykli__mesh_push;

struct sykli_mesh {
    sykli *core;
    sykli_mem *mem;
    const sykli_sys *sys;
    sykli_fault fault;
    sykli_crypto crypto;
    sykli_mesh_mode mode;
    char *state_dir;
    char listen[64], advertise[64];
    char seeds[SYKLI__MEMBER_SEEDS_MAX][64];
    size_t seed_count;
    int dir_fd;                 // the state directory
    int control_fd, listen_fd;  // what is listened on, -1: nothing
    uint8_t token[32];          // of the control socket
    sykli__mesh_conn *conns;
    size_t conn_count;
    sykli__mesh_conn *gate;
    sykli__member_core links;
    sykli__remote remote;
    sykli__mesh_job *jobs;
    sykli__mesh_job *waiting, **waiting_end; // jobs to be opened, the first one first
    sykli__mesh_find *finds;
    size_t queued;              // of them: not asked for yet
    sykli__mesh_slot *slots;
    sykli__mesh_push *pushes;
    // Of a node:
    sykli__roster_keys keys;    // node key, and once it is in a mesh its cookie and key
    sykli__roster roster;
    sykli__roster_book book;    // of invites
    sykli__link_psk psks[1 + SYKLI__MESH_INVITES_MAX]; // the cookie's, then those of open invites
    size_t psk_count;
    sykli__roster_envelope config; // the pushed configuration in force; version 0: none
    sykli_buf config_body;
    sykli_table nodes_before;      // the context's own table of nodes
    uint32_t busy_told, total_told;
    uint64_t deaf_until_ms;        // nothing is accepted before
    uint8_t wire[SYKLI__MESH_READ_BYTES];   // what was read from a socket
    uint8_t buffer[SYKLI__MESH_READ_BYTES]; // what was read from a request
};

static uint64_t sykli__mesh_now(const sykli_mesh *m) { return sykli_now_ms(m->core); }

static int64_t sykli__mesh_wall(const sykli_mesh *m) { return m->sys->wall_ms(m->sys->user); }

static bool sykli__mesh_in_mesh(const sykli_mesh *m)
{
    return (m->keys.has & SYKLI__ROSTER_HAS_COOKIE) != 0;
}

static int sykli__mesh_failed(sykli_mesh *m)
{
    return sykli_set_error(m->core, m->fault.code, "%s", m->fault.text);
}

// ---- files of the state directory

static int sykli__mesh_file_read(sykli_mesh *m, const char *name, sykli_buf *out)
{
    int fd = m->sys->open(m->sys->user, m->dir_fd, name, SYKLI_OPEN_read | SYKLI_OPEN_nofollow, 0);
    if (fd < 0) return sykli_fail_sys(NULL, fd, "%s", name);
    int64_t got = 1;
    while (got > 0 && out->size <= SYKLI__MESH_FILE_MAX) {
        uint8_t *room = sykli_buf_grow(out, 4097);
        got = room ? m->sys->read(m->sys->user, fd, room, 4096) : -12 /* ENOMEM */;
        if (got > 0) out->size += (size_t)got;
    }
    m->sys->close(m->sys->user, fd);
    if (got > 0) return SYKLI_ELIMIT;
    if (got < 0) return out->error ? out->error : SYKLI_EIO;
    out->data[out->size] = 0;
    return 0;
}

// Replaces a file whole: what a crash leaves is the old one or the new one.
static int sykli__mesh_file_write(sykli_mesh *m, const char *name, const void *data, size_t size)
{
    char tmp[96];
    const sykli_sys *sys = m->sys;
    snprintf(tmp, sizeof tmp, "%s.new", name);
    int fd = sys->open(sys->user, m->dir_fd, tmp,
                       SYKLI_OPEN_write | SYKLI_OPEN_create | SYKLI_OPEN_truncate
                           | SYKLI_OPEN_nofollow, 0600);
    int64_t rc = fd < 0 ? fd : 0;
    for (size_t at = 0; rc >= 0 && at < size; at += rc > 0 ? (size_t)rc : 0)
        rc = sys->write(sys->user, fd, (const uint8_t *)data + at, size - at);
    if (rc >= 0) rc = sys->sync(sys->user, fd);
    if (fd >= 0) sys->close(sys->user, fd);
    if (rc >= 0) rc = sys->rename(sys->user, m->dir_fd, tmp, m->dir_fd, name);
    if (rc >= 0) rc = sys->sync(sys->user, m->dir_fd);
    if (rc >= 0) return 0;
    if (fd >= 0) sys->remove(sys->user, m->dir_fd, tmp, 0);
    sykli_fail_sys(&m->fault, rc, "%s/%s cannot be written", m->state_dir, name);
    return sykli__mesh_failed(m);
}

// Opens the state directory. A client only reads it: it makes none.
static int sykli__mesh_dir_open(sykli_mesh *m, bool client)
{
    const sykli_sys *sys = m->sys;
    char part[4096];
    size_t size = strlen(m->state_dir);
    if (size >= sizeof part) return sykli_set_error(m->core, SYKLI_EINVAL, "state path too long");
    for (size_t at = 1; at <= size && !client; at++) { // makes each folder that is not there
        if (at < size && m->state_dir[at] != '/') continue;
        memcpy(part, m->state_dir, at);
        part[at] = 0;
        sys->mkdir(sys->user, SYKLI_CWD, part, 0700);
    }
    m->dir_fd = sys->open(sys->user, SYKLI_CWD, m->state_dir,
                          SYKLI_OPEN_read | SYKLI_OPEN_directory, 0);
    if (m->dir_fd >= 0) return 0;
    int rc = sykli_fail_sys(&m->fault, m->dir_fd, "the state directory %s", m->state_dir);
    if (client && rc == SYKLI_ENOENT)
        rc = sykli_fail(&m->fault, SYKLI_ENONODE, "no node runs in %s", m->state_dir);
    return sykli_set_error(m->core, rc, "%s", m->fault.text);
}

// ---- connections

static sykli__link_core *sykli__mesh_link(const sykli_mesh *m, const sykli__mesh_conn *c)
{
    return sykli__member_core_link(&m->links, c->number);
}

static sykli__mesh_conn *sykli__mesh_conn_add(sykli_mesh *m, sykli__mesh_kind kind, int fd,
                                              int number, const char *address)
{
    sykli__mesh_conn *c =
        (sykli__mesh_conn *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *c);
    if (!c) return NULL;
    c->kind = kind;
    c->fd = fd;
    c->number = number;
    c->since_ms = sykli__mesh_now(m);
    snprintf(c->address, sizeof c->address, "%s", address);
    c->next = m->conns;
    m->conns = c;
    m->conn_count++;
    return c;
}

static void sykli__mesh_conn_free(sykli_mesh *m, sykli__mesh_conn *c)
{
    sykli__mesh_conn **at = &m->conns;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    m->conn_count--;
    if (m->gate == c) m->gate = NULL;
    if (c->fd >= 0) m->sys->close(m->sys->user, c->fd);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, c, sizeof *c, 0);
}

static sykli__mesh_conn *sykli__mesh_conn_of(const sykli_mesh *m, int number)
{
    sykli__mesh_conn *c = m->conns;
    while (c && c->number != number) c = c->next;
    return c;
}

static int sykli__mesh_random(sykli_mesh *m, uint8_t *out, size_t size)
{
    int rc = m->sys->random(m->sys->user, out, size);
    return rc < 0 ? sykli_set_error(m->core, SYKLI_EIO, "no random numbers") : 0;
}

// Peers do not fill the last places: the owner of the node finds one.
static size_t sykli__mesh_conns_max(sykli__mesh_kind kind)
{
    return kind == SYKLI__MESH_CONTROL ? SYKLI__MESH_CONNS_MAX
                                       : SYKLI__MESH_CONNS_MAX - SYKLI__MESH_CONNS_OWN;
}

// Whether the environment of a process has the mark of a task.    returns  1, 0, or the error
static int sykli__mesh_task_mark(sykli_mesh *m, int pid)
{
    static const char mark[] = "SYKLI_TASK_UID=";
    const size_t size = sizeof mark - 1;
    char path[64];
    size_t kept = 1;
    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    int fd = m->sys->open(m->sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0), found = 0;
    if (fd < 0) return fd;
    m->buffer[0] = 0; // what is before a variable
    for (;;) {
        int64_t got = m->sys->read(m->sys->user, fd, m->buffer + kept, sizeof m->buffer - kept);
        if (got <= 0) break;
        size_t all = kept + (size_t)got;
        for (size_t at = 0; !found && at + size < all; at++)
            found = !m->buffer[at] && !memcmp(m->buffer + at + 1, mark, size);
        kept = all < size ? all : size; // the mark may go on in the next piece
        memmove(m->buffer, m->buffer + all - kept, kept);
    }
    m->sys->close(m->sys->user, fd);
    memset(m->buffer, 0, sizeof m->buffer); // a stranger's environment may hold secrets
    return found;
}

// The beginning of a file below /proc/PID; "" if it cannot be read.
static void sykli__mesh_proc(sykli_mesh *m, int pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = m->sys->open(m->sys->user, SYKLI_CWD, path, SYKLI_OPEN_read, 0);
    int64_t got = fd < 0 ? 0 : m->sys->read(m->sys->user, fd, out, size - 1);
    if (fd >= 0) m->sys->close(m->sys->user, fd);
    out[got > 0 ? got : 0] = 0;
}

static int sykli__mesh_parent(sykli_mesh *m, int pid)
{
    char text[512];
    sykli__mesh_proc(m, pid, "stat", text, sizeof text);
    const char *behind = strrchr(text, ')'); // the name may hold anything
    return behind && strlen(behind) > 4 ? (int)strtol(behind + 4, NULL, 10) : 0; // ") S 123"
}

// Whether a process has the user of this one, who could read it unless it hides.
static bool sykli__mesh_same_user(sykli_mesh *m, int pid)
{
    char text[2][1024];
    unsigned long uid[2];
    for (int i = 0; i < 2; i++) {
        sykli__mesh_proc(m, i ? pid : m->sys->pid(m->sys->user), "status", text[i], sizeof text[i]);
        const char *line = strstr(text[i], "\nUid:");
        if (!line) return false;
        uid[i] = strtoul(line + 5, NULL, 10);
    }
    return uid[0] == uid[1];
}

// Whether a client on the unix socket is, or was started by, a task: it then may do nothing. Nor
// may one that hides its environment from its own user.
static bool sykli__mesh_is_task(sykli_mesh *m, int pid)
{
    for (int depth = 0; depth < 64 && pid > 1; depth++) {
        int marked = sykli__mesh_task_mark(m, pid);
        bool hides = marked == -EACCES || marked == -EPERM;
        if (marked > 0 || (!depth && hides && sykli__mesh_same_user(m, pid))) return true;
        pid = sykli__mesh_parent(m, pid);
    }
    return false;
}

// Accepts what waits at a listening socket.
static void sykli__mesh_accept(sykli_mesh *m, int listener, sykli__mesh_kind kind)
{
    bool clear = kind == SYKLI__MESH_CONTROL;
    for (int turn = 0; turn < 64; turn++) {
        char from[64] = "unix";
        uint8_t random[32];
        if (m->conn_count >= sykli__mesh_conns_max(kind)) return; // they wait in the kernel's queue
        int fd = m->sys->accept(m->sys->user, listener, from, sizeof from);
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS)
            m->deaf_until_ms = sykli__mesh_now(m) + SYKLI__MESH_DEAF_MS;
        if (fd < 0) return;
        int number = sykli__mesh_random(m, random, sizeof random) ? SYKLI_EIO
            : sykli__member_core_accepted(&m->links, sykli__mesh_now(m),
                                          clear ? SYKLI__LINK_CLEAR : SYKLI__LINK_NOISE, from,
                                          random);
        sykli__mesh_conn *c = number > 0 ? sykli__mesh_conn_add(m, kind, fd, number, from) : NULL;
        // Now, not when it asks: it may hide as soon as we have answered it.
        if (c && clear) c->pid = m->sys->peer_pid(m->sys->user, fd);
        if (c && clear) c->task = sykli__mesh_is_task(m, c->pid);
        if (c) continue;
        m->sys->close(m->sys->user, fd);
        if (number > 0) sykli__member_core_closed(&m->links, sykli__mesh_now(m), number, false);
    }
}

// Dials "IP:PORT", "NAME:PORT" (each address of the name in turn) or "unix:PATH".
static int sykli__mesh_dial_fd(sykli_mesh *m, const char *address)
{
    int fd = m->sys->dial(m->sys->user, address);
    const char *colon = strrchr(address, ':');
    if (fd >= 0 || !colon || !strncmp(address, "unix:", 5)) return fd;
    char host[64], ip[64], resolved[80];
    snprintf(host, sizeof host, "%.*s", (int)(colon - address), address);
    int turn = (int)(sykli__mesh_now(m) / 1000 % 4);
    for (int tries = 0; tries < 2; tries++, turn = 0) {
        if (m->sys->resolve(m->sys->user, host, turn, ip, sizeof ip) < 0) continue;
        snprintf(resolved, sizeof resolved, strchr(ip, ':') ? "[%s]%s" : "%s%s", ip, colon);
        return m->sys->dial(m->sys->user, resolved);
    }
    return fd;
}

// Opens the socket of a connection that the core has made.
static sykli__mesh_conn *sykli__mesh_dial(sykli_mesh *m, sykli__mesh_kind kind, int number,
                                          const char *address)
{
    int fd = sykli__mesh_dial_fd(m, address);
    sykli__mesh_conn *c = fd < 0 ? NULL : sykli__mesh_conn_add(m, kind, fd, number, address);
    if (c) {
        c->dialling = true;
        return c;
    }
    if (fd >= 0) m->sys->close(m->sys->user, fd);
    sykli__member_core_closed(&m->links, sykli__mesh_now(m), number, true);
    return NULL;
}

// Whether a word is one of a list with spaces between.
static bool sykli__mesh_listed(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (; *list; list += strcspn(list, " "), list += *list == ' ')
        if (strcspn(list, " ") == size && !memcmp(list, word, size)) return true;
    return false;
}

// This machine as its peers see it: with a wildcard listener, the address of each connection.
static void sykli__mesh_learn_address(sykli_mesh *m, const sykli__mesh_conn *c)
{
    sykli__member_fact *self = &sykli__member_self(&m->links.table)->fact;
    const char *port = strrchr(m->listen, ':');
    char local[64], address[72];
    bool wildcard = !strncmp(m->listen, "0.0.0.0:", 8) || !strncmp(m->listen, "[::]:", 5);
    if (!wildcard || m->advertise[0] || c->kind != SYKLI__MESH_PEER) return;
    if (m->sys->local(m->sys->user, c->fd, local, sizeof local) < 0) return;
    char *colon = strrchr(local, ':');
    if (!colon) return;
    *colon = 0;
    snprintf(address, sizeof address, "%s%s", local, port);
    size_t used = strlen(self->addresses), more = strlen(address) + 2;
    if (sykli__mesh_listed(self->addresses, address) || used + more > sizeof self->addresses)
        return;
    snprintf(self->addresses + used, sizeof self->addresses - used, used ? " %s" : "%s", address);
    self->bits |= SYKLI__MEMBER_DIALABLE;
    sykli__member_update(&m->links.table);
}

static void sykli__mesh_connected(sykli_mesh *m, sykli__mesh_conn *c)
{
    uint8_t random[32];
    int rc = m->sys->dialled(m->sys->user, c->fd);
    c->dialling = false;
    if (rc >= 0 && !sykli__mesh_random(m, random, sizeof random)) {
        sykli__member_core_connected(&m->links, sykli__mesh_now(m), c->number, random);
        return;
    }
    c->closing = true;
    sykli__member_core_closed(&m->links, sykli__mesh_now(m), c->number, true);
}

// ---- who may do what

// The role of whoever is at the other end of a session.
static sykli_role sykli__mesh_role(sykli_mesh *m, const sykli__mesh_conn *c,
                                   const sykli__link_peer *peer)
{
    if (c->kind == SYKLI__MESH_GATE) return SYKLI_ROLE_owner; // it names the role of each request
    if (c->kind == SYKLI__MESH_CONTROL) return c->task ? SYKLI_ROLE_none : SYKLI_ROLE_owner;
    if (c->invited) return SYKLI_ROLE_none;
    return sykli__roster_role(&m->roster, peer->id);
}

// A member's session over which requests go: not that of a newcomer or of a run elsewhere.
static bool sykli__mesh_askable(const sykli__mesh_conn *c, const sykli__link_core *link)
{
    return c->kind == SYKLI__MESH_PEER && c->up && !c->invited && link
           && link->peer.purpose == SYKLI__LINK_CTL;
}

// The session over which a node can be asked, by name or id. A name of the roster is that node's,
// whoever else says to have it; one that two others have is nobody's.
static sykli__mesh_conn *sykli__mesh_conn_to(const sykli_mesh *m, const char *node)
{
    const sykli__roster_entry *known = sykli__roster_by_name(&m->roster, node);
    sykli__mesh_conn *found = NULL;
    for (sykli__mesh_conn *c = m->conns; c; c = c->next) {
        const sykli__link_core *link = sykli__mesh_link(m, c);
        char id[33];
        if (!sykli__mesh_askable(c, link)) continue;
        sykli_hex(id, link->peer.id, 16);
        if (!strcmp(id, node)) return c;
        if (known ? memcmp(known->id, link->peer.id, 16) : strcmp(link->peer.name, node)) continue;
        if (found && memcmp(sykli__mesh_link(m, found)->peer.id, link->peer.id, 16)) return NULL;
        found = c;
    }
    return found;
}

// ---- requests of our own, read in the background

static void sykli__mesh_job_ready(void *user, sykli_handle request)
{
    (void)request;
    ((sykli__mesh_job *)user)->ready = true;
}

static void sykli__mesh_job_drop(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli_request_close(m->core, job->request);
    if (job->writer) sykli_blob_abort(job->writer);
    sykli_mem_text_free(m->mem, SYKLI_TAG_mesh, job->what);
    sykli_mem_text_free(m->mem, SYKLI_TAG_mesh, job->args);
    sykli_buf_free(&job->body);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, job, sizeof *job, 0);
}

static void sykli__mesh_job_free(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli__mesh_job **at = &m->jobs;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    sykli__mesh_job_drop(m, job);
}

// Opens a job's request.      returns  0; 1: the session is full for now; else the error
static int sykli__mesh_job_open(sykli_mesh *m, sykli__mesh_job *job, const sykli_request *desc)
{
    sykli_request full = *desc;
    full.ready = sykli__mesh_job_ready;
    full.user = job;
    job->request = sykli_request_open(m->core, &full);
    int code = job->request.id ? 0 : sykli_last_error(m->core);
    if (!job->request.id) return code == SYKLI_EBUSY || code == SYKLI_ELIMIT ? 1 : code;
    job->begun_ms = sykli__mesh_now(m);
    job->due_ms = desc->deadline_ms ? job->begun_ms + desc->deadline_ms : UINT64_MAX;
    job->next = m->jobs;
    m->jobs = job;
    return 0;
}

// Keeps a job for later.      returns  0 or ENOMEM
static int sykli__mesh_job_wait(sykli_mesh *m, sykli__mesh_job *job, const sykli_request *desc)
{
    const char *args = desc->args ? desc->args : "{}";
    job->verb = desc->verb;
    job->deadline_ms = desc->deadline_ms;
    job->what = sykli_mem_text(m->mem, SYKLI_TAG_mesh, desc->what, strlen(desc->what));
    job->args = sykli_mem_text(m->mem, SYKLI_TAG_mesh, args, strlen(args));
    if (!job->what || !job->args) return SYKLI_ENOMEM;
    if (!m->waiting) m->waiting_end = &m->waiting;
    *m->waiting_end = job;
    m->waiting_end = &job->next;
    return 0;
}

// Opens a request whose whole body `done` will get. On an error `done` is not called.
static sykli__mesh_job *sykli__mesh_job_begin(sykli_mesh *m, const sykli_request *desc,
                                              void (*done)(sykli_mesh *, sykli__mesh_job *))
{
    sykli__mesh_job *job =
        (sykli__mesh_job *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *job);
    if (!job) return NULL;
    snprintf(job->node, sizeof job->node, "%s", desc->node ? desc->node : "");
    sykli_buf_init(&job->body, m->mem, SYKLI_TAG_mesh);
    job->body.max_bytes = SYKLI__MESH_FILE_MAX;
    job->done = done;
    job->ready = true;
    int rc = m->waiting ? 1 : sykli__mesh_job_open(m, job, desc);
    if (rc == 1) rc = sykli__mesh_job_wait(m, job, desc);
    if (!rc) return job;
    sykli__mesh_job_drop(m, job);
    return NULL;
}

// Opens what waits, in its order as far as sessions have room.
static void sykli__mesh_jobs_open(sykli_mesh *m)
{
    int refusals = 0;
    for (sykli__mesh_job **at = &m->waiting, *job; (job = *at) != NULL;) {
        *at = job->next;
        int rc = sykli__mesh_job_open(m, job, &(sykli_request){
            .verb = job->verb, .node = job->node, .what = job->what, .args = job->args,
            .deadline_ms = job->deadline_ms });
        if (rc == 1) {
            job->next = *at;
            *at = job;
            at = &job->next;
            if (++refusals == SYKLI__MESH_REFUSALS_MAX) return;
        } else if (rc) {
            job->code = rc;
            snprintf(job->message, sizeof job->message, "%.255s", sykli_errmsg(m->core));
            job->next = m->jobs;
            m->jobs = job; // ends where all jobs end
        }
        if (!*at) m->waiting_end = at;
    }
}

// Takes in what a job's request has.     returns  whether it has ended; the code is in the job
static bool sykli__mesh_job_read(sykli_mesh *m, sykli__mesh_job *job)
{
    if (!job->request.id) return true; // could not be opened
    for (;;) {
        int64_t got = sykli_request_read(m->core, job->request, m->buffer, sizeof m->buffer);
        if (got == 0) return false;
        job->code = got > 0 ? 0 : got == SYKLI_EOF ? 0 : (int)got;
        if (got > 0 && job->writer) job->code = sykli_blob_write(m->core, job->writer, m->buffer,
                                                                 (size_t)got);
        else if (got > 0) job->code = sykli_buf_add(&job->body, m->buffer, (size_t)got);
        if (got > 0 && job->code) snprintf(job->message, sizeof job->message, "%s",
                                           sykli_error_text(job->code));
        else if (job->code) snprintf(job->message, sizeof job->message, "%s",
                                     sykli_request_message(m->core, job->request));
        if (got < 0 || job->code) return true;
    }
}

static void sykli__mesh_jobs_pump(sykli_mesh *m)
{
    uint64_t now = sykli__mesh_now(m);
    sykli__mesh_jobs_open(m);
    for (bool again = true; again;) { // `done` may begin and end others
        again = false;
        for (sykli__mesh_job *job = m->jobs; job; job = job->next) {
            bool late = now >= job->due_ms;
            if (!job->ready && !late) continue;
            job->ready = false;
            bool ended = sykli__mesh_job_read(m, job);
            if (!ended && !late) continue;
            if (!ended) {
                job->code = SYKLI_ETIMEOUT;
                snprintf(job->message, sizeof job->message, "no answer in time");
            }
            job->done(m, job);
            sykli__mesh_job_free(m, job);
            again = true;
            break;
        }
    }
}

// ---- finding an action at the peers

static void sykli__mesh_find_end(sykli_mesh *m, sykli__mesh_find *find, int code)
{
    if (find->ended) return;
    find->ended = true;
    find->holders -= find->fetching;
    find->fetching = false;
    find->done(m, find, code);
}

// A find lives until nobody can answer it any more.
static void sykli__mesh_find_drop(sykli_mesh *m, sykli__mesh_find *find)
{
    if (--find->holders) return;
    if (!find->ended) sykli__mesh_find_end(m, find, SYKLI_ENOENT);
    sykli__mesh_find **at = &m->finds;
    while (*at != find) at = &(*at)->next;
    *at = find->next;
    if (find->parsed) sykli_json_free(&find->doc);
    sykli_buf_free(&find->entry);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, find, sizeof *find, 0);
}

// A blob has arrived, or has not.
static void sykli__mesh_find_fetched(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli__mesh_find *find = (sykli__mesh_find *)job->user;
    sykli_blob_writer *writer = job->writer;
    job->writer = NULL;
    if (job->code) sykli_blob_abort(writer);
    int rc = job->code ? job->code : sykli_blob_end(m->core, writer);
    if (rc) sykli__mesh_find_end(m, find, rc);
    else find->fetch = true;
    sykli__mesh_find_drop(m, find);
}

// Begins to fetch one blob.
static int sykli__mesh_find_blob(sykli_mesh *m, sykli__mesh_find *find, const char *hex,
                                 const sykli_digest *id, uint64_t size)
{
    sykli_blob_writer *writer = sykli_blob_begin(m->core, id, size);
    if (!writer) return sykli_last_error(m->core);
    sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
        .verb = SYKLI_VERB_fetch, .node = find->node, .what = hex,
        .deadline_ms = SYKLI__MESH_FETCH_MS }, sykli__mesh_find_fetched);
    if (!job) {
        sykli_blob_abort(writer);
        return sykli_last_error(m->core);
    }
    job->writer = writer;
    job->user = find;
    find->holders++;
    return 0;
}

// Begins to fetch the blob that two members of the entry name, unless it is here.
//   returns  0: it is here; 1: it is on its way; ECORRUPT: no such blob, or too large; or the error
static int sykli__mesh_find_need(sykli_mesh *m, sykli__mesh_find *find, uint32_t digest,
                                 uint32_t bytes)
{
    const char *hex = sykli_json_text(&find->doc, digest);
    uint64_t size = 0, room = 0;
    sykli_digest id;
    const char *quota = sykli_config_get(m->core, "cache.max_size");
    if (!quota || sykli_parse_size(quota, &room) || !room) room = SYKLI_BLOB_SIZE_MAX;
    if (!hex || sykli_unhex(id.bytes, 32, hex, strlen(hex))
        || !sykli_json_u64(&find->doc, bytes, &size) || size > SYKLI_BLOB_SIZE_MAX || size > room)
        return SYKLI_ECORRUPT; // or more than the whole cache may hold
    if (sykli_blob_have(m->core, &id, NULL)) return 0;
    int rc = sykli__mesh_find_blob(m, find, hex, &id, size);
    return rc ? rc : 1;
}

// Goes on with the next blob that is not here, the log's the last; when all are, the entry is
// stored.
static int sykli__mesh_find_step(sykli_mesh *m, sykli__mesh_find *find)
{
    const sykli_json_doc *doc = &find->doc;
    uint32_t outputs = sykli_json_get(doc, 0, "outputs"), log = sykli_json_get(doc, 0, "log");
    const char *log_id = sykli_json_text(doc, log);
    int rc = 0;
    if (!find->output) find->output = outputs ? sykli_json_first(doc, outputs) : 0;
    for (; find->output; find->output = sykli_json_next(doc, outputs, find->output)) {
        rc = sykli__mesh_find_need(m, find, sykli_json_get(doc, find->output, "digest"),
                                   sykli_json_get(doc, find->output, "size"));
        if (rc) break;
    }
    if (!rc && log_id && *log_id)
        rc = sykli__mesh_find_need(m, find, log, sykli_json_get(doc, 0, "log_bytes"));
    if (rc >= 0) find->fetch = false;
    if (rc) return rc < 0 ? rc : 0;
    sykli__mesh_find_end(m, find, sykli_entry_store(m->core, find->key,
                                                    (const char *)find->entry.data,
                                                    find->entry.size));
    return 0;
}

// The name and address of the node a find's answer came from: laptop@192.168.1.42.
static void sykli__mesh_find_name(sykli_mesh *m, sykli__mesh_find *find, const char *node)
{
    const sykli__mesh_conn *c = sykli__mesh_conn_to(m, node);
    const sykli__link_core *link = c ? sykli__mesh_link(m, c) : NULL;
    snprintf(find->node, sizeof find->node, "%s", node);
    snprintf(find->from, sizeof find->from, "%s", link ? link->peer.name : node);
    if (!link) return;
    size_t used = strlen(find->from), host = strlen(c->address);
    const char *colon = strrchr(c->address, ':');
    if (colon) host = (size_t)(colon - c->address);
    snprintf(find->from + used, sizeof find->from - used, "@%.*s", (int)host, c->address);
}

// The entry of an action has come from a peer that said it has it.
static void sykli__mesh_find_answer(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli__mesh_find *find = (sykli__mesh_find *)job->user;
    find->parsed = !job->code
        && !sykli_json_parse(&find->doc, m->mem, (const char *)job->body.data, job->body.size,
                             NULL);
    if (find->parsed && !sykli_buf_add(&find->entry, job->body.data, job->body.size)) {
        sykli__mesh_find_name(m, find, job->node);
        find->fetch = find->fetching = true;
        find->holders++; // until it ends
    } else sykli__mesh_find_end(m, find, job->code ? job->code : SYKLI_ECORRUPT);
    sykli__mesh_find_drop(m, find);
}

// Asks a peer that has an action for its entry.
static int sykli__mesh_find_get(sykli_mesh *m, sykli__mesh_find *find)
{
    char args[96];
    snprintf(args, sizeof args, "{\"key\":\"%s\"}", find->key);
    sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
        .verb = SYKLI_VERB_call, .node = find->node, .what = "action.get", .args = args,
        .deadline_ms = SYKLI__MESH_PUSH_MS }, sykli__mesh_find_answer);
    if (!job) return sykli_last_error(m->core);
    job->user = find;
    find->holders++;
    return 0;
}

static void sykli__mesh_batch_drop(sykli_mesh *m, sykli__mesh_batch *batch)
{
    if (--batch->holders) return;
    for (size_t i = 0; i < batch->count; i++) sykli__mesh_find_drop(m, batch->finds[i]);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, batch, sizeof *batch, 0);
}

// A peer said which actions of a batch it has: the first that has one is asked for it.
static void sykli__mesh_batch_answer(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli__mesh_batch *batch = (sykli__mesh_batch *)job->user;
    sykli_json_doc doc;
    bool told = !job->code && !sykli_json_parse(&doc, m->mem, (const char *)job->body.data,
                                                job->body.size, NULL);
    for (size_t i = 0; told && i < batch->count; i++) {
        sykli__mesh_find *find = batch->finds[i];
        if (find->node[0] || !strstr(sykli_arg_text(&doc, "have", ""), find->key)) continue;
        snprintf(find->node, sizeof find->node, "%s", job->node);
        find->get = true;
        find->holders++; // until it is asked for
    }
    if (told) sykli_json_free(&doc);
    sykli__mesh_batch_drop(m, batch);
}

// Asks every peer at once for all actions that are looked for and were not asked for yet, as many
// as fit into one question.
static void sykli__mesh_batch_ask(sykli_mesh *m)
{
    sykli_buf args;
    sykli__mesh_batch *batch =
        (sykli__mesh_batch *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *batch);
    if (!batch) return; // tried again at the next turn
    batch->holders = 1;
    sykli_buf_init(&args, m->mem, SYKLI_TAG_mesh);
    sykli_buf_text(&args, "{\"keys\":\"");
    for (sykli__mesh_find *find = m->finds; find && batch->count < SYKLI__MESH_BATCH;
         find = find->next) {
        if (!find->queued) continue;
        find->queued = false; // what held it in the queue holds it in the batch
        batch->finds[batch->count++] = find;
        sykli_buf_print(&args, "%s%s", batch->count > 1 ? " " : "", find->key);
    }
    sykli_buf_text(&args, "\"}");
    m->queued -= batch->count;
    for (sykli__mesh_conn *c = m->conns, *next; c && !args.error; c = next) {
        next = c->next;
        const sykli__link_core *link = sykli__mesh_link(m, c);
        char id[33];
        if (!sykli__mesh_askable(c, link)) continue;
        sykli_hex(id, link->peer.id, 16); // names may be taken twice
        sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
            .verb = SYKLI_VERB_call, .node = id, .what = "action.have",
            .args = (const char *)args.data, .deadline_ms = SYKLI__MESH_FIND_MS },
            sykli__mesh_batch_answer);
        if (!job) continue;
        job->user = batch;
        batch->holders++;
    }
    sykli_buf_free(&args);
    sykli__mesh_batch_drop(m, batch);
}

static void sykli__mesh_finds_pump(sykli_mesh *m)
{
    uint64_t now = sykli__mesh_now(m);
    while (m->queued) {
        size_t before = m->queued;
        sykli__mesh_batch_ask(m);
        if (m->queued == before) break; // no memory now
    }
    for (sykli__mesh_find *find = m->finds, *next; find; find = next) {
        next = find->next;
        if (find->ended || now < find->retry_ms || (!find->get && !find->fetch)) continue;
        bool get = find->get;
        find->holders++;
        find->get = false;
        int rc = get ? sykli__mesh_find_get(m, find) : sykli__mesh_find_step(m, find);
        bool later = rc == SYKLI_EBUSY || rc == SYKLI_ELIMIT; // too many at once
        if (later) find->retry_ms = now + SYKLI__MESH_RETRY_MS;
        if (later && get) find->get = true;
        else if (get) find->holders--;
        if (rc && !later) sykli__mesh_find_end(m, find, rc);
        sykli__mesh_find_drop(m, find);
    }
}

// When the finds want to be looked at.
static uint64_t sykli__mesh_finds_due(const sykli_mesh *m)
{
    uint64_t due = m->queued ? 0 : UINT64_MAX;
    for (const sykli__mesh_find *find = m->finds; find; find = find->next)
        if (!find->ended && (find->get || find->fetch))
            due = sykli__link_least(due, find->retry_ms);
    return due;
}

// Looks for an action at the peers. `done` is called once, at a later turn.
static int sykli__mesh_find_begin(sykli_mesh *m, const char *key, uint64_t ticket,
                                  sykli_handle call,
                                  void (*done)(sykli_mesh *, sykli__mesh_find *, int code))
{
    uint8_t digest[32];
    if (sykli_unhex(digest, 32, key, strlen(key)))
        return sykli_set_error(m->core, SYKLI_EINVAL, "key: give 64 hex digits");
    sykli__mesh_find *find =
        (sykli__mesh_find *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *find);
    if (!find) return SYKLI_ENOMEM;
    snprintf(find->key, sizeof find->key, "%s", key);
    sykli_buf_init(&find->entry, m->mem, SYKLI_TAG_mesh);
    find->ticket = ticket;
    find->call = call;
    find->done = done;
    find->holders = 1;
    find->queued = true;
    find->next = m->finds;
    m->finds = find;
    m->queued++;
    return 0;
}

// ---- the configuration that is pushed

static const char sykli__mesh_config_file[] = "config.pushed";

// Envelope and body in one piece, as they travel and are kept.
static void sykli__mesh_config_pack(sykli__wire_out *out, const sykli__roster_envelope *e,
                                    const void *body, size_t size)
{
    sykli__roster_envelope_put(out, e);
    sykli__wire_put_bytes(out, body, size);
}

// Takes a packed configuration apart and checks who signed it and whether it is newer.
//   returns  0: it would replace ours; EEXIST: it is ours; ECONFLICT: ours is newer; else the error
static int sykli__mesh_config_check(sykli_mesh *m, const void *data, size_t size,
                                    sykli__roster_envelope *e, sykli__wire_in *body)
{
    const sykli__roster_entry *who;
    *body = sykli__wire_over(data, size);
    int rc = sykli__roster_envelope_get(body, e, SYKLI__ROSTER_CONFIG, m->roster.mesh_id,
                                        &m->fault);
    if (!rc) rc = sykli__roster_signer(&m->roster, &m->crypto, e, body->at, body->left, &who,
                                       &m->fault);
    if (rc) return rc;
    int order = m->config.version ? sykli__roster_envelope_compare(e, &m->config) : 1;
    if (!order) return SYKLI_EEXIST;
    if (order < 0)
        return sykli_fail(&m->fault, SYKLI_ECONFLICT, "version %llu is in force here",
                          (unsigned long long)m->config.version);
    return 0;
}

// Tells the members which configuration and roster this node has.
static void sykli__mesh_versions(sykli_mesh *m)
{
    sykli__member_time(&m->links.table, sykli__mesh_now(m));
    sykli__member_versions *v = &sykli__member_self(&m->links.table)->fact.versions;
    uint8_t hash[32];
    v->roster_epoch = m->roster.envelope.epoch << 32 | m->roster.envelope.version;
    v->config_epoch = (uint32_t)m->config.epoch;
    v->config_version = m->config.version;
    v->config_hash = 0;
    if (m->config.version) {
        sykli__roster_envelope_hash(&m->config, hash);
        for (int i = 0; i < 8; i++) v->config_hash = v->config_hash << 8 | hash[i];
    }
    sykli__member_update(&m->links.table);
}

// Whether a version was made beside ours and not from it. Of one that is further on we cannot tell.
static bool sykli__mesh_config_conflicts(const sykli_mesh *m, const sykli__roster_envelope *e)
{
    uint8_t hash[32];
    if (!m->config.version) return false;
    sykli__roster_envelope_hash(&m->config, hash);
    return e->version <= m->config.version
        || (e->version == m->config.version + 1 && memcmp(e->parent, hash, sizeof hash));
}

// Makes a checked configuration the one in force: tried first, then kept, then applied for good.
static int sykli__mesh_config_take(sykli_mesh *m, const sykli__roster_envelope *e,
                                   const void *body, size_t size)
{
    sykli_buf packed;
    char kept[48];
    uint64_t previous = m->config.version;
    bool conflict = sykli__mesh_config_conflicts(m, e);
    int rc = sykli_config_verify(m->core, (const char *)body, size);
    if (rc) return sykli_fail(&m->fault, rc, "%s", sykli_errmsg(m->core));
    sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
    sykli__mesh_config_pack(&packed, e, body, size);
    snprintf(kept, sizeof kept, "config.v%llu", (unsigned long long)e->version);
    rc = packed.error;
    if (!rc) rc = sykli__mesh_file_write(m, kept, packed.data, packed.size);
    if (!rc) rc = sykli__mesh_file_write(m, sykli__mesh_config_file, packed.data, packed.size);
    sykli_buf_free(&packed);
    if (!rc) rc = sykli_config_apply(m->core, (const char *)body, size, e->version);
    if (rc) return sykli_fail(&m->fault, rc, "%s", sykli_errmsg(m->core));
    m->config = *e;
    sykli_buf_reset(&m->config_body);
    sykli_buf_add(&m->config_body, body, size);
    if (e->version > SYKLI__MESH_VERSIONS_KEPT) {
        snprintf(kept, sizeof kept, "config.v%llu",
                 (unsigned long long)(e->version - SYKLI__MESH_VERSIONS_KEPT));
        m->sys->remove(m->sys->user, m->dir_fd, kept, 0);
    }
    char text[96];
    int text_size = snprintf(text, sizeof text, "v%llu -> v%llu", (unsigned long long)previous,
                             (unsigned long long)e->version);
    sykli_event_put(m->core, &(sykli_event){ .kind = SYKLI_EVENT_config,
                                             .name = conflict ? "conflict" : "pushed",
                                             .text = text, .text_size = (size_t)text_size });
    sykli__mesh_versions(m);
    return m->config_body.error;
}

// A packed configuration came from somebody: whoever relays it, its signature decides.
static int sykli__mesh_config_accept(sykli_mesh *m, const void *data, size_t size)
{
    sykli__roster_envelope e;
    sykli__wire_in body;
    int rc = sykli__mesh_config_check(m, data, size, &e, &body);
    if (rc == SYKLI_EEXIST) return 0;
    return rc ? rc : sykli__mesh_config_take(m, &e, body.at, body.left);
}

// Bytes of an argument in hex.       returns  0, EINVAL, ENOMEM; `out` is to be freed
static int sykli__mesh_hex_arg(sykli_mesh *m, const sykli_json_doc *args, const char *name,
                               sykli_buf *out)
{
    const char *hex = sykli_arg_text(args, name, "");
    size_t size = strlen(hex);
    sykli_buf_init(out, m->mem, SYKLI_TAG_mesh);
    uint8_t *room = sykli_buf_grow(out, size / 2 + 1);
    if (!room) return SYKLI_ENOMEM;
    if (!size || sykli_unhex(room, size / 2, hex, size))
        return sykli_fail(&m->fault, SYKLI_EINVAL, "%s: give hex digits", name);
    out->size = size / 2;
    return 0;
}

static int sykli__mesh_hex_put(sykli_buf *out, const void *data, size_t size)
{
    char *room = (char *)sykli_buf_grow(out, 2 * size + 1);
    if (!room) return out->error;
    sykli_hex(room, data, size);
    out->size += 2 * size;
    return 0;
}

// ---- the roster

static void sykli__mesh_roster_enforce(sykli_mesh *m)
{
    for (sykli__mesh_conn *c = m->conns; c; c = c->next) {
        sykli__link_core *link = sykli__mesh_link(m, c);
        if (c->kind != SYKLI__MESH_PEER || !c->up || !link) continue;
        sykli_role before = c->role;
        c->role = sykli__mesh_role(m, c, &link->peer);
        if (c->role < before) sykli__remote_revoke(&m->remote, link);
        if (sykli__roster_banned(&m->roster, link->peer.id))
            sykli__link_close(link, SYKLI_EPERM, "this node is banned");
    }
}

static int sykli__mesh_roster_accept(sykli_mesh *m, const void *data, size_t size)
{
    sykli__roster fresh;
    sykli__roster_init(&fresh, m->mem, m->keys.mesh);
    int rc = sykli__roster_decode(&fresh, &m->crypto, data, size, &m->fault);
    if (!rc) rc = sykli__roster_newer(&m->roster, &fresh, &m->fault);
    if (rc > 0) rc = sykli__mesh_file_write(m, "roster", data, size);
    else if (rc <= 0) {
        sykli__roster_free(&fresh);
        return rc;
    }
    if (rc) {
        sykli__roster_free(&fresh);
        return rc;
    }
    sykli__roster_free(&m->roster);
    m->roster = fresh;
    sykli__mesh_versions(m);
    sykli__mesh_roster_enforce(m);
    return 0;
}

// Signs the roster as it stands now and keeps it.
static int sykli__mesh_roster_publish(sykli_mesh *m)
{
    sykli_buf out;
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__roster_publish(&m->roster, &m->crypto, m->keys.mesh_secret, &out);
    if (!rc) rc = sykli__mesh_file_write(m, "roster", out.data, out.size);
    sykli_buf_free(&out);
    if (rc) return sykli_fail(&m->fault, rc, "the roster cannot be published: %s",
                              sykli_error_text(rc));
    return 0;
}

// The roster on disk, after a change that could not be kept.
static void sykli__mesh_roster_back(sykli_mesh *m)
{
    sykli_buf data;
    sykli__roster kept;
    sykli_buf_init(&data, m->mem, SYKLI_TAG_mesh);
    sykli__roster_init(&kept, m->mem, m->keys.mesh);
    if (!sykli__mesh_file_read(m, "roster", &data)
        && !sykli__roster_decode(&kept, &m->crypto, data.data, data.size, NULL)) {
        sykli__roster_free(&m->roster);
        m->roster = kept;
    } else sykli__roster_free(&kept);
    sykli_buf_free(&data);
}

// Grants what an entry says, or bans an id; then it is signed, kept and made known. Only where the
// mesh key lives: elsewhere nothing changes.
static int sykli__mesh_roster_change(sykli_mesh *m, const sykli__roster_entry *grant,
                                     const uint8_t *ban)
{
    if (!(m->keys.has & SYKLI__ROSTER_HAS_MESH_SECRET))
        return sykli_fail(&m->fault, SYKLI_EPERM,
                          "the mesh key is not on this machine; do this where `sykli cookie new` "
                          "was run");
    int rc = grant ? sykli__roster_grant(&m->roster, grant, &m->fault)
                   : sykli__roster_ban(&m->roster, ban, &m->fault);
    if (!rc && (rc = sykli__mesh_roster_publish(m))) sykli__mesh_roster_back(m);
    if (rc) return rc;
    sykli__mesh_versions(m);
    sykli__mesh_roster_enforce(m);
    return 0;
}

// ---- invites

static void sykli__mesh_psks(sykli_mesh *m)
{
    m->psk_count = 0;
    if (sykli__mesh_in_mesh(m)) {
        sykli__link_psk *p = &m->psks[m->psk_count++];
        sykli__roster_cookie_psk(p->id, p->key_secret, m->keys.cookie_secret,
                                 sizeof m->keys.cookie_secret);
    }
    for (size_t i = 0; i < m->book.count && m->psk_count <= SYKLI__MESH_INVITES_MAX; i++) {
        sykli__link_psk *p = &m->psks[m->psk_count++];
        memcpy(p->id, m->book.tickets[i].token_id, sizeof p->id);
        memcpy(p->key_secret, m->book.tickets[i].psk_secret, sizeof p->key_secret);
    }
    m->links.link.psks = m->psks;
    m->links.link.psk_count = m->psk_count;
}

static int sykli__mesh_book_save(sykli_mesh *m)
{
    sykli_buf out;
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__roster_book_encode(&m->book, &out);
    if (!rc) rc = sykli__mesh_file_write(m, "invites", out.data, out.size);
    sykli__roster_buf_wipe(&out);
    sykli__mesh_psks(m);
    return rc;
}

static int sykli__mesh_op_invite(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli__roster_invite v;
    const char *role = sykli_arg_text(call->args, "role", "observer");
    uint64_t expires = sykli_arg_u64(call->args, "expires_ms", 3600000);
    uint64_t uses = sykli_arg_u64(call->args, "uses", 1);
    if (!sykli__mesh_in_mesh(m))
        return sykli_set_error(m->core, SYKLI_ENOENT,
                               "this node is in no mesh; `sykli cookie new` makes one");
    memset(&v, 0, sizeof v);
    for (int i = SYKLI_ROLE_member; i < SYKLI_ROLE_owner; i++)
        if (!strcmp(role, sykli_role_names[i])) v.role = (uint8_t)i;
    v.uses = (uint16_t)(uses > UINT16_MAX ? UINT16_MAX : uses);
    v.expires_ms = (uint64_t)sykli__mesh_wall(m) + expires;
    memcpy(v.mesh, m->keys.mesh, 32);
    memcpy(v.inviter_id, m->keys.id, sizeof v.inviter_id);
    memcpy(v.inviter_exchange, m->keys.exchange, 32);
    const char *at = sykli__member_self(&m->links.table)->fact.addresses;
    while (*at && v.address_count < SYKLI__ROSTER_ADDRESSES_MAX) {
        size_t size = strcspn(at, " ");
        snprintf(v.addresses[v.address_count++], sizeof v.addresses[0], "%.*s", (int)size, at);
        at += size + (at[size] == ' ');
    }
    if (!v.address_count)
        return sykli_set_error(m->core, SYKLI_EINVAL,
                               "this node does not listen where others can reach it; start it "
                               "with --listen ADDR:PORT");
    if (v.role > SYKLI_ROLE_member && !(m->keys.has & SYKLI__ROSTER_HAS_MESH_SECRET))
        return sykli_set_error(m->core, SYKLI_EPERM, "without the mesh key this node can invite "
                               "members only; use --role member");
    int rc = sykli__mesh_random(m, v.token_id, sizeof v.token_id);
    if (!rc) rc = sykli__mesh_random(m, v.token_secret, sizeof v.token_secret);
    if (!rc && m->book.count >= SYKLI__MESH_INVITES_MAX)
        sykli__roster_book_expire(&m->book, (uint64_t)sykli__mesh_wall(m), 0);
    if (!rc && m->book.count >= SYKLI__MESH_INVITES_MAX)
        return sykli_set_error(m->core, SYKLI_ELIMIT, "%d invites are open; revoke one",
                               SYKLI__MESH_INVITES_MAX);
    if (rc) return rc;
    sykli_buf token;
    sykli_buf_init(&token, m->mem, SYKLI_TAG_mesh);
    rc = sykli__roster_book_issue(&m->book, &v, &m->fault);
    if (!rc) rc = sykli__roster_invite_encode(&v, &token, &m->fault);
    if (rc) rc = sykli__mesh_failed(m);
    if (!rc) rc = sykli__mesh_book_save(m);
    if (!rc) {
        sykli_buf_text(call->result, "{\"token\":");
        sykli_json_quote(call->result, (const char *)token.data, token.size);
        rc = sykli_buf_text(call->result, "}");
    }
    sykli__roster_buf_wipe(&token);
    sykli_wipe(&v, sizeof v);
    return rc;
}

static int sykli__mesh_op_invites(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf *out = call->result;
    sykli_buf_text(out, "{\"items\":[");
    for (size_t i = 0; i < m->book.count; i++) {
        const sykli__roster_ticket *t = &m->book.tickets[i];
        char id[17];
        sykli_hex(id, t->token_id, 8);
        sykli_buf_print(out, "%s{\"id\":\"%s\",\"role\":\"%s\",\"uses_left\":%u,"
                        "\"expires_ms\":%llu,\"used_by\":", i ? "," : "", id,
                        sykli_role_names[t->role],
                        (unsigned)(t->uses - t->used), (unsigned long long)t->expires_ms);
        if (t->used) sykli_json_quote(out, t->first, strlen(t->first));
        else sykli_buf_text(out, "null");
        sykli_buf_text(out, "}");
    }
    return sykli_buf_text(out, "]}");
}

static int sykli__mesh_op_invite_revoke(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    uint8_t id[8];
    const char *text = sykli_arg_text(call->args, "id", "");
    if (sykli_unhex(id, 8, text, strlen(text)))
        return sykli_set_error(m->core, SYKLI_EINVAL, "id: give 16 hex digits");
    if (!sykli__roster_book_revoke(&m->book, id))
        return sykli_set_error(m->core, SYKLI_ENOENT, "no invite %s", text);
    return sykli__mesh_book_save(m);
}

// The answer to a newcomer: cookie, mesh key, roster and configuration. What the token was used for
// is on disk before it leaves.
static int sykli__mesh_welcome(sykli_mesh *m, const sykli__link_peer *peer, sykli_buf *out)
{
    int role = sykli__roster_book_redeem(&m->book, peer->psk_id, peer->id, peer->name,
                                         (uint64_t)sykli__mesh_wall(m), &m->fault);
    if (role < 0) return role;
    int rc = sykli__mesh_book_save(m);
    if (!rc && role > SYKLI_ROLE_member) {
        sykli__roster_entry entry = { .role = (uint8_t)role };
        memcpy(entry.exchange, peer->key, 32);
        memcpy(entry.sign, peer->sign_key, 32);
        snprintf(entry.name, sizeof entry.name, "%s", peer->name);
        rc = sykli__mesh_roster_change(m, &entry, NULL);
    }
    if (rc) return rc;
    sykli_buf roster;
    sykli_buf_init(&roster, m->mem, SYKLI_TAG_mesh);
    rc = sykli__mesh_file_read(m, "roster", &roster);
    sykli_buf_text(out, "{\"cookie\":\"");
    sykli__mesh_hex_put(out, m->keys.cookie_secret, 32);
    sykli_buf_text(out, "\",\"mesh\":\"");
    sykli__mesh_hex_put(out, m->keys.mesh, 32);
    sykli_buf_text(out, "\",\"roster\":\"");
    if (!rc) sykli__mesh_hex_put(out, roster.data, roster.size);
    sykli_buf_text(out, "\",\"config\":\"");
    if (m->config.version) {
        sykli_buf packed;
        sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
        sykli__mesh_config_pack(&packed, &m->config, m->config_body.data, m->config_body.size);
        sykli__mesh_hex_put(out, packed.data, packed.size);
        sykli_buf_free(&packed);
    }
    sykli_buf_free(&roster);
    return sykli_buf_text(out, "\"}");
}

// A stream of an invited session: its one request is answered here, it never becomes a request of
// the context.
static void sykli__mesh_redeem(sykli_mesh *m, sykli__link_core *link, uint32_t stream,
                               const sykli__link_open_message *o)
{
    sykli_buf out;
    if (o->verb != SYKLI_VERB_call || strcmp(o->what, "join.redeem")) {
        sykli__link_end(link, stream, SYKLI_EPERM, "an invite is only good for joining");
        return;
    }
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__mesh_welcome(m, &link->peer, &out);
    if (!rc && (int64_t)out.size > sykli__link_write(link, stream, out.data, out.size))
        rc = sykli_fail(&m->fault, SYKLI_ELIMIT, "the roster is too large to join by invite");
    sykli__link_end(link, stream, rc, rc ? m->fault.text : "");
    sykli__roster_buf_wipe(&out);
}

// ---- pushing a configuration

static void sykli__mesh_push_free(sykli_mesh *m, sykli__mesh_push *p)
{
    sykli__mesh_push **at = &m->pushes;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    if (p->nodes) sykli_mem_resize(m->mem, SYKLI_TAG_mesh, p->nodes,
                                   p->node_count * sizeof *p->nodes, 0);
    sykli_buf_free(&p->body);
    sykli_buf_free(&p->args);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, p, sizeof *p, 0);
}

static void sykli__mesh_push_state(sykli__mesh_pushed *n, const char *state, const char *reason)
{
    n->state = state;
    snprintf(n->reason, sizeof n->reason, "%.*s", (int)sizeof n->reason - 1, reason);
}

// Answers the call with a line a node.
static void sykli__mesh_push_end(sykli_mesh *m, sykli__mesh_push *p)
{
    sykli_buf out;
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    sykli_buf_print(&out, "{\"version\":%llu,\"nodes\":[", (unsigned long long)p->envelope.version);
    for (size_t i = 0; i < p->node_count; i++) {
        const sykli__mesh_pushed *n = &p->nodes[i];
        sykli_buf_print(&out, "%s{\"node\":\"%s\",\"state\":\"%s\",\"ms\":%llu,\"reason\":",
                        i ? "," : "", n->node, n->state, (unsigned long long)n->ms);
        sykli_json_quote(&out, n->reason, strlen(n->reason));
        sykli_buf_text(&out, "}");
    }
    sykli_buf_text(&out, "]}");
    sykli_call_done(m->core, p->call, out.error, (const char *)out.data, "out of memory");
    sykli_buf_free(&out);
    sykli__mesh_push_free(m, p);
}

// A node has answered PREPARE or COMMIT.
static void sykli__mesh_push_heard(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli__mesh_push *p = (sykli__mesh_push *)job->user;
    sykli__mesh_pushed *n = &p->nodes[job->ticket];
    n->ms += sykli__mesh_now(m) - job->begun_ms;
    bool gone = job->code == SYKLI_ETIMEOUT || job->code == SYKLI_ECLOSED
             || job->code == SYKLI_ENONODE;
    if (gone) sykli__mesh_push_state(n, "offline", "will catch up");
    else if (job->code == SYKLI_ECONFLICT) sykli__mesh_push_state(n, "conflict", job->message);
    else if (job->code) sykli__mesh_push_state(n, "refused", job->message);
    else if (p->committing) sykli__mesh_push_state(n, "updated", "");
    p->waiting--;
}

static void sykli__mesh_push_ask(sykli_mesh *m, sykli__mesh_push *p, const char *op)
{
    for (size_t i = 1; i < p->node_count; i++) {
        sykli__mesh_pushed *n = &p->nodes[i];
        if (strcmp(n->state, "prepared")) continue;
        sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
            .verb = SYKLI_VERB_call, .node = n->node, .what = op,
            .args = (const char *)p->args.data, .deadline_ms = SYKLI__MESH_PUSH_MS },
            sykli__mesh_push_heard);
        if (!job) {
            sykli__mesh_push_state(n, "offline", "will catch up");
            continue;
        }
        job->user = p;
        job->ticket = i;
        p->waiting++;
    }
}

// PREPARE is answered: one persisted COMMIT, here, makes the version the one that rolls forward.
static void sykli__mesh_push_commit(sykli_mesh *m, sykli__mesh_push *p)
{
    bool refused = false;
    uint64_t begun = sykli__mesh_now(m);
    for (size_t i = 1; i < p->node_count; i++)
        refused |= !strcmp(p->nodes[i].state, "refused") || !strcmp(p->nodes[i].state, "conflict");
    p->committing = true;
    if (refused && p->all_or_nothing) {
        for (size_t i = 0; i < p->node_count; i++)
            if (!strcmp(p->nodes[i].state, "prepared"))
                sykli__mesh_push_state(&p->nodes[i], "refused", "another node refused");
        return;
    }
    int rc = sykli__mesh_config_take(m, &p->envelope, p->body.data, p->body.size);
    p->nodes[0].ms = sykli__mesh_now(m) - begun;
    if (rc) {
        for (size_t i = 0; i < p->node_count; i++)
            sykli__mesh_push_state(&p->nodes[i], "refused", m->fault.text);
        return;
    }
    sykli__mesh_push_state(&p->nodes[0], "updated", "");
    sykli__mesh_push_ask(m, p, "config.commit");
}

static void sykli__mesh_pushes_pump(sykli_mesh *m)
{
    for (sykli__mesh_push *p = m->pushes, *next; p; p = next) {
        next = p->next;
        if (!p->waiting && !p->committing) sykli__mesh_push_commit(m, p);
        if (!p->waiting && p->committing) sykli__mesh_push_end(m, p);
    }
}

// The new body: what is in force with the given keys over it; null takes a key away.
static int sykli__mesh_push_body(sykli_mesh *m, const char *values, sykli_buf *out)
{
    sykli_json_doc now, given;
    const char *body = m->config_body.size ? (const char *)m->config_body.data : "{}";
    int rc = sykli_json_parse(&given, m->mem, values, strlen(values), &m->fault);
    if (rc) return rc;
    rc = sykli_json_parse(&now, m->mem, body, strlen(body), &m->fault);
    if (rc) {
        sykli_json_free(&given);
        return rc;
    }
    const sykli_json_doc *docs[] = { &now, &given };
    sykli_buf_text(out, "{");
    for (int i = 0; i < 2; i++)
        for (uint32_t at = sykli_json_first(docs[i], 0); at;
             at = sykli_json_next(docs[i], 0, at)) {
            const sykli_json_node *n = &docs[i]->nodes[at];
            const char *key = sykli_json_key(docs[i], at);
            bool replaced = !i && sykli_json_member(&given, 0, key);
            if (replaced || n->type == SYKLI_JSON_null) continue;
            if (out->size > 1) sykli_buf_text(out, ",");
            sykli_json_quote(out, key, strlen(key));
            sykli_buf_text(out, ":");
            if (n->type == SYKLI_JSON_number)
                sykli_buf_add(out, docs[i]->text + n->text, n->text_size);
            else if (n->type == SYKLI_JSON_true || n->type == SYKLI_JSON_false)
                sykli_buf_text(out, n->type == SYKLI_JSON_true ? "true" : "false");
            else if (n->type == SYKLI_JSON_string)
                sykli_json_quote(out, docs[i]->text + n->text, n->text_size);
            else rc = sykli_fail(&m->fault, SYKLI_EINVAL, "key %s: give a string, number or "
                                 "true/false", key);
        }
    sykli_buf_text(out, "}");
    sykli_json_free(&now);
    sykli_json_free(&given);
    return rc ? rc : out->error;
}

// The nodes a push is for: this one first.
static int sykli__mesh_push_nodes(sykli_mesh *m, sykli__mesh_push *p)
{
    const sykli__member_table *t = &m->links.table;
    p->nodes = (sykli__mesh_pushed *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0,
                                                      t->count * sizeof *p->nodes);
    if (!p->nodes) return SYKLI_ENOMEM;
    p->node_count = t->count;
    for (size_t i = 0; i < t->count; i++) {
        const sykli__member_row *row = sykli__member_at(t, i);
        snprintf(p->nodes[i].node, sizeof p->nodes[i].node, "%s", row->fact.name);
        bool away = row->fact.state > SYKLI__MEMBER_SUSPECT;
        sykli__mesh_push_state(&p->nodes[i], away ? "offline" : "prepared",
                               away ? "will catch up" : "");
    }
    return 0;
}

static int sykli__mesh_push_make(sykli_mesh *m, sykli__mesh_push *p, bool force)
{
    sykli__roster_envelope *e = &p->envelope;
    sykli_buf packed;
    e->kind = SYKLI__ROSTER_CONFIG;
    memcpy(e->mesh_id, m->roster.mesh_id, sizeof e->mesh_id);
    e->epoch = (m->config.version ? m->config.epoch : 1) + force;
    e->version = m->config.version + 1;
    if (m->config.version) sykli__roster_envelope_hash(&m->config, e->parent);
    sykli__roster_envelope_sign(e, &m->crypto, m->keys.sign_secret, p->body.data, p->body.size);
    sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
    sykli__mesh_config_pack(&packed, e, p->body.data, p->body.size);
    sykli_buf_text(&p->args, "{\"push\":\"");
    if (!packed.error) sykli__mesh_hex_put(&p->args, packed.data, packed.size);
    int rc = sykli_buf_text(&p->args, "\"}");
    if (!rc && p->args.size > SYKLI_ARGS_MAX) rc = SYKLI_ELIMIT;
    sykli_buf_free(&packed);
    return rc ? rc : sykli__mesh_push_nodes(m, p);
}

// Begins a push of a whole body.
static int sykli__mesh_push_begin(sykli_mesh *m, sykli_call *call, const char *values, bool merge)
{
    if (sykli__roster_role(&m->roster, m->keys.id) < SYKLI_ROLE_admin)
        return sykli_set_error(m->core, SYKLI_EPERM, "this node's key is no admin of the mesh, its "
                               "pushes would be refused; push from an admin's node, or `sykli "
                               "grant` it");
    sykli__mesh_push *p =
        (sykli__mesh_push *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *p);
    if (!p) return SYKLI_ENOMEM;
    p->call = call->handle;
    p->next = m->pushes;
    m->pushes = p;
    sykli_buf_init(&p->body, m->mem, SYKLI_TAG_mesh);
    sykli_buf_init(&p->args, m->mem, SYKLI_TAG_mesh);
    p->all_or_nothing = sykli_json_bool(call->args, sykli_json_get(call->args, 0, "all_or_nothing"),
                                        false);
    bool force = sykli_json_bool(call->args, sykli_json_get(call->args, 0, "force"), false);
    int rc = merge ? sykli__mesh_push_body(m, values, &p->body)
                   : sykli_buf_text(&p->body, values);
    if (rc) rc = sykli__mesh_failed(m);
    if (!rc) rc = sykli_config_verify(m->core, (const char *)p->body.data, p->body.size);
    if (!rc && (rc = sykli__mesh_push_make(m, p, force)))
        rc = sykli_set_error(m->core, rc, "the push cannot be made: %s", sykli_error_text(rc));
    if (rc) {
        sykli__mesh_push_free(m, p);
        return rc;
    }
    sykli__mesh_push_ask(m, p, "config.prepare");
    return SYKLI_PENDING;
}

static int sykli__mesh_op_push(sykli_call *call)
{
    return sykli__mesh_push_begin((sykli_mesh *)call->user, call,
                                  sykli_arg_text(call->args, "values", "{}"), true);
}

static int sykli__mesh_op_prepare(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf packed;
    sykli__roster_envelope e;
    sykli__wire_in body;
    int rc = sykli__mesh_hex_arg(m, call->args, "push", &packed);
    if (!rc) rc = sykli__mesh_config_check(m, packed.data, packed.size, &e, &body);
    if (rc) rc = sykli__mesh_failed(m);
    else rc = sykli_config_verify(m->core, (const char *)body.at, body.left);
    sykli_buf_free(&packed);
    return rc;
}

static int sykli__mesh_op_commit(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf packed;
    int rc = sykli__mesh_hex_arg(m, call->args, "push", &packed);
    if (!rc) rc = sykli__mesh_config_accept(m, packed.data, packed.size);
    sykli_buf_free(&packed);
    return rc ? sykli__mesh_failed(m) : 0;
}

static int sykli__mesh_op_rollback(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    char name[48];
    uint64_t version = sykli_arg_u64(call->args, "version", 0);
    sykli_buf packed;
    sykli__roster_envelope e;
    sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
    snprintf(name, sizeof name, "config.v%llu", (unsigned long long)version);
    int rc = sykli__mesh_file_read(m, name, &packed);
    sykli__wire_in in = sykli__wire_over(packed.data, packed.size);
    if (rc) rc = sykli_set_error(m->core, SYKLI_ENOENT, "version %llu is not kept here; `sykli "
                                 "config history` lists what is", (unsigned long long)version);
    else if (sykli__roster_envelope_get(&in, &e, SYKLI__ROSTER_CONFIG, m->roster.mesh_id,
                                        &m->fault))
        rc = sykli__mesh_failed(m);
    else rc = sykli__mesh_push_begin(m, call, (const char *)in.at, false);
    sykli_buf_free(&packed);
    return rc;
}

// What of a packed configuration is told in a history: its author by name.
static void sykli__mesh_history_item(sykli_mesh *m, const sykli__roster_envelope *e,
                                     sykli_buf *out)
{
    const char *author = "mesh key";
    char hash[65];
    uint8_t bytes[32], key_id[4];
    for (size_t i = 0; i < m->roster.count; i++) {
        sykli__roster_key_id(key_id, m->roster.entries[i].sign);
        if (!memcmp(key_id, e->key_id, sizeof key_id)) author = m->roster.entries[i].name;
    }
    sykli__roster_envelope_hash(e, bytes);
    sykli_hex(hash, bytes, 32);
    sykli_buf_print(out, "%s{\"version\":%llu,\"epoch\":%llu,\"author\":\"%s\",\"hash\":\"%s\","
                    "\"state\":\"%s\"}", out->error || out->data[out->size - 1] == '[' ? "" : ",",
                    (unsigned long long)e->version, (unsigned long long)e->epoch, author, hash,
                    e->version == m->config.version ? "current" : "kept");
}

static int sykli__mesh_op_history(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf_text(call->result, "{\"items\":[");
    for (uint64_t back = 0; back < SYKLI__MESH_VERSIONS_KEPT && back < m->config.version; back++) {
        char name[48];
        sykli_buf packed;
        sykli__roster_envelope e;
        sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
        snprintf(name, sizeof name, "config.v%llu",
                 (unsigned long long)(m->config.version - back));
        if (!sykli__mesh_file_read(m, name, &packed)) {
            sykli__wire_in in = sykli__wire_over(packed.data, packed.size);
            if (!sykli__roster_envelope_get(&in, &e, SYKLI__ROSTER_CONFIG, m->roster.mesh_id, NULL))
                sykli__mesh_history_item(m, &e, call->result);
        }
        sykli_buf_free(&packed);
    }
    return sykli_buf_text(call->result, "]}");
}

static int sykli__mesh_op_config_get(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf packed;
    sykli_buf_init(&packed, m->mem, SYKLI_TAG_mesh);
    sykli_buf_text(call->result, "{\"push\":\"");
    if (m->config.version) sykli__mesh_config_pack(&packed, &m->config, m->config_body.data,
                                                   m->config_body.size);
    sykli__mesh_hex_put(call->result, packed.data, packed.size);
    sykli_buf_free(&packed);
    return sykli_buf_text(call->result, "\"}");
}

static int sykli__mesh_op_roster_get(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli_buf roster;
    sykli_buf_init(&roster, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__mesh_file_read(m, "roster", &roster);
    sykli_buf_text(call->result, "{\"roster\":\"");
    if (!rc) sykli__mesh_hex_put(call->result, roster.data, roster.size);
    sykli_buf_free(&roster);
    return sykli_buf_text(call->result, "\"}");
}

// A member had something newer, which has arrived.
static void sykli__mesh_caught_up(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli_json_doc doc;
    sykli_buf data;
    bool roster = job->ticket == 1;
    if (job->code || sykli_json_parse(&doc, m->mem, (const char *)job->body.data, job->body.size,
                                      &m->fault))
        return;
    int rc = sykli__mesh_hex_arg(m, &doc, roster ? "roster" : "push", &data);
    if (!rc) rc = roster ? sykli__mesh_roster_accept(m, data.data, data.size)
                         : sykli__mesh_config_accept(m, data.data, data.size);
    sykli_buf_free(&data);
    sykli_json_free(&doc);
    if (rc >= 0) return;
    char text[300];
    int size = snprintf(text, sizeof text, "%s of %s refused: %s", roster ? "roster" : "config",
                        job->node, m->fault.text);
    sykli_event_put(m->core, &(sykli_event){ .kind = SYKLI_EVENT_config, .name = "refused",
                                             .text = text, .text_size = (size_t)size });
}

static void sykli__mesh_behind(sykli_mesh *m, const char *node, int what)
{
    for (sykli__mesh_job *job = m->jobs; job; job = job->next)
        if (job->done == sykli__mesh_caught_up && job->ticket == (uint64_t)what) return;
    sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
        .verb = SYKLI_VERB_call, .node = node, .deadline_ms = SYKLI__MESH_PUSH_MS,
        .what = what == 1 ? "roster.get" : "config.pushed" }, sykli__mesh_caught_up);
    if (job) job->ticket = (uint64_t)what;
}

// ---- roles

// What the roster would say of a node, found among members and in the roster by name or id. A name
// that two have is refused: the one who means the other would give its role away.
static int sykli__mesh_subject(sykli_mesh *m, const char *node, sykli__roster_entry *out)
{
    const sykli__roster_entry *known = sykli__roster_by_name(&m->roster, node);
    size_t found = known != NULL;
    char ids[2][33] = { "", "" };
    if (known) *out = *known;
    if (known) sykli_hex(ids[0], known->id, 16);
    for (size_t i = 0; i < m->links.table.count; i++) {
        const sykli__member_fact *f = &sykli__member_at(&m->links.table, i)->fact;
        char id[33];
        sykli_hex(id, f->id, 16);
        bool by_id = !strcmp(id, node);
        if ((strcmp(f->name, node) && !by_id) || (found && !strcmp(id, ids[0]))) continue;
        memcpy(ids[by_id || !found ? 0 : 1], id, sizeof id);
        found = by_id ? 1 : found + 1;
        known = sykli__roster_by_id(&m->roster, f->id);
        memset(out, 0, sizeof *out);
        if (known) *out = *known;
        memcpy(out->id, f->id, sizeof out->id);
        memcpy(out->exchange, f->key, 32);
        memcpy(out->sign, f->sign_key, 32);
        snprintf(out->name, sizeof out->name, "%s", f->name);
        if (by_id) break;
    }
    if (!found) return sykli_set_error(m->core, SYKLI_ENOENT, "no node '%s' is known", node);
    if (found > 1)
        return sykli_set_error(m->core, SYKLI_EINVAL, "more than one node is named '%s', give the "
                               "id: %s, %s", node, ids[0], ids[1]);
    return 0;
}

static int sykli__mesh_op_grant(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli__roster_entry entry;
    const char *role = sykli_arg_text(call->args, "role", "");
    int rc = sykli__mesh_subject(m, sykli_arg_text(call->args, "node", ""), &entry);
    if (rc) return rc;
    entry.role = 0;
    for (int i = SYKLI_ROLE_member; i <= SYKLI_ROLE_admin; i++)
        if (!strcmp(role, sykli_role_names[i])) entry.role = (uint8_t)i;
    if (!entry.role)
        return sykli_set_error(m->core, SYKLI_EINVAL,
                               "role: give member, observer, operator or admin, not '%s'", role);
    entry.writer = sykli_json_bool(call->args, sykli_json_get(call->args, 0, "writer"), false);
    entry.executor = sykli_json_bool(call->args, sykli_json_get(call->args, 0, "executor"), false);
    return sykli__mesh_roster_change(m, &entry, NULL) ? sykli__mesh_failed(m) : 0;
}

static int sykli__mesh_op_revoke(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli__roster_entry entry;
    int rc = sykli__mesh_subject(m, sykli_arg_text(call->args, "node", ""), &entry);
    if (rc) return rc;
    if (!memcmp(entry.id, m->keys.id, sizeof entry.id))
        return sykli_set_error(m->core, SYKLI_EINVAL, "a node does not ban itself");
    return sykli__mesh_roster_change(m, NULL, entry.id) ? sykli__mesh_failed(m) : 0;
}

// ---- keys, and coming up

static int sykli__mesh_keys_save(sykli_mesh *m)
{
    sykli_buf out;
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__roster_keys_encode(&m->keys, &out);
    if (!rc) rc = sykli__mesh_file_write(m, "keys", out.data, out.size);
    sykli__roster_buf_wipe(&out);
    return rc;
}

// Reads the key file, if there is one.
static int sykli__mesh_keys_read(sykli_mesh *m)
{
    sykli_buf text;
    sykli_buf_init(&text, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__mesh_file_read(m, "keys", &text);
    sykli__roster_keys_wipe(&m->keys);
    if (!rc) rc = sykli__roster_keys_decode(&m->keys, &m->crypto, (const char *)text.data,
                                            text.size, &m->fault);
    else if (rc == SYKLI_ENOENT) rc = 0;
    else rc = sykli_fail(&m->fault, SYKLI_EAUTH, "cannot read %s/keys", m->state_dir);
    sykli__roster_buf_wipe(&text);
    return rc ? sykli__mesh_failed(m) : 0;
}

// The same; a node without one makes its node key now.
static int sykli__mesh_keys_load(sykli_mesh *m)
{
    int rc = sykli__mesh_keys_read(m);
    if (rc || m->keys.has & SYKLI__ROSTER_HAS_NODE) return rc;
    snprintf(m->keys.name, sizeof m->keys.name, "%s", sykli_node_name(m->core));
    rc = sykli__mesh_random(m, m->keys.exchange_secret, 32);
    if (!rc) rc = sykli__mesh_random(m, m->keys.sign_secret, 32);
    m->keys.has |= SYKLI__ROSTER_HAS_NODE;
    if (!rc && (rc = sykli__roster_keys_derive(&m->keys, &m->crypto, &m->fault)))
        return sykli__mesh_failed(m);
    return rc ? rc : sykli__mesh_keys_save(m);
}

// Reads what belongs to the mesh: roster, invites, pushed configuration. Damaged files are as good
// as none: peers have the roster and the configuration.
static int sykli__mesh_state_load(sykli_mesh *m)
{
    sykli_buf data;
    sykli_buf_init(&data, m->mem, SYKLI_TAG_mesh);
    sykli__roster_free(&m->roster);
    sykli__roster_init(&m->roster, m->mem, m->keys.mesh);
    if (!sykli__mesh_file_read(m, "roster", &data))
        sykli__roster_decode(&m->roster, &m->crypto, data.data, data.size, &m->fault);
    sykli_buf_reset(&data);
    if (!sykli__mesh_file_read(m, sykli__mesh_config_file, &data)) {
        sykli__roster_envelope e;
        sykli__wire_in body;
        if (!sykli__mesh_config_check(m, data.data, data.size, &e, &body)
            && !sykli_config_apply(m->core, (const char *)body.at, body.left, e.version)) {
            m->config = e;
            sykli_buf_reset(&m->config_body);
            sykli_buf_add(&m->config_body, body.at, body.left);
        }
    }
    sykli_buf_reset(&data);
    sykli__roster_book_free(&m->book);
    if (!sykli__mesh_file_read(m, "invites", &data))
        sykli__roster_book_decode(&m->book, (const char *)data.data, data.size, &m->fault);
    sykli__roster_buf_wipe(&data);
    return m->config_body.error;
}

// Where this node can be dialled: as told, else where it listens, else each way out of the machine.
static void sykli__mesh_addresses(const sykli_mesh *m, char out[SYKLI__MEMBER_ADDRESSES_MAX])
{
    bool wildcard = !strncmp(m->listen, "0.0.0.0:", 8) || !strncmp(m->listen, "[::]:", 5);
    const char *port = strrchr(m->listen, ':');
    char ip[64];
    size_t used = 0;
    snprintf(out, SYKLI__MEMBER_ADDRESSES_MAX, "%s", m->advertise[0] ? m->advertise
                                                   : wildcard ? "" : m->listen);
    if (out[0] || !wildcard || !port) return;
    for (int i = 0; i < SYKLI__ROSTER_ADDRESSES_MAX; i++) {
        if (m->sys->interface(m->sys->user, i, ip, sizeof ip) < 0) break;
        snprintf(out + used, SYKLI__MEMBER_ADDRESSES_MAX - used, used ? " %s%s" : "%s%s", ip, port);
        used = strlen(out);
    }
    if (!used) snprintf(out, SYKLI__MEMBER_ADDRESSES_MAX, "127.0.0.1%s", port); // no network at all
}

// The core with what this context is.
static int sykli__mesh_core_open(sykli_mesh *m)
{
    sykli__member_core_config c;
    uint64_t random[2];
    memset(&c, 0, sizeof c);
    int rc = sykli__mesh_random(m, (uint8_t *)random, sizeof random);
    if (rc) return rc;
    sykli__member_fact *self = &c.member.self;
    memcpy(self->id, m->keys.id, 16);
    memcpy(self->key, m->keys.exchange, 32);
    memcpy(self->sign_key, m->keys.sign, 32);
    self->boot_id = random[0];
    snprintf(self->name, sizeof self->name, "%s", // who joins does so as the node it is to be
             m->keys.name[0] ? m->keys.name : sykli_node_name(m->core));
    snprintf(self->version, sizeof self->version, "%s", SYKLI_VERSION);
    sykli_workers(m->core, &self->workers_busy, &self->workers_total);
    m->busy_told = self->workers_busy, m->total_told = self->workers_total;
    sykli__mesh_addresses(m, self->addresses);
    if (self->addresses[0]) self->bits |= SYKLI__MEMBER_DIALABLE;
    c.member.wall_ms = (uint64_t)sykli__mesh_wall(m);
    c.member.seed = random[1];
    c.member.seed_count = sykli__mesh_in_mesh(m) ? m->seed_count : 0;
    memcpy(c.member.seeds, m->seeds, sizeof c.member.seeds);
    c.link.crypto = &m->crypto;
    c.link.key_secret = m->keys.exchange_secret;
    c.link.token = m->token;
    memcpy(c.link.mesh_id, m->keys.mesh_id, sizeof m->keys.mesh_id);
    rc = sykli__member_core_init(&m->links, m->mem, &c, sykli__mesh_now(m));
    if (rc) return sykli_set_error(m->core, rc, "out of memory");
    sykli__mesh_psks(m);
    return 0;
}

// Listens for peers, once the node is in a mesh: before, nobody could be let in.
static int sykli__mesh_listen(sykli_mesh *m)
{
    if (!m->listen[0] || !sykli__mesh_in_mesh(m) || m->listen_fd >= 0) return 0;
    m->listen_fd = m->sys->listen(m->sys->user, m->listen);
    if (m->listen_fd >= 0) return 0;
    int rc = m->listen_fd;
    m->listen_fd = -1;
    return sykli_set_error(m->core, SYKLI_EIO, "cannot listen on %s: %s", m->listen, strerror(-rc));
}

static bool sykli__mesh_seed_add(sykli_mesh *m, const char *address, size_t size)
{
    if (!size || size >= sizeof m->seeds[0] || m->seed_count >= SYKLI__MEMBER_SEEDS_MAX)
        return false;
    for (size_t i = 0; i < m->seed_count; i++)
        if (strlen(m->seeds[i]) == size && !memcmp(m->seeds[i], address, size)) return true;
    memcpy(m->seeds[m->seed_count], address, size);
    m->seeds[m->seed_count++][size] = 0;
    return true;
}

// The addresses that a join left behind, one a line.
static void sykli__mesh_seeds_load(sykli_mesh *m)
{
    sykli_buf text;
    sykli_buf_init(&text, m->mem, SYKLI_TAG_mesh);
    if (!sykli__mesh_file_read(m, "seeds", &text))
        for (const char *at = (const char *)text.data; *at; at += strspn(at, "\n")) {
            size_t size = strcspn(at, "\n");
            sykli__mesh_seed_add(m, at, size);
            at += size;
        }
    sykli_buf_free(&text);
}

static int sykli__mesh_op_reload(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    sykli__roster_keys before = m->keys;
    int rc = sykli__mesh_keys_load(m);
    if (rc) m->keys = before; // a file that cannot be read now takes nothing away
    sykli__roster_keys_wipe(&before);
    if (!rc) rc = sykli__mesh_state_load(m);
    if (rc) return rc;
    sykli__mesh_roster_enforce(m);
    memset(m->links.link.mesh_id, 0, sizeof m->links.link.mesh_id);
    memcpy(m->links.link.mesh_id, m->keys.mesh_id, sizeof m->keys.mesh_id);
    sykli__mesh_psks(m);
    rc = sykli__mesh_listen(m);
    if (rc) return rc;
    sykli__mesh_seeds_load(m);
    for (size_t i = 0; i < m->seed_count; i++)
        sykli__member_seed_add(&m->links.table, m->seeds[i]);
    sykli__mesh_versions(m);
    return 0;
}

// ---- what happens on connections

// A request came in over a link: decides whose role it has and where it goes.
static void sykli__mesh_opened(sykli_mesh *m, sykli__mesh_conn *c, sykli__link_core *link,
                               const sykli__link_ev *ev)
{
    const sykli__link_open_message *o = &ev->open;
    bool here = !*o->node || !strcmp(o->node, SYKLI_MESH_GATEWAY)
             || !strcmp(o->node, sykli_node_name(m->core));
    if (c->invited)
        sykli__mesh_redeem(m, link, ev->stream, o);
    else if (!here && c->kind != SYKLI__MESH_CONTROL)
        sykli__link_end(link, ev->stream, SYKLI_EPERM, "requests are not passed on for others");
    else if (c->role == SYKLI_ROLE_none)
        sykli__link_end(link, ev->stream, SYKLI_EPERM, "a task has no say in its node");
    else
        sykli__remote_serve(&m->remote, link, ev->stream, o, c->role, here ? NULL : o->node);
}

static size_t sykli__mesh_sessions(const sykli_mesh *m, const uint8_t id[16])
{
    size_t count = 0;
    for (const sykli__mesh_conn *c = m->conns; c; c = c->next) {
        const sykli__link_core *link = sykli__mesh_link(m, c);
        count += c->kind == SYKLI__MESH_PEER && c->up && link && !memcmp(link->peer.id, id, 16);
    }
    return count;
}

static void sykli__mesh_link_event(sykli_mesh *m, sykli__mesh_conn *c,
                                   const sykli__member_core_out *out)
{
    sykli__link_core *link = sykli__mesh_link(m, c);
    const sykli__link_ev *ev = &out->ev;
    if (ev->kind == SYKLI__LINK_EV_UP) {
        bool cookie = m->psk_count && !memcmp(out->peer->psk_id, m->psks[0].id, 8);
        c->up = true;
        c->invited = c->kind == SYKLI__MESH_PEER && !cookie;
        c->role = sykli__mesh_role(m, c, out->peer);
        if (c->kind == SYKLI__MESH_PEER && sykli__roster_banned(&m->roster, out->peer->id))
            sykli__link_close(link, SYKLI_EPERM, "this node is banned");
        else if (c->kind == SYKLI__MESH_PEER && sykli__mesh_sessions(m, out->peer->id)
                                                > SYKLI__MESH_CONNS_EACH)
            sykli__link_close(link, SYKLI_ELIMIT, "too many sessions of one node");
        else sykli__mesh_learn_address(m, c);
    } else if (ev->kind == SYKLI__LINK_EV_OPENED) {
        sykli__mesh_opened(m, c, link, ev);
    } else if (ev->kind == SYKLI__LINK_EV_DOWN) {
        c->up = false;
        sykli__remote_gone(&m->remote, link, ev->text ? ev->text : "the connection closed");
    } else {
        sykli__remote_event(&m->remote, link, ev);
    }
}

// What the table of members says: who came, who went, who has something newer.
static void sykli__mesh_member_event(sykli_mesh *m, const sykli__member_out *out)
{
    static const struct { sykli__member_out_kind of; sykli_event_kind is; } kinds[] = {
        { SYKLI__MEMBER_OUT_NODEUP, SYKLI_EVENT_nodeup },
        { SYKLI__MEMBER_OUT_NODEDOWN, SYKLI_EVENT_nodedown },
        { SYKLI__MEMBER_OUT_LINKUP, SYKLI_EVENT_linkup },
        { SYKLI__MEMBER_OUT_LINKDOWN, SYKLI_EVENT_linkdown } };
    if (!out->row) return;
    const char *name = out->row->fact.name;
    if (out->kind == SYKLI__MEMBER_OUT_BEHIND) {
        sykli__mesh_behind(m, name, out->code);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].of != out->kind) continue;
        const char *state = sykli__member_state_names[out->row->fact.state];
        sykli_event_put(m->core, &(sykli_event){ .kind = kinds[i].is, .name = name, .text = state,
                                                 .text_size = strlen(state) });
    }
}

static void sykli__mesh_closed(sykli_mesh *m, int number)
{
    sykli__mesh_conn *c = sykli__mesh_conn_of(m, number);
    if (c) sykli__mesh_conn_free(m, c);
}

// Pulls all the core has to say.
static void sykli__mesh_pull(sykli_mesh *m)
{
    sykli__member_core_out out;
    for (int turn = 0; turn < 10000; turn++) {
        if (!sykli__member_core_next(&m->links, sykli__mesh_now(m), &out)) return;
        sykli__mesh_conn *c = sykli__mesh_conn_of(m, out.conn);
        if (out.kind == SYKLI__MEMBER_CORE_DIAL)
            sykli__mesh_dial(m, SYKLI__MESH_PEER, out.conn, out.member.address);
        else if (out.kind == SYKLI__MEMBER_CORE_CLOSE) sykli__mesh_closed(m, out.conn);
        else if (out.kind == SYKLI__MEMBER_CORE_MEMBER) sykli__mesh_member_event(m, &out.member);
        else if (c) sykli__mesh_link_event(m, c, &out);
    }
}

// Writes what a connection has, as far as its socket takes it.
static void sykli__mesh_write(sykli_mesh *m, sykli__mesh_conn *c)
{
    const uint8_t *data;
    size_t size;
    c->blocked = false;
    while (!c->dialling
           && (size = sykli__member_core_output(&m->links, sykli__mesh_now(m), c->number, &data))) {
        int64_t put = m->sys->write(m->sys->user, c->fd, data, size);
        if (put <= 0) {
            bool later = put == -EAGAIN || put == -EWOULDBLOCK || put == -EINTR || !put;
            c->blocked = later;
            if (!later && !c->closing) {
                c->closing = true;
                sykli__member_core_closed(&m->links, sykli__mesh_now(m), c->number, false);
            }
            return;
        }
        sykli__member_core_sent(&m->links, sykli__mesh_now(m), c->number, (size_t)put);
    }
}

// Reads what has come, pulling between records: the core queues nothing.
static void sykli__mesh_read(sykli_mesh *m, int number)
{
    for (int turn = 0; turn < SYKLI__MESH_TURN_READS; turn++) {
        sykli__mesh_conn *c = sykli__mesh_conn_of(m, number);
        if (!c || c->closing || c->dialling) return;
        int64_t got = m->sys->read(m->sys->user, c->fd, m->wire, sizeof m->wire);
        if (got == -EAGAIN || got == -EWOULDBLOCK || got == -EINTR) return;
        if (got <= 0) {
            c->closing = true;
            sykli__member_core_closed(&m->links, sykli__mesh_now(m), number, false);
            sykli__mesh_pull(m);
            return;
        }
        for (size_t at = 0; at < (size_t)got;) {
            size_t used = sykli__member_core_bytes(&m->links, sykli__mesh_now(m), number,
                                                   m->wire + at, (size_t)got - at);
            at += used;
            sykli__mesh_pull(m);
            if (!used && !sykli__mesh_conn_of(m, number)) return;
        }
        if ((size_t)got < sizeof m->wire) return;
    }
}

// ---- workers of the node for the tasks of a client

static void sykli__mesh_slot_ready(void *user, sykli_handle request)
{
    (void)request;
    ((sykli__mesh_slot *)user)->ready = true;
}

static void sykli__mesh_slot_free(sykli_mesh *m, sykli__mesh_slot *slot)
{
    sykli__mesh_slot **at = &m->slots;
    while (*at != slot) at = &(*at)->next;
    *at = slot->next;
    sykli_request_close(m->core, slot->request);
    sykli_mem_resize(m->mem, SYKLI_TAG_mesh, slot, sizeof *slot, 0);
}

// A task has ended. Its worker may serve the next task of this run, but not for so long that other
// runs starve.
static void sykli__mesh_slot_return(void *user, uint64_t ticket)
{
    sykli_mesh *m = (sykli_mesh *)user;
    uint64_t now = sykli__mesh_now(m);
    sykli__mesh_slot *slot = m->slots;
    while (slot && slot->ticket != ticket) slot = slot->next;
    if (!slot) return;
    slot->ticket = 0;
    slot->idle_ms = now;
    if (!slot->told || now - slot->granted_ms > SYKLI__MESH_SLOT_MS)
        sykli__mesh_slot_free(m, slot);
}

static int sykli__mesh_slot_ask(sykli_mesh *m, sykli__mesh_slot *slot)
{
    char args[64];
    snprintf(args, sizeof args, "{\"task\":\"run of process %d\"}", m->sys->pid(m->sys->user));
    slot->request = sykli_request_open(m->core, &(sykli_request){
        .verb = SYKLI_VERB_watch, .node = SYKLI_MESH_GATEWAY, .what = "worker", .args = args,
        .ready = sykli__mesh_slot_ready, .user = slot });
    if (slot->request.id) return 0;
    int code = sykli_last_error(m->core);
    slot->retry_ms = sykli__mesh_now(m) + SYKLI__MESH_RETRY_MS;
    return code == SYKLI_EBUSY || code == SYKLI_ELIMIT ? 0 : code; // too many at once: again soon
}

static int sykli__mesh_slot_borrow(void *user, uint64_t ticket)
{
    sykli_mesh *m = (sykli_mesh *)user;
    for (sykli__mesh_slot *slot = m->slots; slot; slot = slot->next)
        if (!slot->ticket && slot->told) { // one that is idle
            slot->ticket = ticket;
            slot->again = true;
            return 0;
        }
    sykli__mesh_slot *slot =
        (sykli__mesh_slot *)sykli_mem_resize(m->mem, SYKLI_TAG_mesh, NULL, 0, sizeof *slot);
    if (!slot) return SYKLI_ENOMEM;
    slot->ticket = ticket;
    slot->ready = true;
    slot->next = m->slots;
    m->slots = slot;
    int rc = sykli__mesh_slot_ask(m, slot);
    if (rc) sykli__mesh_slot_free(m, slot);
    return rc;
}

// Moves on what waits for a worker.    returns  whether the context is to be told
static bool sykli__mesh_slot_answer(sykli_mesh *m, sykli__mesh_slot *slot, uint64_t now,
                                    uint64_t *out_ticket, int *out_code)
{
    char line[256];
    *out_ticket = slot->ticket;
    *out_code = 0;
    if (!slot->ticket) return false;
    if (slot->again) {
        slot->again = false;
        return true;
    }
    if (!slot->request.id) {
        if (now < slot->retry_ms) return false;
        *out_code = sykli__mesh_slot_ask(m, slot);
        return *out_code != 0;
    }
    if (!slot->ready || slot->told) return false;
    slot->ready = false;
    int64_t got = sykli_request_read(m->core, slot->request, line, sizeof line);
    if (!got) return false;
    slot->told = got > 0;
    slot->granted_ms = now;
    *out_code = got > 0 ? 0 : (int)got;
    return true;
}

// Gives back the workers that nobody took again and moves on what waits for one.
static void sykli__mesh_slots_pump(sykli_mesh *m)
{
    uint64_t now = sykli__mesh_now(m), ticket;
    int code;
    for (sykli__mesh_slot *slot = m->slots, *next; slot; slot = next) {
        next = slot->next;
        if (!slot->ticket && now - slot->idle_ms >= SYKLI__MESH_RETRY_MS)
            sykli__mesh_slot_free(m, slot);
    }
    for (sykli__mesh_slot *slot = m->slots; slot;) {
        bool answered = sykli__mesh_slot_answer(m, slot, now, &ticket, &code);
        if (answered && code) slot->ticket = 0; // nothing to give back: it goes at the next turn
        if (answered) sykli_hook_done(m->core, ticket, code, NULL); // may end and begin others
        slot = answered ? m->slots : slot->next;
    }
}

// When the slots want to be looked at.
static uint64_t sykli__mesh_slots_due(const sykli_mesh *m)
{
    uint64_t due = UINT64_MAX;
    for (const sykli__mesh_slot *slot = m->slots; slot; slot = slot->next) {
        bool granted = slot->ready && !slot->told && slot->request.id;
        bool now = slot->ticket && (slot->again || granted);
        uint64_t at = now ? 0 : !slot->ticket ? slot->idle_ms + SYKLI__MESH_RETRY_MS
                    : slot->request.id ? UINT64_MAX : slot->retry_ms;
        due = sykli__link_least(due, at);
    }
    return due;
}

// ---- lookups

static void sykli__mesh_lookup_found(sykli_mesh *m, sykli__mesh_find *find, int code)
{
    sykli_hook_done(m->core, find->ticket, code, find->from);
}

// The node has looked for a client.
static void sykli__mesh_lookup_told(sykli_mesh *m, sykli__mesh_job *job)
{
    sykli_json_doc doc;
    int rc = job->code;
    if (!rc) rc = sykli_json_parse(&doc, m->mem, (const char *)job->body.data, job->body.size,
                                   &m->fault);
    if (rc) {
        sykli_hook_done(m->core, job->ticket, rc, NULL);
        return;
    }
    sykli_hook_done(m->core, job->ticket, 0, sykli_arg_text(&doc, "from", "another node"));
    sykli_json_free(&doc);
}

static int sykli__mesh_lookup(void *user, uint64_t ticket, const char *key, uint32_t deadline_ms)
{
    sykli_mesh *m = (sykli_mesh *)user;
    char args[96];
    (void)deadline_ms; // finding has its own, and what is found is worth fetching
    if (m->mode == SYKLI_MESH_NODE)
        return sykli__mesh_find_begin(m, key, ticket, (sykli_handle){ 0 },
                                      sykli__mesh_lookup_found);
    snprintf(args, sizeof args, "{\"key\":\"%.64s\"}", key);
    sykli__mesh_job *job = sykli__mesh_job_begin(m, &(sykli_request){
        .verb = SYKLI_VERB_call, .node = SYKLI_MESH_GATEWAY, .what = "cache.find", .args = args,
        .deadline_ms = SYKLI__MESH_FETCH_MS }, sykli__mesh_lookup_told);
    if (!job) return SYKLI_ENONODE;
    job->ticket = ticket;
    return 0;
}

static void sykli__mesh_find_called(sykli_mesh *m, sykli__mesh_find *find, int code)
{
    sykli_buf out;
    sykli_buf_init(&out, m->mem, SYKLI_TAG_mesh);
    sykli_buf_text(&out, "{\"from\":");
    sykli_json_quote(&out, find->from, strlen(find->from));
    sykli_buf_text(&out, "}");
    sykli_call_done(m->core, find->call, code ? code : out.error, (const char *)out.data,
                    sykli_error_text(code));
    sykli_buf_free(&out);
}

static int sykli__mesh_op_find(sykli_call *call)
{
    sykli_mesh *m = (sykli_mesh *)call->user;
    int rc = sykli__mesh_find_begin(m, sykli_arg_text(call->args, "key", ""), 0, call->handle,
                                    sykli__mesh_find_called);
    return rc ? rc : SYKLI_PENDING;
}

// ---- the context's hooks

static int sykli__mesh_fds(void *user, sykli_poll_fd *out, int max)
{
    const sykli_mesh *m = (const sykli_mesh *)user;
    int count = 0, listeners[2] = { m->control_fd, m->listen_fd };
    bool deaf = sykli__mesh_now(m) < m->deaf_until_ms;
    for (int i = 0; i < 2 && !deaf; i++)
        if (listeners[i] >= 0 && count++ < max
            && m->conn_count < sykli__mesh_conns_max(i ? SYKLI__MESH_PEER : SYKLI__MESH_CONTROL))
            out[count - 1] = (sykli_poll_fd){ listeners[i], SYKLI_POLL_in, 0 };
    for (const sykli__mesh_conn *c = m->conns; c; c = c->next) {
        short want = c->dialling ? SYKLI_POLL_out
                   : (short)(SYKLI_POLL_in | (c->blocked ? SYKLI_POLL_out : 0));
        if (!c->closing && count++ < max) out[count - 1] = (sykli_poll_fd){ c->fd, want, 0 };
    }
    return count;
}

static int sykli__mesh_deadline_ms(void *user)
{
    sykli_mesh *m = (sykli_mesh *)user;
    uint64_t now = sykli__mesh_now(m), due = sykli__member_core_deadline(&m->links);
    if (now < m->deaf_until_ms) due = sykli__link_least(due, m->deaf_until_ms);
    for (const sykli__mesh_job *job = m->jobs; job; job = job->next)
        if (job->ready || job->due_ms < due) due = job->ready ? now : job->due_ms;
    if (m->waiting) due = sykli__link_least(due, now + SYKLI__MESH_RETRY_MS);
    due = sykli__link_least(due, sykli__mesh_slots_due(m));
    due = sykli__link_least(due, sykli__mesh_finds_due(m));
    for (const sykli__remote_serving *v = m->remote.servings; v; v = v->next)
        if (v->more && sykli__remote_room(v->link, v->stream)) due = now;
    for (const sykli__mesh_conn *c = m->conns; c; c = c->next) {
        const uint8_t *data; // what was said since the last turn has to be written
        if (!c->dialling && !c->blocked && !c->closing
            && sykli__member_core_output(&m->links, now, c->number, &data))
            due = now;
    }
    if (due == UINT64_MAX) return -1;
    return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now);
}

// How busy this node is belongs to its fact; told when it changes.
static void sykli__mesh_load(sykli_mesh *m)
{
    uint32_t busy, total;
    sykli_workers(m->core, &busy, &total);
    if (m->mode != SYKLI_MESH_NODE || (busy == m->busy_told && total == m->total_told)) return;
    sykli__member_fact *self = &sykli__member_self(&m->links.table)->fact;
    m->busy_told = self->workers_busy = busy;
    m->total_told = self->workers_total = total;
    sykli__member_update(&m->links.table);
}

// Looks which sockets are ready and serves those.
static void sykli__mesh_sockets(sykli_mesh *m)
{
    sykli_poll_fd fds[SYKLI__MESH_CONNS_MAX];
    int numbers[SYKLI__MESH_CONNS_MAX], count = 0;
    for (sykli__mesh_conn *c = m->conns; c && count < SYKLI__MESH_CONNS_MAX; c = c->next) {
        if (c->closing) continue;
        fds[count] = (sykli_poll_fd){ c->fd, c->dialling ? SYKLI_POLL_out : SYKLI_POLL_in, 0 };
        numbers[count++] = c->number;
    }
    if (!count || m->sys->poll(m->sys->user, fds, count, 0) <= 0) return;
    for (int i = 0; i < count; i++) {
        sykli__mesh_conn *c = fds[i].got ? sykli__mesh_conn_of(m, numbers[i]) : NULL;
        if (c && c->dialling) sykli__mesh_connected(m, c);
        else if (c) sykli__mesh_read(m, numbers[i]);
    }
}

static void sykli__mesh_pump(void *user)
{
    sykli_mesh *m = (sykli_mesh *)user;
    sykli__member_time(&m->links.table, sykli__mesh_now(m));
    if (m->control_fd >= 0) sykli__mesh_accept(m, m->control_fd, SYKLI__MESH_CONTROL);
    if (m->listen_fd >= 0) sykli__mesh_accept(m, m->listen_fd, SYKLI__MESH_PEER);
    sykli__mesh_sockets(m);
    if (sykli__member_core_deadline(&m->links) <= sykli__mesh_now(m))
        sykli__member_core_tick(&m->links, sykli__mesh_now(m));
    sykli__mesh_load(m);
    sykli__mesh_pull(m);
    sykli__mesh_slots_pump(m);
    sykli__mesh_jobs_pump(m);
    sykli__mesh_finds_pump(m);
    sykli__mesh_pushes_pump(m);
    sykli__remote_pump(&m->remote);
    for (sykli__mesh_conn *c = m->conns; c; c = c->next) sykli__mesh_write(m, c);
    sykli__mesh_pull(m);
}

static int sykli__mesh_route_open(void *user, uint64_t ticket, const sykli_request *desc)
{
    sykli_mesh *m = (sykli_mesh *)user;
    bool client = m->mode == SYKLI_MESH_CLIENT;
    sykli__mesh_conn *c = client ? m->gate : sykli__mesh_conn_to(m, desc->node);
    sykli__link_core *link = c ? sykli__mesh_link(m, c) : NULL;
    if (!link && client)
        return sykli_set_error(m->core, SYKLI_ENONODE, "the node of %s is gone", m->state_dir);
    if (!link)
        return sykli_set_error(m->core, SYKLI_ENONODE, "node '%s' is not reachable from '%s'",
                               desc->node, sykli_node_name(m->core));
    bool gate = !client || !strcmp(desc->node, SYKLI_MESH_GATEWAY);
    return sykli__remote_ask(&m->remote, link, ticket, gate ? "" : desc->node, desc);
}

static int64_t sykli__mesh_route_read(void *user, uint64_t ticket, void *out, size_t size)
{
    return sykli__remote_read(&((sykli_mesh *)user)->remote, ticket, out, size);
}

static const char *sykli__mesh_route_message(void *user, uint64_t ticket)
{
    return sykli__remote_message(&((sykli_mesh *)user)->remote, ticket);
}

static void sykli__mesh_route_close(void *user, uint64_t ticket)
{
    sykli__remote_close(&((sykli_mesh *)user)->remote, ticket);
}

// Rows of a query over this node's own tables.    returns  NULL: the error is the context's
static sykli_result *sykli__mesh_query(sykli_mesh *m, const char *text)
{
    sykli_buf body;
    sykli_result *result = NULL;
    sykli_handle r = sykli_request_open(m->core, &(sykli_request){ .verb = SYKLI_VERB_query,
                                                                   .what = text });
    if (!r.id) return NULL;
    sykli_buf_init(&body, m->mem, SYKLI_TAG_mesh);
    int64_t got;
    while ((got = sykli_request_read(m->core, r, m->buffer, sizeof m->buffer)) > 0)
        sykli_buf_add(&body, m->buffer, (size_t)got);
    if (got == SYKLI_EOF && !body.error)
        result = sykli_result_decode(m->mem, body.data, body.size, &m->fault);
    sykli_request_close(m->core, r);
    sykli_buf_free(&body);
    return result;
}

// Whether a row of tasks is the one that `text` names: its id, its name, or RUN/NAME.
static bool sykli__mesh_task_is(const sykli_result *tasks, size_t row, const char *text)
{
    sykli_value run = sykli_result_cell(tasks, row, 0), id = sykli_result_cell(tasks, row, 1);
    sykli_value name = sykli_result_cell(tasks, row, 2);
    char prefix[32];
    int size = snprintf(prefix, sizeof prefix, "%llu/", (unsigned long long)run.u64);
    if (!strncmp(text, prefix, (size_t)size)) text += size;
    snprintf(prefix, sizeof prefix, "%llu", (unsigned long long)id.u64);
    if (!strcmp(text, prefix)) return true;
    return name.text && strlen(text) == name.text_size && !memcmp(text, name.text, name.text_size);
}

// Which run has the task that `text` names; among several the ones count in which it stands so now.
//   returns  0; ENOENT; EINVAL: in more than one, the text names them
static int sykli__mesh_task_run(sykli_mesh *m, const char *text, const char *now,
                                uint64_t *out_run)
{
    sykli_result *tasks = sykli__mesh_query(m, "SELECT run, id, name, status FROM tasks");
    char runs[200] = "";
    size_t found[2] = { 0, 0 }, size = strlen(now); // others, those that stand so
    if (!tasks) return sykli_last_error(m->core);
    for (size_t i = 0; i < sykli_result_rows(tasks); i++) {
        if (!sykli__mesh_task_is(tasks, i, text)) continue;
        sykli_value status = sykli_result_cell(tasks, i, 3);
        bool is = status.text && status.text_size == size && !memcmp(status.text, now, size);
        if (!is && found[1]) continue;
        if (is && !found[1]) runs[0] = 0;
        found[is]++;
        *out_run = sykli_result_cell(tasks, i, 0).u64;
        size_t used = strlen(runs);
        snprintf(runs + used, sizeof runs - used, " %llu/%.60s", (unsigned long long)*out_run,
                 text);
    }
    sykli_result_free(tasks);
    size_t count = found[1] ? found[1] : found[0];
    if (!count) return sykli_set_error(m->core, SYKLI_ENOENT, "no task '%s' runs on %s", text,
                                       sykli_node_name(m->core));
    if (count > 1) return sykli_set_error(m->core, SYKLI_EINVAL, "'%s' is in more than one run, "
                                          "say which:%s", text, runs);
    return 0;
}

// The connection of a run beside this node.
static sykli__mesh_conn *sykli__mesh_run_conn(sykli_mesh *m, uint64_t run)
{
    sykli_result *runs = sykli__mesh_query(m, "SELECT id, pid FROM runs");
    sykli__mesh_conn *c = NULL;
    for (size_t i = 0; runs && !c && i < sykli_result_rows(runs); i++) {
        if (sykli_result_cell(runs, i, 0).u64 != run) continue;
        int64_t pid = sykli_result_cell(runs, i, 1).i64;
        for (c = m->conns; c; c = c->next)
            if (c->kind == SYKLI__MESH_CONTROL && c->up && c->pid == pid) break;
    }
    sykli_result_free(runs);
    return c;
}

static int sykli__mesh_task_route(void *user, uint64_t ticket, const sykli_request *desc)
{
    sykli_mesh *m = (sykli_mesh *)user;
    sykli_json_doc args;
    uint64_t run = 0;
    if (m->mode != SYKLI_MESH_NODE) return SYKLI_ENOENT;
    int rc = sykli_json_parse(&args, m->mem, desc->args, strlen(desc->args), &m->fault);
    if (rc) return sykli__mesh_failed(m);
    const char *now = strncmp(desc->what, "gate.", 5) ? "running" : "ready"; // held ones are
    rc = sykli__mesh_task_run(m, sykli_arg_text(&args, "task", ""), now, &run);
    sykli_json_free(&args);
    if (rc) return rc;
    sykli__mesh_conn *c = sykli__mesh_run_conn(m, run);
    sykli__link_core *link = c ? sykli__mesh_link(m, c) : NULL;
    if (!link) return sykli_set_error(m->core, SYKLI_ENOENT,
                                      "its run has ended, or began without this node");
    return sykli__remote_ask(&m->remote, link, ticket, "", desc);
}

// ---- tables of a mesh

#define SYKLI__MESH_NODES_COLUMNS(X, T)                                                            \
    X(T, STR, name, 68, none, public, "name in the mesh")                                          \
    X(T, STR, id, 36, none, public, "identity, from its keys")                                     \
    X(T, STR, address, 64, none, public, "where it listens")                                       \
    X(T, ENUM, state, sykli__member_state_names, none, public, "alive, suspect, dead, left ...")   \
    X(T, STR, role, 12, none, public, "what the roster says")                                      \
    X(T, STR, labels, 128, none, public, "for placement")                                          \
    X(T, U64, workers_busy, 0, none, public, "workers that run a task")                            \
    X(T, U64, workers_total, 0, none, public, "workers there are")                                 \
    X(T, STR, version, 16, none, public, "of sykli")                                               \
    X(T, U64, config_version, 0, none, public, "of the pushed configuration")                      \
    X(T, U64, rtt_us, 0, us, public, "round trip to it")
SYKLI_ROW(sykli__mesh_nodes_row, SYKLI__MESH_NODES_COLUMNS)
SYKLI_COLUMNS(sykli__mesh_nodes_row, SYKLI__MESH_NODES_COLUMNS)

#define SYKLI__MESH_PEERS_COLUMNS(X, T)                                                            \
    X(T, STR, name, 68, none, public, "name of the other node")                                    \
    X(T, STR, id, 36, none, public, "its identity")                                                \
    X(T, STR, address, 64, none, public, "the other end of the session")                           \
    X(T, STR, role, 12, none, public, "what it may do here")                                       \
    X(T, U64, rtt_us, 0, us, public, "round trip")                                                 \
    X(T, U64, up_ms, 0, ms, public, "age of the session")
SYKLI_ROW(sykli__mesh_peers_row, SYKLI__MESH_PEERS_COLUMNS)
SYKLI_COLUMNS(sykli__mesh_peers_row, SYKLI__MESH_PEERS_COLUMNS)

static const char *const sykli__mesh_kind_names[] = { "client", "gateway", "peer", "inviter",
                                                      NULL };
#define SYKLI__MESH_LINKS_COLUMNS(X, T)                                                            \
    X(T, U64, id, 0, none, observer, "number of the connection")                                   \
    X(T, ENUM, kind, sykli__mesh_kind_names, none, observer, "client, peer ...")                   \
    X(T, STR, name, 68, none, observer, "who is at the other end")                                 \
    X(T, STR, address, 64, none, observer, "where")                                                \
    X(T, STR, state, 12, none, observer, "dialling, handshake, up")                                \
    X(T, I64, pid, 0, none, operator, "process of a client")                                       \
    X(T, U64, in_bytes, 0, bytes, observer, "received")                                            \
    X(T, U64, out_bytes, 0, bytes, observer, "sent")
SYKLI_ROW(sykli__mesh_links_row, SYKLI__MESH_LINKS_COLUMNS)
SYKLI_COLUMNS(sykli__mesh_links_row, SYKLI__MESH_LINKS_COLUMNS)

static int sykli__mesh_scan_nodes(void *user, sykli_emit *to)
{
    sykli_mesh *m = (sykli_mesh *)user;
    int rc = 0;
    for (size_t i = 0; !rc && i < m->links.table.count; i++) {
        const sykli__member_row *member = sykli__member_at(&m->links.table, i);
        const sykli__member_fact *f = &member->fact;
        sykli__mesh_nodes_row row = { .state = f->state, .workers_busy = f->workers_busy,
            .workers_total = f->workers_total, .config_version = f->versions.config_version,
            .rtt_us = i && !member->live.conn ? SYKLI_NULL_U64 : member->rtt_ms * 1000u };
        snprintf(row.name, sizeof row.name, "%s", f->name);
        sykli_hex(row.id, f->id, 16);
        snprintf(row.address, sizeof row.address, "%.*s", (int)strcspn(f->addresses, " "),
                 f->addresses);
        snprintf(row.role, sizeof row.role, "%s",
                 sykli_role_names[sykli__roster_role(&m->roster, f->id)]);
        snprintf(row.labels, sizeof row.labels, "%.127s", f->labels);
        snprintf(row.version, sizeof row.version, "%.15s", f->version);
        rc = to->row(to, &row);
    }
    return rc;
}

static int sykli__mesh_scan_peers(void *user, sykli_emit *to)
{
    sykli_mesh *m = (sykli_mesh *)user;
    int rc = 0;
    for (const sykli__mesh_conn *c = m->conns; !rc && c; c = c->next) {
        const sykli__link_core *link = sykli__mesh_link(m, c);
        if (c->kind != SYKLI__MESH_PEER || !c->up || c->invited || !link) continue;
        sykli__mesh_peers_row row = { .rtt_us = link->rtt_ms * 1000u,
                                      .up_ms = sykli__mesh_now(m) - c->since_ms };
        snprintf(row.name, sizeof row.name, "%s", link->peer.name);
        sykli_hex(row.id, link->peer.id, 16);
        snprintf(row.address, sizeof row.address, "%s", c->address);
        snprintf(row.role, sizeof row.role, "%s", sykli_role_names[c->role]);
        rc = to->row(to, &row);
    }
    return rc;
}

static int sykli__mesh_scan_links(void *user, sykli_emit *to)
{
    sykli_mesh *m = (sykli_mesh *)user;
    int rc = 0;
    for (const sykli__mesh_conn *c = m->conns; !rc && c; c = c->next) {
        const sykli__link_core *link = sykli__mesh_link(m, c);
        sykli__mesh_links_row row = { .id = (uint64_t)c->number, .kind = c->kind,
            .pid = c->pid ? c->pid : SYKLI_NULL_I64, .in_bytes = link ? link->bytes_in : 0,
            .out_bytes = link ? link->bytes_out : 0 };
        if (link) snprintf(row.name, sizeof row.name, "%s", link->peer.name);
        snprintf(row.address, sizeof row.address, "%s", c->address);
        snprintf(row.state, sizeof row.state,
                 c->up ? "up" : c->dialling ? "dialling" : "handshake");
        rc = to->row(to, &row);
    }
    return rc;
}

#define SYKLI__MESH_TABLE(name, help, row, visible, scan)                                          \
    { name, help, row##_columns, sizeof row##_columns / sizeof *row##_columns, sizeof(row),        \
      SYKLI_VISIBLE_##visible, scan, m }

static int sykli__mesh_add_tables(sykli_mesh *m)
{
    sykli_table nodes = SYKLI__MESH_TABLE("nodes", "one node of the mesh", sykli__mesh_nodes_row,
                                          public, sykli__mesh_scan_nodes);
    sykli_table peers = SYKLI__MESH_TABLE("peers", "one session with another node",
                                          sykli__mesh_peers_row, public, sykli__mesh_scan_peers);
    sykli_table links = SYKLI__MESH_TABLE("links", "one connection of any kind",
                                          sykli__mesh_links_row, observer, sykli__mesh_scan_links);
    int rc = sykli_table_replace(m->core, &nodes, &m->nodes_before);
    if (!rc) rc = sykli_table_add(m->core, &peers);
    return rc ? rc : sykli_table_add(m->core, &links);
}

static int sykli__mesh_add_ops(sykli_mesh *m)
{
    static const sykli_param push[] = { { "push", SYKLI_KIND_TEXT, true, "signed, in hex" } };
    static const sykli_param values[] = {
        { "values", SYKLI_KIND_TEXT, true, "a JSON object of keys, as text" },
        { "all_or_nothing", SYKLI_KIND_BOOL, false, "give up when a node refuses" },
        { "force", SYKLI_KIND_BOOL, false, "begin a new epoch: wins over any other version" } };
    static const sykli_param rollback[] = {
        { "version", SYKLI_KIND_U64, true, "one that config.history lists" },
        { "all_or_nothing", SYKLI_KIND_BOOL, false, "give up when a node refuses" },
        { "force", SYKLI_KIND_BOOL, false, "begin a new epoch" } };
    static const sykli_param invite[] = {
        { "role", SYKLI_KIND_TEXT, false, "member, observer or operator" },
        { "uses", SYKLI_KIND_U64, false, "times it can be used; more than 1 only for member" },
        { "expires_ms", SYKLI_KIND_U64, false, "from now; default an hour" } };
    static const sykli_param revoke[] = { { "id", SYKLI_KIND_TEXT, true, "16 hex digits" } };
    static const sykli_param grant[] = {
        { "node", SYKLI_KIND_TEXT, true, "name or id" },
        { "role", SYKLI_KIND_TEXT, true, "member, observer, operator or admin" },
        { "writer", SYKLI_KIND_BOOL, false, "its results count as trusted" },
        { "executor", SYKLI_KIND_BOOL, false, "it may receive trusted tasks" } };
    static const sykli_param node[] = { { "node", SYKLI_KIND_TEXT, true, "name or id" } };
    static const sykli_param key[] = { { "key", SYKLI_KIND_TEXT, true, "64 hex digits" } };
    const sykli_op ops[] = {
        { 20, "config.push", "makes keys the configuration of the whole mesh", SYKLI_ROLE_admin,
          false, values, 3, sykli__mesh_op_push, m },
        { 21, "config.prepare", "could this node take this configuration?", SYKLI_ROLE_member,
          false, push, 1, sykli__mesh_op_prepare, m },
        { 22, "config.commit", "takes a signed configuration", SYKLI_ROLE_member, false, push, 1,
          sykli__mesh_op_commit, m },
        { 23, "config.pushed", "the signed configuration in force", SYKLI_ROLE_member, false, NULL,
          0, sykli__mesh_op_config_get, m },
        { 24, "config.history", "the versions kept here", SYKLI_ROLE_observer, false, NULL, 0,
          sykli__mesh_op_history, m },
        { 25, "config.rollback", "pushes an earlier version again", SYKLI_ROLE_admin, false,
          rollback, 3, sykli__mesh_op_rollback, m },
        { 30, "roster.get", "the signed roster in force", SYKLI_ROLE_member, false, NULL, 0,
          sykli__mesh_op_roster_get, m },
        { 31, "roster.grant", "gives a node a role", SYKLI_ROLE_owner, false, grant, 4,
          sykli__mesh_op_grant, m },
        { 32, "roster.revoke", "bans a node for good", SYKLI_ROLE_owner, false, node, 1,
          sykli__mesh_op_revoke, m },
        { 33, "invite.create", "makes a token that lets one node join", SYKLI_ROLE_admin, false,
          invite, 3, sykli__mesh_op_invite, m },
        { 34, "invite.list", "open and used tokens", SYKLI_ROLE_admin, false, NULL, 0,
          sykli__mesh_op_invites, m },
        { 35, "invite.revoke", "ends a token", SYKLI_ROLE_admin, false, revoke, 1,
          sykli__mesh_op_invite_revoke, m },
        { 36, "mesh.reload", "reads keys, roster and configuration again", SYKLI_ROLE_owner, false,
          NULL, 0, sykli__mesh_op_reload, m },
        { 40, "cache.find", "looks for a result at the peers and fetches it", SYKLI_ROLE_operator,
          false, key, 1, sykli__mesh_op_find, m },
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof ops / sizeof *ops; i++)
        rc = sykli_op_add(m->core, &ops[i]);
    return rc;
}

// ---- opening and closing

// Nobody comes in from now on.
static void sykli__mesh_doors_close(sykli_mesh *m)
{
    int fds[2] = { m->control_fd, m->listen_fd };
    if (m->control_fd >= 0) m->sys->remove(m->sys->user, m->dir_fd, "sock", 0);
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0) m->sys->close(m->sys->user, fds[i]);
    m->control_fd = m->listen_fd = -1;
}

static void sykli__mesh_free(sykli_mesh *m)
{
    sykli__mesh_doors_close(m); // first: whoever sees a session end may start the next node
    while (m->waiting) {
        sykli__mesh_job *job = m->waiting;
        m->waiting = job->next;
        job->next = m->jobs;
        m->jobs = job;
    }
    for (sykli__mesh_find *find = m->finds, *next; find; find = next) {
        next = find->next;
        bool held = find->queued || find->fetching || find->get;
        find->queued = find->fetching = find->get = false;
        if (held) sykli__mesh_find_drop(m, find);
    }
    while (m->finds || m->jobs) { // a job holds its find
        if (!m->jobs) break;
        m->jobs->code = SYKLI_ECLOSED;
        m->jobs->done(m, m->jobs);
        sykli__mesh_job_free(m, m->jobs);
    }
    while (m->pushes) sykli__mesh_push_free(m, m->pushes);
    while (m->slots) sykli__mesh_slot_free(m, m->slots);
    if (m->dir_fd >= 0) m->sys->close(m->sys->user, m->dir_fd); // and with it the lock
    m->dir_fd = -1;
    sykli__remote_free(&m->remote);
    while (m->conns) sykli__mesh_conn_free(m, m->conns);
    sykli__member_core_free(&m->links);
    sykli__roster_free(&m->roster);
    sykli__roster_book_free(&m->book);
    sykli_buf_free(&m->config_body);
    sykli_mem_text_free(m->mem, SYKLI_TAG_mesh, m->state_dir);
    if (m->nodes_before.scan) sykli_table_replace(m->core, &m->nodes_before, NULL);
    sykli_forget(m->core, m);
    sykli_mem *mem = m->mem;
    sykli_wipe(m, sizeof *m);
    sykli_mem_resize(mem, SYKLI_TAG_mesh, m, sizeof *m, 0);
}

static sykli_mesh *sykli__mesh_new(sykli *s, const char *state_dir, bool client)
{
    sykli_mem *mem = sykli_memory(s);
    sykli_mesh *m = (sykli_mesh *)sykli_mem_resize(mem, SYKLI_TAG_mesh, NULL, 0, sizeof *m);
    if (!m) return NULL;
    m->core = s;
    m->mem = mem;
    m->sys = sykli_system(s);
    m->dir_fd = m->control_fd = m->listen_fd = -1;
    m->roster.mem = m->book.mem = m->links.mem = mem;
    sykli_buf_init(&m->config_body, mem, SYKLI_TAG_mesh);
    sykli_crypto_init(&m->crypto);
    sykli__remote_init(&m->remote, s);
    m->state_dir = sykli_mem_text(mem, SYKLI_TAG_mesh, state_dir, strlen(state_dir));
    if (m->state_dir && !sykli__mesh_dir_open(m, client)) return m;
    sykli__mesh_free(m);
    return NULL;
}

static int sykli__mesh_token_load(sykli_mesh *m)
{
    sykli_buf text;
    sykli_buf_init(&text, m->mem, SYKLI_TAG_mesh);
    int rc = sykli__mesh_file_read(m, "token", &text);
    if (!rc && (text.size < 64 || sykli_unhex(m->token, 32, (const char *)text.data, 64)))
        rc = SYKLI_EPARSE;
    sykli__roster_buf_wipe(&text);
    return rc;
}

static void sykli__mesh_sock_path(const sykli_mesh *m, char *out, size_t size)
{
    snprintf(out, size, "unix:%s/sock", m->state_dir);
}

// Takes the control socket: the token, then the listener. A node that still answers keeps it; of
// two that start at once the lock of the folder chooses one.
static int sykli__mesh_control(sykli_mesh *m)
{
    char path[4200], hex[66];
    sykli__mesh_sock_path(m, path, sizeof path);
    int fd = m->sys->dial(m->sys->user, path);
    if (fd >= 0) m->sys->close(m->sys->user, fd);
    bool listens = fd >= 0 || fd == -EAGAIN; // perhaps too busy to answer
    if (listens || m->sys->lock(m->sys->user, m->dir_fd, 1) == -EWOULDBLOCK)
        return sykli_set_error(m->core, SYKLI_EBUSY, "a node runs in %s already", m->state_dir);
    m->sys->remove(m->sys->user, m->dir_fd, "sock", 0);
    int rc = sykli__mesh_random(m, m->token, sizeof m->token);
    if (rc) return rc;
    sykli_hex(hex, m->token, 32);
    hex[64] = '\n';
    rc = sykli__mesh_file_write(m, "token", hex, 65);
    if (rc) return rc;
    m->control_fd = m->sys->listen(m->sys->user, path);
    if (m->control_fd >= 0) return 0;
    rc = m->control_fd;
    m->control_fd = -1;
    return sykli_set_error(m->core, SYKLI_EIO, "cannot listen on %s: %s", path, strerror(-rc));
}

// A node that is started under another name is known by that one from now on.
static int sykli__mesh_rename(sykli_mesh *m)
{
    const char *name = sykli_node_name(m->core);
    const sykli__roster_entry *known = sykli__roster_by_id(&m->roster, m->keys.id);
    int rc = 0;
    if (strcmp(m->keys.name, name)) {
        snprintf(m->keys.name, sizeof m->keys.name, "%s", name);
        rc = sykli__mesh_keys_save(m);
    }
    bool sign = known && strcmp(known->name, name)
             && (m->keys.has & SYKLI__ROSTER_HAS_MESH_SECRET);
    if (rc || !sign) return rc;
    sykli__roster_entry entry = *known;
    snprintf(entry.name, sizeof entry.name, "%s", name);
    rc = sykli__roster_grant(&m->roster, &entry, &m->fault);
    if (!rc) rc = sykli__mesh_roster_publish(m);
    return rc ? sykli__mesh_failed(m) : 0;
}

static int sykli__mesh_open_node(sykli_mesh *m)
{
    int rc = sykli__mesh_control(m);
    if (!rc) rc = sykli__mesh_keys_load(m);
    if (!rc) rc = sykli__mesh_state_load(m);
    if (!rc) rc = sykli__mesh_rename(m);
    if (rc) return rc;
    sykli__mesh_seeds_load(m);
    rc = sykli__mesh_core_open(m);
    if (!rc) rc = sykli__mesh_listen(m);
    if (!rc) rc = sykli__mesh_add_tables(m);
    if (!rc) rc = sykli__mesh_add_ops(m);
    if (!rc) sykli__mesh_versions(m);
    return rc;
}

// Pumps until a session of one's own is up.    returns  0 or the error
static int sykli__mesh_wait_up(sykli_mesh *m, uint64_t wait_ms)
{
    uint64_t due = sykli__mesh_now(m) + wait_ms;
    while (m->gate && !m->gate->up && sykli__mesh_now(m) < due) {
        sykli_poll_fd fd = { m->gate->fd, m->gate->dialling || m->gate->blocked ? SYKLI_POLL_out
                                                                               : SYKLI_POLL_in, 0 };
        m->sys->poll(m->sys->user, &fd, 1, 100);
        sykli__mesh_pump(m);
    }
    if (m->gate && m->gate->up) return 0;
    return m->gate ? SYKLI_ETIMEOUT : SYKLI_ECLOSED;
}

// A run beside a node is part of it: its tasks appear under the node's name.
static int sykli__mesh_open_client(sykli_mesh *m, bool borrow)
{
    char path[4200];
    sykli__mesh_sock_path(m, path, sizeof path);
    int fd = m->sys->dial(m->sys->user, path);
    if (fd < 0)
        return sykli_set_error(m->core, SYKLI_ENONODE, "no node runs in %s", m->state_dir);
    int rc = sykli__mesh_token_load(m);
    if (rc) sykli_set_error(m->core, rc = SYKLI_EAUTH, "cannot read %s/token", m->state_dir);
    if (!rc) rc = sykli__mesh_random(m, m->keys.id, sizeof m->keys.id);
    if (!rc) rc = sykli__mesh_core_open(m);
    int number = rc ? rc : sykli__member_core_dial(&m->links, sykli__mesh_now(m),
                                                   SYKLI__LINK_CLEAR, SYKLI__LINK_CLIENT, path,
                                                   NULL);
    m->gate = number > 0 ? sykli__mesh_conn_add(m, SYKLI__MESH_GATE, fd, number, path) : NULL;
    if (!m->gate) {
        m->sys->close(m->sys->user, fd);
        return rc ? rc : sykli_set_error(m->core, SYKLI_ENOMEM, "out of memory");
    }
    m->gate->dialling = true;
    rc = sykli__mesh_wait_up(m, SYKLI__MESH_CLIENT_MS);
    if (!rc && borrow) sykli_node_rename(m->core, sykli__mesh_link(m, m->gate)->peer.name);
    return rc ? sykli_set_error(m->core, SYKLI_ENONODE, "the node of %s does not answer",
                                m->state_dir) : 0;
}

sykli_mesh *sykli_mesh_open(sykli *s, const sykli_mesh_desc *desc)
{
    bool node = desc->mode == SYKLI_MESH_NODE;
    sykli_mesh *m = desc->state_dir ? sykli__mesh_new(s, desc->state_dir, !node) : NULL;
    if (!m) {
        if (!desc->state_dir) sykli_set_error(s, SYKLI_EINVAL, "mesh: give a state directory");
        return NULL;
    }
    m->mode = desc->mode;
    snprintf(m->listen, sizeof m->listen, "%s", desc->listen ? desc->listen : "");
    snprintf(m->advertise, sizeof m->advertise, "%s", desc->advertise ? desc->advertise : "");
    int rc = 0;
    for (size_t i = 0; !rc && i < desc->seed_count; i++)
        if (!sykli__mesh_seed_add(m, desc->seeds[i], strlen(desc->seeds[i])))
            rc = sykli_set_error(s, SYKLI_EINVAL, "seed %s: give ADDR:PORT of at most 63 "
                                 "characters, at most %d of them", desc->seeds[i],
                                 SYKLI__MEMBER_SEEDS_MAX);
    if (!rc) rc = node ? sykli__mesh_open_node(m) : sykli__mesh_open_client(m, desc->borrow);
    if (rc) {
        sykli__mesh_free(m);
        return NULL;
    }
    sykli_hooks_set(s, &(sykli_hooks){
        .user = m, .lookup = sykli__mesh_lookup, .route_open = sykli__mesh_route_open,
        .route_read = sykli__mesh_route_read, .route_message = sykli__mesh_route_message,
        .route_close = sykli__mesh_route_close, .task_route = sykli__mesh_task_route,
        .slot_borrow = !node && desc->borrow ? sykli__mesh_slot_borrow : NULL,
        .slot_return = !node && desc->borrow ? sykli__mesh_slot_return : NULL,
        .fds = sykli__mesh_fds, .deadline_ms = sykli__mesh_deadline_ms,
        .pump = sykli__mesh_pump });
    return m;
}

void sykli_mesh_close(sykli_mesh *m)
{
    if (!m) return;
    if (m->mode == SYKLI_MESH_NODE) {
        sykli__member_leave(&m->links.table);
        for (int i = 0; i < 3; i++) sykli__mesh_pump(m); // the goodbye leaves, if it can at once
    }
    sykli_hooks_set(m->core, NULL); // what ends now must not begin anything here
    for (sykli__mesh_slot *slot = m->slots; slot; slot = slot->next)
        if (slot->ticket && !slot->told)
            sykli_hook_done(m->core, slot->ticket, SYKLI_ECLOSED, NULL);
    sykli__mesh_free(m);
}

int sykli_mesh_create(sykli *s, const char *state_dir)
{
    sykli_mesh *m = sykli__mesh_new(s, state_dir, false);
    if (!m) return sykli_last_error(s);
    int rc = sykli__mesh_keys_load(m);
    if (!rc && sykli__mesh_in_mesh(m))
        rc = sykli_set_error(s, SYKLI_EEXIST, "%s belongs to a mesh already", state_dir);
    if (!rc) rc = sykli__mesh_random(m, m->keys.cookie_secret, 32);
    if (!rc) rc = sykli__mesh_random(m, m->keys.mesh_secret, 32);
    m->keys.has |= SYKLI__ROSTER_HAS_COOKIE | SYKLI__ROSTER_HAS_MESH_SECRET;
    if (!rc && sykli__roster_keys_derive(&m->keys, &m->crypto, &m->fault))
        rc = sykli__mesh_failed(m);
    if (!rc) sykli__roster_init(&m->roster, m->mem, m->keys.mesh);
    sykli__roster_entry self = { .role = SYKLI_ROLE_admin, .writer = true, .executor = true };
    memcpy(self.exchange, m->keys.exchange, 32);
    memcpy(self.sign, m->keys.sign, 32);
    snprintf(self.name, sizeof self.name, "%s", m->keys.name);
    sykli_buf roster;
    sykli_buf_init(&roster, m->mem, SYKLI_TAG_mesh);
    if (!rc && (sykli__roster_grant(&m->roster, &self, &m->fault)
                || sykli__roster_publish(&m->roster, &m->crypto, m->keys.mesh_secret, &roster)))
        rc = sykli_set_error(s, SYKLI_ENOMEM, "the roster cannot be made: %s", m->fault.text);
    if (!rc) rc = sykli__mesh_file_write(m, "roster", roster.data, roster.size);
    if (!rc) rc = sykli__mesh_keys_save(m); // last: with it the mesh exists
    sykli_buf_free(&roster);
    sykli__mesh_free(m);
    return rc;
}

int sykli_mesh_id(sykli *s, const char *state_dir, char out[65])
{
    sykli_mesh *m = sykli__mesh_new(s, state_dir, true); // to read makes nothing
    int rc = m ? sykli__mesh_keys_read(m) : sykli_last_error(s);
    bool none = m ? !rc && !sykli__mesh_in_mesh(m) : rc == SYKLI_ENONODE;
    if (none) rc = sykli_set_error(s, SYKLI_ENOENT, "%s belongs to no mesh", state_dir);
    else if (!rc) sykli_hex(out, m->keys.mesh_id, sizeof m->keys.mesh_id);
    if (m) sykli__mesh_free(m);
    return rc;
}

// ---- joining

// Keeps what an inviter answered; the key file comes last.
static int sykli__mesh_joined(sykli_mesh *m, const sykli__roster_invite *v, const char *answer)
{
    sykli_json_doc doc;
    sykli_buf data, seeds;
    int rc = sykli_json_parse(&doc, m->mem, answer, strlen(answer), &m->fault);
    if (rc) return sykli__mesh_failed(m);
    const char *cookie = sykli_arg_text(&doc, "cookie", "");
    const char *mesh = sykli_arg_text(&doc, "mesh", "");
    uint8_t key[32];
    if (sykli_unhex(m->keys.cookie_secret, 32, cookie, strlen(cookie))
        || sykli_unhex(key, 32, mesh, strlen(mesh)) || memcmp(key, v->mesh, 32))
        rc = sykli_fail(&m->fault, SYKLI_EAUTH, "the inviter's answer is not for this mesh");
    memcpy(m->keys.mesh, v->mesh, 32);
    m->keys.has |= SYKLI__ROSTER_HAS_COOKIE | SYKLI__ROSTER_HAS_MESH;
    if (!rc) rc = sykli__roster_keys_derive(&m->keys, &m->crypto, &m->fault);
    if (!rc) sykli__roster_init(&m->roster, m->mem, m->keys.mesh);
    if (!rc) {
        rc = sykli__mesh_hex_arg(m, &doc, "roster", &data);
        if (!rc) rc = sykli__roster_decode(&m->roster, &m->crypto, data.data, data.size, &m->fault);
        if (!rc) rc = sykli__mesh_file_write(m, "roster", data.data, data.size);
        sykli_buf_free(&data);
    }
    if (!rc && sykli_arg_text(&doc, "config", "")[0]) {
        rc = sykli__mesh_hex_arg(m, &doc, "config", &data);
        if (!rc) rc = sykli__mesh_file_write(m, sykli__mesh_config_file, data.data, data.size);
        sykli_buf_free(&data);
    }
    sykli_json_free(&doc);
    sykli_buf_init(&seeds, m->mem, SYKLI_TAG_mesh);
    for (unsigned i = 0; i < v->address_count; i++)
        sykli_buf_print(&seeds, "%s\n", v->addresses[i]);
    if (!rc) rc = sykli__mesh_file_write(m, "seeds", seeds.data, seeds.size);
    sykli_buf_free(&seeds);
    if (!rc) rc = sykli__mesh_keys_save(m);
    return rc ? sykli_set_error(m->core, rc, "%s", m->fault.text[0] ? m->fault.text
                                                                    : sykli_error_text(rc)) : 0;
}

// Asks over the session that is up and waits for the answer.
static int sykli__mesh_join_ask(sykli_mesh *m, const sykli__roster_invite *v)
{
    const uint64_t ticket = 1;
    sykli_buf answer;
    sykli_buf_init(&answer, m->mem, SYKLI_TAG_mesh);
    answer.max_bytes = SYKLI__MESH_FILE_MAX;
    uint64_t due = sykli__mesh_now(m) + SYKLI__MESH_JOIN_MS;
    int64_t got = sykli__remote_ask(&m->remote, sykli__mesh_link(m, m->gate), ticket, "",
                                    &(sykli_request){ .verb = SYKLI_VERB_call,
                                                      .what = "join.redeem" });
    while (got >= 0 && sykli__mesh_now(m) < due) {
        got = sykli__remote_read(&m->remote, ticket, m->buffer, sizeof m->buffer);
        if (got > 0 && sykli_buf_add(&answer, m->buffer, (size_t)got)) got = answer.error;
        if (got) continue;
        sykli_poll_fd fd = { m->gate ? m->gate->fd : -1, SYKLI_POLL_in, 0 };
        m->sys->poll(m->sys->user, &fd, m->gate != NULL, 50);
        sykli__mesh_pump(m);
    }
    int rc = got == SYKLI_EOF ? answer.error : got < 0 ? (int)got : SYKLI_ETIMEOUT;
    if (rc) sykli_set_error(m->core, rc, "%s", got < 0 ? sykli__remote_message(&m->remote, ticket)
                                                       : "the inviter does not answer");
    else rc = sykli__mesh_joined(m, v, answer.size ? (const char *)answer.data : "");
    sykli__remote_close(&m->remote, ticket);
    sykli__roster_buf_wipe(&answer);
    return rc;
}

// Goes to one of the inviter's addresses.
static int sykli__mesh_join_at(sykli_mesh *m, const sykli__roster_invite *v, const char *address)
{
    sykli__link_psk psk;
    memcpy(psk.id, v->token_id, sizeof psk.id);
    sykli__roster_invite_psk(psk.key_secret, v->token_secret);
    int number = sykli__member_core_dial(&m->links, sykli__mesh_now(m), SYKLI__LINK_NOISE,
                                         SYKLI__LINK_JOIN, address, &psk);
    sykli_wipe(&psk, sizeof psk);
    m->gate = number > 0 ? sykli__mesh_dial(m, SYKLI__MESH_INVITER, number, address) : NULL;
    int rc = m->gate ? sykli__mesh_wait_up(m, SYKLI__MESH_JOIN_MS) : SYKLI_ENONODE;
    if (rc)
        return sykli_set_error(m->core, rc == SYKLI_ECLOSED ? SYKLI_EAUTH : rc,
                               rc == SYKLI_ECLOSED ? "the node at %s does not know this invite: "
                               "it was revoked, has expired, or is another node's"
                               : "nobody answers at %s", address);
    const sykli__link_peer *peer = &sykli__mesh_link(m, m->gate)->peer;
    if (memcmp(peer->key, v->inviter_exchange, 32))
        return sykli_set_error(m->core, SYKLI_EAUTH, "the node at %s is not the inviter", address);
    return sykli__mesh_join_ask(m, v);
}

// Tells the node that runs in this state directory, if one does.
static void sykli__mesh_join_tell(sykli *s, const char *state_dir)
{
    sykli_mesh *client = sykli_mesh_open(s, &(sykli_mesh_desc){ .mode = SYKLI_MESH_CLIENT,
                                                                .state_dir = state_dir });
    if (!client) return;
    sykli_handle r = sykli_request_open(s, &(sykli_request){
        .verb = SYKLI_VERB_call, .node = SYKLI_MESH_GATEWAY, .what = "mesh.reload" });
    char answer[64];
    for (int i = 0; r.id && i < 100 && !sykli_request_read(s, r, answer, sizeof answer); i++)
        sykli_poll(s, 20);
    sykli_request_close(s, r);
    sykli_mesh_close(client);
}

int sykli_mesh_join(sykli *s, const char *state_dir, const char *token)
{
    sykli__roster_invite v;
    sykli_mesh *m = sykli__mesh_new(s, state_dir, false);
    if (!m) return sykli_last_error(s);
    int rc = sykli__roster_invite_decode(&v, token, strlen(token), &m->fault);
    if (rc) rc = sykli__mesh_failed(m);
    if (!rc) rc = sykli__mesh_keys_load(m);
    if (!rc && sykli__mesh_in_mesh(m))
        rc = sykli_set_error(s, SYKLI_EEXIST, "%s belongs to a mesh already", state_dir);
    if (!rc) rc = sykli__mesh_core_open(m);
    if (!rc) rc = SYKLI_ENONODE;
    for (unsigned i = 0; rc == SYKLI_ENONODE && i < v.address_count; i++)
        rc = sykli__mesh_join_at(m, &v, v.addresses[i]);
    sykli_wipe(&v, sizeof v);
    sykli_fault why = m->fault;
    sykli__mesh_free(m);
    (void)why;
    if (!rc) sykli__mesh_join_tell(s, state_dir);
    return rc;
}

SYKLI_PLAIN_END
#endif // SYKLI_MESH_IMPLEMENTED
#endif // SYKLI_MESH_IMPLEMENTATION
