# SPDX-License-Identifier: MIT
"""kill -- kill -9 at random moments, of the client, of the server, of both

The same command goes on, a server comes back. In the end the tree is the same, nothing of the
staging folder is left, and nothing but the whole tree has ever borne its name. What was sent again
is counted at the server, in bytes that it wrote to its sockets: against a download that nobody
disturbed, each kill may cost what was in flight.
"""
import pathlib
import re
import time

from fault import fault
from process import until
from verbs import MIB, download, nothing_left, seconds, share, staging
from watch import Watch

ROOT = pathlib.Path(__file__).parents[2]
RATES = [None, "3gbit", "1gbit", "500mbit"]
GREETING = 16 * 1024  # bytes of a server, for each time that it is dialled and asked to open the tree
undisturbed = {}  # tree -> bytes that a server writes for it


def constant(file, name):
    product = re.search(rf"\b{name} = ([\d *]+),", (ROOT / file).read_text())[1]
    n = 1
    for factor in product.split("*"):
        n *= int(factor)
    return n


def in_flight():
    """Bytes that a kill may cost: what was asked for (a request is full when its last chunk makes it
    so), and what has arrived and waits for the disk."""
    get = constant("core/fetch_internal.h", "FETCH_GET_BYTES") + MIB
    return (constant("core/fetch_internal.h", "FETCH_ASKS") * get +
            constant("cli/cmd_download.c", "BUFFERS") * MIB)


class Siege:
    """A download from anna to bert that goes on, whoever is killed."""

    def __init__(self, round):
        self.round, self.random = round, round.random
        self.anna, self.bert = round.hosts()
        self.tree = round.tree()
        self.kills = self.sent = self.runs = 0
        self.port = 0
        self.serve()
        self.words = [self.anna.address, self.port, "tree"]
        self.measure()
        if rate := self.random.choice(RATES):
            self.bert.limit(rate)
        self.watch = Watch(self.bert.files)
        round.close.callback(self.watch.close)
        self.start()

    def measure(self):
        """What the server writes when nobody disturbs it."""
        if self.tree not in undisturbed:
            (self.bert.dir / "other").mkdir()
            download(self.bert, *self.words, "-o", self.bert.dir / "other").ok()
            undisturbed[self.tree] = self.server.written()
            self.bert.check("rm", "-r", str(self.bert.dir / "other"))
            self.end(self.server)
            self.sent = 0
            self.serve()

    # Who is there

    def serve(self):
        self.server = share(self.anna, self.tree, options=["--port", self.port or 5000])
        self.port = self.server.port

    def start(self):
        self.runs += 1
        self.client = self.bert.spawn("lanyard", "download", "--json", *self.words)

    def end(self, process):
        process.kill()
        until(process.dead, "the end of a killed program")
        if process is self.server:
            self.sent += process.written()
        process.wait()

    def kill(self, *processes):
        """False: the client was at its end already."""
        if self.client.over():
            return False
        for process in processes:
            self.end(process)
        self.kills += 1
        self.round.count("kills")
        return True

    # Random moments

    def wait_for(self, look):
        """Polls until look(), or until the client has ended."""
        until(lambda: look() or self.client.over(), "a moment to kill", seconds(60), every=0.002)

    def done(self):
        """Bytes of the selection that the client says are here."""
        return max([e["done"] for e in self.client.events() if e["event"] == "progress"], default=0)

    def total(self):
        return next((e["bytes"] for e in self.client.events() if e["event"] == "start"), None)

    def early(self):
        """while it starts, connects, opens"""
        time.sleep(self.random.uniform(0, 0.06))

    def preparing(self):
        """while the manifest arrives and folders are made"""
        self.wait_for(staging(self.bert, "tree").exists)
        time.sleep(self.random.uniform(0, 0.1))

    def running(self):
        """after some bytes"""
        self.wait_for(self.total)
        part = self.random.random()
        self.wait_for(lambda: self.done() >= part * self.total())
        time.sleep(self.random.uniform(0, 0.1))

    def any_time(self):
        time.sleep(self.random.uniform(0, 2))

    def committing(self):
        """when all bytes are here: modes, times, links, sync"""
        self.wait_for(self.total)
        self.wait_for(lambda: self.done() == self.total())
        time.sleep(self.random.uniform(0, 0.3))

    def cleaning(self):
        """when the tree just got its name"""
        self.wait_for(lambda: ("moved in", "tree") in self.watch.events())
        time.sleep(self.random.uniform(0, 0.003))

    def moment(self, also=()):
        moments = [self.early, self.preparing, self.running, self.running, self.any_time, *also]
        self.random.choice(moments)()

    # What must hold

    def check(self):
        """After a kill: no name yet, or the whole tree has it."""
        if ("moved in", "tree") in self.watch.events():
            self.round.same_tree(self.tree, self.bert / "tree")
        else:
            assert not (self.bert / "tree").exists()

    def finished(self):
        """The tree has its name and nothing is left to do."""
        return (self.bert / "tree").exists() and not staging(self.bert, "tree").exists()

    def finish(self):
        if not self.finished():
            last = self.result().ok().last()
            assert last["fetched"] + last["reused"] == last["bytes"]
        self.client.wait()
        self.round.same_tree(self.tree, self.bert / "tree")
        nothing_left(self.bert, "tree")
        names = [e for e in self.watch.events() if e[1] != "tree.lanyard-part"]
        assert names == [("moved in", "tree")]
        self.count_again()

    def result(self):
        """Who finds no server at the very beginning is told so, and asks again."""
        found = self.client.result(seconds(120))
        if found.code != 3 or "connection refused" not in found.err:
            return found
        self.start()
        return self.client.result(seconds(120))

    def count_again(self):
        self.end(self.server)
        expected = undisturbed[self.tree] + (self.runs + self.kills) * GREETING
        again = max(0, self.sent - expected)
        self.round.count("MiB sent again", again / MIB)
        if self.kills:
            self.round.worst("MiB sent again per kill in a round", again / MIB / self.kills)
        assert again <= self.kills * in_flight(), f"{again} bytes were sent again"


@fault("kill-client", short=3)
def kill_client(round):
    """kill -9 of the client, again and again, up to the end of its commit"""
    siege = Siege(round)
    for _ in range(siege.random.randint(1, 5)):
        siege.moment(also=[siege.committing, siege.cleaning])
        if not siege.kill(siege.client):
            break
        siege.check()
        if siege.finished():
            break
        siege.start()
    siege.finish()


@fault("kill-server", short=2)
def kill_server(round):
    """kill -9 of the server; it comes back, and the client goes on by itself"""
    siege = Siege(round)
    for _ in range(siege.random.randint(1, 3)):
        siege.moment()
        if not siege.kill(siege.server):
            break
        siege.check()
        time.sleep(siege.random.uniform(0, 1))
        siege.serve()
    siege.finish()


@fault("kill-both", short=2)
def kill_both(round):
    """kill -9 of both at once"""
    siege = Siege(round)
    for _ in range(siege.random.randint(1, 4)):
        siege.moment(also=[siege.committing])
        if not siege.kill(*siege.random.sample([siege.client, siege.server], 2)):
            break
        siege.check()
        siege.serve()
        if siege.finished():
            break
        siege.start()
    siege.finish()
