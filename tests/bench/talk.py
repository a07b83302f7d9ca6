# SPDX-License-Identifier: MIT
"""talk -- what it costs to tell how far a download is, and what is done

No clock could tell, so instructions are counted. Progress is told ten times a second, however long
that is in valgrind: what it costs counts by the second, what logs cost by the download.
"""
from callgrind import counted_download
from frame import MIB, Figure, at_most, row
from lan import Lan
from verbs import random_file

PER_SECOND = 1e9  # instructions of a slow processor
LOGS = {"-v at both ends": ["-v"], "-v -v at both ends": ["-v", "-v"]}


def instructions(lan, options=(), terminal=False):
    """(seconds, instructions at the fetching end, at the serving end)"""
    done, *ends = counted_download(lan, "film", options, terminal)
    done.ok()
    (lan.hosts[1] / "film").unlink()
    return done.seconds, *(end.within() for end in ends)


@row("talk")
def talk(case):
    """progress and logs: what is counted more than without, for {size} MiB in valgrind"""
    size = case.scale(128, 8)
    case.told(size=size)
    with Lan(2, daemons=False) as lan:
        random_file(lan.hosts[0] / "film", size * MIB)
        for host in lan.hosts:
            host.run("lanyard", "id").ok()  # makes its key
        _, *silent = instructions(lan)
        seconds, shown, _ = instructions(lan, terminal=True)
        yield Figure("progress, of a processor", 100 * (shown - silent[0]) / seconds / PER_SECOND,
                     "%", target=at_most(1), runs=[silent[0], shown, seconds])
        for name, options in LOGS.items():
            _, *told = instructions(lan, options)
            more = [100 * (t / s - 1) for t, s in zip(told, silent)]
            yield Figure(f"{name}, of all", max(more), "%", target=at_most(1), runs=[silent, told])
