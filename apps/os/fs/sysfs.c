/* SPDX-License-Identifier: MIT */
/*
 * sysfs.c - /sys, as far as it says something about memory: that huge pages exist on such a processor, and that none are used,
 * as on Linux started with transparent_hugepage=never; and /sys/power. Entries are those of procfs.c.
 */
#include "fs/procfs.h"

/* What an entry of the level above the last one maps. */
static void text_hpage_pmd_size(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", 1u << kmm_format_get(kmm_machine_of(os.k)->format)->level[1].shift);
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

static const struct proc_entry mm_entries[] = {
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

static const struct proc_entry small_entries[] = {
	{ .name = "power", .mode = S_IFDIR | 0555, .children = sysfs_power_entries }, { .name = NULL },
};

const struct proc_entry sysfs_root_small = { .name = "sys", .mode = S_IFDIR | 0555, .children = small_entries };
const struct proc_entry sysfs_root = { .name = "sys", .mode = S_IFDIR | 0555, .children = sys_entries };
