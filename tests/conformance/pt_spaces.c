/* SPDX-License-Identifier: MIT */
/*
 * Page tables of user spaces on every format and split: random changes against a model, runs, freeing of tables,
 * the shared kernel half, flushes, and what happens when memory is short. The library's reads are compared with
 * those of the hosted machine's MMU.
 */
#include "conformance/pt_bench.h"

#define NONE UINT64_MAX
#define PAGE 4096u

/* ---- the model: some pages around every boundary of a table, and what their entries hold ---- */

enum { MAX_PAGES = 256, AROUND = 6 };

struct model {
	struct pt_bench b;
	struct kmm_space space;
	uint64_t rng;
	unsigned nr;
	uint64_t va[MAX_PAGES], raw[MAX_PAGES];
};

static void add_pages(struct model *m, uint64_t middle)
{
	for (unsigned i = 0; i < AROUND; i++) {
		uint64_t va = middle + i * PAGE - AROUND / 2 * PAGE;

		if (va < pt_bench_user_end(m->b.k) && (m->nr == 0 || va > m->va[m->nr - 1]))
			m->va[m->nr++] = va;
	}
}

static void open_model(struct model *m, const struct pt_case *c)
{
	static const uint64_t middles[] = {
		0x10000, 0x200000, 0x400000, 0x3fe00000, 0x40000000, 0x7fc00000, 0x80000000, 0xbfe00000,
		0x4000000000, 0x8000000000, 0x7fffffe00000, 0x800000000000, 0x1000000000000, 0xff000000000000,
	};

	*m = (struct model){ .rng = kmm_test_seed() };
	CALL(pt_bench_open(&m->b, c));
	CHECK_OK(kmm_pt_space_init(m->b.k, &m->space, pt_bench_owner(&m->b)));
	for (unsigned i = 0; i < sizeof(middles) / sizeof(middles[0]); i++)
		add_pages(m, middles[i]);
	add_pages(m, pt_bench_user_end(m->b.k) - AROUND / 2 * PAGE);
}

static uint64_t rand_below(struct model *m, uint64_t n)
{
	return kmm_test_rand(&m->rng) % n;
}

static uint64_t random_leaf(struct model *m)
{
	uint64_t frames = m->b.k->layout.phys_limit >> 12;
	struct kmm_pte pte = { { (kmm_word)rand_below(m, frames) }, (uint32_t)rand_below(m, 4096) };

	pte.flags |= KMM_PTE_PRESENT | KMM_PTE_USER;
	pte.flags &= ~(uint32_t)KMM_PTE_LARGE;
	return kmm_pt_encode(m->b.k, pte);
}

static void check_page(struct model *m, unsigned i)
{
	struct kmm *k = m->b.k;
	uint64_t raw = m->raw[i], pa = NONE;
	struct kmm_ptref ref;
	struct kmm_walk walk;

	if (raw & 1)
		pa = (uint64_t)kmm_pt_decode(k, raw).pfn.v << 12;
	if (kmm_pt_lookup(k, &m->space, (kmm_word)m->va[i], &ref))
		CHECK_EQ(kmm_pt_read(k, &ref), raw);
	else
		CHECK_EQ(raw, 0);
	CHECK_EQ(pt_bench_probe(&m->b, m->space.root, m->va[i]), pa);
	kmm_walk(k, m->space.root, (kmm_word)(m->va[i] + 0x123), &walk);
	CHECK_EQ(walk.mapped, pa != NONE);
	if (walk.mapped) {
		CHECK_EQ(walk.pa.v, pa + 0x123);
		CHECK_EQ(walk.leaf_bytes, PAGE);
		CHECK_EQ(walk.nr_steps, kmm_pt_fmt(k)->nr_levels);
	}
}

static void check_model(struct model *m)
{
	for (unsigned i = 0; i < m->nr; i++)
		CALL(check_page(m, i));
	CALL(pt_bench_audit(m->b.k));
}

