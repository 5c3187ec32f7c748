/* SPDX-License-Identifier: MIT */
/*
 * Backings of an embedder, special mappings, randomised places, and a truncation against faults on another CPU.
 */
#include "vm/backing.h"

#include <pthread.h>

#include "harness/space.h"
#include "phys/desc.h"

enum { SEGV = 11, BUS = 7 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

/* ---- a backing with frames of its own ---- */

struct device {
	struct kmm_backing backing; /* first */
	struct kmm_page *frame[2];
	unsigned writes, released;
	enum kmm_status answer;
};

static enum kmm_status device_page(struct kmm_backing *backing, uint64_t index, struct kmm_page **out)
{
	struct device *d = (struct device *)backing;

	if (index >= 2)
		return KMM_ERANGE;
	*out = d->frame[index];
	kmm_get_page(backing->k, *out);
	return KMM_OK;
}

static enum kmm_status device_write(struct kmm_backing *backing, uint64_t index, struct kmm_page *p)
{
	struct device *d = (struct device *)backing;

	(void)index;
	(void)p;
	d->writes++;
	return d->answer;
}

static void device_release(struct kmm_backing *backing) { ((struct device *)backing)->released++; }
static const char *device_name(struct kmm_backing *backing) { (void)backing; return "/dev/it"; }

static const struct kmm_backing_ops device_ops = {
	.get_page = device_page, .make_writable = device_write, .release = device_release, .name = device_name
};

static void device_start(struct space *s, struct device *d, enum kmm_format_id format)
{
	CALL(space_start(s, format));
	*d = (struct device){ .answer = KMM_OK };
	kmm_backing_init(&d->backing, s->k, &device_ops);
	d->frame[0] = kmm_alloc_cleared_page(s->k, KMM_GFP_HIGHUSER);
	d->frame[1] = kmm_alloc_cleared_page(s->k, KMM_GFP_KERNEL);
}

static void device_stop(struct space *s, struct device *d)
{
	hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	CHECK_EQ(d->released, 0);
	kmm_backing_put(&d->backing);
	CHECK_EQ(d->released, 1);
	for (unsigned i = 0; i < 2; i++) {
		struct kmm_page_info info;

		kmm_page_info(s->k, d->frame[i], &info);
		CHECK_EQ(info.refcount, 1);
		kmm_put_page(s->k, d->frame[i]);
	}
	CALL(space_stop(s));
}

static int map_device(struct space *s, struct device *d, uint64_t at, unsigned prot, unsigned flags)
{
	struct kmm_uva out;

	return kmm_status_errno(kmm_mmap(s->mm, kmm_uva((kmm_word)at), 3 * SPACE_PAGE, prot, flags | KMM_MAP_FIXED,
					 &d->backing, 0, &out));
}

/* Shared: the backing hears of the first write to each page, and can refuse it. */
KMM_TEST(backing_hears_of_writes)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct device d;
		struct space s;

		CALL(device_start(&s, &d, space_formats[f]));
		CHECK_EQ(map_device(&s, &d, page(0), SPACE_RW, KMM_MAP_SHARED), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 0);
		CHECK_EQ(d.writes, 0);
		CHECK_EQ(space_poke(&s, s.mm, page(0), 5), 0); /* after a read: the entry is upgraded */
		CHECK_EQ(space_poke(&s, s.mm, page(0), 6), 0);
		CHECK_EQ(d.writes, 1);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 7), 0); /* at once */
		CHECK_EQ(d.writes, 2);
		CHECK_EQ(space_protect(&s, page(0), 2, SPACE_R), 0);
		CHECK_EQ(space_protect(&s, page(0), 2, SPACE_RW), 0);
		d.answer = KMM_EIO;
		CHECK_EQ(space_poke(&s, s.mm, page(0), 8), -BUS);
		CHECK_EQ(space_peek(&s, s.mm, page(0)), 6);
		CHECK_EQ(space_peek(&s, s.mm, page(2)), -BUS); /* beyond its end */
		CALL(space_audit(&s));
		CALL(device_stop(&s, &d));
	}
}

