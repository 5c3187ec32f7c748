/* SPDX-License-Identifier: MIT */
/*
 * main.c - from the loader to the first program.
 *
 * The order is the library's: describe the machine, start the frames with paging still off (the port's segments make
 * kernel addresses work), start the kernel tables, turn paging on, start user spaces. Then files, processes and the
 * first program. Whatever the outside got wrong on the way ends with one sentence and exit status 3.
 */
#include "bench.h"
#include "kmm/pagetable.h"
#include "sig/sig.h"
#include "start.h"

enum { STATE_SIZE = 256 << 10, MAX_RESERVED = 8 };

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

/* The port names them by position: BIOS data, the kernel image, then the modules. */
static void describe_reserved(struct kmm_machine *m)
{
	static struct kmm_memrange reserve[MAX_RESERVED];
	struct x86_mem_range ranges[MAX_RESERVED];
	uint32_t n = x86_reserved(ranges, MAX_RESERVED);

	for (uint32_t i = 0; i < n && i < MAX_RESERVED; i++)
		reserve[i] = (struct kmm_memrange){ ranges[i].base, ranges[i].size, KMM_MEM_RAM,
						    i == 0 ? "bios data" : i == 1 ? "kernel image" : "initrd" };
	m->reserve = reserve;
	m->nr_reserve = n < MAX_RESERVED ? n : MAX_RESERVED;
}

static void start_frames(void)
{
	struct kmm_machine m = { .format = KMM_PIN_FORMAT.id, .no_nx = !x86_cpu_info.nx, .nr_cpus = 1,
				 .seed = os.options.seed,
				 .image_va = (uint32_t)x86_image_start,
				 .image_pa = (uint32_t)x86_image_start - X86_PAGE_OFFSET,
				 .image_size = (uint32_t)(x86_image_end - x86_image_start) };
	const char *why = "";

	if (kmm_state_size() > STATE_SIZE)
		x86_panic("the library's state is %u bytes, %u are set aside", kmm_state_size(), STATE_SIZE);
	describe_map(&m);
	describe_reserved(&m);
	os.port = x86_port_init();
	os.port->log = klog_core;
	os.port->wait = port_wait;
	os.port->wake = port_wake;
	if (kmm_machine_defaults(&m, &why) != KMM_OK ||
	    kmm_init_frames(kmm_state, &m, os.port, &os.k, &why) != KMM_OK)
		os_leave(OS_EXIT_INPUT, why);
}

static void start_memory(void)
{
	start_frames();
	if (kmm_init_kernel(os.k) != KMM_OK)
		os_leave(OS_EXIT_INPUT, "the kernel's page tables do not fit into memory");
	os.kernel_root = kmm_kernel_root(os.k);
	x86_paging_enable(os.kernel_root.v);
	if (kmm_init_spaces(os.k) != KMM_OK)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for user spaces");
}

static void log_memory(void)
{
	struct kmm_memory_stats m;

	kmm_memory_stats(os.k, &m);
	klog("%s, %u MiB of RAM, %u MiB of it high", kmm_format_name(KMM_PIN_FORMAT.id),
	     m.ram_pages >> (20 - KMM_PAGE_SHIFT), m.total_high >> (20 - KMM_PAGE_SHIFT));
	if (m.unreachable_pages)
		klog("%u MiB of RAM lie beyond what this page table format can address and stay unused",
		     m.unreachable_pages >> (20 - KMM_PAGE_SHIFT));
}

static void find_initrd(void)
{
	const struct kmm_layout *layout = kmm_layout_of(os.k);
	struct x86_module m;

	if (x86_boot.nr_modules == 0)
		os_leave(OS_EXIT_INPUT, "there is no initrd: a kernel without programs has nothing to do");
	m = x86_boot.modules[0];
	if (m.end > layout->lowmem_end)
		os_leave(OS_EXIT_INPUT, "the initrd was loaded where the kernel has no addresses for it");
	os.initrd = (const char *)(uint32_t)(m.start + X86_PAGE_OFFSET);
	os.initrd_size = (uint32_t)(m.end - m.start);
}

static void start_files(void)
{
	const char *why = "the initrd does not fit into memory";
	int err = tree_init();

	find_initrd();
	if (err == 0)
		err = cpio_unpack(os.initrd, os.initrd_size, &why);
	if (err)
		os_leave(OS_EXIT_INPUT, why);
	if (dev_init() != 0 || proc_fs_init() != 0)
		os_leave(OS_EXIT_INPUT, "/dev and /proc cannot be made");
}

static void start_program(void)
{
	static struct exec_args args;
	const char *path, *why = NULL;

	path = start_record_read(&args, &why);
	if (!path)
		os_leave(OS_EXIT_INPUT, why);
	if (vdso_init() != 0 || exec_first(path, &args, os.options.input) != 0)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for the first program");
}

void kernel_main(void)
{
	klog_init();
	cmdline_parse(x86_boot.cmdline, &os.options);
	sched_init();
	start_memory();
	log_memory();
	if (os.options.bench)
		bench_run();
	if (proc_init() != 0)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for processes");
	start_files();
	start_program();
	trap_init();
	x86_irq_start();
	sched_idle_loop();
}
