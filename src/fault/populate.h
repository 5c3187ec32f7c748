/* SPDX-License-Identifier: MIT */
/*
 * Making ranges resident, for the calls of this folder.
 */
#ifndef KMM_FAULT_POPULATE_H
#define KMM_FAULT_POPULATE_H

#include "fault/fault.h"

enum kmm_populate_how {
	KMM_POPULATE_ALL,      /* every area; one that fails is left */
	KMM_POPULATE_LOCKED,   /* those that are locked alone */
	KMM_POPULATE_STRICTLY  /* every area; ends at the first failure */
};
/* What is lacking in the areas of the range, but for those that are locked on fault. Returns the last failure. No locks. */
enum kmm_fault_kind kmm_populate(struct kmm_mm *mm, const struct kmm_populate *range, enum kmm_populate_how how);

#endif
