/* SPDX-License-Identifier: MIT */
#include "harness/test.h"

#include "options.h"
#include "units.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

KMM_TEST(units_parse_sizes)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "4G", UINT64_C(4) << 30 },    { "1.5G", UINT64_C(3) << 29 }, { "640K", 640 << 10 }, { "4096", 4096 },
		{ "64 MiB", 64 << 20 },         { "2tb", UINT64_C(2) << 40 },  { "0", 0 },            { "0x1000", 4096 },
		{ "15E", UINT64_C(15) << 60 }, { "4P", UINT64_C(4) << 50 },
		{ "0.5K", 512 },                { "10B", 10 },
	};
	uint64_t bytes;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(parse_size(good[i].text, &bytes));
		CHECK_EQ(bytes, good[i].bytes);
	}
}

KMM_TEST(units_refuse_what_is_no_size)
{
	static const char *const bad[] = { "", "G", "-4G", "4X", "4GG", "1.G", "99999999999999999999", "4 G B", "four", ".", "16E" };
	uint64_t bytes;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!parse_size(bad[i], &bytes));
}

KMM_TEST(units_parse_addresses)
{
	static const struct { const char *text; enum address_kind kind; uint64_t value; } good[] = {
		{ "0xc0001000", ADDRESS_VIRTUAL, 0xc0001000 },  { "c0001000", ADDRESS_VIRTUAL, 0xc0001000 },
		{ "3221229568", ADDRESS_VIRTUAL, 0xc0001000 },  { " 0xC0001000\r\n", ADDRESS_VIRTUAL, 0xc0001000 },
		{ "08048000", ADDRESS_VIRTUAL, 0x08048000 },    { "va:0x10", ADDRESS_VIRTUAL, 16 },
		{ "pa:0x1000", ADDRESS_PHYSICAL, 0x1000 },      { "pfn:227", ADDRESS_FRAME, 227 },
		{ "PFN:0x3f000", ADDRESS_FRAME, 0x3f000 },      { "0", ADDRESS_VIRTUAL, 0 },
		{ "ffffffffffffffff", ADDRESS_VIRTUAL, UINT64_MAX },
	};
	static const char *const bad[] = { "", "0x", "xyz", "pfn:", "12 34", "0x10000000000000000", "pa:-1", "-1" };
	struct address a;

	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK(parse_address(good[i].text, &a));
		CHECK_EQ(a.kind, good[i].kind);
		CHECK_EQ(a.value, good[i].value);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!parse_address(bad[i], &a));
}

KMM_TEST(units_print_sizes)
{
	char buf[SIZE_TEXT];

	CHECK_STR(size_text(buf, 12), "12 bytes");
	CHECK_STR(size_text(buf, UINT64_C(4) << 30), "4 GiB");
	CHECK_STR(size_text(buf, 0x36ffe000), "879.99 MiB");
	CHECK_STR(size_text(buf, 1536), "1.50 KiB");
	CHECK_STR(size_text(buf, UINT64_C(3) << 60), "3 EiB");
	CHECK_STR(mib_text(buf, 3 << 19), "1.5");
	CHECK_STR(hex_text(buf, 0xfff, 8), "0x00000fff");
	CHECK_STR(percent_text(buf, 1, 4), "25.0 %");
	CHECK_STR(percent_text(buf, 1, 1), "100 %");
	CHECK_STR(percent_text(buf, 0, 1), "0 %");
	CHECK_STR(percent_text(buf, 99998, 100000), "99.9 %");
	CHECK_STR(percent_text(buf, 1, 30000), "0.00333 %");
	CHECK_STR(percent_text(buf, 1, 1e12), "< 0.000001 %");
}

KMM_TEST(machines_have_aliases)
{
	CHECK_EQ(machine_by_name("i386"), KMM_I386);
	CHECK_EQ(machine_by_name("i686"), KMM_I386);
	CHECK_EQ(machine_by_name("pae"), KMM_I386_PAE);
	CHECK_EQ(machine_by_name("x64"), KMM_X86_64);
	CHECK_EQ(machine_by_name("x86_64-la57"), KMM_X86_64_LA57);
	CHECK_EQ(machine_by_name("LA57"), KMM_X86_64_LA57);
	CHECK_EQ(machine_by_name("vax"), KMM_NR_FORMATS);
}

KMM_TEST(memmap_lines)
{
	struct kmm_memrange r;

	CHECK_EQ(memmap_parse_line("100000-3fffffff ram\n", &r), 1);
	CHECK_EQ(r.start, 0x100000);
	CHECK_EQ(r.size, 0x3ff00000);
	CHECK_EQ(r.type, KMM_MEM_RAM);
	CHECK_EQ(memmap_parse_line("  0x0 - 0x9fbff  reserved  # BIOS\r\n", &r), 1);
	CHECK_EQ(r.type, KMM_MEM_RESERVED);
	CHECK_EQ(memmap_parse_line("[    0.000000] BIOS-e820: [mem 0x0000000000100000-0x00000000bffdffff] usable", &r), 1);
	CHECK_EQ(r.size, 0xbfee0000);
	CHECK_EQ(memmap_parse_line("bffe0000-bfffffff ACPI NVS", &r), 1);
	CHECK_EQ(r.type, KMM_MEM_NVS);
	CHECK_EQ(memmap_parse_line("# comment", &r), 0);
	CHECK_EQ(memmap_parse_line("\n", &r), 0);
	CHECK_EQ(memmap_parse_line("100000 ram", &r), -1);
	CHECK_EQ(memmap_parse_line("2-1 ram", &r), -1);
	CHECK_EQ(memmap_parse_line("0-fff cheese", &r), -1);
	CHECK_EQ(memmap_parse_line("0-ffffffffffffffff ram", &r), -1);
}

KMM_TEST(memmap_files)
{
	char path[] = "/tmp/kmm-memmap-XXXXXX", error[MEMMAP_ERROR];
	static const char lines[] = "0-9ffff ram\n# x\n100000-1ffffff ram\n";
	int fd = mkstemp(path);
	struct kmm_memrange *map;
	unsigned nr;
	bool denied;

	CHECK(fd >= 0 && write(fd, lines, strlen(lines)) == (ssize_t)strlen(lines));
	map = memmap_read(path, &nr, error, &denied);
	CHECK(map);
	CHECK_EQ(nr, 2);
	CHECK_EQ(map[1].start, 0x100000);
	free(map);
	CHECK(write(fd, "oops\n", 5) == 5);
	CHECK(!memmap_read(path, &nr, error, &denied));
	CHECK(strstr(error, ":4: "));
	close(fd);
	unlink(path);
	CHECK(!memmap_read(path, &nr, error, &denied));
	CHECK(!denied);
}
