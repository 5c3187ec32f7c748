/* SPDX-License-Identifier: MIT */
/*
 * Shared anonymous memory as a file without a name in any file system.
 */
#ifndef KMM_VM_SHM_H
#define KMM_VM_SHM_H

#include "kmm/backing.h"

struct kmm_shm {
	struct kmm_file file; /* first */
	kmm_word committed;   /* pages that it promised */
};

#endif
