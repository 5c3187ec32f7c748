/* SPDX-License-Identifier: MIT */
/* native.c - see native.h. */
#include "oracle/native.h"

#include "oracle/look.h"
#include "oracle/sys.h"

enum { SIGBUS_NR = 7, SIGSEGV_NR = 11, SA_SIGINFO_BIT = 4, SA_RESTORER_BIT = 0x04000000, SA_ONSTACK_BIT = 0x08000000,
       SA_NODEFER_BIT = 0x40000000 };
enum { FUTEX_WAIT_OP = 0, FUTEX_WAKE_OP = 1 };
enum { FIRST_FD = 10, MAPS_ROOM = 1 << 20, PAGEMAP_SOFT_DIRTY = 55, RET = 0xc3, BUSY = 16, NO_PROCESS = 3, TIMED_OUT = 110 };
enum { F_ADD_SEALS_OP = 1033, F_GET_SEALS_OP = 1034, MFD_ALLOW_SEALING_BIT = 2 };

extern char _end[];
extern const char __ehdr_start[];
static struct shared *const sh = ORACLE_SHARED;
static unsigned me; /* which actor this process is */
static int files[ORACLE_FILES], pipe_fds[2];
static sword segments[ORACLE_SEGMENTS];
static uint64_t copied; /* what came through the pipe */
static char maps[MAPS_ROOM];
static uint64_t pagemap[LOOK_MOST_PAGES];
static uint64_t pagemap_start;
static int pagemap_fd;

/* ---- accesses that may end in a signal ---- */

/* setjmp() and longjmp(buf, 1): what a call preserves, the stack and the way back. */
__attribute__((returns_twice)) int remember(uword *buf);
__attribute__((noreturn)) void escape_to(uword *buf);
#ifdef __x86_64__
__asm__("remember:\n\tmov %rbx, (%rdi)\n\tmov %rbp, 8(%rdi)\n\tmov %r12, 16(%rdi)\n\tmov %r13, 24(%rdi)\n\tmov %r14, 32(%rdi)\n\t"
	"mov %r15, 40(%rdi)\n\tlea 8(%rsp), %rax\n\tmov %rax, 48(%rdi)\n\tmov (%rsp), %rax\n\tmov %rax, 56(%rdi)\n\txor %eax, %eax\n\tret\n"
	"escape_to:\n\tmov (%rdi), %rbx\n\tmov 8(%rdi), %rbp\n\tmov 16(%rdi), %r12\n\tmov 24(%rdi), %r13\n\tmov 32(%rdi), %r14\n\t"
	"mov 40(%rdi), %r15\n\tmov 48(%rdi), %rsp\n\tmov $1, %eax\n\tjmp *56(%rdi)\n");
#else
__asm__("remember:\n\tmov 4(%esp), %ecx\n\tmov %ebx, (%ecx)\n\tmov %ebp, 4(%ecx)\n\tmov %esi, 8(%ecx)\n\tmov %edi, 12(%ecx)\n\t"
	"lea 4(%esp), %eax\n\tmov %eax, 16(%ecx)\n\tmov (%esp), %eax\n\tmov %eax, 20(%ecx)\n\txor %eax, %eax\n\tret\n"
	"escape_to:\n\tmov 4(%esp), %ecx\n\tmov (%ecx), %ebx\n\tmov 4(%ecx), %ebp\n\tmov 8(%ecx), %esi\n\tmov 12(%ecx), %edi\n\t"
	"mov 16(%ecx), %esp\n\tmov $1, %eax\n\tjmp *20(%ecx)\n");
#endif

static uword escape[8];
static int32_t signal_nr, signal_code;
static uint64_t signal_addr;
static char signal_stack[16384] __attribute__((aligned(64)));

static void on_signal(int nr, const char *info, void *context)
{
	(void)context;
	signal_nr = nr;
	signal_code = *(const int32_t *)(info + 8);
	signal_addr = *(void *const *)(info + (sizeof(void *) == 8 ? 16 : 12)) ?
			      (uword) * (void *const *)(info + (sizeof(void *) == 8 ? 16 : 12)) : 0;
	escape_to(escape);
}

