"""A shop whose reviews (edges) alone say what is good: learnt from edge features or edge text, and not without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import graphstorm_like.models.embedding as embedding
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.phases import JointPhase
from graphstorm_like.config.train import CheckpointConfig, FanoutByType, TrackConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.inputs.choose import chosen_edge_inputs, unread_edge_types
from graphstorm_like.inputs.learning_tables import with_inputs
from graphstorm_like.inputs.learning_text import AgingVectors, ReorderedVectors
from graphstorm_like.inputs.source import CachedText
from graphstorm_like.inputs.text import text_rows
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import Messages, MiniBatch, StreamPosition
from graphstorm_like.sampling.loader import BatchPipeline
from graphstorm_like.sampling.seeds import ALL_ROWS, RankSlice, SeedStream
from graphstorm_like.sampling.steps import FetchFeatures, NodeSeeder, SampleNeighbors
from graphstorm_like.text.batching import TextBatch
from graphstorm_like.text.embed import embed_texts
from graphstorm_like.text.encoder import TextEncoder
from graphstorm_like.training.experiment import Experiment, build_experiment
from graphstorm_like.training.lm.build import LmExperiment, build_joint_experiment
from graphstorm_like.training.phases.base import phase_pipeline
from graphstorm_like.training.tracking import read_metrics
from graphstorm_like.training.trainer import Trainer, describe

QUIET = Reporter(quiet=True)
REVIEWS, REVERSE = "user:reviews:item", "item:reviews_rev:user"
ALL = FanoutByType(default=-1)
_WORDS = (("broken", "late"), ("fine", "sturdy"))


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(tables, language model): 200 items, each with 5 reviews, some of one user twice."""
    from graphstorm_like.testing.text import tiny_text_model

    pytest.importorskip("transformers")
    folder, rng = tmp_path_factory.mktemp("reviews"), np.random.default_rng(0)
    good = rng.integers(2, size=200)
    splits = np.array(["train", "valid", "test"])[rng.choice(3, p=[0.6, 0.3, 0.1], size=200)]
    names = [f"item-{i}" for i in range(200)]
    pq.write_table(pa.table({"id": names, "good": good, "split": splits}), folder / "item.parquet")
    of = np.repeat(np.arange(200), 5)
    user = rng.integers(12, size=len(of))
    user[1::5] = user[::5]
    table = {
        "source": [f"u{u}" for u in user],
        "target": [names[i] for i in of],
        "stars": 2.0 * good[of] - 1.0 + rng.normal(size=len(of)),
        "comment": [f"{rng.choice(_WORDS[good[i]])} {rng.integers(10)}" for i in of],
    }
    pq.write_table(pa.table(table), folder / "reviews.parquet")
    return folder, tiny_text_model(folder / "lm")


@pytest.fixture
def make(reviews: tuple[Path, Path], tmp_path: Path) -> Callable[..., Pipeline]:
    """A pipeline whose nodes know nothing: make(gnn, edge_inputs)."""
    from gconstruct import build_graph

    def run(gnn: str, edge_inputs: dict[str, object], epochs: int = 10, **train: object) -> Pipeline:
        label = {"column": "good", "split": {"column": "split"}}
        edges = {
            "source": "user",
            "relation": "reviews",
            "target": "item",
            "files": "reviews.parquet",
            "features": {"stars": "stars"},
            "text": {"comment": {"columns": "comment"}},
        }
        nodes = {"item": {"files": "item.parquet", "id": "id", "labels": {"good": label}}, "user": {}}
        data = {
            "output": str(tmp_path / "run"),
            "cache": str(tmp_path / "cache"),
            "graph": {"base": str(reviews[0]), "nodes": nodes, "edges": [edges]},
            "model": {
                "text_encoder": {"name": str(reviews[1]), "max_tokens": 16, "dtype": "float32"},
                "inputs": {"item": {"embedding": False}, "user": {"embedding": False}},
                "edge_inputs": edge_inputs,
                "gnn": {"type": gnn, "hidden": 16, "layers": 2, "dropout": 0.0},
            },
            "task": {"type": "node_classification", "node_type": "item", "label": "good"},
            "train": {"epochs": epochs, "batch_size": 32, "fanouts": [10, 10], "lr": 0.02, "early_stop": None} | train,
        }
        pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
        build_graph(pipeline.graph)
        return pipeline

    return run


