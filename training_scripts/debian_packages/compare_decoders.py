"""Decoders of Debian's relations by what the model reads: one table of filtered test ranks of both ends.

    python training_scripts/debian_packages/compare_decoders.py --decoders ComplEx TransE --inputs vectors text

Trains triples.yaml once a row, without validation, and scores the test split once: the mean reciprocal rank over all
ranked ends (micro), over relations, each alike (macro), and of either end.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks import Evaluation
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer

HERE = Path(__file__).parent
DECODERS = {
    "DistMult": ["task.head={type: distmult, normalize: false, start: random}", "task.n3=0.1"],
    "ComplEx": ["task.head={type: complex, normalize: false, start: random}", "task.n3=0.1"],
    "RotatE": ["task.head={type: rotate, normalize: false, norm: l2}", "task.n3=0"],
    "TransE": ["task.head={type: transe, norm: l2}", "task.n3=0"],
}
INPUTS = {
    "vectors": ["model.inputs.package.text=[]"],
    "text": [],
    "vectors, rgcn": ["model.inputs.package.text=[]", "model.gnn={type: rgcn, hidden: 64, layers: 1}"],
    "text, rgcn": ["model.gnn={type: rgcn, hidden: 64, layers: 1}"],
}
"""Learnt vectors alone, or the text too; with or without a graph network"""
METRICS = ("mrr/micro", "mrr/macro", "mrr/targets", "mrr/sources", "hits@10")


def run(decoder: str, inputs: str, settings: Sequence[str] = ()) -> dict[str, float]:
    """Test scores after training, and the CPU seconds of an epoch and of ranking."""
    overrides = [*DECODERS[decoder], *INPUTS[inputs], "train.evaluate_every=null", "graph.report=false"]
    if "rgcn" in inputs:
        overrides.append("train.fanouts=[10]")
    pipeline = load_pipeline(HERE / "triples.yaml", [*overrides, *settings])
    quiet = Reporter(quiet=True)
    run_pipeline(pipeline, ["construct"], reporter=quiet)
    experiment = build_experiment(pipeline, quiet)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        result = Trainer(experiment, Path(folder), quiet).train()
        trained = time.process_time()
        how = Evaluation("layer_wise", pipeline.train.fanouts, pipeline.seed)
        scores = experiment.task.evaluate(experiment.embedder(), "test", how)
    spent = {"s an epoch": (trained - started) / result.epochs, "s ranking": time.process_time() - trained}
    return {**scores, **spent}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoders", nargs="*", default=list(DECODERS), choices=list(DECODERS))
    parser.add_argument("--inputs", nargs="*", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--set", nargs="*", default=[], help="overrides, e.g. train.epochs=5")
    parser.add_argument("--relations", action="store_true", help="print the rank of each relation too")
    arguments = parser.parse_args()
    print("| inputs | decoder | " + " | ".join(METRICS) + " | CPU s an epoch | CPU s ranking |")
    print("|---" * (4 + len(METRICS)) + "|", flush=True)
    for inputs in arguments.inputs:
        for decoder in arguments.decoders:
            scores = run(decoder, inputs, arguments.set)
            cells = " | ".join(f"{scores[metric]:.3f}" for metric in METRICS)
            spent = f"{scores['s an epoch']:.0f} | {scores['s ranking']:.0f}"
            print(f"| {inputs} | {decoder} | {cells} | {spent} |", flush=True)
            if arguments.relations:
                print({name: round(value, 3) for name, value in scores.items() if name.startswith("mrr/package:")})


if __name__ == "__main__":
    main()