static void write_page(struct model *m, unsigned i, uint64_t raw)
{
	struct kmm *k = m->b.k;
	struct kmm_ptref ref;
	unsigned long irq;

	CHECK_OK(kmm_pt_make(k, &m->space, (kmm_word)m->va[i], KMM_GFP_KERNEL));
	CHECK(kmm_pt_lookup_lock(k, &m->space, (kmm_word)m->va[i], &ref, &irq));
	kmm_pt_write(k, &m->space, &ref, (kmm_word)m->va[i], raw);
	kmm_pt_unlock(k, &ref, irq);
	m->raw[i] = raw;
}

static void take_page(struct model *m, unsigned i)
{
	struct kmm *k = m->b.k;
	struct kmm_ptref ref;
	unsigned long irq;
	bool there = kmm_pt_lookup_lock(k, &m->space, (kmm_word)m->va[i], &ref, &irq);
	uint64_t old = there ? kmm_pt_take(k, &m->space, &ref, (kmm_word)m->va[i]) : 0;

	if (there)
		kmm_pt_unlock(k, &ref, irq);
	CHECK_EQ(old, m->raw[i]);
	m->raw[i] = 0;
}

static void protect_page(struct model *m, unsigned i)
{
	struct kmm_pte pte = kmm_pt_decode(m->b.k, m->raw[i]);

	if (!(m->raw[i] & 1))
		return;
	pte.flags ^= KMM_PTE_WRITE | KMM_PTE_EXEC;
	CALL(write_page(m, i, kmm_pt_encode(m->b.k, pte)));
}

static void free_tables(struct model *m, uint64_t floor, uint64_t ceiling)
{
	struct kmm_tlb tlb;

	kmm_tlb_begin(m->b.k, &tlb, &m->space);
	kmm_pt_free_tables(m->b.k, &m->space, (kmm_word)floor, (kmm_word)ceiling, &tlb);
	kmm_tlb_flush(m->b.k, &tlb);
}

static void change_at_random(struct model *m)
{
	unsigned i = (unsigned)rand_below(m, m->nr), j = (unsigned)rand_below(m, m->nr);
	uint64_t mask = kmm_pt_fmt(m->b.k)->entry_size == 4 ? 0xfffffffe : ~UINT64_C(1);

	switch (rand_below(m, 8)) {
	case 0: case 1: CALL(write_page(m, i, random_leaf(m))); break;
	case 2: CALL(write_page(m, i, kmm_test_rand(&m->rng) & mask)); break;
	case 3: CALL(write_page(m, i, 0)); break;
	case 4: case 5: CALL(take_page(m, i)); break;
	case 6: CALL(protect_page(m, i)); break;
	default: free_tables(m, m->va[i < j ? i : j], m->va[i < j ? j : i] + PAGE);
	}
	CALL(check_page(m, i));
}

/* Everything goes, and with it every table but the fixed ones. */
static void close_model(struct model *m)
{
	kmm_word kernel = kmm_pt_kernel_tables(m->b.k) + (kmm_pt_root_is_fixed(m->b.k) ? 1 : 0);
	unsigned fixed = m->b.k->pt->user_fixed < kmm_pt_root_level(m->b.k) ? m->b.k->pt->kernel_first : 1;

	for (unsigned i = 0; i < m->nr; i++)
		CALL(take_page(m, i));
	free_tables(m, 0, pt_bench_user_end(m->b.k));
	CHECK_EQ(m->space.nr_tables, fixed);
	CALL(check_model(m));
	kmm_pt_space_fini(m->b.k, &m->space);
	CALL(pt_bench_audit(m->b.k));
	CHECK_EQ(pt_bench_frames(m->b.k), kernel);
	pt_bench_close(&m->b);
}

KMM_TEST(pt_random_changes_against_a_model)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;

		CALL(open_model(&m, &pt_cases[c]));
		for (unsigned n = 0; n < 3000; n++) {
			CALL(change_at_random(&m));
			if (n % 100 == 0)
				CALL(check_model(&m));
		}
		CALL(close_model(&m));
	}
}

/* ---- runs ---- */

