/* SPDX-License-Identifier: MIT */
/*
 * A program that hibernates the machine it runs on: hibernate MIB. Before: memory full of known contents, part of it on the swap
 * disk; a child that waits in a pipe with memory that both have and memory of its own; a thread in the middle of work; floating
 * point registers; an open file; bytes in a pipe. After, in another boot: all of that is as it was. Without MIB it only asks,
 * and shows what it was told. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

#define PAGE 4096u
#define SW_SUSPEND 0xd000fce2u

static uint64_t word(uint32_t page, uint32_t who)
{
	uint64_t w = ((uint64_t)who << 32 | page) * 0x9e3779b97f4a7c15u;

	return page % 5 == 0 ? 0 : w ^ w >> 29;
}

/* Some pages are zeros, some are noise, some are one word here and there. */
static void fill(char *at, uint32_t first, uint32_t nr, uint32_t who)
{
	for (uint32_t i = first; i < first + nr; i++)
		for (uint32_t b = 0; b < PAGE; b += i % 3 ? 512 : 8) {
			uint64_t w = word(i, who + b / 8 * 64);

			memcpy(at + (size_t)i * PAGE + b, &w, sizeof(w));
		}
}

static uint32_t wrong(const char *at, uint32_t first, uint32_t nr, uint32_t who)
{
	uint32_t bad = 0;

	for (uint32_t i = first; i < first + nr; i++)
		for (uint32_t b = 0; b < PAGE; b += i % 3 ? 512 : 8) {
			uint64_t w = word(i, who + b / 8 * 64);

			bad += memcmp(at + (size_t)i * PAGE + b, &w, sizeof(w)) != 0;
		}
	return bad;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- who lives on beside the main thread ---- */

static volatile int stop;
static volatile uint32_t turns;

static void *work(void *arg)
{
	double x = 1, y = 1;
	uint64_t n = 0;

	(void)arg;
	while (!stop || n < 100000) {
		x += 0.5;
		y = y * 2 > 1e9 ? 1 : y * 2;
		n++;
		turns++;
	}
	return (void *)(uintptr_t)(x == 1 + 0.5 * (double)n && y >= 1);
}

/* Its memory is the parent's, but for a few pages. */
static int child(char *memory, uint32_t nr, int from)
{
	char byte = 0;

	fill(memory, 3, nr / 8, 7);
	if (read(from, &byte, 1) != 1 || byte != 'g')
		return 2;
	return wrong(memory, 0, 3, 1) + wrong(memory, 3, nr / 8, 7) + wrong(memory, 3 + nr / 8, nr - nr / 8 - 3, 1) ? 3 : 0;
}

static int open_text(void)
{
	int fd = open("/tmp/text", O_RDWR | O_CREAT, 0600);

	CHECK("a file", fd >= 0 && write(fd, "0123456789", 10) == 10 && lseek(fd, 4, SEEK_SET) == 4);
	return fd;
}

static void check_rest(int fd, const int kept[2])
{
	char text[16] = "";

	CHECK("the file goes on where it was", read(fd, text, 3) == 3 && memcmp(text, "456", 3) == 0);
	CHECK("what was in a pipe is there", read(kept[0], text, 9) == 9 && memcmp(text, "unread...", 9) == 0);
	CHECK("a new file", close(open("/tmp/new", O_RDWR | O_CREAT, 0600)) == 0);
	CHECK("a new process", system("true") == 0);
}

static void hibernate(uint32_t nr)
{
	char *memory = mmap(NULL, (size_t)nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int go[2], kept[2], fd = open_text(), status = -1;
	uint64_t before = now();
	uint32_t had;
	pthread_t thread;
	void *good;
	pid_t pid;

	CHECK("memory", memory != MAP_FAILED && pipe(go) == 0 && pipe(kept) == 0);
	fill(memory, 0, nr, 1);
	pid = fork();
	if (pid == 0)
		_exit(child(memory, nr, go[0]));
	CHECK("a thread", pthread_create(&thread, NULL, work, NULL) == 0);
	CHECK("bytes in a pipe", write(kept[1], "unread...", 9) == 9);
	puts("before");
	fflush(stdout);
	CHECK("the machine went to the disk", reboot((int)SW_SUSPEND) == 0);
	puts("after");
	had = turns;
	CHECK("time goes on", now() >= before && now() - before < 3600ull * 1000000000u);
	CHECK("memory is as it was", wrong(memory, 0, nr, 1) == 0);
	while (turns == had)
		;
	stop = 1;
	CHECK("the thread goes on", pthread_join(thread, &good) == 0 && good);
	CHECK("the child waits", waitpid(pid, &status, WNOHANG) == 0 && write(go[1], "g", 1) == 1);
	CHECK("and has its memory", waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
	check_rest(fd, kept);
}

int main(int argc, char **argv)
{
	if (!on_kmm()) /* nobody's computer shall go to sleep by a test */
		return sum();
	if (argc > 1)
		hibernate((uint32_t)atoi(argv[1]) << 8);
	else if (reboot((int)SW_SUSPEND) != 0)
		printf("hibernate: %s\n", strerror(errno));
	return sum();
}
