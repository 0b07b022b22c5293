#!/bin/sh
# What a run leaves and tells besides its report: plans, events, JUnit, traces, what a change touches.
name=cli_run
. tests/cli.inc

# ---- --dry-run ----
project plan <<'J'
{"version":"1","tasks":[
 {"name":"use","command":"cat made","inputs":["made"],"depends_on":["make"]},
 {"name":"make","command":"cp in made","inputs":["in"],"outputs":["made"]},
 {"name":"always","command":"true"},
 {"name":"never","command":"true","when":"branch == 'nowhere'"},
 {"name":"secret","command":"true","secrets":["NO_SUCH_TOKEN"]}]}
J
echo one >in
run --dry-run
expect "a plan" 0 "▸  make" "run: first run here" "?  use" \
    "unknown: known when make has made its outputs" "run: it declares no inputs" "─  never" \
    "skip: " "error: requires secrets: NO_SUCH_TOKEN" "2 would run · 1 skipped · 1 not known"
holds "a plan runs nothing" [ ! -e made ]
run run use
expect "what was planned" 0 "2 passed"
run -n use
expect "a plan of hits" 0 "○  make" "○  use" "2 cached"
rm made
run run -n use
expect "what waits for a hit to be restored" 0 "○  make" "?  use"
echo two >in
run --dry-run --json
expect "a plan as JSON" 0 '"task":"make","verdict":"run","key":"' '"why":"input in changed"' \
    '"verdict":"skip"' '"run":2,"hit":0,"skip":1,"unknown":1,"error":1'
lines 1
run --dry-run --events
expect "a plan as events" 0 '{"event":"task_planned","at":"' '"run":null,"task":"make"'
lines 5
run -n --refresh
expect "a plan of --refresh" 0 "make" "run: --refresh"

# ---- --events ----
project events <<'J'
{"version":"1","tasks":[
 {"name":"a","command":"echo out; echo err >&2","inputs":["in"],"outputs":[]},
 {"name":"b","command":"[ -e again ] || { touch again; exit 1; }","retry":1,"depends_on":["a"]},
 {"name":"c","command":"exit 7"},{"name":"d","command":"true","depends_on":["c"]}]}
J
echo x >in
run --events --keep-going
cp out first
cat >check.py <<'P'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
fields = {
    "run_started": "tasks workers", "task_ready": "task",
    "task_started": "task attempt target node pid", "task_output": "task stream text",
    "task_retry": "task attempt in_ms",
    "task_finished": "task status exit_code signal from key duration_ms cpu_ms rss_max_bytes "
        "read_bytes write_bytes why",
    "run_finished": "status passed failed errored cached skipped blocked wall_ms saved_ms critical_path"}
for row in rows:
    wanted = ["event", "at", "run"] + fields[row["event"]].split()
    assert [k for k in row if k in wanted] == wanted, row
    assert row["at"][10] == "T" and row["at"][-1] == "Z" and len(row["at"]) == 24, row
assert len({row["run"] for row in rows}) == 1
life = {}
for row in rows:
    life.setdefault(row.get("task"), []).append(row["event"])
assert life[None] == ["run_started", "run_finished"], life[None]
assert rows[0]["event"] == "run_started" and rows[-1]["event"] == "run_finished"
assert life["a"] == ["task_ready", "task_started", "task_output", "task_output", "task_finished"], life
assert life["b"] == ["task_ready", "task_started", "task_retry", "task_started", "task_finished"], life
ends = {row["task"]: row for row in rows if row["event"] == "task_finished"}
assert ends["a"]["status"] == "passed" and ends["a"]["exit_code"] == 0 and len(ends["a"]["key"]) == 64
assert ends["a"]["rss_max_bytes"] > 0 and ends["a"]["signal"] is None, ends["a"]
assert ends["c"]["status"] == "failed" and ends["c"]["exit_code"] == 7 and "7" in ends["c"]["why"]
assert ends["d"]["status"] == "blocked" and ends["d"]["exit_code"] is None, ends["d"]
assert rows[-1]["status"] == "failed" and rows[-1]["critical_path"], rows[-1]
assert rows[0]["workers"] > 0 and rows[0]["tasks"] == 4
P
expect "events of a failure" 1
holds "events have the fields of their life" python3 check.py first

# Wide and deep, with hits and skips: nothing is told of a task before what it waits for has ended.
awk 'BEGIN { printf "{\"version\":\"1\",\"tasks\":["
    for (i = 0; i < 120; i++) {
        printf "%s{\"name\":\"t%d\",\"command\":\"true\"", i ? "," : "", i
        if (i % 3 == 0) printf ",\"inputs\":[\"in\"]"
        if (i % 17 == 0) printf ",\"when\":\"false\""
        if (i > 2) printf ",\"depends_on\":[\"t%d\",\"t%d\"]", i - 1 - i % 3, int(i / 2)
        printf "}" }
    print "]}" }' >wide.json
