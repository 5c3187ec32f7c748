/* SPDX-License-Identifier: MIT */
/*
 * Zones as tables and JSON.
 */
#include "kmm/node.h"
#include "text.h"
#include "units.h"
#include "views.h"

#include <inttypes.h>
#include <string.h>

static uint64_t in_bytes(kmm_word pages)
{
	return (uint64_t)pages << KMM_PAGE_SHIFT;
}

const char *view_zone_name(struct kmm *k, enum kmm_zone_id zone)
{
	struct kmm_zone_info info;

	return kmm_zone_info(k, zone, &info) ? info.name : "none";
}

/* Number i of the zones of all nodes, by node. false: there is none; nodes but the first show those with memory. */
static bool zone_at(struct kmm *k, unsigned i, struct kmm_zone_info *out)
{
	unsigned node = i / KMM_NR_ZONES;

	return kmm_node_zone_info(k, node, (enum kmm_zone_id)(i % KMM_NR_ZONES), out) && (node == 0 || out->present);
}

static unsigned nr_zones(struct kmm *k)
{
	return kmm_nr_nodes(k) * KMM_NR_ZONES;
}

/* "Normal", or "1 Normal" on a machine of several nodes. */
static void add_name(struct kmm *k, struct table *t, unsigned i, const struct kmm_zone_info *info)
{
	if (kmm_nr_nodes(k) > 1)
		table_add(t, "%u %s", i / KMM_NR_ZONES, info->name);
	else
		table_add(t, "%s", info->name);
}

void view_zones(struct kmm *k)
{
	struct table t;
	char start[SIZE_TEXT], mib[SIZE_TEXT], free_mib[SIZE_TEXT];

	table_start(&t, "<zone|>start pfn|>spanned|>present|>managed|>free|>managed MiB|>free MiB");
	for (unsigned z = 0; z < nr_zones(k); z++) {
		struct kmm_zone_info i;

		if (!zone_at(k, z, &i))
			continue;
		add_name(k, &t, z, &i);
		table_add(&t, "%s", i.spanned ? hex_text(start, i.start.v, 1) : "-");
		table_add(&t, "%" PRIu64, (uint64_t)i.spanned);
		table_add(&t, "%" PRIu64, (uint64_t)i.present);
		table_add(&t, "%" PRIu64, (uint64_t)i.managed);
		table_add(&t, "%" PRIu64, (uint64_t)i.free);
		table_add(&t, "%s", mib_text(mib, in_bytes(i.managed)));
		table_add(&t, "%s", mib_text(free_mib, in_bytes(i.free)));
	}
	table_print(&t, 2, stdout);
}

/* Zones of this machine, for the columns of protections. */
static void add_protections(struct kmm *k, struct table *t, const struct kmm_zone_info *info)
{
	struct kmm_zone_info other;

	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(k, (enum kmm_zone_id)z, &other))
			table_add(t, "%" PRIu64, (uint64_t)info->protection[z]);
}

static void watermark_columns(struct kmm *k, char *spec, size_t size)
{
	struct kmm_zone_info info;
	size_t len = (size_t)snprintf(spec, size, "<zone|>min|>low|>high");

	for (unsigned z = 0; z < KMM_NR_ZONES; z++)
		if (kmm_zone_info(k, (enum kmm_zone_id)z, &info) && len < size)
			len += (size_t)snprintf(spec + len, size - len, "|>against %s", info.name);
}

void view_watermarks(struct kmm *k)
{
	struct table t;
	char spec[160];

	watermark_columns(k, spec, sizeof(spec));
	table_start(&t, spec);
	for (unsigned z = 0; z < nr_zones(k); z++) {
		struct kmm_zone_info i;

		if (!zone_at(k, z, &i))
			continue;
		add_name(k, &t, z, &i);
		table_add(&t, "%" PRIu64, (uint64_t)i.min);
		table_add(&t, "%" PRIu64, (uint64_t)i.low);
		table_add(&t, "%" PRIu64, (uint64_t)i.high);
		add_protections(k, &t, &i);
	}
	table_print(&t, 2, stdout);
}

static void block_columns(char *spec, size_t size)
{
	char text[SIZE_TEXT];
	size_t len = (size_t)snprintf(spec, size, "<zone");

	for (unsigned order = 0; order < KMM_NR_ORDERS && len < size; order++) {
		size_text(text, (uint64_t)KMM_PAGE_SIZE << order);
		*strchr(text, ' ') = text[strlen(text) - 3]; /* "64 KiB" -> "64K" */
		*(strpbrk(text, "KMG") + 1) = '\0';
		len += (size_t)snprintf(spec + len, size - len, "|>%s", text);
	}
}

void view_free_blocks(struct kmm *k)
{
	struct table t;
	char spec[160];

	block_columns(spec, sizeof(spec));
	table_start(&t, spec);
	for (unsigned z = 0; z < nr_zones(k); z++) {
		struct kmm_zone_info i;

		if (!zone_at(k, z, &i))
			continue;
		add_name(k, &t, z, &i);
		for (unsigned order = 0; order < KMM_NR_ORDERS; order++)
			table_add(&t, "%" PRIu64, (uint64_t)i.nr_free[order]);
	}
	table_print(&t, 2, stdout);
}

static json_t *counts(const kmm_word *values, unsigned nr)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < nr; i++)
		json_array_append_new(array, json_count(values[i]));
	return array;
}

static json_t *kinds(const struct kmm_zone_info *info)
{
	json_t *object = json_object();

	for (unsigned i = 0; i < KMM_NR_KINDS; i++)
		if (info->kinds[i])
			json_object_set_new(object, kmm_kind_name((enum kmm_kind)i), json_count(info->kinds[i]));
	return object;
}

json_t *view_zones_json(struct kmm *k)
{
	json_t *array = json_array();

	for (unsigned z = 0; z < nr_zones(k); z++) {
		struct kmm_zone_info i;

		if (!zone_at(k, z, &i))
			continue;
		json_array_append_new(array, json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "node",
			(int)(z / KMM_NR_ZONES), "name", i.name, "start", json_address(in_bytes(i.start.v)), "spanned_pages", json_count(i.spanned),
			"present_pages", json_count(i.present), "managed_pages", json_count(i.managed),
			"free_pages", json_count(i.free), "min", json_count(i.min), "low", json_count(i.low),
			"high", json_count(i.high), "protection", counts(i.protection, KMM_NR_ZONES),
			"free_blocks", counts(i.nr_free, KMM_NR_ORDERS), "kinds", kinds(&i)));
	}
	return array;
}
