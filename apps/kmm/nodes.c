/* SPDX-License-Identifier: MIT */
/*
 * Nodes from a number: RAM cut into pieces of equal size, processors dealt out in rows, as Linux's numa=fake does it.
 */
#include "options.h"

#include <string.h>

#define SECTION_BYTES (UINT64_C(1) << KMM_SECTION_SHIFT)

/* RAM of the map, sorted enough for its own pieces: maps that people write are. */
struct ram {
	struct kmm_memrange pc[HOSTED_PC_RANGES];
	const struct kmm_memrange *map;
	unsigned nr;
};

static void find_ram(const struct options *o, struct ram *ram)
{
	ram->map = o->memmap;
	ram->nr = o->config.machine.nr_map;
	if (o->memmap)
		return;
	ram->map = ram->pc;
	ram->nr = hosted_pc_map(o->requested_ram, ram->pc);
}

static uint64_t total(const struct ram *ram)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < ram->nr; i++)
		bytes += ram->map[i].type == KMM_MEM_RAM ? ram->map[i].size : 0;
	return bytes;
}

static uint64_t end_of_all(const struct ram *ram)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < ram->nr; i++)
		if (ram->map[i].start + ram->map[i].size > end)
			end = ram->map[i].start + ram->map[i].size;
	return end;
}

/* The address below which `bytes` of RAM lie. */
static uint64_t address_of(const struct ram *ram, uint64_t bytes)
{
	for (unsigned i = 0; i < ram->nr; i++) {
		const struct kmm_memrange *r = &ram->map[i];

		if (r->type != KMM_MEM_RAM)
			continue;
		if (bytes < r->size)
			return r->start + bytes;
		bytes -= r->size;
	}
	return end_of_all(ram);
}

static uint64_t cut_at(const struct ram *ram, unsigned i, unsigned nr)
{
	uint64_t part = total(ram) / nr, unit = part >= 2 * SECTION_BYTES ? SECTION_BYTES : KMM_PAGE_SIZE;

	return i == nr ? end_of_all(ram) : (address_of(ram, part * i) + unit / 2) & ~(unit - 1);
}

void options_fill_nodes(struct options *o)
{
	struct kmm_machine *m = &o->config.machine;
	unsigned nodes = o->nr_nodes ? o->nr_nodes : 1, cpus = m->nr_cpus ? m->nr_cpus : 1;
	struct ram ram;
	uint64_t at = 0, end;

	find_ram(o, &ram);
	for (unsigned i = 0; i < nodes; i++, at = end) {
		end = (cut_at(&ram, i + 1, nodes) + KMM_PAGE_SIZE - 1) & ~(uint64_t)(KMM_PAGE_SIZE - 1);
		if (end > at)
			o->node_map[m->nr_node_map++] = (struct kmm_node_range){ at, end - at, (uint8_t)i, false };
	}
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		m->cpu_node[cpu] = (uint8_t)(cpu * nodes / cpus);
	if (o->hot_bytes) {
		at = (at + SECTION_BYTES - 1) & ~(SECTION_BYTES - 1);
		o->node_map[m->nr_node_map++] =
			(struct kmm_node_range){ at, o->hot_bytes, (uint8_t)(nodes < KMM_MAX_NODES ? nodes : nodes - 1), true };
	}
	m->node_map = o->node_map;
}
