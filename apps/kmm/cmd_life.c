/* SPDX-License-Identifier: MIT */
/*
 * kmm life: what becomes of one page of a program, step by step, with the bits of its entry. The kernel notes in its log each
 * thing that happens at the address (apps/os/life.c); here it is told in words.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "json.h"
#include "run.h"

/* Bits of an entry that i386 and x86-64 share (processor manuals, volume 3, chapter 4), and the names of pages that are not
 * there: bit 0 and bit 8 clear, bits 1 to 4 the area + 1 or 15 for one repeated byte, from bit 9 on the slot or the byte. */
enum { BIT_P = 1, BIT_RW = 2, BIT_US = 4, BIT_A = 0x20, BIT_D = 0x40, BIT_MOVING = 0x100, SAME = 15 };
#define ADDRESS_BITS UINT64_C(0x000ffffffffff000)
#define BIT_NX (UINT64_C(1) << 63)
enum { MAX_SPACES = 26, TEXT = 80 };

struct teller {
	uint64_t address, zero_frame;
	uint64_t root[MAX_SPACES];      /* spaces in the order in which they were met: A, B ... */
	bool was_out[MAX_SPACES];       /* the page was in swap there */
	unsigned nr_spaces, nr_steps;
	json_t *steps;                  /* NULL: text */
};

static unsigned space_of(struct teller *t, uint64_t root)
{
	unsigned i = 0;

	while (i < t->nr_spaces && t->root[i] != root)
		i++;
	if (i == t->nr_spaces && i < MAX_SPACES - 1)
		t->root[t->nr_spaces++] = root;
	return i;
}

static void name_bits(uint64_t raw, char *text)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} bits[] = { { BIT_P, "P" }, { BIT_RW, "RW" }, { BIT_US, "US" }, { BIT_A, "A" }, { BIT_D, "D" }, { BIT_NX, "NX" } };

	*text = 0;
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (raw & bits[i].bit)
			strcat(strcat(text, *text ? " " : ""), bits[i].name);
}

/* What the page is now, in words. */
static void name_state(struct teller *t, uint64_t raw, unsigned space, char *text)
{
	uint64_t frame = (raw & ADDRESS_BITS) >> 12;

	if (raw == 0) {
		snprintf(text, TEXT, "no entry");
	} else if (raw & BIT_P) {
		snprintf(text, TEXT, "%s%s%s", t->was_out[space] ? "refault: " : "", frame == t->zero_frame ? "zero page" : "own frame",
			 raw & BIT_D ? ", dirty" : "");
	} else if (raw & BIT_MOVING) {
		snprintf(text, TEXT, "on its way out");
	} else if ((raw >> 1 & 15) == SAME) {
		snprintf(text, TEXT, "swapped: every byte is %u", (unsigned)(raw >> 9 & 255));
	} else {
		snprintf(text, TEXT, "swapped: slot %u of area %u", (unsigned)(uint32_t)raw >> 9, (unsigned)(raw >> 1 & 15) - 1);
	}
	t->was_out[space] = raw && !(raw & (BIT_P | BIT_MOVING));
}

static void put_step(struct teller *t, char space, const char *state, const uint64_t *raw)
{
	char bits[TEXT] = "", who[2] = { space, 0 };
	json_t *step;

	t->nr_steps++;
	if (raw)
		name_bits(*raw & BIT_P ? *raw : 0, bits);
	if (!t->steps) {
		printf("%4u  %-5s  %-32s", t->nr_steps, who, state);
		if (raw)
			printf("  %016llx  %s", (unsigned long long)*raw, bits);
		putchar('\n');
		return;
	}
	step = must_alloc(json_pack("{s:s, s:s}", "space", who, "state", state));
	if (raw) {
		json_object_set_new(step, "entry", json_address(*raw));
		json_object_set_new(step, "bits", must_alloc(json_string(bits)));
		if (*raw & BIT_P)
			json_object_set_new(step, "frame", json_count((*raw & ADDRESS_BITS) >> 12));
	}
	json_array_append_new(t->steps, step);
}

static void tell(struct teller *t, const char *what, unsigned long long a, unsigned long long b)
{
	static const char *const access[] = { "fault: read", "fault: write", "fault: fetch" };
	char state[TEXT];
	uint64_t raw = a;

	if (strcmp(what, "zero") == 0) {
		t->zero_frame = a;
	} else if (strcmp(what, "map") == 0) {
		put_step(t, ' ', "mapped: untouched", NULL);
	} else if (strcmp(what, "unmap") == 0) {
		put_step(t, ' ', "unmapped", NULL);
	} else if (strcmp(what, "fault") == 0 && a < 3) {
		put_step(t, ' ', access[a], NULL);
	} else if (strcmp(what, "entry") == 0) {
		unsigned space = space_of(t, b);

		name_state(t, raw, space, state);
		put_step(t, (char)('A' + space), state, &raw);
	}
}

static void tell_log(struct teller *t, const char *log)
{
	for (const char *p = log; (p = strstr(p, "life: ")) != NULL; p++) {
		unsigned long long a, b;
		char what[8];

		if (sscanf(p, "life: %7s %llx %llx", what, &a, &b) == 3)
			tell(t, what, a, b);
	}
}

static void finish(struct teller *t, int status)
{
	json_t *doc;

	if (!t->steps) {
		if (!t->nr_steps)
			puts("nothing ever happened there");
		return;
	}
	doc = json_document("life");
	json_object_set_new(doc, "address", json_address(t->address));
	json_object_set_new(doc, "exit_status", json_count((uint64_t)status));
	json_object_set_new(doc, "steps", t->steps);
	json_print(doc);
}

/* ---- command line ---- */

static void usage(FILE *out)
{
	fputs("Usage: kmm life ADDRESS [--json] [OPTION OF kmm run...] -- PROGRAM [ARGUMENT...]\n"
	      "What becomes of the page at ADDRESS (hexadecimal) while the program runs:\n"
	      "untouched, zero page, own frame, dirty, swapped, back again; with the bits of\n"
	      "the entry, and a letter for each space that has one.\n\n"
	      "  --json    for machines\n\n"
	      "What the program writes goes to stderr. Exit status: as of kmm run.\n"
	      "  kmm life 20000000 --icount --ram 32M --swap 64M -- build/user/onelife\n", out);
}

static uint64_t take_address(const char *text)
{
	char *end;
	uint64_t address = strtoull(text, &end, 16);

	if (*end || end == text)
		fail("kmm life", EXIT_USAGE, "%s: not a hexadecimal address", text);
	return address;
}

int cmd_life(int argc, char **argv)
{
	struct teller t = { .nr_steps = 0 };
	struct guest_result result;
	char words[40];
	int status, out, next = 2;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_DONE;
	}
	t.address = take_address(argv[1]);
	if (argc > 2 && strcmp(argv[2], "--json") == 0) {
		t.steps = must_alloc(json_array());
		next++;
	}
	snprintf(words, sizeof(words), " life=%llx", (unsigned long long)t.address);
	argv[next - 1] = argv[0];
	fflush(stdout);
	out = dup(STDOUT_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO); /* the program's is not ours */
	status = run_program(argc - next + 1, argv + next - 1, words, &result);
	dup2(out, STDOUT_FILENO);
	close(out);
	tell_log(&t, result.log.used ? result.log.data : "");
	finish(&t, status);
	guest_result_free(&result);
	return status;
}
