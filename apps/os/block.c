/* SPDX-License-Identifier: MIT */
/*
 * block.c - block devices and their files.
 *
 *   vda to vdc virtio disks of the machine
 *   ram0       a piece of RAM that was kept from the core (ramdisk=SIZE on the command line): a disk without waiting, so that
 *              runs with counted instructions repeat
 *
 * A device's file has one page cache whatever names it, for reads, writes and mappings; what was written reaches the disk when it
 * is synced, in the background, or when the machine ends.
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
	{ .name = "vdc", .rdev = 254 << 8 | 32, .path = "/dev/vdc" },
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

/* An error is no harm: the contents stay then. */
void block_discard(struct block *b, uint64_t first, uint64_t nr)
{
	unsigned disk = (unsigned)(b - block);
	uint32_t most = b == &block[RAM] ? 0 : x86_disk_most_discarded(disk) / SECTORS;

	for (uint64_t some; most && nr; first += some, nr -= some) {
		struct waited w = { .request = { .sector = first * SECTORS, .done = note_over } };

		some = nr < most ? nr : most;
		w.request.discard = (uint32_t)some * SECTORS;
		if (!x86_disk_start(disk, &w.request))
			return;
		await(disk, &w, false);
		if (w.request.good)
			__atomic_fetch_add(&stats.discarded, (uint32_t)some, __ATOMIC_RELAXED);
	}
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

bool blocks_any(void)
{
	for (unsigned i = 0; i < NR_DEVICES; i++)
		if (block[i].nr_pages > 1)
			return true;
	return false;
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

static struct block *block_by_file(struct kmm_file *file)
{
	return container_of(file, struct block, cache);
}

static enum kmm_status store_read(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages)
{
	return block_transfer(block_by_file(file), READ, first, nr, pages) ? KMM_OK : KMM_EIO;
}

static enum kmm_status store_write(struct kmm_file *file, uint64_t first, unsigned nr, struct kmm_page *const *pages, bool awake)
{
	return block_transfer(block_by_file(file), awake ? WRITE_AWAKE : WRITE, first, nr, pages) ? KMM_OK : KMM_EIO;
}

static const struct kmm_file_store store = { .read = store_read, .write = store_write };

static struct kmm_file *cache_of(const struct open_file *file)
{
	struct block *b = block_of(file->inode);

	return b ? &b->cache : NULL;
}

int block_open(struct open_file *file)
{
	struct kmm_file *cache = cache_of(file);

	file->ops = &block_ops;
	file->seen_errors = cache ? kmm_file_errors(cache) : 0;
	return cache ? 0 : -ENXIO;
}

struct kmm_backing *block_backing(const struct open_file *file)
{
	struct kmm_file *cache = cache_of(file);

	return cache ? &cache->backing : NULL;
}

int block_sync(struct open_file *file, uint64_t first, uint64_t nr)
{
	return os_errno(kmm_file_sync(cache_of(file), first, nr, &file->seen_errors));
}

void blocks_forget(void)
{
	for (unsigned i = 0; i < NR_DEVICES; i++)
		kmm_file_forget(&block[i].cache, 0, UINT64_MAX);
}

static int block_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	size_t done = 0;
	enum kmm_status status = kmm_file_read(cache_of(file), *pos, to, len, &done);

	(void)nonblock;
	*pos += done;
	return done ? (int)done : os_errno(status);
}

static int block_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	struct kmm_file *cache = cache_of(file);
	uint64_t first = *pos >> KMM_PAGE_SHIFT;
	size_t done = 0;
	enum kmm_status status = kmm_file_write(cache, *pos, from, len, &done);
	int err = 0;

	(void)nonblock;
	if (done && (file->flags & (O_DSYNC | O_DIRECT)))
		err = block_sync(file, first, ((*pos + done - 1) >> KMM_PAGE_SHIFT) - first + 1);
	if (err)
		return err;
	*pos += done;
	return done ? (int)done : status == KMM_ERANGE ? -ENOSPC : os_errno(status);
}

static int block_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	enum { BLKGETSIZE = 0x1260, BLKFLSBUF = 0x1261, BLKSSZGET = 0x1268, BLKGETSIZE64_32 = 0x80041272u };
	const uint32_t BLKGETSIZE64_64 = 0x80081272u;
	struct kmm_file *cache = cache_of(file);
	const uint32_t sector = 512;
	uword sectors = (uword)(cache->size >> 9);
	int err;

	if (request == BLKGETSIZE64_64 || request == BLKGETSIZE64_32)
		return copy_out(arg, &cache->size, sizeof(cache->size));
	switch (request) {
	case BLKGETSIZE:
		return put_words(arg, &sectors, 1);
	case BLKSSZGET:
		return copy_out(arg, &sector, sizeof(sector));
	case BLKFLSBUF:
		err = block_sync(file, 0, UINT64_MAX);
		kmm_file_forget(cache, 0, UINT64_MAX);
		return err;
	default:
		return -ENOTTY;
	}
}

const struct file_ops block_ops = {
	.read = block_read, .write = block_write, .ioctl = block_ioctl, .seekable = true, .own_locks = true,
};

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

static void start_cache(struct block *b, uint64_t nr_pages)
{
	b->nr_pages = nr_pages;
	kmm_file_init(&b->cache, os.k, nr_pages << KMM_PAGE_SHIFT, b->path); /* and the reference stays */
	kmm_file_set_store(&b->cache, &store);
	b->cache.backing.dev_minor = 1;
}

void blocks_start(void)
{
	unsigned nr = x86_disks_start();

	block[RAM].nr_pages = os.ramdisk.size >> KMM_PAGE_SHIFT;
	for (unsigned i = 0; i < NR_DEVICES; i++)
		start_cache(&block[i], i < nr ? x86_disk_sectors(i) / SECTORS : block[i].nr_pages);
	for (unsigned i = 0; i < nr; i++) {
		if (x86_disk_irq(i))
			x86_irq_unmask(x86_disk_irq(i));
		klog("disk %s: %u MiB, %s %d", block[i].name, (unsigned)(block[i].nr_pages >> (20 - KMM_PAGE_SHIFT)),
		     x86_disk_irq(i) ? "interrupt" : "polled, interrupt", x86_disk_irq(i));
	}
}
