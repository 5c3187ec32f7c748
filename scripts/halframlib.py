# SPDX-License-Identifier: MIT
"""Real programs in half of the memory they want, on both kernels: the part "halfram" of scripts/bench-linux.

A program's wish is by how much free memory goes down while it runs on Linux with plenty; then each kernel gives it half of
that (bench/halfram/half.c), with swap on a RAM disk, under -icount. Its output must be what it writes on this host.
"""
import os
import pathlib
import re
import stat
import subprocess

from guestlib import CHAR, FILE, FOLDER, archive, start_record

ROOT = pathlib.Path(__file__).resolve().parent.parent
RAM_MIB, SWAP_MIB = 768, 96 # the kernel of 32 bits reaches no RAM disk beyond its direct map
ARCH = {"x86_64": ("amd64", 64), "i386-pae": ("i386", 32)}
UNUSED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/perl5", "usr/share/perl", "var",
          "usr/lib/gcc-cross", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/i386-linux-gnu/gconv")
UNUSED_FILES = re.compile(r"lto1$|lib[a-z]*san\.|libgfortran|libgomp|libitm|^perl")
FNV, PRIME = 0xcbf29ce484222325, 0x100000001b3

# name: (root, files of tests/real in /work, command)
PROGRAMS = {
    "sqlite3": ("root", ("big.sql",), "sqlite3 /tmp/big.db < /work/big.sql"),
    "python3": ("root", ("work.py",), "python3 /work/work.py"),
    "gcc": ("gcc", ("many.c",), "gcc -O2 -o /tmp/many.out /work/many.c && /tmp/many.out && while read -r line; do echo \"$line\"; done </tmp/many.out"),
}
COPIES, TABLE = 6, 60000


def content(name):
    """A file of tests/real; many.c is work.c some times over and a large table, for a compiler to chew on and to hold."""
    if name != "many.c":
        return (ROOT / "tests/real" / name).read_bytes()
    text = (ROOT / "tests/real/work.c").read_text()
    head, body = text.split("struct node {", 1)
    parts = [re.sub(r"\b(node|insert|depth|series|main)\b", rf"\1_{n}", "struct node {" + body) for n in range(COPIES)]
    parts.append("static const unsigned table[] = {" + ", ".join(str(n * 40503 % 65521) for n in range(TABLE)) + "};\n")
    return (head + "\n".join(parts) + "\nint main(int argc, char **argv)\n{\n\t(void)argv;\n\tmain_0();\n"
            f"\tprintf(\"%u\\n\", table[argc * 4711]);\n\treturn 0;\n}}\n").encode()


def root_of(kind, arch):
    return ROOT / f"build/real/{kind}-{arch}"


def entries(root):
    """What is below root, folders first; names as the guest sees them."""
    for folder, folders, files in os.walk(root):
        name = os.path.relpath(folder, root)
        folders[:] = sorted(f for f in folders if os.path.join(name, f).removeprefix("./") not in UNUSED)
        for item in folders + sorted(f for f in files if not UNUSED_FILES.search(f)):
            path = os.path.join(folder, item)
            kind = os.lstat(path).st_mode
            inside = os.path.join(name, item).removeprefix("./")
            if stat.S_ISLNK(kind):
                yield inside, kind, os.readlink(path).encode()
            elif stat.S_ISDIR(kind):
                yield inside, FOLDER | 0o755, b""
            elif stat.S_ISREG(kind) and item != ".ready":
                yield inside, FILE | stat.S_IMODE(kind), pathlib.Path(path).read_bytes()


def initrd(machine, name, arguments, linux):
    arch, width = ARCH[machine]
    kind, files, _ = PROGRAMS[name]
    found = {e[0]: e for e in entries(root_of(kind, arch))}
    for name_of_linux in ("init", "dev", "proc"):
        found.pop(name_of_linux, None)
    for folder in ("dev", "proc", "tmp", "work") if linux else ("tmp", "work"): # ours come with the kernel
        found[folder] = (folder, FOLDER | 0o777, b"")
    for file in files:
        found[f"work/{file}"] = (f"work/{file}", FILE | 0o644, content(file))
    program = (ROOT / f"build/bench/half{width}").read_bytes()
    more = [(".start", FILE | 0o600, start_record("/half", ["half", *arguments])), ("half", FILE | 0o755, program)]
    if linux:
        more = [("init", FILE | 0o755, program), ("dev/console", CHAR | 0o600, b"", (5, 1)), ("dev/null", CHAR | 0o666, b"", (1, 3)),
                ("dev/ram0", stat.S_IFBLK | 0o600, b"", (1, 0)), ("dev/urandom", CHAR | 0o666, b"", (1, 9)),
                ("brd.ko", FILE | 0o644, (ROOT / f"build/linux/{machine}/brd.ko").read_bytes())]
    return archive(sorted(found.values()) + more)


def expected(machine, name):
    """(bytes, sum) of what the program writes on this host."""
    arch, _ = ARCH[machine]
    kind, files, command = PROGRAMS[name]
    root = root_of(kind, arch)
    for folder in ("tmp", "work", "dev"):
        (root / folder).mkdir(exist_ok=True)
    for file in files:
        (root / "work" / file).write_bytes(content(file))
    for left in (root / "tmp").iterdir():
        left.unlink()
    (root / "dev/null").touch()
    chroot = ["chroot"] if os.geteuid() == 0 else ["unshare", "-r", "chroot"]
    done = subprocess.run([*chroot, str(root), "/bin/dash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/", "LC_ALL": "C"})
    (root / "dev/null").unlink()
    for left in (root / "tmp").iterdir():
        left.unlink()
    if done.returncode != 0:
        raise ValueError(f"{name} fails on this host: {done.stdout[-200:]!r}")
    total = FNV
    for byte in done.stdout:
        total = (total ^ byte) * PRIME & (1 << 64) - 1
    return len(done.stdout), f"{total:016x}"


class HalfRun:
    """What half.c said: see there."""
    NAMES = ("exit", "bytes", "sum", "major", "swapped_in", "swapped_out", "peak_kib", "ns")

    def __init__(self, line):
        fields = line.split("\t")[1:]
        for name, field in zip(self.NAMES, fields):
            setattr(self, name, field if name == "sum" else int(field))


def guest(who, machine, linux_words, name, kib):
    """(kernel, initrd, words for it) of one run; kib: "all" or what is to be free."""
    arguments = [str(kib), str(SWAP_MIB << 10), PROGRAMS[name][2]]
    if who == "linux":
        # process 1 gets its arguments in quotes, which the kernel keeps together
        words = linux_words + " rdinit=/init -- " + " ".join(f'"{a}"' if " " in a else a for a in arguments)
        return f"build/linux/{machine}/vmlinuz", initrd(machine, name, arguments, True), words
    return f"build/kernel-{machine}.elf", initrd(machine, name, arguments, False), \
        f"start=/.start input=/dev/null seed=1 swap=ram0 ramdisk={SWAP_MIB}"
