/* SPDX-License-Identifier: MIT */
/*
 * The page cache, shared and private mappings of files, truncation, radix nodes.
 */
#include "vm/backing.h"

#include "harness/space.h"

enum { SEGV = 11, BUS = 7 };
#define AT 0x20000000ull

static uint64_t page(unsigned n) { return AT + n * SPACE_PAGE; }

/* Page n of a filled file holds n + 1 in every byte. */
static enum kmm_status fill_numbers(struct kmm_file *file, uint64_t index, void *to)
{
	(void)file;
	memset(to, (int)index + 1, KMM_PAGE_SIZE);
	return index == 66 ? KMM_EIO : KMM_OK;
}

static void file_start(struct space *s, struct kmm_file *file, enum kmm_format_id format, uint64_t pages)
{
	CALL(space_start(s, format));
	kmm_file_init(file, s->k, pages * SPACE_PAGE, "/file");
	file->fill = fill_numbers;
}

static void file_stop(struct space *s, struct kmm_file *file)
{
	CALL(space_audit(s));
	hosted_put_space(s->m, s->mm);
	s->mm = NULL;
	kmm_backing_put(&file->backing);
	CALL(space_stop(s));
}

KMM_TEST(file_reads_and_writes)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_file file;
		struct space s;
		char buf[3 * 4096];
		size_t done;

		CALL(file_start(&s, &file, space_formats[f], 4));
		CHECK_OK(kmm_file_read(&file, 4090, buf, 12, &done));
		CHECK_EQ(done, 12);
		CHECK_EQ(buf[5], 1);
		CHECK_EQ(buf[6], 2);
		CHECK_OK(kmm_file_read(&file, 4 * 4096 - 5, buf, 100, &done));
		CHECK_EQ(done, 5);
		CHECK_OK(kmm_file_read(&file, 1 << 20, buf, 100, &done));
		CHECK_EQ(done, 0);
		CHECK_OK(kmm_file_write(&file, 5 * 4096 + 10, "tail", 4, &done));
		CHECK_EQ(done, 4);
		CHECK_EQ(file.size, 5 * 4096 + 14);
		memset(buf, 9, sizeof(buf));
		CHECK_OK(kmm_file_read(&file, 4 * 4096, buf, sizeof(buf), &done));
		CHECK_EQ(done, 4096 + 14);
		CHECK_EQ(buf[4095], 0); /* the gap is a hole */
		CHECK_EQ(memcmp(buf + 4096 + 10, "tail", 4), 0);
		CHECK_EQ(kmm_file_write(&file, UINT64_MAX - 1, "x", 1, &done), KMM_EINVAL);
		CALL(file_stop(&s, &file));
	}
}

