#!/bin/sh
# The pipeline format as its users write it: every key, each with what it does and what is said when
# it is wrong. The last part holds what the engine that the format comes from gets wrong.
name=pipeline
. tests/cli.inc
unset TOKEN CC
mkdir -p "$work/home/.config/sykli" "$work/bin"
export XDG_CONFIG_HOME="$work/home/.config" PATH="$work/bin:$PATH"

# project NAME TASKS: a folder with a pipeline of version 4.
project() {
    mkdir -p "$work/$1"
    cd "$work/$1" || exit 1
    printf '{"version":"4","tasks":[\n%s\n]}\n' "$2" >sykli.json
}
# status NAME: of a task in the JSON on stdout
status() { tr '{' '\n' <out | sed -n "s/^\"name\":\"$1\",\"status\":\"\([a-z]*\)\".*/\1/p"; }
is() {
    if [ "$(status "$1")" = "$2" ]; then passed=$((passed + 1)); else fail "$1 is to be $2"; fi
}

# Nobody writes to this one: it is given up on while the other tests run.
mkfifo "$work/mute"
"$sykli" validate -f "$work/mute" >"$work/mute.out" 2>"$work/mute.err" </dev/null &
mute=$!
# This one's writer is there, but has nothing to say.
mkfifo "$work/late"
sleep 3 >"$work/late" &
"$sykli" validate -f "$work/late" >"$work/late.out" 2>"$work/late.err" </dev/null &
late=$!

# ---- task_inputs ----
project inputs '{"name":"use","command":"cat got/a","task_inputs":[
  {"from_task":"make","output":"dir","dest":"got"}]},
 {"name":"make","command":"mkdir -p made; cp in made/a","inputs":["in"],"outputs":{"dir":"made"}}'
echo text >in
run --json
expect "an output is taken in, and is a dependency" 0 '"status":"passed"'
is use passed
holds "the copy" grep -q text got/a

project badinputs '{"name":"a","command":"true","outputs":{"o":"x","p":"y"}},
 {"name":"m","command":"true","matrix":{"v":["1","2"]},"outputs":{"o":"x"}},
 {"name":"b","command":"true","task_inputs":[{"from_task":"none","output":"o","dest":"d"},
  {"from_task":"a","output":"q","dest":"d"},{"from_task":"b","output":"o","dest":"d"},
  {"from_task":"m","output":"o","dest":"d"},{"from_task":"a","output":"o"}]}'
run validate --json
expect "all wrong task inputs at once" 1 '"type":"missing_task_input"' '"type":"missing_output"' \
    'it has o, p' '"type":"self_dependency"' '"type":"invalid_task_input"' 'such as \"m-1\"' \
    '"path":"tasks[2].task_inputs[1]"'
run
expect "run says the same" 1
told 'takes an output of "none", which does not exist'
project leave '{"name":"a","command":"touch x","outputs":{"o":"x","p":"y"}},
 {"name":"b","command":"true","outputs":{"q":"./made/"},"task_inputs":[
  {"from_task":"a","output":"o","dest":"../x"},
  {"from_task":"a","output":"o","dest":"/tmp/x"},
  {"from_task":"a","output":"o","dest":"d/../../x"},
  {"from_task":"a","output":"o","dest":"sub/.Git/x"},
  {"from_task":"a","output":"o","dest":"lib//./x"},{"from_task":"a","output":"p","dest":"lib/x"},
  {"from_task":"a","output":"o","dest":"made/x"},
  {"from_task":"a","output":"o","dest":"all/"},{"from_task":"a","output":"p","dest":"all/"},
  {"from_task":"a","output":"p","dest":"..x/.y/made"}]}'
run validate --json
expect "where task inputs may go" 1 '"message":"`dest` is \"../x\": it may not leave' \
    '\"/tmp/x\": it is relative to the project folder' '\"d/../../x\": it may not leave' \
    '\"sub/.Git/x\": nothing is copied to .git' '\"lib/x\": output \"o\" of \"a\" becomes \"lib/x\" too' \
    '\"made/x\": it is in the output \"q\"' '"path":"tasks[1].task_inputs[5]","line":8,"column":' \
    '!task_inputs[4]",' '!task_inputs[7]' '!task_inputs[8]' '!task_inputs[9]'
holds "six of ten" test "$(grep -o invalid_task_input out | wc -l)" = 6
run
expect "no input leaves the project" 1
told 'may not leave'

project paths '{"name":"in","command":"true","inputs":["a..b","..","x/../y","/abs"]},
 {"name":"out","command":"true","outputs":{"o":"../o","p":"..p"}},
 {"name":"dir","command":"true","workdir":"d/.."}'
run validate --json
expect "paths that leave the project" 1 \
    '"path":"tasks[0].inputs[1]","line":2,"column":48,"message":"\"..\": a path may not leave' \
    '"path":"tasks[0].inputs[2]"' '"path":"tasks[0].inputs[3]"' 'paths are relative to the project' \
    '"path":"tasks[1].outputs"' '"path":"tasks[2].workdir"' '!inputs[0]' '!\"..p\"'
holds "nothing ran" test ! -e x