static void set_signals(void)
{
	struct {
		void *handler;
		uword flags;
		void *restorer;
		uint64_t mask;
	} action = { (void *)(uword)on_signal, SA_SIGINFO_BIT | SA_RESTORER_BIT | SA_ONSTACK_BIT | SA_NODEFER_BIT,
		     (void *)(uword)on_signal, 0 };
	struct {
		void *at;
		int flags;
		uword size;
	} stack = { signal_stack, 0, sizeof(signal_stack) };

	sys3(NR_SIGALTSTACK, (uword)&stack, 0, 0);
	sys6(NR_SIGACTION, SIGSEGV_NR, (uword)&action, 0, 8, 0, 0);
	sys6(NR_SIGACTION, SIGBUS_NR, (uword)&action, 0, 8, 0, 0);
}

/* len 1 or 8. The bytes read; after a signal signal_nr is set. */
static __attribute__((noinline)) uint64_t load(uint64_t va, unsigned len)
{
	signal_nr = 0;
	if (remember(escape))
		return 0;
	if (len == 1)
		return *(volatile uint8_t *)(uword)va;
	return *(volatile uint32_t *)(uword)va | (uint64_t) * (volatile uint32_t *)(uword)(va + 4) << 32;
}

static __attribute__((noinline)) void store(uint64_t va, uint8_t byte)
{
	signal_nr = 0;
	if (remember(escape))
		return;
	*(volatile uint8_t *)(uword)va = byte;
}

static __attribute__((noinline)) void call(uint64_t va)
{
	signal_nr = 0;
	if (remember(escape))
		return;
	((void (*)(void))(uword)va)();
}

/* Runs what is there if it is a lone `ret`, or if it cannot even be read. Returns what was read. */
static sword execute(uint64_t va)
{
	uint64_t byte = load(va, 1);

	if (signal_nr || byte == RET)
		call(va);
	return (sword)byte;
}

static __attribute__((noinline)) bool digest(uint64_t va, uint32_t *out)
{
	if (remember(escape))
		return false;
	*out = look_digest((const void *)(uword)va);
	return true;
}

/* ---- looking ---- */

uint32_t native_read_file(const char *name, char *to, uint32_t room)
{
	sword fd = sys3(NR_OPEN, (uword)name, 0, 0), n = 1;
	uint32_t len = 0;

	while (fd >= 0 && n > 0 && len < room) {
		n = sys3(NR_READ, (uword)fd, (uword)(to + len), room - len);
		len += n > 0 ? (uint32_t)n : 0;
	}
	sys3(NR_CLOSE, (uword)fd, 0, 0);
	return len;
}

uint32_t native_maps(const char **text)
{
	*text = maps;
	return native_read_file("/proc/self/maps", maps, sizeof(maps));
}

static void look_area(struct looker *l, uint64_t start, uint64_t end)
{
	uword nr = (uword)((end - start) / ORACLE_PAGE);

	(void)l;
	pagemap_start = start;
	for (uword i = 0; i < nr; i++)
		pagemap[i] = UINT64_MAX;
	sys_pread((uword)pagemap_fd, pagemap, nr * 8, start / ORACLE_PAGE * 8);
}

static enum look_page look_page(struct looker *l, uint64_t va, unsigned prot, uint32_t *out)
{
	uint64_t entry = pagemap[(uword)((va - pagemap_start) / ORACLE_PAGE)];

	if (!(entry >> 63))
		return LOOK_ABSENT;
	l->soft_dirty = sh->tells_soft_dirty && (entry >> PAGEMAP_SOFT_DIRTY & 1);
	if (!prot)
		return LOOK_UNREADABLE;
	return digest(va, out) ? LOOK_CONTENT : LOOK_BUS;
}

