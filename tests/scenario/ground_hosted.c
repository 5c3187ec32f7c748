/* SPDX-License-Identifier: MIT */
#include "scenario/ground_hosted.h"

#include "harness/test.h"

static int touch(struct ground *g, struct kmm_mm *mm, uint64_t va, enum kmm_access access, uint8_t *byte)
{
	struct hosted_result r = hosted_access(((struct ground_hosted *)g)->m, mm, va, access, byte, 1);

	return r.ok ? 0 : r.signal;
}

static void put(struct ground *g, struct kmm_mm *mm)
{
	hosted_put_space(((struct ground_hosted *)g)->m, mm);
}

void ground_hosted_open(struct ground_hosted *g, const struct hosted_config *config)
{
	const char *why = "";

	*g = (struct ground_hosted){ .ground = { .touch = touch, .put = put } };
	g->ground.log = hosted_file_sink(&g->err, stderr);
	if (kmm_test_ok((int)hosted_boot(config, &g->m, &why), why, __FILE__, __LINE__))
		g->ground.k = hosted_kmm(g->m);
}

void ground_hosted_close(struct ground_hosted *g)
{
	hosted_shutdown(g->m);
	g->m = NULL;
}
