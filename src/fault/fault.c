/* SPDX-License-Identifier: MIT */
/*
 * The entry of faults, their classification, and the writing of entries. The only loop that tries again is
 * resolve().
 */
#include "fault/fault.h"

#include "pt/walking.h"
#include "swap/swap.h"
#include "vm/backing.h"
#include "vm/migrate.h"

/* The common way is one function after inlining; what is rare is kept out of it, so that it saves few registers. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline)) static
#define RARE(cond) __builtin_expect(!!(cond), 0)

enum kmm_fault_case kmm_fault_classify(uint32_t vm_flags, bool backed, uint32_t pte_flags, enum kmm_access access)
{
	bool write = access == KMM_WRITE, shared = (vm_flags & KMM_VM_SHARED) != 0;

	if (pte_flags & KMM_PTE_PRESENT) {
		if (!write || (pte_flags & KMM_PTE_WRITE))
			return KMM_CASE_SPURIOUS;
		return shared ? KMM_CASE_MAKE_WRITABLE : KMM_CASE_COPY_ON_WRITE;
	}
	if (backed)
		return write && !shared ? KMM_CASE_FILE_COPY : KMM_CASE_FILE;
	return write ? KMM_CASE_ANON : KMM_CASE_ZERO;
}

/* ---- entries ---- */

/* Without a lock: the table stays, and whoever acts on what was seen compares again. */
ALWAYS_INLINE void look(struct kmm_fault *f)
{
	struct kmm_mm *mm = f->vma->mm;

	f->moves = kmm_moves(mm->k);
	f->has_table = kmm_pt_lookup(mm->k, &mm->space, f->addr, &f->ref);
	f->raw = f->has_table ? kmm_pt_read(mm->k, &f->ref) : 0;
}

static void drop_old(struct kmm_fault *f, struct kmm_page *old)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm_tlb tlb;

	kmm_tlb_begin(mm->k, &tlb, &mm->space);
	kmm_tlb_note(mm->k, &tlb, f->addr, kmm_page_kind(old) == KMM_KIND_ZERO ? NULL : old);
	kmm_tlb_flush(mm->k, &tlb);
}

/* The entry's table, locked. false: there is none, or it just died: look again. */
static inline bool lock_entry(struct kmm_fault *f, unsigned long *flags)
{
	struct kmm *k = f->vma->mm->k;

	if (!f->has_table)
		return kmm_pt_lookup_lock(k, &f->vma->mm->space, f->addr, &f->ref, flags);
	return kmm_table_lock(k, f->ref.table, flags);
}

/* Where no table was, one is made and locked. */
NOINLINE enum kmm_status make_and_lock(struct kmm_fault *f, unsigned long *flags)
{
	struct kmm_mm *mm = f->vma->mm;

	if (kmm_pt_make(mm->k, &mm->space, f->addr, KMM_GFP_KERNEL) != KMM_OK)
		return KMM_ENOMEM;
	return lock_entry(f, flags) ? KMM_OK : KMM_EAGAIN;
}

/* What was seen is a page, or a hole whose writes are watched; watched it stays. */
NOINLINE enum kmm_status replace(struct kmm_fault *f, struct kmm_page *page, uint64_t raw, const struct kmm_page *source)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm *k = mm->k;
	struct kmm_page *old = f->raw & KMM_X86_P ? kmm_leaf_page(k, f->raw) : NULL;
	unsigned long flags;
	bool same;

	KMM_CHECK(k, old || f->raw == KMM_RAW_WATCHED_HOLE);
	if (kmm_raw_is_watched(f->raw))
		raw = (raw & ~(uint64_t)KMM_X86_RW) | KMM_X86_WATCHED;
	if (!lock_entry(f, &flags))
		return KMM_EAGAIN;
	same = kmm_pt_read(k, &f->ref) == f->raw && f->moves == kmm_moves(k) && !(source && kmm_page_is_cut_off(source));
	if (same) {
		kmm_pt_write(k, &mm->space, &f->ref, f->addr, raw);
		if (old)
			kmm_vma_count_page(f->vma, old, false);
		kmm_vma_count_page(f->vma, page, true);
	}
	kmm_pt_unlock(k, &f->ref, flags);
	if (same && old)
		drop_old(f, old);
	return same ? KMM_OK : KMM_EAGAIN;
}

enum kmm_status kmm_fault_install(struct kmm_fault *f, struct kmm_page *page, uint64_t rights, const struct kmm_page *source)
{
	struct kmm_mm *mm = f->vma->mm;
	struct kmm *k = mm->k;
	uint64_t raw = kmm_pt_leaf(rights, kmm_pfn(kmm_pfn_of(k->phys, page)));
	unsigned long flags;
	bool free;

