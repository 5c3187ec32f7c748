/* SPDX-License-Identifier: MIT */
/*
 * elf.c - a strict ELF32 loader (System V ABI, chapters 4 and 5, i386 supplement). Static programs only: ET_EXEC
 * at their own addresses, position-independent ones (ET_DYN) at ELF_DYN_BASE. Everything is checked before the
 * first mapping is made, so a damaged or hostile file costs nothing but a sentence in the log.
 *
 * Segments are private mappings of the file; what a segment has beyond its file part is anonymous memory.
 */
#include "proc/elf.h"

enum { PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551, PF_X = 1, PF_W = 2, PF_R = 4 };
enum { ET_EXEC = 2, ET_DYN = 3, EM_386 = 3, CLASS_32 = 1, CLASS_64 = 2, LITTLE_ENDIAN_DATA = 1 };
enum { ELF_DYN_BASE = 0x400000, MAX_PHDRS = 128 };

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version, entry, phoff, shoff, flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 52, "ELF32 header");
_Static_assert(sizeof(struct elf_phdr) == 32, "ELF32 program header");

static int read_exactly(struct inode *inode, uint64_t pos, void *to, size_t len)
{
	size_t done = 0;
	enum kmm_status status = kmm_file_read(&inode->file, pos, to, len, &done);

	if (status != KMM_OK)
		return os_errno(status);
	return done == len ? 0 : -ENOEXEC;
}

static const char *check_header(const struct elf_header *h, uint64_t file_size)
{
	if (memcmp(h->ident, "\177ELF", 4) != 0)
		return "not an ELF program";
	if (h->ident[4] == CLASS_64)
		return "a 64-bit program; this kernel runs 32-bit ones";
	if (h->ident[4] != CLASS_32 || h->ident[5] != LITTLE_ENDIAN_DATA || h->ident[6] != 1)
		return "an ELF file of a form this kernel does not know";
	if (h->machine != EM_386)
		return "a program for another kind of processor";
	if (h->type != ET_EXEC && h->type != ET_DYN)
		return "an ELF file that is not a program";
	if (h->phentsize != sizeof(struct elf_phdr) || h->phnum == 0 || h->phnum > MAX_PHDRS)
		return "a program header table of impossible shape";
	if (h->phoff + (uint64_t)h->phnum * sizeof(struct elf_phdr) > file_size)
		return "truncated: its program header table is beyond the end of the file";
	return NULL;
}

static const char *check_segment(const struct elf_phdr *p, uint32_t bias, uint64_t file_size, uint64_t *end)
{
	uint64_t start = (uint64_t)p->vaddr + bias;

	if (p->filesz > p->memsz)
		return "a segment is larger in the file than in memory";
	if ((p->offset ^ p->vaddr) & (KMM_PAGE_SIZE - 1))
		return "a segment's place in the file does not fit its address";
	if ((uint64_t)p->offset + p->filesz > file_size)
		return "truncated: a segment is beyond the end of the file";
	if (start + p->memsz > USER_END - KMM_PAGE_SIZE)
		return "a segment reaches into the kernel's addresses";
	if (start < *end)
		return "segments overlap or are out of order";
	*end = start + p->memsz;
	return NULL;
}

static const char *check_segments(const struct elf_file *f)
{
	uint64_t end = 0;
	unsigned loads = 0;

	for (uint32_t i = 0; i < f->phnum; i++) {
		const struct elf_phdr *p = &f->phdr[i];
		const char *why;

		if (p->type == PT_INTERP)
			return "a dynamically linked program; this kernel runs static ones";
		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		why = check_segment(p, f->bias, f->inode->file.size, &end);
		if (why)
			return why;
		loads++;
	}
	if (!loads)
		return "a program without a segment to load";
	return f->entry < USER_END ? NULL : "its entry point is in the kernel's addresses";
}

