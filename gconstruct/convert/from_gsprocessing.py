"""GraphStorm's JSON of graph construction by Spark -> GraphSpec. Every key is read or noted."""

from __future__ import annotations

from typing import Any

from gconstruct.convert.notes import Notes, Section
from gconstruct.convert.parts import (
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

_NORMALIZERS = {"none": "none", "min-max": "min_max", "standard": "standard"}


def is_gsprocessing(data: Any) -> bool:
    """Whether a JSON file is of this form."""
    return isinstance(data, dict) and isinstance(data.get("graph"), dict)


def read_gsprocessing(data: Any, notes: Notes) -> GraphSpec:
    """The tables. Raises ConfigError when a key that must be there is not."""
    root = Section(data, "", notes)
    root.take("version", note="says which form the file has")
    graph = root.section("graph")
    nodes = [_node(section) for section in graph.sections("nodes")]
    edges = [_edge(section) for section in graph.sections("edges")]
    graph.close({"isHomogeneous": "a graph of one node type and one edge type needs no word about it"})
    root.close()
    return GraphSpec(nodes, edges)


def _node(section: Section) -> NodeSpec:
    column = section.take("column")
    node_type = section.take("type", column)
    if not isinstance(node_type, str):
        raise ConfigError(f"{section.path('type')}: must be the name of a node type (got {node_type!r})")
    spec = NodeSpec(**_table(section), node_type=node_type, id_column=column)
    section.close()
    return spec


def _end(section: Section) -> tuple[str, str]:
    """(type, column)"""
    column = section.take("column")
    node_type = section.take("type", column)
    section.close()
    if not isinstance(column, str) or not isinstance(node_type, str):
        raise ConfigError(f"{section.key}: must have the key 'column' (got {section.data})")
    return node_type, column


def _edge(section: Section) -> EdgeSpec:
    source_type, source = _end(section.section("source"))
    target_type, target = _end(section.section("dest" if "dest" in section else "destination"))
    relation = section.section("relation")
    name = str(relation.take("type", "related_to"))
    relation.close()
    spec = EdgeSpec(
        **_table(section), relation=(source_type, name, target_type), source_column=source, target_column=target
    )
    section.close()
    return spec


def _table(section: Section) -> dict[str, Any]:
    data = section.section("data")
    form, separator = data.take("format"), data.take("separator")
    files = strings(data.take("files", []), data.path("files"))
    data.close()
    features = [_feature(feature) for feature in section.sections("features")]
    labels = [_label(label) for label in section.sections("labels")]
    return {
        "key": section.key,
        "files": files,
        "format": str(form).lower() if form else None,
        "separator": separator,
        "features": [feature for feature in features if feature is not None],
        "labels": [label for label in labels if label is not None],
    }


def _label(section: Section) -> LabelSpec | None:
    task, column = section.take("type"), section.take("column")
    separator = section.take("separator")
    if "custom_split_filenames" in section:
        files = section.section("custom_split_filenames")
        split = custom_split(files, section, "custom_split_filenames")
        files.close()
    else:
        rates = section.section("split_rate")
        shares = [rates.take("train", 0.0), rates.take("val", rates.take("valid", 0.0)), rates.take("test", 0.0)]
        rates.close()
        split = drawn_split(shares if "split_rate" in section else None, "split_rate", section)
    section.take("split_rate", note=None)
    section.take("mask_field_names", note="each label has a split of its own")
    section.close()
    if task not in ("classification", "regression", "link_prediction"):
        section.notes.none(section.key, f"type {task}: there is no such task")
        return None
    return LabelSpec(section.key, task, column or None, split, separator)


def _feature(section: Section) -> FeatureSpec | None:
    columns = strings(section.take("column", []), section.path("column"))
    spec = FeatureSpec(section.key, columns, section.take("name"))
    transformation = section.section("transformation")
    name = str(transformation.take("name", "no-op")).replace("_", "-")
    kwargs = transformation.section("kwargs")
    spec.settings |= dtype(kwargs.take("out_dtype"), "out_dtype", kwargs)
    if section.take("data", note=None) is not None:
        section.notes.none(section.key, "a feature in files of its own: join them to the table first")
        return None
    reader = _TRANSFORMS.get(name)
    if reader is None or not reader(kwargs, spec):
        section.notes.none(transformation.key, f"{name}: there is no such feature")
        section.close()
        return None
    kwargs.close()
    transformation.close()
    section.close()
    return spec


def _no_op(kwargs: Section, spec: FeatureSpec) -> bool:
    spec.settings |= {"normalize": "none", **vector_settings(kwargs)}
    return True


def _numbers(kwargs: Section, spec: FeatureSpec) -> bool:
    normalizer, imputer = str(kwargs.take("normalizer", "none")), str(kwargs.take("imputer", "none"))
    missing = {} if imputer == "none" else {"missing": imputer}
    if normalizer in ("rank-gauss", "rank_gauss"):
        spec.settings |= rank_gauss(kwargs)
        if missing:
            kwargs.notes.near(kwargs.path("imputer"), f"{imputer}: became 0, the middle of the ranks")
            spec.settings["missing"] = "zero"
        return True
    if normalizer == "standard":
        said = "standard: (x - mean) / deviation; GraphStorm divides by the sum"
        kwargs.notes.near(kwargs.path("normalizer"), said)
    spec.settings |= {"normalize": _NORMALIZERS.get(normalizer, "none"), **missing, **vector_settings(kwargs)}
    return normalizer in _NORMALIZERS


def _buckets(kwargs: Section, spec: FeatureSpec) -> bool:
    spec.settings |= bucket_settings(kwargs)
    imputer = kwargs.take("imputer", "none", note=None)
    if imputer != "none":
        kwargs.notes.near(kwargs.path("imputer"), f"{imputer}: a missing number has a column of its own")
        spec.settings["missing"] = "own"
    return True


def _category(kwargs: Section, spec: FeatureSpec) -> bool:
    spec.settings["encode"] = "one_hot"
    return True


def _categories(kwargs: Section, spec: FeatureSpec) -> bool:
    separator = kwargs.take("separator")
    spec.settings |= {"encode": "multi_hot"} | ({} if separator is None else {"separator": separator})
    return True


def _text(kwargs: Section, spec: FeatureSpec) -> bool:
    spec.text_model = str(kwargs.take("hf_model"))
    spec.max_tokens = int(kwargs.take("max_seq_length", 128))
    if kwargs.take("action") == "embedding_hf":
        said = "vectors are the mean of the tokens; text_encoder.pooling: pooler is as GraphStorm has it"
        kwargs.notes.near(kwargs.path("action"), said)
    return True


_TRANSFORMS = {
    "no-op": _no_op,
    "numerical": _numbers,
    "multi-numerical": _numbers,
    "bucket-numerical": _buckets,
    "categorical": _category,
    "multi-categorical": _categories,
    "huggingface": _text,
    "edge-dst-hard-negative": hard_negatives,
}
