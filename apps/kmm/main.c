/* SPDX-License-Identifier: MIT */
/*
 * kmm: the command. Finds the subcommand and hands it the rest of the line.
 */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "0.1.0"

static const struct command commands[] = {
	{ "boot", cmd_boot, "boot a simulated machine and show how its memory is laid out" },
	{ "layout", cmd_layout, "virtual addresses of a machine: regions, picture, cost of descriptors" },
	{ "zones", cmd_zones, "zones of a booted machine, with watermarks and free blocks" },
	{ "explain", cmd_explain, "say what an address is, with the proof" },
	{ "walk", cmd_walk, "translate an address through the page tables, level by level" },
	{ "page", cmd_page, "descriptor of a frame, and everything that maps it" },
	{ "report", cmd_report, "reports in the formats of Linux's /proc" },
	{ "run", cmd_run, "run a Linux program on the reference kernel" },
	{ "life", cmd_life, "the story of one page of a program, with its entry at each step" },
	{ "replay", cmd_replay, "major faults of replacement policies on a sequence of accesses" },
};
enum { NR_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *out)
{
	fputs("Usage: kmm COMMAND [OPTION...]\n"
	      "Build a machine of any size, and ask about its memory.\n\n", out);
	for (unsigned i = 0; i < NR_COMMANDS; i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("  help      this text, or the options of a command: kmm help boot\n"
	      "  version   the version\n\n"
	      "  kmm boot --machine i386-pae --ram 8G        kmm boot -m x86_64 -r 64T\n"
	      "  kmm layout -m i386 -r 4G --draw             kmm explain --list\n\n"
	      "Exit status: 0 done, 1 the answer is no, 2 usage, 3 bad input,\n"
	      "4 permission missing, 5 not available here.\n", out);
}

static const struct command *find(const char *name)
{
	for (unsigned i = 0; i < NR_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int run(const char *name, int argc, char **argv)
{
	const struct command *command = find(name);
	char title[32];

	if (!command)
		fail("kmm", EXIT_USAGE, "unknown command '%s'; 'kmm help' lists them", name);
	snprintf(title, sizeof(title), "kmm %s", command->name);
	argv[0] = title;
	return command->run(argc, argv);
}

static int help(const char *topic)
{
	char option[] = "--help", *argv[] = { NULL, option, NULL };

	if (topic)
		return run(topic, 2, argv);
	print_help(stdout);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;

	if (!name) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "-?"))
		return help(argc > 2 ? argv[2] : NULL);
	if (!strcmp(name, "version") || !strcmp(name, "--version") || !strcmp(name, "-V")) {
		puts("kmm " VERSION);
		return EXIT_DONE;
	}
	return run(name, argc - 1, argv + 1);
}
