// Handshakes and ciphers against the vectors of cacophony and snow; and that nothing that was
// changed, cut or repeated gets through.
#define SYKLI_IMPLEMENTATION
#define SYKLI_SIM 1
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include "vectors.h"

static const uint8_t psk[1][32] = { { 42, 1, 2, 3 } };
static const uint8_t keys[4][32] = { { 1 }, { 2 }, { 3 }, { 4 } };

// Both ends of a handshake and a place for the message between them.
typedef struct pair {
    sykli_crypto crypto;
    sykli__noise ends[2];
    sykli__noise_cipher send[2], receive[2];
    sykli_buf wire, payload;
} pair;

static int pair_begin(pair *p, sykli_mem *mem, const char *pattern, const char *prologue)
{
    sykli_buf_init(&p->wire, mem, SYKLI_TAG_wire);
    sykli_buf_init(&p->payload, mem, SYKLI_TAG_wire);
    for (int i = 0; i < 2; i++) {
        sykli__noise_desc desc = { pattern, i == 0, prologue, strlen(prologue), keys[i],
                                   keys[2 + i], psk, strstr(pattern, "psk") ? 1 : 0 };
        int rc = sykli__noise_begin(&p->ends[i], &p->crypto, &desc);
        if (rc) return rc;
    }
    return 0;
}

static void pair_end(pair *p)
{
    sykli_buf_free(&p->wire);
    sykli_buf_free(&p->payload);
}

// Writes message `i` at its writer, with a payload that tells which it is.
static int pair_write(pair *p, int i)
{
    const char text[2] = { 'm', (char)('0' + i) };
    sykli_buf_reset(&p->wire);
    return sykli__noise_write(&p->ends[i % 2], text, 2, &p->wire);
}

static int pair_read(pair *p, int i)
{
    sykli_buf_reset(&p->payload);
    return sykli__noise_read(&p->ends[(i + 1) % 2], p->wire.data, p->wire.size, &p->payload);
}

static void xxpsk0_gives_each_side_the_other(test *t)
{
    pair p;
    uint8_t key[32], text[5], tag[16];
    static const size_t sizes[] = { 32 + 2 + 16, 32 + 48 + 2 + 16, 48 + 2 + 16 };
    for (int fake = 0; fake < 2; fake++) {
        if (fake) sykli_crypto_fake(&p.crypto);
        else sykli_crypto_init(&p.crypto);
        TRY(pair_begin(&p, &t->mem, "XXpsk0", "hello"));
        for (int i = 0; i < 3; i++) {
            CHECK(sykli__noise_writes(&p.ends[i % 2]) && sykli__noise_reads(&p.ends[(i + 1) % 2]));
            CHECK_INT(sykli__noise_write(&p.ends[(i + 1) % 2], "", 0, &p.wire), SYKLI_EINVAL);
            CHECK_INT(sykli__noise_read(&p.ends[i % 2], "", 0, &p.wire), SYKLI_EINVAL);
            CHECK_INT(sykli__noise_split(&p.ends[i % 2], &p.send[0], &p.receive[0]), SYKLI_EINVAL);
            TRY(pair_write(&p, i));
            CHECK_INT(p.wire.size, sizes[i]);
            TRY(pair_read(&p, i));
            CHECK(p.payload.size == 2 && p.payload.data[1] == '0' + i);
        }
        CHECK(!memcmp(p.ends[0].hash, p.ends[1].hash, 32));
        for (int i = 0; i < 2; i++) {
            static const uint8_t base[32] = { 9 }, zeros[32] = { 0 };
            p.crypto.x25519(NULL, key, keys[i], base);
            CHECK(!memcmp(p.ends[1 - i].remote_static, key, 32));
            CHECK_INT(sykli__noise_split(&p.ends[i], &p.send[i], &p.receive[i]), 0);
            CHECK_INT(sykli__noise_split(&p.ends[i], &p.send[i], &p.receive[i]), SYKLI_EINVAL);
            CHECK(!memcmp(p.ends[i].static_secret, zeros, 32));
            CHECK(!memcmp(p.ends[i].psk_secrets, zeros, 32));
        }
        CHECK(memcmp(p.send[0].key_secret, p.send[1].key_secret, 32));
        for (int i = 0; i < 4; i++) { // both directions, each twice
            memcpy(text, "bytes", 5);
            CHECK_INT(sykli__noise_seal(&p.send[i % 2], "x", 1, text, 5, tag), 0);
            CHECK_INT(sykli__noise_open(&p.receive[i % 2], "x", 1, text, 5, tag), SYKLI_EAUTH);
            CHECK_INT(sykli__noise_open(&p.receive[1 - i % 2], "y", 1, text, 5, tag), SYKLI_EAUTH);
            CHECK_INT(sykli__noise_open(&p.receive[1 - i % 2], "x", 1, text, 5, tag), 0);
            CHECK(!memcmp(text, "bytes", 5));
        }
        pair_end(&p);
    }
    return;
out:
    pair_end(&p);
}

