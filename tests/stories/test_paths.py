# SPDX-License-Identifier: MIT
"""Folders turn into links that lead out, as fast as a process can do that, while they are served
and while a download is written: nothing outside is read or written. Told without Landlock, so
that it is the way files are opened that holds, and again without openat2."""
import contextlib
import os

import pytest
from faulty import TOOLS
from lan import LANYARD
from process import until
from verbs import MIB, random_file, seconds, staging

SWAP = """
import ctypes, os, sys
a, b = (os.fsencode(w) for w in sys.argv[1:])
rename, n = ctypes.CDLL(None).renameat2, 0
while True:
    rename(-100, a, -100, b, 2)  # RENAME_EXCHANGE, as long as both are there
    n += 1
    if n % 1000 == 0:
        print(n, flush=True)
"""
MARK = b"this must never leave"
KERNELS = pytest.mark.parametrize("lacking", [["landlock"], ["landlock", "openat2", "renameat2"]],
                                  ids=["openat2", "old kernel"])


def old(lacking):
    """Words in front of a program; in a build with sanitizers, too."""
    return [TOOLS / "oldkernel", *lacking, "--", LANYARD]


def shared(host, lacking):
    """The folder `music` of this host, and the port."""
    a = host.spawn(*old(lacking), "share", "--json", "music")
    return a, a.wait_event("ready")["port"]


@contextlib.contextmanager
def swapping(host, a, b):
    """a and b change places all the time."""
    p = host.spawn("/usr/bin/python3", "-c", SWAP, a, b)
    p.wait_line("000$")
    yield
    assert p.alive(), p.story()
    p.kill()
    p.wait()


def make_outside(host, names):
    outside = host.dir / "outside"
    outside.mkdir()
    for name in [*names, "only outside"]:
        (outside / name).write_bytes(MARK)
    return outside


def contents(folder):
    for at, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(at, name)
            if not os.path.islink(path):
                with open(path, "rb") as f:
                    yield path, f.read()


@KERNELS
def test_a_served_folder_turns_into_a_link_that_leads_out(cable, lacking):
    anna, bert = cable.hosts
    names = [f"song {i}" for i in range(50)]
    outside = make_outside(anna, names)
    (anna / "music/live").mkdir(parents=True)
    for name in names:
        (anna / "music/live" / name).write_text("inside")
    (anna / "music/.link").symlink_to(outside)
    (anna / "music/one").write_text("inside")
    (anna / "music/.one").symlink_to(outside / names[0])
    a, port = shared(anna, lacking)
    arrived = tries = 0
    with swapping(anna, anna / "music/live", anna / "music/.link"), \
            swapping(anna, anna / "music/one", anna / "music/.one"):
        while tries < 3 or not arrived:  # if nothing ever arrived, nothing was shown
            assert tries < 30
            to = bert / str(tries)
            to.mkdir()
            for path in ["music", "music/live", "music/one", "music/live/" + names[tries]]:
                bert.run("lanyard", "download", anna.address, port, path, "-o", to,
                         "--unsafe-links", "--timeout", 2)
            shown = bert.run("lanyard", "list", f"{anna.address}:{port}:music/live")
            assert "only outside" not in shown.out
            for path, data in contents(to):
                assert MARK not in data, path
                assert "only outside" not in path
                arrived += data == b"inside"
            tries += 1
    assert a.alive()


@KERNELS
def test_a_root_that_was_swapped_for_a_link(cable, lacking):
    """What is shared is the folder, not its name."""
    anna, bert = cable.hosts
    outside = make_outside(anna, ["song"])
    (anna / "music").mkdir()
    (anna / "music/song").write_text("inside")
    _, port = shared(anna, lacking)
    (anna / "music").rename(anna / "was music")
    (anna / "music").symlink_to(outside)
    bert.run("lanyard", "download", anna.address, port, "music").ok()
    assert dict(contents(bert / "music")) == {str(bert / "music/song"): b"inside"}


@KERNELS
def test_links_that_lead_out_are_never_followed(cable, lacking):
    anna, bert = cable.hosts
    outside = make_outside(anna, ["song"])
    (anna / "music").mkdir()
    (anna / "music/real").write_text("inside")
    for name, target in [("absolute", outside), ("up", "../../outside"), ("root", "/"),
                         ("file", outside / "song"), ("proc", "/proc/self/root"),
                         ("twice", "up/../absolute")]:
        (anna / "music" / name).symlink_to(target)
    _, port = shared(anna, lacking)
    for path in ["absolute/song", "up/song", "root/etc/passwd", "proc/etc/passwd", "twice/song"]:
        bert.run("lanyard", "download", anna.address, port, "music/" + path).exits(3)
    p = bert.spawn(*old(lacking), "download", anna.address, port, "music")
    assert p.wait(seconds(20)) == 7  # some entries were skipped
    assert os.listdir(bert / "music") == ["real"]


@KERNELS
def test_a_folder_of_a_download_turns_into_a_link_that_leads_out(cable, lacking):
    anna, bert = cable.hosts
    names = [f"song {i}" for i in range(300)]
    outside = make_outside(bert, names[:10])
    before = dict(contents(outside))
    (anna / "music/live").mkdir(parents=True)
    for name in names:
        (anna / "music/live" / name).write_text("from anna")
    random_file(anna / "music/zz", 24 * MIB)
    a = anna.spawn("lanyard", "share", "--json", "music")
    port = a.wait_event("ready")["port"]
    (bert / "link").symlink_to(outside)
    for _ in range(3):
        bert.limit("100mbit")
        p = bert.spawn(*old(lacking), "download", anna.address, port, "music", "--timeout", 5)
        live = staging(bert, "music") / "data/live"
        until(lambda: live.exists() or not p.alive(), "a folder in staging", seconds(20))
        with swapping(bert, live, bert / "link") if p.alive() else contextlib.nullcontext():
            bert.unlimit()
            p.wait(seconds(60))
        assert dict(contents(outside)) == before
        if live.is_symlink():
            os.replace(live, bert / "link 2")
            os.rename(bert / "link", live)
            os.rename(bert / "link 2", bert / "link")
        if (bert / "music").exists():
            break
    assert not any(path.startswith(str(outside)) and b"anna" in data
                   for path, data in contents(outside))
