#!/bin/sh
# The verbs that look at what has run, and what holds for all verbs: JSON, exit codes, options.
name=cli_look
. tests/cli.inc

# ---- all verbs ----
mkdir -p all && cd all || exit 1
for verb in $("$sykli" help | awk '/^  [a-z]/ { print $1 }'); do
    run "$verb" --json --no-such-option
    expect "$verb: an unknown option" 2 '"ok":false' '"code":"usage"' '"data":null'
    lines 1
done
for verb in validate graph explain run; do
    run "$verb" --json $([ $verb = explain ] && echo x)
    expect "$verb without a pipeline" 1 '"ok":false' 'not_found'
    lines 1
done
run run --otput=all
expect "an option that is nearly one" 2
told "did you mean --output?"
run histry
expect "a verb that is nearly one" 2
told "did you mean sykli history?"
run config gte
expect "and below a verb" 2
told "get"

# ---- history ----
project looks <<'J'
{"version":"1","tasks":[
 {"name":"quick","command":"echo quick says; echo twice","inputs":["in"],"outputs":[]},
 {"name":"silent","command":"true"},
 {"name":"npm:test","command":"echo with a colon"},
 {"name":"fails","command":"echo no; exit 1"}]}
J
touch in
run history --json
expect "no history yet" 0 '"items":[]'
run history
expect "nor for people" 0
lines 0
told "no run is recorded here yet"
run --keep-going
run run quick
run history -n 1
expect "--limit, short" 0 "passed" "1 cached"
lines 1
run history --limit 5
expect "history" 0 "failed" "3 passed · 1 failed" "1 cached"
lines 2
(cd .sykli/runs && seq 0 9000 | sed 's/$/.txt/' | xargs touch)
run history --limit 5
expect "among many other files" 0 "failed" "3 passed · 1 failed" "1 cached"
rm .sykli/runs/*.txt
run cookie show-id --state "$work/none"
expect "no mesh" 1
told "$work/none belongs to no mesh"
holds "to look makes nothing" [ ! -e "$work/none" ]
run history --json --limit=5
expect "history as JSON" 0 '"status":"failed"' '"status":"passed"' '"duration_ms":' '"failed":1' \
    '"cached":1'
first=$(python3 -c 'import json; print(json.load(open("out"))["data"]["items"][1]["run"])')
run history --limit 0
expect "a limit of none" 2
run history --limit many
expect "a limit that is no number" 2

# ---- logs ----
run logs fails
expect "logs" 0 "no"
run logs npm:test
expect "a name with a colon" 0 "with a colon"
run logs quick --run "$first"
expect "of a run" 0 "quick says" "twice"
run logs quick --run "$(printf '%d' "0x$first")"
expect "by the number that events have" 0 "quick says"
run logs quick
expect "of a hit" 0 "quick says"
run logs fails --json
expect "as JSON" 0 '"task":"fails","run":"' '"text":"no\n"'
lines 1
run logs silent
expect "what has printed nothing" 1 "!quick"
run logs nothing --json
expect "what there is not" 1 '"code":"log_not_found"'
run logs nothing
expect "and those that there are" 1
told "no run has a task nothing"
told "the last run had quick"
run logs fales
expect "one that is nearly one" 1
told "did you mean fails?"
run logs fails --run ffff
expect "no such run" 1
told "sykli history"
run logs
expect "no task" 2
run logs nowhere:fails
expect "another node, without one here" 3

project follow <<'J'
{"version":"1","tasks":[{"name":"slow","command":"echo begins; until [ -e go ]; do sleep 0.05; done; echo ends"},
 {"name":"after","command":"echo later","depends_on":["slow"]}]}
J
"$sykli" >run.out 2>run.err </dev/null &
runner=$!
until_true grep -rqs begins .sykli
run logs slow
expect "a log so far" 0 "begins" "!ends"
"$sykli" logs slow -f >follow.out 2>err </dev/null &
follower=$!
"$sykli" logs after --follow >after.out 2>err </dev/null &
waiter=$!
holds "followed from its beginning" until_true grep -q begins follow.out
run history
expect "a run that goes on" 0 "running"
touch go
wait $follower
code=$?
cp follow.out out
expect "followed to its end" 0 "begins" "ends"
wait $waiter
code=$?
cp after.out out
expect "waited for, then followed" 0 "later"
wait $runner
run logs slow -f
expect "nothing to follow" 0 "begins" "ends"
lines 2

# Elsewhere: the record says where, also while the task runs.
rm go run.err
"$sykli" run --log-dir elsewhere >run.out 2>run.err </dev/null &
runner=$!
until_true grep -rqs begins elsewhere
run logs slow
expect "a log so far, in a folder of its own" 0 "begins" "!ends"
"$sykli" logs slow -f >follow.out 2>err </dev/null &
follower=$!
holds "followed there" until_true grep -q begins follow.out
touch go
wait $follower
code=$?
cp follow.out out
expect "to its end" 0 "begins" "ends"
wait $runner
run logs after
expect "found when the run has ended" 0 "later"
holds "it is there" sh -c 'cat elsewhere/*/after-*.log | grep -qx later'