struct visitor {
	struct model *m;
	uint64_t next;       /* runs come in order and do not overlap */
	unsigned pages;      /* of the model that were seen */
	unsigned stop_after; /* entries until fn stops */
	uint64_t run, resume; /* last run; where fn stopped */
	bool bad;
};

static bool visit(void *arg, const struct kmm_ptref *first, kmm_word va, unsigned nr)
{
	struct visitor *v = arg;

	v->bad = v->bad || va < v->next || nr == 0;
	v->run = va;
	v->next = va + (uint64_t)nr * PAGE;
	for (unsigned i = 0; i < v->m->nr; i++) {
		struct kmm_ptref ref;

		if (v->m->va[i] < va || v->m->va[i] >= v->next)
			continue;
		ref = kmm_pt_ref_at(v->m->b.k, first, (unsigned)((v->m->va[i] - va) / PAGE));
		v->bad = v->bad || kmm_pt_read(v->m->b.k, &ref) != v->m->raw[i];
		v->pages++;
		if (v->stop_after && --v->stop_after == 0) {
			v->resume = v->m->va[i];
			return false;
		}
	}
	return true;
}

static unsigned pages_with_tables(struct model *m, uint64_t start, uint64_t end)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < m->nr; i++) {
		struct kmm_ptref ref;

		nr += m->va[i] >= start && m->va[i] < end && kmm_pt_lookup(m->b.k, &m->space, (kmm_word)m->va[i], &ref);
	}
	return nr;
}

static void check_runs(struct model *m)
{
	uint64_t a = m->va[rand_below(m, m->nr)], b = m->va[rand_below(m, m->nr)];
	uint64_t start = a < b ? a : b, end = (a < b ? b : a) + PAGE;
	struct visitor all = { .m = m, .next = start }, some;
	kmm_word resume;

	CHECK(kmm_pt_for_each_run(m->b.k, &m->space, (kmm_word)start, (kmm_word)end, visit, &all, &resume));
	CHECK(!all.bad && all.next <= end);
	CHECK_EQ(all.pages, pages_with_tables(m, start, end));
	if (all.pages == 0)
		return;
	some = (struct visitor){ .m = m, .next = start, .stop_after = 1 + (unsigned)rand_below(m, all.pages) };
	CHECK(!kmm_pt_for_each_run(m->b.k, &m->space, (kmm_word)start, (kmm_word)end, visit, &some, &resume));
	CHECK(!some.bad && resume == some.run && resume <= some.resume);
	CHECK_EQ(some.pages + pages_with_tables(m, some.resume + PAGE, end), all.pages);
}

KMM_TEST(pt_runs_visit_what_has_tables_once)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;

		CALL(open_model(&m, &pt_cases[c]));
		for (unsigned n = 0; n < 300; n++) {
			CALL(change_at_random(&m));
			CALL(check_runs(&m));
		}
		CALL(close_model(&m));
	}
}

/* ---- freeing tables ---- */

static bool has_table(struct model *m, uint64_t va)
{
	struct kmm_ptref ref;

	return kmm_pt_lookup(m->b.k, &m->space, (kmm_word)va, &ref);
}

KMM_TEST(pt_tables_are_freed_only_wholly_inside_and_empty)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		uint64_t span;
		kmm_word before;

		CALL(open_model(&m, &pt_cases[c]));
		span = UINT64_C(1) << kmm_pt_fmt(m.b.k)->level[1].shift;
		before = m.space.nr_tables;
		m.va[0] = 4 * span;
		CALL(write_page(&m, 0, random_leaf(&m)));
		free_tables(&m, 0, pt_bench_user_end(m.b.k));
		CHECK(has_table(&m, 4 * span)); /* not empty */
		CALL(take_page(&m, 0));
		free_tables(&m, 4 * span + PAGE, pt_bench_user_end(m.b.k));
		free_tables(&m, 0, 5 * span - PAGE);
		CHECK(has_table(&m, 4 * span)); /* not wholly inside */
		free_tables(&m, 4 * span, 5 * span);
		CHECK(!has_table(&m, 4 * span));
		CALL(pt_bench_audit(m.b.k));
		/* Levels above, too, and in one sweep also those that earlier ones had to leave. */
		free_tables(&m, 0, pt_bench_user_end(m.b.k));
		CHECK_EQ(m.space.nr_tables, before);
		CALL(close_model(&m));
	}
}

