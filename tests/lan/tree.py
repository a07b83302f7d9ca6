# SPDX-License-Identifier: MIT
"""tree -- folders as they occur, and whether two of them are the same entry by entry"""
import os
import random
import stat

from verbs import MIB, random_file

UMASK = 0o022


def make_tree(root, seed=1, files=300, big=0):
    """Folders in folders, long and strange names, links, modes, times, empty ones, a hole, and
    one file of `big` bytes."""
    make = random.Random(seed)
    folders = [root]
    root.mkdir()
    for i in range(40):
        folder = make.choice(folders) / f"folder {i}"
        folder.mkdir()
        folders.append(folder)
    for i in range(files):
        size = make.choice([0, 1, 17, 4096, 70_000, MIB - 1, MIB, MIB + 1] if i < 40
                           else [0, 5, 300, 4000, 9000])
        path = make.choice(folders) / f"file-{i}.{make.choice(['txt', 'ü ñ 漢', 'a' * 200])}"
        random_file(path, size, i)
        path.chmod(make.choice([0o644, 0o600, 0o755, 0o444, 0o664]))
    strange(root)
    if big:
        random_file(root / "big", big)
    for folder, names, rest in os.walk(root, topdown=False):
        for name in names + rest + ["."]:
            when = make.randrange(10**9, 17 * 10**8) * 10**9 + make.randrange(10**9)
            os.utime(os.path.join(folder, name), ns=(when, when), follow_symlinks=False)
    return root


def strange(root):
    (root / "new\nline").write_text("two lines")
    (root / "\x1b[31mred").write_text("escape")
    (root / "-rf").write_text("an option?")
    (root / "a\\b:c*?\"<>|").write_text("not for every system")
    (root / "empty").mkdir()
    (root / "broken").symlink_to("nothing here")
    (root / "nobody.sh").write_text("#!/bin/sh\n")
    (root / "nobody.sh").chmod(0o4755)
    (root / "closed").mkdir()
    (root / "link").symlink_to("-rf")
    (root / "closed" / "inside").write_text("in a folder that nobody may write to")
    (root / "closed" / "link up").symlink_to("../-rf")
    (root / "closed").chmod(0o555)
    sparse_file(root / "sparse", 64 * MIB)


def sparse_file(path, size):
    """Holes with a little data at the start, in the middle and at the end."""
    with open(path, "wb") as f:
        f.write(b"start")
        f.seek(size // 2 + 12345)
        f.write(b"middle")
        f.seek(size - 3)
        f.write(b"end")
    return path


def entry(path):
    st = os.lstat(path)
    if stat.S_ISLNK(st.st_mode):
        return "link", os.readlink(path), st.st_mtime_ns
    mode = stat.S_IMODE(st.st_mode) & 0o777 & ~UMASK
    if stat.S_ISDIR(st.st_mode):
        return "folder", oct(mode), st.st_mtime_ns
    with open(path, "rb") as f:
        return "file", oct(mode), st.st_mtime_ns, st.st_size, hash(f.read())


def entries(root):
    """path below root -> what is to be the same after a download"""
    found = {".": entry(root)}
    for folder, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = entry(path)
    return found


def same_entries(a, b):
    assert a.keys() == b.keys(), f"{a.keys() ^ b.keys()} only in one of them"
    for path, what in a.items():
        assert what == b[path], path


def same_tree(a, b):
    same_entries(entries(a), entries(b))


def holes(path):
    """Numbers of the whole chunks of 1 MiB that occupy nothing."""
    with open(path, "rb") as f:
        size, found = os.fstat(f.fileno()).st_size, set()
        for chunk in range(size // MIB):
            try:
                data = os.lseek(f.fileno(), chunk * MIB, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole up to the end
                data = size
            if data >= (chunk + 1) * MIB:
                found.add(chunk)
        return found


def blocks(path):
    """Bytes that a file occupies."""
    return os.stat(path).st_blocks * 512