// Whether message `at` of a fresh handshake is refused after `spoil`, and whether the end that
// refused it is dead from then on.
static void one_spoilt(test *t, pair *p, int at, size_t bit, size_t cut)
{
    sykli_mem *mem = &t->mem;
    if (t->injected) return; // once is enough
    TRY(pair_begin(p, mem, "XXpsk0", "hello"));
    for (int i = 0; i <= at; i++) {
        TRY(pair_write(p, i));
        if (i < at) TRY(pair_read(p, i));
    }
    if (cut) p->wire.size -= cut;
    else p->wire.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    int rc = pair_read(p, at);
    if (rc == SYKLI_ENOMEM) goto out;
    CHECK_INT(rc, SYKLI_EAUTH);
    CHECK(!p->payload.size && p->ends[(at + 1) % 2].failed);
    if (!cut) p->wire.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    else p->wire.size += cut;
    CHECK_INT(pair_read(p, at), SYKLI_EINVAL);
    CHECK_INT(pair_write(p, at + 1), SYKLI_EINVAL);
out:
    pair_end(p);
}

// The fake crypto keeps this quick; its x25519 lets no flipped key pass unnoticed either. The real
// one is asked for every eleventh bit: the top bit of a key is no part of it, but of the hash.
static void every_changed_bit_is_noticed(test *t)
{
    static const size_t sizes[] = { 50, 98, 66 };
    pair p;
    for (int at = 0; at < 3; at++) {
        sykli_crypto_fake(&p.crypto);
        for (size_t bit = 0; bit < 8 * sizes[at]; bit++) one_spoilt(t, &p, at, bit, 0);
        for (size_t cut = 1; cut <= sizes[at]; cut++) one_spoilt(t, &p, at, 0, cut);
        sykli_crypto_init(&p.crypto);
        for (size_t bit = 7; bit < 8 * sizes[at]; bit += 31) one_spoilt(t, &p, at, bit, 0);
        one_spoilt(t, &p, at, 255, 0);
    }
}

static void both_sides_must_agree(test *t)
{
    pair p, q;
    sykli_crypto_init(&p.crypto);
    sykli_crypto_init(&q.crypto);
    TRY(pair_begin(&p, &t->mem, "XXpsk0", "hello"));
    TRY(pair_begin(&q, &t->mem, "XXpsk0", "hallo")); // another prologue
    TRY(pair_write(&p, 0));
    int rc = sykli__noise_read(&q.ends[1], p.wire.data, p.wire.size, &q.payload);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM);
    pair_end(&q);
    TRY(pair_begin(&q, &t->mem, "XXpsk0", "hello")); // another psk
    q.ends[1].psk_secrets[0][31] ^= 1;
    rc = sykli__noise_read(&q.ends[1], p.wire.data, p.wire.size, &q.payload);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM);
    pair_end(&q);
    TRY(pair_begin(&q, &t->mem, "XX", "hello")); // another pattern
    rc = sykli__noise_read(&q.ends[1], p.wire.data, p.wire.size, &q.payload);
    CHECK(rc >= 0 || rc == SYKLI_ENOMEM); // XX opens with clear text ...
    if (rc == SYKLI_ENOMEM) goto out;
    sykli_buf_reset(&q.wire);
    TRY(sykli__noise_write(&q.ends[1], "", 0, &q.wire));
    rc = sykli__noise_read(&p.ends[0], q.wire.data, q.wire.size, &p.payload);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM); // ... but goes no further
