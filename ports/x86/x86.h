/* SPDX-License-Identifier: MIT */
/*
 * x86.h - what the bare x86 port offers to the kernel that is built on it.
 *
 * The port owns the processor and the few devices every PC has: boot, segments, traps, interrupts, clock,
 * serial ports, floating point state, TLB, power off. It owns no memory policy and no processes: page tables are
 * the core's, processes are the kernel's. It allocates nothing; all its data is static or given by the caller.
 *
 * One header for both widths: what differs (frame, context, selectors, thread-local state) is in 32/arch.h or 64/arch.h,
 * included below, and reached by shared code through the accessors declared there (x86_frame_ip() and so on).
 *
 * Boot order, on the boot processor:
 *   1. boot.S. 32-bit: multiboot loader -> protected mode, paging OFF, segments with base 0x40000000, so that a kernel
 *      address 0xC0000000 + pa already reaches physical pa. 64-bit: multiboot or PVH loader -> long mode on temporary
 *      tables that map the image, and all RAM at X86_PAGE_OFFSET. Pointers are final from the first C instruction on, but
 *      that a 64-bit kernel may move the direct map once: x86_direct_map_move().
 *   2. the port: serial console, exception table, processor info, firmware data copied to x86_boot; then
 *      kernel_main() of the kernel, on a 16 KiB boot stack, interrupts off.
 *   3. the kernel: x86_port_init() (kmm hooks), core start up; the core builds its page tables in direct-map memory.
 *   4. the kernel: x86_paging_enable(root): the core's tables take over; from here on page rights hold.
 *   5. the kernel: x86_set_ops(), x86_irq_start(), x86_irq_enable().
 *   6. the kernel, when x86_nr_cpus > 1, between 4 and 5: x86_smp_init(), x86_smp_start(); each other processor goes on in
 *      the function named there, with the kernel's tables, and does 5 without x86_set_ops() for itself.
 *
 * Words: "pa" physical address; "frame" here is always a trap frame (struct x86_frame), never a page.
 * Every handler is entered with interrupts off; the kernel may turn them on.
 * 32-bit calls are made with -mregparm=3 -freg-struct-return, 64-bit ones without a red zone and without SSE; the kernel
 * must be compiled with the same flags.
 */
#ifndef KMM_PORTS_X86_X86_H
#define KMM_PORTS_X86_X86_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hot.h"


/*
 * Addresses. arch.h has x86_direct_base (physical 0 in the direct map) and X86_IMAGE_BASE (physical 0 as the image's
 * own addresses count; 32-bit: the same). x86_phys_ptr: only for memory that the direct map covers.
 */
static inline void *x86_phys_ptr(uint64_t pa)
{
	return (void *)((x86_word)pa + x86_direct_base);
}
static inline uint64_t x86_image_pa(const void *address)
{
	return (x86_word)address - X86_IMAGE_BASE;
}

/* ---------------------------------------------------------------------------------------------- boot data */

#define X86_MAX_MEMMAP 64
#define X86_MAX_MODULES 4
#define X86_CMDLINE_SIZE 4096

/* One firmware range, as reported: ranges may overlap, be empty, be unsorted. type 1 is usable RAM. */
struct x86_mem_range {
	uint64_t base;
	uint64_t size;
	uint32_t type;
};

/* One file the loader put into memory; bytes [start, end). Page aligned start with QEMU. */
struct x86_module {
	uint64_t start;
	uint64_t end;
};

/*
 * Everything the loader said, copied out of its structures before kernel_main() so that none of them needs to be
 * kept. nr_ranges is 0 if the loader gave no map at all; if it gave only the two old sizes, they appear as two
 * ranges. cmdline is zero terminated and starts with the loader's name of the kernel image (QEMU: the path that
 * -kernel was given, which may hold blanks), so look for key=value words rather than for positions.
 */
