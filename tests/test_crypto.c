// The primitives against the vectors of their RFCs and every test of Wycheproof.
#define SYKLI_IMPLEMENTATION
#include "test.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "../sykli_mesh.h"
#include "vectors.h"

static bool is_hex(const uint8_t *data, size_t size, const char *hex)
{
    char text[1024];
    if (2 * size >= sizeof text) return false;
    sykli_hex(text, data, size);
    return !strcmp(text, hex);
}

// RFC 7748, section 5.2.
static void x25519_follows_the_rfc(test *t)
{
    static const char *const rows[2][3] = {
        { "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
          "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
          "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552" },
        { "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
          "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
          "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957" } };
    sykli_crypto crypto;
    uint8_t scalar[32], point[32], out[32];
    sykli_crypto_init(&crypto);
    for (int i = 0; i < 2; i++) {
        vectors_hex(scalar, 32, rows[i][0]);
        vectors_hex(point, 32, rows[i][1]);
        CHECK_INT(crypto.x25519(crypto.user, out, scalar, point), 0);
        CHECK(is_hex(out, 32, rows[i][2]));
    }
    memset(point, 0, 32);
    memset(scalar, 0, 32);
    point[0] = scalar[0] = 9;
    for (int i = 0; i < 1000; i++) {
        CHECK_INT(crypto.x25519(crypto.user, out, scalar, point), 0);
        memcpy(point, scalar, 32);
        memcpy(scalar, out, 32);
        if (!i)
            CHECK(is_hex(out, 32,
                         "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079"));
    }
    CHECK(is_hex(out, 32, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
    memset(point, 0, 32);
    CHECK_INT(crypto.x25519(crypto.user, out, scalar, point), SYKLI_EAUTH);
    point[0] = 1;
    CHECK_INT(crypto.x25519(crypto.user, out, scalar, point), SYKLI_EAUTH);
}

// RFC 8032, section 7.1; then each bit that may be changed is changed.
static void ed25519_follows_the_rfc(test *t)
{
    static const struct { const char *seed, *key, *message, *signature; } rows[] = {
        { "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
          "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e397"
          "01cf9b46bd25bf5f0595bbe24655141438e7a100b" },
        { "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f361"
          "3d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
        { "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
          "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
          "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f76"
          "0984dc6594a7c15e9716ed28dc027beceea1ec40a" } };
    sykli_crypto crypto;
    uint8_t seed[32], key[32], message[2], signature[64];
    sykli_crypto_init(&crypto);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = vectors_hex(message, sizeof message, rows[i].message);
        vectors_hex(seed, 32, rows[i].seed);
        crypto.sign_public(crypto.user, key, seed);
        CHECK(is_hex(key, 32, rows[i].key));
        crypto.sign(crypto.user, signature, seed, message, size);
        CHECK(is_hex(signature, 64, rows[i].signature));
        CHECK_INT(crypto.verify(crypto.user, signature, key, message, size), 0);
    }
    for (size_t bit = 0; bit < 8 * (64 + 32 + 2); bit += SYKLI__CRYPTO_INT128 ? 1 : 5) {
        uint8_t *byte = bit < 512 ? &signature[bit / 8]
            : bit < 768 ? &key[(bit - 512) / 8] : &message[(bit - 768) / 8];
        *byte ^= (uint8_t)(1 << bit % 8);
        CHECK_INT(crypto.verify(crypto.user, signature, key, message, 2), SYKLI_EAUTH);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    CHECK_INT(crypto.verify(crypto.user, signature, key, message, 1), SYKLI_EAUTH);
    CHECK_INT(crypto.verify(crypto.user, signature, key, message, 2), 0);
}

// A signature whose S is written as S + L, and keys and R that lie in the small subgroup, would
// each let one message have several signatures or one signature several messages.
static void ed25519_takes_one_form_only(test *t)
{
    static const char *const small[] = {
        "0100000000000000000000000000000000000000000000000000000000000000", // 1
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // -1, order 2
        "0000000000000000000000000000000000000000000000000000000000000000", // order 4
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1, as p + 1
        "0100000000000000000000000000000000000000000000000000000000000080" }; // 1, negative zero
    sykli_crypto crypto;
    uint8_t seed[32] = { 5 }, key[32], signature[64], zeros[64] = { 0 };
    sykli_crypto_init(&crypto);
    crypto.sign_public(crypto.user, key, seed);
    crypto.sign(crypto.user, signature, seed, "x", 1);
    uint32_t carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += signature[32 + i] + (sykli__crypto_order[i / 4] >> 8 * (i % 4) & 255u);
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    CHECK_INT(crypto.verify(crypto.user, signature, key, "x", 1), SYKLI_EAUTH);
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        uint8_t point[32];
        vectors_hex(point, 32, small[i]);
        memcpy(zeros, point, 32); // S = 0, R = A: would hold for some messages
        for (uint8_t message = 0; message < 16; message++)
            CHECK_INT(crypto.verify(crypto.user, zeros, point, &message, 1), SYKLI_EAUTH);
        CHECK_INT(crypto.verify(crypto.user, zeros, key, "x", 1), SYKLI_EAUTH);
    }
}

static void scalars_reduce_at_the_edges(test *t)
{
    static const uint8_t one[32] = { 1 }, zeros[32] = { 0 };
    uint8_t order[32], less[32], out[32];
    uint32_t wide[16];
    for (size_t i = 0; i < 8; i++) sykli__crypto_store32(order + 4 * i, sykli__crypto_order[i]);
    memcpy(less, order, 32);
    less[0]--;
    sykli__crypto_order_mul_add(out, order, one, zeros);
    CHECK(!memcmp(out, zeros, 32));
    sykli__crypto_order_mul_add(out, less, one, zeros);
    CHECK(!memcmp(out, less, 32));
    sykli__crypto_order_mul_add(out, less, one, one);
    CHECK(!memcmp(out, zeros, 32));
    sykli__crypto_order_mul_add(out, less, less, zeros); // (-1)(-1)
    CHECK(!memcmp(out, one, 32));
    sykli__crypto_order_mul_add(out, less, order, less);
    CHECK(!memcmp(out, less, 32));
    memset(wide, 0xff, sizeof wide); // 2^512 - 1
    sykli__crypto_order_reduce(out, wide);
    CHECK(is_hex(out, 32, "000f9c44e31106a447938568a71b0ed065bef517d273ecce3d9a307c1b419903"));
}

// RFC 8439, section 2.8.2.
static void aead_follows_the_rfc(test *t)
{
    static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you only"
        " one tip for the future, sunscreen would be it.";
    static const char sealed[] = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63"
        "dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee3280"
        "91b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b6116";
    sykli_crypto crypto;
    uint8_t key[32], nonce[12], extra[12], data[sizeof text], tag[16];
    size_t size = sizeof text - 1;
    sykli_crypto_init(&crypto);
    for (size_t i = 0; i < 32; i++) key[i] = (uint8_t)(0x80 + i);
    vectors_hex(nonce, 12, "070000004041424344454647");
    vectors_hex(extra, 12, "50515253c0c1c2c3c4c5c6c7");
    memcpy(data, text, size);
    crypto.seal(crypto.user, key, nonce, extra, 12, data, size, tag);
    CHECK(is_hex(data, size, sealed));
    CHECK(is_hex(tag, 16, "1ae10b594f09e26a7e902ecbd0600691"));
    for (size_t bit = 0; bit < 8 * (size + 16 + 12); bit++) {
        uint8_t *byte = bit < 8 * size ? &data[bit / 8] : bit < 8 * (size + 16)
            ? &tag[bit / 8 - size] : &extra[bit / 8 - size - 16];
        *byte ^= (uint8_t)(1 << bit % 8);
        CHECK_INT(crypto.open(crypto.user, key, nonce, extra, 12, data, size, tag), SYKLI_EAUTH);
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    CHECK(is_hex(data, size, sealed)); // a refused text is left alone
    CHECK_INT(crypto.open(crypto.user, key, nonce, extra, 12, data, size, tag), 0);
    CHECK(!memcmp(data, text, size));
}

// Short and long texts take different ways through stream and authenticator: the stream must be
// that of single blocks, and the tag that of blocks taken one at a time.
static void all_sizes_agree(test *t)
{
    static uint8_t data[2100], single[2100];
    const uint8_t key[32] = { 7, 1, 255 }, nonce[12] = { 1 };
    sykli__crypto_chacha chacha;
    sykli__crypto_poly four, one;
    uint8_t a[16], b[16];
    sykli__crypto_chacha_begin(&chacha, key, nonce);
    for (size_t at = 0; at + 64 <= sizeof single; at += 64)
        sykli__crypto_chacha_block(&chacha, single + at);
    for (size_t size = 0; size <= 2048; size += size < 1100 ? 1 : 37) {
        memset(data, 0, sizeof data);
        sykli__crypto_chacha_begin(&chacha, key, nonce);
        sykli__crypto_chacha_xor(&chacha, data, size);
        CHECK(!memcmp(data, single, size) && !data[size]);
        memset(data, size % 3 ? (int)size : 255, sizeof data); // all ones: the longest carries
        sykli__crypto_poly_begin(&four, single + size % 7);
        sykli__crypto_poly_begin(&one, single + size % 7);
        sykli__crypto_poly_add(&four, data, size);
        for (size_t at = 0; at < size; at += 16)
            sykli__crypto_poly_add(&one, data + at, size - at < 16 ? size - at : 16);
        sykli__crypto_poly_end(&four, a);
        sykli__crypto_poly_end(&one, b);
        CHECK(!memcmp(a, b, 16));
    }
    // The counter reaches its end inside a run of eight blocks.
    sykli__crypto_chacha_begin(&chacha, key, nonce);
    chacha.state[12] = UINT32_MAX - 2;
    memset(data, 0, 512);
    sykli__crypto_chacha_xor(&chacha, data, 512);
    sykli__crypto_chacha_begin(&chacha, key, nonce);
    chacha.state[12] = UINT32_MAX - 2;
    for (size_t at = 0; at < 512; at += 64) sykli__crypto_chacha_block(&chacha, single + at);
    CHECK(!memcmp(data, single, 512));
}

// The vectors that a processor without AVX2 takes, over a counter that wraps within them.
static void narrow_vectors_agree(test *t)
{
#if defined(__GNUC__) && !defined(SYKLI_PORTABLE)
    uint8_t single[512], key[32] = { 9 }, nonce[12] = { 8 };
    sykli__crypto_chacha chacha;
    sykli__crypto_chacha_begin(&chacha, key, nonce);
    chacha.state[12] = UINT32_MAX - 2;
    for (size_t at = 0; at < 512; at += 64) sykli__crypto_chacha_block(&chacha, single + at);
    chacha.state[12] = UINT32_MAX - 2;
    for (size_t at = 0; at < 512; at += 256) sykli__crypto_chacha_four(&chacha, chacha.stream + at);
    CHECK(!memcmp(chacha.stream, single, 512) && chacha.state[12] == 5);
#else
    (void)t;
#endif
}

// RFC 8439, A.3, vectors 7 to 11: the accumulator meets the edges of 2^130 - 5.
static void poly1305_wraps_rightly(test *t)
{
    static const struct { const char *key, *data, *tag; } rows[] = {
        { "0200000000000000000000000000000000000000000000000000000000000000",
          "ffffffffffffffffffffffffffffffff", "03000000000000000000000000000000" },
        { "02000000000000000000000000000000ffffffffffffffffffffffffffffffff",
          "02000000000000000000000000000000", "03000000000000000000000000000000" },
        { "0100000000000000000000000000000000000000000000000000000000000000",
          "fffffffffffffffffffffffffffffffff0ffffffffffffffffffffffffffffff"
          "11000000000000000000000000000000", "05000000000000000000000000000000" },
        { "0100000000000000000000000000000000000000000000000000000000000000",
          "fffffffffffffffffffffffffffffffffbfefefefefefefefefefefefefefefe"
          "01010101010101010101010101010101", "00000000000000000000000000000000" },
        { "0200000000000000000000000000000000000000000000000000000000000000",
          "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff" },
        { "0100000000000000040000000000000000000000000000000000000000000000",
          "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000"
          "0000000000000000000000000000000001000000000000000000000000000000",
          "14000000000000005500000000000000" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sykli__crypto_poly poly;
        uint8_t key[32], data[64], tag[16];
        size_t size = vectors_hex(data, sizeof data, rows[i].data);
        vectors_hex(key, 32, rows[i].key);
        for (int powers = 0; powers < 2; powers++) {
            sykli__crypto_poly_begin(&poly, key);
            if (powers) sykli__crypto_poly_powers(&poly);
            sykli__crypto_poly_add(&poly, data, size);
            sykli__crypto_poly_end(&poly, tag);
            CHECK(is_hex(tag, 16, rows[i].tag));
        }
    }
}

// FIPS 180-4 example; RFC 4231, cases 2 and 6; RFC 5869, cases 1 and 3.
static void hashes_follow_the_rfcs(test *t)
{
    uint8_t key[131], out[64];
    sykli__crypto_sha512 sha;
    sykli__crypto_hmac hmac;
    sykli__crypto_sha512_init(&sha);
    sykli__crypto_sha512_add(&sha, "a", 1);
    sykli__crypto_sha512_add(&sha, "bc", 2);
    sykli__crypto_sha512_end(&sha, out);
    CHECK(is_hex(out, 64, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"));
    sykli__crypto_hmac_begin(&hmac, "Jefe", 4);
    sykli__crypto_hmac_add(&hmac, "what do ya want ", 16);
    sykli__crypto_hmac_add(&hmac, "for nothing?", 12);
    sykli__crypto_hmac_end(&hmac, out);
    CHECK(is_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
    memset(key, 0xaa, sizeof key);
    sykli__crypto_hmac_begin(&hmac, key, sizeof key);
    sykli__crypto_hmac_add(&hmac, "Test Using Larger Than Block-Size Key - Hash Key First", 54);
    sykli__crypto_hmac_end(&hmac, out);
    CHECK(is_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"));
    static const uint8_t salt[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t info[] = { 240, 241, 242, 243, 244, 245, 246, 247, 248, 249 };
    memset(key, 0x0b, 22);
    sykli__crypto_hkdf(out, 42, salt, sizeof salt, key, 22, info, sizeof info);
    CHECK(is_hex(out, 42, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                          "34007208d5b887185865"));
    sykli__crypto_hkdf(out, 42, NULL, 0, key, 22, NULL, 0);
    CHECK(is_hex(out, 42, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                          "9d201395faa4b61a96c8"));
    CHECK(sykli__crypto_equal("abc", "abc", 3) && !sykli__crypto_equal("abc", "abd", 3));
    CHECK(sykli__crypto_equal("", "", 0) && !sykli__crypto_equal("\1", "\0", 1));
}

// Goes through every test of a file of Wycheproof. `run` says whether we accept it.
static void wycheproof(test *t, const char *name, uint64_t at_least,
                       bool (*run)(const vectors *v, uint32_t group, uint32_t row))
{
    vectors v;
    uint64_t done = 0;
    if (vectors_open(t, &v, name)) {
        uint32_t groups = sykli_json_get(&v.doc, 0, "testGroups");
        for (uint32_t g = sykli_json_first(&v.doc, groups); g;
             g = sykli_json_next(&v.doc, groups, g)) {
            uint32_t rows = sykli_json_get(&v.doc, g, "tests");
            for (uint32_t r = sykli_json_first(&v.doc, rows); r;
                 r = sykli_json_next(&v.doc, rows, r), done++) {
                const char *result = vectors_text(&v, r, "result");
                bool accepted = run(&v, g, r);
                if (strcmp(result, "acceptable") && accepted != !strcmp(result, "valid")) {
                    test_fail(t, name, 0, "we agree with Wycheproof");
                    printf("    test %llu, %s: %s\n",
                           (unsigned long long)vectors_u64(&v, r, "tcId"), result,
                           vectors_text(&v, r, "comment"));
                }
            }
        }
        CHECK(done == vectors_u64(&v, 0, "numberOfTests") && done >= at_least);
    }
    vectors_close(&v);
}

// "acceptable" are low-order and twist points: the value must be right where it is not refused,
// and refused exactly where it is zero.
static bool wycheproof_x25519(const vectors *v, uint32_t group, uint32_t row)
{
    sykli_crypto crypto;
    uint8_t secret[32], point[32], shared[32], out[32], zeros[32] = { 0 };
    (void)group;
    sykli_crypto_init(&crypto);
    vectors_bytes(v, row, "private", secret, 32);
    vectors_bytes(v, row, "public", point, 32);
    vectors_bytes(v, row, "shared", shared, 32);
    int rc = crypto.x25519(crypto.user, out, secret, point);
    return !memcmp(out, shared, 32) && (rc != 0) == !memcmp(out, zeros, 32);
}

static bool wycheproof_ed25519(const vectors *v, uint32_t group, uint32_t row)
{
    sykli_crypto crypto;
    uint8_t key[32], message[4096], signature[256];
    sykli_crypto_init(&crypto);
    vectors_bytes(v, sykli_json_get(&v->doc, group, "publicKey"), "pk", key, 32);
    size_t size = vectors_bytes(v, row, "msg", message, sizeof message);
    return vectors_bytes(v, row, "sig", signature, sizeof signature) == 64
        && !crypto.verify(crypto.user, signature, key, message, size);
}

static bool wycheproof_aead(const vectors *v, uint32_t group, uint32_t row)
{
    static uint8_t text[8192], sealed[8192], extra[8192], work[8192];
    sykli_crypto crypto;
    uint8_t key[32], nonce[64], tag[16], made[16];
    (void)group;
    sykli_crypto_init(&crypto);
    if (vectors_bytes(v, row, "key", key, 32) != 32) return false;
    if (vectors_bytes(v, row, "iv", nonce, sizeof nonce) != 12) return false;
    if (vectors_bytes(v, row, "tag", tag, 16) != 16) return false;
    size_t size = vectors_bytes(v, row, "msg", text, sizeof text);
    size_t sealed_size = vectors_bytes(v, row, "ct", sealed, sizeof sealed);
    size_t extra_size = vectors_bytes(v, row, "aad", extra, sizeof extra);
    memcpy(work, text, size);
    crypto.seal(crypto.user, key, nonce, extra, extra_size, work, size, made);
    bool same = size == sealed_size && !memcmp(work, sealed, size) && !memcmp(made, tag, 16);
    memcpy(work, sealed, sealed_size);
    bool opened = !crypto.open(crypto.user, key, nonce, extra, extra_size, work, sealed_size, tag);
    return opened && same && !memcmp(work, text, size);
}

static bool wycheproof_hmac(const vectors *v, uint32_t group, uint32_t row)
{
    uint8_t key[256], message[1024], tag[32], out[32];
    sykli__crypto_hmac h;
    size_t tag_size = (size_t)vectors_u64(v, group, "tagSize") / 8;
    sykli__crypto_hmac_begin(&h, key, vectors_bytes(v, row, "key", key, sizeof key));
    sykli__crypto_hmac_add(&h, message, vectors_bytes(v, row, "msg", message, sizeof message));
    sykli__crypto_hmac_end(&h, out);
    return vectors_bytes(v, row, "tag", tag, sizeof tag) == tag_size
        && sykli__crypto_equal(out, tag, tag_size);
}

static bool wycheproof_hkdf(const vectors *v, uint32_t group, uint32_t row)
{
    static uint8_t right[SYKLI__CRYPTO_HKDF_MAX], out[SYKLI__CRYPTO_HKDF_MAX];
    uint8_t secret[256], salt[256], info[1024];
    size_t size = (size_t)vectors_u64(v, row, "size");
    (void)group;
    if (size > SYKLI__CRYPTO_HKDF_MAX) return false;
    size_t salt_size = vectors_bytes(v, row, "salt", salt, sizeof salt);
    size_t secret_size = vectors_bytes(v, row, "ikm", secret, sizeof secret);
    size_t info_size = vectors_bytes(v, row, "info", info, sizeof info);
    sykli__crypto_hkdf(out, size, salt, salt_size, secret, secret_size, info, info_size);
    return vectors_bytes(v, row, "okm", right, sizeof right) == size && !memcmp(out, right, size);
}

static void x25519_satisfies_wycheproof(test *t)
{
    wycheproof(t, "wycheproof_x25519.json", 518, wycheproof_x25519);
}
static void ed25519_satisfies_wycheproof(test *t)
{
    wycheproof(t, "wycheproof_ed25519.json", 151, wycheproof_ed25519);
}
static void aead_satisfies_wycheproof(test *t)
{
    wycheproof(t, "wycheproof_chacha20_poly1305.json", 325, wycheproof_aead);
}
static void hmac_satisfies_wycheproof(test *t)
{
    wycheproof(t, "wycheproof_hmac_sha256.json", 174, wycheproof_hmac);
}
static void hkdf_satisfies_wycheproof(test *t)
{
    wycheproof(t, "wycheproof_hkdf_sha256.json", 86, wycheproof_hkdf);
}

int main(int argc, char **argv)
{
    TEST_STORY(x25519_follows_the_rfc);
    TEST_STORY(ed25519_follows_the_rfc);
    TEST_STORY(ed25519_takes_one_form_only);
    TEST_STORY(scalars_reduce_at_the_edges);
    TEST_STORY(aead_follows_the_rfc);
    TEST_STORY(all_sizes_agree);
    TEST_STORY(narrow_vectors_agree);
    TEST_STORY(poly1305_wraps_rightly);
    TEST_STORY(hashes_follow_the_rfcs);
    TEST_STORY(x25519_satisfies_wycheproof);
    TEST_STORY(ed25519_satisfies_wycheproof);
    TEST_STORY(aead_satisfies_wycheproof);
    TEST_STORY(hmac_satisfies_wycheproof);
    TEST_STORY(hkdf_satisfies_wycheproof);
    return test_end(argc, argv);
}
