/* SPDX-License-Identifier: MIT */
/*
 * Reading ahead: with a page that is wanted from swap come those at the next addresses that are in swap too. Pages that went
 * out together lie in slots together, so they often come by one transfer; others by some more at the same time.
 *
 * How many is found out by trying, for each space: two when faults go along addresses, up to 16 as long as those that
 * were read ahead are used, and half as many each time when none was; so whoever jumps about reads one page.
 */
#include "fault/fault.h"

#include "phys/alloc.h"
#include "phys/phys.h"
#include "swap/zswap.h"

enum { MOST = 16 };

/* Slots of one area, in ascending order. */
struct cluster {
	struct kmm *k;
	unsigned place, nr, mine; /* mine: the one that is waited for */
	uint32_t slot[MOST];
	struct kmm_page *page[MOST];
};

/* ---- how many ---- */

static unsigned load(const unsigned *hint) { return __atomic_load_n(hint, __ATOMIC_RELAXED); }

static unsigned next_window(struct kmm_mm *mm, kmm_word addr, bool *backwards)
{
	kmm_word last = __atomic_exchange_n(&mm->swap_last, addr, __ATOMIC_RELAXED), far = addr > last ? addr - last : last - addr;
	unsigned hits = __atomic_exchange_n(&mm->swap_hits, 0, __ATOMIC_RELAXED), was = load(&mm->swap_window), window = 1;

	if (hits)
		while (window < hits + 2)
			window *= 2;
	else if (far <= KMM_PAGE_SIZE)
		window = 2;
	if (window < was / 2)
		window = was / 2;
	window = window < MOST ? window : MOST;
	__atomic_store_n(&mm->swap_window, window, __ATOMIC_RELAXED);
	*backwards = addr < last;
	return window;
}

void kmm_fault_ahead_used(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;

	__atomic_fetch_add(&mm->swap_hits, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&mm->swap_last, f->addr, __ATOMIC_RELAXED);
}

/* ---- which ---- */

static void insert(struct cluster *c, uint32_t slot, struct kmm_page *page)
{
	unsigned at = c->nr++;

	KMM_ASSERT(c->k, c->nr <= MOST);
	for (; at && c->slot[at - 1] > slot; at--) {
		c->slot[at] = c->slot[at - 1];
		c->page[at] = c->page[at - 1];
	}
	c->mine += at <= c->mine && c->nr > 1;
	c->slot[at] = slot;
	c->page[at] = page;
}

/* A count of the slot that the entry at addr names, if it is one of the area's. 0: none. */
static uint32_t hold_slot(struct kmm_fault *f, const struct cluster *c, kmm_word addr)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_ptref ref;
	unsigned long flags;
	uint64_t raw;

	if (!kmm_pt_lookup(c->k, &mm->space, addr, &ref))
		return 0;
	raw = kmm_pt_read(c->k, &ref);
	if (!kmm_raw_is_swap(raw) || kmm_swap_is_same((uint32_t)raw) || kmm_swap_place((uint32_t)raw) != c->place)
		return 0;
	if (!kmm_table_lock(c->k, ref.table, &flags))
		return 0;
	if (kmm_pt_read(c->k, &ref) != raw || !kmm_slot_get(c->k, kmm_raw_slot(raw)))
		raw = 0;
	kmm_pt_unlock(c->k, &ref, flags);
	/* Asked of a slot that we hold: of one that we do not, the answer may be that of its content before. */
	if (raw && kmm_zswap_has(&c->k->swap->area[c->place], kmm_swap_slot((uint32_t)raw))) {
		kmm_slot_put(c->k, kmm_raw_slot(raw));
		raw = 0;
	}
	return kmm_raw_slot(raw);
}

/* Only while there is memory. */
static struct kmm_page *spare_page(struct kmm *k)
{
	const struct kmm_where anywhere = { KMM_NODE_ANY, KMM_ALL_NODES, true };
	const kmm_gfp gfp = KMM_GFP_HIGHMEM | KMM_GFP_MOVABLE | KMM_GFP_HARDWALL | KMM_GFP_NOWARN;

