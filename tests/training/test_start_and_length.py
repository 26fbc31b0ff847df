"""Training without validation, with more epochs than before, and from the weights of another run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graphstorm_like.config import Pipeline, build_pipeline, load_pipeline
from graphstorm_like.config.train import StartFromConfig
from graphstorm_like.errors import ConfigError, DataError, TrainingError
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop, write_shop_pipeline
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.start import start_from
from graphstorm_like.training.trainer import Trainer

from ..launch.test_stages import Lines

QUIET = Reporter(quiet=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "best/model.safetensors")
    return found


def test_without_validation_the_last_epoch_is_the_model(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_split = LocalGraph.label_rows
    monkeypatch.setattr(LocalGraph, "label_rows", lambda *a: of_split(*a)[:0] if a[-1] == "valid" else of_split(*a))
    with pytest.raises(DataError, match=r"label 'kind' of item must have rows in split valid \(got none\)"):
        build_experiment(shop_config(), QUIET)
    lines = Lines()
    trainer = Trainer(build_experiment(shop_config(train={"evaluate_every": None}), QUIET), tmp_path / "t", lines)
    result = trainer.train()
    assert (result.best, result.best_epoch, result.epochs) == (None, 3, 3)
    assert any("not validated (train.evaluate_every: null): the model is that of this epoch" in s for s in lines.said)
    present = trainer.experiment.artifacts.modules.state_dict()
    saved = weights(tmp_path / "t")
    assert all(torch.equal(saved[name], present[name]) for name in saved)
    assert json.loads((tmp_path / "t/best/metrics.json").read_text(encoding="utf-8")) == {"split": "none", "epoch": 3}
    assert trainer.task.scored_splits == ("test",)


def test_a_split_without_validation_rows_is_a_choice(tmp_path: Path) -> None:
    data = shop_pipeline(tmp_path, tmp_path / "run")
    split = {"train": 0.8, "valid": 0.0, "test": 0.2}
    data["graph"]["nodes"]["item"]["labels"]["kind"]["split"] = split
    with pytest.raises(ConfigError, match=r"task\.label: must be a label with rows to validate on \(got"):
        build_pipeline(data)
    data["train"]["evaluate_every"] = None
    assert build_pipeline(data).train.evaluate_every is None
    data["train"]["early_stop"] = {"patience": 2}
    with pytest.raises(ConfigError, match=r"train\.early_stop: must be null with evaluate_every: null"):
        build_pipeline(data)


@pytest.mark.slow
def test_a_run_without_validation_rows(tmp_path: Path) -> None:
    """From tables to the report."""
    data = shop_pipeline(write_shop(tmp_path / "tables"), tmp_path / "run")
    data["graph"]["nodes"]["item"]["labels"]["kind"]["split"] = {"train": 0.8, "valid": 0.0, "test": 0.2}
    data["train"] |= {"evaluate_every": None, "epochs": 2}
    lines = Lines()
    run_pipeline(build_pipeline(data).with_absolute_paths(tmp_path), reporter=lines)
    assert any(line.startswith("not validated: the model is that of epoch 2 of 2") for line in lines.said)
    assert set(json.loads((tmp_path / "run/evaluate/metrics.json").read_text(encoding="utf-8"))) == {"test"}


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_more_epochs_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a constant rate the run is that of all epochs at once."""
    yaml = write_shop_pipeline(tmp_path)
    same = ["train.schedule={type: constant, warmup_fraction: 0.0}", "train.early_stop=null"]

    def run(*changes: str) -> list[str]:
        lines = Lines()
        run_pipeline(load_pipeline(yaml, [*same, *changes]), ["construct", "train"], reporter=lines)
        return lines.said

    run("train.epochs=2")
    with monkeypatch.context() as patch:  # a kill before the copies of the resume points are whole
        patch.setattr("graphstorm_like.launch.stages.shutil.copyfile", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("train.epochs=4")
    said = run("train.epochs=4")
    assert any("train is the same training with 2 epochs instead of 4: going on" in line for line in said)
    assert any(line.startswith("resuming at epoch 3") for line in said)
    on = weights(tmp_path / "run/train")
    run("train.epochs=4", f"output={tmp_path}/whole", f"graph.path={tmp_path}/run/graph")
    whole = weights(tmp_path / "whole/train")
    assert all(torch.equal(on[name], whole[name]) for name in whole)
    assert any("train: up to date" in line for line in run("train.epochs=4"))
    # The shorter one is still there; fewer epochs are another training, and so is another rate.
    assert any("train.1 holds a training of this configuration" in line for line in run("train.epochs=2"))
    assert not any("resuming" in line for line in run("train.epochs=5", "train.lr=0.02"))


def trained(shop_config: Callable[..., Pipeline], folder: Path) -> Pipeline:
    pipeline = shop_config(train={"epochs": 1})
    Trainer(build_experiment(pipeline, QUIET), folder / "other/train", QUIET).train()
    return shop_config(train={"start_from": str(folder / "other")}, seed=7)


def test_chosen_parts_of_another_run(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    pipeline = trained(shop_config, tmp_path)
    saved, config = weights(tmp_path / "other/train"), pipeline.train.start_from
    assert config is not None
    experiment = build_experiment(pipeline, QUIET)
    before = {name: value.clone() for name, value in experiment.artifacts.modules.state_dict().items()}
    rows = experiment.artifacts.embeddings["item"].rows(torch.arange(5).numpy()).copy()
    said = start_from(config.model_copy(update={"parts": ["gnn"]}), experiment.artifacts)
    assert said[0].startswith("gnn: ")
    for name, value in experiment.artifacts.modules.state_dict().items():
        assert torch.equal(value, saved[name] if name.startswith("model.gnn.") else before[name])
    assert any(not torch.equal(before[name], saved[name]) for name in saved if name.startswith("model.gnn."))
    start_from(config, experiment.artifacts)
    assert all(torch.equal(v, saved[n]) for n, v in experiment.artifacts.modules.state_dict().items())
    assert abs(experiment.artifacts.embeddings["item"].rows(torch.arange(5).numpy()) - rows).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"gnn": {"type": "rgcn", "hidden": 8}}}, r"start_from\.parts: inputs of .* must fit this model"),
        ({"task": {"head_layers": 2}}, r"start_from\.parts: head of .* must fit .* Leave head out"),
    ],
)
def test_parts_that_do_not_fit(
    shop_config: Callable[..., Pipeline], tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    config = trained(shop_config, tmp_path).train.start_from
    assert config is not None
    with pytest.raises(TrainingError, match=message):
        start_from(config, build_experiment(shop_config(**changes), QUIET).artifacts)


def test_numbered_weights_belong_to_the_same_types(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """Shapes would fit: a file says what the numbers mean."""
    config = trained(shop_config, tmp_path).train.start_from
    assert config is not None
    order = tmp_path / "other/train/best/order.json"
    said = json.loads(order.read_text(encoding="utf-8"))
    experiment = build_experiment(shop_config(), QUIET)
    for part, kind in (("inputs", "node_types"), ("gnn", "edge_types"), ("head", "classes")):
        order.write_text(json.dumps({**said, kind: said[kind][::-1]}), encoding="utf-8")
        with pytest.raises(TrainingError, match=rf"start_from\.parts: {part} of .* \(its {kind.replace('_', ' ')} are"):
            start_from(config.model_copy(update={"parts": [part]}), experiment.artifacts)
    inputs = {"user": {"embedding": False}, "item": {"embedding": False, "text": []}}
    nothing = build_experiment(shop_config(model={"inputs": inputs}), QUIET)
    parts = StartFromConfig(run=config.run, parts=["embeddings"])
    with pytest.raises(TrainingError, match=r"embeddings must be something that this model has \(got none\)"):
        start_from(parts, nothing.artifacts)


@pytest.mark.slow
def test_a_run_that_starts_from_another(tmp_path: Path) -> None:
    yaml = write_shop_pipeline(tmp_path)
    with pytest.raises(ConfigError, match=r"train\.start_from\.run: must be the output folder of a run with a whole"):
        run_pipeline(load_pipeline(yaml, ["train.start_from=nowhere"]), reporter=QUIET)
    run_pipeline(load_pipeline(yaml, ["train.epochs=2"]), ["construct", "train"], reporter=QUIET)
    changes = ["train.epochs=1", "train.start_from=run", "output=second", "graph.path=run/graph"]
    lines = Lines()
    run_pipeline(load_pipeline(yaml, changes), ["construct", "train"], reporter=lines)
    assert any(line.startswith(f"starts from {tmp_path}/run: inputs: ") for line in lines.said)
    assert any(line.startswith("train: up to date") for line in again(yaml, changes))


def again(yaml: Path, changes: list[str]) -> list[str]:
    lines = Lines()
    run_pipeline(load_pipeline(yaml, changes), ["construct", "train"], reporter=lines)
    return lines.said
