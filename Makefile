# SPDX-License-Identifier: Apache-2.0
# Sluice. `make help` lists what can be asked of it; V=1 shows the commands, CI=1 adds -Werror.
ARCH      ?=
BUILD     ?= build$(ARCH:%=/%)
PREFIX    ?= /usr/local
LISTEN    ?= 127.0.0.1:8080
ADMIN     ?=
FUZZ_TIME ?= 60
OPT       ?= -O2 -g
CLANG     ?= clang
PYTHON    ?= /usr/bin/python3
CFLAGS    ?=
LDFLAGS   ?=
SANITIZE  ?=

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --no-print-directory -j$(shell nproc)
endif
Q   := $(if $(filter 1,$(V)),,@)
say  = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

# ARCH=arm64 builds on this machine for another (what Debian calls it), with its libraries beside ours.
GNU_arm64  := aarch64-linux-gnu
QEMU_arm64 := qemu-aarch64-static
ifneq ($(ARCH),)
ifeq ($(GNU_$(ARCH)),)
$(error ARCH=$(ARCH) is not known; there is ARCH=arm64)
endif
CC := $(if $(filter default,$(origin CC)),$(GNU_$(ARCH))-gcc,$(CC))
AR := $(GNU_$(ARCH))-ar
endif
MACHINE := $(shell $(CC) -dumpmachine 2>/dev/null)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
            -Wformat=2 -Wundef -Wvla -Wno-unused-parameter $(if $(CI),-Werror)
HARDEN   := -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 \
            $(if $(filter x86_64-%,$(MACHINE)),-fcf-protection) \
            $(if $(filter aarch64-%,$(MACHINE)),-mbranch-protection=standard)
# Sanitizers bring their own checks of the stack and of libc calls; ours would hide theirs.
GUARD    := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer,$(HARDEN))
COMPILE   = $(CC) -std=gnu11 -D_GNU_SOURCE -pthread -fPIE -I. -I$(BUILD)/skel $(OPT) $(WARNINGS) $(GUARD) $(CFLAGS) -MMD -MP
LINK      = $(CC) -pthread -pie -Wl,-z,relro,-z,now,-z,noexecstack $(GUARD) $(LDFLAGS)
CON_LIBS := -lcurl -lcares -lexpat -lcrypto
LIBS     := -lyaml -ljansson -lseccomp -lmnl -lbpf -lelf -lz -lcurl -lmicrohttpd -lm

