#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads every #include "…" of the project and fails on one that the house does not allow (CONTRIBUTING.md).

usage: check_includes.py ROOT
"""

import os
import re
import sys

# Folder of the including file -> folders it may include from, besides itself. The longest matching folder counts.
ALLOWED = {
    "base": [],
    "proto": ["base"],
    "preload/abi": [],
    "preload": ["preload/abi"],
    "preload/field_numbers": ["proto"],  # the protoc plugin: a build tool, not part of the shim
    "collector/aggregate": ["proto", "base"],
    "collector": ["collector/aggregate", "preload/abi", "proto", "base"],
    "viewer/names": ["proto", "base"],
    "viewer/model": ["collector/aggregate", "proto", "base"],
    "viewer/cli": ["viewer/names", "viewer/model", "viewer/export", "collector", "collector/aggregate", "proto", "base"],
    "viewer/tui": ["viewer/names", "viewer/model", "collector/aggregate", "proto", "base"],
    "viewer/web": ["viewer/names", "viewer/model", "collector/aggregate", "proto", "base"],
    "viewer/export": ["viewer/names", "viewer/model", "collector/aggregate", "proto", "base"],
    "replay": ["viewer/model", "collector/aggregate", "proto", "base"],
}
FREE = ("tests", "bench")  # may include anything; nothing may include them
GENERATED = re.compile(r"^(generated/|preload/generated/)")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SOURCES = (".cc", ".h", ".c", ".S", ".def")


def folder_of(path, folders):
    """The longest of `folders` that holds `path`, or None."""
    matches = [f for f in folders if path.startswith(f + "/")]
    return max(matches, key=len) if matches else None


def check(root):
    problems = []
    seen = 0
    for where, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith(".") and f != "build"]
        for name in files:
            if not name.endswith(SOURCES):
                continue
            path = os.path.relpath(os.path.join(where, name), root)
            if path.startswith(FREE):
                continue
            home = folder_of(path, ALLOWED)
            if home is None:
                problems.append(f"{path}: stands in no folder that check_includes.py knows")
                continue
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read()
            for included in INCLUDE.findall(text):
                seen += 1
                if included.startswith(("absl/", "google/")) or GENERATED.match(included):
                    continue
                if "/" not in included:
                    problems.append(f'{path}: #include "{included}" is not written from the root of the project')
                    continue
                target = folder_of(included, list(ALLOWED) + list(FREE))
                if target != home and target not in ALLOWED[home]:
                    problems.append(f'{path}: {home} must not include "{included}" ({target or "unknown folder"})')
    return seen, problems


def main():
    seen, problems = check(sys.argv[1])
    for problem in problems:
        print(problem)
    print(f"{seen} includes read, {len(problems)} not allowed")
    if seen == 0:
        print("no include was read: is the path the root of the project?")
        return 1
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
