/* SPDX-License-Identifier: MIT */
/*
 * Hostile programs: the kernel's own loader checks and maps any bytes, with an allocation failing where the first byte says
 * so. A file that it takes must map without touching the kernel half, every mapping must be readable to its end or give
 * SIGBUS beyond the file, and afterwards nothing may be left.
 */
#include "proc/elf.h"

#include "os/kernel.h"

#include <stdlib.h>

#include "kmm/observe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

/* First and last byte of each area, as a program would read them. */
static void touch_areas(struct hosted_machine *m, struct kmm_mm *mm)
{
	struct kmm_uva at = kmm_uva(0);
	struct kmm_vma_info area;
	uint8_t byte;

	while (kmm_vma_find(mm, at, &area)) {
		must(area.start.v < area.end.v && area.end.v <= user_end_of(true));
		for (int last = 0; last < 2; last++) {
			struct hosted_result r = hosted_read_user(m, mm, last ? area.end.v - 1 : area.start.v, &byte, 1);

			must(r.ok || r.signal == 7 || (r.signal == 11 && !(area.prot & KMM_PROT_READ)));
		}
		at = area.end;
	}
}

static void map(struct hosted_machine *m, const struct elf_file *elf)
{
	struct elf_image image;
	struct kmm_mm *mm;

	if (kmm_mm_create(os.k, &mm) != KMM_OK)
		return;
	if (elf_map(elf, mm, &image) == 0) {
		must(image.brk <= user_end_of(true) && image.entry == elf->entry + image.base);
		touch_areas(m, mm);
	}
	kernel_audit();
	hosted_put_space(m, mm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hosted_machine *m;
	struct inode *inode;
	struct elf_file elf;
	const char *why = NULL;
	char *copy;

	if (size < 2)
		return 0;
	copy = malloc(size - 1);
	must(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	m = kernel_boot();
	inode = inode_new(S_IFREG | 0755);
	must(inode != NULL);
	inode_set_source(inode, copy, size - 1);
	kmm_fail_nth(os.k, data[0]);
	if (elf_open(inode, &elf, &why) == 0) {
		must(!why);
		map(m, &elf);
	}
	elf_close(&elf);
	kmm_fail_nth(os.k, 0);
	inode_put(inode);
	kernel_audit();
	kernel_drop(m);
	free(copy);
	return 0;
}
