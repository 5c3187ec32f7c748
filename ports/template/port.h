/* SPDX-License-Identifier: MIT */
/*
 * The start of a new port: copy this folder, replace what says "replace". As it stands it serves one CPU that
 * is never interrupted, with all RAM visible at one place and no hardware MMU: enough for a simulator, and for
 * examples/spaces.c.
 *
 * include/kmm/port.h is the contract; docs/porting.md says in which order to do things.
 */
#ifndef KMM_TEMPLATE_PORT_H
#define KMM_TEMPLATE_PORT_H

#include "kmm/port.h"

struct template_port {
	struct kmm_port port;       /* first: the hooks get a pointer to it */
	void (*print)(const char *line); /* where log lines and fatal errors go; may be NULL */
	void (*stop)(void);         /* must not return */
	uint64_t flushes;           /* TLB flushes asked for */
	uint64_t active_root;       /* page tables that the CPU runs on */
	uint64_t clock_ns, random_state;
};

/* direct_map: where physical address 0 is visible to C code. */
void template_port_init(struct template_port *t, void *direct_map, void (*print)(const char *line),
			void (*stop)(void));

#endif