static void look(struct answer *a)
{
	struct looker l = { .from = sh->heap, .area = look_area, .page = look_page };
	struct text out = { sh->text + sh->text_len, 0, ORACLE_TEXT_ROOM - sh->text_len };

	pagemap_fd = (int)sys3(NR_OPEN, (uword) "/proc/self/pagemap", 0, 0);
	look_answer(a, &out);
	look_rows(&l, maps, native_maps(&(const char *){ 0 }), &out);
	sys3(NR_CLOSE, (uword)pagemap_fd, 0, 0);
	a->text = sh->text_len;
	a->text_len = out.len;
	sh->text_len += out.len;
}

/* ---- steps ---- */

static uint64_t address(const struct place *p)
{
	switch (p->base) {
	case BASE_ABSOLUTE: return p->offset;
	case BASE_WINDOW: return ORACLE_WINDOW + p->offset;
	case BASE_FAR: return ORACLE_FAR + p->offset;
	case BASE_HEAP: return sh->heap + p->offset;
	default: return sh->slots[p->base - BASE_SLOT] + p->offset;
	}
}

static uword file_of(const struct step *s)
{
	return s->file < ORACLE_FILES ? (uword)files[s->file] : (uword)-1;
}

static sword set_limit(const struct step *s)
{
	static const uint8_t which[LIMIT_NR] = { [LIMIT_AS] = 9, [LIMIT_DATA] = 2, [LIMIT_STACK] = 3, [LIMIT_MEMLOCK] = 8 };
	const uint64_t limit[2] = { s->new_len, s->flags == LIMIT_MEMLOCK ? 8 << 20 : UINT64_MAX };

	return sys6(NR_PRLIMIT, 0, which[s->flags], (uword)limit, 0, 0, 0);
}

static sword fork_actor(const struct step *s)
{
	sword pid;

	if (sh->living >> s->slot & 1) /* only in a program that was made shorter */
		return -BUSY;
	__atomic_add_fetch(&sh->processes, 1, __ATOMIC_SEQ_CST);
	__atomic_or_fetch(&sh->living, 1u << s->slot, __ATOMIC_SEQ_CST); /* before the child looks */
	pid = sys3(NR_FORK, 0, 0, 0);
	if (pid == 0) {
		me = s->slot;
		return 0;
	}
	sh->pids[s->slot] = (uint32_t)pid;
	if (pid < 0) {
		__atomic_sub_fetch(&sh->processes, 1, __ATOMIC_SEQ_CST);
		__atomic_and_fetch(&sh->living, ~(1u << s->slot), __ATOMIC_SEQ_CST);
	}
	return pid < 0 ? pid : 0;
}

/* What came, or how many bytes went. */
static sword in_space_of(const struct step *s, uword at)
{
	uint64_t bytes = s->flags * UINT64_C(0x0101010101010101);
	const uword ours[2] = { (uword)&bytes, (uword)s->len }, theirs[2] = { at, (uword)s->len };
	bool peeks = s->op == OP_PEEK;
	sword n;

	if (!(sh->living >> s->slot & 1)) /* it may still be on its way out */
		return -NO_PROCESS;
	n = sys6(peeks ? NR_READV_OF : NR_WRITEV_OF, sh->pids[s->slot], (uword)ours, 1, (uword)theirs, 1, 0);
	copied = n > 0 && peeks ? bytes : 0;
	return n;
}

static sword seal(const struct step *s)
{
	sword result = sys3(NR_FCNTL, file_of(s), F_ADD_SEALS_OP, s->flags);

	return result < 0 ? result : sys3(NR_FCNTL, file_of(s), F_GET_SEALS_OP, 0);
}

/* Linux 6.18 lengthens a file whose write then fails with EFAULT, so the kernel's copy is tried with a pipe. */
static sword through_pipe(uword at, uword len)
{
	uint64_t bytes = 0;
	sword n = sys3(NR_WRITE, (uword)pipe_fds[1], at, len);

	if (n > 0)
		sys3(NR_READ, (uword)pipe_fds[0], (uword)&bytes, (uword)n);
	copied = bytes;
	return n;
}

static sword mincore_digest(uword at, uword len)
{
	sword result = sys3(NR_MINCORE, at, len, (uword)sh->vector);

	return result < 0 ? result : (sword)look_residency(sh->vector, len);
}

