/* SPDX-License-Identifier: MIT */
/*
 * The four page-table formats against one table of what their entries mean, level by level.
 *
 * The bit positions stand here a second time, as literals read from the Intel SDM, volume 3A, tables 4-4 to 4-20:
 * the library's own constants are what is being tested. And the order of the two stores of a PAE entry on a
 * 32-bit processor, seen by an observer between them.
 */
#include "harness/test.h"
#include "kmm/pagetable.h"
#include "pt/entry.h"

/* ---- what each shape of entry holds ---- */

enum { ALL_FLAGS = 0xfff };

/* Bit of an entry for each flag but EXEC. */
static const struct { uint32_t flag; uint64_t bit; } flag_bits[] = {
	{ KMM_PTE_PRESENT, 0x1 }, { KMM_PTE_WRITE, 0x2 }, { KMM_PTE_USER, 0x4 }, { KMM_PTE_WRITETHROUGH, 0x8 },
	{ KMM_PTE_NOCACHE, 0x10 }, { KMM_PTE_ACCESSED, 0x20 }, { KMM_PTE_DIRTY, 0x40 }, { KMM_PTE_LARGE, 0x80 },
	{ KMM_PTE_GLOBAL, 0x100 }, { KMM_PTE_SOFT1, 0x200 }, { KMM_PTE_SOFT2, 0x400 },
};

#define TABLE (KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_WRITETHROUGH | KMM_PTE_NOCACHE | \
	       KMM_PTE_ACCESSED | KMM_PTE_SOFT1 | KMM_PTE_SOFT2)
#define LEAF (TABLE | KMM_PTE_DIRTY | KMM_PTE_GLOBAL)
#define LARGE (LEAF | KMM_PTE_LARGE)
#define PDPTE (KMM_PTE_PRESENT | KMM_PTE_WRITETHROUGH | KMM_PTE_NOCACHE | KMM_PTE_SOFT1 | KMM_PTE_SOFT2)
#define RWUX (KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_EXEC)

struct shape {
	enum kmm_format_id format;
	unsigned level;
	bool large;       /* asked for with LARGE; else without, or where LARGE is to be ignored */
	uint32_t keeps;   /* flags that survive */
	uint32_t grants;  /* rights it cannot withhold */
	uint64_t address; /* bits of the physical address */
};

static const struct shape shapes[] = {
	{ KMM_I386, 0, false, LEAF, KMM_PTE_EXEC, 0xfffff000 },
	{ KMM_I386, 1, false, TABLE, KMM_PTE_EXEC, 0xfffff000 },
	{ KMM_I386, 1, true, LARGE, KMM_PTE_EXEC, 0xffc00000 },
	{ KMM_I386_PAE, 0, false, LEAF, 0, 0x000ffffffffff000 },
	{ KMM_I386_PAE, 1, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_I386_PAE, 1, true, LARGE, 0, 0x000fffffffe00000 },
	{ KMM_I386_PAE, 2, false, PDPTE, RWUX, 0x000ffffffffff000 },
	{ KMM_X86_64, 0, false, LEAF, 0, 0x000ffffffffff000 },
	{ KMM_X86_64, 1, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64, 1, true, LARGE, 0, 0x000fffffffe00000 },
	{ KMM_X86_64, 2, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64, 2, true, LARGE, 0, 0x000fffffc0000000 },
	{ KMM_X86_64, 3, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64_LA57, 0, false, LEAF, 0, 0x000ffffffffff000 },
	{ KMM_X86_64_LA57, 1, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64_LA57, 1, true, LARGE, 0, 0x000fffffffe00000 },
	{ KMM_X86_64_LA57, 2, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64_LA57, 2, true, LARGE, 0, 0x000fffffc0000000 },
	{ KMM_X86_64_LA57, 3, false, TABLE, 0, 0x000ffffffffff000 },
	{ KMM_X86_64_LA57, 4, false, TABLE, 0, 0x000ffffffffff000 },
};
#define NR_SHAPES (sizeof(shapes) / sizeof(shapes[0]))

/* The raw entry by the manual. */
static uint64_t by_the_manual(const struct shape *s, uint64_t address, uint32_t flags)
{
	uint64_t raw = address & s->address;

	for (unsigned i = 0; i < sizeof(flag_bits) / sizeof(flag_bits[0]); i++)
		if (flags & s->keeps & flag_bits[i].flag)
			raw |= flag_bits[i].bit;
	if (!(s->grants & KMM_PTE_EXEC) && !(flags & KMM_PTE_EXEC))
		raw |= 0x8000000000000000;
	return raw;
}

/* Frames that a build with 32-bit words cannot name are left out. */
static void check_entry(const struct shape *s, uint64_t any_address, uint32_t flags)
{
	const struct kmm_format *fmt = kmm_format_get(s->format);
	uint64_t address = any_address & ((uint64_t)(kmm_word)-1 << 12 | 0xfff);
	struct kmm_pte in = { { (kmm_word)(address >> 12) }, flags }, out;
	uint64_t raw = fmt->encode(in, s->level);

	CHECK_EQ(raw, by_the_manual(s, address, flags));
	out = fmt->decode(raw, s->level);
	CHECK_EQ(out.flags, (flags & (s->keeps | KMM_PTE_EXEC)) | s->grants);
	CHECK_EQ(out.pfn.v, (address & s->address) >> 12);
	CHECK_EQ(fmt->encode(out, s->level), raw);
}

