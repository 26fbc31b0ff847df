"""Adversarial training: its gradients, that it leaves no trace elsewhere, resume, and scores under attack."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.attacks import FgmConfig
from graphstorm_like.errors import ConfigError
from graphstorm_like.inference.attacked import Attacked
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.reports.run_folder import RunFolder
from graphstorm_like.reports.write import write_report
from graphstorm_like.sampling.batch import MiniBatch, StreamPosition
from graphstorm_like.tasks import Evaluation
from graphstorm_like.testing.graphs import shop_pipeline
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.lm.build import build_joint_experiment, build_lm_experiment
from graphstorm_like.training.trainer import Trainer

from ..launch.test_stages import Lines
from .test_ranks import MULTI

QUIET = Reporter(quiet=True)
FGM = {"type": "fgm", "epsilon": 0.3}


def first_batch(experiment: Experiment) -> MiniBatch:
    stream = experiment.task.stream(64, 0)
    pipeline = experiment.learner.batches()
    return pipeline.make(stream.step_ids(stream.epoch_order(0), 0), StreamPosition(0, 0))


def gradients(experiment: Experiment) -> dict[str, torch.Tensor]:
    """Of the first batch, by parameter."""
    experiment.learner.trained.train()
    experiment.learner.backward(first_batch(experiment))
    named = experiment.learner.trained.named_parameters()
    return {name: parameter.grad.clone() for name, parameter in named if parameter.grad is not None}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], part: float = 1e-5) -> bool:
    """Up to a part of the largest number of each tensor."""
    assert one.keys() == other.keys()
    sizes = {name: float(rows.abs().max()) for name, rows in one.items()}
    return all(float((other[n] - rows).abs().max()) <= part * sizes[n] + 1e-6 for n, rows in one.items())


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_text_model(tmp_path_factory.mktemp("lm"))


def with_task(config: Pipeline, task: dict[str, Any]) -> Pipeline:
    return build_pipeline(config.model_dump(mode="json", exclude_unset=True) | {"task": task})


def with_text(config: Pipeline, model: Path, cache: Path, **train: Any) -> Pipeline:
    data = config.model_dump(mode="json", exclude_unset=True)
    data["cache"] = str(cache)
    data["model"]["text_encoder"] = {"name": str(model), "max_tokens": 16, "dtype": "float32"}
    data["model"]["inputs"] = {"item": {"text": ["title"]}}
    data["train"] |= {"precision": "float32", "lm": {"batch_size": 64}} | train
    return build_pipeline(data)


def test_the_gradient_is_that_of_both_losses(shop_config: Callable[..., Pipeline]) -> None:
    """A change so small that it changes nothing leaves the gradient of training without an attack: what the attack
    itself asks for is nowhere in the weights' gradients."""
    plain = gradients(build_experiment(shop_config(), QUIET))
    tiny = shop_config(train={"adversarial": {"type": "pgd", "steps": 2, "epsilon": 1e-9}})
    assert close(plain, gradients(build_experiment(tiny, QUIET)))
    strong = gradients(build_experiment(shop_config(train={"adversarial": FGM}), QUIET))
    assert not close(plain, strong)
    whole = build_experiment(shop_config(train={"adversarial": FGM | {"weight": 1.0}}), QUIET)
    half = {name: (plain[name] + of_attacked) / 2 for name, of_attacked in gradients(whole).items()}
    assert close(half, strong)
    numbers = whole.learner.stepped(1)
    assert numbers["loss_attacked"] > numbers["loss_clean"] > 0
    assert numbers["attack_seconds"] > 0


@pytest.mark.parametrize("kind", ["node_regression", "edge_classification", "link_prediction"])
def test_an_attack_raises_the_loss_of_any_task(shop_config: Callable[..., Pipeline], kind: str) -> None:
    experiment = build_experiment(shop_config(kind, train={"adversarial": FGM}), QUIET)
    gradients(experiment)
    numbers = experiment.learner.stepped(1)
    assert numbers["loss_attacked"] > numbers["loss_clean"]


def test_weights_of_tasks_do_not_see_attacks(shop_config: Callable[..., Pipeline]) -> None:
    states = []
    for train in ({}, {"adversarial": FGM | {"epsilon": 1e-9}}):
        experiment = build_experiment(with_task(shop_config(train=train), MULTI), QUIET)
        states.append((gradients(experiment), experiment.task.training_state))
    assert close(states[0][0], states[1][0])
    of_both = [state.state_dict() for _, state in states if state is not None]
    assert len(of_both) == 2
    assert close(*of_both)
    assert int(of_both[1]["steps"]) == 1


@pytest.mark.parametrize("on", ["text_vectors", "tokens", "inputs"])
def test_with_a_language_model(shop_config: Callable[..., Pipeline], lm: Path, tmp_path: Path, on: str) -> None:
    """A change that changes nothing leaves the gradients, also where pieces of text are encoded twice; and what is kept
    in the tables of vectors is of texts as they are."""
    found, tables = [], []
    for attack, tokens in ((None, None), (1e-9, None), (1e-9, 1), (2.0, None), (2.0, 1)):
        adversarial = None if attack is None else {"type": "fgm", "on": on, "epsilon": attack}
        lm_settings = {"batch_size": 64, "activation_tokens": tokens, "dropout": 0.0}
        settings = {"strategy": "joint", "adversarial": adversarial, "lm": lm_settings}
        config = with_text(shop_config(), lm, tmp_path / "cache", **settings)
        experiment = build_joint_experiment(config, config.train.phase_list()[0], QUIET)  # type: ignore[arg-type]
        found.append(gradients(experiment))
        tables.append(experiment.learner.texts.aging()[0].rows(np.arange(20)))
    plain, tiny, tiny_in_pieces, strong, strong_in_pieces = found
    assert close(plain, tiny)
    # Pieces of other sizes sum in another order.
    assert close(plain, tiny_in_pieces, 1e-3)
    assert not close(plain, strong, 1e-2)
    assert close(strong, strong_in_pieces, 1e-3)
    for table in tables[1:]:
        np.testing.assert_allclose(table, tables[0], atol=1e-3)


