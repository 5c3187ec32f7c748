/* SPDX-License-Identifier: MIT */
/*
 * socket.c - socketpair(2): two ends, each with a ring of bytes on their way to it. Streams are bytes; datagrams and
 * sequenced packets have their length in front, are put and taken whole, and what does not fit the reader's buffer is lost.
 *
 * Both ends live in one piece of memory, which goes with the second of them. There are no addresses, no listening sockets
 * and no passing of descriptors: sockets to anybody else are refused where they are made (sys/socket.c). Under the kernel
 * lock, as files are without locks of their own.
 */
#include "fs/socket.h"
#include "kmm/vmalloc.h"
#include "proc/task.h"
#include "sig/sig.h"

enum { RING_SIZE = 1 << 16, PIECE = 4096, HEAD = sizeof(uint32_t) };

struct pair;
struct end {
	struct pair *pair;
	uint8_t *ring;       /* to be read here */
	uint32_t head, tail; /* next to read, next free; both only grow */
	bool read_shut, write_shut, closed;
};
struct pair {
	struct end end[2];
	uint32_t type;
};

static struct end *end_of(const struct open_file *file)
{
	return file->priv;
}

static struct end *other(const struct end *e)
{
	return &e->pair->end[e == &e->pair->end[0]];
}

static void changed(struct pair *p)
{
	sched_wake(p);
	poll_changed();
}

/* ---- the ring ---- */

static void copy(struct end *e, uint32_t at, void *bytes, uint32_t n, bool out)
{
	uint32_t start = at % RING_SIZE, first = min_u32(n, RING_SIZE - start);

	if (out) {
		memcpy(bytes, e->ring + start, first);
		memcpy((char *)bytes + first, e->ring, n - first);
	} else {
		memcpy(e->ring + start, bytes, first);
		memcpy(e->ring, (char *)bytes + first, n - first);
	}
}

static uint32_t filled(const struct end *e)
{
	return e->tail - e->head;
}

static void put(struct end *e, const void *bytes, uint32_t n)
{
	copy(e, e->tail, (void *)(uintptr_t)bytes, n, false);
	e->tail += n;
}

static int take_stream(struct end *e, void *to, size_t len, bool peek)
{
	uint32_t n = (uint32_t)min_word(len, filled(e));

	copy(e, e->head, to, n, true);
	e->head += peek ? 0 : n;
	return (int)n;
}

static int take_message(struct end *e, void *to, size_t len, bool peek)
{
	uint32_t size, n;

	copy(e, e->head, &size, HEAD, true);
	n = (uint32_t)min_word(len, size);
	copy(e, e->head + HEAD, to, n, true);
	e->head += peek ? 0 : HEAD + size;
	return (int)n;
}

/* ---- both ways ---- */

static int wait(struct pair *p, bool nonblock)
{
	int err = nonblock ? -EAGAIN : sched_sleep(p, true, 0);

	return err == -EINTR ? -ERESTARTSYS : err;
}

/* Datagrams come from anybody: that one sender is gone ends nothing. */
static bool at_end(const struct end *e)
{
	if (e->pair->type == SOCK_DGRAM)
		return e->read_shut;
	return e->read_shut || other(e)->closed || other(e)->write_shut;
}

int socket_receive(struct open_file *file, void *to, size_t len, bool nonblock, bool peek)
{
	struct end *e = end_of(file);
	int n;

	while (filled(e) == 0) {
		int err = at_end(e) ? 0 : wait(e->pair, nonblock);

		if (err)
			return err;
		if (at_end(e) && filled(e) == 0)
			return 0;
	}
	n = e->pair->type == SOCK_STREAM ? take_stream(e, to, len, peek) : take_message(e, to, len, peek);
	changed(e->pair);
	return n;
}

static bool broken(const struct end *e)
{
	return e->write_shut || other(e)->closed || other(e)->read_shut;
}

/* Waits for room for `want` bytes at the other end. */
static int wait_for_room(struct end *e, uint32_t want, bool nonblock)
{
	while (!broken(e) && RING_SIZE - filled(other(e)) < want) {
		int err = wait(e->pair, nonblock);

		if (err)
			return err;
	}
	return broken(e) ? -EPIPE : 0;
}

static int send_message(struct end *e, const void *from, uint32_t len, bool nonblock)
{
	int err = wait_for_room(e, HEAD + len, nonblock);

	if (err)
		return err;
	put(other(e), &len, HEAD);
	put(other(e), from, len);
	changed(e->pair);
	return (int)len;
}

