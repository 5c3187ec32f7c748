/* SPDX-License-Identifier: MIT */
/*
 * struct kmm as every layer sees it: the machine, the port, and one opaque state per layer. A layer
 * reaches only its own state and those to its left; forward declarations keep includes leftward.
 *
 * Memory: struct kmm and struct kmm_phys live in the caller's block (kmm_state_size()); the states of
 * the other layers are frames of the machine, allocated when their tier starts.
 */
#ifndef KMM_BASE_CONTEXT_H
#define KMM_BASE_CONTEXT_H

#include "base/hooks.h"
#include "kmm/layout.h"
#include "kmm/machine.h"
#include "kmm/observe.h"
#include "kmm/pagetable.h"
#include "kmm/port.h"

struct kmm_phys;
struct kmm_pt;
struct kmm_slab;
struct kmm_front;
struct kmm_kva_state;
struct kmm_vm;
struct kmm_page_debug;
struct kmm_compact;
struct kmm_swap;
struct kmm_pageq;
struct kmm_groups;

struct kmm_faults {          /* fault injection; not locked: tests run one thread while it is armed */
	uint64_t nth;        /* fail when count reaches it; 0: off */
	uint64_t count;      /* attempts since it was set */
	bool armed;          /* set, and perhaps gone off: attempts are counted */
	const char *site;    /* the one that was failed, constant text */
};

/* Where a CPU walks without locks (pt/walking.h). One cache line each. */
struct kmm_walker {
	const void *space; /* NULL: nowhere */
	char alone[64 - sizeof(void *)];
};

#define KMM_STRAIGHT_SIZES 1025u /* kmalloc serves 0 .. 1024 bytes by one look into a table */

struct kmm {
	struct kmm_machine machine; /* map and reserve pointers are cleared after init */
	struct kmm_layout layout;
	const struct kmm_format *fmt;
	struct kmm_port *port;
	bool native;                /* i: the port is the one that base/hooks.h was built for */
	/* Native, no trace, no failure to inject, no page debugging: nothing keeps a call from its fast path. The others say the same to
	 * those who compare anyway: end of low memory, of frames, and of the sizes that kmalloc looks up; 0 when not. */
	bool straight;
	uint32_t straight_size;
	uintptr_t straight_end;
	kmm_word straight_frames;
	kmm_word nr_frames;         /* i: frame numbers that there may ever be; 0 before tier a */
	char *direct_map;           /* port->direct_map, hot copy */
	char *memmap;               /* descriptor 0, and bytes from one to the next: hot copies; NULL before tier b */
	size_t page_bytes;
	struct kmm_front *front[KMM_MAX_CPUS]; /* where kmalloc looks sizes up */
	struct kmm_phys *phys;      /* tier a */
	struct kmm_pt *pt;          /* tier b: NULL before kmm_init_kernel() */
	struct kmm_slab *slab;
	struct kmm_kva_state *kva;
	struct kmm_vm *vm;          /* tier c: NULL before kmm_init_spaces() */
	struct kmm_compact *compact; /* tier c, as the next two */
	struct kmm_swap *swap;
	struct kmm_pageq *pageq;
	struct kmm_groups *groups;  /* NULL: there never was one */
	struct kmm_page_debug *page_debug; /* page owner and poison; NULL: off, as it mostly is */
	void (*trace)(void *arg, const struct kmm_trace_event *event);
	void *trace_arg;
	struct kmm_faults faults;
	kmm_word events[KMM_NR_EVENTS]; /* how often each event happened; wraps; two CPUs at once may lose a count.
	                               ALLOC and FREE leave out what kmm_phys_allocations() and _frees() count in */
	struct kmm_walker walker[KMM_MAX_CPUS]; /* each CPU its own; read by all */
	uint32_t locks_held[KMM_MAX_CPUS]; /* bit per lock class, if KMM_LOCK_ORDER */
};

/* The one format of a pinned build, or this machine's. */
#ifdef KMM_PIN_FORMAT
static inline const struct kmm_format *kmm_fmt(const struct kmm *k) { (void)k; return &KMM_PIN_FORMAT; }
#else
static inline const struct kmm_format *kmm_fmt(const struct kmm *k) { return k->fmt; }
#endif

/* Interrupts off on this CPU, and as they were before. Nests. */
static inline unsigned long kmm_irq_save(const struct kmm *k)
{
	return k->native ? kmm_port_irq_save(k->port) : k->port->irq_save(k->port);
}

static inline void kmm_irq_restore(const struct kmm *k, unsigned long flags)
{
	if (k->native)
		kmm_port_irq_restore(k->port, flags);
	else
		k->port->irq_restore(k->port, flags);
}

/* The running CPU; a machine of one need not ask the port. */
static inline unsigned kmm_cpu(const struct kmm *k)
{
	if (k->machine.nr_cpus == 1)
		return 0;
	return k->native ? kmm_port_cpu(k->port) : k->port->cpu_id(k->port);
}

/* To be called when one of the things that `straight` sums up has changed. */
static inline void kmm_set_straight(struct kmm *k)
{
	k->straight = k->native && !k->trace && !k->faults.armed && !k->page_debug;
	k->straight_size = k->straight ? KMM_STRAIGHT_SIZES : 0;
	k->straight_end = k->straight ? (uintptr_t)k->layout.lowmem_end : 0;
	k->straight_frames = k->straight ? k->nr_frames : 0;
}

static inline void kmm_hooks_init(struct kmm *k)
{
	k->native = kmm_port_is_native(k->port);
	kmm_set_straight(k);
}

/* Low memory as C sees it. The caller knows that pa is low (or that the port shows all frames). */
static inline void *kmm_lowmem_ptr(const struct kmm *k, struct kmm_paddr pa)
{
	return k->direct_map + (uintptr_t)pa.v;
}

static inline struct kmm_paddr kmm_lowmem_pa(const struct kmm *k, const void *ptr)
{
	return kmm_paddr((uint64_t)((const char *)ptr - k->direct_map));
}

#endif
