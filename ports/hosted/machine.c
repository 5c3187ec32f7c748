/* SPDX-License-Identifier: MIT */
/*
 * Building a simulated machine and taking it down.
 *
 * Order: fill in the description, derive the layout (strict mode must know where low memory ends), map the
 * RAM, fill the port, start the core tier by tier, and switch every CPU to the kernel's page tables.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE_PA (UINT64_C(16) << 20)
/* 64-bit kernels are linked for the last 2 GiB of addresses. */
#define IMAGE_WINDOW (UINT64_MAX - (UINT64_C(2) << 30) + 1)

static enum kmm_status refuse(enum kmm_status status, const char **why, const char *text)
{
	*why = text;
	return status;
}

static enum kmm_status fill_map(struct hosted_machine *m, const char **why)
{
	struct hosted_config *c = &m->config;

	if (c->machine.map)
		return c->ram_bytes ? refuse(KMM_EINVAL, why, "ram_bytes and an explicit memory map exclude each other") : KMM_OK;
	c->machine.nr_map = hosted_pc_map(c->ram_bytes, m->pc_map);
	c->machine.map = m->pc_map;
	return c->machine.nr_map ? KMM_OK : refuse(KMM_EINVAL, why, "a PC has at least 2 MiB of RAM");
}

/* The caller's reservations and the image. */
static enum kmm_status fill_reserve(struct hosted_machine *m, const char **why)
{
	struct kmm_machine *machine = &m->config.machine;
	unsigned nr = machine->nr_reserve;

	m->reserve = calloc(nr + 1, sizeof(*m->reserve));
	if (!m->reserve)
		return refuse(KMM_ENOMEM, why, "the host is out of memory");
	for (unsigned i = 0; i < nr; i++)
		m->reserve[i] = machine->reserve[i];
	if (m->config.image_bytes) {
		m->reserve[nr++] = (struct kmm_memrange){ IMAGE_PA, m->config.image_bytes, KMM_MEM_RESERVED, "kernel image" };
		machine->image_pa = IMAGE_PA;
		machine->image_size = m->config.image_bytes;
		machine->image_va = machine->format >= KMM_X86_64 ? IMAGE_WINDOW + IMAGE_PA : 0;
	}
	machine->reserve = m->reserve;
	machine->nr_reserve = nr;
	return KMM_OK;
}

/* End of the addresses where memory is or may be added. */
static uint64_t memory_end(const struct kmm_machine *machine, uint64_t ram)
{
	uint64_t limit = UINT64_C(1) << machine->phys_bits, end = ram;

	for (unsigned i = 0; i < machine->nr_node_map; i++) {
		const struct kmm_node_range *r = &machine->node_map[i];

		if (r->hotplug && r->start < limit && r->start + r->size > end)
			end = r->start + r->size;
	}
	return end < limit ? end : limit;
}

/* End of the RAM that the machine can address. */
static uint64_t ram_end(const struct kmm_machine *machine)
{
	uint64_t limit = UINT64_C(1) << machine->phys_bits, end = 0;

	for (unsigned i = 0; i < machine->nr_map; i++) {
		const struct kmm_memrange *r = &machine->map[i];
		uint64_t last = r->size > UINT64_MAX - r->start ? UINT64_MAX : r->start + r->size;

		if (r->type == KMM_MEM_RAM && r->size && r->start < limit && last > end)
			end = last;
	}
	return end < limit ? end : limit;
}

static enum kmm_status describe(struct hosted_machine *m, const char **why)
{
	enum kmm_status status = kmm_machine_defaults(&m->config.machine, why);

	if (!status)
		status = fill_map(m, why);
	if (!status)
		status = fill_reserve(m, why);
	if (!status && ram_end(&m->config.machine) == 0)
		status = refuse(KMM_ERANGE, why, "the memory map has no RAM that this machine can address");
	if (!status)
		status = kmm_layout_derive(&m->config.machine, ram_end(&m->config.machine), &m->layout, why);
	return status;
}

enum kmm_status hosted_start_core(struct hosted_machine *m, const char **why)
{
	enum kmm_status status = kmm_init_frames(m->state, &m->config.machine, &m->port, &m->k, why);

	if (!status && m->config.tier != HOSTED_FRAMES) {
		status = kmm_init_kernel(m->k);
		if (!status && m->config.tier == HOSTED_SPACES)
			status = kmm_init_spaces(m->k);
		if (status)
			*why = "not enough low memory for the kernel's own tables and caches";
	}
	return status;
}

static enum kmm_status build(struct hosted_machine *m, const char **why)
{
	enum kmm_status status = describe(m, why);
	size_t state_bytes = (kmm_state_size() + 63) & ~(size_t)63;

	if (status)
		return status;
	hosted_hooks_init(m);
	if (!hosted_arena_init(m, memory_end(&m->config.machine, ram_end(&m->config.machine))))
		return refuse(KMM_ENOTSUP, why, "this host cannot map so much memory into one process");
	m->state = aligned_alloc(64, state_bytes);
	if (!m->state)
		return refuse(KMM_ENOMEM, why, "the host is out of memory");
	memset(m->state, 0, state_bytes);
	return hosted_start_core(m, why);
}

enum kmm_status hosted_boot(const struct hosted_config *config, struct hosted_machine **out, const char **why)
{
	const char *ignored = NULL;
	struct hosted_machine *m = calloc(1, sizeof(*m));
	enum kmm_status status;

	why = why ? why : &ignored;
	if (!m)
		return refuse(KMM_ENOMEM, why, "the host is out of memory");
	*why = "";
	m->config = *config;
	m->fd = -1;
	status = build(m, why);
	if (status) {
		hosted_shutdown(m);
		return status;
	}
	for (unsigned i = 0; i < m->config.machine.nr_cpus && config->tier != HOSTED_FRAMES; i++)
		hosted_load_root(m, i, kmm_kernel_root(m->k).v);
	*out = m;
	return KMM_OK;
}

void hosted_shutdown(struct hosted_machine *m)
{
	if (!m)
		return;
	hosted_arena_fini(m);
	if (m->port.irq_save) /* the hooks were made */
		hosted_hooks_fini(m);
	free(m->state);
	free(m->reserve);
	free(m);
}

struct kmm *hosted_kmm(struct hosted_machine *m)
{
	return m->k;
}

const struct hosted_config *hosted_config_of(const struct hosted_machine *m)
{
	return &m->config;
}

void hosted_usage(const struct hosted_machine *m, struct hosted_usage *out)
{
	*out = (struct hosted_usage){ .ram_bytes = hosted_arena_used(m), .state_bytes = kmm_state_size(),
				      .arena_bytes = m->arena_bytes, .window_bytes = m->window_bytes,
				      .window_maps = m->window_maps, .window_unmaps = m->window_unmaps };
}
