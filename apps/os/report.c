/* SPDX-License-Identifier: MIT */
/*
 * report.c - the end of the machine: exit status and memory report, both on the second serial port, where a program
 * on the host reads them.
 *
 *   exit N        the first line: the first program ended, or
 *   fail N why    the machine could not run it
 *   { ... }       with report=1: one JSON object; addresses are strings in hexadecimal. Under QEMU's -icount shift=0
 *                 time_ns is also the number of instructions executed since the clock was set up
 *
 * The audit needs more stack than a process has, and quiet: everything here runs on the boot stack.
 */
#include "block.h"
#include "kmm/kmap.h"
#include "kmm/observe.h"
#include "kmm/reclaim.h"
#include "proc/task.h"

enum { MAX_RECORDS = 128, MAX_VIOLATIONS = 64 };

/* What is kept of an ended process. */
static struct record {
	char comm[16];
	uint32_t pid;
	int status;
	struct kmm_mm_stats stats;
} records[MAX_RECORDS];
static uint32_t nr_records; /* also those that found no room */

void report_process_end(const char *comm, uint32_t pid, int status, struct kmm_mm *mm)
{
	struct record *r = &records[nr_records % MAX_RECORDS];

	if (nr_records++ >= MAX_RECORDS)
		return;
	str_copy(r->comm, comm, sizeof(r->comm));
	r->pid = pid;
	r->status = status;
	kmm_mm_stats(mm, &r->stats);
}

static void port_write(struct kmm_sink *sink, const char *bytes, size_t len)
{
	(void)sink;
	x86_report_write(bytes, len);
}

static struct kmm_sink out = { port_write };

/* A string's content in JSON; what is not printable ASCII becomes '?'. */
static void write_string(const char *s)
{
	for (; *s; s++) {
		char c = *s < ' ' || *s > '~' ? '?' : *s;

		if (c == '"' || c == '\\')
			x86_report_write("\\", 1);
		x86_report_write(&c, 1);
	}
}

static void write_machine(int status)
{
	struct kmm_reclaim_stats reclaim;
	struct kmm_swap_stats swap;
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	sink_printf(&out, "{\n\"kernel\": \"6.1.0-kmm\",\n\"machine\": \"%s\",\n\"exit_status\": %d,\n",
		    kmm_format_name(kmm_machine_of(os.k)->format), status);
	sink_printf(&out, "\"time_ns\": %llu,\n\"ticks\": %u,\n\"cpu\": \"", LL(os_now()), x86_ticks());
	write_string(x86_cpu_info.brand);
	sink_printf(&out, "\",\n\"memory\": {\"ram_pages\": %llu, \"unreachable_pages\": %llu, \"spanned_pages\": %llu, ",
		    LL(m.ram_pages), LL(m.unreachable_pages), LL(m.spanned_pages));
	sink_printf(&out, "\"reserved_pages\": %llu, \"memmap_pages\": %llu, \"memmap\": \"0x%llx\", \"descriptor_bytes\": %u, ",
		    LL(m.reserved_pages), LL(m.memmap_pages), LL(m.memmap.v), m.page_size_bytes);
	kmm_swap_stats(os.k, &swap);
	kmm_reclaim_stats(os.k, &reclaim);
	sink_printf(&out, "\"swap_pages\": %llu, \"swap_free\": %llu, \"swapped_in\": %llu, \"swapped_out\": %llu, ",
		    LL(swap.total), LL(swap.free), LL(swap.in), LL(swap.out));
	sink_printf(&out, "\"scanned\": %llu, \"stolen\": %llu, ", LL(reclaim.scanned_direct + reclaim.scanned_step),
		    LL(reclaim.stolen_direct + reclaim.stolen_step));
	sink_printf(&out, "\"disk_begun\": %u, \"disk_most\": %u, \"disk_slept\": %u, \"disk_awake\": %u, \"disk_discarded\": %u, ", blocks_stats().begun,
		    blocks_stats().most, blocks_stats().slept, blocks_stats().awake, blocks_stats().discarded);
	sink_printf(&out, "\"swap_ahead\": %llu, \"swap_ahead_used\": %llu, \"swap_retaken\": %llu, \"stolen_step\": %llu, ",
		    LL(swap.ahead), LL(swap.ahead_used), LL(swap.retaken), LL(reclaim.stolen_step));
	sink_printf(&out, "\"managed_pages\": %llu, \"free_pages\": %llu, \"total_high\": %llu, \"free_high\": %llu},\n",
		    LL(m.managed_pages), LL(m.free_pages), LL(m.total_high), LL(m.free_high));
}

