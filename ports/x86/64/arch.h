/* SPDX-License-Identifier: MIT */
/*
 * arch.h - the part of x86.h that is particular to 64-bit kernels, with 4 or 5 levels of page tables
 * (X86_LEVELS, set by the build). Included by hot.h only.
 *
 * Programs: 64-bit ones enter by SYSCALL (frame->trapno X86_SYSCALL_INSN), 32-bit ones by INT 80h; 64-bit code may use INT
 * 80h too and then gets the 32-bit convention. A system call that returns with the frame's ip, sp and flags as they were goes
 * back by SYSRET, every other way of return is IRET; the kernel on top need not care, it just writes the frame.
 */
#ifndef KMM_PORTS_X86_64_ARCH_H
#define KMM_PORTS_X86_64_ARCH_H

#ifndef X86_LEVELS
#define X86_LEVELS 4
#endif

/* A register. */
typedef uint64_t x86_word;
typedef int64_t x86_sword;

/* X86_PAGE_OFFSET: where the direct map begins at boot and, unless it is moved, stays. */
#if X86_LEVELS == 5
#define X86_PAGE_OFFSET 0xff11000000000000ull
#define X86_USER_END_MAX 0x00fffffffffff000ull /* no ring 3 address is at or above: a page below the end of the lower half */
#else
#define X86_PAGE_OFFSET 0xffff888000000000ull
#define X86_USER_END_MAX 0x00007ffffffff000ull
#endif

/*
 * Where the direct map begins now. It changes once, in x86_direct_map_move(), before anything of the kernel uses it, and lies
 * in memory that the kernel cannot write afterwards: so it is a constant to the compiler, which may keep it in a register
 * (boot.S has it: no C file sees its value).
 */
extern const uint64_t x86_direct_base;

/* The image is linked 2 MiB above this, loaded at 2 MiB. */
#define X86_IMAGE_BASE 0xffffffff80000000ull

/* A field of this processor's struct x86_self: GS of the kernel has its address as base. */
#define X86_SELF(operand) "%%gs:%c" #operand
#define X86_SELF_AT(field) (offsetof(struct x86_self, field))

/* Registers at a trap, lowest address first; rsp and ss are there for traps inside the kernel too. */
struct x86_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, rcx, rax;
	union {
		struct { uint64_t rdi, rsi, rdx, r10, r8, r9; };
		uint64_t argument[6]; /* of a 64-bit system call: the same six */
	};
	uint64_t trapno; /* enum x86_trapno; X86_IRQ_BASE + irq; X86_SYSCALL_VECTOR; X86_SYSCALL_INSN */
	uint64_t err;    /* error code of the processor, 0 if the trap has none */
	uint64_t rip, cs, rflags, rsp, ss;
};

struct x86_context {
	uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

/* Selectors as ring 3 sees them on Linux x86_64; entries X86_TLS_MIN.. +2 are per task (32-bit programs). */
#define X86_KERNEL_CS 0x10u
#define X86_KERNEL_DS 0x18u
#define X86_USER32_CS 0x23u
#define X86_USER_DS 0x2bu
#define X86_USER_CS 0x33u
#define X86_TLS_MIN 12u
#define X86_TLS_COUNT 3u

/*
 * desc: set_thread_area. A base counts while its selector is 0 (arch_prctl: set base, clear selector). The four selectors of
 * a running task are in the processor: see x86_tls_save(). Bases must be canonical and in the lower half.
 */
struct x86_tls {
	uint64_t desc[X86_TLS_COUNT];
	uint64_t fs_base, gs_base;
	uint16_t ds, es, fs, gs;
};

/* ---- the frame, in words that both widths share ---- */

static inline bool x86_frame_from_user(const struct x86_frame *f) { return (f->cs & 3) == 3; }

/* Is the interrupted program 32-bit code? Was the system call made by the 32-bit convention (INT 80h)? */
static inline bool x86_frame_is_32(const struct x86_frame *f) { return (uint16_t)f->cs == X86_USER32_CS; }
static inline bool x86_frame_syscall_is_32(const struct x86_frame *f) { return f->trapno == 128; }

static inline x86_word x86_frame_ip(const struct x86_frame *f) { return f->rip; }
static inline x86_word x86_frame_sp(const struct x86_frame *f) { return f->rsp; }
static inline x86_word x86_frame_bp(const struct x86_frame *f) { return f->rbp; }
static inline x86_word x86_frame_flags(const struct x86_frame *f) { return f->rflags; }
static inline void x86_frame_set_ip(struct x86_frame *f, x86_word ip) { f->rip = ip; }
static inline void x86_frame_set_sp(struct x86_frame *f, x86_word sp) { f->rsp = sp; }
static inline void x86_frame_set_flags(struct x86_frame *f, x86_word flags) { f->rflags = flags; }

/*
 * Number, result and the six arguments of a system call; those of the 32-bit convention are 32 bits wide. The arguments
 * are in the frame, or in room where the frame has them otherwise: they hold until the call changes registers.
 */
static inline uint32_t x86_frame_syscall_nr(const struct x86_frame *f) { return (uint32_t)f->rax; }
static inline x86_word x86_frame_result(const struct x86_frame *f) { return f->rax; }
static inline void x86_frame_set_result(struct x86_frame *f, x86_sword value) { f->rax = (uint64_t)value; }
static inline const x86_word *x86_frame_syscall_args(const struct x86_frame *f, x86_word room[6])
{
	if (!x86_frame_syscall_is_32(f))
		return f->argument;
	room[0] = (uint32_t)f->rbx;
	room[1] = (uint32_t)f->rcx;
	room[2] = (uint32_t)f->rdx;
	room[3] = (uint32_t)f->rsi;
	room[4] = (uint32_t)f->rdi;
	room[5] = (uint32_t)f->rbp;
	return room;
}

/*
 * Ring 3's data segment registers. They are not in the frame but in the processor, so: of the running task only, with
 * interrupts off. A selector that cannot be loaded becomes null. Setting FS or GS takes the base from the descriptor.
 */
enum x86_segment { X86_SEG_DS, X86_SEG_ES, X86_SEG_FS, X86_SEG_GS };
uint16_t x86_frame_segment(const struct x86_frame *f, enum x86_segment seg);
void x86_frame_set_segment(struct x86_frame *f, enum x86_segment seg, uint16_t value);

#endif
