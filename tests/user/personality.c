/* SPDX-License-Identifier: MIT */
/*
 * READ_IMPLIES_EXEC: what can be read can be executed, if personality(2) says so, or because a 32-bit program lacks PT_GNU_STACK; and
 * the places that a program is told by its auxiliary vector. "personality again ..." is how it starts itself. On Linux too. Ends with
 * "N passed, N failed".
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ANON = MAP_PRIVATE | MAP_ANONYMOUS };

static const char *self;

/* Is "rwxp" or what it is the area's right? */
static int has(const void *at, const char *rights)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[256], seen[8];
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%lx-%lx %7s", &start, &end, seen) == 3 && (uintptr_t)at >= start && (uintptr_t)at < end;
	if (f)
		fclose(f);
	return found && strcmp(seen, rights) == 0;
}

/* Runs a program with one word; its status. */
static int status_of(const char *path, const char *word)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execl(path, "personality", "again", word, (char *)NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_said(void)
{
	int on_exec = sizeof(long) == 8 ? 0 : 1, id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	char *p, *heap = sbrk(0), *data = mmap(NULL, 3 * PAGE, PROT_NONE, ANON, -1, 0);

	CHECK("nothing yet", personality(0xffffffff) == 0);
	CHECK("said", personality(READ_IMPLIES_EXEC) == 0 && personality(0xffffffff) == READ_IMPLIES_EXEC);
	p = mmap(NULL, PAGE, RW, ANON, -1, 0);
	CHECK("mapped", has(p, "rwxp"));
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK("shared", has(p, "r-xs"));
	p = mmap(NULL, PAGE, PROT_WRITE, ANON, -1, 0);
	CHECK("not read", has(p, "-w-p"));
	CHECK("protected", mprotect(data + PAGE, PAGE, PROT_READ) == 0 && has(data + PAGE, "r-xp") && mprotect(data + PAGE, PAGE, PROT_NONE) == 0 &&
				   has(data + PAGE, "---p"));
	CHECK("the heap", sbrk(4 * PAGE) == heap && has(heap + 3 * PAGE, "rwxp"));
	p = shmat(id, NULL, 0);
	CHECK("attached", has(p, "rwxs"));
	CHECK("what there was stays", has(&passed, "rw-p"));
	shmdt(p);
	shmctl(id, IPC_RMID, NULL);
	CHECK("a 32-bit program keeps it", status_of(self, "told") == on_exec);
	CHECK("taken back", personality(0) == READ_IMPLIES_EXEC);
	p = mmap(NULL, PAGE, RW, ANON, -1, 0);
	CHECK("as always", has(p, "rw-p") && status_of(self, "told") == 0);
}

/* What the program that is started sees: bits of its status. */
static int told(const char *word)
{
	char *p = mmap(NULL, PAGE, PROT_READ, ANON, -1, 0), here;
	int runs = has(p, "r-xp"), stack = has(&here, "rwxp"), data = has(&passed, "rwxp"), person = personality(0xffffffff) == READ_IMPLIES_EXEC;

	(void)word;
	if (runs != person || runs != data)
		return 50;
	return runs | stack << 1;
}

/* A copy of this program with another PT_GNU_STACK: flags, or none at all. */
static int with_stack(const char *path, int keep, unsigned flags)
{
	int in = open("/proc/self/exe", O_RDONLY), out = open(path, O_RDWR | O_CREAT | O_TRUNC, 0755);
	struct stat st;
	char *image;

	if (in < 0 || out < 0 || fstat(in, &st) != 0 || fchmod(out, 0755) != 0 || ftruncate(out, st.st_size) != 0)
		return 0;
	image = mmap(NULL, (size_t)st.st_size, RW, MAP_SHARED, out, 0);
	if (image == MAP_FAILED || read(in, image, (size_t)st.st_size) != st.st_size)
		return 0;
#ifdef __x86_64__
	Elf64_Ehdr *e = (Elf64_Ehdr *)(void *)image;
	Elf64_Phdr *p = (Elf64_Phdr *)(void *)(image + e->e_phoff);
#else
	Elf32_Ehdr *e = (Elf32_Ehdr *)(void *)image;
	Elf32_Phdr *p = (Elf32_Phdr *)(void *)(image + e->e_phoff);
#endif
	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_GNU_STACK) {
			p[i].p_type = keep ? PT_GNU_STACK : PT_NULL;
			p[i].p_flags = flags;
		}
	munmap(image, (size_t)st.st_size);
	close(in);
	close(out);
	return 1;
}

