/* SPDX-License-Identifier: MIT */
/*
 * JSON helpers. Out of memory ends the process, so callers need not look.
 */
#include "json.h"

#include "command.h"

#include <inttypes.h>
#include <stdio.h>

enum { SCHEMA_VERSION = 1 };

json_t *json_document(const char *name)
{
	return must_alloc(json_pack("{s:s+, s:i}", "schema", "kmm.", name, "version", SCHEMA_VERSION));
}

json_t *json_address(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return must_alloc(json_string(text));
}

json_t *json_count(uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX)
		return must_alloc(json_integer((json_int_t)value));
	snprintf(text, sizeof(text), "%" PRIu64, value);
	return must_alloc(json_string(text));
}

void json_print(json_t *document)
{
	json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
}
