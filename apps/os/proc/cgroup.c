/* SPDX-License-Identifier: MIT */
/* cgroup.c - the tree of control groups and who is in which (cgroup.h has the story). */
#include "proc/cgroup.h"

enum { RETRY_NS = 10000000, PIECE_NS = 100000000 };

struct cgroup cgroup_root = {
	.kids = { &cgroup_root.kids, &cgroup_root.kids }, .max_below = CGROUP_NO_MAX, .max_depth = CGROUP_NO_MAX,
};
static struct sleep_lock tree_lock;

void cgroup_lock(void) { sleep_lock(&tree_lock); }
void cgroup_unlock(void) { sleep_unlock(&tree_lock); }

/* ---- looking ---- */

struct kmm_group *cgroup_charges(const struct cgroup *cg)
{
	while (cg && !cg->group)
		cg = cg->parent;
	return cg ? cg->group : NULL;
}

bool cgroup_is_below(const struct cgroup *cg, const struct cgroup *top)
{
	while (cg && cg != top)
		cg = cg->parent;
	return cg != NULL;
}

struct proc *cgroup_next(const struct cgroup *cg, const struct proc *after, bool deep)
{
	struct proc *p;
	bool old = after != NULL;

	list_for_each(p, &all_procs, all_link) {
		if (!old && p->state == PROC_ALIVE && (deep ? cgroup_is_below(p->cgroup, cg) : p->cgroup == cg))
			return p;
		old = old && p != after;
	}
	return NULL;
}

unsigned cgroup_count(const struct cgroup *top)
{
	const struct cgroup *cg = top;
	unsigned nr = 0;

	for (;;) { /* each before those below it */
		if (!list_empty(&cg->kids)) {
			cg = container_of(cg->kids.next, struct cgroup, link);
			nr++;
			continue;
		}
		while (cg != top && cg->link.next == &cg->parent->kids)
			cg = cg->parent;
		if (cg == top)
			return nr;
		cg = container_of(cg->link.next, struct cgroup, link);
		nr++;
	}
}

struct kmm_group *cgroup_use(struct cgroup *cg)
{
	if (cg->group)
		cg->uses++;
	return cg->group;
}

void cgroup_unuse(struct cgroup *cg)
{
	if (--cg->uses == 0)
		sched_wake(&cg->uses);
}

static void wait_unused(struct cgroup *cg)
{
	while (cg->uses)
		sched_sleep(&cg->uses, false, 0);
}

void cgroup_path(const struct cgroup *cg, char *buf, size_t size)
{
	size_t skip = str_len("/sys/fs/cgroup");
	char *whole = cg->parent ? os_alloc(PATH_SIZE) : NULL;

	if (whole && tree_path(cg->dir, whole, PATH_SIZE) >= 0)
		str_copy(buf, whole + skip, size);
	else
		str_copy(buf, cg->parent ? "?" : "/", size);
	os_free(whole);
}

/* ---- members ---- */

int cgroup_join(struct kmm_mm *mm, const struct proc *proc)
{
	enum kmm_status status = KMM_OK;
	struct kmm_group *group;

	/* A group that is gone when its turn comes was replaced meanwhile. */
	while (kmm_mm_group(mm) != (group = cgroup_charges(proc->cgroup)) && status != KMM_ENOMEM)
		status = kmm_mm_set_group(mm, group);
	return status == KMM_ENOMEM ? -ENOMEM : 0;
}

void cgroup_part(struct kmm_mm *mm)
{
	if (kmm_mm_group(mm) && kmm_mm_set_group(mm, NULL) != KMM_OK)
		x86_panic("a space cannot leave its group");
}

static bool is_astray(const struct proc *p)
{
	return p->mm && !p->borrows_space && kmm_mm_group(p->mm) != cgroup_charges(p->cgroup);
}

static int put_right(struct proc *p)
{
	struct kmm_mm *mm = is_astray(p) ? proc_hold(p) : NULL;
	int err = 0;

	if (mm) {
		err = cgroup_join(mm, p);
		proc_let_go(p, mm);
	}
	return err;
}

/* All below top, whose groups have changed. -ENOMEM. */
static int put_all_right(const struct cgroup *top)
{
	struct proc *p = NULL;
	int err = 0;

	while (err == 0 && (p = cgroup_next(top, p, true)) != NULL) {
		if (!is_astray(p))
			continue;
		err = put_right(p);
		p = NULL; /* anybody may have gone meanwhile */
	}
	return err;
}

/* ---- freezing ---- */

bool cgroup_freezes(const struct cgroup *cg)
{
	while (cg && !cg->freeze)
		cg = cg->parent;
	return cg != NULL;
}

/* Who sleeps in a call leaves it, and comes back to it when he goes on: as with a stop that no handler sees. */
static void tell_threads(struct proc *p)
{
	bool freezes = cgroup_freezes(p->cgroup);
	struct task *t;

	list_for_each(t, &p->tasks, proc_link) {
		if (freezes)
			sched_interrupt(t);
		else if (t->frozen)
			sched_continue(t);
	}
}

void cgroup_freeze(struct cgroup *cg, bool freeze)
{
	cg->freeze = freeze;
	for (struct proc *p = cgroup_next(cg, NULL, true); p; p = cgroup_next(cg, p, true))
		tell_threads(p);
	poll_changed(); /* cgroup.events */
}

bool cgroup_is_frozen(const struct cgroup *cg)
{
	const struct task *t;

	if (!cgroup_freezes(cg))
		return false;
	for (struct proc *p = cgroup_next(cg, NULL, true); p; p = cgroup_next(cg, p, true))
		list_for_each(t, &p->tasks, proc_link)
			if (!t->frozen && !t->in_vfork && t->state != TASK_STOPPED)
				return false;
	return true;
}

