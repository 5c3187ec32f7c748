/* SPDX-License-Identifier: MIT */
/*
 * Views that may be kept: one window of slots for all CPUs, a page at most once in it, users counted.
 *
 *	            map                        last kunmap
 *	CLEAN  ------------> MAPPED, users  -------------->  MAPPED, no users
 *	  ^                        ^------------------------------|   |
 *	  |    flush                      kmap of the same page       | the window is used up
 *	  +------------------------ DIRTY <---------------------------+
 *
 * kunmap is lazy: the entry stays until the search for a clean slot has gone once round the window. Then all unused
 * entries go together and one flush of the window serves them all. The flush tells other CPUs, so it happens without
 * the lock; slots are DIRTY meanwhile. Each flush has a number, its epoch, and a slot is CLEAN once a flush has ended
 * that began after it became DIRTY: comparing its epoch with `flushed` says so, and nobody has to go round and mark.
 *
 * The window is one page table, so a slot's entry is found by its number. The hash is made anew at each flush from
 * the few slots that stay mapped; between flushes slots are only added.
 *
 * Sleepers: when all slots have users, callers queue. A slot that becomes free is promised to the first of the
 * queue; newcomers may take only what is not promised, so order of arrival holds.
 */
#include "kva/kva.h"
#include "phys/owner.h"

#include "phys/phys.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static unsigned free_slots(const struct kmm_kmap *map) { return map->nr_slots - map->used; }

static kmm_word slot_va(const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	return map->start + ((kmm_word)(slot - map->slot) << KMM_PAGE_SHIFT);
}

ALWAYS_INLINE void *window_pointer(const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	return map->view + ((size_t)(slot - map->slot) << KMM_PAGE_SHIFT);
}

static void *slot_pointer(const struct kmm *k, const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	return map->view ? window_pointer(map, slot) : kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(slot->pfn)));
}

/* ---- which slot shows a page ---- */

static inline uint16_t *bucket(const struct kmm_kmap *map, kmm_word pfn)
{
	return &map->hash[((uint32_t)pfn * 0x9e3779b1u >> 16) & map->mask];
}

ALWAYS_INLINE struct kmm_kmap_slot *find_in(const struct kmm_kmap *map, const uint16_t *head, kmm_word pfn)
{
	unsigned number;

	for (number = *head; number; number = map->slot[number - 1].next)
		if (map->slot[number - 1].pfn == pfn)
			return &map->slot[number - 1];
	return NULL;
}

static inline struct kmm_kmap_slot *find(const struct kmm_kmap *map, kmm_word pfn)
{
	return find_in(map, bucket(map, pfn), pfn);
}

ALWAYS_INLINE void hash_add(struct kmm_kmap *map, struct kmm_kmap_slot *slot)
{
	uint16_t *head = bucket(map, slot->pfn);

	slot->next = *head;
	*head = (uint16_t)(slot - map->slot + 1);
}

/* ---- clean slots ---- */

ALWAYS_INLINE void *entry_of(const struct kmm *k, const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	return map->entries + (size_t)(slot - map->slot) * kmm_pt_fmt(k)->entry_size;
}

/* Both for grounds and listeners that are rarely there. */
static __attribute__((noinline)) bool show_entry(struct kmm *k, const struct kmm_kmap_slot *slot, bool on)
{
	struct kmm_kva va = { slot_va(&k->kva->kmap, slot) };
	struct kmm_pfn frame = { slot->pfn };

	return !k->port->window_changed ||
	       !k->port->window_changed(k->port, va, on ? &frame : NULL, 1,
					on ? KMM_PROT_READ | KMM_PROT_WRITE : KMM_PROT_NONE);
}

static inline void note_entry(struct kmm *k, const struct kmm_kmap *map, const struct kmm_kmap_slot *slot, uint64_t raw)
{
	kmm_trace(k, KMM_EV_PT_SET, slot_va(map, slot), raw, 0, kmm_pt_kernel(k)->root.v);
}

static bool is_unused(const struct kmm_kmap_slot *slot) { return slot->mapped && !slot->users; }

/* For listeners and grounds that want to see each entry go. */
static __attribute__((noinline)) void show_collection(struct kmm *k, const struct kmm_kmap *map)
{
	unsigned i;

	for (i = 0; i < map->nr_slots; i++)
		if (is_unused(&map->slot[i])) {
			note_entry(k, map, &map->slot[i], 0);
			(void)show_entry(k, &map->slot[i], false);
		}
}