project order <wide.json
echo x >in
cat >check.py <<'P'
import json, sys
before = {t["name"]: t.get("depends_on", []) for t in json.load(open("sykli.json"))["tasks"]}
ended = set()
for row in (json.loads(line) for line in open("out")):
    if row.get("task"):
        assert ended.issuperset(before[row["task"]]), row
    if row["event"] == "task_finished": ended.add(row["task"])
assert len(ended) == 120
P
for jobs in 1 2 8; do
    SYKLI_RUN_JOBSERVER=off run --events -j $jobs
    expect "a wide graph" 0
    holds "causes come before what follows from them, -j $jobs" python3 check.py
done

# ---- --junit ----
project junit <<'J'
{"version":"1","tasks":[
 {"name":"good","command":"true","inputs":["in"],"outputs":[]},
 {"name":"bad <&>\"","command":"printf 'first\\n<b>&amp; \\033[31mred\\033[0m \\001 ]]> \\377 \\357\\277\\277\\nlast'; exit 3"},
 {"name":"after","command":"true","depends_on":["bad <&>\""]},
 {"name":"slow","command":"sleep 30","timeout":1},
 {"name":"again","command":"[ -e once ] || { touch once; exit 1; }","retry":1},
 {"name":"off","command":"true","when":"branch == 'nowhere'"}]}
J
echo x >in
run --keep-going --junit report.xml
expect "a run with --junit" 1
cat >check.py <<'P'
import sys, xml.etree.ElementTree as tree
root = tree.parse("report.xml").getroot()
assert root.tag == "testsuites", root.tag
suite = root.find("testsuite")
assert [suite.get(k) for k in "tests failures errors skipped".split()] == ["6", "1", "1", "2"], suite.attrib
case = {c.get("name"): c for c in suite}
bad = case['bad <&>"'].find("failure")
assert bad.get("message") == "exit code 3", bad.attrib
assert bad.text.startswith("first\n<b>&amp; red ") and bad.text.rstrip().endswith("last"), repr(bad.text)
assert "\x1b" not in bad.text
assert case["slow"].find("error") is not None and "timeout" in case["slow"].find("error").get("message")
assert float(case["slow"].get("time")) >= 1
assert case["after"].find("skipped") is not None and case["off"].find("skipped") is not None
assert case["again"].find("properties/property[@name='attempts']").get("value") == "2"
assert len(case["good"]) == (1 if "hit" in sys.argv else 0)
P
holds "JUnit is XML with all of it" python3 check.py
run run good --junit hit.xml
holds "a hit is told" grep -q "<system-out>cache hit from local" hit.xml
run run good --junit /nowhere/x.xml
expect "a report that cannot be written" 1 "!●"
told "/nowhere/x.xml"
holds "nothing half written is left" sh -c '! ls ./*.tmp 2>/dev/null'

# ---- --profile ----
project trace <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"sleep 0.05; cp in made","inputs":["in"],"outputs":["made"]},
 {"name":"other","command":"sleep 0.05"},
 {"name":"use","command":"sleep 0.05; cat made","depends_on":["make"]},
 {"name":"again","command":"[ -e again ] || { touch again; exit 1; }","retry":1}]}
J
echo x >in
run -j 2 --profile cold.json
expect "a run with --profile" 0 "4 passed" "critical path: make → use"
run -j 2 --profile warm.json
cat >check.py <<'P'
import json
def spans(name):
    rows = json.load(open(name))["traceEvents"]
    lanes = {r["tid"]: r["args"]["name"] for r in rows if r["name"] == "thread_name"}
    for tid in {r["tid"] for r in rows if r["ph"] == "X"}:
        ends = 0
        assert lanes[tid].startswith("worker"), lanes
        for r in sorted((r for r in rows if r["ph"] == "X" and r["tid"] == tid), key=lambda r: r["ts"]):
            assert r["ts"] >= ends, r # one task at a time on a lane
            ends = r["ts"] + r["dur"]
    assert any(r["ph"] == "C" and r["args"]["running"] == 2 for r in rows)
    assert len(lanes) <= 3, lanes
    return rows
rows = spans("cold.json")
make = [r for r in rows if r["name"] == "make"][0]
assert make["ph"] == "X" and make["dur"] >= 45000 and make["args"]["status"] == "passed", make
assert len(make["args"]["key"]) == 64 and "cpu_ms" in make["args"], make
assert [r["args"]["attempt"] for r in rows if r["name"] == "again"] == [1, 2]
hit = [r for r in spans("warm.json") if r["name"] == "make"][0]
assert hit["ph"] == "i" and hit["tid"] == 0 and hit["args"]["from"] == "local", hit
P
holds "a trace is lanes and spans" python3 check.py

