/* SPDX-License-Identifier: MIT */
/*
 * Differences that are known and right: the live kernel is newer than 6.1, or has options that kmm has not. Each has an id
 * and a reason, is counted when it fires, and one that never fires in a long run is an error: it hides nothing then.
 */
#ifndef KMM_TESTS_ORACLE_EXCEPTIONS_H
#define KMM_TESTS_ORACLE_EXCEPTIONS_H

#include "oracle/step.h"

/* The answers to one step, with the texts of looks; native is the live kernel's. */
struct difference {
	const struct step *steps;
	unsigned at; /* which of them */
	uint64_t start, to; /* the addresses that it names */
	struct answer native, machine;
	const char *native_text, *machine_text;
	uint32_t native_len, machine_len;
};

struct exception {
	const char *id, *reason;
	/* Is this the difference that is meant, and is nothing else different, as far as answers and looks can tell? */
	bool (*covers)(const struct difference *d);
	bool looks_only; /* how it is shown differs, not what is: the program goes on */
	unsigned long fired;
};
extern struct exception oracle_exceptions[];
extern const unsigned oracle_nr_exceptions;

/* In guests nothing is excused but what their emulated processor can be without, on both kernels (scripts/oracle-guests). */
struct guest_exception {
	const char *id, *machine, *processor, *reason;
};
extern const struct guest_exception oracle_guest_exceptions[];
extern const unsigned oracle_nr_guest_exceptions;

/* The first that covers it, counted; NULL: none. If it is not one of looks_only, the step is taken out of the program, since
 * what follows it may differ too, and the program is run again. */
const struct exception *oracle_excuse(const struct difference *d);
/* The same for a step whose answers and looks are equal, but which may have done different things unseen. */
const struct exception *oracle_hidden(const struct difference *d);

#endif
