/* SPDX-License-Identifier: MIT */
/*
 * What a program relies on, asked after each operation and outside of what is measured: that memory holds what was
 * written, that fresh memory is zero, that gone memory is gone, and that /proc counts it.
 *
 * Exact are the page faults of the process and the lines of /proc/self/smaps. The machine's counters may lag: Linux
 * folds its per-CPU ones once a second or every 125 pages and keeps freed pages in per-CPU lists, hence SLACK.
 */
#include "versus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SLACK_PAGES = 256, FAULT_SLACK = 24, TEXT_ROOM = 1 << 20, SHOWN = 30 };

static long nr_checks, nr_failed;
static char text[TEXT_ROOM];

void check(int ok, const char *format, ...)
{
	char what[256];
	va_list args;

	nr_checks++;
	if (ok)
		return;
	if (++nr_failed > SHOWN)
		return;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	say("check:\tFAILED\t%s\n", what);
}

int end_of_checks(void)
{
	say("checks:\t%ld\t%ld\n", nr_checks, nr_failed);
	return nr_failed != 0;
}

long faults_so_far(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		die("getrusage");
	return usage.ru_minflt;
}

/* ---- /proc ---- */

static const char *read_text(const char *path)
{
	int fd = open(path, O_RDONLY);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		die("%s", path);
	while ((n = read(fd, text + used, TEXT_ROOM - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = 0;
	return text;
}

/* Of a line that starts with key; -1: there is none. */
static long number_in(const char *lines, const char *key)
{
	size_t len = strlen(key);

	for (const char *at = lines; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, len) == 0)
			return strtol(at + len, NULL, 10);
	}
	return -1;
}

long proc_number(const char *path, const char *key)
{
	return number_in(read_text(path), key);
}

void take_account(struct account *out)
{
	const char *at;

	out->areas = 0;
	for (at = read_text("/proc/self/maps"); *at; at++)
		out->areas += *at == '\n';
	at = read_text("/proc/meminfo");
	out->anon_kb = number_in(at, "AnonPages:");
	out->free_kb = number_in(at, "MemFree:");
	out->faults = faults_so_far();
}

/* The head of an area in smaps: "first-end perms ...". */
static int is_head(const char *line, uintptr_t at)
{
	char *end;
	unsigned long long first = strtoull(line, &end, 16), last;

	if (end == line || *end != '-')
		return 0;
	last = strtoull(end + 1, &end, 16);
	return *end == ' ' && at >= first && at < last;
}

void take_usage(const void *at, struct usage *out)
{
	const char *line = read_text("/proc/self/smaps");

	*out = (struct usage){ 0, 0, 0, 0 };
	while (!is_head(line, (uintptr_t)at)) {
		line = strchr(line, '\n');
		if (!line || !*++line)
			return;
	}
	out->size = number_in(line, "Size:");
	out->rss = number_in(line, "Rss:");
	out->anon = number_in(line, "Anonymous:");
	out->dirty = number_in(line, "Private_Dirty:") + number_in(line, "Shared_Dirty:");
}

/* ---- memory ---- */

static int channel[2] = { -1, -1 };

static void open_channel(void)
{
	if (channel[0] < 0 && pipe2(channel, O_NONBLOCK) != 0)
		die("pipe");
}

int readable(const void *p)
{
	char byte;

	open_channel();
	errno = 0;
	if (write(channel[1], p, 1) != 1)
		return 0;
	return read(channel[0], &byte, 1) == 1;
}

/* Through a byte that is there already. */
int writable(void *p)
{
	char left;

	open_channel();
	if (write(channel[1], p, 1) != 1)
		return 0;
	if (read(channel[0], p, 1) == 1)
		return 1;
	while (read(channel[0], &left, 1) == 1)
		;
	return 0;
}

static int rest_is_zero(const char *page)
{
	const uintptr_t *word = (const void *)page;
	uintptr_t sum = 0;

	for (size_t i = 1; i < PAGE / sizeof(*word); i++)
		sum |= word[i];
	for (size_t i = 1; i < sizeof(*word); i++)
		sum |= (unsigned char)page[i];
	return sum == 0;
}

int filled(const char *p, long nr_pages, char first)
{
	long step = nr_pages > 8192 ? 64 : 1; /* every page's first byte, and of very many some in full */

	for (long i = 0; i < nr_pages; i++) {
		if (p[i * PAGE] != first)
			return 0;
		if (i % step == 0 && !rest_is_zero(p + i * PAGE))
			return 0;
	}
	return 1;
}

void check_pages(const char *what, const char *p, long nr_pages, char first, long faults)
{
	long kib = nr_pages * KIB_PER_PAGE;
	struct usage u;

	check(faults >= nr_pages && faults <= nr_pages + FAULT_SLACK, "%s: %ld faults for %ld pages", what, faults, nr_pages);
	check(filled(p, nr_pages, first), "%s: memory holds something else", what);
	take_usage(p, &u);
	check(u.size >= kib, "%s: smaps says Size %ld of %ld KiB", what, u.size, kib);
	check(u.rss >= kib && u.rss <= u.size, "%s: smaps says Rss %ld of %ld KiB", what, u.rss, kib);
	check(u.anon == u.rss, "%s: smaps says Anonymous %ld, Rss %ld KiB", what, u.anon, u.rss);
	check(u.dirty == u.rss, "%s: smaps says dirty %ld, Rss %ld KiB", what, u.dirty, u.rss);
}

void check_anon(const char *what, const struct account *since, long pages)
{
	struct account now;
	long grown;

	take_account(&now);
	grown = (now.anon_kb - since->anon_kb) / KIB_PER_PAGE;
	check(grown >= pages - SLACK_PAGES && grown <= pages + SLACK_PAGES,
	      "%s: AnonPages of /proc/meminfo has grown by %ld pages, not %ld", what, grown, pages);
}
