"""Tables of every kind give the bytes of the arrow engine, when they are read in pieces by the Spark engine's jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..readers.formats import write_as
from ..tables import write
from .local_cluster import use
from .parity import build_both

IDS = [f"n{i}" for i in range(200)]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def links(folder: Path, **columns: Any) -> dict[str, Any]:
    write(folder / "links.parquet", source=IDS, target=IDS[50:] + IDS[:50], **columns)
    return {"source": "n", "target": "n", "files": "links.parquet"}


def test_joined_tables(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", id=IDS[:120])
    write(tmp_path / "b.parquet", id=IDS[120:])
    write_as(tmp_path / "stars.csv", key=IDS[::-3], stars=list(range(len(IDS[::-3]))))
    write_as(tmp_path / "words.jsonl", id=[*IDS[:90], "other"], word=["u", "v", "w"] * 30 + ["x"])
    node = {
        "files": ["a.parquet", "b.parquet"],
        "id": "id",
        "join": [{"files": "stars.csv", "id": "key"}, {"files": "words.jsonl"}],
        "features": {"stars": {"column": "stars", "missing": "mean"}, "word": {"column": "word", "encode": "one_hot"}},
        "text": {"both": {"columns": ["word", "stars"]}},
    }
    manifest = build_both(tmp_path, {"nodes": {"n": node}, "edges": [{**links(tmp_path), "relation": "to"}]})
    assert manifest.node("n").count == 200


def test_a_relation_column_and_hive_folders(tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        (tmp_path / "items" / f"year={year}").mkdir(parents=True)
        half = IDS[:100] if year == "2023" else IDS[100:]
        write_as(tmp_path / "items" / f"year={year}" / "part-0.orc", id=half)
    node = {"files": "items", "id": "id", "features": {"year": "year"}}
    edge = {
        **links(tmp_path, kind=["likes", "knows", "hates", "knew"] * 50, x=[i / 7 for i in range(200)]),
        "relation_column": "kind",
        "relations": {"likes": "likes", "knows": "knows", "knew": "knows"},
        "on_unknown_relation": "drop",
        "features": {"x": "x"},
    }
    manifest = build_both(tmp_path, {"nodes": {"n": node}, "edges": [edge]})
    assert [(e.edge_type[1], e.count) for e in manifest.edges if not e.is_reverse] == [("likes", 50), ("knows", 100)]


@pytest.mark.parametrize("ending", [".jsonl.gz", ".arrow", ".arrows", ".feather", ".orc", ".csv.zst"])
def test_formats(ending: str, tmp_path: Path) -> None:
    write_as(tmp_path / f"a{ending}", id=IDS, x=[i / 3 for i in range(200)], t=["one", None] * 100)
    node = {"files": f"a{ending}", "id": "id", "features": {"x": "x"}, "text": {"t": {"columns": "t"}}}
    build_both(tmp_path, {"nodes": {"n": node}, "edges": [{**links(tmp_path), "relation": "to"}]})
