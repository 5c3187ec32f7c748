/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipes and named FIFOs: a ring of 64 KiB in vmalloc memory, so its frames come from high memory where
 * there is some. A write of up to PIPE_BUF bytes is never split; readers and writers sleep on the ring.
 */
#include "fs/vfs.h"
#include "kmm/vmalloc.h"
#include "proc/task.h"
#include "sig/sig.h"

enum { RING_SIZE = 65536, ATOMIC_SIZE = 4096 };

struct pipe {
	uint8_t *ring;
	uint32_t head, tail; /* next to read, next free; both only grow */
	uint32_t readers, writers;
	uint32_t opens[2]; /* for reading, for writing, ever: somebody may come and go while we sleep */
	bool anonymous; /* made by pipe(): opening it again, by /proc/PID/fd, waits for nobody */
};

static struct pipe *pipe_of(const struct open_file *file)
{
	return file->inode->priv;
}

static void changed(struct pipe *p)
{
	sched_wake(p);
	sched_wake(&poll_key);
}

static void copy_ring(struct pipe *p, uword at, void *bytes, uint32_t n, bool out)
{
	uint32_t start = at % RING_SIZE, first = min_u32(n, RING_SIZE - start);

	if (out) {
		memcpy(bytes, p->ring + start, first);
		memcpy((char *)bytes + first, p->ring, n - first);
	} else {
		memcpy(p->ring + start, bytes, first);
		memcpy(p->ring, (char *)bytes + first, n - first);
	}
}

static int pipe_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	struct pipe *p = pipe_of(file);
	uint32_t n;
	int err = 0;

	(void)pos;
	while (err == 0 && p->head == p->tail && p->writers)
		err = nonblock ? -EAGAIN : sched_sleep(p, true, 0);
	if (err)
		return err == -EINTR ? -ERESTARTSYS : err;
	n = min_u32(len, p->tail - p->head);
	copy_ring(p, p->head, to, n, true);
	p->head += n;
	if (n)
		changed(p);
	return (int)n;
}

static int broken_pipe(void)
{
	sig_send_task(current, SIGPIPE, SI_USER);
	return -EPIPE;
}

static int pipe_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	struct pipe *p = pipe_of(file);
	uint32_t want = len <= ATOMIC_SIZE ? len : 1, done = 0;
	int err = 0;

	(void)pos;
	while (done < len && err == 0) {
		uint32_t room = RING_SIZE - (p->tail - p->head), n;

		if (!p->readers)
			return done ? (int)done : broken_pipe();
		if (room < want) {
			err = nonblock ? -EAGAIN : sched_sleep(p, true, 0);
			continue;
		}
		n = min_u32(room, len - done);
		copy_ring(p, p->tail, (char *)from + done, n, false);
		p->tail += n;
		done += n;
		changed(p);
	}
	if (done == 0 && err)
		return err == -EINTR ? -ERESTARTSYS : err;
	return (int)done;
}

static unsigned pipe_poll(struct open_file *file)
{
	struct pipe *p = pipe_of(file);
	unsigned bits = 0;

	if (file_can_read(file))
		bits |= (p->head != p->tail ? POLLIN | POLLRDNORM : 0) | (p->writers ? 0 : POLLHUP);
	if (file_can_write(file))
		bits |= (RING_SIZE - (p->tail - p->head) >= ATOMIC_SIZE ? POLLOUT | POLLWRNORM : 0) |
			(p->readers ? 0 : POLLERR);
	return bits;
}

static int pipe_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	struct pipe *p = pipe_of(file);

	return request == 0x541b /* FIONREAD */ ? put_u32(arg, p->tail - p->head) : -ENOTTY;
}

static void pipe_release(struct open_file *file)
{
	struct pipe *p = pipe_of(file);

	p->readers -= file_can_read(file);
	p->writers -= file_can_write(file);
	changed(p);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl, .release = pipe_release,
};

static void pipe_destroy(struct inode *inode)
{
	struct pipe *p = inode->priv;

	if (!p)
		return;
	kmm_vfree(os.k, p->ring);
	os_free(p);
}

static const struct inode_ops pipe_inode_ops = { .open = pipe_open_fifo, .release = pipe_destroy };

static int make_pipe(struct inode *inode)
{
	struct pipe *p = os_zalloc(sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->ring = kmm_vmalloc(os.k, RING_SIZE, "pipe");
	if (!p->ring) {
		os_free(p);
		return -ENOMEM;
	}
	inode->priv = p;
	inode->ops = &pipe_inode_ops;
	return 0;
}

static void attach(struct open_file *file)
{
	struct pipe *p = pipe_of(file);

	file->ops = &pipe_ops;
	p->readers += file_can_read(file);
	p->writers += file_can_write(file);
	p->opens[0] += file_can_read(file);
	p->opens[1] += file_can_write(file);
	changed(p);
}

/* A FIFO opens when the other side is open too (fifo(7)). */
int pipe_open_fifo(struct inode *inode, struct open_file *file)
{
	bool reads = file_can_read(file), writes = file_can_write(file);
	int err = inode->priv ? 0 : make_pipe(inode);
	struct pipe *p = inode->priv;
	uint32_t *other, before;

	if (err)
		return err;
	if (writes && !reads && (file->flags & O_NONBLOCK) && !p->anonymous && !p->readers)
		return -ENXIO;
	attach(file);
	if ((file->flags & O_NONBLOCK) || p->anonymous)
		return 0;
	other = &p->opens[reads];
	before = *other;
	while (err == 0 && !(reads ? p->writers : p->readers) && *other == before)
		err = sched_sleep(p, true, 0);
	if (err)
		pipe_release(file);
	return err == -EINTR ? -ERESTARTSYS : err;
}

int pipe_create(struct open_file *ends[2], uint32_t flags)
{
	struct inode *inode = inode_new(S_IFIFO | 0600);
	int err = inode ? make_pipe(inode) : -ENOMEM;

	ends[0] = ends[1] = NULL;
	if (err == 0) {
		((struct pipe *)inode->priv)->anonymous = true;
		inode->nlink = 1;
		ends[0] = file_new(&pipe_ops, inode, O_RDONLY | flags);
		ends[1] = ends[0] ? file_new(&pipe_ops, inode, O_WRONLY | flags) : NULL;
		if (ends[1]) {
			attach(ends[0]);
			attach(ends[1]);
		} else {
			err = -ENOMEM;
		}
	}
	if (err && ends[0]) {
		ends[0]->ops = &directory_ops; /* not attached: nothing to release but the file itself */
		file_put(ends[0]);
	}
	inode_put(inode);
	return err;
}