/* Private: its frames are shown, never written. */
KMM_TEST(backing_private_copies)
{
	struct device d;
	struct space s;

	CALL(device_start(&s, &d, KMM_I386_PAE));
	CHECK_EQ(map_device(&s, &d, page(0), SPACE_RW, KMM_MAP_PRIVATE), 0);
	CHECK_EQ(map_device(&s, &d, page(4), SPACE_RW, KMM_MAP_SHARED), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(0), 5), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(1), 6), 0);
	CHECK_EQ(d.writes, 0);
	CHECK_EQ(space_peek(&s, s.mm, page(4)), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(5)), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(0)), 5);
	CALL(space_audit(&s));
	CALL(device_stop(&s, &d));
}

/* ---- frames shown to a program ---- */

KMM_TEST(special_mapping)
{
	struct kmm_page *vdso, *slab;
	struct kmm_mm *child;
	struct space s;
	void *object;

	CALL(space_start(&s, KMM_I386));
	vdso = kmm_alloc_cleared_page(s.k, KMM_GFP_KERNEL);
	object = kmm_kmalloc(s.k, 64, KMM_GFP_KERNEL);
	slab = kmm_virt_to_page(s.k, object);
	CHECK_EQ(kmm_mm_map_special(s.mm, kmm_uva(AT), &slab, 1, SPACE_RX, "[x]"), KMM_EINVAL);
	CHECK_EQ(kmm_mm_map_special(s.mm, kmm_uva(AT + 1), &vdso, 1, SPACE_RX, "[x]"), KMM_EINVAL);
	CHECK_OK(kmm_mm_map_special(s.mm, kmm_uva(AT), &vdso, 1, SPACE_RX, "[vdso]"));
	CHECK_EQ(kmm_mm_map_special(s.mm, kmm_uva(AT), &vdso, 1, SPACE_RX, "[vdso]"), KMM_EEXIST);
	CHECK_EQ(space_peek(&s, s.mm, AT), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_peek(&s, child, AT), 0);
	/* A debugger's write gets a copy; the frame itself stays as it is. */
	CHECK_EQ(space_protect(&s, AT, 1, SPACE_RW), 0);
	CHECK_EQ(space_poke(&s, s.mm, AT, 9), 0);
	CHECK_EQ(space_peek(&s, child, AT), 0);
	CALL(space_audit(&s));
	hosted_put_space(s.m, child);
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	kmm_kfree(s.k, object);
	kmm_free_pages(s.k, vdso, 0); /* asserts that no reference is left */
	CALL(space_stop(&s));
}

/* ---- randomised places ---- */

static uint64_t first_place_by(enum kmm_format_id format, uint64_t seed, unsigned nth, uint32_t layout)
{
	struct hosted_config config = { .machine = { .format = format, .nr_cpus = 1, .randomise = !(layout & KMM_LAYOUT_RANDOM), .seed = seed },
					.ram_bytes = 256ull << 20 };
	struct hosted_machine *m;
	struct kmm_uva at = { 0 };
	const char *why;

	if (hosted_boot(&config, &m, &why))
		return 0;
	for (unsigned i = 0; i <= nth; i++) {
		struct kmm_mm *mm;

		if (kmm_mm_create(hosted_kmm(m), &mm))
			break;
		kmm_mm_limits(mm)->layout = layout;
		if (kmm_mmap(mm, kmm_uva(0), SPACE_PAGE, SPACE_RW, SPACE_ANON, NULL, 0, &at))
			at.v = 0;
		hosted_put_space(m, mm);
	}
	hosted_shutdown(m);
	return at.v;
}

static uint64_t first_place(enum kmm_format_id format, uint64_t seed, unsigned nth)
{
	return first_place_by(format, seed, nth, 0);
}

