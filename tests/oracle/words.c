/* SPDX-License-Identifier: MIT */
/* words.c - see words.h. */
#include "oracle/words.h"

#include <stdlib.h>
#include <string.h>

struct bit_name {
	uint32_t bit;
	const char *name;
};
static const struct bit_name mmap_bits[] = {
	{ 0x01, "shared" }, { 0x02, "private" }, { 0x10, "fixed" }, { 0x20, "anonymous" }, { 0x40, "32bit" }, { 0x100, "growsdown" },
	{ 0x800, "denywrite" }, { 0x1000, "executable" }, { 0x2000, "locked" }, { 0x4000, "noreserve" }, { 0x8000, "populate" },
	{ 0x10000, "nonblock" }, { 0x20000, "stack" }, { 0x40000, "hugetlb" }, { 0x100000, "noreplace" }, { 0, NULL }
};
static const struct bit_name mremap_bits[] = { { 1, "maymove" }, { 2, "fixed" }, { 4, "dontunmap" }, { 0, NULL } };
static const struct bit_name prot_bits[] = { { 1, "r" }, { 2, "w" }, { 4, "x" }, { 8, "sem" }, { 0x01000000, "growsdown" },
					       { 0x02000000, "growsup" }, { 0, NULL } };
static const struct bit_name no_bits[] = { { 0, NULL } };
static const char *const base_names[BASE_SLOT] = { "", "window+", "far+", "heap+" };

/* What a letter of op_info is called, and how its value is written. */
struct operand {
	char letter;
	const char *name;
	const struct bit_name *bits; /* NULL: not flags */
};
static const struct operand operands[] = {
	{ 'a', "at", NULL }, { 't', "to", NULL }, { 'l', "len", NULL }, { 'n', "new", NULL }, { 'o', "off", NULL },
	{ 'p', "prot", prot_bits }, { 'm', "flags", mmap_bits }, { 'r', "flags", mremap_bits }, { 'v', "value", no_bits },
	{ 'f', "file", NULL }, { 's', "slot", NULL }, { 'c', "child", NULL }, { 'w', "whose", NULL }
};

static const struct operand *operand_of(char letter)
{
	for (size_t i = 0; i < sizeof(operands) / sizeof(operands[0]); i++)
		if (operands[i].letter == letter)
			return &operands[i];
	abort();
}

/* ---- printing ---- */

static void print_place(FILE *out, const struct place *p)
{
	if (p->base >= BASE_SLOT)
		fprintf(out, "slot%d+%llx", p->base - BASE_SLOT, (unsigned long long)p->offset);
	else
		fprintf(out, "%s%llx", base_names[p->base], (unsigned long long)p->offset);
}

static void print_bits(FILE *out, uint32_t value, const struct bit_name *bits)
{
	const char *comma = "";

	for (; bits->name; bits++)
		if (value & bits->bit) {
			fprintf(out, "%s%s", comma, bits->name);
			value &= ~bits->bit;
			comma = ",";
		}
	if (value || !*comma)
		fprintf(out, "%s%x", comma, value);
}

static void print_operand(FILE *out, const struct step *s, const struct operand *o)
{
	fprintf(out, " %s=", o->name);
	switch (o->letter) {
	case 'a': print_place(out, &s->at); break;
	case 't': print_place(out, &s->to); break;
	case 'l': fprintf(out, "%llx", (unsigned long long)s->len); break;
	case 'n': fprintf(out, "%llx", (unsigned long long)s->new_len); break;
	case 'o': fprintf(out, "%llx", (unsigned long long)s->off); break;
	case 'p': print_bits(out, s->prot, o->bits); break;
	case 'f': s->file < ORACLE_FILES ? fprintf(out, "%d", s->file) : fprintf(out, "none"); break;
	case 's':
	case 'w':
	case 'c': fprintf(out, "%d", s->slot); break;
	default: print_bits(out, s->flags, o->bits);
	}
}

void words_print(FILE *out, const struct step *steps, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		const struct op_info *info = &oracle_ops[steps[i].op];

		fprintf(out, "%d %s", steps[i].actor, info->name);
		for (const char *letter = info->operands; *letter; letter++)
			print_operand(out, &steps[i], operand_of(*letter));
		fprintf(out, "\n");
	}
}

