# SPDX-License-Identifier: MIT
"""liar -- a peer that speaks the protocol (proto/PROTOCOL.md) and says what it likes

    liar.py FOLDER PORT [ANSWER]        runs in a host; prints "ready" and serves until it is killed

Every text it sends is EVIL. ANSWER: how it answers requests: "rows" (default), "error" or "bye"; or
what it offers as "film", as JSON: {"row": PATH, "entries": [[KIND, MODE, PARENT, NAME, TARGET],
...]}.

Who dials and says what it likes is a Stranger (stranger.py).
"""
import contextlib
import hashlib
import json
import pathlib
import socket
import struct
import sys
import threading

from stranger import (AUTH, AUTHED, BYE, ERROR, FIND, HELLO, INFO, INFO_GET, LIST, MANIFEST,
                      MANIFEST_GET, OPEN, OPENED, Closed, Frames, Keys, context)

LAST = 1

# ESC, BEL, CSI as C1, newline, carriage return, backspace, DEL, right-to-left override and isolate,
# zero width, a lonely continuation byte
EVIL = (b"x\x1b]0;owned\x07\xc2\x9b31m\n\r\x08\x7f" + "\u202e\u2067\u200b\u2028\ufeff".encode()
        + b"\x9b\xff")
# of these no byte or character may come out (a program's own escape sequences begin with ESC [)
FORBIDDEN = [b"\x1b]", b"\x07", b"\x08", b"\x7f", b"\xc2\x9b", b"\x9b\xff", b"owned\n"] + [
    c.encode() for c in "\u202e\u2067\u200b\u2028\ufeff"]


def frame(kind, payload, req=0, flags=0):
    return struct.pack(">IBBH", len(payload), kind, flags, req) + payload


def str8(text):
    return bytes([len(text)]) + text


def str16(text):
    return struct.pack(">H", len(text)) + text


def row(path):
    return struct.pack(">BBHQq", 2, 0, 0o644, 5, 0) + str16(path)


def manifest(entries):
    """Its bytes as PROTOCOL.md has them, however wrong the entries are. All files are empty."""
    made = b"LANYMAN2" + bytes([20]) + bytes(7)
    for kind, mode, parent, name, target in entries:
        made += struct.pack(">BBHIQqQ", kind, 0, mode, parent, 0, 0, 7) + str16(name.encode())
        made += str16(target.encode()) if kind == 3 else b""
    return made


class Liar:
    def __init__(self, answer):
        self.answer, self.row, self.manifest, self.entries = answer, b"film", b"", 0
        self.utf8 = EVIL[:-2]  # HELLO is refused if it is not UTF-8
        if answer.startswith("{"):
            offer = json.loads(answer)
            self.row, self.entries = offer["row"].encode(), len(offer["entries"])
            self.manifest = manifest(offer["entries"])

    def hello(self):
        return frame(HELLO, b"LANY\x01\x00" + struct.pack(">IH", 0, 5000) + str8(self.utf8)
                     + str8(self.utf8))

    def reply(self, kind, req, payload):
        error = struct.pack(">HI", 8, 0) + str16(EVIL)
        if kind == HELLO:
            return b""
        if kind == AUTH:
            return frame(AUTHED, b"\0" + str8(b""))
        if kind == INFO_GET:
            return frame(INFO, struct.pack(">QQIBQ", 1, 5, 1, 1, 0), req)
        if self.manifest and kind == OPEN:
            return frame(OPENED, hashlib.sha256(self.manifest).digest() + struct.pack(
                ">QIQQqBI", len(self.manifest), self.entries, 0, 0, 0, 20, 0) + str16(b""), req)
        if self.manifest and kind == MANIFEST_GET:
            at, n = struct.unpack(">QI", payload)
            page = self.manifest[at:at + n]
            return frame(MANIFEST, struct.pack(">QI", at, len(page)) + page, req)
        if self.answer == "bye":
            return frame(BYE, error)
        if self.answer == "error" or kind not in (LIST, FIND):
            return frame(ERROR, error, req)
        rows = [row(EVIL + bytes([b])) for b in b"abc"]
        if kind == FIND and b"film" in payload:
            rows = [row(self.row)]
        return frame(kind + 1, struct.pack(">H", len(rows)) + b"".join(rows), req, LAST)

    def serve(self, frames):
        with contextlib.suppress(OSError, Closed):
            frames.sock.sendall(self.hello())
            while True:
                frames.sock.sendall(self.reply(*frames.hear()))


def main(folder, port, answer="rows"):
    tls, liar = context(Keys(pathlib.Path(folder))[0], server=True), Liar(answer)
    listener = socket.create_server(("::", int(port)), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        conn, _ = listener.accept()
        try:
            conn = tls.wrap_socket(conn, server_side=True)
        except OSError:
            continue
        threading.Thread(target=liar.serve, args=(Frames(conn),), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
