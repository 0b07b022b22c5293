#!/bin/sh
# The command as scripts see it: verbs, flags, exit codes, what is on stdout and what is not.
name=cli
. tests/cli.inc

# ---- verbs and flags ----
run --version
expect "version" 0 "sykli "
run version --json
expect "version as JSON" 0 '{"ok":true,"version":"1","data":{' '"error":null}'
cp out before
run --json version
if cmp -s out before; then passed=$((passed + 1)); else fail "--json before the verb"; fi
run help
expect "help names the verbs" 0 "validate" "query" "run"
run grph
expect "an unknown verb" 2
told "graph"
project verbs <<'J'
{"version":"1","tasks":[{"name":"unit","command":"true"},{"name":"grph","command":"true"}]}
J
run unit
expect "a task without the verb" 2
told "unknown verb unit"
told "sykli run unit runs the task of that name"
run grph --json
expect "which is nearly a verb" 2 '"code":"usage"' 'or did you mean sykli graph?'
run grp
expect "what is neither" 2
told "did you mean sykli graph?"
run -f sykli.json unit
expect "options of run name no other verb" 0 "1 passed"
run -f sykli.json
expect "nor do they alone" 0 "2 passed"
run -k validate
expect "a verb behind options of run" 2
told "the verb comes first: sykli validate"
cd ..
run run --fliter=x
expect "an unknown flag" 2
told "--filter"
run graph --format=pdf
expect "an unknown choice" 2
run run -j
expect "a value is missing" 2
run --json run --nonsense
expect "usage as JSON" 2 '"ok":false' '"code":"usage"'
lines 1
for verb in $("$sykli" help | awk '/^  [a-z]/ { print $1 }'); do
    run "$verb" --help
    expect "$verb --help" 0 "Usage: sykli $verb" "Options:" "Example:"
done

# ---- finding the pipeline ----
mkdir -p empty && cd empty || exit 1
run --json
expect "no pipeline" 1 '"ok":false' 'not_found'
lines 1
run
expect "no pipeline, for people" 1 "!Usage"
project garbage <<'J'
J
rm sykli.json
printf 'print("hello")\n' >sykli.py
if command -v python3 >/dev/null; then
    run --json
    expect "a program that prints garbage" 1 '"ok":false' '"code":"invalid_emit"'
    cat >sykli.py <<'J'
import json, sys
assert sys.argv[1:] == ["--emit"]
print("a line of its own")
print(json.dumps({"version": "1", "tasks": [{"name": "from-python", "command": "true"}]}, indent=1))
J
    run
    expect "a program that prints a pipeline" 0 "from-python" "1 passed"
fi

# ---- validate ----
project broken <<'J'
{"version":"1","tasks":[
 {"name":"a","command":"true","depends_on":["b"]},
 {"name":"b","command":"true","depends_on":["a"]},
 {"name":"","command":"true"},
 {"name":"c"},
 {"name":"d","command":"x","task_type":"build"}
]}
J
run validate --json
expect "validate collects errors" 1 '"ok":false' '"error":null' '"valid":false' '"type":"cycle"' \
    '"type":"empty_task_name"' '"type":"missing_command"' '"task_type_requires_v3_or_newer"' \
    '"line":5'
lines 1
run run --json
expect "run refuses what validate refuses" 1 '"ok":false' '"data":null'
# validates TYPE DOCUMENT: the only error is of that type.
validates() {
    printf '%s' "$2" >one.json
    run validate one.json --json
    expect "validate: $1" 1 "\"errors\":[{\"type\":\"$1\""
}
validates missing_contract_schema_version '{"tasks":[]}'
validates invalid_contract_schema_version_type '{"version":1,"tasks":[]}'
validates invalid_contract_schema_version_type '{"version":null,"tasks":[]}'
validates empty_contract_schema_version '{"version":" ","tasks":[]}'
validates unsupported_contract_schema_version '{"version":"1.0","tasks":[]}'
validates invalid_json '{"version":"1","tasks":[}'
validates duplicate_key '{"version":"1","version":"1","tasks":[]}'
validates self_dependency '{"version":"1","tasks":[{"name":"a","command":"x","depends_on":["a"]}]}'
validates missing_dependency \
    '{"version":"1","tasks":[{"name":"a","command":"x","depends_on":["z"]}]}'
