"""Small graphs that have little in common: each is tables in a folder and a pipeline over them, from fixed seeds.

`write_unlike(name, folder)` writes one of `UNLIKE`. Steps are exact (all neighbours, no dropout, float32), so that any
layout of processes must take the same ones. Most plant a signal that a working model finds in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Rng = np.random.Generator
SPLIT = {"column": "split"}


@dataclass(frozen=True, slots=True)
class Unlike:
    """pipeline: as YAML would hold it. ids: the user's own, by node type. metric: of the test split, and what a trivial
    answer reaches in it (least likely to be beaten by chance); None where no signal is planted. reads_text: the model
    has to be given a text encoder."""

    pipeline: dict[str, Any]
    ids: dict[str, list[Any]]
    metric: str = "accuracy"
    trivial: float | None = None
    reads_text: bool = False


def _write(path: Path, **columns: Any) -> str:
    pq.write_table(pa.table(columns), path)
    return path.name


def _splits(count: int, rng: Rng) -> list[str]:
    """Three fifths for training; every split has rows."""
    names = ["train", "train", "train", "valid", "test"] * (count // 5 + 1)
    return [str(name) for name in rng.permutation(names[:count])]


def _nodes(folder: Path, name: str, ids: Sequence[Any], features: Sequence[str] = (), **columns: Any) -> dict[str, Any]:
    """A node type with a table."""
    file = _write(folder / f"{name}.parquet", key=ids, **columns)
    return {"files": file, "id": "key", "features": {f: f for f in features}}


def _edges(folder: Path, edge_type: str, source: Sequence[Any], target: Sequence[Any], **more: Any) -> dict[str, Any]:
    """An edge type; `columns` of its table beside the ends, other settings as they are."""
    start, relation, end = edge_type.split(":")
    columns = more.pop("columns", {})
    file = _write(folder / f"edges-{relation}.parquet", source=source, target=target, **columns)
    return {"source": start, "relation": relation, "target": end, "files": file, **more}


def _label(kind: str = "class") -> dict[str, Any]:
    return {"label": {"column": "label", "kind": kind, "split": SPLIT}}


def _classes(node_type: str, **more: Any) -> dict[str, Any]:
    return {"type": "node_classification", "node_type": node_type, "label": "label", **more}


def _pipeline(
    folder: Path, nodes: dict[str, Any], edges: list[Any], task: dict[str, Any], **train: Any
) -> dict[str, Any]:
    """Predictions of the task, embeddings of all node types."""
    gnn = {"type": "rgcn", "hidden": 16, "layers": 2, "dropout": 0.0}
    exact = {"epochs": 8, "batch_size": 32, "fanouts": [-1, -1], "lr": 0.02, "precision": "float32", "early_stop": None}
    return {
        "name": "unlike",
        "output": str(folder / "run"),
        "graph": {"base": str(folder), "nodes": nodes, "edges": edges},
        "model": {"gnn": gnn, "input_dropout": 0.0},
        "task": task,
        "train": {**exact, "device": "cpu", "track": {"every_steps": 1}, **train},
        "infer": {"embeddings": list(nodes)},
    }


def _of_class(kind: np.ndarray, classes: np.ndarray, rng: Rng) -> list[int]:
    """For each number in `kind` a position in `classes` that holds it."""
    return [int(rng.choice(np.flatnonzero(classes == k))) for k in kind]


def odd_types(folder: Path, rng: Rng) -> Unlike:
    """Types against the alphabet; strings of any script, integers and strings that look like numbers as ids."""
    kind = rng.integers(2, size=90)
    odd = ["", " ", "Ünï-0", "猫", "null", "NaN", "a,b", 'q"uote', "x" * 300, "line\nbreak", "\u202eleft", "🐈"]
    zoo = odd + [f"тип-{i}" for i in range(90 - len(odd))]
    mills, of_mill = [-(2**63), 2**63 - 1, 0, -7, *range(10, 26)], np.arange(20) % 2
    art = ["007", "7", "+7", "7.0", "1e3", "0x7", "٧", "-0", "0"]
    at = np.repeat(np.arange(90), 3)
    ground = _of_class(kind[at], of_mill, rng)
    drawn, by = rng.integers(90, size=60), rng.integers(len(art), size=60)
    nodes = {
        "zoo": _nodes(folder, "zoo", zoo, label=[bool(k) for k in kind], split=_splits(90, rng)) | {"labels": _label()},
        "mill": _nodes(folder, "mill", mills, ["wind"], wind=of_mill + rng.normal(scale=0.2, size=20)),
        "_x": {},
        "Art": _nodes(folder, "Art", art),
    }
    edges = [
        _edges(folder, "zoo:z:mill", [zoo[i] for i in at], [mills[i] for i in ground]),
        _edges(folder, "Art:y:zoo", [art[i] for i in by], [zoo[i] for i in drawn]),
        _edges(folder, "mill:x:_x", mills, [f"{m % 4:03d}" for m in mills]),
    ]
    ids = {"zoo": zoo, "mill": mills, "_x": ["000", "001", "002", "003"], "Art": art}
    return Unlike(_pipeline(folder, nodes, edges, _classes("zoo")), ids, trivial=0.7)


def numbers(folder: Path, rng: Rng) -> Unlike:
    """Numbers, and nothing else: no text, no second type, no edges."""
    ids, x = list(range(100, 200)), rng.normal(size=(100, 2))
    columns = {"a": x[:, 0], "b": x[:, 1], "label": 3.0 * x[:, 0] - x[:, 1], "split": _splits(100, rng)}
    nodes = {"point": _nodes(folder, "point", ids, ["a", "b"], **columns) | {"labels": _label("number")}}
    task = {"type": "node_regression", "node_type": "point", "label": "label"}
    return Unlike(_pipeline(folder, nodes, [], task, epochs=20), {"point": ids}, "r2", 0.5)


def structure(folder: Path, rng: Rng) -> Unlike:
    """No attributes at all: what is known is who is connected."""
    kind, ids = rng.integers(2, size=100), [f"n{i}" for i in range(100)]
    at = np.repeat(np.arange(100), 4)
    hubs = [2 * int(h) + int(k) for h, k in zip(rng.integers(3, size=400), kind[at], strict=True)]
    nodes = {"node": _nodes(folder, "node", ids, label=kind, split=_splits(100, rng)) | {"labels": _label()}, "hub": {}}
    edges = [_edges(folder, "node:of:hub", [ids[i] for i in at], hubs)]
    return Unlike(_pipeline(folder, nodes, edges, _classes("node")), {"node": ids, "hub": list(range(6))}, trivial=0.7)


def many_relations(folder: Path, rng: Rng) -> Unlike:
    """60 relations between two types: parallel ones, a pure self-loop one, an empty one; nodes without any edge."""
    kind, a, b = rng.integers(2, size=60), [f"a{i}" for i in range(60)], list(range(40))
    label = _label()
    nodes = {
        "b": _nodes(folder, "b", b, ["x"], x=(np.arange(40) % 2) + rng.normal(scale=0.1, size=40)),
        "a": _nodes(folder, "a", a, label=[f"k{k}" for k in kind], split=_splits(60, rng)) | {"labels": label},
    }
    edges = [
        _edges(folder, "a:self:a", a[:50], a[:50]),
        _edges(folder, "b:none:b", pa.array([], pa.int64()), pa.array([], pa.int64())),
    ]
    for number in range(58):
        at = rng.integers(50, size=12)  # the last ten nodes of a, and of b, stand alone
        ends = _of_class(kind[at], np.arange(30) % 2, rng)
        edges.append(_edges(folder, f"a:r{number}:b", [a[i] for i in at], ends))
    return Unlike(_pipeline(folder, nodes, edges, _classes("a"), epochs=3), {"b": b, "a": a}, trivial=0.6)


def tiny(folder: Path, rng: Rng) -> Unlike:
    """12 nodes and 10 edges; a class that only one test node has; one batch holds far more than there is."""
    ids, label = [f"t{i}" for i in range(12)], [*("x", "y") * 5, "x", "once"]
    split = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2 + [None, "test"]
    nodes = {"t": _nodes(folder, "t", ids, label=label, split=split) | {"labels": _label()}}
    edges = [_edges(folder, "t:next:t", ids[:10], ids[1:11])]
    metrics = ["accuracy", "macro_f1", "roc_auc", "average_precision"]
    task = _classes("t", class_weights="balanced", metrics=metrics)
    return Unlike(_pipeline(folder, nodes, edges, task, batch_size=4096), {"t": ids})


def wide(folder: Path, rng: Rng) -> Unlike:
    """3,000 numeric columns, one of which tells the class."""
    kind, ids, names = rng.integers(2, size=50), list(range(50)), [f"f{i}" for i in range(3000)]
    columns: dict[str, Any] = {n: rng.normal(scale=0.01, size=50) for n in names}
    columns["f1234"] = np.where(kind == 1, 5.0, -5.0)
    table = _nodes(folder, "row", ids, [], label=kind, split=_splits(50, rng), **columns) | {"labels": _label()}
    table["features"] = {n: {"column": n, "normalize": "none"} for n in names}
    pipeline = _pipeline(folder, {"row": table}, [], _classes("row"), epochs=3)
    return Unlike(pipeline, {"row": ids}, trivial=0.7)


def texts(folder: Path, rng: Rng) -> Unlike:
    """Texts in many languages, empty ones, nulls, and one of a megabyte; few letters of them are known to a model."""
    kind, ids = rng.integers(2, size=60), [f"d{i}" for i in range(60)]
    words = ["graph node edge", "files tool data"]
    around = [
        "",
        "猫が好き ",
        "Привет ",
        "שלום ",
        "مرحبا ",
        "हिन्दी ",
        "e\u0301\u0308 ",
        "👩‍👩‍👧 ",
        "\u200b\ufeff ",
        "\t\n",
    ]
    text: list[str | None] = [around[i % len(around)] + words[k] for i, k in enumerate(kind)]
    text[0:4] = ["", None, " ", "graph 語 " * 120_000]
    table = _nodes(folder, "doc", ids, body=text, label=kind, split=["train"] * 4 + _splits(56, rng))
    nodes = {"doc": table | {"text": {"body": {"columns": "body"}}, "labels": _label()}}
    edges = [_edges(folder, "doc:near:doc", ids[:-1], ids[1:])]
    return Unlike(_pipeline(folder, nodes, edges, _classes("doc")), {"doc": ids}, trivial=0.6, reads_text=True)


def cycle(folder: Path, rng: Rng) -> Unlike:
    """One type, one relation without a reverse: a node's class is what the node before it holds."""
    ids, x = list(range(80)), rng.integers(2, size=80)
    columns = {"x": x, "label": np.roll(x, 1), "split": _splits(80, rng)}
    nodes = {"n": _nodes(folder, "n", ids, ["x"], **columns) | {"labels": _label()}}
    edges = [_edges(folder, "n:to:n", ids, ids[1:] + ids[:1], reverse=False)]
    return Unlike(_pipeline(folder, nodes, edges, _classes("n")), {"n": ids}, trivial=0.75)


