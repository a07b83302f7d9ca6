# SPDX-License-Identifier: MIT
"""scale -- memory does not grow with what is shared, neither does the wait"""
import os

import gauge
from frame import MIB, Figure, at_most, row
from lan import Lan
from verbs import share

MEMORY = at_most(64)


def memory(what, value):
    return Figure(what, value / MIB, "MiB", target=MEMORY)


def opening(lan, server):
    """A download of the whole tree, up to the moment at which its list is here."""
    anna, bert = lan.hosts
    p = bert.spawn("lanyard", "download", "--json", anna.address, server.port, "tree")
    p.wait_event("start", 300)
    took = p.seconds_so_far()
    fetching, serving = gauge.status(p.pid, "VmHWM"), gauge.Servers([server]).peak()
    p.kill()
    p.wait()
    yield Figure("opened as one selection", took, "s", rss=(fetching, serving))
    yield memory("memory for that, fetching end", fetching)
    yield memory("memory for that, serving end", serving)


@row("million")
def million(case):
    """a share of {n} files in 1000 folders"""
    n = case.scale(1_000_000, 20_000)
    case.told(n=n)
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        gauge.many_files(anna / "tree", n, folders=1000)
        case.say("the files are there")
        server = share(anna, "tree")
        ready = server.seconds_so_far()
        yield Figure("ready", ready, "s", target=at_most(3))
        yield memory("memory of the sharer, ready", gauge.Servers([server]).peak())
        found = bert.run("lanyard", "find", "--json", "--peer", f"{anna.address}:{server.port}",
                         f"{n - 1:07}", timeout=300).ok()
        assert len(found.objects()) == 1
        yield Figure("find one of them", found.seconds, "s", target=at_most(2),
                     rss=(found.peak_rss, gauge.Servers([server]).peak()))
        yield from opening(lan, server)


@row("sparse")
def sparse(case):
    """a file of {size} with 1 MiB of data in the middle"""
    size = case.scale(1 << 40, 1 << 30)
    case.told(size="1 TiB" if size == 1 << 40 else "1 GiB")
    data = os.urandom(MIB)
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        with open(anna / "sparse", "wb") as f:
            f.truncate(size)
            os.pwrite(f.fileno(), data, size // 2)
        server = share(anna, "sparse")
        done = bert.run("lanyard", "download", anna.address, server.port, "sparse",
                        timeout=600).ok()
        peaks = done.peak_rss, gauge.Servers([server]).peak()
        with open(bert / "sparse", "rb") as f:
            st = os.fstat(f.fileno())
            assert st.st_size == size and os.pread(f.fileno(), MIB, size // 2) == data
    yield Figure("downloaded", done.seconds, "s", target=at_most(10), rss=peaks)
    yield Figure("on disk", st.st_blocks * 512 / MIB, "MiB", target=at_most(4))
    yield memory("memory of the larger end", max(peaks))
