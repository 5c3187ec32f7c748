/* SPDX-License-Identifier: MIT */
/*
 * The page cache of a struct kmm_file: pages come in by fill, or as zeros, and stay until they are cut off or the
 * file goes. They prefer high memory and are touched through windows only.
 *
 * A cached page has one reference for the cache; its descriptor names the file's mapping and its page number. Cutting
 * off (truncate) first marks it and takes that name away, then unmaps: a fault that had the page in hand sees the mark
 * at its last look, under the lock of the page table, or has entered the page early enough to be unmapped.
 *
 * Lock: b (the mapping's mutex) for size, index and nr_pages. The file's fill function runs with it held.
 */
#include "vm/backing.h"

#include "base/math.h"
#include "kmm/kmap.h"
#include "phys/alloc.h"
#include "swap/swap.h"
#include "vm/mm.h"

static uint64_t nr_file_pages(uint64_t size)
{
	return (size >> KMM_PAGE_SHIFT) + ((size & (KMM_PAGE_SIZE - 1)) != 0);
}

static enum kmm_status file_get_page(struct kmm_backing *backing, uint64_t index, struct kmm_page **out)
{
	return kmm_file_page((struct kmm_file *)backing, index, out);
}

static const char *file_name(struct kmm_backing *backing)
{
	const char *name = ((struct kmm_file *)backing)->name;

	return name ? name : "";
}

/* Takes pages [first, end) out of the cache, and out of swap. */
static void cut_off(struct kmm_file *file, uint64_t first, uint64_t end)
{
	struct kmm *k = file->backing.k;

	for (uint64_t index = first; kmm_radix_next_used(file->pages, &index) && index < end; index++) {
		struct kmm_page *page = kmm_radix_get(k, file->pages, index);
		uint32_t raw = kmm_radix_swapped(file->pages, index);

		kmm_radix_remove(k, &file->pages, index);
		if (raw) {
			kmm_file_drop_slot(file, index, raw);
			continue;
		}
		KMM_ASSERT(k, file->nr_pages > 0 && kmm_page_kind(page) == KMM_KIND_FILE);
		file->nr_pages--;
		kmm_file_mark_clean(file, page);
		kmm_page_cut_off(k, page);
		kmm_put_page(k, page);
	}
}

void kmm_file_empty(struct kmm_file *file) { cut_off(file, 0, UINT64_MAX); }

static void file_release(struct kmm_backing *backing)
{
	struct kmm_file *file = (struct kmm_file *)backing;

	KMM_ASSERT(backing->k, !file->pages);
	__atomic_fetch_sub(&backing->k->vm->shared_committed, (kmm_word)file->committed, __ATOMIC_RELAXED);
	if (file->destroy)
		file->destroy(file);
}

static void file_cached_pages(struct kmm_backing *backing, uint64_t first, unsigned nr, struct kmm_page **out)
{
	struct kmm_file *file = (struct kmm_file *)backing;
	struct kmm *k = backing->k;
	struct kmm_mapping *mapping = kmm_mapping_of(backing);

	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	for (unsigned i = 0; i < nr; i++) {
		out[i] = kmm_radix_get(k, file->pages, first + i);
		if (out[i] && (kmm_page_flags(out[i]) & KMM_PG_BLANK))
			out[i] = NULL;
		if (out[i])
			kmm_get_page(k, out[i]);
	}
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
}

static enum kmm_status file_punch_hole(struct kmm_backing *backing, uint64_t first, uint64_t nr)
{
	return kmm_file_punch((struct kmm_file *)backing, first, nr);
}

static const struct kmm_backing_ops file_ops = {
	.get_page = file_get_page, .release = file_release, .name = file_name, .cached_pages = file_cached_pages,
	.punch_hole = file_punch_hole
};

/* A program is about to write to a page by its own mapping. */
static enum kmm_status stored_make_writable(struct kmm_backing *backing, uint64_t index, struct kmm_page *page)
{
	struct kmm_file *file = (struct kmm_file *)backing;
	struct kmm_mapping *mapping = kmm_mapping_of(backing);
	struct kmm *k = backing->k;