def csv_files(folder: Path, rng: Rng, parquet: bool = False) -> Unlike:
    """Several CSV files a type, with a strange delimiter and quote, one of them empty; or the same rows as Parquet."""
    kind, ids = rng.integers(2, size=60), [f'c;{i}\'s\n"{i}"' for i in range(60)]
    rows = pa.table(
        {"key": ids, "x": (kind * 2.5 - 1).tolist(), "label": [f"k;{k}" for k in kind], "split": _splits(60, rng)}
    )
    links = pa.table({"source": ids, "target": ids[7:] + ids[:7]})
    for name, table in (("rows", rows), ("links", links)):
        for part, piece in enumerate((table.slice(0, 20), table.slice(0, 0), table.slice(20))):
            path = folder / f"{name}-{part}"
            if parquet:
                pq.write_table(piece, path.with_suffix(".parquet"))
            else:
                _write_csv(path.with_suffix(".csv"), piece)
    suffix = "parquet" if parquet else "csv"
    odd = {} if parquet else {"csv": {"delimiter": ";", "quote": "'"}}
    node = {"files": [f"rows-*.{suffix}"], "id": "key", "features": {"x": "x"}, "labels": _label(), **odd}
    edge = {"source": "c", "relation": "to", "target": "c", "files": f"links-*.{suffix}", **odd}
    return Unlike(_pipeline(folder, {"c": node}, [edge], _classes("c")), {"c": ids}, trivial=0.7)


