/* SPDX-License-Identifier: MIT */
/*
 * Memory that has not ended: swap has room, and pages that could go there are only held for the moment,
 * or transfers ended before the request could wait for them.
 * A request says so or goes on, and nobody is to be ended before a second of that.
 */
#include "kmm/page.h"
#include "pageq/pageq.h"
#include "swap/swap.h"
#include "vm/backing.h"

#include "harness/swap_space.h"

enum { MIB = 16, NR = 4000, STEP_MS = 10, IN_USE = KMM_SWAP_IOS - KMM_SWAP_IOS_FOR_READS };
#define MS 1000000ull

/* ---- memory that nothing can be done about ---- */

static struct kmm_page *taken[MIB * 256];
static unsigned nr_taken;

static void take_all(struct swap_space *w, kmm_gfp gfp)
{
	struct kmm_page *page;

	for (nr_taken = 0; nr_taken < MIB * 256 && (page = kmm_alloc_pages(w->s.k, gfp, 0)) != NULL; nr_taken++)
		taken[nr_taken] = page;
}

static void give_all(struct swap_space *w)
{
	while (nr_taken)
		kmm_put_page(w->s.k, taken[--nr_taken]);
}

/* ---- pages that somebody holds ---- */

/* As a program: touches a page until that works, and asks each time whether somebody is to be ended. Returns how long it was patient, in
 * ms; *ok: it worked. After `until` ms the file's pages are let go. */
static unsigned touch_patiently(struct swap_space *w, unsigned until, bool *ok)
{
	struct kmm_oom_patience patience = { 0, 0 };
	uint64_t value = 1;
	unsigned ms = 0;

	for (;; ms += STEP_MS) {
		if (ms == until)
			kmm_mutex_unlock(w->s.k, &kmm_mapping_of(&w->file.backing)->lock);
		*ok = hosted_write_user(w->s.m, w->s.mm, at(3 * NR), &value, sizeof(value)).ok;
		if (*ok || !kmm_oom_is_early(w->s.k, &patience, 5000 * MS + ms * MS))
			return ms;
	}
}

/* Memory is full of a file's pages that could go to swap; then somebody is at work with the file, and the kernel has the rest. */
static void start_held(struct swap_space *w, uint64_t swap_pages)
{
	struct swap_setup setup = { .format = KMM_X86_64, .ram_mib = MIB, .swap_pages = swap_pages };
	uint64_t value = 1;

	CALL(swap_start(w, &setup));
	kmm_file_init(&w->file, w->s.k, 2 * NR * SPACE_PAGE, "/file");
	CHECK_EQ(space_map_file(&w->s, at(0), 2 * NR, SPACE_RW, KMM_MAP_SHARED, &w->file, 0), 0);
	for (unsigned n = 0; n < 2 * NR && hosted_write_user(w->s.m, w->s.mm, at(n) + 16, &value, sizeof(value)).ok; n++)
		value++;
	CHECK_EQ(space_map(&w->s, at(3 * NR), 1, SPACE_RW, SPACE_ANON), 0);
	CHECK(kmm_mutex_trylock(&kmm_mapping_of(&w->file.backing)->lock));
	take_all(w, KMM_GFP_KERNEL);
}

/* The file's lock is free again. */
static void stop_held(struct swap_space *w)
{
	give_all(w);
	hosted_put_space(w->s.m, w->s.mm);
	w->s.mm = NULL;
	kmm_backing_put(&w->file.backing);
	CALL(swap_stop(w));
}

KMM_TEST(held_pages_are_waited_for)
{
	struct swap_space w;
	bool ok;

	CALL(start_held(&w, 4 * NR));
	CHECK(kmm_reclaim_may_go_on(w.s.k));
	CHECK_EQ(touch_patiently(&w, 300, &ok), 300);
	CHECK(ok);
	CALL(stop_held(&w));
}

/* Not for ever; and after a pause anew. */
KMM_TEST(held_pages_are_not_waited_for_forever)
{
	struct kmm_oom_patience patience = { 0, 0 };
	struct swap_space w;
	bool ok;

	CALL(start_held(&w, 4 * NR));
	CHECK_EQ(touch_patiently(&w, 2000, &ok), 1000);
	CHECK(!ok);
	CHECK(kmm_oom_is_early(w.s.k, &patience, 5000 * MS));
	CHECK(kmm_oom_is_early(w.s.k, &patience, 5990 * MS));
	CHECK(!kmm_oom_is_early(w.s.k, &patience, 6000 * MS));
	CHECK(!kmm_oom_is_early(w.s.k, &patience, 6900 * MS));
	CHECK(kmm_oom_is_early(w.s.k, &patience, 8000 * MS));
	kmm_mutex_unlock(w.s.k, &kmm_mapping_of(&w.file.backing)->lock);
	CALL(stop_held(&w));
}

