"""The pipeline of pipeline.yaml from Python: change what you like between the steps.

    python training_scripts/debian_packages/build_tables.py --output training_scripts/debian_packages/tables
    python training_scripts/debian_packages/recipe.py

Prints scores and the packages most like a few given ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gconstruct import build_graph
from graphstorm_like.config import load_pipeline
from graphstorm_like.launch.stages import best_weights
from graphstorm_like.tasks import Evaluation
from graphstorm_like.training.checkpoint import load_weights
from graphstorm_like.training.experiment import build_experiment, set_threads
from graphstorm_like.training.progress import Reporter
from graphstorm_like.training.trainer import Trainer

HERE = Path(__file__).parent


def main() -> None:
    reporter = Reporter()
    pipeline = load_pipeline(HERE / "pipeline.yaml", ["name=debian-recipe", "output=runs/recipe", "train.epochs=3"])
    set_threads(pipeline)

    # Tables -> graph folder; at once when it is up to date.
    build_graph(pipeline.graph, progress=reporter.line)

    # Graph, cached text vectors, model, task. `experiment.model` and `.task` are plain torch modules.
    experiment = build_experiment(pipeline, reporter)
    folder = Path(pipeline.output) / "train"
    Trainer(experiment, folder, reporter).train()
    load_weights(best_weights(pipeline), experiment.modules)

    # Scores over all neighbours, the test split once.
    how = Evaluation("layer_wise", (), pipeline.seed)
    for split in ("valid", "test"):
        reporter.line(f"{split}: {experiment.task.evaluate(experiment.embedder(), split, how)}")

    # Vectors of all packages, under their own names.
    vectors = experiment.embedder().layer_wise(["package"])["package"]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = experiment.graph.ids("package").to_pylist()
    position = {name: i for i, name in enumerate(names)}
    for name in ("postgresql", "gimp", "gcc"):
        if name in position:
            nearest = np.argsort(-(unit @ unit[position[name]]))[1:6]
            reporter.line(f"{name}: {', '.join(names[i] for i in nearest)}")


if __name__ == "__main__":
    main()
