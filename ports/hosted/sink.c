/* SPDX-License-Identifier: MIT */
/*
 * Two places where reports can go: a stdio file, and text that grows.
 */
#include "hosted.h"

#include <stdlib.h>
#include <string.h>

static void write_file(struct kmm_sink *sink, const char *bytes, size_t len)
{
	fwrite(bytes, 1, len, ((struct hosted_file_sink *)sink)->file);
}

struct kmm_sink *hosted_file_sink(struct hosted_file_sink *sink, FILE *file)
{
	sink->sink.write = write_file;
	sink->file = file;
	return &sink->sink;
}

static char *grow(char *text, size_t room)
{
	text = realloc(text, room);
	if (!text) {
		fputs("hosted: out of host memory for text\n", stderr);
		abort();
	}
	return text;
}

static void write_text(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct hosted_text *t = (struct hosted_text *)sink;

	if (t->len + len + 1 > t->room) {
		t->room = 2 * (t->len + len + 1);
		t->text = grow(t->text, t->room);
	}
	memcpy(t->text + t->len, bytes, len);
	t->len += len;
	t->text[t->len] = '\0';
}

struct kmm_sink *hosted_text_init(struct hosted_text *text)
{
	text->sink.write = write_text;
	text->len = 0;
	text->room = 256;
	text->text = grow(NULL, text->room);
	text->text[0] = '\0';
	return &text->sink;
}

void hosted_text_free(struct hosted_text *text)
{
	free(text->text);
	text->text = NULL;
	text->len = text->room = 0;
}
