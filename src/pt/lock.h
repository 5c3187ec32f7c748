/* SPDX-License-Identifier: MIT */
/*
 * Locks of page tables. Each table of the last level has its own, in its descriptor (field b, which a table page does
 * not use otherwise), so faults in different tables of one space do not meet. Tables above it, and the links to tables,
 * are under the space's lock. Order: the space's, then a table's; a second table's only by _second, for the one
 * operation that moves entries (its caller holds the space's mutex, so no other holds two of the same space).
 *
 *	lock word:   OPEN <-> HELD        a table that is linked
 *	             HELD  -> DEAD        found empty and unlinked under both locks; for ever
 *
 * Whoever reached the table before it was unlinked finds DEAD and treats it as absent. The word keeps that value
 * until the page is freed, after the flush and after all walks (kmm_walks_wait() in pt/walking.h); while the page waits
 * for that it is chained by field a alone.
 *
 * Memory order: taking is acquire, giving back is release, so what the last holder wrote is seen. A link to a new table
 * is stored with release after the page was zeroed and is loaded with acquire, so its lock word is seen as OPEN.
 */
#ifndef KMM_PT_LOCK_H
#define KMM_PT_LOCK_H

#include "base/lock.h"
#include "phys/desc.h"

enum { KMM_TABLE_OPEN, KMM_TABLE_HELD, KMM_TABLE_DEAD };

/* Waits for a table that is held; false: it is dead. */
bool kmm_table_take_contended(struct kmm *k, struct kmm_page *table);

static inline bool kmm_table_take(struct kmm *k, struct kmm_page *table)
{
	uint32_t was = KMM_TABLE_OPEN;

	if (__builtin_expect(__atomic_compare_exchange_n(&table->b, &was, KMM_TABLE_HELD, false, __ATOMIC_ACQUIRE,
							 __ATOMIC_RELAXED), 1))
		return true;
	return was != KMM_TABLE_DEAD && kmm_table_take_contended(k, table);
}

/* false: the table is dead, nothing is locked. */
static inline bool kmm_table_lock(struct kmm *k, struct kmm_page *table, unsigned long *flags)
{
	*flags = kmm_irq_save(k);
	kmm_lock_note(k, KMM_LOCK_TABLE, false);
	if (kmm_table_take(k, table))
		return true;
	kmm_lock_forget(k, KMM_LOCK_TABLE);
	kmm_irq_restore(k, *flags);
	return false;
}

static inline void kmm_table_unlock_as(struct kmm *k, struct kmm_page *table, uint32_t word, unsigned long flags)
{
	__atomic_store_n(&table->b, word, __ATOMIC_RELEASE);
	kmm_lock_forget(k, KMM_LOCK_TABLE);
	kmm_irq_restore(k, flags);
}

static inline void kmm_table_unlock(struct kmm *k, struct kmm_page *table, unsigned long flags)
{
	kmm_table_unlock_as(k, table, KMM_TABLE_OPEN, flags);
}

/* Another table of the same space, while one is locked: only by who holds the space's mutex. */
static inline void kmm_table_lock_second(struct kmm *k, struct kmm_page *table)
{
	bool alive = kmm_table_take(k, table);

	KMM_ASSERT(k, alive);
	(void)alive;
}

static inline void kmm_table_unlock_second(struct kmm_page *table)
{
	__atomic_store_n(&table->b, KMM_TABLE_OPEN, __ATOMIC_RELEASE);
}

#endif
