/* SPDX-License-Identifier: MIT */
/*
 * lapic.c - the local interrupt controller of each processor (Intel SDM vol. 3, chapter 11): interrupts from one
 * processor to another, and each one's clock. Used only on machines with several processors; lines of devices still come
 * through the two 8259s, to the boot processor.
 *
 * Every processor sees its own controller at the same address, so nothing here is shared but the clock's rate.
 */
#include "common/cpu.h"

enum { REG_EOI = 0xb0, REG_SPURIOUS = 0xf0, REG_ICR_LOW = 0x300, REG_ICR_HIGH = 0x310, REG_TIMER = 0x320, REG_LINT0 = 0x350,
       REG_LINT1 = 0x360, REG_ERROR = 0x370, REG_INITIAL = 0x380, REG_CURRENT = 0x390, REG_DIVIDE = 0x3e0, REG_TASK = 0x80 };
enum { MASKED = 0x10000, PERIODIC = 0x20000, MODE_EXTINT = 0x700, MODE_NMI = 0x400, ENABLED = 0x100 };
enum { ICR_INIT = 0x500, ICR_STARTUP = 0x600, ICR_PENDING = 0x1000, ICR_ASSERT = 0x4000, DIVIDE_BY_16 = 3 };

#define CALIBRATION_NS 2000000u

static volatile uint32_t *registers;
static uint32_t timer_count; /* of one tick */

static uint32_t read(unsigned reg)
{
	return registers[reg / 4];
}

static void write(unsigned reg, uint32_t value)
{
	registers[reg / 4] = value;
}

/* CPUID 1: the controller's number at power-on, known before its registers can be reached. */
uint32_t x86_apic_id_now(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx >> 24;
}

/* Lines of devices reach the boot processor only. */
void x86_lapic_start(void)
{
	bool boot = x86_cpu_id() == 0;

	write(REG_TASK, 0);
	write(REG_SPURIOUS, ENABLED | X86_VECTOR_SPURIOUS);
	write(REG_LINT0, boot ? MODE_EXTINT : MASKED);
	write(REG_LINT1, boot ? MODE_NMI : MASKED);
	write(REG_TIMER, MASKED);
	write(REG_ERROR, MASKED);
	write(REG_DIVIDE, DIVIDE_BY_16);
}

void x86_lapic_eoi(void)
{
	write(REG_EOI, 0);
}

static void wait_ns(uint32_t ns)
{
	uint64_t end = x86_time_ns() + ns;

	while (x86_time_ns() < end)
		x86_pause();
}

static void send(uint32_t apic_id, uint32_t command)
{
	uint32_t flags = x86_irq_save();

	while (read(REG_ICR_LOW) & ICR_PENDING)
		x86_pause();
	write(REG_ICR_HIGH, apic_id << 24);
	write(REG_ICR_LOW, command);
	x86_irq_restore(flags);
}

void x86_lapic_send(unsigned cpu, uint32_t vector)
{
	send(x86_apic_ids[cpu], vector | ICR_ASSERT);
}

void x86_kick(unsigned cpu)
{
	x86_lapic_send(cpu, X86_VECTOR_KICK);
}

/*
 * INIT to all others, then 10 ms (SDM 9.4.4), once for all of them. Only processors older than the Pentium 4 and the K8 need
 * that time; Linux's smpboot.c waits for the same ones.
 */
void x86_lapic_init_others(void)
{
	bool is_old = x86_cpu_info.family < 6 || (x86_cpu_info.family < 15 && memcmp(x86_cpu_info.vendor, "GenuineIntel", 12) != 0);

	for (unsigned cpu = 1; cpu < x86_nr_cpus; cpu++)
		send(x86_apic_ids[cpu], ICR_INIT | ICR_ASSERT);
	if (is_old)
		wait_ns(10000000);
}

/* The address to start at, after INIT. Again: no harm, a processor that runs does not hear it. */
void x86_lapic_start_cpu(unsigned cpu)
{
	send(x86_apic_ids[cpu], ICR_STARTUP | ICR_ASSERT | X86_TRAMPOLINE_PA >> 12);
}

/* The bus clock, against the time stamp counter: a tick's count is the elapsed one, stretched to 1/X86_HZ s. */
static void calibrate(void)
{
	uint64_t start = x86_time_ns(), elapsed;
	uint32_t counted;

	write(REG_INITIAL, UINT32_MAX);
	wait_ns(CALIBRATION_NS);
	counted = UINT32_MAX - read(REG_CURRENT);
	elapsed = x86_time_ns() - start;
	write(REG_INITIAL, 0);
	timer_count = x86_div_64_32((uint64_t)counted * (1000000000u / X86_HZ), (uint32_t)elapsed);
}

void x86_lapic_timer_start(void)
{
	write(REG_TIMER, X86_VECTOR_TIMER | PERIODIC);
	write(REG_INITIAL, timer_count);
}

void *x86_lapic_registers(void)
{
	return (void *)registers;
}

void x86_smp_init(void *mapped)
{
	registers = mapped;
	x86_lapic_start();
	calibrate();
}