	kmm_throttle_writer(k);
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	if (kmm_radix_get(k, file->pages, index) == page) /* else it was cut off, and the entry is no longer as it was seen */
		kmm_file_mark_dirty(file, page);
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return KMM_OK;
}

static enum kmm_status stored_write_back(struct kmm_backing *backing, uint64_t first, uint64_t nr)
{
	struct kmm_file *file = (struct kmm_file *)backing;

	return kmm_file_sync(file, first, nr, &file->seen_errors);
}

static const struct kmm_backing_ops stored_ops = {
	.get_page = file_get_page, .release = file_release, .name = file_name, .cached_pages = file_cached_pages,
	.punch_hole = file_punch_hole, .make_writable = stored_make_writable, .write_back = stored_write_back
};

void kmm_file_set_store(struct kmm_file *file, const struct kmm_file_store *store)
{
	KMM_ASSERT(file->backing.k, !file->pages && store->read && store->write);
	file->store = store;
	file->backing.ops = &stored_ops;
}

void kmm_file_init(struct kmm_file *file, struct kmm *k, uint64_t size, const char *name)
{
	*file = (struct kmm_file){ .size = size, .name = name, .fill_end = UINT64_MAX, .seals = KMM_SEAL_SEAL };
	kmm_backing_init(&file->backing, k, &file_ops);
}

enum kmm_status kmm_file_commit(struct kmm_mm *mm, struct kmm_file *file)
{
	kmm_word pages = (kmm_word)nr_file_pages(file->size);

	KMM_ASSERT(mm->k, !file->committed);
	if (!kmm_vm_enough(mm, pages))
		return KMM_ENOMEM;
	file->committed = pages;
	__atomic_fetch_add(&mm->k->vm->shared_committed, pages, __ATOMIC_RELAXED);
	return KMM_OK;
}

/* ---- pages ---- */

/* What the source knows of bytes that were cut off, or that lay behind the end when the file grew, is out of date. */
static void clear_behind(struct kmm *k, struct kmm_page *page, size_t from)
{
	char *to = kmm_kmap_local(k, page);

	memset(to + from, 0, KMM_PAGE_SIZE - from);
	kmm_kunmap_local(k, to);
}

/* fill may sleep, so its view is a lasting one. */
static enum kmm_status ask_source(struct kmm_file *file, uint64_t index, struct kmm_page *page)
{
	struct kmm *k = file->backing.k;
	enum kmm_status status;
	void *to;

	if (file->store)
		return kmm_file_read_page(file, index, page);
	to = kmm_kmap(k, page);
	if (!to)
		return KMM_ENOMEM;
	status = file->fill(file, index, to);
	kmm_kunmap(k, page);
	return status;
}

static enum kmm_status fill_page(struct kmm_file *file, uint64_t index, struct kmm_page *page)
{
	struct kmm *k = file->backing.k;
	uint64_t end = kmm_min_u64(file->size, file->fill_end);
	enum kmm_status status;

	if (!file->store)
		kmm_clear_page(k, page);
	if (!kmm_file_has_source(file))
		return KMM_OK;
	if (index >= nr_file_pages(end)) {
		if (file->store)
			kmm_clear_page(k, page);
		return KMM_OK;
	}
	status = ask_source(file, index, page);
	if (status == KMM_OK && index == end >> KMM_PAGE_SHIFT)
		clear_behind(k, page, (size_t)(end & (KMM_PAGE_SIZE - 1)));
	return status;
}

/* The page has its content; it takes its place in the index. */
static enum kmm_status enter_page(struct kmm_file *file, uint64_t index, uint32_t raw, struct kmm_page *page)
{
	struct kmm *k = file->backing.k;
	enum kmm_status status = KMM_OK;

	if (raw)
		kmm_radix_replace(k, file->pages, index, page);
	else
		status = kmm_radix_insert(k, &file->pages, index, page);
	if (status)
		return status;
	kmm_page_set_owner(k, page, kmm_mapping_of(&file->backing));
	kmm_page_set_index(k, page, index);
	if (file->store || kmm_backing_is_shm(&file->backing))
		__atomic_fetch_or(&page->flags, (uint32_t)(file->store ? KMM_PG_STORED : KMM_PG_SHMEM), __ATOMIC_RELAXED);
	if (kmm_page_flags(page) & KMM_PG_SHMEM)
		kmm_group_note_shmem(k, page);
	file->nr_pages++;
	if (raw) {
		kmm_page_set_dirty(page); /* what swap had is only here now */
		kmm_file_drop_slot(file, index, raw);
	}
	return KMM_OK;
}

