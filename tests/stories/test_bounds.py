# SPDX-License-Identifier: MIT
"""Memory and time that do not grow with what is shared."""
import os
import re

import pytest
from tree import sparse_file
from verbs import MIB, download, random_file, share

GIB = 1024 * MIB
LIMIT = 64 * MIB

pytestmark = pytest.mark.unsanitized  # memory and time of the real program


def many_files(folder, n, size=0, each=1000):
    for i in range(n):
        if i % each == 0:
            at = folder / f"{i // each:04}"
            at.mkdir(parents=True)
        with open(at / f"{i:07}", "wb") as f:
            if size:
                f.write(b"%d" % i * (size // len(b"%d" % i)))
    return folder


def within_limit(*programs):
    for p in programs:
        assert 0 < p.peak_rss <= LIMIT, f"{p.peak_rss / MIB:.1f} MiB"


def test_memory_for_a_large_file(cable):
    anna, bert = cable.hosts
    random_file(anna / "film", GIB)
    a = share(anna, "film")
    within_limit(a, download(bert, anna.address, a.port, "film").ok())


def test_memory_for_a_large_hole(cable):
    anna, bert = cable.hosts
    sparse_file(anna / "hole", 1024 * GIB)
    a = share(anna, "hole")
    within_limit(a, download(bert, anna.address, a.port, "hole").ok())


def test_memory_for_many_files(cable):
    anna, bert = cable.hosts
    disk, inside = anna.disk(200)
    many_files(inside / "many", 20_000, 3000)
    a = share(anna, disk / "many")
    to, arrived = bert.disk(200)
    got = download(bert, anna.address, a.port, "many", "-o", to).ok()
    within_limit(a, got)
    assert sum(len(f) for _, _, f in os.walk(arrived / "many")) == 20_000


def test_a_large_share_is_ready_at_once(cable):
    anna, bert = cable.hosts
    disk, inside = anna.disk(200)
    many_files(inside / "many", 200_000)
    p = anna.spawn("lanyard", "share", "--json", disk / "many")
    p.wait_event("ready", timeout=2)
    shown = bert.run("lanyard", "list", anna.address + ":many", "--json").ok()
    assert len(shown.objects()) == 200
    within_limit(p)


def test_memory_with_a_slow_reader(cable):
    """Back-pressure: the server reads no further ahead than its buffers."""
    anna, bert = cable.hosts
    bert.limit("100mbit")
    random_file(anna / "film", 256 * MIB)
    a = share(anna, "film")
    running = []
    for i in range(4):
        (bert / str(i)).mkdir()
        running.append(bert.spawn("lanyard", "download", "--json", anna.address, a.port, "film",
                                  "-o", bert / str(i)))
    for p in running:
        p.wait_event("progress", 20)
    for p in running:
        p.wait_for(lambda: progress(p) > 16 * MIB, "16 MiB", 60)
    within_limit(a, *running)


def progress(p):
    done = [int(x) for x in re.findall(r'"done":\s*(\d+)', p.out)]
    return max(done, default=0)
