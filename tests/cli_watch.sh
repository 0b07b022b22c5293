#!/bin/sh
# `run --watch`: runs again when what the tasks read has changed, and only then.
name=cli_watch
. tests/cli.inc

# starts ARGUMENT...: begins watching.
starts() {
    : >out
    code=0
    "$sykli" run --watch "$@" >out 2>err </dev/null &
    pid=$!
}
# ran COUNT: so many runs have ended, and it waits again.
waits() { [ "$(grep -c 'waiting for changes' err)" = "$1" ]; }
ran() {
    if until_true waits "$1"; then passed=$((passed + 1)); else fail "$1 runs"; cat err; fi
}
# stops SIGNAL EXIT
stops() {
    kill -s "$1" $pid
    wait $pid
    code=$?
    expect "$1 ends the watching" "$2"
}

project watch <<'J'
{"version":"1","tasks":[
 {"name":"make","command":"cat $(find src -name \"*.c\") >made; date >stamp","inputs":["src/**/*.c"],"outputs":["made"]},
 {"name":"use","command":"cat made; cat made >src/gen.c","inputs":["made"],"outputs":["src/gen.c"],
  "depends_on":["make"]}]}
J
mkdir src
echo one >src/a.c
starts --output stream
ran 1
echo two >src/a.c
ran 2
told "src/a.c changed"
touch src/a.c
echo two >src/a.c
echo noise >src/a.txt
echo noise >made
echo noise >src/gen.c
mkdir -p src/deep/er
echo three >src/deep/er/b.c
ran 3
told "src/deep/er/b.c changed"
holds "nothing else made it run" [ "$(grep -c '^sykli: .* changed' err)" = 2 ]
chmod +x src/deep/er/b.c
ran 4
rm src/a.c
ran 5
sed 's/cat made;/echo edited;/' sykli.json >next && mv next sykli.json
ran 6
told "sykli.json changed"
expect "the new pipeline has run" 0 "use | one" "use | two" "use | three" "use | edited"
echo '{' >sykli.json
ran 7
told "sykli.json:"
printf '{"version":"1","tasks":[{"name":"last","command":"sleep 0","inputs":["src/*.c"]}]}' >sykli.json
ran 8
expect "a repaired pipeline has run" 0 "●  last"
stops INT 130

project writes <<'J'
{"version":"1","tasks":[
 {"name":"counts","command":"echo x >>in","inputs":["in"]}]}
J
touch in
starts
until_true grep -q "is it an output?" err
told "in changes whenever the tasks run; is it an output?"
holds "after a few times" [ "$(wc -l <in)" -lt 8 ]
stops TERM 143

project killed <<'J'
{"version":"1","tasks":[{"name":"long","command":"sleep 60","inputs":["in"]}]}
J
touch in
starts
until_true grep -q "started" err
stops INT 130

project quick <<'J'
{"version":"1","tasks":[{"name":"t","command":"cat in; [ -e go ] || { echo more >in; touch go; }","inputs":["in"]}]}
J
echo first >in
starts --output stream
ran 2
expect "a change while tasks run is seen" 0 "t | first" "t | more"
stops INT 130
# A pipeline that cannot be read, or is away for a moment, ends nothing: it is waited for.
project broken <<'J'
J
rm sykli.json
pipe() { printf '{"version":"1","tasks":[{"name":"%s","command":"cat in","inputs":["in"]}]}' "$1"; }
mkdir -p ci
printf '#!/bin/sh\ncat ci/pipe\n' >ci/emit
chmod +x ci/emit
pipe first >ci/pipe
echo one >in
starts -f ci/emit --output stream
ran 1
printf '#!/bin/sh\nexit 7\n' >ci/emit
ran 2
told "ci/emit changed"
told "ci/emit --emit ended with exit code 7"
echo two >in
ran 3
told "in changed"
rm ci/emit
ran 4
pipe last >ci/pipe
printf '#!/bin/sh\ncat ci/pipe\n' >next && chmod +x next && mv next ci/emit
ran 5
expect "what was mended has run" 0 "first | one" "last | two"
stops INT 130
pipe out >../out.json
starts -f ../out.json t
wait $pid
code=$?
expect "a task that is not there at first" 2
starts -f ../out.json out
ran 1
pipe renamed >../out.json
ran 2
told "../out.json changed"
told "no task is named out"
stops INT 130
mkdir -p ci
pipe other >ci.json
starts -f ci/..//ci.json
ran 1
pipe changed >ci.json
ran 2
told "sykli: ci.json changed"
stops INT 130
touch sykli.c
printf '#!/bin/sh\nkill -TERM $PPID\nexec sleep 9\n' >cc
chmod +x cc
CC=./cc run run --watch -f sykli.c
expect "a signal while the compiler is asked" 143
holds "which is not its fault" sh -c '! grep -q "does not run" err'
run run --watch -f -
expect "stdin cannot be watched" 2
finish
