/* SPDX-License-Identifier: MIT */
/*
 * The smallest embedding: page frames alone (tier a). Four hooks, a memory map, and memory for the state.
 *
 * The machine here is an array; in a kernel direct_map is PAGE_OFFSET and the map comes from the firmware.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kmm/kmm.h"
#include "kmm/page.h"

enum { RAM = 32 << 20 };

static unsigned long irq_save(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static void irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

static unsigned cpu_id(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static void fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	(void)port;
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

static struct kmm *start(struct kmm_port *port, void *state)
{
	const struct kmm_memrange map[] = { { 0, RAM, KMM_MEM_RAM, NULL } };
	const struct kmm_memrange reserve[] = { { 0, 1 << 20, KMM_MEM_RESERVED, "kernel image" } };
	struct kmm_machine machine = { .format = KMM_I386, .map = map, .nr_map = 1, .reserve = reserve, .nr_reserve = 1 };
	const char *why = NULL;
	struct kmm *k;

	if (kmm_machine_defaults(&machine, &why) || kmm_init_frames(state, &machine, port, &k, &why)) {
		fprintf(stderr, "frames: %s\n", why);
		exit(1);
	}
	return k;
}

int main(void)
{
	struct kmm_port port = { .irq_save = irq_save, .irq_restore = irq_restore, .cpu_id = cpu_id, .fatal = fatal };
	void *ram = aligned_alloc(KMM_PAGE_SIZE, RAM), *state = aligned_alloc(64, (kmm_state_size() + 63) & ~(size_t)63);
	struct kmm_page *block, *frame;
	struct kmm_memory_stats stats;
	struct kmm *k;

	if (!ram || !state)
		return 1;
	port.direct_map = ram;
	k = start(&port, state);
	block = kmm_alloc_pages(k, KMM_GFP_KERNEL, 4);
	frame = kmm_alloc_pages(k, KMM_GFP_DMA, 0);
	if (!block || !frame)
		return 1;
	printf("16 frames from 0x%llx, one for DMA at 0x%llx\n", (unsigned long long)kmm_page_to_pfn(k, block).v,
	       (unsigned long long)kmm_page_to_pfn(k, frame).v);
	kmm_free_pages(k, block, 4);
	kmm_free_pages(k, frame, 0);
	kmm_memory_stats(k, &stats);
	printf("%llu of %llu frames are free; a descriptor has %u bytes\n", (unsigned long long)stats.free_pages,
	       (unsigned long long)stats.ram_pages, stats.page_size_bytes);
	free(state);
	free(ram);
	return 0;
}