# Two files that would become one: what the graph shows, and what only the folder shows.
project same '{"name":"a","command":"true","outputs":{"o":"a/app","d":"a/web/","g":"a/*","n":"a/dist/app"}},
 {"name":"b","command":"true","outputs":{"o":"b/app","d":"b/web/","g":"b/*"}},
 {"name":"c","command":"true","task_inputs":[
  {"from_task":"a","output":"o","dest":"dist/"},{"from_task":"b","output":"o","dest":"./dist//"},
  {"from_task":"a","output":"d","dest":"dist/"},{"from_task":"b","output":"d","dest":"dist/"},
  {"from_task":"a","output":"g","dest":"dist/"},{"from_task":"b","output":"g","dest":"dist/"},
  {"from_task":"a","output":"n","dest":"dist/app"},{"from_task":"a","output":"n","dest":"dist/app/"}]}'
run validate --json
expect "two outputs of one name do not go into one folder" 1 '"path":"tasks[2].task_inputs[1]"' \
    '\"./dist//\": output \"o\" of \"a\" becomes \"dist/app\" too: give one of the two another' \
    '"path":"tasks[2].task_inputs[6]"' '!task_inputs[3]' '!task_inputs[5]' '!task_inputs[7]'
project meet '{"name":"a","command":"mkdir -p a; cp in a/app; echo a >a/x; echo l >a/l","outputs":{"d":"a"}},
 {"name":"b","command":"mkdir -p b; echo b >b/app; echo l >b/l","outputs":{"g":"b/*"}},
 {"name":"c","command":"cat dist/*","task_inputs":[{"from_task":"a","output":"d","dest":"dist"},
  {"from_task":"b","output":"g","dest":"dist/"}]}'
echo a >in
run validate
expect "what is in folders and globs is not known before" 0
run --json
expect "two files do not become one" 1 "task takes in two files as dist/app, from output 'd' of 'a' and," \
    "as b/app, from output 'g' of 'b': give one of the two another dest"
is c errored
holds "nothing was copied" test ! -e dist
echo b >in
run --json
expect "one that is the same does no harm" 0
is c passed
holds "all is there" grep -q l dist/l

# What a task makes is no input of it.
project own '{"name":"gen","command":"sleep 0; cat src/a.c >src/gen/v.c","inputs":["src/**/*.c"],
  "outputs":{"v":"src/gen/v.c"}},
 {"name":"use","command":"cat src/gen/v.c >use","inputs":["src/**"],"outputs":["use"],"depends_on":["gen"]}'
mkdir -p src/gen && echo a >src/a.c
run validate --json
expect "an output that a pattern finds is told" 0 '"valid":true' '"type":"output_among_inputs"' \
    '"path":"tasks[0].outputs"' 'the input \"src/**/*.c\" finds the output \"src/gen/v.c\"' '!tasks[1]'
run --json
expect "it is no error" 0
is gen passed
run --json
is gen cached
is use cached
echo other >src/gen/v.c
run --json
is gen cached
holds "it is put back" grep -q a src/gen/v.c
echo b >src/a.c
run --json
is gen passed
is use passed

# ---- success_criteria, evidence_required ----
project criteria '{"name":"odd","command":"echo r >r; exit 3","workdir":"sub","inputs":["in"],
  "outputs":{"r":"sub/r"},"success_criteria":[{"type":"exit_code","equals":3},
  {"type":"file_exists","path":"r"},{"type":"file_non_empty","path":"r"}]}'
mkdir -p sub && echo 1 >in
run --json
expect "exit code 3 is accepted" 0 \
    '"success_criteria_results":[{"type":"exit_code","equals":3,"status":"passed"}' \
    '{"type":"file_non_empty","path":"r","status":"passed"}]'
is odd passed
run --json
is odd cached
expect "criteria are looked at again after a restore" 0 '"path":"r","status":"passed"'
sed -i.bak 's/"equals":3/"equals":0/' sykli.json
run --json
expect "other criteria are another action" 1 'exit code 3, 0 is wanted'
is odd failed

project criteria2 '{"name":"m","command":"touch e","retry":1,"success_criteria":[
  {"type":"file_exists","path":"none"},{"type":"file_non_empty","path":"e"},
  {"type":"file_exists","path":"../in"},{"type":"file_exists","path":"/etc/passwd"}]},
 {"name":"x","command":"touch e; exit 1","success_criteria":[{"type":"file_exists","path":"e"}]}'
touch ../in
run -k --json
expect "criteria that do not hold" 1 '"error":"success criterion: file_exists none: file is missing"' \
    '"path":"e","status":"failed","message":"file is empty"' \
    '"path":"../in","status":"failed","message":"path escapes task workdir"' \
    '"path":"/etc/passwd","status":"failed","message":"path escapes task workdir"'
is m failed
is x failed
run -k
expect "they are retried" 1 '(attempt 2)'

project evidence '{"name":"all","command":"mkdir -p r/s; echo 1 >r/s/a.xml","evidence_required":[
  {"type":"file","name":"report","ref_pattern":"r/**/*.xml","predicate":"non_empty"},
  {"type":"metric","name":"speed","required":false}]},
 {"name":"lack","command":"true","evidence_required":[
  {"type":"file","name":"report","ref_pattern":"*.nothing"}]},
 {"name":"far","command":"true","evidence_required":[{"type":"attestation","name":"sig"}]}'
run -k --json
is all passed
is lack failed
is far failed
expect "evidence" 1 '"name":"report","ref_pattern":"r/**/*.xml","required":true,"status":"passed"' \
    '"name":"speed","required":false,"status":"unsupported"' \
    '"error":"missing_evidence: report *.nothing: no file"' \
    '"error":"unsupported_evidence: sig: evidence of type attestation cannot be checked here'

