/* SPDX-License-Identifier: MIT */
/*
 * proc_system.c - /proc files about the machine. All memory reports come from the core, in Linux's formats; the
 * rest says what this kernel is, in the form programs parse.
 */
#include "fs/procfs.h"
#include "fs/userfault.h"
#include "kmm/observe.h"
#include "kmm/reclaim.h"
#include "kmm/writeback.h"
#include "proc/cgroup.h"
#include "proc/cpu.h"
#include "sys/sys.h"

#define MEMORY_REPORT(name)                                             \
	static void text_##name(struct proc *proc, struct kmm_sink *out) \
	{                                                                \
		(void)proc;                                              \
		kmm_report_##name(os.k, out);                            \
	}
MEMORY_REPORT(meminfo)
MEMORY_REPORT(zoneinfo)
MEMORY_REPORT(buddyinfo)
MEMORY_REPORT(pagetypeinfo)
MEMORY_REPORT(slabinfo)
MEMORY_REPORT(vmallocinfo)
MEMORY_REPORT(vmstat)
MEMORY_REPORT(swaps)
MEMORY_REPORT(pressure)

static void text_version(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%s version %s (%s) %s\n", OS_SYSNAME, OS_RELEASE, OS_MACHINE, OS_VERSION);
}

static void text_uptime(struct proc *proc, struct kmm_sink *out)
{
	uint32_t rest;
	uint32_t s = (uint32_t)div_u64(os_now(), 1000000000, &rest);

	(void)proc;
	sink_printf(out, "%u.%02u 0.00\n", s, rest / 10000000);
}

static void cpu_line(struct kmm_sink *out, const char *name, uint32_t busy, uint32_t idle)
{
	sink_printf(out, "cpu%s %u 0 0 %u 0 0 0 0 0 0\n", name, busy, idle);
}

static void cpu_lines(struct kmm_sink *out)
{
	uint32_t busy = 0, idle = 0;

	for (unsigned i = 0; i < x86_nr_cpus; i++) {
		busy += os_cpus[i].busy_ticks;
		idle += os_cpus[i].idle_ticks;
	}
	cpu_line(out, " ", busy, idle);
	for (unsigned i = 0; i < x86_nr_cpus; i++) {
		char name[4];

		x86_snprintf(name, sizeof(name), "%u", i);
		cpu_line(out, name, os_cpus[i].busy_ticks, os_cpus[i].idle_ticks);
	}
}

static void text_stat(struct proc *proc, struct kmm_sink *out)
{
	struct proc *p;
	unsigned running = 0, all = 0;

	(void)proc;
	list_for_each(p, &all_procs, all_link) {
		struct task *t;

		all++;
		list_for_each(t, &p->tasks, proc_link)
			running += t->state == TASK_RUNNING;
	}
	cpu_lines(out);
	sink_printf(out, "intr %u\nctxt 0\nbtime %llu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n", x86_ticks(),
		    LL(x86_boot_epoch()), all, running);
}

static void text_loadavg(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "0.00 0.00 0.00 1/1 %u\n", current->proc->pid);
}

static void text_filesystems(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "nodev\tramfs\nnodev\tproc\nnodev\tsysfs\nnodev\tcgroup2\n");
}

static void text_mounts(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "ramfs / ramfs rw 0 0\nproc /proc proc rw 0 0\nsysfs /sys sysfs rw 0 0\n");
	sink_printf(out, "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
}

/* All controllers there are: one. */
static void text_cgroups(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t%u\t1\n", cgroup_count(&cgroup_root) + 1);
}

/* All processors are taken to be like the one the kernel started on. */
static void processor_lines(unsigned number, struct kmm_sink *out)
{
	const struct x86_cpu_info *c = &x86_cpu_info;

	sink_printf(out, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", number, c->vendor,
		    c->family, c->model);
	sink_printf(out, "model name\t: %s\nstepping\t: %u\n", c->brand, c->stepping);
	sink_printf(out, "flags\t\t:%s%s%s%s%s%s%s%s\n", c->pse ? " pse" : "", c->tsc ? " tsc" : "",
		    c->pae ? " pae" : "", c->pge ? " pge" : "", c->fxsr ? " fxsr" : "", c->sse ? " sse" : "",
		    c->sse2 ? " sse2" : "", c->nx ? " nx" : "");
	sink_printf(out, "address sizes\t: %u bits physical, %u bits virtual\n\n", c->phys_bits, c->virt_bits);
}

