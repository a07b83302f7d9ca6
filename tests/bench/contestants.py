# SPDX-License-Identifier: MIT
"""contestants -- programs that bring a file or a tree from one host to another

Each one has serve(host, folder): starts its server over `folder` and returns its processes; and
fetch(host, what, to): the words of a command that brings anna's `what` into the folder `to`.
"""
import pathlib
import shlex
import shutil

from lan import LANYARD
from process import until

BENCH = pathlib.Path(LANYARD).parents[1] / "tests/bench"  # programs of the same build
LIMIT = BENCH / "bench_limit"


def port_open(host, port):
    """Does somebody listen there, in that host's network?"""
    with open(f"/proc/{host.pid}/net/tcp") as v4, open(f"/proc/{host.pid}/net/tcp6") as v6:
        return any(f":{port:04X} " in line and " 0A " in line for f in (v4, v6) for line in f)


def listening(host, port):
    until(lambda: port_open(host, port), f"port {port} of {host.name}")


class Contestant:
    name, tools = "", ()

    def missing(self):
        return [t for t in self.tools if not shutil.which(t)]


class Lanyard(Contestant):
    name, before = "lanyard", ()

    def serve(self, host, folder):
        p = host.spawn(*self.before, LANYARD, "share", "--hidden", "--port", 5000,
                       *sorted(folder.iterdir()))
        listening(host, 5000)
        return [p]

    def fetch(self, server, what, to):
        return ["lanyard", "download", server.address, "5000", what, "-o", to]


class Nginx(Contestant):
    """Its server; who fetches is below."""
    CONF = """daemon off; worker_processes 2; pid {dir}/nginx.pid; error_log stderr crit;
user root; events {{}} http {{ access_log off; sendfile on; root {folder};
client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir};
uwsgi_temp_path {dir}; scgi_temp_path {dir};
server {{ listen 8080; listen 8443 ssl; ssl_certificate {dir}/cert.pem;
ssl_certificate_key {dir}/tls.pem; ssl_protocols TLSv1.3; }} }}
"""
    tools = ("nginx", "openssl", "curl")
    running = {}  # one server for all who fetch from it

    def serve(self, host, folder):
        if folder not in self.running:
            conf = host.dir / "nginx.conf"
            conf.write_text(self.CONF.format(dir=host.dir, folder=folder))
            host.check("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=anna", "-days", "2",
                       "-keyout", f"{host.dir}/tls.pem", "-out", f"{host.dir}/cert.pem")
            self.running[folder] = host.spawn("nginx", "-p", host.dir, "-c", conf)
            listening(host, 8443)
        return [self.running[folder]]


class CurlHttps(Nginx):
    name = "curl https"

    def fetch(self, server, what, to):
        return ["curl", "-sSfk", "-o", f"{to}/{what}", f"https://{server.address}:8443/{what}"]


class CurlHttp(Nginx):
    name = "curl http"

    def fetch(self, server, what, to):
        return ["curl", "-sSf", "-o", f"{to}/{what}", f"http://{server.address}:8080/{what}"]


class Aria2(Nginx):
    name, tools = "aria2c -x4 https", ("aria2c", "nginx", "openssl")

    def fetch(self, server, what, to):
        return ["aria2c", "-q", "-x4", "-s4", "--check-certificate=false", "--allow-overwrite=true",
                "--file-allocation=none", "-d", to, f"https://{server.address}:8443/{what}"]


class RsyncDaemon(Contestant):
    name, tools = "rsync daemon", ("rsync",)

    def serve(self, host, folder):
        conf = host.dir / "rsyncd.conf"
        conf.write_text(f"use chroot = no\n[files]\npath = {folder}\nuid = 0\ngid = 0\n")
        p = host.spawn("rsync", "--daemon", "--no-detach", "--port=8730", f"--config={conf}")
        listening(host, 8730)
        return [p]

    def fetch(self, server, what, to):
        return ["rsync", "-rlpt", "-W", f"rsync://{server.address}:8730/files/{what}", f"{to}/"]


class Ssh(Contestant):
    """Its server; who fetches is below."""
    tools = ("ssh-keygen", "sshd", "ssh")
    running = {}  # one server for all who fetch from it

    def serve(self, host, folder):
        self.folder, self.key = folder, host.dir / "ssh_key"
        if folder not in self.running:
            self.running[folder] = self.start(host)
        return [self.running[folder]]

    def start(self, host):
        host.check("mkdir", "-p", "/run/sshd")
        for key in ("host_key", "ssh_key"):
            host.check("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host.dir / key))
        conf = host.dir / "sshd.conf"
        conf.write_text(f"Port 8022\nHostKey {host.dir}/host_key\nStrictModes no\nUsePAM no\n"
                        f"PermitRootLogin yes\nAuthorizedKeysFile {host.dir}/ssh_key.pub\n"
                        "Subsystem sftp internal-sftp\n")
        p = host.spawn(shutil.which("sshd"), "-D", "-e", "-f", conf)
        listening(host, 8022)
        return p

    def options(self):
        return ["-q", "-i", str(self.key), "-c", "aes128-gcm@openssh.com",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR"]


class Scp(Ssh):
    name, tools = "scp aes128-gcm", ("scp", *Ssh.tools)

    def fetch(self, server, what, to):
        return ["scp", *self.options(), "-P", "8022",
                f"root@{server.address}:{self.folder}/{what}", f"{to}/"]


class TarSsh(Ssh):
    name, tools = "tar over ssh", ("tar", *Ssh.tools)

    def fetch(self, server, what, to):
        ssh = shlex.join(["ssh", *self.options(), "-p", "8022", f"root@{server.address}"])
        return ["sh", "-c", f"{ssh} tar -C {self.folder} -cf - {what} | tar -C {to} -xf -"]


class Limit(Contestant):
    """Two blocking processes that only read, TLS, XXH3, write: see bench_limit.c."""
    name, tools = "limit", (str(LIMIT),)

    def serve(self, host, folder):
        p = host.spawn(LIMIT, "serve", 5999, *folder.iterdir())
        listening(host, 5999)
        return [p]

    def fetch(self, server, what, to):
        return [LIMIT, "fetch", server.address, "5999", to / what]


class Copy(Contestant):
    """No network at all: the limit of the disk side."""
    name = "cp (no network)"

    def serve(self, host, folder):
        self.folder = folder
        return []

    def fetch(self, server, what, to):
        return ["cp", "-r", f"{self.folder}/{what}", f"{to}/"]

