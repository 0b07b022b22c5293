#!/bin/sh
# Three nodes on one machine, as scripts see them: a mesh is made, nodes join, what one has built is
# a hit on another, tasks are watched and killed from afar, workers and configuration change while
# tasks run, strangers stay outside, a node that died comes back. Loopback only; every wait ends.
set -u
root=$(pwd)
. tests/expect.inc
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/mesh
rm -rf "$work"
mkdir -p "$work/project"
unset SYKLI_STATE SYKLI_CACHE SYKLI_CONFIG CI
export HOME="$work" NO_COLOR=1
cd "$work/project" || exit 1
out=$work/out err=$work/err pids="" port=$((20000 + $$ % 20000))

# A task may not reach its node: inside a run of sykli there is nothing to see here.
if [ -n "${SYKLI_TASK_UID-}" ]; then
    echo "skipped: a node does not let its own tasks in"
    echo "mesh: 0 passed, 0 failed"
    exit 0
fi

# ---- helpers ----
cleanup() {
    touch "$work/project/go"
    for pid in $pids; do [ "$pid" -gt 1 ] && kill "$pid" 2>/dev/null; done
    wait
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# at NODE ARGUMENT...: runs sykli as that machine would.
at() {
    machine=$1
    shift
    mkdir -p "$work/$machine"
    SYKLI_STATE=$work/$machine/state SYKLI_CACHE=$work/$machine/cache \
        SYKLI_CONFIG=$work/$machine/sykli.yaml "$sykli" "$@"
}
# run NODE ARGUMENT...: the same, keeps code, out, err.
run() {
    code=0
    at "$@" >"$out" 2>"$err" </dev/null || code=$?
}
# until WHAT SECONDS COMMAND...: the command comes true in time.
until_true() {
    what=$1 end=$(($(date +%s) + $2))
    shift 2
    while ! "$@"; do
        [ "$(date +%s)" -lt "$end" ] || { fail "$what: not in time"; return 1; }
    done
    ok
}
# sees NODE TEXT QUERY [OPTION...]: the answer holds the text.
sees() {
    from=$1 text=$2
    shift 2
    run "$from" query "$@"
    grep -qF -- "$text" "$out"
}
has() { grep -qF -- "$2" "$1" 2>/dev/null; }
gone() { ! kill -0 "$1" 2>/dev/null; }
# up NODE [OPTION...]: starts its node on a free port, which the next start keeps.
up() {
    machine=$1
    shift
    [ -f "$work/$machine/port" ] && port=$(cat "$work/$machine/port")
    for try in 1 2 3 4 5 6 7 8; do
        run "$machine" node --listen "127.0.0.1:$port" --detach "$@" # it knows its name
        [ "$code" = 0 ] && break
        port=$((port + 1))
    done
    expect "node $machine starts" 0 "node $machine listening on"
    echo "$port" >"$work/$machine/port"
    port=$((port + 1))
    run "$machine" node status --json
    pid=$(sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$out")
    case $pid in ''|0|1) fail "node $machine: its pid" ;; *) pids="$pids $pid" ;; esac
    echo "$pid" >"$work/$machine/pid"
}

# ---- a mesh is made, nodes join ----
run a nodes
expect "no node runs" 3
told "start one with \`sykli node\`"
run a node --nmae x
expect "an unknown option of a verb with verbs" 2
told "--name"
run a node statsu
expect "an unknown verb of a verb" 2
told "sykli node status"
run a cookie show-id
expect "no mesh yet" 1
run a cookie new --name a
expect "a new mesh" 0 "A new mesh"
mesh=$(tail -n 1 "$out")
run a cookie new
expect "only one mesh" 1
run a cookie show-id
expect "the id of the mesh" 0 "$mesh"
up a
run a node
expect "only one node a state directory" 3
run a invite --uses 2 --role operator
expect "several uses are for members" 2
run a invite --role operator
expect "an invite" 0 "sykli join"
tail -n 1 "$out" >"$work/token"
code=0
at b join - --name b <"$work/token" >"$out" 2>"$err" || code=$?
expect "b joins with its node down" 0 "$mesh"
up b --workers 1
code=0
at d join - <"$work/token" >"$out" 2>"$err" || code=$?
expect "a token dies on use" 1
run a invite --role member --expires 10m
token=$(tail -n 1 "$out")
up c --name c
run c join "$token" --name c
expect "c joins with its node up" 0 "$mesh"
told "can be seen by others"
run a join "not a token"
expect "a token that is none" 1
until_true "a sees three nodes" 5 \
    sees a "3" "SELECT count(*) FROM nodes WHERE state = alive"
