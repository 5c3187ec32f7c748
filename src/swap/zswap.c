/* SPDX-License-Identifier: MIT */
/*
 * Storing, loading, and writing on (zswap.h has the picture); and the start of it all.
 */
#include "swap/zswap.h"

#include "base/mem.h"
#include "kmm/vmalloc.h"
#include "kva/kva.h"
#include "phys/alloc.h"

enum { MOST_PERCENT = 90, TRANSFERS = 4 };

static uint32_t key_of(unsigned place, uint32_t slot) { return place << 23 | slot; }
static unsigned place_of(uint32_t key) { return key >> 23; }
static uint32_t slot_of(uint32_t key) { return key & (KMM_SWAP_MOST - 1); }

_Static_assert(KMM_SWAP_AREAS <= 1 << 9, "a key has room for area and slot");

static void count(kmm_word *counter, unsigned nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

static unsigned long lock(struct kmm *k)
{
	return kmm_spin_lock(k, &k->swap->lock, KMM_LOCK_SWAP);
}

static void unlock(struct kmm *k, unsigned long flags)
{
	kmm_spin_unlock(k, &k->swap->lock, KMM_LOCK_SWAP, flags);
}

/* Without sleeping: who asks for memory may not be able to. Its holder waits for transfers at most. */
static void lock_out(struct kmm *k, struct kmm_zswap *z)
{
	while (!kmm_mutex_trylock(&z->out))
		if (k->port->relax)
			k->port->relax(k->port);
}

/* ---- bytes ---- */

/* One word again and again; most pages differ early. */
static bool is_word(const uint64_t *view)
{
	for (size_t i = 1; i < KMM_PAGE_SIZE / sizeof(*view); i++)
		if (view[i] != view[0])
			return false;
	return true;
}

/* Into the work area; 0: not worth keeping. */
static size_t pack(struct kmm *k, const struct kmm_zswap *z, struct kmm_page *page, const struct kmm_zwork *w)
{
	const void *view = kmm_view(k, page);
	size_t size = KMM_ZSWAP_WORD;

	if (is_word(view))
		memcpy(w->bytes, view, KMM_ZSWAP_WORD);
	else
		size = z->c->compress(view, w->bytes, KMM_ZPIECE_MOST, w->work);
	kmm_unview(k, page, view);
	KMM_ASSERT(k, size <= KMM_ZPIECE_MOST);
	return size;
}

static bool unpack(struct kmm *k, const struct kmm_zswap *z, const struct kmm_zwork *w, size_t size, struct kmm_page *page)
{
	uint64_t *view = kmm_view(k, page);
	bool good = true;

	if (size != KMM_ZSWAP_WORD)
		good = z->c->decompress(w->bytes, size, view, w->work);
	else
		for (size_t i = 0; i < KMM_PAGE_SIZE / sizeof(*view); i++)
			memcpy(&view[i], w->bytes, KMM_ZSWAP_WORD);
	kmm_unview(k, page, view);
	return good;
}

/* What the slot's piece holds; 0: it has none. */
static size_t fetch(struct kmm *k, struct kmm_zswap *z, const struct kmm_swap_area *a, uint32_t slot, void *bytes)
{
	unsigned long flags = lock(k);
	uint32_t handle = a->packed[slot] & ~KMM_ZSWAP_SPOILT;
	size_t size = handle ? kmm_zpool_get(k, &z->pool, handle, bytes) : 0;

	unlock(k, flags);
	return size;
}

/* ---- writing on ---- */

static bool may_go(const struct kmm_swap_area *a, uint32_t slot)
{
	return slot < a->nr_slots && kmm_zswap_has(a, slot) && a->slot[slot].count < KMM_SLOT_MOST;
}

/* The slot and its neighbours that are here too; a count of each becomes ours. w held. */
static void take_around(struct kmm_swap_area *a, uint32_t slot, struct kmm_slot_run *run)
{
	uint32_t first = slot, end = slot;

	while (first % KMM_ZSWAP_RUN && may_go(a, first - 1))
		first--;
	while (end / KMM_ZSWAP_RUN == slot / KMM_ZSWAP_RUN && may_go(a, end))
		end++;
	for (uint32_t i = first; i < end; i++)
		a->slot[i].count++;
	run->first = first;
	run->nr = end - first;
}

/* Those around the oldest piece. false: there is none, or it cannot go now. */
static bool take_oldest(struct kmm *k, struct kmm_zswap *z, struct kmm_slot_run *run)
{
	unsigned long flags = lock(k);
	struct kmm_swap_area *a;
	uint32_t key;
	bool found = kmm_zpool_oldest(k, &z->pool, &key);

	if (found) {
		run->place = place_of(key);
		a = &k->swap->area[run->place];
		KMM_ASSERT(k, kmm_zswap_has(a, slot_of(key)));
		found = may_go(a, slot_of(key));
		if (found)
			take_around(a, slot_of(key), run);
		else
			kmm_zpool_renew(k, &z->pool, a->packed[slot_of(key)] & ~KMM_ZSWAP_SPOILT);
	}
	unlock(k, flags);
	return found;
}

/* The piece is on the device, or could not be written. */
static void settle(struct kmm *k, struct kmm_zswap *z, struct kmm_swap_area *a, uint32_t slot, bool written)
{
	unsigned long flags = lock(k);
	uint32_t handle = a->packed[slot] & ~KMM_ZSWAP_SPOILT;

	KMM_ASSERT(k, handle != 0); /* only we take pieces of slots that are counted away */
	if (written) {
		kmm_zpool_free(k, &z->pool, handle);
		__atomic_store_n(&a->packed[slot], 0, __ATOMIC_RELAXED);
	} else {
		kmm_zpool_renew(k, &z->pool, handle);
		__atomic_store_n(&a->packed[slot], handle | KMM_ZSWAP_SPOILT, __ATOMIC_RELAXED);
	}
	unlock(k, flags);
}

static bool write_singly(struct kmm *k, struct kmm_zswap *z, struct kmm_swap_area *a, uint32_t slot, unsigned i)
{
	bool written = a->dev->ops->write(a->dev, slot, 1, &z->page[i]) == KMM_OK;

	if (written)
		return true;
	count(&k->swap->stats.write_errors, 1);
	kmm_warn(k, "swap: %s: slot %u cannot be written; its page stays in memory, compressed", a->dev->name, slot);
	return false;
}

/* out held. */
static void write_run(struct kmm *k, struct kmm_zswap *z, const struct kmm_slot_run *run)
{
	struct kmm_swap_area *a = &k->swap->area[run->place];
	bool good = true, whole;

	for (unsigned i = 0; i < run->nr; i++)
		good &= unpack(k, z, &z->on, fetch(k, z, a, run->first + i, z->on.bytes), z->page[i]);
	KMM_ASSERT(k, good); /* what was packed here can be unpacked */
	whole = a->dev->ops->write(a->dev, run->first, run->nr, z->page) == KMM_OK;
	for (unsigned i = 0; i < run->nr; i++) {
		bool written = whole || write_singly(k, z, a, run->first + i, i);

		settle(k, z, a, run->first + i, written);
		kmm_slot_put(k, kmm_swap_raw(run->place, run->first + i));
		count(&z->stats.written_on, written);
		count(&k->swap->stats.out, written);
	}
}

/* ---- storing ---- */

static bool put(struct kmm *k, struct kmm_zswap *z, unsigned place, uint32_t slot, size_t size)
{
	struct kmm_swap_area *a = &k->swap->area[place];
	unsigned long flags = lock(k);
	uint32_t handle = kmm_zpool_put(k, &z->pool, key_of(place, slot), z->store.bytes, size);

	KMM_ASSERT(k, a->packed[slot] == 0);
	__atomic_store_n(&a->packed[slot], handle, __ATOMIC_RELAXED);
	unlock(k, flags);
	return handle != 0;
}

/* May it have more frames than it has? Where it may, and gets none, there is no memory: the page itself goes to the device. */
static bool is_full(const struct kmm_zswap *z)
{
	return z->pool.nr_made == z->pool.nr_blocks && kmm_list_empty(&z->pool.idle);
}

/* out held. */
static bool store(struct kmm *k, struct kmm_zswap *z, unsigned place, uint32_t slot, struct kmm_page *page)
{
	size_t size = pack(k, z, page, &z->store);
	struct kmm_slot_run run = { 0 };
	bool stored;

	if (size == 0)
		return false;
	stored = put(k, z, place, slot, size);
	for (unsigned i = 0; i < TRANSFERS && !stored && is_full(z) && take_oldest(k, z, &run); i++) {
		write_run(k, z, &run);
		stored = put(k, z, place, slot, size);
	}
	return stored;
}

bool kmm_zswap_store(struct kmm *k, unsigned place, uint32_t slot, struct kmm_page *page)
{
	struct kmm_zswap *z = kmm_zswap_of(k);
	bool stored;

	if (!z || !__atomic_load_n(&z->storing, __ATOMIC_RELAXED))
		return false;
	lock_out(k, z);
	stored = store(k, z, place, slot, page);
	kmm_mutex_unlock(k, &z->out);
	count(stored ? &z->stats.out : &z->stats.refused, 1);
	return stored;
}

bool kmm_zswap_forget(struct kmm *k, struct kmm_swap_area *a, uint32_t slot)
{
	uint32_t word = a->packed ? a->packed[slot] : 0;

	if (!word)
		return false;
	kmm_zpool_free(k, &k->swap->zswap->pool, word & ~KMM_ZSWAP_SPOILT);
	a->packed[slot] = 0;
	return (word & KMM_ZSWAP_SPOILT) != 0;
}

/* ---- loading ---- */

enum kmm_status kmm_zswap_load(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	const struct kmm_swap_area *a = &k->swap->area[kmm_swap_place(raw)];
	struct kmm_zswap *z = kmm_zswap_of(k);
	struct kmm_zwork *w;
	bool good;
	size_t size;

	if (!z || !kmm_zswap_has(a, kmm_swap_slot(raw)))
		return KMM_EAGAIN;
	w = &z->load[kmm_cpu(k)]; /* if we move to another processor meanwhile, its user waits */
	kmm_mutex_lock(k, &w->lock);
	size = fetch(k, z, a, kmm_swap_slot(raw), w->bytes);
	good = size == 0 || unpack(k, z, w, size, page);
	kmm_mutex_unlock(k, &w->lock);
	if (size == 0)
		return KMM_EAGAIN;
	count(&z->stats.in, 1);
	if (!good)
		kmm_warn(k, "swap: slot %u cannot be unpacked: its bytes in memory have changed", kmm_swap_slot(raw));
	return good ? KMM_OK : KMM_EIO;
}

/* ---- coming and going ---- */

static bool make_work(struct kmm *k, struct kmm_zwork *w, size_t work_bytes)
{
	w->bytes = kmm_vmalloc(k, KMM_PAGE_SIZE + work_bytes, "compressed swap");
	w->work = w->bytes ? w->bytes + KMM_PAGE_SIZE : NULL;
	return w->bytes != NULL;
}

static void drop_work(struct kmm *k, struct kmm_zwork *w)
{
	if (w->bytes)
		kmm_vfree(k, w->bytes);
}

/* Of one that nobody uses yet. */
static void dismantle(struct kmm *k, struct kmm_zswap *z)
{
	drop_work(k, &z->store);
	drop_work(k, &z->on);
	for (unsigned cpu = 0; cpu < KMM_MAX_CPUS; cpu++)
		drop_work(k, &z->load[cpu]);
	for (unsigned i = 0; i < KMM_ZSWAP_RUN; i++)
		if (z->page[i])
			kmm_put_page(k, z->page[i]);
	if (z->blocks)
		kmm_vfree(k, z->blocks);
	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		kmm_swap_drop_packed(k, &k->swap->area[i]);
	kmm_vfree(k, z);
}

static bool make_parts(struct kmm *k, struct kmm_zswap *z, size_t blocks_size)
{
	bool good = make_work(k, &z->store, z->c->compress_bytes) && make_work(k, &z->on, z->c->decompress_bytes);

	for (unsigned cpu = 0; cpu < k->machine.nr_cpus && good; cpu++)
		good = make_work(k, &z->load[cpu], z->c->decompress_bytes);
	for (unsigned i = 0; i < KMM_ZSWAP_RUN && good; i++)
		good = (z->page[i] = kmm_alloc_pages(k, KMM_GFP_KERNEL, 0)) != NULL;
	for (unsigned i = 0; i < KMM_SWAP_AREAS && good; i++)
		good = kmm_swap_make_packed(k, &k->swap->area[i]);
	z->blocks = good ? kmm_vmalloc(k, blocks_size, "compressed swap") : NULL;
	if (z->blocks)
		memset(z->blocks, 0, blocks_size);
	return z->blocks != NULL;
}

static enum kmm_status make(struct kmm *k, const struct kmm_compressor *c, unsigned percent)
{
	kmm_word frames = kmm_phys_managed_pages(k) / 100 * percent;
	struct kmm_zswap *z = kmm_vmalloc(k, sizeof(*z), "compressed swap");

	if (!z)
		return KMM_ENOMEM;
	*z = (struct kmm_zswap){ .c = c, .percent = percent, .storing = true };
	if (!make_parts(k, z, kmm_zpool_state_size(frames)) || kmm_zpool_init(k, &z->pool, z->blocks, frames) != KMM_OK) {
		dismantle(k, z);
		return KMM_ENOMEM;
	}
	__atomic_store_n(&k->swap->zswap, z, __ATOMIC_RELEASE);
	return KMM_OK;
}

enum kmm_status kmm_zswap_on(struct kmm *k, const struct kmm_compressor *c, unsigned percent)
{
	struct kmm_zswap *z;
	enum kmm_status status = KMM_OK;

	if (percent < 1 || percent > MOST_PERCENT)
		return KMM_EINVAL;
	kmm_mutex_lock(k, &k->swap->change);
	z = k->swap->zswap;
	if (!z)
		status = make(k, c, percent);
	else if (z->c != c || z->percent != percent)
		status = KMM_EBUSY;
	else
		__atomic_store_n(&z->storing, true, __ATOMIC_RELAXED);
	kmm_mutex_unlock(k, &k->swap->change);
	return status;
}

void kmm_zswap_off(struct kmm *k)
{
	struct kmm_zswap *z = kmm_zswap_of(k);

	if (z)
		__atomic_store_n(&z->storing, false, __ATOMIC_RELAXED);
}

/* ---- reports ---- */

void kmm_zswap_stats(struct kmm *k, struct kmm_zswap_stats *out)
{
	struct kmm_zswap *z = k->swap ? kmm_zswap_of(k) : NULL;
	unsigned long flags;

	*out = (struct kmm_zswap_stats){ 0 };
	if (!z)
		return;
	*out = z->stats;
	flags = lock(k);
	out->pages = z->pool.nr_pieces;
	out->frames = z->pool.nr_frames;
	out->most_frames = (kmm_word)z->pool.nr_blocks * KMM_ZBLOCK_FRAMES;
	out->bytes = z->pool.nr_bytes;
	unlock(k, flags);
}

static unsigned check_area(struct kmm *k, struct kmm_zswap *z, unsigned place, kmm_word *found, struct kmm_sink *out)
{
	const struct kmm_swap_area *a = &k->swap->area[place];
	unsigned bad = 0;

	for (uint32_t slot = 0; a->dev && slot < a->nr_slots; slot++) {
		uint32_t key = 0, handle = a->packed[slot] & ~KMM_ZSWAP_SPOILT;

		if (!a->packed[slot])
			continue;
		++*found;
		if (kmm_zpool_key(k, &z->pool, handle, &key) && key == key_of(place, slot))
			continue;
		bad++;
		if (out)
			kmm_printf(out, "compressed swap: slot %u has the piece of another (%u, %u)\n", slot, handle, key);
	}
	return bad;
}

unsigned kmm_zswap_check(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_zswap *z = kmm_zswap_of(k);
	kmm_word found = 0;
	unsigned bad = 0;

	if (!z)
		return 0;
	for (unsigned place = 0; place < KMM_SWAP_AREAS; place++)
		bad += check_area(k, z, place, &found, out);
	if (found != z->pool.nr_pieces) {
		bad++;
		if (out)
			kmm_printf(out, "compressed swap: %llu slots have pieces, of which there are %llu\n", (unsigned long long)found,
				   (unsigned long long)z->pool.nr_pieces);
	}
	return bad + kmm_zpool_check(k, &z->pool, out);
}
