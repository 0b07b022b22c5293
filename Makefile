# `make` builds the node, `make help` lists the rest; any cross compiler goes by CC=

CC       = cc
HOSTCC   = cc
CFLAGS   = $(if $(STATIC),$(SMALL_CFLAGS),-O2) -g
# A static binary is for copying about: small where it is not hot, without what only debuggers read
# while the program runs, without the longer addresses of code that can be anywhere, which it is not,
# and without pages of zeros between code and constants or behind the few that the loader would make
# read-only. SMALLER are passes that copy and move code to save branches and loads; the hot parts
# have those that matter (SYKLI_FASTEST_BEGIN). tools/size holds the parts of it to a budget.
SMALLEST = -Oz -fno-inline-small-functions
SMALLER  = -fno-caller-saves -fno-code-hoisting -fno-guess-branch-probability -fno-ipa-bit-cp \
           -fno-ipa-sra -fno-jump-tables -fno-move-loop-invariants -fno-optimize-sibling-calls \
           -fno-schedule-insns2 -fno-shrink-wrap -fno-thread-jumps -fno-tree-ch \
           -fno-tree-dominator-opts -fno-tree-loop-im -fno-tree-loop-optimize -fno-tree-pre \
           -fno-tree-switch-conversion -flive-range-shrinkage -fipa-pta \
           -Wno-maybe-uninitialized # which needs them to be right
takes    = $(shell $(CC) -Werror $1 -E -x c /dev/null >/dev/null 2>&1 && echo "$1")
SMALL_CFLAGS := $(if $(STATIC),$(or $(call takes,$(SMALLEST)),-Os) $(call takes,$(SMALLER)) \
                  $(call takes,-malign-data=abi)) \
                -fno-pie -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections
LINK     = $(if $(STATIC),-Wl$(,)--gc-sections$(,)-z$(,)noseparate-code$(,)-z$(,)norelro \
             -Wl$(,)-z$(,)common-page-size=64$(,)--sort-section=alignment$(,)-Map=$@.map)
,        = ,
PREFIX   = /usr/local
INTO     = $(DESTDIR)$(PREFIX)
B        = build
STATIC   =
# What the address sanitizer sees by itself (null, objects that end) needs no second check.
SANITIZE = -fsanitize=address,undefined -fno-sanitize=null,object-size -fno-sanitize-recover=undefined
TEST_CFLAGS = -O1 -g1 $(SANITIZE) # lines for the sanitizers; -g takes a quarter longer
TEST_LDFLAGS =
TEST_RUN =
EXCEPT   =

# Files of any size, and inodes of any number, on 32 bits too.
WARN   = -D_FILE_OFFSET_BITS=64 -std=c11 -pedantic -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes \
         -Wmissing-prototypes -Wundef -Wcast-qual
ALL    = $(WARN) -I. -I$(B)/gen $(if $(STATIC),-static)
# Tests see one room at a time: what a test does not use of the others must not warn.
TEST   = $(WARN) -fno-omit-frame-pointer -Wno-unused-function -Wno-unused-const-variable $(TEST_CFLAGS) $(WHOLE) \
         -I. -I$(B)/gen $(if $(STATIC),-static)
# gcc drops what a test does not reach before it compiles it: half the time.
WHOLE  := $(shell $(CC) -Werror -fwhole-program -E -x c /dev/null >/dev/null 2>&1 \
            && echo -fwhole-program)
