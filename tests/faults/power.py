# SPDX-License-Identifier: MIT
"""power -- the power goes while a download writes

bert's disk is a loop device over a file of another file system, one that can clone files (XFS,
btrfs). A clone made at a random moment is, atomically, what has reached the disk by then, and no
more: what only lay in the page cache is gone. The client is killed, the clone is mounted in place
of the disk (its journal is replayed as after any crash), the machine has another boot id, and the
same command goes on. Sometimes the kernel has brought just some of the files to disk before.
"""
import fcntl
import os
import pathlib
import shutil
import uuid

from fault import fault
from process import until
from underway import STAGING, Underway
from verbs import MIB
from watch import Watch

FICLONE = 0x40049409
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CLONING = {"mkfs.xfs": ["-q", "-m", "reflink=1"], "mkfs.btrfs": ["-q"]}
MAKE = {"ext4": ["mkfs.ext4", "-q"], "xfs": ["mkfs.xfs", "-q"], "btrfs": ["mkfs.btrfs", "-q"]}
OPTIONS = {"ext4": ["data=ordered", "data=writeback", "commit=1", "delalloc", "nodelalloc"],
           "xfs": ["defaults"], "btrfs": ["defaults", "commit=1", "nodatacow"]}


def missing(system):
    """What this machine lacks to play it, or ""."""
    if not os.access("/dev/loop-control", os.W_OK):
        return "no loop devices"
    if pathlib.Path("/proc/self/uid_map").read_text().split()[2] != "4294967295":
        return "not really root"
    if not any(map(shutil.which, CLONING)):
        return "neither mkfs.xfs nor mkfs.btrfs: apt-get install xfsprogs btrfs-progs"
    return "" if shutil.which(MAKE[system][0]) else f"no {MAKE[system][0]}"


class Disk:
    """A disk of the host whose power can go: .path for its programs, .seen for us."""

    def __init__(self, host, system, options, size):
        self.host, self.options = host, options
        below, self.below = host.disk(3 * size // MIB)
        maker = next(m for m in CLONING if shutil.which(m))
        self.image(self.below / "lower", 2 * size)
        host.check(maker, *CLONING[maker], str(below / "lower"))
        (self.below / "clones").mkdir()
        host.check("mount", "-o", "loop", str(below / "lower"), str(below / "clones"))
        self.file = below / "clones" / "disk"
        self.image(self.below / "clones" / "disk", size)
        host.check(*MAKE[system], str(self.file))
        self.path, self.seen = below / "mounted", self.below / "mounted"
        self.seen.mkdir()
        self.mount()

    def image(self, path, size):
        path.touch()
        os.truncate(path, size)

    def mount(self):
        self.host.check("mount", "-o", f"loop,{self.options}", str(self.file), str(self.path))

    def cut(self):
        """Keeps what is on the disk in this moment."""
        with open(self.below / "clones/disk", "rb") as disk, \
                open(self.below / "clones/cut", "wb") as clone:
            fcntl.ioctl(clone, FICLONE, disk.fileno())

    def boot(self):
        """The machine starts with what was kept. All programs that used the disk are dead."""
        self.host.check("umount", str(self.path))
        loops = f"losetup -j {self.file}"
        until(lambda: not self.host.check(*loops.split()), "the loop device to be free")
        os.replace(self.below / "clones/cut", self.below / "clones/disk")
        self.mount()
        another_boot(self.host)


def another_boot(host):
    file = host.dir / "boot_id"
    file.write_text(f"{uuid.uuid4()}\n")
    host.check("mount", "--bind", str(file), BOOT_ID)


class Cut(Underway):
    """A download onto such a disk."""

    def __init__(self, round, system):
        round.needs(not missing(system), missing(system))
        self.system = system
        super().__init__(round)

    def prepare(self):
        options = self.random.choice(OPTIONS[self.system])
        size = sum(f.stat().st_size for f in self.tree.iterdir() if f.name == "big")
        self.disk = Disk(self.bert, self.system, options, 2 * size + 512 * MIB)
        self.into, self.seen = self.disk.path, self.disk.seen

    def write_back_some(self):
        """The kernel may bring any file to disk before any other."""
        if self.random.random() < 0.5:
            return
        files = ["journal", "manifest", "data/big"]
        for name in self.random.sample(files, self.random.randint(1, 2)):
            try:
                fd = os.open(self.seen / STAGING / name, os.O_RDONLY)
            except OSError:  # not yet, or not any more
                continue
            os.fdatasync(fd)
            os.close(fd)

    def power_cut(self):
        self.write_back_some()
        self.disk.cut()
        done = self.client.over() and self.client.result().ok()
        if not done:
            self.end(self.client)
        self.watch.close()
        self.disk.boot()
        self.watch = Watch(self.seen)
        self.round.count("power cuts")
        assert (self.seen / "tree").exists() or not done, "it said that all was on disk"

    def look(self):
        self.watch = Watch(self.seen)
        self.round.close.callback(lambda: self.watch.close())

    def check(self):
        if (self.seen / "tree").exists():
            self.round.same_tree(self.tree, self.seen / "tree")


def power_cut(round, system):
    it = Cut(round, system)
    for left in reversed(range(it.random.randint(1, 3))):
        it.moment(last=left == 0)
        it.power_cut()
        it.check()
        if it.finished():
            break
        it.start()
    it.finish()
    round.count("MiB kept across one", it.client.events()[-1].get("reused", 0) / MIB)


@fault("power-ext4")
def power_ext4(round):
    """the power goes, ext4"""
    power_cut(round, "ext4")


@fault("power-xfs")
def power_xfs(round):
    """the power goes, XFS"""
    power_cut(round, "xfs")


@fault("power-btrfs")
def power_btrfs(round):
    """the power goes, btrfs"""
    power_cut(round, "btrfs")


# What is believed

class Doubted(Underway):
    """A download into an ordinary folder that is seen under another boot or mount afterwards."""

    def other_mount(self):
        self.bert.check("mount", "--bind", str(self.into), str(self.into))

    def other_boot(self):
        another_boot(self.bert)

    def damage(self, chunks):
        """The slots of so many chunks of the large file had reached the disk, the data had not."""
        with open(self.seen / STAGING / "data/big", "r+b") as f:
            written = range(os.fstat(f.fileno()).st_size // MIB)
            for chunk in self.random.sample(written, chunks):
                at = chunk * MIB + self.random.randrange(MIB - 4096)
                f.seek(at)
                f.write(self.random.choice([bytes(4096), self.random.randbytes(4096)]))

    def forget_pages(self):
        """As after a boot, all is to be read from the disk again."""
        with open(self.seen / STAGING / "data/big", "rb") as f:
            os.fdatasync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@fault("power-doubt")
def power_doubt(round):
    """another boot or mount, and data unlike its slots: all is read before it counts"""
    it = Doubted(round)
    it.wait_for(lambda: it.done() > MIB)
    it.running()
    if not it.kill(it.client):
        return it.finish()
    had, damaged = it.done(), it.random.choice([0, 0, 1, 5, 20])
    it.damage(damaged)
    it.forget_pages()
    it.random.choice([it.other_boot, it.other_mount])()
    it.start()
    it.finish()
    last = it.client.events()[-1]
    assert last["reused"] >= had - damaged * MIB, f"{had} bytes were here, {damaged} chunks wrong"
    if any(e.get("fetched") and e["done"] - e["fetched"] < last["reused"]
           for e in it.client.events() if e["event"] == "progress"):
        round.count("times chunks arrived while others were checked")
    round.count("chunks overwritten under their slots", damaged)
