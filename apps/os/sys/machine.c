/* SPDX-License-Identifier: MIT */
/* machine.c - what a process asks about the machine and its own limits. */
#include "hibernate.h"
#include "abi32.h"
#include "abi64.h"
#include "kmm/swap.h"
#include "proc/cpu.h"
#include "sys/sys.h"

enum { NEW_UTS_LEN = 65 };
#define INFINITE32 0xffffffffu

sword sys_uname(const uword *a)
{
	static const char *const field[6] = { OS_SYSNAME, OS_NODENAME, OS_RELEASE, OS_VERSION, OS_MACHINE, "(none)" };
	char buf[6][NEW_UTS_LEN];

	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < 6; i++)
		str_copy(buf[i], field[i], NEW_UTS_LEN);
	return copy_out(a[0], buf, sizeof(buf));
}

static uint16_t count_processes(void)
{
	struct proc *p;
	uint16_t n = 0;

	list_for_each(p, &all_procs, all_link)
		n++;
	return n;
}

static int put_sysinfo64(uword to, const struct kmm_memory_stats *m, const struct kmm_swap_stats *swap)
{
	const struct linux64_sysinfo s = {
		.uptime = (int64_t)div_u64(os_now(), 1000000000, NULL), .procs = count_processes(),
		.totalram = (uint64_t)m->managed_pages << KMM_PAGE_SHIFT,
		.freeram = (uint64_t)m->free_pages << KMM_PAGE_SHIFT, .mem_unit = 1,
		.totalswap = (uint64_t)swap->total << KMM_PAGE_SHIFT, .freeswap = (uint64_t)swap->free << KMM_PAGE_SHIFT,
	};

	return copy_out(to, &s, sizeof(s));
}

/* To 32-bit programs bytes where they fit, otherwise pages, as Linux chooses the unit. */
sword sys_sysinfo(const uword *a)
{
	struct kmm_memory_stats m;
	struct kmm_swap_stats swap;
	struct linux32_sysinfo s = { .uptime = (int32_t)div_u64(os_now(), 1000000000, NULL) };
	uint32_t shift;

	kmm_memory_stats(os.k, &m);
	kmm_swap_stats(os.k, &swap);
	if (abi_64())
		return put_sysinfo64(a[0], &m, &swap);
	shift = (m.managed_pages | swap.total) >> (32 - KMM_PAGE_SHIFT) ? 0 : KMM_PAGE_SHIFT;
	s.procs = count_processes();
	s.totalram = m.managed_pages << shift;
	s.freeram = m.free_pages << shift;
	s.totalswap = swap.total << shift;
	s.freeswap = swap.free << shift;
	s.totalhigh = m.total_high << shift;
	s.freehigh = m.free_high << shift;
	s.mem_unit = shift ? 1 : KMM_PAGE_SIZE;
	return copy_out(a[0], &s, sizeof(s));
}

/* ---- limits ---- */

/* The core enforces those about the space. */
static void apply_limit(uint32_t resource, uint64_t soft, uint64_t hard)
{
	struct kmm_mm_limits *limits = kmm_mm_limits(current->proc->mm);

	if (resource == RLIMIT_STACK)
		limits->stack_bytes = soft;
	else if (resource == RLIMIT_AS)
		limits->as_bytes = soft;
	else if (resource == RLIMIT_DATA)
		limits->data_bytes = soft, limits->data_hard_bytes = hard;
	else if (resource == RLIMIT_MEMLOCK)
		limits->memlock_bytes = soft;
}

static sword set_limit(uint32_t resource, uint64_t soft, uint64_t hard)
{
	if (resource >= NR_RLIMITS || soft > hard)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && hard > 65536)
		return -EPERM;
	current->proc->rlimit[resource] = (struct rlimit){ soft, hard };
	apply_limit(resource, soft, hard);
	return 0;
}

/* 32 bits of a limit mean "none" when they are all ones. */
static uint64_t widen(uword limit)
{
	return !abi_64() && limit == INFINITE32 ? OS_UNLIMITED : limit;
}

static uword narrow(uint64_t limit, uword most)
{
	return limit > most ? most : (uword)limit;
}

sword sys_setrlimit(const uword *a)
{
	uword limit[2];

	if (get_words(limit, a[1], 2) != 0)
		return -EFAULT;
	return set_limit((uint32_t)a[0], widen(limit[0]), widen(limit[1]));
}

static sword get_limit(const uword *a, uword most)
{
	uint32_t resource = (uint32_t)a[0];
	const struct rlimit *r = &current->proc->rlimit[resource];

	if (resource >= NR_RLIMITS)
		return -EINVAL;
	return put_words(a[1], (const uword[]){ narrow(r->soft, most), narrow(r->hard, most) }, 2);
}

sword sys_ugetrlimit(const uword *a)
{
	return get_limit(a, abi_64() ? (uword)-1 : INFINITE32);
}

sword sys_old_getrlimit(const uword *a)
{
	return get_limit(a, 0x7fffffffu);
}

sword sys_prlimit64(const uword *a)
{
	uint32_t resource = (uint32_t)a[1];
	struct rlimit fresh, old;
	sword err = 0;

	if (a[0] && a[0] != current->proc->pid)
		return -ESRCH;
	if (resource >= NR_RLIMITS)
		return -EINVAL;
	old = current->proc->rlimit[resource];
	if (a[2]) {
		if (copy_in(&fresh, a[2], sizeof(fresh)) != 0)
			return -EFAULT;
		err = set_limit(resource, fresh.soft, fresh.hard);
	}
	if (err == 0 && a[3])
		err = copy_out(a[3], &old, sizeof(old));
	return err;
}

