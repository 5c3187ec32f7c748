/* SPDX-License-Identifier: MIT */
/* machine.c - see machine.h. */
#include "oracle/machine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hosted.h"
#include "kmm/observe.h"
#include "oracle/native.h"

enum { RET = 0xc3 };
#define USER_END UINT64_C(0x7ffffffff000)

struct image_area {
	uint64_t start, end;
	unsigned prot, flags;
};

struct oracle_machine {
	struct hosted_machine *m;
	struct kmm *k;
	uint64_t ram_bytes, heap, data_bytes;
	struct image_area image[16];
	unsigned nr_image;
	/* of one program */
	struct kmm_mm *actor[ORACLE_ACTORS];
	struct kmm_file file[ORACLE_FILES]; /* but not the one that is another again */
	struct kmm_file segment[ORACLE_SEGMENTS];
	uint64_t slots[ORACLE_SLOTS];
};

static void must(enum kmm_status status, const char *what)
{
	if (status == KMM_OK)
		return;
	fprintf(stderr, "oracle: %s: errno %d\n", what, kmm_status_errno(status));
	exit(2);
}

static void *must_read(struct oracle_machine *om, uint64_t pa)
{
	void *at = hosted_phys(om->m, pa);

	if (!at)
		must(KMM_EIO, "a page table outside of memory");
	return at;
}

/* ---- start ---- */

static void take_image_row(struct oracle_machine *om, const char *line)
{
	struct image_area *area = &om->image[om->nr_image];
	unsigned long start, end;
	char rights[5];

	if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) != 3 || start >= om->heap)
		return;
	if (om->nr_image == sizeof(om->image) / sizeof(om->image[0]))
		must(KMM_ENOMEM, "more areas of the native program than expected");
	area->start = start;
	area->end = end < om->heap ? end : om->heap;
	area->prot = (rights[0] == 'r') | (rights[1] == 'w') << 1 | (rights[2] == 'x') << 2;
	area->flags = KMM_MAP_FIXED | KMM_MAP_ANONYMOUS | (rights[3] == 's' ? KMM_MAP_SHARED : KMM_MAP_PRIVATE);
	om->nr_image++;
}

static void boot(struct oracle_machine *om)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1 } };
	const char *why = "";

	config.ram_bytes = om->ram_bytes;
	if (hosted_boot(&config, &om->m, &why) != KMM_OK)
		must(KMM_ENOTSUP, why);
	om->k = hosted_kmm(om->m);
}

struct oracle_machine *machine_start_with(uint64_t ram_bytes, uint64_t heap, uint64_t data_bytes, const char *image, uint32_t len)
{
	struct oracle_machine *om = calloc(1, sizeof(*om));

	if (!om)
		must(KMM_ENOMEM, "start");
	om->ram_bytes = ram_bytes;
	boot(om);
	om->heap = heap;
	om->data_bytes = data_bytes;
	for (const char *line = image; line && line < image + len; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		take_image_row(om, line);
	return om;
}

/* What is refused as obviously too much depends on how much there is. */
struct oracle_machine *machine_start(uint64_t heap, uint64_t data_bytes, const char *image, uint32_t len)
{
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	return machine_start_with(host & ~UINT64_C(0xfffffff), heap, data_bytes, image, len);
}

void machine_stop(struct oracle_machine *om)
{
	hosted_shutdown(om->m);
	free(om);
}

void machine_restart(struct oracle_machine *om)
{
	hosted_shutdown(om->m);
	boot(om);
}

bool machine_catch(struct oracle_machine *om, void (*fn)(void *arg), void *arg, const char **what)
{
	return hosted_catch_fatal(om->m, fn, arg, what);
}

/* ---- one program ---- */

/* What execve and the native program's beginning do. */
static struct kmm_mm *new_space(struct oracle_machine *om)
{
	struct kmm_uva out;
	struct kmm_mm *mm;

