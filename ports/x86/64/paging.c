/* SPDX-License-Identifier: MIT */
/*
 * paging.c - the temporary tables completed, and the change to the core's.
 *
 * boot.S maps the first 4 GiB. RAM above it is added here, by leaves of 1 GiB where the processor has them, else of 2 MiB;
 * tables for that come from the start of the RAM above 4 GiB, which therefore cannot hold modules, and are reported to
 * the core as taken. They are 4 KiB for each GiB.
 *
 * A direct map that moves gets new tables, as old and new place may overlap: its leaves are those of the old place. Then the
 * root takes them for the old ones, and keeps them for the start of the other processors, whose stacks lie there.
 */
#include "64/cpu.h"

#define GIB (1ull << 30)
#define LOW_END (4 * GIB) /* mapped by boot.S */
#define ENTRY_ADDRESS 0x000ffffffffff000ull
#define LEAF_2M (1ull << 21)
#define MOVE_LIMIT (~0ull << (12 + 9 * X86_LEVELS - 2)) /* well below the image, which has the last entry of the root */

enum { P = 1, RW = 2, LARGE = 0x80 };

bool x86_paging_on;

/* Tables are taken from [start, at) and mapped by first_dir until the leaf for them is there. */
static uint64_t pool_start, pool_at, pool_end;
static X86_NOSAVE uint64_t first_dir[512] __attribute__((aligned(X86_PAGE_SIZE)));

/* Of a direct map that moves: its part of the root, and below it enough for the 512 GiB that two tables of each level reach. */
static X86_NOSAVE uint64_t moved_root[512] __attribute__((aligned(X86_PAGE_SIZE)));
static X86_NOSAVE uint64_t moved_tables[2 * (X86_LEVELS - 3)][512] __attribute__((aligned(X86_PAGE_SIZE)));
static unsigned nr_spare; /* of moved_tables; none before the move */
static uint64_t moved_base;

static uint64_t table_new(void)
{
	uint64_t pa = pool_at;

	if (nr_spare)
		return x86_image_pa(moved_tables[--nr_spare]);
	if (pool_at == pool_end)
		x86_panic("the first RAM above 4 GiB, %llu KiB, is too small for the tables that map the rest of it",
			  (unsigned long long)(pool_end - pool_start) >> 10);
	memset(x86_phys_ptr(pa), 0, X86_PAGE_SIZE);
	pool_at += X86_PAGE_SIZE;
	return pa;
}

static uint64_t *table_below(uint64_t *entry)
{
	if (!(*entry & P))
		*entry = table_new() | P | RW;
	return x86_phys_ptr(*entry & ENTRY_ADDRESS);
}

static unsigned index_at(uint64_t va, unsigned level)
{
	return (unsigned)(va >> (12 + 9 * level)) & 511;
}

/* The entry for the GiB at va, below the boot tables' root or the one to come. */
static uint64_t *gib_entry(uint64_t *table, uint64_t va)
{
	for (unsigned level = X86_LEVELS - 1; level > 2; level--)
		table = table_below(&table[index_at(va, level)]);
	return &table[index_at(va, 2)];
}

static void fill_dir(uint64_t *dir, uint64_t pa)
{
	for (unsigned i = 0; i < 512; i++)
		dir[i] = (pa + i * LEAF_2M) | P | RW | LARGE;
}

static void map_gib(uint64_t pa)
{
	uint64_t *entry = gib_entry(x86_boot_root, X86_PAGE_OFFSET + pa);

	if (*entry & P)
		return;
	if (x86_cpu_info.gib_pages)
		*entry = pa | P | RW | LARGE;
	else
		fill_dir(table_below(entry), pa);
}

/* The GiB with the pool is mapped by a table that is not from the pool; it lies under the pointers that boot.S made. */
static void pool_open(const struct x86_mem_range *r)
{
	uint64_t gib = r->base & ~(GIB - 1);

	if (gib >> (12 + 9 * 3))
		x86_panic("the first RAM above 4 GiB lies at %llx, out of reach", (unsigned long long)r->base);
	pool_start = pool_at = (r->base + X86_PAGE_SIZE - 1) & ~(uint64_t)(X86_PAGE_SIZE - 1);
	pool_end = (r->base + r->size) & ~(uint64_t)(X86_PAGE_SIZE - 1);
	if (pool_end > gib + GIB)
		pool_end = gib + GIB;
	fill_dir(first_dir, gib);
	*gib_entry(x86_boot_root, X86_PAGE_OFFSET + gib) = x86_image_pa(first_dir) | P | RW;
}

