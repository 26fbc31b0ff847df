"""Labels and splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gconstruct import build_graph
from gconstruct.hashing import hash_strings, uniform
from gconstruct.splits import split_of
from gconstruct.splits.drawn import Draws
from graphstorm_like.config.splits import RandomSplit, SplitConfig
from graphstorm_like.graph.schema import LabelSchema

from .tables import graph, item, link, read, write

DRAWN = {"train": 0.5, "valid": 0.2, "test": 0.1, "seed": 3}


def label(folder: Path, values: Any, file: str = "items.parquet") -> tuple[list[Any], LabelSchema]:
    """Encoded class labels of a column y with these values."""
    write(folder / file, id=[f"n{i}" for i in range(len(values))], y=values)
    config = {"column": "y", "split": {"train": 1.0, "valid": 0.0, "test": 0.0}}
    manifest = build_graph(graph(folder, {"item": item(files=file, labels={"y": config})}), force=True)
    table = read(folder / "out/graph/part-0/nodes/item.arrow")
    return table.column("label:y").to_pylist(), manifest.node("item").labels["y"]


def splits(folder: Path, table: dict[str, Any], split: dict[str, Any]) -> dict[str, int]:
    """Split by id for a table with labels."""
    write(folder / "items.parquet", **table)
    config = graph(folder, {"item": item(labels={"y": {"column": "y", "split": split}})})
    build_graph(config, force=True)
    made = read(folder / "out/graph/part-0/nodes/item.arrow")
    return dict(zip(made.column("id").to_pylist(), made.column("split:y").to_pylist(), strict=True))


def test_string_classes_are_sorted(tmp_path: Path) -> None:
    labels, schema = label(tmp_path, ["b", None, "a", "b"])
    assert (labels, schema.classes) == ([1, -1, 0, 1], ["a", "b"])


@pytest.mark.parametrize("file", ["items.parquet", "items.csv"])
def test_integer_classes_are_sorted_by_value(file: str, tmp_path: Path) -> None:
    labels, schema = label(tmp_path, [10, 9, None, -1], file)
    assert (labels, schema.classes) == ([2, 1, -1, 0], ["-1", "9", "10"])


def test_codes_with_leading_zeros_are_no_integers(tmp_path: Path) -> None:
    assert label(tmp_path, ["010", "9", "1"], "items.csv")[1].classes == ["010", "1", "9"]


def test_boolean_classes(tmp_path: Path) -> None:
    labels, schema = label(tmp_path, [True, None, False])
    assert (labels, schema.classes) == ([1, -1, 0], ["false", "true"])


def test_drawn_splits_have_the_wanted_sizes_and_skip_unlabelled_rows(tmp_path: Path) -> None:
    ids = [f"id-{i}" for i in range(20_000)]
    found = splits(tmp_path, {"id": ids, "y": [None if i % 2 else "a" for i in range(20_000)]}, DRAWN)
    counts = np.bincount(list(found.values()), minlength=4)
    assert np.allclose(counts / 10_000, [1.2, 0.5, 0.2, 0.1], atol=0.02)
    assert all(found[f"id-{i}"] == 0 for i in range(1, 20_000, 2))


def test_drawn_splits_do_not_depend_on_other_rows_order_or_chunks(tmp_path: Path) -> None:
    ids = [f"id-{i}" for i in range(1000)]
    first = splits(tmp_path, {"id": ids, "y": ["a"] * 1000}, DRAWN)
    chunked = pa.chunked_array([ids[700:], ["new"], ids[:300]])
    again = splits(tmp_path, {"id": chunked, "y": ["b"] * 601}, DRAWN)
    assert all(again[i] == first[i] for i in again if i != "new")
    assert splits(tmp_path, {"id": ids, "y": ["a"] * 1000}, {**DRAWN, "seed": 4}) != first


def test_drawn_splits_do_not_depend_on_files(tmp_path: Path) -> None:
    ids = [f"id-{i}" for i in range(100)]
    whole = splits(tmp_path, {"id": ids, "y": ["a"] * 100}, DRAWN)
    (tmp_path / "many").mkdir()
    for i in range(0, 100, 30):
        part = ids[i : i + 30]
        write(tmp_path / "many" / f"{99 - i}.parquet", id=part, y=["a"] * len(part))
    config = graph(tmp_path, {"item": item(files="many", labels={"y": {"column": "y", "split": DRAWN}})})
    build_graph(config, force=True)
    made = read(tmp_path / "out/graph/part-0/nodes/item.arrow")
    assert made.column("id").to_pylist() != ids
    assert dict(zip(made.column("id").to_pylist(), made.column("split:y").to_pylist(), strict=True)) == whole


def test_integer_ids_draw_like_their_text(tmp_path: Path) -> None:
    numbers = splits(tmp_path, {"id": list(range(50)), "y": ["a"] * 50}, DRAWN)
    texts = splits(tmp_path, {"id": [str(i) for i in range(50)], "y": ["a"] * 50}, DRAWN)
    assert {str(k): v for k, v in numbers.items()} == texts


def test_rows_of_a_group_share_a_split_and_rows_without_one_are_their_own(tmp_path: Path) -> None:
    ids = [f"id-{i}" for i in range(400)]
    groups = [f"g{i // 10}" if i < 200 else None for i in range(400)]
    found = splits(tmp_path, {"id": ids, "y": ["a"] * 400, "g": groups}, {**DRAWN, "group_by": "g"})
    for start in range(0, 200, 10):
        assert len({found[i] for i in ids[start : start + 10]}) == 1
    assert set(found.values()) == {0, 1, 2, 3}
    assert len({found[i] for i in ids[200:]}) == 4


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.1), (0.9, 0.1, 0.0), (0.0, 0.0, 1.0)])
def test_fractions_that_sum_to_one_leave_no_row_out(fractions: tuple[float, float, float]) -> None:
    train, valid, test = fractions
    config = RandomSplit(train=train, valid=valid, test=test)
    hashes = np.array([0, 2**63, 2**64 - 1], np.uint64)
    found = split_of(config).apply(Draws(hashes, [], hashes[:0]), {})
    assert (found > 0).all()
    for fraction, number in zip(fractions, (1, 2, 3), strict=True):
        assert fraction > 0 or number not in found


def test_edge_splits_hash_both_ends(tmp_path: Path) -> None:
    ids = [f"n{i}" for i in range(30)]
    write(tmp_path / "items.parquet", id=ids)
    source, target = [i for i in ids for _ in ids], ids * len(ids)
    write(tmp_path / "links.parquet", source=source, target=target)
    build_graph(graph(tmp_path, {"item": item()}, [link(split=DRAWN)]))
    made = read(tmp_path / "out/graph/part-0/edges/item--link--item.arrow").to_pydict()
    ends = pa.array([f"{ids[s]}\x1f{ids[t]}" for s, t in zip(made["source"], made["target"], strict=True)])
    hashes = hash_strings(ends, 3)
    drawn = split_of(SplitConfig.model_validate(DRAWN)).apply(Draws(hashes, [], hashes[:0]), {})
    assert made["split"] == drawn.tolist()
    draws = uniform(ends, 3)
    assert made["split"] == [int(1 + (d >= 0.5) + (d >= 0.7)) if d < 0.8 else 0 for d in draws]
    assert set(made["split"]) == {0, 1, 2, 3}


@pytest.mark.parametrize("file", ["items.parquet", "items.csv"])
def test_groups_and_ids_may_be_integers_and_draw_like_their_decimal_strings(file: str, tmp_path: Path) -> None:
    groups = [None if i % 7 == 0 else i % 40 for i in range(200)]
    drawn = []
    for as_written in (lambda value: value, str):
        written = [None if group is None else as_written(group) for group in groups]
        write(tmp_path / file, id=[as_written(i) for i in range(200)], y=[0] * 200, group=written)
        labels = {"y": {"column": "y", "split": {**DRAWN, "group_by": "group"}}}
        build_graph(graph(tmp_path, {"item": item(files=file, labels=labels)}), force=True)
        drawn.append(read(tmp_path / "out/graph/part-0/nodes/item.arrow").column("split:y").to_pylist())
    assert drawn[0] == drawn[1]
    assert len({(group, split) for group, split in zip(groups, drawn[0], strict=True) if group is not None}) == 40
