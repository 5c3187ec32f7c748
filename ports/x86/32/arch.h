/* SPDX-License-Identifier: MIT */
/* arch.h - the part of x86.h that is particular to 32-bit kernels: i386 and i386-pae. Included by hot.h only. */
#ifndef KMM_PORTS_X86_32_ARCH_H
#define KMM_PORTS_X86_32_ARCH_H

/* A register. */
typedef uint32_t x86_word;
typedef int32_t x86_sword;

/* Kernel half. Frame 0 of low memory is visible at X86_PAGE_OFFSET; the image is linked 1 MiB above. */
#define X86_PAGE_OFFSET 0xC0000000u
#define X86_IMAGE_BASE X86_PAGE_OFFSET
#define x86_direct_base X86_PAGE_OFFSET /* 64-bit kernels can move theirs */

/* A field of this processor's struct x86_self: FS of the kernel has the distance from the first one's as its base. */
#define X86_SELF(operand) "%%fs:%c" #operand
#define X86_SELF_AT(field) (&x86_selves[0].field)

/*
 * Registers at a trap, lowest address first. esp and ss are there only if the trap came from ring 3
 * (x86_frame_from_user()); a trap inside the kernel ends after eflags.
 */
struct x86_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp;
	uint32_t unused_esp; /* kernel stack pointer as pushed by PUSHA; ignored on return */
	uint32_t ebx, edx, ecx, eax;
	uint32_t trapno; /* enum x86_trapno; X86_IRQ_BASE + irq; X86_SYSCALL_VECTOR */
	uint32_t err;    /* error code of the processor, 0 if the trap has none */
	uint32_t eip, cs, eflags;
	uint32_t esp, ss;
};

struct x86_context {
	uint32_t edi, esi, ebx, ebp, eip;
};

/* Selectors as ring 3 sees them on Linux i386; entries X86_TLS_MIN.. +2 are per task. */
#define X86_KERNEL_CS 0x60u
#define X86_KERNEL_DS 0x68u
#define X86_USER_CS 0x73u
#define X86_USER32_CS X86_USER_CS
#define X86_USER_DS 0x7bu
#define X86_TLS_MIN 6u
#define X86_TLS_COUNT 3u
#define X86_KERNEL_FS 0xd8u /* of each processor's own: struct x86_self */

/* The descriptors set by set_thread_area. Segment registers are in the frame. */
struct x86_tls {
	uint64_t desc[X86_TLS_COUNT];
};

/* ---- the frame, in words that both widths share ---- */

static inline bool x86_frame_from_user(const struct x86_frame *f) { return (f->cs & 3) == 3; }

/* Is the interrupted program 32-bit code? Was the system call made by the 32-bit convention (INT 80h)? */
static inline bool x86_frame_is_32(const struct x86_frame *f) { (void)f; return true; }
static inline bool x86_frame_syscall_is_32(const struct x86_frame *f) { (void)f; return true; }

static inline x86_word x86_frame_ip(const struct x86_frame *f) { return f->eip; }
static inline x86_word x86_frame_sp(const struct x86_frame *f) { return f->esp; }
static inline x86_word x86_frame_bp(const struct x86_frame *f) { return f->ebp; }
static inline x86_word x86_frame_flags(const struct x86_frame *f) { return f->eflags; }
static inline void x86_frame_set_ip(struct x86_frame *f, x86_word ip) { f->eip = ip; }
static inline void x86_frame_set_sp(struct x86_frame *f, x86_word sp) { f->esp = sp; }
static inline void x86_frame_set_flags(struct x86_frame *f, x86_word flags) { f->eflags = flags; }

/* Number, result and the six arguments of a system call; the arguments come in room. */
static inline uint32_t x86_frame_syscall_nr(const struct x86_frame *f) { return f->eax; }
static inline x86_word x86_frame_result(const struct x86_frame *f) { return f->eax; }
static inline void x86_frame_set_result(struct x86_frame *f, x86_sword value) { f->eax = (uint32_t)value; }
static inline const x86_word *x86_frame_syscall_args(const struct x86_frame *f, x86_word room[6])
{
	room[0] = f->ebx;
	room[1] = f->ecx;
	room[2] = f->edx;
	room[3] = f->esi;
	room[4] = f->edi;
	room[5] = f->ebp;
	return room;
}

/* Ring 3's data segment registers. 64-bit: of the running task only. */
enum x86_segment { X86_SEG_DS, X86_SEG_ES, X86_SEG_FS, X86_SEG_GS };
static inline uint16_t x86_frame_segment(const struct x86_frame *f, enum x86_segment seg)
{
	switch (seg) {
	case X86_SEG_DS: return (uint16_t)f->ds;
	case X86_SEG_ES: return (uint16_t)f->es;
	case X86_SEG_FS: return (uint16_t)f->fs;
	default: return (uint16_t)f->gs;
	}
}
static inline void x86_frame_set_segment(struct x86_frame *f, enum x86_segment seg, uint16_t value)
{
	switch (seg) {
	case X86_SEG_DS: f->ds = value; break;
	case X86_SEG_ES: f->es = value; break;
	case X86_SEG_FS: f->fs = value; break;
	default: f->gs = value; break;
	}
}

#endif
