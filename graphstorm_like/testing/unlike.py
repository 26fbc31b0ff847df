"""Small graphs that have little in common: each is a folder of tables and a pipeline over them, from fixed seeds.

`write_unlike(name, folder)` writes one of `UNLIKE`. Steps are exact (all neighbours, no dropout, float32), so that any
number of processes must take the same steps. Most graphs contain a signal that a working model learns in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from graphstorm_like.testing.tables import (
    SPLIT,
    Rng,
    classify,
    draw_splits,
    edge_table,
    exact_pipeline,
    label_section,
    node_table,
    of_class,
)


@dataclass(frozen=True, slots=True)
class Unlike:
    """pipeline: as in YAML. ids: the user's own ids, by node type. metric: of the test split. trivial: a bound that
    trivial predictions stay below (for rmse, above); None for graphs without a signal. reads_text: whether it needs a
    text encoder."""

    pipeline: dict[str, Any]
    ids: dict[str, list[Any]]
    metric: str = "accuracy"
    trivial: float | None = None
    reads_text: bool = False


def odd_types(folder: Path, rng: Rng) -> Unlike:
    """Types not in alphabetical order; ids are strings in any script, integers, and strings that look like numbers."""
    kind = rng.integers(2, size=90)
    odd = ["", " ", "Ünï-0", "猫", "null", "NaN", "a,b", 'q"uote', "x" * 300, "line\nbreak", "\u202eleft", "🐈"]
    zoo = odd + [f"тип-{i}" for i in range(90 - len(odd))]
    mills, of_mill = [-(2**63), 2**63 - 1, 0, -7, *range(10, 26)], np.arange(20) % 2
    art = ["007", "7", "+7", "7.0", "1e3", "0x7", "٧", "-0", "0"]
    at = np.repeat(np.arange(90), 3)
    ground = of_class(kind[at], of_mill, rng)
    drawn, by = rng.integers(90, size=60), rng.integers(len(art), size=60)
    nodes = {
        "zoo": node_table(folder, "zoo", zoo, label=[bool(k) for k in kind], split=draw_splits(90, rng)),
        "mill": node_table(folder, "mill", mills, ["wind"], wind=of_mill + rng.normal(scale=0.2, size=20)),
        "_x": {},
        "Art": node_table(folder, "Art", art),
    }
    edges = [
        edge_table(folder, "zoo:z:mill", [zoo[i] for i in at], [mills[i] for i in ground]),
        edge_table(folder, "Art:y:zoo", [art[i] for i in by], [zoo[i] for i in drawn]),
        edge_table(folder, "mill:x:_x", mills, [f"{m % 4:03d}" for m in mills]),
    ]
    ids = {"zoo": zoo, "mill": mills, "_x": ["000", "001", "002", "003"], "Art": art}
    return Unlike(exact_pipeline(folder, nodes, edges, classify("zoo")), ids, trivial=0.7)


def numbers(folder: Path, rng: Rng) -> Unlike:
    """Only numbers: no text, no second type, no edges."""
    x = rng.normal(size=100)
    return _regression(folder, x, 3.0 * x - 1.0, draw_splits(100, rng), 2.0, [])


def structure(folder: Path, rng: Rng) -> Unlike:
    """No attributes at all: only the edges carry information."""
    kind, ids = rng.integers(2, size=100), [f"n{i}" for i in range(100)]
    at = np.repeat(np.arange(100), 4)
    hubs = [2 * int(h) + int(k) for h, k in zip(rng.integers(3, size=400), kind[at], strict=True)]
    nodes = {"node": node_table(folder, "node", ids, label=kind, split=draw_splits(100, rng)), "hub": {}}
    edges = [edge_table(folder, "node:of:hub", [ids[i] for i in at], hubs)]
    return Unlike(
        exact_pipeline(folder, nodes, edges, classify("node")), {"node": ids, "hub": list(range(6))}, trivial=0.7
    )


def many_relations(folder: Path, rng: Rng) -> Unlike:
    """60 relations of two types: parallel ones, one of self-loops only, an empty one; some nodes have no edges."""
    kind, a, b = rng.integers(2, size=60), [f"a{i}" for i in range(60)], list(range(40))
    x, no_ids = (np.arange(40) % 2) + rng.normal(scale=0.1, size=40), pa.array([], pa.int64())
    nodes = {
        "b": node_table(folder, "b", b, ["x"], x=x),
        "a": node_table(folder, "a", a, label=kind, split=draw_splits(60, rng)),
    }
    edges = [edge_table(folder, "a:self:a", a[:50], a[:50]), edge_table(folder, "b:none:b", no_ids, no_ids)]
    for number in range(58):
        at = rng.integers(50, size=12)  # the last ten nodes of a, and of b, have no edges
        ends = of_class(kind[at], np.arange(30) % 2, rng)
        edges.append(edge_table(folder, f"a:r{number}:b", [a[i] for i in at], ends))
    return Unlike(exact_pipeline(folder, nodes, edges, classify("a"), epochs=3), {"b": b, "a": a}, trivial=0.6)


def tiny(folder: Path, rng: Rng) -> Unlike:
    """12 nodes and 10 edges; one class with a single node, in the test split; a batch size far above the node count."""
    ids, label = [f"t{i}" for i in range(12)], [*("x", "y") * 5, "x", "once"]
    split = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + [None, "test"]
    nodes = {"t": node_table(folder, "t", ids, label=label, split=split)}
    edges = [edge_table(folder, "t:next:t", ids[:10], ids[1:11])]
    metrics = ["accuracy", "macro_f1", {"type": "roc_auc"}, {"type": "average_precision"}]
    task = classify("t", class_weights="balanced", metrics=metrics)
    return Unlike(exact_pipeline(folder, nodes, edges, task, batch_size=4096), {"t": ids})


def wide(folder: Path, rng: Rng) -> Unlike:
    """3,000 numeric columns, one of which tells the class."""
    kind, ids, names = rng.integers(2, size=50), list(range(50)), [f"f{i}" for i in range(3000)]
    columns: dict[str, Any] = {n: rng.normal(scale=0.01, size=50) for n in names}
    columns["f1234"] = np.where(kind == 1, 5.0, -5.0)
    table = node_table(folder, "row", ids, [], label=kind, split=draw_splits(50, rng), **columns)
    table["features"] = {n: {"column": n, "normalize": "none"} for n in names}
    pipeline = exact_pipeline(folder, {"row": table}, [], classify("row"), epochs=3)
    return Unlike(pipeline, {"row": ids}, trivial=0.7)


def texts(folder: Path, rng: Rng) -> Unlike:
    """Texts in many languages, empty texts, nulls, and one text of a megabyte; a model knows few of the letters."""
    kind, ids = rng.integers(2, size=60), [f"d{i}" for i in range(60)]
    words = ["graph node edge", "files tool data"]
    joined = "|猫が好き |Привет |שלום |مرحبا |हिन्दी |e\u0301\u0308 |👩\u200d👧 |\u200b\ufeff |\t\n"
    starts = joined.split("|")
    text: list[str | None] = [starts[i % len(starts)] + words[k] for i, k in enumerate(kind)]
    text[0:4] = ["", None, " ", "graph 語 " * 120_000]
    table = node_table(folder, "doc", ids, body=text, label=kind, split=["train"] * 4 + draw_splits(56, rng))
    nodes = {"doc": table | {"text": {"body": {"columns": "body"}}}}
    edges = [edge_table(folder, "doc:near:doc", ids[:-1], ids[1:])]
    return Unlike(exact_pipeline(folder, nodes, edges, classify("doc")), {"doc": ids}, trivial=0.6, reads_text=True)


def cycle(folder: Path, rng: Rng) -> Unlike:
    """One type, one relation without a reverse: a node's class is the feature of the node before it."""
    ids, x = list(range(80)), rng.integers(2, size=80)
    columns = {"x": x, "label": np.roll(x, 1), "split": draw_splits(80, rng)}
    nodes = {"n": node_table(folder, "n", ids, ["x"], **columns)}
    edges = [edge_table(folder, "n:to:n", ids, ids[1:] + ids[:1], reverse=False)]
    return Unlike(exact_pipeline(folder, nodes, edges, classify("n")), {"n": ids}, trivial=0.75)


