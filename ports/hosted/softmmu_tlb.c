/* SPDX-License-Identifier: MIT */
/*
 * The TLB of the software MMU: set-associative, one array for 4 KiB pages and one for larger ones,
 * replaced round robin so that runs repeat, and a small cache of upper entries (SDM 3A 4.10.2, 4.10.3).
 *
 * Nothing here looks at memory. An entry stays until it is replaced or invalidated, right or not.
 */
#include "softmmu.h"

#include <string.h>

static bool covers(const struct softmmu_tlb_entry *e, uint64_t va)
{
	return e->shift != 0 && e->tag == va >> e->shift;
}

/* Page sizes above 4 KiB that a mode can have (0: no second one). */
static void large_shifts(const struct softmmu *mmu, unsigned shifts[2])
{
	shifts[0] = mmu->control.pae ? 21 : 22;
	shifts[1] = mmu->control.lme && mmu->control.page_1g ? 30 : 0;
}

static struct softmmu_tlb_entry *set_of(struct softmmu *mmu, uint64_t va, unsigned shift)
{
	if (shift == 12)
		return mmu->small[(va >> 12) % SOFTMMU_SETS];
	return mmu->large[(va >> shift) % SOFTMMU_LARGE_SETS];
}

static uint8_t *victim_of(struct softmmu *mmu, uint64_t va, unsigned shift)
{
	if (shift == 12)
		return &mmu->small_next[(va >> 12) % SOFTMMU_SETS];
	return &mmu->large_next[(va >> shift) % SOFTMMU_LARGE_SETS];
}

static struct softmmu_tlb_entry *find_in(struct softmmu_tlb_entry *set, uint64_t va, unsigned shift)
{
	for (unsigned way = 0; way < SOFTMMU_WAYS; way++)
		if (set[way].shift == shift && covers(&set[way], va))
			return &set[way];
	return NULL;
}

static struct softmmu_tlb_entry *find(struct softmmu *mmu, uint64_t va)
{
	struct softmmu_tlb_entry *e = find_in(set_of(mmu, va, 12), va, 12);
	unsigned shifts[2];

	large_shifts(mmu, shifts);
	for (unsigned i = 0; i < 2 && !e; i++)
		if (shifts[i])
			e = find_in(set_of(mmu, va, shifts[i]), va, shifts[i]);
	return e;
}

const struct softmmu_tlb_entry *softmmu_tlb_find(struct softmmu *mmu, uint64_t va)
{
	return find(mmu, va);
}

void softmmu_tlb_insert(struct softmmu *mmu, uint64_t va, const struct softmmu_tlb_entry *entry)
{
	struct softmmu_tlb_entry *set = set_of(mmu, va, entry->shift);
	struct softmmu_tlb_entry *e = find_in(set, va, entry->shift);

	for (unsigned way = 0; way < SOFTMMU_WAYS && !e; way++)
		if (!set[way].shift)
			e = &set[way];
	if (!e)
		e = &set[(*victim_of(mmu, va, entry->shift))++ % SOFTMMU_WAYS];
	*e = *entry;
	e->tag = va >> entry->shift;
}

void softmmu_tlb_drop(struct softmmu *mmu, uint64_t va)
{
	struct softmmu_tlb_entry *e;

	while ((e = find(mmu, va)))
		e->shift = 0;
	memset(mmu->upper, 0, sizeof(mmu->upper));
}

static void drop_array(struct softmmu_tlb_entry *e, unsigned nr, bool keep_global)
{
	for (; nr--; e++)
		if (!keep_global || !e->global)
			e->shift = 0;
}

void softmmu_tlb_drop_all(struct softmmu *mmu, bool keep_global)
{
	drop_array(&mmu->small[0][0], SOFTMMU_SETS * SOFTMMU_WAYS, keep_global);
	drop_array(&mmu->large[0][0], SOFTMMU_LARGE_SETS * SOFTMMU_WAYS, keep_global);
	memset(mmu->upper, 0, sizeof(mmu->upper));
}
