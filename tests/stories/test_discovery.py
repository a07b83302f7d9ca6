# SPDX-License-Identifier: MIT
"""Who is there."""
import signal

import pytest
from lan import Lan
from process import steady, until
from verbs import SANITIZED, download, peers, random_file, same, seconds, sees, share


@pytest.mark.threads
def test_peers_see_each_other_but_not_themselves(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    random_file(bert / "song", 2000)
    a = share(anna, "film")
    share(bert, "song")
    sees(anna, "bert")
    found = peers(bert)
    assert set(found) == {"anna"}
    anna_seen = found["anna"]
    assert anna_seen["id"] == a.ready["id"]
    assert f"{anna.address}:{a.port}" in anna_seen["addresses"]
    assert anna_seen["version"]
    counted = until(lambda: (p := peers(bert)["anna"])["files"] and p, "the count of files")
    assert counted["files"] == 1 and counted["bytes"] == 1000


def test_a_new_sharer_is_seen_within_two_seconds(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    found = bert.run("lanyard", "list-peers", "--json").ok()
    assert [p["name"] for p in found.objects()] == ["anna"]
    assert found.seconds < seconds(2)


def test_the_table_is_for_people_and_the_pipe(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    table = bert.run("lanyard", "list-peers").ok()
    assert "anna" in table.out and "\x1b" not in table.out


def test_a_sharer_that_ends_is_gone(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    a = share(anna, "film")
    sees(bert, "anna")
    a.interrupt()
    assert a.wait(seconds(5)) == 0
    sees(bert)


def test_a_killed_sharer_is_not_shown(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    a = share(anna, "film")
    sees(bert, "anna")
    a.kill()
    a.wait()
    sees(bert)


def test_ten_peers_are_found_in_time():
    with Lan(10) as lan:
        *others, last = lan.hosts
        started = [h.spawn("lanyard", "share", "--json") for h in others]
        for p in started:
            p.wait_event("ready", seconds(20))
        names = {h.name for h in others}
        sees(last, *names, timeout=10)
        found = last.run("lanyard", "list-peers", "--json").ok()
        assert {p["name"] for p in found.objects()} == names
        assert found.seconds < (2.5 if SANITIZED else 1.5)


@pytest.mark.parametrize("daemons", [0, 1], ids=["none", "one"])
def test_it_works_without_a_daemon(daemons):
    with Lan(2, daemons=daemons) as lan:
        anna, bert = lan.hosts
        film = random_file(anna / "film", 3_000_000)
        random_file(bert / "song", 1000)
        share(anna, "film")
        share(bert, "song")
        sees(bert, "anna")
        sees(anna, "bert")
        download(bert, "film").ok()
        same(film, bert / "film")


@pytest.mark.threads
def test_a_restarted_daemon_makes_a_sharer_visible_again(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    anna.avahi_kill()
    anna.avahi_start()
    sees(bert, "anna", timeout=5)


def test_a_restarted_bus_makes_a_sharer_visible_again(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    anna.avahi_kill()
    anna.bus_kill()
    anna.avahi_start()
    sees(bert, "anna", timeout=10)


def test_a_stopped_daemon_delays_only_discovery(lan):
    anna, bert = lan.hosts
    film = random_file(anna / "film", 1000)
    a = share(anna, "film")
    for host in lan.hosts:
        host.avahi.kill(signal.SIGSTOP)
    got = download(bert, anna.address, a.port, "film").ok()
    assert got.seconds < seconds(2)
    same(film, bert / "film")


@pytest.mark.threads
def test_two_network_cards_make_one_peer(lan):
    anna, bert = lan.hosts
    for host in lan.hosts:
        host.plug("eth1", host.address.replace("10.9.0", "10.9.1"))
    random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    found = bert.run("lanyard", "list-peers", "--json").ok().objects()
    assert len(found) == 1


def test_ipv6_alone_is_enough():
    with Lan(2, ipv4=False) as lan:
        anna, bert = lan.hosts
        film = random_file(anna / "film", 3_000_000)
        share(anna, "film")
        sees(bert, "anna")
        assert all(a.startswith("[fe80:") for a in peers(bert)["anna"]["addresses"])
        download(bert, "film").ok()
        same(film, bert / "film")


def test_a_changed_address_is_found(lan):
    anna, bert = lan.hosts
    film = random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    anna.change_address("10.9.0.99")
    until(lambda: any("10.9.0.99" in a for a in peers(bert).get("anna", {"addresses": []})
                      ["addresses"]), "the new address", seconds(10))
    download(bert, "film").ok()
    same(film, bert / "film")


def test_a_cable_that_was_out_is_no_end(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    sees(bert, "anna")
    anna.link("down")
    sees(bert)
    anna.link("up")
    sees(bert, "anna")


def test_watch_tells_who_comes_and_goes(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    watch = bert.spawn("lanyard", "list-peers", "--watch", "--json")
    a = share(anna, "film")
    watch.wait_line('"anna"', seconds(5))
    a.interrupt()
    a.wait()
    watch.interrupt()
    assert watch.wait(5) == 0


def test_two_of_one_name_are_told_apart(lan):
    anna, bert = lan.hosts
    random_file(anna / "one", 1000)
    random_file(anna / "two", 1000)
    share(anna, "one", options=["--name", "box"])
    anna.more_environment = {"XDG_STATE_HOME": str(anna.dir / "state2")}
    share(anna, "two", options=["--name", "box"])
    until(lambda: len(bert.run("lanyard", "list-peers", "--json").ok().objects()) == 2,
          "two peers", seconds(10))
    found = bert.run("lanyard", "list-peers", "--json").ok().objects()
    assert len({p["id"] for p in found}) == 2


def test_an_idle_sharer_sends_nothing_and_uses_no_cpu(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    a = share(anna, "film")
    sees(bert, "anna")
    steady(anna.sent_packets, 6.0, "no packet for 6 s")
    steady(a.cpu, 3.0, "no processor time for 3 s")
