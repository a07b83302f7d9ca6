# SPDX-License-Identifier: MIT
"""What a transfer costs, in things that can be counted: a slow-down is noticed on any machine.

Each figure is the difference of two downloads, of little and of more, so that starting a program
and shaking hands are not in it. A budget that does not hold any more is a question: is what was
won worth it? Then the budget is set anew, a quarter above what is counted.
"""
import time

import pytest
from callgrind import counted_download
from verbs import MIB, random_file

pytestmark = pytest.mark.unsanitized  # the instructions of the real program

# For each MiB of a big file, and for each file of 4 KiB among many; fetching and serving end.
BIG = {"instructions": (6_500_000, 6_500_000), "of our own": (23_000, 16_800),
       "copied": (2_600_000, 2_600_000), "allocations": (2.8, 1.4), "system calls": (20, 21.5)}
SMALL = {"of our own": (9_400, 6_100), "allocations": (0.2, 0.2), "system calls": (7.6, 12.5)}


def big(path, n):
    path.mkdir()
    random_file(path / "film", n * MIB)


def small(path, n):
    path.mkdir()
    for i in range(n):
        random_file(path / f"{i:04}", 4096, i)


def cost(lan, make, n):
    """Programs are so slow in valgrind that a busy machine may not shake hands in time."""
    make(lan.hosts[0] / f"{make.__name__}{n}", n)
    begin = time.monotonic()
    while True:
        done, *ends = counted_download(lan, f"{make.__name__}{n}")
        if done.code == 0 or time.monotonic() - begin > 180:
            done.ok()
            return [end.summary() for end in ends]


def too_much(budgets, less, more, n):
    """What one of n costs above its budget, at both ends."""
    for end, name in enumerate(["fetching", "serving"]):
        for what, limits in budgets.items():
            each = (more[end][what] - less[end][what]) / n
            print(f"{name}: {what}: {each:.1f} of {limits[end]}")
            if each > limits[end]:
                yield f"{name}: {each:.1f} {what}, more than {limits[end]}"


def test_a_transfer_costs_no_more_than_its_budget(lan):
    for host in lan.hosts:
        host.run("lanyard", "id").ok()  # makes its key
    little = cost(lan, big, 1)
    above = [*too_much(BIG, little, cost(lan, big, 1 + 16), 16),
             *too_much(SMALL, little, cost(lan, small, 1 + 500), 500)]
    assert not above, "\n".join(above)
