/* SPDX-License-Identifier: MIT */
/*
 * procvm.c - process_vm_readv(2) and process_vm_writev(2): bytes between our memory and another process's, by way of a
 * buffer. Each side keeps its rights: what a process could not read or write itself is not reached here either.
 */
#include "sys/sys.h"

enum { MAX_IOV = 1024, CHUNK = KMM_PAGE_SIZE };

struct vec {
	uword at, len;
};

/* One side: where its next byte is. */
struct side {
	struct vec *vec;
	uint32_t nr, i;
	uword done; /* of vec[i] */
};

static int import(uword from, uword nr, struct side *side)
{
	*side = (struct side){ .nr = (uint32_t)nr };
	if (nr > MAX_IOV)
		return -EINVAL;
	if (!nr)
		return 0;
	side->vec = os_alloc((uint32_t)nr * sizeof(*side->vec));
	if (!side->vec)
		return -ENOMEM;
	for (uint32_t i = 0; i < nr; i++) {
		uword word[2];

		if (get_words(word, from + i * (abi_64() ? 16 : 8), 2) != 0)
			return -EFAULT;
		if (signed_word(word[1]) < 0)
			return -EINVAL;
		side->vec[i] = (struct vec){ word[0], word[1] };
	}
	return 0;
}

/* Bytes at the next place, at most a chunk; 0: the end. */
static uword next_piece(struct side *side, uword *at)
{
	while (side->i < side->nr && side->done == side->vec[side->i].len) {
		side->i++;
		side->done = 0;
	}
	if (side->i == side->nr)
		return 0;
	*at = side->vec[side->i].at + side->done;
	return min_word(side->vec[side->i].len - side->done, CHUNK);
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
	uword at;
	sword err;

	if (a[5])
		return -EINVAL;
	err = import(a[1], a[2], &t.local);
	if (err == 0 && next_piece(&t.local, &at)) {
		err = import(a[3], a[4], &t.remote);
		if (err == 0 && next_piece(&t.remote, &at))
			err = with_process(&t, (uint32_t)a[0]);
	}
	os_free(t.local.vec);
	os_free(t.remote.vec);
	return err;
}

sword sys_process_vm_readv(const uword *a)
{
	return process_vm(a, false);
}

sword sys_process_vm_writev(const uword *a)
{
	return process_vm(a, true);
}
