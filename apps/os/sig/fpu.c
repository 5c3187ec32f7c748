/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - floating point state in signal frames, of both kinds of programs. As Linux has it: the image that FXSAVE or XSAVE
 * writes; what lies beyond the first 512 bytes is announced by two marks, one in the bytes that FXSAVE leaves to software,
 * one at the end. A frame without them, from a handler that built its own, has only the first part.
 */
#include "sig/sig.h"

enum { SOFTWARE = 464, MARK_1 = 0x46505853, MARK_2 = 0x46505845 };

struct software {
	uint32_t mark, extended_size; /* of the whole, with the mark at its end */
	uint64_t parts;
	uint32_t xsave_size, unused[7];
};
_Static_assert(sizeof(struct software) == X86_FPU_LEGACY - SOFTWARE, "struct _fpx_sw_bytes");

uword sig_fpu_size(void)
{
	uword size = x86_fpu_size();

	return size > X86_FPU_LEGACY ? size + sizeof(uint32_t) : size;
}

int sig_fpu_push(uword at)
{
	uint32_t size = x86_fpu_size(), mark = MARK_2;
	struct software software = { .mark = 0 };
	uint8_t image[X86_FPU_MOST];

	x86_fpu_sync(&current->fpu);
	memcpy(image, x86_fpu_image(&current->fpu), size);
	if (size > X86_FPU_LEGACY)
		software = (struct software){ MARK_1, size + (uint32_t)sizeof(mark), x86_fpu_parts(), size, { 0 } };
	memcpy(image + SOFTWARE, &software, sizeof(software));
	if (copy_out(at, image, size) != 0)
		return -EFAULT;
	return size > X86_FPU_LEGACY ? copy_out(at + size, &mark, sizeof(mark)) : 0;
}

/* Does the frame hold as much as the processor can take? */
static bool is_extended(uword at, const uint8_t *image)
{
	struct software software;
	uint32_t size = x86_fpu_size(), mark;

	memcpy(&software, image + SOFTWARE, sizeof(software));
	return size > X86_FPU_LEGACY && software.mark == MARK_1 && software.xsave_size == size &&
	       software.extended_size == size + sizeof(mark) && copy_in(&mark, at + size, sizeof(mark)) == 0 &&
	       mark == MARK_2;
}

int sig_fpu_pop(uword at)
{
	uint32_t size = x86_fpu_size();
	uint8_t image[X86_FPU_MOST];
	bool extended;

	memset(image, 0, sizeof(image));
	if (copy_in(image, at, X86_FPU_LEGACY) != 0)
		return -EFAULT;
	extended = is_extended(at, image);
	if (extended && copy_in(image + X86_FPU_LEGACY, at + X86_FPU_LEGACY, size - X86_FPU_LEGACY) != 0)
		return -EFAULT;
	x86_fpu_sanitize(image, !extended);
	x86_fpu_forget(&current->fpu);
	memcpy(x86_fpu_image(&current->fpu), image, size);
	return 0;
}
