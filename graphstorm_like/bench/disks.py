"""A small file system of one's own, to be filled. Needs the right to mount."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from graphstorm_like.errors import LaunchError

_BLOCK = bytes(65_536)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of a size ('8m'), in memory, as `folder`; gone afterwards. Raises LaunchError without the right."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as err:
        raise LaunchError(f"mount: must be there ({err})") from None
    if done.returncode:
        raise LaunchError(f"{folder}: must be a place to mount at ({done.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path) -> Path:
    """Write a file until no room is left; returns it."""
    filler = folder / "filler"
    for block in (_BLOCK, bytes(512)):
        with contextlib.suppress(OSError), open(filler, "ab", buffering=0) as file:
            while file.write(block) == len(block):
                pass
    return filler


@functools.cache
def why_no_disk() -> str:
    """Why this machine gives no small disk; '' when it does."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        return "needs root"
    with tempfile.TemporaryDirectory() as name:
        try:
            with small_disk(Path(name) / "disk", "64k"):
                return ""
        except LaunchError as err:
            return f"needs the right to mount ({err})"
