/* SPDX-License-Identifier: MIT */
/*
 * Contents to slots and back, and what an error means: a slot that cannot be written is retired and its page stays; one
 * that cannot be read is its owners' loss alone.
 */
#include "swap/zswap.h"

#include "kva/kva.h"
#include "pageq/pageq.h"

static void count(kmm_word *counter, unsigned nr)
{
	__atomic_fetch_add(counter, nr, __ATOMIC_RELAXED);
}

/* ---- pages of one repeated byte ---- */

/* Most pages differ within the first words. */
static bool is_same(const uint32_t *word)
{
	const uint32_t first = word[0];

	if (first != (first & 0xff) * 0x01010101u)
		return false;
	for (size_t i = 1; i < KMM_PAGE_SIZE / sizeof(*word); i++)
		if (word[i] != first)
			return false;
	return true;
}

/* Its entry; 0: the page has other contents. */
static uint32_t same_entry(struct kmm *k, struct kmm_page *page)
{
	const uint32_t *view = kmm_view(k, page);
	uint32_t raw = is_same(view) ? kmm_swap_raw_same((uint8_t)view[0]) : 0;

	kmm_unview(k, page, view);
	return raw;
}

static void fill_same(struct kmm *k, struct kmm_page *page, uint8_t byte)
{
	void *view = kmm_view(k, page);

	__builtin_memset(view, byte, KMM_PAGE_SIZE);
	kmm_unview(k, page, view);
}

/* ---- out ---- */

/* One after the other, after a transfer of all of them failed. */
static void write_singly(struct kmm *k, const struct kmm_slot_run *run, struct kmm_page *const *pages, uint32_t *raw)
{
	struct kmm_swap_device *dev = k->swap->area[run->place].dev;

	for (unsigned i = 0; i < run->nr; i++) {
		if (dev->ops->write(dev, run->first + i, 1, pages + i) == KMM_OK) {
			raw[i] = kmm_swap_raw(run->place, run->first + i);
			continue;
		}
		raw[i] = 0;
		kmm_slot_retire(k, run->place, run->first + i);
		count(&k->swap->stats.write_errors, 1);
		kmm_warn(k, "swap: %s: slot %u cannot be written and is not used any more", dev->name, run->first + i);
	}
}

static void write_stretch(struct kmm *k, const struct kmm_slot_run *run, struct kmm_page *const *pages, uint32_t *raw)
{
	struct kmm_swap_device *dev = k->swap->area[run->place].dev;

	if (dev->ops->write(dev, run->first, run->nr, pages) == KMM_OK)
		for (unsigned i = 0; i < run->nr; i++)
			raw[i] = kmm_swap_raw(run->place, run->first + i);
	else
		write_singly(k, run, pages, raw);
	count(&k->swap->stats.out, run->nr);
}

/* On devices that tell of the end: entries name the slots from now on, whatever becomes of the transfer. */
static unsigned start_stretch(struct kmm *k, const struct kmm_slot_run *run, struct kmm_page *const *pages, uint32_t *raw)
{
	bool begun = kmm_swap_start_write(k, run->place, run->first, run->nr, pages);

	for (unsigned i = 0; i < run->nr; i++) {
		raw[i] = kmm_swap_raw(run->place, run->first + i);
		if (begun)
			continue;
		kmm_slot_put(k, raw[i]);
		raw[i] = 0;
	}
	if (begun)
		count(&k->swap->stats.out, run->nr);
	return begun ? run->nr : 0;
}

/* What is not kept in memory compressed, stretch by stretch. */
static unsigned write_run(struct kmm *k, const struct kmm_slot_run *run, struct kmm_page *const *pages, uint32_t *raw)
{
	bool starts = kmm_device_starts(k->swap->area[run->place].dev);
	unsigned nr = 0, later = 0; /* nr: pages before i that go to the device */

	for (unsigned i = 0; i <= run->nr; i++) {
		struct kmm_slot_run stretch = { run->place, run->first + i - nr, nr };
		bool kept = i < run->nr && kmm_zswap_store(k, run->place, run->first + i, pages[i]);

		if (i < run->nr && !kept) {
			nr++;
			continue;
		}
		if (nr && starts)
			later += start_stretch(k, &stretch, pages + i - nr, raw + i - nr);
		else if (nr)
			write_stretch(k, &stretch, pages + i - nr, raw + i - nr);
		nr = 0;
		if (kept)
			raw[i] = kmm_swap_raw(run->place, run->first + i);
	}
	return later;
}

