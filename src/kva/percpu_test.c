/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU objects: copies that do not touch each other, against a model, chunks that come and go, misuse.
 */
#include "harness/kernel.h"
#include "kmm/percpu.h"

static const struct hosted_config one = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 256ull << 20 };
static const struct hosted_config four = { .machine = { .format = KMM_X86_64, .nr_cpus = 4 },
					   .ram_bytes = 256ull << 20 };
static const struct hosted_config *const configs[] = { &one, &four };

static struct kmm_percpu_info info(struct tier_b *t)
{
	struct kmm_percpu_info i;

	kmm_percpu_info(t->k, &i);
	return i;
}

KMM_TEST(percpu_copies_are_apart_and_cleared)
{
	unsigned c, cpu, i;

	for (c = 0; c < 2; c++) {
		struct kmm_percpu_handle a, b;
		struct tier_b t;

		CALL(tier_b_start(&t, configs[c]));
		a = kmm_percpu_alloc(t.k, 20, 8);
		b = kmm_percpu_alloc(t.k, 100, 64);
		CHECK(a.v && b.v);
		CHECK_EQ(b.v % 64, 0);
		for (cpu = 0; cpu < t.k->machine.nr_cpus; cpu++) {
			memset(kmm_percpu_ptr(a, cpu), (int)cpu + 1, 20);
			memset(kmm_percpu_ptr(b, cpu), (int)cpu + 65, 100);
		}
		for (cpu = 0; cpu < t.k->machine.nr_cpus; cpu++)
			for (i = 0; i < 20; i++)
				CHECK_EQ(((char *)kmm_percpu_ptr(a, cpu))[i], cpu + 1);
		CALL(tier_b_audit(&t));
		kmm_percpu_free(t.k, a);
		a = kmm_percpu_alloc(t.k, 20, 1);
		for (cpu = 0; cpu < t.k->machine.nr_cpus; cpu++)
			for (i = 0; i < 20; i++)
				CHECK_EQ(((char *)kmm_percpu_ptr(a, cpu))[i], 0);
		CHECK_EQ(((char *)kmm_percpu_ptr(b, 0))[99], 65);
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

KMM_TEST(percpu_refuses_what_cannot_be)
{
	struct kmm_percpu_handle whole;
	struct tier_b t;

	CALL(tier_b_start(&t, &one));
	CHECK(!kmm_percpu_alloc(t.k, 0, 8).v);
	CHECK(!kmm_percpu_alloc(t.k, 8, 0).v);
	CHECK(!kmm_percpu_alloc(t.k, 8, 24).v);
	CHECK(!kmm_percpu_alloc(t.k, 8, 8192).v);
	CHECK(!kmm_percpu_alloc(t.k, KMM_PERCPU_UNIT + 1, 8).v);
	CHECK_EQ(info(&t).chunks, 0);
	whole = kmm_percpu_alloc(t.k, KMM_PERCPU_UNIT, KMM_PAGE_SIZE);
	CHECK(whole.v);
	CHECK_EQ(info(&t).free_bytes, 0);
	kmm_percpu_free(t.k, whole);
	kmm_percpu_free(t.k, (struct kmm_percpu_handle){ 0 });
	CHECK_EQ(info(&t).chunks, 1); /* one is kept */
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

struct object {
	struct kmm_percpu_handle handle;
	unsigned size;
	unsigned char pattern;
};

static void fill(struct tier_b *t, const struct object *o, bool check)
{
	for (unsigned cpu = 0; cpu < t->k->machine.nr_cpus; cpu++) {
		unsigned char *copy = kmm_percpu_ptr(o->handle, cpu);

		for (unsigned i = 0; i < o->size; i++) {
			if (check)
				CHECK_EQ(copy[i], (unsigned char)(o->pattern + cpu));
			copy[i] = (unsigned char)(o->pattern + cpu);
		}
	}
}

static void replace(struct tier_b *t, struct object *o, uint64_t *seed)
{
	unsigned align = 1u << kmm_test_rand(seed) % 8;

	if (o->handle.v) {
		CALL(fill(t, o, true));
		kmm_percpu_free(t->k, o->handle);
	}
	o->size = 1 + (unsigned)(kmm_test_rand(seed) % (kmm_test_rand(seed) % 8 ? 200 : 3000));
	o->pattern = (unsigned char)kmm_test_rand(seed);
	o->handle = kmm_percpu_alloc(t->k, o->size, align);
	CHECK(o->handle.v && o->handle.v % align == 0);
	CALL(fill(t, o, false));
}

KMM_TEST(percpu_random_against_model)
{
	uint64_t seed = kmm_test_seed();
	unsigned c, i;

	for (c = 0; c < 2; c++) {
		static struct object objects[150];
		kmm_word before;
		struct tier_b t;

		memset(objects, 0, sizeof(objects));
		CALL(tier_b_start(&t, configs[c]));
		before = tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k);
		for (i = 0; i < 2000; i++) {
			CALL(replace(&t, &objects[kmm_test_rand(&seed) % 150], &seed));
			if (i % 250 == 0)
				CALL(tier_b_audit(&t));
		}
		CHECK(info(&t).chunks > 1);
		for (i = 0; i < 150; i++)
			kmm_percpu_free(t.k, objects[i].handle);
		CHECK_EQ(info(&t).chunks, 1);
		CHECK_EQ(info(&t).objects, 0);
		CHECK_EQ(info(&t).free_bytes, KMM_PERCPU_UNIT);
		CALL(tier_b_audit(&t));
		i = t.k->machine.nr_cpus * KMM_PERCPU_UNIT / KMM_PAGE_SIZE + 2; /* the one kept, its area and its record */
		CHECK(tier_b_free_pages(&t) + kmm_pt_kernel_tables(t.k) >= before - i);
		tier_b_stop(&t);
	}
}

KMM_TEST(percpu_survives_every_failure)
{
	struct kmm_percpu_handle handle = { 0 };
	struct tier_b t;
	uint64_t n;

	CALL(tier_b_start(&t, &four));
	for (n = 1; !handle.v; n++) {
		CHECK(n < 100);
		kmm_fail_nth(t.k, n);
		handle = kmm_percpu_alloc(t.k, 64, 64);
		kmm_fail_nth(t.k, 0);
		CALL(tier_b_audit(&t));
		CHECK_EQ(info(&t).objects, handle.v != 0);
	}
	CHECK(n > 10);
	tier_b_stop(&t);
}

struct misuse {
	struct tier_b t;
	struct kmm_percpu_handle handle;
	uintptr_t off;
};

static void free_wrongly(void *arg)
{
	struct misuse *x = arg;

	kmm_percpu_free(x->t.k, (struct kmm_percpu_handle){ x->handle.v + x->off });
}

static void free_twice(void *arg)
{
	struct misuse *x = arg;

	kmm_percpu_free(x->t.k, x->handle);
	kmm_percpu_free(x->t.k, x->handle);
}

KMM_TEST(percpu_misuse_is_fatal)
{
	static const uintptr_t off[] = { 1, 8, 4096, KMM_PERCPU_UNIT };
	struct misuse x;
	unsigned i;

	for (i = 0; i < 4; i++) {
		CALL(tier_b_start(&x.t, &four));
		x.handle = kmm_percpu_alloc(x.t.k, 64, 8);
		x.off = off[i];
		CALL(tier_b_refuses(&x.t, free_wrongly, &x, NULL));
		CHECK_EQ(tier_b_logged(&x.t, "is no handle"), 1);
		tier_b_stop(&x.t);
	}
	CALL(tier_b_start(&x.t, &one));
	kmm_percpu_alloc(x.t.k, 8, 8);
	x.handle = kmm_percpu_alloc(x.t.k, 64, 8);
	CALL(tier_b_refuses(&x.t, free_twice, &x, NULL));
	CHECK_EQ(tier_b_logged(&x.t, "was freed already"), 1);
	tier_b_stop(&x.t);
}

KMM_TEST(percpu_audit_sees_damage)
{
	struct kmm_percpu_chunk *chunk;
	struct tier_b t;

	CALL(tier_b_start(&t, &one));
	kmm_percpu_alloc(t.k, 64, 8);
	chunk = kmm_container(t.k->kva->percpu.chunks.next, struct kmm_percpu_chunk, link);
	chunk->nr_free++;
	CHECK(tier_b_complaints(&t) > 0);
	chunk->nr_free--;
	chunk->last[0] ^= 1u << 7;
	CHECK(tier_b_complaints(&t) > 0);
	chunk->last[0] ^= 1u << 7 | 1u << 9;
	CHECK(tier_b_complaints(&t) > 0);
	chunk->last[0] ^= 1u << 9;
	CALL(tier_b_audit(&t));
	t.k->kva->percpu.nr_objects++;
	CHECK(tier_b_complaints(&t) > 0);
	t.k->kva->percpu.nr_objects--;
	chunk->base += 4096 * 64;
	CHECK(tier_b_complaints(&t) > 0);
	tier_b_stop(&t);
}
