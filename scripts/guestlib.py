# SPDX-License-Identifier: MIT
"""What scripts that boot guests share: archives for an initrd, and the one QEMU machine that measurements run on."""
import stat

CHAR, FOLDER, FILE = stat.S_IFCHR, stat.S_IFDIR, stat.S_IFREG


def archive(entries):
    """A newc archive of (name, mode with kind, content, (major, minor)); the same bytes for the same entries."""
    def entry(number, name, mode, content=b"", device=(0, 0)):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
        head = b"070701" + "".join(f"{n:08x}" for n in fields).encode() + name.encode() + b"\0"
        return head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    parts = [entry(number, *e) for number, e in enumerate(entries, 1)]
    return b"".join(parts) + entry(0, "TRAILER!!!", 0)


def start_record(path, argv):
    """The file that tells the reference kernel what to run (apps/os/start.c)."""
    words = ["p" + path] + ["a" + a for a in argv] + ["ePATH=/bin", "eHOME=/"]
    return b"".join(w.encode() + b"\0" for w in words)


def qemu(ram, cpu="qemu64", cpus=1, counted=True, log="none"):
    """The command, up to -kernel. counted: virtual time is executed instructions, and every run is the same.

    The guest's debug console goes to the file log. More RAM than the host has is fine as long as it is not touched.
    """
    accel = ["-accel", "tcg,thread=single", "-icount", "shift=0,align=off,sleep=off"] if counted else ["-accel", "tcg,thread=multi"]
    return ["qemu-system-x86_64", "-M", "pc,memory-backend=ram", "-object", f"memory-backend-ram,id=ram,size={ram},reserve=off",
            "-m", ram, *accel, "-cpu", cpu, "-smp", str(cpus), "-nodefaults", "-no-user-config", "-display", "none",
            "-monitor", "none", "-no-reboot", "-rtc", "base=2020-01-01T00:00:00" + (",clock=vm" if counted else ""), "-seed", "1",
            "-device", "isa-debug-exit,iobase=0x501,iosize=2", "-debugcon", f"file:{log}" if log != "none" else "null",
            "-serial", "stdio"]
