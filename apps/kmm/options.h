/* SPDX-License-Identifier: MIT */
/*
 * Options that several commands share: which machine, how to simulate it, how to print. A command names the
 * groups it understands, so that no option is accepted and then ignored.
 */
#ifndef KMM_APP_OPTIONS_H
#define KMM_APP_OPTIONS_H

#include <argp.h>

#include "hosted.h"
#include "text.h"

enum {
	OPTIONS_MACHINE = 1, /* --machine --ram --memmap --split ... */
	OPTIONS_IMAGE = 2,   /* --image */
	OPTIONS_STRICT = 4   /* --strict */
};

struct options {
	const char *command; /* "kmm boot" */
	struct hosted_config config;
	struct kmm_memrange *memmap; /* of --memmap */
	uint64_t requested_ram;      /* as on the command line or by default; 0 with --memmap */
	bool json;
	struct kmm_node_range node_map[KMM_MAX_NODES + 1]; /* of --nodes and hot_bytes */
	uint64_t hot_bytes; /* set by a command of its own: where so much may be added above all RAM, on a node of its own */

	/* while parsing */
	unsigned nr_nodes;
	bool have_ram;
	const char *narrow_option; /* the last one given that only a 32-bit machine has */
	const char *windows;
	uint64_t vmalloc_bytes;
};

/* Options and arguments that a command has of its own. */
struct own_args {
	const struct argp_option *options; /* NULL: none */
	argp_parser_t parser;              /* NULL: takes no arguments */
	const char *args_doc, *doc;
};

/* For commands whose one argument is a text: input of options_parse(), and the parser. */
struct one_text {
	struct options o;
	const char *text; /* NULL: not given */
};
error_t options_one_text(int key, char *arg, struct argp_state *state);

/* Parses all of argv; ends the process with a sentence when something is wrong. input goes to own->parser. */
void options_parse(struct options *o, unsigned groups, const struct own_args *own, void *input, int argc, char **argv);
void options_free(struct options *o);

/* Shares RAM and processors out evenly over o->nr_nodes nodes (nodes.c), whatever the map looks like, by whole
 * sections where there are enough of them; and makes room for o->hot_bytes. */
void options_fill_nodes(struct options *o);

/* Boots the machine that the options describe, or ends the process. */
struct hosted_machine *options_boot(const struct options *o);

/* End of the RAM that the machine of these options can address (bytes), and what it cannot. */
uint64_t options_ram_end(const struct options *o, uint64_t *unreachable);

/* Machine by name or alias; KMM_NR_FORMATS when unknown. */
enum kmm_format_id machine_by_name(const char *name);

/* Reads a memory map in text form; *out is malloc'd, NULL (with a sentence in error) when that fails. *denied: for
 * lack of permission. */
enum { MEMMAP_ERROR = 256 };
struct kmm_memrange *memmap_read(const char *path, unsigned *nr, char error[MEMMAP_ERROR], bool *denied);
/* One line: 1 a range, 0 empty or a comment, -1 neither. */
int memmap_parse_line(const char *line, struct kmm_memrange *out);

#endif
