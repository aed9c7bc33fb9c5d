#!/usr/bin/env python3
"""Fails on an include that breaks the dependency direction, and on I/O headers or clocks in pure folders.

Usage: check_layering.py [ROOT]. The table below is the architecture; docs/pipeline.md draws it.
"""
import pathlib
import re
import sys

# module -> modules that it may include (itself always). The longest prefix of a path decides its module.
ALLOWED = {
    "base": [],
    "net": ["base"],
    "net/netlink": ["base", "net"],
    "config/model": ["base", "net"],
    "config/codec": ["base", "net", "config/model"],
    "config/calico": ["base", "net", "config/model", "config/codec"],
    "config/store": ["base", "net", "config/model", "config/codec"],
    "config": ["base", "net", "config/model", "config/codec", "config/store"],
    "bgpd/wire": ["base", "net"],
    "bgpd/bfd": ["base", "net"],
    "bgpd/mrt": ["base", "net", "bgpd/wire"],
    "bgpd/fsm": ["base", "net", "bgpd/wire"],
    "bgpd/policy": ["base", "net", "bgpd/wire"],
    "bgpd/rib": ["base", "net", "bgpd/wire", "bgpd/policy"],
    "bgpd/speaker": ["base", "net", "config/model", "bgpd/wire", "bgpd/bfd", "bgpd/fsm", "bgpd/policy", "bgpd/rib"],
    "bgpd/bmp": ["base", "net", "bgpd/wire", "bgpd/fsm", "bgpd/speaker"],
    "bgpd/io": ["base", "net", "net/netlink", "config", "config/model", "config/codec", "config/store", "bgpd",
                "bgpd/wire", "bgpd/bfd", "bgpd/bmp", "bgpd/mrt", "bgpd/fsm", "bgpd/policy", "bgpd/rib",
                "bgpd/speaker"],
    "bgpd": ["base", "config", "config/store", "bgpd/io", "bgpd/speaker"],
    "ipam/local": ["base", "net"],
    "ipam/core": ["base", "net", "config/model", "ipam/local"],
    "ipam/service": ["base", "net", "config/model", "config/codec", "config/store", "ipam/core", "ipam/local"],
    "ipam/io": ["base", "net", "net/netlink", "config", "config/model", "config/codec", "config/store", "ipam", "ipam/core",
                "ipam/local", "ipam/service"],
    "ipam": ["base", "config", "config/store", "ipam/io", "ipam/service"],
    "felix/model": ["base", "net"],
    "felix/eval": ["base", "net", "felix/model"],
    "felix/calc": ["base", "net", "config/model", "felix/model"],
    "felix/render": ["base", "net", "felix/model"],
    "felix/nft": ["base", "net", "net/netlink", "felix/render"],
    "felix/io": ["base", "net", "net/netlink", "config", "config/model", "config/codec", "config/store", "felix",
                 "felix/model", "felix/calc", "felix/render", "felix/nft", "felix/eval"],
    "felix": ["base", "config", "config/store", "felix/io"],
    "cni": ["base", "net", "net/netlink", "ipam/local"],
    "ctl/output": ["base", "net", "config", "config/model", "config/codec", "config/store", "ctl"],
    "serve": ["base", "net", "config/model", "config/codec", "config/store"],
    "serve/io": ["base", "net", "config", "config/model", "config/codec", "config/store", "serve"],
    "ctl": ["base", "net", "config", "serve/io:run", "ctl/output", "config/model", "config/codec", "config/store", "bgpd/policy", "felix/model",
            "felix/calc", "felix/eval", "felix/render", "felix/nft", "felix/io:store_events", "felix/io:nft_apply", "felix/io:conntrack",
            "felix/io:last_good_journal", "felix/io:shaper", "net/netlink", "ipam/core", "ipam/local", "ipam/service",
            "config/calico", "serve:patch", "serve:selection", "serve:status"],
}

# Folders of pure logic; a single file of a mixed folder is named with its path.
PURE = ["net", "config/calico", "config/model", "bgpd/wire", "bgpd/bfd", "bgpd/bmp", "bgpd/mrt", "bgpd/fsm", "bgpd/policy", "bgpd/rib", "bgpd/speaker", "felix/model",
        "felix/eval", "felix/calc", "felix/render", "felix/nft",
        "serve", "ipam/core", "ipam/local/protocol"]
PURE_EXCEPT = ["net/netlink", "serve/io", "serve/page_cache"]
FORBIDDEN = re.compile(
    r'#include\s+[<"](boost/asio|boost/beast|netlink/|nftables/|sqlite3|yaml-cpp|spdlog|thread>|mutex>|filesystem>|'
    r'sys/socket|fstream>|iostream>|unistd)')
CLOCK = re.compile(r"(steady_clock|system_clock|high_resolution_clock)::now|\bclock_gettime\b|\btime\(nullptr\)")
INCLUDE = re.compile(r'#include\s+"([^"]+)"')


def module_of(path: str) -> str | None:
    best = None
    for name in ALLOWED:
        if path.startswith(name + "/") and (best is None or len(name) > len(best)):
            best = name
    return best


def is_pure(path: str) -> bool:
    stem = path.rsplit(".", 1)[0]
    if any(path.startswith(name + "/") or stem == name for name in PURE_EXCEPT):
        return False
    return any(path.startswith(name + "/") or stem == name for name in PURE)


def allowed(module: str, included: str) -> bool:
    target = module_of(included)
    if target is None or target == module or target in ALLOWED[module]:
        return True
    stem = included.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return f"{target}:{stem}" in ALLOWED[module]


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    problems = []
    tops = sorted({name.split("/")[0] for name in ALLOWED})
    files = [f for top in tops for f in (root / top).rglob("*.[ch]pp")]
    for file in sorted(files):
        path = file.relative_to(root).as_posix()
        module = module_of(path)
        for number, line in enumerate(file.read_text().splitlines(), 1):
            include = INCLUDE.match(line)
            if include and not allowed(module, include.group(1)):
                problems.append(f"{path}:{number}: {module} must not include {include.group(1)}")
            if include and not (root / include.group(1)).exists():
                problems.append(f"{path}:{number}: include by path from the repository root: {include.group(1)}")
            if is_pure(path) and FORBIDDEN.match(line):
                problems.append(f"{path}:{number}: I/O header in a pure folder: {line.strip()}")
            if is_pure(path) and CLOCK.search(line):
                problems.append(f"{path}:{number}: pure code takes the time as an argument: {line.strip()}")
    print("\n".join(problems) if problems else f"layering: {len(files)} files, no forbidden include")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
