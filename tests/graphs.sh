#!/bin/sh
# Graphs of 10,000 tasks through the command: wide, deep, deep and written backwards, random. Each is
# validated, printed, planned and refused within a time, and twice as many tasks cost at most three
# times as much. The bounds of time are ten times what a small machine took: a loaded one passes.
name=graphs
. tests/cli.inc
mkdir -p "$work/project"
cd "$work/project" || exit 1

# graph SHAPE COUNT: writes sykli.json. A last task "end" comes after all that nothing waits for.
graph() {
    awk -v shape="$1" -v count="$2" 'BEGIN {
        srand(7)
        print "{\"version\":\"1\",\"tasks\":["
        for (i = 0; i < count; i++) {
            n = shape == "backwards" ? count - 1 - i : i
            after = ""
            if (shape == "wide" && n && n < count - 1) after = "\"t0\""
            if (shape == "wide" && n == count - 1)
                for (k = 1; k < count - 1; k++) after = after (k > 1 ? "," : "") "\"t" k "\""
            if (shape ~ /^(deep|backwards|ring)$/ && n) after = "\"t" n - 1 "\""
            if (shape == "ring" && !n) after = "\"t" count - 1 "\""
            if (shape ~ /^(random|knot)$/)
                for (k = 0; k < 3 && n; k++) after = after (k ? "," : "") "\"t" int(rand() * n) "\""
            if (shape == "knot" && n == int(count / 2)) after = after ",\"t" n + 2 "\",\"end\""
            if (shape == "knot" && n == int(count / 2) + 2) after = after ",\"t" n - 2 "\""
            printf "{\"name\":\"%s\",\"command\":\"true\",\"depends_on\":[%s]}%s\n",
                   shape == "knot" && n == count - 1 ? "end" : "t" n, after, i < count - 1 ? "," : ""
        }
        print "]}"
    }' >sykli.json
}
# spent: user time of all children so far, in hundredths of a second.
spent() {
    times >times
    tr 'ms' '  ' <times | awk 'NR == 2 { printf "%d", $1 * 6000 + $2 * 100 }'
}
# cost ARGUMENT...: the user time of five runs, in `ticks`.
cost() {
    began=$(spent)
    for _ in 1 2 3 4 5; do "$sykli" "$@" >out 2>err </dev/null || code=$?; done
    times >times
    ticks=$(($(tr 'ms' '  ' <times | awk 'NR == 2 { printf "%d", $1 * 6000 + $2 * 100 }') - began))
}
# within SECONDS ARGUMENT...: as run, but it has ended by then.
within() {
    seconds=$1
    shift
    code=0
    timeout "$seconds" "$sykli" "$@" >out 2>err </dev/null || code=$?
}
# linear WHAT ARGUMENT...: twice as many tasks, as "double.json", cost at most three times as much.
linear() {
    what=$1
    shift
    cost "$@" -f sykli.json
    once=$ticks
    cost "$@" -f double.json
    code=0
    holds "$what: $once, then $ticks hundredths of a second" test "$ticks" -le $((3 * once + 10))
}
# edges: how many of them the last graph has.
edges() { grep -c -- '-->' out; }

count=10000
for shape in wide deep backwards random; do
    graph $shape $((2 * count))
    mv sykli.json double.json
    graph $shape $count
    within 10 validate
    expect "$shape: validate" 0 "valid: $count tasks"
    within 20 graph
    expect "$shape: graph" 0 '["t0"]' "[\"t$((count - 1))\"]"
    case $shape in
    wide) holds "$shape: all edges" test "$(edges)" = $((2 * (count - 2))) ;;
    random) holds "$shape: all edges" test "$(edges)" -gt $((2 * count)) ;;
    *) holds "$shape: all edges" test "$(edges)" = $((count - 1)) ;;
    esac
    within 20 graph --format json
    expect "$shape: graph as JSON" 0 '{"name":"t0","depends_on":[]}'
    within 30 run --dry-run
    expect "$shape: plan" 0 "$count would run"
    linear "$shape: validate" validate
    case $shape in wide | backwards) linear "$shape: plan" run --dry-run ;; esac
done

# ---- cycles ----
graph ring $count
within 10 validate
expect "a cycle of all tasks" 1
told 'tasks wait for each other: "t0" -> "t9999" -> "t9998" -> '
told ' -> ... -> "t0" (10000 tasks)  [cycle]'
holds "in a line that can be read" test "$(wc -c <err)" -lt 1500
rm -rf .sykli
within 10 run
expect "and nothing runs" 1
holds "nothing at all" test ! -e .sykli
graph knot $count
within 10 validate --json
expect "a cycle of two among many" 1 '"type":"cycle"' '\"t5000\" -> \"t5002\" -> \"t5000\"' \
    '"line":5002,'

