/* SPDX-License-Identifier: MIT */
/*
 * What every command of `kmm` shares: exit codes, messages, and the table that main() looks in.
 *
 * A command gets argv[0] = "kmm NAME" and returns an exit code. Answers go to stdout, everything else to
 * stderr. Every command understands --json: one object with "schema" and "version"; addresses are
 * strings, because numbers of JSON readers end at 2^53 or 2^63.
 */
#ifndef KMM_APP_COMMAND_H
#define KMM_APP_COMMAND_H

#include <stdint.h>

enum exit_code {
	EXIT_DONE = 0,
	EXIT_NO = 1,          /* the answer is no: not found, not mapped, the audit found something */
	EXIT_USAGE = 2,
	EXIT_INPUT = 3,       /* a value, file or machine description that cannot be */
	EXIT_PERMISSION = 4,
	EXIT_UNSUPPORTED = 5  /* this host or build cannot */
};

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

int cmd_boot(int argc, char **argv);
int cmd_layout(int argc, char **argv);
int cmd_zones(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_walk(int argc, char **argv);
int cmd_page(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_life(int argc, char **argv);

/* One sentence to stderr after the command's name; ends the process. */
__attribute__((noreturn, format(printf, 3, 4))) void fail(const char *command, enum exit_code code, const char *format,
							   ...);
/* malloc or the end. */
void *must_alloc(void *p);

#endif
