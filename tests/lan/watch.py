# SPDX-License-Identifier: MIT
"""watch -- what appears and vanishes in a folder, without a gap (inotify)

    watch = Watch(folder)
    ...
    watch.events()      -> [("created", "a"), ("moved in", "b"), ("deleted", "a")], since the start
"""
import ctypes
import os
import struct

CREATED, DELETED, MOVED_OUT, MOVED_IN, OVERFLOW = 0x100, 0x200, 0x40, 0x80, 0x4000
WORDS = {CREATED: "created", DELETED: "deleted", MOVED_OUT: "moved out", MOVED_IN: "moved in"}
HEAD = struct.Struct("iIII")


class Watch:
    def __init__(self, folder):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = CREATED | DELETED | MOVED_OUT | MOVED_IN
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify")
        self.seen = []

    def events(self):
        while True:
            try:
                block = os.read(self.fd, 1 << 16)
            except BlockingIOError:
                return self.seen
            while block:
                _, mask, _, length = HEAD.unpack_from(block)
                assert not mask & OVERFLOW, "events were lost"
                name = block[HEAD.size:HEAD.size + length].rstrip(b"\0")
                self.seen += [(word, os.fsdecode(name)) for bit, word in WORDS.items()
                              if mask & bit]
                block = block[HEAD.size + length:]

    def close(self):
        os.close(self.fd)
