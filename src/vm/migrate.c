/* SPDX-License-Identifier: MIT */
/*
 * The move of a batch of frames (migrate.h says what others see of it).
 *
 *	enter     the owners of the frames, as guests; and a target for each frame
 *	unmap     every entry of the page becomes a moving one; the first takes a reference, which is the mover's
 *	flush     once for all, then no processor can reach the pages any more
 *	judge     mappings, cache and mover must be all the references there are; else somebody holds the page: put back
 *	copy      through windows, with the marks
 *	remap     moving entries show the target; mappings, references and the cache's place move along one by one
 *	leave     waiters are woken, the old frame is let go
 *
 * Entries are found by the owner's list of areas, under its lock: the spin lock of an anon object for each walk,
 * the mutex of a file's mapping from before unmap till after remap, so nobody gets at the page by the cache. A walk can miss
 * entries: an area that is being cut is for a moment in the list with less than it has, entries of mremap change their place
 * between two looks. Missed by unmap, they make the judgement fail. Missed by remap, they are found in the next round:
 * vm->moving counts moving entries wherever they are (who takes one away counts too), and remap goes on until there are none.
 * For that there is one mover at a time, by vm->move_lock.
 *
 * While there are moving entries nothing is waited for: who waits for us may hold m and, in fork, a b that is not ours.
 */
#include "vm/migrate.h"

#include "kva/kva.h"
#include "phys/owner.h"
#include "pt/leaf.h"
#include "vm/backing.h"
#include "vm/guest.h"

#define FLUSH_SPACES 16

struct move {
	struct kmm_page *from, *to;
	struct kmm_guest guest;
	bool pending;            /* its batch is not done with it yet */
	bool held;               /* the mover has a reference to from */
	unsigned nr_entries;     /* moving entries made */
	bool moved;
};

/* What processors may still have of entries that were changed. */
struct flushes {
	struct kmm_flush space[FLUSH_SPACES];
	unsigned nr;
};

struct batch {
	struct kmm_mover *mover;
	struct kmm *k;
	struct flushes flushes;
	bool is_full;            /* a walk stopped for lack of room in flushes */
	struct move move[KMM_MOVE_BATCH];
	unsigned nr;
};

/* ---- flushing ---- */

static void flush_all(struct batch *b)
{
	for (unsigned i = 0; i < b->flushes.nr; i++)
		kmm_tlb_flush_space(b->k, &b->flushes.space[i]);
	b->flushes.nr = 0;
}

/* Room for one more was made before. */
static void note_flush(struct batch *b, struct kmm_paddr root, kmm_word va)
{
	struct kmm_flush *f = b->flushes.space;

	for (unsigned i = 0; i < b->flushes.nr; i++, f++)
		if (f->root.v == root.v)
			break;
	if (f == b->flushes.space + b->flushes.nr) {
		KMM_ASSERT(b->k, b->flushes.nr < FLUSH_SPACES);
		b->flushes.nr++;
		*f = (struct kmm_flush){ root, va, va + KMM_PAGE_SIZE, false };
	}
	f->start = va < f->start ? va : f->start;
	f->end = va + KMM_PAGE_SIZE > f->end ? va + KMM_PAGE_SIZE : f->end;
}

/* ---- entries ---- */

/* One area that would show the page at va; its table's lock is held and the entry found. false: the walk may end. */
typedef bool visit_fn(struct batch *b, struct move *m, struct kmm_mm *mm, const struct kmm_ptref *ref, kmm_word va);

static bool visit_area(struct batch *b, struct move *m, const struct kmm_vma *vma, visit_fn *visit)
{
	struct kmm_mm *mm = vma->mm;
	uint64_t place = m->guest.index - vma->pgoff;
	unsigned long flags;
	struct kmm_ptref ref;
	bool more;
	kmm_word va;

	if (m->guest.index < vma->pgoff || place >= kmm_vma_pages(vma))
		return true;
	va = vma->start + ((kmm_word)place << KMM_PAGE_SHIFT);
	if (!kmm_pt_lookup_lock(b->k, &mm->space, va, &ref, &flags))
		return true;
	more = visit(b, m, mm, &ref, va);
	kmm_pt_unlock(b->k, &ref, flags);
	return more;
}