def test_without_its_edge_inputs_the_label_is_not_learnt(make: Callable[..., Pipeline], tmp_path: Path) -> None:
    assert Trainer(build_experiment(make("rgcn", {}), QUIET), tmp_path / "t", QUIET).train().best < 0.75


@pytest.mark.parametrize("gnn", ["rgcn", "sage", "rgat"])
@pytest.mark.parametrize("wanted", [{"text": []}, {"features": []}], ids=["features", "text"])
def test_what_only_edges_say_is_learnt(
    make: Callable[..., Pipeline], tmp_path: Path, gnn: str, wanted: dict[str, list[str]]
) -> None:
    experiment = build_experiment(make(gnn, {REVIEWS: wanted}), QUIET)
    assert Trainer(experiment, tmp_path / "t", QUIET).train().best > 0.9


def full_batch(found: Experiment, node_type: str) -> np.ndarray:
    steps = [SampleNeighbors(found.graph, [ALL, ALL], 0), FetchFeatures(found.sources)]
    ids = np.arange(found.graph.manifest.node(node_type).count)
    batch = BatchPipeline(NodeSeeder(node_type, None), steps).make(ids, StreamPosition(0, 0))
    with torch.inference_mode():
        return found.model.eval()(batch)[node_type].numpy()


@pytest.mark.parametrize("gnn", ["rgcn", "sage", "rgat"])
@pytest.mark.parametrize("edges", [10**6, 20])
def test_layer_wise_and_mini_batches_are_full_batch(
    make: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, gnn: str, edges: int
) -> None:
    monkeypatch.setattr(embedding, "MAX_EDGES", edges)
    found = build_experiment(make(gnn, {REVIEWS: {}, REVERSE: {}}), QUIET)
    for node_type in ("item", "user"):
        want = full_batch(found, node_type)
        np.testing.assert_allclose(found.embedder().layer_wise([node_type])[node_type], want, atol=1e-5)
        ids = np.array([7, 0, 11])
        few = found.embedder().mini_batch(node_type, ids, [ALL, ALL], 0)
        np.testing.assert_allclose(few, want[ids], atol=1e-5)
    assert np.ptp(want, axis=0).max() > 0.01  # nodes of a type differ by their edges alone


# -- language models that learn from what is in messages ----------------------------------------------------------

BOTH: dict[str, dict[str, list[str]]] = {REVIEWS: {"features": []}, REVERSE: {"features": []}}
JOINT = {"strategy": "joint", "precision": "float32", "lm": {"lr": 0.003, "dropout": 0.0}}


@pytest.fixture
def joint(make: Callable[..., Pipeline]) -> Callable[..., tuple[Pipeline, LmExperiment]]:
    def build(
        gnn: str, phase: dict[str, object], read: tuple[str, ...] = (REVIEWS, REVERSE)
    ) -> tuple[Pipeline, LmExperiment]:
        phases = [{"name": "joint", "type": "joint", **phase}]
        pipeline = make(gnn, BOTH, 4, **JOINT, phases=phases)
        wanted = {name: config for name, config in pipeline.model.edge_inputs.items() if name in read}
        pipeline = pipeline.model_copy(update={"model": pipeline.model.model_copy(update={"edge_inputs": wanted})})
        (one,) = pipeline.train.phase_list()
        assert isinstance(one, JointPhase)
        return pipeline, build_joint_experiment(phase_pipeline(pipeline, one), one, QUIET)

    return build


class SquaresOfUsers:
    """An objective whose seeds are users: edges next to them are reverses."""

    def stream(self, batch_size: int, seed: int) -> SeedStream:
        return SeedStream(np.arange(12), batch_size, seed)

    def seeder(self, seed: int, share: RankSlice = ALL_ROWS) -> NodeSeeder:
        return NodeSeeder("user", None)

    def loss(self, vectors: dict[str, torch.Tensor], batch: MiniBatch) -> tuple[torch.Tensor, float]:
        return vectors["user"].square().sum(), float(len(vectors["user"]))


