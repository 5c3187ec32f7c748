/* SPDX-License-Identifier: MIT */
/* A simulated machine as a ground. */
#ifndef KMM_TESTS_SCENARIO_GROUND_HOSTED_H
#define KMM_TESTS_SCENARIO_GROUND_HOSTED_H

#include "hosted.h"
#include "scenario/ground.h"

struct ground_hosted {
	struct ground ground; /* first */
	struct hosted_machine *m;
	struct hosted_file_sink err;
};

/* Boots a machine; fails the running test when that fails. */
void ground_hosted_open(struct ground_hosted *g, const struct hosted_config *config);
void ground_hosted_close(struct ground_hosted *g);

#endif
