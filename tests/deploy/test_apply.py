"""Models on other graphs: the numbers of `infer`, inductive scores, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from typer.testing import CliRunner

import gconstruct.features
from gconstruct import build_graph
from gconstruct.opened import GraphFiles
from graphstorm_like.cli.main import app
from graphstorm_like.config import build_pipeline
from graphstorm_like.deploy.model import Model
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.graph.schema import read_manifest

from .conftest import BUYS, SIMILAR, Packed, read

TASKS = ("node_regression", "edge_classification", "edge_regression", "link_prediction", "graph_pretraining")


def numbers(table: pa.Table) -> np.ndarray:
    """[n, ...]: the numbers of a table of results, row by row."""
    columns = []
    for field, column in zip(table.flatten().schema, table.flatten().columns, strict=True):
        if pa.types.is_floating(field.type) and field.name != "label":
            columns.append(column.to_numpy())
        elif pa.types.is_fixed_size_list(field.type):
            columns += list(np.stack(column.to_pylist()).T)
    return np.stack(columns, axis=1)


def rows_of(table: pa.Table, ids: list[Any], column: str = "id") -> pa.Table:
    """Rows by id, in the order of `ids`."""
    at = pc.index_in(pa.array(ids, table[column].type), value_set=table[column].combine_chunks())
    return table.take(at)


def check_bytes(made: Path, trained: Path, model: Path) -> None:
    """Ids, ends of edges, and all features and texts that the model reads, byte by byte."""
    manifest = read_manifest(model)
    files = [GraphFiles(folder, read_manifest(folder).partitions) for folder in (made, trained)]
    for node_type, node in manifest.nodes.items():
        first, second = (of.nodes(node_type).pieces[0] for of in files)
        names = ["id", *(f"feature:{name}" for name in node.features), *(f"text:{name}" for name in node.text)]
        assert all(first.column(name).equals(second.column(name)) for name in names)
    for edge in manifest.edges:
        first, second = (of.edges(edge.edge_type).pieces[0] for of in files)
        names = ["source", "target", *(f"feature:{name}" for name in edge.features)]
        assert all(first.column(name).equals(second.column(name)) for name in names)


def check_same(packed: Packed) -> None:
    model = packed.model()
    result = "predictions" if packed.pipeline.task.type != "graph_pretraining" else "embeddings/item"
    wanted = packed.inferred(result)
    for source in (packed.graph, packed.tables()):
        with model.open(source, sweep=True) as applied:
            if isinstance(source, dict):
                check_bytes(applied.graph.folder, packed.graph, packed.folder / "graph")
            found = applied.predict() if result == "predictions" else applied.embed("item")
        assert found.schema.names == wanted.schema.names
        assert found[found.schema.names[0]].to_pylist() == wanted[found.schema.names[0]].to_pylist()
        np.testing.assert_allclose(numbers(found), numbers(wanted), atol=1e-5)


def test_training_tables_give_what_infer_gave(packed: Packed) -> None:
    check_same(packed)


@pytest.mark.slow
def test_words_of_new_tables(make_packed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of a wide feature, also of texts that have no known word."""
    monkeypatch.setattr(gconstruct.features, "SPARSE_WIDTH", 2)
    split = {"column": "kind", "split": {"column": "split"}}
    words = {"encode": "words", "column": "title", "min_rows": 1}
    item = {"files": "item.parquet", "id": "id", "features": {"words": words}, "labels": {"kind": split}}
    model = {"inputs": {"item": {"embedding": False}}}
    packed = make_packed("node_classification", model=model, graph={"nodes": {"item": item, "user": {}}})
    assert read_manifest(packed.folder / "graph").nodes["item"].features["words"].sparse
    check_same(packed)
    tables = packed.tables()
    items = tables["nodes"]["item"]
    titles = pa.array([None, "neverseen", *items["title"].to_pylist()[2:]], pa.large_string())
    tables["nodes"]["item"] = items.set_column(items.schema.get_field_index("title"), "title", titles)
    with packed.model().open(tables, sweep=True) as applied:
        rows = applied.graph.feature("item", "words")
        assert np.abs(rows).sum(axis=1).astype(bool).tolist() == [False, False] + [True] * (len(items) - 2)
        assert len(applied.predict()) == len(packed.inferred())


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_every_task_gives_what_infer_gave(make_packed: Any, task: str) -> None:
    check_same(make_packed(task))


@pytest.mark.slow
@pytest.mark.parametrize(
    "train",
    [
        {"strategy": "lm_only"},
        {"strategy": "joint", "lm": {"tune": {"type": "lora", "rank": 2}}},
        {"strategy": "distill"},
        {"strategy": "glem"},
    ],
    ids=lambda train: str(train["strategy"]),
)
def test_results_of_all_strategies(make_packed: Any, train: dict[str, Any]) -> None:
    if "lm" in train:
        pytest.importorskip("peft")
    packed = make_packed("node_classification", True, train=train)
    check_same(packed)
    assert (packed.folder / "lm" / "shared" / "model.safetensors").is_file()
    if train["strategy"] in ("lm_only", "distill"):  # text alone: no other table is needed
        items = packed.tables()["nodes"]["item"].select(["id", "title"])
        found = packed.model().predict({"nodes": {"item": items}})
        np.testing.assert_allclose(numbers(found), numbers(packed.inferred()), atol=2e-3)