@pytest.mark.parametrize(("gnn", "seeds"), [("rgcn", "item"), ("sage", "item"), ("rgat", "item"), ("rgcn", "user")])
def test_texts_of_messages_get_their_gradient(
    joint: Callable[..., tuple[Pipeline, LmExperiment]], gnn: str, seeds: str
) -> None:
    """The language model's gradient is that of the loss with the edges next to the seeds encoded by hand."""
    _, found = joint(gnn, {"neighbors": 10**6})
    if seeds == "user":
        found = replace(found, learner=replace(found.learner, objective=SquaresOfUsers()))
    batch = found.learner.batches().make(np.arange(12), StreamPosition(0, 0))
    next_to_seeds = tuple((REVIEWS if seeds == "item" else REVERSE).split(":"))
    assert {place: list(by_name) for place, by_name in batch.texts.items()} == {
        Messages(next_to_seeds): ["text:comment"]
    }
    found.learner.trained.train()
    found.learner.backward(batch)
    lm = found.learner.language_models
    gradients = {n: p.grad.clone() for n, p in lm.named_parameters() if p.grad is not None}
    assert gradients
    found.learner.trained.zero_grad()
    encoder = lm.of("*")

    def vector(text: str) -> torch.Tensor:
        tokens = encoder.tokenizer(text, truncation=True, max_length=16)["input_ids"]
        one = TextBatch(torch.tensor([tokens]), torch.tensor([len(tokens)]), torch.tensor([0]), False)
        found: torch.Tensor = encoder(one)[0]
        return found

    blocks = []
    for i, block in enumerate(batch.blocks):
        assert block.relations
        inputs = {}
        for edge_type, relation in block.relations.items():
            texts = found.graph.text(edge_type, "comment").to_pylist()
            with torch.set_grad_enabled(i == len(batch.blocks) - 1):
                inputs[edge_type] = {"text:comment": torch.stack([vector(texts[e]) for e in relation.edge_ids])}
        blocks.append(with_inputs(block, inputs))
    by_hand = batch.replace(blocks=tuple(blocks))
    loss, _ = found.learner.objective.loss(found.model(by_hand), by_hand)
    loss.backward()
    for name, parameter in lm.named_parameters():
        if name in gradients:
            torch.testing.assert_close(gradients[name], parameter.grad, atol=2e-3, rtol=2e-2, msg=name)


def test_both_directions_have_one_table(joint: Callable[..., tuple[Pipeline, LmExperiment]]) -> None:
    """Both find their own text's row in it, and what a step puts through one is what the other reads after it."""
    _, found = joint("rgcn", {"neighbors": 10**6})
    (table,) = found.learner.tables
    assert isinstance(table, AgingVectors)
    forward, reverse = (tuple(name.split(":")) for name in (REVIEWS, REVERSE))
    ids = np.arange(found.graph.manifest.edge(forward).count)
    texts = {t: found.graph.text(t, "comment").to_pylist() for t in (forward, reverse)}
    table.own[:] = np.arange(len(table.own))[:, None]
    number = {t: found.sources[t]["text:comment"].rows(ids)[:, 0] for t in (forward, reverse)}
    of_text = dict(zip(texts[forward], number[forward], strict=True))
    assert number[reverse].tolist() == [of_text[text] for text in texts[reverse]]
    tables = found.learner.texts.by_place
    through, reader = tables[Messages(reverse)]["text:comment"], tables[Messages(forward)]["text:comment"]
    stores = through.tokens
    fetched = stores.begin_fetch(ids).wait()
    np.testing.assert_array_equal(fetched.pieces[fetched.tokens.row_of_text], number[reverse])
    tokenizer = found.learner.language_models.of("*").tokenizer
    lengths = [len(tokenizer(text, truncation=True, max_length=16)["input_ids"]) for text in texts[reverse]]
    np.testing.assert_array_equal(stores.begin_lengths(ids).wait(), lengths)
    assert isinstance(through, ReorderedVectors)
    some = fetched.pieces[:3]
    through.put(some, torch.full((3, table.width), -5.0))
    found.learner.stepped(1)
    assert table.own[some, 0].tolist() == [-5.0] * 3
    changed = np.isin(reader.rows(ids)[:, 0], -5.0)
    assert set(np.array(texts[forward])[changed]) == {
        text for text, row in zip(texts[reverse], number[reverse], strict=True) if row in some
    }


