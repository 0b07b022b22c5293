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
    "$sykli" run --output all >out 2>err </dev/null || code=$?
    outcome "$1" "$2" "$3"
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

echo "hostile: $passed passed, $failed failed"
[ "$failed" = 0 ]
