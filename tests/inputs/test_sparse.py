"""Wide features by their entries: what is stored and read, and training that takes the steps of dense rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import gconstruct.features
from gconstruct.leaks.rowhash import row_hashes
from gconstruct.report.numbers import feature_profile
from gconstruct.report.rows import Pieces
from gconstruct.report.sparse import sparse_profile
from gconstruct.spill.columns import ColumnsWriter
from gconstruct.write import to_arrow, write_columns
from graphstorm_like.config import Pipeline
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.schema import FeatureSchema, feature_column
from graphstorm_like.graph.sparse import SparseRows, column_of, distinct_cells, of_cells, rows_of, sparse_type
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.models.inputs import InputProjection, sparse_product
from graphstorm_like.pending import Pending
from graphstorm_like.progress import Reporter
from graphstorm_like.sampling.steps import SparseFeature, as_tensors, node_feature
from graphstorm_like.serve.sources import WithNewRows
from graphstorm_like.testing import ranks
from graphstorm_like.training.tracking import read_metrics

ROWS = np.array([[0, 2, 0, -1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 3, 4]], np.float32)


def entries(dense: np.ndarray) -> SparseRows:
    return of_cells(np.flatnonzero(dense), dense[dense != 0], (len(dense), dense.shape[1]))


def test_entries_are_those_that_are_not_zero() -> None:
    rows = entries(ROWS)
    assert rows.offsets.tolist() == [0, 2, 2, 3, 5]
    assert rows.indices.tolist() == [1, 3, 0, 2, 3]
    assert rows.values.tolist() == [2, -1, 1, 3, 4]
    assert (len(rows), rows.shape) == (4, (4, 4))
    np.testing.assert_array_equal(np.asarray(rows), ROWS)
    assert distinct_cells(np.array([5, 1, 5])).tolist() == [1, 5]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_column_gives_its_rows_back(dtype: str) -> None:
    column = column_of(entries(ROWS), dtype)
    assert column.type == sparse_type(dtype)
    for some in (column, column.take(pa.array([0, 1, 2, 3])), pa.concat_arrays([column[:1], column[1:]])):
        np.testing.assert_array_equal(np.asarray(rows_of(some, 4)), ROWS)
    np.testing.assert_array_equal(np.asarray(rows_of(column.slice(2, 2), 4)), ROWS[2:])
    np.testing.assert_array_equal(np.asarray(rows_of(column.take(pa.array([3, 1])), 4)), ROWS[[3, 1]])
    assert np.asarray(rows_of(column[:0], 4)).shape == (0, 4)


def test_a_file_written_in_pieces_is_that_of_the_whole_column(tmp_path: Path) -> None:
    column = column_of(entries(ROWS), "float32")
    write_columns(tmp_path / "whole", {"f": column})
    writer = ColumnsWriter(tmp_path / "pieces", tmp_path / "scratch", 8)
    for piece in (column[:0], column[:3], column[3:]):
        writer.append({"f": piece})
    writer.finish()
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()


def test_the_product_is_that_of_dense_rows() -> None:
    torch.manual_seed(0)
    rows = as_tensors(entries(ROWS))
    assert isinstance(rows, SparseRows)
    weight = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(sparse_product(rows, weight), torch.from_numpy(ROWS).double() @ weight.t())
    assert torch.autograd.gradcheck(lambda w: sparse_product(rows, w), [weight])
    projection = InputProjection(4, 3, None)
    gradients = []
    for given in (rows, torch.from_numpy(ROWS)):
        projection.zero_grad()
        projection(given).square().sum().backward()
        gradients.append(projection.weight.grad)
    torch.testing.assert_close(*gradients)


def test_entries_are_divided_by_their_magnitude() -> None:
    """As dense rows are, to which a server adds new ones; the buffers are those of dense inputs."""
    moments = np.zeros(4), np.full(4, 0.25)
    projection = InputProjection(4, 3, moments)
    rows = as_tensors(entries(ROWS))
    expected = torch.from_numpy(ROWS) @ projection.weight.t() / 0.25
    torch.testing.assert_close(projection(rows), expected)
    torch.testing.assert_close(projection(torch.from_numpy(ROWS)), expected)
    with pytest.raises(AssertionError, match="would fill the rows"):
        InputProjection(4, 3, (np.ones(4), np.ones(4)))(rows)


def test_the_report_is_that_of_dense_rows() -> None:
    dense = np.random.default_rng(0).choice([0, 0, 0, 1, 2], (300, 5)).astype(np.float32)
    dense[:, 4] = 0
    schema = FeatureSchema(width=5)
    want = feature_profile(Pieces([to_arrow(dense)]), schema, 1.0)
    found = sparse_profile(Pieces([column_of(entries(dense), "float32")]), schema, [(0, 300)])
    assert found.numbers.model_dump() == pytest.approx(want.numbers.model_dump())
    for name, values in want.dimensions or ():
        assert getattr(found.dimensions, name) == pytest.approx(values)
    assert (found.median, found.constant, found.rows_seen) == (want.median, want.constant, want.rows_seen)
    assert found.histogram == want.histogram


def test_new_rows_of_a_server_stand_after_sparse_ones() -> None:
    known: Any = SimpleNamespace(begin_rows=lambda ids: Pending(lambda: entries(ROWS[ids])))
    source = WithNewRows(known, 4, np.full((2, 4), 7, np.float32))
    np.testing.assert_array_equal(source.rows(np.array([5, 0, 3])), [[7, 7, 7, 7], ROWS[0], ROWS[3]])
    assert isinstance(source.rows(np.array([0, 3])), SparseRows)


def test_equal_rows_have_equal_hashes() -> None:
    hashes = row_hashes([column_of(entries(ROWS[[0, 1, 0, 2, 1]]), "float32")], 5)
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[4]
    assert len({*hashes.tolist()}) == 3
    assert row_hashes([column_of(entries(2 * ROWS[:1]), "float32")], 1)[0] != hashes[0]


def configured(make: Callable[..., Pipeline], output: Path, hosts: int = 1) -> Pipeline:
    """Colours, words and their TF-IDF as features; exact steps: all neighbours, no dropout."""
    graph: dict[str, Any] = {"path": str(output / "graph"), "partitions": {"count": hosts}}
    pipeline = make(graph=graph, output=str(output))
    items = pipeline.graph.nodes["item"].model_dump(mode="json")
    items["features"]["words"] = {"encode": "multi_hot", "column": "title", "separator": " "}
    items["features"]["terms"] = {"encode": "words", "column": "title"}
    exact = {"epochs": 3, "batch_size": 32, "lr": 0.02, "fanouts": [-1, -1], "precision": "float32"}
    model = {"gnn": {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}, "inputs": {"item": {"text": []}}}
    nodes = {"item": items, "user": {}}
    return make(model=model, train=exact, graph={**graph, "nodes": nodes}, output=str(output))


def losses(pipeline: Pipeline) -> list[float]:
    return [record["loss"] for record in read_metrics(Path(pipeline.output) / "train") if record["kind"] == "train"]


@pytest.fixture
def dense_and_sparse(
    shop_config: Callable[..., Pipeline], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[int, Pipeline], Callable[[str, int], Pipeline]]:
    """Runs over dense features of 1 and of 3 partitions, and a function that gives runs over sparse ones."""
    dense = {hosts: configured(shop_config, tmp_path / f"dense-{hosts}", hosts) for hosts in (1, 3)}
    for pipeline in dense.values():
        run_pipeline(pipeline, reporter=Reporter(quiet=True))
    monkeypatch.setattr(gconstruct.features, "SPARSE_WIDTH", 2)
    return dense, lambda name, hosts: configured(shop_config, tmp_path / name, hosts)


def test_training_takes_the_steps_of_dense_rows(dense_and_sparse: Any) -> None:
    runs, make = dense_and_sparse
    for hosts, dense in runs.items():
        sparse = make(f"sparse-{hosts}", hosts)
        run_pipeline(sparse, reporter=Reporter(quiet=True))
        graph, other = (LocalGraph(Path(str(of.graph.path))) for of in (dense, sparse))
        for name in ("words", "terms"):
            schema = other.manifest.node("item").features[name]
            assert schema == graph.manifest.node("item").features[name].model_copy(update={"sparse": True})
            assert isinstance(node_feature(other, "item", name), SparseFeature)
            assert other.parts[0].column(("item", feature_column(name))).type == sparse_type("float32")
            np.testing.assert_array_equal(other.feature("item", name), graph.feature("item", name))
        np.testing.assert_allclose(losses(sparse), losses(dense), rtol=1e-4)
        assert read_scores(sparse) == read_scores(dense)


@pytest.mark.slow
@pytest.mark.dist
def test_servers_send_entries(dense_and_sparse: Any, tmp_path: Path) -> None:
    _, make = dense_and_sparse
    one = make("one", 2)
    run_pipeline(one, reporter=Reporter(quiet=True))
    many = one.model_copy(update={"output": str(tmp_path / "many")})
    ranks.run_stages(many, ["train", "evaluate", "infer"], 2, 1)
    np.testing.assert_allclose(losses(many), losses(one), rtol=1e-3, atol=1e-5)
    for split, metrics in read_scores(one).items():
        assert read_scores(many)[split] == pytest.approx(metrics, abs=0.02)
