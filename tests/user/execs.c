/* SPDX-License-Identifier: MIT */
/*
 * execs.c - what execve() refuses, with which error, and what it hands over. Files are made below /tmp. Runs on Linux too,
 * which is what the expectations are from.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#ifdef __x86_64__
enum { MACHINE = EM_X86_64, CLASS = ELFCLASS64, BASE = 0x400000 };
#else
enum { MACHINE = EM_386, CLASS = ELFCLASS32, BASE = 0x8048000 };
#endif

static char dir[] = "/tmp/execs.XXXXXX";

static const char *path(const char *name)
{
	static char text[4][64];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(text[turn], sizeof(text[turn]), "%s/%s", dir, name);
	return text[turn];
}

static const char *make(const char *name, const void *bytes, size_t len, mode_t mode)
{
	const char *file = path(name);
	int fd;

	unlink(file);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len || fchmod(fd, mode) != 0)
		CHECK("making a file", !"possible");
	close(fd);
	return file;
}

static const char *make_text(const char *name, const char *text)
{
	return make(name, text, strlen(text), 0700);
}

/* A program of one segment, with an interpreter. */
struct image {
	ElfW(Ehdr) header;
	ElfW(Phdr) segment[2];
	char interp[80];
};

static struct image good(const char *interp)
{
	struct image i = { .header = { .e_type = ET_EXEC, .e_machine = MACHINE, .e_version = 1, .e_entry = BASE,
				       .e_phoff = offsetof(struct image, segment), .e_ehsize = sizeof(ElfW(Ehdr)),
				       .e_phentsize = sizeof(ElfW(Phdr)), .e_phnum = 2 } };

	memcpy(i.header.e_ident, ELFMAG, SELFMAG);
	i.header.e_ident[EI_CLASS] = CLASS;
	i.header.e_ident[EI_DATA] = ELFDATA2LSB;
	i.header.e_ident[EI_VERSION] = EV_CURRENT;
	i.segment[0] = (ElfW(Phdr)){ .p_type = PT_INTERP, .p_offset = offsetof(struct image, interp), .p_filesz = strlen(interp) + 1 };
	i.segment[1] = (ElfW(Phdr)){ .p_type = PT_LOAD, .p_vaddr = BASE, .p_paddr = BASE, .p_filesz = sizeof(i),
				     .p_memsz = sizeof(i), .p_flags = PF_R | PF_X, .p_align = 4096 };
	snprintf(i.interp, sizeof(i.interp), "%s", interp);
	return i;
}

/* The error of running it, 0 when it ran: in a child, whatever comes of it. */
static int run(const char *file, char *const argv[], char *const envp[])
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execve(file, argv, envp);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int error_of(const char *file)
{
	char *argv[] = { (char *)file, NULL };

	return run(file, argv, (char *[]){ NULL });
}

static int error_with(const char *name, const struct image *i)
{
	return error_of(make(name, i, sizeof(*i), 0700));
}

static void interpreters(void)
{
	struct image i = good(path("nowhere"));

	CHECK("an interpreter that is not there", error_with("a", &i) == ENOENT);
	i = good(dir);
	CHECK("a directory as interpreter", error_with("a", &i) == EACCES);
	i = good(make("plain", "\177ELF", 4, 0600));
	CHECK("an interpreter that is not executable", error_with("a", &i) == EACCES);
	i = good(make_text("text", "this is text, and more of it than a header of an ELF file has bytes in either class\n"));
	CHECK("text as interpreter", error_with("a", &i) == ELIBBAD);
	i = good(make_text("short", "short"));
	CHECK("an interpreter too short for a header", error_with("a", &i) == EIO);
	i = good(path("other"));
	i.header.e_machine = EM_ARM;
	make("other", &i, sizeof(i), 0700);
	i.header.e_machine = MACHINE;
	CHECK("an interpreter for another processor", error_with("a", &i) == ELIBBAD);
	i = good(path("script"));
	make_text("script", "#!/bin/sh\n# an interpreter must not be a script, whatever its length may be, is what execve says to this\n");
	CHECK("a script as interpreter", error_with("a", &i) == ELIBBAD);
}

static void damaged(void)
{
	struct image i = good("/x");

	i.segment[0].p_filesz = 1;
	CHECK("an interpreter without a name", error_with("a", &i) == ENOEXEC);
	i.segment[0].p_filesz = 2;
	CHECK("a name without an end", error_with("a", &i) == ENOEXEC);
	i.segment[0].p_filesz = 5000;
	CHECK("a name that is too long", error_with("a", &i) == ENOEXEC);
	i = good("/x");
	i.segment[0].p_offset = 100000;
	CHECK("a name beyond the end of the file", error_with("a", &i) == EIO);
	i = good("/x");
	i.header.e_phnum = 0;
	CHECK("no program headers", error_with("a", &i) == ENOEXEC);
	i = good("/x");
	i.header.e_phoff = 1000000;
	CHECK("program headers beyond the end", error_with("a", &i) == ENOEXEC);
	i = good("/x");
	i.header.e_machine = EM_ARM;
	CHECK("a program for another processor", error_with("a", &i) == ENOEXEC);
	i = good("/x");
	i.header.e_type = ET_REL;
	CHECK("an object file", error_with("a", &i) == ENOEXEC);
	CHECK("an empty file", error_of(make("a", "", 0, 0700)) == ENOEXEC);
}

