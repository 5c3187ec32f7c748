/* SPDX-License-Identifier: MIT */
/*
 * Machines that are hibernated to a file: a swap disk over a file that stays. The kernel puts the head of an image into
 * page 0 (apps/os/hibernate.c); its note says what the kernel does not know, but a second machine must have too:
 *
 *	note=ram:BYTES,input:N
 */
#include "sleeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmm/hibernate.h"
#include "kmm/machine.h"

enum { HEAD_AT = 1536, MAGIC_AT = 4086, LEAST = 1 << 20 };

static const char image_magic[] = "KMMIMAGE01";

/* false: there is no image in it. */
static bool read_head(const char *path, int fd, struct kmm_image_head *head)
{
	char magic[sizeof(image_magic) - 1];
	const char *why;

	if (pread(fd, magic, sizeof(magic), MAGIC_AT) != (ssize_t)sizeof(magic) || memcmp(magic, image_magic, sizeof(magic)) != 0)
		return false;
	if (pread(fd, head, sizeof(*head), HEAD_AT) != (ssize_t)sizeof(*head))
		STOP(EXIT_INPUT, "%s: %s", path, strerror(errno));
	if (!kmm_image_head_good(head, &why))
		STOP(EXIT_INPUT, "%s: %s", path, why);
	return true;
}

static int open_new(struct run *r)
{
	int fd = open(r->hibernate, O_RDWR | O_CREAT, 0600);
	struct kmm_image_head head;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		STOP(EXIT_INPUT, "--hibernate %s: %s", r->hibernate, strerror(errno));
	if (read_head(r->hibernate, fd, &head))
		STOP(EXIT_INPUT, "%s holds a hibernated machine; --resume %s goes on with it", r->hibernate, r->hibernate);
	if (r->swap && S_ISREG(st.st_mode) && ftruncate(fd, (off_t)r->swap) != 0)
		STOP(EXIT_INPUT, "--hibernate %s: %s", r->hibernate, strerror(errno));
	if (!r->swap && S_ISREG(st.st_mode) && st.st_size < LEAST)
		STOP(EXIT_USAGE, "--hibernate %s: the file is too small for a swap disk; --swap SIZE makes it that large", r->hibernate);
	return fd;
}

/* The same machine again. */
static int open_image(struct run *r)
{
	int fd = open(r->resume, O_RDWR);
	struct kmm_image_head head;
	uint64_t ram;

	if (fd < 0)
		STOP(EXIT_INPUT, "--resume %s: %s", r->resume, strerror(errno));
	if (!read_head(r->resume, fd, &head))
		STOP(EXIT_INPUT, "%s holds no hibernated machine, or it went on already", r->resume);
	head.note[KMM_IMAGE_NOTE - 1] = 0;
	if (sscanf(head.note, "ram:%" SCNu64 ",input:%u", &ram, &r->input) != 2 || r->input > GUEST_INPUT_TERMINAL)
		STOP(EXIT_INPUT, "%s: the image was not made by kmm run", r->resume);
	r->machine = r->machine ? r->machine : kmm_format_name((enum kmm_format_id)head.format);
	r->ram = r->ram_given ? r->ram : ram;
	r->cpus = r->cpus_given ? r->cpus : head.nr_cpus;
	return fd;
}

int sleeper_open(struct run *r)
{
	return r->resume ? open_image(r) : open_new(r);
}

void sleeper_words(const struct run *r, enum guest_input input, char *text, size_t size)
{
	snprintf(text, size, "%s%s note=ram:%" PRIu64 ",input:%u", r->resume ? " resume=vda" : "",
		 r->program ? " swap=vda" : "", r->ram, (unsigned)input);
}

enum guest_input sleeper_input(const struct run *r)
{
	return (enum guest_input)r->input == GUEST_INPUT_TERMINAL && !isatty(STDIN_FILENO) ? GUEST_INPUT_NONE : (enum guest_input)r->input;
}