# ---- secrets ----
cat >"$work/bin/vault" <<'END'
#!/bin/sh
echo "$@" >>"$VAULT_CALLS"
[ "$4" = secret/slow ] && echo $$ >"$VAULT_CALLS.slow" && exec sleep 60
[ "$5" = "" ] && [ "$4" = secret/db ] && [ "$3" = -field=pw ] && echo from-the-vault-1
END
chmod +x "$work/bin/vault"
project secrets '{"name":"has","command":"echo \"<$A|$B|$C>\"; test ${#A} = 15; test ${#C} = 16",
  "inputs":["in"],"secret_refs":[{"name":"A","source":"env","key":"TOKEN"},
  {"name":"B","source":"file","key":"tok"},{"name":"C","source":"vault","key":"secret/data/db#pw"}]},
 {"name":"not","command":"test -z \"$TOKEN$A\""},
 {"name":"lacks","command":"true","secret_refs":[{"name":"D","source":"vault","key":"secret/no#pw"}]},
 {"name":"old","command":"true","secrets":["NOT_SET_ANYWHERE"]}'
echo canary-in-file >tok
echo 1 >in
export VAULT_CALLS="$work/calls" TOKEN=canary-from-env
run -k --output all
expect "secret references" 1 '<***|***|***>' 'requires secrets: no D from vault secret/no#pw: exit code 1' \
    'requires secrets: NOT_SET_ANYWHERE'
told 'secret D: vault secret/no#pw: exit code 1'
holds "the call of vault" grep -qx 'kv get -field=pw secret/db' "$work/calls"
project slowsecret '{"name":"a","command":"true","secret_refs":[
  {"name":"S","source":"vault","key":"secret/slow"}]}'
SYKLI_VAULT_TIMEOUT=300ms run
expect "a vault that does not answer" 1 'requires secrets: no S from vault secret/slow'
told 'secret S: vault secret/slow: no answer within 300ms (vault.timeout)'
told 'sykli: waiting for vault: secret/slow'
vault_is_gone() { ! kill -0 "$(cat "$VAULT_CALLS.slow")" 2>/dev/null; }
rm "$VAULT_CALLS.slow"
"$sykli" run >out 2>err </dev/null &
until_true [ -s "$VAULT_CALLS.slow" ]
kill -TERM $!
code=0
{ wait $! || code=$?; } 2>/dev/null
expect "a signal while vault is asked ends the run" 143
holds "and vault with it" vault_is_gone
SYKLI_VAULT_TIMEOUT=soon run
told 'SYKLI_VAULT_TIMEOUT, or vault.timeout in '
cd "$work/secrets" || exit 1
rm tok
run -k --json
is has cached
is not passed
is lacks errored
run run --dry-run has
expect "what is a hit lacks no secret" 0 "○  has"
run run --dry-run --refresh has
expect "what would run lacks one" 0 "error: requires secrets: no B from file tok"
nowhere() { ! grep -rqE 'canary-|from-the-vault' .sykli out err "$XDG_CACHE_HOME" "$XDG_STATE_HOME"; }
mkdir -p "$XDG_STATE_HOME"
holds "no secret is left anywhere" nowhere
unset TOKEN
project badsecrets '{"name":"a","command":"true","secret_refs":[{"name":"","source":"env","key":"K"},
  {"name":"X","source":"cloud","key":"K"},"text"]}'
run validate --json
expect "wrong secret references" 1 '"path":"tasks[0].secret_refs[0]"' 'env, file or vault' \
    '"path":"tasks[0].secret_refs[2]"'

# ---- a terminal, silence ----
project terminal '{"name":"tty","command":"test -t 1","pty":true},{"name":"no","command":"! test -t 1"},
 {"name":"quiet","command":"sleep 30","stall":1},
 {"name":"fresh","command":"echo x >>runs","inputs":["in"],"no_cache":true}'
echo 1 >in
run -k --json
is tty passed
is no passed
is quiet errored
expect "silence has its limit" 1 'stalled: no output for 1'
run run fresh --json
is fresh passed
run validate --strict
expect "they are known to --strict" 0
project badterminal '{"name":"a","command":"x","pty":"yes","stall":0,"no_cache":1},
 {"name":"b","command":"x","stall":"5m"},{"name":"c","command":"x","stall":4294968},
 {"name":"f","command":"x","processes":0},{"name":"g","command":"x","processes":4194305},
 {"name":"d","command":"x","pty":null,"stall":null,"no_cache":null}'
run validate --json
expect "what they may be" 1 '"path":"tasks[0].pty"' '`pty` is a string, true or false is wanted' \
    '"path":"tasks[0].no_cache"' '`no_cache` is a number, true or false' '"path":"tasks[1].stall"' \
    '`stall` must be a whole number from 1 to 4294967' '"path":"tasks[2].stall"' '!tasks[5]' \
    '"path":"tasks[3].processes"' '`processes` must be a whole number from 1 to 4194304' \
    '"path":"tasks[4].processes"'
project calm '{"name":"r","kind":"review","primitive":"p","pty":true,"stall":3,"processes":4}'
run validate --strict --json
expect "not on reviews" 1 'a review has no `pty`' 'a review has no `stall`' 'a review has no `processes`'

# ---- gates ----
cat >"$work/bin/curl" <<'END'
#!/bin/sh
for word; do last=$word; done
case $last in
*yes) echo '{"approved":true,"approver":"ada"}' ;;
*no) echo '{"approved":false,"reason":"frozen"}' ;;
*odd) echo hello ;;
*wait) for _ in $(seq 200); do [ -e "$CURL_CALLS.go" ] || sleep 0.05; done
       echo '{"approved":true}' ;;
