/* SPDX-License-Identifier: MIT */
/*
 * Files with a store: reading pages from it, and writing dirty ones to it.
 *
 * A dirty page of such a file bears KMM_PG_DIRTY and is counted; a writable entry shows dirty pages only. So nothing has to be
 * searched for dirty entries. Writing back a row of pages is, with the file locked from beginning to end:
 *
 *	unmark     the page is clean; a fault that makes it writable now will wait for the lock
 *	protect    its entries lose the right to write and the dirty mark; faults that were on their way see the page clean under
 *	           the table's lock, and begin anew
 *	flush      once for all, then no processor writes to the pages any more
 *	write      those that fail are dirty again, and the file's errors counted
 *
 * The walk to the entries can miss some, as a move's can (migrate.c); then fewer are found than the map count says, and the page
 * is left dirty for another attempt.
 */
#include "pt/leaf.h"
#include "vm/backing.h"
#include "vm/migrate.h"
#include "vm/mm.h"

static void count(kmm_word *counter, kmm_word more)
{
	__atomic_fetch_add(counter, more, __ATOMIC_RELAXED);
}

/* ---- marks and counts ---- */

/* The file has its first dirty page. */
static void list_file(struct kmm_file *file)
{
	struct kmm *k = file->backing.k;
	uint64_t now = kmm_writeback_clock(k);
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);
	bool first = kmm_list_empty(&k->vm->dirty_files);

	kmm_list_add_before(&k->vm->dirty_files, &kmm_mapping_of(&file->backing)->by_dirty);
	file->dirty_since = now;
	file->pass_at = 0;
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
	if (first && k->port->files_dirty)
		k->port->files_dirty(k->port);
}

/* And none any more. */
static void unlist_file(struct kmm_file *file)
{
	struct kmm *k = file->backing.k;
	unsigned long flags = kmm_spin_lock(k, &k->vm->lock, KMM_LOCK_RMAP);

	kmm_list_del(&kmm_mapping_of(&file->backing)->by_dirty);
	kmm_spin_unlock(k, &k->vm->lock, KMM_LOCK_RMAP, flags);
}

void kmm_file_mark_dirty(struct kmm_file *file, struct kmm_page *page)
{
	struct kmm *k = file->backing.k;

	if (!file->store) {
		kmm_page_set_dirty(page);
		return;
	}
	KMM_CHECK_HELD(k, &kmm_mapping_of(&file->backing)->lock);
	if (__atomic_fetch_or(&page->flags, (uint32_t)KMM_PG_DIRTY, __ATOMIC_ACQ_REL) & KMM_PG_DIRTY)
		return;
	count(&k->vm->nr_dirty, 1);
	count(&k->vm->nr_dirtied, 1);
	if (file->nr_dirty++ == 0)
		list_file(file);
}

static bool unmark(struct kmm_page *page)
{
	return (__atomic_fetch_and(&page->flags, ~(uint32_t)KMM_PG_DIRTY, __ATOMIC_ACQ_REL) & KMM_PG_DIRTY) != 0;
}

void kmm_file_mark_clean(struct kmm_file *file, struct kmm_page *page)
{
	struct kmm *k = file->backing.k;

	if (!file->store || !unmark(page))
		return;
	KMM_ASSERT(k, file->nr_dirty > 0);
	count(&k->vm->nr_dirty, -(kmm_word)1);
	if (--file->nr_dirty == 0)
		unlist_file(file);
}

/* ---- transfers ---- */

enum kmm_status kmm_file_read_page(struct kmm_file *file, uint64_t index, struct kmm_page *page)
{
	count(&file->backing.k->vm->nr_read, 1);
	return file->store->read(file, index, 1, &page);
}

static bool write_one(struct kmm_file *file, uint64_t index, struct kmm_page *page, bool awake)
{
	return file->store->write(file, index, 1, &page, awake) == KMM_OK;
}

static void note_error(struct kmm_file *file, uint64_t index)
{
	struct kmm *k = file->backing.k;

	__atomic_fetch_add(&file->nr_errors, 1, __ATOMIC_RELEASE);
	count(&k->vm->nr_write_errors, 1);
	kmm_warn(k, "file %s: page %u cannot be written and stays in memory", file->name ? file->name : "", (unsigned)index);
}

