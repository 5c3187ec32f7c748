/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes between the core's callers and the memory of a space, page by page through windows. An entry that allows
 * the access is used as it is, with the marks the processor would set; otherwise the fault handler is asked, so rights,
 * copy on write and stack growth are the program's own.
 *
 * The kernel comes here before any processor, so damaged tables, which to a program are a fault that ends it, are refused: an
 * entry that cannot be is none, and nobody is asked to put a page there.
 *
 * No lock is held while bytes move: the entry is found by a walk, and the page is held by a reference taken under the
 * table's lock, so neither an unmap nor a truncation takes it away meanwhile. What they do before or after is as if the
 * copy had been a program's own accesses.
 */
#include "fault/fault.h"

#include "pt/walking.h"
#include "vm/backing.h"

struct range {
	struct kmm_mm *mm;
	kmm_word at;
	size_t left;
	enum kmm_access access;
	bool damaged; /* the tables, at the start of the range */
};

/* The page at the start of the range, referenced, if its entry allows the access. In a walk. */
static struct kmm_page *walk_to_page(const struct range *r)
{
	struct kmm_mm *mm = r->mm;
	struct kmm *k = mm->k;
	uint32_t need = KMM_PTE_PRESENT | KMM_PTE_USER, mark = KMM_PTE_ACCESSED;
	struct kmm_page *page = NULL;
	struct kmm_ptref ref;
	struct kmm_pte pte;
	unsigned long flags;
	uint64_t raw;

	if (r->access == KMM_WRITE) {
		need |= KMM_PTE_WRITE;
		mark |= KMM_PTE_DIRTY;
	}
	if (!kmm_pt_lookup_lock_wary(k, &mm->space, r->at, &ref, &flags))
		return NULL;
	raw = kmm_pt_read(k, &ref);
	pte = kmm_pt_decode(k, raw);
	if ((pte.flags & need) == need && kmm_pt_leaf_is_possible(k, raw))
		page = kmm_pfn_to_page(k, pte.pfn);
	if (page)
		kmm_get_page(k, page);
	if (page && (pte.flags & mark) != mark) {
		pte.flags |= mark;
		kmm_pt_write(k, &mm->space, &ref, r->at & ~(kmm_word)(KMM_PAGE_SIZE - 1), kmm_pt_encode(k, pte));
	}
	kmm_pt_unlock(k, &ref, flags);
	return page;
}

static struct kmm_page *try_page(struct range *r)
{
	unsigned long flags = kmm_walk_begin(r->mm->k, &r->mm->space);
	struct kmm_page *page = walk_to_page(r);

	if (!page)
		r->damaged = kmm_pt_is_damaged(r->mm->k, &r->mm->space, r->at);
	kmm_walk_end(r->mm->k, flags);
	return page;
}

/* NULL: the address cannot be reached that way. */
static struct kmm_page *get_page(struct range *r)
{
	struct kmm_page *page = try_page(r);

	while (!page) {
		if (r->damaged || kmm_fault_in(r->mm, r->at, r->access) != KMM_FAULT_OK)
			return NULL;
		page = try_page(r);
	}
	return page;
}

static bool is_user_range(const struct kmm_mm *mm, kmm_word start, size_t len)
{
	kmm_word task_size = kmm_mm_task_size(mm);

	return start <= task_size && len <= task_size - start;
}

/* The next piece within one page: a view of its first byte. NULL: unreachable. */
static char *begin_piece(struct range *r, struct kmm_page **page, size_t *len)
{
	size_t offset = (size_t)(r->at & (KMM_PAGE_SIZE - 1)), rest = KMM_PAGE_SIZE - offset;
	char *view;

	*page = get_page(r);
	if (!*page)
		return NULL;
	*len = r->left < rest ? r->left : rest;
	view = kmm_kmap_local(r->mm->k, *page);
	return view + offset;
}

static void end_piece(struct range *r, struct kmm_page *page, char *view, size_t len)
{
	kmm_kunmap_local(r->mm->k, view - (r->at & (KMM_PAGE_SIZE - 1)));
	if (r->access == KMM_WRITE && kmm_page_is_stored_clean(page)) /* written back after its entry was seen */
		kmm_page_note_written(r->mm->k, page);
	kmm_put_page(r->mm->k, page);
	r->at += (kmm_word)len;
	r->left -= len;
}

enum kmm_status kmm_copy_in(struct kmm_mm *mm, void *to, struct kmm_uva from, size_t len, size_t *done)
{
	struct range r = { mm, from.v, len, KMM_READ, false };
	struct kmm_page *page;
	char *view;
	size_t part;

	if (done)
		*done = 0;
	if (!is_user_range(mm, from.v, len))
		return KMM_EFAULT;
	while (r.left > 0 && (view = begin_piece(&r, &page, &part)) != NULL) {
		memcpy((char *)to + (len - r.left), view, part);
		end_piece(&r, page, view, part);
	}
	if (done)
		*done = len - r.left;
	return r.left ? KMM_EFAULT : KMM_OK;
}

enum kmm_status kmm_copy_out(struct kmm_mm *mm, struct kmm_uva to, const void *from, size_t len, size_t *done)
{
	struct range r = { mm, to.v, len, KMM_WRITE, false };
	struct kmm_page *page;
	char *view;
	size_t part;

