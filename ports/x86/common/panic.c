/* SPDX-License-Identifier: MIT */
/*
 * panic.c - the ways a machine ends: by decision (exit, power off) or by a broken invariant (panic).
 *
 * A panic inside a panic goes straight to the exit, so a broken console cannot hang the machine; another processor's is
 * not heard.
 */
#include "common/cpu.h"

enum { DEBUG_EXIT_PORT = 0x501 };

static uint32_t panicking; /* 1 + the number of the processor that does */

__attribute__((noreturn)) static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* S5 (soft off) through the power management block of the two chipsets QEMU emulates, i440fx and q35; the third is
 * where older versions of it and Bochs have it. Writes to an absent port have no effect. */
static void power_off(void)
{
	x86_outw(0x604, 0x2000);
	x86_outw(0xb004, 0x2000);
	x86_outw(0x4004, 0x3400);
}

void x86_poweroff(void)
{
	x86_irq_disable();
	x86_serial_drain();
	power_off();
	halt();
}

void x86_exit(uint8_t code)
{
	x86_irq_disable();
	x86_serial_drain();
	x86_outb(DEBUG_EXIT_PORT, code);
	power_off();
	halt();
}

static void panic_begin(void)
{
	uint32_t me = x86_cpu_id() + 1, nobody = 0;

	x86_irq_disable();
	if (!__atomic_compare_exchange_n(&panicking, &nobody, me, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (nobody == me)
			x86_exit(X86_EXIT_PANIC);
		halt();
	}
	x86_printf("\nkernel panic: ");
}

void x86_panic(const char *fmt, ...)
{
	va_list ap;

	panic_begin();
	va_start(ap, fmt);
	x86_vprintf(fmt, ap);
	va_end(ap);
	x86_printf("\n");
	x86_exit(X86_EXIT_PANIC);
}

void x86_panic_frame(const struct x86_frame *frame, const char *why)
{
	panic_begin();
	x86_printf("%s\n", why);
	x86_frame_print(frame);
	x86_exit(X86_EXIT_PANIC);
}
