"""GraphSpec -> the `graph:` section of a pipeline, and the language models that its texts were meant for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gconstruct.convert.notes import Notes
from gconstruct.convert.specs import EdgeSpec, FeatureSpec, GraphSpec, LabelSpec, NodeSpec, TableSpec
from gconstruct.guess.names import as_name
from graphstorm_like.config.formats import format_of, known_formats

Relation = tuple[str, str, str]


@dataclass
class TextModels:
    """What a node or edge type's texts are to be read by, as the construction says."""

    names: dict[str, str] = field(default_factory=dict)
    max_tokens: dict[str, int] = field(default_factory=dict)


@dataclass
class GraphSection:
    """nodes, edges: as in YAML. name_of: their name of a node type or relation -> ours."""

    nodes: dict[str, dict[str, Any]]
    edges: list[dict[str, Any]]
    text_models: TextModels
    edge_text_models: TextModels
    hard_negatives: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """Columns of wrong targets by edge type and by their name; the first one is in the edge type's entry."""

    def edge(self, edge_type: Relation) -> dict[str, Any] | None:
        """The entry of an edge type."""
        return next((edge for edge in self.edges if relation_of(edge) == edge_type), None)


def relation_of(edge: dict[str, Any]) -> Relation:
    """(source, relation, target) of an entry of `edges`."""
    return (edge["source"], edge["relation"], edge["target"])


def graph_section(spec: GraphSpec, notes: Notes) -> GraphSection:
    """Node types in the order in which they come, then those that only edges name."""
    section = GraphSection({}, [], TextModels(), TextModels())
    for node in spec.nodes:
        _add_node(section, node, notes)
    for edge in spec.edges:
        _add_edge(section, edge, notes)
    for entry in section.edges:
        for end in ("source", "target"):
            section.nodes.setdefault(entry[end], {})
    linked = {edge[end] for edge in section.edges for end in ("source", "target")}
    for name, entry in list(section.nodes.items()):
        if not entry and name not in linked:
            del section.nodes[name]
    return section


def _add_node(section: GraphSection, node: NodeSpec, notes: Notes) -> None:
    name = _name(node.node_type, f"{node.key}.node_type", notes)
    earlier = section.nodes.get(name)
    if node.id_column is None and (not earlier or node.files != earlier["files"]):
        said = f"{name} has no id column: nodes have ids of their own here, not row numbers. Add one; without it"
        lost = "these files are left out" if earlier else "its ids come from edges, and it has no features or labels"
        notes.left_out(node.key, f"{said} {lost}")
        section.nodes.setdefault(name, {})
        return
    if earlier:
        entry = earlier
        if node.files != earlier["files"]:
            entry.setdefault("join", []).append({**_files(node, notes), "id": node.id_column})
            said = f"more files of {name}: joined by the id; their columns must have names of their own"
            notes.near(f"{node.key}.files", said)
    else:
        entry = section.nodes[name] = {**_files(node, notes), "id": node.id_column}
    _add_columns(entry, node, notes, section.text_models, name)
    for label in node.labels:
        if label.task != "link_prediction":
            _add_label(entry, label)


def _add_edge(section: GraphSection, edge: EdgeSpec, notes: Notes) -> None:
    source, relation, target = (_name(part, f"{edge.key}.relation", notes) for part in edge.relation)
    earlier = section.edge((source, relation, target))
    if earlier is None and (edge.source_column is None or edge.target_column is None):
        notes.left_out(edge.key, "an edge table without columns of ids: add them")
        return
    if earlier is not None:
        same_columns = edge.source_column in (None, earlier["source_id"]) and edge.target_column in (
            None,
            earlier["target_id"],
        )
        if edge.files != earlier["files"] or not same_columns:
            said = f"a second set of files for {source}:{relation}:{target}: join their columns to the first"
            notes.left_out(edge.key, said)
            return
        entry = earlier
    else:
        ends = {"source_id": edge.source_column, "target_id": edge.target_column}
        entry = {"source": source, "relation": relation, "target": target, **_files(edge, notes), **ends}
        section.edges.append(entry)
    name = f"{source}:{relation}:{target}"
    _add_columns(entry, edge, notes, section.edge_text_models, name)
    for feature in edge.features:
        if feature.hard_negatives:
            found = {"column": feature.columns[0], **feature.settings}
            section.hard_negatives.setdefault(name, {})[feature.name or feature.columns[0]] = found
            if entry.setdefault("hard_negatives", found) is not found:
                notes.near(
                    feature.key, f"another column of wrong targets: {name} has {entry['hard_negatives']['column']}"
                )
    for label in edge.labels:
        if label.task == "link_prediction":
            entry["split"] = label.split
        else:
            _add_label(entry, label)


