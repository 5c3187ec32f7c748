/* SPDX-License-Identifier: MIT */
/*
 * leave.c - the machine's last steps, always on the boot stack: report, then power off. The report looks at everything, so
 * the processors finish before what tasks are doing in the kernel, and come to rest in their idle tasks. Hibernation
 * (hibernate.c) stops them in the same way, and lets them go on.
 */
#include "hibernate.h"
#include "kmm/writeback.h"
#include "proc/cpu.h"

static struct {
	bool asked, for_good;
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
	while (os_is_leaving())
		x86_relax();
	__atomic_fetch_and(&at_rest, ~(1u << x86_cpu_id()), __ATOMIC_SEQ_CST);
}

/* was_off: the other processors are in the state of a machine that was just switched on. */
static void go_on(bool was_off)
{
	__atomic_store_n(&leaving.asked, false, __ATOMIC_SEQ_CST);
	if (was_off) {
		at_rest = 0;
		cpus_restart();
	}
	while (__atomic_load_n(&at_rest, __ATOMIC_SEQ_CST))
		x86_relax();
}

void leave_if_asked(void)
{
	if (!os_is_leaving())
		return;
	if (x86_cpu_id() != 0) {
		rest();
		return;
	}
	while ((__atomic_load_n(&at_rest, __ATOMIC_SEQ_CST) | 1) != os_cpus_online)
		x86_relax();
	if (hibernate_is_wanted() && !leaving.for_good) {
		if (hibernate_is_quiet())
			go_on(hibernate_now());
		return;
	}
	report_write(leaving.status, leaving.why);
	x86_poweroff();
}

void leave_ask(void)
{
	__atomic_store_n(&leaving.asked, true, __ATOMIC_SEQ_CST);
	for (unsigned cpu = 0; cpu < X86_MAX_CPUS; cpu++)
		if (os_cpus_online >> cpu & 1 && cpu != x86_cpu_id())
			x86_kick(cpu);
}

void os_leave(int status, const char *why)
{
	if (why)
		klog("%s", why);
	else if (current->stack)
		kmm_sync(os.k); /* a program's end is no loss of what it wrote to disks */
	leaving.status = status;
	leaving.why = why;
	leaving.for_good = true;
	if (!current->stack) { /* still booting: this is the boot stack */
		os_cpus_online = 1;
		leaving.asked = true;
		leave_if_asked();
	}
	leave_ask();
	sched_run_idle();
}

void sched_kicked(void)
{
	if (os_is_leaving())
		current->resched = true;
}
