/* SPDX-License-Identifier: MIT */
/*
 * What things are called: by maps, by the links in /proc/self/fd, /proc/self/exe and cwd, after renames, removals, and with several
 * names; and mappings of /dev/zero, which are memory with a name. "names link" is how it starts itself. On Linux too. Ends with
 * "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096, RW = PROT_READ | PROT_WRITE, ADV_REMOVE = 9, ADV_WIPEONFORK = 18 };

/* The line of maps about an address: pages, rights, offset, and name ("" for none). */
struct line {
	unsigned long pages, offset, ino;
	char rights[8], name[256];
};

static struct line line_of(const void *at)
{
	FILE *f = fopen("/proc/self/maps", "r");
	struct line l = { .name = "none" };
	unsigned long start, end;
	char text[512];

	while (f && fgets(text, sizeof(text), f)) {
		char *name = strchr(text, '/');

		if (sscanf(text, "%lx-%lx %7s %lx %*s %lu", &start, &end, l.rights, &l.offset, &l.ino) == 5 && (uintptr_t)at >= start && (uintptr_t)at < end) {
			snprintf(l.name, sizeof(l.name), "%s", name ? name : "");
			l.name[strcspn(l.name, "\n")] = 0;
			l.pages = (end - start) / PAGE;
			break;
		}
	}
	if (f)
		fclose(f);
	return l;
}

static int link_says(const char *link, const char *want)
{
	char seen[256] = "";

	return readlink(link, seen, sizeof(seen) - 1) == (ssize_t)strlen(want) && strcmp(seen, want) == 0;
}

/* A mapping, the descriptor it came by, and what both are called. */
struct named {
	int fd;
	char *p;
};

static struct named open_named(const char *path)
{
	struct named n = { open(path, O_RDWR | O_CREAT, 0644), MAP_FAILED };

	if (ftruncate(n.fd, PAGE) == 0)
		n.p = mmap(NULL, PAGE, RW, MAP_SHARED, n.fd, 0);
	return n;
}

static int is_called(const struct named *n, const char *name)
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", n->fd);
	return strcmp(line_of(n->p).name, name) == 0 && link_says(link, name);
}

static void close_named(struct named *n)
{
	munmap(n->p, PAGE);
	close(n->fd);
}

static void check_renamed(void)
{
	struct named a = open_named("a"), again;

	CHECK("made", is_called(&a, "/tmp/names/a"));
	CHECK("renamed", rename("a", "b") == 0 && is_called(&a, "/tmp/names/b"));
	CHECK("into another directory", mkdir("d", 0755) == 0 && rename("b", "d/c") == 0 && is_called(&a, "/tmp/names/d/c"));
	CHECK("which is renamed", rename("d", "e") == 0 && is_called(&a, "/tmp/names/e/c"));
	again = open_named("x");
	CHECK("replaced", rename("x", "e/c") == 0 && is_called(&a, "/tmp/names/e/c (deleted)") && is_called(&again, "/tmp/names/e/c"));
	CHECK("gone too", unlink("e/c") == 0 && rmdir("e") == 0 && is_called(&again, "/tmp/names/e/c (deleted)"));
	close_named(&a), close_named(&again);
}

static void check_removed(void)
{
	struct named old = open_named("a"), new;

	CHECK("removed", unlink("a") == 0 && is_called(&old, "/tmp/names/a (deleted)"));
	new = open_named("a");
	CHECK("made again", is_called(&old, "/tmp/names/a (deleted)") && is_called(&new, "/tmp/names/a"));
	close(old.fd);
	CHECK("closed", strcmp(line_of(old.p).name, "/tmp/names/a (deleted)") == 0);
	CHECK("renamed after it was closed", close(new.fd) == 0 && rename("a", "b") == 0 && strcmp(line_of(new.p).name, "/tmp/names/b") == 0);
	munmap(old.p, PAGE), munmap(new.p, PAGE);
	unlink("b");
}

/* Each opening has the name that it came by. */
static void check_links(void)
{
	struct named first = open_named("first"), second;

	CHECK("linked", link("first", "second") == 0 && is_called(&first, "/tmp/names/first"));
	second = open_named("second");
	CHECK("each its own", is_called(&first, "/tmp/names/first") && is_called(&second, "/tmp/names/second"));
	CHECK("one is gone", unlink("first") == 0 && is_called(&first, "/tmp/names/first (deleted)") && is_called(&second, "/tmp/names/second"));
	CHECK("another of that name", link("second", "first") == 0 && is_called(&first, "/tmp/names/first (deleted)"));
	unlink("first"), unlink("second");
	close_named(&first), close_named(&second);
}

static void check_directories(void)
{
	CHECK("into one", mkdir("d", 0755) == 0 && chdir("d") == 0 && link_says("/proc/self/cwd", "/tmp/names/d"));
	CHECK("renamed", rename("/tmp/names/d", "/tmp/names/e") == 0 && link_says("/proc/self/cwd", "/tmp/names/e"));
	CHECK("removed", rmdir("/tmp/names/e") == 0 && link_says("/proc/self/cwd", "/tmp/names/e (deleted)"));
	CHECK("back", chdir("/tmp/names") == 0);
}

