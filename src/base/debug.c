/* SPDX-License-Identifier: MIT */
/*
 * Log lines, trace and fault injection: the slow halves of base/debug.h.
 */
#include "base/debug.h"

#include "base/printf.h"

#define LINE_BYTES 256

static void log_line(struct kmm *k, const char *format, va_list args)
{
	struct kmm_buffer_sink line;
	char text[LINE_BYTES];

	if (!k->port->log)
		return;
	kmm_buffer_sink_init(&line, text, sizeof(text));
	kmm_vprintf(&line.sink, format, args);
	k->port->log(k->port, text);
}

void kmm_log(struct kmm *k, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(k, format, args);
	va_end(args);
}

void kmm_warn(struct kmm *k, const char *format, ...)
{
	va_list args;

	kmm_trace(k, KMM_EV_WARN, 0, 0, 0, 0);
	va_start(args, format);
	log_line(k, format, args);
	va_end(args);
}

void kmm_trace_slow(struct kmm *k, enum kmm_event id, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	struct kmm_trace_event event = { id, a, b, c, d };

	k->trace(k->trace_arg, &event);
}

bool kmm_inject_slow(struct kmm *k, const char *site)
{
	if (++k->faults.count != k->faults.nth)
		return false;
	k->faults.site = site;
	k->faults.nth = 0;
	return true;
}

void kmm_fail_nth(struct kmm *k, uint64_t nth)
{
	k->faults = (struct kmm_faults){ .nth = nth, .armed = nth != 0 };
	kmm_set_straight(k);
}

uint64_t kmm_fail_count(const struct kmm *k, const char **failed_site)
{
	if (failed_site)
		*failed_site = k->faults.site;
	return k->faults.count;
}

void kmm_set_trace(struct kmm *k, void (*fn)(void *arg, const struct kmm_trace_event *event), void *arg)
{
	k->trace_arg = arg;
	k->trace = fn;
	kmm_set_straight(k);
}
