/* SPDX-License-Identifier: MIT */
/* elf.h - loading a static ELF program, 32-bit or 64-bit, into a space. */
#ifndef OS_PROC_ELF_H
#define OS_PROC_ELF_H

#include "proc/task.h"

struct elf_image {
	uword entry, phdr, brk; /* addresses in the space */
	uint32_t phnum, phentsize;
	bool executable_stack;
};

/* Reads the file's header and tables and checks every number in them; nothing is mapped yet.
 * -ENOEXEC: not a program for this machine, -EINVAL: a damaged one; *why gets a constant sentence. */
struct elf_file {
	struct inode *inode;
	bool is_64;
	uint64_t user_end; /* where this program's addresses end */
	uint64_t bias;     /* added to every address of a position-independent program */
	uint64_t entry, phoff;
	uint32_t phnum, phentsize;
	struct elf_phdr {
		uint32_t type, flags;
		uint64_t offset, vaddr, filesz, memsz;
	} *phdr; /* kmalloc */
};
int elf_open(struct inode *inode, struct elf_file *out, const char **why);
void elf_close(struct elf_file *file);
/* Maps the segments. On failure the space holds a part of them; the caller drops it. */
int elf_map(const struct elf_file *file, struct kmm_mm *mm, struct elf_image *out);

#endif
