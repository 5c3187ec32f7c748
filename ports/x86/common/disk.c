/* SPDX-License-Identifier: MIT */
/*
 * disk.c - virtio block devices behind PCI, in the legacy form that QEMU's "virtio-blk-pci" has beside the modern one
 * (Virtual I/O Device specification 1.1, sections 4.1.4.8 and 5.2).
 *
 * The ring's descriptors are cut into places of one length, each for one chain: header, pages, status. A request that finds no
 * place waits in a queue of the disk's. The device interrupts when something is over, and whoever cannot wait for an
 * interrupt asks: both come to x86_disk_poll(), which takes what is over off the ring, lets the next ones start, and then,
 * without the lock, tells those who asked for it.
 */
#include "cpu.h"
#include "x86.h"

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PCI_ID = 0, PCI_COMMAND = 4, PCI_BAR0 = 0x10, PCI_LINE = 0x3c, PCI_IO = 1,
       PCI_MASTER = 4, PCI_NO_INTERRUPT = 1 << 10, VIRTIO_BLOCK = 0x10011af4 };
enum { REG_HOST_FEATURES = 0, REG_GUEST_FEATURES = 4, REG_QUEUE_PFN = 8, REG_QUEUE_SIZE = 12, REG_QUEUE_SELECT = 14, REG_NOTIFY = 16, REG_STATUS = 18,
       REG_WHY = 19 /* reading it ends the interrupt */, REG_CAPACITY = 20, REG_MOST_DISCARDED = REG_CAPACITY + 36 };
enum { FEATURE_DISCARD = 1 << 13 };
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_READY = 4 };
enum { DESC_NEXT = 1, DESC_DEVICE_WRITES = 2, MAX_QUEUE = 256 };
enum { BLOCK_IN, BLOCK_OUT, BLOCK_DISCARD = 11, BLOCK_OK = 0, SECTOR_SHIFT = 9, PAGE_SHIFT = 12 };
enum { CHAIN = X86_DISK_PAGES + 2, PLACES = MAX_QUEUE / CHAIN, NR_LINES = 16 };

struct desc {
	uint64_t pa;
	uint32_t len;
	uint16_t flags, next;
};

struct used {
	uint32_t id, len;
};

struct header {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t status;
};

/* What a request to discard has in place of pages. */
struct segment {
	uint64_t sector;
	uint32_t nr, flags;
};

/* The ring as the device wants it: descriptors and what is offered in the first pages, what is done from the next on. */
struct ring {
	_Alignas(X86_PAGE_SIZE) uint8_t page[3][X86_PAGE_SIZE];
};

struct place {
	struct header header;
	struct segment segment;
	struct x86_disk_request *request; /* NULL: free */
};

/* In no image of memory: the devices are as the kernel left them that runs now. */
static X86_NOSAVE struct disk {
	uint16_t io, queue_size, seen, nr_places;
	uint8_t line;                     /* of the interrupt controller; 0: none */
	uint64_t sectors;
	uint32_t most_discarded;          /* sectors at a time; 0: none */
	uint32_t held;                    /* the lock of all that follows, and of the ring */
	struct place place[PLACES];
	struct x86_disk_request *first, **last; /* those that wait for a place */
} disk[X86_MAX_DISKS];
static X86_NOSAVE struct ring ring[X86_MAX_DISKS];
static X86_NOSAVE unsigned nr_disks;

static void lock(struct disk *d)
{
	while (__atomic_exchange_n(&d->held, 1, __ATOMIC_ACQUIRE))
		x86_relax();
}

static void unlock(struct disk *d)
{
	__atomic_store_n(&d->held, 0, __ATOMIC_RELEASE);
}

/* ---- PCI, configuration mechanism 1 ---- */

static void pci_select(unsigned device, unsigned function, unsigned offset)
{
	x86_outl(PCI_ADDRESS, 1u << 31 | device << 11 | function << 8 | offset);
}

static uint32_t pci_read(unsigned device, unsigned function, unsigned offset)
{
	pci_select(device, function, offset);
	return x86_inl(PCI_DATA);
}

static void pci_write(unsigned device, unsigned function, unsigned offset, uint32_t value)
{
	pci_select(device, function, offset);
	x86_outl(PCI_DATA, value);
}

/* ---- the ring ---- */

static struct desc *descs_of(struct ring *r) { return (struct desc *)(void *)r->page[0]; }

