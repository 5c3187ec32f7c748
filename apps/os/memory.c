/* SPDX-License-Identifier: MIT */
/*
 * memory.c - starts the library on this machine: describe it, start the frames with paging still off (the port's
 * segments make kernel addresses work), start the kernel tables, turn paging on, start user spaces.
 */
#include "kmm/layout.h"
#include "kmm/pagetable.h"
#include "start.h"

enum { STATE_SIZE = 256 << 10, MAX_RESERVED = 8, RAMDISK_REACH = 768 << 20 /* surely low memory on 32-bit machines */ };

struct os os;
static _Alignas(64) char kmm_state[STATE_SIZE];

static void describe_map(struct kmm_machine *m)
{
	static struct kmm_memrange map[X86_MAX_MEMMAP];
	const struct x86_mem_range *ranges;
	uint32_t n = x86_memmap(&ranges);

	for (uint32_t i = 0; i < n; i++)
		map[i] = (struct kmm_memrange){ ranges[i].base, ranges[i].size, ranges[i].type, "firmware" };
	m->map = map;
	m->nr_map = n;
}

/* The top of the RAM below 4 GiB, which a direct map reaches as long as it is no larger than low memory. */
static struct kmm_memrange ramdisk_range(const struct kmm_machine *m)
{
	uint64_t size = (uint64_t)os.options.ramdisk_mib << 20, best = 0;

	for (unsigned i = 0; i < m->nr_map; i++) {
		uint64_t end = m->map[i].start + m->map[i].size;

		if (m->map[i].type == KMM_MEM_RAM && m->map[i].size > size && end <= (uint64_t)1 << 32 && end > best)
			best = end;
	}
	best &= ~(uint64_t)(KMM_PAGE_SIZE - 1);
	if (!size || !best || (sizeof(uword) == 4 && best > RAMDISK_REACH))
		return (struct kmm_memrange){ .size = 0 };
	return (struct kmm_memrange){ best - size, size, KMM_MEM_RAM, "ram disk" };
}

/* The port names them by position: BIOS data, the kernel image, then the modules. */
static void describe_reserved(struct kmm_machine *m)
{
	static struct kmm_memrange reserve[MAX_RESERVED + 1];
	struct x86_mem_range ranges[MAX_RESERVED];
	uint32_t n = x86_reserved(ranges, MAX_RESERVED);

	for (uint32_t i = 0; i < n && i < MAX_RESERVED; i++)
		reserve[i] = (struct kmm_memrange){ ranges[i].base, ranges[i].size, KMM_MEM_RAM,
						    i == 0 ? "bios data" : i == 1 ? "kernel image" : "initrd" };
	n = n < MAX_RESERVED ? n : MAX_RESERVED;
	reserve[n] = os.ramdisk = ramdisk_range(m);
	m->reserve = reserve;
	m->nr_reserve = n + (reserve[n].size != 0);
}

/* Where the core will want the direct map, which must be there before the core looks at memory. */
static void place_direct_map(const struct kmm_machine *m)
{
	struct kmm_layout layout;
	const char *why = "";
	uint64_t end = 0;

	for (unsigned i = 0; i < m->nr_map; i++)
		if (m->map[i].type == KMM_MEM_RAM && m->map[i].start + m->map[i].size > end)
			end = m->map[i].start + m->map[i].size;
	if (kmm_layout_derive(m, end, &layout, &why) != KMM_OK)
		os_leave(OS_EXIT_INPUT, why);
	x86_direct_map_move((uword)layout.page_offset);
}

static void start_frames(void)
{
	struct kmm_machine m = { .format = KMM_PIN_FORMAT.id, .no_nx = !x86_cpu_info.nx, .nr_cpus = x86_nr_cpus,
				 .phys_bits = x86_cpu_info.phys_bits < KMM_PIN_FORMAT.max_phys_bits ? x86_cpu_info.phys_bits
										    : KMM_PIN_FORMAT.max_phys_bits,
				 .seed = os.options.has_kaslr ? os.options.kaslr : os.options.seed,
				 .randomise = os.options.has_kaslr,
				 .image_va = (uword)x86_image_start,
				 .image_pa = x86_image_pa(x86_image_start),
				 .image_size = (uint32_t)(x86_image_end - x86_image_start) };
	const char *why = "";

	if (kmm_state_size() > STATE_SIZE)
		x86_panic("the library's state is %u bytes, %u are set aside", (unsigned)kmm_state_size(), STATE_SIZE);
	m.image_text = (uint64_t)(x86_rodata_start - x86_image_start);
	m.image_rodata = (uint64_t)(x86_data_start - x86_rodata_start);
	describe_map(&m);
	describe_reserved(&m);
	if (kmm_machine_defaults(&m, &why) != KMM_OK)
		os_leave(OS_EXIT_INPUT, why);
	place_direct_map(&m);
	os.port = x86_port_init();
	os.port->log = klog_core;
	os.port->wait = port_wait;
	os.port->wake = port_wake;
	os.port->owner_id = port_owner_id;
	if (kmm_init_frames(kmm_state, &m, os.port, &os.k, &why) != KMM_OK)
		os_leave(OS_EXIT_INPUT, why);
	if (kmm_layout_of(os.k)->page_offset != (uword)os.port->direct_map)
		x86_panic("the direct map is at %p, and the core has it elsewhere", os.port->direct_map);
}

static void log_memory(void)
{
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	klog("%s, %u MiB of RAM, %u MiB of it high", kmm_format_name(KMM_PIN_FORMAT.id),
	     (unsigned)(m.ram_pages >> (20 - KMM_PAGE_SHIFT)), (unsigned)(m.total_high >> (20 - KMM_PAGE_SHIFT)));
	if (m.unreachable_pages)
		klog("%u MiB of RAM lie beyond what this page table format can address and stay unused",
		     (unsigned)(m.unreachable_pages >> (20 - KMM_PAGE_SHIFT)));
}

void memory_start(void)
{
	start_frames();
	if (kmm_init_kernel(os.k) != KMM_OK)
		os_leave(OS_EXIT_INPUT, "the kernel's page tables do not fit into memory");
	os.kernel_root = kmm_kernel_root(os.k);
	x86_paging_enable(os.kernel_root.v);
	if (kmm_init_spaces(os.k) != KMM_OK)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for user spaces");
	log_memory();
}
