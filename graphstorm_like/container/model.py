"""What a training job leaves in /opt/ml/model, from which SageMaker makes model.tar.gz."""

from __future__ import annotations

import shutil
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.graph.schema import MANIFEST
from graphstorm_like.launch.state import BEST, MAIN_FILES, stage_folder


def fill_model_folder(pipeline: Pipeline, target: Path) -> None:
    """The best weights with the configuration, the graph's description (fitted state of features, names of labels) and,
    when there are some, the scores. `target` itself is SageMaker's, and is not replaced."""
    trained = stage_folder(pipeline, "train")
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(trained / BEST, target / BEST, dirs_exist_ok=True)
    files = {
        trained / "pipeline.json": "pipeline.json",
        stage_folder(pipeline, "construct") / MANIFEST: MANIFEST,
        stage_folder(pipeline, "evaluate") / MAIN_FILES["evaluate"]: MAIN_FILES["evaluate"],
    }
    for source, name in files.items():
        if source.is_file():
            shutil.copyfile(source, target / name)
