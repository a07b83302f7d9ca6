# SPDX-License-Identifier: MIT
"""liar -- a peer that speaks the protocol (proto/PROTOCOL.md) and says what it likes

    liar.py FOLDER PORT [ANSWER]        runs in a host; prints "ready" and serves until it is killed

Every text it sends is EVIL. ANSWER: how it answers requests: "rows" (default), "error" or "bye".
"""
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading

HELLO, AUTH, AUTHED, ERROR, BYE, INFO_GET, INFO = 1, 2, 3, 6, 7, 0x10, 0x11
LIST, ENTRIES, FIND, FOUND, OPEN, OPENED = 0x12, 0x13, 0x14, 0x15, 0x20, 0x21
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


class Liar:
    def __init__(self, answer):
        self.answer = answer
        self.utf8 = EVIL[:-2]  # HELLO is refused if it is not UTF-8

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
        if self.answer == "bye":
            return frame(BYE, error)
        if self.answer == "error" or kind not in (LIST, FIND):
            return frame(ERROR, error, req)
        rows = [row(EVIL + bytes([b])) for b in b"abc"]
        if kind == FIND and b"film" in payload:
            rows = [row(b"film")]
        return frame(kind + 1, struct.pack(">H", len(rows)) + b"".join(rows), req, LAST)

    def serve(self, conn):
        def take(n):
            data = b""
            while len(data) < n:
                more = conn.recv(n - len(data))
                if not more:
                    raise EOFError
                data += more
            return data
        try:
            conn.sendall(self.hello())
            while True:
                length, kind, _, req = struct.unpack(">IBBH", take(8))
                conn.sendall(self.reply(kind, req, take(length)))
        except (OSError, EOFError):
            pass


def context(folder):
    """TLS with an Ed25519 certificate of our own."""
    key, cert = pathlib.Path(folder, "liar.key"), pathlib.Path(folder, "liar.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", key,
                    "-out", cert, "-days", "2", "-subj", "/CN=liar"], check=True,
                   capture_output=True)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.num_tickets = 0
    made.set_alpn_protocols(["lanyard/1"])
    made.load_cert_chain(cert, key)
    return made


def main(folder, port, answer="rows"):
    tls, liar = context(folder), Liar(answer)
    listener = socket.create_server(("::", int(port)), family=socket.AF_INET6,
                                    dualstack_ipv6=True)
    print("ready", flush=True)
    while True:
        conn, _ = listener.accept()
        try:
            conn = tls.wrap_socket(conn, server_side=True)
        except OSError:
            continue
        threading.Thread(target=liar.serve, args=(conn,), daemon=True).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
