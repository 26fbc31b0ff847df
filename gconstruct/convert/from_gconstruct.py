"""GraphStorm's JSON of single-machine graph construction -> GraphSpec. Every key is read or noted."""

from __future__ import annotations

from typing import Any

from gconstruct.convert.notes import Notes, Section
from gconstruct.convert.parts import (
    NO_TEXT_KEYS,
    bucket_settings,
    custom_split,
    drawn_split,
    dtype,
    hard_negatives,
    rank_gauss,
    strings,
    vector_settings,
)
from gconstruct.convert.specs import EdgeSpec, FeatureSpec, GraphSpec, LabelSpec, NodeSpec
from graphstorm_like.errors import ConfigError

_LABEL_KEYS = {
    "label_stats_type": "counts of labels: gsl show graph prints them",
}
_TASKS = ("classification", "regression", "link_prediction")
_STATE = "statistics of an earlier run: they are fitted on the table, and kept in graph.json"


def is_gconstruct(data: Any) -> bool:
    """Whether a JSON file is of this form."""
    return isinstance(data, dict) and "nodes" in data and "edges" in data


def read_gconstruct(data: Any, notes: Notes) -> GraphSpec:
    """The tables. Raises ConfigError when a key that must be there is not."""
    root = Section(data, "", notes)
    root.take("version", note="says which form the file has")
    nodes = [_node(section) for section in root.sections("nodes")]
    edges = [_edge(section) for section in root.sections("edges")]
    root.close(
        {
            "is_homogeneous": "a graph of one node type and one edge type needs no word about it",
            "add_reverse_edges": "reverse edges are made for every edge type; edges[].reverse: false if not",
        }
    )
    return GraphSpec(nodes, edges)


def _node(section: Section) -> NodeSpec:
    node_type = section.take("node_type")
    if not isinstance(node_type, str):
        raise ConfigError(f"{section.path('node_type')}: must be the name of a node type (got {node_type!r})")
    spec = NodeSpec(**_table(section), node_type=node_type, id_column=section.take("node_id_col"))
    section.close()
    return spec


def _edge(section: Section) -> EdgeSpec:
    relation = section.take("relation")
    if not isinstance(relation, list) or len(relation) != 3:
        raise ConfigError(f"{section.path('relation')}: must be [source, relation, target] (got {relation!r})")
    source, target = section.take("source_id_col"), section.take("dest_id_col")
    source_type, name, target_type = (str(part) for part in relation)
    spec = EdgeSpec(
        **_table(section), relation=(source_type, name, target_type), source_column=source, target_column=target
    )
    section.close()
    return spec


def _table(section: Section) -> dict[str, Any]:
    form = section.section("format")
    name, separator = form.take("name"), form.take("separator")
    form.close()
    features = [_feature(feature) for feature in section.sections("features")]
    labels = [_label(label) for label in section.sections("labels")]
    return {
        "key": section.key,
        "files": strings(section.take("files", []), section.path("files")),
        "format": str(name).lower() if name else None,
        "separator": separator,
        "features": [feature for feature in features if feature is not None],
        "labels": [label for label in labels if label is not None],
    }


def _label(section: Section) -> LabelSpec | None:
    task, column = section.take("task_type"), section.take("label_col")
    if "custom_split_filenames" in section:
        files = section.section("custom_split_filenames")
        split = custom_split(files, section, "custom_split_filenames")
        files.close()
        section.take("split_pct", note="custom_split_filenames goes before it")
    else:
        split = drawn_split(section.take("split_pct"), "split_pct", section)
    section.take("mask_field_names", note="each label has a split of its own")
    section.close(_LABEL_KEYS)
    if task not in _TASKS:
        section.notes.none(section.key, f"task_type {task}: there is no such task")
        return None
    return LabelSpec(section.key, str(task), column, split)


def _feature(section: Section) -> FeatureSpec | None:
    columns = strings(section.take("feature_col", []), section.path("feature_col"))
    spec = FeatureSpec(section.key, columns, section.take("feature_name"))
    spec.settings |= dtype(section.take("out_dtype"), "out_dtype", section)
    transform = section.section("transform")
    name = transform.take("name", "no-op")
    reader = _TRANSFORMS.get(name)
    if reader is None or not reader(transform, spec):
        section.notes.none(transform.key, _NO_TRANSFORM.get(name, f"{name}: there is no such feature"))
        section.close()
        return None
    spec.settings |= vector_settings(section)  # a no-op may have them outside of `transform`
    transform.close(NO_TEXT_KEYS)
    section.close()
    return spec


_NO_TRANSFORM = {
    "tabular": "vectors of a foundation model for tables: compute them first, and give them as a column of lists",
}


def _no_op(transform: Section, spec: FeatureSpec) -> bool:
    spec.settings |= {"normalize": "none", **vector_settings(transform)}
    return True


def _text(transform: Section, spec: FeatureSpec) -> bool:
    spec.text_model = str(transform.take("bert_model"))
    spec.max_tokens = int(transform.take("max_seq_length", 128))
    if transform.data.get("name") == "bert_hf":
        said = "vectors are the mean of the tokens; text_encoder.pooling: pooler is as GraphStorm has it"
        transform.notes.near(transform.path("name"), said)
    return True


def _max_min(transform: Section, spec: FeatureSpec) -> bool:
    spec.settings["normalize"] = "min_max"
    bounds = [transform.take(key) for key in ("min_bound", "max_bound")]
    if bounds != [None, None]:
        spec.settings["clip"] = [None if bound is None else float(bound) for bound in bounds]
    ends = [transform.take(key) for key in ("min_val", "max_val")]
    if None not in ends:
        spec.settings["range"] = [float(end) for end in ends]
    elif ends != [None, None]:
        key = "min_val" if ends[1] is None else "max_val"
        transform.notes.near(transform.path(key), "one end alone: both are taken from the table")
    return True


def _standard(transform: Section, spec: FeatureSpec) -> bool:
    transform.notes.near(transform.path("name"), "standard: (x - mean) / deviation; GraphStorm divides by the sum")
    if transform.take("sum", note=None) is not None:
        transform.notes.near(transform.path("sum"), _STATE)
    return True


def _ranks(transform: Section, spec: FeatureSpec) -> bool:
    spec.settings |= rank_gauss(transform)
    if transform.take("uniquify", note=None) is not None:
        transform.notes.near(transform.path("uniquify"), "equal numbers have one rank, the middle of theirs")
    return True


def _categories(transform: Section, spec: FeatureSpec) -> bool:
    separator = transform.take("separator")
    spec.settings |= {"encode": "one_hot"} if separator is None else {"encode": "multi_hot", "separator": separator}
    if transform.take("mapping", note=None) is not None:
        transform.notes.near(transform.path("mapping"), _STATE)
    return True


def _buckets(transform: Section, spec: FeatureSpec) -> bool:
    spec.settings |= bucket_settings(transform)
    return True


_TRANSFORMS = {
    "no-op": _no_op,
    "tokenize_hf": _text,
    "bert_hf": _text,
    "max_min_norm": _max_min,
    "standard": _standard,
    "rank_gauss": _ranks,
    "to_categorical": _categories,
    "bucket_numerical": _buckets,
    "edge_dst_hard_negative": hard_negatives,
}
