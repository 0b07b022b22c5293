#!/bin/sh
# The power is cut under a real file system: ext4 in a file, mounted; a copy of that file, taken
# while it is mounted, is what the disk held at that moment. It is mounted as the next boot would,
# and a run there must end well with the right outputs; with `cache.durable` it must be a hit.
# Needs root, mkfs.ext4, loop devices and strace: the CI runs it, as a part.
set -u
sykli=$PWD/${B-build}/sykli
base=$PWD/${B-build}/test/loop
if [ "$(id -u)" != 0 ] || ! command -v mkfs.ext4 >/dev/null || ! command -v strace >/dev/null; then
    echo "skipped: loop (needs root, mkfs.ext4 and strace)"
    echo "0 passed, 0 failed"
    exit 0
fi
export SYKLI_CONFIG=/dev/null LC_ALL=C
passed=0 failed=0

unmount() { mountpoint -q "$1" && umount "$1"; }
cleanup() {
    cd / && unmount "$base/disk"
    unmount "$base/next"
    rm -rf "$base"
}
cleanup
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
mkdir -p "$base/disk" "$base/next"
# With 16 MiB and more there is a journal; it is written out each 5 s unless somebody syncs.
truncate -s 32M "$base/image"
mkfs.ext4 -q -F "$base/image" && mount -o loop "$base/image" "$base/disk" || {
    echo "no loop device can be mounted"
    echo "0 passed, 1 failed"
    exit 1
}

# on FOLDER: from here on sykli works on the disk that is mounted there.
on() {
    cd "$base/$1/project" || exit 1
    export SYKLI_STATE="$base/$1/state" SYKLI_CACHE="$base/$1/cache"
}
# power_cut WHAT STATUS: what the disk holds now, mounted; the run there and how its task ends.
power_cut() {
    cp "$base/image" "$base/copy"
    mount -o loop "$base/copy" "$base/next" || exit 1
    wanted=$(cksum <"$base/in")
    mkdir -p "$base/next/project"
    on next
    rm -rf .git && cp -r "$base/.git" "$base/sykli.json" "$base/in" . && rm -f out
    why=""
    timeout 60 "$sykli" run --json >"$base/said" 2>&1 || why="the run fails"
    [ "$(cksum <out)" = "$wanted" ] || why="$why; the output is wrong"
    grep -q "\"status\":\"$2\"" "$base/said" || why="$why; not $2"
    if [ -z "$why" ]; then passed=$((passed + 1)); else
        failed=$((failed + 1))
        echo "FAIL $1: $why"
        sed 's/^/    /' "$base/said"
    fi
    cd "$base" && umount "$base/next"
}
fresh() {
    seq "$1" 3000 >"$base/in"
    mkdir -p "$base/disk/project"
    on disk
    cp "$base/in" in && rm -f out
}

echo '{"version":"1","tasks":[{"name":"copy","command":"cp in out","inputs":["in"],' \
    '"outputs":["out"]}]}' >"$base/sykli.json"
# Two folders are one project by their origin.
git init -q "$base" && git -C "$base" remote add origin https://example.org/loop.git || exit 1
mkdir -p "$base/disk/project" && cp -r "$base/.git" "$base/sykli.json" "$base/disk/project/"

for n in 1 2 3 4 5 6 7 8; do
    fresh "$n"
    SYKLI_CACHE_DURABLE=on "$sykli" run --quiet >/dev/null
    power_cut "after durable result $n" cached
done
for n in 11 12 13 14; do
    fresh "$n"
    "$sykli" run --quiet >/dev/null
    power_cut "after loose result $n" '\(cached\|passed\)'
done
# The same in the middle of it: the program is killed at each of its syncs and renames.
n=100
for name in fsync fdatasync rename renameat renameat2; do
    for k in 1 2 3 4 5 6 7 8; do
        n=$((n + 1))
        fresh "$n"
        SYKLI_CACHE_DURABLE=on strace -o "$base/trace" -e trace="$name" \
            -e "inject=$name:signal=KILL:when=$k" "$sykli" run --quiet >/dev/null 2>&1
        grep -q SIGKILL "$base/trace" || break
        power_cut "killed at $name number $k" '\(cached\|passed\)'
    done
done
[ "$passed" -gt 15 ] || failed=$((failed + 1))
echo "loop.sh: $passed passed, $failed failed"
[ "$failed" = 0 ]
