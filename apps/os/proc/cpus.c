/* SPDX-License-Identifier: MIT */
/* cpus.c - starting the other processors. Each begins in its idle task, which finds work by itself. */
#include "kmm/vmalloc.h"
#include "proc/cpu.h"

uint32_t os_cpus_online = 1;
static char *idle_stack[X86_MAX_CPUS]; /* tops */

static void *stack_again(unsigned cpu)
{
	return idle_stack[cpu];
}

static void *stack_of(unsigned cpu)
{
	char *stack = kmm_get_free_pages(os.k, KMM_GFP_KERNEL, KERNEL_STACK_ORDER);

	if (!stack)
		klog("there is no memory for a stack of processor %u", cpu);
	idle_stack[cpu] = stack ? stack + KERNEL_STACK_SIZE : NULL;
	return idle_stack[cpu];
}

static void begin(void)
{
	x86_set_task(cpu_here()->idle);
	x86_irq_start();
	sched_idle_loop();
}

void cpus_start(void)
{
	void *registers;
	unsigned running;

	if (kmm_machine_of(os.k)->nr_cpus == 1)
		return;
	registers = kmm_ioremap(os.k, kmm_paddr(x86_lapic_pa()), KMM_PAGE_SIZE, "local APIC");
	if (!registers)
		os_leave(OS_EXIT_BROKEN, "the local interrupt controller cannot be mapped");
	os_cpus_online = (1u << x86_nr_cpus) - 1;
	x86_smp_init(registers);
	running = x86_smp_start(stack_of, begin);
	klog("%u of %u processors run", running, x86_nr_cpus);
	if (running < x86_nr_cpus)
		os_leave(OS_EXIT_BROKEN, "a processor does not start");
}

/* Their idle tasks had nothing on their stacks that counts. */
void cpus_restart(void)
{
	if (kmm_machine_of(os.k)->nr_cpus > 1 && x86_smp_start(stack_again, begin) < x86_nr_cpus)
		x86_panic("a processor does not start again");
}