/* The areas of the page's owner, which is locked meanwhile. */
static void walk_areas(struct batch *b, struct move *m, visit_fn *visit)
{
	struct kmm_anon *anon = (struct kmm_anon *)m->guest.owner;
	struct kmm_mapping *mapping = (struct kmm_mapping *)m->guest.owner;
	unsigned long flags;

	if (m->guest.sort == KMM_OWNER_MAPPING) {
		for (struct kmm_list *l = mapping->vmas.next; l != &mapping->vmas; l = l->next)
			if (!visit_area(b, m, kmm_container(l, struct kmm_vma, by_backing), visit))
				return;
		return;
	}
	flags = kmm_spin_lock(b->k, &anon->lock, KMM_LOCK_RMAP);
	for (struct kmm_list *l = anon->vmas.next; l != &anon->vmas; l = l->next)
		if (!visit_area(b, m, kmm_container(l, struct kmm_vma, by_anon), visit))
			break;
	kmm_spin_unlock(b->k, &anon->lock, KMM_LOCK_RMAP, flags);
}

static enum kmm_kind kind_of(const struct move *m)
{
	return m->guest.sort == KMM_OWNER_ANON ? KMM_KIND_ANON : KMM_KIND_FILE;
}

/* The frame is mapped here, so it is allocated and what it says of itself is true: is it what we took it for? */
static bool is_same_page(const struct batch *b, const struct move *m)
{
	return kmm_page_kind(m->from) == kind_of(m) && kmm_page_owner(b->k, m->from) == m->guest.owner &&
	       kmm_page_index(b->k, m->from) == m->guest.index;
}

static void trace_entry(struct batch *b, const struct kmm_mm *mm, kmm_word va, uint64_t raw)
{
	kmm_trace(b->k, KMM_EV_PT_SET, va, raw, 0, mm->space.root.v);
}

/* A present entry that shows the page becomes a moving one. */
static bool unmap_entry(struct batch *b, struct move *m, struct kmm_mm *mm, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm *k = b->k;
	uint64_t raw;

	if (!kmm_leaf_is_present(ref->entry) || kmm_leaf_page(k, kmm_leaf_read(k, ref->entry)) != m->from)
		return true;
	if (!is_same_page(b, m))
		return false;
	b->is_full = b->flushes.nr == FLUSH_SPACES;
	if (b->is_full)
		return false;
	if (!m->held)
		atomic_fetch_add_explicit(&m->from->refcount, 1, memory_order_relaxed);
	m->held = true;
	raw = kmm_leaf_make_moving(k, ref->entry);
	trace_entry(b, mm, va, raw);
	note_flush(b, mm->space.root, va);
	atomic_fetch_add_explicit(&k->vm->moving, 1, memory_order_relaxed);
	m->nr_entries++;
	return true;
}

/* A moving entry of the page becomes present again: with the target, or with the old frame when there is none. */
static bool remap_entry(struct batch *b, struct move *m, struct kmm_mm *mm, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm *k = b->k;
	struct kmm_page *to = m->moved ? m->to : m->from;
	uint64_t raw;

	if (!kmm_leaf_is_moving(ref->entry))
		return true;
	raw = kmm_leaf_read(k, ref->entry);
	if (kmm_leaf_page(k, raw) != m->from)
		return true;
	if (to != m->from) {
		atomic_fetch_add_explicit(&to->refcount, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&to->count, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&m->from->count, 1, memory_order_relaxed);
		atomic_fetch_sub_explicit(&m->from->refcount, 1, memory_order_release);
	}
	raw = kmm_leaf_from_moving(raw, kmm_pfn_to_paddr(kmm_page_to_pfn(k, to)).v);
	kmm_entry_store(k, ref->entry, raw);
	trace_entry(b, mm, va, raw);
	atomic_fetch_sub_explicit(&k->vm->moving, 1, memory_order_release);
	return true;
}

/* ---- one page ---- */

/* The cache has it, and we hold the cache's lock: a reference. */
static bool hold_cached(struct batch *b, struct move *m)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)m->guest.owner;

	if (!kmm_file_has_page(mapping, m->guest.index, m->from))
		return false;
	atomic_fetch_add_explicit(&m->from->refcount, 1, memory_order_relaxed);
	m->held = true;
	return is_same_page(b, m);
}

