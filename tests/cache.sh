#!/bin/sh
# The cache as people use it: what a hit shows, what is in the store, what goes when there is no
# room, what becomes of damage and of a full disk.
name=cache
. tests/cli.inc
export SYKLI_CACHE="$work/cache" SYKLI_STATE="$work/state" SYKLI_CONFIG="$work/sykli.yaml"
out=$work/out err=$work/err

# member NAME: a number in the JSON that was printed.
member() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$out"; }

# ---- what a hit shows ----
project logs <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"echo making; echo oops >&2; cat in in >out","inputs":["in"],"outputs":["out"]},
 {"name":"quiet","command":"true","inputs":["in"]}]}
J
echo one >in
run run
expect "a first run" 0 "2 passed"
rm -f out
run run
expect "a second run" 0 "2 cached" "!│"
run logs make
expect "the log of a hit" 0 "making" "oops"
run logs quiet
expect "one that printed nothing" 1
run run --output all
expect "all output of hits" 0 "│ making" "│ oops"
run run --output stream
expect "the output of hits, streamed" 0 "make | making" "2 cached"
run run --events
expect "events of hits stay short" 0 "!task_output"
run run --output stream --events
expect "unless they are wanted" 0 '"event":"task_output","at"' '"text":"making"'

# ---- looking ----
run cache stats --json
expect "stats" 0 "\"location\":\"$work/cache\"" '"tasks":2' '"blobs":2' '"total_size_human":"' \
    '"max_size_bytes":21474836480'
run cache ls
expect "ls" 0 "TASK" "make" "quiet"
run cache ls --json
expect "ls for machines" 0 '"task":"make"' '"used_at"' '"size_bytes"'
key=$(sed -n 's/.*"key":"\([0-9a-f]*\)","task":"make".*/\1/p' "$out")
run cache fetch "$key"
expect "a result by its key" 0 '"origin_task":"make"' '"path":"out"'
id=$(sed -n 's/.*"path":"out","alg":"sha256tree","digest":"\([0-9a-f]*\)".*/\1/p' "$out")
run cache fetch "$(echo "$id" | cut -c1-12)"
expect "a blob by the beginning of its id" 0 "one"
run cache fetch "$id" -o got
expect "a blob into a file" 0
holds "is the output" cmp got out
run cache fetch "$id" --output /nowhere/got
expect "into a file that cannot be" 3
run cache fetch 00000000000000
expect "what is not there" 2
run cache fetch 0000000000000000000000000000000000000000000000000000000000000000
expect "a whole id that is not there" 1
run cache fetch ../../etc/passwd
expect "what is no id" 2
run cache verify
expect "verify" 0 "2 blobs and 2 results read, 0 damaged"

# ---- damage ----
file=$work/cache/blobs/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-)
chmod u+w "$file"
printf X | dd of="$file" bs=1 conv=notrunc 2>/dev/null
rm -f out
run run
expect "a damaged blob is a miss, not a failure" 0 "1 passed · 1 cached"
holds "the output is right" cmp got out
for path in $(find "$work/cache/blobs" "$work/cache/entries" -type f); do
    chmod u+w "$path"
    printf '\377' | dd of="$path" bs=1 seek=3 conv=notrunc 2>/dev/null
done
run cache verify
expect "verify finds all of it" 1 "2 blobs and 2 results read, 4 damaged and set aside"
rm -f out
run run
expect "all of it damaged" 0 "2 passed"
holds "the output is right again" cmp got out

# ---- why ----
project why <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"cat in >out","inputs":["in"],"outputs":["out"]},
 {"name":"free","command":"true"}]}
J
for text in one two three; do
    echo $text >in
    run run
    expect "a run of $text" 0 "2 passed"
done
run history
first=$(sed -n '3s/ .*//p' "$out") last=$(sed -n '1s/ .*//p' "$out")
run explain make
expect "as the last time" 0 "make: a hit"
run explain make --against "$first"
expect "against the first run" 0 "against run $first: " "in"
run explain make --against "$last" --json
expect "against the last" 0 '"changed":null' '"hit":true'
run explain free --against "$first"
expect "a task without a key" 1
run explain make --against nobody
expect "neither a run nor a node" 1
told "no run nobody is recorded here, and no node runs here"

# ---- flaky ----
project flaky <<'J'
{"version":"1","tasks":[
 {"name":"coin","command":"test -e ../heads","inputs":["in"]},
 {"name":"again","command":"test -e ../once || { touch ../once; exit 1; }","inputs":["in"],"retry":2},
 {"name":"firm","command":"true","inputs":["in"]}]}
J
echo one >in
run history --flaky --json
expect "nothing is flaky before the first run" 0 '"items":[]'
run run --keep-going
expect "tails" 1 "1 failed"
touch ../heads
run run
expect "heads" 0 "1 passed · 2 cached"
run history --flaky
expect "which is flaky" 0 "coin" "again" "!firm"
run history --flaky --json
expect "and how" 0 '"task":"coin","flips":1,"retried":0' '"task":"again","flips":0,"retried":1'
run query 'SELECT task FROM flaky WHERE flips > 0' --format csv
expect "it is a table" 0 "coin" "!again"

