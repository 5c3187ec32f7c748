/* SPDX-License-Identifier: MIT */
/*
 * RAM and windows of a simulated machine as mappings of the host.
 *
 * RAM is a sparse memfd as large as the machine's physical address space, so that device addresses have bytes
 * behind them too. The window reservation is inaccessible except where the core has mapped something: each
 * run of consecutive frames in a window is one mapping of the memfd.
 */
#include "internal.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Windows of 64-bit machines are terabytes of addresses; this much of vmalloc is shown to C code, or less, down to
 * the second number, where the host has not so many to spare (a sanitizer takes most of them). */
#define WINDOW_LIMIT (UINT64_C(1) << 40)
#define WINDOW_LEAST (UINT64_C(1) << 35)

/* Hosts have 128 TiB of addresses for a process. Of a larger machine the start is mapped: descriptors and all that is
 * handed out first lie there. */
#define ARENA_LIMIT (UINT64_C(64) << 40)

/* More than a host's addresses can count is asked for as all of them, which it refuses, and not as what is left of the
 * number after its upper bits are cut off. */
static size_t host_size(uint64_t bytes)
{
	return bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}

static char *reserve_addresses(uint64_t bytes)
{
	char *p = mmap(NULL, host_size(bytes), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* bytes of RAM from physical 0, at `at` or where the host likes. */
static char *map_ram(const struct hosted_machine *m, char *at, uint64_t bytes)
{
	char *p = mmap(at, host_size(bytes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), m->fd, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_DONTDUMP);
	return p;
}

/* ---- windows ---- */

static bool in_window(const struct hosted_machine *m, uint64_t va, uint64_t bytes)
{
	uint64_t start = m->port.window_start;

	return va >= start && va - start < m->window_bytes && bytes <= m->window_bytes - (va - start);
}

/* In fast mode only vmalloc needs host mappings: kmap pointers go into the arena. */
static bool is_mirrored(const struct hosted_machine *m, uint64_t va)
{
	return m->config.strict || (va >= m->layout.vmalloc_start && va < m->layout.vmalloc_end);
}

static int unmap_window(struct hosted_machine *m, char *at, uint64_t bytes)
{
	__atomic_add_fetch(&m->window_unmaps, 1, __ATOMIC_RELAXED);
	return mmap(at, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED;
}

static kmm_word run_length(const struct kmm_pfn *pfns, kmm_word nr)
{
	kmm_word n = 1;

	while (n < nr && pfns[n].v == pfns[0].v + n)
		n++;
	return n;
}

static int map_window(struct hosted_machine *m, char *at, const struct kmm_pfn *pfns, kmm_word nr, unsigned prot)
{
	int host_prot = (prot & KMM_PROT_READ ? PROT_READ : 0) | (prot & KMM_PROT_WRITE ? PROT_WRITE : 0);
	kmm_word done, run;

	for (done = 0; done < nr; done += run) {
		run = run_length(pfns + done, nr - done);
		__atomic_add_fetch(&m->window_maps, 1, __ATOMIC_RELAXED);
		if (mmap(at + done * KMM_PAGE_SIZE, run * KMM_PAGE_SIZE, host_prot, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
			 m->fd, (off_t)kmm_pfn_to_paddr(pfns[done]).v) == MAP_FAILED) {
			unmap_window(m, at, nr * KMM_PAGE_SIZE);
			return -1;
		}
	}
	return 0;
}

static int window_changed(struct kmm_port *port, struct kmm_kva va, const struct kmm_pfn *pfns, kmm_word nr_pages,
			  unsigned prot)
{
	struct hosted_machine *m = hosted_of_port(port);
	uint64_t bytes = (uint64_t)nr_pages * KMM_PAGE_SIZE;
	char *at;

	if (!is_mirrored(m, va.v))
		return 0;
	if (!in_window(m, va.v, bytes))
		return pfns ? -1 : 0;
	at = m->window + (va.v - port->window_start);
	return pfns ? map_window(m, at, pfns, nr_pages, prot) : unmap_window(m, at, bytes);
}

/* 32-bit: everything from vmalloc up. 64-bit: the start of vmalloc; there is no other window. */
static bool make_window(struct hosted_machine *m)
{
	uint64_t start = m->layout.vmalloc_start & ~(uint64_t)(KMM_PAGE_SIZE - 1);
	bool narrow = m->config.machine.format <= KMM_I386_PAE;
	uint64_t bytes = (narrow ? UINT64_C(1) << 32 : m->layout.vmalloc_end) - start;

	m->window_bytes = bytes < WINDOW_LIMIT ? bytes : WINDOW_LIMIT;
	while (!(m->window = reserve_addresses(m->window_bytes)) && m->window_bytes > WINDOW_LEAST)
		m->window_bytes /= 2;
	m->port.window_base = m->window;
	m->port.window_start = start;
	m->port.window_size = m->window_bytes;
	m->port.window_changed = window_changed;
	return m->window != NULL;
}

/* ---- RAM ---- */

/* The machine's low memory alone, in a reservation as large as all of it. */
static bool make_strict_arena(struct hosted_machine *m, uint64_t low)
{
	m->arena = reserve_addresses(m->arena_bytes);
	return m->arena && map_ram(m, m->arena, low);
}

static bool make_ram(struct hosted_machine *m, uint64_t ram_end)
{
	uint64_t low = m->layout.lowmem_end;

	m->fd = memfd_create("kmm-ram", MFD_CLOEXEC);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)(UINT64_C(1) << m->config.machine.phys_bits)) != 0)
		return false;
	m->arena_bytes = (ram_end + KMM_PAGE_SIZE - 1) & ~(uint64_t)(KMM_PAGE_SIZE - 1);
	if (m->arena_bytes > ARENA_LIMIT)
		m->arena_bytes = m->port.direct_map_reach = ARENA_LIMIT;
	m->bus = map_ram(m, NULL, m->arena_bytes);
	if (!m->bus)
		return false;
	m->arena = m->bus;
	if (m->config.strict && m->layout.kmap_slots && low < m->arena_bytes && !make_strict_arena(m, low))
		return false;
	m->port.direct_map = m->arena;
	m->port.direct_map_all = !m->config.strict;
	return true;
}

