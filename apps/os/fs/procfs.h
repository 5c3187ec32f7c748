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
	const struct proc_entry *children;
	int (*readlink)(struct proc *proc, char *buf, size_t size);
	int (*follow)(struct proc *proc, struct inode **out);
};

extern const struct proc_entry proc_system_entries[]; /* proc_system.c */
extern const struct proc_entry proc_pid_entries[];    /* proc_pid.c */
extern const struct proc_entry proc_kmm_entries[];    /* proc_kmm.c */
extern const struct proc_entry sysfs_root;            /* sysfs.c */

extern const struct proc_entry sysfs_root_small;      /* the same without huge pages */
extern const struct proc_entry sysfs_power_entries[]; /* proc_power.c */

/* proc_ipc.c */
extern const struct proc_entry proc_sysvipc_entries[];
void proc_text_shmmax(struct proc *proc, struct kmm_sink *out);
void proc_text_shmall(struct proc *proc, struct kmm_sink *out);
void proc_text_shmmni(struct proc *proc, struct kmm_sink *out);
int proc_write_shmmax(const char *text);
int proc_write_shmall(const char *text);
int proc_write_shmmni(const char *text);

#endif
