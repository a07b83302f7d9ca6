# SPDX-License-Identifier: MIT
"""lan -- a local network on one machine

    with Lan(2) as lan:                          a switch and two hosts, each with its avahi-daemon
        anna, bert = lan.hosts
        anna.spawn("lanyard", "share", "music")      -> Process: wait_line, kill, wait
        bert.run("lanyard", "list-peers")            -> Result: code, out, err

A host is a set of namespaces (network, mounts, host name) kept alive by one sleeping process; the
switch is a bridge in a network namespace of its own. Nothing is visible on the machine itself, so
any number of LANs may run at once, and all of it vanishes with its processes: they die with us
(PR_SET_PDEATHSIG), and close() ends whatever is left in the namespaces. Works as root, and as an
ordinary user inside `unshare --user --map-root-user --net --mount`.
"""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import pty
import shutil
import signal
import struct
import subprocess
import tempfile
import termios

from process import Process, until

LANYARD = os.environ.get("LANYARD", str(pathlib.Path(__file__).parents[2] / "build/cli/lanyard"))
NAMES = ["anna", "bert", "carl", "dora", "emil", "fritz", "gerda", "hugo", "ida", "jakob",
         "klara"]
PR_SET_PDEATHSIG = 1

BUS_CONF = """<busconfig><type>system</type><listen>unix:path=/run/dbus/system_bus_socket</listen>
<auth>EXTERNAL</auth><policy context="default"><allow send_destination="*" eavesdrop="true"/>
<allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
"""
AVAHI_CONF = """[server]
use-ipv4=yes
use-ipv6=yes
[wide-area]
enable-wide-area=no
[publish]
publish-hinfo=no
publish-workstation=no
[rlimits]
"""
# avahi-daemon gives its folder to the user avahi, who may not be mapped: here that is root.
HOLD = """set -e
mount -t tmpfs tmpfs /run
mkdir /run/dbus
for f in passwd group; do
    printf '%s:x:0:0::/:/bin/sh\\n' root avahi sshd > /run/$f
    mount --bind /run/$f /etc/$f
done
hostname "$0"
ip link set lo up
for i in all default; do
    echo 0 > /proc/sys/net/ipv6/conf/$i/accept_dad
    echo 0 > /proc/sys/net/ipv6/conf/$i/router_solicitations
done
echo ready
exec sleep infinity
"""


def die_with_parent():
    """In a child: it ends with us, and listens to signals also if we run under nohup."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for s in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(s, signal.SIG_DFL)


class Namespace:
    """Namespaces that live as long as their holder, a sleeping process."""

    def __init__(self, name):
        self.name = name
        self.holder = Process(subprocess.Popen(
            ["env", "-C", "/", "unshare", "--net", "--mount", "--uts", "sh", "-c", HOLD, name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent))
        self.holder.wait_line("ready")
        self.pid = self.holder.pid
        self.net = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        self.processes = []

    def enter(self, cwd="/"):
        """Words in front of a command that runs it in here; all exec, so the pid stays."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "--", "env", "-C", str(cwd)]

    def ip(self, *words):
        self.check("ip", *words)

    def tc(self, *words):
        self.check("tc", *words)

    def check(self, *words):
        done = subprocess.run(self.enter() + list(words), capture_output=True, text=True,
                              preexec_fn=die_with_parent, timeout=30)
        assert done.returncode == 0, f"{self.name}: {' '.join(words)}: {done.stderr}"
        return done.stdout

    def close(self):
        for p in self.processes:
            p.kill()
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}/ns/net").st_ino == self.net:
                    os.kill(int(pid), signal.SIGKILL)
        for p in self.processes:
            p.close()
        self.holder.close()


