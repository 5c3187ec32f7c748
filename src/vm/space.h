/* SPDX-License-Identifier: MIT */
/*
 * Making and emptying spaces, for mm.c and fork.c.
 */
#ifndef KMM_VM_SPACE_H
#define KMM_VM_SPACE_H

#include "vm/mm.h"

/* An empty space with these limits, in the list, one reference. NULL: no memory. */
struct kmm_mm *kmm_mm_new(struct kmm *k, const struct kmm_mm_limits *limits);
/* End of the user half as far as page tables go: whole root entries. */
kmm_word kmm_mm_table_end(const struct kmm *k);

#endif
