# SPDX-License-Identifier: MIT
"""The hardening of the program as it was built."""
import os
import pathlib
import platform
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
LANYARD = os.environ.get("LANYARD", str(ROOT / "build/cli/lanyard"))


def readelf(what):
    return subprocess.run(["readelf", "-W", what, LANYARD], capture_output=True, text=True,
                          check=True, env=os.environ | {"LC_ALL": "C"}).stdout


def test_it_is_position_independent():
    assert re.search(r"Type:\s+DYN", readelf("-h"))


def test_relocations_are_read_only_from_the_start():
    assert "GNU_RELRO" in readelf("-l")
    assert "BIND_NOW" in readelf("-d") or re.search(r"FLAGS_1.*NOW", readelf("-d"))


def test_the_stack_is_not_executable():
    flags = re.search(r"GNU_STACK(\s+0x\w+){5}\s+([RWE ]+?)\s+0x", readelf("-l"))
    assert flags and "E" not in flags[2]


def disassembled(function=""):
    words = ["objdump", "-d", "--no-show-raw-insn"]
    words += [f"--disassemble={function}"] if function else []
    return subprocess.run([*words, LANYARD], capture_output=True, text=True, check=True).stdout


on_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="instructions of x86-64")


@on_x86
def test_jumps_can_only_land_where_they_should():
    assert re.search(r"<main>:\s+\w+:\s+endbr64", disassembled("main"))


@on_x86
def test_large_frames_touch_every_page():
    """-fstack-clash-protection: a store of nothing after each page that the stack grows."""
    assert re.search(r"\bor[lq]\s+\$0x0,(0x\w+)?\(%rsp\)", disassembled())


def test_libraries_come_from_where_the_system_keeps_them():
    assert not re.search(r"\((RPATH|RUNPATH)\)", readelf("-d"))


def test_no_segment_is_writable_and_executable():
    for flags in re.findall(r"^\s+\w+(?:\s+0x\w+){5}\s+([RWE ]+?)\s+0x", readelf("-l"), re.M):
        assert not {"W", "E"} <= set(flags)


@pytest.mark.parametrize("symbol", ["__stack_chk_fail", r"__\w+_chk@"],
                         ids=["stack protector", "fortify"])
def test_it_was_compiled_with(symbol):
    assert re.search(symbol, readelf("--dyn-syms"))
