/* SPDX-License-Identifier: MIT */
/*
 * Faults in watched areas (kmm/userfault.h): which of them stop, and the pages that their watcher provides.
 *
 *	the fault      locks the area, sees that there is no page, unlocks, tells the watcher, who sleeps
 *	the provider   locks the area, puts the page there unless there is one, unlocks; then wakes whom it knows to sleep
 *	the fault      is tried again from the beginning
 *
 * The watcher asks kmm_userfault_waits() once it is known to sleep, so a page that came in between is not missed.
 */
#include "fault/fault.h"

#include "swap/swap.h"
#include "vm/backing.h"

/* Does the shared memory have the page? Beyond its end there is nothing to wait for: that is for an ordinary fault. */
static unsigned why_shared(const struct kmm_vma *vma, kmm_word addr)
{
	switch (kmm_file_state((struct kmm_file *)vma->backing, kmm_vma_index(vma, addr))) {
	case KMM_FILE_PAGE:
		return vma->flags & KMM_VM_WATCH_MINOR ? KMM_USERFAULT_MINOR : 0;
	case KMM_FILE_HOLE:
		return vma->flags & KMM_VM_WATCH_MISSING ? KMM_USERFAULT_MISSING : 0;
	default:
		return 0;
	}
}

unsigned kmm_fault_why_stopped(const struct kmm_fault *f)
{
	const struct kmm_vma *vma = f->vma;

	if (!vma->userfault)
		return 0;
	if (f->raw & KMM_X86_P)
		return f->access == KMM_WRITE && (f->raw & KMM_X86_WATCHED) && (vma->flags & KMM_VM_WATCH_WRITES) ? KMM_USERFAULT_WRITES : 0;
	if (f->raw && f->raw != KMM_RAW_WATCHED_HOLE)
		return 0;
	if (vma->backing)
		return why_shared(vma, f->addr);
	return vma->flags & KMM_VM_WATCH_MISSING ? KMM_USERFAULT_MISSING : 0;
}

/* Area unlocked, its watcher held by a reference of ours. */
enum kmm_fault_kind kmm_fault_tell(const struct kmm_fault *f, struct kmm_mm *mm, struct kmm_userfault *u, kmm_word addr, unsigned why)
{
	enum kmm_status status = u->ops->fault(u, mm, kmm_uva(addr), f->access, why);

	kmm_userfault_put(u);
	if (status == KMM_OK)
		return KMM_FAULT_OK;
	return status == KMM_ERANGE ? KMM_FAULT_BUS_ADRERR : KMM_FAULT_SEGV_MAPERR;
}

/* ---- providing ---- */

/* The watched area of addr, locked for reading, with what private pages need. */
static enum kmm_status lock_watched(struct kmm_mm *mm, kmm_word addr, struct kmm_fault *f)
{
	enum kmm_status status = KMM_ENOENT;
	struct kmm_vma *vma;

	if (addr & (KMM_PAGE_SIZE - 1))
		return KMM_EINVAL;
	*f = (struct kmm_fault){ .addr = addr, .access = KMM_READ };
	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr);
	if (vma && vma->start <= addr && vma->userfault) {
		status = kmm_vma_is_private(vma) ? kmm_anon_prepare(vma) : KMM_OK;
		if (status == KMM_OK)
			kmm_vma_read(vma);
		f->vma = vma;
	}
	kmm_mm_unlock(mm);
	return status;
}

/* Something has happened that the watcher has not heard of yet, so what it provides may be wrong. */
static bool is_changing(const struct kmm_fault *f)
{
	return __atomic_load_n(&f->vma->userfault->changing, __ATOMIC_ACQUIRE) != 0;
}

static void fill_page(struct kmm *k, struct kmm_page *page, const void *content)
{
	void *to;

	if (!content) {
		kmm_clear_page(k, page);
		return;
	}
	to = kmm_kmap_local(k, page);
	memcpy(to, content, KMM_PAGE_SIZE);
	kmm_kunmap_local(k, to);
}

/* Provided pages count as written. */
static enum kmm_status provide_private(struct kmm_fault *f, const void *content, bool watched)
{
	const uint64_t written = KMM_X86_D | KMM_X86_SOFT_DIRTY, writable = f->vma->flags & KMM_VM_WRITE ? KMM_X86_RW : 0;
	uint64_t rights = kmm_fault_rights(f) | written | (watched ? KMM_X86_WATCHED : writable);
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *page;
	enum kmm_status status;

