/* SPDX-License-Identifier: MIT */
/*
 * pipe.c - pipes and named FIFOs: a ring of 64 KiB in vmalloc memory, so its frames come from high memory where
 * there is some. A write of up to PIPE_BUF bytes is never split; readers and writers sleep on the ring.
 *
 * A reader's bytes leave the ring only when they have arrived at the program (pipe_arrived()): what cannot be delivered is
 * there for the next read. Until then other readers wait.
 *
 * The pipe's lock protects all of it. Sleepers look without it, by words that are read and written whole, and take it to be sure.
 */
#include "fs/vfs.h"
#include "kmm/vmalloc.h"
#include "proc/task.h"
#include "sig/sig.h"

enum { RING_SIZE = 65536, ATOMIC_SIZE = 4096 };

struct pipe {
	struct spin lock;    /* SPIN_PIPE */
	uint8_t *ring;
	uint32_t head, tail; /* next to read, next free; both only grow */
	uint32_t readers, writers;
	uint32_t opens[2];   /* for reading, for writing, ever: somebody may come and go while we sleep */
	bool reading;        /* bytes from head on are on their way to a reader */
	bool anonymous;      /* made by pipe(): opening it again, by /proc/PID/fd, waits for nobody */
};

static struct pipe *pipe_of(const struct open_file *file)
{
	return file->inode->priv;
}

static void changed(struct pipe *p)
{
	sched_wake(p);
	poll_changed();
}

static uint32_t word(const uint32_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static void set(uint32_t *at, uint32_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELEASE);
}

static uint32_t filled(const struct pipe *p)
{
	return word(&p->tail) - word(&p->head);
}

/* No locks held. */
static int wait_for(struct pipe *p, bool (*done)(void *arg), void *arg, bool interruptible)
{
	const struct sleep s = { .key = p, .interruptible = interruptible, .done = done, .arg = arg };
	int why = sched_sleep_on(&s);

	return why == SLEEP_DONE ? 0 : why;
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

/* ---- reading ---- */

static bool has_something(void *arg)
{
	struct pipe *p = arg;

	return !__atomic_load_n(&p->reading, __ATOMIC_ACQUIRE) && (filled(p) || !word(&p->writers));
}

static bool is_let_go(void *arg)
{
	return !__atomic_load_n(&((struct pipe *)arg)->reading, __ATOMIC_ACQUIRE);
}

/* Bytes for this reader, who is the only one from then on; 0: the end; -EAGAIN: nothing, or another one reads. */
static int take(struct pipe *p, void *to, size_t len)
{
	uint32_t n;

	spin_lock(&p->lock);
	n = min_u32((uint32_t)len, filled(p));
	if (p->reading || (!n && p->writers && len)) {
		spin_unlock(&p->lock);
		return -EAGAIN;
	}
	copy_ring(p, p->head, to, n, true);
	p->reading = n != 0;
	spin_unlock(&p->lock);
	return (int)n;
}

static int pipe_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	struct pipe *p = pipe_of(file);
	int n, err = 0;

	(void)pos;
	while ((n = take(p, to, len)) == -EAGAIN) {
		if (nonblock && !filled(p) && word(&p->writers))
			return -EAGAIN;
		err = nonblock ? wait_for(p, is_let_go, p, false) : wait_for(p, has_something, p, true);
		if (err)
			return err == -EINTR ? -ERESTARTSYS : err;
	}
	return n;
}

static void pipe_arrived(struct open_file *file, size_t len)
{
	struct pipe *p = pipe_of(file);

	spin_lock(&p->lock);
	set(&p->head, p->head + (uint32_t)len);
	__atomic_store_n(&p->reading, false, __ATOMIC_RELEASE);
	spin_unlock(&p->lock);
	changed(p);
}

/* ---- writing ---- */

static int broken_pipe(void)
{
	kernel_lock();
	sig_send_task(current, SIGPIPE, SI_USER);
	kernel_unlock();
	return -EPIPE;
}

struct writer {
	struct pipe *pipe;
	uint32_t want;
};

static bool has_room_for(void *arg)
{
	struct writer *w = arg;

	return RING_SIZE - filled(w->pipe) >= w->want || !word(&w->pipe->readers);
}