run c nodes --json
expect "nodes as JSON" 0 '"items":[{"name":"a"' '"name":"b"' '"name":"c"' '"state":"alive"' \
    '"workers_total"' '"rtt_us"'
run a invite list
expect "invites" 0 "operator" "member"
until_true "a node in the middle of the mesh" 5 sees b "a" "SELECT name FROM peers ORDER BY name"

# ---- what one has built is a hit on another ----
cat >sykli.json <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"echo making; cat in.txt in.txt >out.txt","inputs":["in.txt"],"outputs":["out.txt"]},
 {"name":"use","command":"cat out.txt","depends_on":["make"]}]}
J
echo one >in.txt
run a run
expect "a builds" 0 "2 passed"
rm -f out.txt
run b run
expect "b has it from a" 0 "cache hit from a@127.0.0.1" "1 passed · 1 cached"
if cmp -s out.txt - <<'O'
one
one
O
then ok; else fail "what came is what was built"; fi
run b logs make
expect "and what its task printed came too" 0 "making"
run b explain make --against a
expect "a node says whether it has a result" 0 "a has the result of this key, made "
rm -f out.txt
run b run --json
expect "the second time it is here" 0 '"cached":true,"from":"a"' '"status":"passed"'

# More lookups at once than a session has streams: they stand in line. A peer has 150 ms to say what
# it has; on a busy machine that may not do once.
for try in 1 2 3; do
    awk -v try=$try 'BEGIN { printf "{\"version\":\"1\",\"tasks\":["
        for (i = 0; i < 400; i++)
            printf "%s{\"name\":\"t%d\",\"command\":\"cp in.txt t%d; : %d\",\"inputs\":[\"in.txt\"],\"outputs\":[\"t%d\"]}",
                i ? "," : "", i, i, try, i
        print "]}" }' >many.json
    run a run -f many.json -q
    expect "a builds many" 0 "400 passed"
    rm -f t[0-9]*
    run b run -f many.json -q
    has "$out" "400 cached" && break
done
expect "b has all of them from a" 0 "400 cached"
rm -f t[0-9]* many.json

# What one alone has made is fetched from it: an entry, a blob, from it by name or from whoever has it.
echo only here >only.txt
cat >only.json <<'J'
{"version":"1","tasks":[
 {"name":"only","command":"cp only.txt only.out","inputs":["only.txt"],"outputs":["only.out"]}]}
J
run a run -f only.json
expect "a alone builds" 0 "1 passed"
run a cache ls --json
key=$(sed -n 's/.*"key":"\([0-9a-f]*\)","task":"only".*/\1/p' "$out")
run c cache fetch "$key" --from b
expect "who does not have it" 1
run c cache fetch "$key" --from a
expect "an entry of another node" 0 '"origin_task":"only"' '"path":"only.out"'
id=$(sed -n 's/.*"path":"only.out","alg":"sha256tree","digest":"\([0-9a-f]*\)".*/\1/p' "$out")
run c cache fetch "$id" --from a
expect "a blob of another node" 0 "only here"
run c cache fetch "$id" -o only.got
expect "wherever it is, into a file" 0
if cmp -s only.got only.out; then ok; else fail "as it is there"; fi
run c cache fetch "$id" --from b
expect "a blob that a node does not have" 1
run b cache fetch "$key"
expect "an entry of whoever has it" 0 '"origin_task":"only"'
run b cache fetch "$id" --from b
expect "came with its blobs" 0 "only here"
run c cache fetch "$id" --from nobody
expect "a node that is not there" 3 "!only here"
told "node 'nobody' is not reachable"

