# SPDX-License-Identifier: MIT
# One makefile, no recursion. Each build profile compiles the same files into its own folder:
#
#   hosted    gcc -O2, 64-bit          build/hosted      the command, the tests, the benchmarks
#   embed     gcc -O2, 64-bit          build/embed       build/libkmm.a: the library for any port
#   bench     gcc -O2, as a kernel     build/bench-obj   the hosted benchmarks
#   asan      clang + ASan + UBSan     build/asan        the tests again
#   release   gcc -O2, no assertions   build/release     the tests once more: mistakes are refused all the same
#   clang     clang -O2, 64-bit        build/clang       the second opinion on warnings
#   tsan      clang + TSan             build/tsan        tests/race: threads as CPUs, all calls at once
#   sched     gcc, points in atomics   build/sched       tests/race/sched: every order of a few CPUs
#   fuzz      clang + libFuzzer        build/fuzz-obj    fuzz/*.c
#   i386      gcc, freestanding        build/i386        the bare kernel, 2-level page tables
#   i386-pae  gcc, freestanding        build/i386-pae    the bare kernel, 3-level page tables
#   x86_64    gcc, freestanding        build/x86_64      the bare kernel, 4-level page tables
#   x86_64-la57                        build/x86_64-la57 the same, 5-level page tables
#   clang-i386-pae, clang-x86_64       build/clang-...   two of those kernels once more, by clang
#   i386-pae-debug, x86_64-debug                         the same with all checks and the order of locks (KMM_DEBUG=2)
#
# `make V=1` shows the commands. `make help` lists the targets.

.DEFAULT_GOAL := all
MAKEFLAGS += -rR
.SUFFIXES:
.DELETE_ON_ERROR:

include sources.mk

V ?= 0
ifeq ($(V),1)
Q :=
say :=
else
Q := @
# With BRIEF=1 and a terminal, each line takes the place of the one before.
say = @if [ "$(BRIEF)" = 1 ] && [ -t 1 ]; then printf '\033[K  %-8s %.64s\r' '$(1)' '$(2)'; \
	else printf '  %-8s %s\n' '$(1)' '$(2)'; fi;
endif

DESTDIR ?=
PREFIX ?= /usr/local
SOAK ?= 600
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
VERSION := 0.1.0

# --- profiles -------------------------------------------------------------------------------------

HOSTED_PROFILES := hosted embed bench release asan clang tsan sched fuzz
BARE_PROFILES := i386 i386-pae x86_64 x86_64-la57 i386-pae-debug x86_64-debug
# The bare profiles that the reference kernel, and the test kernel, are built for.
KERNEL_PROFILES := i386 i386-pae x86_64 x86_64-la57
DEBUG_KERNEL_PROFILES := i386-pae-debug x86_64-debug
TEST_KERNEL_PROFILES := i386 i386-pae x86_64 x86_64-la57
# A second compiler on the bare kernels: what one of them takes for granted, the other may not.
CLANG_PROFILES := clang-i386-pae clang-x86_64
PROFILES := $(HOSTED_PROFILES) $(BARE_PROFILES) $(CLANG_PROFILES)

WARN := -std=c11 -Wall -Wextra -Werror -Wmissing-prototypes -Wvla -Wundef
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

# No host library, no floating point or vector registers. -fno-pic because the kernel is linked at a fixed address.
# 32-bit: arguments in registers. 64-bit: interrupts use the stack of the code they interrupt, so no red zone.
BARE := -ffreestanding -fno-pic -fno-pie -nostdlib -fno-stack-protector -fno-asynchronous-unwind-tables \
	-mno-sse -mno-mmx -mno-80387 -msoft-float -O2 -g -Iports -DKMM_PORT_INLINE='"x86/inline.h"'
BARE_32 := -m32 -march=i686 -mtune=generic $(BARE) -mregparm=3 -freg-struct-return
BARE_64 := -m64 $(BARE) -mcmodel=kernel -mno-red-zone

CC_hosted := gcc
CC_embed := gcc
CC_bench := gcc
CC_release := gcc
CC_asan := clang
CC_clang := clang
CC_tsan := clang
CC_sched := gcc
CC_fuzz := clang
CC_i386 := gcc
CC_i386-pae := gcc
CC_x86_64 := gcc
CC_x86_64-la57 := gcc
CC_i386-pae-debug := gcc
CC_x86_64-debug := gcc

