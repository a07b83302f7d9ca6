# SPDX-License-Identifier: MIT
"""What CONTRIBUTING.md promises about the sources, as checks."""
import functools
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FUNCTION_LINES, FILE_LINES, TEST_LINES = 60, 400, 650

# Who may include whom.
INCLUDES = {
    "proto": {"proto"},
    "core": {"core", "proto"},
    "discovery": {"discovery"},
    "cli": {"cli", "core", "discovery", "proto"},
}
# Pure: bytes and time come as arguments. No I/O, no clock, no threads.
PURE = ["proto/*.c", "core/plan.c", "core/pacer.c", "core/drain.c", "core/liveness.c",
        "core/glob.c", "cli/what.c", "cli/hits.c", "cli/rate.c", "discovery/peer.c"]
IMPURE_HEADERS = r"uv\.h|openssl/|avahi-|sys/socket|sys/stat|netdb|fcntl|unistd|time\.h|pthread"
IMPURE_CALLS = r"time|clock_gettime|gettimeofday|getenv|open|read|write|printf|fprintf"

SOCKET_CALLS = (r"uv_tcp_(?!getpeername|getsockname)\w+|uv_read_\w+|uv_write2?|uv_try_write"
                r"|uv_listen|uv_accept|uv_getaddrinfo|socket|connect|bind|listen|accept4?|send"
                r"|recv|sendto|recvfrom|sendmsg|recvmsg|setsockopt")
SOCKETS = {
    "core/conn.c": "the one that dials and accepts",
    "core/conn_io.c": "the part of it that reads and writes",
    "core/conn_bulk.c": "the same for large frames",
    "core/conn_tcp.c": "its options",
    "core/dial.c": "resolves names",
    "core/server.c": "listens",
}

OPEN_CALLS = (r"open|openat|openat2|creat|fopen|freopen|mkdir|mkdirat|rename|renameat2?|unlink"
              r"|unlinkat|rmdir|remove|symlink|symlinkat|link|linkat|chmod|fchmodat|truncate"
              r"|utimensat|mkstemp|mkostemp|opendir|readlink|readlinkat|fstatat")
OPENS = {
    "core/fs.c": "the gate to everything beneath a root",
    "core/fs_remove.c": "the part of it that removes trees",
    "core/confine.c": "names folders that a confined process keeps",
    "core/identity.c": "our own key in our own state folder",
    "core/trust.c": "known_peers in our own state folder",
    "core/here.c": "reads the boot id and the umask from /proc",
    "core/holder.c": "reads /proc/locks and the name of a process",
    "cli/main.c": "/dev/null in place of a standard stream that is closed",
    "discovery/avahi_embedded.c": "reads the boot id and which network namespace it is in",
}

COMMANDS = ["tests/bench/run", "tests/campaign"]  # in Python, but not called so

LONG = {}  # "file" or "file:function" -> why it may be longer


def tracked(*patterns):
    """Files of the repository, committed or not, that match one of the patterns."""
    out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [p for p in out.splitlines() if (ROOT / p).is_file()]


def c_files():
    return tracked("*.c", "*.h")


def module_files():
    return [p for p in c_files() if p.split("/")[0] in INCLUDES]


@functools.lru_cache(None)
def text(path):
    return (ROOT / path).read_text()


@functools.lru_cache(None)
def code(path):
    """The text without comments and strings; lines stay where they are."""
    def blank(match):
        return '""' if match[0][0] in "\"'" else "\n" * match[0].count("\n")
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank,
                  text(path), flags=re.S)


def calls(path, names):
    """Lines that call one of the functions (not members, not longer names)."""
    found = re.compile(rf"(?<![\w.>])(?:{names})\(")
    return [f"{path}:{n}: {line.strip()}" for n, line in enumerate(code(path).splitlines(), 1)
            if found.search(line)]


