/* SPDX-License-Identifier: MIT */
/* epoll.h - sets of files that somebody waits for: epoll_create(2) and its calls, for sys/epoll.c. */
#ifndef OS_FS_EPOLL_H
#define OS_FS_EPOLL_H

#include "fs/vfs.h"

struct epoll_event { /* as programs have it, 12 bytes in both widths */
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct epoll_event) == 12, "struct epoll_event");

enum { EPOLL_ADD = 1, EPOLL_DEL, EPOLL_MOD };

int epoll_create(struct open_file **out);
bool is_epoll(const struct open_file *file);
/* One entry of the set, named by descriptor and file. event: not for DEL. */
int epoll_control(struct open_file *set, int act, struct open_file *file, int32_t fd, const struct epoll_event *event);
/* Up to `most` that are ready now. */
int epoll_collect(struct open_file *set, struct epoll_event *out, int most);
/* A file that is in some set goes. */
void epoll_forget(const struct open_file *file);

#endif
