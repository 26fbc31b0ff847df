"""Prints the requirements of this project with some extras: python docker/dependencies.py text,minilm

Reads pyproject.toml alone, so that an image can install them in a layer of their own, before the code.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path


def requirements(project: dict, extras: list[str]) -> list[str]:
    """Of the library and of the extras. SystemExit when there is no such extra."""
    optional = project["optional-dependencies"]
    wanted = [*project["dependencies"], "setuptools>=77"]  # setuptools builds the code in the next layer
    for extra in extras:
        if extra not in optional:
            raise SystemExit(f"EXTRAS: unknown extra '{extra}' (known: {', '.join(sorted(optional))})")
        wanted += optional[extra]
    return wanted


if __name__ == "__main__":
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    names = [name for name in sys.argv[1].split(",") if name]
    print(*requirements(tomllib.loads(text)["project"], names), sep="\n")
