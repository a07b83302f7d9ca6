# SPDX-License-Identifier: MIT
"""race -- programs take turns at bringing the same thing from one host to another

They take turns, so that a machine that gets slower meets all of them; in another order each round,
for it matters who went before: 1 GiB took 1.2 to 1.9 s, but 1.7 to 2.9 s after a `cp` of as much.
Trees stay until the row is over: ext4 without a journal searches past inodes that were freed in the
last minutes, so whoever comes next would pay for what was removed (10 000 files took 1.4 s to make,
and 10.4 s after 20 000 others had been removed).
"""
import contextlib
import pathlib
import random
import shutil
import subprocess
import tempfile

import gauge
from frame import Figure, median
from lan import Lan


def one_run(case, entry, servers, lan, what, first):
    anna, bert = lan.hosts
    source = anna.files / "served" / what
    to = pathlib.Path(tempfile.mkdtemp(dir=bert.dir))
    gauge.touch_pages(lan.dir, case.scale(2048, 64))
    words = entry.fetch(anna, what, to)
    cpu, server_cpu = gauge.used_cpu(), servers.cpu()
    done = bert.run(*words, timeout=1800).ok()
    run = {"name": entry.name, "seconds": done.seconds, "client_cpu": gauge.used_cpu() - cpu,
           "server_cpu": servers.cpu() - server_cpu, "client_peak": done.peak_rss,
           "server_peak": servers.peak()}
    if first:
        same(source, to / what)
    if source.is_file():
        shutil.rmtree(to)
    return run


def same(source, got):
    assert gauge.measure(source) == gauge.measure(got), f"{gauge.measure(got)} arrived"
    if source.is_file():
        subprocess.run(["cmp", source, got], check=True)


def in_turn(i, entries):
    """The order of round i: another one each, and the same each time."""
    entries = list(entries)
    return random.Random(i).sample(entries, len(entries))


@contextlib.contextmanager
def lan_in_memory(hosts):
    """Where a disk would be what is measured."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="lanyard-bench-") as folder, \
            Lan(hosts, daemons=False, folder=pathlib.Path(folder)) as lan:
        yield lan


def race(case, lan, field, what):
    """anna serves her folder `served`; every single run."""
    anna = lan.hosts[0]
    servers = {e.name: gauge.Servers(e.serve(anna, anna.files / "served")) for e in field}
    runs = []
    for i in range(case.rounds):
        for entry in in_turn(i, field):
            runs.append(one_run(case, entry, servers[entry.name], lan, what, i == 0))
            case.say(f"round {i + 1}: {entry.name:16} {runs[-1]['seconds']:7.2f} s")
    return [r for entry in field for r in of(runs, entry.name)]


def of(runs, name):
    return [r for r in runs if r["name"] == name]


def ratio(mine, ours):
    """Above 1: lanyard was faster. The median over the rounds, not the ratio of medians."""
    return median(r["seconds"] / o["seconds"] for r, o in zip(mine, ours))


def figures(runs, amount, unit, targets):
    """One for each program: how much of `amount` a second, against lanyard."""
    ours = of(runs, "lanyard")
    for name in dict.fromkeys(r["name"] for r in runs):
        mine = of(runs, name)
        other = name != "lanyard" and ours
        yield Figure(
            name, median(amount / r["seconds"] for r in mine), unit,
            ratio=ratio(mine, ours) if other else None,
            target=targets.get(name) if other else None,
            cpu=tuple(median(r[k] for r in mine) for k in ("client_cpu", "server_cpu")),
            rss=tuple(max(r[k] for r in mine) for k in ("client_peak", "server_peak")), runs=mine)
