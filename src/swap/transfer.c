/* SPDX-License-Identifier: MIT */
/*
 * Transfers that end by themselves: begun here, for devices that can, and concluded wherever the device tells of the end,
 * perhaps in an interrupt, perhaps inside the call that begins it. All their memory is set aside, so reclaim waits for
 * nothing but transfers that are under way; and it holds no lock while it does.
 *
 *	phase   STARTING --start() returned--> UNDER_WAY --told--> over
 *	             +---- told inside start() ---------> ENDED, the starter concludes
 *
 * Concluding may begin a transfer again: pages that could not be written together are tried one by one. What a page's own
 * failure means: cache.c.
 */
#include "swap/swap.h"

#include "phys/phys.h"

enum { STARTING, UNDER_WAY, ENDED, OVER };

/* ---- their memory ---- */

bool kmm_swap_is_congested(struct kmm *k)
{
	struct kmm_swap_cache *c = k->swap->cache;

	return c && (__atomic_load_n(&c->nr_free_io, __ATOMIC_RELAXED) <= KMM_SWAP_IOS_FOR_READS ||
		     __atomic_load_n(&c->nr, __ATOMIC_RELAXED) + KMM_SWAP_RUN > KMM_CACHED_MOST);
}

/* NULL: all are in use, or the rest is kept for reads. */
static struct kmm_io *take_io(struct kmm *k, unsigned keep)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
	struct kmm_io *io = c->nr_free_io > keep ? c->free_io : NULL;

	if (io) {
		c->free_io = io->next;
		__atomic_store_n(&c->nr_free_io, c->nr_free_io - 1, __ATOMIC_RELAXED);
	}
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
	return io;
}

static void give_io(struct kmm *k, struct kmm_io *io)
{
	struct kmm_swap_cache *c = k->swap->cache;
	unsigned long flags = kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);

	io->next = c->free_io;
	c->free_io = io;
	__atomic_store_n(&c->nr_free_io, c->nr_free_io + 1, __ATOMIC_RELAXED);
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
}

static void fill_io(struct kmm *k, struct kmm_io *io, unsigned place, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	KMM_ASSERT(k, nr && nr <= KMM_SWAP_RUN);
	for (unsigned i = 0; i < nr; i++)
		io->page[i] = pages[i];
	io->dev = k->swap->area[place].dev;
	io->place = place;
	io->first = first;
	io->nr = nr;
	io->at = 0;
	io->mine = -1;
	io->singly = false;
	io->dev_part.first = first;
	io->dev_part.nr = nr;
	io->dev_part.pages = io->page;
}

/* ---- ends ---- */

void kmm_swap_tell(struct kmm *k)
{
	atomic_fetch_add_explicit(&k->swap->cache->ended, 1, memory_order_seq_cst);
	if (k->port->wake)
		k->port->wake(k->port, &k->swap->cache->ended);
}

static void page_written(struct kmm *k, struct kmm_io *io, unsigned i, bool good)
{
	if (!good) {
		__atomic_fetch_add(&k->swap->stats.write_errors, 1, __ATOMIC_RELAXED);
		kmm_warn(k, "swap: %s: slot %u cannot be written and is not used any more", io->dev->name, io->first + i);
	}
	kmm_cached_written(k, kmm_swap_raw(io->place, io->first + i), io->page[i], good);
}

/* true: begin it again, with what dev_part says now. */
static bool conclude_write(struct kmm *k, struct kmm_io *io)
{
	bool good = io->status == KMM_OK;
	unsigned nr = io->nr;

	if (good && !io->singly) {
		for (unsigned i = 0; i < io->nr; i++)
			page_written(k, io, i, true);
	} else {
		if (io->singly)
			page_written(k, io, io->at++, good);
		io->singly = true;
		io->dev_part.first = io->first + io->at;
		io->dev_part.pages = io->page + io->at;
		io->dev_part.nr = 1;
		if (io->at < io->nr)
			return true;
	}
	give_io(k, io);
	kmm_pcp_drain_here(k); /* who waits for memory may be on another processor */
	__atomic_fetch_sub(&k->swap->cache->writing, nr, __ATOMIC_RELEASE);
	kmm_swap_tell(k);
	return false;
}

static void conclude_read(struct kmm *k, struct kmm_io *io)
{
	for (unsigned i = 0; i < io->nr; i++)
		if ((int)i != io->mine)
			kmm_cached_read_over(k, kmm_swap_raw(io->place, io->first + i), io->status == KMM_OK);
	if (io->mine < 0)
		give_io(k, io);
	else
		__atomic_store_n(&io->phase, OVER, __ATOMIC_RELEASE);
	kmm_swap_tell(k);
}

static bool conclude(struct kmm *k, struct kmm_io *io)
{
	if (io->dev_part.write)
		return conclude_write(k, io);
	conclude_read(k, io);
	return false;
}

