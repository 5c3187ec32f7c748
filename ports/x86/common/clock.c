/* SPDX-License-Identifier: MIT */
/*
 * clock.c - time: the PIT ticks X86_HZ times a second (with several processors, each one's own clock: lapic.c), the time stamp counter tells time between ticks, the CMOS
 * clock says what day it is.
 *
 * The counter's rate is measured once at boot against PIT channel 2. A host that takes the processor away during a
 * measurement makes it too long, never too short: the shortest is right, once a second one agrees with it. ns = cycles * mult / 2^SHIFT.
 */
#include "common/cpu.h"

enum { PIT_CH0 = 0x40, PIT_CH2 = 0x42, PIT_MODE = 0x43, PORT_B = 0x61 };
enum { PORT_B_GATE2 = 0x01, PORT_B_SPEAKER = 0x02, PORT_B_OUT2 = 0x20 };

#define PIT_HZ 1193182u
#define SHIFT 22
#define CALIBRATION_COUNT 2386u /* PIT periods: 2 ms */
#define CALIBRATION_NS ((uint32_t)(CALIBRATION_COUNT * 1000000000ull / PIT_HZ))
#define CALIBRATION_RUNS 25

static uint32_t ticks;
static X86_NOSAVE uint32_t mult;
static X86_NOSAVE uint64_t tsc_at_boot;
static X86_NOSAVE uint64_t epoch_at_boot;
static uint64_t stopped_ns; /* when the machine was hibernated */
static uint64_t ahead_ns;   /* of a machine that was resumed: what it had behind it already; wraps */

uint32_t x86_div_64_32(uint64_t n, uint32_t d)
{
	uint32_t q, r;

	__asm__("divl %4" : "=a"(q), "=d"(r) : "a"((uint32_t)n), "d"((uint32_t)(n >> 32)), "r"(d) : "cc");
	return q;
}

/* Cycles that pass while channel 2 counts CALIBRATION_COUNT down. */
static uint32_t cycles_once(void)
{
	uint8_t saved = x86_inb(PORT_B) & (uint8_t)~PORT_B_SPEAKER;
	uint64_t start;

	x86_outb(PORT_B, saved & (uint8_t)~PORT_B_GATE2);
	x86_outb(PIT_MODE, 0xb0); /* channel 2, low then high byte, mode 0: output rises at zero */
	x86_outb(PIT_CH2, CALIBRATION_COUNT & 0xff);
	x86_outb(PIT_CH2, CALIBRATION_COUNT >> 8);
	x86_outb(PORT_B, saved | PORT_B_GATE2);
	start = x86_rdtsc();
	while (!(x86_inb(PORT_B) & PORT_B_OUT2))
		x86_pause();
	return (uint32_t)(x86_rdtsc() - start);
}

static void calibrate(void)
{
	uint32_t best = cycles_once(), other = UINT32_MAX;

	for (int i = 1; i < CALIBRATION_RUNS && other - best > best / 256; i++) {
		uint32_t cycles = cycles_once();

		other = cycles < best ? best : cycles < other ? cycles : other;
		best = cycles < best ? cycles : best;
	}
	if (best < CALIBRATION_NS / 1000) /* under 1 MHz: not a counter, and mult would not fit */
		x86_panic("the time stamp counter stands still (%u cycles in 2 ms)", best);
	mult = x86_div_64_32((uint64_t)CALIBRATION_NS << SHIFT, best);
}

static uint8_t cmos(uint8_t reg)
{
	x86_outb(0x70, reg);
	return x86_inb(0x71);
}

static unsigned from_bcd(unsigned v, bool binary)
{
	return binary ? v : (v >> 4) * 10 + (v & 15);
}

/* Days from 1970-01-01 to the given date (Gregorian, year >= 1970); months count from March to end in February. */
static uint32_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	unsigned y = month <= 2 ? year - 1 : year;
	unsigned m = month <= 2 ? month + 9 : month - 3;

	return y * 365 + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static uint64_t read_cmos_clock(void)
{
	uint8_t now[6], again[6];
	static const uint8_t regs[6] = { 0, 2, 4, 7, 8, 9 };
	uint8_t status;
	unsigned hour, year;
	bool binary;

	do { /* two equal readings with no update under way: no field was caught in a carry */
		while (cmos(10) & 0x80)
			x86_pause();
		for (int i = 0; i < 6; i++)
			now[i] = cmos(regs[i]);
		for (int i = 0; i < 6; i++)
			again[i] = cmos(regs[i]);
	} while (memcmp(now, again, sizeof(now)) != 0);
	status = cmos(11);
	binary = status & 4;
	hour = from_bcd(now[2] & 0x7f, binary);
	if (!(status & 2)) /* 12-hour clock, bit 7 is PM */
		hour = hour % 12 + (now[2] & 0x80 ? 12 : 0);
	year = from_bcd(now[5], binary);
	year += year < 70 ? 2000 : 1900;
	return (uint64_t)days_since_1970(year, from_bcd(now[4], binary), from_bcd(now[3], binary)) * 86400u +
	       hour * 3600u + from_bcd(now[1], binary) * 60u + from_bcd(now[0], binary);
}

void x86_clock_init(void)
{
	const uint32_t divisor = (PIT_HZ + X86_HZ / 2) / X86_HZ;

	if (!x86_cpu_info.tsc)
		x86_panic("the processor lacks a time stamp counter");
	calibrate();
	tsc_at_boot = x86_rdtsc();
	epoch_at_boot = read_cmos_clock();
	x86_outb(PIT_MODE, 0x34); /* channel 0, low then high byte, mode 2: rate generator */
	x86_outb(PIT_CH0, divisor & 0xff);
	x86_outb(PIT_CH0, divisor >> 8);
}

void x86_irq_start(void)
{
	if (x86_nr_cpus > 1)
		x86_lapic_timer_start();
	else
		x86_irq_unmask(0);
	if (x86_cpu_id() == 0)
		x86_irq_unmask(4);
}

void x86_clock_tick(void)
{
	if (x86_cpu_id() == 0)
		ticks++;
}

uint32_t x86_ticks(void)
{
	return *(volatile uint32_t *)&ticks;
}

static uint64_t since_boot(void)
{
	uint64_t cycles = x86_rdtsc() - tsc_at_boot;
	uint64_t low = ((uint64_t)(uint32_t)cycles * mult) >> SHIFT;
	uint64_t high = ((cycles >> 32) * mult) << (32 - SHIFT);

	return high + low;
}

uint64_t x86_time_ns(void)
{
	return since_boot() + ahead_ns;
}

/* So that it is now what the clock says and x86_time_ns() together say, however long the machine was off. */
uint64_t x86_boot_epoch(void)
{
	return (int64_t)ahead_ns < 0 ? epoch_at_boot : epoch_at_boot - x86_div_64_32(ahead_ns, 1000000000u);
}

void x86_clock_stop(void)
{
	stopped_ns = x86_time_ns();
}

void x86_clock_go_on(void)
{
	ahead_ns = stopped_ns - since_boot();
}
