/* SPDX-License-Identifier: MIT */
/*
 * A space in the words of Linux 6.1: /proc/PID/maps, the memory lines of status, and statm.
 */
#include "vm/report.h"

#include "base/printf.h"
#include "vm/backing.h"

/* A newline in a file's name would break the table. */
struct name_sink {
	struct kmm_sink sink; /* first */
	struct kmm_sink *out;
};

static void write_name(struct kmm_sink *sink, const char *text, size_t len)
{
	struct kmm_sink *out = ((struct name_sink *)sink)->out;

	for (; len; text++, len--) {
		if (*text == '\n')
			kmm_printf(out, "\\012");
		else
			out->write(out, text, 1);
	}
}

static bool is_removed(const struct kmm_backing *file)
{
	return file && kmm_backing_is_file(file) && __atomic_load_n(&((const struct kmm_file *)file)->removed, __ATOMIC_RELAXED);
}

static void put_name(const struct kmm_area_line *a, struct kmm_sink *out)
{
	struct name_sink name = { { .write = write_name }, out };

	if (a->opening && a->opening->put_name)
		a->opening->put_name(a->opening, &name.sink);
	else
		kmm_printf(&name.sink, "%s%s", a->name, is_removed(a->file) ? " (deleted)" : "");
}

/* What the file of an area is to the system. */
struct file_id {
	unsigned major, minor;
	unsigned long long ino;
};

static struct file_id id_of(const struct kmm_area_line *a)
{
	if (a->file)
		return (struct file_id){ a->file->dev_major, a->file->dev_minor, a->file->ino };
	if (a->opening)
		return (struct file_id){ a->opening->dev_major, a->opening->dev_minor, a->opening->ino };
	return (struct file_id){ 0, 0, 0 };
}

/* Names stand in the column that the addresses of the machine's own word size leave free. */
static unsigned name_column(const struct kmm *k)
{
	return kmm_fmt(k)->va_bits > 32 ? 73 : 49;
}

void kmm_report_line(const struct kmm *k, const struct kmm_area_line *a, struct kmm_sink *out)
{
	const struct file_id id = id_of(a);
	struct kmm_buffer_sink line;
	char text[128];
	size_t column;

	kmm_buffer_sink_init(&line, text, sizeof(text));
	kmm_printf(&line.sink, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)a->start,
		   (unsigned long long)a->end, a->flags & KMM_VM_READ ? 'r' : '-', a->flags & KMM_VM_WRITE ? 'w' : '-',
		   a->flags & KMM_VM_EXEC ? 'x' : '-', a->flags & KMM_VM_MAYSHARE ? 's' : 'p',
		   (unsigned long long)a->offset, id.major, id.minor, id.ino);
	out->write(out, text, line.len);
	if (*a->name || a->opening) {
		for (column = line.len; column < name_column(k); column++)
			out->write(out, " ", 1);
		put_name(a, out);
	}
	out->write(out, "\n", 1);
}

void kmm_report_area(const struct kmm_vma *vma, struct kmm_sink *out)
{
	const struct kmm_backing *file = vma->backing && !kmm_backing_is_special(vma->backing) ? vma->backing : NULL;
	const struct kmm_area_line line = { vma->start, vma->end, vma->flags, file || vma->opening ? vma->pgoff << KMM_PAGE_SHIFT : 0,
					    file, vma->opening, kmm_vma_name(vma) };

	kmm_report_line(vma->mm->k, &line, out);
}

void kmm_report_maps(struct kmm_mm *mm, struct kmm_sink *out)
{
	kmm_mm_lock(mm);
	for (struct kmm_vma *vma = kmm_mm_first(mm); vma; vma = kmm_vma_next(vma))
		kmm_report_area(vma, out);
	kmm_mm_unlock(mm);
}

/* What both reports below need, in pages. */
struct figures {
	kmm_word text, lib, anon, file, shmem, resident;
};

static struct figures gather(struct kmm_mm *mm)
{
	struct figures f;

	f.anon = kmm_mm_rss(mm, KMM_RSS_ANON);
	f.file = kmm_mm_rss(mm, KMM_RSS_FILE);
	f.shmem = kmm_mm_rss(mm, KMM_RSS_SHMEM);
	f.resident = f.anon + f.file + f.shmem;
	f.text = (kmm_word)(kmm_align_up(mm->end_code, KMM_PAGE_SIZE) - kmm_align_down(mm->start_code, KMM_PAGE_SIZE)) >>
		 KMM_PAGE_SHIFT;
	f.lib = f.text < mm->exec_pages ? mm->exec_pages - f.text : 0;
	return f;
}

/* Tables without the root, as Linux counts them. */
static kmm_word table_pages(const struct kmm_mm *mm)
{
	bool root_is_page = kmm_fmt(mm->k)->id != KMM_I386_PAE;

	return kmm_pt_nr_tables(&mm->space) - root_is_page;
}

void kmm_report_mm_status(struct kmm_mm *mm, struct kmm_sink *out)
{
	struct figures f;

	kmm_mm_lock(mm);
	f = gather(mm);
	kmm_printf(out, "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t%8u kB\n", kmm_kb(mm->peak_total),
		   kmm_kb(mm->total_pages), kmm_kb(mm->locked_pages), 0u);
	kmm_printf(out, "VmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\nRssAnon:\t%8llu kB\nRssFile:\t%8llu kB\nRssShmem:\t%8llu kB\n",
		   kmm_kb(kmm_mm_peak_rss(mm)), kmm_kb(f.resident), kmm_kb(f.anon), kmm_kb(f.file), kmm_kb(f.shmem));
	kmm_printf(out, "VmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\nVmLib:\t%8llu kB\n", kmm_kb(mm->data_pages),
		   kmm_kb(mm->stack_pages), kmm_kb(f.text < mm->exec_pages ? f.text : mm->exec_pages), kmm_kb(f.lib));
	kmm_printf(out, "VmPTE:\t%8llu kB\nVmSwap:\t%8llu kB\nHugetlbPages:\t%8u kB\n", kmm_kb(table_pages(mm)),
		   kmm_kb(kmm_mm_rss(mm, KMM_RSS_SWAP)), 0u);
	kmm_mm_unlock(mm);
}

void kmm_report_statm(struct kmm_mm *mm, struct kmm_sink *out)
{
	struct figures f;

	kmm_mm_lock(mm);
	f = gather(mm);
	kmm_printf(out, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)mm->total_pages,
		   (unsigned long long)f.resident, (unsigned long long)(f.file + f.shmem), (unsigned long long)f.text,
		   (unsigned long long)(mm->data_pages + mm->stack_pages));
	kmm_mm_unlock(mm);
}