/* Takes all entries without users away; they become DIRTY. Lock held. */
static void collect(struct kmm *k, struct kmm_kmap *map)
{
	struct kmm_kmap_slot *slot = map->slot, *end = slot + map->nr_slots;
	uint32_t epoch = ++map->epoch;
	char *entry = map->entries;

	if (k->trace || k->port->window_changed)
		show_collection(k, map);
	map->cursor = 0;
	__builtin_memset(map->hash, 0, map->nr_slots * sizeof(*map->hash));
	for (; slot < end; slot++, entry += kmm_pt_fmt(k)->entry_size) {
		if (!slot->mapped)
			continue;
		if (slot->users) {
			hash_add(map, slot);
			continue;
		}
		kmm_entry_store(k, entry, 0);
		slot->mapped = false;
		slot->epoch = epoch;
	}
}

/* Makes every slot without users CLEAN. Drops the lock in between. */
static void flush_unused(struct kmm *k, struct kmm_kmap *map, unsigned long *flags)
{
	uint32_t epoch;

	KMM_ASSERT(k, map->cursor == map->nr_slots);
	collect(k, map);
	epoch = map->epoch;
	map->flushes++;
	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, *flags);
	kmm_pt_flush_kernel(k, kmm_kva(map->start), kmm_kva(map->start + (kmm_word)map->nr_slots * KMM_PAGE_SIZE));
	*flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	if ((int32_t)(epoch - map->flushed) > 0) /* flushes of two CPUs may end in any order */
		map->flushed = epoch;
}

ALWAYS_INLINE bool is_clean(const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	return !slot->mapped && (int32_t)(map->flushed - slot->epoch) >= 0;
}

/* The next clean slot up to the end of the window. */
static struct kmm_kmap_slot *next_clean(struct kmm_kmap *map)
{
	while (map->cursor < map->nr_slots) {
		struct kmm_kmap_slot *slot = &map->slot[map->cursor++];

		if (is_clean(map, slot))
			return slot;
	}
	return NULL;
}

/* ---- sleeping ---- */

/* Promises free slots to sleepers. Lock held. */
static void grant(struct kmm *k, struct kmm_kmap *map)
{
	while (map->first && free_slots(map) > map->promised) {
		struct kmm_kmap_waiter *waiter = map->first;

		map->first = waiter->next;
		if (!map->first)
			map->last = &map->first;
		map->promised++;
		KMM_ASSERT(k, map->promised <= free_slots(map));
		atomic_store_explicit(&waiter->granted, true, memory_order_release);
		k->port->wake(k->port, waiter); /* only a number by now: the sleeper may be gone */
	}
}

static bool is_granted(void *arg)
{
	struct kmm_kmap_waiter *waiter = arg;

	return atomic_load_explicit(&waiter->granted, memory_order_acquire);
}

/* Returns holding a promise. Drops the lock in between. */
static void wait_in_line(struct kmm *k, struct kmm_kmap *map, unsigned long *flags)
{
	struct kmm_kmap_waiter waiter = { NULL, false };

	*map->last = &waiter;
	map->last = &waiter.next;
	map->waits++;
	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, *flags);
	k->port->wait(k->port, &waiter, is_granted, &waiter);
	*flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	KMM_ASSERT(k, is_granted(&waiter) && map->promised > 0);
}

/* ---- the calls ---- */

static inline void add_user(struct kmm_kmap *map, struct kmm_kmap_slot *slot)
{
	if (slot->users++ == 0)
		map->used++;
}

/* Shows pfn in a clean slot. NULL: the ground refused. */
static struct kmm_kmap_slot *map_slot(struct kmm *k, struct kmm_kmap *map, struct kmm_kmap_slot *slot, kmm_word pfn)
{
	uint64_t raw = kmm_pt_leaf(map->rights, kmm_pfn(pfn));
	void *entry = entry_of(k, map, slot);

	KMM_ASSERT(k, slot->users == 0 && kmm_entry_load_low(entry) == 0);
	KMM_CHECK(k, !find(map, pfn) && is_clean(map, slot));
	slot->pfn = pfn;
	if (k->port->window_changed && !show_entry(k, slot, true))
		return NULL;
	kmm_entry_set(k, entry, raw);
	note_entry(k, map, slot, raw);
	slot->mapped = true;
	hash_add(map, slot);
	return slot;
}