*hang) echo $$ >"$CURL_CALLS.hang"; exec sleep 60 ;;
*) exit 22 ;;
esac
echo "$@" >>"$CURL_CALLS"
END
chmod +x "$work/bin/curl"
export CURL_CALLS="$work/curls"
project gates '{"name":"open","gate":{"strategy":"env","env_var":"GO"}},
 {"name":"shut","gate":{"strategy":"env","env_var":"STOP"}},
 {"name":"late","gate":{"strategy":"env","env_var":"NEVER_SET","timeout":1}},
 {"name":"file","command":"touch released","gate":{"strategy":"file","file_path":"go"}},
 {"name":"ask","gate":{"strategy":"prompt"}},
 {"name":"hang","gate":{"strategy":"webhook","webhook_url":"http://h/hang","timeout":1}},
 {"name":"odd","gate":{"strategy":"file"}},
 {"name":"beside","command":"echo approved >go","inputs":["in"],"outputs":{"o":"go"}},
 {"name":"behind","command":"true","depends_on":["late"]}'
GO=yes STOP=no run -k -j 1 --json
expect "gates" 1 'denied by STOP' 'timeout: nobody decided within' 'no terminal to ask' \
    'names no `file_path`'
is open passed
is shut failed
is late failed
is file passed
is ask failed
is odd failed
is behind blocked
is hang failed
curl_is_gone() { ! kill -0 "$(cat "$CURL_CALLS.hang")" 2>/dev/null; }
holds "what was asked ends with its gate" curl_is_gone
holds "an approved gate goes on with its command" test -e released
project gatewhen '{"name":"skip","gate":{"strategy":"env","env_var":"STOP"},"when":"false"},
 {"name":"bad","gate":{"strategy":"env","env_var":"STOP"},"when":"what =="}'
STOP=no run -k --json
is skip skipped
is bad failed
project badgates '{"name":"a","gate":"yes"},{"name":"b","gate":{"strategy":"env","timeout":0}}'
run validate --json
expect "wrong gates" 1 '`gate` is a string, an object is wanted' '"type":"invalid_gate"'
project oddgates '{"name":"a","gate":{"strategy":"webhook"}},{"name":"b","gate":{"strategy":"vote"}}'
run validate --json
expect "gates that will not open" 0 '"type":"gate_never_opens"' '"type":"unknown_gate_strategy"'
# asked ANSWER: runs in a terminal, where the answer is typed; an Enter before the question is none.
asked() {
    code=0
    { echo; until_true grep -qF 'y/N' out; printf '%b' "$1"; } \
        | script -qefc "$sykli run" /dev/null >out 2>&1 || code=$?
}
project ask '{"name":"g","command":"echo done","gate":{"strategy":"prompt","message":"Deploy?"}},
 {"name":"t","command":"true"}'
if script --version 2>/dev/null | grep -q util-linux; then
    asked 'y\n'
    expect "approved at a terminal, with the display on" 0 'g: Deploy?  [y/N]' '2 passed'
    asked 'n\n'
    expect "denied at a terminal" 1 'denied at the terminal' '1 failed'
    asked '\004'
    expect "no answer is none" 1 'denied at the terminal' '1 failed'
    holds "what follows has its own line" grep -q '^sykli · ' out
fi
project hooks '{"name":"y","gate":{"strategy":"webhook","webhook_url":"http://h/yes","message":"m"}},
 {"name":"n","gate":{"strategy":"webhook","webhook_url":"http://h/no"}},
 {"name":"o","gate":{"strategy":"webhook","webhook_url":"http://h/odd"}},
 {"name":"f","gate":{"strategy":"webhook","webhook_url":"http://h/f"}}'
run -k --json
is y passed
expect "webhooks" 1 'denied by the webhook: frozen' 'did not answer with JSON' 'exit code 22'
# Without cgroups strays are looked for among the children of the program: this one is none.
project asking '{"name":"y","gate":{"strategy":"webhook","webhook_url":"http://h/wait"}},
 {"name":"short","command":"true & sleep 0.1"},
 {"name":"go","command":"touch $CURL_CALLS.go","depends_on":["short"]}'
SYKLI_KILL_CGROUPS=off run -k --json
is y passed
cd "$work/hooks" || exit 1
run run --dry-run
expect "what would become of gates" 0 'run: once its gate (webhook) is approved'
holds "what is sent" grep -qF '{"gate":"y","message":"m"}' "$work/curls"

# ---- reviews ----
project reviews '{"name":"r","kind":"review","primitive":"lint","agent":"ada","context":["a","b"]},
 {"name":"s","kind":"review","primitive":"other"}'
printf 'reviews:\n  lint: echo "$SYKLI_REVIEW_PRIMITIVE by $SYKLI_REVIEW_AGENT of $SYKLI_REVIEW_CONTEXT"\n' \
    >"$XDG_CONFIG_HOME/sykli/sykli.yaml"
run -k --output all
expect "a review with a command, and one without" 1 'lint by ada of a' \
    'no command does reviews of the primitive "other": set reviews.other in sykli.yaml'
run run --dry-run
expect "what would become of reviews" 0 'no command does reviews'
rm "$XDG_CONFIG_HOME/sykli/sykli.yaml"

# ---- capabilities, labels, hooks ----
project capabilities '{"name":"use","command":"echo v=$SYKLI_CAP_DATA_BASE","needs":["data-base"],
  "requires":["gpu"]},
 {"name":"give","command":"true","provides":[{"name":"data-base","value":"pg"}]}'
