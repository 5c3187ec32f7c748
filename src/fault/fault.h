/* SPDX-License-Identifier: MIT */
/*
 * A fault on its way through the handlers.
 *
 *	find the area -> look at the entry -> classify -> one handler -> install under the table's lock
 *	                        ^                              |
 *	                        +------ the entry changed -----+
 *
 * Handlers allocate without spin locks, so the entry is compared again before it is written; if it is not what was
 * seen, everything is given back and the fault looks again. The area is locked for reading throughout (vm/lock.h), so it
 * and its tables stay; other faults in it, truncations, MADV_DONTNEED, and the processors' accessed and dirty bits come in
 * between. The space's mutex is taken only to find an area that is being changed, to grow a stack, and for an area's
 * first private page.
 *
 * Handlers return KMM_OK, KMM_EAGAIN (look again), KMM_ENOMEM, KMM_ERANGE (beyond the end of the backing), KMM_EIO.
 */
#ifndef KMM_FAULT_FAULT_H
#define KMM_FAULT_FAULT_H

#include "phys/phys.h"
#include "vm/lock.h"

enum kmm_fault_case {
	KMM_CASE_SPURIOUS,      /* the entry allows it already */
	KMM_CASE_ZERO,          /* first read of private anonymous memory: the zero page */
	KMM_CASE_ANON,          /* first write: a cleared page */
	KMM_CASE_FILE,          /* a page of the backing itself */
	KMM_CASE_FILE_COPY,     /* first touch is a write to a private mapping of a backing */
	KMM_CASE_COPY_ON_WRITE, /* write to a private page that is read-only in the table */
	KMM_CASE_MAKE_WRITABLE  /* write to a shared page that is */
};

struct kmm_fault {
	struct kmm_vma *vma;     /* locked for reading */
	kmm_word addr;           /* of the page */
	enum kmm_access access;
	bool has_table;
	struct kmm_ptref ref;    /* of addr if has_table; stays, because the area does */
	uint64_t raw;            /* the entry as seen; 0: none */
	unsigned moves;          /* kmm_moves() before: the frame seen is the same as long as none was completed */
};

/* Pure. vm_flags and backed: the area's; pte_flags: the entry's. The area allows the access. */
enum kmm_fault_case kmm_fault_classify(uint32_t vm_flags, bool backed, uint32_t pte_flags, enum kmm_access access);

/* Makes an access to addr possible. No locks held, may sleep; addr is below the task size. */
enum kmm_fault_kind kmm_fault_in(struct kmm_mm *mm, kmm_word addr, enum kmm_access access);

/* For who has locked the area itself: sees what the entry is; makes the access possible whatever rights the area has. */
void kmm_fault_look(struct kmm_fault *f);
enum kmm_status kmm_fault_resolve(struct kmm_fault *f);
/* In a watched area, looked at: why the access stops (KMM_USERFAULT_), 0: it does not. Then its watcher is told, without locks. */
unsigned kmm_fault_why_stopped(const struct kmm_fault *f);
enum kmm_fault_kind kmm_fault_tell(const struct kmm_fault *f, struct kmm_mm *mm, struct kmm_userfault *u, kmm_word addr,
				   unsigned why);
/* The present private page becomes one that only this entry shows, with the area's rights. errors: KMM_EAGAIN, KMM_ENOMEM. */
enum kmm_status kmm_fault_unshare(struct kmm_fault *f);

/* Writes an entry for page, whose reference goes to it on success, in place of what was seen; drops what was there.
 * rights: kmm_fault_rights(), perhaps KMM_X86_RW and _D. source (may be NULL): the cached page whose content page has.
 * errors: KMM_EAGAIN, KMM_ENOMEM. */
enum kmm_status kmm_fault_install(struct kmm_fault *f, struct kmm_page *page, uint64_t rights, const struct kmm_page *source);

enum { KMM_FAULT_WRITABLE = KMM_X86_RW | KMM_X86_D | KMM_X86_SOFT_DIRTY };

/* Of an entry in f's area that allows no writing. */
static inline uint64_t kmm_fault_rights(const struct kmm_fault *f)
{
	return kmm_vma_rights(f->vma->mm->k, f->vma->flags);
}

