# SPDX-License-Identifier: MIT
"""check_golden -- a second decoder, written from proto/PROTOCOL.md alone, reads the golden bytes

Shares no code with the program. If this and the unit tests agree on the bytes in this folder, the
specification says what the program does. Also reads the example in the specification itself.
"""
import ctypes
import ctypes.util
import hashlib
import hmac
import pathlib
import re

HERE = pathlib.Path(__file__).parent
SPECIFICATION = HERE.parents[1] / "proto" / "PROTOCOL.md"

TYPES = {0x01: "HELLO", 0x02: "AUTH", 0x03: "AUTHED", 0x04: "PING", 0x05: "PONG", 0x06: "ERROR",
         0x07: "BYE", 0x10: "INFO_GET", 0x11: "INFO", 0x12: "LIST", 0x13: "ENTRIES", 0x14: "FIND",
         0x15: "FOUND", 0x20: "OPEN", 0x21: "OPENED", 0x22: "MANIFEST_GET", 0x23: "MANIFEST",
         0x24: "GET", 0x25: "DATA", 0x26: "CANCEL", 0x27: "DIGEST_GET", 0x28: "DIGEST"}

SECOND = 10**9
ABC = bytes.fromhex("06b05ab6733a618578af5f94892f3950")
FIVE_ZEROS = bytes.fromhex("c61571a9fa58278456b1430ea9e34626")
CHUNK_OF_ZEROS = bytes.fromhex("b6ef17a3448492b6918780b90550bf34")


