/* SPDX-License-Identifier: MIT */
/*
 * How a command ends early.
 */
#include "command.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void fail(const char *command, enum exit_code code, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", command);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

void *must_alloc(void *p)
{
	if (!p)
		fail("kmm", EXIT_UNSUPPORTED, "out of memory");
	return p;
}