run --output all
expect "a capability and its value" 0 'v=pg'
told 'note: `requires` of use is ignored'
project elsewhere '{"name":"a","command":"true","k8s":{"memory":"1Gi"},"verify":"always"},
 {"name":"b","command":"true","k8s":{"cpu":"1"},"verify":"never","requires":["gpu"]},
 {"name":"c","command":"true","depends_on":["b"]}'
run
expect "what other runners do" 0 "3 passed"
told 'note: `k8s` of a and 1 more is ignored: '
told 'note: `verify` of a is ignored: '
holds "one note a key" test "$(grep -c note: err)" = 3
run run c
holds "of what runs" test "$(grep -c note: err)" = 2
project fails '{"name":"try","command":"echo x >>tries; exit 1","ai_hooks":{"on_fail":"retry"}},
 {"name":"may","command":"exit 1","ai_hooks":{"on_fail":"skip"}},
 {"name":"next","command":"true","depends_on":["may"]},
 {"name":"never","command":"true","ai_hooks":{"select":"manual"}}'
run -k --json
expect "hooks" 1
is try failed
holds "two retries at least" test "$(wc -l <tries)" = 3
is may skipped
is next passed
is never skipped
run run never --json
is never passed

project smart '{"name":"a","command":"true","inputs":["a"],"ai_hooks":{"select":"smart"}},
 {"name":"b","command":"true","inputs":["b"],"ai_hooks":{"select":"smart"},
  "semantic":{"covers":["c/**"]}},
 {"name":"after","command":"true","depends_on":["a"]}'
if command -v git >/dev/null; then
    mkdir c && echo 1 | tee a b c/c >/dev/null
    git init -q -b main . && git add . && git -c user.name=x -c user.email=x commit -qm x
    echo 2 >c/c
    run --json
    is a skipped
    is b passed
    is after passed
    run run a --json
    is a passed
fi

# ---- conditions, matrices ----
project when '{"name":"a","command":"true","when":"branch == '"'main'"'"},
 {"name":"b","command":"true","when":"branch == \"main\" and not ci"},
 {"name":"c","command":"true","when":"branch == \"x\" or matches(branch, \"m*\")"},
 {"name":"d","command":"true","condition":"tag =~ \"^v\""},
 {"name":"e","command":"true","when":"nonsense"}'
GITHUB_REF_TYPE=branch GITHUB_REF_NAME=main run --json
is a passed
is b passed
is c passed
is d skipped
is e skipped
run validate --json
expect "one that cannot be read is warned of" 0 '"type":"unreadable_condition"' \
    '"path":"tasks[4].when"' 'a name that is not known'

# ---- regular expressions: 1 or 0, the text, the expression ----
cat >"$work/regex.good" <<'END'
1~release/1.2~^release/[0-9]+\.[0-9]+$
0~release/1x2~^release/[0-9]+\.[0-9]+$
1~abc~b
0~abc~d
1~~^$
1~abc~
1~a.c~a\.c
0~abc~a\.c
1~abc~a.c
1~aéc~^a.c$
0~ac~a.c
1~é~^[à-ü]$
0~è~^[^à-ü]$
1~x~^[^à-ü]$
1~b~^[a-c]$
0~d~^[a-c]$
1~-~^[a-]$
1~]~^[]a]$
1~]~^[\]]$
0~]~^[^]a]$
1~^~^[a^]$
1~_~^[\w]$
1~.~^[\w.-]$
0~/~^[\w.-]$
1~a5~^[[:alpha:]][[:digit:]]$
0~5a~^[[:alpha:]][[:digit:]]$
1~5~^[[:^alpha:]]$
1~A~^[[:upper:]]$
1~ ~^[[:space:]]$
1~7~^\d$
0~a~^\d$
1~a~^\D$
0~7~^\D$
1~_~^\w$
0~-~^\w$
1~-~^\W$
1~é~^\W$
1~a b~a\sb
0~a b~a\Sb
1~the end~\bend
0~weekend~\bend
1~weekend~\Bend
1~abc~\Aabc\z
0~xabc~\Aabc
0~abcx~abc\z
0~xa~^a
0~ax~a$
1~x^~x\^
1~cat~^(cat|dog)$
1~dog~^(cat|dog)$
0~cow~^(cat|dog)$
1~dog~cat|dog
1~ab~^(?:a|)b$
1~b~^(?:a|)b$
1~abab~^(?:ab)+$
0~aba~^(?:ab)+$
1~b~^a*b$
1~aaab~^a*b$
0~b~^a+b$
1~aab~^a+b$
1~ab~^a?b$
0~aab~^a?b$
1~aab~^a*?b$
1~aab~^a+?b$
1~ab~^a??b$
1~aa~^a{2}$
0~aaa~^a{2}$
0~a~^a{2}$
1~aaaa~^a{2,}$
0~a~^a{2,}$
1~aaa~^a{2,3}?$
0~aaaa~^a{2,3}$
1~b~^a{0}b$
1~~^(a{0,3}){2}$
1~aaaaaa~^(a{0,3}){2}$
0~aaaaaaa~^(a{0,3}){2}$
1~{x}~^{x}$
1~a{,2}~^a{,2}$
1~A~^\x41$
1~é~^\x{e9}$
0~a~^\n$
1~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa~^(a?){32}(a){32}$
0~aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa~^((a+)+)+b$
END
# What is wrong: the column, what is said, the expression.
cat >"$work/regex.bad" <<'END'
2~a ( without its )~a(b
2~a ) without its (~a)
1~a [ without its ]~[a-
2~a range that ends below its begin~[z-a]
2~an unknown class; digit~[[:letter:]]
1~a repetition of nothing~*a
3~a repetition of nothing~a|+
3~a second repetition~a+*
3~a second repetition~a*+
2~a count above 1000~a{1001}
2~a count that ends below~a{3,2}
16~more than 2000 steps~(a{1000}){1000}
1~a look ahead or behind, which is not supported~(?=a)
1~a look ahead or behind, which is not supported~(?<!a)b
1~a kind of group that is not supported~(?i)a
1~a kind of group that is not supported~(?<name>a)
4~a reference to a group, which is not supported~(a)\1
1~an unknown escape; ~\p{L}
1~no character; ~\x{110000}
33~groups in more than 32 others~(((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))
END
escaped() { sed 's/\\/\\\\/g; s/"/\\"/g' "$1"; }
mkdir -p "$work/regexes" && cd "$work/regexes" || exit 1
escaped "$work/regex.good" | awk -F'~' '{
    printf "%s{\"name\":\"x%d\",\"command\":\"true\",\"when\":\"\047%s\047 =~ \047%s\047\"}", \
        (NR > 1 ? ",\n" : "{\"version\":\"4\",\"tasks\":[\n"), NR, $2, $3
} END { print "]}" }' >sykli.json
run --json
number=0
while IFS='~' read -r wanted text pattern; do
    number=$((number + 1))
    got=$(status x$number)
    case $wanted$got in
    1passed|0skipped) passed=$((passed + 1)) ;;
    *) fail "\"$text\" =~ \"$pattern\" is to be $wanted, is $got" ;;
    esac
