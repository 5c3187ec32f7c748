/* SPDX-License-Identifier: MIT */
/*
 * time.c - clocks, sleeping and the alarm. Time is the time stamp counter's; a sleeper is woken by the first clock
 * tick after its deadline. Old calls have 32-bit seconds, new ones 64.
 */
#include "sig/sig.h"
#include "sys/sys.h"

#define NS_PER_S 1000000000u
enum { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME, CLOCK_THREAD_CPUTIME, CLOCK_MONOTONIC_RAW,
       CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME };

uint64_t os_wall(void)
{
	return x86_boot_epoch() * NS_PER_S + os_now();
}

static uint64_t cpu_time(void)
{
	uint64_t ticks;
	struct task *t;

	kernel_lock();
	ticks = current->proc->ticks;
	list_for_each(t, &current->proc->tasks, proc_link)
		ticks += t->ticks;
	kernel_unlock();
	return ticks * (NS_PER_S / X86_HZ);
}

static bool clock_value(uint32_t clock, uint64_t *ns)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE: *ns = os_wall(); return true;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME: *ns = os_now(); return true;
	case CLOCK_PROCESS_CPUTIME: *ns = cpu_time(); return true;
	case CLOCK_THREAD_CPUTIME: *ns = (uint64_t)current->ticks * (NS_PER_S / X86_HZ); return true;
	default: return false;
	}
}

static int put_time(uword to, bool is64, uint64_t ns)
{
	uint32_t rest;
	uint64_t sec = div_u64(ns, NS_PER_S, &rest);
	const struct linux_timespec64 t64 = { (int64_t)sec, (int32_t)rest, 0 };
	const struct linux_timespec32 t32 = { (int32_t)sec, (int32_t)rest };

	return is64 ? copy_out(to, &t64, sizeof(t64)) : copy_out(to, &t32, sizeof(t32));
}

/* Reads and checks a time; values beyond 136 years count as that. */
static int get_time(uword from, bool is64, uint64_t *ns)
{
	struct linux_timespec64 t = { 0, 0, 0 };
	struct linux_timespec32 t32;

	if (copy_in(is64 ? (void *)&t : &t32, from, is64 ? sizeof(t) : sizeof(t32)) != 0)
		return -EFAULT;
	if (!is64)
		t = (struct linux_timespec64){ t32.sec, t32.nsec, 0 };
	if (t.sec < 0 || (uint32_t)t.nsec >= NS_PER_S || (abi_64() && t.pad != 0))
		return -EINVAL;
	*ns = (uint64_t)(t.sec > (int64_t)UINT32_MAX ? UINT32_MAX : (uint32_t)t.sec) * NS_PER_S + (uint32_t)t.nsec;
	return 0;
}

int user_deadline(uword at, bool is64, uint64_t *deadline)
{
	uint64_t ns;
	int err;

	*deadline = 0;
	if (!at)
		return 0;
	err = get_time(at, is64, &ns);
	if (err == 0)
		*deadline = os_now() + ns;
	return err;
}

static sword clock_get(const uword *a, bool is64)
{
	uint64_t ns;

	return clock_value(a[0], &ns) ? put_time(a[1], is64, ns) : -EINVAL;
}

sword sys_clock_gettime(const uword *a)
{
	return clock_get(a, false);
}

sword sys_clock_gettime64(const uword *a)
{
	return clock_get(a, true);
}

static sword clock_resolution(const uword *a, bool is64)
{
	uint64_t ns;

	if (!clock_value(a[0], &ns))
		return -EINVAL;
	return a[1] ? put_time(a[1], is64, a[0] == CLOCK_PROCESS_CPUTIME ? NS_PER_S / X86_HZ : 1) : 0;
}

sword sys_clock_getres(const uword *a)
{
	return clock_resolution(a, false);
}

sword sys_clock_getres_time64(const uword *a)
{
	return clock_resolution(a, true);
}

sword sys_time(const uword *a)
{
	uword now = (uword)div_u64(os_wall(), NS_PER_S, NULL);

	if (a[0] && put_words(a[0], &now, 1) != 0)
		return -EFAULT;
	return (sword)now;
}

sword sys_gettimeofday(const uword *a)
{
	uint32_t rest, zone[2] = { 0, 0 };
	uword tv[2];

	tv[0] = (uword)div_u64(os_wall(), NS_PER_S, &rest);
	tv[1] = rest / 1000;
	if (a[0] && put_words(a[0], tv, 2) != 0)
		return -EFAULT;
	return a[1] ? copy_out(a[1], zone, sizeof(zone)) : 0;
}

sword sys_times(const uword *a)
{
	uint32_t ticks = (uint32_t)div_u64(cpu_time(), NS_PER_S / X86_HZ, NULL);
	const uword tms[4] = { ticks, 0, current->proc->child_ticks, 0 };

	if (a[0] && put_words(a[0], tms, 4) != 0)
		return -EFAULT;
	return (sword)div_u64(os_now(), NS_PER_S / X86_HZ, NULL);
}

