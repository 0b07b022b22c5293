#!/bin/sh
# sykli.yaml as a user writes it: what loads, what is refused and where, what wins over what.
set -u
root=$(pwd)
sykli=${SYKLI:-$root/${B-build}/sykli}
work=$root/${B-build}/test/config
rm -rf "$work"
mkdir -p "$work"
cd "$work" || exit 1
unset SYKLI_WORKERS SYKLI_CACHE_MAX_SIZE
export HOME="$work" SYKLI_STATE="$work/state" SYKLI_CACHE="$work/cache" NO_COLOR=1
export SYKLI_CONFIG="$work/sykli.yaml"
passed=0 failed=0

ok() { passed=$((passed + 1)); }
fail() {
    failed=$((failed + 1))
    echo "FAIL $1"
    sed 's/^/    /' sykli.yaml out err
}
# holds KEY VALUE [SOURCE]: so it is in force.
holds() {
    if "$sykli" config get "$1" --json >out 2>err \
        && grep -qF "\"value\":\"$2\",\"source\":\"${3-file}\"" out; then ok; else fail "$1 = $2"; fi
}
# refused TEXT: the file on stdin is, with this text.
refused() {
    cat >sykli.yaml
    if "$sykli" config get workers >out 2>err; then fail "not refused: $1"; return; fi
    if grep -qF -- "$1" err; then ok; else fail "wanted: $1"; fi
}

holds workers 0 default
cat >sykli.yaml <<'Y'
# what a machine may say
workers: 4                      # tasks at once
cache: { max_size: 20GB, env: [PATH, 'CC'] }

kill:
  grace: "7s"
log.max_bytes: 1MiB
mesh:
  discovery: mdns
  seeds:
    - ci-runner-1@10.0.1.50:4370
  port: 4370
  cookie_file: ~/.config/sykli/cookie
Y
holds workers 4
holds cache.max_size 20GB
holds cache.env PATH,CC
holds kill.grace 7s
holds log.max_bytes 1MiB
SYKLI_WORKERS=9 holds workers 9 environment
holds leftover.grace 1s default

printf '\357\273\277workers: 6\n' >sykli.yaml # an editor's byte order mark
holds workers 6

# A long list takes as much memory as it is long.
(echo "cache.env:"; for n in $(seq 1000); do printf '  - V%0800d\n' "$n"; done) >sykli.yaml
(ulimit -v 200000 2>/dev/null; "$sykli" config get) >out 2>err
if grep -q "at most 4096 bytes" err; then ok; else fail "a long list"; fi

# The two blocks of the vision: one loads, the other says what to write.
cat >sykli.yaml <<'Y'
# Mesh requires connectivity
mesh:
  # mDNS for local discovery (same network)
  discovery: mdns

  # Or explicit seeds for cross-network
  seeds:
    - ci-runner-1@10.0.1.50
    - ci-runner-2@10.0.1.51

  # Erlang distribution port
  port: 4369  # epmd
  port_range: 9000-9100  # node communication
Y
holds workers 0 default
refused "sykli.yaml:4:11: mesh.cookie: " <<'Y'
# Mesh is authenticated via cookie
mesh:
  # Shared secret (generate with: mix phx.gen.secret)
  cookie: "super_secret_cookie_here"

  # Or certificate-based auth
  ssl:
    cert: /etc/sykli/mesh.crt
    key: /etc/sykli/mesh.key
Y
if grep -qF 'with `sykli cookie new`' err; then ok; else fail "it says what to write"; fi
refused ":2:15: mesh.ssl.cert" <<'Y'
mesh:
  ssl: {cert: /etc/sykli/mesh.crt }
Y

refused "did you mean workers?" <<'Y'
wrokers: 3
Y
refused "did you mean mesh.seeds?" <<'Y'
mesh: { seed: a }
Y
refused "workers must be a whole number" <<'Y'
workers: many
Y
refused ":2:1: a tab" <<'Y'
cache:
	max_size: 1GB
Y
refused ":1:10: a plain value does not begin like this" <<'Y'
workers: &four 4
Y
refused ":1:10: a plain value does not begin like this" <<'Y'
workers: |
  4
