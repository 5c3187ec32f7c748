/* SPDX-License-Identifier: MIT */
/*
 * Start of tier b: page tables, slab, and the windows, in that order.
 */
#include "kva/kva.h"

enum kmm_status kmm_kva_init(struct kmm *k)
{
	enum kmm_status status;

	KMM_ASSERT(k, k->phys && k->pt && k->slab && !k->kva);
	k->kva = kmm_phys_alloc_state(k, sizeof(*k->kva), "kva state");
	if (!k->kva)
		return KMM_ENOMEM;
	status = kmm_local_init(k);
	if (!status)
		status = kmm_kmap_init(k);
	if (!status)
		status = kmm_vmalloc_init(k);
	if (!status)
		kmm_percpu_init(k);
	else
		k->kva = NULL;
	return status;
}

enum kmm_status kmm_init_kernel(struct kmm *k)
{
	enum kmm_status status = kmm_pt_init(k);

	if (!status)
		status = kmm_slab_init(k);
	if (!status)
		status = kmm_kva_init(k);
	return status;
}
