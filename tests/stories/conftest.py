# SPDX-License-Identifier: MIT
"""Fixtures of the stories. A machine that cannot build a LAN skips them; scripts/test counts that
as a failure."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lan"))

from lan import Lan, usable  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "threads: worth a run with ThreadSanitizer")
    config.addinivalue_line("markers", "unsanitized: measures memory or speed of the real program")


def pytest_collection_modifyitems(items):
    reason = usable()
    if reason:
        for item in items:
            item.add_marker(pytest.mark.skip(reason=f"no LAN on this machine: {reason}"))


@pytest.fixture
def lan():
    """anna and bert, each with its avahi-daemon"""
    with Lan(2) as made:
        yield made


@pytest.fixture
def cable():
    """anna and bert without daemons: for what needs no discovery"""
    with Lan(2, daemons=False) as made:
        yield made
