/* SPDX-License-Identifier: MIT */
/*
 * The node of the page index; its functions are in backing.h.
 */
#ifndef KMM_VM_RADIX_H
#define KMM_VM_RADIX_H

#include <stdint.h>

enum { KMM_RADIX_BITS = 6, KMM_RADIX_SLOTS = 1 << KMM_RADIX_BITS };

/* A slot is 0, at level 0 a frame number twice and 1 or the even name of a slot of swap (swap/swap.h), above that a pointer to a
 * node one level lower. */
struct kmm_radix_node {
	uint32_t level;
	uint32_t nr; /* slots in use */
	uintptr_t slot[KMM_RADIX_SLOTS];
};

#endif
