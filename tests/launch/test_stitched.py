"""A pipeline over a graph folder that is there already: one that `gsl stitch` made."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from gconstruct import build_graph
from gconstruct.stitching import stitch
from graphstorm_like.cli.main import app
from graphstorm_like.config import load_pipeline, load_stitch
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.errors import ConfigError, DataError
from graphstorm_like.launch.show.graph import show_graph
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.launch.state import is_done
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

from .test_stages import Lines


def write_yaml(path: Path, data: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def stitched(folder: Path, task: str = "node_classification") -> Path:
    """A shop's graph, a larger shop as its corpus, stitch.yaml, and the YAML of a pipeline over what it makes."""
    for name, items in (("app", 80), ("corpus", 100)):
        tables = write_shop(folder / name, items=items, users=20)
        constructed = shop_pipeline(tables, folder / "runs" / name, "link_prediction")
        done = CliRunner().invoke(app, ["construct", str(write_yaml(folder / f"{name}.yaml", constructed))])
        assert done.exit_code == 0, done.output
    stitching = {
        "application": "runs/app/graph",
        "corpus": "runs/corpus/graph",
        "output": "runs/stitched/graph",
        "align": {"item": {"corpus": "item"}},
    }
    done = CliRunner().invoke(app, ["stitch", str(write_yaml(folder / "stitch.yaml", stitching))])
    assert done.exit_code == 0, done.output
    assert "item: 80 of 80 nodes aligned with item (100.0%), 0 ambiguous" in done.output
    pipeline = shop_pipeline(folder, folder / "run", task)
    pipeline["graph"] = {"path": "runs/stitched/graph"}
    pipeline["model"]["inputs"]["corpus_item"] = {"text": []}
    return write_yaml(folder / "pipeline.yaml", pipeline)


@pytest.mark.parametrize("task", ["node_classification", "link_prediction"])
def test_train_evaluate_infer(tmp_path: Path, task: str) -> None:
    pipeline = load_pipeline(stitched(tmp_path, task), ["train.epochs=1"])
    lines = Lines()
    run_pipeline(pipeline, reporter=lines)
    folder = tmp_path / "runs" / "stitched" / "graph"
    assert lines.said[0] == f"construct: up to date ({folder})"
    assert set(read_scores(pipeline)) == {"valid", "test"}
    found = pq.read_table(tmp_path / "run" / "infer" / "embeddings" / "item")
    assert found.column("id").to_pylist() == [f"item-{i:04d}" for i in range(80)]
    text = "\n".join(show_graph(folder))
    for name in ("corpus_item", "corpus_user", "corpus_user:corpus_buys:item", "item:corpus_similar_rev:corpus_item"):
        assert name in text

    again = Lines()
    run_pipeline(pipeline, reporter=again)
    assert [line.split(" (")[0] for line in again.said] == [
        f"{s}: up to date" for s in ("construct", "train", "evaluate", "infer")
    ]
    # It is never built, and never taken away, from a configuration without tables.
    fresh = Lines()
    before = (folder / "graph.json").stat().st_mtime_ns
    run_pipeline(pipeline, ["construct"], fresh=True, reporter=fresh)
    assert f"{folder} is taken as it is" in fresh.said
    assert (folder / "graph.json").stat().st_mtime_ns == before

    # Another stitching makes what was trained on it stale.
    done = CliRunner().invoke(app, ["stitch", str(tmp_path / "stitch.yaml"), "max_neighbors=1", "--quiet"])
    assert (done.exit_code, done.output) == (0, "")
    assert [is_done(pipeline, s) for s in ("construct", "train")] == [True, False]


def test_the_corpus_helps(tmp_path: Path) -> None:
    """Items have no inputs and no edges of their own here: what is known of them comes from the corpus."""
    rng = np.random.default_rng(0)
    kind = rng.integers(3, size=200)
    split = np.array(["train", "valid", "test"])[rng.choice(3, p=[0.4, 0.2, 0.4], size=200)]
    names, files = [f"i{i}" for i in range(200)], [f"file{i}" for i in range(60)]
    pq.write_table(pa.table({"id": names, "kind": kind, "split": split}), tmp_path / "items.parquet")
    pq.write_table(pa.table({"id": names}), tmp_path / "packages.parquet")
    pq.write_table(pa.table({"id": files, "of": [i % 3 for i in range(60)]}), tmp_path / "files.parquet")
    holds = [(n, files[3 * int(rng.integers(20)) + k]) for n, k in zip(names, kind) for _ in range(2)]
    source, target = zip(*holds)
    pq.write_table(pa.table({"source": source, "target": target}), tmp_path / "holds.parquet")
    label = {"column": "kind", "split": {"column": "split"}}
    task = {"type": "node_classification", "node_type": "item", "label": "kind"}
    own = {"nodes": {"item": {"files": "items.parquet", "id": "id", "labels": {"kind": label}}}}
    train = {"epochs": 12, "batch_size": 40, "fanouts": [5], "lr": 0.02}
    common = {"task": task, "train": train, "model": {"gnn": {"type": "rgcn", "layers": 1, "hidden": 16}}}
    alone = load_pipeline(write_yaml(tmp_path / "alone.yaml", {**common, "name": "alone", "graph": own}))
    run_pipeline(alone, ["construct", "train", "evaluate"], reporter=Lines())

    feature = {"of": {"encode": "one_hot", "column": "of"}}
    nodes = {
        "package": {"files": "packages.parquet", "id": "id"},
        "file": {"files": "files.parquet", "id": "id", "features": feature},
    }
    edge = {"source": "package", "relation": "holds", "target": "file", "files": "holds.parquet"}

    corpus = tmp_path / "corpus"
    build_graph(
        GraphConfig.model_validate({"path": str(corpus), "base": str(tmp_path), "nodes": nodes, "edges": [edge]})
    )
    stitching = {
        "application": str(alone.graph.path), "corpus": "corpus", "output": "both",
        "align": {"item": {"corpus": "package"}},
    }  # fmt: skip
    stitch(load_stitch(write_yaml(tmp_path / "s.yaml", stitching)))
    both = load_pipeline(
        write_yaml(tmp_path / "both.yaml", {**common, "name": "both", "graph": {"path": str(tmp_path / "both")}})
    )
    run_pipeline(both, ["train", "evaluate"], reporter=Lines())
    assert read_scores(alone)["test"]["accuracy"] < 0.6
    assert read_scores(both)["test"]["accuracy"] > 0.9


