/* SPDX-License-Identifier: MIT */
/*
 * A QEMU TCG plugin (API version 1) that counts how often each guest instruction is executed.
 *
 * The guest cuts the run into sections: each time it executes "xchg %bx,%bx" (66 87 db), the counts since the last mark
 * are written and cleared. Output, by section: a line "SECTION number total", then "address count" lines. The part
 * before the first mark (boot) is left out. A string instruction counts once per repetition, as under -icount.
 *
 * Usage: -plugin ./insnprof.so,out=FILE. scripts/profile turns the addresses into functions and lines.
 * The prototypes are those the API documents; no header of QEMU is needed.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*translated)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op, void *at, uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*run)(unsigned cpu, void *arg),
					    int flags, void *arg);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*leave)(plugin_id id, void *arg), void *arg);
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

/* Open addressing; slots never move, because translated code adds to them. */
#define NR_SLOTS (1u << 22)
static struct slot {
	uint64_t key; /* address + 1; 0: empty */
	uint64_t count;
} *slots;
static uint32_t nr_used;
static FILE *out;
static int section;

static struct slot *slot_of(uint64_t va)
{
	uint64_t at = (va * 0x9e3779b97f4a7c15ull) >> 42;

	while (slots[at].key && slots[at].key != va + 1)
		at = (at + 1) & (NR_SLOTS - 1);
	if (!slots[at].key && ++nr_used > NR_SLOTS / 2) {
		fputs("insnprof: too many addresses\n", stderr);
		abort();
	}
	slots[at].key = va + 1;
	return &slots[at];
}

static void write_section(bool silent)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < NR_SLOTS; i++)
		total += slots[i].count;
	if (!silent)
		fprintf(out, "SECTION %d %" PRIu64 "\n", section, total);
	for (uint32_t i = 0; i < NR_SLOTS; i++) {
		if (slots[i].count && !silent)
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n", slots[i].key - 1, slots[i].count);
		slots[i].count = 0;
	}
}

static void mark(unsigned cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	write_section(section == 0);
	section++;
}

static void translated(plugin_id id, struct qemu_plugin_tb *tb)
{
	static const unsigned char mark_bytes[3] = { 0x66, 0x87, 0xdb };

	(void)id;
	for (size_t i = 0, n = qemu_plugin_tb_n_insns(tb); i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (qemu_plugin_insn_size(insn) == 3 && memcmp(qemu_plugin_insn_data(insn), mark_bytes, 3) == 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, NULL);
		qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &slot_of(qemu_plugin_insn_vaddr(insn))->count, 1);
	}
}

static void leave(plugin_id id, void *arg)
{
	(void)id;
	(void)arg;
	fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	const char *path = "insnprof.out";

	(void)info;
	for (int i = 0; i < argc; i++)
		if (strncmp(argv[i], "out=", 4) == 0)
			path = argv[i] + 4;
	out = fopen(path, "w");
	slots = calloc(NR_SLOTS, sizeof(*slots));
	if (!out || !slots)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, leave, NULL);
	return 0;
}
