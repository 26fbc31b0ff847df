"""Heads that read what the scored edges themselves carry, and language models that learn from their texts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.errors import ConfigError
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import StreamPosition
from graphstorm_like.tasks import EdgeLabelTask
from graphstorm_like.testing import ranks
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from graphstorm_like.testing.text import tiny_text_model
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.training.experiment import build_experiment
from graphstorm_like.training.lm.build import build_lm_experiment
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer

QUIET = Reporter(quiet=True)
Make = Callable[..., Pipeline]


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(tables, language model): users, who have no text, review items; whether well is told by the review alone."""
    folder = tmp_path_factory.mktemp("reviews")
    tables = write_shop(folder / "tables")
    rng = np.random.default_rng(5)
    buys = pq.read_table(tables / "buys.parquet")
    good = rng.random(len(buys)) < 0.5
    words = [" ".join(rng.permutation(["the", "graph" if g else "node", "library", "text"])) for g in good]
    columns = {
        "review": words,
        "stars": good * 4.0 + rng.random(len(buys)),
        "mood": np.where(good, "good", "bad").tolist(),
        "split": rng.choice(["train", "valid", "test"], len(buys), p=[0.6, 0.2, 0.2]).tolist(),
    }
    for name, values in columns.items():
        buys = buys.append_column(name, pa.array(values))
    pq.write_table(buys, tables / "buys.parquet")
    return tables, tiny_text_model(folder / "lm")


@pytest.fixture
def made(reviews: tuple[Path, Path], tmp_path: Path) -> Make:
    """(output, task.inputs, changes of `train`, partitions, model.edge_inputs) -> pipeline."""

    def make(
        output: str,
        inputs: Any,
        train: dict[str, Any] | None = None,
        partitions: int = 1,
        edge_inputs: dict[str, Any] | None = None,
    ) -> Pipeline:
        data = shop_pipeline(reviews[0], tmp_path / output, text_model=str(reviews[1]))
        data["graph"]["edges"][0] |= {
            "text": {"review": {"columns": "review"}},
            "features": {"stars": {"column": "stars"}},
            "labels": {"mood": {"column": "mood", "split": {"column": "split"}}},
        }
        data["graph"] |= {"path": str(tmp_path / f"graph-{partitions}")}
        data["graph"]["partitions"] = {"count": partitions, "method": "random"}
        data["model"]["text_encoder"]["dtype"] = "float32"
        data["model"]["edge_inputs"] = edge_inputs or {}
        data["model"]["gnn"]["dropout"] = data["model"]["input_dropout"] = 0.0
        data["task"] = {"type": "edge_classification", "edge_type": "user:buys:item", "label": "mood"}
        if inputs is not None:
            data["task"]["inputs"] = inputs
        data["train"] |= {"precision": "float32", "fanouts": [-1, -1], "epochs": 4} | (train or {})
        data["train"].setdefault("lm", {"lr": 0.003, "batch_size": 64, "dropout": 0.0, "epochs": 3})
        data["launch"] = {"threads": 1}
        return build_pipeline(data).with_absolute_paths(tmp_path)

    return make


def score_of(pipeline: Pipeline) -> float:
    run_pipeline(pipeline, ("construct", "train", "evaluate", "infer"), reporter=QUIET)
    return read_scores(pipeline)["test"]["accuracy"]


TEXT = {"features": [], "text": ["review"]}


STARS = {"features": ["stars"], "text": []}


@pytest.mark.parametrize(("inputs", "is_told"), [(None, False), (STARS, True), (TEXT, True), ({}, True)])
def test_the_head_reads_what_edges_carry(made: Make, inputs: Any, is_told: bool) -> None:
    accuracy = score_of(made("frozen", inputs, {"lr": 0.03}))
    assert accuracy > 0.97 if is_told else accuracy < 0.7


@pytest.mark.parametrize("strategy", ["lm_only", "staged", "joint"])
def test_language_models_learn_from_reviews(made: Make, strategy: str) -> None:
    """Of the two ends only items have a text, and it says nothing."""
    pipeline = made(strategy, TEXT, {"strategy": strategy})
    assert score_of(pipeline) > 0.95
    rows = pq.read_table(Path(pipeline.output) / "infer" / "predictions").to_pydict()
    right = [p == w for p, w, s in zip(rows["prediction"], rows["label"], rows["split"], strict=True) if s == "test"]
    assert np.mean(right) == pytest.approx(read_scores(pipeline)["test"]["accuracy"])


