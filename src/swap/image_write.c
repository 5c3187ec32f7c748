/* SPDX-License-Identifier: MIT */
/*
 * Writing a hibernation image: every frame in use that is not left out, in the order of their numbers, by batches.
 *
 * Each page is copied first and then looked at, compressed and written, so its sum is that of what was written even if it is
 * one that the writer itself uses. Nothing is marked anywhere; an error ends the walk, and all is as it was.
 */
#include "swap/image.h"

#include "base/mem.h"

struct writer {
	struct kmm_image *i;
	const struct kmm_swap_area *area;
	uint32_t hand;                  /* slots below were looked at */
	struct kmm_image_index *index;
	struct kmm_image_batch *batch;  /* the index block's last */
	size_t used;                    /* bytes of the batch */
	uint32_t own;                   /* slot of the index block */
	uint64_t nr_pages, nr_written;
	uint32_t nr_indexes;
	enum kmm_status status;
};

/* ---- slots ---- */

/* The next slot that nobody uses; KMM_IMAGE_NO_SLOT: there was none. */
static uint32_t next_slot(struct writer *w)
{
	while (w->hand < w->area->nr_slots && !(w->area->map[w->hand / KMM_BITS] >> (w->hand % KMM_BITS) & 1))
		w->hand++;
	if (w->hand == w->area->nr_slots) {
		w->status = kmm_image_fail(w->i, KMM_ENOMEM, "%s: its %u free slots do not suffice for the image",
					   w->i->use.dev->name, w->area->nr_free);
		return KMM_IMAGE_NO_SLOT;
	}
	KMM_ASSERT(w->i->k, w->area->slot[w->hand].count == 0);
	w->nr_written++;
	return w->hand++;
}

/* ---- index blocks and batches ---- */

static void begin_index(struct writer *w, uint32_t slot)
{
	memset(w->index, 0, sizeof(*w->index));
	w->index->id = w->i->use.id;
	w->index->number = w->nr_indexes++;
	w->own = slot;
	w->batch = w->index->batch;
}

static void end_index(struct writer *w, uint32_t next)
{
	w->index->next = next;
	w->index->sum = kmm_image_index_sum(w->index);
	w->status = kmm_image_transfer(w->i, true, &w->own, 1, &w->i->index);
}

/* The batch's bytes go out, and the next one begins, in the next index block if this one is full. */
static void end_batch(struct writer *w)
{
	struct kmm_image_batch *b = w->batch;
	uint32_t next;

	b->nr_slots = (uint32_t)((w->used + KMM_PAGE_SIZE - 1) / KMM_PAGE_SIZE);
	for (unsigned n = 0; n < b->nr_slots && w->status == KMM_OK; n++)
		b->slot[n] = next_slot(w);
	if (w->status == KMM_OK && b->nr_slots)
		w->status = kmm_image_transfer(w->i, true, b->slot, b->nr_slots, w->i->bytes);
	if (w->status)
		return;
	w->used = 0;
	w->index->nr_batches++;
	w->batch++;
	if (w->index->nr_batches < KMM_IMAGE_BATCHES)
		return;
	next = next_slot(w);
	if (w->status == KMM_OK)
		end_index(w, next);
	if (w->status == KMM_OK)
		begin_index(w, next);
}

/* ---- pages ---- */

static bool is_one_byte(const uint8_t *page)
{
	return memcmp(page, page + 1, KMM_PAGE_SIZE - 1) == 0;
}