static void scripts(void)
{
	char text[100];
	const char *last = make_text("s0", "#!/proc/self/exe\n");

	CHECK("a script that names nobody", error_of(make_text("a", "#!\n")) == ENOEXEC);
	CHECK("a script of blanks", error_of(make_text("a", "#!  \t \n")) == ENOEXEC);
	CHECK("a script of a missing one", error_of(make_text("a", "#!/nowhere/at/all\n")) == ENOENT);
	CHECK("a script of a directory", error_of(make_text("a", "#!/tmp\n")) == EACCES);
	for (int n = 1; n <= 6; n++) {
		snprintf(text, sizeof(text), "#! %s \n", last);
		snprintf(text + 80, 20, "s%d", n);
		last = make_text(text + 80, text);
	}
	CHECK("a script of a script of a script ...", error_of(last) == ELOOP);
	CHECK("a directory", error_of(dir) == EACCES);
	CHECK("a file in the way", error_of(path("s0/x")) == ENOTDIR);
	CHECK("a name that is too long", error_of("/tmp/0123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
		"01234567890123456789") == ENAMETOOLONG);
}

static void busy(void)
{
	struct image i = good(path("interp"));
	int fd = open(make("interp", &i, sizeof(i), 0700), O_RDWR);

	CHECK("an interpreter that is being written", error_with("a", &i) == ETXTBSY);
	close(fd);
	fd = open(make("b", &i, sizeof(i), 0700), O_WRONLY);
	CHECK("a program that is being written", error_of(path("b")) == ETXTBSY);
	close(fd);
}

/* Strings may have 128 KiB each, and a quarter of the stack's limit with their pointers. */
static void sizes(const char *self)
{
	static char longest[(128 << 10) + 1], *argv[3000];
	struct rlimit stack = { 4 << 20, 8 << 20 };
	char *two[] = { "execs", longest, NULL };

	memset(longest, 'x', (128 << 10) - 1);
	setenv("EXECS", "quit", 1);
	CHECK("the longest string", run(self, two, environ) == 77);
	longest[(128 << 10) - 1] = 'x';
	CHECK("one byte more", run(self, two, environ) == E2BIG);
	longest[1000] = 0;
	for (int n = 0; n < 2999; n++)
		argv[n] = longest;
	CHECK("3 MB of 2 MB", run(self, argv, environ) == E2BIG);
	argv[1900] = NULL;
	CHECK("1.9 MB of 2 MB", run(self, argv, environ) == 77);
	setrlimit(RLIMIT_STACK, &stack);
	CHECK("1.9 MB of 1 MB", run(self, argv, environ) == E2BIG);
	argv[900] = NULL;
	CHECK("0.9 MB of 1 MB", run(self, argv, environ) == 77);
}

/* What the program gets beside its strings. */
static void vector(const char *self)
{
	const ElfW(Phdr) *ph = (const void *)getauxval(AT_PHDR);
	char real[200] = "";

	CHECK("AT_PAGESZ", getauxval(AT_PAGESZ) == 4096);
	CHECK("AT_PHENT", getauxval(AT_PHENT) == sizeof(*ph));
	CHECK("AT_PHNUM", getauxval(AT_PHNUM) > 1 && getauxval(AT_PHNUM) < 30);
	CHECK("AT_PHDR", ph && ph[0].p_flags != 0);
	CHECK("AT_BASE of a static program", getauxval(AT_BASE) == 0);
	CHECK("AT_ENTRY", getauxval(AT_ENTRY) != 0);
	CHECK("AT_RANDOM", getauxval(AT_RANDOM) != 0);
	CHECK("AT_CLKTCK", getauxval(AT_CLKTCK) == 100);
	CHECK("AT_SECURE", getauxval(AT_SECURE) == 0);
	CHECK("AT_EXECFN is the name that was given", strcmp((const char *)getauxval(AT_EXECFN), self) == 0);
	CHECK("/proc/self/exe", readlink("/proc/self/exe", real, sizeof(real) - 1) > 0 && strstr(real, "execs"));
}

static void clean_up(void)
{
	DIR *d = opendir(dir);
	const struct dirent *e;

	while (d && (e = readdir(d)) != NULL)
		unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	const char *quit = getenv("EXECS");

	if (quit)
		return argc ? 77 : 1;
	if (!mkdtemp(dir))
		return 2;
	vector(argv[0][0] == '/' || strchr(argv[0], '/') ? argv[0] : "/bin/execs");
	interpreters();
	damaged();
	scripts();
	busy();
	sizes("/proc/self/exe");
	clean_up();
	return sum();
}
