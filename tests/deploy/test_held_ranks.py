"""Intervals of scores that are made of ranks: known answers, and the same however many processes wrote the ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from graphstorm_like.config import build_pipeline
from graphstorm_like.config.metrics import HitsConfig, MrrConfig
from graphstorm_like.deploy.held_ranks import HeldRanks, held_ranks, ordered_ranks
from graphstorm_like.deploy.run import FinishedRun
from graphstorm_like.graph.schema import read_manifest
from graphstorm_like.launch.stages import read_scores, run_pipeline
from graphstorm_like.launch.state import stage_folder
from graphstorm_like.progress import Reporter
from graphstorm_like.tasks.ranking import Ranks
from graphstorm_like.testing.graphs import shop_pipeline, write_shop
from tests.deploy.conftest import Packed

METRICS = [MrrConfig(type="mrr"), HitsConfig(type="hits", k=3)]


def intervals(*by_relation: list[float], average: str = "macro") -> dict[str, tuple[float, float]]:
    ranks = [Ranks(np.array(of_relation), np.full(len(of_relation), 9.0)) for of_relation in by_relation]
    return HeldRanks(METRICS, ranks, average).intervals()


def test_known_answers() -> None:
    assert intervals([2.0] * 9) == {"mrr": (0.5, 0.5), "hits@3": (1.0, 1.0)}
    assert intervals([2.0], [4.0] * 50) == {"mrr": (0.375, 0.375), "hits@3": (0.5, 0.5)}, "the mean of the relations"
    low, high = intervals([2.0], [4.0] * 50, average="micro")["mrr"]
    assert 0.25 == low < high < 0.28, "the mean of the links"
    low, high = intervals([1.0, 4.0] * 200)["hits@3"]
    spread = 1.96 * np.sqrt(0.25 / 400)  # of a share of 400 draws
    assert (low, high) == pytest.approx((0.5 - spread, 0.5 + spread), abs=0.012)


def test_the_same_from_any_number_of_processes(tmp_path: Path) -> None:
    ranks = np.random.default_rng(0).integers(1, 90, size=70).astype(np.float64)
    found = []
    for processes in (1, 3):
        folder = tmp_path / str(processes)
        folder.mkdir()
        for rank in range(processes):
            pq.write_table(pa.table({"rank": ranks[rank::processes]}), folder / f"part-{rank:05d}.parquet")
        found.append(HeldRanks(METRICS, [ordered_ranks(folder)]).intervals())
    assert found[0] == found[1]


def test_cards_of_links_have_them(make_packed: object) -> None:
    packed: Packed = make_packed("link_prediction")  # type: ignore[operator]
    card, scores = (packed.folder / "README.md").read_text(), read_scores(packed.pipeline)["test"]
    rows = [line.split("|")[1:-1] for line in card.splitlines() if line.startswith("| ")]
    table = {row[0].strip(): row[-1].strip() for row in rows}
    assert table["metric"] == "95 % of test samples"
    for name, value in scores.items():
        low, high = map(float, table[name].split(" to "))
        assert low <= value <= high
        assert low < high


def test_they_hold_the_mean_that_is_reported(tmp_path: Path) -> None:
    """Of links of two relations, one with many links and low scores and one with few and high ones."""
    data = shop_pipeline(write_shop(tmp_path / "tables", items=80, users=20), tmp_path / "run")
    data["graph"]["edges"][0]["split"] = {"train": 0.6, "valid": 0.2, "test": 0.2}
    data["task"] = {"type": "link_prediction", "edge_types": "all", "ranking": {"candidates": 50}}
    data["train"] |= {"epochs": 1, "track": {}}
    pipeline = build_pipeline(data).with_absolute_paths(tmp_path)
    run_pipeline(pipeline, ["construct", "train", "evaluate"], reporter=Reporter(quiet=True))
    scores = read_scores(pipeline)["test"]
    for average in ("micro", "macro"):
        changed = pipeline.model_copy(update={"task": pipeline.task.model_copy(update={"average": average})})
        held = held_ranks(FinishedRun(changed, read_manifest(stage_folder(pipeline, "construct"))))
        assert held is not None
        assert len(held.by_relation) == 2
        for name, (low, high) in held.intervals().items():
            assert low <= scores[f"{name}/{average}"] <= high
            assert low < high
