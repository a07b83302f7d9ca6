# SPDX-License-Identifier: MIT
"""stranger -- a peer that speaks the protocol and keeps to none of its manners

    keys = Keys(folder)                         identities, as many as are wanted
    s = Stranger(host, address, port, keys[0])  a TLS connection from that host, HELLO said
    s.auth()                                    AUTH without a code -> the result
    s.ask(OPEN, text("film"))                   a request -> its number
    s.hear() -> (type, req, payload)            the next frame; raises Closed

Sockets are opened inside the host's network namespace, by this process.
"""
import contextlib
import ctypes
import functools
import os
import socket
import ssl
import struct
import subprocess
import threading

HELLO, AUTH, AUTHED, PING, PONG, ERROR, BYE = range(1, 8)
INFO_GET, INFO, LIST, ENTRIES, FIND, FOUND = range(0x10, 0x16)
OPEN, OPENED, MANIFEST_GET, MANIFEST, GET, DATA = range(0x20, 0x26)
CLONE_NEWNET = 0x40000000


class Closed(Exception):
    pass


class Keys:
    """Self-signed Ed25519 certificates in a folder, made when first wanted."""

    def __init__(self, folder):
        self.folder = folder

    def __getitem__(self, i):
        path = self.folder / f"key{i}.pem"
        if not path.exists():
            made = subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", f"/CN={i}",
                 "-keyout", path, "-out", f"{path}.crt"], capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            path.write_text(path.read_text() + open(f"{path}.crt").read())
        return path


def inside(host, work):
    """What work() returns in the network namespace of the host: a thread enters it. That takes
    milliseconds; with None as its host, what work() opens costs no more of them."""
    result = []
    if host is None:
        return work()

    def run():
        fd = os.open(f"/proc/{host.pid}/ns/net", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.setns(fd, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        os.close(fd)
        result.append(work())
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert result, f"nothing came from inside {host.name}"
    return result[0]


def connect(host, address, port, receive_buffer=None, source=None):
    """A TCP connection from the host."""
    def work():
        s = socket.socket()
        if receive_buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            s.bind((source, 0))
        s.settimeout(20)
        s.connect((address, port))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s
    return inside(host, work)


def listen(host, port):
    """A listening socket on the host."""
    def work():
        s = socket.create_server(("", port))
        s.settimeout(20)
        return s
    return inside(host, work)


@functools.lru_cache(maxsize=None)
def context(key, server=False):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    c.minimum_version = ssl.TLSVersion.TLSv1_3
    c.check_hostname = False
    c.verify_mode = ssl.CERT_NONE
    c.set_alpn_protocols(["lanyard/1"])
    c.load_cert_chain(key)
    return c


def text(words, bits=16):
    return struct.pack(">H" if bits == 16 else ">B", len(words)) + words.encode()


def hello(name="stranger", features=0):
    return b"LANY\x01\x00" + struct.pack(">IH", features, 0) + text(name, 8) + text("stranger 1", 8)


def first_words(key):
    """What somebody says first who opens a TLS connection: a ClientHello."""
    out = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context(key).wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    return out.read()


class Frames:
    """Frames over a connected socket."""

    def __init__(self, sock):
        self.sock = sock

    def say(self, kind, payload=b"", req=0):
        self.sock.sendall(struct.pack(">IBBH", len(payload), kind, 0, req) + payload)

    def raw(self, n):
        got = b""
        while len(got) < n:
            try:
                more = self.sock.recv(n - len(got))
            except (ConnectionError, ssl.SSLError) as e:
                raise Closed(str(e)) from None
            if not more:
                raise Closed("end")
            got += more
        return got

    def hear(self):
        length, kind, _, req = struct.unpack(">IBBH", self.raw(8))
        return kind, req, self.raw(length)

    def close(self):
        self.sock.close()


class Stranger(Frames):
    def __init__(self, host, address, port, key, **how):
        sock = connect(host, address, port, **how)
        super().__init__(context(key).wrap_socket(sock))
        self.reqs = 0
        self.say(HELLO, hello())

    def auth(self, payload=b"\0\0"):
        """The code that AUTHED or ERROR brings."""
        self.say(AUTH, payload)
        while True:
            kind, _, payload = self.hear()
            if kind == AUTHED:
                return payload[0]
            if kind == ERROR:
                return int.from_bytes(payload[:2], "big")

    def ask(self, kind, payload=b""):
        self.reqs += 1
        self.say(kind, payload, self.reqs)
        return self.reqs