def csv_files(folder: Path, rng: Rng) -> Unlike:
    """Several files per type, with unusual delimiter and quote characters; one file holds only the header."""
    return _several_files(folder, rng, "csv", _write_csv, csv={"delimiter": ";", "quote": "'"})


def parquet_files(folder: Path, rng: Rng) -> Unlike:
    """The same rows as Parquet."""
    return _several_files(folder, rng, "parquet", lambda path, table: pq.write_table(table, path))


def _several_files(
    folder: Path, rng: Rng, suffix: str, write: Callable[[Path, pa.Table], None], **options: Any
) -> Unlike:
    kind, ids = rng.integers(2, size=60), [f'c;{i}\'s\n"{i}"' for i in range(60)]
    labels, x = [f"k;{k}" for k in kind], (kind * 2.5 - 1).tolist()
    rows = pa.table({"key": ids, "x": x, "label": labels, "split": draw_splits(60, rng)})
    links = pa.table({"source": ids, "target": ids[7:] + ids[:7]})
    for name, table in (("rows", rows), ("links", links)):
        for part, piece in enumerate((table.slice(0, 20), table.slice(0, 0), table.slice(20))):
            write(folder / f"{name}-{part}.{suffix}", piece)
    node = {"files": [f"rows-*.{suffix}"], "id": "key", "features": {"x": "x"}, "labels": label_section(), **options}
    edge = {"source": "c", "relation": "to", "target": "c", "files": f"links-*.{suffix}", **options}
    return Unlike(exact_pipeline(folder, {"c": node}, [edge], classify("c")), {"c": ids}, trivial=0.7)


