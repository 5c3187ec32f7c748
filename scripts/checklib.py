# SPDX-License-Identifier: MIT
"""What the check-* scripts share: reading the tree, reporting, and proving that a check can fail.

A check is a function from a tree's root to a list of complaints, each one sentence that starts with
file:line. With --selftest, the script instead builds small trees, good and bad, and verifies that the
check accepts the good ones and says the expected words about the bad ones.
"""
import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parent.parent
SPDX = "/* SPDX-License-Identifier: MIT */\n"


def files(root, *patterns):
    """All files of the tree that match, sorted, as paths relative to the root."""
    found = set()
    for pattern in patterns:
        found.update(p.relative_to(root) for p in root.glob(pattern) if p.is_file())
    return sorted(found)


def includes(path):
    """(line number, name, True for "...") of each #include."""
    text = path.read_text(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        m = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
        if m:
            yield number, m.group(2), m.group(1) == '"'


def make_variable(root, name):
    """The words of a variable that sources.mk sets."""
    script = f"include sources.mk\nprint:\n\t@echo $({name})\n"
    out = subprocess.run(["make", "-s", "--no-print-directory", "-f", "-", "print"], input=script, cwd=root,
                         text=True, capture_output=True, check=True, env=clean_env())
    return out.stdout.split()


def clean_env():
    """The environment without what an outer make passes down."""
    return {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def run(argv, root):
    """Runs a command in the tree; returns (ok, output)."""
    p = subprocess.run(argv, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=clean_env())
    return p.returncode == 0, p.stdout


def first_lines(text, count=6):
    return "\n    ".join(text.strip().splitlines()[:count])


def plant(root, tree):
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def selftest(check, samples):
    bad = 0
    for name, tree, expected in samples:
        with tempfile.TemporaryDirectory(prefix="kmm-check-") as tmp:
            root = pathlib.Path(tmp)
            plant(root, tree)
            said = check(root)
        right = any(expected in s for s in said) if expected else not said
        if not right:
            wanted = f"a complaint with '{expected}'" if expected else "no complaint"
            print(f"selftest '{name}': wanted {wanted}, got: {said or 'none'}")
            bad += 1
    print(f"selftest: {len(samples) - bad} of {len(samples)} samples judged rightly")
    return bad


def main(doc, check, samples):
    """samples: (name, {path: content}, expected words, or None where the tree is good)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selftest", action="store_true", help="prove that the check can fail")
    parser.add_argument("--root", type=pathlib.Path, default=REPO, help="tree to check (default: this one)")
    args = parser.parse_args()
    if args.selftest:
        sys.exit(1 if selftest(check, samples) else 0)
    complaints = check(args.root.resolve())
    for complaint in complaints:
        print(complaint)
    sys.exit(1 if complaints else 0)