	return kmm_phys_alloc_at(k, &anywhere, gfp, 0, KMM_KIND_KERNEL, "swap read ahead");
}

/* false: no memory to go on with. */
static bool consider(struct kmm_fault *f, struct cluster *c, kmm_word addr)
{
	uint32_t raw = hold_slot(f, c, addr);
	struct kmm_page *page;

	if (!raw)
		return true;
	page = spare_page(c->k);
	if (page && kmm_cached_add_read(c->k, raw, page) == KMM_CACHED_ADDED) {
		insert(c, kmm_swap_slot(raw), page);
		return true;
	}
	kmm_slot_put(c->k, raw);
	if (page)
		kmm_put_page(c->k, page);
	return page != NULL;
}

static void gather(struct kmm_fault *f, struct cluster *c)
{
	bool backwards;
	unsigned window = next_window(f->vma->mm, f->addr, &backwards);

	for (unsigned i = 1; i < window; i++) {
		kmm_word addr = backwards ? f->addr - i * KMM_PAGE_SIZE : f->addr + i * KMM_PAGE_SIZE;

		if (addr < f->vma->start || addr >= f->vma->end || !consider(f, c, addr))
			return;
	}
}

/* ---- reading ---- */

/* Nothing could be begun: those read ahead are given up. */
static void give_up(struct cluster *c, unsigned from, unsigned nr)
{
	for (unsigned i = from; i < from + nr; i++)
		if (i != c->mine)
			kmm_cached_read_over(c->k, kmm_swap_raw(c->place, c->slot[i]), false);
}

/* Begins all of it; returns the transfer with the page that is waited for. NULL: that one could not be begun. */
static struct kmm_io *start(struct cluster *c)
{
	struct kmm_io *mine = NULL, *io;
	unsigned nr;

	for (unsigned i = 0; i < c->nr; i += nr) {
		bool has_mine;

		for (nr = 1; i + nr < c->nr && c->slot[i + nr] == c->slot[i] + nr; nr++)
			;
		has_mine = c->mine >= i && c->mine < i + nr;
		io = kmm_swap_start_read(c->k, c->place, c->slot[i], nr, c->page + i, has_mine ? (int)(c->mine - i) : -1);
		if (!io)
			give_up(c, i, nr);
		else if (has_mine)
			mine = io;
		if (nr > has_mine)
			__atomic_fetch_add(&c->k->swap->stats.ahead, nr - has_mine, __ATOMIC_RELAXED);
	}
	return mine;
}

/* Alone, if it did not come with the others. */
static enum kmm_status read_cluster(struct cluster *c, uint32_t raw, struct kmm_page *page)
{
	struct kmm_io *io = start(c);

	return io && kmm_swap_await(c->k, io) == KMM_OK ? KMM_OK : kmm_swap_read_alone(c->k, raw, page);
}

enum kmm_status kmm_fault_read_swap(struct kmm_fault *f, struct kmm_page *page)
{
	struct cluster c = { .k = f->vma->mm->k };
	uint32_t raw = kmm_raw_slot(f->raw);
	enum kmm_status status;

	if (kmm_swap_is_same(raw) || !kmm_device_starts(c.k->swap->area[kmm_swap_place(raw)].dev))
		return kmm_swap_in(c.k, raw, page);
	status = kmm_zswap_load(c.k, raw, page);
	if (status != KMM_EAGAIN)
		return status;
	c.place = kmm_swap_place(raw);
	switch (kmm_cached_add_read(c.k, raw, NULL)) {
	case KMM_CACHED_IS_THERE:
		return KMM_EAGAIN;
	case KMM_CACHED_FULL:
		return kmm_swap_in(c.k, raw, page);
	case KMM_CACHED_ADDED:
		break;
	}
	insert(&c, kmm_swap_slot(raw), page);
	gather(f, &c);
	status = read_cluster(&c, raw, page);
	kmm_cached_read_over(c.k, raw, status == KMM_OK);
	kmm_swap_tell(c.k);
	return status;
}