static void add_page(struct writer *w, kmm_word pfn)
{
	struct kmm_image *i = w->i;
	struct kmm_image_page *p;
	const uint8_t *from = i->page.at;
	size_t size = 0;
	void *view = kmm_image_view(i->k, pfn);

	memmove(i->page.at, view, KMM_PAGE_SIZE); /* it may be that very page */
	kmm_image_unview(i->k, pfn, view);
	if (!is_one_byte(from)) {
		size = kmm_compressor_lz4.compress(from, i->packed.at, KMM_PAGE_SIZE - 1, i->work);
		from = size ? i->packed.at : from;
		size = size ? size : KMM_PAGE_SIZE;
	}
	if (w->batch->nr_pages == KMM_IMAGE_BATCH || w->used + size > KMM_IMAGE_BATCH * KMM_PAGE_SIZE)
		end_batch(w);
	if (w->status)
		return;
	kmm_image_pack(i, w->used, from, size);
	w->used += size;
	p = &w->batch->page[w->batch->nr_pages++];
	*p = (struct kmm_image_page){ pfn, (uint32_t)size, size ? kmm_image_page_sum(i->page.at, pfn) : *from };
	w->nr_pages++;
}

static void add_run(void *arg, struct kmm_pfn pfn, kmm_word nr)
{
	struct writer *w = arg;

	for (kmm_word n = 0; n < nr && w->status == KMM_OK; n++)
		if (!kmm_image_leaves_out(w->i, pfn.v + n))
			add_page(w, pfn.v + n);
		else /* what was allocated must not be lost */
			KMM_ASSERT(w->i->k, !kmm_section_is_live(w->i->k->phys, kmm_section_of(pfn.v)) ||
					    kmm_page_kind(kmm_page_at(w->i->k->phys, pfn.v)) == KMM_KIND_RESERVED);
}

/* ---- all of it ---- */

static void fill_head(const struct writer *w, uint32_t first, struct kmm_image_head *head)
{
	struct kmm_memory_stats stats;
	const struct kmm_image *i = w->i;

	kmm_memory_stats(i->k, &stats);
	*head = (struct kmm_image_head){
		.magic = { 'k', 'm', 'm', 'i', 'm', 'a', 'g', 'e' }, .version = KMM_IMAGE_VERSION, .format = i->k->machine.format,
		.id = i->use.id, .build = i->use.build, .ground = i->use.ground, .memory = kmm_image_memory(i->k),
		.nr_slots = i->use.dev->nr_slots, .nr_pages = w->nr_pages, .nr_written = w->nr_written,
		.ram_pages = stats.ram_pages, .nr_cpus = i->k->machine.nr_cpus, .first_index = first, .nr_indexes = w->nr_indexes,
	};
	for (unsigned n = 0; i->use.note && n < KMM_IMAGE_NOTE - 1 && i->use.note[n]; n++)
		head->note[n] = i->use.note[n];
	head->sum = kmm_image_head_sum(head);
}

enum kmm_status kmm_image_write(struct kmm_image *i, struct kmm_image_head *head)
{
	int place = kmm_swap_find(i->k, i->use.dev);
	struct writer w = { .i = i, .index = (struct kmm_image_index *)(void *)i->index.at };
	uint32_t first;

	if (place < 0)
		return kmm_image_fail(i, KMM_EINVAL, "%s is not in use for swap", i->use.dev->name);
	kmm_swap_quiesce(i->k);
	w.area = &i->k->swap->area[place];
	first = next_slot(&w);
	if (w.status)
		return w.status;
	begin_index(&w, first);
	kmm_phys_each_used(i->k, add_run, &w);
	if (w.status == KMM_OK && w.batch->nr_pages)
		end_batch(&w);
	if (w.status == KMM_OK)
		end_index(&w, KMM_IMAGE_NO_SLOT);
	if (w.status == KMM_OK)
		fill_head(&w, first, head);
	return w.status;
}

struct counter {
	const struct kmm_image *i;
	kmm_word nr;
};

static void count_run(void *arg, struct kmm_pfn pfn, kmm_word nr)
{
	struct counter *c = arg;

	for (kmm_word n = 0; n < nr; n++)
		c->nr += !kmm_image_leaves_out(c->i, pfn.v + n);
}

kmm_word kmm_image_pages(struct kmm_image *i)
{
	struct counter c = { .i = i };

	kmm_phys_each_used(i->k, count_run, &c);
	return c.nr;
}