/* Bytes written; 0: no room; -EPIPE: nobody reads. */
static int give(struct pipe *p, const char *from, size_t len, uint32_t want)
{
	uint32_t room;
	int n = -EPIPE;

	spin_lock(&p->lock);
	room = RING_SIZE - filled(p);
	if (p->readers)
		n = room < want ? 0 : (int)min_u32(room, (uint32_t)len);
	if (n > 0) {
		copy_ring(p, p->tail, (char *)from, (uint32_t)n, false);
		set(&p->tail, p->tail + (uint32_t)n);
	}
	spin_unlock(&p->lock);
	return n;
}

static int pipe_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	struct pipe *p = pipe_of(file);
	struct writer w = { p, len <= ATOMIC_SIZE ? (uint32_t)len : 1 };
	uint32_t done = 0;
	int err = 0;

	(void)pos;
	while (done < len && err == 0) {
		int n = give(p, (const char *)from + done, len - done, w.want);

		if (n < 0)
			return done ? (int)done : broken_pipe();
		done += (uint32_t)n;
		if (n)
			changed(p);
		else
			err = nonblock ? -EAGAIN : wait_for(p, has_room_for, &w, true);
	}
	if (done == 0 && err)
		return err == -EINTR ? -ERESTARTSYS : err;
	return (int)done;
}

/* ---- the rest ---- */

static unsigned pipe_poll(struct open_file *file)
{
	struct pipe *p = pipe_of(file);
	uint32_t n = filled(p);
	unsigned bits = 0;

	if (file_can_read(file))
		bits |= (n ? POLLIN | POLLRDNORM : 0) | (word(&p->writers) ? 0 : POLLHUP);
	if (file_can_write(file))
		bits |= (RING_SIZE - n >= ATOMIC_SIZE ? POLLOUT | POLLWRNORM : 0) | (word(&p->readers) ? 0 : POLLERR);
	return bits;
}

static int pipe_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	struct pipe *p = pipe_of(file);

	return request == 0x541b /* FIONREAD */ ? put_u32(arg, filled(p)) : -ENOTTY;
}

static void pipe_release(struct open_file *file)
{
	struct pipe *p = pipe_of(file);

	spin_lock(&p->lock);
	set(&p->readers, p->readers - file_can_read(file));
	set(&p->writers, p->writers - file_can_write(file));
	spin_unlock(&p->lock);
	changed(p);
}

static const struct file_ops pipe_ops = {
	.read = pipe_read, .arrived = pipe_arrived, .write = pipe_write, .poll = pipe_poll, .ioctl = pipe_ioctl,
	.release = pipe_release, .own_locks = true,
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
	p->lock.class = SPIN_PIPE;
	p->ring = kmm_vmalloc(os.k, RING_SIZE, "pipe");
	if (!p->ring) {
		os_free(p);
		return -ENOMEM;
	}
	if (inode->priv) { /* another one opened it while we slept for memory */
		kmm_vfree(os.k, p->ring);
		os_free(p);
		return 0;
	}
	inode->priv = p;
	inode->ops = &pipe_inode_ops;
	return 0;
}

static void attach(struct open_file *file)
{
	struct pipe *p = pipe_of(file);

	file->ops = &pipe_ops;
	spin_lock(&p->lock);
	set(&p->readers, p->readers + file_can_read(file));
	set(&p->writers, p->writers + file_can_write(file));
	set(&p->opens[0], p->opens[0] + file_can_read(file));
	set(&p->opens[1], p->opens[1] + file_can_write(file));
	spin_unlock(&p->lock);
	changed(p);
}

/* Who opens one side waits for the other. */
struct opener {
	const uint32_t *there, *opens;
	uint32_t before;
};

static bool other_side_came(void *arg)
{
	const struct opener *o = arg;

	return word(o->there) || word(o->opens) != o->before;
}

/* A FIFO opens when the other side is open too (fifo(7)). The kernel lock keeps two from making the pipe at once. */
int pipe_open_fifo(struct inode *inode, struct open_file *file)
{
	bool reads = file_can_read(file), writes = file_can_write(file);
	int err = inode->priv ? 0 : make_pipe(inode);
	struct opener o;
	struct pipe *p;

	if (err)
		return err;
	p = inode->priv;
	if (writes && !reads && (file->flags & O_NONBLOCK) && !p->anonymous && !p->readers)
		return -ENXIO;
	attach(file);
	if ((file->flags & O_NONBLOCK) || p->anonymous)
		return 0;
	o = (struct opener){ reads ? &p->writers : &p->readers, &p->opens[reads], word(&p->opens[reads]) };
	while (err == 0 && !other_side_came(&o))
		err = wait_for(p, other_side_came, &o, true);
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
