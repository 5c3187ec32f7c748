/* SPDX-License-Identifier: MIT */
/*
 * Parsing of the shared options, and the checks that need more than one of them.
 */
#include "options.h"

#include "command.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_RAM (UINT64_C(2) << 30)
#define SMALLEST_RAM (UINT64_C(4) << 20)

enum { OPT_MEMMAP = 256, OPT_SPLIT, OPT_WINDOWS, OPT_VMALLOC, OPT_CPUS, OPT_PHYS_BITS, OPT_SEED, OPT_RANDOMISE,
       OPT_IMAGE, OPT_STRICT, OPT_JSON, OPT_COLOR, OPT_NODES };

static const struct argp_option machine_options[] = {
	{ "machine", 'm', "NAME", 0, "i386 (default), i386-pae, x86_64, x86_64-la57", 0 },
	{ "ram", 'r', "SIZE", 0, "RAM in K, M, G, T of 1024 (default 2G)", 0 },
	{ "memmap", OPT_MEMMAP, "FILE", 0, "memory map instead: lines FIRST-LAST TYPE", 0 },
	{ "split", OPT_SPLIT, "1g|2g|3g", 0, "user part of 4 GiB (32-bit; default 3g)", 0 },
	{ "windows", OPT_WINDOWS, "WHOSE", 0, "kmm (default) or linux-6.1 (32-bit)", 0 },
	{ "vmalloc", OPT_VMALLOC, "SIZE", 0, "addresses for vmalloc (32-bit; default 128M)", 0 },
	{ "cpus", OPT_CPUS, "N", 0, "processors (default 1)", 0 },
	{ "nodes", OPT_NODES, "N", 0, "RAM and processors in N equal nodes (default 1)", 0 },
	{ "phys-bits", OPT_PHYS_BITS, "N", 0, "physical address width of the processor", 0 },
	{ "seed", OPT_SEED, "N", 0, "of everything random (default 1)", 0 },
	{ "randomise", OPT_RANDOMISE, NULL, 0, "random bases, from the seed", 0 },
	{ 0 }
};
static const struct argp_option image_options[] = {
	{ "image", OPT_IMAGE, "SIZE", 0, "kernel image at 16 MiB (default 8M if it fits)", 0 },
	{ 0 }
};
static const struct argp_option strict_options[] = {
	{ "strict", OPT_STRICT, NULL, 0, "high memory shows through windows only", 0 },
	{ 0 }
};
static const struct argp_option output_options[] = {
	{ "json", OPT_JSON, NULL, 0, "one JSON object", 0 },
	{ "color", OPT_COLOR, "WHEN", 0, "auto (default), always, never", 0 },
	{ 0 }
};

static const struct {
	const char *alias;
	enum kmm_format_id format;
} aliases[] = {
	{ "i686", KMM_I386 },        { "pae", KMM_I386_PAE },         { "i686-pae", KMM_I386_PAE },
	{ "x64", KMM_X86_64 },       { "amd64", KMM_X86_64 },         { "x86-64", KMM_X86_64 },
	{ "la57", KMM_X86_64_LA57 }, { "x64-la57", KMM_X86_64_LA57 }, { "x86-64-la57", KMM_X86_64_LA57 },
};

enum kmm_format_id machine_by_name(const char *name)
{
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcasecmp(name, aliases[i].alias) == 0)
			return aliases[i].format;
	return kmm_format_by_name(name);
}

static uint64_t size_or_fail(const struct options *o, const char *option, const char *text)
{
	uint64_t bytes;

	if (!parse_size(text, &bytes))
		fail(o->command, EXIT_USAGE, "%s %s: not a size; write it like 512M, 4G or 1.5G", option, text);
	return bytes;
}

static uint64_t number_or_fail(const struct options *o, const char *option, const char *text, uint64_t max)
{
	uint64_t number;

	if (!parse_number(text, max, &number))
		fail(o->command, EXIT_USAGE, "%s %s: not a whole number from 0 to %llu", option, text,
		     (unsigned long long)max);
	return number;
}