struct x86_boot {
	uint32_t nr_ranges;
	struct x86_mem_range ranges[X86_MAX_MEMMAP];
	uint32_t nr_modules;
	struct x86_module modules[X86_MAX_MODULES];
	uint64_t rsdp; /* ACPI's root pointer, 0: the loader did not say */
	char cmdline[X86_CMDLINE_SIZE];
	bool cmdline_cut; /* it was longer than X86_CMDLINE_SIZE - 1 */
	bool ranges_cut;  /* more than X86_MAX_MEMMAP ranges; the rest was dropped */
};
extern struct x86_boot x86_boot;

/* The raw firmware map. Returns the number of ranges, *ranges points to static memory. Any context. */
uint32_t x86_memmap(const struct x86_mem_range **ranges);

/*
 * Ranges the core must not hand out: frame 0 (BIOS data; with several processors the page after it, where they start), the kernel image with its bss, every module.
 * Page aligned (start down, end up). Fills at most max entries (type 0), returns how many there are. Any context.
 */
uint32_t x86_reserved(struct x86_mem_range *out, uint32_t max);

/* Bounds of the kernel image, kernel addresses, from the linker script. */
extern char x86_image_start[], x86_text_start[], x86_text_end[], x86_rodata_start[], x86_rodata_end[];
extern char x86_data_start[], x86_data_end[], x86_bss_start[], x86_bss_end[], x86_image_end[];
extern char x86_nosave_start[], x86_nosave_end[]; /* of the bss: in no image of memory */

/* The top (highest address, exclusive) of the boot stack kernel_main() runs on; 16 KiB. */
extern char x86_boot_stack[], x86_boot_stack_top[];

/* Written by the kernel (apps/os). Called once; must not return. */
void kernel_main(void);

/*
 * The hooks of the core, filled in but for wait and wake: the kernel sets those (and may replace log) before it
 * starts the core. Works before and after paging is on; may be called again and returns the same struct.
 */
struct kmm_port;
struct kmm_port *x86_port_init(void);

/* ---------------------------------------------------------------------------------------------- processor */

struct x86_cpu_info {
	char vendor[13];
	char brand[49];
	uint8_t family, model, stepping;
	uint8_t phys_bits;     /* physical address width: CPUID 80000008h, else 36 with PAE or PSE-36, else 32 */
	uint32_t features_edx; /* CPUID 1 EDX: also what Linux passes as AT_HWCAP */
	uint32_t features_ecx; /* CPUID 1 ECX */
	uint8_t virt_bits;     /* linear address width: 32, 48 or 57 */
	bool xsave, avx, apic, pse, pae, pge, nx, fxsr, sse, sse2, tsc, hypervisor;
	bool long_mode, la57, gib_pages, smep, smap, umip, pcid, rdrand;
};
extern struct x86_cpu_info x86_cpu_info;

static inline uint8_t x86_inb(uint16_t port)
{
	uint8_t v;
	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint16_t x86_inw(uint16_t port)
{
	uint16_t v;
	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline uint32_t x86_inl(uint16_t port)
{
	uint32_t v;
	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}
static inline void x86_outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}
static inline void x86_outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}
static inline void x86_outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline void x86_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}
static inline void x86_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Faulting linear address (CR2). Read it in the handler before interrupts are turned on. */
static inline x86_word x86_fault_address(void)
{
	x86_word v;
	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static inline uint64_t x86_rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (uint64_t)hi << 32 | lo;
}

static inline void x86_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* ---------------------------------------------------------------------------------------------- processors */


/* Processors that the firmware names, at most X86_MAX_CPUS; known from kernel_main() on. */
extern unsigned x86_nr_cpus;

/* Physical address of the local interrupt controllers' registers (one page, uncached, every processor sees its own). */
uint64_t x86_lapic_pa(void);
/* registers: where that page is mapped. Turns this controller on; with several processors, before x86_smp_start(). */
void x86_smp_init(void *registers);
/*
 * Start the other processors, one after the other. stack_of(cpu) gives the top of the stack on which it calls entry(), with
 * interrupts off, the kernel's tables loaded and a NULL task; NULL: it is left out. entry must not return. Returns how many
 * processors run then. Boot processor, interrupts off.
 */
unsigned x86_smp_start(void *(*stack_of)(unsigned cpu), void (*entry)(void));
/* Interrupt another processor: its handler is called with X86_IRQ_KICK. Any context. */
void x86_kick(unsigned cpu);

