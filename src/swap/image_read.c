/* SPDX-License-Identifier: MIT */
/*
 * Reading a hibernation image on a machine that has just started.
 *
 * The index is read twice. First all of it is checked, and which frames the image has is noted: only then it is known which
 * frames are safe, free now and in no image. Then contents are read, checked by their sums, and put where they belong or, where
 * something of this kernel is, into a safe frame, with a line in the list of moves. Allocation is not asked for frames:
 * a free frame's content is nobody's, and nobody allocates meanwhile.
 */
#include "swap/image.h"

#include "base/mem.h"

struct reader {
	struct kmm_image *i;
	const struct kmm_image_head *head;
	struct kmm_image_index *index;
	kmm_word list, list_first;       /* the list's page that is being filled; 0: none yet */
	uint64_t nr_pages;
};

/* ---- bits ---- */

static bool test(const kmm_bits *bits, kmm_word pfn) { return bits[pfn / KMM_BITS] >> (pfn % KMM_BITS) & 1; }
static void set(kmm_bits *bits, kmm_word pfn) { bits[pfn / KMM_BITS] |= (kmm_bits)1 << (pfn % KMM_BITS); }
static void clear(kmm_bits *bits, kmm_word pfn) { bits[pfn / KMM_BITS] &= ~((kmm_bits)1 << (pfn % KMM_BITS)); }

static void not_free(void *arg, struct kmm_pfn pfn, kmm_word nr)
{
	struct kmm_image *i = arg;

	for (kmm_word n = 0; n < nr; n++)
		clear(i->free, pfn.v + n);
}

/* RAM that is a zone's, but for what is in use or left out. */
static void find_free(struct kmm_image *i)
{
	struct kmm_run run = { .end = 0 };

	memset(i->free, 0, 2 * (i->nr_frames / KMM_BITS + 1) * sizeof(*i->free));
	for (kmm_word pfn = 0; pfn < i->nr_frames; pfn++) {
		if (pfn >= run.end)
			kmm_boot_run(&i->k->phys->boot, pfn, &run);
		if (run.ram && run.kind == KMM_KIND_FREE && !kmm_image_leaves_out(i, pfn))
			set(i->free, pfn);
	}
	kmm_phys_each_used(i->k, not_free, i);
	i->hand = i->nr_frames;
}

/* A frame that neither this kernel nor the image uses, from the top down. 0: none is left. */
static kmm_word safe_frame(struct kmm_image *i)
{
	while (i->hand > 0)
		if (test(i->free, --i->hand) && !test(i->wanted, i->hand))
			return i->hand;
	return 0;
}

/* ---- the index ---- */

static enum kmm_status damaged(struct reader *r, uint32_t slot, const char *what)
{
	return kmm_image_fail(r->i, KMM_EINVAL, "%s: the image is damaged: slot %u: %s", r->i->use.dev->name, slot, what);
}

static bool batch_is_possible(const struct reader *r, const struct kmm_image_batch *b)
{
	size_t bytes = 0;

	if (b->nr_pages > KMM_IMAGE_BATCH || b->nr_slots > KMM_IMAGE_BATCH)
		return false;
	for (unsigned n = 0; n < b->nr_slots; n++)
		if (b->slot[n] >= r->i->use.dev->nr_slots)
			return false;
	for (unsigned n = 0; n < b->nr_pages; n++) {
		if (b->page[n].size > KMM_PAGE_SIZE || b->page[n].pfn >= r->i->nr_frames)
			return false;
		bytes += b->page[n].size;
	}
	return bytes <= (size_t)b->nr_slots * KMM_PAGE_SIZE;
}

static enum kmm_status read_index(struct reader *r, uint32_t slot, uint32_t number)
{
	enum kmm_status status;

	if (slot >= r->i->use.dev->nr_slots)
		return damaged(r, slot, "the device has no such slot");
	status = kmm_image_transfer(r->i, false, &slot, 1, &r->i->index);
	if (status)
		return status;
	if (r->index->sum != kmm_image_index_sum(r->index))
		return damaged(r, slot, "the sum of an index block is not that of its bytes");
	if (r->index->id != r->head->id || r->index->number != number)
		return damaged(r, slot, "this index block is another image's, or another place's");
	if (r->index->nr_batches > KMM_IMAGE_BATCHES)
		return damaged(r, slot, "an index block counts more than it holds");
	for (unsigned n = 0; n < r->index->nr_batches; n++)
		if (!batch_is_possible(r, &r->index->batch[n]))
			return damaged(r, slot, "an index block names pages or slots that cannot be");
	return KMM_OK;
}

static enum kmm_status each_batch(struct reader *r, enum kmm_status (*with)(struct reader *r, const struct kmm_image_batch *b))
{
	uint32_t slot = r->head->first_index;
	enum kmm_status status;

	for (uint32_t number = 0; number < r->head->nr_indexes; number++, slot = r->index->next) {
		status = read_index(r, slot, number);
		if (status)
			return status;
		for (unsigned n = 0; n < r->index->nr_batches; n++) {
			status = with(r, &r->index->batch[n]);
			if (status)
				return status;
		}
	}
	return slot == KMM_IMAGE_NO_SLOT ? KMM_OK : damaged(r, slot, "the index goes on behind its end");
}

static enum kmm_status note_batch(struct reader *r, const struct kmm_image_batch *b)
{
	for (unsigned n = 0; n < b->nr_pages; n++) {
		kmm_word pfn = (kmm_word)b->page[n].pfn;

		if (test(r->i->wanted, pfn) || !kmm_pfn_is_ram(r->i->k, kmm_pfn(pfn)) || kmm_image_leaves_out(r->i, pfn))
			return kmm_image_fail(r->i, KMM_EINVAL, "the image is damaged: it has frame %llx twice, or should not have it",
					      (unsigned long long)pfn);
		set(r->i->wanted, pfn);
	}
	r->nr_pages += b->nr_pages;
	return KMM_OK;
}