	must(kmm_mm_create(om->k, &mm), "a space");
	kmm_mm_limits(mm)->mmap_min_addr = ORACLE_PAGE; /* of the host; the core's default is that of Debian */
	for (unsigned i = 0; i < om->nr_image; i++) {
		const struct image_area *a = &om->image[i];

		must(kmm_mmap(mm, kmm_uva(a->start), a->end - a->start, a->prot, a->flags, NULL, 0, &out), "the image");
	}
	for (unsigned n = 0; n < ORACLE_SEGMENTS; n++) /* what is locked there is resident in all other places too */
		must(kmm_mmap(mm, kmm_uva(ORACLE_SEGMENT_AT(n)), ORACLE_SEGMENT_PAGES * ORACLE_PAGE, KMM_PROT_READ | KMM_PROT_WRITE,
			      KMM_MAP_FIXED | KMM_MAP_SHARED, &om->segment[n].backing, 0, &out), "a segment");
	kmm_mm_set_brk(mm, kmm_uva(om->heap));
	kmm_mm_set_data(mm, om->data_bytes);
	kmm_brk(mm, kmm_uva(om->heap + ORACLE_HEAP_SKIP * ORACLE_PAGE));
	must(kmm_mprotect(mm, kmm_uva(om->heap), ORACLE_PAGE, 0), "the heap");
	/* Where mappings go is settled by the first, as execve does on Linux, before limits change. */
	must(kmm_mmap(mm, kmm_uva(0), ORACLE_PAGE, 0, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0, &out), "a page");
	must(kmm_munmap(mm, out, ORACLE_PAGE), "a page");
	return mm;
}

static void new_file(struct oracle_machine *om, struct kmm_file *file, const char *name, unsigned nr_pages, unsigned more)
{
	uint8_t page[KMM_PAGE_SIZE];
	size_t done;

	kmm_file_init(file, om->k, 0, name);
	for (unsigned i = 0; i <= nr_pages; i++) {
		memset(page, (int)i + 1, sizeof(page));
		must(kmm_file_write(file, i * ORACLE_PAGE, page, i < nr_pages ? sizeof(page) : more, &done), "a file");
	}
}

/* That a segment counts its areas is what keeps them apart; who holds it here is the machine. */
static void area_counted(struct kmm_backing *backing) { (void)backing; }
static const struct kmm_area_ops segment_ops = { .opened = area_counted, .closed = area_counted };

static void new_files(struct oracle_machine *om)
{
	new_file(om, &om->file[0], "oracle0", ORACLE_FILE_PAGES, 100);
	new_file(om, &om->file[1], "oracle1", 0, 0);
	new_file(om, &om->file[FILE_SEALABLE], "oracle3", ORACLE_SEALABLE_PAGES, 0);
	om->file[FILE_SEALABLE].seals = 0;
	for (unsigned n = 0; n < ORACLE_SEGMENTS; n++) {
		kmm_file_init(&om->segment[n], om->k, ORACLE_SEGMENT_PAGES * ORACLE_PAGE, "/SYSV00000000 (deleted)");
		om->segment[n].is_shared_memory = true;
		om->segment[n].backing.areas = &segment_ops;
	}
}

void machine_begin(struct oracle_machine *om)
{
	memset(om->actor, 0, sizeof(om->actor));
	new_files(om);
	om->actor[0] = new_space(om);
	for (unsigned i = 0; i < ORACLE_SLOTS; i++)
		om->slots[i] = ORACLE_WINDOW + i * ORACLE_PAGE;
}

unsigned machine_end(struct oracle_machine *om, bool audit)
{
	struct hosted_file_sink sink;
	unsigned bad = 0;

	if (audit)
		bad += kmm_audit(om->k, hosted_file_sink(&sink, stderr));
	for (unsigned i = 0; i < ORACLE_ACTORS; i++)
		if (om->actor[i])
			hosted_put_space(om->m, om->actor[i]);
	for (unsigned i = 0; i < ORACLE_FILES; i++)
		if (i != FILE_READ_ONLY)
			kmm_backing_put(&om->file[i].backing);
	for (unsigned n = 0; n < ORACLE_SEGMENTS; n++)
		kmm_backing_put(&om->segment[n].backing);
	if (audit)
		bad += kmm_audit(om->k, hosted_file_sink(&sink, stderr));
	return bad;
}

/* ---- calls ---- */

static struct kmm_file *file_of(struct oracle_machine *om, const struct step *s)
{
	return s->file >= ORACLE_FILES ? NULL : &om->file[s->file == FILE_READ_ONLY ? 0 : s->file];
}

static int map(struct oracle_machine *om, struct kmm_mm *mm, const struct step *s, uint64_t at, int64_t *ret)
{
	struct kmm_file *file = s->flags & KMM_MAP_ANONYMOUS ? NULL : file_of(om, s);
	unsigned flags = s->flags & ~(unsigned)(KMM_MAP_RDONLY | KMM_MAP_WRONLY | KMM_MAP_NODEV);
	struct kmm_uva out = kmm_uva(0);
	enum kmm_status status;

	if (s->off & (ORACLE_PAGE - 1))
		return EINVAL;
	if (!file && !(s->flags & KMM_MAP_ANONYMOUS))
		return EBADF;
	if (file && s->file == FILE_READ_ONLY)
		flags |= KMM_MAP_RDONLY;
	status = kmm_mmap(mm, kmm_uva(at), s->len, s->prot & 7, flags, file ? &file->backing : NULL, s->off / ORACLE_PAGE, &out);
	*ret = (int64_t)out.v;
	return kmm_status_errno(status);
}

static int remap(struct kmm_mm *mm, const struct step *s, uint64_t at, uint64_t to, int64_t *ret)
{
	struct kmm_uva out = kmm_uva(0);
	enum kmm_status status = kmm_mremap(mm, kmm_uva(at), s->len, s->new_len, s->flags, kmm_uva(to), &out);

	*ret = (int64_t)out.v;
	return kmm_status_errno(status);
}

/* Into the native program's shared area, where it is there too. */
static int residency(struct kmm_mm *mm, const struct step *s, uint64_t at, int64_t *ret)
{
	struct kmm_uva vector = kmm_uva(ORACLE_SHARED_AT + offsetof(struct shared, vector));
	uint8_t bytes[32] = { 0 };
	enum kmm_status status = kmm_mincore(mm, kmm_uva(at), s->len, vector);

	if (status)
		return kmm_status_errno(status);
	if (kmm_copy_in(mm, bytes, vector, sizeof(bytes), NULL) != KMM_OK)
		return EFAULT;
	*ret = look_residency(bytes, s->len);
	return 0;
}

/* The kernel asks first whether the address is a program's at all. */
static bool is_user(uint64_t at, uint64_t len)
{
	return at <= USER_END && len <= USER_END - at;
}

static int file_to_user(struct oracle_machine *om, struct kmm_mm *mm, const struct step *s, uint64_t at, int64_t *ret)
{
	struct kmm_file *file = file_of(om, s);
	enum kmm_status status;
	size_t done = 0, out = 0;
	uint8_t bytes[64];

	if (!file)
		return EBADF;
	if (!is_user(at, s->len))
		return EFAULT;
	if ((int64_t)s->off < 0)
		return EINVAL;
	status = kmm_file_read(file, s->off, bytes, s->len, &done);
	if (status)
		return kmm_status_errno(status);
	if (kmm_copy_out(mm, kmm_uva(at), bytes, done, &out) != KMM_OK && !out)
		return EFAULT;
	*ret = (int64_t)out;
	return 0;
}

static int user_to_pipe(struct kmm_mm *mm, const struct step *s, uint64_t at, int64_t *ret)
{
	uint64_t bytes = 0;

	if (!is_user(at, s->len) || kmm_copy_in(mm, &bytes, kmm_uva(at), s->len, NULL) != KMM_OK)
		return EFAULT;
	*ret = (int64_t)bytes;
	return 0;
}

static int write_file(struct oracle_machine *om, const struct step *s, int64_t *ret)
{
	struct kmm_file *file = file_of(om, s);
	uint8_t byte = (uint8_t)s->flags;
	enum kmm_status status;
	size_t done = 0;

	if (!file || s->file == FILE_READ_ONLY)
		return EBADF;
	status = kmm_file_write(file, s->off, &byte, 1, &done);
	*ret = (int64_t)done;
	return kmm_status_errno(status);
}

static int seal(struct oracle_machine *om, const struct step *s, int64_t *ret)
{
	struct kmm_file *file = file_of(om, s);
	enum kmm_status status;

	if (!file)
		return EBADF;
	if (s->file == FILE_READ_ONLY)
		return EPERM;
	status = kmm_file_add_seals(file, s->flags);
	*ret = file->seals;
	return kmm_status_errno(status);
}

/* What shmat() makes of an address and its flags, before mmap. */
static int attach_place(uint32_t shm_flags, uint64_t *at, unsigned *flags)
{
	enum { ROUND = 020000, REPLACE = 040000 };

	if (!*at)
		return shm_flags & REPLACE ? EINVAL : 0;
	if ((*at & (ORACLE_PAGE - 1)) && !(shm_flags & ROUND))
		return EINVAL;
	*at &= ~(ORACLE_PAGE - 1);
	if (!*at && (shm_flags & REPLACE))
		return EINVAL;
	*flags |= shm_flags & REPLACE || !*at ? KMM_MAP_FIXED : KMM_MAP_FIXED_NOREPLACE;
	return 0;
}

static void free_opening(struct kmm_opening *opening)
{
	free(opening);
}

/* Each attach is told apart from all others. */
static struct kmm_opening *new_opening(void)
{
	struct kmm_opening *opening = calloc(1, sizeof(*opening));

