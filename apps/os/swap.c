/* SPDX-License-Identifier: MIT */
/*
 * swap.c - block devices and the calls that use them for swap.
 *
 *   vda, vdb   virtio disks of the machine
 *   ram0       a piece of RAM that was kept from the core (ramdisk=SIZE on the command line): a disk without waiting, so that
 *              runs with counted instructions repeat
 *
 * zswap=N on the command line keeps pages in memory compressed, in front of all areas; policy=NAME chooses who goes.
 *
 * An area is written as Linux's mkswap does: page 0 holds the signature at its end, slots follow. With swap=NAME on the command
 * line the kernel itself prepares that device and takes it into use before the first program starts.
 */
#include "kmm/kmap.h"
#include "kmm/reclaim.h"
#include "proc/task.h"
#include "start.h"
#include "sys/sys.h"

enum { NR_DEVICES = X86_MAX_DISKS + 1, RAM = X86_MAX_DISKS, SECTORS = 8, SWAP_PRIORITY = 0x8000, SWAP_PRIORITY_MASK = 0x7fff,
       SWAP_KNOWN_FLAGS = 0x7ffff };

struct block {
	struct kmm_swap_device dev; /* first; its slots are the pages from 1 on */
	const char *name;
	uint32_t rdev;
	uint64_t nr_pages;
	char path[16];
};

static struct block block[NR_DEVICES] = {
	{ .name = "vda", .rdev = 254 << 8 | 0, .path = "/dev/vda" },
	{ .name = "vdb", .rdev = 254 << 8 | 16, .path = "/dev/vdb" },
	{ .name = "ram0", .rdev = 1 << 8 | 0, .path = "/dev/ram0" },
};

/* ---- transfers ---- */

static void move_ram(uint64_t page, struct kmm_page *frame, bool write)
{
	char *disk = x86_phys_ptr(os.ramdisk.start + (page << KMM_PAGE_SHIFT));
	char *view = kmm_kmap_local(os.k, frame);

	memcpy(write ? disk : view, write ? view : disk, KMM_PAGE_SIZE);
	kmm_kunmap_local(os.k, view);
}

static bool transfer(struct block *b, bool write, uint64_t first, unsigned nr, struct kmm_page *const *pages)
{
	uint64_t pa[X86_DISK_PAGES];

	if (nr > X86_DISK_PAGES || first + nr > b->nr_pages)
		return false;
	if (b == &block[RAM]) {
		for (unsigned i = 0; i < nr; i++)
			move_ram(first + i, pages[i], write);
		return true;
	}
	for (unsigned i = 0; i < nr; i++)
		pa[i] = kmm_pfn_to_paddr(kmm_page_to_pfn(os.k, pages[i])).v;
	return x86_disk_transfer((unsigned)(b - block), write, first * SECTORS, pa, nr);
}

static enum kmm_status write_slots(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return transfer((struct block *)dev, true, (uint64_t)first + 1, nr, pages) ? KMM_OK : KMM_EIO;
}

static enum kmm_status read_slots(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return transfer((struct block *)dev, false, (uint64_t)first + 1, nr, pages) ? KMM_OK : KMM_EIO;
}

static const struct kmm_swap_ops swap_ops = { .write = write_slots, .read = read_slots };

/* ---- the signature ---- */

struct swap_header {
	char boot[1024];
	uint32_t version, last_page, nr_bad;
	char rest[KMM_PAGE_SIZE - 1024 - 12 - 10];
	char magic[10];
};
_Static_assert(sizeof(struct swap_header) == KMM_PAGE_SIZE, "one page");

/* Writes it, or looks for it. */
static int header(struct block *b, bool write)
{
	static const char magic[10] = { 'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2' };
	struct kmm_page *page = kmm_alloc_pages(os.k, KMM_GFP_KERNEL | KMM_GFP_ZERO, 0);
	struct swap_header *h;
	int err = -ENOMEM;

	if (!page)
		return err;
	h = kmm_page_address(os.k, page);
	if (write) {
		h->version = 1;
		h->last_page = (uint32_t)(b->nr_pages - 1);
		memcpy(h->magic, magic, sizeof(magic));
	}
	err = transfer(b, write, 0, 1, &page) ? 0 : -EIO;
	if (err == 0 && (memcmp(h->magic, magic, sizeof(magic)) != 0 || h->version != 1))
		err = -EINVAL;
	kmm_put_page(os.k, page);
	return err;
}

static int turn_on(struct block *b, int priority)
{
	int err = header(b, false);

	if (err)
		return err;
	b->dev = (struct kmm_swap_device){ .ops = &swap_ops, .name = b->path, .type = "partition", .nr_slots = b->nr_pages - 1 };
	return os_errno(kmm_swap_on(os.k, &b->dev, priority));
}

/* ---- device files ---- */

static struct block *block_of(const struct inode *inode)
{
	for (unsigned i = 0; i < NR_DEVICES; i++)
		if (is_kind(inode, S_IFBLK) && block[i].rdev == inode->rdev && block[i].nr_pages > 1)
			return &block[i];
	return NULL;
}

