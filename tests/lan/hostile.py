# SPDX-License-Identifier: MIT
"""hostile -- trees with every name, mode and time that Linux has; paths too long for system calls

    fill(folder, random.Random(1), 200)       random entries of all kinds
    same_entries(a, b)                        entry by entry, by held folders, as bytes
"""
import os
import stat

UMASK = 0o022
FIRST_NS, LAST_NS = -2**31 * 10**9, 2**63 - 1  # 1901 is where ext4 begins, 2262 where i64 ends

STRANGE = [b"...", b"....", b"..a", b"-", b"--", b"-rf", b" ", b" lead", b"trail ", b"\t", b"~",
           b"$(x)", b"`x`", b"'", b'"', b"\\", b"*", b"?", b"a:b", b"CON", b"nul.", b"\x7f",
           b"\xff" * 255, b"a" * 255, "\u202e".encode() * 85, "\u00e9".encode(), b"e\xcc\x81",
           b"A", b"a", "\u00df".encode(), b"SS", b"ss", b"x.lanyard-part"]
TIMES = [FIRST_NS, -10**18, -1, 0, 1, 2**31 * 10**9 - 1, 2**31 * 10**9, 4102444800 * 10**9 + 1,
         LAST_NS]
MODES = [0, 0o111, 0o222, 0o444, 0o755, 0o777, 0o1777, 0o2755, 0o4755, 0o7777]


def any_name(make):
    """1 to 255 of any bytes but the two that cannot be."""
    length = make.choice([1, 2, 3, 8, 30, 100, 254, 255])
    name = bytes(make.choice(range(1, 256)) for _ in range(length)).replace(b"/", b"|")
    return name if name not in (b".", b"..") else b"..."


def each_byte(folder):
    """One file for each byte that a name may have."""
    for i in set(range(1, 256)) - {ord("/"), ord(".")}:
        put(folder, b"x" + bytes([i]), b"inside")
        put(folder, bytes([i]) * 2, bytes([i]))


def put(folder, name, data):
    with open(os.path.join(os.fsencode(folder), name), "wb") as f:
        f.write(data)


def settle(path, make):
    """A mode and a time, for what is no symlink."""
    os.chmod(path, make.choice(MODES))
    when = make.choice(TIMES + [make.randrange(FIRST_NS, LAST_NS)])
    os.utime(path, ns=(when, when))


def fill(folder, make, n):
    """n entries of all kinds below a folder; what hinders is set last."""
    folders, made = [os.fsencode(folder)], []
    for i in range(n):
        name = STRANGE[i] if i < len(STRANGE) else any_name(make)
        path = os.path.join(make.choice(folders), name)
        if len(path) > 3000 or os.path.lexists(path):
            continue
        kind = make.choice(["file"] * 6 + ["folder", "folder", "link", "hard"])
        if kind == "folder" and not name.endswith(b".lanyard-part"):
            os.mkdir(path)
            folders.append(path)
        elif kind == "link":
            os.symlink(make.choice([b"nowhere", b"./x", any_name(make).replace(b"..", b"x")]), path)
            continue
        elif kind == "hard" and (files := [p for p in made if os.path.isfile(p)]):
            os.link(make.choice(files), path)
        else:
            put(os.path.dirname(path), name, make.randbytes(make.choice([0, 1, 100, 5000, 2**20,
                                                                         2**20 + 1])))
        made.append(path)
    for path in reversed(made):
        settle(path, make)


def entries(root, mask=0o7777):
    """path as bytes -> what is to be the same after a download; mask: of modes"""
    found = {}
    for path, folders, files, fd in os.fwalk(os.fsencode(root)):
        for name in folders + files:
            at = os.path.join(path, name)[len(os.fsencode(root)) + 1:]
            found[at] = entry(name, fd, mask)
    return found


def entry(name, fd, mask):
    st = os.stat(name, dir_fd=fd, follow_symlinks=False)
    if stat.S_ISLNK(st.st_mode):
        return "link", os.readlink(name, dir_fd=fd)
    mode = oct(stat.S_IMODE(st.st_mode) & mask)
    if stat.S_ISDIR(st.st_mode):
        return "folder", mode, st.st_mtime_ns
    with open(os.open(name, os.O_RDONLY, dir_fd=fd), "rb") as f:
        return "file", mode, st.st_mtime_ns, hash(f.read())


def same_entries(a, b, without=()):
    """a was downloaded to b. `without`: paths of a that are to be missing in b."""
    a, b = entries(a, 0o777 & ~UMASK), entries(b)
    for path in without:
        del a[path]
    assert a.keys() == b.keys(), f"only in one: {sorted(a.keys() ^ b.keys())[:5]}"
    for path, what in a.items():
        got = b[path]
        assert what == got, f"{path!r}: {what} became {got}"


def dig(folder, levels, name=b"d"):
    """Folders in folders, each with a file `f`."""
    fd = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