def _name(name: str, key: str, notes: Notes) -> str:
    ours = as_name(name)
    if ours != name:
        notes.near(key, f"{name!r} became {ours!r}: names have letters, digits, '_', '-' and '.'")
    return ours


def _files(table: TableSpec, notes: Notes) -> dict[str, Any]:
    entry: dict[str, Any] = {"files": table.files}
    form = "jsonl" if table.format == "json" else table.format
    if form is not None and form not in known_formats():
        said = f"{table.format}: must be one of {', '.join(known_formats())}. Write the table as Parquet"
        notes.none(f"{table.key}.format", said)
    elif form is not None and any(format_of(path) != form for path in table.files):
        entry["format"] = form
    if table.separator is not None and form == "csv" and table.separator != ",":
        entry["csv"] = {"delimiter": table.separator}
    return entry


def _add_columns(entry: dict[str, Any], table: TableSpec, notes: Notes, models: TextModels, owner: str) -> None:
    for feature in table.features:
        if feature.text_model is not None:
            _add_text(entry, feature, notes, models, owner)
        elif not feature.hard_negatives:
            _add_features(entry, feature, notes)


def _add_text(entry: dict[str, Any], feature: FeatureSpec, notes: Notes, models: TextModels, owner: str) -> None:
    texts = entry.setdefault("text", {})
    name = _unused(as_name(feature.name or feature.columns[0]), texts, f"{feature.key}.feature_name", notes)
    texts[name] = {"columns": feature.columns}
    model = str(feature.text_model)
    if models.names.setdefault(owner, model) != model:
        notes.near(feature.key, f"{model}: all texts of {owner} are read by one model, {models.names[owner]}")
    models.max_tokens[owner] = max(models.max_tokens.get(owner, 0), int(feature.max_tokens or 0))


def _unused(name: str, others: dict[str, Any], key: str, notes: Notes) -> str:
    """The name, or with a number where another has it."""
    if name not in others:
        return name
    free = next(numbered for i in itertools.count(2) if (numbered := f"{name}_{i}") not in others)
    notes.near(key, f"another is called {name}: became {free}")
    return free


def _add_features(entry: dict[str, Any], feature: FeatureSpec, notes: Notes) -> None:
    """Several columns of numbers are one feature; with another encoding each is one."""
    features = entry.setdefault("features", {})
    wanted = _unused(as_name(feature.name or feature.columns[0]), features, f"{feature.key}.feature_name", notes)
    if len(feature.columns) == 1:
        features[wanted] = {"column": feature.columns[0], **feature.settings}
    elif "encode" not in feature.settings and not {"separator", "dims"} & set(feature.settings):
        features[wanted] = {"columns": feature.columns, **feature.settings}
    else:
        for number, column in enumerate(feature.columns):
            features[f"{wanted}_{number}"] = {"column": column, **feature.settings}
        said = f"{len(feature.columns)} columns became as many features, {wanted}_0 ..."
        notes.near(f"{feature.key}.feature_col", said)


def _add_label(entry: dict[str, Any], label: LabelSpec) -> None:
    if label.column is None:
        return
    kind: dict[str, Any] = {"kind": "number"} if label.task == "regression" else {}
    if label.separator is not None:
        kind = {"kind": "classes", "separator": label.separator}
    labels = entry.setdefault("labels", {})
    name = as_name(label.column)
    if name in labels and labels[name].get("kind") != kind.get("kind"):
        name = f"{name}_{label.task}"
    labels[name] = {"column": label.column, **kind, "split": label.split}


def set_label_kind(section: GraphSection, owner: str, label: str, kind: str) -> None:
    """Of a label that the training YAML knows more about. owner: node type, or edge type as in YAML."""
    entries = {**section.nodes, **{":".join(relation_of(edge)): edge for edge in section.edges}}
    settings = entries.get(owner, {}).get("labels", {}).get(label)
    if settings is not None:
        settings["kind"] = kind


def labels_of(section: GraphSection) -> list[tuple[str | Relation, str, str]]:
    """(node type or edge type, label, kind) of every label."""
    owners: Sequence[tuple[str | Relation, dict[str, Any]]] = [
        *section.nodes.items(),
        *((relation_of(edge), edge) for edge in section.edges),
    ]
    return [
        (owner, name, label.get("kind", "class"))
        for owner, entry in owners
        for name, label in entry.get("labels", {}).items()
    ]
