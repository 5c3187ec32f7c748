/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU objects. A chunk is one vmalloc area with a unit for each CPU, and every unit is cut in the same way:
 *
 *	base                base + UNIT           base + 2 UNIT
 *	| a | b |  free  |  | a | b |  free  |    | a | b |  free  |
 *	  CPU 0               CPU 1                 CPU 2
 *
 * A handle is the address of CPU 0's copy. Two bit maps describe a unit in granules of 8 bytes: which are used, and
 * which end an object, so that freeing needs no size. First fit, from the first chunk on; empty chunks are given
 * back but for one, which spares those who allocate and free one object in turn.
 *
 * Chunks are made and cleared without the lock: it covers bits and counts. A chunk has all its frames from the
 * start; it does not grow and shrink by page.
 */
#include "kva/kva.h"

/* ---- bits ---- */

static bool test(const uint32_t *map, unsigned i) { return map[i / 32] >> (i % 32) & 1; }
static void set(uint32_t *map, unsigned i) { map[i / 32] |= 1u << (i % 32); }
static void clear(uint32_t *map, unsigned i) { map[i / 32] &= ~(1u << (i % 32)); }

/* The first granule of a run of `nr` free ones, at a multiple of `align` granules; GRANULES when there is none. */
static unsigned find_run(const struct kmm_percpu_chunk *chunk, unsigned nr, unsigned align)
{
	unsigned at = (chunk->hint + align - 1) & ~(align - 1), i = at;

	while (at + nr <= KMM_PERCPU_GRANULES && i < at + nr) {
		if (test(chunk->used, i++)) {
			at = (i + align - 1) & ~(align - 1);
			i = at;
		}
	}
	return at + nr <= KMM_PERCPU_GRANULES ? at : KMM_PERCPU_GRANULES;
}

static void take_run(struct kmm *k, struct kmm_percpu_chunk *chunk, unsigned at, unsigned nr)
{
	unsigned i;

	KMM_ASSERT(k, nr > 0 && at + nr <= KMM_PERCPU_GRANULES && chunk->nr_free >= nr);
	for (i = at; i < at + nr; i++) {
		KMM_CHECK(k, !test(chunk->used, i) && !test(chunk->last, i));
		set(chunk->used, i);
	}
	set(chunk->last, at + nr - 1);
	chunk->nr_free -= nr;
	while (chunk->hint < KMM_PERCPU_GRANULES && test(chunk->used, chunk->hint))
		chunk->hint++;
}

/* Frees the object that starts at granule `at`. */
static void give_run(struct kmm *k, struct kmm_percpu_chunk *chunk, unsigned at)
{
	bool end = false;

	if (at < chunk->hint)
		chunk->hint = at;
	for (; !end; at++) {
		KMM_ASSERT(k, at < KMM_PERCPU_GRANULES && test(chunk->used, at));
		end = test(chunk->last, at);
		clear(chunk->used, at);
		clear(chunk->last, at);
		chunk->nr_free++;
	}
}

/* ---- chunks ---- */

static struct kmm_percpu_chunk *chunk_at(struct kmm_list *item)
{
	return kmm_container(item, struct kmm_percpu_chunk, link);
}

static struct kmm_percpu_chunk *new_chunk(struct kmm *k)
{
	struct kmm_percpu_chunk *chunk = kmm_kzalloc(k, sizeof(*chunk), KMM_GFP_KERNEL);

	if (!chunk)
		return NULL;
	chunk->base = kmm_vmalloc(k, (size_t)k->machine.nr_cpus * KMM_PERCPU_UNIT, "percpu");
	chunk->nr_free = KMM_PERCPU_GRANULES;
	if (chunk->base)
		return chunk;
	kmm_kfree(k, chunk);
	return NULL;
}

static void free_chunk(struct kmm *k, struct kmm_percpu_chunk *chunk)
{
	KMM_ASSERT(k, chunk->nr_free == KMM_PERCPU_GRANULES);
	kmm_vfree(k, chunk->base);
	kmm_kfree(k, chunk);
}

static void add_chunk(struct kmm *k, struct kmm_percpu_chunk *chunk)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned long flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);

	KMM_ASSERT(k, ((uintptr_t)chunk->base & (KMM_PAGE_SIZE - 1)) == 0 && chunk->hint == 0);
	kmm_list_add_before(&percpu->chunks, &chunk->link);
	percpu->nr_chunks++;
	percpu->nr_empty++;
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
}

