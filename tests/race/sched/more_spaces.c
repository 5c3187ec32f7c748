/* SPDX-License-Identifier: MIT */
/*
 * Pins, stacks, files and reverse maps against faults.
 */
#include "ground.h"

#include <string.h>

#include "kmm/compact.h"
#include "phys/phys.h"

enum { RW = KMM_PROT_READ | KMM_PROT_WRITE, R = KMM_PROT_READ, ANON = KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS };

static struct kmm_mm *mm, *child;
static struct kmm_file file;
static struct kmm_page *page;

static struct kmm *start(void)
{
	static const struct ground_config config = { .format = KMM_I386_PAE, .ram_mib = 8 };
	struct kmm *k = ground_boot(&config);

	ground_warm_up();
	SCHED_CHECK(kmm_mm_create(k, &mm) == KMM_OK);
	for (unsigned cpu = 0; cpu < 2; cpu++) {
		ground_play(cpu);
		ground_run(mm);
	}
	ground_play(0);
	return k;
}

static enum kmm_status map(uint64_t at, unsigned pages, unsigned flags, struct kmm_file *shown)
{
	struct kmm_uva out;

	return kmm_mmap(mm, kmm_uva((kmm_word)at), pages * PAGE, RW, flags, shown ? &shown->backing : NULL, 0, &out);
}

static void note(unsigned i, int value) { ground_notes()[i] = value; }
static int noted(unsigned i) { return ground_notes()[i]; }

static void leave(void)
{
	ground_judge_spaces();
	for (unsigned cpu = 0; cpu < SCHED_THREADS; cpu++) {
		ground_play(cpu);
		ground_run(NULL);
	}
	ground_play(0);
	kmm_mm_put(mm);
}

static struct kmm_page *page_of(struct kmm_mm *in, uint64_t va)
{
	struct kmm_walk walk;

	kmm_walk(ground(), kmm_mm_root(in), (kmm_word)va, &walk);
	SCHED_CHECK(walk.mapped);
	return kmm_pfn_to_page(ground(), kmm_paddr_to_pfn(walk.pa));
}

static int byte_of(struct kmm_page *of)
{
	return *(const uint8_t *)kmm_page_address(ground(), of);
}

/* ---- copy on write of a page that is pinned ---- */

/* The child's page is pinned by somebody who reads it (a device), then the child lets go of it. */
static void pinned_page(void)
{
	struct kmm *k = start();

	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
	page = page_of(child, HERE);
	kmm_get_page(k, page);
	ground_keep();
}

static void child_lets_go(void)
{
	SCHED_CHECK(kmm_munmap(child, kmm_uva(HERE), PAGE) == KMM_OK);
}

static void parent_writes(void)
{
	SCHED_CHECK(ground_poke(mm, HERE, 8) == 0);
	SCHED_CHECK(ground_peek(mm, HERE) == 8);
}

static void pin_saw_no_change(void)
{
	SCHED_CHECK(byte_of(page) == 7);
	SCHED_CHECK(page_of(mm, HERE) != page);
	kmm_put_page(ground(), page);
	kmm_mm_put(child);
	leave();
	ground_judge();
}

SCHED_CASE(cow_pinned, .threads = 2, .setup = pinned_page, .body = { parent_writes, child_lets_go },
	   .finish = pin_saw_no_change);

/* ---- a pin against the fork that would share its page ---- */

static void written_page(void)
{
	start();
	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	ground_keep();
}

static void device_pins(void)
{
	kmm_word done;

	SCHED_CHECK(kmm_pin_user(mm, kmm_uva(HERE), 1, KMM_PIN_WRITE, &page, &done) == KMM_OK);
}

static void parent_forks(void)
{
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
}

/* Whichever came first: what the program writes is what the device sees, and the child has the old content. */
static void pin_is_the_parents(void)
{
	SCHED_CHECK(ground_poke(mm, HERE, 9) == 0);
	SCHED_CHECK(page_of(mm, HERE) == page && byte_of(page) == 9);
	SCHED_CHECK(byte_of(page_of(child, HERE)) == 7);
	kmm_unpin_user(ground(), &page, 1, true);
	kmm_mm_put(child);
	leave();
	ground_judge();
}

