/* SPDX-License-Identifier: MIT */
/* eventfd.c - a counter behind a descriptor (eventfd(2)): reads take it, or one of it, writes add to it. */
#include "fs/vfs.h"
#include "proc/task.h"

#define MOST (UINT64_MAX - 1)

struct counter {
	uint64_t value;
	bool semaphore;
};

static void changed(struct counter *c)
{
	sched_wake(c);
	poll_changed();
}

static int wait(struct counter *c, bool nonblock)
{
	int err = nonblock ? -EAGAIN : sched_sleep(c, true, 0);

	return err == -EINTR ? -ERESTARTSYS : err;
}

static int counter_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	struct counter *c = file->priv;
	uint64_t value;

	(void)pos;
	if (len < sizeof(value))
		return -EINVAL;
	while (c->value == 0) {
		int err = wait(c, nonblock);

		if (err)
			return err;
	}
	value = c->semaphore ? 1 : c->value;
	c->value -= value;
	changed(c);
	memcpy(to, &value, sizeof(value));
	return sizeof(value);
}

static int counter_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	struct counter *c = file->priv;
	uint64_t value;

	(void)pos;
	if (len < sizeof(value))
		return -EINVAL;
	memcpy(&value, from, sizeof(value));
	if (value > MOST)
		return -EINVAL;
	while (value > MOST - c->value) {
		int err = wait(c, nonblock);

		if (err)
			return err;
	}
	c->value += value;
	changed(c);
	return sizeof(value);
}

static unsigned counter_poll(struct open_file *file)
{
	const struct counter *c = file->priv;

	return (c->value ? POLLIN | POLLRDNORM : 0) | (c->value < MOST ? POLLOUT | POLLWRNORM : 0);
}

static void counter_release(struct open_file *file)
{
	os_free(file->priv);
}

static const struct file_ops counter_ops = {
	.read = counter_read, .write = counter_write, .poll = counter_poll, .release = counter_release,
};

int eventfd_create(uint32_t value, bool semaphore, uint32_t flags, struct open_file **out)
{
	struct counter *c = os_alloc(sizeof(*c));

	if (!c || file_anonymous(&counter_ops, "anon_inode:[eventfd]", O_RDWR | flags, out) != 0) {
		os_free(c);
		return -ENOMEM;
	}
	*c = (struct counter){ value, semaphore };
	(*out)->priv = c;
	return 0;
}
