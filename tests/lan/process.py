# SPDX-License-Identifier: MIT
"""process -- a running program whose output can be waited for; polling with deadlines"""
import contextlib
import json
import os
import re
import select
import signal
import subprocess
import threading
import time


def until(condition, what, timeout=10, every=0.01):
    """Polls until condition() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s in vain for {what}"
        time.sleep(every)


def steady(value, span, what, timeout=45):
    """Polls until value() has not changed for `span` seconds, and returns it."""
    last, since = value(), time.monotonic()

    def look():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= span
    until(look, what, timeout, every=0.05)
    return last


class Result:
    """What a program that ended has left: code, out, err, seconds, peak_rss (bytes)."""

    def __init__(self, process, code):
        self.code, self.seconds, self.peak_rss = code, process.seconds, process.peak_rss
        self.out, self.err = process.out, process.err

    def exits(self, code):
        assert self.code == code, f"exit {self.code}, not {code}\nout: {self.out}\nerr: {self.err}"
        return self

    def ok(self):
        return self.exits(0)

    def objects(self):
        """stdout of --json: one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self):
        return self.objects()[-1]


class Process:
    def __init__(self, popen, stdout=None):
        """stdout: the other end of a terminal, when it has one."""
        self.popen, self.pid = popen, popen.pid
        self.start = time.monotonic()
        self.seconds, self.peak_rss = None, 0
        self.bytes = {"out": b"", "err": b""}
        self.streams = [stdout or popen.stdout, popen.stderr]
        self.readers = [threading.Thread(target=self.read, args=a, daemon=True)
                        for a in zip(("out", "err"), self.streams)]
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        for t in self.readers + [self.watcher]:
            t.start()

    out = property(lambda self: self.bytes["out"].decode(errors="backslashreplace"))
    err = property(lambda self: self.bytes["err"].decode(errors="backslashreplace"))

    def read(self, name, stream):
        with contextlib.suppress(OSError):  # the end of a terminal is EIO
            while stream and (data := os.read(stream.fileno(), 1 << 16)):
                self.bytes[name] += data

    def watch(self):
        """The peak of memory can be asked for only while the program lives."""
        with contextlib.suppress(OSError):
            while True:
                with open(f"/proc/{self.pid}/status") as f:
                    found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
                if not found:
                    return
                self.peak_rss = int(found[1]) * 1024
                time.sleep(0.05)

    def story(self):
        """For messages of failed assertions."""
        words = self.popen.args[self.popen.args.index("env") + 3:]
        return f"{' '.join(words)}\nout: {self.out}\nerr: {self.err}"

    def seconds_so_far(self):
        return time.monotonic() - self.start

    def alive(self):
        return self.popen.poll() is None

    def over(self):
        """It has ended and all that it said has been read."""
        return not self.alive() and not any(t.is_alive() for t in self.readers)

    def wait_for(self, look, what, timeout):
        """Polls look(); fails at once when the program ends without it."""
        def step():
            over = self.over()
            value = look()
            assert value or not over, f"ended without {what}: {self.story()}"
            return value
        try:
            return until(step, what, timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.story()}") from None

    def wait_line(self, pattern, timeout=20, stream="out"):
        """Waits for output that matches."""
        return self.wait_for(lambda: re.search(pattern, getattr(self, stream), re.M),
                             f"line {pattern!r}", timeout)

    def events(self):
        """The whole lines of --json so far."""
        lines = self.out.splitlines(True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_event(self, event, timeout=20, **more):
        """The first object of --json with this "event" (and these other members)."""
        wanted = {"event": event} | more
        return self.wait_for(lambda: next((e for e in self.events()
                                           if wanted.items() <= e.items()), None),
                             str(wanted), timeout)

    def ends(self, timeout):
        """Does it end in time? Asks the kernel to tell: subprocess looks every 50 ms."""
        if not self.alive():
            return True
        fd = os.pidfd_open(self.pid)
        try:
            poll = select.poll()  # select() itself knows no descriptors above 1023
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        finally:
            os.close(fd)

    def wait(self, timeout=60):
        """Its exit code; all output has been read."""
        if not self.ends(timeout):
            self.kill(signal.SIGABRT)
            raise AssertionError(f"still runs after {timeout} s: {self.story()}")
        self.seconds = self.seconds_so_far()
        code = self.popen.wait()
        for t in self.readers + [self.watcher]:
            t.join(5)
        return code

    def result(self, timeout=60):
        return Result(self, self.wait(timeout))

    def cpu(self):
        """Seconds of processor time so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def written(self):
        """Bytes it has written so far, to files and sockets; until wait() also after its end."""
        with open(f"/proc/{self.pid}/io") as f:
            return int(re.search(r"wchar: (\d+)", f.read())[1])

    def dead(self):
        """It has ended; unlike alive(), this leaves it to be waited for."""
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"

    def kill(self, sig=signal.SIGKILL):
        if self.alive():
            os.kill(self.pid, sig)

    def interrupt(self):
        """Ctrl-C"""
        self.kill(signal.SIGINT)

    def type(self, text):
        """Writes to its terminal."""
        os.write(self.streams[0].fileno(), text.encode())

    def close(self):
        self.kill()
        self.popen.wait(10)
        for t in self.readers + [self.watcher]:
            t.join(5)
        for stream in self.streams:
            if stream:
                stream.close()