# ---- a gate is decided from afar ----
cat >gates.json <<'J'
{"version":"1","tasks":[
 {"name":"gate","command":"echo out >released","gate":{"message":"Release?"}},
 {"name":"shut","gate":{"strategy":"env","env_var":"NEVER_SET"}},
 {"name":"behind","command":"true","depends_on":["shut"]}]}
J
rm -f released
at b run -f gates.json -k --events >"$work/gates.out" 2>&1 </dev/null &
runner=$!
until_true "two gates of b wait" 5 sees a "2" "SELECT count(*) FROM tasks WHERE status = ready" --on b
run c gate approve b gate
expect "a member opens no gate" 3
told "operator"
run a gate approve b behind
expect "what does not wait is no gate" 1
told "does not wait at a gate: waiting"
run a gate approve b nothing
expect "a gate that is not there" 1
USER=ada run a gate approve b gate --reason "looks good"
expect "approved from another node" 0 "✓ approved gate on b"
USER=bob run b gate deny . shut --json
expect "denied on the node itself" 0 '"approved":false'
code=0
wait "$runner" || code=$?
cp "$work/gates.out" "$out"
expect "who decided is told" 1 '"event":"task_decided"' \
    '"task":"gate","status":"passed","why":"approved by ada on a: looks good"' \
    '"task":"shut","status":"failed","why":"denied by bob on b"' '"task":"behind","status":"blocked"'