/* A slot that shows pfn, without a user more, if that needs no flush and no sleep. NULL: it does, or the ground refused. */
static inline struct kmm_kmap_slot *get_at_once(struct kmm *k, struct kmm_kmap *map, kmm_word pfn, unsigned promise)
{
	struct kmm_kmap_slot *slot = find(map, pfn);

	if (slot && slot->users)
		return slot;
	if (free_slots(map) <= map->promised - promise)
		return NULL;
	if (slot) /* still mapped, but free: to be had like any other free one */
		return slot;
	slot = next_clean(map);
	return slot ? map_slot(k, map, slot, pfn) : NULL;
}

/* The same with flush and sleep. NULL: would have to sleep and cannot, or the ground refused. */
static __attribute__((noinline)) struct kmm_kmap_slot *get_slowly(struct kmm *k, struct kmm_kmap *map, kmm_word pfn,
								  unsigned long *flags)
{
	struct kmm_kmap_slot *slot = NULL;
	unsigned promise = 0; /* 1: one of the promised slots is ours */

	while (!slot) {
		if (free_slots(map) > map->promised - promise) {
			if (map->cursor < map->nr_slots) /* the slot was there and the ground refused */
				break;
			flush_unused(k, map, flags);
		} else {
			KMM_ASSERT(k, promise == 0);
			if (!k->port->wait)
				break;
			wait_in_line(k, map, flags);
			promise = 1;
		}
		slot = get_at_once(k, map, pfn, promise);
	}
	KMM_ASSERT(k, map->promised >= promise && free_slots(map) >= map->promised);
	map->promised -= promise;
	return slot;
}

/* ---- the common case: no listener, no contention, no flush, no sleeper; nothing is called ----
 *
 * Under 100 instructions a call, so each counts: the slot taken last is looked at before the hash, entries written
 * here are not counted as events (nobody reports that count), and a slot behind the last one stops the cursor. */

/* The lock's order is checked all the same: who holds any lock goes the long way, which asserts. */
ALWAYS_INLINE bool lock_quickly(struct kmm *k, struct kmm_kmap *map, unsigned long *flags)
{
	if (KMM_DEBUG >= 2 || !k->straight || !map->plain)
		return false;
	*flags = kmm_port_irq_save(k->port);
	if ((KMM_DEBUG < 1 || !k->locks_held[kmm_port_cpu(k->port)]) &&
	    !atomic_exchange_explicit(&map->lock.held, 1, memory_order_acquire))
		return true;
	kmm_port_irq_restore(k->port, *flags);
	return false;
}

ALWAYS_INLINE void unlock_quickly(struct kmm *k, struct kmm_kmap *map, unsigned long flags)
{
	atomic_store_explicit(&map->lock.held, 0, memory_order_release);
	kmm_port_irq_restore(k->port, flags);
}

/* The slot at the cursor for pfn, with its user. NULL: that one will not do. A clean slot is one of the free ones; whether
 * it may be taken is a question only while some are promised. */
ALWAYS_INLINE struct kmm_kmap_slot *map_quickly(struct kmm *k, struct kmm_kmap *map, uint16_t *head, kmm_word pfn)
{
	unsigned number = map->cursor;
	struct kmm_kmap_slot *slot = &map->slot[number];

	if (map->promised || !is_clean(map, slot))
		return NULL;
	KMM_CHECK(k, slot->users == 0 && kmm_entry_load(k, entry_of(k, map, slot)) == 0);
	slot->next = *head;
	*head = (uint16_t)++number;
	map->cursor = number;
	map->used++;
	map->hint = slot;
	slot->users = 1;
	slot->mapped = true;
	slot->pfn = pfn;
	kmm_entry_set(k, entry_of(k, map, slot), kmm_pt_leaf(map->rights, kmm_pfn(pfn)));
	return slot;
}

/* A slot that shows pfn already, with one more user. NULL: would be one too many. */
ALWAYS_INLINE struct kmm_kmap_slot *share_quickly(struct kmm_kmap *map, struct kmm_kmap_slot *slot)
{
	if (!slot->users) {
		if (map->promised)
			return NULL;
		map->used++;
	}
	slot->users++;
	return slot;
}

