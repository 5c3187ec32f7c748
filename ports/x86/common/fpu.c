/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - x87, SSE and AVX state of ring 3 programs, switched lazily. Kept in the form that FXSAVE writes (every processor
 * since 1999 has it), or where there is XSAVE in its standard form: the same 512 bytes, a header of 64 that says which parts
 * are not in their initial state, and the upper halves of the AVX registers.
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
#define WIDE "64"
#else
#define WIDE ""
#endif

enum { PART_X87 = 1, PART_SSE = 2, PART_AVX = 4, HEADER = 512, HEADER_SIZE = 64, MXCSR = 24, MXCSR_MASK = 28 };
enum { DEFAULT_MXCSR_MASK = 0xffbf };

static uint32_t size = X86_FPU_LEGACY, parts = PART_X87 | PART_SSE;
static uint32_t mxcsr_mask = DEFAULT_MXCSR_MASK;

/* Used by its own processor only, with interrupts off. */
struct fpu_cpu {
	struct x86_fpu *owner;   /* whose state the registers hold; NULL: nobody's */
	struct x86_fpu *current; /* whose state the running task wants; NULL: it has none */
};

static const uint32_t NOBODY = ~0u;

static struct fpu_cpu fpu_cpus[X86_MAX_CPUS];

void *x86_fpu_image(struct x86_fpu *fpu)
{
	return (void *)(((uintptr_t)fpu->raw + 63) & ~(uintptr_t)63);
}

uint32_t x86_fpu_size(void)
{
	return size;
}

uint32_t x86_fpu_parts(void)
{
	return parts;
}

static void registers_to(struct x86_fpu *fpu)
{
	void *image = x86_fpu_image(fpu);

	if (size > X86_FPU_LEGACY)
		__asm__ volatile("xsave" WIDE " (%0)" : : "r"(image), "a"(parts), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave" WIDE " (%0)" : : "r"(image) : "memory");
}

static void registers_from(struct x86_fpu *fpu)
{
	void *image = x86_fpu_image(fpu);

	if (size > X86_FPU_LEGACY)
		__asm__ volatile("xrstor" WIDE " (%0)" : : "r"(image), "a"(parts), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor" WIDE " (%0)" : : "r"(image) : "memory");
}

static void set_ts(void)
{
	x86_write_cr0(x86_read_cr0() | X86_CR0_TS);
}

static void clear_ts(void)
{
	__asm__ volatile("clts" : : : "memory");
}

/* The largest form there is: CPUID Dh says how long it is once XCR0 is set. */
static void xsave_start(void)
{
	uint32_t eax = 0xd, ebx, ecx = 0, edx;

	parts = PART_X87 | PART_SSE | (x86_cpu_info.avx ? PART_AVX : 0);
	x86_write_cr4(x86_read_cr4() | X86_CR4_OSXSAVE);
	__asm__ volatile("xsetbv" : : "c"(0), "a"(parts), "d"(0));
	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (ebx > X86_FPU_MOST)
		x86_panic("the processor's floating point state takes %u bytes, there is room for %u", ebx, X86_FPU_MOST);
	size = ebx;
}

/* Which bits of MXCSR the processor has; 0 in the image stands for the first ones that had it. */
static void read_mxcsr_mask(void)
{
	static struct x86_fpu probe;
	uint32_t mask;

	__asm__ volatile("fxsave (%0)" : : "r"(x86_fpu_image(&probe)) : "memory");
	memcpy(&mask, (char *)x86_fpu_image(&probe) + MXCSR_MASK, sizeof(mask));
	if (mask)
		mxcsr_mask = mask;
}

void x86_fpu_start(void)
{
	x86_word cr0 = x86_read_cr0() & ~X86_CR0_EM;

	if (!x86_cpu_info.fxsr)
		x86_panic("the processor lacks FXSAVE");
	x86_write_cr4(x86_read_cr4() | X86_CR4_OSFXSR | (x86_cpu_info.sse ? X86_CR4_OSXMMEXCPT : 0));
	x86_write_cr0((cr0 | X86_CR0_MP | X86_CR0_NE) & ~X86_CR0_TS);
	__asm__ volatile("fninit");
	if (x86_cpu_info.xsave)
		xsave_start();
	read_mxcsr_mask();
	x86_write_cr0(x86_read_cr0() | X86_CR0_TS);
}

/* Image of a new program: control words as Linux sets them, all else zero (SDM vol. 1, table 10-2). */
void x86_fpu_init(struct x86_fpu *fpu)
{
	uint8_t *image = x86_fpu_image(fpu);
	const uint32_t mxcsr = 0x1f80;
	const uint16_t fcw = 0x037f;

	memset(image, 0, size);
	memcpy(image, &fcw, sizeof(fcw));
	memcpy(image + MXCSR, &mxcsr, sizeof(mxcsr));
	x86_fpu_sanitize(image, true);
	fpu->cpu = NOBODY;
}

void x86_fpu_sanitize(void *image, bool legacy)
{
	uint32_t mxcsr, *in_use = (uint32_t *)((char *)image + HEADER);

	memcpy(&mxcsr, (char *)image + MXCSR, sizeof(mxcsr));
	mxcsr &= mxcsr_mask;
	memcpy((char *)image + MXCSR, &mxcsr, sizeof(mxcsr));
	if (size == X86_FPU_LEGACY)
		return;
	mxcsr = legacy ? PART_X87 | PART_SSE : *in_use & parts;
	memset(in_use, 0, HEADER_SIZE);
	*in_use = mxcsr;
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

	fpu->cpu = NOBODY; /* another processor may still name it as the owner */
	if (cpu->owner != fpu)
		return;
	cpu->owner = NULL;
	set_ts();
}

void x86_fpu_copy(struct x86_fpu *to, struct x86_fpu *from)
{
	x86_fpu_sync(from);
	x86_fpu_forget(to);
	memcpy(x86_fpu_image(to), x86_fpu_image(from), size);
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

void x86_fpu_park(void)
{
	struct fpu_cpu *cpu = &fpu_cpus[x86_cpu_id()];

	if (!cpu->owner)
		return;
	clear_ts();
	registers_to(cpu->owner);
	cpu->owner = NULL;
	set_ts();
}

void x86_fpu_forget_all(void)
{
	for (unsigned i = 0; i < X86_MAX_CPUS; i++)
		fpu_cpus[i].owner = NULL;
	set_ts();
}