def test_few_rows_are_those_of_all(packed: Packed) -> None:
    ids = ["item-0041", "item-0003", "item-0041"]
    model = packed.model()
    with model.open(packed.graph) as applied:  # texts of these rows and their neighbours alone
        found, vectors = applied.predict(ids), applied.embed("item", ids)
    assert found["id"].to_pylist() == ids
    np.testing.assert_allclose(numbers(found), numbers(rows_of(packed.inferred(), ids)), atol=2e-3)
    whole = packed.inferred("embeddings/item")
    np.testing.assert_allclose(numbers(vectors), numbers(rows_of(whole, ids)), atol=5e-3)


def held_out(packed: Packed) -> tuple[list[str], dict[str, Any], dict[str, Any]]:
    """(ids, tables without them, tables of them and their edges)"""
    tables = packed.tables()
    items, ids = tables["nodes"]["item"], [f"item-{i:04d}" for i in range(30, 40)]
    is_new = pc.is_in(items["id"], pa.array(ids))
    old: dict[str, Any] = {"nodes": {"item": items.filter(pc.invert(is_new))}, "edges": {}}
    columns = ["id", "title", "price", "colour"]  # no labels
    new: dict[str, Any] = {"nodes": {"item": items.filter(is_new).select(columns)}, "edges": {}}
    for edge_type, table in tables["edges"].items():
        touches = pc.is_in(table["target"], pa.array(ids))
        if edge_type[0] == "item":
            touches = pc.or_(touches, pc.is_in(table["source"], pa.array(ids)))
        old["edges"][edge_type] = table.filter(pc.invert(touches))
        new["edges"][edge_type] = table.filter(touches).drop(
            [n for n in ("split", "trend", "gap") if n in table.schema.names]
        )
    return ids, old, new


def graph_of(packed: Packed, tables: dict[str, Any], folder: Path) -> Path:
    """A graph folder of tables, with all that the run's graph has, from its state."""
    from gconstruct.held import hold

    data = packed.pipeline.graph.model_dump(mode="json")
    held = {"item": tables["nodes"]["item"], "buys": tables["edges"][BUYS], "similar": tables["edges"][SIMILAR]}
    data |= {"path": str(folder), "like": str(packed.graph), "report": False}
    data["nodes"]["item"]["files"] = ["table://item"]
    data["edges"][0]["files"], data["edges"][1]["files"] = ["table://buys"], ["table://similar"]
    with hold(held):
        build_graph(build_pipeline({**packed.pipeline.model_dump(mode="json"), "graph": data}).graph)
    return folder


def test_held_out_rows_score_as_in_a_graph_without_their_labels(packed: Packed, tmp_path: Path) -> None:
    ids, old, new = held_out(packed)
    model = packed.model()
    attached = model.predict(new, attach=graph_of(packed, old, tmp_path / "old"), sweep=True)
    assert attached["id"].to_pylist() == ids
    assert attached["label"].null_count == len(ids)
    whole = model.predict(packed.graph, sweep=True)
    np.testing.assert_allclose(numbers(attached), numbers(rows_of(whole, ids)), atol=1e-4)
    alone = model.predict({**new, "edges": {}}, sweep=True)
    assert alone["id"].to_pylist() == ids
    assert np.abs(numbers(alone) - numbers(attached)).max() > 1e-3, "neighbours matter"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["edge_classification", "link_prediction"])
def test_new_edges_and_sources_are_those_of_new_tables(make_packed: Any, tmp_path: Path, task: str) -> None:
    packed = make_packed(task)
    ids, old, new = held_out(packed)
    model = packed.model()
    folder = graph_of(packed, old, tmp_path / "old")
    found = model.predict(new, attach=folder, unknown="mean")
    if task == "link_prediction":
        assert sorted(set(found["source"].to_pylist())) == ids
    else:
        given = new["edges"][SIMILAR]
        wanted = sorted(zip(given["source"].to_pylist(), given["target"].to_pylist(), strict=True))
        assert sorted(zip(found["source"].to_pylist(), found["target"].to_pylist(), strict=True)) == wanted


