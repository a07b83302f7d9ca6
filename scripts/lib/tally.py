# SPDX-License-Identifier: MIT
"""tally -- how many tests passed and failed: prints "PASSED FAILED"

    tally.py meson BUILD/meson-logs/testlog.json     every cmocka test of every program
    tally.py junit REPORT.xml                        every pytest test; a skipped one has failed
    tally.py campaign OUTPUT                         every round that was played

A program that ends with an error (crash, time-out, sanitizer report) although no single test of it
failed counts as one failure. Reads nothing: zero of each, which the caller must treat as failure.
"""
import json
import re
import sys
import xml.etree.ElementTree


def meson(path):
    passed = failed = 0
    with open(path) as f:
        for line in f:
            program = json.loads(line)
            output = program.get("stdout", "") + program.get("stderr", "")
            started = len(re.findall(r"^\[ RUN      \]", output, re.M))
            ok = len(re.findall(r"^\[       OK \]", output, re.M))
            bad = started - ok
            if program["result"] != "OK":
                bad = max(bad, 1)
            elif started == 0:  # not a cmocka program: it counts as one test
                ok = 1
            passed, failed = passed + ok, failed + bad
    return passed, failed


def junit(path):
    passed = failed = 0
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        count = {k: int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")}
        bad = min(count["tests"], count["failures"] + count["errors"] + count["skipped"])
        passed, failed = passed + count["tests"] - bad, failed + bad
    return passed, failed


def campaign(path):
    """Its last line; a campaign that did not get there counts nothing."""
    with open(path) as f:
        last = f.read().rstrip("\n").rpartition("\n")[2]
    found = re.match(r"\d+ rounds, (\d+) ok, (\d+) failed,", last)
    return (int(found[1]), int(found[2])) if found else (0, 0)


if __name__ == "__main__":
    print(*{"meson": meson, "junit": junit, "campaign": campaign}[sys.argv[1]](sys.argv[2]))
