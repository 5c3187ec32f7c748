/* SPDX-License-Identifier: MIT */
/* leave.c - the machine's last steps, always on the boot stack: report, then power off. */
#include "proc/task.h"

__attribute__((noreturn)) static void leave_now(int status)
{
	report_write(status);
	x86_poweroff();
}

static int wanted_status = -1;

void leave_if_asked(void)
{
	if (wanted_status >= 0)
		leave_now(wanted_status);
}

void os_leave(int status, const char *why)
{
	if (why)
		klog("%s", why);
	if (!current->stack)
		leave_now(status);
	wanted_status = status;
	sched_run_idle();
}
