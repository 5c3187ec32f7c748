/* SPDX-License-Identifier: MIT */
/*
 * The x86_64 machine against the kernel that runs this test: the same random calls on both, step by step; every errno,
 * and each page's rights and content, must be equal. A child process plays the program on the host.
 *
 * Not compared: where areas begin and end (Linux merged less up to 6.15, and counts differently since 6.3), and
 * mremap over several areas (allowed since 6.17). The window lies where neither a program nor its libraries are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/space.h"

enum { WINDOW = 40, RUNS = 40, STEPS = 60, FILE_PAGES = 64 };
#define AT 0x30000000ull

enum kind {
	DO_ASK_AREA, DO_MAP_ANON, DO_MAP_SHARED_ANON, DO_MAP_FILE, DO_MAP_ODD, DO_UNMAP, DO_UNMAP_ODD, DO_PROTECT, DO_PROTECT_ODD, DO_ADVISE, DO_WRITE_BYTE,
	DO_RESIZE, DO_MOVE, DO_REMAP_ODD, DO_FORK
};

struct call {
	enum kind kind;
	uint64_t addr, len, to, new_len, pgoff;
	unsigned prot, flags, file;
	int advice;
	uint8_t byte;
};

struct page_state {
	int prot;    /* -1: not mapped */
	bool shared;
	int byte;    /* -1: not to be read */
};

struct answer {
	int err;
	struct page_state page[WINDOW];
};

/* ---- the host's side ---- */

struct host {
	int socket, file[2], mem;
};

static bool host_one_area(uint64_t start, uint64_t end)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];
	bool one = false;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && from <= start && to >= end)
			one = true;
	if (maps)
		fclose(maps);
	return one;
}

static void host_look(struct host *h, struct answer *a)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], rights[8];

	for (int i = 0; i < WINDOW; i++)
		a->page[i] = (struct page_state){ -1, false, -1 };
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3)
			continue;
		for (int i = 0; i < WINDOW; i++) {
			uint64_t va = AT + (uint64_t)i * SPACE_PAGE;
			uint8_t byte;

			if (va < from || va >= to)
				continue;
			a->page[i].prot = (rights[0] == 'r') | (rights[1] == 'w') << 1 | (rights[2] == 'x') << 2;
			a->page[i].shared = rights[3] == 's';
			if (a->page[i].prot && pread(h->mem, &byte, 1, (off_t)(va + 7)) == 1)
				a->page[i].byte = byte;
		}
	}
	if (maps)
		fclose(maps);
}

/* The kernel's copy answers EFAULT where a program would get a signal. */
static int host_write(const struct call *c)
{
	int fds[2], err = 0;

	if (pipe(fds) || write(fds[1], &c->byte, 1) != 1)
		exit(3);
	if (read(fds[0], (void *)c->addr, 1) != 1)
		err = errno;
	close(fds[0]);
	close(fds[1]);
	return err;
}

/* The parent process ends with its child; the child goes on. */
static int host_fork(struct host *h)
{
	pid_t pid = fork();
	int status = 0;

	if (pid > 0) {
		waitpid(pid, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 4);
	}
	close(h->mem);
	h->mem = open("/proc/self/mem", O_RDONLY);
	return pid < 0 ? errno : 0;
}

static int map_result(void *at, const struct call *c)
{
	if (at == MAP_FAILED)
		return errno;
	if ((uint64_t)at != c->addr)
		munmap(at, c->len);
	return 0;
}

static int host_call(struct host *h, const struct call *c)
{
	void *addr = (void *)c->addr, *to = (void *)c->to;
	int fd = -1;

	switch (c->kind) {
	case DO_ASK_AREA:
		return host_one_area(c->addr, c->addr + c->len);
	case DO_MAP_FILE:
		fd = h->file[c->file];
		/* fall through */
	case DO_MAP_ANON:
	case DO_MAP_SHARED_ANON:
	case DO_MAP_ODD:
		return map_result(mmap(addr, c->len, (int)c->prot, (int)c->flags, fd, (off_t)(c->pgoff * SPACE_PAGE)), c);
	case DO_UNMAP:
	case DO_UNMAP_ODD:
		return munmap(addr, c->len) ? errno : 0;
	case DO_PROTECT:
	case DO_PROTECT_ODD:
		return mprotect(addr, c->len, (int)c->prot) ? errno : 0;
	case DO_ADVISE:
		return madvise(addr, c->len, c->advice) ? errno : 0;
	case DO_WRITE_BYTE:
		return host_write(c);
	case DO_RESIZE:
	case DO_MOVE:
	case DO_REMAP_ODD:
		return mremap(addr, c->len, c->new_len, (int)c->flags, to) == MAP_FAILED ? errno : 0;
	case DO_FORK:
		return host_fork(h);
	}
	return -1;
}