/* Makes the present entry that was seen writable (and dirty), if it is still so and `may` (may be NULL) agrees under the
 * lock. If may refuses, *held gets the entry's page with a reference; NULL: it was done. errors: KMM_EAGAIN. */
enum kmm_status kmm_fault_upgrade(struct kmm_fault *f, bool (*may)(const struct kmm_page *page), struct kmm_page **held);

/* The page of the present entry that was seen, with a reference, if the entry still shows it. errors: KMM_EAGAIN, and *page is
 * NULL. */
enum kmm_status kmm_fault_hold(struct kmm_fault *f, struct kmm_page **page);

/* The page as it is, or put and NULL if there is no room in the space's group, or in that of the slot (may be NULL) from which it comes.
 * page NULL: says that it was not the group's fault. */
struct kmm_page *kmm_fault_charge(struct kmm_fault *f, struct kmm_page *page, struct kmm_group *from);

/* A page for private content in f's area: kind ANON, owner and index set, charged to nobody. */
static inline struct kmm_page *kmm_fault_take_page(struct kmm_fault *f)
{
	struct kmm_mempolicy *policy = &f->vma->mm->policy;
	struct kmm *k = f->vma->mm->k;
	struct kmm_page *page;

	if (policy->mode == KMM_POLICY_DEFAULT)
		page = kmm_phys_alloc(k, KMM_GFP_HIGHUSER_MOVABLE, 0, KMM_KIND_ANON, "anonymous page");
	else
		page = kmm_phys_alloc_policy(k, policy, KMM_GFP_HIGHUSER_MOVABLE, 0, KMM_KIND_ANON, "anonymous page");
	if (!page)
		return NULL;
	KMM_CHECK(k, f->vma->anon && kmm_vma_is_private(f->vma));
	kmm_page_name(k, page, f->vma->anon, kmm_vma_index(f->vma, f->addr));
	return page;
}

/* The same, charged to the space's group; content undefined. NULL: no memory, or no room in the group. */
static inline struct kmm_page *kmm_fault_new_page(struct kmm_fault *f)
{
	struct kmm_page *page = kmm_fault_take_page(f);

	return __builtin_expect(f->vma->mm->group != NULL, 0) ? kmm_fault_charge(f, page, NULL) : page;
}

/* The same for what comes back from a slot that is charged to that group, or to none. */
static inline struct kmm_page *kmm_fault_page_back(struct kmm_fault *f, struct kmm_group *from)
{
	struct kmm_page *page = kmm_fault_take_page(f);

	return from || f->vma->mm->group ? kmm_fault_charge(f, page, from) : page;
}

/* Right to write in an entry for a page of f's backing itself. */
uint64_t kmm_fault_write_rights(const struct kmm_fault *f);
/* Maps what is cached of the pages around a read (around.c). true: the page itself was among them. */
bool kmm_fault_around(struct kmm_fault *f);

/* One handler per case. */
enum kmm_status kmm_fault_zero(struct kmm_fault *f);
enum kmm_status kmm_fault_anon(struct kmm_fault *f);
enum kmm_status kmm_fault_file(struct kmm_fault *f);
enum kmm_status kmm_fault_file_copy(struct kmm_fault *f);
enum kmm_status kmm_fault_cow(struct kmm_fault *f);
enum kmm_status kmm_fault_make_writable(struct kmm_fault *f);
/* The entry names a slot of swap. */
enum kmm_status kmm_fault_swap(struct kmm_fault *f);
/* Reads f's slot, of which the caller has a count, into page, and from devices that tell of the end neighbours of the address
 * too (ahead.c). errors: KMM_EIO; KMM_EAGAIN: somebody else reads it. */
enum kmm_status kmm_fault_read_swap(struct kmm_fault *f, struct kmm_page *page);
/* A page that was read ahead is in use now. */
void kmm_fault_ahead_used(struct kmm_fault *f);
/* Brings the page at addr back if it is in swap, whatever rights the area has. context: no locks, may sleep. errors:
 * KMM_ENOMEM, KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_fault_swap_at(struct kmm_mm *mm, kmm_word addr);

#endif
