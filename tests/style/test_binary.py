# SPDX-License-Identifier: MIT
"""The hardening of the program as it was built."""
import os
import pathlib
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


@pytest.mark.parametrize("symbol", ["__stack_chk_fail", r"__\w+_chk@"],
                         ids=["stack protector", "fortify"])
def test_it_was_compiled_with(symbol):
    assert re.search(symbol, readelf("--dyn-syms"))
