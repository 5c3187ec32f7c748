/* SPDX-License-Identifier: MIT */
/*
 * proc_layout.c - files of /proc/sys that say where a program's memory lies (proc/layout.h), and those of huge pages. There
 * are none of these here and none can be made, so their numbers are 0 and take nothing else, as Linux's of a size that it
 * cannot make.
 */
#include "fs/procfs.h"
#include "proc/layout.h"

static void put_number(struct kmm_sink *out, int32_t value)
{
	sink_printf(out, "%d\n", (int)value);
}

void proc_text_legacy_va_layout(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	put_number(out, layout_legacy);
}

void proc_text_randomize_va_space(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	put_number(out, layout_random);
}

void proc_text_no_huge_pages(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	put_number(out, 0);
}

/* An int, perhaps with a sign, between blanks; proc_number() says -ERANGE what is -EINVAL to these. */
static int read_int(const char *text, int32_t *out)
{
	return proc_number(text, out) == 0 ? 0 : -EINVAL;
}

int proc_write_legacy_va_layout(const char *text)
{
	int32_t value;

	if (read_int(text, &value) != 0 || value < 0)
		return -EINVAL;
	layout_legacy = value;
	return 0;
}

int proc_write_randomize_va_space(const char *text)
{
	int32_t value;

	if (read_int(text, &value) != 0)
		return -EINVAL;
	layout_random = value;
	return 0;
}

int proc_write_no_huge_pages(const char *text)
{
	int32_t value;

	return read_int(text, &value) == 0 && value == 0 ? 0 : -EINVAL;
}
