/* SPDX-License-Identifier: MIT */
/*
 * When dirty pages are written (store.c says how): on demand, in the background, by writers when there are too many, and at the
 * end of a file.
 *
 * Files are written a row of pages at a time; between rows the file is free, so that its readers and faults get in between.
 * A file is found by the machine's list of those with dirty pages, and visited as a guest (guest.h).
 */
#include "kmm/writeback.h"

#include "phys/phys.h"
#include "vm/backing.h"

/* ---- one file ---- */

/* A row; b is taken for it. false: there was none. */
static bool write_row(struct kmm_file *file, uint64_t *at, uint64_t end)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	struct kmm *k = file->backing.k;
	uint64_t was = *at;
	bool more;

	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	more = kmm_file_write_next(file, at, end, false);
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	if (more && *at == was && k->port->relax) /* its entries are on the move */
		k->port->relax(k->port);
	return more;
}

uint32_t kmm_file_errors(const struct kmm_file *file)
{
	return __atomic_load_n(&file->nr_errors, __ATOMIC_ACQUIRE);
}

enum kmm_status kmm_file_sync(struct kmm_file *file, uint64_t first, uint64_t nr, uint32_t *seen)
{
	uint64_t end = first + nr < first ? UINT64_MAX : first + nr;
	uint32_t errors;

	if (!file->store || !kmm_mapping_of(&file->backing))
		return KMM_OK;
	while (write_row(file, &first, end))
		;
	errors = kmm_file_errors(file);
	return __atomic_exchange_n(seen, errors, __ATOMIC_ACQ_REL) == errors ? KMM_OK : KMM_EIO;
}

void kmm_file_settle(struct kmm_file *file)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	struct kmm *k = file->backing.k;
	uint64_t at = 0;

	if (file->nr_dirty)
		while (write_row(file, &at, UINT64_MAX))
			;
	if (file->nr_dirty)
		kmm_warn(k, "file %s: %u pages could not be written and are lost", file->name ? file->name : "",
			 (unsigned)file->nr_dirty);
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	kmm_file_empty(file);
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	KMM_ASSERT(k, !file->nr_dirty && !file->nr_swapped && !file->nr_pages);
}

/* ---- files by turns ---- */

/* The file, as a guest; it goes to the end of the list. v held. */
static void enter(struct kmm *k, struct kmm_mapping *mapping, struct kmm_guest *guest)
{
	*guest = (struct kmm_guest){ .owner = &mapping->guests, .sort = KMM_OWNER_MAPPING };
	mapping->guests.nr++;
	kmm_list_del(&mapping->by_dirty);
	kmm_list_add_before(&k->vm->dirty_files, &mapping->by_dirty);
}

/* The file whose turn it is. */
static bool enter_next(struct kmm *k, struct kmm_guest *guest)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool found = !kmm_list_empty(&k->vm->dirty_files);

	if (found)
		enter(k, kmm_container(k->vm->dirty_files.next, struct kmm_mapping, by_dirty), guest);
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return found;
}

/* Up to `budget` pages of the guest's file, from *at on, which moves behind those that were tried; at the end of the file it is
 * UINT64_MAX. Returns how many pages were tried. */
static uint64_t write_guest(struct kmm *k, const struct kmm_guest *guest, uint64_t *at, uint64_t budget)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;
	struct kmm_file *file = (struct kmm_file *)mapping->backing;
	kmm_word before = __atomic_load_n(&k->vm->nr_written, __ATOMIC_RELAXED), done = 0;
	uint64_t was = UINT64_MAX;
	bool more = true;

	while (more && done < budget && *at != was) {
		was = *at;
		kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
		more = kmm_guests_is_alive(&mapping->guests) && kmm_file_write_next(file, at, UINT64_MAX, false);
		kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
		done = __atomic_load_n(&k->vm->nr_written, __ATOMIC_RELAXED) - before;
	}
	if (!more)
		*at = UINT64_MAX;
	return done;
}

/* Pages of one file, which were written and not just tried. */
static kmm_word write_some(struct kmm *k, kmm_word budget)
{
	kmm_word errors = __atomic_load_n(&k->vm->nr_write_errors, __ATOMIC_RELAXED);
	struct kmm_guest guest;
	kmm_word done = 0;
	uint64_t at = 0;

	kmm_guest_begin(k);
	if (enter_next(k, &guest)) {
		done = (kmm_word)write_guest(k, &guest, &at, budget);
		kmm_guest_leave(k, &guest);
	}
	kmm_guest_end(k);
	errors = __atomic_load_n(&k->vm->nr_write_errors, __ATOMIC_RELAXED) - errors;
	return errors < done ? done - errors : 0;
}

/* ---- what is dirty for too long ---- */

/* A file with pages that are, and where its pass goes on: what became dirty since the pass began has time until the next. */
static bool enter_expired(struct kmm *k, struct kmm_guest *guest, uint64_t *at)
{
	uint64_t now = kmm_writeback_clock(k);
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool found = false;

	for (struct kmm_list *l = k->vm->dirty_files.next; l != &k->vm->dirty_files && !found; l = l->next) {
		struct kmm_mapping *mapping = kmm_container(l, struct kmm_mapping, by_dirty);
		struct kmm_file *file = (struct kmm_file *)mapping->backing;

		found = now > file->dirty_since && now - file->dirty_since > k->vm->dirty_expire_ns;
		if (!found)
			continue;
		if (file->pass_at == 0)
			file->pass_since = now;
		*at = file->pass_at;
		enter(k, mapping, guest);
		break; /* l is elsewhere now */
	}
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	return found;
}

