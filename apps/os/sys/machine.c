/* SPDX-License-Identifier: MIT */
/* machine.c - what a process asks about the machine and its own limits. */
#include "sys/sys.h"

enum { NEW_UTS_LEN = 65, INFINITE32 = -1 };

int32_t sys_uname(const uint32_t *a)
{
	static const char *const field[6] = { OS_SYSNAME, OS_NODENAME, OS_RELEASE, OS_VERSION, OS_MACHINE, "(none)" };
	char buf[6][NEW_UTS_LEN];

	memset(buf, 0, sizeof(buf));
	for (int i = 0; i < 6; i++)
		str_copy(buf[i], field[i], NEW_UTS_LEN);
	return copy_out(a[0], buf, sizeof(buf));
}

/* Bytes where they fit 32 bits, otherwise pages, as Linux chooses the unit. */
int32_t sys_sysinfo(const uint32_t *a)
{
	struct kmm_memory_stats m;
	struct linux_sysinfo s = { .uptime = (int32_t)div_u64(os_now(), 1000000000, NULL) };
	struct proc *p;
	uint32_t shift;

	kmm_memory_stats(os.k, &m);
	shift = m.managed_pages >> (32 - KMM_PAGE_SHIFT) ? 0 : KMM_PAGE_SHIFT;
	list_for_each(p, &all_procs, all_link)
		s.procs++;
	s.totalram = m.managed_pages << shift;
	s.freeram = m.free_pages << shift;
	s.totalhigh = m.total_high << shift;
	s.freehigh = m.free_high << shift;
	s.mem_unit = shift ? 1 : KMM_PAGE_SIZE;
	return copy_out(a[0], &s, sizeof(s));
}

/* ---- limits ---- */

/* The core enforces those about the space. */
static void apply_limit(uint32_t resource, uint32_t soft)
{
	struct kmm_mm_limits *limits = kmm_mm_limits(current->proc->mm);
	uint64_t bytes = soft == (uint32_t)INFINITE32 ? ~0ull : soft;

	if (resource == RLIMIT_STACK)
		limits->stack_bytes = bytes;
	else if (resource == RLIMIT_AS)
		limits->as_bytes = bytes;
	else if (resource == RLIMIT_DATA)
		limits->data_bytes = bytes;
}

static int32_t set_limit(uint32_t resource, uint32_t soft, uint32_t hard)
{
	if (resource >= NR_RLIMITS || soft > hard)
		return -EINVAL;
	if (resource == RLIMIT_NOFILE && hard > 65536)
		return -EPERM;
	current->proc->rlimit[resource].soft = soft;
	current->proc->rlimit[resource].hard = hard;
	apply_limit(resource, soft);
	return 0;
}

int32_t sys_setrlimit(const uint32_t *a)
{
	uint32_t limit[2];

	if (copy_in(limit, a[1], sizeof(limit)) != 0)
		return -EFAULT;
	return set_limit(a[0], limit[0], limit[1]);
}

static int32_t get_limit(const uint32_t *a, uint32_t most)
{
	uint32_t limit[2];

	if (a[0] >= NR_RLIMITS)
		return -EINVAL;
	limit[0] = min_u32(current->proc->rlimit[a[0]].soft, most);
	limit[1] = min_u32(current->proc->rlimit[a[0]].hard, most);
	return copy_out(a[1], limit, sizeof(limit));
}

int32_t sys_ugetrlimit(const uint32_t *a)
{
	return get_limit(a, 0xffffffffu);
}

int32_t sys_old_getrlimit(const uint32_t *a)
{
	return get_limit(a, 0x7fffffffu);
}

static uint64_t widen(uint32_t limit)
{
	return limit == (uint32_t)INFINITE32 ? ~0ull : limit;
}

static uint32_t narrow(uint64_t limit)
{
	return limit > 0xffffffffu ? 0xffffffffu : (uint32_t)limit;
}

int32_t sys_prlimit64(const uint32_t *a)
{
	uint64_t fresh[2], old[2];
	int32_t err = 0;

	if (a[0] && a[0] != current->proc->pid)
		return -ESRCH;
	if (a[1] >= NR_RLIMITS)
		return -EINVAL;
	old[0] = widen(current->proc->rlimit[a[1]].soft);
	old[1] = widen(current->proc->rlimit[a[1]].hard);
	if (a[2]) {
		if (copy_in(fresh, a[2], sizeof(fresh)) != 0)
			return -EFAULT;
		err = set_limit(a[1], narrow(fresh[0]), narrow(fresh[1]));
	}
	if (err == 0 && a[3])
		err = copy_out(a[3], old, sizeof(old));
	return err;
}

int32_t sys_getrusage(const uint32_t *a)
{
	enum { RUSAGE_SELF = 0, RUSAGE_CHILDREN = -1, RUSAGE_THREAD = 1 };
	struct linux_rusage usage = { .maxrss = 0 };

	if ((int32_t)a[0] == RUSAGE_CHILDREN) {
		usage.utime[0] = (int32_t)(current->proc->child_ticks / X86_HZ);
		usage.utime[1] = (int32_t)(current->proc->child_ticks % X86_HZ * (1000000 / X86_HZ));
	} else if (a[0] == RUSAGE_SELF || a[0] == RUSAGE_THREAD) {
		proc_usage(current->proc, &usage);
	} else {
		return -EINVAL;
	}
	return copy_out(a[1], &usage, sizeof(usage));
}

/* ---- odds and ends ---- */

int32_t sys_personality(const uint32_t *a)
{
	return a[0] == 0xffffffffu || a[0] == 0 ? 0 : -EINVAL;
}

int32_t sys_getpriority(const uint32_t *a)
{
	(void)a;
	return 20; /* nice 0, in the form of the system call */
}

int32_t sys_sched_getparam(const uint32_t *a)
{
	return put_u32(a[1], 0);
}

int32_t sys_sched_yield(const uint32_t *a)
{
	(void)a;
	sched_yield();
	return 0;
}

int32_t sys_sched_getaffinity(const uint32_t *a)
{
	if (a[1] < 4)
		return -EINVAL;
	return put_u32(a[2], 1) ? -EFAULT : 4;
}

int32_t sys_prctl(const uint32_t *a)
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

int32_t sys_getrandom(const uint32_t *a)
{
	uint32_t done = 0, len = min_u32(a[1], 1 << 20);
	uint8_t part[64];

	if (a[2] & ~7u)
		return -EINVAL;
	while (done < len) {
		uint32_t n = min_u32(sizeof(part), len - done);

		os_random(part, n);
		if (copy_out(a[0] + done, part, n) != 0)
			return done ? (int32_t)done : -EFAULT;
		done += n;
	}
	return (int32_t)done;
}

int32_t sys_set_thread_area(const uint32_t *a)
{
	struct linux_user_desc d;
	uint64_t *desc = current->tls.desc;
	bool empty;

	if (copy_in(&d, a[0], sizeof(d)) != 0)
		return -EFAULT;
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

int32_t sys_reboot(const uint32_t *a)
{
	if (a[0] != 0xfee1dead)
		return -EINVAL;
	if (a[2] == 0x89abcdef || a[2] == 0) /* the ctrl-alt-del key, on or off: there is none */
		return 0;
	klog("process %u asked to power off", current->proc->pid);
	os_leave(0, NULL);
}