void words_print_numbers(FILE *out, const struct step *steps, unsigned nr)
{
	for (const struct step *s = steps; s < steps + nr; s++)
		fprintf(out, "%x %x %x %x %x %x %x %llx %x %llx %llx %llx %llx\n", s->op, s->actor, s->file, s->slot, s->prot, s->flags,
			s->at.base, (unsigned long long)s->at.offset, s->to.base, (unsigned long long)s->to.offset,
			(unsigned long long)s->len, (unsigned long long)s->new_len, (unsigned long long)s->off);
}

/* ---- reading ---- */

static bool read_number(const char *text, int base, uint64_t *v)
{
	char *end;

	*v = strtoull(text, &end, base);
	return *text && !*end;
}

static bool read_place(const char *text, struct place *p)
{
	char *end;

	if (strncmp(text, "slot", 4) == 0) {
		unsigned long slot = strtoul(text + 4, &end, 10);

		p->base = (uint8_t)(BASE_SLOT + slot);
		return slot < ORACLE_SLOTS && *end == '+' && read_number(end + 1, 16, &p->offset);
	}
	for (uint8_t base = BASE_WINDOW; base < BASE_SLOT; base++)
		if (strncmp(text, base_names[base], strlen(base_names[base])) == 0) {
			p->base = base;
			return read_number(text + strlen(base_names[base]), 16, &p->offset);
		}
	p->base = BASE_ABSOLUTE;
	return read_number(text, 16, &p->offset);
}

static bool read_bits(char *text, const struct bit_name *bits, uint32_t *value)
{
	char *save;

	*value = 0;
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		const struct bit_name *b = bits;
		uint64_t number;

		while (b->name && strcmp(b->name, word) != 0)
			b++;
		if (b->name)
			*value |= b->bit;
		else if (read_number(word, 16, &number))
			*value |= (uint32_t)number;
		else
			return false;
	}
	return true;
}

static bool read_small(const char *text, unsigned most, uint8_t *value)
{
	uint64_t v;

	if (!read_number(text, 10, &v) || v > most)
		return false;
	*value = (uint8_t)v;
	return true;
}

static bool read_operand(char *text, struct step *s, const struct operand *o)
{
	size_t name = strlen(o->name);

	if (strncmp(text, o->name, name) != 0 || text[name] != '=')
		return false;
	text += name + 1;
	switch (o->letter) {
	case 'a': return read_place(text, &s->at);
	case 't': return read_place(text, &s->to);
	case 'l': return read_number(text, 16, &s->len);
	case 'n': return read_number(text, 16, &s->new_len);
	case 'o': return read_number(text, 16, &s->off);
	case 'p': return read_bits(text, o->bits, &s->prot);
	case 'f': return strcmp(text, "none") == 0 ? (s->file = FILE_NONE, true) : read_small(text, ORACLE_FILES - 1, &s->file);
	case 's': return read_small(text, ORACLE_SLOTS, &s->slot);
	case 'w':
	case 'c': return read_small(text, ORACLE_ACTORS - 1, &s->slot);
	default: return read_bits(text, o->bits, &s->flags);
	}
}

static bool read_step(char *line, struct step *s)
{
	char *save, *word = strtok_r(line, " \n", &save);

	*s = (struct step){ .file = FILE_NONE, .slot = ORACLE_SLOTS };
	if (!word || !read_small(word, ORACLE_ACTORS - 1, &s->actor))
		return false;
	word = strtok_r(NULL, " \n", &save);
	while (word && s->op < OP_NR && strcmp(oracle_ops[s->op].name, word) != 0)
		s->op++;
	if (!word || s->op == OP_NR)
		return false;
	for (const char *letter = oracle_ops[s->op].operands; *letter; letter++) {
		word = strtok_r(NULL, " \n", &save);
		if (!word || !read_operand(word, s, operand_of(*letter)))
			return false;
	}
	return true;
}

int words_read(FILE *in, struct step *steps, unsigned room, char line[256])
{
	unsigned nr = 0;
	char copy[256];

	while (fgets(line, 256, in)) {
		strcpy(copy, line);
		copy[strcspn(copy, "#")] = 0;
		if (copy[strspn(copy, " \n")] == 0)
			continue;
		if (nr == room || !read_step(copy, &steps[nr]))
			return -1;
		nr++;
	}
	return (int)nr;
}