	if (!opening)
		abort();
	*opening = (struct kmm_opening){ .refs = 1, .release = free_opening };
	return opening;
}

static int attach(struct oracle_machine *om, struct kmm_mm *mm, const struct step *s, uint64_t at, int64_t *ret)
{
	enum { READ_ONLY = 010000, EXECUTABLE = 0100000 };
	struct kmm_mmap_args args = { .prot = KMM_PROT_READ, .flags = KMM_MAP_SHARED };
	struct kmm_uva out = kmm_uva(0);
	enum kmm_status status;
	int err;

	if (s->file >= ORACLE_SEGMENTS)
		return EINVAL;
	err = attach_place(s->flags, &at, &args.flags);
	if (err)
		return err;
	if ((args.flags & KMM_MAP_FIXED_NOREPLACE) && at + ORACLE_SEGMENT_PAGES * ORACLE_PAGE < at)
		return EINVAL;
	args.prot |= (s->flags & READ_ONLY ? 0u : KMM_PROT_WRITE) | (s->flags & EXECUTABLE ? KMM_PROT_EXEC : 0u);
	args.flags |= s->flags & READ_ONLY ? KMM_MAP_RDONLY : 0u;
	args.addr = kmm_uva(at);
	args.len = ORACLE_SEGMENT_PAGES * ORACLE_PAGE;
	args.backing = &om->segment[s->file].backing;
	args.opening = new_opening();
	status = kmm_mmap_opened(mm, &args, &out);
	kmm_opening_put(args.opening);
	*ret = (int64_t)out.v;
	return status == KMM_EEXIST ? EINVAL : kmm_status_errno(status);
}

/* As process_vm_readv and process_vm_writev: as far as the other's memory can be reached. */
static int in_space_of(struct kmm_mm *whose, const struct step *s, uint64_t at, int64_t *ret)
{
	uint64_t bytes = s->op == OP_PEEK ? 0 : s->flags * UINT64_C(0x0101010101010101);
	enum kmm_status status;
	size_t done = 0;

	if (!whose)
		return ESRCH;
	status = s->op == OP_PEEK ? kmm_peek(whose, &bytes, kmm_uva(at), s->len, &done) :
				    kmm_poke(whose, kmm_uva(at), &bytes, s->len, &done);
	*ret = s->op == OP_PEEK ? (int64_t)bytes : (int64_t)done;
	return done ? 0 : kmm_status_errno(status);
}

static int truncate_file(struct oracle_machine *om, const struct step *s)
{
	struct kmm_file *file = file_of(om, s);

	if (!file)
		return EBADF;
	return s->file == FILE_READ_ONLY ? EINVAL : kmm_status_errno(kmm_file_truncate(file, s->off));
}

static int set_limit(struct kmm_mm *mm, const struct step *s)
{
	struct kmm_mm_limits *limits = kmm_mm_limits(mm);
	uint64_t *which[LIMIT_NR] = { &limits->as_bytes, &limits->data_bytes, &limits->stack_bytes, &limits->memlock_bytes };

	*which[s->flags] = s->new_len;
	return 0;
}

/* ---- accesses ---- */

static void access_result(const struct hosted_result *r, struct answer *a)
{
	if (r->ok)
		return;
	a->sig = r->signal;
	a->code = r->code;
	a->addr = r->addr;
}

/* Memory first, then the processor's fetch of a lone `ret`, as native.c does it. */
static void execute(struct oracle_machine *om, struct kmm_mm *mm, uint64_t at, struct answer *a)
{
	uint8_t byte = 0;
	struct hosted_result r = hosted_read_user(om->m, mm, at, &byte, 1);

	a->ret = byte;
	if (!r.ok || byte == RET) {
		r = hosted_exec_user(om->m, mm, at, &byte, 1);
		access_result(&r, a);
	}
}

static void access_memory(struct oracle_machine *om, struct kmm_mm *mm, const struct step *s, uint64_t at, struct answer *a)
{
	uint8_t bytes[8] = { (uint8_t)s->flags };
	struct hosted_result r;

	if (s->op == OP_EXEC) {
		execute(om, mm, at, a);
		return;
	}
	r = s->op == OP_WRITE ? hosted_write_user(om->m, mm, at, bytes, 1) : hosted_read_user(om->m, mm, at, bytes, s->len);
	access_result(&r, a);
	if (r.ok && s->op == OP_READ)
		memcpy(&a->ret, bytes, s->len);
}

/* ---- looking ---- */

struct machine_looker {
	struct looker l;
	struct oracle_machine *om;
	struct kmm_mm *mm;
};

static void look_area(struct looker *l, uint64_t start, uint64_t end)
{
	(void)l, (void)start, (void)end;
}

/* Four levels by hand, from the processor's manual: what is there, without a fault. */
static enum look_page look_page(struct looker *l, uint64_t va, unsigned prot, uint32_t *digest)
{
	struct machine_looker *ml = (struct machine_looker *)l;
	uint64_t entry = kmm_mm_root(ml->mm).v | 1;

