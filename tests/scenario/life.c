/* SPDX-License-Identifier: MIT */
#include "scenario/life.h"

#include <string.h>

#include "harness/test.h"
#include "kmm/cma.h"
#include "kmm/compact.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/percpu.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

#define PAGE ((uint64_t)KMM_PAGE_SIZE)
#define PROT_RW (KMM_PROT_READ | KMM_PROT_WRITE)

/* What one life holds; fini gives back whatever is there. */
struct life {
	struct ground *g;
	struct kmm *k;
	const char *wrong;
	struct kmm_cache *cache;
	void *object[3], *pages;
	void *area, *large, *view;
	struct kmm_percpu_handle percpu;
	struct kmm_page *page, *viewed[2], *run;
	struct kmm_mm *mm, *child;
	struct kmm_file file;
	bool has_file;
};

static bool check(struct life *l, bool good, const char *sentence)
{
	if (!good && !l->wrong)
		l->wrong = sentence;
	return good;
}

static bool kernel_objects(struct life *l)
{
	if (kmm_cache_create(l->k, "life", 200, 0, 0, NULL, &l->cache))
		return false;
	l->object[0] = kmm_cache_alloc(l->k, l->cache, KMM_GFP_KERNEL);
	l->object[1] = kmm_kzalloc(l->k, 1000, KMM_GFP_KERNEL);
	l->object[2] = kmm_kmalloc(l->k, 50000, KMM_GFP_KERNEL);
	l->pages = kmm_get_free_pages(l->k, KMM_GFP_KERNEL, 1);
	return l->object[0] && l->object[1] && l->object[2] && l->pages;
}

static bool kernel_views(struct life *l)
{
	char *view;

	l->area = kmm_vmalloc(l->k, 3 * PAGE, "life");
	l->large = kmm_vmalloc(l->k, 2 << 20, "life"); /* one block where the machine has large leaves */
	l->percpu = kmm_percpu_alloc(l->k, 100, 8);
	l->page = kmm_alloc_cleared_page(l->k, KMM_GFP_HIGHUSER);
	l->viewed[0] = kmm_alloc_pages(l->k, KMM_GFP_HIGHUSER, 0);
	l->viewed[1] = kmm_alloc_pages(l->k, KMM_GFP_KERNEL, 0);
	if (!l->area || !l->large || !l->percpu.v || !l->page || !l->viewed[0] || !l->viewed[1])
		return false;
	memset(l->area, 0x11, 3 * PAGE);
	l->view = kmm_vmap(l->k, l->viewed, 2, PROT_RW, "life");
	view = kmm_kmap(l->k, l->page);
	if (!view)
		return false;
	check(l, view[5] == 0, "a cleared page is not zero");
	view[5] = 7;
	kmm_kunmap(l->k, l->page);
	return l->view != NULL;
}

/* One byte at va, by the machine's MMU; false only for lack of memory. */
static bool poke(struct life *l, struct kmm_mm *mm, uint64_t va, uint8_t value)
{
	int signal = l->g->touch(l->g, mm, va, KMM_WRITE, &value);

	check(l, signal == 0 || signal == GROUND_NO_MEMORY, "a write to a writable mapping got a signal");
	return signal == 0;
}

static bool peek(struct life *l, struct kmm_mm *mm, uint64_t va, uint8_t want)
{
	uint8_t value = 0;
	int signal = l->g->touch(l->g, mm, va, KMM_READ, &value);

	check(l, signal == 0 || signal == GROUND_NO_MEMORY, "a read of a readable mapping got a signal");
	if (signal == 0)
		check(l, value == want, "content is lost or mixed up");
	return signal == 0;
}

static bool space(struct life *l)
{
	struct kmm_uva stack_top = kmm_uva((kmm_word)kmm_layout_of(l->k)->user_end);
	uint64_t top = stack_top.v;

	if (kmm_mm_create(l->k, &l->mm) || kmm_mm_map_stack(l->mm, stack_top, 2 * PAGE, false))
		return false;
	kmm_mm_set_brk(l->mm, kmm_uva(0x10000000));
	if (kmm_brk(l->mm, kmm_uva(0x10003000)).v != 0x10003000)
		return false;
	return poke(l, l->mm, top - 100, 1) && poke(l, l->mm, top - 5 * PAGE, 2) && poke(l, l->mm, 0x10001000, 3);
}

