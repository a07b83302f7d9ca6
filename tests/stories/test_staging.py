# SPDX-License-Identifier: MIT
"""Staging folders that are left over, shared, moved about, or made by somebody who means no good.

More of it, at random: tests/campaign --only staging crash."""
import os
import socket
import stat

import pytest

from faulty import MODES_HOLD, Disk
from lan import LANYARD
from verbs import (MIB, download, download_until, nothing_left, random_file, same, seconds, share,
                   staging)

SIZE = 12 * MIB
PART = 4 * MIB


@pytest.fixture
def slow(cable):
    cable.hosts[0].limit("200mbit")
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


# Two at once, moves and copies

def test_overlapping_downloads_at_once(slow):
    """A folder, and a file that is in it."""
    anna, bert = slow.hosts
    folder, port = serve_folder(anna)
    both = [bert.spawn("lanyard", "download", anna.address, port, name)
            for name in ["folder", "folder/film"]]
    both[0].result(seconds(60)).exits(7)  # but for the link
    both[1].result(seconds(60)).ok()
    same_folder(folder, bert / "folder")
    same(folder / "film", bert / "film")
    assert sorted(os.listdir(bert.files)) == ["film", "folder"]


@pytest.mark.parametrize("to", ["elsewhere.lanyard-part", "sub/film.lanyard-part"])
def test_moved_while_a_download_writes_to_it(slow, to):
    """It goes on in there, wherever it is, and the result appears where it was asked for."""
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    (bert / "sub").mkdir()
    p = download_until(bert, "film", *words, size=PART)
    staging(bert, "film").rename(bert / to)
    p.result(seconds(60)).ok()
    same(film, bert / "film")
    download(bert, *words, "-o", (bert / to).parent).ok()
    same(film, (bert / to).parent / "film")


def test_the_staging_of_another_name_is_not_mixed_in(slow):
    anna, bert = slow.hosts
    folder, port = serve_folder(anna)
    interrupt(bert, "film", anna.address, port, "folder/film").rename(staging(bert, "folder"))
    download(bert, anna.address, port, "folder").exits(7)
    same_folder(folder, bert / "folder")
    nothing_left(bert, "folder")


@pytest.mark.parametrize("copy", ["cp -a {0} {1}", "cp -R --sparse=never {0} {1}",
                                  "tar -cf - {0} | tar -C {1} -xf -"])
def test_copied_to_another_disk(slow, copy):
    """It is read again before it is believed: nothing of what was copied comes over the cable."""
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    part, (disk, seen) = interrupt(bert, "film", *words), bert.disk(64)
    bert.check("sh", "-c", f"cd {bert.files} && {copy.format(part.name, disk)}")
    (bert / "back").mkdir()
    bert.check("sh", "-c", f"cd {disk} && {copy.format(part.name, bert / 'back')}")
    for folder, inside in [(disk, seen), (bert / "back", bert / "back")]:
        done = download(bert, *words, "-o", folder).ok().last()
        assert done["reused"] >= PART - MIB and done["fetched"] + done["reused"] == SIZE
        same(film, inside / "film")
        assert os.listdir(inside) == ["film"]


# Folders that nobody can work in

@pytest.mark.parametrize("path", [".", "journal"])
def test_read_only(slow, path):
    """Said in a sentence, and nothing is lost."""
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = LANYARD, "download", anna.address, share(anna, "film").port, "film"
    part = interrupt(bert, "film", *words[2:])
    was, before = (part / path).stat().st_mode, sorted(os.listdir(part))
    (part / path).chmod(was & 0o7555)
    refused = bert.run(*MODES_HOLD, *words).exits(1)
    assert "film.lanyard-part may not be written to" in refused.err
    assert sorted(os.listdir(part)) == before
    (part / path).chmod(was)
    again = bert.run(*MODES_HOLD, *words).ok()
    assert "were here already" in again.err
    same(film, bert / "film")


def make_zeros(part):
    """A journal of 1 TiB without a header."""
    (part / "journal").write_bytes(b"")
    os.truncate(part / "journal", 1 << 40)


def link_to_zeros(part):
    (part / "journal").unlink()
    (part / "journal").symlink_to("/dev/zero")


@pytest.mark.parametrize("spoil", [make_zeros, link_to_zeros])
def test_a_journal_without_end_is_not_ours(slow, spoil):
    anna, bert = slow.hosts
    random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    part = interrupt(bert, "film", *words)
    before = (part / "data").stat()
    spoil(part)
    refused = bert.run("lanyard", "download", *words, timeout=seconds(20)).exits(1)
    assert "film.lanyard-part is in the way" in refused.err and "not touched" in refused.err
    assert (part / "data").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.unsanitized  # measures memory
@pytest.mark.parametrize("name", ["journal", "manifest", "data"])
def test_a_hole_of_a_tebibyte_behind_it(slow, name):
    anna, bert = slow.hosts
    film = random_file(anna / "film", SIZE)
    words = anna.address, share(anna, "film").port, "film"
    os.truncate(interrupt(bert, "film", *words) / name, 1 << 40)
    done = download(bert, *words, timeout=20).ok()
    assert done.peak_rss < 64 * MIB
    same(film, bert / "film")
    nothing_left(bert, "film")


# What is in the way of a file

def make_socket(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))


@pytest.mark.parametrize("make", [os.mkfifo, make_socket])
def test_what_is_no_file_is_moved_out_of_the_way(slow, make):
    """Landlock asks for the right to make one from whoever moves it."""
    anna, bert = slow.hosts
    folder, port = serve_folder(anna)
    part = interrupt(bert, "folder", anna.address, port, "folder")
    (part / "data/notes").unlink(missing_ok=True)
    make(part / "data/notes")
    os.utime(part / "journal", (0, 0))  # not what the last run did in its last moments
    done = download(bert, anna.address, port, "folder").exits(7)  # for the link
    assert "permission denied" not in done.err
    same_folder(folder, bert / "folder")
    mode = (part / "kept/notes").lstat().st_mode
    assert stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
