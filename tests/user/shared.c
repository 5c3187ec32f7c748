/* SPDX-License-Identifier: MIT */
/*
 * Files that several processors use at once: pipes with many readers and writers, one table of descriptors changed by all
 * threads of a process, one file appended to by several processes, poll() against writers. Nothing may be lost, split or
 * come twice, and nobody may sleep for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { WRITERS = 3, READERS = 3, MESSAGES = 3000, RECORDS = 400, TURNS = 2000, SHUFFLES = 3000 };

/* A message says who sent it, and which of his it is; as long as fits all pipes whole. */
struct message {
	uint32_t writer, number;
	char rest[56];
};

static struct tally {
	unsigned seen[WRITERS][MESSAGES];
	unsigned wrong;
} *tally;

static char *volatile nowhere = (char *)1;

static pid_t child(int (*work)(int me, const int *ends), int me, const int *ends)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(work(me, ends));
	return pid;
}

static unsigned wait_for(int nr)
{
	unsigned good = 0;
	int status;

	while (nr--)
		good += wait(&status) > 0 && status == 0;
	return good;
}

/* ---- a pipe with several at both ends ---- */

static int send_all(int me, const int *ends)
{
	struct message m = { .writer = (uint32_t)me };

	close(ends[0]);
	memset(m.rest, 'a' + me, sizeof(m.rest));
	for (m.number = 0; m.number < MESSAGES; m.number++)
		if (write(ends[1], &m, sizeof(m)) != sizeof(m))
			return 1;
	return 0;
}

static int receive(int me, const int *ends)
{
	struct message m;
	ssize_t n;

	close(ends[1]);
	while ((n = read(ends[0], &m, sizeof(m))) == sizeof(m)) {
		if (m.writer >= WRITERS || m.number >= MESSAGES || m.rest[0] != 'a' + (char)m.writer || m.rest[55] != m.rest[0])
			__atomic_fetch_add(&tally->wrong, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&tally->seen[m.writer][m.number], 1, __ATOMIC_RELAXED);
		if (m.number % 64 == (unsigned)me) /* it goes nowhere, so it stays for somebody */
			n = read(ends[0], nowhere, sizeof(m));
	}
	return n != 0;
}

static void check_many_at_a_pipe(void)
{
	unsigned once = 0;
	int ends[2];

	CHECK("pipe", pipe(ends) == 0);
	for (int i = 0; i < READERS; i++)
		child(receive, i, ends);
	for (int i = 0; i < WRITERS; i++)
		child(send_all, i, ends);
	close(ends[0]);
	close(ends[1]);
	CHECK("all end", wait_for(READERS + WRITERS) == READERS + WRITERS);
	for (int w = 0; w < WRITERS; w++)
		for (int n = 0; n < MESSAGES; n++)
			once += tally->seen[w][n] == 1;
	CHECK("each message came once", once == WRITERS * MESSAGES);
	CHECK("no message was split", tally->wrong == 0);
}

/* ---- there and back again, by poll() ---- */

static int echo(int me, const int *ends)
{
	struct pollfd p = { .fd = ends[0], .events = POLLIN };
	char c;

	(void)me;
	for (int i = 0; i < TURNS; i++)
		if (poll(&p, 1, -1) != 1 || read(ends[0], &c, 1) != 1 || write(ends[3], &c, 1) != 1)
			return 1;
	return 0;
}

static void check_turns(void)
{
	int ends[4], good = 0;
	struct pollfd p;

	CHECK("two pipes", pipe(ends) == 0 && pipe(ends + 2) == 0);
	child(echo, 0, ends);
	p = (struct pollfd){ .fd = ends[2], .events = POLLIN };
	for (int i = 0; i < TURNS; i++) {
		char c = (char)i, back = 0;

		good += write(ends[1], &c, 1) == 1 && poll(&p, 1, -1) == 1 && read(ends[2], &back, 1) == 1 && back == c;
	}
	CHECK("every turn", good == TURNS && wait_for(1) == 1);
	for (int i = 0; i < 4; i++)
		close(ends[i]);
}

/* ---- one file, appended to by several ---- */

