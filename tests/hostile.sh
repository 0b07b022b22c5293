#!/bin/sh
# Bad pipelines: whatever stands in one, there is an error that says what, where and what would be
# right, nothing outside the project is touched, and nothing in it is lost. The oracle for the last
# two is a checksum of what surrounds the project, and of the files in it that no task declares.
set -u
root=$(pwd)
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/hostile
chmod -R u+w "$work" 2>/dev/null
rm -rf "$work"
mkdir -p "$work/home" "$work/around/folder" "$work/project/.git/hooks" "$work/project/kept"
export HOME="$work/home" SYKLI_STATE="$work/state" SYKLI_CACHE="$work/cache" NO_COLOR=1
export SYKLI_CONFIG=/dev/null
cd "$work/project" || exit 1
passed=0 failed=0 code=0
as= # what runs it: a program and its arguments

echo outside >../around/file
echo outside >../around/folder/file
echo config >.git/config
echo hook >.git/hooks/post
echo kept >kept/file
ln -s ../around out-folder
ln -s ../around/file out-file
ln -s /etc abs-folder
ln -s kept in-folder
ln -s loop-b loop-a
ln -s loop-a loop-b

# sums: what must stay as it is, with types and modes.
sums() {
    { ls -lR ../around ../home; cat ../around/file ../around/folder/file
      ls -lR .git kept; ls -ld out-folder out-file abs-folder in-folder loop-a loop-b
      ls -d .sykli/.gitignore 2>/dev/null; cat .git/config .git/hooks/post kept/file
    } 2>&1 | grep -v '^ls.*gitignore' | grep -v '^\.sykli' | cksum
}
before=$(sums)

fail() {
    failed=$((failed + 1))
    echo "FAIL $1: exit $code"
    head -c 2000 sykli.json | head -n 5 | sed 's/^/    /'
    head -n 12 out err | cut -c 1-300 | sed 's/^/    /'
}
# outcome WHAT EXIT PATTERN...: of the last call; patterns are in what it printed, which drives no
# terminal, and everything else is as it was.
outcome() {
    what=$1
    [ "$code" = "$2" ] || { fail "$what: exit $2 is wanted"; return; }
    shift 2
    for pattern in "$@"; do
        grep -qF -e "$pattern" out err || { fail "$what: wanted: $pattern"; return; }
    done
    if LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')" out err; then
        fail "$what: a control character is printed"
        return
    fi
    [ "$(sums)" = "$before" ] || { fail "$what: something was touched"; sums; return; }
    passed=$((passed + 1))
}
# document WHAT PATTERN...: what stands in sykli.json is neither valid nor run, and both say where.
document() {
    cp sykli.json copy
    code=0
    "$sykli" validate >out 2>err </dev/null || code=$?
    name=$1
    shift
    outcome "validate: $name" 1 "$@"
    code=0
    "$sykli" run >out 2>err </dev/null || code=$?
    outcome "run: $name" 1 "$@"
    if [ -e .sykli ]; then fail "$name: a run began"; fi
    cmp -s sykli.json copy || fail "$name: the pipeline was changed"
    code=0
    "$sykli" validate --json >out 2>err </dev/null || code=$?
    outcome "validate --json: $name" 1 '"valid":false' '"line":'
    [ "$(wc -l <out)" = 1 ] || fail "$name: more than a line"
}
# text WHAT PATTERN DOCUMENT
text() {
    printf '%b' "$3" >sykli.json
    document "$1" "$2"
}
# task WHAT EXIT PATTERN FIELDS: runs one task with these fields in place.
task() {
    printf '{"version":"1","tasks":[{"name":"t",%s}]}' "$4" >sykli.json
    code=0
    # shellcheck disable=SC2086 # words
    $as timeout 120 "$sykli" run --output all >out 2>err </dev/null || code=$?
    outcome "$1" "$2" "$3"
}
# holds WHAT COMMAND...: the command ends well.
holds() {
    what=$1
    shift
    if "$@" >out 2>err; then passed=$((passed + 1)); else fail "$what"; fi
}
repeat() { printf "%$2s" '' | sed "s|.|$1|g"; }

