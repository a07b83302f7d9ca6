# SPDX-License-Identifier: MIT
"""Who may come in: machines of the same link, those who know a code, or certain peers alone."""
import contextlib
import re
import threading

import pytest
from lan import LANYARD
from process import until
from stranger import (AUTH, AUTHED, BYE, ERROR, HELLO, Closed, Frames, Keys, Stranger, context,
                      listen)
from verbs import MIB, download, peers, random_file, same, seconds, sees, share, staged


def code_of(sharing):
    """The code that `share --code` told on stderr."""
    return sharing.wait_line(r"this code:  (\S+)$", stream="err")[1]


def locked(host, *options):
    random_file(host / "secret-film", 3 * MIB)
    sharing = share(host, "secret-film", options=options)
    return sharing, code_of(sharing) if "--code" in options else None


def known_to(host, who):
    key = who.run("lanyard", "id", "--json").ok().last()["key"]
    host.run("lanyard", "trust", "add", who.name, key).ok()


def says_nothing(result):
    """Neither names nor counts."""
    for told in result.out, result.err:
        assert "secret-film" not in told and "3.0 MiB" not in told and str(3 * MIB) not in told


# Codes

def test_a_code_lets_in(cable):
    anna, bert = cable.hosts
    a, code = locked(anna, "--code")
    assert re.fullmatch(r"[0-9a-hjkmnp-tv-z]{4}-[0-9a-hjkmnp-tv-z]{4}", code)
    download(bert, anna.address, a.port, "secret-film", "--code", code).ok()
    same(anna / "secret-film", bert / "secret-film")
    assert code not in a.out
    asked = bert.run("lanyard", "list", f"{anna.address}:{a.port}", "--code", code.upper()).ok()
    assert "secret-film" in asked.out


def test_without_the_code_nothing_is_learned(cable):
    anna, bert = cable.hosts
    a, _ = locked(anna, "--code")
    there = f"{anna.address}:{a.port}"
    for words in [("download", anna.address, a.port, "other"), ("list", there),
                  ("find", "film", "--peer", there), ("list", there + ":secret")]:
        said = bert.run("lanyard", *words, "--json").exits(5)
        says_nothing(said)
        assert "--code" in said.err
    shown = bert.run("lanyard", "list-peers", "--json", "--peer", there).ok()
    says_nothing(shown)
    assert "left out" not in shown.err
    [one] = shown.objects()
    assert one["name"] == "anna" and one["access"] == "code"
    assert one["files"] is one["bytes"] is one["shares"] is None


def test_a_wrong_code_is_told_and_five_make_it_void(cable):
    anna, bert = cable.hosts
    carl = cable.add_host()
    a, code = locked(anna, "--code")
    for host, n in [(bert, 4), (carl, 3)]:
        for _ in range(n):
            told = download(host, anna.address, a.port, "secret-film", "--code",
                            "00000000").exits(5)
            says_nothing(told)
            assert "code" in told.err
    assert "void" in told.err  # the sixth that counted, of two addresses
    a.wait_line("the code is void", stream="err")
    assert [e["left"] for e in a.events() if e["event"] == "wrong-code"] == [4, 3, 2, 1, 0]
    told = download(bert, anna.address, a.port, "secret-film", "--code", code).exits(5)
    assert "void" in told.err  # also for who knows it
    assert not (bert / "secret-film").exists()


def test_a_code_from_a_descriptor(cable):
    anna, bert = cable.hosts
    a, code = locked(anna, "--code")
    (bert / "code").write_text(code.replace("-", " ") + "\nmore")
    for fd in 0, 3:
        run = f'exec "$0" list --code-fd {fd} "$1" {fd}<code'
        listed = bert.run("sh", "-c", run, LANYARD, f"{anna.address}:{a.port}").ok()
        assert "secret-film" in listed.out


def test_a_code_typed_at_the_terminal(cable):
    anna, bert = cable.hosts
    a, code = locked(anna, "--code")
    p = bert.terminal("lanyard", "download", anna.address, a.port, "secret-film")
    p.wait_line("anna asks for an access code:")
    p.type(code + "\n")
    assert p.wait(30) == 0
    assert code not in p.out
    same(anna / "secret-film", bert / "secret-film")


