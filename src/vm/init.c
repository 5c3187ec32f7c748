/* SPDX-License-Identifier: MIT */
/*
 * Starting tier c: caches, and the zero page that all untouched anonymous memory reads from.
 */
#include "kmm/compact.h"
#include "phys/isolate.h"
#include "vm/backing.h"
#include "vm/migrate.h"
#include "vm/mm.h"
#include "vm/radix.h"

static enum kmm_status make_caches(struct kmm *k, struct kmm_vm *vm)
{
	const struct {
		const char *name;
		size_t size, align;
		struct kmm_cache **cache;
	} wanted[] = {
		{ "mm_struct", sizeof(struct kmm_mm), 0, &vm->mm_cache },
		{ "vm_area", sizeof(struct kmm_vma), 0, &vm->vma_cache },
		{ "vm_area_node", sizeof(struct kmm_tree_node), KMM_TREE_ALIGN, &vm->node_cache },
		{ "anon_family", sizeof(struct kmm_anon), 0, &vm->anon_cache },
		{ "file_mapping", sizeof(struct kmm_mapping), 0, &vm->mapping_cache },
		{ "page_index_node", sizeof(struct kmm_radix_node), 0, &vm->radix_cache },
		{ "shared_anon", sizeof(struct kmm_file), 0, &vm->shm_cache },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		enum kmm_status status = kmm_cache_create(k, wanted[i].name, wanted[i].size, wanted[i].align, 0, NULL,
							  wanted[i].cache);

		if (status)
			return status;
	}
	return KMM_OK;
}

/* Best effort on the way out of a failed start: the caches hold nothing yet. */
static void drop_caches(struct kmm *k, struct kmm_vm *vm)
{
	struct kmm_cache *const made[] = { vm->mm_cache, vm->vma_cache, vm->node_cache, vm->anon_cache,
					   vm->mapping_cache, vm->radix_cache, vm->shm_cache };

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (made[i] && kmm_cache_destroy(k, made[i]) != KMM_OK)
			kmm_warn(k, "a cache of user spaces could not be destroyed");
}

static enum kmm_status empty_range(struct kmm *k, struct kmm_pfn first, kmm_word nr)
{
	return kmm_migrate_range(k, first, nr, NULL);
}

enum kmm_status kmm_vm_init(struct kmm *k)
{
	struct kmm_vm *vm = kmm_kzalloc(k, sizeof(*vm), KMM_GFP_KERNEL);

	if (!vm)
		return KMM_ENOMEM;
	kmm_list_init(&vm->mms);
	vm->random = k->machine.seed;
	kmm_list_init(&vm->dirty_files);
	kmm_list_init(&vm->swapped_files);
	vm->overcommit_ratio = 50;
	vm->admin_reserve = vm->user_reserve = KMM_RESERVE_UNSET;
	vm->dirty_ratio = 20;
	vm->dirty_background_ratio = 10;
	vm->dirty_expire_ns = 30000000000u;
	vm->next_ino = 1024; /* as Linux's own mount of shmem counts */
	vm->zero_page = kmm_phys_alloc(k, KMM_GFP_KERNEL | KMM_GFP_ZERO, 0, KMM_KIND_ZERO, "zero page");
	vm->move_room = kmm_kmalloc(k, kmm_move_room_size(), KMM_GFP_KERNEL);
	if (!vm->zero_page || !vm->move_room || make_caches(k, vm) != KMM_OK) {
		drop_caches(k, vm);
		if (vm->move_room)
			kmm_kfree(k, vm->move_room);
		if (vm->zero_page)
			kmm_phys_free(k, vm->zero_page, 0);
		kmm_kfree(k, vm);
		return KMM_ENOMEM;
	}
	k->vm = vm;
	kmm_migrate_register(k, empty_range);
	return KMM_OK;
}
