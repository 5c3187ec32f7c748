/* SPDX-License-Identifier: MIT */
/*
 * user.c - user memory, touched only by the core's copy calls. One that fails may have met damaged page tables, which end
 * the program (corrupt.c); the caller sees EFAULT.
 */
#include "proc/cgroup.h"
#include "sig/sig.h"

/* 32-bit programs have all but the last two pages on a 64-bit kernel, or what they would have on a 32-bit one, as on Linux. */
uint64_t user_end_of(bool is_64)
{
	const uint64_t end_32_on_64 = current->personality & PER_3GB ? 0xc0000000u : 0xffffe000u;

	return is_64 || sizeof(uword) == 4 ? kmm_layout_of(os.k)->user_end : end_32_on_64;
}

/* A copy stopped at `at`. If that is because the process's group has no more memory, somebody of it is ended as in a fault of
 * the program's own. true: the copy makes sense again. *last: where it stopped before. */
static bool may_go_on(struct kmm_mm *mm, uword at, enum kmm_access access, uword *last)
{
	struct kmm_fault_info info = { .addr = { at }, .access = access, .stack_pointer = { x86_frame_sp(task_frame(current)) } };
	enum kmm_fault_kind kind;

	if (!kmm_mm_group(mm) || current->proc->oom_killed)
		return false;
	kind = kmm_handle_fault(mm, &info);
	if (kind == KMM_FAULT_OOM) {
		oom_fault(at);
		return !current->proc->oom_killed;
	}
	if (kind != KMM_FAULT_OK || *last == at)
		return false;
	*last = at;
	return true;
}

static enum kmm_status in(void *to, uword from, size_t len, size_t *done)
{
	struct kmm_mm *mm = current->proc->mm;
	enum kmm_status status;
	uword last = 0;

	do
		status = kmm_copy_in(mm, to, kmm_uva(from), len, done);
	while (status != KMM_OK && may_go_on(mm, from + *done, KMM_READ, &last));
	if (status != KMM_OK)
		corrupt_copy(mm, from + *done, 1);
	return status;
}

static enum kmm_status out(uword to, const void *from, size_t len, size_t *done)
{
	struct kmm_mm *mm = current->proc->mm;
	enum kmm_status status;
	uword last = 0;

	do
		status = kmm_copy_out(mm, kmm_uva(to), from, len, done);
	while (status != KMM_OK && may_go_on(mm, to + *done, KMM_WRITE, &last));
	if (status != KMM_OK)
		corrupt_copy(mm, to + *done, 1);
	return status;
}

int copy_in(void *to, uword from, size_t len)
{
	size_t done;

	return in(to, from, len, &done) == KMM_OK ? 0 : -EFAULT;
}

int copy_out(uword to, const void *from, size_t len)
{
	size_t done;

	return out(to, from, len, &done) == KMM_OK ? 0 : -EFAULT;
}

size_t copy_in_some(void *to, uword from, size_t len)
{
	size_t done;

	return in(to, from, len, &done) == KMM_OK ? len : done;
}

size_t copy_out_some(uword to, const void *from, size_t len)
{
	size_t done;

	return out(to, from, len, &done) == KMM_OK ? len : done;
}

enum kmm_status copy_in_string(char *to, uword from, size_t size, size_t *len)
{
	enum kmm_status status = kmm_copy_in_string(current->proc->mm, to, kmm_uva(from), size, len);

	if (status == KMM_EFAULT)
		corrupt_copy(current->proc->mm, from, size);
	return status;
}

int compare_swap(uword at, uint32_t *expected, uint32_t desired, bool *swapped)
{
	struct kmm_mm *mm = current->proc->mm;

	if (kmm_compare_swap_user(mm, kmm_uva(at), expected, desired, swapped) == KMM_OK)
		return 0;
	corrupt_copy(mm, at, sizeof(*expected));
	return -EFAULT;
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
	status = copy_in_string(path, from, PATH_SIZE, &len);
	if (status == KMM_OK) {
		*out = path;
		return 0;
	}
	os_free(path);
	return status == KMM_EOVERFLOW ? -ENAMETOOLONG : -EFAULT;
}
