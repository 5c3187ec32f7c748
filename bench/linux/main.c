/* SPDX-License-Identifier: MIT */
/*
 * usage: versus PART...    PART: faults calls forks areas large scale=N memory
 *
 * As process 1 of Linux it mounts /proc, feeds the random pool and restarts the machine at the end. Elsewhere it is an
 * ordinary program: /proc is there. The last line is "versus: end STATUS"; 1: a check has failed, 2: it could not go on.
 */
#include "versus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- pieces ---- */

char *map_at(void *at, size_t bytes, int prot)
{
	int fixed = at ? MAP_FIXED : 0;
	void *p = mmap(at, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

char *map(size_t bytes)
{
	return map_at(NULL, bytes, PROT_READ | PROT_WRITE);
}

void unmap(void *p, size_t bytes)
{
	if (munmap(p, bytes) != 0)
		die("munmap");
}

void write_all(volatile char *p, long nr_pages, char value)
{
	for (long i = 0; i < nr_pages; i++)
		p[i * PAGE] = value;
}

long do_fork(void)
{
	long pid = syscall(SYS_fork);

	if (pid < 0)
		die("fork");
	return pid;
}

void wait_for(long pid, int exit_status)
{
	int status = -1;

	while (syscall(SYS_wait4, pid, &status, 0, NULL) < 0)
		if (errno != EINTR)
			die("wait4");
	check(WIFEXITED(status) && WEXITSTATUS(status) == exit_status, "a child ended with %#x, not status %d", status,
	      exit_status);
}

/* ---- Linux's init ---- */

/*
 * Nothing in this guest feeds the random pool, and a pool that is not ready is hashed at every use: a tenth of an
 * mmap+munmap pair. A real system is past that stage, so it gets its due here.
 */
static void credit_entropy(void)
{
	static const char seed[64] = "any bytes will do, they only have to be counted";
	struct {
		struct rand_pool_info head;
		char bytes[64];
	} pool;
	int fd = open("/dev/random", O_RDWR);

	pool.head.entropy_count = 512;
	pool.head.buf_size = sizeof(pool.bytes);
	memcpy(pool.head.buf, seed, sizeof(seed));
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) != 0)
		die("/dev/random");
	close(fd);
}

static void be_init(void)
{
	if (mount("proc", "/proc", "proc", 0, NULL) != 0)
		die("/proc");
	credit_entropy();
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); /* pages of 4 KiB are compared */
}

static void leave(int status, int is_init)
{
	say("versus: end %d\n", status);
	if (is_init)
		reboot(RB_AUTOBOOT);
	exit(status);
}

static int is_part(const char *word)
{
	static const char *const parts[] = { "faults", "calls", "forks", "areas", "large", "memory" };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(word, parts[i]) == 0)
			return 1;
	return strncmp(word, "scale=", 6) == 0;
}

static void run_part(const char *part)
{
	say("versus: %s\n", part);
	if (strcmp(part, "faults") == 0)
		run_faults();
	else if (strcmp(part, "calls") == 0)
		run_calls();
	else if (strcmp(part, "forks") == 0)
		run_forks();
	else if (strcmp(part, "areas") == 0)
		run_areas();
	else if (strcmp(part, "large") == 0)
		run_large();
	else if (strcmp(part, "memory") == 0)
		run_memory();
	else
		run_scale(atoi(part + 6));
}

int main(int argc, char **argv)
{
	uint64_t since_power_on = ticks();
	int is_init = getpid() == 1;

	if (is_init)
		be_init();
	calibrate();
	print_value("power-on-to-main", "insns", (double)since_power_on);
	for (int i = 1; i < argc; i++) {
		if (is_part(argv[i]))
			run_part(argv[i]);
		else if (!is_init) /* init is also given words of the kernel's command line */
			die("unknown part %s", argv[i]);
	}
	leave(end_of_checks(), is_init);
}
