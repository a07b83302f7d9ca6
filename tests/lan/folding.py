#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""folding -- a file system on which names that differ by case or normalization are one name

    folding.py keep|change BELOW AT      mounts AT; files lie in BELOW

keep: a name stays as it was first written. change: names are stored decomposed, as on HFS+, and so
they come back from readdir. Needs FUSE and python3-fusepy.
"""
import os
import sys
import unicodedata


def fold(name):
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def operations(below, change):
    import fusepy

    class Folding(fusepy.Operations):
        """Every path is looked up component by component."""

        def real(self, path):
            at = below
            for name in filter(None, path.split("/")):
                at = os.path.join(at, self.stored(at, name))
            return at

        def stored(self, folder, name):
            try:
                there = {fold(n): n for n in os.listdir(folder)}
            except OSError:
                there = {}
            return there.get(fold(name), unicodedata.normalize("NFD", name) if change else name)

        def getattr(self, path, fh=None):
            st = os.lstat(self.real(path))
            names = ("atime", "ctime", "gid", "mode", "mtime", "nlink", "size", "uid", "blocks")
            return {f"st_{n}": getattr(st, f"st_{n}") for n in names}

        def readdir(self, path, fh):
            return [".", ".."] + os.listdir(self.real(path))

        def access(self, path, mode):
            return 0

        def chmod(self, path, mode):
            os.chmod(self.real(path), mode)

        def chown(self, path, uid, gid):
            os.lchown(self.real(path), uid, gid)

        def mkdir(self, path, mode):
            os.mkdir(self.real(path), mode)

        def rmdir(self, path):
            os.rmdir(self.real(path))

        def unlink(self, path):
            os.unlink(self.real(path))

        def rename(self, old, new):
            os.rename(self.real(old), self.real(new))

        def symlink(self, path, target):
            os.symlink(target, self.real(path))

        def readlink(self, path):
            return os.readlink(self.real(path))

        def create(self, path, mode, fi=None):
            return os.open(self.real(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

        def open(self, path, flags):
            return os.open(self.real(path), flags & ~(os.O_CREAT | os.O_EXCL))

        def read(self, path, size, offset, fh):
            return os.pread(fh, size, offset)

        def write(self, path, data, offset, fh):
            return os.pwrite(fh, data, offset)

        def truncate(self, path, length, fh=None):
            os.truncate(self.real(path), length)

        def release(self, path, fh):
            os.close(fh)

        def fsync(self, path, datasync, fh):
            os.fsync(fh)

        def utimens(self, path, times=None):
            os.utime(self.real(path), times, follow_symlinks=False)

        def statfs(self, path):
            st = os.statvfs(below)
            return {k: getattr(st, k) for k in ("f_bavail", "f_bfree", "f_blocks", "f_bsize",
                                                "f_frsize", "f_files", "f_ffree", "f_namemax")}

        def init(self, path):
            print("mounted", flush=True)

    return fusepy.FUSE, Folding()


if __name__ == "__main__":
    mount, made = operations(sys.argv[2], sys.argv[1] == "change")
    mount(made, sys.argv[3], foreground=True, nothreads=True, allow_other=True)
