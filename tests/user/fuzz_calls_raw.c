/* SPDX-License-Identifier: MIT */
/*
 * Random system calls, many in a row in one process, so that each meets what those before it have made: mappings with
 * holes, half-read pipes, handlers at nonsense addresses, threads on one stack. No C library, which would be confused.
 *
 *   fuzz_calls_raw rounds=N [seed=N] [first=N] [trace]
 *
 * The parent forks some children per round, waits, and kills whoever is left; the machine must go on forking and running.
 * A child's calls follow from seed and round; its timer, which ends sleeps, makes no two runs quite equal. trace: the
 * children write each call's number and arguments before they make it. On real Linux it must not run as root.
 */
#include <stdint.h>

enum { CHILDREN = 8, CALLS = 400, NR_CALLS = 450, AREA_PAGES = 64, ARENA_WORDS = 2048, PAGE = 4096, POLLS = 10 };
enum { FIRST_FREE_PID = 3, SIGKILL = 9, SIGALRM = 14, WNOHANG = 1 };
enum { EXIT = 1, FORK = 2, READ = 3, WRITE = 4, OPEN = 5, CLOSE = 6, UNLINK = 10, GETPID = 20, KILL = 37, PIPE = 42, SETPGID = 57,
       REBOOT = 88, MMAP2 = 192, MUNMAP = 91, WAIT4 = 114, CLONE = 120, MPROTECT = 125, NANOSLEEP = 162, MREMAP = 163,
       RT_SIGACTION = 174, VFORK = 190, SETITIMER = 104, MADVISE = 219, TKILL = 238, TGKILL = 270, PRLIMIT64 = 340 };
#define AREA 0x50000000u

static uint32_t random_state, tracing;
static uint32_t arena[ARENA_WORDS] __attribute__((aligned(4096)));

/* ---- tools ---- */

static int32_t call6(uint32_t n, const uint32_t *a)
{
	int32_t result;

	__asm__ volatile("push %%ebp\n\tpush %%ebx\n\tmov 0(%2), %%ebx\n\tmov 4(%2), %%ecx\n\tmov 8(%2), %%edx\n\t"
			 "mov 12(%2), %%esi\n\tmov 20(%2), %%ebp\n\tmov 16(%2), %%edi\n\tint $0x80\n\t"
			 "pop %%ebx\n\tpop %%ebp"
			 : "=a"(result) : "0"(n), "D"(a) : "ecx", "edx", "esi", "memory");
	return result;
}

static int32_t call(uint32_t n, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	const uint32_t args[6] = { a, b, c, d, 0, 0 };

	return call6(n, args);
}

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static uint32_t dice(uint32_t n)
{
	return (next_random() >> 8) % n;
}

static void say(const char *text)
{
	uint32_t len = 0;

	while (text[len])
		len++;
	call(WRITE, 1, (uint32_t)text, len, 0);
}

static void say_number(uint32_t v)
{
	char digits[12], *p = digits + 11;

	*p = 0;
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	say(p);
}

static void say_hex(uint32_t v)
{
	char digits[10];

	digits[0] = ' ';
	for (int i = 0; i < 8; i++)
		digits[1 + i] = "0123456789abcdef"[v >> (28 - 4 * i) & 15];
	digits[9] = 0;
	say(digits);
}

/* ---- arguments ---- */

static const char paths[][24] = { "/tmp/a", "/tmp/b", "/tmp/a/../b", "/tmp", "/", "/proc/self/maps", "/proc/self/fd/3", "/dev/zero",
				  "/dev/null", "/bin/busybox", "/proc/self/exe", "/tmp/link", "", "/proc/kmm/frames", "..", "/proc/meminfo" };
enum { NR_PATHS = sizeof(paths) / sizeof(paths[0]) };

static uint32_t edge(void)
{
	static const uint32_t edges[] = { 0, 1, 2, 3, 7, 8, 12, 16, 4095, 4096, 4097, 65536, 0x7fffffff, 0x80000000, 0x80000001, 0xbfffffff,
					  0xbffff000, 0xbffffffc, 0xc0000000, 0xc0100000, 0xfffff000, 0xffffffff, 0xfffffffc, 0xffe00000 };

	return edges[dice(sizeof(edges) / sizeof(edges[0]))];
}

/* Near the end of a page as often as not, where the next one may be absent. */
static uint32_t area_address(void)
{
	uint32_t page = AREA + dice(AREA_PAGES) * PAGE;

	return dice(2) ? page : page + PAGE - 1 - dice(64);
}

static uint32_t value(void)
{
	switch (dice(12)) {
	case 0: return edge();
	case 1: return next_random();
	case 2:
	case 3: return dice(12); /* a descriptor, a signal, a command */
	case 4: return (uint32_t)paths[dice(NR_PATHS)];
	case 5:
	case 6: return area_address();
	case 7: return 1u << dice(32);
	case 8: return dice(AREA_PAGES) * PAGE;
	case 9: return dice(300);
	default: return (uint32_t)&arena[dice(ARENA_WORDS)];
	}
}

static void stir_arena(uint32_t words)
{
	while (words--)
		arena[dice(ARENA_WORDS)] = value();
}

/* Calls about memory more often than others. */
static uint32_t number(void)
{
	static const uint16_t memory[] = { MMAP2, MUNMAP, MPROTECT, MREMAP, MADVISE, READ, WRITE, MMAP2 };

	return dice(3) ? dice(NR_CALLS) : memory[dice(sizeof(memory) / sizeof(memory[0]))];
}