/* Charged to the group of whoever wants it, or not there at all. */
static enum kmm_status charge_frame(struct kmm *k, struct kmm_page **page, enum kmm_charge_how how)
{
	enum kmm_status status = kmm_charge_running(k, *page, how);

	if (status == KMM_OK)
		return KMM_OK;
	kmm_put_page(k, *page);
	*page = NULL;
	return status;
}

/* A frame. With b held, reclaim cannot get at the other pages of this file, which may be all there are. So who can give b back
 * has room for a spare: then nothing is reclaimed here, and KMM_EAGAIN asks him to get one without b. */
static enum kmm_status get_frame(struct kmm *k, struct kmm_page **spare, struct kmm_page **out)
{
	const kmm_gfp gfp = KMM_GFP_HIGHUSER_MOVABLE, at_once = (gfp & ~(kmm_gfp)KMM_GFP_KERNEL) | KMM_GFP_NOWARN;

	*out = spare ? *spare : NULL;
	if (*out) {
		*spare = NULL;
		return KMM_OK;
	}
	*out = kmm_phys_alloc(k, spare ? at_once : gfp, 0, KMM_KIND_FILE, "file page");
	if (*out)
		return charge_frame(k, out, spare ? KMM_CHARGE_AT_ONCE : KMM_CHARGE_RECLAIM);
	return spare && kmm_phys_is_short(k, gfp) ? KMM_EAGAIN : KMM_ENOMEM;
}

/* After KMM_EAGAIN, without b. */
static bool get_spare(struct kmm *k, struct kmm_page **spare)
{
	*spare = kmm_phys_alloc(k, KMM_GFP_HIGHUSER_MOVABLE, 0, KMM_KIND_FILE, "spare file page");
	return *spare && charge_frame(k, spare, KMM_CHARGE_RECLAIM) == KMM_OK;
}

static enum kmm_status give_back(struct kmm *k, struct kmm_page *spare, enum kmm_status status)
{
	if (spare)
		kmm_put_page(k, spare);
	return status == KMM_EAGAIN ? KMM_ENOMEM : status;
}

/* One call on a file: what is asked for, and where it goes. */
struct access {
	struct kmm_file *file;
	uint64_t pos;
	char *to;                 /* reading */
	const char *from;         /* writing */
	size_t len, done;
	struct kmm_page *page;    /* one page of it */
};

/* op with b held, again and again as long as it needs a spare. */
static enum kmm_status with_spares(struct kmm_mapping *mapping, struct access *a,
				   enum kmm_status (*op)(struct access *a, struct kmm_page **spare))
{
	struct kmm *k = a->file->backing.k;
	struct kmm_page *spare = NULL;
	enum kmm_status status;

	do {
		kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
		status = op(a, &spare);
		kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	} while (status == KMM_EAGAIN && get_spare(k, &spare));
	return give_back(k, spare, status);
}

static enum kmm_status add_page(struct kmm_file *file, uint64_t index, struct kmm_page **spare, struct kmm_page **out)
{
	struct kmm *k = file->backing.k;
	struct kmm_page *page;
	uint32_t raw = kmm_radix_swapped(file->pages, index);
	enum kmm_status status;

	KMM_CHECK_HELD(k, &kmm_mapping_of(&file->backing)->lock);
	status = get_frame(k, spare, &page);
	if (status)
		return status;
	status = raw ? kmm_file_swap_in(file, index, page) : fill_page(file, index, page);
	if (status == KMM_OK)
		status = enter_page(file, index, raw, page);
	if (status)
		kmm_put_page(k, page);
	else
		*out = page;
	return status;
}