/* Offered: flags, index, ring. */
static volatile uint16_t *offered_of(const struct disk *d, struct ring *r)
{
	return (volatile uint16_t *)(void *)(r->page[0] + d->queue_size * sizeof(struct desc));
}

static size_t used_offset(const struct disk *d)
{
	size_t end = d->queue_size * sizeof(struct desc) + (3u + d->queue_size) * sizeof(uint16_t);

	return (end + X86_PAGE_SIZE - 1) & ~(size_t)(X86_PAGE_SIZE - 1);
}

static volatile uint16_t *done_of(const struct disk *d, struct ring *r)
{
	return (volatile uint16_t *)(void *)(r->page[0] + used_offset(d) + sizeof(uint16_t));
}

static bool start_disk(struct disk *d, struct ring *r)
{
	uint32_t features;

	x86_outb((uint16_t)(d->io + REG_STATUS), 0);
	x86_outb((uint16_t)(d->io + REG_STATUS), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	features = x86_inl((uint16_t)(d->io + REG_HOST_FEATURES)) & FEATURE_DISCARD;
	x86_outl((uint16_t)(d->io + REG_GUEST_FEATURES), features);
	x86_outw((uint16_t)(d->io + REG_QUEUE_SELECT), 0);
	d->queue_size = x86_inw((uint16_t)(d->io + REG_QUEUE_SIZE));
	if (d->queue_size < CHAIN || d->queue_size > MAX_QUEUE)
		return false;
	d->nr_places = d->queue_size / CHAIN;
	d->last = &d->first;
	x86_outl((uint16_t)(d->io + REG_QUEUE_PFN), (uint32_t)(x86_image_pa(r) >> PAGE_SHIFT));
	x86_outb((uint16_t)(d->io + REG_STATUS), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_READY);
	d->sectors = x86_inl((uint16_t)(d->io + REG_CAPACITY)) | (uint64_t)x86_inl((uint16_t)(d->io + REG_CAPACITY + 4)) << 32;
	d->most_discarded = features ? x86_inl((uint16_t)(d->io + REG_MOST_DISCARDED)) : 0;
	return true;
}

static void try_function(unsigned device, unsigned function)
{
	struct disk *d = &disk[nr_disks];
	uint32_t bar;

	if (nr_disks == X86_MAX_DISKS || pci_read(device, function, PCI_ID) != VIRTIO_BLOCK)
		return;
	bar = pci_read(device, function, PCI_BAR0);
	if (!(bar & 1)) /* not in the port space: a device without the legacy form */
		return;
	pci_write(device, function, PCI_COMMAND,
		  (pci_read(device, function, PCI_COMMAND) | PCI_IO | PCI_MASTER) & ~(uint32_t)PCI_NO_INTERRUPT);
	d->io = (uint16_t)(bar & ~3u);
	d->line = (uint8_t)pci_read(device, function, PCI_LINE);
	nr_disks += start_disk(d, &ring[nr_disks]);
}

unsigned x86_disks_start(void)
{
	for (unsigned device = 0; device < 32; device++)
		for (unsigned function = 0; function < 8; function++)
			try_function(device, function);
	return nr_disks;
}

uint64_t x86_disk_sectors(unsigned n)
{
	return n < nr_disks ? disk[n].sectors : 0;
}

uint32_t x86_disk_most_discarded(unsigned n)
{
	return n < nr_disks ? disk[n].most_discarded : 0;
}

int x86_disk_irq(unsigned n)
{
	return n < nr_disks && disk[n].line < NR_LINES ? disk[n].line : 0;
}

bool x86_disk_busy(unsigned n)
{
	struct disk *d = &disk[n];
	bool busy = false;

	lock(d);
	for (unsigned i = 0; n < nr_disks && i < d->nr_places; i++)
		busy |= d->place[i].request != NULL;
	busy |= d->first != NULL;
	unlock(d);
	return busy;
}

void x86_disks_interrupt(int irq)
{
	for (unsigned n = 0; n < nr_disks; n++)
		if (disk[n].line == irq)
			(void)x86_inb((uint16_t)(disk[n].io + REG_WHY));
}

/* ---- starting ---- */

static void put_desc(struct desc *desc, unsigned i, uint64_t pa, uint32_t len, unsigned flags)
{
	desc[i] = (struct desc){ pa, len, (uint16_t)flags, (uint16_t)(i + 1) };
}

static void offer(struct disk *d, struct ring *r, unsigned head)
{
	volatile uint16_t *offered = offered_of(d, r);
	uint16_t at = offered[1];

	offered[2 + at % d->queue_size] = (uint16_t)head;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	offered[1] = (uint16_t)(at + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	x86_outw((uint16_t)(d->io + REG_NOTIFY), 0);
}

/* Lock held. Returns the chain's next descriptor. */
static unsigned put_segment(struct place *p, struct desc *desc, unsigned at, const struct x86_disk_request *request)
{
	p->header.type = BLOCK_DISCARD;
	p->header.sector = 0;
	p->segment = (struct segment){ .sector = request->sector, .nr = request->discard };
	put_desc(desc, at, x86_image_pa(&p->segment), sizeof(p->segment), DESC_NEXT);
	return at + 1;
}

/* Lock held. */
static void start(struct disk *d, unsigned place, struct x86_disk_request *request)
{
	struct ring *r = &ring[d - disk];
	struct desc *desc = descs_of(r);
	struct place *p = &d->place[place];
	unsigned at = place * CHAIN, next = at + 1, into = request->write ? 0 : DESC_DEVICE_WRITES;

	p->request = request;
	p->header = (struct header){ .type = request->write ? BLOCK_OUT : BLOCK_IN, .sector = request->sector, .status = 0xff };
	put_desc(desc, at, x86_image_pa(&p->header), offsetof(struct header, status), DESC_NEXT);
	if (request->discard)
		next = put_segment(p, desc, next, request);
	for (unsigned i = 0; i < request->nr_pages; i++)
		put_desc(desc, next++, request->pa[i], X86_PAGE_SIZE, DESC_NEXT | into);
	put_desc(desc, next, x86_image_pa(&p->header.status), 1, DESC_DEVICE_WRITES);
	offer(d, r, at);
}

/* Those that wait, as far as there are places. Lock held. */
static void start_waiting(struct disk *d)
{
	for (unsigned i = 0; i < d->nr_places && d->first; i++) {
		struct x86_disk_request *request = d->first;

		if (d->place[i].request)
			continue;
		d->first = request->next;
		if (!d->first)
			d->last = &d->first;
		start(d, i, request);
	}
}

static bool is_possible(unsigned n, const struct x86_disk_request *r)
{
	uint64_t nr = r->discard ? r->discard : (uint64_t)r->nr_pages << (PAGE_SHIFT - SECTOR_SHIFT);

	return n < nr_disks && nr && r->sector <= disk[n].sectors && nr <= disk[n].sectors - r->sector &&
	       (r->discard ? r->nr_pages == 0 && r->discard <= disk[n].most_discarded : r->nr_pages <= X86_DISK_PAGES);
}

bool x86_disk_start(unsigned n, struct x86_disk_request *request)
{
	struct disk *d = &disk[n];

	if (!is_possible(n, request))
		return false;
	request->next = NULL;
	request->good = false;
	lock(d);
	*d->last = request;
	d->last = &request->next;
	start_waiting(d);
	unlock(d);
	return true;
}

/* ---- ending ---- */

/* Takes one off the ring. NULL: nothing is over. Lock held. */
static struct x86_disk_request *take_over(struct disk *d, struct ring *r)
{
	const volatile struct used *used;
	struct x86_disk_request *request;
	struct place *p;

	if (*done_of(d, r) == d->seen)
		return NULL;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	used = (const volatile struct used *)(const volatile void *)(r->page[0] + used_offset(d) + 2 * sizeof(uint16_t));
	p = &d->place[used[d->seen % d->queue_size].id / CHAIN];
	__atomic_store_n(&d->seen, (uint16_t)(d->seen + 1), __ATOMIC_RELAXED);
	request = p->request;
	request->good = *(volatile uint8_t *)&p->header.status == BLOCK_OK;
	p->request = NULL;
	return request;
}

bool x86_disk_poll(unsigned n)
{
	struct x86_disk_request *over = NULL, **last = &over, *r;
	struct disk *d = &disk[n];

	if (n >= nr_disks || *done_of(d, &ring[n]) == __atomic_load_n(&d->seen, __ATOMIC_RELAXED))
		return false;
	lock(d);
	while ((r = take_over(d, &ring[n])) != NULL) {
		r->next = NULL;
		*last = r;
		last = &r->next;
	}
	start_waiting(d);
	unlock(d);
	for (bool some = false;; some = true) {
		r = over;
		if (!r)
			return some;
		over = r->next; /* r may be gone when it was told */
		r->done(r);
	}
}
