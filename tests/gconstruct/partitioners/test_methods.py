"""What every partition method promises, on graphs that have little in common. Methods of later files are included."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gconstruct import build_graph
from gconstruct.partition import partition_graph
from gconstruct.partitioners.base import PARTITIONERS
from graphstorm_like.config.choice import members_of
from graphstorm_like.config.partitioners import PartitionsConfig
from graphstorm_like.graph.partition_report import partition_report

from ..partitioning import assert_same_graph, random_config, random_graph
from ..tables import graph, item, link, write
from .methods import assert_whole, cut_of, parts_of, same

METHODS = sorted(members_of(PartitionsConfig) or {})
OURS = [name for name in METHODS if name != "metis"]
each_method = pytest.mark.parametrize(
    "method",
    [
        pytest.param(name, marks=[pytest.mark.dgl, pytest.mark.slow] if name == "metis" else [])
        for name in METHODS
        if name != "metis" or find_spec("dgl") is not None
    ],
)


def test_every_configuration_has_its_method() -> None:
    assert set((members_of(PartitionsConfig) or {}).values()) == set(PARTITIONERS)


@pytest.mark.parametrize("method", OURS)
@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 7), again=st.integers(1, 4))
def test_any_method_renumbers_the_graph(method: str, seed: int, count: int, again: int) -> None:
    """Loops, parallels, relations without a reverse or without edges, types of a few nodes or none, more partitions
    than nodes; of one partition and of several."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = random_graph(folder / "tables", seed)
        partition_graph(before, folder / "after", count, method)
        assert_same_graph(before, folder / "after", count)
        partition_graph(folder / "after", folder / "again", again, method)
        assert_same_graph(folder / "after", folder / "again", again)


@each_method
def test_the_same_input_gives_the_same_partitions(method: str, planted: Path) -> None:
    first, second = (parts_of(planted, 3, method) for _ in range(2))
    assert_whole(planted, first, 3)
    assert same(first, second)
    if "seed" in PartitionsConfig.model_validate({"method": method}).model_dump():
        assert not same(first, parts_of(planted, 3, method, seed=1))


@each_method
def test_one_node(method: str, tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=["only"])
    config = graph(tmp_path, {"item": item()})
    build_graph(config)
    partition_graph(str(config.path), tmp_path / "three", 3, method)
    assert_same_graph(Path(str(config.path)), tmp_path / "three", 3)


@each_method
def test_isolated_nodes_are_spread(method: str, tmp_path: Path) -> None:
    write(tmp_path / "items.parquet", id=np.arange(600))
    write(tmp_path / "links.parquet", source=[0, 1], target=[1, 2])
    config = graph(tmp_path, {"item": item()}, [link()])
    build_graph(config)
    sizes = np.bincount(parts_of(Path(str(config.path)), 4, method)["item"], minlength=4)
    assert sizes.max() <= (200 if method == "hash" else 156)


@pytest.fixture(scope="module")
def sixty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 relations of 0 to 59 edges; every third has no reverse."""
    folder, rng = tmp_path_factory.mktemp("sixty"), np.random.default_rng(0)
    write(folder / "items.parquet", id=np.arange(40))
    edges = []
    for number in range(60):
        ends = rng.integers(40, size=(2, number))
        write(folder / f"e{number}.parquet", source=ends[0], target=ends[1])
        edges.append(link(relation=f"r{number}", files=f"e{number}.parquet", reverse=number % 3 != 0))
    config = graph(folder, {"item": item()}, edges)
    build_graph(config)
    return Path(str(config.path))


@each_method
def test_sixty_relations(method: str, sixty: Path) -> None:
    parts = parts_of(sixty, 3, method)
    assert_whole(sixty, parts, 3)
    assert np.bincount(parts["item"]).max() <= (25 if method == "hash" else 14)


@each_method
def test_construction_with_a_method(method: str, tmp_path: Path) -> None:
    """The same as gsl partition makes of the whole graph."""
    whole = random_graph(tmp_path / "whole", 4, items=15)
    config = random_config(tmp_path / "three", 4, items=15, partitions={"count": 3, "method": method})
    made = build_graph(config)
    assert made.hashes == partition_graph(whole, tmp_path / "again", 3, method).hashes
    assert not list(Path(str(config.path)).rglob("scratch"))


@pytest.mark.parametrize("method", ["fennel", "ldg"])
@pytest.mark.parametrize("count", [2, 4])
def test_streaming_cuts_far_fewer_edges_than_random(method: str, count: int, planted: Path) -> None:
    cut = {name: cut_of(planted, parts_of(planted, count, name)) for name in (method, "random")}
    assert cut["random"] == pytest.approx(1 - 1 / count, abs=0.02)
    assert cut[method] < (0.06 if count == 2 else 0.6 * cut["random"])


def test_the_report_agrees(planted: Path, tmp_path: Path) -> None:
    partition_graph(planted, tmp_path / "two", 2, "fennel")
    assert partition_report(tmp_path / "two").cut == pytest.approx(cut_of(planted, parts_of(planted, 2, "fennel")))
