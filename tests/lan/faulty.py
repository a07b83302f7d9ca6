# SPDX-License-Identifier: MIT
"""faulty -- programs on a disk that fails, or on a machine that goes down (tests/tools/faulty.h)

    into = Disk(bert, "into")                    a folder of bert's whose calls are counted
    bert.run(*into.faulty(KILL=17), LANYARD, "download", ...)
    into.steps                                   how many there were
"""
import pathlib
import shutil
import struct
import uuid

from lan import LANYARD

TOOLS = pathlib.Path(LANYARD).parents[1] / "tests/tools"

# root, but modes of files and folders hold for it, too
MODES_HOLD = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps",
              "-dac_override,-dac_read_search"]


def usable():
    """"", or why programs cannot be made to fail here."""
    missing = [t for t in ["setpriv"] if not shutil.which(t)]
    if not (TOOLS / "libfaulty.so").exists():
        missing.append("libfaulty.so (a build with sanitizers has none)")
    return f"missing: {', '.join(missing)}" if missing else ""


class Disk:
    def __init__(self, host, name):
        self.dir = host / name
        self.dir.mkdir()
        self.count = host.dir / f"{name}.count"
        self.trace = host.dir / f"{name}.trace"
        self.boot = host.dir / f"{name}.boot"
        self.reboot()

    def faulty(self, **how):
        """Words in front of a command: FAULTY_<KEY>=value."""
        self.count.unlink(missing_ok=True)
        self.trace.unlink(missing_ok=True)
        shutil.rmtree(f"{self.dir}.grave", ignore_errors=True)
        all = {"DIR": self.dir, "COUNT": self.count, "TRACE": self.trace, "BOOT": self.boot} | how
        # the library has files beside the folder, which a confined program could not reach
        return [TOOLS / "oldkernel", "landlock", "--",
                "env", f"LD_PRELOAD={TOOLS / 'libfaulty.so'}",
                *(f"FAULTY_{key}={value}" for key, value in all.items())]

    @property
    def steps(self):
        return struct.unpack("Q", self.count.read_bytes())[0]

    def told(self):
        """The calls of the last run: (call, path below the folder)."""
        lines = self.trace.read_text(errors="backslashreplace").splitlines()
        found = [line.split(" ", 2)[1:] for line in lines]
        return [(call, path[len(str(self.dir)) + 1:]) for call, path in found]

    def reboot(self):
        """The page cache is another one from here on."""
        self.boot.write_text(f"{uuid.uuid4()}\n")

    def empty(self):
        shutil.rmtree(self.dir)
        self.dir.mkdir()