def _write_csv(path: Path, table: pa.Table) -> None:
    """Everything between single quotes, which are doubled within values."""
    rows = [table.column_names, *zip(*table.to_pydict().values(), strict=True)]
    lines = []
    for row in rows:
        lines.append(";".join("'" + str(value).replace("'", "''") + "'" for value in row))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def parallel_labels(folder: Path, rng: Rng) -> Unlike:
    """Classes of edges, most of which have others between the same nodes, with other classes."""
    ids, pair = [f"p{i}" for i in range(20)], rng.integers(20, size=(60, 2))
    ends = np.concatenate([pair, pair, pair[:30]])
    kind = rng.integers(2, size=len(ends))
    columns = {"x": kind + rng.normal(scale=0.1, size=len(ends)), "label": kind, "split": _splits(len(ends), rng)}
    source, target = ([ids[i] for i in ends[:, side]] for side in (0, 1))
    nodes = {"p": _nodes(folder, "p", ids)}
    more: dict[str, Any] = {"features": {"x": "x"}, "labels": _label()}
    edges = [_edges(folder, "p:pays:p", source, target, columns=columns, **more)]
    task = {"type": "edge_classification", "edge_type": "p:pays:p", "label": "label", "inputs": {}}
    return Unlike(_pipeline(folder, nodes, edges, task), {"p": ids}, trivial=0.7)


