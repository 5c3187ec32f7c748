/* SPDX-License-Identifier: MIT */
/*
 * Allocation and freeing of page frames.
 *
 * A request names, by its modifiers, the zone where it starts, and a node, mostly the CPU's; it falls back to the zones
 * below and to other nodes (node.c), each zone keeping its watermark and its protection against requests from above.
 *
 *   a small block, this CPU has one cached, and the zone is well above low:  take it (no lock)
 *   first pass    each zone that stays above low
 *   pressure      a request that may block lets reclaim free something first
 *   last pass     each zone that stays above min, less what urgency opens
 *   drain         the CPU's caches go back to the bitmaps, and the last pass once more
 *   compaction    for more than one page, where pages may be moved, and the last pass once more
 *   again         while reclaim frees something, a bounded number of times
 *
 * NOFAIL goes on until it succeeds: it lets reclaim work, else sleeps until something is freed. Where the
 * port cannot wait and nothing can be reclaimed it does fail, and says so in the log.
 */
#include "phys/alloc.h"

#include "base/mem.h"
#include "kmm/node.h"
#include "phys/owner.h"
#include "phys/phys.h"

#define RECLAIM_ROUNDS 16u
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline)) static
#define RARE(cond) __builtin_expect(!!(cond), 0)
/* A jump, not a call, so that the return address there is our caller's. gcc makes it one where it optimises at all. */
#ifdef __clang__
#define GO_ON __attribute__((musttail)) return
#else
#define GO_ON return
#endif

struct request {
	kmm_gfp gfp;
	unsigned order;
	enum kmm_zone_id start;
	enum kmm_kind kind;
	const struct kmm_node *from;  /* whose list of zones is tried ... */
	uint32_t nodes;               /* ... as far as they are of these nodes, a bit each */
	enum kmm_mobility mobility;
};

static const struct kmm_where anywhere = { KMM_NODE_ANY, KMM_ALL_NODES, false };

/* ---- taking ---- */

/* The running CPU while k->straight: no pointer of the port need be asked on a machine that has one. */
ALWAYS_INLINE unsigned straight_cpu(const struct kmm *k)
{
	return !KMM_PORT_IS_INLINE && k->machine.nr_cpus == 1 ? 0 : kmm_port_cpu(k->port);
}

/* Where registers are few, compilers like to compute the pointer anew for each use. */
ALWAYS_INLINE const struct kmm_fast *settled(const struct kmm_fast *fast)
{
	__asm__("" : "+r"(fast));
	return fast;
}

/* Only while k->straight: the hooks are those that were built in, and nobody listens to events. */
ALWAYS_INLINE struct kmm_page *take_cached(struct kmm *k, kmm_gfp gfp, unsigned order, unsigned list, enum kmm_kind kind)
{
	unsigned long irq = kmm_port_irq_save(k->port);
	struct kmm_phys *p = k->phys;
	const struct kmm_fast *fast = settled(&p->fast[straight_cpu(k)][gfp & 15]);
	bool shut = kmm_fast_is_shut(fast); /* asked first: then less is in registers */
	struct kmm_pcp *pcp;
	struct kmm_page *page;
	struct kmm_mag *mag;
	kmm_word nr, pfn;

	if (RARE(shut)) {
		kmm_port_irq_restore(k->port, irq);
		return NULL;
	}
	pcp = __atomic_load_n(&fast->pcp, __ATOMIC_RELAXED);
	mag = &pcp->mag[list];
	nr = mag->nr;
	if (RARE(nr == 0)) {
		kmm_port_irq_restore(k->port, irq);
		return NULL;
	}
	kmm_word_set(&mag->nr, nr - 1);
	pfn = mag->at[nr - 1];
	kmm_word_add(list ? &pcp->blocks : &pcp->taken[kind - KMM_KIND_KERNEL], 1);
	if (list)
		kmm_pcp_count(pcp, kind, (kmm_word)1 << order);
	kmm_port_irq_restore(k->port, irq);
	page = (struct kmm_page *)(void *)(fast->memmap + (size_t)pfn * kmm_stride(p));
	kmm_page_become(p, page, fast->sort | (uint32_t)kind | order << 4);
	return page;
}

