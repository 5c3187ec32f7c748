/* SPDX-License-Identifier: MIT */
/*
 * kmap_local: nesting, order, depth, what the CPU sees, device frames; and whole-frame work through views.
 */
#include "harness/window.h"

#include <setjmp.h>
#include <signal.h>

static const struct hosted_config pae = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1200ull << 20 };
static const struct hosted_config pae_strict = { .machine = { .format = KMM_I386_PAE }, .ram_bytes = 1200ull << 20,
						 .strict = true };
static const struct hosted_config i386_strict = { .machine = { .format = KMM_I386 }, .ram_bytes = 1200ull << 20,
						  .strict = true };
static const struct hosted_config wide = { .machine = { .format = KMM_X86_64 }, .ram_bytes = 64ull << 20 };
static const struct hosted_config *const narrow[] = { &pae, &pae_strict, &i386_strict };

enum { DEPTH = 16 };

KMM_TEST(kmap_local_nests_to_its_slots)
{
	struct kmm_page *page[DEPTH];
	unsigned char *view[DEPTH];
	unsigned i, j;

	for (i = 0; i < 3; i++) {
		struct tier_b t;

		CALL(tier_b_start(&t, narrow[i]));
		for (j = 0; j < DEPTH; j++) {
			page[j] = high_page(&t);
			CHECK(page[j]);
			view[j] = kmm_kmap_local(t.k, page[j]);
			view[j][j] = (unsigned char)(100 + j);
			CHECK_EQ(info(&t).local_depth, j + 1);
		}
		CALL(tier_b_audit(&t));
		for (j = DEPTH; j-- > 0;) {
			CHECK_EQ(bus(&t, page[j])[j], 100 + j);
			kmm_kunmap_local(t.k, view[j] + 123); /* anywhere in the page */
		}
		CHECK_EQ(info(&t).local_depth, 0);
		CHECK_EQ(info(&t).local_max, DEPTH);
		CHECK_EQ(info(&t).locals, DEPTH);
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

struct misuse {
	struct tier_b t;
	bool low_too; /* mix in a linear view */
};

static void undo_in_wrong_order(void *arg)
{
	struct misuse *x = arg;
	void *a = kmm_kmap_local(x->t.k, high_page(&x->t)), *b = kmm_kmap_local(x->t.k, high_page(&x->t));

	kmm_kunmap_local(x->t.k, a);
	kmm_kunmap_local(x->t.k, b);
}

static void nest_too_deeply(void *arg)
{
	struct misuse *x = arg;
	unsigned i;

	for (i = 0; i <= DEPTH; i++)
		kmm_kmap_local(x->t.k, high_page(&x->t));
}

static void undo_too_often(void *arg)
{
	struct misuse *x = arg;
	void *a = kmm_kmap_local(x->t.k, high_page(&x->t));

	kmm_kunmap_local(x->t.k, a);
	kmm_kunmap_local(x->t.k, a);
}

KMM_TEST(kmap_local_misuse_is_fatal)
{
	static void (*const wrong[])(void *) = { undo_in_wrong_order, nest_too_deeply, undo_too_often };
	static const char *const said[] = { "is not the newest view", "nested too deeply", "is not the newest view" };
	struct misuse x;
	unsigned i, j;

	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			CALL(tier_b_start(&x.t, narrow[i]));
			CALL(tier_b_refuses(&x.t, wrong[j], &x, NULL));
			CHECK_EQ(tier_b_logged(&x.t, said[j]), 1);
			tier_b_stop(&x.t);
		}
	}
}

/* Low frames take no slot, so they may come and go in any order between high ones. */
KMM_TEST(kmap_local_of_low_frames_is_linear)
{
	static const struct hosted_config *const configs[] = { &pae, &pae_strict, &wide };
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct kmm_page *low, *other;
		void *a, *b;
		struct tier_b t;

		CALL(tier_b_start(&t, configs[i]));
		low = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
		other = kmm_alloc_pages(t.k, KMM_GFP_HIGHUSER, 0);
		a = kmm_kmap_local(t.k, low);
		CHECK_PTR(a, kmm_page_address(t.k, low));
		b = kmm_kmap_local(t.k, other);
		kmm_kunmap_local(t.k, a);
		kmm_kunmap_local(t.k, b);
		CHECK_EQ(info(&t).local_depth, 0);
		CHECK_EQ(info(&t).locals, i < 2);
		tier_b_stop(&t);
	}
}