	if (done)
		*done = 0;
	if (!is_user_range(mm, to.v, len))
		return KMM_EFAULT;
	while (r.left > 0 && (view = begin_piece(&r, &page, &part)) != NULL) {
		memcpy(view, (const char *)from + (len - r.left), part);
		end_piece(&r, page, view, part);
	}
	if (done)
		*done = len - r.left;
	return r.left ? KMM_EFAULT : KMM_OK;
}

/* ---- another process's memory ---- */

static bool area_allows(struct kmm_mm *mm, kmm_word at, enum kmm_access access)
{
	struct kmm_vma_info area;

	return kmm_vma_find(mm, (struct kmm_uva){ at }, &area) && area.start.v <= at &&
	       (area.prot & (access == KMM_WRITE ? KMM_PROT_WRITE : KMM_PROT_READ));
}

/* How many of the next bytes lie in one page whose area allows the access; 0: none. */
static size_t allowed_part(struct kmm_mm *mm, kmm_word at, size_t left, enum kmm_access access)
{
	size_t rest = KMM_PAGE_SIZE - (size_t)(at & (KMM_PAGE_SIZE - 1));

	if (!left || !area_allows(mm, at, access))
		return 0;
	return left < rest ? left : rest;
}

enum kmm_status kmm_peek(struct kmm_mm *mm, void *to, struct kmm_uva from, size_t len, size_t *done)
{
	enum kmm_status status = KMM_OK;
	size_t part, moved;

	*done = 0;
	while (status == KMM_OK && (part = allowed_part(mm, from.v + (kmm_word)*done, len - *done, KMM_READ)) > 0) {
		status = kmm_copy_in(mm, (char *)to + *done, (struct kmm_uva){ from.v + (kmm_word)*done }, part, &moved);
		*done += moved;
	}
	return *done < len ? KMM_EFAULT : KMM_OK;
}

enum kmm_status kmm_poke(struct kmm_mm *mm, struct kmm_uva to, const void *from, size_t len, size_t *done)
{
	enum kmm_status status = KMM_OK;
	size_t part, moved;

	*done = 0;
	while (status == KMM_OK && (part = allowed_part(mm, to.v + (kmm_word)*done, len - *done, KMM_WRITE)) > 0) {
		status = kmm_copy_out(mm, (struct kmm_uva){ to.v + (kmm_word)*done }, (const char *)from + *done, part, &moved);
		*done += moved;
	}
	return *done < len ? KMM_EFAULT : KMM_OK;
}

enum kmm_status kmm_clear_user(struct kmm_mm *mm, struct kmm_uva to, size_t len)
{
	struct range r = { mm, to.v, len, KMM_WRITE, false };
	struct kmm_page *page;
	char *view;
	size_t part;

	if (!is_user_range(mm, to.v, len))
		return KMM_EFAULT;
	while (r.left > 0 && (view = begin_piece(&r, &page, &part)) != NULL) {
		memset(view, 0, part);
		end_piece(&r, page, view, part);
	}
	return r.left ? KMM_EFAULT : KMM_OK;
}

enum kmm_status kmm_compare_swap_user(struct kmm_mm *mm, struct kmm_uva at, uint32_t *expected, uint32_t desired,
				      bool *swapped)
{
	struct range r = { mm, at.v, sizeof(*expected), KMM_WRITE, false };
	struct kmm_page *page;
	size_t part;
	char *view;

	if (at.v % sizeof(*expected) || !is_user_range(mm, at.v, sizeof(*expected)))
		return KMM_EFAULT;
	kmm_mm_lock(mm);
	view = begin_piece(&r, &page, &part);
	if (view) {
		*swapped = atomic_compare_exchange_strong((_Atomic uint32_t *)(void *)view, expected, desired);
		end_piece(&r, page, view, part);
	}
	kmm_mm_unlock(mm);
	return view ? KMM_OK : KMM_EFAULT;
}

/* Copies up to and with the first 0; returns whether there was one. */
static bool copy_string_part(char *to, const char *from, size_t len, size_t *copied)
{
	for (size_t i = 0; i < len; i++) {
		to[i] = from[i];
		if (!from[i]) {
			*copied = i;
			return true;
		}
	}
	*copied = len;
	return false;
}

enum kmm_status kmm_copy_in_string(struct kmm_mm *mm, char *to, struct kmm_uva from, size_t size, size_t *len)
{
	kmm_word task_size = kmm_mm_task_size(mm);
	struct range r = { mm, from.v, size, KMM_READ, false };
	struct kmm_page *page;
	char *view;
	size_t part, copied, total = 0;
	bool ended = false;

	if (from.v >= task_size)
		return KMM_EFAULT;
	if (r.left > task_size - from.v)
		r.left = (size_t)(task_size - from.v);
	while (!ended && r.left > 0 && (view = begin_piece(&r, &page, &part)) != NULL) {
		ended = copy_string_part(to + total, view, part, &copied);
		total += copied;
		end_piece(&r, page, view, part);
	}
	if (!ended)
		return r.left > 0 || total < size ? KMM_EFAULT : KMM_EOVERFLOW;
	if (len)
		*len = total;
	return KMM_OK;
}