/* ---- the kernel half ---- */

KMM_TEST(pt_spaces_share_what_the_kernel_maps_later)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		const struct kmm_pfn pfn = { 0x777 };
		struct kmm_space space[3];
		struct kmm_kva va;
		struct pt_bench b;

		CALL(pt_bench_open(&b, &pt_cases[c]));
		va = kmm_kva((kmm_word)b.k->layout.vmalloc_start);
		for (unsigned i = 0; i < 3; i++)
			CHECK_OK(kmm_pt_space_init(b.k, &space[i], NULL));
		CHECK_OK(kmm_pt_window_map(b.k, va, &pfn, 1, KMM_PTE_WRITE));
		kmm_pt_space_fini(b.k, &space[1]);
		CHECK_OK(kmm_pt_space_init(b.k, &space[1], NULL));
		for (unsigned i = 0; i < 3; i++) {
			CHECK_EQ(pt_bench_probe(&b, space[i].root, va.v), 0x777000);
			CHECK_EQ(pt_bench_probe(&b, space[i].root, b.k->layout.page_offset + 0x345000), 0x345000);
			CHECK_EQ(pt_bench_probe(&b, space[i].root, 0x345000), NONE);
		}
		CALL(pt_bench_audit(b.k));
		for (unsigned i = 0; i < 3; i++)
			kmm_pt_space_fini(b.k, &space[i]);
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

/* CR3 is loaded once; the processor keeps the four root entries it read then. */
KMM_TEST(pt_pae_roots_never_change)
{
	if (!test_serves(KMM_I386_PAE))
		SKIP("this build has no machine with PAE");
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		uint64_t root[4];
		uint64_t *now;

		if (pt_cases[c].format != KMM_I386_PAE)
			continue;
		CALL(open_model(&m, &pt_cases[c]));
		now = kmm_lowmem_ptr(m.b.k, m.space.root);
		for (unsigned i = 0; i < 4; i++) {
			root[i] = now[i];
			CHECK_EQ(root[i] & 0xfff0000000000fff, 1); /* P alone: all else is reserved */
		}
		for (unsigned n = 0; n < 500; n++) {
			CALL(change_at_random(&m));
			for (unsigned i = 0; i < 4; i++)
				CHECK_EQ(now[i], root[i]);
		}
		CALL(close_model(&m));
	}
}

/* ---- flushes ---- */

static struct {
	unsigned local, others;
	uint64_t cpus;
	struct kmm_flush last;
	struct kmm_page *watched; /* must not be free when the processors are told */
	bool freed_early;
} flushes;

static void note_local(struct kmm_port *port, const struct kmm_flush *flush)
{
	(void)port;
	flushes.local++;
	flushes.last = *flush;
	if (flushes.watched && kmm_page_kind(flushes.watched) != KMM_KIND_PGTABLE &&
	    atomic_load(&flushes.watched->refcount) == 0)
		flushes.freed_early = true;
}

static void note_others(struct kmm_port *port, uint64_t cpus, const struct kmm_flush *flush)
{
	flushes.others++;
	flushes.cpus = cpus;
	note_local(port, flush);
	flushes.local--;
}

static void watch_flushes(struct kmm *k)
{
	flushes.local = flushes.others = 0;
	flushes.watched = NULL;
	flushes.freed_early = false;
	kmm_port_of(k)->tlb_flush_local = note_local;
	kmm_port_of(k)->tlb_flush_others = note_others;
}

static void open_flush_model(struct model *m, const struct pt_case *c)
{
	const struct hosted_config config = { .ram_bytes = 64u << 20, .machine = { .nr_cpus = 3 } };

	*m = (struct model){ .rng = 1 };
	CALL(pt_bench_open_config(&m->b, c, &config));
	CHECK_OK(kmm_pt_space_init(m->b.k, &m->space, NULL));
	add_pages(m, 0x400000);
	watch_flushes(m->b.k);
}

