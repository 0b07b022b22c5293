#!/bin/sh
# A static node: the size of its parts, and runs in a memory cgroup of 64 MB: the demo, twice, then
# 1,000 tasks. The tasks' output and cached pages of files count too; the compilers of the demo,
# which need more, are let out.
# Needs root and a memory controller, of version 1 or 2, in which a group can be made.
set -u
root=$(pwd)
build=${B-build}
sykli=$root/$build/sykli
limit=67108864
work=$root/$build/small
passed=0 failed=0

expect() {
    if [ "$2" = yes ]; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAIL $1"; fi
}
[ -x "$sykli" ] || { echo "small: build the node first: make B=$build"; exit 1; }
rm -rf "$work"
mkdir -p "$work/bin" "$work/project"

# What it is made of: each part has a budget.
if [ -f "$build/sykli.map" ]; then
    tools/size "$build"
    expect "each part within its budget" "$([ $? = 0 ] && echo yes)"
fi

# A group below the one we are in, of whichever version can be written.
own=$(sed -n 's/^0:://p' /proc/self/cgroup)
for mount in /sys/fs/cgroup/memory /sys/fs/cgroup /sys/fs/cgroup/unified; do
    case $mount in
    */memory) old=yes parent=$mount ;;
    *) old=no parent=$mount
       grep -qw memory "$mount$own/cgroup.subtree_control" 2>/dev/null && parent=$mount$own
       echo +memory >"$parent/cgroup.subtree_control" 2>/dev/null ;;
    esac
    group=$parent/sykli-small-$$
    mkdir "$group" 2>/dev/null || continue
    [ $old = yes ] && files="memory.limit_in_bytes memory.max_usage_in_bytes" \
                   || files="memory.max memory.peak"
    if echo $limit >"$group/${files% *}" 2>/dev/null; then break; fi
    rmdir "$group"
    group=
done
if [ -z "${group-}" ] || [ ! -d "$group" ]; then
    echo "skipped: small.sh (no memory cgroup can be made here; root, and a controller, are needed)"
    echo "small: $passed passed, $failed failed"
    [ -z "${CI-}" ] && [ "$failed" = 0 ]
    exit
fi
trap 'rmdir "$group" 2>/dev/null' EXIT
# Without swap, where there is any, 64 MB are 64 MB.
[ ! -e "$group/memory.memsw.limit_in_bytes" ] || echo $limit >"$group/memory.memsw.limit_in_bytes"
[ ! -e "$group/memory.swap.max" ] || echo 0 >"$group/memory.swap.max"

# inside COMMAND...: runs it in the group. Its compilers step out first.
inside() { sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$@"; }
printf '#!/bin/sh\necho $$ >"%s/cgroup.procs" && exec %s "$@"\n' "$parent" "$(command -v cc)" \
    >"$work/bin/cc"
chmod +x "$work/bin/cc"
kills() {
    { cat "$group/memory.oom_control" "$group/memory.events"; } 2>/dev/null \
        | awk '$1 == "oom_kill" { sum += $2 } END { print sum + 0 }'
}
peak() { awk '{ printf "%d", $1 / 1048576 }' "$group/${files#* }" 2>/dev/null; }

export SYKLI_STATE="$work/state" SYKLI_CACHE="$work/cache" SYKLI_CONFIG=/dev/null NO_COLOR=1
PATH=$work/bin:$PATH
for time in first second; do
    inside "$sykli" run -f - <examples/sykli.json >"$work/out" 2>&1
    code=$?
    expect "the demo, the $time time" "$([ $code = 0 ] && echo yes)"
    [ $code = 0 ] || tail -n 5 "$work/out"
done
expect "the second time all are hits" "$(grep -q '4 cached' "$work/out" && echo yes)"

awk 'BEGIN {
    printf "{\"version\":\"1\",\"tasks\":["
    for (i = 0; i < 1000; i++)
        printf "%s{\"name\":\"t%d\",\"inputs\":[\"in\"],\"outputs\":[\"out/%d\"],\"command\":" \
               "\"mkdir -p out; head -c 20000 /dev/zero >out/%d; echo %d\"}", i ? "," : "", i, i, i, i
    print "]}"
}' >"$work/project/sykli.json"
cd "$work/project" || exit 1
echo 1 >in
for time in first second third; do
    [ $time != third ] || rm -rf out
    inside "$sykli" run >"$work/out" 2>&1
    expect "1,000 tasks, the $time time" "$([ $? = 0 ] && echo yes)"
    tail -n 1 "$work/out"
done
expect "all are hits" "$(grep -q '1000 cached' "$work/out" && echo yes)"
expect "nothing was killed for want of memory" "$([ "$(kills)" = 0 ] && echo yes)"
echo "at most $(peak) MiB of 64 were in use, pages of files included"
echo "small: $passed passed, $failed failed"
[ "$failed" = 0 ]
