/* SPDX-License-Identifier: MIT */
/*
 * Hostile initrds: the kernel's own unpacker builds its tree from any bytes, with an allocation failing where the first
 * byte says so. It must end with success or a sentence; then every directory is found by its own path, every file can be
 * read to its end, and the machine's audit is clean. (The archive lies in a buffer of its exact size, so the sanitizer
 * sees a byte read beyond it.)
 */
#include "os/kernel.h"

#include <stdlib.h>

#include "kmm/observe.h"

enum { MAX_DEPTH = 64, MOST_READ = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static void read_file(struct inode *inode)
{
	char buf[4096];
	size_t done = 1;

	for (uint64_t pos = 0; pos < MOST_READ && done; pos += done)
		must(kmm_file_read(&inode->file, pos, buf, sizeof(buf), &done) == KMM_OK);
}

static void check_directory(struct inode *dir)
{
	static char path[PATH_SIZE];
	struct inode *found = NULL;
	int len = tree_path(dir, path, sizeof(path));

	if (len == -ERANGE)
		return;
	must(len > 0 && walk_inode(fs_root, path, 0, &found) == 0);
	must(found == dir);
	inode_put(found);
}

static void check_below(struct inode *dir, unsigned depth)
{
	struct dir_entry *e;

	check_directory(dir);
	list_for_each(e, &dir->entries, link) {
		must(e->name[0] && !str_eq(e->name, ".") && !str_eq(e->name, ".."));
		if (is_kind(e->inode, S_IFREG))
			read_file(e->inode);
		if (is_kind(e->inode, S_IFLNK))
			must(e->inode->target && e->inode->target[0]);
		if (is_kind(e->inode, S_IFDIR) && depth < MAX_DEPTH)
			check_below(e->inode, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hosted_machine *m;
	const char *why = NULL;
	char *archive;
	int err;

	if (size < 1)
		return 0;
	archive = malloc(size - 1);
	must(archive || size == 1);
	if (archive)
		memcpy(archive, data + 1, size - 1);
	m = kernel_boot();
	kmm_fail_nth(os.k, data[0]);
	err = cpio_unpack(archive, (uint32_t)(size - 1), &why);
	kmm_fail_nth(os.k, 0);
	must(err == 0 || (why && why[0]));
	check_below(fs_root, 0);
	kernel_audit();
	kernel_drop(m);
	free(archive);
	return 0;
}
