/* SPDX-License-Identifier: MIT */
/*
 * elf.c - a strict ELF loader (System V ABI, chapters 4 and 5, i386 and x86-64 supplements). ET_EXEC goes to its own
 * addresses; position-independent programs (ET_DYN) to a fixed base when an interpreter (the dynamic linker) will move
 * the rest around them, otherwise where there is room, as the interpreter itself. Everything is checked before the
 * first mapping is made, so a damaged or hostile file costs nothing but a sentence in the log.
 *
 * Both classes are read into the wider form. Segments are private mappings of the file; what a segment has beyond its
 * file part is anonymous memory. Relocations, symbols and thread-local storage are the interpreter's business.
 */
#include "proc/layout.h"

enum { PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551, PF_X = 1, PF_W = 2, PF_R = 4 };
enum { ET_EXEC = 2, ET_DYN = 3, EM_386 = 3, EM_X86_64 = 62, CLASS_32 = 1, CLASS_64 = 2, LITTLE_ENDIAN_DATA = 1 };
enum { MAX_PHDRS = 128, IDENT_SIZE = 16 };
#define DYN_BASE_32 0x400000u
#define DYN_BASE_64 0x555555554000ull /* two thirds of the addresses of four levels, which is no whole number of pages */
#define DYN_BREAK_64 (DYN_BASE_64 + KMM_PAGE_SIZE)

struct header_start { /* the same in both classes */
	uint8_t ident[IDENT_SIZE];
	uint16_t type, machine;
	uint32_t version;
};
struct header32 {
	struct header_start start;
	uint32_t entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct header64 {
	struct header_start start;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct phdr32 {
	uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};
struct phdr64 {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct header32) == 52 && sizeof(struct phdr32) == 32, "ELF32");
_Static_assert(sizeof(struct header64) == 64 && sizeof(struct phdr64) == 56, "ELF64");

uint32_t elf_header_size(bool is_64)
{
	return is_64 ? sizeof(struct header64) : sizeof(struct header32);
}

static int read_exactly(struct inode *inode, uint64_t pos, void *to, size_t len)
{
	size_t done = 0;
	enum kmm_status status = kmm_file_read(&inode->file, pos, to, len, &done);

	if (status != KMM_OK)
		return os_errno(status);
	return done == len ? 0 : -ENOEXEC;
}

static const char *check_start(const struct header_start *h)
{
	bool is_64 = h->ident[4] == CLASS_64;

	if (memcmp(h->ident, "\177ELF", 4) != 0)
		return "not an ELF program";
	if (is_64 && sizeof(uword) < 8)
		return "a 64-bit program; this kernel runs 32-bit ones";
	if ((!is_64 && h->ident[4] != CLASS_32) || h->ident[5] != LITTLE_ENDIAN_DATA || h->ident[6] != 1)
		return "an ELF file of a form this kernel does not know";
	if (h->machine != (is_64 ? EM_X86_64 : EM_386))
		return "a program for another kind of processor";
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return "an ELF file that is not a program";
	return NULL;
}

static uint64_t fixed_base(bool is_64)
{
	return is_64 ? DYN_BASE_64 : DYN_BASE_32;
}

/* Linux rounds two thirds down to pages for a program, and up for a heap. */
uword elf_low_base(bool is_64)
{
	return (uword)(is_64 ? DYN_BREAK_64 : DYN_BASE_32);
}

/* The rest of the header, by class. The size of an entry that does not fit the class shows as 0 entries. */
static int read_header(struct inode *inode, struct elf_file *out)
{
	struct header32 h32;
	struct header64 h64;
	int err;

	if (out->is_64) {
		err = read_exactly(inode, 0, &h64, sizeof(h64));
		out->entry = h64.entry, out->phoff = h64.phoff, out->phentsize = sizeof(struct phdr64);
		out->phnum = h64.phentsize == out->phentsize ? h64.phnum : 0;
		return err;
	}
	err = read_exactly(inode, 0, &h32, sizeof(h32));
	out->entry = h32.entry, out->phoff = h32.phoff, out->phentsize = sizeof(struct phdr32);
	out->phnum = h32.phentsize == out->phentsize ? h32.phnum : 0;
	return err;
}

static const char *check_table(const struct elf_file *f, uint64_t file_size)
{
	uint64_t size = (uint64_t)f->phnum * f->phentsize;

	if (f->phnum == 0 || f->phnum > MAX_PHDRS)
		return "a program header table of impossible shape";
	if (f->phoff > file_size || size > file_size - f->phoff)
		return "truncated: its program header table is beyond the end of the file";
	return NULL;
}

/* One entry of the table as it is in the file, to the common form. */
static struct elf_phdr widen(const struct elf_file *f, const void *raw)
{
	struct phdr32 p32;
	struct phdr64 p64;