# ---- documents that are none ----
one='{"version":"1","tasks":[{"name":"a","command":"true"'
text "an empty file" "sykli.json:1:1" ''
text "blanks" "sykli.json:" '  \n \n'
text "cut in an object" "sykli.json:1:" "$one"
text "cut in a list" "sykli.json:1:" "$one}"
text "cut in a text" "sykli.json:1:" '{"version":"1","tasks":[{"name":"a'
text "cut in an escape" "sykli.json:1:" '{"version":"1","tasks":[{"name":"a\\'
text "cut in a character" "sykli.json:1:" '{"version":"1","tasks":[{"name":"\\u00'
text "cut in a word" "sykli.json:1:" '{"version":"1","tasks":tru'
text "two documents" "sykli.json:1:" "$one}]}{}"
text "a comma at the end" "sykli.json:1:" "$one},]}"
text "a comment" "sykli.json:2:" '{"version":"1",\n// no\n"tasks":[]}'
text "single quotes" "sykli.json:1:" "{'version':'1','tasks':[]}"
text "a bare word" "sykli.json:1:" '{"version":NaN,"tasks":[]}'
text "a leading zero" "sykli.json:1:" '{"version":"1","tasks":[{"name":"a","timeout":01}]}'
text "a newline in a text" "sykli.json:" '{"version":"1","tasks":[{"name":"a\nb","command":"true"}]}'
text "a control character" "sykli.json:1:" '{"version":"1","tasks":[{"name":"a\0033b"}]}'
text "a NUL byte" "sykli.json:1:" '{"version":"1","tasks":[{"name":"a\0000b"}]}'
text "a NUL escape" "nul_in_string" '{"version":"1","tasks":[{"name":"a\\u0000b","command":"x"}]}'
text "bytes that are no UTF-8" "UTF-8" '{"version":"1","tasks":[{"name":"\0377","command":"x"}]}'
text "an overlong character" "UTF-8" '{"version":"1","tasks":[{"name":"\0300\0200"}]}'
text "a surrogate in UTF-8" "UTF-8" '{"version":"1","tasks":[{"name":"\0355\0240\0200"}]}'
text "half a character" "UTF-8" '{"version":"1","tasks":[{"name":"\0342\0202"}]}'
text "a lone high surrogate" "surrogate" '{"version":"1","tasks":[{"name":"\\ud800"}]}'
text "a lone low surrogate" "surrogate" '{"version":"1","tasks":[{"name":"\\udc00"}]}'
text "a high one, then a letter" "surrogate" '{"version":"1","tasks":[{"name":"\\ud800\\u0041"}]}'
text "a key twice" "duplicate_key" '{"version":"1","version":"2","tasks":[]}'
text "a field twice" "duplicate_key" "$one,\"command\":\"false\"}]}"
text "a field twice, once in disguise" "duplicate_key" "$one,\"comm\\\\u0061nd\":\"false\"}]}"
{ printf '{"version":"1","tasks":'; repeat '[' 70; } >sykli.json
document "70 levels" "too_deep"
{ printf '{"version":"1","tasks":'; repeat '[' 100000; } >sykli.json
document "100,000 levels" "too_deep"
repeat '{"a":' 9999 >sykli.json
document "objects in objects" "too_deep"
head -c 68157440 /dev/zero | tr '\0' ' ' >sykli.json
document "65 MiB" "too_large"
rm sykli.json
for from in /dev/zero kept .; do
    code=0
    timeout 60 "$sykli" validate -f $from >out 2>err </dev/null || code=$?
    case $from in
    /dev/zero) outcome "a document without an end" 1 "more than 64 MiB" ;;
    *) outcome "a folder: $from" 1 "no pipeline in" ;;
    esac
done

# ---- documents that are no pipelines ----
text "a list" "an object is wanted" '[]'
text "a text" "an object is wanted" '"x"'
text "null" "an object is wanted" 'null'
text "no tasks" "a list is wanted" '{"version":"1"}'
text "tasks that are none" "a list is wanted" '{"version":"1","tasks":{}}'
text "a task that is none" "an object is wanted" '{"version":"1","tasks":[null]}'
text "a name that is none" "a string is wanted" '{"version":"1","tasks":[{"name":1,"command":"x"}]}'
text "a blank name" "no name" '{"version":"1","tasks":[{"name":" ","command":"x"}]}'
text "a negative time" "whole number" "$one,\"timeout\":-1}]}"
text "a time without end" "whole number" "$one,\"timeout\":1e999}]}"
text "a time beyond all" "whole number" "$one,\"timeout\":99999999999999999999}]}"
text "a variable with =" "variable" "$one,\"env\":{\"A=B\":\"c\"}}]}"
text "a name of 1,025 bytes" "at most 1024 bytes" \
    "{\"version\":\"1\",\"tasks\":[{\"name\":\"$(repeat n 1025)\",\"command\":\"x\"}]}"
