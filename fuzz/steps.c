/* SPDX-License-Identifier: MIT */
/*
 * The oracle's programs of steps (tests/oracle/step.h) made by the fuzzer, carried out in the simulated machine as the
 * runner does: calls of up to four processes, accesses, forks, seals, shared memory, limits, with operands of any value.
 * Nothing may crash, the audit must find nothing before and after the processes have ended, and no frame may stay behind.
 * What Linux would have answered is not asked here: its process would not survive all of these.
 */
#include <stdlib.h>

#include "kmm/observe.h"
#include "oracle/machine.h"
#include "reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM_BYTES (UINT64_C(64) << 20)
#define HEAP UINT64_C(0x08160000)
#define LARGE (UINT64_C(1) << 18)
enum { TEXT_ROOM = 1 << 16, MOST_STEPS = 64 };

/* As the native program's own areas would be: something below the heap. */
static const char image[] = "01000000-01400000 rw-s 00000000 00:00 0\n08000000-08150000 r-xp 00000000 00:00 0\n";

static struct place take_place(struct reader *r)
{
	uint8_t how = (uint8_t)take(r, 1);
	struct place p = { 0, how % BASE_NR };

	if (p.base == BASE_ABSOLUTE)
		p.offset = take(r, 8);
	else
		p.offset = (take(r, 1) & 63) * ORACLE_PAGE + (how & 0x80 ? take(r, 2) & (ORACLE_PAGE - 1) : 0);
	return p;
}

/* Few pages, or so much that it is refused: what lies between takes long and says nothing. */
static uint64_t take_len(struct reader *r)
{
	uint8_t how = (uint8_t)take(r, 1);
	uint64_t len = how & 0x80 ? take(r, 8) : (uint64_t)(how & 31) * ORACLE_PAGE;

	return len > LARGE && len < RAM_BYTES * 8 ? len % LARGE : len;
}

/* What the executor relies on: small accesses, processes and limits that there are. */
static void make_sound(struct step *s)
{
	if (s->op > OP_MSYNC)
		s->len = 1 + s->len % 8;
	if (s->op == OP_FORK || s->op == OP_PEEK || s->op == OP_POKE)
		s->slot %= ORACLE_ACTORS;
	if (s->op == OP_RLIMIT)
		s->flags %= LIMIT_NR;
}

static void take_step(struct reader *r, struct step *s)
{
	*s = (struct step){ .op = (uint8_t)(take(r, 1) % OP_NR), .actor = (uint8_t)(take(r, 1) % ORACLE_ACTORS) };
	s->at = take_place(r);
	s->len = take_len(r);
	s->prot = (uint32_t)take(r, 1) & 63;
	s->prot = (s->prot & 15) | (s->prot & 48) << 20; /* mprotect's GROWSDOWN and GROWSUP are far up */
	s->flags = (uint32_t)take(r, s->op == OP_MMAP ? 3 : s->op == OP_SHMAT ? 2 : 1);
	s->file = (uint8_t)take(r, 1) % (ORACLE_FILES + 1);
	s->slot = (uint8_t)take(r, 1) % (ORACLE_SLOTS + 1);
	if (s->op == OP_MREMAP)
		s->to = take_place(r);
	if (s->op == OP_MREMAP || s->op == OP_RLIMIT)
		s->new_len = take_len(r);
	if (s->op == OP_MMAP || s->op >= OP_PREAD)
		s->off = take(r, 1) & 1 ? take(r, 8) : take(r, 1) * (ORACLE_PAGE / 2);
	make_sound(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct oracle_machine *om;
	static char room[TEXT_ROOM];
	struct reader r = { data, size };
	struct answer answer;
	struct step s;

	if (!om)
		om = machine_start_with(RAM_BYTES, HEAP, 4096, image, sizeof(image) - 1);
	machine_begin(om);
	for (unsigned i = 0; i < MOST_STEPS && r.left > 4; i++) {
		struct text text = { room, 0, TEXT_ROOM };

		take_step(&r, &s);
		machine_step(om, &s, &answer, &text);
	}
	if (machine_end(om, true))
		abort();
	return 0;
}
