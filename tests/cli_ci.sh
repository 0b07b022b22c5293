#!/bin/sh
# Under a CI system: folding, annotations, the summary, and that a task cannot speak to the runner.
name=cli_ci
. tests/cli.inc

project ci <<'J'
{"version":"1","tasks":[
 {"name":"good","command":"echo fine","inputs":["in"],"outputs":[]},
 {"name":"bad","command":"cat said; exit 1","depends_on":["good"]},
 {"name":"short","command":"echo brief; exit 1"},
 {"name":"shaky","command":"[ -e again ] || { touch again; exit 1; }","retry":1},
 {"name":"::error::|`x`<b>","command":"echo ::warning::y; seq 12; exit 2"}]}
J
mkdir -p src
touch in src/a.c ../outside.c
cat >said <<'T'
one
two
three
::error file=in::injected
  ::set-output name=x::y
text ##[add-mask]z
12:30:45: no file
src/a.c:7:3: error: 50% of it, and: more
src/a.c:9: warning: unused
./src/a.c(4,2): error TS1: text
  File "src/a.c", line 12, in f
../outside.c:1:1: error: not ours
the end
T

export GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY="$work/summary.md"
run --keep-going --output all
expect "github" 1 "::group::output of good" "::group::output of bad" "::endgroup::" \
    "::error file=src/a.c,line=7,col=3,title=bad::error: 50%25 of it, and: more" \
    "::warning file=src/a.c,line=9,title=bad::warning: unused" \
    "::error file=src/a.c,line=4,col=2,title=bad::error TS1: text" \
    "::error file=src/a.c,line=12,title=bad::" \
    "::error title=%3A%3Aerror%3A%3A|\`x\`<b>::exit code 2" "##\\[add-mask]z" "the end" \
    "│ brief" "!output of short" "::error title=short::exit code 1" "(attempt 2)" "!outside.c,"
told "retried  shaky  attempt 2"
cat out err >both
grep -E '^[[:space:]]*::|##\[' both | grep -vE '^::(group::output of|endgroup::|(error|warning) (file=src/a.c,|title=(%3A|short)))' >code.txt
cp code.txt out
holds "a task says nothing to the runner" [ ! -s code.txt ]
cp both out
holds "no file is no annotation" sh -c '! grep -q "line=30" both'
holds "groups end" [ "$(grep -c '^::group::' both)" = "$(grep -c '^::endgroup::' both)" ]
run --keep-going --output stream
cat out err | grep -E '^[[:space:]]*::' | grep -vE '^::(group|endgroup|error (file|title)|warning file)' >code.txt
holds "nor where it is streamed" [ ! -s code.txt ]
cp "$work/summary.md" out
expect "the summary" 1 "### sykli: sykli.json" "3 failed · 2 passed in " "| task | status | time |" \
    "<code>good</code> | passed" "<code>good</code> | cached | " \
    "<code>shaky</code> | passed, attempt 2 | " \
    "<code>::error::&#124;&#96;x&#96;&#60;b&#62;</code> | failed" "<details><summary><code>bad</code>" \
    "&#10;the end" "!<b>"
holds "what failed comes first" sh -c 'sed -n 7p out | grep -q "^| ✕"'
GITHUB_WORKSPACE="$work" run --keep-going bad
expect "annotations name files of the repository" 1 "::error file=ci/src/a.c,line=7,col=3,title=bad"
run logs bad
expect "logs are guarded too" 0 "##\\[add-mask]z" ":\\:error file=in"
run --json
expect "JSON stays one line" 1
lines 1
printf '{"version":"1","tasks":[{"name":"a","command":"printf %%065535d 0; echo; exit 1"}]}' >full.json
run run -f full.json
expect "a log as long as the tail of one is shown once" 1 "│ 000" "!::group"
GITHUB_STEP_SUMMARY=/nowhere/x run run good
expect "no summary is no failure" 0 "1 cached"
told "/nowhere/x"
printf '{"version":"1","tasks":[{"name":"a%%","comand":"x"}]}' >bad.json
run run -f bad.json
expect "errors of a pipeline" 1 \
    '::error file=bad.json,line=1,col=25,title=missing_command::task "a%25" has no command'
GITHUB_WORKSPACE="$work" run validate bad.json
expect "in the repository" 1 "::error file=ci/bad.json,line=1,"
run run -f bad.json --events
expect "but not among events" 1 "!::"
unset GITHUB_ACTIONS GITHUB_STEP_SUMMARY

export GITLAB_CI=true
run --keep-going
expect "gitlab" 1 "section_start:" ":sykli_bad[collapsed=true]" "section_end:" \
    ":sykli___error___" "!::group" "!::error title"
holds "sections end" [ "$(grep -c 'section_start' out)" = "$(grep -c section_end out)" ]
unset GITLAB_CI
run --keep-going
expect "elsewhere there is none of it" 1 "!section_" "!::group" "│ ::error file=in"
finish