def test_nodes_without_learnt_vectors(packed: Packed) -> None:
    tables = packed.tables()
    more = pa.table({"source": ["zoe", "zoe", "yan"], "target": ["item-0001", "item-0002", "item-0001"]})
    tables["edges"][BUYS] = pa.concat_tables([tables["edges"][BUYS], more])
    model = packed.model()
    with pytest.raises(
        DataError, match=r"user: nodes must be those .* \(got 2 of 22 that it does not know, e.g. 'yan', 'zoe'\)"
    ):
        model.predict(tables)
    zero, mean = (model.predict(tables, ["item-0001", "item-0050"], unknown=how) for how in ("zero", "mean"))
    assert np.abs(numbers(zero) - numbers(mean)).max() > 0


def test_a_missing_column_is_named_and_an_unseen_category_is_none(packed: Packed) -> None:
    tables = packed.tables()
    items = tables["nodes"]["item"]
    purple = pa.array(["purple", *items["colour"].to_pylist()[1:]])
    with packed.model().open({**tables, "nodes": {"item": items.set_column(3, "colour", purple)}}) as applied:
        assert applied.graph.feature("item", "colour")[:2].sum(axis=1).tolist() == [0.0, 1.0]
    with pytest.raises(DataError, match="'price'"):
        packed.model().predict({**tables, "nodes": {"item": items.drop(["price"])}})


def test_what_is_asked_must_be_there(packed: Packed) -> None:
    model = packed.model()
    with model.open(packed.graph) as applied:
        with pytest.raises(DataError, match=r"ids: .* \(got 2 of 3 that the graph does not have, e.g. 'x', '7'\)"):
            applied.predict(["item-0001", "x", "7"])
        with pytest.raises(ConfigError, match="must be strings or integers"):
            applied.predict([1.5])
        with pytest.raises(ConfigError, match="needs a model of link_prediction"):
            applied.links(["item-0001"])
        with pytest.raises(ConfigError, match="not about pairs"):
            applied.predict(pairs=[("item-0001", "item-0002")])
    with pytest.raises(ConfigError, match="unknown node type 'itm'.*Did you mean 'item'"):
        model.predict({"nodes": {"itm": {"id": [1]}}})
    with pytest.raises(DataError, match="must have the node types item, whose features or texts the model reads"):
        model.predict({"edges": packed.tables()["edges"]})


@pytest.mark.slow
def test_links_of_some_sources_and_scores_of_pairs(make_packed: Any) -> None:
    packed = make_packed("link_prediction")
    ids, whole = ["item-0005", "item-0002"], packed.inferred()
    with packed.model().open(packed.graph) as applied:
        best = applied.links(ids, k=3)
        scored = applied.score_pairs(list(zip(best["source"].to_pylist(), best["target"].to_pylist(), strict=True)))
    wanted = whole.filter(pc.and_(pc.is_in(whole["source"], pa.array(ids)), pc.less_equal(whole["rank"], 3)))
    assert sorted(best["target"].to_pylist()) == sorted(wanted["target"].to_pylist())
    assert best["source"].to_pylist() == [ids[0]] * 3 + [ids[1]] * 3
    np.testing.assert_allclose(scored["score"].to_numpy(), best["score"].to_numpy(), atol=1e-5)


def test_the_command_writes_what_infer_writes(packed: Packed, tmp_path: Path) -> None:
    section = {"graph": packed.pipeline.graph.model_dump(mode="json", exclude={"path"})}
    (tmp_path / "new.yaml").write_text(yaml.safe_dump(section), encoding="utf-8")
    (tmp_path / "ids.txt").write_text("item-0009\nitem-0004\n", encoding="utf-8")
    run = CliRunner()
    command = ["apply", str(packed.folder), "--tables", str(tmp_path / "new.yaml"), "--out", str(tmp_path / "scored")]
    done = run.invoke(app, [*command, "--evaluate"])
    assert done.exit_code == 0, done.output
    metrics = json.loads((Path(packed.pipeline.output) / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    assert f"test: accuracy {metrics['test']['accuracy']:.4f}" in done.output
    np.testing.assert_allclose(
        numbers(read(tmp_path / "scored" / "predictions")), numbers(packed.inferred()), atol=1e-4
    )
    done = run.invoke(app, [*command, "--ids", str(tmp_path / "ids.txt"), "--format", "npy"])
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "scored" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["tables"]["predictions"]["rows"] == 2
    ids = np.load(tmp_path / "scored" / "predictions" / "part-00000.id.npy")
    assert ids.tolist() == ["item-0009", "item-0004"]
    vectors = np.load(tmp_path / "scored" / "embeddings" / "item" / "part-00000.embedding.npy")
    assert vectors.shape == (2, 16)


def test_a_model_is_loaded_from_a_url_once(packed: Packed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSL_MODELS", str(tmp_path / "models"))
    first, second = (Model.load(f"file://{packed.folder}") for _ in range(2))
    assert first.folder.path == second.folder.path
    assert first.folder.path.is_relative_to(tmp_path)
    assert first.describe() == packed.model().describe()
    with pytest.raises(DataError, match="must be a model folder that can be read"):
        Model.load(f"file://{tmp_path}/nothing")
