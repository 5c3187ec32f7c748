/* SPDX-License-Identifier: MIT */
/*
 * Control groups with the memory controller, as programs see them: the tree and its rules, who is in which, what is charged where,
 * limits and the end of those who exceed them, protection, events, the texts of files. The expectations are those of Linux
 * 6.1, where this runs too (as the first program, which mounts what it needs); only what needs swap is left out where there is
 * none. Nothing depends on how fast the machine is. Ends with "N passed, N failed".
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup_tree.h"

/* ---- the tree and the texts ---- */

static void check_new_group(void)
{
	static const char *const files[] = { "cgroup.procs", "cgroup.controllers", "cgroup.subtree_control", "cgroup.events",
		"cgroup.type", "cgroup.stat", "cgroup.kill", "cgroup.freeze", "cgroup.threads", "cgroup.max.depth", "cgroup.max.descendants", "memory.current", "memory.max", "memory.high", "memory.min", "memory.low",
		"memory.peak", "memory.reclaim", "memory.events", "memory.events.local", "memory.stat", "memory.oom.group",
		"memory.swap.current", "memory.swap.max", "memory.swap.events", "memory.pressure" };

	CHECK("mkdir", make("t") == 0 && make("t") == EEXIST);
	for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		CHECK(files[i], exists("t", files[i]));
	CHECK("new: max", strcmp(get("t", "memory.max"), "max\n") == 0);
	CHECK("new: high", strcmp(get("t", "memory.high"), "max\n") == 0);
	CHECK("new: low", strcmp(get("t", "memory.low"), "0\n") == 0);
	CHECK("new: min", strcmp(get("t", "memory.min"), "0\n") == 0);
	CHECK("new: swap.max", strcmp(get("t", "memory.swap.max"), "max\n") == 0);
	CHECK("new: current", strcmp(get("t", "memory.current"), "0\n") == 0);
	CHECK("new: swap.current", strcmp(get("t", "memory.swap.current"), "0\n") == 0);
	CHECK("new: oom.group", strcmp(get("t", "memory.oom.group"), "0\n") == 0);
	CHECK("new: events", strcmp(get("t", "memory.events"),
				    "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n") == 0);
	CHECK("new: events.local", strcmp(get("t", "memory.events.local"),
					  "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n") == 0);
	CHECK("new: swap.events", strcmp(get("t", "memory.swap.events"), "high 0\nmax 0\nfail 0\n") == 0);
	CHECK("new: populated", strcmp(get("t", "cgroup.events"), "populated 0\nfrozen 0\n") == 0);
	CHECK("new: freeze", strcmp(get("t", "cgroup.freeze"), "0\n") == 0);
	CHECK("new: no limits", strcmp(get("t", "cgroup.max.depth"), "max\n") == 0 && strcmp(get("t", "cgroup.max.descendants"), "max\n") == 0);
	CHECK("new: threads", strcmp(get("t", "cgroup.threads"), "") == 0);
	CHECK("new: procs", strcmp(get("t", "cgroup.procs"), "") == 0);
	CHECK("new: type", strcmp(get("t", "cgroup.type"), "domain\n") == 0);
	CHECK("new: controllers", strcmp(get("t", "cgroup.controllers"), "memory\n") == 0);
	CHECK("new: subtree", strcmp(get("t", "cgroup.subtree_control"), "") == 0);
	CHECK("new: stat", strncmp(get("t", "cgroup.stat"), "nr_descendants 0\nnr_dying_descendants 0\n", 40) == 0);
}

/* Both kernels have these lines, in this order; Linux has others in between. */
static void check_stat(void)
{
	static const char *const words[] = { "anon ", "\nfile ", "\nshmem ", "\nswapcached ", "\nworkingset_refault_anon ", "\npgscan ",
					     "\npgsteal ", "\npgfault ", "\npgmajfault " };
	const char *at = get("t", "memory.stat");

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]) && at; i++) {
		at = strstr(at, words[i]);
		CHECK(words[i], at != NULL);
	}
}

/* The root has no limits, but the figures of all. */
static void check_root(void)
{
	CHECK("root: stat", line("", "memory.stat", "anon") > 0 && line("", "memory.stat", "file") >= 0 &&
	      line("", "memory.stat", "pgfault") > 0 && line("", "memory.stat", "pgmajfault") >= 0);
	CHECK("root: not all figures", !exists("", "memory.current") && !exists("", "memory.events"));
}

/* ---- pressure ---- */

