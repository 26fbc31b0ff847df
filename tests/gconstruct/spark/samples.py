"""Tables with every kind of column, in several files, and the configurations of features that read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..tables import write

SPLIT = {"train": 0.6, "valid": 0.2, "test": 0.2}
NODES, EDGES, FILES = 120, 400, 3

FEATURES: dict[str, list[dict[str, Any]]] = {
    "numeric": [
        {"column": "number", "missing": "mean"},
        {"column": "number", "normalize": "min_max", "missing": "zero"},
        {"column": "whole", "normalize": "none", "missing": "mean", "dtype": "float16"},
        {"column": "vector", "missing": "mean", "dtype": "bfloat16"},
        {"column": "positive", "log1p": True, "clip": [0.1, 0.9]},
        {"columns": ["number", "positive"], "missing": "median", "indicator": True},
        {"column": "number", "normalize": "robust", "missing": "most_frequent"},
        {"column": "numbers", "separator": ",", "normalize": "min_max", "range": [-2, 2]},
    ],
    "one_hot": [{"column": "word"}, {"column": "word", "max_categories": 3}, {"column": "flag"}, {"column": "whole"}],
    "multi_hot": [{"column": "words"}, {"column": "separated", "separator": ";", "max_categories": 4}],
    "bucket": [
        {"column": "number", "buckets": 4, "missing": "own"},
        {"column": "positive", "buckets": 3, "by": "quantile"},
        {"column": "positive", "edges": [0.0, 0.3, 1.0], "window": 0.1},
    ],
    "date": [
        {"column": "day", "missing": "zero"},
        {"column": "day", "age": True, "missing": "zero", "indicator": True},
    ],
    "embedding": [{"vectors": "vectors.parquet", "key": "word", "missing": "zero"}],
    "frequency": [{"column": "word"}, {"column": "word", "value": "share", "max_categories": 2}],
    "hashing": [
        {"column": "words", "buckets": 8, "hashes": 2},
        {"column": "word", "buckets": 4, "signed": True},
        {"column": "words", "buckets": 700, "hashes": 2, "signed": True},  # so wide that it is stored by its entries
        {"column": "word", "buckets": 900, "dtype": "bfloat16"},
    ],
    "quantile": [{"column": "positive"}, {"column": "number", "to": "normal", "knots": 9, "missing": "median"}],
    "rank_gauss": [{"column": "positive"}, {"column": "number", "knots": 7, "missing": "zero"}],
    "words": [
        {"columns": ["text", "word"], "max_words": 600, "min_rows": 1},
        {"column": "separated", "of": "characters", "max_share": 0.5},
        {"column": "text", "of": "characters", "min_rows": 1},  # so wide that it is stored by its entries
    ],
}
"""By the tag of `encode`"""


def columns(rng: np.random.Generator, rows: int) -> dict[str, Any]:
    """Values with nulls where that is allowed."""
    words = np.array(["red", "green", "blue", "grey", "white", "Ж", ""])
    null = rng.random(rows) < 0.2

    def nulled(values: Any) -> pa.Array:
        return pa.array([None if is_null else value for value, is_null in zip(values, null)])

    chosen = [words[rng.integers(0, len(words), rng.integers(0, 4))].tolist() for _ in range(rows)]
    return {
        "number": nulled(rng.normal(3.0, 2.0, rows).tolist()),
        "positive": rng.random(rows),
        "whole": rng.integers(-5, 5, rows),
        "flag": nulled((rng.random(rows) < 0.5).tolist()),
        "vector": nulled(rng.normal(size=(rows, 3)).tolist()),
        "word": nulled(words[rng.integers(0, 5, rows)].tolist()),
        "words": nulled(chosen),
        "separated": pa.array([" ; ".join(c) for c in chosen]),
        "text": nulled([f"text {i} of ünïcode" for i in range(rows)]),
        "class": nulled(words[rng.integers(0, 3, rows)].tolist()),
        "amount": nulled(rng.normal(size=rows).tolist()),
        "written": nulled(np.array(["train", "Valid ", "test", "val"])[rng.integers(0, 4, rows)].tolist()),
        "numbers": pa.array([f"{a:.3f},{b:.3f}" for a, b in rng.normal(size=(rows, 2)).tolist()]),
        "day": nulled([f"20{n % 25:02d}-0{n % 9 + 1}-1{n % 10}" for n in rng.integers(0, 999, rows).tolist()]),
        "several": pa.array([c[:2] for c in chosen]),
        "group": nulled([f"g{n}" for n in rng.integers(0, 9, rows)]),
    }


def tables(folder: Path, seed: int = 0, *, ids: str = "string", suffix: str = "parquet") -> None:
    """item-*.parquet and link-*.parquet in FILES files each, and tag-*.parquet with ids that only edges name."""
    rng = np.random.default_rng(seed)
    words = ["red", "green", "white", "Ж"]
    write(folder / "vectors.parquet", id=words, vector=rng.normal(size=(len(words), 3)).tolist())
    names = [f"item {n}" if ids == "string" else n * 7 - 300 for n in rng.permutation(NODES).tolist()]
    for file, rows in enumerate(np.array_split(np.arange(NODES), FILES)):
        write(folder / f"item-{file}.{suffix}", id=[names[row] for row in rows], **columns(rng, len(rows)))
    for file, rows in enumerate(np.array_split(np.arange(EDGES), FILES)):
        ends = rng.random((2, len(rows))) ** 2 * NODES
        source, target = ([names[int(end)] for end in of_side] for of_side in ends)
        write(folder / f"link-{file}.{suffix}", source=source, target=target, **columns(rng, len(rows)))
        tags = [f"tag{n}" if ids == "string" else n for n in rng.integers(-50, 50, len(rows)).tolist()]
        write(folder / f"tag-{file}.{suffix}", source=source, target=tags)


def features() -> dict[str, Any]:
    """All of FEATURES, by names of their own."""
    return {f"{tag}_{i}": {"encode": tag, **options} for tag, of in FEATURES.items() for i, options in enumerate(of)}


def labels() -> dict[str, Any]:
    """Classes and numbers, with drawn, grouped and written splits."""
    return {
        "class": {"column": "class", "split": SPLIT},
        "amount": {"column": "amount", "kind": "number", "split": {**SPLIT, "group_by": "group", "seed": 3}},
        "written": {"column": "class", "split": {"column": "written"}},
        "stratified": {"column": "class", "split": {**SPLIT, "stratify": True}},
        "folds": {"column": "class", "split": {"folds": 4, "fold": 1, "seed": 5}},
        "by_time": {"column": "class", "split": {"by": "time", "column": "day", **SPLIT}},
        "since": {"column": "class", "split": {"column": "day", "valid_from": "2010-01-01", "test_from": "2016-01-01"}},
        "several": {"column": "several", "kind": "classes", "split": SPLIT},
    }


def graph(suffix: str = "parquet", **options: Any) -> dict[str, Any]:
    """A node type with everything, one that only edges name, and edges with everything."""
    attributes = {"features": features(), "text": {"text": {"template": "{word}: {text}"}}, "labels": labels()}
    return {
        "nodes": {"item": {"files": f"item-*.{suffix}", "id": "id", **attributes}, "tag": None},
        "edges": [
            {"source": "item", "relation": "link", "target": "item", "files": f"link-*.{suffix}", **attributes}
            | {"split": SPLIT, "time": {"column": "day", "missing": "first"}},
            {"source": "item", "relation": "has", "target": "tag", "files": f"tag-*.{suffix}", "reverse": "of"},
        ],
        **options,
    }


def shop(folder: Path, ids: str, rng: np.random.Generator) -> dict[str, Any]:
    """Items of two files; edges of two files with hard negatives, some of which are no items, and a split; tags that
    only edges name. Degrees of both types."""
    folder.mkdir(exist_ok=True)
    names = [f"i{n}" if ids == "string" else n for n in rng.permutation(60).tolist()]
    new = "new" if ids == "string" else 999
    for file in range(2):
        write(folder / f"item-{file}.parquet", id=names[30 * file : 30 * file + 30], number=rng.random(30))
        source, target = ([names[int(n)] for n in rng.random(90) ** 2 * 60] for _ in range(2))
        lists = [[str(names[n]) for n in rng.integers(0, 60, row % 5)] for row in range(90)]
        wrong = [[*of_row, *([str(new), "007", "9" * 19] if row % 3 else [])] for row, of_row in enumerate(lists)]
        columns = {"source": [new, *source[1:]], "target": target, "wrong": wrong}
        write(folder / f"link-{file}.parquet", **columns, tag=[f"tag {n}" for n in rng.integers(0, 9, 90)])
    degrees = {"ends": {"encode": "degree"}, "all": {"encode": "degree", "total": True, "normalize": "none"}}
    number = {"number": {"column": "number"}}
    link = {"source": "item", "relation": "link", "target": "item", "files": "link-*.parquet"}
    link |= {"split": SPLIT, "hard_negatives": {"column": "wrong", "count": 3}}
    has = {"source": "item", "relation": "has", "target": "tag", "files": "link-*.parquet", "target_id": "tag"}
    return {
        "nodes": {
            "item": {
                "files": "item-*.parquet",
                "id": "id",
                "features": {"out": {"encode": "degree"}, **number, **degrees},
            },
            "tag": {"features": {"in": {"encode": "degree", "log1p": False, "dtype": "float16"}}},
        },
        "edges": [link, {**has, "on_unknown_node": "drop"}],
    }