out:
    pair_end(&p);
    pair_end(&q);
}

static int no_curve(void *user, uint8_t out[32], const uint8_t secret[32], const uint8_t point[32])
{
    (void)out, (void)secret, (void)point;
    ++*(int *)user;
    return SYKLI_EAUTH;
}

static void strangers_cost_no_curve(test *t)
{
    pair p;
    uint8_t noise[64];
    int curves = 0;
    sykli_crypto_init(&p.crypto);
    p.crypto.x25519 = no_curve;
    p.crypto.user = &curves;
    memset(noise, 7, sizeof noise);
    TRY(pair_begin(&p, &t->mem, "XXpsk0", "hello"));
    TRY(sykli_buf_add(&p.wire, noise, sizeof noise));
    int rc = pair_read(&p, 0);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM);
    CHECK_INT(curves, 0);
out:
    pair_end(&p);
}

// A message of an earlier handshake, of the other direction, or a point of low order.
static void old_messages_are_of_no_use(test *t)
{
    pair p;
    sykli_buf old;
    sykli_buf_init(&old, &t->mem, SYKLI_TAG_wire);
    sykli_crypto_init(&p.crypto);
    TRY(pair_begin(&p, &t->mem, "XXpsk0", "hello"));
    for (int i = 0; i < 2; i++) {
        TRY(pair_write(&p, i));
        TRY(pair_read(&p, i));
    }
    TRY(pair_write(&p, 2));
    TRY(sykli_buf_add(&old, p.wire.data, p.wire.size));
    pair_end(&p);
    TRY(pair_begin(&p, &t->mem, "XXpsk0", "hello"));
    p.ends[1].ephemeral_secret[5] ^= 1; // the responder is new, the initiator's bytes are old
    TRY(pair_write(&p, 0));
    TRY(pair_read(&p, 0));
    TRY(pair_write(&p, 1));
    int rc = sykli__noise_read(&p.ends[1], old.data, old.size, &p.payload);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM);
    pair_end(&p);
    TRY(pair_begin(&p, &t->mem, "XX", "hello"));
    TRY(sykli_buf_add(&p.wire, (const uint8_t[32]){ 1 }, 32));
    TRY(pair_read(&p, 0));
    rc = sykli__noise_write(&p.ends[1], "", 0, &p.wire);
    CHECK(rc == SYKLI_EAUTH || rc == SYKLI_ENOMEM);
out:
    sykli_buf_free(&old);
    pair_end(&p);
}

static void patterns_must_fit_their_keys(test *t)
{
    static const char *const wrong[] = { "", "X", "IK", "NNpsk", "NNpsk4", "NNpsk0+", "NN+psk0",
                                         "NNpsk0psk1", "NNpsk00", "XXfallback", "NN ",
                                         "NNpsk3", "NNpsk1+psk0", "NNpsk1+psk1" };
    sykli_crypto crypto;
    sykli__noise n;
    sykli_crypto_init(&crypto);
    sykli__noise_desc desc = { "NN", true, "", 0, NULL, keys[0], psk, 0 };
    CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        for (desc.psk_count = 0; desc.psk_count < 3; desc.psk_count++) {
            desc.pattern = wrong[i];
            CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), SYKLI_EINVAL);
        }
    desc.pattern = "NNpsk0";
    desc.psk_count = 0;
    CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), SYKLI_EINVAL);
    desc.psk_count = 1;
    CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), 0);
    desc.pattern = "XXpsk0"; // no static key
    CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), SYKLI_EINVAL);
    desc.pattern = "NNpsk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0+psk0";
    CHECK_INT(sykli__noise_begin(&n, &crypto, &desc), SYKLI_EINVAL);
}