# ---- --affected ----
project change <<'J'
{"version":"1","tasks":[
 {"name":"lib","command":"cp lib.c lib.o","inputs":["lib.c"],"outputs":["lib.o"]},
 {"name":"app","command":"cat lib.o app.c >app","inputs":["app.c"],"outputs":["app"],"depends_on":["lib"]},
 {"name":"docs","command":"true","inputs":["docs/**"]}]}
J
mkdir docs
touch lib.c app.c docs/a
printf '*.o\napp\nout\nerr\n' >.gitignore
GIT_CEILING_DIRECTORIES=$(cd .. && pwd) run --affected
expect "no repository" 1
told "is in no git repository"
mkdir bin
printf '#!/bin/sh\nkill -9 $$\n' >bin/git
chmod +x bin/git
PATH=$PWD/bin:$PATH run --affected
expect "a git that is killed" 3
told "git did not answer: signal 9"
rm -r bin
git init -q -b main . && git config user.email a@b && git config user.name a
git add . && git commit -q -m first
run --affected
expect "nothing has changed" 0 "no tasks"
git checkout -q -b topic
echo 1 >docs/a
run --affected
expect "what is not committed" 0 "docs" "!lib" "!app"
git commit -q -a -m docs && git checkout -q main && echo 2 >app.c && git commit -q -a -m app
git checkout -q topic
run --affected=main
expect "since the merge base" 0 "docs" "!app"
echo 1 >'docs/new one'
git commit -q --amend -a -m docs
git checkout -q docs/a && git reset -q --hard HEAD~1
run --affected main
expect "a file git does not know" 0 "docs" "!app"
rm 'docs/new one'
echo 1 >lib.c
run --affected -n
expect "what needs it too" 0 "lib" "app" "!docs"
git checkout -q lib.c
echo 1 >app.c
run --affected
expect "and what it needs" 0 "lib" "app" "!docs"
run docs --affected 2>/dev/null
run run docs --affected
expect "only of those that are named" 0 "!app" "!docs"
echo >>sykli.json
run --affected
expect "the pipeline itself" 0 "lib" "app" "docs"
run --affected=nowhere
expect "a base that is none" 1
told "nowhere is no commit"
run --affected --json --affected=docs
expect "a task for a base" 1 '"code":"base_not_found"' "sykli run docs --affected"
GITHUB_BASE_REF=gone run --affected
expect "the base of a pull request" 1
told "origin/gone"
PATH=/nowhere run --affected
expect "no git" 3
told "install git"

# ---- --scope, --log-dir, --output ----
run run lib --scope pr
expect "isolation that is not there" 1
told "--scope pr needs tasks to be isolated"
run run lib --scope trusted --no-cache --log-dir "$work/logs"
expect "a trusted scope" 0 "lib"
run run lib --scope prr
expect "an unknown scope" 2
told "pr"
# Of a repository within another git names the folder, not what has changed in it.
project outer <<'J'
{"version":"1","tasks":[
 {"name":"file","command":"true","inputs":["inner/in.c"]},
 {"name":"below","command":"true","inputs":["inner/**/*.c"]},
 {"name":"any","command":"true","inputs":["**/*.c"]},
 {"name":"similar","command":"true","inputs":["inner.c","inn/*","innermost/*"]},
 {"name":"elsewhere","command":"true","inputs":["lib.c"]}]}
J
git init -q -b main .
printf 'out\nerr\n' >.gitignore
git init -q -b main ../inner
for dir in ../inner .; do git -C $dir config user.email a@b; git -C $dir config user.name a; done
(cd ../inner && echo 1 >in.c && git add . && git commit -q -m inner)
git -c protocol.file.allow=always submodule --quiet add ../inner inner
git add . && git commit -q -m submodule
run --affected -n
expect "a submodule that is as it was" 0 "no tasks"
echo 2 >inner/in.c
run --affected -n
expect "a change in a submodule" 0 "▸  file" "▸  below" "▸  any" "!similar" "!elsewhere"
git -C inner -c user.email=a@b -c user.name=a commit -q -a -m two
run --affected -n
expect "committed there" 0 "▸  file" "▸  below" "▸  any" "!similar" "!elsewhere"
git commit -q -a -m two
run --affected=HEAD~1 -n
expect "and taken over here" 0 "▸  file" "▸  below" "▸  any" "!similar" "!elsewhere"
mv inner/.git inner-git && git rm -q -r --cached inner .gitmodules && git commit -q -m none
rm -rf inner .gitmodules && git init -q inner && echo 1 >inner/in.c
run --affected -n
expect "a repository git does not know" 0 "▸  file" "▸  below" "▸  any" "!similar" "!elsewhere"

finish
