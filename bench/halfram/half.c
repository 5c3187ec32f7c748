/* SPDX-License-Identifier: MIT */
/*
 * A program in a set amount of memory: half KIB|all SWAP_KIB SHELL_COMMAND.
 *
 * All files that are there are locked in memory, then as much as leaves KIB above what the kernel keeps free while it swaps, so on
 * either kernel the program has the same number of frames and what else is in memory cannot make room. As process 1 of Linux it first makes a RAM disk of SWAP_KIB with
 * /brd.ko for swap; elsewhere there is swap. The command runs by /bin/dash; of its output, which goes to a file, and of how it went:
 *
 *	half:	STATUS	OUTPUT_BYTES	OUTPUT_SUM	MAJOR_FAULTS	SWAPPED_IN	SWAPPED_OUT	PEAK_KIB	NANOSECONDS
 *
 * PEAK_KIB: by how much the free pages, those in CPUs' own lists too, became fewer at most, looked at now and then. NANOSECONDS: from its start to its end, which are
 * instructions where the emulator counts. The last line is "versus: end STATUS"; 2: it could
 * not go on.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, LOOK_US = 5000, NEAR_KIB = 64, PROBE_KIB = 4096, PROBE_STEP = 16, PROBE_PAGES = 4000 };

static int is_linux;

__attribute__((noreturn)) static void leave(int status)
{
	printf("versus: end %d\n", status);
	fflush(stdout);
	if (is_linux)
		reboot(RB_AUTOBOOT);
	exit(status);
}

static void must(int good, const char *what)
{
	if (good)
		return;
	printf("half: %s: %s\n", what, strerror(errno));
	leave(2);
}

/* Of /proc/meminfo or vmstat. */
static uint64_t value(const char *path, const char *key)
{
	char line[256];
	FILE *f = fopen(path, "re");
	uint64_t v = 0;

	must(f != NULL, path);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, strlen(key)) == 0)
			v = strtoull(line + strlen(key) + strspn(line + strlen(key), ": "), NULL, 10);
	fclose(f);
	return v;
}

/* Free pages that a CPU keeps for itself, which Linux does not count as free, and which may be tens of MiB there. */
static uint64_t kept_by_cpus_kib(void)
{
	char line[256];
	uint64_t pages = 0, here;
	FILE *f = fopen("/proc/zoneinfo", "re");

	must(f != NULL, "/proc/zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %" SCNu64, &here) == 1)
			pages += here;
	fclose(f);
	return pages * PAGE >> 10;
}

static uint64_t free_kib(void) { return value("/proc/meminfo", "MemFree") + kept_by_cpus_kib(); }
/* Without what a kernel keeps for requests that no other frames can serve: locking that would end us. */
static uint64_t available_kib(void) { return value("/proc/meminfo", "MemAvailable"); }

/* ---- swap ---- */

static void make_swap(const char *device, uint64_t kib)
{
	int fd = open(device, O_RDWR);
	uint32_t page[PAGE / 4] = { 0 };

	must(fd >= 0, device);
	for (uint64_t at = PAGE; at < kib << 10; at += PAGE) /* the disk takes its memory when it is written to */
		must(pwrite(fd, page, PAGE, (off_t)at) == PAGE, "filling the RAM disk");
	page[256] = 1;
	page[257] = (uint32_t)(kib / 4 - 1);
	memcpy((char *)page + PAGE - 10, "SWAPSPACE2", 10);
	must(pwrite(fd, page, PAGE, 0) == PAGE && fsync(fd) == 0, "the RAM disk");
	must(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0, "its cache");
	close(fd);
	must(swapon(device, 0) == 0, "swapon");
}

static void start_linux(uint64_t kib)
{
	char words[64];
	int fd = open("/brd.ko", O_RDONLY);

	is_linux = 1;
	must(mount("proc", "/proc", "proc", 0, NULL) == 0, "/proc");
	snprintf(words, sizeof(words), "rd_nr=1 rd_size=%llu", (unsigned long long)kib);
	must(fd >= 0 && syscall(SYS_finit_module, fd, words, 0) == 0, "brd.ko");
	close(fd);
	make_swap("/dev/ram0", kib);
}

/* ---- memory ---- */

static int lock_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	void *at;
	int fd;

	(void)where;
	if (kind == FTW_D && (strcmp(path, "/proc") == 0 || strcmp(path, "/dev") == 0 || strcmp(path, "/sys") == 0))
		return FTW_SKIP_SUBTREE;
	if (kind != FTW_F || !S_ISREG(st->st_mode) || !st->st_size)
		return FTW_CONTINUE;
	fd = open(path, O_RDONLY);
	must(fd >= 0, path);
	at = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_SHARED, fd, 0);
	must(at != MAP_FAILED && mlock(at, (size_t)st->st_size) == 0, path);
	close(fd);
	return FTW_CONTINUE;
}

