#!/bin/sh
# tests/run.sh PROGRAM...: runs each, TEST_JOBS or a processor's worth at a time, prints each with
# its count and then all of them together. A program ends with "NAME: N passed, N failed"; one that
# does not has failed. TEST_RUN is put before each program: an emulator. Scripts come first, and
# while they run, who mostly wait, BUILD builds the programs.
set -u
logs=${B-build}/test
mkdir -p "$logs"
export logs TEST_RUN="${TEST_RUN-}"
# What is freed is kept for a while, not for 256 MiB: a fresh page for each block takes long.
export ASAN_OPTIONS="${ASAN_OPTIONS-quarantine_size_mb=4:detect_stack_use_after_return=0}"
builder=
if [ "${1-}" != --one ] && [ -n "${BUILD-}" ]; then
    $BUILD >"$logs/build.log" 2>&1 &
    builder=$!
fi
unset BUILD MAKEFLAGS MFLAGS MAKELEVEL # the tests are no part of the make around them

one() {
    name=$(basename "$1")
    log=$logs/$name.log
    case $1 in
    *.sh) sh "$1" >"$log" 2>&1 </dev/null ;;
    *) $TEST_RUN "./$1" >"$log" 2>&1 </dev/null ;;
    esac
    code=$?
    last=$(sed -n 's/^.*: \([0-9][0-9]* passed, [0-9][0-9]* failed\).*$/\1/p' "$log" | tail -n 1)
    case $code:$last in
    0:*" 0 failed") ;;
    *:*" passed, "[1-9]*) cat "$log" ;;
    *) cat "$log"; echo "$name ended with $code and no count"; last="0 passed, 1 failed" ;;
    esac
    echo "$last" >"$log.count"
    printf '%-24s %s\n' "$name" "$last"
}

if [ "${1-}" = --one ]; then one "$2"; exit 0; fi

jobs=${TEST_JOBS-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)}
each() { xargs -r -P "$1" -n 1 sh "$0" --one; }
for program in "$@"; do rm -f "$logs/$(basename "$program").log.count"; done
printf '%s\n' "$@" | grep '\.sh$' | each "$jobs"
unbuilt=0
if [ -n "$builder" ] && ! wait "$builder"; then
    cat "$logs/build.log"
    unbuilt=1
fi
printf '%s\n' "$@" | grep -v '\.sh$' | each $((jobs > 1 ? jobs + 1 : 1)) # some wait
for path in ${TEST_SKIPPED-}; do echo "skipped: $path (libsodium is not installed)"; done
[ -n "${SYKLI_SHARED-}" ] || echo "skipped: what reads published vectors (SYKLI_SHARED is not set)"

for program in "$@"; do
    cat "$logs/$(basename "$program").log.count" 2>/dev/null || echo "0 passed, 1 failed"
done | awk -v failed=$unbuilt '{ passed += $1; failed += $3 }
            END { printf "%d passed, %d failed\n", passed, failed; exit failed != 0 || !passed }'
