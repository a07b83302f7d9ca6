# SPDX-License-Identifier: MIT
"""The source changes while it is fetched, and between two runs: one version arrives, or it is
told."""
import os
import shutil

import pytest
from lan import Lan
from stamped import Stamped
from tree import same_tree
from verbs import MIB, download, download_until, same, seconds, share, staged

SIZE = 12 * MIB
PART = 2 * MIB


@pytest.fixture
def slow():
    """A LAN whose cable leaves time for a change in the middle."""
    with Lan(2, daemons=False) as made:
        made.hosts[0].limit("300mbit")
        yield made


def test_each_change_in_the_middle_gives_one_version(slow):
    anna, bert = slow.hosts
    a = share(anna)
    for change in Stamped.changes:
        name = change.__name__
        film = Stamped(anna / name, SIZE)
        p = download_until(bert, name, anna.address, a.port, f"files/{name}", size=PART)
        change(film)
        done = p.result(seconds(60)).ok().last()
        film.check(bert / name)
        same(film.path, bert / name)
        assert done["fetched"] + done["zeros"] + done["reused"] >= done["bytes"] == film.size
        film.path.unlink()


@pytest.mark.unsanitized  # the figures are what counts here
def test_each_change_between_two_runs_fetches_what_differs(slow):
    anna, bert = slow.hosts
    a = share(anna)
    for change, again in [(Stamped.rewrite_part, MIB), (Stamped.touch, 0), (Stamped.append, MIB),
                          (Stamped.rewrite_quietly, SIZE), (Stamped.replace, SIZE)]:
        name = change.__name__
        film = Stamped(anna / name, SIZE)
        words = anna.address, a.port, f"files/{name}"
        p = download_until(bert, name, *words, size=PART)
        p.interrupt()
        p.result(seconds(10)).exits(6)
        had = staged(bert, name)
        change(film)
        done = download(bert, *words).ok().last()
        same(film.path, bert / name)
        assert done["fetched"] + done["zeros"] + done["reused"] == done["bytes"] == film.size
        assert done["fetched"] <= film.size - had + again + MIB
        film.path.unlink()


def rearrange(music):
    (music / "a").rename(music / "b")
    (music / "file").unlink()
    (music / "file").mkdir()
    (music / "file" / "inside").write_text("was a file")
    shutil.rmtree(music / "folder")
    (music / "folder").write_text("was a folder")
    (music / "to link").unlink()
    (music / "to link").symlink_to("folder")
    (music / "new").write_text("new")


def make_music(music):
    for folder in ["a", "folder"]:
        (music / folder).mkdir(parents=True)
        (music / folder / "song").write_text(folder)
    for name in ["file", "to link"]:
        (music / name).write_text(name)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_folder_that_is_rearranged(slow, interrupted):
    anna, bert = slow.hosts
    make_music(anna / "music")
    Stamped(anna / "music" / "z", SIZE)
    a = share(anna, "music")
    words = anna.address, a.port, "music"
    p = download_until(bert, "music", *words, size=PART)
    if interrupted:
        p.kill()
        p.wait()
    rearrange(anna / "music")
    if interrupted:
        p = bert.spawn("lanyard", "download", *words)
    first = p.result(seconds(60))
    assert first.code in (0, 7), first.err  # 7: what it had begun to fetch is gone, and told
    if first.code == 7 or not interrupted:  # without interruption what it listed first arrives
        shutil.rmtree(bert / "music")
        download(bert, *words).ok()
    same_tree(anna / "music", bert / "music")


def test_a_share_that_is_replaced_is_not_an_empty_one(cable):
    anna, bert = cable.hosts
    make_music(anna / "music")
    a = share(anna, "music")
    shutil.rmtree(anna / "music")
    make_music(anna / "music")
    download(bert, anna.address, a.port, "music").exits(3)
    assert os.listdir(bert.files) == []
