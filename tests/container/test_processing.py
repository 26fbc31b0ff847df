"""Processing jobs under an emulated /opt/ml: construct, and infer with what a training job has left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from graphstorm_like.container.__main__ import main
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop
from tests.container.ml import IN_S3, local_pipeline, shop_yaml


def processed(root: Path, yaml_file: Path, *arguments: str) -> tuple[int, str]:
    """Exit status, and the message that SageMaker would show."""
    folder = root / "processing/input/pipeline"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(yaml_file, folder / "pipeline.yaml")
    code, message = main(["processing", *arguments]), root / "output/message"
    return code, message.read_text() if message.exists() else ""


def test_what_cannot_be_processed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SM_ROOT", str(tmp_path))
    yaml_file = shop_yaml(tmp_path / "yaml", IN_S3)
    code, message = processed(tmp_path, yaml_file, "construct,train")
    assert (code, "stages: must be construct, or evaluate and infer" in message) == (6, True)
    code, message = processed(tmp_path, yaml_file, "infer")
    assert (code, "must be the output folder of a training job. Train first" in message) == (6, True)
    code, message = processed(tmp_path, yaml_file, "contruct")
    assert (code, "unknown stage 'contruct'" in message) == (2, True)


@pytest.mark.slow
def test_construct_then_infer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph that one job leaves is read by another, with the training of a third in between."""
    tables = write_shop(tmp_path / "tables")
    yaml_file = shop_yaml(tmp_path / "yaml", IN_S3)
    construct, infer = tmp_path / "construct", tmp_path / "infer"
    shutil.copytree(tables, construct / "processing/input/tables")
    monkeypatch.setenv("SM_ROOT", str(construct))
    assert processed(construct, yaml_file, "construct", "--quiet", "train.epochs=1") == (0, "")
    graph = construct / "processing/output/graph"
    assert (graph / "graph.json").exists()

    run = tmp_path / "trained/checkpoints/run"
    trained = local_pipeline(yaml_file, f"output={run}", f"graph.path={graph}", "train.epochs=1")
    run_pipeline(trained, ["train", "evaluate", "infer"], reporter=Reporter(quiet=True))
    shutil.copytree(run.parent, infer / "processing/input/checkpoints")
    shutil.rmtree(infer / "processing/input/checkpoints/run/infer")
    shutil.copytree(graph, infer / "processing/input/graph")
    monkeypatch.setenv("SM_ROOT", str(infer))
    assert processed(infer, yaml_file, "evaluate,infer", "--quiet", "train.epochs=1") == (0, "")
    left = infer / "processing/output"
    for name in ("evaluate/metrics.json", "infer/predictions/part-00000.parquet"):
        assert (left / name).read_bytes() == (run / name).read_bytes(), name