/* What could not be written is tried again when it has become too old once more. */
static void note_pass(struct kmm *k, const struct kmm_guest *guest, uint64_t at)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;
	unsigned long flags;

	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	if (kmm_guests_is_alive(&mapping->guests)) {
		struct kmm_file *file = (struct kmm_file *)mapping->backing;

		flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
		file->pass_at = at == UINT64_MAX ? 0 : at;
		if (at == UINT64_MAX && file->dirty_since < file->pass_since)
			file->dirty_since = file->pass_since;
		kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	}
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
}

/* Pages of one such file. false: there is none, or it cannot be gone on with now. */
static bool write_expired(struct kmm *k, kmm_word budget, kmm_word *done)
{
	struct kmm_guest guest;
	uint64_t at = 0, tried = 0;
	bool found;

	kmm_guest_begin(k);
	found = enter_expired(k, &guest, &at);
	if (found) {
		tried = write_guest(k, &guest, &at, budget);
		note_pass(k, &guest, at);
		kmm_guest_leave(k, &guest);
	}
	kmm_guest_end(k);
	*done += (kmm_word)tried;
	return found && (tried || at == UINT64_MAX);
}

/* ---- limits ---- */

/* Pages that files have or could have. */
static kmm_word dirtyable(struct kmm *k)
{
	kmm_word nr = 0;

	for (unsigned i = 0; i < k->phys->nr_zones; i++)
		nr += kmm_zone_free_hint(k->phys->zones[i]) + kmm_zone_kind_count(k->phys->zones[i], KMM_KIND_FILE);
	return nr;
}

static kmm_word part_of(kmm_word pages, unsigned percent)
{
	return pages / 100 * percent;
}

static kmm_word nr_dirty(const struct kmm *k)
{
	return __atomic_load_n(&k->vm->nr_dirty, __ATOMIC_RELAXED);
}

void kmm_throttle_writer(struct kmm *k)
{
	kmm_word limit, all;

	if (nr_dirty(k) <= KMM_WRITE_RUN) /* a row is always in order, and most writers end here */
		return;
	all = dirtyable(k);
	limit = part_of(all, k->vm->dirty_ratio);
	if (nr_dirty(k) > part_of(all, k->vm->dirty_background_ratio) && k->port->files_dirty)
		k->port->files_dirty(k->port);
	if (nr_dirty(k) <= limit)
		return;
	__atomic_fetch_add(&k->vm->nr_throttled, 1, __ATOMIC_RELAXED);
	while (nr_dirty(k) > limit && nr_dirty(k) > KMM_WRITE_RUN)
		if (!write_some(k, KMM_WRITE_RUN)) /* nothing can be written: waiting would not make it better */
			return;
}

enum kmm_status kmm_set_dirty_limits(struct kmm *k, unsigned ratio, unsigned background_ratio)
{
	if (ratio > 100 || background_ratio > 100)
		return KMM_EINVAL;
	k->vm->dirty_ratio = ratio;
	k->vm->dirty_background_ratio = background_ratio;
	return KMM_OK;
}

void kmm_set_dirty_expire(struct kmm *k, uint64_t ns)
{
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);

	k->vm->dirty_expire_ns = ns;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
}

/* ---- in the background ---- */

bool kmm_writeback_step(struct kmm *k, kmm_word budget, bool all)
{
	kmm_word floor = all ? 0 : part_of(dirtyable(k), k->vm->dirty_background_ratio), done = 0, now = 1;
	bool expired = !all;

	while (done < budget && now && nr_dirty(k) > floor) {
		now = write_some(k, budget - done);
		done += now;
	}
	while (expired && done < budget)
		expired = write_expired(k, budget - done, &done);
	return done > 0 && (expired || nr_dirty(k) > floor);
}

void kmm_sync(struct kmm *k)
{
	while (kmm_writeback_step(k, KMM_WRITE_RUN * 32, true))
		;
}

/* ---- writes by other ways ---- */

void kmm_page_note_written(struct kmm *k, struct kmm_page *page)
{
	struct kmm_mapping *mapping;
	struct kmm_guest guest;

	kmm_guest_begin(k);
	guest = kmm_guest_enter(k, page);
	mapping = (struct kmm_mapping *)guest.owner;
	if (mapping) {
		kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
		if (kmm_guests_is_alive(&mapping->guests) && kmm_file_has_page(mapping, guest.index, page))
			kmm_file_mark_dirty((struct kmm_file *)mapping->backing, page);
		kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
		kmm_guest_leave(k, &guest);
	}
	kmm_guest_end(k);
}

/* ---- looking ---- */

void kmm_writeback_stats(struct kmm *k, struct kmm_writeback_stats *out)
{
	const struct kmm_vm *vm = k->vm;
	kmm_word all;

	*out = (struct kmm_writeback_stats){ 0 };
	if (!vm)
		return;
	all = dirtyable(k);
	*out = (struct kmm_writeback_stats){
		.ratio = vm->dirty_ratio, .background_ratio = vm->dirty_background_ratio, .expire_ns = vm->dirty_expire_ns,
		.limit = part_of(all, vm->dirty_ratio), .background_limit = part_of(all, vm->dirty_background_ratio),
		.dirty = nr_dirty(k), .writing = __atomic_load_n(&vm->nr_writing, __ATOMIC_RELAXED),
		.dirtied = __atomic_load_n(&vm->nr_dirtied, __ATOMIC_RELAXED),
		.written = __atomic_load_n(&vm->nr_written, __ATOMIC_RELAXED),
		.read = __atomic_load_n(&vm->nr_read, __ATOMIC_RELAXED),
		.errors = __atomic_load_n(&vm->nr_write_errors, __ATOMIC_RELAXED),
		.throttled = __atomic_load_n(&vm->nr_throttled, __ATOMIC_RELAXED),
	};
}
