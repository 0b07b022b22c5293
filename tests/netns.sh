#!/bin/sh
# Two machines on one: a node in each of two network namespaces, joined by a pair of veth. What one
# has built is a hit on the other over that wire, both are asked at once, the wire is cut and comes
# back. Needs root and iproute2; makes and removes its namespaces; every wait ends.
set -u
root=$(pwd)
. tests/expect.inc
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/netns
if [ "$(id -u)" != 0 ] || ! command -v ip >/dev/null 2>&1; then
    echo "skipped: netns (needs root and iproute2)"
    echo "0 passed, 0 failed"
    exit 0
fi
unset SYKLI_STATE SYKLI_CACHE SYKLI_CONFIG CI
rm -rf "$work"
mkdir -p "$work/project"
export HOME="$work" NO_COLOR=1
cd "$work/project" || exit 1
ours=sk$$ out=$work/out err=$work/err pids=""

cleanup() {
    for pid in $pids; do [ "$pid" -gt 1 ] && kill "$pid" 2>/dev/null; done
    for side in a b; do ip netns del "$ours$side" 2>/dev/null; done
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# run MACHINE ARGUMENT...: runs sykli as that machine would, keeps code, out, err.
run() {
    machine=$1 code=0
    shift
    ip netns exec "$ours$machine" env SYKLI_STATE="$work/$machine/state" \
        SYKLI_CACHE="$work/$machine/cache" SYKLI_CONFIG="$work/$machine/sykli.yaml" \
        "$sykli" "$@" >"$out" 2>"$err" </dev/null || code=$?
}
# until_sees WHAT SECONDS MACHINE TEXT QUERY: the answer holds the text in time.
until_sees() {
    what=$1 end=$(($(date +%s) + $2)) from=$3 text=$4
    while run "$from" query "$5"; ! grep -qF -- "$text" "$out"; do
        [ "$(date +%s)" -lt "$end" ] || { fail "$what: not in time, wanted: $text"; return 1; }
    done
    ok
}
# up MACHINE ADDRESS: starts its node.
up() {
    run "$1" node --name "$1" --listen "$2:7700" --detach
    expect "node $1 starts" 0 "node $1 listening on"
    run "$1" node status --json
    pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$out")
    case $pid in '' | 0 | 1) fail "node $1: its pid" ;; *) pids="$pids $pid" ;; esac
}

# ---- the wire ----
wire() {
    ip netns add "${ours}a" && ip netns add "${ours}b" \
        && ip link add "${ours}a" netns "${ours}a" type veth peer name "${ours}b" \
            netns "${ours}b" \
        && ip -n "${ours}a" address add 10.231.77.1/30 dev "${ours}a" \
        && ip -n "${ours}b" address add 10.231.77.2/30 dev "${ours}b" || return 1
    for side in a b; do
        ip -n "$ours$side" link set lo up && ip -n "$ours$side" link set "$ours$side" up \
            || return 1
    done
}
if ! wire 2>"$err"; then
    echo "skipped: netns ($(head -n 1 "$err"))"
    echo "0 passed, 0 failed"
    exit 0
fi

# ---- two nodes meet over it ----
run a cookie new --name a
expect "a new mesh" 0 "A new mesh"
up a 10.231.77.1
run a invite --role operator
expect "an invite" 0 "sykli join"
run b join "$(tail -n 1 "$out")" --name b
expect "b joins over the wire" 0
up b 10.231.77.2
until_sees "a sees b" 10 a "10.231.77.2" "SELECT address FROM peers"

# ---- what one has built is a hit on the other ----
cat >sykli.json <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"cat in.txt in.txt >out.txt","inputs":["in.txt"],"outputs":["out.txt"]}]}
J
echo one >in.txt
run a run
expect "a builds" 0 "1 passed"
rm -f out.txt
run b run
expect "b has it from a" 0 "cache hit from a@10.231.77.1"
run b query "SELECT node, name, state FROM nodes WHERE rtt_us = 0" --on all
expect "both are asked" 0 "a     a" "b     b"

# ---- the wire is cut, and comes back ----
ip -n "${ours}a" link set "${ours}a" down
until_sees "a sees b go" 30 a nodedown "SELECT event, name FROM events WHERE event = nodedown"
until_sees "b sees a go" 30 b nodedown "SELECT event, name FROM events WHERE event = nodedown"
echo two >in.txt
run b run
expect "alone, b goes on" 0 "1 passed"
run b query "SELECT name, state FROM nodes ORDER BY name"
expect "b says how a stands" 0 "dead"
ip -n "${ours}a" link set "${ours}a" up
until_sees "a sees b again" 60 a "2" "SELECT count(*) FROM nodes WHERE state = alive"
until_sees "b sees a again" 60 b "2" "SELECT count(*) FROM nodes WHERE state = alive"
rm -f out.txt
run a run
expect "a has it from b" 0 "cache hit from b@10.231.77.2"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