done <"$work/regex.good"
escaped "$work/regex.bad" | awk -F'~' '{
    printf "%s{\"name\":\"x%d\",\"command\":\"true\",\"when\":\"tag =~ \047%s\047\"}", \
        (NR > 1 ? ",\n" : "{\"version\":\"4\",\"tasks\":[\n"), NR, $3
} END { print "]}" }' >sykli.json
run validate --json
expect "what is no regular expression" 1 '"type":"invalid_condition"' '"path":"tasks[0].when"' \
    '"line":2,"column":38,'
awk '{ gsub(/\{"type"/, "\n&"); print }' out >all
number=0
while IFS='~' read -r column what pattern; do
    sed -n "s/\\\\\\\\/\\\\/g; /\"path\":\"tasks\\[$number\\].when\"/p" all >one
    if grep -qF -- "the regular expression \`$pattern\` has at column $column $what" one
    then passed=$((passed + 1)); else fail "\"$pattern\" is to have at $column $what"; fi
    number=$((number + 1))
done <"$work/regex.bad"
run
expect "nothing runs then" 1
told 'sykli.json:2:38: the regular expression `a(b` has at column 2 a ( without its )'
project regexnil '{"name":"a","command":"true","when":"tag =~ \"^v\\\\d\""},
 {"name":"b","command":"true","when":"not (tag =~ \"^v\\d\")"}'
run --json
is a skipped
is b passed
GITHUB_REF_TYPE=tag GITHUB_REF_NAME=v1 run --json
is a passed
is b skipped
project matrix '{"name":"t","command":"echo $os $arch","matrix":{"os":["l","d"],"arch":["x"]}},
 {"name":"t-unit","command":"touch seen"},
 {"name":"after","command":"test ! -e seen","depends_on":["t"]}'
run run -j 1 t after --json
is t-x-l passed
is after passed
holds "exactly its expansions: not t-unit" test ! -e seen

# ---- what is refused before anything runs ----
project refused '{"name":"first","command":"touch ran"},
 {"name":"a","command":"true","container":"alpine"},
 {"name":"b","command":"true","services":[{"image":"pg","name":"db"}]},
 {"name":"c","command":"true","mounts":[{"resource":"r","path":"/x","type":"cache"}]},
 {"name":"d","command":"true","oidc":{"provider":"aws"}}'
run
expect "containers and what belongs to them" 1
told 'task "a": `container` is not supported; '
told 'task "b": `services` is not supported; '
told 'task "c": `mounts` is not supported; '
told 'task "d": `oidc` is not supported; '
holds "nothing ran" test ! -e ran
run validate
expect "the file is valid all the same" 0

# ---- validate ----
project wrong '{"name":""},{"name":"a","command":" "},{"name":"a","command":"true"},
 {"name":"b","command":"true","depends_on":["b","none"],"task_type":"odd"},
 {"name":"r","kind":"review","task_type":"lint","success_criteria":[],"evidence_required":[]},
 {"name":"s","command":"true","success_criteria":[{"type":"luck"},{"type":"exit_code"},
  {"type":"exit_code","equals":1},{"type":"exit_code","equals":2}],
  "evidence_required":[{"type":"rumour","name":"x"},{"type":"file","name":"y"}]}'
run validate --json
expect "every error at once" 1 empty_task_name missing_command duplicate_task self_dependency \
    missing_dependency unknown_task_type task_type_on_review success_criteria_on_review \
    evidence_required_on_review unknown_success_criterion_type invalid_success_criteria \
    duplicate_exit_code_criteria unknown_evidence_required_type invalid_evidence_required \
    '"line":5,"column":' '"valid":false'
