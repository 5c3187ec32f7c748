/* SPDX-License-Identifier: MIT */
/*
 * program.c - the native executor as a static program. Two uses:
 *
 *   program host FD               for the runner: FD is the shared area; each byte on stdin is a program to carry out
 *   program seed=N sequences=N steps=N
 *                                 alone, in a guest: makes its own programs and prints a digest of each. "overcommit": each
 *                                 runs under the rule of promises that its seed says, of the three there are
 *   program tries=FILE steps=N    the same for the lines of FILE: SEED KEEP, where KEEP has a bit for each step that stays
 *                                 (hexadecimal, the first eight steps in the first two digits), and then "all" to print
 *                                 every look
 *   program ... given=FILE        after these, programs that no seed makes: a line "program SEED" and "all" or nothing, then a line of
 *                                 numbers for each step (read_given_step()); the seed is only its name, and says the rule
 */
#include "oracle/look.h"
#include "oracle/native.h"
#include "oracle/sys.h"

enum { PROT_RW = 3, SHARED_FIXED = 0x11, SHARED_FIXED_ANON = 0x31 };
enum { NR_MOUNT = sizeof(void *) == 8 ? 165 : 21, NR_REBOOT = sizeof(void *) == 8 ? 169 : 88 };

void program_main(uword *stack);
static struct shared *const sh = ORACLE_SHARED;

/* The stack that the kernel gave is unmapped: this one is part of the image. */
static char own_stack[65536] __attribute__((aligned(64), used));

#ifdef __x86_64__
__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tlea own_stack+65536(%rip), %rsp\n\txor %ebp, %ebp\n\tcall program_main\n\thlt\n");
#else
__asm__(".globl _start\n_start:\n\tmov %esp, %eax\n\tmov $own_stack+65520, %esp\n\txor %ebp, %ebp\n\tmov %eax, (%esp)\n\tcall program_main\n\thlt\n");
#endif

/* Compilers call these. */
void *memset(void *to, int byte, size_t len);
void *memset(void *to, int byte, size_t len)
{
	void *start = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(byte) : "memory");
	return start;
}

void *memcpy(void *to, const void *from, size_t len);
void *memcpy(void *to, const void *from, size_t len)
{
	void *start = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
	return start;
}

/* ---- words ---- */

struct options {
	uint64_t seed;
	uint32_t sequences, steps;
	bool overcommit; /* set the machine's rule: only in a guest */
	char tries[64], given[64]; /* "": none. Not pointers: the stack that the words are on is given up */
};

/* One program to make and run. */
struct try {
	uint64_t seed;
	const char *keep; /* two digits for eight steps, the first step in the lowest bit of the first pair; NULL: all */
	const char *given; /* its lines of numbers; NULL: the seed makes it */
	bool print;
};

static const char *after(const char *word, const char *name)
{
	while (*name && *word == *name)
		word++, name++;
	return *name ? NULL : word;
}

static uint64_t number(const char *p)
{
	uint64_t v = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	return v;
}

static void copy_name(char to[64], const char *value)
{
	for (unsigned i = 0; value && value[i] && i < 63; i++)
		to[i] = value[i];
}

static void read_word(const char *word, struct options *o)
{
	const char *value;

	if ((value = after(word, "seed=")))
		o->seed = number(value);
	if ((value = after(word, "sequences=")))
		o->sequences = (uint32_t)number(value);
	if ((value = after(word, "steps=")))
		o->steps = (uint32_t)number(value);
	if (after(word, "overcommit"))
		o->overcommit = true;
	copy_name(o->tries, after(word, "tries="));
	copy_name(o->given, after(word, "given="));
}

/* ---- in a guest ---- */

static void say(const struct text *t)
{
	uint32_t done = 0;
	sword n = 1;

	for (; done < t->len && n > 0; done += (uint32_t)n)
		n = sys3(NR_WRITE, 1, (uword)(t->at + done), t->len - done);
}

static unsigned digit(char c)
{
	return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void drop_steps(const char *keep)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < sh->nr; i++)
		if (digit(keep[i / 8 * 2 + (i % 8 < 4)]) >> i % 4 & 1)
			sh->steps[left++] = sh->steps[i];
	sh->nr = left;
}

static const char *past(const char *p, char c)
{
	while (*p && *p != c && *p != '\n')
		p++;
	return *p == c ? p + 1 : p;
}

static uint64_t next_number(const char **p)
{
	uint64_t v = 0;

	for (; **p && **p != ' ' && **p != '\n'; (*p)++)
		v = v << 4 | digit(**p);
	*p = past(*p, ' ');
	return v;
}

/* All that a step is made of, in hexadecimal. Behind it the next line. */
static void read_given_step(const char **p, struct step *s)
{
	s->op = (uint8_t)next_number(p);
	s->actor = (uint8_t)next_number(p);
	s->file = (uint8_t)next_number(p);
	s->slot = (uint8_t)next_number(p);
	s->prot = (uint32_t)next_number(p);
	s->flags = (uint32_t)next_number(p);
	s->at.base = (uint8_t)next_number(p);
	s->at.offset = next_number(p);
	s->to.base = (uint8_t)next_number(p);
	s->to.offset = next_number(p);
	s->len = next_number(p);
	s->new_len = next_number(p);
	s->off = next_number(p);
	*p = past(*p, '\n');
}

