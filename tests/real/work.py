# SPDX-License-Identifier: MIT
# An interpreter with its whole library: many objects made and dropped, cycles for the collector, large blocks, maps,
# extension modules, threads, child processes. Prints what must be the same everywhere.
import array
import bisect
import collections
import gc
import hashlib
import heapq
import json
import mmap
import os
import random
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import zlib

SIZE = int(sys.argv[1]) if len(sys.argv) > 1 else 1
random.seed(4711)


class Node:
    """Knows its neighbours, and they know it: only the collector can free it."""

    def __init__(self, value):
        self.value, self.near = value, []


def cycles():
    total = 0
    for _ in range(5 * SIZE):
        nodes = [Node(i) for i in range(3000)]
        for node in nodes:
            node.near.append(nodes[random.randrange(len(nodes))])
        total += sum(n.near[0].value for n in nodes)
    del nodes
    return total, gc.collect() > 0


def blocks():
    """Sizes from bytes to megabytes, freed in another order than they were made."""
    live, digest = collections.deque(), hashlib.sha256()
    for i in range(3000 * SIZE):
        live.append(bytes([i & 255]) * random.choice((10, 100, 1000, 10000, 200000)))
        if len(live) > 60:
            del live[random.randrange(len(live))]
    live.append(bytearray(24 << 20))
    live[-1][::4096] = b"x" * (len(live[-1]) // 4096)
    for block in live:
        digest.update(block)
    return digest.hexdigest()


def structures():
    words = ["".join(random.choices("abcdefgh", k=5)) for _ in range(20000 * SIZE)]
    count, heap, order = collections.Counter(words), [], []
    for word in words[:5000]:
        heapq.heappush(heap, (count[word], word))
        bisect.insort(order, word)
    text = json.dumps({"top": count.most_common(5), "least": heap[0], "order": order[:3]})
    return json.loads(text), len(re.findall(r"a[b-d]+e", " ".join(words)))


def maps():
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 20)
        with mmap.mmap(file.fileno(), 0) as view:
            for at in range(0, len(view), 4096):
                view[at:at + 4] = struct.pack("<I", at)
            view.flush()
        file.seek(512 * 4096 // 4)
        return file.read(4), os.fstat(file.fileno()).st_size


def threads():
    total, lock = [0], threading.Lock()

    def work(n):
        for i in range(2000):
            with lock:
                total[0] += n * i
    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return total[0]


def children():
    echo = subprocess.run([sys.executable, "-c", "import sys; print(sys.stdin.read().upper(), end='')"], input="to a child",
                          capture_output=True, text=True, check=True).stdout
    pid = os.fork()
    if pid == 0:
        os._exit(len(gc.get_objects()) > 1000 and 7)
    return echo, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def database():
    base = sqlite3.connect(":memory:")
    base.execute("create table t (a integer, b text)")
    base.executemany("insert into t values (?, ?)", ((i, str(i * 7 % 1000)) for i in range(5000 * SIZE)))
    return base.execute("select count(*), max(b), sum(a) from t where b > '5'").fetchone()


for task in (cycles, blocks, structures, maps, threads, children, database):
    print(task.__name__, task(), flush=True)
data = array.array("d", (random.random() for _ in range(50000 * SIZE))).tobytes()
print("zlib", zlib.crc32(data), zlib.decompress(zlib.compress(data, 6)) == data)