/*
 * Wait a moment in a loop that spins with interrupts off. Serves what other processors may be waiting for, so a kernel that
 * spins with interrupts off must use it in every such loop.
 */
void x86_relax(void);

/*
 * Wait for the next interrupt. Called with interrupts off; turns them on and halts in one step (an interrupt that
 * arrives in between is not lost), returns with interrupts off after at least one handler ran. Nobody waits meanwhile for
 * this processor to drop translations of kernel addresses: it does so before the handler runs. No user space may be
 * loaded, but on a machine with one processor.
 */
void x86_idle(void);

/* ---------------------------------------------------------------------------------------- traps, interrupts */

/* struct x86_frame, the registers at a trap: arch.h. What a handler writes there is what the code resumes with. */

enum x86_trapno {
	X86_TRAP_DE = 0,  /* divide error */
	X86_TRAP_DB = 1,  /* debug: single step, breakpoint registers */
	X86_TRAP_NMI = 2,
	X86_TRAP_BP = 3,  /* INT3; the frame's address is after it */
	X86_TRAP_OF = 4,  /* INTO; the same */
	X86_TRAP_BR = 5,  /* BOUND */
	X86_TRAP_UD = 6,  /* invalid opcode */
	X86_TRAP_NM = 7,  /* no FPU; handled inside the port, see x86_fpu_switch() */
	X86_TRAP_DF = 8,  /* double fault: own stack, prints and stops, never handed out */
	X86_TRAP_TS = 10,
	X86_TRAP_NP = 11, /* segment not present */
	X86_TRAP_SS = 12, /* stack segment */
	X86_TRAP_GP = 13, /* general protection */
	X86_TRAP_PF = 14, /* page fault; err has the X86_PF_ bits, x86_fault_address() the address */
	X86_TRAP_MF = 16, /* x87 error */
	X86_TRAP_AC = 17, /* alignment */
	X86_TRAP_MC = 18,
	X86_TRAP_XM = 19, /* SSE error */
	X86_IRQ_BASE = 32,
	X86_SYSCALL_VECTOR = 128, /* INT 80h: numbers and arguments of Linux i386 */
	X86_SYSCALL_INSN = 256    /* SYSCALL of 64-bit code: those of Linux x86_64 */
};

#define X86_PF_PRESENT 1u  /* rights violated; clear: no entry */
#define X86_PF_WRITE 2u
#define X86_PF_USER 4u
#define X86_PF_RESERVED 8u /* reserved bit set in an entry */
#define X86_PF_FETCH 16u   /* instruction fetch; reported only with NX on */

/*
 * The kernel's entry points. All run on the kernel stack of the interrupted task, interrupts off, direction flag
 * clear, kernel data segments loaded; returning resumes the frame. A handler may switch to another context.
 *   trap     exception, from ring 3 or the kernel; a trap in the kernel it cannot explain: x86_panic_frame().
 *   irq      hardware interrupt, already acknowledged at the controller; irq 0 is this processor's clock, on the boot
 *            processor after x86_ticks() was counted; irq 4 comes after the received characters were put into the
 *            console queue, to the boot processor; X86_IRQ_KICK was sent by x86_kick().
 *   syscall  INT 80h, and SYSCALL of 64-bit code; frame->trapno tells which.
 */
struct x86_ops {
	void (*trap)(struct x86_frame *frame);
	void (*irq)(struct x86_frame *frame, int irq);
	void (*syscall)(struct x86_frame *frame);
};

#define X86_IRQ_KICK 18

/* Copies *ops; all members required. Until then every trap is a panic. Interrupts off. */
void x86_set_ops(const struct x86_ops *ops);

/* This processor's clock ticks X86_HZ times a second from now on; boot processor: console interrupts come, too. */
void x86_irq_start(void);
/* Unmask or mask one more line (0..15). Any context. */
void x86_irq_unmask(int irq);
void x86_irq_mask(int irq);

/* Print the frame's registers on the console. Any context. */
void x86_frame_print(const struct x86_frame *frame);

