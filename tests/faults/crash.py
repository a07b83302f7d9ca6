# SPDX-License-Identifier: MIT
"""crash -- the client ends, or the power goes, at every step that it takes on the disk

A round of the long form plays every step of one scenario, the short form a few of them. The same
command afterwards must end right.
"""
import os

from fault import fault
from faulty import MODES_HOLD, Disk, usable
from lan import LANYARD
from tree import same_tree, sparse_file
from verbs import MIB, nothing_left, random_file, share

SAMPLE = 10  # steps that the short form plays


# What is downloaded

def tiny(root):
    """A little of everything: files of some chunks and of one, holes, empty ones, links, and
    folders in which their owner may do nothing."""
    root.mkdir()
    random_file(root / "big", 2 * MIB + 5)
    sparse_file(root / "sparse", 4 * MIB)
    for i, size in enumerate([1, 4096, 70_000]):
        random_file(root / f"small{i}", size, i)
    (root / "empty").write_text("")
    (root / "empty, read only").write_text("")
    (root / "empty, read only").chmod(0o444)
    (root / "link").symlink_to("big")
    for name in ["closed", "dark", "open"]:
        corner(root / name)
    settle(root, 10**18)
    return root


def corner(folder):
    (folder / "sub").mkdir(parents=True)
    random_file(folder / "chunks", MIB + 7, 8)
    random_file(folder / "small", 5000, 7)
    (folder / "small").chmod(0o400)
    (folder / "empty").write_text("")
    (folder / "sub/x").write_text("x")
    (folder / "up").symlink_to("../big")


def settle(root, when):
    for folder, folders, files in os.walk(root, topdown=False):
        for name in folders + files + ["."]:
            when += 10**9 + 1
            os.utime(os.path.join(folder, name), ns=(when, when), follow_symlinks=False)
    (root / "closed").chmod(0o555)
    (root / "dark").chmod(0)
    root.chmod(0o555)


def changed(root):
    """The same, some days later."""
    tiny(root)
    with open(root / "big", "r+b") as f:
        f.seek(MIB + 100)
        f.write(b"another chunk in the middle")
    random_file(root / "small1", 5000, 77)
    (root / "small2").unlink()
    (root / "small2").mkdir()
    (root / "small2/new").write_text("a folder now")
    (root / "open/sub/x").unlink()
    (root / "open/sub").rmdir()
    (root / "open/sub").write_text("a file now")
    (root / "closed/up").unlink()
    (root / "closed/added").write_text("new in a closed folder")
    (root / "dark/small").unlink()
    settle(root, 11 * 10**17)
    return root


# Who downloads it

