/* SPDX-License-Identifier: MIT */
/*
 * procvm.c - process_vm_readv(2) and process_vm_writev(2): bytes between our memory and another process's, whose pages are
 * pinned while they are copied. Each side keeps its rights: what a process could not read or write itself is not reached here
 * either.
 */
#include "kmm/kmap.h"
#include "sig/sig.h"
#include "sys/sys.h"

/* One side: where its next byte is. */
struct side {
	struct vec_list list;
	uint32_t i;
	uword done; /* of vec[i] */
};

/* Bytes at the next place, as far as its page goes; 0: the end. */
static uword next_piece(struct side *side, uword *at)
{
	while (side->i < side->list.nr && side->done == side->list.vec[side->i].len) {
		side->i++;
		side->done = 0;
	}
	if (side->i == side->list.nr)
		return 0;
	*at = side->list.vec[side->i].at + side->done;
	return min_word(side->list.vec[side->i].len - side->done, KMM_PAGE_SIZE - (*at & (KMM_PAGE_SIZE - 1)));
}

struct transfer {
	struct kmm_mm *mm; /* the other process's */
	struct side local, remote;
	bool write;        /* into the other process */
};

/* Bytes between our memory and a view of the other's. */
static size_t copy(const struct transfer *t, uword local, char *view, uword n)
{
	return t->write ? copy_in_some(view, local, n) : copy_out_some(local, view, n);
}

/* Up to n bytes within one page of the other process, which is pinned for that; *done of them were moved. false: one side
 * ended there. */
static bool move(const struct transfer *t, uword local, uword remote, uword n, size_t *done)
{
	struct kmm_page *page;
	kmm_word pinned;
	char *view;

	*done = 0;
	if (kmm_pin_user(t->mm, kmm_uva(remote), 1, t->write ? KMM_PIN_WRITE : 0, &page, &pinned) != KMM_OK) {
		corrupt_copy(t->mm, remote, 1);
		return false;
	}
	view = kmm_kmap(os.k, page);
	if (view) {
		*done = copy(t, local, view + (remote & (KMM_PAGE_SIZE - 1)), n);
		kmm_kunmap(os.k, page);
	}
	kmm_unpin_user(os.k, &page, 1, t->write);
	return *done == n;
}

static sword transfer(struct transfer *t)
{
	uword local, remote, n;
	sword total = 0;
	size_t done;
	bool ok = true;

	while (ok && total < MAX_RW && (n = next_piece(&t->local, &local)) && (n = min_word(n, next_piece(&t->remote, &remote)))) {
		ok = move(t, local, remote, n, &done);
		total += (sword)done;
		t->local.done += done;
		t->remote.done += done;
	}
	return ok || total ? total : -EFAULT;
}

static sword with_process(struct transfer *t, uint32_t pid)
{
	struct task *task = task_find(pid);
	struct proc *proc;
	sword result;

	if (!task || !task->proc->mm)
		return -ESRCH;
	proc = task->proc;
	t->mm = proc_hold(proc);
	result = transfer(t);
	proc_let_go(proc, t->mm);
	return result;
}

/* pid, local list and length, remote list and length, flags. */
static sword process_vm(const uword *a, bool write)
{
	struct transfer t = { .write = write };
	sword result = 0;
	uword at;
	int err;

	if (a[5])
		return -EINVAL;
	err = vec_import(a[1], a[2], &t.local.list);
	if (err)
		return err;
	if (next_piece(&t.local, &at)) {
		err = vec_import(a[3], a[4], &t.remote.list);
		if (err == 0 && next_piece(&t.remote, &at))
			result = with_process(&t, (uint32_t)a[0]);
		if (err == 0)
			vec_drop(&t.remote.list);
	}
	vec_drop(&t.local.list);
	return err ? err : result;
}

sword sys_process_vm_readv(const uword *a)
{
	return process_vm(a, false);
}

sword sys_process_vm_writev(const uword *a)
{
	return process_vm(a, true);
}