/* What a program is called that is renamed, and removed, while it runs. */
static int started(void)
{
	if (!link_says("/proc/self/exe", "/tmp/names/program"))
		return 1;
	if (rename("/tmp/names/program", "/tmp/names/other") != 0 || !link_says("/proc/self/exe", "/tmp/names/other") ||
	    strcmp(line_of((void *)(uintptr_t)started).name, "/tmp/names/other") != 0)
		return 2;
	if (unlink("/tmp/names/other") != 0 || !link_says("/proc/self/exe", "/tmp/names/other (deleted)") ||
	    strcmp(line_of((void *)(uintptr_t)started).name, "/tmp/names/other (deleted)") != 0)
		return 3;
	return fork() ? (wait(NULL), 0) : link_says("/proc/self/exe", "/tmp/names/other (deleted)") ? 0 : 4;
}

static void check_program(void)
{
	static char bytes[1 << 16];
	int in = open("/proc/self/exe", O_RDONLY), out = open("program", O_WRONLY | O_CREAT, 0755), status = -1;
	ssize_t n;

	while ((n = read(in, bytes, sizeof(bytes))) > 0 && write(out, bytes, (size_t)n) == n)
		;
	close(in), close(out);
	if (fork() == 0) {
		execl("program", "names", "started", (char *)NULL);
		_exit(99);
	}
	wait(&status);
	CHECK("a program", status == 0);
}

/* ---- /dev/zero ---- */

static sigjmp_buf back;

static void on_fault(int sig)
{
	siglongjmp(back, sig);
}

static int poke(volatile char *p)
{
	int sig = sigsetjmp(back, 1);

	if (sig == 0)
		*p = 1;
	return sig;
}

static int reads(const void *p, const char *rights, unsigned long offset, const char *name)
{
	struct line l = line_of(p);

	return strcmp(l.rights, rights) == 0 && l.offset == offset && strcmp(l.name, name) == 0 && (l.ino != 0) == (*name != 0);
}

static void check_zero(void)
{
	int zero = open("/dev/zero", O_RDWR), ro = open("/dev/zero", O_RDONLY), wo = open("/dev/zero", O_WRONLY);
	char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p, *q;

	p = mmap(NULL, 4 * PAGE, RW, MAP_PRIVATE, zero, 8 * PAGE);
	CHECK("private", reads(p, "rw-p", 8 * PAGE, "/dev/zero") && poke(p) == 0 && p[PAGE] == 0);
	CHECK("a file to advice", madvise(p, PAGE, ADV_WIPEONFORK) == -1 && errno == EINVAL && madvise(p, PAGE, ADV_REMOVE) == -1 && errno == EACCES);
	q = mremap(p, 4 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK("moved", q != MAP_FAILED && line_of(q).pages == 8 && *q == 1 && strcmp(line_of(q).name, "/dev/zero") == 0);
	munmap(q, 8 * PAGE);
	for (int i = 0; i < 4; i++)
		mmap(room + 2 * i * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, i < 3 ? zero : ro, (i == 1 ? 7 : 2 * i) * PAGE);
	CHECK("one area only where the offset goes on, of one opening", line_of(room).pages == 2 && line_of(room + 2 * PAGE).pages == 2 &&
									 line_of(room + 4 * PAGE).pages == 2 && line_of(room + 6 * PAGE).pages == 2);
	CHECK("that of the gap", mmap(room + 2 * PAGE, 2 * PAGE, RW, MAP_PRIVATE | MAP_FIXED, zero, 2 * PAGE) != MAP_FAILED && line_of(room).pages == 6);
	CHECK("no stack", mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_GROWSDOWN, zero, 0) == MAP_FAILED && errno == EINVAL);
	p = mmap(NULL, PAGE, RW, MAP_SHARED, zero, 0);
	CHECK("shared", reads(p, "rw-s", 0, "/dev/zero (deleted)") && poke(p) == 0);
	p = mmap(NULL, PAGE, RW, MAP_SHARED, zero, PAGE);
	CHECK("shared, behind its end", reads(p, "rw-s", PAGE, "/dev/zero (deleted)") && poke(p) == SIGBUS);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, 0);
	CHECK("shared to be read", reads(p, "r--s", 0, "/dev/zero") && *p == 0 && mprotect(p, PAGE, RW) == -1 && errno == EACCES);
	CHECK("not to be written", mmap(NULL, PAGE, RW, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	CHECK("not to be read", mmap(NULL, PAGE, PROT_WRITE, MAP_PRIVATE, wo, 0) == MAP_FAILED && errno == EACCES);
	CHECK("a flag that is not known", mmap(NULL, PAGE, RW, 3 | 0x2000000, zero, 0) == MAP_FAILED && errno == EOPNOTSUPP);
	CHECK("anonymous", reads(mmap(room, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, zero, 0), "rw-p", 0, ""));
	munmap(room, 8 * PAGE);
	close(zero), close(ro), close(wo);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return started();
	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	mkdir("/tmp", 0777);
	CHECK("a place", mkdir("/tmp/names", 0755) == 0 && chdir("/tmp/names") == 0);
	check_renamed();
	check_removed();
	check_links();
	check_directories();
	check_program();
	check_zero();
	CHECK("nothing is left", chdir("/") == 0 && rmdir("/tmp/names") == 0);
	return sum();
}