# proxy/main.c and proxy/main/ are the composition root; the rest is a library, which tests link too.
MAIN_SRC := $(wildcard proxy/main.c proxy/main/*.c)
LIB_SRC  := $(filter-out $(MAIN_SRC),$(wildcard proxy/*.c proxy/*/*.c proxy/base/*/*.c))
CTL_SRC  := $(filter-out %/main.c,$(wildcard control/ctl/*.c control/ctl/*/*.c))
CON_SRC  := $(filter-out %/main.c control/ctl/%,$(wildcard control/*.c control/*/*.c control/aws/*/*.c))
XDP_SRC  := $(filter-out %.bpf.c,$(wildcard xdp/*.c xdp/*/*.c))
SKELETON := $(patsubst xdp/%.bpf.c,$(BUILD)/skel/%.skel.h,$(wildcard xdp/*.bpf.c))
PROGRAMS := $(addprefix $(BUILD)/,sluice sluice-control sluicectl)
MAIN_OBJ := $(MAIN_SRC:%.c=$(BUILD)/%.o)
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o)
XDP_OBJ  := $(XDP_SRC:%.c=$(BUILD)/%.o)
CTL_OBJ  := $(CTL_SRC:%.c=$(BUILD)/%.o)
CON_OBJ  := $(CON_SRC:%.c=$(BUILD)/%.o)
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/*.c))
BENCH    := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(wildcard tests/bench/*.c))
TOOLS    := $(patsubst tests/lib/%.c,$(BUILD)/lib/%,$(filter-out %/fault.c %/hasten.c %/delay.c %/filters.c,$(wildcard tests/lib/*.c)))
FUZZ     := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*_fuzz.c))

.PHONY: all run test check-all check net kernel aws deb rpm ship image test-kernels guest-bits replay readme bench bench-fast soak screenshot asan tsan fuzz fuzzers lint format \
        format-check clean install deps help
all: $(PROGRAMS) ## build all programs (what a bare `make` does)

run: $(BUILD)/sluice ## build, then proxy LISTEN=127.0.0.1:8080 to three demo backends
	@$(BUILD)/sluice --demo --listen $(LISTEN) $(if $(ADMIN),--admin $(ADMIN))

test: ## everything below that fits in 15 minutes; CI=1 for -Werror
	@tests/deps build check lint net kernel aws
	+@MAKE="$(MAKE)" tests/lib/stages all lint check replay net kernel aws readme

check-all: ## `make test`, then the sanitizers and a short fuzz
	+@MAKE="$(MAKE)" tests/lib/stages test asan tsan fuzz

check: $(UNIT) ## unit tests alone: quick
	@$(TEST_ENV) tests/unit/run $(sort $(UNIT))

net: all $(BUILD)/fault/sluice $(TOOLS) | $(BUILD)/.deps-net ## real connections, hostile peers, faults
	@failed=0; export $(TEST_ENV); \
		$(PYTEST) -n 4 --dist loadfile -m "not soak and not alone" tests/net || failed=1; \
		$(PYTEST) -m "alone and not soak" tests/net || failed=1; exit $$failed

kernel: all $(BUILD)/delay/sluice $(BUILD)/filters/sluice $(TOOLS) | $(BUILD)/.deps-net $(BUILD)/.deps-kernel ## the kernel's fast path between real peers; needs root
	@if [ "$$(id -u)" -eq 0 ]; then \
		export SLUICE_PATIENCE=3 $(TEST_ENV); $(PYTEST) -n 3 -m "not soak" tests/kernel; \
	else \
		printf '\n  NOT TESTED: the kernel fast path, which needs root for namespaces and programs\n\n'; \
	fi

aws: all $(BUILD)/hasten/sluice-control $(TOOLS) | $(BUILD)/.deps-net $(BUILD)/.deps-aws ## sluice-control against simulated AWS
	@python=$$(PYTHON="$(PYTHON)" tests/aws/venv "$(BUILD)/aws-venv") && \
		$(TEST_ENV) $(PYTEST:$(PYTHON)=$$python) -n 4 -m "not soak" tests/aws

ship: all $(TOOLS) | $(addprefix $(BUILD)/.deps-,net ship deb rpm) ## what is shipped: packages, templates, guides, and life behind a load balancer
	@$(TEST_ENV) SHIP="$(abspath $(BUILD)/ship)" $(PYTEST) -m "not soak" tests/ship

# What qemu-user leaves out on arm64, and the programs of the fast path, run on each of those kernels.
GUEST_UNIT := $(addsuffix _test,dial holder listener netlink relay sandbox session_closing session_timing \
                xdp_clsact xdp_flow xdp_guard xdp_guard_cookie xdp_program_egress xdp_program_mutation \
                xdp_program_path xdp_program_rewrite xdp_program_verdict xdp_sockmap xdp_sockmap_pressure)
GUEST_BITS  = sluice sluicectl lib/pump lib/pingpong $(GUEST_UNIT:%=unit/%)
guest-bits: $(GUEST_BITS:%=$(BUILD)/%)
test-kernels: | $(BUILD)/.deps-guest ## Debian's kernels from 5.10 on, for amd64 and arm64, in qemu: under 20 minutes
	@$(MAKE) guest-bits
	@$(MAKE) ARCH=arm64 BUILD=$(BUILD)/arm64 guest-bits
	@GUEST_UNIT="$(GUEST_UNIT)" $(PYTHON) -B tests/guest/run $(if $(WRITE),--write) amd64=$(BUILD) arm64=$(BUILD)/arm64

IMAGES ?= amd64=$(BUILD) arm64=$(BUILD)/arm64
image: | $(BUILD)/.deps-image ## $(BUILD)/image.tar: an OCI image for amd64 and arm64, built without an engine
	@$(MAKE) all
	@$(MAKE) ARCH=arm64 BUILD=$(BUILD)/arm64 all
	@packaging/image/build $(BUILD)/image.tar $(IMAGES)

screenshot: all | $(BUILD)/.deps-net ## packaging/dashboard.png anew, from a real proxy
	@mkdir -p packaging
	@$(TEST_ENV) $(PYTHON) -B tests/net/screenshot packaging/dashboard.png

soak: all $(BUILD)/fault/sluice $(BUILD)/delay/sluice $(BUILD)/filters/sluice $(TOOLS) | $(BUILD)/.deps-net $(BUILD)/.deps-kernel ## the long runs
	@failed=0; export SOAK=1 $(TEST_ENV); \
		$(PYTEST) -m soak tests/net || failed=1; \
		$(PYTEST) -m soak tests/kernel || failed=1; exit $$failed

replay: $(FUZZ:%=$(BUILD)/replay/%) ## every stored fuzz input once
	@set -e; for f in $(FUZZ); do $(BUILD)/replay/$$f tests/fuzz/corpus/$${f%_fuzz}; done

readme: all $(BUILD)/lib/schema_keys | $(BUILD)/.deps-lint ## what README.md and the manual pages say, held against the tree and the binaries
	@failed=0; \
		$(PYTHON) -B tests/lint/readme.py $(PROGRAMS) || failed=1; \
		$(PYTHON) -B tests/lint/manpages.py $(PROGRAMS) $(BUILD)/lib/schema_keys || failed=1; exit $$failed

bench: all $(BENCH) | $(BUILD)/.deps-bench $(BUILD)/.deps-aws $(BUILD)/.deps-kernel ## against HAProxy, nginx, routing and direct; sluice-control; QUICK=1 for some five minutes
	@$(TEST_ENV) tests/bench/run $(if $(QUICK),--quick)
	@$(TEST_ENV) tests/bench/fastpath $(if $(QUICK),--quick,--minutes $(MINUTES))
	@if [ -z "$(QUICK)" ]; then python=$$(PYTHON="$(PYTHON)" tests/aws/venv "$(BUILD)/aws-venv") && \
		$(TEST_ENV) $$python tests/bench/discovery; fi

MINUTES ?= 30
bench-fast: all $(BENCH) | $(BUILD)/.deps-bench $(BUILD)/.deps-kernel ## the kernel fast path's targets, one by one, with the founding case; at most MINUTES=30
	@$(TEST_ENV) tests/bench/fastpath --founding $(if $(QUICK),--quick) --minutes $(MINUTES)

asan: ## unit and net tests under AddressSanitizer and UBSan
	@$(MAKE) BUILD=$(BUILD)/asan OPT="-O1 -g" SANITIZE=address,undefined check
	@$(MAKE) BUILD=$(BUILD)/asan OPT="-O1 -g" SANITIZE=address,undefined net

tsan: ## unit and net tests under ThreadSanitizer
	@$(MAKE) BUILD=$(BUILD)/tsan OPT="-O1 -g" SANITIZE=thread check
	@$(MAKE) BUILD=$(BUILD)/tsan OPT="-O1 -g" SANITIZE=thread net

fuzz: | $(BUILD)/.deps-fuzz ## libFuzzer, FUZZ_TIME=60 seconds for each target
	@$(MAKE) BUILD=$(BUILD)/fuzz CC=$(CLANG) OPT="-O1 -g" \
		SANITIZE=fuzzer-no-link,address,undefined fuzzers
	@tests/fuzz/run $(BUILD)/fuzz $(FUZZ_TIME) $(FUZZ)
fuzzers: $(FUZZ:%=$(BUILD)/bin/%)

lint: $(SKELETON) | $(BUILD)/.deps-lint ## layers, sources, format, kernel programs, cppcheck, clang-tidy, shellcheck
	@BUILD="$(BUILD)" PYTHON="$(PYTHON)" tests/lint/run all

format format-check: | $(BUILD)/.deps-lint ## write (or only check) the layout of every C file
	@BUILD="$(BUILD)" PYTHON="$(PYTHON)" tests/lint/run $@

deb: | $(BUILD)/.deps-build $(BUILD)/.deps-deb ## the Debian package, in BUILD/ship/deb
	@DEB_BUILD_OPTIONS="parallel=$$(nproc)" packaging/build-deb "$(BUILD)/ship/deb"

rpm: | $(BUILD)/.deps-build $(BUILD)/.deps-rpm ## the RPM, in BUILD/ship/rpm
	@packaging/build-rpm "$(BUILD)/ship/rpm"

install: all ## programs, manual pages, units and the like, to DESTDIR and PREFIX=/usr/local
	@BUILD="$(BUILD)" DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" packaging/install

deps: ## install whatever of the tools is missing (apt or dnf, sudo only if needed)
	@tests/deps build check lint net kernel aws ship deb rpm fuzz bench

clean: ## remove BUILD=build
	rm -rf $(BUILD)

help:
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' Makefile

# --- how things are made -------------------------------------------------------------------------
# A group of packages is looked for once per build directory, and again when the list changes.
$(BUILD)/.deps-%: tests/deps
	@tests/deps $* $(ARCH) && mkdir -p $(@D) && touch $@

# ThreadSanitizer of GCC 12 cannot place its shadow under today's address space randomisation.
UNRANDOM := $(if $(findstring thread,$(SANITIZE)),$(if $(shell setarch -R true 2>&1),,setarch -R))
PYTEST    = tests/lib/suite $(UNRANDOM) $(PYTHON) -B -m pytest -v --durations=10
# What a sanitizer slows down is given four times as long, and needs calls that the sandbox refuses.
TEST_ENV  = SLUICE_BIN="$(abspath $(BUILD)/sluice)" SLUICE_LIB="$(abspath $(BUILD)/lib)" \
            SLUICECTL_BIN="$(abspath $(BUILD)/sluicectl)" \
            SLUICE_CONTROL_BIN="$(abspath $(BUILD)/sluice-control)" \
            SLUICE_HASTEN_BIN="$(abspath $(BUILD)/hasten/sluice-control)" \
            SLUICE_DELAY_BIN="$(abspath $(BUILD)/delay/sluice)" \
            SLUICE_FILTERS_BIN="$(abspath $(BUILD)/filters/sluice)" \
            SLUICE_FAULT_BIN="$(abspath $(BUILD)/fault/sluice)" PYTHONPATH=tests/lib \
            BENCH_BIN="$(abspath $(BUILD)/bench)" UNIT_WRAP="$(strip $(UNRANDOM) $(QEMU_$(ARCH)))" \
            $(if $(ARCH),SLUICE_EMULATED="$(QEMU_$(ARCH))" SLUICE_SECCOMP=off SLUICE_PATIENCE=10) \
            $(if $(SANITIZE),SLUICE_SANITIZE="$(SANITIZE)" SLUICE_SECCOMP=off SLUICE_PATIENCE=4) \
            UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

$(BUILD)/sluice: $(MAIN_OBJ) $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

# The same objects, with these calls going through tests/lib/fault.c.
FAULTS := accept4 connect splice epoll_ctl malloc calloc realloc pipe2 socket
$(BUILD)/fault/sluice: $(MAIN_OBJ) $(BUILD)/tests/lib/fault.o $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $(FAULTS:%=-Wl,--wrap=%) -o $@ $^ $(LIBS)

# The same objects, with pauses at the steps of a promotion; tests/lib/delay.c.
DELAYS := getsockopt setsockopt sendmsg
$(BUILD)/delay/sluice: $(MAIN_OBJ) $(BUILD)/tests/lib/delay.o $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $(DELAYS:%=-Wl,--wrap=%) -o $@ $^ $(LIBS)

# The same objects, as if the kernel had no tcx; tests/lib/filters.c.
$(BUILD)/filters/sluice: $(MAIN_OBJ) $(BUILD)/tests/lib/filters.o $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -Wl,--wrap=syscall -o $@ $^ $(LIBS)

$(BUILD)/libsluice.a: $(LIB_OBJ) $(XDP_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What an operator types; of proxy/ it takes proxy/base alone, and nothing else needs libcurl.
$(BUILD)/sluicectl: $(BUILD)/control/ctl/main.o $(BUILD)/libsluicectl.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ -lcurl $(LIBS)

$(BUILD)/libsluicectl.a: $(CTL_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What keeps the targets in step with AWS.
$(BUILD)/sluice-control: $(BUILD)/control/main.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ $(CON_LIBS) $(LIBS)

# The same objects, with their clocks running fast; tests/lib/hasten.c.
HASTENS := clock_gettime epoll_wait time
$(BUILD)/hasten/sluice-control: $(BUILD)/control/main.o $(BUILD)/tests/lib/hasten.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $(HASTENS:%=-Wl,--wrap=%) -Wl,--as-needed -o $@ $^ $(CON_LIBS) $(LIBS)

$(BUILD)/libsluicecontrol.a: $(CON_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What runs in the kernel: compiled for its virtual machine, and embedded as a header each. v3 (Linux
# 5.1) has arithmetic and jumps of 32 bits; without, each is two shifts more.
BPF_CLANG = $(CLANG) -g -O2 -mcpu=v3 -Wall -Wextra -Wno-unused-parameter $(if $(CI),-Werror) -target bpf \
            -fdebug-compilation-dir=. -fno-strict-aliasing -I. -I/usr/include/$(shell $(CC) -print-multiarch)
$(BUILD)/xdp/%.bpf.o: xdp/%.bpf.c Makefile | $(BUILD)/.deps-build
	$(call say,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) -MMD -MP -c -o $@ $<

$(BUILD)/skel/%.skel.h: $(BUILD)/xdp/%.bpf.o
	@mkdir -p $(@D)
	$(Q)PATH=$$PATH:/usr/sbin:/sbin bpftool gen skeleton $< name $*_bpf >$@.new && mv $@.new $@

$(XDP_OBJ) $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/*/xdp_*.c)): | $(SKELETON)