def rows_now(found: LmExperiment, table: AgingVectors) -> np.ndarray:
    with torch.inference_mode():
        found.learner.language_models.eval()
        every = np.arange(found.graph.manifest.edge(tuple(REVIEWS.split(":"))).count)
        fetched = table.tokens.begin_fetch(every).wait()
        rows = embed_texts(found.learner.language_models.of("*"), fetched.tokens, np.arange(len(fetched.pieces)))
        return rows[np.argsort(fetched.pieces)]


@pytest.mark.parametrize("read", [(REVIEWS,), (REVERSE,), (REVIEWS, REVERSE)], ids=["forward", "reverse", "both"])
def test_vectors_age_and_are_made_anew(
    joint: Callable[..., tuple[Pipeline, LmExperiment]], read: tuple[str, ...]
) -> None:
    """Also when the reverse alone reads them: ages are told, the sweep computes each row in time, and before a
    validation all rows are those of the present weights."""
    _, found = joint("rgcn", {"refresh_steps": 4, "lm_tokens": 50}, read)
    (table,) = found.learner.tables
    assert isinstance(table, AgingVectors)
    ages = []
    for step in range(1, 9):
        found.learner.backward(found.learner.batches().make(np.arange(16), StreamPosition(0, step)))
        ages.append(found.learner.stepped(step)["mean_vector_age"])
        assert (step - table.own_computed).max() <= min(step, 4)
    assert ages[0] == 0.0
    assert 0.5 < max(ages) <= 4
    with torch.no_grad():
        for parameter in found.learner.language_models.parameters():
            parameter.mul_(1.1)
    assert np.abs(table.own - rows_now(found, table)).max() > 0.01
    found.learner.at(9)
    found.learner.before_validation()
    np.testing.assert_allclose(table.own, rows_now(found, table), atol=2e-3)
    assert (table.own_computed == 9).all()


