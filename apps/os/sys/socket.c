/* SPDX-License-Identifier: MIT */
/*
 * socket.c - the calls of sockets. There is no network and nobody to connect to: socket() knows no family, as on a kernel
 * built without any; what there is are connected local pairs, with data and without descriptors in their messages.
 */
#include "fs/socket.h"
#include "sys/sys.h"

enum { AF_UNIX = 1, SOCK_TYPE = 0xf, MSG_PEEK = 2, MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000, MSG_CMSG_CLOEXEC = 0x40000000 };
enum { MAX_PIECES = 16 };

sword sys_socket(const uword *a)
{
	(void)a;
	return -EAFNOSUPPORT;
}

static int install_pair(struct open_file *ends[2], uint32_t flags, uword to)
{
	struct fd_table *table = current->proc->fds;
	uint32_t limit = (uint32_t)current->proc->rlimit[RLIMIT_NOFILE].soft;
	int fd[2] = { -EMFILE, -EMFILE }, err = 0;

	for (int i = 0; i < 2 && err == 0; i++) {
		fd[i] = fd_install(table, ends[i], 0, limit, flags & O_CLOEXEC);
		err = fd[i] < 0 ? fd[i] : 0;
	}
	if (err == 0)
		err = copy_out(to, fd, sizeof(fd));
	for (int i = 0; i < 2 && err; i++) {
		if (fd[i] >= 0)
			fd_close(table, (uint32_t)fd[i]);
		else
			file_put(ends[i]);
	}
	return err;
}

