/* SPDX-License-Identifier: MIT */
/*
 * Opening the machine that is looked at, and finding what the user means.
 */
#include "target.h"

#include "command.h"
#include "kmm/pagetable.h"

void target_open(struct target *t, struct options *o)
{
	const char *error;

	t->command = o->command;
	o->config.strict = true;
	t->m = options_boot(o);
	t->k = hosted_kmm(t->m);
	error = demo_build(&t->demo, t->m);
	if (error)
		fail(o->command, EXIT_INPUT, "%s on a machine this small", error);
}

void target_close(struct target *t)
{
	demo_free(&t->demo);
	hosted_shutdown(t->m);
}

struct address target_address(const struct target *t, const char *text)
{
	const struct demo_item *item = demo_find(&t->demo, text);
	const struct kmm_layout *l = kmm_layout_of(t->k);
	uint64_t last = l->region[l->nr - 1].last;
	struct address a = { ADDRESS_VIRTUAL, 0 };

	if (item) {
		a.value = item->va;
		return a;
	}
	if (!parse_address(text, &a))
		fail(t->command, EXIT_INPUT, "'%s' is no address; write 0xc0001000, pfn:257, pa:0x101000, or a name of 'kmm explain --list'",
		     text);
	if (a.kind == ADDRESS_VIRTUAL && a.value > last)
		fail(t->command, EXIT_INPUT, "%s is beyond the last address of this machine, 0x%llx", text,
		     (unsigned long long)last);
	if (a.kind == ADDRESS_FRAME && a.value >> (64 - KMM_PAGE_SHIFT))
		fail(t->command, EXIT_INPUT, "%s is no frame number: 52 bits are the most", text);
	return a;
}

static uint64_t physical_of(const struct address *a)
{
	return a->kind == ADDRESS_FRAME ? a->value << KMM_PAGE_SHIFT : a->value;
}

bool target_virtual(const struct target *t, const struct address *a, uint64_t *va)
{
	const struct kmm_layout *l = kmm_layout_of(t->k);

	*va = a->value;
	if (a->kind == ADDRESS_VIRTUAL)
		return true;
	if (!kmm_pfn_is_ram(t->k, kmm_pfn(physical_of(a) >> KMM_PAGE_SHIFT)) || physical_of(a) >= l->lowmem_end)
		return false;
	*va = l->page_offset + physical_of(a);
	return true;
}

bool target_frame(const struct target *t, const struct address *a, struct kmm_pfn *pfn)
{
	struct kmm_walk walk;

	*pfn = kmm_pfn(physical_of(a) >> KMM_PAGE_SHIFT);
	if (a->kind != ADDRESS_VIRTUAL)
		return true;
	kmm_walk(t->k, demo_root(&t->demo, a->value), a->value, &walk);
	*pfn = kmm_paddr_to_pfn(walk.pa);
	return walk.mapped;
}
