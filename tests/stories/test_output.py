# SPDX-License-Identifier: MIT
"""What strangers say never reaches a terminal, a log or JSON as it is: neither escape sequences nor
characters that move, hide or turn text (tests/lan/liar.py has them all)."""
import json
import os
import pathlib

import liar
import pytest
from verbs import random_file, seconds, share

COMMANDS = [["list-peers"], ["list"], ["find", "x"], ["download", "film"]]


def clean(data, story):
    for bad in liar.FORBIDDEN:
        assert bad not in data, (bad, story)


def lie(host, answer="rows"):
    p = host.spawn("/usr/bin/python3", pathlib.Path(liar.__file__), host.dir, 5000, answer)
    p.wait_line("ready")
    return f"{host.address}:5000"


@pytest.mark.parametrize("answer", ["rows", "error", "bye"])
def test_a_peer_with_escapes_in_everything(cable, answer):
    anna, bert = cable.hosts
    there = lie(anna, answer)
    for words in COMMANDS:
        words = [*words, "--peer", there]
        plain, as_json, shown = [bert.spawn("lanyard", "-vv", *words),
                                 bert.spawn("lanyard", "-vv", *words, "--json"),
                                 bert.terminal("lanyard", *words)]  # all at once
        for p in plain, as_json, shown:
            p.wait(seconds(30))
        for p in plain, as_json:
            clean(p.bytes["out"] + p.bytes["err"], p.story())
        for line in as_json.out.splitlines():
            json.loads(line)
        clean(shown.bytes["out"].replace(b"\r\n", b"\n"), shown.out)


def test_the_escapes_are_shown(cable):
    """Shown, not dropped: two names that differ look different."""
    anna, bert = cable.hosts
    there = lie(anna)
    listed = bert.run("lanyard", "list-peers", "--peer", there).ok().out
    assert r"x\x1b]0;owned\x07\xc2\x9b31m\x0a\x0d\x08\x7f\xe2\x80\xae" in listed
    rows = bert.run("lanyard", "list", "--peer", there, "--json").ok().objects()
    said = {bytes.fromhex(r["path_hex"]) for r in rows}
    assert said == {liar.EVIL + b for b in [b"a", b"b", b"c"]}


def test_names_of_our_own_files(cable):
    """The sharer's own log and events, too."""
    anna, bert = cable.hosts
    name = os.fsdecode(liar.EVIL)
    random_file(anna / name, 1000)
    a = anna.spawn("lanyard", "-vv", "share", "--json", name)
    port = a.wait_event("ready")["port"]
    got = bert.spawn("lanyard", "-vv", "download", "--json", anna.address, port, name)
    assert got.wait(seconds(30)) == 0, got.err
    assert (bert / name).stat().st_size == 1000
    clean(got.bytes["out"] + got.bytes["err"], got.err)
    a.interrupt()
    a.wait(10)
    clean(a.bytes["out"] + a.bytes["err"], a.err)


def test_words_that_are_echoed(cable):
    anna, _ = cable.hosts
    evil = os.fsdecode(liar.EVIL)
    said = []
    for words in [[evil], ["--" + evil], ["share", evil], ["share", "--" + evil],
                  ["share", "--port", evil], ["share", "--name", evil], ["list", evil + ":x"],
                  ["list", "--peer", evil], ["list", "--wait", evil], ["trust", "forget", evil],
                  ["trust", "add", evil, evil], ["download", "x", "-o", evil],
                  ["find", evil, "--peer", "127.0.0.1:1"], ["help", evil],
                  ["download", "127.0.0.1", "1", evil], ["list-peers", evil]]:
        said.append((words, anna.spawn("lanyard", *words)))
    for words, p in said:
        assert p.wait(seconds(30)) != 0, words
        clean(p.bytes["out"] + p.bytes["err"], words)


def test_a_host_name_in_known_peers(cable):
    """What was remembered of a stranger is as clean as what was heard."""
    anna, bert = cable.hosts
    random_file(anna / "film", 1000)
    a = share(anna, "film", options=["--name", "a\u202eb\u2067"])
    p = bert.spawn("lanyard", "download", anna.address, a.port, "film")
    assert p.wait(seconds(30)) == 0
    known = (bert.dir / "state/lanyard/known_peers").read_bytes()
    listed = bert.spawn("lanyard", "trust", "list")
    assert listed.wait(seconds(10)) == 0
    clean(known + listed.bytes["out"] + p.bytes["out"] + p.bytes["err"], known)
    assert rb"\xe2\x80\xae" in listed.bytes["out"]
