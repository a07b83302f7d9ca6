# SPDX-License-Identifier: MIT
"""Lines that are slow or dead, peers that are stopped, and a user who has waited long enough."""
import fcntl
import os
import re
import signal
import struct
import termios

import pytest
from process import until
from verbs import (MIB, download, download_until, random_file, same, seconds, share)

AT_ONCE = 1.5  # for what takes a second at the most
MUTE = ("import socket\ns = socket.create_server(('', 5000))\nprint('up', flush=True)\nk = []\n"
        "while True:\n k.append(s.accept())\n")


def ends(p, code, limit=AT_ONCE):
    """It ends soon, with this exit code."""
    return p.result(seconds(limit)).exits(code)


@pytest.fixture
def slow(cable):
    """A cable that makes a download of a film last some seconds."""
    cable.hosts[0].limit("200mbit")
    return cable


def film_of(anna, size=48 * MIB):
    return random_file(anna / "film", size), share(anna, "film")


# Slow and dead

def test_a_chunk_that_takes_longer_than_the_timeout(cable):
    """As long as bytes come it is not over: here 20 KB/s."""
    anna, bert = cable.hosts
    film, a = film_of(anna, 160_000)
    anna.limit("160kbit")
    download(bert, anna.address, a.port, "film", "--timeout", 2).ok()
    same(film, bert / "film")


def test_a_stopped_client_goes_on_when_it_is_woken(slow):
    """The time in which we were stopped is not the source's."""
    anna, bert = slow.hosts
    film, a = film_of(anna)
    p = download_until(bert, "film", anna.address, a.port, "film", "--timeout", 1, size=8 * MIB)
    p.kill(signal.SIGSTOP)
    with pytest.raises(AssertionError):  # longer than --timeout
        until(lambda: not p.alive(), "nothing to happen", 2.5)
    p.kill(signal.SIGCONT)
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_an_outage_is_told_in_a_few_lines(slow):
    anna, bert = slow.hosts
    film, a = film_of(anna)
    p = bert.terminal("lanyard", "download", anna.address, a.port, "film")
    p.wait_line("ETA", timeout=seconds(20))
    a.kill()
    a.wait()
    p.wait_line(r"lost anna: .*trying again", timeout=seconds(20))
    p.wait_line("waiting for a source", timeout=seconds(20))
    fcntl.ioctl(p.streams[0].fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    until(lambda: len(p.out.rpartition("\r")[2]) < 45, "a line that fits", seconds(10))
    share(anna, "film", options=["--port", a.port])
    p.wait_line("connected to anna", timeout=seconds(20))
    assert p.wait(seconds(60)) == 0
    lines = [line for line in re.split(r"[\r\n]+", p.out) if "lost" in line or "connected" in line]
    assert len(lines) == 2, lines
    same(film, bert / "film")


# Signals

def test_a_user_who_does_not_wait_for_a_mute_peer(cable):
    anna, bert = cable.hosts
    anna.spawn("/usr/bin/python3", "-c", MUTE).wait_line("up")
    for host in [anna.address, "10.9.0.99"]:  # it listens; there is none
        p = bert.spawn("lanyard", "-vv", "download", host, 5000, "film")
        p.wait_line("dialling", stream="err")
        p.interrupt()
        ends(p, 6)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_what_is_here(slow, sig):
    anna, bert = slow.hosts
    film, a = film_of(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=8 * MIB)
    p.kill(sig)
    assert ends(p, 6).last()["code"] == 6
    assert download(bert, *words).ok().last()["reused"] >= 7 * MIB
    same(film, bert / "film")


def test_ctrl_c_twice(slow):
    anna, bert = slow.hosts
    film, a = film_of(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=8 * MIB)
    p.interrupt()
    p.interrupt()
    ends(p, 6)
    download(bert, *words).ok()
    same(film, bert / "film")


def test_a_sharer_says_goodbye_though_discovery_sleeps(lan):
    anna, bert = lan.hosts
    anna.limit("200mbit")
    film, a = film_of(anna)
    p = download_until(bert, "film", anna.address, a.port, "film", size=4 * MIB)
    anna.avahi.kill(signal.SIGSTOP)
    a.kill(signal.SIGTERM)
    ends(a, 0)
    assert "shutting down" in p.wait_event("source", seconds(5), sources=0)["message"]
    anna.avahi.kill(signal.SIGCONT)
    share(anna, "film", options=["--port", a.port])
    p.result(seconds(60)).ok()
    same(film, bert / "film")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_watching_ends_when_it_is_told_to(cable, sig):
    _, bert = cable.hosts
    p = bert.spawn("lanyard", "list-peers", "--watch", "--wait", 1)
    until(lambda: "NAME" in p.out, "the first table", seconds(10))
    p.kill(sig)
    ends(p, 0)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGHUP])
