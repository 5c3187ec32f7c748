/* SPDX-License-Identifier: MIT */
/*
 * cmdline.c - the kernel command line: words separated by blanks.
 *
 *   run=PATH     first program, with no arguments beyond its name, unless
 *   start=PATH   ...this file of the initrd says all about it (start.c)
 *   input=PATH   file that is the program's standard input (default: the console)
 *   tty=1        the console is a terminal
 *   report=1     write the memory report to the second serial port at the end
 *   bench=1      run the in-kernel benchmarks (bench.c) before the first program; results on the log
 *   swap=NAME    prepare this disk (vda, vdb, vdc, ram0) for swap and use it (swap.c)
 *   resume=NAME  go on with the hibernated machine on this disk; a program is started only if that cannot be (hibernate.c)
 *   note=TEXT    kept with an image of the machine, for who resumes it
 *   zswap=N      keep pages in memory compressed before they go to a swap area, in up to N percent of it (swap.c)
 *   policy=NAME  which pages go when memory is short: the name of one of the core's policies
 *   answer=NAME  what programs get when memory ends: swap, enomem or block
 *   memory_max=N, memory_high=N   the first program is in the cgroup /run, with these limits in bytes (proc/first.c)
 *   ramdisk=N    keep N MiB of RAM for the disk ram0
 *   stack_guard_gap=N   pages that stay free between a growing area and what is below (default: 256)
 *   seed=N       of everything random (default: from the clock)
 *
 * A word that is none of these is left alone: the loader puts the kernel's own name there.
 */
#include "os.h"

struct word {
	const char *key, *value;
	size_t key_len, value_len;
};

static bool next_word(const char **at, struct word *w)
{
	const char *p = *at, *start;

	while (*p == ' ')
		p++;
	if (!*p)
		return false;
	start = p;
	*w = (struct word){ .key = start };
	for (; *p && *p != ' '; p++) {
		if (*p == '=' && !w->value) {
			w->key_len = (size_t)(p - start);
			w->value = p + 1;
		}
	}
	if (w->value)
		w->value_len = (size_t)(p - w->value);
	*at = p;
	return true;
}

/* The strings must outlive the command line's parsing and need ends of their own. */
static const char *keep(const struct word *w)
{
	static char store[1024];
	static size_t used;
	char *copy = store + used;

	if (w->value_len + 1 > sizeof(store) - used)
		return NULL;
	memcpy(copy, w->value, w->value_len);
	copy[w->value_len] = 0;
	used += w->value_len + 1;
	return copy;
}

static bool flag(const struct word *w)
{
	return str_eq_n(w->value, w->value_len, "1");
}

static uint32_t number(const struct word *w)
{
	uint32_t n = 0;

	return str_to_u32(w->value, 10, &n, NULL) ? n : 0;
}

void cmdline_parse(const char *text, struct os_options *out)
{
	struct word w;

	while (next_word(&text, &w)) {
		if (str_eq_n(w.key, w.key_len, "run"))
			out->run = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "start"))
			out->start = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "input"))
			out->input = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "tty"))
			out->tty = flag(&w);
		else if (str_eq_n(w.key, w.key_len, "report"))
			out->report = flag(&w);
		else if (str_eq_n(w.key, w.key_len, "bench"))
			out->bench = flag(&w);
		else if (str_eq_n(w.key, w.key_len, "broken"))
			out->broken = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "life"))
			out->life = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "swap"))
			out->swap = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "resume"))
			out->resume = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "note"))
			out->note = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "zswap"))
			out->zswap = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "answer"))
			out->answer = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "policy"))
			out->policy = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "memory_max"))
			out->memory_max = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "memory_high"))
			out->memory_high = keep(&w);
		else if (str_eq_n(w.key, w.key_len, "ramdisk"))
			out->ramdisk_mib = number(&w);
		else if (str_eq_n(w.key, w.key_len, "stack_guard_gap"))
			out->stack_guard_gap = number(&w);
		else if (str_eq_n(w.key, w.key_len, "seed"))
			out->seed = number(&w), out->has_seed = true;
		else if (str_eq_n(w.key, w.key_len, "kaslr"))
			out->kaslr = number(&w), out->has_kaslr = true;
	}
}