static void take_machine(struct options *o, const char *name)
{
	o->config.machine.format = machine_by_name(name);
	if (o->config.machine.format == KMM_NR_FORMATS)
		fail(o->command, EXIT_USAGE, "unknown machine '%s'; there are i386, i386-pae, x86_64 and x86_64-la57", name);
}

static void take_split(struct options *o, const char *text)
{
	if (strlen(text) != 2 || text[0] < '1' || text[0] > '3' || (text[1] | 32) != 'g')
		fail(o->command, EXIT_USAGE, "unknown split '%s'; the user part is 1g, 2g or 3g", text);
	o->config.machine.user_end = (uint64_t)(text[0] - '0') << 30;
	o->narrow_option = "--split";
}

static void take_windows(struct options *o, const char *text)
{
	if (strcmp(text, "kmm") != 0 && strcmp(text, "linux-6.1") != 0)
		fail(o->command, EXIT_USAGE, "unknown windows '%s'; there are kmm and linux-6.1", text);
	o->windows = text;
	o->narrow_option = "--windows";
}

static void take_memmap(struct options *o, const char *path)
{
	char error[MEMMAP_ERROR];
	bool denied;

	free(o->memmap);
	o->memmap = memmap_read(path, &o->config.machine.nr_map, error, &denied);
	if (!o->memmap)
		fail(o->command, denied ? EXIT_PERMISSION : EXIT_INPUT, "%s", error);
	o->config.machine.map = o->memmap;
}

static void take_vmalloc(struct options *o, const char *text)
{
	o->vmalloc_bytes = size_or_fail(o, "--vmalloc", text);
	o->narrow_option = "--vmalloc";
	if (!o->vmalloc_bytes)
		fail(o->command, EXIT_INPUT, "--vmalloc %s: the kernel needs some addresses for vmalloc", text);
}

static void take_cpus(struct options *o, const char *text)
{
	o->config.machine.nr_cpus = (unsigned)number_or_fail(o, "--cpus", text, 1u << 20);
	if (o->config.machine.nr_cpus < 1 || o->config.machine.nr_cpus > KMM_MAX_CPUS)
		fail(o->command, EXIT_INPUT, "--cpus %s: this build simulates 1 to %u processors", text, KMM_MAX_CPUS);
}

static void take_nodes(struct options *o, const char *text)
{
	o->nr_nodes = (unsigned)number_or_fail(o, "--nodes", text, 1u << 20);
	if (o->nr_nodes < 1 || o->nr_nodes > KMM_MAX_NODES)
		fail(o->command, EXIT_INPUT, "--nodes %s: this build knows 1 to %u nodes", text, KMM_MAX_NODES);
}

static error_t parse_machine(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'm': take_machine(o, arg); return 0;
	case 'r':
		o->requested_ram = size_or_fail(o, "--ram", arg);
		o->have_ram = true;
		return 0;
	case OPT_MEMMAP: take_memmap(o, arg); return 0;
	case OPT_SPLIT: take_split(o, arg); return 0;
	case OPT_WINDOWS: take_windows(o, arg); return 0;
	case OPT_VMALLOC: take_vmalloc(o, arg); return 0;
	case OPT_CPUS: take_cpus(o, arg); return 0;
	case OPT_NODES: take_nodes(o, arg); return 0;
	case OPT_PHYS_BITS:
		o->config.machine.phys_bits = (uint8_t)number_or_fail(o, "--phys-bits", arg, 255);
		return 0;
	case OPT_SEED: o->config.machine.seed = number_or_fail(o, "--seed", arg, UINT64_MAX); return 0;
	case OPT_RANDOMISE: o->config.machine.randomise = true; return 0;
	default: return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_image(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	if (key != OPT_IMAGE)
		return ARGP_ERR_UNKNOWN;
	o->config.image_bytes = size_or_fail(o, "--image", arg);
	return 0;
}

static error_t parse_strict(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != OPT_STRICT)
		return ARGP_ERR_UNKNOWN;
	((struct options *)state->input)->config.strict = true;
	return 0;
}

