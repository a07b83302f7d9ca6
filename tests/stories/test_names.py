# SPDX-License-Identifier: MIT
"""Names, modes and times of every kind; one bad entry is left out and told, never the whole set."""
import json
import os
import random

import pytest
from hostile import STRANGE, dig, each_byte, entries, fill, put, same_entries
from lan import LANYARD
from tree import make_tree, same_tree
from verbs import MIB, download, nothing_left, seconds, share


def test_names_of_all_bytes_with_all_modes_and_times(cable):
    anna, bert = cable.hosts
    tree = anna / "tree"
    (tree / "bytes").mkdir(parents=True)
    each_byte(tree / "bytes")
    fill(tree, random.Random(1), 150)
    a = share(anna, "tree", options=["--hidden"])
    download(bert, anna.address, a.port, "tree").ok()
    same_entries(tree, bert / "tree")
    nothing_left(bert, "tree")


def test_each_strange_name_by_itself(cable):
    """As an argument, in tables, in JSON and in sentences; nothing of it is raw."""
    anna, bert = cable.hosts
    (anna / "odd").mkdir()
    names = [b"\x1b[2J\x07", b"\n", b"\xc3("] + STRANGE[::3]
    for name in names:
        put(anna / "odd", name, name)
    a = share(anna, "odd", options=["--hidden"])
    listed = bert.run("lanyard", "list", "--json", f"{anna.address}:odd").ok().objects()
    assert {bytes.fromhex(o["path_hex"]) if "path_hex" in o else o["path"].encode()
            for o in listed} == {b"odd/" + n for n in names}
    for name in names:
        words = anna.address, a.port, os.fsdecode(b"odd/" + name)
        assert "done" == download(bert, *words).ok().last()["event"]
        assert (bert / os.fsdecode(name)).read_bytes() == name
        (bert / os.fsdecode(name)).write_bytes(b"mine")
        again = bert.run("lanyard", "download", *words).exits(1)
        assert again.err.count("\n") == 1
        assert not set(again.err) & set("\x1b\x07\u202e")
    failed = download(bert, anna.address, a.port, os.fsdecode(b"odd/\xff")).exits(3)
    assert json.loads(failed.out.splitlines()[-1])["code"] == 3


def test_a_path_that_is_too_deep_is_told(cable):
    anna, bert = cable.hosts
    (anna / "tree").mkdir()
    dig(anna / "tree", 257)
    a = share(anna, "tree")
    got = download(bert, anna.address, a.port, "tree").exits(7)
    assert any("too deep" in e.get("message", "") for e in got.objects())
    kept = entries(bert / "tree")
    assert max(path.count(b"/") for path in kept) == 255
    missing = entries(anna / "tree").keys() - kept.keys()
    same_entries(anna / "tree", bert / "tree", without=missing)
    assert len(missing) == 3  # the 257th folder, its file, and the file beside it


def test_what_the_sharer_may_not_read_is_told_and_the_rest_arrives(cable):
    anna, bert = cable.hosts
    tree = make_tree(anna / "tree", files=30)
    (tree / "secret").write_text("nobody may read it")
    (tree / "secret").chmod(0)
    for folder, mode in [("closed to all", 0), ("names only", 0o444)]:
        (tree / folder).mkdir()
        (tree / folder / "inside").write_text("hard to get at")
        (tree / folder).chmod(mode)
    p = anna.spawn("setpriv", "--bounding-set", "-dac_override,-dac_read_search", LANYARD, "share",
                   "--json", "tree")
    words = anna.address, p.wait_event("ready")["port"], "tree"
    got = download(bert, *words).exits(7)
    told = [e["message"] for e in got.objects() if e["event"] == "warning"]
    for name in ["secret", "closed to all", "names only"]:
        assert any(name in text for text in told), told
    (tree / "secret").unlink()
    for folder in ["closed to all", "names only"]:
        (tree / folder / "inside").unlink()
    same_tree_but_times_of_folders(tree, bert / "tree")


def same_tree_but_times_of_folders(a, b):
    for root in (a, b):
        for folder, _, _ in os.walk(root):
            os.utime(folder, (0, 0))
    same_tree(a, b)


@pytest.mark.parametrize("kind", ["file", "folder", "broken link", "pipe"])
def test_a_target_of_another_kind_stays(cable, kind):
    anna, bert = cable.hosts
    (anna / "music").mkdir()
    (anna / "music" / "song").write_text("song")
    a = share(anna, "music")
    there = bert / "music"
    {"file": lambda: there.write_text("mine"), "folder": there.mkdir,
     "broken link": lambda: there.symlink_to("nowhere"), "pipe": lambda: os.mkfifo(there)}[kind]()
    before = os.lstat(there)
    got = bert.run("lanyard", "download", anna.address, a.port, "music").exits(1)
    assert "exists" in got.err
    assert os.lstat(there) == before and os.listdir(bert.files) == ["music"]


@pytest.mark.unsanitized
def test_many_entries_in_one_folder(cable):
    anna, bert = cable.hosts
    (anna / "many").mkdir()
    for i in range(5_000):
        (anna / "many" / f"an entry with number {i}").touch()
    a = share(anna, "many")
    got = download(bert, anna.address, a.port, "many", timeout=120).ok()
    assert len(os.listdir(bert / "many")) == 5_000
    assert max(got.peak_rss, a.peak_rss) < 40 * MIB
    assert got.seconds < seconds(60)