# KMM_PORT_INLINE (docs/porting.md): these two grounds call no hook on the hot paths. The library for embedders and
# the sanitized build go through the pointers.
FLAGS_hosted := -O2 -g -Iports -DKMM_PORT_INLINE='"hosted/inline.h"'
FLAGS_embed := -O2 -g
FLAGS_release := $(FLAGS_hosted) -DKMM_DEBUG=0
# As a kernel is built: assertions, one format, but the order of locks is not looked at.
FLAGS_bench := $(FLAGS_hosted) -DKMM_LOCK_ORDER=0 -DKMM_PIN_FORMAT=kmm_fmt_x86_64
FLAGS_asan := -O1 -g -DKMM_DEBUG=2 $(SANITIZE)
FLAGS_clang := -O2 -g
FLAGS_sched := -O2 -g -include tests/race/sched/seam.h
FLAGS_tsan := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_fuzz := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link
# A bare build serves one machine format. Pinning it makes the format's descriptor a constant the
# compiler can see, so nothing is paid for the generality of the hosted build; VA32 makes addresses and
# page numbers 32-bit words.
FLAGS_i386 := $(BARE_32) -DKMM_CONFIG_VA32=1 -DKMM_X86_PAE=0 -DKMM_PIN_FORMAT=kmm_fmt_i386
FLAGS_i386-pae := $(BARE_32) -DKMM_CONFIG_VA32=1 -DKMM_X86_PAE=1 -DKMM_PIN_FORMAT=kmm_fmt_i386_pae
FLAGS_x86_64 := $(BARE_64) -DX86_LEVELS=4 -DKMM_PIN_FORMAT=kmm_fmt_x86_64
FLAGS_x86_64-la57 := $(BARE_64) -DX86_LEVELS=5 -DKMM_PIN_FORMAT=kmm_fmt_x86_64_la57
FLAGS_i386-pae-debug := $(FLAGS_i386-pae) -DKMM_DEBUG=2
FLAGS_x86_64-debug := $(FLAGS_x86_64) -DKMM_DEBUG=2

$(foreach p,$(CLANG_PROFILES),$(eval CC_$(p) := clang)$(eval OBJ_$(p) := build/$(p))\
	$(eval FLAGS_$(p) := $(FLAGS_$(p:clang-%=%)))$(eval WIDTH_$(p) = $$(WIDTH_$(p:clang-%=%))))

# What a bare profile is to the port: a folder, and how to link.
WIDTH_i386 := 32
WIDTH_i386-pae := 32
WIDTH_x86_64 := 64
WIDTH_x86_64-la57 := 64
WIDTH_i386-pae-debug := 32
WIDTH_x86_64-debug := 64
BARE_LINK_32 := -m32
BARE_LINK_64 := -m64 -Wl,-z,max-page-size=4096
bare_link = $(BARE_LINK_$(WIDTH_$(1))) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
	-T ports/x86/$(WIDTH_$(1))/kernel.ld

LINK_hosted :=
LINK_embed :=
LINK_bench :=
LINK_release :=
LINK_asan := $(SANITIZE)
LINK_clang :=
LINK_tsan := -fsanitize=thread
LINK_sched :=
LINK_fuzz := $(SANITIZE) -fsanitize=fuzzer

OBJ_hosted := build/hosted
OBJ_embed := build/embed
OBJ_bench := build/bench-obj
OBJ_release := build/release
OBJ_asan := build/asan
OBJ_clang := build/clang
OBJ_tsan := build/tsan
OBJ_sched := build/sched
OBJ_fuzz := build/fuzz-obj
OBJ_i386 := build/i386
OBJ_i386-pae := build/i386-pae
OBJ_x86_64 := build/x86_64
OBJ_x86_64-la57 := build/x86_64-la57
OBJ_i386-pae-debug := build/i386-pae-debug
OBJ_x86_64-debug := build/x86_64-debug

# --- who may include what -------------------------------------------------------------------------
# Only the library and its tests see src/; everything else lives on the public headers and its own.

