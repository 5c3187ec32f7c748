/* SPDX-License-Identifier: MIT */
/*
 * leave.c - the machine's last steps, always on the boot stack: report, then power off. The report looks at everything, so
 * the processors finish before what tasks are doing in the kernel, and come to rest in their idle tasks.
 */
#include "kmm/writeback.h"
#include "proc/cpu.h"

static struct {
	bool asked;
	int status;
	const char *why;
} leaving;

static uint32_t at_rest; /* bit per processor */

bool os_is_leaving(void)
{
	return __atomic_load_n(&leaving.asked, __ATOMIC_RELAXED);
}

static void rest(void)
{
	__atomic_fetch_or(&at_rest, 1u << x86_cpu_id(), __ATOMIC_SEQ_CST);
	for (;;)
		x86_relax();
}

void leave_if_asked(void)
{
	if (!os_is_leaving())
		return;
	if (x86_cpu_id() != 0)
		rest();
	while ((__atomic_load_n(&at_rest, __ATOMIC_SEQ_CST) | 1) != os_cpus_online)
		x86_relax();
	report_write(leaving.status, leaving.why);
	x86_poweroff();
}

void os_leave(int status, const char *why)
{
	if (why)
		klog("%s", why);
	else if (current->stack)
		kmm_sync(os.k); /* a program's end is no loss of what it wrote to disks */
	leaving.status = status;
	leaving.why = why;
	if (!current->stack) { /* still booting: this is the boot stack */
		os_cpus_online = 1;
		leaving.asked = true;
		leave_if_asked();
	}
	__atomic_store_n(&leaving.asked, true, __ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < X86_MAX_CPUS; cpu++)
		if (os_cpus_online >> cpu & 1 && cpu != x86_cpu_id())
			x86_kick(cpu);
	sched_run_idle();
}

void sched_kicked(void)
{
	if (os_is_leaving())
		current->resched = true;
}
