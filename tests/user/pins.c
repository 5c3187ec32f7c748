/* SPDX-License-Identifier: MIT */
/*
 * Pages that are pinned for somebody else's copy while their own program does all it can to them. process_vm_readv() and
 * process_vm_writev() pin the other process's page and then touch our own memory, where userfaultfd makes them wait: for so long the
 * page is pinned, on every run. What the program then forks, unmaps, drops, pages out or cuts off must neither tear page and program
 * apart nor let the copy end elsewhere. As root, on Linux too. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, BYTES = 100, RW = PROT_READ | PROT_WRITE, PAGEOUT = 21 };

static char *area;   /* the same place in all; the other process's page */
static char *spare;  /* a place to move it to */
static char *window; /* ours: its first access waits */
static int uffd, mem; /* mem: the file under the area, if it has one */
static int to_child[2], to_us[2], to_grandchild[2];
static pid_t grandchild;

/* ---- what the program does to its pinned page ---- */

static void nothing(void) {}
static void writes(void) { area[0] = 'n'; }

static void forks(void)
{
	char byte;

	if (pipe(to_grandchild) != 0)
		_exit(2);
	grandchild = fork();
	if (grandchild == 0) {
		close(to_grandchild[1]);
		_exit(read(to_grandchild[0], &byte, 1) == 1 ? area[0] : 1); /* what it sees in the end */
	}
}

static void forks_and_writes(void)
{
	forks();
	area[0] = 'n';
}

/* Beside what is copied: by a write to a page that a fork left shared. */
static void forks_and_writes_beside(void)
{
	forks();
	area[BYTES] = 'n';
}