KMM_TEST(pt_entries_are_those_of_the_manual)
{
	uint64_t rng = kmm_test_seed();

	for (unsigned i = 0; i < NR_SHAPES; i++) {
		const struct shape *s = &shapes[i];

		for (uint32_t flags = 0; flags <= ALL_FLAGS; flags++) {
			uint64_t address = kmm_test_rand(&rng) & (s->format == KMM_I386 ? 0xffffffff : 0xfffffffffffff);

			if (!(flags & KMM_PTE_PRESENT))
				continue;
			if (kmm_format_get(s->format)->level[s->level].leaf && s->level > 0 && s->large != !!(flags & KMM_PTE_LARGE))
				continue;
			CALL(check_entry(s, address, flags));
		}
	}
}

KMM_TEST(pt_entries_at_the_ends_of_physical_memory)
{
	for (unsigned i = 0; i < NR_SHAPES; i++) {
		uint32_t flags = ALL_FLAGS & ~(shapes[i].large ? 0u : (uint32_t)KMM_PTE_LARGE);

		CALL(check_entry(&shapes[i], 0, flags));
		CALL(check_entry(&shapes[i], shapes[i].address, flags));
	}
}

KMM_TEST(pt_absent_entries_mean_nothing)
{
	uint64_t rng = kmm_test_seed();

	for (unsigned i = 0; i < NR_SHAPES; i++) {
		const struct kmm_format *fmt = kmm_format_get(shapes[i].format);

		for (unsigned n = 0; n < 100; n++) {
			struct kmm_pte pte = { { (kmm_word)kmm_test_rand(&rng) & 0xfffff }, ALL_FLAGS & ~(uint32_t)KMM_PTE_PRESENT };

			CHECK_EQ(fmt->encode(pte, shapes[i].level), 0);
			pte = fmt->decode(kmm_test_rand(&rng) & ~UINT64_C(1), shapes[i].level);
			CHECK_EQ(pte.flags, 0);
			CHECK_EQ(pte.pfn.v, 0);
		}
	}
}

/* Bit 11 everywhere, 52 to 58 in 4- and 5-level paging; D and G of a table. */
KMM_TEST(pt_ignored_bits_are_ignored)
{
	uint64_t rng = kmm_test_seed();

	for (unsigned i = 0; i < NR_SHAPES; i++) {
		const struct shape *s = &shapes[i];
		const struct kmm_format *fmt = kmm_format_get(s->format);
		uint64_t ignored = 0x800 | (s->format >= KMM_X86_64 ? 0x07f0000000000000 : 0);
		uint64_t raw = by_the_manual(s, kmm_test_rand(&rng), s->keeps);
		struct kmm_pte plain = fmt->decode(raw, s->level), noisy;

		if (!(s->keeps & KMM_PTE_DIRTY) && s->keeps != PDPTE)
			ignored |= 0x140;
		noisy = fmt->decode(raw | ignored, s->level);
		CHECK_EQ(noisy.flags, plain.flags);
		CHECK_EQ(noisy.pfn.v, plain.pfn.v);
	}
}

/* Entries as they stand in dumps of running kernels. */
KMM_TEST(pt_well_known_entries)
{
	const uint32_t kernel = KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_ACCESSED | KMM_PTE_DIRTY | KMM_PTE_GLOBAL;
	const uint32_t user = KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_ACCESSED | KMM_PTE_DIRTY;
	const uint32_t table = KMM_PTE_PRESENT | KMM_PTE_WRITE | KMM_PTE_USER | KMM_PTE_ACCESSED | KMM_PTE_EXEC;
	struct kmm_pte pte = { { 0x12345 }, user };

	CHECK_EQ(kmm_fmt_i386.encode(pte, 0), 0x12345067);
	CHECK_EQ(kmm_fmt_i386_pae.encode(pte, 0), 0x8000000012345067);
	pte.flags = user | KMM_PTE_EXEC;
	CHECK_EQ(kmm_fmt_x86_64.encode(pte, 0), 0x12345067);
	pte.flags = table;
	CHECK_EQ(kmm_fmt_i386.encode(pte, 1), 0x12345027);
	CHECK_EQ(kmm_fmt_i386_pae.encode(pte, 2), 0x12345001);
	CHECK_EQ(kmm_fmt_x86_64.encode(pte, 3), 0x12345027);
	CHECK_EQ(kmm_fmt_x86_64_la57.encode(pte, 4), 0x12345027);
	pte.pfn.v = 0x400;
	pte.flags = kernel | KMM_PTE_LARGE;
	CHECK_EQ(kmm_fmt_i386.encode(pte, 1), 0x4001e3);
	CHECK_EQ(kmm_fmt_i386_pae.encode(pte, 1), 0x80000000004001e3);
	pte.pfn.v = 0x100000;
	CHECK_EQ(kmm_fmt_x86_64.encode(pte, 2), 0x80000001000001e3);
}

