/* SPDX-License-Identifier: MIT */
/*
 * The layer that looks at all others and changes none: audit, explain, and the reports that need figures of
 * more than one layer. Everything public is in kmm/observe.h.
 */
#ifndef KMM_OBSERVE_OBSERVE_H
#define KMM_OBSERVE_OBSERVE_H

#include "base/debug.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

/* The entries of a walk, a line each. */
void kmm_walk_print(const struct kmm_walk *walk, struct kmm_sink *out);

#endif