/* Up to the end of a page, by way of a page of ours. */
static int move_bytes(struct open_file *file, void *bytes, size_t len, uint64_t *pos, bool write)
{
	struct block *b = block_of(file->inode);
	size_t offset = (size_t)(*pos & (KMM_PAGE_SIZE - 1));
	struct kmm_page *page;
	char *view;
	bool good;

	if (!b || *pos >> KMM_PAGE_SHIFT >= b->nr_pages)
		return write ? -ENOSPC : 0;
	len = len < KMM_PAGE_SIZE - offset ? len : KMM_PAGE_SIZE - offset;
	page = kmm_alloc_pages(os.k, KMM_GFP_KERNEL, 0);
	if (!page)
		return -ENOMEM;
	view = kmm_page_address(os.k, page);
	good = transfer(b, false, *pos >> KMM_PAGE_SHIFT, 1, &page);
	if (good && write) {
		memcpy(view + offset, bytes, len);
		good = transfer(b, true, *pos >> KMM_PAGE_SHIFT, 1, &page);
	} else if (good) {
		memcpy(bytes, view + offset, len);
	}
	kmm_put_page(os.k, page);
	if (!good)
		return -EIO;
	*pos += len;
	return (int)len;
}

static int block_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)nonblock;
	return move_bytes(file, to, len, pos, false);
}

/* All of it, as programs expect of a disk. */
static int block_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	size_t done = 0;

	(void)nonblock;
	while (done < len) {
		int n = move_bytes(file, (char *)from + done, len - done, pos, true);

		if (n < 0)
			return done ? (int)done : n;
		done += (size_t)n;
	}
	return (int)done;
}

const struct file_ops block_ops = { .read = block_read, .write = block_write, .seekable = true };

bool block_device(unsigned n, const char **name, uint32_t *rdev, uint64_t *size)
{
	if (n >= NR_DEVICES)
		return false;
	*name = block[n].name;
	*rdev = block[n].rdev;
	*size = block[n].nr_pages << KMM_PAGE_SHIFT;
	return true;
}

/* ---- system calls ---- */

/* The device that a path of the caller's names. */
static int find_device(uword path, struct block **out)
{
	struct inode *inode;
	int err = user_inode(AT_FDCWD, path, 0, &inode);

	if (err)
		return err;
	*out = block_of(inode);
	err = *out ? 0 : is_kind(inode, S_IFBLK) ? -ENXIO : -EINVAL;
	inode_put(inode);
	return err;
}

sword sys_swapon(const uword *a)
{
	int priority = a[1] & SWAP_PRIORITY ? (int)(a[1] & SWAP_PRIORITY_MASK) : -1;
	struct block *b;
	int err = a[1] & ~(uword)SWAP_KNOWN_FLAGS ? -EINVAL : find_device(a[0], &b);

	return err ? err : turn_on(b, priority);
}

sword sys_swapoff(const uword *a)
{
	struct block *b;
	int err = find_device(a[0], &b);

	return err ? err : os_errno(kmm_swap_off(os.k, &b->dev));
}

/* ---- the start ---- */

static void start_with(const char *name)
{
	for (unsigned i = 0; i < NR_DEVICES; i++) {
		if (!str_eq(name, block[i].name))
			continue;
		if (block[i].nr_pages < 2)
			os_leave(OS_EXIT_INPUT, "the machine has no such disk to swap to");
		if (header(&block[i], true) != 0 || turn_on(&block[i], -1) != 0)
			os_leave(OS_EXIT_INPUT, "the disk cannot be used for swap");
		return;
	}
	os_leave(OS_EXIT_INPUT, "swap=NAME: the name of no disk (vda, vdb, ram0)");
}

static void start_zswap(const char *percent)
{
	uint32_t n;

	if (!str_to_u32(percent, 10, &n, NULL))
		os_leave(OS_EXIT_INPUT, "zswap=N: a number of percents");
	switch (kmm_zswap_on(os.k, &kmm_compressor_lz4, n)) {
	case KMM_OK:
		return;
	case KMM_ENOMEM:
		os_leave(OS_EXIT_INPUT, "there is not enough memory to compress pages");
	default:
		os_leave(OS_EXIT_INPUT, "zswap=N: 1 to 90 percent are possible");
	}
}

static void choose_policy(const char *name)
{
	const struct kmm_reclaim_policy *const *policy = kmm_reclaim_policies;

	while (*policy && !str_eq((*policy)->name, name))
		policy++;
	if (!*policy)
		os_leave(OS_EXIT_INPUT, "policy=NAME: the core has no such policy");
	kmm_reclaim_set_policy(os.k, *policy);
}

void swap_start(void)
{
	unsigned nr = x86_disks_start();

	block[RAM].nr_pages = os.ramdisk.size >> KMM_PAGE_SHIFT;
	for (unsigned i = 0; i < nr; i++)
		block[i].nr_pages = x86_disk_sectors(i) / SECTORS;
	if (os.options.policy)
		choose_policy(os.options.policy);
	if (os.options.zswap)
		start_zswap(os.options.zswap);
	if (os.options.swap)
		start_with(os.options.swap);
}
