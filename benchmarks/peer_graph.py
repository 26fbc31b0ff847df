"""The same graph for both sides: part of the Debian tables, as tables + YAML of ours and as files + configurations of
GraphStorm.

In: the folder of build_tables.py. Out: `<folder>/tables/*.parquet` and `<folder>/pipeline.yaml` for `gsl`, and
`<folder>/peer/` for the peer. Both read the same text column, edges, labels and split.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

sys.path.append(str(Path(__file__).parents[1] / "training_scripts" / "debian_packages"))
from debian_relations import split_share

AMONG_PACKAGES = (
    "depends", "pre_depends", "recommends", "suggests", "enhances", "breaks", "replaces", "conflicts",
)  # fmt: skip
TO_OTHERS = {"built_from": "source", "maintained_by": "maintainer"}
Tables = dict[str, pa.Table]

# What both models are: peer defaults where it has any that ours can take.
HIDDEN, LAYERS, FANOUT, BATCH, LR, DROPOUT = 128, 2, 10, 1024, 1e-3, 0.2


def choose_packages(names: Collection[str], count: int | None) -> list[str]:
    """The `count` names with the smallest hash: the same on every machine, whatever their order. None: all."""
    return sorted(names, key=lambda name: (split_share("", name), name))[:count]


def even_sample(names: Sequence[str], count: int) -> list[str]:
    """`count` names evenly over the list: neighbours may be of one kind."""
    return [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(count, len(names))).astype(np.int64))]


def read_tables(folder: Path) -> Tables:
    """All packages (name, text, section, split), their relations, and those to their sources and maintainers."""
    columns = ["name", "short", "long", "section_label", "section_split"]
    packages = pq.read_table(folder / "package.parquet", columns=columns)
    labels = {name: packages[name] for name in ("section_label", "section_split")}
    tables = {"package": pa.table({"name": packages["name"], "text": as_text(packages), **labels})}
    for relation in (*AMONG_PACKAGES, *TO_OTHERS):
        tables[relation] = pq.read_table(folder / f"{relation}.parquet", columns=["source", "target"])
    return tables


def restrict(tables: Tables, names: Collection[str]) -> Tables:
    """The packages of these names and the edges that start, and among packages end, at them."""
    chosen = pa.array(list(names), pa.string())
    packages = tables["package"]
    found = {"package": packages.filter(pc.is_in(packages["name"], chosen))}
    for relation, target in relations(tables):
        edges = tables[relation]
        edges = edges.filter(pc.is_in(edges["source"], chosen))
        if target == "package":
            edges = edges.filter(pc.is_in(edges["target"], chosen))
        if edges.num_rows:  # the peer refuses an edge type without edges
            found[relation] = edges
    return found


def as_text(packages: pa.Table) -> pa.ChunkedArray:
    """What the template "{name}: {short}. {long}" gives."""
    parts = [packages["name"], ": ", packages["short"], ". ", packages["long"], ""]
    return pc.binary_join_element_wise(*parts, null_handling="replace", null_replacement="")


def relations(tables: Tables) -> list[tuple[str, str]]:
    """(relation, target node type) of every edge table; the source is always a package."""
    return [(name, TO_OTHERS.get(name, "package")) for name in tables if name != "package"]


# ---------------------------------------------------------------------------------------------------------------- ours


def write_ours(folder: Path, tables: Tables, model: str, max_tokens: int, epochs: int) -> Path:
    """Tables and pipeline.yaml; returns the YAML."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        pq.write_table(table, folder / "tables" / f"{name}.parquet")
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(our_pipeline(tables, model, max_tokens, epochs), sort_keys=False), encoding="utf-8")
    return path


def our_pipeline(tables: Tables, model: str, max_tokens: int, epochs: int) -> dict[str, Any]:
    """The YAML: same width, layers, fanouts, batch and learning rate as the peer's."""
    section = {"column": "section_label", "split": {"column": "section_split"}}
    package = {"files": "package.parquet", "id": "name", "text": {"description": {"columns": ["text"]}}}
    nodes: dict[str, Any] = {"package": {**package, "labels": {"section": section}}}
    nodes |= {target: None for _, target in relations(tables) if target != "package"}
    edges = [
        {"source": "package", "relation": relation, "target": target, "files": f"{relation}.parquet"}
        for relation, target in relations(tables)
    ]
    return {
        "name": "bench-peer",
        "output": "ours",
        "graph": {"base": "tables", "nodes": nodes, "edges": edges},
        "model": {
            "text_encoder": {"name": model, "max_tokens": max_tokens},
            "gnn": {"type": "rgcn", "hidden": HIDDEN, "layers": LAYERS, "dropout": DROPOUT},
        },
        "task": {"type": "node_classification", "node_type": "package", "label": "section"},
        "train": {
            "epochs": epochs,
            "batch_size": BATCH,
            "fanouts": [FANOUT] * LAYERS,
            "lr": LR,
            "early_stop": None,
        },
    }