# ---- names ----
graph deep $count
sed 's/"name":"t[0-9]*"/"name":"same"/; s/"depends_on":.*]/"depends_on":[]/' sykli.json >same.json
within 20 validate -f same.json
expect "one name for all" 1
holds "each is told" test "$(grep -c 'the name "same" is taken' err)" = $((count - 1))
sed 's/"depends_on":.*]/"depends_on":["nobody","t1","t1"]/' sykli.json >nobody.json
within 20 validate -f nobody.json
expect "one that nobody has" 1
holds "each is told" test "$(grep -c 'depends on "nobody", which does not exist' err)" = $count
awk 'BEGIN { print "{\"version\":\"1\",\"tasks\":[{\"name\":\"a\",\"command\":\"true\"},"
    print "{\"name\":\"b\",\"command\":\"true\",\"depends_on\":[\"a\""
    for (i = 0; i < 200000; i++) print ",\"a\""
    print "]}]}" }' >often.json
within 20 graph often.json
expect "a dependency told 200,001 times" 0
holds "is one" test "$(edges)" = 1

# ---- products of matrices ----
# values COUNT: a dimension of so many values.
values() { awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "%s\"%d\"", i ? "," : "", i }'; }
# matrices COUNT: two tasks of so many combinations each, the second after the first.
matrices() {
    printf '{"version":"1","tasks":[{"name":"a","command":"true","matrix":{"x":[%s]}},
{"name":"b","command":"true","matrix":{"x":[%s]},"depends_on":["a"]}]}' "$(values "$1")" "$(values "$1")"
}
matrices 300 >matrix.json
within 20 graph matrix.json
expect "a matrix after a matrix" 0
holds "each after each" test "$(edges)" = 90000
matrices 5000 >matrix.json
within 20 validate -f matrix.json
expect "25,000,000 dependencies" 1
told "more than 16777216 dependencies between single tasks  [too_large]"

# ---- outputs, needs ----
awk 'BEGIN { print "{\"version\":\"1\",\"tasks\":[{\"name\":\"a\",\"command\":\"true\",\"outputs\":{\"o\":\"o\""
    for (i = 0; i < 10000; i++) printf ",\"output%d\":\"o%d\"\n", i, i
    print "},\"provides\":[\"c\""
    for (i = 0; i < 10000; i++) printf ",{\"name\":\"c%d\",\"value\":\"v\"}\n", i
    print "]},{\"name\":\"b\",\"command\":\"true\",\"needs\":[\"c\""
    for (i = 0; i < 10000; i++) printf ",\"c%d\"\n", i
    print "],\"task_inputs\":[{\"from_task\":\"a\",\"output\":\"o\",\"dest\":\"d\"}"
    for (i = 0; i < 10000; i++) print ",{\"from_task\":\"a\",\"output\":\"o\",\"dest\":\"d" i "\"}"
    print "]}]}" }' >parts.json
within 20 validate -f parts.json
expect "10,000 outputs, capabilities and inputs" 0 "valid: 2 tasks"

# ---- large documents, deep ones ----
# full BYTES: a document of exactly that size.
full() {
    awk -v size="$1" 'BEGIN {
        print "{\"version\":\"1\",\"tasks\":["
        print "{\"name\":\"first\",\"command\":\"true\"}"
        for (at = 60; at < size - 200; at += length(line) + 1) {
            line = ",{\"name\":\"t" at "\",\"command\":\"true\",\"depends_on\":[\"first\"]," \
                   "\"inputs\":[\"src/" at "/**/*.c\"]}"
            print line
        }
        print "]}"
    }' >large.json
    awk -v rest=$(($1 - $(wc -c <large.json))) 'BEGIN { printf "%*s", rest, "" }' >>large.json
}
full 67108864
holds "64 MiB" test "$(wc -c <large.json)" = 67108864
within 120 validate -f large.json
expect "64 MiB are valid" 0 " tasks"
echo >>large.json
within 10 validate -f large.json
expect "a byte more" 1
told "[too_large]"
rm large.json

# nested DEPTH: a document of so many levels, in a key that nobody reads.
nested() {
    awk -v depth="$1" 'BEGIN { printf "{\"version\":\"1\",\"tasks\":[],\"x\":"
        for (i = 1; i < depth; i++) printf i % 2 ? "[" : "{\"a\":"
        printf "1"
        for (i = depth - 1; i >= 1; i--) printf i % 2 ? "]" : "}"
        print "}" }' >deep.json
}
nested 64
within 10 validate -f deep.json
expect "64 levels" 0 "is valid"
nested 65
within 10 validate -f deep.json
expect "65 levels" 1
told "[too_deep]"
finish