static void ciphers_run_out_and_turn_over(test *t)
{
    sykli_crypto crypto;
    sykli__noise_cipher a = { 0 }, b = { 0 };
    uint8_t data[3] = "abc", tag[16];
    sykli_crypto_init(&crypto);
    CHECK_INT(sykli__noise_seal(&a, "", 0, data, 3, tag), SYKLI_ELIMIT); // no key yet
    sykli__noise_cipher_set(&a, &crypto, keys[0]);
    sykli__noise_cipher_set(&b, &crypto, keys[0]);
    a.counter = b.counter = UINT64_MAX - 1;
    CHECK_INT(sykli__noise_seal(&a, "", 0, data, 3, tag), 0);
    CHECK_INT(sykli__noise_open(&b, "", 0, data, 3, tag), 0);
    CHECK(!memcmp(data, "abc", 3));
    CHECK_INT(sykli__noise_seal(&a, "", 0, data, 3, tag), SYKLI_ELIMIT);
    CHECK_INT(sykli__noise_open(&b, "", 0, data, 3, tag), SYKLI_ELIMIT);
    CHECK(!memcmp(data, "abc", 3));
    a.counter = b.counter = 7;
    sykli__noise_rekey(&a);
    CHECK_INT(sykli__noise_seal(&a, "", 0, data, 3, tag), 0);
    CHECK_INT(sykli__noise_open(&b, "", 0, data, 3, tag), SYKLI_EAUTH);
    sykli__noise_rekey(&b);
    CHECK_INT(sykli__noise_open(&b, "", 0, data, 3, tag), 0);
    CHECK(memcmp(a.key_secret, keys[0], 32) && !memcmp(data, "abc", 3));
}

static void large_payloads_are_bounded(test *t)
{
    static uint8_t large[SYKLI__NOISE_MESSAGE_MAX + 1];
    pair p;
    sykli_crypto_init(&p.crypto);
    TRY(pair_begin(&p, &t->mem, "XXpsk0", ""));
    CHECK_INT(sykli__noise_write(&p.ends[0], large, sizeof large - 96, &p.wire), SYKLI_ELIMIT);
    CHECK_INT(sykli__noise_read(&p.ends[1], large, sizeof large, &p.payload), SYKLI_ELIMIT);
    sykli_buf_reset(&p.wire);
    TRY(sykli__noise_write(&p.ends[0], large, sizeof large - 97, &p.wire));
    TRY(pair_read(&p, 0));
    CHECK_INT(p.payload.size, sizeof large - 97);
out:
    pair_end(&p);
}

