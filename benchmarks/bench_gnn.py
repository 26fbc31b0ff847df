"""Training epochs of a user's own pipeline on cached text vectors: seconds, sampled edges a second, peak memory.

    python benchmarks/bench_gnn.py training_scripts/debian_packages/pipeline.yaml --epochs 3

Measured in a process of its own, so that CPU seconds and peak memory are its own.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Clock, exit_with_message, peak_rss_mb, pipeline_of, pipeline_parser, table

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.train import CheckpointConfig
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter

if TYPE_CHECKING:
    from graphstorm_like.sampling.batch import MiniBatch


def gnn_table(pipeline: Pipeline, epochs: int) -> str:
    """Epochs of training on cached text vectors, with validation apart."""
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    command = [sys.executable, __file__, "--worker", str(epochs)]
    done = subprocess.run(command, input=pipeline.model_dump_json(), capture_output=True, text=True, timeout=3600)
    if done.returncode != 0:
        raise LaunchError(f"benchmark process ended with {done.returncode}:\n{done.stderr[-2000:]}")
    rows: list[dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return "\n".join(table(list(rows[0]), [list(r.values()) for r in rows]))


def measure_gnn(pipeline: Pipeline, epochs: int) -> list[dict[str, str]]:
    """Rows of numbers, measured in this process: sampling alone, training, validation, layer-wise embeddings."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.sampling.loader import epoch_batches
    from graphstorm_like.training.experiment import build_experiment
    from graphstorm_like.training.trainer import Trainer

    set_threads(pipeline.launch.threads)
    # Nothing is to be written: no resume points in the middle of an epoch.
    train = pipeline.train.model_copy(update={"checkpoint": CheckpointConfig()})
    pipeline = pipeline.model_copy(update={"train": train})
    experiment = build_experiment(pipeline, Reporter(quiet=True))
    trainer = Trainer(experiment, Path("unused"), Reporter(quiet=True))
    stream, batches = trainer.stream, trainer.batches
    edges = 0
    clock = Clock()
    for batch in epoch_batches(batches, stream, 0):
        edges += sum(len(r.sources) for b in batch.blocks for r in b.relations.values())
    rows = [_row(clock, "sample + fetch, one epoch", stream.steps, edges)]
    _epoch(trainer, 0)
    clock = Clock()
    for epoch in range(1, epochs + 1):
        _epoch(trainer, epoch)
    rows.append(_row(clock, f"train, {epochs} epochs", stream.steps * epochs, edges * epochs))
    clock = Clock()
    how = experiment.task.evaluation(pipeline.train.fanouts, pipeline.seed)
    experiment.task.evaluate(experiment.embedder(), "valid", how)
    rows.append(_row(clock, "validate", 1, 0))
    clock = Clock()
    experiment.embedder().layer_wise(experiment.task.node_types)
    rows.append(_row(clock, "all vectors, layer-wise", 1, experiment.graph.manifest.num_edges))
    return rows


def drive(trainer: Any, steps: int, epoch: int = 0) -> Iterator[list[MiniBatch]]:
    """Run up to `steps` optimizer steps of an epoch, without checkpoints or validation; yields after each."""
    trainer.tracker = _NoTracker()
    state = trainer.state
    state.epoch, state.step, state.updates = epoch, 0, epoch * trainer.updates_per_epoch
    with Reporter(quiet=True).meter("", 1) as meter:
        for group in itertools.islice(trainer.groups(), steps):
            trainer.update(group, meter)
            yield group


def _epoch(trainer: Any, epoch: int) -> None:
    for _ in drive(trainer, trainer.updates_per_epoch, epoch):
        pass


class _NoTracker:
    def log(self, *_: Any, **__: Any) -> None:
        """Nothing is kept."""


def _row(clock: Clock, phase: str, steps: int, edges: int) -> dict[str, str]:
    """One line of the table. Peak memory is the process's so far."""
    wall, cpu = clock.wall, clock.cpu
    return {
        "phase": phase,
        "steps": f"{steps:,}",
        "seconds": f"{wall:.2f}",
        "cpu s": f"{cpu:.2f}",
        "ms/step": f"{1000 * wall / steps:.1f}",
        "edges/s": f"{edges / wall:,.0f}" if edges else "-",
        "edges/cpu s": f"{edges / cpu:,.0f}" if edges else "-",
        "peak MB": f"{peak_rss_mb():,.0f}",
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table. `--worker`: the measuring process, pipeline on standard input, rows as the last line."""
    if arguments[:1] == ["--worker"]:
        pipeline = Pipeline.model_validate_json(sys.stdin.read())
        print(json.dumps(measure_gnn(pipeline, int(arguments[1]))))
        return
    parser = pipeline_parser("Training epochs on cached text vectors.")
    parser.add_argument("--epochs", type=int, default=3, help="epochs to time, after one that is not")
    options = parser.parse_intermixed_args(arguments)
    print(gnn_table(pipeline_of(options), options.epochs))


if __name__ == "__main__":
    exit_with_message(main)
