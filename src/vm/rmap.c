/* SPDX-License-Identifier: MIT */
/*
 * From a frame to the entries that map it. The descriptor names the owner (anon object or file mapping) and the page's
 * number; every area of the owner says at which address it would show that number, and the entry there says whether it
 * does. So nothing is kept per entry, and a stale or copied page is never mistaken for another.
 */
#include "pt/leaf.h"
#include "vm/backing.h"
#include "vm/mm.h"

struct walk {
	struct kmm *k;
	struct kmm_page *page;
	uint64_t index;
	bool (*visit)(void *arg, struct kmm_mm *mm, struct kmm_uva addr);
	void *arg;
	unsigned nr;
};

static bool maps(struct walk *w, struct kmm_mm *mm, kmm_word va)
{
	struct kmm_ptref ref;
	struct kmm_pte pte;
	unsigned long flags;

	if (!kmm_pt_lookup_lock(w->k, &mm->space, va, &ref, &flags))
		return false;
	pte = kmm_pt_decode(w->k, kmm_leaf_as_mapped(kmm_pt_read(w->k, &ref)));
	kmm_pt_unlock(w->k, &ref, flags);
	return (pte.flags & KMM_PTE_PRESENT) && kmm_pfn_to_page(w->k, pte.pfn) == w->page;
}

/* false: the visitor had enough. */
static bool try_area(struct walk *w, const struct kmm_vma *vma)
{
	kmm_word va;

	if (w->index < vma->pgoff || w->index - vma->pgoff >= kmm_vma_pages(vma))
		return true;
	va = vma->start + ((kmm_word)(w->index - vma->pgoff) << KMM_PAGE_SHIFT);
	if (!maps(w, vma->mm, va))
		return true;
	w->nr++;
	return !w->visit || w->visit(w->arg, vma->mm, kmm_uva(va));
}

static void walk_anon(struct walk *w, struct kmm_anon *anon)
{
	unsigned long flags = kmm_spin_lock(w->k, &anon->lock, KMM_LOCK_RMAP);

	for (struct kmm_list *l = anon->vmas.next; l != &anon->vmas; l = l->next)
		if (!try_area(w, kmm_container(l, struct kmm_vma, by_anon)))
			break;
	kmm_spin_unlock(w->k, &anon->lock, KMM_LOCK_RMAP, flags);
}

static void walk_mapping(struct walk *w, struct kmm_mapping *mapping)
{
	kmm_mutex_lock_class(w->k, &mapping->lock, KMM_LOCK_BACKING);
	for (struct kmm_list *l = mapping->vmas.next; l != &mapping->vmas; l = l->next)
		if (!try_area(w, kmm_container(l, struct kmm_vma, by_backing)))
			break;
	kmm_mutex_unlock_class(w->k, &mapping->lock, KMM_LOCK_BACKING);
}

unsigned kmm_rmap_walk(struct kmm *k, struct kmm_page *page, bool (*visit)(void *arg, struct kmm_mm *mm,
		       struct kmm_uva addr), void *arg)
{
	struct walk w = { .k = k, .page = page, .visit = visit, .arg = arg };
	enum kmm_kind kind = kmm_page_kind(page);
	void *owner;

	if (kind != KMM_KIND_ANON && kind != KMM_KIND_FILE)
		return 0;
	w.index = kmm_page_index(k, page);
	owner = kmm_page_owner(k, page);
	if (!owner)
		return 0;
	if (kind == KMM_KIND_ANON)
		walk_anon(&w, owner);
	else
		walk_mapping(&w, owner);
	return w.nr;
}

/* ---- by guests ---- */

struct visitor {
	struct kmm *k;
	uint64_t index;
	bool (*visit)(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va);
	void *arg;
};

static bool visit_area(const struct visitor *v, struct kmm_vma *vma)
{
	uint64_t place = v->index - vma->pgoff;
	unsigned long flags;
	struct kmm_ptref ref;
	bool more;
	kmm_word va;

	if (v->index < vma->pgoff || place >= kmm_vma_pages(vma))
		return true;
	va = vma->start + ((kmm_word)place << KMM_PAGE_SHIFT);
	if (!kmm_pt_lookup_lock(v->k, &vma->mm->space, va, &ref, &flags))
		return true;
	more = v->visit(v->arg, vma, &ref, va);
	kmm_pt_unlock(v->k, &ref, flags);
	return more;
}

void kmm_guest_walk(struct kmm *k, const struct kmm_guest *guest,
		    bool (*visit)(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va), void *arg)
{
	struct kmm_anon *anon = (struct kmm_anon *)guest->owner;
	struct kmm_mapping *mapping = (struct kmm_mapping *)guest->owner;
	struct visitor v = { k, guest->index, visit, arg };
	unsigned long flags;

	if (guest->sort == KMM_OWNER_MAPPING) {
		for (struct kmm_list *l = mapping->vmas.next; l != &mapping->vmas; l = l->next)
			if (!visit_area(&v, kmm_container(l, struct kmm_vma, by_backing)))
				return;
		return;
	}
	flags = kmm_spin_lock(k, &anon->lock, KMM_LOCK_RMAP);
	for (struct kmm_list *l = anon->vmas.next; l != &anon->vmas; l = l->next)
		if (!visit_area(&v, kmm_container(l, struct kmm_vma, by_anon)))
			break;
	kmm_spin_unlock(k, &anon->lock, KMM_LOCK_RMAP, flags);
}
