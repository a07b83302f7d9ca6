# SPDX-License-Identifier: MIT
"""bad_line -- a TCP line that breaks, seeded: the first FAULTS connections each in a way of its own

    python3 bad_line.py PORT TO_PORT SEED FAULTS     "up", then a line for each fault that happens

Bytes from PORT go to TO_PORT on this host, and back. After some bytes in one direction: the line is
cut, reset, closed in this direction only, brings nothing more, is slow for a while, or gets one bit
wrong. One connection at the most is silent: that takes its time.
"""
import random
import socket
import struct
import sys
import threading
import time

BLOCK = 1 << 16
KINDS = ["cut", "reset", "half", "flip", "flip", "slow"]


class Plan:
    def __init__(self, make, kinds):
        self.kind = make.choice(kinds)
        self.direction = make.choice(["to the client"] * 3 + ["to the server"])
        early = make.random() < 0.4 or self.direction == "to the server"
        self.at = make.randrange(6_000 if early else 40_000_000)

    def __str__(self):
        return f"{self.kind} {self.direction} after {self.at} bytes"


class Line:
    """One connection: a thread carries what is said in each direction."""

    def __init__(self, ends, plan):
        self.ends, self.plan = ends, plan
        for i, direction in enumerate(["to the server", "to the client"]):
            threading.Thread(target=self.carry, daemon=True,
                             args=(ends[i], ends[1 - i], direction)).start()

    def carry(self, source, sink, direction):
        mine = self.plan if self.plan and self.plan.direction == direction else None
        passed = 0
        try:
            while block := source.recv(BLOCK):
                if mine and passed + len(block) > mine.at:
                    block = self.happen(mine, sink, bytearray(block), mine.at - passed)
                    mine = None
                passed += len(block)
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()

    def happen(self, plan, sink, block, at):
        """Returns what of the block still goes through."""
        print(plan, flush=True)
        if plan.kind == "flip":
            block[at] ^= 1
            return block
        sink.sendall(block[:at])
        if plan.kind == "reset":
            for end in self.ends:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if plan.kind in ("cut", "reset"):
            self.close()
            raise OSError
        if plan.kind == "slow":
            for byte in block[at:at + 20]:
                time.sleep(0.1)
                sink.sendall(bytes([byte]))
            return block[at + 20:]
        if plan.kind == "half":
            sink.shutdown(socket.SHUT_WR)
        while True:  # half, silent
            time.sleep(1000)

    def close(self):
        for end in self.ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


def main():
    port, to, seed, faults = map(int, sys.argv[1:])
    make = random.Random(seed)
    listener = socket.create_server(("", port))
    print("up", flush=True)
    silent = make.randrange(2 * faults)  # its number, if there is one
    for number in range(10**6):
        client, _ = listener.accept()
        plan = None
        if number < faults:
            plan = Plan(make, ["silent"] if number == silent else KINDS)
        Line([client, socket.create_connection(("127.0.0.1", to))], plan)


if __name__ == "__main__":
    main()
