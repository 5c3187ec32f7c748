/* SPDX-License-Identifier: MIT */
/*
 * hibernate.c - the machine to a disk and back (kmm/hibernate.h, x86.h). A task asks (reboot(2), /sys/power/state); as at the end
 * of the machine (leave.c) all others go on to where they hold nothing, and then the boot processor's idle task writes.
 *
 *	page 0 of the disk    Linux's signature of a swap area; an image has its head in what is free there, and another
 *	                      signature, until it was used
 *	the others            slots
 *
 * A disk with an image is no swap area to anybody, so what the image counts on stays there. Resuming gives the signature
 * back before the old kernel goes on, so an image is used once.
 */
#include "hibernate.h"

#include "block.h"
#include "kmm/hibernate.h"
#include "kmm/kmap.h"
#include "kmm/reclaim.h"
#include "kmm/writeback.h"
#include "proc/cpu.h"

enum { MAX_LEFT_OUT = 8, MARGIN = 256 /* pages */, TRIES = 64 };

struct page0 {
	char boot[1024];
	uint32_t version, last_page, nr_bad;
	char rest[512 - 12];
	struct kmm_image_head head; /* behind Linux's header, where the bad pages of an area that has some would be */
	char free[KMM_PAGE_SIZE - 1536 - KMM_IMAGE_HEAD - 10];
	char magic[10];
};
_Static_assert(sizeof(struct page0) == KMM_PAGE_SIZE, "one page");
static const char swap_magic[10] = { 'S', 'W', 'A', 'P', 'S', 'P', 'A', 'C', 'E', '2' };
static const char image_magic[10] = { 'K', 'M', 'M', 'I', 'M', 'A', 'G', 'E', '0', '1' };

static struct {
	bool asked;              /* kernel lock */
	bool wanted, over;       /* atomic: all shall rest; it was written, or could not be */
	int err;
	struct kmm_image *image;
	struct kmm_image_use use;
	struct kmm_memrange leave[MAX_LEFT_OUT];
	struct block *disk;
	struct kmm_page *page;   /* for page 0 */
	struct page0 *page0;     /* where it is seen */
	struct kmm_image_head head;
	kmm_word start_pages;    /* what this kernel used when it had just started */
} h;

/* ---- what both sides need ---- */

/* Of processor and disks: a machine where one is another cannot go on. */
static uint64_t ground_id(void)
{
	uint64_t id = (uint64_t)x86_cpu_info.features_edx << 32 | x86_cpu_info.features_ecx;

	id = id * 31 + x86_cpu_info.phys_bits + ((uint64_t)x86_cpu_info.pcid << 8) + ((uint64_t)x86_cpu_info.smap << 9);
	for (unsigned i = 0; i < X86_MAX_DISKS; i++)
		id = (id ^ x86_disk_sectors(i)) * 0x100000001b3ull;
	return id;
}

static enum kmm_status prepare(struct block *disk)
{
	struct x86_mem_range left_out[MAX_LEFT_OUT];
	enum kmm_status status;

	h.disk = disk;
	h.use = (struct kmm_image_use){ .dev = &disk->dev, .leave = h.leave, .nr_leave = x86_left_out(left_out, MAX_LEFT_OUT),
					.build = x86_build_id(), .ground = ground_id(), .note = os.options.note };
	os_random(&h.use.id, sizeof(h.use.id));
	for (unsigned i = 0; i < h.use.nr_leave; i++)
		h.leave[i] = (struct kmm_memrange){ .start = left_out[i].base, .size = left_out[i].size };
	h.page = kmm_alloc_pages(os.k, KMM_GFP_KERNEL, 0);
	status = h.page ? kmm_image_new(os.k, &h.use, &h.image) : KMM_ENOMEM;
	if (h.page)
		h.page0 = kmm_page_address(os.k, h.page);
	return status;
}

static void finish(void)
{
	if (h.image)
		kmm_image_free(h.image);
	if (h.page)
		kmm_free_pages(os.k, h.page, 0);
	h.image = NULL;
	h.page = NULL;
}

static bool move_page0(bool write)
{
	return block_transfer(h.disk, write ? WRITE_AWAKE : READ, 0, 1, &h.page);
}

/* ---- asking ---- */

static struct block *swap_disk(void)
{
	struct kmm_swap_info info;

	for (unsigned i = 0; i < KMM_SWAP_AREAS; i++)
		if (kmm_swap_info(os.k, i, &info) && block_is_disk((const struct block *)info.dev))
			return (struct block *)info.dev;
	return NULL;
}

static kmm_word free_pages(void)
{
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	return m.free_pages;
}

void hibernate_note_start(void)
{
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	h.start_pages = m.ram_pages - m.free_pages;
}

