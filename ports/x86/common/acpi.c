/* SPDX-License-Identifier: MIT */
/*
 * acpi.c - how many processors there are, and what the local interrupt controllers call them: ACPI's table "APIC"
 * (ACPI 6.4, 5.2.12), found by the root pointer (5.2.5) that the loader gave or that lies in the BIOS's memory.
 *
 * Runs while all memory below 4 GiB is reachable. Anything that is missing, damaged or out of reach leaves a machine of
 * one processor. Numbers are given in the table's order, but the processor that reads it is number 0.
 */
#include "common/cpu.h"

unsigned x86_nr_cpus = 1;
uint8_t x86_apic_ids[X86_MAX_CPUS];
static uint64_t lapic_pa = 0xfee00000u;

struct rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length; /* this and what follows: revision 2 */
	uint64_t xsdt;
	uint8_t checksum2, reserved[3];
} __attribute__((packed));

struct header {
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct madt {
	struct header header;
	uint32_t lapic, flags;
} __attribute__((packed));

enum { ENTRY_LAPIC = 0, ENTRY_ADDRESS = 5, LAPIC_USABLE = 3 /* enabled, or can be */, MAX_TABLE = 1 << 20 };
enum { RSDP_V1_SIZE = 20 };

static bool sums_to_zero(const void *bytes, uint32_t size)
{
	const uint8_t *at = bytes;
	uint8_t sum = 0;

	while (size--)
		sum = (uint8_t)(sum + *at++);
	return sum == 0;
}

static const struct rsdp *rsdp_at(uint64_t pa)
{
	const struct rsdp *r = x86_phys_ptr(pa);

	return memcmp(r->signature, "RSD PTR ", 8) == 0 && sums_to_zero(r, RSDP_V1_SIZE) ? r : NULL;
}

static const struct rsdp *search(uint32_t from, uint32_t size)
{
	for (uint32_t pa = from; pa < from + size; pa += 16)
		if (rsdp_at(pa))
			return rsdp_at(pa);
	return NULL;
}

/* In the first KiB of the extended BIOS data area, whose segment stands at 40Eh, or in the BIOS. */
static const struct rsdp *find_rsdp(void)
{
	uint32_t ebda = (uint32_t)*(const volatile uint16_t *)x86_phys_ptr(0x40e) << 4;
	const struct rsdp *r = NULL;

	if (x86_boot.rsdp && !(x86_boot.rsdp >> 32))
		r = rsdp_at(x86_boot.rsdp);
	if (!r && ebda >= 0x80000 && ebda < 0xa0000)
		r = search(ebda, 1024);
	return r ? r : search(0xe0000, 0x20000);
}

static const struct header *table_at(uint64_t pa)
{
	const struct header *h = x86_phys_ptr(pa);

	if (!pa || pa >> 32 || h->length < sizeof(*h) || h->length > MAX_TABLE || !sums_to_zero(h, h->length))
		return NULL;
	return h;
}

/* The table with this name, by the root table: addresses of 4 bytes, or of 8. */
static const struct header *find_table(const struct rsdp *r, const char *signature)
{
	bool wide = r->revision >= 2 && r->xsdt && !(r->xsdt >> 32);
	const struct header *root = table_at(wide ? r->xsdt : r->rsdt);
	uint32_t size = wide ? 8 : 4;

	for (uint32_t at = sizeof(*root); root && at + size <= root->length; at += size) {
		const struct header *h;
		uint64_t pa = 0;

		memcpy(&pa, (const char *)root + at, size);
		h = table_at(pa);
		if (h && memcmp(h->signature, signature, 4) == 0)
			return h;
	}
	return NULL;
}

static void add_cpu(uint8_t apic_id)
{
	if (apic_id != x86_apic_ids[0] && x86_nr_cpus < X86_MAX_CPUS)
		x86_apic_ids[x86_nr_cpus++] = apic_id;
}

static void read_entry(const uint8_t *e)
{
	uint32_t flags;

	if (e[0] == ENTRY_LAPIC && e[1] >= 8) {
		memcpy(&flags, e + 4, sizeof(flags));
		if (flags & LAPIC_USABLE)
			add_cpu(e[3]);
	} else if (e[0] == ENTRY_ADDRESS && e[1] >= 12) {
		memcpy(&lapic_pa, e + 4, sizeof(lapic_pa));
	}
}

static bool trampoline_is_ram(void)
{
	for (uint32_t i = 0; i < x86_boot.nr_ranges; i++) {
		const struct x86_mem_range *r = &x86_boot.ranges[i];

		if (r->type == 1 && r->base <= X86_TRAMPOLINE_PA && r->base + r->size >= X86_TRAMPOLINE_PA + X86_PAGE_SIZE)
			return true;
	}
	return false;
}

void x86_acpi_find_cpus(void)
{
	const struct rsdp *r = x86_cpu_info.apic && trampoline_is_ram() ? find_rsdp() : NULL;
	const struct header *h = r ? find_table(r, "APIC") : NULL;

	x86_apic_ids[0] = (uint8_t)x86_apic_id_now();
	if (!h || h->length < sizeof(struct madt))
		return;
	lapic_pa = ((const struct madt *)h)->lapic;
	for (uint32_t at = sizeof(struct madt); at + 2 <= h->length;) {
		const uint8_t *e = (const uint8_t *)h + at;

		if (e[1] < 2 || at + e[1] > h->length)
			break;
		read_entry(e);
		at += e[1];
	}
}

uint64_t x86_lapic_pa(void)
{
	return lapic_pa;
}
