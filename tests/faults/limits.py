# SPDX-License-Identifier: MIT
"""limits -- too little of everything: memory, threads, open files, sizes of files

Whatever is too little: an error that says so, never a crash and never a wrong file; the same
command without the limit ends right.
"""
import os
import pathlib
import shutil
import signal
import struct

import faulty
from fault import fault
from lan import LANYARD
from process import until
from tree import same_tree
from verbs import MIB, download, nothing_left, random_file, seconds, share

RUNS = 8  # in the short form; 80 in the long one
CGROUP = pathlib.Path("/sys/fs/cgroup/memory")


def small_tree(root):
    (root / "folder").mkdir(parents=True)
    random_file(root / "big", 3 * MIB + 5)
    for i in range(20):
        random_file(root / f"folder/f{i}", 200 * i, i)
    (root / "link").symlink_to("big")
    return root


def get(bert, port, *limit):
    """One download under a limit: right, or a sentence."""
    got = bert.run(*limit, LANYARD, "download", "--json", "10.9.0.1", port, "t",
                   timeout=seconds(90))
    assert got.code in (0, 1, 3, 6), (limit, got.code, got.out, got.err)
    assert got.code == 0 or "lanyard: " in got.err, (limit, got.code, got.err)
    return got


def then_without(bert, port, source):
    """The same without a limit."""
    if not (bert / "t").exists():
        download(bert, "10.9.0.1", port, "t").ok()
    same_tree(source, bert / "t")
    shutil.rmtree(bert / "t")
    shutil.rmtree(bert / "t.lanyard-part", ignore_errors=True)


@fault("limit-client")
def limit_client(round):
    """a client with few open files, little address space, or a limit on the size of files"""
    anna, bert = round.hosts()
    source = small_tree(anna / "t")
    port = share(anna, "t").port
    draw = round.random
    for _ in range(RUNS if round.short else 10 * RUNS):
        limit = draw.choice([f"--nofile={draw.randrange(4, 64)}",
                             f"--as={draw.randrange(16, 160) * MIB}",
                             f"--data={draw.randrange(8, 100) * MIB}",
                             f"--fsize={draw.randrange(4 * MIB)}"])
        got = get(bert, port, "prlimit", limit)
        if got.code:
            round.count("limits hit")
        then_without(bert, port, source)
    get(bert, port, "prlimit", "--nofile=64").ok()
    then_without(bert, port, source)


def starved(round, host, at):
    """Words in front of a program whose allocation number `at` fails."""
    return ["env", f"LD_PRELOAD={faulty.TOOLS / 'libstarve.so'}", f"STARVE_AT={at}",
            f"STARVE_COUNT={host.dir / 'count'}"]


def allocations(host):
    """How many there were, and has one failed?"""
    n, failed = struct.unpack("QQ", (host.dir / "count").read_bytes())
    return n, bool(failed)


@fault("starved-client")
def starved_client(round):
    """any one allocation of the client fails"""
    round.needs(not faulty.usable(), faulty.usable())
    anna, bert = round.hosts()
    source = small_tree(anna / "t")
    port = share(anna, "t").port
    get(bert, port, *starved(round, bert, 0)).ok()
    n, _ = allocations(bert)
    then_without(bert, port, source)
    for _ in range(RUNS if round.short else 10 * RUNS):
        # the first ones are OpenSSL's; half of them shall be those of a download
        first = round.random.choice([1, max(1, n - 3000)])
        get(bert, port, *starved(round, bert, round.random.randrange(first, n)))
        round.count("allocations that failed")
        then_without(bert, port, source)


@fault("starved-server")
def starved_server(round):
    """any one allocation of the sharer fails: it goes on, and the download ends right"""
    round.needs(not faulty.usable(), faulty.usable())
    anna, bert = round.hosts()
    source = small_tree(anna / "t")
    a = anna.spawn(*starved(round, anna, 0), LANYARD, "share", "--json", "t")
    port = a.wait_event("ready", seconds(20))["port"]
    ready, _ = allocations(anna)
    get(bert, port).ok()
    then_without(bert, port, source)
    n, _ = allocations(anna)
    a.kill(signal.SIGTERM)
    a.wait()
    for _ in range(RUNS if round.short else 5 * RUNS):
        at = round.random.randrange(ready, n)
        a = anna.spawn(*starved(round, anna, at), LANYARD, "share", "--json", "t")
        until(lambda: a.over() or a.events(), "the sharer", seconds(20))
        if not a.events():  # it was one of those before it is ready
            assert a.wait() == 1 and "lanyard: " in a.err, (at, a.err)
            continue
        port = a.events()[0]["port"]
        # how many one download takes varies: threads, what comes together on the network
        get(bert, port)
        for _ in range(20):
            if allocations(anna)[1]:
                break
            assert a.alive(), (at, a.popen.poll(), a.err)
            shutil.rmtree(bert / "t", ignore_errors=True)
            get(bert, port)
        assert a.alive(), (at, a.popen.poll(), a.err)
        then_without(bert, port, source)
        round.count("allocations that failed")
        a.kill(signal.SIGTERM)
        assert a.wait() in (0, 6), (at, a.err)


@fault("limit-server")
def limit_server(round):
    """a sharer with 64 open files and more visitors than that: it goes on for those that come"""
    anna, bert = round.hosts()
    source = small_tree(anna / "t")
    a = anna.spawn("prlimit", "--nofile=64", LANYARD, "share", "--json", "t")
    port = a.wait_event("ready", seconds(20))["port"]
    strangers = bert.spawn("python3", "-c", f"""
import socket, time
held = [socket.create_connection(("10.9.0.1", {port})) for _ in range(90)]
print("there", flush=True)
time.sleep(1000)""")
    strangers.wait_line("there", seconds(30))
    several = []
    for i in range(6):
        folder = bert / str(i)
        folder.mkdir()
        several.append(bert.spawn("lanyard", "download", "--json", "10.9.0.1", port, "t", "-o",
                                  folder))
    for p in several:
        code = p.wait(seconds(100))
        assert code in (0, 3, 6), (code, p.err)
        round.count("downloads in a crowd" if code == 0 else "downloads refused in a crowd")
    assert a.alive(), a.err
    strangers.kill()
    strangers.wait()
    until(lambda: bert.run("lanyard", "list", f"10.9.0.1:{port}").code == 0, "an answer",
          seconds(40))
    then_without(bert, port, source)
    for i in range(6):
        if (bert / str(i) / "t").exists():
            same_tree(source, bert / str(i) / "t")


@fault("limit-memory")
def limit_memory(round):
    """both ends in a group of processes that may have 64 MiB"""
    group = CGROUP / f"lanyard-{os.getpid()}-{round.number}"
    round.needs(os.access(CGROUP / "cgroup.procs", os.W_OK), "no memory cgroup (version 1)")
    group.mkdir()
    round.close.callback(group.rmdir)
    anna, bert = round.hosts()
    (group / "memory.limit_in_bytes").write_text(str(64 * MIB))
    random_file(anna / "big", 100 * MIB)
    inside = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "-"]
    a = anna.spawn(*inside, LANYARD, "share", "--json", "big")
    port = a.wait_event("ready", seconds(20))["port"]
    got = bert.run(*inside, LANYARD, "download", "--json", "10.9.0.1", port, "big",
                   timeout=seconds(100))
    got.ok()
    nothing_left(bert, "big")
    assert a.alive()
    a.kill()
    a.wait()