/* The page, without a reference for the caller, who shows it or writes to it; also beyond the end. b held. */
static enum kmm_status find_page(struct kmm_file *file, uint64_t index, struct kmm_page **spare, struct kmm_page **out)
{
	*out = kmm_radix_get(file->backing.k, file->pages, index);
	if (!*out)
		return add_page(file, index, spare, out);
	if (kmm_page_flags(*out) & KMM_PG_BLANK)
		__atomic_fetch_and(&(*out)->flags, ~(uint32_t)KMM_PG_BLANK, __ATOMIC_RELAXED);
	return KMM_OK;
}

enum kmm_status kmm_file_bring_back(struct kmm_file *file, uint64_t index)
{
	struct kmm_page *page;

	return find_page(file, index, NULL, &page);
}

static enum kmm_status hold_page(struct access *a, struct kmm_page **spare)
{
	uint64_t index = a->pos >> KMM_PAGE_SHIFT;
	uint32_t raw = a->file->nr_swapped ? kmm_radix_swapped(a->file->pages, index) : 0;
	enum kmm_status status = a->pos < a->file->size ? find_page(a->file, index, spare, &a->page) : KMM_ERANGE;

	if (status)
		return status;
	kmm_get_page(a->file->backing.k, a->page);
	if (raw && !kmm_swap_is_same(raw)) /* a fault's, as calls read and write themselves */
		__atomic_fetch_add(&a->file->backing.k->swap->stats.major, 1, __ATOMIC_RELAXED);
	return KMM_OK;
}

enum kmm_status kmm_file_page(struct kmm_file *file, uint64_t index, struct kmm_page **out)
{
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	struct access a = { .file = file, .pos = index << KMM_PAGE_SHIFT };
	enum kmm_status status;

	if (!mapping)
		return KMM_ENOMEM;
	status = index > UINT64_MAX >> KMM_PAGE_SHIFT ? KMM_ERANGE : with_spares(mapping, &a, hold_page);
	if (status == KMM_OK)
		*out = a.page;
	return status;
}

/* What a source knows is content; else a page that comes in here is blank until somebody asks for it, be it by allocating it again. */
static enum kmm_status allocate_page(struct access *a, struct kmm_page **spare)
{
	struct kmm_file *file = a->file;
	struct kmm *k = file->backing.k;
	uint64_t index = a->pos >> KMM_PAGE_SHIFT;
	bool is_new = !kmm_radix_get(k, file->pages, index) && !kmm_radix_swapped(file->pages, index);
	enum kmm_status status;

	if (!is_new || kmm_file_has_source(file))
		return find_page(file, index, spare, &a->page);
	status = add_page(file, index, spare, &a->page);
	if (status == KMM_OK)
		__atomic_fetch_or(&a->page->flags, (uint32_t)KMM_PG_BLANK, __ATOMIC_RELAXED);
	return status;
}

enum kmm_status kmm_file_allocate(struct kmm_file *file, uint64_t index)
{
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	struct access a = { .file = file, .pos = index << KMM_PAGE_SHIFT };

	if (!mapping)
		return KMM_ENOMEM;
	return index > UINT64_MAX >> KMM_PAGE_SHIFT ? KMM_ERANGE : with_spares(mapping, &a, allocate_page);
}

bool kmm_backing_is_file(const struct kmm_backing *backing)
{
	return backing->ops == &file_ops || backing->ops == &stored_ops;
}

bool kmm_file_has_page(struct kmm_mapping *mapping, uint64_t index, const struct kmm_page *page)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;

	return kmm_backing_is_file(mapping->backing) && kmm_radix_get(file->backing.k, file->pages, index) == page;
}

void kmm_file_move_page(struct kmm_mapping *mapping, uint64_t index, struct kmm_page *to)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;

	kmm_radix_replace(file->backing.k, file->pages, index, to);
}

void kmm_file_drop_page(struct kmm_mapping *mapping, uint64_t index)
{
	struct kmm_file *file = (struct kmm_file *)mapping->backing;
	struct kmm *k = file->backing.k;
	struct kmm_page *page = kmm_radix_get(k, file->pages, index);

	KMM_ASSERT(k, page && !(kmm_page_flags(page) & KMM_PG_DIRTY));
	kmm_radix_remove(k, &file->pages, index);
	file->nr_pages--;
	kmm_page_cut_off(k, page);
}