HOST_POSIX := -D_GNU_SOURCE -Iports/hosted
path_flags = -Iinclude $(strip \
	$(if $(filter %_test.c,$(1)),-Isrc -Itests $(HOST_POSIX) $(if $(filter apps/kmm/%,$(1)),-Iapps/kmm),\
	$(if $(filter src/%,$(1)),-Isrc,\
	$(if $(filter tests/harness/%,$(1)),-Itests,\
	$(if $(filter tests/bare/%,$(1)),-Isrc -Itests -D_GNU_SOURCE -Iports/x86 -Iapps/os,\
	$(if $(filter tests/%,$(1)),-Isrc -Itests $(HOST_POSIX),\
	$(if $(filter ports/template/% examples/%,$(1)),-Iports/template,\
	$(if $(filter ports/hosted/%,$(1)),$(HOST_POSIX),\
	$(if $(filter ports/x86/%,$(1)),-Iports/x86,\
	$(if $(filter apps/os/%,$(1)),-Iports/x86 -Iapps/os,\
	$(if $(filter apps/kmm/%,$(1)),$(HOST_POSIX) -Iapps/kmm,\
	$(if $(filter bench/%,$(1)),$(HOST_POSIX) -Ibench $(if $(filter bench/vma.c,$(1)),-Isrc),\
	$(if $(filter fuzz/%,$(1)),$(HOST_POSIX) -Ifuzz $(if $(filter fuzz/steps.c,$(1)),-Itests) $(if $(filter $(FUZZ_OS),$(1)),-Iports/x86 -Iapps/os))))))))))))))

# --- sources --------------------------------------------------------------------------------------

