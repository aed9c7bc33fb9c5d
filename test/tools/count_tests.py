#!/usr/bin/env python3
"""Adds up what the test programs say of themselves and closes with one line: `N passed, N failed`.

Usage: count_tests.py TESTLOG.json... (meson's logs, one JSON object a line)
"""
import json
import re
import sys

ALL_PASSED = re.compile(r"All tests passed \((?:\d+ assertions? in )?(\d+) test cases?\)")
CATCH_SOME = re.compile(r"test cases:\s*(\d+)(?: \|\s*(\d+) passed)?(?: \|\s*(\d+) failed)?")
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def count(entry: dict) -> tuple[int, int]:
    text = entry.get("stdout", "")
    ok = entry["result"] in ("OK", "EXPECTEDFAIL")
    if match := ALL_PASSED.search(text):
        return int(match.group(1)), 0 if ok else 1
    if match := CATCH_SOME.search(text):
        return int(match.group(2) or 0), int(match.group(3) or 0) or (0 if ok else 1)
    if match := PLAIN.search(text):
        return int(match.group(1)), int(match.group(2)) or (0 if ok else 1)
    return (1, 0) if ok else (0, 1)


def main() -> int:
    passed = failed = 0
    suites: dict[str, list[int]] = {}
    for log in sys.argv[1:]:
        with open(log) as file:
            for line in file:
                entry = json.loads(line)
                good, bad = count(entry)
                passed += good
                failed += bad
                name = entry["name"].partition(" / ")[0].split(":")[-1].split("+")[0]  # "manul:netns+sanitize / cni"
                row = suites.setdefault(name, [0, 0])
                row[0] += good
                row[1] += bad
    for name, (good, bad) in sorted(suites.items()):
        print(f"  {name:<12} {good:>5} passed {bad:>5} failed")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