/* ---- sleeping ---- */

/* Until the deadline. Interrupted: reports what is left at rem (0: nowhere) and how to go on. */
static sword sleep_until(uint64_t deadline, uword rem, bool is64)
{
	static char nobody_wakes_this;
	uint64_t now;
	int why;

	do {
		why = sched_sleep(&nobody_wakes_this, true, deadline);
	} while (why == 0);
	if (why == -ETIMEDOUT)
		return 0;
	now = os_now();
	if (rem && put_time(rem, is64, deadline > now ? deadline - now : 0) != 0)
		return -EFAULT;
	current->restart_deadline = deadline;
	current->restart_rem = rem;
	current->restart_rem64 = is64;
	return -ERESTARTBLOCK;
}

sword sys_restart_syscall(const uword *a)
{
	(void)a;
	return sleep_until(current->restart_deadline, current->restart_rem, current->restart_rem64);
}

sword sys_nanosleep(const uword *a)
{
	uint64_t ns;
	int err = get_time(a[0], abi_64(), &ns);

	return err ? err : sleep_until(os_now() + ns, a[1], abi_64());
}

static sword clock_sleep(const uword *a, bool is64)
{
	enum { TIMER_ABSTIME = 1 };
	uint64_t ns, now;
	int32_t err = get_time(a[2], is64, &ns);

	if (!clock_value(a[0], &now) || a[0] == CLOCK_THREAD_CPUTIME || a[0] == CLOCK_PROCESS_CPUTIME)
		return -EINVAL;
	if (err)
		return err;
	if (!(a[1] & TIMER_ABSTIME))
		return sleep_until(os_now() + ns, a[3], is64);
	if (ns <= now)
		return 0;
	err = sleep_until(os_now() + (ns - now), 0, is64);
	return err == -ERESTARTBLOCK ? -ERESTARTNOHAND : err; /* the same absolute time again */
}

sword sys_clock_nanosleep(const uword *a)
{
	return clock_sleep(a, false);
}

sword sys_clock_nanosleep_time64(const uword *a)
{
	return clock_sleep(a, true);
}

/* ---- the alarm of a process: ITIMER_REAL ---- */

void timers_tick(void)
{
	uint64_t now = os_now();
	struct proc *p;

	list_for_each(p, &all_procs, all_link) {
		if (!p->alarm_deadline || now < p->alarm_deadline)
			continue;
		p->alarm_deadline = p->alarm_interval ? p->alarm_deadline + p->alarm_interval : 0;
		sig_send_proc(p, SIGALRM, SI_KERNEL);
	}
}

static void put_interval(uword out[4], uint64_t left, uint64_t interval)
{
	uint32_t rest;

	out[0] = (uword)div_u64(interval, NS_PER_S, &rest);
	out[1] = rest / 1000;
	out[2] = (uword)div_u64(left, NS_PER_S, &rest);
	out[3] = rest / 1000;
}

static uint64_t alarm_left(const struct proc *p)
{
	uint64_t now = os_now();

	if (!p->alarm_deadline)
		return 0;
	return p->alarm_deadline > now ? p->alarm_deadline - now : 1000;
}

sword sys_alarm(const uword *a)
{
	struct proc *p = current->proc;
	uint64_t left = alarm_left(p);

	p->alarm_deadline = (uint32_t)a[0] ? os_now() + (uint64_t)(uint32_t)a[0] * NS_PER_S : 0;
	p->alarm_interval = 0;
	return (int32_t)div_u64(left + NS_PER_S - 1, NS_PER_S, NULL);
}

sword sys_getitimer(const uword *a)
{
	uword value[4];

	if (a[0] != 0)
		return -EINVAL;
	put_interval(value, alarm_left(current->proc), current->proc->alarm_interval);
	return put_words(a[1], value, 4);
}

sword sys_setitimer(const uword *a)
{
	struct proc *p = current->proc;
	uword v[4] = { 0, 0, 0, 0 };
	uint64_t left;

	if (a[0] != 0) /* ITIMER_VIRTUAL and ITIMER_PROF are not kept */
		return -EINVAL;
	if (a[1] && get_words(v, a[1], 4) != 0)
		return -EFAULT;
	if (v[1] >= 1000000 || v[3] >= 1000000)
		return -EINVAL;
	if (a[2] && sys_getitimer((const uword[]){ 0, a[2] }) != 0)
		return -EFAULT;
	left = (uint64_t)(uint32_t)v[2] * NS_PER_S + v[3] * 1000ull;
	p->alarm_deadline = left ? os_now() + left : 0;
	p->alarm_interval = (uint64_t)(uint32_t)v[0] * NS_PER_S + v[1] * 1000ull;
	return 0;
}
