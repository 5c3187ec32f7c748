/* SPDX-License-Identifier: MIT */
/* proc_power.c - /sys/power: state, which hibernates the machine when "disk" is written to it. */
#include "fs/procfs.h"
#include "hibernate.h"

static void text_state(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "disk\n");
}

static int write_state(const char *text)
{
	return str_eq(text, "disk") || str_eq(text, "disk\n") ? hibernate() : -EINVAL;
}

const struct proc_entry sysfs_power_entries[] = {
	{ .name = "state", .mode = S_IFREG | 0644, .text = text_state, .write = write_state }, { .name = NULL },
};
