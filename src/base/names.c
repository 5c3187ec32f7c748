/* SPDX-License-Identifier: MIT */
/*
 * Names of the enumerations that reports print.
 */
#include "base/context.h"

static const char *const event_names[KMM_NR_EVENTS] = {
	[KMM_EV_ALLOC] = "alloc", [KMM_EV_FREE] = "free", [KMM_EV_ALLOC_FAIL] = "alloc-fail",
	[KMM_EV_KMALLOC] = "kmalloc", [KMM_EV_KFREE] = "kfree",
	[KMM_EV_KMAP] = "kmap", [KMM_EV_KUNMAP] = "kunmap",
	[KMM_EV_VMALLOC] = "vmalloc", [KMM_EV_VFREE] = "vfree",
	[KMM_EV_PT_SET] = "pt-set", [KMM_EV_TLB_FLUSH] = "tlb-flush",
	[KMM_EV_MMAP] = "mmap", [KMM_EV_MUNMAP] = "munmap", [KMM_EV_MPROTECT] = "mprotect",
	[KMM_EV_BRK] = "brk", [KMM_EV_FAULT] = "fault", [KMM_EV_FAULT_DONE] = "fault-done",
	[KMM_EV_FORK] = "fork", [KMM_EV_EXIT] = "exit", [KMM_EV_COW] = "cow", [KMM_EV_WARN] = "warn",
};

static const char *const kind_names[KMM_NR_KINDS] = {
	[KMM_KIND_NONE] = "body", [KMM_KIND_FREE] = "free", [KMM_KIND_HOLE] = "hole",
	[KMM_KIND_RESERVED] = "reserved", [KMM_KIND_MEMMAP] = "memmap", [KMM_KIND_KERNEL] = "kernel",
	[KMM_KIND_SLAB] = "slab", [KMM_KIND_PGTABLE] = "page table", [KMM_KIND_VMALLOC] = "vmalloc",
	[KMM_KIND_ANON] = "anonymous", [KMM_KIND_FILE] = "file", [KMM_KIND_ZERO] = "zero page",
};

/* As Linux spells them in /proc/pagetypeinfo. */
static const char *const mobility_names[KMM_NR_MOBILITIES] = {
	[KMM_MOBILITY_UNMOVABLE] = "Unmovable", [KMM_MOBILITY_MOVABLE] = "Movable",
	[KMM_MOBILITY_RECLAIMABLE] = "Reclaimable", [KMM_MOBILITY_HIGHATOMIC] = "HighAtomic",
	[KMM_MOBILITY_CMA] = "CMA", [KMM_MOBILITY_ISOLATE] = "Isolate",
};

static const char *const region_names[KMM_NR_REGIONS] = {
	[KMM_REGION_USER] = "user", [KMM_REGION_NONCANONICAL] = "non-canonical",
	[KMM_REGION_DIRECT] = "direct map", [KMM_REGION_VMALLOC] = "vmalloc", [KMM_REGION_VMEMMAP] = "vmemmap",
	[KMM_REGION_KMAP] = "kmap", [KMM_REGION_LDT] = "ldt", [KMM_REGION_CPU_ENTRY] = "cpu entry",
	[KMM_REGION_FIXMAP] = "fixmap", [KMM_REGION_IMAGE] = "kernel image", [KMM_REGION_MODULES] = "modules",
	[KMM_REGION_GUARD] = "guard", [KMM_REGION_HOLE] = "hole",
};

const char *kmm_event_name(enum kmm_event id)
{
	return (unsigned)id < KMM_NR_EVENTS ? event_names[id] : "?";
}

const char *kmm_kind_name(enum kmm_kind kind)
{
	return (unsigned)kind < KMM_NR_KINDS ? kind_names[kind] : "?";
}

const char *kmm_mobility_name(enum kmm_mobility mobility)
{
	return (unsigned)mobility < KMM_NR_MOBILITIES ? mobility_names[mobility] : "?";
}

const char *kmm_region_name(enum kmm_region_id id)
{
	return (unsigned)id < KMM_NR_REGIONS ? region_names[id] : "?";
}