static void text_cpuinfo(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	for (unsigned i = 0; i < x86_nr_cpus; i++)
		processor_lines(i, out);
}

static void text_cmdline(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	out->write(out, x86_boot.cmdline, str_len(x86_boot.cmdline));
	sink_printf(out, "\n");
}

static void text_overcommit(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_overcommit now;

	(void)proc;
	kmm_overcommit(os.k, &now);
	sink_printf(out, "%u\n", now.mode);
}

static void text_overcommit_ratio(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_overcommit now;

	(void)proc;
	kmm_overcommit(os.k, &now);
	sink_printf(out, "%u\n", now.ratio);
}

/* A number and nothing but the end of its line. */
static bool is_number(const char *text, uint32_t *out)
{
	const char *end;

	return str_to_u32(text, 10, out, &end) && (*end == 0 || (*end == '\n' && end[1] == 0));
}

static int write_overcommit(const char *text)
{
	struct kmm_overcommit now;
	uint32_t mode;

	if (!is_number(text, &mode))
		return -EINVAL;
	kmm_overcommit(os.k, &now);
	return os_errno(kmm_set_overcommit(os.k, mode, now.ratio));
}

static int write_overcommit_ratio(const char *text)
{
	struct kmm_overcommit now;
	uint32_t ratio;

	if (!is_number(text, &ratio))
		return -EINVAL;
	kmm_overcommit(os.k, &now);
	kmm_set_overcommit_pages(os.k, 0);
	return os_errno(kmm_set_overcommit(os.k, now.mode, ratio));
}

static void text_dirty_ratio(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_writeback_stats now;

	(void)proc;
	kmm_writeback_stats(os.k, &now);
	sink_printf(out, "%u\n", now.ratio);
}

static void text_dirty_background_ratio(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_writeback_stats now;

	(void)proc;
	kmm_writeback_stats(os.k, &now);
	sink_printf(out, "%u\n", now.background_ratio);
}

static int write_dirty_ratio(const char *text)
{
	struct kmm_writeback_stats now;
	uint32_t ratio;

	if (!is_number(text, &ratio))
		return -EINVAL;
	kmm_writeback_stats(os.k, &now);
	return os_errno(kmm_set_dirty_limits(os.k, ratio, now.background_ratio));
}

static int write_dirty_background_ratio(const char *text)
{
	struct kmm_writeback_stats now;
	uint32_t ratio;

	if (!is_number(text, &ratio))
		return -EINVAL;
	kmm_writeback_stats(os.k, &now);
	return os_errno(kmm_set_dirty_limits(os.k, now.ratio, ratio));
}

enum { NS_A_CS = 10000000 };

static void text_dirty_expire_centisecs(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_writeback_stats now;

	(void)proc;
	kmm_writeback_stats(os.k, &now);
	sink_printf(out, "%u\n", (unsigned)div_u64(now.expire_ns, NS_A_CS, NULL));
}

static int write_dirty_expire_centisecs(const char *text)
{
	uint32_t cs;

	if (!is_number(text, &cs))
		return -EINVAL;
	kmm_set_dirty_expire(os.k, (uint64_t)cs * NS_A_CS);
	return 0;
}

static void text_dirty_writeback_centisecs(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", background_interval_cs);
}

static int write_dirty_writeback_centisecs(const char *text)
{
	uint32_t cs;

	if (!is_number(text, &cs))
		return -EINVAL;
	background_set_interval(cs);
	return 0;
}

/* 1: clean pages of disks (files in memory have nowhere else to be); 2: what caches of the kernel can do without. */
static int write_drop_caches(const char *text)
{
	uint32_t what;

	if (!is_number(text, &what) || what < 1 || what > 4)
		return -EINVAL;
	if (what & 1)
		blocks_forget();
	if (what & 2)
		kmm_shrink(os.k, KMM_GFP_KERNEL, 1 << 20);
	return 0;
}

static void text_overcommit_kbytes(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_overcommit now;

	(void)proc;
	kmm_overcommit(os.k, &now);
	sink_printf(out, "%llu\n", LL(now.pages) << (KMM_PAGE_SHIFT - 10));
}

static int write_overcommit_kbytes(const char *text)
{
	uint32_t kbytes;

	if (!is_number(text, &kbytes))
		return -EINVAL;
	kmm_set_overcommit_pages(os.k, kbytes >> (KMM_PAGE_SHIFT - 10));
	return 0;
}

