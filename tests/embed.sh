#!/bin/sh
# The library inside other programs: the examples run, the guide's programs compile, and a pipeline
# written in C prints the same graph with the header that the node carries as with the whole one.
set -u
CC=${CC-cc}
B=${B-build}
work=$B/test/embed
rm -rf "$work"
mkdir -p "$work"
. tests/check.inc

# ---- the header that the node carries

WARN="-Werror -pedantic -Wall -Wextra -Wconversion -Wshadow -Wundef"
carried_is_small() { [ "$(wc -c <"$B/gen/carried/sykli.h")" -le 18432 ]; }
sed 's/{ \.name = /{ .pty = true, .stall_ms = 1500, .processes_max = 9, .no_cache = true, .name = /' examples/pipeline.c \
    >"$work/sykli.c"
check "carried header within 18 KiB" carried_is_small
for compiler in gcc clang; do
    have "$compiler" || continue
    for std in c99 c11; do
        check "carried header in $compiler $std" "$compiler" -std=$std $WARN "-I$B/gen/carried" \
            -c "$work/sykli.c" -o "$work/x.o"
    done
done
same_graph() {
    "$work/carried" --emit >"$work/carried.json" && "$work/whole" --emit >"$work/whole.json" \
        && cmp "$work/carried.json" "$work/whole.json"
}
tells_who_runs_it() { "$work/carried" 2>&1 | grep -q 'sykli run'; }
check "pipeline with the carried header" "$CC" "-I$B/gen/carried" "$work/sykli.c" -o "$work/carried"
check "pipeline with the whole header" "$CC" -I. "$work/sykli.c" -lpthread -lm -o "$work/whole"
check "both print one graph" same_graph
check "the graph is valid" "$B/sykli" validate --strict "$work/carried.json"
check "and says all of it" grep -q '"stall":2.*"processes":9.*"pty":true,"no_cache":true' "$work/carried.json"
check "without --emit it says who runs it" tells_who_runs_it
carried_as_it_is() {
    mkdir -p "$work/carrying" && cp examples/pipeline.c "$work/carrying/sykli.c" \
        && SYKLI_CACHE=$work/carrying/cache SYKLI_CONFIG=/dev/null \
            "$B/sykli" validate "$work/carrying/sykli.c" \
        && find "$work/carrying/cache" -name sykli.h -exec cmp "$B/gen/carried/sykli.h" {} + \
        && [ -n "$(find "$work/carrying/cache" -name sykli.h)" ]
}
check "the node writes the header as it was packed" carried_as_it_is

# ---- the examples

examples=$PWD/examples
headers=$PWD
run_example() {
    (cd "$work" && SYKLI_CACHE=$PWD/cache SYKLI_CONFIG=/dev/null "./$1" >"$1.out" 2>&1 </dev/null) \
        || { cat "$work/$1.out"; return 1; }
}
says() { grep -q "$2" "$work/$1.out" || { cat "$work/$1.out"; return 1; }; }
for example in embed callback query; do
    check "$example is built" "$CC" -O1 $WARN -Wno-unused-function "-I$headers" \
        "$examples/$example.c" -lpthread -lm -o "$work/$example"
    check "$example runs" run_example "$example"
done
check "embed leaves the host its child" says embed "the host's child ended with 7"
check "callback names the signal" says callback "crash: failed, ended by signal 11 (SIGSEGV)"
check "callback captures" says callback "count | notes.txt has 2 lines"
check "callback runs again" run_example callback
check "callback hits" says callback "count: cached"

# ---- the guide

# Each program in docs/embedding.md becomes a file of its own.
awk -v to="$work/guide" '/^```c$/ { n++; on = 1; next } /^```/ { on = 0 }
    on { print > (to n ".c") }' docs/embedding.md
for file in "$work"/guide*.c; do
    check "docs/embedding.md: ${file##*/}" "$CC" -std=c11 -Werror -Wall -Wextra -Wshadow -I. \
        -fsyntax-only "$file"
done
guide_is_read() { [ -f "$work/guide6.c" ]; }
check "docs/embedding.md has its programs" guide_is_read

echo "embed: $passed passed, $failed failed"
[ "$failed" = 0 ]