static void host_files(struct host *h)
{
	uint8_t bytes[KMM_PAGE_SIZE];

	for (int f = 0; f < 2; f++) {
		h->file[f] = memfd_create("vm_host", 0);
		for (int i = 0; i < FILE_PAGES; i++) {
			memset(bytes, i + 1, sizeof(bytes));
			if (pwrite(h->file[f], bytes, sizeof(bytes), (off_t)i * KMM_PAGE_SIZE) != KMM_PAGE_SIZE)
				exit(3);
		}
	}
}

/* Answers calls until the socket closes. */
static void host_run(int socket)
{
	struct host h = { .socket = socket };
	struct answer a;
	struct call c;

	host_files(&h);
	h.mem = open("/proc/self/mem", O_RDONLY);
	while (read(socket, &c, sizeof(c)) == sizeof(c)) {
		a.err = host_call(&h, &c);
		host_look(&h, &a);
		if (write(socket, &a, sizeof(a)) != sizeof(a))
			break;
	}
	_exit(0);
}

/* ---- the machine's side ---- */

struct pair {
	struct space s;
	struct kmm_file file[2];
	struct kmm_mm *ended[STEPS]; /* parents of forks; kept, as the host's are */
	unsigned nr_ended;
	int socket;
	pid_t pid;
	uint64_t seed;
};

static enum kmm_status fill_numbers(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, (int)index + 1, KMM_PAGE_SIZE);
	return KMM_OK;
}

static bool kmm_one_area(struct pair *p, uint64_t start, uint64_t end)
{
	struct kmm_vma_info info;

	return kmm_vma_find(p->s.mm, kmm_uva(start), &info) && info.start.v <= start && info.end.v >= end;
}

static enum kmm_status kmm_fork(struct pair *p)
{
	struct kmm_mm *child;
	enum kmm_status status = kmm_mm_fork(p->s.mm, &child);

	if (status)
		return status;
	p->ended[p->nr_ended++] = p->s.mm;
	p->s.mm = child;
	return KMM_OK;
}

static enum kmm_status kmm_map_call(struct pair *p, const struct call *c)
{
	struct kmm_backing *backing = c->kind == DO_MAP_FILE ? &p->file[c->file].backing : NULL;
	struct kmm_uva at;
	enum kmm_status status = kmm_mmap(p->s.mm, kmm_uva(c->addr), c->len, c->prot, c->flags, backing, c->pgoff, &at);

	if (status == KMM_OK && at.v != c->addr)
		return kmm_munmap(p->s.mm, at, c->len);
	return status;
}

static int kmm_call(struct pair *p, const struct call *c)
{
	struct kmm_mm *mm = p->s.mm;
	enum kmm_status status = KMM_OK;
	struct kmm_uva at;

	switch (c->kind) {
	case DO_ASK_AREA:
		return kmm_one_area(p, c->addr, c->addr + c->len);
	case DO_MAP_ANON:
	case DO_MAP_SHARED_ANON:
	case DO_MAP_FILE:
	case DO_MAP_ODD:
		status = kmm_map_call(p, c);
		break;
	case DO_UNMAP:
	case DO_UNMAP_ODD:
		status = kmm_munmap(mm, kmm_uva(c->addr), c->len);
		break;
	case DO_PROTECT:
	case DO_PROTECT_ODD:
		status = kmm_mprotect(mm, kmm_uva(c->addr), c->len, c->prot);
		break;
	case DO_ADVISE:
		status = kmm_madvise(mm, kmm_uva(c->addr), c->len, c->advice);
		break;
	case DO_WRITE_BYTE:
		status = kmm_copy_out(mm, kmm_uva(c->addr), &c->byte, 1, NULL);
		break;
	case DO_RESIZE:
	case DO_MOVE:
	case DO_REMAP_ODD:
		status = kmm_mremap(mm, kmm_uva(c->addr), c->len, c->new_len, c->flags, kmm_uva(c->to), &at);
		break;
	case DO_FORK:
		status = kmm_fork(p);
		break;
	}
	return kmm_status_errno(status);
}

