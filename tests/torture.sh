#!/bin/sh
# tests/torture.sh PROGRAM...: fails each place of the long stories; make test takes some of them.
# A process takes a share of a program, TEST_JOBS or a processor's worth of them at a time.
# TORTURE=every fails each single call: for a night.
set -u
export TORTURE="${TORTURE-full}"
export ASAN_OPTIONS="${ASAN_OPTIONS-quarantine_size_mb=32}" # see run.sh
if [ "${1-}" = --one ]; then
    log=$2.${3%/*}.torture.log
    TEST_SHARE=$3 timeout "${TORTURE_SECONDS-900}" "$2" >"$log" 2>&1 && { tail -n 1 "$log"; exit; }
    tail -n 40 "$log"
    echo "$2,$3: 0 passed, 1 failed" # one word before the counts
    exit
fi
shares=${TEST_JOBS-$(nproc)}
for program in "$@"; do
    [ -n "$("$program" --long 2>/dev/null)" ] || continue
    share=0
    while [ "$share" -lt "$shares" ]; do
        echo "$program $share/$shares"
        share=$((share + 1))
    done
done | xargs -P "$shares" -L 1 "$0" --one | awk '
    { print }
    / passed, [0-9]+ failed/ { passed += $2; failed += $4; points += substr($6, 2) }
    END {
        print points " injected failures"
        print passed + 0 " passed, " failed + 0 " failed"
        exit failed || !passed
    }'
