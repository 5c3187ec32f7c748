/* SPDX-License-Identifier: MIT */
/*
 * disk.c - virtio block devices behind PCI, in the legacy form that QEMU's "virtio-blk-pci" has beside the modern one
 * (Virtual I/O Device specification 1.1, sections 4.1.4.8 and 5.2).
 *
 * One transfer at a time per disk, started and waited for without interrupts: its users run when memory is short and with
 * interrupts off. So the ring needs room for one chain: header, pages, status.
 */
#include "cpu.h"
#include "x86.h"

enum { PCI_ADDRESS = 0xcf8, PCI_DATA = 0xcfc, PCI_ID = 0, PCI_COMMAND = 4, PCI_BAR0 = 0x10, PCI_IO = 1, PCI_MASTER = 4,
       VIRTIO_BLOCK = 0x10011af4 };
enum { REG_GUEST_FEATURES = 4, REG_QUEUE_PFN = 8, REG_QUEUE_SIZE = 12, REG_QUEUE_SELECT = 14, REG_NOTIFY = 16, REG_STATUS = 18,
       REG_CAPACITY = 20 };
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_READY = 4 };
enum { DESC_NEXT = 1, DESC_DEVICE_WRITES = 2, NO_INTERRUPT = 1, MAX_QUEUE = 256 };
enum { BLOCK_IN, BLOCK_OUT, BLOCK_OK = 0, SECTOR_SHIFT = 9, PAGE_SHIFT = 12 };

struct desc {
	uint64_t pa;
	uint32_t len;
	uint16_t flags, next;
};

struct used {
	uint32_t id, len;
};

struct request {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t status;
};

/* The ring as the device wants it: descriptors and what is offered in the first pages, what is done from the next on. */
struct ring {
	_Alignas(X86_PAGE_SIZE) uint8_t page[3][X86_PAGE_SIZE];
};

static struct disk {
	uint16_t io, queue_size, seen;
	uint64_t sectors;
	uint32_t held;           /* one transfer at a time */
	struct request request;
} disk[X86_MAX_DISKS];
static struct ring ring[X86_MAX_DISKS];
static unsigned nr_disks;

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
	x86_outb((uint16_t)(d->io + REG_STATUS), 0);
	x86_outb((uint16_t)(d->io + REG_STATUS), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
	x86_outl((uint16_t)(d->io + REG_GUEST_FEATURES), 0);
	x86_outw((uint16_t)(d->io + REG_QUEUE_SELECT), 0);
	d->queue_size = x86_inw((uint16_t)(d->io + REG_QUEUE_SIZE));
	if (d->queue_size < X86_DISK_PAGES + 2 || d->queue_size > MAX_QUEUE)
		return false;
	offered_of(d, r)[0] = NO_INTERRUPT;
	x86_outl((uint16_t)(d->io + REG_QUEUE_PFN), (uint32_t)(x86_image_pa(r) >> PAGE_SHIFT));
	x86_outb((uint16_t)(d->io + REG_STATUS), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_READY);
	d->sectors = x86_inl((uint16_t)(d->io + REG_CAPACITY)) | (uint64_t)x86_inl((uint16_t)(d->io + REG_CAPACITY + 4)) << 32;
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
	pci_write(device, function, PCI_COMMAND, pci_read(device, function, PCI_COMMAND) | PCI_IO | PCI_MASTER);
	d->io = (uint16_t)(bar & ~3u);
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

/* ---- a transfer ---- */

static void put_desc(struct desc *desc, unsigned i, uint64_t pa, uint32_t len, unsigned flags)
{
	desc[i] = (struct desc){ pa, len, (uint16_t)flags, (uint16_t)(i + 1) };
}

static void offer(struct disk *d, struct ring *r)
{
	volatile uint16_t *offered = offered_of(d, r);
	uint16_t at = offered[1];

	offered[2 + at % d->queue_size] = 0; /* chains begin at descriptor 0 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	offered[1] = (uint16_t)(at + 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	x86_outw((uint16_t)(d->io + REG_NOTIFY), 0);
}

static void await(struct disk *d, struct ring *r)
{
	while (*done_of(d, r) == d->seen)
		x86_relax();
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	d->seen++;
}

bool x86_disk_transfer(unsigned n, bool write, uint64_t sector, const uint64_t *pa, unsigned nr_pages)
{
	struct disk *d = &disk[n];
	struct desc *desc = descs_of(&ring[n]);
	unsigned into = write ? 0 : DESC_DEVICE_WRITES;
	bool good;

	if (n >= nr_disks || nr_pages > X86_DISK_PAGES || sector + ((uint64_t)nr_pages << (PAGE_SHIFT - SECTOR_SHIFT)) > d->sectors)
		return false;
	while (__atomic_exchange_n(&d->held, 1, __ATOMIC_ACQUIRE))
		x86_relax();
	d->request = (struct request){ .type = write ? BLOCK_OUT : BLOCK_IN, .sector = sector, .status = 0xff };
	put_desc(desc, 0, x86_image_pa(&d->request), offsetof(struct request, status), DESC_NEXT);
	for (unsigned i = 0; i < nr_pages; i++)
		put_desc(desc, i + 1, pa[i], X86_PAGE_SIZE, DESC_NEXT | into);
	put_desc(desc, nr_pages + 1, x86_image_pa(&d->request.status), 1, DESC_DEVICE_WRITES);
	offer(d, &ring[n]);
	await(d, &ring[n]);
	good = *(volatile uint8_t *)&d->request.status == BLOCK_OK;
	__atomic_store_n(&d->held, 0, __ATOMIC_RELEASE);
	return good;
}
