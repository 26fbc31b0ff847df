"""/opt/ml: where SageMaker puts what a job needs, and looks for what it leaves. SM_ROOT names another folder.

input/config/{hyperparameters,resourceconfig,inputdataconfig}.json    of a training job
input/data/<channel>/     processing/input/<name>/ of a processing job
checkpoints/              copied to S3 while a training job runs, and back when it starts again
model/                    becomes model.tar.gz
output/data/, output/failure, output/message
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphstorm_like.errors import LaunchError

ROOT_VARIABLE = "SM_ROOT"
REASON_BYTES = 1024
"""What SageMaker shows of a reason."""


def ml_root() -> Path:
    """/opt/ml, or SM_ROOT."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/opt/ml")


@dataclass(frozen=True)
class Hosts:
    """The machines of a training job. names: algo-1, algo-2 ...; index: which of them this is."""

    names: tuple[str, ...]
    index: int


def read_config(root: Path, name: str, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """An object of input/config/. Raises LaunchError when it cannot be read; with `default`, not when it is missing."""
    path = root / "input/config" / name
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if default is not None:
            return default
        raise LaunchError(f"{path}: must be there, as SageMaker writes it. Is this a training job?") from None
    except (OSError, ValueError) as err:
        raise LaunchError(f"{path}: must be readable JSON ({err})") from None
    if not isinstance(content, dict):
        raise LaunchError(f"{path}: must be an object (got {type(content).__name__})")
    return content


def read_hosts(root: Path) -> Hosts:
    """From resourceconfig.json; the order of names is the same on every host."""
    told = read_config(root, "resourceconfig.json")
    try:
        names = tuple(sorted(map(str, told["hosts"]), key=_by_number))
        return Hosts(names, names.index(str(told["current_host"])))
    except (KeyError, TypeError, ValueError) as err:
        raise LaunchError(f"resourceconfig.json: must name the hosts, and the current one among them ({err})") from None


def _by_number(name: str) -> tuple[str, int, str]:
    """algo-10 after algo-9."""
    stem, _, number = name.rpartition("-")
    return (stem, int(number), name) if number.isdecimal() else (name, 0, name)


def channel(root: Path, name: str) -> Path | None:
    """The folder of an input channel; None when the job has no such channel. Raises LaunchError for one that is not
    there: its URL leads to nothing."""
    folder = root / "input/data" / name
    if name not in read_config(root, "inputdataconfig.json", {}):
        return None
    if not folder.is_dir():
        raise LaunchError(f"{folder}: must be there, since the job has a channel '{name}'. Does its URL lead anywhere?")
    return folder


def write_reason(path: Path, reason: str) -> None:
    """Leave a reason for SageMaker to show, which takes the beginning of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(reason.encode("utf-8")[:REASON_BYTES].decode("utf-8", "ignore").encode())