static kmm_word pages_of_kbytes(uint32_t kbytes) { return kbytes >> (KMM_PAGE_SHIFT - 10); }

static void text_admin_reserve_kbytes(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_overcommit now;

	(void)proc;
	kmm_overcommit(os.k, &now);
	sink_printf(out, "%llu\n", LL(now.admin_reserve) << (KMM_PAGE_SHIFT - 10));
}

static void text_user_reserve_kbytes(struct proc *proc, struct kmm_sink *out)
{
	struct kmm_overcommit now;

	(void)proc;
	kmm_overcommit(os.k, &now);
	sink_printf(out, "%llu\n", LL(now.user_reserve) << (KMM_PAGE_SHIFT - 10));
}

static int write_admin_reserve_kbytes(const char *text)
{
	struct kmm_overcommit now;
	uint32_t kbytes;

	if (!is_number(text, &kbytes))
		return -EINVAL;
	kmm_overcommit(os.k, &now);
	kmm_set_overcommit_reserves(os.k, pages_of_kbytes(kbytes), now.user_reserve);
	return 0;
}

static int write_user_reserve_kbytes(const char *text)
{
	struct kmm_overcommit now;
	uint32_t kbytes;

	if (!is_number(text, &kbytes))
		return -EINVAL;
	kmm_overcommit(os.k, &now);
	kmm_set_overcommit_reserves(os.k, now.admin_reserve, pages_of_kbytes(kbytes));
	return 0;
}

static void text_max_map_count(struct proc *proc, struct kmm_sink *out)
{
	sink_printf(out, "%u\n", proc->mm ? kmm_mm_limits(proc->mm)->max_map_count : 0);
}

static void text_mmap_min_addr(struct proc *proc, struct kmm_sink *out)
{
	sink_printf(out, "%u\n", proc->mm ? (uint32_t)kmm_mm_limits(proc->mm)->mmap_min_addr : 0);
}

/* Of the zones that a kernel of this width has, whether there is memory in them or not. */
static void text_lowmem_reserve_ratio(struct proc *proc, struct kmm_sink *out)
{
	const enum kmm_zone_id missing = sizeof(kmm_word) == 8 ? KMM_ZONE_HIGHMEM : KMM_ZONE_DMA32;
	const char *between = "";

	(void)proc;
	for (unsigned zone = 0; zone < KMM_NR_ZONES; zone++) {
		if (zone == missing)
			continue;
		sink_printf(out, "%s%u", between, kmm_machine_of(os.k)->lowmem_reserve_ratio[zone]);
		between = "\t";
	}
	sink_printf(out, "\n");
}

static void text_pid_max(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", MAX_PID);
}

static void text_ostype(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, OS_SYSNAME "\n");
}

static void text_osrelease(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, OS_RELEASE "\n");
}

static void text_hostname(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, OS_NODENAME "\n");
}

/* The answer of programs that are started from now on. */
static void text_when_full(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%s\n", kmm_answer_name(kmm_answer_of(os.k)));
}

static int write_when_full(const char *text)
{
	for (unsigned i = 0; i < KMM_NR_ANSWERS; i++) {
		const char *name = kmm_answer_name((enum kmm_answer)i);
		size_t len = str_len(name);

		if (str_eq_n(text, len, name) && (!text[len] || text[len] == '\n'))
			return os_errno(kmm_set_answer(os.k, (enum kmm_answer)i));
	}
	return -EINVAL;
}

static void text_unprivileged_userfaultfd(struct proc *proc, struct kmm_sink *out)
{
	(void)proc;
	sink_printf(out, "%u\n", userfault_for_all);
}

static int write_unprivileged_userfaultfd(const char *text)
{
	uint32_t value;

	if (!is_number(text, &value) || value > 1)
		return -EINVAL;
	userfault_for_all = value;
	return 0;
}

#define TEXT(name_) { .name = #name_, .mode = S_IFREG | 0444, .text = text_##name_ }

