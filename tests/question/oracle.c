/* SPDX-License-Identifier: MIT */
/*
 * S14: asked: given an address, is it logical or virtual? kmm_explain() against a brute-force oracle, on
 * random addresses of all four formats.
 *
 * The oracle shares nothing with the library but the bounds of the layout: what is RAM it knows from the
 * memory map it made up itself, what is mapped from the simulated processor's own reading of the tables,
 * and which areas and mappings exist because it made them.
 */
#include "harness/test.h"
#include "lab.h"

enum { AREAS = 24, ROUNDS = 250000 };

struct area {
	uint64_t start, end; /* end: first byte after the memory; a guard page may follow */
	bool user;
};

struct oracle {
	struct lab lab;
	struct kmm_mm *mm;
	struct area area[AREAS];
	unsigned nr;
	struct kmm_memrange ram[3];
};

static bool is_ram(const struct oracle *o, uint64_t pa)
{
	unsigned i;

	for (i = 0; i < 3 && pa >= PAGE; i++) /* frame 0 is left alone, as in Linux */
		if (pa >= o->ram[i].start && pa < o->ram[i].start + o->ram[i].size)
			return true;
	return false;
}

static bool wide(const struct oracle *o)
{
	return o->lab.machine.format >= KMM_X86_64;
}

static bool canonical(const struct oracle *o, uint64_t va)
{
	unsigned bits = o->lab.machine.format == KMM_X86_64_LA57 ? 57 : 48;

	return !wide(o) || (uint64_t)((int64_t)(va << (64 - bits)) >> (64 - bits)) == va;
}

static enum kmm_address_class class_in_areas(const struct oracle *o, uint64_t va, bool user)
{
	unsigned i;

	for (i = 0; i < o->nr; i++) {
		if (o->area[i].user != user || va < o->area[i].start)
			continue;
		if (va < o->area[i].end)
			return user ? KMM_ADDR_USER : KMM_ADDR_VMALLOC;
		if (!user && va < o->area[i].end + PAGE)
			return KMM_ADDR_VMALLOC_GUARD;
	}
	return user ? KMM_ADDR_USER_UNMAPPED : KMM_ADDR_VMALLOC_FREE;
}

static bool within(uint64_t va, uint64_t start, uint64_t end)
{
	return va >= start && va < end;
}

static bool in_region(const struct oracle *o, enum kmm_region_id id, uint64_t va)
{
	const struct kmm_region *region = lab_region(&o->lab, id);

	return region && va >= region->start && va <= region->last;
}

static enum kmm_address_class expected_class(const struct oracle *o, uint64_t va, bool mapped)
{
	const struct kmm_layout *l = &o->lab.layout;
	uint64_t user_end = l->user_end_max > l->user_end ? l->user_end_max : l->user_end;

	if (!canonical(o, va))
		return KMM_ADDR_NONCANONICAL;
	if (va < user_end)
		return class_in_areas(o, va, true);
	if (in_region(o, KMM_REGION_DIRECT, va))
		return is_ram(o, va - l->page_offset) ? KMM_ADDR_DIRECT : KMM_ADDR_DIRECT_HOLE;
	if (within(va, l->vmalloc_start, l->vmalloc_end))
		return class_in_areas(o, va, false);
	if (within(va, l->vmemmap_start, l->vmemmap_end))
		return mapped ? KMM_ADDR_VMEMMAP : KMM_ADDR_VMEMMAP_HOLE;
	if (l->kmap_slots && within(va, l->kmap_start, l->kmap_start + l->kmap_slots * PAGE))
		return KMM_ADDR_KMAP;
	if (within(va, l->fixmap_start, l->fixmap_end))
		return KMM_ADDR_FIXMAP;
	if (in_region(o, KMM_REGION_IMAGE, va))
		return KMM_ADDR_IMAGE;
	if (in_region(o, KMM_REGION_MODULES, va))
		return KMM_ADDR_MODULES;
	return kmm_layout_find(l, va)->id == KMM_REGION_GUARD ? KMM_ADDR_GUARD : KMM_ADDR_HOLE;
}

