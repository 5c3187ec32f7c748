/* SPDX-License-Identifier: MIT */
/*
 * tls.c - what ring 3 has in its segment registers, kept over switches of tasks.
 *
 * The kernel uses neither DS, ES nor FS, and GS only for its base, so the program's selectors stay in the processor while
 * the kernel runs. In the kernel, the program's GS base is in MSR_KERNEL_GS_BASE. Loading a GS selector replaces the base
 * in use, the kernel's; it is put back at once, with interrupts off.
 */
#include "64/cpu.h"

static uint16_t read_segment(enum x86_segment seg)
{
	uint16_t v;

	switch (seg) {
	case X86_SEG_DS: __asm__ volatile("mov %%ds, %0" : "=r"(v)); break;
	case X86_SEG_ES: __asm__ volatile("mov %%es, %0" : "=r"(v)); break;
	case X86_SEG_FS: __asm__ volatile("mov %%fs, %0" : "=r"(v)); break;
	default: __asm__ volatile("mov %%gs, %0" : "=r"(v)); break;
	}
	return v;
}

/* base: for a null selector. */
static void load_fs(uint16_t selector, uint64_t base)
{
	x86_load_fs(selector);
	if (!selector)
		x86_write_msr(X86_MSR_FS_BASE, base);
}

static void load_gs(uint16_t selector, uint64_t base)
{
	uint64_t kernel = (uint64_t)&x86_selves[x86_cpu_id()];

	x86_load_gs(selector);
	if (selector)
		base = x86_read_msr(X86_MSR_GS_BASE);
	x86_write_msr(X86_MSR_GS_BASE, kernel);
	x86_write_msr(X86_MSR_KERNEL_GS_BASE, base);
}

void x86_tls_load(const struct x86_tls *tls)
{
	uint64_t *gdt = x86_this_cpu()->gdt;

	for (unsigned i = 0; i < X86_TLS_COUNT; i++)
		gdt[X86_TLS_MIN + i] = tls->desc[i];
	if (tls->ds | read_segment(X86_SEG_DS))
		x86_load_ds(tls->ds);
	if (tls->es | read_segment(X86_SEG_ES))
		x86_load_es(tls->es);
	if (tls->fs | read_segment(X86_SEG_FS))
		load_fs(tls->fs, tls->fs_base);
	else
		x86_write_msr(X86_MSR_FS_BASE, tls->fs_base);
	if (tls->gs | read_segment(X86_SEG_GS))
		load_gs(tls->gs, tls->gs_base);
	else
		x86_write_msr(X86_MSR_KERNEL_GS_BASE, tls->gs_base);
}

void x86_tls_save(struct x86_tls *tls)
{
	tls->ds = read_segment(X86_SEG_DS);
	tls->es = read_segment(X86_SEG_ES);
	tls->fs = read_segment(X86_SEG_FS);
	tls->gs = read_segment(X86_SEG_GS);
}

uint16_t x86_frame_segment(const struct x86_frame *f, enum x86_segment seg)
{
	(void)f;
	return read_segment(seg);
}

void x86_frame_set_segment(struct x86_frame *f, enum x86_segment seg, uint16_t value)
{
	uint32_t flags = x86_irq_save();

	(void)f;
	switch (seg) {
	case X86_SEG_DS: x86_load_ds(value); break;
	case X86_SEG_ES: x86_load_es(value); break;
	case X86_SEG_FS: load_fs(value, 0); break;
	default: load_gs(value, 0); break;
	}
	x86_irq_restore(flags);
}