/* As many frames as the kernel that resumes will be in, and those that it notes moves in. */
static int make_room(void)
{
	kmm_word wanted = h.start_pages + h.start_pages / 64 + MARGIN, now = free_pages();

	for (unsigned n = 0; now < wanted && n < TRIES; n++, now = free_pages())
		if (kmm_reclaim_pages(os.k, wanted - now) == 0)
			break;
	return now < wanted ? -ENOMEM : 0;
}

static int start_asking(void)
{
	struct block *disk = swap_disk();
	enum kmm_status status;

	if (!disk)
		return -ENODEV;
	kmm_sync(os.k);
	status = prepare(disk);
	return status ? os_errno(status) : make_room();
}

static bool is_over(void *arg)
{
	(void)arg;
	return __atomic_load_n(&h.over, __ATOMIC_ACQUIRE);
}

int hibernate(void)
{
	const struct sleep until_over = { .key = &h, .done = is_over };
	int err;

	kernel_lock();
	if (h.asked) {
		kernel_unlock();
		return -EBUSY;
	}
	h.asked = true;
	err = start_asking();
	if (err == 0) {
		h.over = false;
		__atomic_store_n(&h.wanted, true, __ATOMIC_SEQ_CST);
		leave_ask();
		while (sched_sleep_on(&until_over) != SLEEP_DONE)
			;
		err = h.err;
	}
	finish();
	h.asked = false;
	kernel_unlock();
	return err;
}

/* ---- writing ---- */

bool hibernate_is_wanted(void)
{
	return __atomic_load_n(&h.wanted, __ATOMIC_ACQUIRE);
}

bool hibernate_is_quiet(void)
{
	for (unsigned i = 0; i < X86_MAX_DISKS; i++)
		if (x86_disk_busy(i) || x86_disk_poll(i)) {
			x86_disk_poll(i);
			return false;
		}
	return sched_all_rest();
}

static int write_head(void)
{
	if (!move_page0(false))
		return -EIO;
	if (memcmp(h.page0->magic, swap_magic, sizeof(swap_magic)) != 0 || h.page0->nr_bad) {
		klog("hibernation: %s: the first page is no swap area's, or has a list of bad pages", h.disk->path);
		return -EINVAL;
	}
	h.page0->head = h.head;
	memcpy(h.page0->magic, image_magic, sizeof(image_magic));
	return move_page0(true) ? 0 : -EIO;
}

static int write_image(void)
{
	enum kmm_status status = kmm_image_write(h.image, &h.head);

	if (status == KMM_OK)
		return write_head();
	klog("hibernation: %s", kmm_image_why(h.image));
	return status == KMM_ENOMEM ? -ENOSPC : os_errno(status);
}

bool hibernate_now(void)
{
	bool was_off;

	x86_before_save();
	was_off = x86_state_save();
	if (was_off) {
		x86_after_resume();
		h.err = 0;
		klog("hibernation: the machine goes on");
	} else {
		h.err = write_image();
		if (h.err == 0) {
			klog("hibernation: %u pages of %u are in %u slots of %s", (unsigned)h.head.nr_pages,
			     (unsigned)h.head.ram_pages, (unsigned)h.head.nr_written, h.disk->path);
			report_hibernated();
			x86_poweroff();
		}
	}
	__atomic_store_n(&h.wanted, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&h.over, true, __ATOMIC_RELEASE);
	sched_wake(&h);
	return was_off;
}

/* ---- resuming ---- */

/* The area's own signature, and no head. */
static bool give_signature_back(void)
{
	memset(&h.page0->head, 0, sizeof(h.page0->head));
	memcpy(h.page0->magic, swap_magic, sizeof(swap_magic));
	return move_page0(true);
}

static const char *read_image(void)
{
	struct kmm_pfn moves;

	if (!move_page0(false))
		return "the first page of the disk cannot be read";
	if (memcmp(h.page0->magic, image_magic, sizeof(image_magic)) != 0)
		return "there is no image of a hibernated machine on the disk, or it was used already";
	h.head = h.page0->head;
	if (kmm_image_read(h.image, &h.head, &moves) != KMM_OK)
		return kmm_image_why(h.image);
	if (!give_signature_back())
		return "the image cannot be marked as used, so it is not";
	x86_state_resume(moves.v);
}

const char *hibernate_resume(const char *name)
{
	static char kept[160];
	struct block *disk = block_named(name);
	const char *why = "resume=NAME: the machine has no such disk";

	if (disk && block_is_disk(disk) && disk->nr_pages >= 2) {
		disk->dev = (struct kmm_swap_device){ .ops = block_swap_ops(), .name = disk->path, .type = "partition", .nr_slots = disk->nr_pages - 1 };
		why = prepare(disk) == KMM_OK ? read_image() : "there is not enough memory to read an image";
	}
	x86_snprintf(kept, sizeof(kept), "%s", why);
	finish();
	return kept;
}
