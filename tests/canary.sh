#!/bin/sh
# Secrets that tasks print in every usual spelling, at once and in pieces: afterwards none of their
# bytes is in a log, the store, an entry, a row file, an event, a report, the history, a command
# line, the environment of the run's process as others see it, or the memory of the node beside
# which it ran; and neither leaves a core file.
set -u
root=$(pwd)
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/canary
rm -rf "$work"
mkdir -p "$work/home" "$work/project" "$work/found"
export HOME="$work/home" SYKLI_STATE="$work/state" SYKLI_CACHE="$work/cache" NO_COLOR=1
export SYKLI_CONFIG=/dev/null
cd "$work/project" || exit 1
passed=0 failed=0
holds() {
    if [ "$2" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1"; fi
}

word=canaryWORDkq7zvx3mfh2
hard="canary p@ss/w+rd\"q'uo\$te&<t>ag\\ é end"
lines=$(printf '%s\n' '-----BEGIN CANARY KEY-----' 'canaryLINEaQ9wZ4rT8yU1iO3pS6dF' \
    'canaryLINEbG7hJ2kL5zX0cV8bN4mQ' '-----END CANARY KEY-----')

# What a task does with a secret. It is a file of its own, so that the pipeline says nothing of it.
cat >leak <<'L'
#!/bin/sh
value=$(printenv "$1")
say() { printf '%s\n' "$value"; }
percent() { # $1: of hexadecimal digits
    printf '%s' "$value" | od -An -v -tx1 | tr -d ' \n' | tr a-f "$1" | sed 's/../%&/g'
    echo
}
say
say >&2
printf '%s %s%s\n' "$value" "$value" "$value"
printf 'x%sy\n' "$value"
for before in '' a ab; do # the three alignments
    printf '%s%s' "$before" "$value" | base64
    printf '%s%s' "$before" "$value" | base64 -w 0
    printf '%s%s and more\n' "$before" "$value" | base64 -w 0
    printf '%s%s' "$before" "$value" | base64 -w 0 | tr '+/' '-_' | tr -d =
    echo
done
say | base64
printf '%s' "$value" | od -An -v -tx1 | tr -d ' \n'
echo
printf '%s' "$value" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F
echo
printf '%s' "$value" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
printf '%s' "$value" | sed 's/[$"\\`]/\\&/g; 1s/^/"/; $s/$/"/'
echo
set -x
: "$value"
set +x
if command -v python3 >/dev/null; then
    python3 -c 'import json,os,shlex,sys,urllib.parse as u
v = os.environ[sys.argv[1]]
for t in (json.dumps(v), json.dumps(v, ensure_ascii=False), json.dumps({"a": [v]}), shlex.quote(v),
          u.quote(v), u.quote_plus(v), u.quote(v, safe=""), u.urlencode({"k": v})): print(t)' "$1"
fi
if command -v bash >/dev/null; then
    bash -c 'printf "%q\n" "$1"' bash "$value"
    LC_ALL=C bash -c 'printf "%q\n" "$1"' bash "$value"
fi
# In pieces: each byte is a write of its own.
say | dd bs=1 2>/dev/null
printf '%s' "$value" | base64 -w 0 | dd bs=1 2>/dev/null
echo
printf '%s' "$value" | dd bs=3 2>/dev/null # no newline at the end
exit "${2-0}"
L
# What another task sees while the run runs: command lines, environments, rows. Root may open all of
# it, another user nothing that could hold a value.
cat >look <<'L'
#!/bin/sh
node=$(cat ../node.pid)
cat /proc/$PPID/cmdline /proc/$node/cmdline ../state/rows/* >../found/seen 2>/dev/null
cat /proc/$PPID/environ >../found/run-env 2>/dev/null
cat /proc/$node/environ >../found/node-env 2>/dev/null
for pid in $PPID $node; do
    for file in environ mem; do
        if (: </proc/$pid/$file) 2>/dev/null; then echo open; else echo shut; fi
    done
done >../doors
exit 0
L
chmod +x leak look
echo input >input
cat >sykli.json <<'J'
{"version":"1","tasks":[
 {"name":"word","command":"./leak WORD","secrets":["WORD"],"inputs":["input"]},
 {"name":"hard","command":"./leak HARD","secrets":["HARD"],"inputs":["input"]},
 {"name":"lines","command":"./leak LINES","secrets":["LINES"],"inputs":["input"]},
 {"name":"fails","command":"./leak WORD 3","secrets":["WORD"]},
 {"name":"look","command":"./look","depends_on":["word","hard","lines"]}]}
J

# What must be nowhere: raw, and the middles of the other spellings, which no neighbour changes.
# The wrapped lines of a key are secrets of their own.
{
    printf '%s\n' "$word" 'canary p@ss' "q'uo\$te" 'w+rd' 'uo$te&<t>ag' '$te&<t>' canaryLINEa \
        canaryLINEb aQ9wZ4rT8yU1iO3pS6dF G7hJ2kL5zX0cV8bN4mQ p%40ss p%2540ss p@ss%2F 'te&<t' \
        'te%26%3C' 'te%26%3c' 'te\u0026' 'p\@ss' 'te\&\<t' "q'\\''uo" "q'\"'\"'uo" "q\\'uo"
    for value in "$word" 'canary p@ss/w+rd"' canaryLINEaQ9wZ4rT8yU1iO3pS6dF; do
        printf '%s' "$value" | od -An -v -tx1 | tr -d ' \n' | cut -c 9-40
        printf '%s' "$value" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F | cut -c 9-40
        for before in '' a ab; do
            printf '%s%s' "$before" "$value" | base64 -w 0 | cut -c 5-20
            printf '%s%s' "$before" "$value" | base64 -w 0 | tr '+/' '-_' | cut -c 5-20
        done
    done
} | sort -u >../patterns

# ---- beside a node, which must learn nothing ----
"$sykli" node --name canary --detach >../found/node 2>&1
"$sykli" node status | sed -n '1s/.*, pid \([0-9]*\)$/\1/p' >../node.pid
export WORD="$word" HARD="$hard" LINES="$lines"
run() {
    into=$1
    shift
    "$sykli" "$@" >"../found/$into" 2>"../found/$into.err" </dev/null
}
options=$("$sykli" run --help)
has() { case $options in *"--$1"*) return 0 ;; *) return 1 ;; esac; }
run stream run --keep-going --output stream
holds "the tasks ran" "$(grep -q '4 passed' ../found/stream && echo yes)"
holds "the node took a run that has secrets" \
    "$(grep -q 'without the node' ../found/stream.err || echo yes)"
holds "they printed, masked" "$(grep -q '\*\*\*' ../found/stream && echo yes)"
run again run --keep-going --output all
holds "what hits says it again, or nothing" "$(grep -q '3 cached' ../found/again && echo yes)"
run json run --keep-going --json --refresh
run events run --keep-going --events --refresh
holds "events tell the output" "$(grep -q 'task_output.*\*\*\*' ../found/events && echo yes)"
if has junit; then run junit.out run --keep-going --refresh --junit ../found/junit.xml; fi
if has profile; then run profile.out run --keep-going --refresh --profile ../found/profile.json; fi
if has dry-run; then run dry run --dry-run; fi
run logdir run --keep-going --refresh --log-dir "$work/found/logs"
for task in word hard lines fails; do run "logs-$task" logs $task; done
run history history --json
run explain explain word
run query query 'SELECT * FROM events'
for table in tasks runs procs actions blobs config; do run "q-$table" query "SELECT * FROM $table"; done

# ---- the oracle ----
holds "the row files were looked at" "$([ -s ../found/seen ] && echo yes)"
found=$(cd .. && LC_ALL=C grep -rlaF -f patterns found state cache home project/.sykli 2>/dev/null)
holds "no secret is left behind" "$([ -z "$found" ] && echo yes)"
for file in $found; do
    echo "  $file:"
    (cd .. && LC_ALL=C grep -aoF -f patterns "$file" | sort | uniq -c | head -n 8 | sed 's/^/    /')
done
# The patterns are good: what leaks without masks is found by most of them.
for name in WORD HARD LINES; do ./leak $name; done >../plain 2>&1
hits=$(LC_ALL=C grep -aoF -f ../patterns ../plain | sort -u | wc -l)
holds "the oracle sees: $hits spellings" "$([ "$hits" -ge 25 ] && echo yes)"

if [ -r /proc/self/environ ]; then
    doors=$(sort -u ../doors | tr '\n' ' ')
    if [ "$(id -u)" = 0 ]; then
        holds "root looked into both" "$([ "$doors" = "open " ] && echo yes)"
        holds "at the names of what was there" \
            "$(tr '\0' '\n' <../found/run-env | grep -q '^WORD=$' && echo yes)"
        holds "and the node keeps less" "$(grep -qa 'HOME=/.*SYKLI_STATE=/' ../found/node-env &&
            echo yes)"
    else holds "nobody may look into either: $doors" "$([ "$doors" = "shut " ] && echo yes)"
    fi
fi

# The memory of the node, as a core file would keep it.
pid=$(cat ../node.pid)
if command -v python3 >/dev/null && [ -r "/proc/$pid/mem" ]; then
    python3 - "$pid" ../patterns >../memory <<'P'
import sys
pid, patterns = sys.argv[1], open(sys.argv[2], "rb").read().split(b"\n")[:-1]
seen = total = 0
try: memory = open(f"/proc/{pid}/mem", "rb", 0)
except OSError: print("not to be read"); sys.exit()
for line in open(f"/proc/{pid}/maps"):
    span, mode = line.split()[:2]
    first, last = (int(x, 16) for x in span.split("-"))
    if not mode.startswith("r"): continue
    try:
        memory.seek(first)
        text = memory.read(last - first)
    except (OSError, OverflowError): continue # the kernel's own pages
    total += len(text)
    seen += sum(p in text for p in patterns)
print(f"{seen} of {total > 1000000}")
P
    case $(cat ../memory) in
    not*) echo "the memory of the node is not to be read here" ;;
    *) holds "no secret is in the memory of the node: $(cat ../memory)" \
           "$([ "$(cat ../memory)" = "0 of True" ] && echo yes)" ;;
    esac
fi

# ---- run after run in one process, beside the same node ----
cat >again.json <<'J'
{"version":"1","tasks":[{"name":"a","command":"./leak WORD >/dev/null","secrets":["WORD"],
"inputs":["input"]}]}
J
unset HARD LINES
: >../found/watch
"$sykli" run --watch --file again.json >>../found/watch 2>&1 </dev/null &
watcher=$!
for count in 1 2; do
    tries=0
    until [ "$(grep -c 'waiting for changes' ../found/watch)" -ge $count ]; do
        tries=$((tries + 1))
        [ $tries -lt 200 ] || break
        sleep 0.05
    done
    holds "watching: run $count ends" "$([ $tries -lt 200 ] && echo yes)"
    (cat "/proc/$watcher/environ" >>../found/watch-env) 2>/dev/null
    echo $count >>input
done
kill $watcher
wait $watcher 2>/dev/null
holds "watching: no run was refused by the node" "$(grep -q 'without the node' ../found/watch ||
    echo yes)"
holds "watching: no value comes back" "$(LC_ALL=C grep -qaF -f ../patterns ../found/watch* ||
    echo yes)"

# ---- core files: none of a run with secrets, nor of a node; those of tasks as ever ----
cores() { find . -maxdepth 1 -name 'core*' | wc -l; }
aborts() { # NAME COMMAND MORE: a run whose task does so; how many core files there are then
    mkdir "../core-$1" && cd "../core-$1" || exit 1
    printf '{"version":"1","tasks":[{"name":"a","command":"%s"%s}]}' "$2" "$3" >sykli.json
    { (ulimit -c unlimited && exec "$sykli" run --no-cache) </dev/null; } >/dev/null 2>&1
    cores
}
own='kill -ABRT $$' runner='kill -ABRT $PPID; exec sleep 1'
if [ "$(ulimit -H -c)" = unlimited ] && [ "$(aborts plain "$runner" '')" = 1 ]; then
    holds "a task leaves its core file" "$([ "$(aborts task "$own" ',"secrets":["WORD"]')" = 1 ] &&
        echo yes)"
    holds "a run with secrets leaves none" \
        "$([ "$(aborts run "$runner" ',"secrets":["WORD"]')" = 0 ] && echo yes)"
    "$sykli" node stop >/dev/null 2>&1
    mkdir ../core-node && cd ../core-node || exit 1
    (ulimit -c unlimited && exec "$sykli" node --name canary) >out 2>&1 &
    pid=$!
    tries=0
    until grep -q listening out || [ $tries -gt 200 ]; do
        tries=$((tries + 1))
        sleep 0.05
    done
    kill -ABRT $pid
    wait $pid 2>/dev/null
    code=$?
    holds "a node leaves none: $code" "$([ "$code" = 134 ] && [ "$(cores)" = 0 ] && echo yes)"
else echo "core files are not made here"
fi
"$sykli" node stop >/dev/null 2>&1
unset WORD

echo "canary: $passed passed, $failed failed"
[ "$failed" = 0 ]
