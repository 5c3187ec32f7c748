/* SPDX-License-Identifier: MIT */
/*
 * Pins: pages of a space that somebody uses for longer than one access (kmm_pin_user()).
 *
 * A pin is KMM_PIN_REFS references. References beyond mappings keep a page from being moved or swapped out, as everywhere.
 * What makes pins more than that is copy on write:
 *
 *   - a private page is pinned only while one entry alone shows it (else it is copied first: kmm_fault_unshare()),
 *   - from then on a fork copies it instead of sharing it (vm/fork.c),
 *   - so a write to it, should its entry have lost the right meanwhile, never copies it (cow.c).
 *
 * So page and pin stay together as long as the entry does. Pins are taken with the entry's table locked, where fork looks, too.
 * The zero page and pages of backings are pinned as they are for reading; the zero page is not counted, as by entries.
 */
#include "fault/fault.h"

#include "phys/phys.h"
#include "pt/leaf.h"
#include "vm/backing.h"
#include "vm/migrate.h"

enum { ROUNDS = 8, MOST_REFS = 1 << 30 };

struct pin {
	struct kmm_mm *mm;
	unsigned flags;
	struct kmm_fault fault;
	struct kmm_page *page; /* the result */
};

/* ---- rights ---- */

static bool may_pin(const struct kmm_vma *vma, unsigned flags)
{
	if (flags & KMM_PIN_WRITE)
		return (vma->flags & KMM_VM_WRITE) ||
		       ((flags & KMM_PIN_FORCE) && kmm_vma_is_private(vma) && (vma->flags & KMM_VM_MAYWRITE));
	return (vma->flags & KMM_VM_READ) || ((flags & KMM_PIN_FORCE) && (vma->flags & KMM_VM_MAYREAD));
}

/* The area of addr, locked for reading, with what private pages need if there are to be any: whoever reads makes none, and an
 * area that never had one is not copied by fork. Stacks do not grow by this. */
static enum kmm_status lock_area(struct pin *p)
{
	struct kmm_mm *mm = p->mm;
	struct kmm_vma *vma;
	enum kmm_status status = KMM_EFAULT;

	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, p->fault.addr);
	if (vma && vma->start <= p->fault.addr && may_pin(vma, p->flags)) {
		status = (p->flags & KMM_PIN_WRITE) && kmm_vma_is_private(vma) ? kmm_anon_prepare(vma) : KMM_OK;
		if (status == KMM_OK)
			kmm_vma_read(vma);
		p->fault.vma = vma;
	}
	kmm_mm_unlock(mm);
	return status;
}

/* ---- one page ---- */

static bool is_alone(const struct kmm_page *page)
{
	return kmm_page_kind(page) == KMM_KIND_ANON && atomic_load_explicit(&page->count, memory_order_relaxed) == 1;
}

/* Can it be pinned as the entry shows it? Table locked. */
static bool is_fit(const struct pin *p, const struct kmm_page *page, uint64_t raw)
{
	const struct kmm_vma *vma = p->fault.vma;
	bool write = (p->flags & KMM_PIN_WRITE) != 0;

	if (kmm_page_kind(page) == KMM_KIND_ANON && !is_alone(page))
		return false;
	if (!write || (raw & KMM_X86_RW))
		return true;
	if (raw & KMM_X86_WATCHED)
		return false;
	/* By force: private, and the program itself will not get the right by a fault. */
	return is_alone(page) && !(vma->flags & KMM_VM_WRITE);
}

/* What only the area may say is said already: a page that is there is fit, or has to be copied, or the entry wants a fault. */
static bool needs_copy(const struct pin *p)
{
	const struct kmm_vma *vma = p->fault.vma;
	struct kmm_page *page;

	if (!(p->fault.raw & KMM_X86_P) || !kmm_vma_is_private(vma))
		return false;
	page = kmm_leaf_page(p->mm->k, p->fault.raw);
	if (p->flags & KMM_PIN_WRITE)
		return !(vma->flags & KMM_VM_WRITE) && !is_alone(page);
	return kmm_page_kind(page) == KMM_KIND_ANON && !is_alone(page);
}

static void take_refs(struct kmm *k, struct kmm_page *page)
{
	unsigned was;

	if (kmm_page_kind(page) == KMM_KIND_ZERO)
		return;
	was = atomic_fetch_add_explicit(&page->refcount, KMM_PIN_REFS, memory_order_relaxed);
	KMM_ASSERT(k, was > 0 && was < MOST_REFS);
	__atomic_fetch_add(&k->vm->nr_pins, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&k->vm->pins_taken, 1, __ATOMIC_RELAXED);
}

/* The page, if it is there and fit. */
static bool take(struct pin *p)
{
	uint64_t marks = KMM_X86_A | (p->flags & KMM_PIN_WRITE ? KMM_X86_D | KMM_X86_SOFT_DIRTY : 0u);
	struct kmm *k = p->mm->k;
	struct kmm_ptref ref;
	unsigned long irq;
	uint64_t raw;

	p->page = NULL;
	if (!kmm_pt_lookup_lock(k, &p->mm->space, p->fault.addr, &ref, &irq))
		return false;
	raw = kmm_pt_read(k, &ref);
	if ((raw & KMM_X86_P) && is_fit(p, kmm_leaf_page(k, raw), raw)) {
		p->page = kmm_leaf_page(k, raw);
		take_refs(k, p->page);
		kmm_leaf_add(ref.entry, marks);
	}
	kmm_pt_unlock(k, &ref, irq);
	return p->page != NULL;
}

