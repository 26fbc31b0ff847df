"""Graphs that other tests learn from: the guard is silent where nothing leaks, and right where something does."""

from __future__ import annotations

from pathlib import Path

import pytest

from gconstruct import build_graph
from gconstruct.leaks import Leak, find_leaks
from graphstorm_like.config import load_pipeline
from graphstorm_like.config.graph import GraphConfig
from graphstorm_like.graph.local import LocalGraph
from graphstorm_like.testing.unlike import UNLIKE, write_unlike

SHOP = Path(__file__).parents[3] / "training_scripts" / "shop"


def leaks(config: GraphConfig, folder: Path) -> list[Leak]:
    config = config.model_copy(update={"path": str(folder / "graph")})
    build_graph(config)
    return find_leaks(folder / "graph", config)


@pytest.mark.parametrize("name", sorted({*UNLIKE} - {"links_within"}))
def test_unlike_graphs(name: str, tmp_path: Path) -> None:
    data = write_unlike(name, tmp_path / "tables").pipeline["graph"]
    config = GraphConfig.model_validate({**data, "path": "", "base": str(tmp_path / "tables")})
    assert leaks(config, tmp_path) == []


def test_links_that_are_drawn_twice_do_leak(tmp_path: Path) -> None:
    """The column of splits there was drawn edge by edge, and some pairs were drawn more than once."""
    data = write_unlike("links_within", tmp_path / "tables").pipeline["graph"]
    config = GraphConfig.model_validate({**data, "path": "", "base": str(tmp_path / "tables")})
    (leak,) = leaks(config, tmp_path)
    graph, knows = LocalGraph(tmp_path / "graph"), ("n", "knows", "n")
    trained, held_out = (
        {pair for part in parts for pair in zip(*graph.edges(knows, graph.edge_rows(knows, part)), strict=True)}
        for parts in (("train",), ("valid", "test"))
    )
    assert (leak.rule, leak.count, leak.looked_at) == ("copied_edges", len(trained & held_out), len(held_out))


@pytest.mark.parametrize("name", ["classes.yaml", "links.yaml"])
def test_the_shop(name: str, tmp_path: Path) -> None:
    assert leaks(load_pipeline(SHOP / name).graph, tmp_path) == []