class Host(Namespace):
    """One computer of the LAN: eth0 with 10.9.0.N, own state, own folder of files."""

    def __init__(self, lan, number):
        super().__init__(NAMES[number])
        self.lan, self.number = lan, number
        self.address = f"10.9.0.{number + 1}"
        self.dir = lan.dir / self.name
        for d in ["files", "state", "config", "tmp"]:
            (self.dir / d).mkdir(parents=True)
        self.files = self.dir / "files"
        self.bus = self.avahi = None
        self.more_environment = {}

    def __truediv__(self, path):
        """host / "x" is its file x"""
        return self.files / path

    def disk(self, size):
        """A small, fast file system of `size` MiB: its path for programs in here, and for us."""
        path = self.files / "disk"
        path.mkdir()
        self.check("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(path))
        return path, pathlib.Path(f"/proc/{self.pid}/root") / str(path)[1:]

    # Network

    def plug(self, dev, address=None):
        """A new network card with a cable to the switch."""
        port = f"{self.name}-{dev}"
        self.lan.switch.ip("link", "add", port, "type", "veth", "peer", "name", dev,
                           "netns", str(self.pid))
        self.lan.switch.ip("link", "set", port, "master", "br0", "up")
        self.ip("link", "set", dev, "up")
        if address:
            self.ip("addr", "add", address + "/24", "dev", dev)
            if dev == "eth0":
                self.ip("route", "add", "224.0.0.0/4", "dev", dev)

    def link(self, state, dev="eth0"):
        """"down" pulls the cable out, "up" puts it in again."""
        self.lan.switch.ip("link", "set", f"{self.name}-{dev}", state)

    def limit(self, rate, dev="eth0"):
        """Full duplex rate of the cable, like "200mbit"."""
        for side, card in [(self, dev), (self.lan.switch, f"{self.name}-{dev}")]:
            side.tc("qdisc", "replace", "dev", card, "root", "tbf", "rate", rate,
                    "burst", "256kb", "latency", "100ms")

    def unlimit(self, dev="eth0"):
        for side, card in [(self, dev), (self.lan.switch, f"{self.name}-{dev}")]:
            side.tc("qdisc", "del", "dev", card, "root")

    def change_address(self, address, dev="eth0"):
        self.ip("addr", "del", self.address + "/24", "dev", dev)
        self.ip("addr", "add", address + "/24", "dev", dev)
        self.ip("route", "replace", "224.0.0.0/4", "dev", dev)
        self.address = address

    def sent_packets(self, dev="eth0"):
        """How many packets this card has sent so far."""
        shown = self.check("ip", "-s", "-j", "link", "show", "dev", dev)
        return json.loads(shown)[0]["stats64"]["tx"]["packets"]

    # Programs

    def environment(self):
        keep = {k: v for k, v in os.environ.items()
                if k in ("PATH", "LANG") or k.endswith("SAN_OPTIONS")}
        return keep | {"HOME": str(self.dir), "TMPDIR": str(self.dir / "tmp"), "NO_COLOR": "1",
                       "TERM": "xterm", "XDG_STATE_HOME": str(self.dir / "state"),
                       "XDG_CONFIG_HOME": str(self.dir / "config")} | self.more_environment

    def spawn(self, program, *words, cwd=None, terminal=None, **more):
        """Starts a program. "lanyard" is the one under test."""
        if program == "lanyard":
            program = LANYARD
        command = self.enter(cwd or self.files) + [str(program), *map(str, words)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE} | more
        p = Process(subprocess.Popen(command, env=self.environment(),
                                     preexec_fn=die_with_parent, **streams), terminal)
        self.processes.append(p)
        return p

    def run(self, *words, timeout=60, cwd=None):
        """Runs a program to its end."""
        return self.spawn(*words, cwd=cwd).result(timeout)

    def terminal(self, *words, **more):
        """Like spawn, with a terminal of 80 columns as stdin, stdout and stderr."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        p = self.spawn(*words, stdin=theirs, stdout=theirs, stderr=theirs,
                       terminal=os.fdopen(ours, "rb", buffering=0), **more)
        os.close(theirs)
        return p

    # D-Bus and Avahi

    def bus_start(self):
        conf = self.dir / "bus.conf"
        conf.write_text(BUS_CONF)
        self.bus = self.spawn("dbus-daemon", "--nofork", "--nopidfile", f"--config-file={conf}")
        socket = f"/proc/{self.pid}/root/run/dbus/system_bus_socket"
        until(lambda: os.path.exists(socket), "the socket of dbus-daemon")

    def avahi_start(self, wait=True):
        if not self.bus:
            self.bus_start()
        conf = self.dir / "avahi.conf"
        conf.write_text(AVAHI_CONF)
        self.avahi = self.spawn("avahi-daemon", "--no-drop-root", "--no-chroot", "--no-rlimits",
                                "-f", conf)
        if wait:
            self.avahi_ready()

    def avahi_ready(self):
        self.avahi.wait_line("Server startup complete", stream="err", timeout=20)

    def avahi_kill(self):
        self.avahi.kill()
        self.avahi.wait()
        self.check("rm", "-f", "/run/avahi-daemon/pid")

    def bus_kill(self):
        self.bus.kill()
        self.bus.wait()
        self.check("rm", "/run/dbus/system_bus_socket")
        self.bus = None


class Lan:
    def __init__(self, n=2, daemons=True, ipv4=True, folder=None):
        """daemons: how many of the hosts, from the first, run avahi-daemon (True: all). folder:
        where their files lie; the caller removes it. None: in a temporary one that we remove."""
        self.n, self.ipv4, self.dir = n, ipv4, folder
        self.daemons = n if daemons is True else int(daemons)
        self.hosts = []

    def __enter__(self):
        self.close = contextlib.ExitStack()
        if not self.dir:
            self.dir = pathlib.Path(tempfile.mkdtemp(prefix="lanyard-lan-"))
            self.close.callback(shutil.rmtree, self.dir)
        try:
            self.build()
        except BaseException:
            self.close.close()
            raise
        return self

    def build(self):
        self.switch = Namespace("switch")
        self.close.callback(self.switch.close)
        self.switch.ip("link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        self.switch.ip("link", "set", "br0", "up")
        for i in range(self.n):
            self.add_host()
        for host in self.hosts[:self.daemons]:
            host.avahi_start(wait=False)
        for host in self.hosts[:self.daemons]:
            host.avahi_ready()

    def add_host(self):
        host = Host(self, len(self.hosts))
        self.close.callback(host.close)
        host.plug("eth0", host.address if self.ipv4 else None)
        self.hosts.append(host)
        return host

    def __exit__(self, *exc):
        self.close.close()


def usable():
    """Can this machine build a LAN? "" or the reason why not."""
    probe = subprocess.run(["unshare", "--net", "--mount", "--uts", "sh", "-c",
                            "mount -t tmpfs tmpfs /run && ip link add br0 type bridge"],
                           capture_output=True, text=True)
    missing = [t for t in ("ip", "tc", "nsenter", "dbus-daemon", "avahi-daemon")
               if not shutil.which(t)]
    if missing:
        return "missing: " + ", ".join(missing)
    return probe.stderr.strip() if probe.returncode else ""


