/* SPDX-License-Identifier: MIT */
/*
 * Starting QEMU and moving bytes until it ends. QEMU dies with us (PR_SET_PDEATHSIG), and we never wait for it longer
 * than the timeout. Files reach it as /dev/fd/N, so nothing is left on the disk.
 */
#include "guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

enum { CONSOLE, LOG, REPORT, COMPLAINT, NR_CHANNELS, EXEC_FAILED = 126, MAX_ARGS = 64, ARG_SIZE = 128 };

struct channels {
	int from[NR_CHANNELS]; /* we read; -1: ended */
	int to[NR_CHANNELS];   /* QEMU writes */
	int input[2];          /* QEMU reads [0], we write [1]; -1: closed */
};

/* ---- arguments ---- */

struct args {
	const char *arg[MAX_ARGS];
	char text[MAX_ARGS][ARG_SIZE];
	unsigned nr;
};

static void add(struct args *a, const char *arg)
{
	a->arg[a->nr++] = arg;
}

__attribute__((format(printf, 2, 3))) static void add_text(struct args *a, const char *format, ...)
{
	char *text = a->text[a->nr];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, ARG_SIZE, format, ap);
	va_end(ap);
	add(a, text);
}

static void add_machine(struct args *a, const struct guest *g)
{
	static const char *const fixed[] = {
		"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-machine", "pc,memory-backend=ram",
		"-device", "isa-debugcon,iobase=0xe9,chardev=log", "-device", "isa-debug-exit,iobase=0x501,iosize=2",
		"-chardev", "stdio,id=console,signal=off",
		/* the emulated line is as slow as a real one, unless its clock is faster */
		"-device", "isa-serial,index=0,chardev=console,baudbase=115200000", "-device",
		"isa-serial,index=1,chardev=report",
	};

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		add(a, fixed[i]);
	/* counted instructions are executed by one thread, in an order that repeats */
	add(a, "-accel");
	add(a, g->icount ? "tcg,thread=single" : "tcg,thread=multi");
	add(a, "-smp");
	add_text(a, "%u", g->cpus);
	add(a, "-cpu");
	add(a, g->cpu);
	/* reserve=off: a guest may have more RAM than the host, as long as it does not touch it */
	add(a, "-object");
	add_text(a, "memory-backend-ram,id=ram,reserve=off,size=%lluk", (unsigned long long)(g->ram_bytes >> 10));
	add(a, "-m");
	add_text(a, "%lluk", (unsigned long long)(g->ram_bytes >> 10));
	if (!g->icount)
		return;
	add(a, "-icount");
	add(a, "shift=0,align=off,sleep=off");
	add(a, "-rtc");
	add(a, "base=2020-01-01T00:00:00,clock=vm");
	add(a, "-seed");
	add(a, "1");
}

static void add_disk(struct args *a, int n, int fd)
{
	add(a, "-drive");
	add_text(a, "if=none,id=disk%d,format=raw,cache=unsafe,discard=unmap,file.locking=off,file.filename=/dev/fd/%d", n, fd);
	add(a, "-device");
	add_text(a, "virtio-blk-pci,drive=disk%d,disable-legacy=off,disable-modern=on", n);
}

static void add_files(struct args *a, const struct guest *g, const struct channels *c)
{
	add(a, "-chardev");
	add_text(a, "file,id=log,path=/dev/fd/%d", c->to[LOG]);
	add(a, "-chardev");
	add_text(a, "file,id=report,path=/dev/fd/%d", c->to[REPORT]);
	add(a, "-kernel");
	add(a, g->kernel);
	add(a, "-initrd");
	add_text(a, "/dev/fd/%d", g->initrd_fd);
	add(a, "-append");
	add(a, g->append);
	for (int i = 0; i < 1 + GUEST_FILE_DISKS; i++)
		if (g->disk_fd[i] >= 0)
			add_disk(a, i, g->disk_fd[i]);
}

/* ---- starting ---- */

static void make_channels(struct channels *c)
{
	int ends[2];

	for (int i = 0; i < NR_CHANNELS; i++) {
		if (pipe2(ends, O_CLOEXEC) != 0)
			fail("kmm run", EXIT_UNSUPPORTED, "no pipe: %s", strerror(errno));
		c->from[i] = ends[0];
		c->to[i] = ends[1];
	}
	if (pipe2(c->input, O_CLOEXEC) != 0)
		fail("kmm run", EXIT_UNSUPPORTED, "no pipe: %s", strerror(errno));
}

static void inherit(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

/* In the child. */
__attribute__((noreturn)) static void become_qemu(const struct args *a, const struct channels *c, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXEC_FAILED);
	setpgid(0, 0); /* ^C is ours */
	signal(SIGPIPE, SIG_DFL);
	dup2(c->input[0], STDIN_FILENO);
	dup2(c->to[CONSOLE], STDOUT_FILENO);
	dup2(c->to[COMPLAINT], STDERR_FILENO);
	inherit(c->to[LOG]);
	inherit(c->to[REPORT]);
	execvp(a->arg[0], (char *const *)a->arg);
	_exit(EXEC_FAILED);
}

static pid_t start(const struct guest *g, struct channels *c)
{
	struct args a = { .nr = 0 };
	pid_t parent = getpid(), pid;

	make_channels(c);
	add_machine(&a, g);
	add_files(&a, g, c);
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("kmm run", EXIT_UNSUPPORTED, "no process: %s", strerror(errno));
	if (pid == 0)
		become_qemu(&a, c, parent);
	for (int i = 0; i < NR_CHANNELS; i++)
		close(c->to[i]);
	close(c->input[0]);
	return pid;
}

