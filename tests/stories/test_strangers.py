# SPDX-License-Identifier: MIT
"""Clients that are none: TLS of other versions and without a certificate, scanners, random bytes.
All are closed within the deadline, and the sharer goes on for others."""
import re

import pytest
from process import until
from verbs import MIB, SANITIZED, random_file, seconds, share

DEADLINE = 10  # from accept to the end of the handshake: PROTOCOL.md, section 11
HOSTILE = """
import random, socket, sys, time
make, spoke = random.Random(5), []
for i in range(int(sys.argv[3])):
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
    s.settimeout(20)
    try:
        s.sendall(make.randbytes(1 << 20))
        while s.recv(1 << 16):
            pass
    except TimeoutError:
        sys.exit("still open")
    except OSError:
        pass
print("closed", flush=True)
"""


@pytest.fixture
def sharing(cable):
    anna, bert = cable.hosts
    random_file(anna / "film", MIB)
    a = share(anna, "film")
    yield anna, bert, a
    # it is still there, answers, and ends in order: with ASan that is also no leak
    listed = bert.run("lanyard", "list", f"{anna.address}:{a.port}", "--json").ok()
    assert [e["path"] for e in listed.objects()] == ["film"]
    a.interrupt()
    assert a.wait(seconds(10)) == 0, a.err
    assert "Sanitizer" not in a.err


def s_client(bert, anna, a, *options):
    """What openssl says, and how long it took."""
    got = bert.run(*S_CLIENT, f"{anna.address}:{a.port}", *options, timeout=40)
    assert got.seconds < DEADLINE + seconds(5), got.out
    return got.out + got.err


def make_key(host, kind):
    key, cert = host.dir / f"{kind}.key", host.dir / f"{kind}.crt"
    option = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ed25519"]
    host.run("openssl", "req", "-x509", *option, "-nodes", "-keyout", key, "-out", cert, "-days",
             "2", "-subj", "/CN=x").ok()
    return ["-key", key, "-cert", cert]


S_CLIENT = ["timeout", 30, "openssl", "s_client", "-ign_eof", "-connect"]
ALPN = ["-alpn", "lanyard/1"]


@pytest.mark.parametrize("options", [
    ["-tls1_2", *ALPN], ["-tls1_1", *ALPN], ["-tls1_3", "-alpn", "h2"], ["-tls1_3"],
    ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384", *ALPN]],
    ids=["TLS 1.2", "TLS 1.1", "another ALPN", "no ALPN", "another cipher"])
def test_openssl_with(sharing, options):
    anna, bert, a = sharing
    said = s_client(bert, anna, a, *options, *make_key(bert, "ed25519"))
    assert re.search(r"Cipher is \(NONE\)|alert|unexpected eof", said), said
    assert "LANY" not in said


def test_openssl_without_a_certificate(sharing):
    anna, bert, a = sharing
    assert "certificate required" in s_client(bert, anna, a, "-tls1_3", *ALPN)


def test_openssl_with_an_rsa_key(sharing):
    anna, bert, a = sharing
    assert "alert" in s_client(bert, anna, a, "-tls1_3", *ALPN, *make_key(bert, "rsa"))


def test_strangers_cost_little(sharing):
    """Forty connections, one after the other, with a megabyte of random bytes each, while others
    stay open and say nothing. One of them speaks TLS: it gets our HELLO and no more, and is closed
    in time as well."""
    anna, bert, a = sharing
    before = a.cpu()
    client = bert.spawn(*S_CLIENT, f"{anna.address}:{a.port}", "-tls1_3", *ALPN,
                        *make_key(bert, "ed25519"))
    client.wait_line("LANY")  # before the others push it out: eight of an address may wait
    idle = bert.spawn("/usr/bin/python3", "-c",
                      "import socket, sys, time\n"
                      "all = [socket.create_connection((sys.argv[1], int(sys.argv[2])))"
                      " for _ in range(40)]\nprint('open', flush=True)\ntime.sleep(60)",
                      anna.address, a.port)
    idle.wait_line("open")
    done = bert.run("/usr/bin/python3", "-c", HOSTILE, anna.address, a.port, 40, timeout=90).ok()
    assert "closed" in done.out
    assert a.cpu() - before < seconds(2)
    assert SANITIZED or a.peak_rss < 64 * MIB
    heard = client.result(60)
    assert heard.seconds < DEADLINE + seconds(5), heard.out
    assert "LANY" in heard.out and "film" not in heard.out + heard.err
    until(lambda: "ESTAB" not in anna.check("ss", "-Htn", "sport", "=", f":{a.port}"),
          "all to be closed", 45)


@pytest.mark.parametrize("scanner", [
    ["nmap", "-Pn", "-n", "-sV", "--version-all", "-p"],
    ["sslscan", "--no-colour"]], ids=["nmap", "sslscan"])
def test_a_scanner(sharing, scanner):
    anna, bert, a = sharing
    if scanner[0] == "nmap":
        said = bert.run(*scanner, a.port, anna.address, timeout=200).ok().out
        assert "open" in said
    else:
        said = bert.run(*scanner, f"{anna.address}:{a.port}", timeout=200).out
        for version in ["TLSv1.0", "TLSv1.1", "TLSv1.2", "SSLv3"]:
            assert not re.search(rf"{version}\s+enabled", said), said
        assert "Heartbleed" not in said or "vulnerable to heartbleed" not in said.replace(
            "not vulnerable to heartbleed", "")