# ---- where nothing may be written ----
# What only reads makes no folder: .sykli cannot be one here, and the others would show below `none`.
project sealed <<'J'
{"version":"1","tasks":[{"name":"reads","command":"true","inputs":["sykli.json"]}]}
J
: >.sykli
XDG_CACHE_HOME=$work/sealed/none XDG_STATE_HOME=$work/sealed/none
run explain reads
expect "explain without a history and a cache" 0 "reads: would run: its result is not in the cache"
run run --dry-run
expect "and a dry run" 0 "its result is not in the cache"
run cache ls
expect "a cache that is not there" 0
told "no results are in $work/sealed/none"
for words in "history" "history --flaky" "query tasks" "query history" "query actions" "memory" \
    "config get workers" "cache ls" "cache stats" "cache verify" "cache gc" "cache clear"; do
    run $words
    expect "$words" 0
done
run nodes
expect "there is no node" 3
told "no node runs"
holds "nothing was made" [ ! -e none ]
XDG_CACHE_HOME=$work/cache XDG_STATE_HOME=$work/state
run cache ls
expect "a cache that is one" 0 "quick"
mkdir -p none/sykli/VERSION
XDG_CACHE_HOME=$work/sealed/none run cache ls
expect "one that cannot be read" 3
told "none/sykli/VERSION: Is a directory"

# ---- graph ----
project graphs <<'J'
{"version":"1","tasks":[{"name":"a\"b","command":"true"},
 {"name":"c","command":"true","depends_on":["a\"b"]}]}
J
run graph
expect "mermaid" 0 "graph TD" 't0["a#quot;b"]' "t0 --> t1"
run graph --format=dot
expect "dot" 0 'label="a\"b"' "t0 -> t1;"
run graph --format text
expect "text" 0 'c after a"b'
run graph --format json
expect "json" 0 '"items":[{"name":"a\"b","depends_on":[]},{"name":"c"'
run --json graph --mermaid
expect "JSON before the verb" 0 '"ok":true'

# ---- query ----
run query "SELECT name FROM tables WHERE name = 'ops'" --format csv
expect "csv" 0 "name" "ops"
lines 2
run query "tables WHERE name = 'ops'" --format json
expect "json" 0 '"name":"ops"'
run query --format=yaml 'tables'
expect "no such format" 2
"$sykli" query "SELECT name FROM tables WHERE name = 'ops'" --every 50ms --format csv >every.out 2>err &
asker=$!
many() { [ "$(grep -c ops every.out)" -ge 3 ]; }
holds "asked again and again" until_true many
kill $asker
wait $asker 2>/dev/null

# ---- config ----
export SYKLI_CONFIG="$work/sykli.yaml"
printf 'workers: 3\n' >"$SYKLI_CONFIG"
run config get workers
expect "config get KEY" 0 "3"
lines 1
run config get workers --json
expect "and where it is from" 0 '"key":"workers","value":"3","source":"file"'
run config get
expect "config get" 0 "workers" "cache.max_size" "file" "default"
run config get wrkers
expect "an unknown key" 1
told "did you mean workers?"
run config set workers 5
expect "config set needs a node" 3
printf 'workers: lots\n' >"$SYKLI_CONFIG"
run config get
expect "a value that is none" 1
told "workers must be a whole number"
finish