def test_the_code_leaves_argv(cable):
    anna, bert = cable.hosts
    a, code = locked(anna, "--code")
    bert.limit("20mbit")
    p = bert.spawn("lanyard", "download", "-vv", "--json", anna.address, a.port, "secret-film",
                   "--code", code)
    p.wait_event("start")
    with open(f"/proc/{p.pid}/cmdline", "rb") as f:
        assert code.encode() not in f.read()
    p.result().ok()
    assert code not in p.out + p.err + a.out


def test_a_name_is_looked_for_at_the_one_that_asks_for_a_code(lan):
    anna, bert = lan.hosts
    carl = lan.add_host()
    carl.avahi_start()
    _, code = locked(anna, "--code")
    random_file(carl / "secret-film", 100, seed=2)
    share(carl, "secret-film")
    sees(bert, "anna", "carl")
    assert {n: p["access"] for n, p in peers(bert).items()} == {"anna": "code", "carl": "open"}
    download(bert, "secret-film", "--code", code).ok()
    same(anna / "secret-film", bert / "secret-film")


def test_a_code_is_shown_to_nobody_whom_it_is_not_meant_for(lan):
    """With two who ask for one, a NAME alone could be counted as a wrong try by either."""
    anna, bert = lan.hosts
    carl = lan.add_host()
    carl.avahi_start()
    a, code = locked(anna, "--code")
    c, _ = locked(carl, "--code")
    sees(bert, "anna", "carl")
    told = download(bert, "secret-film", "--code", code).exits(4)
    assert "several peers ask for a code" in told.err
    download(bert, "anna:secret-film", "--code", code).ok()
    same(anna / "secret-film", bert / "secret-film")
    for sharing in a, c:
        assert not [e for e in sharing.events() if e["event"] == "wrong-code"]


def test_one_wrong_try_is_one_at_all_addresses(lan):
    """anna has several addresses; a wrong code is counted once."""
    anna, bert = lan.hosts
    a, _ = locked(anna, "--code")
    sees(bert, "anna")
    download(bert, "anna:secret-film", "--code", "0000-0000").exits(5)
    a.wait_event("wrong-code")
    assert [e["left"] for e in a.events() if e["event"] == "wrong-code"] == [4]


def test_a_code_that_nobody_asked_for_is_refused(cable):
    """Whoever shares without a code did not give this one out."""
    anna, bert = cable.hosts
    a, _ = locked(anna)
    told = download(bert, anna.address, a.port, "secret-film", "--code", "k7f3-q9zz").exits(5)
    assert "asks for no access code" in told.err
    assert not (bert / "secret-film").exists()


def test_what_is_no_code_is_a_wrong_command(cable):
    anna, _ = cable.hosts
    for words in [("--code", "hello"), ("--code", ""), ("--code-fd", "x"), ("--code-fd", "99"),
                  ("--code", "k7f3-q9zz", "--code-fd", "0")]:
        told = anna.run("lanyard", "download", "film", *words).exits(2)
        assert "hello" not in told.err


@pytest.mark.parametrize("hands_on", [True, False])
def test_somebody_in_the_middle_gains_nothing(cable, tmp_path, hands_on):
    """carl pretends to be anna, and hands on to her what bert proves; or says that it was right."""
    anna, bert = cable.hosts
    carl = cable.add_host()
    a, code = locked(anna, "--code")
    key = Keys(tmp_path)[0]
    listener = listen(carl, 5000)
    heard = []

    def relay():
        to_bert = Frames(context(key, server=True).wrap_socket(listener.accept()[0],
                                                               server_side=True))
        to_anna = Stranger(carl, anna.address, a.port, key)
        to_bert.say(HELLO, to_anna.hear()[2])
        assert to_bert.hear()[0] == HELLO
        kind, _, proof = to_bert.hear()
        assert kind == AUTH and proof[:2] == b"\x01\x20"
        heard.append(to_anna.auth(proof))
        with contextlib.suppress(OSError, Closed):
            to_bert.say(AUTHED, b"\0\x20" + proof[2:] if not hands_on else bytes([heard[0], 0]))
            heard.append(to_bert.hear()[0])
    middle = threading.Thread(target=relay)
    middle.start()
    told = download(bert, carl.address, 5000, "secret-film", "--code", code).exits(5)
    middle.join(20)
    says_nothing(told)
    assert heard[0] == 4  # AUTH_FAILED: anna does not believe it
    assert heard[1:] in ([], [BYE], [ERROR])  # and bert asks for nothing
    assert not (bert / "secret-film").exists()


