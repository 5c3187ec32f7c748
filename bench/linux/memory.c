/* SPDX-License-Identifier: MIT */
/* What the kernel says about memory when it has just started this program, in KiB. */
#include "versus.h"

#include <stdio.h>
#include <string.h>
#include <sys/klog.h>

enum { READ_ALL = 3, LOG_ROOM = 1 << 18 };

/* Linux's own account of its image, from its log; other kernels have no such line. */
static void image_sizes(void)
{
	static char log[LOG_ROOM];
	int len = klogctl(READ_ALL, log, LOG_ROOM - 1);
	char *at = len > 0 ? strstr(log, "Memory: ") : NULL;

	if (at) {
		at[strcspn(at, "\n")] = 0;
		say("image:\t%s\n", at);
	}
}

void run_memory(void)
{
	static const char *const keys[] = { "MemTotal:", "MemFree:", "MemAvailable:", "AnonPages:", "Slab:", "PageTables:" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%.*s", (int)strlen(keys[i]) - 1, keys[i]);
		print_value(name, "KiB", (double)proc_number("/proc/meminfo", keys[i]));
	}
	image_sizes();
}