	for (int shift = 39; shift >= 12 && (entry & 1); shift -= 9)
		entry = *(uint64_t *)must_read(ml->om, (entry & UINT64_C(0x000ffffffffff000)) + (va >> shift & 511) * 8);
	if (!(entry & 1))
		return LOOK_ABSENT;
	if (!prot)
		return LOOK_UNREADABLE;
	*digest = look_digest(must_read(ml->om, entry & UINT64_C(0x000ffffffffff000)));
	return LOOK_CONTENT;
}

static void look(struct oracle_machine *om, struct kmm_mm *mm, const struct answer *a, struct text *text)
{
	struct machine_looker ml = { { .from = om->heap, .area = look_area, .page = look_page }, om, mm };
	struct hosted_text maps;

	look_answer(a, text);
	kmm_report_maps(mm, hosted_text_init(&maps));
	look_rows(&ml.l, maps.text, (uint32_t)maps.len, text);
	hosted_text_free(&maps);
}

/* ---- steps ---- */

uint64_t machine_address(const struct oracle_machine *om, const struct place *p)
{
	switch (p->base) {
	case BASE_ABSOLUTE: return p->offset;
	case BASE_WINDOW: return ORACLE_WINDOW + p->offset;
	case BASE_FAR: return ORACLE_FAR + p->offset;
	case BASE_HEAP: return om->heap + p->offset;
	default: return om->slots[p->base - BASE_SLOT] + p->offset;
	}
}

static int carry_out(struct oracle_machine *om, struct kmm_mm *mm, const struct step *s, struct answer *a)
{
	uint64_t at = machine_address(om, &s->at);

	switch ((enum op)s->op) {
	case OP_MMAP: return map(om, mm, s, at, &a->ret);
	case OP_MUNMAP: return kmm_status_errno(kmm_munmap(mm, kmm_uva(at), s->len));
	case OP_MPROTECT: return kmm_status_errno(kmm_mprotect(mm, kmm_uva(at), s->len, s->prot));
	case OP_MREMAP: return remap(mm, s, at, machine_address(om, &s->to), &a->ret);
	case OP_BRK: a->ret = (int64_t)kmm_brk(mm, kmm_uva(at)).v; return 0;
	case OP_MADVISE: return kmm_status_errno(kmm_madvise(mm, kmm_uva(at), s->len, (int)s->flags));
	case OP_MLOCK: return kmm_status_errno(kmm_mlock(mm, kmm_uva(at), s->len, s->flags));
	case OP_MUNLOCK: return kmm_status_errno(kmm_munlock(mm, kmm_uva(at), s->len));
	case OP_MLOCKALL: return kmm_status_errno(kmm_mlockall(mm, s->flags));
	case OP_MUNLOCKALL: kmm_munlockall(mm); return 0;
	case OP_MINCORE: return residency(mm, s, at, &a->ret);
	case OP_REMAP_PAGES: return kmm_status_errno(kmm_remap_file_pages(mm, kmm_uva(at), s->len, s->prot, s->off / ORACLE_PAGE, s->flags));
	case OP_MSYNC: return kmm_status_errno(kmm_msync(mm, kmm_uva(at), s->len, s->flags));
	case OP_PREAD: return file_to_user(om, mm, s, at, &a->ret);
	case OP_COPYIN: return user_to_pipe(mm, s, at, &a->ret);
	case OP_PWRITE: return write_file(om, s, &a->ret);
	case OP_PEEK:
	case OP_POKE: return in_space_of(om->actor[s->slot], s, at, &a->ret);
	case OP_SEAL: return seal(om, s, &a->ret);
	case OP_SHMAT: return attach(om, mm, s, at, &a->ret);
	case OP_SHMDT: return kmm_status_errno(kmm_munmap_attached(mm, kmm_uva(at), &segment_ops));
	case OP_FTRUNCATE: return truncate_file(om, s);
	case OP_FORK: return om->actor[s->slot] ? EBUSY : kmm_status_errno(kmm_mm_fork(mm, &om->actor[s->slot]));
	case OP_RLIMIT: return set_limit(mm, s);
	case OP_CLEAR_REFS: return kmm_status_errno(kmm_clear_refs(mm, (int)s->flags));
	case OP_READ:
	case OP_WRITE:
	case OP_EXEC: access_memory(om, mm, s, at, a); return 0;
	case OP_EXIT:
	case OP_NR: break;
	}
	return 0;
}

void machine_step(struct oracle_machine *om, const struct step *s, struct answer *a, struct text *text)
{
	struct kmm_mm *mm = om->actor[s->actor];

	*a = (struct answer){ 0 };
	if (!mm)
		return;
	if (s->op > OP_MSYNC && s->len > 8)
		must(KMM_EINVAL, "an access of more than eight bytes");
	a->err = carry_out(om, mm, s, a);
	if (!a->err && (s->op == OP_MMAP || s->op == OP_MREMAP || s->op == OP_SHMAT) && s->slot < ORACLE_SLOTS)
		om->slots[s->slot] = (uint64_t)a->ret;
	look(om, mm, a, text);
	if (s->op == OP_EXIT) {
		hosted_put_space(om->m, mm);
		om->actor[s->actor] = NULL;
	}
}