/* A whole batch only while that leaves the zone above low: near its marks a zone must not lose frames to a
 * cache where more urgent requests on other CPUs could not have them. Lock z held. */
static unsigned refill_size(const struct kmm_phys *p, const struct kmm_zone *z, const struct request *rq)
{
	kmm_word batch = kmm_pcp_batch(z, kmm_pcp_list(rq->order));
	kmm_word frames = (batch << rq->order) + KMM_BITS;

	if (!batch || !kmm_pcp_may_keep(p))
		return 1;
	return kmm_zone_usable(z, rq->mobility) > z->gate[rq->start] + frames ? (unsigned)batch : 1;
}

static kmm_word take_cacheable(struct kmm *k, struct kmm_zone *z, const struct request *rq)
{
	unsigned list = kmm_pcp_list(rq->order), want;
	struct kmm_mag *mag = &kmm_this_pcp(k, z, rq->mobility)->mag[list];

	if (mag->nr == 0) {
		want = refill_size(k->phys, z, rq);
		if (want == 1)
			return kmm_tract_take(k, z, rq->order, rq->mobility);
		if (!kmm_pcp_refill(k, z, rq->mobility, list, want))
			return KMM_NO_PFN;
	}
	kmm_word_set(&mag->nr, mag->nr - 1);
	return mag->at[mag->nr];
}

/* Lock z held. */
static struct kmm_page *take(struct kmm *k, struct kmm_zone *z, const struct request *rq)
{
	bool cached = kmm_pcp_list(rq->order) < KMM_PCP_LISTS;
	kmm_word pfn = cached ? take_cacheable(k, z, rq) : kmm_tract_take(k, z, rq->order, rq->mobility);

	if (pfn == KMM_NO_PFN)
		return NULL;
	KMM_ASSERT(k, (kmm_page_flags(kmm_page_at(k->phys, pfn)) & ~KMM_ZONE_MASK) == 0); /* nobody's */
	kmm_pcp_count(kmm_this_pcp(k, z, rq->mobility), rq->kind, (kmm_word)1 << rq->order);
	kmm_page_prepare(k->phys, kmm_page_at(k->phys, pfn), rq->kind, rq->order, rq->mobility);
	return kmm_page_at(k->phys, pfn);
}

static struct kmm_page *try_zone(struct kmm *k, struct kmm_zone *z, const struct request *rq,
				 const struct kmm_zone *best, bool last)
{
	bool no_marks = last && (rq->gfp & KMM_GFP_MEMALLOC);
	struct kmm_page *page = NULL;
	unsigned long irq;

	/* most of what is low is seen to be so without the lock */
	if (z->managed == 0 || (!last && kmm_zone_free_hint(z) <= z->gate[rq->start]))
		return NULL;
	irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);
	if (no_marks || kmm_watermark_allows(k, z, rq->order, rq->mobility, rq->start, kmm_watermark_mark(z, rq->gfp, last)))
		page = take(k, z, rq);
	if (page)
		kmm_numa_count(k, best, z, kmm_cpu(k));
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	return page;
}

static bool may_serve(const struct request *rq, const struct kmm_zone *z)
{
	return z->id <= rq->start && (rq->nodes >> z->node & 1);
}

static struct kmm_page *try_list(struct kmm *k, const struct request *rq, bool last)
{
	unsigned nr = __atomic_load_n(&rq->from->nr_list, __ATOMIC_RELAXED);
	struct kmm_zone *best = NULL;

	for (unsigned i = 0; i < nr; i++) {
		struct kmm_zone *z = __atomic_load_n(&rq->from->list[i], __ATOMIC_RELAXED);
		struct kmm_page *page;

		if (!may_serve(rq, z))
			continue;
		best = best ? best : z;
		page = try_zone(k, z, rq, best, last);
		if (page)
			return page;
	}
	return NULL;
}

