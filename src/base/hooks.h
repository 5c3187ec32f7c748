/* SPDX-License-Identifier: MIT */
/*
 * The hooks of the port that lie on the hot paths: interrupts off, interrupts as before, which CPU, one page's translation.
 *
 * By default they are calls through the port's pointers. A build for one ground names a header in KMM_PORT_INLINE
 * (-DKMM_PORT_INLINE='"x86/inline.h"') that defines the six functions below itself, so that they cost what they do
 * and no call. The port's pointers must be filled in all the same; docs/porting.md has the rules.
 *
 * kmm_port_is_native() is asked once per machine: false makes that machine's hooks calls after all. It is for programs
 * that hold machines on several ports. base/context.h has the functions that heed the answer: use those.
 */
#ifndef KMM_BASE_HOOKS_H
#define KMM_BASE_HOOKS_H

#include "kmm/port.h"

#ifdef KMM_PORT_INLINE
#include KMM_PORT_INLINE
#define KMM_PORT_IS_INLINE 1
#else
#define KMM_PORT_IS_INLINE 0
static inline bool kmm_port_is_native(const struct kmm_port *port)
{
	(void)port;
	return true;
}

static inline unsigned long kmm_port_irq_save(struct kmm_port *port)
{
	return port->irq_save(port);
}

static inline void kmm_port_irq_restore(struct kmm_port *port, unsigned long flags)
{
	port->irq_restore(port, flags);
}

static inline unsigned kmm_port_cpu(struct kmm_port *port)
{
	return port->cpu_id(port);
}

/* port->direct_map. `known` is the same, looked up; a ground where it never changes returns a constant. */
static inline char *kmm_port_direct_map(char *known)
{
	return known;
}

/* Drops this CPU's translation of one page of the kernel half. */
static inline void kmm_port_flush_page(struct kmm_port *port, kmm_word va)
{
	struct kmm_flush flush = { { 0 }, va, va + KMM_PAGE_SIZE, false };

	port->tlb_flush_local(port, &flush);
}
#endif

#endif
