/* SPDX-License-Identifier: MIT */
/*
 * The hosted port's hot hooks as inline functions, for a library built to run on it (KMM_PORT_INLINE).
 *
 * The state of the CPU that a thread plays is the thread's: its number and whether it holds off interrupts. There are no
 * interrupts here; the flag is kept so that the port can tell a core that sleeps while it holds them off.
 */
#ifndef KMM_HOSTED_INLINE_H
#define KMM_HOSTED_INLINE_H

#include "kmm/port.h"

/* This port is linked into programs, never into a shared object: no table need be asked where these lie. Where there is
 * but one thread (the kernels of tests define _Thread_local away) they are plain variables. */
#ifdef _Thread_local
#define HOSTED_TLS
#else
#define HOSTED_TLS __attribute__((tls_model("local-exec")))
#endif
extern _Thread_local unsigned hosted_this_cpu HOSTED_TLS;
extern _Thread_local unsigned long hosted_irq_off HOSTED_TLS;

/* The hooks themselves (hooks.c). */
unsigned long hosted_irq_save(struct kmm_port *port);

/* Tests put hooks of their own in place of these, or come with another port. */
static inline bool kmm_port_is_native(const struct kmm_port *port)
{
	return port->irq_save == hosted_irq_save;
}

static inline unsigned long kmm_port_irq_save(struct kmm_port *port)
{
	unsigned long before = hosted_irq_off;

	(void)port;
	hosted_irq_off = 1;
	return before;
}

static inline void kmm_port_irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	hosted_irq_off = flags;
}

static inline unsigned kmm_port_cpu(struct kmm_port *port)
{
	(void)port;
	return hosted_this_cpu;
}

#endif
