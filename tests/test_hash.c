// Stories of >>hash: the published vectors, and any way of cutting the input.
#define SYKLI_IMPLEMENTATION
#include "test.h"

static const char *hex(char out[65], const uint8_t digest[32])
{
    sykli_hex(out, digest, 32);
    return out;
}

static const char *sha256_hex(char out[65], const void *data, size_t size)
{
    uint8_t digest[32];
    sykli_sha256_of(data, size, digest);
    return hex(out, digest);
}

static const char *tree_hex(char out[65], const void *data, size_t size)
{
    sykli_digest digest;
    sykli_tree_of(data, size, &digest);
    return hex(out, digest.bytes);
}

// 0, 1, ... 250, 0, 1, ...: the input of the vectors.
static uint8_t *sequence(size_t size)
{
    uint8_t *p = (uint8_t *)malloc(size + 1);
    for (size_t i = 0; p && i < size; i++) p[i] = (uint8_t)(i % 251);
    return p;
}

// FIPS 180-4 examples (NIST, "Cryptographic Standards and Guidelines: Example Values").
static void sha256_gives_the_published_digests(test *t)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    char out[65];
    CHECK_TEXT(sha256_hex(out, "", 0),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK_TEXT(sha256_hex(out, "abc", 3),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK_TEXT(sha256_hex(out, two_blocks, 56),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = (char *)malloc(1000000);
    if (!million) return;
    memset(million, 'a', 1000000);
    CHECK_TEXT(sha256_hex(out, million, 1000000),
               "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void the_processor_and_plain_c_agree(test *t)
{
    uint8_t *data = sequence(64 * 40);
    if (!data) return;
    for (size_t blocks = 0; blocks <= 40; blocks++) {
        uint32_t plain[8], other[8];
        memcpy(plain, sykli__hash_start, sizeof plain);
        memcpy(other, sykli__hash_start, sizeof other);
        sykli__hash_plain(plain, data, blocks);
        sykli__hash_blocks(sykli__hash_fast(), other, data, blocks);
        CHECK(!memcmp(plain, other, sizeof plain));
    }
    free(data);
}

// The compiler's runtime asks the same questions in more code than the library wants to carry.
static void the_processor_is_asked_rightly(test *t)
{
#if !defined(SYKLI_PORTABLE) && defined(__linux__) && defined(__x86_64__) && !defined(__clang__)   \
    && __GNUC__ >= 11
    bool sha = __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
    CHECK(!(sykli_processor() & SYKLI_PROCESSOR_SHA) == !sha);
    CHECK(!(sykli_processor() & SYKLI_PROCESSOR_AVX2) == !__builtin_cpu_supports("avx2"));
#endif
    CHECK(sykli_processor() == sykli_processor());
}

static void sha256_does_not_see_the_cuts(test *t)
{
    uint8_t *data = sequence(300), whole[32], pieces[32];
    if (!data) return;
    for (size_t size = 0; size <= 300; size++) {
        sykli_sha256_of(data, size, whole);
        for (size_t step = 1; step <= 130; step += 43) {
            sykli_sha256 h;
            sykli_sha256_init(&h);
            for (size_t at = 0; at < size; at += step)
                sykli_sha256_add(&h, data + at, size - at < step ? size - at : step);
            sykli_sha256_add(&h, NULL, 0);
            sykli_sha256_end(&h, pieces);
            CHECK(!memcmp(whole, pieces, sizeof whole));
        }
    }
    free(data);
}

static void a_small_tree_is_plain_sha256(test *t)
{
    char a[65], b[65];
    uint8_t *data = sequence(1024);
    if (!data) return;
    for (size_t size = 0; size <= 1024; size += size < 8 || size > 1020 ? 1 : 53)
        CHECK_TEXT(tree_hex(a, data, size), sha256_hex(b, data, size));
    free(data);
}

// The definition itself, top down: the left part is the largest power of two below the size.
static void tree_by_definition(const uint8_t *data, size_t size, uint8_t out[32])
{
    uint8_t pair[64];
    uint32_t state[8];
    size_t left = 1024;
    if (size <= 1024) {
        sykli_sha256_of(data, size, out);
        return;
    }
    while (left * 2 < size) left *= 2;
    tree_by_definition(data, left, pair);
    tree_by_definition(data + left, size - left, pair + 32);
    memcpy(state, sykli__hash_join_start, sizeof state);
    sykli__hash_plain(state, pair, 1);
    for (int i = 0; i < 8; i++) state[i] -= sykli__hash_join_start[i];
    sykli__hash_store(out, state);
}

static void a_tree_does_not_see_the_cuts(test *t)
{
    static const size_t steps[] = { 1, 7, 1000, 1023, 1024, 1025, 2048, 5000, 70000 };
    const size_t most = 40 * 1024;
    uint8_t *data = sequence(most), expected[32];
    if (!data) return;
    for (size_t size = 1023; size <= most; size += size % 1024 == 1 ? 1022 : 1) {
        tree_by_definition(data, size, expected);
        size_t step = steps[size / 1024 % (sizeof steps / sizeof *steps)];
        sykli_tree tree;
        sykli_digest got;
        sykli_tree_init(&tree);
        for (size_t at = 0; at < size; at += step)
            sykli_tree_add(&tree, data + at, size - at < step ? size - at : step);
        sykli_tree_end(&tree, &got);
        CHECK(!memcmp(expected, got.bytes, sizeof expected));
    }
    free(data);
}

static void pieces_hashed_apart_make_the_same_tree(test *t)
{
    const size_t most = 33 * 1024;
    uint8_t *data = sequence(most);
    if (!data) return;
    for (size_t piece = 1024; piece <= 16384; piece *= 2)
        for (size_t size = 1; size <= most; size += size % 1024 == 1 ? 1022 : 1) {
            sykli_tree tree;
            sykli_digest part, got, expected;
            sykli_tree_init(&tree);
            for (size_t at = 0; at < size; at += piece) {
                sykli_tree_of(data + at, size - at < piece ? size - at : piece, &part);
                sykli__hash_subtree(&tree, &part, piece);
            }
            sykli_tree_end(&tree, &got);
            sykli_tree_of(data, size, &expected);
            CHECK(!memcmp(&got, &expected, sizeof got));
        }
    free(data);
}

// The vectors of bazelbuild/remote-apis, one "size <tab> digest" a line, read where they are.
static void the_tree_gives_the_published_digests(test *t)
{
    char path[1024], line[256], out[65];
    const char *shared = getenv("SYKLI_SHARED");
    snprintf(path, sizeof path, "%s/vectors/sha256tree.txt", shared ? shared : "../shared");
    FILE *file = fopen(path, "r");
    if (!file) {
        printf("skipped: %s is not there; SYKLI_SHARED names the folder\n", path);
        return;
    }
    int count = 0;
    while (fgets(line, sizeof line, file)) {
        char *end;
        unsigned long size = strtoul(line, &end, 10);
        if (end == line || size > 1u << 24) continue;
        uint8_t *data = sequence(size);
        end += strspn(end, " \t");
        end[strcspn(end, "\r\n")] = 0;
        if (data) CHECK_TEXT(tree_hex(out, data, size), end);
        free(data);
        count++;
    }
    fclose(file);
    CHECK(count > 0);
}

int main(int argc, char **argv)
{
    TEST_STORY(sha256_gives_the_published_digests);
    TEST_STORY(the_processor_and_plain_c_agree);
    TEST_STORY(the_processor_is_asked_rightly);
    TEST_STORY(sha256_does_not_see_the_cuts);
    TEST_STORY(a_small_tree_is_plain_sha256);
    TEST_STORY(a_tree_does_not_see_the_cuts);
    TEST_STORY(pieces_hashed_apart_make_the_same_tree);
    TEST_STORY(the_tree_gives_the_published_digests);
    return test_end(argc, argv);
}
