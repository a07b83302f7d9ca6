# SPDX-License-Identifier: MIT
"""limit -- how close --limit comes to the rate that was asked for

Of a sharer: what TCP carries to the other host. Of a download: what it reads. On the line that
comes in steps, as the kernel opens its window of 64 KiB or more: most of a second at 100 KB/s.
"""
import json
import re
import time
from functools import partial

from frame import MIB, Figure, at_most, row
from lan import Lan
from process import until
from verbs import random_file, share

WINDOW = 2  # seconds
HEADERS = 66  # of Ethernet, IPv4 and TCP, in each packet that the card counts
CASES = [("share", 1), ("share", 8), ("download", 1)]
RATES = {"100KB": 100_000, "200MB": 200_000_000}


def carried(host):
    """By TCP, to this host."""
    shown = host.check("ip", "-s", "-j", "link", "show", "dev", "eth0")
    rx = json.loads(shown)[0]["stats64"]["rx"]
    return rx["bytes"] - HEADERS * rx["packets"]


def read_by(process):
    with open(f"/proc/{process.pid}/io") as f:
        return int(re.search(r"rchar: (\d+)", f.read())[1])


def deviation(moved, rate):
    """In percent, in a window of time. moved(): bytes so far."""
    begun, start = moved(), time.monotonic()
    time.sleep(WINDOW)
    ended, end = moved(), time.monotonic()
    return 100 * ((ended - begun) / (end - start) / rate - 1)


def download_all(bert, anna, port, n, options):
    for i in range(n):
        (bert / str(i)).mkdir()
    return [bert.spawn("lanyard", "download", "--json", *options, "-o", str(i), anna.address, port,
                       "film") for i in range(n)]


def measure(case, anna, bert, side, n, limit):
    options = {"share": (), "download": ()} | {side: ("--limit", limit)}
    a = share(anna, "film", options=options["share"])
    taking = download_all(bert, anna, a.port, n, options["download"])
    for p in taking:
        p.wait_event("start", 30)
    moved = partial(carried, bert) if side == "share" else partial(read_by, taking[0])
    before = moved()
    until(lambda: moved() > before + RATES[limit] / 4, "a quarter of a second of it", 30)
    found = [deviation(moved, RATES[limit]) for _ in range(case.rounds)]
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
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        random_file(anna / "film", case.scale(1536, 768) * MIB)
        for rate in RATES:
            for side, n in CASES:
                runs = measure(case, anna, bert, side, n, rate)
                case.say(f"{side} {rate}, {n}: " + ", ".join(f"{r:+.2f} %" for r in runs))
                yield Figure(f"{side} --limit {rate}, {n} taking", max(map(abs, runs)), "%",
                             target=at_most(5), runs=runs)
