# SPDX-License-Identifier: MIT
"""A copy that is there already: told to be the same, compared, brought up to date."""
import os
import random

import pytest
from tree import blocks, entries, make_tree, same_tree, sparse_file
from verbs import (MIB, SANITIZED, download, download_until, nothing_left, random_file, same,
                   seconds, share, staged, staging)

SIZE = (64 if SANITIZED else 256) * MIB  # about 1 % of it is two or three chunks
CHANGED = max(1, SIZE // MIB // 100)


def change(path, chunks, keep_mtime=False):
    """Other bytes in the middle of these chunks, in place."""
    was = os.stat(path)
    with open(path, "r+b") as f:
        for chunk in chunks:
            f.seek(chunk * MIB + 4711)
            f.write(b"changed")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns + (0 if keep_mtime else 3 * 10**9)))


def some(n, below, seed):
    return random.Random(seed).sample(range(below), n)


def look(root):
    """What a run that touches nothing leaves as it is."""
    return {p: (os.lstat(p).st_ino, os.lstat(p).st_mtime_ns, os.lstat(p).st_ctime_ns)
            for p in [root, *root.rglob("*")]}


def age(root):
    """As if it had been fetched long ago."""
    for p in [root, *root.rglob("*")]:
        os.utime(p, (10**8, 10**8), follow_symlinks=False)


def test_run_again_on_a_finished_download_fetches_nothing(cable):
    anna, bert = cable.hosts
    make_tree(anna / "tree", files=60)
    random_file(anna / "film", 9 * MIB)
    a = share(anna, "tree", "film", options=["--hidden"])
    for name in "film", "tree":
        words = anna.address, a.port, name
        download(bert, *words).ok()
        before = look(bert / name)
        done = download(bert, *words).ok().last()
        assert done["fetched"] == 0 and done["reused"] == done["bytes"] > 0
        told = bert.run("lanyard", "download", *words).ok()
        assert "is here already" in told.err and told.out == f"{name}\n"
        assert look(bert / name) == before
        nothing_left(bert, name)


def test_what_differs_is_told_and_not_touched(cable):
    anna, bert = cable.hosts
    make_tree(anna / "tree", files=60)
    a = share(anna, "tree", options=["--hidden"])
    words = "download", anna.address, a.port, "tree"
    bert.run("lanyard", *words).ok()
    for spoil, word in [(lambda t: (t / "-rf").write_text("mine"), "-rf has another size"),
                        (lambda t: (t / "mine").write_text("mine"), "mine is here, but not")]:
        spoil(bert / "tree")
        before = look(bert / "tree")
        told = bert.run("lanyard", *words).exits(1)
        assert word in told.err and "--update" in told.err and "not touched" in told.err
        assert look(bert / "tree") == before
        nothing_left(bert, "tree")
        age(bert / "tree")
        bert.run("lanyard", *words, "--update").ok()
    assert (bert / "tree" / "mine").read_text() == "mine"


