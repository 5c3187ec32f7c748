/* SPDX-License-Identifier: MIT */
/*
 * A hibernation image inside: what lies in the slots, and what writer and reader share.
 *
 *	head --> index block --> index block --> ...        a block is a slot
 *	           | batches: up to 32 pages, and the slots their bytes were put into one behind the other
 *	           v
 *	         slot slot slot
 *
 * A page is kept by its bytes, compressed if that makes it smaller, or as one repeated byte, in no slot at all. Every page has a
 * sum of its contents and its number, every index block one of all of it, and the number of the image and of the block,
 * so what an earlier image left behind is not taken for this one's.
 *
 * The writer looks for free slots in the area's map and leaves the map as it is (kmm/hibernate.h says why).
 */
#ifndef KMM_SWAP_IMAGE_H
#define KMM_SWAP_IMAGE_H

#include "kmm/hibernate.h"
#include "phys/phys.h"
#include "swap/swap.h"

enum { KMM_IMAGE_BATCH = KMM_SWAP_RUN, KMM_IMAGE_BATCHES = 6, KMM_IMAGE_WHY = 128 };
#define KMM_IMAGE_NO_SLOT 0xffffffffu

struct kmm_image_page {
	uint64_t pfn;
	uint32_t size;            /* bytes: KMM_PAGE_SIZE, less when compressed; 0: one repeated byte, which sum is */
	uint32_t sum;
};

struct kmm_image_batch {
	uint32_t nr_pages, nr_slots;
	uint32_t slot[KMM_IMAGE_BATCH];
	struct kmm_image_page page[KMM_IMAGE_BATCH];
};

struct kmm_image_index {
	uint64_t id;
	uint32_t number, nr_batches;
	uint32_t next;            /* slot; KMM_IMAGE_NO_SLOT in the last */
	uint32_t sum;             /* of all others */
	struct kmm_image_batch batch[KMM_IMAGE_BATCHES];
	uint8_t rest[KMM_PAGE_SIZE - 24 - KMM_IMAGE_BATCHES * (8 + 20 * KMM_IMAGE_BATCH)]; /* zero */
};
_Static_assert(sizeof(struct kmm_image_index) == KMM_PAGE_SIZE, "a block");

/* A page of low memory set aside. */
struct kmm_image_room {
	struct kmm_page *page;
	uint8_t *at;
};

struct kmm_image {
	struct kmm *k;
	struct kmm_image_use use;
	struct kmm_image_room bytes[KMM_IMAGE_BATCH]; /* of a batch, one page behind the other */
	struct kmm_image_room index, page, packed;
	void *work;               /* the compressor's */
	kmm_bits *free, *wanted;  /* a bit per frame: nobody's now; in the image that is read */
	kmm_word nr_frames;
	kmm_word hand;            /* frames from here on were not yet taken to keep something */
	char why[KMM_IMAGE_WHY];
};

/* The sentence for kmm_image_why(), and status. */
__attribute__((format(printf, 3, 4))) enum kmm_status kmm_image_fail(struct kmm_image *i, enum kmm_status status,
								     const char *format, ...);

/* Of whole words; each is mixed in by steps that can be undone, so no change of a single word goes unnoticed. */
uint32_t kmm_image_sum(const void *at, size_t bytes, uint32_t start);
uint32_t kmm_image_page_sum(const void *page, uint64_t pfn);
uint32_t kmm_image_head_sum(const struct kmm_image_head *head);
uint32_t kmm_image_index_sum(struct kmm_image_index *index);
uint64_t kmm_image_memory(struct kmm *k);

/* A frame by its number, seen through a window if it is high; undone before the next one. */
void *kmm_image_view(struct kmm *k, kmm_word pfn);
void kmm_image_unview(struct kmm *k, kmm_word pfn, const void *view);

bool kmm_image_leaves_out(const struct kmm_image *i, kmm_word pfn);

/* Moves len bytes between `flat` and the rooms of a batch, from byte `at` of those. */
void kmm_image_pack(struct kmm_image *i, size_t at, const uint8_t *flat, size_t len);
void kmm_image_unpack(struct kmm_image *i, size_t at, uint8_t *flat, size_t len);

/* One block, or the slots of a batch in as few transfers as they allow. errors: KMM_EIO. */
KMM_MUST_CHECK enum kmm_status kmm_image_transfer(struct kmm_image *i, bool write, const uint32_t *slots, unsigned nr,
						  const struct kmm_image_room *rooms);

#endif