Y
refused ":2:1: this key is here already" <<'Y'
workers: 3
workers: 4
Y
refused ":3:1: this key is here already" <<'Y'
cache: { max_size: 1GB }
workers: 2
cache: { env: PATH }
Y
refused ":1:1: this key has no value" <<'Y'
workers:
kill.grace: 3s
Y
refused ":1:8: this bracket is not closed" <<'Y'
cache: { max_size: 1GB
Y
refused ":1:8: an empty map" <<'Y'
cache: {}
Y
refused ":2:5: a list holds values only" <<'Y'
mesh.seeds:
  - [a, b]
Y
refused ":2:5: a list within a list" <<'Y'
mesh.seeds:
  - - a
Y
refused ":1:1: a list needs a key" <<'Y'
- a
Y
refused ":3:4: this line is indented too far" <<'Y'
mesh:
  port: 1
   listen: x
Y
refused ":1:3: the first key is indented" <<'Y'
  workers: 4
Y
refused ":1:13: nothing more is wanted" <<'Y'
workers: "4"x
Y
refused ":1:13: a blank is wanted before a comment" <<'Y'
workers: "4"# four
Y
refused ":1:10: this quote is not closed" <<'Y'
workers: "4
Y
refused ":1:13: only" <<'Y'
workers: "4\n"
Y
refused ":1:11: a colon and a blank within a value" <<'Y'
workers: 4: 5
Y
refused ":1:1: a line is" <<'Y'
---
Y
refused "is not UTF-8" <<Y
workers: $(printf '\377')
Y
refused "a carriage return" <<Y
workers: 4$(printf '\r')
Y
refused "more than 8 levels" <<'Y'
a: { b: { c: { d: { e: { f: { g: { h: { i: 1 } } } } } } } }
Y
refused "more than 1024 values" <<Y
mesh.seeds:
$(awk 'BEGIN { while (n++ < 1100) print "  - a" }')
Y

# All that is wrong is said at once, each with its place and what would be right.
refused 'sykli.yaml:1:10: workers must be a whole number of at least 0 and at most 4096, not "many"' <<'Y'
workers: many
wrokers: 3
kill: { grace: "soon" }
cache:
  env: [PATH, CC]
  max_size: 12
mesh:
  port: 70000
  listen: nowhere
  seeds: [a@b:4370, "[::1]", "[::1]:4370", c, "d:99999", "@e", "fe80::1"]
  cookie: abc
run.jobserver: maybe
emit.timeout: long
log.max_bytes: 1MiB
Y
for text in ':2:10: wrokers: there is no such key, did you mean workers?' \
    ':3:16: kill.grace must be a duration' ', not "soon"' ':6:13: cache.max_size must be a size' \
    ':8:9: mesh.port: a port is wanted' ':9:11: mesh.listen: ADDR:PORT is wanted' \
    ':10:47: mesh.seeds: NAME@HOST:PORT, HOST:PORT or HOST is wanted' ':10:58: mesh.seeds: ' \
    ':10:64: mesh.seeds: ' \
    ':11:11: mesh.cookie: ' ':12:16: run.jobserver must be true or false' \
    ':13:15: emit.timeout: a duration is wanted'; do
    if grep -qF "sykli: $work/sykli.yaml:" err && grep -qF "$text" err; then ok; else fail "$text"; fi
done
if [ "$(grep -c '^sykli: ' err)" = 12 ]; then ok; else fail "twelve findings, no more"; fi
if "$sykli" config get workers --json >out 2>err || [ "$(wc -l <out)" != 1 ] \
    || ! grep -qF ':13:15: emit.timeout' out; then fail "all of it as JSON"; else ok; fi
{ for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do echo "no.$n: 1"; done; } \
    | refused "and 3 more"

# So it is with what is no line of the subset: each is told, and what hangs on it is not.
refused ":1:10: a plain value does not begin like this" <<'Y'
workers: *four
	tab: 1
	tab: 2
    below: what was under it
cache:
  trust: [a,
    b,
  ]
  max_size: &size
    deep: 1
      deeper: 2
  max_files: 1
mesh:
  seeds
  - a
  - b
  port: 1
  port: 2
  more:
   - "a
   - b: c
   - d
    - e
last:
kill.grace: 5s # fine
Y
for text in ':2:1: a tab' ':6:10: this bracket is not closed' ':9:13: a plain value' \
    ':14:3: a line is `key: value`' ':18:3: this key is here already' ':20:6: this quote is not' \
    ':21:7: a colon and a blank within a value' ':23:5: this line is indented too far' \
    ':24:1: this key has no value'; do
    if grep -qF "$text" err; then ok; else fail "$text"; fi
done
if [ "$(grep -c '^sykli: ' err)" = 10 ]; then ok; else fail "ten lines that are wrong, no more"; fi
{ for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do echo "no $n"; done; } \
    | refused "and 3 more"
printf 'a: 1\r\nb: 2\r\nc: 3\r\n' | refused ":1:5: a carriage return"
if [ "$(grep -c '^sykli: ' err)" = 1 ]; then ok; else fail "one end of line is like the other"; fi

cat >sykli.yaml <<'Y'
workers: 2
Y
echo '{"version":"1","tasks":[{"name":"t","command":"true"}]}' >sykli.json
if "$sykli" run --quiet >out 2>err; then ok; else fail "a run reads it"; fi
echo 'workres: 2' >sykli.yaml
if "$sykli" run >out 2>err; then fail "a run refuses it"; else ok; fi
if "$sykli" config get --json >out 2>err || ! grep -qF '"ok":false' out; then fail "as JSON"; else ok; fi

echo "config: $passed passed, $failed failed"
[ "$failed" = 0 ]