static bool mappings(struct life *l)
{
	struct kmm_uva at, moved;
	size_t done;

	kmm_file_init(&l->file, l->k, 0, "/life");
	l->has_file = true;
	if (kmm_file_write(&l->file, 0, "file content", 12, &done) || kmm_file_write(&l->file, 9 * PAGE, "end", 3, &done))
		return false;
	if (kmm_mmap(l->mm, kmm_uva(0x20000000), 16 * PAGE, PROT_RW, KMM_MAP_PRIVATE | KMM_MAP_FIXED | KMM_MAP_ANONYMOUS,
		     NULL, 0, &at) ||
	    kmm_mmap(l->mm, kmm_uva(0x30000000), 10 * PAGE, PROT_RW, KMM_MAP_PRIVATE | KMM_MAP_FIXED, &l->file.backing, 0,
		     &at) ||
	    kmm_mmap(l->mm, kmm_uva(0x31000000), 10 * PAGE, PROT_RW, KMM_MAP_SHARED | KMM_MAP_FIXED, &l->file.backing, 0,
		     &at) ||
	    kmm_mmap(l->mm, kmm_uva(0x32000000), 4 * PAGE, PROT_RW,
		     KMM_MAP_SHARED | KMM_MAP_FIXED | KMM_MAP_ANONYMOUS, NULL, 0, &at))
		return false;
	if (!peek(l, l->mm, 0x20005000, 0) || !poke(l, l->mm, 0x20005000, 5) || !peek(l, l->mm, 0x30000000, 'f') ||
	    !poke(l, l->mm, 0x30000000, 'F') || !poke(l, l->mm, 0x31000001, 'I') || !poke(l, l->mm, 0x32000000, 9))
		return false;
	if (kmm_mprotect(l->mm, kmm_uva(0x20004000), 4 * PAGE, KMM_PROT_READ) ||
	    kmm_munmap(l->mm, kmm_uva(0x20008000), 2 * PAGE) ||
	    kmm_mremap(l->mm, kmm_uva(0x32000000), 4 * PAGE, 8 * PAGE, KMM_MREMAP_MAYMOVE, kmm_uva(0), &moved) ||
	    kmm_madvise(l->mm, kmm_uva(0x2000a000), 2 * PAGE, 4))
		return false;
	return peek(l, l->mm, 0x20005000, 5) && peek(l, l->mm, 0x31000000, 'f') && peek(l, l->mm, 0x30000001, 'i');
}

static bool family(struct life *l)
{
	if (kmm_mm_fork(l->mm, &l->child))
		return false;
	return poke(l, l->child, 0x10001000, 44) && peek(l, l->mm, 0x10001000, 3) && poke(l, l->mm, 0x30000000, 'G') &&
	       peek(l, l->child, 0x30000000, 'F') && poke(l, l->child, 0x31000002, 'L') &&
	       peek(l, l->mm, 0x31000002, 'L');
}

/* The frame behind va gives its content to another one. false only for lack of memory. */
static bool move(struct life *l, struct kmm_mm *mm, uint64_t va)
{
	enum kmm_status status;
	struct kmm_walk walk;

	kmm_walk(l->k, kmm_mm_root(mm), (kmm_word)va, &walk);
	if (!check(l, walk.mapped, "a page that was touched is not mapped"))
		return false;
	status = kmm_migrate_page(l->k, kmm_paddr_to_pfn(walk.pa));
	check(l, status == KMM_OK || status == KMM_ENOMEM, "a page could not be moved");
	return status == KMM_OK;
}

static bool moves(struct life *l)
{
	return move(l, l->mm, 0x20005000) && move(l, l->child, 0x10001000) && move(l, l->mm, 0x31000000) &&
	       peek(l, l->child, 0x20005000, 5) && peek(l, l->child, 0x10001000, 44) && peek(l, l->child, 0x31000002, 'L') &&
	       poke(l, l->child, 0x31000002, 'l') && peek(l, l->mm, 0x31000002, 'l');
}

enum { RUN_PAGES = 40 };