class Crash:
    """anna shares s, in which t is one of her trees; bert downloads it into a folder that counts
    what is done in it."""

    def __init__(self, round, path, *trees):
        round.needs(not usable(), usable())
        self.round, self.random, self.path = round, round.random, path
        self.anna, self.bert = round.hosts()
        (self.anna / "s").mkdir()
        self.trees = [make(self.anna / f"tree {i}") for i, make in enumerate(trees)]
        self.at = None
        self.serve(0)
        self.port = share(self.anna, "s").port
        self.into = Disk(self.bert, "into")
        self.name = path.rpartition("/")[2]
        self.target = self.into.dir / self.name
        self.staging = self.into.dir / f"{self.name}.lanyard-part"

    def serve(self, number):
        """Another tree has the name t from now on."""
        if self.at is not None:
            (self.anna / "s/t").rename(self.trees[self.at])
        self.trees[number].rename(self.anna / "s/t")
        self.at = number

    @property
    def source(self):
        return self.anna / "s" / self.path.partition("/")[2]

    def run(self, **how):
        return self.bert.run(*self.into.faulty(**how), *MODES_HOLD, LANYARD, "download", "--json",
                             "-o", self.into.dir, self.anna.address, self.port, self.path)

    def steps(self):
        """The numbers of the steps that one run from here on takes; or some of them."""
        self.run().ok()
        every = range(1, self.into.steps + 1)
        if not self.round.short:
            return every
        return sorted(self.random.sample(every, SAMPLE))

    def half(self):
        """A step in the middle of a run from the beginning."""
        last = self.run().ok() and self.into.steps
        self.into.empty()
        return self.random.randrange(last // 3, last - 8)

    def crash(self, **how):
        """The machine, or the program, does not get to its end."""
        died = self.run(SEED=self.random.randrange(10**9), **how)
        last = max(how.values()) > self.into.steps  # the threads have shared the work otherwise
        assert died.code == (0 if last else -9), (how, died.code, died.err)
        assert "faulty" not in died.err, died.err
        if "CUT" in how:
            self.into.reboot()
        self.round.count("power cuts" if "CUT" in how else "kills at a step")

    def rot(self):
        """What an earlier run wrote was not synced either: some pages went with the power."""
        for folder, _, files in os.walk(self.staging):
            for name in set(files) - {"manifest", "journal"}:
                with open(os.path.join(folder, name), "r+b") as f:
                    size = os.fstat(f.fileno()).st_size
                    for at in range(0, size, 4096):
                        if self.random.random() < 0.01:
                            f.seek(at)
                            f.write(bytes(min(4096, size - at)))

    def ends_right(self, *context):
        """The same command once more."""
        over = self.target.exists()
        end = self.run()
        # whole, but nobody can look into "dark" to see that
        dark = over and "dark/chunks cannot be read here" in end.err
        assert end.code == 0 or dark, (*context, end.out, end.err)
        assert end.code != 0 or end.last()["event"] == "done", (*context, end.out)
        same_tree(self.source, self.target)
        nothing_left(self.into.dir, self.name)
        assert os.listdir(self.into.dir) == [self.name], context

    def sweep(self, how, before=lambda: None, after=lambda: None):
        """Crashes at each step, from `before` on; `after`: what else happens until the end."""
        before()
        for k in self.steps():
            self.into.empty()
            before()
            self.crash(**{how: k})
            after()
            self.ends_right(how, k)


# The faults

@fault("crash-kill")
def crash_kill(round):
    """kill -9 at every step of a download"""
    Crash(round, "s/t", tiny).sweep("KILL")


@fault("crash-cut", short=2)
def crash_cut(round):
    """the power goes at every step: what was not synced is lost, in part"""
    Crash(round, "s/t", tiny).sweep("CUT")


@fault("crash-file")
def crash_file(round):
    """kill -9 or a power cut at every step of the download of a single file"""
    path = round.random.choice(["s/t/big", "s/t/small2", "s/t/sparse", "s/t/empty"])
    crash = Crash(round, path, tiny)
    crash.sweep("KILL")
    crash.into.empty()
    crash.sweep("CUT")


@fault("crash-again")
def crash_again(round):
    """a download is killed in the middle, and at every step of the run that resumes it"""
    crash = Crash(round, "s/t", tiny)
    half = crash.half()
    crash.sweep("KILL", before=lambda: crash.crash(KILL=half))


@fault("crash-again-cut")
def crash_again_cut(round):
    """a download is killed in the middle, and the power goes at every step of the next run"""
    crash = Crash(round, "s/t", tiny)
    half = crash.half()

    def after():
        if "syncfs" not in [call for call, _ in crash.into.told()]:
            crash.rot()
    crash.sweep("CUT", before=lambda: crash.crash(KILL=half), after=after)


@fault("crash-changed", short=2)
def crash_changed(round):
    """the source changed since the killed run; the next one crashes at every step"""
    crash = Crash(round, "s/t", tiny, changed)
    last = crash.run().ok() and crash.into.steps
    crash.into.empty()
    half = round.random.choice([last - 7, round.random.randrange(last // 3, last - 8)])

    def before():
        crash.serve(0)
        crash.crash(KILL=half)
        crash.serve(1)
    crash.sweep(["KILL", "CUT"][round.seed % 2], before)