/* Once more when the list changed while it was read. */
static struct kmm_page *pass(struct kmm *k, const struct request *rq, bool last)
{
	struct kmm_page *page;
	unsigned lists;

	do {
		lists = atomic_load_explicit(&k->phys->hot.lists, memory_order_acquire);
		page = try_list(k, rq, last);
	} while (!page && lists != atomic_load_explicit(&k->phys->hot.lists, memory_order_acquire));
	return page;
}

static kmm_word let_reclaim(struct kmm *k, const struct request *rq)
{
	if (!k->phys->reclaim || !(rq->gfp & KMM_GFP_RECLAIM) || (rq->gfp & KMM_GFP_MEMALLOC))
		return 0;
	__atomic_fetch_add(&k->phys->stalls[rq->start], 1, __ATOMIC_RELAXED);
	return k->phys->reclaim(k, rq->gfp, rq->order);
}

static struct kmm_page *last_passes(struct kmm *k, const struct request *rq)
{
	struct kmm_page *page = pass(k, rq, true);

	if (page)
		return page;
	kmm_pcp_drain_here(k);
	return pass(k, rq, true);
}

/* Pages moved together may leave a block behind. */
static struct kmm_page *compact_and_pass(struct kmm *k, const struct request *rq)
{
	if (!rq->order || !k->phys->compact || !(rq->gfp & KMM_GFP_RECLAIM) || (rq->gfp & KMM_GFP_MEMALLOC))
		return NULL;
	return k->phys->compact(k, rq->gfp, rq->order, rq->start) ? last_passes(k, rq) : NULL;
}

/* Who gets nothing of what others free, or of what he freed and others were quicker to take, goes on as long as pages get free. */
static bool counts_as_round(const struct request *rq, kmm_word freed)
{
	return rq->order || freed == KMM_PRESSURE_AGAIN || (rq->gfp & KMM_GFP_NORETRY);
}

static struct kmm_page *take_slowly(struct kmm *k, const struct request *rq)
{
	unsigned rounds = rq->gfp & KMM_GFP_NORETRY ? 1 : RECLAIM_ROUNDS;
	struct kmm_page *page;

	kmm_pcp_serve(k);
	page = pass(k, rq, false);
	if (!page && k->port->memory_low) {
		k->port->memory_low(k->port);
		page = last_passes(k, rq);
	}
	while (!page) {
		kmm_word freed = let_reclaim(k, rq);

		page = last_passes(k, rq);
		if (!page)
			page = compact_and_pass(k, rq);
		if (freed == 0 || (counts_as_round(rq, freed) && --rounds == 0))
			break;
	}
	return page;
}

/* ---- NOFAIL ---- */

static struct kmm_page *insist(struct kmm *k, const struct request *rq)
{
	struct kmm_page *page;

	kmm_phys_waiter(k, true);
	for (;;) {
		unsigned seen = kmm_phys_freed(k);

		kmm_pcp_drain_all(k);
		page = take_slowly(k, rq);
		if (page || !(rq->gfp & KMM_GFP_RECLAIM) || !k->port->wait)
			break;
		kmm_phys_wait_freed(k, seen);
	}
	kmm_phys_waiter(k, false);
	if (!page)
		kmm_warn(k, "a request that must not fail fails: nothing can be reclaimed and nobody can wait");
	return page;
}

/* ---- requests ---- */

/* The CPU may change while we ask: then the node is one that was near a moment ago. */
static void set_nodes(struct kmm *k, struct request *rq, const struct kmm_where *where)
{
	unsigned node = where->node == KMM_NODE_ANY ? kmm_cpu_node(k, kmm_cpu(k)) : where->node;

	rq->from = &k->phys->node[node];
	rq->nodes = rq->gfp & KMM_GFP_THISNODE ? where->nodes & 1u << node : where->nodes;
}

static struct kmm_page *alloc_by_passes(struct kmm *k, const struct kmm_where *where, kmm_gfp gfp, unsigned order,
					enum kmm_kind kind, const char *site)
{
	struct request rq = { .gfp = gfp, .order = order, .kind = kind, .mobility = kmm_gfp_mobility(gfp) };
	enum kmm_fail_reason reason = KMM_FAIL_REQUEST;
	struct kmm_page *page = NULL;

