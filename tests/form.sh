#!/bin/sh
# The form of the headers, which is what a host program relies on: clean in C99, C11 and C++11, in
# any order, twice, in several files of one program, with nothing exported but our names.
set -u
CC=${CC-cc}
work=${B-build}/test/form
rm -rf "$work"
mkdir -p "$work"
. tests/check.inc
source() { cat >"$work/$1"; }

STRICT="-Werror -pedantic -Wall -Wextra -Wconversion -Wshadow -Wundef -Wcast-qual -I. -c -o $work/x.o"
source public.c <<'C'
#include "sykli.h"
#include "sykli_mesh.h"
#include "sykli.h"
#include "sykli_mesh.h"
const char *name_of(int code);
const char *name_of(int code) { return sykli_error_name(code); }
C
sed 's/sykli.h/sykli_x.h/; s/sykli_mesh.h/sykli.h/; s/sykli_x.h/sykli_mesh.h/' "$work/public.c" \
    >"$work/order.c"
cp "$work/public.c" "$work/public.cc"
cp "$work/order.c" "$work/order.cc"

for compiler in gcc clang; do
    have "$compiler" || { echo "skipped: $compiler is not installed"; continue; }
    for file in public order; do
        for std in c99 c11; do
            check "$compiler-$std-$file" "$compiler" -std=$std -Wstrict-prototypes \
                -Wmissing-prototypes $STRICT "$work/$file.c"
        done
    done
done
for compiler in g++ clang++; do
    have "$compiler" || { echo "skipped: $compiler is not installed"; continue; }
    for file in public order; do
        check "$compiler-c++11-$file" "$compiler" -std=c++11 $STRICT "$work/$file.cc"
    done
done

# One program of three files, one of them C++; the implementation is included again after itself.
source implementation.c <<'C'
#define SYKLI_IMPLEMENTATION
#define SYKLI_MESH_IMPLEMENTATION
#include "sykli_mesh.h"
#include "sykli_mesh.h"
C
source user.c <<'C'
#include <string.h>
#include "sykli.h"
int user(void);
int user(void) { return strcmp(sykli_error_name(SYKLI_EINVAL), "EINVAL"); }
C
source host.cc <<'C'
#include "sykli_mesh.h"
#include <cstring>
extern "C" int user(void);
int main() { return user() || std::strcmp(sykli_error_name(SYKLI_ENOENT), "ENOENT"); }
C
source host.c <<'C'
#include "sykli_mesh.h"
int user(void);
int main(void) { return user() || sykli_error_name(SYKLI_ENOENT)[1] != 'N'; }
C
WARN="-std=c11 -Werror -pedantic -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
      -Wmissing-prototypes -Wundef -Wcast-qual -Wno-unused-function -I."
began=$(date +%s%N)
check implementation "$CC" $WARN -O2 -c "$work/implementation.c" -o "$work/implementation.o"
echo "implementation: $(( ($(date +%s%N) - began) / 1000000 )) ms to compile with $CC -O2"
source mesh.c <<'C'
#define SYKLI_MESH_IMPLEMENTATION
#include "sykli_mesh.h"
C
check "the mesh in a file of its own" "$CC" $WARN -fsyntax-only "$work/mesh.c"
check "second file" "$CC" $WARN -c "$work/user.c" -o "$work/user.o"
check "c host" "$CC" $WARN "$work/host.c" "$work/user.o" "$work/implementation.o" -lpthread -lm \
    -o "$work/host"
check "c host runs" "$work/host"
if have g++; then
    check "c++ host" g++ -std=c++11 -I. "$work/host.cc" "$work/user.o" "$work/implementation.o" \
        -lpthread -lm -o "$work/host++"
    check "c++ host runs" "$work/host++"
fi

# Two contexts in one process: neither sees the other's tasks.
source two.c <<'C'
#include "sykli.h"
#include <string.h>
static sykli *open_one(const char *name)
{
    sykli *s = sykli_open(&(sykli_desc){ .no_history = true, .no_cache = true,
                                         .cache_dir = "build/test/form/cache" });
    sykli_add(s, &(sykli_task_desc){ .name = name, .command = "true" });
    return s;
}
int main(void)
{
    sykli *a = open_one("a"), *b = open_one("b");
    sykli_task_info info;
    int bad = sykli_start(a) | sykli_start(b), busy = 1;
    while (!bad && busy) busy = sykli_poll(a, 10) | sykli_poll(b, 10);
    bad |= sykli_find(a, "b").id != 0 || sykli_find(b, "a").id != 0;
    bad |= sykli_task_get(a, sykli_find(a, "a"), &info) || info.status != SYKLI_STATUS_passed;
    sykli_close(a);
    bad |= sykli_task_get(b, sykli_find(b, "b"), &info) || info.status != SYKLI_STATUS_passed;
    sykli_close(b);
    return bad;
}
C
sed -i "s,build/test/form/cache,$work/cache," "$work/two.c"
check "two contexts" "$CC" $WARN "$work/two.c" "$work/implementation.o" -lpthread -lm -o "$work/two"
check "two contexts run" "$work/two"

exported() {
    nm -g --defined-only "$work/implementation.o" \
        | awk '$3 !~ /^sykli_/ { print "exported:", $3; bad = 1 } END { exit bad }'
}
check exports exported

# The ten lines that the README and the header's first comment quote are the program itself.
ten_lines() {
    awk '/^```c$/ { on = 1; next } /^```/ { if (on) exit } on' README.md >"$work/readme.c"
    diff -u examples/hello.c "$work/readme.c"
}
quoted() {
    awk '/#define SYKLI_IMPLEMENTATION/ { on = 1 } on { print } /sykli_close/ { exit }' sykli.h \
        | sed 's/^       //' | tr -d ' \n' >"$work/quote"
    awk '/#define SYKLI_IMPLEMENTATION/ { on = 1 } on' examples/hello.c | tr -d ' \n' \
        >"$work/hello"
    cmp "$work/quote" "$work/hello"
}
if [ -f README.md ]; then
    check "README quotes examples/hello.c" ten_lines
    check "sykli.h quotes examples/hello.c" quoted
fi
for file in examples/*.c; do
    [ -f "$file" ] && check "$file" "$CC" $WARN -c "$file" -o "$work/example.o"
done

echo "form: $passed passed, $failed failed"
[ "$failed" = 0 ]
