/* SPDX-License-Identifier: MIT */
/*
 * serial.c - two 16550 ports: the first is the console, the second the report channel.
 *
 * Output is polled: the transmitter is asked once per burst of 16 bytes (its queue), not once per byte. Input of the
 * console goes into a ring by interrupt 4; the reader polls the device as well, so that it works with interrupts off.
 * A port that does not exist reads as all ones and keeps no scratch value; writes to it are dropped.
 */
#include "common/cpu.h"

enum { COM1 = 0x3f8, COM2 = 0x2f8 };
enum { REG_DATA = 0, REG_IER = 1, REG_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5, REG_SCRATCH = 7 };
enum { LSR_DATA_READY = 0x01, LSR_QUEUE_EMPTY = 0x20, LSR_ALL_SENT = 0x40 };
enum { BURST = 16, RING_SIZE = 256 };

static bool console_present, report_present;

/* Received characters; written and read with interrupts off. head: next to read, tail: next free. */
static struct {
	uint8_t data[RING_SIZE];
	unsigned head, tail;
} ring;

static bool port_init(uint16_t base)
{
	x86_outb(base + REG_SCRATCH, 0x5a);
	if (x86_inb(base + REG_SCRATCH) != 0x5a)
		return false;
	x86_outb(base + REG_IER, 0);
	x86_outb(base + REG_LCR, 0x80); /* divisor access */
	x86_outb(base + REG_DATA, 1);   /* 115200 baud */
	x86_outb(base + REG_IER, 0);
	x86_outb(base + REG_LCR, 0x03); /* 8 data bits, no parity, 1 stop bit */
	x86_outb(base + REG_FCR, 0xc7); /* queues on and empty; interrupt at 14 bytes, or when no more come */
	x86_outb(base + REG_MCR, 0x0b); /* DTR, RTS, interrupt line connected */
	return true;
}

void x86_serial_init(void)
{
	console_present = port_init(COM1);
	report_present = port_init(COM2);
	if (console_present)
		x86_outb(COM1 + REG_IER, 1); /* interrupt when a byte has arrived */
}

static void wait_for(uint16_t base, uint8_t bits)
{
	while ((x86_inb(base + REG_LSR) & bits) != bits)
		x86_pause();
}

static void port_write(uint16_t base, const char *data, size_t size)
{
	while (size) {
		size_t n = size < BURST ? size : BURST;

		wait_for(base, LSR_QUEUE_EMPTY);
		__asm__ volatile("rep outsb" : "+S"(data), "+c"(n) : "d"(base + REG_DATA) : "memory");
		size -= size < BURST ? size : BURST;
	}
}

void x86_console_write(const char *data, size_t size)
{
	if (console_present)
		port_write(COM1, data, size);
}

bool x86_report_present(void)
{
	return report_present;
}

void x86_report_write(const char *data, size_t size)
{
	if (report_present)
		port_write(COM2, data, size);
}

/* Wait until the last bit has left both ports: before the machine goes away. */
void x86_serial_drain(void)
{
	if (console_present)
		wait_for(COM1, LSR_ALL_SENT);
	if (report_present)
		wait_for(COM2, LSR_ALL_SENT);
}

/* With a full ring the rest stays in the device, whose sender then waits. Interrupts off. */
void x86_serial_poll(void)
{
	while (console_present && ring.tail - ring.head < RING_SIZE && (x86_inb(COM1 + REG_LSR) & LSR_DATA_READY))
		ring.data[ring.tail++ % RING_SIZE] = x86_inb(COM1 + REG_DATA);
}

int x86_console_getc(void)
{
	uint32_t flags = x86_irq_save();
	int byte = -1;

	if (ring.head == ring.tail)
		x86_serial_poll();
	if (ring.head != ring.tail)
		byte = ring.data[ring.head++ % RING_SIZE];
	x86_irq_restore(flags);
	return byte;
}