/* Where pages have no place to go to, there is nothing to wait for. */
KMM_TEST(held_pages_without_a_place)
{
	struct swap_space w;
	bool ok;

	CALL(start_held(&w, 64));
	CHECK(!kmm_reclaim_may_go_on(w.s.k));
	CHECK_EQ(touch_patiently(&w, 2000, &ok), 0);
	CHECK(!ok);
	kmm_mutex_unlock(w.s.k, &kmm_mapping_of(&w.file.backing)->lock);
	CALL(stop_held(&w));
}

/* ---- transfers that end at the wrong moment ---- */

static struct swap_space *busy;
static struct kmm_io *io[IN_USE];
static struct kmm_page *target[IN_USE];
static bool was_woken;

/* All transfers end, and the reads' memory is given back by those who waited for them. */
static void finish_all(void)
{
	hosted_swap_finish(busy->disk, ~0u);
	for (unsigned i = 0; i < IN_USE && !was_woken; i++)
		if (kmm_swap_await(busy->s.k, io[i]) != KMM_OK)
			KMM_ASSERT(busy->s.k, false);
	was_woken = true;
}

/* Another holds the hands and lets go of them, or a transfer ends. */
static void wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	(void)port;
	if (key == &busy->s.k->pageq->lock)
		kmm_mutex_unlock(busy->s.k, &busy->s.k->pageq->lock);
	while (!done(arg))
		hosted_swap_finish(busy->disk, 1);
}

/* We let go of the hands, and in that moment the reads end. */
static void wake(struct kmm_port *port, const void *key)
{
	(void)port;
	if (key == &busy->s.k->pageq->lock && !was_woken)
		finish_all();
}

static void start_reads(struct swap_space *w)
{
	for (unsigned i = 0; i < IN_USE; i++) {
		CHECK((target[i] = kmm_alloc_pages(w->s.k, KMM_GFP_KERNEL, 0)) != NULL);
		CHECK((io[i] = kmm_swap_start_read(w->s.k, 0, i, 1, &target[i], 0)) != NULL);
	}
	CHECK(kmm_swap_is_congested(w->s.k));
}

/* Reads leave no transfers for writing, so the hand does not move; and they end before we can wait for that. Then there is no page yet, but
 * no reason to give up either. */
KMM_TEST(held_transfers_end_unseen)
{
	struct swap_setup setup = { .format = KMM_X86_64, .ram_mib = MIB, .swap_pages = 4096, .later = true };
	struct kmm_page *page;
	struct swap_space w;

	CALL(swap_start(&w, &setup));
	busy = &w;
	was_woken = false;
	CHECK_EQ(space_map(&w.s, at(0), 1000, SPACE_RW, SPACE_ANON), 0);
	CALL(swap_fill(&w, w.s.mm, 0, 1000, 1));
	CHECK_OK(kmm_madvise(w.s.mm, kmm_uva((kmm_word)at(0)), IN_USE * SPACE_PAGE, 21)); /* MADV_PAGEOUT: without the hand */
	kmm_swap_quiesce(w.s.k);
	CALL(start_reads(&w));
	take_all(&w, KMM_GFP_ATOMIC);
	w.s.k->port->wait = wait;
	w.s.k->port->wake = wake;
	kmm_mutex_lock(w.s.k, &w.s.k->pageq->lock); /* as another, who lets go of it in wait() */
	page = kmm_alloc_pages(w.s.k, KMM_GFP_USER, 0);
	CHECK(was_woken);
	CHECK(page != NULL);
	w.s.k->port->wait = NULL;
	if (page)
		kmm_put_page(w.s.k, page);
	give_all(&w);
	for (unsigned i = 0; i < IN_USE; i++)
		kmm_put_page(w.s.k, target[i]);
	CALL(swap_verify(&w, w.s.mm, 0, 1000, 1));
	CALL(swap_stop(&w));
}