SCHED_CASE(pin_against_fork, .threads = 2, .setup = written_page, .body = { device_pins, parent_forks },
	   .finish = pin_is_the_parents);

/* ---- two first writes to one page ---- */

static void empty_page(void)
{
	start();
	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK);
	ground_keep();
}

static void write_first_byte(void)
{
	SCHED_CHECK(ground_poke(mm, HERE, 1) == 0);
	SCHED_CHECK(ground_peek(mm, HERE) == 1);
}

static void read_and_write_second_byte(void)
{
	int first = ground_peek(mm, HERE);

	SCHED_CHECK(first == 0 || first == 1);
	SCHED_CHECK(ground_poke(mm, HERE + 1, 2) == 0);
}

static void both_bytes_are_there(void)
{
	SCHED_CHECK(ground_peek(mm, HERE) == 1 && ground_peek(mm, HERE + 1) == 2);
	leave();
	ground_judge();
}

SCHED_CASE(fault_fault, .threads = 2, .setup = empty_page, .body = { write_first_byte, read_and_write_second_byte },
	   .finish = both_bytes_are_there);

/* ---- a stack that grows x an area put in its way ---- */

#define STACK_TOP (HERE + 64 * PAGE)
#define IN_THE_WAY (STACK_TOP - 6 * PAGE)
#define BELOW (STACK_TOP - 10 * PAGE)

static void with_stack(void)
{
	start();
	kmm_mm_limits(mm)->stack_guard_pages = 1;
	SCHED_CHECK(kmm_mm_map_stack(mm, kmm_uva(STACK_TOP), 2 * PAGE, false) == KMM_OK);
	SCHED_CHECK(ground_poke(mm, STACK_TOP - 1, 1) == 0);
	ground_keep();
}

static void push(void)
{
	note(0, ground_poke(mm, BELOW, 3));
}

static void map_in_the_way(void)
{
	note(1, map(IN_THE_WAY, 1, ANON | KMM_MAP_FIXED_NOREPLACE, NULL));
}

/* Who came first wins: the stack reaches over the place, or it cannot grow past the area. */
static void one_of_them_won(void)
{
	SCHED_CHECK((noted(0) == 0 && noted(1) == KMM_EEXIST) || (noted(0) == -11 && noted(1) == KMM_OK));
	leave();
	ground_judge();
}

SCHED_CASE(stack_mmap, .threads = 2, .setup = with_stack, .body = { push, map_in_the_way }, .finish = one_of_them_won);

/* ---- two stack pages touched at once ---- */

static void push_less(void)
{
	note(1, ground_poke(mm, IN_THE_WAY, 4));
}

static void stack_has_both(void)
{
	SCHED_CHECK(noted(0) == 0 && noted(1) == 0);
	SCHED_CHECK(ground_peek(mm, BELOW) == 3 && ground_peek(mm, IN_THE_WAY) == 4);
	leave();
	ground_judge();
}

SCHED_CASE(stack_stack, .threads = 2, .setup = with_stack, .body = { push, push_less }, .finish = stack_has_both);

/* ---- a file that is cut off x faults on it ---- */

static enum kmm_status fill(struct kmm_file *of, uint64_t index, void *to)
{
	(void)of;
	memset(to, (int)(0x40 + index), KMM_PAGE_SIZE);
	return KMM_OK;
}

static void with_file(void)
{
	struct kmm *k = start();

	kmm_file_init(&file, k, 2 * PAGE, "race");
	file.fill = fill;
	SCHED_CHECK(map(HERE, 2, KMM_MAP_SHARED | KMM_MAP_FIXED, &file) == KMM_OK);
	SCHED_CHECK(ground_peek(mm, HERE) == 0x40);
	ground_keep();
	sched_keep(&file, sizeof(file));
}

static void use_file(void)
{
	note(0, ground_peek(mm, HERE + PAGE));
	note(1, ground_poke(mm, HERE + PAGE, 1));
}

static void cut_off(void)
{
	SCHED_CHECK(kmm_file_truncate(&file, PAGE) == KMM_OK);
}

static void nothing_beyond_the_end(void)
{
	SCHED_CHECK(noted(0) == 0x41 || (noted(0) == -7 && noted(1) == -7));
	SCHED_CHECK(ground_peek(mm, HERE + PAGE) == -7 && ground_peek(mm, HERE) == 0x40);
	leave();
	kmm_backing_put(&file.backing);
	ground_judge();
}

