/* SPDX-License-Identifier: MIT */
/*
 * Random lives of a few spaces against a model that knows pages only: for each page of a window, whether it is mapped,
 * with which rights, what it shows, and one byte of content. The model has no areas, entries or frames, so whatever the
 * core does with those must come out the same at every byte and in every errno.
 *
 * Between the calls frames are moved to other frames, of which the model knows nothing.
 *
 * mremap's EFAULT depends on where areas begin and end, so there the core is asked for its area and only the rest is
 * predicted. One machine per format, one seed; a failure prints the seed and the step.
 */
#include "harness/space.h"
#include "kmm/compact.h"

enum { WINDOW = 96, SPACES = 3, FILES = 2, OBJECTS = 400, OBJECT_PAGES = 64, STEPS = 30000 };
enum { SEGV = 11, BUS = 7, ENOMEM = 12, EEXIST = 17, EFAULT = 14, EINVAL = 22 };
#define AT 0x30000000ull

/* Content that several pages may show: a file, or a shared anonymous object. */
struct object {
	uint64_t pages;                /* beyond: SIGBUS */
	uint8_t byte[OBJECT_PAGES];
};

struct mpage {
	bool mapped, shared, own;      /* own: a private copy, content in `byte` */
	uint8_t prot, byte;
	bool dontfork;
	int object;                    /* -1: none, zeros */
	uint64_t index;
};

struct model {
	struct space s;
	struct kmm_mm *mm[SPACES];
	struct mpage page[SPACES][WINDOW];
	struct object object[OBJECTS]; /* the first FILES are files */
	int nr_objects;
	struct kmm_file file[FILES];
	uint64_t seed;
	unsigned now;                  /* the current space */
	unsigned step;
};

static unsigned dice(struct model *m, unsigned n) { return (unsigned)(kmm_test_rand(&m->seed) % n); }
static uint64_t va_of(unsigned page) { return AT + page * SPACE_PAGE; }

static unsigned random_prot(struct model *m)
{
	static const uint8_t prots[] = { 0, 1, 1, 3, 3, 3, 3, 5, 7, 2, 4 };

	return prots[dice(m, sizeof(prots))];
}

static void random_range(struct model *m, unsigned *first, unsigned *nr)
{
	*nr = 1 + dice(m, dice(m, 4) ? 6 : 30);
	*first = dice(m, WINDOW - *nr + 1);
}

static bool any_mapped(const struct mpage *p, unsigned first, unsigned nr)
{
	for (unsigned i = first; i < first + nr; i++)
		if (p[i].mapped)
			return true;
	return false;
}

/* ---- what an access should do ---- */

static int expected_byte(const struct model *m, const struct mpage *p)
{
	if (p->own)
		return p->byte;
	if (p->object < 0)
		return 0;
	return p->index < m->object[p->object].pages ? m->object[p->object].byte[p->index] : -BUS;
}

static int expected_read(const struct model *m, const struct mpage *p)
{
	if (!p->mapped || !p->prot)
		return -SEGV;
	return expected_byte(m, p);
}

static int expected_write(struct model *m, struct mpage *p, uint8_t byte)
{
	if (!p->mapped || !(p->prot & KMM_PROT_WRITE))
		return -SEGV;
	if (expected_byte(m, p) == -BUS)
		return -BUS;
	if (p->shared) {
		m->object[p->object].byte[p->index] = byte;
	} else {
		p->own = true;
		p->byte = byte;
	}
	return 0;
}

/* ---- operations ---- */

/* Populating private writable memory writes to it, up to the first page that cannot be. */
static void populate(struct model *m, struct mpage *p, unsigned nr)
{
	if (p->shared || !(p->prot & KMM_PROT_WRITE))
		return;
	for (; nr > 0 && expected_byte(m, p) >= 0; nr--, p++)
		expected_write(m, p, (uint8_t)expected_byte(m, p));
}

