/* SPDX-License-Identifier: MIT */
/*
 * oom.c - memory has ended: the machine's, or what a cgroup may have. Who holds most of it is ended, and the log says why;
 * where memory.oom.group is set all of that cgroup end. One such decision at a time.
 *
 * Who needs memory waits a little and tries again, until the one who was ended is gone. If he does not go, as he waits for
 * something that the other has locked (the position of a file), the other ends too.
 */
#include "kmm/reclaim.h"
#include "proc/cgroup.h"
#include "sig/sig.h"

enum { CANDIDATES = 3, MOST_ROUNDS = 200, PATIENCE_NS = 10000000, PATH_SHOWN = 96, CLOSE = 64 /* pages */ };
#define END_NS 1000000000u /* for somebody to end */

static struct sleep_lock deciding;
static uint32_t ended; /* key: somebody who was ended is gone */

static struct proc *proc_of(const struct kmm_mm *mm)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link)
		if (p->mm == mm)
			return p;
	return NULL;
}

void oom_note_end(const struct proc *proc)
{
	if (proc->oom_killed)
		sched_wake(&ended);
}

/* ---- who ---- */

struct ranking {
	struct kmm_oom_candidate of[CANDIDATES];
	unsigned nr;
};

static void rank(struct ranking *r, struct cgroup *domain)
{
	r->nr = domain ? kmm_group_oom_rank(domain->group, r->of, CANDIDATES) : kmm_oom_rank(os.k, r->of, CANDIDATES);
}

static void forget(const struct ranking *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		kmm_mm_put(r->of[i].mm);
}

/* The first that is a process's still. NULL: none. */
static struct proc *choose(const struct ranking *r)
{
	struct proc *p = NULL;

	for (unsigned i = 0; i < r->nr && !p; i++)
		p = proc_of(r->of[i].mm);
	return p;
}

/* The highest cgroup above the process, up to domain, that ends as a whole. NULL: none. */
static struct cgroup *whole_of(const struct proc *p, const struct cgroup *domain)
{
	struct cgroup *whole = NULL;

	for (struct cgroup *cg = p->cgroup; cg; cg = cg->parent) {
		if (cg->oom_group && cg->group)
			whole = cg;
		if (cg == domain)
			break;
	}
	return whole;
}

/* ---- the end of it ---- */

/* Those that share its space hold the same memory. */
static void end(struct proc *victim)
{
	struct kmm_group *group = cgroup_charges(victim->cgroup);
	struct proc *p;

	if (group && !victim->oom_killed)
		kmm_group_note_kill(group, false);
	if (!victim->oom_killed)
		kmm_oom_note_kill(os.k);
	victim->oom_killed = true;
	sig_send_proc(victim, SIGKILL, SI_KERNEL);
	list_for_each(p, &all_procs, all_link) {
		if (p == victim || !p->mm || p->mm != victim->mm)
			continue;
		p->oom_killed = true;
		sig_send_proc(p, SIGKILL, SI_KERNEL);
	}
}

static void end_whole(struct cgroup *whole)
{
	char path[PATH_SHOWN];
	struct proc *p = NULL;

	cgroup_path(whole, path, sizeof(path));
	kmm_group_note_kill(whole->group, true);
	while ((p = cgroup_next(whole, p, true)) != NULL) {
		if (p->oom_killed)
			continue;
		klog("out of memory: killed process %u (%s), as all of group %s end together", p->pid, p->comm, path);
		end(p);
	}
}

static void say_why(struct cgroup *domain, const struct ranking *r)
{
	char path[PATH_SHOWN];
	struct log_sink report;

	log_sink_init(&report, "out of memory");
	if (!domain) {
		kmm_report_oom(os.k, r->of, r->nr, &report.sink);
		return;
	}
	cgroup_path(domain, path, sizeof(path));
	klog("out of memory in group %s", path);
	kmm_report_group_oom(domain->group, r->of, r->nr, &report.sink);
}

/* why: what made it necessary. */
static void end_with_report(struct cgroup *domain, const struct ranking *r, struct proc *p, const char *why)
{
	struct cgroup *whole;

	p->holds++; /* the report sleeps */
	say_why(domain, r);
	if (p->state == PROC_ALIVE) {
		whole = whole_of(p, domain);
		klog("out of memory: killed process %u (%s), which held most, when %s", p->pid, p->comm, why);
		end(p);
		if (whole)
			end_whole(whole);
	}
	proc_let_go(p, NULL);
}

