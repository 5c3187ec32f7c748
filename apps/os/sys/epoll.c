/* SPDX-License-Identifier: MIT */
/* epoll.c - the calls of epoll sets, and eventfd. */
#include "fs/epoll.h"
#include "sys/sys.h"

enum { MAX_EVENTS = 1024 };

static sword install(struct open_file *file, uint32_t flags)
{
	int fd = fd_install(current->proc->fds, file, 0, (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft, flags & O_CLOEXEC);

	if (fd < 0)
		file_put(file);
	return fd;
}

sword sys_epoll_create1(const uword *a)
{
	struct open_file *file;
	int err;

	if ((uint32_t)a[0] & ~(uint32_t)O_CLOEXEC)
		return -EINVAL;
	err = epoll_create(&file);
	return err ? err : install(file, (uint32_t)a[0]);
}

sword sys_epoll_create(const uword *a)
{
	return (int32_t)a[0] <= 0 ? -EINVAL : sys_epoll_create1((const uword[]){ 0 });
}

/* Can the file say when it is ready? Regular files and directories always are: EPERM. */
static bool can_wait(const struct open_file *file)
{
	return file->ops->poll != NULL;
}

sword sys_epoll_ctl(const uword *a)
{
	struct open_file *set = file_arg((uint32_t)a[0]), *file = file_arg((uint32_t)a[2]);
	struct epoll_event event = { 0, 0 };

	if ((int32_t)a[1] != EPOLL_DEL && copy_in(&event, a[3], sizeof(event)) != 0)
		return -EFAULT;
	if (!set || !file)
		return -EBADF;
	if (!can_wait(file))
		return -EPERM;
	if (set == file || !is_epoll(set) || (int32_t)a[1] < EPOLL_ADD || (int32_t)a[1] > EPOLL_MOD)
		return -EINVAL;
	return epoll_control(set, (int)a[1], file, (int32_t)a[2], &event);
}

struct wanted {
	struct open_file *set;
	struct epoll_event *events;
	int most;
};

static sword collect(void *arg)
{
	const struct wanted *w = arg;

	return epoll_collect(w->set, w->events, w->most);
}

/* A signal ends it, and it is never restarted: signal(7). deadline 0: for ever. */
static sword wait_for(const uword *a, uint64_t deadline)
{
	struct open_file *set = file_arg((uint32_t)a[0]);
	int most = (int32_t)a[2] < MAX_EVENTS ? (int32_t)a[2] : MAX_EVENTS;
	struct epoll_event *events;
	sword n;

	if (most <= 0)
		return -EINVAL;
	if (!set)
		return -EBADF;
	if (!is_epoll(set))
		return -EINVAL;
	events = os_alloc((size_t)most * sizeof(*events));
	if (!events)
		return -ENOMEM;
	n = poll_until(collect, &(struct wanted){ set, events, most }, deadline);
	if (n > 0 && copy_out(a[1], events, (size_t)n * sizeof(*events)) != 0)
		n = -EFAULT;
	os_free(events);
	return n;
}

static uint64_t deadline_ms(int32_t ms)
{
	return ms < 0 ? 0 : os_now() + (uint64_t)ms * 1000000;
}

sword sys_epoll_wait(const uword *a)
{
	return wait_for(a, deadline_ms((int32_t)a[3]));
}

sword sys_epoll_pwait(const uword *a)
{
	int err = set_temporary_mask(a[4]);

	return err ? err : finish_mask((int32_t)wait_for(a, deadline_ms((int32_t)a[3])));
}

sword sys_epoll_pwait2(const uword *a)
{
	uint64_t deadline;
	int err = user_deadline(a[3], true, &deadline);

	if (err == 0)
		err = set_temporary_mask(a[4]);
	return err ? err : finish_mask((int32_t)wait_for(a, deadline));
}

/* ---- eventfd ---- */

sword sys_eventfd2(const uword *a)
{
	enum { EFD_SEMAPHORE = 1 };
	uint32_t flags = (uint32_t)a[1];
	struct open_file *file;
	int err;

	if (flags & ~(uint32_t)(EFD_SEMAPHORE | O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	err = eventfd_create((uint32_t)a[0], flags & EFD_SEMAPHORE, flags & O_NONBLOCK, &file);
	return err ? err : install(file, flags);
}

sword sys_eventfd(const uword *a)
{
	return sys_eventfd2((const uword[]){ a[0], 0 });
}