def links_within(folder: Path, rng: Rng) -> Unlike:
    """Links between nodes of one type, all within four groups."""
    ids = [10 * i for i in range(80)]
    source = rng.integers(80, size=500)
    target = (source + 4 * rng.integers(1, 20, size=500)) % 80
    nodes = {
        "n": _nodes(
            folder, "n", ids, [f"g{k}" for k in range(4)], **{f"g{k}": (np.arange(80) % 4 == k) * 1.0 for k in range(4)}
        )
    }
    ends = ([ids[i] for i in source], [ids[i] for i in target])
    edges = [_edges(folder, "n:knows:n", *ends, columns={"split": _splits(500, rng)}, split=SPLIT)]
    task = {"type": "link_prediction", "edge_type": "n:knows:n", "ranking": {"candidates": "all"}}
    return Unlike(_pipeline(folder, nodes, edges, task), {"n": ids}, "mrr", 0.1)


def outliers(folder: Path, rng: Rng, constant: bool = False) -> Unlike:
    """A number to predict that is a million in a few training rows; or the same number in all rows."""
    ids, x = [f"o{i}" for i in range(80)], rng.normal(size=80)
    split = _splits(80, rng)
    label = np.full(80, 7.5) if constant else x.copy()
    if not constant:
        label[np.flatnonzero(np.array(split) == "train")[:2]] = [1e6, -1e6]
    nodes = {"o": _nodes(folder, "o", ids, ["x"], x=x, label=label, split=split) | {"labels": _label("number")}}
    edges = [_edges(folder, "o:by:o", ids[:-1], ids[1:])]
    task = {"type": "node_regression", "node_type": "o", "label": "label", "loss": "huber"}
    return Unlike(_pipeline(folder, nodes, edges, task, epochs=10), {"o": ids}, "rmse", 0.2 if constant else None)


UNLIKE: dict[str, Callable[[Path, Rng], Unlike]] = {
    "odd_types": odd_types,
    "numbers": numbers,
    "structure": structure,
    "many_relations": many_relations,
    "tiny": tiny,
    "wide": wide,
    "texts": texts,
    "cycle": cycle,
    "csv_files": csv_files,
    "parquet_files": lambda folder, rng: csv_files(folder, rng, parquet=True),
    "parallel_labels": parallel_labels,
    "links_within": links_within,
    "outliers": outliers,
    "constant_label": lambda folder, rng: outliers(folder, rng, constant=True),
}


def write_unlike(name: str, folder: Path) -> Unlike:
    """Write the tables of one of UNLIKE into `folder`. The same ones each time."""
    folder.mkdir(parents=True, exist_ok=True)
    return UNLIKE[name](folder, np.random.default_rng(0))
