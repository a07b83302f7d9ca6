# SPDX-License-Identifier: MIT
"""stamped -- files whose blocks say of which version they are, so that a mix is seen

    film = Stamped(path, size)          every 4 KiB begin with the version and their own number
    film.rewrite(), film.append(), ...  one change each
    film.check(copy)                    a copy is what the file was at one moment, or this fails
"""
import hashlib
import os
import pathlib
import random

BLOCK = 4096


def blocks(version, first, size):
    """`size` bytes of blocks from number `first` on, all of this version."""
    fill = hashlib.sha256(str(version).encode()).digest() * (BLOCK // 32)
    made = [b"%015d %015d\n" % (version, first + i) + fill[32:] for i in range(-(-size // BLOCK))]
    return b"".join(made)[:size]


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").digest() if hasattr(hashlib, "file_digest") \
            else hashlib.sha256(f.read()).digest()


def versions(path):
    """Which versions the blocks of a file say they are of, for messages."""
    with open(path, "rb") as f:
        return sorted({bytes(block[:15]) for block in iter(lambda: f.read(BLOCK), b"")})


class Stamped:
    def __init__(self, path, size, make=None):
        self.path, self.make = pathlib.Path(path), make or random.Random(size)
        self.version, self.seen = 1, set()
        self.path.write_bytes(blocks(1, 0, size))
        self.size = size
        self.remember()

    def remember(self):
        self.seen.add(digest(self.path))

    def next(self):
        self.version += 1
        return self.version

    def check(self, copy):
        assert digest(copy) in self.seen, \
            f"{copy} is a mix of {versions(copy)}, {copy.stat().st_size} bytes"

    def patch(self, at, data):
        """Overwrites in place, in one write."""
        fd = os.open(self.path, os.O_WRONLY)
        os.pwrite(fd, data, at)
        os.close(fd)
        self.remember()

    # Changes: each makes a new version of all of the file, or of a part of it.

    def rewrite(self):
        self.patch(0, blocks(self.next(), 0, self.size))

    def rewrite_part(self, share=0.01):
        n = max(1, int(self.size / BLOCK * share))
        first = self.make.randrange(max(1, self.size // BLOCK - n + 1))
        self.patch(first * BLOCK, blocks(self.next(), first, min(n * BLOCK, self.size)))

    def rewrite_quietly(self):
        """With the old time of change put back afterwards."""
        st = os.stat(self.path)
        self.rewrite()
        os.utime(self.path, ns=(st.st_atime_ns, st.st_mtime_ns))

    def append(self):
        self.patch(self.size, blocks(self.next(), self.size // BLOCK + 1, 3 * BLOCK + 17))
        self.size = self.path.stat().st_size

    def truncate(self):
        self.size = self.make.randrange(self.size + 1)
        os.truncate(self.path, self.size)
        self.remember()

    def replace(self):
        """By another file that is renamed over it."""
        new = self.path.with_name(self.path.name + ".new")
        new.write_bytes(blocks(self.next(), 0, self.size))
        self.seen.add(digest(new))
        os.replace(new, self.path)

    def touch(self):
        os.utime(self.path)

    def replace_by_hole(self):
        """All zeros, and nothing of it on the disk."""
        os.truncate(self.path, 0)
        self.remember()
        os.truncate(self.path, self.size)
        self.remember()

    changes = [rewrite, rewrite_part, rewrite_quietly, append, truncate, replace, touch,
               replace_by_hole]
