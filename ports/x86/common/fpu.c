/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - x87 and SSE state of ring 3 programs, switched lazily.
 *
 * Invariant: CR0.TS is clear exactly when the registers belong to the running task (owner == current, not
 * NULL). Otherwise the first use traps with #NM, and x86_fpu_trap() swaps the states. The kernel itself uses no FPU
 * registers but in the frame helpers of frame.S, which put back what they touch.
 *
 * With several processors a task may go on elsewhere, so its state is written to memory when it is left. The registers
 * still count if it comes back before anybody else used them: owner is that task, and fpu->cpu still names this processor.
 */
#include "common/cpu.h"

#ifdef __x86_64__
#define FXSAVE "fxsave64"
#define FXRSTOR "fxrstor64"
#else
#define FXSAVE "fxsave"
#define FXRSTOR "fxrstor"
#endif

/* Used by its own processor only, with interrupts off. */
struct fpu_cpu {
	struct x86_fpu *owner;   /* whose state the registers hold; NULL: nobody's */
	struct x86_fpu *current; /* whose state the running task wants; NULL: it has none */
};

static const uint32_t NOBODY = ~0u;

static struct fpu_cpu fpu_cpus[X86_MAX_CPUS];

void *x86_fpu_image(struct x86_fpu *fpu)
{
	return (void *)(((uintptr_t)fpu->raw + 15) & ~(uintptr_t)15);
}

static void registers_to(struct x86_fpu *fpu)
{
	__asm__ volatile(FXSAVE " (%0)" : : "r"(x86_fpu_image(fpu)) : "memory");
}

static void registers_from(struct x86_fpu *fpu)
{
	__asm__ volatile(FXRSTOR " (%0)" : : "r"(x86_fpu_image(fpu)) : "memory");
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
	fpu->cpu = NOBODY;
}

void x86_fpu_switch(struct x86_fpu *fpu)
{
	struct fpu_cpu *cpu = &fpu_cpus[x86_cpu_id()];
	bool had = cpu->current && cpu->current == cpu->owner;
	bool has = fpu && fpu == cpu->owner && fpu->cpu == x86_cpu_id();

	if (had && x86_nr_cpus > 1)
		registers_to(cpu->current);
	if (fpu && !has && fpu == cpu->owner)
		cpu->owner = NULL;
	cpu->current = fpu;
	if (has && !had)
		clear_ts();
	else if (had && !has)
		set_ts();
}

void x86_fpu_sync(struct x86_fpu *fpu)
{
	struct fpu_cpu *cpu = &fpu_cpus[x86_cpu_id()];
	bool live = cpu->current == fpu;

	if (cpu->owner != fpu)
		return;
	if (!live)
		clear_ts();
	registers_to(fpu);
	if (!live)
		set_ts();
}

void x86_fpu_forget(struct x86_fpu *fpu)
{
	struct fpu_cpu *cpu = &fpu_cpus[x86_cpu_id()];

	if (cpu->owner != fpu)
		return;
	cpu->owner = NULL;
	fpu->cpu = NOBODY;
	set_ts();
}

void x86_fpu_copy(struct x86_fpu *to, struct x86_fpu *from)
{
	x86_fpu_sync(from);
	x86_fpu_forget(to);
	memcpy(x86_fpu_image(to), x86_fpu_image(from), 512);
	to->cpu = NOBODY;
}

void x86_fpu_trap(struct x86_frame *frame)
{
	struct fpu_cpu *cpu = &fpu_cpus[x86_cpu_id()];

	if (!cpu->current)
		x86_panic_frame(frame, "floating point used by a task without floating point state");
	clear_ts();
	if (cpu->owner == cpu->current)
		return;
	if (cpu->owner && x86_nr_cpus == 1)
		registers_to(cpu->owner);
	registers_from(cpu->current);
	cpu->owner = cpu->current;
	cpu->owner->cpu = x86_cpu_id();
}