/* Total microseconds of "some" or "full"; -1: not Linux's text. Words of each line: name, avg10, avg60, avg300, total. */
static long long pressure(const char *group, int full)
{
	const char *text = get(group, "memory.pressure");
	unsigned a[2][6], end = 0;
	unsigned long long total[2];

	if (sscanf(text, "some avg10=%u.%2u avg60=%u.%2u avg300=%u.%2u total=%llu\nfull avg10=%u.%2u avg60=%u.%2u avg300=%u.%2u total=%llu\n%n",
		   &a[0][0], &a[0][1], &a[0][2], &a[0][3], &a[0][4], &a[0][5], &total[0], &a[1][0], &a[1][1], &a[1][2], &a[1][3], &a[1][4],
		   &a[1][5], &total[1], (int *)&end) != 14 || text[end])
		return -1;
	for (int i = 0; i < 6; i += 2)
		if (a[0][i] > 100 || a[1][i] > a[0][i])
			return -1;
	return total[1] > total[0] ? -1 : (long long)total[full];
}

/* Who has more than memory.high reclaims for himself, also in vain: that is waiting, of his group and of those above, not of others. */
static void check_pressure(void)
{
	struct child a;
	long long before, its;

	CHECK("pressure", make("w") == 0 && put("w", "cgroup.subtree_control", "+memory") == 0);
	CHECK("pressure: below", make("w/a") == 0 && make("w/b") == 0);
	CHECK("pressure: as yet", pressure("w", 0) == 0 && pressure("w/a", 0) == 0 && pressure("w/a", 1) == 0);
	before = pressure("", 0);
	CHECK("pressure: the root", before >= 0 && put("w/a", "memory.high", "7M") == 0);
	a = start("w/a", step_eat, 8, NULL, 0);
	CHECK("pressure: there", is_ready(&a));
	CHECK("pressure: its", pressure("w/a", 0) > 0);
	its = pressure("w/a", 0) - 1000; /* Linux has a clock for each, and they differ by some microseconds */
	CHECK("pressure: above it", pressure("w", 0) >= its && pressure("", 0) - before >= its);
	CHECK("pressure: full, as it is alone there", pressure("w/a", 1) > 0);
	CHECK("pressure: not of the other", pressure("w/b", 0) == 0 && pressure("w/b", 1) == 0);
	let_go_on(&a);
	CHECK("pressure: end", end_of(&a) == 0);
	CHECK("pressure: it is remembered", pressure("w/a", 0) > 0);
	CHECK("pressure: rmdir", drop("w/a") == 0 && drop("w/b") == 0 && drop("w") == 0);
}

/* ---- poll() on events ---- */

/* Opened, and read once. */
static int watch(const char *group, const char *file)
{
	char text[TEXT];
	int fd = open(name_of(group, file), O_RDONLY);

	return fd >= 0 && read(fd, text, sizeof(text)) > 0 ? fd : -1;
}

static int tells(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, ms) == 1 && p.revents == (POLLPRI | POLLERR);
}

static void check_told(void)
{
	struct child a;
	int people, memory, other;
	char text[TEXT];

	CHECK("told: a group", make("n") == 0 && make("o2") == 0 && put("n", "memory.max", "4M") == 0 && put("n", "memory.swap.max", "0") == 0);
	people = watch("n", "cgroup.events");
	memory = watch("n", "memory.events");
	other = watch("o2", "memory.events");
	CHECK("told: nothing yet", people >= 0 && memory >= 0 && !tells(people, 0) && !tells(memory, 0));
	a = start("n", NULL, 0, step_eat, 16);
	CHECK("told: somebody came", is_ready(&a) && tells(people, 10000));
	CHECK("told: and that was read", lseek(people, 0, SEEK_SET) == 0 && read(people, text, sizeof(text)) > 0 &&
	      strncmp(text, "populated 1\n", 12) == 0 && !tells(people, 0));
	let_go_on(&a);
	CHECK("told: what memory was wanted for", tells(memory, 10000));
	CHECK("told: it was ended", was_killed(end_of(&a)) && tells(people, 10000));
	CHECK("told: not of another", !tells(other, 0));
	close(people), close(memory), close(other);
	CHECK("told: rmdir", drop("n") == 0 && drop("o2") == 0);
}