// One entry of the vector file: the handshake in both roles, then transport messages in turn.
static void one_vector(test *t, const vectors *v, uint32_t row)
{
    static uint8_t psks[2][4][32], prologue[2][64], payload[256], right[512];
    pair p;
    const char *name = vectors_text(v, row, "protocol_name"), *end = strstr(name, "_25519_");
    static const char *const roles[2] = { "init", "resp" };
    char pattern[64] = "", key[32];
    size_t count = end ? (size_t)(end - name - 6) : 0;
    sykli_buf_init(&p.wire, &t->mem, SYKLI_TAG_wire);
    sykli_buf_init(&p.payload, &t->mem, SYKLI_TAG_wire);
    sykli_crypto_init(&p.crypto);
    if (count < sizeof pattern) memcpy(pattern, name + 6, count);
    for (int i = 0; i < 2; i++) {
        uint8_t fixed[32], ephemeral[32];
        sykli__noise_desc desc = { pattern, i == 0, prologue[i], 0, NULL, ephemeral, NULL, 0 };
        snprintf(key, sizeof key, "%s_prologue", roles[i]);
        desc.prologue_size = vectors_bytes(v, row, key, prologue[i], sizeof prologue[i]);
        snprintf(key, sizeof key, "%s_static", roles[i]);
        if (vectors_bytes(v, row, key, fixed, 32)) desc.static_secret = fixed;
        snprintf(key, sizeof key, "%s_ephemeral", roles[i]);
        CHECK_INT(vectors_bytes(v, row, key, ephemeral, 32), 32);
        snprintf(key, sizeof key, "%s_psks", roles[i]);
        uint32_t list = sykli_json_get(&v->doc, row, key);
        for (uint32_t at = list ? sykli_json_first(&v->doc, list) : 0; at && desc.psk_count < 4;
             at = sykli_json_next(&v->doc, list, at))
            vectors_hex(psks[i][desc.psk_count++], 32, sykli_json_text(&v->doc, at));
        desc.psk_secrets = (const uint8_t(*)[32])psks[i];
        CHECK_INT(sykli__noise_begin(&p.ends[i], &p.crypto, &desc), 0);
    }
    uint32_t list = sykli_json_get(&v->doc, row, "messages");
    int i = 0, sent = 0;
    for (uint32_t at = sykli_json_first(&v->doc, list); at && !t->failed;
         at = sykli_json_next(&v->doc, list, at), i++) {
        size_t size = vectors_bytes(v, at, "payload", payload, sizeof payload);
        size_t wanted = vectors_bytes(v, at, "ciphertext", right, sizeof right);
        int from = i % 2, to = 1 - from;
        sykli_buf_reset(&p.wire);
        sykli_buf_reset(&p.payload);
        if (!sykli__noise_ended(&p.ends[0])) {
            TRY(sykli__noise_write(&p.ends[from], payload, size, &p.wire));
            CHECK(p.wire.size == wanted && !memcmp(p.wire.data, right, wanted));
            TRY(pair_read(&p, i));
            CHECK(p.payload.size == size && !memcmp(p.payload.data, payload, size));
            continue;
        }
        for (int e = 0; e < 2 && !sent; e++)
            CHECK_INT(sykli__noise_split(&p.ends[e], &p.send[e], &p.receive[e]), 0);
        sent++;
        uint8_t *room = sykli_buf_grow(&p.wire, size + 16);
        TRY_NOT_NULL(room);
        memcpy(room, payload, size);
        CHECK_INT(sykli__noise_seal(&p.send[from], "", 0, room, size, room + size), 0);
        CHECK(size + 16 == wanted && !memcmp(room, right, wanted));
        CHECK_INT(sykli__noise_open(&p.receive[to], "", 0, room, size, room + size), 0);
        CHECK(!memcmp(room, payload, size));
    }
    CHECK(sent > 0);
    if (vectors_bytes(v, row, "handshake_hash", right, 32))
        CHECK(!memcmp(p.ends[0].hash, right, 32) && !memcmp(p.ends[1].hash, right, 32));
out:
    if (t->failed) printf("    in %s\n", name);
    pair_end(&p);
}

static void published_vectors_are_met(test *t)
{
    vectors v;
    int done = 0;
    if (vectors_open(t, &v, "noise_25519_chachapoly_sha256.json")) {
        uint32_t list = sykli_json_get(&v.doc, 0, "vectors");
        for (uint32_t row = sykli_json_first(&v.doc, list); row && !t->failed;
             row = sykli_json_next(&v.doc, list, row), done++)
            one_vector(t, &v, row);
        CHECK(done >= 12 || t->injected);
    }
    vectors_close(&v);
}

int main(int argc, char **argv)
{
    TEST_STORY(xxpsk0_gives_each_side_the_other);
    TEST_SOME(6, every_changed_bit_is_noticed);
    TEST_STORY(both_sides_must_agree);
    TEST_STORY(strangers_cost_no_curve);
    TEST_STORY(old_messages_are_of_no_use);
    TEST_STORY(patterns_must_fit_their_keys);
    TEST_STORY(ciphers_run_out_and_turn_over);
    TEST_STORY(large_payloads_are_bounded);
    TEST_STORY(published_vectors_are_met);
    return test_end(argc, argv);
}
