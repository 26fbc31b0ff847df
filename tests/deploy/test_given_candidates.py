"""Models of links that are ranked among given candidates: measured on new tables, and attached to a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from gconstruct.opened import GraphFiles
from graphstorm_like.config import build_pipeline
from graphstorm_like.deploy.apply import ApplyOptions, apply_model, evaluate
from graphstorm_like.deploy.pack import pack
from graphstorm_like.errors import DataError
from graphstorm_like.launch.stages import run_pipeline
from graphstorm_like.progress import Reporter
from graphstorm_like.testing.graphs import shop_pipeline, write_shop

from .conftest import SIMILAR, Packed

NEEDS = r"relation item:similar:item must have the candidates .* Add hard_negatives .* \(leave --evaluate out\)"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """The wrong targets of an edge are the two items after the true one."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("given")
    data = shop_pipeline(write_shop(folder / "tables", items=80, users=20), folder / "run", "link_prediction")
    path = folder / "tables" / "similar.parquet"
    table = pq.read_table(path)
    numbers = [int(name.removeprefix("item-")) for name in table["target"].to_pylist()]
    wrong = [[f"item-{(number + step) % 80:04d}" for step in (1, 2)] for number in numbers]
    pq.write_table(table.append_column("wrong", pa.array(wrong)), path)
    data["graph"]["edges"][1]["hard_negatives"] = {"column": "wrong", "count": 2}
    data["task"]["ranking"] = {"candidates": "given"}
    data["train"]["epochs"] = 1
    pipeline = build_pipeline(data).with_absolute_paths(folder)
    run_pipeline(pipeline, ["construct", "train", "evaluate"], reporter=Reporter(quiet=True))
    return Packed(pipeline, pack(pipeline.output, folder / "model"))


def test_new_tables_with_candidates_are_measured(packed: Packed) -> None:
    """As `gsl evaluate` measured them; tables without the column are told what lacks, and predicted all the same."""
    metrics = json.loads((Path(packed.pipeline.output) / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    tables = packed.tables()
    with packed.model().open(tables) as applied:
        assert evaluate(applied, applied.asked())["test"] == pytest.approx(metrics["test"])
    tables["edges"][SIMILAR] = tables["edges"][SIMILAR].drop(["wrong"])
    with packed.model().open(tables) as applied:
        assert len(applied.predict(["item-0001"]))
        with pytest.raises(DataError, match=NEEDS):
            evaluate(applied, applied.asked())


def test_a_yaml_of_tables_without_candidates(packed: Packed, tmp_path: Path) -> None:
    section: dict[str, Any] = packed.pipeline.graph.model_dump(mode="json", exclude={"path"})
    del section["edges"][1]["hard_negatives"]
    (tmp_path / "new.yaml").write_text(yaml.safe_dump({"graph": section}), encoding="utf-8")
    with pytest.raises(DataError, match=NEEDS):
        apply_model(packed.model(), tmp_path / "new.yaml", tmp_path / "scored", ApplyOptions(evaluate=True))


def test_rows_attached_to_a_graph_with_candidates(packed: Packed) -> None:
    items = packed.tables()["nodes"]["item"].slice(0, 1)
    new = items.set_column(items.schema.get_field_index("id"), "id", pa.array(["new"]))
    edges = packed.tables()["edges"][SIMILAR].slice(0, 3)
    edges = edges.set_column(edges.schema.get_field_index("source"), "source", pa.array(["new"] * 3))
    tables: dict[str, Any] = {"nodes": {"item": new}, "edges": {SIMILAR: edges}}
    with packed.model().open(tables, attach=packed.graph, unknown="mean") as applied:
        made = GraphFiles(applied.graph.folder, applied.graph.manifest.partitions)
        assert "hard_negatives" not in made.edges(SIMILAR).pieces[0].column_names
        assert applied.graph.manifest.edge(SIMILAR).count == 290 + 3
        assert applied.embed("item")["id"].to_pylist() == ["new"]
