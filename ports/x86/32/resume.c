/* SPDX-License-Identifier: MIT */
/*
 * resume.c - tables to move memory by, in no image: the kernel's image at its own addresses, and three windows of a page each at
 * user addresses, where no translation of the kernel's can be left over.
 */
#include "32/cpu.h"

#if KMM_X86_PAE
typedef uint64_t entry;
#define TABLE_SHIFT 21
#define NR_DIRS 4
#else
typedef uint32_t entry;
#define TABLE_SHIFT 22
#define NR_DIRS 1
#endif
#define PER_TABLE (X86_PAGE_SIZE / sizeof(entry))
#define IMAGE_TABLES (0x400000u >> TABLE_SHIFT) /* 4 MiB: kernel.ld */
#define WINDOW_VA 0x40000000u

enum { P = 1, RW = 2 };

static X86_NOSAVE entry dirs[NR_DIRS][PER_TABLE] __attribute__((aligned(X86_PAGE_SIZE)));
static X86_NOSAVE entry image[IMAGE_TABLES][PER_TABLE] __attribute__((aligned(X86_PAGE_SIZE)));
static X86_NOSAVE entry windows[PER_TABLE] __attribute__((aligned(X86_PAGE_SIZE)));
static X86_NOSAVE uint64_t pointers[4] __attribute__((aligned(32)));

static void put_table(uint32_t va, const entry *table)
{
	entry *dir = dirs[NR_DIRS == 1 ? 0 : va >> 30];

	dir[va >> TABLE_SHIFT & (PER_TABLE - 1)] = (entry)x86_image_pa(table) | P | RW;
}

/* The table of windows is written at an address that the image's tables map. */
void x86_moving_begin(void)
{
	if ((uint32_t)x86_image_end > X86_PAGE_OFFSET + 0x400000)
		x86_panic("the kernel's image is too large to be resumed");
	for (uint32_t i = 0; i < IMAGE_TABLES * PER_TABLE; i++)
		image[i / PER_TABLE][i % PER_TABLE] = (entry)(i * X86_PAGE_SIZE) | P | RW;
	for (uint32_t i = 0; i < IMAGE_TABLES; i++)
		put_table(X86_PAGE_OFFSET + (i << TABLE_SHIFT), image[i]);
	put_table(WINDOW_VA, windows);
	for (unsigned i = 0; i < NR_DIRS; i++)
		pointers[i] = x86_image_pa(dirs[i]) | P;
	x86_write_cr3((uint32_t)(NR_DIRS == 1 ? x86_image_pa(dirs[0]) : x86_image_pa(pointers)));
}

void *x86_moving_at(unsigned window, uint64_t pfn)
{
	volatile entry *at = &windows[window];
	uint32_t va = WINDOW_VA + window * X86_PAGE_SIZE;

	if (*at == ((entry)pfn << 12 | P | RW))
		return (void *)va;
	*at = 0; /* PAE: never half an entry that counts */
	*at = (entry)pfn << 12 | P | RW;
	x86_tlb_flush_page(va);
	return (void *)va;
}
