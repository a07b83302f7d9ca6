# SPDX-License-Identifier: MIT
"""process -- a running program whose output can be waited for; polling with deadlines"""
import contextlib
import json
import os
import re
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
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(every)


class Result:
    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def ok(self):
        """Asserts success; returns itself."""
        return self.exits(0)

    def exits(self, code):
        assert self.code == code, f"exit {self.code}, not {code}\nout: {self.out}\nerr: {self.err}"
        return self

    def objects(self):
        """stdout of --json: one object a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def last(self):
        return self.objects()[-1]


class Process:
    def __init__(self, popen):
        self.popen, self.pid = popen, popen.pid
        self.start = time.monotonic()
        self.seconds = None
        self.peak_rss = 0  # bytes
        self.text = {"out": "", "err": ""}
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=t, args=a, daemon=True) for t, a in [
            (self.read, ("out", popen.stdout)), (self.read, ("err", popen.stderr)),
            (self.watch, ())]]
        for t in self.threads:
            t.start()

    out = property(lambda self: self.text["out"])
    err = property(lambda self: self.text["err"])

    def read(self, name, stream):
        if stream is None:
            return
        for line in iter(stream.readline, b""):
            with self.changed:
                self.text[name] += line.decode(errors="backslashreplace")
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def watch(self):
        """The peak of memory can be asked for only while it lives."""
        with contextlib.suppress(OSError):
            while True:
                with open(f"/proc/{self.pid}/status") as f:
                    found = re.search(r"VmHWM:\s+(\d+) kB", f.read())
                if not found:
                    return
                self.peak_rss = int(found[1]) * 1024
                time.sleep(0.05)

    def wait_line(self, pattern, timeout=20, stream="out"):
        """Waits for a line of its output that matches; fails when it ends without one."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = re.search(pattern, self.text[stream], re.M)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or (self.popen.poll() is not None and not self.reading()):
                    raise AssertionError(f"{self.popen.args[-8:]}: no line {pattern!r}\n"
                                         f"out: {self.out}\nerr: {self.err}")
                self.changed.wait(min(left, 0.1))

    def wait_event(self, event, timeout=20, **more):
        """The first object of --json with this "event" (and these other members)."""
        wanted = {"event": event} | more

        def look():
            for line in self.out.splitlines(True):
                if line.endswith("\n") and wanted.items() <= json.loads(line).items():
                    return json.loads(line)
            assert self.popen.poll() is None or self.reading(), \
                f"ended without {wanted}\nout: {self.out}\nerr: {self.err}"
            return None
        return until(look, f"{wanted} in {self.out} {self.err}", timeout)

    def reading(self):
        return any(t.is_alive() for t in self.threads[:2])

    def wait(self, timeout=60):
        """Its exit code; all output has been read."""
        try:
            code = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill(signal.SIGABRT)
            raise AssertionError(f"{self.popen.args[-8:]} still runs after {timeout} s\n"
                                 f"out: {self.out}\nerr: {self.err}") from None
        self.seconds = time.monotonic() - self.start
        for t in self.threads:
            t.join(5)
        return code

    def result(self, timeout=60):
        return Result(self.wait(timeout), self.out, self.err, self.seconds)

    def alive(self):
        return self.popen.poll() is None

    def kill(self, sig=signal.SIGKILL):
        if self.alive():
            os.kill(self.pid, sig)

    def interrupt(self):
        self.kill(signal.SIGINT)

    def close(self):
        self.kill()
        self.popen.wait(10)
        for t in self.threads:
            t.join(5)
        for stream in (self.popen.stdout, self.popen.stderr, self.popen.stdin):
            if stream:
                stream.close()
