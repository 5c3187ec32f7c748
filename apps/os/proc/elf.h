/* SPDX-License-Identifier: MIT */
/* elf.h - loading an ELF program, or the interpreter of one, 32-bit or 64-bit, into a space. */
#ifndef OS_PROC_ELF_H
#define OS_PROC_ELF_H

#include "proc/task.h"

struct elf_image {
	uword base; /* what was added to the file's addresses */
	uword entry, phdr, brk, code_start, code_end, data_start, data_end; /* addresses in the space */
	uint32_t phnum, phentsize;
};

struct elf_file {
	struct inode *inode;
	struct kmm_opening *opening; /* the caller's, when it is mapped */
	bool is_64, is_dyn;   /* is_dyn: position-independent */
	bool executable_stack;
	bool reads_run;       /* what can be read can be executed: segments now, what the program maps later */
	uint64_t user_end;    /* where this program's addresses end */
	uint64_t start, end;  /* of all segments, in the file's addresses, whole pages */
	uint64_t align;       /* largest of a segment, at least a page */
	uint64_t entry, phoff;
	uint32_t phnum, phentsize;
	struct elf_phdr {
		uint32_t type, flags;
		uint64_t offset, vaddr, filesz, memsz, align;
	} *phdr; /* kmalloc */
	char *interpreter;    /* path, kmalloc; NULL: a program that needs none */
};
uint32_t elf_header_size(bool is_64);
/* Reads the file's header and tables and checks every number in them; nothing is mapped yet. The caller ends with
 * elf_close() in any case. -ENOEXEC: not a program for this machine, or a damaged one; *why gets a constant sentence. */
int elf_open(struct inode *inode, struct elf_file *out, const char **why);
void elf_close(struct elf_file *file);
/* Maps the segments: a program with an interpreter at its fixed base, one without (an interpreter is one) where there is
 * room below the other mappings. On failure the space holds a part of them; the caller drops it. */
int elf_map(const struct elf_file *file, struct kmm_mm *mm, struct elf_image *out);
/* Where the heap of a position-independent program without interpreter starts: not behind it, as other mappings do. */
uword elf_low_base(bool is_64);

#endif