validates duplicate_task \
    '{"version":"1","tasks":[{"name":"a","command":"x"},{"name":"a","command":"x"}]}'
validates unknown_task_type \
    '{"version":"3","tasks":[{"name":"a","command":"x","task_type":"z"}]}'
validates task_type_on_review \
    '{"version":"3","tasks":[{"name":"a","kind":"review","task_type":"test"}]}'
validates invalid_success_criteria \
    '{"version":"3","tasks":[{"name":"a","command":"x","success_criteria":[{"type":"exit_code"}]}]}'
validates unknown_success_criterion_type \
    '{"version":"3","tasks":[{"name":"a","command":"x","success_criteria":[{"type":"z"}]}]}'
validates evidence_required_requires_version_4 \
    '{"version":"3","tasks":[{"name":"a","command":"x","evidence_required":[]}]}'
validates invalid_field '{"version":"1","tasks":[{"name":"a","command":"x","depends_on":"b"}]}'
validates missing_capability '{"version":"1","tasks":[{"name":"a","command":"x","needs":["db"]}]}'
printf '{"version":"1","tasks":[]}' >one.json
run validate one.json --json
expect "an empty pipeline is valid" 0 '"valid":true' '"type":"no_tasks"'
printf '{"version":"1","tasks":[{"name":"a","command":"x","kommand":1}]}' >one.json
run validate one.json
expect "unknown keys pass" 0
run validate --strict one.json
expect "strict refuses them" 1

# ---- graph ----
project graph <<'J'
{"version":"1","tasks":[{"name":"a","command":"true"},
 {"name":"b","command":"true","depends_on":["a"]}]}
J
run graph
expect "graph is mermaid" 0 "graph TD" "t0 --> t1"
run graph --dot
expect "graph --dot" 0 "digraph" "t0 -> t1"
run graph --format json
expect "graph as JSON" 0 '{"name":"b","depends_on":["a"]}'

# ---- run ----
project first <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"cp in made && echo making","inputs":["in"],"outputs":["made"]},
 {"name":"use","command":"cat made","depends_on":["make"]}]}
J
echo one >in
run
expect "a first run" 0 "●  make" "●  use" "2 passed" "!│ making"
run
expect "a second run hits" 0 "○  make" "(cache" "1 passed · 1 cached"
rm made
run --json
expect "a hit restores" 0 '"ok":true' '"status":"passed"' '"name":"make","status":"cached"' \
    '"cached":true,"from":"local"'
lines 1
[ -f made ] && passed=$((passed + 1)) || fail "the output is there again"
run --no-cache
expect "no cache" 0 "2 passed"
run --refresh
expect "refresh" 0 "2 passed"
run run make
expect "one task" 0 "○  make" "!use" "1 cached"
run --filter=us
expect "a filter pulls in what it needs" 0 "make" "use"
run run nothing
expect "an unknown task" 2
run run --output stream use
expect "output is streamed" 0 "use | one"
run --quiet
expect "quiet" 0 "!●"
lines 1
run --events
expect "events" 0 '{"event":"run_started"' '"event":"task_finished"' '"status":"cached"' \
    '"event":"run_finished"' '"passed":1'
cd "$work" || exit 1
run first
expect "a folder is the path" 0 "use"
run run first/sykli.json
expect "a file is the path" 0 "use"
cd first && run -f "$work/first/sykli.json"
expect "-f leaves the project here" 0 "○  make"
mkdir -p here && cd here && echo here >in && run -f ../sykli.json --output stream
expect "wherever the file is" 0 "●  make" "use | here"

