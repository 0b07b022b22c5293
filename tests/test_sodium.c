// The primitives against libsodium on random and on awkward inputs.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include <sodium.h>

// Bytes that are random, but often all zero or all one, where carries run long. Seeded, so that a
// failure can be repeated.
static void awkward(sykli__crypto_chacha *dice, uint8_t *out, size_t size)
{
    uint8_t how[64];
    memset(out, 0, size);
    sykli__crypto_chacha_xor(dice, out, size);
    memset(how, 0, sizeof how);
    sykli__crypto_chacha_xor(dice, how, sizeof how);
    for (size_t i = 0; how[0] & 1 && i < size; i++)
        if (how[1 + i % 62] & 3) out[i] = how[63] & 1 ? 0xff : 0;
}

static void dice_begin(sykli__crypto_chacha *dice, uint8_t seed)
{
    const uint8_t key[32] = { seed }, nonce[12] = { 0 };
    sykli__crypto_chacha_begin(dice, key, nonce);
}

static void x25519_agrees(test *t)
{
    sykli_crypto crypto;
    sykli__crypto_chacha dice;
    uint8_t secret[32], point[32], ours[32], theirs[32];
    sykli_crypto_init(&crypto);
    dice_begin(&dice, 1);
    for (int i = 0; i < 1000; i++) {
        awkward(&dice, secret, 32);
        awkward(&dice, point, 32);
        int rc = crypto.x25519(crypto.user, ours, secret, point);
        CHECK_INT(rc != 0, crypto_scalarmult_curve25519(theirs, secret, point) != 0);
        if (!rc) CHECK(!memcmp(ours, theirs, 32));
    }
}

static void ed25519_agrees(test *t)
{
    sykli_crypto crypto;
    sykli__crypto_chacha dice;
    uint8_t seed[32], key[32], secret[64], their_key[32], message[300], ours[64], theirs[64];
    sykli_crypto_init(&crypto);
    dice_begin(&dice, 2);
    for (size_t i = 0; i < 500; i++) {
        size_t size = i % sizeof message;
        awkward(&dice, seed, 32);
        awkward(&dice, message, sizeof message);
        crypto.sign_public(crypto.user, key, seed);
        crypto_sign_seed_keypair(their_key, secret, seed);
        CHECK(!memcmp(key, their_key, 32));
        crypto.sign(crypto.user, ours, seed, message, size);
        crypto_sign_detached(theirs, NULL, message, size, secret);
        CHECK(!memcmp(ours, theirs, 64));
        CHECK_INT(crypto.verify(crypto.user, ours, key, message, size), 0);
        awkward(&dice, ours + 32 * (i & 1), 32);
        if (i % 3 == 0) awkward(&dice, key, 32);
        CHECK_INT(crypto.verify(crypto.user, ours, key, message, size) != 0,
                  crypto_sign_verify_detached(ours, message, size, key) != 0);
    }
}

static void aead_agrees(test *t)
{
    static uint8_t text[20000], ours[20000], theirs[20000];
    sykli_crypto crypto;
    sykli__crypto_chacha dice;
    uint8_t key[32], nonce[12], extra[100], a[16], b[16];
    sykli_crypto_init(&crypto);
    dice_begin(&dice, 3);
    for (size_t i = 0; i < 1500; i++) {
        size_t size = i < 1200 ? i : sizeof text - 13 * (i - 1200), extra_size = i * 7 % 100;
        awkward(&dice, key, 32);
        awkward(&dice, nonce, 12);
        awkward(&dice, extra, sizeof extra);
        awkward(&dice, text, size);
        memcpy(ours, text, size);
        crypto.seal(crypto.user, key, nonce, extra, extra_size, ours, size, a);
        crypto_aead_chacha20poly1305_ietf_encrypt_detached(theirs, b, NULL, text, size, extra,
                                                           extra_size, NULL, nonce, key);
        CHECK(!memcmp(ours, theirs, size) && !memcmp(a, b, 16));
        CHECK_INT(crypto.open(crypto.user, key, nonce, extra, extra_size, ours, size, a), 0);
        CHECK(!memcmp(ours, text, size));
    }
}

static void hashes_agree(test *t)
{
    static uint8_t text[1000];
    sykli__crypto_chacha dice;
    uint8_t key[200], ours[64], theirs[64];
    dice_begin(&dice, 4);
    for (size_t size = 0; size < sizeof text; size++) {
        size_t key_size = size % sizeof key;
        awkward(&dice, text, size);
        awkward(&dice, key, sizeof key);
        sykli__crypto_sha512 sha;
        sykli__crypto_sha512_init(&sha);
        sykli__crypto_sha512_add(&sha, text, size / 3);
        sykli__crypto_sha512_add(&sha, text + size / 3, size - size / 3);
        sykli__crypto_sha512_end(&sha, ours);
        crypto_hash_sha512(theirs, text, size);
        CHECK(!memcmp(ours, theirs, 64));
        sykli__crypto_hmac hmac;
        crypto_auth_hmacsha256_state state;
        sykli__crypto_hmac_begin(&hmac, key, key_size);
        sykli__crypto_hmac_add(&hmac, text, size);
        sykli__crypto_hmac_end(&hmac, ours);
        crypto_auth_hmacsha256_init(&state, key, key_size);
        crypto_auth_hmacsha256_update(&state, text, size);
        crypto_auth_hmacsha256_final(&state, theirs);
        CHECK(!memcmp(ours, theirs, 32));
    }
}

int main(int argc, char **argv)
{
    if (sodium_init() < 0) return 1;
    TEST_STORY(x25519_agrees);
    TEST_STORY(ed25519_agrees);
    TEST_STORY(aead_agrees);
    TEST_STORY(hashes_agree);
    return test_end(argc, argv);
}