/* Nobody has it but the cache, and nobody can get it while b is held. */
static bool is_idle(const struct kmm_page *page)
{
	return atomic_load_explicit(&page->refcount, memory_order_acquire) == 1 &&
	       atomic_load_explicit(&page->count, memory_order_acquire) == 0 && !(kmm_page_flags(page) & KMM_PG_DIRTY);
}

void kmm_file_forget(struct kmm_file *file, uint64_t first, uint64_t nr)
{
	struct kmm *k = file->backing.k;
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	uint64_t end = first + nr < first ? UINT64_MAX : first + nr;
	struct kmm_page *page;

	if (!mapping)
		return;
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	for (uint64_t index = first; (page = kmm_radix_next(k, file->pages, &index)) != NULL && index < end; index++) {
		if (!is_idle(page))
			continue;
		kmm_file_drop_page(mapping, index);
		kmm_put_page(k, page);
	}
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
}

/* ---- for who watches (userfault.h) ---- */

/* b held. */
static enum kmm_file_state state_at(const struct kmm_file *file, uint64_t index)
{
	if (index >= nr_file_pages(file->size))
		return KMM_FILE_END;
	if (kmm_radix_swapped(file->pages, index))
		return KMM_FILE_PAGE;
	return kmm_radix_get(file->backing.k, file->pages, index) ? KMM_FILE_PAGE : KMM_FILE_HOLE;
}

enum kmm_file_state kmm_file_state(struct kmm_file *file, uint64_t index)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	enum kmm_file_state state;

	KMM_ASSERT(file->backing.k, mapping); /* it is mapped */
	kmm_mutex_lock_class(file->backing.k, &mapping->lock, KMM_LOCK_BACKING);
	state = state_at(file, index);
	kmm_mutex_unlock_class(file->backing.k, &mapping->lock, KMM_LOCK_BACKING);
	return state;
}

enum kmm_status kmm_file_provide(struct kmm_file *file, uint64_t index, const void *content)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&file->backing);
	struct kmm *k = file->backing.k;
	enum kmm_status status = KMM_OK;
	enum kmm_file_state state;
	struct kmm_page *page;

	KMM_ASSERT(k, mapping && kmm_backing_is_shm(&file->backing));
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	state = state_at(file, index);
	if (state != KMM_FILE_HOLE)
		status = state == KMM_FILE_PAGE ? KMM_EEXIST : KMM_EFAULT;
	if (status == KMM_OK)
		status = add_page(file, index, NULL, &page);
	if (status == KMM_OK && content) {
		void *to = kmm_kmap_local(k, page);

		memcpy(to, content, KMM_PAGE_SIZE);
		kmm_kunmap_local(k, to);
	}
	if (status == KMM_OK)
		kmm_page_set_dirty(page);
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return status;
}

/* ---- reading and writing ---- */

static size_t part_of_page(uint64_t pos, size_t len)
{
	size_t rest = KMM_PAGE_SIZE - (size_t)(pos & (KMM_PAGE_SIZE - 1));

	return len < rest ? len : rest;
}

static enum kmm_status read_part(struct kmm_file *file, uint64_t pos, char *to, size_t len, struct kmm_page **spare)
{
	struct kmm *k = file->backing.k;
	uint64_t index = pos >> KMM_PAGE_SHIFT;
	struct kmm_page *page = kmm_radix_get(k, file->pages, index);
	const char *from;

	if (!page && !kmm_file_has_source(file) && !kmm_radix_swapped(file->pages, index)) { /* a hole needs no page to be read */
		memset(to, 0, len);
		return KMM_OK;
	}
	if (!page) {
		enum kmm_status status = add_page(file, index, spare, &page);

		if (status)
			return status;
	}
	kmm_group_touched(k, page);
	from = kmm_kmap_local(k, page);
	memcpy(to, from + (pos & (KMM_PAGE_SIZE - 1)), len);
	kmm_kunmap_local(k, from);
	return KMM_OK;
}