/*
 * The frame of a new program: ip and sp as given, all other registers zero, selectors and flags as Linux sets them. is_32: a
 * 32-bit program; always true on a 32-bit kernel. frame is the running task's, whose x86_tls was just zeroed and loaded.
 */
void x86_frame_start(struct x86_frame *frame, x86_word ip, x86_word sp, bool is_32);

/*
 * Make a frame that ring 3 filled (signal return) safe to resume: ring 3 selectors, interrupts on, no I/O
 * privilege, no virtual-8086, no nested task. Selectors and ip may hold anything: a bad data segment loads as null, a bad
 * cs, ss or ip becomes a trap of ring 3's own (X86_TRAP_GP and the like) with the frame as it was refused.
 */
void x86_frame_sanitize(struct x86_frame *frame);

/* -------------------------------------------------------------------------------------- stacks and contexts */

/* struct x86_context, a kernel thread that is not running: its callee-saved registers, lying on its own stack. */

/*
 * Leave the running thread, go on with another. *from receives the place where this one rests; returns when some
 * thread switches back to it. Interrupts off (the flag is not part of a context). Changes neither page table root,
 * TLS, kernel stack of the TSS nor FPU: see the four calls below, usually made just before.
 */
void x86_context_switch(struct x86_context **from, struct x86_context *to);

/*
 * Prepare a thread that starts as entry(arg) with its stack growing down from top (exclusive, 16-byte aligned; leave
 * the room of x86_user_frame() if the thread will own a user frame). entry must not return (that is a panic).
 */
struct x86_context *x86_context_make(void *top, void (*entry)(void *arg), void *arg);

/* The frame a trap from ring 3 writes on a kernel stack with this top; a new process fills it for its first entry. */
static inline struct x86_frame *x86_user_frame(void *stack_top)
{
	return (struct x86_frame *)((char *)stack_top - sizeof(struct x86_frame));
}

/* Resume a ring 3 frame; frame must be x86_user_frame() of the running stack. Interrupts off. Never returns. */
__attribute__((noreturn)) void x86_return_to_user(struct x86_frame *frame);

/* Top of the stack (16-byte aligned) used by the next trap from ring 3. Interrupts off. */
void x86_set_kernel_stack(void *stack_top);

/* ---------------------------------------------------------------------------------------------- hibernation */

/*
 * For the writer of an image (kmm/hibernate.h): only the boot processor runs, with interrupts off and no disk busy.
 *
 *	x86_before_save();
 *	if (!x86_state_save()) {
 *		write the image; power off, or go on if that failed
 *	} else {
 *		x86_after_resume();             the machine was off and on again
 *		x86_smp_start(), if there are other processors
 *	}
 *
 * x86_state_save() returns a second time after x86_state_resume() in another boot, with true, on the memory of the image; as
 * with setjmp(), only what was not changed since the first time counts among the caller's variables. Between the two the
 * caller must not return.
 */
void x86_before_save(void);
bool x86_state_save(void) __attribute__((returns_twice));
void x86_after_resume(void);
/* Moves by the list of kmm_image_read(), and goes on in the image. Boot processor, interrupts off, no disk busy. */
__attribute__((noreturn)) void x86_state_resume(uint64_t list);
/* A number of the kernel's code and constants. */
uint64_t x86_build_id(void);
/* Memory that belongs in no image, at most max ranges; returns how many. Any context. */
uint32_t x86_left_out(struct x86_mem_range *out, uint32_t max);

/* ---------------------------------------------------------------------------------------------------- TLS */

/*
 * struct x86_tls (arch.h): what a task has in its segment registers beyond the frame. Plain data; all zero is the state
 * of a new program. While a task runs, some of it is in the processor only, so: x86_tls_save() when the task is left,
 * and before its struct is read, copied (fork) or changed; x86_tls_load() when it is entered, and after a change.
 */