def test_the_prompt_ends_in_order(cable, sig):
    _, bert = cable.hosts
    p = bert.terminal("lanyard")
    p.wait_line("lanyard> ", timeout=seconds(10))
    p.kill(sig)
    ends(p, 0)


def connections_made(host):
    """By all that ever ran there: ActiveOpens, proc_pid_net(5)."""
    names, values = (line.split() for line in host.check("cat", "/proc/net/snmp").splitlines()
                     if line.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def test_one_connection_is_enough_for_a_download(cable):
    """Whoever says that it has it is asked for it, too."""
    anna, bert = cable.hosts
    film, a = film_of(anna, 8 * MIB)
    download(bert, anna.address, a.port, "film").ok()
    same(film, bert / "film")
    assert connections_made(bert) == 1


@pytest.fixture
def waited_for(cable):
    """Whoever asks both of these has an answer of the first, and waits for the second: (anna, bert,
    who shares two films, the options)"""
    anna, bert = cable.hosts
    anna.spawn("/usr/bin/python3", "-c", MUTE).wait_line("up")
    for i, folder in enumerate(["old", "new"]):
        (anna / folder).mkdir()
        random_file(anna / folder / "film", MIB, seed=i)
    a = share(anna, "old", "new", options=["-vv"])
    return anna, bert, a, [f"--peer={anna.address}:{port}" for port in (a.port, 5000)]


def test_a_sharer_that_starts_anew_while_another_is_waited_for(waited_for):
    anna, bert, a, peers = waited_for
    p = bert.spawn("lanyard", "download", *peers, "new/film")
    a.wait_line("FOUND", seconds(10), "err")
    a.kill()
    a.wait()
    assert share(anna, "new").port == a.port
    p.result(seconds(30)).ok()
    same(anna / "new" / "film", bert / "film")


def test_who_does_not_say_goodbye_is_left(waited_for):
    """At the prompt, where whatever is left open stays open."""
    anna, bert, a, peers = waited_for
    p = bert.terminal("lanyard", "-vv")
    p.wait_line("lanyard> ", seconds(10))
    left_open = []
    for n in (1, 2):
        p.type(f"download {' '.join(peers)} film\r")
        p.wait_for(lambda: p.out.count("-> FOUND") == n, "its answer", seconds(10))
        a.kill(signal.SIGSTOP)
        p.wait_for(lambda: p.out.count("which one, as it stands") == n, "the end", seconds(10))
        p.wait_for(lambda: p.out.count("lanyard> ") > n, "the prompt", seconds(10))
        a.kill(signal.SIGCONT)
        left_open.append(len(os.listdir(f"/proc/{p.pid}/fd")))
    assert left_open[0] == left_open[1]
    p.type("exit\r")
    p.result(seconds(5)).ok()


def test_a_peer_on_the_same_link_is_not_paced(cable):
    """Where the system's choice is BBR, for one link it is another one; any other choice stays."""
    anna, bert = cable.hosts
    _, a = film_of(anna, 8 * MIB)
    systems = anna.check("cat", "/proc/sys/net/ipv4/tcp_congestion_control").strip()
    wanted = {"cubic", "reno"} if systems == "bbr" else {systems}
    p = bert.spawn("lanyard", "download", "--limit", "1M", anna.address, a.port, "film")
    until(lambda: wanted & set(anna.check("ss", "-tinH", "state", "established").split()),
          f"a connection with one of {wanted}")
    assert p.alive()
    p.kill()
    p.wait()
