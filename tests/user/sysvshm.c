/* SPDX-License-Identifier: MIT */
/* sysvshm.c - System V shared memory: making, finding, attaching, counting, controlling and forgetting segments. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { PAGE = 4096 };
#define KEY 0x6b6d6d01
#define NOWHERE ((void *)-1)
#define FAILS(call, code) CHECK(#call, ((errno = 0), (intptr_t)(call) == -1) && errno == (code))

static struct shmid_ds stat_of(int id)
{
	struct shmid_ds ds;

	memset(&ds, 0xee, sizeof(ds));
	CHECK("IPC_STAT", shmctl(id, IPC_STAT, &ds) == 0);
	return ds;
}

static unsigned attaches(int id)
{
	return (unsigned)stat_of(id).shm_nattch;
}

/* The line of a file of /proc that has the text; "": none. */
static const char *line_with(const char *file, const char *text)
{
	static char line[512];
	FILE *f = fopen(file, "r");
	int found = 0;

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text) != NULL;
	if (f)
		fclose(f);
	return found ? line : "";
}

static char *hole(size_t pages)
{
	char *p = mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p, pages * PAGE);
	return p;
}

static void check_get(void)
{
	int id, other;

	shmctl(shmget(KEY, 0, 0), IPC_RMID, NULL); /* of a run that failed */
	FAILS(shmget(KEY, PAGE, 0600), ENOENT);
	FAILS(shmget(KEY, 0, IPC_CREAT | 0600), EINVAL);
	id = shmget(KEY, 3 * PAGE - 5, IPC_CREAT | IPC_EXCL | 0600);
	CHECK("made", id >= 0);
	FAILS(shmget(KEY, PAGE, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK("found", shmget(KEY, PAGE, IPC_CREAT | 0600) == id && shmget(KEY, 0, 0) == id);
	FAILS(shmget(KEY, 3 * PAGE, 0), EINVAL);
	other = shmget(IPC_PRIVATE, PAGE, 0600);
	CHECK("another", other >= 0 && other != id);
	FAILS(shmget(IPC_PRIVATE, PAGE, SHM_HUGETLB | 13 << 26), EINVAL);
	CHECK("its size", stat_of(id).shm_segsz == 3 * PAGE - 5 && stat_of(id).shm_cpid == getpid() && stat_of(id).shm_lpid == 0);
	CHECK("its mode", stat_of(id).shm_perm.mode == 0600 && stat_of(id).shm_perm.__key == KEY);
	CHECK("times", stat_of(id).shm_atime == 0 && stat_of(id).shm_dtime == 0 && stat_of(id).shm_ctime != 0);
	CHECK("gone", shmctl(other, IPC_RMID, NULL) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
	FAILS(shmctl(id, IPC_RMID, NULL), EINVAL);
	FAILS(shmget(KEY, 0, 0), ENOENT);
	FAILS(shmat(id, NULL, 0), EINVAL);
}

/* None are in reserve on kmm; a host may have some. */
static void check_huge(void)
{
	if (on_kmm())
		FAILS(shmget(IPC_PRIVATE, 1 << 22, IPC_CREAT | SHM_HUGETLB | 0600), ENOMEM);
}

static void check_attach(void)
{
	int id = shmget(IPC_PRIVATE, 3 * PAGE, 0600);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY), *free = hole(8), *c;

	CHECK("two views", a != NOWHERE && b != NOWHERE && a != b && attaches(id) == 2);
	strcpy(a + PAGE, "shared");
	CHECK("one content", strcmp(b + PAGE, "shared") == 0 && a[0] == 0);
	CHECK("not to be written", mprotect(b, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
	FAILS(shmat(id, a + 1, 0), EINVAL);
	FAILS(shmat(id, a, 0), EINVAL);
	FAILS(shmat(id, NULL, SHM_REMAP), EINVAL);
	FAILS(shmat(id, (void *)1, SHM_RND | SHM_REMAP), EINVAL);
	FAILS(shmat(-1, NULL, 0), EINVAL);
	CHECK("around", shmat(id, (void *)~(uintptr_t)(PAGE - 1), 0) == NOWHERE && /* on a wider kernel it is just too high */
				(errno == EINVAL || (sizeof(long) == 4 && errno == ENOMEM)));
	CHECK("rounded", shmat(id, free + 100, SHM_RND) == free && attaches(id) == 3);
	FAILS(shmat(id, free + 2 * PAGE, 0), EINVAL);
	CHECK("over itself", shmat(id, free + 2 * PAGE, SHM_REMAP) == free + 2 * PAGE && attaches(id) == 4);
	CHECK("no more than what is left", shmdt(free) == 0 && attaches(id) == 3 && free[2 * PAGE + PAGE] == 's');
	c = shmat(id, NULL, SHM_EXEC);
	CHECK("to be executed", c != NOWHERE && strstr(line_with("/proc/self/maps", "rwxs"), "/SYSV00000000 (deleted)"));
	CHECK("let go", shmdt(c) == 0 && shmdt(free + 2 * PAGE) == 0 && shmdt(b) == 0);
	FAILS(shmdt(b), EINVAL);
	FAILS(shmdt(a + PAGE), EINVAL);
	FAILS(shmdt(a + 1), EINVAL);
	CHECK("the last", attaches(id) == 1 && stat_of(id).shm_lpid == getpid() && stat_of(id).shm_dtime != 0);
	CHECK("doomed", shmctl(id, IPC_RMID, NULL) == 0 && (stat_of(id).shm_perm.mode & SHM_DEST));
	CHECK("still there", strcmp(a + PAGE, "shared") == 0 && (b = shmat(id, NULL, 0)) != NOWHERE && b[PAGE] == 's');
	CHECK("and again", shmdt(b) == 0 && attaches(id) == 1 && shmdt(a) == 0);
	FAILS(shmctl(id, IPC_STAT, &(struct shmid_ds){ .shm_nattch = 0 }), EINVAL);
}

/* An attach counts for each area there is of it. */
static void check_pieces(void)
{
	int id = shmget(IPC_PRIVATE, 5 * PAGE, 0600);
	char *p = shmat(id, NULL, 0), *q;

	p[4 * PAGE] = 4;
	CHECK("cut", munmap(p + 2 * PAGE, PAGE) == 0 && attaches(id) == 2);
	CHECK("cut again", mprotect(p, PAGE, PROT_READ) == 0 && attaches(id) == 3);
	q = mremap(p + 3 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, hole(4));
	CHECK("moved", q != MAP_FAILED && q[PAGE] == 4 && attaches(id) == 3);
	CHECK("what is in place goes", shmdt(p) == 0 && attaches(id) == 1 && q[PAGE] == 4);
	FAILS(shmdt(p), EINVAL);
	CHECK("by where it would begin", shmdt(q - 3 * PAGE) == 0 && attaches(id) == 0);
	p = shmat(id, NULL, 0);
	q = mremap(p, 0, 2 * PAGE, MREMAP_MAYMOVE); /* a second view */
	CHECK("doubled", q != MAP_FAILED && attaches(id) == 2 && munmap(q, 2 * PAGE) == 0 && attaches(id) == 1);
	CHECK("unmapped", munmap(p, 5 * PAGE) == 0 && attaches(id) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static int run_child(int id, char *p, int how)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		if (how == 1)
			execl("/proc/self/exe", "sysvshm", "child", NULL);
		if (how == 2)
			raise(SIGKILL);
		_exit(shmdt(p) || attaches(id) != 1 || p == NULL);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void check_processes(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600), ends[2], status;
	char *p = shmat(id, NULL, 0), byte;
	pid_t child;

	CHECK("a pipe", pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		p[PAGE] = 'c';
		_exit(read(ends[0], &byte, 1) != 1);
	}
	while (p[PAGE] != 'c')
		usleep(1000);
	CHECK("inherited", attaches(id) == 2);
	CHECK("told", write(ends[1], "x", 1) == 1 && waitpid(child, &status, 0) == child && status == 0);
	CHECK("over", attaches(id) == 1 && stat_of(id).shm_lpid == child);
	CHECK("let go by a child", run_child(id, p, 0) == 0 && attaches(id) == 1);
	CHECK("gone by exec", run_child(id, p, 1) == 7 && attaches(id) == 1);
	CHECK("gone by a signal", run_child(id, p, 2) == -SIGKILL && attaches(id) == 1);
	shmctl(id, IPC_RMID, NULL);
	shmdt(p);
	close(ends[0]), close(ends[1]);
}

static void check_rights(void)
{
	int id = shmget(KEY, PAGE, IPC_CREAT | 0640);
	struct shmid_ds ds = stat_of(id);

	ds.shm_perm.mode = 07444;
	ds.shm_perm.uid = 1000;
	ds.shm_perm.gid = 1001;
	ds.shm_segsz = 77;
	CHECK("IPC_SET", shmctl(id, IPC_SET, &ds) == 0);
	ds = stat_of(id);
	CHECK("what it sets", ds.shm_perm.mode == 0444 && ds.shm_perm.uid == 1000 && ds.shm_perm.gid == 1001 && ds.shm_segsz == PAGE &&
			      ds.shm_perm.cuid == 0);
	ds.shm_perm.uid = (uid_t)-1;
	FAILS(shmctl(id, IPC_SET, &ds), EINVAL);
	FAILS(syscall(SYS_shmctl, id, IPC_STAT, KERNEL_ADDRESS), EFAULT);
	FAILS(syscall(SYS_shmctl, id, IPC_SET, KERNEL_ADDRESS), EFAULT);
	FAILS(shmctl(id, 99, &ds), EINVAL);
	FAILS(shmctl(-1, IPC_STAT, &ds), EINVAL);
	CHECK("it goes", shmctl(id, IPC_RMID, NULL) == 0);
}

struct cap_header { uint32_t version; int pid; };
struct cap_data { uint32_t effective, permitted, inheritable; };

static int without_rights(void)
{
	struct cap_header header = { 0x20080522, 0 };
	struct cap_data data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };
	int id = shmget(KEY, PAGE, 0);
	struct shmid_ds ds = stat_of(id);

	failed = 0;
	ds.shm_perm.uid = 7;
	CHECK("nothing may", shmctl(id, IPC_SET, &ds) == 0 && syscall(SYS_capset, &header, data) == 0);
	CHECK("reading, as its maker", shmat(id, NULL, SHM_RDONLY) != NOWHERE);
	FAILS(shmat(id, NULL, 0), EACCES);
	FAILS(shmget(KEY, PAGE, 0200), EACCES);
	CHECK("its maker again", shmctl(id, IPC_SET, &ds) == 0);
	CHECK("the limit", shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, SHM_UNLOCK, NULL) == 0);
	return failed;
}

static void check_without_rights(void)
{
	int id = shmget(KEY, PAGE, IPC_CREAT | 0400), status;
	pid_t child = fork();

	if (child == 0)
		_exit(without_rights());
	waitpid(child, &status, 0);
	CHECK("without rights", status == 0);
	shmctl(id, IPC_RMID, NULL);
}

static void check_lock(void)
{
	int id = shmget(IPC_PRIVATE, 4 * PAGE, 0600);

	FAILS(shmctl(id + 1, SHM_LOCK, NULL), EINVAL);
	CHECK("locked", shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, SHM_LOCK, NULL) == 0);
	CHECK("so it says", stat_of(id).shm_perm.mode == (0600 | SHM_LOCKED));
	CHECK("unlocked", shmctl(id, SHM_UNLOCK, NULL) == 0 && stat_of(id).shm_perm.mode == 0600);
	CHECK("gone locked", shmctl(id, SHM_LOCK, NULL) == 0 && shmctl(id, IPC_RMID, NULL) == 0);
}

static void check_lists(void)
{
	int id = shmget(KEY, 5 * PAGE + 1, IPC_CREAT | 0604), max, found = -1;
	char *p = shmat(id, NULL, 0);
	struct shminfo limits;
	struct shm_info sums;
	struct shmid_ds ds;
	char want[64];
	long pages;

	memset(p, 1, 2 * PAGE);
	max = shmctl(0, IPC_INFO, (struct shmid_ds *)&limits);
	CHECK("limits", max >= 0 && limits.shmmin == 1 && limits.shmmni == limits.shmseg && limits.shmmax > 1 << 30);
	CHECK("as many", shmctl(0, SHM_INFO, (struct shmid_ds *)&sums) == max && sums.used_ids >= 1 && sums.shm_tot >= 6 && sums.shm_rss >= 2);
	for (int i = 0; i <= max; i++)
		if (shmctl(i, SHM_STAT, &ds) == id)
			found = i;
	CHECK("found by place", found >= 0 && shmctl(found, SHM_STAT, &ds) == id && ds.shm_segsz == 5 * PAGE + 1);
	FAILS(shmctl(max + 1, SHM_STAT, &ds), EINVAL);
	CHECK("without rights", shmctl(found, 15, &ds) == id);
	snprintf(want, sizeof(want), "%10d %10d   604 ", KEY, id);
	CHECK("in the list", strncmp(line_with("/proc/sysvipc/shm", want), want, strlen(want)) == 0);
	CHECK("its memory", strstr(line_with("/proc/sysvipc/shm", want), "  1     0     0     0     0 ") != NULL);
	snprintf(want, sizeof(want), "/SYSV%08x (deleted)", KEY);
	CHECK("in maps", strstr(line_with("/proc/self/maps", want), " 00:01 ") != NULL);
	snprintf(want, sizeof(want), " %d ", id);
	CHECK("its number", strstr(line_with("/proc/self/maps", "/SYSV6b"), want) != NULL);
	CHECK("promised", (pages = sums.shm_tot) && shmctl(0, SHM_INFO, (struct shmid_ds *)&sums) >= 0 && sums.shm_tot == (unsigned long)pages);
	shmdt(p);
	shmctl(id, IPC_RMID, NULL);
}

/* /proc/sys/kernel; a host's are left alone. */
static int set_limit(const char *file, const char *value)
{
	int fd = open(file, O_WRONLY), n = (int)write(fd, value, strlen(value));

	close(fd);
	return n == (int)strlen(value);
}

static void check_limits(void)
{
	int id;

	if (!on_kmm())
		return;
	CHECK("few pages", set_limit("/proc/sys/kernel/shmall", "10\n"));
	FAILS(shmget(IPC_PRIVATE, 11 * PAGE, 0600), ENOSPC);
	CHECK("as many", (id = shmget(IPC_PRIVATE, 10 * PAGE, 0600)) >= 0);
	FAILS(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
	CHECK("again", shmctl(id, IPC_RMID, NULL) == 0 && (id = shmget(IPC_PRIVATE, 1, 0600)) >= 0);
	CHECK("one at a time", set_limit("/proc/sys/kernel/shmmni", "1\n"));
	FAILS(shmget(IPC_PRIVATE, 1, 0600), ENOSPC);
	CHECK("small ones", set_limit("/proc/sys/kernel/shmmni", "4096") && set_limit("/proc/sys/kernel/shmmax", "100"));
	FAILS(shmget(IPC_PRIVATE, 101, 0600), EINVAL);
	CHECK("no number", !set_limit("/proc/sys/kernel/shmmax", "many") && !set_limit("/proc/sys/kernel/shmmni", "40000"));
	shmctl(id, IPC_RMID, NULL);
	set_limit("/proc/sys/kernel/shmmax", "4278190079");
	set_limit("/proc/sys/kernel/shmall", "1000000");
	set_limit("/proc/sys/vm/overcommit_memory", "2\n");
	FAILS(shmget(IPC_PRIVATE, 1 << 30, 0600), ENOMEM);
	FAILS(shmget(IPC_PRIVATE, 1 << 30, 010600), ENOMEM); /* SHM_NORESERVE does not count there */
	set_limit("/proc/sys/vm/overcommit_memory", "0\n");
}

/* Beyond the end of the last page there is nothing; a hole can be made; growing in place shows nothing more. */
static void check_content(void)
{
	int id = shmget(IPC_PRIVATE, 2 * PAGE + 1, 0600);
	char *p = shmat(id, NULL, 0);
	unsigned char vec[3];

	memset(p, 7, 3 * PAGE); /* the whole last page */
	CHECK("resident", mincore(p, 3 * PAGE, vec) == 0 && (vec[0] & vec[1] & vec[2] & 1));
	CHECK("holes", madvise(p, PAGE, MADV_REMOVE) == 0 && p[0] == 0 && p[PAGE] == 7);
	CHECK("a private look", shmdt(p) == 0 && (p = shmat(id, NULL, SHM_RDONLY)) != NOWHERE && p[2 * PAGE] == 7);
	shmctl(id, IPC_RMID, NULL);
	shmdt(p);
}

#ifdef __i386__
/* By ipc(2), also with the structures of the first kernels. */
static void check_ipc(void)
{
	enum { IPC = 117, SHMAT = 21, SHMDT, SHMGET, SHMCTL, SEMGET = 2 };
	struct { int key; unsigned short uid, gid, cuid, cgid, mode, seq; int size, atime, dtime, ctime;
		 unsigned short cpid, lpid, nattch, unused; void *a, *b; } old;
	int id = (int)syscall(IPC, SHMGET, IPC_PRIVATE, PAGE, 0640, NULL, 0), old_limits[5];
	char *at = NULL;

	CHECK("made", id >= 0 && syscall(IPC, SHMAT, id, 0, &at, NULL, 0) == 0 && at != NULL);
	*at = 1;
	CHECK("looked at", syscall(IPC, SHMCTL, id, IPC_STAT, 0, &old, 0) == 0 && old.size == PAGE && old.mode == 0640 &&
				   old.nattch == 1 && old.cpid == getpid() && old.atime != 0);
	old.mode = 0400;
	CHECK("changed", syscall(IPC, SHMCTL, id, IPC_SET, 0, &old, 0) == 0 && stat_of(id).shm_perm.mode == 0400);
	CHECK("old limits", syscall(IPC, SHMCTL, 0, IPC_INFO, 0, old_limits, 0) >= 0 && old_limits[0] == 0x7fffffff && old_limits[1] == 1);
	FAILS(syscall(IPC, 1 << 16 | SHMAT, id, 0, &at, NULL, 0), EINVAL);
	FAILS(syscall(IPC, SHMAT, id, 0, KERNEL_ADDRESS, NULL, 0), EFAULT);
	FAILS(syscall(IPC, 99, 0, 0, 0, NULL, 0), ENOSYS);
	CHECK("the new way", syscall(396, id, IPC_RMID, NULL) == 0);
	CHECK("left", syscall(IPC, SHMDT, 0, 0, 0, at, 0) == 0);
}
#else
static void check_ipc(void) {}
#endif

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return *line_with("/proc/self/maps", "SYSV") ? 1 : 7;
	check_get();
	check_huge();
	check_attach();
	check_pieces();
	check_processes();
	check_rights();
	check_without_rights();
	check_lock();
	check_lists();
	check_limits();
	check_content();
	check_ipc();
	return sum();
}