@pytest.mark.parametrize(
    ("phase", "read", "message"),
    [
        ({}, {}, "no text enters the model, so there is no language model to train"),
        ({}, {REVERSE: {}}, r"must read texts of edges that lead to 'item' \(got item:reviews_rev:user\)"),
        ({"neighbors": 0}, BOTH, "must have neighbors of 1 or more for phase a"),
    ],
    ids=["none", "elsewhere", "no-neighbors"],
)
def test_a_joint_phase_without_texts_to_train_is_refused(
    make: Callable[..., Pipeline], phase: dict[str, object], read: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make("rgcn", read, 4, strategy="joint", phases=[{"name": "a", "type": "joint", **phase}])


@pytest.mark.slow
@pytest.mark.parametrize("phase", [{}, {"refresh_steps": 2, "lm_tokens": 100}], ids=["whole", "sweeping"])
def test_what_validation_sees_is_what_inference_will(
    joint: Callable[..., tuple[Pipeline, LmExperiment]], phase: dict[str, object]
) -> None:
    pipeline, found = joint("rgcn", phase)
    before = {n: p.detach().clone() for n, p in found.learner.language_models.named_parameters()}
    run_pipeline(pipeline, ("construct", "train", "evaluate"), reporter=QUIET)
    records = read_metrics(Path(pipeline.output) / "train")
    best = max(r["accuracy"] for r in records if r["kind"] == "valid")
    assert best > 0.9
    assert read_scores(pipeline)["valid"]["accuracy"] == pytest.approx(best)
    assert all(0 < r["mean_vector_age"] < 10 for r in records if r["kind"] == "train")
    saved = TextEncoder.load(str(Path(pipeline.output) / "train" / "best" / "lm" / "shared"), dtype="float32")
    assert any(not torch.equal(p, before[f"encoders.0.{n}"]) for n, p in saved.named_parameters())


@pytest.mark.slow
def test_joint_resumed_is_uninterrupted(
    joint: Callable[..., tuple[Pipeline, LmExperiment]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle of an epoch, between two resume points: rows of several ages come back."""
    pipeline, _ = joint("rgcn", {"lm_tokens": 300})
    ends = []
    for name in ("whole", "broken"):
        train = pipeline.train.model_copy(
            update={"checkpoint": CheckpointConfig(every_steps=2), "track": TrackConfig(every_steps=1)}
        )
        update = {"output": f"{pipeline.output}-{name}", "cache": f"{pipeline.cache}-{name}", "train": train}
        one = pipeline.model_copy(update=update)
        if name == "broken":
            real = Trainer.check_finite

            def stop(self: Trainer, loss: float, norm: float, real: Any = real) -> None:
                if self.state.updates == 7:
                    raise KeyboardInterrupt
                real(self, loss, norm)

            with monkeypatch.context() as patch:
                patch.setattr(Trainer, "check_finite", stop)
                with pytest.raises(KeyboardInterrupt):
                    run_pipeline(one, ("construct", "train"), reporter=QUIET)
        run_pipeline(one, ("construct", "train"), reporter=QUIET)
        records = read_metrics(Path(one.output) / "train")
        ends.append([r.get("accuracy", (r.get("loss"), r.get("mean_vector_age"))) for r in records])
    assert len(ends[0]) == 4 * (4 + 1 + 1)  # epochs of steps, a validation, and the sum of the epoch
    assert ends[0] == ends[1]


def training_batch(found: Experiment) -> MiniBatch:
    return found.learner.batches().make(np.arange(8), StreamPosition(0, 0))


def test_a_batch_holds_the_rows_of_its_edges(make: Callable[..., Pipeline]) -> None:
    found = build_experiment(make("rgcn", {REVERSE: {"text": []}, REVIEWS: {"features": []}}), QUIET)
    for block in training_batch(found).blocks:
        for edge_type, relation in block.relations.items():
            assert list(relation.inputs) == (["text:comment"] if edge_type[1] == "reviews" else ["stars"])
            for rows in relation.inputs.values():
                assert len(rows) == len(relation.sources) > 0
            if "stars" in relation.inputs:
                want = found.graph.gather(edge_type, "stars", relation.edge_ids.numpy())
                np.testing.assert_array_equal(relation.inputs["stars"].numpy(), want)


def test_a_reverse_shares_the_vectors_of_its_original(make: Callable[..., Pipeline]) -> None:
    """Each edge's text is embedded once; both directions find the vector of their own text."""
    found = build_experiment(make("rgcn", {REVIEWS: {}, REVERSE: {}}), QUIET)
    forward, reverse = (tuple(name.split(":")) for name in (REVIEWS, REVERSE))
    one, other = found.sources[forward]["text:comment"], found.sources[reverse]["text:comment"]
    assert isinstance(one, CachedText)
    assert isinstance(other, CachedText)
    assert one.cache.folder == other.cache.folder
    texts = found.graph.text(forward, "comment").to_pylist()
    vector_of = dict(zip(texts, one.rows(np.arange(len(texts))), strict=True))
    back = found.graph.text(reverse, "comment").to_pylist()
    assert back != texts
    np.testing.assert_array_equal(other.rows(np.arange(len(back))), np.stack([vector_of[text] for text in back]))
    assert text_rows(found.graph, "item") == ("item", None)
    assert text_rows(found.graph, forward) == (forward, None)
    assert found.artifacts.text_weights.keys() == {f"{REVIEWS}.text:comment", f"{REVERSE}.text:comment"}


def test_what_is_not_read_is_said(make: Callable[..., Pipeline]) -> None:
    found = build_experiment(make("rgcn", {REVIEWS: {"text": []}}), QUIET)
    note = "edge features and text are kept in the graph, but no model reads those of item:reviews_rev:user (see"
    assert note in describe(found)
    both = make("rgcn", {REVIEWS: {}, REVERSE: {}})
    assert unread_edge_types(both.model, found.graph.manifest) == []
    assert "no model reads" not in describe(build_experiment(both, QUIET))


def test_a_graph_folder_without_the_feature(make: Callable[..., Pipeline]) -> None:
    found = build_experiment(make("rgcn", {}), QUIET)
    config = make("rgcn", {REVIEWS: {}}).model
    wrong = config.model_copy(
        update={"edge_inputs": {REVIEWS: config.edge_inputs[REVIEWS].model_copy(update={"features": ["star"]})}}
    )
    with pytest.raises(DataError, match=r"edge type user:reviews:item: unknown feature 'star' \(known: stars\)\. Did"):
        chosen_edge_inputs(wrong, found.graph.manifest)