sword sys_socketpair(const uword *a)
{
	uint32_t type = (uint32_t)a[1] & SOCK_TYPE, flags = (uint32_t)a[1] & ~(uint32_t)SOCK_TYPE;
	struct open_file *ends[2];
	int err;

	if (flags & ~(uint32_t)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (a[0] != AF_UNIX)
		return -EAFNOSUPPORT;
	if (a[2] > AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	err = socket_pair(type, flags & O_NONBLOCK, ends);
	return err ? err : install_pair(ends, flags, a[3]);
}

static int socket_arg(uword fd, struct open_file **out)
{
	*out = file_arg((uint32_t)fd);
	if (!*out)
		return -EBADF;
	return is_socket(*out) ? 0 : -ENOTSOCK;
}

/* ---- data ---- */

/* What a call moves: user memory in pieces, through one buffer. */
struct transfer {
	struct open_file *file;
	uword piece[MAX_PIECES][2]; /* address, length */
	unsigned nr;
	uint32_t flags, total;
};

static int add_piece(struct transfer *t, uword at, uword len)
{
	if (t->nr == MAX_PIECES)
		return -EMSGSIZE;
	t->piece[t->nr][0] = at;
	t->piece[t->nr++][1] = len = min_word(len, MAX_MESSAGE - t->total);
	t->total += (uint32_t)len;
	return 0;
}

static bool nonblock(const struct transfer *t)
{
	return (t->flags & MSG_DONTWAIT) || (t->file->flags & O_NONBLOCK);
}

static int move_pieces(const struct transfer *t, char *buf, uint32_t len, bool in)
{
	for (unsigned i = 0; i < t->nr && len; i++) {
		uint32_t n = (uint32_t)min_word(len, t->piece[i][1]);

		if ((in ? copy_in(buf, t->piece[i][0], n) : copy_out(t->piece[i][0], buf, n)) != 0)
			return -EFAULT;
		buf += n;
		len -= n;
	}
	return 0;
}

static sword run_transfer(struct transfer *t, bool send)
{
	const uint32_t known = MSG_DONTWAIT | MSG_NOSIGNAL | (send ? 0 : MSG_PEEK | MSG_CMSG_CLOEXEC);
	char *buf;
	int n;

	if (t->flags & ~known)
		return -EOPNOTSUPP;
	buf = os_alloc(t->total ? t->total : 1);
	if (!buf)
		return -ENOMEM;
	if (send) {
		n = move_pieces(t, buf, t->total, true);
		if (n == 0)
			n = socket_send(t->file, buf, t->total, nonblock(t), !(t->flags & MSG_NOSIGNAL));
	} else {
		n = socket_receive(t->file, buf, t->total, nonblock(t), t->flags & MSG_PEEK);
		if (n > 0 && move_pieces(t, buf, (uint32_t)n, false) != 0)
			n = -EFAULT;
	}
	os_free(buf);
	return n;
}

sword sys_sendto(const uword *a)
{
	struct transfer t = { .flags = (uint32_t)a[3] };
	int err = socket_arg(a[0], &t.file);

	if (err == 0 && a[4])
		err = -EISCONN; /* pairs are connected: there is nobody else */
	if (err == 0)
		err = add_piece(&t, a[1], a[2]);
	return err ? err : run_transfer(&t, true);
}

sword sys_recvfrom(const uword *a)
{
	struct transfer t = { .flags = (uint32_t)a[3] };
	int err = socket_arg(a[0], &t.file);
	sword n;

	if (err == 0)
		err = add_piece(&t, a[1], a[2]);
	if (err)
		return err;
	n = run_transfer(&t, false);
	if (n >= 0 && a[4] && a[5] && put_u32(a[5], 0) != 0) /* the other end has no name */
		return -EFAULT;
	return n;
}

/* struct msghdr: name, its size, pieces, their number, control data, its size, flags. */
enum { NAME, NAME_SIZE_WORD, PIECES, NR_PIECES, CONTROL, CONTROL_SIZE, FLAGS, HDR_WORDS };

static int get_pieces(struct transfer *t, uword at, uword nr)
{
	int err = nr > MAX_PIECES ? -EMSGSIZE : 0;

	for (uword i = 0; err == 0 && i < nr; i++) {
		uword v[2];

		err = get_words(v, at + i * (abi_64() ? 16 : 8), 2) != 0 ? -EFAULT : add_piece(t, v[0], v[1]);
	}
	return err;
}

static int get_message(const uword *a, struct transfer *t, uword header[HDR_WORDS])
{
	int err = socket_arg(a[0], &t->file);

	t->flags = (uint32_t)a[2];
	if (err == 0 && get_words(header, a[1], HDR_WORDS) != 0)
		err = -EFAULT;
	return err ? err : get_pieces(t, header[PIECES], header[NR_PIECES]);
}

sword socket_vector(struct open_file *file, uword pieces, uword nr, bool write)
{
	struct transfer t = { .file = file };
	sword n = get_pieces(&t, pieces, nr);

	if (n)
		return n;
	kernel_lock();
	n = run_transfer(&t, write);
	kernel_unlock();
	return n;
}

sword sys_sendmsg(const uword *a)
{
	struct transfer t = { .nr = 0 };
	uword header[HDR_WORDS];
	int err = get_message(a, &t, header);

	if (err == 0 && (uint32_t)header[NAME_SIZE_WORD])
		err = -EISCONN;
	if (err == 0 && header[CONTROL_SIZE])
		err = -EINVAL; /* descriptors and credentials are not passed */
	return err ? err : run_transfer(&t, true);
}

sword sys_recvmsg(const uword *a)
{
	struct transfer t = { .nr = 0 };
	uword header[HDR_WORDS];
	int err = get_message(a, &t, header);
	sword n = err ? err : run_transfer(&t, false);

	if (n < 0)
		return n;
	header[NAME_SIZE_WORD] = header[CONTROL_SIZE] = header[FLAGS] = 0;
	return put_words(a[1], header, HDR_WORDS) != 0 ? -EFAULT : n;
}

/* ---- the rest ---- */

sword sys_shutdown(const uword *a)
{
	struct open_file *file;
	int err = socket_arg(a[0], &file);

	if (err)
		return err;
	if (a[1] > 2)
		return -EINVAL;
	socket_shutdown(file, a[1] != 1, a[1] != 0);
	return 0;
}

sword sys_getsockopt(const uword *a)
{
	enum { SOL_SOCKET = 1, SO_TYPE = 3, SO_ERROR = 4, SO_DOMAIN = 39 };
	struct open_file *file;
	uint32_t size, value;
	int err = socket_arg(a[0], &file);

	if (err)
		return err;
	if (a[1] != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (copy_in(&size, a[4], sizeof(size)) != 0)
		return -EFAULT;
	switch (a[2]) {
	case SO_TYPE: value = socket_type(file); break;
	case SO_ERROR: value = 0; break;
	case SO_DOMAIN: value = AF_UNIX; break;
	default: return -ENOPROTOOPT;
	}
	if ((int32_t)size < 0)
		return -EINVAL;
	size = min_u32(size, sizeof(value));
	return copy_out(a[3], &value, size) != 0 || put_u32(a[4], size) != 0 ? -EFAULT : 0;
}

/* The one call of i386 before each had its own: its number and the address of its arguments. */
sword sys_socketcall(const uword *a)
{
	static const struct {
		sword (*run)(const uword *a);
		unsigned words;
	} call[] = {
		[1] = { sys_socket, 3 }, [8] = { sys_socketpair, 4 }, [9] = { sys_sendto, 4 }, [10] = { sys_recvfrom, 4 },
		[11] = { sys_sendto, 6 }, [12] = { sys_recvfrom, 6 }, [13] = { sys_shutdown, 2 }, [15] = { sys_getsockopt, 5 },
		[16] = { sys_sendmsg, 3 }, [17] = { sys_recvmsg, 3 },
	};
	uword args[6] = { 0 };

	if (a[0] < 1 || a[0] > 20)
		return -EINVAL;
	if (a[0] >= ARRAY_LEN(call) || !call[a[0]].run)
		return -EOPNOTSUPP;
	if (get_words(args, a[1], call[a[0]].words) != 0)
		return -EFAULT;
	return call[a[0]].run(args);
}