/* Whatever is told is noted. */
static void check_noted(void)
{
	static const unsigned said[] = { 0x20000, ADDR_NO_RANDOMIZE, 0x80000, MMAP_PAGE_ZERO, ADDR_COMPAT_LAYOUT, ADDR_LIMIT_32BIT, SHORT_INODE,
					 WHOLE_SECONDS, STICKY_TIMEOUTS, ADDR_LIMIT_3GB, 8, 0x12345678 };

	for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		CHECK("noted", personality(said[i]) == (int)(i ? said[i - 1] : 0) && personality(0xffffffff) == (int)said[i]);
	personality(0);
}

/* The status of a program that is started with that personality. */
static int started_with(unsigned person, const char *word)
{
	int status;

	personality(person);
	status = status_of(self, word);
	personality(0);
	return status;
}

/* Places from low to high, and page 0: seen by the program that is started. */
static void check_places(void)
{
	CHECK("from high to low", started_with(0, "places") == 0);
	CHECK("from low to high", started_with(ADDR_COMPAT_LAYOUT, "places") == 1);
	CHECK("page 0", started_with(MMAP_PAGE_ZERO, "places") == 2);
}

static int places(void)
{
	char *a = mmap(NULL, PAGE, RW, ANON, -1, 0), *b = mmap(NULL, PAGE, RW, ANON, -1, 0);

	return (a < b) | has(NULL, "r-xp") << 1;
}

/* A new stack: pages of its area. */
static int stack_pages(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	char line[256];
	int pages = 0;

	while (f && !pages && fgets(line, sizeof(line), f))
		if (strstr(line, "[stack]") && sscanf(line, "%lx-%lx", &start, &end) == 2)
			pages = (int)((end - start) / PAGE);
	fclose(f);
	return pages;
}

/* The same of a program that is started under a limit; -1: it did not come so far. */
static int stack_under(unsigned long limit)
{
	struct rlimit was, now;
	int status;

	getrlimit(RLIMIT_STACK, &was);
	now = (struct rlimit){ limit, was.rlim_max };
	setrlimit(RLIMIT_STACK, &now);
	status = status_of(self, "stack");
	setrlimit(RLIMIT_STACK, &was);
	return status;
}

static void check_stack(void)
{
	CHECK("128 KiB and what the strings take", stack_under(8 << 20) == 33 && stack_under(200 << 20) == 33);
	CHECK("the limit", stack_under(16 * PAGE) == 16 && stack_under(16 * PAGE + 1) == 16);
}

static void check_headers(void)
{
	char path[] = "/tmp/personality.XXXXXX";
	int old = sizeof(long) == 8 ? 0 : 3;

	close(mkstemp(path));
	CHECK("PT_GNU_STACK: RW", with_stack(path, 1, PF_R | PF_W) && status_of(path, "told") == 0);
	CHECK("PT_GNU_STACK: RWX", with_stack(path, 1, PF_R | PF_W | PF_X) && status_of(path, "told") == 2);
	CHECK("none", with_stack(path, 0, 0) && status_of(path, "told") == old);
	unlink(path);
}

static void check_auxv(void)
{
	const char *name = (const char *)getauxval(AT_EXECFN), *platform = (const char *)getauxval(AT_PLATFORM);
	extern const char __ehdr_start[] __attribute__((visibility("hidden")));

	CHECK("sizes", getauxval(AT_PAGESZ) == PAGE && getauxval(AT_CLKTCK) == 100 && getauxval(AT_SECURE) == 0 && getauxval(AT_FLAGS) == 0);
	CHECK("headers", (const char *)getauxval(AT_PHDR) > __ehdr_start && (const char *)getauxval(AT_PHDR) < __ehdr_start + PAGE &&
				 getauxval(AT_PHENT) == (sizeof(long) == 8 ? 56 : 32) && getauxval(AT_PHNUM) > 2);
	CHECK("a static program", getauxval(AT_BASE) == 0 && has((void *)getauxval(AT_ENTRY), "r-xp"));
	CHECK("who", getauxval(AT_UID) == getuid() && getauxval(AT_EUID) == geteuid() && getauxval(AT_GID) == getgid());
	CHECK("texts", name && strcmp(name, self) == 0 && platform && strcmp(platform, sizeof(long) == 8 ? "x86_64" : "i686") == 0);
	CHECK("sixteen bytes", getauxval(AT_RANDOM) != 0 && has((void *)getauxval(AT_RANDOM), "rw-p"));
	CHECK("a signal's frame", getauxval(AT_MINSIGSTKSZ) >= 512);
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[2], "stack") == 0)
		return stack_pages();
	if (argc > 2 && strcmp(argv[2], "places") == 0)
		return places();
	if (argc > 2)
		return told(argv[2]);
	self = argv[0][0] == '/' ? argv[0] : (const char *)getauxval(AT_EXECFN);
	check_auxv();
	check_said();
	check_noted();
	check_places();
	check_stack();
	check_headers();
	return sum();
}
