#!/bin/sh
# The zoo: tasks that behave badly, all at once beside tasks that do not. Each ends as it should,
# nothing of it is left, its neighbours do not notice, and the runner stays small.
#   ZOO_FLOOD=BYTES   what the flooding tasks print; 64 MiB
set -u
unset SYKLI_STATE SYKLI_CACHE SYKLI_CONFIG
root=$(pwd)
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/zoo
flood=${ZOO_FLOOD:-67108864}
rm -rf "$work"
mkdir -p "$work/home"
export HOME="$work/home" XDG_CACHE_HOME="$work/cache" XDG_STATE_HOME="$work/state" NO_COLOR=1
cd "$work" || exit 1
passed=0 failed=0
ok() { passed=$((passed + 1)); }
fail() { failed=$((failed + 1)); echo "FAIL $1"; }
${CC:-cc} -O1 "$root/tests/zoo.c" -o zoo || exit 1

mark=zoo-$$
# How many processes have the mark. The brackets keep grep from finding itself.
left() { grep -sl "[z]oo-$$" /proc/[0-9]*/cmdline | wc -l; }
# The same when they have had a second for it: what is killed needs a processor to die.
left_at_last() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(left)" = 0 ] && break
        sleep 0.1
    done
    left
}
tasks() { sed 's/.*/{&}/' "$1" | paste -s -d , | sed 's/.*/{"version":"1","tasks":[&]}/'; }
add() { # NAME COMMAND [MORE]
    printf '"name":"%s","command":"%s"%s\n' "$1" "$2" "${3-}" >>list
    names="$names $1"
}
# ended NAME PATTERN...: the last event of that task has each of them.
ended() {
    name=$1
    shift
    grep '"event":"task_finished"' events | grep -F "\"task\":\"$name\"" >one
    for pattern in "$@"; do
        grep -qF -- "$pattern" one || { fail "$way: $name: wanted $pattern in $(cat one)"; return; }
    done
    ok
}

signals="1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 24 25 26 27 29 30 31 34 64"
printf 'true\n' >denied
printf 'echo from a script\n' >script
printf '\177ELF nonsense' >nonsense
chmod 755 script nonsense
mkdir folder
: >list
names=
timeout=',"timeout":1'
add stubborn "./zoo stubborn $mark" "$timeout"
add stopped "./zoo stopped $mark" "$timeout"
add bomb "./zoo bomb $mark 150" "$timeout"
add daemon "./zoo daemon $mark"
add ghost "./zoo ghost $mark"
add holder "./zoo holder $mark"
add regroup "./zoo regroup $mark"
add closed "./zoo closed $mark"
add flood "./zoo flood $mark $flood"
add endless "./zoo endless $mark $flood"
add absent "./nonesuch"
add denied "./denied"
add folder "./folder"
add nonsense "./nonsense"
add script "./script"
add large "/bin/echo $(head -c 140000 /dev/zero | tr '\0' a)"
for signal in $signals; do add "die$signal" "./zoo die $mark $signal"; done
# Neighbours, one with a child, that live longer than any of them.
add calm "sleep 1.9; echo calm"
add family "sleep 1.8 & wait \$!; echo calm"
tasks list >sykli.json
sleep 600 & # and one that is not ours at all
stranger=$!

SYKLI_KILL_GRACE=300ms SYKLI_LEFTOVER_GRACE=200ms SYKLI_LOG_MAX_BYTES=1MiB
export SYKLI_KILL_GRACE SYKLI_LEFTOVER_GRACE SYKLI_LOG_MAX_BYTES
for way in cgroup scan; do
    [ $way = cgroup ] && SYKLI_KILL_CGROUPS=on || SYKLI_KILL_CGROUPS=off
    export SYKLI_KILL_CGROUPS
    ./zoo peak memory "$sykli" run --events --output none --keep-going -j 64 \
        >events 2>errors
    code=$?
    found=$(left_at_last)
    [ "$code" = 1 ] && ok || fail "$way: exit $code; $(tail -n 3 errors)"
    [ "$found" = 0 ] && ok || fail "$way: $found processes are left"
    kill -0 $stranger && ok || fail "$way: a stranger was killed"
    ended stubborn '"status":"errored"' '"signal":9' timeout
    ended stopped '"status":"errored"' timeout
    ended bomb '"status":"errored"' '"signal":9' timeout
    for name in daemon ghost holder; do ended $name '"status":"passed"'; done
    ended regroup '"status":"failed"' '"exit_code":3'
    ended closed '"status":"failed"' '"exit_code":5'
    ended flood '"status":"failed"' '"exit_code":4'
    ended endless '"status":"failed"' '"exit_code":4'
    ended absent '"status":"failed"' '"exit_code":127'
    for name in denied folder large; do ended $name '"status":"failed"' '"exit_code":126'; done
    ended nonsense '"status":"failed"' # the shell's word: ENOEXEC goes to it
    ended script '"status":"passed"'
    for signal in $signals; do ended "die$signal" '"status":"failed"' "\"signal\":$signal,"; done
    for name in calm family; do ended $name '"status":"passed"'; done
    for name in flood endless; do
        log=.sykli/logs/$name.log
        [ -f $log ] || log=$(find .sykli -name "$name*.log" | head -n 1)
        size=$(wc -c <"$log")
        # The cut is marked, and behind it is the end of what was printed.
        if [ "$size" -le 1065100 ] && grep -aq "^\[sykli: log cut at 1048576" "$log" &&
            tail -c 40 "$log" | grep -q '^x*$'; then
            ok
        else fail "$way: $name: a log of $size bytes"; fi
    done
    echo "$way: at most $(cat memory) KiB"
done

# ---- bombs under a limit: many more than it fork until nobody lets them ----
: >list
add bomb "./zoo bomb $mark 5000"
add leaver "./zoo bomb $mark 5000 & exit 0" # nobody is left whom to ask for the end
add under "./zoo bomb $mark 20 & sleep 1; kill -9 0" # no more than it may
add few "./zoo bomb $mark 5000" ',"processes":40'
add many "./zoo bomb $mark 120 & sleep 1; kill -9 0" ',"processes":1000'
add calm "sleep 1.9; echo calm"
add family "sleep 1.8 & wait \$!; echo calm"
tasks list >sykli.json
for way in cgroup scan; do
    [ $way = cgroup ] && SYKLI_KILL_CGROUPS=on || SYKLI_KILL_CGROUPS=off
    SYKLI_RUN_PROCESSES=100 "$sykli" run --events --output none --keep-going -j 64 \
        >events 2>errors
    found=$(left_at_last)
    [ "$found" = 0 ] && ok || fail "limit, $way: $found processes are left"
    kill -0 $stranger && ok || fail "limit, $way: a stranger was killed"
    ended bomb '"status":"errored"' '"signal":9' 'more than 100 processes at once'
    ended leaver '"exit_code":0' # passed, unless the limit was met before its end was seen
    ended under '"status":"failed"' '"signal":9'
    ended few '"status":"errored"' '"signal":9' 'more than 40 processes at once (processes)'
    ended many '"status":"failed"' '"signal":9' # its own limit, not that of the run
    for name in calm family; do ended $name '"status":"passed"'; done
done
kill $stranger

echo '{"version":"1","tasks":[{"name":"calm","command":"/bin/true"}]}' >sykli.json
./zoo peak calm "$sykli" run -q >/dev/null 2>&1
[ "$(cat memory)" -le $(($(cat calm) + 8192)) ] && ok ||
    fail "the runner grew from $(cat calm) to $(cat memory) KiB"

echo "zoo: $passed passed, $failed failed"
[ "$failed" = 0 ]
