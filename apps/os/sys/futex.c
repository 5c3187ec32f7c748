/* SPDX-License-Identifier: MIT */
/*
 * futex.c - sleeping on a word of user memory. Waiters are found by the word's identity: the space and address, or,
 * in a shared mapping, the mapped object and offset. The kernel is not preemptible, so looking at the word and going
 * to sleep cannot be separated.
 */
#include "sys/sys.h"

enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE, FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET,
       FUTEX_PRIVATE = 128, FUTEX_CLOCK_REALTIME = 256 };

struct futex_key {
	const void *object;
	uint64_t offset;
};

struct waiter {
	struct list link;
	struct futex_key key;
	uint32_t bitset;
	bool woken;
};

static struct list waiters = { &waiters, &waiters };

static int key_of(uword addr, bool private, struct futex_key *key)
{
	struct kmm_vma_info vma;

	if (addr & 3)
		return -EINVAL;
	*key = (struct futex_key){ current->proc->mm, addr };
	if (!private && kmm_vma_find(current->proc->mm, kmm_uva(addr), &vma) && vma.start.v <= addr && vma.shared &&
	    vma.backing)
		*key = (struct futex_key){ vma.backing, (vma.pgoff << KMM_PAGE_SHIFT) + (addr - vma.start.v) };
	return 0;
}

static bool same(const struct futex_key *a, const struct futex_key *b)
{
	return a->object == b->object && a->offset == b->offset;
}

static sword wake(const struct futex_key *key, uint32_t most, uint32_t bitset)
{
	struct waiter *w, *tmp;
	uint32_t n = 0;

	list_for_each_safe(w, tmp, &waiters, link) {
		if (n == most)
			break;
		if (!same(&w->key, key) || !(w->bitset & bitset))
			continue;
		list_del(&w->link);
		w->woken = true;
		sched_wake(w);
		n++;
	}
	return (int32_t)n;
}

void futex_wake_all(uword addr)
{
	const struct futex_key private = { current->proc->mm, addr };

	wake(&private, INT32_MAX, ~0u);
}

static sword wait(const struct futex_key *key, uword addr, uint32_t expected, uint32_t bitset, uint64_t deadline)
{
	struct waiter w = { .key = *key, .bitset = bitset };
	uint32_t value;
	int why = 0;

	if (!bitset)
		return -EINVAL;
	if (copy_in(&value, addr, sizeof(value)) != 0)
		return -EFAULT;
	if (value != expected)
		return -EAGAIN;
	list_add_tail(&w.link, &waiters);
	while (!w.woken && why == 0)
		why = sched_sleep(&w, true, deadline);
	list_del(&w.link);
	if (w.woken)
		return 0;
	return why == -EINTR ? (deadline ? -EINTR : -ERESTARTSYS) : why;
}

static sword requeue(const struct futex_key *from, uword to_addr, bool private, uint32_t nr_wake, uint32_t nr_move)
{
	struct futex_key to;
	struct waiter *w, *tmp;
	int32_t n, err = key_of(to_addr, private, &to);

	if (err)
		return err;
	n = wake(from, nr_wake, ~0u);
	list_for_each_safe(w, tmp, &waiters, link) {
		if (!nr_move)
			break;
		if (!same(&w->key, from))
			continue;
		w->key = to;
		nr_move--;
		n++;
	}
	return n;
}

/* WAIT has a relative timeout, WAIT_BITSET an absolute one on one of two clocks. */
static int wait_deadline(const uword *a, uint32_t op, bool is64, uint64_t *deadline)
{
	uint64_t relative, base = a[1] & FUTEX_CLOCK_REALTIME ? os_wall() : os_now();
	int err = user_deadline(a[3], is64, deadline);

	if (err || !a[3] || op == FUTEX_WAIT)
		return err;
	relative = *deadline - os_now(); /* user_deadline() took the absolute time for a relative one */
	*deadline = relative > base ? os_now() + (relative - base) : 1;
	return 0;
}

static sword futex(const uword *a, bool is64)
{
	uint32_t op = a[1] & 127, value;
	bool private = a[1] & FUTEX_PRIVATE;
	struct futex_key key;
	uint64_t deadline;
	int32_t err = key_of(a[0], private, &key);

	if (err)
		return err;
	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		err = wait_deadline(a, op, is64, &deadline);
		return err ? err : wait(&key, a[0], a[2], op == FUTEX_WAIT ? ~0u : a[5], deadline);
	case FUTEX_WAKE: return wake(&key, a[2], ~0u);
	case FUTEX_WAKE_BITSET: return a[5] ? wake(&key, a[2], a[5]) : -EINVAL;
	case FUTEX_CMP_REQUEUE:
		if (copy_in(&value, a[0], sizeof(value)) != 0)
			return -EFAULT;
		if (value != a[5])
			return -EAGAIN;
		return requeue(&key, a[4], private, a[2], a[3]);
	case FUTEX_REQUEUE: return requeue(&key, a[4], private, a[2], a[3]);
	default: return -ENOSYS;
	}
}

sword sys_futex(const uword *a)
{
	return futex(a, false);
}

sword sys_futex_time64(const uword *a)
{
	return futex(a, true);
}