static void unmap(struct batch *b, struct move *m)
{
	if (m->guest.sort == KMM_OWNER_MAPPING && !hold_cached(b, m))
		return;
	do {
		b->is_full = false;
		walk_areas(b, m, unmap_entry);
		if (b->is_full) /* never under a spin lock: the other processors may want it */
			flush_all(b);
	} while (b->is_full);
}

/* Are the mappings that were found, the cache and we all who have it? */
static bool is_ours_alone(const struct move *m)
{
	unsigned cached = m->guest.sort == KMM_OWNER_MAPPING;

	return m->held && atomic_load_explicit(&m->from->count, memory_order_acquire) == m->nr_entries &&
	       atomic_load_explicit(&m->from->refcount, memory_order_acquire) == m->nr_entries + cached + 1 &&
	       (cached || m->nr_entries);
}

static void copy(struct batch *b, struct move *m)
{
	struct kmm *k = b->k;

	kmm_copy_page(k, m->to, m->from);
	kmm_page_set_owner(k, m->to, m->guest.owner);
	kmm_page_set_index(k, m->to, m->guest.index);
	__atomic_fetch_or(&m->to->flags, __atomic_load_n(&m->from->flags, __ATOMIC_RELAXED) & (KMM_PG_DIRTY | KMM_PG_SHMEM),
			  __ATOMIC_RELAXED);
	kmm_page_debug_move(k, m->to, m->from);
}

/* The cache's place and its reference. */
static void move_cached(struct batch *b, struct move *m)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)m->guest.owner;

	kmm_file_move_page(mapping, m->guest.index, m->to);
	atomic_fetch_add_explicit(&m->to->refcount, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&m->from->refcount, 1, memory_order_release);
	kmm_page_set_owner(b->k, m->from, NULL);
}

/* ---- a group: pages that one lock is enough for ---- */

static bool is_in_group(const struct move *m, const struct move *first)
{
	return m->pending && m->guest.sort == first->guest.sort &&
	       (m->guest.sort == KMM_OWNER_ANON || m->guest.owner == first->guest.owner);
}

static void remap_group(struct batch *b, const struct move *first)
{
	struct kmm *k = b->k;

	for (;;) {
		for (unsigned i = 0; i < b->nr; i++)
			if (is_in_group(&b->move[i], first) && b->move[i].nr_entries)
				walk_areas(b, &b->move[i], remap_entry);
		if (atomic_load_explicit(&k->vm->moving, memory_order_acquire) == 0)
			return;
		if (k->port->relax)
			k->port->relax(k->port);
	}
}

/* Those who wait look at the number of moves first and then at the entry. */
static void tell_waiters(struct kmm *k)
{
	atomic_fetch_add_explicit(&k->vm->moves, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&k->vm->move_waiters, memory_order_seq_cst) && k->port->wake)
		k->port->wake(k->port, &k->vm->moves);
}

static void move_group(struct batch *b, const struct move *first)
{
	for (unsigned i = 0; i < b->nr; i++)
		if (is_in_group(&b->move[i], first))
			unmap(b, &b->move[i]);
	flush_all(b);
	for (unsigned i = 0; i < b->nr; i++) {
		struct move *m = &b->move[i];

		if (!is_in_group(m, first) || !is_ours_alone(m))
			continue;
		copy(b, m);
		if (m->guest.sort == KMM_OWNER_MAPPING)
			move_cached(b, m);
		m->moved = true;
	}
	remap_group(b, first);
	tell_waiters(b->k);
}

/* The lock of the group's file, if it is one's. false: not now. */
static bool lock_group(struct batch *b, const struct move *first)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)first->guest.owner;

	if (first->guest.sort == KMM_OWNER_ANON)
		return true;
	if (b->mover->no_files)
		return false;
	if (b->mover->may_wait)
		kmm_mutex_lock(b->k, &mapping->lock);
	else if (!kmm_mutex_trylock(&mapping->lock))
		return false;
	return true;
}

static void do_group(struct batch *b, struct move *first)
{
	struct kmm_mapping *mapping = (struct kmm_mapping *)first->guest.owner;
	struct move sample = *first; /* what makes the group; first itself is done with at the end */

	if (lock_group(b, first)) {
		if (kmm_guests_is_alive(first->guest.owner) || first->guest.sort == KMM_OWNER_ANON)
			move_group(b, first);
		if (first->guest.sort == KMM_OWNER_MAPPING)
			kmm_mutex_unlock(b->k, &mapping->lock);
	}
	for (unsigned i = 0; i < b->nr; i++)
		if (is_in_group(&b->move[i], &sample))
			b->move[i].pending = false;
}

