/* SPDX-License-Identifier: MIT */
/*
 * A machine of page frames alone, for the tests of src/phys: RAM is an anonymous mapping that costs only
 * what is touched, the port is the least that tier a asks for. Several may live side by side.
 * Included by tests beside the code only (it looks inside src/phys).
 */
#ifndef KMM_TESTS_HARNESS_FRAMES_H
#define KMM_TESTS_HARNESS_FRAMES_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/printf.h"
#include "harness/test.h"
#include "phys/phys.h"

#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

struct fixture {
	struct kmm_port port; /* first */
	struct kmm_machine machine;
	struct kmm *k;
	void *state;
	char *arena;
	uint64_t arena_size;
	char log[512]; /* the last line */
	unsigned log_lines;
	const char *why;
	jmp_buf *escape; /* where fatal() jumps; NULL: abort */
	const char *fatal;
};

/* The CPU that this thread plays. */
static _Thread_local unsigned fixture_cpu;

static inline unsigned long fixture_irq_save(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static inline void fixture_irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

static inline unsigned fixture_cpu_id(struct kmm_port *port)
{
	(void)port;
	return fixture_cpu;
}

static inline void fixture_fatal(struct kmm_port *port, const char *file, int line, const char *what)
{
	struct fixture *f = (struct fixture *)(void *)port;

	f->fatal = what;
	if (f->escape)
		longjmp(*f->escape, 1);
	fprintf(stderr, "%s:%d: fatal: %s\n", file, line, what);
	abort();
}

static inline void fixture_log(struct kmm_port *port, const char *text)
{
	struct fixture *f = (struct fixture *)(void *)port;

	snprintf(f->log, sizeof(f->log), "%s", text);
	f->log_lines++;
}

/* The arena covers physical addresses 0 .. size; f->machine is the caller's to fill before this. */
static inline enum kmm_status fixture_start(struct fixture *f, uint64_t size)
{
	f->port.irq_save = fixture_irq_save;
	f->port.irq_restore = fixture_irq_restore;
	f->port.cpu_id = fixture_cpu_id;
	f->port.fatal = fixture_fatal;
	f->port.log = fixture_log;
	f->arena_size = size;
	/* Inside a 32-bit kernel: more than all addresses is refused, and not cut down to its lower bits. */
	f->arena = mmap(NULL, size > SIZE_MAX ? SIZE_MAX : (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->arena == MAP_FAILED)
		return KMM_ENOMEM;
	f->port.direct_map = f->arena;
	f->state = aligned_alloc(64, kmm_state_size());
	return kmm_init_frames(f->state, &f->machine, &f->port, &f->k, &f->why);
}

static inline void fixture_end(struct fixture *f)
{
	if (f->arena && f->arena != MAP_FAILED)
		munmap(f->arena, f->arena_size);
	free(f->state);
	f->arena = NULL;
	f->state = NULL;
}

/* The memory map of a PC as QEMU's firmware reports it: a hole below 1 MiB, and what does not fit below the
 * PCI hole (low bytes) stands above 4 GiB. */
static inline unsigned fixture_pc_map(struct kmm_memrange map[8], uint64_t ram, uint64_t low)
{
	unsigned nr = 0;
	uint64_t below = ram < low ? ram : low;

	map[nr++] = (struct kmm_memrange){ 0, 0x9fc00, KMM_MEM_RAM, NULL };
	map[nr++] = (struct kmm_memrange){ 0x9fc00, 0x400, KMM_MEM_RESERVED, NULL };
	map[nr++] = (struct kmm_memrange){ 0xf0000, 0x10000, KMM_MEM_RESERVED, NULL };
	map[nr++] = (struct kmm_memrange){ MIB, below - MIB - 0x20000, KMM_MEM_RAM, NULL };
	map[nr++] = (struct kmm_memrange){ below - 0x20000, 0x20000, KMM_MEM_RESERVED, NULL };
	if (ram > below)
		map[nr++] = (struct kmm_memrange){ 4 * GIB, ram - below, KMM_MEM_RAM, NULL };
	return nr;
}

/* A PC with this much RAM. */
static inline enum kmm_status fixture_pc(struct fixture *f, enum kmm_format_id format, uint64_t ram)
{
	struct kmm_memrange map[8];
	uint64_t low = 3 * GIB;

	f->machine.format = format;
	f->machine.map = map;
	f->machine.nr_map = fixture_pc_map(map, ram, low);
	return fixture_start(f, ram > low ? 4 * GIB + ram - low : ram);
}

struct fixture_text {
	struct kmm_buffer_sink sink;
	char text[8192];
};

static inline struct kmm_sink *fixture_text(struct fixture_text *t)
{
	kmm_buffer_sink_init(&t->sink, t->text, sizeof(t->text));
	return &t->sink.sink;
}

/* Violations; prints them. */
static inline unsigned fixture_audit(struct fixture *f)
{
	struct fixture_text t;
	unsigned nr = kmm_phys_audit(f->k, fixture_text(&t));

	if (nr)
		fputs(t.text, stderr);
	return nr;
}

/* Frames that nobody uses, CPU caches counted in. */
static inline uint64_t fixture_unused(struct fixture *f)
{
	uint64_t nr = 0;

	for (unsigned i = 0; i < f->k->phys->nr_zones; i++)
		nr += kmm_zone_kind_count(f->k->phys->zones[i], KMM_KIND_FREE);
	return nr;
}

#endif
