# SPDX-License-Identifier: MIT
"""threads -- which thread would be the wall on a machine with more cores

Processor time of each thread for 10^9 bytes, at both ends. The first thread of a process is its
loop: all sockets and all TLS. The others are the workers: files and checksums. However many cores
there are, no transfer is faster than its busiest thread.
"""
import contextlib
import shutil

import contestants
import gauge
from frame import MIB, Figure, median, row
from lan import Lan


def transfer(case, lan, server):
    """Seconds of each thread of one download, the loop first: (fetching end, serving end)."""
    anna, bert = lan.hosts
    to = bert.dir / "to"
    to.mkdir()
    gauge.touch_pages(lan.dir, case.scale(2048, 64))
    before, fetching = gauge.threads(server.pid), {}
    p = bert.spawn(*contestants.Lanyard().fetch(anna, "film", to))
    with contextlib.closing(p):
        while not p.ends(0.02):
            fetching |= gauge.threads(p.pid)  # the workers are gone when it has ended
        fetching |= gauge.threads(p.pid)
        p.result().ok()
    serving = {t: s - before.get(t, 0) for t, s in gauge.threads(server.pid).items()}
    shutil.rmtree(to)
    case.say(f"{p.seconds:.2f} s")
    return in_order(fetching, p.pid), in_order(serving, server.pid)


def in_order(threads, loop):
    return [threads[loop], *sorted((s for t, s in threads.items() if t != loop), reverse=True)]


@row("threads", rounds=5)
def threads(case):
    """processor time of each thread, one file of {size} MiB"""
    size = case.scale(1024, 64)
    case.told(size=size)
    with Lan(2, daemons=False) as lan:
        served = gauge.film_to_serve(lan.hosts[0], size)
        [server] = contestants.Lanyard().serve(lan.hosts[0], served)
        runs = [transfer(case, lan, server) for _ in range(case.rounds)]
    per_gb = 1e9 / (size * MIB)
    busiest = {}
    for end, of_end in zip(("fetching", "serving"), zip(*runs)):
        for part, pick in (("loop", lambda r: r[0]), ("busiest worker", lambda r: r[1]),
                           ("all workers", lambda r: sum(r[1:]))):
            spent = [pick(r) * per_gb for r in of_end]
            yield Figure(f"{end}: {part}", median(spent), "cpu-s/GB", runs=spent)
            if part != "all workers":
                busiest[f"{end}: {part}"] = median(spent)
    wall = max(busiest, key=busiest.get)
    yield Figure(f"the wall, {wall}", 1 / busiest[wall], "GB/s")