# ---- room ----
project room <<'J'
{"version":"1","tasks":[
 {"name":"a","command":"head -c 700000 /dev/zero | tr '\\0' a >a; cat in >>a","inputs":["in"],"outputs":["a"]},
 {"name":"b","command":"head -c 700000 /dev/zero | tr '\\0' b >b; cat in >>b","inputs":["in"],"outputs":["b"]}]}
J
printf 'cache:\n  max_size: 1MB\n' >"$SYKLI_CONFIG"
run cache clear --json
expect "clear" 0 '"freed_bytes":'
for turn in 1 2 3; do
    echo "$turn" >in
    run run -j 1
    expect "run $turn" 0 "2 passed"
    run cache stats --json
    expect "keeps the quota of the configuration" 0 '"max_size_bytes":1048576'
    if [ "$(member total_size_bytes)" -le 1048576 ]; then ok; else fail "more than the quota"; fi
done
rm -f a b
run run -j 1
expect "what was made last is still there" 0 "1 cached"
run cache gc --older-than 1h
expect "nothing is so old" 0 "freed 0 B"
find "$work/cache/entries" "$work/cache/blobs" -type f -exec touch -d '2 days ago' {} +
run cache gc --older-than soon
expect "a bad duration" 2
run cache gc --older-than 24h --json
expect "all is so old" 0 '"freed_bytes":'
run cache stats --json
expect "nothing is left" 0 '"tasks":0' '"blobs":0' '"total_size_bytes":0'
echo garbage >"$work/cache/tmp/0123456789abcdef-1"
touch -d '2 hours ago' "$work/cache/tmp/0123456789abcdef-1"
run cache stats
expect "opening sweeps" 0
holds "what a killed process left" test -z "$(ls "$work/cache/tmp")"
rm -f "$SYKLI_CONFIG"

# ---- pipelines that were compiled ----
mkdir -p "$work/compiled" && cd "$work/compiled" || exit 1
for task in one two; do
    printf '#define SYKLI_IMPLEMENTATION\n#include "sykli.h"\nint main(int argc, char **argv)\n{\n' >sykli.c
    printf '    sykli *s = sykli_open(NULL);\n    sykli_add(s, &(sykli_task_desc){ .name = "%s",' "$task" >>sykli.c
    printf '.command = "true" });\n    return sykli_main(s, argc, argv);\n}\n' >>sykli.c
    run run
    expect "a pipeline in C" 0 "$task" "1 passed"
done
programs=$work/cache/programs
holds "are two programs and a header" test "$(ls "$programs" | wc -l)" = 3
run cache stats --json
expect "they count" 0 '"tasks":0' '"programs":3,"program_bytes":'
if [ "$(member total_size_bytes)" -gt 10000 ]; then ok; else fail "in the total"; fi
run cache stats
expect "for people too" 0 "Programs:  3, "
run cache gc --max-size 1
holds "what was used just now stays" test "$(ls "$programs" | wc -l)" = 3
old=$(ls -t "$programs" | tail -n 1)
find "$programs" -type f -exec touch -d '2 hours ago' {} +
find "$programs/$old" -exec touch -d '3 hours ago' {} +
run cache gc --older-than 150m --json
expect "the oldest goes by its age" 0 '"freed_bytes":'
holds "and no other" test ! -e "$programs/$old" -a "$(ls "$programs" | wc -l)" = 2
run run
expect "what is left is used" 0 "1 passed"
find "$programs" -type f -exec touch -d '2 hours ago' {} +
run cache gc --max-size 1
expect "a quota" 0 "freed "
holds "holds for them" test -z "$(ls "$programs")"
run run
expect "they are compiled again" 0 "1 passed"
run cache clear
holds "clear takes them" test -z "$(ls "$programs")"
run cache stats --json
expect "and nothing is left" 0 '"programs":0,"program_bytes":0' '"total_size_bytes":0'
run run
find "$programs" -type f -exec touch -d '2 hours ago' {} +
for n in $(seq 100 180); do : >"$programs/$n"; touch -d '3 hours ago' "$programs/$n"; done
echo '/* another */' >>sykli.c
run run
holds "at most 64 are kept" test "$(ls "$programs" | wc -l)" = 64
run cache clear
cd "$work/room" || exit 1

# ---- no room at all ----
if mkdir -p "$work/full" && mount -t tmpfs -o size=256k tmpfs "$work/full" 2>/dev/null; then
    echo 4 >in
    SYKLI_CACHE=$work/full/cache run run
    expect "a full disk costs no build" 0 "2 passed"
    told "the run went on without its cache: "
    told "No space left on device"
    holds "nothing is left there" test -z "$(ls "$work/full/cache/tmp")"
    head -c 1000000 /dev/zero >"$work/full/rest" 2>/dev/null
    rm -rf "$work/full/cache"
    head -c 1000000 /dev/zero >>"$work/full/rest" 2>/dev/null
    SYKLI_CACHE=$work/full/cache run run
    expect "nor does one that was full before" 0 "2 passed"
    umount "$work/full"
fi

finish
