# SPDX-License-Identifier: MIT
"""Everything that can be wrong, and what is said about it."""
import os
import shutil

import pytest
from lan import LANYARD
from process import until
from verbs import (MIB, SANITIZED, download, download_until, random_file, same, seconds, sees,
                   share, staged)


def refused(result, code, *words):
    """Exit code and sentence; no trace of a crash."""
    result.exits(code)
    said = (result.err + result.out).lower()
    for word in words:
        assert word.lower() in said, f"{word!r} is not in {said!r}"
    assert "error -" not in said and "(null)" not in said
    return result


def test_an_unknown_option(cable):
    anna, _ = cable.hosts
    refused(anna.run("lanyard", "share", "--nonsense"), 2, "nonsense")
    refused(anna.run("lanyard", "nonsense"), 2, "nonsense")
    refused(anna.run("lanyard", "download"), 2)
    refused(anna.run("lanyard", "share", "--name", "\x1b[31mred"), 2, "name")
    refused(anna.run("lanyard", "share", "--port", "99999"), 2, "99999")


def test_help_is_no_error(cable):
    anna, _ = cable.hosts
    assert "download" in anna.run("lanyard", "--help").ok().out
    assert "--peer" in anna.run("lanyard", "download", "--help").ok().out


def test_no_peers(lan):
    _, bert = lan.hosts
    refused(bert.run("lanyard", "download", "film"), 3, "peer")
    refused(bert.run("lanyard", "list", "anna"), 3, "anna")


def test_a_name_that_nobody_has(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 100)
    a = share(anna, "film")
    sees(bert, "anna")
    refused(bert.run("lanyard", "download", "song"), 3, "song")
    refused(bert.run("lanyard", "download", "anna:song"), 3, "song")
    refused(bert.run("lanyard", "download", anna.address, a.port, "song"), 3, "song")
    assert os.listdir(bert.files) == []


@pytest.mark.parametrize("name, code", [
    ("../film", 2), ("films/../film", 2), ("films//film", 2), ("..", 2), ("films/../../secret", 2),
    ("/etc/passwd", 3), ("films/link", 1)])
def test_a_path_that_leaves_the_share(cable, name, code):
    anna, bert = cable.hosts
    random_file(anna / "secret", 100)
    (anna / "films").mkdir()
    random_file(anna / "films" / "film", 100)
    (anna / "films" / "link").symlink_to("../secret")
    a = share(anna, "films")
    download(bert, anna.address, a.port, name).exits(code)
    assert not [p for p in bert.files.rglob("*") if p.is_file() and not p.is_symlink()
                and p.read_bytes() == (anna / "secret").read_bytes()]
    assert not (bert.dir / "film").exists()


def test_nobody_listens_there(cable):
    anna, bert = cable.hosts
    got = bert.run("lanyard", "download", "--timeout", 2, anna.address, 5000, "film")
    assert got.code in (3, 6)
    assert anna.address in got.err


def test_a_folder_that_cannot_be_written(cable):
    anna, bert = cable.hosts
    random_file(anna / "film", 100)
    a = share(anna, "film")
    refused(bert.run("lanyard", "download", anna.address, a.port, "film", "-o", "missing"), 1,
            "missing")
    (bert / "there").write_text("a file")
    refused(bert.run("lanyard", "download", anna.address, a.port, "film", "-o", "there"), 1,
            "there")
    # /proc is not writable, not even for root.
    refused(bert.run("lanyard", "download", anna.address, a.port, "film", "-o", "/proc"), 1,
            "/proc")


def test_a_disk_that_is_too_small_from_the_start(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 20 * MIB)
    a = share(anna, "film")
    disk, inside = bert.disk(8)
    words = anna.address, a.port, "film", "-o", disk
    refused(bert.run("lanyard", "download", *words), 6, "space")
    bert.check("mount", "-o", "remount,size=64m", str(disk))
    download(bert, *words).ok()
    same(film, inside / "film")


def test_a_disk_that_is_too_small_for_the_list_of_files(cable):
    anna, bert = cable.hosts
    (anna / "many").mkdir()
    for i in range(40000):  # the list takes 1.6 MB
        (anna / "many" / f"{i:07}").touch()
    a = share(anna, "many")
    disk, _ = bert.disk(1)
    refused(bert.run("lanyard", "download", anna.address, a.port, "many", "-o", disk), 6, "full",
            str(disk))