/* What follows the digit is not read. */
static sword clear_refs(uint32_t what)
{
	const char digit = (char)('0' + what);
	sword fd = sys3(NR_OPEN, (uword) "/proc/self/clear_refs", 1, 0), result = sys3(NR_WRITE, (uword)fd, (uword)&digit, 1);

	sys3(NR_CLOSE, (uword)fd, 0, 0);
	return result < 0 ? result : 0;
}

static sword carry_out(const struct step *s)
{
	uword at = (uword)address(&s->at), to = (uword)address(&s->to), len = (uword)s->len;

	switch ((enum op)s->op) {
	case OP_MMAP: return sys_mmap(at, len, s->prot, s->flags, (sword)file_of(s), s->off);
	case OP_MUNMAP: return sys3(NR_MUNMAP, at, len, 0);
	case OP_MPROTECT: return sys3(NR_MPROTECT, at, len, s->prot);
	case OP_MREMAP: return sys6(NR_MREMAP, at, len, (uword)s->new_len, s->flags, to, 0);
	case OP_BRK: return sys3(NR_BRK, at, 0, 0);
	case OP_MADVISE: return sys3(NR_MADVISE, at, len, s->flags);
	case OP_MSYNC: return sys3(NR_MSYNC, at, len, s->flags);
	case OP_MLOCK: return sys3(NR_MLOCK2, at, len, s->flags);
	case OP_MUNLOCK: return sys3(NR_MUNLOCK, at, len, 0);
	case OP_MLOCKALL: return sys3(NR_MLOCKALL, s->flags, 0, 0);
	case OP_MUNLOCKALL: return sys3(NR_MUNLOCKALL, 0, 0, 0);
	case OP_MINCORE: return mincore_digest(at, len);
	case OP_REMAP_PAGES: return sys6(NR_REMAP_PAGES, at, len, s->prot, (uword)(s->off / ORACLE_PAGE), s->flags, 0);
	case OP_PREAD: return sys_pread(file_of(s), (void *)at, len, s->off);
	case OP_COPYIN: return through_pipe(at, len);
	case OP_PWRITE: return sys_pwrite(file_of(s), (const char[]){ (char)s->flags }, 1, s->off);
	case OP_PEEK:
	case OP_POKE: return in_space_of(s, at);
	case OP_SEAL: return seal(s);
	case OP_SHMAT: return sys3(NR_SHMAT, s->file < ORACLE_SEGMENTS ? (uword)segments[s->file] : (uword)-1, at, s->flags);
	case OP_SHMDT: return sys3(NR_SHMDT, at, 0, 0);
	case OP_FTRUNCATE: return sys3(NR_FTRUNCATE, file_of(s), (uword)s->off, 0);
	case OP_FORK: return fork_actor(s);
	case OP_RLIMIT: return set_limit(s);
	case OP_CLEAR_REFS: return clear_refs(s->flags);
	case OP_EXIT: return 0;
	case OP_READ: return (sword)load(at, (unsigned)s->len);
	case OP_WRITE: store(at, (uint8_t)s->flags); return 0;
	case OP_EXEC: return execute(at);
	case OP_NR: break;
	}
	return -1;
}

static void answer(const struct step *s, struct answer *a, sword result)
{
	bool access = s->op == OP_READ || s->op == OP_WRITE || s->op == OP_EXEC;

	*a = (struct answer){ .ret = result };
	if (!access && result < 0 && result > -4096)
		a->err = (int32_t)-result;
	if (!a->err && (s->op == OP_MMAP || s->op == OP_MREMAP || s->op == OP_SHMAT) && s->slot < ORACLE_SLOTS)
		sh->slots[s->slot] = (uword)result;
	if (!a->err && (s->op == OP_COPYIN || s->op == OP_PEEK))
		a->ret = (int64_t)copied;
	if (s->op == OP_MMAP || s->op == OP_MREMAP || s->op == OP_BRK || s->op == OP_SHMAT)
		a->ret = (int64_t)(uword)result;
	if (access && signal_nr) {
		a->sig = signal_nr;
		a->code = signal_code;
		a->addr = signal_addr;
	}
}

