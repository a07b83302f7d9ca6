# SPDX-License-Identifier: MIT
"""Strangers who come in numbers, or take their time: the service goes on for the others."""
import contextlib
import os
import resource
import struct
import time

import pytest
from process import until
from stranger import GET, OPEN, OPENED, Keys, Stranger, connect, first_words, inside, text
from verbs import MIB, download, random_file, same, share

OK, BUSY = 0, 10
pytestmark = pytest.mark.unsanitized  # memory and time of the real program


@pytest.fixture
def served(cable, tmp_path):
    """anna shares 64 MiB; carl is the one that is a nuisance."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    anna, bert = cable.hosts
    carl = cable.add_host()
    random_file(anna / "film", 64 * MIB)
    yield anna, bert, carl, share(anna, "film"), Keys(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def seconds_to_get(bert, anna, a):
    began = time.monotonic()
    download(bert, anna.address, a.port, "film").ok()
    same(anna / "film", bert / "film")
    (bert / "film").unlink()
    return time.monotonic() - began


def rss(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def n_files(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def test_silent_connections_cost_little_and_keep_nobody_out(served):
    """200 connections that stop in the middle of the handshake, where most memory is in use, from
    25 addresses: 64 wait, bert comes in at once."""
    anna, bert, carl, a, keys = served
    sources = [f"10.9.0.{i}" for i in range(100, 125)]
    for source in sources:
        carl.ip("addr", "add", source + "/24", "dev", "eth0")
    alone = seconds_to_get(bert, anna, a)
    files, memory, cpu = n_files(a), rss(a), a.cpu()
    begun = first_words(keys[0])[:-1]

    def begin(source):
        s = connect(None, anna.address, a.port, source=source)
        with contextlib.suppress(OSError):  # it may be one too many already
            s.sendall(begun)
        return s
    silent = inside(carl, lambda: [begin(s) for s in sources[:8] * 8])
    until(lambda: n_files(a) == files + 64, "all to be taken in")
    cost = (rss(a) - memory) / 64
    print(f"{cost / 1024:.1f} KiB for each that waits")
    assert cost < 80 * 1024
    silent += inside(carl, lambda: [begin(s) for s in sources[8:] * 8])
    until(lambda: n_files(a) <= files + 64, "the oldest to be closed")
    assert seconds_to_get(bert, anna, a) < 3 * alone + 1
    assert a.cpu() - cpu < 2
    until(lambda: n_files(a) <= files + 1, "all of them to be closed after 10 s", timeout=15)
    for s in silent:
        s.close()


def test_one_address_has_eight_that_wait(served):
    anna, bert, carl, a, _ = served
    files = n_files(a)
    silent = [connect(carl, anna.address, a.port) for _ in range(40)]
    until(lambda: n_files(a) <= files + 8, "all but eight to be closed")
    assert seconds_to_get(bert, anna, a) > 0
    silent[-1].settimeout(0.2)
    with pytest.raises(TimeoutError):
        silent[-1].recv(1)  # the youngest is still there


def test_one_peer_has_sixteen_connections(served):
    anna, _, carl, a, keys = served
    came = []
    for _ in range(16):
        came.append(Stranger(carl, anna.address, a.port, keys[0]))
        assert came[-1].auth() == OK
    one_more = Stranger(carl, anna.address, a.port, keys[0])
    assert one_more.auth() == BUSY
    other = Stranger(carl, anna.address, a.port, keys[1])
    assert other.auth() == OK
    came[3].close()

    def comes_in():
        return Stranger(carl, anna.address, a.port, keys[0]).auth() == OK
    until(comes_in, "the place that was left")


def test_a_thousand_idle_peers(served):
    anna, bert, carl, a, keys = served
    alone = seconds_to_get(bert, anna, a)

    def come(i):
        s = Stranger(None, anna.address, a.port, keys[i // 16])
        assert s.auth() == OK
        return s
    idle = inside(carl, lambda: [come(i) for i in range(1000)])
    cpu, began = a.cpu(), time.monotonic()
    assert seconds_to_get(bert, anna, a) < 3 * alone + 1
    memory = rss(a)
    assert memory < 64 * MIB, f"{memory / MIB:.1f} MiB"
    until(lambda: time.monotonic() > began + 3, "three seconds")
    print(f"idle: {memory / MIB:.1f} MiB, {a.cpu() - cpu:.2f} s of CPU in 3 s with a download")
    for s in idle:
        s.close()


def test_peers_that_ask_for_everything_and_take_a_byte_now_and_then(served):
    anna, bert, carl, a, keys = served
    alone = seconds_to_get(bert, anna, a)
    greedy = []
    for i in range(40):
        s = Stranger(carl, anna.address, a.port, keys[i // 16], receive_buffer=8192)
        greedy.append(s)
        assert s.auth() == OK
        s.ask(OPEN, text("film"))
    for s in greedy:
        while s.hear()[0] != OPENED:
            pass
        for _ in range(60):
            s.ask(GET, struct.pack(">HQI", 1, 0, 64))

    def nibble():
        for s in greedy:
            s.sock.settimeout(0.001)
            try:
                s.sock.recv(1)
            except OSError:
                pass
    until(lambda: nibble() or rss(a) > 10 * MIB, "them to be served")
    times = [seconds_to_get(bert, anna, a) for _ in range(3) if not nibble()]
    print(f"alone {alone:.2f} s, with 40 greedy peers {times}; {rss(a) / MIB:.1f} MiB")
    assert max(times) < 3 * alone + 1
    assert a.peak_rss < 64 * MIB
    for s in greedy:
        s.close()
