/* SPDX-License-Identifier: MIT */
/*
 * Frames that had something in them come to others as zeros. Writers fill every sort of memory with a secret and end;
 * scanners then take as much memory as they are told, more than there is if there is swap, and look at each piece before
 * they write it: anonymous memory, heap, stack, shared memory, files made longer, the tail of a last page, pipes' buffers
 * through short reads. What a scanner has written it finds again, also after it was swapped out.
 *
 *   leftovers [MIB]     how much a process takes, 6 without a word
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SECRET UINT32_C(0x5ec2e75e)
enum { PAGE = 4096, WORDS = PAGE / 4, FOUND = 9, ROUNDS = 3, STACK_PAGES = 200, TABLES = 48, FILE_PAGES = 200 };

static size_t pages_to_take;

static void fill(uint32_t *p, size_t pages)
{
	for (size_t i = 0; i < pages * WORDS; i++)
		p[i] = SECRET;
}

/* Ends the process when there is anything. */
static void must_be_zero(const uint32_t *p, size_t words, const char *where)
{
	for (size_t i = 0; i < words; i++)
		if (p[i]) {
			printf("FAIL %s: %x in fresh memory\n", where, (unsigned)p[i]);
			fflush(stdout);
			_exit(FOUND);
		}
}

static uint32_t *anonymous(size_t pages, int flags)
{
	uint32_t *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		_exit(2);
	return p;
}

static uint32_t *segment(size_t pages)
{
	int id = shmget(IPC_PRIVATE, pages * PAGE, 0600);
	uint32_t *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (p == (void *)-1 || shmctl(id, IPC_RMID, NULL) != 0)
		_exit(2);
	return p;
}

/* A file that nobody else has, of so many pages; its descriptor. */
static int file_of(size_t pages)
{
	int fd = memfd_create("leftovers", 0);

	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)) != 0)
		_exit(2);
	return fd;
}

static uint32_t *view(int fd, size_t pages, int flags)
{
	uint32_t *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);

	if (p == MAP_FAILED)
		_exit(2);
	return p;
}

/* ---- writers ---- */

static void fill_stack(void)
{
	uint32_t deep[STACK_PAGES * WORDS];

	fill(deep, STACK_PAGES);
	__asm__ volatile("" : : "r"(deep) : "memory");
}

/* Tables full of entries, which are no secret but no zeros either. */
static void fill_tables(void)
{
	const size_t apart = 4 << 20;
	char *p = mmap(NULL, TABLES * apart, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = 0; p != MAP_FAILED && i < TABLES; i++)
		memset(p + i * apart, 0x5e, 16);
}

static void write_secrets(void)
{
	uint32_t *p = anonymous(pages_to_take, MAP_PRIVATE);
	int fd = file_of(FILE_PAGES);

	fill(p, pages_to_take);
	fill_stack();
	fill_tables();
	fill(sbrk(FILE_PAGES * PAGE), FILE_PAGES);
	fill(segment(FILE_PAGES), FILE_PAGES);
	fill(view(fd, FILE_PAGES, MAP_SHARED), FILE_PAGES);
	fill(anonymous(FILE_PAGES, MAP_SHARED), FILE_PAGES);
	for (size_t i = 0; i < pages_to_take * WORDS; i += WORDS) /* from swap, if they have gone there */
		if (p[i] != SECRET)
			_exit(FOUND);
	_exit(0);
}

/* ---- scanners ---- */

static void scan_stack(void)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0) & -(uintptr_t)PAGE;

	/* below what calls have used; it grows to there */
	must_be_zero((const uint32_t *)(here - STACK_PAGES * PAGE), (STACK_PAGES - 8) * WORDS, "stack");
}

/* A last page that was full, cut and made longer; and what a view shows behind the end. */
static void scan_tails(void)
{
	int fd = file_of(1), empty = file_of(0);
	uint32_t *whole, *behind;

	whole = view(fd, 1, MAP_SHARED);
	fill(whole, 1);
	if (ftruncate(fd, 100) != 0 || write(empty, "x", 1) != 1)
		_exit(2);
	must_be_zero(whole + 25, WORDS - 25, "tail of what was cut");
	if (ftruncate(fd, PAGE) != 0)
		_exit(2);
	must_be_zero(whole + 25, WORDS - 25, "what was cut, longer again");
	behind = view(empty, 1, MAP_PRIVATE);
	must_be_zero(behind + 1, WORDS - 1, "behind the end");
	close(fd);
	close(empty);
}

static void scan_files(void)
{
	static uint32_t page[WORDS];
	int fd = file_of(FILE_PAGES);

	for (size_t i = 0; i < FILE_PAGES; i++) {
		if (read(fd, page, PAGE) != PAGE)
			_exit(2);
		must_be_zero(page, WORDS, "hole of a file, read");
	}
	must_be_zero(view(fd, FILE_PAGES, MAP_SHARED), FILE_PAGES * WORDS, "hole of a file");
	must_be_zero(view(file_of(FILE_PAGES), FILE_PAGES, MAP_PRIVATE), FILE_PAGES * WORDS, "hole of a private view");
}

/* Zeros first, then each page's number, found again at the end. Written before read, too, where a page comes by the write. */
static void scan_anonymous(void)
{
	uint32_t *p = anonymous(pages_to_take, MAP_PRIVATE);

	for (size_t i = 0; i < pages_to_take; i++) {
		if (i & 1)
			p[i * WORDS] = 0;
		must_be_zero(p + i * WORDS, WORDS, i & 1 ? "written memory" : "read memory");
		p[i * WORDS + 7] = (uint32_t)i + 1;
	}
	for (size_t i = 0; i < pages_to_take; i++) {
		if (p[i * WORDS + 7] != (uint32_t)i + 1)
			_exit(FOUND);
		p[i * WORDS + 7] = 0;
		must_be_zero(p + i * WORDS, WORDS, "memory after a while");
	}
	p = mremap(p, pages_to_take * PAGE, (pages_to_take + 16) * PAGE, MREMAP_MAYMOVE);
	must_be_zero(p + pages_to_take * WORDS, 16 * WORDS, "memory that grew");
}

static void scan(void)
{
	scan_stack();
	must_be_zero(sbrk(FILE_PAGES * PAGE), FILE_PAGES * WORDS, "heap");
	must_be_zero(segment(FILE_PAGES), FILE_PAGES * WORDS, "segment");
	must_be_zero(anonymous(FILE_PAGES, MAP_SHARED), FILE_PAGES * WORDS, "shared memory");
	scan_tails();
	scan_files();
	scan_anonymous();
	_exit(0);
}

static int start(void (*what)(void))
{
	pid_t pid = fork();

	if (pid == 0)
		what();
	return pid;
}

static void ends_well(int pid, const char *what)
{
	int status = 0;

	CHECK(what, pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK(what, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv)
{
	pages_to_take = (argc > 1 ? (size_t)atoi(argv[1]) : 6) << 8;
	for (int round = 0; round < ROUNDS; round++) {
		int writer;

		ends_well(start(write_secrets), "writer");
		writer = start(write_secrets); /* frames of one that is being ended, too */
		ends_well(start(scan), "scanner");
		ends_well(writer, "writer beside it");
		ends_well(start(scan), "scanner");
	}
	return sum();
}
