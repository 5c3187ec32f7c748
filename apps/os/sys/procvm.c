/* SPDX-License-Identifier: MIT */
/*
 * procvm.c - process_vm_readv(2) and process_vm_writev(2): bytes between our memory and another process's, whose pages are
 * pinned while they are copied. Each side keeps its rights: what a process could not read or write itself is not reached here
 * either.
 */
#include "kmm/kmap.h"
#include "sys/sys.h"

enum { MAX_IOV = 1024 };

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

/* Bytes at the next place, as far as its page goes; 0: the end. */
static uword next_piece(struct side *side, uword *at)
{
	while (side->i < side->nr && side->done == side->vec[side->i].len) {
		side->i++;
		side->done = 0;
	}
	if (side->i == side->nr)
		return 0;
	*at = side->vec[side->i].at + side->done;
	return min_word(side->vec[side->i].len - side->done, KMM_PAGE_SIZE - (*at & (KMM_PAGE_SIZE - 1)));
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
	if (kmm_pin_user(t->mm, kmm_uva(remote), 1, t->write ? KMM_PIN_WRITE : 0, &page, &pinned) != KMM_OK)
		return false;
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
