# SPDX-License-Identifier: MIT
"""Known peers: pinned at first sight, listed, added, forgotten; and what `doctor` and `id` say."""
import shutil

import pytest
from lan import Lan
from verbs import download, random_file, same, sees, share


@pytest.fixture
def met(lan):
    """bert has downloaded from anna once; anna shares `song`, too."""
    anna, bert = lan.hosts
    random_file(anna / "film", 100)
    random_file(anna / "song", 100)
    a = share(anna, "film", "song")
    sees(bert, "anna")
    download(bert, "film").ok()
    return anna, bert, a


def known(host):
    return {p["name"]: p["key"] for p in
            host.run("lanyard", "trust", "list", "--json").ok().objects()}


def new_key(host, running):
    running.interrupt()
    running.wait()
    shutil.rmtree(host.dir / "state" / "lanyard")
    return share(host, "film", "song")


def key_of(host):
    return host.run("lanyard", "id", "--json").ok().last()["key"]


def test_a_peer_is_pinned_at_the_first_download(met):
    anna, bert, _ = met
    assert known(bert) == {"anna": key_of(anna)}


def test_looking_around_pins_nobody(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 100)
    share(anna, "film")
    sees(bert, "anna")
    bert.run("lanyard", "list").ok()
    assert known(bert) == {}


def test_another_key_under_a_known_name_is_refused_until_it_is_added(met):
    anna, bert, a = met
    new_key(anna, a)
    refused = download(bert, "anna:song").exits(5)
    assert "anna" in refused.err and "trust" in refused.err
    assert not (bert / "song").exists()
    bert.run("lanyard", "trust", "add", "anna", key_of(anna)).ok()
    download(bert, "anna:song").ok()
    same(anna / "song", bert / "song")


def test_a_changed_key_is_shown_in_the_list(met):
    anna, bert, a = met
    new_key(anna, a)
    sees(bert, "anna")
    assert bert.run("lanyard", "list-peers", "--json").ok().last()["trust"] == "changed"


def test_a_known_name_means_that_peer_whoever_else_bears_it(met):
    """An impostor with the same name on the LAN gets no request that was meant for anna."""
    anna, bert, a = met
    carl = anna.lan.add_host()
    carl.avahi_start()
    random_file(carl / "song", 100, seed=2)
    share(carl, "song", options=["--name", "anna"])
    got = download(bert, "anna:song")
    if got.code == 0:
        same(anna / "song", bert / "song")
    assert got.code in (0, 4, 5)


def test_doctor_finds_nothing_bad_in_a_good_network():
    with Lan(2) as lan:
        anna, bert = lan.hosts
        random_file(anna / "film", 100)
        share(anna, "film")
        sees(bert, "anna")
        checks = bert.run("lanyard", "doctor", "--json").ok()
        assert "bad" not in checks.out.lower()


def test_doctor_tells_that_there_is_no_network():
    with Lan(1, daemons=False) as lan:
        anna = lan.hosts[0]
        anna.ip("link", "set", "eth0", "down")
        told = anna.run("lanyard", "doctor")
        assert told.code == 1 and "BAD" in told.out
