/* SPDX-License-Identifier: MIT */
/* block.h - block devices. */
#ifndef OS_BLOCK_H
#define OS_BLOCK_H

#include "kmm/swap.h"
#include "proc/task.h"

struct block {
	struct kmm_swap_device dev; /* first; its slots are the pages from 1 on */
	const char *name;
	uint32_t rdev;
	uint64_t nr_pages;          /* below 2: the machine has none of that name */
	struct kmm_file cache;      /* all of its bytes */
	char path[16];
	bool discards_pages;        /* atomic; its swapon asked for slots to be discarded when they are dead */
	bool turning_on;            /* atomic; a swapon is at it */
};

void blocks_start(void);
bool blocks_any(void); /* is there a block device? */
struct block *block_named(const char *name); /* NULL: there is no such name */
struct block *block_of(const struct inode *inode);
bool block_is_disk(const struct block *b);
/* WRITE_AWAKE: for who must not sleep; others do, where there is something to sleep in. */
enum transfer { READ, WRITE, WRITE_AWAKE };
/* Moves nr pages (at most X86_DISK_PAGES) and returns when that is over; false: an error. */
bool block_transfer(struct block *b, enum transfer what, uint64_t first, unsigned nr, struct kmm_page *const *pages);
/* Tells the disk that these pages are no longer needed, and returns when that is over. A disk that does not take that in: nothing. */
void block_discard(struct block *b, uint64_t first, uint64_t nr);
/* For the core's swap: the disk's ends. */
void blocks_swap_start(struct kmm_swap_device *dev, struct kmm_swap_io *io);
bool blocks_swap_poll(struct kmm_swap_device *dev);
/* swap.c: what the core is given for a disk. */
const struct kmm_swap_ops *block_swap_ops(void);
/* Transfers of the disks: that the core began, that somebody slept for here, and waited for awake; most at a time; pages discarded. */
struct block_stats { uint32_t begun, slept, awake, most, discarded; };
struct block_stats blocks_stats(void);
/* An interrupt of that line came. */
void blocks_interrupt(int irq);

#endif