def test_one_percent_changed_fetches_one_percent(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", SIZE)
    a = share(anna, "film")
    words = anna.address, a.port, "film"
    download(bert, *words).ok()
    change(film, some(CHANGED, SIZE // MIB, 1))
    done = download(bert, *words, "--update").ok().last()
    assert done["fetched"] == CHANGED * MIB and done["reused"] == SIZE - CHANGED * MIB
    same(film, bert / "film")
    change(film, some(CHANGED, SIZE // MIB, 2), keep_mtime=True)
    done = download(bert, *words, "--update").ok().last()
    assert done["fetched"] == CHANGED * MIB
    same(film, bert / "film")
    nothing_left(bert, "film")


def test_an_older_copy_with_bytes_where_a_hole_belongs(cable):
    """Neither the hole nor what is copied of it takes room that is not there."""
    anna, bert = cable.hosts
    film = sparse_file(anna / "film", 256 * MIB)
    inside, outside = bert.disk(16)
    a = share(anna, "film")
    words = anna.address, a.port, "film"
    download(bert, *words, cwd=inside).ok()
    with open(outside / "film", "r+b") as f:
        f.seek(20 * MIB)
        f.write(b"older" * MIB)
    os.utime(outside / "film", (10**8, 10**8))
    download(bert, *words, "--update", cwd=inside).ok()
    same(film, outside / "film")
    assert blocks(outside / "film") <= 4 * MIB


def test_a_copy_with_islands_takes_no_more_room_than_they(cable):
    anna, bert = cable.hosts
    with open(anna / "film", "wb") as f:
        for island in range(64):
            f.seek(island * MIB + 5000)
            f.write(b"island")
    inside, outside = bert.disk(16)
    a = share(anna, "film")
    words = anna.address, a.port, "film"
    download(bert, *words, cwd=inside).ok()
    with open(anna / "film", "r+b") as f:
        f.write(b"one more")
    download(bert, *words, "--update", cwd=inside).ok()
    same(anna / "film", outside / "film")
    assert blocks(outside / "film") <= blocks(anna / "film") + MIB


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_one_percent_changed_since_the_interrupted_run(cable, keep_mtime):
    anna, bert = cable.hosts
    anna.limit("1gbit")
    film = random_file(anna / "film", SIZE)
    a = share(anna, "film")
    words = anna.address, a.port, "film"
    here = SIZE * 3 // 4
    p = download_until(bert, "film", *words, size=here)
    p.interrupt()
    kept = p.result(seconds(10)).exits(6)
    had = max(e["done"] for e in kept.objects() if e["event"] == "progress")
    change(film, some(CHANGED, here // MIB, 3), keep_mtime)
    done = download(bert, *words).ok().last()
    assert done["fetched"] <= SIZE - had + CHANGED * MIB
    assert done["fetched"] + done["reused"] == SIZE
    same(film, bert / "film")


def test_a_tree_is_brought_up_to_date(cable):
    anna, bert = cable.hosts
    tree = make_tree(anna / "tree")
    a = share(anna, "tree", options=["--hidden"])
    words = anna.address, a.port, "tree", "--update"
    download(bert, *words).ok()
    age(bert / "tree")
    (tree / "-rf").write_text("other options")
    (tree / "link").unlink()
    (tree / "link").symlink_to("empty")
    (tree / "new").mkdir()
    random_file(tree / "new" / "two chunks", MIB + 5)
    (tree / "broken").unlink()
    (tree / "broken").write_text("a file now")
    (tree / "closed" / "inside").write_text("rewritten")
    done = download(bert, *words).exits(7)  # a link does not become a file
    assert done.last()["fetched"] == len("other options" "rewritten" "a file now") + MIB + 5 - 10
    assert os.path.islink(bert / "tree" / "broken")
    os.unlink(bert / "tree" / "broken")
    download(bert, *words).ok()
    same_tree(tree, bert / "tree")
    nothing_left(bert, "tree")


def test_what_is_newer_here_stays(cable):
    anna, bert = cable.hosts
    (anna / "notes").mkdir()
    for name in "ours", "theirs":
        (anna / "notes" / name).write_text("first")
    a = share(anna, "notes")
    words = "download", anna.address, a.port, "notes", "--update"
    bert.run("lanyard", *words).ok()
    (bert / "notes" / "ours").write_text("edited by bert")
    os.utime(bert / "notes" / "theirs", (1, 1))
    (anna / "notes" / "theirs").write_text("edited by anna")
    told = bert.run("lanyard", *words).exits(7)
    assert "ours" in told.err and "newer" in told.err and told.out == "notes\n"
    assert (bert / "notes" / "ours").read_text() == "edited by bert"
    assert (bert / "notes" / "theirs").read_text() == "edited by anna"


def test_what_is_mounted_in_the_copy_stays_and_the_rest_is_brought_up_to_date(cable):
    anna, bert = cable.hosts
    for host, text in (anna, "new"), (bert, "old"):
        for name in "a file", "disk/below", "read-only/below", "rest":
            (host / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
            (host / "tree" / name).write_text(text)
    age(bert / "tree")
    bert.check("mount", "--bind", *[bert / "tree/disk"] * 2)
    bert.check("mount", "--bind", *[bert / "tree/a file"] * 2)
    bert.check("mount", "--bind", *[bert / "tree/read-only"] * 2)
    bert.check("mount", "-o", "remount,bind,ro", bert / "tree/read-only")
    a = share(anna, "tree")
    for _ in range(2):
        told = bert.run("lanyard", "download", anna.address, a.port, "tree", "--update").exits(7)
        assert (bert / "tree/rest").read_text() == "new"
        for name in "a file", "disk/below", "read-only/below":
            assert f"{name} was left out: it is, or lies in, a mount" in told.err
            assert (bert / "tree" / name).read_text() == "old"
        nothing_left(bert, "tree")


def test_an_update_that_is_killed_leaves_old_or_new_files(cable):
    anna, bert = cable.hosts
    tree = make_tree(anna / "tree", files=60)
    random_file(tree / "film", 40 * MIB)
    a = share(anna, "tree", options=["--hidden"])
    words = anna.address, a.port, "tree", "--update"
    download(bert, *words).ok()
    old = entries(bert / "tree")
    random_file(tree / "film", 41 * MIB, seed=7)
    (tree / "-rf").write_text("other options")
    anna.limit("300mbit")
    p = bert.spawn("lanyard", "download", "--json", *words)
    p.wait_for(lambda: staged(bert, "tree") > 12 * MIB, "12 staged MiB", seconds(30))
    p.kill()
    p.wait()
    assert entries(bert / "tree") == old and staging(bert, "tree").is_dir()
    done = download(bert, *words).ok().last()
    assert done["fetched"] < 36 * MIB
    same_tree(tree, bert / "tree")
    nothing_left(bert, "tree")


def test_an_update_without_room_says_how_much_is_missing(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 20 * MIB)
    a = share(anna, "film")
    disk, inside = bert.disk(32)
    words = anna.address, a.port, "film", "-o", disk, "--update"
    bert.run("lanyard", "download", *words).ok()
    was = inside / "film"
    before = was.stat().st_ino
    change(film, [3])
    told = bert.run("lanyard", "download", *words).exits(6)
    assert "bytes are missing" in told.err
    assert was.stat().st_ino == before
    bert.check("mount", "-o", "remount,size=64m", str(disk))
    assert download(bert, *words).ok().last()["fetched"] <= MIB
    same(film, was)
