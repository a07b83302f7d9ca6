# SPDX-License-Identifier: MIT
"""A limit on how fast it goes, at both ends; it may change while it runs.

How close it is to the rate is a matter of tests/bench; here, that it is never above, and that
nobody takes a slow end for a dead one."""
import pytest
from verbs import MIB, download, random_file, same, seconds, share, staged

LITTLE = 3  # files of 1 MiB


@pytest.fixture
def two(cable):
    anna, bert = cable.hosts
    for i in range(LITTLE):
        random_file(anna / f"file{i}", MIB, seed=i)
    random_file(anna / "film", 4 * MIB)
    for host in cable.hosts:
        (host.dir / "config" / "lanyard").mkdir()
    return anna, bert


def settings(host, text):
    (host.dir / "config" / "lanyard" / "config").write_text(text + "\n")


def offer(anna, *options):
    return share(anna, *[f"file{i}" for i in range(LITTLE)], "film", options=options)


def begin(host, anna, a, *options, name="film"):
    """A download that has begun, and is far from its end."""
    p = host.spawn("lanyard", "download", "--json", *options, anna.address, a.port, name)
    p.wait_event("start", seconds(10))
    return p


def test_a_sharer_sends_no_faster_to_all_together(two):
    """3 MiB at 2 MiB/s: to three at once, not before 1.3 s have gone."""
    anna, bert = two
    a = offer(anna, "--limit", "2M")
    all_at_once = [begin(bert, anna, a, name=f"file{i}") for i in range(LITTLE)]
    ends = [p.result(seconds(30)).ok() for p in all_at_once]
    assert max(p.start + p.seconds for p in all_at_once) - all_at_once[0].start > 1.3, ends
    for i in range(LITTLE):
        same(anna / f"file{i}", bert / f"file{i}")


def test_a_download_receives_no_faster(two):
    """4 MiB at 3000 KB/s: not before 1.2 s have gone."""
    anna, bert = two
    a = offer(anna)
    done = download(bert, "--limit", "3000KB", anna.address, a.port, "film").ok()
    assert done.last()["seconds"] > 1.2
    same(anna / "film", bert / "film")


def test_the_settings_are_followed_while_it_runs(two):
    """4 MiB at 32 KiB/s would take two minutes."""
    anna, bert = two
    settings(anna, "share-limit = 32K")
    settings(bert, "download-limit = 48K")
    a = offer(anna)
    p = begin(bert, anna, a)
    settings(anna, "share-limit = 8M")
    a.wait_line("limit: 8.0 MiB/s", seconds(10), "err")
    settings(bert, "download-limit = fast")
    p.wait_line("line 1: a limit is bytes a second.*the limit stays", seconds(10), "err")
    assert p.alive()
    settings(bert, "# download-limit = 48K")
    p.wait_line("limit: off", seconds(10), "err")
    p.result(seconds(30)).ok()
    same(anna / "film", bert / "film")


def test_who_limits_itself_stays_connected_and_so_do_others(two):
    """Less than the rate below which a reader may drag; what is fetched is fetched once."""
    anna, bert = two
    a = offer(anna)
    p = begin(bert, anna, a, "--limit", "40K")
    for _ in range(3):
        download(bert, anna.address, a.port, "file0", "--update").ok()
        (bert / "file0").unlink()
    settings(bert, "download-limit = 100M")
    done = p.result(seconds(30)).ok()
    assert done.last()["fetched"] == 4 * MIB
    assert len([e for e in p.events() if e["event"] == "source"]) == 1


def test_what_came_slowly_is_kept(two):
    anna, bert = two
    a = offer(anna, "--limit", "2M")
    p = begin(bert, anna, a)
    p.wait_for(lambda: staged(bert, "film") >= MIB, "a chunk", seconds(30))
    p.interrupt()
    p.result(seconds(10)).exits(6)
    done = download(bert, "--limit", "50M", anna.address, a.port, "film").ok()
    assert done.last()["reused"] >= MIB and done.last()["fetched"] <= 3 * MIB


def test_the_prompt_sets_it_without_starting_anew(two):
    anna, bert = two
    p = anna.terminal("lanyard")
    p.wait_line("port 5000", seconds(10))
    p.type("share --limit 32K\r")
    p.wait_line("limit: 32 KiB/s", seconds(10))
    d = bert.spawn("lanyard", "download", "--json", anna.address, 5000, "film")
    d.wait_event("start", seconds(10))
    p.type("share --limit off\r")
    p.wait_line("limit: off", seconds(10))
    done = d.result(seconds(30)).ok()
    assert len([e for e in d.events() if e["event"] == "source"]) == 1, done
    p.type("exit\r")
    p.result(seconds(10)).ok()


@pytest.mark.parametrize("rate", ["0", "-1M", "1K", "fast"])
def test_nonsense_is_told(two, rate):
    _, bert = two
    wrong = bert.run("lanyard", "download", f"--limit={rate}", "x").exits(2)
    assert f"--limit takes bytes a second, at least 4K (800K, 1.5M, 2MB), or off, not `{rate}`" \
        in wrong.err
