/* SPDX-License-Identifier: MIT */
/*
 * Colour and tables.
 */
#include "text.h"

#include "command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool color_on; /* the only state of the command's process that is not passed around */

static bool wanted_by_environment(void)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE"), *term = getenv("TERM");

	if (no && *no)
		return false;
	if (force && *force && strcmp(force, "0") != 0)
		return true;
	return isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0;
}

void text_color(enum color_when when)
{
	color_on = when == COLOR_AUTO ? wanted_by_environment() : when == COLOR_ALWAYS;
}

const char *text_style(enum text_style style)
{
	static const char *const codes[TEXT_NR_STYLES] = { "\033[0m", "\033[1m", "\033[2m", "\033[32m", "\033[31m" };

	return color_on ? codes[style] : "";
}

void text_heading(const char *format, ...)
{
	va_list args;

	printf("\n%s", text_style(TEXT_HEADING));
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("%s\n", text_style(TEXT_PLAIN));
}

void table_start(struct table *t, const char *spec)
{
	*t = (struct table){ .nr_columns = 1, .spec = spec };
	for (const char *p = spec; *p; p++)
		t->nr_columns += *p == '|';
}

void table_add(struct table *t, const char *format, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (t->nr == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cell = must_alloc(realloc(t->cell, t->room * sizeof(*t->cell)));
	}
	t->cell[t->nr++] = must_alloc(text);
}

/* Title and alignment of column `nr`. */
static const char *column(const struct table *t, unsigned nr, int *len)
{
	const char *p = t->spec;

	while (nr--)
		p = strchr(p, '|') + 1;
	*len = (int)strcspn(p + 1, "|");
	return p;
}

static int width_of(const struct table *t, unsigned nr)
{
	int width, len;

	column(t, nr, &width);
	for (size_t i = nr; i < t->nr; i += t->nr_columns) {
		len = (int)strlen(t->cell[i]);
		width = len > width ? len : width;
	}
	return width;
}

/* `last`: nothing follows in this row, so no blanks are put behind it. */
static void print_cell(FILE *out, const struct table *t, unsigned nr, int width, const char *text, int len, bool last)
{
	int title;
	bool left = *column(t, nr, &title) == '<';

	if (nr)
		fputs("  ", out);
	if (!left)
		fprintf(out, "%*s", width - len, "");
	fprintf(out, "%.*s", len, text);
	if (left && !last)
		fprintf(out, "%*s", width - len, "");
}

static void print_titles(const struct table *t, const int *width, FILE *out)
{
	int len;

	for (unsigned c = 0; c < t->nr_columns; c++) {
		const char *title = column(t, c, &len);

		print_cell(out, t, c, width[c], title + 1, len, c + 1 == t->nr_columns);
	}
}

static void print_row(const struct table *t, const int *width, char *const *cell, FILE *out)
{
	unsigned used = t->nr_columns;

	while (used && !*cell[used - 1])
		used--;
	for (unsigned c = 0; c < used; c++)
		print_cell(out, t, c, width[c], cell[c], (int)strlen(cell[c]), c + 1 == used);
}

void table_print(struct table *t, unsigned indent, FILE *out)
{
	int *width = must_alloc(calloc(t->nr_columns, sizeof(*width)));

	for (unsigned c = 0; c < t->nr_columns; c++)
		width[c] = width_of(t, c);
	fprintf(out, "%*s%s", (int)indent, "", text_style(TEXT_DIM));
	print_titles(t, width, out);
	fprintf(out, "%s\n", text_style(TEXT_PLAIN));
	for (size_t i = 0; i + t->nr_columns <= t->nr; i += t->nr_columns) {
		fprintf(out, "%*s", (int)indent, "");
		print_row(t, width, t->cell + i, out);
		fputc('\n', out);
	}
	for (size_t i = 0; i < t->nr; i++)
		free(t->cell[i]);
	free(width);
	free(t->cell);
	*t = (struct table){ 0 };
}
