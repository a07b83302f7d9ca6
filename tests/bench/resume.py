# SPDX-License-Identifier: MIT
"""resume -- how long a download that goes on takes to know what is missing"""
import shutil

import contestants
import gauge
from frame import MIB, Figure, at_most, median, row
from lan import Lan
from process import until
from verbs import download_until, staged, staging


def interrupt_near_the_end(host, words, size):
    """Kills it when 99 % are here; the cable is slow at the end, so that it does not slip by."""
    p = download_until(host, "film", *words, size=size - 64 * MIB)
    host.limit("100mbit")
    until(lambda: staged(host, "film") >= size * 99 // 100, "99 % of it", 60, every=0.002)
    p.kill()
    p.wait()
    host.unlimit()


def go_on(host, words):
    """(seconds until the first GET is said, and until the end; bytes that were fetched)"""
    p = host.spawn("lanyard", "-vv", "download", "--json", *words)
    until(lambda: "<- GET req" in p.err or not p.alive(), "the first GET", every=0.001)
    asked = p.seconds_so_far()
    done = p.result().ok()
    return {"asked": asked, "seconds": done.seconds, "fetched": done.last()["fetched"],
            "peak": done.peak_rss}


@row("resume", rounds=3)
def resume(case):
    """{size} MiB with 1 % missing, same boot"""
    size = case.scale(1024, 256) * MIB
    case.told(size=size // MIB)
    runs = []
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        served = gauge.film_to_serve(anna, size // MIB)
        server = contestants.Lanyard().serve(anna, served)[0]
        words = [anna.address, 5000, "film"]
        for i in range(case.rounds):
            gauge.touch_pages(lan.dir, case.scale(2048, 64))
            interrupt_near_the_end(bert, words, size)
            runs.append(go_on(bert, words))
            case.say(f"round {i + 1}: {runs[-1]['asked']:.3f} s, {runs[-1]['seconds']:.3f} s, "
                     f"{runs[-1]['fetched'] / MIB:.0f} MiB fetched")
            assert 0 < runs[-1]["fetched"] < size // 20, "more than 5 % were missing"
            (bert / "film").unlink()
            shutil.rmtree(staging(bert, "film"), ignore_errors=True)
        peaks = max(r["peak"] for r in runs), gauge.Servers([server]).peak()
    yield Figure("until a chunk is asked for", median(r["asked"] for r in runs), "s",
                 target=at_most(0.3), rss=peaks, runs=runs)
    yield Figure("until all is done", median(r["seconds"] for r in runs), "s", runs=runs)
