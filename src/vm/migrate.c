/* SPDX-License-Identifier: MIT */
/*
 * The move of a batch of frames (migrate.h says what others see of it): to other frames, or out of memory.
 *
 *	enter     the owners of the frames, as guests; and a target for each frame
 *	unmap     every entry of the page becomes a moving one; the first takes a reference, which is the mover's
 *	flush     once for all, then no processor can reach the pages any more
 *	judge     mappings, cache and mover must be all the references there are; else somebody holds the page: put back
 *	copy      through windows, with the marks; evicting: to swap, or a clean page out of its file's cache
 *	remap     moving entries show the target; mappings, references and the cache's place move along one by one;
 *	          evicting: they name the slot, or are empty
 *	leave     waiters are woken, the old frame is let go
 *
 * Entries are found by the owner's list of areas, under its lock: the spin lock of an anon object for each walk,
 * the mutex of a file's mapping from before unmap till after remap, so nobody gets at the page by the cache. A walk can miss
 * entries: an area that is being cut is for a moment in the list with less than it has, entries of mremap change their place
 * between two looks. Missed by unmap, they make the judgement fail. Missed by remap, they are found in the next round:
 * vm->moving counts moving entries wherever they are (who takes one away counts too), and remap goes on until there are none.
 * For that there is one mover at a time, by vm->move_lock.
 *
 * While there are moving entries nothing is waited for but the end of a transfer to swap, which needs none of our locks: who
 * waits for us may hold m and, in fork, a b that is not ours.
 */
#include "vm/migrate.h"

#include "kva/kva.h"
#include "phys/owner.h"
#include "swap/swap.h"
#include "vm/backing.h"
#include "vm/guest.h"

enum { PATIENCE = 1 << 16 };

struct move {
	struct kmm_page *from, *to;
	struct kmm_guest guest;
	bool pending;            /* its batch is not done with it yet */
	bool held;               /* the mover has a reference to from */
	unsigned nr_entries;     /* moving entries made */
	bool moved;
	bool refused;            /* evicting: an area keeps it in memory */
	uint32_t raw;            /* evicted to swap: what its entries become; we have a count of the slot ... */
	bool is_passed_on;       /* ... or its only entry has got that */
};

struct batch {
	struct kmm_mover *mover;
	struct kmm *k;
	struct kmm_flushes flushes;
	bool is_full;            /* a walk stopped for lack of room in flushes */
	struct move move[KMM_MOVE_BATCH];
	unsigned nr;
	struct kmm_page *pages[KMM_MOVE_BATCH]; /* evicting: on their way to swap, and what became of them */
	uint32_t raw[KMM_MOVE_BATCH];
};

/* ---- flushing ---- */

void kmm_flushes_run(struct kmm *k, struct kmm_flushes *flushes)
{
	for (unsigned i = 0; i < flushes->nr; i++)
		kmm_tlb_flush_space(k, &flushes->space[i]);
	flushes->nr = 0;
}

void kmm_flushes_run_here(struct kmm *k, struct kmm_flushes *flushes)
{
	for (unsigned i = 0; i < flushes->nr; i++)
		k->port->tlb_flush_local(k->port, &flushes->space[i]);
	flushes->nr = 0;
}

bool kmm_flushes_note(struct kmm_flushes *flushes, struct kmm_paddr root, kmm_word va)
{
	struct kmm_flush *f = flushes->space;
	unsigned i = 0;

	for (; i < flushes->nr; i++, f++)
		if (f->root.v == root.v)
			break;
	if (i == KMM_FLUSH_SPACES)
		return false;
	if (i == flushes->nr) {
		flushes->nr++;
		*f = (struct kmm_flush){ root, va, va + KMM_PAGE_SIZE, false };
	}
	f->start = va < f->start ? va : f->start;
	f->end = va + KMM_PAGE_SIZE > f->end ? va + KMM_PAGE_SIZE : f->end;
	return true;
}

/* ---- entries ---- */

typedef bool visit_fn(struct batch *b, struct move *m, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va);

struct walk {
	struct batch *b;
	struct move *m;
	visit_fn *visit;
};

static bool visit_entry(void *arg, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct walk *w = arg;

	return w->visit(w->b, w->m, vma, ref, va);
}