	if (f->raw)
		return replace(f, page, raw, source);
	if (RARE(!f->has_table)) {
		enum kmm_status status = make_and_lock(f, &flags);

		if (status)
			return status;
	} else if (!kmm_table_lock(k, f->ref.table, &flags)) {
		return KMM_EAGAIN;
	}
	free = kmm_pt_read(k, &f->ref) == 0 && f->moves == kmm_moves(k) && !(source && kmm_page_is_cut_off(source));
	if (free) {
		kmm_pt_fill(k, &mm->space, &f->ref, f->addr, raw);
		kmm_vma_count_page(f->vma, page, true);
	}
	kmm_pt_unlock(k, &f->ref, flags);
	return free ? KMM_OK : KMM_EAGAIN;
}

/* Other processors may set marks in the entry between the look and now; those are no change. Locked. */
static bool is_as_seen(const struct kmm_fault *f)
{
	const uint64_t marks = KMM_X86_A | KMM_X86_D;

	return !((kmm_pt_read(f->vma->mm->k, &f->ref) ^ f->raw) & ~marks);
}

enum kmm_status kmm_fault_hold(struct kmm_fault *f, struct kmm_page **page)
{
	struct kmm *k = f->vma->mm->k;
	unsigned long flags;

	KMM_CHECK(k, f->raw & KMM_X86_P);
	*page = NULL;
	if (!lock_entry(f, &flags))
		return KMM_EAGAIN;
	if (is_as_seen(f)) {
		*page = kmm_leaf_page(k, f->raw);
		kmm_get_page(k, *page);
	}
	kmm_pt_unlock(k, &f->ref, flags);
	return *page ? KMM_OK : KMM_EAGAIN;
}

enum kmm_status kmm_fault_upgrade(struct kmm_fault *f, bool (*may)(const struct kmm_page *page), struct kmm_page **held)
{
	struct kmm_page *page = kmm_leaf_page(f->vma->mm->k, f->raw);
	struct kmm_mm *mm = f->vma->mm;
	struct kmm *k = mm->k;
	unsigned long flags;
	bool same, done;

	KMM_CHECK(k, (f->raw & KMM_X86_P) && f->access == KMM_WRITE && (f->vma->flags & KMM_VM_WRITE));
	if (!lock_entry(f, &flags))
		return KMM_EAGAIN;
	same = is_as_seen(f);
	done = same && (!may || may(page));
	if (same && !done)
		kmm_get_page(k, page);
	if (done) {
		kmm_leaf_add(f->ref.entry, KMM_FAULT_WRITABLE);
		kmm_trace(k, KMM_EV_PT_SET, f->addr, f->raw | KMM_FAULT_WRITABLE, 0, mm->space.root.v);
	}
	kmm_pt_unlock(k, &f->ref, flags);
	if (!same)
		return KMM_EAGAIN;
	*held = done ? NULL : page;
	if (done)
		kmm_tlb_flush_here(k, &mm->space, f->addr);
	return KMM_OK;
}

/* from: of a slot. */
struct kmm_page *kmm_fault_charge(struct kmm_fault *f, struct kmm_page *page, struct kmm_group *from)
{
	struct kmm_mm *mm = f->vma->mm;

	if (!page) {
		__atomic_store_n(&mm->oom_group, 0, __ATOMIC_RELAXED);
		return NULL;
	}
	if (kmm_mm_charge_back(mm, page, from) == KMM_OK)
		return page;
	kmm_put_page(mm->k, page);
	return NULL;
}

/* ---- the way in ---- */

static enum kmm_status wait_for_move(const struct kmm_fault *f)
{
	kmm_move_wait(f->vma->mm, f->addr);
	return KMM_EAGAIN;
}

/* A fetch from a page that is there, and not to be executed where the processor can tell. */
static bool is_bad_fetch(const struct kmm_fault *f)
{
	const struct kmm *k = f->vma->mm->k;

	return f->access == KMM_EXEC && (f->raw & KMM_PTE_PRESENT) && !(f->vma->flags & KMM_VM_EXEC) && kmm_fmt(k)->has_nx &&
	       !k->machine.no_nx;
}

NOINLINE enum kmm_status dispatch_rare(struct kmm_fault *f)
{
	if (kmm_raw_is_swap(f->raw))
		return kmm_fault_swap(f);
	if (is_bad_fetch(f))
		return KMM_EACCES;
	switch (kmm_fault_classify(f->vma->flags, f->vma->backing != NULL, (uint32_t)f->raw & (KMM_PTE_PRESENT | KMM_PTE_WRITE),
				   f->access)) {
	case KMM_CASE_ZERO:
		return kmm_fault_zero(f);
	case KMM_CASE_ANON:
		return kmm_fault_anon(f);
	case KMM_CASE_FILE:
		return kmm_fault_file(f);
	case KMM_CASE_FILE_COPY:
		return kmm_fault_file_copy(f);
	case KMM_CASE_COPY_ON_WRITE:
		return kmm_fault_cow(f);
	case KMM_CASE_MAKE_WRITABLE:
		return kmm_fault_make_writable(f);
	case KMM_CASE_SPURIOUS: /* another processor has made it possible meanwhile */
		kmm_tlb_flush_here(f->vma->mm->k, &f->vma->mm->space, f->addr);
		break;
	}
	return KMM_OK;
}

