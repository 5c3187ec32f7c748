/* SPDX-License-Identifier: MIT */
/*
 * The hosted port's hot hooks as inline functions, for a library built to run on it (KMM_PORT_INLINE).
 *
 * The state of the CPU that a thread plays is the thread's. There are no interrupts here, so holding them off is nothing;
 * the hooks behind the port's pointers keep a flag all the same (hooks.c), by which a core that goes to sleep with
 * interrupts off is found out: in builds that call them, such as the sanitized one.
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

/* The hooks themselves (hooks.c). */
unsigned long hosted_irq_save(struct kmm_port *port);

/* Tests put hooks of their own in place of these, or come with another port. */
static inline bool kmm_port_is_native(const struct kmm_port *port)
{
	return port->irq_save == hosted_irq_save;
}

static inline unsigned long kmm_port_irq_save(struct kmm_port *port)
{
	(void)port;
	return 0;
}

static inline void kmm_port_irq_restore(struct kmm_port *port, unsigned long flags)
{
	(void)port;
	(void)flags;
}

static inline unsigned kmm_port_cpu(struct kmm_port *port)
{
	(void)port;
	return hosted_this_cpu;
}

static inline char *kmm_port_direct_map(char *known)
{
	return known;
}

static inline void kmm_port_flush_page(struct kmm_port *port, kmm_word va)
{
	struct kmm_flush flush = { { 0 }, va, va + KMM_PAGE_SIZE, false };

	port->tlb_flush_local(port, &flush);
}

#endif
