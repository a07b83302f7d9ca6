# SPDX-License-Identifier: MIT
"""Getting what others offer."""
import os
import re

import pytest
from tree import blocks, make_tree, same_tree, sparse_file
from verbs import MIB, download, nothing_left, random_file, same, sees, share


def test_list_find_and_download_a_file_by_name(lan):
    anna, bert = lan.hosts
    (anna / "films").mkdir()
    film = random_file(anna / "films" / "film.mkv", 5_000_000)
    share(anna, "films")
    listed = bert.run("lanyard", "list", "anna:films", "--json").ok().objects()
    assert [(e["path"], e["type"], e["size"]) for e in listed] == [
        ("films/film.mkv", "file", 5_000_000)]
    found = bert.run("lanyard", "find", "FILM.", "--json").ok().objects()
    assert [(e["peer"], e["path"]) for e in found] == [("anna", "films/film.mkv")]
    done = download(bert, "film.mkv").ok().last()
    assert done["event"] == "done" and done["bytes"] == done["fetched"] == 5_000_000
    assert done["reused"] == 0 and done["sources"] == 1
    same(film, bert / "film.mkv")
    nothing_left(bert, "film.mkv")


def test_list_shows_the_shares_of_all(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    (anna / "music").mkdir()
    share(anna, "film", "music")
    listed = bert.run("lanyard", "list", "--json").ok().objects()
    assert {(e["peer"], e["path"], e["type"]) for e in listed} == {
        ("anna", "film", "file"), ("anna", "music", "dir")}
    assert all(e["id"] for e in listed)


def test_stdout_is_the_final_path_alone(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 1000)
    share(anna, "film")
    got = bert.run("lanyard", "download", "film").ok()
    path = bert.files / got.out.rstrip("\n")
    assert path.samefile(bert / "film") and got.out.count("\n") == 1


@pytest.mark.threads
def test_a_tree_arrives_entry_by_entry(cable):
    anna, bert = cable.hosts
    tree = make_tree(anna / "tree")
    a = share(anna, "tree", options=["--hidden"])
    done = download(bert, anna.address, a.port, "tree").ok().last()
    assert done["event"] == "done"
    same_tree(tree, bert / "tree")
    assert blocks(bert / "tree" / "sparse") <= 4 * MIB
    nothing_left(bert, "tree")


def test_a_real_tree_arrives(cable):
    anna, bert = cable.hosts
    real = "/usr/share/doc"
    if not os.path.isdir(real):
        pytest.fail(f"{real} is missing")
    anna.check("cp", "-a", real, str(anna / "doc"))
    a = share(anna, "doc", options=["--hidden"])
    download(bert, anna.address, a.port, "doc", "--unsafe-links", timeout=120).ok()
    same_tree(anna / "doc", bert / "doc")


def test_a_hole_stays_a_hole(cable):
    anna, bert = cable.hosts
    hole = sparse_file(anna / "hole", 256 * MIB)
    a = share(anna, "hole")
    done = download(bert, anna.address, a.port, "hole").ok().last()
    same(hole, bert / "hole")
    assert blocks(bert / "hole") <= 4 * 4096
    assert done["fetched"] <= 3 * MIB and done["fetched"] + done["zeros"] == done["bytes"]


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 10 * MIB])
def test_sizes_at_the_edges(cable, size):
    anna, bert = cable.hosts
    film = random_file(anna / "film", size)
    a = share(anna, "film")
    done = download(bert, anna.address, a.port, "film").ok().last()
    assert done["bytes"] == size
    same(film, bert / "film")


def test_an_empty_folder_arrives(cable):
    anna, bert = cable.hosts
    (anna / "empty").mkdir()
    a = share(anna, "empty")
    download(bert, anna.address, a.port, "empty").ok()
    same_tree(anna / "empty", bert / "empty")


def test_a_file_and_a_folder_inside_a_share(lan):
    anna, bert = lan.hosts
    (anna / "music" / "live" / "deep").mkdir(parents=True)
    song = random_file(anna / "music" / "live" / "song", 20_000)
    random_file(anna / "music" / "other", 20_000)
    share(anna, "music")
    download(bert, "anna:music/live/song").ok()
    same(song, bert / "song")
    download(bert, "anna:music/live").ok()
    same_tree(anna / "music" / "live", bert / "live")
    download(bert, "music").ok()
    same_tree(anna / "music", bert / "music")