void cgroup_stand_still(void)
{
	current->frozen = true;
	poll_changed();
	sched_stop_current();
	current->frozen = false;
}

/* ---- coming in ---- */

int cgroup_attach(struct cgroup *cg, struct proc *proc)
{
	struct cgroup *old = proc->cgroup;
	int err;

	if (cg->dead)
		return -ENODEV;
	if (cg->enables && cg->parent)
		return -EBUSY;
	if (proc->state != PROC_ALIVE)
		return 0;
	proc->cgroup = cg;
	proc->holds++; /* it may end meanwhile */
	err = put_right(proc);
	if (err)
		proc->cgroup = old;
	tell_threads(proc);
	proc_let_go(proc, NULL);
	poll_changed(); /* cgroup.events */
	return err;
}

/* ---- groups of the core's ---- */

static int make_group(struct cgroup *cg)
{
	enum kmm_status status = kmm_group_create(os.k, cg->parent->group, &cg->group);

	return status == KMM_EOVERFLOW ? -ENOSPC : os_errno(status);
}

/* Of a cgroup that has no group any more. A fork or exec that began before may still have a space in it. */
static void drop_group(struct cgroup *cg, struct kmm_group *group)
{
	wait_unused(cg);
	while (kmm_group_remove(group) != KMM_OK)
		sched_sleep(group, false, os_now() + RETRY_NS);
}

/* All cgroups below give their groups up; the processes go to the group above. That may need a little memory, for which it waits. */
static void take_groups(struct cgroup *cg)
{
	struct cgroup *kid;

	list_for_each(kid, &cg->kids, link) {
		kid->old_group = kid->group;
		kid->group = NULL;
	}
	while (put_all_right(cg) != 0)
		sched_sleep(cg, false, os_now() + RETRY_NS);
	list_for_each(kid, &cg->kids, link) {
		if (kid->old_group)
			drop_group(kid, kid->old_group);
		kid->old_group = NULL;
	}
}

static int give_groups(struct cgroup *cg)
{
	struct cgroup *kid;
	int err = 0;

	list_for_each(kid, &cg->kids, link)
		if (err == 0)
			err = make_group(kid);
	return err ? err : put_all_right(cg);
}

int cgroup_enable(struct cgroup *cg, bool enable)
{
	struct cgroup *kid;
	int err = 0;

	if (cg->dead)
		return -ENODEV;
	if (enable == cg->enables)
		return 0;
	if (enable && cg->parent && !cg->group)
		return -ENOENT;
	if (enable && cg->parent && cgroup_next(cg, NULL, false))
		return -EBUSY;
	list_for_each(kid, &cg->kids, link)
		if (kid->enables)
			return -EBUSY;
	cg->enables = enable;
	if (enable)
		err = give_groups(cg);
	if (err || !enable) {
		cg->enables = false;
		take_groups(cg);
	}
	return err;
}

/* ---- coming and going ---- */

static struct cgroup *new_cgroup(struct cgroup *parent, struct inode *dir)
{
	struct cgroup *cg = os_zalloc(sizeof(*cg));

	if (!cg)
		return NULL;
	cg->parent = parent;
	cg->dir = dir;
	cg->max_below = cg->max_depth = CGROUP_NO_MAX;
	list_init(&cg->kids);
	list_init(&cg->link);
	return cg;
}

/* May there be one more below parent? */
static bool has_place(const struct cgroup *parent)
{
	unsigned level = 0;

	for (; parent; parent = parent->parent)
		if (cgroup_count(parent) >= parent->max_below || level++ >= parent->max_depth)
			return false;
	return true;
}

int cgroup_make(struct cgroup *parent, const char *name, struct inode *dir)
{
	struct cgroup *cg;
	int err = 0;

	if (parent->dead)
		return -ENOENT;
	if (tree_find(parent->dir, name, str_len(name)))
		return -EEXIST;
	if (!has_place(parent))
		return -EAGAIN;
	cg = new_cgroup(parent, dir);
	if (!cg)
		return -ENOMEM;
	if (parent->enables)
		err = make_group(cg);
	if (err == 0)
		err = tree_add(parent->dir, name, dir);
	if (err == 0) {
		dir->priv = cg;
		list_add_tail(&cg->link, &parent->kids);
		return 0;
	}
	if (cg->group)
		drop_group(cg, cg->group);
	os_free(cg);
	return err;
}

int cgroup_remove(struct cgroup *cg)
{
	if (cg->dead)
		return -ENOENT;
	if (cgroup_next(cg, NULL, true) || !list_empty(&cg->kids))
		return -EBUSY;
	cg->dead = true; /* from here on nobody comes in */
	wait_unused(cg);
	if (cg->group && kmm_group_remove(cg->group) != KMM_OK) {
		cg->dead = false; /* a space that an ended process shared with one elsewhere */
		return -EBUSY;
	}
	cg->group = NULL;
	list_del(&cg->link);
	return tree_remove(cg->parent->dir, cg->dir->name);
}

/* ---- memory.high ---- */

static bool is_ending(void)
{
	return current->proc->exiting || ((current->pending.set | current->proc->pending.set) & sig_bit(SIGKILL));
}

/* In pieces, so that who is killed ends soon. */
void cgroup_throttle(void)
{
	const struct kmm_group *group;
	uint64_t now = os_now(), until = now;

	kernel_lock();
	group = cgroup_charges(current->proc->cgroup);
	if (group)
		until += kmm_group_delay_ns(group, current->over_high);
	current->over_high = 0;
	for (; now < until && !is_ending(); now = os_now())
		sched_sleep(&current->over_high, false, until - now < PIECE_NS ? until : now + PIECE_NS);
	kernel_unlock();
}
