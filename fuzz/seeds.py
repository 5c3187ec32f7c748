#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes what the fuzz targets start from: seeds.py DIR makes DIR/elf and DIR/cpio.

Their inputs begin with a byte that says which allocation fails (0: none). Programs: the smallest ring-3 program of the
tests, and a hand-made one with a data segment, zeros and a stack note. Archives: a small tree with an entry of every kind,
and the same with only its directory.
"""
import pathlib
import random
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def write(folder, name, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"\0" + content)


def segment(kind, offset, vaddr, filesz, memsz, flags):
    return struct.pack("<8I", kind, offset, vaddr, vaddr, filesz, memsz, flags, 4096)


def program(kind):
    """kind 2: at its own addresses, 3: position-independent."""
    base = 0x8048000 if kind == 2 else 0
    table = [segment(1, 0, base, 256, 256, 5), segment(1, 256, base + 0x1100, 128, 0x3000, 6),
             segment(1, 0, base + 0x8000, 0, 0x2000, 6), segment(0x6474E551, 0, 0, 0, 0, 6)]
    head = b"\x7fELF\1\1\1" + bytes(9)
    head += struct.pack("<HHIIIIIHHHHHH", kind, 3, 1, base + 240, 52, 0, 0, 52, 32, len(table), 0, 0, 0)
    return (head + b"".join(table)).ljust(384, b"\x90")


def entry(name, mode, content=b"", rdev=(0, 0)):
    fields = [1, mode, 0, 0, 1, 0, len(content), 0, 0, rdev[0], rdev[1], len(name) + 1, 0]
    text = b"070701" + b"".join(b"%08x" % f for f in fields) + name + b"\0"
    text += bytes(-len(text) % 4) + content
    return text + bytes(-len(text) % 4)


def main():
    out = pathlib.Path(sys.argv[1])
    write(out / "elf", "static", program(2))
    write(out / "elf", "pie", program(3))
    write(out / "elf", "hello", (ROOT / "build/user/hello_raw").read_bytes())
    trailer = entry(b"TRAILER!!!", 0)
    tree = [entry(b".", 0o40755), entry(b"bin", 0o40755), entry(b"bin/sh", 0o120777, b"busybox"),
            entry(b"bin/busybox", 0o100755, b"#!" + bytes(range(200))), entry(b"dev", 0o40755),
            entry(b"dev/null", 0o20666, b"", (1, 3)), entry(b"dev/pipe", 0o10600), entry(b"up", 0o120777, b"bin/../bin/sh")]
    write(out / "cpio", "tree", b"".join(tree) + trailer)
    write(out / "cpio", "root", tree[0] + trailer)
    for seed in range(8):
        write(out / "steps", f"random{seed}", random.Random(seed).randbytes(700))


main()
