/* SPDX-License-Identifier: MIT */
/*
 * The picture of `kmm layout --draw`: virtual addresses on the left, RAM on the right, and what the direct map
 * connects. Heights are in classes, not to scale; sizes are written into the boxes.
 */
#include "text.h"
#include "units.h"
#include "views.h"

#include <string.h>

enum { MAX_ROWS = 160, LEFT_INNER = 32, RIGHT_INNER = 34, BOX_TEXT = 48, ROW_TEXT = 96 };

struct picture {
	char left[MAX_ROWS][ROW_TEXT], right[MAX_ROWS][BOX_TEXT];
	unsigned rows;
	unsigned direct_row, direct_rows; /* content rows of the direct map */
};

static unsigned height_of(uint64_t bytes, bool wide)
{
	uint64_t unit = wide ? UINT64_C(1) << 40 : UINT64_C(16) << 20;

	if (bytes < unit)
		return 1;
	return bytes < 16 * unit ? 2 : 4;
}

static void draw_edge(char row[BOX_TEXT], unsigned inner)
{
	row[0] = '+';
	memset(row + 1, '-', inner);
	strcpy(row + 1 + inner, "+");
}

static void draw_inside(char row[BOX_TEXT], unsigned inner, const char *name, const char *size)
{
	int gap = (int)inner - 2 - (int)strlen(name) - (int)strlen(size);

	snprintf(row, BOX_TEXT, "| %s%*s%s |", name, gap > 0 ? gap : 0, "", size);
}

static void draw_region(struct picture *p, const struct kmm_region *r, bool wide)
{
	unsigned rows = height_of(r->last - r->start + 1, wide), digits = wide ? 16 : 8;
	char size[SIZE_TEXT], at[SIZE_TEXT], edge[BOX_TEXT];

	if (r->id == KMM_REGION_DIRECT) {
		p->direct_row = p->rows;
		p->direct_rows = rows = 4;
	}
	size_text(size, r->last - r->start + 1);
	for (unsigned i = 0; i < rows; i++) {
		char inside[BOX_TEXT];

		draw_inside(inside, LEFT_INNER, i ? "" : kmm_region_name(r->id), i ? "" : size);
		snprintf(p->left[p->rows++], ROW_TEXT, "%*s %s", (int)digits, "", inside);
	}
	draw_edge(edge, LEFT_INNER);
	snprintf(p->left[p->rows++], ROW_TEXT, "%s %s", hex_text(at, r->start, digits) + 2, edge);
}

static void draw_left(struct picture *p, const struct kmm_machine *machine, const struct kmm_layout *layout)
{
	bool wide = machine->format >= KMM_X86_64;
	char edge[BOX_TEXT], at[SIZE_TEXT];

	draw_edge(edge, LEFT_INNER);
	snprintf(p->left[p->rows++], ROW_TEXT, "%s %s",
		 hex_text(at, layout->region[layout->nr - 1].last, view_digits(machine->format)) + 2, edge);
	for (unsigned i = layout->nr; i--;)
		draw_region(p, &layout->region[i], wide);
}

/* Low memory beside the direct map; high memory in a box above it. */
static void draw_right(struct picture *p, const struct kmm_layout *layout, uint64_t ram_end)
{
	unsigned top = p->direct_row - 1, bottom = p->direct_row + p->direct_rows;
	uint64_t high = ram_end - layout->lowmem_end;
	char size[SIZE_TEXT];

	draw_edge(p->right[top], RIGHT_INNER);
	draw_edge(p->right[bottom], RIGHT_INNER);
	for (unsigned i = top + 1; i < bottom; i++)
		draw_inside(p->right[i], RIGHT_INNER, "", "");
	draw_inside(p->right[top + 1], RIGHT_INNER, high ? "low memory" : "all RAM", size_text(size, layout->lowmem_end));
	draw_inside(p->right[top + 2], RIGHT_INNER, "each byte at one fixed address", "");
	if (!high || top < 4)
		return;
	draw_edge(p->right[top - 4], RIGHT_INNER);
	draw_inside(p->right[top - 3], RIGHT_INNER, "high memory", size_text(size, high));
	draw_inside(p->right[top - 2], RIGHT_INNER, "no address of its own: seen by", "");
	draw_inside(p->right[top - 1], RIGHT_INNER, "kmap, vmalloc and user mappings", "");
}

void view_draw(const struct kmm_machine *machine, const struct kmm_layout *layout, uint64_t ram_end)
{
	struct picture p = { .rows = 0 };
	unsigned digits = view_digits(machine->format);

	draw_left(&p, machine, layout);
	draw_right(&p, layout, ram_end);
	printf("  %s%*s %-*s        %s%s\n", text_style(TEXT_DIM), (int)digits, "", LEFT_INNER + 2, "virtual addresses",
	       "physical memory", text_style(TEXT_PLAIN));
	for (unsigned i = 0; i < p.rows; i++) {
		bool joined = i >= p.direct_row && i < p.direct_row + p.direct_rows;

		if (p.right[i][0])
			printf("  %s %s %s\n", p.left[i], joined ? " <==> " : "      ", p.right[i]);
		else
			printf("  %s\n", p.left[i]);
	}
	printf("  Heights are not to scale. RAM counts from address 0 to its end, holes included.\n");
}
