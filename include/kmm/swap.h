/* SPDX-License-Identifier: MIT */
/*
 * Swap: where private pages go when memory ends (tier c). An area is a device that keeps pages by number; the core
 * keeps the map of its slots. Areas come and go while the machine runs.
 */
#ifndef KMM_SWAP_H
#define KMM_SWAP_H

#include "kmm/page.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kmm_swap_device;

#define KMM_SWAP_RUN 32u       /* slots in one transfer */
#define KMM_SWAP_AREAS 8u      /* areas at a time */
#define KMM_SWAP_MOST (1u << 23) /* slots of an area that are used: 32 GiB */
#define KMM_SWAP_ROOM 48u

/* A transfer that a device was asked to begin: of nr consecutive slots, from or to the pages, which stay until it ends. */
struct kmm_swap_io {
	bool write;
	uint32_t first;
	unsigned nr;
	struct kmm_page *const *pages;
	uint64_t room[KMM_SWAP_ROOM]; /* the device's own until the end */
};

/* What a device does. Slots are numbered from 0; a transfer is of nr consecutive slots, at most KMM_SWAP_RUN. All are
 * called without spin locks, perhaps with mutexes of the core held; they return when the transfer is over. They
 * run when memory is short: what they need must have been set aside before. */
struct kmm_swap_ops {
	/* The contents of pages[0 .. nr-1] to slots first, first + 1 ... Any error: the core takes none of them for written.
	 * errors: KMM_EIO. */
	enum kmm_status (*write)(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages);
	/* And back. errors: KMM_EIO; the pages' contents are then undefined. */
	enum kmm_status (*read)(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages);
	/* The contents of these slots are no longer needed. NULL: the device does not want to know. */
	void (*discard)(struct kmm_swap_device *dev, uint32_t first, unsigned nr);
	/* Begins a transfer and returns; several may be under way, and end in any order. Its end is told by kmm_swap_end(), perhaps
	 * from inside this call. Spin locks of the core are not held; must not sleep. With it read and write are called only for
	 * what was compressed in memory; NULL: for all, and they are waited for. */
	void (*start)(struct kmm_swap_device *dev, struct kmm_swap_io *io);
	/* Tells now of transfers that are over, for who cannot wait for an interrupt. Were there any? NULL: they end by
	 * themselves. */
	bool (*poll)(struct kmm_swap_device *dev);
};

struct kmm_swap_device {
	const struct kmm_swap_ops *ops;
	struct kmm *k;             /* set by kmm_swap_on() */
	const char *name;          /* for reports; must outlive the area */
	const char *type;          /* "partition" or "file" */
	uint64_t nr_slots;         /* pages */
};

/* Takes dev into use; of several areas those of the highest priority are filled first, equal ones by turns. A negative
 * priority means the default: below all that were given, each area below the one before. dev must outlive the area.
 * errors: KMM_EINVAL no slots; KMM_EBUSY it is in use; KMM_EOVERFLOW KMM_SWAP_AREAS are; KMM_ENOMEM.
 * context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_swap_on(struct kmm *k, struct kmm_swap_device *dev, int priority);
/* Brings back all that is in the area and gives it up. errors: KMM_EINVAL not in use; KMM_ENOMEM: what is in it does not
 * fit, KMM_EIO: something cannot be read; it stays in use then. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_swap_off(struct kmm *k, struct kmm_swap_device *dev);

/* A transfer that start() began is over. errors that status may have: KMM_EIO. context: none of the core's spin locks held; may
 * be an interrupt. The next transfer may be begun from inside. */
void kmm_swap_end(struct kmm_swap_device *dev, struct kmm_swap_io *io, enum kmm_status status);

struct kmm_swap_info {
	const struct kmm_swap_device *dev;
	int priority;
	kmm_word nr_slots, nr_used, nr_bad; /* bad: retired after a write that failed; they are not used again */
};
/* The area at place i below KMM_SWAP_AREAS. false: there is none. */
bool kmm_swap_info(struct kmm *k, unsigned i, struct kmm_swap_info *out);

struct kmm_swap_stats {
	kmm_word total, free;      /* slots of all areas */
	kmm_word in, out;          /* pages read and written */
	kmm_word same_in, same_out; /* pages of one repeated byte, which take no slot */
	kmm_word read_errors, write_errors; /* pages */
	kmm_word ahead, ahead_used; /* pages read before anybody asked for them; those of them that somebody asked for then */
	kmm_word major;            /* faults that a page had to be read for, or one on its way waited for; calls on files are none */
	kmm_word retaken;          /* pages that were wanted again before they were written; all of these wrap */
	kmm_word cached;           /* pages now that are read ahead, or could not be written */
	kmm_word writing;          /* pages on their way to devices now */
};
void kmm_swap_stats(struct kmm *k, struct kmm_swap_stats *out);

/* ---- compressed pages in memory, in front of the areas ---- */

/* Contents are pages. All run without spin locks but perhaps with interrupts off, and may neither sleep nor call the core. */
struct kmm_compressor {
	const char *name;
	size_t compress_bytes, decompress_bytes; /* of memory that each call gets to work in; contents are undefined before */
	/* The page to `out`; returns how many bytes that takes: more than 8, at most `room`. 0: it does not fit. */
	size_t (*compress)(const void *page, void *out, size_t room, void *work);
	/* And back, all of the page. false: these bytes are none of compress's. */
	bool (*decompress)(const void *bytes, size_t size, void *page, void *work);
};
/* One that every embedder can have: LZ4's format, without floating point or vector registers. */
extern const struct kmm_compressor kmm_compressor_lz4;

/* From now on pages that leave for an area are first kept in memory, compressed, in up to `percent` of all of it; the
 * oldest are written on to their areas when that is full. A slot is taken all the same. errors: KMM_EINVAL percent is not 1
 * to 90; KMM_EBUSY it was started with something else before; KMM_ENOMEM. context: no locks, may sleep. */
KMM_MUST_CHECK enum kmm_status kmm_zswap_on(struct kmm *k, const struct kmm_compressor *c, unsigned percent);
/* Nothing more is kept; what is stays until somebody needs it. */
void kmm_zswap_off(struct kmm *k);

struct kmm_zswap_stats {
	kmm_word pages, bytes;     /* kept now, and what they were compressed to */
	kmm_word frames, most_frames; /* of the pool, some of them in reserve */
	kmm_word in, out;          /* pages loaded and stored; these and the next wrap */
	kmm_word refused;          /* pages that did not compress, or found no frame */
	kmm_word written_on;       /* pages written to their areas later */
};
void kmm_zswap_stats(struct kmm *k, struct kmm_zswap_stats *out);

/* Text of /proc/swaps. */
void kmm_report_swaps(struct kmm *k, struct kmm_sink *out);

#ifdef __cplusplus
}
#endif
#endif