text "a cycle" "wait for each other" '{"version":"1","tasks":[{"name":"a","command":"x",
"depends_on":["b"]},{"name":"b","command":"x","depends_on":["a"]}]}'

# ---- outputs that take inputs with them: they are removed before the task runs ----
for output in kept ./kept/ kept/file '**' 'kept/*' '*/file' 'k{ept,ill}/file'; do
    text "an input in the output $output" "is removed before the task runs" \
        "$one,\"inputs\":[\"kept/file\"],\"outputs\":[\"$output\"]}]}"
done
for output in kept 'kept/**' '**'; do
    text "a pattern in the output $output" "is removed before the task runs" \
        "$one,\"inputs\":[\"x\",\"./kept/**\"],\"outputs\":{\"a\":\"a\",\"o\":\"$output\"}}]}"
done

# ---- paths that leave, or touch what git or we keep ----
make='"command":"mkdir -p build; echo 1 >build/x","inputs":["sykli.json"]'
task "input .." 1 'may not leave the project folder by ".."' '"command":"true","inputs":["../around/file"]'
task "input a/../.." 1 'may not leave' '"command":"true","inputs":["kept/../../around/*"]'
task "input /" 1 "relative to the project folder" '"command":"true","inputs":["/etc/passwd"]'
task "input of 4,097 bytes" 1 "longer than 4096 bytes" \
    "\"command\":\"true\",\"inputs\":[\"$(repeat a 4097)\"]"
task "input by a link outside" 0 "leads out of the project folder" \
    '"command":"true","inputs":["out-folder/**"]'
task "input below a link outside" 0 "leads out of the project folder" \
    '"command":"true","inputs":["out-folder/file"]'
task "input below /etc" 0 "leads out of the project folder" \
    '"command":"true","inputs":["abs-folder/passwd"]'
task "input that is such a link" 0 "1 passed" '"command":"true","inputs":["out-file"]'
task "input by links in a circle" 0 "symbolic links" '"command":"true","inputs":["loop-a/x"]'
task "input that is such a circle" 0 "1 passed" '"command":"true","inputs":["loop-a","loop-b"]'
for path in .. ../around ../around/file kept/../../around/file ./../around; do
    task "output $path" 1 "may not leave" "\"command\":\"true\",\"outputs\":[\"$path\"]"
done
task "output /" 1 "absolute" "\"command\":\"true\",\"outputs\":[\"$work/around/file\"]"
for path in . ./ .git .git/config .GIT/config ./.git/hooks kept/.git .sykli .sykli/runs .Sykli; do
    task "output $path" 1 "is never removed" "$make,\"outputs\":[\"$path\"]"
done
task "output by a link outside" 1 "symbolic links are not followed" \
    "$make,\"outputs\":[\"out-folder/file\"]"
task "output by a link inside" 1 "symbolic links are not followed" \
    "$make,\"outputs\":[\"in-folder/file\"]"
task "output by links in a circle" 1 "symbolic links are not followed" \
    "$make,\"outputs\":[\"loop-a/x\"]"
task "output **" 1 "was not made" "$make,\"outputs\":[\"nothing/**\"]"
task "output with a part of 300 bytes" 1 "name too long" \
    "$make,\"outputs\":[\"$(repeat o 300)\"]"
task "output of 4,097 bytes" 1 "longer than 4096 bytes" "$make,\"outputs\":[\"$(repeat o/ 2048)xx\"]"
task "output with newline and escape" 1 'x\x0a\x1b' "$make,\"outputs\":[\"x\\n\\u001b]0;t\\u0007\"]"
task "workdir .." 1 "may not leave" '"command":"pwd","workdir":".."'
task "workdir /" 1 "absolute" '"command":"pwd","workdir":"/"'
task "workdir by a link outside" 1 "leads out of the project folder" \
    '"command":"pwd","workdir":"out-folder"'
task "workdir in a circle" 1 "symbolic links" '"command":"pwd","workdir":"loop-a"'
task "workdir that is a file" 1 "Not a directory" '"command":"pwd","workdir":"kept/file"'
task "workdir that is not there" 1 "working folder" '"command":"pwd","workdir":"nowhere"'

