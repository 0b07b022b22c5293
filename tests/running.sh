#!/bin/sh
# How tasks run, seen from the command line: failures, retries, timeouts, silence, terminals, what
# is said of them, make's jobserver both ways, and a run that is killed and gone on with.
set -u
unset SYKLI_STATE SYKLI_CACHE SYKLI_CONFIG MAKEFLAGS MAKELEVEL MFLAGS
root=$(pwd)
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/running
rm -rf "$work"
mkdir -p "$work/home"
export HOME="$work/home" XDG_CACHE_HOME="$work/cache" XDG_STATE_HOME="$work/state" NO_COLOR=1
cd "$work" || exit 1
passed=0 failed=0
ok() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL $1"; tail -n 15 out err 2>/dev/null | sed 's/^/    /'; }
check() { # WHAT COMMAND...: it holds
    what=$1
    shift
    if "$@"; then ok; else fail "$what"; fi
}
run() {
    code=0
    timeout 60 "$sykli" run "$@" >out 2>err </dev/null || code=$?
}
has() { grep -qF -- "$1" out; }
# task NAME PATTERN: how it ended, from --events.
task() { grep '"event":"task_finished"' out | grep -F "\"task\":\"$1\"" | grep -qF -- "$2"; }
pipeline() { # NAME COMMAND MORE lines: "name|command|more"
    sed 's/^\([^|]*\)|\([^|]*\)|\(.*\)$/{"name":"\1","command":"\2"\3}/' | paste -s -d , |
        sed 's/.*/{"version":"1","tasks":[&]}/' >sykli.json
}

# ---- failures ----
pipeline <<'E2'
bad|sleep 0.1; exit 3|
long|sleep 0.3|
other|sleep 0.3; : >other-ran|,"depends_on":["long"]
behind|: >behind-ran|,"depends_on":["bad"]
E2
run --events -j 2
check "fail fast: exit 1" [ $code = 1 ]
check "fail fast: what runs may end" task long '"status":"passed"'
check "fail fast: nothing new starts" task other '"status":"blocked"'
check "fail fast: it says why" task other "'bad' failed first"
check "fail fast: nothing new has run" [ ! -e other-ran ]
run --events --keep-going -j 2
check "keep going: only what follows is blocked" task behind '"status":"blocked"'
check "keep going: it says why" task behind "needs 'bad'"
check "keep going: the rest runs" [ -e other-ran ]
check "keep going: what follows has not run" [ ! -e behind-ran ]

# ---- retries ----
pipeline <<'E2'
flaky|echo x >>tries; test $(wc -l <tries) = 3|,"retry":2
E2
run --events
check "retries: the third time passes" task flaky '"status":"passed"'
check "retries: the first at once" has '"attempt":1,"in_ms":0'
wait_ms=$(sed -n 's/.*"task_retry".*"attempt":2,"in_ms":\([0-9]*\).*/\1/p' out)
check "retries: the next after a second, give or take a fifth" \
    test "${wait_ms:-0}" -ge 800 -a "${wait_ms:-0}" -le 1200

# ---- time and silence ----
pipeline <<'E2'
slow|sleep 30|,"timeout":1
silent|echo a; sleep 30|
talks|for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done|
E2
run --events --keep-going --stall 500ms
check "timeout" task slow '"status":"errored"'
check "silence" task silent '"status":"errored"'
check "silence: it says so" task silent 'stalled: no output for 500ms'
check "whoever talks may take long" task talks '"status":"passed"'
run --stall soon
check "a bad --stall is refused" [ $code = 2 ]

# ---- a terminal ----
pipeline <<'E2'
asks|test -t 1 && test -t 2 && stty size <&1|
quiet|! test -t 1 && ! test -t 2|
E2
run --events --pty 'a*'
check "a terminal for those named" task asks '"status":"passed"'
check "it has a size" has '24 120'
check "and for nobody else" task quiet '"status":"passed"'

# ---- what is said of a task ----
pipeline <<'E2'
worker|i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; dd if=/dev/zero of=big bs=64k count=64|
E2
run --events
check "peak memory in events" grep -q '"rss_max_bytes":[1-9]' out
check "disk writes in events" grep -q '"write_bytes":[0-9]' out
check "peak memory in the record" grep -q '"cpu_ms":.*"rss_max_bytes":[1-9].*"write_bytes":' \
    "$(find .sykli/runs -name '*.jsonl' | sort | tail -n 1)"
