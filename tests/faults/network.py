# SPDX-License-Identifier: MIT
"""network -- lines that break and peers that stand still: the download goes on by itself"""
import pathlib
import signal
import time

from fault import fault
from kill import in_flight
from process import until
from verbs import MIB, nothing_left, same, seconds, sees, share

BAD_LINE = pathlib.Path(__file__).parents[1] / "lan/bad_line.py"
SLACK = 4 * MIB  # greetings, lists, and what frames have around chunks


class Trouble:
    """A download from anna to bert by name, and what happens to it."""

    def __init__(self, round, rate):
        self.round, self.random, self.rate = round, round.random, rate
        self.anna, self.bert = round.hosts(daemons=2)
        self.longest = 4 if round.short else 22
        self.sent = 0
        self.serve(5000)
        self.bert.limit(rate)
        sees(self.bert, "anna")

    def serve(self, port):
        self.server = share(self.anna, self.round.tree(), options=["--port", port])

    def start(self, *options):
        self.client = self.bert.spawn("lanyard", "download", "--json", "tree", *options)
        self.total = self.client.wait_event("start", seconds(60))["bytes"]

    def done(self):
        return max([e["done"] for e in self.client.events() if e["event"] == "progress"], default=0)

    def wait_for_progress(self):
        goal = self.done() + self.random.random() * 0.2 * self.total
        until(lambda: self.done() >= goal or self.client.over(), "progress", seconds(120))

    def pause(self):
        time.sleep(self.random.uniform(0.5, self.longest))

    # What happens

    def link_down(self):
        self.bert.link("down")
        self.pause()
        self.bert.link("up")

    def black_hole(self):
        """The cable is in, but packets vanish."""
        port = ["ip", "link", "set", "bert-eth0"]
        self.round.lan.switch.check(*port, "nomaster")
        self.pause()
        self.round.lan.switch.check(*port, "master", "br0")

    def crawl(self):
        """10 KB/s for a while"""
        self.bert.limit("80kbit")
        self.pause()
        self.bert.limit(self.rate)

    def move(self):
        self.anna.change_address(f"10.9.0.{self.random.randint(50, 250)}")

    def restart(self):
        """on another port; in order, or by a crash"""
        self.sent += self.server.written()
        self.server.kill(self.random.choice([signal.SIGKILL, signal.SIGTERM]))
        self.server.wait()
        time.sleep(self.random.uniform(0, 1))
        self.serve(self.random.randint(5001, 6000))

    def freeze_server(self):
        self.freeze(self.server)

    def freeze_client(self):
        self.freeze(self.client)

    def freeze(self, process):
        process.kill(signal.SIGSTOP)
        self.pause()
        process.kill(signal.SIGCONT)

    def daemon_dies(self):
        host = self.random.choice([self.anna, self.bert])
        host.avahi_kill()
        host.avahi_start()

    def any(self):
        happens = self.random.choice([
            self.link_down, self.black_hole, self.crawl, self.move, self.restart,
            self.freeze_server, self.freeze_client, self.daemon_dies])
        self.round.count(happens.__name__.replace("_", " "))
        happens()

    # What must hold

    def losses(self):
        """How often a connection was lost."""
        sources = [e["sources"] for e in self.client.events() if e["event"] == "source"]
        return sum(1 for a, b in zip(sources, sources[1:]) if a > b)

    def finish(self):
        last = self.client.result(seconds(240)).ok().last()
        assert last["fetched"] + last["zeros"] + last["reused"] == last["bytes"]
        self.round.same_tree(self.round.tree(), self.bert / "tree")
        nothing_left(self.bert, "tree")
        again = max(0, self.sent + self.server.written() - last["bytes"] * 1.02 - SLACK)
        self.round.count("MiB sent again", again / MIB)
        assert again <= (self.losses() + 1) * in_flight(), f"{again} bytes were sent again"


@fault("troubles", short=3)
def troubles(round):
    """cable, address, port, rate, stopped programs, dead daemons, one after the other"""
    trouble = Trouble(round, "150mbit")
    trouble.start()
    for _ in range(round.random.randint(1, 2 if round.short else 5)):
        trouble.wait_for_progress()
        if trouble.client.over():
            break
        trouble.any()
    trouble.finish()


@fault("bad-line", short=2)
def bad_line(round):
    """bytes flipped, cut, reset, half closed, silent, at random places below TLS"""
    anna, bert = round.hosts()
    a = share(anna, round.tree())
    faults = round.random.randint(1, 6)
    line = anna.spawn("/usr/bin/python3", BAD_LINE, 7000, a.port, round.seed, faults)
    line.wait_line("^up")
    p = bert.spawn("lanyard", "download", "--json", anna.address, 7000, "tree")
    last = p.result(seconds(240))
    if last.code == 3:  # the search for the name met the fault
        last = bert.run("lanyard", "download", "--json", anna.address, 7000, "tree", timeout=240)
    last = last.ok().last()
    assert last["fetched"] + last["zeros"] + last["reused"] == last["bytes"]
    for what in line.out.splitlines()[1:]:
        round.count(what.split()[0])
    round.same_tree(round.tree(), bert / "tree")
    nothing_left(bert, "tree")


@fault("long-outage", short=0)
def long_outage(round):
    """two minutes without the cable: it goes on by itself with --timeout 300, else it is exit 6"""
    trouble = Trouble(round, "100mbit")
    patient = round.random.random() < 0.5
    trouble.start(*(["--timeout", 300] if patient else []))
    trouble.wait_for_progress()
    trouble.bert.link("down")
    busy = trouble.client.cpu()
    if patient:
        time.sleep(120)
        round.worst("% CPU while waiting", 100 * (trouble.client.cpu() - busy) / 120)
        trouble.bert.link("up")
    else:
        ended = trouble.client.result(seconds(90)).exits(6)
        round.worst("s until it was given up", ended.seconds)
        trouble.bert.link("up")
        trouble.start()
        assert trouble.client.wait_event("start")["bytes"]
    trouble.finish()


@fault("frozen-source", short=0)
def frozen_source(round):
    """one of two sources stands still: the other one takes over"""
    anna, bert, carl = round.hosts(3, daemons=3)
    film = max(round.tree().rglob("*"), key=lambda path: path.lstat().st_blocks)
    sharers = {host.name: share(host, film) for host in (anna, carl)}
    bert.limit("150mbit")
    sees(bert, "anna", "carl")
    p = bert.spawn("lanyard", "download", "--json", film.name)
    first = p.wait_event("source", seconds(20), sources=1)["peer"]
    p.wait_event("start", seconds(20))
    sharers[first].kill(signal.SIGSTOP)
    frozen = time.monotonic()
    other = ({"anna", "carl"} - {first}).pop()
    p.wait_event("source", seconds(40), peer=other, sources=1)
    round.worst("s until the other source was asked", time.monotonic() - frozen)
    p.result(seconds(240)).ok()
    same(film, bert / film.name)
