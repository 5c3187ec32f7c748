/* SPDX-License-Identifier: MIT */
/*
 * The audit: each layer proves its own structures, then the sum over frames must come out. A violation is one line;
 * none means that every frame is owned exactly once and every counter is the truth.
 */
#include "observe/observe.h"

#include "kva/kva.h"
#include "phys/alloc.h"
#include "pt/pt.h"
#include "slab/slab.h"
#include "vm/vm.h"

#define MAX_LINES 64

struct limited {
	struct kmm_sink sink;    /* first */
	struct kmm_sink *out;    /* NULL: count only */
	unsigned lines;
};

static void limited_write(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct limited *limited = (struct limited *)sink;

	if (!limited->out || limited->lines >= MAX_LINES)
		return;
	limited->out->write(limited->out, bytes, len);
	for (size_t i = 0; i < len; i++)
		limited->lines += bytes[i] == '\n';
}

struct census {
	kmm_word by_kind[KMM_NR_KINDS];
};

static void count_block(void *arg, struct kmm_page *page, struct kmm_pfn pfn, kmm_word nr)
{
	struct census *census = arg;

	(void)pfn;
	census->by_kind[kmm_page_kind(page)] += nr;
}

/* The zones' counts by kind against the descriptors themselves. Free frames of sections that were never
 * materialised have no descriptors to count, so FREE may only be more in the zones. */
static unsigned audit_kinds(struct kmm *k, struct kmm_sink *out)
{
	struct census census = { { 0 } };
	unsigned bad = 0;

	kmm_phys_for_each(k, count_block, &census);
	for (unsigned kind = KMM_KIND_KERNEL; kind < KMM_NR_KINDS; kind++) {
		kmm_word sum = 0;
		struct kmm_zone_info zone;

		for (unsigned z = 0; z < KMM_NR_ZONES; z++)
			if (kmm_zone_info(k, (enum kmm_zone_id)z, &zone))
				sum += zone.kinds[kind];
		if (sum != census.by_kind[kind]) {
			kmm_printf(out, "audit: %llu frames are %s by their descriptors, %llu by the zones' counts\n",
				   (unsigned long long)census.by_kind[kind], kmm_kind_name((enum kmm_kind)kind),
				   (unsigned long long)sum);
			bad++;
		}
	}
	return bad;
}

unsigned kmm_audit(struct kmm *k, struct kmm_sink *out)
{
	struct limited limited = { { limited_write }, out, 0 };
	struct kmm_sink *sink = &limited.sink;
	unsigned bad = kmm_phys_audit(k, sink) + audit_kinds(k, sink);

	if (k->pt)
		bad += kmm_pt_audit(k, sink);
	if (k->slab)
		bad += kmm_slab_audit(k, sink);
	if (k->kva)
		bad += kmm_kva_audit(k, sink);
	if (k->vm)
		bad += kmm_vm_audit(k, sink);
	return bad;
}
