/* SPDX-License-Identifier: MIT */
/*
 * Pages of files on their way out of memory. A file with a store gets its dirty pages written there. The pages of any other
 * exist in memory alone (shared anonymous memory, memfds, files of a file system in memory), so those that were written go to swap:
 * the file's index then names the slot in place of the page, with one count of it, however many mappings there are. Entries
 * name no slot; whoever touches the page again asks the file.
 */
#include "pageq/pageq.h"
#include "swap/swap.h"
#include "vm/backing.h"

/* ---- lists and counts ---- */

static void list_file(struct kmm_file *file, bool swapped)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	struct kmm *k = file->backing.k;
	unsigned long flags;

	flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	if (swapped)
		kmm_list_add_before(&k->vm->swapped_files, &mapping->by_swap);
	else
		kmm_list_del(&mapping->by_swap);
	k->vm->nr_swapped_files += swapped ? 1 : -1u;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
}

void kmm_file_drop_slot(struct kmm_file *file, uint64_t index, uint32_t raw)
{
	struct kmm *k = file->backing.k;

	(void)index;
	KMM_ASSERT(k, file->nr_swapped > 0 && kmm_raw_is_swap(raw));
	if (--file->nr_swapped == 0)
		list_file(file, false);
	kmm_slot_put(k, raw);
}

/* ---- out ---- */

/* It keeps its place in the index as `raw`, or none. */
static void leave(struct kmm_mapping *mapping, struct kmm_page *page, uint32_t raw)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;
	struct kmm *k = file->backing.k;
	uint64_t index = kmm_page_index(k, page);

	if (!raw) {
		kmm_file_drop_page(mapping, index);
		return;
	}
	KMM_ASSERT(k, !file->store && file->nr_pages > 0);
	kmm_radix_replace_swapped(k, file->pages, index, raw);
	file->nr_pages--;
	if (file->nr_swapped++ == 0)
		list_file(file, true);
	kmm_page_cut_off(k, page);
}

static bool is_dirty(const struct kmm_page *page) { return (kmm_page_flags(page) & KMM_PG_DIRTY) != 0; }

/* The dirty pages around as well: they are written sooner or later, and in a row it costs one transfer. */
static void write_around(struct kmm_file *file, uint64_t index)
{
	uint64_t at = index & ~(uint64_t)(KMM_WRITE_RUN - 1), end = at + KMM_WRITE_RUN, was;

	do
		was = at;
	while (kmm_file_write_next(file, &at, end, true) && at != was);
}

static void write_out(struct kmm_file *file, struct kmm_page *const *pages, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		if (is_dirty(pages[i]))
			write_around(file, kmm_page_index(file->backing.k, pages[i]));
}

/* Stretches of dirty pages; raw of the others is 0. */
static unsigned swap_out(struct kmm *k, struct kmm_page *const *pages, unsigned nr, uint32_t *raw)
{
	unsigned end, later = 0;

	for (unsigned i = 0; i < nr; i = end) {
		for (end = i; end < nr && is_dirty(pages[end]); end++)
			;
		if (end > i)
			later += kmm_swap_out(k, pages + i, end - i, raw + i);
		else
			raw[end++] = 0;
	}
	return later;
}

unsigned kmm_file_evict(struct kmm_mapping *mapping, struct kmm_page *const *pages, unsigned nr, uint32_t *raw, bool no_io)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;
	struct kmm *k = file->backing.k;
	unsigned later = 0;

	KMM_ASSERT_HELD(k, &mapping->lock);
	memset(raw, 0, nr * sizeof(*raw));
	if (file->store && !no_io)
		write_out(file, pages, nr);
	else if (!no_io)
		later = swap_out(k, pages, nr, raw);
	for (unsigned i = 0; i < nr; i++)
		if (raw[i] || !is_dirty(pages[i]))
			leave(mapping, pages[i], raw[i]);
	return later;
}

/* ---- in ---- */

enum kmm_status kmm_file_swap_in(struct kmm_file *file, uint64_t index, struct kmm_page *page)
{
	uint32_t raw = kmm_radix_swapped(file->pages, index);
	struct kmm *k = file->backing.k;
	struct kmm_slot_past past;

	KMM_ASSERT(k, raw != 0);
	kmm_slot_past(k, raw, &past);
	kmm_group_refault(k, page, past.distance, past.was);
	return kmm_swap_in(k, raw, page);
}

uint64_t kmm_file_count_swapped(struct kmm_file *file, uint64_t first, uint64_t end)
{
	uint64_t nr = 0;

	for (uint64_t i = first; file->nr_swapped && kmm_radix_next_used(file->pages, &i) && i < end; i++)
		nr += kmm_radix_swapped(file->pages, i) != 0;
	return nr;
}

/* ---- swapoff ---- */

static enum kmm_status leave_area(struct kmm_file *file, unsigned place)
{
	enum kmm_status status = KMM_OK;

	for (uint64_t i = 0; status == KMM_OK && file->nr_swapped && kmm_radix_next_used(file->pages, &i); i++) {
		uint32_t raw = kmm_radix_swapped(file->pages, i);

		if (raw && !kmm_swap_is_same(raw) && kmm_swap_place(raw) == place)
			status = kmm_file_bring_back(file, i);
	}
	return status;
}

/* The next of them, as a guest; it goes to the end of the list. */
static bool enter_next(struct kmm *k, struct kmm_guest *guest)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool found = !kmm_list_empty(&k->vm->swapped_files);

	if (found) {
		struct kmm_mapping *mapping = kmm_container(k->vm->swapped_files.next, struct kmm_mapping, by_swap);

		*guest = (struct kmm_guest){ .owner = &mapping->guests, .sort = KMM_OWNER_MAPPING };
		mapping->guests.nr++;
		kmm_list_del(&mapping->by_swap);
		kmm_list_add_before(&k->vm->swapped_files, &mapping->by_swap);
	}
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return found;
}

static enum kmm_status visit(struct kmm *k, const struct kmm_guest *guest, unsigned place)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;
	enum kmm_status status = KMM_OK;

	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	if (kmm_guests_is_alive(&mapping->guests))
		status = leave_area((struct kmm_file *)mapping->backing, place);
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return status;
}

enum kmm_status kmm_files_leave_area(struct kmm *k, unsigned place)
{
	enum kmm_status status = KMM_OK;
	struct kmm_guest guest;

	kmm_guest_begin(k);
	for (unsigned n = __atomic_load_n(&k->vm->nr_swapped_files, __ATOMIC_RELAXED); n-- > 0 && status == KMM_OK;) {
		if (!enter_next(k, &guest))
			break;
		status = visit(k, &guest, place);
		kmm_guest_leave(k, &guest);
	}
	kmm_guest_end(k);
	return status;
}