rwildcard = $(foreach f,$(wildcard $(1)/*),$(if $(wildcard $(f)/.),$(call rwildcard,$(f),$(2)),$(filter $(2),$(f))))

PORT_HOSTED := $(filter-out %_test.c,$(wildcard ports/hosted/*.c))
PORT_X86_32 := $(wildcard ports/x86/common/*.c ports/x86/common/*.S ports/x86/32/*.c ports/x86/32/*.S)
PORT_X86_64 := $(wildcard ports/x86/common/*.c ports/x86/common/*.S ports/x86/64/*.c ports/x86/64/*.S)
port_x86 = $(PORT_X86_$(WIDTH_$(1)))
APP_KMM := $(filter-out %_test.c,$(wildcard apps/kmm/*.c))
# Parts of the reference kernel that only 64-bit builds have.
APP_OS_64 := apps/os/sig/frame64.c apps/os/sys/x64.c
APP_OS := $(filter-out $(APP_OS_64),$(wildcard apps/os/*.c apps/os/*/*.c))
app_os = $(APP_OS) $(APP_OS_$(WIDTH_$(1)))
TESTS := $(filter %_test.c,$(call rwildcard,src,%.c)) $(wildcard ports/hosted/*_test.c apps/kmm/*_test.c) \
	$(wildcard $(foreach d,model conformance scenario question,tests/$(d)/*.c)) \
	$(wildcard tests/harness/*.c) tests/main_hosted.c
RACE := $(wildcard tests/race/*.c) tests/scenario/hammer_slab.c $(wildcard tests/model/*_threads_host.c) $(wildcard tests/harness/*.c) tests/main_hosted.c
SCHED := $(wildcard tests/race/sched/*.c) ports/hosted/softmmu.c ports/hosted/softmmu_tlb.c
# The oracle: the runner, and the program that plays both on the host and in guests, which has no C library.
ORACLE := $(addprefix tests/oracle/,runner.c host.c machine.c exceptions.c compare.c words.c ops.c look.c generate.c)
ORACLE_NATIVE := $(addprefix tests/oracle/,program.c native.c look.c generate.c)
USER := $(wildcard tests/user/*.c)
EXAMPLES := $(wildcard examples/*.c)
PORT_TEMPLATE := $(wildcard ports/template/*.c)
BENCH := $(wildcard bench/*.c)
BENCH_COMMON := $(wildcard bench/common/*.c bench/peers/*.c)
BENCH_GUEST := $(wildcard bench/guest/*.c)
FUZZ := $(wildcard fuzz/*.c)
# Targets that are about files of the reference kernel, and those files.
FUZZ_OS := fuzz/elf.c fuzz/cpio.c fuzz/os/kernel.c
FUZZ_STEPS := tests/oracle/machine.c tests/oracle/look.c
FUZZ_OS_KERNEL := $(addprefix apps/os/proc/,elf.c layout.c) $(addprefix apps/os/fs/,cpio.c tree.c inode.c walk.c entry.c) apps/os/lib.c fuzz/os/kernel.c

# Tests inside a kernel: those that a hosted run has too, on the hosted port, which stands on a C library made of the
# running kernel's own memory (tests/bare). Not hibernation: from a machine there memory cannot be taken while it is off.
BARE_TESTS := $(filter-out src/swap/image_test.c,$(filter %_test.c,$(call rwildcard,src,%.c))) $(wildcard $(filter-out %_host.c,$(wildcard tests/model/*.c)) tests/conformance/*.c \
	tests/scenario/*.c tests/harness/*.c tests/bare/*.c tests/bare/*.S) $(PORT_HOSTED) ports/hosted/softmmu_test.c
TEST_KERNEL_SOURCES := $(KMM_SOURCES) $(addprefix apps/os/,memory.c log.c lock.c lib.c) $(BARE_TESTS)

HOSTED_SOURCES := $(KMM_SOURCES) $(PORT_HOSTED) $(APP_KMM) $(TESTS)

# The suffix stays in the name (trap.c.o, trap.S.o), so that a .c and a .S may share one.
objs = $(patsubst %,$(OBJ_$(1))/%.o,$(2))
SCHED_OBJS = $(call objs,sched,$(SCHED))

USER_32_ONLY := tests/user/fuzz_calls_raw.c
USER_64_ONLY := tests/user/wide.c
USER_BINS := $(patsubst tests/user/%.c,build/user/%,$(filter-out $(USER_64_ONLY),$(USER))) \
	$(patsubst tests/user/%.c,build/user64/%,$(filter-out $(USER_32_ONLY),$(USER)))
BENCH_BINS := $(BENCH:bench/%.c=build/bench/%) $(BENCH_GUEST:bench/%.c=build/bench/%) build/bench/versus32 build/bench/versus64 \
	build/bench/half32 build/bench/half64
FUZZ_BINS := $(FUZZ:fuzz/%.c=build/fuzz/%)
EXAMPLE_BINS := $(EXAMPLES:examples/%.c=build/examples/%)
KERNELS := $(KERNEL_PROFILES:%=build/kernel-%.elf)
DEBUG_KERNELS := $(DEBUG_KERNEL_PROFILES:%=build/kernel-%.elf)
TEST_KERNELS := $(TEST_KERNEL_PROFILES:%=build/kernel-test-%.elf)
GUEST := build/debian-i386

# --- targets for people ---------------------------------------------------------------------------

.PHONY: all
all: build/libkmm.a build/kmm kernels user examples ## build the library, the command, both kernels and the ring-3 programs (default)

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  V=1 shows commands; JOBS=N limits run/check; STEPS="name ..." chooses steps of check'
	@echo '  DESTDIR=, PREFIX= place the install (now $(DESTDIR)$(PREFIX))'

.PHONY: run
run: deps ## see it work: install what is missing, build, and give the tour
	+@MAKEFLAGS= $(MAKE) --no-print-directory -j$(JOBS) V=$(V) BRIEF=1 all
	@scripts/run-demo

.PHONY: check
check: deps ## run every check and test; the last line is "N passed, N failed"
	@JOBS=$(JOBS) scripts/check $(STEPS)

.PHONY: test-fast
test-fast: build/tests/hosted ## build and run only the hosted tests with gcc
	@build/tests/hosted

.PHONY: soak
soak: build/tsan/race build/sched/race build/oracle/runner build/oracle/native64 ## race tests and oracle with ever new seeds, for SOAK seconds (default 600)
	@scripts/soak $(SOAK)

# SEED=N starts elsewhere; MINUTES=N instead of STEPS=N goes on for so long. Seldom exceptions fire by the kept programs alone.
.PHONY: soak-oracle
soak-oracle: build/oracle/runner build/oracle/native64 ## a million random steps here and in a simulated machine, compared (SEED=, STEPS=, MINUTES=)
	@build/oracle/runner --all-exceptions --seed $(or $(SEED),1) \
		$(if $(MINUTES),--minutes $(MINUTES),--steps $(or $(STEPS),1000000)) $(wildcard tests/oracle/kept/*.txt)

.PHONY: bench
bench: build/libkmm.a build/kmm kernels user bench-bins ## build the benchmarks and run them
	@scripts/bench

.PHONY: bench-linux
bench-linux: kernels ## boot Debian's Linux and our kernel with the same benchmark, and write both columns
	@scripts/bench-linux

.PHONY: selftests-linux
selftests-linux: build/kmm kernels ## run Linux's own tests of virtual memory on Debian's Linux and on our kernel, and write both counts
	@scripts/selftests-linux

.PHONY: soak-smp
soak-smp: build/kmm kernels user ## minutes of everything at once on machines with several processors, audit at the end
	@SECONDS_EACH=$(or $(SECONDS_EACH),120) tests/boot/smp.sh

# SEED=N makes another load.
.PHONY: soak-swap
soak-swap: build/kmm kernels user ## MINUTES (default 10) of a load of 512 MiB in 64 MiB with swap, for each of four machines
	@scripts/soak-swap $(MINUTES)

.PHONY: deps
deps: ## install what building, running and checking need (quick when all is there)
	@scripts/deps

.PHONY: install
install: build/libkmm.a build/kmm kernels ## copy headers, library, command and kernels below DESTDIR/PREFIX
	install -d $(DESTDIR)$(PREFIX)/include/kmm $(DESTDIR)$(PREFIX)/lib/pkgconfig \
		$(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/kmm
	install -m 644 include/kmm/*.h $(DESTDIR)$(PREFIX)/include/kmm/
	install -m 644 build/libkmm.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 build/kmm $(DESTDIR)$(PREFIX)/bin/
	install -m 644 $(KERNELS) $(DESTDIR)$(PREFIX)/share/kmm/
	if [ -x $(GUEST)/bin/busybox ]; then \
		install -D -m 755 $(GUEST)/bin/busybox $(DESTDIR)$(PREFIX)/share/kmm/debian-i386/bin/busybox && \
		install -D -m 644 $(GUEST)/usr/share/doc/busybox-static/copyright \
			$(DESTDIR)$(PREFIX)/share/kmm/debian-i386/copyright; \
	fi
	printf '%s\n' 'prefix=$(PREFIX)' 'includedir=$${prefix}/include' 'libdir=$${prefix}/lib' '' \
		'Name: kmm' 'Description: the kernel memory manager you can link' 'Version: $(VERSION)' \
		'Cflags: -I$${includedir}' 'Libs: -L$${libdir} -lkmm' \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/kmm.pc

.PHONY: clean
clean: ## remove what was built (downloads stay)
	rm -rf $(PROFILES:%=build/%) build/fuzz-obj build/bench-obj build/tests build/oracle build/user build/user64 build/bench build/fuzz build/check build/soak \
		build/examples build/libkmm.a build/kmm build/kernel-*.elf build/.tools

# --- targets for scripts --------------------------------------------------------------------------

.PHONY: kernels debug-kernels test-kernels user examples bench-bins fuzz-bins compile-clang
kernels: $(KERNELS)
debug-kernels: $(DEBUG_KERNELS)
test-kernels: $(TEST_KERNELS)
user: $(USER_BINS)
# The template must compile for bare metal too.
examples: $(EXAMPLE_BINS) $(call objs,i386,$(PORT_TEMPLATE))
bench-bins: $(BENCH_BINS)
fuzz-bins: $(FUZZ_BINS)
compile-clang: $(call objs,clang,$(HOSTED_SOURCES) $(EXAMPLES) $(PORT_TEMPLATE)) $(CLANG_PROFILES:%=build/kernel-%.elf)

# `make -s print-KMM_TIER_A`: the value of a variable, for scripts/check-*.
print-%:
	@echo $($*)

# --- compiling ------------------------------------------------------------------------------------

# Asked once, before the first compilation: a clear list of packages instead of a compiler's complaint.
build/.tools:
	@scripts/deps --check
	@mkdir -p build && touch $@

# $(1): profile. The command line is part of what an object depends on, by way of the makefile.
define profile_rules
$$(OBJ_$(1))/%.c.o: %.c Makefile | build/.tools
	$$(call say,CC,$(1) $$<)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(WARN) $$(FLAGS_$(1)) $$(call path_flags,$$<) -MMD -MP -c -o $$@ $$<

$$(OBJ_$(1))/%.S.o: %.S Makefile | build/.tools
	$$(call say,AS,$(1) $$<)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(FLAGS_$(1)) $$(call path_flags,$$<) -MMD -MP -c -o $$@ $$<

$$(OBJ_$(1))/libkmm.a: $$(call objs,$(1),$$(KMM_SOURCES)) sources.mk
	$$(call say,AR,$$@)mkdir -p $$(@D)
	$$(Q)rm -f $$@ && ar rcsD $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(PROFILES),$(eval $(call profile_rules,$(p))))

# --- linking, hosted ------------------------------------------------------------------------------

build/libkmm.a: build/embed/libkmm.a
	$(call say,COPY,$@)cp $< $@

build/kmm: $(call objs,hosted,$(APP_KMM) $(PORT_HOSTED)) build/hosted/libkmm.a
	$(call say,LINK,$@)
	$(Q)$(CC_hosted) $(LINK_hosted) -o $@ $^ -ljansson -llz4 -pthread

# The tests of the command use its files, all but its main().
test_objs = $(call objs,$(1),$(TESTS) $(PORT_HOSTED) $(filter-out %/main.c,$(APP_KMM))) $(OBJ_$(1))/libkmm.a

build/tests/hosted: $(call test_objs,hosted)
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_hosted) $(LINK_hosted) -o $@ $^ -ljansson -llz4 -pthread

build/asan/tests/hosted: $(call test_objs,asan)
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_asan) $(LINK_asan) -o $@ $^ -ljansson -llz4 -pthread

build/release/tests/hosted: $(call test_objs,release)
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_release) $(LINK_release) -o $@ $^ -ljansson -llz4 -pthread

build/tsan/race: $(call objs,tsan,$(RACE) $(PORT_HOSTED)) build/tsan/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_tsan) $(LINK_tsan) -o $@ $^ -pthread

build/sched/race: $(SCHED_OBJS) build/sched/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_sched) $(LINK_sched) -o $@ $^

build/examples/%: build/hosted/examples/%.c.o $(call objs,hosted,$(PORT_TEMPLATE)) build/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_hosted) $(LINK_hosted) -o $@ $^

build/bench/%: build/bench-obj/bench/%.c.o $(call objs,bench,$(BENCH_COMMON) $(PORT_HOSTED)) build/bench-obj/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_bench) $(LINK_bench) -o $@ $^ -pthread

build/fuzz/elf build/fuzz/cpio: $(call objs,fuzz,$(FUZZ_OS_KERNEL))
build/fuzz/steps: $(call objs,fuzz,$(FUZZ_STEPS))
build/fuzz/%: build/fuzz-obj/fuzz/%.c.o $(call objs,fuzz,$(PORT_HOSTED)) build/fuzz-obj/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_fuzz) $(LINK_fuzz) -o $@ $(filter %.o,$^) $(filter %.a,$^) -pthread

# --- linking, bare --------------------------------------------------------------------------------

define kernel_rules
build/kernel-$(1).elf: $$(call objs,$(1),$$(KMM_SOURCES) $$(call app_os,$(1)) $$(call port_x86,$(1))) ports/x86/$$(WIDTH_$(1))/kernel.ld
	$$(call say,LINK,$$@)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(call bare_link,$(1)) -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(KERNEL_PROFILES) $(DEBUG_KERNEL_PROFILES) $(CLANG_PROFILES),$(eval $(call kernel_rules,$(p))))

# The test kernels. The host's C headers serve them: with 64-bit file positions, and without thread-local variables,
# since there is one thread. Starting a machine is wrapped to skip formats that the kernel is not built for.
define test_kernel_rules
$$(call objs,$(1),$$(BARE_TESTS)): FLAGS_$(1) += -D_FILE_OFFSET_BITS=64 -D_Thread_local=
build/kernel-test-$(1).elf: $$(call objs,$(1),$$(TEST_KERNEL_SOURCES) $$(call port_x86,$(1))) ports/x86/$$(WIDTH_$(1))/kernel.ld
	$$(call say,LINK,$$@)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(call bare_link,$(1)) -Wl,--wrap=kmm_init_frames,--wrap=hosted_boot -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(TEST_KERNEL_PROFILES),$(eval $(call test_kernel_rules,$(p))))

# --- ring-3 programs for the reference kernel ----------------------------------------------------
# Static Linux programs, i386 in build/user and x86-64 in build/user64, built with the ordinary C library, or (NAME_raw.c) with none at all; NAME_pie.c
# position-independent.

USER_FLAGS := -std=gnu11 -static -O1 -Wall -Wextra -Werror -D_GNU_SOURCE

# $(1): folder, $(2): the width as an option of the compiler
define user_rules
build/$(1)/%_raw: tests/user/%_raw.c $$(wildcard tests/user/*.h) Makefile | build/.tools
	$$(call say,USER,$$@)mkdir -p $$(@D)
	$$(Q)gcc $$(USER_FLAGS) $(2) -nostdlib -ffreestanding -fno-pie -no-pie -fno-stack-protector -o $$@ $$<

build/$(1)/%_pie: tests/user/%_pie.c $$(wildcard tests/user/*.h) Makefile | build/.tools
	$$(call say,USER,$$@)mkdir -p $$(@D)
	$$(Q)gcc $$(filter-out -static,$$(USER_FLAGS)) $(2) -static-pie -fPIE -o $$@ $$<

build/$(1)/%: tests/user/%.c $$(wildcard tests/user/*.h) Makefile | build/.tools
	$$(call say,USER,$$@)mkdir -p $$(@D)
	$$(Q)gcc $$(USER_FLAGS) $(2) -pthread -o $$@ $$<
endef
$(eval $(call user_rules,user,-m32))
$(eval $(call user_rules,user64,-m64))

# The benchmark's ring-3 program: as a distribution would build it.
GUEST_FLAGS := -std=gnu11 -static -O2 -Wall -Wextra -Werror -Wmissing-prototypes -D_GNU_SOURCE
build/bench/guest/%: bench/guest/%.c Makefile | build/.tools
	$(call say,USER,$@)mkdir -p $(@D)
	$(Q)gcc $(GUEST_FLAGS) -m32 -o $@ $<

build/bench/guest64/%: bench/guest/%.c Makefile | build/.tools
	$(call say,USER,$@)mkdir -p $(@D)
	$(Q)gcc $(GUEST_FLAGS) -m64 -o $@ $<

# What `make bench-linux` runs on Linux and on ours: the same file.
VERSUS := $(wildcard bench/linux/*.c)
build/bench/versus32 build/bench/versus64: build/bench/versus%: $(VERSUS) $(wildcard bench/linux/*.h) Makefile | build/.tools
	$(call say,USER,$@)mkdir -p $(@D)
	$(Q)gcc $(GUEST_FLAGS) -m$* -pthread -o $@ $(VERSUS)

# And the one that runs a real program in little memory there.
build/bench/half32 build/bench/half64: build/bench/half%: bench/halfram/half.c Makefile | build/.tools
	$(call say,USER,$@)mkdir -p $(@D)
	$(Q)gcc $(GUEST_FLAGS) -m$* -o $@ $<

# The oracle's native program; what it needs itself lies below where tests map things (tests/oracle/step.h).
build/oracle/native32 build/oracle/native64: build/oracle/native%: $(ORACLE_NATIVE) $(wildcard tests/oracle/*.h) Makefile | build/.tools
	$(call say,USER,$@)mkdir -p $(@D)
	$(Q)gcc -std=gnu11 -static -O2 -Wall -Wextra -Werror -Wmissing-prototypes -Itests -m$* -nostdlib -ffreestanding -fno-pie -no-pie \
		-fno-stack-protector -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-Ttext-segment=0x8000000 -o $@ $(ORACLE_NATIVE)

build/oracle/runner: $(call objs,hosted,$(ORACLE) $(PORT_HOSTED)) build/hosted/libkmm.a
	$(call say,LINK,$@)mkdir -p $(@D)
	$(Q)$(CC_hosted) $(LINK_hosted) -o $@ $^ -pthread

# --- dependency files -----------------------------------------------------------------------------

.SECONDARY:
ALL_OBJS := $(foreach p,$(HOSTED_PROFILES),$(call objs,$(p),$(HOSTED_SOURCES))) \
	$(foreach p,$(BARE_PROFILES),$(call objs,$(p),$(KMM_SOURCES) $(call app_os,$(p)) $(call port_x86,$(p)) $(BARE_TESTS))) \
	$(foreach p,$(CLANG_PROFILES),$(call objs,$(p),$(KMM_SOURCES) $(call app_os,$(p)) $(call port_x86,$(p)))) \
	$(call objs,hosted,$(EXAMPLES) $(PORT_TEMPLATE)) $(call objs,bench,$(BENCH) $(BENCH_COMMON)) $(call objs,i386,$(PORT_TEMPLATE)) $(call objs,fuzz,$(FUZZ) $(FUZZ_OS_KERNEL) $(FUZZ_STEPS)) $(call objs,tsan,$(RACE)) $(call objs,sched,$(SCHED)) $(call objs,hosted,$(ORACLE))
-include $(wildcard $(ALL_OBJS:.o=.d))