static int send_stream(struct end *e, const char *from, uint32_t len, bool nonblock)
{
	uint32_t done = 0;

	while (done < len) {
		int err = wait_for_room(e, 1, nonblock);
		uint32_t n;

		if (err)
			return done ? (int)done : err;
		n = min_u32(len - done, RING_SIZE - filled(other(e)));
		put(other(e), from + done, n);
		done += n;
		changed(e->pair);
	}
	return (int)done;
}

int socket_send(struct open_file *file, const void *from, size_t len, bool nonblock, bool signal)
{
	struct end *e = end_of(file);
	int n;

	if (e->pair->type != SOCK_STREAM && len > RING_SIZE - HEAD)
		return -EMSGSIZE;
	n = e->pair->type == SOCK_STREAM ? send_stream(e, from, (uint32_t)len, nonblock)
					 : send_message(e, from, (uint32_t)len, nonblock);
	if (n == -EPIPE && signal && e->pair->type != SOCK_DGRAM)
		sig_send_task(current, SIGPIPE, SI_USER);
	return n == -EPIPE && e->pair->type == SOCK_DGRAM && !e->write_shut ? -ECONNREFUSED : n;
}

void socket_shutdown(struct open_file *file, bool reading, bool writing)
{
	struct end *e = end_of(file);

	e->read_shut |= reading;
	e->write_shut |= writing;
	changed(e->pair);
}

/* ---- as a file ---- */

static int end_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	(void)pos;
	return socket_receive(file, to, len, nonblock, false);
}

static int end_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	(void)pos;
	return socket_send(file, from, len, nonblock, true);
}

static unsigned end_poll(struct open_file *file)
{
	enum { POLLRDHUP = 0x2000 };
	const struct end *e = end_of(file);
	unsigned bits = filled(e) || at_end(e) ? POLLIN | POLLRDNORM : 0;

	bits |= at_end(e) ? POLLRDHUP : 0;
	bits |= other(e)->closed || (e->read_shut && e->write_shut) || (at_end(e) && e->write_shut) ? POLLHUP : 0;
	return bits | (broken(e) || RING_SIZE - filled(other(e)) >= PIECE ? POLLOUT | POLLWRNORM : 0);
}

static int end_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	return request == 0x541b /* FIONREAD */ ? put_u32(arg, filled(end_of(file))) : -ENOTTY;
}

static void free_pair(struct pair *p)
{
	kmm_vfree(os.k, p->end[0].ring);
	kmm_vfree(os.k, p->end[1].ring);
	os_free(p);
}

static void end_release(struct open_file *file)
{
	struct end *e = end_of(file);
	bool last;

	kernel_lock();
	e->closed = true;
	last = other(e)->closed;
	if (!last)
		changed(e->pair);
	kernel_unlock();
	if (last)
		free_pair(e->pair);
}

static const struct file_ops end_ops = {
	.read = end_read, .write = end_write, .poll = end_poll, .ioctl = end_ioctl, .release = end_release, .message = true,
};

bool is_socket(const struct open_file *file)
{
	return file->ops == &end_ops;
}

uint32_t socket_type(const struct open_file *file)
{
	return end_of(file)->pair->type;
}

static struct pair *new_pair(uint32_t type)
{
	struct pair *p = os_zalloc(sizeof(*p));

	if (!p)
		return NULL;
	p->type = type;
	for (int i = 0; i < 2; i++) {
		p->end[i].pair = p;
		p->end[i].ring = kmm_vmalloc(os.k, RING_SIZE, "socket");
	}
	if (p->end[0].ring && p->end[1].ring)
		return p;
	free_pair(p);
	return NULL;
}

static struct open_file *open_end(struct end *e, uint32_t flags)
{
	struct inode *inode = inode_new(S_IFSOCK | 0777);
	struct open_file *file = inode ? file_new(&end_ops, inode, O_RDWR | flags) : NULL;

	if (inode)
		inode->nlink = 1;
	inode_put(inode);
	if (file)
		file->priv = e;
	else
		e->closed = true;
	return file;
}

int socket_pair(uint32_t type, uint32_t flags, struct open_file *ends[2])
{
	struct pair *p = new_pair(type);

	if (!p)
		return -ENOMEM;
	ends[0] = open_end(&p->end[0], flags);
	ends[1] = open_end(&p->end[1], flags);
	if (ends[0] && ends[1])
		return 0;
	if (!ends[0] && !ends[1])
		free_pair(p);
	file_put(ends[0]);
	file_put(ends[1]);
	return -ENOMEM;
}
