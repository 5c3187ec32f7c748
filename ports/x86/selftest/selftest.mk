# SPDX-License-Identifier: MIT
# The port's self-test kernels (the port alone, without the core), compiled exactly like the real kernels:
#   make -f ports/x86/selftest/selftest.mk x86-selftest        build and run them
include Makefile

SELFTEST_SOURCES_32 := $(PORT_X86_32) ports/x86/selftest/selftest.c ports/x86/selftest/selftest32.c
SELFTEST_SOURCES_64 := $(PORT_X86_64) ports/x86/selftest/selftest.c ports/x86/selftest/selftest64.c
SELFTESTS := $(BARE_PROFILES:%=build/%/x86-selftest.elf)

.PHONY: x86-selftest
x86-selftest: $(SELFTESTS)
	@ports/x86/selftest/run.sh build

define selftest_rules
build/$(1)/x86-selftest.elf: $$(call objs,$(1),$$(SELFTEST_SOURCES_$$(WIDTH_$(1)))) ports/x86/$$(WIDTH_$(1))/kernel.ld
	$$(call say,LINK,$$@)mkdir -p $$(@D)
	$$(Q)$$(CC_$(1)) $$(call bare_link,$(1)) -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(BARE_PROFILES),$(eval $(call selftest_rules,$(p))))