/* Bits of the flags word of Linux's struct user_desc, in its layout. */
#define X86_UDESC_32BIT 0x01u
#define X86_UDESC_CONTENTS 0x06u /* 0 data, 2 data expand down, 4 code, 6 code conforming */
#define X86_UDESC_READ_EXEC_ONLY 0x08u
#define X86_UDESC_LIMIT_IN_PAGES 0x10u
#define X86_UDESC_NOT_PRESENT 0x20u
#define X86_UDESC_USEABLE 0x40u

/* A ring 3 descriptor from the fields of struct user_desc; always DPL 3 and never a system descriptor. */
uint64_t x86_tls_descriptor(uint32_t base, uint32_t limit, uint32_t flags);

/* Processor from memory, memory from processor; see above. Interrupts off. */
void x86_tls_load(const struct x86_tls *tls);
void x86_tls_save(struct x86_tls *tls);

/* ---------------------------------------------------------------------------------------------------- FPU */

/*
 * Floating point state of one task: x87 and SSE as FXSAVE writes them, 512 bytes, or where the processor has XSAVE its
 * standard form with AVX, at a 64-byte boundary inside raw. The struct itself may lie anywhere; copy it only with
 * x86_fpu_copy(). Registers are switched lazily: they stay with the last task
 * that used them until another one traps with #NM, which the port serves itself. With several processors memory is up to
 * date whenever the task does not run, so that it can go on elsewhere.
 */
#define X86_FPU_LEGACY 512u             /* x87 and SSE, the same in both forms */
#define X86_FPU_MOST (512u + 64u + 256u) /* with XSAVE's header and AVX */
struct x86_fpu {
	uint8_t raw[X86_FPU_MOST + 64];
	uint32_t cpu; /* whose registers last held it; ~0: nobody's since it was written */
};

void x86_fpu_init(struct x86_fpu *fpu);   /* clean state of a new program */
void x86_fpu_switch(struct x86_fpu *fpu); /* fpu belongs to the task about to run; NULL: kernel thread. Interrupts off */
void x86_fpu_sync(struct x86_fpu *fpu);   /* bring memory up to date (before reading the image). Interrupts off */
void x86_fpu_forget(struct x86_fpu *fpu); /* registers are worthless: end, exec, image written. Irqs off */
void x86_fpu_copy(struct x86_fpu *to, struct x86_fpu *from); /* fork; syncs from. Interrupts off */
void *x86_fpu_image(struct x86_fpu *fpu); /* the image in memory */
/* Bytes of every image; more than X86_FPU_LEGACY: XSAVE is used. Which parts of it (bits of XCR0: 1 x87, 2 SSE, 4 AVX). */
uint32_t x86_fpu_size(void);
uint32_t x86_fpu_parts(void);
/* Make an image that ring 3 filled (signal return) fit to be loaded: reserved bits that would fault are cleared. legacy: only
 * its first 512 bytes count, the rest becomes clean. */
void x86_fpu_sanitize(void *image, bool legacy);

/* -------------------------------------------------------------------------------------------- paging and TLB */

/*
 * 64-bit: show all RAM from base on instead of X86_PAGE_OFFSET; a multiple of 1 GiB, with room for the RAM below the last
 * entry of the root. At most once, before x86_port_init() and before any pointer into the direct map is kept; the caller
 * must not have used x86_phys_ptr() in the same function. The core's tables must have the direct map there too.
 * 32-bit: the direct map is where the image is linked, and base must be X86_PAGE_OFFSET.
 */
void x86_direct_map_move(x86_word base);

/*
 * Go over to the core's kernel tables; once, interrupts off. Turns on what the processor has of: global pages, no-execute,
 * write protection for ring 0, and 64-bit SMEP, SMAP and UMIP (the kernel must not touch user addresses).
 *   32-bit: turns paging on. root_pa: page directory (i386) or the 4-entry, 32-byte aligned table (PAE); both below 4 GiB
 *   and in the direct map. The tables must map the whole kernel image and the first 4 MiB of memory at X86_PAGE_OFFSET.
 *   User entry 0 of the root is used for the instant of the switch and is zero afterwards.
 *   64-bit: root_pa is a table of X86_LEVELS levels that maps the image at its own addresses.
 */
void x86_paging_enable(uint64_t root_pa);

