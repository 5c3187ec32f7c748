/* SPDX-License-Identifier: MIT */
/*
 * swap.c - the calls that use block devices (block.c) for swap.
 *
 * zswap=N on the command line keeps pages in memory compressed, in front of all areas; policy=NAME chooses who goes,
 * answer=NAME what happens when nothing can.
 *
 * An area is written as Linux's mkswap does: page 0 holds the signature at its end, slots follow. With swap=NAME on the command
 * line the kernel itself prepares that device and takes it into use before the first program starts.
 */
#include "block.h"
#include "hibernate.h"
#include "kmm/reclaim.h"
#include "start.h"
#include "sys/sys.h"

enum { SWAP_PRIORITY = 0x8000, SWAP_PRIORITY_MASK = 0x7fff, SWAP_DISCARD = 0x10000, SWAP_DISCARD_ONCE = 0x20000,
       SWAP_DISCARD_PAGES = 0x40000, SWAP_KNOWN_FLAGS = 0x7ffff };

static enum kmm_status write_slots(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return block_transfer((struct block *)dev, WRITE_AWAKE, (uint64_t)first + 1, nr, pages) ? KMM_OK : KMM_EIO;
}

static enum kmm_status read_slots(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return block_transfer((struct block *)dev, READ, (uint64_t)first + 1, nr, pages) ? KMM_OK : KMM_EIO;
}

static void discard_slots(struct kmm_swap_device *dev, uint32_t first, unsigned nr)
{
	struct block *b = (struct block *)dev;

	if (__atomic_load_n(&b->discards_pages, __ATOMIC_RELAXED))
		block_discard(b, (uint64_t)first + 1, nr);
}

static const struct kmm_swap_ops ram_ops = { .write = write_slots, .read = read_slots };
static const struct kmm_swap_ops disk_ops = { .write = write_slots, .read = read_slots, .discard = discard_slots,
					      .start = blocks_swap_start, .poll = blocks_swap_poll };

/* ---- the signature ---- */

struct swap_header {
	char boot[1024];
	uint32_t version, last_page, nr_bad;
	char rest[KMM_PAGE_SIZE - 1024 - 12 - 10];
	char magic[10];
};
#define MAGIC { 'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2' }
_Static_assert(sizeof(struct swap_header) == KMM_PAGE_SIZE, "one page");

/* By the device's pages, as any other program's. */
static int write_header(struct block *b, struct swap_header *h)
{
	static const char magic[10] = MAGIC;
	enum kmm_status status;
	size_t done;

	h->version = 1;
	h->last_page = (uint32_t)(b->nr_pages - 1);
	memcpy(h->magic, magic, sizeof(magic));
	status = kmm_file_write(&b->cache, 0, h, sizeof(*h), &done);
	return os_errno(status);
}

static int read_header(struct block *b, struct swap_header *h)
{
	static const char magic[10] = MAGIC;
	size_t done;
	enum kmm_status status = kmm_file_read(&b->cache, 0, h, sizeof(*h), &done);

	if (status != KMM_OK || done < sizeof(*h))
		return -EIO;
	return memcmp(h->magic, magic, sizeof(magic)) == 0 && h->version == 1 ? 0 : -EINVAL;
}

static int header(struct block *b, int (*with)(struct block *b, struct swap_header *h))
{
	struct swap_header *h = os_zalloc(sizeof(*h));
	int err = h ? with(b, h) : -ENOMEM;

	os_free(h);
	return err;
}

/* From now on the slots are the core's, and pages of them in the device's cache would soon be old. */
static int empty_cache(struct block *b)
{
	uint32_t seen = kmm_file_errors(&b->cache);
	enum kmm_status status = kmm_file_sync(&b->cache, 0, UINT64_MAX, &seen);

	kmm_file_forget(&b->cache, 0, UINT64_MAX);
	return os_errno(status);
}

static bool is_on(const struct block *b)
{
	struct kmm_swap_info info;

	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (kmm_swap_info(os.k, i, &info) && info.dev == &b->dev)
			return true;
	return false;
}

/* flags: as of the system call; without ONCE and PAGES DISCARD means both. Nobody else turns it on now. */
static int turn_on_alone(struct block *b, int priority, uword flags)
{
	int err = is_on(b) ? -EBUSY : header(b, read_header);

	if (err == 0)
		err = empty_cache(b);
	if (err)
		return err;
	if ((flags & SWAP_DISCARD) && !(flags & SWAP_DISCARD_PAGES))
		block_discard(b, 1, b->nr_pages - 1);
	__atomic_store_n(&b->discards_pages, (flags & SWAP_DISCARD) && !(flags & SWAP_DISCARD_ONCE), __ATOMIC_RELAXED);
	if (!b->dev.ops) /* once: it may be in use */
		b->dev = (struct kmm_swap_device){ .ops = block_is_disk(b) ? &disk_ops : &ram_ops, .name = b->path, .type = "partition",
						   .nr_slots = b->nr_pages - 1 };
	return os_errno(kmm_swap_on(os.k, &b->dev, priority));
}

static int turn_on(struct block *b, int priority, uword flags)
{
	int err;

	if (__atomic_exchange_n(&b->turning_on, true, __ATOMIC_ACQUIRE))
		return -EBUSY;
	err = turn_on_alone(b, priority, flags);
	__atomic_store_n(&b->turning_on, false, __ATOMIC_RELEASE);
	return err;
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

	return err ? err : turn_on(b, priority, a[1]);
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
	struct block *b = block_named(name);

	if (!b)
		os_leave(OS_EXIT_INPUT, "swap=NAME: the name of no disk (vda, vdb, vdc, ram0)");
	if (b->nr_pages < 2)
		os_leave(OS_EXIT_INPUT, "the machine has no such disk to swap to");
	if (header(b, write_header) != 0 || turn_on(b, -1, 0) != 0)
		os_leave(OS_EXIT_INPUT, "the disk cannot be used for swap");
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

static void choose_answer(const char *name)
{
	enum kmm_answer answer = KMM_ANSWER_SWAP;

	while (answer < KMM_NR_ANSWERS && !str_eq(kmm_answer_name(answer), name))
		answer++;
	if (kmm_set_answer(os.k, answer) != KMM_OK)
		os_leave(OS_EXIT_INPUT, "answer=NAME: swap, enomem or block");
}

const struct kmm_swap_ops *block_swap_ops(void) { return &disk_ops; }

/* Returns only when there is nothing to go on with. */
static void resume(const char *disk)
{
	const char *why = hibernate_resume(disk);

	if (!os.options.start && !os.options.run)
		os_leave(OS_EXIT_INPUT, why);
	klog("%s; the machine starts anew", why);
}

void swap_start(void)
{
	blocks_start();
	hibernate_note_start();
	if (os.options.resume)
		resume(os.options.resume);
	if (os.options.answer)
		choose_answer(os.options.answer);
	if (os.options.policy)
		choose_policy(os.options.policy);
	if (os.options.zswap)
		start_zswap(os.options.zswap);
	if (os.options.swap)
		start_with(os.options.swap);
}