project failing <<'J'
{"version":"1","tasks":[
 {"name":"bad","command":"echo the reason; exit 3"},
 {"name":"after","command":"true","depends_on":["bad"]},
 {"name":"apart","command":"true"}]}
J
run -j 1
expect "a failure" 1 "✕  bad" "exit code 3" "│ the reason" "─  after" "skipped (blocked)" "1 failed"
run -j 1 --keep-going
expect "keep going" 1 "●  apart" "1 failed · 1 passed · 1 blocked"
run -j 1 --json
expect "a failure as JSON" 1 '"ok":true' '"status":"failed"' '"name":"bad"'
run --keep-going
run --rerun-failed
expect "run again what failed" 1 "bad" "after" "!apart"
run --rerun-failed --dry-run
expect "a run of some says nothing of the others" 0 "bad" "after" "!apart"
run run nothing-like-that
run --filter nothing-like-that
told "no task has a name that contains nothing-like-that"
run --filter apart
run --rerun-failed
expect "nor does one that came in between" 1 "bad" "after" "!apart"
cd ..
run failing --rerun-failed
cp out err "$OLDPWD"
cd "$OLDPWD" || exit 1
expect "from another folder" 1 "bad" "after" "!apart"
run history --limit=1
expect "history" 0 "failed" "1 failed · 1 blocked"
lines 1
run history --json
expect "history as JSON" 0 '"items":[{"run":"' '"failed":1'
run logs bad
expect "logs" 0 "the reason"
run logs nothing
expect "no log" 1
run run --output none bad
expect "no output" 1 "✕  bad" "!│ the reason"

project slow <<'J'
{"version":"1","tasks":[{"name":"slow","command":"echo on; sleep 30"}]}
J
run --timeout=200ms
expect "a timeout is an error" 1 "✕  slow" "timeout" "1 errored"
rm -f err
"$sykli" >out 2>err </dev/null &
pid=$! tries=0
while ! grep -q started err 2>/dev/null && [ $tries -lt 1000 ]; do
    tries=$((tries + 1))
    "$sykli" version >/dev/null
done
kill -TERM $pid
wait $pid
code=$?
expect "SIGTERM cancels" 143 "1 cancelled"

# ---- signals ----
project stubborn <<'J'
{"version":"1","tasks":[{"name":"stubborn",
  "command":"trap '' TERM; echo >up; n=0; until [ -e go ] || [ $n = 300 ]; do sleep 0.1; n=$((n + 1)); done"}]}
J
# begin COMMAND...: starts it and waits until its task is up.
begin() {
    rm -f up go
    SYKLI_KILL_GRACE=1h "$@" >out 2>err </dev/null &
    pid=$!
    holds "the task is up" until_true [ -e up ]
}
end() {
    code=0
    wait $pid || code=$?
}
begin "$sykli"
tries=0 # the time between two signals is what counts here
while kill -TERM $pid 2>/dev/null && [ $tries -lt 20 ]; do
    tries=$((tries + 1))
    sleep 0.7
done
end
expect "a second signal does not wait for the grace" 143 "1 cancelled"
begin "$sykli"
kill -QUIT $pid
end
expect "SIGQUIT does not wait at all" 131 "1 cancelled"
begin sh -c 'trap "" HUP; exec "$0"' "$sykli"
kill -HUP $pid
"$sykli" version >/dev/null
touch go
end
expect "nohup" 0 "1 passed"

# ---- without the usual places ----
project bare <<'J'
{"version":"1","tasks":[{"name":"a","command":"echo out; echo err >&2","inputs":["in"]}]}
J
echo 1 >in
code=0
timeout 60 "$sykli" run --output all >out 2>&- </dev/null || code=$?
expect "no stderr" 0 "1 passed" "│ out" "│ err"
for no_cache in '' --no-cache; do
    code=0
    timeout 60 "$sykli" run $no_cache <&- >&- 2>&- || code=$?
    : >out
    expect "no stdin, stdout, stderr: the report is lost, and nothing else" 3