SCHED_CASE(fault_truncate, .threads = 2, .setup = with_file, .body = { use_file, cut_off },
	   .finish = nothing_beyond_the_end);

/* ---- the reverse map x unmapping and exit ---- */

static void mapped_by_two(void)
{
	struct kmm *k = start();

	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
	page = page_of(mm, HERE);
	kmm_get_page(k, page);
	ground_keep();
}

static void find_mappings(void)
{
	note(0, (int)kmm_rmap_walk(ground(), page, NULL, NULL));
}

static void child_exits(void)
{
	kmm_mm_put(child);
}

static void unmap(void)
{
	SCHED_CHECK(kmm_munmap(mm, kmm_uva(HERE), PAGE) == KMM_OK);
}

static void at_most_two(void)
{
	SCHED_CHECK(noted(0) >= 0 && noted(0) <= 2);
	kmm_put_page(ground(), page);
	leave();
	ground_judge();
}

SCHED_CASE(rmap_exit, .threads = 3, .setup = mapped_by_two, .body = { find_mappings, child_exits, unmap },
	   .finish = at_most_two);

/* ---- moving an area x a fault on it ---- */

static void one_page(void)
{
	start();
	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	ground_play(1);
	SCHED_CHECK(ground_peek(mm, HERE) == 7);
	ground_play(0);
	ground_keep();
}

static void move(void)
{
	struct kmm_uva out;

	SCHED_CHECK(kmm_mremap(mm, kmm_uva(HERE), PAGE, PAGE, KMM_MREMAP_MAYMOVE | KMM_MREMAP_FIXED,
			       kmm_uva(HERE + 32 * PAGE), &out) == KMM_OK);
	note(2, ground_peek(mm, HERE + 32 * PAGE));
	note(3, ground_peek(mm, HERE + 32 * PAGE));
}

static void write_the_old_place(void)
{
	note(0, ground_poke(mm, HERE, 8));
	note(1, ground_poke(mm, HERE, 9));
}

/* Nothing is written by the old address once the call has returned. */
static void moved_as_it_was(void)
{
	int last = noted(1) == 0 ? 9 : noted(0) == 0 ? 8 : 7;

	SCHED_CHECK(noted(2) == noted(3) && noted(2) == last);
	SCHED_CHECK(ground_peek(mm, HERE + 32 * PAGE) == last && ground_peek(mm, HERE) == -11);
	leave();
	ground_judge();
}

SCHED_CASE(fault_mremap, .threads = 2, .setup = one_page, .body = { move, write_the_old_place },
	   .finish = moved_as_it_was);

/* ---- one lock x three ---- */

static void look_up(void)
{
	struct kmm_vma_info vma;

	SCHED_CHECK(kmm_vma_find(mm, kmm_uva(HERE), &vma));
	note(0, noted(0) + 1);
}

static void all_had_their_turn(void)
{
	SCHED_CHECK(noted(0) == 3);
	leave();
	ground_judge();
}

SCHED_CASE(mutex_three, .threads = 3, .setup = empty_page, .body = { look_up, look_up, look_up },
	   .finish = all_had_their_turn);

/* ---- a page that moves to another frame x writes to it ---- */

static struct kmm_pfn here;

static void page_to_move(void)
{
	start();
	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	here = kmm_page_to_pfn(ground(), page_of(mm, HERE));
	ground_play(1);
	SCHED_CHECK(ground_peek(mm, HERE) == 7);
	ground_play(0);
	ground_keep();
}

static void move_the_page(void)
{
	note(0, kmm_migrate_page(ground(), here));
}

static void write_all_along(void)
{
	for (int i = 1; i <= 3; i++)
		SCHED_CHECK(ground_poke(mm, HERE, (uint8_t)(10 + i)) == 0 && ground_peek(mm, HERE) == 10 + i);
}

static void nothing_is_lost(void)
{
	bool moved = kmm_page_to_pfn(ground(), page_of(mm, HERE)).v != here.v;

	SCHED_CHECK(moved == (noted(0) == KMM_OK));
	SCHED_CHECK(ground_peek(mm, HERE) == 13);
	leave();
	ground_judge();
}