static inline enum kmm_status dispatch(struct kmm_fault *f)
{
	if (f->raw == 0 && !f->vma->backing) /* nearly all of them */
		return f->access == KMM_WRITE ? kmm_fault_anon(f) : kmm_fault_zero(f);
	return dispatch_rare(f);
}

/* Any right makes memory readable. A fetch counts as a read until the page is there, as on Linux: beyond the end of a
 * file it is a SIGBUS, executable or not. */
static bool allows(uint32_t vm_flags, enum kmm_access access)
{
	return (vm_flags & (access == KMM_WRITE ? KMM_VM_WRITE : KMM_VM_ACCESS)) != 0;
}

static enum kmm_fault_kind verdict(enum kmm_status status)
{
	switch (status) {
	case KMM_OK:
		return KMM_FAULT_OK;
	case KMM_ENOMEM:
		return KMM_FAULT_OOM;
	case KMM_ERANGE:
		return KMM_FAULT_BUS_ADRERR;
	case KMM_EACCES:
		return KMM_FAULT_SEGV_ACCERR;
	default:
		return KMM_FAULT_BUS_EIO;
	}
}

/* Will the access need a private page where the area has had none? */
static bool lacks_anon(const struct kmm_vma *vma, enum kmm_access access)
{
	return access == KMM_WRITE && kmm_vma_is_private(vma) && !__atomic_load_n(&vma->anon, __ATOMIC_ACQUIRE);
}

/* Locked as for OK, but its faults may be somebody else's to resolve. Such areas are always found by way of m. */
enum { IS_WATCHED = KMM_FAULT_OOM + 1 };

/* m held: what only its holder may do, then the area is locked for reading. */
static int prepare_area(struct kmm_mm *mm, kmm_word addr, enum kmm_access access, struct kmm_vma **out)
{
	struct kmm_vma *vma = kmm_mm_find(mm, addr);
	enum kmm_status status = KMM_OK;

	KMM_CHECK_HELD(mm->k, &mm->lock);
	if (!vma || (addr < vma->start && !(vma->flags & KMM_VM_GROWSDOWN)))
		return KMM_FAULT_SEGV_MAPERR;
	if (addr < vma->start)
		status = kmm_vma_grow_down(vma, addr);
	if (status)
		return status == KMM_ENOMEM ? KMM_FAULT_OOM : KMM_FAULT_SEGV_MAPERR;
	if (!allows(vma->flags, access))
		return KMM_FAULT_SEGV_ACCERR;
	if (lacks_anon(vma, access) && kmm_anon_prepare(vma) != KMM_OK)
		return KMM_FAULT_OOM;
	kmm_vma_read(vma);
	*out = vma;
	return vma->userfault ? IS_WATCHED : KMM_FAULT_OK;
}

/* By way of m: what was found without it (if not NULL, locked for reading) does not do. */
NOINLINE int find_with_lock(struct kmm_mm *mm, kmm_word addr, enum kmm_access access, struct kmm_vma *found, struct kmm_vma **out)
{
	int kind;

	if (found)
		kmm_vma_read_end(found);
	kmm_mm_lock(mm);
	kind = prepare_area(mm, addr, access, out);
	kmm_mm_unlock(mm);
	return kind;
}

/* The area of addr, fit for the access and locked for reading. */
ALWAYS_INLINE int find_area(struct kmm_mm *mm, kmm_word addr, enum kmm_access access, struct kmm_vma **out)
{
	struct kmm_vma *vma = kmm_vma_read_at(mm, addr);

	*out = vma;
	if (vma && allows(vma->flags, access) && !lacks_anon(vma, access))
		return KMM_FAULT_OK;
	return find_with_lock(mm, addr, access, vma, out);
}

static inline enum kmm_status resolve(struct kmm_fault *f)
{
	enum kmm_status status;

	do {
		look(f);
		status = kmm_raw_is_moving(f->raw) ? wait_for_move(f) : dispatch(f);
	} while (status == KMM_EAGAIN);
	return status;
}

void kmm_fault_look(struct kmm_fault *f)
{
	look(f);
}

enum kmm_status kmm_fault_resolve(struct kmm_fault *f)
{
	return resolve(f);
}

