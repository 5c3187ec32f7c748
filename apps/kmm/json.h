/* SPDX-License-Identifier: MIT */
/*
 * JSON answers. Every document starts with "schema" (kmm.COMMAND) and "version"; the version grows when a
 * field changes its meaning or goes away, not when one is added.
 */
#ifndef KMM_APP_JSON_H
#define KMM_APP_JSON_H

#include <jansson.h>
#include <stdint.h>

/* An object with schema "kmm.NAME". */
json_t *json_document(const char *name);
/* An address: a string of 0x and all the digits it needs. */
json_t *json_address(uint64_t value);
/* A count or a number of bytes; beyond 2^63 a decimal string. */
json_t *json_count(uint64_t value);
/* Prints to stdout with a line end, and frees. */
void json_print(json_t *document);

#endif
