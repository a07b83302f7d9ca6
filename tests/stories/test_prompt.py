# SPDX-License-Identifier: MIT
"""The program without a command: a prompt that shares too."""
import pytest
from lan import LANYARD
from verbs import random_file, same, seconds, sees, share


@pytest.fixture
def prompt(lan):
    anna, bert = lan.hosts
    random_file(anna / "example.txt", 300_000)
    share(anna, "example.txt", options=["--port", 5000])
    sees(bert, "anna")
    (bert / "mine").mkdir()
    random_file(bert / "mine" / "song", 1000)
    p = bert.terminal("lanyard", cwd=bert / "mine")
    p.wait_line("> ", seconds(10))
    return anna, bert, p


def leave(p):
    p.type("exit\r")
    p.result(seconds(5)).ok()


@pytest.mark.threads
def test_the_commands_of_the_seed(prompt):
    anna, bert, p = prompt
    p.type(f"download {anna.address} 5000 example.txt\r")
    p.wait_for((bert / "mine" / "example.txt").exists, "the file", seconds(10))
    leave(p)
    same(anna / "example.txt", bert / "mine" / "example.txt")


def test_peers_and_list(prompt):
    anna, _, p = prompt
    p.type("peers\r")
    p.wait_line(anna.address, seconds(10))
    p.type("list\r")
    p.wait_line("example.txt", seconds(10))
    leave(p)


def test_it_shares_the_current_folder(prompt):
    anna, bert, p = prompt
    sees(anna, "bert")
    listed = anna.run("lanyard", "find", "song", "--json").ok().objects()
    assert [e["path"] for e in listed] == ["mine/song"]
    leave(p)
    sees(anna)


def test_tab_completes_a_command(prompt):
    _, _, p = prompt
    p.type("downl\t")
    p.wait_line("download", seconds(5))
    p.type("\x15")
    leave(p)


def test_tab_completes_peers_and_names(prompt):
    anna, bert, p = prompt
    p.type("list an\t")
    p.wait_line("list an.*na", seconds(10))  # libedit moves the cursor in between
    p.type("\x15download exa\t")
    p.wait_line("download exa.*mple.txt", seconds(10))
    p.type("\r")
    p.wait_for((bert / "mine" / "example.txt").exists, "the file", seconds(10))
    leave(p)


def test_the_history_is_kept(prompt):
    _, bert, p = prompt
    p.type("find a-word-of-last-time\r")
    p.wait_line("a-word-of-last-time.*\n(.*\n)*.*> ", seconds(10))
    p.type("find --code k7f3-q9zz another-word\r")
    p.wait_line("another-word.*\n(.*\n)*.*> ", seconds(10))
    leave(p)
    kept = (bert.dir / "state" / "lanyard" / "history").read_text()
    assert "last-time" in kept and "k7f3" not in kept
    again = bert.terminal("lanyard", cwd=bert / "mine")
    again.wait_line("> ", seconds(10))
    again.type("\x1b[A\x1b[A")
    again.wait_line("find a-word-of-last-time", seconds(10))
    again.type("\x15")
    leave(again)


def test_an_error_does_not_end_it(prompt):
    _, _, p = prompt
    p.type("nonsense\r")
    p.wait_line("nonsense.*\n.*nonsense", seconds(5))
    p.type("download nothing-of-this-name\r")
    p.wait_line("nothing-of-this-name.*\n(.*\n)*.*nothing-of-this-name", seconds(10))
    leave(p)


def test_the_end_of_input_leaves(prompt):
    _, _, p = prompt
    p.type("\x04")
    p.result(seconds(5)).ok()


def test_commands_from_a_pipe(lan):
    anna, bert = lan.hosts
    random_file(anna / "example.txt", 3000)
    a = share(anna, "example.txt")
    got = bert.run("sh", "-c", f"printf 'download {anna.address} {a.port} example.txt\\nexit\\n' "
                   f"| '{LANYARD}'")
    got.ok()
    same(anna / "example.txt", bert / "example.txt")