	if (!content && !watched && !f->vma->backing)
		return kmm_fault_zero(f);
	page = kmm_fault_new_page(f);
	if (!page)
		return KMM_ENOMEM;
	fill_page(k, page, content);
	status = kmm_fault_install(f, page, rights, NULL);
	if (status)
		kmm_put_page(k, page);
	return status;
}

/* Where the entry is none it gets the mark that the page will have, or it loses it. false: no memory. */
static bool mark_hole(struct kmm_fault *f, bool watched)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_ptref ref;
	unsigned long flags;
	uint64_t raw;

	if (kmm_pt_make(mm->k, &mm->space, f->addr, KMM_GFP_KERNEL) != KMM_OK)
		return false;
	if (!kmm_pt_lookup_lock(mm->k, &mm->space, f->addr, &ref, &flags))
		return true;
	raw = kmm_pt_read(mm->k, &ref);
	if (raw == (watched ? 0 : KMM_RAW_WATCHED_HOLE))
		kmm_pt_write(mm->k, &mm->space, &ref, f->addr, watched ? KMM_RAW_WATCHED_HOLE : 0);
	kmm_pt_unlock(mm->k, &ref, flags);
	return true;
}

/* As a read would map it. The mark goes first, so that no write comes in between. */
static enum kmm_status provide_shared(struct kmm_fault *f, const void *content, bool watched)
{
	enum kmm_status status = kmm_file_provide((struct kmm_file *)f->vma->backing, kmm_vma_index(f->vma, f->addr), content);

	if (status)
		return status;
	return mark_hole(f, watched) ? kmm_fault_resolve(f) : KMM_ENOMEM;
}

/* The area locked. What was watched before there was a page is so no more unless that is asked for. */
static enum kmm_status provide(struct kmm_fault *f, const void *content, bool watched)
{
	kmm_fault_look(f);
	if (f->raw && f->raw != KMM_RAW_WATCHED_HOLE)
		return KMM_EEXIST;
	if (!kmm_vma_is_private(f->vma))
		return provide_shared(f, content, watched);
	if (f->raw && !watched)
		return mark_hole(f, false) ? KMM_EAGAIN : KMM_ENOMEM;
	return provide_private(f, content, watched);
}

static enum kmm_status fill(struct kmm_mm *mm, kmm_word addr, const void *content, bool watched)
{
	struct kmm_fault f;
	enum kmm_status status = lock_watched(mm, addr, &f);

	if (status)
		return status;
	if (is_changing(&f))
		status = KMM_EAGAIN;
	else if (watched && !(f.vma->flags & KMM_VM_WATCH_WRITES))
		status = KMM_EINVAL;
	else
		while ((status = provide(&f, content, watched)) == KMM_EAGAIN)
			;
	kmm_vma_read_end(f.vma);
	return status;
}

enum kmm_status kmm_userfault_fill(struct kmm_mm *mm, struct kmm_uva addr, const void *content)
{
	return fill(mm, addr.v, content, false);
}

enum kmm_status kmm_userfault_fill_watched(struct kmm_mm *mm, struct kmm_uva addr, const void *content)
{
	return fill(mm, addr.v, content, true);
}

enum kmm_status kmm_userfault_continue(struct kmm_mm *mm, struct kmm_uva addr)
{
	struct kmm_fault f;
	enum kmm_status status = lock_watched(mm, addr.v, &f);

	if (status)
		return status;
	kmm_fault_look(&f);
	if (is_changing(&f))
		status = KMM_EAGAIN;
	else if (!f.vma->backing)
		status = KMM_EINVAL;
	else if (f.raw && f.raw != KMM_RAW_WATCHED_HOLE)
		status = KMM_EEXIST;
	else if (kmm_file_state((struct kmm_file *)f.vma->backing, kmm_vma_index(f.vma, f.addr)) != KMM_FILE_PAGE)
		status = KMM_EFAULT;
	else
		status = mark_hole(&f, false) ? kmm_fault_resolve(&f) : KMM_ENOMEM;
	kmm_vma_read_end(f.vma);
	return status;
}

bool kmm_userfault_waits(struct kmm_mm *mm, struct kmm_uva addr, unsigned why)
{
	struct kmm_fault f;
	bool waits;

	if (lock_watched(mm, addr.v & ~(kmm_word)(KMM_PAGE_SIZE - 1), &f) != KMM_OK)
		return false;
	if (why == KMM_USERFAULT_WRITES)
		f.access = KMM_WRITE;
	kmm_fault_look(&f);
	waits = (kmm_fault_why_stopped(&f) & why) != 0;
	kmm_vma_read_end(f.vma);
	return waits;
}