/* Load a root; 0: the one x86_paging_enable() got. PAE: also needed after a change in the 4-entry table, the processor holds copies. Any context. */
void x86_load_root(uint64_t root_pa);
uint64_t x86_current_root(void);

void x86_tlb_flush_local(void); /* all but global entries */
void x86_tlb_flush_all(void);   /* global entries too */

/* --------------------------------------------------------------------------------------------------- time */

#define X86_HZ 100u

uint32_t x86_ticks(void);      /* timer interrupts of the boot processor since x86_irq_start() */
uint64_t x86_time_ns(void);    /* monotonic, from the time stamp counter, 0 at boot. Any context */
uint64_t x86_boot_epoch(void); /* seconds since 1970 (UTC) when the machine booted, from the CMOS clock */

/* ------------------------------------------------------------------------- console, report channel, leaving */

/* First serial port. write: polled, waits for the device, bytes as given (no LF translation). Any context. */
void x86_console_write(const char *data, size_t size);
/* One received byte (0..255) or -1. Filled by irq 4; polls the device too, so works with interrupts off. */
int x86_console_getc(void);

/* Second serial port, for machine-readable reports. Absent: write drops the data and present() is false. */
bool x86_report_present(void);
void x86_report_write(const char *data, size_t size);

/*
 * Disks: virtio block devices on the PCI bus, numbered as they are found. A transfer is of whole pages, by physical
 * addresses, from a sector of 512 bytes on. Any number may be under way; they end in any order. Any context from the time the
 * core's page tables are in use, interrupts off.
 */
#define X86_MAX_DISKS 3u
#define X86_DISK_PAGES 32u /* in one transfer */
struct x86_disk_request {
	bool write;
	bool good;                /* the result */
	unsigned nr_pages;
	uint32_t discard;         /* not 0: so many sectors are no longer needed; there are no pages then */
	uint64_t sector;
	const uint64_t *pa;       /* of each page; stays until the end, as the request does */
	void (*done)(struct x86_disk_request *request); /* it is over, on any processor; from x86_disk_poll() only */
	struct x86_disk_request *next; /* the port's */
};
unsigned x86_disks_start(void);           /* looks for them; returns how many there are */
uint64_t x86_disk_sectors(unsigned disk); /* 0: there is none of that number */
uint32_t x86_disk_most_discarded(unsigned disk); /* sectors at a time; 0: the disk takes no discards */
int x86_disk_irq(unsigned disk);          /* the line that says that something is over; 0: none, so it must be polled */
bool x86_disk_start(unsigned disk, struct x86_disk_request *request); /* false: not within the disk, and done is not called */
bool x86_disk_busy(unsigned disk);        /* is anything under way, or waiting to be? */
bool x86_disk_poll(unsigned disk);        /* tells of those that are over. Were there any? */

/* %d %i %u %x %X %o %p %s %c %% with '-', '0', a width, a precision for %s, and l, ll, z. To the console. */
__attribute__((format(printf, 1, 2))) void x86_printf(const char *fmt, ...);
void x86_vprintf(const char *fmt, va_list ap);
/* Same, into a buffer; always terminated, returns the length it would have had. */
__attribute__((format(printf, 3, 4))) int x86_snprintf(char *buf, size_t size, const char *fmt, ...);
int x86_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);

/*
 * Leave the machine. With "-device isa-debug-exit,iobase=0x501,iosize=2" QEMU's own exit status becomes
 * (code << 1 | 1) & 255; without that device the machine is powered off (status 0), and if that does not work
 * either, halted. x86_poweroff() never uses the device.
 */
__attribute__((noreturn)) void x86_exit(uint8_t code);
__attribute__((noreturn)) void x86_poweroff(void);
#define X86_EXIT_PANIC 63u /* the code of every panic; QEMU status 127 */

__attribute__((noreturn, format(printf, 1, 2))) void x86_panic(const char *fmt, ...);
__attribute__((noreturn)) void x86_panic_frame(const struct x86_frame *frame, const char *why);

/* Freestanding string functions the compiler and the core call; definitions in common/string.c. */
void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
