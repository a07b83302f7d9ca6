# SPDX-License-Identifier: MIT
"""Every hole that programs of this kind had, tried on ours. Each stays here under its number; some
are held by other tests, which are named."""
import contextlib
import json
import os
import pathlib
import random
import re
import struct

import liar
import pytest
from stranger import (ENTRIES, ERROR, FIND, FOUND, GET, LIST, MANIFEST_GET, OPEN, OPENED, Closed,
                      Keys, Stranger, text)
from verbs import random_file, seconds, share

FOLDER, FILE, LINK = 1, 2, 3
TESTS = pathlib.Path(__file__).parents[1]


def folder(name="film"):
    return [FOLDER, 0o755, 0, name, ""]


def file(name, parent=0, mode=0o644):
    return [FILE, mode, parent, name, ""]


def link(name, target, parent=0):
    return [LINK, 0o777, parent, name, target]


# hole: (what the peer offers as "film", all that may lie in the target afterwards)
OFFERS = {
    "LocalSend CVE-2025-27142: .. in a name": ([folder(), file("../../evil")], []),
    "Warpinator CVE-2022-42725: a file through a link":
        ([folder(), link("a", "../.."), folder("a"), file("evil", 2)], []),
    "croc CVE-2023-43616: an absolute name": ([folder(), file("/tmp/evil")], []),
    "croc CVE-2023-43619: another file than the one asked for":
        ([file(".ssh")], ["film"]),
    "magic-wormhole CVE-2026-32116: the name of the whole has a path": ([file("../evil")], []),
    "magic-wormhole CVE-2026-42448: the name of the whole is a way up": ([folder("..")], []),
    "aria2 CVE-2010-1512: folders that lead up":
        ([folder(), folder(".."), file("evil", 1)], []),
    "libtorrent CVE-2009-1760: a path in a name": ([folder(), file("a/../../evil")], []),
    "rsync CVE-2024-12087: a link where a folder was":
        ([folder(), link("x", "/tmp"), folder("x"), file("evil", 2)], []),
    "rsync CVE-2024-12088: a link that leaves by another link":
        ([folder(), link("a", "b/../../.."), link("b", "c/c"), folder("c"), link("c", "..", 3)],
         ["film", "film/b", "film/c", "film/c/c"]),
    "scp CVE-2019-6111: the server chooses the name": ([file("evil")], ["film"]),
    "rsync CVE-2022-29154: more than was asked for":
        ([folder("film"), file("x"), file("../y")], []),
    "scp CVE-2026-35385: setuid": ([file("film", mode=0o4755)], []),
    "a name of nothing": ([folder(), file("")], []),
    "a name twice": ([folder(), file("a"), file("a")], []),
    "a NUL in a name": ([folder(), file("a\0b")], []),
    "a parent that is no folder": ([folder(), file("a"), file("b", 1)], []),
    "a folder below itself": ([folder(), [FOLDER, 0o755, 1, "a", ""]], []),
    "a kind that is none": ([folder(), [4, 0o644, 0, "a", ""]], []),
}


def everything_below(path):
    return sorted(os.path.relpath(os.path.join(at, name), path)
                  for at, folders, files in os.walk(path) for name in folders + files)


@pytest.mark.parametrize("hole", OFFERS)
def test_a_peer_that_offers(cable, hole):
    anna, bert = cable.hosts
    entries, allowed = OFFERS[hole]
    offer = json.dumps({"row": "share/film", "entries": entries})
    p = anna.spawn("/usr/bin/python3", pathlib.Path(liar.__file__), anna.dir, 5000, offer)
    p.wait_line("ready")
    before = everything_below(bert.dir)
    (bert / "to").mkdir()
    got = bert.run("lanyard", "download", "film", "--peer", anna.address, "-o", "to",
                   "--timeout", 1, timeout=seconds(60))
    assert got.code in ([0, 7] if allowed else [1, 3, 5, 6]), got.err
    arrived = [p for p in everything_below(bert / "to") if not p.startswith("film.lanyard-part")]
    assert arrived == allowed
    for path in arrived:  # no link leads out
        assert os.path.realpath(bert / "to" / path).startswith(str(bert / "to/film")), path
    known = ["files/to", "state/lanyard"]
    assert [p for p in everything_below(bert.dir)
            if p not in before and not p.startswith(tuple(known))] == []


@pytest.fixture
def meets(cable, tmp_path):
    """meets(anna's share): a stranger at bert who has come in there."""
    anna, bert = cable.hosts
    key = Keys(tmp_path)[0]

    @contextlib.contextmanager
    def meet(a):
        with contextlib.closing(Stranger(bert, anna.address, a.port, key)) as s:
            assert s.auth() == 0
            yield s
    return meet