static void compare_page(struct pair *p, int i, const struct page_state *host)
{
	uint64_t va = AT + (uint64_t)i * SPACE_PAGE;
	struct kmm_vma_info info;
	bool mapped = kmm_vma_find(p->s.mm, kmm_uva(va), &info) && info.start.v <= va;
	uint8_t byte;

	CHECK_EQ(mapped ? (int)info.prot : -1, host->prot);
	if (!mapped)
		return;
	CHECK_EQ(info.shared, host->shared);
	if (info.prot && host->byte >= 0) {
		CHECK_OK(kmm_copy_in(p->s.mm, &byte, kmm_uva(va + 7), 1, NULL));
		CHECK_EQ(byte, host->byte);
	}
}

/* The call on both; *answer is the host's. */
static void both(struct pair *p, const struct call *c, struct answer *answer)
{
	CHECK_EQ(write(p->socket, c, sizeof(*c)), sizeof(*c));
	CHECK_EQ(recv(p->socket, answer, sizeof(*answer), MSG_WAITALL), sizeof(*answer));
	if (c->kind == DO_ASK_AREA) {
		answer->err = answer->err && kmm_call(p, c);
		return;
	}
	CHECK_EQ(kmm_call(p, c), answer->err);
	for (int i = 0; i < WINDOW; i++)
		CALL(compare_page(p, i, &answer->page[i]));
}

/* ---- random calls ---- */

static unsigned dice(struct pair *p, unsigned n) { return (unsigned)(kmm_test_rand(&p->seed) % n); }

static unsigned random_prot(struct pair *p)
{
	static const uint8_t prots[] = { 0, 1, 3, 3, 3, 5, 7, 2, 4 };

	return prots[dice(p, sizeof(prots))];
}

/* Arguments that are wrong in some way, none of which can reach beyond the window. */
static void make_odd(struct pair *p, struct call *c)
{
	static const uint64_t lens[] = { 0, 1, 4095, 4096, 1ull << 47, 1ull << 63, UINT64_MAX, UINT64_MAX - 4095 };

	c->addr += dice(p, 3) ? 0 : 1 + dice(p, 4095);
	c->len = lens[dice(p, sizeof(lens) / sizeof(lens[0]))];
	if (c->kind == DO_MAP_ODD)
		c->flags = dice(p, 4) | KMM_MAP_ANONYMOUS | (dice(p, 2) ? KMM_MAP_FIXED : KMM_MAP_FIXED_NOREPLACE) |
			   (dice(p, 4) ? 0 : KMM_MAP_STACK | KMM_MAP_NORESERVE | KMM_MAP_DENYWRITE);
	if (c->kind == DO_UNMAP_ODD && c->len > 4096)
		c->len |= 1ull << 47;
	if (c->kind == DO_PROTECT_ODD)
		c->prot = dice(p, 32);
	if (c->kind == DO_REMAP_ODD) { /* each of these is refused */
		static const unsigned flags[] = { 8, KMM_MREMAP_FIXED, KMM_MREMAP_DONTUNMAP, 6, 3 };

		c->flags = flags[dice(p, 5)];
		c->len = SPACE_PAGE;
		c->new_len = c->flags == 3 ? 0 : 2 * SPACE_PAGE;
	}
}

