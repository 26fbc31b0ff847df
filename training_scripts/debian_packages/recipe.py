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
from graphstorm_like.launch.stages import Runner
from graphstorm_like.progress import Reporter

HERE = Path(__file__).parent


def main() -> None:
    reporter = Reporter()
    pipeline = load_pipeline(HERE / "pipeline.yaml", ["name=debian-recipe", "output=runs/recipe", "train.epochs=3"])

    # Tables -> graph folder; at once when it is up to date.
    build_graph(pipeline.graph, progress=reporter.line)

    # What `gsl train` and `gsl evaluate` do. A changed pipeline is trained anew, an interrupted one goes on.
    runner = Runner(pipeline, reporter)
    runner.run(["train", "evaluate"])

    # Graph, cached text vectors, model and task with the best weights: `.model` and `.task` are plain torch modules.
    experiment = runner.trained()

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