KMM_TEST(mmap_places_not_random)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		enum kmm_format_id format = space_formats[f];
		uint64_t a = first_place_by(format, 1, 0, KMM_LAYOUT_NOT_RANDOM), low = first_place_by(format, 1, 0, KMM_LAYOUT_BOTTOM_UP);

		CHECK(a && a == first_place_by(format, 2, 1, KMM_LAYOUT_NOT_RANDOM));
		CHECK(a != first_place(format, 1, 0));
		CHECK(low && low < a && low != first_place_by(format, 2, 0, KMM_LAYOUT_BOTTOM_UP));
	}
}

KMM_TEST(places_are_random_when_asked)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		enum kmm_format_id format = space_formats[f];
		bool wide = format >= KMM_X86_64;
		uint64_t top = wide ? 0x7ffffffff000 : 0xc0000000, slack = wide ? 1ull << 41 : (128 << 20) + (9 << 20) + (1 << 20);
		uint64_t a = first_place(format, 1, 0), b = first_place(format, 1, 1), c = first_place(format, 2, 0);

		CHECK_EQ(a, first_place(format, 1, 0)); /* a matter of the seed alone */
		CHECK_EQ(a, first_place_by(format, 1, 0, KMM_LAYOUT_RANDOM)); /* or of the space alone */
		CHECK(a != b || b != c);
		CHECK(a < top - (128 << 20) && a > top - slack);
		CHECK(c < top - (128 << 20) && c > top - slack);
	}
}

/* ---- two CPUs ---- */

enum { ROUNDS = 3000 };

struct race {
	struct space s;
	struct kmm_file file;
	_Atomic bool stop;
	unsigned odd_answers;
};

/* The program sees old content, zeros, or a bus error; nothing else. */
static void *reader(void *arg)
{
	struct race *r = arg;
	uint64_t seed = 7;

	hosted_set_cpu(1);
	while (!r->stop) {
		unsigned n = (unsigned)(kmm_test_rand(&seed) % 8);
		bool private = kmm_test_rand(&seed) % 2, write = kmm_test_rand(&seed) % 2;
		uint64_t va = page(n + (private ? 16 : 0));
		int got = write ? space_poke(&r->s, r->s.mm, va, 3) : space_peek(&r->s, r->s.mm, va);

		if (got != 0 && got != 3 && got != -BUS)
			r->odd_answers++;
	}
	hosted_run_space(r->s.m, NULL);
	return NULL;
}

KMM_TEST(truncation_against_faults)
{
	static struct race r;
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 2 }, .ram_bytes = 256ull << 20,
					.threads = true };
	const char *why;
	uint64_t seed = kmm_test_seed();
	pthread_t thread;

	CHECK_OK(hosted_boot(&config, &r.s.m, &why));
	r.s.k = hosted_kmm(r.s.m);
	CHECK_OK(kmm_mm_create(r.s.k, &r.s.mm));
	kmm_file_init(&r.file, r.s.k, 8 * SPACE_PAGE, "/f");
	CHECK_EQ(space_map_file(&r.s, page(0), 8, SPACE_RW, KMM_MAP_SHARED, &r.file, 0), 0);
	CHECK_EQ(space_map_file(&r.s, page(16), 8, SPACE_RW, KMM_MAP_PRIVATE, &r.file, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, reader, &r), 0);
	for (unsigned i = 0; i < ROUNDS; i++)
		if (kmm_file_truncate(&r.file, kmm_test_rand(&seed) % 9 * SPACE_PAGE))
			r.odd_answers++;
	r.stop = true;
	pthread_join(thread, NULL);
	CHECK_EQ(r.odd_answers, 0);
	CALL(space_audit(&r.s));
	hosted_put_space(r.s.m, r.s.mm);
	r.s.mm = NULL;
	kmm_backing_put(&r.file.backing);
	CALL(space_stop(&r.s));
}
