#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Puts races into copies of the core's files, one at a time, and demands that the scheduler finds each.

usage: tests/race/sched/mutants.py [-l] [NAME...]

A mutant is a file of the core with one piece of text replaced, compiled as the profile `sched` compiles it and linked in
place of the original; or, without a file, a fault that the simulated machine commits (--mutation). The case must fail
within the same number of orders that it passes with unchanged code, and fail again when the order is replayed. The last
line is "N passed, N failed". When a piece of text is no longer there, the code has changed: put the race in anew.
"""
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / "build/sched/mutants"

# name, case that must fail, what is wrong then, file, (text, text instead)...
MUTANTS = [
    ("no-shootdown", "shootdown_reuse", "other CPUs keep translations of frames that are used again", None),
    ("no-shootdown", "fault_munmap", "the same, found at the next access", None),
    ("no-shootdown", "fault_move", "a page moves and another CPU goes on with the old frame", None),
    ("short-shootdown", "fault_fork", "the last page of a range is not flushed elsewhere", None),
    ("no-local-flush", "mprotect_fault", "the CPU that changes an entry keeps the old translation", None),
    ("impatient-shootdown", "shootdown_reuse", "a flush does not wait for the instruction that is under way", None),
    ("free-before-flush", "shootdown_reuse", "frames go back before the flush", "src/pt/tlb.c",
     ("	if (tlb->start < tlb->end || tlb->tables)\n		flush_cpus(k, &flush);\n	if (tlb->nr_held)\n"
      "		drop_frames(k, tlb->held, tlb->nr_held);\n",
      "	if (tlb->nr_held)\n		drop_frames(k, tlb->held, tlb->nr_held);\n"
      "	if (tlb->start < tlb->end || tlb->tables)\n		flush_cpus(k, &flush);\n")),
    ("fork-without-flush", "fault_fork", "the parent goes on writing to pages that the child shares", "src/vm/fork.c",
     ("	kmm_tlb_flush(parent->k, &tlb);\n", "	kmm_tlb_begin(parent->k, &tlb, &parent->space);\n")),
    ("purge-without-flush", "vfree_reuse", "vmalloc addresses lead to frames of dead areas", "src/kva/lazy.c",
     ("	flush_all(k, dead);\n", "	if (!dead)\n		flush_all(k, dead);\n")),
    ("cow-of-a-pinned-page", "cow_pinned", "a page that is pinned is written in place", "src/fault/cow.c",
     (" &&\n	       (atomic_load_explicit(&page->refcount, memory_order_relaxed) == 1 || kmm_page_is_pinned(page));", ";")),
    ("unlocked-stack-growth", "stack_mmap", "between the look below a stack and its growth another CPU puts an area there",
     "src/vm/stack.c",
     ("	pages = (vma->start - start) >> KMM_PAGE_SHIFT;\n",
      "	kmm_mm_unlock(mm);\n	kmm_mm_lock(mm);\n	kmm_vma_write(vma);\n"
      "	pages = (vma->start - start) >> KMM_PAGE_SHIFT;\n")),
    ("kind-of-a-foreign-frame", "move_munmap", "a frame that was chosen to move is free when its kind is asked for",
     "src/vm/migrate.c", ("b->mover->target(b->mover->arg, kind_of(m))", "b->mover->target(b->mover->arg, kmm_page_kind(from))")),
    ("two-free-an-owner", "move_munmap", "the last guest and who ends the owner both take it for theirs to free",
     "src/vm/guest.c", ("guest->owner->orphaned;", "!kmm_guests_is_alive(guest->owner);")),
    ("moving-entry-by-zero", "move_munmap", "munmap finds nothing where an entry is just becoming a moving one",
     "src/vm/migrate.c", ("	raw = kmm_leaf_make_moving(k, ref->entry);\n",
      "	raw = (kmm_entry_take(k, ref->entry) & ~(uint64_t)KMM_X86_P) | KMM_X86_MOVING;\n"
      "	kmm_entry_store(k, ref->entry, raw);\n")),
    ("reader-sees-no-writer", "fault_munmap", "a fault enters an area that is being removed", "src/vm/lock.c",
     ("write_seq != __atomic_load_n(&mm->write_seq, __ATOMIC_ACQUIRE) && !(was", "(write_seq != mm->write_seq || write_seq + 1) && !(was")),
    ("writer-sees-no-reader", "fault_munmap", "an area is removed while a fault is in it", "src/vm/lock.c",
     ("		wait_for_readers(vma);\n", "		(void)wait_for_readers;\n")),
    ("cut-off-page-stays", "fault_truncate", "a fault enters a page that truncation has just taken away",
     "src/fault/fault.c",
     ("== 0 && f->moves == kmm_moves(k) && !(source && kmm_page_is_cut_off(source))", "== 0 && f->moves == kmm_moves(k)")),
    ("torn-reference", "cow_cow_exit", "two CPUs drop a reference at once and one is lost", "src/pt/tlb.c",
     ("		was = atomic_fetch_sub_explicit(&page->refcount, 1, memory_order_acq_rel);\n",
      "		atomic_store_explicit(&page->refcount, was - 1, memory_order_release);\n")),
    ("unlocked-list-of-areas", "rmap_exit", "an area leaves the list that another CPU walks", "src/vm/anon.c",
     ("	flags = kmm_spin_lock(k, &anon->lock, KMM_LOCK_RMAP);\n	KMM_ASSERT(k, anon->refs > 0);\n	kmm_list_del(&vma->by_anon);\n"
      "	last = --anon->refs == 0;\n	kmm_spin_unlock(k, &anon->lock, KMM_LOCK_RMAP, flags);\n",
      "	(void)flags;\n	kmm_list_del(&vma->by_anon);\n	last = --anon->refs == 0;\n")),
    ("mutex-forgets-sleepers", "mutex_three", "of two sleepers the second is never woken", "src/base/lock.c",
     ("atomic_exchange_explicit(&s->mutex->held, 2, memory_order_acquire) == 0",
      "atomic_exchange_explicit(&s->mutex->held, 3, memory_order_acquire) == 0")),
    ("kmap-lost-wakeup", "kmap_full", "leaving a full window wakes nobody", "src/kva/kmap.c",
     ("			map->used--;\n		if (map->first)\n			grant(k, map);\n", "			map->used--;\n")),
    ("kmap-late-in-line", "kmap_full", "a sleeper joins the line when the slot has gone by", "src/kva/kmap.c",
     ("	*map->last = &waiter;\n	map->last = &waiter.next;\n	map->waits++;\n"
      "	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, *flags);\n",
      "	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, *flags);\n	*flags = kmm_spin_lock(k, &map->lock, KMM_LOCK_KVA);\n"
      "	*map->last = &waiter;\n	map->last = &waiter.next;\n	map->waits++;\n"
      "	kmm_spin_unlock(k, &map->lock, KMM_LOCK_KVA, *flags);\n")),
    ("mempool-lost-wakeup", "mempool_sleepers", "an element comes back and nobody is told", "src/slab/mempool.c",
     ("	else if (k->port->wake)\n", "	else if (k->port->wake && pool->nr > 1)\n")),
    ("unlocked-depot", "slab_remote_free", "objects in the depot are given back while another CPU takes them: two frees",
     "src/slab/pool.c",
     ("	unsigned long flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);\n	struct kmm_page_list dead = { 0, 0 }, empty;\n"
      "	kmm_word pages;\n\n	kmm_slab_give(k, pool, pool->depot, pool->depot_nr, &dead);\n",
      "	unsigned long flags;\n	struct kmm_page_list dead = { 0, 0 }, empty;\n	kmm_word pages;\n\n"
      "	kmm_slab_give(k, pool, pool->depot, pool->depot_nr, &dead);\n"
      "	flags = kmm_spin_lock(k, &pool->lock, KMM_LOCK_SLAB);\n")),
    ("joins-a-closing-pool", "cache_destroy_join", "a cache joins a pool whose magazines are being emptied",
     "src/slab/pool.c", (" && !pool->closing && may_share(pool)", " && may_share(pool)")),
    ("impatient-unregister", "shrinker_leaves", "a shrinker is gone while somebody is in it", "src/slab/pool.c",
     ("		pinned = entry->pins != 0;\n", "		pinned = false;\n")),
]


def text_of(command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def variables(*names):
    out = text_of(["make", "-s"] + ["print-" + n for n in names])
    return dict(zip(names, out.split("\n")))


def build(name, path, changes, make):
    """The program with one file changed. ValueError: the text is not there, once."""
    source = (ROOT / path).read_text()
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{path}: not there, or not once: {old.strip()!r}")
        source = source.replace(old, new)
    copy, program = BUILD / (name + ".c"), BUILD / name
    copy.write_text(f'#line 1 "{path}"\n' + source)
    cc, flags = make["CC_sched"], shlex.split(make["WARN"] + " " + make["FLAGS_sched"])
    subprocess.run([cc, *flags, "-Iinclude", "-Isrc", f"-iquote{pathlib.Path(path).parent}", "-c", "-o", f"{copy}.o", copy],
                   cwd=ROOT, check=True)
    subprocess.run([cc, "-o", program, f"{copy}.o", *make["SCHED_OBJS"].split(), "build/sched/libkmm.a"], cwd=ROOT, check=True)
    return program


def run(mutant, make):
    """None when the race was found, else what happened."""
    name, case, _, path, *changes = mutant
    try:
        command = [build(name, path, changes, make)] if path else [ROOT / "build/sched/race", "--mutation", name]
    except (ValueError, subprocess.CalledProcessError) as error:
        return str(error)
    found = subprocess.run([*command, "--must-fail", case], cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        return "not found:\n" + found.stdout + found.stderr
    orders = re.search(r"(\d+) orders", found.stdout).group(1)
    said = found.stdout.split("\n")
    why = said[next(i for i, line in enumerate(said) if line.startswith("FAIL")) + 1].strip()
    again = next(line for line in said if "again:" in line).split("again: ")[1]
    print(f"ok   {name} in {case}: after {orders} orders: {why}\n     {again}", flush=True)
    return None


def main():
    names = [a for a in sys.argv[1:] if a != "-l"]
    chosen = [m for m in MUTANTS if not names or any(n in m[0] for n in names)]
    if "-l" in sys.argv:
        for name, case, what, *_ in chosen:
            print(f"{name:<24} {case:<20} {what}")
        return 0
    BUILD.mkdir(parents=True, exist_ok=True)
    make = variables("CC_sched", "WARN", "FLAGS_sched", "SCHED_OBJS")
    failed = 0
    for mutant in chosen:
        wrong = run(mutant, make)
        if wrong:
            failed += 1
            print(f"FAIL {mutant[0]} ({mutant[2]}) in {mutant[1]}: {wrong}", flush=True)
    if not chosen:
        failed = 1
        print("no mutant has such a name")
    print(f"{len(chosen) - min(failed, len(chosen))} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