KMM_TEST(file_mappings_share_the_cache)
{
	for (unsigned f = 0; f < SPACE_NR_FORMATS; f++) {
		struct kmm_file file;
		struct space s;
		size_t done;
		char byte;

		CALL(file_start(&s, &file, space_formats[f], 4));
		CHECK_EQ(space_map_file(&s, page(0), 4, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
		CHECK_EQ(space_map_file(&s, page(10), 4, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 2);
		CHECK_EQ(space_peek(&s, s.mm, page(11)), 2);
		CHECK_EQ(space_poke(&s, s.mm, page(1), 50), 0); /* seen by all */
		CHECK_EQ(space_peek(&s, s.mm, page(11)), 50);
		CHECK_OK(kmm_file_read(&file, 4096, &byte, 1, &done));
		CHECK_EQ(byte, 50);
		CHECK_EQ(space_poke(&s, s.mm, page(11), 60), 0); /* seen by none */
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 50);
		CHECK_EQ(space_peek(&s, s.mm, page(11)), 60);
		CHECK_OK(kmm_file_write(&file, 4096, "G", 1, &done));
		CHECK_EQ(space_peek(&s, s.mm, page(1)), 'G');
		CHECK_EQ(space_peek(&s, s.mm, page(11)), 60);
		CHECK_EQ(space_poke(&s, s.mm, page(12), 61), 0); /* first touch is a write */
		CHECK_EQ(space_peek(&s, s.mm, page(2)), 3);
		CALL(file_stop(&s, &file));
	}
}

KMM_TEST(file_end_and_truncation)
{
	struct kmm_file file;
	struct kmm_mm *other;
	struct space s;
	size_t done;
	char byte;

	CALL(file_start(&s, &file, KMM_I386_PAE, 4));
	CHECK_EQ(space_map_file(&s, page(0), 6, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_map_file(&s, page(10), 6, SPACE_RW, KMM_MAP_PRIVATE, &file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(4)), -BUS);
	CHECK_EQ(space_poke(&s, s.mm, page(14), 1), -BUS);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(space_peek(&s, s.mm, page(i)), i + 1);
		CHECK_EQ(space_poke(&s, s.mm, page(10 + i), (uint8_t)(100 + i)), 0);
	}
	CHECK_OK(kmm_mm_fork(s.mm, &other));
	CHECK_OK(kmm_file_truncate(&file, 2 * 4096 + 100));
	CALL(space_audit(&s));
	CHECK_EQ(space_peek(&s, s.mm, page(2) + 99), 3);
	CHECK_EQ(space_peek(&s, s.mm, page(2) + 100), 0); /* the rest of the last page is zeros */
	CHECK_EQ(space_peek(&s, s.mm, page(3)), -BUS);
	CHECK_EQ(space_peek(&s, s.mm, page(13)), -BUS); /* private copies go too */
	CHECK_EQ(space_peek(&s, other, page(13)), -BUS);
	CHECK_EQ(space_peek(&s, other, page(12)), 102);
	CHECK_OK(kmm_file_truncate(&file, 4 * 4096)); /* grown again: zeros, whatever fill says */
	CHECK_OK(kmm_file_read(&file, 2 * 4096 + 100, &byte, 1, &done));
	CHECK_EQ(byte, 0);
	CHECK_EQ(space_peek(&s, s.mm, page(3)), 0);
	hosted_put_space(s.m, other);
	CALL(file_stop(&s, &file));
}

/* Truncation within a page that nobody had read yet. */
KMM_TEST(file_truncation_before_reading)
{
	struct kmm_file file;
	struct space s;
	char buf[8192];
	size_t done;

	CALL(file_start(&s, &file, KMM_X86_64, 4));
	CHECK_OK(kmm_file_truncate(&file, 4096 + 10));
	CHECK_EQ(file.nr_pages, 0);
	CHECK_OK(kmm_file_truncate(&file, 4 * 4096));
	CHECK_OK(kmm_file_read(&file, 4096, buf, sizeof(buf), &done));
	CHECK_EQ(buf[9], 2);
	CHECK_EQ(buf[10], 0);
	CHECK_EQ(buf[4096], 0);
	CALL(file_stop(&s, &file));
}

KMM_TEST(file_io_errors)
{
	struct kmm_file file;
	struct hosted_result r;
	struct space s;
	uint8_t byte;
	size_t done;

	CALL(file_start(&s, &file, KMM_I386, 100));
	CHECK_EQ(space_map_file(&s, page(0), 1, SPACE_R, KMM_MAP_SHARED, &file, 66), 0);
	r = hosted_read_user(s.m, s.mm, page(0), &byte, 1);
	CHECK_EQ(r.signal, BUS);
	CHECK_EQ(kmm_file_read(&file, 66 * 4096 + 5, &byte, 1, &done), KMM_EIO);
	CHECK_EQ(file.nr_pages, 0);
	CALL(file_stop(&s, &file));
}

/* Shared anonymous memory goes on in a child, and its pages are shmem. */
KMM_TEST(file_shared_anonymous)
{
	struct kmm_mm_stats stats;
	struct hosted_text text;
	struct kmm_mm *child;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	CHECK_EQ(space_map(&s, page(0), 4, SPACE_RW, SPACE_SHARED), 0);
	CHECK_EQ(space_poke(&s, s.mm, page(1), 7), 0);
	CHECK_OK(kmm_mm_fork(s.mm, &child));
	CHECK_EQ(space_peek(&s, child, page(1)), 7);
	CHECK_EQ(space_poke(&s, child, page(2), 8), 0);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 8);
	kmm_mm_stats(s.mm, &stats);
	CHECK_EQ(stats.rss_shmem, 2);
	CHECK_EQ(stats.rss_anon + stats.rss_file, 0);
	kmm_report_maps(child, hosted_text_init(&text));
	CHECK_STR(text.text, "20000000-20004000 rw-s 00000000 00:01 1025                               "
			     "/dev/zero (deleted)\n");
	hosted_text_free(&text);
	hosted_put_space(s.m, child);
	CHECK_EQ(space_peek(&s, s.mm, page(2)), 8);
	CALL(space_stop(&s));
}

/* ---- the index ---- */

struct indexed {
	uint64_t at[64];
	struct kmm_page *page[64];
	unsigned nr;
};

static void index_compare(struct kmm *k, void *root, const struct indexed *x)
{
	uint64_t at = 0, want;
	unsigned met = 0;

	for (unsigned i = 0; i < x->nr; i++)
		CHECK_PTR(kmm_radix_get(k, root, x->at[i]), x->page[i]);
	for (struct kmm_page *p; (p = kmm_radix_next(k, root, &at)) != NULL; at++, met++) {
		want = UINT64_MAX;
		for (unsigned i = 0; i < x->nr; i++)
			if (x->page[i] == p)
				want = x->at[i];
		CHECK_EQ(at, want);
	}
	CHECK_EQ(met, x->nr);
}

/* Numbers of all sizes, so that the tree gets high and low. */
KMM_TEST(file_index_random)
{
	uint64_t seed = kmm_test_seed(), at;
	struct indexed x = { .nr = 0 };
	void *root = NULL;
	struct space s;

	CALL(space_start(&s, KMM_X86_64));
	for (unsigned step = 0; step < 3000; step++) {
		unsigned n = (unsigned)(kmm_test_rand(&seed) % 64);

		at = kmm_test_rand(&seed) >> (12 + kmm_test_rand(&seed) % 52);
		if (n < x.nr) {
			kmm_radix_remove(s.k, &root, x.at[n]);
			kmm_free_pages(s.k, x.page[n], 0);
			x.nr--;
			x.at[n] = x.at[x.nr];
			x.page[n] = x.page[x.nr];
		} else if (!kmm_radix_get(s.k, root, at)) {
			x.at[x.nr] = at;
			x.page[x.nr] = kmm_alloc_pages(s.k, KMM_GFP_KERNEL, 0);
			if (kmm_test_rand(&seed) % 4 == 0)
				kmm_fail_nth(s.k, 1 + kmm_test_rand(&seed) % 4);
			if (kmm_radix_insert(s.k, &root, at, x.page[x.nr]) == KMM_OK)
				x.nr++;
			else
				kmm_free_pages(s.k, x.page[x.nr], 0);
			kmm_fail_nth(s.k, 0);
		}
		CALL(index_compare(s.k, root, &x));
	}
	while (x.nr--) {
		kmm_radix_remove(s.k, &root, x.at[x.nr]);
		kmm_free_pages(s.k, x.page[x.nr], 0);
	}
	CHECK(root == NULL);
	CALL(space_stop(&s));
}

/* ---- seals ---- */

static int map_file(struct space *s, uint64_t at, unsigned prot, unsigned flags, struct kmm_file *file)
{
	return space_map_file(s, at, 1, prot, flags, file, 0);
}

KMM_TEST(file_seals)
{
	struct kmm_file file;
	struct space s;
	size_t done;

	CALL(space_start(&s, KMM_X86_64));
	kmm_file_init(&file, s.k, 0, "file");
	CHECK_EQ(kmm_file_add_seals(&file, KMM_SEAL_GROW), KMM_EPERM);
	file.seals = 0;
	CHECK_OK(kmm_file_write(&file, 0, "0123456789", 10, &done));
	CHECK_EQ(kmm_file_add_seals(&file, 32), KMM_EINVAL);
	CHECK_OK(kmm_file_add_seals(&file, KMM_SEAL_GROW));
	CHECK_EQ(kmm_file_write(&file, 9, "xy", 2, &done), KMM_EPERM);
	CHECK_EQ(done, 0);
	CHECK_EQ(kmm_file_truncate(&file, 11), KMM_EPERM);
	CHECK_OK(kmm_file_truncate(&file, 9));
	CHECK_OK(kmm_file_add_seals(&file, KMM_SEAL_SHRINK));
	CHECK_EQ(kmm_file_truncate(&file, 8), KMM_EPERM);
	CHECK_EQ(map_file(&s, 0x20000000, SPACE_RW, KMM_MAP_SHARED, &file), 0);
	CHECK_EQ(kmm_file_add_seals(&file, KMM_SEAL_WRITE), KMM_EBUSY);
	CHECK_OK(kmm_file_add_seals(&file, KMM_SEAL_FUTURE_WRITE));
	CHECK_EQ(map_file(&s, 0x20002000, SPACE_RW, KMM_MAP_SHARED, &file), 1);
	CHECK_EQ(map_file(&s, 0x20002000, SPACE_R, KMM_MAP_SHARED, &file), 0);
	CHECK_EQ(space_protect(&s, 0x20002000, 1, SPACE_RW), 13);
	CHECK_EQ(space_poke(&s, s.mm, 0x20000000, 'a'), 0);
	CHECK_EQ(kmm_file_punch(&file, 0, 1), KMM_EPERM);
	CHECK_EQ(space_unmap(&s, 0x20000000, 1), 0);
	CHECK_OK(kmm_file_add_seals(&file, KMM_SEAL_WRITE | KMM_SEAL_SEAL)); /* a mapping that can only be read may stay */
	CHECK_EQ(map_file(&s, 0x20001000, SPACE_R, KMM_MAP_SHARED, &file), 0);
	CHECK_EQ(space_protect(&s, 0x20001000, 1, SPACE_RW), 13);
	CHECK_EQ(map_file(&s, 0x20003000, SPACE_RW, KMM_MAP_SHARED, &file), 1);
	CHECK_EQ(space_unmap(&s, 0x20001000, 2), 0);
	CHECK_EQ(map_file(&s, 0x20002000, SPACE_RW, KMM_MAP_PRIVATE, &file), 0);
	CHECK_EQ(space_peek(&s, s.mm, 0x20002000), 'a');
	CHECK_EQ(space_unmap(&s, 0x20002000, 1), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

static enum kmm_status seek(struct kmm_file *file, uint64_t page, bool data, uint64_t *found)
{
	enum kmm_status status = kmm_file_seek(file, page * SPACE_PAGE, data, found);

	*found /= SPACE_PAGE;
	return status;
}

/* What is allocated in advance is a hole until it is written, mapped or allocated again; reading and moving do not change that. */
KMM_TEST(file_allocates_in_advance)
{
	struct kmm_file file;
	struct space s;
	uint64_t at = 0;
	char byte = 1;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, 8 * SPACE_PAGE, "/ahead");
	for (uint64_t i = 0; i < 8; i++)
		CHECK_OK(kmm_file_allocate(&file, i));
	CHECK_EQ(file.nr_pages, 8);
	CHECK_EQ(seek(&file, 0, true, &at), KMM_ERANGE);
	CHECK_OK(kmm_file_read(&file, 2 * SPACE_PAGE, &byte, 1, &(size_t){ 0 }));
	CHECK_EQ(byte, 0);
	CHECK_EQ(seek(&file, 0, true, &at), KMM_ERANGE);
	CHECK_OK(kmm_file_write(&file, 2 * SPACE_PAGE, "x", 1, &(size_t){ 0 }));
	CHECK_OK(seek(&file, 0, true, &at));
	CHECK_EQ(at, 2);
	CHECK_EQ(space_map_file(&s, 0x20000000, 8, SPACE_RW, KMM_MAP_SHARED, &file, 0), 0);
	CHECK_EQ(space_peek(&s, s.mm, 0x20000000 + 5 * SPACE_PAGE), 0);
	CHECK_OK(seek(&file, 3, true, &at));
	CHECK_EQ(at, 5);
	CHECK_OK(seek(&file, 5, false, &at));
	CHECK_EQ(at, 6); /* what lies around the fault was not mapped */
	CHECK_OK(kmm_file_allocate(&file, 7));
	CHECK_OK(seek(&file, 6, true, &at));
	CHECK_EQ(at, 7);
	CHECK_EQ(kmm_file_allocate(&file, UINT64_MAX), KMM_ERANGE);
	kmm_fail_nth(s.k, 1);
	CHECK_OK(kmm_file_allocate(&file, 7)); /* there is one */
	CHECK_OK(kmm_file_punch(&file, 0, 8));
	CHECK_EQ(kmm_file_allocate(&file, 0), KMM_ENOMEM);
	kmm_fail_nth(s.k, 0);
	CHECK_EQ(space_unmap(&s, 0x20000000, 8), 0);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}

KMM_TEST(file_seeks_data_and_holes)
{
	struct kmm_file file;
	struct space s;
	uint64_t pos = 0;

	CALL(space_start(&s, KMM_I386));
	kmm_file_init(&file, s.k, 300 * SPACE_PAGE + 5, "/holes");
	CHECK_EQ(kmm_file_seek(&file, 0, true, &pos), KMM_ERANGE);
	CHECK_OK(kmm_file_seek(&file, 7, false, &pos));
	CHECK_EQ(pos, 7);
	CHECK_OK(kmm_file_write(&file, 100 * SPACE_PAGE + 3, "abc", 3, &(size_t){ 0 }));
	CHECK_OK(kmm_file_write(&file, 101 * SPACE_PAGE, "abc", 3, &(size_t){ 0 }));
	CHECK_OK(kmm_file_write(&file, 300 * SPACE_PAGE, "abc", 3, &(size_t){ 0 }));
	CHECK_OK(kmm_file_seek(&file, 7, true, &pos));
	CHECK_EQ(pos, 100 * SPACE_PAGE);
	CHECK_OK(kmm_file_seek(&file, pos + 1, false, &pos));
	CHECK_EQ(pos, 102 * SPACE_PAGE);
	CHECK_OK(kmm_file_seek(&file, pos, true, &pos));
	CHECK_EQ(pos, 300 * SPACE_PAGE);
	CHECK_OK(kmm_file_seek(&file, pos, false, &pos));
	CHECK_EQ(pos, 300 * SPACE_PAGE + 5); /* the end */
	CHECK_EQ(kmm_file_seek(&file, pos, false, &pos), KMM_ERANGE);
	file.fill = fill_numbers; /* from somewhere else: data throughout */
	CHECK_OK(kmm_file_seek(&file, 7, true, &pos));
	CHECK_EQ(pos, 7);
	CHECK_OK(kmm_file_seek(&file, 7, false, &pos));
	CHECK_EQ(pos, 300 * SPACE_PAGE + 5);
	kmm_backing_put(&file.backing);
	CALL(space_stop(&s));
}
