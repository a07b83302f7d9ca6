# SPDX-License-Identifier: MIT
"""names -- hostile names and metadata, and file systems that take two names for one"""
import importlib.util
import os
import pathlib
import shutil
import sys

from fault import fault
from hostile import any_name, entries, fill, put, same_entries
from lan import LANYARD
from verbs import MIB, download, nothing_left, seconds, share

# Words in front of a command: root as bound by modes as everybody else is.
ORDINARY = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search,-fowner"]
FOLDING = pathlib.Path(__file__).parents[1] / "lan" / "folding.py"


@fault("names-hostile", short=2)
def names_hostile(round):
    """A tree of random bytes as names, with random modes and times; interrupted now and then"""
    anna, bert = round.hosts(limit="600mbit")
    tree = anna / "tree"
    tree.mkdir()
    fill(tree, round.random, 150 if round.short else 1000)
    command = [LANYARD, "download", "--json", anna.address,
               share(anna, "tree", options=["--hidden"]).port, "tree"]
    if round.random.random() < 0.5:
        command[:0] = ORDINARY
    if round.random.random() < 0.5:
        p = bert.spawn(*command)
        p.wait_event("start", seconds(20))
        p.kill()
        p.wait()
    staging_of_a_refused_name(tree)
    bert.run(*command, timeout=seconds(120)).ok()
    same_entries(tree, bert / "tree")
    nothing_left(bert, "tree")
    round.count("entries", len(entries(tree)))


def staging_of_a_refused_name(tree):
    """A folder called like one of ours would be left out: there is none in this tree."""
    for path in tree.glob("**/*.lanyard-part"):
        assert not path.is_dir()


@fault("names-as-arguments")
def names_as_arguments(round):
    """Files whose names are random bytes are asked for by these names, also of 255 bytes"""
    anna, bert = round.hosts()
    (anna / "odd").mkdir()
    port = share(anna, "odd", options=["--hidden"]).port
    for _ in range(10 if round.short else 60):
        name = any_name(round.random)
        put(anna / "odd", name, name)
        path = os.fsdecode(b"odd/" + name)
        done = download(bert, anna.address, port, path).ok().last()
        assert done["event"] == "done" and (bert / os.fsdecode(name)).read_bytes() == name
        (bert / os.fsdecode(name)).unlink()
        round.count("names")


def fold_mount(round, host, how):
    """A file system in bert's namespace that folds names: its path in there, and for us."""
    round.needs(os.path.exists("/dev/fuse"), "no /dev/fuse")
    round.needs(importlib.util.find_spec("fusepy"), "no python3-fusepy")
    at, below = host / "folding", host / "below"
    at.mkdir()
    below.mkdir()
    p = host.spawn(sys.executable, FOLDING, how, below, at)
    p.wait_line("mounted")
    return at, pathlib.Path(f"/proc/{host.pid}/root") / str(at)[1:]


@fault("names-folding", short=0)
def names_folding(round):
    """Names that are one on a file system that folds case and normalization: one of them arrives"""
    anna, bert = round.hosts(limit="600mbit")
    how = round.random.choice(["keep", "change"])
    disk, inside = fold_mount(round, bert, how)
    tree = anna / "tree"
    tree.mkdir()
    pairs = [("a", "A"), ("\u00e9t\u00e9", "e\u0301te\u0301"), ("stra\u00dfe", "STRASSE")]
    for i, pair in enumerate(pairs * 2):
        for name in pair:
            size = round.random.choice([0, 1, 5000, MIB + 1, 3 * MIB])
            put(tree, f"{i} {name}".encode(), name.encode() * (size // len(name.encode())))
    for name in ("Folder", "folder"):
        (tree / name).mkdir()
        put(tree / name, name.encode(), name.encode())
    for name in ("\u00e9 alone", "e\u0301 alone too"):
        (tree / f"folder {name}").mkdir()
        put(tree / f"folder {name}", name.encode(), name.encode() * 300_000)
    words = anna.address, share(anna, "tree").port, "tree", "-o", disk
    for _ in range(round.random.randrange(3)):
        p = bert.spawn("lanyard", "download", "--json", *words)
        p.wait_event("start", seconds(20))
        p.kill()
        p.wait()
    got = download(bert, *words, timeout=120).exits(7)
    told = sum(e["event"] == "warning" for e in got.objects())
    files = [p for p in (inside / "tree").glob("**/*") if p.is_file()]
    assert told == 7 and len(files) == 6 + 1 + 2, f"{told} told, {files}"
    for path in files:
        rest = path.relative_to(inside / "tree")
        ours = (inside / "tree" / rest).read_bytes()
        assert ours in {p.read_bytes() for p in tree.glob("**/*")
                        if p.is_file() and fold(p.relative_to(tree)) == fold(rest)}
    shutil.rmtree(inside / "tree")


def fold(path):
    sys.path.insert(0, str(FOLDING.parent))
    from folding import fold as folded
    return folded(str(path))
