# SPDX-License-Identifier: MIT
"""trees -- many small files; what is to be beaten copies names, modes and times, too"""
import os

import contestants
import gauge
from frame import at_least, row
from lan import Lan
from race import figures, race

OTHERS = {"rsync daemon": at_least(2), "tar over ssh": at_least(8)}
COPY = {"cp (no network)": at_least(1 / 1.2)}  # at most 1.2 times as long as cp


def tree(case, field, targets, n, **shape):
    with Lan(2, daemons=False) as lan:
        served = lan.hosts[0].files / "served"
        served.mkdir()
        gauge.many_files(served / "tree", n, **shape)
        runs = race(case, lan, case.present([c() for c in field]), "tree")
    yield from figures(runs, n, "files/s", targets)


@row("small", rounds=5)
def small(case):
    """{n} files of 4 KiB in 100 folders"""
    n = case.scale(20_000, 2_000)
    case.told(n=n)
    field = [contestants.Lanyard, contestants.RsyncDaemon, contestants.TarSsh, contestants.Copy]
    yield from tree(case, field, OTHERS, n, folders=100, content=lambda i: os.urandom(4096))


@row("empty", rounds=3)
def empty(case):
    """{n} empty files in 100 folders"""
    n = case.scale(100_000, 5_000)
    case.told(n=n)
    yield from tree(case, [contestants.Lanyard, contestants.Copy], COPY, n, folders=100)


@row("folder", rounds=3)
def folder(case):
    """one folder of {n} files of 7 bytes"""
    n = case.scale(200_000, 5_000)
    case.told(n=n)
    yield from tree(case, [contestants.Lanyard, contestants.Copy], COPY, n,
                    content=lambda i: b"%07d" % i)