static void op_map(struct model *m)
{
	struct mpage *p = m->page[m->now];
	unsigned first, nr, prot = random_prot(m), kind = dice(m, 4), flags = KMM_MAP_FIXED;
	struct kmm_backing *backing = NULL;
	int object = -1, err;
	uint64_t pgoff = 0;
	struct kmm_uva at;

	random_range(m, &first, &nr);
	flags |= kind & 1 ? KMM_MAP_SHARED : KMM_MAP_PRIVATE;
	if (kind & 2) {
		object = (int)dice(m, FILES);
		backing = &m->file[object].backing;
		pgoff = dice(m, OBJECT_PAGES - nr + 1);
	} else {
		flags |= KMM_MAP_ANONYMOUS;
		if ((kind & 1) && m->nr_objects == OBJECTS)
			return;
		if (kind & 1)
			m->object[object = m->nr_objects++] = (struct object){ .pages = nr };
	}
	if (dice(m, 5) == 0)
		flags |= KMM_MAP_FIXED_NOREPLACE;
	if (dice(m, 8) == 0)
		flags |= KMM_MAP_POPULATE;
	err = kmm_status_errno(kmm_mmap(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), nr * SPACE_PAGE, prot, flags,
					backing, pgoff, &at));
	if ((flags & KMM_MAP_FIXED_NOREPLACE) && any_mapped(p, first, nr)) {
		CHECK_EQ(err, EEXIST);
		return;
	}
	CHECK_EQ(err, 0);
	for (unsigned i = 0; i < nr; i++)
		p[first + i] = (struct mpage){ .mapped = true, .shared = (kind & 1) != 0, .prot = (uint8_t)prot,
					       .object = object, .index = pgoff + i };
	if (flags & KMM_MAP_POPULATE)
		populate(m, p + first, nr);
}

static void op_unmap(struct model *m)
{
	unsigned first, nr;

	random_range(m, &first, &nr);
	CHECK_OK(kmm_munmap(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), nr * SPACE_PAGE));
	for (unsigned i = first; i < first + nr; i++)
		m->page[m->now][i].mapped = false;
}

static void op_protect(struct model *m)
{
	struct mpage *p = m->page[m->now];
	unsigned first, nr, prot = random_prot(m);
	int want = 0, err;

	random_range(m, &first, &nr);
	err = kmm_status_errno(kmm_mprotect(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), nr * SPACE_PAGE, prot));
	for (unsigned i = first; i < first + nr && want == 0; i++) {
		if (!p[i].mapped)
			want = ENOMEM;
		else
			p[i].prot = (uint8_t)prot;
	}
	CHECK_EQ(err, want);
}

static void op_advise(struct model *m)
{
	static const int advices[] = { 4, 4, 4, 0, 1, 2, 3, 10, 11 };
	struct mpage *p = m->page[m->now];
	int advice = advices[dice(m, sizeof(advices) / sizeof(advices[0]))], want = 0, err;
	unsigned first, nr;

	random_range(m, &first, &nr);
	err = kmm_status_errno(kmm_madvise(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), nr * SPACE_PAGE, advice));
	for (unsigned i = first; i < first + nr; i++) {
		if (!p[i].mapped)
			want = ENOMEM;
		if (advice == 4)
			p[i].own = false;
		if (advice == 10 || advice == 11)
			p[i].dontfork = advice == 10;
	}
	CHECK_EQ(err, want);
}

/* Pages that the core's area has from here on; 0: not mapped. */
static unsigned pages_of_area(struct model *m, unsigned first)
{
	struct kmm_vma_info info;

	if (!kmm_vma_find(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), &info) || info.start.v > va_of(first))
		return 0;
	return (unsigned)((info.end.v - va_of(first)) / SPACE_PAGE);
}

static void model_move(struct model *m, unsigned from, unsigned old_nr, unsigned to, unsigned nr)
{
	struct mpage *p = m->page[m->now], moved[WINDOW];
	unsigned kept = old_nr < nr ? old_nr : nr;

	for (unsigned i = 0; i < nr; i++) {
		moved[i] = p[from + (i < kept ? i : 0)];
		if (i >= kept) { /* what grows continues the object */
			moved[i].own = false;
			moved[i].index = p[from].index + i;
		}
	}
	for (unsigned i = 0; i < old_nr; i++)
		p[from + i].mapped = false;
	for (unsigned i = 0; i < nr; i++)
		p[to + i] = moved[i];
}

static void op_remap_fixed(struct model *m)
{
	unsigned from, old_nr, to, nr, area, i;
	struct kmm_uva at;
	int err, want = 0;

	random_range(m, &from, &old_nr);
	random_range(m, &to, &nr);
	area = pages_of_area(m, from);
	if (area && dice(m, 3)) /* mostly ranges that are one area's */
		old_nr = 1 + dice(m, area > 20 ? 20 : area);
	if (from + old_nr > WINDOW)
		return;
	err = kmm_status_errno(kmm_mremap(m->mm[m->now], kmm_uva((kmm_word)va_of(from)), old_nr * SPACE_PAGE,
					  nr * SPACE_PAGE, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED,
					  kmm_uva((kmm_word)va_of(to)), &at));
	if (!area)
		want = EFAULT;
	else if (from + old_nr > to && to + nr > from)
		want = EINVAL;
	else if ((old_nr < nr ? old_nr : nr) > area)
		want = EFAULT;
	CHECK_EQ(err, want);
	if (want == 0) {
		model_move(m, from, old_nr, to, nr);
	} else if (want == EFAULT && area) { /* the destination is gone, and what is too long cut off */
		for (i = to; i < to + nr; i++)
			m->page[m->now][i].mapped = false;
		for (i = from + nr; i < from + old_nr; i++)
			m->page[m->now][i].mapped = false;
	}
}