static error_t parse_output(int key, char *arg, struct argp_state *state)
{
	static const char *const names[] = { "auto", "always", "never" };
	struct options *o = state->input;

	if (key == OPT_JSON) {
		o->json = true;
		return 0;
	}
	if (key != OPT_COLOR)
		return ARGP_ERR_UNKNOWN;
	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(arg, names[i]) == 0) {
			text_color((enum color_when)i);
			return 0;
		}
	}
	fail(o->command, EXIT_USAGE, "--color %s: there are auto, always and never", arg);
}

/* ---- checks of the whole ---- */

/* The default image is there when it fits with room to spare. */
#define DEFAULT_IMAGE (UINT64_C(8) << 20)
#define DEFAULT_IMAGE_RAM (UINT64_C(128) << 20)
#define NO_IMAGE_OPTION UINT64_MAX

static void check_ram(const struct options *o)
{
	uint64_t limit = UINT64_C(1) << o->config.machine.phys_bits;
	char ram[SIZE_TEXT], most[SIZE_TEXT];

	size_text(ram, o->requested_ram);
	if (o->requested_ram < SMALLEST_RAM)
		fail(o->command, EXIT_INPUT, "%s of RAM are too little, the smallest machine has 4 MiB; units are K, M, G, T as in 4G",
		     ram);
	if (o->requested_ram > limit)
		fail(o->command, EXIT_INPUT, "%s of RAM: an %s machine cannot address more than %s (%u address bits)", ram,
		     kmm_format_name(o->config.machine.format), size_text(most, limit), o->config.machine.phys_bits);
}

static void fill_windows(struct options *o)
{
	struct kmm_machine *machine = &o->config.machine;

	if (o->narrow_option && machine->format >= KMM_X86_64)
		fail(o->command, EXIT_INPUT, "%s is for 32-bit machines; %s has no such choice", o->narrow_option,
		     kmm_format_name(machine->format));
	if (o->windows && strcmp(o->windows, "linux-6.1") == 0)
		machine->windows = kmm_windows_linux_6_1();
}

/* As Linux's vmalloc= does, the hole before vmalloc comes on top of what was asked for. */
static void fill_vmalloc(struct options *o)
{
	struct kmm_windows *w = &o->config.machine.windows;

	if (o->vmalloc_bytes >= UINT64_C(1) << 32)
		fail(o->command, EXIT_INPUT, "--vmalloc: a 32-bit machine has 4 GiB of addresses in all");
	if (o->vmalloc_bytes)
		w->vmalloc_reserve = o->vmalloc_bytes + w->vmalloc_offset;
}

static void fill_image(struct options *o, unsigned groups)
{
	if (o->config.image_bytes != NO_IMAGE_OPTION)
		return;
	o->config.image_bytes = 0;
	if ((groups & OPTIONS_IMAGE) && !o->memmap && o->requested_ram >= DEFAULT_IMAGE_RAM)
		o->config.image_bytes = DEFAULT_IMAGE;
}

static void finish(struct options *o, unsigned groups)
{
	const char *why = "";

	if (o->have_ram && o->memmap)
		fail(o->command, EXIT_USAGE, "--ram and --memmap exclude each other");
	fill_windows(o);
	if (!o->have_ram && !o->memmap)
		o->requested_ram = DEFAULT_RAM;
	if (o->nr_nodes > 1 || o->hot_bytes)
		options_fill_nodes(o);
	if (kmm_machine_defaults(&o->config.machine, &why))
		fail(o->command, EXIT_INPUT, "%s", why);
	fill_vmalloc(o);
	if (!o->memmap)
		check_ram(o);
	fill_image(o, groups);
	o->config.ram_bytes = o->requested_ram;
}

/* ---- argp ---- */

