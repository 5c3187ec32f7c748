/* SPDX-License-Identifier: MIT */
/*
 * All three tiers on the template port: a user space is made, mapped, written, forked and looked at. The page
 * tables that result are those an x86-64 processor would run on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmm/kmm.h"
#include "kmm/mm.h"
#include "kmm/observe.h"
#include "port.h"

enum { RAM = 64 << 20 };

static void print(const char *line)
{
	puts(line);
}

static void check(enum kmm_status status, const char *what)
{
	if (status) {
		fprintf(stderr, "spaces: %s: %s\n", what, kmm_status_name(status));
		exit(1);
	}
}

static struct kmm *start(struct template_port *port, void *state)
{
	const struct kmm_memrange map[] = { { 0, RAM, KMM_MEM_RAM, NULL } };
	struct kmm_machine machine = { .format = KMM_X86_64, .map = map, .nr_map = 1 };
	const char *why = "";
	struct kmm *k;

	check(kmm_machine_defaults(&machine, &why), why);
	check(kmm_init(state, &machine, &port->port, &k, &why), why);
	return k;
}

/* What a page-fault handler does, for one address. */
static void touch(struct kmm_mm *mm, struct kmm_uva at, enum kmm_access access)
{
	struct kmm_fault_info fault = { .addr = at, .access = access };

	if (kmm_handle_fault(mm, &fault) != KMM_FAULT_OK)
		printf("0x%llx: a signal\n", (unsigned long long)at.v);
}

/* Where the page tables of a space lead. */
static unsigned long long frame_of(struct kmm *k, struct kmm_mm *mm, struct kmm_uva at)
{
	struct kmm_walk walk;

	kmm_walk(k, kmm_mm_root(mm), at.v, &walk);
	return walk.mapped ? walk.pa.v >> KMM_PAGE_SHIFT : 0;
}

static void show(struct kmm *k)
{
	struct kmm_mm *parent, *child;
	struct kmm_uva at;
	char text[16];

	check(kmm_mm_create(k, &parent), "space");
	check(kmm_mmap(parent, kmm_uva(0), 1 << 20, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL,
		       0, &at), "mmap");
	touch(parent, at, KMM_WRITE);
	touch(parent, kmm_uva(0), KMM_READ);
	check(kmm_copy_out(parent, at, "before the fork", 16, NULL), "copy");
	check(kmm_mm_fork(parent, &child), "fork");
	printf("after the fork both use frame 0x%llx = 0x%llx\n", frame_of(k, parent, at), frame_of(k, child, at));
	check(kmm_copy_out(child, at, "child's own now", 16, NULL), "copy");
	check(kmm_copy_in(parent, text, at, 16, NULL), "copy");
	printf("after a write frames 0x%llx and 0x%llx; the parent still reads \"%s\"\n", frame_of(k, parent, at),
	       frame_of(k, child, at), text);
	kmm_mm_put(child);
	kmm_mm_put(parent);
}

int main(void)
{
	struct template_port port;
	void *ram = aligned_alloc(KMM_PAGE_SIZE, RAM), *state = aligned_alloc(64, (kmm_state_size() + 63) & ~(size_t)63);
	unsigned violations;
	struct kmm *k;

	if (!ram || !state)
		return 1;
	template_port_init(&port, ram, print, abort);
	k = start(&port, state);
	show(k);
	violations = kmm_audit(k, NULL);
	printf("audit: %u violations; %llu TLB flushes asked for\n", violations, (unsigned long long)port.flushes);
	free(state);
	free(ram);
	return violations != 0;
}
