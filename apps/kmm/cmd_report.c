/* SPDX-License-Identifier: MIT */
/*
 * kmm report: the texts of Linux's /proc, as the library writes them for any embedder.
 */
#include "command.h"
#include "kmm/observe.h"
#include "target.h"

#include <string.h>

static const struct {
	const char *name;
	void (*machine)(struct kmm *k, struct kmm_sink *out);
	void (*space)(struct kmm_mm *mm, struct kmm_sink *out);
} reports[] = {
	{ "meminfo", kmm_report_meminfo, NULL },     { "zoneinfo", kmm_report_zoneinfo, NULL },
	{ "buddyinfo", kmm_report_buddyinfo, NULL }, { "pagetypeinfo", kmm_report_pagetypeinfo, NULL },
	{ "slabinfo", kmm_report_slabinfo, NULL },
	{ "vmstat", kmm_report_vmstat, NULL },       { "vmallocinfo", kmm_report_vmallocinfo, NULL },
	{ "page_owner", kmm_report_page_owner, NULL },
	{ "maps", NULL, kmm_report_maps },           { "smaps", NULL, kmm_report_smaps },
	{ "status", NULL, kmm_report_mm_status },    { "statm", NULL, kmm_report_statm },
};
enum { NR_REPORTS = sizeof(reports) / sizeof(reports[0]) };

struct report_args {
	struct options o;
	int chosen; /* -1: none */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct report_args *a = state->input;

	if (key != ARGP_KEY_ARG || a->chosen >= 0)
		return ARGP_ERR_UNKNOWN;
	for (int i = 0; i < NR_REPORTS; i++)
		if (strcmp(arg, reports[i].name) == 0)
			a->chosen = i;
	if (a->chosen < 0)
		fail(a->o.command, EXIT_USAGE, "unknown report '%s'; 'kmm report --help' lists them", arg);
	return 0;
}

static const struct own_args args = {
	.parser = parse,
	.args_doc = "REPORT",
	.doc = "A report in the format of Linux's /proc. Of the machine: meminfo zoneinfo buddyinfo pagetypeinfo slabinfo "
	       "vmstat vmallocinfo; page_owner, which Linux keeps in debugfs. Of the demonstration's program: maps smaps status statm.",
};

static void write_report(const struct report_args *a, struct target *t, struct kmm_sink *out)
{
	if (reports[a->chosen].machine)
		reports[a->chosen].machine(t->k, out);
	else
		reports[a->chosen].space(t->demo.mm, out);
}

int cmd_report(int argc, char **argv)
{
	struct report_args a = { .chosen = -1 };
	struct hosted_text text;
	struct target t;

	options_parse(&a.o, OPTIONS_MACHINE | OPTIONS_IMAGE, &args, &a, argc, argv);
	if (a.chosen < 0)
		fail(a.o.command, EXIT_USAGE, "which report? 'kmm report --help' lists them");
	if (reports[a.chosen].machine == kmm_report_page_owner)
		a.o.config.machine.debug = KMM_DEBUG_PAGE_OWNER;
	target_open(&t, &a.o);
	write_report(&a, &t, hosted_text_init(&text));
	if (a.o.json) {
		json_t *doc = json_document("report");

		json_object_set_new(doc, "name", json_string(reports[a.chosen].name));
		json_object_set_new(doc, "text", json_string(text.text));
		json_print(doc);
	} else {
		fputs(text.text, stdout);
	}
	hosted_text_free(&text);
	target_close(&t);
	options_free(&a.o);
	return EXIT_DONE;
}
