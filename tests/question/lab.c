/* SPDX-License-Identifier: MIT */
/*
 * The bench of the questions; see lab.h. Everything goes through the hosted port's interface, so what a
 * test sees of the simulated hardware is what the port's own MMU and bus say.
 */
#include "lab.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ---- */

static void keep(struct kmm_sink *sink, const char *bytes, size_t len)
{
	struct lab_text *text = (struct lab_text *)sink;
	size_t room = sizeof(text->bytes) - 1 - text->len;

	if (len > room) {
		text->cut = true;
		len = room;
	}
	memcpy(text->bytes + text->len, bytes, len);
	text->len += len;
	text->bytes[text->len] = 0;
}

struct kmm_sink *lab_text_start(struct lab_text *text)
{
	text->sink.write = keep;
	text->len = 0;
	text->cut = false;
	text->bytes[0] = 0;
	return &text->sink;
}

bool lab_text_has(const struct lab_text *text, const char *part)
{
	return strstr(text->bytes, part) != NULL;
}

static bool has_word(const char *text, const char *word)
{
	const char *at = text;
	size_t len = strlen(word);

	for (; (at = strstr(at, word)) != NULL; at++)
		if ((at == text || !isxdigit((unsigned char)at[-1])) && !isxdigit((unsigned char)at[len]))
			return true;
	return false;
}

bool lab_text_has_number(const struct lab_text *text, uint64_t number)
{
	static const char *const spelling[] = { "%llu", "%llx", "%08llx" };
	char word[32];
	unsigned i;

	for (i = 0; i < 3; i++) {
		snprintf(word, sizeof(word), spelling[i], (unsigned long long)number);
		if (has_word(text->bytes, word))
			return true;
	}
	return false;
}

/* ---- machine ---- */

bool lab_open(struct lab *lab, enum kmm_format_id format, uint64_t ram)
{
	struct hosted_config config = { .machine = { .format = format }, .ram_bytes = ram };

	config.strict = format == KMM_I386 || format == KMM_I386_PAE;
	return lab_open_as(lab, &config);
}

bool lab_open_as(struct lab *lab, const struct hosted_config *given)
{
	struct hosted_config config = *given;
	const char *why = NULL;

	lab->map[0] = (struct kmm_memrange){ .size = 640 * KIB, .type = KMM_MEM_RAM };
	lab->map[1] = (struct kmm_memrange){ .start = MIB, .size = config.ram_bytes - MIB, .type = KMM_MEM_RAM };
	if (!config.machine.map) {
		config.machine.map = lab->map;
		config.machine.nr_map = 2;
	}
	config.ram_bytes = 0;
	config.log = HOSTED_LOG_KEEP;
	if (hosted_boot(&config, &lab->hosted, &why)) {
		printf("  no machine: %s\n", why ? why : "(no reason given)");
		return false;
	}
	lab->k = hosted_kmm(lab->hosted);
	lab->machine = *kmm_machine_of(lab->k);
	lab->layout = *kmm_layout_of(lab->k);
	return true;
}

void lab_close(struct lab *lab)
{
	hosted_shutdown(lab->hosted);
	lab->hosted = NULL;
	lab->k = NULL;
}

/* ---- accesses ---- */

struct hosted_result lab_read(struct lab *lab, struct kmm_mm *mm, uint64_t va, uint8_t *value)
{
	return hosted_read_user(lab->hosted, mm, va, value, 1);
}

struct hosted_result lab_write(struct lab *lab, struct kmm_mm *mm, uint64_t va, uint8_t value)
{
	return hosted_write_user(lab->hosted, mm, va, &value, 1);
}

bool lab_can_read(struct lab *lab, struct kmm_mm *mm, uint64_t va)
{
	uint8_t byte;

	return lab_read(lab, mm, va, &byte).ok;
}

bool lab_can_write(struct lab *lab, struct kmm_mm *mm, uint64_t va)
{
	return lab_write(lab, mm, va, 1).ok;
}

uint8_t *lab_phys(struct lab *lab, uint64_t pa)
{
	return hosted_phys(lab->hosted, pa);
}

/* ---- memory ---- */

enum kmm_zone_id lab_zone_of(struct lab *lab, struct kmm_page *page)
{
	struct kmm_page_info info;

	kmm_page_info(lab->k, page, &info);
	return info.zone;
}

enum kmm_kind lab_kind_of(struct lab *lab, struct kmm_page *page)
{
	struct kmm_page_info info;

	kmm_page_info(lab->k, page, &info);
	return info.kind;
}

kmm_word lab_free_in(struct lab *lab, enum kmm_zone_id zone)
{
	struct kmm_zone_info info;

	return kmm_zone_info(lab->k, zone, &info) ? info.free : 0;
}