	if (!kmm_gfp_fault(k, gfp, order)) {
		rq.start = (enum kmm_zone_id)k->phys->class_of[gfp & 15];
		set_nodes(k, &rq, where);
		page = gfp & KMM_GFP_NOFAIL ? insist(k, &rq) : take_slowly(k, &rq);
		reason = KMM_FAIL_MEMORY;
	}
	if (!page && !where->quiet)
		kmm_fail_note(k, reason, &(struct kmm_attempt){ gfp, order, rq.nodes, site });
	return page;
}

static void clear(struct kmm *k, struct kmm_page *page, unsigned order)
{
	char *at = kmm_page_lowmem_ptr(k, page);

	for (size_t i = 0; i < (size_t)1 << order; i++, at += KMM_PAGE_SIZE) {
		if (k->port->zero_frame)
			k->port->zero_frame(k->port, at);
		else
			memset(at, 0, KMM_PAGE_SIZE);
	}
}

static inline struct kmm_page *hand_out(struct kmm *k, struct kmm_page *page, kmm_gfp gfp, unsigned order)
{
	kmm_trace(k, KMM_EV_ALLOC, kmm_pfn_of(k->phys, page), order, gfp, kmm_page_zone(page));
	return page;
}

/* What a block is allocated for, and by whom. */
struct source {
	enum kmm_kind kind;
	const char *site;
	const void *caller;
};

static struct kmm_page *alloc_where(struct kmm *k, const struct kmm_where *where, kmm_gfp gfp, unsigned order,
				    const struct source *source)
{
	struct kmm_page *page = NULL;

	if (kmm_inject(k, source->site) && !(gfp & KMM_GFP_NOFAIL)) {
		if (!where->quiet)
			kmm_fail_note(k, KMM_FAIL_INJECTED, &(struct kmm_attempt){ gfp, order, 0, source->site });
		return NULL;
	}
	page = alloc_by_passes(k, where, gfp, order, source->kind, source->site);
	if (!page)
		return NULL;
	if (k->page_debug)
		kmm_page_debug_alloc(k, page, gfp, order, source->site, source->caller);
	if (gfp & KMM_GFP_ZERO)
		clear(k, page, order);
	return hand_out(k, page, gfp, order);
}

/* Cleared low memory is the common case and clearing. */
static struct kmm_page *take_cleared(struct kmm *k, kmm_gfp gfp, unsigned order, unsigned list, enum kmm_kind kind)
{
	struct kmm_page *page;

	gfp &= ~(kmm_gfp)KMM_GFP_ZERO;
	if ((gfp & KMM_GFP_HIGHMEM) || !kmm_gfp_is_common(gfp))
		return NULL;
	page = take_cached(k, gfp, order, list, kind);
	if (page)
		clear(k, page, order);
	return page;
}

static struct kmm_page *alloc_block(struct kmm *k, kmm_gfp gfp, unsigned order, const struct source *source)
{
	unsigned list = kmm_pcp_list(order);
	struct kmm_page *page = NULL;

	KMM_ASSERT(k, source->kind >= KMM_KIND_KERNEL && source->kind < KMM_NR_KINDS);
	if (list < KMM_PCP_LISTS && k->straight) {
		if (gfp & KMM_GFP_ZERO)
			page = take_cleared(k, gfp, order, list, source->kind);
		else if (kmm_gfp_is_common(gfp))
			page = take_cached(k, gfp, order, list, source->kind);
	}
	return page ? page : alloc_where(k, &anywhere, gfp, order, source);
}

/* A block of several frames that nothing keeps from the short way, if this CPU has one. */
ALWAYS_INLINE struct kmm_page *take_block(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_kind kind)
{
	unsigned list = kmm_pcp_list(order);

	if (RARE(order == 0 || list >= KMM_PCP_LISTS || !k->straight || !kmm_gfp_is_common(gfp)))
		return NULL;
	return take_cached(k, gfp, order, list, kind);
}