/* ---- taking turns ---- */

static void pass_on(uint32_t next)
{
	while (next < sh->nr && !(sh->living >> sh->steps[next].actor & 1)) /* its fork was refused, or it has exited */
		sh->answers[next++].text_len = 0;
	__atomic_store_n(&sh->next, next, __ATOMIC_SEQ_CST);
	sys3(NR_FUTEX, (uword)&sh->next, FUTEX_WAKE_OP, 1000);
}

/* A process that ends gives its memory back when nobody waits for it any more, and what it has mapped of a file still counts then
 * for a seal, or as another mapping of the page. So it unmaps all but itself before the next takes its turn. */
static void leave(void)
{
	const uword end = sizeof(void *) == 8 ? (uword)UINT64_C(0x7ffffffff000) : (uword)0xc0000000;

	sys3(NR_MUNMAP, 0, (uword)ORACLE_LOW_END, 0);
	sys3(NR_MUNMAP, (uword)sh->heap, end - (uword)sh->heap, 0);
	__atomic_and_fetch(&sh->living, ~(1u << me), __ATOMIC_SEQ_CST);
}

/* false: this process is to end. */
static bool one_step(uint32_t i)
{
	const struct step *s = &sh->steps[i];
	sword result = carry_out(s);

	if (me != s->actor)
		return true; /* the child of a fork: its parent answers */
	answer(s, &sh->answers[i], result);
	look(&sh->answers[i]);
	if (s->op == OP_EXIT)
		leave();
	pass_on(i + 1); /* from here on another may have this one's number */
	return s->op != OP_EXIT;
}

static void take_turns(void)
{
	static const sword patience[2] = { 60, 0 };

	for (;;) {
		uint32_t next = __atomic_load_n(&sh->next, __ATOMIC_SEQ_CST);

		if (next >= sh->nr)
			return;
		if (sh->steps[next].actor == me) {
			if (!one_step(next))
				return;
		} else if (sys6(NR_FUTEX, (uword)&sh->next, FUTEX_WAIT_OP, next, (uword)patience, 0, 0) == -TIMED_OUT) {
			return; /* the others were killed */
		}
	}
}

/* ---- files ---- */

/* File 0 again, for reading only. */
static int open_read_only(void)
{
	char path[] = "/proc/self/fd/00";

	if (files[0] < 10) {
		path[14] = (char)('0' + files[0]);
		path[15] = 0;
	} else {
		path[14] = (char)('0' + files[0] / 10);
		path[15] = (char)('0' + files[0] % 10);
	}
	return (int)sys3(NR_OPEN, (uword)path, 0, 0);
}

/* Pages of bytes that tell which page it is; the name shows in the maps. */
static int make_file(const char *name, uword flags, unsigned nr_pages, unsigned more)
{
	static char page[4096];
	sword fd = sys3(NR_MEMFD_CREATE, (uword)name, flags, 0);

	for (unsigned i = 0; i <= nr_pages; i++) {
		for (unsigned b = 0; b < sizeof(page); b++)
			page[b] = (char)(i + 1);
		sys_pwrite((uword)fd, page, i < nr_pages ? sizeof(page) : more, i * ORACLE_PAGE);
	}
	return (int)fd;
}

static void make_files(void)
{
	files[0] = make_file("oracle0", 0, ORACLE_FILE_PAGES, 100);
	files[1] = make_file("oracle1", 0, 0, 0);
	files[FILE_READ_ONLY] = open_read_only();
	files[FILE_SEALABLE] = make_file("oracle3", MFD_ALLOW_SEALING_BIT, ORACLE_SEALABLE_PAGES, 0);
}

/* New ones for each program. They have been removed already, so they end with who has them attached. */
static void make_segments(void)
{
	for (unsigned n = 0; n < ORACLE_SEGMENTS; n++) {
		uword at = (uword)ORACLE_SEGMENT_AT(n);

		sys3(NR_SHMDT, at, 0, 0);
		segments[n] = sys3(NR_SHMGET, 0, ORACLE_SEGMENT_PAGES * ORACLE_PAGE, 0700);
		sys3(NR_SHMAT, (uword)segments[n], at, 0);
		sys3(NR_SHMCTL, (uword)segments[n], 0, 0);
	}
}