	if (f->is_64) {
		memcpy(&p64, raw, sizeof(p64));
		return (struct elf_phdr){ p64.type, p64.flags, p64.offset, p64.vaddr, p64.filesz, p64.memsz, p64.align };
	}
	memcpy(&p32, raw, sizeof(p32));
	return (struct elf_phdr){ p32.type, p32.flags, p32.offset, p32.vaddr, p32.filesz, p32.memsz, p32.align };
}

static int read_table(struct inode *inode, struct elf_file *f)
{
	size_t raw_size = f->phnum * f->phentsize;
	char *raw = os_alloc(raw_size);
	int err = -ENOMEM;

	f->phdr = os_alloc(f->phnum * sizeof(*f->phdr));
	if (raw && f->phdr)
		err = read_exactly(inode, f->phoff, raw, raw_size);
	for (uint32_t i = 0; i < f->phnum && err == 0; i++)
		f->phdr[i] = widen(f, raw + i * f->phentsize);
	os_free(raw);
	return err;
}

static bool ends_within(uint64_t start, uint64_t size, uint64_t end)
{
	return start <= end && size <= end - start;
}

static const char *check_segment(const struct elf_file *f, const struct elf_phdr *p, uint64_t limit)
{
	if (p->filesz > p->memsz)
		return "a segment is larger in the file than in memory";
	if ((p->offset ^ p->vaddr) & (KMM_PAGE_SIZE - 1))
		return "a segment's place in the file does not fit its address";
	if (!ends_within(p->offset, p->filesz, f->inode->file.size))
		return "truncated: a segment is beyond the end of the file";
	if (!ends_within(p->vaddr, p->memsz, limit))
		return "a segment reaches into the kernel's addresses";
	if (p->vaddr < f->end)
		return "segments overlap or are out of order";
	return NULL;
}

/* What a segment adds to what is known of the file. Linux takes any power of two for an alignment, and ignores others. */
static void note_segment(struct elf_file *f, const struct elf_phdr *p)
{
	if (f->end == 0)
		f->start = p->vaddr & ~(uint64_t)(KMM_PAGE_SIZE - 1);
	f->end = p->vaddr + p->memsz;
	if (p->align > f->align && (p->align & (p->align - 1)) == 0)
		f->align = p->align;
}

static const char *check_segments(struct elf_file *f)
{
	uint64_t limit = f->user_end - KMM_PAGE_SIZE - (f->is_dyn ? fixed_base(f->is_64) : 0);
	unsigned loads = 0;

	f->align = KMM_PAGE_SIZE;
	f->executable_stack = f->reads_run = !f->is_64; /* a program of the time before PT_GNU_STACK */
	for (uint32_t i = 0; i < f->phnum; i++) {
		const struct elf_phdr *p = &f->phdr[i];
		const char *why;

		if (p->type == PT_GNU_STACK)
			f->executable_stack = p->flags & PF_X, f->reads_run = false;
		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		why = check_segment(f, p, limit);
		if (why)
			return why;
		note_segment(f, p);
		loads++;
	}
	if (!loads)
		return "a program without a segment to load";
	if (f->is_dyn && !ends_within(f->end - f->start, f->align, limit))
		return "its alignment is larger than the program's addresses";
	return f->entry < (f->is_dyn ? limit : f->user_end) ? NULL : "its entry point is in the kernel's addresses";
}

/* The path in the first PT_INTERP. */
static int read_interpreter(struct elf_file *f, const char **why)
{
	const struct elf_phdr *p = f->phdr, *end = p + f->phnum;
	int err;

	while (p < end && p->type != PT_INTERP)
		p++;
	if (p == end)
		return 0;
	*why = "the name of its interpreter is of impossible length";
	if (p->filesz < 2 || p->filesz > PATH_SIZE)
		return -ENOEXEC;
	*why = NULL;
	f->interpreter = os_alloc((size_t)p->filesz);
	if (!f->interpreter)
		return -ENOMEM;
	*why = "the name of its interpreter is not in the file";
	err = read_exactly(f->inode, p->offset, f->interpreter, (size_t)p->filesz);
	if (err)
		return err == -ENOEXEC ? -EIO : err;
	*why = f->interpreter[p->filesz - 1] ? "the name of its interpreter has no end" : NULL;
	return *why ? -ENOEXEC : 0;
}

/* Header and table, into *out. */
static int read_all(struct inode *inode, struct elf_file *out, const char **why)
{
	struct header_start h;
	int err = read_exactly(inode, 0, &h, sizeof(h));

	*why = err ? "too short to be a program" : check_start(&h);
	if (*why)
		return err == -ENOMEM ? err : -ENOEXEC;
	out->is_64 = h.ident[4] == CLASS_64;
	out->is_dyn = h.type == ET_DYN;
	out->user_end = user_end_of(out->is_64);
	err = read_header(inode, out);
	*why = err ? "too short to be a program" : check_table(out, inode->file.size);
	if (*why)
		return err == -ENOMEM ? err : -ENOEXEC;
	return read_table(inode, out);
}

int elf_open(struct inode *inode, struct elf_file *out, const char **why)
{
	int err;

	*out = (struct elf_file){ .inode = inode };
	err = read_all(inode, out, why);
	if (err)
		return err;
	*why = check_segments(out);
	return *why ? -ENOEXEC : read_interpreter(out, why);
}

void elf_close(struct elf_file *file)
{
	os_free(file->phdr);
	os_free(file->interpreter);
	file->phdr = NULL;
	file->interpreter = NULL;
}

static unsigned protection(const struct elf_file *f, uint32_t flags)
{
	flags |= f->reads_run && (flags & PF_R) ? PF_X : 0;
	return (flags & PF_R ? KMM_PROT_READ : 0) | (flags & PF_W ? KMM_PROT_WRITE : 0) |
	       (flags & PF_X ? KMM_PROT_EXEC : 0);
}

/* f: whose file from offset on; NULL: zeros. */
static enum kmm_status map_fixed(struct kmm_mm *mm, uword start, uword end, unsigned prot, const struct elf_file *f, uint64_t offset)
{
	struct kmm_mmap_args args = { .addr = kmm_uva(start), .len = end - start, .prot = prot, .flags = KMM_MAP_PRIVATE | KMM_MAP_FIXED };
	struct kmm_uva at;