# ---- what a task leaves in the place of an output ----
task "output that is a pipe" 1 "neither file" '"command":"mkfifo p","outputs":["p"]'
task "and again, now in the way" 1 "neither file" '"command":"mkfifo p","outputs":["p"]'
rm -f p
if mknod probe c 1 3 2>/dev/null; then
    rm -f probe
    task "output that is a device" 1 "neither file" '"command":"mknod d c 1 3","outputs":["d"]'
    rm -f d
fi
if command -v python3 >/dev/null; then
    bind='import socket; socket.socket(socket.AF_UNIX).bind(\"s\")'
    task "output that is a socket" 1 "neither file" \
        "\"command\":\"python3 -c '$bind'\",\"outputs\":[\"s\"]"
    rm -f s
fi
task "output that is a circle" 0 "1 passed" \
    '"command":"ln -s c d; ln -s d c","inputs":["kept"],"outputs":["c","d"]'
rm -f c d
for time in first second; do
    task "output that is a link outside, the $time time" 0 "1 passed" \
        '"command":"ln -s ../around l","inputs":["kept"],"outputs":["l"]'
    rm -f l
done
for time in first second; do
    task "output folder with a link outside, the $time time" 0 "1 " \
        '"command":"mkdir f; ln -s ../../around f/l; echo 1 >f/x","inputs":["kept"],"outputs":["f"]'
done
ln -sfn ../around f/l
task "output folder with a link in it goes" 0 "1 passed" \
    '"command":"mkdir f; echo 2 >f/x","inputs":["kept"],"outputs":["f"]'
rm -rf f && ln -s ../around f
task "output that is a link now" 0 "1 " \
    '"command":"mkdir f; echo 2 >f/x","inputs":["kept"],"outputs":["f"]'
rm -rf f
printf '{"version":"1","tasks":[{"name":"../../around/file","command":"echo x"},
    {"name":"/etc/x","command":"echo x"},{"name":"..","command":"echo x"},
    {"name":"a\\n\\u001b[2Jb","command":"printf \\"\\\\033]0;x\\\\007\\\\033[2J\\""}]}' >sykli.json
code=0
"$sykli" run --output all >out 2>err </dev/null || code=$?
outcome "names that are paths or drive a terminal" 0 "4 passed"
code=0
"$sykli" logs ../../around/file >out 2>err </dev/null || code=$?
outcome "logs of such a name" 0 "x"
code=0
"$sykli" logs ../../around/folder/file >out 2>err </dev/null || code=$?
outcome "logs of what is no task" 1


# ---- outputs that would take the pipeline with them, and those that may be near an input ----
for output in sykli.json './*.json' '*' 's[xy]kli.*'; do
    task "the pipeline in the output $output" 1 "holds the pipeline sykli.json" \
        "\"command\":\"true\",\"outputs\":[\"$output\"]"
done
task "an output beside inputs" 0 "1 passed" \
    '"command":"echo 1 >near.o","inputs":["*.c","near*"],"outputs":["near.o","*.o"]'
rm near.o

# ---- folders that become links between two runs ----
swap='"command":"test -L d || { mkdir -p d && echo 1 >d/x; }","inputs":["kept/file"]'
task "an output in a folder" 0 "1 passed" "$swap,\"outputs\":[\"d/x\"]"
rm -r d && ln -s ../around d
task "that is a link when it is put back" 1 "symbolic links are not followed" \
    "$swap,\"outputs\":[\"d/x\"]"
rm d && ln -s kept d
task "a link inside" 1 "symbolic links are not followed" "$swap,\"outputs\":[\"d/x\"]"
rm d && echo file >d
task "a file" 1 "is not a folder" "$swap,\"outputs\":[\"d/x\"]"
rm d
task "a folder again" 0 "1 cached" "$swap,\"outputs\":[\"d/x\"]"
rm -r d
for part in . logs runs keys lock memo durations.jsonl; do
    if [ $part = . ]; then rm -rf .sykli && ln -s ../around .sykli
    else rm -rf .sykli && mkdir .sykli && ln -s ../../around/new .sykli/$part; fi
    code=0
    timeout 60 "$sykli" run >out 2>err </dev/null || code=$?
    case $part in # what cannot be kept of these is not worth a failure
    memo | durations.jsonl) outcome "our $part is a link" 0 "1 " ;;
    keys) outcome "our $part is a link" $code ;;
    *) outcome "our $part is a link" 3 "sykli: " ;;
    esac
