/* SPDX-License-Identifier: MIT */
/* leave.c - the machine's last steps, always on the boot stack: report, then power off. */
#include "proc/task.h"

static struct {
	bool asked;
	int status;
	const char *why;
} leaving;

void leave_if_asked(void)
{
	if (!leaving.asked)
		return;
	report_write(leaving.status, leaving.why);
	x86_poweroff();
}

void os_leave(int status, const char *why)
{
	if (why)
		klog("%s", why);
	leaving.asked = true;
	leaving.status = status;
	leaving.why = why;
	if (!current->stack) /* still booting: this is the boot stack */
		leave_if_asked();
	sched_run_idle();
}
