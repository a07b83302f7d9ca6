# SPDX-License-Identifier: MIT
"""crowd -- one server, many clients at once

All clients of a crowd start at one moment, each with its own key and state, eight to an address.
The clock runs when all of them have said their first word, for the server stands still until then:
what counts is the server, and not how fast programs start or, since all files lie in memory
(tmpfs), how many writers a disk bears. One client fetches as many bytes as the crowd: where memory
is slow when it is new, both pay for as much of it.
"""
import dataclasses
import os
import shutil
import signal
import subprocess
import time

import contestants
import gauge
from frame import MIB, Figure, at_least, at_most, median, row
from lan import LANYARD, Lan
from process import until
from race import in_turn, lan_in_memory

BENCH_CONN = contestants.BENCH / "bench_conn"
TOUCHED = 2048  # MiB; of more, the host of a virtual machine takes back what came first
PER_ADDRESS = 8  # so many connections that have not said AUTH yet may come from one
# Each writes its exit code and the moment of its end. Nothing but clients is started after "go".
CLIENTS = """read -r go
for i in "$@"; do
    {{ code=0
       export XDG_STATE_HOME=$PWD/$i/state
       for to in $i/to/*; do
           "$LANYARD" download "$SERVER" 5000 {what} -o $to >>$i/out 2>&1 || code=$?
       done
       echo $code $EPOCHREALTIME >$i/end; }} &
done
wait
"""


@dataclasses.dataclass
class Fetch:
    """n clients, each of which gets `what` ($i: its number), `size` bytes, so many times."""
    n: int
    what: str
    size: int
    times: int = 1

    def bytes(self):
        return self.n * self.size * self.times


def shells(lan, fetch):
    """One an address, waiting to start the clients: (folder of the client, shell)"""
    server, *hosts = lan.hosts
    for host, k in zip(hosts, range(0, fetch.n, PER_ADDRESS)):
        mine = [str(i) for i in range(k, min(fetch.n, k + PER_ADDRESS))]
        for i in mine:
            (host.files / i / "state").mkdir(parents=True)
            for t in range(fetch.times):
                (host.files / i / "to" / str(t)).mkdir(parents=True)
        host.more_environment = {"LANYARD": LANYARD, "SERVER": server.address}
        shell = host.spawn("bash", "-c", CLIENTS.format(what=fetch.what), "clients", *mine,
                           stdin=subprocess.PIPE)
        yield from ((host.files / i, shell) for i in mine)


def n_speaking(host, port):
    """Connections to a server that stands still whose first bytes have come."""
    with open(f"/proc/{host.pid}/net/tcp") as v4, open(f"/proc/{host.pid}/net/tcp6") as v6:
        rows = [line.split() for f in (v4, v6) for line in f]
    return sum(local.endswith(f":{port:04X}") and state == "01" and not queues.endswith(":00000000")
               for _, local, _, state, queues, *_ in rows)


def start_together(lan, server, n, all_shells):
    """All are on their way when this returns: the moment at which the server began."""
    server.kill(signal.SIGSTOP)
    for shell in all_shells:
        shell.popen.stdin.write(b"go\n")
        shell.popen.stdin.close()
    until(lambda: n_speaking(lan.hosts[0], 5000) == n, f"{n} clients", timeout=60)
    began = time.time()
    server.kill(signal.SIGCONT)
    return began