$(BUILD)/%.o: %.c Makefile | $(BUILD)/.deps-build
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -c -o $@ $<

# Files that are embedded, which the compiler does not list as dependencies.
$(BUILD)/proxy/admin/pages.o: proxy/admin/dashboard.html proxy/admin/openapi.json
$(BUILD)/control/serve/handlers.o: control/serve/openapi.json

# A unit test that needs linker flags says so itself: /* link: -Wl,--wrap=clock_gettime */
$(BUILD)/unit/%: $(BUILD)/tests/unit/%.o $(BUILD)/libsluice.a | $(BUILD)/.deps-check
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $$(sed -n 's|.*/\* link: \(.*\) \*/.*|\1|p' tests/unit/$*.c) -o $@ $^ \
		$$(pkg-config --libs check) $(LIBS)

$(BUILD)/unit/xdp_clsact_test: $(BUILD)/tests/lib/filters.o

$(BUILD)/unit/ctl_%: $(BUILD)/tests/unit/ctl_%.o $(BUILD)/libsluicectl.a $(BUILD)/libsluice.a | $(BUILD)/.deps-check
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $$(sed -n 's|.*/\* link: \(.*\) \*/.*|\1|p' tests/unit/ctl_$*.c) -o $@ $^ \
		$$(pkg-config --libs check) -lcurl $(LIBS)

