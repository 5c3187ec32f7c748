/* SPDX-License-Identifier: MIT */
/*
 * block.c - block devices and their files.
 *
 *   vda, vdb   virtio disks of the machine
 *   ram0       a piece of RAM that was kept from the core (ramdisk=SIZE on the command line): a disk without waiting, so that
 *              runs with counted instructions repeat
 *
 * Who waits for a disk sleeps, and others run; the disk's interrupt, which the boot processor gets, ends that.
 */
#include "block.h"
#include "kmm/kmap.h"
#include "sys/sys.h"

enum { NR_DEVICES = X86_MAX_DISKS + 1, RAM = X86_MAX_DISKS, SECTORS = 8 };

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

/* One that somebody waits for. */
struct waited {
	struct x86_disk_request request; /* first */
	bool over;
};

static void note_over(struct x86_disk_request *request)
{
	struct waited *w = (struct waited *)request;

	__atomic_store_n(&w->over, true, __ATOMIC_RELEASE); /* from here on it may be gone */
	sched_wake(w);
}

static bool is_over(void *arg)
{
	return __atomic_load_n(&((struct waited *)arg)->over, __ATOMIC_ACQUIRE);
}

static struct block_stats stats; /* atomic */

static void await(unsigned disk, struct waited *w, bool awake)
{
	const struct sleep s = { .key = w, .done = is_over, .arg = w };

	if (!awake && current->stack && x86_disk_irq(disk)) {
		__atomic_fetch_add(&stats.slept, 1, __ATOMIC_RELAXED);
		while (sched_sleep_on(&s) != SLEEP_DONE)
			;
		return;
	}
	__atomic_fetch_add(&stats.awake, 1, __ATOMIC_RELAXED);
	while (!is_over(w)) {
		x86_disk_poll(disk);
		x86_relax();
	}
}

bool block_transfer(struct block *b, enum transfer what, uint64_t first, unsigned nr, struct kmm_page *const *pages)
{
	struct waited w = { .request = { .write = what != READ, .nr_pages = nr, .sector = first * SECTORS, .done = note_over } };
	uint64_t pa[X86_DISK_PAGES];

	if (nr > X86_DISK_PAGES || first + nr > b->nr_pages)
		return false;
	if (b == &block[RAM]) {
		for (unsigned i = 0; i < nr; i++)
			move_ram(first + i, pages[i], what != READ);
		return true;
	}
	for (unsigned i = 0; i < nr; i++)
		pa[i] = kmm_pfn_to_paddr(kmm_page_to_pfn(os.k, pages[i])).v;
	w.request.pa = pa;
	if (!x86_disk_start((unsigned)(b - block), &w.request))
		return false;
	await((unsigned)(b - block), &w, what == WRITE_AWAKE);
	return w.request.good;
}

/* ---- the core's transfers ---- */

/* In the room that the core has for us. */
struct begun {
	struct x86_disk_request request; /* first */
	struct kmm_swap_device *dev;
	struct kmm_swap_io *io;
	uint64_t pa[KMM_SWAP_RUN];
};
_Static_assert(sizeof(struct begun) <= sizeof(((struct kmm_swap_io *)0)->room) && KMM_SWAP_RUN <= X86_DISK_PAGES, "fits");
static uint32_t under_way; /* atomic */

static void tell_core(struct x86_disk_request *request)
{
	struct begun *b = (struct begun *)request;

	__atomic_fetch_sub(&under_way, 1, __ATOMIC_RELAXED);
	kmm_swap_end(b->dev, b->io, request->good ? KMM_OK : KMM_EIO);
}

void blocks_swap_start(struct kmm_swap_device *dev, struct kmm_swap_io *io)
{
	struct begun *b = (struct begun *)(void *)io->room;
	uint32_t now = __atomic_add_fetch(&under_way, 1, __ATOMIC_RELAXED);

	*b = (struct begun){ .dev = dev, .io = io };
	b->request = (struct x86_disk_request){ .write = io->write, .nr_pages = io->nr, .sector = ((uint64_t)io->first + 1) * SECTORS,
						.pa = b->pa, .done = tell_core };
	for (unsigned i = 0; i < io->nr; i++)
		b->pa[i] = kmm_pfn_to_paddr(kmm_page_to_pfn(os.k, io->pages[i])).v;
	__atomic_fetch_add(&stats.begun, 1, __ATOMIC_RELAXED);
	if (now > stats.most)
		stats.most = now;
	if (!x86_disk_start((unsigned)((struct block *)dev - block), &b->request))
		tell_core(&b->request);
}

bool blocks_swap_poll(struct kmm_swap_device *dev)
{
	return x86_disk_poll((unsigned)((struct block *)dev - block));
}

bool block_is_disk(const struct block *b) { return b != &block[RAM]; }
struct block_stats blocks_stats(void) { return stats; }

void blocks_interrupt(int irq)
{
	for (unsigned n = 0; n < X86_MAX_DISKS; n++)
		if (x86_disk_irq(n) == irq && x86_disk_poll(n)) /* without a line: by the clock, which is 0 */
			current->resched = true; /* who waited has been away for long */
}

/* ---- device files ---- */

struct block *block_of(const struct inode *inode)
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
	good = block_transfer(b, READ, *pos >> KMM_PAGE_SHIFT, 1, &page);
	if (good && write) {
		memcpy(view + offset, bytes, len);
		good = block_transfer(b, WRITE, *pos >> KMM_PAGE_SHIFT, 1, &page);
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

/* ---- the start ---- */

struct block *block_named(const char *name)
{
	for (unsigned i = 0; i < NR_DEVICES; i++)
		if (str_eq(name, block[i].name))
			return &block[i];
	return NULL;
}

void blocks_start(void)
{
	unsigned nr = x86_disks_start();

	block[RAM].nr_pages = os.ramdisk.size >> KMM_PAGE_SHIFT;
	for (unsigned i = 0; i < nr; i++) {
		block[i].nr_pages = x86_disk_sectors(i) / SECTORS;
		if (x86_disk_irq(i))
			x86_irq_unmask(x86_disk_irq(i));
		klog("disk %s: %u MiB, %s %d", block[i].name, (unsigned)(block[i].nr_pages >> (20 - KMM_PAGE_SHIFT)),
		     x86_disk_irq(i) ? "interrupt" : "polled, interrupt", x86_disk_irq(i));
	}
}
