"""gsl construct with the state of an existing graph."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from graphstorm_like.cli.main import app
from graphstorm_like.graph.schema import read_manifest

YAML = """
name: shop
graph:
  path: {path}
  nodes:
    item:
      files: {items}
      id: id
      features: {{ price: price }}
      labels: {{ kind: {{ column: kind, split: {{ train: 0.6, valid: 0.2, test: 0.2 }} }} }}
  edges:
    - {{ source: item, relation: link, target: item, files: {links} }}
task: {{ type: node_classification, node_type: item, label: kind }}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    ids = list(range(30))
    kinds = [("a", "b", "c")[i % 3] for i in ids]
    pq.write_table(pa.table({"id": ids, "price": [float(i) for i in ids], "kind": kinds}), tmp_path / "items.parquet")
    pq.write_table(pa.table({"id": [100], "price": [4.0], "kind": ["b"]}), tmp_path / "new.parquet")
    pq.write_table(pa.table({"source": ids, "target": [0] * 30}), tmp_path / "links.parquet")
    pq.write_table(pa.table({"source": [100], "target": [100]}), tmp_path / "loop.parquet")
    pq.write_table(pa.table({"source": [100], "target": [7]}), tmp_path / "more.parquet")
    for name, items, links in (("all", "items", "links"), ("like", "new", "loop"), ("add", "new", "more")):
        text = YAML.format(path=f"{name}-graph", items=f"{items}.parquet", links=f"{links}.parquet")
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def gsl(*arguments: str) -> str:
    outcome = CliRunner().invoke(app, [*arguments])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_like_and_add_take_the_state_of_a_graph(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shop)
    gsl("construct", "all.yaml", "--quiet")
    gsl("construct", "like.yaml", "--like", "all-graph", "--quiet")
    gsl("construct", "add.yaml", "--add", "all-graph", "--quiet")
    whole, like, grown = (read_manifest(shop / f"{name}-graph") for name in ("all", "like", "add"))
    assert whole.nodes["item"].features == like.nodes["item"].features == grown.nodes["item"].features
    assert (like.nodes["item"].count, grown.nodes["item"].count) == (1, 31)
    assert like.nodes["item"].labels["kind"].classes == ["a", "b", "c"]
