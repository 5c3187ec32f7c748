/* SPDX-License-Identifier: MIT */
/*
 * pidfd.c - descriptors that mean a process: pidfd_open(2) and its calls, process_mrelease(2). The file remembers number and
 * start of the process, not the process itself: who looks finds it, or one that has taken its number since, which counts as
 * gone. As every end of a process is a change for poll(), waiting for one is waiting for any change and looking again.
 */
#include "sig/sig.h"
#include "sys/sys.h"

struct target {
	uint32_t pid;
	uint64_t start_ns;
};

/* NULL: it has ended, and its parent knows. Kernel lock. */
static struct proc *find_target(const struct target *t)
{
	struct proc *p = proc_find(t->pid);

	return p && p->start_ns == t->start_ns ? p : NULL;
}

static bool has_ended(const struct target *t)
{
	const struct proc *p = find_target(t);

	return !p || p->state == PROC_ZOMBIE;
}

static unsigned target_poll(struct open_file *file)
{
	return has_ended(file->priv) ? POLLIN | POLLRDNORM : 0;
}

static void target_release(struct open_file *file)
{
	os_free(file->priv);
}

static const struct file_ops target_ops = { .poll = target_poll, .release = target_release };

int pidfd_new(const struct proc *p, uint32_t flags)
{
	struct target *t = os_alloc(sizeof(*t));
	struct open_file *file;
	int fd;

	if (!t || file_anonymous(&target_ops, "anon_inode:[pidfd]", O_RDWR | flags, &file) != 0) {
		os_free(t);
		return -ENOMEM;
	}
	*t = (struct target){ p->pid, p->start_ns };
	file->priv = t;
	fd = fd_install(current->proc->fds, file, 0, (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft, true);
	if (fd < 0)
		file_put(file);
	return fd;
}

sword sys_pidfd_open(const uword *a)
{
	const struct proc *p = proc_find((uint32_t)a[0]);

	if ((int32_t)a[0] <= 0 || ((uint32_t)a[1] & ~(uint32_t)O_NONBLOCK))
		return -EINVAL;
	if (!p)
		return task_find((uint32_t)a[0]) ? -EINVAL : -ESRCH; /* a thread is not a process */
	return pidfd_new(p, (uint32_t)a[1]);
}

static int target_arg(uword fd, const struct target **out)
{
	struct open_file *file = file_arg((uint32_t)fd);

	if (!file || file->ops != &target_ops)
		return -EBADF;
	*out = file->priv;
	return 0;
}

sword sys_pidfd_send_signal(const uword *a)
{
	int32_t signo;
	const struct target *t;
	struct proc *p;
	int err;

	if ((uint32_t)a[3])
		return -EINVAL;
	err = target_arg(a[0], &t);
	if (err)
		return err;
	if (a[2] && copy_in(&signo, a[2], sizeof(signo)) != 0)
		return -EFAULT;
	if (a[1] > NSIG || (a[2] && signo != (int32_t)a[1]))
		return -EINVAL;
	p = find_target(t);
	if (!p)
		return -ESRCH;
	sig_send_proc(p, (int)a[1], SI_USER);
	return 0;
}

sword sys_pidfd_getfd(const uword *a)
{
	const struct target *t;
	struct open_file *file;
	struct proc *p;
	int err = (uint32_t)a[2] ? -EINVAL : target_arg(a[0], &t), fd;

	if (err)
		return err;
	p = find_target(t);
	if (!p || p->state == PROC_ZOMBIE)
		return -ESRCH;
	file = fd_get(p->fds, (uint32_t)a[1]);
	if (!file)
		return -EBADF;
	fd = fd_install(current->proc->fds, file, 0, (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft, true);
	if (fd < 0)
		file_put(file);
	return fd;
}

static bool is_dying(const struct proc *p)
{
	return p->exiting || (p->pending.set & sig_bit(SIGKILL));
}

/* The memory of a process that is being killed goes now: it does so by its own exit, which is waited for. */
sword sys_process_mrelease(const uword *a)
{
	const struct target *t;
	const struct proc *p;
	int err = (uint32_t)a[1] ? -EINVAL : target_arg(a[0], &t);

	if (err)
		return err;
	p = find_target(t);
	if (!p || !p->mm)
		return -ESRCH;
	if (!is_dying(p))
		return -EINVAL;
	for (;;) {
		uint32_t begun = poll_begin();
		int why;

		p = find_target(t);
		if (!p || !p->mm)
			return 0;
		why = poll_wait(begun, 0);
		if (why == -EINTR)
			return -EINTR;
	}
}