sword sys_getrusage(const uword *a)
{
	enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
	struct usage usage = { .ticks = current->proc->child_ticks };

	if ((int32_t)a[0] == RUSAGE_SELF || (int32_t)a[0] == RUSAGE_THREAD)
		proc_usage(current->proc, &usage);
	else if ((int32_t)a[0] != RUSAGE_CHILDREN)
		return -EINVAL;
	return put_rusage(a[1], &usage);
}

/* ---- odds and ends ---- */

/* As on Linux whatever is told is noted. What acts is in exec.c and mem.c: all that is about memory. */
sword sys_personality(const uword *a)
{
	uint32_t old = current->personality;

	if ((uint32_t)a[0] != 0xffffffffu)
		current->personality = (uint32_t)a[0];
	return (sword)old;
}

sword sys_getpriority(const uword *a)
{
	(void)a;
	return 20; /* nice 0, in the form of the system call */
}

sword sys_sched_getparam(const uword *a)
{
	return put_u32(a[1], 0);
}

sword sys_sched_yield(const uword *a)
{
	(void)a;
	sched_yield();
	return 0;
}

/* One word of bits holds all processors there can be. */
sword sys_sched_getaffinity(const uword *a)
{
	const struct task *t = a[0] ? task_find((uint32_t)a[0]) : current;
	unsigned size = abi_64() ? 8 : 4;
	uword cpus;

	if (a[1] < size || a[1] % size)
		return -EINVAL;
	if (!t)
		return -ESRCH;
	cpus = t->allowed & os_cpus_online;
	return put_words(a[2], &cpus, 1) ? -EFAULT : (sword)size;
}

sword sys_sched_setaffinity(const uword *a)
{
	struct task *t = a[0] ? task_find((uint32_t)a[0]) : current;
	uint8_t cpus = 0; /* of at most 8 processors; a shorter mask ends with zeros */

	if (a[1] && copy_in(&cpus, a[2], sizeof(cpus)) != 0)
		return -EFAULT;
	if (!t)
		return -ESRCH;
	if (!(cpus & os_cpus_online))
		return -EINVAL;
	sched_set_allowed(t, cpus & os_cpus_online);
	return 0;
}

sword sys_getcpu(const uword *a)
{
	if ((a[0] && put_u32(a[0], x86_cpu_id()) != 0) || (a[1] && put_u32(a[1], 0) != 0))
		return -EFAULT;
	return 0;
}

sword sys_prctl(const uword *a)
{
	enum { PR_SET_PDEATHSIG = 1, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4, PR_SET_NAME = 15, PR_GET_NAME = 16 };
	char *comm = current->proc->comm;
	char name[sizeof(current->proc->comm)];

	switch (a[0]) {
	case PR_GET_DUMPABLE: return 1;
	case PR_SET_DUMPABLE: return 0;
	case PR_GET_NAME: return copy_out(a[1], comm, sizeof(current->proc->comm));
	case PR_SET_NAME:
		memset(name, 0, sizeof(name));
		for (size_t i = 0; i + 1 < sizeof(name); i++) {
			if (copy_in(&name[i], a[1] + i, 1) != 0)
				return -EFAULT;
			if (!name[i])
				break;
		}
		memcpy(comm, name, sizeof(name));
		return 0;
	default: return -EINVAL;
	}
}

sword sys_getrandom(const uword *a)
{
	uint32_t arrived, done = 0, len = (uint32_t)min_word(a[1], 1 << 20);
	uint8_t part[64];

	if (a[2] & ~7u)
		return -EINVAL;
	while (done < len) {
		uint32_t n = min_u32(sizeof(part), len - done);

		os_random(part, n);
		arrived = (uint32_t)copy_out_some(a[0] + done, part, n);
		done += arrived;
		if (arrived < n)
			return done ? (int32_t)done : -EFAULT;
	}
	return (int32_t)done;
}

sword sys_set_thread_area(const uword *a)
{
	struct linux32_user_desc d;
	uint64_t *desc = current->tls.desc;
	bool empty;

	if (copy_in(&d, a[0], sizeof(d)) != 0)
		return -EFAULT;
	x86_tls_save(&current->tls);
	if (d.entry == 0xffffffffu) {
		uint32_t i = 0;

		while (i < X86_TLS_COUNT && desc[i])
			i++;
		if (i == X86_TLS_COUNT)
			return -ESRCH;
		d.entry = X86_TLS_MIN + i;
		if (copy_out(a[0], &d.entry, sizeof(d.entry)) != 0)
			return -EFAULT;
	}
	if (d.entry < X86_TLS_MIN || d.entry >= X86_TLS_MIN + X86_TLS_COUNT)
		return -EINVAL;
	empty = !d.base && !d.limit && (!d.flags || d.flags == (X86_UDESC_READ_EXEC_ONLY | X86_UDESC_NOT_PRESENT));
	desc[d.entry - X86_TLS_MIN] = empty ? 0 : x86_tls_descriptor(d.base, d.limit, d.flags);
	x86_tls_load(&current->tls);
	return 0;
}

sword sys_reboot(const uword *a)
{
	if ((uint32_t)a[0] != 0xfee1dead)
		return -EINVAL;
	if ((uint32_t)a[2] == 0x89abcdef || (uint32_t)a[2] == 0) /* the ctrl-alt-del key, on or off: there is none */
		return 0;
	if ((uint32_t)a[2] == 0xd000fce2) /* LINUX_REBOOT_CMD_SW_SUSPEND */
		return hibernate();
	klog("process %u asked to power off", current->proc->pid);
	os_leave(0, NULL);
}
