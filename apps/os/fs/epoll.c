/* SPDX-License-Identifier: MIT */
/*
 * epoll.c - a set keeps, in the order they were added, descriptors with the files behind them. It has no reference on
 * these: a file that goes takes its entries along (file.watched says that there may be some). Asked what is ready, it asks
 * each file, as poll() does: sets here are small, and any change anywhere wakes who waits.
 *
 * Edge-triggered entries are reported once for each change: as all changes are counted together (poll_begin()), one may be
 * reported again because another file changed, which epoll(7) allows. An entry moves to the end when it was reported, so
 * that the others have their turn.
 *
 * All sets are under the kernel lock, as the calls and the operations here are.
 */
#include "fs/epoll.h"
#include "proc/task.h"

enum { EPOLLONESHOT = 1 << 30, MAX_NESTING = 4 };
#define EPOLLET (1u << 31)
#define EPOLL_PRIVATE (EPOLLET | EPOLLONESHOT | 3u << 28)

struct entry {
	struct list link;
	struct open_file *file; /* no reference */
	int32_t fd;
	bool off;               /* reported, and one-shot */
	uint32_t seen;          /* poll_begin() when it was reported last */
	struct epoll_event event;
};
struct epoll {
	struct list link; /* of all */
	struct list entries;
};

static struct list all = { &all, &all };

static struct epoll *epoll_of(const struct open_file *file)
{
	return file->priv;
}

static unsigned ready(const struct entry *e)
{
	unsigned bits;

	if (e->off || ((e->event.events & EPOLLET) && e->seen == poll_begin()))
		return 0;
	bits = file_poll(e->file);
	return bits & (e->event.events | POLLERR | POLLHUP) & ~EPOLL_PRIVATE;
}

static unsigned set_poll(struct open_file *file)
{
	const struct entry *e;

	list_for_each(e, &epoll_of(file)->entries, link)
		if (ready(e))
			return POLLIN | POLLRDNORM;
	return 0;
}

static void set_release(struct open_file *file)
{
	struct epoll *set = epoll_of(file);
	struct entry *e, *next;

	kernel_lock();
	list_for_each_safe(e, next, &set->entries, link) {
		list_del(&e->link);
		os_free(e);
	}
	list_del(&set->link);
	kernel_unlock();
	os_free(set);
}

static const struct file_ops epoll_ops = { .poll = set_poll, .release = set_release };

bool is_epoll(const struct open_file *file)
{
	return file->ops == &epoll_ops;
}

int epoll_create(struct open_file **out)
{
	struct epoll *set = os_zalloc(sizeof(*set));

	if (!set || file_anonymous(&epoll_ops, "anon_inode:[eventpoll]", O_RDWR, out) != 0) {
		os_free(set);
		return -ENOMEM;
	}
	list_init(&set->entries);
	list_add_tail(&set->link, &all);
	(*out)->priv = set;
	return 0;
}

/* ---- entries ---- */

static struct entry *find(const struct epoll *set, const struct open_file *file, int32_t fd)
{
	struct entry *e;

	list_for_each(e, &set->entries, link)
		if (e->file == file && e->fd == fd)
			return e;
	return NULL;
}

/* How many sets lie in each other below this one. A set that contained `top` would be a circle: more than there may be. */
static int nesting(const struct open_file *set, const struct open_file *top, int depth)
{
	int deepest = 0;
	const struct entry *e;

	if (set == top || depth > MAX_NESTING)
		return MAX_NESTING + 1;
	list_for_each(e, &epoll_of(set)->entries, link) {
		int below = is_epoll(e->file) ? 1 + nesting(e->file, top, depth + 1) : 0;

		deepest = below > deepest ? below : deepest;
	}
	return deepest;
}

static int add(struct open_file *set, struct open_file *file, int32_t fd, const struct epoll_event *event)
{
	struct entry *e;

	if (is_epoll(file) && nesting(file, set, 0) >= MAX_NESTING)
		return -ELOOP;
	e = os_zalloc(sizeof(*e));
	if (!e)
		return -ENOMEM;
	*e = (struct entry){ .file = file, .fd = fd, .event = *event, .seen = poll_begin() - 1 };
	file->watched = true;
	list_add_tail(&e->link, &epoll_of(set)->entries);
	return 0;
}

int epoll_control(struct open_file *set, int act, struct open_file *file, int32_t fd, const struct epoll_event *event)
{
	struct entry *e = find(epoll_of(set), file, fd);
	int err = 0;

	if (act == EPOLL_ADD)
		err = e ? -EEXIST : add(set, file, fd, event);
	else if (!e)
		return -ENOENT;
	if (act == EPOLL_DEL) {
		list_del(&e->link);
		os_free(e);
	} else if (act == EPOLL_MOD) {
		e->event = *event;
		e->off = false;
		e->seen = poll_begin() - 1;
	}
	if (err == 0)
		poll_changed(); /* who waits looks again */
	return err;
}

int epoll_collect(struct open_file *file, struct epoll_event *out, int most)
{
	struct epoll *set = epoll_of(file);
	struct list reported;
	struct entry *e, *next;
	int n = 0;

	list_init(&reported);
	list_for_each_safe(e, next, &set->entries, link) {
		unsigned bits = n < most ? ready(e) : 0;

		if (!bits)
			continue;
		out[n++] = (struct epoll_event){ bits, e->event.data };
		e->seen = poll_begin();
		e->off = e->event.events & EPOLLONESHOT;
		list_del(&e->link);
		list_add_tail(&e->link, &reported);
	}
	list_for_each_safe(e, next, &reported, link) {
		list_del(&e->link);
		list_add_tail(&e->link, &set->entries);
	}
	return n;
}

void epoll_forget(const struct open_file *file)
{
	struct epoll *set;
	struct entry *e, *next;

	kernel_lock();
	list_for_each(set, &all, link) {
		list_for_each_safe(e, next, &set->entries, link) {
			if (e->file != file)
				continue;
			list_del(&e->link);
			os_free(e);
		}
	}
	kernel_unlock();
}
