# SPDX-License-Identifier: MIT
# The port's self-test kernels (the port alone, without the core), compiled exactly like the real kernels:
#   make -f ports/x86/selftest/selftest.mk x86-selftest        build and run them
include Makefile

SELFTEST_SOURCES := $(PORT_X86_32) ports/x86/selftest/selftest.c
SELFTESTS := $(BARE_PROFILES:%=build/%/x86-selftest.elf)

.PHONY: x86-selftest
x86-selftest: $(SELFTESTS)
	@ports/x86/selftest/run.sh build

define selftest_rules
build/$(1)/x86-selftest.elf: $$(call objs,$(1),$$(SELFTEST_SOURCES)) ports/x86/32/kernel.ld
	$$(call say,LINK,$$@)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
		-T ports/x86/32/kernel.ld -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(BARE_PROFILES),$(eval $(call selftest_rules,$(p))))