static bool goes_on_from(struct kmm_io *io, uint8_t to)
{
	uint8_t was = STARTING;

	return __atomic_compare_exchange_n(&io->phase, &was, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static void begin(struct kmm *k, struct kmm_io *io)
{
	do {
		__atomic_store_n(&io->phase, STARTING, __ATOMIC_RELEASE);
		io->dev->ops->start(io->dev, &io->dev_part);
		if (goes_on_from(io, UNDER_WAY))
			return; /* from here on it may be over */
	} while (conclude(k, io));
}

void kmm_swap_end(struct kmm_swap_device *dev, struct kmm_swap_io *part, enum kmm_status status)
{
	struct kmm_io *io = kmm_container(part, struct kmm_io, dev_part);
	struct kmm *k = dev->k;

	KMM_ASSERT(k, io->dev == dev);
	io->status = status;
	if (!goes_on_from(io, ENDED) && conclude(k, io))
		begin(k, io);
}

/* ---- beginnings ---- */

bool kmm_swap_start_write(struct kmm *k, unsigned place, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	struct kmm_io *io;

	if (kmm_swap_is_congested(k) || !(io = take_io(k, KMM_SWAP_IOS_FOR_READS)))
		return false;
	fill_io(k, io, place, first, nr, pages);
	for (unsigned i = 0; i < nr; i++) {
		uint32_t raw = kmm_swap_raw(place, first + i);
		bool held = kmm_slot_get(k, raw) && kmm_cached_add_write(k, raw, pages[i]);

		KMM_ASSERT(k, held); /* fresh slots; there was room, and reads leave some */
		(void)held;
		kmm_get_page(k, pages[i]);
		if (kmm_page_is_charged(pages[i]))
			kmm_group_note_writing(k, pages[i], true);
	}
	io->dev_part.write = true;
	__atomic_fetch_add(&k->swap->cache->writing, nr, __ATOMIC_RELAXED);
	begin(k, io);
	return true;
}

struct kmm_io *kmm_swap_start_read(struct kmm *k, unsigned place, uint32_t first, unsigned nr, struct kmm_page *const *pages,
				   int mine)
{
	struct kmm_io *io = take_io(k, mine < 0 ? KMM_SWAP_IOS_NOT_AHEAD : 0);

	if (!io)
		return NULL;
	fill_io(k, io, place, first, nr, pages);
	io->mine = mine;
	io->dev_part.write = false;
	__atomic_fetch_add(&k->swap->stats.in, nr, __ATOMIC_RELAXED);
	begin(k, io);
	return io;
}

/* ---- waiting ---- */

static bool is_over(void *arg)
{
	return __atomic_load_n(&((struct kmm_io *)arg)->phase, __ATOMIC_ACQUIRE) == OVER;
}

static bool poll(struct kmm *k)
{
	bool some = false;

	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++) {
		struct kmm_swap_device *dev = __atomic_load_n(&k->swap->area[i].dev, __ATOMIC_ACQUIRE);

		if (dev && dev->ops->poll)
			some |= dev->ops->poll(dev);
	}
	return some;
}

/* A moment of waiting awake. */
static void look_again(struct kmm *k)
{
	if (!poll(k) && k->port->relax)
		k->port->relax(k->port);
}

enum kmm_status kmm_swap_await(struct kmm *k, struct kmm_io *io)
{
	struct kmm_group *group = kmm_stall_begin(k);
	enum kmm_status status;

	while (!is_over(io))
		if (k->port->wait)
			k->port->wait(k->port, &k->swap->cache->ended, is_over, io);
		else
			look_again(k);
	kmm_stall_end(k, group);
	status = io->status;
	give_io(k, io);
	kmm_swap_tell(k); /* there may be nothing more to wait for */
	return status;
}

struct one {
	struct kmm_swap_cache *cache;
	unsigned seen;
};

/* Or there is nothing to wait for. */
static bool has_ended(void *arg)
{
	struct one *one = arg;

	return atomic_load_explicit(&one->cache->ended, memory_order_seq_cst) != one->seen ||
	       __atomic_load_n(&one->cache->nr_free_io, __ATOMIC_RELAXED) == KMM_SWAP_IOS;
}

void kmm_swap_wait(struct kmm *k, unsigned seen, bool sleep)
{
	struct kmm_swap_cache *c = k->swap->cache;
	struct one one = { c, seen };

	if (!c)
		return;
	poll(k);
	while (!has_ended(&one))
		if (sleep && k->port->wait)
			k->port->wait(k->port, &c->ended, has_ended, &one);
		else
			look_again(k);
}

void kmm_swap_quiesce(struct kmm *k)
{
	struct kmm_swap_cache *c = k->swap ? k->swap->cache : NULL;

	while (c && __atomic_load_n(&c->nr_free_io, __ATOMIC_ACQUIRE) != KMM_SWAP_IOS)
		look_again(k);
}