static const struct x86_mem_range *first_high(void)
{
	const struct x86_mem_range *best = NULL;

	for (uint32_t i = 0; i < x86_boot.nr_ranges; i++) {
		const struct x86_mem_range *r = &x86_boot.ranges[i];

		if (r->type == 1 && r->base >= LOW_END && r->size >= X86_PAGE_SIZE && (!best || r->base < best->base))
			best = r;
	}
	return best;
}

static void check_modules(void)
{
	for (uint32_t i = 0; i < x86_boot.nr_modules; i++) {
		if (x86_boot.modules[i].end > pool_start && x86_boot.modules[i].start < pool_at)
			x86_panic("the loader put a module where memory for page tables was taken, at %llx",
				  (unsigned long long)pool_start);
	}
}

static void each_gib_of_ram(void (*call)(uint64_t pa))
{
	const uint64_t limit = 1ull << x86_cpu_info.phys_bits;

	for (uint32_t i = 0; i < x86_boot.nr_ranges; i++) {
		const struct x86_mem_range *r = &x86_boot.ranges[i];
		uint64_t end = r->size > limit - r->base ? limit : r->base + r->size;

		for (uint64_t pa = r->base & ~(GIB - 1); r->type == 1 && r->base < limit && pa < end; pa += GIB)
			call(pa);
	}
	check_modules();
	if (pool_at > pool_start)
		x86_boot_took(pool_start, pool_at);
}

void x86_boot_map(void)
{
	const struct x86_mem_range *high = first_high();

	if (high)
		pool_open(high);
	each_gib_of_ram(map_gib);
}

static void move_gib(uint64_t pa)
{
	*gib_entry(moved_root, moved_base + pa) = *gib_entry(x86_boot_root, X86_PAGE_OFFSET + pa);
}

void x86_direct_map_move(x86_word base)
{
	if (base == X86_PAGE_OFFSET)
		return;
	if (base % GIB || base < X86_PAGE_OFFSET || base > MOVE_LIMIT || x86_paging_on || moved_base)
		x86_panic("the direct map cannot move to %llx", (unsigned long long)base);
	moved_base = base;
	nr_spare = sizeof(moved_tables) / sizeof(moved_tables[0]);
	for (uint64_t pa = 0; pa < LOW_END; pa += GIB)
		move_gib(pa);
	each_gib_of_ram(move_gib);
	for (unsigned i = 256; i < 511; i++) /* the upper half but for the image's entry, below which this runs */
		x86_boot_root[i] = moved_root[i];
	x86_write_cr3(x86_image_pa(x86_boot_root));
	__asm__ volatile("movq %0, x86_direct_base(%%rip)" : : "r"(base) : "memory");
}

static x86_word cr4_wanted(void)
{
	x86_word cr4 = x86_read_cr4();

	if (x86_cpu_info.pge)
		cr4 |= X86_CR4_PGE;
	if (x86_pcid_on)
		cr4 |= X86_CR4_PCIDE;
	if (x86_cpu_info.smep)
		cr4 |= X86_CR4_SMEP;
	if (x86_cpu_info.smap)
		cr4 |= X86_CR4_SMAP;
	if (x86_cpu_info.umip)
		cr4 |= X86_CR4_UMIP;
	return cr4;
}

/* The boot tables have no global entries, so nothing of them stays in the TLB. */
void x86_paging_load(void)
{
	if (x86_cpu_info.nx)
		x86_write_msr(X86_MSR_EFER, x86_read_msr(X86_MSR_EFER) | X86_EFER_NXE);
	x86_write_cr0(x86_read_cr0() | X86_CR0_WP | X86_CR0_AM);
	x86_write_cr3(x86_kernel_root);
	x86_write_cr4(cr4_wanted());
}

/* The other processors start on boot.S's tables; the kernel's need not change for that. */
void x86_ap_begin(void)
{
}

void x86_ap_end(void)
{
}

void x86_ap_tables_done(void)
{
}

void x86_paging_enable(uint64_t root_pa)
{
	const uint64_t *root = x86_phys_ptr(root_pa);

	if (!(root[511] & P))
		x86_panic("page table root %llx does not map the kernel", (unsigned long long)root_pa);
	x86_kernel_root = root_pa;
	x86_pcid_on = x86_cpu_info.pcid && x86_cpu_info.pge; /* the kernel's own pages are global, so in nobody's identifier */
	x86_paging_load();
	x86_paging_on = true;
}
