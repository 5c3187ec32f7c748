/* SPDX-License-Identifier: MIT */
/*
 * main.c - from the loader to the first program.
 *
 * First the memory (memory.c), then processes, files and the first program. Whatever the outside got wrong on the way
 * ends with one sentence and exit status 3.
 */
#include "bench.h"
#include "fs/cgroupfs.h"
#include "proc/cpu.h"
#include "proc/layout.h"
#include "sig/sig.h"
#include "start.h"

static void find_initrd(void)
{
	const struct kmm_layout *layout = kmm_layout_of(os.k);
	struct x86_module m;

	if (x86_boot.nr_modules == 0)
		os_leave(OS_EXIT_INPUT, "there is no initrd: a kernel without programs has nothing to do");
	m = x86_boot.modules[0];
	if (m.end > layout->lowmem_end)
		os_leave(OS_EXIT_INPUT, "the initrd was loaded where the kernel has no addresses for it");
	os.initrd = x86_phys_ptr(m.start);
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
	if (dev_init() != 0 || proc_fs_init() != 0 || cgroup_fs_init() != 0)
		os_leave(OS_EXIT_INPUT, "/dev, /proc and /sys cannot be made");
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
	klog("entered %llu cycles after power-on", (unsigned long long)x86_rdtsc());
	os.options.stack_guard_gap = STACK_GUARD_GAP;
	cmdline_parse(x86_boot.cmdline, &os.options);
	layout_init();
	sched_init();
	x86_port_init()->thread_locks = port_thread_locks;
	x86_port_init()->stall = port_stall;
	x86_port_init()->group_busy = port_group_busy;
	x86_port_init()->running_space = port_running_space;
	x86_port_init()->group_event = port_group_event;
	x86_port_init()->above_high = port_above_high;
	memory_start();
	guard_boot();
	if (os.options.bench)
		bench_run();
	if (proc_init() != 0)
		os_leave(OS_EXIT_INPUT, "there is not enough memory for processes");
	swap_start();
	if (os.options.life)
		life_start(os.options.life);
	start_files();
	start_program();
	trap_init();
	background_start();
	cpus_start();
	x86_irq_start();
	sched_idle_loop();
}
