# SPDX-License-Identifier: MIT
"""callgrind -- what a program did, counted by valgrind: the same wherever and whenever it runs

    counted(host, out, "id").result().ok(); cost = Cost(out)

Instructions, and calls of functions with a name. A copy by `rep movsb` counts one instruction for
each byte, so that memcpy's instructions are about the bytes that were copied. Confinement by
Landlock is off (valgrind does not know its system calls); all else is the real program.
"""
import collections
import re

from lan import LANYARD

OUR_OWN, OURS_AND_UV = r"/lanyard$", r"/lanyard$|/libuv\.so"
TRANSFER = r"/lanyard$|/lib(c|uv|ssl|crypto|xxhash)\.so"  # neither Avahi nor D-Bus
ALLOCATES = r"malloc|calloc|realloc|posix_memalign|aligned_alloc"
COPIES = r"__mem(cpy|move|pcpy)\w*"
CALLS_KERNEL = (r"(p?read|p?write)(v|64)*|(send|recv)(msg|to|from)?|f?stat(at|fs|x)?(64)?|close"
                r"|openat2?|open(64)?|syscall|epoll_(p?wait2?|ctl)|mkdirat|renameat2?|unlinkat"
                r"|u?timensat|futimens|fchmod(at)?|ftruncate(64)?|sync_file_range|fallocate(64)?"
                r"|fadvise64|posix_fadvise(64)?|getdents64|readdir(64)?|lseek(64)?|fcntl(64)?")


def counted(host, out, *words, terminal=False):
    start = host.terminal if terminal else host.spawn
    return start("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", LANYARD, *words)


def counted_download(lan, name, options=(), terminal=False):
    """Of a share of the first host, by the second: (result, its cost, the sharer's)"""
    anna, bert = lan.hosts
    server = counted(anna, anna / "cost", "share", "--json", *options, name)
    port = server.wait_event("ready", 60)["port"]
    done = counted(bert, bert / "cost", "download", *options, anna.address, port, name,
                   terminal=terminal).result(120)
    server.interrupt()
    server.wait()
    return done, Cost(bert / "cost"), Cost(anna / "cost")


class Cost:
    """instructions[object, function] without what it called, calls[object, function called]"""

    def __init__(self, path):
        self.instructions, self.calls = collections.Counter(), collections.Counter()
        self.names = {}
        with open(path) as f:
            self.read(line.rstrip("\n") for line in f)

    def name(self, kind, word):
        """Names are written once: "(7) malloc", from then on "(7)"."""
        number, text = re.match(r"\((\d+)\)(?: (.*))?", word).groups()
        return self.names.setdefault((kind[-2:], number), text)

    def read(self, lines):
        at, callee = {}, None
        for line in lines:
            key, _, word = line.partition("=")
            if key in ("ob", "fn", "cob", "cfn"):
                found = self.name(key, word)
                if key == "cfn":
                    callee = found
                elif key != "cob":
                    at[key] = found
            elif key == "calls":
                self.calls[at["ob"], re.sub(r"@.*", "", callee)] += int(word.split()[0])
                next(lines)  # the cost of the callee, which has lines of its own
            elif line[:1] in set("0123456789+-*"):
                self.instructions[at["ob"], at["fn"]] += int(line.split()[1])

    def within(self, objects=TRANSFER, functions=".*"):
        """Instructions of functions and objects with such names."""
        return sum(n for (ob, fn), n in self.instructions.items()
                   if re.search(objects, ob) and re.fullmatch(functions, fn))

    def called(self, functions, objects):
        """Calls of such functions by such objects."""
        return sum(n for (ob, fn), n in self.calls.items()
                   if re.search(objects, ob) and re.fullmatch(functions, fn))

    def summary(self):
        """System calls and allocations are those of our own and of libuv: what OpenSSL needs for a
        handshake differs from one to the next."""
        return {"instructions": self.within(), "of our own": self.within(objects=OUR_OWN),
                "copied": self.within(functions=COPIES),
                "allocations": self.called(ALLOCATES, OURS_AND_UV),
                "system calls": self.called(CALLS_KERNEL, OURS_AND_UV)}
