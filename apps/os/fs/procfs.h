/* SPDX-License-Identifier: MIT */
/*
 * procfs.h - what an entry of /proc is. Directories are constant tables; inodes are made when looked up and carry
 * the table entry and the process number. Text is made once, when the file is opened.
 */
#ifndef OS_FS_PROCFS_H
#define OS_FS_PROCFS_H

#include "proc/task.h"

struct proc_entry {
	const char *name; /* NULL ends a table */
	uint32_t mode;
	void (*text)(struct proc *proc, struct kmm_sink *out); /* proc: whose entry; the reader's outside PID */
	int (*write)(const char *text);                        /* zero-terminated, at most 255 bytes */
	/* Binary, one uint64_t a frame: writes nr of them from frame `first` on, returns how many there were. */
	kmm_word (*words)(struct kmm *k, struct kmm_pfn first, kmm_word nr, struct kmm_sink *out);
	/* The same by pages of the process's space. */
	kmm_word (*pages)(struct kmm_mm *mm, uint64_t first, kmm_word nr, bool frames, struct kmm_sink *out);
	int (*write_of)(struct proc *proc, const char *text); /* as write, of PID's entry */
	uint8_t most;  /* bytes that one write takes; 0: 255, and more is -EINVAL */
	bool guarded;  /* shows a space: who may do less than its process does not open it, as ptrace_may_access() */
	const struct proc_entry *children;
	const struct proc_entry *(*children_here)(void); /* instead, where they depend on the machine */
	int (*readlink)(struct proc *proc, char *buf, size_t size);
	int (*follow)(struct proc *proc, struct inode **out);
};

extern const struct proc_entry proc_system_entries[]; /* proc_system.c */
extern const struct proc_entry proc_pid_entries[];    /* proc_pid.c */
extern const struct proc_entry proc_kmm_entries[];    /* proc_kmm.c */
extern const struct proc_entry sysfs_root;            /* sysfs.c */

extern const struct proc_entry sysfs_power_entries[]; /* proc_power.c */

/* proc_pid.c: a number with a sign, perhaps, between blanks. -EINVAL, -ERANGE. */
int proc_number(const char *text, int32_t *out);

/* proc_layout.c */
void proc_text_legacy_va_layout(struct proc *proc, struct kmm_sink *out);
void proc_text_randomize_va_space(struct proc *proc, struct kmm_sink *out);
void proc_text_no_huge_pages(struct proc *proc, struct kmm_sink *out);
int proc_write_legacy_va_layout(const char *text);
int proc_write_randomize_va_space(const char *text);
int proc_write_no_huge_pages(const char *text);

/* proc_ipc.c */
extern const struct proc_entry proc_sysvipc_entries[];
void proc_text_shmmax(struct proc *proc, struct kmm_sink *out);
void proc_text_shmall(struct proc *proc, struct kmm_sink *out);
void proc_text_shmmni(struct proc *proc, struct kmm_sink *out);
int proc_write_shmmax(const char *text);
int proc_write_shmall(const char *text);
int proc_write_shmmni(const char *text);

#endif