done
rm -rf .sykli && echo mine >.sykli
task "our folder is a file" 3 ".sykli: Not a directory" '"command":"true"'
holds "that stays" grep -q mine .sykli
rm .sykli

# ---- inputs that are no files, or that change ----
mkfifo pipe
for pattern in pipe 'p*' '**'; do
    task "nobody waits for a pipe: $pattern" 0 "1 " "\"command\":\"true\",\"inputs\":[\"$pattern\"]"
done
rm pipe
{ for _ in 1 2 3 4 5 6 7 8 9 10; do cat "$root/sykli.h"; done >growing; } &
writer=$!
for time in first second third; do
    task "an input that grows, the $time time" 0 "1 " '"command":"true","inputs":["growing"]'
done
wait $writer
task "once it is whole" 0 "1 " '"command":"true","inputs":["growing"]'
task "it decides" 0 "1 cached" '"command":"true","inputs":["growing"]'
rm growing

# ---- names that are no texts, and too many or too long ones ----
odd='mkdir odd; cd odd; touch \"$(printf \"a\\\\nb\")\" \"$(printf \"\\\\377\\\\033\")\"'
task "outputs with such names" 1 "must be plain UTF-8" \
    "\"command\":\"$odd\",\"inputs\":[\"kept/file\"],\"outputs\":[\"odd\"]"
for time in passed cached; do
    task "inputs with such names: $time" 0 "1 $time" '"command":"true","inputs":["odd/**"]'
done
code=0
"$sykli" explain t >out 2>err </dev/null || code=$?
outcome "and they are explained" 0 'odd/a\x0ab' 'odd/\xff\x1b'
rm -r odd
long=$(repeat n 100)
task "a tree deeper than any path" 1 "name too long" "\"command\":\"mkdir o; cd o; \
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 \
34 35 36 37 38 39 40 41 42 43 44 45; do mkdir $long && cd -P $long || exit 0; done\",\
\"inputs\":[\"kept/file\"],\"outputs\":[\"o\"]"
task "it is removed all the same" 0 "1 passed" \
    '"command":"mkdir o; echo 1 >o/x","inputs":["kept/file"],"outputs":["o"]'
rm -rf o
task "a command that no system starts" 1 "rgument list too long" \
    "\"command\":\"echo $(repeat x 200000)\""
task "a variable that none takes" 1 "rgument list too long" \
    "\"command\":\"true\",\"env\":{\"A\":\"$(repeat x 200000)\"}"
mkdir many
(cd many && seq 100000 | xargs touch)
for time in passed cached; do
    task "100,000 inputs: $time" 0 "1 $time" '"command":"true","inputs":["many/**"]'
done
rm -r many
many='"command":"mkdir many; cd many; seq 20000 | xargs touch","inputs":["kept/file"]'
task "20,000 outputs" 0 "1 passed" "$many,\"outputs\":[\"many\"]"
rm -r many
task "put back" 0 "1 cached" "$many,\"outputs\":[\"many\"]"
holds "all of them" test "$(find many -type f | wc -l)" = 20000
rm -r many

# ---- places that are none ----
echo file >../state-file
SYKLI_STATE=$work/state-file
task "a state that is a file" 0 "1 passed" '"command":"true"'
SYKLI_STATE=$work/state SYKLI_CACHE=$work/state-file
task "a cache that is one" 0 "went on without its cache" \
    '"command":"echo 1 >o","inputs":["kept/file"],"outputs":["o"]'
holds "both stay" grep -q file ../state-file
SYKLI_CACHE=/dev/null/cache
task "a cache below what is none" 0 "went on without its cache" \
    '"command":"echo 1 >o","inputs":["kept/file"],"outputs":["o"]'
shm=/dev/shm/sykli-hostile-$$
if mkdir $shm 2>/dev/null; then # another file system than that of the project
    SYKLI_CACHE=$shm/cache
    for time in passed cached; do
        task "a cache elsewhere: $time" 0 "1 $time" \
            '"command":"mkdir o; echo 1 >o/x; chmod 755 o/x","inputs":["kept"],"outputs":["o"]'
        holds "its output" test -x o/x
        rm -rf o
    done
    rm -rf $shm
fi
SYKLI_CACHE=$work/cache
rm -rf o

