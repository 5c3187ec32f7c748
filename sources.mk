# SPDX-License-Identifier: MIT
# The one list of library files. The build includes it, and so may an embedder's build.
#
# One file a line (KMM_TIER_A += src/phys/tract.c), so that several people can append at the same time;
# put a line under its tier and keep layer order.
# Tests (*_test.c) are found by pattern and do not belong here. scripts/check-layers verifies that
# every file below src/ is listed, and in the tier of its folder:
#   tier a  page frames                          base phys
#   tier b  page tables, kernel virtual memory   pt slab kva
#   tier c  user spaces, faults, reclaim         pageq swap vm fault reclaim observe kmm.c

KMM_TIER_A :=
KMM_TIER_A += src/base/math.c
KMM_TIER_A += src/base/status.c
KMM_TIER_A += src/base/names.c
KMM_TIER_A += src/base/printf.c
KMM_TIER_A += src/base/debug.c
KMM_TIER_A += src/base/lock.c
KMM_TIER_A += src/phys/machine.c
KMM_TIER_A += src/phys/layout.c
KMM_TIER_A += src/phys/bootmem.c
KMM_TIER_A += src/phys/desc.c
KMM_TIER_A += src/phys/section.c
KMM_TIER_A += src/phys/tract.c
KMM_TIER_A += src/phys/tract_choose.c
KMM_TIER_A += src/phys/tract_hold.c
KMM_TIER_A += src/phys/isolate.c
KMM_TIER_A += src/phys/hotplug.c
KMM_TIER_A += src/phys/cma.c
KMM_TIER_A += src/phys/pcp.c
KMM_TIER_A += src/phys/zone.c
KMM_TIER_A += src/phys/node.c
KMM_TIER_A += src/phys/node_movable.c
KMM_TIER_A += src/phys/policy.c
KMM_TIER_A += src/phys/watermark.c
KMM_TIER_A += src/phys/gfp.c
KMM_TIER_A += src/phys/context.c
KMM_TIER_A += src/phys/alloc.c
KMM_TIER_A += src/phys/misuse.c
KMM_TIER_A += src/phys/why.c
KMM_TIER_A += src/phys/address.c
KMM_TIER_A += src/phys/frames.c
KMM_TIER_A += src/phys/report.c
KMM_TIER_A += src/phys/owner.c
KMM_TIER_A += src/phys/owner_report.c
KMM_TIER_A += src/phys/poison.c
KMM_TIER_A += src/phys/audit.c

KMM_TIER_B :=
KMM_TIER_B += src/pt/format.c
KMM_TIER_B += src/pt/fmt_i386.c
KMM_TIER_B += src/pt/fmt_pae.c
KMM_TIER_B += src/pt/fmt_x86_64.c
KMM_TIER_B += src/pt/walk.c
KMM_TIER_B += src/pt/map.c
KMM_TIER_B += src/pt/window.c
KMM_TIER_B += src/pt/tlb.c
KMM_TIER_B += src/pt/init.c
KMM_TIER_B += src/pt/audit.c
KMM_TIER_B += src/slab/slab.c
KMM_TIER_B += src/slab/object.c
KMM_TIER_B += src/slab/bulk.c
KMM_TIER_B += src/slab/pool.c
KMM_TIER_B += src/slab/cache.c
KMM_TIER_B += src/slab/kmalloc.c
KMM_TIER_B += src/slab/debug.c
KMM_TIER_B += src/slab/shrink.c
KMM_TIER_B += src/slab/mempool.c
KMM_TIER_B += src/slab/audit.c
KMM_TIER_B += src/slab/report.c
KMM_TIER_B += src/kva/areas.c
KMM_TIER_B += src/kva/lazy.c
KMM_TIER_B += src/kva/vmalloc.c
KMM_TIER_B += src/kva/percpu.c
KMM_TIER_B += src/kva/report.c
KMM_TIER_B += src/kva/kmap.c
KMM_TIER_B += src/kva/kmap_local.c
KMM_TIER_B += src/kva/page.c
KMM_TIER_B += src/kva/init.c
KMM_TIER_B += src/kva/audit.c

KMM_TIER_C :=
KMM_TIER_C += src/vm/tree.c
KMM_TIER_C += src/vm/hole.c
KMM_TIER_C += src/vm/vma.c
KMM_TIER_C += src/vm/lock.c
KMM_TIER_C += src/vm/merge.c
KMM_TIER_C += src/vm/anon.c
KMM_TIER_C += src/vm/zap.c
KMM_TIER_C += src/vm/radix.c
KMM_TIER_C += src/vm/backing.c
KMM_TIER_C += src/vm/file.c
KMM_TIER_C += src/vm/mm.c
KMM_TIER_C += src/vm/place.c
KMM_TIER_C += src/vm/mmap.c
KMM_TIER_C += src/vm/munmap.c
KMM_TIER_C += src/vm/mprotect.c
KMM_TIER_C += src/vm/mremap.c
KMM_TIER_C += src/vm/brk.c
KMM_TIER_C += src/vm/stack.c
KMM_TIER_C += src/vm/madvise.c
KMM_TIER_C += src/vm/advise.c
KMM_TIER_C += src/vm/mlock.c
KMM_TIER_C += src/vm/mincore.c
KMM_TIER_C += src/vm/special.c
KMM_TIER_C += src/vm/fork.c
KMM_TIER_C += src/vm/guest.c
KMM_TIER_C += src/vm/rmap.c
KMM_TIER_C += src/vm/migrate.c
KMM_TIER_C += src/vm/migrate_range.c
KMM_TIER_C += src/vm/report.c
KMM_TIER_C += src/vm/smaps.c
KMM_TIER_C += src/vm/audit.c
KMM_TIER_C += src/vm/init.c
KMM_TIER_C += src/fault/fault.c
KMM_TIER_C += src/fault/anon.c
KMM_TIER_C += src/fault/file.c
KMM_TIER_C += src/fault/around.c
KMM_TIER_C += src/fault/cow.c
KMM_TIER_C += src/fault/populate.c
KMM_TIER_C += src/fault/calls.c
KMM_TIER_C += src/fault/copy.c
KMM_TIER_C += src/reclaim/compact_pick.c
KMM_TIER_C += src/reclaim/compact.c
KMM_TIER_C += src/reclaim/compact_when.c
KMM_TIER_C += src/observe/explain.c
KMM_TIER_C += src/observe/explain_print.c
KMM_TIER_C += src/observe/audit.c
KMM_TIER_C += src/observe/meminfo.c
KMM_TIER_C += src/observe/vmstat.c
KMM_TIER_C += src/observe/pageflags.c
KMM_TIER_C += src/kmm.c

KMM_SOURCES := $(KMM_TIER_A) $(KMM_TIER_B) $(KMM_TIER_C)