def functions(path):
    """(name, first line, number of lines) of each function, as clang-format lays them out."""
    head = None
    for n, line in enumerate(code(path).splitlines(), 1):
        if head is None and re.match(r"[a-z_]", line, re.I) and not line.endswith((";", ":")):
            head, name = n, re.search(r"(\w+)\(", line)
        if head is not None and line.endswith(";") and not line.startswith(" "):
            head = None
        if head is not None and line == "}":
            if name:
                yield name[1], head, n - head + 1
            head = None
        elif line.startswith("}"):
            head = None


@pytest.mark.parametrize("module", INCLUDES)
def test_includes_go_one_way(module):
    wrong = [f"{p}: {inc}" for p in module_files() if p.startswith(module + "/")
             for inc in re.findall(r'^#include "([^"]+)"', text(p), re.M)
             if "/" not in inc or inc.split("/")[0] not in INCLUDES[module]]
    assert not wrong


def test_pure_files_are_pure():
    headers = [f"{p}: {h}" for p in tracked(*PURE)
               for h in re.findall(rf"^#include <((?:{IMPURE_HEADERS})\S*)>", text(p), re.M)]
    assert not headers
    assert not [hit for p in tracked(*PURE) for hit in calls(p, IMPURE_CALLS)]


def test_only_conn_touches_sockets():
    assert not [hit for p in module_files() if p not in SOCKETS for hit in calls(p, SOCKET_CALLS)]


def test_only_fs_opens_beneath_a_root():
    core = [p for p in module_files() if p.startswith("core/") and p not in OPENS]
    assert not [hit for p in core for hit in calls(p, OPEN_CALLS)]


def test_functions_fit_a_screen():
    too_long = [f"{p}:{line}: {name} has {n} lines" for p in c_files()
                for name, line, n in functions(p)
                if n > FUNCTION_LINES and f"{p}:{name}" not in LONG]
    assert not too_long


def test_files_fit_a_coffee():
    def limit(p):
        return TEST_LINES if p.startswith("tests/") else FILE_LINES
    lengths = {p: len(text(p).splitlines()) for p in c_files() + tracked("*.py", "scripts/*")}
    assert not {p: n for p, n in lengths.items() if n > limit(p) and p not in LONG}


def test_no_typedef_of_structs():
    assert not [p for p in c_files() if re.search(r"\btypedef\s+(struct|union|enum)\b", code(p))]


def test_every_file_names_its_licence():
    def first(p):
        lines = text(p).splitlines() + [""]
        return lines[1] if lines[0].startswith("#!") else lines[0]
    wrong = [p for p in c_files() if first(p) != "/* SPDX-License-Identifier: MIT */"]
    wrong += [p for p in tracked("*.py", "*meson.build", "meson_options.txt", "scripts/*", ".ci/*",
                                 *COMMANDS) if first(p) != "# SPDX-License-Identifier: MIT"]
    assert not wrong


def test_headers_say_what_they_are():
    headers = [p for p in module_files() if p.endswith(".h")]
    wrong = [p for p in headers
             if not re.match(rf"/\*[^\n]*\n/\*\n \* {pathlib.Path(p).stem}\b.* -- ", text(p))]
    assert not wrong


def test_no_path_of_one_machine():
    paths = re.compile(r"(?:^|[\s\"'(=:`])/(?:root|work|Users|home/(?!anna))/?\w", re.M)
    own = "tests/style/test_style.py"
    wrong = [p for p in tracked() if p != own and not p.startswith("tests/fuzz/corpus")
             and paths.search((ROOT / p).read_text(errors="replace"))]
    assert not wrong


def test_lines_fit_100_columns():
    """clang-format leaves comments as they are. A row of a table is one line."""
    files = tracked("*.py", "*.md", *COMMANDS) + c_files()
    assert not [f"{p}:{n}" for p in files for n, line in enumerate(text(p).splitlines(), 1)
                if len(line) > 100 and not (p.endswith(".md") and line.startswith("|"))]


def needs(tool):
    if not shutil.which(tool):
        pytest.fail(f"{tool} is not installed")


def test_clang_format_agrees():
    needs("clang-format")
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *c_files()], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]


def test_shellcheck_agrees():
    needs("shellcheck")
    scripts = [p for p in tracked("scripts/*", ".ci/*") if not p.endswith(".py")]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[:3000]
