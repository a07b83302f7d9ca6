# SPDX-License-Identifier: MIT
"""threads -- which thread would be the wall on a machine with more cores

Processor time for 10^9 bytes, at both ends: of the loop, of the crew (the TLS of connections), of
the workers (files and checksums). However many cores there are, nothing is faster than what one
thread does alone: the loop, the busiest worker, and the TLS of one connection, on whichever threads
of the crew.

    threads     one connection
    lanes       1, 2 and 4 to one sharer, which a download opens only where one thread would be the
                wall (core/fetch_lanes.c): here both ends believe in 8 processors. On few there is
                no speed in it; but what one thread did is what several do
"""
import contextlib
import shutil

import contestants
import gauge
from frame import MIB, Figure, median, row
from lan import Lan
from race import in_turn


class Lanes(contestants.Lanyard):
    """So many connections, as on a machine with 8 processors."""
    before = "env", f"LD_PRELOAD={contestants.BENCH / 'libprocessors.so'}"

    def __init__(self, n, state):
        self.n, self.state = n, state

    def fetch(self, server, what, to):
        return [*self.before, contestants.BENCH / "bench_lanes", self.n, server.address, 5000, what,
                to, self.state]


def transfer(case, lan, server, entry=contestants.Lanyard()):
    """One download: (Spent at the fetching end, at the serving end, seconds that it took)."""
    anna, bert = lan.hosts
    to = bert.dir / "to"
    to.mkdir()
    gauge.touch_pages(lan.dir, case.scale(2048, 64))
    before, fetching = gauge.threads(server.pid), {}
    p = bert.spawn(*entry.fetch(anna, "film", to))
    with contextlib.closing(p):
        while not p.ends(0.02):
            fetching |= gauge.threads(p.pid)  # the workers are gone when it has ended
        fetching |= gauge.threads(p.pid)
        p.result().ok()
    serving = {t: s - before.get(t, 0) for t, s in gauge.threads(server.pid).items()}
    shutil.rmtree(to)
    case.say(f"{p.seconds:.2f} s")
    return Spent(fetching, p.pid), Spent(serving, server.pid), p.seconds


class Spent:
    """Seconds of the threads of one end."""

    def __init__(self, threads, pid):
        self.loop = sum(s for (t, _), s in threads.items() if t == pid)
        self.crew = sum(s for (_, name), s in threads.items() if name == "crew")
        workers = [s for (t, name), s in threads.items() if t != pid and name != "crew"]
        self.workers, self.busiest = sum(workers), max(workers)


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


def walls(runs, per_gb, connections=1):
    alone = {}
    for end, of_end in zip(("fetching", "serving"), zip(*runs)):  # not the third
        def figure(part, pick):
            spent = [pick(s) * per_gb for s in of_end]
            return Figure(f"{end}: {part}", median(spent), "cpu-s/GB", runs=spent)
        parts = [figure("loop", lambda s: s.loop),
                 figure("TLS of each connection", lambda s: s.crew / connections),
                 figure("busiest worker", lambda s: s.busiest)]
        alone |= {f.what: f.value for f in parts}
        yield from [*parts, figure("all workers", lambda s: s.workers)]
    wall = max(alone, key=alone.get)
    yield Figure(f"the wall, {wall}", 1 / alone[wall], "GB/s")


@row("lanes", rounds=5)
def lanes(case):
    """the same over several connections, as if there were 8 processors"""
    size, runs = case.scale(1024, 64), {1: [], 2: [], 4: []}
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        bert.run("lanyard", "id").ok()
        served = gauge.film_to_serve(anna, size)
        [server] = Lanes(0, None).serve(anna, served)
        for i in range(case.rounds):
            for n in in_turn(i, runs):
                runs[n].append(transfer(case, lan, server, Lanes(n, bert.dir / "state/lanyard")))
    for n in runs:
        seconds = [run[2] for run in runs[n]]
        yield Figure(f"connections: {n}", size * MIB / 1e6 / median(seconds), "MB/s", runs=seconds)
        yield from walls(runs[n], 1e9 / (size * MIB), n)