static __attribute__((noinline)) void *kmap_slowly(struct kmm *k, struct kmm_page *page)
{
	struct kmm_kmap *map = &k->kva->kmap;
	kmm_word pfn = kmm_pfn_of(k->phys, page);
	struct kmm_kmap_slot *slot;
	unsigned long flags;
	void *view = NULL;

	if (!map->nr_slots)
		return kmm_page_lowmem_ptr(k, page);
	flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	slot = get_at_once(k, map, pfn, 0);
	if (!slot)
		slot = get_slowly(k, map, pfn, &flags);
	if (slot) {
		KMM_ASSERT(k, slot->mapped && slot->pfn == pfn && slot->users < UINT32_MAX);
		add_user(map, slot);
		map->kmaps++;
		kmm_trace(k, KMM_EV_KMAP, slot_va(map, slot), pfn, 0, 0);
		view = slot_pointer(k, map, slot);
	}
	if (map->first)
		grant(k, map); /* if a promised slot was not needed */
	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, flags);
	return view;
}

void *kmm_kmap(struct kmm *k, struct kmm_page *page)
{
	struct kmm_kmap *map = &k->kva->kmap;
	kmm_word pfn = kmm_pfn_of(k->phys, page);
	struct kmm_kmap_slot *slot;
	unsigned long flags;
	uint16_t *head;

	if (kmm_view_is_linear(k, page))
		return kmm_lowmem_ptr(k, kmm_pfn_to_paddr(kmm_pfn(pfn)));
	if (!lock_quickly(k, map, &flags))
		return kmap_slowly(k, page);
	head = bucket(map, pfn);
	slot = find_in(map, head, pfn);
	slot = slot ? share_quickly(map, slot) : map_quickly(k, map, head, pfn);
	if (slot) {
		map->kmaps++;
		kmm_count_events(k, KMM_EV_KMAP, 1);
	}
	unlock_quickly(k, map, flags);
	return slot ? window_pointer(map, slot) : kmap_slowly(k, page);
}

static __attribute__((noinline)) void kunmap_slowly(struct kmm *k, struct kmm_page *page)
{
	struct kmm_kmap *map = &k->kva->kmap;
	kmm_word pfn = kmm_pfn_of(k->phys, page);
	struct kmm_kmap_slot *slot;
	unsigned long flags;
	bool kmapped;

	if (!map->nr_slots)
		return;
	flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	slot = find(map, pfn);
	kmapped = slot && slot->users;
	if (kmapped) {
		KMM_ASSERT(k, slot->mapped && map->used > 0 && map->used <= map->nr_slots);
		kmm_trace(k, KMM_EV_KUNMAP, slot_va(map, slot), pfn, 0, 0);
		if (--slot->users == 0)
			map->used--;
		if (map->first)
			grant(k, map);
	}
	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, flags);
	if (!kmapped && !kmm_view_is_linear(k, page))
		kmm_warn(k, "kunmap: pfn 0x%llx is not kmapped", (unsigned long long)pfn);
	KMM_ASSERT(k, kmapped || kmm_view_is_linear(k, page));
}

void kmm_kunmap(struct kmm *k, struct kmm_page *page)
{
	struct kmm_kmap *map = &k->kva->kmap;
	kmm_word pfn = kmm_pfn_of(k->phys, page);
	struct kmm_kmap_slot *slot;
	unsigned long flags;
	bool done;

	if (kmm_view_is_linear(k, page))
		return;
	if (!lock_quickly(k, map, &flags)) {
		kunmap_slowly(k, page);
		return;
	}
	slot = map->hint;
	if (slot->pfn != pfn)
		slot = find(map, pfn);
	done = slot && slot->users && !map->first;
	if (done) {
		map->used -= --slot->users == 0;
		kmm_count_events(k, KMM_EV_KUNMAP, 1);
	}
	unlock_quickly(k, map, flags);
	if (!done)
		kunmap_slowly(k, page);
}

/* Behind kmm_page_address(): where a high frame is kmapped now, or NULL. */
static void *high_address(struct kmm *k, struct kmm_page *page)
{
	struct kmm_kmap *map = &k->kva->kmap;
	unsigned long flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	struct kmm_kmap_slot *slot = find(map, kmm_page_to_pfn(k, page).v);
	void *view = slot && slot->users ? slot_pointer(k, map, slot) : NULL;

	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, flags);
	return view;
}

