/* SPDX-License-Identifier: MIT */
/*
 * The whole manager in one call: the only file that knows every tier. Start order is the layer order; each step
 * allocates from the one before it.
 */
#include "reclaim/compact.h"
#include "reclaim/reclaim.h"
#include "swap/swap.h"
#include "vm/vm.h"

enum kmm_status kmm_init_spaces(struct kmm *k)
{
	enum kmm_status status = kmm_compact_init(k);

	if (status)
		return status;
	status = kmm_pageq_init(k, &kmm_policy_idle);
	if (!status)
		status = kmm_swap_init(k);
	if (!status)
		status = kmm_vm_init(k);
	if (!status) {
		kmm_reclaim_init(k);
		return KMM_OK;
	}
	if (k->swap)
		kmm_swap_fini(k);
	if (k->pageq)
		kmm_pageq_fini(k);
	kmm_compact_fini(k);
	return status;
}

enum kmm_status kmm_init(void *state, const struct kmm_machine *machine, struct kmm_port *port, struct kmm **out,
			 const char **why)
{
	struct kmm *k;
	enum kmm_status status = kmm_init_frames(state, machine, port, &k, why);

	if (status)
		return status;
	status = kmm_init_kernel(k);
	if (!status)
		status = kmm_init_spaces(k);
	if (status) {
		if (why)
			*why = "not enough low memory for the kernel's own tables and caches";
		return status;
	}
	*out = k;
	return KMM_OK;
}