static void take_given(const char *p)
{
	for (sh->nr = 0; *p && *p != 'p' && sh->nr < ORACLE_MAX_STEPS; sh->nr++)
		read_given_step(&p, &sh->steps[sh->nr]);
}

static void make_program(const struct try *t, uint32_t steps)
{
	static const struct oracle_width width = { sizeof(void *) * 8, sizeof(void *) == 8 ? UINT64_C(0x7ffffffff000) : 0xc0000000 };

	sh->nr = steps;
	if (t->given)
		take_given(t->given);
	else
		oracle_generate(t->seed, &width, sh->steps, steps);
	if (t->keep)
		drop_steps(t->keep);
}

static void report_step(uint32_t i)
{
	static char line[64];
	struct text out = { line, 0, sizeof(line) };
	struct text body = { sh->text + sh->answers[i].text, sh->answers[i].text_len, 0 };

	text_string(&out, "step ");
	text_decimal(&out, i);
	text_string(&out, sh->answers[i].text_len ? "\n" : " left out\n");
	say(&out);
	say(&body);
}

static void set_overcommit(uint64_t seed)
{
	const char rule = (char)('0' + (uint32_t)(seed >> 1) % 3); /* 1 of 3 times GUESS, ALWAYS, NEVER */
	sword fd = sys3(NR_OPEN, (uword) "/proc/sys/vm/overcommit_memory", 1, 0);

	sys3(NR_WRITE, (uword)fd, (uword)&rule, 1);
	sys3(NR_CLOSE, (uword)fd, 0, 0);
}

static void run_and_report(const struct try *t, const struct options *o)
{
	static char line[128];
	struct text out = { line, 0, sizeof(line) };
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (o->overcommit)
		set_overcommit(t->seed);
	make_program(t, o->steps);
	native_run();
	for (uint32_t i = 0; i < sh->nr && t->print; i++)
		report_step(i);
	hash = look_hash(hash, sh->text, sh->text_len);
	text_string(&out, "oracle ");
	text_decimal(&out, (int64_t)t->seed);
	text_string(&out, " ");
	text_hex(&out, hash, 16);
	text_string(&out, "\n");
	say(&out);
}

static char lines[1 << 18]; /* of the file of programs */

static void run_tries(const struct options *o)
{
	lines[native_read_file(o->tries, lines, sizeof(lines) - 1)] = 0;
	for (const char *p = lines; *p; p = past(past(past(p, ' '), ' '), '\n')) {
		struct try t = { number(p), past(p, ' '), NULL, past(past(p, ' '), ' ')[0] == 'a' };

		run_and_report(&t, o);
	}
}

static void run_given(const struct options *o)
{
	lines[native_read_file(o->given, lines, sizeof(lines) - 1)] = 0;
	for (const char *p = lines; *p; p = past(p, '\n')) {
		const char *seed = after(p, "program ");
		struct try t = { .given = past(p, '\n') };

		if (!seed)
			continue;
		t.seed = number(seed);
		t.print = past(seed, ' ')[0] == 'a';
		run_and_report(&t, o);
	}
}

static void alone(const struct options *o)
{
	sh->tells_soft_dirty = true;
	if (o->tries[0]) {
		run_tries(o);
		return;
	}
	for (uint32_t i = 0; i < o->sequences; i++)
		run_and_report(&(struct try){ .seed = o->seed + i }, o);
	if (o->given[0])
		run_given(o);
}

/* ---- for the runner ---- */

static void serve(void)
{
	const char *text;
	char byte = 0;

	sh->text_len = native_maps(&text);
	memcpy(sh->text, text, sh->text_len);
	while (sys3(NR_WRITE, 1, (uword)&byte, 1) == 1 && sys3(NR_READ, 0, (uword)&byte, 1) == 1)
		native_run();
}

static void finish(void)
{
	struct text end = { (char[]){ "oracle end\n" }, 11, 0 };

	say(&end);
	if (sys3(NR_GETPID, 0, 0, 0) == 1)
		sys6(NR_REBOOT, 0xfee1dead, 0x28121969, 0x01234567, 0, 0, 0);
	for (;;)
		sys3(NR_EXIT, 0, 0, 0);
}

void program_main(uword *stack)
{
	static struct options options = { .seed = 1, .sequences = 1, .steps = 100 };
	bool host = stack[0] > 2 && after((const char *)stack[2], "host");
	sword fd = host ? (sword)number((const char *)stack[3]) : -1;

	for (uword i = 2; i <= stack[0]; i++)
		read_word((const char *)stack[i], &options);
	if (options.steps > ORACLE_MAX_STEPS)
		options.steps = ORACLE_MAX_STEPS;
	if (sys3(NR_GETPID, 0, 0, 0) == 1) /* a guest's first program */
		sys6(NR_MOUNT, (uword) "proc", (uword) "/proc", (uword) "proc", 0, 0, 0);
	if (sys_mmap((uword)ORACLE_SHARED_AT, sizeof(struct shared), PROT_RW, host ? SHARED_FIXED : SHARED_FIXED_ANON, fd, 0) < 0)
		sys3(NR_EXIT, 3, 0, 0);
	native_prepare();
	if (host)
		serve();
	else
		alone(&options);
	finish();
}
