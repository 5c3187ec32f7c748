# SPDX-License-Identifier: MIT
# Sources and flags of the bare x86 port, for the Makefile that builds a kernel on it. Paths are relative to the
# repository root. A 32-bit kernel is every object of X86_32_SOURCES, compiled with X86_32_CFLAGS and either
# X86_I386_DEFS or X86_PAE_DEFS, the core compiled in the same way, and its own objects, linked by X86_32_LDFLAGS.

X86_32_SOURCES := \
	ports/x86/32/boot.S ports/x86/32/entry.S ports/x86/32/start.c ports/x86/32/segments.c \
	ports/x86/32/paging.c ports/x86/32/trap.c ports/x86/32/fpu.c \
	ports/x86/common/clock.c ports/x86/common/cpuid.c ports/x86/common/frame.S ports/x86/common/multiboot.c \
	ports/x86/common/panic.c ports/x86/common/pic.c ports/x86/common/port.c ports/x86/common/print.c \
	ports/x86/common/serial.c ports/x86/common/string.c

X86_32_CFLAGS := -m32 -march=i686 -std=gnu11 -O2 -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -mno-sse -mno-mmx -mno-80387 -msoft-float -mregparm=3 -freg-struct-return \
	-Iports/x86 -Iinclude
X86_32_LDSCRIPT := ports/x86/32/link.ld
X86_32_LDFLAGS := -m elf_i386 -nostdlib -static -z noexecstack --build-id=none -T $(X86_32_LDSCRIPT)

X86_I386_DEFS := -DKMM_X86_PAE=0 -DKMM_CONFIG_VA32=1 -DKMM_PIN_FORMAT=kmm_fmt_i386
X86_PAE_DEFS := -DKMM_X86_PAE=1 -DKMM_CONFIG_VA32=1 -DKMM_PIN_FORMAT=kmm_fmt_i386_pae
