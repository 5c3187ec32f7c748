/* SPDX-License-Identifier: MIT */
/*
 * pcid.c - a few identifiers for each processor, given to roots in turn. Identifier 0 is that of the boot.
 *
 * A slot's root is changed by its own processor only. Who changes entries of a root marks its slots everywhere, then asks
 * who has it loaded; who loads it says so, then looks at the mark. So one of the two sees the other: the mark makes the load
 * drop what is old, or the processor is told to. A root that was freed and made anew elsewhere needs nothing of its own:
 * entries that it had were changed, and flushed by its name, before it was freed.
 *
 * The kernel's own translations are global, in no identifier's keeping; INVLPG drops them under all.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "pcid.h"

struct slot {
	_Atomic uintptr_t root; /* 0: none. 32-bit processors have no identifiers: there nobody calls */
	_Atomic bool stale;
};

static struct {
	struct slot slot[X86_PCIDS];
	unsigned next;         /* given away next */
} __attribute__((aligned(64))) cpus[X86_PCID_CPUS];

static struct slot *find(unsigned cpu, uint64_t root)
{
	for (unsigned i = 0; i < X86_PCIDS; i++)
		if (atomic_load(&cpus[cpu].slot[i].root) == root)
			return &cpus[cpu].slot[i];
	return NULL;
}

/* A new owner: the mark may be an old one, but it comes off only when all is dropped, which is now. */
static struct slot *give(unsigned cpu, uint64_t root)
{
	struct slot *slot = &cpus[cpu].slot[cpus[cpu].next];

	cpus[cpu].next = (cpus[cpu].next + 1) % X86_PCIDS;
	atomic_store(&slot->root, (uintptr_t)root);
	atomic_store(&slot->stale, true);
	return slot;
}

uint64_t x86_pcid_cr3(unsigned cpu, uint64_t root)
{
	struct slot *slot = find(cpu, root);
	uint64_t number;

	if (!slot)
		slot = give(cpu, root);
	number = (uint64_t)(slot - cpus[cpu].slot) + 1;
	return root | number | (atomic_exchange(&slot->stale, false) ? 0 : X86_CR3_NOFLUSH);
}

void x86_pcid_mark(unsigned cpu, uint64_t root)
{
	struct slot *slot = find(cpu, root);

	if (slot)
		atomic_store(&slot->stale, true);
}
