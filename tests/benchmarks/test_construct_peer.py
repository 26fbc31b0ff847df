"""The benchmark beside GraphStorm: its tables, both configurations, our side of the run."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bench_construct_peer import PEER, main, our_graph, peer_graph, results, write_tables
from peer_measure import Run

from graphstorm_like.config.graph import GraphConfig


def test_tables_have_unique_ids_and_edges_between_them(tmp_path: Path) -> None:
    write_tables(tmp_path, 100, 500, 3)
    items = [pq.read_table(tmp_path / f"item-{n}.parquet") for n in range(3)]
    names = [name for part in items for name in part["id"].to_pylist()]
    assert names == [f"item-{n}" for n in range(100)]
    links = [pq.read_table(tmp_path / f"link-{n}.parquet") for n in range(3)]
    assert sum(part.num_rows for part in links) == 500
    assert set(links[0]["source"].to_pylist()) <= set(names)


def test_both_sides_read_the_same_columns(tmp_path: Path) -> None:
    ours = GraphConfig.model_validate(our_graph(tmp_path, tmp_path / "graph", "arrow", None))
    theirs = peer_graph(2)["nodes"][0]
    assert [feature["feature_col"] for feature in theirs["features"]] == list(ours.nodes["item"].features)
    assert theirs["labels"][0]["label_col"] == ours.nodes["item"].labels["kind"].column


def test_ratios_are_of_the_peer_over_ours() -> None:
    runs = {"ours, arrow": Run(1.0, 2.0, 100.0, [], []), PEER: Run(10.0, 30.0, 450.0, [], [])}
    lines = list(results(runs, 1000))
    assert "15.0x" in lines[-2]
    assert "4.5x" in lines[-2]


def test_our_side_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--nodes", "200", "--edges", "1000"]) == 0
    assert "ours, arrow" in capsys.readouterr().out
