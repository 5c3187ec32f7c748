/* SPDX-License-Identifier: MIT */
/*
 * Stalls by a clock that the test moves: totals to the microsecond, averages to the figures that Linux's arithmetic gives, the
 * machine's and those of groups, and that reclaim and swap report theirs.
 */
#include "group/group.h"

#include <string.h>

#include "harness/space.h"
#include "kmm/reclaim.h"

enum { MS = 1000000, AT = 0x20000000 };
#define SECOND 1000000000ull

static uint64_t clock_ns;
static unsigned others_now, begun, ended, ticks;

static uint64_t read_clock(struct kmm_port *port)
{
	(void)port;
	return clock_ns;
}

/* Time goes on while somebody waits. */
static unsigned note_stall(struct kmm_port *port, enum kmm_stall what)
{
	(void)port;
	begun += what == KMM_STALL_BEGINS;
	ended += what == KMM_STALL_ENDS;
	ticks += what == KMM_STALL_GOES_ON;
	clock_ns += what == KMM_STALL_ENDS ? MS : 0;
	return others_now;
}

static void start(struct space *s)
{
	CALL(space_start(s, KMM_X86_64));
	clock_ns = 0;
	others_now = begun = ended = ticks = 0;
	s->k->port->time_ns = read_clock;
	s->k->port->stall = note_stall;
}

static void check_text(struct space *s, const char *expected)
{
	struct hosted_text text;

	kmm_report_pressure(s->k, hosted_text_init(&text));
	CHECK_STR(text.text, expected);
	hosted_text_free(&text);
}

