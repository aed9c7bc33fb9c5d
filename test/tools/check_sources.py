#!/usr/bin/env python3
"""Small rules that no compiler checks: file length, message identifiers, co_await temporaries, leftovers, links in docs, and that
the documentation has every metric and every setting.

Usage: check_sources.py [ROOT].
"""
import pathlib
import re
import subprocess
import sys

MAX_LINES = 600
MESSAGE = re.compile(r'\bMessage\s+k\w+\s*\{\s*"([A-Z0-9_]+)"', re.S)
# g++ 12 destroys aggregate and lambda temporaries inside a co_await expression twice.
CO_AWAIT = re.compile(r"co_await[^;]*(\{[^;]*\}|\[[^\]]*\]\s*\()")
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
# Wall clocks jump: timers and decisions of the BGP speaker know the steady clock alone. These files show or record times.
WALL_CLOCK = re.compile(r"\b(system_clock|utc_clock|CLOCK_REALTIME\w*|gettimeofday|ftime|std::time\s*\(|::time\s*\()")
SHOW_WALL_CLOCK = {"bgpd/io/bmp_sender.cpp", "bgpd/io/mrt_dump.cpp", "bgpd/io/session_report.cpp"}
STEADY = ("bgpd/", "net/", "base/daemon")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


# Where names that operators see are defined, how they look there, and which page must have them.
DOCUMENTED = (
    ("docs/reference/metrics.md", "bgpd/io/metrics.cpp", r'\b(?:each|head)\("(\w+)"', "manul_bgpd_"),
    ("docs/reference/metrics.md", "felix/io/status_pages.cpp", r'\{"(\w+)", (?:nullptr|"\w+"), "', "manul_felix_"),
    ("docs/reference/metrics.md", "felix/io/status_pages.cpp", r'"(manul_felix_\w+\w)"', ""),
    ("docs/reference/metrics.md", "felix/io/rule_counts.cpp", r'"(manul_felix_\w+)"', ""),
    ("docs/reference/metrics.md", "ipam/io/metrics.hpp", r'"(manul_ipamd_\w+)"', ""),
    ("docs/reference/metrics.md", "ipam/io/chores_loop.cpp", r'"(manul_ipamd_\w+)"', ""),
    ("packaging/man/manul.yaml.5", "config/settings.cpp", r'^    \{"([a-z_]+(?:\.[a-z0-9_]+)*)", (?:set_|MANUL_)', ""),
)


def undocumented(root: pathlib.Path) -> list[str]:
    problems = []
    for page, source, pattern, prefix in DOCUMENTED:
        names = re.findall(pattern, (root / source).read_text(), re.M)
        text = (root / page).read_text()
        if not names:
            problems.append(f"{source}: nothing looks like {pattern} any more; mend DOCUMENTED")
        problems += [f"{page}: {prefix}{name} of {source} is not in it" for name in sorted(set(names))
                     if not re.search(rf"(?<!\w){re.escape(prefix + name)}(?!\w)", text)]
    return problems


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    files = [root / name for name in listed.stdout.splitlines()] if listed.returncode == 0 else list(root.rglob("*"))
    problems, seen = undocumented(root), {}
    for file in sorted(f for f in files if f.is_file()):
        path = file.relative_to(root).as_posix()
        if file.suffix in (".cpp", ".hpp", ".py", ".sh"):
            text = file.read_text()
            lines = text.count("\n")
            if lines > MAX_LINES:
                problems.append(f"{path}: {lines} lines; split it (limit {MAX_LINES})")
            if path != "test/tools/check_sources.py":
                for match in LEFTOVER.finditer(text):
                    problems.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: leftover {match.group(1)}")
            for match in CO_AWAIT.finditer(text) if file.suffix in (".cpp", ".hpp") else ():
                line = text.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: name the temporary before co_await (g++ 12 destroys it twice)")
            if path.startswith(STEADY) and path not in SHOW_WALL_CLOCK:
                for match in WALL_CLOCK.finditer(text):
                    line = text.count("\n", 0, match.start()) + 1
                    problems.append(f"{path}:{line}: {match.group(1)} jumps; use the steady clock")
            for identifier in MESSAGE.findall(text) if not path.startswith("test/") else ():
                if seen.setdefault(identifier, path) != path:
                    problems.append(f"{path}: message {identifier} is declared in {seen[identifier]} already")
        elif file.suffix == ".md":
            for target in LINK.findall(file.read_text()):
                if not (file.parent / target).exists():
                    problems.append(f"{path}: link to {target}, which does not exist")
    print("\n".join(problems) if problems else f"sources: {len(files)} files, {len(seen)} messages, nothing to complain of")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