/* Sane enough to succeed now and then. */
static void shape(uint32_t n, uint32_t *a)
{
	if (n == MMAP2 || n == MUNMAP || n == MPROTECT || n == MREMAP || n == MADVISE) {
		a[0] = dice(8) ? AREA + dice(AREA_PAGES) * PAGE : a[0];
		a[1] = dice(8) ? (1 + dice(12)) * PAGE : a[1];
	}
	if (n == MMAP2) {
		a[2] = dice(8);
		a[3] = dice(4) ? 0x10 | 0x20 * dice(2) | 1u << dice(2) : a[3];
		a[4] = dice(12);
		a[5] = dice(8);
	}
}

/* What would end the parent, or the machine. */
static void restrain(uint32_t *n, uint32_t *a)
{
	uint32_t me = (uint32_t)call(GETPID, 0, 0, 0, 0);

	if (*n == REBOOT)
		*n = GETPID;
	if ((*n == KILL || *n == TKILL || *n == TGKILL) && (int32_t)a[0] < FIRST_FREE_PID)
		a[0] = me;
	if (*n == TGKILL && (int32_t)a[1] < FIRST_FREE_PID)
		a[1] = me;
	if (*n == SETPGID && a[1] < FIRST_FREE_PID)
		a[1] = 0;
	if (*n == PRLIMIT64)
		a[0] = 0;
}

/* ---- the child ---- */

static void on_alarm(void)
{
}

static void prepare(void)
{
	const uint32_t every[4] = { 0, 10000, 0, 10000 }, action[5] = { (uint32_t)on_alarm, 0, 0, 0, 0 };
	int kept = tracing ? 3 : 0;

	call(SETPGID, 0, 0, 0, 0);
	for (uint32_t fd = (uint32_t)kept; fd < 3; fd++)
		call(CLOSE, fd, 0, 0, 0);
	for (uint32_t i = 0; i < NR_PATHS; i++)
		call(OPEN, (uint32_t)paths[i], 0102 * (i < 2), 0644, 0);
	call(PIPE, (uint32_t)arena, 0, 0, 0);
	call(RT_SIGACTION, SIGALRM, (uint32_t)action, 0, 8);
	call(SETITIMER, 0, (uint32_t)every, 0, 0);
	stir_arena(ARENA_WORDS / 2);
}

static void trace_call(uint32_t n, const uint32_t *a)
{
	say_number(n);
	for (int i = 0; i < 6; i++)
		say_hex(a[i]);
	say("\n");
}

__attribute__((noreturn)) static void live(void)
{
	prepare();
	for (int i = 0; i < CALLS; i++) {
		uint32_t a[6], n = number();

		for (int j = 0; j < 6; j++)
			a[j] = value();
		shape(n, a);
		restrain(&n, a);
		stir_arena(8);
		if (tracing)
			trace_call(n, a);
		call6(n, a);
	}
	for (;;)
		call(EXIT, 0, 0, 0, 0);
}

/* ---- the parent ---- */

static void fail(const char *why)
{
	say("FAIL ");
	say(why);
	say("\n");
	call(EXIT, 1, 0, 0, 0);
}

/* Until nobody is left. */
static void bury_all(void)
{
	while (call(WAIT4, (uint32_t)-1, 0, WNOHANG, 0) >= 0)
		call(KILL, (uint32_t)-1, SIGKILL, 0, 0);
}

static void tick(void)
{
	const uint32_t ms5[2] = { 0, 5000000 };

	call(NANOSLEEP, (uint32_t)ms5, 0, 0, 0);
}

/* Those who were killed may still be on their way out, with all the memory there is. */
static int32_t fork_patiently(void)
{
	int32_t pid = call(FORK, 0, 0, 0, 0);

	for (int i = 0; i < 200 && pid < 0; i++) {
		tick();
		pid = call(FORK, 0, 0, 0, 0);
	}
	return pid;
}

static void one_round(uint32_t seed)
{
	for (uint32_t child = 1; child <= CHILDREN; child++) {
		int32_t pid = fork_patiently();

		if (pid == 0) {
			random_state = seed * child | 1;
			live();
		}
		if (pid < 0)
			fail("the machine forks no more");
	}
	for (int i = 0, ended = 0; i < POLLS && ended >= 0; i++) {
		while ((ended = call(WAIT4, (uint32_t)-1, 0, WNOHANG, 0)) > 0)
			;
		tick();
	}
	call(KILL, (uint32_t)-1, SIGKILL, 0, 0);
	bury_all();
	call(UNLINK, (uint32_t)paths[0], 0, 0, 0);
	call(UNLINK, (uint32_t)paths[1], 0, 0, 0);
}

static uint32_t argument(char **argv, const char *name)
{
	for (; *argv; argv++) {
		const char *p = *argv, *q = name;
		uint32_t v = 0;

		while (*q && *p == *q)
			p++, q++;
		if (*q)
			continue;
		for (; *p >= '0' && *p <= '9'; p++)
			v = v * 10 + (uint32_t)(*p - '0');
		return v ? v : 1;
	}
	return 0;
}

__attribute__((noreturn, used)) static void start(uint32_t *stack)
{
	char **argv = (char **)(stack + 1);
	uint32_t rounds = argument(argv, "rounds="), seed = argument(argv, "seed="), first = argument(argv, "first=");

	tracing = argument(argv, "trace");
	for (uint32_t i = first; i < first + rounds; i++)
		one_round((i + 1) * 2654435761u ^ (seed + 1) * 0x9e3779b9u);
	say_number(rounds);
	say(" rounds survived\n");
	for (;;)
		call(EXIT, rounds ? 0 : 2, 0, 0, 0);
}

__asm__(".globl _start\n_start: mov %esp, %eax\n\tand $-16, %esp\n\tsub $12, %esp\n\tpush %eax\n\tcall start\n");
