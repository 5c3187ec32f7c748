/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine started up to tier b, for the tests of src/slab and src/kva: boot, audit of the tiers that
 * run, exact count of free frames, and catching what the core calls fatal.
 */
#ifndef KMM_TESTS_HARNESS_KERNEL_H
#define KMM_TESTS_HARNESS_KERNEL_H

#include <stdio.h>
#include <string.h>

#include "harness/formats.h"
#include "harness/test.h"
#include "hosted.h"
#include "kmm/observe.h"
#include "kva/kva.h"

struct tier_b {
	struct hosted_machine *m;
	struct kmm *k;
};

/* The log is kept; the rest of the configuration is the caller's. */
static inline void tier_b_start(struct tier_b *t, const struct hosted_config *config)
{
	struct hosted_config mine = *config;
	const char *why = "";

	mine.log = HOSTED_LOG_KEEP;
	if (mine.tier == HOSTED_SPACES)
		mine.tier = HOSTED_KERNEL;
	hosted_set_cpu(0);
	if (!kmm_test_ok((int)hosted_boot(&mine, &t->m, &why), why, __FILE__, __LINE__))
		return;
	t->k = hosted_kmm(t->m);
}

static inline void tier_b_stop(struct tier_b *t)
{
	hosted_shutdown(t->m);
	t->m = NULL;
	t->k = NULL;
}

/* Complaints of the layers that run. */
static inline unsigned tier_b_audit_into(struct kmm *k, struct kmm_sink *out)
{
	unsigned bad = kmm_phys_audit(k, out);

	if (k->pt)
		bad += kmm_pt_audit(k, out);
	if (k->slab)
		bad += kmm_slab_audit(k, out);
	if (k->kva)
		bad += kmm_kva_audit(k, out);
	return bad;
}

static inline void tier_b_audit(struct tier_b *t)
{
	struct hosted_text text;
	unsigned bad = tier_b_audit_into(t->k, hosted_text_init(&text));

	if (bad)
		printf("%s", text.text);
	hosted_text_free(&text);
	CHECK_EQ(bad, 0);
}

/* Complaints of the layers that are expected to complain; nothing is printed. */
static inline unsigned tier_b_complaints(struct tier_b *t)
{
	struct hosted_text text;
	unsigned bad = tier_b_audit_into(t->k, hosted_text_init(&text));

	hosted_text_free(&text);
	return bad;
}

/* Free frames when nothing is cached for reuse: comparable before and after. */
static inline kmm_word tier_b_free_pages(struct tier_b *t)
{
	kmm_vmalloc_purge(t->k);
	kmm_slab_shrink_all(t->k);
	kmm_phys_drain(t->k);
	return kmm_phys_free_pages(t->k);
}

/* fn(arg) makes a mistake that must not pass: fatal with assertions; without (KMM_DEBUG 0) the call is refused, and all is
 * as it was. */
static inline void tier_b_refuses(struct tier_b *t, void (*fn)(void *arg), void *arg, const char **what)
{
	bool fatal = hosted_catch_fatal(t->m, fn, arg, what);

	CHECK_EQ(fatal, KMM_DEBUG >= 1);
	if (!fatal)
		CALL(tier_b_audit(t));
}

/* Lines of the kept log that contain `text`. */
static inline unsigned tier_b_logged(const struct tier_b *t, const char *text)
{
	const char *at = hosted_log_text(t->m);
	unsigned nr = 0;

	while ((at = strstr(at, text))) {
		nr++;
		at += strcspn(at, "\n");
	}
	return nr;
}

#endif
