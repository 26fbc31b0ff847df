"""The best k models of a training: which stay, after a kill too, and how another than the best is used."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graphstorm_like.config import Pipeline, load_pipeline
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import ConfigError, DamagedFileError
from graphstorm_like.files import write_json
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.launch.state import is_done, stage_problem
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import write_shop_pipeline
from graphstorm_like.training.checkpoint import check_folder
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.trainer import Trainer

QUIET = Reporter(quiet=True)
NAN = float("nan")


class Killed(Exception):  # noqa: N818
    """Stands for a kill."""


def trainer_of(config: Pipeline, folder: Path) -> Trainer:
    return Trainer(build_experiment(config, QUIET), folder, QUIET)


def table(folder: Path) -> list[dict[str, Any]]:
    listed = json.loads((folder / "kept.json").read_text())
    models: list[dict[str, Any]] = listed["models"]
    return models


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("scores", "epochs"),
    [
        ([2.0, 1.9, 1.0, 0.9, 1.1, 0.9], [4, 6, 3]),  # of equal ones the earlier is the better
        ([NAN, 2.0, NAN, 3.0], [2, 4, 3]),
        ([1.0, 2.0], [1, 2]),
    ],
)
def test_which_models_stay(
    shop_config: Callable[..., Pipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float],
    epochs: list[int],
) -> None:
    train = {"epochs": len(scores), "early_stop": None, "keep_best": 3, "batch_size": 256}
    trainer = trainer_of(shop_config("node_regression", train=train), tmp_path)
    coming = iter(scores)
    monkeypatch.setattr(trainer.task, "evaluate", lambda *_: {"rmse": next(coming)})
    trainer.train()
    models = table(tmp_path)
    assert json.loads((tmp_path / "kept.json").read_text())["metric"] == "rmse"
    assert [model["epoch"] for model in models] == epochs
    assert str([model["value"] for model in models]) == str([scores[epoch - 1] for epoch in epochs])  # NaN too
    assert {f"kept/{path.name}" for path in (tmp_path / "kept").iterdir()} == {model["folder"] for model in models}
    for model in models:
        check_folder(tmp_path / model["folder"])
        assert json.loads((tmp_path / model["folder"] / "metrics.json").read_text())["epoch"] == model["epoch"]
    assert same(weights(tmp_path / "best"), weights(tmp_path / models[0]["folder"]))
    assert not same(weights(tmp_path / "best"), weights(tmp_path / models[1]["folder"]))
    first = tmp_path / models[0]["folder"] / "model.safetensors"
    assert (tmp_path / "best" / "model.safetensors").stat().st_ino == first.stat().st_ino  # no second copy


def test_a_killed_run_keeps_what_an_uninterrupted_one_does(
    shop_config: Callable[..., Pipeline], tmp_path: Path
) -> None:
    """Killed while it writes a model, while it links the best, while it writes the table, before it removes models, and
    between two steps."""
    train = {"epochs": 6, "early_stop": None, "keep_best": 2, "lr": 0.05, "checkpoint": {"every_steps": 3}}
    config = shop_config(train=train)
    trainer_of(config, tmp_path / "whole").train()
    wanted = table(tmp_path / "whole")
    for name, calls in (
        ("_link_best", 1),
        ("write", 1),
        ("save_best", 2),
        ("write", 3),
        ("clean", 2),
        ("check_finite", 6),
    ):
        trainer, done = trainer_of(config, tmp_path / "broken"), 0
        at: Any = trainer if name in ("save_best", "check_finite") else trainer.kept
        real = getattr(at, name)

        def counted(*given: Any, real: Any = real, calls: int = calls) -> Any:
            nonlocal done
            done += 1
            if done == calls:
                raise Killed
            return real(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(at), name, lambda _, *given, counted=counted: counted(*given))
            with pytest.raises(Killed):
                trainer.train()
    trainer_of(config, tmp_path / "broken").train()
    assert table(tmp_path / "broken") == wanted
    for folder in ("best", *(model["folder"] for model in wanted)):
        assert same(weights(tmp_path / "broken" / folder), weights(tmp_path / "whole" / folder))
    names = [sorted(path.name for path in (tmp_path / run / "kept").iterdir()) for run in ("broken", "whole")]
    assert names[0] == names[1]


def test_a_resume_point_never_lists_a_model_that_is_gone(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the third epoch's model has taken the place of the first's, and before the resume point that says
    so. The run that goes on finds no more good ones, as with other ranks: what it lists is there, and best/ is its
    first."""
    train = {"epochs": 4, "early_stop": None, "keep_best": 2, "batch_size": 256}
    config = shop_config("node_regression", train=train)
    killed = trainer_of(config, tmp_path)
    first, second = iter([3.0, 2.0, 1.0]), iter([8.0, 9.0])
    monkeypatch.setattr(killed.task, "evaluate", lambda *_: {"rmse": next(first)})
    real = killed.kept.write

    def write(models: list[dict[str, Any]], metric: str) -> None:
        real(models, metric)
        if models[0]["value"] == 1.0:
            raise Killed

    monkeypatch.setattr(type(killed.kept), "write", lambda _, *given: write(*given))
    with pytest.raises(Killed):
        killed.train()
    monkeypatch.undo()
    assert [model["epoch"] for model in table(tmp_path)] == [3, 2]
    for point in (tmp_path / "checkpoints").glob("step-*"):
        for model in json.loads((point / "state.json").read_text())["kept"]:
            assert (tmp_path / model["folder"] / "hashes.json").is_file()
    later = trainer_of(config, tmp_path)
    later.resume()
    assert [model["epoch"] for model in table(tmp_path)] == [2, 1]
    later.task.evaluate = lambda *_: {"rmse": next(second)}  # type: ignore[method-assign]
    assert later.train().best == 2.0
    models = table(tmp_path)
    assert [model["epoch"] for model in models] == [2, 1]
    for model in models:
        check_folder(tmp_path / model["folder"])
    assert same(weights(tmp_path / "best"), weights(tmp_path / models[0]["folder"]))
    assert [path.name for path in sorted((tmp_path / "kept").glob("[!.]*"))] == ["update-000000001", "update-000000002"]


