#!/bin/sh
# No branch and no address may depend on a secret: keys are marked as undefined and valgrind says
# where they are asked for (the way of Langley's ctgrind). Both sizes of limbs, as compiled for use.
set -u
CC=${CC-cc}
work=${B-build}/test/timing
mkdir -p "$work"
cat >"$work/timing.c" <<'C'
#define _GNU_SOURCE 1
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
#define SYKLI_MESH_IMPLEMENTATION
#include "sykli_mesh.h"
#include <valgrind/memcheck.h>

#define SECRET(x) VALGRIND_MAKE_MEM_UNDEFINED(x, sizeof(x))
#define PUBLIC(x) VALGRIND_MAKE_MEM_DEFINED(x, sizeof(x))

// With an argument it does what it must not, to show that this is seen.
int main(int argc, char **argv)
{
    static uint8_t text[1500];
    sykli_crypto c;
    uint8_t key[32] = { 1, 2, 3 }, point[32] = { 9 }, signature[64], public_key[32], tag[16];
    const uint8_t nonce[12] = { 0 };
    sykli__noise_cipher cipher = { 0 };
    (void)argv;
    sykli_crypto_init(&c);
    SECRET(key);
    if (argc > 1 && key[0] == nonce[0]) return 1;
    c.x25519(c.user, point, key, point);
    PUBLIC(point);
    c.sign_public(c.user, public_key, key);
    PUBLIC(public_key);
    c.sign(c.user, signature, key, "hello", 5);
    PUBLIC(signature);
    SECRET(text);
    c.seal(c.user, key, nonce, "", 0, text, sizeof text, tag);
    PUBLIC(text);
    PUBLIC(tag);
    sykli__noise_cipher_set(&cipher, &c, key);
    sykli__noise_rekey(&cipher);
    sykli__crypto_hkdf(public_key, 32, key, 32, key, 32, "x", 1);
    return 0;
}
C
if ! command -v valgrind >/dev/null || [ -z "$(tools/has "$CC" valgrind/memcheck.h)" ]; then
    echo "skipped: valgrind is not installed"
    echo "timing: 0 passed, 0 failed"
    exit 0
fi
passed=0 failed=0
for flags in "" "-DSYKLI_PORTABLE"; do
    if $CC -std=c11 -O2 -g -w -I. $flags "$work/timing.c" -o "$work/timing" -lpthread -lm \
        && valgrind -q --error-exitcode=9 "$work/timing" >"$work/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL timing $flags"
        head -n 20 "$work/out"
    fi
done
if valgrind -q --error-exitcode=9 "$work/timing" leak >"$work/out" 2>&1; then
    failed=$((failed + 1))
    echo "FAIL timing: a branch on a secret goes unnoticed"
else
    passed=$((passed + 1))
fi
echo "timing: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
