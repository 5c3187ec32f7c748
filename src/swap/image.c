/* SPDX-License-Identifier: MIT */
/*
 * What the writer and the reader of a hibernation image share: memory set aside, sums, transfers, and the head.
 */
#include "swap/image.h"

#include "base/mem.h"
#include "base/printf.h"
#include "kmm/kmap.h"
#include "kmm/slab.h"
#include "kmm/vmalloc.h"

static const char magic[8] = { 'k', 'm', 'm', 'i', 'm', 'a', 'g', 'e' };

_Static_assert(sizeof(struct kmm_image_head) == KMM_IMAGE_HEAD, "the same on all machines");
_Static_assert(sizeof(struct kmm_image_moves) == KMM_PAGE_SIZE, "a page");

enum kmm_status kmm_image_fail(struct kmm_image *i, enum kmm_status status, const char *format, ...)
{
	struct kmm_buffer_sink out;
	va_list args;

	kmm_buffer_sink_init(&out, i->why, sizeof(i->why));
	va_start(args, format);
	kmm_vprintf(&out.sink, format, args);
	va_end(args);
	return status;
}

const char *kmm_image_why(const struct kmm_image *i) { return i->why; }

/* ---- sums ---- */

uint32_t kmm_image_sum(const void *at, size_t bytes, uint32_t sum)
{
	const uint8_t *from = at;
	uint32_t word;

	for (size_t i = 0; i < bytes; i += sizeof(word)) {
		__builtin_memcpy(&word, from + i, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b1u; /* odd: can be undone; the golden ratio, as Knuth's hash */
		sum ^= sum >> 15;
	}
	return sum;
}

uint32_t kmm_image_page_sum(const void *page, uint64_t pfn)
{
	return kmm_image_sum(page, KMM_PAGE_SIZE, kmm_image_sum(&pfn, sizeof(pfn), 0));
}

uint32_t kmm_image_head_sum(const struct kmm_image_head *head)
{
	return kmm_image_sum(head, offsetof(struct kmm_image_head, sum), KMM_IMAGE_VERSION);
}

uint32_t kmm_image_index_sum(struct kmm_image_index *index)
{
	uint32_t said = index->sum, sum;

	index->sum = 0;
	sum = kmm_image_sum(index, sizeof(*index), KMM_IMAGE_VERSION);
	index->sum = said;
	return sum;
}

/* Two sums of all that places of frames depend on. */
uint64_t kmm_image_memory(struct kmm *k)
{
	uint64_t words[8] = { k->layout.page_offset, k->layout.lowmem_end, k->layout.vmalloc_start, k->layout.vmalloc_end,
			      k->machine.nr_cpus, k->page_bytes, (uintptr_t)k->memmap, k->phys->max_pfn };
	const struct kmm_memrange *map;
	unsigned nr = kmm_memory_map(k, &map);
	uint32_t a = kmm_image_sum(words, sizeof(words), 1), b = kmm_image_sum(words, sizeof(words), 2);

	for (unsigned i = 0; i < nr; i++) {
		uint64_t range[3] = { map[i].start, map[i].size, map[i].type };

		a = kmm_image_sum(range, sizeof(range), a);
		b = kmm_image_sum(range, sizeof(range), b);
	}
	return (uint64_t)a << 32 | b;
}

bool kmm_image_head_good(const struct kmm_image_head *head, const char **why)
{
	const char *ignored;

	why = why ? why : &ignored;
	*why = NULL;
	if (memcmp(head->magic, magic, sizeof(magic)) != 0)
		*why = "this is no image of a hibernated machine";
	else if (head->version != KMM_IMAGE_VERSION)
		*why = "the image has another version's form";
	else if (head->sum != kmm_image_head_sum(head))
		*why = "the head of the image is damaged: its sum is not that of its bytes";
	return *why == NULL;
}

/* ---- frames ---- */

void *kmm_image_view(struct kmm *k, kmm_word pfn)
{
	struct kmm_paddr pa = kmm_pfn_to_paddr(kmm_pfn(pfn));

	return pa.v < k->layout.lowmem_end ? kmm_lowmem_ptr(k, pa) : kmm_kmap_local_pfn(k, kmm_pfn(pfn));
}

void kmm_image_unview(struct kmm *k, kmm_word pfn, const void *view)
{
	if (kmm_pfn_to_paddr(kmm_pfn(pfn)).v >= k->layout.lowmem_end)
		kmm_kunmap_local(k, view);
}

bool kmm_image_leaves_out(const struct kmm_image *i, kmm_word pfn)
{
	uint64_t pa = kmm_pfn_to_paddr(kmm_pfn(pfn)).v;

	for (unsigned n = 0; n < i->use.nr_leave; n++)
		if (pa >= i->use.leave[n].start && pa - i->use.leave[n].start < i->use.leave[n].size)
			return true;
	return false;
}

/* ---- the bytes of a batch ---- */

void kmm_image_pack(struct kmm_image *i, size_t at, const uint8_t *flat, size_t len)
{
	KMM_ASSERT(i->k, at + len <= KMM_IMAGE_BATCH * KMM_PAGE_SIZE);
	for (size_t n; len; at += n, flat += n, len -= n) {
		size_t offset = at % KMM_PAGE_SIZE, left = KMM_PAGE_SIZE - offset;

		n = len < left ? len : left;
		memcpy(i->bytes[at / KMM_PAGE_SIZE].at + offset, flat, n);
	}
}

void kmm_image_unpack(struct kmm_image *i, size_t at, uint8_t *flat, size_t len)
{
	KMM_ASSERT(i->k, at + len <= KMM_IMAGE_BATCH * KMM_PAGE_SIZE);
	for (size_t n; len; at += n, flat += n, len -= n) {
		size_t offset = at % KMM_PAGE_SIZE, left = KMM_PAGE_SIZE - offset;

		n = len < left ? len : left;
		memcpy(flat, i->bytes[at / KMM_PAGE_SIZE].at + offset, n);
	}
}

enum kmm_status kmm_image_transfer(struct kmm_image *i, bool write, const uint32_t *slots, unsigned nr,
				   const struct kmm_image_room *rooms)
{
	struct kmm_swap_device *dev = i->use.dev;
	struct kmm_page *pages[KMM_IMAGE_BATCH];
	enum kmm_status status;

	KMM_ASSERT(i->k, nr <= KMM_IMAGE_BATCH);
	for (unsigned n = 0; n < nr; n++)
		pages[n] = rooms[n].page;
	for (unsigned done = 0, run; done < nr; done += run) {
		for (run = 1; done + run < nr && slots[done + run] == slots[done] + run;)
			run++;
		status = (write ? dev->ops->write : dev->ops->read)(dev, slots[done], run, pages + done);
		if (status)
			return kmm_image_fail(i, KMM_EIO, "%s: slots %u to %u of the image cannot be %s", dev->name, slots[done],
					      slots[done] + run - 1, write ? "written" : "read");
	}
	return KMM_OK;
}

/* ---- memory ---- */

static bool make_room(struct kmm *k, struct kmm_image_room *room)
{
	room->page = kmm_phys_alloc(k, KMM_GFP_KERNEL, 0, KMM_KIND_KERNEL, "hibernation image");
	if (room->page)
		room->at = kmm_page_lowmem_ptr(k, room->page);
	return room->page != NULL;
}

static void drop_room(struct kmm *k, struct kmm_image_room *room)
{
	if (room->page)
		kmm_phys_free(k, room->page, 0);
}

/* Both bitmaps in one piece. */
static bool make_bits(struct kmm_image *i)
{
	size_t bytes = (i->nr_frames / KMM_BITS + 1) * sizeof(*i->free);

	i->free = kmm_vmalloc(i->k, 2 * bytes, "hibernation image");
	if (!i->free)
		return false;
	i->wanted = i->free + bytes / sizeof(*i->free);
	return true;
}

static bool make_all(struct kmm_image *i)
{
	const struct kmm_compressor *c = &kmm_compressor_lz4;
	size_t work = c->compress_bytes > c->decompress_bytes ? c->compress_bytes : c->decompress_bytes;

	for (unsigned n = 0; n < KMM_IMAGE_BATCH; n++)
		if (!make_room(i->k, &i->bytes[n]))
			return false;
	if (!make_room(i->k, &i->index) || !make_room(i->k, &i->page) || !make_room(i->k, &i->packed))
		return false;
	i->work = kmm_kmalloc(i->k, work, KMM_GFP_KERNEL);
	return i->work && make_bits(i);
}

enum kmm_status kmm_image_new(struct kmm *k, const struct kmm_image_use *use, struct kmm_image **out)
{
	struct kmm_image *i;

	if (k->page_debug)
		return KMM_ENOTSUP;
	i = kmm_kzalloc(k, sizeof(*i), KMM_GFP_KERNEL);
	if (!i)
		return KMM_ENOMEM;
	i->k = k;
	i->use = *use;
	i->nr_frames = k->phys->max_pfn;
	if (!make_all(i)) {
		kmm_image_free(i);
		return KMM_ENOMEM;
	}
	*out = i;
	return KMM_OK;
}

void kmm_image_free(struct kmm_image *i)
{
	struct kmm *k = i->k;

	for (unsigned n = 0; n < KMM_IMAGE_BATCH; n++)
		drop_room(k, &i->bytes[n]);
	drop_room(k, &i->index);
	drop_room(k, &i->page);
	drop_room(k, &i->packed);
	kmm_kfree(k, i->work);
	if (i->free)
		kmm_vfree(k, i->free);
	kmm_kfree(k, i);
}