static int append(int me, const int *ends)
{
	int fd = open("log", O_WRONLY | O_APPEND);
	char line[33];

	(void)ends;
	memset(line, 'A' + me, sizeof(line));
	for (int i = 0; i < RECORDS; i++)
		if (write(fd, line, sizeof(line)) != sizeof(line))
			return 1;
	return 0;
}

static void check_appends(void)
{
	int fd = open("log", O_RDWR | O_CREAT | O_TRUNC, 0600), whole = 0;
	char line[33];
	struct stat st;

	for (int i = 0; i < WRITERS; i++)
		child(append, i, NULL);
	CHECK("appended", wait_for(WRITERS) == WRITERS);
	CHECK("all is there", fstat(fd, &st) == 0 && st.st_size == WRITERS * RECORDS * 33);
	while (read(fd, line, sizeof(line)) == sizeof(line))
		whole += line[0] == line[32] && line[16] == line[0];
	CHECK("line by line", whole == WRITERS * RECORDS);
	close(fd);
	unlink("log");
}

/* ---- one position, moved by several ---- */

static int read_shared(int me, const int *ends)
{
	uint32_t n;

	(void)me;
	while (read(ends[0], &n, sizeof(n)) == sizeof(n))
		__atomic_fetch_add(&tally->seen[0][n % MESSAGES], 1, __ATOMIC_RELAXED);
	return 0;
}

static void check_position(void)
{
	int fd = open("numbers", O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned once = 0;

	for (uint32_t n = 0; n < MESSAGES; n++)
		if (write(fd, &n, sizeof(n)) != sizeof(n))
			return;
	lseek(fd, 0, SEEK_SET);
	memset(tally, 0, sizeof(*tally));
	for (int i = 0; i < READERS; i++)
		child(read_shared, i, &fd);
	CHECK("readers end", wait_for(READERS) == READERS);
	for (int n = 0; n < MESSAGES; n++)
		once += tally->seen[0][n] == 1;
	CHECK("each number was read once", once == MESSAGES);
	close(fd);
	unlink("numbers");
}

/* ---- one table of descriptors ---- */

/* Makes, copies and closes; a number that somebody else closed meanwhile is EBADF, never another's file for good. */
static void *shuffle(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	char c = 0;

	for (int i = 0; i < SHUFFLES; i++) {
		int fd = 10 + rand_r(&seed) % 8;

		switch (rand_r(&seed) % 6) {
		case 0: dup2(0, fd); break;
		case 1: close(fd); break;
		case 2: fcntl(fd, F_SETFD, FD_CLOEXEC); break;
		case 3: dup3(open("/dev/zero", O_RDONLY), fd, O_CLOEXEC); break;
		case 4: if (read(fd, &c, 1) == 1 && c != 0) return arg; break;
		default: mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0); break;
		}
		for (int extra = 18; extra < 64 && close(extra) == 0; extra++)
			;
	}
	return NULL;
}

static void check_table(void)
{
	int ends[2], status = -1;
	pthread_t thread[4];
	void *bad, *any = NULL;
	pid_t pid;

	CHECK("stdin", open("/dev/null", O_RDONLY) >= 0 && pipe(ends) == 0);
	for (uintptr_t i = 0; i < 4; i++)
		CHECK("thread", pthread_create(&thread[i], NULL, shuffle, (void *)(i + 1)) == 0);
	for (int i = 0; i < 50; i++) { /* the table is copied while it changes */
		pid = fork();
		if (pid == 0)
			_exit(fcntl(0, F_GETFD) < 0);
		waitpid(pid, &status, 0);
		CHECK("child", status == 0);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], &bad);
		any = bad ? bad : any;
	}
	CHECK("threads", any == NULL);
	for (int fd = 10; fd < 64; fd++)
		close(fd);
	CHECK("pipe is whole", write(ends[1], "x", 1) == 1 && read(ends[0], tally, 1) == 1);
}

int main(void)
{
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED || chdir("/tmp") != 0)
		return 2;
	alarm(200); /* who sleeps for ever is told */
	check_many_at_a_pipe();
	check_turns();
	check_appends();
	check_position();
	check_table();
	return sum();
}
