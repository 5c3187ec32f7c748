/* SPDX-License-Identifier: MIT */
#include "scenario/ground.h"

#include "kva/kva.h"
#include "phys/phys.h"
#include "pt/pt.h"
#include "slab/slab.h"

kmm_word ground_free_pages(struct ground *g)
{
	kmm_percpu_shrink(g->k);
	kmm_vmalloc_purge(g->k);
	kmm_slab_shrink_all(g->k);
	kmm_phys_drain(g->k);
	return kmm_phys_free_pages(g->k) + kmm_pt_kernel_tables(g->k);
}
