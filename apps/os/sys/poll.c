/* SPDX-License-Identifier: MIT */
/*
 * poll.c - waiting for one of several files: look at all, sleep until any file anywhere changes, look again.
 * select is the same question in bit sets.
 */
#include "sig/sig.h"
#include "sys/sys.h"

enum { MAX_POLL = 4096, MAX_SELECT = 1024, SET_WORDS = MAX_SELECT / 32 };

struct pollfd32 {
	int32_t fd;
	int16_t events, revents;
};

static int16_t look(int32_t fd, int16_t events)
{
	struct open_file *file = fd_get(current->proc->fds, (uint32_t)fd);
	int16_t now = POLLNVAL;

	if (file)
		now = (int16_t)(file_poll(file) & (unsigned)(events | POLLERR | POLLHUP));
	file_put(file);
	return now;
}

struct polled {
	struct pollfd32 *fds;
	uint32_t nr;
};

static sword poll_once(void *arg)
{
	struct polled *p = arg;
	int32_t ready = 0;

	for (uint32_t i = 0; i < p->nr; i++) {
		p->fds[i].revents = p->fds[i].fd < 0 ? 0 : look(p->fds[i].fd, p->fds[i].events);
		ready += p->fds[i].revents != 0;
	}
	return ready;
}

/* Restarted after a signal only if no handler ran: signal(7). */
static sword restartable(sword result) { return result == -EINTR ? -ERESTARTNOHAND : result; }

static sword poll_user(uword at, uint32_t n, uint64_t deadline)
{
	struct pollfd32 *fds;
	int32_t ready;

	if (n > MAX_POLL)
		return -EINVAL;
	fds = os_alloc(n ? n * sizeof(*fds) : 1);
	if (!fds)
		return -ENOMEM;
	ready = copy_in(fds, at, n * sizeof(*fds));
	if (ready == 0)
		ready = restartable(poll_until(poll_once, &(struct polled){ fds, n }, deadline));
	if (ready >= 0 && copy_out(at, fds, n * sizeof(*fds)) != 0)
		ready = -EFAULT;
	os_free(fds);
	return ready;
}

sword sys_poll(const uword *a)
{
	int32_t ms = (int32_t)a[2];

	return poll_user(a[0], a[1], ms < 0 ? 0 : os_now() + (uint64_t)ms * 1000000);
}

int set_temporary_mask(uword at)
{
	sigset mask;

	if (!at)
		return 0;
	if (copy_in(&mask, at, sizeof(mask)) != 0)
		return -EFAULT;
	current->saved_blocked = current->blocked;
	current->restore_blocked = true;
	sig_set_blocked(mask);
	return 0;
}

sword finish_mask(int32_t result)
{
	if (current->restore_blocked && result != -ERESTARTNOHAND && result != -EINTR) {
		current->restore_blocked = false;
		sig_set_blocked(current->saved_blocked);
	}
	return result;
}

static sword ppoll(const uword *a, bool is64)
{
	uint64_t deadline;
	int32_t err = user_deadline(a[2], is64, &deadline);

	if (err == 0)
		err = set_temporary_mask(a[3]);
	return err ? err : finish_mask(poll_user(a[0], a[1], deadline));
}

sword sys_ppoll(const uword *a)
{
	return ppoll(a, false);
}

sword sys_ppoll_time64(const uword *a)
{
	return ppoll(a, true);
}

/* ---- select ---- */

struct fd_sets {
	uint32_t nr;                                  /* descriptors asked about */
	uint32_t in[3][SET_WORDS], out[3][SET_WORDS]; /* readable, writable, exceptional */
};

static const int16_t set_events[3] = { POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, 0 };

static sword select_once(void *arg)
{
	struct fd_sets *s = arg;
	int32_t ready = 0;

	memset(s->out, 0, sizeof(s->out));
	for (uint32_t fd = 0; fd < s->nr; fd++) {
		for (int set = 0; set < 3; set++) {
			uint32_t bit = 1u << fd % 32;
			int16_t now;

			if (!(s->in[set][fd / 32] & bit))
				continue;
			now = look((int32_t)fd, set_events[set]);
			if (now & POLLNVAL)
				return -EBADF;
			if (now & set_events[set]) {
				s->out[set][fd / 32] |= bit;
				ready++;
			}
		}
	}
	return ready;
}

static sword select_user(uint32_t n, const uword sets[3], uint64_t deadline)
{
	uint32_t bytes = abi_64() ? (n + 63) / 64 * 8 : (n + 31) / 32 * 4;
	struct fd_sets *s;
	int32_t ready = 0;

	if (n > MAX_SELECT)
		return -EINVAL;
	s = os_zalloc(sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->nr = n;
	for (int i = 0; i < 3 && ready == 0; i++)
		ready = sets[i] ? copy_in(s->in[i], sets[i], bytes) : 0;
	if (ready == 0)
		ready = restartable(poll_until(select_once, s, deadline));
	for (int i = 0; i < 3 && ready >= 0; i++)
		if (sets[i] && copy_out(sets[i], s->out[i], bytes) != 0)
			ready = -EFAULT;
	os_free(s);
	return ready;
}

sword sys_select(const uword *a)
{
	uint64_t deadline = 0;
	uword tv[2];

	if (a[4]) {
		if (get_words(tv, a[4], 2) != 0)
			return -EFAULT;
		if (signed_word(tv[0]) < 0 || signed_word(tv[1]) < 0)
			return -EINVAL;
		deadline = os_now() + (uint64_t)(uint32_t)tv[0] * 1000000000 + (uint64_t)tv[1] * 1000;
	}
	return select_user(a[0], a + 1, deadline);
}

sword sys_old_select(const uword *a)
{
	uword args[5];

	return get_words(args, a[0], 5) != 0 ? -EFAULT : sys_select(args);
}

static sword pselect(const uword *a, bool is64)
{
	uword mask[2] = { 0, 0 }; /* pointer and size */
	uint64_t deadline;
	int32_t err = user_deadline(a[4], is64, &deadline);

	if (err == 0 && a[5])
		err = get_words(mask, a[5], 2);
	if (err == 0)
		err = set_temporary_mask(mask[0]);
	return err ? err : finish_mask(select_user(a[0], a + 1, deadline));
}

sword sys_pselect6(const uword *a)
{
	return pselect(a, false);
}

sword sys_pselect6_time64(const uword *a)
{
	return pselect(a, true);
}