static void unmaps(void)
{
	munmap(area, PAGE);
	mmap(area, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void drops(void)
{
	madvise(area, PAGE, MADV_DONTNEED);
	area[0] = 'n';
}

static void forbids(void) { mprotect(area, PAGE, PROT_READ); }
static void moves(void) { mremap(area, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, spare); }

static void pages_out(void)
{
	madvise(area, PAGE, PAGEOUT);
	area[BYTES] = 'n';
}

static void cuts_off(void)
{
	if (ftruncate(mem, 0) != 0 || ftruncate(mem, PAGE) != 0)
		_exit(2);
}

static void dies(void) { raise(SIGKILL); }

/* ---- the two processes ---- */

struct pinning {
	const char *what;
	int write, on_file;
	void (*act)(void);
	char at_area, grandchild_sees, beside; /* in the end; 0: zeros. read: what arrives is in at_area */
};

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		_exit(2);
}

static int hear(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1;
}

/* Three bytes: the page's first, where it now is; the grandchild's; one beside what was copied. */
static void child(const struct pinning *p)
{
	char seen[3] = { 0 }, *at = p->act == moves ? spare : area;
	int status = 0;

	mmap(area, PAGE, RW, (p->on_file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS) | MAP_FIXED, p->on_file ? mem : -1, 0);
	memset(area, 'o', PAGE);
	tell(to_us[1]);
	if (!hear(to_child[0]))
		_exit(2);
	p->act();
	tell(to_us[1]);
	if (!hear(to_child[0]))
		_exit(2);
	if (grandchild) {
		tell(to_grandchild[1]);
		waitpid(grandchild, &status, 0);
	}
	seen[0] = at[0];
	seen[1] = (char)WEXITSTATUS(status);
	seen[2] = at[BYTES];
	_exit(write(to_us[1], seen, 3) != 3);
}

struct copy {
	pid_t pid;
	int write;
	ssize_t done;
};

static void *copy(void *arg)
{
	struct copy *c = arg;
	struct iovec local = { window, BYTES }, remote = { area, BYTES };

	c->done = c->write ? process_vm_writev(c->pid, &local, 1, &remote, 1, 0) : process_vm_readv(c->pid, &local, 1, &remote, 1, 0);
	return NULL;
}

/* The copy has pinned the page and waits for our window. */
static int wait_for_pin(void)
{
	struct uffd_msg msg;

	return read(uffd, &msg, sizeof(msg)) == sizeof(msg) && msg.event == UFFD_EVENT_PAGEFAULT &&
	       msg.arg.pagefault.address / PAGE == (uintptr_t)window / PAGE;
}

static void let_go_on(void)
{
	static char content[PAGE] __attribute__((aligned(4096)));
	struct uffdio_copy c = { .dst = (uintptr_t)window, .src = (uintptr_t)content, .len = PAGE };

	memset(content, 'w', PAGE);
	CHECK("let on", ioctl(uffd, UFFDIO_COPY, &c) == 0);
}

static void run(const struct pinning *p)
{
	struct copy c = { .write = p->write };
	char seen[3] = { 9, 9, 9 };
	pthread_t thread;
	int status;

	madvise(window, PAGE, MADV_DONTNEED);
	if (pipe(to_child) != 0 || pipe(to_us) != 0 || ftruncate(mem, 0) != 0 || ftruncate(mem, PAGE) != 0)
		exit(2);
	c.pid = fork();
	if (c.pid == 0)
		child(p);
	close(to_us[1]);
	CHECK(p->what, hear(to_us[0]));
	pthread_create(&thread, NULL, copy, &c);
	CHECK(p->what, wait_for_pin());
	tell(to_child[1]);
	CHECK(p->what, hear(to_us[0]) == (p->act != dies));
	let_go_on();
	pthread_join(thread, NULL);
	CHECK(p->what, c.done == BYTES);
	tell(to_child[1]);
	if (p->act != dies)
		CHECK(p->what, read(to_us[0], seen, 3) == 3);
	waitpid(c.pid, &status, 0);
	if (!p->write)
		seen[0] = window[0];
	CHECK(p->what, seen[0] == p->at_area && window[BYTES - 1] == (p->write || p->at_area != 'n' ? window[0] : 'o'));
	CHECK(p->what, p->act == dies || (seen[1] == p->grandchild_sees && seen[2] == p->beside));
	close(to_child[0]), close(to_child[1]), close(to_us[0]);
}

/* Reading: the page, as it now is if the program still has it, else as it was. */
static void check_reading(void)
{
	static const struct pinning list[] = {
		{ "read: nothing", 0, 0, nothing, 'o', 0, 'o' },
		{ "read: writes", 0, 0, writes, 'n', 0, 'o' },
		{ "read: forks", 0, 0, forks, 'o', 'o', 'o' },
		{ "read: forks and writes", 0, 0, forks_and_writes, 'n', 'o', 'o' },
		{ "read: unmaps", 0, 0, unmaps, 'o', 0, 0 },
		{ "read: drops", 0, 0, drops, 'o', 0, 0 },
		{ "read: moves", 0, 0, moves, 'o', 0, 'o' },
		{ "read: pages out", 0, 0, pages_out, 'o', 0, 'n' },
		{ "read: cuts off", 0, 1, cuts_off, 'o', 0, 0 },
		{ "read: dies", 0, 0, dies, 'o', 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		run(&list[i]);
}

/* Writing: the program sees it where it has the page still, and nobody else ever does. */
static void check_writing(void)
{
	static const struct pinning list[] = {
		{ "write: nothing", 1, 0, nothing, 'w', 0, 'o' },
		{ "write: forks", 1, 0, forks, 'w', 'o', 'o' },
		{ "write: forks and writes", 1, 0, forks_and_writes, 'w', 'o', 'o' },
		{ "write: forks and writes beside", 1, 0, forks_and_writes_beside, 'w', 'o', 'n' },
		{ "write: unmaps", 1, 0, unmaps, 0, 0, 0 },
		{ "write: drops", 1, 0, drops, 'n', 0, 0 },
		{ "write: forbids", 1, 0, forbids, 'w', 0, 'o' },
		{ "write: moves", 1, 0, moves, 'w', 0, 'o' },
		{ "write: pages out", 1, 0, pages_out, 'w', 0, 'n' },
		{ "write: of a file", 1, 1, forks, 'w', 'w', 'o' },
		{ "write: cuts off", 1, 1, cuts_off, 0, 0, 0 },
		{ "write: dies", 1, 0, dies, 9, 0, 0 },
	};

	for (unsigned i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		run(&list[i]);
}

static int start(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register r = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	area = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	spare = area + 2 * PAGE;
	window = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	r.range = (struct uffdio_range){ (uintptr_t)window, PAGE };
	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	mem = (int)syscall(SYS_memfd_create, "pins", 0);
	return area != MAP_FAILED && window != MAP_FAILED && uffd >= 0 && mem >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0 &&
	       ioctl(uffd, UFFDIO_REGISTER, &r) == 0;
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!start()) {
		perror("userfaultfd");
		return 2;
	}
	check_reading();
	check_writing();
	return sum();
}
