/* SPDX-License-Identifier: MIT */
/*
 * cgroup.h - control groups (cgroup v2) with one controller, memory.
 *
 *   struct cgroup      a directory below /sys/fs/cgroup (fs/cgroupfs.c): processes belong to it
 *   struct kmm_group   the core's: address spaces belong to it, and pages are charged to it
 *
 * A cgroup has a group of the core's if its parent enables memory for those below (cgroup.subtree_control). Without one its
 * processes count in the next cgroup above that has one; the root has none, and who is there is charged to nobody.
 *
 * A process belongs to the cgroup that its parent was in when it was forked, until its number is written to another's
 * cgroup.procs or it ends; zombies belong to none. Its space belongs to the cgroup's group. A space that two processes share
 * (vfork) goes with the one that had it first. As on Linux, a cgroup below the root has either processes, or memory
 * enabled for those below.
 *
 * Lock: the kernel lock for everything here. Changes of the tree, and of who is where, sleep in between (the core's
 * groups do): there is one of those at a time (cgroup_lock()). fork, exec and exit go without it, and put right what changed meanwhile.
 */
#ifndef OS_PROC_CGROUP_H
#define OS_PROC_CGROUP_H

#include "kmm/group.h"
#include "proc/task.h"

#define CGROUP_NO_MAX INT32_MAX

struct cgroup {
	struct inode *dir;       /* its directory, whose priv it is */
	struct cgroup *parent;   /* NULL: the root */
	struct list kids, link;
	struct kmm_group *group; /* NULL: memory is not enabled for it */
	struct kmm_group *old_group; /* given up, and soon removed */
	uint32_t uses;           /* that work with group and may sleep: it stays as long */
	bool enables;            /* memory, for those below */
	bool oom_group;          /* memory.oom.group: all or none of it end */
	bool dead;               /* removed: nobody comes in any more */
	bool freeze;             /* cgroup.freeze: all below are to stand still */
	uint32_t max_below, max_depth; /* cgroup.max.*: of cgroups below it, and how far; CGROUP_NO_MAX: any */
};
extern struct cgroup cgroup_root;

void cgroup_lock(void);
void cgroup_unlock(void);

/* ---- the tree: cgroup_lock() held ---- */

/* A cgroup for dir, below parent; dir becomes an entry there. -ENOENT: parent was removed; -EEXIST; -ENOMEM; -ENOSPC: the core
 * has no more groups; -EAGAIN: one above it may have no more, or none as deep. */
int cgroup_make(struct cgroup *parent, const char *name, struct inode *dir);
/* -EBUSY: there are processes in it, or cgroups below it. */
int cgroup_remove(struct cgroup *cg);
/* For those below. -ENOENT: it has not got it itself; -EBUSY: it has processes; cgroups below enable it. */
int cgroup_enable(struct cgroup *cg, bool enable);
/* The process comes in, with its space. -EBUSY: it enables memory; -ENODEV: it was removed; -ENOMEM. */
int cgroup_attach(struct cgroup *cg, struct proc *proc);

/* ---- looking ---- */

/* Whose group charges what the cgroup's processes touch. NULL: nobody's. */
struct kmm_group *cgroup_charges(const struct cgroup *cg);
bool cgroup_is_below(const struct cgroup *cg, const struct cgroup *top); /* or the same */
/* The first living process in it or (deep) in those below, of those younger than `after` (NULL: of all). NULL: none. */
struct proc *cgroup_next(const struct cgroup *cg, const struct proc *after, bool deep);
/* How many there are below it. */
unsigned cgroup_count(const struct cgroup *top);
/* Its own group, which stays until it is given back. NULL: it has none, and nothing is to be given back. */
struct kmm_group *cgroup_use(struct cgroup *cg);
void cgroup_unuse(struct cgroup *cg);
/* "/", "/a/b": at most size-1 bytes of it. */
void cgroup_path(const struct cgroup *cg, char *buf, size_t size);

/* ---- freezing: processes stand still on their way to ring 3, where they hold nothing; only their end gets them out ---- */

/* Asked for in it or above it? */
bool cgroup_freezes(const struct cgroup *cg);
void cgroup_freeze(struct cgroup *cg, bool freeze);
/* Asked for, and all in it and below it stand still. */
bool cgroup_is_frozen(const struct cgroup *cg);
/* Current, whose cgroup is frozen, stops. Returns when it should look again. */
void cgroup_stand_still(void);

/* ---- members: fork, exec, exit ---- */

/* The space, which proc has or will have, belongs to the group of proc's cgroup when this returns 0, until the kernel lock is given up.
 * -ENOMEM. */
int cgroup_join(struct kmm_mm *mm, const struct proc *proc);
/* The process ends; nobody else has the space. Without the kernel lock. */
void cgroup_part(struct kmm_mm *mm);

/* On the way back to the program: current waits for what it charged to a group above memory.high, up to 2 s. */
void cgroup_throttle(void);

/* ---- oom.c: memory has ended ---- */

/* Current's fault found no memory: somebody is ended, unless somebody is on his way out already. Returns when trying again makes
 * sense, or current itself is to end. Takes the kernel lock. */
void oom_fault(uword addr);
/* The same for a call of current's that found no memory. true: because its group has no more, and calling again makes sense. */
bool oom_call(void);
/* Ends who holds most in the cgroup, whose limit became smaller, and waits for his end. false: there is nobody, or a signal came. */
bool oom_shrink(struct cgroup *cg);
void oom_note_end(const struct proc *proc);

#endif
