/* SPDX-License-Identifier: MIT */
/*
 * Memory maps as text, a range per line: first address, '-', last address, type.
 *
 *	# comment
 *	0000000000-000009fbff  ram
 *	BIOS-e820: [mem 0x0000000000100000-0x00000000bffdffff] usable
 *
 * The second form is what Linux prints at boot, so a machine can be copied from a log. Addresses are
 * hexadecimal with or without 0x; types are numbers of e820 or words.
 */
#include "command.h"
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *word;
	enum kmm_mem_type type;
} words[] = {
	{ "ram", KMM_MEM_RAM },       { "usable", KMM_MEM_RAM },     { "reserved", KMM_MEM_RESERVED },
	{ "acpi nvs", KMM_MEM_NVS },  { "nvs", KMM_MEM_NVS },        { "acpi data", KMM_MEM_ACPI },
	{ "acpi", KMM_MEM_ACPI },     { "unusable", KMM_MEM_BAD },   { "bad", KMM_MEM_BAD },
	{ "1", KMM_MEM_RAM },         { "2", KMM_MEM_RESERVED },     { "3", KMM_MEM_ACPI },
	{ "4", KMM_MEM_NVS },         { "5", KMM_MEM_BAD },
};

static const char *skip_blanks(const char *p)
{
	while (isspace((unsigned char)*p))
		p++;
	return p;
}

static bool parse_hex(const char **p, uint64_t *value)
{
	char *end;

	*p = skip_blanks(*p);
	if (!isxdigit((unsigned char)**p))
		return false;
	errno = 0;
	*value = strtoull(*p, &end, 16);
	*p = end;
	return !errno;
}

static bool parse_type(const char *text, uint32_t *type)
{
	char word[32];
	size_t len;

	text = skip_blanks(text);
	len = strcspn(text, "#\r\n");
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	if (len >= sizeof(word))
		return false;
	memcpy(word, text, len);
	word[len] = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasecmp(word, words[i].word) == 0) {
			*type = words[i].type;
			return true;
		}
	}
	return false;
}

int memmap_parse_line(const char *line, struct kmm_memrange *out)
{
	const char *mem = strstr(line, "[mem "), *p = mem ? mem + 5 : line;
	uint64_t first, last;

	p = skip_blanks(p);
	if (!*p || *p == '#')
		return 0;
	if (!parse_hex(&p, &first) || *(p = skip_blanks(p)) != '-')
		return -1;
	p++;
	if (!parse_hex(&p, &last) || last < first || last - first == UINT64_MAX)
		return -1;
	if (mem && *p++ != ']')
		return -1;
	*out = (struct kmm_memrange){ .start = first, .size = last - first + 1 };
	return parse_type(p, &out->type) ? 1 : -1;
}

static struct kmm_memrange *read_lines(FILE *file, unsigned *nr, unsigned *bad_line)
{
	struct kmm_memrange *map = must_alloc(malloc(sizeof(*map)));
	char line[256];
	unsigned number = 0;

	for (*nr = 0; fgets(line, sizeof(line), file); ) {
		int kind;

		number++;
		map = must_alloc(realloc(map, (*nr + 1) * sizeof(*map)));
		kind = memmap_parse_line(line, &map[*nr]);
		if (kind < 0) {
			*bad_line = number;
			free(map);
			return NULL;
		}
		*nr += kind > 0;
	}
	return map;
}

struct kmm_memrange *memmap_read(const char *path, unsigned *nr, char error[MEMMAP_ERROR], bool *denied)
{
	FILE *file = fopen(path, "r");
	struct kmm_memrange *map;
	unsigned bad_line = 0;

	*denied = !file && errno == EACCES;
	if (!file) {
		snprintf(error, MEMMAP_ERROR, "%s: %s", path, strerror(errno));
		return NULL;
	}
	map = read_lines(file, nr, &bad_line);
	if (!map)
		snprintf(error, MEMMAP_ERROR, "%s:%u: not a range; expected: FIRST-LAST TYPE, as in 100000-3fffffff ram", path,
			 bad_line);
	else if (ferror(file) || *nr == 0)
		snprintf(error, MEMMAP_ERROR, "%s: %s", path, ferror(file) ? "cannot be read" : "has no ranges");
	if (map && (ferror(file) || *nr == 0)) {
		free(map);
		map = NULL;
	}
	fclose(file);
	return map;
}