/* All but the common case, with the arguments of the public calls: so these end in a jump here and need no frame of their
 * own, and the return address is that of their callers. */
NOINLINE struct kmm_page *phys_alloc(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_kind kind, const char *site)
{
	struct source source = { kind, site, __builtin_return_address(0) };

	return alloc_block(k, gfp, order, &source);
}

NOINLINE struct kmm_page *alloc_pages(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	struct kmm_page *page = take_block(k, gfp, order, KMM_KIND_KERNEL);
	struct source source;

	if (page)
		return page;
	source = (struct source){ KMM_KIND_KERNEL, "alloc_pages", __builtin_return_address(0) };
	return alloc_block(k, gfp, order, &source);
}

/* For one frame that nothing keeps from the shortest way? */
ALWAYS_INLINE bool is_straight(const struct kmm *k, kmm_gfp gfp, unsigned order)
{
	return kmm_gfp_is_common(gfp) && order == 0 && k->straight;
}

struct kmm_page *kmm_phys_alloc(struct kmm *k, kmm_gfp gfp, unsigned order, enum kmm_kind kind, const char *site)
{
	struct kmm_page *page;

	if (RARE(!is_straight(k, gfp, order)))
		GO_ON phys_alloc(k, gfp, order, kind, site);
	page = take_cached(k, gfp, 0, 0, kind);
	if (page)
		return page;
	GO_ON phys_alloc(k, gfp, 0, kind, site);
}

struct kmm_page *kmm_alloc_pages(struct kmm *k, kmm_gfp gfp, unsigned order)
{
	struct kmm_page *page;

	if (RARE(!is_straight(k, gfp, order)))
		GO_ON alloc_pages(k, gfp, order);
	page = take_cached(k, gfp, 0, 0, KMM_KIND_KERNEL);
	if (page)
		return page;
	GO_ON alloc_pages(k, gfp, 0);
}

struct kmm_page *kmm_phys_alloc_at(struct kmm *k, const struct kmm_where *where, kmm_gfp gfp, unsigned order,
				   enum kmm_kind kind, const char *site)
{
	struct source source = { kind, site, __builtin_return_address(0) };

	return alloc_where(k, where, gfp, order, &source);
}

struct kmm_page *kmm_alloc_pages_node(struct kmm *k, unsigned node, kmm_gfp gfp, unsigned order)
{
	struct kmm_where where = { node, KMM_ALL_NODES, false };

	if (node == KMM_NODE_ANY || (node == 0 && k->phys->nr_nodes == 1))
		return kmm_alloc_pages(k, gfp, order);
	if (node >= k->phys->nr_nodes)
		return NULL;
	return kmm_phys_alloc_at(k, &where, gfp, order, KMM_KIND_KERNEL, "alloc_pages_node");
}

void *kmm_phys_alloc_state(struct kmm *k, size_t size, const char *site)
{
	struct kmm_page *page = kmm_phys_alloc(k, KMM_GFP_KERNEL | KMM_GFP_ZERO, kmm_size_to_order(size),
					       KMM_KIND_KERNEL, site);

	return page ? kmm_page_lowmem_ptr(k, page) : NULL;
}

/* ---- freeing ---- */

static void free_uncached(struct kmm *k, struct kmm_page *page, unsigned order)
{
	struct kmm_zone *z = kmm_zone_of(k->phys, page);
	unsigned long irq = kmm_spin_lock(k, &z->lock, KMM_LOCK_ZONE);

	KMM_ASSERT(k, kmm_page_order(page) == order && atomic_load_explicit(&page->refcount, memory_order_relaxed) == 0);
	kmm_pcp_count(kmm_this_pcp(k, z, KMM_MOBILITY_UNMOVABLE), kmm_page_kind(page), -((kmm_word)1 << order));
	kmm_flags_set(page, kmm_page_flags(page) & KMM_ZONE_MASK);
	kmm_tract_put(k, z, kmm_pfn_of(k->phys, page), order);
	kmm_spin_unlock(k, &z->lock, KMM_LOCK_ZONE, irq);
	if (atomic_load_explicit(&k->phys->waiters, memory_order_acquire))
		kmm_tell_waiters(k);
}