run --json
expect "run refuses it too" 1 '"code":"empty_task_name"'
echo '{"version":"2","tasks":[{"name":"a","command":"x","task_type":"test",
 "success_criteria":[],"evidence_required":[]},{"name":"b","command":"x","depends_on":["c"]},
 {"name":"c","command":"x","depends_on":["b"]}]}' >old.json
run validate old.json --json
expect "fields of later versions, and a cycle" 1 task_type_requires_v3_or_newer \
    success_criteria_requires_v3_or_newer evidence_required_requires_version_4 '"type":"cycle"' \
    '\"b\" -> \"c\"'
for pair in '{"tasks":[]}=missing_contract_schema_version' \
    '{"version":null,"tasks":[]}=invalid_contract_schema_version_type' \
    '{"version":2,"tasks":[]}=invalid_contract_schema_version_type' \
    '{"version":" ","tasks":[]}=empty_contract_schema_version' \
    '{"version":"1.0","tasks":[]}=unsupported_contract_schema_version' \
    '{"version":"1","tasks":}=invalid_json' '{"version":"1","version":"2"}=duplicate_key'; do
    echo "${pair%%=*}" >v.json
    run validate v.json --json
    expect "${pair##*=}" 1 "\"type\":\"${pair##*=}\""
done
echo '{"version":"1","tasks":[],"x":1}' >v.json
run validate v.json --json
expect "no tasks, an unknown key" 0 '"type":"no_tasks"'
run validate v.json --strict --json
expect "strict" 1 '"type":"unknown_field"'

# ---- programs that print the graph ----
project programs ''
rm sykli.json
cat >graph <<'END'
#!/bin/sh
[ "$1" = --emit ] || exit 9
echo "note on stderr" >&2
echo "building..."
cat <<'JSON'
{"version":"1",
  "tasks": [ { "name": "a}{", "command": "true" }
  ]
}
JSON
echo "{done}"
END
chmod +x graph
run run -f ./graph --json
expect "a program that prints a pretty document" 0 '"name":"a}{","status":"passed"'
for file in sykli.py sykli.rs; do
    case $file in
    sykli.py) command -v python3 >/dev/null || continue
        printf 'import sys\nassert sys.argv[1] == "--emit"\nprint(%s)\n' \
            "'{\"version\":\"1\",\"tasks\":[{\"name\":\"py\",\"command\":\"true\"}]}'" >sykli.py ;;
    sykli.rs) : >sykli.rs; cp graph sykli ;;
    esac
    run --json
    expect "$file" 0 '"status":"passed"'
    rm -f "$file" sykli
done
printf '#!/bin/sh\necho "it broke" >&2\nexit 4\n' >graph
run run -f ./graph
expect "a program that fails" 1
told 'it broke'
told 'ended with exit code 4'
printf '#!/bin/sh\necho hello\n' >graph
run run -f ./graph --json
expect "a program that prints garbage" 1 '"ok":false' '"code":"invalid_emit"'
printf '#!/bin/sh\necho "{ not json"\n' >graph
run run -f ./graph --json
expect "a program that prints what looks like it" 1 '"ok":false' '"code":"invalid_json"'

printf '#!/bin/sh\necho $$ >pid\necho "{"\nexec sleep 60\n' >graph
ended() { ! kill -0 "$(cat pid)" 2>/dev/null; }
SYKLI_EMIT_TIMEOUT=400ms run run -f ./graph --json
expect "a program that does not end" 1 '"code":"emit_timeout"' 'printed no whole pipeline within 400ms'
holds "is ended" ended
rm pid
printf 'emit.timeout: 300ms\n' >"$XDG_CONFIG_HOME/sykli/sykli.yaml"
run validate -f ./graph
expect "the limit from the configuration" 1
told 'within 300ms'
told 'emit.timeout in sykli.yaml or SYKLI_EMIT_TIMEOUT gives it more time'
holds "is a limit" ended
rm "$XDG_CONFIG_HOME/sykli/sykli.yaml"
SYKLI_EMIT_TIMEOUT=never run validate -f ./graph
expect "what is no limit" 1
told '"never" is no duration'

# ---- what it is read from ----
graph='{"version":"1","tasks":[{"name":"a","command":"true"}]}'
# from WHAT FILE: what is on stdin is a valid pipeline, read by that name.
from() {
    code=0
    "$sykli" validate -f "$2" >out 2>err || code=$?
    expect "$1" 0 "is valid: 1 task"
}
echo "$graph" | from "stdin" -
echo "$graph" | from "stdin as a file" /dev/stdin
code=0
"$sykli" validate -f - >out 2>err <&- || code=$?
expect "no stdin" 1
told "stdin cannot be read"
from "a descriptor" /dev/fd/3 3<<J
$graph
J
mkfifo line
echo "$graph" >line &
from "a fifo that somebody writes to" line
printf '\357\273\277%s\n' "$graph" >marked.json
from "a byte order mark" marked.json
printf '#!/bin/sh\ncat marked.json\n' >graph
chmod +x graph
from "one that a program prints" ./graph
printf '\357\273\277{]' >marked.json
run validate -f marked.json
expect "it is no column" 1
told "marked.json:1:2: expected a key"
mkdir -p within/sykli.json
run validate -f within
expect "a folder" 1
told "within/sykli.json is a folder, a file is wanted"
if python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("s")' 2>/dev/null; then
    run validate -f s
    expect "a socket" 1
    told "s is a socket, a file is wanted"
