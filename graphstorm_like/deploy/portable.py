"""A pipeline and a graph's manifest without anything that belongs to one machine or to the user's tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from graphstorm_like.config.base import edge_name
from graphstorm_like.config.launchers.local import LocalLaunchConfig
from graphstorm_like.config.model import ModelConfig, NodeInputConfig
from graphstorm_like.config.phases import PhaseConfig
from graphstorm_like.config.pipeline import Pipeline
from graphstorm_like.config.plugins import is_file
from graphstorm_like.config.text_encoders import TextEncoderConfig
from graphstorm_like.deploy.folder import PLUGINS
from graphstorm_like.graph.schema import EdgeTypeSchema, GraphManifest, NodeTypeSchema
from graphstorm_like.inputs.choose import chosen_edge_inputs, chosen_inputs, scored_inputs
from graphstorm_like.inputs.edge_facts import types_with_number, weighed_types
from graphstorm_like.tasks import task_node_types
from graphstorm_like.text.folders import installed_folder

TABLE = "table://"
"""Instead of files: a table that is given when the model is used."""
_ANY_SPLIT = {"by": "random", "train": 0.6, "valid": 0.2, "test": 0.2}
_OF_ONE_MACHINE = ("sql", "files", "spark", "memory", "like", "add_to", "base", "path", "partitions", "engine")


def reads_edges(pipeline: Pipeline) -> bool:
    """Whether what training left passes messages, or scores pairs by edges of all relations; if not, it reads the
    task's types alone."""
    model = pipeline.model
    if pipeline.task.reads_all_relations:
        return True
    return last_phase(pipeline).trains_graph and (model.gnn.hops > 0 or model.averages_inputs)


def last_phase(pipeline: Pipeline) -> PhaseConfig:
    """The phase whose model is the training's result."""
    return pipeline.train.phase_list()[-1]


def read_inputs(pipeline: Pipeline) -> ModelConfig:
    """The model's configuration with the inputs that what training left reads: without a graph network texts alone."""
    model = pipeline.model
    if last_phase(pipeline).trains_graph:
        return model
    no_others: dict[str, Any] = {"features": [], "image": [], "neighbors": False}
    inputs = {name: model.inputs.get(name, NodeInputConfig()) for name in [*pipeline.graph.nodes, *model.inputs]}
    changed = {name: node_inputs.model_copy(update=no_others) for name, node_inputs in inputs.items()}
    return model.model_copy(update={"inputs": changed, "edge_inputs": {}})


def read_types(pipeline: Pipeline, manifest: GraphManifest) -> list[str]:
    """Names of the node and edge types that a graph must have for the model to be applied to it."""
    of_task = [*task_node_types(pipeline.task, manifest)]
    of_task += [edge_name(edge_type) for edge_type in pipeline.task.relations(manifest.original_edge_types())]
    for edge_type in pipeline.task.read_edges:
        of_task += [edge_type[0], edge_name(edge_type), edge_type[2]]
    return [*manifest.nodes, *manifest.edge_names()] if reads_edges(pipeline) else of_task


def portable_manifest(pipeline: Pipeline, manifest: GraphManifest) -> GraphManifest:
    """The types and the fitted state that the model reads, without rows; labels of the task alone."""
    task, model = pipeline.task, read_inputs(pipeline)
    keep = {*read_types(pipeline, manifest)}
    if last_phase(pipeline).trains_graph:  # its weights are numbered by all node types
        keep |= {*manifest.nodes}
    for edge in manifest.edges:  # types without a table get their ids from edges, and need one to be there
        ends = {edge.edge_type[0], edge.edge_type[2]} & keep
        if any(_has_no_table(pipeline, node_type) for node_type in ends):
            keep |= {edge_name(edge.edge_type), edge.edge_type[0], edge.edge_type[2]}
    scored = scored_inputs(task, manifest)
    edge_inputs = chosen_edge_inputs(model, manifest)
    weights = weighed_types(model.gnn, manifest)
    drawn_by = types_with_number(pipeline.train.draw_by, manifest, "train.draw_by")
    nodes: dict[str, NodeTypeSchema] = {}
    for name, node in manifest.nodes.items():
        if name in keep:
            chosen = chosen_inputs(model, manifest, name)
            texts = [*node.text] if name in task.compared_texts else chosen.texts
            reduced = _reduced(node, chosen.features, texts, task.labels().get(name, []))
            nodes[name] = reduced.model_copy(update={"image": {image: node.image[image] for image in chosen.images}})
    edges: list[EdgeTypeSchema] = []
    for edge in manifest.edges:
        if edge_name(edge.edge_type) in keep or (edge.reverse is not None and edge_name(edge.reverse) in keep):
            read = [edge_inputs.get(edge.edge_type, ([], [])), scored.get(edge.edge_type, ([], []))]
            if edge.reverse is not None:  # both have the same columns
                read += [edge_inputs.get(edge.reverse, ([], [])), scored.get(edge.reverse, ([], []))]
            features = [name for of_edge, _ in read for name in of_edge]
            features += [weights[edge.edge_type]] if edge.edge_type in weights else []
            features += [drawn_by[edge.edge_type]] if edge.edge_type in drawn_by else []
            texts = [name for _, of_edge in read for name in of_edge]
            original = edge.reverse if edge.is_reverse and edge.reverse is not None else edge.edge_type
            edges.append(_reduced(edge, features, texts, task.labels().get(original, [])))
    return GraphManifest(fingerprint=manifest.fingerprint, nodes=nodes, edges=edges, partitions=[], hashes={})