def one_run(lan, fetch):
    anna = lan.hosts[0]
    server = contestants.Lanyard().serve(anna, anna / "served")[0]
    gauge.touch_pages(lan.dir, min(fetch.bytes() // MIB, TOUCHED))
    clients = list(shells(lan, fetch))
    all_shells = list(dict.fromkeys(shell for _, shell in clients))
    servers, used = gauge.Servers([server]), gauge.used_cpu()
    cpu, began = servers.cpu(), start_together(lan, server, fetch.n, all_shells)
    for shell in all_shells:
        assert shell.wait(600) == 0
    ends = [(at / "end").read_text().split() for at, _ in clients]
    assert all(code == "0" for code, _ in ends), (clients[0][0] / "out").read_text()
    took = [float(end) - began for _, end in ends]
    run = {"seconds": max(took), "spread": max(took) / min(took), "serve_peak": servers.peak(),
           "cpu": (gauge.used_cpu() - used, servers.cpu() - cpu), "ends": took}
    for at, _ in clients:
        shutil.rmtree(at)
    server.kill()
    server.wait()
    return run


def cpu_of(runs):
    return tuple(median(r["cpu"][end] for r in runs) for end in (0, 1))


def against(case, make, alone, crowd):
    """Rounds of one client and of many. alone: {name: what the one does}; the many's throughput by
    each of these."""
    runs = []
    with lan_in_memory(hosts=9) as lan:
        served = lan.hosts[0].files / "served"
        served.mkdir()
        make(served)
        for i in range(case.rounds):
            fetches = in_turn(i, (alone | {"crowd": crowd}).items())
            runs.append({name: one_run(lan, fetch) for name, fetch in fetches})
            case.say(f"round {i + 1}: " +
                     ", ".join(f"{r['seconds']:.2f} s {name}" for name, r in runs[-1].items()))
    for name, fetch in alone.items():
        yield throughput(name, fetch, [r[name] for r in runs])
    many = [r["crowd"] for r in runs]
    for name in alone:
        figure = throughput(f"{crowd.n} clients / {name}", crowd, many)
        figure.ratio = median(r[name]["seconds"] / r["crowd"]["seconds"] for r in runs)
        figure.target = at_least(0.9)
        yield figure
    yield Figure("slowest / fastest client", median(r["spread"] for r in many), "x",
                 target=at_most(1.2))
    yield Figure("memory of the server", max(r["serve_peak"] for r in many) / MIB, "MiB",
                 target=at_most(64))


def throughput(name, fetch, runs):
    return Figure(name, median(fetch.bytes() / r["seconds"] / 1e6 for r in runs), "MB/s",
                  cpu=cpu_of(runs), runs=runs)


@row("crowd64", rounds=3)
def crowd64(case):
    """64 clients, each another file of {size} MiB, against one that gets all 64"""
    size = case.scale(16, 1)
    case.told(size=size)

    def make(served):
        (served / "all").mkdir()
        for i in range(64):
            gauge.random_file(served / "all" / f"f{i}", size)
    each = "all/f${to##*/}"  # `to` are folders of these names
    alone = {"one, as a folder": Fetch(1, "all", 64 * size * MIB),
             "one, file by file": Fetch(1, each, size * MIB, times=64)}
    yield from against(case, make, alone, Fetch(64, "all/f$i", size * MIB))


@row("crowd8", rounds=3)
def crowd8(case):
    """8 clients, each the same {size} MiB, against one that gets it 8 times in a row"""
    size = case.scale(1024, 32)
    case.told(size=size)
    alone = {"one client": Fetch(1, "all", size * MIB, times=8)}
    yield from against(case, lambda served: gauge.random_file(served / "all", size), alone,
                       Fetch(8, "all", size * MIB))


def hold(host, server, n):
    """n clients that are connected and want nothing."""
    p = host.spawn(BENCH_CONN, "hold", n, server.address, 5000)
    p.wait_line(f"^{n} open$", timeout=120)
    return p


@row("idle")
def idle(case):
    """{n} connected clients that want nothing, for {seconds} s"""
    n, seconds = case.scale(500, 50), case.scale(30, 1)  # each is asked every 15 s if it lives
    case.told(n=n, seconds=seconds)
    with Lan(2, daemons=False) as lan:
        anna, bert = lan.hosts
        [server] = contestants.Lanyard().serve(anna, gauge.film_to_serve(anna, 1))
        clients = [hold(bert, anna, 1)]  # what the first one costs is there once
        before = gauge.status(server.pid, "VmRSS")
        clients.append(hold(bert, anna, n))
        cpu = sum(gauge.threads(server.pid).values())
        time.sleep(seconds)
        cpu = sum(gauge.threads(server.pid).values()) - cpu
        each = (gauge.status(server.pid, "VmRSS") - before) / n
        assert all(c.alive() for c in clients), clients[-1].err
    yield Figure("processor of the server", 100 * cpu / seconds, "%", target=at_most(1))
    yield Figure("memory of the server, each", each / 1024, "KiB", target=at_most(64))