/* ---- descriptors of memory that may be added ---- */

static int descriptors_changed(struct kmm_port *port, uint64_t offset, struct kmm_pfn first, kmm_word nr_pages)
{
	struct hosted_machine *m = hosted_of_port(port);
	uint64_t bytes = (uint64_t)nr_pages * KMM_PAGE_SIZE;

	if (offset > m->descriptors_bytes || bytes > m->descriptors_bytes - offset)
		return -1;
	if (first.v == 0)
		return mmap(m->descriptors + offset, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			    0) == MAP_FAILED;
	return mmap(m->descriptors + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, m->fd,
		    (off_t)kmm_pfn_to_paddr(first).v) == MAP_FAILED;
}

static bool make_descriptors(struct hosted_machine *m)
{
	bool hotplug = false;

	for (unsigned i = 0; i < m->config.machine.nr_node_map; i++)
		hotplug |= m->config.machine.node_map[i].hotplug;
	if (!hotplug || m->config.machine.format <= KMM_I386_PAE)
		return true;
	m->descriptors_bytes = kmm_layout_memmap_bytes(m->config.machine.format, m->arena_bytes / KMM_PAGE_SIZE) +
			       (UINT64_C(1) << 20); /* the core rounds up to sections */
	m->descriptors_bytes &= ~(uint64_t)(KMM_PAGE_SIZE - 1);
	m->descriptors = reserve_addresses(m->descriptors_bytes);
	m->port.descriptors = m->descriptors;
	m->port.descriptors_changed = descriptors_changed;
	return m->descriptors != NULL;
}

bool hosted_arena_init(struct hosted_machine *m, uint64_t ram_end)
{
	return make_ram(m, ram_end) && make_window(m) && make_descriptors(m);
}

void hosted_arena_fini(struct hosted_machine *m)
{
	if (m->arena && m->arena != m->bus)
		munmap(m->arena, m->arena_bytes);
	if (m->bus)
		munmap(m->bus, m->arena_bytes);
	if (m->window)
		munmap(m->window, m->window_bytes);
	if (m->descriptors)
		munmap(m->descriptors, m->descriptors_bytes);
	if (m->fd >= 0)
		close(m->fd);
}

uint64_t hosted_arena_used(const struct hosted_machine *m)
{
	struct stat st;

	return fstat(m->fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

void *hosted_phys(struct hosted_machine *m, uint64_t pa)
{
	return pa < m->arena_bytes ? m->bus + pa : NULL;
}
