# SPDX-License-Identifier: MIT
"""disk -- a disk that is full, broken or read only, at the client and at the server

The run with the fault ends with a sentence and 6 or 1, or did not need what failed; the one after
it ends right.
"""
import os

from crash import Crash, tiny
from fault import fault
from faulty import Disk
from lan import LANYARD
from tree import same_tree
from verbs import MIB, download, nothing_left, random_file, share

RUNS = 8  # in the short form; 40 in the long one


def runs(round):
    return range(RUNS if round.short else 5 * RUNS)


def told(crash, run, *context):
    """A run with a fault: right, or an error of which the user learns."""
    assert run.code in (0, 1, 6), (*context, run.code, run.err)
    if run.code == 0:
        return
    assert len(run.err.splitlines()) == 1 and str(crash.into.dir) in run.err, (*context, run.err)
    assert not crash.target.exists() or crash.staging.exists(), context


@fault("disk-error")
def disk_error(round):
    """one call fails, or all from one on: EIO, ENOSPC, EDQUOT, EROFS"""
    crash = Crash(round, "s/t", tiny)
    crash.run().ok()
    steps = crash.into.steps
    for _ in runs(round):
        how = round.random.choice(["EIO", "ENOSPC", "EDQUOT", "EROFS"])
        at = f"{round.random.randrange(1, steps)}{round.random.choice(['', '+'])}"
        crash.into.empty()
        failed = crash.run(FAIL=f"change:{how}:{at}")
        told(crash, failed, how, at)
        if failed.code and how in ["ENOSPC", "EDQUOT"]:
            assert failed.code == 6 and "is full" in failed.err, (how, at, failed.err)
        round.count("disk errors")
        crash.ends_right(how, at)


