/* SPDX-License-Identifier: MIT */
/*
 * Frees that must not be: refused, so that nothing is damaged, and named, so that who did it is found.
 *
 *   no descriptor      a pointer from elsewhere
 *   free already       the frame is in a bitmap or in a CPU's cache
 *   inside a block     its head and order are told
 *   not a block's kind reserved at boot, descriptors, a hole
 *   another order      than it was allocated with
 *   references         others have some, or nobody has one
 *
 * What a frame is now is what can be told; it may have been allocated again since the free that was right. Two CPUs that
 * free one frame at the same moment are not seen: that would cost every free an atomic operation.
 */
#include "phys/phys.h"

/* Head of the allocated block around a frame; NULL: none. */
static const struct kmm_page *head_of(const struct kmm_phys *p, kmm_word pfn)
{
	for (unsigned order = 1; order <= KMM_MAX_ORDER; order++) {
		const struct kmm_page *head = kmm_page_at(p, pfn & ~(((kmm_word)1 << order) - 1));

		if (kmm_page_order(head) >= order)
			return head;
	}
	return NULL;
}

static bool is_free(struct kmm *k, const struct kmm_page *page, kmm_word pfn)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, page);
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	bool in_bitmap = kmm_tract_bit(z, pfn);

	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	return in_bitmap || (!head_of(k->phys, pfn) && kmm_pcp_holds(z, pfn));
}

static const char *wrong_with(struct kmm *k, const struct kmm_page *page, kmm_word pfn, unsigned order)
{
	enum kmm_kind kind = kmm_page_kind(page);

	if (kind == KMM_KIND_NONE)
		return is_free(k, page, pfn) ? "it is free already" : "it is inside a block";
	if (kind < KMM_KIND_KERNEL)
		return "it was never allocated";
	if (kmm_page_order(page) != order)
		return "it was allocated with another order";
	return "its references are not the caller's alone";
}

static void refuse(struct kmm *k, const char *wrong)
{
	if (KMM_DEBUG >= 1)
		k->port->fatal(k->port, __FILE__, __LINE__, wrong);
}

void kmm_free_refused(struct kmm *k, const struct kmm_page *page, unsigned order, const void *caller)
{
	const struct kmm_phys *p = k->phys;
	kmm_word pfn = kmm_pfn_exact(p, page);
	const struct kmm_page *head;
	const char *wrong;

	atomic_fetch_add_explicit(&k->phys->misuses, 1, memory_order_relaxed);
	if (pfn >= p->max_pfn || !kmm_section_is_live(p, kmm_section_of(pfn))) {
		kmm_warn(k, "free of order %u by %lx refused: %lx is no page descriptor", order,
			 (unsigned long)(uintptr_t)caller, (unsigned long)(uintptr_t)page);
		refuse(k, "a free of what is no page descriptor");
		return;
	}
	wrong = wrong_with(k, page, pfn, order);
	head = kmm_page_kind(page) == KMM_KIND_NONE ? head_of(p, pfn) : page;
	kmm_warn(k, "free of frame %llx, order %u, by %lx refused: %s (%s, frame %llx, order %u, %u references)",
		 (unsigned long long)pfn, order, (unsigned long)(uintptr_t)caller, wrong,
		 head ? kmm_kind_name(kmm_page_kind(head)) : "free",
		 (unsigned long long)(head ? kmm_pfn_of(p, head) : pfn), head ? kmm_page_order(head) : 0,
		 head ? atomic_load_explicit(&head->refcount, memory_order_relaxed) : 0);
	refuse(k, wrong);
}

unsigned kmm_phys_misuses(const struct kmm *k)
{
	return atomic_load_explicit(&k->phys->misuses, memory_order_relaxed);
}
