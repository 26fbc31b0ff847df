"""The folder that a benchmark works in."""

from __future__ import annotations

import shutil
from pathlib import Path

from graphstorm_like.errors import LaunchError

_MARK = ".gsl-bench"


def start_folder(folder: Path) -> None:
    """Make it, or empty it when an earlier benchmark has made it. Raises LaunchError when it holds anything else."""
    mark = folder / _MARK
    if folder.exists() and not mark.is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise LaunchError(f"{folder}: must be empty, or of an earlier benchmark: it is emptied. Give another --output")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()