def test_a_folder_that_is_not_there(tmp_path: Path, shop: tuple[Path, Path]) -> None:
    data = shop_pipeline(shop[0], tmp_path / "run")
    path = write_yaml(tmp_path / "p.yaml", {**data, "graph": {"path": "nowhere"}})
    pipeline = load_pipeline(path)  # valid so far: what it must agree with is not there yet
    assert not is_done(pipeline, "construct")
    with pytest.raises(DataError) as caught:
        run_pipeline(pipeline, reporter=Lines())
    assert str(caught.value) == (
        f"{tmp_path}/nowhere: must be a graph folder that is there already, for graph.nodes names no tables (got no "
        f"graph.json there). Make it, e.g. with gsl stitch, or name its tables in graph.nodes"
    )
    (tmp_path / "nowhere").mkdir()
    (tmp_path / "nowhere" / "graph.json").write_text('{"nodes": []}')
    with pytest.raises(DataError, match="must be a manifest of schema version 1"):
        run_pipeline(load_pipeline(path), reporter=Lines())


def test_a_folder_that_lacks_a_file(tmp_path: Path) -> None:
    pipeline = load_pipeline(stitched(tmp_path))
    (tmp_path / "runs/stitched/graph/part-0/nodes/user.arrow").unlink()
    with pytest.raises(DataError) as caught:
        run_pipeline(pipeline, reporter=Lines())
    assert str(caught.value) == (
        f"{tmp_path}/runs/stitched/graph: must hold all files of its graph.json (got 1 missing file, e.g. "
        f"part-0/nodes/user.arrow). Make or copy the folder again"
    )


def test_the_sections_are_checked_against_the_folder(tmp_path: Path, shop: tuple[Path, Path]) -> None:
    """With the messages that tables would get; relative folders start at the YAML."""
    (tmp_path / "graph").symlink_to(shop[1])
    data = shop_pipeline(shop[0], tmp_path / "run") | {"graph": {"path": "graph"}}
    path = write_yaml(tmp_path / "p.yaml", data)
    assert load_pipeline(path).graph.path == str(tmp_path / "graph")

    def said(*overrides: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_pipeline(path, overrides)
        return [re.sub(r"^(override '.*'|.*p\.yaml:\d+): ", "", problem) for problem in caught.value.problems]

    assert said("task.node_type=itm") == [
        "task.node_type: unknown node type 'itm' (known: item, user). Did you mean 'item'?"
    ]
    assert said("task.label=knd") == ["task.label: unknown label 'knd' (known: kind, rating). Did you mean 'kind'?"]
    assert said("model.inputs.item.features=[prise]", "model.inputs.usr={}") == [
        "model.inputs.item.features[0]: unknown feature 'prise' (known: colour, price). Did you mean 'price'?",
        "model.inputs.usr: unknown node type 'usr' (known: item, user). Did you mean 'user'?",
    ]
    assert said("model.inputs.item.text=[title]") == [
        "model.text_encoder: must be given, for the model reads the text of 'item'. Name one, or leave the text out "
        "with model.inputs.item.text: []"
    ]
    edge = "user:buys:itm"
    assert said(f"train.fanouts=[5, {{default: 5, by_edge_type: {{'{edge}': 1}}}}]") == [
        f"train.fanouts[1].by_edge_type.{edge}: unknown edge type '{edge}' (known: item:buys_rev:user, "
        "item:similar:item, item:similar_rev:item, user:buys:item). Did you mean 'user:buys:item'?"
    ]
    link = "task={type: link_prediction, edge_type: '%s'}"
    assert said(link % "user:buys:item") == ["task.edge_type: must be an edge type with a split (got 'user:buys:item')"]
    assert said(link % "item:similar_rev:item") == [
        "task.edge_type: must be an edge type of graph.edges (got the reverse of 'item:similar:item')"
    ]
    assert load_pipeline(path, [link % "item:similar:item"]).task.type == "link_prediction"
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.output == f"{path}: valid (graph folder {tmp_path / 'graph'})\n"
    saved = json.loads(load_pipeline(path).model_dump_json())
    assert load_pipeline(write_yaml(tmp_path / "saved.yaml", saved)) == load_pipeline(path)
