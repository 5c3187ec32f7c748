/* SPDX-License-Identifier: MIT */
/*
 * Page poison: a frame is filled with one byte when it is freed and must still hold it when it is handed out again. What
 * does not was written by who had no right to, and the log says where, what, and who had the frame last.
 *
 * High frames are filled and compared through a window that kva lends; before that layer runs they are left out.
 * The frame is handed out all the same: its new owner overwrites the evidence, so the log must hold it.
 */
#include "base/mem.h"
#include "base/printf.h"
#include "phys/owner.h"
#include "phys/phys.h"

#define POISON_WORD (~(unsigned long)0 / 255 * KMM_PAGE_POISON_BYTE)
#define SHOWN 8 /* bytes that the log line shows */

struct view {
	unsigned char *at;
	bool window;
	unsigned long irq;
};

/* Interrupts stay off while a window is open: it belongs to this CPU. false: no way to reach it. */
static bool open_view(struct kmm *k, struct kmm_page *page, struct view *v)
{
	struct kmm_phys *p = k->phys;

	*v = (struct view){ .window = kmm_page_is_high(page) };
	if (v->window && !p->high_view)
		return false;
	v->irq = kmm_irq_save(k);
	v->at = v->window ? p->high_view(k, page) : kmm_page_lowmem_ptr(k, page);
	KMM_ASSERT(k, ((uintptr_t)v->at & (KMM_PAGE_SIZE - 1)) == 0);
	return true;
}

static void close_view(struct kmm *k, const struct view *v)
{
	if (v->window)
		k->phys->high_unview(k, v->at);
	kmm_irq_restore(k, v->irq);
}

bool kmm_poison_fill(struct kmm *k, struct kmm_page *page)
{
	struct view v;

	if (!open_view(k, page, &v))
		return false;
	memset(v.at, KMM_PAGE_POISON_BYTE, KMM_PAGE_SIZE);
	close_view(k, &v);
	return true;
}

/* Offset of the first byte that is not poison; KMM_PAGE_SIZE: all are. */
static unsigned first_bad(const unsigned char *at)
{
	unsigned i = 0;

	while (i < KMM_PAGE_SIZE && *(const unsigned long *)(const void *)(at + i) == POISON_WORD)
		i += sizeof(unsigned long);
	while (i < KMM_PAGE_SIZE && at[i] == KMM_PAGE_POISON_BYTE)
		i++;
	return i;
}

struct damage {
	unsigned first, last, nr;   /* offsets and number of bytes that differ */
	unsigned char found[SHOWN]; /* from the first one on */
	unsigned shown;
};

static void measure(const unsigned char *at, unsigned first, struct damage *out)
{
	*out = (struct damage){ .first = first };
	for (unsigned i = first; i < KMM_PAGE_SIZE; i++) {
		if (at[i] == KMM_PAGE_POISON_BYTE)
			continue;
		out->last = i;
		out->nr++;
	}
	while (out->shown < SHOWN && first + out->shown <= out->last) {
		out->found[out->shown] = at[first + out->shown];
		out->shown++;
	}
}

static bool is_single_bit(const struct damage *d)
{
	unsigned change = d->found[0] ^ KMM_PAGE_POISON_BYTE;

	return d->nr == 1 && (change & (change - 1)) == 0;
}

static void describe_found(const struct damage *d, char *text, size_t size)
{
	struct kmm_buffer_sink out;

	kmm_buffer_sink_init(&out, text, size);
	for (unsigned i = 0; i < d->shown; i++)
		kmm_printf(&out.sink, "%s%02x", i ? " " : "", d->found[i]);
}

static void tell(struct kmm *k, struct kmm_page *page, const struct kmm_frame_note *note, const struct damage *d)
{
	const struct kmm_page_debug *debug = k->page_debug;
	kmm_word pfn = kmm_pfn_of(k->phys, page);
	char found[SHOWN * 3 + 1];

	describe_found(d, found, sizeof(found));
	kmm_warn(k, "page poison: %s in free frame 0x%llx: at physical 0x%llx (offset 0x%x) expected %02x, found %s; %u byte%s differ "
		 "up to offset 0x%x", is_single_bit(d) ? "single bit error" : "memory corruption", (unsigned long long)pfn,
		 ((unsigned long long)pfn << KMM_PAGE_SHIFT) + d->first, d->first, KMM_PAGE_POISON_BYTE, found, d->nr,
		 d->nr == 1 ? "" : "s", d->last);
	kmm_warn(k, "page poison: frame 0x%llx was allocated for %s (caller 0x%llx, id %u, order %u), freed as %s (caller 0x%llx, id %u)",
		 (unsigned long long)pfn, kmm_note_label(debug, note->alloc_site),
		 (unsigned long long)debug->site[note->alloc_site].caller, note->alloc_id, (unsigned)note->order,
		 kmm_note_label(debug, note->free_site), (unsigned long long)debug->site[note->free_site].caller, note->free_id);
}

void kmm_poison_check(struct kmm *k, struct kmm_page *page, const struct kmm_frame_note *note)
{
	struct kmm_page_debug *debug = k->page_debug;
	struct damage d = { .nr = 0 };
	unsigned first;
	struct view v;
	unsigned long irq;

	if (!open_view(k, page, &v))
		return;
	first = first_bad(v.at);
	if (first < KMM_PAGE_SIZE)
		measure(v.at, first, &d);
	close_view(k, &v);
	irq = kmm_spin_lock(k, &debug->lock, KMM_LOCK_ZONE);
	debug->checked++;
	debug->corrupt += d.nr != 0;
	kmm_spin_unlock(k, &debug->lock, KMM_LOCK_ZONE, irq);
	if (d.nr)
		tell(k, page, note, &d);
}

void kmm_high_view_register(struct kmm *k, void *(*view)(struct kmm *k, struct kmm_page *page),
			    void (*unview)(struct kmm *k, const void *at))
{
	k->phys->high_view = view;
	k->phys->high_unview = unview;
}
