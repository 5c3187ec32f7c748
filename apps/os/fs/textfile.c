/* SPDX-License-Identifier: MIT */
/*
 * textfile.c - open files whose content is text that the kernel makes (/proc, /sys, /sys/fs/cgroup): made as a whole, so that reading it in
 * pieces gives one state of things, and kept in the open file until it is made anew or closed. What is written to such a file is
 * a line, whole in each call.
 */
#include "fs/vfs.h"
#include "kmm/vmalloc.h"
#include "os.h"

enum { SLACK = 4096, SHORT = 512 };

/* The first pass only counts; making room in between may change a number's width, hence the slack. */
int text_file_make(struct open_file *file, void (*fill)(void *arg, struct kmm_sink *out), void *arg)
{
	struct text t;
	char *buf;

	text_init(&t, NULL, 0);
	fill(arg, &t.sink);
	buf = kmm_vmalloc(os.k, t.len + SLACK, "text of a file");
	if (!buf)
		return -ENOMEM;
	text_init(&t, buf, t.len + SLACK);
	fill(arg, &t.sink);
	kmm_vfree(os.k, file->priv);
	file->priv = buf;
	file->priv_size = t.len < t.size ? t.len : t.size;
	return 0;
}

bool text_file_has_changed(const struct open_file *file, void (*fill)(void *arg, struct kmm_sink *out), void *arg)
{
	char now[SHORT];
	struct text t;

	if (!file->priv)
		return true;
	text_init(&t, now, sizeof(now));
	fill(arg, &t.sink);
	return t.len != file->priv_size || t.len > sizeof(now) || memcmp(now, file->priv, t.len) != 0;
}

int text_file_read(struct open_file *file, void *to, size_t len, uint64_t *pos, bool nonblock)
{
	size_t left = *pos < file->priv_size ? file->priv_size - (size_t)*pos : 0;
	size_t n = len < left ? len : left;

	(void)nonblock;
	memcpy(to, (char *)file->priv + *pos, n);
	*pos += n;
	return (int)n;
}

int text_file_line(char line[TEXT_FILE_LINE], const void *from, size_t len)
{
	if (len >= TEXT_FILE_LINE)
		return -EINVAL;
	memcpy(line, from, len);
	line[len] = 0;
	return 0;
}

void text_file_release(struct open_file *file)
{
	kmm_vfree(os.k, file->priv);
}
