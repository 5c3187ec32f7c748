/* SPDX-License-Identifier: MIT */
/* socket.h - connected pairs of local sockets, for sys/socket.c. */
#ifndef OS_FS_SOCKET_H
#define OS_FS_SOCKET_H

#include "fs/vfs.h"

enum { SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_SEQPACKET = 5 };

int socket_pair(uint32_t type, uint32_t flags, struct open_file *ends[2]);
/* sys/socket.c: readv() and writev(), which a socket takes as one message. */
sword socket_vector(struct open_file *file, uword pieces, uword nr, bool write);
bool is_socket(const struct open_file *file);
uint32_t socket_type(const struct open_file *file);
/* signal: SIGPIPE when nobody can read any more. */
int socket_send(struct open_file *file, const void *from, size_t len, bool nonblock, bool signal);
/* peek: the bytes stay. */
int socket_receive(struct open_file *file, void *to, size_t len, bool nonblock, bool peek);
void socket_shutdown(struct open_file *file, bool reading, bool writing);

#endif
