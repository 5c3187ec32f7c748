/* SPDX-License-Identifier: MIT */
/*
 * Every call of tier a at once: blocks of all orders, in bulk, by address, references; freed by whoever has them.
 */
#include "crew.h"

enum { BY_PAGE, BY_ADDRESS, SINGLE };

static const kmm_gfp gfps[] = { KMM_GFP_KERNEL, KMM_GFP_ATOMIC, KMM_GFP_DMA, KMM_GFP_HIGHUSER, KMM_GFP_HIGHUSER_MOVABLE,
				KMM_GFP_KERNEL | KMM_GFP_ZERO, KMM_GFP_KERNEL | KMM_GFP_RECLAIMABLE, KMM_GFP_NOWAIT,
				KMM_GFP_KERNEL | KMM_GFP_NORETRY, KMM_GFP_DMA32 };
enum { NR_GFPS = sizeof(gfps) / sizeof(gfps[0]) };

static kmm_gfp any_gfp(struct hand *h)
{
	return gfps[hand_dice(h, NR_GFPS)] | KMM_GFP_NOWARN;
}

/* The first bytes of the block as C code sees them; NULL for high memory. */
static void *bytes_of(struct hand *h, const struct thing *t)
{
	return t->sort == BY_ADDRESS ? t->what : kmm_page_address(h->k, t->what);
}

static void mark(struct hand *h, struct thing *t)
{
	void *bytes = bytes_of(h, t);

	t->stamp = (uint32_t)kmm_test_rand(&h->rng);
	if (bytes)
		hand_stamp(t, bytes, 64);
}

static void drop(struct hand *h, struct thing *t)
{
	void *bytes = bytes_of(h, t), *what = t->what;
	bool good = !bytes || hand_stamp_holds(t, bytes, 64);

	t->what = NULL;
	if (t->sort == BY_ADDRESS)
		kmm_free_pages_at(h->k, what, (unsigned)t->size);
	else if (t->sort == SINGLE && hand_dice(h, 2))
		kmm_put_page(h->k, what);
	else
		kmm_free_pages(h->k, what, (unsigned)t->size);
	HAND_CHECK(h, good);
}

static void take(struct hand *h, struct thing *t)
{
	t->size = hand_dice(h, 4) ? hand_dice(h, 3) : hand_dice(h, KMM_NR_ORDERS);
	t->sort = hand_dice(h, 3);
	if (t->sort == SINGLE)
		t->size = 0;
	if (t->sort == BY_ADDRESS)
		t->what = kmm_get_free_pages(h->k, any_gfp(h) & ~(kmm_gfp)KMM_GFP_HIGHMEM, (unsigned)t->size);
	else
		t->what = kmm_alloc_pages(h->k, any_gfp(h), (unsigned)t->size);
	if (t->what)
		mark(h, t);
}

static void bulk(struct hand *h)
{
	struct kmm_page *page[80];
	size_t wanted = 1 + hand_dice(h, 80), got = kmm_alloc_pages_bulk(h->k, any_gfp(h), wanted, page);

	HAND_CHECK(h, got <= wanted);
	for (size_t i = 0; i < got; i++)
		HAND_CHECK(h, kmm_pfn_to_page(h->k, kmm_page_to_pfn(h->k, page[i])) == page[i]);
	kmm_free_pages_bulk(h->k, got, page);
}

static void references(struct hand *h)
{
	struct thing *t = hand_slot(h);
	struct kmm_page_info info;
	struct kmm_page *page;

	if (!t->what)
		return;
	page = t->sort == BY_ADDRESS ? kmm_virt_to_page(h->k, t->what) : t->what;
	kmm_get_page(h->k, page);
	kmm_page_info(h->k, page, &info);
	HAND_CHECK(h, info.kind == KMM_KIND_KERNEL && info.refcount == 2 && info.order == t->size);
	kmm_put_page(h->k, page);
}

/* Frames of others too, in their caches perhaps. Whose they are changes meanwhile, but not what cannot be. */
static void look_at_frames(struct hand *h)
{
	struct kmm_page_info info;
	struct kmm_page *page;

	for (unsigned i = 0; i < 32; i++) {
		page = kmm_pfn_to_page(h->k, kmm_pfn(hand_dice(h, 4096)));
		if (!page)
			continue;
		kmm_page_info(h->k, page, &info);
		HAND_CHECK(h, info.order < KMM_NR_ORDERS && info.zone < KMM_NR_ZONES);
	}
}

static void look(struct hand *h)
{
	struct kmm_zone_info zone;
	struct kmm_memory_stats stats;

	look_at_frames(h);

	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(h->k, (enum kmm_zone_id)z, &zone))
			HAND_CHECK(h, zone.managed <= zone.present);
	kmm_memory_stats(h->k, &stats);
	kmm_why_failed(h->k, &h->sink);
	kmm_report_zoneinfo(h->k, &h->sink);
	kmm_report_buddyinfo(h->k, &h->sink);
}

static void step(struct hand *h)
{
	switch (hand_dice(h, 16)) {
	case 0:
		bulk(h);
		break;
	case 1:
		references(h);
		break;
	case 2:
	case 3:
		hand_swap(h, hand_slot(h));
		break;
	case 4:
		if (hand_dice(h, 8) == 0)
			look(h);
		break;
	default:
		hand_toggle(h);
	}
}

static void hammer(enum kmm_format_id format, uint64_t ram)
{
	static struct crew c;

	CALL(crew_boot(&c, format, ram, HOSTED_FRAMES));
	c.step = step;
	c.take = take;
	c.drop = drop;
	CALL(crew_work(&c));
	CALL(crew_clear(&c));
	crew_end(&c);
}

KMM_TEST(race_frames_with_high_memory)
{
	hammer(KMM_I386_PAE, CREW_MIB(1200));
}

KMM_TEST(race_frames_on_64_bits)
{
	hammer(KMM_X86_64, CREW_MIB(512));
}

/* Little enough that requests fail, caches are drained and reserves are touched. */
KMM_TEST(race_frames_run_out)
{
	hammer(KMM_X86_64, CREW_MIB(16));
}
