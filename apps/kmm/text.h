/* SPDX-License-Identifier: MIT */
/*
 * Text for people: colour where it helps and is wanted, and tables whose columns line up.
 */
#ifndef KMM_APP_TEXT_H
#define KMM_APP_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum color_when { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };
/* Decides for stdout: the option, then NO_COLOR, CLICOLOR_FORCE, then whether it is a terminal that can. */
void text_color(enum color_when when);

enum text_style { TEXT_PLAIN, TEXT_HEADING, TEXT_DIM, TEXT_GOOD, TEXT_BAD, TEXT_NR_STYLES };
/* Escape sequence that starts a style; "" without colour. TEXT_PLAIN ends it. */
const char *text_style(enum text_style style);
/* A blank line, then the heading. */
__attribute__((format(printf, 1, 2))) void text_heading(const char *format, ...);

/* A table: cells are added one after the other, row by row. */
struct table {
	unsigned nr_columns;
	const char *spec;  /* "<zone|>pages": '<' flush left, '>' flush right, then the title */
	char **cell;
	size_t nr, room;
};
void table_start(struct table *t, const char *spec);
__attribute__((format(printf, 2, 3))) void table_add(struct table *t, const char *format, ...);
/* Prints with `indent` blanks before each row, and frees. */
void table_print(struct table *t, unsigned indent, FILE *out);

#endif