def _has_no_table(pipeline: Pipeline, node_type: str) -> bool:
    node = pipeline.graph.nodes.get(node_type)
    return node is not None and not node.files and node.sql is None


def _reduced(schema: Any, features: Iterable[str], texts: Iterable[str], labels: Collection[str]) -> Any:
    """A type without rows, with some of its features and texts and the task's labels."""
    kept = set(features)
    fitted = {}
    for name, feature in schema.features.items():
        if name in kept:
            paths = {key: "" for key in ("vectors", "ids") if feature.fitted.get(key)}
            fitted[name] = feature.model_copy(update={"fitted": {**feature.fitted, **paths}})
    texts = set(texts)
    changed: dict[str, Any] = {
        "count": 0,
        "features": fitted,
        "text": {name: text for name, text in schema.text.items() if name in texts},
        "labels": {n: label.model_copy(update={"counts": {}}) for n, label in schema.labels.items() if n in labels},
    }
    if isinstance(schema, EdgeTypeSchema) and schema.split_counts is not None:
        changed["split_counts"] = {}
    return schema.model_copy(update=changed)


def portable_pipeline(pipeline: Pipeline, manifest: GraphManifest) -> dict[str, Any]:
    """The configuration as JSON. manifest: see portable_manifest: only its types and features stay. Files become
    `table://` names, encoders' folders their last parts."""
    encoders = {key: _portable_encoder(encoder) for key, encoder in pipeline.model.text_encoders().items()}
    train = pipeline.train
    if train.phases is not None:
        phases = [phase.with_own_encoders(_portable_encoder) for phase in train.phases]
        train = train.model_copy(update={"phases": phases})
    model = read_inputs(pipeline).with_encoders(encoders)
    there = {name: inputs for name, inputs in model.inputs.items() if name in manifest.nodes}
    changed = {"model": model.model_copy(update={"inputs": there}), "train": train, "task": pipeline.task.to_apply()}
    data = pipeline.model_copy(update={**changed, "launch": LocalLaunchConfig(on="local")}).model_dump(mode="json")
    data |= {"output": "output", "cache": "cache"}
    data["infer"] |= {"nodes": {}, "pairs": None}  # files of the run's machine
    if data["infer"]["embeddings"] is not None:
        data["infer"]["embeddings"] = [name for name in data["infer"]["embeddings"] if name in manifest.nodes]
    for fanout in [*data["train"]["fanouts"], *(data["infer"]["fanouts"] or ())]:
        named = fanout["by_edge_type"]
        fanout["by_edge_type"] = {name: k for name, k in named.items() if name in manifest.edge_names()}
    data["plugins"] = [f"{PLUGINS}/{Path(name).name}" if is_file(name) else name for name in pipeline.plugins]
    graph = {key: value for key, value in data["graph"].items() if key not in _OF_ONE_MACHINE}
    data["graph"] = graph
    if not graph["nodes"]:
        graph["path"] = "graph"
        return data
    graph["nodes"] = {
        name: _table(graph["nodes"][name], f"nodes.{name}", schema) for name, schema in manifest.nodes.items()
    }
    known = {edge.edge_type: edge for edge in manifest.edges}
    edges = []
    for edge in graph["edges"]:
        edge_type = (edge["source"], edge["relation"], edge["target"])
        if edge_type in known:
            edges.append(_table(edge, f"edges.{edge_name(edge_type)}", known[edge_type]))
    graph["edges"] = edges
    return data


def _portable_encoder(encoder: TextEncoderConfig) -> TextEncoderConfig:
    """A local folder's name becomes its last part: the folder itself is packed."""
    name = encoder.model_name
    is_folder = name is not None and not name.startswith("pypi:") and installed_folder(name) is not None
    return encoder.model_copy(update={"name": Path(str(name)).name}) if is_folder else encoder


def _table(table: Mapping[str, Any], name: str, schema: NodeTypeSchema | EdgeTypeSchema) -> dict[str, Any]:
    """A table's configuration with the inputs that the model reads, and a name instead of files."""
    kept = {key: value for key, value in table.items() if key not in ("files", "sql")}
    had_table = bool(table.get("files")) or table.get("sql") is not None
    kept["files"] = [f"{TABLE}{name}"] if had_table else []
    for kind in ("features", "text", "image", "labels"):
        if kind in kept:
            there = getattr(schema, kind)
            kept[kind] = {key: value for key, value in kept[kind].items() if key in there}
    for feature in kept["features"].values():
        for key in ("vectors", "ids"):
            if feature.get(key):
                feature[key] = Path(feature[key]).name
    for label in kept["labels"].values():
        label["split"] = _without_files(label["split"])
    if kept.get("split") is not None:
        kept["split"] = _without_files(kept["split"])
    for i, join in enumerate(kept.get("join", [])):
        join |= {"files": [f"{TABLE}{name}.join[{i}]"], "sql": None}
    return kept


def _without_files(split: dict[str, Any]) -> dict[str, Any]:
    """Lists of ids stay where they are: nobody else has them."""
    return dict(_ANY_SPLIT) if split["by"] == "ids" else split