static void op_resize(struct model *m)
{
	struct mpage *p = m->page[m->now];
	unsigned from, old_nr, nr, area;
	struct kmm_uva at;
	int err, want = 0;

	random_range(m, &from, &nr);
	area = pages_of_area(m, from);
	if (!area)
		return;
	old_nr = dice(m, 2) ? area : 1 + dice(m, area);
	if (from + old_nr > WINDOW)
		return;
	err = kmm_status_errno(kmm_mremap(m->mm[m->now], kmm_uva((kmm_word)va_of(from)), old_nr * SPACE_PAGE,
					  nr * SPACE_PAGE, 0, kmm_uva(0), &at));
	if (nr > old_nr && (old_nr != area || from + nr > WINDOW || any_mapped(p, from + old_nr, nr - old_nr)))
		want = ENOMEM;
	CHECK_EQ(err, want);
	if (want == 0)
		model_move(m, from, old_nr, from, nr);
}

static void op_fork(struct model *m)
{
	unsigned to = dice(m, SPACES);

	if (to == m->now)
		return;
	if (m->mm[to])
		hosted_put_space(m->s.m, m->mm[to]);
	CHECK_OK(kmm_mm_fork(m->mm[m->now], &m->mm[to]));
	memcpy(m->page[to], m->page[m->now], sizeof(m->page[to]));
	for (unsigned i = 0; i < WINDOW; i++)
		if (m->page[to][i].dontfork)
			m->page[to][i].mapped = false;
	if (dice(m, 2))
		m->now = to;
}

/* A whole page of a file, or a new size. Private copies beyond the new end are lost. */
static void op_file(struct model *m)
{
	unsigned n = dice(m, FILES);
	struct object *o = &m->object[n];
	uint64_t index = dice(m, OBJECT_PAGES);
	uint8_t bytes[KMM_PAGE_SIZE];
	size_t done;

	if (dice(m, 4)) {
		memset(bytes, (int)dice(m, 256), sizeof(bytes));
		CHECK_OK(kmm_file_write(&m->file[n], index * SPACE_PAGE, bytes, sizeof(bytes), &done));
		o->byte[index] = bytes[0];
		if (index >= o->pages)
			o->pages = index + 1;
		return;
	}
	CHECK_OK(kmm_file_truncate(&m->file[n], index * SPACE_PAGE));
	o->pages = index;
	for (uint64_t i = index; i < OBJECT_PAGES; i++)
		o->byte[i] = 0;
	for (unsigned s = 0; s < SPACES; s++)
		for (unsigned i = 0; i < WINDOW; i++)
			if (m->page[s][i].object == (int)n && m->page[s][i].index >= index)
				m->page[s][i].own = false;
}

static void op_access(struct model *m)
{
	unsigned i = dice(m, WINDOW);
	struct mpage *p = &m->page[m->now][i];
	uint64_t va = va_of(i) + (dice(m, 2) ? 0 : 4095);
	uint8_t byte = (uint8_t)dice(m, 256);

	/* The model has one byte per page, so writes fill the page. */
	if (dice(m, 2)) {
		uint8_t bytes[KMM_PAGE_SIZE];
		struct hosted_result r;

		memset(bytes, byte, sizeof(bytes));
		r = hosted_write_user(m->s.m, m->mm[m->now], va_of(i), bytes, sizeof(bytes));
		CHECK_EQ(r.ok ? 0 : -r.signal, expected_write(m, p, byte));
	} else {
		CHECK_EQ(space_peek(&m->s, m->mm[m->now], va), expected_read(m, p));
	}
}

/* The kernel's copies, over a range that may have holes: the bytes before the first page that refuses are done. */
static void op_copy(struct model *m)
{
	static uint8_t bytes[WINDOW * KMM_PAGE_SIZE];
	unsigned first, nr, good = 0;
	bool write = dice(m, 2);
	uint8_t byte = (uint8_t)dice(m, 256);
	enum kmm_status status;
	size_t done;

	random_range(m, &first, &nr);
	memset(bytes, byte, nr * KMM_PAGE_SIZE);
	if (write)
		status = kmm_copy_out(m->mm[m->now], kmm_uva((kmm_word)va_of(first)), bytes, nr * KMM_PAGE_SIZE, &done);
	else
		status = kmm_copy_in(m->mm[m->now], bytes, kmm_uva((kmm_word)va_of(first)), nr * KMM_PAGE_SIZE, &done);
	for (; good < nr; good++) {
		struct mpage *p = &m->page[m->now][first + good];
		int want = write ? expected_write(m, p, byte) : expected_read(m, p);

		if (want < 0)
			break;
		if (!write)
			CHECK_EQ(bytes[good * KMM_PAGE_SIZE + 17], want);
	}
	CHECK_EQ(done, good * KMM_PAGE_SIZE);
	CHECK_EQ(status, good == nr ? KMM_OK : KMM_EFAULT);
}

