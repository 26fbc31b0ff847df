"""Scores of links that read the edge itself: known answers, negatives have the features of the edge that they corrupt,
training reads training edges alone, predictions are of edges that are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from gconstruct import build_graph
from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.model import EdgeInputConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.moments import magnitude_of
from graphstorm_like.inference.rows import asked_pairs
from graphstorm_like.inputs.edges import edge_sources
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.link_inputs import LinkInputs
from graphstorm_like.pending import Pending
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.batch import LinkTargets, StreamPosition
from graphstorm_like.sampling.seeds import RankSlice
from graphstorm_like.tasks import Evaluation, LinkPrediction
from graphstorm_like.tasks.outputs import Asked
from graphstorm_like.training.experiment import Experiment, build_experiment

QUIET = Reporter(quiet=True)
INPUTS = {"features": ["weight"]}
SIMILAR = ("item", "similar", "item")
KIND = {"column": "kind", "encode": "one_hot"}


def opened(config: Pipeline) -> tuple[Experiment, LinkPrediction]:
    """With weights that are no longer those of the beginning, under which inputs change nothing."""
    experiment = build_experiment(config, QUIET)
    task = experiment.task
    assert isinstance(task, LinkPrediction)
    if task.own_inputs is not None:
        with torch.no_grad():
            task.own_inputs.changes.weight.normal_(generator=torch.Generator().manual_seed(0))
    return experiment, task


def weights_of(experiment: Experiment, ids: np.ndarray) -> dict[str, torch.Tensor]:
    return {"weight": torch.from_numpy(np.array(experiment.graph.gather(SIMILAR, "weight", ids)))}


def test_known_answer() -> None:
    """x = ReLU(2 f + 1) = 5 for f = 2: h (1 + 5 a) + 5 b."""
    reads = LinkInputs(2)
    reads.reads({"f": 1})
    source, inputs = torch.tensor([[1.0, -2.0]]), {"f": torch.tensor([[2.0]])}
    assert torch.equal(reads(source, inputs), source)  # at first nothing changes
    with torch.no_grad():
        reads.own[0][0].weight.copy_(torch.tensor([[2.0], [-1.0]]))  # type: ignore[index,union-attr]
        reads.own[0][0].bias.copy_(torch.tensor([1.0, 0.0]))  # type: ignore[index,union-attr]
        reads.changes.weight[:, 0] = torch.tensor([0.1, 0.2, 3.0, 4.0])
    assert torch.allclose(reads(source, inputs), torch.tensor([[1.0 * 1.5 + 15.0, -2.0 * 2.0 + 20.0]]))


def test_gradients() -> None:
    reads = LinkInputs(3)
    reads.reads({"f": 2, "g": 1})
    reads.double()
    torch.nn.init.normal_(reads.changes.weight)
    rows = [torch.randn(4, width, dtype=torch.float64, requires_grad=True) for width in (3, 2, 1)]

    def changed(source: torch.Tensor, f: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
        # Inputs are read in float32: their gradients would be too coarse for the check.
        mapped = torch.stack([reads.own[0](f), reads.own[1](g)]).sum(dim=0).relu()
        scale, shift = reads.changes(mapped).chunk(2, dim=-1)
        return source * (1 + scale) + shift

    reads.float()
    narrow = [row.float() for row in rows]
    torch.testing.assert_close(reads(narrow[0], {"f": narrow[1], "g": narrow[2]}), changed(*narrow))
    reads.double()
    assert torch.autograd.gradcheck(changed, rows)


def test_negatives_have_the_inputs_of_their_edge(shop_config: Callable[..., Pipeline]) -> None:
    """The loss is that of scores <q(h_s, e), t>, with one e a row."""
    experiment, task = opened(shop_config("link_prediction", task={"inputs": INPUTS}))
    rows = task.rows("train")[:12]
    batch = experiment.learner.batches().make(rows, StreamPosition(0, 0))
    targets = batch.targets
    assert isinstance(targets, LinkTargets)
    ids, group = targets.ids[SIMILAR].numpy(), targets.groups[0]
    assert sorted(ids) == sorted(rows)
    torch.testing.assert_close(targets.inputs["weight"], weights_of(experiment, ids)["weight"])
    source, target = experiment.graph.edges(SIMILAR, ids)
    assert batch.seeds["item"][group.sources].tolist() == source.tolist()
    vectors = {"item": torch.randn(len(batch.seeds["item"]), 16)}
    loss, count = task.loss(vectors, batch)
    pool = vectors["item"][targets.pools["item"].mine]
    scores = torch.empty(len(ids), len(pool))
    assert task.own_inputs is not None
    for i in range(len(ids)):
        row = vectors["item"][group.sources[i : i + 1]]
        query = task.own_inputs(row, weights_of(experiment, ids[i : i + 1]))
        scores[i] = torch.nn.functional.cosine_similarity(query, pool, dim=1)
    want = task.link_loss(scores, group.mask, True, None)
    torch.testing.assert_close(loss, want, rtol=1e-4, atol=1e-4)
    assert count == 12


def test_ranks_share_a_step(shop_config: Callable[..., Pipeline]) -> None:
    """Each rank has the inputs of its own edges, and together they have all."""
    experiment, task = opened(shop_config("link_prediction", task={"inputs": INPUTS}))
    rows, found = task.rows("train")[:15], []
    for rank in range(2):
        batch = task.seeder(0, RankSlice(rank, 2))(rows, StreamPosition(0, 0))
        assert isinstance(batch.targets, LinkTargets)
        ids = batch.targets.ids[SIMILAR].numpy()
        source, target = experiment.graph.edges(SIMILAR, ids)
        group, pool = batch.targets.groups[0], batch.targets.pools["item"]
        assert batch.seeds["item"][group.sources].tolist() == source.tolist()
        assert batch.seeds["item"][pool.mine[: len(ids)]].tolist() == target.tolist()
        found += ids.tolist()
    assert sorted(found) == sorted(rows.tolist())


def test_training_reads_training_edges_alone(shop_config: Callable[..., Pipeline]) -> None:
    experiment, task = opened(shop_config("link_prediction", task={"inputs": INPUTS}))
    source, read = task.scored_sources["weight"], []

    class Noting:
        def rows(self, ids: np.ndarray) -> object:
            return self.begin_rows(ids).wait()

        def begin_rows(self, ids: np.ndarray) -> Pending[object]:
            read.extend(ids.tolist())
            return source.begin_rows(ids)

    task.scored_sources["weight"] = Noting()  # type: ignore[index]
    pipeline, stream = experiment.learner.batches(), task.stream(64, 0)
    order = stream.epoch_order(0)
    for step in range(stream.steps):
        pipeline.make(stream.step_ids(order, step), StreamPosition(0, step))
    assert set(read) == set(task.rows("train").tolist())


@pytest.mark.parametrize("candidates", ["all", 30])
def test_ranks_read_the_edge(shop_config: Callable[..., Pipeline], candidates: str | int) -> None:
    """Of each scored edge, by a loop over all candidates; of few candidates, other numbers than without inputs."""
    changes = {"ranking": {"candidates": candidates}}
    experiment, task = opened(shop_config("link_prediction", task={"inputs": INPUTS, **changes}))
    how = Evaluation("layer_wise", (), 0)
    found = task.evaluate(experiment.embedder(), "test", how)["mrr"]
    _, plain = opened(shop_config("link_prediction", task=changes))
    assert found != plain.evaluate(experiment.embedder(), "test", how)["mrr"]
    if candidates != "all":
        return
    vectors = torch.from_numpy(np.array(experiment.embedder().layer_wise(["item"])["item"]))
    source, target = experiment.graph.edges(SIMILAR)
    reciprocal = []
    for row in task.rows("test").tolist():
        assert task.own_inputs is not None
        query = task.own_inputs(vectors[source[[row]]], weights_of(experiment, np.array([row])))
        scores = torch.nn.functional.cosine_similarity(query, vectors, dim=1).detach().numpy()
        known = set(target[source == source[row]].tolist()) | {int(source[row])}
        others = np.delete(scores, sorted(known | {int(target[row])}))
        reciprocal.append(1.0 / (1.0 + np.sum(others > scores[target[row]])))
    assert found == pytest.approx(np.mean(reciprocal), rel=1e-3)


def test_predictions_are_of_edges(shop_config: Callable[..., Pipeline]) -> None:
    config = shop_config("link_prediction", task={"inputs": INPUTS})
    experiment, task = opened(config)
    vectors = experiment.embedder().layer_wise(["item"])
    count = experiment.graph.manifest.edge(SIMILAR).count
    made = task.predictions(vectors, config.infer, lambda *_: None)
    assert made.row_type == SIMILAR
    table = made.table(slice(0, count)).to_pydict()
    assert list(table) == ["source", "target", "parallel", "score"]
    names, (source, target) = experiment.graph.ids("item").to_pylist(), experiment.graph.edges(SIMILAR)
    assert table["source"] == [names[i] for i in source]
    assert table["target"] == [names[i] for i in target]
    assert set(table["parallel"]) == {0}
    rows = [torch.from_numpy(np.array(vectors["item"][ids])) for ids in (source, target)]
    assert task.own_inputs is not None
    changed = task.own_inputs(rows[0], weights_of(experiment, np.arange(count)))
    want = torch.nn.functional.cosine_similarity(changed, rows[1], dim=1).detach().numpy()
    np.testing.assert_allclose(table["score"], want, atol=1e-5)
    assert task.needed(Asked()) == {"item": None}
    assert task.end_vectors() == ()
    pairs = (pa.array([table["source"][3]]), pa.array([table["target"][3]]))
    asked = asked_pairs(experiment.graph, SIMILAR, task.scores_edges, pairs, {}, "pairs")
    assert asked.edges is not None
    assert asked.edges.tolist() == [3]
    assert task.asked_predictions(vectors, config.infer, lambda *_: None, asked).rows is asked.edges
    assert task.needed(asked)["item"].tolist() == sorted({source[3], target[3]})  # type: ignore[union-attr]
    no_edge = (pa.array([names[0]]), pa.array([names[0]]))
    with pytest.raises(DataError, match="pairs must be edges of item:similar:item"):
        asked_pairs(experiment.graph, SIMILAR, task.scores_edges, no_edge, {}, "pairs")


def hinted(folder: Path, inputs: object, feature: dict[str, str] = KIND) -> Pipeline:
    """Each of 30 people asks for any of 12 things; the edge says which of 4 kinds it is to be."""
    rng = np.random.default_rng(0)
    pairs = sorted({(int(rng.integers(30)), int(rng.integers(12))) for _ in range(320)})
    pq.write_table(pa.table({"id": list(range(30))}), folder / "person.parquet")
    pq.write_table(pa.table({"id": list(range(12))}), folder / "thing.parquet")
    columns = {"s": [s for s, _ in pairs], "t": [t for _, t in pairs], "kind": [f"k{t % 4} asks" for _, t in pairs]}
    pq.write_table(pa.table(columns), folder / "asks.parquet")
    edge = {"source": "person", "relation": "asks", "target": "thing", "files": "asks.parquet"}
    edge |= {"source_id": "s", "target_id": "t", "features": {"kind": feature}}
    edge |= {"split": {"train": 0.6, "valid": 0.2, "test": 0.2}}
    task = {"type": "link_prediction", "edge_type": "person:asks:thing", "inputs": inputs, "head": {"type": "dot"}}
    task |= {"ranking": {"candidates": "all"}}
    data = {
        "output": str(folder / f"run{inputs is None}"),
        "graph": {
            "path": str(folder / "g"),
            "base": str(folder),
            "nodes": {name: {"files": f"{name}.parquet", "id": "id"} for name in ("person", "thing")},
            "edges": [edge],
        },
        "model": {"gnn": {"type": "none", "hidden": 16}},
        "task": task,
        "train": {"epochs": 8, "batch_size": 16, "lr": 0.02, "evaluate_every": None},
        "launch": {"threads": 1},
    }
    return build_pipeline(data)


def test_what_edges_say_is_learnt(tmp_path: Path) -> None:
    """A quarter of the things is left to choose from."""
    scores = {}
    for inputs in ({}, None):
        config = hinted(tmp_path, inputs)
        build_graph(config.graph)
        run_pipeline(config, ["train", "evaluate", "infer"], reporter=QUIET)
        scores[inputs is None] = read_scores(config)["test"]["mrr"]
    assert scores[False] > scores[True] + 0.2
    found = pq.read_table(tmp_path / "runFalse" / "infer" / "predictions").num_rows
    assert found == pq.read_table(tmp_path / "asks.parquet").num_rows


def test_words_of_edges_are_divided_by_their_magnitude(tmp_path: Path) -> None:
    """By the head and in messages: as at nodes."""
    feature = {"column": "kind", "encode": "words"}
    config = hinted(tmp_path, {}, feature)
    build_graph(config.graph)
    experiment, task = opened(config)
    asks = ("person", "asks", "thing")
    expected = magnitude_of(experiment.graph.manifest.edge(asks).features["kind"])
    assert expected == pytest.approx(3**-0.5)  # "k0 asks" has three terms
    assert task.own_inputs is not None
    assert task.own_inputs.state_dict()["own.0.0.magnitude"].item() == pytest.approx(expected)
    reading = config.model.model_copy(update={"edge_inputs": {"person:asks:thing": EdgeInputConfig()}})
    _, specs = edge_sources(reading, experiment.graph, {})
    np.testing.assert_array_equal(specs[asks].moments["kind"], [[0.0] * 9, [expected] * 9])


MINED = {"type": "mix", "parts": [{"share": 1, "negatives": {"type": "mined_model"}}]}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ({"edge_type": None, "edge_types": "all"}, r"inputs: must be left out with edge_types"),
        ({"negatives": {"self_negative": True}}, r"inputs: must be left out with negatives\.self_negative"),
        ({"negatives": MINED}, r"inputs: must be left out with negatives of type mined_model"),
        ({"inputs": {"features": ["wight"]}}, r"inputs\.features\[0\].*unknown feature 'wight'"),
        ({"inputs": {"features": []}}, r"inputs: must name a feature or a text"),
    ],
)
def test_what_is_refused(shop_config: Callable[..., Pipeline], task: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_config("link_prediction", task={"inputs": INPUTS, **task})
