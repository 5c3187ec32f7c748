/* SPDX-License-Identifier: MIT */
/*
 * pic.c - the two 8259 interrupt controllers, remapped to vectors 32..47. Lines start masked. An interrupt is
 * acknowledged before its handler runs, since a handler may switch to another thread and come back much later.
 */
#include "common/cpu.h"

enum { MASTER = 0x20, SLAVE = 0xa0, COMMAND = 0, DATA = 1, CASCADE_LINE = 2 };
enum { EOI_SPECIFIC = 0x60, READ_IN_SERVICE = 0x0b };

static uint16_t masked = 0xffff;

static void write_mask(void)
{
	x86_outb(MASTER + DATA, (uint8_t)masked);
	x86_outb(SLAVE + DATA, (uint8_t)(masked >> 8));
}

static void init_one(uint16_t base, uint8_t vector, uint8_t wiring)
{
	x86_outb(base + COMMAND, 0x11); /* edge triggered, cascaded, four words follow */
	x86_outb(base + DATA, vector);
	x86_outb(base + DATA, wiring);
	x86_outb(base + DATA, 0x01); /* 8086 mode, explicit end of interrupt */
}

void x86_pic_init(void)
{
	init_one(MASTER, X86_IRQ_BASE, 1 << CASCADE_LINE);
	init_one(SLAVE, X86_IRQ_BASE + 8, CASCADE_LINE);
	write_mask();
}

void x86_irq_unmask(int irq)
{
	uint32_t flags = x86_irq_save();

	masked &= (uint16_t)~(1u << irq);
	if (irq >= 8)
		masked &= (uint16_t)~(1u << CASCADE_LINE);
	write_mask();
	x86_irq_restore(flags);
}

void x86_irq_mask(int irq)
{
	uint32_t flags = x86_irq_save();

	masked |= (uint16_t)(1u << irq);
	write_mask();
	x86_irq_restore(flags);
}

/* Lines 7 and 15 also stand for "the request went away": then the controller has nothing in service. */
static bool in_service(uint16_t base, int line)
{
	x86_outb(base + COMMAND, READ_IN_SERVICE);
	return x86_inb(base + COMMAND) >> line & 1;
}

/* End of interrupt. false: it was spurious and no handler should run. */
bool x86_pic_ack(int irq)
{
	if (irq == 7 && !in_service(MASTER, 7))
		return false;
	if (irq == 15 && !in_service(SLAVE, 7)) {
		x86_outb(MASTER + COMMAND, EOI_SPECIFIC | CASCADE_LINE);
		return false;
	}
	if (irq >= 8)
		x86_outb(SLAVE + COMMAND, (uint8_t)(EOI_SPECIFIC | (irq - 8)));
	x86_outb(MASTER + COMMAND, (uint8_t)(EOI_SPECIFIC | (irq >= 8 ? CASCADE_LINE : irq)));
	return true;
}
