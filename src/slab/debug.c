/* SPDX-License-Identifier: MIT */
/*
 * Debug caches: what surrounds and fills their objects, and who is told when it has changed.
 *
 *	slot: | red zone | object | red zone | struct kmm_slot_tail |
 *	      0          front    front+size cache->link            slot
 *
 * Red zones always hold RED. A free object holds POISON (not with a constructor: its content must survive), a
 * fresh one FRESH, so that reading what was never written shows. The tail knows whether the slot is free, which
 * finds double frees, and who allocated it.
 *
 * Damage is reported once with cache, object and place, and repaired. A free that finds damage, or that frees
 * what is free already, changes nothing else: the object stays as it was.
 */
#include "slab/slab.h"

enum { RED = 0xbb, POISON = 0x6b, FRESH = 0x5a };
#define STATE_FREE 0xf4eef4eeu
#define STATE_USED 0x05ed05edu

struct damage {
	const char *what;
	uint32_t at;             /* offset in the slot */
	uint8_t found, expected;
};

static struct kmm_slot_tail *tail_of(const struct kmm_cache *cache, const void *slot)
{
	return (struct kmm_slot_tail *)(void *)((char *)(uintptr_t)slot + cache->link);
}

/* Fills the layout into the cache; returns the bytes of a slot. */
uint32_t kmm_debug_layout(struct kmm_cache *cache, size_t size, size_t align)
{
	cache->front = (uint32_t)align;
	cache->link = (cache->front + (uint32_t)size + 8 + 7) & ~7u; /* 8 to 15 bytes of red zone behind */
	return (cache->link + (uint32_t)sizeof(struct kmm_slot_tail) + (uint32_t)align - 1) & ~((uint32_t)align - 1);
}

static void paint(const struct kmm_cache *cache, char *slot, int content)
{
	uint32_t behind = cache->front + cache->size;

	__builtin_memset(slot, RED, cache->front);
	if (!cache->ctor)
		__builtin_memset(slot + cache->front, content, cache->size);
	__builtin_memset(slot + behind, RED, cache->link - behind);
}

void kmm_debug_init_slot(struct kmm_cache *cache, void *slot)
{
	paint(cache, slot, POISON);
	*tail_of(cache, slot) = (struct kmm_slot_tail){ .state = STATE_FREE };
}

/* First byte of [from, to) that is not what it should be. */
static bool differs(const char *slot, uint32_t from, uint32_t to, uint8_t expected, const char *what, struct damage *out)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		uint8_t found = (uint8_t)slot[i];

		if (found != expected) {
			*out = (struct damage){ what, i, found, expected };
			return true;
		}
	}
	return false;
}

static bool find_damage(const struct kmm_cache *cache, const void *slot, bool free, struct damage *out)
{
	uint32_t behind = cache->front + cache->size;

	if (differs(slot, 0, cache->front, RED, "red zone before it overwritten", out))
		return true;
	if (differs(slot, behind, cache->link, RED, "red zone behind it overwritten", out))
		return true;
	return free && !cache->ctor && differs(slot, cache->front, behind, POISON, "written after it was freed", out);
}

static unsigned long long object_va(const struct kmm *k, const struct kmm_cache *cache, const void *slot)
{
	return kmm_ptr_to_kva(k, (const char *)slot + cache->front).v;
}

static void warn_damage(struct kmm *k, const struct kmm_cache *cache, const void *slot, const struct damage *damage)
{
	kmm_warn(k, "slab: %s: object 0x%llx: %s, at byte %d (0x%02x instead of 0x%02x); allocated from 0x%llx", cache->name,
		 object_va(k, cache, slot), damage->what, (int)damage->at - (int)cache->front, damage->found,
		 damage->expected, (unsigned long long)tail_of(cache, slot)->caller);
}

/* For the audit: a line per damaged slot. */
unsigned kmm_debug_check_slot(struct kmm *k, const struct kmm_cache *cache, const void *slot, bool free,
			      struct kmm_sink *out)
{
	struct damage damage;
	uint32_t state = tail_of(cache, slot)->state;
	unsigned bad = 0;

	if (state != (free ? STATE_FREE : STATE_USED)) {
		kmm_printf(out, "slab: %s: object 0x%llx is %s, its record says 0x%x\n", cache->name,
			   object_va(k, cache, slot), free ? "free" : "in use", state);
		bad++;
	}
	if (find_damage(cache, slot, free, &damage)) {
		kmm_printf(out, "slab: %s: object 0x%llx: %s, at byte %d\n", cache->name, object_va(k, cache, slot),
			   damage.what, (int)damage.at - (int)cache->front);
		bad++;
	}
	return bad;
}

/* A slot just taken out of its slab becomes an object. */
void *kmm_debug_alloc(struct kmm *k, struct kmm_cache *cache, void *slot, const void *caller)
{
	struct damage damage;

	if (find_damage(cache, slot, true, &damage))
		warn_damage(k, cache, slot, &damage);
	paint(cache, slot, FRESH);
	tail_of(cache, slot)->state = STATE_USED;
	tail_of(cache, slot)->caller = (uintptr_t)caller;
	return (char *)slot + cache->front;
}

static bool is_object(struct kmm *k, const struct kmm_cache *cache, struct kmm_page *page, const void *object)
{
	size_t offset = (size_t)((const char *)object - (char *)kmm_slab_base(k, page));

	return offset >= cache->front && kmm_slot_starts_at(cache, (uint32_t)offset - cache->front);
}

void *kmm_debug_free(struct kmm *k, struct kmm_cache *cache, struct kmm_page *page, void *object)
{
	struct kmm_slot_tail *tail;
	struct damage damage;
	char *slot = (char *)object - cache->front;

	if (!is_object(k, cache, page, object)) {
		kmm_warn(k, "slab: %s: 0x%llx is not the start of an object; not freed", cache->name,
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
		return NULL;
	}
	tail = tail_of(cache, slot);
	if (tail->state == STATE_FREE) {
		kmm_warn(k, "slab: %s: object 0x%llx is freed twice; it was allocated from 0x%llx", cache->name,
			 object_va(k, cache, slot), (unsigned long long)tail->caller);
		return NULL;
	}
	if (find_damage(cache, slot, false, &damage)) {
		warn_damage(k, cache, slot, &damage);
		__builtin_memset(slot, RED, cache->front);
		__builtin_memset(slot + cache->front + cache->size, RED, cache->link - cache->front - cache->size);
		return NULL;
	}
	tail->state = STATE_FREE;
	paint(cache, slot, POISON);
	return slot;
}

uint64_t kmm_debug_caller(const struct kmm_cache *cache, const void *slot)
{
	return cache->flags & KMM_CACHE_DEBUG ? tail_of(cache, slot)->caller : 0;
}
