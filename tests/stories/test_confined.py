# SPDX-License-Identifier: MIT
"""Whoever takes a process over gains little: a library that plays the intruder is preloaded, and
tries (tests/tools/hijacked.c). What Landlock should forbid is only asked where the kernel has it;
which version that is, the program says itself, with -v."""
import errno
import os
import re
import signal

import pytest
from faulty import TOOLS
from lan import LANYARD
from process import until
from verbs import download, random_file, same, seconds, sees, share

pytestmark = pytest.mark.unsanitized  # a sanitizer needs what the filter of calls forbids

LIBRARY = TOOLS / "libhijacked.so"
CALLS = ["start-program", "trace-parent", "mount", "new-namespace", "clone-namespace", "load-bpf",
         "io-uring", "keyring", "dump-core", "make-pipe", "change-owner", "change-attribute"]
WRITES = ["write-victim", "truncate-victim", "make-file", "make-hidden-file", "make-folder",
          "make-link", "remove-victim", "move-victim"]
READS = ["read-secret", "list-folder"]


class Intruder:
    """In a program of this host; `elsewhere` is a folder that nobody told the program of."""

    def __init__(self, host, inside):
        self.elsewhere = host.dir / "elsewhere"
        self.elsewhere.mkdir()
        (self.elsewhere / "secret").write_text("secret")
        (self.elsewhere / "victim").write_text("victim")
        self.environment = {"LD_PRELOAD": str(LIBRARY), "HIJACKED": str(self.elsewhere),
                            "HIJACKED_INSIDE": str(inside)}

    def act(self, p):
        """What came of each attempt: an errno, or 0."""
        report = self.elsewhere / "report"
        p.kill(signal.SIGUSR2)
        until(lambda: "\nend 0" in report.read_text() or not p.alive(), "the end of its attempts")
        assert p.alive(), p.story()
        return {name: int(code) for name, code in
                (line.split() for line in report.read_text().splitlines())}


def landlock(p):
    """The version that the program says it is confined by, 0 for none."""
    said = re.search(r"confined by Landlock (\d+)|not confined \(Landlock\)", p.err)
    assert said, p.err
    return int(said[1] or 0)


def refused(came, names, code):
    assert {name: came[name] for name in names} == dict.fromkeys(names, code)


def confined(came, abi, reads=True, dial=False, listen=False):
    """What must hold, with what this kernel has."""
    refused(came, CALLS, errno.EPERM)
    assert came["write-inside"] == 0
    if abi == 0:
        return
    refused(came, WRITES, errno.EACCES)
    if reads:
        refused(came, READS, errno.EACCES)
    if abi >= 4:
        refused(came, ["dial"] * dial + ["listen"] * listen, errno.EACCES)
    if abi >= 6:
        refused(came, ["signal-parent"], errno.EPERM)


def every_thread_is_filtered(p):
    threads = os.listdir(f"/proc/{p.pid}/task")
    assert len(threads) > 1
    for thread in threads:
        with open(f"/proc/{p.pid}/task/{thread}/status") as f:
            status = f.read()
        assert re.search(r"^NoNewPrivs:\t1$", status, re.M), status
        assert re.search(r"^Seccomp:\t2$", status, re.M), status


def test_the_intruder_can_do_all_that_elsewhere(cable):
    """So what follows can fail."""
    anna, _ = cable.hosts
    intruder = Intruder(anna, anna.files)
    anna.more_environment = intruder.environment
    p = anna.spawn("sleep", 60)
    report = intruder.elsewhere / "report"
    until(lambda: report.exists() and "sleep -1" in report.read_text(), "the intruder")
    p.kill(signal.SIGUSR2)
    p.wait(10)  # it became another program
    came = dict(line.split() for line in report.read_text().splitlines())
    for name in READS + WRITES[:-1] + ["make-pipe"]:
        assert came[name] == "0", name
    assert "end" not in came


def test_a_sharer_that_is_taken_over(lan):
    anna, bert = lan.hosts
    intruder = Intruder(anna, anna.dir / "state/lanyard")
    random_file(anna / "film", 300_000)
    (anna / "music").mkdir()
    random_file(anna / "music/song", 300_000)
    anna.more_environment = intruder.environment
    a = anna.spawn("lanyard", "-v", "share", "--json", "film", "music")
    a.wait_event("ready")
    sees(bert, "anna")
    for name in ["film", "song"]:
        download(bert, name).ok()
        same(bert / name, next(anna.files.rglob(name)))
    every_thread_is_filtered(a)
    confined(intruder.act(a), landlock(a), dial=True)
    download(bert, "anna:music").ok()  # it still shares


def test_a_downloader_that_is_taken_over(lan):
    anna, bert = lan.hosts
    intruder = Intruder(bert, bert / "here")
    random_file(anna / "film", 64 << 20)
    share(anna, "film")
    sees(bert, "anna")
    (bert / "here").mkdir()
    bert.limit("100mbit")
    bert.more_environment = intruder.environment
    p = bert.spawn("lanyard", "-v", "download", "film", "-o", "here")
    p.wait_for((bert / "here/film.lanyard-part/data").exists, "staging", seconds(20))
    every_thread_is_filtered(p)
    confined(intruder.act(p), landlock(p), listen=True)
    bert.unlimit()
    p.result(seconds(60)).ok()
    same(anna / "film", bert / "here/film")


def test_a_prompt_that_is_taken_over(lan):
    anna, bert = lan.hosts
    (bert / "mine").mkdir()
    intruder = Intruder(bert, bert / "mine")
    bert.more_environment = intruder.environment
    p = bert.terminal("lanyard", "-v", cwd=bert / "mine")
    p.wait_line("> ", seconds(10))
    sees(anna, "bert")
    every_thread_is_filtered(p)
    said = re.search(r"confined by Landlock (\d+)", p.out)
    confined(intruder.act(p), int(said[1]) if said else 0, reads=False)
    p.type("exit\r")
    p.result(seconds(5)).ok()


def test_the_prompt_says_where_it_may_write(cable):
    _, bert = cable.hosts
    (bert / "mine").mkdir()
    p = bert.terminal("lanyard", "-v", cwd=bert / "mine")
    p.wait_line("> ", seconds(10))
    if "confined by Landlock" in p.out:
        p.type("download x -o ..\r")
        p.wait_line("only below the folder where it was started", seconds(10))
    p.type("exit\r")
    p.result(seconds(5)).ok()


@pytest.mark.parametrize("lacking", [["landlock"], ["openat2", "renameat2"],
                                     ["landlock", "openat2", "renameat2", "clone3"]], ids="+".join)
def test_a_kernel_that_lacks_it(cable, lacking):
    anna, bert = cable.hosts
    old = [TOOLS / "oldkernel", *lacking, "--"]
    make = anna / "music"
    (make / "live").mkdir(parents=True)
    random_file(make / "live/song", 3_000_000)
    (make / "link").symlink_to("live/song")
    a = anna.spawn(*old, LANYARD, "-v", "share", "--json", "music")
    port = a.wait_event("ready")["port"]
    p = bert.spawn(*old, LANYARD, "-v", "download", anna.address, port, "music")
    p.result(seconds(30)).ok()
    same(make / "live/song", bert / "music/live/song")
    assert os.readlink(bert / "music/link") == "live/song"
    for program in [a, p]:
        assert (landlock(program) == 0) >= ("landlock" in lacking)
        assert "starts no programs" in program.err
