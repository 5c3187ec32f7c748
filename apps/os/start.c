/* SPDX-License-Identifier: MIT */
/*
 * start.c - what the first program is told. The start record is a file of the initrd: zero-terminated strings, each
 * with a letter in front: p path of the program (once, first), a argument (argv[0] included), e environment
 * variable. In that order. Without a record there is run=PATH and a small environment.
 */
#include "start.h"

static const char *use_run(struct exec_args *args, const char **why)
{
	static const char *const env[] = { "PATH=/bin:/usr/bin:/sbin", "HOME=/", "TERM=vt100" };
	const char *path = os.options.run;
	int err;

	if (!path) {
		*why = "the kernel command line names no program (run=PATH or start=PATH)";
		return NULL;
	}
	err = exec_args_add(args, path, str_len(path));
	args->argc = 1;
	for (size_t i = 0; i < ARRAY_LEN(env) && err == 0; i++, args->envc++)
		err = exec_args_add(args, env[i], str_len(env[i]));
	*why = "there is not enough memory for the program's arguments";
	return err ? NULL : path;
}

/* One string of the record. false: it is out of order. */
static bool take(struct exec_args *args, const char *s, char **path)
{
	size_t len = str_len(s + 1);

	if (*s == 'p' && !*path)
		*path = os_strdup(s + 1);
	else if (*s == 'a' && *path && args->envc == 0 && exec_args_add(args, s + 1, len) == 0)
		args->argc++;
	else if (*s == 'e' && *path && exec_args_add(args, s + 1, len) == 0)
		args->envc++;
	else
		return false;
	return *path != NULL;
}

static const char *parse(const char *text, size_t size, struct exec_args *args)
{
	char *path = NULL;

	for (size_t at = 0; at < size; at += str_len(text + at) + 1)
		if (!take(args, text + at, &path))
			return NULL;
	return path;
}

const char *start_record_read(struct exec_args *args, const char **why)
{
	struct inode *inode;
	const char *path = NULL;
	size_t size, done = 0;
	char *text;

	*args = (struct exec_args){ .data = NULL };
	if (!os.options.start)
		return use_run(args, why);
	*why = "the start record is not in the initrd";
	if (walk_inode(fs_root, os.options.start, 0, &inode) != 0)
		return NULL;
	*why = "the start record is damaged";
	size = (size_t)inode->file.size;
	text = size < (1u << 20) ? os_zalloc(size + 1) : NULL;
	if (text && kmm_file_read(&inode->file, 0, text, size, &done) == KMM_OK && done == size)
		path = parse(text, size, args);
	os_free(text);
	inode_put(inode);
	return path;
}