/* ---- the terminal ---- */

static struct termios saved_termios;
static bool terminal_is_raw;

static void restore_terminal(void)
{
	if (terminal_is_raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved_termios);
	terminal_is_raw = false;
}

static void raw_terminal(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved_termios) != 0)
		return;
	raw = saved_termios;
	cfmakeraw(&raw);
	terminal_is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	atexit(restore_terminal);
}

/* ---- moving bytes ---- */

static void keep(struct buffer *b, const char *bytes, size_t len)
{
	if (b->used + len + 1 > b->room) {
		b->room = (b->used + len + 1) * 2;
		b->data = must_alloc(realloc(b->data, b->room));
	}
	memcpy(b->data + b->used, bytes, len);
	b->used += len;
	b->data[b->used] = 0;
}

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* One piece of a channel. false: it has ended. */
static bool receive(int fd, int channel, const struct guest *g, struct guest_result *out)
{
	char buf[65536];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return true;
	if (n <= 0)
		return false;
	switch (channel) {
	case CONSOLE:
		if (!write_all(STDOUT_FILENO, buf, (size_t)n))
			out->output_gone = true;
		break;
	case LOG:
		keep(&out->log, buf, (size_t)n);
		if (g->verbose)
			write_all(STDERR_FILENO, buf, (size_t)n);
		break;
	case REPORT: keep(&out->report, buf, (size_t)n); break;
	default: keep(&out->complaint, buf, (size_t)n); break;
	}
	return true;
}

/* A serial line has no end of file: ff 00 stands for it, ff ff for a byte ff. */
static size_t mark(char *to, const char *from, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		to[n++] = from[i];
		if (from[i] == '\xff')
			to[n++] = '\xff';
	}
	return n;
}

/* Our stdin to QEMU's. false: nothing more will come. */
static bool send_input(const struct guest *g, int to, struct guest_result *out)
{
	char buf[2048], marked[4096];
	ssize_t n = read(STDIN_FILENO, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return true;
	if (g->input == GUEST_INPUT_TERMINAL) {
		out->quit = n > 0 && memchr(buf, GUEST_QUIT_KEY, (size_t)n);
		return n > 0 && write_all(to, buf, (size_t)n);
	}
	if (n <= 0) {
		write_all(to, "\xff\0", 2);
		return false;
	}
	return write_all(to, marked, mark(marked, buf, (size_t)n));
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The pipe to QEMU must not be full when we write: QEMU drains it only as fast as the guest reads. */
static void poll_set(struct pollfd set[NR_CHANNELS + 1], const struct channels *c, bool want_input, bool can_write)
{
	for (int i = 0; i < NR_CHANNELS; i++)
		set[i] = (struct pollfd){ c->from[i], POLLIN, 0 };
	/* a byte that arrives before the kernel has set up the line is lost; its first word says that it has */
	set[NR_CHANNELS] = (struct pollfd){ want_input ? (can_write ? STDIN_FILENO : c->input[1]) : -1,
					    can_write ? POLLIN : POLLOUT, 0 };
}

static bool any_open(const struct channels *c)
{
	for (int i = 0; i < NR_CHANNELS; i++)
		if (c->from[i] >= 0)
			return true;
	return false;
}

/* Until all channels have ended, or the time is up, or nobody reads our output. */
static void pump(const struct guest *g, struct channels *c, struct guest_result *out)
{
	int64_t end = g->timeout_s ? now_ms() + (int64_t)g->timeout_s * 1000 : INT64_MAX;
	bool want_input = g->input != GUEST_INPUT_NONE, can_write = false;

	while (any_open(c) && !out->output_gone && !out->quit) {
		struct pollfd set[NR_CHANNELS + 1];
		int64_t left = end - now_ms();

		if (left <= 0) {
			out->timed_out = true;
			return;
		}
		poll_set(set, c, want_input && out->log.used, can_write);
		if (poll(set, NR_CHANNELS + 1, left < 60000 ? (int)left : 60000) < 0)
			continue;
		for (int i = 0; i < NR_CHANNELS; i++) {
			if (set[i].revents && !receive(c->from[i], i, g, out)) {
				close(c->from[i]);
				c->from[i] = -1;
			}
		}
		if (!set[NR_CHANNELS].revents)
			continue;
		if (!can_write)
			can_write = true;
		else
			want_input = send_input(g, c->input[1], out), can_write = false;
	}
}

void guest_run(const struct guest *g, struct guest_result *out)
{
	struct channels c;
	pid_t pid;

	*out = (struct guest_result){ .status = 0 };
	signal(SIGPIPE, SIG_IGN);
	pid = start(g, &c);
	if (g->input == GUEST_INPUT_TERMINAL)
		raw_terminal();
	pump(g, &c, out);
	restore_terminal();
	if (out->timed_out || out->output_gone || out->quit)
		kill(pid, SIGKILL);
	while (waitpid(pid, &out->status, 0) < 0 && errno == EINTR)
		;
	out->exec_failed = WIFEXITED(out->status) && WEXITSTATUS(out->status) == EXEC_FAILED;
	for (int i = 0; i < NR_CHANNELS; i++)
		if (c.from[i] >= 0)
			close(c.from[i]);
	close(c.input[1]);
}

void guest_result_free(struct guest_result *r)
{
	free(r->log.data);
	free(r->report.data);
	free(r->complaint.data);
}
