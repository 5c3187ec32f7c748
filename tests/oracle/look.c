/* SPDX-License-Identifier: MIT */
/* look.c - see look.h. No C library: also part of the program that runs in guests. */
#include "oracle/look.h"

void text_bytes(struct text *t, const char *from, uint32_t len)
{
	for (uint32_t i = 0; i < len && t->len < t->room; i++)
		t->at[t->len++] = from[i];
}

void text_string(struct text *t, const char *from)
{
	while (*from && t->len < t->room)
		t->at[t->len++] = *from++;
}

void text_hex(struct text *t, uint64_t v, unsigned least_digits)
{
	char digits[16];
	unsigned nr = 0;

	do
		digits[15 - nr++] = "0123456789abcdef"[v & 15];
	while ((v >>= 4) || nr < least_digits);
	text_bytes(t, digits + 16 - nr, nr);
}

void text_decimal(struct text *t, int64_t v)
{
	uint32_t left = v < 0 ? (uint32_t)-v : (uint32_t)v;
	char digits[10];
	unsigned nr = 0;

	if (v < 0)
		text_string(t, "-");
	do
		digits[9 - nr++] = (char)('0' + left % 10);
	while (left /= 10);
	text_bytes(t, digits + 10 - nr, nr);
}

uint32_t look_digest(const void *page)
{
	const uint32_t *w = page;
	uint32_t a = 1, b = 2, c = 3, d = 4;

	for (unsigned i = 0; i < ORACLE_PAGE / 4; i += 4) {
		a = (a ^ w[i]) * 0x9e3779b1;
		b = (b ^ w[i + 1]) * 0x85ebca77;
		c = (c ^ w[i + 2]) * 0xc2b2ae3d;
		d = (d ^ w[i + 3]) * 0x27d4eb2f;
	}
	return a ^ (b << 7 | b >> 25) ^ (c << 13 | c >> 19) ^ (d << 21 | d >> 11);
}

uint64_t look_hash(uint64_t h, const void *bytes, size_t len)
{
	const uint8_t *b = bytes;

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

uint32_t look_residency(const uint8_t *vector, uint64_t len)
{
	uint32_t h = 1;

	for (uint64_t i = 0; i < (len + ORACLE_PAGE - 1) / ORACLE_PAGE && i < 24; i++)
		h = h << 1 | (vector[i] & 1);
	return h;
}

/* ---- rows ---- */

struct row {
	uint64_t start, end, offset;
	char rights[4];
	const char *name;
	uint32_t name_len;
};

static const char *hex(const char *p, const char *end, uint64_t *v)
{
	for (*v = 0; p < end; p++) {
		if (*p >= '0' && *p <= '9')
			*v = *v << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			*v = *v << 4 | (uint64_t)(*p - 'a' + 10);
		else
			break;
	}
	return p;
}

static const char *word(const char *p, const char *end)
{
	while (p < end && *p != ' ')
		p++;
	while (p < end && *p == ' ')
		p++;
	return p;
}

/* start-end rights offset device inode name */
static void parse(const char *p, const char *end, struct row *row)
{
	p = hex(p, end, &row->start);
	p = hex(p + 1, end, &row->end);
	for (unsigned i = 0; i < 4; i++)
		row->rights[i] = p + 1 + i < end ? p[1 + i] : '?';
	p = hex(word(p + 1, end), end, &row->offset);
	p = word(word(p + 1, end), end);
	row->name = p;
	row->name_len = p < end ? (uint32_t)(end - p) : 0;
}

/* The files of the test are called oracle0 and so on, with more around it. */
static bool is_file_of_test(const struct row *row, char *number)
{
	static const char name[] = "oracle";

	for (uint32_t i = 0; i + sizeof(name) <= row->name_len; i++) {
		unsigned same = 0;

		while (same < sizeof(name) - 1 && row->name[i + same] == name[same])
			same++;
		*number = row->name[i + sizeof(name) - 1];
		if (same == sizeof(name) - 1 && *number >= '0' && *number <= '9')
			return true;
	}
	return false;
}

static void put_row(const struct row *row, struct text *out)
{
	char file[6] = "file?";

	text_hex(out, row->start, 8);
	text_string(out, "-");
	text_hex(out, row->end, 8);
	text_string(out, " ");
	text_bytes(out, row->rights, 4);
	text_string(out, " ");
	text_hex(out, row->offset, 8);
	text_string(out, " ");
	if (is_file_of_test(row, &file[4]))
		text_bytes(out, file, 5);
	else
		text_bytes(out, row->name, row->name_len);
	text_string(out, "\n");
}

static void put_page(struct looker *l, uint64_t va, unsigned prot, struct text *out)
{
	uint32_t digest = 0;
	enum look_page what = l->page(l, va, prot, &digest);

	if (what == LOOK_ABSENT)
		return;
	text_string(out, "  ");
	text_hex(out, va, 8);
	text_string(out, " ");
	if (what == LOOK_CONTENT)
		text_hex(out, digest, 8);
	else
		text_string(out, what == LOOK_BUS ? "beyond the end" : "unreadable");
	text_string(out, l->soft_dirty ? " dirty\n" : "\n");
}

static void put_pages(struct looker *l, const struct row *row, struct text *out)
{
	uint64_t most = LOOK_MOST_PAGES * ORACLE_PAGE, va = row->start;
	unsigned prot = (row->rights[0] == 'r') | (row->rights[1] == 'w') << 1 | (row->rights[2] == 'x') << 2;

	l->area(l, row->start, row->end - va > most ? va + most : row->end);
	for (; va < row->end && va - row->start < most; va += ORACLE_PAGE)
		put_page(l, va, prot, out);
	if (va >= row->end)
		return;
	if (row->end - va > most)
		va = row->end - most;
	l->area(l, va, row->end);
	for (; va < row->end; va += ORACLE_PAGE)
		put_page(l, va, prot, out);
}

void look_rows(struct looker *l, const char *maps, uint32_t len, struct text *out)
{
	const char *end = maps + len, *line_end;
	struct row row;

	for (const char *line = maps; line < end; line = line_end + 1) {
		for (line_end = line; line_end < end && *line_end != '\n';)
			line_end++;
		parse(line, line_end, &row);
		if (row.start < l->from || row.start > (UINT64_MAX >> 1)) /* the highest row is vsyscall's */
			continue;
		put_row(&row, out);
		put_pages(l, &row, out);
	}
}

void look_answer(const struct answer *a, struct text *out)
{
	text_string(out, "= ");
	if (a->sig) {
		text_string(out, "signal ");
		text_decimal(out, a->sig);
		text_string(out, " code ");
		text_decimal(out, a->code);
		text_string(out, " at ");
		text_hex(out, a->addr, 1);
	} else if (a->err) {
		text_string(out, "errno ");
		text_decimal(out, a->err);
	} else {
		text_hex(out, (uint64_t)a->ret, 1);
	}
	text_string(out, "\n");
}