# ---- disks that are full: a small one of its own for each run ----
cat >../on-disk <<'END'
#!/bin/sh
# on-disk BYTES COMMAND...: with a disk of that size at $DISK; what is in its place goes there.
mkdir -p "$DISK.under" && cp -R "$DISK/." "$DISK.under"
mount -t tmpfs -o size="$1" disk "$DISK" && cp -R "$DISK.under/." "$DISK" && cd . || exit 125
shift
cd "$PWD" && exec "$@"
END
chmod +x ../on-disk
mkdir ../disk
if unshare -m mount -t tmpfs disk ../disk 2>/dev/null; then
    export DISK="$work/disk"
    large='"command":"head -c 1000000 /dev/zero >o","inputs":["kept/file"],"outputs":["o"]'
    as="unshare -m ../on-disk 256k"
    SYKLI_CACHE=$work/disk/cache
    task "no room in the cache" 0 "No space left on device" "$large"
    holds "the output is there" test "$(wc -c <o)" = 1000000
    SYKLI_CACHE=$work/cache SYKLI_STATE=$work/disk/state as="unshare -m ../on-disk 4k"
    task "none for the state" 0 "1 " "$large"
    SYKLI_STATE=$work/state
    rm o
    printf '{"version":"1","tasks":[{"name":"t","command":"yes line | head -c 1000000"}]}' \
        >../disk/sykli.json
    cd ../disk || exit 1
    for size in 8k 64k; do
        code=0
        unshare -m ../on-disk $size timeout 60 "$sykli" run >../project/out 2>../project/err || code=$?
        cd ../project || exit 1
        if [ $size = 8k ]; then outcome "none for the project" 3 "check disk space"
        else outcome "too little for a log" 0 "its log cannot be written: No space left"; fi
        cd ../disk || exit 1
    done
    cd ../project || exit 1
    as=
fi

# ---- what an ordinary user may not ----
mkdir ../user
cp "$sykli" ../sykli
sykli=$work/sykli
if [ "$(id -u)" = 0 ]; then
    as="setpriv --reuid=65534 --regid=65534 --clear-groups"
    chown 65534 ../user
fi
# shellcheck disable=SC2086 # words
if $as test -x "$work/sykli" -a -w "$work/user" 2>/dev/null; then
    export SYKLI_STATE="$work/user/state" SYKLI_CACHE="$work/user/cache"
    cd ../user || exit 1
    touch sykli.json out err
    mkdir closed && echo kept >closed/file && echo secret >unread && echo in >in
    chmod 000 unread && chmod 500 closed
    if [ "$(id -u)" = 0 ]; then chown -R 65534 .; fi
    before=$(sums)
    task "an input that may not be read" 0 "unread cannot be read: Permission denied" \
        '"command":"true","inputs":["unread"]'
    task "one among others" 0 "unread cannot be read" '"command":"true","inputs":["un*","in"]'
    $as chmod 300 closed
    task "a folder" 0 "closed/** cannot be searched" '"command":"true","inputs":["closed/**"]'
    $as chmod 500 closed
    task "an output that may not be removed" 1 "closed/file cannot be removed" \
        '"command":"true","outputs":["closed/file"]'
    holds "it stays" $as grep -q kept closed/file
    task "an output that may not be read" 0 "o cannot be read" \
        '"command":"echo 1 >o; chmod 000 o","inputs":["in"],"outputs":["o"]'
    $as mkdir -p "$work/user/cache" && $as chmod -R a-w "$work/user/cache"
    task "a cache that may not be written" 0 "1 passed" \
        '"command":"echo 2 >o","inputs":["in"],"outputs":["o"]'
    holds "the output is there" grep -q 2 o
    $as chmod -R u+w "$work/user/cache"
    $as chmod 500 "$work/user/state"
    task "a state that may not" 0 "1 passed" '"command":"echo 3 >o"'
    $as chmod 700 "$work/user/state"
    $as chmod 0 .sykli/runs
    code=0
    $as "$sykli" history >out 2>err </dev/null || code=$?
    outcome "runs of somebody else" 3 ".sykli/runs: Permission denied"
    $as chmod 700 .sykli/runs
    rm -rf .sykli
    chmod 555 .
    before=$(sums)
    task "a project that may not" 3 ".sykli: Permission denied" '"command":"true"'
    chmod 755 .
    cd ../project || exit 1
fi

echo "hostile: $passed passed, $failed failed"
[ "$failed" = 0 ]