# The row of a task is written when it has begun: it may look before.
cat >sykli.json <<'E2'
{"version":"1","tasks":[{"name":"look","timeout":30,"command":"until $SYKLI query \"SELECT kill FROM procs WHERE kind = 'task'\" --format csv >kills; test $(wc -l <kills) -gt 1; do sleep 0.02; done; $SYKLI query 'SELECT rss_max_bytes, read_bytes, write_bytes FROM tasks' >columns","env":{"SYKLI":"@"}}]}
E2
sed -i "s|@|$sykli|" sykli.json
run
check "the row says how all of it is found" grep -Eq '^(group|scan|cgroup)' kills
check "the figures are columns" grep -q write_bytes columns

# ---- a terminal that is stopped: nobody reads what the run prints ----
mkfifo pipe
for how in "--output stream" --events; do
    rm -rf flooded .sykli/runs
    cat >sykli.json <<'E2'
{"version":"1","tasks":[{"name":"late","command":"sleep 30","timeout":1},
{"name":"flood","command":"yes 0123456789abcdef | head -n 500000; : >flooded"}]}
E2
    exec 3<>pipe
    # shellcheck disable=SC2086
    "$sykli" run -k $how >pipe 2>err 3>&- </dev/null &
    pid=$!
    tries=0
    until [ -e flooded ] && grep -q '"ended_ms"' .sykli/runs/*.jsonl 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -gt 200 ] && break
        sleep 0.05
    done
    check "not read, $how: the run comes to its end" [ $tries -le 200 ]
    timeout 20 cat <&3 >out &
    reader=$!
    wait $pid
    check "not read, $how: and says so once it is read" [ $? = 1 ]
    exec 3>&-
    tries=0
    until grep -q ' lines .*left out' out; do # the rest is still in the pipe
        tries=$((tries + 1))
        [ $tries -gt 100 ] && break
        sleep 0.05
    done
    kill $reader
    wait $reader 2>/dev/null
    check "not read, $how: a mark is where lines are missing" grep -q ' lines .*left out' out
done

# ---- make's jobserver ----
# Each job notes how many there are while it runs, and waits for TOGETHER to have met, not for ever.
cat >job <<'E2'
: >running/$1
set -- $1 running/*
echo $(($# - 1)) >>seen
tries=0
until [ "$(sort -n seen | tail -n 1)" -ge ${TOGETHER-1} ] || [ $((tries += 1)) -gt 100 ]; do
    sleep 0.05
done
sleep ${SLEEP-0.1}
rm -f running/$1
E2
most() { sort -n seen | tail -n 1; }
again() { rm -rf seen running && mkdir running; }
if make --version 2>/dev/null | grep -q "^GNU Make"; then
    cat >Makefile <<'E2'
some: $(foreach n,1 2 3 4 5 6,$(T)$(n).)
%.:
	@sh job $@
hold: $(foreach n,1 2 3 4,$(T)$(n)!)
%!:
	@trap '' TERM; sleep 30
E2
    pipeline <<'E2'
a|make -s T=a|
b|make -s T=b|
E2
    again
    TOGETHER=2 run -j 3
    check "server: both pass" [ $code = 0 ]
    check "server: make shares our workers" [ "$(most)" -le 3 ]
    check "server: and does use them" [ "$(most)" -ge 2 ]
    again
    SYKLI_RUN_JOBSERVER=off run -j 1
    check "off: make is alone" [ "$(most)" = 1 ]

    # A task is killed while its make holds both tokens: the next has them all again.
    cat >sykli.json <<'E2'
{"version":"1","tasks":[{"name":"killed","command":"make -s hold T=k","timeout":1},
{"name":"next","command":"until test -e running/go; do sleep 0.05; done; make -s T=n"}]}
E2
    again
    (sleep 1.3; : >running/go; rm running/go; : >running/go) &
    SYKLI_KILL_GRACE=0ms SLEEP=0.3 run -k -j 3 --events
    wait
    check "killed" task killed '"signal":9'
    check "after a kill: the next passes" task next '"status":"passed"'

    pipeline <<'E2'
a|sh job a|
b|sh job b|
c|sh job c|
d|sh job d|
e|sh job e|
stuck|sleep 30|,"timeout":1
E2
    printf 'all:\n\t+@"%s" run -k -j 8 -q; :\n' "$sykli" >outer
    again
    TOGETHER=2 timeout 60 make -f outer -j3 >out 2>err </dev/null
    check "client: no more at once than make allows" [ "$(most)" -le 3 ]
    check "client: as many as it allows" [ "$(most)" -ge 2 ]
    check "client: all have run" [ "$(wc -l <seen)" = 5 ]
    check "client: every token is back" test ! -s err
    # To a recipe without the plus make before 4.4 gives the numbers, and not the descriptors. The
    # fifo of later ones is there for all.
    printf 'all: a b\na b:\n\t@if [ $@ = a ]; then "%s" run -k -j 8 -q; fi; :\n' "$sykli" >outer
    again
    if make --help | grep -q jobserver-style; then
        TOGETHER=2 timeout 60 make -f outer -j2 >out 2>err </dev/null
        check "client by name: no more at once than make allows" [ "$(most)" -le 2 ]
        style=--jobserver-style=pipe
        again
    fi
    TOGETHER=4 timeout 60 make -f outer -j2 ${style-} >out 2>err </dev/null
    check "no client: what make closed is not taken for it" [ "$(most)" -ge 4 ]
fi

# The form of make 4.4: a fifo with a name, which the test keeps open in its place. Whoever takes a
# byte has to give that byte back, however its task ends.
mkfifo tokens
exec 7<>tokens
export MAKEFLAGS=" -j3 --jobserver-auth=fifo:$work/tokens"
left() { timeout 5 dd bs=64 count=1 <&7 2>/dev/null | fold -w 1 | sort | tr -d '\n'; }
fifo() { # WHAT HOW-MANY-AT-ONCE: what is in the fifo is there again; so many ran at once
    check "fifo, $1: every token is back" [ "$(left)" = "ab" ]
    check "fifo, $1: no more at once than it allows" [ "$(most)" -le $2 ]
    printf ab >&7
}
pipeline <<'E2'
a|sh job a|
b|sh job b|
c|sh job c|
d|sh job d|
e|sh job e; echo $MAKEFLAGS >flags|
E2
printf ab >&7
again
TOGETHER=2 run -j 8
check "fifo: all pass" [ $code = 0 ]
check "fifo: as many at once as it allows" [ "$(most)" -ge 2 ]
check "fifo: the tasks are told of it" grep -q -- "--jobserver-auth=fifo:$work/tokens" flags
fifo "passed" 3
again
taken=$(dd bs=1 count=2 <&7 2>/dev/null) # by somebody else, all the time
run -j 8
check "fifo: with no token there is one task at once" [ "$(most)" = 1 ]
printf %s "$taken" >&7
fifo "none free" 1

pipeline <<'E2'
a|sh job a; kill -9 $$|
b|sh job b; kill -9 $$|
c|sh job c; kill -9 $$|
slow|sh job slow; exec sleep 30|,"timeout":1
gone|./nonesuch|
E2
again
SYKLI_KILL_GRACE=0ms run -k -j 8 --events
check "fifo: killed" task a '"signal":9'
check "fifo: too slow" task slow timeout
fifo "tasks that are killed" 3

pipeline <<'E2'
a|: >running/a; exec sleep 30|
b|: >running/b; exec sleep 30|
c|: >running/c; exec sleep 30|
d|: >running/d; exec sleep 30|
E2
for signal in INT TERM HUP; do
    again
    echo 3 >seen
    "$sykli" run -j 8 >out 2>err </dev/null &
    pid=$!
    tries=0
    until set -- running/* && [ $# = 3 ] || [ $tries -gt 400 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    check "fifo, $signal: three run" [ $tries -le 400 ]
    kill -$signal $pid
    code=0
    wait $pid || code=$?
    check "fifo, $signal: the run ends" [ $code -gt 128 ]
    set -- running/*
    check "fifo, $signal: the fourth has not begun" [ $# = 3 ]
    fifo "$signal" 3
done
unset MAKEFLAGS
exec 7>&-

# ---- a run that is killed ----
pipeline <<'E2'
first|echo x >>first-ran|,"inputs":["job"]
second|echo x >>second-ran; test -e go && exit 0; sleep 30|,"depends_on":["first"]
third|echo x >>third-ran|,"depends_on":["second"]
named|echo x >>named-ran|,"depends_on":["second"],"ai_hooks":{"select":"manual"}
E2
: >job
"$sykli" run --events >out 2>err </dev/null &
pid=$!
while ! [ -e second-ran ]; do kill -0 $pid 2>/dev/null || break; done
kill -9 $pid
wait $pid 2>/dev/null
: >go
"$sykli" history >out 2>&1
check "history after kill -9" has interrupted
run --rerun-failed --events
check "resumed: it passes" [ $code = 0 ]
check "resumed: what was done is not done again" [ "$(wc -l <first-ran)" = 1 ]
check "resumed: the rest is" [ -e third-ran ]
check "resumed: but what runs only when it is named" [ ! -e named-ran ]

echo "running: $passed passed, $failed failed"
[ "$failed" = 0 ]
