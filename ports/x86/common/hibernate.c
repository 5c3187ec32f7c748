/* SPDX-License-Identifier: MIT */
/*
 * hibernate.c - the processor's part of an image of memory (kmm/hibernate.h): its state is kept, and a kernel of the same build
 * that has just started puts the contents in place that lie where it is itself, and becomes the old one.
 *
 * While contents are moved only this counts: code and constants, which both kernels have in the same places, and what lies
 * in the section that no image has (X86_NOSAVE): a stack, page tables (32/ and 64/resume.c), the disks' rings, the clock's
 * rate. Then the saved registers are loaded, and x86_state_save() returns once more.
 */
#include "common/cpu.h"
#include "kmm/hibernate.h"

enum { MOVE_STACK = 4096 };

struct x86_saved x86_saved;
static X86_NOSAVE uint8_t move_stack[MOVE_STACK] __attribute__((aligned(16)));

uint64_t x86_build_id(void)
{
	const uint64_t *word = (const uint64_t *)(void *)x86_text_start, *end = (const uint64_t *)(void *)x86_rodata_end;
	uint64_t id = 0xcbf29ce484222325ull;

	for (; word < end; word++) {
		id = (id ^ *word) * 0x100000001b3ull; /* FNV-1a, by words */
		id ^= id >> 29;
	}
	return id;
}

uint32_t x86_left_out(struct x86_mem_range *out, uint32_t max)
{
	const uint64_t page = X86_PAGE_SIZE;
	struct x86_mem_range all[4] = {
		{ x86_image_pa(x86_text_start), (uint64_t)(x86_data_start - x86_text_start), 0 },
		{ x86_image_pa(x86_nosave_start), (uint64_t)(x86_nosave_end - x86_nosave_start), 0 },
		{ 0, x86_nr_cpus > 1 ? X86_TRAMPOLINE_PA + page : page, 0 }, /* as x86_reserved() says */
		x86_boot_taken(),
	};
	uint32_t n = 0;

	for (uint32_t i = 0; i < 4; i++)
		if (all[i].size && n < max)
			out[n++] = all[i];
	return n;
}

/* On move_stack. Old translations, global ones too, are dropped first, and none is global until the old kernel says so. */
static void move_all(x86_word list)
{
	x86_write_cr4(x86_read_cr4() & ~(x86_word)X86_CR4_PGE);
	x86_moving_begin();
	while (list) {
		const struct kmm_image_moves *moves = x86_moving_at(0, list);

		for (uint64_t i = 0; i < moves->nr; i++)
			memcpy(x86_moving_at(1, moves->move[i].to), x86_moving_at(2, moves->move[i].from), X86_PAGE_SIZE);
		list = (x86_word)moves->next;
	}
	x86_state_return();
}

void x86_state_resume(uint64_t list)
{
	x86_run_on(move_stack + sizeof(move_stack), move_all, (x86_word)list);
}

void x86_before_save(void)
{
	x86_fpu_park();
	x86_clock_stop();
}

void x86_after_resume(void)
{
	if (x86_cpu_info.pge)
		x86_write_cr4(x86_read_cr4() | X86_CR4_PGE);
	x86_fpu_forget_all();
	x86_clock_go_on();
	x86_pic_init();
	if (x86_nr_cpus > 1) {
		x86_smp_init(x86_lapic_registers());
		x86_lapic_timer_start();
	}
}