/* ---- contents ---- */

/* One page more for the list. */
static bool grow_list(struct reader *r)
{
	struct kmm *k = r->i->k;
	kmm_word pfn = safe_frame(r->i);
	struct kmm_image_moves *list;

	if (!pfn)
		return false;
	list = kmm_image_view(k, pfn);
	memset(list, 0, sizeof(*list));
	kmm_image_unview(k, pfn, list);
	if (r->list) {
		list = kmm_image_view(k, r->list);
		list->next = pfn;
		kmm_image_unview(k, r->list, list);
	} else {
		r->list_first = pfn;
	}
	r->list = pfn;
	return true;
}

/* Where the content of a frame goes now. 0: nowhere. */
static kmm_word place_for(struct reader *r, kmm_word pfn)
{
	struct kmm *k = r->i->k;
	struct kmm_image_moves *list;
	kmm_word from;
	bool full = true;

	if (test(r->i->free, pfn))
		return pfn;
	if (r->list) {
		list = kmm_image_view(k, r->list);
		full = list->nr == KMM_IMAGE_MOVES;
		kmm_image_unview(k, r->list, list);
	}
	if (full && !grow_list(r))
		return 0;
	from = safe_frame(r->i);
	if (!from)
		return 0;
	list = kmm_image_view(k, r->list);
	list->move[list->nr].to = pfn;
	list->move[list->nr++].from = from;
	kmm_image_unview(k, r->list, list);
	return from;
}

/* The page's content to i->page. at: of its bytes in the batch. false: it is not what was written. */
static bool unpack_page(struct kmm_image *i, const struct kmm_image_page *p, size_t at)
{
	if (p->size == 0) {
		memset(i->page.at, (int)(p->sum & 0xff), KMM_PAGE_SIZE);
		return true;
	}
	kmm_image_unpack(i, at, p->size == KMM_PAGE_SIZE ? i->page.at : i->packed.at, p->size);
	if (p->size < KMM_PAGE_SIZE && !kmm_compressor_lz4.decompress(i->packed.at, p->size, i->page.at, i->work))
		return false;
	return kmm_image_page_sum(i->page.at, p->pfn) == p->sum;
}

static enum kmm_status load_page(struct reader *r, const struct kmm_image_batch *b, const struct kmm_image_page *p, size_t at)
{
	struct kmm_image *i = r->i;
	kmm_word place;
	void *view;

	if (!unpack_page(i, p, at))
		return kmm_image_fail(i, KMM_EINVAL, "%s: the image is damaged: slot %u: the sum of frame %llx is not that of its bytes",
				      i->use.dev->name, b->slot[at / KMM_PAGE_SIZE], (unsigned long long)p->pfn);
	place = place_for(r, (kmm_word)p->pfn);
	if (!place)
		return kmm_image_fail(i, KMM_ENOMEM, "the image fills so much memory that this kernel has no place to keep frame %llx",
				      (unsigned long long)p->pfn);
	view = kmm_image_view(i->k, place);
	memcpy(view, i->page.at, KMM_PAGE_SIZE);
	kmm_image_unview(i->k, place, view);
	return KMM_OK;
}

static enum kmm_status load_batch(struct reader *r, const struct kmm_image_batch *b)
{
	enum kmm_status status = KMM_OK;
	size_t at = 0;

	if (b->nr_slots)
		status = kmm_image_transfer(r->i, false, b->slot, b->nr_slots, r->i->bytes);
	for (unsigned n = 0; n < b->nr_pages && status == KMM_OK; n++) {
		status = load_page(r, b, &b->page[n], at);
		at += b->page[n].size;
	}
	return status;
}

/* ---- all of it ---- */

static enum kmm_status check_head(struct kmm_image *i, const struct kmm_image_head *head)
{
	const char *why;

	if (kmm_image_head_good(head, &why)) {
		why = head->format != i->k->machine.format ? "the image is of a machine with other page tables"
			: head->build != i->use.build ? "the image is of another kernel: only the same build can go on with it"
			: head->nr_cpus != i->k->machine.nr_cpus ? "the image is of a machine with another number of processors"
			: head->memory != kmm_image_memory(i->k) ? "the image is of a machine with other memory"
			: head->ground != i->use.ground ? "the image is of a machine with another processor or other devices"
			: head->nr_slots != i->use.dev->nr_slots ? "the image is of a device of another size" : NULL;
	}
	return why ? kmm_image_fail(i, KMM_EINVAL, "%s: %s", i->use.dev->name, why) : KMM_OK;
}

enum kmm_status kmm_image_read(struct kmm_image *i, const struct kmm_image_head *head, struct kmm_pfn *moves)
{
	struct reader r = { .i = i, .head = head, .index = (struct kmm_image_index *)(void *)i->index.at };
	enum kmm_status status = check_head(i, head);

	if (status)
		return status;
	find_free(i);
	status = each_batch(&r, note_batch);
	if (status == KMM_OK && r.nr_pages != head->nr_pages)
		status = kmm_image_fail(i, KMM_EINVAL, "the image is damaged: %llu pages of %llu are there",
					(unsigned long long)r.nr_pages, (unsigned long long)head->nr_pages);
	if (status == KMM_OK)
		status = each_batch(&r, load_batch);
	if (status == KMM_OK)
		*moves = kmm_pfn(r.list_first);
	return status;
}
