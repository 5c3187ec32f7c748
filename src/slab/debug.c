/* SPDX-License-Identifier: MIT */
/*
 * Debug pools: what surrounds and fills their objects, and who is told when it has changed.
 *
 *	slot: | red zone | object | red zone | struct kmm_slot_tail |
 *	      0          front    front+size pool->word             slot
 *
 * Each part is the matter of a flag. KMM_CACHE_RED_ZONE: both red zones, which always hold RED (without it front is 0 and
 * behind the object lie at most 7 bytes). KMM_CACHE_POISON: a free object holds POISON (not with a constructor: its
 * content must survive), a fresh one FRESH, so that reading what was never written shows. KMM_CACHE_OWNER: the tail names
 * who allocated and who freed. Always: the tail knows whether the slot is free, which finds double frees.
 *
 * Damage is reported once with cache, object and place, and repaired. A free that finds damage, or that frees
 * what is free already, changes nothing else: the object stays as it was.
 */
#include "slab/slab.h"

#include "base/printf.h"

enum { RED = 0xbb, POISON = 0x6b, FRESH = 0x5a };
#define STATE_FREE 0xf4eef4eeu
#define STATE_USED 0x05ed05edu

struct damage {
	const char *what;
	uint32_t at;             /* offset in the slot */
	uint8_t found, expected;
};

static struct kmm_slot_tail *tail_of(const struct kmm_pool *pool, const void *slot)
{
	return (struct kmm_slot_tail *)(void *)((char *)(uintptr_t)slot + pool->word);
}

static bool has(const struct kmm_pool *pool, unsigned check)
{
	return (pool->flags & check) != 0;
}

/* Fills the layout into the pool; returns the bytes of a slot. */
uint32_t kmm_debug_layout(struct kmm_pool *pool, size_t size, size_t align)
{
	pool->front = has(pool, KMM_CACHE_RED_ZONE) ? (uint32_t)align : 0;
	pool->word = (pool->front + (uint32_t)size + 7) & ~7u;
	if (has(pool, KMM_CACHE_RED_ZONE))
		pool->word += 8; /* 8 to 15 bytes of red zone behind */
	return (pool->word + (uint32_t)sizeof(struct kmm_slot_tail) + (uint32_t)align - 1) & ~((uint32_t)align - 1);
}

static void paint_red(const struct kmm_pool *pool, char *slot)
{
	uint32_t behind = pool->front + pool->size;

	if (!has(pool, KMM_CACHE_RED_ZONE))
		return;
	__builtin_memset(slot, RED, pool->front);
	__builtin_memset(slot + behind, RED, pool->word - behind);
}

static void paint(const struct kmm_pool *pool, char *slot, int content)
{
	paint_red(pool, slot);
	if (has(pool, KMM_CACHE_POISON) && !pool->ctor)
		__builtin_memset(slot + pool->front, content, pool->size);
}