/* The areas of the page's owner, which is locked meanwhile. */
static void walk_areas(struct batch *b, struct move *m, visit_fn *visit)
{
	struct walk w = { b, m, visit };

	kmm_guest_walk(b->k, &m->guest, visit_entry, &w);
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
static bool unmap_entry(struct batch *b, struct move *m, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm_mm *mm = vma->mm;
	struct kmm *k = b->k;
	uint64_t raw;

	if (!kmm_leaf_is_present(ref->entry) || kmm_leaf_page(k, kmm_leaf_read(k, ref->entry)) != m->from)
		return true;
	if (!is_same_page(b, m))
		return false;
	m->refused = b->mover->evict && (__atomic_load_n(&vma->flags, __ATOMIC_RELAXED) & KMM_VM_LOCKED);
	if (m->refused)
		return false;
	b->is_full = !kmm_flushes_note(&b->flushes, mm->space.root, va);
	if (b->is_full)
		return false;
	if (!m->held)
		atomic_fetch_add_explicit(&m->from->refcount, 1, memory_order_relaxed);
	m->held = true;
	raw = kmm_leaf_make_moving(k, ref->entry);
	trace_entry(b, mm, va, raw);
	if (b->mover->evict && (raw & KMM_X86_D))
		kmm_page_set_dirty(m->from);
	atomic_fetch_add_explicit(&k->vm->moving, 1, memory_order_relaxed);
	m->nr_entries++;
	return true;
}

/* What stays known about a page that is gone; of one that has no slot: a hole. */
static uint32_t evicted_marks(const struct move *m, const struct kmm_vma *vma, uint64_t raw)
{
	uint32_t watched = kmm_raw_is_watched(raw) && (m->raw || vma->backing) ? KMM_SWAP_WATCHED : 0;

	return watched | (m->raw && (raw & KMM_X86_SOFT_DIRTY) ? KMM_SWAP_WRITTEN : 0);
}

/* A count of the slot for one more entry. One that is alone stays so, as moving entries are not copied: it gets ours. */
static bool count_slot(struct kmm *k, struct move *m)
{
	if (!m->raw)
		return true;
	if (m->nr_entries > 1)
		return kmm_slot_get(k, m->raw);
	KMM_ASSERT(k, !m->is_passed_on);
	m->is_passed_on = true;
	return true;
}

/* A moving entry of an evicted page names its slot, or nothing; the mapping is gone. */
static void evict_entry(struct batch *b, struct move *m, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm *k = b->k;
	uint32_t marks = evicted_marks(m, vma, kmm_leaf_read(k, ref->entry));
	bool counted = count_slot(k, m);

	KMM_ASSERT(k, counted); /* a page with so many mappings was not evicted */
	(void)counted;
	kmm_mm_note_peak(vma->mm);
	kmm_vma_count_page(vma, m->from, false);
	if (m->raw)
		kmm_mm_count_rss(vma->mm, KMM_RSS_SWAP, 1);
	kmm_pt_write(k, &vma->mm->space, ref, va, m->raw | marks);
	atomic_fetch_sub_explicit(&m->from->refcount, 1, memory_order_release);
	atomic_fetch_sub_explicit(&k->vm->moving, 1, memory_order_release);
}

/* A moving entry of the page becomes present again: with the target, or with the old frame when there is none. */
static bool remap_entry(struct batch *b, struct move *m, struct kmm_vma *vma, const struct kmm_ptref *ref, kmm_word va)
{
	struct kmm_mm *mm = vma->mm;
	struct kmm *k = b->k;
	struct kmm_page *to = m->moved ? m->to : m->from;
	uint64_t raw;

	if (!kmm_leaf_is_moving(ref->entry))
		return true;
	raw = kmm_leaf_read(k, ref->entry);
	if (kmm_leaf_page(k, raw) != m->from)
		return true;
	if (m->moved && !to) {
		evict_entry(b, m, vma, ref, va);
		return true;
	}
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
			kmm_flushes_run(b->k, &b->flushes);
	} while (b->is_full);
}

/* Are the mappings that were found, the cache and we all who have it? */
static bool is_ours_alone(const struct move *m)
{
	unsigned cached = m->guest.sort == KMM_OWNER_MAPPING;

	return m->held && !m->refused && m->nr_entries < KMM_SLOT_MOST &&
	       atomic_load_explicit(&m->from->count, memory_order_acquire) == m->nr_entries &&
	       atomic_load_explicit(&m->from->refcount, memory_order_acquire) == m->nr_entries + cached + 1 &&
	       (cached || m->nr_entries);
}

