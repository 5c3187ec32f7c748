/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "textbook.h"

#include <string.h>

/* Major faults with 16300 frames on sequences of nominally 16384 pages, counted by another program. */
KMM_TEST(textbook_counts_as_others_do)
{
	static const struct { const char *name; uint64_t major[NR_BOOKS][3]; } known[] = {
		{ "cyclic", { { 0, 24576, 24576 }, { 0, 24576, 24576 }, { 0, 24576, 24576 }, { 0, 8276, 8276 } } },
		{ "uniform", { { 0, 5552, 5570 }, { 0, 5562, 5578 }, { 0, 5562, 5565 }, { 0, 0, 1849 } } },
		{ "skewed", { { 0, 9244, 8020 }, { 0, 8902, 7308 }, { 0, 8902, 7277 }, { 0, 0, 4053 } } },
		{ "hotscan", { { 0, 18135, 0 }, { 0, 1765, 0 }, { 0, 302, 0 }, { 0, 0, 0 } } },
	};
	struct replay_counts counts[SEQUENCE_PHASES];
	struct sequence s;

	for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		CHECK(sequence_make(&s, known[i].name, 16384, 0));
		for (unsigned policy = 0; policy < NR_BOOKS; policy++) {
			textbook_run((enum textbook)policy, &s, 16300, counts);
			for (unsigned phase = 0; phase < s.nr_phases; phase++)
				CHECK_EQ(counts[phase].major, known[i].major[policy][phase]);
		}
		sequence_free(&s);
	}
}

/* Belady's own reference string, with three and four frames: FIFO does worse with more. */
KMM_TEST(textbook_anomaly)
{
	static const uint32_t string[] = { 1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5 };
	char text[64] = "", error[SEQUENCE_ERROR];
	struct replay_counts three[SEQUENCE_PHASES], four[SEQUENCE_PHASES];
	struct sequence s;
	FILE *in;

	for (unsigned i = 0; i < 12; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u000\n", string[i]);
	in = fmemopen(text, strlen(text), "r");
	CHECK(sequence_read(&s, in, "string", error));
	fclose(in);
	CHECK_EQ(s.nr_pages, 5);
	textbook_run(BOOK_FIFO, &s, 3, three);
	textbook_run(BOOK_FIFO, &s, 4, four);
	CHECK_EQ(three[0].first + three[0].major, 9);
	CHECK_EQ(four[0].first + four[0].major, 10);
	textbook_run(BOOK_OPT, &s, 3, three);
	CHECK_EQ(three[0].first + three[0].major, 7);
	sequence_free(&s);
}

KMM_TEST(sequence_reads_traces)
{
	static char good[] = "==12== lackey\nI  04001000,3\n S 1ffefffff8,16\n L 04001008,8\n\n# ours\nr 5000\nw 0x5fff\n 1ffeffffff\n";
	static const uint32_t pages[] = { 1, 2, 3, 1, 0, 0, 2 };
	char error[SEQUENCE_ERROR];
	struct sequence s;
	FILE *in = fmemopen(good, strlen(good), "r");

	CHECK(sequence_read(&s, in, "good", error));
	fclose(in);
	CHECK_EQ(s.nr, 7);
	CHECK_EQ(s.nr_pages, 4);
	for (unsigned i = 0; i < 7; i++)
		CHECK_EQ(s.page[i], pages[i]);
	sequence_free(&s);
}

KMM_TEST(sequence_refuses_what_is_no_trace)
{
	static const char *const bad[] = { "", "hello\n", "r\n", "w 1000,\n", "w 1000,0\n", "w 1000,5000\n", "w 10000000000000000\n",
					   "r 1000 2000\n", "w ffffffffffffffff,2\n" };
	char error[SEQUENCE_ERROR];
	struct sequence s;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		FILE *in = *bad[i] ? fmemopen((void *)(uintptr_t)bad[i], strlen(bad[i]), "r") : fopen("/dev/null", "r");

		error[0] = '\0';
		CHECK(!sequence_read(&s, in, "bad", error));
		CHECK(strstr(error, "bad") != NULL);
		fclose(in);
	}
}
