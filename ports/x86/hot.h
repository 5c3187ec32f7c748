/* SPDX-License-Identifier: MIT */
/*
 * hot.h - the part of x86.h that the core has inline (inline.h): who am I, interrupts off, one translation dropped. Apart
 * from x86.h so that a change there does not mean another core.
 */
#ifndef KMM_PORTS_X86_HOT_H
#define KMM_PORTS_X86_HOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X86_PAGE_SIZE 4096u
#define X86_MAX_CPUS 8 /* others that the firmware names are left alone */

struct x86_frame;

#ifdef __x86_64__
#include "64/arch.h"
#else
#include "32/arch.h"
#endif

/*
 * What a processor finds about itself at once: a segment register of the kernel (FS in 32-bit ones, GS in 64-bit ones)
 * leads each to its own. Written by its own processor only.
 */
struct x86_self {
	x86_word kernel_sp; /* 64-bit: stack for the next trap from ring 3, the same as in the TSS */
	x86_word user_sp;   /* 64-bit: of the program that executes SYSCALL, for some instructions */
	void *task;         /* of the kernel on top: x86_task() */
	uint32_t cpu;       /* its number */
} __attribute__((aligned(32)));
extern struct x86_self x86_selves[X86_MAX_CPUS];

/* Number of the running processor, from 0, the boot processor. It may change only where the kernel switches contexts. */
static inline unsigned x86_cpu_id(void)
{
	uint32_t cpu;
	__asm__("movl " X86_SELF(1) ", %0" : "=r"(cpu) : "i"(X86_SELF_AT(cpu)), "m"(x86_selves[0].cpu));
	return cpu;
}

/* The pointer of the running task, as the kernel set it just before it switched to the task's context: a task always
 * reads the same, so the compiler may keep it. */
static inline void *x86_task(void)
{
	void *task;
	__asm__("mov " X86_SELF(1) ", %0" : "=r"(task) : "i"(X86_SELF_AT(task)));
	return task;
}
static inline void x86_set_task(void *task)
{
	__asm__ volatile("mov %0, " X86_SELF(1) : : "r"(task), "i"(X86_SELF_AT(task)) : "memory");
}

/* Save EFLAGS and turn interrupts off; give the value back to x86_irq_restore(). Nests. */
static inline uint32_t x86_irq_save(void)
{
	x86_word flags;
	__asm__ volatile("pushf; pop %0; cli" : "=r"(flags) : : "memory");
	return (uint32_t)flags;
}
static inline void x86_irq_restore(uint32_t flags)
{
	if (flags & 0x200)
		__asm__ volatile("sti" : : : "memory");
}

static inline void x86_tlb_flush_page(x86_word va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#endif