def test_a_language_model_alone(shop_config: Callable[..., Pipeline], lm: Path, tmp_path: Path) -> None:
    for on in ("tokens", "text_vectors"):
        config = with_text(
            shop_config(), lm, tmp_path / "cache", strategy="lm_only", adversarial={"type": "fgm", "on": on}
        )
        experiment = build_lm_experiment(config, QUIET)
        gradients(experiment)
        numbers = experiment.learner.stepped(1)
        assert numbers["loss_attacked"] > numbers["loss_clean"]


def test_a_resumed_run_goes_on_with_the_same_attacks(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """The random start of an attack depends on the position of its batch alone."""

    def run(name: str, stop: int | None = None) -> dict[str, torch.Tensor]:
        pipeline = shop_config(train={"epochs": 2, "batch_size": 64, "adversarial": {"type": "pgd", "steps": 2}})
        lines = Lines()
        trainer = Trainer(build_experiment(pipeline, QUIET), tmp_path / name, lines)
        if stop is not None:
            save = trainer.save

            def saved(to_disk: bool = True) -> None:
                save(to_disk)
                if trainer.state.updates >= stop:
                    raise KeyboardInterrupt

            trainer.save = saved  # type: ignore[method-assign]
            with pytest.raises(KeyboardInterrupt):
                trainer.train()
            return {}
        trainer.train()
        assert any(", attacks 0." in line and " s a batch" in line for line in lines.said)
        return dict(trainer.learner.trained.state_dict())

    run("resumed", stop=1)
    assert same(run("resumed"), run("whole"))


def test_scores_under_attack(shop_config: Callable[..., Pipeline], tmp_path: Path) -> None:
    """Stronger attacks leave a lower score; one of no size the same; the sources stay as they are."""
    pipeline = shop_config()
    experiment = build_experiment(pipeline, QUIET)
    Trainer(experiment, tmp_path / "t", QUIET).train()
    how = Evaluation("layer_wise", pipeline.train.fanouts, 0)
    clean = experiment.task.evaluate(experiment.embedder(), "test", how)["accuracy"]

    def attacked(epsilon: float, norm: Any = "l2") -> float:
        config = FgmConfig(type="fgm", epsilon=epsilon, norm=norm)
        return Attacked(experiment, config, "test").scores(experiment.embedder(), how)["accuracy"]

    assert attacked(1e-9) == clean
    assert clean > attacked(1.0) >= attacked(4.0)
    assert attacked(4.0, "linf") <= attacked(4.0)
    assert experiment.task.evaluate(experiment.embedder(), "test", how)["accuracy"] == clean
    with pytest.raises(ConfigError, match=r"infer\.attacks: must be on inputs or text_vectors that the model reads"):
        Attacked(experiment, FgmConfig(type="fgm", on="text_vectors"), "test")


def test_what_an_attack_needs(shop_config: Callable[..., Pipeline], lm: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"adversarial\.on: must be inputs or text_vectors with strategy frozen"):
        shop_config(train={"adversarial": {"type": "fgm", "on": "tokens"}})
    with pytest.raises(ConfigError, match=r"adversarial\.on: must be tokens or text_vectors with strategy lm_only"):
        with_text(shop_config(), lm, tmp_path, strategy="lm_only", adversarial=FGM)
    with pytest.raises(ConfigError, match=r"infer\.attacks: must be left out with task\.type: multi"):
        with_task(shop_config(infer={"attacks": [FGM]}), MULTI)
    with pytest.raises(ConfigError, match=r"infer\.attacks\[0\]\.weight: means nothing here"):
        shop_config(infer={"attacks": [FGM | {"weight": 1.0}]})
    with pytest.raises(ConfigError, match=r"infer\.attacks\[0\]\.on: must be inputs or text_vectors \(got 'tokens'"):
        shop_config(infer={"attacks": [{"type": "fgm", "on": "tokens"}]})
    with pytest.raises(ConfigError, match=r"train\.adversarial\.on: must be inputs or text_vectors that the model"):
        build_experiment(shop_config(train={"adversarial": FGM | {"on": "text_vectors"}}), QUIET)


@pytest.mark.slow
def test_clean_and_attacked_scores_in_one_report(shop: tuple[Path, Path], tmp_path: Path) -> None:
    data = shop_pipeline(shop[0], tmp_path / "run")
    data["graph"]["path"] = str(shop[1])
    data["infer"] = {"attacks": [{"type": "pgd", "epsilon": 1.0, "norm": "linf"}]}
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, reporter=QUIET)
    written = json.loads((tmp_path / "run/evaluate/metrics.json").read_text(encoding="utf-8"))
    title = "pgd linf 1 on inputs, 3 steps"
    assert written["attacked"][title]["test"]["accuracy"] < written["test"]["accuracy"]
    assert read_scores(pipeline).keys() == {"valid", "test"}
    write_report(RunFolder(tmp_path / "run"))
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert f"this run under {title}" in page
