# SPDX-License-Identifier: MIT
"""start -- how long a person waits for small things"""
import os
import tempfile
import time

from frame import Figure, at_most, median, row
from lan import LANYARD, Lan
from verbs import sees, share


def milliseconds(words, environment):
    """Of one start to its end, without anything between us and the program."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    began = time.perf_counter()
    pid = os.posix_spawn(LANYARD, ["lanyard", *words], environment, file_actions=null)
    assert os.waitpid(pid, 0)[1] == 0, words
    return (time.perf_counter() - began) * 1e3


@row("start", rounds=25)
def start(case):
    """start of the program"""
    with tempfile.TemporaryDirectory() as state:
        environment = {"HOME": state, "XDG_STATE_HOME": state, "XDG_CONFIG_HOME": state}
        milliseconds(["id"], environment)  # makes the key
        for words in (["id"], ["--help"]):
            runs = [milliseconds(words, environment) for _ in range(case.rounds)]
            yield Figure("lanyard " + words[0], median(runs), "ms", target=at_most(20), runs=runs)


def forget(host):
    """A host that has heard of nobody: what its avahi-daemon has cached goes with it."""
    host.avahi_kill()
    host.avahi_start()


def timed(host, *words):
    done = host.run("lanyard", *words).ok()
    (host / "small").unlink(missing_ok=True)
    return done.seconds, len(done.objects()), done.peak_rss


@row("peers", rounds=5)
def peers(case):
    """ten peers, each with an avahi-daemon, and one who looks for them"""
    asked = {"list-peers, cold": ["list-peers", "--json"], "list-peers": ["list-peers", "--json"],
             "download NAME, cold": ["download", "--json", "small"]}
    runs = {what: [] for what in asked}
    with Lan(11) as lan:
        who, *others = lan.hosts
        for host in others:
            (host / "shared").mkdir()
            share(host, "shared")
        (others[5] / "shared" / "small").write_text("a small file")
        sees(who, *(h.name for h in others), timeout=30)
        for i in range(case.rounds):
            for what, words in asked.items():
                if what.endswith("cold"):
                    forget(who)
                runs[what].append(timed(who, *words))
            case.say(f"round {i + 1}: " +
                     ", ".join(f"{w} {r[-1][0]:.3f} s" for w, r in runs.items()))
    for what, run in runs.items():
        assert what.startswith("download") or all(found == 10 for _, found, _ in run), run
        yield Figure(what, median(seconds for seconds, _, _ in run), "s", target=at_most(1),
                     rss=(max(peak for _, _, peak in run), 0), runs=run)
