/* SPDX-License-Identifier: MIT */
/*
 * The bare x86 port's hot hooks as inline functions, for a library built into its kernel (KMM_PORT_INLINE): two
 * instructions instead of a call each.
 */
#ifndef KMM_X86_INLINE_H
#define KMM_X86_INLINE_H

#include "kmm/port.h"
#include "hot.h"

/* The kernel of tests simulates machines with ports of their own inside the machine that it runs on. Their RAM lies
 * anywhere but where this machine's does. */
static inline bool kmm_port_is_native(const struct kmm_port *port)
{
	return port->direct_map == (void *)x86_direct_base;
}

static inline unsigned long kmm_port_irq_save(struct kmm_port *port)
{
	(void)port;
	return x86_irq_save();
}

static inline void kmm_port_irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	x86_irq_restore((uint32_t)flags);
}

static inline unsigned kmm_port_cpu(struct kmm_port *port)
{
	(void)port;
	return x86_cpu_id();
}

static inline char *kmm_port_direct_map(char *known)
{
	(void)known;
	return (char *)x86_direct_base;
}

static inline void kmm_port_flush_page(struct kmm_port *port, kmm_word va)
{
	(void)port;
	x86_tlb_flush_page((x86_word)va);
}

#endif