/* In a watched area, locked for reading: what resolve() does, or its watcher is told. */
static enum kmm_fault_kind resolve_watched(struct kmm_mm *mm, struct kmm_vma *vma, kmm_word addr, enum kmm_access access)
{
	struct kmm_fault f = { .vma = vma, .addr = addr & ~(kmm_word)(KMM_PAGE_SIZE - 1), .access = access };
	struct kmm_userfault *u = vma->userfault;
	enum kmm_status status;
	unsigned why;

	do {
		look(&f);
		why = kmm_fault_why_stopped(&f);
		if (why)
			break;
		status = kmm_raw_is_moving(f.raw) ? wait_for_move(&f) : dispatch(&f);
	} while (status == KMM_EAGAIN);
	if (why)
		kmm_userfault_get(u);
	kmm_vma_read_end(vma);
	return why ? kmm_fault_tell(&f, mm, u, addr, why) : verdict(status);
}

ALWAYS_INLINE enum kmm_fault_kind fault_once(struct kmm_mm *mm, kmm_word addr, enum kmm_access access)
{
	enum kmm_status status;
	struct kmm_fault f;
	int kind;

	kind = find_area(mm, addr, access, &f.vma);
	if (kind != KMM_FAULT_OK)
		return kind == IS_WATCHED ? resolve_watched(mm, f.vma, addr, access) : (enum kmm_fault_kind)kind;
	f.addr = addr & ~(kmm_word)(KMM_PAGE_SIZE - 1);
	f.access = access;
	KMM_CHECK(mm->k, f.vma->start <= f.addr && f.addr < f.vma->end);
	status = resolve(&f);
	kmm_vma_read_end(f.vma);
	return verdict(status);
}

/* For a space that waits until memory is free: nothing of it is locked meanwhile. */
NOINLINE enum kmm_fault_kind fault_patiently(struct kmm_mm *mm, kmm_word addr, enum kmm_access access)
{
	enum kmm_fault_kind kind;
	struct kmm_group *group;
	unsigned seen;

	kmm_phys_waiter(mm->k, true);
	for (;;) {
		seen = kmm_phys_freed(mm->k);
		kind = fault_once(mm, addr, access);
		if (kind != KMM_FAULT_OOM)
			break;
		group = kmm_stall_begin(mm->k);
		kmm_phys_wait_freed(mm->k, seen);
		kmm_stall_end(mm->k, group);
	}
	kmm_phys_waiter(mm->k, false);
	return kind;
}

enum kmm_fault_kind kmm_fault_in(struct kmm_mm *mm, kmm_word addr, enum kmm_access access)
{
	enum kmm_fault_kind kind = fault_once(mm, addr, access);

	if (kind != KMM_FAULT_OOM || kmm_mm_answer(mm) != KMM_ANSWER_BLOCK || !mm->k->port->wait)
		return kind;
	return fault_patiently(mm, addr, access);
}

/* ---- for who listens ---- */

static uint64_t area_of(struct kmm_mm *mm, kmm_word addr)
{
	struct kmm_vma *vma;
	uint64_t start;

	kmm_mm_lock(mm);
	vma = kmm_mm_find(mm, addr);
	start = vma && (addr >= vma->start || (vma->flags & KMM_VM_GROWSDOWN)) ? vma->start : 0;
	kmm_mm_unlock(mm);
	return start;
}

static uint64_t frame_of(struct kmm_mm *mm, kmm_word addr)
{
	unsigned long flags = kmm_walk_begin(mm->k, &mm->space);
	struct kmm_walk walk;

	kmm_walk(mm->k, mm->space.root, addr, &walk);
	kmm_walk_end(mm->k, flags);
	return walk.mapped ? kmm_paddr_to_pfn(walk.pa).v : 0;
}

static enum kmm_fault_kind handle(struct kmm_mm *mm, const struct kmm_fault_info *info)
{
	if (info->addr.v >= kmm_mm_task_size(mm))
		return KMM_FAULT_SEGV_MAPERR;
	return kmm_fault_in(mm, info->addr.v, info->access);
}

NOINLINE enum kmm_fault_kind handle_traced(struct kmm_mm *mm, const struct kmm_fault_info *info)
{
	enum kmm_fault_kind kind;

	kmm_trace(mm->k, KMM_EV_FAULT, info->addr.v, info->access, area_of(mm, info->addr.v), info->stack_pointer.v);
	kind = handle(mm, info);
	kmm_trace(mm->k, KMM_EV_FAULT_DONE, info->addr.v, kind, kind ? 0 : frame_of(mm, info->addr.v), 0);
	return kind;
}

enum kmm_fault_kind kmm_handle_fault(struct kmm_mm *mm, const struct kmm_fault_info *info)
{
	kmm_mm_count(mm, &mm->faults);
	if (RARE(mm->k->trace != NULL))
		return handle_traced(mm, info);
	kmm_count_events(mm->k, KMM_EV_FAULT, 1);
	kmm_count_events(mm->k, KMM_EV_FAULT_DONE, 1);
	return handle(mm, info);
}
