"""What tests of faults need beside `graphstorm_like.bench.jobs`: whole runs, and a list of how long things took."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from graphstorm_like.bench.jobs import GSL


def gsl(yaml: Path, changes: Sequence[str], watch: Callable[[str, int], None] = lambda *_: None) -> tuple[int, str]:
    """Exit status and lines of `gsl run`; `watch` is called with every line and the launcher's process id."""
    said = []
    with subprocess.Popen(
        [*GSL, "run", str(yaml), *changes], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as launcher:
        assert launcher.stdout is not None
        for line in launcher.stdout:
            said.append(line)
            watch(line, launcher.pid)
    return launcher.returncode, "".join(said)


def record(fault: str, ends: str, detected: float | None = None, recovered: float | None = None) -> None:
    """Seconds from a fault until it was noticed, and until the job trained on: to the terminal and, an object a line,
    to the JSON file that GSL_FAULTS_JSON names."""
    row = {"fault": fault, "ends": ends}
    row |= {k: round(v, 1) for k, v in (("detected", detected), ("recovered", recovered)) if v is not None}
    print(json.dumps(row))
    if file := os.environ.get("GSL_FAULTS_JSON"):
        with open(file, "a", encoding="utf-8") as lines:
            lines.write(f"{json.dumps(row)}\n")