/* Mostly where something is; a quarter anywhere. */
static uint64_t pick(const struct oracle *o, uint64_t *rng)
{
	const struct kmm_layout *l = &o->lab.layout;
	const struct kmm_region *region = &l->region[kmm_test_rand(rng) % l->nr];
	const struct area *area = &o->area[kmm_test_rand(rng) % o->nr];
	uint64_t va, near = kmm_test_rand(rng) % (32 * PAGE);

	switch (kmm_test_rand(rng) % 5) {
	case 0:
		va = kmm_test_rand(rng);
		break;
	case 1:
		va = region->start + kmm_test_rand(rng) % (region->last - region->start + 1);
		break;
	case 2:
		va = kmm_test_rand(rng) % 2 ? region->start - 16 * PAGE + near : region->last - 16 * PAGE + near;
		break;
	case 3:
		va = area->start - PAGE + kmm_test_rand(rng) % (area->end - area->start + 3 * PAGE);
		break;
	default: /* the direct map around RAM */
		va = l->page_offset + kmm_test_rand(rng) % (l->lowmem_end + 64 * PAGE);
	}
	return wide(o) ? va : va & UINT32_MAX;
}

static void compare(struct oracle *o, uint64_t va)
{
	struct kmm_explain e;
	uint64_t pa = 0;
	bool user, mapped;

	kmm_explain(o->lab.k, o->mm, va, &e);
	user = va < o->lab.layout.user_end_max || va < o->lab.layout.user_end;
	mapped = canonical(o, va) && softmmu_probe(hosted_mmu(o->lab.hosted, 0),
						   user ? kmm_mm_root(o->mm).v : kmm_kernel_root(o->lab.k).v, va, &pa,
						   NULL);
	if (e.class_ != expected_class(o, va, mapped) || e.has_frame != mapped) {
		kmm_explain_print(o->lab.k, o->mm, va, hosted_file_sink(&(struct hosted_file_sink){ 0 }, stdout));
		CHECK_EQ(va, 0); /* shows the address */
	}
	CHECK_STR(kmm_address_class_name(e.class_), kmm_address_class_name(expected_class(o, va, mapped)));
	CHECK(!mapped || e.walk.pa.v == pa);
	CHECK_EQ(e.has_linear, mapped && is_ram(o, pa) && pa < o->lab.layout.lowmem_end);
	CHECK(!e.has_linear || e.linear.v == pa + o->lab.layout.page_offset);
	CHECK_EQ(e.logical, e.class_ == KMM_ADDR_DIRECT);
	CHECK(e.sentence && e.sentence[0]);
}

static void populate(struct oracle *o, uint64_t *rng)
{
	unsigned i;

	for (i = 0; i < AREAS; i++) {
		struct area *area = &o->area[i];
		uint64_t len = (1 + kmm_test_rand(rng) % 40) * PAGE;
		struct kmm_uva hint = kmm_uva((kmm_word)(0x10000000 + i * 4 * MIB)), at;

		area->user = i % 2;
		if (area->user) {
			CHECK_OK(kmm_mmap(o->mm, hint, len, KMM_PROT_READ | KMM_PROT_WRITE,
					  KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS | KMM_MAP_FIXED, NULL, 0, &at));
			area->start = at.v;
			CHECK(lab_can_write(&o->lab, o->mm, at.v + len / 2));
		} else {
			void *memory = kmm_vmalloc(o->lab.k, len, "S14");

			CHECK(memory != NULL);
			area->start = lab_va(&o->lab, memory);
		}
		area->end = area->start + len;
	}
	o->nr = AREAS;
}

static void run(enum kmm_format_id format, uint64_t *rng)
{
	struct oracle o = {
		.ram = {
			{ .start = 0, .size = 640 * KIB, .type = KMM_MEM_RAM },
			{ .start = 1 * MIB, .size = 299 * MIB, .type = KMM_MEM_RAM },
			{ .start = 500 * MIB, .size = 1500 * MIB, .type = KMM_MEM_RAM },
		},
	};
	struct hosted_config config = {
		.machine = { .format = format, .map = o.ram, .nr_map = 3 }, .image_bytes = 4 * MIB,
	};
	unsigned i;

	CHECK(lab_open_as(&o.lab, &config));
	CHECK_OK(kmm_mm_create(o.lab.k, &o.mm));
	CALL(populate(&o, rng));
	for (i = 0; i < ROUNDS; i++)
		CALL(compare(&o, pick(&o, rng)));
	hosted_put_space(o.lab.hosted, o.mm);
	lab_close(&o.lab);
}

/* S14: logical or virtual? One class, region and frame for any number, in agreement with the oracle 100 %
 * (E12, E14). */
KMM_TEST(question_S14)
{
	uint64_t rng = kmm_test_seed();

	CALL(run(KMM_I386, &rng));
	CALL(run(KMM_I386_PAE, &rng));
	CALL(run(KMM_X86_64, &rng));
	CALL(run(KMM_X86_64_LA57, &rng));
}
