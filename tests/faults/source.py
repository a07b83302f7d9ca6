# SPDX-License-Identifier: MIT
"""source -- the source changes, at random moments, while it is fetched and between two runs"""
import os
import pathlib
import shutil
import time

from fault import fault
from stamped import BLOCK, Stamped, blocks
from tree import same_tree
from verbs import MIB, download, random_file, same, seconds, share, staged


class Changing:
    """A folder of stamped files, and one change after the other. `seen`: every content that ever
    had a path, with all names that the folders above it had."""

    def __init__(self, root, make, big):
        self.root, self.make, self.files, self.gone = root, make, [], []
        root.mkdir()
        for i in range(30):
            folder = root / f"folder {i % 5}"
            folder.mkdir(exist_ok=True)
            size = make.choice([0, 1, BLOCK, 100_000, MIB, MIB + 1, 3 * MIB])
            self.files.append(Stamped(folder / f"file {i}", size, make))
        self.files.append(Stamped(root / "zz big", big, make))

    def step(self):
        film = self.make.choice(self.files + self.files[-1:] * len(self.files))
        kind = self.make.choices(["content", "vanish", "new", "other kind", "move"],
                                 [20, 2, 3, 1, 1])[0]
        getattr(self, kind.replace(" ", "_"))(film)

    def content(self, film):
        self.make.choice(Stamped.changes)(film)

    def vanish(self, film):
        film.path.unlink()
        self.files.remove(film)
        self.gone.append(film)

    def new(self, film):
        path = film.path.with_name(f"new {self.make.randrange(10**9)}")
        self.files.append(Stamped(path, self.make.randrange(2 * MIB), self.make))

    def other_kind(self, film):
        self.vanish(film)
        if self.make.random() < 0.5:
            film.path.mkdir()
        else:
            film.path.symlink_to("nowhere")

    def move(self, film):
        """A folder gets another name."""
        old = film.path.parent
        if old == self.root:
            return
        new = old.with_name(f"folder {self.make.randrange(10**9)}")
        old.rename(new)
        for other in self.files:
            if other.path.parent == old:
                self.gone.append(alias(other, other.path))
                other.path = new / other.path.name

    def check(self, copy):
        """Each file below copy is what one of that path was at one moment."""
        known = {}
        for film in self.files + self.gone:
            known.setdefault(film.path.relative_to(self.root), []).append(film)
        n = 0
        for folder, _, names in os.walk(copy):
            for path in (pathlib.Path(folder) / name for name in names):
                if not path.is_symlink():
                    one_of(known.get(path.relative_to(copy), []), path)
                    n += 1
        return n


def alias(film, path):
    """The same contents, under the path that it had."""
    other = object.__new__(Stamped)
    other.__dict__ = film.__dict__ | {"path": path}
    return other


def one_of(films, path):
    assert films, f"{path} was never there"
    for film in films[:-1]:
        if any_version(film, path):
            return
    films[-1].check(path)


def any_version(film, path):
    try:
        film.check(path)
    except AssertionError:
        return False
    return True


def change_while(source, round, p, most_s):
    """Changes at random until the program ends, or it has been enough."""
    until = time.monotonic() + most_s
    while p.alive() and time.monotonic() < until:
        source.step()
        round.count("changes")
        time.sleep(round.random.choice([0, 0.002, 0.02, 0.2]))


@fault("source-changes", short=2)
def source_changes(round):
    """A folder on a disk or in memory changes in every way while runs fetch it, or are killed"""
    anna, bert = round.hosts(limit="200mbit")
    shown, inside = anna.disk(500) if round.random.random() < 0.5 else (anna.files, anna.files)
    source = Changing(inside / "music", round.random, 16 * MIB if round.short else 64 * MIB)
    words = anna.address, share(anna, shown / "music").port, "music"
    for _ in range(round.random.randint(1, 4)):
        p = bert.spawn("lanyard", "download", "--json", *words)
        change_while(source, round, p, round.random.choice([0.3, 1, 3]))
        if round.random.random() < 0.4:
            p.kill()
        if p.wait(seconds(90)) in (0, 7):
            break
        assert not (bert / "music").exists()
    if (bert / "music").exists():
        round.count("files of one version", source.check(bert / "music"))
        shutil.rmtree(bert / "music")
    download(bert, *words, timeout=120).ok()
    same_tree(inside / "music", bert / "music")


@fault("source-one-percent")
def source_one_percent(round):
    """One percent of a large file changes between two runs: about that is fetched again"""
    anna, bert = round.hosts(limit="4gbit")
    size = 128 * MIB if round.short else 1024 * MIB
    film = random_file(anna / "film", size, round.seed)
    words = anna.address, share(anna, "film").port, "film"
    p = bert.spawn("lanyard", "download", "--json", *words)
    goal = int(size * round.random.uniform(0.3, 0.9))
    p.wait_for(lambda: staged(bert, "film") >= goal, f"{goal} staged bytes", seconds(60))
    p.kill()
    p.wait()
    had = staged(bert, "film")
    changed = max(1, size // MIB // 100) * MIB
    with open(film, "r+b") as f:
        f.seek(round.random.randrange(0, had - changed))
        f.write(blocks(round.seed, 0, changed))
    done = download(bert, *words, timeout=120).ok().last()
    same(film, bert / "film")
    again = done["fetched"] - (size - had)
    assert again <= changed + 8 * MIB, f"{again} bytes again, {changed} had changed"
    assert done["fetched"] + done["reused"] == size
    round.worst("percent of what was there fetched again", 100 * again / had)


@fault("source-never-at-rest")
def source_never_at_rest(round):
    """One file changes all the time: it is told, never mixed; at rest the same command gets it"""
    anna, bert = round.hosts(limit="300mbit")
    film = Stamped(anna / "film", 16 * MIB, round.random)
    words = anna.address, share(anna, "film").port, "film"
    p = bert.spawn("lanyard", "download", "--json", *words)
    until = time.monotonic() + seconds(60)
    while p.alive() and time.monotonic() < until:
        round.random.choice([Stamped.rewrite, Stamped.rewrite_part, Stamped.rewrite_quietly])(film)
        round.count("changes")
    code = p.wait(seconds(60))
    assert code in (0, 6), p.story()
    if code == 0:
        film.check(bert / "film")
        (bert / "film").unlink()
    download(bert, *words).ok()
    same(film.path, bert / "film")