def test_a_kept_model_that_is_missing_or_damaged_is_named(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    config = shop_config(train={"epochs": 2, "early_stop": None, "keep_best": 2, "batch_size": 256})
    trainer_of(config, tmp_path).train()
    second = tmp_path / table(tmp_path)[1]["folder"]
    with (second / "model.safetensors").open("ab") as file:
        file.write(b"!")
    with pytest.raises(DamagedFileError, match=rf"{second}/model\.safetensors: must have .* bytes"):
        trainer_of(config, tmp_path).train()
    shutil.rmtree(second)
    with pytest.raises(DamagedFileError, match=rf"{second}: the folder is missing\. .* train again with --fresh"):
        trainer_of(config, tmp_path).train()


def test_the_second_best_is_evaluated_used_and_packed(tmp_path: Path) -> None:
    yaml, changes = (
        write_shop_pipeline(tmp_path),
        ["train.epochs=4", "train.keep_best=3", "train.lr=0.003", "train.fanouts=[-1,-1]"],
    )
    best = load_pipeline(yaml, changes)
    run_pipeline(best, reporter=QUIET)
    out, models = tmp_path / "run", table(tmp_path / "run" / "train")
    assert len({model["value"] for model in models}) == 3
    second = load_pipeline(yaml, [*changes, "infer.kept=2"])
    stages = ("train", "evaluate", "infer")
    assert [is_done(second, stage) for stage in stages] == [True, False, False]
    of_best = read_scores(best)["valid"]["accuracy"]
    run_pipeline(second, reporter=QUIET)
    # With all neighbours in validation too these are the numbers by which they were listed.
    assert (of_best, read_scores(second)["valid"]["accuracy"]) == pytest.approx(
        (models[0]["value"], models[1]["value"]), abs=1e-6
    )
    assert [is_done(best, stage) for stage in stages] == [True, False, False]
    for kept, want in ((None, models[0]), (2, models[1]), (3, models[2])):
        folder = pack(best.output, tmp_path / f"model-{kept}", kept=kept)
        assert same(weights(folder / "weights"), weights(out / "train" / want["folder"]))
        assert re.search(rf"Training: 4 epochs, .* {want['epoch']}\.\n", (folder / "README.md").read_text())
        # Scores of other weights are not its own.
        assert bool(json.loads((folder / "metrics.json").read_text())) == (kept == 2)
    with pytest.raises(ConfigError, match=r"infer\.kept: must be at most 3, for .*train has kept no more .*got 4"):
        pack(best.output, tmp_path / "model", kept=4)
    # As after early stopping: another training of this configuration may keep fewer.
    write_json(out / "train" / "kept.json", {"metric": "accuracy", "models": models[:1]})
    problem = stage_problem(second, "infer")
    assert problem is not None
    assert re.match(r"infer\.kept: must be at most 1, .*got 2.*train\.early_stop: null", problem.text)
    with pytest.raises(ConfigError, match=r"infer\.kept: must be at most 1, "):
        run_pipeline(second, reporter=QUIET)


def test_what_is_refused(shop_config: Callable[..., Pipeline]) -> None:
    with pytest.raises(ConfigError, match=r"infer\.kept: must be at most train\.keep_best, 2 \(got 3\)"):
        shop_config(train={"keep_best": 2}, infer={"kept": 3})
    with pytest.raises(ConfigError, match=r"train\.keep_best: must be 1 with evaluate_every: null"):
        shop_config(train={"keep_best": 2, "evaluate_every": None})
    twice = {"epochs": 5, "evaluate_every": 3, "keep_best": 3}
    with pytest.raises(ConfigError, match=r"infer\.kept: must be at most 2, the validations of 5 epochs, .*got 3"):
        shop_config(train=twice, infer={"kept": 3})
    assert shop_config(train=twice, infer={"kept": 2}).infer.kept == 2
    assert shop_config(train={**twice, "evaluate_steps": 2}, infer={"kept": 3}).infer.kept == 3
    phases = {**twice, "strategy": "custom", "phases": [{"name": "a", "type": "gnn", "epochs": 2, "evaluate_every": 1}]}
    with pytest.raises(ConfigError, match=r"infer\.kept: must be at most 2, the validations of 2 epochs, .*got 3"):
        shop_config(train=phases, infer={"kept": 3})