/* Until no more than that is left by this account. A little less than it takes first, since page tables take some too. */
static void hold_all_but(uint64_t kib, uint64_t (*left)(void))
{
	for (uint64_t is = left(); is > kib + NEAR_KIB; is = left()) {
		size_t bytes = (size_t)((is - kib) * 15 / 16 * 1024) & ~(size_t)(PAGE - 1);
		void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		must(at != MAP_FAILED && mlock(at, bytes) == 0, "holding memory");
	}
}

/* A child writes to memory until pages have gone out for a while: the least that is free meanwhile. */
__attribute__((noreturn)) static void find_floor(uint64_t *floor)
{
	uint64_t start = value("/proc/vmstat", "pswpout"), went = 0, now;

	*floor = UINT64_MAX;
	while (went < PROBE_PAGES) {
		char *at = mmap(NULL, PROBE_STEP * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED)
			_exit(1);
		for (unsigned i = 0; i < PROBE_STEP * PAGE; i += 64)
			at[i] = (char)(i / 7 + went);
		went = value("/proc/vmstat", "pswpout") - start;
		now = free_kib();
		*floor = now < *floor ? now : *floor;
	}
	_exit(0);
}

/*
 * What a kernel keeps free while it swaps is no memory that a program has, and kernels differ in that, and in what they call
 * available: so this is found by trying.
 */
static uint64_t kept_free(void)
{
	uint64_t *floor = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t pid;

	must(floor != MAP_FAILED && mlock(floor, PAGE) == 0, "a shared page");
	pid = fork();
	if (pid == 0)
		find_floor(floor);
	must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0, "finding what is kept free");
	return *floor;
}

static void leave_free(uint64_t kib)
{
	uint64_t floor;

	hold_all_but(kib + PROBE_KIB, available_kib);
	floor = kept_free();
	printf("half: keeps %llu KiB free\n", (unsigned long long)floor);
	hold_all_but(floor + kib, free_kib);
}

/* ---- the program ---- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const char out[] = "/tmp/.out";

__attribute__((noreturn)) static void run(const char *command)
{
	static char *const env[] = { "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LC_ALL=C", NULL };
	int in = open("/dev/null", O_RDONLY), to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (in < 0 || to < 0 || dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(to, 2) < 0)
		_exit(126);
	execle("/bin/dash", "/bin/dash", "-c", command, (char *)NULL, env);
	perror("/bin/dash"); /* the output is another then, and shows it */
	_exit(127);
}

/* What it wrote, for the console, when it went wrong. */
static void show_output(void)
{
	char line[200];
	FILE *f = fopen(out, "re");

	while (f && fgets(line, sizeof(line), f))
		printf("half: said: %s", line);
	if (f)
		fclose(f);
}

static uint64_t sum_of_output(uint64_t *sum)
{
	FILE *f = fopen(out, "re");
	uint64_t bytes = 0;

	*sum = 0xcbf29ce484222325u; /* FNV-1a */
	for (int c; f && (c = getc(f)) != EOF; bytes++)
		*sum = (*sum ^ (uint64_t)c) * 0x100000001b3u;
	if (f)
		fclose(f);
	return bytes;
}

static uint64_t wait_for(pid_t pid, int *status, struct rusage *usage)
{
	uint64_t before = free_kib(), least = before, now;

	while (wait4(pid, status, WNOHANG, usage) == 0) {
		usleep(LOOK_US);
		now = free_kib();
		least = now < least ? now : least;
	}
	return before - least;
}

int main(int argc, char **argv)
{
	uint64_t major, in, went_out, peak, sum, bytes, start;
	struct rusage usage;
	int status = -1;
	pid_t pid;

	must(argc == 4, "half KIB|all SWAP_KIB COMMAND");
	if (getpid() == 1 && access("/proc/meminfo", F_OK) != 0)
		start_linux(strtoull(argv[2], NULL, 10));
	mkdir("/tmp", 0777);
	must(nftw("/", lock_file, 16, FTW_PHYS | FTW_ACTIONRETVAL) == 0, "locking files");
	must(mlockall(MCL_CURRENT) == 0, "locking ourselves");
	if (strcmp(argv[1], "all") != 0)
		leave_free(strtoull(argv[1], NULL, 10));
	major = value("/proc/vmstat", "pgmajfault");
	in = value("/proc/vmstat", "pswpin");
	went_out = value("/proc/vmstat", "pswpout");
	start = now_ns();
	pid = fork();
	if (pid == 0)
		run(argv[3]);
	must(pid > 0, "fork");
	peak = wait_for(pid, &status, &usage);
	start = now_ns() - start;
	major = value("/proc/vmstat", "pgmajfault") - major;
	in = value("/proc/vmstat", "pswpin") - in;
	went_out = value("/proc/vmstat", "pswpout") - went_out;
	bytes = sum_of_output(&sum);
	if (status != 0)
		show_output();
	printf("half:\t%d\t%llu\t%016llx\t%llu\t%llu\t%llu\t%llu\t%llu\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	       (unsigned long long)bytes, (unsigned long long)sum, (unsigned long long)major, (unsigned long long)in,
	       (unsigned long long)went_out, (unsigned long long)peak, (unsigned long long)start);
	leave(0);
}
