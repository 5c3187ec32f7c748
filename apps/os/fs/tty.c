/* SPDX-License-Identifier: MIT */
/*
 * tty.c - the console as programs see it, in one of two forms chosen at boot:
 *
 *   terminal  (tty=1) lines are edited and echoed, ^C and friends send signals, "\n" leaves as "\r\n".
 *   stream    (default) bytes pass as they are, in both directions, and it is not a terminal (ENOTTY). A serial line
 *             has no end of file, so the sender marks it: ff 00 is the end, ff ff one byte ff.
 *
 * When the reader is slow the receive interrupt is masked: the device's queue fills and the sender waits.
 */
#include "fs/vfs.h"
#include "proc/task.h"
#include "sig/sig.h"

enum { QUEUE_SIZE = 4096, LINE_SIZE = 1024, CONSOLE_IRQ = 4 };
enum { ICRNL = 0400, OPOST = 1, ONLCR = 4, ISIG = 1, ICANON = 2, ECHO = 8, ECHOE = 020, TOSTOP = 0400 };
enum { VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSUSP = 10 };
enum { TCGETS = 0x5401, TCSETS, TCSETSW, TCSETSF, TIOCSCTTY = 0x540e, TIOCGPGRP = 0x540f, TIOCSPGRP = 0x5410,
       TIOCGWINSZ = 0x5413, TIOCSWINSZ = 0x5414, FIONREAD = 0x541b, TIOCGSID = 0x5429 };

static struct {
	uint8_t queue[QUEUE_SIZE]; /* ready for readers; in canonical mode only whole lines */
	uint32_t head, tail;
	uint8_t line[LINE_SIZE];   /* the line being edited */
	uint32_t line_len;
	uint32_t eofs;             /* ends of file that readers still have to see */
	bool ended;                /* stream: the end mark came, nothing follows */
	bool escaped;              /* stream: ff came */
	bool masked;
	uint32_t foreground;       /* process group, 0: none */
	uint16_t winsize[4];
	struct linux_termios termios;
} tty = {
	.winsize = { 24, 80 },
	.termios = { ICRNL, OPOST | ONLCR, 0xbf, ISIG | ICANON | ECHO | ECHOE | 020 | 040, 0,
		     { 3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26 } },
};

void tty_set_foreground(uint32_t pgid)
{
	tty.foreground = pgid;
}

static uint32_t queued(void)
{
	return tty.tail - tty.head;
}

static void enqueue(const uint8_t *bytes, uint32_t n)
{
	while (n-- && queued() < QUEUE_SIZE)
		tty.queue[tty.tail++ % QUEUE_SIZE] = *bytes++;
}

static void wake_readers(void)
{
	sched_wake(&tty);
	poll_changed();
}

static void input_stream(uint8_t c)
{
	if (tty.escaped) {
		tty.escaped = false;
		if (c == 0)
			tty.ended = true;
		else
			enqueue(&c, 1);
	} else if (c == 0xff) {
		tty.escaped = true;
	} else {
		enqueue(&c, 1);
	}
}

static void echo(const char *bytes, size_t n)
{
	if (tty.termios.lflag & ECHO)
		x86_console_write(bytes, n);
}

/* The signal a control character stands for, 0: none. */
static int signal_of(uint8_t c)
{
	const uint8_t *cc = tty.termios.cc;

	if (!(tty.termios.lflag & ISIG))
		return 0;
	return c == cc[VINTR] ? SIGINT : c == cc[VQUIT] ? SIGQUIT : c == cc[VSUSP] ? SIGTSTP : 0;
}

static void finish_line(void)
{
	enqueue(tty.line, tty.line_len);
	tty.line_len = 0;
}

static void edit_line(uint8_t c)
{
	const uint8_t *cc = tty.termios.cc;

	if (c == cc[VERASE] || c == 8) {
		if (tty.line_len) {
			tty.line_len--;
			echo("\b \b", 3);
		}
		return;
	}
	if (c == cc[VKILL]) {
		for (; tty.line_len; tty.line_len--)
			echo("\b \b", 3);
		return;
	}
	if (c == cc[VEOF]) {
		tty.eofs += tty.line_len == 0;
		finish_line();
		return;
	}
	if (tty.line_len < LINE_SIZE - 1)
		tty.line[tty.line_len++] = c;
	echo(c == '\n' ? "\r\n" : (const char *)&c, c == '\n' ? 2 : 1);
	if (c == '\n')
		finish_line();
}

static void input_terminal(uint8_t c)
{
	int sig = signal_of(c);

	if (c == '\r' && (tty.termios.iflag & ICRNL))
		c = '\n';
	if (sig) {
		tty.line_len = 0;
		echo("^", 1);
		echo(&"@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_"[c & 31], 1);
		echo("\r\n", 2);
		if (tty.foreground)
			sig_send_group(tty.foreground, sig);
	} else if (tty.termios.lflag & ICANON) {
		edit_line(c);
	} else {
		enqueue(&c, 1);
		echo((const char *)&c, 1);
	}
}