/* ---- a fault ---- */

/* The cgroup with that group, which is one that the space belongs to or is below. NULL: who had the space first, and knew
 * it, has ended. */
static struct cgroup *domain_of(const struct kmm_mm *mm, const struct kmm_group *over)
{
	struct proc *p;

	list_for_each(p, &all_procs, all_link) {
		if (p->mm != mm)
			continue;
		for (struct cgroup *cg = p->cgroup; cg; cg = cg->parent)
			if (cg->group == over)
				return cg;
	}
	return NULL;
}

/* Current has looked at the end of p as often as makes sense. */
static bool waits_in_vain(const struct proc *p)
{
	struct task *t = current;

	t->oom_rounds = t->oom_victim == p->pid ? t->oom_rounds + 1 : 0;
	t->oom_victim = p->pid;
	return t->oom_rounds > MOST_ROUNDS;
}

/* Who already ends gets the time to do so. addr 0: in a call. */
static void end_largest(struct cgroup *domain, bool whole_machine, uword addr)
{
	struct ranking r = { .nr = 0 };
	struct proc *p;
	char why[80];

	if (domain || whole_machine)
		rank(&r, domain);
	p = choose(&r);
	if (!p)
		p = current->proc;
	if (addr)
		x86_snprintf(why, sizeof(why), "process %u (%s) needed a page at %08lx", current->proc->pid, current->proc->comm,
			     (unsigned long)addr);
	else
		x86_snprintf(why, sizeof(why), "process %u (%s) needed a page of a file", current->proc->pid, current->proc->comm);
	if (p->oom_killed && waits_in_vain(p))
		p = current->proc;
	if (!p->oom_killed)
		end_with_report(domain, &r, p, why);
	forget(&r);
}

static void decide(uword addr)
{
	const struct kmm_group *over = kmm_mm_oom_group(current->proc->mm);
	struct cgroup *domain = over ? domain_of(current->proc->mm, over) : NULL;

	if (domain)
		cgroup_use(domain);
	end_largest(domain, !over, addr);
	if (domain)
		cgroup_unuse(domain);
}

/* Is it too early? Pages that could go are all held for the moment: by a processor that the host has put aside, perhaps. Waits a little
 * then. */
static bool waits_for_held(const struct kmm_group *over)
{
	uint64_t now = os_now();

	if (over || !kmm_oom_is_early(os.k, &current->patience, now))
		return false;
	sched_sleep(&ended, false, now + PATIENCE_NS);
	return true;
}

void oom_fault(uword addr)
{
	kernel_lock();
	if (waits_for_held(kmm_mm_oom_group(current->proc->mm))) {
		kernel_unlock();
		return;
	}
	sleep_lock(&deciding);
	if (!current->proc->oom_killed)
		decide(addr);
	sleep_unlock(&deciding);
	if (!current->proc->oom_killed)
		sched_sleep(&ended, false, os_now() + PATIENCE_NS);
	kernel_unlock();
}

bool oom_call(void)
{
	struct kmm_group *over = kmm_mm_oom_group(current->proc->mm);
	struct kmm_group_info info;

	if (!over || current->proc->oom_killed)
		return false;
	kmm_group_info(over, &info);
	if (info.pages + CLOSE < kmm_group_limit(over, KMM_GROUP_MAX))
		return false; /* that was another time */
	oom_fault(0);
	return !current->proc->oom_killed;
}

/* ---- a limit that became smaller ---- */

/* Waits for the end of the process, up to END_NS. false: a signal came. */
static bool wait_for(const struct proc *p)
{
	uint64_t deadline = os_now() + END_NS;
	int why = 0;

	while (p->state == PROC_ALIVE && why == 0)
		why = sched_sleep(&ended, true, deadline);
	return why != -EINTR;
}

bool oom_shrink(struct cgroup *cg)
{
	struct ranking r;
	struct proc *p;
	bool goes_on = false;

	sleep_lock(&deciding);
	rank(&r, cg);
	p = choose(&r);
	if (p && !p->oom_killed) {
		kmm_group_note_oom(cg->group);
		end_with_report(cg, &r, p, "its group's limit became smaller");
	}
	forget(&r);
	if (p)
		p->holds++;
	sleep_unlock(&deciding);
	if (p) {
		goes_on = wait_for(p);
		proc_let_go(p, NULL);
	}
	return goes_on;
}
