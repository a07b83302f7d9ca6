# SPDX-License-Identifier: MIT
"""gauge -- processor time and memory of programs, and files to be moved"""
import contextlib
import os
import pathlib
import resource

from frame import MIB


def touch_pages(folder, mib=2048):
    """Memory that the host of a virtual machine took back comes again before the clock runs."""
    os.sync()
    path = folder / "pages"
    block = os.urandom(MIB)
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(block)
    path.unlink()


def family(pid):
    """A process and all that descend from it."""
    parents = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{p}/stat") as f:
            parents[int(p)] = int(f.read().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {p for p, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def threads(pid):
    """Seconds of each thread so far, by (number, name); of a process that has ended, only of its
    first one."""
    spent = {}
    for at in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            name = (at / "comm").read_text().strip()
            spent[int(at.name), name] = int((at / "schedstat").read_text().split()[0]) / 1e9
    return spent


def status(pid, key):
    """A number of bytes of /proc/PID/status; 0 for a process that has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0


class Servers:
    """Processor time and memory of servers with all their children."""

    def __init__(self, processes):
        self.pids = [p.pid for p in processes]

    def members(self):
        return set().union(*(family(p) for p in self.pids)) if self.pids else set()

    def cpu(self):
        """Seconds so far, of children that have ended too."""
        ticks = 0
        for pid in self.members():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as f:
                ticks += sum(map(int, f.read().rpartition(")")[2].split()[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def peak(self):
        return max([status(pid, "VmHWM") for pid in self.members()], default=0)


def used_cpu():
    """Seconds of all our children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# Files

def random_file(path, mib):
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(MIB))
    return pathlib.Path(path)


def film_to_serve(host, mib):
    """The folder `served` of a host, with a file `film` in it."""
    served = host.files / "served"
    served.mkdir()
    random_file(served / "film", mib)
    return served


def many_files(root, n, folders=1, content=lambda i: b""):
    """Files spread evenly over folders; one folder: right in the root."""
    each = -(-n // folders)
    for i in range(n):
        if i % each == 0:
            at = root if folders == 1 else root / f"{i // each:04}"
            at.mkdir(parents=True)
        with open(f"{at}/{i:07}", "xb") as f:
            f.write(content(i))
    return root


def measure(root):
    """(entries, bytes) of a file or tree."""
    found = [os.lstat(root)] if root.is_file() else [
        os.lstat(os.path.join(at, f)) for at, _, files in os.walk(root) for f in files]
    return len(found), sum(s.st_size for s in found)
