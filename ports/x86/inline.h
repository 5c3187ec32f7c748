/* SPDX-License-Identifier: MIT */
/*
 * The bare x86 port's hot hooks as inline functions, for a library built into its kernel (KMM_PORT_INLINE). Such a
 * kernel has no other port, so nothing is asked: two instructions instead of a call each.
 */
#ifndef KMM_X86_INLINE_H
#define KMM_X86_INLINE_H

#include "kmm/port.h"
#include "x86.h"

static inline bool kmm_port_is_native(const struct kmm_port *port)
{
	(void)port;
	return true;
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

static inline void kmm_port_flush_page(struct kmm_port *port, kmm_word va)
{
	(void)port;
	x86_tlb_flush_page((uint32_t)va);
}

#endif