def test_a_disk_that_fills_up_in_the_middle(cable):
    anna, bert = cable.hosts
    anna.limit("200mbit")
    film = random_file(anna / "film", 40 * MIB)
    a = share(anna, "film")
    disk, inside = bert.disk(48)
    words = anna.address, a.port, "film", "-o", disk
    p = bert.spawn("lanyard", "download", *words)
    p.wait_for(lambda: staged_at(inside / "film.lanyard-part") > 8 * MIB, "8 MiB", seconds(20))
    filler = inside / "filler"
    fill(filler)
    refused(p.result(seconds(30)), 6, "full", str(disk))
    filler.unlink()
    done = download(bert, *words).ok().last()
    assert done["reused"] >= 7 * MIB
    same(film, inside / "film")


def staged_at(folder):
    return sum(os.stat(os.path.join(at, f)).st_blocks * 512
               for at, _, files in os.walk(folder) for f in files)


def fill(path):
    with open(path, "wb", buffering=0) as f:
        try:
            while True:
                f.write(b"x" * MIB)
        except OSError:
            pass


def test_a_target_that_exists_stays_as_it_is(cable):
    anna, bert = cable.hosts
    random_file(anna / "film", 5000)
    (anna / "films").mkdir()
    random_file(anna / "films" / "one", 5000)
    a = share(anna, "film", "films")
    (bert / "film").write_text("mine")
    (bert / "films").mkdir()
    (bert / "films" / "mine").write_text("mine")
    refused(bert.run("lanyard", "download", anna.address, a.port, "film"), 1, "exist")
    refused(bert.run("lanyard", "download", anna.address, a.port, "films"), 1, "exist")
    assert (bert / "film").read_text() == "mine"
    assert os.listdir(bert / "films") == ["mine"]


def test_a_target_that_appears_in_the_middle(cable):
    anna, bert = cable.hosts
    anna.limit("200mbit")
    film = random_file(anna / "film", 20 * MIB)
    a = share(anna, "film")
    p = download_until(bert, "film", anna.address, a.port, "film", size=4 * MIB)
    (bert / "film").write_text("mine")
    assert p.wait(seconds(30)) != 0
    assert (bert / "film").read_text() == "mine"
    (bert / "film").unlink()
    done = download(bert, anna.address, a.port, "film").ok().last()
    assert done["fetched"] <= MIB
    same(film, bert / "film")


def test_a_port_that_is_taken(cable):
    anna, _ = cable.hosts
    random_file(anna / "film", 100)
    a = share(anna, "film")
    assert a.port == 5000
    refused(anna.run("lanyard", "share", "--port", a.port, "film"), 1, "5000")
    assert share(anna, "film").port == 5001


def test_a_share_that_is_not_there(cable):
    anna, _ = cable.hosts
    refused(anna.run("lanyard", "share", "missing"), 1, "missing")


def test_a_file_that_is_removed_while_served(cable):
    anna, bert = cable.hosts
    anna.limit("200mbit")
    (anna / "films").mkdir()
    first = random_file(anna / "films" / "1", 20 * MIB)
    second = random_file(anna / "films" / "2", 40 * MIB)
    a = share(anna, "films")
    p = download_until(bert, "films", anna.address, a.port, "films", size=2 * MIB)
    second.unlink()
    got = p.result(seconds(60))
    assert got.code in (0, 7), got.err  # 0: the second manifest no longer has it
    same(first, bert / "films" / "1")
    assert not (bert / "films" / "2").exists()


def test_malformed_files_of_ours(cable):
    anna, bert = cable.hosts
    random_file(anna / "film", 100)
    a = share(anna, "film")
    bert.run("lanyard", "id").ok()
    state = bert.dir / "state" / "lanyard"
    (state / "known_peers").write_text("# fine\nnot a key at all\n")
    refused(download(bert, anna.address, a.port, "film"), 1, "known_peers", "2")
    (state / "known_peers").unlink()
    good = (state / "key.pem").read_bytes()
    (state / "key.pem").write_bytes(b"not a key")
    refused(download(bert, anna.address, a.port, "film"), 1, "key.pem")
    assert (state / "key.pem").read_bytes() == b"not a key"
    (state / "key.pem").write_bytes(good)
    (state / "key.pem").chmod(0o644)
    refused(download(bert, anna.address, a.port, "film"), 1, "key.pem")


