/* SPDX-License-Identifier: MIT */
/*
 * Every hook of struct kmm_port, in the order of the header. Freestanding: it compiles for any target.
 * Hooks marked optional may be left NULL; what then happens is said beside them.
 */
#include "port.h"

static struct template_port *of(struct kmm_port *port)
{
	return (struct template_port *)port;
}

/* ---- tier a: page frames ---- */

/* Mandatory. Replace: read the interrupt flag, disable interrupts, return the flag as it was. */
static unsigned long irq_save(struct kmm_port *port)
{
	(void)port;
	return 0;
}

/* Mandatory. Replace: put the flag back. Calls nest, so an inner one must not enable interrupts. */
static void irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

/* Mandatory. Replace with the local APIC's number, a per-CPU segment, ...: 0 .. nr_cpus-1. The caller has interrupts off, or
 * otherwise does not move to another CPU. */
static unsigned cpu_id(struct kmm_port *port)
{
	(void)port;
	return 0;
}

/* Mandatory. The core found one of its own invariants broken: say so and stop the machine. Do not return, do not
 * unwind into kmm. */
static void fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	struct template_port *t = of(port);

	(void)line;
	if (t->print) {
		t->print(file);
		t->print(what);
	}
	t->stop();
}

/* Optional (NULL: lines are dropped). One line without its end. May be called with interrupts off. */
static void log_line(struct kmm_port *port, const char *line)
{
	if (of(port)->print)
		of(port)->print(line);
}

/* Optional (NULL: nothing). Called in spin loops: `pause` on x86. */
static void relax(struct kmm_port *port)
{
	(void)port;
}

/* Optional (NULL: time stands still at 0). Replace with a monotonic clock. */
static uint64_t time_ns(struct kmm_port *port)
{
	return ++of(port)->clock_ns;
}

/* Optional (NULL: everybody is 0). Replace with the number of the process that runs on this CPU. */
static uint32_t owner_id(struct kmm_port *port)
{
	(void)port;
	return 0;
}

/* ---- tier b: kernel memory ---- */

/* Mandatory. Replace: INVLPG for a few pages, else reload CR3; for kernel addresses (root.v == 0) also drop global
 * entries. With flush->tables set always reload CR3: it also reloads PAE's top level. A user space that this CPU
 * does not run needs nothing. */
static void tlb_flush_local(struct kmm_port *port, const struct kmm_flush *flush)
{
	(void)flush;
	of(port)->flushes++;
}

/* Mandatory. Replace on a multiprocessor: interrupt the CPUs in the mask, make them flush, wait until all have. */
static void tlb_flush_others(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush)
{
	(void)port;
	(void)cpus;
	(void)flush;
}

/* Optional (NULL: nothing to do). Only where C code does not see the machine's virtual addresses directly, as in
 * ports/hosted: mirror [va, va + nr_pages) so that window_base shows these frames. Not 0: it cannot be done. */
static int window_changed(struct kmm_port *port, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr_pages,
			  unsigned prot)
{
	(void)port;
	(void)va;
	(void)pfns;
	(void)nr_pages;
	(void)prot;
	return 0;
}

/* Optional (NULL: memset and memcpy). Replace with `rep stosl`, non-temporal stores or a DMA engine. */
static void zero_frame(struct kmm_port *port, void *ptr)
{
	uint64_t *words = ptr;

	(void)port;
	for (unsigned i = 0; i < KMM_PAGE_SIZE / 8; i++)
		words[i] = 0;
}

static void copy_frame(struct kmm_port *port, void *to, const void *from)
{
	uint64_t *words = to;
	const uint64_t *source = from;

	(void)port;
	for (unsigned i = 0; i < KMM_PAGE_SIZE / 8; i++)
		words[i] = source[i];
}

/* ---- tier c: spaces ---- */

/* Optional (NULL: the core never sleeps and returns KMM_EAGAIN). Replace: put the task to sleep on `key` until done(arg) is
 * true; ask done() again after each wake, under the lock that wake() takes, or a wake may be lost. With one task there is
 * nobody to wait for, so this one stops when it would have to. */
static void wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	(void)key;
	if (!done(arg))
		fatal(port, __FILE__, __LINE__, "the only task waits for another");
}

/* Goes with wait: make all sleepers on `key` runnable. May be called with spin locks held. */
static void wake(struct kmm_port *port, const void *key)
{
	(void)port;
	(void)key;
}

/* Optional (NULL: a sequence from the machine's seed). Replace with real entropy. */
static uint64_t random_bits(struct kmm_port *port)
{
	struct template_port *t = of(port);

	t->random_state = t->random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return t->random_state;
}

/* Optional (NULL: nothing). This CPU now runs these page tables: load CR3. */
static void activate_space(struct kmm_port *port, struct kmm_paddr root)
{
	of(port)->active_root = root.v;
}

void template_port_init(struct template_port *t, void *direct_map, void (*print)(const char *line),
			void (*stop)(void))
{
	*t = (struct template_port){
		.port = {
			.irq_save = irq_save, .irq_restore = irq_restore, .cpu_id = cpu_id, .fatal = fatal,
			.log = log_line, .relax = relax, .time_ns = time_ns, .owner_id = owner_id,
			/* Values. Bare metal: PAGE_OFFSET, false, and no window: pointers are addresses. Here C code
			 * sees RAM at another place than the machine does, so all of it must be visible there. */
			.direct_map = direct_map, .direct_map_all = true,
			.window_base = 0, .window_start = 0, .window_size = 0,
			.tlb_flush_local = tlb_flush_local, .tlb_flush_others = tlb_flush_others,
			.window_changed = window_changed, .zero_frame = zero_frame, .copy_frame = copy_frame,
			.wait = wait, .wake = wake, .random = random_bits, .activate_space = activate_space,
		},
		.print = print, .stop = stop,
	};
}
