/* SPDX-License-Identifier: MIT */
/*
 * Single entries in memory, while processors read them (and set accessed and dirty bits in them).
 *
 * A 4-byte entry, or an 8-byte one on a 64-bit processor, is read and written in one piece. On a 32-bit processor
 * an 8-byte entry takes two writes, and its page walker may look between them. So at every moment the entry in
 * memory must be the old one, the new one, or not present: to set, the high half goes first and the half with the
 * present bit last; to clear, the other way round; to change one that is present, through not present.
 * Reading compares the low half before and after.
 */
#ifndef KMM_PT_ENTRY_H
#define KMM_PT_ENTRY_H

#include "pt/pin.h"

#define KMM_ENTRY_PRESENT 1u /* in all formats: bit 0 of the low half */

/* The one store of the two-part functions; tests hand in another, to see the order. */
static inline void kmm_entry_poke(uint32_t *half, uint32_t value)
{
	__atomic_store_n(half, value, __ATOMIC_RELEASE);
}

static inline void kmm_entry_store_halves(uint32_t *half, uint64_t raw, void (*poke)(uint32_t *half, uint32_t value))
{
	uint32_t lo = (uint32_t)raw, hi = (uint32_t)(raw >> 32);
	bool new_hi = __atomic_load_n(&half[1], __ATOMIC_RELAXED) != hi;

	if (!(lo & KMM_ENTRY_PRESENT)) {
		poke(&half[0], lo);
		poke(&half[1], hi);
		return;
	}
	if (new_hi && (__atomic_load_n(&half[0], __ATOMIC_RELAXED) & KMM_ENTRY_PRESENT))
		poke(&half[0], 0);
	if (new_hi)
		poke(&half[1], hi);
	poke(&half[0], lo);
}

static inline uint64_t kmm_entry_load_halves(const uint32_t *half)
{
	uint32_t lo, hi;

	do {
		lo = __atomic_load_n(&half[0], __ATOMIC_ACQUIRE);
		hi = __atomic_load_n(&half[1], __ATOMIC_ACQUIRE);
	} while (lo != __atomic_load_n(&half[0], __ATOMIC_RELAXED));
	return (uint64_t)hi << 32 | lo;
}

/* Clears and returns the last value: once the low half is 0 the processor writes no more bits into it. */
static inline uint64_t kmm_entry_take_halves(uint32_t *half)
{
	uint32_t lo = __atomic_exchange_n(&half[0], 0, __ATOMIC_ACQ_REL);
	uint32_t hi = __atomic_exchange_n(&half[1], 0, __ATOMIC_ACQ_REL);

	return (uint64_t)hi << 32 | lo;
}

#if UINTPTR_MAX > 0xffffffffu
static inline uint64_t kmm_entry_load64(const void *entry)
{
	return __atomic_load_n((const uint64_t *)entry, __ATOMIC_ACQUIRE);
}

static inline void kmm_entry_store64(void *entry, uint64_t raw)
{
	__atomic_store_n((uint64_t *)entry, raw, __ATOMIC_RELEASE);
}

static inline uint64_t kmm_entry_take64(void *entry)
{
	return __atomic_exchange_n((uint64_t *)entry, 0, __ATOMIC_ACQ_REL);
}
#else
static inline uint64_t kmm_entry_load64(const void *entry) { return kmm_entry_load_halves(entry); }
static inline void kmm_entry_store64(void *entry, uint64_t raw) { kmm_entry_store_halves(entry, raw, kmm_entry_poke); }
static inline uint64_t kmm_entry_take64(void *entry) { return kmm_entry_take_halves(entry); }
#endif

static inline uint64_t kmm_entry_load(const struct kmm *k, const void *entry)
{
	if (kmm_pt_fmt(k)->entry_size == 4)
		return __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
	return kmm_entry_load64(entry);
}

/* The half that tells present, large and table apart; all that a search needs. */
static inline uint32_t kmm_entry_load_low(const void *entry)
{
	return __atomic_load_n((const uint32_t *)entry, __ATOMIC_ACQUIRE);
}

static inline void kmm_entry_store(const struct kmm *k, void *entry, uint64_t raw)
{
	if (kmm_pt_fmt(k)->entry_size == 4)
		__atomic_store_n((uint32_t *)entry, (uint32_t)raw, __ATOMIC_RELEASE);
	else
		kmm_entry_store64(entry, raw);
}

/* kmm_entry_store() of a present value over 0: no mixture is possible, so there is nothing to look at first. */
static inline void kmm_entry_set(const struct kmm *k, void *entry, uint64_t raw)
{
	if (kmm_pt_fmt(k)->entry_size == 4) {
		__atomic_store_n((uint32_t *)entry, (uint32_t)raw, __ATOMIC_RELEASE);
	} else if (UINTPTR_MAX > 0xffffffffu) {
		kmm_entry_store64(entry, raw);
	} else {
		kmm_entry_poke((uint32_t *)entry + 1, (uint32_t)(raw >> 32));
		kmm_entry_poke((uint32_t *)entry, (uint32_t)raw);
	}
}

static inline uint64_t kmm_entry_take(const struct kmm *k, void *entry)
{
	if (kmm_pt_fmt(k)->entry_size == 4)
		return __atomic_exchange_n((uint32_t *)entry, 0, __ATOMIC_ACQ_REL);
	return kmm_entry_take64(entry);
}

#endif
