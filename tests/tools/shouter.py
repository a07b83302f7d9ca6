#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""shouter -- says anything by multicast DNS, once a second, until it is killed

    shouter.py NAME PORT ADDRESS[,ADDRESS...] [id=KEY] [n=COUNT] [txt=HEX] [KEY=VALUE...]

Announces the service NAME (with n=: NAME 0, NAME 1, ...) of a host that has these addresses,
without asking anybody. An ADDRESS like 10.9.0.50+ counts up from one service to the next. txt= is
the whole record, right or wrong. A line on stdout after each round.
"""
import ipaddress
import socket
import struct
import sys
import time

GROUP, TTL, TYPE = ("224.0.0.251", 5353), 120, b"\x08_lanyard\x04_tcp\x05local\0"
A, PTR, TXT, AAAA, SRV = 1, 12, 16, 28, 33
FLUSH = 0x8000


def label(text):
    raw = text.encode("utf-8", "surrogateescape")[:63]
    return bytes([len(raw)]) + raw


def record(name, kind, data, flush=FLUSH):
    return name + struct.pack(">HHIH", kind, 1 | flush, TTL, len(data)) + data


def address(text, i):
    ip = ipaddress.ip_address(text.rstrip("+"))
    return ip + i if text.endswith("+") else ip


def service(name, i, port, addresses, txt):
    """All that one announcement says."""
    instance, host = label(name) + TYPE, label(f"shouter-{i}") + b"\x05local\0"
    records = [record(TYPE, PTR, instance, 0), record(instance, TXT, txt),
               record(instance, SRV, struct.pack(">HHH", 0, 0, port) + host)]
    for text in addresses:
        ip = address(text, i)
        records.append(record(host, A if ip.version == 4 else AAAA, ip.packed))
    return struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def main(name, port, addresses, *more):
    o = dict(word.split("=", 1) for word in more)
    pairs = ["txtvers=1"] + [f"{k}={o[k]}" for k in o if k not in ("n", "txt")]
    txt = bytes.fromhex(o["txt"]) if "txt" in o else b"".join(label(p) for p in pairs)
    n = int(o.get("n", 0))
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    s.bind(("", 5353))
    while True:
        for i in range(n or 1):
            said = service(f"{name} {i}" if n else name, i, int(port), addresses.split(","), txt)
            s.sendto(said, GROUP)
            if i % 20 == 19:
                time.sleep(0.002)  # no faster than they can be read
        print("said", flush=True)
        time.sleep(1)


main(*sys.argv[1:])