# Certain peers

def test_shared_with_one_peer_alone(cable):
    anna, bert = cable.hosts
    carl = cable.add_host()
    known_to(anna, bert)
    a, _ = locked(anna, "--to", "bert")
    download(bert, anna.address, a.port, "secret-film").ok()
    same(anna / "secret-film", bert / "secret-film")
    there = f"{anna.address}:{a.port}"
    for words in [("download", anna.address, a.port, "film"), ("list", there)]:
        told = carl.run("lanyard", *words, "--json").exits(5)
        says_nothing(told)
        assert "other peers" in told.err
    [one] = carl.run("lanyard", "list-peers", "--json", "--peer", there).ok().objects()
    assert one["access"] == "denied" and one["files"] is None


def test_nobody_is_shared_with_by_mistake(cable):
    anna, bert = cable.hosts
    known_to(anna, bert)
    told = anna.run("lanyard", "share", "--to", "brt", ".").exits(3)
    assert "brt" in told.err and "trust" in told.err
    anna.run("lanyard", "share", "--to", "bert", "--to", "carl", ".").exits(3)


# Keys

def test_a_download_is_bound_to_the_key_that_it_began_with(cable):
    """anna goes in the middle of it, and another peer takes her address, port, name and files."""
    anna, bert = cable.hosts
    a, _ = locked(anna)
    bert.limit("10mbit")
    p = bert.spawn("lanyard", "download", "--timeout", "4", "--json", f"{anna.address}:secret-film")
    p.wait_for(lambda: staged(bert, "secret-film") >= MIB, "a chunk", seconds(20))
    a.kill()
    a.wait()
    anna.more_environment = {"XDG_STATE_HOME": str(anna.dir / "other")}
    b = share(anna, "secret-film", options=["--port", str(a.port)])
    bert.unlimit()
    told = p.result(seconds(60)).exits(5)
    assert "another peer answers" in told.err
    assert not [e for e in b.events() if e["event"] == "request"]
    b.interrupt()
    b.wait()
    anna.more_environment = {}
    locked(anna, "--port", str(a.port))
    download(bert, f"{anna.address}:secret-film").ok()
    same(anna / "secret-film", bert / "secret-film")


# Links

@pytest.fixture
def routed(cable):
    """carl is on another link; bert routes between it and the one of anna."""
    anna, bert = cable.hosts
    carl = cable.add_host()
    cable.switch.ip("link", "set", "carl-eth0", "nomaster")
    cable.switch.ip("link", "add", "br1", "type", "bridge")
    cable.switch.ip("link", "set", "br1", "up")
    cable.switch.ip("link", "set", "carl-eth0", "master", "br1")
    bert.plug("eth1", "10.10.0.1")
    cable.switch.ip("link", "set", "bert-eth1", "master", "br1")
    bert.check("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    carl.ip("addr", "flush", "dev", "eth0")
    carl.ip("addr", "add", "10.10.0.3/24", "dev", "eth0")
    carl.ip("route", "add", "default", "via", "10.10.0.1")
    anna.ip("route", "add", "10.10.0.0/24", "via", bert.address)
    return anna, bert, carl


def test_other_links_are_told_and_learn_nothing(routed):
    anna, bert, carl = routed
    a, _ = locked(anna)
    there = f"{anna.address}:{a.port}"
    for words in [("download", anna.address, a.port, "film"), ("list", there)]:
        told = carl.run("lanyard", *words, "--json").exits(5)
        says_nothing(told)
        assert "own link only" in told.err and "--routed" in told.err
    download(bert, anna.address, a.port, "secret-film").ok()


def test_routed_lets_other_links_in(routed):
    anna, _, carl = routed
    a, _ = locked(anna, "--routed")
    download(carl, anna.address, a.port, "secret-film").ok()
    same(anna / "secret-film", carl / "secret-film")


def test_a_link_that_is_plugged_in_later_counts(routed):
    anna, _, carl = routed
    a, _ = locked(anna)
    download(carl, anna.address, a.port, "secret-film").exits(5)
    anna.plug("eth1", "10.10.0.9")
    anna.lan.switch.ip("link", "set", "anna-eth1", "master", "br1")
    until(lambda: download(carl, "10.10.0.9", a.port, "secret-film").code == 0,
          "its next look at the interfaces", seconds(20))
    assert a.alive()
