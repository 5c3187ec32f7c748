# SPDX-License-Identifier: MIT
# Build the port's self-test kernels without the core:  make -f ports/x86/selftest/selftest.mk OUT=DIR
# and run them:  ports/x86/selftest/run.sh DIR
include ports/x86/x86.mk

OUT ?= build/x86-selftest
WARN := -Wall -Wextra -Werror -Wmissing-prototypes -Wvla -Wundef
SOURCES := $(X86_32_SOURCES) ports/x86/selftest/selftest.c

all: $(OUT)/i386.elf $(OUT)/i386-pae.elf

define kernel
OBJS_$(1) := $$(addprefix $(OUT)/$(1)/,$$(addsuffix .o,$$(basename $(SOURCES))))
$(OUT)/$(1).elf: $$(OBJS_$(1)) $(X86_32_LDSCRIPT)
	ld $(X86_32_LDFLAGS) -o $$@ $$(OBJS_$(1))
$(OUT)/$(1)/%.o: %.c
	@mkdir -p $$(@D)
	$(CC) $(X86_32_CFLAGS) $(WARN) $(2) -MMD -c $$< -o $$@
$(OUT)/$(1)/%.o: %.S
	@mkdir -p $$(@D)
	$(CC) $(X86_32_CFLAGS) $(2) -MMD -c $$< -o $$@
-include $$(OBJS_$(1):.o=.d)
endef
$(eval $(call kernel,i386,$(X86_I386_DEFS)))
$(eval $(call kernel,i386-pae,$(X86_PAE_DEFS)))