done
run logs a
expect "what they print goes to none of our files" 0 "out" "err"
lines 2
if [ -e /dev/full ]; then
    code=0
    "$sykli" run --events 2>err >/dev/full || code=$?
    : >out
    expect "events that nobody gets are an error" 3
    told "No space left on device"
fi
(unset HOME XDG_CACHE_HOME XDG_STATE_HOME; run run; echo $code >code)
code=$(cat code)
expect "no home" 0 "1 passed"
holds "what would be there is where git does not look" [ -e .sykli/cache/VERSION ]
holds "and in .sykli alone" sh -c '[ ! -e .cache ] && [ ! -e .local ]'

project store <<'J'
{"version":"1","tasks":[{"name":"a","command":"true"}]}
J
SYKLI_CACHE=/proc/nowhere run --json
expect "a cache that cannot be fails no build" 0 '"ok":true' '"status":"passed"'
told "the run went on without its cache: the store /proc/nowhere cannot be opened: "
SYKLI_CACHE=/proc/nowhere run cache stats --json
expect "there is nothing in it" 0 '"ok":true' '"tasks":0,"blobs":0' "/proc/nowhere"
SYKLI_CACHE=/proc/nowhere run doctor
expect "but who asks what is wrong is told" 3 "cache     /proc/nowhere"

project secret <<'J'
{"version":"1","tasks":[{"name":"s","command":"echo got $TOKEN_OF_TEST","secrets":["TOKEN_OF_TEST"]}]}
J
run
expect "a missing secret" 1 "requires secrets" "1 errored"
TOKEN_OF_TEST=verysecretvalue run --output stream
expect "a secret is masked" 0 "1 passed" "!verysecretvalue"

project matrix <<'J'
{"version":"1","tasks":[
 {"name":"t","command":"echo $os-$arch","matrix":{"os":["l","d"],"arch":["x"]}},
 {"name":"p","command":"true","provides":[{"name":"data-base","value":"there"}]},
 {"name":"n","command":"echo $SYKLI_CAP_DATA_BASE","needs":["data-base"]},
 {"name":"w","command":"true","when":"branch == 'nowhere'"},
 {"name":"all","command":"true","depends_on":["t"]}]}
J
run --output stream
expect "matrix, capabilities, conditions" 0 "l-x" "d-x" "n | there" "─  w" "5 passed" "1 skipped"
run run t
expect "the name of a matrix" 0 "t-x-l" "t-x-d" "2 passed"

project unsupported <<'J'
{"version":"2","tasks":[{"name":"c","command":"true","container":"debian"},
 {"name":"d","command":"true"}]}
J
run
expect "what is not done yet is refused by name" 1
told "sykli.json:1:"
told "container"
run run d
expect "unless it is not wanted" 0 "1 passed"

# ---- cache ----
run cache path
expect "cache path" 0 "$work/cache/sykli"
run cache stats --json
expect "cache stats" 0 '"location":"' '"tasks":' '"blobs":' '"total_size_human":"'
run cache ls --json
expect "cache ls" 0 '"items":[{"key":"'
run cache gc --max-size 10GB
expect "cache gc" 0 "freed"
run cache gc --max-size much
expect "cache gc with a bad size" 2
run cache clea
expect "an unknown verb of a verb" 2
told "clear"
run --state "$work/state" cache stats
expect "an option before the verb" 0 "Tasks:"
cd "$work/empty" && run history --json
expect "no history" 0 '"items":[]'
run init
expect "init" 0
run init
expect "init writes over nothing" 1
run validate
expect "what init writes is valid" 0

# ---- query ----
cd "$work/first" || exit 1
run query 'SELECT name FROM tables ORDER BY name'
expect "query" 0 "tables" "ops"
run query 'SELECT name FROM tables ORDER BY name' --json
expect "query as JSON" 0 '{"ok":true,"version":"1","data":{"items":[{"name":"'
run query 'SELECT nonsense FROM tables'
expect "an unknown column" 1
run query
expect "no query" 2

finish