int elf_open(struct inode *inode, struct elf_file *out, const char **why)
{
	struct elf_header h;
	uint32_t table_size;
	int err = read_exactly(inode, 0, &h, sizeof(h));

	*out = (struct elf_file){ .inode = inode };
	*why = err ? "too short to be a program" : check_header(&h, inode->file.size);
	if (*why)
		return err == -ENOMEM ? err : -ENOEXEC;
	out->bias = h.type == ET_DYN ? ELF_DYN_BASE : 0;
	out->entry = h.entry + out->bias;
	out->phoff = h.phoff;
	out->phnum = h.phnum;
	table_size = h.phnum * (uint32_t)sizeof(struct elf_phdr);
	out->phdr = os_alloc(table_size);
	if (!out->phdr)
		return -ENOMEM;
	err = read_exactly(inode, h.phoff, out->phdr, table_size);
	if (err == 0) {
		*why = check_segments(out);
		err = *why ? -ENOEXEC : 0;
	}
	if (err)
		elf_close(out);
	return err;
}

void elf_close(struct elf_file *file)
{
	os_free(file->phdr);
	file->phdr = NULL;
}

static unsigned protection(uint32_t flags)
{
	return (flags & PF_R ? KMM_PROT_READ : 0) | (flags & PF_W ? KMM_PROT_WRITE : 0) |
	       (flags & PF_X ? KMM_PROT_EXEC : 0);
}

static enum kmm_status map_fixed(struct kmm_mm *mm, uint32_t start, uint32_t end, unsigned prot,
				 struct kmm_backing *backing, uint32_t offset)
{
	unsigned flags = KMM_MAP_PRIVATE | KMM_MAP_FIXED | (backing ? 0 : KMM_MAP_ANONYMOUS);
	struct kmm_uva at;

	if (start >= end)
		return KMM_OK;
	return kmm_mmap(mm, kmm_uva(start), end - start, prot, flags, backing, offset >> KMM_PAGE_SHIFT, &at);
}

/* The part of the last file page that belongs to the segment's zeros. A segment that cannot be written keeps the
 * file's bytes there, as on Linux. */
static enum kmm_status clear_tail(struct kmm_mm *mm, const struct elf_phdr *p, uint32_t file_end, uint32_t page_end)
{
	if (p->memsz == p->filesz || p->filesz == 0 || file_end == page_end || !(p->flags & PF_W))
		return KMM_OK;
	return kmm_clear_user(mm, kmm_uva(file_end), page_end - file_end);
}

static enum kmm_status map_segment(const struct elf_file *f, const struct elf_phdr *p, struct kmm_mm *mm)
{
	uint32_t start = page_down(p->vaddr + f->bias), file_end = p->vaddr + f->bias + p->filesz;
	uint32_t page_end = p->filesz ? page_up(file_end) : start;
	uint32_t end = page_up(p->vaddr + f->bias + p->memsz);
	unsigned prot = protection(p->flags);
	enum kmm_status status = map_fixed(mm, start, page_end, prot, &f->inode->file.backing, page_down(p->offset));

	if (status == KMM_OK)
		status = clear_tail(mm, p, file_end, page_end);
	if (status == KMM_OK)
		status = map_fixed(mm, page_end, end, prot, NULL, 0);
	return status;
}

int elf_map(const struct elf_file *f, struct kmm_mm *mm, struct elf_image *out)
{
	uint32_t end = 0;

	*out = (struct elf_image){ .entry = f->entry, .phnum = f->phnum, .executable_stack = true };
	for (uint32_t i = 0; i < f->phnum; i++) {
		const struct elf_phdr *p = &f->phdr[i];
		enum kmm_status status;

		if (p->type == PT_GNU_STACK)
			out->executable_stack = p->flags & PF_X;
		if (p->type != PT_LOAD || p->memsz == 0)
			continue;
		status = map_segment(f, p, mm);
		if (status != KMM_OK)
			return os_errno(status);
		if (p->offset <= f->phoff && f->phoff < (uint64_t)p->offset + p->filesz)
			out->phdr = f->phoff - p->offset + p->vaddr + f->bias;
		end = p->vaddr + f->bias + p->memsz;
	}
	out->brk = page_up(end);
	return 0;
}