# ---------------------------------------------------------------------------------------------------------------- peer


def write_peer(folder: Path, tables: Tables, transform: Mapping[str, Any], vectors: Any = None) -> Path:
    """Files of GraphStorm's construction and its configuration; returns the latter.

    `transform` says what becomes of the text column; with `vectors` [packages, width] it is of these instead.
    """
    folder.mkdir(parents=True, exist_ok=True)
    packages = tables["package"]
    columns = {"name": packages["name"], "text": packages["text"], "label": pa.array(class_numbers(packages))}
    if vectors is not None:
        columns["vector"] = pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel()), vectors.shape[1]
        ).cast(pa.list_(pa.float32()))
    table = pa.table(columns)
    half = -(-table.num_rows // 2)
    for i in range(2):  # it works on a file with one process: two files, two processes
        pq.write_table(table.slice(i * half, half), folder / f"package-{i}.parquet")
    splits = packages["section_split"].to_pylist()
    for split in ("train", "valid", "test"):
        ids = [name for name, of in zip(packages["name"].to_pylist(), splits, strict=True) if of == split]
        (folder / f"{split}.json").write_text("".join(json.dumps(name) + "\n" for name in ids), encoding="utf-8")
    for name, _ in relations(tables):
        pq.write_table(tables[name], folder / f"{name}.parquet")
    path = folder / "construct.json"
    column = "text" if vectors is None else "vector"
    path.write_text(json.dumps(peer_construct(folder, tables, column, transform), indent=2), encoding="utf-8")
    return path


def classes(packages: pa.Table) -> list[str]:
    """Sections of a package table in the order of their numbers."""
    return sorted(set(packages["section_label"].to_pylist()) - {None})


def class_numbers(packages: pa.Table) -> list[int]:
    """Sections as numbers, for GraphStorm takes no names; -1 where there is none (such rows are in no split)."""
    number = {name: i for i, name in enumerate(classes(packages))}
    return [number.get(name, -1) for name in packages["section_label"].to_pylist()]


def peer_construct(folder: Path, tables: Tables, column: str, transform: Mapping[str, Any]) -> dict[str, Any]:
    """GraphStorm's construction file. `no-op` takes a column as it is and must not be named."""
    feature: dict[str, Any] = {"feature_col": column, "feature_name": "vector"}
    if transform["name"] != "no-op":
        feature["transform"] = dict(transform)
    splits = {split: str(folder / f"{split}.json") for split in ("train", "valid", "test")}
    parquet = {"name": "parquet"}
    return {
        "version": "gconstruct-v0.1",
        "nodes": [
            {
                "node_type": "package",
                "node_id_col": "name",
                "format": parquet,
                "files": [str(folder / f"package-{i}.parquet") for i in range(2)],
                "features": [feature],
                "labels": [{"label_col": "label", "task_type": "classification", "custom_split_filenames": splits}],
            }
        ],
        "edges": [
            {
                "relation": ["package", relation, target],
                "source_id_col": "source",
                "dest_id_col": "target",
                "format": parquet,
                "files": [str(folder / f"{relation}.parquet")],
            }
            for relation, target in relations(tables)
        ],
    }


def peer_train(
    num_classes: int, epochs: int, model: str | None = None, best: bool = False, more: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """GraphStorm's training YAML: with `model` it fine-tunes that language model together with the GNN.

    Not `best`: what is not said is at its defaults. `best`: the flags that make it faster or that its documentation
    sets, and `more` on top. Lower-level sections only group keys; where one stands does not matter to it.
    """
    hyperparam: dict[str, Any] = {"num_epochs": epochs, "batch_size": BATCH, "lr": LR, "dropout": DROPOUT}
    if model is not None:
        hyperparam["lm_train_nodes"] = 10
    if best:
        hyperparam |= {"gnn_norm": "layer", "use_mini_batch_infer": False}
        hyperparam |= {"lm_infer_batch_size": 1024} if model is not None else {}
        hyperparam |= more or {}
    basic: dict[str, Any] = {"model_encoder_type": "rgcn", "backend": "gloo"}
    if model is None:
        basic["node_feat_name"] = ["package:vector"]
    target = {"target_ntype": "package", "label_field": "label", "num_classes": num_classes}
    document: dict[str, Any] = {
        "version": 1.0,
        "gsf": {
            "basic": basic,
            "gnn": {"fanout": ",".join([str(FANOUT)] * LAYERS), "num_layers": LAYERS, "hidden_size": HIDDEN},
            "hyperparam": hyperparam,
            "node_classification": {**target, "multilabel": False, "eval_metric": ["accuracy"]},
        },
    }
    if model is not None:
        language_model = {"lm_type": "bert", "model_name": model, "gradient_checkpoint": best}
        document["lm_model"] = {"node_lm_models": [{**language_model, "node_types": ["package"]}]}
    return document
