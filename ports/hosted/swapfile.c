/* SPDX-License-Identifier: MIT */
/*
 * A swap device over a file of the host, which reads and writes the simulated RAM as a controller would, and can be made to
 * fail: one transfer, all from some point on, or a write in its middle. One sort does it at once; the other notes what
 * it was asked for and does that when it is told to, the last first.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

struct hosted_swap {
	struct kmm_swap_device dev; /* first */
	struct hosted_machine *m;
	int fd;
	pthread_mutex_t lock;       /* begun, nr_begun */
	struct kmm_swap_io *begun[HOSTED_SWAP_BEGUN];
	unsigned nr_begun;
	struct hosted_swap_faults faults;
	uint64_t transfers;         /* atomic */
	struct hosted_swap_counts counts; /* atomic */
};

/* Is this transfer to fail? */
static bool fails(struct hosted_swap *s)
{
	uint64_t nr = __atomic_add_fetch(&s->transfers, 1, __ATOMIC_RELAXED);

	return s->faults.nth && (s->faults.for_ever ? nr >= s->faults.nth : nr == s->faults.nth);
}

/* Of a device that ends its transfers later: a program may have its page back before the device has read it, and write it. No
 * slot keeps what the device then gets, so that is no race to report, unlike one with a device that is waited for. */
__attribute__((no_sanitize("thread"))) static void fetch(uint64_t *to, const volatile uint64_t *from)
{
	for (unsigned i = 0; i < KMM_PAGE_SIZE / sizeof(*to); i++)
		to[i] = from[i];
}

static bool transfer_page(struct hosted_swap *s, uint32_t slot, struct kmm_page *page, bool write)
{
	void *at = hosted_phys(s->m, kmm_pfn_to_paddr(kmm_page_to_pfn(s->m->k, page)).v);
	off_t offset = (off_t)slot * (off_t)KMM_PAGE_SIZE;
	uint64_t fetched[KMM_PAGE_SIZE / sizeof(uint64_t)];
	ssize_t done;

	if (write && s->dev.ops->start) {
		fetch(fetched, at);
		at = fetched;
	}
	done = write ? pwrite(s->fd, at, KMM_PAGE_SIZE, offset) : pread(s->fd, at, KMM_PAGE_SIZE, offset);
	return done == (ssize_t)KMM_PAGE_SIZE;
}

static enum kmm_status transfer(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages, bool write)
{
	struct hosted_swap *s = (struct hosted_swap *)dev;
	bool fail = fails(s);
	unsigned whole = !fail ? nr : s->faults.torn ? nr / 2 : 0; /* torn: the first half is on the disk all the same */

	for (unsigned i = 0; i < whole; i++)
		if (!transfer_page(s, first + i, pages[i], write))
			return KMM_EIO;
	__atomic_fetch_add(write ? &s->counts.written : &s->counts.read, whole, __ATOMIC_RELAXED);
	return fail ? KMM_EIO : KMM_OK;
}

static enum kmm_status swap_write(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return transfer(dev, first, nr, pages, true);
}

static enum kmm_status swap_read(struct kmm_swap_device *dev, uint32_t first, unsigned nr, struct kmm_page *const *pages)
{
	return transfer(dev, first, nr, pages, false);
}

static void swap_discard(struct kmm_swap_device *dev, uint32_t first, unsigned nr)
{
	struct hosted_swap *s = (struct hosted_swap *)dev;

	__atomic_fetch_add(&s->counts.discarded, nr, __ATOMIC_RELAXED);
	fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first * (off_t)KMM_PAGE_SIZE,
		  (off_t)nr * (off_t)KMM_PAGE_SIZE);
}

static void swap_start(struct kmm_swap_device *dev, struct kmm_swap_io *io)
{
	struct hosted_swap *s = (struct hosted_swap *)dev;
	bool full;

	pthread_mutex_lock(&s->lock);
	full = s->nr_begun == HOSTED_SWAP_BEGUN;
	if (!full)
		s->begun[s->nr_begun++] = io;
	pthread_mutex_unlock(&s->lock);
	if (full)
		kmm_swap_end(dev, io, transfer(dev, io->first, io->nr, io->pages, io->write));
}

static struct kmm_swap_io *last_begun(struct hosted_swap *s)
{
	struct kmm_swap_io *io;

	pthread_mutex_lock(&s->lock);
	io = s->nr_begun ? s->begun[--s->nr_begun] : NULL;
	pthread_mutex_unlock(&s->lock);
	return io;
}

unsigned hosted_swap_finish(struct hosted_swap *s, unsigned most)
{
	struct kmm_swap_io *io;
	unsigned nr = 0;

	while (nr < most && (io = last_begun(s)) != NULL) {
		kmm_swap_end(&s->dev, io, transfer(&s->dev, io->first, io->nr, io->pages, io->write));
		nr++;
	}
	return nr;
}

static bool swap_poll(struct kmm_swap_device *dev)
{
	return hosted_swap_finish((struct hosted_swap *)dev, 1) != 0;
}

static const struct kmm_swap_ops swap_ops = { .write = swap_write, .read = swap_read, .discard = swap_discard };
static const struct kmm_swap_ops later_ops = { .write = swap_write, .read = swap_read, .discard = swap_discard, .start = swap_start, .poll = swap_poll };

static struct hosted_swap *open_with(struct hosted_machine *m, uint64_t bytes, const struct kmm_swap_ops *ops)
{
	struct hosted_swap *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->m = m;
	s->fd = memfd_create("kmm swap", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)bytes) != 0) {
		hosted_swap_close(s);
		return NULL;
	}
	pthread_mutex_init(&s->lock, NULL);
	s->dev = (struct kmm_swap_device){ .ops = ops, .name = "/hosted/swap", .type = "file",
					   .nr_slots = bytes / KMM_PAGE_SIZE };
	return s;
}

struct hosted_swap *hosted_swap_open(struct hosted_machine *m, uint64_t bytes) { return open_with(m, bytes, &swap_ops); }
struct hosted_swap *hosted_swap_open_later(struct hosted_machine *m, uint64_t bytes) { return open_with(m, bytes, &later_ops); }

void hosted_swap_close(struct hosted_swap *s)
{
	if (s && s->fd >= 0)
		close(s->fd);
	free(s);
}

struct kmm_swap_device *hosted_swap_device(struct hosted_swap *s) { return &s->dev; }

void hosted_swap_fail(struct hosted_swap *s, const struct hosted_swap_faults *faults)
{
	s->faults = *faults;
	__atomic_store_n(&s->transfers, 0, __ATOMIC_RELAXED);
}

uint64_t hosted_swap_transfers(const struct hosted_swap *s) { return __atomic_load_n(&s->transfers, __ATOMIC_RELAXED); }

void hosted_swap_counts(const struct hosted_swap *s, struct hosted_swap_counts *out)
{
	*out = s->counts;
}
