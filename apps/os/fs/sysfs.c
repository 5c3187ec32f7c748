/* SPDX-License-Identifier: MIT */
/*
 * sysfs.c - /sys, as far as it says something about memory: that huge pages exist on such a processor, and that none are used,
 * as on Linux started with transparent_hugepage=never; that none are kept for MAP_HUGETLB, nor can be; and /sys/power.
 * Entries are those of procfs.c.
 */
#include "fs/procfs.h"

/* What an entry of the level above the last one maps. */
static unsigned huge_shift(void)
{
	return kmm_format_get(kmm_machine_of(os.k)->format)->level[1].shift;
}

static void text_hpage_pmd_size(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", 1u << huge_shift());
}

static void text_never(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "always madvise [never]\n");
}

static void text_shmem_never(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "always within_size advise [never] deny force\n");
}

static const struct proc_entry huge_entries[] = {
	{ .name = "enabled", .mode = S_IFREG | 0444, .text = text_never },
	{ .name = "shmem_enabled", .mode = S_IFREG | 0444, .text = text_shmem_never },
	{ .name = "hpage_pmd_size", .mode = S_IFREG | 0444, .text = text_hpage_pmd_size },
	{ .name = NULL },
};

static void text_none(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "0\n");
}

static const struct proc_entry reserve_entries[] = {
	{ .name = "nr_hugepages", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = "nr_hugepages_mempolicy", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = "nr_overcommit_hugepages", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = "free_hugepages", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = "resv_hugepages", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = "surplus_hugepages", .mode = S_IFREG | 0444, .text = text_none },
	{ .name = NULL },
};

static const struct proc_entry sizes_of_2m[] = {
	{ .name = "hugepages-2048kB", .mode = S_IFDIR | 0555, .children = reserve_entries },
	{ .name = NULL },
};

static const struct proc_entry sizes_of_4m[] = {
	{ .name = "hugepages-4096kB", .mode = S_IFDIR | 0555, .children = reserve_entries },
	{ .name = NULL },
};

static const struct proc_entry *huge_sizes(void)
{
	return huge_shift() == 21 ? sizes_of_2m : sizes_of_4m;
}

static const struct proc_entry mm_entries[] = {
	{ .name = "hugepages", .mode = S_IFDIR | 0555, .children_here = huge_sizes },
	{ .name = "transparent_hugepage", .mode = S_IFDIR | 0555, .children = huge_entries },
	{ .name = NULL },
};

static const struct proc_entry kernel_entries[] = {
	{ .name = "mm", .mode = S_IFDIR | 0555, .children = mm_entries },
	{ .name = NULL },
};

static const struct proc_entry sys_entries[] = {
	{ .name = "kernel", .mode = S_IFDIR | 0555, .children = kernel_entries },
	{ .name = "power", .mode = S_IFDIR | 0555, .children = sysfs_power_entries },
	{ .name = NULL },
};

const struct proc_entry sysfs_root = { .name = "sys", .mode = S_IFDIR | 0555, .children = sys_entries };