void kmm_kmap_info(const struct kmm *machine, struct kmm_kmap_info *out)
{
	struct kmm *k = (struct kmm *)(uintptr_t)machine; /* looking changes nothing but the lock */
	struct kmm_kmap *map = &k->kva->kmap;
	unsigned long flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);
	unsigned i;

	*out = (struct kmm_kmap_info){ .slots = map->nr_slots, .used = map->used, .kmaps = map->kmaps,
				       .flushes = map->flushes, .waits = map->waits };
	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, flags);
	out->local_depth = kmm_local_depth(&k->kva->local.cpu[kmm_cpu(k)]);
	for (i = 0; i < k->machine.nr_cpus; i++) {
		const struct kmm_local_cpu *cpu = &k->kva->local.cpu[i];
		unsigned deepest = (unsigned)(cpu->end - cpu->first);

		while (deepest && kmm_word_look(&cpu->first[deepest - 1].pfn) == KMM_LOCAL_NEVER)
			deepest--;
		out->locals += kmm_word_look(&cpu->calls);
		if (deepest > out->local_max)
			out->local_max = deepest;
	}
}

/* The window's entries in one table, found once: that table exists from boot and is never freed. */
static bool find_entries(struct kmm *k, struct kmm_kmap *map, unsigned nr)
{
	struct kmm_pte none = { { 0 }, KMM_KVA_FLAGS | KMM_PTE_WRITE };
	kmm_word last_va = map->start + ((kmm_word)(nr - 1) << KMM_PAGE_SHIFT);
	struct kmm_ptref first, last;

	if (!kmm_pt_lookup(k, kmm_pt_kernel(k), map->start, &first) ||
	    !kmm_pt_lookup(k, kmm_pt_kernel(k), last_va, &last))
		return false;
	KMM_ASSERT(k, first.table == last.table);
	KMM_ASSERT(k, (char *)last.entry - (char *)first.entry == (ptrdiff_t)((nr - 1) * kmm_pt_fmt(k)->entry_size));
	map->entries = first.entry;
	map->mask = nr - 1;
	map->view = k->port->direct_map_all ? NULL : kmm_window_ptr(k, map->start);
	map->plain = map->view && !k->port->window_changed;
	map->rights = kmm_pt_encode(k, none);
	return true;
}

enum kmm_status kmm_kmap_init(struct kmm *k)
{
	struct kmm_kmap *map = &k->kva->kmap;
	unsigned nr = k->layout.kmap_slots;

	map->last = &map->first;
	map->start = (kmm_word)k->layout.kmap_start;
	if (!nr)
		return KMM_OK;
	KMM_ASSERT(k, (nr & (nr - 1)) == 0 && nr < UINT16_MAX);
	map->slot = kmm_phys_alloc_state(k, (nr + 1) * (sizeof(*map->slot) + sizeof(*map->hash)), "kmap state");
	if (!map->slot || !find_entries(k, map, nr))
		return KMM_ENOMEM;
	map->slot[nr].mapped = true; /* where the cursor ends: never clean */
	map->hash = (uint16_t *)(map->slot + nr + 1);
	map->nr_slots = nr;
	map->hint = map->slot;
	kmm_high_address_register(k, high_address);
	kmm_high_view_register(k, kmm_kmap_local, kmm_kunmap_local);
	return KMM_OK;
}

/* ---- the checker ---- */

static const char *slot_fault(struct kmm *k, const struct kmm_kmap *map, const struct kmm_kmap_slot *slot)
{
	struct kmm_walk walk;

	kmm_walk(k, kmm_kernel_root(k), slot_va(map, slot), &walk);
	if (!slot->mapped)
		return walk.mapped ? "is free but mapped" : slot->users ? "is free but has users" : NULL;
	if (!walk.mapped || kmm_paddr_to_pfn(walk.pa).v != slot->pfn)
		return "does not map the page it says";
	return find(map, slot->pfn) == slot ? NULL : "is not what the hash finds for its page";
}

unsigned kmm_kmap_audit(struct kmm *k, struct kmm_sink *out)
{
	const struct kmm_kmap *map = &k->kva->kmap;
	unsigned bad = 0, used = 0, i;

	for (i = 0; i < map->nr_slots; i++) {
		const char *fault = slot_fault(k, map, &map->slot[i]);

		used += map->slot[i].users != 0;
		if (fault) {
			kmm_printf(out, "kmap: slot %u %s (pfn 0x%llx)\n", i, fault, (unsigned long long)map->slot[i].pfn);
			bad++;
		}
	}
	if (used != map->used || map->promised > free_slots(map) || (map->first && free_slots(map) > map->promised)) {
		kmm_printf(out, "kmap: %u slots have users, %u counted, %u promised\n", used, map->used, map->promised);
		bad++;
	}
	return bad;
}
