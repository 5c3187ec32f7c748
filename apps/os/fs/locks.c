/* SPDX-License-Identifier: MIT */
/*
 * locks.c - one list of all advisory locks of the machine, no two of one owner overlapping in a file, nor touching if of
 * one kind. There are few: those of programs that share a data base. A change replaces what the owner had in the range: at
 * most one lock of its own is split in two, so one spare node is enough, and it is got first.
 *
 * Who waits is on a second list with what it waits for; a circle of owners that wait for each other is refused.
 *
 * Everything here is under the kernel lock, which the functions take. An inode knows how many locks it has, so that who
 * closes a file without any does not need it.
 */
#include "fs/locks.h"
#include "proc/task.h"

struct node {
	struct list link;
	struct file_lock lock;
};
struct waiter {
	struct list link;
	const void *owner, *holder;
};

static struct list locks = { &locks, &locks }, waiters = { &waiters, &waiters };

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
	return a->inode == b->inode && a->whole == b->whole && a->start <= b->end && b->start <= a->end;
}

/* The first in the file that is in the way. */
static struct node *conflict(const struct file_lock *lock)
{
	struct node *n, *first = NULL;

	list_for_each(n, &locks, link)
		if (overlap(&n->lock, lock) && n->lock.owner != lock->owner &&
		    (n->lock.type == LOCK_WRITE || lock->type == LOCK_WRITE) && (!first || n->lock.start < first->lock.start))
			first = n;
	return first;
}

bool lock_find(const struct file_lock *lock, struct file_lock *out)
{
	const struct node *n;

	kernel_lock();
	n = conflict(lock);
	if (n)
		*out = n->lock;
	kernel_unlock();
	return n != NULL;
}

static void add(struct node *n)
{
	list_add_tail(&n->link, &locks);
	__atomic_fetch_add(&n->lock.inode->nr_locks, 1, __ATOMIC_RELEASE);
}

static void drop(struct node *n)
{
	list_del(&n->link);
	__atomic_fetch_sub(&n->lock.inode->nr_locks, 1, __ATOMIC_RELEASE);
	os_free(n);
}

/* Takes the range of `lock` away from one of its owner's. *spare is used up when that falls in two. */
static void cut(struct node *n, const struct file_lock *lock, struct node **spare)
{
	bool before = n->lock.start < lock->start, after = n->lock.end > lock->end;

	if (before && after) {
		(*spare)->lock = n->lock;
		(*spare)->lock.start = lock->end + 1;
		add(*spare);
		*spare = NULL;
	}
	if (before)
		n->lock.end = lock->start - 1;
	else if (after)
		n->lock.start = lock->end + 1;
	else
		drop(n);
}

/* Locks of one kind side by side become one. */
static void absorb_neighbours(struct file_lock *fresh)
{
	struct node *n, *next;

	list_for_each_safe(n, next, &locks, link) {
		const struct file_lock *l = &n->lock;
		bool before = l->end + 1 == fresh->start, after = fresh->end + 1 == l->start;

		if (l->owner != fresh->owner || l->inode != fresh->inode || l->whole != fresh->whole || l->type != fresh->type ||
		    (!before && !after))
			continue;
		fresh->start = before ? l->start : fresh->start;
		fresh->end = after ? l->end : fresh->end;
		drop(n);
	}
}

static int apply(const struct file_lock *lock)
{
	struct node *spare = os_alloc(sizeof(*spare)), *fresh = os_alloc(sizeof(*fresh)), *n, *next;

	if (!spare || !fresh) {
		os_free(spare);
		os_free(fresh);
		return -ENOMEM;
	}
	list_for_each_safe(n, next, &locks, link)
		if (n->lock.owner == lock->owner && overlap(&n->lock, lock))
			cut(n, lock, &spare);
	os_free(spare);
	fresh->lock = *lock;
	absorb_neighbours(&fresh->lock);
	if (lock->type == LOCK_NONE)
		os_free(fresh);
	else
		add(fresh);
	sched_wake(&locks);
	return 0;
}

static const void *holder_of(const void *owner)
{
	const struct waiter *w;

	list_for_each(w, &waiters, link)
		if (w->owner == owner)
			return w->holder;
	return NULL;
}

/* Does `holder` wait, through whomever, for `owner`? */
static bool is_circle(const void *owner, const void *holder)
{
	enum { MAX_DEPTH = 100 };

	for (int i = 0; holder && i < MAX_DEPTH; i++, holder = holder_of(holder))
		if (holder == owner)
			return true;
	return false;
}

static int wait_for(const struct file_lock *lock, const struct node *holder)
{
	struct waiter w = { .owner = lock->owner, .holder = holder->lock.owner };
	int err;

	if (!lock->whole && is_circle(w.owner, w.holder))
		return -EDEADLK;
	list_add_tail(&w.link, &waiters);
	err = sched_sleep(&locks, true, 0);
	list_del(&w.link);
	return err;
}

int lock_set(const struct file_lock *lock, bool wait)
{
	const struct node *holder;
	int err = 0;

	kernel_lock();
	while (err == 0 && lock->type != LOCK_NONE && (holder = conflict(lock)) != NULL)
		err = wait ? wait_for(lock, holder) : -EAGAIN;
	if (err == 0)
		err = apply(lock);
	kernel_unlock();
	return err;
}

void lock_drop(const void *owner, const struct inode *inode)
{
	struct node *n, *next;
	bool any = false;

	if (!__atomic_load_n(&inode->nr_locks, __ATOMIC_ACQUIRE))
		return;
	kernel_lock();
	list_for_each_safe(n, next, &locks, link) {
		if (n->lock.owner == owner && n->lock.inode == inode) {
			drop(n);
			any = true;
		}
	}
	if (any)
		sched_wake(&locks);
	kernel_unlock();
}
