"""`quality: fast|good|best`: a strategy and budgets, as defaults of this pipeline. Every key that is given stays.

What a preset sets becomes part of the configuration before it is checked, so that saved configurations hold plain
values and fingerprints do not depend on the word.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from graphstorm_like.config.built import describe_folder
from graphstorm_like.config.yaml_source import KeyPath, Origin, SourceLine, YamlSource, dotted

Quality = Literal["fast", "good", "best"]
_ORDER = -1
"""A preset's values have no line of their own."""


@dataclass(frozen=True, slots=True)
class Preset:
    """Budgets. Where the language model does not learn, only those of the graph network matter."""

    tunes: bool
    """Whether the language model is tuned first, where the task's rows have texts that it can learn from"""
    epochs: int
    """Of the graph network, at most: training stops when validation has not improved for `patience` epochs"""
    patience: int
    fanout: int
    """Neighbours per relation and layer"""
    max_tokens: int
    """Of a text that the language model reads"""


PRESETS: Mapping[str, Preset] = {
    "fast": Preset(tunes=False, epochs=5, patience=2, fanout=5, max_tokens=64),
    "good": Preset(tunes=False, epochs=20, patience=4, fanout=10, max_tokens=128),
    "best": Preset(tunes=True, epochs=30, patience=6, fanout=15, max_tokens=128),
}
_TUNING: Mapping[str, Any] = {"epochs": 3, "batch_size": 64, "lr": 1e-4, "dropout": 0.0}
"""`train.lm` as it did best on Debian's packages (docs/benchmarks/debian-sections.md)."""
_LEARNING_ENCODER = "huggingface"


def with_preset(source: YamlSource, base: Path) -> YamlSource:
    """The same configuration with the preset that `quality` names filled in; `base` is the folder of relative paths.

    A wrong name is left for the checks.
    """
    data = source.data
    name = data.get("quality") if isinstance(data, dict) else None
    preset = PRESETS.get(name) if isinstance(name, str) else None
    if preset is None:
        return source
    filled, places = copy.deepcopy(data), dict(source.places)
    for path, value in _settings(preset, data, base):
        if _fill(filled, path, value):
            places[path] = SourceLine(_ORDER, f"quality {name}")
    return source._replace(data=filled, places=places)


def preset_line(origin: Origin) -> str | None:
    """'quality fast sets train.epochs=5, ...', what was left to it; None without one."""
    given = {key: place.text for key, place in origin.places() if place.order == _ORDER}
    if not given:
        return None
    settings = ", ".join(f"{key}={origin.value(key)}" for key in given)
    return f"{next(iter(given.values()))} sets {settings}"


def _fill(data: dict[str, Any], path: KeyPath, value: Any) -> bool:
    """Set a value that is not given; False where it is, or where a section above it is something else."""
    section: Any = data
    for part in path[:-1]:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            return False
    if path[-1] in section:
        return False
    section[path[-1]] = value
    return True


def _settings(preset: Preset, data: dict[str, Any], base: Path) -> Iterator[tuple[KeyPath, Any]]:
    train = _section(data, "train")
    tunes = preset.tunes and _can_learn(data, base)
    if "phases" not in train:
        yield ("train", "strategy"), "staged" if tunes else "frozen"
    yield ("train", "epochs"), preset.epochs
    yield ("train", "early_stop", "patience"), preset.patience
    if tunes:
        for key, value in _TUNING.items():
            yield ("train", "lm", key), value
    gnn = _section(data, "model", "gnn")
    layers = gnn.get("layers", 2)
    if isinstance(layers, int) and gnn.get("type") != "none":
        yield ("train", "fanouts"), [preset.fanout] * layers
    if _encoder_learns(_section(data, "model", "text_encoder")):
        yield ("model", "text_encoder", "max_tokens"), preset.max_tokens


def _section(data: Any, *keys: str) -> dict[str, Any]:
    """A section of unchecked data; empty when it is not there, or no mapping."""
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data if isinstance(data, dict) else {}


def _encoder_learns(encoder: dict[str, Any]) -> bool:
    return "name" in encoder and encoder.get("type", _LEARNING_ENCODER) == _LEARNING_ENCODER


def _can_learn(data: dict[str, Any], base: Path) -> bool:
    """Whether every node type that the task reads has a text for a language model that can learn."""
    with_text = _types_with_text(data, base)
    ends = _task_ends(_section(data, "task"), with_text)
    inputs = _section(data, "model", "inputs")
    read = [with_text.get(end, False) and _section(inputs, end).get("text") != [] for end in ends]
    return _encoder_learns(_section(data, "model", "text_encoder")) and bool(read) and all(read)


def _types_with_text(data: dict[str, Any], base: Path) -> dict[str, bool]:
    """Whether each node type has a text, from the tables' description or from the graph folder."""
    graph = _section(data, "graph")
    if "nodes" in graph:
        nodes = _section(graph, "nodes")
        return {name: bool(_section(nodes, name).get("text")) for name in nodes}
    built = describe_folder(base / Path(str(graph.get("path"))).expanduser())
    return {} if built is None else {name: bool(node.text) for name, node in built.nodes.items()}


def _task_ends(task: dict[str, Any], node_types: Mapping[str, Any]) -> list[str]:
    """The node types whose rows a task reads; none for a task that names them in another way."""
    if isinstance(task.get("node_type"), str):
        return [task["node_type"]]
    if task.get("edge_types") == "all":
        return list(node_types)
    edge_types = [task.get("edge_type"), *(task["edge_types"] if isinstance(task.get("edge_types"), list) else [])]
    ends = []
    for edge_type in edge_types:
        parts = edge_type.split(":") if isinstance(edge_type, str) else edge_type
        if isinstance(parts, list) and len(parts) == 3:
            ends += [parts[0], parts[2]]
    return ends


def preset_table() -> list[list[str]]:
    """Rows of what the presets set, for the documentation: key, fast, good, best."""
    names = list(PRESETS)
    presets = [PRESETS[name] for name in names]
    rows = [["train.strategy", *("staged, frozen without text" if preset.tunes else "frozen" for preset in presets)]]
    rows.append(["train.epochs", *(str(preset.epochs) for preset in presets)])
    rows.append(["train.early_stop.patience", *(str(preset.patience) for preset in presets)])
    rows.append(["train.fanouts, each layer", *(str(preset.fanout) for preset in presets)])
    rows.append(["model.text_encoder.max_tokens", *(str(preset.max_tokens) for preset in presets)])
    for key, value in _TUNING.items():
        rows.append([dotted(("train", "lm", key)), *(f"{value:g}" if preset.tunes else "-" for preset in presets)])
    return rows