/* The chunk whose unit of CPU 0 holds the address, or NULL. Lock held. */
static struct kmm_percpu_chunk *find_chunk(struct kmm_percpu *percpu, uintptr_t v)
{
	for (struct kmm_list *l = percpu->chunks.next; l != &percpu->chunks; l = l->next)
		if (v - (uintptr_t)chunk_at(l)->base < KMM_PERCPU_UNIT)
			return chunk_at(l);
	return NULL;
}

/* ---- the calls ---- */

/* 0: no chunk has room. */
static uintptr_t take(struct kmm *k, unsigned nr, unsigned align)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned long flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);
	uintptr_t found = 0;

	for (struct kmm_list *l = percpu->chunks.next; l != &percpu->chunks && !found; l = l->next) {
		struct kmm_percpu_chunk *chunk = chunk_at(l);
		unsigned at = chunk->nr_free < nr ? KMM_PERCPU_GRANULES : find_run(chunk, nr, align);

		if (at == KMM_PERCPU_GRANULES)
			continue;
		percpu->nr_empty -= chunk->nr_free == KMM_PERCPU_GRANULES;
		percpu->nr_objects++;
		KMM_ASSERT(k, at % align == 0 && at >= chunk->hint);
		take_run(k, chunk, at, nr);
		found = (uintptr_t)chunk->base + at * KMM_PERCPU_GRANULE;
	}
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
	return found;
}

struct kmm_percpu_handle kmm_percpu_alloc(struct kmm *k, size_t size, size_t align)
{
	unsigned nr = (unsigned)((size + KMM_PERCPU_GRANULE - 1) / KMM_PERCPU_GRANULE);
	unsigned granules = align > KMM_PERCPU_GRANULE ? (unsigned)align / KMM_PERCPU_GRANULE : 1;
	struct kmm_percpu_handle handle = { 0 };

	if (size == 0 || size > KMM_PERCPU_UNIT || align == 0 || align > KMM_PAGE_SIZE || (align & (align - 1)))
		return handle;
	while (!(handle.v = take(k, nr, granules))) {
		struct kmm_percpu_chunk *chunk = new_chunk(k);

		if (!chunk)
			return handle;
		add_chunk(k, chunk);
	}
	for (unsigned cpu = 0; cpu < k->machine.nr_cpus; cpu++)
		__builtin_memset(kmm_percpu_ptr(handle, cpu), 0, size);
	return handle;
}

void kmm_percpu_free(struct kmm *k, struct kmm_percpu_handle handle)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	struct kmm_percpu_chunk *chunk, *spare = NULL;
	unsigned long flags;
	unsigned at = 0;
	bool handle_is_of_an_object;

	if (!handle.v)
		return;
	flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);
	chunk = find_chunk(percpu, handle.v);
	if (chunk)
		at = (unsigned)(handle.v - (uintptr_t)chunk->base) / KMM_PERCPU_GRANULE;
	handle_is_of_an_object = chunk && handle.v % KMM_PERCPU_GRANULE == 0 && test(chunk->used, at) &&
				 (at == 0 || !test(chunk->used, at - 1) || test(chunk->last, at - 1));
	if (handle_is_of_an_object) {
		KMM_ASSERT(k, percpu->nr_objects > 0 && percpu->nr_empty <= percpu->nr_chunks);
		give_run(k, chunk, at);
		percpu->nr_objects--;
		if (chunk->nr_free == KMM_PERCPU_GRANULES && percpu->nr_empty++) {
			kmm_list_del(&chunk->link);
			percpu->nr_chunks--;
			percpu->nr_empty--;
			spare = chunk;
		}
	}
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
	if (!handle_is_of_an_object)
		kmm_warn(k, "percpu: 0x%llx was freed already, or is no handle; not freed",
			 (unsigned long long)kmm_window_va(k, (void *)handle.v));
	KMM_ASSERT(k, handle_is_of_an_object);
	if (spare)
		free_chunk(k, spare);
}

/* The empty chunk that is kept, or NULL; off the list. */
static struct kmm_percpu_chunk *take_empty(struct kmm *k)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned long flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);
	struct kmm_percpu_chunk *found = NULL;

	for (struct kmm_list *l = percpu->chunks.next; l != &percpu->chunks && !found; l = l->next)
		if (chunk_at(l)->nr_free == KMM_PERCPU_GRANULES)
			found = chunk_at(l);
	if (found) {
		kmm_list_del(&found->link);
		percpu->nr_chunks--;
		percpu->nr_empty--;
	}
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
	return found;
}

