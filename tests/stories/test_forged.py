# SPDX-License-Identifier: MIT
"""Discovery is hostile: carl says whatever he likes by multicast DNS (tests/tools/shouter.py), and
anna and bert find each other all the same."""
import pathlib

import pytest
from lan import Lan
from verbs import download, peers, random_file, same, seconds, sees, share

SHOUTER = pathlib.Path(__file__).parents[1] / "tools/shouter.py"
SOON = 6  # seconds; a machine with nothing else to do needs 0.5 to 2


@pytest.fixture
def three():
    with Lan(3, daemons=2) as lan:
        yield lan.hosts


def shout(host, name, port, addresses, *more):
    p = host.spawn("/usr/bin/python3", SHOUTER, name, port, addresses, *more)
    p.wait_line("said", seconds(20))
    return p


def finds_anna(bert, anna, others=()):
    """By name, by list-peers, and nobody else answers."""
    listed = bert.run("lanyard", "list-peers", "--json").ok()
    assert sorted(p["name"] for p in listed.objects()) == ["anna", *others]
    assert listed.seconds < seconds(SOON)
    got = download(bert, "anna:film").ok()
    assert got.seconds < seconds(SOON)
    same(anna / "film", bert / "film")
    (bert / "film").unlink()


def key_of(host):
    return host.run("lanyard", "id", "--json").ok().last()["key"]


@pytest.mark.parametrize("first", ["anna", "the liars"])
def test_a_hundred_claim_to_be_anna(three, first):
    """Her id, other names, four addresses each where nobody is."""
    anna, bert, carl = three
    random_file(anna / "film", 300_000)
    if first == "anna":
        share(anna, "film")
        sees(bert, "anna")
    shout(carl, "x", 5000, "10.9.0.50+,10.9.1.50+,10.9.2.50+,10.9.3.50+", "n=100",
          "id=" + key_of(anna))
    if first != "anna":
        share(anna, "film")
        sees(bert, "anna", timeout=20)
    for _ in range(2):
        finds_anna(bert, anna)


def test_two_hundred_peers_that_are_none(three):
    """They were there before anna came; nobody answers at their addresses."""
    anna, bert, carl = three
    random_file(anna / "film", 300_000)
    shout(carl, "fake", 5000, "10.9.0.50+", "n=200")
    share(anna, "film")
    sees(bert, "anna", timeout=20)
    finds_anna(bert, anna)
    download(bert, "film").ok()  # everybody is asked


def test_another_answers_under_the_id_of_anna(three):
    """carl is a peer, too, but the key tells who is who."""
    anna, bert, carl = three
    random_file(anna / "film", 300_000)
    random_file(carl / "film", 300_000, seed=2)
    share(anna, "film")
    c = share(carl, "film", options=["--name", "carl"])
    sees(bert, "anna", "carl")
    shout(carl, "anna two", c.port, carl.address, "id=" + key_of(anna))
    for _ in range(2):
        finds_anna(bert, anna, ["carl"])


NONSENSE = [("a txt that is cut", "ff41"), ("an empty txt", ""), ("zeros", "00" * 100),
            ("a txt of 8000 bytes", "ff" + "41" * 255 + ("fe" + "3d" * 254) * 30),
            ("an id of escapes", "0969643d1b5b33316d41")]


def test_records_that_make_no_sense(three):
    anna, bert, carl = three
    random_file(anna / "film", 300_000)
    share(anna, "film")
    sees(bert, "anna")
    for name, txt in NONSENSE:
        shout(carl, name, 5000, carl.address, "txt=" + txt)
    shout(carl, "the port of nobody", 0, carl.address)
    shout(carl, "loopback", 5000, "127.0.0.1,0.0.0.0,255.255.255.255,224.0.0.251,::1")
    shout(carl, "mdns itself", 5353, bert.address)
    shout(carl, "somewhere else", 5000, "192.0.2.1")
    shout(carl, "bert's own", 5000, carl.address, "id=" + key_of(bert))
    for _ in range(2):
        finds_anna(bert, anna)
    assert set(peers(bert)) == {"anna"}
