/* SPDX-License-Identifier: MIT */
/* cpuid.c - what this processor is and can do (Intel SDM vol. 2, CPUID; AMD vol. 3, appendix E). */
#include "common/cpu.h"

struct x86_cpu_info x86_cpu_info;

struct regs {
	uint32_t eax, ebx, ecx, edx;
};

static struct regs cpuid(uint32_t leaf)
{
	struct regs r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(0));
	return r;
}

static void identify(struct x86_cpu_info *info, uint32_t signature)
{
	uint32_t family = signature >> 8 & 15;
	uint32_t model = signature >> 4 & 15;

	if (family == 6 || family == 15)
		model |= signature >> 12 & 0xf0;
	if (family == 15)
		family += signature >> 20 & 0xff;
	info->family = (uint8_t)family;
	info->model = (uint8_t)model;
	info->stepping = signature & 15;
}

static void read_brand(struct x86_cpu_info *info)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct regs r = cpuid(0x80000002u + i);

		memcpy(info->brand + 16 * i, &r, sizeof(r));
	}
	info->brand[48] = 0;
}

static void read_structured(struct x86_cpu_info *info, uint32_t max_basic)
{
	struct regs r;

	if (max_basic < 7)
		return;
	r = cpuid(7);
	info->smep = r.ebx >> 7 & 1;
	info->smap = r.ebx >> 20 & 1;
	info->umip = r.ecx >> 2 & 1;
	info->la57 = r.ecx >> 16 & 1;
}

static void read_extended(struct x86_cpu_info *info, uint32_t max_extended)
{
	struct regs r;

	info->virt_bits = 32;
	if (max_extended >= 0x80000001u) {
		r = cpuid(0x80000001u);
		info->nx = r.edx >> 20 & 1;
		info->gib_pages = r.edx >> 26 & 1;
		info->long_mode = r.edx >> 29 & 1;
	}
	if (max_extended >= 0x80000008u && info->long_mode)
		info->virt_bits = cpuid(0x80000008u).eax >> 8 & 0xff;
}

/* CPUID 80000008h, else what the paging modes imply. */
static uint8_t physical_width(const struct x86_cpu_info *info, uint32_t max_extended)
{
	bool pse36 = info->features_edx >> 17 & 1;

	if (max_extended >= 0x80000008u)
		return cpuid(0x80000008u).eax & 0xff;
	return info->pae || pse36 ? 36 : 32;
}

void x86_cpu_detect(void)
{
	struct x86_cpu_info *info = &x86_cpu_info;
	struct regs r = cpuid(0);
	uint32_t max_basic = r.eax, max_extended = cpuid(0x80000000u).eax;

	memcpy(info->vendor, &r.ebx, 4);
	memcpy(info->vendor + 4, &r.edx, 4);
	memcpy(info->vendor + 8, &r.ecx, 4);
	r = cpuid(1);
	identify(info, r.eax);
	info->features_edx = r.edx;
	info->features_ecx = r.ecx;
	info->pse = r.edx >> 3 & 1;
	info->tsc = r.edx >> 4 & 1;
	info->pae = r.edx >> 6 & 1;
	info->apic = r.edx >> 9 & 1;
	info->pge = r.edx >> 13 & 1;
	info->fxsr = r.edx >> 24 & 1;
	info->sse = r.edx >> 25 & 1;
	info->sse2 = r.edx >> 26 & 1;
	info->xsave = r.ecx >> 26 & 1;
	info->avx = r.ecx >> 28 & 1;
	info->pcid = r.ecx >> 17 & 1;
	info->rdrand = r.ecx >> 30 & 1;
	info->hypervisor = r.ecx >> 31;
	if (max_extended < 0x80000000u || max_extended > 0x800000ffu)
		max_extended = 0;
	read_structured(info, max_basic);
	read_extended(info, max_extended);
	if (max_extended >= 0x80000004u)
		read_brand(info);
	info->phys_bits = physical_width(info, max_extended);
}