void kmm_percpu_shrink(struct kmm *k)
{
	struct kmm_percpu_chunk *chunk;

	while ((chunk = take_empty(k)) != NULL)
		free_chunk(k, chunk);
}

void kmm_percpu_info(struct kmm *k, struct kmm_percpu_info *out)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned long flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);

	*out = (struct kmm_percpu_info){ .chunks = percpu->nr_chunks, .objects = percpu->nr_objects };
	for (struct kmm_list *l = percpu->chunks.next; l != &percpu->chunks; l = l->next)
		out->free_bytes += chunk_at(l)->nr_free * KMM_PERCPU_GRANULE;
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
}

/* ---- what can be given back ---- */

static kmm_word count_spare(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp)
{
	struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned long flags = kmm_spin_lock(k, &percpu->lock, KMM_LOCK_KVA);
	kmm_word nr = percpu->nr_empty;

	(void)self;
	(void)gfp;
	kmm_spin_unlock(k, &percpu->lock, KMM_LOCK_KVA, flags);
	return nr;
}

static kmm_word give_spare(struct kmm *k, struct kmm_shrinker *self, kmm_gfp gfp, kmm_word nr)
{
	kmm_word before = count_spare(k, self, gfp);

	(void)nr;
	kmm_percpu_shrink(k);
	return before;
}

void kmm_percpu_init(struct kmm *k)
{
	struct kmm_percpu *percpu = &k->kva->percpu;

	kmm_list_init(&percpu->chunks);
	percpu->shrinker = (struct kmm_shrinker){ .name = "percpu", .count = count_spare, .scan = give_spare };
	kmm_shrinker_register(k, &percpu->shrinker); /* after vmalloc's, so asked before it */
}

/* ---- the checker ---- */

static const char *chunk_fault(struct kmm *k, const struct kmm_percpu_chunk *chunk, kmm_word *objects)
{
	struct kmm_vmalloc_info info;
	unsigned nr_free = 0, i;

	for (i = 0; i < KMM_PERCPU_GRANULES; i++) {
		nr_free += !test(chunk->used, i);
		*objects += test(chunk->last, i);
		if (test(chunk->last, i) && !test(chunk->used, i))
			return "has an object that ends in a free granule";
		if (i + 1 < KMM_PERCPU_GRANULES && test(chunk->used, i) && !test(chunk->last, i) && !test(chunk->used, i + 1))
			return "has an object without an end";
		if (i < chunk->hint && !test(chunk->used, i))
			return "has room before its hint";
	}
	if (nr_free != chunk->nr_free)
		return "does not know its room";
	if (!kmm_vmalloc_find(k, kmm_kva(kmm_window_va(k, chunk->base)), &info) ||
	    info.nr_pages != (kmm_word)k->machine.nr_cpus * KMM_PERCPU_UNIT / KMM_PAGE_SIZE)
		return "is not an area of its size";
	return NULL;
}

unsigned kmm_percpu_audit(struct kmm *k, struct kmm_sink *out)
{
	const struct kmm_percpu *percpu = &k->kva->percpu;
	unsigned bad = 0, chunks = 0, empty = 0;
	kmm_word objects = 0;

	for (struct kmm_list *l = percpu->chunks.next; l != &percpu->chunks; l = l->next) {
		const char *fault = chunk_fault(k, chunk_at(l), &objects);

		chunks++;
		empty += chunk_at(l)->nr_free == KMM_PERCPU_GRANULES;
		if (fault) {
			kmm_printf(out, "percpu: the chunk at 0x%llx %s\n",
				   (unsigned long long)kmm_window_va(k, chunk_at(l)->base), fault);
			bad++;
		}
	}
	if (chunks == percpu->nr_chunks && empty == percpu->nr_empty && objects == percpu->nr_objects)
		return bad;
	kmm_printf(out, "percpu: %u chunks (%u empty) and %llu objects, counted as %u (%u) and %llu\n", chunks, empty,
		   (unsigned long long)objects, percpu->nr_chunks, percpu->nr_empty,
		   (unsigned long long)percpu->nr_objects);
	return bad + 1;
}
