#!/bin/sh
# kill -9 at every system call of the program itself: of a run that stores, of one that restores,
# of a collection. Whatever was under way then, the next run ends well, what it gives is right, and
# the store has nothing in it that is believed and torn. Needs strace: the CI runs it, as a part.
#
#     tests/crash.sh [SCENARIO [SYSCALL K]]      one scenario, or one of its points
set -u
cd "$(dirname "$0")/.." || exit 2
sykli=$PWD/${B-build}/sykli
base=$(mktemp -d "${TMPDIR:-/tmp}/sykli-crash-XXXXXX") || exit 2
trap 'rm -rf "$base"' EXIT
export SYKLI_CONFIG=/dev/null LC_ALL=C
passed=0 failed=0

# The place a scenario starts from: a project with two cached tasks, a large and a small output.
place() {
    rm -rf "$base/$1" && mkdir -p "$base/$1/project" && cd "$base/$1/project" || exit 2
    seq 1 3000 >in
    printf '%s\n' '{"version":"1","tasks":[' \
        '{"name":"copy","command":"cp in out","inputs":["in"],"outputs":["out"]},' \
        '{"name":"count","command":"wc -l <out >lines","inputs":["in"],"outputs":["lines"],' \
        ' "depends_on":["copy"]}]}' >sykli.json
}
# enter PLACE: from here on sykli works there.
enter() {
    cd "$base/$1/project" || exit 2
    export SYKLI_STATE="$base/$1/state" SYKLI_CACHE="$base/$1/cache"
}
prepare_store() { place start && enter start; }
prepare_restore() { prepare_store && "$sykli" run --quiet && rm -f out lines; }
# Everything in the store looks unused for long: all of it may go.
prepare_collect() {
    prepare_store && "$sykli" run --quiet &&
        find "$SYKLI_CACHE" -type f -exec touch -d '2 hours ago' {} +
}
command_of() {
    case $1 in
    store | restore) echo "run --quiet" ;;
    collect) echo "cache gc --max-size 1" ;;
    esac
}

say() { failed=$((failed + 1)); echo "  $*"; }

# What must hold wherever a process was killed.
sound() {
    "$sykli" run --quiet >"$base/out" 2>&1 || { cat "$base/out"; return 1; }
    cmp -s in out && [ "$(cat lines)" -eq 3000 ] || { echo "the outputs are wrong"; return 1; }
    rm -f out lines
    "$sykli" run --json >"$base/out" 2>&1 || { cat "$base/out"; return 1; }
    [ "$(grep -o '"status":"cached"' "$base/out" | wc -l)" -eq 2 ] || { cat "$base/out"; return 1; }
    cmp -s in out && [ "$(cat lines)" -eq 3000 ] || { echo "what came back is wrong"; return 1; }
    "$sykli" history >/dev/null || return 1
    # Blobs are named by what is in them: all of up to 1 KiB by plain SHA-256.
    find "$SYKLI_CACHE/blobs" -type f -size -2 | while read -r blob; do
        name=$(basename "$(dirname "$blob")")$(basename "$blob")
        [ "$(sha256sum <"$blob" | cut -d' ' -f1)" = "$name" ] || echo "torn: $blob"
    done >"$base/out"
    [ -s "$base/out" ] && { cat "$base/out"; return 1; }
    return 0
}

# One point: the process is killed as it enters its K-th call of that name.
point() {
    rm -rf "$base/now" && cp -a "$base/start" "$base/now" && enter now
    # shellcheck disable=SC2046 # words
    strace -o /dev/null -e trace="$2" -e "inject=$2:signal=KILL:when=$3" \
        "$sykli" $(command_of "$1") >/dev/null 2>&1
    if sound >"$base/why" 2>&1; then passed=$((passed + 1)); else
        say "$1, killed at $2 number $3; again: tests/crash.sh $1 $2 $3"
        sed 's/^/    /' "$base/why"
    fi
}

scenario() {
    "prepare_$1" >/dev/null 2>&1 || { say "cannot prepare $1"; return; }
    rm -rf "$base/now" && cp -a "$base/start" "$base/now" && enter now
    # shellcheck disable=SC2046
    strace -o "$base/trace" "$sykli" $(command_of "$1") >/dev/null 2>&1
    # `when` counts by the name of the call, so points are pairs of a name and a number.
    awk -F'(' '/^[a-z0-9_]+\(/ && !/^(exit_group|execve)/ { print $1, ++n[$1] }' "$base/trace" \
        >"$base/points"
    [ "$(wc -l <"$base/points")" -gt 50 ] || say "$1: few calls were seen"
    while read -r name k; do point "$1" "$name" "$k"; done <"$base/points"
}

command -v strace >/dev/null || { echo "skipped: crash.sh (strace is not installed)"; exit 0; }
case $# in
0) for s in store restore collect; do scenario "$s"; done ;;
1) scenario "$1" ;;
*) "prepare_$1" >/dev/null 2>&1 && point "$@" ;;
esac
echo "crash.sh: $passed passed, $failed failed"
[ "$failed" = 0 ]
