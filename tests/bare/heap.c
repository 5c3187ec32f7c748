/* SPDX-License-Identifier: MIT */
/*
 * heap.c - malloc and its family for tests in a cell, from the running machine's own kmalloc and vmalloc. Blocks hang on a
 * list, so that a test that ends early leaves nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "kmm/kmm.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

/* Lies right before what the test gets. */
struct block {
	struct block *next, *prev;
	void *raw;
	size_t size;
};

static struct block blocks = { &blocks, &blocks, NULL, 0 };

void *aligned_alloc(size_t align, size_t size)
{
	size_t whole = size + sizeof(struct block) + align;
	bool small = whole <= KMM_KMALLOC_MAX_CLASS;
	char *raw = whole < size ? NULL : small ? kmm_kmalloc(cell_machine, whole, KMM_GFP_KERNEL) :
						  kmm_vmalloc(cell_machine, whole, "test");
	struct block *b;

	if (!raw)
		return NULL;
	b = (struct block *)(((uintptr_t)raw + sizeof(*b) + align - 1) & ~(uintptr_t)(align - 1)) - 1;
	*b = (struct block){ blocks.next, &blocks, raw, size };
	b->next->prev = b->prev->next = b;
	return b + 1;
}

void *malloc(size_t size)
{
	return aligned_alloc(16, size);
}

void *calloc(size_t nr, size_t size)
{
	void *p = malloc(nr * size);

	if (p)
		memset(p, 0, nr * size);
	return p;
}

static bool is_small(const struct block *b)
{
	return (uintptr_t)b->raw < kmm_layout_of(cell_machine)->vmalloc_start;
}

void free(void *p)
{
	struct block *b = (struct block *)p - 1;

	if (!p)
		return;
	b->next->prev = b->prev;
	b->prev->next = b->next;
	if (is_small(b))
		kmm_kfree(cell_machine, b->raw);
	else
		kmm_vfree(cell_machine, b->raw);
}

void *realloc(void *p, size_t size)
{
	void *q = malloc(size);
	size_t old = p ? ((struct block *)p - 1)->size : 0;

	if (q && p)
		memcpy(q, p, old < size ? old : size);
	if (q)
		free(p);
	return q;
}

void heap_drop(void)
{
	while (blocks.next != &blocks)
		free(blocks.next + 1);
}
