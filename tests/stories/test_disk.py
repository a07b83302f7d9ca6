# SPDX-License-Identifier: MIT
"""Disks that fail and limits that are too low: what the user is told, and what is kept.

More of it, at random: tests/campaign --only crash disk limits."""
import os
import pathlib
import signal

import pytest

from faulty import Disk
from lan import LANYARD
from process import until
from tree import make_tree, same_tree
from verbs import MIB, nothing_left, random_file, share

pytestmark = pytest.mark.unsanitized  # other libraries are preloaded, or limits set


@pytest.fixture
def folder(cable):
    """A folder of bert's whose disk can fail, and bert's words for a download into it."""
    anna, bert = cable.hosts
    make_tree(anna / "tree", files=60)
    random_file(anna / "film", 3 * MIB)
    into = Disk(bert, "into")
    words = anna.address, share(anna, "tree", "film").port

    def get(name, *before):
        return bert.run(*before, LANYARD, "download", "-o", into.dir, *words, name)
    into.get, into.host, into.tree = get, bert, anna / "tree"
    return into


def then_it_ends_right(folder):
    folder.get("tree").ok()
    same_tree(folder.tree, folder.dir / "tree")
    nothing_left(folder.dir, "tree")


def test_a_disk_is_full_at_any_stage(folder):
    for call in ["create:ENOSPC:1:manifest.new", "mkdirat:EDQUOT:1:/data",
                 "pwrite:ENOSPC:2+:/journal", "syncfs:ENOSPC:1"]:
        full = folder.get("tree", *folder.faulty(FAIL=call)).exits(6)
        assert "is full" in full.err and "Make room" in full.err
        assert not (folder.dir / "tree").exists()
    then_it_ends_right(folder)


def test_an_error_of_the_disk_names_the_file(folder):
    broken = folder.get("tree", *folder.faulty(FAIL="pwrite:EIO:1+:/sparse")).exits(6)
    assert "tree/sparse could not be brought to disk: i/o error" in broken.err
    then_it_ends_right(folder)


def test_after_an_error_everything_is_read_past_the_cache(folder):
    folder.get("film", *folder.faulty(FAIL="fsync:EIO:1:/data")).exits(6)
    assert folder.told().count(("fsync", "film.lanyard-part/data")) == 1, "asked again, it says 0"
    again = folder.get("film", *folder.faulty()).ok()
    assert "were here already" in again.err
    calls = [call for call, path in folder.told() if path.endswith("/data")]
    assert calls.count("posix_fadvise") == calls.count("pread") == 3 and "pwrite" not in calls


def test_a_file_may_not_become_so_large(folder):
    large = folder.get("film", "prlimit", f"--fsize={MIB}").exits(6)
    assert "file too large" in large.err
    folder.get("film").ok()


def test_too_few_open_files_or_threads(folder):
    for limit in ["--nofile=4", f"--as={40 * MIB}"]:
        refused = folder.get("film", "prlimit", limit).exits(1)
        assert "cannot start: " in refused.err, refused.err
    folder.get("film", "prlimit", "--nofile=64").ok()


def test_too_few_processes_of_an_ordinary_user(cable):
    """The limit counts threads, too. Root has none; in a user namespace it is an ordinary user."""
    anna, bert = cable.hosts
    alone = int(pathlib.Path("/proc/self/uid_map").read_text().split()[2]) < 65536
    user = [] if alone else ["setpriv", "--reuid=64123", "--regid=64123", "--clear-groups"]
    cable.dir.chmod(0o755)
    random_file(anna / "film", MIB)
    port = share(anna, "film").port
    state = anna.dir / "of-user"
    state.mkdir()
    anna.more_environment["XDG_STATE_HOME"] = str(state)
    for folder in [] if alone else [bert.dir, *bert.dir.rglob("*"), state]:
        os.chown(folder, 64123, 64123)
    for n in range(1, 9):
        few = [*user, "prlimit", f"--nproc={n}", LANYARD]
        got = bert.run(*few, "download", anna.address, port, "film")
        a = anna.spawn(*few, "share", "--json", "film")
        until(lambda: a.over() or "ready" in a.out, "an end or a beginning", 20)
        a.kill(signal.SIGTERM)
        for p in got, a.result():
            assert p.code == 0 or p.code == 1 and "cannot start: " in p.err, (n, p.code, p.err)
        assert alone or n > 1 or got.code == 1
    assert alone or got.code == 0 and (bert / "film").exists()


def test_keys_cannot_be_remembered(folder):
    """A state folder that is read only: the download goes on."""
    host, state = folder.host, str(folder.host.dir / "state")
    host.run("lanyard", "id").ok()
    host.check("mount", "--bind", state, state)
    host.check("mount", "-o", "remount,ro,bind", state)
    got = folder.get("film").ok()
    assert "could not be remembered: read-only file system" in got.err