/* Pages that got no slot: their groups are not charged for one. */
static void uncharge(struct kmm *k, struct kmm_page *const *pages, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		if (!kmm_page_is_charged(pages[i]))
			continue;
		kmm_group_count_event(kmm_page_group(k, pages[i]), KMM_GROUP_EV_SWAP_FAIL);
		kmm_group_swap_put(kmm_page_group(k, pages[i]));
	}
}

/* pages that need slots, in order, and whose groups are charged for those; of the rest raw stays. Returns how many are still on
 * their way. */
static unsigned write_all(struct kmm *k, struct kmm_page *const *pages, unsigned nr, uint32_t *raw)
{
	struct kmm_slot_run run;
	unsigned later = 0;

	for (unsigned done = 0; done < nr; done += run.nr) {
		if (!kmm_slots_take(k, nr - done, &run)) {
			uncharge(k, pages + done, nr - done);
			break;
		}
		KMM_ASSERT(k, run.nr > 0 && run.nr <= nr - done);
		for (unsigned i = 0; i < run.nr; i++)
			kmm_slot_note_page(k, run.place, run.first + i, pages[done + i]);
		later += write_run(k, &run, pages + done, raw + done);
	}
	return later;
}

unsigned kmm_swap_out(struct kmm *k, struct kmm_page *const *pages, unsigned nr, uint32_t *raw)
{
	unsigned nr_same = 0, later = 0, end;
	uint32_t needs = 0; /* a slot, and may have one */

	KMM_ASSERT(k, nr <= KMM_SWAP_RUN);
	for (unsigned i = 0; i < nr; i++) {
		raw[i] = same_entry(k, pages[i]);
		nr_same += raw[i] != 0;
		if (!raw[i] && (!kmm_page_is_charged(pages[i]) || kmm_group_swap_try(k, pages[i])))
			needs |= 1u << i;
	}
	count(&k->swap->stats.same_out, nr_same);
	for (unsigned i = 0; i < nr; i = end) {
		for (end = i + 1; end < nr && (needs >> i & 1) && (needs >> end & 1); end++)
			;
		if (needs >> i & 1)
			later += write_all(k, pages + i, end - i, raw + i);
	}
	return later;
}

kmm_word kmm_swap_gone(struct kmm *k)
{
	const struct kmm_zswap *z = kmm_zswap_of(k);

	return k->swap->stats.out + k->swap->stats.same_out + (z ? z->stats.out - z->stats.written_on : 0);
}

/* ---- in ---- */

static enum kmm_status note_read(struct kmm *k, uint32_t raw, enum kmm_status status)
{
	if (status == KMM_OK)
		return KMM_OK;
	count(&k->swap->stats.read_errors, 1);
	kmm_warn(k, "swap: %s: slot %u cannot be read", k->swap->area[kmm_swap_place(raw)].dev->name, kmm_swap_slot(raw));
	return KMM_EIO;
}

enum kmm_status kmm_swap_read_alone(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	for (;;) {
		unsigned seen = kmm_swap_ends(k);
		struct kmm_io *io = kmm_swap_start_read(k, kmm_swap_place(raw), kmm_swap_slot(raw), 1, &page, 0);

		if (io)
			return note_read(k, raw, kmm_swap_await(k, io));
		kmm_swap_wait(k, seen, true);
	}
}

/* From a device that tells of the end. */
static enum kmm_status read_or_copy(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	struct kmm_page *cached = NULL;

	for (;;) {
		unsigned seen = kmm_swap_ends(k);

		switch (kmm_cached_claim(k, raw, false, &cached)) {
		case KMM_CLAIM_NONE:
			return kmm_swap_read_alone(k, raw, page);
		case KMM_CLAIM_WAIT:
			kmm_swap_wait(k, seen, true);
			break;
		default:
			kmm_copy_page(k, page, cached);
			kmm_put_page(k, cached);
			return KMM_OK;
		}
	}
}

enum kmm_status kmm_swap_in(struct kmm *k, uint32_t raw, struct kmm_page *page)
{
	struct kmm_swap_device *dev;
	struct kmm_group *group;
	enum kmm_status status;

	if (kmm_swap_is_same(raw)) {
		fill_same(k, page, (uint8_t)kmm_swap_slot(raw));
		count(&k->swap->stats.same_in, 1);
		return KMM_OK;
	}
	status = kmm_zswap_load(k, raw, page);
	if (status != KMM_EAGAIN)
		return status;
	dev = k->swap->area[kmm_swap_place(raw)].dev;
	if (kmm_device_starts(dev))
		return read_or_copy(k, raw, page);
	group = kmm_stall_begin(k);
	status = dev->ops->read(dev, kmm_swap_slot(raw), 1, &page);
	kmm_stall_end(k, group);
	count(&k->swap->stats.in, 1);
	return note_read(k, raw, status);
}