/* A list is over its limit; interrupts are off and are restored. Few arguments, for a jump at the end. */
NOINLINE void overflow(struct kmm *k, struct kmm_pcp *pcp, unsigned long irq)
{
	kmm_pcp_overflow(k, pcp);
	kmm_irq_restore(k, irq);
}

/* Off to a CPU's cache, without a look at whether it may. false: its list is over the limit now. */
ALWAYS_INLINE bool put_cached(struct kmm_pcp *pcp, struct kmm_page *page, uint32_t flags, kmm_word pfn, unsigned list)
{
	struct kmm_mag *mag = &pcp->mag[list];
	kmm_word nr = mag->nr;

	kmm_flags_set(page, flags & KMM_ZONE_MASK);
	atomic_store_explicit(&page->refcount, 0, memory_order_relaxed);
	kmm_word_set(&mag->at[nr], pfn);
	kmm_word_set(&mag->nr, nr + 1);
	return nr < kmm_word_glance(&pcp->limit[list]);
}

static void free_cached(struct kmm *k, struct kmm_page *page, unsigned order, unsigned list)
{
	unsigned long irq = kmm_irq_save(k);
	struct kmm_phys *p = k->phys;
	struct kmm_pcp *pcp = p->pcp_of[kmm_page_cache_number(page)][kmm_cpu(k)];

	kmm_pcp_count(pcp, kmm_page_kind(page), -((kmm_word)1 << order));
	if (put_cached(pcp, page, kmm_page_flags(page), kmm_pfn_of(p, page), list))
		kmm_irq_restore(k, irq);
	else
		overflow(k, pcp, irq);
}

/* Allocated, as a block of that order, and referred to by at most one? */
static bool may_free(const struct kmm *k, const struct kmm_page *page, unsigned order)
{
	kmm_word pfn = kmm_pfn_exact(k->phys, page);

	return pfn < k->phys->max_pfn && kmm_section_is_live(k->phys, kmm_section_of(pfn)) &&
	       kmm_page_kind(page) >= KMM_KIND_KERNEL && kmm_page_order(page) == order &&
	       atomic_load_explicit(&page->refcount, memory_order_relaxed) <= 1;
}

/* The long way: blocks of several frames, somebody listens, or an invalid free. */
static void free_block(struct kmm *k, struct kmm_page *page, unsigned order, const void *caller)
{
	unsigned list = kmm_pcp_list(order);

	if (!may_free(k, page, order)) {
		kmm_free_refused(k, page, order, caller);
		return;
	}
	if (kmm_page_is_charged(page))
		k->phys->uncharge(k, page);
	if (k->page_debug)
		kmm_page_debug_free(k, page, order, caller);
	kmm_trace(k, KMM_EV_FREE, kmm_pfn_of(k->phys, page), order, 0, 0);
	if (list < KMM_PCP_LISTS) {
		free_cached(k, page, order, list);
		return;
	}
	atomic_store_explicit(&page->refcount, 0, memory_order_relaxed);
	free_uncached(k, page, order);
}

/* Is it the descriptor of a block, as far as its number and references say? Those are one, or (dropped) none. */
ALWAYS_INLINE bool may_be_one(const struct kmm *k, const struct kmm_page *page, kmm_word pfn, bool dropped)
{
	if (RARE(pfn >= k->straight_frames))
		return false;
	return !RARE(dropped ? kmm_refs_glance(page) > 1 : kmm_refs_glance(page) != 1);
}

ALWAYS_INLINE bool is_like(const struct kmm_recent *recent, uint32_t flags, unsigned order)
{
	return (uint16_t)(flags ^ order << 4) == recent->like;
}

