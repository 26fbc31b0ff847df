"""What a step of each kind of phase costs: the graph network on cached vectors, the language model alone, both end to
end.

    python benchmarks/bench_lm.py training_scripts/debian_packages/pipeline.yaml train.lm.dropout=0.0
    python benchmarks/bench_lm.py PIPELINE --compile --phase gnn --phase lm

Each is measured in a process of its own, so that CPU seconds and peak memory are its own. With --compile each is
measured twice, as it is and with its language model and the layers of its graph network compiled by torch.compile into
an empty cache.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench_gnn import drive
from measure import Clock, exit_with_message, peak_rss_mb, pipeline_of, pipeline_parser, table

from graphstorm_like.config.choice import members_of
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.train import CheckpointConfig
from graphstorm_like.errors import LaunchError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter

_COMPILING = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
"""Of a process that compiles by itself, so that its CPU seconds are counted."""


def measurable_phases() -> dict[str, PhaseConfig]:
    """Phases by their types that can be measured by themselves: all but those that need a teacher."""
    types: Any = members_of(PhaseConfig)
    return {kind: config(name=kind, type=kind) for kind, config in types.items() if not config.needs_teacher}


def strategies_table(pipeline: Pipeline, options: argparse.Namespace) -> str:
    """One row a kind of phase: seconds and CPU seconds a step, texts that got gradients a CPU second, peak memory."""
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    rows = []
    kinds = options.phase or list(measurable_phases())
    for kind, compiled in itertools.product(kinds, [False, True] if options.compile else [False]):
        command = [sys.executable, __file__, "--worker", kind, str(options.steps), *["--compile"] * compiled]
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, **(_COMPILING | {"TORCHINDUCTOR_CACHE_DIR": cache} if compiled else {})}
            given: Any = {"input": pipeline.model_dump_json(), "env": environment}
            done = subprocess.run(command, capture_output=True, text=True, timeout=7200, **given)
        if done.returncode != 0:
            raise LaunchError(f"benchmark process ended with {done.returncode}:\n{done.stderr[-2000:]}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return "\n".join(table(list(rows[0]), [list(r.values()) for r in rows]))


def compile_layers(model: Any) -> None:
    """The layers of a graph network, if it has one, each by itself: shapes are other ones in each batch."""
    for layer in getattr(getattr(model, "gnn", None), "layers", ()):
        layer.compile(dynamic=True)


def measure(pipeline: Pipeline, kind: str, steps: int, compiled: bool = False) -> dict[str, str]:
    """A row, measured in this process: `steps` steps after two that are not timed. compiled: see module."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.inputs.trained_texts import texts_of, token_count
    from graphstorm_like.training.phases.base import phase_of
    from graphstorm_like.training.phases.handover import Handover
    from graphstorm_like.training.trainer import Trainer

    set_threads(pipeline.launch.threads)
    quiet = Reporter(quiet=True)
    # Nothing is to be written: no resume points in the middle of an epoch.
    lm = pipeline.train.lm.model_copy(update={"compile": compiled or pipeline.train.lm.compile})
    train = pipeline.train.model_copy(update={"checkpoint": CheckpointConfig(), "lm": lm})
    pipeline = pipeline.model_copy(update={"train": train})
    handover = Handover(pipeline, pipeline.model.text_encoders())
    experiment = phase_of(measurable_phases()[kind]).build(handover, quiet)
    trainer = Trainer(experiment, Path("unused"), quiet)
    if compiled:
        compile_layers(experiment.model)
    seeds = texts = tokens = 0
    clock, before, first = None, _cpu_seconds(), 0.0
    for number, group in enumerate(drive(trainer, steps + 2)):
        if number == 1:
            first, known, clock = _cpu_seconds() - before, _compiled_graphs(), Clock()
        elif number > 1:
            for batch in group:
                seeds += sum(len(ids) for ids in batch.seeds.values())
                texts += sum(len(chosen.unique) for *_, chosen in texts_of(batch))
                tokens += token_count(batch)
    assert clock is not None, "there are at least three steps"
    wall, cpu = clock.wall, clock.cpu
    return {
        "phase": kind + " compiled" * compiled,
        "seeds a step": f"{seeds / steps:,.0f}",
        "texts trained": f"{texts / steps:,.0f}",
        "tokens trained": f"{tokens / steps:,.0f}",
        "s/step": f"{wall / steps:.3f}",
        "cpu s/step": f"{cpu / steps:.3f}",
        "texts/cpu s": f"{texts / cpu:.1f}" if texts else "-",
        "epoch cpu s": f"{cpu / steps * trainer.stream.steps:,.0f}",
        "peak MB": f"{peak_rss_mb():,.0f}",
        "first two steps, cpu s": f"{first:.1f}",
        "graphs compiled then, later": f"{known}, {_compiled_graphs() - known}",
    }


def _cpu_seconds() -> float:
    """Of this process and of those that it has waited for, such as compilers."""
    return sum(os.times()[:4])


def _compiled_graphs() -> int:
    """How many pieces of models torch.compile has compiled, each again for each kind of shape."""
    dynamo: Any = sys.modules.get("torch._dynamo.utils")
    return 0 if dynamo is None else int(dynamo.counters["stats"]["unique_graphs"])


def main(arguments: Sequence[str]) -> None:
    """Print the table. `--worker`: the measuring process, pipeline on standard input, the row as the last line."""
    if arguments[:1] == ["--worker"]:
        pipeline: Any = Pipeline.model_validate_json(sys.stdin.read())
        print(json.dumps(measure(pipeline, arguments[1], int(arguments[2]), "--compile" in arguments)))
        return
    parser = pipeline_parser("Steps of language model training, alone and end to end, beside the graph network's.")
    parser.add_argument("--steps", type=int, default=10, help="steps to time, after two that are not")
    parser.add_argument("--phase", action="append", choices=list(measurable_phases()), help="default: all")
    parser.add_argument("--compile", action="store_true", help="measure also with torch.compile")
    options = parser.parse_intermixed_args(arguments)
    print(strategies_table(pipeline_of(options), options))


if __name__ == "__main__":
    exit_with_message(main)
