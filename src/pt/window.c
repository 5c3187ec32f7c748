/* SPDX-License-Identifier: MIT */
/*
 * The kernel's windows: last-level slots that kmap and vmalloc map and unmap.
 *
 * A slot belongs to whoever reserved its address, so slots are written without a lock, in any context; only the
 * count of entries in a table is shared, and atomic. Locks are taken (and memory asked for) only where a table
 * is missing, before anything is mapped.
 */
#include "pt/map.h"

/* A run of slots in one table. */
struct run {
	struct kmm_spot spot;
	kmm_word va;
	unsigned nr;
};

/* The run that starts at va, at most nr slots. The table exists. */
static struct run run_at(struct kmm *k, kmm_word va, kmm_word nr)
{
	struct run run = { .va = va };
	kmm_word left = ((kmm_pt_entry_last(k, va, 1) - va) >> KMM_PAGE_SHIFT) + 1;

	kmm_pt_descend(k, k->pt->kernel.root, va, 0, &run.spot);
	KMM_ASSERT(k, run.spot.level == 0);
	run.nr = (unsigned)(left < nr ? left : nr);
	return run;
}

static void set_slot(struct kmm *k, const struct run *run, unsigned i, uint64_t raw)
{
	void *entry = (char *)run->spot.entry + i * kmm_pt_fmt(k)->entry_size;

	KMM_ASSERT(k, raw == 0 || kmm_entry_load(k, entry) == 0);
	kmm_entry_store(k, entry, raw);
	kmm_trace(k, KMM_EV_PT_SET, run->va + (kmm_word)i * KMM_PAGE_SIZE, raw, 0, k->pt->kernel.root.v);
}

static void map_run(struct kmm *k, const struct run *run, const struct kmm_pfn *pfns, uint32_t flags)
{
	for (unsigned i = 0; i < run->nr; i++) {
		struct kmm_pte pte = { pfns[i], flags };

		set_slot(k, run, i, kmm_pt_encode(k, pte));
	}
	atomic_fetch_add_explicit(&kmm_pt_table_page(k, run->spot.table)->count, run->nr, memory_order_relaxed);
}

static void unmap_run(struct kmm *k, const struct run *run)
{
	unsigned used = 0;

	for (unsigned i = 0; i < run->nr; i++) {
		used += kmm_entry_load(k, (char *)run->spot.entry + i * kmm_pt_fmt(k)->entry_size) != 0;
		set_slot(k, run, i, 0);
	}
	atomic_fetch_sub_explicit(&kmm_pt_table_page(k, run->spot.table)->count, used, memory_order_relaxed);
}

static void unmap_slots(struct kmm *k, kmm_word va, kmm_word nr)
{
	while (nr) {
		struct run run = run_at(k, va, nr);

		unmap_run(k, &run);
		va += (kmm_word)run.nr << KMM_PAGE_SHIFT;
		nr -= run.nr;
	}
}

static unsigned prot_of(uint32_t flags)
{
	return KMM_PROT_READ | (flags & KMM_PTE_WRITE ? KMM_PROT_WRITE : 0u) | (flags & KMM_PTE_EXEC ? KMM_PROT_EXEC : 0u);
}

enum kmm_status kmm_pt_window_map(struct kmm *k, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr,
				  uint32_t flags)
{
	kmm_word at = va.v, last = va.v + ((nr - 1) << KMM_PAGE_SHIFT) + (KMM_PAGE_SIZE - 1);
	enum kmm_status status;

	KMM_ASSERT(k, nr > 0 && (va.v & (KMM_PAGE_SIZE - 1)) == 0 && !(flags & (KMM_PTE_USER | KMM_PTE_LARGE)));
	status = kmm_pt_make_range(k, &k->pt->kernel, va.v, last, 0, KMM_GFP_KERNEL);
	if (status != KMM_OK)
		return status;
	flags |= KMM_PTE_PRESENT | KMM_PTE_ACCESSED;
	for (kmm_word done = 0; done < nr;) {
		struct run run = run_at(k, at, nr - done);

		map_run(k, &run, pfns + done, flags);
		at += (kmm_word)run.nr << KMM_PAGE_SHIFT;
		done += run.nr;
	}
	if (k->port->window_changed && k->port->window_changed(k->port, va, pfns, nr, prot_of(flags))) {
		unmap_slots(k, va.v, nr);
		return KMM_ENOMEM;
	}
	return KMM_OK;
}

void kmm_pt_window_unmap(struct kmm *k, struct kmm_kva va, kmm_word nr)
{
	unmap_slots(k, va.v, nr);
	/* Taking away cannot fail. */
	if (k->port->window_changed)
		(void)k->port->window_changed(k->port, va, NULL, nr, KMM_PROT_NONE);
}