KMM_TEST(pt_frames_are_put_after_the_flush)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		struct kmm_tlb tlb;

		CALL(open_flush_model(&m, &pt_cases[c]));
		kmm_tlb_begin(m.b.k, &tlb, &m.space);
		kmm_tlb_flush(m.b.k, &tlb);
		CHECK_EQ(flushes.local + flushes.others, 0); /* nothing to tell */
		flushes.watched = kmm_alloc_pages(m.b.k, KMM_GFP_KERNEL, 0);
		CHECK(flushes.watched != NULL);
		kmm_tlb_note(m.b.k, &tlb, 0x405000, NULL);
		kmm_tlb_note(m.b.k, &tlb, 0x402345, flushes.watched);
		kmm_tlb_flush(m.b.k, &tlb);
		CHECK(flushes.local == 1 && flushes.others == 1 && !flushes.freed_early);
		CHECK_EQ(flushes.cpus, 6);
		CHECK(flushes.last.start == 0x402000 && flushes.last.end == 0x406000 && !flushes.last.tables);
		CHECK_EQ(flushes.last.root.v, m.space.root.v);
		CHECK_EQ(atomic_load(&flushes.watched->refcount), 0);
		kmm_pt_flush_kernel(m.b.k, kmm_kva(0x1000), kmm_kva(0x3000));
		CHECK(flushes.last.root.v == 0 && flushes.last.start == 0x1000 && flushes.last.end == 0x3000);
		kmm_pt_space_fini(m.b.k, &m.space);
		pt_bench_close(&m.b);
	}
}

KMM_TEST(pt_tables_are_freed_after_the_flush)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		struct kmm_ptref ref;

		CALL(open_flush_model(&m, &pt_cases[c]));
		CALL(write_page(&m, 0, 0));
		CHECK(kmm_pt_lookup(m.b.k, &m.space, (kmm_word)m.va[0], &ref));
		flushes.watched = ref.table;
		free_tables(&m, 0, pt_bench_user_end(m.b.k));
		CHECK(flushes.local == 1 && flushes.last.tables && !flushes.freed_early);
		CHECK(kmm_page_kind(ref.table) != KMM_KIND_PGTABLE);
		kmm_pt_space_fini(m.b.k, &m.space);
		pt_bench_close(&m.b);
	}
}

KMM_TEST(pt_full_gathers_say_so)
{
	static struct model m;
	struct kmm_tlb tlb;
	unsigned nr = 0;

	CALL(open_flush_model(&m, &pt_cases[0]));
	kmm_tlb_begin(m.b.k, &tlb, &m.space);
	while (!kmm_tlb_full(&tlb)) {
		struct kmm_page *page = kmm_alloc_pages(m.b.k, KMM_GFP_KERNEL, 0);

		CHECK(page != NULL);
		kmm_tlb_note(m.b.k, &tlb, 0x100000 + PAGE * nr++, page);
	}
	CHECK_EQ(nr, KMM_TLB_HELD);
	kmm_tlb_flush(m.b.k, &tlb);
	CHECK(!kmm_tlb_full(&tlb) && flushes.local == 1);
	pt_bench_close(&m.b);
}

/* ---- trace ---- */

struct traced { unsigned sets, flushes; struct kmm_trace_event last; };

static void note_event(void *arg, const struct kmm_trace_event *event)
{
	struct traced *t = arg;

	t->sets += event->id == KMM_EV_PT_SET;
	t->flushes += event->id == KMM_EV_TLB_FLUSH;
	t->last = *event;
}