/* b held. */
static enum kmm_status read_parts(struct access *a, struct kmm_page **spare)
{
	size_t len = a->pos < a->file->size ? (size_t)kmm_min_u64(a->len, a->file->size - a->pos) : 0;
	enum kmm_status status = KMM_OK;

	while (a->done < len && status == KMM_OK) {
		size_t part = part_of_page(a->pos + a->done, len - a->done);

		status = read_part(a->file, a->pos + a->done, a->to + a->done, part, spare);
		if (status == KMM_OK)
			a->done += part;
	}
	return status;
}

enum kmm_status kmm_file_read(struct kmm_file *file, uint64_t pos, void *to, size_t len, size_t *done)
{
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	struct access a = { .file = file, .pos = pos, .to = to, .len = len };
	enum kmm_status status;

	*done = 0;
	if (!mapping)
		return KMM_ENOMEM;
	status = with_spares(mapping, &a, read_parts);
	*done = a.done;
	return status;
}

/* A store is told at once, and then knows best what lies where. */
static enum kmm_status set_size(struct kmm_file *file, uint64_t size)
{
	enum kmm_status status = KMM_OK;

	KMM_CHECK_HELD(file->backing.k, &kmm_mapping_of(&file->backing)->lock);
	if (file->store)
		status = file->store->resize ? file->store->resize(file, size) : KMM_ERANGE;
	else
		file->fill_end = kmm_min_u64(file->fill_end, kmm_min_u64(file->size, size));
	if (status == KMM_OK)
		file->size = size;
	return status;
}

static enum kmm_status write_part(struct kmm_file *file, uint64_t pos, const char *from, size_t len, struct kmm_page **spare)
{
	struct kmm *k = file->backing.k;
	struct kmm_page *page;
	enum kmm_status status;
	char *to;

	if ((file->seals & KMM_SEALS_WRITING) || ((file->seals & KMM_SEAL_GROW) && pos + len > file->size))
		return KMM_EPERM;
	status = find_page(file, pos >> KMM_PAGE_SHIFT, spare, &page);
	if (status == KMM_OK && pos + len > file->size)
		status = set_size(file, pos + len);
	if (status)
		return status;
	kmm_group_touched(k, page);
	to = kmm_kmap_local(k, page);
	memcpy(to + (pos & (KMM_PAGE_SIZE - 1)), from, len);
	kmm_kunmap_local(k, to);
	kmm_file_mark_dirty(file, page);
	return KMM_OK;
}

/* b held. */
static enum kmm_status write_parts(struct access *a, struct kmm_page **spare)
{
	enum kmm_status status = KMM_OK;

	while (a->done < a->len && status == KMM_OK) {
		size_t part = part_of_page(a->pos + a->done, a->len - a->done);

		status = write_part(a->file, a->pos + a->done, a->from + a->done, part, spare);
		if (status == KMM_OK)
			a->done += part;
	}
	return status;
}

enum kmm_status kmm_file_write(struct kmm_file *file, uint64_t pos, const void *from, size_t len, size_t *done)
{
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	struct access a = { .file = file, .pos = pos, .from = from, .len = len };
	enum kmm_status status;
	uint64_t end;

	*done = 0;
	if (kmm_add_overflows(pos, len, &end) || end > (uint64_t)INT64_MAX)
		return KMM_EINVAL;
	if (!mapping)
		return KMM_ENOMEM;
	if (file->store)
		kmm_throttle_writer(file->backing.k);
	status = with_spares(mapping, &a, write_parts);
	*done = a.done;
	return status;
}

/* ---- truncating ---- */

/* What lies behind the new end in its page reads as zeros should the file grow again. */
static void clear_tail(struct kmm_file *file)
{
	struct kmm *k = file->backing.k;
	size_t tail = (size_t)(file->size & (KMM_PAGE_SIZE - 1));
	struct kmm_page *page = tail ? kmm_radix_get(k, file->pages, file->size >> KMM_PAGE_SHIFT) : NULL;

	if (!page)
		return;
	clear_behind(k, page, tail);
	kmm_file_mark_dirty(file, page);
}

/* The page in which the file is to end cannot be cleared in swap. */
static enum kmm_status fetch_tail(struct kmm_file *file, uint64_t size)
{
	uint64_t index = size >> KMM_PAGE_SHIFT;

