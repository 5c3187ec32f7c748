/* SPDX-License-Identifier: MIT */
/* proc_ipc.c - /proc/sysvipc/shm, in Linux's format, and the limits of shared memory below /proc/sys/kernel. */
#include "fs/procfs.h"
#include "ipc/segment.h"

/* Sizes are as wide as the machine's. */
#if UINTPTR_MAX > UINT32_MAX
#define SIZE "21"
#else
#define SIZE "10"
#endif

static void text_sysvipc_shm(struct proc *proc, struct kmm_sink *out)
{
	struct segment_info s;
	int32_t index = 0;

	(void)proc;
	sink_printf(out, "       key      shmid perms %" SIZE "s  cpid  lpid nattch   uid   gid  cuid  cgid", "size");
	sink_printf(out, "      atime      dtime      ctime %" SIZE "s %" SIZE "s\n", "rss", "swap");
	while (segment_next(&index, &s)) {
		sink_printf(out, "%10d %10d  %4o %" SIZE "llu %5u %5u  %5llu %5u %5u %5u %5u ", s.key, s.id, s.mode, LL(s.size), s.cpid,
			    s.lpid, LL(s.nattch), s.uid, s.gid, s.cuid, s.cgid);
		sink_printf(out, "%10llu %10llu %10llu %" SIZE "llu %" SIZE "u\n", LL(s.atime), LL(s.dtime), LL(s.ctime),
			    LL(s.pages << KMM_PAGE_SHIFT), 0u);
	}
}

void proc_text_shmmax(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%llu\n", LL(segment_limits().max_bytes));
}

void proc_text_shmall(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%llu\n", LL(segment_limits().all_pages));
}

void proc_text_shmmni(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", segment_limits().max_segments);
}

/* A number and nothing but the end of its line. */
static bool is_word(const char *text, uword *out)
{
	const char *end;

	return str_to_word(text, 10, out, &end) && (*end == 0 || (*end == '\n' && end[1] == 0));
}

int proc_write_shmmax(const char *text)
{
	struct segment_limits limits = segment_limits();
	uword value;

	if (!is_word(text, &value))
		return -EINVAL;
	limits.max_bytes = value;
	segment_set_limits(&limits);
	return 0;
}

int proc_write_shmall(const char *text)
{
	struct segment_limits limits = segment_limits();
	uword value;

	if (!is_word(text, &value))
		return -EINVAL;
	limits.all_pages = value;
	segment_set_limits(&limits);
	return 0;
}

int proc_write_shmmni(const char *text)
{
	enum { MOST = 32768 };
	struct segment_limits limits = segment_limits();
	uword value;

	if (!is_word(text, &value) || value > MOST)
		return -EINVAL;
	limits.max_segments = (uint32_t)value;
	segment_set_limits(&limits);
	return 0;
}

const struct proc_entry proc_sysvipc_entries[] = {
	{ .name = "shm", .mode = S_IFREG | 0444, .text = text_sysvipc_shm }, { .name = NULL },
};