KMM_TEST(pt_changes_and_flushes_are_traced)
{
	static struct model m;
	struct traced t = { 0 };
	struct kmm_tlb tlb;

	CALL(open_flush_model(&m, &(struct pt_case){ KMM_X86_64, 0 }));
	CALL(write_page(&m, 1, 0));
	m.b.k->trace = note_event;
	m.b.k->trace_arg = &t;
	CALL(write_page(&m, 0, 0x1234567));
	CHECK(t.sets == 1 && t.last.a == m.va[0] && t.last.b == 0x1234567 && t.last.c == 0 && t.last.d == m.space.root.v);
	kmm_tlb_begin(m.b.k, &tlb, &m.space);
	kmm_tlb_note(m.b.k, &tlb, (kmm_word)m.va[0], NULL);
	kmm_tlb_flush(m.b.k, &tlb);
	CHECK(t.flushes == 1 && t.last.a == m.va[0] && t.last.b == m.va[0] + PAGE && t.last.d == m.space.root.v);
	pt_bench_close(&m.b);
}

/* ---- two at once ---- */

/* Stands for another CPU that makes the same tables at any moment: the port's hook for interrupts is called at all
 * points where that matters, before each lock. */
static struct {
	struct kmm *k;
	struct kmm_space *space;
	unsigned long (*irq_save)(struct kmm_port *port);
	unsigned countdown; /* calls until the rival acts; 0: never again */
	bool made;
} rival;

static unsigned long save_and_let_rival_make(struct kmm_port *port)
{
	if (rival.countdown && --rival.countdown == 0)
		rival.made = kmm_pt_make(rival.k, rival.space, 0x12345000, KMM_GFP_KERNEL) == KMM_OK;
	return rival.irq_save(port);
}

static void race(const struct pt_case *c, unsigned moment)
{
	static struct model m;
	unsigned fixed;

	CALL(open_model(&m, c));
	fixed = m.b.k->pt->user_fixed;
	rival.k = m.b.k;
	rival.space = &m.space;
	rival.irq_save = kmm_port_of(m.b.k)->irq_save;
	rival.countdown = moment;
	rival.made = false;
	kmm_port_of(m.b.k)->irq_save = save_and_let_rival_make;
	m.b.k->native = false; /* the hooks are no longer those that the library was built for */
	CHECK_OK(kmm_pt_make(m.b.k, &m.space, 0x12345000, KMM_GFP_KERNEL));
	rival.countdown = 0;
	CHECK(rival.made);
	CHECK_EQ(pt_bench_frames(m.b.k), kmm_pt_kernel_tables(m.b.k) + (fixed < kmm_pt_root_level(m.b.k) ? 2 : 0) +
						 m.space.nr_tables);
	CALL(close_model(&m));
}

KMM_TEST(pt_make_finds_that_another_was_faster)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++)
		for (unsigned moment = 1; moment <= 2; moment++)
			CALL(race(&pt_cases[c], moment));
}

/* ---- when memory is short ---- */

KMM_TEST(pt_make_without_memory_changes_nothing)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		enum kmm_status status = KMM_ENOMEM;
		kmm_word va;
		unsigned n;

		CALL(open_model(&m, &pt_cases[c]));
		va = (kmm_word)(pt_bench_user_end(m.b.k) - PAGE);
		for (n = 1; status != KMM_OK; n++) {
			kmm_word tables = m.space.nr_tables, frames = pt_bench_frames(m.b.k);

			kmm_fail_nth(m.b.k, n);
			status = kmm_pt_make(m.b.k, &m.space, va, KMM_GFP_KERNEL);
			kmm_fail_nth(m.b.k, 0);
			CALL(check_model(&m));
			if (status != KMM_OK)
				CHECK(status == KMM_ENOMEM && m.space.nr_tables == tables && pt_bench_frames(m.b.k) == frames);
		}
		CHECK_EQ(n - 2, m.b.k->pt->user_fixed); /* one failure for each level below the fixed ones */
		CALL(close_model(&m));
	}
}

