# SPDX-License-Identifier: MIT
"""staging -- what somebody does to the staging folder between two runs

The same command then ends with the source's tree, or refuses in a sentence and touches nothing;
things that are not of the download are never lost, and never in the result. Some time has passed
since the last run, or the machine was booted: of what is done to bytes within two seconds after a
run, nobody can tell whether it was us.
"""
import os
import shutil
import stat
import time

from fault import fault
from power import another_boot
from process import until
from verbs import MIB, download, seconds, share, staging

REFUSED = "It is not touched"


def data_files(part):
    found = [p for p in (part / "data").rglob("*") if stat.S_ISREG(p.lstat().st_mode)]
    return sorted(found)


class Tampering:
    def __init__(self, round, host):
        self.random, self.host = round.random, host
        self.part = staging(host, "tree")
        self.mine = host.dir / "mine"
        self.mine.mkdir()
        (self.mine / "file").write_text("mine")
        self.foreign, self.ours = 0, True

    def file(self):
        return self.random.choice(data_files(self.part) or [self.part / "manifest"])

    def flip(self, path):
        if size := path.stat().st_size:
            with open(path, "r+b") as f:
                at = self.random.randrange(size)
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1 << self.random.randrange(8)]))

    def cut(self, path):
        if size := path.stat().st_size:
            os.truncate(path, self.random.randrange(size))

    def make_way(self):
        path = self.file()
        path.unlink()
        return path

    # What may happen

    def flipped_journal(self):
        self.flip(self.part / "journal")

    def flipped_manifest(self):
        self.flip(self.part / "manifest")

    def flipped_data(self):
        self.flip(self.file())

    def cut_journal(self):
        self.cut(self.part / "journal")

    def cut_manifest(self):
        self.cut(self.part / "manifest")

    def cut_data(self):
        self.cut(self.file())

    def removed(self):
        self.make_way()

    def removed_journal(self):
        (self.part / "journal").unlink(missing_ok=True)

    def swapped(self):
        a, b, between = self.file(), self.file(), self.part / "between"
        if a != b:
            a.rename(between)
            b.rename(a)
            between.rename(b)

    def added(self):
        folder = self.file().parent
        self.foreign += 1
        (folder / f"foreign {self.foreign}").write_text("not of the download")

    def link_instead(self):
        self.make_way().symlink_to(self.mine / "file")

    def folder_instead(self):
        self.make_way().mkdir()

    def pipe_instead(self):
        os.mkfifo(self.make_way())

    def second_name(self):
        path = self.file()
        os.link(path, self.mine / f"linked {len(list(self.mine.iterdir()))}")

    def copied(self):
        copy = self.part.with_name("copy")
        self.host.check("cp", self.random.choice(["-a", "-R"]), str(self.part), str(copy))
        shutil.rmtree(self.part)
        copy.rename(self.part)

    def moved(self):
        self.part.rename(self.mine / "moved")
        (self.mine / "moved").rename(self.part)

    def something(self):
        things = [self.flipped_journal, self.flipped_manifest, self.flipped_data,
                  self.cut_journal, self.cut_manifest, self.cut_data, self.removed,
                  self.removed_journal, self.swapped, self.added, self.link_instead,
                  self.folder_instead, self.pipe_instead, self.second_name, self.copied,
                  self.moved]
        thing = self.random.choice(things)
        if "journal" in thing.__name__ or "manifest" in thing.__name__:
            self.ours = False  # then nobody knows what is of the download
        thing()

    def time_passes(self):
        if self.random.random() < 0.3:
            another_boot(self.host)
        elif (self.part / "journal").exists():
            then = time.time_ns() - 10**10
            os.utime(self.part / "journal", ns=(then, then))

    # What must hold

    def check(self):
        assert (self.mine / "file").read_text() == "mine"
        if self.ours:
            assert len(list(self.part.rglob("foreign *"))) == self.foreign


def go_on(round, bert, words, tampering):
    """The same command until it ends well. A refusal touches nothing, and names the folder."""
    for _ in range(4):
        result = download(bert, *words, timeout=120)
        tampering.check()
        if result.code == 0:
            return
        assert not (bert / "tree").exists()
        if result.code == 1:
            assert REFUSED in result.err and "tree.lanyard-part" in result.err, result.err
            round.count("refusals")
            shutil.rmtree(tampering.part)
        else:
            assert result.code == 6, result.err
    raise AssertionError("it never ended well")


@fault("tampered-staging", short=2)
def tampered_staging(round):
    """flipped, cut, removed, swapped, added, replaced, linked, copied, moved"""
    anna, bert = round.hosts(limit="400mbit")
    tree = round.tree(24 * MIB, 300)
    a = share(anna, tree, options=["--hidden"])
    words = anna.address, a.port, "tree"
    client = bert.spawn("lanyard", "download", "--json", *words)
    part = staging(bert, "tree")
    until(lambda: client.over() or len(data_files(part)) > 5, "files", seconds(60))
    if not client.over():
        client.kill()
    client.wait()
    if not part.exists():
        return
    tampering = Tampering(round, bert)
    for _ in range(round.random.randint(1, 3)):
        if not (part / "manifest").exists() or not (part / "journal").exists():
            break
        tampering.something()
        round.count("tamperings")
    tampering.time_passes()
    go_on(round, bert, words, tampering)
    round.same_tree(tree, bert / "tree")