/* ---- the whole ---- */

static void exit_now(void)
{
	__atomic_sub_fetch(&sh->processes, 1, __ATOMIC_SEQ_CST);
	sys3(NR_FUTEX, (uword)&sh->processes, FUTEX_WAKE_OP, 1000);
	for (;;)
		sys3(NR_EXIT, 0, 0, 0);
}

/* What a privileged program may do more is not what is compared. */
static void drop_privileges(void)
{
	const uint32_t header[2] = { 0x20080522, 0 }, none[6] = { 0 };

	sys3(NR_CAPSET, (uword)header, (uword)none, 0);
}

static void first_actor(void)
{
	me = 0;
	sh->pids[0] = (uint32_t)sys3(NR_GETPID, 0, 0, 0);
	make_files();
	sys3(NR_PIPE, (uword)pipe_fds, 0, 0);
	drop_privileges();
	set_signals();
	pass_on(0);
	take_turns();
	exit_now();
}

void native_run(void)
{
	uint32_t left;

	sh->next = UINT32_MAX; /* nobody's turn */
	sh->processes = 1;
	sh->living = 1;
	sh->text_len = 0;
	make_segments();
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		sh->slots[i] = ORACLE_WINDOW + i * ORACLE_PAGE;
	if (sys3(NR_FORK, 0, 0, 0) == 0)
		first_actor();
	while ((left = __atomic_load_n(&sh->processes, __ATOMIC_SEQ_CST)) != 0)
		sys6(NR_FUTEX, (uword)&sh->processes, FUTEX_WAIT_OP, left, 0, 0, 0);
	while (sys6(NR_WAIT4, (uword)-1, 0, 0, 0, 0, 0) > 0)
		;
}

/* Rows above the image that are not the program's: stack, vdso. The highest, vsyscall, is no mapping. */
static void unmap_others(uint64_t from)
{
	const char *text;
	uint32_t len = native_maps(&text);

	for (uint32_t i = 0; i < len; i++) {
		uint64_t bounds[2] = { 0, 0 };

		for (unsigned b = 0; b < 2; b++, i++)
			for (; text[i] != '-' && text[i] != ' '; i++)
				bounds[b] = bounds[b] << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : text[i] - 'a' + 10);
		while (i < len && text[i] != '\n')
			i++;
		if (bounds[0] >= from && !(bounds[0] >> 63))
			sys3(NR_MUNMAP, (uword)bounds[0], (uword)(bounds[1] - bounds[0]), 0);
	}
}

/* As exec counts: from the start of the last segment to the end of what the file fills. */
static uint64_t image_data(void)
{
	const char *head = __ehdr_start;
	const bool wide = sizeof(void *) == 8;
	const char *phdr = head + *(const uword *)(head + (wide ? 32 : 28));
	uint64_t last = 0, end = 0;

	for (unsigned i = *(const uint16_t *)(head + (wide ? 56 : 44)); i; i--, phdr += wide ? 56 : 32) {
		uint64_t at = *(const uword *)(phdr + (wide ? 16 : 8)), filled = at + *(const uword *)(phdr + (wide ? 32 : 16));

		if (*(const uint32_t *)phdr != 1) /* PT_LOAD */
			continue;
		last = at > last ? at : last;
		end = filled > end ? filled : end;
	}
	return end - last;
}

/* The first page of the heap is never to be accessed, so that the heap does not become one with the image. */
void native_prepare(void)
{
	uint64_t heap = ((uword)_end + ORACLE_PAGE - 1) & ~(ORACLE_PAGE - 1);

	unmap_others(heap);
	make_segments();
	sh->heap = heap;
	sh->data_bytes = image_data();
	sys3(NR_BRK, (uword)(heap + ORACLE_HEAP_SKIP * ORACLE_PAGE), 0, 0);
	sys3(NR_MPROTECT, (uword)heap, ORACLE_PAGE, 0);
}