static const struct argp machine_argp = { machine_options, parse_machine, NULL, NULL, NULL, NULL, NULL };
static const struct argp image_argp = { image_options, parse_image, NULL, NULL, NULL, NULL, NULL };
static const struct argp strict_argp = { strict_options, parse_strict, NULL, NULL, NULL, NULL, NULL };
static const struct argp output_argp = { output_options, parse_output, NULL, NULL, NULL, NULL, NULL };

enum { MAX_CHILDREN = 5 };
struct parse {
	struct options *o;
	void *own_input;
	bool has_own;
	unsigned nr_groups;
};

/* Hands each group its input: the first is the command's own, if it has any. (state->root_argp is not ours: argp
 * wraps it to add --help.) */
static error_t parse_root(int key, char *arg, struct argp_state *state)
{
	const struct parse *parse = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	for (unsigned i = 0; i < parse->nr_groups; i++)
		state->child_inputs[i] = i == 0 && parse->has_own ? parse->own_input : parse->o;
	return 0;
}

void options_parse(struct options *o, unsigned groups, const struct own_args *own, void *input, int argc, char **argv)
{
	struct argp own_argp = { own->options, own->parser, NULL, NULL, NULL, NULL, NULL };
	struct argp_child children[MAX_CHILDREN + 1] = { { 0 } }, *child = children;
	struct argp root = { NULL, parse_root, own->args_doc, own->doc, children, NULL, NULL };
	struct parse parse = { o, input, own->parser != NULL, 0 };

	*o = (struct options){ .command = argv[0] };
	o->config.image_bytes = NO_IMAGE_OPTION;
	o->config.machine.seed = 1;
	text_color(COLOR_AUTO);
	if (own->parser)
		*child++ = (struct argp_child){ &own_argp, 0, NULL, 0 };
	if (groups & OPTIONS_MACHINE)
		*child++ = (struct argp_child){ &machine_argp, 0, NULL, 0 };
	if (groups & OPTIONS_IMAGE)
		*child++ = (struct argp_child){ &image_argp, 0, NULL, 0 };
	if (groups & OPTIONS_STRICT)
		*child++ = (struct argp_child){ &strict_argp, 0, NULL, 0 };
	*child++ = (struct argp_child){ &output_argp, 0, NULL, 0 };
	parse.nr_groups = (unsigned)(child - children);
	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&root, argc, argv, 0, NULL, &parse);
	finish(o, groups);
}

error_t options_one_text(int key, char *arg, struct argp_state *state)
{
	struct one_text *a = state->input;

	if (key != ARGP_KEY_ARG || a->text)
		return ARGP_ERR_UNKNOWN;
	a->text = arg;
	return 0;
}

void options_free(struct options *o)
{
	free(o->memmap);
	o->memmap = NULL;
}

uint64_t options_ram_end(const struct options *o, uint64_t *unreachable)
{
	struct kmm_memrange pc[HOSTED_PC_RANGES];
	const struct kmm_memrange *map = o->memmap ? o->memmap : pc;
	unsigned nr = o->memmap ? o->config.machine.nr_map : hosted_pc_map(o->requested_ram, pc);
	uint64_t limit = UINT64_C(1) << o->config.machine.phys_bits, end = 0;

	*unreachable = 0;
	for (unsigned i = 0; i < nr; i++) {
		uint64_t last = map[i].start + map[i].size;

		if (map[i].type != KMM_MEM_RAM)
			continue;
		if (last > limit)
			*unreachable += last - (map[i].start > limit ? map[i].start : limit);
		if (map[i].start < limit && last > end)
			end = last < limit ? last : limit;
	}
	return end;
}

static enum exit_code code_of(enum kmm_status status)
{
	switch (status) {
	case KMM_ENOTSUP: return EXIT_UNSUPPORTED;
	case KMM_EPERM: return EXIT_PERMISSION;
	default: return EXIT_INPUT;
	}
}

struct hosted_machine *options_boot(const struct options *o)
{
	struct hosted_machine *m;
	const char *why;
	enum kmm_status status = hosted_boot(&o->config, &m, &why);

	if (status)
		fail(o->command, code_of(status), "%s", *why ? why : kmm_status_name(status));
	return m;
}
