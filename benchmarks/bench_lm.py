"""What a step of each kind of phase costs: the graph network on cached vectors, the language model alone, both end to
end.

    python benchmarks/bench_lm.py training_scripts/debian_packages/pipeline.yaml train.lm.dropout=0.0

Each is measured in a process of its own, so that CPU seconds and peak memory are its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
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


def measurable_phases() -> dict[str, PhaseConfig]:
    """Phases by their types that can be measured by themselves: all but those that need a teacher."""
    types: Any = members_of(PhaseConfig)
    return {kind: config(name=kind, type=kind) for kind, config in types.items() if not config.needs_teacher}


def strategies_table(pipeline: Pipeline, steps: int) -> str:
    """One row a kind of phase: seconds and CPU seconds a step, texts that got gradients a CPU second, peak memory."""
    run_pipeline(pipeline, ["construct"], reporter=Reporter(quiet=True))
    rows = []
    for kind in measurable_phases():
        command = [sys.executable, __file__, "--worker", kind, str(steps)]
        done = subprocess.run(command, input=pipeline.model_dump_json(), capture_output=True, text=True, timeout=7200)
        if done.returncode != 0:
            raise LaunchError(f"benchmark process ended with {done.returncode}:\n{done.stderr[-2000:]}")
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    return "\n".join(table(list(rows[0]), [list(r.values()) for r in rows]))


def measure(pipeline: Pipeline, kind: str, steps: int) -> dict[str, str]:
    """A row, measured in this process: `steps` steps after two that are not timed."""
    from graphstorm_like.device import set_threads
    from graphstorm_like.inputs.trained_texts import texts_of, token_count
    from graphstorm_like.training.phases.base import phase_of
    from graphstorm_like.training.phases.handover import Handover
    from graphstorm_like.training.trainer import Trainer

    set_threads(pipeline.launch.threads)
    quiet = Reporter(quiet=True)
    # Nothing is to be written: no resume points in the middle of an epoch.
    pipeline = pipeline.model_copy(
        update={"train": pipeline.train.model_copy(update={"checkpoint": CheckpointConfig()})}
    )
    handover = Handover(pipeline, pipeline.model.text_encoders())
    experiment = phase_of(measurable_phases()[kind]).build(handover, quiet)
    trainer = Trainer(experiment, Path("unused"), quiet)
    seeds = texts = tokens = 0
    clock: Clock | None = None
    for number, group in enumerate(drive(trainer, steps + 2)):
        if number == 1:
            clock = Clock()
        elif number > 1:
            for batch in group:
                seeds += sum(len(ids) for ids in batch.seeds.values())
                texts += sum(len(chosen.unique) for *_, chosen in texts_of(batch))
                tokens += token_count(batch)
    assert clock is not None, "there are at least three steps"
    wall, cpu = clock.wall, clock.cpu
    return {
        "phase": kind,
        "seeds a step": f"{seeds / steps:,.0f}",
        "texts trained": f"{texts / steps:,.0f}",
        "tokens trained": f"{tokens / steps:,.0f}",
        "s/step": f"{wall / steps:.3f}",
        "cpu s/step": f"{cpu / steps:.3f}",
        "texts/cpu s": f"{texts / cpu:.1f}" if texts else "-",
        "epoch cpu s": f"{cpu / steps * trainer.stream.steps:,.0f}",
        "peak MB": f"{peak_rss_mb():,.0f}",
    }


def main(arguments: Sequence[str]) -> None:
    """Print the table. `--worker`: the measuring process, pipeline on standard input, the row as the last line."""
    if arguments[:1] == ["--worker"]:
        pipeline: Any = Pipeline.model_validate_json(sys.stdin.read())
        print(json.dumps(measure(pipeline, arguments[1], int(arguments[2]))))
        return
    parser = pipeline_parser("Steps of language model training, alone and end to end, beside the graph network's.")
    parser.add_argument("--steps", type=int, default=10, help="steps to time, after two that are not")
    options = parser.parse_intermixed_args(arguments)
    print(strategies_table(pipeline_of(options), options.steps))


if __name__ == "__main__":
    exit_with_message(main)
