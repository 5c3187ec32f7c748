/* SPDX-License-Identifier: MIT */
/*
 * port.c - struct kmm_port for the bare x86 machine: the core's hooks, answered by this port.
 *
 * wait and wake belong to the scheduler of the kernel on top, which
 * fills them in before it starts the core; log may be replaced as well.
 */
#include "common/cpu.h"
#include "kmm/port.h"

/* Above this many pages one full flush is cheaper than single ones. */
#define MAX_SINGLE_FLUSHES 32

void x86_zero_frame_sse(void *page);
void x86_copy_frame_sse(void *to, const void *from);

static unsigned long hook_irq_save(struct kmm_port *port)
{
	(void)port;
	return x86_irq_save();
}

static void hook_irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	x86_irq_restore(flags);
}

static unsigned hook_cpu_id(struct kmm_port *port)
{
	(void)port;
	return x86_cpu_id();
}

static void hook_fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	(void)port;
	x86_panic("%s:%d: %s", file, line, what);
}

static void hook_log(struct kmm_port *port, const char *line)
{
	(void)port;
	x86_printf("kmm: %s\n", line);
}

static void hook_relax(struct kmm_port *port)
{
	(void)port;
	x86_relax();
}

static uint64_t hook_time_ns(struct kmm_port *port)
{
	(void)port;
	return x86_time_ns();
}

/* A space that is not loaded has nothing in the TLB: loading a root drops all entries that are not global. */
void x86_tlb_do(const struct kmm_flush *flush)
{
	bool kernel = flush->root.v == 0;
	bool all = flush->end <= flush->start ||
		   (flush->end - flush->start) / X86_PAGE_SIZE > MAX_SINGLE_FLUSHES;

	if (!x86_paging_on || (!kernel && flush->root.v != x86_current_root()))
		return;
	if (all && kernel) {
		x86_tlb_flush_all();
	} else if (all || flush->tables) { /* PAE holds copies of the top entries until the root is loaded */
		x86_tlb_flush_local();
	}
	for (kmm_word va = flush->start; !all && va < flush->end; va += X86_PAGE_SIZE)
		x86_tlb_flush_page(va);
}

static void hook_tlb_flush_local(struct kmm_port *port, const struct kmm_flush *flush)
{
	(void)port;
	x86_tlb_mark(flush); /* the core asks for this one first, and always */
	x86_tlb_do(flush);
}

static void hook_tlb_flush_others(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush)
{
	(void)port;
	x86_tlb_others(cpus, flush);
}

static void hook_activate_space(struct kmm_port *port, struct kmm_paddr root)
{
	(void)port;
	if (root.v != x86_current_root())
		x86_load_root(root.v);
}

/* The registers may be a program's: see frame.S. Only a set TS must be cleared, and set again. */
static x86_word sse_begin(void)
{
	x86_word cr0 = x86_read_cr0();

	if (cr0 & X86_CR0_TS)
		__asm__ volatile("clts" : : : "memory");
	return cr0;
}

static void sse_end(x86_word cr0)
{
	if (cr0 & X86_CR0_TS)
		x86_write_cr0(cr0);
}

static void hook_zero_frame(struct kmm_port *port, void *ptr)
{
	uint32_t flags = x86_irq_save();
	x86_word cr0 = sse_begin();

	(void)port;
	x86_zero_frame_sse(ptr);
	sse_end(cr0);
	x86_irq_restore(flags);
}

static void hook_copy_frame(struct kmm_port *port, void *to, const void *from)
{
	uint32_t flags = x86_irq_save();
	x86_word cr0 = sse_begin();

	(void)port;
	x86_copy_frame_sse(to, from);
	sse_end(cr0);
	x86_irq_restore(flags);
}

/* The counter's low bits are the best this port has; the state keeps two calls in one cycle apart. */
static uint64_t hook_random(struct kmm_port *port)
{
	static uint64_t state;
	uint64_t z;

	(void)port;
	state += x86_rdtsc() ^ x86_boot_epoch();
	z = (state += 0x9e3779b97f4a7c15ull);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static struct kmm_port the_port = {
	.irq_save = hook_irq_save,
	.irq_restore = hook_irq_restore,
	.cpu_id = hook_cpu_id,
	.fatal = hook_fatal,
	.log = hook_log,
	.relax = hook_relax,
	.time_ns = hook_time_ns,
	.tlb_flush_local = hook_tlb_flush_local,
	.tlb_flush_others = hook_tlb_flush_others,
	.random = hook_random,
	.activate_space = hook_activate_space,
};

struct kmm_port *x86_port_init(void)
{
	the_port.direct_map = (void *)x86_direct_base;
	if (x86_cpu_info.sse2) {
		the_port.zero_frame = hook_zero_frame;
		the_port.copy_frame = hook_copy_frame;
	}
	return &the_port;
}