	if (start >= end)
		return KMM_OK;
	if (f) {
		args.backing = &f->inode->file.backing;
		args.opening = f->opening;
		args.pgoff = offset >> KMM_PAGE_SHIFT;
	} else {
		args.flags |= KMM_MAP_ANONYMOUS;
	}
	return kmm_mmap_opened(mm, &args, &at);
}

/* The part of the last file page that belongs to the segment's zeros. A segment that cannot be written keeps the
 * file's bytes there, as on Linux. */
static enum kmm_status clear_tail(struct kmm_mm *mm, const struct elf_phdr *p, uword file_end, uword page_end)
{
	if (p->memsz == p->filesz || p->filesz == 0 || file_end == page_end || !(p->flags & PF_W))
		return KMM_OK;
	return kmm_clear_user(mm, kmm_uva(file_end), page_end - file_end);
}

static enum kmm_status map_segment(const struct elf_file *f, const struct elf_phdr *p, uword base, struct kmm_mm *mm)
{
	uword at = (uword)p->vaddr + base, start = page_down(at), file_end = at + (uword)p->filesz;
	uword page_end = p->filesz ? page_up(file_end) : start, end = page_up(at + (uword)p->memsz);
	uint64_t file_start = p->offset & ~(uint64_t)(KMM_PAGE_SIZE - 1);
	unsigned prot = protection(f, p->flags);
	enum kmm_status status = map_fixed(mm, start, page_end, prot, f, file_start);

	if (status == KMM_OK)
		status = clear_tail(mm, p, file_end, page_end);
	if (status == KMM_OK)
		status = map_fixed(mm, page_end, end, prot, NULL, 0);
	return status;
}

/* A hole for all segments. */
static enum kmm_status find_hole(const struct elf_file *f, struct kmm_mm *mm, uword *base)
{
	uword len = page_up((uword)(f->end - f->start)), slack = (uword)f->align - KMM_PAGE_SIZE, at = 0;
	enum kmm_status status = layout_hole(mm, len + slack, &at);

	*base = ((at + slack) & ~((uword)f->align - 1)) - (uword)f->start;
	return status;
}

static enum kmm_status choose_base(const struct elf_file *f, struct kmm_mm *mm, uword *base)
{
	*base = 0;
	if (!f->is_dyn)
		return KMM_OK;
	if (!f->interpreter)
		return find_hole(f, mm, base);
	*base = (uword)(((fixed_base(f->is_64) + layout_program_offset(f->is_64)) & ~(f->align - 1)) - f->start);
	return KMM_OK;
}

static void note_place(struct elf_image *out, const struct elf_file *f, const struct elf_phdr *p)
{
	uword at = (uword)p->vaddr + out->base;

	if (p->offset <= f->phoff && f->phoff < p->offset + p->filesz)
		out->phdr = at + (uword)(f->phoff - p->offset);
	if (out->data_start < at)
		out->data_start = at;
	if (out->data_end < at + (uword)p->filesz)
		out->data_end = at + (uword)p->filesz;
	if (!(p->flags & PF_X))
		return;
	if (!out->code_end)
		out->code_start = at;
	out->code_end = at + (uword)p->filesz;
}

int elf_map(const struct elf_file *f, struct kmm_mm *mm, struct elf_image *out)
{
	uword base;
	enum kmm_status status = choose_base(f, mm, &base);

	*out = (struct elf_image){ .base = base, .entry = (uword)f->entry + base, .phnum = f->phnum,
				   .phentsize = f->phentsize, .brk = page_up((uword)f->end + base) };
	for (uint32_t i = 0; i < f->phnum && status == KMM_OK; i++) {
		const struct elf_phdr *p = &f->phdr[i];

		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		status = map_segment(f, p, base, mm);
		note_place(out, f, p);
	}
	return os_errno(status);
}
