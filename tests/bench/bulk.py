# SPDX-License-Identifier: MIT
"""bulk -- one big file from anna's page cache over a veth bridge into a file of bert's"""
import contestants
import gauge
from frame import MIB, Figure, at_least, at_most, median, row
from lan import Lan
from race import figures, of, race

FIELD = [contestants.Lanyard, contestants.Limit, contestants.CurlHttp, contestants.CurlHttps,
         contestants.RsyncDaemon, contestants.Scp, contestants.Aria2]
TARGETS = {"limit": at_least(0.95), "curl http": at_least(1.2), "curl https": at_least(1.6),
           "rsync daemon": at_least(1.6), "scp aes128-gcm": at_least(2.5),
           "aria2c -x4 https": at_least(2.5)}


@row("bulk", rounds=5)
def bulk(case):
    """one file of {size} MiB, page cache to file"""
    size = case.scale(1024, 64)
    case.told(size=size)
    with Lan(2, daemons=False) as lan:
        gauge.film_to_serve(lan.hosts[0], size)
        runs = race(case, lan, case.present([c() for c in FIELD]), "film")
    yield from figures(runs, size * MIB / 1e6, "MB/s", TARGETS)
    spent = [(r["client_cpu"] + r["server_cpu"]) / (size * MIB / 1e9) for r in of(runs, "lanyard")]
    yield Figure("lanyard, both ends", median(spent), "cpu-s/GB", target=at_most(3.5), runs=spent)
