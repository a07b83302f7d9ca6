# SPDX-License-Identifier: MIT
"""verbs -- the words in which stories are told"""
import contextlib
import os
import pathlib
import random

from process import until

MIB = 1 << 20
SANITIZED = os.environ.get("LANYARD_SANITIZED") == "1"


def seconds(limit):
    """A limit of time, longer when sanitizers slow everything down."""
    return limit * 3 if SANITIZED else limit


# Files

def random_file(path, size, seed=1, mode="wb"):
    """Bytes that do not repeat, the same for the same seed; "r+b" leaves no moment without them."""
    make = random.Random(seed)
    with open(path, mode) as f:
        for at in range(0, size, MIB):
            f.write(make.randbytes(min(MIB, size - at)))
    return pathlib.Path(path)


def same(a, b):
    a, b = pathlib.Path(a), pathlib.Path(b)
    assert a.stat().st_size == b.stat().st_size
    with open(a, "rb") as f, open(b, "rb") as g:
        while block := f.read(MIB):
            assert block == g.read(MIB), f"{a} and {b} differ"


def staging(host, name):
    return host / f"{name}.lanyard-part"


def staged(host, name):
    """Bytes of data that lie in the staging folder of a download (blocks, not sizes)."""
    total = 0
    for folder, _, files in os.walk(staging(host, name)):
        for f in set(files) - {"manifest", "journal"}:
            with contextlib.suppress(FileNotFoundError):  # a temporary one
                total += os.stat(os.path.join(folder, f)).st_blocks * 512
    return total


def nothing_left(host, name):
    """A download is whole: no staging beside it."""
    assert (host / name).exists()
    assert not staging(host, name).exists()


# Lanyard

def share(host, *paths, options=(), cwd=None):
    """Starts sharing; returns when it is ready. Its .port is where it listens."""
    p = host.spawn("lanyard", "share", "--json", *options, *paths, cwd=cwd)
    p.ready = p.wait_event("ready", seconds(10))
    p.port = p.ready["port"]
    return p


def peers(host, *options):
    """name -> object of list-peers"""
    listed = host.run("lanyard", "list-peers", "--json", *options)
    if listed.code == 3:  # nobody is here
        return {}
    return {p["name"]: p for p in listed.ok().objects()}


def sees(host, *names, timeout=10):
    """Waits until list-peers shows exactly these."""
    until(lambda: set(peers(host)) == set(names), f"{host.name} to see {names}", seconds(timeout))


def download(host, *words, timeout=60, cwd=None):
    """One download to its end. Result.last() is its last object."""
    return host.run("lanyard", "download", "--json", *words, timeout=seconds(timeout), cwd=cwd)


def download_until(host, name, *words, size):
    """Starts a download and returns the process when `size` bytes of it are on disk."""
    p = host.spawn("lanyard", "download", "--json", *words)
    p.wait_for(lambda: staged(host, name) >= size, f"{size} staged bytes", seconds(30))
    assert p.alive() and not (host / name).exists()
    return p
