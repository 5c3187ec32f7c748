/* SPDX-License-Identifier: MIT */
/*
 * main.c - the test kernel: the port and the memory of the reference kernel, and tests instead of processes.
 *
 * Command line: tests=A,B,... names parts of test names (default: all); seed=N is that of random tests; kaslr=N moves the
 * kernel's own places, as it does the reference kernel's. After each test
 * this machine itself is audited and must have as many free pages as before, whatever the test simulated. The last line
 * of the output is that of the hosted runner; QEMU's debug exit tells whether anything failed.
 */
#include "cell.h"
#include "ground.h"
#include "kmm/observe.h"
#include "pt/pt.h"
#include "start.h"

enum { DEBUG_CONSOLE = 0xe9, EXIT_GOOD = 0, EXIT_BAD = 1 };

void cell_print(const char *text)
{
	if (!os.log_to_debugcon)
		x86_console_write(text, str_len(text));
	for (; os.log_to_debugcon && *text; text++)
		x86_outb(DEBUG_CONSOLE, (uint8_t)*text);
}

static void print(struct kmm_sink *sink, const char *bytes, size_t len)
{
	(void)sink;
	for (size_t i = 0; i < len; i++)
		cell_print((char[]){ bytes[i], 0 });
}

struct kmm_sink bare_log = { print };

/* ---- what the reference kernel's memory.c asks of the rest of it ---- */

void os_leave(int status, const char *why)
{
	kmm_printf(&bare_log, "%s\n", why);
	x86_exit((uint8_t)status);
}

void port_wait(struct kmm_port *port, const void *key, bool (*done)(void *arg), void *arg)
{
	(void)port;
	(void)key;
	if (!done(arg))
		x86_panic("the core sleeps, and nobody is there to wake it");
}

void port_wake(struct kmm_port *port, const void *key)
{
	(void)port;
	(void)key;
}

uint32_t port_owner_id(struct kmm_port *port)
{
	(void)port;
	return 0;
}

/* ---- choosing and running ---- */

/* The value of a word of the command line: up to a blank; NULL: absent. */
static const char *word(const char *key)
{
	const char *at = x86_boot.cmdline;

	for (; *at; at++)
		if ((at == x86_boot.cmdline || at[-1] == ' ') && str_starts(at, key))
			return at + str_len(key);
	return NULL;
}

static bool contains(const char *name, const char *part, size_t len)
{
	for (; *name; name++) {
		size_t n = 0;

		while (n < len && name[n] == part[n])
			n++;
		if (n == len)
			return true;
	}
	return false;
}

static bool selected(const struct kmm_test *test, const char *parts)
{
	while (parts && *parts && *parts != ' ') {
		size_t len = 0;

		while (parts[len] && parts[len] != ',' && parts[len] != ' ')
			len++;
		if (contains(test->name, parts, len))
			return true;
		parts += len + (parts[len] == ',');
	}
	return !parts;
}

/* What a test must leave as it was; page tables of the kernel count as free there, since those stay. */
static kmm_word free_pages(void)
{
	return ground_free_pages(bare_ground());
}

static void check_machine(kmm_word before)
{
	CHECK_EQ(kmm_audit(os.k, &bare_log), 0);
	CHECK_EQ(free_pages(), before);
}

static enum kmm_test_result run(const struct kmm_test *test)
{
	static const char *const words[] = { "ok", "FAILED", "skipped" };
	uint64_t start = x86_time_ns();
	kmm_word before = free_pages();
	enum kmm_test_result result = cell_run(test);

	if (result == KMM_TEST_SKIPPED)
		kmm_printf(&bare_log, "SKIP %s: %s\n", test->name, kmm_test_skip_reason());
	check_machine(before);
	if (kmm_test_failed())
		result = KMM_TEST_FAILED;
	kmm_printf(&bare_log, "%-8s %s, %u ms\n", words[result], test->name,
		   (unsigned)div_u64(x86_time_ns() - start, 1000000, NULL));
	return result;
}

static void run_selected(unsigned count[3], const char *parts)
{
	const struct kmm_test *const *t;

	for (t = __start_kmm_tests; t < __stop_kmm_tests; t++)
		if (selected(*t, parts))
			count[run(*t)]++;
}

void kernel_main(void)
{
	unsigned count[3] = { 0, 0, 0 };
	const char *seed = word("seed="), *places = word("kaslr="), *end;
	uint32_t number = 1;

	klog_init();
	os.options.has_kaslr = places != NULL;
	if (places)
		str_to_u32(places, 10, &os.options.kaslr, &end);
	memory_start();
	cell_init();
	if (seed)
		str_to_u32(seed, 10, &number, NULL);
	kmm_test_setup(cell_print, number);
	run_selected(count, word("tests="));
	if (count[0] + count[1] + count[2] == 0)
		cell_print("no test has such a name\n"), count[KMM_TEST_FAILED] = 1;
	kmm_printf(&bare_log, "%u passed, %u failed, %u skipped\n", count[KMM_TEST_PASSED], count[KMM_TEST_FAILED],
		   count[KMM_TEST_SKIPPED]);
	x86_exit(count[KMM_TEST_FAILED] ? EXIT_BAD : EXIT_GOOD);
}
