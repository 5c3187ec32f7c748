/* SPDX-License-Identifier: MIT */
/*
 * log.c - the kernel's own words, kept apart from what programs write: they go to the debug console (port e9h, a
 * QEMU device) where there is one, so that the first serial port carries exactly the programs' bytes.
 */
#include "lock.h"
#include "start.h"

enum { DEBUG_CONSOLE = 0xe9 };

void klog_init(void)
{
	os.log_to_debugcon = x86_inb(DEBUG_CONSOLE) == DEBUG_CONSOLE;
}

static void put(const char *text, size_t len)
{
	if (!os.log_to_debugcon) {
		x86_console_write(text, len);
		return;
	}
	while (len--)
		x86_outb(DEBUG_CONSOLE, (uint8_t)*text++);
}

/* One line at a time. Taken under any other lock. */
static struct spin lock = SPIN_OF(SPIN_LOG);

static void put_line(const char *text)
{
	char stamp[32];
	uint32_t rest;
	uint32_t s = (uint32_t)div_u64(os_now(), 1000000000, &rest);

	spin_lock(&lock);
	put(stamp, (size_t)x86_snprintf(stamp, sizeof(stamp), "[%4u.%06u] ", s, rest / 1000));
	put(text, str_len(text));
	put("\n", 1);
	spin_unlock(&lock);
}

void klog(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	x86_vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	put_line(line);
}

void klog_core(struct kmm_port *port, const char *line)
{
	(void)port;
	put_line(line);
}

static void log_bytes(struct kmm_sink *sink, const char *bytes, size_t len)
{
	static char line[200]; /* kernel lock */
	static size_t used;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n' && used < sizeof(line) - 1) {
			line[used++] = bytes[i];
			continue;
		}
		line[used] = 0;
		klog("%s: %s", ((struct log_sink *)sink)->about, line);
		used = 0;
	}
}

void log_sink_init(struct log_sink *s, const char *about)
{
	*s = (struct log_sink){ { log_bytes }, about };
}