/* In a row; nobody can change them now. They are clean then, but those that failed. */
static void write_pages(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages, bool awake)
{
	struct kmm *k = file->backing.k;
	bool all;

	KMM_ASSERT(k, nr > 0 && nr <= KMM_WRITE_RUN);
	for (unsigned i = 0; i < nr; i++)
		kmm_file_mark_clean(file, pages[i]);
	count(&k->vm->nr_writing, nr);
	all = file->store->write(file, first, nr, pages, awake) == KMM_OK;
	for (unsigned i = 0; i < nr && !all; i++) { /* what is wrong with one is no reason to keep the others */
		if (nr > 1 && write_one(file, first + i, pages[i], awake))
			continue;
		note_error(file, first + i);
		kmm_file_mark_dirty(file, pages[i]);
	}
	count(&k->vm->nr_writing, -(kmm_word)nr);
	count(&k->vm->nr_written, nr);
}

/* ---- pages in a row ---- */

struct row {
	struct kmm_file *file;
	uint64_t first;
	unsigned nr;
	struct kmm_page *page[KMM_WRITE_RUN];
	struct kmm_flushes flushes;
};

/* false: none. */
static bool find_row(struct row *r, uint64_t at, uint64_t end)
{
	struct kmm *k = r->file->backing.k;
	struct kmm_page *page;

	for (; r->nr < KMM_WRITE_RUN && (page = kmm_radix_next(k, r->file->pages, &at)) != NULL && at < end; at++) {
		if (r->nr && at != r->first + r->nr)
			break;
		if (!(kmm_page_flags(page) & KMM_PG_DIRTY)) {
			if (r->nr)
				break;
			continue;
		}
		if (!r->nr)
			r->first = at;
		r->page[r->nr++] = page;
	}
	return r->nr > 0;
}

/* Entries of a page that is being evicted are moving ones; should the page stay, they are to be as clean as the others. */
struct protection {
	struct kmm *k;
	const struct kmm_page *page;
	struct kmm_flushes *flushes;
	unsigned found;
	bool is_full;            /* no room to note one more flush */
};

static bool protect_entry(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct protection *p = arg;
	struct kmm_mm *mm = vma->mm;

	if (!kmm_leaf_is_mapped(ref->entry) || kmm_leaf_page(p->k, kmm_leaf_read(p->k, ref->entry)) != p->page)
		return true;
	if (kmm_entry_load_low(ref->entry) & (KMM_X86_RW | KMM_X86_D)) {
		p->is_full = !kmm_flushes_note(p->flushes, mm->space.root, va);
		if (p->is_full)
			return false;
		kmm_leaf_remove(ref->entry, KMM_X86_RW | KMM_X86_D);
		kmm_trace(p->k, KMM_EV_PT_SET, va, kmm_leaf_read(p->k, ref->entry), 0, mm->space.root.v);
	}
	p->found++;
	return true;
}

/* false: entries were missed. */
static bool protect(struct row *r, unsigned i)
{
	struct kmm_mapping *mapping = kmm_mapping_of(&r->file->backing);
	struct kmm_guest guest = { .owner = &mapping->guests, .sort = KMM_OWNER_MAPPING, .index = r->first + i };
	struct protection p = { .k = r->file->backing.k, .page = r->page[i], .flushes = &r->flushes };

	if (!atomic_load_explicit(&r->page[i]->count, memory_order_acquire))
		return true;
	do {
		p.found = 0;
		p.is_full = false;
		kmm_guest_walk(p.k, &guest, protect_entry, &p);
		if (p.is_full)
			kmm_flushes_run(p.k, &r->flushes);
	} while (p.is_full);
	return p.found == atomic_load_explicit(&r->page[i]->count, memory_order_acquire);
}

/* Clean and write-protected, then nothing but the store's business. */
static bool settle(struct row *r, unsigned i)
{
	kmm_file_mark_clean(r->file, r->page[i]);
	if (protect(r, i)) {
		unmark(r->page[i]); /* by entries that were taken meanwhile; what they wrote is seen by the transfer */
		return true;
	}
	unmark(r->page[i]);
	kmm_file_mark_dirty(r->file, r->page[i]);
	return false;
}

bool kmm_file_write_next(struct kmm_file *file, uint64_t *at, uint64_t end, bool awake)
{
	struct row r = { .file = file };
	unsigned nr = 0;

	KMM_ASSERT_HELD(file->backing.k, &kmm_mapping_of(&file->backing)->lock);
	if (!file->nr_dirty || !find_row(&r, *at, end))
		return false;
	while (nr < r.nr && settle(&r, nr))
		nr++;
	kmm_flushes_run(file->backing.k, &r.flushes);
	*at = r.first + nr;
	if (nr)
		write_pages(file, r.first, nr, r.page, awake);
	return true;
}
