# SPDX-License-Identifier: MIT
"""limit -- how close --limit comes to the rate that was asked for

Of a sharer: what TCP carries to the other host. Of a download: what it reads. On the line that
comes in steps, as the kernel opens its window of 64 KiB or more: most of a second at 100 KB/s.

All files lie in memory, but on some virtual machines even that is slower than 200 MB/s at times.
Where the takers leave megabytes unread it is not the sharer's limit that holds things up: such a
window says nothing about it, and another one is measured.
"""
import json
import re
import time
from functools import partial

import gauge
from frame import MIB, Figure, at_most, row
from process import until
from race import lan_in_memory
from verbs import random_file, share

WINDOW, SLACK = 2, 3  # seconds
UNREAD = 3 * MIB  # no more is, while the takers wait for the sharer
HEADERS = 66  # of Ethernet, IPv4 and TCP, in each packet that the card counts
CASES = [("share", 1), ("share", 8), ("download", 1)]
RATES = {"100KB": 100_000, "100MB": 100_000_000}


def carried(host):
    """By TCP, to this host."""
    shown = host.check("ip", "-s", "-j", "link", "show", "dev", "eth0")
    rx = json.loads(shown)[0]["stats64"]["rx"]
    return rx["bytes"] - HEADERS * rx["packets"]


def read_by(process):
    with open(f"/proc/{process.pid}/io") as f:
        return int(re.search(r"rchar: (\d+)", f.read())[1])


def unread(host):
    """By its programs, of all that has come: Recv-Q, ss(8)."""
    lines = host.check("ss", "-tnH", "state", "established").splitlines()
    return sum(int(line.split()[0]) for line in lines)


def window(moved, rate, left_unread):
    """In one window of time: percent off the rate, and what was left unread at the most. moved():
    bytes so far."""
    begun, start = moved(), time.monotonic()
    most = left_unread()
    while time.monotonic() < start + WINDOW:
        time.sleep(WINDOW / 10)
        most = max(most, left_unread())
    ended, end = moved(), time.monotonic()
    return 100 * ((ended - begun) / (end - start) / rate - 1), most


def windows(case):
    return 2 * case.rounds


def deviations(case, moved, rate, left_unread):
    """In case.rounds windows in which nobody but the limit held things up."""
    found = []
    for _ in range(windows(case)):
        off, most = window(moved, rate, left_unread)
        if most <= UNREAD:
            found.append(off)
        else:
            case.say(f"{off:+.2f} % not counted: {most / MIB:.1f} MiB were left unread")
        if len(found) == case.rounds:
            return found
    raise AssertionError("the takers are slower than the limit")


def download_all(bert, anna, port, n, options):
    for i in range(n):
        (bert / str(i)).mkdir()
    return [bert.spawn("lanyard", "download", "--json", *options, "-o", str(i), anna.address, port,
                       "film") for i in range(n)]


def size_of(case, rate):
    """More than arrives while it is measured."""
    return rate * (WINDOW * windows(case) + SLACK)


def measure(case, anna, bert, side, n, limit):
    gauge.touch_pages(bert.dir, size_of(case, RATES[limit]) // MIB)
    options = {"share": (), "download": ()} | {side: ("--limit", limit)}
    a = share(anna, "film", options=options["share"])
    taking = download_all(bert, anna, a.port, n, options["download"])
    for p in taking:
        p.wait_event("start", 30)
    moved = partial(carried, bert) if side == "share" else partial(read_by, taking[0])
    before = moved()
    until(lambda: moved() > before + RATES[limit] / 4, "a quarter of a second of it", 30)
    left_unread = partial(unread, bert) if side == "share" else lambda: 0
    found = deviations(case, moved, RATES[limit], left_unread)
    assert all(p.alive() for p in taking), "the file was too small"
    for p in [*taking, a]:
        p.kill()
        p.wait()
    bert.check("sh", "-c", f"rm -rf {bert.files}/*")
    return found


@row("limit", rounds=2)
def limit(case):
    """--limit, how far off the rate at worst in {window} s"""
    case.told(window=WINDOW)
    with lan_in_memory(hosts=2) as lan:
        anna, bert = lan.hosts
        random_file(anna / "film", size_of(case, max(RATES.values())))
        for rate in RATES:
            for side, n in CASES:
                runs = measure(case, anna, bert, side, n, rate)
                case.say(f"{side} {rate}, {n}: " + ", ".join(f"{r:+.2f} %" for r in runs))
                yield Figure(f"{side} --limit {rate}, {n} taking", max(map(abs, runs)), "%",
                             target=at_most(5), runs=runs)