kmm_word lab_exhaust(struct lab *lab, kmm_gfp gfp)
{
	kmm_word taken = 0;
	unsigned order = KMM_NR_ORDERS;

	while (order-- > 0)
		while (kmm_alloc_pages(lab->k, gfp | KMM_GFP_NOWARN, order))
			taken += (kmm_word)1 << order;
	return taken;
}

kmm_word lab_fragment(struct lab *lab)
{
	struct kmm_page *page;
	kmm_word pfn, given_back = 0, end = (kmm_word)(lab->layout.lowmem_end / PAGE);
	bool *ours = calloc(end, sizeof(*ours)); /* the library's own pages look the same */

	if (!ours)
		return 0;
	while ((page = kmm_alloc_pages(lab->k, KMM_GFP_KERNEL | KMM_GFP_MEMALLOC | KMM_GFP_NOWARN, 0)) != NULL)
		ours[kmm_page_to_pfn(lab->k, page).v] = true;
	for (pfn = 1; pfn < end; pfn += 2) {
		if (!ours[pfn])
			continue;
		kmm_free_pages(lab->k, kmm_pfn_to_page(lab->k, kmm_pfn(pfn)), 0);
		given_back++;
	}
	free(ours);
	return given_back;
}

const struct kmm_region *lab_region(const struct lab *lab, enum kmm_region_id id)
{
	return lab_layout_region(&lab->layout, id);
}

uint64_t lab_va(struct lab *lab, const void *ptr)
{
	return kmm_ptr_to_kva(lab->k, ptr).v;
}

uint64_t lab_descriptor_va(struct lab *lab, const struct kmm_page *page)
{
	struct kmm_memory_stats stats;

	if (lab->layout.vmemmap_start == lab->layout.vmemmap_end)
		return lab_va(lab, page);
	kmm_memory_stats(lab->k, &stats);
	return lab->layout.vmemmap_start + (uint64_t)kmm_page_to_pfn(lab->k, page).v * stats.page_size_bytes;
}

uint64_t lab_map(struct kmm_mm *mm, uint64_t len)
{
	struct kmm_uva va;

	if (kmm_mmap(mm, kmm_uva(0), len, KMM_PROT_READ | KMM_PROT_WRITE, KMM_MAP_PRIVATE | KMM_MAP_ANONYMOUS, NULL, 0,
		     &va))
		return 0;
	return va.v;
}

uint64_t lab_user_pa(struct lab *lab, struct kmm_mm *mm, uint64_t va)
{
	uint64_t pa;

	return softmmu_probe(hosted_mmu(lab->hosted, hosted_cpu()), kmm_mm_root(mm).v, va, &pa, NULL) ? pa : 0;
}

static enum kmm_status fill_by_index(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, (int)(index + 1), PAGE);
	return KMM_OK;
}

static void forget_file(struct kmm_file *file)
{
	kmm_kfree(file->backing.k, file);
}

struct kmm_file *lab_file(struct lab *lab, uint64_t size, const char *name)
{
	struct kmm_file *file = kmm_kzalloc(lab->k, sizeof(*file), KMM_GFP_KERNEL);

	if (!file)
		return NULL;
	kmm_file_init(file, lab->k, size, name);
	file->fill = fill_by_index;
	file->destroy = forget_file;
	return file;
}

/* ---- layouts ---- */

bool lab_derive(enum kmm_format_id format, uint64_t ram, struct kmm_layout *layout)
{
	struct kmm_machine machine = { .format = format };

	return !kmm_machine_defaults(&machine, NULL) && !kmm_layout_derive(&machine, ram, layout, NULL);
}

const struct kmm_region *lab_layout_region(const struct kmm_layout *layout, enum kmm_region_id id)
{
	unsigned i;

	for (i = 0; i < layout->nr; i++)
		if (layout->region[i].id == id)
			return &layout->region[i];
	return NULL;
}

/* ---- trace ---- */

static void record(void *arg, const struct kmm_trace_event *event)
{
	struct lab_trace *trace = arg;

	if (trace->nr == sizeof(trace->event) / sizeof(trace->event[0]))
		trace->lost++;
	else
		trace->event[trace->nr++] = *event;
}

void lab_trace_start(struct lab *lab, struct lab_trace *trace)
{
	trace->nr = trace->lost = 0;
	kmm_set_trace(lab->k, record, trace);
}

void lab_trace_stop(struct lab *lab)
{
	kmm_set_trace(lab->k, NULL, NULL);
}

unsigned lab_trace_find(const struct lab_trace *trace, enum kmm_event id, unsigned from)
{
	for (; from < trace->nr; from++)
		if (trace->event[from].id == id)
			break;
	return from;
}
