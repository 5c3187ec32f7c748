/* SPDX-License-Identifier: MIT */
/* proc_pid.c - /proc/PID: the core's reports on the address space, and what ps, top and shells read. */
#include "fs/procfs.h"
#include "kmm/node.h"
#include "kmm/observe.h"
#include "proc/cgroup.h"
#include "sig/sig.h"

static void text_maps(struct proc *proc, struct kmm_sink *out)
{
	if (proc->mm)
		kmm_report_maps(proc->mm, out);
}

static void text_smaps(struct proc *proc, struct kmm_sink *out)
{
	if (proc->mm)
		kmm_report_smaps(proc->mm, out);
}

static void text_statm(struct proc *proc, struct kmm_sink *out)
{
	if (proc->mm)
		kmm_report_statm(proc->mm, out);
	else
		sink_printf(out, "0 0 0 0 0 0 0\n");
}

static void text_smaps_rollup(struct proc *proc, struct kmm_sink *out)
{
	if (proc->mm)
		kmm_report_smaps_rollup(proc->mm, out);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A number with a sign, perhaps, between blanks. -EINVAL, -ERANGE. */
int proc_number(const char *text, int32_t *out)
{
	bool minus;
	const char *end;
	uint32_t value;

	while (is_blank(*text))
		text++;
	minus = *text == '-';
	if (minus || *text == '+')
		text++;
	if (*text < '0' || *text > '9')
		return -EINVAL;
	if (!str_to_u32(text, 10, &value, &end) || value > INT32_MAX)
		return -ERANGE;
	while (is_blank(*end))
		end++;
	*out = minus ? -(int32_t)value : (int32_t)value;
	return *end ? -EINVAL : 0;
}

static int write_clear_refs(struct proc *proc, const char *text)
{
	int32_t what;
	int err = proc_number(text, &what);

	if (err || what < KMM_REFS_ALL || what > KMM_REFS_PEAK)
		return err ? err : -EINVAL;
	return proc->mm ? os_errno(kmm_clear_refs(proc->mm, what)) : 0;
}

static void put_limit(struct kmm_sink *out, uint64_t limit)
{
	if (limit == OS_UNLIMITED)
		kmm_printf(out, "%-20s ", "unlimited");
	else
		kmm_printf(out, "%-20llu ", (unsigned long long)limit);
}

static void text_limits(struct proc *proc, struct kmm_sink *out)
{
	static const struct {
		const char *name, *unit;
	} line[NR_RLIMITS] = {
		{ "Max cpu time", "seconds" }, { "Max file size", "bytes" }, { "Max data size", "bytes" },
		{ "Max stack size", "bytes" }, { "Max core file size", "bytes" }, { "Max resident set", "bytes" },
		{ "Max processes", "processes" }, { "Max open files", "files" }, { "Max locked memory", "bytes" },
		{ "Max address space", "bytes" }, { "Max file locks", "locks" }, { "Max pending signals", "signals" },
		{ "Max msgqueue size", "bytes" }, { "Max nice priority", NULL }, { "Max realtime priority", NULL },
		{ "Max realtime timeout", "us" },
	};

	kmm_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (unsigned i = 0; i < NR_RLIMITS; i++) {
		kmm_printf(out, "%-25s ", line[i].name);
		put_limit(out, proc->rlimit[i].soft);
		put_limit(out, proc->rlimit[i].hard);
		if (line[i].unit)
			kmm_printf(out, "%-10s", line[i].unit);
		kmm_printf(out, "\n");
	}
}

static char state_letter(const struct proc *proc)
{
	struct task *t;

	if (proc->state == PROC_ZOMBIE)
		return 'Z';
	if (proc->stopped)
		return 'T';
	list_for_each(t, &proc->tasks, proc_link)
		if (t->state == TASK_RUNNING)
			return 'R';
	return 'S';
}

static const char *state_word(char letter)
{
	return letter == 'R' ? "running" : letter == 'T' ? "stopped" : letter == 'Z' ? "zombie" : "sleeping";
}

static uint32_t parent_pid(const struct proc *proc)
{
	return proc->parent ? proc->parent->pid : 0;
}

static sigset set_of(const struct proc *proc, uint32_t handler_kind)
{
	sigset set = 0;

	for (int sig = 1; sig <= NSIG; sig++) {
		uword h = proc->actions->of[sig - 1].handler;

		if (handler_kind == SIG_IGN ? h == SIG_IGN : h > SIG_IGN)
			set |= sig_bit(sig);
	}
	return set;
}

/* Signals that wait for any process: all have the same user. */
static unsigned nr_queued_signals(void)
{
	const struct pending_signal *s;
	struct proc *p;
	struct task *t;
	unsigned nr = 0;

	list_for_each(p, &all_procs, all_link) {
		list_for_each(s, &p->pending.queue, link)
			nr++;
		list_for_each(t, &p->tasks, proc_link)
			list_for_each(s, &t->pending.queue, link)
				nr++;
	}
	return nr;
}

static void signal_lines(const struct proc *proc, const struct task *t, struct kmm_sink *out)
{
	sink_printf(out, "SigQ:\t%u/%llu\n", nr_queued_signals(), LL(proc->rlimit[RLIMIT_SIGPENDING].soft));
	sink_printf(out, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n", t ? t->pending.set : 0,
		    proc->pending.set, t ? t->blocked : 0);
	sink_printf(out, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", set_of(proc, SIG_IGN), set_of(proc, SIG_IGN + 1));
}

/* Nothing takes a capability out of the bounding set here, sets no_new_privs, or filters calls. */
static void right_lines(const struct proc *proc, struct kmm_sink *out)
{
	const struct capabilities *caps = &proc->caps;

	sink_printf(out, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		    LL(caps->inheritable), LL(caps->permitted), LL(caps->effective), LL(CAPS_ALL), 0ull);
	sink_printf(out, "NoNewPrivs:\t0\nSeccomp:\t0\nSeccomp_filters:\t0\n");
	sink_printf(out, "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n");
}

/* A set of up to 32 as ranges: "0-2,5". */
static void range_line(const char *name, uint32_t set, struct kmm_sink *out)
{
	const char *between = "";

	sink_printf(out, "%s:\t", name);
	for (unsigned i = 0; i < 32; i++) {
		unsigned first = i;

		if (!(set >> i & 1))
			continue;
		while (i < 31 && (set >> (i + 1) & 1))
			i++;
		if (i > first)
			sink_printf(out, "%s%u-%u", between, first, i);
		else
			sink_printf(out, "%s%u", between, i);
		between = ",";
	}
	sink_printf(out, "\n");
}

/* Debian's 64-bit kernels have room for 1024 nodes, and print all of it. */
static void mems_line(uint32_t nodes, struct kmm_sink *out)
{
	sink_printf(out, "Mems_allowed:\t");
	for (unsigned i = 1; sizeof(uword) == 8 && i < 1024 / 32; i++)
		sink_printf(out, "00000000,");
	sink_printf(out, sizeof(uword) == 8 ? "%08x\n" : "%x\n", nodes);
}

/* Linux's tables are no smaller than a word has bits. */
static uint32_t fd_room(const struct fd_table *fds)
{
	return fds->size > 8 * sizeof(uword) ? fds->size : (uint32_t)(8 * sizeof(uword));
}

static void place_lines(const struct task *t, struct kmm_sink *out)
{
	uint32_t all = (uint32_t)((1ull << x86_nr_cpus) - 1), cpus = t ? t->allowed & all : all;
	uint32_t nodes = (uint32_t)((1ull << kmm_nr_nodes(os.k)) - 1);

	sink_printf(out, x86_nr_cpus > 4 ? "Cpus_allowed:\t%02x\n" : "Cpus_allowed:\t%x\n", cpus);
	range_line("Cpus_allowed_list", cpus, out);
	mems_line(nodes, out);
	range_line("Mems_allowed_list", nodes, out);
	sink_printf(out, "voluntary_ctxt_switches:\t%u\nnonvoluntary_ctxt_switches:\t%u\n", t ? t->sleeps : 0,
		    t && t->switches > t->sleeps ? t->switches - t->sleeps : 0);
}

static void text_status(struct proc *proc, struct kmm_sink *out)
{
	char letter = state_letter(proc);
	struct task *t = list_empty(&proc->tasks) ? NULL : container_of(proc->tasks.next, struct task, proc_link);

	sink_printf(out, "Name:\t%s\nUmask:\t0%u%u%u\nState:\t%c (%s)\n", proc->comm, proc->fs->umask >> 6 & 7,
		    proc->fs->umask >> 3 & 7, proc->fs->umask & 7, letter, state_word(letter));
	sink_printf(out, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", proc->pid, proc->pid,
		    parent_pid(proc));
	sink_printf(out, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nFDSize:\t%u\nGroups:\t \n", fd_room(proc->fds));
	sink_printf(out, "NStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", proc->pid, proc->pid, proc->pgid, proc->sid);
	if (proc->mm) {
		kmm_report_mm_status(proc->mm, out);
		sink_printf(out, "CoreDumping:\t0\nTHP_enabled:\t1\n");
	}
	sink_printf(out, "Threads:\t%u\n", proc->nr_tasks);
	signal_lines(proc, t, out);
	right_lines(proc, out);
	place_lines(t, out);
}

static uint32_t total_ticks(const struct proc *proc)
{
	uint32_t ticks = proc->ticks;
	struct task *t;

	list_for_each(t, &proc->tasks, proc_link)
		ticks += t->ticks;
	return ticks;
}

/* The 52 numbers of proc(5), those unknown here as 0. */
static void text_stat(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_mm_stats s = { .faults = 0 };

	if (proc->mm)
		kmm_mm_stats(proc->mm, &s);
	sink_printf(out, "%u (%s) %c %u %u %u %u %d 0 %llu 0 0 0 ", proc->pid, proc->comm, state_letter(proc),
		    parent_pid(proc), proc->pgid, proc->sid, 5 << 8, (int)proc->pgid, LL(s.faults));
	sink_printf(out, "%u 0 %u 0 20 0 %u 0 %u %llu %u ", total_ticks(proc), proc->child_ticks, proc->nr_tasks,
		    (uint32_t)div_u64(proc->start_ns, 10000000, NULL), LL(s.total_pages) << KMM_PAGE_SHIFT,
		    (uint32_t)(s.rss_anon + s.rss_file + s.rss_shmem));
	sink_printf(out, "%lu 0 0 %llu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 %llu %llu %llu 0 0 %d\n",
		    ~0ul, LL(s.start_stack.v), LL(s.start_brk.v), LL(proc->arg_start), LL(proc->arg_end),
		    proc->exit_status);
}

static void text_cmdline(struct proc *proc, struct kmm_sink *out)
{
	uword at = proc->arg_start;
	struct kmm_mm *mm = proc->mm;

	while (mm && at < proc->arg_end) {
		char part[128];
		size_t n = min_word(sizeof(part), proc->arg_end - at), done = 0;

		if (kmm_copy_in(mm, part, kmm_uva(at), n, &done) != KMM_OK && done == 0)
			return;
		out->write(out, part, done);
		at += done;
	}
}

static void text_comm(struct proc *proc, struct kmm_sink *out)
{
	sink_printf(out, "%s\n", proc->comm);
}

static int read_exe(struct proc *proc, char *buf, size_t size)
{
	if (proc->exe_entry)
		return entry_path(proc->exe_entry, buf, size);
	return proc->exe_path ? x86_snprintf(buf, size, "%s%s", proc->exe_path, inode_is_removed(proc->exe) ? " (deleted)" : "") : -ENOENT;
}

static int inode_or_none(struct inode *inode, struct inode **out)
{
	if (!inode)
		return -ENOENT;
	inode_get(inode);
	*out = inode;
	return 0;
}

static int follow_exe(struct proc *proc, struct inode **out)
{
	return inode_or_none(proc->exe, out);
}

static int read_cwd(struct proc *proc, char *buf, size_t size)
{
	const struct inode *cwd = proc->fs->cwd;

	if (cwd && !cwd->parent && cwd->target)
		return x86_snprintf(buf, size, "%s (deleted)", cwd->target);
	return cwd ? tree_path(proc->fs->cwd, buf, size) : -ENOENT;
}

static int follow_cwd(struct proc *proc, struct inode **out)
{
	return inode_or_none(proc->fs->cwd, out);
}

static int read_root(struct proc *proc, char *buf, size_t size)
{
	(void)proc;
	return x86_snprintf(buf, size, "/");
}

static int follow_root(struct proc *proc, struct inode **out)
{
	(void)proc;
	return inode_or_none(fs_root, out);
}

static void text_cgroup(struct proc *proc, struct kmm_sink *out)
{
	char *path = os_alloc(PATH_SIZE);

	if (!path)
		return;
	cgroup_path(proc->cgroup, path, PATH_SIZE);
	out->write(out, "0::", 3);
	out->write(out, path, str_len(path));
	out->write(out, "\n", 1);
	os_free(path);
}

#define TEXT(name_) { .name = #name_, .mode = S_IFREG | 0444, .text = text_##name_ }
#define GUARDED(name_) { .name = #name_, .mode = S_IFREG | 0444, .text = text_##name_, .guarded = true }
#define LINK(name_) \
	{ .name = #name_, .mode = S_IFLNK | 0777, .readlink = read_##name_, .follow = follow_##name_ }

const struct proc_entry proc_pid_entries[] = {
	GUARDED(maps), GUARDED(smaps), GUARDED(smaps_rollup), TEXT(status), TEXT(limits), TEXT(statm), TEXT(stat), TEXT(cmdline), TEXT(comm), TEXT(cgroup),
	{ .name = "clear_refs", .mode = S_IFREG | 0200, .write_of = write_clear_refs, .most = 12 },
	{ .name = "pagemap", .mode = S_IFREG | 0400, .pages = kmm_report_pagemap, .guarded = true },
	LINK(exe), LINK(cwd), LINK(root),
	{ .name = "fd", .mode = S_IFDIR | 0500 },
	{ .name = NULL },
};
