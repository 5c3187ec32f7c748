/* SPDX-License-Identifier: MIT */
/*
 * The kernel's windows: last-level slots that kmap and vmalloc map and unmap, and large leaves of vmalloc.
 *
 * A slot belongs to whoever reserved its address, so slots are written without a lock, in any context. Nobody
 * counts them: counts say when a table can be freed, and kernel tables are not. Locks are taken (and memory asked
 * for) only where a table is missing, before anything is mapped.
 */
#include "pt/map.h"

/* A run of slots in one table, or, with spot.level 1, what stands where such a table would be. */
struct run {
	struct kmm_spot spot;
	kmm_word va;
	kmm_word nr;
};

/* The run that starts at va, at most nr slots. */
static inline struct run run_at(const struct kmm *k, kmm_word va, kmm_word nr)
{
	struct run run = { .va = va };
	kmm_word left = ((kmm_pt_entry_last(k, va, 1) - va) >> KMM_PAGE_SHIFT) + 1;

	kmm_pt_descend(k, k->pt->kernel.root, va, 0, &run.spot);
	run.nr = left < nr ? left : nr;
	return run;
}

static inline char *slot_of(const struct kmm *k, const struct run *run, kmm_word i)
{
	return (char *)run->spot.entry + i * kmm_pt_fmt(k)->entry_size;
}

static void trace_slots(struct kmm *k, const struct run *run)
{
	for (kmm_word i = 0; i < run->nr; i++)
		kmm_trace(k, KMM_EV_PT_SET, run->va + (i << KMM_PAGE_SHIFT), kmm_entry_load(k, slot_of(k, run, i)), 0,
			  k->pt->kernel.root.v);
}

static inline void note_slots(struct kmm *k, const struct run *run)
{
	if (k->trace)
		trace_slots(k, run);
	else
		kmm_count_events(k, KMM_EV_PT_SET, run->nr);
}

static void map_run(struct kmm *k, const struct run *run, const struct kmm_pfn *pfns, uint32_t flags)
{
	struct kmm_pte none = { { 0 }, flags };
	uint64_t rights = kmm_pt_encode(k, none);

	KMM_ASSERT(k, run->spot.level == 0 && run->nr > 0);
	for (kmm_word i = 0; i < run->nr; i++) {
		char *slot = slot_of(k, run, i);

		KMM_ASSERT(k, kmm_entry_load_low(slot) == 0);
		kmm_entry_set(k, slot, kmm_pt_leaf(rights, pfns[i]));
	}
	note_slots(k, run);
}

static void unmap_run(struct kmm *k, const struct run *run)
{
	for (kmm_word i = 0; i < run->nr; i++)
		kmm_entry_store(k, slot_of(k, run, i), 0);
	note_slots(k, run);
}

/* Takes a large leaf away; its 512 pages must all be meant. Kernel roots of 64-bit formats have no such entries, so
 * there is nothing to publish. */
static void unmap_large(struct kmm *k, const struct run *run)
{
	struct kmm_space *kernel = &k->pt->kernel;
	bool whole = run->nr == kmm_pt_nr_entries(k, 0) && (kmm_pt_index(k, run->va, 0) == 0);

	KMM_ASSERT(k, run->spot.level == 1 && (run->spot.pte.flags & KMM_PTE_LARGE) && whole);
	unsigned long flags = kmm_spin_lock(k, &kernel->lock, KMM_LOCK_PT);
	kmm_pt_set_spot(k, kernel, &run->spot, run->va, 0);
	kmm_spin_unlock(k, &kernel->lock, KMM_LOCK_PT, flags);
}

static void unmap_slots(struct kmm *k, kmm_word va, kmm_word nr)
{
	while (nr) {
		struct run run = run_at(k, va, nr);

		if (run.spot.level == 0)
			unmap_run(k, &run);
		else
			unmap_large(k, &run);
		va += run.nr << KMM_PAGE_SHIFT;
		nr -= run.nr;
	}
}

static unsigned prot_of(uint32_t flags)
{
	return KMM_PROT_READ | (flags & KMM_PTE_WRITE ? KMM_PROT_WRITE : 0u) | (flags & KMM_PTE_EXEC ? KMM_PROT_EXEC : 0u);
}

/* The first run of a mapping, after all its tables were made. */
static enum kmm_status first_run(struct kmm *k, kmm_word va, kmm_word nr, struct run *run)
{
	kmm_word last = va + ((nr - 1) << KMM_PAGE_SHIFT) + (KMM_PAGE_SIZE - 1);
	enum kmm_status status;

	*run = run_at(k, va, nr);
	if (run->spot.level == 0 && run->nr == nr)
		return KMM_OK;
	status = kmm_pt_make_range(k, &k->pt->kernel, va, last, 0, KMM_GFP_KERNEL);
	if (status == KMM_OK)
		*run = run_at(k, va, nr);
	return status;
}