/* Interrupts are off, and restored. */
ALWAYS_INLINE void free_recent(struct kmm *k, struct kmm_recent *recent, struct kmm_page *page, uint32_t flags, kmm_word pfn,
			       unsigned list, unsigned long irq)
{
	if (RARE(!put_cached(recent->pcp, page, flags, pfn, list)))
		overflow(k, recent->pcp, irq);
	else
		kmm_port_irq_restore(k->port, irq);
}

/* A frame like the last one that this CPU freed, of which the above is known, to its cache by the shortest way; all else
 * is left alone. Foreign pointers are told apart by their number; one into memory that was never used as a descriptor
 * may pass, if what lies there looks like one. */
ALWAYS_INLINE bool free_like(struct kmm *k, struct kmm_page *page, kmm_word pfn)
{
	struct kmm_phys *p = k->phys;
	uint32_t flags = kmm_page_flags(page); /* the hand may note an age still */
	unsigned long irq = kmm_port_irq_save(k->port);
	struct kmm_recent *recent = &p->recent[straight_cpu(k)];

	if (RARE(!is_like(recent, flags, 0))) {
		kmm_port_irq_restore(k->port, irq);
		return false;
	}
	kmm_word_add(recent->freed, 1);
	free_recent(k, recent, page, flags, pfn, 0, irq);
	return true;
}

/* The next ones are alike. Interrupts are off. */
NOINLINE void remember(struct kmm_phys *p, struct kmm_recent *recent, uint32_t flags, unsigned cpu)
{
	struct kmm_pcp *pcp = p->pcp_of[flags >> 8 & (KMM_CACHE_NUMBERS - 1)][cpu];

	recent->pcp = pcp;
	recent->freed = &pcp->freed[(flags & 15) - KMM_KIND_KERNEL];
	recent->kinds = &pcp->kinds[(flags & 15) - KMM_KIND_KERNEL];
	recent->like = (uint16_t)(flags & ~0xf0u);
}

/* The same for any block that caches hold, like the last one or not. */
ALWAYS_INLINE bool free_cacheable(struct kmm *k, struct kmm_page *page, unsigned order, bool dropped)
{
	kmm_word pfn = kmm_pfn_exact(k->phys, page);
	struct kmm_recent *recent;
	unsigned list = kmm_pcp_list(order);
	unsigned long irq;
	uint32_t flags;

	if (list >= KMM_PCP_LISTS || !may_be_one(k, page, pfn, dropped))
		return false;
	flags = kmm_page_flags(page);
	irq = kmm_port_irq_save(k->port);
	recent = &k->phys->recent[straight_cpu(k)];
	if (RARE(!is_like(recent, flags, order))) {
		if ((flags >> 4 & 15) != order || (flags & 15) < KMM_KIND_KERNEL) {
			kmm_port_irq_restore(k->port, irq);
			return false;
		}
		if (kmm_page_is_charged(page)) {
			k->phys->uncharge(k, page);
			flags = kmm_page_flags(page);
		}
		remember(k->phys, recent, flags, straight_cpu(k));
	}
	kmm_word_add(list ? &recent->pcp->blocks_freed : recent->freed, 1);
	if (list)
		kmm_word_add(recent->kinds, -((kmm_word)1 << order));
	free_recent(k, recent, page, flags, pfn, list, irq);
	return true;
}

/* As phys_alloc() is to kmm_phys_alloc(). */
NOINLINE void phys_free(struct kmm *k, struct kmm_page *page, unsigned order)
{
	if (!free_cacheable(k, page, order, true))
		free_block(k, page, order, __builtin_return_address(0));
}

/* The caller's reference must be the only one. */
NOINLINE void free_pages(struct kmm *k, struct kmm_page *page, unsigned order)
{
	if (free_cacheable(k, page, order, false))
		return;
	if (kmm_pfn_exact(k->phys, page) < k->phys->max_pfn &&
	    atomic_load_explicit(&page->refcount, memory_order_relaxed) != 1)
		kmm_free_refused(k, page, order, __builtin_return_address(0));
	else
		free_block(k, page, order, __builtin_return_address(0));
}