static void write_zone(const struct kmm_zone_info *z)
{
	sink_printf(&out, "  {\"name\": \"%s\", \"start\": \"0x%llx\", \"spanned\": %llu, \"present\": %llu, \"managed\": %llu, ",
		    z->name, LL(kmm_pfn_to_paddr(z->start).v), LL(z->spanned), LL(z->present), LL(z->managed));
	sink_printf(&out, "\"free\": %llu, \"min\": %llu, \"low\": %llu, \"high\": %llu, \"protection\": [", LL(z->free),
		    LL(z->min), LL(z->low), LL(z->high));
	for (int i = 0; i < KMM_NR_ZONES; i++)
		sink_printf(&out, "%s%llu", i ? ", " : "", LL(z->protection[i]));
	sink_printf(&out, "], \"free_blocks\": [");
	for (int i = 0; i < KMM_NR_ORDERS; i++)
		sink_printf(&out, "%s%llu", i ? ", " : "", LL(z->nr_free[i]));
	sink_printf(&out, "],\n   \"kinds\": {");
	for (int i = 0; i < KMM_NR_KINDS; i++)
		sink_printf(&out, "%s\"%s\": %llu", i ? ", " : "", kmm_kind_name(i), LL(z->kinds[i]));
	sink_printf(&out, "}}");
}

static void write_zones(void)
{
	bool first = true;

	sink_printf(&out, "\"zones\": [\n");
	for (int i = 0; i < KMM_NR_ZONES; i++) {
		struct kmm_zone_info z;

		if (!kmm_zone_info(os.k, i, &z))
			continue;
		if (!first)
			sink_printf(&out, ",\n");
		first = false;
		write_zone(&z);
	}
	sink_printf(&out, "\n],\n");
}

static void write_processes(void)
{
	uint32_t n = min_u32(nr_records, MAX_RECORDS);

	sink_printf(&out, "\"processes_ended\": %u,\n\"processes\": [\n", nr_records);
	for (uint32_t i = 0; i < n; i++) {
		const struct record *r = &records[i];
		const struct kmm_mm_stats *s = &r->stats;

		sink_printf(&out, "  {\"pid\": %u, \"comm\": \"", r->pid);
		write_string(r->comm);
		sink_printf(&out, "\", \"status\": %d, \"peak_rss_pages\": %llu, \"peak_pages\": %llu, \"faults\": %llu, ",
			    r->status, LL(s->peak_rss), LL(s->peak_total), LL(s->faults));
		sink_printf(&out, "\"cow_copies\": %llu, \"cow_reuses\": %llu, \"zero_maps\": %llu, \"file_maps\": %llu, ",
			    LL(s->cow_copies), LL(s->cow_reuses), LL(s->zero_maps), LL(s->file_maps));
		sink_printf(&out, "\"table_pages\": %llu, \"major_faults\": %llu, \"maps\": %u}%s\n", LL(s->table_pages), LL(s->major_faults), s->map_count,
			    i + 1 < n ? "," : "");
	}
	sink_printf(&out, "],\n");
}

static void write_kmap(void)
{
	struct kmm_kmap_info k;

	kmm_kmap_info(os.k, &k);
	sink_printf(&out, "\"kmap\": {\"slots\": %u, \"used\": %u, \"kmaps\": %llu, \"flushes\": %llu, ", k.slots, k.used,
		    LL(k.kmaps), LL(k.flushes));
	sink_printf(&out, "\"locals\": %llu, \"local_max\": %u},\n", LL(k.locals), k.local_max);
}

/* Violations go to the log as they are found, their number to the report. */
static void write_audit(void)
{
	struct log_sink found;

	log_sink_init(&found, "audit");
	sink_printf(&out, "\"audit\": {\"violations\": %u}\n}\n", kmm_audit(os.k, &found.sink));
}

void report_hibernated(void)
{
	sink_printf(&out, "hibernated\n");
}

void report_write(int status, const char *why)
{
	if (why)
		sink_printf(&out, "fail %d %s\n", status, why);
	else
		sink_printf(&out, "exit %d\n", status);
	if (!os.options.report || !os.k)
		return;
	write_machine(status);
	write_zones();
	write_processes();
	write_kmap();
	write_audit();
}
