/* SPDX-License-Identifier: MIT */
/*
 * layout.c - see layout.h. What is random has as many bits as on Linux, by the width of the program: the base of mappings (the core
 * draws it) and of programs 28 or 8 bits of pages, the top of the stack 22 or 11, its pointer 8 KiB, the heap 1 GiB or 32 MiB.
 * Random numbers are the machine's, so a fixed seed gives fixed places.
 */
#include "proc/layout.h"

#include "proc/task.h"

int32_t layout_legacy, layout_random;

void layout_init(void)
{
	layout_random = os.options.has_kaslr ? 2 : 0;
}

static bool is_random(void)
{
	return layout_random && !(current->personality & PER_NO_RANDOM);
}

/* One of the first n numbers; n: a power of two. */
static uword draw(uword n)
{
	uword value;

	os_random(&value, sizeof(value));
	return value & (n - 1);
}

/* Pages of a program of either width. */
static uword draw_pages(bool is_64, unsigned bits_64, unsigned bits_32)
{
	return draw((uword)1 << (is_64 ? bits_64 : bits_32)) << KMM_PAGE_SHIFT;
}

uword layout_stack_top(const struct elf_file *elf)
{
	return (uword)elf->user_end - (is_random() ? draw_pages(elf->is_64, 22, 11) : 0);
}

uword layout_stack_pointer(uword at)
{
	return is_random() ? (at - draw(8192)) & ~(uword)15 : at;
}

uword layout_program_offset(bool is_64)
{
	return is_random() ? draw_pages(is_64, 28, 8) : 0;
}

uword layout_break(uword after, bool is_64)
{
	return is_random() && layout_random > 1 ? after + draw_pages(is_64, 18, 13) : after;
}

static uint32_t layout_bits(void)
{
	uint32_t bits = is_random() ? KMM_LAYOUT_RANDOM : KMM_LAYOUT_NOT_RANDOM;

	return layout_legacy || (current->personality & PER_BOTTOM_UP) ? bits | KMM_LAYOUT_BOTTOM_UP : bits;
}

void layout_set_limits(struct kmm_mm *mm)
{
	struct kmm_mm_limits *limits = kmm_mm_limits(mm);
	const struct rlimit *own = current->proc->rlimit;

	limits->stack_bytes = own[RLIMIT_STACK].soft;
	limits->as_bytes = own[RLIMIT_AS].soft;
	limits->data_bytes = own[RLIMIT_DATA].soft;
	limits->memlock_bytes = own[RLIMIT_MEMLOCK].soft;
	limits->rights = KMM_MAY_LOCK | KMM_MAY_ADMIN | KMM_MAY_MAP_LOW; /* everybody is user 0 and has all again */
	limits->data_hard_bytes = own[RLIMIT_DATA].hard;
	limits->stack_guard_pages = os.options.stack_guard_gap;
	limits->layout = layout_bits();
}

/* It is only a place: nothing of it stays mapped. */
enum kmm_status layout_hole(struct kmm_mm *mm, uword len, uword *out)
{
	struct kmm_uva at;
	enum kmm_status status = kmm_mmap(mm, kmm_uva(0), len, 0, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0, &at);

	if (status != KMM_OK)
		return status;
	*out = at.v;
	return kmm_munmap(mm, at, len);
}
