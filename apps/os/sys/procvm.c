/* SPDX-License-Identifier: MIT */
/*
 * procvm.c - process_vm_readv(2) and process_vm_writev(2): bytes between our memory and another process's, by way of a
 * buffer. Each side keeps its rights: what a process could not read or write itself is not reached here either.
 */
#include "sys/sys.h"

enum { CHUNK = KMM_PAGE_SIZE };

/* One side: where its next byte is. */
struct side {
	struct vec_list list;
	uint32_t i;
	uword done; /* of vec[i] */
};

/* Bytes at the next place, at most a chunk; 0: the end. */
static uword next_piece(struct side *side, uword *at)
{
	while (side->i < side->list.nr && side->done == side->list.vec[side->i].len) {
		side->i++;
		side->done = 0;
	}
	if (side->i == side->list.nr)
		return 0;
	*at = side->list.vec[side->i].at + side->done;
	return min_word(side->list.vec[side->i].len - side->done, CHUNK);
}

struct transfer {
	struct kmm_mm *mm; /* the other process's */
	struct side local, remote;
	bool write;        /* into the other process */
	char *buf;
};

/* Up to n bytes; *done of them were moved. false: one side ended there. */
static bool move(const struct transfer *t, uword local, uword remote, uword n, size_t *done)
{
	enum kmm_status status;
	size_t got = 0;

	*done = 0;
	if (t->write) {
		if (kmm_copy_in(current->proc->mm, t->buf, kmm_uva(local), n, &got) != KMM_OK && !got)
			return false;
		status = kmm_poke(t->mm, kmm_uva(remote), t->buf, got, done);
	} else {
		if (kmm_peek(t->mm, t->buf, kmm_uva(remote), n, &got) != KMM_OK && !got)
			return false;
		status = kmm_copy_out(current->proc->mm, kmm_uva(local), t->buf, got, done);
	}
	return status == KMM_OK && got == n;
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
	t->buf = os_alloc(CHUNK);
	if (!t->buf)
		return -ENOMEM;
	proc = task->proc;
	t->mm = proc_hold(proc);
	result = transfer(t);
	proc_let_go(proc, t->mm);
	os_free(t->buf);
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
