#!/bin/sh
# `sykli init`: what it writes for a real project passes, and is all hits the second time.
name=cli_init
. tests/cli.inc

# begin NAME: an empty folder with that name.
begin() {
    rm -rf "${work:?}/$1"
    mkdir -p "$work/$1/src"
    cd "$work/$1" || exit 1
}
# twice WHAT HITS [PATTERN...]: init, run, run again: so many hits, nothing else but what always runs.
twice() {
    what=$1 hits=$2
    shift 2
    run init
    expect "init: $what" 0 "sykli.json is written"
    run
    expect "$what passes" 0 "$@" "!failed" "!errored"
    run
    expect "$what again is hits" 0 "$hits cached" "!failed"
}

# ---- one tool ----
begin make
printf 'all: app\napp: src/app.c\n\t$(CC) -o app src/app.c\ntest: app\n\t./app\n.PHONY: test\n' >Makefile
printf 'int main(void) { return 0; }\n' >src/app.c
twice make 2 "●  build" "●  test"
echo '/* changed */' >>src/app.c
run
expect "a source is an input" 0 "2 passed"
run init
expect "init writes over nothing" 1
told "sykli.json is there already"
echo broken >sykli.json
run init --force --json
expect "unless it is told to" 0 '"found":["Makefile"],"tasks":2'
run validate --strict
expect "what init writes is valid" 0
run init --lang c
expect "a pipeline in C" 0 "sykli.c is written: 2 tasks from Makefile" \
    "give build its outputs: as it is, a hit says that it passed and puts nothing back"
holds "is C" "${CC-cc}" -std=c11 -Wall -Werror -fsyntax-only -I"$root" sykli.c
rm sykli.json
run
expect "that has the same keys" 0 "sykli.c" "○  build" "○  test"
run
expect "and hits again" 0 "2 cached"
run init --lang c
expect "and is written once" 1
rm sykli.c
run init --lang cobol
expect "an unknown language" 2

if command -v cmake >/dev/null; then
    begin cmake
    printf 'int main(void) { return 0; }\n' >src/app.c
    cat >CMakeLists.txt <<'C'
cmake_minimum_required(VERSION 3.13)
project(app C)
add_executable(app src/app.c)
enable_testing()
add_test(NAME app COMMAND app)
C
    twice cmake 2 "●  build" "●  test"
    rm -rf build
    run
    expect "whatever is left of the build" 0 "2 cached"
fi

if command -v npm >/dev/null; then
    begin npm
    cat >package.json <<'C'
{"name":"app","version":"1.0.0","main":"dist/app.js","scripts":{"lint":"node --check src/app.js",
 "build":"mkdir -p dist && cp src/app.js dist/","test":"node dist/app.js"}}
C
    echo 'process.exit(0)' >src/app.js
    twice npm 3 "●  lint" "●  build" "●  test"
    rm -rf dist
    run
    expect "what was built is restored" 0 "3 cached"
    holds "the file is there" [ -f dist/app.js ]
    begin npm-fresh
    printf '{"name":"a","scripts":{"test":"echo \\"Error: no test specified\\" && exit 1"}}' >package.json
    twice "a package without tests" 1 "hello"
fi

if command -v go >/dev/null && go version >/dev/null 2>&1; then
    begin go
    printf 'module app\n' >go.mod
    printf 'package main\n\nfunc main() {}\n' >app.go
    twice go 2 "●  vet" "●  test"
fi

if command -v cargo >/dev/null && (cd / && HOME=$real_home cargo --version >/dev/null 2>&1); then
    begin cargo
    printf '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
    printf 'fn main() {}\n' >src/main.rs
    HOME=$real_home
    run init
    run run build
    expect "cargo passes" 0 "●  build"
    run run build
    expect "cargo again is a hit" 0 "1 cached"
    HOME=$work/home
fi

# ---- several, and none ----
begin both
printf 'all:\n\ttrue\ncheck:\n\ttrue\n' >Makefile
printf '{"name":"a","scripts":{"test":"node src/a.js"}}' >package.json
echo 'process.exit(0)' >src/a.js
command -v npm >/dev/null && twice "several tools" 3 "make-build" "make-test" "npm-test"

begin none
twice "an empty folder" 1 "●  hello"

begin documents
printf 'all:\n\ttrue\n' >Makefile
touch src/a.adoc sykli.c sykli.py
run init
expect "what nobody knows is no input" 0 "build always runs: name what it reads as its inputs"
holds "and a hit of it would be a lie" sh -c '! grep -q inputs sykli.json'
mkdir many
for i in $(seq 130); do mkdir "d$i" && touch "d$i/a.go"; done
run init --force
holds "nor is a part of what it reads" sh -c '! grep -q inputs sykli.json'

begin names
mkdir -p 'odd [x]' 'with space' node_modules/dep
touch 'with space/a.c' 'odd [x]/b.c' node_modules/dep/c.js gen.c
printf 'all:\n\ttrue\n' >Makefile
run init
expect "init in a folder with odd names" 0
holds "folders are inputs" grep -qF '"with space/**/*.c"' sykli.json
holds "also those whose names mean something in a pattern" grep -qF '"odd ?x?/**/*.c"' sykli.json
holds "what is fetched is not" sh -c '! grep -q node_modules sykli.json'
finish