static void random_call(struct pair *p, struct call *c)
{
	static const enum kind kinds[] = { DO_MAP_ANON, DO_MAP_ANON, DO_MAP_ANON, DO_MAP_SHARED_ANON, DO_MAP_FILE, DO_MAP_FILE, DO_MAP_ODD, DO_UNMAP,
					   DO_UNMAP_ODD, DO_PROTECT, DO_PROTECT, DO_PROTECT, DO_PROTECT_ODD, DO_ADVISE, DO_ADVISE, DO_WRITE_BYTE,
					   DO_WRITE_BYTE, DO_WRITE_BYTE, DO_RESIZE, DO_RESIZE, DO_MOVE, DO_MOVE, DO_REMAP_ODD, DO_FORK };
	static const int advices[] = { 4, 4, 0, 1, 2, 3, 10, 11, 77 };
	unsigned nr = 1 + dice(p, 8), new_nr = 1 + dice(p, 8);

	memset(c, 0, sizeof(*c));
	c->kind = kinds[dice(p, sizeof(kinds) / sizeof(kinds[0]))];
	c->addr = AT + dice(p, WINDOW - nr + 1) * SPACE_PAGE;
	c->len = nr * SPACE_PAGE;
	c->to = AT + dice(p, WINDOW - new_nr + 1) * SPACE_PAGE;
	c->prot = random_prot(p);
	c->advice = advices[dice(p, sizeof(advices) / sizeof(advices[0]))];
	c->byte = (uint8_t)dice(p, 256);
	c->file = dice(p, 2);
	c->pgoff = dice(p, FILE_PAGES - 4); /* may reach beyond the end */
	c->flags = KMM_MAP_FIXED | (c->kind == DO_MAP_SHARED_ANON || (c->kind == DO_MAP_FILE && dice(p, 2)) ? KMM_MAP_SHARED :
												      KMM_MAP_PRIVATE);
	c->flags |= (c->kind == DO_MAP_FILE ? 0 : KMM_MAP_ANONYMOUS) | (dice(p, 6) ? 0 : KMM_MAP_POPULATE);
	c->new_len = (c->kind == DO_MOVE ? nr : new_nr) * SPACE_PAGE;
	if (c->kind == DO_WRITE_BYTE)
		c->addr += 7; /* the byte that is compared */
	if (c->kind == DO_RESIZE)
		c->flags = 0;
	if (c->kind == DO_MOVE)
		c->flags = KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED;
	if (c->kind == DO_MAP_ODD || c->kind == DO_UNMAP_ODD || c->kind == DO_PROTECT_ODD || c->kind == DO_REMAP_ODD)
		make_odd(p, c);
}

/* Whether a range is one area may differ between kernels, so calls that ask for it are made where it is one on both. */
static void one_step(struct pair *p)
{
	struct answer answer;
	struct call c, ask;

	random_call(p, &c);
	if (c.kind == DO_MOVE && c.to + c.new_len > AT + WINDOW * SPACE_PAGE)
		return;
	if (c.kind == DO_RESIZE && c.addr + c.new_len > AT + WINDOW * SPACE_PAGE)
		return;
	if (c.kind == DO_RESIZE || c.kind == DO_MOVE) {
		ask = c;
		ask.kind = DO_ASK_AREA;
		CALL(both(p, &ask, &answer));
		if (!answer.err)
			return;
		/* Growing needs the area to end there, too. */
		ask.addr = c.addr + c.len - SPACE_PAGE;
		ask.len = 2 * SPACE_PAGE;
		if (c.kind == DO_RESIZE)
			CALL(both(p, &ask, &answer));
		if (c.kind == DO_RESIZE && answer.err)
			return;
	}
	CALL(both(p, &c, &answer));
}

static void pair_start(struct pair *p, uint64_t seed)
{
	int sockets[2];

	memset(p, 0, sizeof(*p));
	p->seed = seed;
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0) {
		close(sockets[0]);
		host_run(sockets[1]);
	}
	close(sockets[1]);
	p->socket = sockets[0];
	CALL(space_start(&p->s, KMM_X86_64));
	for (int f = 0; f < 2; f++) {
		kmm_file_init(&p->file[f], p->s.k, FILE_PAGES * SPACE_PAGE, "vm_host");
		p->file[f].fill = fill_numbers;
	}
}

static void pair_stop(struct pair *p)
{
	close(p->socket);
	waitpid(p->pid, NULL, 0);
	for (unsigned i = 0; i < p->nr_ended; i++)
		hosted_put_space(p->s.m, p->ended[i]);
	hosted_put_space(p->s.m, p->s.mm);
	p->s.mm = NULL;
	for (int f = 0; f < 2; f++)
		kmm_backing_put(&p->file[f].backing);
	CALL(space_stop(&p->s));
}

KMM_TEST(vm_host_agrees)
{
	static struct pair p;
	uint64_t seed = kmm_test_seed();

	if (mmap((void *)AT, WINDOW * SPACE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
	    (void *)AT)
		SKIP("the window is not free in this process");
	munmap((void *)AT, WINDOW * SPACE_PAGE);
	for (unsigned run = 0; run < RUNS; run++) {
		CALL(pair_start(&p, kmm_test_rand(&seed)));
		for (unsigned i = 0; i < STEPS; i++) {
			one_step(&p);
			if (kmm_test_failed()) {
				printf("  in run %u, step %u\n", run, i);
				return;
			}
		}
		CALL(pair_stop(&p));
	}
}
