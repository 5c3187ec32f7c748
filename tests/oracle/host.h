/* SPDX-License-Identifier: MIT */
/* The native program as the runner's child: starts it, hands it programs, starts it again when it was lost. */
#ifndef KMM_TESTS_ORACLE_HOST_H
#define KMM_TESTS_ORACLE_HOST_H

#include "oracle/native.h"

struct host {
	struct shared *shared; /* at another address than in the child */
	int memory, to, from;
	int pid;
	const char *program;
};

/* false: errno says why. */
bool host_start(struct host *h, const char *program);
void host_stop(struct host *h);
/* Carries out steps; the answers are in h->shared. false: the child died or did not answer; it was started again. */
bool host_run(struct host *h, const struct step *steps, unsigned nr);

#endif
