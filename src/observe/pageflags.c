/* SPDX-License-Identifier: MIT */
/*
 * /proc/kpageflags and /proc/kpagecount: one 64-bit word a frame, in the machine's byte order, with the bit numbers
 * that Linux documents. What this core does not track is not claimed: there is no LRU bit, no REFERENCED, no LOCKED.
 *
 * Any block of more than one frame counts as compound. Frames in a CPU's cache are free and say BUDDY, where Linux
 * says nothing. Frames that the machine reserves and those of descriptors are RESERVED; what is not RAM is NOPAGE.
 *
 * Reading makes no descriptors: of a section that was never used the boot map knows all there is. It takes no lock
 * for longer than a frame, so a block that is freed meanwhile may be seen half used and half free.
 */
#include "observe/observe.h"

#include "phys/phys.h"

/* Bit numbers of Linux's include/uapi/linux/kernel-page-flags.h; RESERVED is of its second, exported set. */
enum {
	KPF_UPTODATE = 3, KPF_DIRTY = 4, KPF_SLAB = 7, KPF_BUDDY = 10, KPF_MMAP = 11, KPF_ANON = 12, KPF_SWAPBACKED = 14,
	KPF_COMPOUND_HEAD = 15, KPF_COMPOUND_TAIL = 16, KPF_NOPAGE = 20, KPF_ZERO_PAGE = 24, KPF_PGTABLE = 26,
	KPF_RESERVED = 32
};
#define BIT(n) (UINT64_C(1) << (n))

/* What a frame says about itself; of one inside a block, what the head says, and that it is inside. */
struct look {
	struct kmm_page_info info;
	bool is_tail;
};

static uint64_t flags_by_kind(enum kmm_kind kind)
{
	static const uint64_t flags[KMM_NR_KINDS] = {
		[KMM_KIND_FREE] = BIT(KPF_BUDDY),
		[KMM_KIND_HOLE] = BIT(KPF_NOPAGE),
		[KMM_KIND_RESERVED] = BIT(KPF_RESERVED),
		[KMM_KIND_MEMMAP] = BIT(KPF_RESERVED),
		[KMM_KIND_SLAB] = BIT(KPF_SLAB),
		[KMM_KIND_PGTABLE] = BIT(KPF_PGTABLE),
		[KMM_KIND_ANON] = BIT(KPF_ANON) | BIT(KPF_SWAPBACKED) | BIT(KPF_UPTODATE),
		[KMM_KIND_FILE] = BIT(KPF_UPTODATE),
		[KMM_KIND_ZERO] = BIT(KPF_ZERO_PAGE),
	};

	return flags[kind];
}

/* A frame of a section that nobody has used yet. */
static enum kmm_kind boot_kind(const struct kmm *k, kmm_word pfn)
{
	struct kmm_run run;

	kmm_boot_run(&k->phys->boot, pfn, &run);
	return run.kind;
}

/* The block around a frame that is no head itself: heads are aligned to their size. */
static bool find_head(struct kmm *k, kmm_word pfn, struct kmm_page_info *out)
{
	for (unsigned order = 1; order < KMM_NR_ORDERS; order++) {
		kmm_word first = pfn & ~(((kmm_word)1 << order) - 1);

		if (first == pfn || !kmm_section_is_live(k->phys, kmm_section_of(first)))
			continue;
		kmm_page_info(k, kmm_page_at(k->phys, first), out);
		if (out->kind != KMM_KIND_NONE)
			return pfn - first < (kmm_word)1 << out->order;
	}
	return false;
}

static struct look look_at(struct kmm *k, kmm_word pfn)
{
	struct look look = { .is_tail = false };

	if (!kmm_section_is_live(k->phys, kmm_section_of(pfn))) {
		look.info.kind = boot_kind(k, pfn);
		return look;
	}
	kmm_page_info(k, kmm_page_at(k->phys, pfn), &look.info);
	if (look.info.kind != KMM_KIND_NONE)
		return look;
	look.is_tail = find_head(k, pfn, &look.info);
	if (!look.is_tail) /* its block came apart between two looks */
		look.info = (struct kmm_page_info){ .kind = KMM_KIND_FREE };
	return look;
}

static uint64_t flags_of(struct kmm *k, kmm_word pfn)
{
	struct look look = look_at(k, pfn);
	uint64_t flags = flags_by_kind(look.info.kind);

	if (look.info.kind < KMM_KIND_KERNEL)
		return flags;
	if (look.is_tail)
		return flags | BIT(KPF_COMPOUND_TAIL);
	if (look.info.order)
		flags |= BIT(KPF_COMPOUND_HEAD);
	if (look.info.mapcount)
		flags |= BIT(KPF_MMAP);
	if (look.info.dirty)
		flags |= BIT(KPF_DIRTY);
	return flags;
}

/* How often page tables of user spaces map the frame. */
static uint64_t count_of(struct kmm *k, kmm_word pfn)
{
	struct look look = look_at(k, pfn);
	bool counts = look.info.kind == KMM_KIND_ANON || look.info.kind == KMM_KIND_FILE;

	return counts && !look.is_tail ? look.info.mapcount : 0;
}

static kmm_word write_words(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out,
			    uint64_t (*word_of)(struct kmm *k, kmm_word pfn))
{
	kmm_word max = k->phys->max_pfn, i;

	if (first.v >= max)
		return 0;
	if (nr > max - first.v)
		nr = max - first.v;
	for (i = 0; i < nr; i++) {
		uint64_t word = word_of(k, first.v + i);

		out->write(out, (const char *)&word, sizeof(word));
	}
	return nr;
}

kmm_word kmm_report_kpageflags(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out)
{
	return write_words(k, first, nr, out, flags_of);
}

kmm_word kmm_report_kpagecount(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out)
{
	return write_words(k, first, nr, out, count_of);
}