/* One thread waits half of each second for as long as it takes, while another runs in the first half of that. */
KMM_TEST(stall_totals_and_averages)
{
	struct space s;

	CALL(start(&s));
	CALL(check_text(&s, "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
			    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"));
	for (unsigned n = 0; n < 10; n++) {
		others_now = 1;
		kmm_stall_begin(s.k);
		clock_ns += 250 * MS;
		others_now = 0;
		kmm_pressure_tick(s.k);
		clock_ns += 249 * MS; /* and one more in the hook */
		kmm_stall_end(s.k, NULL);
		clock_ns += 500 * MS;
	}
	CHECK_EQ(ticks, 10);
	kmm_pressure_tick(s.k);
	CHECK_EQ(ticks, 10); /* nobody waits */
	/* five steps of 2 s with 50 and 25 %: 50 * (1 - (1677 / 2048)^5) and so on */
	CALL(check_text(&s, "some avg10=31.59 avg60=7.66 avg300=1.68 total=5000000\n"
			    "full avg10=15.79 avg60=3.83 avg300=0.84 total=2500000\n"));
	clock_ns += 600 * SECOND;
	CALL(check_text(&s, "some avg10=0.00 avg60=0.00 avg300=0.21 total=5000000\n"
			    "full avg10=0.00 avg60=0.00 avg300=0.10 total=2500000\n"));
	CALL(space_stop(&s));
}

/* Two at once are one `some`; a wait that goes on for minutes is seen while it does. */
KMM_TEST(stall_of_several)
{
	struct kmm_pressure p;
	struct space s;

	CALL(start(&s));
	kmm_stall_begin(s.k);
	kmm_stall_begin(s.k);
	clock_ns += SECOND;
	kmm_stall_end(s.k, NULL);
	clock_ns += SECOND;
	kmm_pressure(s.k, &p);
	CHECK_EQ(p.some.total_us, 2001000);
	CHECK_EQ(p.full.total_us, 2001000);
	for (unsigned n = 0; n < 900; n++) {
		clock_ns += SECOND;
		kmm_pressure_tick(s.k);
	}
	kmm_pressure(s.k, &p);
	CHECK(p.some.avg[0] == 10000 && p.some.avg[1] == 10000 && p.some.avg[2] > 9000);
	kmm_stall_end(s.k, NULL);
	CHECK_EQ(s.k->pageq->stalls.nr, 0);
	CALL(space_stop(&s));
}

/* Who reads from swap waits, and who reclaims for himself does; each wait ends. */
KMM_TEST(stall_of_reclaim_and_swap)
{
	struct hosted_config config = { .machine = { .format = KMM_X86_64, .nr_cpus = 1 }, .ram_bytes = 16 << 20 };
	struct hosted_swap *disk;
	struct kmm_pressure p;
	const char *why = "";
	unsigned before;
	struct space s;

	hosted_set_cpu(0);
	CHECK_OK(hosted_boot(&config, &s.m, &why));
	s.k = hosted_kmm(s.m);
	s.k->port->time_ns = read_clock;
	s.k->port->stall = note_stall;
	begun = ended = 0;
	CHECK_OK(kmm_mm_create(s.k, &s.mm));
	disk = hosted_swap_open(s.m, 8192 * SPACE_PAGE);
	CHECK_OK(kmm_swap_on(s.k, hosted_swap_device(disk), -1));
	CHECK_EQ(space_map(&s, AT, 4000, SPACE_RW, SPACE_ANON), 0);
	for (unsigned i = 0; i < 4000; i++) {
		uint64_t value = i + 1000;

		CHECK(hosted_write_user(s.m, s.mm, AT + i * SPACE_PAGE, &value, sizeof(value)).ok);
	}
	CHECK(begun > 0);
	CHECK_EQ(begun, ended);
	before = begun;
	while (kmm_reclaim_pages(s.k, 10000)) /* nobody waits for that */
		;
	CHECK_EQ(begun, before);
	CHECK_EQ(space_peek(&s, s.mm, AT), 1000 & 255);
	CHECK(begun > before);
	CHECK_EQ(begun, ended);
	kmm_pressure(s.k, &p);
	CHECK(p.some.total_us > 0);
	CALL(space_stop(&s));
	hosted_swap_close(disk);
}

/* ---- groups ---- */

static struct kmm_mm *running;
static struct kmm_group *busy; /* in which, and so above which, somebody has something to do */

static struct kmm_mm *running_space(struct kmm_port *port)
{
	(void)port;
	return running;
}

static bool group_busy(struct kmm_port *port, struct kmm_group *group)
{
	(void)port;
	return busy && kmm_group_is_below(busy, group);
}

static void check_group(struct kmm_group *group, const char *expected)
{
	struct hosted_text text;

	kmm_report_group_pressure(group, hosted_text_init(&text));
	CHECK_STR(text.text, expected);
	hosted_text_free(&text);
}

#define NOTHING "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"

/* top has a and b. A thread of a waits for half of each second, one of b runs for the first half of that. */
KMM_TEST(stall_of_groups)
{
	struct kmm_group *top, *a, *b, *held;
	struct kmm_mm *other;
	struct space s;

	CALL(start(&s));
	clock_ns = 1000 * SECOND; /* before there is a group nothing of it can have been lost */
	CHECK_OK(kmm_mm_create(s.k, &other));
	CHECK_OK(kmm_group_create(s.k, NULL, &top));
	CHECK_OK(kmm_group_create(s.k, top, &a));
	CHECK_OK(kmm_group_create(s.k, top, &b));
	CHECK_OK(kmm_mm_set_group(s.mm, a));
	CHECK_OK(kmm_mm_set_group(other, b));
	s.k->port->running_space = running_space;
	s.k->port->group_busy = group_busy;
	for (unsigned n = 0; n < 10; n++) {
		running = s.mm;
		busy = b;
		others_now = 1;
		held = kmm_stall_begin(s.k);
		CHECK(held == a);
		clock_ns += 250 * MS;
		busy = NULL;
		running = other; /* who is interrupted by the clock */
		kmm_pressure_tick(s.k);
		clock_ns += 249 * MS; /* and one more in the hook */
		kmm_stall_end(s.k, held);
		clock_ns += 500 * MS;
	}
	CALL(check_group(a, "some avg10=31.59 avg60=7.66 avg300=1.68 total=5000000\n"
			    "full avg10=31.59 avg60=7.66 avg300=1.68 total=5000000\n"));
	CALL(check_group(top, "some avg10=31.59 avg60=7.66 avg300=1.68 total=5000000\n"
			      "full avg10=15.79 avg60=3.83 avg300=0.84 total=2500000\n"));
	CALL(check_group(b, NOTHING));
	CHECK(kmm_list_empty(&s.k->groups->stalled));
	/* Who leaves while he waits counts where he was, and that group stays as long. */
	running = s.mm;
	held = kmm_stall_begin(s.k);
	CHECK_OK(kmm_mm_set_group(s.mm, b));
	CHECK_OK(kmm_group_remove(a));
	hosted_put_space(s.m, s.mm);
	s.mm = NULL;
	CHECK_OK(kmm_group_create(s.k, top, &a)); /* sweeps */
	clock_ns += SECOND - MS;
	kmm_stall_end(s.k, held);
	CALL(check_group(b, NOTHING));
	CALL(check_group(a, NOTHING));
	CALL(check_group(top, "some avg10=31.59 avg60=7.66 avg300=1.68 total=6000000\n"
			      "full avg10=15.79 avg60=3.83 avg300=0.84 total=3500000\n"));
	running = NULL;
	hosted_put_space(s.m, other);
	CHECK_OK(kmm_group_remove(a));
	CHECK_OK(kmm_group_remove(b));
	CHECK_OK(kmm_group_remove(top));
	CALL(space_stop(&s));
}