HEADERS = sykli.h sykli_mesh.h
NODE    = $(patsubst examples/sykli/%.c,$(B)/obj/%.o,$(wildcard examples/sykli/*.c)) \
          $(B)/obj/carried.o
SMALL   = $(patsubst examples/%.c,$(B)/%,$(wildcard examples/*.c))
SODIUM := $(shell tools/has $(CC) sodium.h)
SKIPPED := $(if $(SODIUM),,$(filter-out $(EXCEPT),$(shell grep -l '<sodium.h>' tests/test_*.c)))
# What tests the headers as they are compiled by default is one program, called by as many names, and
# so are the fuzz targets: what they test is compiled once. The largest first: some take long. Each
# can be built alone too: make build/test/test_pool.
merged  = $(filter-out $(SKIPPED) $(EXCEPT),$(shell ls -S tests/$1_*.c | xargs -r grep -lE \
            '^.define SYKLI_IMPLEMENTATION' | xargs -r grep -LE '^.define SYKLI_SIM|<sodium.h>'))
MERGED := $(call merged,test)
MERGED_FUZZ := $(call merged,fuzz)
ONE     = $(patsubst tests/%.c,$(B)/one/%,$(MERGED))
ONE_FUZZ = $(patsubst tests/%.c,$(B)/one/%,$(MERGED_FUZZ))
ALONE   = $(filter-out $(SKIPPED) $(EXCEPT) $(MERGED) $(MERGED_FUZZ),\
            $(wildcard tests/test_*.c tests/fuzz_*.c))
TESTS   = $(ONE) $(ONE_FUZZ) $(patsubst tests/%.c,$(B)/test/%,$(ALONE))
# What takes long, and what needs root, other programs or minutes: for .ci/run.
MORE    = $(patsubst %,tests/%.sh,canary embed form graphs hostile zoo)
SCRIPTS = $(filter-out $(MORE) $(patsubst %,tests/%.sh,run netns crash loop torture small),\
            $(wildcard tests/*.sh))
COMMON  = $(filter-out tests/test_%.c tests/fuzz_%.c,$(wildcard tests/*.[ch])) $(HEADERS) Makefile
JOBS    = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell getconf _NPROCESSORS_ONLN))
RUN     = B="$(B)" CC="$(CC)" TEST_SKIPPED="$(SKIPPED)" TEST_RUN="$(TEST_RUN)" tests/run.sh
SYKLI_SHARED ?= $(if $(wildcard ../shared/vectors),$(abspath ../shared))
ifneq ($(SYKLI_SHARED),)
export SYKLI_SHARED
endif

all: $(B)/sykli ## builds the node, build/sykli

$(B)/sykli: $(NODE)
	$(CC) $(CFLAGS) $(ALL) $(LINK) $(NODE) -lpthread -lm -o $@

$(B)/obj/%.o: examples/sykli/%.c Makefile
	@mkdir -p $(B)/obj $(B)/gen
	$(CC) $(CFLAGS) $(ALL) -MMD -c $< -o $@

# What the node carries for compiling pipelines written in C, and the same to look at.
$(B)/obj/carried.o: $(B)/gen/carried.c examples/sykli/carried.h
	@mkdir -p $(B)/obj
	$(CC) $(CFLAGS) $(ALL) -c $< -o $@

$(B)/gen/carried.c: sykli.h tools/carry
	@mkdir -p $(B)/gen/carried
	tools/carry sykli.h text >$(B)/gen/carried/sykli.h
	tools/carry sykli.h c >$@

examples: $(SMALL) ## builds the small programs in examples/

$(SMALL): $(B)/%: examples/%.c $(HEADERS)
	@mkdir -p $(B)/gen
	$(CC) $(CFLAGS) $(ALL) $< -lpthread -lm -o $@

# What nearly every test begins with is read and parsed once: half the time of the small ones.
BEGINS  = $(patsubst tests/%.c,$(B)/test/%,$(shell grep -l '^.define SYKLI_IMPLEMENTATION' tests/*.c))
BEGUN   = -Winvalid-pch -include $(B)/test/begun.h
$(BEGINS): $(B)/test/begun.h.gch
$(B)/test/begun.h.gch: $(COMMON)
	@mkdir -p $(B)/test $(B)/gen
	@printf '#define SYKLI_IMPLEMENTATION\n#include "$(CURDIR)/tests/test.h"\n' >$(B)/test/begun.h
	@echo "cc tests/test.h"; $(CC) $(TEST) -x c-header $(B)/test/begun.h -o $@

$(B)/test/%: tests/%.c $(COMMON)
	@mkdir -p $(B)/test $(B)/gen
	@echo "cc $<"; $(CC) $(if $(filter $@,$(BEGINS)),$(BEGUN)) $(TEST) $< $(TEST_LDFLAGS) \
	    -lpthread -lm -o $@ $(shell grep -q '<sodium.h>' $< && echo -lsodium)

# Those that look at the command itself are linked with its objects, and as their line "link:" says.
LINKED  = $(shell grep -l examples/sykli tests/fuzz_*.c)
$(patsubst tests/%.c,$(B)/test/%,$(LINKED)): $(B)/test/%: tests/%.c $(COMMON) $(NODE)
	@mkdir -p $(B)/test
	@echo "cc $<"; $(CC) $(filter-out -fwhole-program,$(TEST)) $< \
	    $(filter-out %/main.o,$(NODE)) $(shell sed -n 's|^// link: ||p' $<) -lpthread -lm -o $@

# A name that one of them gives to a variable may be another's function: that is no shadow.
$(B)/one/tests: $(B)/gen/one_tests.c $(MERGED)
$(B)/one/fuzz: $(B)/gen/one_fuzz.c $(MERGED_FUZZ)
$(B)/one/tests $(B)/one/fuzz: $(COMMON)
	@mkdir -p $(B)/one
	@echo "cc $(@F)"; $(CC) $(TEST) -Wno-shadow -Itests $(B)/gen/one_$(@F).c $(TEST_LDFLAGS) \
	    -lpthread -lm -o $@
$(B)/gen/one_tests.c: tests/one.awk FORCE
	@$(call put,awk -f tests/one.awk $(MERGED) tests/*.h)
$(B)/gen/one_fuzz.c: tests/one.awk FORCE
	@$(call put,awk -f tests/one.awk $(MERGED_FUZZ) tests/*.h)
# What a command prints, if it is something else than before.
put     = mkdir -p $(@D) && $1 >$@.new && if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(ONE): $(B)/one/tests
$(ONE_FUZZ): $(B)/one/fuzz
$(ONE) $(ONE_FUZZ):
	@ln -f $< $@ 2>/dev/null || cp $< $@

test: ## builds and runs the tests: no root, no network, about two minutes
	@$(MAKE) $(JOBS) --no-print-directory all
	@BUILD="$(MAKE) $(JOBS) --no-print-directory tests-build" $(RUN) $(SCRIPTS) $(TESTS)

tests-build: $(TESTS) all

tests-more: all ## runs the scripts that take long: secrets, headers in every host, examples, bad input, graphs, zoo
	@$(RUN) $(MORE)

tests-run: tests-build ## as test, the programs alone: for a matrix of compilers
	@$(RUN) $(TESTS)

demo: all ## runs this project's own pipeline twice: the second time all are hits
	@mkdir -p $(B)/demo; for time in first second; do echo "--- the $$time time"; \
	    SYKLI_STATE=$(B)/demo/state SYKLI_CACHE=$(B)/demo/cache SYKLI_CONFIG=/dev/null \
	    $(B)/sykli run -f - <examples/sykli.json || exit 1; done

demo-mesh: all ## shows three nodes on this machine: build, hit, watch, kill, push, heal
	@B="$(B)" tools/demo-mesh

lint: ## checks the shape of the code: sections, prefixes, comments, exports
	@CC="$(CC)" tools/lint

# The node prints its manual page and completions; a host's one does where ours cannot run.
$(B)/share: $(B)/sykli
	@mkdir -p $@
	@node=$(B)/sykli; $$node version >/dev/null 2>&1 || { node=$(B)/host/sykli; \
	    $(MAKE) CC="$(HOSTCC)" B=$(B)/host STATIC= $$node; }; \
	    for what in man bash zsh fish; do $$node help --print $$what >$@/$$what || exit 1; done

install: all $(B)/share ## installs node, headers, manual page, completions below PREFIX
	mkdir -p $(INTO)/bin $(INTO)/include $(INTO)/share/man/man1 \
	    $(INTO)/share/bash-completion/completions $(INTO)/share/zsh/site-functions \
	    $(INTO)/share/fish/vendor_completions.d
	install -m 755 $(B)/sykli $(INTO)/bin/sykli
	install -m 644 $(HEADERS) $(INTO)/include
	install -m 644 $(B)/share/man $(INTO)/share/man/man1/sykli.1
	install -m 644 $(B)/share/bash $(INTO)/share/bash-completion/completions/sykli
	install -m 644 $(B)/share/zsh $(INTO)/share/zsh/site-functions/_sykli
	install -m 644 $(B)/share/fish $(INTO)/share/fish/vendor_completions.d/sykli.fish

clean: ## removes build/
	rm -rf $(B)

help: ## prints this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile
	@echo '  CC= HOSTCC= CFLAGS= STATIC=1 PREFIX= DESTDIR= SYKLI_SHARED= as usual'

.PHONY: all demo demo-mesh examples test tests-build tests-more tests-run lint install clean help FORCE
.DELETE_ON_ERROR:
-include $(NODE:.o=.d)