enum kmm_status kmm_pt_window_map(struct kmm *k, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr,
				  uint32_t flags)
{
	struct run run;
	enum kmm_status status;
	kmm_word done = 0;

	KMM_ASSERT(k, nr > 0 && (va.v & (KMM_PAGE_SIZE - 1)) == 0 && !(flags & (KMM_PTE_USER | KMM_PTE_LARGE)));
	status = first_run(k, va.v, nr, &run);
	if (status != KMM_OK)
		return status;
	flags |= KMM_PTE_PRESENT | KMM_PTE_ACCESSED;
	for (;;) {
		map_run(k, &run, pfns + done, flags);
		done += run.nr;
		if (done == nr)
			break;
		run = run_at(k, va.v + (done << KMM_PAGE_SHIFT), nr - done);
	}
	if (k->port->window_changed && k->port->window_changed(k->port, va, pfns, nr, prot_of(flags))) {
		unmap_slots(k, va.v, nr);
		return KMM_ENOMEM;
	}
	return KMM_OK;
}

void kmm_pt_window_unmap(struct kmm *k, struct kmm_kva va, kmm_word nr)
{
	KMM_ASSERT(k, (va.v & (KMM_PAGE_SIZE - 1)) == 0);
	unmap_slots(k, va.v, nr);
	/* Taking away cannot fail. */
	if (k->port->window_changed)
		(void)k->port->window_changed(k->port, va, NULL, nr, KMM_PROT_NONE);
}

/* ---- large leaves ---- */

unsigned kmm_pt_window_large_order(const struct kmm *k)
{
	const struct kmm_format *fmt = kmm_pt_fmt(k);

	return fmt->canonical && fmt->level[1].leaf ? fmt->level[1].shift - KMM_PAGE_SHIFT : 0;
}

bool kmm_pt_window_takes_large(const struct kmm *k, struct kmm_kva va)
{
	struct kmm_spot spot;

	kmm_pt_descend(k, k->pt->kernel.root, va.v, 0, &spot);
	return spot.level > 0 && !(spot.pte.flags & KMM_PTE_PRESENT);
}

/* Shows the port the pages of a large leaf, some at a time; takes them all back when it refuses. */
static bool mirror_large(struct kmm *k, kmm_word va, struct kmm_pfn first, kmm_word nr, unsigned prot)
{
	struct kmm_pfn pfns[32];
	kmm_word done = 0;

	if (!k->port->window_changed)
		return true;
	for (; done < nr; done += 32) {
		for (unsigned i = 0; i < 32; i++)
			pfns[i] = kmm_pfn(first.v + done + i);
		if (k->port->window_changed(k->port, kmm_kva(va + (done << KMM_PAGE_SHIFT)), pfns, 32, prot))
			break;
	}
	if (done >= nr)
		return true;
	(void)k->port->window_changed(k->port, kmm_kva(va), NULL, nr, KMM_PROT_NONE);
	return false;
}

enum kmm_status kmm_pt_window_map_large(struct kmm *k, struct kmm_kva va, struct kmm_pfn first, uint32_t flags)
{
	struct kmm_space *kernel = &k->pt->kernel;
	kmm_word nr = (kmm_word)1 << kmm_pt_window_large_order(k);
	struct kmm_pte pte = { first, flags | KMM_PTE_PRESENT | KMM_PTE_ACCESSED | KMM_PTE_LARGE };
	enum kmm_status status;
	struct kmm_spot spot;
	unsigned long irq;

	KMM_ASSERT(k, nr > 1 && ((va.v >> KMM_PAGE_SHIFT | first.v) & (nr - 1)) == 0 && kmm_pt_window_takes_large(k, va));
	status = kmm_pt_make_range(k, kernel, va.v, va.v, 1, KMM_GFP_KERNEL);
	if (status != KMM_OK)
		return status;
	if (!mirror_large(k, va.v, first, nr, prot_of(flags)))
		return KMM_ENOMEM;
	irq = kmm_spin_lock(k, &kernel->lock, KMM_LOCK_PT);
	kmm_pt_descend(k, kernel->root, va.v, 1, &spot);
	kmm_pt_set_spot(k, kernel, &spot, va.v, kmm_pt_encode_at(k, pte, 1));
	kmm_spin_unlock(k, &kernel->lock, KMM_LOCK_PT, irq);
	return KMM_OK;
}

/* ---- counting ---- */

static kmm_word used_in(const struct kmm *k, const struct run *run)
{
	kmm_word used = 0;

	for (kmm_word i = 0; i < run->nr; i++)
		used += kmm_entry_load(k, slot_of(k, run, i)) != 0;
	return used;
}

kmm_word kmm_pt_window_count(const struct kmm *k, struct kmm_kva start, struct kmm_kva end, kmm_word *nr_large)
{
	kmm_word va = start.v, last = end.v - 1, nr = 0, seen;

	for (*nr_large = 0;; va = seen + 1) {
		struct run run = run_at(k, va, ((last - va) >> KMM_PAGE_SHIFT) + 1);

		seen = kmm_pt_entry_last(k, va, run.spot.level ? run.spot.level : 1);
		if (run.spot.level == 0)
			nr += used_in(k, &run);
		else if (run.spot.pte.flags & KMM_PTE_PRESENT)
			++*nr_large;
		if (seen >= last)
			return nr;
	}
}