$(BUILD)/unit/control_%: $(BUILD)/tests/unit/control_%.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluice.a | $(BUILD)/.deps-check
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) $$(sed -n 's|.*/\* link: \(.*\) \*/.*|\1|p' tests/unit/control_$*.c) -o $@ $^ \
		$$(pkg-config --libs check) $(CON_LIBS) $(LIBS)

# Tools of tests and benchmarks: each file is one program; aws_*.c are of the AWS client.
$(filter $(BUILD)/lib/aws_%,$(TOOLS)): $(BUILD)/%: $(BUILD)/tests/%.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -Wl,--as-needed -o $@ $^ $(CON_LIBS) $(LIBS)

$(filter-out $(BUILD)/lib/aws_%,$(TOOLS)) $(BENCH): $(BUILD)/%: $(BUILD)/tests/%.o $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(BUILD)/replay/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluicectl.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -o $@ $^ $(CON_LIBS) $(LIBS)

$(BUILD)/bin/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/libsluicecontrol.a $(BUILD)/libsluicectl.a $(BUILD)/libsluice.a
	$(call say,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(LINK) -fsanitize=fuzzer -o $@ $^ $(CON_LIBS) $(LIBS)

.SECONDARY:
-include $(shell test -d $(BUILD) && find $(BUILD) -path $(BUILD)/ship -prune -o -name '*.d' -print)