fi
truncate -s 10G large.json
run validate -f large.json
expect "10 GB" 1
told "large.json:1:1: more than 64 MiB"
rm -f large.json
run validate -f /dev/null
expect "nothing" 1
told "/dev/null:1:1: expected a value, found the end"
wait $mute
code=$?
cp "$work/mute.out" out
cp "$work/mute.err" err
expect "a fifo that nobody writes to" 1
told "mute is a fifo that nobody writes to"
wait $late
code=$?
cp "$work/late.out" out
cp "$work/late.err" err
expect "a fifo that somebody closes" 1
told "late:1:1: expected a value"

# ---- pipelines in C ----
project compiled ''
rm sykli.json
cat >sykli.c <<'END'
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
int main(int argc, char **argv)
{
    sykli *s = sykli_open(NULL);
    sykli_task a = sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "echo hi >o",
                                                    .outputs = { { "o", "o" } } });
    sykli_add(s, &(sykli_task_desc){ .name = "b", .command = "cat d", .intake_list =
        &(sykli_intake){ a, "o", "d" }, .intake_count = 1 });
    return sykli_main(s, argc, argv);
}
END
printf '#!/bin/sh\necho "$@" >>"%s"\nexec cc "$@"\n' "$work/compilations" >"$work/bin/my cc"
chmod +x "$work/bin/my cc"
export CC="'$work/bin/my cc'"
run --json
expect "sykli.c" 0 '"name":"b","status":"passed"'
run --json
expect "sykli.c again" 0 '"name":"b","status":"passed"'
compiled() { [ "$(grep -c sykli.c "$work/compilations")" = "$1" ]; }
holds "what is compiled is kept" compiled 1
echo '/* changed */' >>sykli.c
run --json
holds "another source is compiled" compiled 2
mkdir elsewhere
(cd elsewhere && "$sykli" run .. --json >../out 2>../err)
holds "from another folder" grep -q '"name":"b","status":"passed"' out
echo '#include "more.h"' >>sykli.c
echo 'static int more;' >more.h
run --json
run --json
holds "files of its own are looked at each time" compiled 4
echo 'int main( {' >sykli.c
run
expect "a source that does not compile" 1
told 'sykli.c cannot be compiled'
told 'error'
cat >sykli.c <<'END'
#define SYKLI_IMPLEMENTATION
#include "sykli.h"
int main(int argc, char **argv)
{
    sykli *s = sykli_open(NULL);
    sykli_add(s, &(sykli_task_desc){ .name = "a", .command = "test -t 1", .pty = true });
    sykli_add(s, &(sykli_task_desc){ .name = "b", .command = "exec sleep 30", .stall_ms = 1200 });
    sykli_add(s, &(sykli_task_desc){ .name = "c", .command = "true", .no_cache = true });
    return sykli_main(s, argc, argv);
}
END
run validate --strict
expect "all that is printed is known" 0
run -k --json
is a passed
is b errored
expect "a terminal and silence from C, in whole seconds" 1 'stalled: no output for 2'
printf '#!/bin/sh\n[ "$1" = --version ] || exec sleep 60\n' >"$work/bin/slow-cc"
chmod +x "$work/bin/slow-cc"
export CC=slow-cc
SYKLI_EMIT_TIMEOUT=300ms run
expect "a compiler that does not end" 1
told 'sykli.c cannot be compiled: slow-cc: no end within 300ms'
export CC=no-such-compiler
run
expect "no compiler" 1
told 'set CC, or write the graph as sykli.json'
unset CC

# ---- what the engine that the format comes from gets wrong ----
project idle '{"name":"t","command":"while :; do echo x; sleep 0.1; done","timeout":1,"retry":3}'
(sleep 30 & echo $! >"$work/bystander") >/dev/null
run --json
expect "a timeout counts wall time, whatever is printed, and is not retried" 1 \
    'timeout after 1.0s'
is t errored
holds "a timeout ends nothing but its task" kill -0 "$(cat "$work/bystander")"
kill "$(cat "$work/bystander")"
project long '{"name":"t","command":"yes 0123456789 | head -n 2000; exit 1"}'
run
holds "all of an output is kept" test "$(wc -c <"$(ls .sykli/logs/*/t*.log | head -n 1)")" = 22000
echo '{"version":"1","tasks":[{"name":"a","command":"x","depends_on":"b","env":{"A":1}}]}' >s.json
run validate s.json --json
expect "a string where a list is wanted" 1 '"ok":false' '`depends_on` is a string' \
    '`A` of `env` is a number'
project names '{"name":"a","command":"cat in*","inputs":["in*"],"outputs":{"o":"o"},"workdir":"."}'
echo 1 >in1
sed -i.bak 's/"cat in\*"/"cat in* >o"/' sykli.json
run --json
mv in1 in2
run --json
is a passed
run --json
is a cached
sed -i.bak 's/"o":"o"/"o":"o","p":"p"/' sykli.json
run --json
expect "a newly declared output is no hit" 1
is a failed
project workdir '{"name":"a","command":"pwd >o; cat o","workdir":"x","inputs":["in"],"outputs":{"o":"x/o"}}'
mkdir -p x y
echo 1 >in
run --json
sed -i.bak 's/"workdir":"x"/"workdir":"y"/; s|x/o|y/o|' sykli.json
run --json
is a passed
project unrelated '{"name":"a","command":"exit 1"},{"name":"b","command":"true"},
 {"name":"c","command":"true","depends_on":["b"]},{"name":"d","command":"true","depends_on":["a"]}'
run -k --json
is c passed
is d blocked
project noinputs '{"name":"a","command":"true"}'
run --json
run --json
is a passed

finish