if [ -e released ]; then ok; else fail "it goes on with its command"; fi
if grep -qs "approved by ada on a: looks good" .sykli/runs/*; then ok; else fail "it is recorded"; fi

# ---- a task is watched and killed from afar ----
cat >slow.json <<'J'
{"version":"1","tasks":[
 {"name":"slow","command":"echo first; echo second; while [ ! -e go ]; do sleep 0.05; done; echo last"},
 {"name":"after","command":"while [ ! -e go ]; do sleep 0.05; done; echo later"},
 {"name":"third","command":"while [ ! -e go ]; do sleep 0.05; done"}]}
J
rm -f go
at b run -f slow.json -k >"$work/run.out" 2>&1 </dev/null &
runner=$!
until_true "a sees b's task" 5 sees a "running" \
    "SELECT status FROM tasks WHERE status = running" --on b
run a query "SELECT node, name FROM tasks ORDER BY name" --on all
expect "tasks of all nodes under the node's name" 0 "b     slow" "b     third"
run a scale workers 3 --on b
expect "scale during a run" 0 "Scaling workers: 1 → 3" "✓ Spawned 2 new workers" \
    "No tasks interrupted."
until_true "all three run now" 5 sees b "3" "SELECT count(*) FROM tasks WHERE status = running"
at a observe b slow --plain >"$work/observe.out" 2>&1 </dev/null &
observer=$!
at a observe b slow --events >"$work/events.out" 2>&1 </dev/null &
watcher=$!
at a logs b:slow >"$work/logs.out" 2>&1 </dev/null &
reader=$!
at b logs b:after >"$work/after.out" 2>&1 </dev/null &
second=$!
until_true "logs of another node, so far" 5 has "$work/logs.out" second
until_true "the output comes from its first byte" 5 has "$work/observe.out" "  > second"
for line in "Observing node: b@127.0.0.1" "────" "Task: slow" "  Status: running (" "  Memory: " \
    "  CPU: " "  Live output:" "  > first"; do
    if has "$work/observe.out" "$line"; then ok; else cp "$work/observe.out" "$out"; fail "$line"; fi
done
run a debug b --plain
expect "debug lists it" 0 "Sykli Debug Console" "Processes (" "PID" "NAME" "MEMORY" "QUEUE" \
    "STATUS" "Task:slow" "running"
run a memory b
expect "memory counts it" 0 "Memory Analysis" "Total:" "  Processes:" "  ETS:" "  Binary:" \
    "Top Processes by Memory:" "Top ETS Tables:"
run c logs b:slow
expect "a member reads no logs of others" 3
told "needs a higher role than member"
run a logs b:nothing
expect "logs of a task that is not there" 1
told "no task nothing on that node"
if gone "$reader"; then fail "logs of a task that runs go on"; else ok; fi
run a kill b nothing
expect "a task that is not there" 1
run a kill b slow
expect "kill" 0 "✓ killed slow on b"
until_true "the observer ends with the task" 5 gone "$observer"
until_true "the watcher too" 5 gone "$watcher"
code=0
wait "$reader" || code=$?
cp "$work/logs.out" "$out"
expect "logs end with their task" 0 "first" "second" "!last"
if has "$work/observe.out" "Ended: cancelled"; then ok; else fail "the end is said"; fi
if has "$work/events.out" '"event":"task_output"' && has "$work/events.out" '"text":"first"' \
    && has "$work/events.out" '"status":"cancelled"'; then ok; else fail "events from byte 0"; fi
touch go
code=0
wait "$second" || code=$?
cp "$work/after.out" "$out"
expect "and when it has passed, on the node itself" 0 "later"
code=0
wait "$runner" || code=$?
cp "$work/run.out" "$out"
expect "the run says what happened" 1 "1 cancelled" "2 passed"
rm -f go

# ---- configuration, live ----
run a config push kill.grace=7s
expect "push" 0 "Pushing config to mesh..." "✓ a@local" "✓ b@127.0.0.1" "(config updated)" \
    "v1 (" "No restart needed."
run b config get kill.grace --json
expect "b has it" 0 '"value":"7s","source":"pushed"'
run a config push wrokers=3
expect "an unknown key" 1
told "did you mean workers?"
run b config push kill.grace=1s
expect "only an admin pushes" 3
run c node stop
expect "c stops" 0 "node c has stopped"
run a config push kill.grace=8s
expect "push beside one that is away" 0 "✓ b@127.0.0.1" "… c@127.0.0.1" "offline, will catch up" \
    "v2 ("
up c
until_true "c catches up" 5 sees c "8s" "SELECT value FROM config WHERE key = 'kill.grace'"
run a config history
expect "history" 0 "v2" "v1" "current"
run a config rollback v1
expect "rollback" 0 "v3 is as v1 was"
until_true "everywhere" 5 sees c "7s" "SELECT value FROM config WHERE key = 'kill.grace'"
run a scale workers 2 --on all
expect "scale all" 0 "a@local" "b@127.0.0.1" "c@127.0.0.1" "No tasks interrupted."

# ---- strangers ----
run d cookie new --name d
expect "another mesh" 0
up d --seed "127.0.0.1:$(cat "$work/a/port")"
run d query "SELECT count(*) FROM peers"
expect "a stranger has no peer" 0 "0"
run a nodes
expect "and is not seen" 0 "!127.0.0.1:$(cat "$work/d/port")"
run d query nodes
expect "nor does it see" 0 "!$work" "d"

# ---- a node hangs, dies and comes back ----
kill -STOP "$(cat "$work/b/pid")"
run a query "SELECT node, count(*) FROM nodes GROUP BY node" --on all
expect "partial beats hanging" 0 "a " "c " "b: timeout"
run b nodes
expect "a node that hangs" 3
told "does not answer"
kill -CONT "$(cat "$work/b/pid")"
kill -9 "$(cat "$work/b/pid")"
until_true "a notices" 10 \
    sees a "0" "SELECT count(*) FROM nodes WHERE name = 'b' AND state = alive"
run a query "SELECT node FROM nodes LIMIT 1" --on all
expect "one line for who does not answer" 0 "b: "
run c run
expect "who is left works" 0 "cached"
up b
until_true "b is back" 10 \
    sees a "1" "SELECT count(*) FROM nodes WHERE name = 'b' AND state = alive"
run a events
expect "events" 0 "nodeup" "nodedown" "audit"

for node in a b c d; do
    run "$node" node stop
    expect "$node stops" 0 "has stopped"
done
echo "mesh: $passed passed, $failed failed"
[ "$failed" = 0 ]
