/* SPDX-License-Identifier: MIT */
/*
 * cgroup_memory.c - the files memory.* of a cgroup: limits as they are set and shown on Linux 6.1 (pages, in bytes; "max" is none),
 * and the core's reports.
 */
#include "fs/cgroupfs.h"
#include "kmm/reclaim.h"

/* Linux's PAGE_COUNTER_MAX: from there on a size is "max". */
#define MOST_PAGES (sizeof(uword) == 8 ? (uint64_t)INT64_MAX >> KMM_PAGE_SHIFT : (uint64_t)INT32_MAX)

/* ---- numbers ---- */

static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 99;
}

/* 0: none of them. */
static unsigned shift_of(char suffix)
{
	static const char letters[] = "kmgtpe";

	for (unsigned i = 0; letters[i]; i++)
		if ((suffix | 0x20) == letters[i])
			return 10 * (i + 1);
	return 0;
}

bool cgroup_parse_size(const char *text, kmm_word *pages)
{
	uint64_t bytes = 0;
	unsigned base = 10;

	if (text[0] == '0' && (text[1] | 0x20) == 'x' && digit_of(text[2]) < 16)
		base = 16, text += 2;
	else if (text[0] == '0')
		base = 8;
	for (; digit_of(*text) < base; text++)
		bytes = bytes * base + digit_of(*text);
	if (shift_of(*text))
		bytes <<= shift_of(*text++);
	bytes >>= KMM_PAGE_SHIFT;
	*pages = bytes < MOST_PAGES ? (kmm_word)bytes : KMM_GROUP_NO_LIMIT;
	return !*text;
}

static int parse_limit(const char *text, kmm_word *pages)
{
	if (str_eq(text, "max"))
		*pages = KMM_GROUP_NO_LIMIT;
	else if (!cgroup_parse_size(text, pages))
		return -EINVAL;
	return 0;
}

static void put_pages(struct kmm_sink *out, kmm_word pages)
{
	if (pages == KMM_GROUP_NO_LIMIT)
		sink_printf(out, "max\n");
	else
		sink_printf(out, "%llu\n", LL(pages) << KMM_PAGE_SHIFT);
}

/* ---- limits ---- */

static int set_limit(struct kmm_group *group, enum kmm_group_limit which, const char *text)
{
	kmm_word pages;
	int err = parse_limit(text, &pages);

	if (err == 0)
		kmm_group_set(group, which, pages);
	return err;
}

#define LIMIT(name, which)                                                                          \
	static void text_##name(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)   \
	{                                                                                           \
		(void)cg;                                                                           \
		put_pages(out, kmm_group_limit(group, which));                                      \
	}                                                                                           \
	static int write_##name(struct cgroup *cg, struct kmm_group *group, char *text)             \
	{                                                                                           \
		(void)cg;                                                                           \
		return set_limit(group, which, text);                                               \
	}
LIMIT(high, KMM_GROUP_HIGH)
LIMIT(low, KMM_GROUP_LOW)
LIMIT(min, KMM_GROUP_MIN)
LIMIT(swap_max, KMM_GROUP_SWAP_MAX)

static void text_max(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	put_pages(out, kmm_group_limit(group, KMM_GROUP_MAX));
}

static kmm_word pages_of(struct kmm_group *group)
{
	struct kmm_group_info info;

	kmm_group_info(group, &info);
	return info.pages;
}

/* What cannot be reclaimed goes with processes, as on Linux. */
static int write_max(struct cgroup *cg, struct kmm_group *group, char *text)
{
	int err = set_limit(group, KMM_GROUP_MAX, text);
	kmm_word max = kmm_group_limit(group, KMM_GROUP_MAX);

	while (err == 0 && pages_of(group) > max && oom_shrink(cg))
		kmm_group_set(group, KMM_GROUP_MAX, max);
	return err;
}

static int write_reclaim(struct cgroup *cg, struct kmm_group *group, char *text)
{
	kmm_word pages;

	(void)cg;
	if (!cgroup_parse_size(text, &pages))
		return -EINVAL;
	return kmm_group_reclaim(group, pages) < pages ? -EAGAIN : 0;
}

/* ---- figures ---- */

#define FIGURE(name, member)                                                                        \
	static void text_##name(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)   \
	{                                                                                           \
		struct kmm_group_info info;                                                         \
                                                                                                    \
		(void)cg;                                                                           \
		kmm_group_info(group, &info);                                                       \
		put_pages(out, info.member);                                                        \
	}
FIGURE(current, pages)
FIGURE(peak, peak)
FIGURE(swap_current, swap)

static void text_stat(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	if (group)
		kmm_report_group_stat(group, out);
	else
		kmm_report_root_stat(os.k, out);
}

static void text_events(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	kmm_report_group_events(group, false, out);
}

static void text_events_local(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	kmm_report_group_events(group, true, out);
}

static void text_swap_events(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	kmm_report_group_swap_events(group, out);
}

static void text_pressure(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)cg;
	if (group)
		kmm_report_group_pressure(group, out);
	else
		kmm_report_pressure(os.k, out);
}

/* ---- memory.oom.group ---- */

static void text_oom_group(struct cgroup *cg, struct kmm_group *group, struct kmm_sink *out)
{
	(void)group;
	sink_printf(out, "%d\n", cg->oom_group);
}

static int write_oom_group(struct cgroup *cg, struct kmm_group *group, char *text)
{
	const char *end;
	uint32_t value;

	(void)group;
	if (!str_to_u32(text, 10, &value, &end) || *end || value > 1)
		return -EINVAL;
	cg->oom_group = value;
	return 0;
}

#define RO 0444, CG_NOT_ON_ROOT | CG_GROUP
#define RO_TOLD 0444, CG_NOT_ON_ROOT | CG_GROUP | CG_TELLS
#define RO_ALSO_ROOT 0444, CG_GROUP | CG_ALSO_ROOT
#define RW 0644, CG_NOT_ON_ROOT | CG_GROUP

const struct cgroup_file cgroup_memory_files[] = {
	{ "memory.current", RO, text_current, NULL },
	{ "memory.peak", RO, text_peak, NULL },
	{ "memory.min", RW, text_min, write_min },
	{ "memory.low", RW, text_low, write_low },
	{ "memory.high", RW, text_high, write_high },
	{ "memory.max", RW, text_max, write_max },
	{ "memory.events", RO_TOLD, text_events, NULL },
	{ "memory.events.local", RO_TOLD, text_events_local, NULL },
	{ "memory.stat", RO_ALSO_ROOT, text_stat, NULL },
	{ "memory.pressure", RO_ALSO_ROOT, text_pressure, NULL },
	{ "memory.oom.group", RW, text_oom_group, write_oom_group },
	{ "memory.reclaim", 0200, CG_NOT_ON_ROOT | CG_GROUP, NULL, write_reclaim },
	{ "memory.swap.current", RO, text_swap_current, NULL },
	{ "memory.swap.max", RW, text_swap_max, write_swap_max },
	{ "memory.swap.events", RO_TOLD, text_swap_events, NULL },
	{ .name = NULL },
};
