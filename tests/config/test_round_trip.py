"""The saved configuration loads to what it was, and the JSON Schema agrees with the loader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from graphstorm_like.config import Pipeline, build_pipeline
from graphstorm_like.config.yaml_source import parse_yaml
from graphstorm_like.errors import ConfigError

from .conftest import good_text


@pytest.mark.parametrize("name", ["node", "link", "edge", "pretraining"])
def test_resolved_copy(name: str, load: Callable[..., Pipeline], problems: Callable[..., list[str]]) -> None:
    pipeline = load(good_text(name))
    saved = yaml.safe_dump(pipeline.model_dump(mode="json"), sort_keys=False)
    assert build_pipeline(yaml.safe_load(saved)) == pipeline
    assert problems(saved) == []
    assert load(saved) == pipeline


@pytest.mark.parametrize("name", ["node", "link", "edge", "pretraining"])
def test_without_defaults(name: str, load: Callable[..., Pipeline]) -> None:
    pipeline = load(good_text(name))
    assert build_pipeline(pipeline.model_dump(mode="json", exclude_defaults=False)) == pipeline
    assert Pipeline.model_validate_json(pipeline.model_dump_json()) == pipeline


def test_all_edge_types(load: Callable[..., Pipeline]) -> None:
    text = good_text("pretraining").replace('["author:writes:paper", "paper:cites:paper"]', "all")
    assert load(text).task == load(text.replace("edge_types: all", "edge_types: null")).task
    assert list(misfits(parse_yaml(text, "p").data, SCHEMA)) == []
    assert list(misfits(parse_yaml(text.replace("edge_types: all", "edge_types: al"), "p").data, SCHEMA))


def test_frozen(load: Callable[..., Pipeline]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(good_text("link")).seed = 3  # type: ignore[misc]


SCHEMA = json.loads(json.dumps(Pipeline.model_json_schema()))


def test_schema_names_all_sections() -> None:
    assert set(SCHEMA["properties"]) == set(Pipeline.model_fields)
    assert SCHEMA["additionalProperties"] is False
    assert SCHEMA["required"] == ["graph", "task"]


def test_schema_describes_itself() -> None:
    models = {"Pipeline": SCHEMA, **{n: d for n, d in SCHEMA["$defs"].items() if d.get("type") == "object"}}
    assert [name for name, model in models.items() if not model.get("description")] == []
    assert "{name}" in SCHEMA["properties"]["output"]["description"]
    assert "Seeds" in SCHEMA["$defs"]["TrainConfig"]["properties"]["batch_size"]["description"]


@pytest.mark.parametrize("name", ["node", "link", "edge", "pretraining"])
def test_schema_accepts_the_short_forms(name: str, load: Callable[..., Pipeline]) -> None:
    """Else editors would underline 'files: a.csv', 'fanouts: [10, 5]' and 'edge_type: a:b:c'."""
    text = good_text(name)
    assert list(misfits(parse_yaml(text, "p").data, SCHEMA)) == []
    assert list(misfits(load(text).model_dump(mode="json"), SCHEMA)) == []


def test_schema_refuses_what_the_loader_refuses() -> None:
    data = parse_yaml(good_text("node"), "p").data
    data["train"]["ephocs"] = 3
    data["graph"]["edges"][0]["source"] = 3
    data["model"]["gnn"]["type"] = "gnc"
    data["train"]["epochs"] = 0
    assert {path for path, _ in misfits(data, SCHEMA)} == {
        "train.ephocs", "train.epochs", "graph.edges.0.source", "model.gnn.type"
    }  # fmt: skip


TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def misfits(value: Any, schema: dict[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    """(path, why) of what does not fit: the part of JSON Schema that pydantic writes for our types."""
    if "$ref" in schema:
        yield from misfits(value, SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]], at)
    for word in ("anyOf", "oneOf"):
        if word in schema and not any(not list(misfits(value, one, at)) for one in schema[word]):
            deeper = [m for one in schema[word] for m in misfits(value, one, at) if m[0] != at]
            yield (at, word) if not deeper else deeper[0]
    kinds = TYPES.get(schema.get("type", ""))
    if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
        yield at, f"type {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield at, "enum"
    if "const" in schema and value != schema["const"]:
        yield at, "const"
    if isinstance(value, int | float) and not value > schema.get("exclusiveMinimum", float("-inf")):
        yield at, "exclusiveMinimum"
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield from misfits(entry, schema.get("items", {}), f"{at}.{i}".lstrip("."))
    if isinstance(value, dict) and schema.get("type") == "object":
        yield from _misfit_keys(value, schema, at)


def _misfit_keys(value: dict[str, Any], schema: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    known, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key in schema.get("required", ()):
        if key not in value:
            yield at, f"required {key}"
    for key, entry in value.items():
        here = f"{at}.{key}".lstrip(".")
        if key in known:
            yield from misfits(entry, known[key], here)
        elif rest is False:
            yield here, "unknown key"
        elif isinstance(rest, dict):
            yield from misfits(entry, rest, here)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_fanouts_follow_the_layers_unless_given(layers: int) -> None:
    data = parse_yaml(good_text("node"), "good").data
    data["model"]["gnn"] = {"type": "rgcn", "layers": layers}
    del data["train"]["fanouts"], data["infer"]["fanouts"]
    train = build_pipeline(data).train
    assert [fanout.default for fanout in train.fanouts] == [10] * layers
    data["train"]["fanouts"] = [10] * (layers + 1)
    with pytest.raises(ConfigError, match="train.fanouts: must have one entry per GNN layer"):
        build_pipeline(data)
