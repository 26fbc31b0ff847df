"""METIS partitions, where dgl is installed: few edges between them, and every type in each."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.graph.partition_report import partition_report

from ..partitioning import assert_same_graph, random_graph
from ..tables import graph, item, link, write
from .methods import ITEMS, TAGS

pytestmark = [pytest.mark.dgl, pytest.mark.skipif(find_spec("dgl") is None, reason="dgl is not installed")]


@pytest.mark.known_answer("partitioners/metis")
def test_the_planted_communities_are_found(planted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    partition_graph(planted, tmp_path / "metis", 2, "metis")
    assert capfd.readouterr() == ("", "")  # dgl prints, we do not
    partition_graph(planted, tmp_path / "random", 2, "random")
    assert_same_graph(planted, tmp_path / "metis", 2)
    shares = {name: partition_report(tmp_path / name).local_share() for name in ("metis", "random")}
    assert shares["metis"] > 0.93
    assert 0.45 < shares["random"] < 0.55
    made = LocalGraph(tmp_path / "metis")
    for node_type in ("item", "tag"):
        ids = made.ids(node_type).to_pylist()
        odd = np.array([int(str(name).removeprefix("tag-")) % 2 for name in ids])
        middle = made.starts(node_type)[1]
        assert abs(odd[:middle].mean() - odd[middle:].mean()) > 0.98


@pytest.mark.parametrize("count", [3, pytest.param(2, marks=pytest.mark.slow), pytest.param(4, marks=pytest.mark.slow)])
def test_types_and_training_rows_are_balanced(planted: Path, tmp_path: Path, count: int) -> None:
    partition_graph(planted, tmp_path / "metis", count, "metis")
    made = LocalGraph(tmp_path / "metis")
    for rows, node_type in (
        (np.arange(ITEMS), "item"),
        (np.arange(TAGS), "tag"),
        (made.label_rows("item", "kind", "train"), "item"),
    ):
        sizes = [len(at) for at in made.split(node_type, rows)]
        assert max(sizes) <= 1.1 * len(rows) / count


@pytest.mark.slow
def test_twice_is_the_same_bytes_and_another_seed_is_another_partition(planted: Path, tmp_path: Path) -> None:
    """METIS alone reads memory that it never wrote: it would now and then answer otherwise."""
    made = [partition_graph(planted, tmp_path / f"{k}", 3, "metis", k % 2).hashes for k in range(6)]
    assert made[0] != made[1]
    assert all(hashes == made[k % 2] for k, hashes in enumerate(made))
    for k in (0, 1):
        assert_same_graph(planted, tmp_path / f"{k}", 3)
        assert partition_report(tmp_path / f"{k}").local_share() > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_odd_graphs(seed: int, tmp_path: Path) -> None:
    """Loops, parallels, types of a few nodes or none, more partitions than nodes, partitions of partitions."""
    source = random_graph(tmp_path / "tables", seed, items=1 + 2 * seed)
    partition_graph(source, tmp_path / "some", 2 + seed % 4, "metis", seed)
    assert_same_graph(source, tmp_path / "some", 2 + seed % 4)
    partition_graph(tmp_path / "some", tmp_path / "again", 2, "metis")
    assert_same_graph(tmp_path / "some", tmp_path / "again", 2)


def test_a_graph_without_edges(tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=[f"i{k}" for k in range(20)])
    config = graph(tmp_path, {"item": item()})
    build_graph(config)
    made = partition_graph(str(config.path), tmp_path / "two", 2, "metis")
    assert_same_graph(Path(str(config.path)), tmp_path / "two", 2)
    assert all(8 <= p.node_ranges["item"][1] - p.node_ranges["item"][0] <= 12 for p in made.partitions)


def test_construction_with_metis(planted: Path, tmp_path: Path) -> None:
    tables = planted.parents[1]
    config = graph(tables, {"item": item(), "tag": {"files": "tags.parquet", "id": "id"}}, [link()])
    options = {"path": str(tmp_path / "graph"), "partitions": {"count": 2, "method": "metis"}}
    made = build_graph(GraphConfig.model_validate({**config.model_dump(mode="json"), **options}))
    assert len(made.partitions) == 2
    assert partition_report(tmp_path / "graph").local_share() > 0.93
