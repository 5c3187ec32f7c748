/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - x87 and SSE state of ring 3 programs, switched lazily.
 *
 * Invariant: CR0.TS is clear exactly when the registers belong to the running task (fpu_owner == fpu_current, not
 * NULL). Otherwise the first use traps with #NM, and x86_fpu_trap() swaps the states. The kernel itself uses no FPU
 * registers but in the frame helpers of common/frame.S, which put back what they touch.
 */
#include "32/cpu.h"

void *x86_fpu_image(struct x86_fpu *fpu)
{
	return (void *)(((uint32_t)fpu->raw + 15) & ~15u);
}

static void registers_to(struct x86_fpu *fpu)
{
	__asm__ volatile("fxsave (%0)" : : "r"(x86_fpu_image(fpu)) : "memory");
}

static void registers_from(struct x86_fpu *fpu)
{
	__asm__ volatile("fxrstor (%0)" : : "r"(x86_fpu_image(fpu)) : "memory");
}

static void set_ts(void)
{
	x86_write_cr0(x86_read_cr0() | X86_CR0_TS);
}

static void clear_ts(void)
{
	__asm__ volatile("clts" : : : "memory");
}

/* FXSAVE image of a new program: control words as Linux sets them, all else zero (SDM vol. 1, table 10-2). */
void x86_fpu_init(struct x86_fpu *fpu)
{
	uint8_t *image = x86_fpu_image(fpu);
	const uint32_t mxcsr = 0x1f80;
	const uint16_t fcw = 0x037f;

	memset(image, 0, 512);
	memcpy(image, &fcw, sizeof(fcw));
	memcpy(image + 24, &mxcsr, sizeof(mxcsr));
}

void x86_fpu_switch(struct x86_fpu *fpu)
{
	struct x86_cpu *cpu = x86_this_cpu();
	bool had = cpu->fpu_current && cpu->fpu_current == cpu->fpu_owner;
	bool has = fpu && fpu == cpu->fpu_owner;

	cpu->fpu_current = fpu;
	if (has && !had)
		clear_ts();
	else if (had && !has)
		set_ts();
}

void x86_fpu_sync(struct x86_fpu *fpu)
{
	struct x86_cpu *cpu = x86_this_cpu();
	bool live = cpu->fpu_current == fpu;

	if (cpu->fpu_owner != fpu)
		return;
	if (!live)
		clear_ts();
	registers_to(fpu);
	if (!live)
		set_ts();
}

void x86_fpu_forget(struct x86_fpu *fpu)
{
	struct x86_cpu *cpu = x86_this_cpu();

	if (cpu->fpu_owner != fpu)
		return;
	cpu->fpu_owner = NULL;
	set_ts();
}

void x86_fpu_copy(struct x86_fpu *to, struct x86_fpu *from)
{
	x86_fpu_sync(from);
	x86_fpu_forget(to);
	memcpy(x86_fpu_image(to), x86_fpu_image(from), 512);
}

void x86_fpu_trap(struct x86_frame *frame)
{
	struct x86_cpu *cpu = x86_this_cpu();

	if (!cpu->fpu_current)
		x86_panic_frame(frame, "floating point used by a task without floating point state");
	clear_ts();
	if (cpu->fpu_owner == cpu->fpu_current)
		return;
	if (cpu->fpu_owner)
		registers_to(cpu->fpu_owner);
	registers_from(cpu->fpu_current);
	cpu->fpu_owner = cpu->fpu_current;
}