static void check_numbers(void)
{
	static const struct {
		const char *in, *out;
	} good[] = {
		{ "16M", "16777216\n" }, { "1g\n", "1073741824\n" }, { "max", "max\n" }, { "5000", "4096\n" }, { " 8192 ", "8192\n" },
		{ "0x100000", "1048576\n" }, { "0200000", "65536\n" }, { "12k", "12288\n" }, { "4095", "0\n" }, { "2m", "2097152\n" },
		{ "max\n", "max\n" },
	};
	static const char *const bad[] = { "-1", "x", "1Q", "10 20", "max1", "1.5M", "MAX", "1MB" };

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK(good[i].in, put("t", "memory.max", good[i].in) == 0 && strcmp(get("t", "memory.max"), good[i].out) == 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(bad[i], put("t", "memory.max", bad[i]) == EINVAL && strcmp(get("t", "memory.max"), "max\n") == 0);
	CHECK("low", put("t", "memory.low", "1M") == 0 && strcmp(get("t", "memory.low"), "1048576\n") == 0);
	CHECK("low max", put("t", "memory.low", "max") == 0 && strcmp(get("t", "memory.low"), "max\n") == 0);
	CHECK("low 0", put("t", "memory.low", "0") == 0 && strcmp(get("t", "memory.low"), "0\n") == 0);
	CHECK("oom.group", put("t", "memory.oom.group", "1") == 0 && strcmp(get("t", "memory.oom.group"), "1\n") == 0);
	CHECK("oom.group", put("t", "memory.oom.group", "2") == EINVAL && put("t", "memory.oom.group", "0\n") == 0);
	CHECK("read only", put("t", "memory.current", "1") != 0);
}

static void check_tree(void)
{
	struct statfs s;

	CHECK("statfs", statfs(ROOT, &s) == 0 && (unsigned)s.f_type == 0x63677270);
	CHECK("the root has no limits", !exists("", "memory.max") && !exists("", "cgroup.events"));
	CHECK("below", make("t/sub") == 0 && exists("t/sub", "cgroup.procs"));
	CHECK("memory is not enabled there", !exists("t/sub", "memory.max") && strcmp(get("t/sub", "cgroup.controllers"), "") == 0);
	CHECK("nor can be below", put("t/sub", "cgroup.subtree_control", "+memory") == ENOENT);
	CHECK("enabled", put("t", "cgroup.subtree_control", "+memory") == 0 && exists("t/sub", "memory.max"));
	CHECK("shown", strcmp(get("t", "cgroup.subtree_control"), "memory\n") == 0);
	CHECK("descendants", strncmp(get("t", "cgroup.stat"), "nr_descendants 1\n", 17) == 0);
	CHECK("words", put("t", "cgroup.subtree_control", "memory") == EINVAL && put("t", "cgroup.subtree_control", "+none") == EINVAL);
	CHECK("no process where it is enabled", put_pid("t", getpid()) == EBUSY);
	CHECK("enabled below", put("t/sub", "cgroup.subtree_control", "+memory") == 0);
	CHECK("not disabled above", put("t", "cgroup.subtree_control", "-memory") == EBUSY);
	CHECK("disabled", put("t/sub", "cgroup.subtree_control", "-memory") == 0 && put("t", "cgroup.subtree_control", "-memory") == 0);
	CHECK("gone again", !exists("t/sub", "memory.max"));
	CHECK("rmdir of one with others below", drop("t") == EBUSY);
	CHECK("rmdir", drop("t/sub") == 0 && drop("t/sub") == ENOENT);
	CHECK("files stay", unlink(name_of("t", "memory.max")) == -1 && errno == EPERM);
	CHECK("names", mkdir(ROOT "/a\nb", 0755) == -1 && errno == EINVAL);
	CHECK("no files are made", open(ROOT "/t/new", O_CREAT | O_WRONLY, 0644) == -1 && (errno == EACCES || errno == EPERM));
}

static void check_gone(void)
{
	char text[16];
	int fd;

	CHECK("gone", make("g") == 0);
	fd = open(name_of("g", "memory.max"), O_RDWR);
	CHECK("gone: open", fd >= 0 && read(fd, text, sizeof(text)) == 4);
	CHECK("gone: rmdir while a file is open", drop("g") == 0);
	CHECK("gone: read", pread(fd, text, sizeof(text), 0) == -1 && errno == ENODEV);
	CHECK("gone: write", pwrite(fd, "max", 3, 0) == -1 && errno == ENODEV);
	close(fd);
}

/* ---- members ---- */

static const char *self;

static int step_exec(int arg)
{
	(void)arg;
	execl(self, self, "where", (char *)NULL);
	return 1;
}

static int step_fork(int arg)
{
	pid_t pid = fork();
	int status;

	(void)arg;
	if (pid == 0)
		_exit(strcmp(text_of("/proc/self/cgroup"), "0::/t\n") != 0);
	waitpid(pid, &status, 0);
	return status != 0;
}

static void check_members(void)
{
	struct child c = start("t", step_fork, 0, step_exec, 0);
	char text[32], name[32];

	CHECK("fork inherits", is_ready(&c));
	snprintf(text, sizeof(text), "%d\n", (int)c.pid);
	snprintf(name, sizeof(name), "/proc/%d/cgroup", (int)c.pid);
	CHECK("procs", strcmp(get("t", "cgroup.procs"), text) == 0);
	CHECK("/proc/PID/cgroup", strcmp(text_of(name), "0::/t\n") == 0);
	CHECK("populated", strncmp(get("t", "cgroup.events"), "populated 1\n", 12) == 0);
	CHECK("rmdir", drop("t") == EBUSY);
	CHECK("enabling", put("t", "cgroup.subtree_control", "+memory") == EBUSY);
	CHECK("another", make("u") == 0 && put_pid("u", c.pid) == 0 && strcmp(get("t", "cgroup.procs"), "") == 0);
	CHECK("another", strcmp(get("u", "cgroup.procs"), text) == 0 && strcmp(text_of(name), "0::/u\n") == 0);
	let_go_on(&c);
	CHECK("exec carries on", end_of(&c) == 0);
	CHECK("numbers", put("t", "cgroup.procs", "x") == EINVAL && put("t", "cgroup.procs", "-1") == EINVAL);
	CHECK("nobody", put("t", "cgroup.procs", "31999") == ESRCH);
	CHECK("the root", strcmp(text_of("/proc/self/cgroup"), "0::/\n") == 0);
	CHECK("gone", strcmp(get("u", "cgroup.procs"), "") == 0 && drop("u") == 0);
	CHECK("/proc/cgroups", strstr(text_of("/proc/cgroups"), "memory\t0\t") != NULL);
}

/* A process that has ended and was not waited for does not keep its group. */
static void check_zombie(void)
{
	struct child c;
	siginfo_t info;

	CHECK("zombie", make("z") == 0);
	c = start("z", NULL, 0, NULL, 0);
	CHECK("zombie: there", is_ready(&c));
	let_go_on(&c);
	CHECK("zombie: ended", waitid(P_PID, (id_t)c.pid, &info, WEXITED | WNOWAIT) == 0);
	CHECK("zombie: populated", strncmp(get("z", "cgroup.events"), "populated 0\n", 12) == 0);
	CHECK("zombie: rmdir", drop("z") == 0);
	CHECK("zombie: waited for", end_of(&c) == 0);
}

static void check_kill(void)
{
	struct child a, b;

	CHECK("cgroup.kill", make("k") == 0 && make("k/l") == 0);
	a = start("k", NULL, 0, NULL, 0);
	b = start("k/l", NULL, 0, NULL, 0);
	CHECK("cgroup.kill: there", is_ready(&a) && is_ready(&b));
	CHECK("cgroup.kill: words", put("k", "cgroup.kill", "x") == EINVAL && put("k", "cgroup.kill", "2") == ERANGE &&
	      put("k", "cgroup.kill", "-1") == ERANGE);
	CHECK("cgroup.kill: write", put("k", "cgroup.kill", "1") == 0);
	CHECK("cgroup.kill: ended", was_killed(end_of(&a)) && was_killed(end_of(&b)));
	CHECK("cgroup.kill: rmdir", drop("k/l") == 0 && drop("k") == 0);
}

/* ---- standing still ---- */

static volatile unsigned long *ticks; /* shared with the children */

static int step_tick(int arg)
{
	while (ticks)
		ticks[arg]++;
	return 1;
}

/* Waits until the group's events say so: each change is told. */
static int becomes(const char *group, const char *word, long long value)
{
	int fd = open(name_of(group, "cgroup.events"), O_RDONLY);
	char text[TEXT];

	while (fd >= 0 && pread(fd, text, sizeof(text), 0) > 0 && line(group, "cgroup.events", word) != value)
		if (!tells(fd, 20000))
			break;
	close(fd);
	return line(group, "cgroup.events", word) == value;
}

static int stands_still(int which)
{
	unsigned long seen = ticks[which];

	usleep(30000);
	return ticks[which] == seen;
}

/* Not a check of time: it ends when the child has run. */
static void wait_for_ticks(int which)
{
	for (unsigned long seen = ticks[which]; ticks[which] == seen;)
		usleep(1000);
}

static void check_freeze_words(void)
{
	CHECK("freeze: words", put("f", "cgroup.freeze", "x") == EINVAL && put("f", "cgroup.freeze", "2") == ERANGE &&
	      put("f", "cgroup.freeze", "-1") == ERANGE && !exists("", "cgroup.freeze"));
	CHECK("freeze: an empty one", put("f", "cgroup.freeze", "1") == 0 && strcmp(get("f", "cgroup.events"), "populated 0\nfrozen 1\n") == 0);
	CHECK("freeze: and below it", line("f/g", "cgroup.events", "frozen") == 1 && strcmp(get("f/g", "cgroup.freeze"), "0\n") == 0);
	CHECK("freeze: no more", put("f", "cgroup.freeze", "0\n") == 0 && line("f/g", "cgroup.events", "frozen") == 0);
}

static int ends_frozen(int sig)
{
	struct child c = start("f", NULL, 0, NULL, 0);
	char text[32];
	int status;

	snprintf(text, sizeof(text), "%d\n", (int)c.pid);
	while (!strstr(get("f", "cgroup.procs"), text))
		usleep(1000);
	if (!becomes("f", "frozen", 1) || kill(c.pid, sig) != 0)
		return 0;
	status = end_of(&c);
	return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

/* One that computes below, and one that sleeps in a call, stand still and go on as if nothing had been; who comes in stands still, who is
 * taken out goes on, and the end comes to all. */
static void check_freeze(void)
{
	struct child runs, sleeps, guest;

	ticks = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK("freeze", make("f") == 0 && make("f/g") == 0);
	check_freeze_words();
	runs = start("f/g", NULL, 0, step_tick, 0);
	sleeps = start("f", NULL, 0, NULL, 0);
	guest = start(NULL, NULL, 0, step_tick, 1);
	CHECK("freeze: there", is_ready(&runs) && is_ready(&sleeps) && is_ready(&guest));
	let_go_on(&runs);
	let_go_on(&guest);
	wait_for_ticks(0);
	wait_for_ticks(1);
	CHECK("freeze: all below", put("f", "cgroup.freeze", "1") == 0 && becomes("f", "frozen", 1) && stands_still(0));
	CHECK("freeze: each says so", line("f/g", "cgroup.events", "frozen") == 1 && line("f/g", "cgroup.events", "populated") == 1);
	CHECK("freeze: who comes in", put_pid("f/g", guest.pid) == 0 && becomes("f", "frozen", 1) && stands_still(1));
	CHECK("freeze: who is taken out", put_pid("", guest.pid) == 0);
	wait_for_ticks(1);
	CHECK("freeze: back again", put_pid("f", guest.pid) == 0 && becomes("f", "frozen", 1) && stands_still(1));
	CHECK("freeze: signals wait", kill(guest.pid, SIGQUIT) == 0 && kill(guest.pid, SIGSTOP) == 0 && stands_still(1) && is_alive(&guest));
	CHECK("freeze: but for the end", kill(guest.pid, SIGKILL) == 0 && was_killed(end_of(&guest)));
	CHECK("freeze: which is any that has no handler", ends_frozen(SIGTERM) && ends_frozen(SIGALRM));
	CHECK("freeze: the others go on", put("f", "cgroup.freeze", "0") == 0 && becomes("f", "frozen", 0));
	wait_for_ticks(0);
	CHECK("freeze: the call, too", is_alive(&sleeps) && end_of(&sleeps) == 0);
	CHECK("freeze: kill", put("f/g", "cgroup.freeze", "1") == 0 && becomes("f/g", "frozen", 1) && put("f", "cgroup.kill", "1") == 0 &&
	      was_killed(end_of(&runs)));
	CHECK("freeze: rmdir", drop("f/g") == 0 && drop("f") == 0);
}

static void check_threads(void)
{
	struct child c;
	char text[32];

	CHECK("threads", make("r") == 0);
	c = start("r", NULL, 0, NULL, 0);
	snprintf(text, sizeof(text), "%d\n", (int)c.pid);
	CHECK("threads: its", is_ready(&c) && strcmp(get("r", "cgroup.threads"), text) == 0);
	CHECK("threads: stays there", put("r", "cgroup.threads", text) == 0);
	CHECK("threads: one alone goes nowhere", put("t", "cgroup.threads", text) == EOPNOTSUPP);
	CHECK("threads: words", put("r", "cgroup.threads", "x") == EINVAL && put("r", "cgroup.threads", "31999") == ESRCH);
	CHECK("threads: end", end_of(&c) == 0 && drop("r") == 0);
}

static void check_most(void)
{
	CHECK("most", put("t", "cgroup.max.descendants", "1") == 0 && strcmp(get("t", "cgroup.max.descendants"), "1\n") == 0);
	CHECK("most: one", make("t/x") == 0 && make("t/y") == EAGAIN && make("t/x/y") == EAGAIN);
	CHECK("most: depth", put("t", "cgroup.max.descendants", "max") == 0 && put("t", "cgroup.max.depth", "1") == 0);
	CHECK("most: not as deep", make("t/x/y") == EAGAIN && make("t/y") == 0);
	CHECK("most: words", put("t", "cgroup.max.depth", "x") == EINVAL && put("t", "cgroup.max.depth", "-1") == ERANGE &&
	      put("t", "cgroup.max.depth", "max\n") == 0);
	CHECK("most: rmdir", drop("t/x") == 0 && drop("t/y") == 0);
}

/* ---- charges ---- */

static void check_charges(void)
{
	struct child c;

	CHECK("charges", make("c") == 0 && make("d") == 0);
	c = start("c", step_eat, 8, step_eat, 4);
	CHECK("charges: ready", is_ready(&c));
	CHECK("charges: current", number("c", "memory.current") >= 8 * MIB && number("c", "memory.current") < 12 * MIB);
	CHECK("charges: anon", line("c", "memory.stat", "anon") >= 8 * MIB && line("c", "memory.stat", "pgfault") >= 8 * MIB / PAGE);
	CHECK("charges: moved", put_pid("d", c.pid) == 0);
	CHECK("charges: stay where they were", number("c", "memory.current") >= 8 * MIB && number("d", "memory.current") < 2 * MIB);
	let_go_on(&c);
	CHECK("charges: end", end_of(&c) == 0);
	CHECK("charges: freed", number("c", "memory.current") < 2 * MIB && line("c", "memory.stat", "anon") < MIB);
	CHECK("charges: peak", number("c", "memory.peak") >= 8 * MIB && number("d", "memory.peak") >= 4 * MIB);
	CHECK("charges: rmdir", drop("c") == 0 && drop("d") == 0);
}

static int group_of_two(const char *above, const char *a, const char *b)
{
	return make(above) == 0 && put(above, "cgroup.subtree_control", "+memory") == 0 && make(a) == 0 && make(b) == 0;
}

/* A group above with a limit, two below: who exceeds it is ended, those beside it and in the other group go on. */
static void check_max(void)
{
	struct child big, small, other;

	CHECK("max", group_of_two("m", "m/a", "m/b") && put("m/a", "memory.max", "12M") == 0 && put("m/a", "memory.swap.max", "0") == 0);
	small = start("m/a", step_eat, 1, NULL, 0);
	other = start("m/b", step_eat, 16, NULL, 0);
	CHECK("max: others", is_ready(&small) && is_ready(&other));
	big = start("m/a", NULL, 0, step_eat, 64);
	CHECK("max: it", is_ready(&big));
	let_go_on(&big);
	CHECK("max: it was ended", was_killed(end_of(&big)));
	CHECK("max: others were not", is_alive(&small) && is_alive(&other));
	CHECK("max: not exceeded", number("m/a", "memory.peak") <= 12 * MIB && number("m/a", "memory.peak") > 11 * MIB);
	CHECK("max: events", line("m/a", "memory.events", "max") > 0 && line("m/a", "memory.events", "oom") > 0);
	CHECK("max: one", line("m/a", "memory.events", "oom_kill") == 1 && line("m/a", "memory.events", "oom_group_kill") == 0);
	CHECK("max: above", line("m", "memory.events", "oom_kill") == 1 && line("m", "memory.events.local", "oom_kill") == 0);
	CHECK("max: beside", line("m/b", "memory.events", "oom_kill") == 0 && line("m/b", "memory.events", "max") == 0);
	CHECK("max: the other has its memory", line("m/b", "memory.stat", "anon") >= 16 * MIB);
	CHECK("max: above all counts", number("m", "memory.current") >= 17 * MIB);
	CHECK("max: end", end_of(&small) == 0 && end_of(&other) == 0);
	CHECK("max: rmdir", drop("m/a") == 0 && drop("m/b") == 0 && drop("m") == 0);
}

/* The limit is that of the group above: who holds most below it is ended, wherever that is. */
static void check_max_above(void)
{
	struct child big, asker;

	CHECK("above", group_of_two("v", "v/a", "v/b") && put("v", "memory.max", "24M") == 0 && put("v", "memory.swap.max", "0") == 0);
	big = start("v/a", step_eat, 16, NULL, 0);
	CHECK("above: big", is_ready(&big));
	asker = start("v/b", NULL, 0, step_eat, 12);
	CHECK("above: asker", is_ready(&asker));
	let_go_on(&asker);
	CHECK("above: the asker has its memory", end_of(&asker) == 0);
	CHECK("above: the larger was ended", was_killed(end_of(&big)));
	CHECK("above: whose limit", line("v", "memory.events.local", "oom") > 0 && line("v/b", "memory.events.local", "oom") == 0);
	CHECK("above: whose end", line("v/a", "memory.events.local", "oom_kill") == 1 && line("v", "memory.events", "oom_kill") == 1);
	CHECK("above: rmdir", drop("v/a") == 0 && drop("v/b") == 0 && drop("v") == 0);
}

static void check_oom_group(void)
{
	struct child a, b;
	long long n;

	CHECK("together", make("o") == 0 && put("o", "memory.max", "12M") == 0 && put("o", "memory.swap.max", "0") == 0);
	CHECK("together: asked for", put("o", "memory.oom.group", "1") == 0);
	a = start("o", step_eat, 1, NULL, 0);
	b = start("o", NULL, 0, step_eat, 64);
	CHECK("together: there", is_ready(&a) && is_ready(&b));
	let_go_on(&b);
	CHECK("together: both ended", was_killed(end_of(&b)) && was_killed(end_of(&a)));
	n = line("o", "memory.events", "oom_kill"); /* Linux counts who was chosen once more, among all of them */
	CHECK("together: events", (n == 2 || n == 3) && line("o", "memory.events", "oom_group_kill") == 1);
	CHECK("together: rmdir", drop("o") == 0);
}

/* Ends for want of memory, of the whole machine. */
static long long end_count(void)
{
	const char *at = strstr(text_of("/proc/vmstat"), "\noom_kill ");

	return at ? atoll(at + 10) : -1;
}

/* A limit below what is there, and nothing can be reclaimed. */
static void check_shrink(void)
{
	long long ends = end_count();
	struct child a;

	CHECK("smaller", make("s") == 0 && put("s", "memory.swap.max", "0") == 0);
	a = start("s", step_eat, 16, NULL, 0);
	CHECK("smaller: there", is_ready(&a));
	CHECK("smaller: reclaim", put("s", "memory.reclaim", "8M") == EAGAIN && is_alive(&a));
	CHECK("smaller: limit", put("s", "memory.max", "4M") == 0 && strcmp(get("s", "memory.max"), "4194304\n") == 0);
	CHECK("smaller: ended", was_killed(end_of(&a)));
	CHECK("smaller: vmstat", end_count() > ends);
	CHECK("smaller: events", line("s", "memory.events", "oom") > 0 && line("s", "memory.events", "oom_kill") == 1);
	CHECK("smaller: rmdir", drop("s") == 0);
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (long long)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Above high nobody is ended, but nobody gets on quickly either: a mebibyte beyond eight costs several waits, the last alone
 * a second. */
static void check_high(void)
{
	struct child a, b;
	long long begin;

	CHECK("high", make("h") == 0 && put("h", "memory.swap.max", "0") == 0 && put("h", "memory.high", "8M") == 0);
	a = start("h", NULL, 0, step_eat, 9);
	CHECK("high: there", is_ready(&a));
	begin = now_ms();
	let_go_on(&a);
	CHECK("high: it goes on", end_of(&a) == 0);
	CHECK("high: slowly", now_ms() - begin > 500);
	CHECK("high: events", line("h", "memory.events", "high") > 0 && line("h", "memory.events", "oom") == 0);
	b = start("h", NULL, 0, step_eat, 64); /* who would be slowed down for minutes ends at once when it is killed */
	CHECK("high: another", is_ready(&b));
	let_go_on(&b);
	while (is_alive(&b) && number("h", "memory.current") < 8 * MIB)
		usleep(1000);
	CHECK("high: killed", put("h", "cgroup.kill", "1") == 0 && was_killed(end_of(&b)));
	CHECK("high: rmdir", drop("h") == 0);
}

/* Memory that a call needs, not the program itself. */
static int step_read(int mib)
{
	char *p = mmap(NULL, (size_t)mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open("/dev/zero", O_RDONLY);
	size_t done = 0;

	while (done < (size_t)mib * MIB) {
		ssize_t n = read(fd, p + done, (size_t)mib * MIB - done);

		if (n <= 0)
			return 1;
		done += (size_t)n;
	}
	return 0;
}

static int step_write(int mib)
{
	int fd = open("/cgroups.file", O_CREAT | O_RDWR | O_TRUNC, 0600);
	static char block[PAGE];

	unlink("/cgroups.file");
	for (int i = 0; i < mib * (MIB / PAGE); i++)
		if (write(fd, block, PAGE) != PAGE)
			return 1;
	return 0;
}

static void check_calls(void)
{
	struct child a;

	CHECK("calls", make("e") == 0 && put("e", "memory.max", "8M") == 0 && put("e", "memory.swap.max", "0") == 0);
	a = start("e", NULL, 0, step_read, 32);
	CHECK("calls: read", is_ready(&a));
	let_go_on(&a);
	CHECK("calls: read was ended", was_killed(end_of(&a)));
	a = start("e", NULL, 0, step_write, 32);
	CHECK("calls: write", is_ready(&a));
	let_go_on(&a);
	CHECK("calls: write was ended", was_killed(end_of(&a)));
	CHECK("calls: events", line("e", "memory.events", "oom_kill") == 2);
	CHECK("calls: rmdir", drop("e") == 0);
}

/* ---- with swap ---- */

static char *kept;

static int step_keep(int mib)
{
	kept = eat(mib);
	return kept == NULL;
}

static int step_verify(int mib)
{
	for (long i = 0; i < (long)mib * MIB; i += PAGE)
		if (kept[i] != (char)(1 + i / PAGE % 127))
			return 1;
	return 0;
}

/* Two below one limit, one of them protected by `file`: what must go is the other's. */
static void check_protection(const char *file)
{
	struct child a, b;

	CHECK(file, group_of_two("p", "p/a", "p/b") && put("p", "memory.max", "24M") == 0 && put("p/a", file, "12M") == 0);
	a = start("p/a", step_keep, 8, step_verify, 8);
	CHECK("protection: there", is_ready(&a));
	b = start("p/b", step_keep, 32, step_verify, 32);
	CHECK("protection: the other", is_ready(&b));
	CHECK("protection: it has all of its own", number("p/a", "memory.swap.current") == 0);
	CHECK("protection: all of it in memory", line("p/a", "memory.stat", "anon") >= 8 * MIB);
	CHECK("protection: the other gave", number("p/b", "memory.swap.current") >= 12 * MIB);
	CHECK("protection: the limit", number("p", "memory.current") <= 24 * MIB && line("p", "memory.events", "max") > 0);
	let_go_on(&b);
	CHECK("protection: contents of the other", end_of(&b) == 0);
	let_go_on(&a);
	CHECK("protection: contents", end_of(&a) == 0 && number("p/a", "memory.swap.current") == 0);
	CHECK("protection: nobody was ended", line("p", "memory.events", "oom_kill") == 0);
	CHECK("protection: rmdir", drop("p/a") == 0 && drop("p/b") == 0 && drop("p") == 0);
}

static void check_swap(void)
{
	struct child a;

	CHECK("swap", make("q") == 0);
	a = start("q", step_keep, 8, step_verify, 8);
	CHECK("swap: there", is_ready(&a));
	CHECK("swap: reclaim", put("q", "memory.reclaim", "4M") == 0 && number("q", "memory.swap.current") >= 3 * MIB);
	CHECK("swap: less in memory", number("q", "memory.current") <= 6 * MIB);
	let_go_on(&a);
	CHECK("swap: contents", end_of(&a) == 0 && line("q", "memory.stat", "pgmajfault") > 0);
	CHECK("swap: all is given back", number("q", "memory.swap.current") == 0);
	CHECK("swap: limits", put("q", "memory.max", "8M") == 0 && put("q", "memory.swap.max", "4M") == 0);
	a = start("q", NULL, 0, step_eat, 32);
	CHECK("swap: another", is_ready(&a));
	let_go_on(&a);
	CHECK("swap: it was ended", was_killed(end_of(&a)) && line("q", "memory.events", "oom_kill") == 1);
	CHECK("swap: rmdir", drop("q") == 0);
}

static int has_swap(void)
{
	const char *text = text_of("/proc/swaps");
	const char *at = strchr(text, '\n');

	return at && at[1];
}

/* ---- the whole ---- */

/* As the first program of Linux there is nothing yet. */
static void set_up(void)
{
	if (access("/proc/self", F_OK) != 0) {
		mkdir("/proc", 0755);
		mkdir("/sys", 0755);
		mkdir("/dev", 0755);
		mount("none", "/proc", "proc", 0, NULL);
		mount("none", "/sys", "sysfs", 0, NULL);
		mount("none", "/dev", "devtmpfs", 0, NULL);
	}
	if (access(ROOT "/cgroup.procs", F_OK) != 0)
		mount("none", ROOT, "cgroup2", 0, NULL);
	CHECK("set up", access(ROOT "/cgroup.procs", F_OK) == 0);
	CHECK("memory can be had", strstr(get("", "cgroup.controllers"), "memory") != NULL);
	CHECK("memory", put("", "cgroup.subtree_control", "+memory") == 0);
}

int main(int argc, char **argv)
{
	self = "/proc/self/exe";
	if (argc > 1 && strcmp(argv[1], "where") == 0)
		return strcmp(text_of("/proc/self/cgroup"), "0::/u\n") != 0;
	signal(SIGPIPE, SIG_IGN);
	set_up();
	check_new_group();
	check_stat();
	check_root();
	check_pressure();
	check_told();
	check_numbers();
	check_tree();
	check_gone();
	check_members();
	check_zombie();
	check_kill();
	check_freeze();
	check_threads();
	check_most();
	check_charges();
	check_max();
	check_max_above();
	check_oom_group();
	check_shrink();
	check_high();
	check_calls();
	if (has_swap()) {
		check_protection("memory.min");
		check_protection("memory.low");
		check_swap();
	}
	CHECK("all is left as it was", drop("t") == 0);
	sum();
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	return failed != 0;
}