/* Frames move to other frames, and nobody can tell: around a page's own, or a run that it leads. */
static void op_migrate(struct model *m)
{
	struct kmm_walk walk;
	kmm_word nr = dice(m, 4) ? 1 : 1 + dice(m, 40), first;
	enum kmm_status status;

	kmm_walk(m->s.k, kmm_mm_root(m->mm[m->now]), (kmm_word)va_of(dice(m, WINDOW)), &walk);
	if (!walk.mapped)
		return;
	first = kmm_paddr_to_pfn(walk.pa).v;
	if (nr == 1)
		status = kmm_migrate_page(m->s.k, kmm_pfn(first));
	else
		status = kmm_migrate_range(m->s.k, kmm_pfn(first), nr, NULL);
	CHECK(status == KMM_OK || status == KMM_EBUSY);
}

/* ---- comparing ---- */

/* Every page of a space: its rights by its area, its content by the kernel's copy. */
static void compare(struct model *m, unsigned n)
{
	for (unsigned i = 0; i < WINDOW; i++) {
		const struct mpage *p = &m->page[n][i];
		struct kmm_vma_info info;
		bool found = kmm_vma_find(m->mm[n], kmm_uva((kmm_word)va_of(i)), &info) && info.start.v <= va_of(i);

		CHECK_EQ(found, p->mapped);
		if (!found)
			continue;
		CHECK_EQ(info.prot, p->prot);
		CHECK_EQ(info.shared, p->shared);
		if (p->shared)
			CHECK_EQ(info.pgoff + (va_of(i) - info.start.v) / SPACE_PAGE, p->index);
		if (m->step % 16 == 0)
			CHECK_EQ(space_peek(&m->s, m->mm[n], va_of(i) + 9), expected_read(m, p));
	}
}

static void one_step(struct model *m)
{
	unsigned op = dice(m, 100);

	m->now = m->mm[m->now] ? m->now : 0;
	if (dice(m, 5) == 0)
		CALL(op_migrate(m));
	if (op < 16)
		CALL(op_map(m));
	else if (op < 22)
		CALL(op_unmap(m));
	else if (op < 34)
		CALL(op_protect(m));
	else if (op < 40)
		CALL(op_advise(m));
	else if (op < 46)
		CALL(op_remap_fixed(m));
	else if (op < 52)
		CALL(op_resize(m));
	else if (op < 55)
		CALL(op_fork(m));
	else if (op < 60)
		CALL(op_file(m));
	else if (op < 65)
		CALL(op_copy(m));
	else
		CALL(op_access(m));
	CALL(compare(m, m->now));
}

static void model_start(struct model *m, enum kmm_format_id format)
{
	memset(m, 0, sizeof(*m));
	m->seed = kmm_test_seed();
	CALL(space_start(&m->s, format));
	m->mm[0] = m->s.mm;
	m->s.mm = NULL;
	for (unsigned i = 0; i < FILES; i++) {
		kmm_file_init(&m->file[i], m->s.k, OBJECT_PAGES / 2 * SPACE_PAGE, i ? "/b" : "/a");
		m->object[i].pages = OBJECT_PAGES / 2;
	}
	m->nr_objects = FILES;
}

static void model_stop(struct model *m)
{
	for (unsigned i = 0; i < SPACES; i++)
		if (m->mm[i])
			hosted_put_space(m->s.m, m->mm[i]);
	for (unsigned i = 0; i < FILES; i++)
		kmm_backing_put(&m->file[i].backing);
	CALL(space_stop(&m->s));
}

static void live(enum kmm_format_id format)
{
	static struct model m;

	CALL(model_start(&m, format));
	for (m.step = 1; m.step <= STEPS; m.step++) {
		one_step(&m);
		if (kmm_test_failed())
			printf("  at step %u in space %u\n", m.step, m.now);
		if (kmm_test_failed())
			return;
		if (m.step % 50 == 0)
			CALL(space_audit(&m.s));
	}
	CALL(model_stop(&m));
}

KMM_TEST(vm_model_i386) { CALL(live(KMM_I386)); }
KMM_TEST(vm_model_i386_pae) { CALL(live(KMM_I386_PAE)); }
KMM_TEST(vm_model_x86_64) { CALL(live(KMM_X86_64)); }
KMM_TEST(vm_model_x86_64_la57) { CALL(live(KMM_X86_64_LA57)); }
