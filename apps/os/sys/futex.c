/* SPDX-License-Identifier: MIT */
/*
 * futex.c - sleeping on a word of user memory. Waiters are found by the word's identity: the space and address, or,
 * in a shared mapping, the mapped object and offset.
 *
 * Runs without the kernel lock; the list of waiters has a spin lock. A waiter gets into the list before it looks at the
 * word: a waker changes the word first, so it either finds the waiter or the waiter sees the change. Looking may sleep (the
 * word may not be in memory), so the waiter may be woken by then; that counts, whatever the word says.
 */
#include "sys/sys.h"

enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_REQUEUE = 3, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET = 9,
       FUTEX_WAKE_BITSET, FUTEX_PRIVATE = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_WAITERS 0x80000000u /* in the word of a robust lock */

struct futex_key {
	const void *object;
	uint64_t offset;
};

/* On the stack of its task. */
struct waiter {
	struct list link;
	struct futex_key key;
	uint32_t bitset;
	bool woken;
};

static struct spin lock = SPIN_OF(SPIN_FUTEX); /* the list, and key and woken of all in it */
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

/* Lock held. Once woken is set the waiter may be gone: its address serves as a number only. */
static sword wake_locked(const struct futex_key *key, uint32_t most, uint32_t bitset)
{
	struct waiter *w, *tmp;
	uint32_t n = 0;

	list_for_each_safe(w, tmp, &waiters, link) {
		if (n == most)
			break;
		if (!same(&w->key, key) || !(w->bitset & bitset))
			continue;
		list_del(&w->link);
		__atomic_store_n(&w->woken, true, __ATOMIC_RELEASE);
		sched_wake(w);
		n++;
	}
	return (int32_t)n;
}

static sword wake(const struct futex_key *key, uint32_t most, uint32_t bitset)
{
	sword n;

	spin_lock(&lock);
	n = wake_locked(key, most, bitset);
	spin_unlock(&lock);
	return n;
}

void futex_wake_all(uword addr)
{
	const struct futex_key private = { current->proc->mm, addr };

	wake(&private, INT32_MAX, ~0u);
}

static bool is_woken(void *arg)
{
	struct waiter *w = arg;

	return __atomic_load_n(&w->woken, __ATOMIC_ACQUIRE);
}

static void enter(struct waiter *w)
{
	spin_lock(&lock);
	list_add_tail(&w->link, &waiters);
	spin_unlock(&lock);
}

/* Was it woken before it left? */
static bool leave(struct waiter *w)
{
	bool woken;

	spin_lock(&lock);
	list_del(&w->link);
	woken = w->woken;
	spin_unlock(&lock);
	return woken;
}

static int sleep_in(struct waiter *w, uint64_t deadline)
{
	const struct sleep s = { w, true, deadline, is_woken, w };
	int why = 0;

	while (why == 0)
		why = sched_sleep_on(&s);
	return why == SLEEP_DONE ? 0 : why;
}

static sword wait(const struct futex_key *key, uword addr, uint32_t expected, uint32_t bitset, uint64_t deadline)
{
	struct waiter w = { .key = *key, .bitset = bitset };
	uint32_t value;
	int why;

	if (!bitset)
		return -EINVAL;
	enter(&w);
	why = copy_in(&value, addr, sizeof(value));
	if (why == 0 && value != expected)
		why = -EAGAIN;
	if (why == 0)
		why = sleep_in(&w, deadline);
	if (leave(&w))
		return 0;
	return why == -EINTR && !deadline ? -ERESTARTSYS : why;
}

static sword requeue(const struct futex_key *from, const uword *a, bool private)
{
	uint32_t nr_move = (uint32_t)a[3];
	struct futex_key to;
	struct waiter *w, *tmp;
	int32_t n, err = key_of(a[4], private, &to);

	if (err)
		return err;
	spin_lock(&lock);
	n = (int32_t)wake_locked(from, (uint32_t)a[2], ~0u);
	list_for_each_safe(w, tmp, &waiters, link) {
		if (!nr_move)
			break;
		if (!same(&w->key, from) || same(from, &to))
			continue;
		w->key = to;
		list_del(&w->link);
		list_add_tail(&w->link, &waiters);
		nr_move--;
		n++;
	}
	spin_unlock(&lock);
	return n;
}

static sword compare_requeue(const struct futex_key *from, const uword *a, bool private)
{
	uint32_t value;

	if (copy_in(&value, a[0], sizeof(value)) != 0)
		return -EFAULT;
	return value == (uint32_t)a[5] ? requeue(from, a, private) : -EAGAIN;
}

/* ---- FUTEX_WAKE_OP: change a second word, wake on the first, and on the second if it held a certain value ---- */

