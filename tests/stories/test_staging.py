# SPDX-License-Identifier: MIT
"""Staging folders that are left over, shared, moved about, or made by somebody who means no good.

More of it, at random: tests/campaign --only staging crash."""
import os

import pytest

from faulty import Disk
from lan import LANYARD
from verbs import (MIB, download, download_until, nothing_left, random_file, same, seconds, share,
                   staging)

SIZE = 24 * MIB
PART = 6 * MIB


@pytest.fixture
def slow(cable):
    cable.hosts[0].limit("100mbit")
    return cable


def serve_folder(anna):
    """A folder with two files in it, one of them large, and a link that leads out of it."""
    folder = anna / "folder"
    folder.mkdir()
    random_file(folder / "film", SIZE)
    (folder / "notes").write_text("notes")
    (folder / "out").symlink_to("/etc/passwd")
    return folder, share(anna, "folder").port


def same_folder(folder, other):
    assert sorted(os.listdir(other)) == ["film", "notes"]  # but for the link
    same(folder / "film", other / "film")
    same(folder / "notes", other / "notes")


def interrupt(host, name, *words):
    """A download that is killed when a part of it is here."""
    p = download_until(host, name, *words, size=PART)
    p.kill()
    p.wait()
    return staging(host, name)


# A run that ended after the rename, or did not know that it was not needed

@pytest.mark.unsanitized  # another library is preloaded
@pytest.mark.parametrize("name", ["folder/notes", "folder"])
def test_killed_between_the_rename_and_the_report(cable, name):
    """The next run says what it has seen itself: the first one could not tell what it left out."""
    anna, bert = cable.hosts
    folder, port = serve_folder(anna)
    (folder / "film").unlink()
    into, words = Disk(bert, "into"), (anna.address, port, name)
    first = bert.run(*into.faulty(), LANYARD, "download", "-o", into.dir, *words)
    renamed = [line.split()[:2] for line in into.trace.read_text().splitlines()
               if line.split()[1] == "renameat2"][-1]
    base = os.path.basename(name)
    for step in range(int(renamed[0]) + 1, into.steps + 1):
        into.empty()
        killed = bert.run(*into.faulty(KILL=step), LANYARD, "download", "-o", into.dir, *words)
        assert killed.code == -9 and not killed.out
        assert sorted(os.listdir(into.dir)) == [base, f"{base}.lanyard-part"]
        again = bert.run(LANYARD, "download", "-o", into.dir, *words).exits(first.code)
        assert again.out == first.out == f"{into.dir / base}\n"
        assert "is here already, and the same" in again.err
        assert ("folder/out was left out" in again.err) == (name == "folder")
        nothing_left(into.dir, base)


def test_what_is_left_beside_the_very_same_goes(slow):
    """It came from elsewhere meanwhile; but what the user has put there stays."""
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    interrupt(bert, "film", *words)
    bert.check("cp", "-p", str(film), str(bert / "film"))
    done = bert.run("lanyard", "download", *words).ok()
    assert "is here already" in done.err and "warning" not in done.err
    nothing_left(bert, "film")
    (bert / "film").unlink()
    part = interrupt(bert, "film", *words)
    (part / "mine").write_text("mine")
    bert.check("cp", "-p", str(film), str(bert / "film"))
    bert.run("lanyard", "download", *words).ok()
    assert os.listdir(part) == ["mine"]


def test_what_is_left_of_another_version_is_told(slow):
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    part = interrupt(bert, "film", *words)
    before = sorted(os.listdir(part))
    random_file(film, MIB, seed=2)
    bert.check("cp", "-p", str(film), str(bert / "film"))
    done = bert.run("lanyard", "download", *words).ok()
    assert "film.lanyard-part is left of another download" in done.err
    assert sorted(os.listdir(part)) == before
