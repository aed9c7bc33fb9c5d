#!/usr/bin/env python3
"""Writes manulctl(1) out of the help texts of the program, so that the page never says less or more than it.

Usage: manulctl_page.py MANULCTL HEAD TAIL OUTPUT   (HEAD and TAIL: what the page says before and after the commands)
"""
import pathlib
import re
import subprocess
import sys


def roff(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def help_of(program: str, words: list[str]) -> list[str]:
    return subprocess.run([program, *words, "--help"], capture_output=True, text=True, check=True).stdout.splitlines()


def section(lines: list[str], heading: str) -> list[str]:
    """The indented lines below "Options:" or another heading."""
    if heading + ":" not in lines:
        return []
    start = lines.index(heading + ":") + 1
    end = next((i for i in range(start, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return lines[start:end]


def entries(lines: list[str]) -> list[tuple[str, str]]:
    """("-o,--output TEXT", "json or yaml") of each entry; a deeper indented line goes on with the one before."""
    found: list[list[str]] = []
    for line in lines:
        if line.startswith("  ") and line[2] != " ":
            name, _, words = line.strip().partition("  ")
            found.append([name, words.strip()])
        elif found:
            found[-1][1] = (found[-1][1] + " " + line.strip()).strip()
    return [(name, words) for name, words in found]


def command(program: str, words: list[str], out: list[str]) -> None:
    lines = help_of(program, words)
    usage = next(line for line in lines if line.startswith("Usage: ")).split(" ", 2)[2]
    about = " ".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("Usage: "))])
    children = [name for name, _ in entries(section(lines, "Subcommands"))]
    if not children:
        out += [".SS " + roff("manulctl " + usage), roff(about)]
        for heading in ("Positionals", "Options"):
            for name, text in entries(section(lines, heading)):
                if not name.startswith("-h,"):
                    out += [".TP", f"\\fB{roff(name)}\\fR", roff(text)]
    for child in children:
        command(program, [*words, child], out)


def main() -> None:
    program, head, tail, output = sys.argv[1:]
    body: list[str] = []
    command(program, [], body)
    page = [pathlib.Path(head).read_text().rstrip(), *body, pathlib.Path(tail).read_text().rstrip(), ""]
    pathlib.Path(output).write_text("\n".join(page))


if __name__ == "__main__":
    main()