@fault("disk-read-error")
def disk_read_error(round):
    """what is there already cannot be read again after a reboot"""
    crash = Crash(round, "s/t", tiny)
    last = crash.run().ok() and crash.into.steps
    for _ in runs(round):
        crash.into.empty()
        crash.crash(KILL=round.random.randrange(last // 3, last - 8))
        crash.into.reboot()
        call = round.random.choice(["pread", "open"])
        at = f"{round.random.randrange(1, 25)}{round.random.choice(['', '+'])}"
        failed = crash.run(FAIL=f"{call}:EIO:{at}")
        told(crash, failed, call, at)
        round.count("disk errors")
        crash.ends_right(call, at)


@fault("disk-odd")
def disk_odd(round):
    """calls that do half of the work or are interrupted: nobody notices"""
    crash = Crash(round, "s/t", tiny)
    for call in ["pwrite", "pread"]:
        for how in ["SHORT:1+", f"EINTR:{round.random.randrange(1, 10)}"]:
            crash.into.empty()
            crash.run(FAIL=f"{call}:{how}").ok()
            same_tree(crash.source, crash.target)


@fault("disk-sync")
def disk_sync(round):
    """the sync of a commit fails: never asked again, and the next run reads all past the cache"""
    path, call = round.random.choice([("s/t", "syncfs"), ("s/t/big", "fsync"),
                                      ("s/t/small2", "fsync")])
    crash = Crash(round, path, tiny)
    part = "/data" if call == "fsync" else "lanyard-part"
    failed = crash.run(FAIL=f"{call}:EIO:1:{part}")
    told(crash, failed, call)
    assert failed.code == 6 and not crash.target.exists(), failed.err
    calls = [c for c, p in crash.into.told() if p.endswith(part)]
    assert calls.count(call) == 1, calls
    crash.ends_right(call)
    dropped = {p for c, p in crash.into.told() if c == "posix_fadvise"}
    read = {p for c, p in crash.into.told() if c == "pread" and "/data" in p}
    assert read and read <= dropped, (read, dropped)


@fault("disk-full", short=2)
def disk_full(round):
    """a small disk that is full somewhere on the way; room is made, and it goes on"""
    anna, bert = round.hosts()
    random_file(anna / "a", 3 * MIB + 77)
    (anna / "t").mkdir()
    for i in range(12):
        random_file(anna / "t" / f"f{i}", round.random.choice([0, 100, 5000, 70_000, MIB + 9]), i)
    port = share(anna, "a", "t").port
    size = round.random.randint(2, 8)
    disk, seen = bert.disk(size)
    fill = seen / "fill"
    for name in ["a", "t"]:
        random_file(fill, round.random.randrange(size * MIB))
        got = download(bert, anna.address, port, name, "-o", disk)
        fill.unlink()
        if got.code:
            assert got.code == 6, (got.code, got.err)
            assert "bytes are" in got.err or "is full" in got.err, got.err
            round.count("full disks")
            bert.check("mount", "-o", "remount,size=64m", str(disk))
            download(bert, anna.address, port, name, "-o", disk).ok()
        nothing_left(seen, name)
        if name == "t":
            same_tree(anna / "t", seen / "t")
        else:
            assert (seen / "a").read_bytes() == (anna / "a").read_bytes()
        bert.check("mount", "-o", f"remount,size={size + 8}m", str(disk))


@fault("disk-read-only")
def disk_read_only(round):
    """the file system becomes read only before a download, and in the middle of one"""
    anna, bert = round.hosts()
    random_file(anna / "a", 40 * MIB)
    port = share(anna, "a").port
    disk, seen = bert.disk(64)
    bert.check("mount", "-o", "remount,ro", str(disk))
    refused = download(bert, anna.address, port, "a", "-o", disk)
    assert refused.code in (1, 6) and "read-only" in refused.err, refused.err
    bert.check("mount", "-o", "remount,rw", str(disk))
    crash = Disk(bert, "into")
    half = bert.run(*crash.faulty(FAIL=f"change:EROFS:{round.random.randrange(20, 60)}+"), LANYARD,
                    "download", "--json", anna.address, port, "a", "-o", crash.dir)
    assert half.code == 6 and "read-only" in half.err, half.err
    assert os.listdir(crash.dir) == ["a.lanyard-part"]
    end = download(bert, anna.address, port, "a", "-o", crash.dir).ok().last()
    assert end["reused"] > 0 and end["fetched"] + end["reused"] == 40 * MIB


@fault("disk-of-server")
def disk_of_server(round):
    """the sharer's disk cannot read one file: the others come, it is named"""
    anna, bert = round.hosts()
    source = Disk(anna, "t")
    for i in range(6):
        random_file(source.dir / f"f{i}", round.random.choice([300, 5000, 2 * MIB + 9]), i)
    bad = f"f{round.random.randrange(6)}"
    a = anna.spawn(*source.faulty(FAIL=f"pread:EIO:1+:/{bad}"), LANYARD, "share", "--json", "t")
    port = a.wait_event("ready", 20)["port"]
    got = download(bert, anna.address, port, "t")
    assert got.code == 7 and f"t/{bad} was left out" in got.out + got.err, (got.out, got.err)
    assert not (bert / "t" / bad).exists()
    for i in range(6):
        if f"f{i}" != bad:
            assert (bert / "t" / f"f{i}").read_bytes() == (source.dir / f"f{i}").read_bytes()
    one = download(bert, anna.address, port, f"t/{bad}")
    assert one.code in (1, 6) and bad in one.err and "anna" in one.err, (one.code, one.err)
    assert not (bert / bad).exists()


@fault("disk-state")
def disk_state(round):
    """the folder of keys is read only: a download goes on, with a warning"""
    anna, bert = round.hosts()
    random_file(anna / "a", 5000)
    port = share(anna, "a").port
    state = bert.dir / "state"
    bert.run("lanyard", "id").ok()
    bert.check("mount", "--bind", str(state), str(state))
    bert.check("mount", "-o", "remount,ro,bind", str(state))
    got = download(bert, anna.address, port, "a").ok()
    assert "could not be remembered" in got.err, got.err
