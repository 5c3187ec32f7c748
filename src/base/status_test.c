/* SPDX-License-Identifier: MIT */
#include "kmm/status.h"

#include <errno.h>
#include <string.h>

#include "base/context.h"
#include "harness/test.h"

KMM_TEST(status_has_a_name_and_an_errno_each)
{
	for (int i = 0; i < KMM_NR_STATUS; i++) {
		CHECK(strncmp(kmm_status_name((enum kmm_status)i), i ? "KMM_E" : "KMM_OK", 5) == 0);
		CHECK((kmm_status_errno((enum kmm_status)i) == 0) == (i == KMM_OK));
	}
	CHECK_STR(kmm_status_name((enum kmm_status)99), "KMM_?");
}

KMM_TEST(status_errnos_are_those_of_the_host)
{
	CHECK_EQ(kmm_status_errno(KMM_ENOMEM), ENOMEM);
	CHECK_EQ(kmm_status_errno(KMM_EINVAL), EINVAL);
	CHECK_EQ(kmm_status_errno(KMM_EACCES), EACCES);
	CHECK_EQ(kmm_status_errno(KMM_EEXIST), EEXIST);
	CHECK_EQ(kmm_status_errno(KMM_EFAULT), EFAULT);
	CHECK_EQ(kmm_status_errno(KMM_EPERM), EPERM);
	CHECK_EQ(kmm_status_errno(KMM_EAGAIN), EAGAIN);
	CHECK_EQ(kmm_status_errno(KMM_EBUSY), EBUSY);
	CHECK_EQ(kmm_status_errno(KMM_ENOENT), ENOENT);
	CHECK_EQ(kmm_status_errno(KMM_ERANGE), ERANGE);
	CHECK_EQ(kmm_status_errno(KMM_EIO), EIO);
	CHECK_EQ(kmm_status_errno(KMM_EOVERFLOW), EOVERFLOW);
	CHECK_EQ(kmm_status_errno(KMM_ENOEXEC), ENOEXEC);
	CHECK_EQ(kmm_status_errno(KMM_ENOTSUP), EOPNOTSUPP);
}

KMM_TEST(names_of_events_kinds_and_regions_are_complete)
{
	for (int i = 0; i < KMM_NR_EVENTS; i++)
		CHECK(kmm_event_name((enum kmm_event)i) != NULL);
	for (int i = 0; i < KMM_NR_KINDS; i++)
		CHECK(kmm_kind_name((enum kmm_kind)i) != NULL);
	for (int i = 0; i < KMM_NR_REGIONS; i++)
		CHECK(kmm_region_name((enum kmm_region_id)i) != NULL);
	CHECK_STR(kmm_event_name(KMM_NR_EVENTS), "?");
}