def test_the_key_is_private(cable):
    anna, _ = cable.hosts
    anna.run("lanyard", "id").ok()
    assert (anna.dir / "state" / "lanyard" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_another_key_under_a_known_name(lan):
    anna, bert = lan.hosts
    random_file(anna / "film", 100)
    random_file(anna / "song", 100)
    a = share(anna, "film", "song")
    download(bert, "film").ok()
    a.interrupt()
    a.wait()
    shutil.rmtree(anna.dir / "state" / "lanyard")
    b = share(anna, "film", "song")
    assert b.ready["id"] != a.ready["id"]
    until(lambda: download(bert, "anna:song").code == 5, "the refusal", seconds(10))
    refused(bert.run("lanyard", "download", "anna:song"), 5, "anna", "key")
    assert not (bert / "song").exists()
    bert.run("lanyard", "trust", "forget", "anna").ok()
    download(bert, "anna:song").ok()


def test_a_file_that_is_named_like_a_known_peer(lan):
    """anna:song is hers, also while she is away: not anybody's file of that name."""
    anna, bert = lan.hosts
    random_file(anna / "carl:song", 100)
    share(anna, "carl:song")
    sees(bert, "anna")
    key = bert.run("lanyard", "id", "--json").ok().last()["key"]  # any key will do
    bert.run("lanyard", "trust", "add", "carl", key).ok()
    refused(bert.run("lanyard", "download", "carl:song"), 3, "carl")
    assert os.listdir(bert.files) == []
    bert.run("lanyard", "trust", "forget", "carl").ok()
    download(bert, "carl:song").ok()


HOSTILE = """
import os, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
held = []
for data in [os.urandom(100000), b"GET / HTTP/1.1\\r\\n\\r\\n",
             b"\\x16\\x03\\x01" + b"\\xff" * 70000, b"\\x00", b""]:
    s = socket.create_connection((host, port), 5)
    try:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        s.settimeout(5)
        while s.recv(65536):
            pass
    except OSError:
        pass
for i in range(300):                      # and many that say nothing
    s = socket.create_connection((host, port), 5)
    held.append(s)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_server_survives_strangers(cable):
    anna, bert = cable.hosts
    film = random_file(anna / "film", 3 * MIB)
    a = share(anna, "film")
    carl = cable.add_host()
    stranger = carl.spawn("/usr/bin/python3", "-c", HOSTILE, anna.address, a.port, stdin=-1)
    stranger.wait_line("held", timeout=60)
    download(bert, anna.address, a.port, "film").ok()
    same(film, bert / "film")
    assert a.alive()
    assert SANITIZED or a.peak_rss < 64 * MIB


def test_a_client_survives_a_stranger(cable):
    """Something else listens there, and answers with noise, or never."""
    anna, bert = cable.hosts
    noise = ("import os, socket\ns = socket.create_server(('', 5000))\nprint('up', flush=True)\n"
             "while True:\n c, _ = s.accept()\n c.sendall(os.urandom(100000))\n c.close()\n")
    anna.spawn("/usr/bin/python3", "-c", noise).wait_line("up")
    got = bert.run("lanyard", "download", "--timeout", 3, anna.address, 5000, "film",
                   timeout=seconds(20))
    assert got.code in (1, 3, 6) and anna.address in got.err
    mute = ("import socket\ns = socket.create_server(('', 6000))\nprint('up', flush=True)\nk = []\n"
            "while True:\n k.append(s.accept())\n")
    anna.spawn("/usr/bin/python3", "-c", mute).wait_line("up")
    got = bert.run("lanyard", "download", "--timeout", 3, anna.address, 6000, "film",
                   timeout=seconds(30))
    assert got.code in (1, 3, 6)


def test_a_link_that_leaves_the_selection_is_left_out_and_told(cable):
    anna, bert = cable.hosts
    (anna / "home").mkdir()
    random_file(anna / "home" / "letter", 100)
    (anna / "home" / "away").symlink_to("/etc/passwd")
    (anna / "home" / "up").symlink_to("../../x")
    (anna / "home" / "good").symlink_to("letter")
    a = share(anna, "home")
    words = anna.address, a.port, "home"
    refused(bert.run("lanyard", "download", *words), 7, "away", "up")
    assert sorted(os.listdir(bert / "home")) == ["good", "letter"]
    (bert / "b").mkdir()
    download(bert, *words, "--unsafe-links", "-o", "b").ok()
    assert os.readlink(bert / "b" / "home" / "away") == "/etc/passwd"


def test_a_folder_that_the_sharer_may_not_read(cable):
    anna, bert = cable.hosts
    (anna / "home" / "closed").mkdir(parents=True)
    random_file(anna / "home" / "closed" / "diary", 100)
    random_file(anna / "home" / "letter", 100)
    (anna / "home" / "closed").chmod(0)
    p = anna.spawn("setpriv", "--bounding-set", "-dac_override,-dac_read_search", LANYARD, "share",
                   "--json", "home")
    port = p.wait_event("ready")["port"]
    refused(bert.run("lanyard", "download", anna.address, port, "home"), 7, "closed", "read")
    assert sorted(os.listdir(bert / "home")) == ["closed", "letter"]


def test_a_disk_that_takes_no_more_files(cable):
    anna, bert = cable.hosts
    (anna / "many").mkdir()
    for i in range(300):
        random_file(anna / "many" / f"file {i}", 10)
    a = share(anna, "many")
    disk, inside = bert.disk(64)
    bert.check("mount", "-o", "remount,nr_inodes=100", str(disk))
    words = anna.address, a.port, "many", "-o", disk
    for _ in range(2):
        got = refused(bert.run("lanyard", "download", *words), 6, "no more files")
        assert " 0 bytes are missing" not in got.err
    bert.check("mount", "-o", "remount,nr_inodes=1000", str(disk))
    download(bert, *words).ok()
    assert len(os.listdir(inside / "many")) == 300


def test_special_files_are_left_out(cable):
    anna, bert = cable.hosts
    (anna / "home").mkdir()
    os.mkfifo(anna / "home" / "pipe")
    random_file(anna / "home" / "letter", 100)
    a = share(anna, "home")
    download(bert, anna.address, a.port, "home").ok()
    assert os.listdir(bert / "home") == ["letter"]


def test_a_reader_that_goes_away(lan):
    anna, bert = lan.hosts
    (anna / "many").mkdir()
    for i in range(3000):
        (anna / "many" / f"a file with a longer name {i}").touch()
    share(anna, "many")
    sees(bert, "anna")
    got = bert.run("sh", "-c", f"'{LANYARD}' list anna:many | head -1")
    assert got.code == 0 and len(got.out.splitlines()) == 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams(cable, closed):
    """What is printed must not end up in a file that got the number of a closed stream."""
    anna, bert = cable.hosts
    film = random_file(anna / "film", 3 * MIB)
    a = share(anna, "film")
    got = bert.run("sh", "-c", f"'{LANYARD}' -vv download {anna.address} {a.port} film {closed}")
    assert got.code == 0
    same(film, bert / "film")


def test_nobody_reads_the_events(cable):
    anna, bert = cable.hosts
    anna.limit("100mbit")
    film = random_file(anna / "film", 20 * MIB)
    a = share(anna, "film")
    words = f"download --json {anna.address} {a.port} film"
    bert.run("sh", "-c", f"('{LANYARD}' {words}; echo $? > code) | head -1")
    assert (bert / "code").read_text() == "6\n"
    download(bert, anna.address, a.port, "film").ok()
    same(film, bert / "film")


def test_staging_is_not_seen_by_others(cable):
    """What is half here is not offered."""
    anna, bert = cable.hosts
    anna.limit("200mbit")
    random_file(anna / "film", 40 * MIB)
    a = share(anna, "film")
    p = download_until(bert, "film", anna.address, a.port, "film", size=2 * MIB)
    assert staged(bert, "film") and not (bert / "film").exists()
    assert os.stat(bert / "film.lanyard-part").st_mode & 0o777 == 0o700
    p.interrupt()
    p.wait()
