"""`gsl bench gpu`: the same training on the CPU and on the GPU: equal losses, time of an epoch, memory.

Batches depend on their position only, so both devices see the same ones; without dropout their losses differ by
rounding alone. bfloat16 rounds more, and is compared with wider bounds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from graphstorm_like.bench.folder import start_folder
from graphstorm_like.config.load import load_pipeline
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.errors import LaunchError, TrainingError
from graphstorm_like.launch.process import GSL
from graphstorm_like.launch.show.table import table
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.training.tracking import read_metrics

EPOCHS = 3
COMPARED_UPDATES = 10
"""Updates whose losses are compared: rounding adds up later."""


@dataclass(frozen=True)
class Setting:
    """One training. tolerance: how far its losses may be from those of the first setting, relative to these."""

    name: str
    device: str
    precision: str
    tolerance: float


SETTINGS = (
    Setting("CPU, float32", "cpu", "float32", 0.0),
    Setting("GPU, float32", "cuda", "float32", 1e-3),
    Setting("GPU, bfloat16", "cuda", "bfloat16", 5e-2),
)


@dataclass(frozen=True)
class Measured:
    """What one training gave. apart: the largest relative distance of its losses from the first setting's."""

    setting: Setting
    epoch_seconds: float
    seeds_per_second: float
    gpu_bytes: int | None
    apart: float

    @property
    def is_equal(self) -> bool:
        """Within the tolerance."""
        return self.apart <= self.setting.tolerance


def why_no_gpu() -> str:
    """Why nothing can be measured; '' with a GPU."""
    import torch

    if torch.cuda.is_available():
        return ""
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPUs only"
    return f"torch {torch.__version__}, {build}, sees no CUDA device"


def bench_gpu(
    yaml: Path,
    overrides: Sequence[str],
    folder: Path,
    reporter: Reporter,
    settings: Sequence[Setting] = SETTINGS,
) -> list[Measured]:
    """Train with each setting. Raises LaunchError, before anything is done, without a GPU."""
    if any(setting.device == "cuda" for setting in settings) and (reason := why_no_gpu()):
        raise LaunchError(f"gsl bench gpu: must run on a machine with a GPU ({reason}). Nothing was measured")
    pipeline = load_pipeline(yaml, overrides)
    start_folder(folder)
    graph = _construct(pipeline, yaml, overrides, folder)
    found: list[Measured] = []
    reference: list[float] = []
    for number, setting in enumerate(settings):
        output = folder / f"run-{number}"
        with reporter.step(setting.name):
            _run("train", yaml, [*overrides, *_changes(pipeline, setting, output), f"graph.path={graph}"])
        records = read_metrics(output / "train")
        losses = [record["loss"] for record in records if record["kind"] == "train"][:COMPARED_UPDATES]
        reference = reference or losses
        found.append(_measured(setting, records, losses, reference))
    return found


def _construct(pipeline: Pipeline, yaml: Path, overrides: Sequence[str], folder: Path) -> Path:
    if not pipeline.graph.nodes:
        return stage_folder(pipeline, "construct")
    graph = folder / "graph"
    _run("construct", yaml, [*overrides, f"output={folder / 'constructed'}", f"graph.path={graph}"])
    return graph


def _changes(pipeline: Pipeline, setting: Setting, output: Path) -> list[str]:
    changes = [
        f"output={output}",
        f"cache={output.parent / 'cache'}",
        f"train.device={setting.device}",
        f"train.precision={setting.precision}",
        f"train.epochs={EPOCHS}",
        "train.early_stop=null",
        "train.track.every_steps=1",
        "model.input_dropout=0.0",
        "train.lm.dropout=0.0",
    ]
    sections: dict[str, Any] = {
        "model.gnn": pipeline.model.gnn, "train.lm.tune": pipeline.train.lm.tune, "task": pipeline.task
    }  # fmt: skip
    for name, section in sections.items():
        keys = [key for key in ("dropout", "attention_dropout") if getattr(section, key, None)]
        changes += [f"{name}.{key}=0.0" for key in keys]
    return changes


def _run(verb: str, yaml: Path, changes: Sequence[str]) -> None:
    done = subprocess.run(
        [*GSL, verb, str(yaml), *changes], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise TrainingError(
            f"gsl {verb} {yaml}: must succeed for a benchmark, but said:\n{done.stderr.strip()[-2000:]}"
        )


def _measured(
    setting: Setting, records: Sequence[dict[str, Any]], losses: Sequence[float], reference: Sequence[float]
) -> Measured:
    epochs = [record for record in records if record["kind"] == "epoch"]
    last = [r["seeds_per_second"] for r in records if r["kind"] == "train" and r["epoch"] == epochs[-1]["epoch"]]
    of_first = np.array(reference)
    apart = np.max(np.abs(np.array(losses) - of_first) / np.maximum(np.abs(of_first), 1e-12))  # NaN stays NaN
    return Measured(
        setting, epochs[-1]["seconds"], sorted(last)[len(last) // 2], epochs[-1].get("gpu_bytes"), float(apart)
    )


def lines(found: Sequence[Measured]) -> Iterator[str]:
    """For people."""
    rows = []
    for one in found:
        memory = "" if one.gpu_bytes is None else f"{one.gpu_bytes / 1e9:.2f}"
        parity = "" if one.setting.tolerance == 0.0 else ("equal" if one.is_equal else "NOT equal")
        speed = [f"{one.epoch_seconds:.2f}", f"{one.seeds_per_second:,.0f}"]
        rows.append([one.setting.name, *speed, memory, f"{one.apart:.1e}", parity])
    yield from table(["setting", "epoch s", "seeds/s", "GPU GB", "losses apart", "parity"], rows)


def as_json(found: Sequence[Measured]) -> list[dict[str, Any]]:
    """For scripts."""
    return [{**asdict(one), "is_equal": one.is_equal} for one in found]
