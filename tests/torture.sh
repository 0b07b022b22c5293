#!/bin/sh
# tests/torture.sh PROGRAM...: sweeps the long stories whole, each n-th allocation and call failing
# in turn; make test fails a sample of them. A story is a process, a processor's worth at a time.
set -u
if [ "${1-}" = --one ]; then
    log=$2.$3.torture.log
    TORTURE=full timeout 600 "$2" "$3" >"$log" 2>&1 && { tail -n 1 "$log"; exit; }
    tail -n 40 "$log"
    echo "$2 $3: 0 passed, 1 failed"
    exit
fi
for program in "$@"; do
    "$program" --long 2>/dev/null | sed "s,^,$program ,"
done | xargs -P "$(nproc)" -L 1 "$0" --one | awk '
    { print }
    / passed, [0-9]+ failed/ { passed += $2; failed += $4; points += substr($6, 2) }
    END {
        print points " injected failures"
        print passed + 0 " passed, " failed + 0 " failed"
        exit failed || !passed
    }'