/* Area locked: faults until the page is fit. */
static enum kmm_status take_by_faults(struct pin *p)
{
	enum kmm_status status = KMM_OK;

	p->fault.access = (p->flags & KMM_PIN_WRITE) && (p->fault.vma->flags & KMM_VM_WRITE) ? KMM_WRITE : KMM_READ;
	while (!take(p) && (status == KMM_OK || status == KMM_EAGAIN)) {
		kmm_fault_look(&p->fault);
		status = needs_copy(p) ? kmm_fault_unshare(&p->fault) : kmm_fault_resolve(&p->fault);
	}
	if (p->page)
		return KMM_OK;
	return status == KMM_ENOMEM ? KMM_ENOMEM : KMM_EFAULT;
}

/* errors: also KMM_EAGAIN: the area is watched. */
static enum kmm_status try_page(struct pin *p)
{
	enum kmm_status status = lock_area(p);

	if (status)
		return status;
	if (kmm_pt_is_damaged(p->mm->k, &p->mm->space, p->fault.addr))
		status = KMM_EFAULT;
	else if (!take(p))
		status = p->fault.vma->userfault ? KMM_EAGAIN : take_by_faults(p);
	kmm_vma_read_end(p->fault.vma);
	return status;
}

/* In an area whose faults are somebody else's to resolve the page is faulted in as by the program, and then tried again. */
static enum kmm_status pin_page(struct pin *p)
{
	enum kmm_access access = p->flags & KMM_PIN_WRITE ? KMM_WRITE : KMM_READ;
	enum kmm_status status;

	while ((status = try_page(p)) == KMM_EAGAIN)
		if (kmm_fault_in(p->mm, p->fault.addr, access) != KMM_FAULT_OK)
			return KMM_EFAULT;
	return status;
}

/* ---- for long ---- */

/* Is that a place from which pages must be able to go? */
static bool is_in_the_way(struct kmm *k, const struct kmm_page *page)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, page);
	kmm_word pfn = kmm_pfn_of(k->phys, page);

	if (kmm_page_kind(page) != KMM_KIND_ANON && kmm_page_kind(page) != KMM_KIND_FILE)
		return false;
	return z->id == KMM_ZONE_MOVABLE || kmm_tract_mobility(&z->tract[kmm_tract_of(z, pfn)]) >= KMM_MOBILITY_CMA;
}

static struct kmm_page *lasting_target(void *arg, enum kmm_kind kind)
{
	return kmm_phys_alloc(arg, KMM_GFP_HIGHUSER | KMM_GFP_NOWARN, 0, kind, "pinned page");
}

/* errors: KMM_ENOMEM: it could not be moved away, too often. */
static enum kmm_status pin_for_long(struct pin *p)
{
	struct kmm *k = p->mm->k;
	struct kmm_mover mover = { .k = k, .may_wait = true, .target = lasting_target, .arg = k };

	for (unsigned i = 0; i < ROUNDS; i++) {
		enum kmm_status status = pin_page(p);
		kmm_word pfn;

		if (status || !is_in_the_way(k, p->page))
			return status;
		pfn = kmm_pfn_of(k->phys, p->page);
		kmm_unpin_user(k, &p->page, 1, false);
		if (kmm_move_frames(&mover, &pfn, 1) != KMM_OK)
			break;
	}
	return KMM_ENOMEM;
}

/* ---- all of them ---- */

enum kmm_status kmm_pin_user(struct kmm_mm *mm, struct kmm_uva addr, kmm_word nr, unsigned flags, struct kmm_page **pages,
			     kmm_word *done)
{
	struct pin p = { .mm = mm, .flags = flags };
	enum kmm_status status = KMM_OK;

	*done = 0;
	KMM_ASSERT(mm->k, !(flags & ~(unsigned)(KMM_PIN_WRITE | KMM_PIN_FORCE | KMM_PIN_LONGTERM)));
	p.fault.addr = addr.v & ~(kmm_word)(KMM_PAGE_SIZE - 1);
	for (; *done < nr && status == KMM_OK; p.fault.addr += KMM_PAGE_SIZE) {
		if (p.fault.addr >= kmm_mm_task_size(mm))
			return KMM_EFAULT;
		status = flags & KMM_PIN_LONGTERM ? pin_for_long(&p) : pin_page(&p);
		if (status == KMM_OK)
			pages[(*done)++] = p.page;
	}
	return status;
}

void kmm_unpin_user(struct kmm *k, struct kmm_page *const *pages, kmm_word nr, bool dirty)
{
	for (kmm_word i = 0; i < nr; i++) {
		struct kmm_page *page = pages[i];

		if (kmm_page_kind(page) == KMM_KIND_ZERO)
			continue;
		KMM_ASSERT(k, atomic_load_explicit(&page->refcount, memory_order_relaxed) >= KMM_PIN_REFS);
		if (dirty && kmm_page_kind(page) == KMM_KIND_FILE)
			kmm_page_note_written(k, page);
		__atomic_fetch_sub(&k->vm->nr_pins, 1, __ATOMIC_RELAXED);
		atomic_fetch_sub_explicit(&page->refcount, KMM_PIN_REFS - 1, memory_order_release);
		kmm_put_page(k, page);
	}
}

kmm_word kmm_nr_pins(struct kmm *k)
{
	return __atomic_load_n(&k->vm->nr_pins, __ATOMIC_RELAXED);
}