SCHED_CASE(fault_move, .threads = 2, .setup = page_to_move, .body = { move_the_page, write_all_along },
	   .finish = nothing_is_lost);

/* ---- a page that moves x its end ---- */

/* The frame is free at any moment after the mover chose it, and perhaps something else's. */
static void unmap_it_and_take_its_frame(void)
{
	void *mine;

	SCHED_CHECK(kmm_munmap(mm, kmm_uva(HERE), PAGE) == KMM_OK);
	mine = kmm_get_free_pages(ground(), KMM_GFP_KERNEL, 0);
	SCHED_CHECK(mine);
	kmm_free_pages_at(ground(), mine, 0);
}

static void nobody_has_it(void)
{
	leave();
	ground_judge();
}

SCHED_CASE(move_munmap, .threads = 2, .setup = page_to_move, .body = { move_the_page, unmap_it_and_take_its_frame },
	   .finish = nobody_has_it);

/* ---- a page that moves x fork, rights, the end of its file ---- */

static void fork_it_and_write(void)
{
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
	SCHED_CHECK(ground_poke(mm, HERE, 8) == 0);
}

static void child_has_the_old_byte(void)
{
	uint8_t byte = 0;

	SCHED_CHECK(kmm_copy_in(child, &byte, kmm_uva(HERE), 1, NULL) == KMM_OK && byte == 7);
	SCHED_CHECK(ground_peek(mm, HERE) == 8);
	kmm_mm_put(child);
	leave();
	ground_judge();
}

SCHED_CASE(move_fork, .threads = 2, .setup = page_to_move, .body = { move_the_page, fork_it_and_write },
	   .finish = child_has_the_old_byte);

static void forbid_writing(void)
{
	SCHED_CHECK(kmm_mprotect(mm, kmm_uva(HERE), PAGE, R) == KMM_OK);
	SCHED_CHECK(ground_poke(mm, HERE, 8) == -11 && ground_peek(mm, HERE) == 7);
}

SCHED_CASE(move_mprotect, .threads = 2, .setup = page_to_move, .body = { move_the_page, forbid_writing },
	   .finish = nobody_has_it);

static void file_page_to_move(void)
{
	with_file();
	SCHED_CHECK(ground_peek(mm, HERE + PAGE) == 0x41);
	here = kmm_page_to_pfn(ground(), page_of(mm, HERE + PAGE));
	ground_keep();
}

static void only_the_start_is_left(void)
{
	SCHED_CHECK(ground_peek(mm, HERE + PAGE) == -7 && ground_peek(mm, HERE) == 0x40);
	leave();
	kmm_backing_put(&file.backing);
	ground_judge();
}

SCHED_CASE(move_truncate, .threads = 2, .setup = file_page_to_move, .body = { move_the_page, cut_off },
	   .finish = only_the_start_is_left);

/* ---- the kernel's own accesses x copy on write ---- */

static void shared_page(void)
{
	start();
	SCHED_CHECK(map(HERE, 1, ANON | KMM_MAP_FIXED, NULL) == KMM_OK && ground_poke(mm, HERE, 7) == 0);
	SCHED_CHECK(kmm_mm_fork(mm, &child) == KMM_OK);
	ground_keep();
}

static void copy_out_to_child(void)
{
	uint8_t byte = 9;

	SCHED_CHECK(kmm_copy_out(child, kmm_uva(HERE), &byte, 1, NULL) == KMM_OK);
}

static void copy_in_from_child(void)
{
	uint8_t byte = 0;

	SCHED_CHECK(kmm_copy_in(child, &byte, kmm_uva(HERE), 1, NULL) == KMM_OK && (byte == 7 || byte == 9));
}

static void each_has_its_own(void)
{
	uint8_t byte = 0;

	SCHED_CHECK(kmm_copy_in(child, &byte, kmm_uva(HERE), 1, NULL) == KMM_OK && byte == 9);
	SCHED_CHECK(ground_peek(mm, HERE) == 8);
	kmm_mm_put(child);
	leave();
	ground_judge();
}

SCHED_CASE(copy_out_cow, .threads = 3, .setup = shared_page,
	   .body = { parent_writes, copy_out_to_child, copy_in_from_child }, .finish = each_has_its_own);