/* ---- a batch ---- */

bool kmm_frame_may_move(const struct kmm *k, const struct kmm_page *page)
{
	uint32_t flags = __atomic_load_n(&page->flags, __ATOMIC_ACQUIRE);
	enum kmm_kind kind = (enum kmm_kind)(flags & 15);

	(void)k;
	return (kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && !(flags & KMM_PG_HEAD) &&
	       atomic_load_explicit(&page->refcount, memory_order_relaxed) ==
		       atomic_load_explicit(&page->count, memory_order_relaxed) + (kind == KMM_KIND_FILE);
}

/* false: no target. A frame that cannot move is just not pending. */
static bool prepare(struct batch *b, struct kmm_page *from)
{
	struct move *m = &b->move[b->nr];

	*m = (struct move){ .from = from };
	if (!kmm_frame_may_move(b->k, from))
		return true;
	m->guest = kmm_guest_enter(b->k, from);
	if (!m->guest.owner)
		return true;
	m->to = b->mover->target(b->mover->arg, kind_of(m));
	if (!m->to) {
		kmm_guest_leave(b->k, &m->guest);
		return false;
	}
	m->pending = true;
	return true;
}

static void finish(struct batch *b, struct move *m)
{
	b->mover->moved += m->moved;
	b->mover->failed += !m->moved;
	__atomic_fetch_add(m->moved ? &b->k->vm->nr_moved : &b->k->vm->nr_not_moved, 1, __ATOMIC_RELAXED);
	if (m->held)
		kmm_put_page(b->k, m->from);
	if (m->to)
		kmm_put_page(b->k, m->to);
	if (m->guest.owner)
		kmm_guest_leave(b->k, &m->guest);
}

static bool begin(struct kmm_mover *mover)
{
	struct kmm *k = mover->k;

	if (mover->may_wait)
		kmm_mutex_lock(k, &k->vm->move_lock);
	else if (!kmm_mutex_trylock(&k->vm->move_lock))
		return false;
	kmm_guest_begin(k);
	return true;
}

enum kmm_status kmm_move_frames(struct kmm_mover *mover, const kmm_word *pfns, unsigned nr)
{
	struct kmm *k = mover->k;
	struct batch b;
	bool found = true;

	KMM_ASSERT(k, nr <= KMM_MOVE_BATCH);
	if (!begin(mover)) {
		mover->failed += nr;
		return KMM_OK;
	}
	b.mover = mover;
	b.k = k;
	b.flushes.nr = b.nr = 0;
	for (; b.nr < nr && found; b.nr += found)
		found = prepare(&b, kmm_page_at(k->phys, pfns[b.nr]));
	for (unsigned i = 0; i < b.nr; i++)
		if (b.move[i].pending)
			do_group(&b, &b.move[i]);
	for (unsigned i = 0; i < b.nr; i++)
		finish(&b, &b.move[i]);
	kmm_guest_end(k);
	kmm_mutex_unlock(k, &k->vm->move_lock);
	return found ? KMM_OK : KMM_ENOMEM;
}

/* ---- waiting ---- */

static bool is_moving_at(struct kmm_mm *mm, kmm_word va)
{
	struct kmm_ptref ref;

	return kmm_pt_lookup(mm->k, &mm->space, va, &ref) && kmm_leaf_is_moving(ref.entry);
}

struct sleeper {
	struct kmm *k;
	unsigned seen;
};

static bool has_moved(void *arg)
{
	struct sleeper *s = arg;

	return kmm_moves(s->k) != s->seen;
}

void kmm_move_wait(struct kmm_mm *mm, kmm_word va)
{
	struct kmm *k = mm->k;
	struct sleeper s = { k, 0 };

	atomic_fetch_add_explicit(&k->vm->move_waiters, 1, memory_order_seq_cst);
	for (;;) {
		s.seen = atomic_load_explicit(&k->vm->moves, memory_order_seq_cst);
		if (!is_moving_at(mm, va))
			break;
		if (k->port->wait)
			k->port->wait(k->port, &k->vm->moves, has_moved, &s);
		else if (k->port->relax)
			k->port->relax(k->port);
	}
	atomic_fetch_sub_explicit(&k->vm->move_waiters, 1, memory_order_relaxed);
}