static const struct proc_entry vm_entries[] = {
	{ .name = "overcommit_memory", .mode = S_IFREG | 0644, .text = text_overcommit, .write = write_overcommit },
	{ .name = "dirty_background_ratio", .mode = S_IFREG | 0644, .text = text_dirty_background_ratio,
	  .write = write_dirty_background_ratio },
	{ .name = "dirty_expire_centisecs", .mode = S_IFREG | 0644, .text = text_dirty_expire_centisecs,
	  .write = write_dirty_expire_centisecs },
	{ .name = "dirty_writeback_centisecs", .mode = S_IFREG | 0644, .text = text_dirty_writeback_centisecs,
	  .write = write_dirty_writeback_centisecs },
	{ .name = "dirty_ratio", .mode = S_IFREG | 0644, .text = text_dirty_ratio, .write = write_dirty_ratio },
	{ .name = "drop_caches", .mode = S_IFREG | 0200, .write = write_drop_caches },
	{ .name = "overcommit_kbytes", .mode = S_IFREG | 0644, .text = text_overcommit_kbytes, .write = write_overcommit_kbytes },
	{ .name = "overcommit_ratio", .mode = S_IFREG | 0644, .text = text_overcommit_ratio, .write = write_overcommit_ratio },
	{ .name = "admin_reserve_kbytes", .mode = S_IFREG | 0644, .text = text_admin_reserve_kbytes, .write = write_admin_reserve_kbytes },
	{ .name = "user_reserve_kbytes", .mode = S_IFREG | 0644, .text = text_user_reserve_kbytes, .write = write_user_reserve_kbytes },
	{ .name = "when_full", .mode = S_IFREG | 0644, .text = text_when_full, .write = write_when_full }, /* not Linux's */
	{ .name = "unprivileged_userfaultfd", .mode = S_IFREG | 0644, .text = text_unprivileged_userfaultfd,
	  .write = write_unprivileged_userfaultfd },
	{ .name = "legacy_va_layout", .mode = S_IFREG | 0644, .text = proc_text_legacy_va_layout, .write = proc_write_legacy_va_layout },
	{ .name = "nr_hugepages", .mode = S_IFREG | 0644, .text = proc_text_no_huge_pages, .write = proc_write_no_huge_pages },
	{ .name = "nr_overcommit_hugepages", .mode = S_IFREG | 0644, .text = proc_text_no_huge_pages, .write = proc_write_no_huge_pages },
	TEXT(lowmem_reserve_ratio),
	TEXT(max_map_count),
	TEXT(mmap_min_addr),
	{ .name = NULL },
};

static const struct proc_entry kernel_entries[] = {
	{ .name = "shmmax", .mode = S_IFREG | 0644, .text = proc_text_shmmax, .write = proc_write_shmmax },
	{ .name = "shmall", .mode = S_IFREG | 0644, .text = proc_text_shmall, .write = proc_write_shmall },
	{ .name = "shmmni", .mode = S_IFREG | 0644, .text = proc_text_shmmni, .write = proc_write_shmmni },
	{ .name = "randomize_va_space", .mode = S_IFREG | 0644, .text = proc_text_randomize_va_space, .write = proc_write_randomize_va_space },
	TEXT(pid_max), TEXT(ostype), TEXT(osrelease), TEXT(hostname), { .name = NULL },
};

static const struct proc_entry sys_entries[] = {
	{ .name = "vm", .mode = S_IFDIR | 0555, .children = vm_entries },
	{ .name = "kernel", .mode = S_IFDIR | 0555, .children = kernel_entries },
	{ .name = NULL },
};

static const struct proc_entry pressure_entries[] = {
	{ .name = "memory", .mode = S_IFREG | 0444, .text = text_pressure }, { .name = NULL },
};

const struct proc_entry proc_system_entries[] = {
	TEXT(meminfo), TEXT(zoneinfo), TEXT(buddyinfo), TEXT(pagetypeinfo), TEXT(slabinfo),
	TEXT(vmallocinfo), TEXT(vmstat), TEXT(swaps),
	TEXT(version), TEXT(uptime), TEXT(stat), TEXT(loadavg), TEXT(filesystems), TEXT(mounts), TEXT(cpuinfo),
	TEXT(cmdline), TEXT(cgroups),
	{ .name = "kpageflags", .mode = S_IFREG | 0400, .words = kmm_report_kpageflags },
	{ .name = "kpagecount", .mode = S_IFREG | 0400, .words = kmm_report_kpagecount },
	{ .name = "pressure", .mode = S_IFDIR | 0555, .children = pressure_entries },
	{ .name = "sys", .mode = S_IFDIR | 0555, .children = sys_entries },
	{ .name = "sysvipc", .mode = S_IFDIR | 0555, .children = proc_sysvipc_entries },
	{ .name = "kmm", .mode = S_IFDIR | 0555, .children = proc_kmm_entries },
	{ .name = NULL },
};
