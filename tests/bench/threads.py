# SPDX-License-Identifier: MIT
"""threads -- which thread would be the wall on a machine with more cores

Processor time of each thread for 10^9 bytes, at both ends. The first thread of a process is its
loop, the others are the workers: files and checksums, and one for the TLS of each connection.
However many cores there are, no transfer is faster than its busiest thread. So a download that is
fast enough opens more connections where there are processors for them: `lanes` lets both ends
believe in 8, and shows that the work of one thread is that of several then. On fewer it brings no
speed; the first second has one connection.
"""
import contextlib
import pathlib
import shutil

import contestants
import gauge
from frame import MIB, Figure, median, row
from lan import LANYARD, Lan
from race import lan_in_memory

EIGHT = pathlib.Path(LANYARD).parents[1] / "tests/bench/libprocessors.so"


class OnEight(contestants.Lanyard):
    """As on a machine with 8 processors."""

    def serve(self, host, folder):
        p = host.spawn("env", f"LD_PRELOAD={EIGHT}", LANYARD, "share", "--hidden", "--port", 5000,
                       folder / "film")
        contestants.listening(host, 5000)
        return [p]

    def fetch(self, server, what, to):
        return ["env", f"LD_PRELOAD={EIGHT}", LANYARD, *super().fetch(server, what, to)[1:]]


def connections(host):
    """Those to a sharer, now."""
    with open(f"/proc/{host.pid}/net/tcp") as f:
        return sum(words[2].endswith(":1388") and words[3] == "01" for words in map(str.split, f))


def transfer(case, lan, server, entry=contestants.Lanyard(), seen=lambda host: None):
    """Seconds of each thread of one download, the loop first: (fetching end, serving end)."""
    anna, bert = lan.hosts
    to = bert.dir / "to"
    to.mkdir()
    gauge.touch_pages(lan.dir, case.scale(2048, 64))
    before, fetching = gauge.threads(server.pid), {}
    p = bert.spawn(*entry.fetch(anna, "film", to))
    with contextlib.closing(p):
        while not p.ends(0.02):
            fetching |= gauge.threads(p.pid)  # the workers are gone when it has ended
            seen(bert)
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
    yield from walls(runs, 1e9 / (size * MIB))


def walls(runs, per_gb):
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


@row("lanes", rounds=3)
def lanes(case):
    """the same in memory, {size} MiB, as if there were 8 processors"""
    size, most = case.scale(4096, 64), []
    case.told(size=size)
    with lan_in_memory(2) as lan:
        served = gauge.film_to_serve(lan.hosts[0], size)
        [server] = OnEight().serve(lan.hosts[0], served)
        runs = [transfer(case, lan, server, OnEight(), lambda host: most.append(connections(host)))
                for _ in range(case.rounds)]
    yield Figure("connections at once", max(most), "")
    yield from walls(runs, 1e9 / (size * MIB))