def test_the_current_folder_is_the_default_share(lan):
    anna, bert = lan.hosts
    (anna / "here").mkdir()
    song = random_file(anna / "here" / "song", 20_000)
    ready = share(anna, cwd=anna / "here").ready
    assert ready["shares"] == ["here"]
    download(bert, "song").ok()
    same(song, bert / "song")


def test_into_another_folder(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 20_000)
    (bert / "videos").mkdir()
    a = share(anna, "film")
    download(bert, anna.address, a.port, "film", "-o", "videos").ok()
    same(film, bert / "videos" / "film")


def test_a_peer_that_is_named_by_its_address(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 20_000)
    share(anna, "film")  # port 5000
    listed = bert.run("lanyard", "list", anna.address, "--json").ok().objects()
    assert [e["path"] for e in listed] == ["film"]
    download(bert, "film", "--peer", anna.address).ok()
    same(film, bert / "film")


def test_hidden_entries_stay_at_home_and_are_counted(cable):
    anna, bert = cable.hosts
    (anna / "home").mkdir()
    random_file(anna / "home" / "letter", 100)
    random_file(anna / "home" / ".secret", 100)
    shown = anna.spawn("lanyard", "share", "--port", 5000, "home")
    shown.wait_line(r"\b1\b.*hidden|hidden.*\b1\b", stream="err")
    download(bert, anna.address, 5000, "home").ok()
    assert os.listdir(bert / "home") == ["letter"]
    download(bert, anna.address, 5000, "home/.secret").exits(3)


def test_two_files_of_one_name_are_listed_and_not_guessed(lan):
    anna, bert = lan.hosts
    for folder, size in [("a", 100), ("b", 200)]:
        (anna / folder).mkdir()
        random_file(anna / folder / "song", size)
    share(anna, "a", "b")
    got = bert.run("lanyard", "download", "song").exits(4)
    assert "a/song" in got.err + got.out and "b/song" in got.err + got.out
    assert not (bert / "song").exists()
    download(bert, "b/song").ok()
    same(anna / "b" / "song", bert / "song")


@pytest.mark.threads
def test_one_file_on_two_peers_is_one_download(lan):
    anna, bert = lan.hosts
    carl = lan.add_host()
    carl.avahi_start()
    film = random_file(anna / "film", 4 * MIB)
    anna.check("cp", "-p", str(film), str(carl / "film"))
    share(anna, "film")
    share(carl, "film")
    sees(bert, "anna", "carl")
    download(bert, "film").ok()
    same(film, bert / "film")


def test_several_names_in_one_command(lan):
    anna, bert = lan.hosts
    for name in ["one", "two", "three"]:
        random_file(anna / name, 50_000, seed=len(name))
    share(anna, "one", "two", "three")
    got = bert.run("lanyard", "download", "one", "two", "three").ok()
    assert len(got.out.splitlines()) == 3
    for name in ["one", "two", "three"]:
        same(anna / name, bert / name)


@pytest.mark.threads
def test_both_at_once(cable):
    """Every peer is a server and a client: two downloads, one in each direction."""
    anna, bert = cable.hosts
    film = random_file(anna / "film", 30 * MIB, seed=1)
    song = random_file(bert / "song", 30 * MIB, seed=2)
    a, b = share(anna, "film"), share(bert, "song")
    one = bert.spawn("lanyard", "download", "--json", anna.address, a.port, "film")
    two = anna.spawn("lanyard", "download", "--json", bert.address, b.port, "song")
    assert one.wait() == 0 and two.wait() == 0
    same(film, bert / "film")
    same(song, anna / "song")


def test_eight_downloads_from_one_peer(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 8 * MIB)
    a = share(anna, "film")
    running = []
    for i in range(8):
        (bert / str(i)).mkdir()
        running.append(bert.spawn("lanyard", "download", anna.address, a.port, "film",
                                  "-o", bert / str(i)))
    for i, p in enumerate(running):
        p.result().ok()
        same(film, bert / str(i) / "film")


def test_names_are_shown_escaped(lan):
    anna, bert = lan.hosts
    (anna / "odd").mkdir()
    (anna / "odd" / "\x1b[31mred\nline").write_text("x")
    share(anna, "odd")
    for words in [["list", "anna:odd"], ["find", "red"], ["download", "odd"]]:
        shown = bert.run("lanyard", *words).ok()
        assert "\x1b" not in shown.out + shown.err
    assert not re.search(r"^line", bert.run("lanyard", "list", "anna:odd").out, re.M)
