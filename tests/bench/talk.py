# SPDX-License-Identifier: MIT
"""talk -- what it costs to tell how far a download is, and what is done

No clock could tell, so instructions are counted. Progress is told ten times a second, however long
that is in valgrind: what it costs counts by the second, what logs cost by the download.
"""
from callgrind import Cost, counted
from frame import MIB, Figure, at_most, row
from lan import Lan
from verbs import random_file

PER_SECOND = 1e9  # instructions of a slow processor
LOGS = {"-v at both ends": ["-v"], "-v -v at both ends": ["-v", "-v"]}


def counted_download(lan, terminal, options):
    """(seconds, instructions at the fetching end, at the serving end)"""
    anna, bert = lan.hosts
    server = counted(anna, anna / "cost", "share", "--json", *options, "film")
    port = server.wait_event("ready", 60)["port"]
    words = ["download", *options, anna.address, port, "film"]
    done = counted(bert, bert / "cost", *words, terminal=terminal).result(300).ok()
    server.interrupt()
    server.wait()
    (bert / "film").unlink()
    return done.seconds, *(Cost(host / "cost").within() for host in (bert, anna))


@row("talk")
def talk(case):
    """progress and logs: what is counted more than without, for {size} MiB in valgrind"""
    size = case.scale(128, 8)
    case.told(size=size)
    with Lan(2, daemons=False) as lan:
        random_file(lan.hosts[0] / "film", size * MIB)
        for host in lan.hosts:
            host.run("lanyard", "id").ok()  # makes its key
        _, *silent = counted_download(lan, False, [])
        seconds, shown, _ = counted_download(lan, True, [])
        yield Figure("progress, of a processor", 100 * (shown - silent[0]) / seconds / PER_SECOND,
                     "%", target=at_most(1), runs=[silent[0], shown, seconds])
        for name, options in LOGS.items():
            _, *told = counted_download(lan, False, options)
            more = [100 * (t / s - 1) for t, s in zip(told, silent)]
            yield Figure(f"{name}, of all", max(more), "%", target=at_most(1), runs=[silent, told])
