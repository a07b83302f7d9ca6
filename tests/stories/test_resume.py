# SPDX-License-Identifier: MIT
"""Interrupted in every way, and continued."""
import os

import pytest
from lan import Lan
from process import steady
from tree import make_tree, same_tree
from verbs import (MIB, download, download_until, nothing_left, peers, random_file, same, seconds,
                   sees, share, staged, staging)

SIZE = 48 * MIB
PART = 12 * MIB


@pytest.fixture
def slow():
    """A LAN whose cable makes a download of SIZE last some seconds."""
    with Lan(2) as made:
        made.hosts[0].limit("200mbit")
        yield made


def serve_film(anna, **more):
    film = random_file(anna / "film", SIZE)
    return film, share(anna, "film", **more)


def resumed(result):
    """It took what was there and fetched only the rest; a few chunks may have been in flight."""
    done = result.ok().last()
    assert done["fetched"] + done["reused"] == done["bytes"] == SIZE
    assert done["reused"] >= PART - MIB
    return done


def test_killed_client_continues(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    p.kill()
    p.wait()
    assert staging(bert, "film").is_dir() and not (bert / "film").exists()
    on_disk = staged(bert, "film")
    done = resumed(download(bert, *words))
    assert done["fetched"] <= SIZE - on_disk + 16 * MIB
    same(film, bert / "film")
    nothing_left(bert, "film")


def test_client_killed_again_and_again(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    for part in range(1, 4):
        p = download_until(bert, "film", *words, size=part * PART)
        p.kill()
        p.wait()
    resumed(download(bert, *words))
    same(film, bert / "film")


@pytest.mark.threads
def test_ctrl_c_says_incomplete_and_the_same_command_continues(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    p.interrupt()
    last = p.result(timeout=seconds(2)).exits(6).last()
    assert last["event"] == "failed" and last["code"] == 6
    resumed(download(bert, *words))
    same(film, bert / "film")


@pytest.mark.threads
def test_a_tree_continues(slow):
    anna, bert = slow.hosts
    tree = make_tree(anna / "tree")
    random_file(tree / "zzz", SIZE)
    a = share(anna, "tree", options=["--hidden"])
    words = anna.address, a.port, "tree"
    p = download_until(bert, "tree", *words, size=PART)
    p.kill()
    p.wait()
    done = download(bert, *words).ok().last()
    assert done["reused"] > 0 and done["fetched"] < done["bytes"]
    same_tree(tree, bert / "tree")


@pytest.mark.threads
def test_killed_server_comes_back_and_the_client_finishes(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna, options=["--port", 5000])
    p = download_until(bert, "film", anna.address, 5000, "film", size=PART)
    a.kill()
    a.wait()
    share(anna, "film", options=["--port", 5000])
    done = p.result(seconds(60)).ok().last()
    assert done["reused"] == 0 and SIZE <= done["fetched"] <= SIZE + 32 * MIB
    same(film, bert / "film")


def test_killed_server_comes_back_on_another_port(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna, options=["--port", 5000])
    sees(bert, "anna")
    p = download_until(bert, "film", "film", size=PART)
    a.kill()
    a.wait()
    share(anna, "film", options=["--port", 6000])
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_a_cable_that_is_out_for_a_while(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    p = download_until(bert, "film", anna.address, a.port, "film", size=PART)
    bert.link("down")
    steady(lambda: staged(bert, "film"), 0.5, "the cable to be out")
    bert.link("up")
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_an_address_that_changes_in_the_middle(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    sees(bert, "anna")
    p = download_until(bert, "film", "film", size=PART)
    anna.change_address("10.9.0.77")
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_a_daemon_that_dies_is_not_noticed(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    sees(bert, "anna")
    p = download_until(bert, "film", "film", size=PART)
    for host in slow.hosts:
        host.avahi_kill()
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_a_server_that_stays_away_ends_as_incomplete(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, "--timeout", 2, size=PART)
    a.kill()
    a.wait()
    failed = p.result(seconds(10)).exits(6)
    assert failed.last()["code"] == 6
    share(anna, "film", options=["--port", a.port])
    resumed(download(bert, *words))
    same(film, bert / "film")


def test_a_file_that_changes_in_the_middle_is_never_mixed(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    p = download_until(bert, "film", anna.address, a.port, "film", size=PART)
    os.replace(random_file(anna.dir / "new", SIZE, seed=2), film)
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_a_file_that_is_written_all_the_time_is_told(slow):
    """It is not given up silently, and not mixed: at rest, the same command gets it.

    It is never cut short, or the empty file in between would be a version that can be had."""
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    while p.alive():
        random_file(film, SIZE, seed=2, mode="r+b")
    changing = p.result().exits(6)
    assert "film" in changing.err and "chang" in changing.err
    assert not (bert / "film").exists()
    download(bert, *words).ok()
    same(film, bert / "film")


def test_a_file_that_grew_between_two_runs(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    p.kill()
    p.wait()
    with open(film, "ab") as f:
        f.write(b"more")
    done = download(bert, *words).ok().last()
    assert done["reused"] > 0
    same(film, bert / "film")


def test_a_damaged_staging_folder_gives_no_wrong_byte(slow):
    """The slots of its journal are noise: none of them is believed."""
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    p.kill()
    p.wait()
    journal = staging(bert, "film") / "journal"
    header = journal.read_bytes()[:4096]
    journal.write_bytes(header + os.urandom(journal.stat().st_size - len(header)))
    assert download(bert, *words).ok().last()["reused"] == 0
    same(film, bert / "film")


def test_only_one_download_writes_at_a_time(slow):
    anna, bert = slow.hosts
    film, a = serve_film(anna)
    words = anna.address, a.port, "film"
    p = download_until(bert, "film", *words, size=PART)
    second = download(bert, *words)
    assert f"process {p.pid} (lanyard) is downloading it" in second.exits(6).err
    p.result(seconds(60)).ok()
    same(film, bert / "film")


def test_the_second_source_goes_on_alone(slow):
    anna, bert = slow.hosts
    carl = slow.add_host()
    carl.avahi_start()
    carl.limit("200mbit")
    film, a = serve_film(anna)
    anna.check("cp", "-p", str(film), str(carl / "film"))
    share(carl, "film")
    sees(bert, "anna", "carl")
    p = download_until(bert, "film", "film", size=PART)
    a.kill()
    a.wait()
    p.result(seconds(60)).ok()
    same(film, bert / "film")
    assert peers(bert).keys() == {"carl"}
