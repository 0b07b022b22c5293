#!/bin/sh
# What shells and people read: completions, the manual page, doctor, version, help.
name=cli_shell
. tests/cli.inc

project shell <<'J'
{"version":"1","tasks":[{"name":"unit","command":"true"},{"name":"lint:css","command":"true"},
 {"name":"lint:js","command":"true"}]}
J
mkdir -p bin
ln -sf "$sykli" bin/sykli
PATH=$PWD/bin:$PATH

# ---- bash ----
run completion bash
expect "completion bash" 0 "complete -F _sykli sykli"
cp out completion.bash
holds "bash reads it" bash -n completion.bash
cat >complete.bash <<'B'
# complete.bash WORD...: what bash offers for the last word, as readline would call it.
source ./completion.bash
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9
COMP_WORDS=() # readline breaks words at colons and equals signs
while read -r word; do COMP_WORDS+=("$word"); done < <(
    for word; do printf '%s\n' "$word" | sed 's/\([:=]\)/\n\1\n/g' | sed '/^$/d'; done)
[ -n "${!#}" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_sykli
printf '%s\n' "${COMPREPLY[@]}" | sort
B
# offers WORDS PATTERN...: what bash offers behind them; the last of WORDS is begun.
offers() {
    what=$1
    shift
    # shellcheck disable=SC2086
    case $what in
    *' ') bash complete.bash $what '' >out 2>err ;;
    *) bash complete.bash $what >out 2>err ;;
    esac
    code=$?
    expect "bash offers behind '$what'" 0 "$@"
}
offers "sykli val" validate "!run"
offers "sykli " run doctor node "!unit"
offers "sykli run " unit "lint:css" "!doctor" "!--json"
offers "sykli run u" unit "!lint"
offers "sykli run lint:c" css "!lint:css" "!js"
offers "sykli run --out" --output "!--json"
offers "sykli run --output " failed stream all none "!unit"
offers "sykli run --output=st" stream "!failed"
offers "sykli graph --format " mermaid dot text json
offers "sykli run -f sykli.j" sykli.json
offers "sykli cache " stats verify gc "!unit"
offers "sykli cache gc --max" --max-size
offers "sykli logs " unit
offers "sykli query --color " auto always never
offers "sykli run -j " "!sykli.json"
offers "sykli explain --against " "!RUN" "!sykli.json"
offers "sykli completion " bash zsh fish "!sykli.json"
offers "sykli help val" validate
offers "sykli doctor " "!sykli.json" "!completion"
offers "sykli --outp" --output
offers "sykli --state bin query --form" --format
offers "sykli --color=always run u" unit

if command -v tmux >/dev/null; then
    tmux -f /dev/null -S "$work/tmux" new-session -d -x 80 -y 24 \
        "env PS1='> ' bash --norc --noprofile"
    keys() { tmux -S "$work/tmux" send-keys "$@"; }
    seen() { tmux -S "$work/tmux" capture-pane -p >out && grep -qF -- "$1" out; }
    holds "a prompt" until_true seen ">"
    keys "source ./completion.bash" Enter "clear" Enter "sykli vali" Tab
    holds "bash completes a verb" until_true seen "sykli validate"
    keys C-u "sykli run lint:j" Tab
    holds "and a task" until_true seen "sykli run lint:js"
    keys C-u "sykli run --outp" Tab "no" Tab
    holds "and a choice" until_true seen "sykli run --output none"
    tmux -S "$work/tmux" kill-server
fi

# ---- zsh, fish ----
run completion zsh
expect "completion zsh" 0 "#compdef sykli"
cp out _sykli
if command -v zsh >/dev/null; then holds "zsh reads it" zsh -n _sykli; fi
expect "zsh knows letters and verbs of verbs" 0 "{-j+,--jobs=}" "gc) _arguments" "!(RUN NODE)"
run completion fish
expect "completion fish" 0 "complete -c sykli"
cp out sykli.fish
if command -v fish >/dev/null; then
    holds "fish reads it" fish -n sykli.fish
    fish -c 'source sykli.fish; complete -C "sykli run --output "; complete -C "sykli run u";
        complete -C "sykli doc"; complete -C "sykli cache "; complete -C "sykli cache gc --max"
        complete -C "sykli doctor "; complete -C "sykli completion "' >out 2>err
    code=$?
    expect "fish completes" 0 stream unit doctor verify --max-size zsh "!sykli.fish"
fi
run completion tcsh
expect "an unknown shell" 2
run help --print nothing
expect "an unknown page" 2

# ---- the manual page ----
run help --print man
expect "the manual page" 0 ".TH SYKLI 1" ".SH EXIT STATUS"
cp out sykli.1
for verb in $("$sykli" help | awk '/^  [a-z]/ { print $1 }'); do
    holds "sykli(1) has $verb" grep -q "^.SS \"sykli $verb" sykli.1
done
# What is no option of a verb: that of a pipeline, of curl, cargo, docker and make, and --version.
others='version emit bin data-raw fail url pids-limit jobserver-auth'
for option in $(grep -ohE -- '(^|[^-[:alnum:]])--[a-z][a-z-]*' "$root/README.md" "$root"/docs/*.md \
    | sed 's/.*--//' | sort -u); do
    case " $others " in *" $option "*) continue ;; esac
    holds "sykli knows --$option" grep -qF -- "\\-\\-$(echo "$option" | sed 's/-/\\-/g')\\f" sykli.1
done
if command -v groff >/dev/null; then
    groff -ww -man -Tutf8 -z sykli.1 >out 2>&1
    holds "groff has nothing to say" [ ! -s out ]
fi
if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning sykli.1 2>&1 | grep -v "missing date" >out
    holds "mandoc warns of nothing" [ ! -s out ]
fi

# ---- doctor, version, help ----
run doctor
expect "doctor" 0 "ok    cache" "ok    state" "git" "cgroup" "clock" "none runs in" "0 to repair"
run doctor --json
expect "doctor as JSON" 0 '"ok":true' '{"check":"cache","status":"ok","text":"' '"fail":0'
lines 1
holds "its JSON is JSON" python3 -c 'import json; json.load(open("out"))'
SYKLI_CACHE=/proc/nowhere run doctor
expect "a cache that cannot be" 3 "fail  cache" "→ make it writable, or set SYKLI_CACHE"
printf 'workers: [\n' >bad.yaml
SYKLI_CONFIG=bad.yaml run doctor --json
expect "a bad configuration" 3 '"ok":false' '{"check":"config","status":"fail","text":"bad.yaml:1:'
run doctor much
expect "doctor takes nothing" 2
run version
expect "version" 0 "sykli "
run help
expect "help" 0 "doctor" "completion" "Usage: sykli"
run help cache gc
expect "help for a verb" 0 "sykli cache gc - " "--max-size SIZE"
run help cash
expect "help for none" 2
told "did you mean sykli cache?"
run gate
expect "a verb of verbs" 2
told "sykli gate needs one of its verbs: approve, deny"
finish
