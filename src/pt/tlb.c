/* SPDX-License-Identifier: MIT */
/*
 * Gathered flushes: change entries first, tell the processors once, and only then let go of what the old entries
 * led to. The gather keeps one range from the lowest to the highest changed address; the port decides from its
 * length whether to drop single translations or all.
 *
 * Which CPUs have a space loaded is not known here, so all others are told; with one CPU there are none.
 */
#include "pt/map.h"
#include "pt/walking.h"

static void flush_cpus(struct kmm *k, const struct kmm_flush *flush)
{
	struct kmm_port *port = k->port;
	unsigned long flags;

	kmm_trace(k, KMM_EV_TLB_FLUSH, flush->start, flush->end, flush->tables, flush->root.v);
	if (k->machine.nr_cpus == 1) {
		port->tlb_flush_local(port, flush);
		return;
	}
	/* Interrupts off: moving to another CPU in between would leave one out. */
	flags = port->irq_save(port);
	port->tlb_flush_local(port, flush);
	port->tlb_flush_others(port, UINT64_MAX >> (64 - k->machine.nr_cpus) & ~(UINT64_C(1) << port->cpu_id(port)),
			       flush);
	port->irq_restore(port, flags);
}

void kmm_tlb_begin(struct kmm *k, struct kmm_tlb *tlb, struct kmm_space *space)
{
	(void)k;
	tlb->space = space;
	tlb->start = tlb->end = 0;
	tlb->tables = false;
	tlb->free_tables = 0;
	tlb->nr_held = 0;
}

void kmm_tlb_note(struct kmm *k, struct kmm_tlb *tlb, kmm_word va, struct kmm_page *frame)
{
	kmm_word start = va & ~(kmm_word)(KMM_PAGE_SIZE - 1);

	KMM_CHECK(k, kmm_pt_is_kernel_va(k, va) == tlb->space->is_kernel);
	kmm_tlb_note_range(tlb, start, start + KMM_PAGE_SIZE);
	if (frame)
		kmm_tlb_hold(k, tlb, frame);
}

/* Gives up one reference. A frame with a single one is nobody else's, so nothing can race with reading that. */
static bool was_last(struct kmm *k, struct kmm_page *page)
{
	unsigned was = atomic_load_explicit(&page->refcount, memory_order_acquire);

	if (was != 1)
		was = atomic_fetch_sub_explicit(&page->refcount, 1, memory_order_acq_rel);
	KMM_ASSERT(k, was != 0);
	return was == 1;
}

/* First all references, then all frames that nobody has any more, so these go back together. */
static void drop_frames(struct kmm *k, struct kmm_page **held, unsigned nr_held)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < nr_held; i++)
		if (was_last(k, held[i]))
			held[nr++] = held[i];
	for (unsigned i = 0; i < nr; i++)
		kmm_phys_free(k, held[i], kmm_page_order(held[i]));
}

void kmm_tlb_flush(struct kmm *k, struct kmm_tlb *tlb)
{
	struct kmm_flush flush = { { 0 }, tlb->start, tlb->end, tlb->tables };

	KMM_ASSERT(k, KMM_DEBUG < 1 || (k->locks_held[kmm_cpu(k)] >> KMM_LOCK_PT) == 0);
	KMM_ASSERT(k, tlb->nr_held <= KMM_TLB_HELD && (!tlb->free_tables || tlb->tables));
	if (!tlb->space->is_kernel)
		flush.root = tlb->space->root;
	if (tlb->start < tlb->end || tlb->tables)
		flush_cpus(k, &flush);
	if (tlb->nr_held)
		drop_frames(k, tlb->held, tlb->nr_held);
	if (tlb->tables) {
		kmm_walks_wait(k, tlb->space);
		kmm_pt_free_chain(k, tlb->free_tables);
	}
	kmm_tlb_begin(k, tlb, tlb->space);
}

void kmm_tlb_flush_space(struct kmm *k, const struct kmm_flush *flush)
{
	KMM_ASSERT(k, KMM_DEBUG < 1 || (k->locks_held[kmm_cpu(k)] >> KMM_LOCK_PT) == 0);
	flush_cpus(k, flush);
}

void kmm_walks_wait(struct kmm *k, const struct kmm_space *space)
{
	unsigned here = kmm_cpu(k);

	if (k->machine.nr_cpus == 1)
		return;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		while (cpu != here && __atomic_load_n(&k->walker[cpu].space, __ATOMIC_ACQUIRE) == space)
			if (k->port->relax)
				k->port->relax(k->port);
}

void kmm_tlb_flush_here(struct kmm *k, const struct kmm_space *space, kmm_word va)
{
	kmm_word start = va & ~(kmm_word)(KMM_PAGE_SIZE - 1);
	struct kmm_flush flush = { space->root, start, start + KMM_PAGE_SIZE, false };

	kmm_trace(k, KMM_EV_TLB_FLUSH, flush.start, flush.end, false, flush.root.v);
	k->port->tlb_flush_local(k->port, &flush);
}

void kmm_pt_flush_kernel(struct kmm *k, struct kmm_kva start, struct kmm_kva end)
{
	struct kmm_flush flush = { { 0 }, start.v, end.v, false };

	KMM_ASSERT(k, start.v < end.v && ((start.v | end.v) & (KMM_PAGE_SIZE - 1)) == 0);
	flush_cpus(k, &flush);
}
