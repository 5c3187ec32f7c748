/* SPDX-License-Identifier: MIT */
/*
 * /proc/meminfo: figures that only the sum of the layers has.
 *
 * Every line is a count that the core keeps or a true zero. SwapCached are the pages on their way: being written to a device that
 * tells of the end, read ahead, or the only copies of what could not be written; at rest a page is in memory or in swap. There are
 * no lists of pages, so Active and Inactive cannot be told apart: all anonymous pages and shared memory stand as inactive, and
 * file pages, of which those that were written have no other store than the cache, as unevictable, as Linux shows ramfs. Lines about things the core does not have or cannot see (KernelStack belongs to the
 * embedder, Percpu, huge pages) are left out.
 */
#include "observe/totals.h"

#include "base/shared.h"
#include "kmm/kmm.h"
#include "kmm/node.h"
#include "phys/alloc.h"
#include "pt/pt.h"
#include "vm/mm.h"
#include "vm/vm.h"

static void add_zone(struct kmm_totals *t, enum kmm_zone_id id, const struct kmm_zone_info *zone)
{
	kmm_word reserve = 0;

	t->managed += zone->managed;
	t->free += zone->free;
	t->cma += zone->cma;
	t->free_cma += zone->free_cma;
	if (id == KMM_ZONE_HIGHMEM) {
		t->high_managed += zone->managed;
		t->high_free += zone->free;
	}
	for (unsigned i = 0; i < KMM_NR_ZONES; i++)
		reserve = zone->protection[i] > reserve ? zone->protection[i] : reserve;
	reserve += zone->high;
	t->low_reserve += reserve < zone->managed ? reserve : zone->managed;
	t->low_watermarks += zone->low;
	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		t->kinds[i] += zone->kinds[i];
}

static void count_file_page(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct kmm_totals *t = arg;

	(void)pfn;
	if (kmm_page_kind(page) != KMM_KIND_FILE)
		return;
	if (atomic_load_explicit(&page->count, memory_order_relaxed))
		t->file_mapped += nr;
	if (__atomic_load_n(&page->flags, __ATOMIC_RELAXED) & KMM_PG_SHMEM)
		t->shmem += nr;
}

void kmm_totals(struct kmm *k, struct kmm_totals *t)
{
	struct kmm_zone_info zone;

	*t = (struct kmm_totals){ 0 };
	for (unsigned i = 0; i < kmm_nr_nodes(k) * KMM_NR_ZONES; i++)
		if (kmm_node_zone_info(k, i / KMM_NR_ZONES, (enum kmm_zone_id)(i % KMM_NR_ZONES), &zone))
			add_zone(t, (enum kmm_zone_id)(i % KMM_NR_ZONES), &zone);
	if (t->kinds[KMM_KIND_FILE])
		kmm_phys_for_each(k, count_file_page, t);
	if (k->vm)
		t->committed = kmm_vm_committed(k);
	kmm_swap_stats(k, &t->swap);
	kmm_zswap_stats(k, &t->zswap);
	kmm_reclaim_stats(k, &t->reclaim);
	kmm_writeback_stats(k, &t->files);
	t->vmalloc_used = t->kinds[KMM_KIND_VMALLOC];
}

/* Linux's estimate: free memory above the reserves; nothing can be reclaimed yet. */
static kmm_word available(const struct kmm_totals *t)
{
	return t->free > t->low_reserve ? t->free - t->low_reserve : 0;
}

static void line(struct kmm_sink *out, const char *name, kmm_word pages)
{
	kmm_printf(out, "%-16s%8llu kB\n", name, (unsigned long long)pages << (KMM_PAGE_SHIFT - 10));
}

static void memory_lines(const struct kmm_totals *t, struct kmm_sink *out)
{
	line(out, "MemTotal:", t->managed);
	line(out, "MemFree:", t->free);
	line(out, "MemAvailable:", available(t));
	line(out, "Buffers:", 0);
	line(out, "Cached:", t->kinds[KMM_KIND_FILE]);
	line(out, "SwapCached:", t->swap.cached + t->swap.writing);
	line(out, "Active:", 0);
	line(out, "Inactive:", t->kinds[KMM_KIND_ANON] + t->shmem);
	line(out, "Active(anon):", 0);
	line(out, "Inactive(anon):", t->kinds[KMM_KIND_ANON] + t->shmem);
	line(out, "Active(file):", 0);
	line(out, "Inactive(file):", 0);
	line(out, "Unevictable:", t->kinds[KMM_KIND_FILE] - t->shmem);
	line(out, "Mlocked:", 0);
}

static void high_lines(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	if (!k->layout.kmap_slots)
		return;
	line(out, "HighTotal:", t->high_managed);
	line(out, "HighFree:", t->high_free);
	line(out, "LowTotal:", t->managed - t->high_managed);
	line(out, "LowFree:", t->free - t->high_free);
}

static void use_lines(const struct kmm_totals *t, struct kmm_sink *out)
{
	line(out, "SwapTotal:", t->swap.total);
	line(out, "SwapFree:", t->swap.free);
	line(out, "Zswap:", t->zswap.frames);
	line(out, "Zswapped:", t->zswap.pages);
	line(out, "Dirty:", t->files.dirty);
	line(out, "Writeback:", t->files.writing);
	line(out, "AnonPages:", t->kinds[KMM_KIND_ANON]);
	line(out, "Mapped:", t->file_mapped);
	line(out, "Shmem:", t->shmem);
	line(out, "KReclaimable:", 0);
	line(out, "Slab:", t->kinds[KMM_KIND_SLAB]);
	line(out, "SReclaimable:", 0);
	line(out, "SUnreclaim:", t->kinds[KMM_KIND_SLAB]);
	line(out, "PageTables:", t->kinds[KMM_KIND_PGTABLE]);
	line(out, "SecPageTables:", 0);
	line(out, "NFS_Unstable:", 0);
	line(out, "Bounce:", 0);
	line(out, "WritebackTmp:", 0);
}

static void limit_lines(const struct kmm *k, const struct kmm_totals *t, struct kmm_sink *out)
{
	uint64_t vmalloc = k->layout.vmalloc_end - k->layout.vmalloc_start;

	line(out, "CommitLimit:", k->vm ? kmm_vm_commit_limit((struct kmm *)k) : t->managed / 2);
	line(out, "Committed_AS:", t->committed);
	line(out, "VmallocTotal:", (kmm_word)(vmalloc >> KMM_PAGE_SHIFT));
	line(out, "VmallocUsed:", t->vmalloc_used);
	line(out, "VmallocChunk:", 0);
	line(out, "CmaTotal:", t->cma);
	line(out, "CmaFree:", t->free_cma);
}

void kmm_report_meminfo(struct kmm *k, struct kmm_sink *out)
{
	struct kmm_totals t;

	kmm_totals(k, &t);
	memory_lines(&t, out);
	high_lines(k, &t, out);
	use_lines(&t, out);
	limit_lines(k, &t, out);
}
