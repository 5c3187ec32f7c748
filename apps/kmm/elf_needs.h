/* SPDX-License-Identifier: MIT */
/*
 * What an ELF file of the host says about itself: for which processor it is, and what must be there for it to run.
 */
#ifndef KMM_APP_ELF_NEEDS_H
#define KMM_APP_ELF_NEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_needs {
	bool is_64;
	uint16_t machine;       /* EM_386, EM_X86_64 ... */
	char *interpreter;      /* PT_INTERP, NULL: none */
	char **library;         /* DT_NEEDED, in order */
	size_t nr_libraries;
	char *rpath, *runpath;  /* NULL: none */
};

/* false: not an ELF file, or not to be read. A damaged one has no needs. Free with elf_needs_free(). */
bool elf_needs_read(const char *host, struct elf_needs *out);
void elf_needs_free(struct elf_needs *needs);

#endif
