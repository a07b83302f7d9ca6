# SPDX-License-Identifier: MIT
"""underway -- a download of the mixed tree from anna to bert, random moments in it, and what must
hold whoever is killed at one of them

    it = Underway(round)            anna shares, bert downloads
    it.moment()                     somewhere between its first instruction and its last
    it.end(it.client)               kill -9
    it.check()                      no name yet, or the whole tree has it
    it.start()                      the same command again
    it.finish()                     it ends well, and the tree is there, the same, and nothing else
"""
import time

from process import until
from verbs import seconds, share
from watch import Watch

RATES = [None, "3gbit", "1gbit", "500mbit"]
STAGING = "tree.lanyard-part"


class Underway:
    def __init__(self, round):
        self.round, self.random = round, round.random
        self.anna, self.bert = round.hosts()
        self.tree = round.tree()
        self.port, self.kills, self.runs = 5000, 0, 0
        self.into = self.seen = self.bert.files
        self.prepare()
        self.serve()
        self.measure()
        if rate := self.random.choice(RATES):
            self.bert.limit(rate)
        self.look()
        self.start()

    def prepare(self):
        """Where it shall lie: .into, as bert's programs call it, and .seen, as we do."""

    def measure(self):
        """Before the cable is slow and the download begins."""

    def look(self):
        """Notes from here on what appears in the folder."""
        self.watch = Watch(self.seen)
        self.round.close.callback(self.watch.close)

    # Who is there

    def serve(self):
        self.server = share(self.anna, self.tree, options=["--port", self.port])

    def start(self):
        self.runs += 1
        self.client = self.bert.spawn("lanyard", "download", "--json", self.anna.address,
                                      self.port, "tree", "-o", self.into)

    def end(self, process):
        if not process.alive():  # it found no server, or had just come to its end
            assert process.wait() in (0, 3), process.story()
            return
        process.kill()
        until(process.dead, "the end of a killed program")
        self.ended(process)
        process.wait()

    def ended(self, process):
        """It is dead; what the kernel knows about it can still be read."""

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
        until(lambda: look() or self.client.over(), "a moment to come", seconds(60), every=0.002)

    def done(self):
        """Bytes of the selection that the client says are here."""
        return max([e["done"] for e in self.client.events() if e["event"] == "progress"], default=0)

    def total(self):
        return next((e["bytes"] for e in self.client.events() if e["event"] == "start"), 0)

    def named(self):
        return ("moved in", "tree") in self.watch.events()

    def early(self):
        """while it starts, connects, opens"""
        time.sleep(self.random.uniform(0, 0.06))

    def preparing(self):
        """while the manifest arrives and folders are made"""
        self.wait_for((self.seen / STAGING).exists)
        time.sleep(self.random.uniform(0, 0.1))

    def running(self):
        """after some bytes"""
        self.wait_for(self.total)
        part = self.random.random()
        self.wait_for(lambda: self.done() >= part * self.total())
        time.sleep(self.random.uniform(0, 0.1))

    def any_time(self):
        time.sleep(self.random.uniform(0, 1.5))

    def committing(self):
        """when all bytes are here: modes, times, links, sync"""
        self.wait_for(self.total)
        self.wait_for(lambda: self.done() == self.total())
        time.sleep(self.random.uniform(0, 0.3))

    def cleaning(self):
        """when the tree just got its name"""
        self.wait_for(self.named)
        time.sleep(self.random.uniform(0, 0.003))

    def moment(self, last=False):
        """last: it may be one after which nothing is left to do."""
        moments = [self.early, self.preparing, self.running, self.running, self.any_time]
        if last:
            moments += [self.committing, self.committing, self.cleaning]
        self.random.choice(moments)()

    # What must hold

    def check(self):
        if (self.seen / "tree").exists():
            self.round.same_tree(self.tree, self.seen / "tree")
        else:
            assert not self.named()

    def finished(self):
        """The tree has its name and nothing is left to do."""
        return (self.seen / "tree").exists() and not (self.seen / STAGING).exists()

    def result(self):
        """Who finds no server at the very beginning is told so, and asks again."""
        found = self.client.result(seconds(120))
        if found.code != 3 or "no answer" not in found.err:
            return found
        self.start()
        return self.client.result(seconds(120))

    def finish(self):
        if self.finished() and self.client.wait() != 0:  # killed at the very end: told again
            self.start()
        last = self.result().ok().last()
        assert last["fetched"] + last["zeros"] + last["reused"] == last["bytes"]
        self.round.same_tree(self.tree, self.seen / "tree")
        assert not (self.seen / STAGING).exists()
        names = [e for e in self.watch.events() if e[1] != STAGING]
        assert names in ([], [("moved in", "tree")]), names  # [] if we looked only after that
