/* SPDX-License-Identifier: MIT */
/* user.c - user memory, touched only by the core's copy calls. */
#include "proc/task.h"

/* 32-bit programs have all but the last two pages on a 64-bit kernel, as on Linux. */
uint64_t user_end_of(bool is_64)
{
	const uint64_t end_32_on_64 = 0xffffe000u;

	return is_64 || sizeof(uword) == 4 ? kmm_layout_of(os.k)->user_end : end_32_on_64;
}

int copy_in(void *to, uword from, size_t len)
{
	enum kmm_status status = kmm_copy_in(current->proc->mm, to, kmm_uva(from), len, NULL);

	return status == KMM_OK ? 0 : -EFAULT;
}

int copy_out(uword to, const void *from, size_t len)
{
	enum kmm_status status = kmm_copy_out(current->proc->mm, kmm_uva(to), from, len, NULL);

	return status == KMM_OK ? 0 : -EFAULT;
}

size_t copy_in_some(void *to, uword from, size_t len)
{
	size_t done = 0;

	return kmm_copy_in(current->proc->mm, to, kmm_uva(from), len, &done) == KMM_OK ? len : done;
}

size_t copy_out_some(uword to, const void *from, size_t len)
{
	size_t done = 0;

	return kmm_copy_out(current->proc->mm, kmm_uva(to), from, len, &done) == KMM_OK ? len : done;
}

int get_words(uword *to, uword from, unsigned count)
{
	uint32_t narrow[MAX_WORDS];

	if (sizeof(*to) == sizeof(*narrow) || abi_64())
		return copy_in(to, from, count * sizeof(*to));
	if (copy_in(narrow, from, count * sizeof(*narrow)) != 0)
		return -EFAULT;
	for (unsigned i = 0; i < count; i++)
		to[i] = narrow[i];
	return 0;
}

int put_words(uword to, const uword *from, unsigned count)
{
	uint32_t narrow[MAX_WORDS];

	if (sizeof(*from) == sizeof(*narrow) || abi_64())
		return copy_out(to, from, count * sizeof(*from));
	for (unsigned i = 0; i < count; i++)
		narrow[i] = (uint32_t)from[i];
	return copy_out(to, narrow, count * sizeof(*narrow));
}

int copy_in_path(uword from, char **out)
{
	char *path = os_alloc(PATH_SIZE);
	enum kmm_status status;
	size_t len;

	if (!path)
		return -ENOMEM;
	status = kmm_copy_in_string(current->proc->mm, path, kmm_uva(from), PATH_SIZE, &len);
	if (status == KMM_OK) {
		*out = path;
		return 0;
	}
	os_free(path);
	return status == KMM_EOVERFLOW ? -ENAMETOOLONG : -EFAULT;
}