class Reader:
    def __init__(self, data):
        self.data = data

    def raw(self, n):
        assert n <= len(self.data), "the end came too early"
        head, self.data = self.data[:n], self.data[n:]
        return head

    def u(self, bits):
        return int.from_bytes(self.raw(bits // 8), "big")

    def i64(self):
        return int.from_bytes(self.raw(8), "big", signed=True)

    def str(self, bits):
        return self.raw(self.u(bits))

    def rest(self):
        return self.raw(len(self.data))


def rows(r):
    found = []
    for _ in range(r.u(16)):
        kind, _ = r.u(8), r.u(8)
        found.append((kind, r.u(16), r.u(64), r.i64(), r.str(16)))
    return found


def data(r):
    n = r.u(16)
    r.raw(6)
    records = []
    for _ in range(n):
        records.append((r.u(64), r.u(32), r.u(8), r.u(8), r.u(16), r.raw(16)))
    return [record + (r.raw(record[1]) if record[2] == 0 else b"",) for record in records]


# For each type, its fields in order.
PAYLOADS = {
    "HELLO": lambda r: (r.raw(4), r.u(8), r.u(8), r.u(32), r.u(16), r.str(8), r.str(8)),
    "AUTH": lambda r: (r.u(8), r.str(8)),
    "AUTHED": lambda r: (r.u(8), r.str(8)),
    "PING": lambda r: (r.u(64),),
    "PONG": lambda r: (r.u(64),),
    "ERROR": lambda r: (r.u(16), r.u(32), r.str(16)),
    "BYE": lambda r: (r.u(16), r.u(32), r.str(16)),
    "INFO_GET": lambda r: (),
    "INFO": lambda r: (r.u(64), r.u(64), r.u(32), r.u(8), r.u(64)),
    "LIST": lambda r: (r.str(16),),
    "ENTRIES": lambda r: (rows(r),),
    "FIND": lambda r: (r.u(8), r.str(16)),
    "FOUND": lambda r: (rows(r),),
    "OPEN": lambda r: (r.str(16),),
    "OPENED": lambda r: (r.raw(32), r.u(64), r.u(32), r.u(64), r.u(64), r.i64(), r.u(8),
                         r.u(32), r.str(16)),
    "MANIFEST_GET": lambda r: (r.u(64), r.u(32)),
    "MANIFEST": lambda r: (r.u(64), r.str(32)),
    "GET": lambda r: ([(r.u(64), r.u(32)) for _ in range(r.u(16))],),
    "DATA": lambda r: (data(r),),
    "CANCEL": lambda r: (),
    "DIGEST_GET": lambda r: (r.u(8), r.u(64), r.u(32)),
    "DIGEST": lambda r: (r.u(8), r.u(64), [r.raw(16) for _ in range(r.u(32))]),
}


def frame(data_bytes):
    """(type, LAST, req, fields...) of one frame."""
    r = Reader(data_bytes)
    length, kind, flags, req = r.u(32), TYPES[r.u(8)], r.u(8), r.u(16)
    assert length == len(r.data)
    fields = PAYLOADS[kind](r)
    assert not r.data, f"{kind}: {len(r.data)} bytes too many"
    return (kind, bool(flags & 1), req) + fields


def manifest(data_bytes):
    """(kind, flags, mode, parent, size, mtime, version, name, target) of each entry."""
    r = Reader(data_bytes)
    assert r.raw(16) == b"LANYMAN2" + bytes([20]) + bytes(7)
    entries = []
    while r.data:
        entry = r.u(8), r.u(8), r.u(16), r.u(32), r.u(64), r.i64(), r.u(64), r.str(16)
        entries.append(entry + ((r.str(16) if entry[0] == 3 else None),))
    return entries


def hex_file(path):
    return bytes.fromhex("".join(line.split("#")[0] for line in path.read_text().splitlines()))


def digest(text):
    """XXH3-128, or None where there is no libxxhash."""
    class Pair(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]
    name = ctypes.util.find_library("xxhash")
    if not name:
        return None
    function = ctypes.CDLL(name).XXH3_128bits
    function.restype = Pair
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    pair = function(text, len(text))
    return pair.high.to_bytes(8, "big") + pair.low.to_bytes(8, "big")


def example():
    """The frame in the last section: hex pairs until two blanks and words, or the end."""
    text = SPECIFICATION.read_text().split("## 14 ")[1]
    found = ""
    for line in re.findall(r"^    (\S.*)$", text, re.M):
        found += re.match(r"(?:[0-9a-f]{2} {1,2})*[0-9a-f]{2}(?![^ ])", line)[0]
    return bytes.fromhex(found)


def proof(label):
    """For the code, the keys and the session of the golden AUTH."""
    dialler, listener, exported = (bytes(range(at, at + 32)) for at in (0, 32, 64))
    key = hashlib.scrypt(b"k7f3q9zz", salt=b"lanyard/1 code" + listener, n=2**14, r=8, p=5,
                         maxmem=2**25, dklen=32)
    return hmac.digest(key, label + exported + dialler + listener, "sha256")


MANIFEST = hex_file(HERE / "manifest.hex")
THEN = 1700000000 * SECOND

ENTRIES = [
    (1, 0, 0o755, 0, 0, THEN, 1, b"set", None),
    (2, 1, 0o644, 0, 5, THEN + 123456789, 0xfedcba9876543210, b"a", None),
    (1, 0, 0o700, 0, 0, THEN, 2, b"b", None),
    (3, 0, 0o777, 0, 0, THEN, 3, b"b-", b"../x"),
    (1, 2, 0, 0, 0, -1, 4, b"c", None),
    (2, 0, 0o600, 2, 2**20 + 1, THEN, 5, b"big", None),
]

FRAMES = {
    "hello": ("HELLO", False, 0, b"LANY", 1, 0, 0, 5000, "Zoë".encode(), b"lanyard 0.1.0"),
    "auth": ("AUTH", False, 0, 1, proof(b"lanyard/1 dialler")),
    "authed": ("AUTHED", False, 0, 0, proof(b"lanyard/1 listener")),
    "ping": ("PING", False, 0, 0x0123456789abcdef),
    "pong": ("PONG", False, 0, 0x0123456789abcdef),
    "error": ("ERROR", False, 7, 6, 0, b"nothing here"),
    "bye": ("BYE", False, 0, 14, 250, b"bye"),
    "info_get": ("INFO_GET", False, 1),
    "info": ("INFO", False, 1, 3, 2**40 + 5, 2, 1, 70000),
    "list": ("LIST", False, 2, b"Music/live"),
    "entries": ("ENTRIES", True, 2, [(2, 0o644, 5, THEN + 123456789, b"a.txt"),
                                     (1, 0o777, 0, -1, "€".encode())]),
    "find": ("FIND", False, 3, 1, b"*.ogg"),
    "found": ("FOUND", False, 3, [(2, 0o600, 2**20 + 1, THEN, b"Music/live/x.ogg")]),
    "open": ("OPEN", False, 4, b"set"),
    "opened": ("OPENED", False, 4, hashlib.sha256(MANIFEST).digest(), len(MANIFEST), len(ENTRIES),
               sum((e[4] + 2**20 - 1) >> 20 for e in ENTRIES), sum(e[4] for e in ENTRIES),
               THEN + SECOND, 20, 2, b"a/b"),
    "manifest_get": ("MANIFEST_GET", False, 5, 0, len(MANIFEST)),
    "manifest": ("MANIFEST", False, 5, 0, MANIFEST[:16]),
    "get": ("GET", False, 6, [(0, 1), (2**32, 4095)]),
    "data": ("DATA", False, 6, [(0, 3, 0, 0, 0, ABC, b"abc"), (2**32, 5, 1, 0, 0, FIVE_ZEROS, b""),
                                (2**32 + 1, 0, 2, 7, 0, bytes(16), b""),
                                (2**32 + 2, 2**20, 1, 0, 4092, CHUNK_OF_ZEROS, b"")]),
    "cancel": ("CANCEL", False, 6),
    "digest_get": ("DIGEST_GET", False, 8, 1, 2, 2),
    "digest": ("DIGEST", False, 8, 1, 2, [ABC, bytes(16)]),
}


def main():
    found = {path.stem: path for path in (HERE / "wire").glob("*.hex")}
    assert found.keys() == FRAMES.keys(), found.keys() ^ FRAMES.keys()
    assert {fields[0] for fields in FRAMES.values()} == set(TYPES.values())
    for name, path in found.items():
        got = frame(hex_file(path))
        assert got == FRAMES[name], f"{name}: {got}"
    assert manifest(MANIFEST) == ENTRIES
    assert digest(b"abc") in (ABC, None) and digest(bytes(5)) in (FIVE_ZEROS, None)
    assert digest(bytes(2**20)) in (CHUNK_OF_ZEROS, None)
    assert example() == hex_file(HERE / "wire" / "data.hex")


main()