/* ---- how addresses are cut ---- */

KMM_TEST(pt_formats_cut_addresses_as_the_manual_says)
{
	static const struct {
		enum kmm_format_id id;
		const char *name;
		unsigned levels, entry_size, va_bits, phys_bits;
		bool nx;
		unsigned shift[5], bits[5];
		uint64_t leaf_bytes[5]; /* 0: no leaf */
	} expect[] = {
		{ KMM_I386, "i386", 2, 4, 32, 32, false, { 12, 22 }, { 10, 10 }, { 0x1000, 0x400000 } },
		{ KMM_I386_PAE, "i386-pae", 3, 8, 32, 52, true, { 12, 21, 30 }, { 9, 9, 2 }, { 0x1000, 0x200000 } },
		{ KMM_X86_64, "x86_64", 4, 8, 48, 52, true, { 12, 21, 30, 39 }, { 9, 9, 9, 9 },
		  { 0x1000, 0x200000, 0x40000000 } },
		{ KMM_X86_64_LA57, "x86_64-la57", 5, 8, 57, 52, true, { 12, 21, 30, 39, 48 }, { 9, 9, 9, 9, 9 },
		  { 0x1000, 0x200000, 0x40000000 } },
	};

	for (unsigned i = 0; i < KMM_NR_FORMATS; i++) {
		const struct kmm_format *fmt = kmm_format_get(expect[i].id);

		CHECK_EQ(fmt->id, expect[i].id);
		CHECK_STR(fmt->name, expect[i].name);
		CHECK_EQ(fmt->nr_levels, expect[i].levels);
		CHECK_EQ(fmt->entry_size, expect[i].entry_size);
		CHECK_EQ(fmt->va_bits, expect[i].va_bits);
		CHECK_EQ(fmt->max_phys_bits, expect[i].phys_bits);
		CHECK_EQ(fmt->has_nx, expect[i].nx);
		for (unsigned l = 0; l < fmt->nr_levels; l++) {
			CHECK_EQ(fmt->level[l].shift, expect[i].shift[l]);
			CHECK_EQ(fmt->level[l].bits, expect[i].bits[l]);
			CHECK_EQ(fmt->level[l].leaf ? UINT64_C(1) << fmt->level[l].shift : 0, expect[i].leaf_bytes[l]);
		}
	}
	CHECK(kmm_format_get(KMM_NR_FORMATS) == NULL);
}

/* ---- two stores for one entry ---- */

/* What a page walker on another processor could read after each store. */
static uint64_t seen[8];
static unsigned nr_seen;
static uint32_t watched[2];

static void poke_and_look(uint32_t *half, uint32_t value)
{
	*half = value;
	if (nr_seen < 8)
		seen[nr_seen++] = (uint64_t)watched[1] << 32 | watched[0];
}

static void check_order(uint64_t from, uint64_t to)
{
	watched[0] = (uint32_t)from;
	watched[1] = (uint32_t)(from >> 32);
	nr_seen = 0;
	kmm_entry_store_halves(watched, to, poke_and_look);
	CHECK(nr_seen >= 1 && nr_seen <= 3);
	for (unsigned i = 0; i < nr_seen; i++)
		CHECK(seen[i] == from || seen[i] == to || !(seen[i] & 1));
	CHECK_EQ(seen[nr_seen - 1], to);
	CHECK_EQ(kmm_entry_load_halves(watched), to);
}

KMM_TEST(pt_pae_entries_never_show_a_mixture)
{
	static const uint64_t values[] = {
		0, 0x12345067, 0x8000000012345067, 0x8000000f12345025, 0x0000000f12345067, 0x0000000154321067,
		0x7700000000000000, 0x00000000deadbeee, 0xfeed0000deadbeee, /* software values */
	};
	const unsigned nr = sizeof(values) / sizeof(values[0]);

	for (unsigned from = 0; from < nr; from++)
		for (unsigned to = 0; to < nr; to++)
			CALL(check_order(values[from], values[to]));
}

KMM_TEST(pt_pae_setting_ends_and_clearing_begins_with_the_present_half)
{
	watched[0] = watched[1] = nr_seen = 0;
	kmm_entry_store_halves(watched, 0x8000000f12345067, poke_and_look);
	CHECK_EQ(nr_seen, 2);
	CHECK_EQ(seen[0], 0x8000000f00000000);
	nr_seen = 0;
	kmm_entry_store_halves(watched, 0, poke_and_look);
	CHECK_EQ(nr_seen, 2);
	CHECK_EQ(seen[0], 0x8000000f00000000);
	CHECK_EQ(seen[1], 0);
}

KMM_TEST(pt_taking_an_entry_returns_and_clears_it)
{
	watched[0] = 0x12345067;
	watched[1] = 0x8000000f;
	CHECK_EQ(kmm_entry_take_halves(watched), 0x8000000f12345067);
	CHECK_EQ(kmm_entry_load_halves(watched), 0);
}