void kmm_debug_init_slot(struct kmm_pool *pool, void *slot)
{
	paint(pool, slot, POISON);
	*tail_of(pool, slot) = (struct kmm_slot_tail){ .state = STATE_FREE };
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

static bool find_damage(const struct kmm_pool *pool, const void *slot, bool free, struct damage *out)
{
	uint32_t behind = pool->front + pool->size;

	if (has(pool, KMM_CACHE_RED_ZONE) &&
	    (differs(slot, 0, pool->front, RED, "red zone before it overwritten", out) ||
	     differs(slot, behind, pool->word, RED, "red zone behind it overwritten", out)))
		return true;
	return free && has(pool, KMM_CACHE_POISON) && !pool->ctor && differs(slot, pool->front, behind, POISON, "written after it was freed", out);
}

static unsigned long long object_va(const struct kmm *k, const struct kmm_pool *pool, const void *slot)
{
	return kmm_ptr_to_kva(k, (const char *)slot + pool->front).v;
}

/* "; allocated from 0x..., freed from 0x...", as far as it is known. */
static const char *history(const struct kmm_pool *pool, const void *slot, char *text, size_t size)
{
	const struct kmm_slot_tail *tail = tail_of(pool, slot);
	struct kmm_buffer_sink sink;

	text[0] = '\0';
	if (!has(pool, KMM_CACHE_OWNER))
		return text;
	kmm_buffer_sink_init(&sink, text, size);
	if (tail->alloc_caller)
		kmm_printf(&sink.sink, "; allocated from 0x%llx", (unsigned long long)tail->alloc_caller);
	if (tail->free_caller)
		kmm_printf(&sink.sink, "; last freed from 0x%llx", (unsigned long long)tail->free_caller);
	return text;
}

static void warn_damage(struct kmm *k, const struct kmm_pool *pool, const void *slot, const struct damage *damage)
{
	char text[80];

	kmm_warn(k, "slab: %s: object 0x%llx: %s, at byte %d (0x%02x instead of 0x%02x)%s", pool->name,
		 object_va(k, pool, slot), damage->what, (int)damage->at - (int)pool->front, damage->found,
		 damage->expected, history(pool, slot, text, sizeof(text)));
}

/* For the audit: a line per damaged slot. */
unsigned kmm_debug_check_slot(struct kmm *k, const struct kmm_pool *pool, const void *slot, bool free,
			      struct kmm_sink *out)
{
	struct damage damage;
	uint32_t state = tail_of(pool, slot)->state;
	unsigned bad = 0;

	if (state != (free ? STATE_FREE : STATE_USED)) {
		kmm_printf(out, "slab: %s: object 0x%llx is %s, its record says 0x%x\n", pool->name,
			   object_va(k, pool, slot), free ? "free" : "in use", state);
		bad++;
	}
	if (find_damage(pool, slot, free, &damage)) {
		kmm_printf(out, "slab: %s: object 0x%llx: %s, at byte %d\n", pool->name, object_va(k, pool, slot),
			   damage.what, (int)damage.at - (int)pool->front);
		bad++;
	}
	return bad;
}

/* A slot just taken out of its slab becomes an object. */
void *kmm_debug_alloc(struct kmm *k, struct kmm_pool *pool, void *slot, const void *caller)
{
	struct damage damage;

	if (find_damage(pool, slot, true, &damage))
		warn_damage(k, pool, slot, &damage);
	paint(pool, slot, FRESH);
	tail_of(pool, slot)->state = STATE_USED;
	tail_of(pool, slot)->alloc_caller = (uintptr_t)caller;
	return (char *)slot + pool->front;
}

static bool is_object(struct kmm *k, const struct kmm_pool *pool, struct kmm_page *page, const void *object)
{
	size_t offset = (size_t)((const char *)object - (char *)kmm_slab_base(k, page));

	return offset >= pool->front && kmm_slot_starts_at(pool, (uint32_t)offset - pool->front);
}

void *kmm_debug_free(struct kmm *k, struct kmm_pool *pool, struct kmm_page *page, void *object, const void *caller)
{
	struct kmm_slot_tail *tail;
	struct damage damage;
	char *slot = (char *)object - pool->front, text[80];

	if (!is_object(k, pool, page, object)) {
		kmm_warn(k, "slab: %s: 0x%llx is not the start of an object; not freed", pool->name,
			 (unsigned long long)kmm_ptr_to_kva(k, object).v);
		return NULL;
	}
	tail = tail_of(pool, slot);
	if (tail->state == STATE_FREE) {
		kmm_warn(k, "slab: %s: object 0x%llx is freed twice%s", pool->name, object_va(k, pool, slot),
			 history(pool, slot, text, sizeof(text)));
		return NULL;
	}
	if (find_damage(pool, slot, false, &damage)) {
		warn_damage(k, pool, slot, &damage);
		paint_red(pool, slot);
		return NULL;
	}
	tail->state = STATE_FREE;
	tail->free_caller = (uintptr_t)caller;
	paint(pool, slot, POISON);
	return slot;
}

uint64_t kmm_debug_caller(const struct kmm_pool *pool, const void *slot)
{
	return has(pool, KMM_CACHE_OWNER) ? tail_of(pool, slot)->alloc_caller : 0;
}