void kmm_phys_free(struct kmm *k, struct kmm_page *page, unsigned order)
{
	kmm_word pfn = kmm_pfn_exact(k->phys, page);

	if (RARE(order) || !may_be_one(k, page, pfn, true))
		GO_ON phys_free(k, page, order);
	if (!free_like(k, page, pfn))
		GO_ON phys_free(k, page, 0);
}

void kmm_free_pages(struct kmm *k, struct kmm_page *page, unsigned order)
{
	kmm_word pfn = kmm_pfn_exact(k->phys, page);

	if (RARE(order) || !may_be_one(k, page, pfn, false))
		GO_ON free_pages(k, page, order);
	if (!free_like(k, page, pfn))
		GO_ON free_pages(k, page, 0);
}

void kmm_get_page(struct kmm *k, struct kmm_page *page)
{
	unsigned was = atomic_fetch_add_explicit(&page->refcount, 1, memory_order_relaxed);

	KMM_ASSERT(k, was != 0);
}

void kmm_put_page(struct kmm *k, struct kmm_page *page)
{
	unsigned was = atomic_fetch_sub_explicit(&page->refcount, 1, memory_order_acq_rel);

	if (RARE(was == 0)) {
		atomic_fetch_add_explicit(&page->refcount, 1, memory_order_relaxed);
		kmm_free_refused(k, page, kmm_page_order(page), __builtin_return_address(0));
	} else if (was == 1) {
		kmm_phys_free(k, page, kmm_page_order(page));
	}
}

/* ---- many at once ---- */

/* Up to nr frames of this CPU's cache, with interrupts off once. Only while k->straight. */
static size_t take_run(struct kmm *k, kmm_gfp gfp, size_t nr, struct kmm_page **pages)
{
	unsigned long irq = kmm_port_irq_save(k->port);
	struct kmm_phys *p = k->phys;
	const struct kmm_fast *fast = &p->fast[straight_cpu(k)][gfp & 15];
	struct kmm_mag *mag = &fast->pcp->mag[0];
	kmm_word left = mag->nr;
	size_t got = 0;

	if (!kmm_fast_is_shut(fast))
		for (; got < nr && left; got++)
			pages[got] = kmm_page_at(p, mag->at[--left]);
	kmm_word_set(&mag->nr, left);
	kmm_word_add(&fast->pcp->taken[0], (kmm_word)got);
	kmm_port_irq_restore(k->port, irq);
	for (size_t i = 0; i < got; i++)
		kmm_page_prepare(p, pages[i], KMM_KIND_KERNEL, 0, (enum kmm_mobility)(gfp >> 3 & 1));
	return got;
}

size_t kmm_alloc_pages_bulk(struct kmm *k, kmm_gfp gfp, size_t nr, struct kmm_page **pages)
{
	size_t got = 0;

	while (got < nr) {
		if (k->straight && kmm_gfp_is_common(gfp))
			got += take_run(k, gfp, nr - got, pages + got);
		if (got == nr)
			break;
		pages[got] = kmm_alloc_pages(k, gfp, 0); /* refills the cache */
		if (!pages[got])
			break;
		got++;
	}
	return got;
}

void kmm_free_pages_bulk(struct kmm *k, size_t nr, struct kmm_page *const *pages)
{
	for (size_t i = 0; i < nr; i++) {
		if (i + 8 < nr)
			__builtin_prefetch(pages[i + 8], 1);
		kmm_free_pages(k, pages[i], 0);
	}
}

/* ---- what others do for it ---- */

void kmm_pressure_register(struct kmm *k, kmm_word (*reclaim)(struct kmm *k, kmm_gfp gfp, unsigned order))
{
	k->phys->reclaim = reclaim;
}

void kmm_uncharge_register(struct kmm *k, void (*uncharge)(struct kmm *k, struct kmm_page *page))
{
	k->phys->uncharge = uncharge;
}

void kmm_compaction_register(struct kmm *k, bool (*compact)(struct kmm *k, kmm_gfp gfp, unsigned order,
							    enum kmm_zone_id start))
{
	k->phys->compact = compact;
}