	if (!(size & (KMM_PAGE_SIZE - 1)) || !kmm_radix_swapped(file->pages, index))
		return KMM_OK;
	return kmm_file_bring_back(file, index);
}

enum kmm_status kmm_file_truncate(struct kmm_file *file, uint64_t size)
{
	struct kmm *k = file->backing.k;
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	enum kmm_status status;
	bool shrinks;

	if (size > (uint64_t)INT64_MAX)
		return KMM_EINVAL;
	if (!mapping)
		return KMM_ENOMEM;
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	shrinks = size < file->size;
	if (file->seals & (shrinks ? KMM_SEAL_SHRINK : size > file->size ? KMM_SEAL_GROW : 0))
		status = KMM_EPERM;
	else
		status = shrinks ? fetch_tail(file, size) : KMM_OK;
	if (status == KMM_OK)
		status = set_size(file, size);
	if (status == KMM_OK && shrinks) {
		clear_tail(file);
		cut_off(file, nr_file_pages(size), UINT64_MAX);
		kmm_mapping_unmap(k, mapping, nr_file_pages(size), UINT64_MAX);
	}
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return status == KMM_ERANGE ? KMM_EINVAL : status;
}

/* ---- holes ---- */

/* Where fill would bring content back, the page stays, as zeros. b held. */
static enum kmm_status clear_filled(struct kmm_file *file, uint64_t first, uint64_t end)
{
	struct kmm *k = file->backing.k;

	if (!kmm_file_has_source(file))
		return KMM_OK;
	end = kmm_min_u64(end, nr_file_pages(kmm_min_u64(file->size, file->fill_end)));
	for (uint64_t index = first; index < end; index++) {
		struct kmm_page *page;
		enum kmm_status status = find_page(file, index, NULL, &page);

		if (status)
			return status;
		kmm_clear_page(k, page);
		kmm_file_mark_dirty(file, page);
	}
	return KMM_OK;
}

enum kmm_status kmm_file_punch(struct kmm_file *file, uint64_t first, uint64_t nr)
{
	struct kmm *k = file->backing.k;
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	uint64_t end = first + nr < first ? UINT64_MAX : first + nr, zeros = first;
	enum kmm_status status;

	if (!mapping)
		return KMM_ENOMEM;
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	status = file->seals & KMM_SEALS_WRITING ? KMM_EPERM : clear_filled(file, first, end);
	if (kmm_file_has_source(file))
		zeros = kmm_max_u64(first, kmm_min_u64(end, nr_file_pages(kmm_min_u64(file->size, file->fill_end))));
	if (status == KMM_OK && zeros < end) {
		cut_off(file, zeros, end);
		kmm_mapping_unmap_shown(k, mapping, zeros, end);
	}
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return status;
}

/* ---- seals ---- */

/* Is there a mapping by which the file could be written? b held. */
static bool is_mapped_for_writing(const struct kmm_mapping *mapping)
{
	const uint32_t both = KMM_VM_SHARED | KMM_VM_MAYWRITE;

	for (const struct kmm_list *l = mapping->vmas.next; l != &mapping->vmas; l = l->next)
		if ((kmm_container(l, struct kmm_vma, by_backing)->flags & both) == both)
			return true;
	return false;
}

enum kmm_status kmm_file_add_seals(struct kmm_file *file, uint32_t seals)
{
	struct kmm *k = file->backing.k;
	struct kmm_mapping *mapping = kmm_mapping_get(&file->backing);
	enum kmm_status status = KMM_OK;

	if (seals & ~(uint32_t)KMM_SEAL_ALL)
		return KMM_EINVAL;
	if (!mapping)
		return KMM_ENOMEM;
	kmm_mutex_lock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	if (file->seals & KMM_SEAL_SEAL)
		status = KMM_EPERM;
	else if ((seals & ~file->seals & KMM_SEAL_WRITE) && is_mapped_for_writing(mapping))
		status = KMM_EBUSY;
	else
		file->seals |= seals;
	kmm_mutex_unlock_class(k, &mapping->lock, KMM_LOCK_BACKING);
	return status;
}
