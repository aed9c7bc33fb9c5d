#!/usr/bin/env python3
"""Writes docs/reference/messages.md: every log message that a program can write, and what to do about it.

Usage: message_list.py [--check]   (--check: only fail when the page is not what the sources say)
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/messages.md"
PROGRAMS = {"bgpd": "manul-bgpd", "felix": "manul-felix", "ipam": "manul-ipamd", "cni": "the CNI plugin",
            "ctl": "manulctl", "serve": "manulctl serve", "config": "all programs", "base": "all programs"}
STRING = r'((?:\s*"(?:[^"\\]|\\.)*")+)'
MESSAGE = re.compile(r'\bMessage\s+k\w+\s*\{' + STRING + r'\s*,\s*(?:log::)?Level::(\w+)\s*,' + STRING + r'\s*,' + STRING + r'\s*\}')


def joined(literals: str) -> str:
    text = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))
    return text.replace('\\"', '"').replace("\\n", " ").replace("|", "\\|").replace("<", "&lt;")


def page() -> str:
    out = ["# Log messages", "",
           "Every line that a program logs has one of these identifiers. `{}` stands for a value. This page is written by",
           "`test/tools/message_list.py` from the declarations in the code.", ""]
    for folder, program in PROGRAMS.items():
        rows = []
        for file in sorted((ROOT / folder).rglob("*.[ch]pp")):
            rows += [(joined(i), level, joined(text), joined(action)) for i, level, text, action in MESSAGE.findall(file.read_text())]
        if rows and f"## {program}" not in out:
            out += [f"## {program}", "", "| Message | Level | Text | What to do |", "|---|---|---|---|"]
        elif rows:
            out.pop()  # goes on with the table before
        out += [f"| `{i}` | {level} | {text} | {action} |" for i, level, text, action in sorted(rows)]
        if rows:
            out.append("")
    return "\n".join(out)


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            print("docs/reference/messages.md is not what the sources say; run test/tools/message_list.py")
            return 1
        print(f"messages: {text.count(chr(10) + '| `')} described")
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