def test_each_review_gets_its_gradient(made: Make) -> None:
    """The language model's gradient is that of the loss with all texts encoded at once, by hand."""
    pipeline = made("gradient", TEXT, {"strategy": "lm_only"})
    run_pipeline(pipeline, ("construct",), reporter=QUIET)
    experiment = build_lm_experiment(pipeline, QUIET)
    ids = experiment.learner.objective.stream(16, 0).epoch_order(0)[:16]
    experiment.learner.trained.train()
    experiment.learner.backward(experiment.learner.batches().make(ids, StreamPosition(0, 0)))
    lm = experiment.learner.language_models
    found = {n: p.grad.clone() for n, p in lm.named_parameters() if p.grad is not None}
    assert found
    experiment.learner.trained.zero_grad()
    encoder, graph, task = lm.of(pipeline.model.encoder_key("item")), experiment.graph, experiment.task
    assert isinstance(task, EdgeLabelTask)

    def vectors(texts: list[str]) -> torch.Tensor:
        out = []
        for text in texts:
            tokens = encoder.tokenizer(text, truncation=True, max_length=16)["input_ids"]
            one = TextBatch(torch.tensor([tokens]), torch.tensor([len(tokens)]), torch.tensor([0]), False)
            out.append(encoder(one)[0])
        return torch.stack(out)

    source, target = graph.edges(task.edge_type, ids)
    titles, notes = graph.text("item", "title").to_pylist(), graph.text(task.edge_type, "review").to_pylist()
    features = {"text:title": vectors([titles[i] for i in target])}
    items = experiment.model.inputs.encode("item", torch.from_numpy(target), features)
    users = experiment.model.inputs.encode("user", torch.from_numpy(source), {})
    outputs = task.head(users, items, {"text:review": vectors([notes[i] for i in ids])})
    loss, _ = task.target.loss(outputs.float(), torch.from_numpy(task.labels[ids]).long())
    loss.backward()
    for name, parameter in lm.named_parameters():
        if name in found:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["lm", "joint"])
