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
rm src/a.c
ran 4
sed 's/cat made;/echo edited;/' sykli.json >next && mv next sykli.json
ran 5
told "sykli.json changed"
expect "the new pipeline has run" 0 "use | one" "use | two" "use | three" "use | edited"
echo '{' >sykli.json
ran 6
told "sykli.json:"
printf '{"version":"1","tasks":[{"name":"last","command":"sleep 0","inputs":["src/*.c"]}]}' >sykli.json
ran 7
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
run run --watch -f -
expect "stdin cannot be watched" 2
finish
