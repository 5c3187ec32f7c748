/* SPDX-License-Identifier: MIT */
/*
 * Reading program headers and the dynamic section of a file of the host, both classes, little endian. Every offset is
 * checked against the file's size: what does not fit is not there.
 */
#include "elf_needs.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"

struct view {
	const unsigned char *bytes;
	size_t size;
	bool is_64;
	uint64_t phoff;
	unsigned phnum;
};

static const void *at(const struct view *v, uint64_t offset, uint64_t len)
{
	return offset <= v->size && len <= v->size - offset ? v->bytes + offset : NULL;
}

static bool segment(const struct view *v, unsigned i, Elf64_Phdr *out)
{
	const size_t size = v->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	const void *raw = at(v, v->phoff + i * size, size);
	Elf32_Phdr narrow;

	if (!raw)
		return false;
	if (v->is_64) {
		memcpy(out, raw, sizeof(*out));
		return true;
	}
	memcpy(&narrow, raw, sizeof(narrow));
	*out = (Elf64_Phdr){ .p_type = narrow.p_type, .p_offset = narrow.p_offset, .p_vaddr = narrow.p_vaddr,
			     .p_filesz = narrow.p_filesz };
	return true;
}

static bool find_segment(const struct view *v, uint32_t type, Elf64_Phdr *out)
{
	for (unsigned i = 0; i < v->phnum && segment(v, i, out); i++)
		if (out->p_type == type)
			return true;
	return false;
}

/* Where in the file an address of the program lies. */
static bool offset_of(const struct view *v, uint64_t address, uint64_t *out)
{
	Elf64_Phdr p;

	for (unsigned i = 0; i < v->phnum && segment(v, i, &p); i++) {
		if (p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz) {
			*out = p.p_offset + (address - p.p_vaddr);
			return true;
		}
	}
	return false;
}

/* A copy of the string at an offset of the file; NULL: it has no end. */
static char *string_at(const struct view *v, uint64_t offset)
{
	const char *s = at(v, offset, 1);

	if (!s || !memchr(s, 0, v->size - (size_t)offset))
		return NULL;
	return must_alloc(strdup(s));
}

/* ---- the dynamic section ---- */

static bool entry(const struct view *v, const Elf64_Phdr *dynamic, size_t i, Elf64_Dyn *out)
{
	const size_t size = v->is_64 ? sizeof(Elf64_Dyn) : sizeof(Elf32_Dyn);
	const void *raw = (i + 1) * size <= dynamic->p_filesz ? at(v, dynamic->p_offset + i * size, size) : NULL;
	Elf32_Dyn narrow;

	if (!raw)
		return false;
	if (v->is_64) {
		memcpy(out, raw, sizeof(*out));
	} else {
		memcpy(&narrow, raw, sizeof(narrow));
		out->d_tag = narrow.d_tag;
		out->d_un.d_val = narrow.d_un.d_val;
	}
	return out->d_tag != DT_NULL;
}

static void take(struct elf_needs *out, int64_t tag, char *text)
{
	char **place = tag == DT_RPATH ? &out->rpath : tag == DT_RUNPATH ? &out->runpath : NULL;

	if (!text)
		return;
	if (tag == DT_NEEDED) {
		out->library = must_alloc(realloc(out->library, (out->nr_libraries + 1) * sizeof(*out->library)));
		place = &out->library[out->nr_libraries++];
	} else if (!place || *place) {
		free(text);
		return;
	}
	*place = text;
}

static void read_dynamic(const struct view *v, struct elf_needs *out)
{
	Elf64_Phdr dynamic;
	Elf64_Dyn d;
	uint64_t strings = 0;
	bool known = false;

	if (!find_segment(v, PT_DYNAMIC, &dynamic))
		return;
	for (size_t i = 0; entry(v, &dynamic, i, &d); i++)
		if (d.d_tag == DT_STRTAB)
			known = offset_of(v, d.d_un.d_ptr, &strings);
	for (size_t i = 0; known && entry(v, &dynamic, i, &d); i++)
		if (d.d_tag == DT_NEEDED || d.d_tag == DT_RPATH || d.d_tag == DT_RUNPATH)
			take(out, d.d_tag, string_at(v, strings + d.d_un.d_val));
}

/* ---- the file ---- */

static bool read_header(struct view *v, struct elf_needs *out)
{
	const unsigned char *ident = at(v, 0, sizeof(Elf32_Ehdr));
	Elf32_Ehdr h32;
	Elf64_Ehdr h64;

	if (!ident || memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != ELFDATA2LSB)
		return false;
	out->is_64 = v->is_64 = ident[EI_CLASS] == ELFCLASS64;
	if (v->is_64) {
		if (!at(v, 0, sizeof(h64)))
			return false;
		memcpy(&h64, ident, sizeof(h64));
		v->phoff = h64.e_phoff, v->phnum = h64.e_phnum, out->machine = h64.e_machine;
	} else {
		memcpy(&h32, ident, sizeof(h32));
		v->phoff = h32.e_phoff, v->phnum = h32.e_phnum, out->machine = h32.e_machine;
	}
	return true;
}

static bool has_magic(int fd, size_t *size)
{
	char magic[SELFMAG];
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || pread(fd, magic, SELFMAG, 0) != SELFMAG)
		return false;
	*size = (size_t)st.st_size;
	return memcmp(magic, ELFMAG, SELFMAG) == 0;
}

bool elf_needs_read(const char *host, struct elf_needs *out)
{
	struct view v = { .bytes = NULL };
	int fd = open(host, O_RDONLY | O_CLOEXEC);
	void *map = MAP_FAILED;
	Elf64_Phdr p;
	bool ok;

	*out = (struct elf_needs){ .library = NULL };
	if (fd < 0)
		return false;
	if (has_magic(fd, &v.size))
		map = mmap(NULL, v.size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	v.bytes = map;
	ok = read_header(&v, out);
	if (ok) {
		if (find_segment(&v, PT_INTERP, &p) && p.p_filesz > 1)
			out->interpreter = string_at(&v, p.p_offset);
		read_dynamic(&v, out);
	}
	munmap(map, v.size);
	return ok;
}

void elf_needs_free(struct elf_needs *needs)
{
	for (size_t i = 0; i < needs->nr_libraries; i++)
		free(needs->library[i]);
	free(needs->library);
	free(needs->interpreter);
	free(needs->rpath);
	free(needs->runpath);
	*needs = (struct elf_needs){ .library = NULL };
}