static uint32_t apply(unsigned op, uint32_t old, uint32_t arg)
{
	switch (op) {
	case 0: return arg;
	case 1: return old + arg;
	case 2: return old | arg;
	case 3: return old & ~arg;
	default: return old ^ arg;
	}
}

static bool holds(unsigned cmp, int32_t old, int32_t arg)
{
	switch (cmp) {
	case 0: return old == arg;
	case 1: return old != arg;
	case 2: return old < arg;
	case 3: return old <= arg;
	case 4: return old > arg;
	default: return old >= arg;
	}
}

static int32_t sign_extend12(uint32_t v)
{
	return (int32_t)(v << 20) >> 20;
}

/* The change must not be lost among the program's own: tried until nobody came between. */
static int change_word(uword addr, uint32_t how, uint32_t *old)
{
	uint32_t arg = (uint32_t)sign_extend12(how >> 12 & 0xfff);
	bool swapped = false;

	if (how >> 31)
		arg = 1u << (arg & 31);
	if (copy_in(old, addr, sizeof(*old)) != 0)
		return -EFAULT;
	while (!swapped)
		if (compare_swap(addr, old, apply(how >> 28 & 7, *old, arg), &swapped) != 0)
			return -EFAULT;
	return 0;
}

static sword wake_op(const struct futex_key *key, const uword *a, bool private)
{
	uint32_t how = (uint32_t)a[5], old;
	struct futex_key second;
	int err = key_of(a[4], private, &second);
	sword n;

	if (err == 0 && ((how >> 28 & 7) > 4 || (how >> 24 & 15) > 5))
		err = -ENOSYS;
	if (err == 0)
		err = change_word(a[4], how, &old);
	if (err)
		return err;
	n = wake(key, (uint32_t)a[2], ~0u);
	if (holds(how >> 24 & 15, (int32_t)old, sign_extend12(how & 0xfff)))
		n += wake(&second, (uint32_t)a[3], ~0u);
	return n;
}

/* ---- robust locks: a list in user memory, so nothing in it can be relied on ---- */

enum { OWNER_DIED = 1 << 30, TID_MASK = 0x3fffffff, MOST_LOCKS = 2048 };

static int get_pointer(uword at, bool is_64, uword *out)
{
	*out = 0;
	return copy_in(out, at, is_64 ? 8 : 4);
}

/* The word of a lock that this thread holds says that its owner died; one who waits is told. */
static int give_up(uword addr)
{
	uint32_t seen;
	bool swapped = false;
	struct futex_key key;

	if ((addr & 3) || copy_in(&seen, addr, sizeof(seen)) != 0)
		return -EFAULT;
	while (!swapped) {
		if ((seen & TID_MASK) != current->tid)
			return 0;
		if (compare_swap(addr, &seen, (seen & ~(uint32_t)TID_MASK) | OWNER_DIED, &swapped) != 0)
			return -EFAULT;
	}
	if ((seen & FUTEX_WAITERS) && key_of(addr, false, &key) == 0)
		wake(&key, 1, ~0u);
	if (seen & FUTEX_WAITERS)
		wake(&(struct futex_key){ current->proc->mm, addr }, 1, ~0u);
	return 0;
}

/* The head: first entry, distance from an entry to its lock, and an entry that was just being added or removed. Bit 0 of a
 * pointer marks locks of another kind, which this kernel does not have. */
void futex_give_up(uword head, bool is_64)
{
	unsigned size = is_64 ? 8 : 4;
	uword entry, offset, pending;

	if (get_pointer(head, is_64, &entry) != 0 || get_pointer(head + size, is_64, &offset) != 0 ||
	    get_pointer(head + 2 * size, is_64, &pending) != 0)
		return;
	if (!is_64)
		offset = (uword)(sword)(int32_t)offset;
	for (unsigned n = 0; n < MOST_LOCKS && (entry & ~(uword)1) != head; n++) {
		uword next, at = entry & ~(uword)1;

		if (get_pointer(at, is_64, &next) != 0 || (at != (pending & ~(uword)1) && give_up(at + offset) != 0))
			return;
		entry = next;
	}
	if (pending)
		give_up((pending & ~(uword)1) + offset);
}

/* ---- the call ---- */

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
	uint32_t op = a[1] & 127;
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
		return err ? err : wait(&key, a[0], (uint32_t)a[2], op == FUTEX_WAIT ? ~0u : (uint32_t)a[5], deadline);
	case FUTEX_WAKE: return wake(&key, (uint32_t)a[2], ~0u);
	case FUTEX_WAKE_BITSET: return a[5] ? wake(&key, (uint32_t)a[2], (uint32_t)a[5]) : -EINVAL;
	case FUTEX_REQUEUE: return requeue(&key, a, private);
	case FUTEX_CMP_REQUEUE: return compare_requeue(&key, a, private);
	case FUTEX_WAKE_OP: return wake_op(&key, a, private);
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
