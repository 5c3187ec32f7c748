/* SPDX-License-Identifier: MIT */
/*
 * cpio.c - unpacks the initrd, a cpio archive in "newc" form, into the tree. File contents stay where they are and
 * are copied page by page when used (inode.c). The archive is input from outside: every length is checked against
 * what is left before it is used, and the first thing that does not fit ends the boot with a sentence.
 *
 * One entry: 110 bytes of header (magic 070701, then 13 numbers of 8 hex digits), name with its 0, padding to 4,
 * content, padding to 4. The name TRAILER!!! ends the archive.
 */
#include "fs/vfs.h"

enum { HEADER_SIZE = 110, FIELD_MODE = 1, FIELD_UID = 2, FIELD_GID = 3, FIELD_MTIME = 5, FIELD_SIZE = 6,
       FIELD_RDEV_MAJOR = 9, FIELD_RDEV_MINOR = 10, FIELD_NAME_SIZE = 11, NR_FIELDS = 13 };

struct entry {
	uint32_t field[NR_FIELDS];
	const char *name;
	const char *data;
};

static bool parse_hex(const char *digits, uint32_t *out)
{
	char copy[9];
	const char *end;

	memcpy(copy, digits, 8);
	copy[8] = 0;
	return str_to_u32(copy, 16, out, &end) && *end == 0;
}

static uint32_t pad4(uint32_t n)
{
	return (4 - n % 4) % 4;
}

/* Reads the entry at *pos and moves *pos behind it. Returns NULL or what is wrong. */
static const char *parse_entry(const char *archive, uint32_t size, uint32_t *pos, struct entry *e)
{
	uint32_t left = size - *pos, name_size, at;

	if (left < HEADER_SIZE)
		return "the initrd ends inside an entry's header";
	if (memcmp(archive + *pos, "070701", 6) != 0)
		return "the initrd is not a cpio archive in newc form";
	for (int i = 0; i < NR_FIELDS; i++)
		if (!parse_hex(archive + *pos + 6 + 8 * i, &e->field[i]))
			return "the initrd has a header that is not in hexadecimal digits";
	name_size = e->field[FIELD_NAME_SIZE];
	if (name_size < 2 || name_size > PATH_SIZE || name_size > left - HEADER_SIZE)
		return "the initrd has a name of impossible length";
	e->name = archive + *pos + HEADER_SIZE;
	if (e->name[name_size - 1] != 0)
		return "the initrd has a name without an end";
	at = HEADER_SIZE + name_size;
	at += pad4(at);
	if (at > left || e->field[FIELD_SIZE] > left - at)
		return "the initrd ends inside a file's content";
	e->data = archive + *pos + at;
	at += e->field[FIELD_SIZE];
	at += min_u32(pad4(at), left - at);
	*pos += at;
	return NULL;
}

/* The entry's content becomes the inode's. false: out of memory. */
static bool set_content(struct inode *inode, const struct entry *e)
{
	uint32_t size = e->field[FIELD_SIZE];

	if (is_kind(inode, S_IFREG)) {
		inode_set_source(inode, e->data, size);
	} else if (is_kind(inode, S_IFLNK)) {
		inode->target = os_zalloc(size + 1);
		if (!inode->target)
			return false;
		memcpy(inode->target, e->data, size);
	}
	return true;
}

static struct inode *make_inode(const struct entry *e)
{
	struct inode *inode = inode_new(e->field[FIELD_MODE] & 0177777);

	if (!inode)
		return NULL;
	inode->uid = e->field[FIELD_UID];
	inode->gid = e->field[FIELD_GID];
	inode->atime = inode->mtime = inode->ctime = (int64_t)e->field[FIELD_MTIME] * 1000000000;
	inode->rdev = e->field[FIELD_RDEV_MAJOR] << 8 | (e->field[FIELD_RDEV_MINOR] & 0xff);
	if (set_content(inode, e))
		return inode;
	inode_put(inode);
	return NULL;
}

/* Maps show the name a file was unpacked under. */
static void name_for_maps(struct inode *inode, const char *path)
{
	size_t len = str_len(path);

	inode->name = os_alloc(len + 2);
	if (!inode->name)
		return;
	inode->name[0] = '/';
	memcpy(inode->name + 1, path, len + 1);
	inode->file.name = inode->name;
}

static bool known_kind(uint32_t mode)
{
	mode &= S_IFMT;
	return mode == S_IFREG || mode == S_IFDIR || mode == S_IFLNK || mode == S_IFCHR || mode == S_IFIFO;
}

static const char *add_entry(const struct entry *e)
{
	struct walk_result where;
	struct inode *inode;
	const char *why = NULL;

	if (!known_kind(e->field[FIELD_MODE]))
		return "the initrd has an entry of a kind this kernel does not know";
	if (is_kind(&(struct inode){ .mode = e->field[FIELD_MODE] }, S_IFLNK) &&
	    (e->field[FIELD_SIZE] == 0 || e->field[FIELD_SIZE] >= PATH_SIZE || e->data[0] == 0))
		return "the initrd has a symbolic link of impossible length";
	if (walk(fs_root, e->name, WALK_PARENT | WALK_NOFOLLOW, &where) != 0)
		return "the initrd has an entry before its directory";
	if (where.inode) { /* "." and directories that exist already keep what they are */
		why = is_kind(where.inode, S_IFDIR) ? NULL : "the initrd has one name twice";
		walk_done(&where);
		return why;
	}
	inode = make_inode(e);
	if (!inode || tree_add(where.dir, where.last, inode) != 0)
		why = "the initrd's names do not fit into memory";
	if (inode && is_kind(inode, S_IFREG))
		name_for_maps(inode, e->name);
	inode_put(inode);
	walk_done(&where);
	return why;
}

int cpio_unpack(const char *archive, uint32_t size, const char **why)
{
	uint32_t pos = 0;

	while (pos < size) {
		struct entry e;

		*why = parse_entry(archive, size, &pos, &e);
		if (*why)
			return -EINVAL;
		if (str_eq(e.name, "TRAILER!!!"))
			return 0;
		*why = add_entry(&e);
		if (*why)
			return -EINVAL;
	}
	*why = "the initrd ends without its trailer";
	return -EINVAL;
}