def _write_csv(path: Path, table: pa.Table) -> None:
    """Write CSV with every value in single quotes, which are doubled within values."""
    lines = []
    for row in [table.column_names, *zip(*table.to_pydict().values(), strict=True)]:
        lines.append(";".join("'" + str(value).replace("'", "''") + "'" for value in row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def parallel_labels(folder: Path, rng: Rng) -> Unlike:
    """Edge classification where most edges have parallel edges of other classes."""
    ids, pair = [f"p{i}" for i in range(20)], rng.integers(20, size=(60, 2))
    ends = np.concatenate([pair, pair, pair[:30]])
    kind = rng.integers(2, size=len(ends))
    columns = {"x": kind + rng.normal(scale=0.1, size=len(ends)), "label": kind, "split": draw_splits(len(ends), rng)}
    source = [ids[i] for i in ends[:, 0]]
    target = [ids[i] for i in ends[:, 1]]
    nodes = {"p": node_table(folder, "p", ids)}
    more: dict[str, Any] = {"features": {"x": "x"}, "labels": label_section()}
    edges = [edge_table(folder, "p:pays:p", source, target, columns=columns, **more)]
    task = {"type": "edge_classification", "edge_type": "p:pays:p", "label": "label", "inputs": {}}
    return Unlike(exact_pipeline(folder, nodes, edges, task), {"p": ids}, trivial=0.7)


def links_within(folder: Path, rng: Rng) -> Unlike:
    """Links between nodes of one type, all within four groups."""
    ids = [10 * i for i in range(80)]
    source = rng.integers(80, size=500)
    target = (source + 4 * rng.integers(1, 20, size=500)) % 80
    groups = {f"g{k}": (np.arange(80) % 4 == k) * 1.0 for k in range(4)}
    own = {f"own{k}": rng.normal(size=80) for k in range(3)}  # else all nodes of a group would get equal scores
    nodes = {"n": node_table(folder, "n", ids, [*groups, *own], **groups, **own)}
    source_ids = [ids[i] for i in source]
    target_ids = [ids[i] for i in target]
    edges = [
        edge_table(folder, "n:knows:n", source_ids, target_ids, columns={"split": draw_splits(500, rng)}, split=SPLIT)
    ]
    task = {"type": "link_prediction", "edge_type": "n:knows:n", "ranking": {"candidates": "all"}}
    return Unlike(exact_pipeline(folder, nodes, edges, task), {"n": ids}, "mrr", 0.1)


def outliers(folder: Path, rng: Rng) -> Unlike:
    """Regression on a label that is a million in two training rows."""
    x, split = rng.normal(size=80), draw_splits(80, rng)
    label = x.copy()
    label[np.flatnonzero(np.array(split) == "train")[:2]] = [1e6, -1e6]
    return _regression(folder, x, label, split, None)


def constant_label(folder: Path, rng: Rng) -> Unlike:
    """Regression on a label that is the same in all rows."""
    return _regression(folder, rng.normal(size=80), np.full(80, 7.5), draw_splits(80, rng), 0.2)


def _regression(
    folder: Path, x: Any, label: Any, split: list[str], trivial: float | None, relations: Sequence[str] = ("o:by:o",)
) -> Unlike:
    ids = [f"o{i}" for i in range(len(x))]
    nodes = {
        "o": node_table(folder, "o", ids, ["x"], x=x, label=label, split=split) | {"labels": label_section("number")}
    }
    edges = [edge_table(folder, relation, ids[:-1], ids[1:]) for relation in relations]
    task = {"type": "node_regression", "node_type": "o", "label": "label", "loss": "huber"}
    return Unlike(exact_pipeline(folder, nodes, edges, task, epochs=16), {"o": ids}, "rmse", trivial)


_MAKERS: tuple[Callable[[Path, Rng], Unlike], ...] = (
    odd_types, numbers, structure, many_relations, tiny, wide, texts, cycle, csv_files, parquet_files, parallel_labels,
    links_within, outliers, constant_label,
)  # fmt: skip
UNLIKE = {maker.__name__: maker for maker in _MAKERS}
"""Functions that write the tables of a graph to a folder, by name."""


def write_unlike(name: str, folder: Path) -> Unlike:
    """Write the tables of one of UNLIKE to `folder`: the same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    return UNLIKE[name](folder, np.random.default_rng(0))
