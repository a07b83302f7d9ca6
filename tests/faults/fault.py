# SPDX-License-Identifier: MIT
"""fault -- one round of the campaign: two hosts, a tree, a seed, and something that goes wrong

    @fault("killed-client")
    def killed_client(round):
        '''kill -9 of the client at random moments'''
        anna, bert = round.hosts(limit="800mbit")
        a = share(anna, round.tree())
        ...                                 whatever goes wrong here is drawn from round.random
        round.count("kills")
        same_tree(round.tree(), bert / "tree")

A module of this folder is a family of faults; its functions use the words of tests/lan (verbs.py,
tree.py, process.py), and underway.py: a download with random moments in it. A round fails by an
exception. The same seed draws the same faults; when they hit, to the microsecond, is up to the
machine.
"""
import collections
import contextlib
import pathlib
import random

from lan import Lan
from tree import entries, holes, make_tree, same_entries

FAULTS = {}


class NotPlayed(Exception):
    """This machine cannot play the fault: its text says what is missing."""


def fault(name, short=1):
    """Registers a fault; `short`: how many rounds of it the short form plays."""
    def register(function):
        assert name not in FAULTS, f"two faults are called {name}"
        function.fault, function.short = name, short
        FAULTS[name] = function
        return function
    return register


class Figures:
    """Numbers that rounds add up, and the largest of each kind."""

    def __init__(self):
        self.sums, self.worst = collections.Counter(), {}

    def add(self, other):
        self.sums.update(other.sums)
        for what, n in other.worst.items():
            self.worst[what] = max(n, self.worst.get(what, n))

    def __str__(self):
        told = [f"{number(n)} {what}" for what, n in self.sums.items()]
        return ", ".join(told + [f"at most {number(n)} {what}" for what, n in self.worst.items()])


def number(n):
    return f"{n:.1f}" if isinstance(n, float) else str(n)


class Trees:
    """Source trees, made once for all rounds: nobody writes to them."""

    def __init__(self, folder, big, small):
        self.folder, self.big, self.small = folder, big, small
        self.made, self.entries = {}, {}

    def get(self, big, small):
        wanted = big or self.big, small or self.small
        if wanted not in self.made:
            folder = self.folder / f"of-{wanted[0]}-{wanted[1]}"
            folder.mkdir()
            tree = make_tree(folder / "tree", files=wanted[1], big=wanted[0])
            self.made[wanted], self.entries[tree] = tree, entries(tree)
        return self.made[wanted]

    def same(self, tree, other):
        same_entries(self.entries[tree], entries(other))
        assert holes(tree / "sparse") <= holes(other / "sparse")


class Round:
    """What a fault gets: .number, .seed, .random, .dir (its own folder), .short (few seconds are
    left for it), the hosts of a LAN and source trees. All of it vanishes after the round."""

    def __init__(self, name, number, seed, folder, trees, short=False):
        self.name, self.number, self.seed, self.dir = name, number, seed, folder
        self.random = random.Random(f"{name} {seed}")
        self.trees, self.short = trees, short
        self.figures, self.close = Figures(), contextlib.ExitStack()

    def __enter__(self):
        self.dir.mkdir(parents=True)
        return self

    def __exit__(self, *exc):
        self.close.close()

    def hosts(self, n=2, daemons=0, limit=None):
        """anna, bert, ... in a LAN of their own below .dir, the first `daemons` of them with
        avahi-daemon; `limit`: the rate of bert's cable, as for tc."""
        made = self.close.enter_context(Lan(n, daemons=daemons, folder=self.dir / "lan"))
        self.lan = made
        if limit:
            made.hosts[1].limit(limit)
        return made.hosts

    def tree(self, big=None, small=None):
        """The mixed tree, named "tree", that all rounds share: to be served, never written to.
        One file of `big` bytes, `small` little ones, a sparse one, empty ones, links, modes."""
        return self.trees.get(big, small)

    def same_tree(self, tree, other):
        """Is `other` the tree that tree() gave, entry by entry, holes included?"""
        self.trees.same(tree, other)

    def count(self, what, n=1):
        """Adds n to a figure of the summary: "kills", "MiB sent again"."""
        self.figures.sums[what] += n

    def worst(self, what, n):
        """Keeps the largest n for the summary."""
        self.figures.add(most(what, n))

    def needs(self, have, missing):
        """Ends the round as not played unless `have`."""
        if not have:
            raise NotPlayed(missing)


def most(what, n):
    figures = Figures()
    figures.worst[what] = n
    return figures


def load(folder=pathlib.Path(__file__).parent):
    """Imports every family of this folder; FAULTS is full then."""
    for path in sorted(folder.glob("*.py")):
        __import__(path.stem)
    return FAULTS