static void copy(struct batch *b, struct move *m)
{
	struct kmm *k = b->k;

	kmm_copy_page(k, m->to, m->from);
	kmm_page_set_owner(k, m->to, m->guest.owner);
	kmm_page_set_index(k, m->to, m->guest.index);
	__atomic_fetch_or(&m->to->flags, __atomic_load_n(&m->from->flags, __ATOMIC_RELAXED) & (KMM_PG_DIRTY | KMM_PG_SHMEM | KMM_PG_STORED | KMM_PG_BLANK),
			  __ATOMIC_RELAXED);
	kmm_group_move_charge(k, m->to, m->from);
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

static void copy_group(struct batch *b, const struct move *first)
{
	for (unsigned i = 0; i < b->nr; i++) {
		struct move *m = &b->move[i];

		if (!is_in_group(m, first) || !is_ours_alone(m))
			continue;
		copy(b, m);
		if (m->guest.sort == KMM_OWNER_MAPPING)
			move_cached(b, m);
		m->moved = true;
	}
}

/* Private pages, all by one transfer if they come to lie together. */
static void swap_group(struct batch *b, const struct move *first)
{
	struct kmm_page **pages = b->pages;
	uint32_t *raw = b->raw;
	unsigned nr = 0, at = 0;

	for (unsigned i = 0; i < b->nr; i++) {
		b->move[i].moved = is_in_group(&b->move[i], first) && is_ours_alone(&b->move[i]);
		if (b->move[i].moved)
			pages[nr++] = b->move[i].from;
	}
	b->mover->later += kmm_swap_out(b->k, pages, nr, raw);
	for (unsigned i = 0; i < b->nr; i++) {
		if (!b->move[i].moved)
			continue;
		b->move[i].raw = raw[at++];
		b->move[i].moved = b->move[i].raw != 0;
	}
}

/* Into a row by their places in the file. */
static void insert_by_index(struct batch *b, unsigned nr, struct kmm_page *page)
{
	uint64_t index = kmm_page_index(b->k, page);

	for (; nr > 0 && kmm_page_index(b->k, b->pages[nr - 1]) > index; nr--)
		b->pages[nr] = b->pages[nr - 1];
	b->pages[nr] = page;
}

/* Pages of a file that it can have again, when they were written if need be. */
static void drop_group(struct batch *b, const struct move *first)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < b->nr; i++)
		if (is_in_group(&b->move[i], first) && is_ours_alone(&b->move[i]))
			insert_by_index(b, nr++, b->move[i].from);
	b->mover->later += kmm_file_evict((struct kmm_mapping *)first->guest.owner, b->pages, nr, b->raw, b->mover->no_io);
	for (unsigned i = 0; i < b->nr; i++) {
		struct move *m = &b->move[i];

		if (!is_in_group(m, first) || !m->held || !kmm_page_is_cut_off(m->from))
			continue; /* it was cached when we took it, so that is our doing */
		atomic_fetch_sub_explicit(&m->from->refcount, 1, memory_order_release);
		m->moved = true;
	}
}

static void move_group(struct batch *b, const struct move *first)
{
	for (unsigned i = 0; i < b->nr; i++)
		if (is_in_group(&b->move[i], first))
			unmap(b, &b->move[i]);
	kmm_flushes_run(b->k, &b->flushes);
	if (!b->mover->evict)
		copy_group(b, first);
	else if (first->guest.sort == KMM_OWNER_ANON)
		swap_group(b, first);
	else
		drop_group(b, first);
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
	return (kind == KMM_KIND_ANON || kind == KMM_KIND_FILE) && kmm_page_order(page) == 0 &&
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
	if (!b->mover->evict)
		m->to = b->mover->target(b->mover->arg, kind_of(m));
	if (!m->to && !b->mover->evict) {
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
	if (!b->mover->evict)
		__atomic_fetch_add(m->moved ? &b->k->vm->nr_moved : &b->k->vm->nr_not_moved, 1, __ATOMIC_RELAXED);
	if (m->raw && !m->is_passed_on)
		kmm_slot_put(b->k, m->raw);
	if (m->held)
		kmm_put_page(b->k, m->from);
	if (m->to)
		kmm_put_page(b->k, m->to);
	if (m->guest.owner)
		kmm_guest_leave(b->k, &m->guest);
}

/* The lock for who must not sleep. Its holder may wait for a file's lock that our caller has, so not for ever. */
static bool try_for_a_time(struct kmm *k)
{
	for (unsigned i = 0; i < PATIENCE; i++) {
		if (kmm_mutex_trylock(&k->vm->move_lock))
			return true;
		if (k->port->relax)
			k->port->relax(k->port);
	}
	return false;
}

static bool begin(struct kmm_mover *mover)
{
	struct kmm *k = mover->k;

	if (mover->may_wait)
		kmm_mutex_lock(k, &k->vm->move_lock);
	else if (!(mover->evict ? try_for_a_time(k) : kmm_mutex_trylock(&k->vm->move_lock)))
		return false;
	kmm_guest_begin(k);
	return true;
}

size_t kmm_move_room_size(void) { return sizeof(struct batch); }

enum kmm_status kmm_move_frames(struct kmm_mover *mover, const kmm_word *pfns, unsigned nr)
{
	struct kmm *k = mover->k;
	struct batch *b = k->vm->move_room; /* too much for the stack of a fault that found no memory */
	bool found = true;

	KMM_ASSERT(k, nr <= KMM_MOVE_BATCH);
	if (!begin(mover)) {
		mover->failed += nr;
		mover->was_busy = true;
		return KMM_OK;
	}
	b->mover = mover;
	b->k = k;
	b->flushes.nr = b->nr = 0;
	for (; b->nr < nr && found; b->nr += found)
		found = prepare(b, kmm_page_at(k->phys, pfns[b->nr]));
	for (unsigned i = 0; i < b->nr; i++)
		if (b->move[i].pending)
			do_group(b, &b->move[i]);
	for (unsigned i = 0; i < b->nr; i++)
		finish(b, &b->move[i]);
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
