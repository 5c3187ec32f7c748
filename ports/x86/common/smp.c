/* SPDX-License-Identifier: MIT */
/*
 * smp.c - starting the other processors.
 *
 * A processor starts in real mode at the trampoline, a page below 1 MiB, and goes from there to x86_ap_entry (boot.S),
 * which brings it to C the way the boot processor came. All are reset at once, but only one starts at a time: x86_ap tells it who it is. All wait
 * in x86_ap_main() until the last has come, because only then the kernel's tables lose what the starts needed.
 */
#include "common/cpu.h"

struct x86_self x86_selves[X86_MAX_CPUS];
struct x86_ap x86_ap;

static volatile uint32_t arrived; /* bit per processor */
static volatile bool all_started;

enum { FIRST_WAIT_NS = 10000000, SECOND_WAIT_NS = 1000000000 };

static bool arrives(unsigned cpu, uint32_t wait_ns)
{
	uint64_t end = x86_time_ns() + wait_ns;

	while (!(arrived >> cpu & 1)) {
		if (x86_time_ns() > end)
			return false;
		x86_pause();
	}
	return true;
}

static bool start(unsigned cpu)
{
	x86_lapic_start_cpu(cpu);
	if (arrives(cpu, FIRST_WAIT_NS))
		return true;
	x86_lapic_start_cpu(cpu);
	return arrives(cpu, SECOND_WAIT_NS);
}

unsigned x86_smp_start(void *(*stack_of)(unsigned cpu), void (*entry)(void))
{
	unsigned running = 1;

	arrived = 0; /* a machine that was resumed starts them once more */
	all_started = false;
	x86_online = 1;

	memcpy(x86_phys_ptr(X86_TRAMPOLINE_PA), x86_trampoline, (size_t)(x86_trampoline_end - x86_trampoline));
	x86_ap_begin();
	x86_lapic_init_others();
	for (unsigned cpu = 1; cpu < x86_nr_cpus; cpu++) {
		x86_ap = (struct x86_ap){ stack_of(cpu), entry, cpu };
		if (!x86_ap.stack)
			continue;
		x86_selves[cpu].cpu = cpu;
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (!start(cpu))
			break; /* it may still come, and would find what is meant for the next */
		running++;
	}
	x86_ap_end();
	__atomic_store_n(&all_started, true, __ATOMIC_SEQ_CST);
	return running;
}

/* First C code of another processor, on its own stack. Until x86_ap_tables() it does not know its number. */
void x86_ap_main(void)
{
	void (*entry)(void) = x86_ap.entry;
	unsigned cpu = x86_ap.cpu;

	x86_ap_tables(cpu);
	x86_fpu_start();
	x86_lapic_start();
	x86_tlb_online(cpu);
	__atomic_fetch_or(&arrived, 1u << cpu, __ATOMIC_SEQ_CST);
	while (!all_started)
		x86_relax();
	x86_ap_tables_done();
	entry();
	x86_panic("processor %u has nothing to do", cpu);
}