def test_resumed_is_uninterrupted(made: Make, monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    ends = []
    for name in ("whole", "broken"):
        strategy = "lm_only" if phase == "lm" else "joint"
        changes = {"strategy": strategy, "checkpoint": {"every_steps": 3}, "track": {"every_steps": 1}, "epochs": 2}
        pipeline = made(f"{phase}-{name}", TEXT, changes).model_copy(update={"cache": f"{phase}-{name}"})
        pipeline = pipeline.with_absolute_paths(Path(pipeline.output).parent)
        if name == "broken":
            real = Trainer.check_finite

            def stop(self: Trainer, loss: float, norm: float, real: Any = real) -> None:
                if self.state.updates == 8:
                    raise KeyboardInterrupt
                real(self, loss, norm)

            with monkeypatch.context() as patch:
                patch.setattr(Trainer, "check_finite", stop)
                with pytest.raises(KeyboardInterrupt):
                    run_pipeline(pipeline, ("construct", "train"), reporter=QUIET)
        run_pipeline(pipeline, ("construct", "train"), reporter=QUIET)
        ends.append([r.get("loss") or r.get("accuracy") for r in read_metrics(Path(pipeline.output) / "train")])
    assert ends[0] == ends[1]


@pytest.mark.slow
@pytest.mark.dist
@pytest.mark.parametrize(
    ("strategy", "inputs", "layout", "edge_inputs"),
    [
        ("frozen", {}, (2, 1), {}),
        ("lm_only", TEXT, (2, 1), {}),
        ("staged", {}, (1, 2), {}),
        ("joint", TEXT, (2, 1), {}),
        ("joint", TEXT, (2, 1), {"user:buys:item": {}, "item:buys_rev:user": {}}),
    ],
)
def test_ranks_take_the_same_steps(
    made: Make, strategy: str, inputs: Any, layout: tuple[int, int], edge_inputs: dict[str, Any]
) -> None:
    ends = []
    for name in ("alone", "ranks"):
        changes = {"strategy": strategy, "epochs": 2, "track": {"every_steps": 1}}
        pipeline = made(f"{strategy}-{name}", inputs, changes, 2, edge_inputs)
        if name == "alone":
            run_pipeline(pipeline, ("construct", "train", "evaluate", "infer"), reporter=QUIET)
        else:
            ranks.run_stages(pipeline, ["train", "evaluate", "infer"], *layout)
        losses = [r["loss"] for r in read_metrics(Path(pipeline.output) / "train") if r["kind"] == "train"]
        ends.append((losses, read_scores(pipeline)["test"]["accuracy"]))
    if strategy == "joint":  # each rank chooses its own texts to train
        assert min(end[1] for end in ends) > 0.95
        return
    np.testing.assert_allclose(ends[1][0], ends[0][0], rtol=1e-4)
    assert ends[1][1] == pytest.approx(ends[0][1], abs=1e-6)


@pytest.mark.parametrize(
    ("inputs", "train", "words"),
    [
        ({"text": ["reviews"]}, {}, r"task\.inputs\.text\[0\].*'reviews'.*review"),
        ({"features": ["star"]}, {}, r"task\.inputs\.features\[0\].*'star'.*stars"),
        ({"features": [], "text": []}, {}, r"task\.inputs.*must name a feature or a text of 'user:buys:item'"),
        ({}, {"strategy": "distill"}, r"train\.strategy.*student reads texts of nodes"),
        (None, {"strategy": "lm_only"}, r"'user' must have a text"),
    ],
)
def test_what_does_not_fit_is_refused(made: Make, inputs: Any, train: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        made("bad", inputs, train)


def test_without_a_text_encoder_nobody_reads_reviews(made: Make) -> None:
    """Neither for the pipeline's task nor for a phase's own."""
    data = made("bad", TEXT).model_dump(mode="json")
    data["model"] |= {"text_encoder": None, "inputs": {"item": {"text": []}}}
    with pytest.raises(ConfigError, match=r"model\.text_encoder.*task\.inputs reads text"):
        build_pipeline(data)
    own = {"name": "lm", "type": "lm", "task": data["task"]}
    data["task"] = {"type": "node_classification", "node_type": "item", "label": "kind"}
    data["train"] |= {"strategy": "staged", "phases": [own, {"name": "gnn", "type": "gnn"}]}
    with pytest.raises(ConfigError, match=r"model\.text_encoder.*task\.inputs reads text"):
        build_pipeline(data)


def test_features_of_scored_edges_need_no_text_encoder(made: Make) -> None:
    data = made("plain", STARS).model_dump(mode="json")
    data["model"] |= {"text_encoder": None, "inputs": {"item": {"text": []}}}
    data["train"]["epochs"] = 1
    run_pipeline(build_pipeline(data), ("construct", "train"), reporter=QUIET)


def test_pieces_are_refused_in_joint_phases_over_hosts(made: Make) -> None:
    data = made("bad", TEXT, {"strategy": "joint"}, partitions=2).model_dump(mode="json")
    data["launch"] |= {"hosts": 2}
    data["model"]["text_encoder"]["long_texts"] = "chunk"
    with pytest.raises(ConfigError, match=r"text_encoder\.long_texts: must be truncate for a joint phase on several"):
        build_pipeline(data)


def test_a_phase_is_reused_only_where_its_width_fits(made: Make) -> None:
    """Where no end has a text, a language model's head has the graph network's width."""

    def of_width(output: str, hidden: int, strategy: str) -> Pipeline:
        data = made(output, TEXT, {"strategy": strategy}).model_dump(mode="json")
        data["cache"] = str(Path(data["output"]).parent / "one-cache")
        data["model"]["inputs"] = {"item": {"text": []}}
        data["model"]["gnn"]["hidden"] = hidden
        return build_pipeline(data)

    assert score_of(of_width("first", 16, "staged")) > 0.95
    assert score_of(of_width("second", 24, "lm_only")) > 0.95


def test_weights_of_the_language_model_of_reviews_are_remembered(made: Make) -> None:
    pipeline = made("weights", TEXT)
    run_pipeline(pipeline, ("construct",), reporter=QUIET)
    assert "user:buys:item.text:review" in build_experiment(pipeline, QUIET).artifacts.text_weights
