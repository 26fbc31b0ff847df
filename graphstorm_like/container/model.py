"""What a training job leaves in /opt/ml/model, from which SageMaker makes model.tar.gz: a model folder (`gsl pack`)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.deploy.pack import pack
from graphstorm_like.progress import Reporter


def fill_model_folder(pipeline: Pipeline, target: Path, reporter: Reporter) -> None:
    """Pack the finished run into `target`. That is SageMaker's folder, perhaps a mount, which cannot be replaced: the
    model is packed beside it, and moved in file by file."""
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=target.parent) as folder:
        packed = pack(pipeline.output, Path(folder) / "model", reporter=reporter)
        shutil.copytree(packed, target, dirs_exist_ok=True, copy_function=shutil.move)
