/* SPDX-License-Identifier: MIT */
/*
 * Hibernation (tier c): an image of all frames in use, the kernel's too, in the free slots of a swap area, and the way back.
 * It is the one case in which kernel memory goes to a disk.
 *
 * Writing: the embedder stops all programs and processors, saves the state of the one that goes on, and calls
 * kmm_image_write(). The image is taken in place and piece by piece, not from a copy, so from the moment whose state was saved
 * until the machine is off nothing but the writer and the device's operations may run. What those change in memory must
 * not matter afterwards (counters, their own stack), or lie in ranges that are left out. No slot is marked as used: the map of
 * slots in the image says that those of the image are free, which is true as soon as it was read. The head is the
 * embedder's to keep outside of the slots, to be written last and erased before the machine goes on.
 *
 * Reading: a kernel of the same build that has just started, and runs nothing yet, calls kmm_image_read(). Contents of frames that are
 * free now go to their places, those of frames in use are kept in frames that neither this kernel nor the image
 * uses. Nothing is lost until then. What is left is the embedder's, as nothing of this kernel may run meanwhile: to
 * move those, and to go on with the saved state.
 *
 *	frame in the image     now free            --> read to its place
 *	                       now in use          --> read to a frame that is free now and in no image; a move of the list
 *	frame left out         code, data that says so, devices' own: as this kernel has it
 */
#ifndef KMM_HIBERNATE_H
#define KMM_HIBERNATE_H

#include "kmm/machine.h"
#include "kmm/swap.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KMM_IMAGE_HEAD 1024u /* bytes */
#define KMM_IMAGE_NOTE 256u
#define KMM_IMAGE_VERSION 1u

/* What says that there is an image and where, and of what kernel and machine. Little endian, the same on all machines. */
struct kmm_image_head {
	char magic[8];             /* "kmmimage" */
	uint32_t version, format;  /* enum kmm_format_id */
	uint64_t id;               /* of this image: each of its index blocks repeats it */
	uint64_t build, ground;    /* the embedder's: of the kernel's code; of processor and devices */
	uint64_t memory;           /* of the memory map and the layout of kernel addresses */
	uint64_t nr_slots;         /* of the device */
	uint64_t nr_pages;         /* in the image; those of one repeated byte take no room */
	uint64_t nr_written;       /* slots that it takes */
	uint64_t ram_pages;
	uint32_t nr_cpus, first_index; /* slot of the first index block */
	uint32_t nr_indexes, reserved;
	char note[KMM_IMAGE_NOTE]; /* the embedder's, for people and tools; zero-terminated */
	uint8_t rest[KMM_IMAGE_HEAD - 8 - 8 - 8 * 8 - 16 - KMM_IMAGE_NOTE - 8]; /* zero */
	uint32_t more, sum;        /* zero; of all before */
};

/* What writer and reader are told. */
struct kmm_image_use {
	struct kmm_swap_device *dev; /* writer: in use as an area; reader: not in use */
	const struct kmm_memrange *leave; /* memory that is left out, sorted by nobody */
	unsigned nr_leave;
	uint64_t build, ground, id;  /* the reader's id does not count */
	const char *note;            /* the writer's; NULL: none */
};

struct kmm_image;

/* What both need is set aside: afterwards no memory is asked for. use: stays as long. errors: KMM_ENOMEM; KMM_ENOTSUP
 * pages are poisoned (kmm/debug.h), which finds every free frame that is read to. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_image_new(struct kmm *k, const struct kmm_image_use *use, struct kmm_image **out);
void kmm_image_free(struct kmm_image *image);
/* A sentence about the last failure, with the place. */
const char *kmm_image_why(const struct kmm_image *image);

/* Pages that an image of now would have. context: nothing else runs. */
kmm_word kmm_image_pages(struct kmm_image *image);
/* Writes all of the image but the head, which it fills. errors: KMM_EINVAL the device is no area; KMM_ENOMEM its free slots do
 * not suffice; KMM_EIO. The machine goes on as if nothing had been asked then. context: nothing else runs, no locks. */
KMM_MUST_CHECK enum kmm_status kmm_image_write(struct kmm_image *image, struct kmm_image_head *head);

/* Is this the head of an image? Without a machine: for tools. false: it is none, or damaged; *why (may be NULL) says. */
bool kmm_image_head_good(const struct kmm_image_head *head, const char **why);

/* Contents that must be moved: a list of pages that lie in frames that nobody uses. */
#define KMM_IMAGE_MOVES 255u
struct kmm_image_moves {
	uint64_t next;             /* pfn of the next page of the list; 0: this was the last */
	uint64_t nr;
	struct { uint64_t to, from; } move[KMM_IMAGE_MOVES]; /* pfns; no `from` is any `to`, nor in the list */
};

/* Reads the image. *moves: the first page of the list, 0 when it is empty. errors, all of which leave this kernel as it was
 * but for the contents of free frames: KMM_EINVAL it is damaged, or of another kernel or machine; KMM_EIO; KMM_ENOMEM no
 * frame is left to keep something in. context: one processor, nothing else runs; after success nothing may be
 * allocated or freed any more. */
KMM_MUST_CHECK enum kmm_status kmm_image_read(struct kmm_image *image, const struct kmm_image_head *head,
					      struct kmm_pfn *moves);

#ifdef __cplusplus
}
#endif
#endif