KMM_TEST(pt_space_init_without_memory_changes_nothing)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		enum kmm_status status = KMM_ENOMEM;
		struct kmm_space space;
		struct pt_bench b;
		unsigned n;

		CALL(pt_bench_open(&b, &pt_cases[c]));
		for (n = 1; status != KMM_OK; n++) {
			kmm_word frames = pt_bench_frames(b.k);

			kmm_fail_nth(b.k, n);
			status = kmm_pt_space_init(b.k, &space, NULL);
			kmm_fail_nth(b.k, 0);
			CALL(pt_bench_audit(b.k));
			if (status != KMM_OK)
				CHECK(status == KMM_ENOMEM && pt_bench_frames(b.k) == frames);
		}
		CHECK(n >= 3);
		kmm_pt_space_fini(b.k, &space);
		CALL(pt_bench_audit(b.k));
		pt_bench_close(&b);
	}
}

/* ---- the audit sees damage ---- */

static unsigned bad_with(struct model *m, void *at, uint64_t raw)
{
	uint64_t old = kmm_entry_load(m->b.k, at);
	unsigned bad;

	kmm_entry_store(m->b.k, at, raw);
	bad = kmm_pt_audit(m->b.k, NULL);
	kmm_entry_store(m->b.k, at, old);
	return bad;
}

static void check_damage_to_entries(struct model *m, struct kmm_ptref *ref)
{
	struct kmm *k = m->b.k;
	uint64_t raw = kmm_pt_read(k, ref);
	unsigned direct = kmm_pt_index(k, (kmm_word)k->layout.page_offset, kmm_pt_root_level(k));
	struct kmm_spot spot;

	CHECK(bad_with(m, ref->entry, 0) > 0);           /* count */
	CHECK(bad_with(m, ref->entry, raw | 0x80) > 0);  /* PAT, which is never used */
	if (k->layout.phys_limit < UINT64_C(1) << 40 && kmm_pt_fmt(k)->entry_size == 8)
		CHECK(bad_with(m, ref->entry, raw | UINT64_C(1) << 40) > 0);
	CHECK(bad_with(m, kmm_pt_slot(k, m->space.root, direct), 0) > 0);
	kmm_pt_descend(k, m->space.root, (kmm_word)m->va[0], 1, &spot);
	CHECK(bad_with(m, spot.entry, kmm_entry_load(k, spot.entry) & ~UINT64_C(4)) > 0); /* U/S */
	CHECK(bad_with(m, spot.entry, kmm_entry_load(k, spot.entry) + 0x5000) > 0);       /* some other frame */
	kmm_pt_descend(k, k->pt->kernel.root, (kmm_word)k->layout.page_offset, 0, &spot);
	CHECK(bad_with(m, spot.entry, kmm_entry_load(k, spot.entry) | 4) > 0);
	CHECK_EQ(kmm_pt_audit(k, NULL), 0);
}

static void check_damage_to_tables(struct model *m, struct kmm_ptref *ref)
{
	struct kmm *k = m->b.k;
	void *owner = kmm_page_owner(k, ref->table);

	atomic_fetch_add(&ref->table->count, 1);
	CHECK_EQ(kmm_pt_audit(k, NULL), 1);
	atomic_fetch_sub(&ref->table->count, 1);
	kmm_page_set_owner(k, ref->table, NULL);
	CHECK_EQ(kmm_pt_audit(k, NULL), 1);
	kmm_page_set_owner(k, ref->table, owner);
	m->space.nr_tables++;
	CHECK_EQ(kmm_pt_audit(k, NULL), 1);
	m->space.nr_tables--;
	k->pt->kernel.nr_tables--;
	CHECK_EQ(kmm_pt_audit(k, NULL), 1);
	k->pt->kernel.nr_tables++;
	CHECK_EQ(kmm_pt_audit(k, NULL), 0);
}

KMM_TEST(pt_audit_sees_every_sort_of_damage)
{
	for (unsigned c = 0; c < PT_NR_CASES; c++) {
		static struct model m;
		struct kmm_ptref ref;

		CALL(open_model(&m, &pt_cases[c]));
		CALL(write_page(&m, 0, random_leaf(&m)));
		CHECK(kmm_pt_lookup(m.b.k, &m.space, (kmm_word)m.va[0], &ref));
		CALL(check_damage_to_entries(&m, &ref));
		CALL(check_damage_to_tables(&m, &ref));
		CALL(close_model(&m));
	}
}