/* The area is made by the first life, where there is room for one. */
static bool contiguous(struct life *l)
{
	static const struct kmm_cma_range range = { "life", 2 << 20, 0, 0 };
	enum kmm_status status;
	struct kmm_cma_info info;
	unsigned area;

	if (!kmm_cma_info(l->k, 0, &info) && kmm_cma_reserve(l->k, &range, &area) != KMM_OK)
		return true;
	status = kmm_cma_alloc(l->k, 0, RUN_PAGES, 3, &l->run);
	check(l, status == KMM_OK || status == KMM_ENOMEM, "movable pages were in the way of a contiguous run");
	return status == KMM_OK;
}

static void fini(struct life *l)
{
	if (l->run)
		check(l, kmm_cma_free(l->k, 0, l->run, RUN_PAGES) == KMM_OK, "a contiguous run could not be freed");
	if (l->child)
		l->g->put(l->g, l->child);
	if (l->mm)
		l->g->put(l->g, l->mm);
	if (l->has_file)
		kmm_backing_put(&l->file.backing);
	if (l->view)
		kmm_vunmap(l->k, l->view);
	kmm_vfree(l->k, l->area);
	kmm_vfree(l->k, l->large);
	kmm_percpu_free(l->k, l->percpu);
	for (unsigned i = 0; i < 2; i++)
		if (l->viewed[i])
			kmm_free_pages(l->k, l->viewed[i], 0);
	if (l->page)
		kmm_free_pages(l->k, l->page, 0);
	if (l->object[0])
		kmm_cache_free(l->k, l->cache, l->object[0]);
	if (l->pages)
		kmm_free_pages_at(l->k, l->pages, 1);
	kmm_kfree(l->k, l->object[1]);
	kmm_kfree(l->k, l->object[2]);
	if (l->cache && kmm_cache_destroy(l->k, l->cache))
		check(l, false, "an empty cache could not be destroyed");
}

/* Must the machine be audited in the middle of a life? In one that fails, only once things are not as in one that does not. */
static bool is_new(const struct kmm *k, bool fails, bool *failed_before)
{
	const char *site = NULL;
	bool before = *failed_before;

	kmm_fail_count(k, &site);
	*failed_before = site != NULL;
	return !fails || (site && !before);
}

static const char *run(struct ground *g, bool fails, const char **wrong)
{
	static const struct { const char *name; bool (*step)(struct life *l); } steps[] = {
		{ "kernel objects", kernel_objects }, { "kernel views", kernel_views }, { "a space", space },
		{ "mappings", mappings }, { "a family", family }, { "moves", moves },
		{ "a contiguous run", contiguous },
	};
	struct life l = { .g = g, .k = g->k };
	const char *failed = NULL;
	bool failed_before = false;

	for (unsigned i = 0; i < sizeof steps / sizeof steps[0] && !failed; i++) {
		if (!steps[i].step(&l))
			failed = steps[i].name;
		if (is_new(l.k, fails, &failed_before) && kmm_audit(l.k, NULL))
			check(&l, false, "the audit found a violation while the life was going on");
	}
	fini(&l);
	kmm_vmalloc_purge(l.k); /* so that the next life asks for frames again */
	*wrong = l.wrong;
	return failed;
}

const char *life_run(struct ground *g, const char **wrong)
{
	return run(g, false, wrong);
}

/* One life with its nth attempt to allocate failing. *site: the name of what failed, NULL when the life has fewer. */
static void fail_one(struct ground *g, uint64_t n, const char **site)
{
	const char *failed, *wrong;

	kmm_fail_nth(g->k, n);
	failed = run(g, true, &wrong);
	kmm_fail_count(g->k, site);
	kmm_fail_nth(g->k, 0);
	if (wrong)
		kmm_printf(g->log, "attempt %u (%s) in %s: %s\n", (unsigned)n, *site ? *site : "-", failed ? failed : "-", wrong);
	CHECK(!wrong);
	CHECK(*site || !failed);
	CHECK_EQ(kmm_audit(g->k, g->log), 0);
}

void life_fail_each(struct ground *g, void (*note)(const char *site))
{
	const char *site = "", *wrong = NULL;
	kmm_word free_pages;

	life_run(g, &wrong); /* warm: what is made once is made */
	CHECK_STR(wrong ? wrong : "", "");
	free_pages = ground_free_pages(g);
	for (uint64_t n = 1; site; n++) {
		CALL(fail_one(g, n, &site));
		if (site && note)
			note(site);
		CHECK(n < 5000);
	}
	CHECK_EQ(ground_free_pages(g), free_pages);
}
