# SPDX-License-Identifier: MIT
"""kill -- kill -9 at random moments, of the client, of the server, of both

The same command goes on, a server comes back. What was sent again is counted at the server, in
bytes that it wrote to its sockets: against a download that nobody disturbed, each kill may cost
what was in flight.
"""
import pathlib
import re
import time

from fault import fault
from underway import Underway
from verbs import MIB, download

ROOT = pathlib.Path(__file__).parents[2]
GREETING = 16 * 1024  # bytes of a server, each time that it is dialled and asked for the tree
undisturbed = {}  # tree -> bytes that a server writes for it


def constant(file, name):
    product = re.search(rf"\b{name} = ([\d *]+),", (ROOT / file).read_text())[1]
    n = 1
    for factor in product.split("*"):
        n *= int(factor)
    return n


def in_flight():
    """Bytes that a kill may cost: what was asked for (a request is full when its last chunk makes
    it so), and what has arrived and waits for the disk."""
    get = constant("core/fetch_internal.h", "FETCH_GET_BYTES") + MIB
    return (constant("core/fetch_internal.h", "FETCH_ASKS") * get +
            constant("cli/cmd_download.c", "BUFFERS") * MIB)


class Siege(Underway):
    """What servers have written, all together, is in .sent."""
    sent = 0

    def measure(self):
        if self.tree not in undisturbed:
            other = self.bert.dir / "other"
            other.mkdir()
            download(self.bert, self.anna.address, self.port, "tree", "-o", other).ok()
            undisturbed[self.tree] = self.server.written()
            self.bert.check("rm", "-r", str(other))
            self.end(self.server)
            self.sent = 0
            self.serve()

    def ended(self, process):
        if process is self.server:
            self.sent += process.written()

    def finish(self):
        super().finish()
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
    for left in reversed(range(siege.random.randint(1, 5))):
        siege.moment(last=left == 0)
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
    for left in reversed(range(siege.random.randint(1, 4))):
        siege.moment(last=left == 0)
        if not siege.kill(*siege.random.sample([siege.client, siege.server], 2)):
            break
        siege.check()
        siege.serve()
        if siege.finished():
            break
        siege.start()
    siege.finish()