PATHS = ["..", "../secret", "music/../../secret", "/etc/passwd", "music//song", "music/", "./music",
         "music/./song", "music/out/secret", "music/up/secret", "music/.hidden", "secret",
         "music/\0", "music/song/.."]


def gives(stranger, kind, path):
    """Does a request bring anything?"""
    stranger.ask(kind, (b"\x02" if kind == FIND else b"") + text(path))
    with contextlib.suppress(Closed):
        kind, _, payload = stranger.hear()
        return kind in (ENTRIES, FOUND, OPENED) and payload != b"\0\0"
    return False


def test_paths_of_a_peer_that_lead_out(cable, meets):
    """rsync CVE-2024-12086 (files of the other side are read), libtorrent, LocalSend ..."""
    anna, _ = cable.hosts
    (anna / "secret").write_text("secret")
    (anna / "music").mkdir()
    (anna / "music/song").write_text("song")
    (anna / "music/.hidden").write_text("hidden")
    (anna / "music/out").symlink_to(anna.files)
    (anna / "music/up").symlink_to("..")
    a = share(anna, "music")
    for path in ["music/song", *PATHS]:
        for kind in LIST, OPEN, FIND:
            with meets(a) as stranger:
                assert gives(stranger, kind, path) == (path == "music/song"), (path, kind)


def test_no_message_changes_what_is_shared(cable, meets):
    """Warpinator CVE-2023-29380: remote deletion. There is no such verb; every type is said."""
    anna, bert = cable.hosts
    (anna / "music").mkdir()
    random_file(anna / "music/song", 5000)
    before = [(p, os.stat(anna / p).st_mtime_ns) for p in everything_below(anna.files)]
    a = share(anna, "music")
    make = random.Random(1)
    for kind in range(256):
        with meets(a) as stranger:
            stranger.say(kind, make.randbytes(make.choice([0, 1, 8, 64, 200])), 1)
    assert [(p, os.stat(anna / p).st_mtime_ns) for p in everything_below(anna.files)] == before
    bert.run("lanyard", "list", f"{anna.address}:{a.port}").ok()


# (type, payload): each is closed at once, whatever it claims to be long
LENGTHS = {
    "Syncthing CVE-2021-21404: a length below zero": struct.pack(">IBBH", 0xffffffff, LIST, 0, 1),
    "croc: a message without bound": struct.pack(">IBBH", 0x7fffffff, LIST, 0, 1),
    "rsync CVE-2024-12084: a length beyond the buffer":
        liar.frame(0x27, struct.pack(">BQI", 1, 0, 0xffffffff), 1),
    "ranges without end": liar.frame(GET, struct.pack(">HQI", 0xffff, 0, 0xffffffff), 1),
    "a page of the manifest beyond its end":
        liar.frame(MANIFEST_GET, struct.pack(">QI", 2**63, 2**31), 1),
    "a string beyond its frame": liar.frame(LIST, b"\xff\xff" + b"x", 1),
}


@pytest.mark.parametrize("hole", LENGTHS)
def test_lengths_that_lie(cable, meets, hole):
    anna, bert = cable.hosts
    random_file(anna / "film", 5000)
    a = share(anna, "film")
    with meets(a) as stranger:
        stranger.sock.sendall(LENGTHS[hole])
        kind, _, payload = stranger.hear()
        assert (kind, payload[:2]) == (ERROR, b"\0\x01")  # PROTOCOL
        with pytest.raises(Closed):
            stranger.hear()
    bert.run("lanyard", "list", f"{anna.address}:{a.port}").ok()


# held elsewhere: hole -> file and test
ELSEWHERE = {
    "LocalSend CVE-2025-54792, KDE Connect CVE-2025-66270: somebody else's identity":
        ("stories/test_forged.py", "test_another_answers_under_the_id_of_anna"),
    "KDE Connect CVE-2025-32899 to 32901: unauthenticated packets crash or change state":
        ("stories/test_forged.py", "test_records_that_make_no_sense"),
    "croc CVE-2023-43620, scp CVE-2019-6109, magic-wormhole #476: escapes in names":
        ("stories/test_output.py", "test_a_peer_with_escapes_in_everything"),
    "rsync 3.4.3 and 3.5.0: races with symlinks":
        ("stories/test_paths.py", "test_a_served_folder_turns_into_a_link_that_leads_out"),
    "KDE Connect CVE-2020-26164: much data before authentication":
        ("stories/test_strangers.py", "test_strangers_cost_little"),
}


@pytest.mark.parametrize("hole", ELSEWHERE)
def test_it_is_held_by(hole):
    path, name = ELSEWHERE[hole]
    assert re.search(rf"^def {name}\(", (TESTS / path).read_text(), re.M)