/* What the code did not undo in order shows once low frames take slots too. */
static void undo_low_in_wrong_order(void *arg)
{
	struct misuse *x = arg;
	void *a = kmm_kmap_local(x->t.k, kmm_alloc_pages(x->t.k, KMM_GFP_KERNEL, 0));
	void *b = kmm_kmap_local(x->t.k, kmm_alloc_pages(x->t.k, KMM_GFP_KERNEL, 0));

	kmm_kunmap_local(x->t.k, a);
	kmm_kunmap_local(x->t.k, b);
}

KMM_TEST(kmap_local_force_finds_wrong_order_of_low_frames)
{
	static const struct hosted_config *const configs[] = { &pae, &pae_strict, &wide };
	struct misuse x;
	unsigned i;

	for (i = 0; i < 3; i++) {
		CALL(tier_b_start(&x.t, configs[i]));
		CHECK(!hosted_catch_fatal(x.t.m, undo_low_in_wrong_order, &x, NULL));
		kmm_force_kmap(x.t.k, true);
		CALL(tier_b_refuses(&x.t, undo_low_in_wrong_order, &x, NULL));
		tier_b_stop(&x.t);
	}
}

KMM_TEST(kmap_local_force_shows_low_frames_in_windows)
{
	struct tier_b t;
	struct kmm_page *page;
	unsigned char *view;

	CALL(tier_b_start(&t, &i386_strict));
	kmm_force_kmap(t.k, true);
	page = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
	view = kmm_kmap_local(t.k, page);
	CHECK(kmm_ptr_to_kva(t.k, view).v >= t.k->layout.fixmap_start);
	view[9] = 77;
	CHECK_EQ(((unsigned char *)kmm_page_lowmem_ptr(t.k, page))[9], 77);
	kmm_kunmap_local(t.k, view);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

static unsigned flushes;
static uint64_t flushed_bytes;

static void watch_flush(void *arg, const struct kmm_trace_event *event)
{
	(void)arg;
	if (event->id == KMM_EV_TLB_FLUSH) {
		flushes++;
		flushed_bytes += event->b - event->a;
	}
}

/* The CPU reads through the slot; after the end of the view it faults; one page was flushed for it. */
KMM_TEST(kmap_local_is_what_the_cpu_sees)
{
	struct tier_b t;
	struct kmm_page *page;
	unsigned char *view, byte = 0;
	kmm_word va;

	CALL(tier_b_start(&t, &i386_strict));
	page = high_page(&t);
	view = kmm_kmap_local(t.k, page);
	view[3] = 31;
	va = kmm_ptr_to_kva(t.k, view).v + 3;
	CHECK(hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
	CHECK_EQ(byte, 31);
	flushes = 0;
	flushed_bytes = 0;
	kmm_set_trace(t.k, watch_flush, NULL);
	kmm_kunmap_local(t.k, view);
	kmm_set_trace(t.k, NULL, NULL);
	CHECK_EQ(flushes, 1);
	CHECK_EQ(flushed_bytes, KMM_PAGE_SIZE);
	CHECK(!hosted_kernel_access(t.m, va, KMM_READ, &byte, 1, NULL));
	tier_b_stop(&t);
}

static sigjmp_buf faulted;

static void on_fault(int signal)
{
	siglongjmp(faulted, signal);
}

/* Strict mode: a view that is kept too long is a crash, not a silent read of a frame that is someone else's. */
KMM_TEST(kmap_local_view_ends_in_strict_mode)
{
	volatile unsigned char *volatile view;
	struct tier_b t;

	CALL(tier_b_start(&t, &pae_strict));
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	view = kmm_kmap_local(t.k, high_page(&t));
	view[0] = 1;
	kmm_kunmap_local(t.k, (const void *)(uintptr_t)view);
	if (sigsetjmp(faulted, 1) == 0) {
		view[0] = 2;
		CHECK(!"reached");
	}
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	tier_b_stop(&t);
}

/* Each CPU has slots of its own. */
KMM_TEST(kmap_local_stacks_are_per_cpu)
{
	struct hosted_config config = pae_strict;
	struct tier_b t;
	unsigned char *a, *b;

	config.machine.nr_cpus = 2;
	CALL(tier_b_start(&t, &config));
	a = kmm_kmap_local(t.k, high_page(&t));
	hosted_set_cpu(1);
	b = kmm_kmap_local(t.k, high_page(&t));
	CHECK(a != b);
	hosted_set_cpu(0);
	kmm_kunmap_local(t.k, a);
	hosted_set_cpu(1);
	kmm_kunmap_local(t.k, b);
	hosted_set_cpu(0);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* A frame of the bus that is not RAM: mapped uncached. A high frame of RAM: as by its page. */
KMM_TEST(kmap_local_pfn_of_any_frame)
{
	struct tier_b t;
	struct kmm_page *page;
	struct kmm_walk walk;
	unsigned char *view;

	CALL(tier_b_start(&t, &pae_strict));
	view = kmm_kmap_local_pfn(t.k, kmm_pfn(0xfee00));
	CHECK(view);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, view).v, &walk);
	CHECK(walk.mapped);
	CHECK_EQ(walk.pa.v, 0xfee00000);
	CHECK(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_NOCACHE);
	kmm_kunmap_local(t.k, view);
	page = high_page(&t);
	view = kmm_kmap_local_pfn(t.k, kmm_page_to_pfn(t.k, page));
	view[2] = 22;
	CHECK_EQ(bus(&t, page)[2], 22);
	kmm_walk(t.k, kmm_kernel_root(t.k), kmm_ptr_to_kva(t.k, view).v, &walk);
	CHECK(!(walk.step[walk.nr_steps - 1].pte.flags & KMM_PTE_NOCACHE));
	kmm_kunmap_local(t.k, view);
	page = kmm_alloc_pages(t.k, KMM_GFP_KERNEL, 0);
	view = kmm_kmap_local_pfn(t.k, kmm_page_to_pfn(t.k, page));
	CHECK_PTR(view, kmm_page_address(t.k, page));
	kmm_kunmap_local(t.k, view);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

KMM_TEST(kmap_local_audit_sees_damage)
{
	struct tier_b t;
	void *view;

	CALL(tier_b_start(&t, &pae));
	view = kmm_kmap_local(t.k, high_page(&t));
	t.k->kva->local.cpu[0].first->pfn++;
	CHECK(tier_b_complaints(&t) > 0);
	t.k->kva->local.cpu[0].first->pfn--;
	t.k->kva->local.cpu[0].next--;
	CHECK(tier_b_complaints(&t) > 0);
	t.k->kva->local.cpu[0].next++;
	kmm_kunmap_local(t.k, view);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}

/* ---- whole frames ---- */

static void check_frames(struct tier_b *t)
{
	struct kmm_page *a = kmm_alloc_pages(t->k, KMM_GFP_HIGHUSER, 0), *b = kmm_alloc_pages(t->k, KMM_GFP_KERNEL, 0);
	struct kmm_page *clean;
	unsigned i;

	memset(bus(t, a), 0x5c, 4096);
	kmm_copy_page(t->k, b, a);
	CHECK_EQ(memcmp(bus(t, a), bus(t, b), 4096), 0);
	kmm_clear_page(t->k, a);
	for (i = 0; i < 4096; i++)
		CHECK_EQ(bus(t, a)[i], 0);
	CHECK_EQ(bus(t, b)[4095], 0x5c);
	memset(bus(t, a), 0xff, 4096);
	kmm_free_pages(t->k, a, 0);
	clean = kmm_alloc_cleared_page(t->k, KMM_GFP_HIGHUSER | KMM_GFP_ZERO);
	CHECK(clean);
	for (i = 0; i < 4096; i++)
		CHECK_EQ(bus(t, clean)[i], 0);
	kmm_free_pages(t->k, clean, 0);
	kmm_free_pages(t->k, b, 0);
	CHECK_EQ(info(t).local_depth, 0);
}

KMM_TEST(page_clear_and_copy_through_views)
{
	static const struct hosted_config *const configs[] = { &pae, &pae_strict, &i386_strict, &wide };
	unsigned i;

	for (i = 0; i < 4; i++) {
		struct tier_b t;

		CALL(tier_b_start(&t, configs[i]));
		CALL(check_frames(&t));
		kmm_force_kmap(t.k, true);
		CALL(check_frames(&t));
		CALL(tier_b_audit(&t));
		tier_b_stop(&t);
	}
}

KMM_TEST(page_alloc_cleared_fails_cleanly)
{
	struct tier_b t;

	CALL(tier_b_start(&t, &pae));
	kmm_fail_nth(t.k, 1);
	CHECK(!kmm_alloc_cleared_page(t.k, KMM_GFP_HIGHUSER));
	kmm_fail_nth(t.k, 0);
	CALL(tier_b_audit(&t));
	tier_b_stop(&t);
}