void tty_poll(void)
{
	bool any = false;
	int c;

	while (queued() < QUEUE_SIZE - LINE_SIZE && (c = x86_console_getc()) >= 0) {
		any = true;
		if (os.options.tty)
			input_terminal((uint8_t)c);
		else
			input_stream((uint8_t)c);
	}
	if (queued() >= QUEUE_SIZE - LINE_SIZE && !tty.masked) {
		tty.masked = true;
		x86_irq_mask(CONSOLE_IRQ);
	} else if (queued() < QUEUE_SIZE / 2 && tty.masked) {
		tty.masked = false;
		x86_irq_unmask(CONSOLE_IRQ);
	}
	if (any)
		wake_readers();
}

/* A process of another group than the foreground's is stopped when it touches the terminal. */
static int check_foreground(int sig)
{
	struct proc *p = current->proc;

	if (!os.options.tty || tty.foreground == 0 || p->pgid == tty.foreground)
		return 0;
	if (sig_is_ignored(p, sig) || (current->blocked & sig_bit(sig)))
		return sig == SIGTTIN ? -EIO : 0;
	sig_send_group(p->pgid, sig);
	return -ERESTARTSYS;
}

static bool can_read(void)
{
	return queued() || tty.eofs || tty.ended;
}

static int tty_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	bool lines = os.options.tty && (tty.termios.lflag & ICANON);
	uint8_t *out = to;
	size_t n = 0;
	int err = check_foreground(SIGTTIN);

	(void)file, (void)pos;
	tty_poll();
	while (err == 0 && !can_read())
		err = nonblock ? -EAGAIN : sched_sleep(&tty, true, 0);
	if (err)
		return err == -EINTR ? -ERESTARTSYS : err;
	while (n < len && queued()) {
		out[n] = tty.queue[tty.head++ % QUEUE_SIZE];
		if (out[n++] == '\n' && lines)
			break;
	}
	if (n == 0 && len && tty.eofs)
		tty.eofs--;
	tty_poll();
	return (int)n;
}

static void write_terminal(const char *bytes, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n')
			continue;
		x86_console_write(bytes + start, i - start);
		x86_console_write("\r\n", 2);
		start = i + 1;
	}
	x86_console_write(bytes + start, len - start);
}

static int tty_write(struct open_file *file, const void *from, size_t len, uint64_t *pos, bool nonblock)
{
	int err = (tty.termios.lflag & TOSTOP) ? check_foreground(SIGTTOU) : 0;

	(void)file, (void)pos, (void)nonblock;
	if (err)
		return err;
	if (os.options.tty && (tty.termios.oflag & OPOST) && (tty.termios.oflag & ONLCR))
		write_terminal(from, len);
	else
		x86_console_write(from, len);
	return (int)len;
}

static unsigned tty_poll_bits(struct open_file *file)
{
	(void)file;
	tty_poll();
	return POLLOUT | POLLWRNORM | (can_read() ? POLLIN | POLLRDNORM : 0);
}

static int set_termios(uword arg, bool flush)
{
	int err = copy_in(&tty.termios, arg, sizeof(tty.termios));

	if (err == 0 && flush)
		tty.head = tty.tail, tty.line_len = 0;
	if (err == 0 && !(tty.termios.lflag & ICANON))
		finish_line();
	return err;
}

static int set_foreground(uword arg)
{
	uint32_t pgid;
	int err = copy_in(&pgid, arg, sizeof(pgid));

	if (err == 0)
		tty.foreground = pgid;
	return err;
}

static int tty_ioctl(struct open_file *file, uint32_t request, uword arg)
{
	(void)file;
	if (request == FIONREAD)
		return put_u32(arg, queued());
	if (!os.options.tty)
		return -ENOTTY;
	switch (request) {
	case TCGETS: return copy_out(arg, &tty.termios, sizeof(tty.termios));
	case TCSETS:
	case TCSETSW: return set_termios(arg, false);
	case TCSETSF: return set_termios(arg, true);
	case TIOCSCTTY: return 0;
	case TIOCGPGRP: return put_u32(arg, tty.foreground);
	case TIOCSPGRP: return set_foreground(arg);
	case TIOCGSID: return put_u32(arg, current->proc->sid);
	case TIOCGWINSZ: return copy_out(arg, tty.winsize, sizeof(tty.winsize));
	case TIOCSWINSZ: return copy_in(tty.winsize, arg, sizeof(tty.winsize));
	default: return -ENOTTY;
	}
}

const struct file_ops tty_ops = {
	.read = tty_read, .write = tty_write, .poll = tty_poll_bits, .ioctl = tty_ioctl,
};
