#!/bin/sh
# The display while a run goes on, in a terminal: what fits, what is cut, what a task cannot do to it.
name=cli_screen
. tests/cli.inc
command -v tmux >/dev/null || { echo "tmux is not there"; exit 1; }
unset TMUX TMUX_PANE GITHUB_ACTIONS
shown=0
export TERM=xterm-256color LC_ALL=C.UTF-8

# terminal COLUMNS ROWS ARGUMENT...: runs sykli there; the tasks wait for the file "go".
terminal() {
    size="-x $1 -y $2"
    shift 2
    rm -f go ended
    socket=$work/tmux$shown # a server that ends takes its socket away
    shown=$((shown + 1))
    # shellcheck disable=SC2086
    tmux -f /dev/null -S "$socket" new-session -d $size \
        "trap : INT; echo above; '$sykli' $* ; echo \$? >ended; cat"
}
close() { tmux -S "$socket" kill-server; }
screen() { tmux -S "$socket" capture-pane -p "$@" >out; }
# shows PATTERN: it is on the screen by and by.
seen() { screen && grep -qF -- "$1" out; }
shows() {
    if until_true seen "$1"; then passed=$((passed + 1)); else fail "on the screen: $1"; fi
}
hides() { if seen "$1"; then fail "not on the screen: $1"; else passed=$((passed + 1)); fi; }

project screen <<'J'
{"version":"1","tasks":[
 {"name":"bad","command":"echo reason; exit 3"},
 {"name":"hit","command":"true","inputs":["in"],"outputs":[]},
 {"name":"長い日本語の名前","command":"printf 'line 行\\n\\033[2J\\033[31mhostile\\007\\033]0;t\\007 end\\n'; until [ -e go ]; do sleep 0.05; done"},
 {"name":"wait","matrix":{"n":["1","2","3","4","5","6","7","8","9","10","11","12"]},
  "command":"echo compiling a file with a long line of output that goes on and on and on to $n; until [ -e go ]; do sleep 0.05; done"}]}
J
touch in
run run hit
unset NO_COLOR
terminal 80 24 -j 6 --keep-going
shows "6 running"
shows "2 of 15 done · 1 failed · 1 cached"
shows "✕ bad"
shows "▸ wait-"
shows "長い日本語の名前"
shows "hostile"
shows "compiling a file with a long line of output that…"
shows "above"
holds "it names the time" grep -qE '▸ wait-[0-9]+ +[0-9.]+s  compiling' out
touch go
until_true [ -e ended ]
shows "1 failed · 13 passed · 1 cached"
hides "▸"
screen -e
holds "colours" grep -q "$(printf '\033\\[')" out
close

terminal 40 10 -j 20 --keep-going
shows "more"
shows "2 of 15 done"
holds "no line is wrapped" sh -c 'test "$(grep -c "of 15 done" out)" = 1 && test "$(wc -l <out)" -le 10'
tmux -S "$socket" resize-window -x 30 -y 10
shows "2 of 15 done"
touch go
until_true [ -e ended ]
shows "passed"
close

NO_COLOR=1 terminal 200 50 -j 20 --keep-going
shows "13 running"
shows "on and on and on to 12"
tmux -S "$socket" resize-window -x 60 -y 50
until_true sh -c 'tmux -S "$0" capture-pane -p | grep -q "wait-12 .*…"' "$socket"
screen
holds "a narrower window is drawn anew" [ "$(grep -c '▸ wait-12' out)" = 1 ]
screen -e
holds "no colour" sh -c '! grep -q "$(printf "\033\\[3")" out'
tmux -S "$socket" send-keys C-c
until_true [ -e ended ]
holds "Ctrl-C ends it" grep -qx 130 ended
shows "cancelled"
close

# ---- gates ----
project gates <<'J'
{"version":"1","tasks":[
 {"name":"v","gate":{"strategy":"env","env_var":"NEVER_SET"}},
 {"name":"f","gate":{"strategy":"file","file_path":"yes"}},
 {"name":"r","command":"until [ -e go ]; do sleep 0.05; done"}]}
J
terminal 80 24 -j 1
shows "0 of 3 done · 1 running · 2 waiting"
holds "what would open a gate" grep -qE '▸ v +[0-9.]+s  waits for the variable NEVER_SET' out
shows "waits for the file yes"
shows "▸ r"
tmux -S "$socket" send-keys C-c
until_true [ -e ended ]
close
project asks <<'J'
{"version":"1","tasks":[
 {"name":"ask","gate":{"message":"Sure?"}},
 {"name":"talks","command":"echo one; until [ -e go ]; do sleep 0.05; done; echo two; until [ -e ends ]; do sleep 0.05; done"}]}
J
terminal 80 24 --output stream
shows "talks | one"
shows "  ? ask: Sure?  [y/N]"
touch go
shows "talks | two"
asks_last() { screen && [ "$(grep -v '^$' out | tail -n 1)" = "  ? ask: Sure?  [y/N]" ]; }
holds "a question stays below what is printed" until_true asks_last
holds "once" [ "$(grep -c 'y/N' out)" = 1 ]
tmux -S "$socket" send-keys y Enter
shows "approved at the terminal"
touch ends
until_true [ -e ended ]
close
# In the background it asks too, and is not stopped; the answer is typed once it is in front.
rm -f front ended
socket=$work/tmux-back
tmux -f /dev/null -S "$socket" new-session -d -x 80 -y 24 \
    "set -m; '$sykli' & until [ -e front ]; do sleep 0.05; done; fg; echo \$? >ended; cat"
shows "Sure?  [y/N]"
touch front
tmux -S "$socket" send-keys y Enter
holds "it goes on in front" until_true grep -qx 0 ended
close
cd ../screen || exit 1

# ---- a log ----
touch go
run --keep-going
expect "a log has the report" 1 "✕  bad" "1 failed"
cp err out
expect "and lines with their time" 1 "[  0." "started  wait-1" "failed   bad" "exit code 3" "!▸"
holds "without control" sh -c '! grep -q "$(printf "\033")" out err'
finish
